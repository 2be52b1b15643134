/* For the module's own files and tests. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "catalog/rest/rest.h"
#include "catalog/rest/rest_report_int.h"
#include "storage/remote.h"

#define REST_NAMES_MAX 1000000
#define REST_PAGES_MAX 10000
#define REST_NAMESPACE_DEPTH_MAX 16
#define REST_URL_BYTES_MAX 8192
#define REST_URI_BYTES_MAX 2048 /* of a catalog: the rest is for names */
#define REST_ETAG_BYTES_MAX 256
#define REST_CACHE_CONTROL_BYTES_MAX 128
#define REST_SITES_MAX 256

/* ---- what is kept (rest_cache.c): counted items by a key, the least recently used go ---- */

struct rest_key {
    uint8_t bytes[SHA256_BYTES];
};

struct rest_item {
    atomic_uint references;
    struct rest_key key;
    size_t bytes;
    void (*fini)(struct rest_item *item); /* then the item is freed */
    struct rest_item *next;               /* in its bucket, under the cache's lock */
    struct rest_item *newer;
    struct rest_item *older;
};

struct rest_cache;
MUST_USE enum err rest_cache__new(uint64_t bytes_max, struct rest_cache **ret_cache,
                                  struct errinfo *info);
void rest_cache__free(struct rest_cache *cache);
/* A reference, or NULL. */
struct rest_item *rest_cache__get(struct rest_cache *cache, const struct rest_key *key);
/* In the place of what had its key; takes a reference of its own. One that is larger than the cache
 * is not kept. */
void rest_cache__put(struct rest_cache *cache, struct rest_item *item);
void rest_cache__drop(struct rest_cache *cache, const struct rest_key *key);
void rest_item__unref(struct rest_item *item);

/* ---- the breaker (rest_breaker.c): one for each address ---- */

struct rest_breakers {
    pthread_mutex_t lock;
    struct rest_breaker {
        uint64_t address; /* hash; 0 = free */
        unsigned failures;
        int64_t closed_until_us; /* nobody asks before; 0 = everybody may */
        bool is_probing;
        int64_t used_us;
    } sites[REST_SITES_MAX];
};

/* False: it does not answer, and is asked again after `ret_wait_us`. Who is let in must say how it
 * went. */
bool rest_breaker__enter(struct rest_breakers *breakers, struct slice uri, int64_t now_us,
                         int64_t *ret_wait_us);
void rest_breaker__leave(struct rest_breakers *breakers, struct slice uri, int64_t now_us,
                         bool has_answered, unsigned failures_max, int64_t pause_us);

/* ---- the hub ---- */

struct rest {
    struct rest_options options;
    char *ca_file;
    char *origins;
    struct rest_cache *cache;
    struct rest_breakers breakers;
    struct rest_reporter *reporter;
};

/* ---- one request (rest_call.c) ---- */

enum rest_endpoint {
    REST_LIST_NAMESPACES = 1 << 0,
    REST_LOAD_NAMESPACE = 1 << 1,
    REST_LIST_TABLES = 1 << 2,
    REST_LOAD_TABLE = 1 << 3,
    REST_LIST_VIEWS = 1 << 4,
    REST_LOAD_VIEW = 1 << 5,
    REST_LOAD_CREDENTIALS = 1 << 6,
    REST_SIGN = 1 << 7,
    REST_CREATE_NAMESPACE = 1 << 8,
    REST_DROP_NAMESPACE = 1 << 9,
    REST_CREATE_TABLE = 1 << 10,
    REST_REGISTER_TABLE = 1 << 11,
    REST_UPDATE_TABLE = 1 << 12,
    REST_DROP_TABLE = 1 << 13,
    REST_RENAME_TABLE = 1 << 14,
    REST_PLAN_SCAN = 1 << 15,
    REST_FETCH_PLAN = 1 << 16,
    REST_CANCEL_PLAN = 1 << 17,
    REST_FETCH_TASKS = 1 << 18,
    REST_UPDATE_NAMESPACE = 1 << 19,
    REST_CREATE_VIEW = 1 << 20,
    REST_DROP_VIEW = 1 << 21,
    REST_RENAME_VIEW = 1 << 22,
    REST_COMMIT_ALL = 1 << 23,
    REST_UPDATE_VIEW = 1 << 24,
    REST_REPORT = 1 << 25,
};

