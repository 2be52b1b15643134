#include "identity/provider.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/chain_int.h"
#include "identity/pattern_int.h"
#include "identity/provider_int.h"

#define PROVIDERS_MAX 8u
#define SECRET_BYTES_MAX (32u * 1024)

struct identity_chain {
    struct provider providers[PROVIDERS_MAX];
    size_t count;
    bool asks_elsewhere;
    char *ask_rules;
};

/* ---- what providers share ---- */

static int64_t real_wall_us(UNUSED void *context)
{
    return clock_wall_us();
}

static int64_t real_mono_us(UNUSED void *context)
{
    return clock_mono_us();
}

const struct identity_clock *provider__clock(const struct identity_clock *clock)
{
    static const struct identity_clock real = {NULL, real_wall_us, real_mono_us};
    return clock != NULL ? clock : &real;
}

enum provider_answer provider__wrong(struct refusal *refusal, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(refusal->reason, sizeof(refusal->reason), format, arguments);
    va_end(arguments);
    return PROVIDER_WRONG;
}

void login_fini(struct login *login)
{
    identity_credential_unref(login->credential);
    login->credential = NULL;
}

/* ---- life ---- */

static const struct {
    const char *name;
    enum err (*open)(const struct identity_chain_options *options, struct provider *ret_provider,
                     struct errinfo *info);
} known[] = {
    {"password", password_provider_open},
    {"apikey", api_key_provider_open},
    {"oidc", oidc_provider_open},
    {"certificate", certificate_provider_open},
};

static enum err open_one(struct identity_chain *chain, struct slice name,
                         const struct identity_chain_options *options, struct errinfo *info)
{
    size_t at = 0;
    while (at < ARRAY_COUNT(known) && !slice_equal_fold(name, slice_of(known[at].name))) {
        at++;
    }
    if (at == ARRAY_COUNT(known)) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "\"login.providers\" names no provider \"%.*s\"", SLICE_ARGS(name));
        errinfo_hint(info, "There are password, apikey, oidc and certificate.");
        return ERR_INVALID;
    }
    for (size_t i = 0; i < chain->count; i++) {
        if (strcmp(chain->providers[i].methods->name, known[at].name) == 0) {
            return errinfo_set(info, ERR_INVALID, "22023", "\"login.providers\" names \"%s\" twice",
                               known[at].name);
        }
    }
    ASSERT(chain->count < PROVIDERS_MAX);
    TRY(known[at].open(options, &chain->providers[chain->count], info));
    chain->count++;
    return ERR_OK;
}

enum err identity_chain_open(const struct identity_chain_options *options,
                             struct identity_chain **ret_chain, struct errinfo *info)
{
    struct identity_chain *chain CLEANUP(identity_chain_cleanup) = mem_calloc(1, sizeof(*chain));
    struct slice list = options->providers;
    struct slice name;
    bool has_oidc = false;
    if (chain == NULL) {
        return errinfo_nomem(info);
    }
    while (list_next(&list, ',', &name)) {
        TRY(open_one(chain, name, options, info));
        has_oidc = has_oidc || slice_equal_fold(name, SLICE("oidc"));
    }
    TRY(login_ask_check(options->ask, info));
    chain->ask_rules = mem_slicedup(options->ask);
    if (chain->ask_rules == NULL) {
        return errinfo_nomem(info);
    }
    chain->asks_elsewhere =
        has_oidc && (options->oidc.password_grant || options->oidc.client_credentials);
    *ret_chain = TAKE(chain);
    return ERR_OK;
}

void identity_chain_close(struct identity_chain *chain)
{
    if (chain == NULL) {
        return;
    }
    for (size_t i = 0; i < chain->count; i++) {
        chain->providers[i].methods->close(chain->providers[i].self);
    }
    mem_free(chain->ask_rules);
    mem_free(chain);
}

void *chain__find(const struct identity_chain *chain, const char *provider)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (strcmp(chain->providers[i].methods->name, provider) == 0) {
            return chain->providers[i].self;
        }
    }
    return NULL;
}

bool chain__has(const struct identity_chain *chain, const char *provider)
{
    return chain__find(chain, provider) != NULL;
}

bool identity_chain_takes_tokens(const struct identity_chain *chain)
{
    return chain__has(chain, "apikey") || chain__has(chain, "oidc");
}

struct slice chain__ask_rules(const struct identity_chain *chain)
{
    return slice_of(chain->ask_rules);
}

bool identity_chain_asks_elsewhere(const struct identity_chain *chain)
{
    return chain->asks_elsewhere;
}

/* ---- sign in ---- */

