/* Manifests (spec "Manifests"): entries one by one, with what they inherit. */
#include "iceberg/manifest.h"

#include <stdlib.h>

#include "base/mem.h"
#include "iceberg/manifest_int.h"

#define METRICS_MAX 1000000 /* columns with statistics in one file */
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
    struct iceberg_manifest_want want;
    int32_t spec_id;
    bool is_deletes;
    int64_t manifest_sequence;
    int64_t added_snapshot_id;
    int64_t next_row_id; /* ICEBERG_NO_ID: the manifest has none */
    struct iceberg_metrics *metrics;
    size_t metrics_count;
    size_t metrics_capacity;
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
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) =
        mem_calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    reader->arena = arena_new(NULL, "manifest", 0);
    if (reader->arena == NULL) {
        return errinfo_nomem(info);
    }
    reader->want = *want;
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
        mem_free(reader->metrics);
        mem_free(reader->splits.items);
        mem_free(reader->ids.items);
        mem_free(reader->equality_ids);
        arena_free(reader->arena);
        mem_free(reader);
    }
}

/* ---- statistics ---- */

static bool is_wanted(const struct iceberg_manifest_want *want, int64_t field_id)
{
    for (size_t i = 0; i < want->metric_count && want->metric_ids[i] <= field_id; i++) {
        if (want->metric_ids[i] == field_id) {
            return true;
        }
    }
    return want->all_metrics;
}

/* Maps list their columns in the same order, nearly always: look behind the last one first. */
static struct iceberg_metrics *find_metrics(struct iceberg_manifest_reader *reader,
                                            int32_t field_id, size_t *hint)
{
    for (size_t i = 0; i < reader->metrics_count; i++) {
        size_t at =
            *hint + i < reader->metrics_count ? *hint + i : *hint + i - reader->metrics_count;
        if (reader->metrics[at].field_id == field_id) {
            *hint = at + 1 < reader->metrics_count ? at + 1 : 0;
            return &reader->metrics[at];
        }
    }
    if (reader->metrics_count == METRICS_MAX) {
        return NULL;
    }
    if (reader->metrics_count == reader->metrics_capacity) {
        size_t capacity = reader->metrics_capacity == 0 ? 32 : reader->metrics_capacity * 2;
        struct iceberg_metrics *grown =
            mem_realloc(reader->metrics, capacity * sizeof(*reader->metrics));
        if (grown == NULL) {
            return NULL;
        }
        reader->metrics = grown;
        reader->metrics_capacity = capacity;
    }
    struct iceberg_metrics *metrics = &reader->metrics[reader->metrics_count++];
    *metrics = (struct iceberg_metrics){.field_id = field_id,
                                        .size_bytes = ICEBERG_NO_ID,
                                        .value_count = ICEBERG_NO_ID,
                                        .null_count = ICEBERG_NO_ID,
                                        .nan_count = ICEBERG_NO_ID};
    *hint = 0;
    return metrics;
}

static void set_metric(struct iceberg_metrics *metrics, enum file_slot slot, int64_t number,
                       struct slice bytes)
{
    int64_t count = number < 0 ? ICEBERG_NO_ID : number; /* some writers say -1 for unknown */
    if (slot == FILE_COLUMN_SIZES) {
        metrics->size_bytes = count;
    } else if (slot == FILE_VALUE_COUNTS) {
        metrics->value_count = count;
    } else if (slot == FILE_NULL_COUNTS) {
        metrics->null_count = count;
    } else if (slot == FILE_NAN_COUNTS) {
        metrics->nan_count = count;
    } else if (slot == FILE_LOWER) {
        metrics->lower = bytes;
    } else {
        metrics->upper = bytes;
    }
}

static bool read_key(const struct avro_schema *schema, struct avro_cursor *cursor, int64_t *ret_key)
{
    struct slice text;
    if (schema->kind != AVRO_MAP) {
        return avro_read_long(cursor, ret_key);
    }
    return avro_read_bytes(cursor, &text) && slice_to_i64(text, ret_key);
}

static bool is_whole(const struct avro_schema *schema)
{
    return schema->kind == AVRO_INT || schema->kind == AVRO_LONG;
}

static bool is_bytes(const struct avro_schema *schema)
{
    return schema->kind == AVRO_BYTES || schema->kind == AVRO_STRING;
}

