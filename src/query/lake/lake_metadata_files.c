/* Metadata tables made of manifests: files, entries, manifests, partitions, and all_ of each. */
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "iceberg/manifest.h"
#include "query/lake/lake_metadata_int.h"
#include "sql/scan.h"

/* ---- what depends on the table: partition fields, metrics ---- */

/* Every partition field of any spec, by field id: what `partition` is made of. */
struct unified {
    const struct iceberg_partition_field **fields;
    struct iceberg_type *types;
    size_t count;
};

static size_t find_unified(const struct unified *all, int32_t field_id)
{
    size_t at = 0;
    while (at < all->count && all->fields[at]->field_id != field_id) {
        at++;
    }
    return at;
}

static enum err result_type(const struct iceberg_metadata *metadata,
                            const struct iceberg_partition_field *field,
                            struct iceberg_type *ret_type, struct errinfo *info)
{
    static const struct iceberg_type unknown = {.id = ICEBERG_UNKNOWN};
    const struct iceberg_field *source = NULL;
    for (size_t i = metadata->schema_count; source == NULL && i > 0; i--) {
        source = iceberg_schema_find_id(&metadata->schemas[i - 1], field->source_ids[0], NULL);
    }
    const struct iceberg_field *now = iceberg_schema_find_id(
        iceberg_metadata_current_schema(metadata), field->source_ids[0], NULL);
    source = now != NULL ? now : source;
    if (source == NULL) {
        *ret_type = unknown;
        return ERR_OK;
    }
    return iceberg_transform_result(&field->transform, &source->type, ret_type, info);
}

static enum err add_spec(const struct iceberg_metadata *metadata, const struct iceberg_spec *spec,
                         struct unified *all, struct errinfo *info)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        size_t at = find_unified(all, field->field_id);
        bool replaces = at < all->count && all->fields[at]->transform.kind == TRANSFORM_VOID &&
                        field->transform.kind != TRANSFORM_VOID;
        if (at < all->count && !replaces) {
            continue;
        }
        if (at == all->count) { /* kept sorted by field id */
            while (at > 0 && all->fields[at - 1]->field_id > field->field_id) {
                all->fields[at] = all->fields[at - 1];
                all->types[at] = all->types[at - 1];
                at--;
            }
            all->count++;
        }
        all->fields[at] = field;
        TRY(result_type(metadata, field, &all->types[at], info));
    }
    return ERR_OK;
}

static enum err unify(const struct iceberg_metadata *metadata, struct arena *arena,
                      struct unified *ret_all, struct errinfo *info)
{
    size_t capacity = 1;
    for (size_t i = 0; i < metadata->spec_count; i++) {
        capacity += metadata->specs[i].field_count;
    }
    struct unified all = {
        .fields = arena_calloc(arena, capacity, sizeof(const struct iceberg_partition_field *)),
        .types = arena_calloc(arena, capacity, sizeof(*all.types))};
    if (all.fields == NULL || all.types == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = metadata->spec_count; i > 0; i--) { /* the newest names a field */
        TRY(add_spec(metadata, &metadata->specs[i - 1], &all, info));
    }
    *ret_all = all;
    return ERR_OK;
}

/* A column whose bounds are shown: dotted name, by name. */
struct metric_field {
    struct slice name;
    const struct iceberg_field *field;
};

struct metric_list {
    struct metric_field *items;
    size_t count;
    size_t capacity;
    struct arena *arena;
};

static enum err collect(struct metric_list *list, struct slice prefix,
                        const struct iceberg_type *type, struct errinfo *info)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        char *name = prefix.len == 0
                         ? arena_slicedup(list->arena, field->name)
                         : arena_printf(list->arena, "%.*s.%.*s", (int)prefix.len, prefix.ptr,
                                        (int)field->name.len, field->name.ptr);
        if (name == NULL) {
            return errinfo_nomem(info);
        }
        if (field->type.field_count > 0) {
            TRY(collect(list, slice_of(name), &field->type, info));
            continue;
        }
        if (list->count == list->capacity) {
            size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
            struct metric_field *grown = arena_calloc(list->arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(info);
            }
            if (list->count > 0) {
                memcpy(grown, list->items, list->count * sizeof(*grown));
            }
            list->items = grown;
            list->capacity = capacity;
        }
        list->items[list->count++] = (struct metric_field){slice_of(name), field};
    }
    return ERR_OK;
}

