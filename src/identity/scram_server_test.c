/* The server's side of SCRAM against the RFC's own conversation's rules: a client in this file. */
#include "identity/scram.h"

#include <openssl/evp.h>

#include "base/hash.h"
#include "base/sweep.h"
#include "base/test.h"
#include "identity/guard.h"
#include "identity/identity_int.h"

#define PASSWORD "pencil"
#define ENDPOINT "certificate-hash"

static struct scram_server *serve(const char *verifier, bool is_mock, bool is_plus,
                                  const char *endpoint)
{
    struct scram_server_spec spec = {.verifier = slice_of(verifier),
                                     .is_mock = is_mock,
                                     .is_plus = is_plus,
                                     .endpoint = slice_of(endpoint)};
    struct scram_server *server = NULL;
    CHECK_OK(scram_server_new(&spec, &server, NULL));
    return server;
}

static const char *verifier_of(const char *password)
{
    static char verifier[SCRAM_VERIFIER_BYTES];
    CHECK_OK(scram_verifier_new(slice_of(password), SCRAM_ITERATIONS_DEFAULT, verifier, NULL));
    return verifier;
}

static void base64(const void *bytes, size_t len, char *ret_text)
{
    (void)EVP_EncodeBlock((unsigned char *)ret_text, bytes, (int)len);
}

/* client-final for `challenge`, as a good client with this password makes it. */
static void answer(struct slice challenge, const char *header, const char *bare,
                   const char *endpoint, const char *password, struct buf *ret_final)
{
    char text[512];
    char nonce[256];
    char salt_text[128];
    unsigned rounds;
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(challenge));
    assert_int_equal(sscanf(text, "r=%255[^,],s=%127[^,],i=%u", nonce, salt_text, &rounds), 3);
    uint8_t salt[SCRAM_DECODED_BYTES_MAX];
    size_t salt_len;
    CHECK(scram__decode(slice_of(salt_text), 64, salt, &salt_len));
    uint8_t salted[32], client[32], stored[32], signature[32];
    struct slice key = {(const char *)salted, 32};
    CHECK_OK(hash_pbkdf2_sha256(slice_of(password), (struct slice){(const char *)salt, salt_len},
                                rounds, salted));
    CHECK_OK(hash_hmac_sha256(key, SLICE("Client Key"), client));
    CHECK_OK(hash_sha256((struct slice){(const char *)client, 32}, stored));
    char binding[256];
    char binding_text[400];
    (void)snprintf(binding, sizeof(binding), "%s%s", header, endpoint);
    base64(binding, strlen(binding), binding_text);
    struct buf signed_text CLEANUP(buf_fini) = {0};
    buf_printf(&signed_text, "%s,%s,c=%s,r=%s", bare, text, binding_text, nonce);
    struct slice stored_key = {(const char *)stored, 32};
    CHECK_OK(hash_hmac_sha256(stored_key, buf_slice(&signed_text), signature));
    for (size_t i = 0; i < 32; i++) {
        client[i] ^= signature[i];
    }
    char proof[64];
    base64(client, 32, proof);
    buf_reset(ret_final);
    buf_printf(ret_final, "c=%s,r=%s,p=%s", binding_text, nonce, proof);
}

/* Does a whole conversation let the client in? */
static bool converse(struct scram_server *server, const char *header, const char *endpoint,
                     const char *password)
{
    struct buf first CLEANUP(buf_fini) = {0};
    struct buf challenge CLEANUP(buf_fini) = {0};
    struct buf final CLEANUP(buf_fini) = {0};
    struct buf proof CLEANUP(buf_fini) = {0};
    bool is_right = false;
    buf_printf(&first, "%sn=,r=clientnonce", header);
    CHECK_OK(scram_server_first(server, buf_slice(&first), &challenge, NULL));
    answer(buf_slice(&challenge), header, "n=,r=clientnonce", endpoint, password, &final);
    enum err err = scram_server_final(server, buf_slice(&final), &proof, &is_right, NULL);
    CHECK(err == ERR_OK || (!is_right && proof.len == 0));
    CHECK(!is_right || slice_starts_with(buf_slice(&proof), SLICE("v=")));
    scram_server_free(server);
    return is_right;
}

