/* Manifest lists (spec "Manifest Lists"). */
#include "base/mem.h"
#include "iceberg/manifest_int.h"

#define MANIFESTS_MAX 10000000

enum list_slot {
    LIST_PATH,
    LIST_LENGTH,
    LIST_SPEC,
    LIST_CONTENT,
    LIST_SEQUENCE,
    LIST_MIN_SEQUENCE,
    LIST_SNAPSHOT,
    LIST_ADDED_FILES,
    LIST_EXISTING_FILES,
    LIST_DELETED_FILES,
    LIST_ADDED_ROWS,
    LIST_EXISTING_ROWS,
    LIST_DELETED_ROWS,
    LIST_PARTITIONS,
    LIST_KEY,
    LIST_FIRST_ROW_ID,
    LIST_SLOTS
};

static const struct slot_want list_wants[LIST_SLOTS] = {
    [LIST_PATH] = {500, SLOT_BYTES, true, "manifest_path"},
    [LIST_LENGTH] = {501, SLOT_NUMBER, true, "manifest_length"},
    [LIST_SPEC] = {502, SLOT_NUMBER, true, "partition_spec_id"},
    [LIST_CONTENT] = {517, SLOT_NUMBER, false, "content"},
    [LIST_SEQUENCE] = {515, SLOT_NUMBER, false, "sequence_number"},
    [LIST_MIN_SEQUENCE] = {516, SLOT_NUMBER, false, "min_sequence_number"},
    [LIST_SNAPSHOT] = {503, SLOT_NUMBER, false, "added_snapshot_id"}, /* v1: optional */
    [LIST_ADDED_FILES] = {504, SLOT_NUMBER, false, "added_files_count"},
    [LIST_EXISTING_FILES] = {505, SLOT_NUMBER, false, "existing_files_count"},
    [LIST_DELETED_FILES] = {506, SLOT_NUMBER, false, "deleted_files_count"},
    [LIST_ADDED_ROWS] = {512, SLOT_NUMBER, false, "added_rows_count"},
    [LIST_EXISTING_ROWS] = {513, SLOT_NUMBER, false, "existing_rows_count"},
    [LIST_DELETED_ROWS] = {514, SLOT_NUMBER, false, "deleted_rows_count"},
    [LIST_PARTITIONS] = {507, SLOT_TUPLE, false, "partitions"},
    [LIST_KEY] = {519, SLOT_BYTES, false, "key_metadata"},
    [LIST_FIRST_ROW_ID] = {520, SLOT_NUMBER, false, "first_row_id"},
};

enum summary_slot {
    SUMMARY_NULL,
    SUMMARY_NAN,
    SUMMARY_LOWER,
    SUMMARY_UPPER,
    SUMMARY_SLOTS
};

static const struct slot_want summary_wants[SUMMARY_SLOTS] = {
    [SUMMARY_NULL] = {509, SLOT_NUMBER, true, "contains_null"},
    [SUMMARY_NAN] = {518, SLOT_NUMBER, false, "contains_nan"},
    [SUMMARY_LOWER] = {510, SLOT_BYTES, false, "lower_bound"},
    [SUMMARY_UPPER] = {511, SLOT_BYTES, false, "upper_bound"},
};

struct list_reader {
    struct arena *arena;
    struct record_program program;
    struct record_program summary;
    bool has_summary;
    struct iceberg_manifest *manifests;
    size_t count;
    size_t capacity;
    struct errinfo *info;
};

static enum err damaged(struct list_reader *r, const char *what)
{
    return errinfo_set(r->info, ERR_CORRUPT, NULL, "a manifest list is damaged: %s", what);
}

static int64_t number_or(const struct record_slot *slot, int64_t otherwise)
{
    return slot->is_set ? slot->number : otherwise;
}

