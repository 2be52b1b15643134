/* Of this module's files. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/secret.h"
#include "wire/web/web.h"

struct credential;
struct json;
struct web_browser;
struct web_login;
struct web_socket;

struct web_server {
    struct warehouse *warehouse;
    const struct config *config;
    struct http_server *http;
    int64_t abandoned_us; /* a kept run that nobody asks for is stopped after this time */
    pthread_mutex_t lock;
    pthread_cond_t tick; /* the minder's */
    pthread_cond_t idle; /* no thread pulls rows any more */
    pthread_t minder;
    bool has_minder;
    bool is_closing;
    struct web_kept *kept;
    size_t kept_count;
    struct web_run *runs;
    atomic_size_t puller_count;  /* threads that pull rows for kept runs */
    struct web_login *logins;    /* of the console, newest first */
    struct web_browser *browser; /* NULL: nobody signs in by one */
    struct web_socket *sockets;
    atomic_size_t socket_query_count;
    struct buf console; /* the page */
    struct buf policy;  /* its Content-Security-Policy */
};

/* What a connection keeps: who the last request was. */
struct web_person {
    struct secret shown; /* the credential as it came */
    struct identity *who;
    struct web_login *login; /* of the last request, if a cookie said who asks */
};

void web__person_close(void *state);
/* Ends the sign-in of the connection: the next request signs in anew. */
void web__sign_out(struct http_exchange *exchange);

/* Whether a secret may be taken: over TLS, or from this machine where that is allowed. */
bool web__is_private(const struct web_server *server, const struct connection *connection);
MUST_USE enum err web__refuse_clear(struct errinfo *info);
/* The browser says that a page of another site asks. */
bool web__is_from_elsewhere(const struct http_exchange *exchange);
/* Asks the providers; `client` of the trail is address, protocol and program. */
MUST_USE enum err web__log_in(const struct web_server *server, const struct connection *wire,
                              const struct web_visitor *visitor, struct credential *credential,
                              struct identity **ret_who, struct errinfo *info);
/* The connection's part, made if it is not there; NULL: no memory. */
struct web_person *web__person_of(struct http_exchange *exchange);

/* ---- sign-ins of the console: a cookie, and a proof that the page itself asks ---- */

enum web_proof {
    WEB_PROOF_HEADER, /* X-Moat-CSRF holds what only the page was told */
    WEB_PROOF_ORIGIN, /* an Origin, which has been found to be this one: WebSockets have no more */
    WEB_PROOF_READ,   /* for what changes nothing and tells only the page */
};

/* The value of the first cookie of this name. */
bool web__find_cookie(const struct http_exchange *exchange, struct slice name,
                      struct slice *ret_value);
/* True: the request carries a cookie of ours, and no Authorization. */
bool web__has_cookie(const struct http_exchange *exchange);
/* Counted; ERR_DENIED (28000) if it is none that stands, or the proof is missing. */
MUST_USE enum err web__login_find(struct web_server *server, struct http_exchange *exchange,
                                  enum web_proof proof, struct web_login **ret_login,
                                  struct errinfo *info);
struct web_login *web__login_ref(struct web_login *login); /* NULL is allowed */
void web__login_unref(struct web_login *login);            /* likewise */
struct identity *web__login_who(const struct web_login *login);
/* It is used; false: it is over. */
bool web__login_use(struct web_server *server, struct web_login *login);
/* Ends it, and all that runs for it. */
void web__login_end(struct web_server *server, struct web_login *login);
/* With the server's lock held: the next one whose time is over, counted, or NULL. */
struct web_login *web__login_late(struct web_server *server);
void web__logins_close(struct web_server *server);
MUST_USE enum err web__login_routes(struct web_server *server, struct errinfo *info);
/* As web_sign_in, with another proof. */
struct identity *web__sign_in_by(struct web_server *server, struct http_exchange *exchange,
                                 const struct web_visitor *visitor, enum web_proof proof);
