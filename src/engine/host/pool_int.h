/* Hosts as the broker has them: their states, who gets which, and what they ask for. */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/hash.h"
#include "engine/engine_module.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/channel.h"
#include "engine/host/host.h"
#include "engine/host/protocol.h"

/* Whose statements a host may see: a hash of all that policy can depend on. */
struct person {
    uint8_t hash[SHA256_BYTES];
};
MUST_USE enum err person_of(const struct identity *who, struct person *ret_person,
                            struct errinfo *info);
static inline bool person_equal(const struct person *a, const struct person *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- hosts ---- */

enum host_state {
    HOST_STARTING, /* executed, has not said that it is ready */
    HOST_IDLE,     /* ready; kept for a person, or nobody's yet */
    HOST_BUSY,     /* a session has it */
    HOST_DRAINING, /* told or made to end */
    HOST_DEAD,     /* buried; what is left of it goes with its last user */
};
#define HOST_STATES 5

enum host_death {
    DEATH_UNKNOWN,
    DEATH_DEADLINE, /* killed: went on after a cancel */
    DEATH_MEMORY,   /* killed: took too much */
    DEATH_PROTOCOL, /* killed: said what no host says */
    DEATH_WANTED,   /* replaced or no longer needed */
};

struct attachment {
    uint64_t number;
    struct engine_grant *grant; /* a reference */
};

struct host {
    struct engine_hosts *hosts;
    struct host *next; /* in the pool, under its lock */
    _Atomic unsigned refs;

    /* under the pool's lock */
    enum host_state state;
    bool has_person;
    struct person person;
    uint64_t statements;
    int64_t since_us;   /* of the state */
    int64_t kill_at_us; /* 0: not yet */
    enum host_death death;
    int wait_status; /* once dead */
    uint64_t resident_bytes;

    pid_t pid;
    int process; /* pidfd */
    struct channel control;
    struct channel query;
    struct channel urgent;
    pthread_mutex_t urgent_lock;
    void *memory;
    unsigned lane_count;
    int spill_folder; /* -1: none */
    char *spill_parent;
    char spill_name[64];
    pthread_mutex_t spill_lock;
    unsigned spill_files; /* made so far; under spill_lock, as is the folder */

    /* of the session that has the host */
    _Atomic uint64_t epoch; /* cancels so far */
    _Atomic uint64_t next_query;
    _Atomic uint64_t granted_bytes; /* to the query that it has or had last; 0 = all it may */

    pthread_mutex_t attach_lock;
    struct attachment *attachments;
    size_t attachment_count;
    size_t attachment_capacity;
};

void host__ref(struct host *host);
void host__unref(struct host *host);

struct waiter {
    struct waiter *next;
    const struct person *person;
};

struct engine_hosts {
    const struct engine_module_ops *ops; /* first: struct engine_hosts_base */
    struct engine_hosts_options options;
    char *program;
    struct engine *engine; /* the one that they serve; NULL until it is open */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a host became idle or ended, or starting failed */
    struct host *list;
    struct waiter *waiters; /* first come, first served */
    unsigned live_count;    /* hosts not freed yet */
    bool is_closing;
    _Atomic uint64_t next_number; /* of attachments, never twice */
    unsigned failures;            /* to start, one after the other */
    struct errinfo failure;
    struct engine_hosts_counts counts;

    pthread_t keeper;
    bool has_keeper;
    int wake; /* eventfd: the keeper looks again */
};

/* The table of moves (README.md, "States"); a move that is not in it is a bug. Under the lock. */
void pool__move(struct host *host, enum host_state state);
/* Kills, and says why; the keeper buries. Under the lock. */
void pool__kill(struct host *host, enum host_death death);
void pool__wake(struct engine_hosts *hosts);
unsigned pool__count_bound(const struct engine_hosts *hosts);

/* A host for this person alone, BUSY; the caller's until pool__release. `is_nested`: a host waits
 * for what this one will do, so it must not wait for that one's place. ERR_BUSY (53300). */
MUST_USE enum err pool__lease(struct engine_hosts *hosts, const struct person *person,
                              bool is_nested, struct host **ret_host, struct errinfo *info);
void pool__release(struct host *host, bool is_broken);

/* While a call is out that was cancelled: the host must answer or die. */
void pool__expect_end(struct host *host);
void pool__answered(struct host *host);

/* Why a call on this host got no answer; waits until the process is buried. */
enum err pool__report_end(struct host *host, struct errinfo *info);

MUST_USE enum err keeper__start(struct engine_hosts *hosts, struct errinfo *info);
void keeper__stop(struct engine_hosts *hosts); /* kills and buries all */

/* Executes the program and starts its lanes; STARTING. Only on the keeper's thread: the process
 * ends with the thread that made it. */
MUST_USE enum err spawn__host(struct engine_hosts *hosts, struct host **ret_host,
                              struct errinfo *info);
/* After its last user: descriptors, memory, spill files. */
void spawn__free(struct host *host);
/* Waits for the process; only once, and not under the lock unless it is known to have ended. */
void spawn__bury(struct host *host);

/* ---- what hosts ask for ---- */

MUST_USE bool lane__start(struct host *host, unsigned index, int fd);
/* True on a thread that serves a lane. */
bool lane__is_here(void);

/* One request as it came; the answer is in `out`. False for what no host would ask: it dies. */
struct lane_request {
    struct host *host;
    unsigned lane;
    uint32_t kind;
    struct slice body;
    struct buf *out;
    enum err err; /* with `info` */
    struct errinfo info;
    int fd; /* to send with the answer; -1 = none */
    bool has_no_answer;
};
MUST_USE bool lane__handle(struct lane_request *request);
