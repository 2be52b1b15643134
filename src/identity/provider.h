/* Who somebody is: a chain of providers, asked in the order of the configuration.
 *
 * Each gets the credential as the client gave it and answers OK (this is who), NOT_MINE (the next
 * may know) or WRONG (nobody else is asked). What a refusal says to the client never depends on
 * whether there is such a person; why it was refused is for the audit trail only.
 *
 * Providers may speak to the network and hash passwords: call from worker threads, never from an
 * event loop. All functions may be called from any number of threads. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "identity/identity.h"
#include "base/secret.h"

enum credential_kind {
    CREDENTIAL_PASSWORD,    /* of `user`; it may be a password, a token or an API key */
    CREDENTIAL_TOKEN,       /* a bearer token or API key, meant as one; `user` may be empty */
    CREDENTIAL_OAUTHBEARER, /* the initial response of RFC 7628, decoded from base64 */
    CREDENTIAL_CERTIFICATE, /* of a TLS client, whose chain has been verified */
};

/* As a client gave it; views. */
struct credential {
    enum credential_kind kind;
    struct slice user;        /* whom they say they are; empty = the credential says it */
    struct slice secret;      /* password, token, key, or response */
    struct slice refresh;     /* with a TOKEN: what renews it (RFC 6749, 6); empty = none */
    struct slice certificate; /* DER of the leaf */
    struct slice address;     /* where from: an IP address without port */
};

/* What an account of the warehouse has to do with a person that a provider vouches for. */
enum login_account {
    LOGIN_ACCOUNT_REQUIRED, /* they must have one: roles and attributes are the store's, and those
                             * that the provider adds */
    LOGIN_ACCOUNT_LINKED,   /* one of the same name, if there is one, is theirs */
    LOGIN_ACCOUNT_SEPARATE, /* they have none; a name that a local user has is refused */
};

/* Whom a provider vouches for: `account` says how the store comes in. Texts live in the arena that
 * the chain was given; `credential` is the caller's reference. */
struct login {
    struct slice provider;
    struct slice subject;
    struct slice display_name;
    const struct slice *roles; /* beside the store's */
    size_t role_count;
    const struct identity_attribute *attributes; /* the store's win */
    size_t attribute_count;
    int64_t expires_wall_us; /* 0 = does not */
    int64_t principal;       /* the store's number of the person, if the provider knows it */
    enum login_account account;
    bool may_be_owner;    /* not by a pattern that happens to give the owner's name */
    bool is_user_settled; /* whoever was asked for, this is who it is */
    struct identity_credential *credential; /* NULL: none that could be passed on */
    struct slice api_key;                   /* prefix of the key; empty = it was none */
};
void login_fini(struct login *login); /* the reference */

/* For the audit trail, never for the client. Texts hold nothing secret. */
struct refusal {
    const char *provider; /* literal; "" = none would have it */
    char reason[256];
    char claimed_user[IDENTITY_NAME_BYTES_MAX + 1]; /* "" if it cannot be shown */
};

/* What providers need of the warehouse's store. `verifier` and `found` for nobody: empty, false. */
struct stored_key {
    int64_t principal;
    struct slice user;
    struct slice name;
    uint8_t hash[32];
    int64_t expires_wall_us; /* 0 = never */
    bool is_revoked;
};

struct identity_store {
    void *context;
    enum err (*find_verifier)(void *context, struct slice user, struct arena *arena,
                              struct slice *ret_verifier, struct errinfo *info);
    enum err (*find_key)(void *context, struct slice prefix, struct arena *arena, bool *ret_found,
                         struct stored_key *ret_key, struct errinfo *info);
};

/* Time as the providers see it; tests have their own. */
struct identity_clock {
    void *context;
    int64_t (*wall_us)(void *context);
    int64_t (*mono_us)(void *context);
};

