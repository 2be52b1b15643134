/* Signing in from outside: what `moat serve` and a program with a person's token do. */
#pragma once

#include "query/query.h"

/* ---- passwords: one login with SCRAM (identity/scram.h) ---- */

struct password_login;

struct password_request {
    struct slice user;     /* as they say */
    struct slice address;  /* where from, for limits */
    struct slice client;   /* address and program, for the audit trail */
    struct slice endpoint; /* tls-server-end-point of the connection; empty without TLS */
    bool is_plus;          /* SCRAM-SHA-256-PLUS */
};

/* Whether there is such a user shows neither in what these say nor in how long they take. A refused
 * login is audited; ERR_BUSY (53300): too many wrong passwords lately. */
MUST_USE enum err password_login_open(struct warehouse *warehouse,
                                      const struct password_request *request,
                                      struct password_login **ret_login, struct errinfo *info);
/* client-first in, server-first appended; then client-final in, server-final appended. ERR_DENIED
 * (28P01) for a wrong password. */
MUST_USE enum err password_login_first(struct password_login *login, struct slice message,
                                       struct buf *ret_challenge, struct errinfo *info);
MUST_USE enum err password_login_final(struct password_login *login, struct slice message,
                                       struct buf *ret_proof, struct identity **ret_identity,
                                       struct errinfo *info);
void password_login_close(struct password_login *login); /* given up: audited as refused */
DEFINE_CLEANUP(struct password_login, password_login_cleanup, password_login_close)

/* ---- sign-in from outside (identity/provider.h): from worker threads ---- */

struct credential;
struct identity_browser;
struct login_hello;
struct login_offer;
struct secret;

/* Makes the providers of the configuration, if that is not done: a server does at its start, so
 * that what is wrong with them stops it there. */
MUST_USE enum err warehouse_open_login(struct warehouse *warehouse, struct errinfo *info);
/* Makes them anew, by another configuration; the old ones stand if that fails. Logins under way end
 * with those they began with; sessions are not touched. */
MUST_USE enum err warehouse_reload_login(struct warehouse *warehouse, const struct config *config,
                                         struct errinfo *info);
/* What to ask a client for; that there is nothing is audited, and a wrong try of its address.
 * Errors as identity_chain_offer, and ERR_BUSY (53300). */
MUST_USE enum err warehouse_login_offer(struct warehouse *warehouse,
                                        const struct login_hello *hello, struct slice address,
                                        struct slice client, struct login_offer *ret_offer,
                                        struct errinfo *info);
/* Where a client of OAUTHBEARER gets a token: the server's answer to one that has none, or a wrong
 * one (RFC 7628, 3.2.2). */
MUST_USE enum err warehouse_login_discovery(struct warehouse *warehouse, struct buf *ret_answer,
                                            struct errinfo *info);
/* Asks them whose the credential is; audited either way. `client` is for the trail: address and
 * program. ERR_DENIED (28000, 28P01): refused, in words and time that do not tell whether there is
 * such a person. ERR_BUSY: too many tries lately (53300), or the provider that would know does not
 * answer (57P03). ERR_INVALID (08P01): an OAUTHBEARER message that is none. */
MUST_USE enum err warehouse_login_credential(struct warehouse *warehouse,
                                             const struct credential *credential,
                                             struct slice client, struct identity **ret_identity,
                                             struct errinfo *info);

/* Sign-in by a browser (identity/provider.h), whose errors these have. A token that comes of it is
 * a credential like any other: nobody has signed in yet. */
MUST_USE enum err warehouse_browser_address(struct warehouse *warehouse,
                                            const struct identity_browser *browser,
                                            struct secret *ret_address, struct errinfo *info);
MUST_USE enum err warehouse_browser_token(struct warehouse *warehouse,
                                          const struct identity_browser *browser, struct slice code,
                                          struct slice issuer, struct secret *ret_token,
                                          struct errinfo *info);

/* Whose token it is, for a program that holds no other person's: as above, and catalogs are asked
 * with it. `refresh` (may be empty) renews it. The trail has the OS user who runs the program
 * beside them. ERR_INVALID (22023): the warehouse takes no tokens. */
MUST_USE enum err warehouse_login_token(struct warehouse *warehouse, struct slice access,
                                        struct slice refresh, struct identity **ret_identity,
                                        struct errinfo *info);