static enum err keep_bytes(struct list_reader *r, const struct record_slot *slot,
                           struct slice *ret_bytes)
{
    *ret_bytes = (struct slice){NULL, 0};
    return !slot->is_set || arena_slice(r->arena, slot->bytes, ret_bytes) ? ERR_OK
                                                                          : errinfo_nomem(r->info);
}

static enum err read_summaries(struct list_reader *r, const struct record_slot *slot,
                               struct iceberg_manifest *out)
{
    struct item_iterator items = item_iterator(slot->cursor);
    struct iceberg_partition_summary *summaries = NULL;
    size_t count = 0, capacity = 0;
    bool has_more;
    if (!r->has_summary) {
        return damaged(r, "partition summaries");
    }
    for (;;) {
        struct record_slot slots[SUMMARY_SLOTS];
        if (!item__next(&items, &has_more)) {
            return damaged(r, "partition summaries");
        }
        if (!has_more) {
            break;
        }
        if (!record__read(&r->summary, &items.cursor, NULL, slots, SUMMARY_SLOTS)) {
            return damaged(r, "partition summaries");
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 4 : capacity * 2;
            struct iceberg_partition_summary *grown =
                arena_calloc(r->arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(r->info);
            }
            if (count > 0) {
                memcpy(grown, summaries, count * sizeof(*grown));
            }
            summaries = grown;
        }
        struct iceberg_partition_summary *summary = &summaries[count++];
        summary->contains_null = !slots[SUMMARY_NULL].is_set || slots[SUMMARY_NULL].number != 0;
        summary->has_nan_flag = slots[SUMMARY_NAN].is_set;
        summary->contains_nan = slots[SUMMARY_NAN].number != 0;
        TRY(keep_bytes(r, &slots[SUMMARY_LOWER], &summary->lower));
        TRY(keep_bytes(r, &slots[SUMMARY_UPPER], &summary->upper));
    }
    out->partitions = summaries;
    out->partition_count = count;
    return ERR_OK;
}

static enum err check_manifest(struct list_reader *r, const struct record_slot *slots,
                               const struct iceberg_manifest *manifest)
{
    static const enum list_slot counts[] = {LIST_ADDED_FILES,   LIST_EXISTING_FILES,
                                            LIST_DELETED_FILES, LIST_ADDED_ROWS,
                                            LIST_EXISTING_ROWS, LIST_DELETED_ROWS};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        if (number_or(&slots[counts[i]], 0) < 0) {
            return damaged(r, list_wants[counts[i]].name);
        }
    }
    int64_t content = number_or(&slots[LIST_CONTENT], 0);
    int64_t spec = slots[LIST_SPEC].number;
    if (manifest->path.len == 0 || !slice_is_utf8(manifest->path, NULL)) {
        return damaged(r, "manifest_path");
    }
    if (manifest->length_bytes < 0 || content < 0 || content > 1 || spec < 0 || spec > INT32_MAX ||
        manifest->sequence_number < 0 || manifest->min_sequence_number < 0) {
        return damaged(r, content < 0 || content > 1 ? "content" : "a number below 0");
    }
    return ERR_OK;
}

