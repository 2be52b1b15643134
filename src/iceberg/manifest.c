/* Manifests (spec "Manifests"): entries one by one, with what they inherit. */
#include "iceberg/manifest.h"

#include "base/mem.h"
#include "iceberg/manifest_int.h"

#define LIST_NUMBERS_MAX 10000000

enum entry_slot {
    ENTRY_STATUS,
    ENTRY_SNAPSHOT,
    ENTRY_SEQUENCE,
    ENTRY_FILE_SEQUENCE,
    ENTRY_FILE,
    ENTRY_SLOTS
};

static const struct slot_want entry_wants[ENTRY_SLOTS] = {
    [ENTRY_STATUS] = {0, SLOT_NUMBER, true, "status"},
    [ENTRY_SNAPSHOT] = {1, SLOT_NUMBER, false, "snapshot_id"},
    [ENTRY_SEQUENCE] = {3, SLOT_NUMBER, false, "sequence_number"},
    [ENTRY_FILE_SEQUENCE] = {4, SLOT_NUMBER, false, "file_sequence_number"},
    [ENTRY_FILE] = {2, SLOT_TUPLE, true, "data_file"},
};

enum file_slot {
    FILE_CONTENT,
    FILE_PATH,
    FILE_FORMAT,
    FILE_PARTITION,
    FILE_RECORDS,
    FILE_SIZE,
    FILE_COLUMN_SIZES,
    FILE_VALUE_COUNTS,
    FILE_NULL_COUNTS,
    FILE_NAN_COUNTS,
    FILE_LOWER,
    FILE_UPPER,
    FILE_KEY,
    FILE_SPLITS,
    FILE_EQUALITY_IDS,
    FILE_SORT_ORDER,
    FILE_FIRST_ROW_ID,
    FILE_REFERENCED,
    FILE_CONTENT_OFFSET,
    FILE_CONTENT_SIZE,
    FILE_SLOTS
};

static const struct slot_want file_wants[FILE_SLOTS] = {
    [FILE_CONTENT] = {134, SLOT_NUMBER, false, "content"},
    [FILE_PATH] = {100, SLOT_BYTES, true, "file_path"},
    [FILE_FORMAT] = {101, SLOT_BYTES, true, "file_format"},
    [FILE_PARTITION] = {102, SLOT_TUPLE, true, "partition"},
    [FILE_RECORDS] = {103, SLOT_NUMBER, true, "record_count"},
    [FILE_SIZE] = {104, SLOT_NUMBER, true, "file_size_in_bytes"},
    [FILE_COLUMN_SIZES] = {108, SLOT_METRICS, false, "column_sizes"},
    [FILE_VALUE_COUNTS] = {109, SLOT_METRICS, false, "value_counts"},
    [FILE_NULL_COUNTS] = {110, SLOT_METRICS, false, "null_value_counts"},
    [FILE_NAN_COUNTS] = {137, SLOT_METRICS, false, "nan_value_counts"},
    [FILE_LOWER] = {125, SLOT_METRICS, false, "lower_bounds"},
    [FILE_UPPER] = {128, SLOT_METRICS, false, "upper_bounds"},
    [FILE_KEY] = {131, SLOT_BYTES, false, "key_metadata"},
    [FILE_SPLITS] = {132, SLOT_NUMBERS, false, "split_offsets"},
    [FILE_EQUALITY_IDS] = {135, SLOT_NUMBERS, false, "equality_ids"},
    [FILE_SORT_ORDER] = {140, SLOT_NUMBER, false, "sort_order_id"},
    [FILE_FIRST_ROW_ID] = {142, SLOT_NUMBER, false, "first_row_id"},
    [FILE_REFERENCED] = {143, SLOT_BYTES, false, "referenced_data_file"},
    [FILE_CONTENT_OFFSET] = {144, SLOT_NUMBER, false, "content_offset"},
    [FILE_CONTENT_SIZE] = {145, SLOT_NUMBER, false, "content_size_in_bytes"},
};

/* A growing array that keeps its room from one entry to the next. */
struct numbers {
    int64_t *items;
    size_t count;
    size_t capacity;
};

