/* Tokens and key sets: the examples of the RFCs, every algorithm, and what attackers send. */
#include "base/sweep.h"
#include "identity/identity_fixture_int.h"

#define ALL_ALGORITHMS 0xFFFFFFFFu

#define RFC7515_CLAIMS                                                                             \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static enum jwt_verdict verify_with(const char *keys, const char *token)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    struct jwks *jwks = NULL;
    struct jwt jwt;
    enum jwt_verdict verdict = JWT_FORGED;
    if (jwks_parse(slice_of(keys), &jwks, NULL) == ERR_OK &&
        jwt_parse(slice_of(token), arena, &jwt, NULL) == ERR_OK) {
        verdict = jwt_verify(&jwt, jwks, ALL_ALGORITHMS);
    }
    jwks_unref(jwks);
    arena_free(arena);
    return verdict;
}

static bool verifies(const char *jwk, const char *algorithm, const char *input,
                     const char *signature)
{
    struct buf set CLEANUP(buf_fini) = {0};
    struct jwks *jwks = NULL;
    uint8_t bytes[1024];
    size_t len = 0;
    buf_printf(&set, "{\"keys\":[%s]}", jwk);
    CHECK_OK(jwks_parse(buf_slice(&set), &jwks, NULL));
    CHECK(jose_base64_decode(slice_of(signature), bytes, &len));
    bool is_genuine = jose_verify(jwks_key(jwks, 0), jose_algorithm(slice_of(algorithm)),
                                  slice_of(input), (struct slice){(const char *)bytes, len});
    jwks_unref(jwks);
    return is_genuine;
}

/* RFC 7515, A.2. */
static const char rfc_rsa[] =
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
    "7OMg0LOL-"
    "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT"
    "6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
    "\"e\":\"AQAB\"}";
static const char rfc_rsa_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-"
    "0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL"
    "IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phC"
    "nvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

TEST(jose, verifies_the_examples_of_the_rfcs)
{
    CHECK(verifies(rfc_rsa, "RS256", "eyJhbGciOiJSUzI1NiJ9." RFC7515_CLAIMS, rfc_rsa_signature));
    /* RFC 7515, A.3 and A.4 */
    CHECK(verifies("{\"kty\":\"EC\",\"crv\":\"P-256\","
                   "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
                   "ES256", "eyJhbGciOiJFUzI1NiJ9." RFC7515_CLAIMS,
                   "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
                   "Kg6NU1Q"));
    CHECK(verifies(
        "{\"kty\":\"EC\",\"crv\":\"P-521\","
        "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9"
        "tsz4qUxcWceqwQGk\","
        "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZ"
        "mh9ubmf63e3kyMj2\"}",
        "ES512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-"
        "KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrm"
        "xYbSW9ERBXukOXolLzeO_Jn"));
    /* RFC 8037, A.4 */
    CHECK(verifies("{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                   "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
                   "EdDSA", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                   "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
                   "MuM0KAg"));
}

/* RFC 7519, 3.1 (HMAC) and 6.1 (none): genuine examples, and nothing we take. */
TEST(jose, refuses_the_rfcs_tokens_without_a_private_key)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    struct jwt jwt;
    CHECK_ERR(ERR_INVALID,
              jwt_parse(SLICE("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC7515_CLAIMS
                              ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                        arena, &jwt, NULL));
    CHECK_ERR(ERR_INVALID,
              jwt_parse(SLICE("eyJhbGciOiJub25lIn0." RFC7515_CLAIMS "."), arena, &jwt, NULL));
    CHECK(jose_algorithm(SLICE("none")) == NULL && jose_algorithm(SLICE("HS256")) == NULL &&
          jose_algorithm(SLICE("rs256")) == NULL && jose_algorithm(SLICE("")) == NULL);
    arena_free(arena);
}

