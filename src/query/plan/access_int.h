/* The objects of a plan behind one engine grant, and where what is written goes. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct engine_rows;
struct identity;
struct lake_scan_counts;
struct lake_subset;
struct plan;
struct query;
struct relation;
struct relation_object;
struct temp_file;
struct warehouse;

struct access;

/* With a sink if `sink_path` is given. */
MUST_USE enum err access_open(struct warehouse *warehouse, const struct identity *who,
                              const struct plan *plan, const char *sink_path,
                              struct access **ret_access, struct errinfo *info);
/* With a temporary file as the sink, of at most `bytes_max`; `rows` outlive it, or are NULL. */
MUST_USE enum err access_open_temp(struct warehouse *warehouse, const struct identity *who,
                                   const struct plan *plan, struct temp_file *sink,
                                   uint64_t bytes_max, const struct engine_rows *rows,
                                   struct access **ret_access, struct errinfo *info);
/* With any number of sinks, which somebody else keeps. */
struct access_sinks {
    /* `len` 0: the sink is whole, nothing follows. */
    enum err (*write)(void *context, size_t index, const void *bytes, size_t len,
                      struct errinfo *info);
    size_t count_max;
    void *context;                    /* outlives the access */
    const struct lake_subset *subset; /* of the plan's first table of a lake; NULL: all of it */
};
MUST_USE enum err access_open_sinks(struct warehouse *warehouse, const struct identity *who,
                                    const struct plan *plan, const struct access_sinks *sinks,
                                    struct access **ret_access, struct errinfo *info);
void access_folder_uri(const struct access *access, struct buf *ret_uri);
/* As above for loose objects, of which the person may see all. */
MUST_USE enum err access_open_objects(struct warehouse *warehouse, const struct identity *who,
                                      const struct relation_object *const *objects,
                                      size_t object_count, struct access **ret_access,
                                      struct errinfo *info);
void access_close(struct access *access);
DEFINE_CLEANUP(struct access, access_cleanup, access_close)
/* Physical SQL with the plan's placeholder replaced by the living grant. */
MUST_USE enum err access_bind(const struct access *access, struct slice physical_sql,
                              struct buf *ret_sql);
uint64_t access_bytes_read(const struct access *access, size_t object_first, size_t object_count);
/* For EXPLAIN: the files of each lake whose files nobody has asked for yet. */
MUST_USE enum err access_plan_lakes(struct access *access, struct errinfo *info);
struct lake_scan_counts access_lake_work(const struct access *access, size_t lake);
/* What the rows satisfy that were read of the table with this uuid, as lake_scan_condition says it;
 * of the plan that the access was opened for, while it lives. */
struct iceberg_expression;
MUST_USE enum err access_condition(const struct access *access, const struct plan *plan,
                                   struct slice uuid, struct arena *arena,
                                   const struct iceberg_expression **ret_condition,
                                   struct errinfo *info);
void access_sink_uri(const struct access *access, struct buf *ret_uri);
void access_rows_uri(const struct access *access, struct buf *ret_uri);
MUST_USE enum err access_sink_finish(struct access *access, struct errinfo *info);
/* The placeholder URI of object `index`, as catalog_source_sql wants it. */
struct access_uri_context {
    const struct warehouse *warehouse;
    const struct relation *relation;
    size_t object_first;
};
void access_placeholder_uri(void *context, size_t index, struct buf *out);
