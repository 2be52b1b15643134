/* A Hive metastore behind the functions of rest.h and write.h, where a catalog says
 * REST_PROTOCOL_HIVE: Thrift calls over HTTP (its transport mode "http"), each with the person's
 * token as a bearer (its authentication "JWT"). Over its older transport a metastore believes who
 * one says one is; there is no client for that.
 *
 * The metastore keeps where a table's metadata lies; the metadata is written by who changes the
 * table, as Iceberg's own HiveCatalog does. So these are here beside those of write.h, which has
 * the errors. */
#pragma once

#include "catalog/rest/rest.h"
#include "catalog/rest/write.h"

/* As other readers of the metastore are shown it. */
struct hive_column {
    struct slice name;
    struct slice type; /* in Hive's words */
    struct slice doc;
};

struct hive_table {
    struct slice location; /* its folder */
    struct slice metadata_location;
    struct slice uuid;
    const struct hive_column *columns;
    size_t column_count;
    bool is_unlocked; /* "engine.hive.lock-enabled" = false: all its writers compare */
};

/* Names a table's metadata. ERR_EXISTS 42P07, ERR_NOT_FOUND 3F000. */
MUST_USE enum err hive_create_table(struct rest *rest, const struct rest_catalog *catalog,
                                    const struct identity *who, const struct rest_namespace *ns,
                                    struct slice name, const struct hive_table *table,
                                    struct errinfo *info);

/* What a table that is to be made at `location` is written with, as rest_borrow does of one that
 * there is: nothing, unless ATTACH names a token service. */
MUST_USE enum err hive_lend(struct rest *rest, const struct rest_catalog *catalog,
                            const struct identity *who, const struct rest_namespace *ns,
                            struct slice name, struct slice location, struct rest_lent *ret_lent,
                            struct errinfo *info);

/* Turns a table from the metadata at `before` to `table`, if it still is there: compared by the
 * metastore itself, and under its lock, which writers rely on that cannot have it compare.
 * ERR_BUSY 40001: somebody else was first, nothing was done; 55P03: it is locked by somebody. */
MUST_USE enum err hive_swap_table(struct rest *rest, const struct rest_catalog *catalog,
                                  const struct identity *who, const struct rest_namespace *ns,
                                  struct slice name, const struct hive_table *table,
                                  struct slice before, struct errinfo *info);
