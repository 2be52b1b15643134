/* The list of clients and of running queries: what the module's own files see. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/catalog.h"
#include "query/clients.h"

struct query;

struct clients {
    pthread_mutex_t lock; /* for all that follows; taken before any lock of a session */
    struct client *first;
    struct running *running;
    uint32_t next_id;
};

/* A query's part of the list, from query_open to its end. */
struct running {
    struct running *next, *previous;
    struct client *client; /* NULL: not of a server */
    const struct identity *who;
    const char *query_id;
    struct slice statement; /* redacted; empty until it has been taken apart */
    const char *command;
    atomic_int state; /* enum query_state */
    int64_t started_wall_us;
    atomic_ullong rows_out;
    atomic_llong idle_since_us; /* its client has rows, or could ask for them; 0: it works */
    bool is_ended;              /* for being idle; under the lock */
};

void clients_init(struct clients *clients);
void clients_fini(struct clients *clients);

void clients_add(struct clients *clients, struct query *query);
/* What it is has become known. */
void clients_tell(struct clients *clients, struct query *query);
void clients_remove(struct clients *clients, struct query *query);

/* Ends the connection whose query has been idle for longest, and since before `since_us`, if that
 * keeps `waiting` from a place; one after the other. */
void clients_end_idle(struct clients *clients, const struct query *waiting, int64_t since_us);

/* What `who` may see of them, in `arena`; `self` is the client that asks, or NULL. */
MUST_USE enum err clients_list(struct clients *clients, const struct identity *who,
                               const struct client *self, struct arena *arena,
                               struct catalog_activity *ret_activity, struct errinfo *info);

/* Of a session's client, or NULL: from the session's thread. */
MUST_USE enum err client_list_cursors(struct client *client, struct arena *arena,
                                      struct client_cursor **ret_cursors, size_t *ret_count,
                                      struct errinfo *info);

void client_print_settings(struct client *client, struct buf *out);

enum client_signal {
    CLIENT_CANCEL,
    CLIENT_TERMINATE
};

/* False: there is no such client, or none that `who` may stop. `ret_user` in `arena`: whose it
 * is. */
MUST_USE enum err clients_signal(struct clients *clients, const struct identity *who, int64_t id,
                                 enum client_signal signal, struct arena *arena, bool *ret_done,
                                 struct slice *ret_user, struct errinfo *info);