/* Texts as the configuration has them (docs/identity.md); empty = not set. */
struct oidc_options {
    struct slice issuer;
    struct slice audience; /* list: any of them */
    struct slice client_id;
    struct slice client_secret; /* copied, wiped on close */
    bool client_secret_in_body; /* client_secret_post instead of _basic */
    struct slice algorithms;
    struct slice authorized_parties; /* list for azp; empty = any */
    struct slice required_claims;    /* "path=value, ..." */
    struct slice subject_claim;
    struct slice subject_rule; /* "pattern => user" */
    struct slice name_claim;
    struct slice roles_claims; /* list of paths */
    struct slice role_prefix;
    struct slice role_map;      /* "theirs=ours, ..." */
    struct slice roles_allowed; /* list of patterns */
    struct slice attributes;    /* "ours=path, ..." */
    enum login_account account;
    int64_t skew_ms;
    int64_t keys_age_max_ms;
    int64_t keys_stale_max_ms;
    int64_t keys_refresh_min_ms;
    int64_t refresh_before_ms;
    int64_t timeout_ms;
    const char *ca_file; /* NULL = the system's */
    bool insecure_loopback;
    bool password_grant;
    bool client_credentials;
    struct slice exchange_audience; /* empty: tokens are passed on as they are */
    struct slice scope;
};

struct identity_chain_options {
    struct slice providers; /* "password, apikey, oidc, certificate" in order */
    struct identity_store store;
    const struct identity_clock *clock; /* NULL = the machine's */
    struct oidc_options oidc;
    struct slice certificate_rules;
    struct slice ask; /* rules: "pattern => scram; token" */
};

struct identity_chain;

/* ERR_INVALID (22023) with the configuration's key in the message. Nothing is asked of the network:
 * an issuer that is down now may be up when somebody comes. */
MUST_USE enum err identity_chain_open(const struct identity_chain_options *options,
                                      struct identity_chain **ret_chain, struct errinfo *info);
void identity_chain_close(struct identity_chain *chain); /* credentials may outlive it */
DEFINE_CLEANUP(struct identity_chain, identity_chain_cleanup, identity_chain_close)

/* ERR_DENIED (28000, 28P01): refused, `ret_refusal` filled. ERR_BUSY (57P03): a provider that this
 * credential is for does not answer, `ret_refusal` filled. ERR_NOMEM and the store's errors. */
MUST_USE enum err identity_chain_login(struct identity_chain *chain,
                                       const struct credential *credential, struct arena *arena,
                                       struct login *ret_login, struct refusal *ret_refusal,
                                       struct errinfo *info);

/* ---- sign-in by a browser, at the issuer (OpenID Connect Core, 3.1; RFC 7636, 9207) ---- */

/* One sign-in. State, nonce and verifier are unguessable, the last of 43 to 128 letters, digits,
 * "-._~"; who comes back has to show that the first two are theirs. */
struct identity_browser {
    struct slice redirect; /* where the browser comes back to */
    struct slice state;
    struct slice nonce;
    struct slice verifier;
};

/* That browsers may be sent on by what is at `url`. ERR_INVALID (22023): it is no origin with TLS
 * (or of this machine), or the configuration lacks provider oidc, or oidc.client_id. */
MUST_USE enum err identity_browser_check(const struct identity_chain *chain, struct slice url,
                                         bool allows_loopback, struct errinfo *info);
/* The issuer's address that the browser is sent to. ERR_BUSY (57P03): it does not answer.
 * ERR_UNSUPPORTED: it has none. ERR_INVALID as above. */
MUST_USE enum err identity_browser_address(struct identity_chain *chain,
                                           const struct identity_browser *browser,
                                           struct secret *ret_address, struct errinfo *info);
/* The token that the issuer gives for what the browser came back with. `issuer` is what it said of
 * where it comes from, or empty. ERR_DENIED (28000), with a reason for the trail: the issuer
 * refuses, or its answer is another sign-in's, person's or issuer's. ERR_BUSY (57P03). */
MUST_USE enum err identity_browser_token(struct identity_chain *chain,
                                         const struct identity_browser *browser, struct slice code,
                                         struct slice issuer, struct secret *ret_token,
                                         struct errinfo *info);

/* ---- what a client is asked for, before it has shown anything ---- */

struct login_hello {
    struct slice user; /* whom they say they are */
    struct slice wish; /* what they say they hold: scram, token, oauth; empty = they do not say */
    bool is_private;   /* nobody in between reads what they send */
    bool has_certificate; /* a verified one was shown */
};

/* Either one of the first two, or mechanisms of SASL. */
struct login_offer {
    bool certificate; /* sign in with what was shown */
    bool secret;      /* password, token or key, as it is */
    bool scram;
    bool oauthbearer;
};

/* Depends on what the client says and on the configuration only, never on who exists. ERR_DENIED
 * (28000): no provider, or not private enough. ERR_INVALID (22023): a wish that is none. */