static enum err add_manifest(struct list_reader *r, const struct record_slot *slots)
{
    if (r->count == MANIFESTS_MAX) {
        return errinfo_set(r->info, ERR_LIMIT, NULL, "a snapshot has more than %d manifests",
                           MANIFESTS_MAX);
    }
    if (r->count == r->capacity) {
        size_t capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        struct iceberg_manifest *grown = arena_calloc(r->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(r->info);
        }
        if (r->count > 0) {
            memcpy(grown, r->manifests, r->count * sizeof(*grown));
        }
        r->manifests = grown;
        r->capacity = capacity;
    }
    struct iceberg_manifest *out = &r->manifests[r->count];
    *out = (struct iceberg_manifest){
        .length_bytes = slots[LIST_LENGTH].number,
        .spec_id = (int32_t)slots[LIST_SPEC].number,
        .is_deletes = number_or(&slots[LIST_CONTENT], 0) == 1,
        .sequence_number = number_or(&slots[LIST_SEQUENCE], 0),
        .min_sequence_number = number_or(&slots[LIST_MIN_SEQUENCE], 0),
        .added_snapshot_id = number_or(&slots[LIST_SNAPSHOT], ICEBERG_NO_ID),
        .added_files = number_or(&slots[LIST_ADDED_FILES], ICEBERG_NO_ID),
        .existing_files = number_or(&slots[LIST_EXISTING_FILES], ICEBERG_NO_ID),
        .deleted_files = number_or(&slots[LIST_DELETED_FILES], ICEBERG_NO_ID),
        .added_rows = number_or(&slots[LIST_ADDED_ROWS], ICEBERG_NO_ID),
        .existing_rows = number_or(&slots[LIST_EXISTING_ROWS], ICEBERG_NO_ID),
        .deleted_rows = number_or(&slots[LIST_DELETED_ROWS], ICEBERG_NO_ID),
        .first_row_id = number_or(&slots[LIST_FIRST_ROW_ID], ICEBERG_NO_ID),
        .is_encrypted = slots[LIST_KEY].is_set,
    };
    TRY(keep_bytes(r, &slots[LIST_PATH], &out->path));
    TRY(check_manifest(r, slots, out));
    if (slots[LIST_PARTITIONS].is_set) {
        TRY(read_summaries(r, &slots[LIST_PARTITIONS], out));
    }
    r->count++;
    return ERR_OK;
}

static enum err read_blocks(struct list_reader *r, struct avro_reader *avro)
{
    for (;;) {
        uint64_t records;
        struct slice block;
        TRY(avro_next_block(avro, &records, &block, r->info));
        if (records == 0) {
            return ERR_OK;
        }
        struct avro_cursor cursor = {(const uint8_t *)block.ptr,
                                     (const uint8_t *)block.ptr + block.len};
        for (uint64_t i = 0; i < records; i++) {
            struct record_slot slots[LIST_SLOTS];
            if (!record__read(&r->program, &cursor, NULL, slots, LIST_SLOTS)) {
                return damaged(r, "a record");
            }
            const char *missing = record__missing(list_wants, slots, LIST_SLOTS);
            if (missing != NULL) {
                return damaged(r, missing);
            }
            TRY(add_manifest(r, slots));
        }
        if (cursor.at != cursor.end) {
            return damaged(r, "bytes behind the last record of a block");
        }
    }
}

enum err manifest__check_version(const struct avro_reader *avro, const char *what,
                                 struct errinfo *info)
{
    uint64_t version;
    struct slice text = avro_metadata(avro, "format-version");
    if (text.len > 0 && (!slice_to_u64(text, &version) || version > ICEBERG_FORMAT_VERSION_MAX)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "a %s has format version \"%.*s\", which this program does not know",
                           what, SLICE_ARGS(text));
    }
    return ERR_OK;
}

/* Each manifest's spec exists, and its summaries are of the fields of that spec: the planner looks
 * them up by place. */
static enum err check_specs(const struct list_reader *r, const struct iceberg_metadata *metadata)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct iceberg_manifest *manifest = &r->manifests[i];
        const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, manifest->spec_id);
        if (spec == NULL) {
            return errinfo_set(r->info, ERR_CORRUPT, NULL,
                               "a manifest list names partition spec %d, which the table has not",
                               manifest->spec_id);
        }
        if (manifest->partition_count > 0 && manifest->partition_count != spec->field_count) {
            return errinfo_set(r->info, ERR_CORRUPT, NULL,
                               "a manifest list has summaries of %zu partition fields of spec %d, "
                               "which has %zu",
                               manifest->partition_count, manifest->spec_id, spec->field_count);
        }
    }
    return ERR_OK;
}

