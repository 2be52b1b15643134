/* Metadata tables made of the metadata file alone; the registry of all of them. */
#include "base/json.h"
#include "query/lake/lake_metadata_int.h"

static const struct lake_metadata_column snapshots_columns[] = {
    {"committed_at", "TIMESTAMP WITH TIME ZONE"},
    {"snapshot_id", "BIGINT"},
    {"parent_id", "BIGINT"},
    {"operation", "VARCHAR"},
    {"manifest_list", "VARCHAR"},
    {"summary", "MAP(VARCHAR, VARCHAR)"}};

static const struct lake_metadata_column history_columns[] = {
    {"made_current_at", "TIMESTAMP WITH TIME ZONE"},
    {"snapshot_id", "BIGINT"},
    {"parent_id", "BIGINT"},
    {"is_current_ancestor", "BOOLEAN"}};

static const struct lake_metadata_column refs_columns[] = {{"name", "VARCHAR"},
                                                           {"type", "VARCHAR"},
                                                           {"snapshot_id", "BIGINT"},
                                                           {"max_reference_age_in_ms", "BIGINT"},
                                                           {"min_snapshots_to_keep", "INTEGER"},
                                                           {"max_snapshot_age_in_ms", "BIGINT"}};

static const struct lake_metadata_column log_columns[] = {{"timestamp", "TIMESTAMP WITH TIME ZONE"},
                                                          {"file", "VARCHAR"},
                                                          {"latest_snapshot_id", "BIGINT"},
                                                          {"latest_schema_id", "INTEGER"},
                                                          {"latest_sequence_number", "BIGINT"}};

static const struct lake_metadata_column statistics_columns[] = {
    {"snapshot_id", "BIGINT"},
    {"kind", "VARCHAR"}, /* "table" or "partition" */
    {"statistics_path", "VARCHAR"},
    {"file_size_in_bytes", "BIGINT"},
    {"file_footer_size_in_bytes", "BIGINT"},
    {"blob_metadata",
     "STRUCT(\"type\" VARCHAR, snapshot_id BIGINT, sequence_number BIGINT, fields INTEGER[], "
     "properties MAP(VARCHAR, VARCHAR))[]"}};

static const struct lake_metadata_column properties_columns[] = {{"key", "VARCHAR"},
                                                                 {"value", "VARCHAR"}};

#define FILE_COLUMNS                                                                               \
    {"content", "INTEGER"}, {"file_path", "VARCHAR"}, {"file_format", "VARCHAR"},                  \
        {"spec_id", "INTEGER"}, {"partition", NULL}, {"record_count", "BIGINT"},                   \
        {"file_size_in_bytes", "BIGINT"}, {"column_sizes", "MAP(INTEGER, BIGINT)"},                \
        {"value_counts", "MAP(INTEGER, BIGINT)"}, {"null_value_counts", "MAP(INTEGER, BIGINT)"},   \
        {"nan_value_counts", "MAP(INTEGER, BIGINT)"}, {"lower_bounds", "MAP(INTEGER, BLOB)"},      \
        {"upper_bounds", "MAP(INTEGER, BLOB)"}, {"key_metadata", "BLOB"},                          \
        {"split_offsets", "BIGINT[]"}, {"equality_ids", "INTEGER[]"},                              \
        {"sort_order_id", "INTEGER"}, {"first_row_id", "BIGINT"},                                  \
        {"referenced_data_file", "VARCHAR"}, {"content_offset", "BIGINT"},                         \
        {"content_size_in_bytes", "BIGINT"},                                                       \
    {                                                                                              \
        "readable_metrics", NULL                                                                   \
    }

static const struct lake_metadata_column files_columns[] = {FILE_COLUMNS};

static const struct lake_metadata_column entries_columns[] = {
    {"status", "INTEGER"},         {"snapshot_id", "BIGINT"},
    {"sequence_number", "BIGINT"}, {"file_sequence_number", "BIGINT"},
    {"data_file", NULL},           {"readable_metrics", NULL}};

