/* For the module's own files and tests. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "fetch/fetch.h"

#define FETCH_ORIGIN_BYTES 280
#define FETCH_HEAD_BYTES_MAX 65536u

/* What connections hang on: one thread at a time drives it, and it goes back to the pool. */
struct fetch_lane {
    CURLM *multi;
    struct fetch_lane *next;
    char origin[FETCH_ORIGIN_BYTES]; /* last asked for, so that its connection is found again */
};

struct fetch_pool {
    atomic_uint references;
    char *peer;
    char *user_agent;
    char *ca_file; /* NULL = the system's */
    char *proxy;   /* "" = none */
    enum fetch_plain plain;
    bool is_http1;
    unsigned connections_max;
    pthread_mutex_t lock;
    struct fetch_lane *idle; /* the one used last first */
    size_t idle_count;
};

/* "scheme://host:port" of an address into `out`; false when it is none that can be asked. */
MUST_USE bool fetch__origin(struct slice url, char out[FETCH_ORIGIN_BYTES]);

/* fetch_pool.c */
struct fetch_lane *fetch__lane_take(struct fetch_pool *pool, const char *origin);
void fetch__lane_give(struct fetch_pool *pool, struct fetch_lane *lane);

/* Header lines as they came -> the value of the first that is called so. */
MUST_USE bool fetch__find_header(struct slice head, struct slice name, struct slice *ret_value);
