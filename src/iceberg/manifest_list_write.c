/* Manifest lists as Avro (spec "Manifest Lists"). */
#include "iceberg/write_int.h"

static void write_number(struct buf *out, const char *name, int32_t id, bool is_long,
                         bool is_required)
{
    const char *type = is_long ? "\"long\"" : "\"int\"";
    if (is_required) {
        write__required(out, name, id, type);
    } else {
        write__optional(out, name, id, type);
    }
    buf_append_char(out, ',');
}

/* In v1 the counts may be unknown; in later versions they are required. */
static void write_schema(struct buf *out, uint32_t version)
{
    bool is_new = version > 1;
    buf_append_str(out, "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[");
    write__required(out, "manifest_path", 500, "\"string\"");
    buf_append_char(out, ',');
    write_number(out, "manifest_length", 501, true, true);
    write_number(out, "partition_spec_id", 502, false, true);
    if (is_new) {
        write_number(out, "content", 517, false, true);
        write_number(out, "sequence_number", 515, true, true);
        write_number(out, "min_sequence_number", 516, true, true);
    }
    write_number(out, "added_snapshot_id", 503, true, is_new);
    write_number(out, "added_files_count", 504, false, is_new);
    write_number(out, "existing_files_count", 505, false, is_new);
    write_number(out, "deleted_files_count", 506, false, is_new);
    write_number(out, "added_rows_count", 512, true, is_new);
    write_number(out, "existing_rows_count", 513, true, is_new);
    write_number(out, "deleted_rows_count", 514, true, is_new);
    buf_append_str(out, "{\"name\":\"partitions\",\"default\":null,\"field-id\":507,\"type\":["
                        "\"null\",{\"type\":\"array\",\"element-id\":508,\"items\":{\"type\":"
                        "\"record\",\"name\":\"r508\",\"fields\":[");
    write__required(out, "contains_null", 509, "\"boolean\"");
    buf_append_char(out, ',');
    write__optional(out, "contains_nan", 518, "\"boolean\"");
    buf_append_char(out, ',');
    write__optional(out, "lower_bound", 510, "\"bytes\"");
    buf_append_char(out, ',');
    write__optional(out, "upper_bound", 511, "\"bytes\"");
    buf_append_str(out, "]}}]},");
    write__optional(out, "key_metadata", 519, "\"bytes\"");
    if (version > 2) {
        buf_append_char(out, ',');
        write__optional(out, "first_row_id", 520, "\"long\"");
    }
    buf_append_str(out, "]}");
}

static void write_summaries(struct buf *out, const struct iceberg_manifest *manifest)
{
    avro_write_long(out, manifest->partition_count == 0 ? 0 : 1);
    if (manifest->partition_count == 0) {
        return;
    }
    avro_write_long(out, (int64_t)manifest->partition_count);
    for (size_t i = 0; i < manifest->partition_count; i++) {
        const struct iceberg_partition_summary *summary = &manifest->partitions[i];
        buf_append_char(out, summary->contains_null ? 1 : 0);
        avro_write_long(out, summary->has_nan_flag ? 1 : 0);
        if (summary->has_nan_flag) {
            buf_append_char(out, summary->contains_nan ? 1 : 0);
        }
        write__optional_bytes(out, summary->lower);
        write__optional_bytes(out, summary->upper);
    }
    avro_write_long(out, 0);
}

/* A count that nobody knew, of a list that must know it, is nothing. */
static void write_count(struct buf *out, int64_t count, uint32_t version)
{
    if (version > 1) {
        avro_write_long(out, count == ICEBERG_NO_ID ? 0 : count);
    } else {
        write__optional_long(out, count);
    }
}

static void write_manifest(struct buf *out, const struct iceberg_manifest *manifest,
                           uint32_t version)
{
    avro_write_bytes(out, manifest->path);
    avro_write_long(out, manifest->length_bytes);
    avro_write_long(out, manifest->spec_id);
    if (version > 1) {
        avro_write_long(out, manifest->is_deletes ? 1 : 0);
        avro_write_long(out, manifest->sequence_number);
        avro_write_long(out, manifest->min_sequence_number);
        avro_write_long(out, manifest->added_snapshot_id);
    } else {
        write__optional_long(out, manifest->added_snapshot_id);
    }
    write_count(out, manifest->added_files, version);
    write_count(out, manifest->existing_files, version);
    write_count(out, manifest->deleted_files, version);
    write_count(out, manifest->added_rows, version);
    write_count(out, manifest->existing_rows, version);
    write_count(out, manifest->deleted_rows, version);
    write_summaries(out, manifest);
    write__optional_bytes(out, (struct slice){NULL, 0}); /* encrypted ones are refused before */
    if (version > 2) {
        write__optional_long(out, manifest->first_row_id);
    }
}

enum err iceberg_manifest_list_write(const struct iceberg_list_write *write,
                                     const struct iceberg_manifest *manifests,
                                     size_t manifest_count, struct buf *out, struct errinfo *info)
{
    struct avro_output avro CLEANUP(avro_output_fini) = {0};
    struct buf schema CLEANUP(buf_fini) = {0};
    char texts[5][24];
    write_schema(&schema, write->format_version);
    if (buf_failed(&schema)) {
        return errinfo_nomem(info);
    }
    (void)snprintf(texts[0], sizeof(texts[0]), "%lld", (long long)write->snapshot_id);
    (void)snprintf(texts[1], sizeof(texts[1]), "%lld", (long long)write->parent_id);
    (void)snprintf(texts[2], sizeof(texts[2]), "%u", write->format_version);
    (void)snprintf(texts[3], sizeof(texts[3]), "%lld", (long long)write->sequence_number);
    (void)snprintf(texts[4], sizeof(texts[4]), "%lld", (long long)write->first_row_id);
    const struct avro_pair pairs[] = {
        {"snapshot-id", slice_of(texts[0])},
        {"parent-snapshot-id",
         write->parent_id == ICEBERG_NO_ID ? SLICE("null") : slice_of(texts[1])},
        {"format-version", slice_of(texts[2])},
        {"sequence-number", slice_of(texts[3])},
        {"first-row-id", slice_of(texts[4])},
    };
    size_t pair_count = write->format_version < 2 ? 3 : write->format_version < 3 ? 4 : 5;
    TRY(avro_output_open(&avro, out, buf_slice(&schema), pairs, pair_count, write->codec, info));
    for (size_t i = 0; i < manifest_count; i++) {
        write_manifest(&avro.block, &manifests[i], write->format_version);
        TRY(avro_output_next(&avro, info));
    }
    return avro_output_end(&avro, info);
}