#define MANIFEST_COLUMNS                                                                           \
    {"content", "INTEGER"}, {"path", "VARCHAR"}, {"length", "BIGINT"},                             \
        {"partition_spec_id", "INTEGER"}, {"added_snapshot_id", "BIGINT"},                         \
        {"added_data_files_count", "INTEGER"}, {"existing_data_files_count", "INTEGER"},           \
        {"deleted_data_files_count", "INTEGER"}, {"added_delete_files_count", "INTEGER"},          \
        {"existing_delete_files_count", "INTEGER"}, {"deleted_delete_files_count", "INTEGER"},     \
    {                                                                                              \
        "partition_summaries", "STRUCT(contains_null BOOLEAN, contains_nan BOOLEAN, "              \
                               "lower_bound VARCHAR, upper_bound VARCHAR)[]"                       \
    }

static const struct lake_metadata_column manifests_columns[] = {MANIFEST_COLUMNS};
static const struct lake_metadata_column all_manifests_columns[] = {
    MANIFEST_COLUMNS, {"reference_snapshot_id", "BIGINT"}, {"key_metadata", "BLOB"}};

static const struct lake_metadata_column partitions_columns[] = {
    {"partition", NULL},
    {"spec_id", NULL},
    {"record_count", "BIGINT"},
    {"file_count", "INTEGER"},
    {"total_data_file_size_in_bytes", "BIGINT"},
    {"position_delete_record_count", "BIGINT"},
    {"position_delete_file_count", "INTEGER"},
    {"equality_delete_record_count", "BIGINT"},
    {"equality_delete_file_count", "INTEGER"},
    {"last_updated_at", "TIMESTAMP WITH TIME ZONE"},
    {"last_updated_snapshot_id", "BIGINT"}};

/* ---- rows ---- */

void lake_row_begin(struct buf *out)
{
    buf_append_str(out, "{\"moat\":0"); /* no column: so that every member can begin with a comma */
}

void lake_row_end(struct buf *out)
{
    buf_append_str(out, "}\n");
}

void lake_put_text(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_string(out, text);
}

void lake_put_number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, ",\"%s\":%lld", name, (long long)value);
}

void lake_put_known(struct buf *out, const char *name, int64_t value)
{
    if (value != ICEBERG_NO_ID) {
        lake_put_number(out, name, value);
    }
}

static void put_bool(struct buf *out, const char *name, bool value)
{
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

void lake_put_time(struct buf *out, const char *name, int64_t timestamp_ms)
{
    struct iceberg_value value = {.type = ICEBERG_TIMESTAMPTZ, .integer = timestamp_ms * 1000};
    buf_printf(out, ",\"%s\":", name);
    iceberg_value_write(&value, out);
}

static void put_map(struct buf *out, const char *name, const struct iceberg_property *items,
                    size_t count)
{
    buf_printf(out, "%s%s%s{", name == NULL ? "" : ",\"", name == NULL ? "" : name,
               name == NULL ? "" : "\":");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, items[i].key);
        buf_append_char(out, ':');
        json_write_string(out, items[i].value);
    }
    buf_append_char(out, '}');
}

/* Without the operation, which has a column of its own. */
static void put_summary(struct buf *out, const struct iceberg_snapshot *snapshot)
{
    bool is_first = true;
    if (snapshot->summary_count == 0) {
        return;
    }
    buf_append_str(out, ",\"summary\":{");
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (!slice_equal(snapshot->summary[i].key, SLICE("operation"))) {
            buf_append_str(out, is_first ? "" : ",");
            is_first = false;
            json_write_string(out, snapshot->summary[i].key);
            buf_append_char(out, ':');
            json_write_string(out, snapshot->summary[i].value);
        }
    }
    buf_append_char(out, '}');
}

static enum err rows_snapshots(const struct lake_table *table, UNUSED struct arena *arena,
                               struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = &metadata->snapshots[i];
        lake_row_begin(out);
        lake_put_time(out, "committed_at", snapshot->timestamp_ms);
        lake_put_number(out, "snapshot_id", snapshot->id);
        lake_put_known(out, "parent_id", snapshot->parent_id);
        if (snapshot->operation.len > 0) {
            lake_put_text(out, "operation", snapshot->operation);
        }
        if (snapshot->manifest_list.len > 0) {
            lake_put_text(out, "manifest_list", snapshot->manifest_list);
        }
        put_summary(out, snapshot);
        lake_row_end(out);
    }
    return ERR_OK;
}

