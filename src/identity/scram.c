/* SCRAM-SHA-256 verifiers: RFC 5802, 7677; stored in the form of PostgreSQL (RFC 5803's fields).
 *
 * SASLprep (RFC 4013): an ASCII password is its own result. Any other must be UTF-8 without the
 * characters that SASLprep prohibits among controls, and is used as it is: its Unicode
 * normalisation (NFKC) is not done, as PostgreSQL does not where it fails. A client that does it
 * agrees with us wherever the password was typed in composed form, as keyboards do. */
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "identity/identity_int.h"

#define SALT_BYTES 16u
#define SALT_BYTES_MAX 64u
#define PASSWORD_BYTES_MAX 1024u
#define BASE64_BYTES(n) (((n) + 2) / 3 * 4)

struct verifier {
    uint32_t iterations;
    uint8_t salt[SALT_BYTES_MAX];
    size_t salt_bytes;
    uint8_t stored_key[SHA256_BYTES];
    uint8_t server_key[SHA256_BYTES];
};

struct scram_keys {
    uint8_t salted[SHA256_BYTES];
    uint8_t client[SHA256_BYTES];
    uint8_t stored[SHA256_BYTES];
    uint8_t server[SHA256_BYTES];
};

static struct slice bytes_of(const void *bytes, size_t len)
{
    return (struct slice){bytes, len};
}

static void wipe_keys(struct scram_keys *keys)
{
    mem_wipe(keys, sizeof(*keys));
}

/* Prohibited (RFC 3454, C.2, C.6, C.8): controls, invisible and directional
 * marks, line and paragraph separators, interlinear annotation and replacement. */
static bool is_prohibited(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x06DD || c == 0x070F || c == 0x180E ||
           (c >= 0x200C && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x2063) || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFF) || (c >= 0x1D173 && c <= 0x1D17A);
}

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool password_is_usable(struct slice password)
{
    if (password.len == 0 || password.len > PASSWORD_BYTES_MAX ||
        memchr(password.ptr, '\0', password.len) != NULL) {
        return false;
    }
    if (is_ascii(password)) {
        return true;
    }
    if (!slice_is_utf8(password, NULL)) {
        return false;
    }
    for (size_t offset = 0; offset < password.len;) {
        if (is_prohibited(identity__character(password, &offset))) {
            return false;
        }
    }
    return true;
}

/* RFC 5802, section 3. */
static enum err derive(struct slice password, struct slice salt, uint32_t iterations,
                       struct scram_keys *ret_keys)
{
    struct slice salted = bytes_of(ret_keys->salted, SHA256_BYTES);
    TRY(hash_pbkdf2_sha256(password, salt, iterations, ret_keys->salted));
    TRY(hash_hmac_sha256(salted, SLICE("Client Key"), ret_keys->client));
    TRY(hash_sha256(bytes_of(ret_keys->client, SHA256_BYTES), ret_keys->stored));
    return hash_hmac_sha256(salted, SLICE("Server Key"), ret_keys->server);
}

/* Standard alphabet with padding, and only the one encoding that these bytes have. */
static bool decode(struct slice text, size_t bytes_max, uint8_t *ret_bytes, size_t *ret_len)
{
    unsigned char decoded[BASE64_BYTES(SALT_BYTES_MAX)];
    unsigned char again[BASE64_BYTES(SALT_BYTES_MAX) + 1];
    if (text.len == 0 || text.len % 4 != 0 || text.len > BASE64_BYTES(bytes_max) ||
        text.len > sizeof(decoded)) {
        return false;
    }
    int got = EVP_DecodeBlock(decoded, (const unsigned char *)text.ptr, (int)text.len);
    size_t padding = text.ptr[text.len - 1] != '=' ? 0 : text.ptr[text.len - 2] != '=' ? 1 : 2;
    if (got < 0 || (size_t)got < padding || (size_t)got - padding > bytes_max) {
        return false;
    }
    size_t len = (size_t)got - padding;
    int encoded = EVP_EncodeBlock(again, decoded, (int)len);
    if (encoded < 0 || !slice_equal(text, bytes_of(again, (size_t)encoded))) {
        return false;
    }
    memcpy(ret_bytes, decoded, len);
    *ret_len = len;
    return true;
}