TEST(jose, verifies_every_algorithm_and_no_changed_byte)
{
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                        "PS512", "ES256", "ES384", "ES512", "EdDSA"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf keys CLEANUP(buf_fini) = {0};
        struct buf token CLEANUP(buf_fini) = {0};
        char header[64];
        EVP_PKEY *key = fixture_key(names[i]);
        (void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"k\"}", names[i]);
        buf_append_str(&keys, "{\"keys\":[");
        fixture_jwk(key, "k", names[i], &keys);
        buf_append_str(&keys, "]}");
        fixture_sign(key, names[i], header, "{\"sub\":\"a\"}", &token);
        assert_int_equal(JWT_GENUINE, verify_with(keys.ptr, token.ptr));
        uint64_t seed = test_seed();
        for (int round = 0; round < 20; round++) {
            size_t at = test_random_below(&seed, token.len);
            char kept = token.ptr[at];
            token.ptr[at] = kept == 'A' ? 'B' : 'A';
            CHECK(verify_with(keys.ptr, token.ptr) != JWT_GENUINE);
            token.ptr[at] = kept;
        }
        EVP_PKEY_free(key);
    }
}

/* The algorithm is the key's: a token that names another of the same family is no token of it. */
TEST(jose, pins_the_algorithm_to_the_key)
{
    struct buf keys CLEANUP(buf_fini) = {0};
    struct buf free_keys CLEANUP(buf_fini) = {0};
    struct buf token CLEANUP(buf_fini) = {0};
    struct arena *arena = arena_new(NULL, "test", 0);
    struct jwks *jwks = NULL;
    struct jwt jwt;
    EVP_PKEY *key = fixture_key("RS256");
    buf_append_str(&keys, "{\"keys\":[");
    fixture_jwk(key, "k", "RS256", &keys);
    buf_append_str(&keys, "]}");
    buf_append_str(&free_keys, "{\"keys\":[");
    fixture_jwk(key, "k", NULL, &free_keys);
    buf_append_str(&free_keys, "]}");
    fixture_sign(key, "PS256", "{\"alg\":\"PS256\",\"kid\":\"k\"}", "{}", &token);
    assert_int_equal(JWT_FORGED, verify_with(keys.ptr, token.ptr));
    assert_int_equal(JWT_GENUINE, verify_with(free_keys.ptr, token.ptr));
    /* nor one that the configuration does not allow */
    unsigned only;
    CHECK_OK(jose_algorithms(SLICE("RS256, ES256"), &only, NULL));
    CHECK_ERR(ERR_INVALID, jose_algorithms(SLICE("RS256, none"), &only, NULL));
    CHECK_OK(jwks_parse(buf_slice(&free_keys), &jwks, NULL));
    CHECK_OK(jwt_parse(buf_slice(&token), arena, &jwt, NULL));
    assert_int_equal(JWT_FORGED, jwt_verify(&jwt, jwks, only));
    jwks_unref(jwks);
    EVP_PKEY_free(key);
    arena_free(arena);
}

/* An unknown kid asks for newer keys; a known one with a wrong signature does not. A kid is
 * compared and nothing else: paths, SQL and the like in it are a name. */
TEST(jose, looks_keys_up_by_kid_only)
{
    struct buf keys CLEANUP(buf_fini) = {0};
    EVP_PKEY *key = fixture_key("ES256");
    EVP_PKEY *other = fixture_key("ES256");
    static const struct {
        const char *header;
        enum jwt_verdict mine, theirs;
    } cases[] = {
        {"{\"alg\":\"ES256\",\"kid\":\"k\"}", JWT_GENUINE, JWT_FORGED},
        {"{\"alg\":\"ES256\"}", JWT_GENUINE, JWT_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"kid\":\"other\"}", JWT_UNKNOWN_KEY, JWT_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"kid\":\"../../dev/null\"}", JWT_UNKNOWN_KEY, JWT_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"kid\":\"k' OR '1'='1\"}", JWT_UNKNOWN_KEY, JWT_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\",\"jku\":\"http://127.0.0.1:1/\",\"kid\":\"z\"}", JWT_UNKNOWN_KEY,
         JWT_UNKNOWN_KEY},
    };
    buf_append_str(&keys, "{\"keys\":[");
    fixture_jwk(key, "k", NULL, &keys);
    buf_append_str(&keys, "]}");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf mine CLEANUP(buf_fini) = {0};
        struct buf theirs CLEANUP(buf_fini) = {0};
        fixture_sign(key, "ES256", cases[i].header, "{}", &mine);
        fixture_sign(other, "ES256", cases[i].header, "{}", &theirs);
        assert_int_equal(cases[i].mine, verify_with(keys.ptr, mine.ptr));
        assert_int_equal(cases[i].theirs, verify_with(keys.ptr, theirs.ptr));
    }
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

