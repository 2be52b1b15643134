/* Engines in processes of their own: the broker, which has tokens and data of all people, loads no
 * engine; hosts, which run SQL of one person each, have nothing but what their query was granted.
 *
 *     engine_hosts_open(&options, &hosts, info);
 *     engine_open(&(struct engine_options){.hosts = hosts, ...}, &engine, info);
 *     ... all of engine.h ...
 *     engine_close(engine);
 *     engine_hosts_close(hosts);
 *
 * A host is this program executed again: main() must begin with engine_host_is_asked().
 * Thread rule: as engine.h. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct engine_hosts;

struct engine_hosts_options {
    const char *program;       /* NULL = the running one; must call engine_host_main */
    unsigned busy_max;         /* hosts with a person, at work or kept for them; 0 = 20 */
    unsigned spare_count;      /* started ahead for whoever comes next; 0 = 1 */
    uint64_t memory_bytes_max; /* of the engine in each; 0 = as engine_options has it */
    unsigned cancel_ms;        /* a host that goes on longer after a cancel is killed; 0 = 5000 */
    unsigned wait_ms;          /* to wait for a host when all are busy; 0 = 30000 */
    unsigned idle_ms;          /* one kept for a person that they do not use; 0 = 60000 */
    unsigned statements_max;   /* then a host is replaced; 0 = 10000 */
    int64_t user_id;           /* of hosts, if the broker is root; -1 = the broker's */
    unsigned niceness;         /* 0 to 19: what a host steps back by */
    bool may_be_unconfined;    /* go on where the kernel has no seccomp */
    bool is_slotless;          /* batches through the socket: to measure, no more */
};

MUST_USE enum err engine_hosts_open(const struct engine_hosts_options *options,
                                    struct engine_hosts **ret_hosts, struct errinfo *info);
void engine_hosts_close(struct engine_hosts *hosts); /* after the engine */
DEFINE_CLEANUP(struct engine_hosts, engine_hosts_cleanup, engine_hosts_close)

/* In the order of the states of a host (README.md). */
struct engine_hosts_counts {
    unsigned starting;
    unsigned idle; /* of which most have no person yet */
    unsigned busy;
    unsigned draining;
    uint64_t started; /* since the engine was opened */
    uint64_t crashed; /* ended by themselves or by a signal that was not ours */
    uint64_t killed_deadline;
    uint64_t killed_memory;
    uint64_t replaced; /* ended for having served their time, or for another person */
    bool is_failing;   /* they do not start: three times in a row, the last time too */
    uint64_t resident_bytes;
};
struct engine_hosts_counts engine_hosts_count(struct engine_hosts *hosts);

/* For main(): true if the arguments ask for a host, and then what to return from main. */
bool engine_host_is_asked(int argc, char *const *argv);
int engine_host_main(void);