static int compare_metric_fields(const void *a, const void *b)
{
    return slice_compare(((const struct metric_field *)a)->name,
                         ((const struct metric_field *)b)->name);
}

static enum err list_metrics(const struct lake_table *table, struct arena *arena,
                             struct metric_list *ret_list, struct errinfo *info)
{
    struct metric_list list = {.arena = arena};
    TRY(collect(&list, SLICE(""), &table->schema->root, info));
    if (list.count > 1) {
        qsort(list.items, list.count, sizeof(*list.items), compare_metric_fields);
    }
    *ret_list = list;
    return ERR_OK;
}

/* ---- types ---- */

#define FILE_HEAD "\"content\" INTEGER, file_path VARCHAR, file_format VARCHAR, spec_id INTEGER"
#define FILE_TAIL                                                                                  \
    ", record_count BIGINT, file_size_in_bytes BIGINT, column_sizes MAP(INTEGER, BIGINT), "        \
    "value_counts MAP(INTEGER, BIGINT), null_value_counts MAP(INTEGER, BIGINT), "                  \
    "nan_value_counts MAP(INTEGER, BIGINT), lower_bounds MAP(INTEGER, BLOB), "                     \
    "upper_bounds MAP(INTEGER, BLOB), key_metadata BLOB, split_offsets BIGINT[], "                 \
    "equality_ids INTEGER[], sort_order_id INTEGER, first_row_id BIGINT, "                         \
    "referenced_data_file VARCHAR, content_offset BIGINT, content_size_in_bytes BIGINT"

/* A bound of a type that the engine has not is shown as it is written: as bytes. */
static enum err bound_type(const struct iceberg_type *type, struct arena *arena,
                           struct slice *ret_type, struct errinfo *info)
{
    if (type->id == ICEBERG_GEOMETRY || type->id == ICEBERG_GEOGRAPHY ||
        type->id == ICEBERG_VARIANT) {
        *ret_type = SLICE("BLOB");
        return ERR_OK;
    }
    return lake_type_text(type, SLICE(""), arena, ret_type, info);
}

static enum err print_partition(const struct unified *all, struct arena *arena, struct buf *out,
                                struct errinfo *info)
{
    buf_append_str(out, "STRUCT(");
    for (size_t i = 0; i < all->count; i++) {
        struct slice type;
        TRY(bound_type(&all->types[i], arena, &type, info));
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, all->fields[i]->name);
        buf_append_char(out, ' ');
        buf_append_slice(out, type);
    }
    buf_append_char(out, ')');
    return ERR_OK;
}

static enum err print_metrics(const struct lake_table *table, struct arena *arena, struct buf *out,
                              struct errinfo *info)
{
    struct metric_list list;
    TRY(list_metrics(table, arena, &list, info));
    buf_append_str(out, "STRUCT(");
    for (size_t i = 0; i < list.count; i++) {
        struct slice type;
        TRY(bound_type(&list.items[i].field->type, arena, &type, info));
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, list.items[i].name);
        buf_append_str(out, " STRUCT(column_size BIGINT, value_count BIGINT, null_value_count "
                            "BIGINT, nan_value_count BIGINT, lower_bound ");
        buf_append_slice(out, type);
        buf_append_str(out, ", upper_bound ");
        buf_append_slice(out, type);
        buf_append_char(out, ')');
    }
    buf_append_char(out, ')');
    return ERR_OK;
}

