/* What doors over HTTP share: who asks, statements, and statements that outlive a request; and the
 * door of its own, POST /v1/sql (docs/http.md).
 *
 * A request signs in by what it carries. A run is one statement with a session of its own: state
 * that is kept from one request to the next is the client's. A kept run goes on between requests,
 * up to two pages of rows ahead of its client, and belongs to the person who began it. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "identity/identity.h"
#include "query/query.h"
#include "wire/http/http.h"

struct web_server;
struct web_login;

struct web_options {
    struct warehouse *warehouse;
    const struct config *config; /* outlives the server */
    bool is_tls_required;
};

/* With the routes of POST /v1/sql; other doors add theirs (web_http) before the loop runs. */
MUST_USE enum err web_open(const struct web_options *options, struct web_server **ret_server,
                           struct errinfo *info);
void web_close(struct web_server *server); /* after the loop; ends what still runs */
/* The context of listeners of http_protocol. */
struct http_server *web_http(struct web_server *server);
struct warehouse *web_warehouse(const struct web_server *server);

/* ---- who asks ---- */

struct web_visitor {
    const char *protocol;     /* literal: "http", "trino" */
    struct slice application; /* what the program calls itself; views of the request */
    bool shows_browser;       /* it can send its person to an address, and wait */
};

/* Whose request it is, good until the exchange ends, or NULL: then it has been answered (401, 403,
 * 429, 503). A sign-in is kept with the connection for requests that carry the same. */
struct identity *web_sign_in(struct web_server *server, struct http_exchange *exchange,
                             const struct web_visitor *visitor);
/* The status for an error, and what belongs in its head. */
unsigned web_status(const struct errinfo *info);
void web_error_headers(struct http_exchange *exchange, unsigned status);
/* {"sqlstate": ..., "message": ...}; position is in characters of `statement`. */
void web_print_error(struct buf *out, const struct errinfo *info, struct slice statement);
/* The whole answer: {"error": {...}}. */
void web_reply_error(struct http_exchange *exchange, const struct errinfo *info,
                     struct slice statement);

/* ---- one statement ---- */

struct web_run;

struct web_setting {
    struct slice name;
    struct slice value;
};

struct web_run_spec {
    enum session_protocol protocol;
    struct web_visitor visitor;
    struct identity *who;
    struct slice address; /* of the client, with its port */
    struct slice catalog; /* empty: the default */
    struct slice schema;
    const struct web_setting *settings;
    size_t setting_count;
    struct web_login *login; /* of a cookie (web__login_of), which ends it too; NULL: none */
};

/* A session as the spec says. From here on it is in the list of sessions and can be stopped. */
MUST_USE enum err web_run_open(struct web_server *server, const struct web_run_spec *spec,
                               struct web_run **ret_run, struct errinfo *info);
void web_run_close(struct web_run *run); /* NULL is allowed */
DEFINE_CLEANUP(struct web_run, web_run_cleanup, web_run_close)
struct session *web_run_session(struct web_run *run);

/* Up to where its first row can be pulled; one statement, one at a time. */
MUST_USE enum err web_run_start(struct web_run *run, struct slice statement,
                                const struct query_parameter *parameters, size_t parameter_count,
                                struct errinfo *info);
struct query *web_run_query(struct web_run *run);                    /* once it has started */
const struct ArrowSchema *web_run_schema(const struct web_run *run); /* NULL: it has no rows */
/* At the end ret_batch->release is NULL. */
MUST_USE enum err web_run_next(struct web_run *run, struct ArrowArray *ret_batch,
                               struct errinfo *info);
/* Any thread: what it does now, and from now on, is cancelled. */
void web_run_stop(struct web_run *run);

/* ---- a statement that outlives a request ---- */

struct web_kept;

/* What one door makes of rows. `begin` when the columns are known, `batch` (or NULL) for each batch
 * of rows before the first of them, `row` for each; they run on the thread that pulls. */
struct web_printer {
    void *context;
    enum err (*begin)(void *context, struct query *query, const struct ArrowSchema *schema,
                      struct errinfo *info);
    void (*batch)(void *context, const struct ArrowArray *batch);
    enum err (*row)(void *context, const struct ArrowArray *batch, int64_t row, struct buf *out,
                    struct errinfo *info);
    void (*close)(void *context);
};

struct web_kept_spec {
    struct slice statement; /* copied */
    const struct query_parameter *parameters;
    size_t parameter_count;
    struct web_printer printer;
};

/* Starts it on a thread of its own. The run and the printer are its from here on, also after an
 * error. ERR_BUSY (53300): the server, or the person, has as many as it may. */
MUST_USE enum err web_kept_open(struct web_server *server, struct web_run *run,
                                const struct web_kept_spec *spec, struct web_kept **ret_kept,
                                struct errinfo *info);
/* The one of that id and secret whose person `who` is; NULL: there is none, or it is another's. */
struct web_kept *web_kept_find(struct web_server *server, const struct identity *who,
                               const char *protocol, struct slice id, struct slice secret);
/* By its id alone: to look at it and to stop it, not for its rows. */
struct web_kept *web_kept_find_own(struct web_server *server, const struct identity *who,
                                   const char *protocol, struct slice id);
void web_kept_unref(struct web_kept *kept);
DEFINE_CLEANUP(struct web_kept, web_kept_cleanup, web_kept_unref)
const char *web_kept_id(const struct web_kept *kept);     /* names it, and tells nothing */
const char *web_kept_secret(const struct web_kept *kept); /* in addresses of it only */
void *web_kept_printer(const struct web_kept *kept);
struct slice web_kept_statement(const struct web_kept *kept);

enum web_kept_state {
    WEB_KEPT_STARTING, /* until its first row can be pulled */
    WEB_KEPT_RUNNING,
    WEB_KEPT_DONE,
    WEB_KEPT_FAILED,
};

struct web_page {
    enum web_kept_state state;
    bool is_known; /* `rows` is page `token`; else there is nothing yet: ask again */
    bool is_gone;  /* the token is of a page that is no more, or was never named */
    bool is_last;  /* nothing comes after it */
    bool has_columns;
    struct slice rows; /* printed, with commas between them; until web_page_fini */
    struct web_rows *held;
    uint64_t row_count;
    uint64_t rows_total; /* given out with this page */
    char tag[64];
    char notice[ERRINFO_MESSAGE_BYTES];
    double progress; /* percent, or below 0 */
    int64_t queued_us, elapsed_us;
};

/* The page of `token`, from 0 on; the one that was asked for last may be asked for again. Waits for
 * rows or the end, `wait_ms` at most. FAILED: once all rows were given out, `ret_why` says why. */
void web_kept_page(struct web_kept *kept, uint64_t token, int64_t wait_ms,
                   struct web_page *ret_page, struct errinfo *ret_why);
/* Without taking rows. */
void web_kept_look(struct web_kept *kept, struct web_page *ret_page, struct errinfo *ret_why);
void web_page_fini(struct web_page *page);
/* Cancels what runs and forgets it. */
void web_kept_stop(struct web_kept *kept);
