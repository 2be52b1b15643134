/* Rows of a table by where they are stored: what a statement changes, gathered from what a query
 * says of them. Used by one thread. */
#pragma once

#include "arrow/arrow.h"
#include "lake/scan.h"

struct lake_rows;
MUST_USE enum err lake_rows_open(struct lake_rows **ret_rows, struct errinfo *info);
void lake_rows_close(struct lake_rows *rows);
DEFINE_CLEANUP(struct lake_rows, lake_rows_cleanup, lake_rows_close)

/* A batch whose first two columns are _file and _pos. A row that comes twice counts once. */
MUST_USE enum err lake_rows_add(struct lake_rows *rows, const struct ArrowArray *batch,
                                struct errinfo *info);
/* A file none of whose rows were added, so that lake_rows_add_deleted looks at it. */
MUST_USE enum err lake_rows_touch(struct lake_rows *rows, struct slice path, struct errinfo *info);
/* How many were added, also those that came before. */
uint64_t lake_rows_added(const struct lake_rows *rows);
/* How many there are. */
uint64_t lake_rows_count(const struct lake_rows *rows);
/* Adds what the plan's delete files say of the files that have rows here: afterwards these are all
 * of their deleted rows. */
MUST_USE enum err lake_rows_add_deleted(struct lake_rows *rows, struct engine *engine,
                                        const struct lake_source *source,
                                        const struct iceberg_scan_plan *plan, struct errinfo *info);
/* Their files, and where in them they are: views of `rows`, in the arena. */
MUST_USE enum err lake_rows_subset(const struct lake_rows *rows, struct arena *arena,
                                   struct lake_subset *ret_subset, struct errinfo *info);
