/* SASL OAUTHBEARER's messages (RFC 7628; GS2 header of RFC 5801).
 *
 *     n,a=user@example.com,^Ahost=server.example.com^Aport=5432^Aauth=Bearer token^A^A
 */
#include "base/buf.h"
#include "base/json.h"
#include "identity/jose_int.h"
#include "identity/provider.h"

#define SEPARATOR '\x01'

static enum err malformed(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_INVALID, "08P01", "the OAUTHBEARER message is malformed: %s", why);
}

static bool take_until(struct slice *rest, char separator, struct slice *ret_part)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, separator, rest->len);
    if (end == NULL) {
        return false;
    }
    size_t len = (size_t)(end - rest->ptr);
    *ret_part = (struct slice){rest->ptr, len};
    *rest = (struct slice){end + 1, rest->len - len - 1};
    return true;
}

/* A saslname: "=2C" is a comma, "=3D" an equals sign, any other "=" is wrong. */
static enum err decode_name(struct slice name, struct arena *arena, struct slice *ret_name,
                            struct errinfo *info)
{
    char *decoded = arena_alloc(arena, name.len + 1);
    size_t len = 0;
    if (decoded == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '=') {
            decoded[len++] = name.ptr[i];
            continue;
        }
        struct slice code = {name.ptr + i, name.len - i};
        bool is_comma = slice_starts_with(code, SLICE("=2C"));
        if (!is_comma && !slice_starts_with(code, SLICE("=3D"))) {
            return malformed(info, "its authorization identity is not encoded");
        }
        decoded[len++] = is_comma ? ',' : '=';
        i += 2;
    }
    *ret_name = (struct slice){decoded, len};
    return ERR_OK;
}

static enum err read_header(struct slice *rest, struct arena *arena, struct slice *ret_user,
                            struct errinfo *info)
{
    struct slice binding, name;
    if (!take_until(rest, ',', &binding) || !take_until(rest, ',', &name)) {
        return malformed(info, "it has no GS2 header");
    }
    /* "p=..." would bind it to the channel, which OAUTHBEARER cannot. */
    if (!slice_equal(binding, SLICE("n")) && !slice_equal(binding, SLICE("y"))) {
        return malformed(info, "it asks for channel binding");
    }
    *ret_user = SLICE("");
    if (name.len == 0) {
        return ERR_OK;
    }
    if (!slice_starts_with(name, SLICE("a="))) {
        return malformed(info, "its GS2 header has something else than an authorization identity");
    }
    TRY(decode_name((struct slice){name.ptr + 2, name.len - 2}, arena, ret_user, info));
    return identity_name_is_valid(*ret_user)
               ? ERR_OK
               : malformed(info, "its authorization identity is no name");
}

/* "Bearer <b64token>" (RFC 6750, 2.1); the scheme folds case. */
static bool read_auth(struct slice value, struct slice *ret_token)
{
    static const struct slice scheme = {"Bearer", 6};
    if (!slice_starts_with_fold(value, scheme) || value.len < scheme.len + 2 ||
        value.ptr[scheme.len] != ' ') {
        return false;
    }
    struct slice token = {value.ptr + scheme.len, value.len - scheme.len};
    while (token.len > 0 && token.ptr[0] == ' ') {
        token = (struct slice){token.ptr + 1, token.len - 1};
    }
    for (size_t i = 0; i < token.len; i++) {
        char c = token.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == ',' || c == '\\') {
            return false;
        }
    }
    *ret_token = token;
    return token.len > 0;
}

static bool is_key(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) {
            return false;
        }
    }
    return key.len > 0;
}

enum err oauthbearer_parse(struct slice message, struct arena *arena,
                           struct oauthbearer *ret_response, struct errinfo *info)
{
    struct oauthbearer response = {0};
    struct slice rest = message, empty, pair;
    bool has_auth = false;
    if (message.len > JWT_BYTES_MAX + 1024) {
        return malformed(info, "it is too long");
    }
    if (message.len > 0 && memchr(message.ptr, '\0', message.len) != NULL) {
        return malformed(info, "it holds NUL");
    }
    TRY(read_header(&rest, arena, &response.user, info));
    if (!take_until(&rest, SEPARATOR, &empty) || empty.len > 0) {
        return malformed(info, "it has no separator behind the GS2 header");
    }
    for (;;) {
        struct slice key;
        if (!take_until(&rest, SEPARATOR, &pair)) {
            return malformed(info, "it has no end");
        }
        if (pair.len == 0) {
            break;
        }
        struct slice value = pair;
        if (!take_until(&value, '=', &key) || !is_key(key)) {
            return malformed(info, "a part is not key=value");
        }
        if (slice_equal(key, SLICE("auth"))) {
            if (has_auth || (value.len > 0 && !read_auth(value, &response.token))) {
                return malformed(info, "its authorization is not one bearer token");
            }
            has_auth = true;
        }
    }
    if (rest.len > 0 || !has_auth) {
        return malformed(info, has_auth ? "it goes on behind its end" : "it has no authorization");
    }
    *ret_response = response;
    return ERR_OK;
}

void oauthbearer_failure(struct slice issuer, struct slice scope, struct buf *out)
{
    buf_append_str(out, "{\"status\":\"invalid_token\"");
    if (scope.len > 0) {
        buf_append_str(out, ",\"scope\":");
        json_write_string(out, scope);
    }
    if (issuer.len > 0) {
        buf_append_str(out, ",\"openid-configuration\":");
        struct buf url CLEANUP(buf_fini) = {0};
        buf_append_slice(&url, issuer);
        buf_append_str(&url, slice_ends_with(issuer, SLICE("/")) ? "" : "/");
        buf_append_str(&url, ".well-known/openid-configuration");
        json_write_string(out, buf_slice(&url));
    }
    buf_append_char(out, '}');
}
