/* A metastore behind the functions of rest.h and write.h, by what a catalog says of its protocol.
 *
 * REST_PROTOCOL_HIVE: Hive's, by Thrift calls over HTTP (its transport mode "http"), each with the
 * person's token as a bearer (its authentication "JWT"). Over its older transport a metastore
 * believes who one says one is; there is no client for that.
 * REST_PROTOCOL_GLUE: AWS Glue's data catalog, by its own requests (JSON 1.1), each signed with
 * keys that a token service lent for the person's token.
 *
 * A metastore keeps where a table's metadata lies; the metadata is written by who changes the
 * table, as Iceberg's own catalogs for them do. So these are here beside those of write.h, which
 * has the errors. */
#pragma once

#include "catalog/rest/rest.h"
#include "catalog/rest/write.h"

/* Whether a catalog of this protocol is one. */
bool metastore_is(enum rest_protocol protocol);

/* As other readers of the metastore are shown it. */
struct metastore_column {
    struct slice name;
    struct slice type; /* in Hive's words */
    struct slice doc;
    int32_t field_id;
    bool is_optional;
    bool is_past; /* of an older schema, none of the current */
};

struct metastore_table {
    struct slice location; /* its folder */
    struct slice metadata_location;
    struct slice uuid;
    struct slice comment;
    const struct metastore_column *columns;
    size_t column_count;
    bool is_unlocked; /* "engine.hive.lock-enabled" = false: all its writers compare */
};

/* Names a table's metadata. ERR_EXISTS 42P07, ERR_NOT_FOUND 3F000. */
MUST_USE enum err metastore_create_table(struct rest *rest, const struct rest_catalog *catalog,
                                         const struct identity *who,
                                         const struct rest_namespace *ns, struct slice name,
                                         const struct metastore_table *table, struct errinfo *info);

/* What a table that is to be made at `location` is written with, as rest_borrow does of one that
 * there is: nothing, unless ATTACH names a token service. */
MUST_USE enum err metastore_lend(struct rest *rest, const struct rest_catalog *catalog,
                                 const struct identity *who, const struct rest_namespace *ns,
                                 struct slice name, struct slice location,
                                 struct rest_lent *ret_lent, struct errinfo *info);

/* Turns a table from the metadata at `before` to `table`, if it still is there: compared by the
 * metastore itself, and under its lock where writers rely on that which cannot have it compare.
 * ERR_BUSY 40001: somebody else was first, nothing was done; 55P03: it is locked by somebody. */
MUST_USE enum err metastore_swap_table(struct rest *rest, const struct rest_catalog *catalog,
                                       const struct identity *who, const struct rest_namespace *ns,
                                       struct slice name, const struct metastore_table *table,
                                       struct slice before, struct errinfo *info);
