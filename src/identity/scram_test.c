#include <openssl/evp.h>

#include "base/hash.h"
#include "base/test.h"
#include "identity/identity.h"

/* By Python's hashlib, in the form of PostgreSQL:
 *     s = hashlib.pbkdf2_hmac("sha256", password, salt, n)
 *     f"SCRAM-SHA-256${n}:{b64(salt)}${b64(sha256(hmac(s, b'Client Key')))}:"
 *     f"{b64(hmac(s, b'Server Key'))}"
 * The first has password, salt and iterations of the example in RFC 7677, section 3. */
#define PENCIL                                                                                     \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"    \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define UNICODE_PASSWORD "I\xC3\xA9-\xE6\xB0\xB4 x"
#define UNICODE                                                                                    \
    "SCRAM-SHA-256$5000:AAECAwQFBgcICQoLDA0ODw==$qdCzdnVqsbcbXG+tQUG+99jeEGTc21LdFMVzHzFkOR0=:"    \
    "VJofT+TyAo96qznx2T6Bd5bqwFJlYDPH8+h3HAzyHic="

static void decode_key(const char *text, uint8_t ret_key[SHA256_BYTES])
{
    unsigned char bytes[SHA256_BYTES + 3];
    assert_int_equal(EVP_DecodeBlock(bytes, (const unsigned char *)text, 44), SHA256_BYTES + 1);
    memcpy(ret_key, bytes, SHA256_BYTES);
}

static struct slice bytes_of(const uint8_t *bytes)
{
    return (struct slice){(const char *)bytes, SHA256_BYTES};
}

TEST(scram, verifier_proves_the_exchange_of_rfc_7677)
{
    /* Goal: the keys in PENCIL are those of the RFC. Method: they explain the RFC's client proof
     * and server signature over its AuthMessage. */
    struct slice message =
        SLICE("n=user,r=rOprNGfwEbeRWgbNEkqO,"
              "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
              "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    uint8_t stored[SHA256_BYTES], server[SHA256_BYTES], proof[SHA256_BYTES];
    uint8_t signature[SHA256_BYTES], expected[SHA256_BYTES], digest[SHA256_BYTES];
    decode_key(strrchr(PENCIL, '$') + 1, stored);
    decode_key(strrchr(PENCIL, ':') + 1, server);
    decode_key("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof);
    decode_key("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", expected);
    CHECK_OK(hash_hmac_sha256(bytes_of(server), message, signature));
    assert_memory_equal(signature, expected, SHA256_BYTES);
    CHECK_OK(hash_hmac_sha256(bytes_of(stored), message, signature));
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        proof[i] ^= signature[i];
    }
    CHECK_OK(hash_sha256(bytes_of(proof), digest));
    assert_memory_equal(digest, stored, SHA256_BYTES);
    CHECK(scram_verifier_check(SLICE(PENCIL), SLICE("pencil")));
}

TEST(scram, only_the_password_of_a_verifier_belongs_to_it)
{
    CHECK(scram_verifier_check(SLICE(UNICODE), SLICE(UNICODE_PASSWORD)));
    CHECK(!scram_verifier_check(SLICE(PENCIL), SLICE("pencil ")));
    CHECK(!scram_verifier_check(SLICE(PENCIL), SLICE("Pencil")));
    CHECK(!scram_verifier_check(SLICE(PENCIL), SLICE("")));
    CHECK(!scram_verifier_check(SLICE(PENCIL), SLICE("pencil\0")));
    CHECK(!scram_verifier_check(SLICE(""), SLICE("pencil")));
    /* One key right, the other of another password: */
    char mixed[] = PENCIL;
    memcpy(strrchr(mixed, ':'), strrchr(UNICODE, ':'), 45);
    CHECK(scram_verifier_is_valid(slice_of(mixed)));
    CHECK(!scram_verifier_check(slice_of(mixed), SLICE("pencil")));
}

TEST(scram, new_verifiers_are_salted_and_check)
{
    char one[SCRAM_VERIFIER_BYTES];
    char two[SCRAM_VERIFIER_BYTES];
    CHECK_OK(scram_verifier_new(SLICE("s3cret"), SCRAM_ITERATIONS_DEFAULT, one, NULL));
    CHECK_OK(scram_verifier_new(SLICE("s3cret"), SCRAM_ITERATIONS_MAX / 100, two, NULL));
    CHECK(slice_starts_with(slice_of(one), SLICE("SCRAM-SHA-256$4096:")));
    CHECK(slice_starts_with(slice_of(two), SLICE("SCRAM-SHA-256$10000:")));
    CHECK(memcmp(strchr(one, ':'), strchr(two, ':'), 24) != 0);
    CHECK(scram_verifier_check(slice_of(one), SLICE("s3cret")));
    CHECK(scram_verifier_check(slice_of(two), SLICE("s3cret")));
    CHECK(!scram_verifier_check(slice_of(one), SLICE("s3cre")));
}

TEST(scram, refuses_passwords_and_costs_that_no_client_can_use)
{
    static char long_password[1025];
    memset(long_password, 'x', sizeof(long_password));
    const struct slice bad[] = {SLICE(""),
                                SLICE("a\0b"),
                                SLICE("\xC3"),
                                SLICE("\xC3\xA9\n"),
                                SLICE("x\xC2\x85"),
                                SLICE("\xE2\x80\xAEx"),
                                SLICE("\xEF\xBB\xBFx"),
                                {long_password, sizeof(long_password)}};
    char verifier[SCRAM_VERIFIER_BYTES] = "untouched";
    struct errinfo info;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID,
                  scram_verifier_new(bad[i], SCRAM_ITERATIONS_DEFAULT, verifier, &info));
        CHECK_STR("28P01", info.sqlstate);
    }
    CHECK_ERR(ERR_INVALID, scram_verifier_new(SLICE("x"), 4095, verifier, NULL));
    CHECK_ERR(ERR_INVALID, scram_verifier_new(SLICE("x"), UINT32_MAX, verifier, NULL));
    CHECK_STR("untouched", verifier);
}

TEST(scram, accepts_only_the_one_form_of_a_verifier)
{
    CHECK(scram_verifier_is_valid(SLICE(PENCIL)));
    for (size_t len = 0; len < sizeof(PENCIL) - 1; len++) {
        CHECK(!scram_verifier_is_valid((struct slice){PENCIL, len}));
    }
    const char *const tail = strchr(PENCIL, ':');
    const char *const heads[] = {"SCRAM-SHA-256$0",    "SCRAM-SHA-256$04096",   "SCRAM-SHA-256$",
                                 "SCRAM-SHA-256$-1",   "SCRAM-SHA-256$1000001", "SCRAM-SHA-1$4096",
                                 "scram-sha-256$4096", "SCRAM-SHA-256$4096 "};
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s%s", heads[i], tail);
        CHECK(!scram_verifier_is_valid(slice_of(text)));
    }
    CHECK(!scram_verifier_is_valid(SLICE(PENCIL " ")));
    CHECK(!scram_verifier_is_valid(SLICE(PENCIL "\0")));
    char bits[] = PENCIL; /* bits behind the last byte are zero in the one right encoding */
    strchr(bits, '=')[-1] = 'R';
    CHECK(!scram_verifier_is_valid(slice_of(bits)));
}