TEST(jose, refuses_headers_and_claims_that_could_be_read_in_two_ways)
{
    static const struct {
        const char *header, *claims;
    } cases[] = {
        {"{\"alg\":\"ES256\",\"alg\":\"none\"}", "{}"},
        {"{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}", "{}"},
        {"{\"alg\":\"ES256\",\"crit\":[]}", "{}"},
        {"{\"alg\":\"ES256\",\"kid\":7}", "{}"},
        {"{\"alg\":[\"ES256\"]}", "{}"},
        {"{\"kid\":\"k\"}", "{}"},
        {"[\"ES256\"]", "{}"},
        {"{\"alg\":\"ES256\"} x", "{}"},
        {"{\"alg\":\"ES256\"}", "{\"sub\":\"a\",\"sub\":\"b\"}"},
        {"{\"alg\":\"ES256\"}", "{\"a\":{\"b\":1,\"b\":2}}"},
        {"{\"alg\":\"ES256\"}", "{\"s\\u0075b\":\"a\",\"sub\":\"b\"}"},
        {"{\"alg\":\"ES256\"}", "{\"sub\":\"a\\u0000b\"}"},
        {"{\"alg\":\"ES256\"}", "{\"sub\":\"\xff\"}"},
        {"{\"alg\":\"ES256\"}", "\"text\""},
        {"{\"alg\":\"ES256\"}", ""},
    };
    struct arena *arena = arena_new(NULL, "test", 0);
    EVP_PKEY *key = fixture_key("ES256");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf token CLEANUP(buf_fini) = {0};
        struct jwt jwt;
        fixture_sign(key, "ES256", cases[i].header, cases[i].claims, &token);
        CHECK_ERR(ERR_INVALID, jwt_parse(buf_slice(&token), arena, &jwt, NULL));
    }
    EVP_PKEY_free(key);
    arena_free(arena);
}

TEST(jose, decodes_base64url_in_one_form_only)
{
    static const char *const bad[] = {"A", "AB", "AAB", "AA==", "A A", "AA+A", "AA/A", "AAAA\n"};
    uint8_t bytes[16];
    size_t len;
    CHECK(jose_base64_decode(SLICE("AQAB"), bytes, &len) && len == 3 && bytes[0] == 1);
    CHECK(jose_base64_decode(SLICE("_-8"), bytes, &len) && len == 2 && bytes[0] == 0xFF);
    CHECK(jose_base64_decode(SLICE(""), bytes, &len) && len == 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK(!jose_base64_decode(slice_of(bad[i]), bytes, &len));
    }
}

/* Signatures of other shapes than the algorithm's: DER, short, zeros, too long, malleated. */
TEST(jose, refuses_signatures_of_another_shape)
{
    static const char x_y[] = "{\"kty\":\"EC\",\"crv\":\"P-256\","
                              "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                              "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
    static const char input[] = "eyJhbGciOiJFUzI1NiJ9." RFC7515_CLAIMS;
    static const char *const bad[] = {
        "MEUCIA", /* DER */
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1QAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVH_____AAAAAP__________vOb6racXnoTzucrC_GMlUQ",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK(!verifies(x_y, "ES256", input, bad[i]));
    }
    CHECK(
        !verifies(rfc_rsa, "RS256", "eyJhbGciOiJSUzI1NiJ9." RFC7515_CLAIMS "x", rfc_rsa_signature));
    CHECK(!verifies(rfc_rsa, "RS384", "eyJhbGciOiJSUzI1NiJ9." RFC7515_CLAIMS, rfc_rsa_signature));
}