/* The part before `separator`, which moves behind it; false if there is none. */
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

static bool parse(struct slice text, struct verifier *ret_verifier)
{
    struct slice prefix, iterations, salt, stored;
    uint64_t count;
    size_t stored_len, server_len;
    struct verifier out;
    if (text.len >= SCRAM_VERIFIER_BYTES || !take_until(&text, '$', &prefix) ||
        !slice_equal(prefix, SLICE("SCRAM-SHA-256")) || !take_until(&text, ':', &iterations) ||
        !slice_to_u64(iterations, &count) || count == 0 || count > SCRAM_ITERATIONS_MAX ||
        iterations.ptr[0] == '0' || !take_until(&text, '$', &salt) ||
        !take_until(&text, ':', &stored) ||
        !decode(salt, SALT_BYTES_MAX, out.salt, &out.salt_bytes) ||
        !decode(stored, SHA256_BYTES, out.stored_key, &stored_len) ||
        !decode(text, SHA256_BYTES, out.server_key, &server_len) || stored_len != SHA256_BYTES ||
        server_len != SHA256_BYTES) {
        return false;
    }
    out.iterations = (uint32_t)count;
    *ret_verifier = out;
    return true;
}

bool scram_verifier_is_valid(struct slice verifier)
{
    struct verifier parsed;
    return parse(verifier, &parsed);
}

bool scram_verifier_check(struct slice verifier, struct slice password)
{
    struct verifier parsed;
    struct scram_keys keys CLEANUP(wipe_keys) = {0};
    if (!parse(verifier, &parsed) || !password_is_usable(password) ||
        derive(password, bytes_of(parsed.salt, parsed.salt_bytes), parsed.iterations, &keys) !=
            ERR_OK) {
        return false;
    }
    bool stored_is_equal = hash_equal(keys.stored, parsed.stored_key, SHA256_BYTES);
    bool server_is_equal = hash_equal(keys.server, parsed.server_key, SHA256_BYTES);
    return stored_is_equal & server_is_equal;
}

static void encode(const uint8_t *bytes, size_t len, char *ret_text)
{
    (void)EVP_EncodeBlock((unsigned char *)ret_text, bytes, (int)len);
}

enum err scram_verifier_new(struct slice password, uint32_t iterations,
                            char ret_verifier[SCRAM_VERIFIER_BYTES], struct errinfo *info)
{
    uint8_t salt[SALT_BYTES];
    struct scram_keys keys CLEANUP(wipe_keys) = {0};
    char salt_text[BASE64_BYTES(SALT_BYTES) + 1];
    char stored_text[BASE64_BYTES(SHA256_BYTES) + 1];
    char server_text[BASE64_BYTES(SHA256_BYTES) + 1];
    if (!password_is_usable(password)) {
        (void)errinfo_set(info, ERR_INVALID, "28P01", "the password is not valid");
        errinfo_hint(info, "Passwords have 1 to %u bytes of UTF-8 without control characters.",
                     PASSWORD_BYTES_MAX);
        return ERR_INVALID;
    }
    if (iterations < SCRAM_ITERATIONS_DEFAULT || iterations > SCRAM_ITERATIONS_MAX) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "a password is hashed with %u to %u iterations, not %u",
                           SCRAM_ITERATIONS_DEFAULT, SCRAM_ITERATIONS_MAX, iterations);
    }
    if (random_bytes(salt, sizeof(salt)) != ERR_OK ||
        derive(password, bytes_of(salt, sizeof(salt)), iterations, &keys) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the password cannot be hashed");
    }
    encode(salt, sizeof(salt), salt_text);
    encode(keys.stored, SHA256_BYTES, stored_text);
    encode(keys.server, SHA256_BYTES, server_text);
    (void)snprintf(ret_verifier, SCRAM_VERIFIER_BYTES, "SCRAM-SHA-256$%u:%s$%s:%s", iterations,
                   salt_text, stored_text, server_text);
    return ERR_OK;
}
