/* S3: addresses, signatures, requests. For the module's own files and tests. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/secret.h"
#include "fetch/fetch.h"
#include "fetch/sigv4.h"
#include "storage/remote.h"

/* ---- locations and addresses (s3_address.c) ---- */

struct s3_place {
    struct slice bucket;
    struct slice key;
};
/* "s3://bucket/key", also s3a and s3n; the key may be empty. ERR_UNSUPPORTED names a store that
 * this build has not. */
MUST_USE enum err s3__place_of(struct slice location, struct s3_place *ret_place,
                               struct errinfo *info);

#define S3_REGION_BYTES 64
bool s3__region_is_valid(struct slice region);
/* The name of a store whose scheme we know and have not; empty = we do not know it either. */
struct slice s3__store_of(struct slice scheme);

/* RFC 3986: all but unreserved characters as %XX; "/" too unless it is kept. */
void s3__encode(struct slice text, bool keeps_slashes, struct buf *out);
/* What s3__encode writes; false for a wrong code. */
MUST_USE bool s3__decode(struct slice text, struct buf *out);

/* Where requests for a bucket go. */
struct s3_target {
    struct slice endpoint; /* empty = the cloud's own */
    struct slice region;
    bool is_path_style;
};
/* The parts of an address: "https://host", "host" (with a port that is not the scheme's) and the
 * path, encoded as it is signed. ERR_INVALID for an endpoint that is none. */
struct s3_address {
    struct buf base;
    struct buf host;
    struct buf path;
};
void s3__address_fini(struct s3_address *address);
MUST_USE enum err s3__address_of(const struct s3_target *target, const struct s3_place *place,
                                 struct s3_address *ret_address, struct errinfo *info);

/* ---- headers ---- */

#define S3_HEADERS_MAX 40
#define S3_SIGNED_HEADERS_MAX 20 /* of a signer's answer */

/* ---- keys (grant.c) ---- */

/* One credential at one moment; never changed but for its region. */
struct s3_keys {
    atomic_uint references;
    uint64_t generation;
    struct secret texts; /* all of the below is in it */
    struct slice prefix;
    struct slice access_key;
    struct slice secret_key;
    struct slice session_token;
    struct slice endpoint;
    bool is_path_style;
    bool is_signed;
    int64_t expires_wall_us;
    int64_t renew_wall_us;        /* from then on newer ones are asked for */
    char region[S3_REGION_BYTES]; /* under the grant's lock once it is shared; empty = not known */
};
void s3__keys_unref(struct s3_keys *keys);
DEFINE_CLEANUP(struct s3_keys, s3__keys_cleanup, s3__keys_unref)

/* ---- requests that somebody else signs (s3_signed.c) ---- */

#define S3_SIGNATURES_MAX 64

struct storage_signed {
    atomic_uint references;
    uint64_t key[2];       /* of what was to be signed */
    int64_t good_until_us; /* monotonic; 0 = for one request */
    struct secret texts;   /* all of the below is in it */
    struct slice url;
    struct slice query; /* of it */
    struct fetch_header headers[S3_SIGNED_HEADERS_MAX];
    size_t header_count;
};
void s3__signed_unref(struct storage_signed *signed_request);
/* A reference: one that was kept, unless `is_refused`, or one that is asked for now. ERR_CORRUPT
 * for a signature of another request. */
MUST_USE enum err s3__grant_sign(struct storage_grant *grant, const struct storage_to_sign *request,
                                 bool is_refused, struct storage_signed **ret_signed,
                                 bool *ret_was_kept, struct errinfo *info);

struct storage_cache;

struct storage_remote {
    struct storage_remote_options options; /* texts on the heap */
    struct storage_cache *cache;           /* NULL = none */
    int64_t (*wall_us)(void);              /* tests set another */
    _Atomic uint64_t requests, repeats, bytes_received, bytes_sent, renewals;
};

struct storage_grant {
    atomic_uint references;
    const struct identity *who;
    struct storage_remote *remote;
    struct fetch_pool *pool;
    storage_renew_cb renew;
    storage_sign_cb sign;
    storage_release_cb release;
    void *context;
    atomic_bool is_revoked;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under `lock` */
    struct s3_keys **keys;
    size_t key_count;
    uint64_t generation;
    bool is_renewing;
    struct storage_signed *kept[S3_SIGNATURES_MAX]; /* counted */
    unsigned kept_next;                             /* the slot that goes next */
};