static void note_claim(struct refusal *refusal, struct slice user)
{
    if (identity_name_is_valid(user)) {
        memcpy(refusal->claimed_user, user.ptr, user.len);
        refusal->claimed_user[user.len] = '\0';
    }
}

/* The one answer to whatever was wrong; only that a genuine token has expired is said, which helps
 * its holder and tells nobody else anything. */
static enum err refuse(const struct credential *credential, const struct refusal *refusal,
                       struct errinfo *info)
{
    if (strcmp(refusal->reason, IDENTITY_TOKEN_EXPIRED) == 0) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "%s", IDENTITY_TOKEN_EXPIRED);
        errinfo_hint(info, "Get a new one from the identity provider.");
        return ERR_DENIED;
    }
    bool is_password = credential->kind == CREDENTIAL_PASSWORD;
    return errinfo_set(info, ERR_DENIED, is_password ? "28P01" : "28000", "authentication failed");
}

/* Who asks for another name than the credential's is mistaken or worse. */
static bool is_asked_for(const struct credential *credential, const struct login *login)
{
    return login->is_user_settled || credential->user.len == 0 ||
           slice_equal_fold(credential->user, login->subject) ||
           (login->display_name.len > 0 && slice_equal_fold(credential->user, login->display_name));
}

static enum err ask_all(struct identity_chain *chain, const struct credential *credential,
                        struct arena *arena, struct login *ret_login,
                        enum provider_answer *ret_answer, struct refusal *refusal,
                        struct errinfo *info)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct provider *provider = &chain->providers[i];
        struct login login = {0};
        refusal->provider = provider->methods->name;
        TRY(provider->methods->authenticate(provider->self, credential, arena, &login, ret_answer,
                                            refusal, info));
        if (*ret_answer == PROVIDER_OK && !is_asked_for(credential, &login)) {
            login_fini(&login);
            *ret_answer = provider__wrong(refusal, "the credential is another person's");
        }
        if (*ret_answer == PROVIDER_OK) {
            *ret_login = login;
        }
        if (*ret_answer != PROVIDER_NOT_MINE) {
            return ERR_OK;
        }
    }
    refusal->provider = "";
    *ret_answer = provider__wrong(refusal, "no provider knows the credential");
    return ERR_OK;
}

/* OAUTHBEARER's message, to the token in it. */
static enum err unwrap(const struct credential *credential, struct arena *arena,
                       struct credential *ret_credential, struct errinfo *info)
{
    struct oauthbearer response;
    *ret_credential = *credential;
    if (credential->kind != CREDENTIAL_OAUTHBEARER) {
        return ERR_OK;
    }
    TRY(oauthbearer_parse(credential->secret, arena, &response, info));
    ret_credential->kind = CREDENTIAL_TOKEN;
    ret_credential->secret = response.token;
    if (credential->user.len == 0) {
        ret_credential->user = response.user;
    } else if (response.user.len > 0 && !slice_equal_fold(response.user, credential->user)) {
        return errinfo_set(info, ERR_DENIED, "28000", "the message asks for two users");
    }
    return ERR_OK;
}

enum err identity_chain_login(struct identity_chain *chain, const struct credential *credential,
                              struct arena *arena, struct login *ret_login,
                              struct refusal *ret_refusal, struct errinfo *info)
{
    struct errinfo local;
    struct credential inner;
    enum provider_answer answer = PROVIDER_NOT_MINE;
    struct refusal refusal = {.provider = ""};
    info = info != NULL ? info : &local;
    note_claim(&refusal, credential->user);
    if (credential->secret.len > SECRET_BYTES_MAX) {
        (void)provider__wrong(&refusal, "the credential is too long");
        *ret_refusal = refusal;
        return refuse(credential, &refusal, info);
    }
    enum err err = unwrap(credential, arena, &inner, info);
    if (err == ERR_OK) {
        err = ask_all(chain, &inner, arena, ret_login, &answer, &refusal, info);
    }
    if (err != ERR_OK) {
        (void)provider__wrong(&refusal, "%s", info->message);
        *ret_refusal = refusal;
        if (err == ERR_DENIED) {
            return refuse(credential, &refusal, info);
        }
        if (err == ERR_BUSY) { /* what is wrong with it is the operator's business */
            (void)errinfo_set(info, ERR_BUSY, "57P03", "the identity provider does not answer");
            errinfo_hint(info, "Try again later.");
        }
        return err;
    }
    if (answer == PROVIDER_OK) {
        return ERR_OK;
    }
    *ret_refusal = refusal;
    return refuse(credential, &refusal, info);
}
