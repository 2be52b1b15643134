/* Objects of a store elsewhere, read and written with what a catalog lent one person.
 *
 * A `storage_remote` is the process's: how to ask, and the block cache. A `storage_grant` is one
 * person's and holds credentials for the objects under some prefixes, as long as they live or can
 * be renewed. There is no other way to such objects: nothing is taken from the environment, from
 * files or from an instance's metadata.
 * Provider so far: S3 (s3://, s3a://, s3n://). Thread rule: everything here may be used by many
 * threads at once, but a `storage_upload` by one. */
#pragma once

#include "storage/storage.h"

struct fetch_header;
struct fetch_pool;

/* ---- the process's part ---- */

/* Texts are copied. Zero means the default in brackets. */
struct storage_remote_options {
    struct slice ca_file;  /* empty = the system's authorities */
    struct slice proxy;    /* empty = none */
    bool allow_plain_http; /* http:// beyond loopback, whose secrets everybody on the way reads */
    int64_t connect_ms;    /* [5 s] */
    int64_t timeout_ms;    /* [30 s] of one request; without a byte, a third of it */
    int64_t patience_ms;   /* [60 s] of one read or write with all that is tried again */
    unsigned connections_max;    /* [8] of one read */
    uint64_t cache_memory_bytes; /* 0 = no cache */
    uint64_t cache_disk_bytes;   /* 0 = none on disk; needs `cache_folder` and a memory cache */
    struct slice cache_folder;
    size_t cache_block_bytes; /* [256 KiB] */
};

struct storage_remote;

MUST_USE enum err storage_remote_open(const struct storage_remote_options *options,
                                      struct storage_remote **ret_remote, struct errinfo *info);
/* After the last grant is gone. */
void storage_remote_close(struct storage_remote *remote);
DEFINE_CLEANUP(struct storage_remote, storage_remote_cleanup, storage_remote_close)

struct storage_counts {
    uint64_t requests;
    uint64_t repeats; /* of them, tried again */
    uint64_t bytes_received;
    uint64_t bytes_sent;
    uint64_t renewals;
    uint64_t memory_hits; /* blocks */
    uint64_t disk_hits;
    uint64_t misses;
    uint64_t hit_bytes;
    uint64_t damaged; /* blocks on disk that were not what was written */
    uint64_t memory_bytes;
    uint64_t disk_bytes;
};
void storage_remote_counts(struct storage_remote *remote, struct storage_counts *ret_counts);

/* Connections for one person and one catalog, which the grants of that person share, and nobody
 * else's: keep it with the person's session there. fetch_pool_unref. */
MUST_USE enum err storage_remote_pool(struct storage_remote *remote, struct fetch_pool **ret_pool,
                                      struct errinfo *info);

/* ---- grants ---- */

/* What may be done under one prefix. The object's location decides by the longest that fits. */
struct storage_credential {
    struct slice prefix; /* "s3://bucket/warehouse/t1/"; empty = whatever the grant is used for */
    struct slice access_key;
    struct slice secret_key;
    struct slice session_token;
    int64_t expires_wall_us; /* 0 = not said */
    struct slice region;     /* empty = asked for */
    struct slice endpoint;   /* "https://host:port"; empty = the cloud's own */
    bool is_path_style;      /* else by what the endpoint and the bucket allow */
    bool is_signed;          /* no keys: each request is signed by the grant's `sign` */
};

/* From the properties that an Iceberg REST catalog gives with a table or a credential of it
 * ("s3.access-key-id", "client.region" ...): views of them. False when there are none of S3. */
struct storage_property {
    struct slice name;
    struct slice value;
};
MUST_USE bool storage_credential_of(struct slice prefix, const struct storage_property *properties,
                                    size_t property_count,
                                    struct storage_credential *ret_credential);

struct storage_grant;

/* Gets newer credentials for the same person and objects, and hands them over with
 * storage_grant_renew. One thread at a time, without a lock held. */
typedef enum err (*storage_renew_cb)(void *context, struct storage_grant *grant,
                                     struct errinfo *info);
typedef void (*storage_release_cb)(void *context);

/* A request that somebody else signs: its headers in lower case, sorted, "host" and the hash of its
 * body among them; those that need no signature are not. */
struct storage_to_sign {
    struct slice method;
    struct slice url;
    struct slice region;
    const struct fetch_header *headers;
    size_t header_count;
};
struct storage_signed;
/* What the signer answered: copied. `keep_ms`: how long the same request may go out with it again;
 * 0 = once. ERR_CORRUPT for what cannot be sent. */
