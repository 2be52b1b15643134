/* A client of the Iceberg REST specification, as the person who asks.
 *
 * Each request carries a token that stands for `who`: their own, or one that was exchanged for it.
 * Without one nothing is asked. What is kept (configuration, metadata that the catalog has given,
 * credentials for storage) is kept for one sign-in of one person and one catalog, and metadata is
 * used again only after the catalog has said, to this person, that it is still so.
 *
 * Errors: ERR_DENIED 28000 (the catalog takes no token of this session), 42501 (it refuses this
 * request); ERR_NOT_FOUND 42P01, 3F000, 3D000; ERR_BUSY 08006 (it does not answer), 53400 (it asks
 * for patience); ERR_CORRUPT 08P01 (it answers what the specification does not know). No message
 * repeats a token, an address or a credential.
 *
 * Any thread. All functions may wait for the network. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/secret.h"

struct identity;
struct rest;
struct rest_ahead;
struct storage_remote;
struct storage_object;

struct rest_options {
    int64_t timeout_ms; /* of one request */
    int64_t connect_timeout_ms;
    int64_t config_age_ms;
    unsigned breaker_failures;
    int64_t breaker_pause_ms;
    uint64_t response_bytes_max;
    uint64_t cache_bytes_max;
    unsigned loads_at_once; /* of a rest_ahead; 64 at most, 0 = none ahead */
    const char *ca_file;    /* NULL = the system's authorities */
    const char *origins; /* where people's tokens may go beside a catalog's own address: with commas
                          * between; NULL = nowhere */
    bool allow_loopback_http;
    bool sends_reports;             /* to catalogs that do not say whether they want any */
    bool is_production;             /* no credential that is not the person's */
    struct storage_remote *storage; /* outlives it; NULL: no tables elsewhere can be read */
};

MUST_USE enum err rest_open(const struct rest_options *options, struct rest **ret_rest,
                            struct errinfo *info);
void rest_close(struct rest *rest);
DEFINE_CLEANUP(struct rest, rest_cleanup, rest_close)

enum rest_auth {
    REST_AUTH_SESSION,  /* the session's own token */
    REST_AUTH_EXCHANGE, /* one that it was exchanged for (RFC 8693) */
    REST_AUTH_CLIENT,   /* Moat's own, by client credentials: not in production */
};

/* Who plans scans of a table, as the catalog says ("scan-planning-mode"). */
enum rest_planning {
    REST_PLANNING_UNSAID, /* whoever likes to */
    REST_PLANNING_CLIENT,
    REST_PLANNING_SERVER,
    REST_PLANNING_UNKNOWN, /* another word */
};

/* What is spoken to a catalog. */
enum rest_protocol {
    REST_PROTOCOL_ICEBERG, /* the REST specification */
    REST_PROTOCOL_HIVE,    /* a Hive metastore's calls: metastore.h */
    REST_PROTOCOL_GLUE,    /* AWS Glue's: likewise */
};

/* As ATTACH says it; plain data, kept by the caller. */
struct rest_catalog {
    enum rest_protocol protocol;
    struct slice name; /* in SQL, for messages */
    struct slice uri;  /* what "/v1/config" is appended to; of a metastore: where calls go */
    struct slice warehouse;
    enum rest_auth auth;
    struct slice token_uri; /* exchange, client: where tokens are asked for; empty: of the identity
                               provider for an exchange, the catalog's own for a client */
    struct slice audience;  /* exchange */
    struct slice scope;
    struct slice client_id;
    struct slice client_secret_file; /* absolute */
    struct slice sts_uri;   /* metastore: where people's tokens are given for credentials of the
                               store; empty: nowhere */
    struct slice role;      /* which that service then gives; empty: it knows */
    struct slice store_uri; /* of the object store; empty: the cloud's own */
    struct slice region;
    enum rest_planning planning; /* asked for by ATTACH; UNSAID: as the table says */
    bool has_etags;              /* what the catalog says of a person is covered by its ETags */
    struct slice request_id;     /* of the query that asks: X-Request-ID */
    bool (*is_cancelled)(void *context); /* asked while something waits; NULL = never */
    void *cancel_context;
    struct rest_ahead
        *ahead; /* of the statement that asks: tables that are on their way; or NULL */
};

/* All of its texts in the arena; nobody cancels it, and nothing is on its way for it. False: memory
 * is exhausted. */
MUST_USE bool rest_catalog_copy(const struct rest_catalog *from, struct arena *arena,
                                struct rest_catalog *ret_copy);

/* "session", "exchange", "client". */
bool rest_auth_parse(struct slice text, enum rest_auth *ret_auth);
const char *rest_auth_name(enum rest_auth auth);

/* https, or http on the loopback where that is allowed; no user, query or fragment; without the
 * slashes at its end. ERR_INVALID (22023), ERR_LIMIT (54000). */
MUST_USE enum err rest_uri_check(const struct rest *rest, struct slice written, struct arena *arena,
                                 struct slice *ret_uri, struct errinfo *info);