enum err lake_metadata_type(const struct lake_table *table, const char *column, struct arena *arena,
                            struct slice *ret_type, struct errinfo *info)
{
    struct unified all;
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(unify(&table->loaded.metadata, arena, &all, info));
    if (strcmp(column, "partition") == 0) {
        if (all.count > 0) {
            TRY(print_partition(&all, arena, &text, info));
        }
    } else if (strcmp(column, "spec_id") == 0) {
        buf_append_str(&text, all.count > 0 ? "INTEGER" : "");
    } else if (strcmp(column, "readable_metrics") == 0) {
        TRY(print_metrics(table, arena, &text, info));
    } else {
        buf_append_str(&text, "STRUCT(" FILE_HEAD);
        if (all.count > 0) {
            buf_append_str(&text, ", \"partition\" ");
            TRY(print_partition(&all, arena, &text, info));
        }
        buf_append_str(&text, FILE_TAIL ")");
    }
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_type)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* ---- values ---- */

/* As the engine reads a BLOB from text. */
static void put_bytes(struct buf *out, struct slice bytes)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < bytes.len; i++) {
        buf_printf(out, "\\\\x%02X", (unsigned char)bytes.ptr[i]);
    }
    buf_append_char(out, '"');
}

/* The engine cannot read the first day that nanoseconds reach, and the value after the last, from a
 * text: such a bound is not shown. */
static bool is_beyond_text(const struct iceberg_value *value)
{
    bool is_last = value->integer == INT64_MAX;
    return (value->type == ICEBERG_TIMESTAMP_NS &&
            (is_last || value->integer < -9223286400000000000)) ||
           (value->type == ICEBERG_TIMESTAMPTZ_NS && (is_last || value->integer == -INT64_MAX));
}

static void put_value(struct buf *out, const struct iceberg_value *value)
{
    if (value->is_null || is_beyond_text(value)) {
        buf_append_str(out, "null");
        return;
    }
    switch (value->type) {
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_VARIANT:
        put_bytes(out, value->bytes);
        return;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        if (value->real != value->real || value->real - value->real != 0) { /* NaN, infinite */
            buf_append_str(out, value->real != value->real ? "\"NaN\""
                                : value->real < 0          ? "\"-Infinity\""
                                                           : "\"Infinity\"");
            return;
        }
        iceberg_value_write(value, out);
        return;
    case ICEBERG_UNKNOWN:
    case ICEBERG_BOOLEAN:
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DECIMAL:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        iceberg_value_write(value, out);
        return;
    }
}

static void put_bound(struct buf *out, const char *name, const struct iceberg_type *type,
                      struct slice bytes)
{
    struct iceberg_value value;
    struct errinfo ignored;
    if (bytes.ptr != NULL && iceberg_value_decode(type, bytes, &value, &ignored) == ERR_OK) {
        buf_printf(out, ",\"%s\":", name);
        put_value(out, &value);
    }
}

static const struct iceberg_metrics *find_metrics(const struct iceberg_file *file, int32_t id)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (file->metrics[i].field_id == id) {
            return &file->metrics[i];
        }
    }
    return NULL;
}

static void put_readable(const struct metric_list *list, const struct iceberg_file *file,
                         struct buf *out)
{
    buf_append_str(out, ",\"readable_metrics\":{");
    for (size_t i = 0; i < list->count; i++) {
        const struct metric_field *item = &list->items[i];
        const struct iceberg_metrics *metrics = find_metrics(file, item->field->id);
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, item->name);
        buf_append_str(out, ":{\"moat\":0");
        if (metrics != NULL) {
            lake_put_known(out, "column_size", metrics->size_bytes);
            lake_put_known(out, "value_count", metrics->value_count);
            lake_put_known(out, "null_value_count", metrics->null_count);
            lake_put_known(out, "nan_value_count", metrics->nan_count);
            put_bound(out, "lower_bound", &item->field->type, metrics->lower);
            put_bound(out, "upper_bound", &item->field->type, metrics->upper);
        }
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
}

static void put_partition(const struct iceberg_metadata *metadata, const struct unified *all,
                          const struct iceberg_file *file, struct buf *out)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, file->spec_id);
    bool is_first = true;
    buf_append_str(out, ",\"partition\":{");
    for (size_t i = 0; i < all->count; i++) {
        for (size_t f = 0; spec != NULL && f < spec->field_count && f < file->partition_count;
             f++) {
            if (spec->fields[f].field_id == all->fields[i]->field_id) {
                buf_append_str(out, is_first ? "" : ",");
                is_first = false;
                json_write_string(out, all->fields[i]->name);
                buf_append_char(out, ':');
                put_value(out, &file->partition[f]);
            }
        }
    }
    buf_append_char(out, '}');
}