/* What the catalog told this person of itself. */
struct rest_config {
    struct rest_item item;
    char *prefix; /* encoded, with a slash at its end; empty = none */
    char *separator;
    unsigned endpoints;
    bool takes_keys;             /* Idempotency-Key */
    enum rest_planning planning; /* of tables that say nothing of it */
    enum rest_reports reports;
    int64_t fetched_us;
};

/* All that the parts of one operation share. */
struct rest_call {
    struct rest *rest;
    const struct rest_catalog *catalog;
    const struct identity *who;
    struct rest_config *config; /* held; NULL while it is asked for */
    struct slice staged; /* what would stage the table again where it is; empty: it is there */
    struct errinfo *info;
};

MUST_USE enum err rest_call__open(struct rest *rest, const struct rest_catalog *catalog,
                                  const struct identity *who, struct rest_call *ret_call,
                                  struct errinfo *info);
void rest_call__close(struct rest_call *call);

/* The key of something of this person and catalog. */
MUST_USE enum err rest_call__key(const struct rest_call *call, const char *kind,
                                 const struct slice *parts, size_t part_count,
                                 struct rest_key *ret_key);

struct rest_answer {
    long status; /* 200, 204, 304 */
    struct secret body;
    char etag[REST_ETAG_BYTES_MAX];
    char cache_control[REST_CACHE_CONTROL_BYTES_MAX];
    /* With an error: what changes something may have been done all the same. */
    bool is_unknown;
};
void rest_answer__fini(struct rest_answer *answer);

struct rest_question {
    struct slice method;      /* empty = GET */
    struct slice path;        /* behind the catalog's address, encoded, with its query */
    struct slice url;         /* in the place of both; people's tokens go there */
    struct slice body;        /* JSON; `ptr` NULL = none */
    const char *content_type; /* of a body that is something else; NULL = JSON */
    const char *action;       /* Glue: of the metastore's */
    struct slice key;         /* Idempotency-Key; empty = none */
    bool changes;             /* may be done once only, unless it has a key */
    const char *etag;         /* If-None-Match; NULL = none */
    bool delegates;           /* asks for vended credentials */
    const char *what;         /* "table", "namespace" ...; for messages */
    struct slice name;        /* of it */
};
/* What is no 200 (or 304 where an etag is given, or 204 to another method than GET) is an error. */
MUST_USE enum err rest_call__ask(const struct rest_call *call, const struct rest_question *question,
                                 struct rest_answer *ret_answer);

/* ---- addresses (rest_url.c) ---- */

void rest_url__encode(struct buf *out, struct slice text);
/* "v1/<prefix>namespaces/<ns>" */
void rest_url__namespace(struct buf *out, const struct rest_config *config,
                         const struct rest_namespace *ns);
/* The levels, with the separator between them. */
void rest_url__levels(struct buf *out, const struct rest_config *config,
                      const struct rest_namespace *ns);
bool rest_url__is_separator(struct slice text);
/* Encodes what a prefix may not have as it is. False for one that would leave its place. */
bool rest_url__prefix(struct slice text, struct buf *out);

/* ---- answers (rest_answer.c) ---- */

/* The members of a JSON object, as they are written: values of `keys`, empty where there is none.
 * ERR_CORRUPT (08P01) for what is no object and for members that are there twice. Values are
 * balanced, but not looked into. */
MUST_USE enum err rest_members(struct slice text, const char *const *keys, size_t key_count,
                               struct slice *ret_values, struct errinfo *info);
MUST_USE enum err rest_answer__json(const struct rest_call *call, struct slice text,
                                    struct arena *arena, struct json **ret_root);
enum err(rest_answer__wrong)(const struct rest_call *call, const char *what);
#define rest_answer__wrong(...) ((void)(rest_answer__wrong)(__VA_ARGS__), (enum err)ERR_CORRUPT)

/* ---- parsers of answers: text that others wrote ---- */

struct rest_names_page {
    struct rest_name *names;
    size_t count;
    struct slice next_token; /* empty = the last */
};
MUST_USE enum err rest_parse__names(const struct rest_call *call, struct slice text, bool is_view,
                                    struct arena *arena, struct rest_names_page *ret_page);
