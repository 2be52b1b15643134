/* What tokens and key sets are written in: names of algorithms, base64url, strict JSON. */
#include "base/json.h"
#include "base/mem.h"
#include "identity/jose_int.h"

#define OBJECT_NODES_MAX 20000u
#define OBJECT_DEPTH_MAX 32u
#define OBJECT_MEMBERS_MAX 512u /* of one object: duplicates are looked for pair by pair */

static const struct jose_algorithm algorithms[] = {
    {"RS256", JOSE_RSA, "SHA256", NULL, 1u << 0},   {"RS384", JOSE_RSA, "SHA384", NULL, 1u << 1},
    {"RS512", JOSE_RSA, "SHA512", NULL, 1u << 2},   {"PS256", JOSE_PSS, "SHA256", NULL, 1u << 3},
    {"PS384", JOSE_PSS, "SHA384", NULL, 1u << 4},   {"PS512", JOSE_PSS, "SHA512", NULL, 1u << 5},
    {"ES256", JOSE_EC, "SHA256", "P-256", 1u << 6}, {"ES384", JOSE_EC, "SHA384", "P-384", 1u << 7},
    {"ES512", JOSE_EC, "SHA512", "P-521", 1u << 8}, {"EdDSA", JOSE_ED, NULL, NULL, 1u << 9},
    {"Ed25519", JOSE_ED, NULL, "Ed25519", 1u << 9}, /* RFC 9864 */
    {"Ed448", JOSE_ED, NULL, "Ed448", 1u << 9},
};

const struct jose_algorithm *jose_algorithm(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(algorithms); i++) {
        if (slice_equal(name, slice_of(algorithms[i].name))) {
            return &algorithms[i];
        }
    }
    return NULL;
}

enum err jose_algorithms(struct slice list, unsigned *ret_set, struct errinfo *info)
{
    unsigned set = 0;
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        struct slice name = slice_trim((struct slice){list.ptr, len});
        const struct jose_algorithm *algorithm = jose_algorithm(name);
        if (algorithm == NULL) {
            (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is no algorithm of tokens",
                              SLICE_ARGS(name));
            errinfo_hint(info, "There are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, "
                               "ES512 and EdDSA.");
            return ERR_INVALID;
        }
        set |= algorithm->bit;
        size_t skip = comma == NULL ? len : len + 1;
        list = (struct slice){list.ptr + skip, list.len - skip};
    }
    *ret_set = set;
    return ERR_OK;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool jose_base64_decode(struct slice text, uint8_t *ret_bytes, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;
    if (text.len % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        bits = (bits << 6 | (uint32_t)value) & 0xFFFFFFu;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            ret_bytes[len++] = (uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0) { /* another text would give the same bytes */
        return false;
    }
    *ret_len = len;
    return true;
}

static bool has_nul(struct slice text)
{
    return text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
}

/* Readers differ in which of two members of one name they take: RFC 8725, and the attacks on it. */
static bool is_unambiguous(const struct json *node)
{
    if (has_nul(node->text) || node->count > OBJECT_NODES_MAX ||
        (node->type == JSON_OBJECT && node->count > OBJECT_MEMBERS_MAX)) {
        return false;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (has_nul(child->key) || !is_unambiguous(child)) { /* as deep as the parser lets it be */
            return false;
        }
        for (const struct json *other = child->next; node->type == JSON_OBJECT && other != NULL;
             other = other->next) {
            if (slice_equal(child->key, other->key)) {
                return false;
            }
        }
    }
    return true;
}

enum err jose_object(struct arena *arena, struct slice text, struct json **ret_object,
                     struct errinfo *info)
{
    static const struct json_limits limits = {OBJECT_DEPTH_MAX, OBJECT_NODES_MAX};
    struct json *object;
    if (!slice_is_utf8(text, NULL)) {
        return errinfo_set(info, ERR_INVALID, NULL, "it is not UTF-8");
    }
    enum err err = json_parse(arena, text, &limits, &object, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    if (err != ERR_OK || object->type != JSON_OBJECT) {
        return errinfo_set(info, ERR_INVALID, NULL, "it is no JSON object");
    }
    if (!is_unambiguous(object)) {
        return errinfo_set(info, ERR_INVALID, NULL, "it has a member twice, or far too many");
    }
    *ret_object = object;
    return ERR_OK;
}
