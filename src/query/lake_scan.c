/* A table's files as a scan of the engine: opened with a query's grant, closed with it.
 *
 * Files are read as the person the table was loaded for, inside the catalog's folders only. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "iceberg/manifest.h"
#include "query/lake_int.h"
#include "sql/scan.h"

struct lake_file {
    struct slice location;
    pthread_mutex_t lock; /* of opening */
    struct storage_object *_Atomic open;
};

struct lake_scan {
    const struct lake_table *table;
    struct arena *arena;
    struct engine_scan_spec spec;
    struct engine_scan_file *files;
    struct lake_file *opened; /* by object number */
    size_t file_count;
    size_t file_capacity;
    size_t lock_count;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t files_opened;
};

/* ---- columns ---- */

static enum err print_literal(const struct iceberg_value *value, struct slice type,
                              struct buf *out, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    switch (value->type) {
    case ICEBERG_STRING:
        buf_append_slice(&text, value->bytes);
        break;
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        for (size_t i = 0; i < value->bytes.len; i++) {
            buf_printf(&text, "\\x%02X", (unsigned char)value->bytes.ptr[i]);
        }
        break;
    case ICEBERG_UNKNOWN:
    case ICEBERG_BOOLEAN:
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_DECIMAL:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_UUID:
        iceberg_value_write(value, &text);
        if (text.len >= 2 && text.ptr[0] == '"') {
            text.len--;
            memmove(text.ptr, text.ptr + 1, --text.len);
        }
        break;
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a default value of type %.*s",
                           SLICE_ARGS(type));
    }
    buf_append_str(out, "CAST(");
    sql_quote_string(out, buf_slice(&text));
    buf_append_str(out, " AS ");
    buf_append_slice(out, type);
    buf_append_char(out, ')');
    return buf_failed(&text) ? errinfo_nomem(info) : ERR_OK;
}

static enum err make_columns(const struct iceberg_type *type, struct arena *arena,
                             const struct engine_scan_column **ret_columns, struct errinfo *info)
{
    struct engine_scan_column *columns =
        arena_calloc(arena, type->field_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct engine_scan_column *column = &columns[i];
        struct buf value CLEANUP(buf_fini) = {0};
        column->field_id = field->id;
        column->name = field->name;
        column->child_count = field->type.field_count;
        TRY(lake_type_text(&field->type, arena, &column->type, info));
        TRY(make_columns(&field->type, arena, &column->children, info));
        if (field->initial_default != NULL && !field->initial_default->is_null) {
            TRY(print_literal(field->initial_default, column->type, &value, info));
            if (buf_failed(&value) || !arena_slice(arena, buf_slice(&value), &column->value)) {
                return errinfo_nomem(info);
            }
        }
    }
    *ret_columns = columns;
    return ERR_OK;
}

static enum err make_names(const struct iceberg_name_mapping *mapping, struct arena *arena,
                           const struct engine_scan_name **ret_names, size_t *ret_count,
                           struct errinfo *info)
{
    size_t count = 0;
    for (size_t i = 0; i < mapping->field_count; i++) {
        count += mapping->fields[i].name_count;
    }
    struct engine_scan_name *names = arena_calloc(arena, count + 1, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    count = 0;
    for (size_t i = 0; i < mapping->field_count; i++) {
        const struct iceberg_mapped_field *field = &mapping->fields[i];
        const struct engine_scan_name *children;
        size_t child_count;
        TRY(make_names(&field->children, arena, &children, &child_count, info));
        for (size_t n = 0; n < field->name_count; n++) {
            names[count++] = (struct engine_scan_name){.name = field->names[n],
                                                       .field_id = field->field_id,
                                                       .children = children,
                                                       .child_count = child_count};
        }
    }
    *ret_names = names;
    *ret_count = count;
    return ERR_OK;
}

/* ---- files ---- */

static enum err add_file(struct lake_scan *scan, const struct iceberg_file *file,
                         struct errinfo *info)
{
    if (file->content != ICEBERG_DATA || file->format != ICEBERG_PARQUET || file->is_encrypted) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "the table \"%.*s\" has %s",
                          SLICE_ARGS(scan->table->loaded.name.name),
                          file->content != ICEBERG_DATA ? "delete files"
                          : file->is_encrypted          ? "encrypted files"
                                                        : "data files that are no Parquet");
        return ERR_UNSUPPORTED;
    }
    if (scan->file_count == scan->file_capacity) {
        size_t capacity = scan->file_capacity == 0 ? 64 : scan->file_capacity * 2;
        struct engine_scan_file *grown = arena_calloc(scan->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (scan->file_count > 0) {
            memcpy(grown, scan->files, scan->file_count * sizeof(*grown));
        }
        scan->files = grown;
        scan->file_capacity = capacity;
    }
    struct slice path;
    if (!arena_slice(scan->arena, file->path, &path)) {
        return errinfo_nomem(info);
    }
    scan->files[scan->file_count] = (struct engine_scan_file){
        .object = scan->file_count,
        .size_bytes = (uint64_t)file->size_bytes,
        .etag = path, /* written once, never changed */
        .record_count = file->record_count,
        .first_row_id = file->first_row_id,
        .sequence_number = file->sequence_number,
        .spec_id = file->spec_id,
        .path = path,
    };
    scan->file_count++;
    return ERR_OK;
}