enum counted {
    COUNTED_SIZE,
    COUNTED_VALUES,
    COUNTED_NULLS,
    COUNTED_NANS
};

static int64_t counted_of(const struct iceberg_metrics *metrics, enum counted what)
{
    switch (what) {
    case COUNTED_SIZE:
        return metrics->size_bytes;
    case COUNTED_VALUES:
        return metrics->value_count;
    case COUNTED_NULLS:
        return metrics->null_count;
    case COUNTED_NANS:
        return metrics->nan_count;
    }
    return ICEBERG_NO_ID;
}

/* `is_given`: an empty map rather than none. */
static void put_counts(struct buf *out, const char *name, const struct iceberg_file *file,
                       enum counted what, bool is_given)
{
    bool is_first = true;
    for (size_t i = 0; i < file->metrics_count; i++) {
        int64_t count = counted_of(&file->metrics[i], what);
        if (count == ICEBERG_NO_ID) {
            continue;
        }
        if (is_first) {
            buf_printf(out, ",\"%s\":{", name);
        }
        buf_printf(out, "%s\"%d\":%lld", is_first ? "" : ",", file->metrics[i].field_id,
                   (long long)count);
        is_first = false;
    }
    if (!is_first) {
        buf_append_char(out, '}');
    } else if (is_given) {
        buf_printf(out, ",\"%s\":{}", name);
    }
}

static void put_bounds(struct buf *out, const char *name, const struct iceberg_file *file,
                       bool is_upper)
{
    bool is_first = true;
    for (size_t i = 0; i < file->metrics_count; i++) {
        struct slice bytes = is_upper ? file->metrics[i].upper : file->metrics[i].lower;
        if (bytes.ptr == NULL) {
            continue;
        }
        if (is_first) {
            buf_printf(out, ",\"%s\":{", name);
        }
        buf_printf(out, "%s\"%d\":", is_first ? "" : ",", file->metrics[i].field_id);
        put_bytes(out, bytes);
        is_first = false;
    }
    buf_append_str(out, is_first ? "" : "}");
}

static void put_lists(struct buf *out, const struct iceberg_file *file)
{
    for (size_t i = 0; i < file->split_offset_count; i++) {
        buf_append_str(out, i == 0 ? ",\"split_offsets\":[" : ",");
        buf_printf(out, "%lld", (long long)file->split_offsets[i]);
    }
    buf_append_str(out, file->split_offset_count > 0 ? "]" : "");
    for (size_t i = 0; i < file->equality_id_count; i++) {
        buf_append_str(out, i == 0 ? ",\"equality_ids\":[" : ",");
        buf_printf(out, "%d", file->equality_ids[i]);
    }
    buf_append_str(out, file->equality_id_count > 0 ? "]" : "");
}

