/* What a provider is to the chain: one table of functions, and its own state behind a pointer. */
#pragma once

#include "identity/identity_int.h"
#include "identity/provider.h"

enum provider_answer {
    PROVIDER_OK,       /* `ret_login` filled */
    PROVIDER_NOT_MINE, /* go on */
    PROVIDER_WRONG     /* stop; the reason is told */
};

struct provider_methods {
    const char *name;
    /* An error is one of machinery (memory, the store, a server that does not answer): it stops the
     * login too. `refusal` is for provider__wrong. */
    enum err (*authenticate)(void *self, const struct credential *credential, struct arena *arena,
                             struct login *ret_login, enum provider_answer *ret_answer,
                             struct refusal *refusal, struct errinfo *info);
    void (*close)(void *self);
};

struct provider {
    const struct provider_methods *methods;
    void *self;
};

/* Each opens one provider; options outlive it where the chain copied them. */
MUST_USE enum err password_provider_open(const struct identity_chain_options *options,
                                         struct provider *ret_provider, struct errinfo *info);
MUST_USE enum err api_key_provider_open(const struct identity_chain_options *options,
                                        struct provider *ret_provider, struct errinfo *info);
MUST_USE enum err oidc_provider_open(const struct identity_chain_options *options,
                                     struct provider *ret_provider, struct errinfo *info);
MUST_USE enum err certificate_provider_open(const struct identity_chain_options *options,
                                            struct provider *ret_provider, struct errinfo *info);

/* Notes why, for the audit trail, and gives PROVIDER_WRONG. */
PRINTF_LIKE(2, 3)
enum provider_answer provider__wrong(struct refusal *refusal, const char *format, ...);

const struct identity_clock *provider__clock(const struct identity_clock *clock);