TEST(scram_server, lets_in_who_knows_the_password)
{
    const char *verifier = verifier_of(PASSWORD);
    CHECK(converse(serve(verifier, false, false, ""), "n,,", "", PASSWORD));
    CHECK(converse(serve(verifier, false, false, ""), "y,,", "", PASSWORD));
    CHECK(!converse(serve(verifier, false, false, ""), "n,,", "", "Pencil"));
    CHECK(!converse(serve(verifier, true, false, ""), "n,,", "", PASSWORD)); /* nobody's */
}

TEST(scram_server, binds_the_channel)
{
    const char *verifier = verifier_of(PASSWORD);
    const char *header = "p=tls-server-end-point,,";
    CHECK(converse(serve(verifier, false, true, ENDPOINT), header, ENDPOINT, PASSWORD));
    CHECK(!converse(serve(verifier, false, true, ENDPOINT), header, "another-certific", PASSWORD));
    CHECK(!converse(serve(verifier, false, true, ENDPOINT), header, "", PASSWORD));
    CHECK(converse(serve(verifier, false, false, ENDPOINT), "n,,", "", PASSWORD));
}

static void first_fails(enum err expected, bool is_plus, const char *endpoint, const char *first)
{
    struct scram_server *server = serve(verifier_of(PASSWORD), false, is_plus, endpoint);
    struct buf challenge CLEANUP(buf_fini) = {0};
    struct buf proof CLEANUP(buf_fini) = {0};
    bool is_right = false;
    CHECK_ERR(expected, scram_server_first(server, slice_of(first), &challenge, NULL));
    assert_int_equal(challenge.len, 0);
    /* And nothing goes on from there. */
    CHECK(scram_server_final(server, SLICE("c=biws,r=x,p=x"), &proof, &is_right, NULL) != ERR_OK);
    CHECK(!is_right);
    scram_server_free(server);
}

TEST(scram_server, refuses_what_is_no_first_message)
{
    static const char *const wrong[] = {"",
                                        "n",
                                        "n,",
                                        "n,,",
                                        "n,,r=x",
                                        "n,,n=,r=",
                                        "n,,n=,r=a b",
                                        "n,,m=x,n=,r=x",
                                        "z,,n=,r=x",
                                        "nn,,n=,r=x",
                                        "p=tls-unique,,n=,r=x",
                                        "p,,n=,r=x",
                                        "\xff,,n=,r=x"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        first_fails(ERR_INVALID, false, "", wrong[i]);
    }
    first_fails(ERR_UNSUPPORTED, false, "", "n,a=other,n=,r=x");
    first_fails(ERR_DENIED, false, ENDPOINT, "y,,n=,r=x"); /* downgraded by somebody between */
    first_fails(ERR_INVALID, true, ENDPOINT, "n,,n=,r=x");
    first_fails(ERR_INVALID, false, ENDPOINT, "p=tls-server-end-point,,n=,r=x");
}

TEST(scram_server, refuses_what_is_no_final_message)
{
    static const char *const wrong[] = {"",
                                        "c=biws",
                                        "c=biws,r=x",
                                        "c=biws,r=x,p=!!",
                                        "c=biws,r=x,p=AAAA",
                                        "c=biws,r=x,p=",
                                        "p=x,c=biws,r=x",
                                        "c=biws,r=x,p=AAAA,q=1",
                                        "c=biws,r=x,,p=AAAA"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct scram_server *server = serve(verifier_of(PASSWORD), false, false, "");
        struct buf out CLEANUP(buf_fini) = {0};
        bool is_right = false;
        CHECK_OK(scram_server_first(server, SLICE("n,,n=,r=x"), &out, NULL));
        CHECK_ERR(ERR_INVALID,
                  scram_server_final(server, slice_of(wrong[i]), &out, &is_right, NULL));
        CHECK(!is_right);
        scram_server_free(server);
    }
}

