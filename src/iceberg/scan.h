/* Planning a scan: a snapshot and a predicate to the data files that may hold matching rows, each
 * with the deletes that apply to it (spec "Scan Planning").
 *
 * Manifests are pruned by their summaries, files by partition and metrics before they are kept, so
 * memory grows with what matches. Manifests are read by a few threads when the caller allows it;
 * the order of the result is by (manifest, position in it), so it is the same every time. */
#pragma once

#include "iceberg/deletes.h"
#include "iceberg/expression.h"

/* Decompressed manifests by (path, length), shared by scans; safe for many threads. Immutable
 * objects, so a hit can be wrong only if an object store breaks its word. It holds no right:
 * callers authorise before they scan. */
struct iceberg_manifest_cache;
MUST_USE enum err iceberg_manifest_cache_open(uint64_t bytes_max,
                                              struct iceberg_manifest_cache **ret_cache,
                                              struct errinfo *info);
void iceberg_manifest_cache_close(struct iceberg_manifest_cache *cache);
DEFINE_CLEANUP(struct iceberg_manifest_cache, iceberg_manifest_cache_cleanup,
               iceberg_manifest_cache_close)

struct iceberg_scan_options {
    const struct iceberg_io *io;
    const struct iceberg_metadata *metadata;
    const struct iceberg_snapshot *snapshot; /* NULL = empty table: no files */
    const struct iceberg_schema *schema;     /* the schema rows are read with */
    const struct iceberg_expression *filter; /* unbound; NULL = all rows */
    struct iceberg_manifest_cache *cache;    /* NULL = read each time */
    unsigned thread_count;                   /* 0 or 1 = the calling thread only */
    bool want_metrics;                       /* keep all metrics of the files in the result */
    const bool *is_cancelled; /* looked at between manifests; NULL = never (volatile read) */
};

/* A delete file that applies to some data file of the plan. */
struct iceberg_delete_file {
    struct iceberg_file file;
};

struct iceberg_scan_file {
    struct iceberg_file file;
    const struct iceberg_expression *residual; /* bound; TRUE when nothing is left to check */
    const uint32_t *deletes; /* indices into the plan's deletes: position deletes and vectors */
    size_t delete_count;
    const uint32_t *equality_deletes;
    size_t equality_delete_count;
};

/* Counted so that tests, EXPLAIN and metrics see what was skipped. */
struct iceberg_scan_counts {
    uint64_t manifests_total;
    uint64_t manifests_skipped;
    uint64_t delete_manifests_total;
    uint64_t delete_manifests_skipped;
    uint64_t manifest_bytes_read;
    uint64_t manifest_cache_hits;
    uint64_t files_total; /* live data files seen in manifests that were read */
    uint64_t files_skipped_by_partition;
    uint64_t files_skipped_by_metrics;
    uint64_t files_matched;
    uint64_t delete_files_matched;
    uint64_t rows_matched; /* record counts of matched files, before deletes */
    uint64_t bytes_matched;
};

struct iceberg_scan_plan {
    const struct iceberg_scan_file *files;
    size_t file_count;
    const struct iceberg_delete_file *deletes;
    size_t delete_count;
    struct iceberg_scan_counts counts;
};

/* Which deletes apply, by the spec: vectors and position deletes with sequence >= the data file's
 * (same spec and partition, or by referenced_data_file / path bounds), equality deletes with
 * sequence strictly greater (same spec and partition, or global when unpartitioned); a vector
 * replaces position delete files of its data file. Two vectors for one data file: ERR_CORRUPT.
 * ERR_UNSUPPORTED names an encrypted manifest or file. Everything returned lives in `arena`. */
MUST_USE enum err iceberg_scan_plan(const struct iceberg_scan_options *options, struct arena *arena,
                                    struct iceberg_scan_plan *ret_plan, struct errinfo *info);
