/* Which objects snapshots refer to: what may be removed when snapshots are forgotten, and what may
 * not when nothing seems to refer to it.
 *
 * Whoever removes objects compares by the last part of their paths ("00000-1-<uuid>.parquet"), as
 * hashes: one object has several spellings (schemes, links, doubled slashes), and a name that is
 * there twice, or a hash, keeps an object too many, never one too few. */
#pragma once

#include "iceberg/manifest.h"

/* ---- names ---- */

struct iceberg_names;
MUST_USE enum err iceberg_names_open(struct iceberg_names **ret_names, struct errinfo *info);
void iceberg_names_close(struct iceberg_names *names); /* takes NULL */
DEFINE_CLEANUP(struct iceberg_names, iceberg_names_cleanup, iceberg_names_close)
MUST_USE enum err iceberg_names_add(struct iceberg_names *names, struct slice path,
                                    struct errinfo *info);
bool iceberg_names_have(const struct iceberg_names *names, struct slice path);

/* All that the table's document refers to: manifest lists, manifests, live files, statistics,
 * former documents. */
MUST_USE enum err iceberg_names_add_table(struct iceberg_names *names, const struct iceberg_io *io,
                                          const struct iceberg_metadata *metadata,
                                          struct errinfo *info);

/* ---- what nobody needs any more ---- */

enum iceberg_object {
    ICEBERG_OBJECT_DATA,
    ICEBERG_OBJECT_DELETES,
    ICEBERG_OBJECT_MANIFEST,
    ICEBERG_OBJECT_LIST,
    ICEBERG_OBJECT_STATISTICS,
    ICEBERG_OBJECT_COUNT
};

struct iceberg_garbage_object {
    enum iceberg_object kind;
    struct slice path;
};

struct iceberg_garbage {
    struct iceberg_garbage_object
        *objects; /* data first: what is left of a removal that stops can be found */
    size_t count, capacity;
};

/* Objects of snapshots of `before` that `after` has not, and which nothing of `after` refers to.
 * Both are of one table; `except`: snapshots that count as forgotten in `after` though they are
 * there (ascending). In the arena. */
MUST_USE enum err iceberg_garbage_find(const struct iceberg_io *io,
                                       const struct iceberg_metadata *before,
                                       const struct iceberg_metadata *after, const int64_t *except,
                                       size_t except_count, struct arena *arena,
                                       struct iceberg_garbage *ret_garbage, struct errinfo *info);