/* `uri` is at one of these addresses, which have commas between. */
bool rest_origin_is_among(struct slice origins, struct slice uri);

/* That the catalog is there and takes who asks. */
MUST_USE enum err rest_check(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, struct errinfo *info);

/* What a catalog lends for the files of tables. */
enum rest_lends {
    REST_LENDS_UNKNOWN, /* there was no table to tell by */
    REST_LENDS_NOTHING,
    REST_LENDS, /* credentials, or signatures */
};

struct rest_namespace {
    const struct slice *levels;
    size_t level_count;
};

/* By the first table that `who` may load, among the first few. Never fails for what the catalog
 * answers: then it is unknown. */
MUST_USE enum err rest_probe(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, enum rest_lends *ret_lends,
                             struct errinfo *info);

/* At any depth, parents before children, as the catalog orders them. */
MUST_USE enum err rest_namespaces(struct rest *rest, const struct rest_catalog *catalog,
                                  const struct identity *who, struct arena *arena,
                                  struct rest_namespace **ret_namespaces, size_t *ret_count,
                                  struct errinfo *info);

struct rest_property {
    struct slice key;
    struct slice value;
};
/* ERR_NOT_FOUND (3F000). */
MUST_USE enum err rest_namespace_properties(struct rest *rest, const struct rest_catalog *catalog,
                                            const struct identity *who,
                                            const struct rest_namespace *ns, struct arena *arena,
                                            struct rest_property **ret_properties,
                                            size_t *ret_count, struct errinfo *info);

struct rest_name {
    struct slice name;
    bool is_view;
};
/* Tables and views of one namespace. ERR_NOT_FOUND (3F000). */
MUST_USE enum err rest_names(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, const struct rest_namespace *ns,
                             struct arena *arena, struct rest_name **ret_names, size_t *ret_count,
                             struct errinfo *info);

/* A loaded table or view: texts in the arena. Credentials stay inside. */
struct rest_loaded {
    bool is_view;
    struct slice metadata_location; /* empty: not said */
    struct slice metadata;          /* JSON; empty: of a metastore, read it at its location */
    struct slice folder;            /* of a metastore: where it says that the table lies */
    struct slice restrictions;      /* "read-restrictions" as JSON; empty: none */
    enum rest_planning planning;    /* tables */
};

/* ERR_NOT_FOUND (42P01) for what is neither a table nor a view. `all_snapshots`: with those that no
 * branch or tag names. */
MUST_USE enum err rest_load(struct rest *rest, const struct rest_catalog *catalog,
                            const struct identity *who, const struct rest_namespace *ns,
                            struct slice name, bool all_snapshots, struct arena *arena,
                            struct rest_loaded *ret_loaded, struct errinfo *info);

/* Tables that one statement is about to load, asked for side by side. Of one thread: it begins
 * them, and rest_load by a catalog with this `ahead` gives these answers out, errors too. */
MUST_USE enum err rest_ahead_new(struct rest *rest, struct rest_ahead **ret_ahead,
                                 struct errinfo *info);
void rest_ahead_free(struct rest_ahead *ahead); /* gives up what nobody has asked for */
/* How many it takes. */
size_t rest_ahead_room(const struct rest *rest);
/* What cannot be begun is loaded when it is asked for. `who` and the catalog's texts must outlive
 * it. */
void rest_ahead_load(struct rest_ahead *ahead, const struct rest_catalog *catalog,
                     const struct identity *who, const struct rest_namespace *ns, struct slice name,
                     bool all_snapshots);

/* Opens an object of a table, which lies elsewhere (storage_is_remote), with what the catalog
 * vended to `who` for that table: they are renewed while something reads with them, or each request
 * is signed by the catalog. ERR_DENIED (42501): it lent nothing for this location. */
MUST_USE enum err rest_open_object(struct rest *rest, const struct rest_catalog *catalog,
                                   const struct identity *who, const struct rest_namespace *ns,
                                   struct slice name, struct slice location,
                                   struct storage_object **ret_object, struct errinfo *info);

/* ---- catalog-delivered policy ---- */

enum rest_action {
    REST_MASK_ALPHANUM,
    REST_MASK_TO_FIXED_VALUE,
    REST_REPLACE_WITH_NULL,
    REST_SHOW_FIRST_4,
    REST_SHOW_LAST_4,
    REST_TRUNCATE_TO_YEAR,
    REST_TRUNCATE_TO_MONTH,
    REST_SHA_256_GLOBAL,
    REST_SHA_256_QUERY_LOCAL,
};

struct rest_projection {
    int32_t field_id;
    enum rest_action action;
};

struct json;
struct rest_restrictions {
    const struct rest_projection *projections;
    size_t projection_count;
    const struct json *filter; /* an expression of the specification, not looked at; NULL = none */
};

/* ERR_UNSUPPORTED, saying what, for all that is not fully known: unknown members, actions and
 * members of actions, duplicates, two actions for one field. */
MUST_USE enum err rest_restrictions_parse(struct slice text, struct arena *arena,
                                          struct rest_restrictions *ret_restrictions,
                                          struct errinfo *info);
