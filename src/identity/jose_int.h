/* Signed tokens: compact form (RFC 7515, 7519), key sets (RFC 7517), signatures (RFC 7518, 8037).
 *
 * Only what an issuer signs with a private key: `none` and everything with HMAC are no algorithms
 * here, so no token can be "signed" with a public key. What a token says about its algorithm never
 * chooses the kind of key: the key does, and the two must agree. */
#pragma once

#include <openssl/evp.h>

#include "base/json.h"
#include "identity/identity.h"

#define JWT_BYTES_MAX (16u * 1024)
#define JWKS_BYTES_MAX (256u * 1024)
#define JWKS_KEYS_MAX 64u
#define JOSE_RSA_BITS_MIN 2048
#define JOSE_RSA_BITS_MAX 8192 /* a verification must end soon */

enum jose_family {
    JOSE_RSA,
    JOSE_PSS,
    JOSE_EC,
    JOSE_ED
};

struct jose_algorithm {
    const char *name;
    enum jose_family family;
    const char *digest; /* NULL: the signature scheme has its own */
    const char *curve;  /* as a JWK names it; NULL for RSA and for EdDSA, which has two */
    unsigned bit;       /* in a set of allowed algorithms */
};

/* NULL for names that are not known, `none` and HMAC among them. Case counts. */
const struct jose_algorithm *jose_algorithm(struct slice name);
/* "RS256, ES256": ERR_INVALID names the first that is no algorithm. */
MUST_USE enum err jose_algorithms(struct slice list, unsigned *ret_set, struct errinfo *info);

/* Base64url without padding, in its one canonical form (RFC 7515, section 2). False for anything
 * else. `ret_bytes` has room for text.len / 4 * 3 + 2. */
MUST_USE bool jose_base64_decode(struct slice text, uint8_t *ret_bytes, size_t *ret_len);

/* Parses a JSON object strictly: UTF-8, no member twice at any depth, no NUL, small. */
MUST_USE enum err jose_object(struct arena *arena, struct slice text, struct json **ret_object,
                              struct errinfo *info);

/* ---- key sets ---- */

struct jose_key {
    struct slice kid;                       /* empty: has none */
    const struct jose_algorithm *algorithm; /* what the key is declared for, or NULL */
    enum jose_family family;                /* JOSE_RSA stands for JOSE_PSS too */
    const char *curve;
    EVP_PKEY *pkey;
};

struct jwks; /* immutable, counted */

/* Keys that cannot verify anything here (other types, encryption, too small, with their private
 * part shown) are passed over. ERR_INVALID for what is no key set; one without a usable key is. */
MUST_USE enum err jwks_parse(struct slice text, struct jwks **ret_jwks, struct errinfo *info);
struct jwks *jwks_ref(struct jwks *jwks);
void jwks_unref(struct jwks *jwks);
DEFINE_CLEANUP(struct jwks, jwks_cleanup, jwks_unref)
size_t jwks_count(const struct jwks *jwks);
const struct jose_key *jwks_key(const struct jwks *jwks, size_t index);

/* True if the signature over `input` is the key's. False also where key and algorithm disagree. */
MUST_USE bool jose_verify(const struct jose_key *key, const struct jose_algorithm *algorithm,
                          struct slice input, struct slice signature);

/* ---- tokens ---- */

struct jwt {
    const struct jose_algorithm *algorithm;
    struct slice kid; /* empty: names no key */
    struct slice type;
    struct slice input;     /* what is signed: a view of the token */
    struct slice signature; /* decoded */
    struct json *claims;
};

/* True if the text could be a token: three base64url parts, the first of which begins an object.
 * Decides whose a credential is, nothing else. */
bool jwt_is_like(struct slice text);

/* Takes a token apart; verifies nothing. ERR_INVALID with a reason that repeats none of it. */
MUST_USE enum err jwt_parse(struct slice token, struct arena *arena, struct jwt *ret_jwt,
                            struct errinfo *info);

enum jwt_verdict {
    JWT_GENUINE,
    JWT_UNKNOWN_KEY, /* no key of the set is the one: a newer set may have it */
    JWT_FORGED
};
enum jwt_verdict jwt_verify(const struct jwt *jwt, const struct jwks *jwks, unsigned algorithms);

/* Seconds since 1970 (RFC 7519: NumericDate; a fraction is cut). False if absent or not a time. */
MUST_USE bool jwt_time(const struct json *claims, const char *name, int64_t *ret_seconds);
