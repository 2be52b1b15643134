/* Tokens in compact form: three parts, taken apart, verified by the keys of a set. */
#include "base/mem.h"
#include "identity/jose_int.h"

#define VERIFY_TRIES_MAX 8u               /* keys that one token may be tried with */
#define SECONDS_MAX INT64_C(253402300799) /* the end of year 9999 */

struct parts {
    struct slice header;
    struct slice payload;
    struct slice signature;
};

static bool split(struct slice token, struct parts *ret_parts)
{
    size_t dots[2];
    size_t count = 0;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '.') {
            if (count == 2) {
                return false; /* encrypted ones have five parts */
            }
            dots[count++] = i;
        }
    }
    if (count != 2) {
        return false;
    }
    *ret_parts = (struct parts){
        {token.ptr, dots[0]},
        {token.ptr + dots[0] + 1, dots[1] - dots[0] - 1},
        {token.ptr + dots[1] + 1, token.len - dots[1] - 1},
    };
    return true;
}

bool jwt_is_like(struct slice text)
{
    struct parts parts;
    if (!slice_starts_with(text, SLICE("ey"))) { /* {" */
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.')) {
            return false;
        }
    }
    return split(text, &parts) && parts.header.len > 0 && parts.payload.len > 0;
}

static enum err malformed(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_INVALID, "28000", "the token is malformed: %s", why);
}

static enum err decode(struct arena *arena, struct slice text, struct slice *ret_bytes,
                       struct errinfo *info)
{
    uint8_t *bytes = arena_alloc(arena, text.len / 4 * 3 + 3);
    size_t len;
    if (bytes == NULL) {
        return errinfo_nomem(info);
    }
    if (!jose_base64_decode(text, bytes, &len)) {
        return malformed(info, "a part is not base64url");
    }
    *ret_bytes = (struct slice){(const char *)bytes, len};
    return ERR_OK;
}

static enum err decode_object(struct arena *arena, struct slice text, const char *what,
                              struct json **ret_object, struct errinfo *info)
{
    struct slice bytes;
    TRY(decode(arena, text, &bytes, info));
    enum err err = jose_object(arena, bytes, ret_object, NULL);
    return err == ERR_OK ? ERR_OK : err == ERR_NOMEM ? errinfo_nomem(info) : malformed(info, what);
}

/* Text of a member that may be absent; false if it is there and something else. */
static bool optional_text(const struct json *object, const char *name, struct slice *ret_text)
{
    const struct json *member = json_get(object, name);
    *ret_text = member == NULL ? SLICE("") : member->text;
    return member == NULL || member->type == JSON_STRING;
}

static enum err read_header(const struct json *header, struct jwt *jwt, struct errinfo *info)
{
    struct slice name;
    if (json_get(header, "crit") != NULL) {
        return malformed(info, "it needs an extension (crit)"); /* there is none that we know */
    }
    if (json_get(header, "alg") == NULL || !optional_text(header, "alg", &name) ||
        !optional_text(header, "kid", &jwt->kid) || !optional_text(header, "typ", &jwt->type)) {
        return malformed(info, "its header lacks what it must have");
    }
    /* jku, jwk, x5u and x5c would let the token bring its own key: they are not looked at. */
    jwt->algorithm = jose_algorithm(name);
    if (jwt->algorithm == NULL) {
        return malformed(info, "its algorithm is none that an issuer signs with");
    }
    return ERR_OK;
}

enum err jwt_parse(struct slice token, struct arena *arena, struct jwt *ret_jwt,
                   struct errinfo *info)
{
    struct parts parts;
    struct json *header;
    struct jwt jwt = {0};
    if (token.len > JWT_BYTES_MAX) {
        return malformed(info, "it is too long");
    }
    if (!split(token, &parts) || parts.signature.len == 0) {
        return malformed(info, "it has not three parts");
    }
    TRY(decode_object(arena, parts.header, "its header is no JSON object", &header, info));
    TRY(read_header(header, &jwt, info));
    TRY(decode_object(arena, parts.payload, "its claims are no JSON object", &jwt.claims, info));
    TRY(decode(arena, parts.signature, &jwt.signature, info));
    jwt.input = (struct slice){token.ptr, parts.header.len + 1 + parts.payload.len};
    *ret_jwt = jwt;
    return ERR_OK;
}

enum jwt_verdict jwt_verify(const struct jwt *jwt, const struct jwks *jwks, unsigned algorithms)
{
    unsigned tries = 0;
    bool has_named = false;
    if ((jwt->algorithm->bit & algorithms) == 0) {
        return JWT_FORGED;
    }
    for (size_t i = 0; i < jwks_count(jwks) && tries < VERIFY_TRIES_MAX; i++) {
        const struct jose_key *key = jwks_key(jwks, i);
        bool is_named = slice_equal(jwt->kid, key->kid);
        if (jwt->kid.len > 0 && !is_named) {
            continue;
        }
        tries++;
        has_named = has_named || (jwt->kid.len > 0 && is_named);
        if (jose_verify(key, jwt->algorithm, jwt->input, jwt->signature)) {
            return JWT_GENUINE;
        }
    }
    return has_named ? JWT_FORGED : JWT_UNKNOWN_KEY;
}

bool jwt_time(const struct json *claims, const char *name, int64_t *ret_seconds)
{
    const struct json *node = json_get(claims, name);
    if (node == NULL || node->type != JSON_NUMBER) {
        return false;
    }
    struct slice digits = node->text;
    const char *point = memchr(digits.ptr, '.', digits.len);
    if (memchr(digits.ptr, 'e', digits.len) != NULL ||
        memchr(digits.ptr, 'E', digits.len) != NULL) {
        return false;
    }
    digits.len = point == NULL ? digits.len : (size_t)(point - digits.ptr);
    int64_t seconds;
    if (!slice_to_i64(digits, &seconds) || seconds < 0 || seconds > SECONDS_MAX) {
        return false;
    }
    *ret_seconds = seconds;
    return true;
}