static bool is_ancestor(const struct iceberg_metadata *metadata, int64_t id)
{
    int64_t at = metadata->current_snapshot_id;
    for (size_t steps = 0; at != ICEBERG_NO_ID && steps <= metadata->snapshot_count; steps++) {
        if (at == id) {
            return true;
        }
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, at);
        at = snapshot == NULL ? ICEBERG_NO_ID : snapshot->parent_id;
    }
    return false;
}

static enum err rows_history(const struct lake_table *table, UNUSED struct arena *arena,
                             struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        const struct iceberg_log_entry *entry = &metadata->snapshot_log[i];
        const struct iceberg_snapshot *snapshot =
            iceberg_metadata_snapshot(metadata, entry->snapshot_id);
        lake_row_begin(out);
        lake_put_time(out, "made_current_at", entry->timestamp_ms);
        lake_put_number(out, "snapshot_id", entry->snapshot_id);
        lake_put_known(out, "parent_id", snapshot == NULL ? ICEBERG_NO_ID : snapshot->parent_id);
        put_bool(out, "is_current_ancestor", is_ancestor(metadata, entry->snapshot_id));
        lake_row_end(out);
    }
    return ERR_OK;
}

static enum err rows_refs(const struct lake_table *table, UNUSED struct arena *arena,
                          struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->ref_count; i++) {
        const struct iceberg_ref *ref = &metadata->refs[i];
        lake_row_begin(out);
        lake_put_text(out, "name", ref->name);
        lake_put_text(out, "type", ref->is_tag ? SLICE("TAG") : SLICE("BRANCH"));
        lake_put_number(out, "snapshot_id", ref->snapshot_id);
        lake_put_known(out, "max_reference_age_in_ms", ref->max_ref_age_ms);
        lake_put_known(out, "min_snapshots_to_keep", ref->min_snapshots_to_keep);
        lake_put_known(out, "max_snapshot_age_in_ms", ref->max_snapshot_age_ms);
        lake_row_end(out);
    }
    return ERR_OK;
}

static void put_log(const struct iceberg_metadata *metadata, int64_t timestamp_ms,
                    struct slice file, struct buf *out)
{
    const struct iceberg_log_entry *latest = NULL;
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        if (metadata->snapshot_log[i].timestamp_ms <= timestamp_ms) {
            latest = &metadata->snapshot_log[i];
        }
    }
    const struct iceberg_snapshot *snapshot =
        latest == NULL ? NULL : iceberg_metadata_snapshot(metadata, latest->snapshot_id);
    lake_row_begin(out);
    lake_put_time(out, "timestamp", timestamp_ms);
    lake_put_text(out, "file", file);
    if (latest != NULL) {
        lake_put_number(out, "latest_snapshot_id", latest->snapshot_id);
    }
    if (snapshot != NULL) {
        lake_put_known(out, "latest_schema_id", snapshot->schema_id);
        lake_put_number(out, "latest_sequence_number", snapshot->sequence_number);
    }
    lake_row_end(out);
}

/* The log's entries, then the present file, as Iceberg shows it. */
static enum err rows_log(const struct lake_table *table, UNUSED struct arena *arena,
                         struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->metadata_log_count; i++) {
        put_log(metadata, metadata->metadata_log[i].timestamp_ms, metadata->metadata_log[i].file,
                out);
    }
    put_log(metadata, metadata->last_updated_ms, table->loaded.name.metadata_location, out);
    return ERR_OK;
}

static void put_statistics(const struct iceberg_statistics *statistics, const char *kind,
                           struct buf *out)
{
    lake_row_begin(out);
    lake_put_number(out, "snapshot_id", statistics->snapshot_id);
    lake_put_text(out, "kind", slice_of(kind));
    lake_put_text(out, "statistics_path", statistics->path);
    lake_put_number(out, "file_size_in_bytes", statistics->size_bytes);
    lake_put_known(out, "file_footer_size_in_bytes", statistics->footer_size_bytes);
    buf_append_str(out, ",\"blob_metadata\":[");
    for (size_t i = 0; i < statistics->blob_count; i++) {
        const struct iceberg_statistics_blob *blob = &statistics->blobs[i];
        buf_append_str(out, i == 0 ? "{\"moat\":0" : ",{\"moat\":0");
        lake_put_text(out, "type", blob->type);
        lake_put_number(out, "snapshot_id", blob->snapshot_id);
        lake_put_number(out, "sequence_number", blob->sequence_number);
        buf_append_str(out, ",\"fields\":[");
        for (size_t f = 0; f < blob->field_count; f++) {
            buf_printf(out, "%s%d", f == 0 ? "" : ",", blob->field_ids[f]);
        }
        buf_append_char(out, ']');
        put_map(out, "properties", blob->properties, blob->property_count);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
    lake_row_end(out);
}

static enum err rows_statistics(const struct lake_table *table, UNUSED struct arena *arena,
                                struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->statistics_count; i++) {
        put_statistics(&metadata->statistics[i], "table", out);
    }
    for (size_t i = 0; i < metadata->partition_statistics_count; i++) {
        put_statistics(&metadata->partition_statistics[i], "partition", out);
    }
    return ERR_OK;
}

