/* Packed manifests: the live entries of one, laid out so that a plan reads only what it asks about.
 *
 * Partition tuples are kept once each. The statistics of a column lie together: one cell a file,
 * found by its offset, empty when the file has none. All else of a file is one record, read only
 * for files that match. Numbers are varints (zigzag), paths are kept without what they share with
 * the first one. Kept instead of the Avro bytes because those must be stepped through, columns that
 * nobody asked for included: 100,000 files of 12 columns cost a second, packed a few milliseconds.
 * Packs are made here only, so reading them checks nothing. */
#include "base/mem.h"
#include "iceberg/scan_int.h"

#define PACK_BYTES_MAX ((size_t)1 << 31)

struct cells {
    struct buf bytes;
    uint32_t *starts; /* of each file's, and the end */
    size_t count;
    size_t capacity;
};

struct column {
    int32_t field_id;
    struct cells cells;
};

struct scan__pack {
    struct arena *arena; /* tuples */
    int32_t spec_id;
    size_t field_count;
    size_t file_count;
    struct cells records;
    uint32_t *tuple_of; /* file to tuple */
    size_t tuple_of_capacity;
    struct iceberg_value *tuples;
    size_t tuple_count;
    size_t tuple_capacity;
    struct column *columns; /* ascending by id */
    size_t column_count;
    char *first_path;
    size_t first_path_len;
};

void scan__pack_free(struct scan__pack *pack)
{
    if (pack == NULL) {
        return;
    }
    for (size_t i = 0; i < pack->column_count; i++) {
        buf_fini(&pack->columns[i].cells.bytes);
        mem_free(pack->columns[i].cells.starts);
    }
    mem_free(pack->columns);
    buf_fini(&pack->records.bytes);
    mem_free(pack->records.starts);
    mem_free(pack->tuple_of);
    mem_free(pack->tuples);
    mem_free(pack->first_path);
    arena_free(pack->arena);
    mem_free(pack);
}

static size_t cells_bytes(const struct cells *cells)
{
    return cells->bytes.capacity + cells->capacity * sizeof(cells->starts[0]);
}

size_t scan__pack_bytes(const struct scan__pack *pack)
{
    size_t bytes = sizeof(*pack) + arena_bytes(pack->arena) + cells_bytes(&pack->records) +
                   pack->tuple_of_capacity * sizeof(pack->tuple_of[0]) +
                   pack->tuple_capacity * pack->field_count * sizeof(pack->tuples[0]) +
                   pack->first_path_len;
    for (size_t i = 0; i < pack->column_count; i++) {
        bytes += sizeof(pack->columns[i]) + cells_bytes(&pack->columns[i].cells);
    }
    return bytes;
}