static void put_file(const struct iceberg_metadata *metadata, const struct unified *all,
                     const struct iceberg_file *file, struct buf *out)
{
    static const char *const formats[] = {[ICEBERG_PARQUET] = "PARQUET",
                                          [ICEBERG_AVRO] = "AVRO",
                                          [ICEBERG_ORC] = "ORC",
                                          [ICEBERG_PUFFIN] = "PUFFIN"};
    bool has_counts = false;
    for (size_t i = 0; i < file->metrics_count; i++) {
        has_counts = has_counts || file->metrics[i].value_count != ICEBERG_NO_ID;
    }
    lake_put_number(out, "content", file->content);
    lake_put_text(out, "file_path", file->path);
    lake_put_text(out, "file_format", slice_of(formats[file->format]));
    lake_put_number(out, "spec_id", file->spec_id);
    if (all->count > 0) {
        put_partition(metadata, all, file, out);
    }
    lake_put_number(out, "record_count", file->record_count);
    lake_put_number(out, "file_size_in_bytes", file->size_bytes);
    put_counts(out, "column_sizes", file, COUNTED_SIZE, false);
    put_counts(out, "value_counts", file, COUNTED_VALUES, false);
    put_counts(out, "null_value_counts", file, COUNTED_NULLS, has_counts);
    put_counts(out, "nan_value_counts", file, COUNTED_NANS, has_counts);
    put_bounds(out, "lower_bounds", file, false);
    put_bounds(out, "upper_bounds", file, true);
    if (file->key_metadata.ptr != NULL && file->key_metadata.len > 0) {
        buf_append_str(out, ",\"key_metadata\":");
        put_bytes(out, file->key_metadata);
    }
    put_lists(out, file);
    lake_put_known(out, "sort_order_id", file->sort_order_id);
    lake_put_known(out, "first_row_id", file->first_row_id);
    if (file->referenced_data_file.ptr != NULL) {
        lake_put_text(out, "referenced_data_file", file->referenced_data_file);
    }
    lake_put_known(out, "content_offset", file->content_offset);
    if (file->content_offset != ICEBERG_NO_ID) {
        lake_put_known(out, "content_size_in_bytes", file->content_size_bytes);
    }
}

/* ---- walking ---- */

struct walk {
    const struct lake_table *table;
    struct arena *arena;
    struct buf *out;
    struct errinfo *info;
    struct unified all;
    struct metric_list metrics;
    bool with_deleted;
    bool with_data;
    bool with_deletes;
    void (*each)(struct walk *walk, const struct iceberg_file *file);
    struct partition_sum *sums; /* partitions */
    size_t sum_count;
    size_t sum_capacity;
    enum err failed;
};

static enum err walk_manifest(struct walk *walk, const struct iceberg_manifest *manifest)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_io *io = &walk->table->io;
    const struct iceberg_manifest_want want = {.all_metrics = true,
                                               .deleted_entries = walk->with_deleted};
    uint64_t hint = manifest->length_bytes > 0 ? (uint64_t)manifest->length_bytes : 0;
    TRY(io->read_all(io->context, manifest->path, hint, 0, &bytes, walk->info));
    if (buf_failed(&bytes)) {
        return errinfo_nomem(walk->info);
    }
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, &walk->table->loaded.metadata, &want,
                              &reader, walk->info));
    for (const struct iceberg_file *file;;) {
        TRY(iceberg_manifest_next(reader, &file, walk->info));
        if (file == NULL) {
            return ERR_OK;
        }
        walk->each(walk, file);
        TRY(walk->failed);
    }
}

struct manifest_set {
    struct iceberg_manifest *items;
    size_t count;
};

static bool is_listed(const struct manifest_set *set, struct slice path)
{
    for (size_t i = 0; i < set->count; i++) {
        if (slice_equal(set->items[i].path, path)) {
            return true;
        }
    }
    return false;
}