static enum err rows_properties(const struct lake_table *table, UNUSED struct arena *arena,
                                struct buf *out, UNUSED struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t i = 0; i < metadata->property_count; i++) {
        lake_row_begin(out);
        lake_put_text(out, "key", metadata->properties[i].key);
        lake_put_text(out, "value", metadata->properties[i].value);
        lake_row_end(out);
    }
    return ERR_OK;
}

/* ---- all of them ---- */

#define COLUMNS(array) array, ARRAY_COUNT(array)

static const struct shape {
    const char *name;
    bool has_versions; /* AT (...) chooses the snapshot that it tells of */
    const struct lake_metadata_column *columns;
    size_t column_count;
    enum err (*rows)(const struct lake_table *, struct arena *, struct buf *, struct errinfo *);
} shapes[LAKE_METADATA_COUNT] = {
    [LAKE_SNAPSHOTS] = {"snapshots", false, COLUMNS(snapshots_columns), rows_snapshots},
    [LAKE_HISTORY] = {"history", false, COLUMNS(history_columns), rows_history},
    [LAKE_REFS] = {"refs", false, COLUMNS(refs_columns), rows_refs},
    [LAKE_METADATA_LOG_ENTRIES] = {"metadata_log_entries", false, COLUMNS(log_columns), rows_log},
    [LAKE_STATISTICS] = {"statistics", false, COLUMNS(statistics_columns), rows_statistics},
    [LAKE_PROPERTIES] = {"properties", false, COLUMNS(properties_columns), rows_properties},
    [LAKE_FILES] = {"files", true, COLUMNS(files_columns), lake_rows_files},
    [LAKE_DATA_FILES] = {"data_files", true, COLUMNS(files_columns), lake_rows_data_files},
    [LAKE_DELETE_FILES] = {"delete_files", true, COLUMNS(files_columns), lake_rows_delete_files},
    [LAKE_ALL_FILES] = {"all_files", false, COLUMNS(files_columns), lake_rows_all_files},
    [LAKE_ALL_DATA_FILES] = {"all_data_files", false, COLUMNS(files_columns),
                             lake_rows_all_data_files},
    [LAKE_ALL_DELETE_FILES] = {"all_delete_files", false, COLUMNS(files_columns),
                               lake_rows_all_delete_files},
    [LAKE_ENTRIES] = {"entries", true, COLUMNS(entries_columns), lake_rows_entries},
    [LAKE_ALL_ENTRIES] = {"all_entries", false, COLUMNS(entries_columns), lake_rows_all_entries},
    [LAKE_MANIFESTS] = {"manifests", true, COLUMNS(manifests_columns), lake_rows_manifests},
    [LAKE_ALL_MANIFESTS] = {"all_manifests", false, COLUMNS(all_manifests_columns),
                            lake_rows_all_manifests},
    [LAKE_PARTITIONS] = {"partitions", true, COLUMNS(partitions_columns), lake_rows_partitions},
};

bool lake_metadata_find(struct slice name, enum lake_metadata_kind *ret_kind)
{
    for (size_t i = 0; i < LAKE_METADATA_COUNT; i++) {
        if (shapes[i].name != NULL && slice_equal_fold(name, slice_of(shapes[i].name))) {
            *ret_kind = (enum lake_metadata_kind)i;
            return true;
        }
    }
    return false;
}