/* The value's schema of a map in either form, or NULL for one that is no map of ints. */
static const struct avro_schema *map_value(const struct avro_schema *schema)
{
    const struct avro_schema *item = schema->fields[0].schema;
    if (schema->kind == AVRO_MAP) {
        return item;
    }
    return is_whole(item->fields[0].schema) ? item->fields[1].schema : NULL;
}

static enum err read_metric_map(struct iceberg_manifest_reader *reader, enum file_slot which,
                                const struct record_slot *slot, struct errinfo *info)
{
    const struct avro_schema *value = map_value(slot->schema);
    bool are_bounds = which == FILE_LOWER || which == FILE_UPPER;
    struct item_iterator items = item_iterator(slot->cursor);
    size_t hint = 0;
    if (value == NULL || (are_bounds ? !is_bytes(value) : !is_whole(value))) {
        return damaged(file_wants[which].name, info);
    }
    for (;;) {
        bool has_more;
        int64_t key, number = 0;
        struct slice bytes = {NULL, 0};
        if (!item__next(&items, &has_more)) {
            return damaged(file_wants[which].name, info);
        }
        if (!has_more) {
            return ERR_OK;
        }
        if (!read_key(slot->schema, &items.cursor, &key) || key < 0 || key > INT32_MAX ||
            !(are_bounds ? avro_read_bytes(&items.cursor, &bytes)
                         : avro_read_long(&items.cursor, &number))) {
            return damaged(file_wants[which].name, info);
        }
        if (!is_wanted(&reader->want, key)) {
            continue;
        }
        struct iceberg_metrics *metrics = find_metrics(reader, (int32_t)key, &hint);
        if (metrics == NULL) {
            return errinfo_nomem(info);
        }
        set_metric(metrics, which, number, bytes);
    }
}

static int compare_metrics(const void *a, const void *b)
{
    int32_t left = ((const struct iceberg_metrics *)a)->field_id;
    int32_t right = ((const struct iceberg_metrics *)b)->field_id;
    return (left > right) - (left < right);
}

static enum err read_metrics(struct iceberg_manifest_reader *reader,
                             const struct record_slot *slots, struct errinfo *info)
{
    reader->metrics_count = 0;
    if (!reader->want.all_metrics && reader->want.metric_count == 0) {
        return ERR_OK;
    }
    for (enum file_slot slot = FILE_COLUMN_SIZES; slot <= FILE_UPPER; slot++) {
        if (slots[slot].is_set) {
            TRY(read_metric_map(reader, slot, &slots[slot], info));
        }
    }
    for (size_t i = 1; i < reader->metrics_count; i++) {
        if (reader->metrics[i - 1].field_id > reader->metrics[i].field_id) {
            qsort(reader->metrics, reader->metrics_count, sizeof(*reader->metrics),
                  compare_metrics);
            break;
        }
    }
    return ERR_OK;
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

static enum err read_file(struct iceberg_manifest_reader *reader, struct avro_cursor cursor,
                          struct errinfo *info)
{
    struct record_slot slots[FILE_SLOTS];
    struct iceberg_file *file = &reader->file;
    if (!record__read(&reader->data_file, &cursor, slots, FILE_SLOTS) || !slots[FILE_PATH].is_set ||
        !slots[FILE_FORMAT].is_set || !slots[FILE_PARTITION].is_set ||
        !slots[FILE_RECORDS].is_set || !slots[FILE_SIZE].is_set) {
        return damaged("data_file", info);
    }
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
    TRY(read_metrics(reader, slots, info));
    file->metrics = reader->metrics;
    file->metrics_count = reader->metrics_count;
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

enum err iceberg_manifest_next(struct iceberg_manifest_reader *reader,
                               const struct iceberg_file **ret_file, struct errinfo *info)
{
    for (;;) {
        struct record_slot slots[ENTRY_SLOTS];
        if (reader->records_left == 0) {
            TRY(next_block(reader, info));
            if (reader->records_left == 0) {
                *ret_file = NULL;
                return ERR_OK;
            }
        }
        if (!record__read(&reader->entry, &reader->cursor, slots, ENTRY_SLOTS) ||
            !slots[ENTRY_STATUS].is_set || !slots[ENTRY_FILE].is_set) {
            return damaged("an entry", info);
        }
        reader->records_left--;
        TRY(read_entry(reader, slots, info));
        if (reader->file.status == ICEBERG_DELETED && !reader->want.deleted_entries) {
            continue;
        }
        TRY(read_file(reader, slots[ENTRY_FILE].cursor, info));
        *ret_file = &reader->file;
        return ERR_OK;
    }
}