/* Manifests of the chosen snapshot, or each one once of all snapshots. */
static enum err list_manifests(const struct lake_table *table, bool of_all, struct arena *arena,
                               struct manifest_set *ret_set, struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    struct manifest_set set = {0};
    if (!of_all) {
        if (table->snapshot != NULL) {
            TRY(iceberg_manifests_load(&table->io, metadata, table->snapshot, arena, &set.items,
                                       &set.count, info));
        }
        *ret_set = set;
        return ERR_OK;
    }
    for (size_t s = 0; s < metadata->snapshot_count; s++) {
        struct iceberg_manifest *more;
        size_t more_count;
        TRY(iceberg_manifests_load(&table->io, metadata, &metadata->snapshots[s], arena, &more,
                                   &more_count, info));
        struct iceberg_manifest *grown =
            arena_calloc(arena, set.count + more_count + 1, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (set.count > 0) {
            memcpy(grown, set.items, set.count * sizeof(*grown));
        }
        set.items = grown;
        for (size_t i = 0; i < more_count; i++) {
            if (!is_listed(&set, more[i].path)) {
                set.items[set.count++] = more[i];
            }
        }
    }
    *ret_set = set;
    return ERR_OK;
}

static enum err walk_files(struct walk *walk, bool of_all)
{
    struct manifest_set set;
    TRY(unify(&walk->table->loaded.metadata, walk->arena, &walk->all, walk->info));
    TRY(list_metrics(walk->table, walk->arena, &walk->metrics, walk->info));
    TRY(list_manifests(walk->table, of_all, walk->arena, &set, walk->info));
    for (size_t i = 0; i < set.count; i++) {
        if (set.items[i].is_deletes ? walk->with_deletes : walk->with_data) {
            TRY(walk_manifest(walk, &set.items[i]));
        }
    }
    return ERR_OK;
}

/* ---- files and entries ---- */

static void print_file_row(struct walk *walk, const struct iceberg_file *file)
{
    lake_row_begin(walk->out);
    put_file(&walk->table->loaded.metadata, &walk->all, file, walk->out);
    put_readable(&walk->metrics, file, walk->out);
    lake_row_end(walk->out);
}

static void print_entry_row(struct walk *walk, const struct iceberg_file *file)
{
    static const int status[] = {
        [ICEBERG_EXISTING] = 0, [ICEBERG_ADDED] = 1, [ICEBERG_DELETED] = 2};
    lake_row_begin(walk->out);
    lake_put_number(walk->out, "status", status[file->status]);
    lake_put_known(walk->out, "snapshot_id", file->snapshot_id);
    lake_put_known(walk->out, "sequence_number", file->sequence_number);
    lake_put_known(walk->out, "file_sequence_number", file->file_sequence_number);
    buf_append_str(walk->out, ",\"data_file\":{\"moat\":0");
    put_file(&walk->table->loaded.metadata, &walk->all, file, walk->out);
    buf_append_char(walk->out, '}');
    put_readable(&walk->metrics, file, walk->out);
    lake_row_end(walk->out);
}

static enum err rows_of_files(const struct lake_table *table, struct arena *arena, struct buf *out,
                              bool of_all, bool with_data, bool with_deletes, struct errinfo *info)
{
    struct walk walk = {.table = table,
                        .arena = arena,
                        .out = out,
                        .info = info,
                        .with_data = with_data,
                        .with_deletes = with_deletes,
                        .each = print_file_row};
    return walk_files(&walk, of_all);
}

enum err lake_rows_files(const struct lake_table *table, struct arena *arena, struct buf *out,
                         struct errinfo *info)
{
    return rows_of_files(table, arena, out, false, true, true, info);
}

enum err lake_rows_data_files(const struct lake_table *table, struct arena *arena, struct buf *out,
                              struct errinfo *info)
{
    return rows_of_files(table, arena, out, false, true, false, info);
}

enum err lake_rows_delete_files(const struct lake_table *table, struct arena *arena,
                                struct buf *out, struct errinfo *info)
{
    return rows_of_files(table, arena, out, false, false, true, info);
}

enum err lake_rows_all_files(const struct lake_table *table, struct arena *arena, struct buf *out,
                             struct errinfo *info)
{
    return rows_of_files(table, arena, out, true, true, true, info);
}

enum err lake_rows_all_data_files(const struct lake_table *table, struct arena *arena,
                                  struct buf *out, struct errinfo *info)
{
    return rows_of_files(table, arena, out, true, true, false, info);
}

enum err lake_rows_all_delete_files(const struct lake_table *table, struct arena *arena,
                                    struct buf *out, struct errinfo *info)
{
    return rows_of_files(table, arena, out, true, false, true, info);
}

static enum err rows_of_entries(const struct lake_table *table, struct arena *arena,
                                struct buf *out, bool of_all, struct errinfo *info)
{
    struct walk walk = {.table = table,
                        .arena = arena,
                        .out = out,
                        .info = info,
                        .with_deleted = true,
                        .with_data = true,
                        .with_deletes = true,
                        .each = print_entry_row};
    return walk_files(&walk, of_all);
}

enum err lake_rows_entries(const struct lake_table *table, struct arena *arena, struct buf *out,
                           struct errinfo *info)
{
    return rows_of_entries(table, arena, out, false, info);
}

enum err lake_rows_all_entries(const struct lake_table *table, struct arena *arena, struct buf *out,
                               struct errinfo *info)
{
    return rows_of_entries(table, arena, out, true, info);
}

/* ---- manifests ---- */

static void put_summary_bound(struct buf *out, const char *name,
                              const struct iceberg_partition_field *field,
                              const struct iceberg_type *type, struct slice bytes)
{
    struct iceberg_value value;
    struct errinfo ignored;
    struct buf text CLEANUP(buf_fini) = {0};
    if (bytes.ptr == NULL || iceberg_value_decode(type, bytes, &value, &ignored) != ERR_OK) {
        return;
    }
    iceberg_transform_print_value(&field->transform, &value, &text);
    lake_put_text(out, name, buf_slice(&text));
}

static enum err put_summaries(const struct iceberg_metadata *metadata,
                              const struct iceberg_manifest *manifest, struct buf *out,
                              struct errinfo *info)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, manifest->spec_id);
    buf_append_str(out, ",\"partition_summaries\":[");
    for (size_t i = 0; spec != NULL && i < manifest->partition_count && i < spec->field_count;
         i++) {
        const struct iceberg_partition_summary *summary = &manifest->partitions[i];
        struct iceberg_type type;
        TRY(result_type(metadata, &spec->fields[i], &type, info));
        buf_printf(out, "%s{\"contains_null\":%s", i == 0 ? "" : ",",
                   summary->contains_null ? "true" : "false");
        if (summary->has_nan_flag) {
            buf_printf(out, ",\"contains_nan\":%s", summary->contains_nan ? "true" : "false");
        }
        put_summary_bound(out, "lower_bound", &spec->fields[i], &type, summary->lower);
        put_summary_bound(out, "upper_bound", &spec->fields[i], &type, summary->upper);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
    return ERR_OK;
}

