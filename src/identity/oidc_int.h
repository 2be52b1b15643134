/* OpenID Connect, as a server that is given tokens: the issuer's document and keys, what a token
 * must be, the token endpoint, and the tokens that an identity holds. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "fetch/fetch.h"
#include "identity/claims_int.h"
#include "identity/jose_int.h"
#include "identity/provider_int.h"

struct oidc_keys {
    struct jwks *jwks;  /* NULL = none yet */
    int64_t fetched_us; /* monotonic */
    int64_t tried_us;
    bool has_tried;
    bool is_fetching; /* by one thread; the others wait for `changed` if they have to */
};

/* What the issuer says of itself beside its keys; addresses are on the heap, NULL = not known yet,
 * or there is none. */
struct oidc_document {
    char *token_endpoint;
    char *authorization_endpoint;
    bool names_itself; /* in answers that come by a browser (RFC 9207) */
};
void oidc__document_fini(struct oidc_document *document);

struct oidc { /* counted: the credentials of its people hold it */
    atomic_uint references;
    struct arena *arena;
    struct oidc_options options; /* texts in `arena` */
    struct secret client_secret;
    struct identity_clock clock;
    unsigned algorithms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under `lock` */
    struct oidc_keys keys;
    struct oidc_document document;
};

struct oidc *oidc__ref(struct oidc *oidc);
void oidc__unref(struct oidc *oidc);
int64_t oidc__wall_us(const struct oidc *oidc);
int64_t oidc__mono_us(const struct oidc *oidc);

/* ---- requests to the issuer (oidc_ask.c) ---- */

struct oidc_question {
    const char *url;
    const struct secret *form;          /* NULL makes it a GET */
    const struct secret *authorization; /* value of the header; NULL = none */
    size_t bytes_max;                   /* a longer answer is an error */
};
/* With what limits somebody is asked. */
struct oidc_asker {
    int64_t timeout_ms;
    const char *ca_file; /* NULL = the system's */
    enum fetch_plain plain;
};
struct oidc_asker oidc__asker(const struct oidc *oidc);
MUST_USE enum err oidc__ask_as(const struct oidc_asker *asker, const struct oidc_question *question,
                               long *ret_status, struct secret *ret_body, struct errinfo *info);
enum fetch_plain oidc__plain(const struct oidc_options *options);
/* ERR_BUSY (57P03): no answer. The message says why without repeating any of the request. */
MUST_USE enum err oidc_ask(const struct oidc *oidc, const struct oidc_question *question,
                           long *ret_status, struct secret *ret_body, struct errinfo *info);

/* ---- the issuer's document and keys (oidc_keys.c) ---- */

/* A reference to the current set. With `than`, one that is newer than it, if the issuer has one and
 * was not asked just before; else `than` again. ERR_BUSY (57P03): none, or none young enough. */
MUST_USE enum err oidc_get_keys(struct oidc *oidc, const struct jwks *than, struct jwks **ret_jwks,
                                struct errinfo *info);
/* On the heap. ERR_BUSY, or ERR_UNSUPPORTED where the issuer has none. */
MUST_USE enum err oidc_get_token_endpoint(struct oidc *oidc, char **ret_url, struct errinfo *info);
/* Where a browser is sent. Likewise. */
MUST_USE enum err oidc_get_authorization_endpoint(struct oidc *oidc, char **ret_url,
                                                  bool *ret_names_itself, struct errinfo *info);

/* ---- tokens (oidc_verify.c) ---- */

struct oidc_token {
    struct json *claims;
    int64_t expires_wall_us; /* with the skew that is allowed */
};

/* Signature, issuer, audience, times and what else is configured. ERR_DENIED (28000) with the
 * reason in `info`: for the trail, but that a genuine token has expired may be told. */
MUST_USE enum err oidc_verify(struct oidc *oidc, struct slice token, struct arena *arena,
                              struct oidc_token *ret_token, struct errinfo *info);
/* Who it is, by the rules. */
MUST_USE enum err oidc_login_of(struct oidc *oidc, const struct oidc_token *token,
                                struct arena *arena, struct login *ret_login, struct errinfo *info);
#define OIDC_PROVIDER_NAME "oidc"
/* That an ID token answers the sign-in of this `nonce`, by this client, of whom `access` is: ID
 * tokens say who has signed in, and open nothing here. ERR_DENIED (28000). */
MUST_USE enum err oidc_verify_id(struct oidc *oidc, struct slice token, struct slice nonce,
                                 const struct oidc_token *access, struct arena *arena,
                                 struct errinfo *info);

/* ---- the token endpoint (oidc_token.c) ---- */

enum oidc_grant {
    OIDC_PASSWORD,
    OIDC_CLIENT_CREDENTIALS,
    OIDC_REFRESH,
    OIDC_EXCHANGE,
    OIDC_CODE
};

struct oidc_grant_request {
    enum oidc_grant grant;
    struct slice user;     /* PASSWORD: name; CLIENT_CREDENTIALS: id of the client */
    struct slice password; /* likewise: password, secret */
    struct slice token;    /* REFRESH, EXCHANGE, CODE */
    struct slice redirect; /* CODE: where it came to */
    struct slice verifier; /* CODE: RFC 7636 */
};

struct oidc_grant_response {
    struct secret access;
    struct secret refresh; /* empty: none */
    struct secret id;      /* likewise */
    int64_t expires_in_s;  /* 0 = not said */
};
void oidc_grant_response_fini(struct oidc_grant_response *response);

/* ERR_DENIED (28000): the issuer said no, its word for why in the message. ERR_BUSY (57P03). */
MUST_USE enum err oidc_request_grant(struct oidc *oidc, const struct oidc_grant_request *request,
                                     struct oidc_grant_response *ret_response,
                                     struct errinfo *info);

/* One request to whatever token endpoint. */
struct oidc_post {
    struct oidc_asker asker;
    const char *url;
    const struct secret *form;
    struct slice client;
    struct slice secret; /* in the header, unless: */
    bool is_secret_in_form;
    enum oidc_grant grant;
};
MUST_USE enum err oidc__post(const struct oidc_post *post, struct oidc_grant_response *ret_response,
                             struct errinfo *info);

/* ---- credentials (credential.c) ---- */

/* How a sign-in was made, and so how it can be renewed. */
struct oidc_sign_in {
    struct slice access;
    struct slice refresh; /* empty: none */
    struct slice client;  /* of client credentials, which can be asked for again */
    struct slice client_secret;
};
MUST_USE enum err identity_credential_new(struct oidc *oidc, const struct oidc_sign_in *sign_in,
                                          const struct oidc_token *token,
                                          struct identity_credential **ret_credential,
                                          struct errinfo *info);