MUST_USE enum err identity_chain_offer(const struct identity_chain *chain,
                                       const struct login_hello *hello,
                                       struct login_offer *ret_offer, struct errinfo *info);

/* True if there is a provider of tokens or keys. */
bool identity_chain_takes_tokens(const struct identity_chain *chain);

/* True if a password may go to a server elsewhere: how long a refusal takes then depends on it. */
bool identity_chain_asks_elsewhere(const struct identity_chain *chain);

/* ---- the credential of an identity ---- */

/* "Bearer ..." for systems that are asked on behalf of `who`, renewed before it expires, exchanged
 * for their audience where so configured. ERR_NOT_FOUND: `who` has nothing that could be passed on.
 * ERR_DENIED (28000): it has expired or been taken back. ERR_BUSY (57P03). May use the network. */
MUST_USE enum err identity_authorization(const struct identity *who, struct secret *ret_header,
                                         struct errinfo *info);

/* A number of the sign-in that `who` came by, never given again in this process; 0 = none that
 * could be passed on. What is kept for one sign-in is not another's. */
uint64_t identity_credential_number(const struct identity *who);

/* For which system a token is exchanged (RFC 8693), and where. */
struct identity_exchange {
    struct slice token_uri; /* empty: the issuer's, as the client that this server is there */
    struct slice client;    /* with a token_uri: who asks; empty = nobody in particular */
    struct slice secret;
    struct slice audience;
    struct slice scope;
};

/* "Bearer ..." with what the token of `who` was exchanged for: kept beside it while both are good.
 * `is_refused`: what was given last was not taken, ask for another. Errors as above. */
MUST_USE enum err identity_exchanged(const struct identity *who,
                                     const struct identity_exchange *exchange, bool is_refused,
                                     struct secret *ret_header, struct errinfo *info);

/* A token for this program itself, by client credentials (RFC 6749, 4.4): it stands for nobody.
 * `ret_life_s` 0: not said. */
struct identity_client {
    struct slice token_uri;
    struct slice client;
    struct slice secret;
    struct slice scope;
    int64_t timeout_ms;
    const char *ca_file;
    bool allow_loopback_http;
};
MUST_USE enum err identity_client_token(const struct identity_client *client,
                                        struct secret *ret_token, int64_t *ret_life_s,
                                        struct errinfo *info);

/* True if a sign-in that is about to expire can be renewed, and should be now. */
bool identity_wants_refresh(const struct identity *who, int64_t now_wall_us);

/* Renews it: the provider vouches again, perhaps for other roles, never for another person.
 * `ret_login` as from identity_chain_login, with the same credential handle. ERR_DENIED (28000):
 * the provider will not. ERR_BUSY: it does not answer. */
MUST_USE enum err identity_refresh(const struct identity *who, struct arena *arena,
                                   struct login *ret_login, struct errinfo *info);

/* ---- API keys: "moat_<id>_<secret><check>" ---- */

#define API_KEY_BYTES 76 /* with the NUL */
#define API_KEY_PREFIX_BYTES 16
#define API_KEY_MARK "moat_"

struct api_key {
    char text[API_KEY_BYTES];          /* wipe it */
    char prefix[API_KEY_PREFIX_BYTES]; /* "moat_<id>": not secret, finds the key */
    uint8_t hash[32];                  /* what is kept */
};
MUST_USE enum err api_key_new(struct api_key *ret_key, struct errinfo *info);
/* False for what is not a key, a misspelt one included. */
MUST_USE bool api_key_parse(struct slice text, struct api_key *ret_key);

/* ---- SASL OAUTHBEARER (RFC 7628) ---- */

struct oauthbearer {
    struct slice user;  /* authzid, decoded; empty = none */
    struct slice token; /* a view of the message */
};
/* The client's first message, already decoded from base64: GS2 header, then auth=Bearer token.
 * ERR_INVALID (08P01). `user` lives in the arena. */
MUST_USE enum err oauthbearer_parse(struct slice message, struct arena *arena,
                                    struct oauthbearer *ret_response, struct errinfo *info);
/* The server's answer to a token it will not have (RFC 7628, 3.2.2), appended as JSON. */
struct buf;
void oauthbearer_failure(struct slice issuer, struct slice scope, struct buf *out);