static enum err fill_columns(const struct shape *shape, const struct lake_table *table,
                             struct arena *arena, struct relation *relation, struct errinfo *info)
{
    struct relation_column *columns = arena_calloc(arena, shape->column_count, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < shape->column_count; i++) {
        struct slice name = slice_of(shape->columns[i].name);
        struct slice type;
        if (shape->columns[i].type != NULL) {
            type = slice_of(shape->columns[i].type);
        } else {
            TRY(lake_metadata_type(table, shape->columns[i].name, arena, &type, info));
        }
        if (type.len > 0) {
            columns[count++] = (struct relation_column){(uint32_t)i + 1, name, name, type};
        }
    }
    relation->columns = columns;
    relation->column_count = count;
    return ERR_OK;
}

static enum err fill_rows(const struct shape *shape, const struct lake_table *table,
                          struct arena *arena, struct relation *relation, struct errinfo *info)
{
    struct buf rows CLEANUP(buf_fini) = {0};
    struct relation_object *object = arena_calloc(arena, 1, sizeof(*object));
    TRY(shape->rows(table, arena, &rows, info));
    if (object == NULL || buf_failed(&rows) ||
        !arena_slice(arena, buf_slice(&rows), &object->bytes)) {
        return errinfo_nomem(info);
    }
    object->is_bytes = true;
    object->size_bytes = object->bytes.len;
    relation->objects = object;
    relation->object_count = 1;
    return ERR_OK;
}

static const struct relation_option line_options[] = {{{"format", 6}, {"'newline_delimited'", 19}}};

enum err lake_metadata_load(const struct lake_open *open, const struct relation *now,
                            struct arena *arena, struct relation *ret_relation,
                            struct errinfo *info)
{
    const struct shape *shape = &shapes[open->metadata];
    struct lake_table *table = arena_alloc(arena, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    *table = open->table;
    const struct catalog_iceberg_name *name = &table->loaded.name;
    if (open->travel.kind != TRAVEL_NOW && !shape->has_versions) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "\"%s\" of \"%.*s\" tells of all versions: it has none of its own",
                           shape->name, SLICE_ARGS(name->name));
    }
    TRY(lake_choose_version(table, &open->travel, info));
    char *own = arena_printf(arena, "%.*s$%s", (int)name->name.len, name->name.ptr, shape->name);
    if (own == NULL) {
        return errinfo_nomem(info);
    }
    struct relation relation = {
        .kind = RELATION_SYSTEM,
        .format = FORMAT_JSON,
        .name = {table->attached->catalog.name, name->ns, slice_of(own)},
        .uuid = now->uuid, /* of the table, for the audit trail */
        .owner = table->attached->owner,
        .options = line_options,
        .option_count = ARRAY_COUNT(line_options),
        .lake = table,
    };
    TRY(fill_columns(shape, table, arena, &relation, info));
    TRY(fill_rows(shape, table, arena, &relation, info));
    *ret_relation = relation;
    return ERR_OK;
}

bool lake_metadata_is_text(const struct relation *relation, const struct relation_column *column)
{
    return relation->kind == RELATION_SYSTEM && relation->lake != NULL &&
           slice_find(column->type, SLICE("BLOB")) != SIZE_MAX;
}

/* "BLOB" only ever stands for the type: names are quoted, and a quoted "BLOB" in a name would only
 * rename a field that the cast puts right by position. */
static enum err text_type(struct slice type, struct arena *arena, struct slice *ret_type,
                          struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t at; (at = slice_find(type, SLICE(" BLOB"))) != SIZE_MAX;) {
        buf_append(&text, type.ptr, at);
        buf_append_str(&text, " VARCHAR");
        type = (struct slice){type.ptr + at + 5, type.len - at - 5};
    }
    buf_append_slice(&text, slice_equal(type, SLICE("BLOB")) ? SLICE("VARCHAR") : type);
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_type)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err lake_metadata_source(const struct relation *relation, struct arena *arena,
                              struct relation *ret_source, struct errinfo *info)
{
    *ret_source = *relation;
    if (relation->kind != RELATION_SYSTEM || relation->lake == NULL) {
        return ERR_OK;
    }
    struct relation_column *columns =
        arena_calloc(arena, relation->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < relation->column_count; i++) {
        columns[i] = relation->columns[i];
        TRY(text_type(columns[i].type, arena, &columns[i].type, info));
    }
    ret_source->columns = columns;
    return ERR_OK;
}
