/* What a client is asked for: by its words, its certificate, the rules, and what providers there
 * are. */
#include "base/sweep.h"
#include "base/test.h"
#include "identity/provider.h"

static enum err no_verifier(UNUSED void *context, UNUSED struct slice user,
                            UNUSED struct arena *arena, struct slice *ret_verifier,
                            UNUSED struct errinfo *info)
{
    fail_msg("nobody may be looked up before the question");
    *ret_verifier = SLICE("");
    return ERR_OK;
}

static enum err no_key(UNUSED void *context, UNUSED struct slice prefix, UNUSED struct arena *arena,
                       UNUSED bool *ret_found, UNUSED struct stored_key *ret_key,
                       UNUSED struct errinfo *info)
{
    fail_msg("nobody may be looked up before the question");
    return ERR_OK;
}

static struct identity_chain_options options_of(const char *providers, const char *ask)
{
    return (struct identity_chain_options){
        .providers = slice_of(providers),
        .store = {NULL, no_verifier, no_key},
        .certificate_rules = SLICE("cn:* => {1}"),
        .oidc = {.issuer = SLICE("https://id.example"),
                 .audience = SLICE("moat"),
                 .subject_claim = SLICE("sub"),
                 .roles_allowed = SLICE("*"),
                 .algorithms = SLICE("ES256")},
        .ask = slice_of(ask),
    };
}

/* What is offered, as letters: c certificate, t secret, s SCRAM, o OAUTHBEARER; or an SQLSTATE. */
static const char *offer(const char *providers, const char *ask, const struct login_hello *hello)
{
    static char text[8];
    struct identity_chain *chain CLEANUP(identity_chain_cleanup) = NULL;
    struct identity_chain_options options = options_of(providers, ask);
    struct login_offer got;
    struct errinfo info;
    errinfo_init(&info);
    CHECK_OK(identity_chain_open(&options, &chain, &info));
    if (identity_chain_offer(chain, hello, &got, &info) != ERR_OK) {
        CHECK(info.hint[0] != '\0' || strstr(info.message, "certificate") != NULL);
        (void)snprintf(text, sizeof(text), "%s", info.sqlstate);
        return text;
    }
    (void)snprintf(text, sizeof(text), "%s%s%s%s", got.certificate ? "c" : "",
                   got.secret ? "t" : "", got.scram ? "s" : "", got.oauthbearer ? "o" : "");
    return text;
}

TEST(ask, what_is_asked_for_depends_on_words_and_configuration)
{
    // Goal: the table of docs/decisions/007, line by line.
    static const struct {
        const char *providers, *ask, *user, *wish;
        bool is_private, has_certificate;
        const char *offer;
    } cases[] = {
        {"password", "", "bob", "", true, false, "s"},
        {"password", "", "bob", "", false, false, "s"},
        {"password, apikey", "auto", "bob", "", true, false, "s"},
        {"password, oidc", "auto", "bob", "", true, false, "so"},
        {"password, oidc", "auto", "bob", "", false, false, "s"},
        {"password, oidc", "auto", "bob", "SCRAM", true, false, "so"},
        {"password, oidc", "auto", "bob", "auto", true, false, "so"},
        {"oidc", "", "bob", "", true, false, "t"},
        {"apikey", "", "bob", "", true, false, "t"},
        {"apikey", "", "bob", "", false, false, "28000"},
        {"password, apikey", "", "bob", "token", true, false, "t"},
        {"password, apikey", "", "bob", "token", false, false, "28000"},
        {"password", "", "bob", "token", true, false, "28000"},
        {"password, apikey", "", "bob", "oauth", true, false, "28000"},
        {"password, oidc", "", "bob", "oauth", true, false, "o"},
        {"password, oidc", "", "bob", "oauth", false, false, "28000"},
        {"oidc", "", "bob", "scram", true, false, "28000"},
        {"password, apikey", "", "bob", "kerberos", true, false, "22023"},
        {"password, apikey", "*@x.org => token; scram", "bob@x.org", "", true, false, "t"},
        {"password, apikey", "*@x.org => token; scram", "bob@x.com", "", true, false, "s"},
        {"password, apikey", "*@x.org => token", "bob", "", true, false, "s"},
        {"password, apikey", "token", "bob", "", true, false, "t"},
        {"password, apikey", "token", "bob", "scram", true, false, "s"},
        {"password, apikey", "token", "bob", "", false, false, "28000"},
        {"password, certificate", "", "bob", "", true, true, "c"},
        {"password, certificate", "", "bob", "scram", true, true, "s"},
        {"password, certificate", "token", "bob", "", true, true, "c"},
        {"password, certificate", "", "bob", "", true, false, "s"},
        {"password", "", "bob", "", true, true, "s"},
        {"certificate", "", "bob", "", true, false, "28000"},
        {"certificate", "", "bob", "", true, true, "c"},
        {"password, oidc, certificate", "", "bob", "oauth", true, true, "o"},
        {"password", "", "", "", true, false, "s"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct login_hello hello = {slice_of(cases[i].user), slice_of(cases[i].wish),
                                    cases[i].is_private, cases[i].has_certificate};
        const char *got = offer(cases[i].providers, cases[i].ask, &hello);
        if (strcmp(got, cases[i].offer) != 0) {
            fail_msg("case %zu: %s instead of %s", i, got, cases[i].offer);
        }
    }
}

TEST(ask, a_rule_that_is_none_stops_the_start)
{
    static const char *const wrong[] = {
        "nobody", "a =>", "=> token", "a => b", "token; x", "*@x.org -> token", "a => scram token"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct identity_chain *chain = NULL;
        struct identity_chain_options options = options_of("password", wrong[i]);
        struct errinfo info;
        CHECK_ERR(ERR_INVALID, identity_chain_open(&options, &chain, &info));
        CHECK_STR("22023", info.sqlstate);
        CHECK(strstr(info.message, "login.ask") != NULL && info.hint[0] != '\0');
    }
}

TEST(ask, memory_may_end)
{
    SWEEP_ALLOC(fault)
    {
        struct identity_chain *chain = NULL;
        struct identity_chain_options options =
            options_of("password, apikey", "*@x => token; scram");
        struct login_hello hello = {.user = SLICE("a@x"), .is_private = true};
        struct login_offer got;
        if (identity_chain_open(&options, &chain, NULL) == ERR_OK) {
            CHECK_OK(identity_chain_offer(chain, &hello, &got, NULL));
            CHECK(got.secret);
            identity_chain_close(chain);
        }
    }
}