/* Makes room for `count` items of an array. */
static bool reserve(void *array_pointer, size_t *capacity, size_t count, size_t item_bytes)
{
    void **array = array_pointer;
    if (count <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    wanted = wanted < count ? count : wanted;
    void *grown = mem_realloc(*array, wanted * item_bytes);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* ---- writing ---- */

static void put_number(struct buf *out, int64_t number)
{
    uint64_t bits = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    char bytes[10];
    size_t len = 0;
    while (bits >= 0x80) {
        bytes[len++] = (char)(uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    bytes[len++] = (char)(uint8_t)bits;
    buf_append(out, bytes, len);
}

/* Absent is not empty. */
static void put_slice(struct buf *out, struct slice bytes)
{
    put_number(out, bytes.ptr == NULL ? -1 : (int64_t)bytes.len);
    buf_append_slice(out, bytes);
}

/* Ends the cell of the file before: files without one get empty cells. */
static bool start_cell(struct cells *cells, size_t file)
{
    if (!reserve(&cells->starts, &cells->capacity, file + 1, sizeof(cells->starts[0]))) {
        return false;
    }
    while (cells->count <= file) {
        cells->starts[cells->count++] = (uint32_t)cells->bytes.len;
    }
    return true;
}

static struct column *find_column(struct scan__pack *pack, int32_t field_id, size_t *hint)
{
    size_t at = *hint;
    if (at >= pack->column_count || pack->columns[at].field_id != field_id) {
        for (at = 0; at < pack->column_count && pack->columns[at].field_id < field_id; at++) {
        }
    }
    if (at == pack->column_count || pack->columns[at].field_id != field_id) {
        struct column *grown =
            mem_realloc(pack->columns, (pack->column_count + 1) * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        pack->columns = grown;
        memmove(grown + at + 1, grown + at, (pack->column_count - at) * sizeof(*grown));
        grown[at] = (struct column){.field_id = field_id};
        pack->column_count++;
    }
    *hint = at + 1;
    return &pack->columns[at];
}

static bool pack_metrics(struct scan__pack *pack, const struct iceberg_file *file)
{
    size_t hint = 0;
    for (size_t i = 0; i < file->metrics_count; i++) {
        const struct iceberg_metrics *metrics = &file->metrics[i];
        struct column *column = find_column(pack, metrics->field_id, &hint);
        if (column == NULL || !start_cell(&column->cells, pack->file_count)) {
            return false;
        }
        struct buf *out = &column->cells.bytes;
        put_number(out, metrics->value_count);
        put_number(out, metrics->null_count);
        put_number(out, metrics->nan_count);
        put_slice(out, metrics->lower);
        put_slice(out, metrics->upper);
        put_number(out, metrics->size_bytes);
    }
    return true;
}

static bool pack_path(struct scan__pack *pack, struct slice path)
{
    if (pack->first_path == NULL) {
        pack->first_path = mem_slicedup(path);
        pack->first_path_len = path.len;
    }
    if (pack->first_path == NULL) {
        return false;
    }
    size_t shared = 0;
    while (shared < path.len && shared < pack->first_path_len &&
           path.ptr[shared] == pack->first_path[shared]) {
        shared++;
    }
    put_number(&pack->records.bytes, (int64_t)shared);
    put_slice(&pack->records.bytes, (struct slice){path.ptr + shared, path.len - shared});
    return true;
}

/* First what every plan looks at. */
static bool pack_record(struct scan__pack *pack, const struct iceberg_file *file)
{
    struct buf *out = &pack->records.bytes;
    if (!start_cell(&pack->records, pack->file_count)) {
        return false;
    }
    buf_append_char(out, (char)(file->status | file->content << 2 | file->format << 4 |
                                (file->is_encrypted ? 1 << 6 : 0)));
    put_number(out, file->record_count);
    put_number(out, file->sequence_number);
    if (!pack_path(pack, file->path)) {
        return false;
    }
    put_number(out, file->snapshot_id);
    put_number(out, file->file_sequence_number);
    put_number(out, file->size_bytes);
    put_number(out, file->sort_order_id);
    put_number(out, file->first_row_id);
    put_number(out, file->content_offset);
    put_number(out, file->content_size_bytes);
    put_slice(out, file->referenced_data_file);
    put_slice(out, file->key_metadata);
    put_number(out, (int64_t)file->split_offset_count);
    for (size_t i = 0; i < file->split_offset_count; i++) {
        put_number(out, file->split_offsets[i]);
    }
    put_number(out, (int64_t)file->equality_id_count);
    for (size_t i = 0; i < file->equality_id_count; i++) {
        put_number(out, file->equality_ids[i]);
    }
    return true;
}

static bool pack_tuple(struct scan__pack *pack, struct scan__map *map,
                       const struct iceberg_file *file)
{
    struct buf key CLEANUP(buf_fini) = {0};
    scan__partition_key(file->spec_id, file->partition, file->partition_count, &key);
    int64_t *place =
        buf_failed(&key) ? NULL : scan__map_at(map, buf_slice(&key), (int64_t)pack->tuple_count);
    if (place == NULL || !reserve(&pack->tuple_of, &pack->tuple_of_capacity, pack->file_count + 1,
                                  sizeof(pack->tuple_of[0]))) {
        return false;
    }
    size_t tuple = (size_t)*place;
    pack->tuple_of[pack->file_count] = (uint32_t)tuple;
    if (tuple < pack->tuple_count) {
        return true;
    }
    if (!reserve(&pack->tuples, &pack->tuple_capacity, tuple + 1,
                 (pack->field_count + 1) * sizeof(pack->tuples[0]))) {
        return false;
    }
    for (size_t i = 0; i < pack->field_count; i++) {
        if (!iceberg_value_copy(&file->partition[i], pack->arena,
                                &pack->tuples[tuple * pack->field_count + i])) {
            return false;
        }
    }
    pack->tuple_count++;
    return true;
}

static bool finish(struct scan__pack *pack)
{
    bool is_ok = start_cell(&pack->records, pack->file_count) && !buf_failed(&pack->records.bytes);
    for (size_t i = 0; i < pack->column_count && is_ok; i++) {
        struct cells *cells = &pack->columns[i].cells;
        is_ok = start_cell(cells, pack->file_count) && !buf_failed(&cells->bytes);
    }
    return is_ok;
}

/* ERR_LIMIT before an offset could overflow. */
static enum err check_size(const struct scan__pack *pack, struct errinfo *info)
{
    bool is_ok = pack->records.bytes.len < PACK_BYTES_MAX && pack->file_count < UINT32_MAX / 2;
    for (size_t i = 0; i < pack->column_count; i++) {
        is_ok = is_ok && pack->columns[i].cells.bytes.len < PACK_BYTES_MAX;
    }
    return is_ok ? ERR_OK : errinfo_set(info, ERR_LIMIT, NULL, "a manifest is too large to keep");
}

static enum err pack_all(struct scan__pack *pack, struct iceberg_manifest_reader *reader,
                         struct scan__map *map, struct errinfo *info)
{
    for (;;) {
        const struct iceberg_file *file;
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file == NULL) {
            return finish(pack) ? ERR_OK : errinfo_nomem(info);
        }
        pack->spec_id = file->spec_id;
        pack->field_count = file->partition_count;
        if (!pack_record(pack, file) || !pack_metrics(pack, file) || !pack_tuple(pack, map, file)) {
            return errinfo_nomem(info);
        }
        pack->file_count++;
        TRY(check_size(pack, info));
    }
}

enum err scan__pack_build(struct slice bytes, const struct iceberg_manifest *manifest,
                          const struct iceberg_metadata *metadata, struct scan__pack **ret_pack,
                          struct errinfo *info)
{
    static const struct iceberg_manifest_want all = {.all_metrics = true};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "pack scratch", 0);
    struct scan__pack *pack CLEANUP(scan__pack_cleanup) = mem_calloc(1, sizeof(*pack));
    if (pack == NULL || scratch == NULL) {
        return errinfo_nomem(info);
    }
    pack->arena = arena_new(NULL, "pack", 0);
    if (pack->arena == NULL) {
        return errinfo_nomem(info);
    }
    struct scan__map map = {.arena = scratch};
    TRY(iceberg_manifest_open(bytes, manifest, metadata, &all, &reader, info));
    TRY(pack_all(pack, reader, &map, info));
    *ret_pack = TAKE(pack);
    return ERR_OK;
}

/* ---- reading ---- */

struct scan__entries {
    const struct scan__pack *pack;
    struct iceberg_manifest_reader *reader;
    size_t at; /* of the next file */
    const struct column **columns;
    size_t column_count;
    struct iceberg_metrics *metrics; /* of `columns` */
    struct iceberg_metrics *all_metrics;
    struct buf path;
    int64_t *splits;
    size_t split_capacity;
    int32_t *ids;
    size_t id_capacity;
    const struct iceberg_file *read; /* by the reader */
    struct iceberg_file file;
    struct iceberg_file full;
};

void scan__entries_close(struct scan__entries *entries)
{
    if (entries != NULL) {
        iceberg_manifest_close(entries->reader);
        mem_free(entries->columns);
        mem_free(entries->metrics);
        mem_free(entries->all_metrics);
        buf_fini(&entries->path);
        mem_free(entries->splits);
        mem_free(entries->ids);
        mem_free(entries);
    }
}

static bool resolve_columns(struct scan__entries *entries, const int32_t *ids, size_t count)
{
    const struct scan__pack *pack = entries->pack;
    entries->columns = mem_calloc(count + 1, sizeof(entries->columns[0]));
    entries->metrics = mem_calloc(count + 1, sizeof(entries->metrics[0]));
    if (entries->columns == NULL || entries->metrics == NULL) {
        return false;
    }
    for (size_t i = 0, c = 0; i < count; i++) {
        while (c < pack->column_count && pack->columns[c].field_id < ids[i]) {
            c++;
        }
        if (c < pack->column_count && pack->columns[c].field_id == ids[i]) {
            entries->columns[entries->column_count++] = &pack->columns[c];
        }
    }
    return true;
}

enum err scan__entries_open(const struct scan__pack *pack, struct iceberg_manifest_reader *reader,
                            const int32_t *metric_ids, size_t metric_count,
                            struct scan__entries **ret_entries, struct errinfo *info)
{
    struct scan__entries *entries CLEANUP(scan__entries_cleanup) = mem_calloc(1, sizeof(*entries));
    if (entries == NULL) {
        iceberg_manifest_close(reader);
        return errinfo_nomem(info);
    }
    entries->pack = pack;
    entries->reader = reader;
    if (pack != NULL && !resolve_columns(entries, metric_ids, metric_count)) {
        return errinfo_nomem(info);
    }
    *ret_entries = TAKE(entries);
    return ERR_OK;
}

static int64_t take_number(const char **at)
{
    uint64_t bits = 0;
    unsigned shift = 0;
    const uint8_t *from = (const uint8_t *)*at;
    do {
        bits |= (uint64_t)(*from & 0x7f) << shift;
        shift += 7;
    } while ((*from++ & 0x80) != 0);
    *at = (const char *)from;
    return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
}

static struct slice take_slice(const char **at)
{
    int64_t len = take_number(at);
    if (len < 0) {
        return (struct slice){NULL, 0};
    }
    struct slice bytes = {*at, (size_t)len};
    *at += len;
    return bytes;
}

static bool take_metrics(const struct column *column, size_t file, struct iceberg_metrics *metrics)
{
    const char *at = column->cells.bytes.ptr + column->cells.starts[file];
    if (column->cells.starts[file] == column->cells.starts[file + 1]) {
        return false;
    }
    metrics->field_id = column->field_id;
    metrics->value_count = take_number(&at);
    metrics->null_count = take_number(&at);
    metrics->nan_count = take_number(&at);
    metrics->lower = take_slice(&at);
    metrics->upper = take_slice(&at);
    metrics->size_bytes = take_number(&at);
    return true;
}

static const char *take_head(const struct scan__pack *pack, size_t at, struct iceberg_file *file)
{
    const char *record = pack->records.bytes.ptr + pack->records.starts[at];
    unsigned flags = (uint8_t)*record++;
    file->status = (enum iceberg_entry_status)(flags & 3);
    file->content = (enum iceberg_content)(flags >> 2 & 3);
    file->format = (enum iceberg_file_format)(flags >> 4 & 3);
    file->is_encrypted = (flags >> 6 & 1) != 0;
    file->record_count = take_number(&record);
    file->sequence_number = take_number(&record);
    file->spec_id = pack->spec_id;
    file->partition = pack->tuples + pack->tuple_of[at] * pack->field_count;
    file->partition_count = pack->field_count;
    return record;
}

enum err scan__entries_next(struct scan__entries *entries, const struct iceberg_file **ret_file,
                            struct errinfo *info)
{
    const struct scan__pack *pack = entries->pack;
    if (pack == NULL) {
        TRY(iceberg_manifest_next(entries->reader, &entries->read, info));
        *ret_file = entries->read;
        return ERR_OK;
    }
    if (entries->at == pack->file_count) {
        *ret_file = NULL;
        return ERR_OK;
    }
    size_t count = 0;
    (void)take_head(pack, entries->at, &entries->file);
    for (size_t i = 0; i < entries->column_count; i++) {
        count += take_metrics(entries->columns[i], entries->at, &entries->metrics[count]);
    }
    entries->file.metrics = entries->metrics;
    entries->file.metrics_count = count;
    entries->at++;
    *ret_file = &entries->file;
    return ERR_OK;
}

static bool take_all_metrics(struct scan__entries *entries, size_t at)
{
    const struct scan__pack *pack = entries->pack;
    if (entries->all_metrics == NULL) {
        entries->all_metrics = mem_calloc(pack->column_count + 1, sizeof(*entries->all_metrics));
    }
    if (entries->all_metrics == NULL) {
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < pack->column_count; i++) {
        count += take_metrics(&pack->columns[i], at, &entries->all_metrics[count]);
    }
    entries->full.metrics = entries->all_metrics;
    entries->full.metrics_count = count;
    return true;
}

static bool take_path(struct scan__entries *entries, const char **record)
{
    size_t shared = (size_t)take_number(record);
    buf_reset(&entries->path);
    buf_append(&entries->path, entries->pack->first_path, shared);
    buf_append_slice(&entries->path, take_slice(record));
    entries->full.path = buf_slice(&entries->path);
    return !buf_failed(&entries->path);
}

static bool take_lists(struct scan__entries *entries, const char **record)
{
    struct iceberg_file *file = &entries->full;
    file->split_offset_count = (size_t)take_number(record);
    if (!reserve(&entries->splits, &entries->split_capacity, file->split_offset_count,
                 sizeof(entries->splits[0]))) {
        return false;
    }
    for (size_t i = 0; i < file->split_offset_count; i++) {
        entries->splits[i] = take_number(record);
    }
    file->split_offsets = entries->splits;
    file->equality_id_count = (size_t)take_number(record);
    if (!reserve(&entries->ids, &entries->id_capacity, file->equality_id_count,
                 sizeof(entries->ids[0]))) {
        return false;
    }
    for (size_t i = 0; i < file->equality_id_count; i++) {
        entries->ids[i] = (int32_t)take_number(record);
    }
    file->equality_ids = entries->ids;
    return true;
}

enum err scan__entries_full(struct scan__entries *entries, bool all_metrics,
                            const struct iceberg_file **ret_file, struct errinfo *info)
{
    if (entries->pack == NULL) {
        *ret_file = entries->read;
        return ERR_OK;
    }
    struct iceberg_file *file = &entries->full;
    *file = entries->file;
    const char *record = take_head(entries->pack, entries->at - 1, file);
    if (!take_path(entries, &record)) {
        return errinfo_nomem(info);
    }
    file->snapshot_id = take_number(&record);
    file->file_sequence_number = take_number(&record);
    file->size_bytes = take_number(&record);
    file->sort_order_id = (int32_t)take_number(&record);
    file->first_row_id = take_number(&record);
    file->content_offset = take_number(&record);
    file->content_size_bytes = take_number(&record);
    file->referenced_data_file = take_slice(&record);
    file->key_metadata = take_slice(&record);
    if (!take_lists(entries, &record) ||
        (all_metrics && !take_all_metrics(entries, entries->at - 1))) {
        return errinfo_nomem(info);
    }
    *ret_file = file;
    return ERR_OK;
}
