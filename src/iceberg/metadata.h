/* Table and view metadata: the JSON document at the root of a table (spec "Table Metadata",
 * Appendix C; view spec v1).
 *
 * Parse what is valid, refuse what is not: every message names the JSON path. What a newer
 * version of the spec added and this library does not know is refused by name when it could
 * change rows (format version, unknown requirement, encryption), and kept out of the way when it
 * could not (unknown informational members). All data lives in the arena given. */
#pragma once

#include "iceberg/io.h"
#include "iceberg/transform.h"
#include "iceberg/type.h"

#define ICEBERG_FORMAT_VERSION_MAX 3
#define ICEBERG_NO_ID (-1)

struct iceberg_property {
    struct slice key;
    struct slice value;
};

struct iceberg_partition_field {
    const int32_t *source_ids; /* one, or several for v3 multi-argument transforms */
    size_t source_count;
    int32_t field_id; /* 1000 and up; assigned in order when an old v1 table has none */
    struct slice name;
    struct iceberg_transform transform;
};

struct iceberg_spec {
    int32_t id;
    const struct iceberg_partition_field *fields;
    size_t field_count;
};

struct iceberg_sort_field {
    const int32_t *source_ids;
    size_t source_count;
    struct iceberg_transform transform;
    bool is_descending;
    bool is_nulls_last;
};

struct iceberg_sort_order {
    int32_t id;
    const struct iceberg_sort_field *fields;
    size_t field_count;
};

struct iceberg_snapshot {
    int64_t id;
    int64_t parent_id; /* ICEBERG_NO_ID = none */
    int64_t sequence_number;
    int64_t timestamp_ms;
    int32_t schema_id;          /* ICEBERG_NO_ID = not written (old v1) */
    struct slice manifest_list; /* empty: `manifests` is given instead (v1) */
    const struct slice *manifests;
    size_t manifest_count;
    struct slice operation; /* empty when the summary lacks it */
    const struct iceberg_property *summary;
    size_t summary_count;
    int64_t first_row_id; /* v3, ICEBERG_NO_ID = none */
    int64_t added_rows;   /* v3, ICEBERG_NO_ID = none */
    struct slice key_id;  /* v3 encryption: not empty = refused when scanned */
};

struct iceberg_ref {
    struct slice name;
    int64_t snapshot_id;
    bool is_tag;
    int64_t min_snapshots_to_keep; /* ICEBERG_NO_ID = not given, as below */
    int64_t max_snapshot_age_ms;
    int64_t max_ref_age_ms;
};

struct iceberg_log_entry {
    int64_t timestamp_ms;
    int64_t snapshot_id; /* snapshot log */
    struct slice file;   /* metadata log */
};

struct iceberg_statistics_blob {
    struct slice type;
    int64_t snapshot_id;
    int64_t sequence_number;
    const int32_t *field_ids;
    size_t field_count;
    const struct iceberg_property *properties;
    size_t property_count;
};

struct iceberg_statistics {
    int64_t snapshot_id;
    struct slice path;
    int64_t size_bytes;
    int64_t footer_size_bytes; /* ICEBERG_NO_ID for partition statistics */
    struct slice key_metadata;
    const struct iceberg_statistics_blob *blobs;
    size_t blob_count;
};

struct iceberg_metadata {
    uint32_t format_version;
    struct slice uuid; /* lower case; empty only in v1 tables that never had one */
    struct slice location;
    int64_t last_sequence_number;
    int64_t last_updated_ms;
    int32_t last_column_id;
    int32_t current_schema_id;
    int32_t default_spec_id;
    int32_t last_partition_id;
    int32_t default_sort_order_id;
    int64_t current_snapshot_id; /* ICEBERG_NO_ID = none */
    int64_t next_row_id;         /* v3, else 0 */
    const struct iceberg_schema *schemas;
    size_t schema_count;
    const struct iceberg_spec *specs;
    size_t spec_count;
    const struct iceberg_sort_order *sort_orders;
    size_t sort_order_count;
    const struct iceberg_snapshot *snapshots;
    size_t snapshot_count;
    const uint32_t *snapshots_by_id; /* indexes of `snapshots`, ascending by id */
    const struct iceberg_ref *refs;  /* by name; "main" even when an old table does not write it */
    size_t ref_count;
    const struct iceberg_log_entry *snapshot_log;
    size_t snapshot_log_count;
    const struct iceberg_log_entry *metadata_log;
    size_t metadata_log_count;
    const struct iceberg_property *properties;
    size_t property_count;
    const struct iceberg_statistics *statistics;
    size_t statistics_count;
    const struct iceberg_statistics *partition_statistics;
    size_t partition_statistics_count;
    bool has_encryption_keys;
};

/* Parses a document: plain JSON, or gzip (told by its magic bytes, whatever the name). Nothing in
 * the result views `bytes`. ERR_CORRUPT with the JSON path; ERR_UNSUPPORTED for a format version
 * above 3; ERR_LIMIT for a document above 1 GiB. */