/* Of the request that is answered now; NULL: no cookie said who asks. */
struct web_login *web__login_of(const struct http_exchange *exchange);

/* ---- sign-in by a browser (browser.c) ---- */

MUST_USE enum err web__browser_routes(struct web_server *server, struct errinfo *info);
void web__browser_close(struct web_server *server);
/* Before a 401: where the program's person may sign in, if that is configured. */
void web__browser_challenge(struct web_server *server, struct http_exchange *exchange,
                            const struct web_visitor *visitor);

/* ---- the console ---- */

MUST_USE enum err web__console_routes(struct web_server *server, struct errinfo *info);

/* ---- kept runs ---- */

/* With the server's lock held: stops what was begun with that sign-in. */
void web__runs_stop_of(struct web_server *server, const struct web_login *login);
/* Without it; forgets them too. */
void web__kepts_stop_of(struct web_server *server, const struct web_login *login);
struct web_login *web__run_login(const struct web_run *run);

MUST_USE enum err web__keeper_open(struct web_server *server, struct errinfo *info);
void web__keeper_close(struct web_server *server);

bool web__run_is_stopped(struct web_run *run);
/* ERR_CANCELLED, with who stopped it. */
MUST_USE enum err web__run_check(struct web_run *run, struct errinfo *info);
struct identity *web__run_who(const struct web_run *run);
const char *web__run_protocol(const struct web_run *run);

/* ---- a request for a statement ---- */

enum web_format {
    WEB_JSON,
    WEB_JSON_LINES,
    WEB_CSV,
    WEB_ARROW,
};

struct web_request {
    struct arena *arena;
    struct slice statement;
    struct query_parameter *parameters;
    size_t parameter_count;
    struct slice catalog, schema;
    struct web_setting *settings;
    size_t setting_count;
    enum web_format format;
    bool numbers_as_text;
    bool is_async;
};

/* Reads the members of an object, which lives as long as the request. ERR_INVALID (22023). */
MUST_USE enum err web__request_json(struct web_request *request, struct slice body,
                                    struct errinfo *info);
MUST_USE enum err web__request_members(struct web_request *request, const struct json *root,
                                       struct errinfo *info);
/* That it is one statement, of which `statement` is then the text. */
MUST_USE enum err web__request_statement(struct web_request *request, struct errinfo *info);

/* ---- POST /v1/sql ---- */

MUST_USE enum err web__sql_routes(struct web_server *server, struct errinfo *info);
MUST_USE enum err web__openapi_route(struct web_server *server, struct errinfo *info);

/* Rows on their way out, in one format. */
struct web_writer {
    enum web_format format;
    bool numbers_as_text; /* JSON: integers of 64 bits and more, and decimals */
    struct query *query;
    const struct ArrowSchema *schema;
    bool *is_long_number; /* of each column; NULL: none is printed as text */
    struct buf cell;
    uint64_t row_count;
};

const char *web__content_type(enum web_format format);
bool web__format_find(struct slice name, enum web_format *ret_format);
/* `query` outlives the writer. */
MUST_USE enum err web__writer_init(struct web_writer *writer, enum web_format format,
                                   bool numbers_as_text, struct query *query,
                                   const struct ArrowSchema *schema, struct errinfo *info);
void web__writer_fini(struct web_writer *writer);
void web__print_columns(struct buf *out, struct query *query);
MUST_USE enum err web__write_head(struct web_writer *writer, struct buf *out, struct errinfo *info);
/* Rows from `*row` on until `out` has `bytes_stop` or the batch ends. */
MUST_USE enum err web__write_rows(struct web_writer *writer, const struct ArrowArray *batch,
                                  int64_t *row, size_t bytes_stop, struct buf *out,
                                  struct errinfo *info);
/* One row as JSON: an array of its cells. */
MUST_USE enum err web__print_row(const struct web_writer *writer, const struct ArrowArray *batch,
                                 int64_t row, struct buf *out, struct errinfo *info);
void web__write_tail(struct web_writer *writer, struct buf *out);