static enum err print_manifest(const struct iceberg_metadata *metadata,
                               const struct iceberg_manifest *manifest,
                               const struct iceberg_snapshot *reference, struct buf *out,
                               struct errinfo *info)
{
    bool is_data = !manifest->is_deletes;
    lake_row_begin(out);
    lake_put_number(out, "content", is_data ? 0 : 1);
    lake_put_text(out, "path", manifest->path);
    lake_put_known(out, "length", manifest->length_bytes);
    lake_put_number(out, "partition_spec_id", manifest->spec_id);
    lake_put_known(out, "added_snapshot_id", manifest->added_snapshot_id);
    lake_put_known(out, "added_data_files_count", is_data ? manifest->added_files : 0);
    lake_put_known(out, "existing_data_files_count", is_data ? manifest->existing_files : 0);
    lake_put_known(out, "deleted_data_files_count", is_data ? manifest->deleted_files : 0);
    lake_put_known(out, "added_delete_files_count", is_data ? 0 : manifest->added_files);
    lake_put_known(out, "existing_delete_files_count", is_data ? 0 : manifest->existing_files);
    lake_put_known(out, "deleted_delete_files_count", is_data ? 0 : manifest->deleted_files);
    TRY(put_summaries(metadata, manifest, out, info));
    if (reference != NULL) {
        lake_put_number(out, "reference_snapshot_id", reference->id);
    }
    lake_row_end(out);
    return ERR_OK;
}

static enum err print_manifests(const struct lake_table *table,
                                const struct iceberg_snapshot *snapshot, bool with_reference,
                                struct arena *arena, struct buf *out, struct errinfo *info)
{
    struct iceberg_manifest *manifests;
    size_t count;
    TRY(iceberg_manifests_load(&table->io, &table->loaded.metadata, snapshot, arena, &manifests,
                               &count, info));
    for (size_t i = 0; i < count; i++) {
        TRY(print_manifest(&table->loaded.metadata, &manifests[i], with_reference ? snapshot : NULL,
                           out, info));
    }
    return ERR_OK;
}

enum err lake_rows_manifests(const struct lake_table *table, struct arena *arena, struct buf *out,
                             struct errinfo *info)
{
    return table->snapshot == NULL
               ? ERR_OK
               : print_manifests(table, table->snapshot, false, arena, out, info);
}

