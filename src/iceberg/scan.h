/* Planning a scan: a snapshot and a predicate to the data files that may hold matching rows, each
 * with the deletes that apply to it (spec "Scan Planning").
 *
 * Manifests are pruned by their summaries, files by partition and metrics before they are kept, so
 * memory grows with what matches. Manifests are read by a few threads when the caller allows it
 * (iceberg_io must then stand it); the order of the result is by (manifest, position in it), so it
 * is the same every time. */
#pragma once

#include <stdatomic.h>

#include "iceberg/deletes.h"
#include "iceberg/expression.h"

/* Manifests that were read, kept packed in columns so that a plan touches only the fields it asks
 * about, and manifest lists; shared by scans, safe for many threads. Immutable objects, so a hit
 * can be wrong only if an object store breaks its word.
 *
 * A hit asks nobody for permission, and the paths are those of a metadata file that somebody wrote:
 * who may write one could name another's manifests in it. So everything is kept under a scope that
 * the caller vouches for (iceberg_scan_options.cache_scope), and nothing crosses scopes. */
struct iceberg_manifest_cache;
MUST_USE enum err iceberg_manifest_cache_open(uint64_t bytes_max,
                                              struct iceberg_manifest_cache **ret_cache,
                                              struct errinfo *info);
void iceberg_manifest_cache_close(struct iceberg_manifest_cache *cache);
/* Nothing that is kept under the scope is used again: what was read of a table made no sense, and
 * the way from the store may have damaged it. Accepts NULL. */
void iceberg_manifest_cache_forget(struct iceberg_manifest_cache *cache, struct slice scope);
DEFINE_CLEANUP(struct iceberg_manifest_cache, iceberg_manifest_cache_cleanup,
               iceberg_manifest_cache_close)

struct iceberg_scan_options {
    const struct iceberg_io *io;
    const struct iceberg_metadata *metadata;
    const struct iceberg_snapshot *snapshot; /* NULL = empty table: no files */
    const struct iceberg_schema *schema;     /* the schema rows are read with */
    const struct iceberg_expression *filter; /* unbound; NULL = all rows */
    struct iceberg_manifest_cache *cache;    /* NULL = read each time */
    /* Whoever scans under this scope may read all that anybody scanned under it: the catalog's own
     * name of the table, and the identity where rights differ. Empty: the cache is not used. */
    struct slice cache_scope;
    unsigned thread_count;           /* 0 or 1 = the calling thread only */
    bool want_metrics;               /* keep all metrics of the data files in the result */
    const atomic_bool *is_cancelled; /* looked at between manifests; NULL = never */
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
 * ERR_UNSUPPORTED names an encrypted manifest or file; ERR_INVALID and ERR_LIMIT a filter that does
 * not bind (iceberg_expression_bind); ERR_CORRUPT a manifest that is not as long as its list says.
 * Everything returned lives in `arena`; its limit covers the result, not what threads keep of a
 * plan while it is made, which is as much again. */
MUST_USE enum err iceberg_scan_plan(const struct iceberg_scan_options *options, struct arena *arena,
                                    struct iceberg_scan_plan *ret_plan, struct errinfo *info);
