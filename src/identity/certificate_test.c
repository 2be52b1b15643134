/* Whose certificate: certificates made here, rules that fit and that must not. */
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/sweep.h"
#include "identity/certificate_int.h"
#include "identity/identity_fixture_int.h"

/* A certificate that signs itself; `san` as OpenSSL's configuration writes it, or NULL. */
static struct slice make(struct arena *arena, const char *const *common_names, size_t count,
                         const char *san, long days)
{
    X509 *x509 = X509_new();
    EVP_PKEY *key = fixture_key("ES256");
    X509_NAME *name = X509_get_subject_name(x509);
    unsigned char *der = NULL;
    for (size_t i = 0; i < count; i++) {
        CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                         (const unsigned char *)common_names[i], -1, -1, 0) == 1);
    }
    CHECK(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Acme, Inc",
                                     -1, -1, 0) == 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(x509), days * 86400);
    if (san != NULL) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
        CHECK(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
    CHECK(X509_set_pubkey(x509, key) == 1 && X509_sign(x509, key, EVP_sha256()) > 0);
    int len = i2d_X509(x509, &der);
    struct slice copy = {0};
    CHECK(len > 0 && arena_slice(arena, (struct slice){(char *)der, (size_t)len}, &copy));
    OPENSSL_free(der);
    X509_free(x509);
    EVP_PKEY_free(key);
    return copy;
}

static const char *map(struct arena *arena, struct slice der, const char *rules, bool *ret_is_exact)
{
    static char text[256];
    struct certificate_names names;
    struct slice user;
    bool found;
    CHECK_OK(certificate_check_rules(slice_of(rules), NULL));
    CHECK_OK(certificate_read(der, arena, &names, NULL));
    CHECK_OK(certificate_map(&names, slice_of(rules), arena, &found, &user, ret_is_exact, NULL));
    (void)snprintf(text, sizeof(text), "%.*s", found ? (int)user.len : 6,
                   found ? user.ptr : "(none)");
    return text;
}

TEST(certificate, is_whose_the_first_rule_says)
{
    static const char *const one[] = {"etl"};
    static const char *const two[] = {"etl", "root"};
    struct arena *arena = arena_new(NULL, "test", 0);
    bool is_exact = false;
    struct slice der = make(arena, one, 1,
                            "email:bob@example.com,DNS:etl.example.com,"
                            "URI:spiffe://corp/ns/moat/sa/loader,IP:127.0.0.1",
                            30);
    CHECK_STR("bob", map(arena, der, "email:*@example.com => {1}", &is_exact));
    CHECK(!is_exact);
    CHECK_STR("loader",
              map(arena, der, "uri:spiffe://corp/ns/*/sa/* => {2}; cn:etl => x", &is_exact));
    CHECK_STR("x", map(arena, der, "uri:spiffe://other/* => {1}; CN:etl => x", &is_exact));
    CHECK(is_exact);
    CHECK_STR("y", map(arena, der, "subject:O=Acme\\, Inc,CN=etl => y", &is_exact));
    CHECK_STR("(none)", map(arena, der, "subject:O=Acme,CN=etl => y", &is_exact));
    CHECK_STR("(none)",
              map(arena, der, "dns:bob@example.com => y; email:127.0.0.1 => y", &is_exact));
    /* With two common names neither is meant. */
    der = make(arena, two, 2, NULL, 30);
    CHECK_STR("(none)", map(arena, der, "cn:etl => x; cn:root => y; cn:* => z", &is_exact));
    arena_free(arena);
}

TEST(certificate, with_names_in_disguise_is_refused)
{
    static const char *const control[] = {"etl\x01"};
    static const char *const plain[] = {"etl"};
    struct certificate_names names;
    struct arena *arena = arena_new(NULL, "test", 0);
    struct slice der = make(arena, control, 1, NULL, 30);
    CHECK_ERR(ERR_INVALID, certificate_read(der, arena, &names, NULL));
    der = make(arena, plain, 1, NULL, 30);
    CHECK_OK(certificate_read(der, arena, &names, NULL));
    for (size_t len = 0; len < der.len; len += 7) {
        CHECK_ERR(ERR_INVALID, certificate_read((struct slice){der.ptr, len}, arena, &names, NULL));
    }
    static const char *const bad[] = {"x", "cn etl => x", "ou:x => y", "cn:etl", "cn:* => {2}"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID, certificate_check_rules(slice_of(bad[i]), NULL));
    }
    SWEEP_ALLOC(fault)
    {
        struct arena *small = arena_new(NULL, "sweep", 0);
        enum err err = small == NULL ? ERR_NOMEM : certificate_read(der, small, &names, NULL);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        arena_free(small);
    }
    arena_free(arena);
}

TEST(certificate, signs_in_while_it_holds)
{
    static const char *const one[] = {"etl"};
    struct arena *arena = arena_new(NULL, "test", 0);
    struct identity_chain_options options = {.providers = SLICE("certificate"),
                                             .certificate_rules = SLICE("cn:* => {1}")};
    struct identity_chain *chain;
    struct login login;
    struct refusal refusal;
    struct credential credential = {.kind = CREDENTIAL_CERTIFICATE,
                                    .certificate = make(arena, one, 1, NULL, 30)};
    CHECK_OK(identity_chain_open(&options, &chain, NULL));
    CHECK_OK(identity_chain_login(chain, &credential, arena, &login, &refusal, NULL));
    CHECK_SLICE("etl", login.subject);
    CHECK(login.account == LOGIN_ACCOUNT_REQUIRED && !login.may_be_owner);
    CHECK(login.expires_wall_us > 0);
    credential.user = SLICE("root");
    CHECK_ERR(ERR_DENIED, identity_chain_login(chain, &credential, arena, &login, &refusal, NULL));
    credential = (struct credential){.kind = CREDENTIAL_CERTIFICATE,
                                     .certificate = make(arena, one, 1, NULL, -1)};
    CHECK_ERR(ERR_DENIED, identity_chain_login(chain, &credential, arena, &login, &refusal, NULL));
    CHECK_STR("the certificate has expired", refusal.reason);
    identity_chain_close(chain);
    arena_free(arena);
}
