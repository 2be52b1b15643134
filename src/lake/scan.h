/* One run of reading an Iceberg table: the bridge between the Iceberg library, which knows files,
 * and the engine, which knows rows.
 *
 * How a statement uses it:
 *   1. planning: lake_scan_count() of the statement's scan numbers are set aside for the table, and
 *      lake_scan_sql() writes its FROM item over their URIs. The text depends on the table only.
 *   2. each run: lake_scan_open(), then lake_scan_spec(scan, i) for each number goes into the
 *      grant (engine_grant_spec.scans). Planning of files happens inside, when the engine asks.
 *   3. the end: the grant is closed, then lake_scan_close().
 *
 * Why the parts: rows of files without equality deletes are read by scan 0 alone. Files that have
 * some are scan 1, which is joined with scan 2, 3 ...: the delete files, one for each set of
 * compared columns. Who has none pays nothing. */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"
#include "engine/scan.h"
#include "iceberg/scan.h"
#include "lake/source.h"

struct lake_scan;

size_t lake_scan_count(const struct lake_source *table);

/* Appends a FROM item that yields the columns that can be read by name and, in scope for whoever
 * names them, _file, _pos, _spec_id, _partition, _row_id and _last_updated_sequence_number where no
 * column of the table has that name. `uri` appends the URI of the table's scan `index`. */
typedef void (*lake_uri_fn)(void *context, size_t index, struct buf *out);
MUST_USE enum err lake_scan_sql(const struct lake_source *table, lake_uri_fn uri, void *context,
                                struct buf *out, struct errinfo *info);

/* `engine`, `source`, `cache` (may be NULL) and the thread's cancellation outlive the scan. */
MUST_USE enum err lake_scan_open(struct engine *engine, const struct lake_source *source,
                                 struct iceberg_manifest_cache *cache, bool has_hidden,
                                 struct lake_scan **ret_scan, struct errinfo *info);
/* Not before the grant is closed. */
void lake_scan_close(struct lake_scan *scan);
DEFINE_CLEANUP(struct lake_scan, lake_scan_cleanup, lake_scan_close)

/* From now on, before the engine asks for files: only these data files are read, and of each the
 * rows at `dead` are dropped as well. A file that the snapshot has not is an error of whoever asks:
 * it is not looked for. What is pointed to outlives the scan. */
struct lake_subset {
    const struct slice *paths;
    const struct iceberg_positions *const *dead;
    size_t count;
};
MUST_USE enum err lake_scan_restrict(struct lake_scan *scan, const struct lake_subset *subset,
                                     struct errinfo *info);

const struct engine_scan_spec *lake_scan_spec(const struct lake_scan *scan, size_t index);

/* What the rows satisfy that the engine has been given so far, going by the files it asked for:
 * TRUE when it is nothing, FALSE when it asked for none. Rows for which it is false have told the
 * statement nothing, nor would others that come. In `arena`. ERR_NOMEM. */
MUST_USE enum err lake_scan_condition(struct lake_scan *scan, struct arena *arena,
                                      const struct iceberg_expression **ret_condition,
                                      struct errinfo *info);

/* Plans with no condition, unless the engine has asked for files already: so that counts are of
 * something where a statement is only explained. */
MUST_USE enum err lake_scan_plan(struct lake_scan *scan, struct errinfo *info);

/* What was planned last, and read so far; from any thread. */
struct lake_scan_counts {
    bool is_planned; /* the engine has asked for files: what follows says what for */
    struct iceberg_scan_counts plan;
    uint64_t position_delete_files; /* that apply to some matched file, as the two below */
    uint64_t deletion_vectors;
    uint64_t equality_delete_files;
    uint64_t files_opened; /* data and delete files */
    uint64_t bytes_read;
};
struct lake_scan_counts lake_scan_work(struct lake_scan *scan);