enum err iceberg_manifest_list_parse(struct slice bytes, const struct iceberg_metadata *metadata,
                                     struct arena *arena, struct iceberg_manifest **ret_manifests,
                                     size_t *ret_count, struct errinfo *info)
{
    struct avro_reader *avro CLEANUP(avro_cleanup) = NULL;
    struct list_reader reader = {.arena = arena, .info = info};
    TRY(avro_open(bytes, &avro, info));
    TRY(manifest__check_version(avro, "manifest list", info));
    const struct avro_schema *record = avro_reader_schema(avro);
    TRY(record__compile(record, list_wants, LIST_SLOTS, arena, &reader.program, info));
    const struct avro_schema *summaries = record__find(record, 507);
    if (summaries != NULL && summaries->kind == AVRO_ARRAY &&
        summaries->fields[0].schema->kind == AVRO_RECORD) {
        TRY(record__compile(summaries->fields[0].schema, summary_wants, SUMMARY_SLOTS, arena,
                            &reader.summary, info));
        reader.has_summary = true;
    }
    TRY(read_blocks(&reader, avro));
    TRY(check_specs(&reader, metadata));
    *ret_manifests = reader.manifests;
    *ret_count = reader.count;
    return ERR_OK;
}

/* A manifest that a v1 snapshot names itself: what a list would say of it is in its header. */
static enum err describe(const struct iceberg_io *io, const struct iceberg_metadata *metadata,
                         const struct iceberg_snapshot *snapshot, struct slice path,
                         struct iceberg_manifest *out, struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct avro_reader *avro CLEANUP(avro_cleanup) = NULL;
    uint64_t spec;
    TRY(io->read_all(io->context, path, 0, 0, &bytes, info));
    TRY(avro_open(buf_slice(&bytes), &avro, info));
    struct slice text = avro_metadata(avro, "partition-spec-id");
    if (text.len == 0) {
        spec = 0;
    } else if (!slice_to_u64(text, &spec) || spec > INT32_MAX) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest's partition-spec-id is no number");
    }
    if (iceberg_metadata_spec(metadata, (int32_t)spec) == NULL) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "a manifest has partition spec %d, which the table has not", (int)spec);
    }
    *out = (struct iceberg_manifest){.path = path,
                                     .length_bytes = (int64_t)bytes.len,
                                     .spec_id = (int32_t)spec,
                                     .added_snapshot_id = snapshot->id,
                                     .added_files = ICEBERG_NO_ID,
                                     .existing_files = ICEBERG_NO_ID,
                                     .deleted_files = ICEBERG_NO_ID,
                                     .added_rows = ICEBERG_NO_ID,
                                     .existing_rows = ICEBERG_NO_ID,
                                     .deleted_rows = ICEBERG_NO_ID,
                                     .first_row_id = ICEBERG_NO_ID};
    return ERR_OK;
}

enum err iceberg_manifests_load(const struct iceberg_io *io,
                                const struct iceberg_metadata *metadata,
                                const struct iceberg_snapshot *snapshot, struct arena *arena,
                                struct iceberg_manifest **ret_manifests, size_t *ret_count,
                                struct errinfo *info)
{
    if (snapshot->key_id.len > 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "the manifest list of snapshot %lld is encrypted (key \"%.*s\")",
                           (long long)snapshot->id, SLICE_ARGS(snapshot->key_id));
    }
    if (snapshot->manifest_list.len > 0) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        TRY(io->read_all(io->context, snapshot->manifest_list, 0, 0, &bytes, info));
        return iceberg_manifest_list_parse(buf_slice(&bytes), metadata, arena, ret_manifests,
                                           ret_count, info);
    }
    struct iceberg_manifest *manifests =
        arena_calloc(arena, snapshot->manifest_count + 1, sizeof(*manifests));
    if (manifests == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < snapshot->manifest_count; i++) {
        TRY(describe(io, metadata, snapshot, snapshot->manifests[i], &manifests[i], info));
    }
    *ret_manifests = manifests;
    *ret_count = snapshot->manifest_count;
    return ERR_OK;
}