struct iceberg_manifest_reader {
    struct arena *arena;
    struct avro_reader *avro;
    struct avro_cursor cursor;
    uint64_t records_left; /* in this block */
    const struct iceberg_metadata *metadata;
    const struct avro_schema *schema; /* of an entry, as it is read */
    const struct avro_schema *loose;  /* see record__with_loose_partition */
    struct record_program entry;
    struct record_program data_file;
    struct partition_reader partition;
    struct iceberg_value *values;
    int32_t spec_id;
    bool is_deletes;
    int64_t manifest_sequence;
    int64_t added_snapshot_id;
    int64_t next_row_id; /* ICEBERG_NO_ID: the manifest has none */
    struct metrics_reader metrics;
    struct numbers splits;
    struct numbers ids;
    int32_t *equality_ids;
    size_t equality_capacity;
    struct iceberg_file file;
};

static enum err damaged(const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest is damaged: %s", what);
}

/* ---- opening ---- */

/* The header says which spec its tuples follow; the list says it too. */
static enum err check_header(struct iceberg_manifest_reader *reader,
                             const struct iceberg_manifest *manifest, struct errinfo *info)
{
    struct slice spec = avro_metadata(reader->avro, "partition-spec-id");
    struct slice content = avro_metadata(reader->avro, "content");
    uint64_t id;
    TRY(manifest__check_version(reader->avro, "manifest", info));
    if (spec.len > 0 && (!slice_to_u64(spec, &id) || id != (uint64_t)manifest->spec_id)) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "a manifest has partition spec %.*s, its list says %d", SLICE_ARGS(spec),
                           manifest->spec_id);
    }
    if (content.len > 0 && slice_equal(content, SLICE("deletes")) != manifest->is_deletes) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest holds %.*s, its list says %s",
                           SLICE_ARGS(content), manifest->is_deletes ? "deletes" : "data");
    }
    return ERR_OK;
}

static enum err compile(struct iceberg_manifest_reader *reader, struct errinfo *info)
{
    const struct avro_schema *entry = reader->schema;
    const struct iceberg_spec *spec = iceberg_metadata_spec(reader->metadata, reader->spec_id);
    if (spec == NULL) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "a manifest has partition spec %d, which the table has not",
                           reader->spec_id);
    }
    TRY(record__compile(entry, entry_wants, ENTRY_SLOTS, reader->arena, &reader->entry, info));
    const struct record_step *last = &reader->entry.steps[reader->entry.step_count - 1];
    reader->entry.leaves_last = last->slot == ENTRY_FILE;
    const struct avro_schema *data_file = record__find(entry, 2);
    TRY(record__compile(data_file, file_wants, FILE_SLOTS, reader->arena, &reader->data_file,
                        info));
    const struct avro_schema *partition = record__find(data_file, 102);
    if (partition->kind != AVRO_RECORD) {
        return damaged("its partition is no tuple", info);
    }
    TRY(partition__open(reader->metadata, spec, partition, reader->arena, &reader->partition,
                        info));
    reader->values = arena_calloc(reader->arena, spec->field_count + 1, sizeof(*reader->values));
    return reader->values == NULL ? errinfo_nomem(info) : ERR_OK;
}

enum err iceberg_manifest_open(struct slice bytes, const struct iceberg_manifest *manifest,
                               const struct iceberg_metadata *metadata,
                               const struct iceberg_manifest_want *want,
                               struct iceberg_manifest_reader **ret_reader, struct errinfo *info)
{
    if (manifest->is_encrypted) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a manifest of the table is encrypted");
    }
    /* Avro cannot tell a file that ends behind one of its blocks from a whole one. */
    if (manifest->length_bytes > 0 && (uint64_t)manifest->length_bytes != bytes.len) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest has %zu bytes, its list says %lld",
                           bytes.len, (long long)manifest->length_bytes);
    }
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) =
        mem_calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    reader->arena = arena_new(NULL, "manifest", 0);
    if (reader->arena == NULL) {
        return errinfo_nomem(info);
    }
    reader->metrics.want = *want;
    reader->spec_id = manifest->spec_id;
    reader->is_deletes = manifest->is_deletes;
    reader->manifest_sequence = manifest->sequence_number;
    reader->added_snapshot_id = manifest->added_snapshot_id;
    reader->next_row_id = manifest->first_row_id;
    TRY(avro_open(bytes, &reader->avro, info));
    TRY(check_header(reader, manifest, info));
    reader->metadata = metadata;
    reader->schema = avro_reader_schema(reader->avro);
    reader->loose = record__with_loose_partition(reader->schema, reader->arena);
    if (reader->loose == NULL) {
        return errinfo_nomem(info);
    }
    TRY(compile(reader, info));
    *ret_reader = TAKE(reader);
    return ERR_OK;
}