MUST_USE enum err iceberg_metadata_parse(struct slice bytes, struct arena *arena,
                                         struct iceberg_metadata *ret_metadata,
                                         struct errinfo *info);
/* Reads and parses the object at `location`. */
MUST_USE enum err iceberg_metadata_load(const struct iceberg_io *io, struct slice location,
                                        struct arena *arena, struct iceberg_metadata *ret_metadata,
                                        struct errinfo *info);

/* Lookups: NULL when absent. */
const struct iceberg_schema *iceberg_metadata_schema(const struct iceberg_metadata *metadata,
                                                     int32_t id);
const struct iceberg_schema *iceberg_metadata_current_schema(const struct iceberg_metadata *m);
const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *metadata,
                                                 int32_t id);
const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *metadata,
                                                         int64_t id);
/* The snapshot that was staged under a name (write, audit, publish), behind `after` others; whether
 * it was published is not asked. */
#define ICEBERG_WAP_ID "wap.id"
const struct iceberg_snapshot *iceberg_metadata_find_wap(const struct iceberg_metadata *metadata,
                                                         struct slice wap_id, size_t after);
const struct iceberg_ref *iceberg_metadata_ref(const struct iceberg_metadata *metadata,
                                               struct slice name);
/* Field by id at any depth: in the current schema, else in the newest other that has it. Partition
 * specs and files may name columns that were dropped since. */
const struct iceberg_field *iceberg_metadata_field(const struct iceberg_metadata *metadata,
                                                   int32_t field_id);
/* Empty slice when absent. */
struct slice iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key);

/* ---- time travel ---- */

/* Each finds the snapshot or says, in the message or hint, which ones live: the nearest living
 * snapshot and its time for an expired one, the refs for a misspelt name. ERR_NOT_FOUND. */
MUST_USE enum err iceberg_travel_to_id(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                                       const struct iceberg_snapshot **ret_snapshot,
                                       struct errinfo *info);
/* The snapshot that was current at `timestamp_ms`, by the snapshot log. */
MUST_USE enum err iceberg_travel_to_time(const struct iceberg_metadata *metadata,
                                         int64_t timestamp_ms,
                                         const struct iceberg_snapshot **ret_snapshot,
                                         struct errinfo *info);
MUST_USE enum err iceberg_travel_to_ref(const struct iceberg_metadata *metadata, struct slice name,
                                        const struct iceberg_snapshot **ret_snapshot,
                                        struct errinfo *info);
/* Schema of a snapshot, for time travel by id, time or tag; the current one when an old table does
 * not write it. A branch is read with the current schema, as in the reference implementation. */
const struct iceberg_schema *iceberg_snapshot_schema(const struct iceberg_metadata *metadata,
                                                     const struct iceberg_snapshot *snapshot);
/* The same for a reference by name: a tag's snapshot's, a branch's current one. */
const struct iceberg_schema *iceberg_ref_schema(const struct iceberg_metadata *metadata,
                                                const struct iceberg_ref *ref);

/* ---- name mapping (property schema.name-mapping.default) ---- */

struct iceberg_name_mapping {
    const struct iceberg_mapped_field *fields;
    size_t field_count;
};

struct iceberg_mapped_field {
    int32_t field_id; /* ICEBERG_NO_ID = none */
    const struct slice *names;
    size_t name_count;
    struct iceberg_name_mapping children;
};

/* ERR_CORRUPT also for a name that two fields of one level share: it would be ambiguous. */
MUST_USE enum err iceberg_name_mapping_parse(struct slice json, struct arena *arena,
                                             struct iceberg_name_mapping *ret_mapping,
                                             struct errinfo *info);

/* ---- views ---- */

struct iceberg_view_sql {
    struct slice dialect;
    struct slice sql;
};

struct iceberg_view_version {
    int32_t id;
    int64_t timestamp_ms;
    int32_t schema_id;
    const struct iceberg_property *summary;
    size_t summary_count;
    struct slice default_catalog;
    const struct slice *default_namespace;
    size_t default_namespace_count;
    const struct iceberg_view_sql *representations;
    size_t representation_count;
};

struct iceberg_view_log_entry {
    int64_t timestamp_ms;
    int32_t version_id;
};

struct iceberg_view {
    struct slice uuid;
    struct slice location;
    int32_t current_version_id;
    const struct iceberg_schema *schemas;
    size_t schema_count;
    const struct iceberg_view_version *versions;
    size_t version_count;
    const struct iceberg_view_log_entry *log;
    size_t log_count;
    const struct iceberg_property *properties;
    size_t property_count;
};

/* Plain or gzip, as tables. The current version and its schema exist in what is returned. */
MUST_USE enum err iceberg_view_parse(struct slice bytes, struct arena *arena,
                                     struct iceberg_view *ret_view, struct errinfo *info);
const struct iceberg_view_version *iceberg_view_current(const struct iceberg_view *view);
const struct iceberg_schema *iceberg_view_schema(const struct iceberg_view *view, int32_t id);
