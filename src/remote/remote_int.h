/* One table of functions a door. Internal. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/secret.h"
#include "remote/remote.h"

#define REMOTE_NOTICE_BYTES 1024

struct remote_ops {
    enum err (*open)(struct remote *remote, const struct remote_options *options,
                     struct errinfo *info);
    void (*close)(struct remote *remote);
    /* Sets the answer's schema or leaves it; its tag and notice then or at the end. */
    enum err (*run)(struct remote *remote, struct remote_answer *answer, struct errinfo *info);
    enum err (*next)(struct remote *remote, struct remote_answer *answer,
                     struct ArrowArray *ret_batch, struct errinfo *info);
    /* The answer is not read on. */
    void (*end)(struct remote *remote, struct remote_answer *answer);
    void (*cancel)(struct remote *remote); /* with the remote's lock held */
    /* Of the server's running queries those of this connection: a condition. Any thread. */
    void (*print_own)(const struct remote *remote, struct buf *out);
    /* Whom a second connection signs in as, if not as this one did. NULL: likewise. Any thread. */
    void (*sign_in_aside)(const struct remote *remote, struct remote_options *options);
};

struct remote_progress;

struct remote {
    const struct remote_ops *ops;
    const struct remote_address *address;
    void *state; /* the door's */
    pthread_mutex_t lock;
    bool is_running; /* under the lock: there is something to cancel */
    atomic_bool is_cancelled;
    /* For who looks how far it is. */
    bool is_watched;
    char *user;
    struct secret secret; /* empty unless it is watched, like the name */
    bool is_token;
    atomic_ullong statement_number;
    atomic_llong begun_us; /* of the statement */
    struct remote_progress *progress;
};

struct remote_answer {
    struct remote *remote;
    char *statement; /* with a NUL behind it */
    size_t statement_len;
    const struct ArrowSchema *schema;
    bool is_over;
    void *state; /* the door's */
    char tag[64];
    char notice[REMOTE_NOTICE_BYTES];
};

extern const struct remote_ops remote_postgres, remote_http, remote_flight;

void remote__progress_stop(struct remote_progress *progress); /* NULL is allowed */

/* The code for an SQLSTATE. */
enum err remote__code(const char *sqlstate);
/* From the n-th character, from 1, to the byte, from 1; 0 stays. */
size_t remote__position(struct slice statement, size_t character);

/* ---- PostgreSQL's texts as Arrow (value.c) ---- */

struct remote_columns;

/* A column for each: its name (copied), the number of its type and its modifier. */
MUST_USE enum err remote__columns_new(size_t count, struct remote_columns **ret_columns,
                                      struct errinfo *info);
void remote__columns_free(struct remote_columns *columns);
MUST_USE enum err remote__column_set(struct remote_columns *columns, size_t index,
                                     struct slice name, uint32_t type, int32_t modifier,
                                     struct errinfo *info);
/* Once all are set. As long as the columns. */
MUST_USE enum err remote__columns_schema(struct remote_columns *columns,
                                         const struct ArrowSchema **ret_schema,
                                         struct errinfo *info);
/* The next cell of a column; NULL ptr: none. ERR_INVALID: it is not of its type. */
MUST_USE enum err remote__cell(struct remote_columns *columns, size_t index, struct slice text,
                               struct errinfo *info);
/* What was added, as a batch of `row_count` rows. */
MUST_USE enum err remote__columns_take(struct remote_columns *columns, int64_t row_count,
                                       struct ArrowArray *ret_batch, struct errinfo *info);
size_t remote__columns_bytes(const struct remote_columns *columns);
