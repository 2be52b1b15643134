/* One commit to a catalog whose documents this program writes. For catalog_iceberg_commit.c and the
 * files of single kinds of catalogs. */
#pragma once

#include "base/buf.h"
#include "catalog/catalog_iceberg_int.h"
#include "catalog/iceberg_commit.h"

struct iceberg_commit {
    const struct catalog_iceberg *catalog;
    const struct identity *who;
    const struct catalog_iceberg_change *change;
    struct arena *arena;
    struct slice base;     /* location of the document as it is; empty: a new table */
    struct slice document; /* its text */
    struct slice location; /* of the new one */
    struct buf text;
    struct iceberg_output output;
    struct errinfo *info;
};

/* ERR_BUSY 40001: somebody else was first. */
enum err iceberg_commit__conflict(const struct iceberg_commit *c);
/* The document at `base`. */
MUST_USE enum err iceberg_commit__read_base(struct iceberg_commit *c);
/* The change applied to it, into `text`. */
MUST_USE enum err iceberg_commit__apply(struct iceberg_commit *c);
/* Where that goes. */
MUST_USE enum err iceberg_commit__choose_location(struct iceberg_commit *c);

/* iceberg_hive and iceberg_glue. */
MUST_USE enum err iceberg_metastore__commit(struct iceberg_commit *c, bool *ret_is_unknown);
