/* Sign-in by a browser, for programs that show their person an address (docs/trino.md). Of this
 * module's files.
 *
 *   program                      server                          browser            issuer
 *     | request ------------------> | 401: page, wait               |                  |
 *     | --- page ---------------------------------------------------> |                  |
 *     |                             | <--- page: who asks? "Sign in" - |                  |
 *     |                             | --- cookie, redirect ----------> | --- sign in ---> |
 *     | wait ---------------------> | <--- cookie, state, code ------- | <-- code ------- |
 *     |                             | --- code, verifier ------------------------------> |
 *     | <--- token, once ---------- | <--- token, ID token (nonce) --------------------- |
 *
 * Until somebody has been at the issuer nothing is kept: an address is a ticket, which says since
 * when and for whom, sealed by a key of this process. So nobody can fill a table by asking. */
#pragma once

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/secret.h"
#include "wire/web/web.h"

#define BROWSER_KEY_BYTES 32
#define BROWSER_FLOW_BYTES SHA256_BYTES /* names a sign-in, and tells nothing of its `wait` */
#define BROWSER_COOKIE_BYTES 65         /* hex, with the NUL */
#define BROWSER_LIFE_US (5 * 60 * 1000000LL)
#define BROWSER_WHO_BYTES_MAX 128u /* of who asks, as the page says it */
#define BROWSER_DERIVED_BYTES 65   /* hex, with the NUL */

struct browser_key {
    uint8_t bytes[BROWSER_KEY_BYTES];
};

/* What a ticket says. */
struct browser_ticket {
    int64_t since_us; /* monotonic */
    uint8_t flow[BROWSER_FLOW_BYTES];
    char who[BROWSER_WHO_BYTES_MAX + 1]; /* of the page's: address and program */
};

/* ---- tickets (browser_ticket.c): all are hex ---- */

/* A new sign-in: what the program waits with, and what the browser opens. `who` is cut to what a
 * page can show. ERR_NOMEM; ERR_INTERNAL without random numbers. */
MUST_USE enum err browser_begin(const struct browser_key *key, int64_t now_us, struct slice address,
                                struct slice program, struct buf *ret_wait, struct buf *ret_page,
                                struct errinfo *info);
/* False: it is none of this key, or older than BROWSER_LIFE_US. */
bool browser_wait_open(const struct browser_key *key, int64_t now_us, struct slice text,
                       struct browser_ticket *ret_ticket);
bool browser_page_open(const struct browser_key *key, int64_t now_us, struct slice text,
                       struct browser_ticket *ret_ticket);
/* `state` of a sign-in: good together with its cookie only. */
MUST_USE enum err browser_state(const struct browser_key *key, const struct browser_ticket *ticket,
                                struct slice cookie, struct buf *ret_state, struct errinfo *info);
/* Which sign-in it says it is of, to look for the cookie. */
bool browser_state_flow(struct slice text, uint8_t ret_flow[BROWSER_FLOW_BYTES]);
bool browser_state_open(const struct browser_key *key, int64_t now_us, struct slice text,
                        struct slice cookie, struct browser_ticket *ret_ticket);
/* A value that only this server and this cookie come to: "nonce", "verifier". */
MUST_USE enum err browser_derive(const struct browser_key *key, const char *what,
                                 const struct browser_ticket *ticket, struct slice cookie,
                                 char ret_text[BROWSER_DERIVED_BYTES], struct errinfo *info);

/* What the browser came back with; decoded, in the arena; empty: not said. */
struct browser_answer {
    struct slice state;
    struct slice code;
    struct slice error;
    struct slice issuer;
};
/* False: no query of such an answer, or one of its names is there twice. */
bool browser_answer_read(struct slice query, struct arena *arena,
                         struct browser_answer *ret_answer);

/* ---- what became of sign-ins (browser_outcome.c) ---- */

struct browser_outcomes;

MUST_USE enum err browser_outcomes_open(struct browser_outcomes **ret_outcomes,
                                        struct errinfo *info);
void browser_outcomes_close(struct browser_outcomes *outcomes);

/* The one who redeems the code of this sign-in from here on, until browser_outcome_set. ERR_DENIED
 * (28000): somebody did before. ERR_BUSY (53300): too many at a time. */
MUST_USE enum err browser_outcome_begin(struct browser_outcomes *outcomes,
                                        const struct browser_ticket *ticket, struct errinfo *info);
/* `token` is taken, `person` whose it is; or NULL: it has failed. */
void browser_outcome_set(struct browser_outcomes *outcomes, const struct browser_ticket *ticket,
                         struct secret *token, struct slice person);
bool browser_outcome_is_begun(struct browser_outcomes *outcomes,
                              const struct browser_ticket *ticket);

enum browser_result {
    BROWSER_PENDING, /* ask again */
    BROWSER_TOKEN,   /* `ret_token` is the caller's, and nobody's else from here on */
    BROWSER_FAILED,
    BROWSER_GIVEN, /* it was had before, or was not asked for in time */
};

struct browser_waiter { /* on the stack of who waits */
    struct slice address;
    struct browser_waiter *next;
    bool is_gone;
};
/* Up to `wait_ms`, or until browser_outcome_leave; at once where too many wait. */
enum browser_result browser_outcome_wait(struct browser_outcomes *outcomes,
                                         const struct browser_ticket *ticket,
                                         struct browser_waiter *waiter, int64_t wait_ms,
                                         struct secret *ret_token);
/* Any thread. */
void browser_outcome_leave(struct browser_outcomes *outcomes, struct browser_waiter *waiter);
