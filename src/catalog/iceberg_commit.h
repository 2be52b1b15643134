/* Changing the tables of attached Iceberg catalogs: new objects, and commits.
 *
 * Nothing here asks whether the person may: the caller has. Objects are made in the catalog's
 * folders only (catalog/iceberg.h). */
#pragma once

#include "catalog/iceberg.h"
#include "iceberg/write.h"

/* ---- new objects ---- */

/* Has a catalog elsewhere lend what new objects of a table are written with, for `catalog`, a copy
 * of the statement's own; catalog_iceberg_return, also of one that nothing was lent to. Nothing for
 * other catalogs, and nothing if it lends nothing: then only local folders take new objects.
 * ERR_UNSUPPORTED for a second table of a transaction, where no commit is of both. */
MUST_USE enum err catalog_iceberg_borrow(struct catalog_iceberg *catalog,
                                         const struct identity *who, struct slice ns,
                                         struct slice name, struct errinfo *info);
void catalog_iceberg_return(struct catalog_iceberg *catalog);

/* Has a catalog elsewhere make ready a table that is to be made by `updates`, and lend what its
 * objects are written with, as above. `ret_updates`: those that make the table as the catalog wants
 * it (its place, its uuid, its numbers of columns). Other catalogs: `updates`. */
MUST_USE enum err catalog_iceberg_stage(struct catalog_iceberg *catalog, const struct identity *who,
                                        struct slice ns, struct slice name, struct slice updates,
                                        struct arena *arena, struct slice *ret_updates,
                                        struct errinfo *info);

/* How the Iceberg library writes as `who`; lives in the arena, the catalog must outlive it.
 * ERR_DENIED at the first object elsewhere that nothing was lent for. */
MUST_USE enum err catalog_iceberg_output(const struct catalog_iceberg *catalog,
                                         const struct identity *who, struct arena *arena,
                                         struct iceberg_output *ret_output, struct errinfo *info);

/* A new object written in parts, which is there only when finished. */
struct catalog_iceberg_file;
MUST_USE enum err catalog_iceberg_file_open(const struct catalog_iceberg *catalog,
                                            const struct identity *who, struct slice location,
                                            struct catalog_iceberg_file **ret_file,
                                            struct errinfo *info);
MUST_USE enum err catalog_iceberg_file_append(struct catalog_iceberg_file *file, struct slice bytes,
                                              struct errinfo *info);
/* ERR_EXISTS; after another error it may be there. */
MUST_USE enum err catalog_iceberg_file_finish(struct catalog_iceberg_file *file,
                                              struct errinfo *info);
void catalog_iceberg_file_close(struct catalog_iceberg_file *file); /* takes NULL */
DEFINE_CLEANUP(struct catalog_iceberg_file, catalog_iceberg_file_cleanup,
               catalog_iceberg_file_close)

/* ---- commits ---- */

struct catalog_iceberg_change {
    struct slice ns;
    struct slice name;         /* exact: as it was loaded, or of a new table */
    struct slice requirements; /* JSON arrays as the REST protocol has them */
    struct slice updates;
    bool creates; /* a new table: the requirements say assert-create */
    int64_t now_ms;
};

/* Whether statements may write to tables of this catalog at all. ERR_UNSUPPORTED by name. */
MUST_USE enum err catalog_iceberg_check_writable(const struct catalog_iceberg *catalog,
                                                 struct errinfo *info);

/* Applies the change to the table as it is now, atomically; with a `block`, to what the
 * transaction has of it. ERR_BUSY (40001): somebody else was
 * first, and nothing was done; load the table and try again. After an error with
 * `ret_is_unknown` set (never cleared) it may have been done: look for it. */
MUST_USE enum err catalog_iceberg_commit(const struct catalog_iceberg *catalog,
                                         const struct identity *who,
                                         const struct catalog_iceberg_change *change,
                                         struct arena *arena, struct slice *ret_metadata_location,
                                         bool *ret_is_unknown, struct errinfo *info);

/* Where a new table of that name lies; empty: its catalog says so (catalog_iceberg_stage).
 * ERR_NOT_FOUND (3F000) without the namespace. */
MUST_USE enum err catalog_iceberg_new_location(const struct catalog_iceberg *catalog,
                                               const struct identity *who, struct slice ns,
                                               struct slice name, struct arena *arena,
                                               struct slice *ret_location, struct errinfo *info);