struct rest_namespaces_page {
    struct rest_namespace *namespaces;
    size_t count;
    struct slice next_token;
};
MUST_USE enum err rest_parse__namespaces(const struct rest_call *call, struct slice text,
                                         struct arena *arena,
                                         struct rest_namespaces_page *ret_page);
/* `ret_config` is new: one reference. */
MUST_USE enum err rest_parse__config(const struct rest_call *call, struct slice text,
                                     struct rest_config **ret_config);

/* ---- tokens (rest_token.c) ---- */

/* "Bearer ..." for this request. `is_again`: the last one was refused. */
MUST_USE enum err rest_token__header(const struct rest_call *call, bool is_again,
                                     struct secret *ret_header);
/* True if another try may have another token. */
bool rest_token__can_change(const struct rest_call *call);

/* ---- credentials (rest_credential.c) ---- */

struct rest_credential {
    char *prefix;
    struct storage_property *properties; /* views of what is below */
    struct secret *values;
    char **keys;
    size_t count;
};

/* What an answer vends for one table. */
struct rest_vended {
    struct rest_credential *credentials;
    size_t count;
};
void rest_vended__fini(struct rest_vended *vended);
/* "storage-credentials" (may be empty text) and "config" of an answer. */
MUST_USE enum err rest_vended__parse(const struct rest_call *call, struct slice credentials,
                                     struct slice config, struct rest_vended *ret_vended);
/* Those that storage knows, in `arena`: views of `vended`. */
MUST_USE enum err rest_vended__list(const struct rest_vended *vended, struct arena *arena,
                                    struct storage_credential **ret_credentials, size_t *ret_count,
                                    struct errinfo *info);

/* A grant of storage for one table and person, renewed by this catalog, which holds `*ret_lent_to`.
 * NULL: nothing was vended. `plan_id`: it is for that plan's files; empty: for the table's. */
MUST_USE enum err rest_lend(const struct rest_call *call, const struct rest_namespace *ns,
                            struct slice name, struct slice plan_id,
                            const struct rest_vended *vended, struct slice signing,
                            struct storage_grant **ret_grant, const struct identity **ret_lent_to);

/* ---- tables (rest_load.c) ---- */

struct rest_table {
    struct rest_item item;
    struct identity *who;           /* held: whose the grant is */
    struct storage_grant *grant;    /* NULL: nothing was vended */
    const struct identity *lent_to; /* the same person, held by the grant */
    bool is_view;
    enum rest_planning planning;
    char *etag;
    char *metadata_location;
    char *folder;           /* of a metastore: what the grant is for */
    struct secret metadata; /* wiped with the rest: column bounds are data too */
    struct secret restrictions;
};

/* The table as the catalog gives it now: a reference. */
MUST_USE enum err rest_load__table(const struct rest_call *call, const struct rest_namespace *ns,
                                   struct slice name, struct rest_table **ret_table);
/* Likewise, or as it was given last. */
MUST_USE enum err rest_load__kept(const struct rest_call *call, const struct rest_namespace *ns,
                                  struct slice name, struct rest_table **ret_table);
/* Of an answer that made one, also a staged one. */
MUST_USE enum err rest_load__made(const struct rest_call *call, const struct rest_namespace *ns,
                                  struct slice name, const struct rest_answer *answer,
                                  struct rest_table **ret_table);
MUST_USE enum err rest_load__give(const struct rest_table *table, struct arena *arena,
                                  struct rest_loaded *ret_loaded, struct errinfo *info);
/* Credentials of a table, or of a plan of it, asked for anew. */
MUST_USE enum err rest_load__vended(const struct rest_call *call, const struct rest_namespace *ns,
                                    struct slice name, struct slice plan_id,
                                    struct rest_vended *ret_vended);
/* The same of a table that is not there yet, by staging it again. */
MUST_USE enum err rest_load__staged(const struct rest_call *call, const struct rest_namespace *ns,
                                    struct slice name, struct slice request,
                                    struct rest_vended *ret_vended);
/* Connections to the store, of this person and catalog (rest_http.c): a reference. */
struct fetch_pool;
MUST_USE enum err rest_http__store_pool(const struct rest_call *call, struct fetch_pool **ret_pool);
