/* Manifest lists and manifests (spec "Manifests", "Manifest Lists"), all versions, with
 * inheritance of sequence numbers, snapshot ids, spec ids and first row ids already applied.
 *
 * Readers stream: an entry is valid until the next one. Skipping a file or a manifest is the
 * planner's work (iceberg/scan.h), helped by iceberg_manifest_filter, which can say no before
 * an entry's statistics are even decoded. Partition values come typed by the spec's transforms. */
#pragma once

#include "iceberg/avro.h"
#include "iceberg/metadata.h"

enum iceberg_content {
    ICEBERG_DATA,
    ICEBERG_POSITION_DELETES, /* also deletion vectors: file format Puffin */
    ICEBERG_EQUALITY_DELETES,
};

enum iceberg_file_format {
    ICEBERG_PARQUET,
    ICEBERG_AVRO,
    ICEBERG_ORC,
    ICEBERG_PUFFIN,
};

struct iceberg_partition_summary {
    bool contains_null;
    bool contains_nan;
    bool has_nan_flag;  /* contains_nan was written */
    struct slice lower; /* single-value binary; ptr NULL = absent */
    struct slice upper;
};

/* One manifest, as the list says. */
struct iceberg_manifest {
    struct slice path;
    int64_t length_bytes;
    int32_t spec_id;
    bool is_deletes;
    int64_t sequence_number;
    int64_t min_sequence_number;
    int64_t added_snapshot_id;
    int64_t added_files; /* ICEBERG_NO_ID = unknown, all six */
    int64_t existing_files;
    int64_t deleted_files;
    int64_t added_rows;
    int64_t existing_rows;
    int64_t deleted_rows;
    const struct iceberg_partition_summary *partitions;
    size_t partition_count; /* 0 = not written */
    int64_t first_row_id;   /* v3; ICEBERG_NO_ID = none */
    bool is_encrypted;      /* key_metadata is set: refused when read */
};

/* Reads the manifests of a snapshot: its list, or the paths a v1 snapshot holds itself (lengths
 * then unknown). Order as written. */
MUST_USE enum err iceberg_manifests_load(const struct iceberg_io *io,
                                         const struct iceberg_metadata *metadata,
                                         const struct iceberg_snapshot *snapshot,
                                         struct arena *arena,
                                         struct iceberg_manifest **ret_manifests, size_t *ret_count,
                                         struct errinfo *info);
/* The same from bytes of a list: what the fuzz target drives. */
MUST_USE enum err iceberg_manifest_list_parse(struct slice bytes,
                                              const struct iceberg_metadata *metadata,
                                              struct arena *arena,
                                              struct iceberg_manifest **ret_manifests,
                                              size_t *ret_count, struct errinfo *info);

enum iceberg_entry_status {
    ICEBERG_EXISTING,
    ICEBERG_ADDED,
    ICEBERG_DELETED,
};

/* Statistics of one column in one file; absent members say so. */
struct iceberg_metrics {
    int32_t field_id;
    int64_t size_bytes; /* ICEBERG_NO_ID = absent, as the counts below */
    int64_t value_count;
    int64_t null_count;
    int64_t nan_count;
    struct slice lower; /* ptr NULL = absent */
    struct slice upper;
};

/* A data or delete file and the entry that names it. Slices view the manifest's bytes. */
struct iceberg_file {
    enum iceberg_entry_status status;
    enum iceberg_content content;
    enum iceberg_file_format format;
    int64_t snapshot_id;
    int64_t sequence_number;      /* data sequence number, inherited */
    int64_t file_sequence_number; /* inherited; ICEBERG_NO_ID when unknown */
    struct slice path;
    int32_t spec_id;
    const struct iceberg_value *partition; /* one for each field of the spec */
    size_t partition_count;
    int64_t record_count;
    int64_t size_bytes;
    const struct iceberg_metrics *metrics; /* ascending by field id */
    size_t metrics_count;
    const int64_t *split_offsets;
    size_t split_offset_count;
    const int32_t *equality_ids;
    size_t equality_id_count;
    int32_t sort_order_id;             /* ICEBERG_NO_ID = absent */
    int64_t first_row_id;              /* inherited; ICEBERG_NO_ID = none */
    struct slice referenced_data_file; /* ptr NULL = absent */
    int64_t content_offset;            /* deletion vectors; ICEBERG_NO_ID = absent */
    int64_t content_size_bytes;
    bool is_encrypted;
    struct slice key_metadata; /* for metadata tables only */
};

struct iceberg_manifest_reader;

/* What to decode; nothing asked for is skipped at the speed of a varint. The ids outlive the
 * reader. */
struct iceberg_manifest_want {
    bool all_metrics;          /* else only of these fields */
    const int32_t *metric_ids; /* ascending */
    size_t metric_count;
    bool deleted_entries; /* else entries with status DELETED are passed over */
};

/* `bytes` (the whole object) must outlive the reader; so must `metadata`. Length, content and spec
 * id must be what the list says (a length of 0 is unknown), the tuple's types those of the spec.
 * ERR_CORRUPT, ERR_UNSUPPORTED by name. */
MUST_USE enum err iceberg_manifest_open(struct slice bytes, const struct iceberg_manifest *manifest,
                                        const struct iceberg_metadata *metadata,
                                        const struct iceberg_manifest_want *want,
                                        struct iceberg_manifest_reader **ret_reader,
                                        struct errinfo *info);
void iceberg_manifest_close(struct iceberg_manifest_reader *reader);
DEFINE_CLEANUP(struct iceberg_manifest_reader, iceberg_manifest_cleanup, iceberg_manifest_close)

/* The next entry, or NULL at the end; valid until the next call. */
MUST_USE enum err iceberg_manifest_next(struct iceberg_manifest_reader *reader,
                                        const struct iceberg_file **ret_file, struct errinfo *info);

/* Deep copy, for what outlives the manifest's bytes. */
MUST_USE bool iceberg_file_copy(const struct iceberg_file *file, struct arena *arena,
                                struct iceberg_file *ret_file);
