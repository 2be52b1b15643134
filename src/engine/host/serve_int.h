/* The host's side: a process that serves one broker, and never more than one person.
 *
 *   serve.c        start, threads, the control channel
 *   serve_query.c  the query channel
 *   serve_grant.c  grants whose bytes the broker has; lanes
 *   confine.c      what the process gives up before it serves */
#pragma once

#include <pthread.h>

#include "engine/engine.h"
#include "engine/host/channel.h"
#include "engine/host/protocol.h"

/* A way to ask the broker something; one asker at a time. */
struct lane {
    struct channel channel;
    char *buffer; /* HOST_LANE_BYTES, shared */
    bool is_taken;
    struct buf body;
};

struct server {
    struct host_hello hello;
    struct channel control;
    struct channel query;
    struct channel urgent;
    void *memory;
    struct identity
        *who; /* the engine wants somebody; whose statements they are, the broker knows */
    struct engine *engine;
    struct engine_session *side; /* of the control channel */
    struct engine_session *main; /* of the query channel */

    pthread_mutex_t cancel_lock;
    uint64_t cancelled_epoch;
    uint64_t side_epoch; /* of the request that the session works for */
    uint64_t main_epoch;
    struct engine_query *running;
    uint64_t running_number;

    pthread_mutex_t lane_lock;
    pthread_cond_t lane_free;
    struct lane lanes[HOST_LANES_MAX];
};

/* The other end is gone or mad: so are we. */
__attribute__((noreturn)) void serve__end(void);

/* Before and during a request of this epoch. */
void serve__begin(struct server *server, struct engine_session *session, uint64_t epoch);
void serve__reply(struct channel *channel, enum err err, const struct errinfo *info,
                  struct slice body);

void *serve__queries(void *server);

/* ---- grants of one request ---- */

struct served_grants {
    struct arena *arena;
    struct served_grant *list;
    size_t count;
};

/* Opens what the request brought and puts its addresses into `sql` (in place). */
MUST_USE enum err serve__grants_open(struct server *server, struct wire *in,
                                     struct served_grants *ret_grants, struct errinfo *info);
void serve__grants_bind(const struct served_grants *grants, char *sql, size_t len);
void serve__grants_close(struct served_grants *grants);
/* Files opened by all of them. */
uint64_t serve__grants_opened(const struct served_grants *grants);

extern const struct engine_spill serve__spill; /* context: the server */
extern const struct engine_mask serve__mask;

/* ---- confinement (confine.c) ---- */

/* Right after the start, before the engine is loaded. */
void confine__early(void);
/* With all threads running: another user, limits, and the list of allowed system calls. */
MUST_USE enum err confine__late(const struct host_hello *hello, struct errinfo *info);

/* Reads the hello, opens the engine, confines the process, and tells the broker. Returns with the
 * threads of the other channels running. For serve.c, and for a test that then tries to escape. */
void serve__start(struct server *server);
