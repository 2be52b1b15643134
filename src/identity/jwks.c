/* Key sets: JWK to EVP_PKEY, and signatures by them. */
#include <stdatomic.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "identity/jose_int.h"

#define PART_BYTES_MAX (JOSE_RSA_BITS_MAX / 8 + 8)
#define SCALAR_BYTES_MAX 66u /* of P-521 */
#define KID_BYTES_MAX 512u

struct jwks {
    atomic_uint references;
    struct arena *arena;
    struct jose_key keys[JWKS_KEYS_MAX];
    size_t count;
};

struct curve {
    const char *name;  /* in a JWK */
    const char *group; /* for OpenSSL; NULL: a type of its own */
    int type;
    size_t bytes; /* of a coordinate, or of the key */
};

static const struct curve curves[] = {
    {"P-256", "prime256v1", EVP_PKEY_EC, 32}, {"P-384", "secp384r1", EVP_PKEY_EC, 48},
    {"P-521", "secp521r1", EVP_PKEY_EC, 66},  {"Ed25519", NULL, EVP_PKEY_ED25519, 32},
    {"Ed448", NULL, EVP_PKEY_ED448, 57},
};

static const struct curve *find_curve(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(curves); i++) {
        if (slice_equal(name, slice_of(curves[i].name))) {
            return &curves[i];
        }
    }
    return NULL;
}

/* `ret_bytes` has room for 4 more than `bytes_max`. */
static bool decode_part(const struct json *jwk, const char *name, size_t bytes_max,
                        uint8_t *ret_bytes, size_t *ret_len)
{
    struct slice text = json_get_text(jwk, name);
    return text.len > 0 && text.len / 4 * 3 + 2 <= bytes_max + 3 &&
           jose_base64_decode(text, ret_bytes, ret_len) && *ret_len > 0 && *ret_len <= bytes_max;
}

static EVP_PKEY *from_parameters(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) <= 0) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return pkey;
}

/* Odd, at least 3 and of at most 64 bits: larger exponents only cost time. */
static bool is_good_exponent(const BIGNUM *e)
{
    return BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64;
}

