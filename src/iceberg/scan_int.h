/* What planning is made of: packed manifests, their cache, and the index of deletes. */
#pragma once

#include "iceberg/expression_int.h"
#include "iceberg/scan.h"

/* ---- maps from bytes to small numbers (scan_map.c) ---- */

/* Open addressing; keys live in the map's arena. Zeroed and given an arena it is empty. */
struct scan__map {
    struct arena *arena;
    struct scan__map_entry *entries;
    size_t capacity; /* a power of two */
    size_t count;
};

struct scan__map_entry {
    struct slice key; /* ptr NULL = free */
    uint64_t hash;
    int64_t value;
};

/* The value's place, made with `initial` when the key is new; NULL = out of memory. Valid until
 * the next call. */
MUST_USE int64_t *scan__map_at(struct scan__map *map, struct slice key, int64_t initial);
/* NULL when absent. Safe for many threads that only look. */
const int64_t *scan__map_find(const struct scan__map *map, struct slice key);

/* Appends the identity of a partition: the spec and its values, floats by their bits with one NaN
 * (spec "Scan Planning", note 3). */
void scan__partition_key(int32_t spec_id, const struct iceberg_value *values, size_t count,
                         struct buf *out);

/* ---- packed manifests (scan_pack.c) ---- */

/* The live entries of one manifest: never changed, read by any number of threads. */
struct scan__pack;

/* ERR_LIMIT for a manifest too large to pack; the caller then reads it entry by entry. */
MUST_USE enum err scan__pack_build(struct slice bytes, const struct iceberg_manifest *manifest,
                                   const struct iceberg_metadata *metadata,
                                   struct scan__pack **ret_pack, struct errinfo *info);
void scan__pack_free(struct scan__pack *pack);
DEFINE_CLEANUP(struct scan__pack, scan__pack_cleanup, scan__pack_free)
size_t scan__pack_bytes(const struct scan__pack *pack);

/* Entries, packed or straight from a manifest's bytes. */
struct scan__entries;

/* One of `pack` and `reader` is given; the reader is taken over. `metric_ids` ascend. */
MUST_USE enum err scan__entries_open(const struct scan__pack *pack,
                                     struct iceberg_manifest_reader *reader,
                                     const int32_t *metric_ids, size_t metric_count,
                                     struct scan__entries **ret_entries, struct errinfo *info);
void scan__entries_close(struct scan__entries *entries);
DEFINE_CLEANUP(struct scan__entries, scan__entries_cleanup, scan__entries_close)
/* The next entry, NULL at the end: content, counts, sequence number, partition and the metrics of
 * `metric_ids`; of a packed one nothing else. */
MUST_USE enum err scan__entries_next(struct scan__entries *entries,
                                     const struct iceberg_file **ret_file, struct errinfo *info);
/* The same entry, complete; with all metrics or those asked for. Valid until the next call. */
MUST_USE enum err scan__entries_full(struct scan__entries *entries, bool all_metrics,
                                     const struct iceberg_file **ret_file, struct errinfo *info);

/* ---- the cache (scan_cache.c) ---- */

struct scan__cached; /* an entry that is held; it lives until it is let go */

/* NULL = absent. */
struct scan__cached *scan__cache_get(struct iceberg_manifest_cache *cache, struct slice key);
void scan__cache_let_go(struct iceberg_manifest_cache *cache, struct scan__cached *cached);
const struct scan__pack *scan__cached_pack(const struct scan__cached *cached);
struct slice scan__cached_bytes(const struct scan__cached *cached);
/* Takes over `pack` (or the bytes, `pack` NULL) whatever comes back; the entry is held. Another
 * thread's entry of that key is given instead of this one. NULL = out of memory. */
MUST_USE struct scan__cached *scan__cache_put(struct iceberg_manifest_cache *cache,
                                              struct slice key, struct scan__pack *pack,
                                              struct buf *bytes);
/* True if something of that size is worth keeping. */
bool scan__cache_takes(const struct iceberg_manifest_cache *cache, uint64_t size_bytes);

/* ---- one plan (scan.c, scan_manifest.c, scan_deletes.c) ---- */

struct scan__spec {
    const struct iceberg_spec *spec;
    const struct iceberg_expression *projected;
    const struct iceberg__residuals *residuals;
    bool is_unpartitioned; /* no fields, or void ones only */
};

struct scan__plan {
    const struct iceberg_scan_options *options;
    struct iceberg_manifest_cache *cache;   /* NULL = none, or no scope to keep things under */
    struct arena *scratch;                  /* freed with the plan's work */
    const struct iceberg_expression *bound; /* TRUE without a filter */
    const int32_t *metric_ids;
    size_t metric_count;
    bool keep_metrics;        /* equality deletes are matched by them */
    struct scan__spec *specs; /* of the table, in its order; spec NULL = not used */
    struct iceberg_manifest *manifests;
    size_t manifest_count;
    struct iceberg_scan_counts counts;
    struct errinfo *info;
};

/* Files that one manifest gave, in an arena of their own. */
struct scan__kept {
    struct arena *arena;
    struct iceberg_file *files;
    size_t count;
    size_t capacity;
};

void scan__kept_fini(struct scan__kept *kept);
MUST_USE bool scan__kept_add(struct scan__kept *kept, const struct iceberg_file *file);

struct scan__task {
    const struct iceberg_manifest *manifest;
    const struct scan__spec *spec;
    struct scan__kept kept;
    struct iceberg_scan_counts counts;
};

const struct scan__spec *scan__find_spec(const struct scan__plan *plan, int32_t spec_id);

/* What deletes are looked up by: made from the data files that match. */
struct scan__targets {
    struct scan__map paths;      /* least data sequence number of a path */
    struct scan__map partitions; /* and of a partition */
    int64_t sequence_min;        /* and of all */
};

/* Reads one manifest into its task. `targets` NULL: data; else deletes that apply to any. */
MUST_USE enum err scan__manifest_read(const struct scan__plan *plan,
                                      const struct scan__targets *targets, struct scan__task *task,
                                      struct errinfo *info);

MUST_USE enum err scan__targets_build(const struct scan__plan *plan, const struct scan__task *tasks,
                                      size_t task_count, struct scan__targets *ret_targets);
/* True if a delete file may apply to some target. */
MUST_USE enum err scan__targets_has(const struct scan__plan *plan,
                                    const struct scan__targets *targets,
                                    const struct iceberg_file *file, struct buf *key,
                                    bool *ret_applies);

struct scan__deletes; /* the index, in the plan's scratch arena */

/* `files` outlive the index. */
MUST_USE enum err scan__deletes_build(const struct scan__plan *plan,
                                      const struct iceberg_file *const *files, size_t count,
                                      const struct scan__deletes **ret_deletes);
/* Indices of the deletes of a data file, in `arena`, ascending. */
MUST_USE enum err scan__deletes_find(const struct scan__plan *plan,
                                     const struct scan__deletes *deletes,
                                     const struct iceberg_file *file, struct arena *arena,
                                     struct iceberg_scan_file *ret_file);