TEST(scram_server, nobody_has_one_verifier_a_name)
{
    char one[SCRAM_VERIFIER_BYTES];
    char again[SCRAM_VERIFIER_BYTES];
    char other[SCRAM_VERIFIER_BYTES];
    CHECK_OK(scram_verifier_mock(SLICE("secret"), SLICE("eve"), one, NULL));
    CHECK_OK(scram_verifier_mock(SLICE("secret"), SLICE("eve"), again, NULL));
    CHECK_STR(one, again);
    CHECK_OK(scram_verifier_mock(SLICE("secret"), SLICE("Eve"), other, NULL));
    CHECK(strcmp(one, other) != 0);
    CHECK_OK(scram_verifier_mock(SLICE("other"), SLICE("eve"), other, NULL));
    CHECK(strcmp(one, other) != 0);
    CHECK(scram_verifier_is_valid(slice_of(one)));
    assert_int_equal(strlen(one), strlen(verifier_of(PASSWORD)));
}

TEST(scram_server, memory_may_end_anywhere)
{
    char verifier[SCRAM_VERIFIER_BYTES];
    (void)snprintf(verifier, sizeof(verifier), "%s", verifier_of(PASSWORD));
    SWEEP_ALLOC(fault)
    {
        struct scram_server_spec spec = {.verifier = slice_of(verifier)};
        struct scram_server *server = NULL;
        struct buf out CLEANUP(buf_fini) = {0};
        if (scram_server_new(&spec, &server, NULL) == ERR_OK) {
            enum err err = scram_server_first(server, SLICE("n,,n=,r=x"), &out, NULL);
            CHECK(err == ERR_OK || err == ERR_NOMEM);
        }
        scram_server_free(server);
    }
}

/* ---- tries ---- */

static struct login_guard *guard_of(unsigned account_max, unsigned address_max)
{
    struct login_guard_options options = {account_max, address_max, 60000000};
    struct login_guard *guard = NULL;
    CHECK_OK(login_guard_new(&options, &guard, NULL));
    return guard;
}

/* A wrong one. */
static bool try_once(struct login_guard *guard, const char *address, const char *account,
                     int64_t now_us)
{
    struct login_guard_refusal refused = {0};
    enum login_guard_answer answer =
        login_guard_try(guard, slice_of(address), slice_of(account), now_us, &refused);
    if (answer == LOGIN_GUARD_MAY) {
        login_guard_leave(guard, slice_of(address), slice_of(account), false, now_us);
        return true;
    }
    CHECK(answer == LOGIN_GUARD_FULL && refused.wait_us > 0 && refused.wait_us <= 60000000);
    return false;
}

TEST(login_guard, counts_by_account_and_lets_time_forgive)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = guard_of(3, 1000);
    for (int i = 0; i < 3; i++) {
        CHECK(try_once(guard, "192.0.2.1", "amelia", 1000));
    }
    CHECK(!try_once(guard, "192.0.2.1", "amelia", 1000));
    CHECK(!try_once(guard, "192.0.2.2", "AMELIA", 1000)); /* the same account, from elsewhere */
    CHECK(try_once(guard, "192.0.2.1", "bob", 1000));
    CHECK(!try_once(guard, "192.0.2.1", "amelia", 19999000));
    CHECK(try_once(guard, "192.0.2.1", "amelia", 20002000)); /* one more each third of the window */
    CHECK(!try_once(guard, "192.0.2.1", "amelia", 20002000));
    for (int i = 0; i < 3; i++) {
        CHECK(try_once(guard, "192.0.2.1", "amelia", 200000000));
    }
}

TEST(login_guard, counts_by_address_and_network)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = guard_of(1000, 2);
    char name[16];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof(name), "user%d", i);
        CHECK(try_once(guard, "2001:db8:1:2:3::1", name, 1000));
    }
    CHECK(!try_once(guard, "2001:db8:1:2:ffff::9", "another", 1000));
    CHECK(try_once(guard, "2001:db8:1:3::1", "another", 1000));
    CHECK(try_once(guard, "192.0.2.1", "another", 1000));
}

TEST(login_guard, keeps_to_its_table)
{
    /* Goal: names without end cost no memory and forgive nobody else for long. */
    struct login_guard *guard CLEANUP(login_guard_cleanup) = guard_of(2, 1000000);
    uint64_t seed = test_seed();
    for (int i = 0; i < 100000; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "%llx", (unsigned long long)test_random(&seed));
        CHECK(try_once(guard, "192.0.2.1", name, 1000));
    }
}