enum err lake_rows_all_manifests(const struct lake_table *table, struct arena *arena,
                                 struct buf *out, struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        TRY(print_manifests(table, &metadata->snapshots[i], true, arena, out, info));
    }
    return ERR_OK;
}

/* ---- partitions ---- */

struct partition_sum {
    struct slice partition; /* as JSON */
    int32_t spec_id;
    int64_t data_rows, data_files, data_bytes;
    int64_t position_rows, position_files;
    int64_t equality_rows, equality_files;
    const struct iceberg_snapshot *last;
};

static struct partition_sum *find_sum(struct walk *walk, struct slice partition)
{
    for (size_t i = 0; i < walk->sum_count; i++) {
        if (slice_equal(walk->sums[i].partition, partition)) {
            return &walk->sums[i];
        }
    }
    if (walk->sum_count == walk->sum_capacity) {
        size_t capacity = walk->sum_capacity == 0 ? 64 : walk->sum_capacity * 2;
        struct partition_sum *grown = arena_calloc(walk->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        if (walk->sum_count > 0) {
            memcpy(grown, walk->sums, walk->sum_count * sizeof(*grown));
        }
        walk->sums = grown;
        walk->sum_capacity = capacity;
    }
    struct partition_sum *sum = &walk->sums[walk->sum_count];
    *sum = (struct partition_sum){0};
    if (!arena_slice(walk->arena, partition, &sum->partition)) {
        return NULL;
    }
    walk->sum_count++;
    return sum;
}

static void add_to_partition(struct walk *walk, const struct iceberg_file *file)
{
    const struct iceberg_metadata *metadata = &walk->table->loaded.metadata;
    struct buf key CLEANUP(buf_fini) = {0};
    put_partition(metadata, &walk->all, file, &key);
    struct partition_sum *sum = buf_failed(&key) ? NULL : find_sum(walk, buf_slice(&key));
    if (sum == NULL) {
        walk->failed = errinfo_nomem(walk->info);
        return;
    }
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(metadata, file->snapshot_id);
    if (snapshot != NULL &&
        (sum->last == NULL || snapshot->timestamp_ms > sum->last->timestamp_ms)) {
        sum->last = snapshot;
        sum->spec_id = file->spec_id;
    }
    switch (file->content) {
    case ICEBERG_DATA:
        sum->data_rows += file->record_count;
        sum->data_files++;
        sum->data_bytes += file->size_bytes;
        return;
    case ICEBERG_POSITION_DELETES:
        sum->position_rows += file->record_count;
        sum->position_files++;
        return;
    case ICEBERG_EQUALITY_DELETES:
        sum->equality_rows += file->record_count;
        sum->equality_files++;
        return;
    }
}

enum err lake_rows_partitions(const struct lake_table *table, struct arena *arena, struct buf *out,
                              struct errinfo *info)
{
    struct walk walk = {.table = table,
                        .arena = arena,
                        .out = out,
                        .info = info,
                        .with_data = true,
                        .with_deletes = true,
                        .each = add_to_partition};
    TRY(walk_files(&walk, false));
    for (size_t i = 0; i < walk.sum_count; i++) {
        const struct partition_sum *sum = &walk.sums[i];
        lake_row_begin(out);
        if (walk.all.count > 0) {
            buf_append_slice(out, sum->partition);
            lake_put_number(out, "spec_id", sum->spec_id);
        }
        lake_put_number(out, "record_count", sum->data_rows);
        lake_put_number(out, "file_count", sum->data_files);
        lake_put_number(out, "total_data_file_size_in_bytes", sum->data_bytes);
        lake_put_number(out, "position_delete_record_count", sum->position_rows);
        lake_put_number(out, "position_delete_file_count", sum->position_files);
        lake_put_number(out, "equality_delete_record_count", sum->equality_rows);
        lake_put_number(out, "equality_delete_file_count", sum->equality_files);
        if (sum->last != NULL) {
            lake_put_time(out, "last_updated_at", sum->last->timestamp_ms);
            lake_put_number(out, "last_updated_snapshot_id", sum->last->id);
        }
        lake_row_end(out);
    }
    return ERR_OK;
}