static EVP_PKEY *rsa_key(const struct json *jwk)
{
    uint8_t bytes[PART_BYTES_MAX + 4];
    size_t len = 0;
    BIGNUM *n = NULL;
    BIGNUM *e = NULL;
    EVP_PKEY *pkey = NULL;
    if (decode_part(jwk, "n", PART_BYTES_MAX, bytes, &len)) {
        n = BN_bin2bn(bytes, (int)len, NULL);
    }
    if (decode_part(jwk, "e", PART_BYTES_MAX, bytes, &len)) {
        e = BN_bin2bn(bytes, (int)len, NULL);
    }
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (n != NULL && e != NULL && builder != NULL && BN_is_odd(n) && is_good_exponent(e) &&
        BN_num_bits(n) >= JOSE_RSA_BITS_MIN && BN_num_bits(n) <= JOSE_RSA_BITS_MAX &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) {
        pkey = from_parameters("RSA", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return pkey;
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *ec_key(const struct json *jwk, const struct curve *curve)
{
    uint8_t point[1 + 2 * SCALAR_BYTES_MAX + 8] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x_len, y_len;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL && decode_part(jwk, "x", curve->bytes, point + 1, &x_len) &&
        x_len == curve->bytes &&
        decode_part(jwk, "y", curve->bytes, point + 1 + curve->bytes, &y_len) &&
        y_len == curve->bytes &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ==
            1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         1 + 2 * curve->bytes) == 1) {
        pkey = from_parameters("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *ed_key(const struct json *jwk, const struct curve *curve)
{
    uint8_t bytes[SCALAR_BYTES_MAX + 4];
    size_t len;
    if (!decode_part(jwk, "x", curve->bytes, bytes, &len) || len != curve->bytes) {
        return NULL;
    }
    return EVP_PKEY_new_raw_public_key(curve->type, NULL, bytes, len);
}

/* For signatures, as far as the key says what it is for. */
static bool is_for_signatures(const struct json *jwk)
{
    const struct json *use = json_get(jwk, "use");
    const struct json *operations = json_get(jwk, "key_ops");
    if (use != NULL && (use->type != JSON_STRING || !slice_equal(use->text, SLICE("sig")))) {
        return false;
    }
    if (operations == NULL) {
        return true;
    }
    for (const struct json *op = operations->first; op != NULL; op = op->next) {
        if (op->type == JSON_STRING && slice_equal(op->text, SLICE("verify"))) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct jose_key *key, const struct jose_algorithm *algorithm)
{
    bool is_rsa = algorithm->family == JOSE_RSA || algorithm->family == JOSE_PSS;
    return (is_rsa ? JOSE_RSA : algorithm->family) == key->family &&
           (key->algorithm == NULL || key->algorithm == algorithm ||
            (key->family == JOSE_ED && key->algorithm->curve == NULL)) &&
           (algorithm->curve == NULL || strcmp(algorithm->curve, key->curve) == 0);
}

/* False: the key cannot be used here. Reports nothing: other keys of the set may do. */
static bool read_key(const struct json *jwk, struct arena *arena, struct jose_key *ret_key)
{
    struct slice type = json_get_text(jwk, "kty");
    const struct json *declared = json_get(jwk, "alg");
    const struct json *kid = json_get(jwk, "kid");
    const struct curve *curve = find_curve(json_get_text(jwk, "crv"));
    struct jose_key key = {.curve = curve == NULL ? "" : curve->name};
    if (!is_for_signatures(jwk) || json_get(jwk, "d") != NULL ||
        (kid != NULL && (kid->type != JSON_STRING || kid->text.len > KID_BYTES_MAX))) {
        return false; /* a key whose private part everybody can read signs for everybody */
    }
    if (declared != NULL) {
        key.algorithm = declared->type == JSON_STRING ? jose_algorithm(declared->text) : NULL;
        if (key.algorithm == NULL) {
            return false;
        }
    }
    if (slice_equal(type, SLICE("RSA"))) {
        key.family = JOSE_RSA;
        key.pkey = rsa_key(jwk);
    } else if (curve != NULL && curve->group != NULL && slice_equal(type, SLICE("EC"))) {
        key.family = JOSE_EC;
        key.pkey = ec_key(jwk, curve);
    } else if (curve != NULL && curve->group == NULL && slice_equal(type, SLICE("OKP"))) {
        key.family = JOSE_ED;
        key.pkey = ed_key(jwk, curve);
    }
    if (key.pkey == NULL || (key.algorithm != NULL && !fits(&key, key.algorithm)) ||
        (kid != NULL && !arena_slice(arena, kid->text, &key.kid))) {
        EVP_PKEY_free(key.pkey);
        return false;
    }
    *ret_key = key;
    return true;
}

enum err jwks_parse(struct slice text, struct jwks **ret_jwks, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "jwks text", 0);
    struct jwks *jwks CLEANUP(jwks_cleanup) = mem_calloc(1, sizeof(*jwks));
    struct json *set;
    if (jwks == NULL || scratch == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&jwks->references, 1);
    jwks->arena = arena_new(NULL, "jwks", 0);
    if (jwks->arena == NULL) {
        return errinfo_nomem(info);
    }
    if (text.len > JWKS_BYTES_MAX) {
        return errinfo_set(info, ERR_INVALID, NULL, "the key set is too large");
    }
    enum err err = jose_object(scratch, text, &set, info);
    if (err != ERR_OK) {
        return err == ERR_NOMEM ? err
                                : errinfo_set(info, ERR_INVALID, NULL, "the key set is not JSON");
    }
    const struct json *keys = json_get(set, "keys");
    if (keys == NULL || keys->type != JSON_ARRAY || keys->count > JWKS_KEYS_MAX) {
        return errinfo_set(info, ERR_INVALID, NULL, "the key set has no list of 1 to %u keys",
                           JWKS_KEYS_MAX);
    }
    for (const struct json *jwk = keys->first; jwk != NULL; jwk = jwk->next) {
        jwks->count += read_key(jwk, jwks->arena, &jwks->keys[jwks->count]);
    }
    if (jwks->count == 0) {
        return errinfo_set(info, ERR_INVALID, NULL, "the key set has no key for signatures");
    }
    *ret_jwks = TAKE(jwks);
    return ERR_OK;
}

struct jwks *jwks_ref(struct jwks *jwks)
{
    unsigned before = atomic_fetch_add_explicit(&jwks->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return jwks;
}

void jwks_unref(struct jwks *jwks)
{
    if (jwks == NULL || atomic_fetch_sub_explicit(&jwks->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < jwks->count; i++) {
        EVP_PKEY_free(jwks->keys[i].pkey);
    }
    arena_free(jwks->arena);
    mem_free(jwks);
}

size_t jwks_count(const struct jwks *jwks)
{
    return jwks->count;
}

const struct jose_key *jwks_key(const struct jwks *jwks, size_t index)
{
    ASSERT(index < jwks->count);
    return &jwks->keys[index];
}

/* ---- signatures ---- */

/* r and s one behind the other, each as long as the curve (RFC 7518, 3.4), to DER. */
static unsigned char *ecdsa_der(const struct jose_key *key, struct slice signature, int *ret_len)
{
    size_t half = find_curve(slice_of(key->curve))->bytes;
    unsigned char *der = NULL;
    ECDSA_SIG *pair = signature.len == 2 * half ? ECDSA_SIG_new() : NULL;
    if (pair == NULL) {
        return NULL;
    }
    const unsigned char *bytes = (const unsigned char *)signature.ptr;
    BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(bytes + half, (int)half, NULL);
    if (r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        *ret_len = i2d_ECDSA_SIG(pair, &der);
    }
    ECDSA_SIG_free(pair);
    return der;
}

static bool digest_verify(const struct jose_key *key, const struct jose_algorithm *algorithm,
                          struct slice input, const unsigned char *signature, size_t len)
{
    EVP_PKEY_CTX *context = NULL;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_genuine =
        digest != NULL &&
        EVP_DigestVerifyInit_ex(digest, &context, algorithm->digest, NULL, NULL, key->pkey, NULL) ==
            1 &&
        (algorithm->family != JOSE_PSS ||
         (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
        EVP_DigestVerify(digest, signature, len, (const unsigned char *)input.ptr, input.len) == 1;
    EVP_MD_CTX_free(digest);
    return is_genuine;
}

bool jose_verify(const struct jose_key *key, const struct jose_algorithm *algorithm,
                 struct slice input, struct slice signature)
{
    if (!fits(key, algorithm) || signature.len == 0) {
        return false;
    }
    if (algorithm->family != JOSE_EC) {
        return digest_verify(key, algorithm, input, (const unsigned char *)signature.ptr,
                             signature.len);
    }
    int len = 0;
    unsigned char *der = ecdsa_der(key, signature, &len);
    bool is_genuine =
        der != NULL && len > 0 && digest_verify(key, algorithm, input, der, (size_t)len);
    OPENSSL_free(der);
    return is_genuine;
}