TEST(jwks, passes_over_keys_that_cannot_be_trusted)
{
    static const char rsa_512[] = "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"
                                  "\"3ZWrUY0Y6IKN1qI4BhxR2C7oHVFgGPYkd38uGq1jQNSqEvJFcN93"
                                  "CYm16_G78FAFKWqwsJb3Wx-nbxDn6LtP4Q\"}";
    static const char x25519[] = "{\"kty\":\"OKP\",\"crv\":\"X25519\","
                                 "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
    static const char *const bad[] = {
        /* symmetric, encryption, another use, private part shown */
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"key_ops\":[\"sign\"],"
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        /* declared for something else, off the curve, of another curve, RSA of 512 bits, e = 1 */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"RS256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        rsa_512,
        x25519,
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHU\"}",
        "7",
        "null",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct buf set CLEANUP(buf_fini) = {0};
        struct jwks *jwks = NULL;
        buf_printf(&set, "{\"keys\":[%s]}", bad[i]);
        CHECK_ERR(ERR_INVALID, jwks_parse(buf_slice(&set), &jwks, NULL));
        buf_reset(&set);
        buf_printf(&set, "{\"keys\":[%s,%s]}", bad[i], rfc_rsa);
        CHECK_OK(jwks_parse(buf_slice(&set), &jwks, NULL));
        assert_int_equal(1, (int)jwks_count(jwks));
        jwks_unref(jwks);
    }
    static const char *const no_sets[] = {
        "", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[],\"keys\":[]}"};
    for (size_t i = 0; i < ARRAY_COUNT(no_sets); i++) {
        struct jwks *jwks = NULL;
        CHECK_ERR(ERR_INVALID, jwks_parse(slice_of(no_sets[i]), &jwks, NULL));
    }
}

TEST(jose, survives_the_loss_of_any_allocation)
{
    struct buf keys CLEANUP(buf_fini) = {0};
    struct buf token CLEANUP(buf_fini) = {0};
    EVP_PKEY *key = fixture_key("ES256");
    buf_append_str(&keys, "{\"keys\":[");
    fixture_jwk(key, "k", NULL, &keys);
    buf_append_str(&keys, "]}");
    fixture_sign(key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}", "{\"sub\":\"a\"}", &token);
    SWEEP_ALLOC(fault)
    {
        struct arena *arena = arena_new(NULL, "test", 0);
        struct jwks *jwks = NULL;
        struct jwt jwt;
        enum err err = arena == NULL ? ERR_NOMEM : jwks_parse(buf_slice(&keys), &jwks, NULL);
        if (err == ERR_OK) {
            err = jwt_parse(buf_slice(&token), arena, &jwt, NULL);
        }
        /* A key whose name could not be kept is passed over. */
        CHECK(err == ERR_OK || err == ERR_NOMEM || (fault.fired && err == ERR_INVALID));
        CHECK(err != ERR_OK || jwt_verify(&jwt, jwks, ALL_ALGORITHMS) == JWT_GENUINE);
        jwks_unref(jwks);
        arena_free(arena);
    }
    EVP_PKEY_free(key);
}

TEST(jose, reads_times_as_seconds)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    struct json *claims;
    int64_t seconds = 0;
    CHECK_OK(jose_object(arena,
                         SLICE("{\"a\":12,\"b\":12.9,\"c\":-1,\"d\":1e9,\"e\":\"12\",\"f\":1e400,"
                               "\"g\":99999999999999,\"h\":null}"),
                         &claims, NULL));
    CHECK(jwt_time(claims, "a", &seconds) && seconds == 12);
    CHECK(jwt_time(claims, "b", &seconds) && seconds == 12);
    static const char *const bad[] = {"c", "d", "e", "f", "g", "h", "absent"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK(!jwt_time(claims, bad[i], &seconds));
    }
    arena_free(arena);
}
