/* A small store for tests of how we behave when one misbehaves; what a store really does is
 * tested against real ones (tests/storage). */
#pragma once

#include "base/test.h"
#include "fetch/testing.h"
#include "storage/cache_int.h"
#include "storage/s3_int.h"

#define STORE_OBJECTS 8
#define STORE_FAULTS 8

struct store_object {
    char path[128]; /* "/bucket/key" */
    char *bytes;
    size_t len;
    unsigned version;
};

/* The next `times` requests of `method` for a path that holds `path` are answered so. */
struct store_fault {
    const char *method; /* NULL = any */
    const char *path;   /* NULL = any */
    int times;
    struct fetch_peer_reply reply;
    const char *body;
    const char *headers;
    bool is_late; /* the object all the same, cut or of another version */
    bool ignores_range;
    bool is_other_version;
};

struct store {
    struct fetch_peer *peer;
    char url[64];
    pthread_mutex_t lock;
    struct store_object objects[STORE_OBJECTS];
    size_t object_count;
    struct store_fault faults[STORE_FAULTS];
    size_t fault_count;
    const char *accepted; /* access key that is let in; NULL = any */
    bool ignores_match;
    unsigned gets, heads, puts, others, refused;
    int64_t delay_ms;
    char last_authorization[512];
    char last_target[512];
};

void store_open(struct store *store);
void store_close(struct store *store);
void store_put(struct store *store, const char *path, const char *bytes, size_t len);
void store_fault(struct store *store, struct store_fault fault);

/* Two people, who are opaque to storage. */
const struct identity *person(int number);

struct lender { /* the catalog's side */
    struct storage_remote *remote;
    struct fetch_pool *pool;
    struct errinfo info;
};
void lender_open(struct lender *lender, const struct storage_remote_options *options);
void lender_close(struct lender *lender);
struct storage_credential credential_of(const struct store *store, const char *access_key);
struct storage_grant *lend(struct lender *lender, const struct store *store, int number,
                           const char *access_key);