/* ERR_DENIED unless `who` may use it at all, now. Asks nobody. */
MUST_USE enum err storage__grant_check(const struct storage_grant *grant,
                                       const struct identity *who, struct errinfo *info);
/* Credentials for a location that live now: renewed before if it is time, or if the store refused
 * those of generation `refused` (0 = none). */
MUST_USE enum err storage__grant_keys(struct storage_grant *grant, struct slice location,
                                      uint64_t refused, struct s3_keys **ret_keys,
                                      char ret_region[S3_REGION_BYTES], struct errinfo *info);
void storage__grant_learn_region(struct storage_grant *grant, struct s3_keys *keys,
                                 struct slice region);

/* ---- requests (s3_request.c) ---- */

struct s3_param {
    const char *name;
    struct slice value;
};

/* Everything may be asked twice, unless `is_once`. */
struct s3_call {
    struct slice method;
    struct slice location;
    bool is_bucket;                /* asks the bucket; the key of the location is a prefix */
    const struct s3_param *params; /* sorted by name */
    size_t param_count;
    const struct fetch_header *headers; /* names in lower case */
    size_t header_count;
    struct slice body;
    size_t body_bytes_max;
    fetch_sink_cb sink;
    void *sink_context;
    /* Judges a 2xx answer: false = as if none had come. NULL = all are good. */
    bool (*is_good)(const struct s3_call *call, const struct fetch_answer *answer);
    void *context;
    bool is_once;
    bool is_owed; /* no cancellation ends it: nothing is left behind */
};

/* Sends all of them, again where that helps, until the time is up. ERR_OK: each has a 2xx answer.
 * Else the first that failed. `was_repeated` (may be NULL): one of them was sent more than once. */
MUST_USE enum err s3__send_all(struct storage_grant *grant, const struct identity *who,
                               const struct s3_call *calls, size_t count,
                               struct fetch_answer *ret_answers, bool *ret_was_repeated,
                               struct errinfo *info);
MUST_USE enum err s3__send(struct storage_grant *grant, const struct identity *who,
                           const struct s3_call *call, struct fetch_answer *ret_answer,
                           struct errinfo *info);
void s3__free_answers(struct fetch_answer *answers, size_t count);

/* ---- answers (s3_xml.c) ---- */

/* Called at the end of each element, with the path of names from the root ("/Error/Code") and the
 * text directly before its end. */
typedef bool (*s3_xml_cb)(void *context, struct slice path, struct slice text);
/* ERR_CORRUPT for what is no XML, too deep, or has a document type. */
MUST_USE enum err s3__xml_read(struct slice xml, s3_xml_cb element, void *context,
                               struct errinfo *info);
#define S3_ERROR_BYTES 64
/* The code of an error document, "AccessDenied"; empty if it has none. */
void s3__error_code(struct slice xml, char ret_code[S3_ERROR_BYTES],
                    char ret_region[S3_REGION_BYTES]);

/* ---- objects (s3_object.c) ---- */

struct storage_s3 {
    struct storage_grant *grant;
    const struct identity *who;
    char *location;
    char *etag;
    char *if_match; /* "\"etag\"" */
    uint8_t cache_key[32];
};
MUST_USE enum err storage__s3_read(const struct storage_object *object, uint64_t offset,
                                   void *ret_bytes, size_t len, struct errinfo *info);
/* One range, or the ranges of several holes, side by side. What comes goes to `out`, or in turn to
 * `blocks` of `block_bytes`. */
struct s3_range {
    uint64_t offset;
    char *out;
    size_t len;
    char *const *blocks; /* NULL: `out` */
    size_t block_bytes;
};
MUST_USE enum err s3__read_ranges(const struct storage_object *object, struct s3_range *ranges,
                                  size_t count, struct errinfo *info);
void storage__s3_prefetch(const struct storage_object *object, uint64_t offset, uint64_t len);
bool storage__s3_is_missing(const struct storage_object *object, uint64_t offset, uint64_t len);
void storage__s3_close(struct storage_s3 *s3);

/* "\"abc\"" -> "abc". */
struct slice s3__unquote(struct slice etag);
/* "Sun, 06 Nov 1994 08:49:37 GMT" -> us; 0 = cannot be read. */
int64_t s3__modified_us(const struct fetch_answer *answer);
