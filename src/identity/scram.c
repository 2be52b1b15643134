/* SCRAM-SHA-256 verifiers: RFC 5802, 7677; stored in the form of PostgreSQL (RFC 5803's fields).
 *
 * SASLprep (RFC 4013): an ASCII password is its own result. Any other must be UTF-8 without the
 * characters that SASLprep prohibits among controls, and is used as it is: its Unicode
 * normalisation (NFKC) is not done, as PostgreSQL does not where it fails. A client that does it
 * agrees with us wherever the password was typed in composed form, as keyboards do. */
#include "identity/scram.h"

#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "identity/identity_int.h"

#define SALT_BYTES 16u
#define PASSWORD_BYTES_MAX 1024u

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
bool scram__decode(struct slice text, size_t bytes_max, uint8_t *ret_bytes, size_t *ret_len)
{
    unsigned char decoded[BASE64_BYTES(SCRAM_DECODED_BYTES_MAX)];
    unsigned char again[BASE64_BYTES(SCRAM_DECODED_BYTES_MAX) + 1];
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
bool scram__take_until(struct slice *rest, char separator, struct slice *ret_part)
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

bool scram__parse(struct slice text, struct scram_verifier *ret_verifier)
{
    struct slice prefix, iterations, salt, stored;
    uint64_t count;
    size_t stored_len, server_len;
    struct scram_verifier out;
    if (text.len >= SCRAM_VERIFIER_BYTES || !scram__take_until(&text, '$', &prefix) ||
        !slice_equal(prefix, SLICE("SCRAM-SHA-256")) ||
        !scram__take_until(&text, ':', &iterations) || !slice_to_u64(iterations, &count) ||
        count == 0 || count > SCRAM_ITERATIONS_MAX || iterations.ptr[0] == '0' ||
        !scram__take_until(&text, '$', &salt) || !scram__take_until(&text, ':', &stored) ||
        !scram__decode(salt, SCRAM_SALT_BYTES_MAX, out.salt, &out.salt_bytes) ||
        !scram__decode(stored, SHA256_BYTES, out.stored_key, &stored_len) ||
        !scram__decode(text, SHA256_BYTES, out.server_key, &server_len) ||
        stored_len != SHA256_BYTES || server_len != SHA256_BYTES) {
        return false;
    }
    out.iterations = (uint32_t)count;
    *ret_verifier = out;
    return true;
}

bool scram_verifier_is_valid(struct slice verifier)
{
    struct scram_verifier parsed;
    return scram__parse(verifier, &parsed);
}

bool scram_verifier_check(struct slice verifier, struct slice password)
{
    struct scram_verifier parsed;
    struct scram_keys keys CLEANUP(wipe_keys) = {0};
    if (!scram__parse(verifier, &parsed) || !password_is_usable(password) ||
        derive(password, bytes_of(parsed.salt, parsed.salt_bytes), parsed.iterations, &keys) !=
            ERR_OK) {
        return false;
    }
    bool stored_is_equal = hash_equal(keys.stored, parsed.stored_key, SHA256_BYTES);
    bool server_is_equal = hash_equal(keys.server, parsed.server_key, SHA256_BYTES);
    return stored_is_equal & server_is_equal;
}

void scram__encode(const uint8_t *bytes, size_t len, char *ret_text)
{
    (void)EVP_EncodeBlock((unsigned char *)ret_text, bytes, (int)len);
}

static void print_verifier(const struct scram_verifier *verifier,
                           char ret_verifier[SCRAM_VERIFIER_BYTES])
{
    char salt[BASE64_BYTES(SALT_BYTES) + 1];
    char stored[BASE64_BYTES(SHA256_BYTES) + 1];
    char server[BASE64_BYTES(SHA256_BYTES) + 1];
    ASSERT(verifier->salt_bytes == SALT_BYTES);
    scram__encode(verifier->salt, SALT_BYTES, salt);
    scram__encode(verifier->stored_key, SHA256_BYTES, stored);
    scram__encode(verifier->server_key, SHA256_BYTES, server);
    (void)snprintf(ret_verifier, SCRAM_VERIFIER_BYTES, "SCRAM-SHA-256$%u:%s$%s:%s",
                   verifier->iterations, salt, stored, server);
}

enum err scram_verifier_mock(struct slice secret, struct slice user,
                             char ret_verifier[SCRAM_VERIFIER_BYTES], struct errinfo *info)
{
    struct scram_verifier mock = {.iterations = SCRAM_ITERATIONS_DEFAULT, .salt_bytes = SALT_BYTES};
    uint8_t seed[SHA256_BYTES];
    struct slice seeded = bytes_of(seed, sizeof(seed));
    uint8_t salt[SHA256_BYTES];
    if (hash_hmac_sha256(secret, user, seed) != ERR_OK ||
        hash_hmac_sha256(seeded, SLICE("salt"), salt) != ERR_OK ||
        hash_hmac_sha256(seeded, SLICE("stored"), mock.stored_key) != ERR_OK ||
        hash_hmac_sha256(seeded, SLICE("server"), mock.server_key) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the password cannot be checked");
    }
    memcpy(mock.salt, salt, SALT_BYTES);
    print_verifier(&mock, ret_verifier);
    mem_wipe(seed, sizeof(seed));
    mem_wipe(&mock, sizeof(mock));
    return ERR_OK;
}

enum err scram_verifier_new(struct slice password, uint32_t iterations,
                            char ret_verifier[SCRAM_VERIFIER_BYTES], struct errinfo *info)
{
    struct scram_verifier made = {.iterations = iterations, .salt_bytes = SALT_BYTES};
    struct scram_keys keys CLEANUP(wipe_keys) = {0};
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
    if (random_bytes(made.salt, SALT_BYTES) != ERR_OK ||
        derive(password, bytes_of(made.salt, SALT_BYTES), iterations, &keys) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the password cannot be hashed");
    }
    memcpy(made.stored_key, keys.stored, SHA256_BYTES);
    memcpy(made.server_key, keys.server, SHA256_BYTES);
    print_verifier(&made, ret_verifier);
    return ERR_OK;
}