void iceberg_manifest_close(struct iceberg_manifest_reader *reader)
{
    if (reader != NULL) {
        avro_close(reader->avro);
        metrics__fini(&reader->metrics);
        mem_free(reader->splits.items);
        mem_free(reader->ids.items);
        mem_free(reader->equality_ids);
        arena_free(reader->arena);
        mem_free(reader);
    }
}

/* ---- lists ---- */

static enum err read_numbers(struct numbers *out, const struct record_slot *slot, const char *name,
                             struct errinfo *info)
{
    struct item_iterator items = item_iterator(slot->cursor);
    out->count = 0;
    for (bool has_more = true; slot->is_set;) {
        if (!item__next(&items, &has_more) || out->count == LIST_NUMBERS_MAX) {
            return damaged(name, info);
        }
        if (!has_more) {
            break;
        }
        if (out->count == out->capacity) {
            size_t capacity = out->capacity == 0 ? 8 : out->capacity * 2;
            int64_t *grown = mem_realloc(out->items, capacity * sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(info);
            }
            out->items = grown;
            out->capacity = capacity;
        }
        if (!avro_read_long(&items.cursor, &out->items[out->count])) {
            return damaged(name, info);
        }
        out->count++;
    }
    return ERR_OK;
}

static enum err read_equality_ids(struct iceberg_manifest_reader *reader,
                                  const struct record_slot *slot, struct errinfo *info)
{
    struct iceberg_file *file = &reader->file;
    TRY(read_numbers(&reader->ids, slot, "equality_ids", info));
    if (reader->ids.count > reader->equality_capacity) {
        int32_t *grown = mem_realloc(reader->equality_ids, reader->ids.capacity * sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        reader->equality_ids = grown;
        reader->equality_capacity = reader->ids.capacity;
    }
    for (size_t i = 0; i < reader->ids.count; i++) {
        if (reader->ids.items[i] < 0 || reader->ids.items[i] > INT32_MAX) {
            return damaged("equality_ids", info);
        }
        reader->equality_ids[i] = (int32_t)reader->ids.items[i];
    }
    file->equality_ids = reader->equality_ids;
    file->equality_id_count = reader->ids.count;
    return ERR_OK;
}

/* ---- entries ---- */

static enum err read_format(struct slice text, struct iceberg_file *file, struct errinfo *info)
{
    static const struct {
        const char *name;
        enum iceberg_file_format format;
    } formats[] = {{"parquet", ICEBERG_PARQUET},
                   {"avro", ICEBERG_AVRO},
                   {"orc", ICEBERG_ORC},
                   {"puffin", ICEBERG_PUFFIN}};
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (slice_equal_fold(text, slice_of(formats[i].name))) {
            file->format = formats[i].format;
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "file format \"%.*s\" is not supported",
                       SLICE_ARGS(text));
}

static int64_t number_or_none(const struct record_slot *slot)
{
    return slot->is_set ? slot->number : ICEBERG_NO_ID;
}

/* Status, and what an entry inherits from its manifest (spec "Sequence Number Inheritance"). */
static enum err read_entry(struct iceberg_manifest_reader *reader, const struct record_slot *slots,
                           struct errinfo *info)
{
    struct iceberg_file *file = &reader->file;
    if (slots[ENTRY_STATUS].number < ICEBERG_EXISTING ||
        slots[ENTRY_STATUS].number > ICEBERG_DELETED) {
        return damaged("status", info);
    }
    file->status = (enum iceberg_entry_status)slots[ENTRY_STATUS].number;
    bool inherits = file->status == ICEBERG_ADDED || reader->manifest_sequence == 0;
    file->snapshot_id =
        slots[ENTRY_SNAPSHOT].is_set ? slots[ENTRY_SNAPSHOT].number : reader->added_snapshot_id;
    file->sequence_number = number_or_none(&slots[ENTRY_SEQUENCE]);
    file->file_sequence_number = number_or_none(&slots[ENTRY_FILE_SEQUENCE]);
    if (!slots[ENTRY_SEQUENCE].is_set && inherits) {
        file->sequence_number = reader->manifest_sequence;
    }
    if (!slots[ENTRY_FILE_SEQUENCE].is_set && inherits) {
        file->file_sequence_number = reader->manifest_sequence;
    }
    if (file->sequence_number < 0 && file->status == ICEBERG_EXISTING) {
        return damaged("an existing file without a sequence number", info);
    }
    return ERR_OK;
}

static enum err check_file(const struct iceberg_manifest_reader *reader,
                           const struct record_slot *slots, struct errinfo *info)
{
    const struct iceberg_file *file = &reader->file;
    int64_t content = slots[FILE_CONTENT].number; /* absent: data */
    if (content < ICEBERG_DATA || content > ICEBERG_EQUALITY_DELETES ||
        (content != ICEBERG_DATA) != reader->is_deletes) {
        return damaged("content", info);
    }
    if (slots[FILE_SORT_ORDER].number < 0 || slots[FILE_SORT_ORDER].number > INT32_MAX) {
        return damaged("sort_order_id", info);
    }
    if (file->path.len == 0 || !slice_is_utf8(file->path, NULL)) {
        return damaged("file_path", info);
    }
    if (file->record_count < 0 || file->size_bytes < 0) {
        return damaged("a number below 0", info);
    }
    if (content == ICEBERG_EQUALITY_DELETES && file->equality_id_count == 0) {
        return damaged("equality deletes without equality_ids", info);
    }
    bool has_vector = file->format == ICEBERG_PUFFIN;
    if (has_vector && (content != ICEBERG_POSITION_DELETES || file->content_offset < 0 ||
                       file->content_size_bytes < 0 || file->referenced_data_file.ptr == NULL)) {
        return damaged("a deletion vector that does not say where it is", info);
    }
    return ERR_OK;
}

/* Row ids of files that have none yet (spec "Row Lineage"): in the order of the manifest. */
static enum err assign_row_ids(struct iceberg_manifest_reader *reader,
                               const struct record_slot *slot, struct errinfo *info)
{
    struct iceberg_file *file = &reader->file;
    file->first_row_id = ICEBERG_NO_ID;
    if (reader->next_row_id < 0 || file->content != ICEBERG_DATA) {
        return ERR_OK;
    }
    file->first_row_id = number_or_none(slot);
    if (!slot->is_set && file->status != ICEBERG_DELETED) {
        file->first_row_id = reader->next_row_id;
        if (__builtin_add_overflow(reader->next_row_id, file->record_count, &reader->next_row_id)) {
            return damaged("row ids", info);
        }
    }
    return ERR_OK;
}

static bool read_map(void *context, int slot, const struct avro_schema *schema,
                     struct avro_cursor *cursor)
{
    static const enum metric_map maps[FILE_SLOTS] = {
        [FILE_COLUMN_SIZES] = METRIC_SIZES, [FILE_VALUE_COUNTS] = METRIC_VALUES,
        [FILE_NULL_COUNTS] = METRIC_NULLS,  [FILE_NAN_COUNTS] = METRIC_NANS,
        [FILE_LOWER] = METRIC_LOWER,        [FILE_UPPER] = METRIC_UPPER,
    };
    struct iceberg_manifest_reader *reader = context;
    return metrics__read(&reader->metrics, maps[slot], schema, cursor);
}

/* Reads the record and its maps; why it could not. */
static enum err read_slots(struct iceberg_manifest_reader *reader, struct avro_cursor *cursor,
                           struct record_slot *slots, struct errinfo *info)
{
    struct record_sink sink = {read_map, reader};
    reader->metrics.count = 0;
    reader->metrics.err = ERR_OK;
    if (record__read(&reader->data_file, cursor, &sink, slots, FILE_SLOTS)) {
        const char *missing = record__missing(file_wants, slots, FILE_SLOTS);
        return missing == NULL ? ERR_OK : damaged(missing, info);
    }
    if (reader->metrics.err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    return reader->metrics.err == ERR_LIMIT
               ? errinfo_set(info, ERR_LIMIT, NULL, "a file has statistics of too many columns")
               : damaged("data_file", info);
}

static enum err read_file(struct iceberg_manifest_reader *reader, struct avro_cursor *cursor,
                          struct errinfo *info)
{
    struct record_slot slots[FILE_SLOTS];
    struct iceberg_file *file = &reader->file;
    TRY(read_slots(reader, cursor, slots, info));
    file->content = (enum iceberg_content)slots[FILE_CONTENT].number;
    file->path = slots[FILE_PATH].bytes;
    file->spec_id = reader->spec_id;
    file->record_count = slots[FILE_RECORDS].number;
    file->size_bytes = slots[FILE_SIZE].number;
    file->sort_order_id = (int32_t)number_or_none(&slots[FILE_SORT_ORDER]);
    file->referenced_data_file = slots[FILE_REFERENCED].bytes;
    file->content_offset = number_or_none(&slots[FILE_CONTENT_OFFSET]);
    file->content_size_bytes = number_or_none(&slots[FILE_CONTENT_SIZE]);
    file->is_encrypted = slots[FILE_KEY].is_set;
    file->key_metadata = slots[FILE_KEY].bytes;
    TRY(read_format(slots[FILE_FORMAT].bytes, file, info));
    TRY(read_equality_ids(reader, &slots[FILE_EQUALITY_IDS], info));
    TRY(check_file(reader, slots, info));
    TRY(assign_row_ids(reader, &slots[FILE_FIRST_ROW_ID], info));
    struct avro_cursor tuple = slots[FILE_PARTITION].cursor;
    TRY(partition__read(&reader->partition, &tuple, reader->values, info));
    file->partition = reader->values;
    file->partition_count = reader->partition.field_count;
    file->metrics = reader->metrics.metrics;
    file->metrics_count = reader->metrics.count;
    TRY(read_numbers(&reader->splits, &slots[FILE_SPLITS], "split_offsets", info));
    file->split_offsets = reader->splits.items;
    file->split_offset_count = reader->splits.count;
    return ERR_OK;
}

/* Do the records fill the block? */
static bool fits(const struct avro_schema *schema, struct avro_cursor cursor, uint64_t records)
{
    for (uint64_t i = 0; i < records; i++) {
        if (cursor.at == cursor.end || !avro_skip(&cursor, schema)) {
            return false;
        }
    }
    return cursor.at == cursor.end;
}

static enum err next_block(struct iceberg_manifest_reader *reader, struct errinfo *info)
{
    struct slice block;
    if (reader->cursor.at != reader->cursor.end) {
        return damaged("bytes behind the last record of a block", info);
    }
    TRY(avro_next_block(reader->avro, &reader->records_left, &block, info));
    const uint8_t *start = (const uint8_t *)block.ptr;
    reader->cursor = (struct avro_cursor){start, start + block.len};
    if (reader->loose != reader->schema && reader->records_left > 0 &&
        !fits(reader->schema, reader->cursor, reader->records_left) &&
        fits(reader->loose, reader->cursor, reader->records_left)) {
        reader->schema = reader->loose;
        return compile(reader, info);
    }
    return ERR_OK;
}

/* Reads the entry at the cursor. `ret_is_passed`: nobody wants it. */
static enum err read_next(struct iceberg_manifest_reader *reader, bool *ret_is_passed,
                          struct errinfo *info)
{
    struct record_slot slots[ENTRY_SLOTS];
    if (!record__read(&reader->entry, &reader->cursor, NULL, slots, ENTRY_SLOTS) ||
        record__missing(entry_wants, slots, ENTRY_SLOTS) != NULL) {
        return damaged("an entry", info);
    }
    reader->records_left--;
    TRY(read_entry(reader, slots, info));
    struct avro_cursor inside = slots[ENTRY_FILE].cursor;
    struct avro_cursor *cursor = reader->entry.leaves_last ? &reader->cursor : &inside;
    *ret_is_passed =
        reader->file.status == ICEBERG_DELETED && !reader->metrics.want.deleted_entries;
    if (!*ret_is_passed) {
        return read_file(reader, cursor, info);
    }
    return !reader->entry.leaves_last || avro_skip(cursor, slots[ENTRY_FILE].schema)
               ? ERR_OK
               : damaged("an entry", info);
}

enum err iceberg_manifest_next(struct iceberg_manifest_reader *reader,
                               const struct iceberg_file **ret_file, struct errinfo *info)
{
    bool is_passed = true;
    while (is_passed) {
        if (reader->records_left == 0) {
            TRY(next_block(reader, info));
            if (reader->records_left == 0) {
                *ret_file = NULL;
                return ERR_OK;
            }
        }
        TRY(read_next(reader, &is_passed, info));
    }
    *ret_file = &reader->file;
    return ERR_OK;
}