static enum err read_manifest(struct lake_scan *scan, const struct iceberg_manifest *manifest,
                              struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_io *io = &scan->table->io;
    const struct iceberg_manifest_want want = {0};
    TRY(io->read_all(io->context, manifest->path, 0, 0, &bytes, info));
    if (buf_failed(&bytes)) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, &scan->table->loaded.metadata, &want,
                              &reader, info));
    for (const struct iceberg_file *file;;) {
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file == NULL) {
            return ERR_OK;
        }
        TRY(add_file(scan, file, info));
    }
}

static enum err list_files(struct lake_scan *scan, struct errinfo *info)
{
    const struct lake_table *table = scan->table;
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    if (table->snapshot != NULL) {
        TRY(iceberg_manifests_load(&table->io, &table->loaded.metadata, table->snapshot,
                                   scan->arena, &manifests, &count, info));
    }
    for (size_t i = 0; i < count; i++) {
        TRY(read_manifest(scan, &manifests[i], info));
    }
    scan->opened = mem_calloc(scan->file_count + 1, sizeof(*scan->opened));
    if (scan->opened == NULL) {
        return errinfo_nomem(info);
    }
    for (; scan->lock_count < scan->file_count; scan->lock_count++) {
        scan->opened[scan->lock_count].location = scan->files[scan->lock_count].path;
        pthread_mutex_init(&scan->opened[scan->lock_count].lock, NULL);
    }
    return ERR_OK;
}

static enum err give_files(void *context, UNUSED const struct engine_predicate *const *all,
                           UNUSED size_t predicate_count, UNUSED bool is_dynamic,
                           const struct engine_scan_file **ret_files, size_t *ret_count,
                           UNUSED struct errinfo *info)
{
    const struct lake_scan *scan = context;
    *ret_files = scan->files;
    *ret_count = scan->file_count;
    return ERR_OK;
}

static enum err open_file(struct lake_scan *scan, struct lake_file *file, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "open", 0);
    struct storage_entry entry;
    struct storage_object *object;
    struct slice path;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(lake_location_check(scan->table->attached, file->location, info));
    TRY(catalog_iceberg_path(file->location, &path, info));
    TRY(storage_stat(scan->table->who, path, arena, &entry, info));
    TRY(storage_open(scan->table->who, &entry, &object, info));
    atomic_fetch_add(&scan->files_opened, 1);
    atomic_store(&file->open, object);
    return ERR_OK;
}

static enum err read_file(void *context, size_t object, uint64_t offset, void *ret_bytes,
                          size_t len, struct errinfo *info)
{
    struct lake_scan *scan = context;
    if (object >= scan->file_count) {
        return errinfo_set(info, ERR_DENIED, NULL, "no grant for this object");
    }
    struct lake_file *file = &scan->opened[object];
    if (atomic_load(&file->open) == NULL) {
        pthread_mutex_lock(&file->lock);
        enum err err = atomic_load(&file->open) == NULL ? open_file(scan, file, info) : ERR_OK;
        pthread_mutex_unlock(&file->lock);
        TRY(err);
    }
    TRY(storage_read(atomic_load(&file->open), offset, ret_bytes, len, info));
    atomic_fetch_add(&scan->bytes_read, len);
    return ERR_OK;
}

/* ---- life ---- */

static enum err fill(struct lake_scan *scan, bool has_hidden, struct errinfo *info)
{
    const struct lake_table *table = scan->table;
    const struct iceberg_type *root = &table->schema->root;
    struct slice mapping =
        iceberg_metadata_property(&table->loaded.metadata, "schema.name-mapping.default");
    scan->spec = (struct engine_scan_spec){.column_count = root->field_count,
                                           .row_count_estimate = -1,
                                           .has_hidden = has_hidden,
                                           .files = give_files,
                                           .read = read_file,
                                           .context = scan};
    TRY(make_columns(root, scan->arena, &scan->spec.columns, info));
    if (mapping.len > 0) {
        struct iceberg_name_mapping names;
        TRY(iceberg_name_mapping_parse(mapping, scan->arena, &names, info));
        TRY(make_names(&names, scan->arena, &scan->spec.names, &scan->spec.name_count, info));
    }
    return list_files(scan, info);
}

enum err lake_scan_open(const struct lake_table *table, bool has_hidden,
                        struct lake_scan **ret_scan, struct errinfo *info)
{
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = mem_calloc(1, sizeof(*scan));
    if (scan == NULL) {
        return errinfo_nomem(info);
    }
    scan->table = table;
    scan->arena = arena_new(NULL, "lake scan", (size_t)1 << 30);
    if (scan->arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(fill(scan, has_hidden, info));
    *ret_scan = TAKE(scan);
    return ERR_OK;
}

void lake_scan_close(struct lake_scan *scan)
{
    if (scan == NULL) {
        return;
    }
    for (size_t i = 0; i < scan->lock_count; i++) {
        storage_close(atomic_load(&scan->opened[i].open));
        pthread_mutex_destroy(&scan->opened[i].lock);
    }
    mem_free(scan->opened);
    arena_free(scan->arena);
    mem_free(scan);
}

const struct engine_scan_spec *lake_scan_spec(const struct lake_scan *scan)
{
    return &scan->spec;
}

struct lake_scan_counts lake_scan_count(const struct lake_scan *scan)
{
    return (struct lake_scan_counts){.files = scan->file_count,
                                     .files_opened = atomic_load(&scan->files_opened),
                                     .bytes_read = atomic_load(&scan->bytes_read)};
}
