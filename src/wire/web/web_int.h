/* Of this module's files. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/secret.h"
#include "wire/web/web.h"

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
    atomic_size_t puller_count; /* threads that pull rows for kept runs */
};

/* What a connection keeps: who the last request was. */
struct web_person {
    struct secret shown; /* the credential as it came */
    struct identity *who;
};

void web__person_close(void *state);
/* Ends the sign-in of the connection: the next request signs in anew. */
void web__sign_out(struct http_exchange *exchange);

/* ---- kept runs ---- */

MUST_USE enum err web__keeper_open(struct web_server *server, struct errinfo *info);
void web__keeper_close(struct web_server *server);

bool web__run_is_stopped(struct web_run *run);
struct identity *web__run_who(const struct web_run *run);
const char *web__run_protocol(const struct web_run *run);
/* With the server's lock held. Those that were told to stop are told once more: they may have been
 * between two things. */
void web__runs_stop_again(struct web_server *server);

/* ---- POST /v1/sql ---- */

MUST_USE enum err web__sql_routes(struct web_server *server, struct errinfo *info);
MUST_USE enum err web__openapi_route(struct web_server *server, struct errinfo *info);

enum web_format {
    WEB_JSON,
    WEB_JSON_LINES,
    WEB_CSV,
    WEB_ARROW,
};

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