MUST_USE enum err storage_signed_fill(struct storage_signed *signed_request, struct slice url,
                                      const struct fetch_header *headers, size_t header_count,
                                      int64_t keep_ms, struct errinfo *info);
/* Has one signed for the grant's person, and fills `ret_signed`. Any thread; no lock is held. */
typedef enum err (*storage_sign_cb)(void *context, const struct storage_to_sign *request,
                                    struct storage_signed *ret_signed, struct errinfo *info);

struct storage_grant_spec {
    const struct identity *who; /* outlives the grant */
    struct storage_remote *remote;
    struct fetch_pool *pool;                      /* of storage_remote_pool; referred to */
    const struct storage_credential *credentials; /* copied into memory that is wiped */
    size_t credential_count;
    storage_renew_cb renew;     /* NULL: when they expire, so does the grant */
    storage_sign_cb sign;       /* of credentials with `is_signed` */
    storage_release_cb release; /* of `context`, with the last reference; may be NULL */
    void *context;
};
/* ERR_INVALID for a credential that cannot be one. After an error `context` is still the
 * caller's. */
MUST_USE enum err storage_grant_new(const struct storage_grant_spec *spec,
                                    struct storage_grant **ret_grant, struct errinfo *info);
struct storage_grant *storage_grant_ref(struct storage_grant *grant);
void storage_grant_unref(struct storage_grant *grant);
DEFINE_CLEANUP(struct storage_grant, storage_grant_cleanup, storage_grant_unref)

/* Instead of those it had. */
MUST_USE enum err storage_grant_renew(struct storage_grant *grant,
                                      const struct storage_credential *credentials,
                                      size_t credential_count, struct errinfo *info);
/* From now on nothing is given out for it, cached or not. */
void storage_grant_revoke(struct storage_grant *grant);

/* True for a location that this header is for: it has a scheme of a remote store. */
bool storage_is_remote(struct slice location);

/* ---- objects ----
 * `who` must be the grant's person. ERR_DENIED: another person, no credential for the location, one
 * that has expired, or the store says no. ERR_NOT_FOUND, ERR_CORRUPT (changed), ERR_IO (no answer
 * within the time), ERR_UNSUPPORTED (a store that this build has not, by name). */

/* Objects whose location begins with `prefix`, as it is, sorted by bytes. None is no error. */
MUST_USE enum err storage_grant_list(struct storage_grant *grant, const struct identity *who,
                                     struct slice prefix, size_t entries_max, struct arena *arena,
                                     struct storage_entry **ret_entries, size_t *ret_count,
                                     struct errinfo *info);
MUST_USE enum err storage_grant_stat(struct storage_grant *grant, const struct identity *who,
                                     struct slice location, struct arena *arena,
                                     struct storage_entry *ret_entry, struct errinfo *info);

/* Asks the store as this person each time, also where every block is in the cache; then
 * storage_read, storage_size, storage_close. With an `etag`, that version only (ERR_CORRUPT). The
 * object holds the grant. */
MUST_USE enum err storage_grant_open(struct storage_grant *grant, const struct identity *who,
                                     struct slice location, struct slice etag,
                                     struct storage_object **ret_object, struct errinfo *info);

/* Writes one object whole. With `is_new` ERR_EXISTS if there is one already, decided by the store.
 * The entry is in `arena`. */
MUST_USE enum err storage_grant_put(struct storage_grant *grant, const struct identity *who,
                                    struct slice location, struct slice bytes, bool is_new,
                                    struct arena *arena, struct storage_entry *ret_entry,
                                    struct errinfo *info);
/* No error if there is none. */
MUST_USE enum err storage_grant_delete(struct storage_grant *grant, const struct identity *who,
                                       struct slice location, struct errinfo *info);

/* An object written in parts, which is there only when finished. */
struct storage_upload;
MUST_USE enum err storage_upload_open(struct storage_grant *grant, const struct identity *who,
                                      struct slice location, struct storage_upload **ret_upload,
                                      struct errinfo *info);
MUST_USE enum err storage_upload_append(struct storage_upload *upload, struct slice bytes,
                                        struct errinfo *info);
MUST_USE enum err storage_upload_finish(struct storage_upload *upload, struct arena *arena,
                                        struct storage_entry *ret_entry, struct errinfo *info);
/* If it was not finished, the store is told to forget its parts. NULL is allowed. */
void storage_upload_close(struct storage_upload *upload);
DEFINE_CLEANUP(struct storage_upload, storage_upload_cleanup, storage_upload_close)
