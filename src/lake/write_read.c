/* What the engine says of the files that it wrote, one row a file: name, count, bytes, footer,
 * statistics (a map of columns to maps of texts), partition keys. */
#include "lake/write.h"

#include <math.h>
#include <stdlib.h>

#include "arrow/value.h"
#include "base/digits.h"
#include "lake/lake_int.h"

enum result_column {
    RESULT_NAME,
    RESULT_COUNT,
    RESULT_BYTES,
    RESULT_FOOTER,
    RESULT_STATISTICS,
    RESULT_KEYS,
    RESULT_COLUMNS
};

/* One map cell of Arrow: its entries. */
struct map_cell {
    const struct ArrowSchema *schema; /* of the entries */
    const struct ArrowArray *entries;
    int64_t first, end;
};

struct reader {
    const struct lake_write *write;
    struct arena *arena;
    struct errinfo *info;
};

static enum err odd_result(struct errinfo *info)
{
    return errinfo_set(info, ERR_INTERNAL, NULL,
                       "the engine does not say what it has written as it was expected to");
}

static enum err read_text(struct reader *r, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, struct slice *ret_text)
{
    struct buf text CLEANUP(buf_fini) = {0};
    *ret_text = (struct slice){NULL, 0};
    if (!arrow_is_valid(schema, array, row)) {
        return ERR_OK;
    }
    TRY(arrow_print(schema, array, row, &text, r->info));
    return !buf_failed(&text) && arena_slice(r->arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(r->info);
}

static enum err read_number(struct reader *r, const struct ArrowSchema *schema,
                            const struct ArrowArray *array, int64_t row, int64_t *ret_number)
{
    struct slice text;
    TRY(read_text(r, schema, array, row, &text));
    return slice_to_i64(text, ret_number) ? ERR_OK : odd_result(r->info);
}

static enum err open_map(struct reader *r, const struct ArrowSchema *schema,
                         const struct ArrowArray *array, int64_t row, struct map_cell *ret_map)
{
    *ret_map = (struct map_cell){0};
    if (strcmp(schema->format, "+m") != 0 || schema->n_children != 1 ||
        schema->children[0]->n_children != 2) {
        return odd_result(r->info);
    }
    if (!arrow_is_valid(schema, array, row)) {
        return ERR_OK;
    }
    const int32_t *offsets = array->buffers[1];
    int64_t at = row + array->offset;
    *ret_map =
        (struct map_cell){schema->children[0], array->children[0], offsets[at], offsets[at + 1]};
    return ERR_OK;
}

static enum err map_key(struct reader *r, const struct map_cell *map, int64_t at,
                        struct slice *ret_key)
{
    return read_text(r, map->schema->children[0], map->entries->children[0],
                     at + map->entries->offset, ret_key);
}

static enum err map_text(struct reader *r, const struct map_cell *map, int64_t at,
                         struct slice *ret_value)
{
    return read_text(r, map->schema->children[1], map->entries->children[1],
                     at + map->entries->offset, ret_value);
}

/* ---- columns ---- */

/* "a"."b": the next name, without its quotes; false at the end. */
static bool next_name(struct slice *path, struct buf *name)
{
    buf_reset(name);
    if (path->len > 0 && path->ptr[0] == '.') {
        path->ptr++;
        path->len--;
    }
    if (path->len < 2 || path->ptr[0] != '"') {
        return false;
    }
    for (size_t i = 1; i < path->len; i++) {
        bool is_quote = path->ptr[i] == '"';
        if (is_quote && (i + 1 == path->len || path->ptr[i + 1] != '"')) {
            path->ptr += i + 1;
            path->len -= i + 1;
            return !buf_failed(name);
        }
        buf_append_char(name, path->ptr[i]);
        i += is_quote ? 1 : 0;
    }
    return false;
}

static const struct iceberg_field *child_of(const struct iceberg_type *type, struct slice name)
{
    static const char *const map_names[] = {"key", "value"};
    for (size_t i = 0; i < type->field_count; i++) {
        struct slice own = type->id == ICEBERG_LIST  ? SLICE("element")
                           : type->id == ICEBERG_MAP ? slice_of(map_names[i])
                                                     : type->fields[i].name;
        if (slice_equal(own, name)) {
            return &type->fields[i];
        }
    }
    return NULL;
}

/* The field that a path names; `ret_is_repeated`: it is inside of a list or map, where a row has
 * any number of values; `dotted` is its name in table properties. Of the parts of a variant its
 * metadata stands for it: every value has them. */
static const struct iceberg_field *find_field(const struct lake_write *write, struct slice path,
                                              bool *ret_is_repeated, struct buf *dotted)
{
    struct buf name CLEANUP(buf_fini) = {0};
    const struct iceberg_type *type = &write->schema->root;
    const struct iceberg_field *field = NULL;
    *ret_is_repeated = false;
    while (next_name(&path, &name)) {
        if (type->id == ICEBERG_VARIANT) {
            return path.len == 0 && slice_equal(buf_slice(&name), SLICE("metadata")) ? field : NULL;
        }
        field = child_of(type, buf_slice(&name));
        if (field == NULL) {
            return NULL;
        }
        *ret_is_repeated = *ret_is_repeated || type->id != ICEBERG_STRUCT;
        type = &field->type;
        buf_append_str(dotted, dotted->len == 0 ? "" : ".");
        buf_append_slice(dotted, buf_slice(&name));
    }
    return path.len == 0 ? field : NULL;
}

static bool parse_hex(struct slice text, struct arena *arena, struct slice *ret_bytes)
{
    char *bytes = arena_alloc(arena, text.len / 2 + 1);
    if (bytes == NULL || text.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digits_hex(text.ptr[i]);
        int low = digits_hex(text.ptr[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i / 2] = (char)(high << 4 | low);
    }
    *ret_bytes = (struct slice){bytes, text.len / 2};
    return true;
}

/* A value as the engine prints it, of exactly the column's type; false when it is none that could
 * be told: then there is no bound. */
static bool parse_value(const struct iceberg_type *type, struct slice text, struct arena *arena,
                        struct iceberg_value *ret_value)
{
    struct iceberg_value value;
    if (type->id == ICEBERG_BINARY) {
        *ret_value = (struct iceberg_value){.type = type->id};
        return parse_hex(text, arena, &ret_value->bytes);
    }
    if (type->id == ICEBERG_BOOLEAN) { /* statistics have numbers */
        text = slice_equal(text, SLICE("1"))   ? SLICE("true")
               : slice_equal(text, SLICE("0")) ? SLICE("false")
                                               : text;
    }
    return lake__value_parse(type, text, arena, &value) &&
           iceberg_value_convert(&value, type, ret_value);
}

/* Bounds of -0.0 and 0.0 tell of both. */
static void widen_zero(struct iceberg_value *value, bool is_upper)
{
    bool is_real = value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE;
    if (is_real && value->real == 0) {
        value->real = is_upper ? 0.0 : -0.0;
    }
}

enum box_axis {
    BOX_X,
    BOX_Y,
    BOX_Z,
    BOX_M,
    BOX_AXES
};

struct column_statistics {
    struct slice lower, upper;
    bool is_nan_known, has_nan;
    double box[2][BOX_AXES]; /* of geometries: the least, and the greatest */
    bool has_box[2][BOX_AXES];
};

/* "bbox_xmin" */
static void read_box(struct slice key, struct slice value, struct column_statistics *out)
{
    static const char *const names[2][BOX_AXES] = {
        {"bbox_xmin", "bbox_ymin", "bbox_zmin", "bbox_mmin"},
        {"bbox_xmax", "bbox_ymax", "bbox_zmax", "bbox_mmax"}};
    for (size_t i = 0; i < 2 * (size_t)BOX_AXES; i++) {
        size_t side = i / BOX_AXES;
        size_t axis = i % BOX_AXES;
        char *end = NULL;
        if (slice_equal(key, slice_of(names[side][axis])) && value.len > 0) {
            out->box[side][axis] = strtod(value.ptr, &end); /* an arena's texts end with a NUL */
            out->has_box[side][axis] = end == value.ptr + value.len;
        }
    }
}

/* x:y, x:y:z, x:y:NaN:m or x:y:z:m of doubles, least significant byte first (specification,
 * appendix D); none without X and Y. */
static enum err geo_bound(const struct column_statistics *found, size_t side, struct arena *arena,
                          struct slice *ret_bound, struct errinfo *info)
{
    const bool *has = found->has_box[side];
    size_t count = has[BOX_M] ? 4 : has[BOX_Z] ? 3 : 2;
    if (!has[BOX_X] || !has[BOX_Y]) {
        return ERR_OK;
    }
    uint8_t *bytes = arena_alloc(arena, count * sizeof(double));
    if (bytes == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        double value = has[i] ? found->box[side][i] : (double)NAN;
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        for (size_t k = 0; k < sizeof(bits); k++) {
            bytes[i * sizeof(bits) + k] = (uint8_t)(bits >> (8 * k));
        }
    }
    *ret_bound = (struct slice){(const char *)bytes, count * sizeof(double)};
    return ERR_OK;
}

static enum err read_geo_bounds(struct reader *r, struct iceberg_metrics_want want,
                                const struct column_statistics *found,
                                struct iceberg_metrics *metrics)
{
    if (want.mode == ICEBERG_METRICS_COUNTS) {
        return ERR_OK;
    }
    TRY(geo_bound(found, 0, r->arena, &metrics->lower, r->info));
    return geo_bound(found, 1, r->arena, &metrics->upper, r->info);
}

static enum err read_statistics(struct reader *r, const struct map_cell *texts,
                                struct iceberg_metrics *metrics, struct column_statistics *ret)
{
    *ret = (struct column_statistics){0};
    for (int64_t i = texts->first; i < texts->end; i++) {
        struct slice key;
        struct slice value;
        TRY(map_key(r, texts, i, &key));
        TRY(map_text(r, texts, i, &value));
        if (slice_equal(key, SLICE("column_size_bytes"))) {
            (void)slice_to_i64(value, &metrics->size_bytes);
        } else if (slice_equal(key, SLICE("num_values"))) {
            (void)slice_to_i64(value, &metrics->value_count);
        } else if (slice_equal(key, SLICE("null_count"))) {
            (void)slice_to_i64(value, &metrics->null_count);
        } else if (slice_equal(key, SLICE("min"))) {
            ret->lower = value;
        } else if (slice_equal(key, SLICE("max"))) {
            ret->upper = value;
        } else if (slice_equal(key, SLICE("has_nan"))) {
            ret->is_nan_known = true;
            ret->has_nan = slice_equal_fold(value, SLICE("true"));
        } else {
            read_box(key, value, ret);
        }
    }
    return ERR_OK;
}

enum err lake__write_bound(const struct iceberg_field *field, struct iceberg_metrics_want want,
                           struct slice text, bool is_upper, struct arena *arena,
                           struct slice *ret_bound, struct errinfo *info)
{
    struct iceberg_value value;
    if (text.ptr == NULL || !parse_value(&field->type, text, arena, &value)) {
        return ERR_OK;
    }
    if (value.real != value.real) { /* NaN is no bound */
        return ERR_OK;
    }
    widen_zero(&value, is_upper);
    return iceberg_metrics_bound(&value, want, is_upper, arena, ret_bound, info);
}

static enum err read_column(struct reader *r, const struct map_cell *columns, int64_t at,
                            struct iceberg_metrics *metrics, bool *ret_is_kept)
{
    struct slice path;
    struct map_cell texts;
    struct column_statistics found;
    struct buf dotted CLEANUP(buf_fini) = {0};
    bool is_repeated;
    *ret_is_kept = false;
    TRY(map_key(r, columns, at, &path));
    TRY(open_map(r, columns->schema->children[1], columns->entries->children[1],
                 at + columns->entries->offset, &texts));
    const struct iceberg_field *field = find_field(r->write, path, &is_repeated, &dotted);
    if (field == NULL || field->type.field_count > 0) {
        return buf_failed(&dotted) ? errinfo_nomem(r->info) : ERR_OK;
    }
    *metrics = (struct iceberg_metrics){.field_id = field->id,
                                        .size_bytes = ICEBERG_NO_ID,
                                        .value_count = ICEBERG_NO_ID,
                                        .null_count = ICEBERG_NO_ID,
                                        .nan_count = ICEBERG_NO_ID};
    TRY(read_statistics(r, &texts, metrics, &found));
    if (field->is_required && metrics->null_count > 0 &&
        iceberg_schema_find_id(r->write->schema, field->id, NULL) != NULL && dotted.len > 0 &&
        child_of(&r->write->schema->root, field->name) == field) {
        return errinfo_set(r->info, ERR_INVALID, "23502",
                           "null value in column \"%.*s\" of table \"%.*s\" violates its not-null "
                           "constraint",
                           SLICE_ARGS(field->name), SLICE_ARGS(r->write->name));
    }
    struct iceberg_metrics_want want =
        iceberg_metrics_wanted(r->write->metadata, buf_slice(&dotted));
    *ret_is_kept = want.mode != ICEBERG_METRICS_NONE;
    if (field->type.id == ICEBERG_VARIANT) { /* what is known of a part */
        metrics->size_bytes = ICEBERG_NO_ID;
        return ERR_OK;
    }
    if (is_repeated) { /* as other writers: counts and bounds are of rows */
        metrics->value_count = metrics->null_count = ICEBERG_NO_ID;
        return ERR_OK;
    }
    if (field->type.id == ICEBERG_GEOMETRY) {
        return read_geo_bounds(r, want, &found, metrics);
    }
    if (found.is_nan_known && !found.has_nan) {
        metrics->nan_count = 0;
    }
    if (found.has_nan) { /* the engine's order puts NaN above all */
        return ERR_OK;
    }
    TRY(lake__write_bound(field, want, found.lower, false, r->arena, &metrics->lower, r->info));
    return lake__write_bound(field, want, found.upper, true, r->arena, &metrics->upper, r->info);
}

static int compare_metrics(const void *a, const void *b)
{
    const struct iceberg_metrics *left = a;
    const struct iceberg_metrics *right = b;
    return (left->field_id > right->field_id) - (left->field_id < right->field_id);
}

static enum err read_columns(struct reader *r, const struct ArrowSchema *schema,
                             const struct ArrowArray *array, int64_t row, struct lake_written *out)
{
    struct iceberg_file *file = &out->file;
    struct map_cell columns;
    size_t count = 0;
    TRY(open_map(r, schema, array, row, &columns));
    struct iceberg_metrics *metrics =
        arena_calloc(r->arena, (size_t)(columns.end - columns.first) + 1, sizeof(*metrics));
    if (metrics == NULL) {
        return errinfo_nomem(r->info);
    }
    for (int64_t i = columns.first; i < columns.end; i++) {
        bool is_kept;
        TRY(read_column(r, &columns, i, &metrics[count], &is_kept));
        count += is_kept ? 1 : 0;
    }
    qsort(metrics, count, sizeof(*metrics), compare_metrics);
    file->metrics = out->metrics = metrics;
    file->metrics_count = count;
    return ERR_OK;
}

/* ---- partitions ---- */

static enum err parse_partition(struct reader *r, size_t index, struct slice text,
                                struct iceberg_value *ret_value)
{
    const struct iceberg_partition_field *field = &r->write->spec->fields[index];
    const struct iceberg_field *source =
        iceberg_schema_find_id(r->write->schema, field->source_ids[0], NULL);
    struct iceberg_type type;
    int64_t number;
    TRY(iceberg_transform_result(&field->transform, &source->type, &type, r->info));
    *ret_value = (struct iceberg_value){.type = type.id, .is_null = text.ptr == NULL};
    if (text.ptr == NULL) {
        return ERR_OK;
    }
    bool is_time = type.id >= ICEBERG_DATE && type.id <= ICEBERG_TIMESTAMPTZ_NS;
    if (is_time && slice_to_i64(text, &number)) { /* asked for as a number */
        ret_value->integer = number;
        return ERR_OK;
    }
    if (type.id == ICEBERG_BINARY) {
        return parse_hex(text, r->arena, &ret_value->bytes) ? ERR_OK : odd_result(r->info);
    }
    if (field->transform.kind == TRANSFORM_TRUNCATE && type.id == ICEBERG_DECIMAL) {
        struct iceberg_type whole = {.id = ICEBERG_DECIMAL, .precision = 38};
        struct iceberg_value unscaled;
        if (!lake__value_parse(&whole, text, r->arena, &unscaled)) {
            return odd_result(r->info);
        }
        ret_value->decimal = unscaled.decimal;
        ret_value->precision = type.precision;
        ret_value->scale = type.scale;
        return ERR_OK;
    }
    return parse_value(&type, text, r->arena, ret_value) ? ERR_OK : odd_result(r->info);
}

/* "__moat_p3": 3. */
static bool key_number(struct slice key, size_t limit, size_t *ret_index)
{
    struct slice prefix = SLICE("__moat_p");
    uint64_t number;
    if (!slice_starts_with(key, prefix) ||
        !slice_to_u64((struct slice){key.ptr + prefix.len, key.len - prefix.len}, &number) ||
        number >= limit) {
        return false;
    }
    *ret_index = (size_t)number;
    return true;
}

static enum err read_partition(struct reader *r, const struct ArrowSchema *schema,
                               const struct ArrowArray *array, int64_t row,
                               struct iceberg_file *file)
{
    const struct iceberg_spec *spec = r->write->spec;
    struct map_cell keys;
    struct iceberg_value *values = arena_calloc(r->arena, spec->field_count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(r->info);
    }
    for (size_t i = 0; i < spec->field_count; i++) {
        values[i].is_null = true; /* void, unless a key says otherwise */
    }
    TRY(open_map(r, schema, array, row, &keys));
    for (int64_t i = keys.first; i < keys.end; i++) {
        struct slice key;
        struct slice text;
        size_t index;
        TRY(map_key(r, &keys, i, &key));
        TRY(map_text(r, &keys, i, &text));
        if (!key_number(key, spec->field_count, &index)) {
            return odd_result(r->info);
        }
        TRY(parse_partition(r, index, text, &values[index]));
    }
    file->partition = values;
    file->partition_count = spec->field_count;
    return ERR_OK;
}

/* ---- files ---- */

/* "moat://<grant>/out/f12.parquet": 12. */
static bool sink_of(struct slice name, size_t *ret_sink)
{
    size_t start = name.len;
    while (start > 0 && name.ptr[start - 1] != '/') {
        start--;
    }
    size_t end = start + 1;
    while (end < name.len && name.ptr[end] >= '0' && name.ptr[end] <= '9') {
        end++;
    }
    uint64_t number;
    if (start >= name.len || name.ptr[start] != 'f' ||
        !slice_to_u64((struct slice){name.ptr + start + 1, end - start - 1}, &number)) {
        return false;
    }
    *ret_sink = (size_t)number;
    return true;
}

static enum err read_file(struct reader *r, const struct ArrowSchema *schema,
                          const struct ArrowArray *batch, int64_t row, struct lake_written *out)
{
    struct slice name;
    struct iceberg_file *file = &out->file;
    int64_t at = row + batch->offset;
    *out = (struct lake_written){.file = {.content = ICEBERG_DATA,
                                          .format = ICEBERG_PARQUET,
                                          .spec_id = r->write->spec->id,
                                          .sequence_number = ICEBERG_NO_ID,
                                          .file_sequence_number = ICEBERG_NO_ID,
                                          .sort_order_id = 0,
                                          .first_row_id = ICEBERG_NO_ID,
                                          .content_offset = ICEBERG_NO_ID,
                                          .content_size_bytes = ICEBERG_NO_ID}};
    TRY(read_text(r, schema->children[RESULT_NAME], batch->children[RESULT_NAME], at, &name));
    if (!sink_of(name, &out->sink)) {
        return odd_result(r->info);
    }
    TRY(read_number(r, schema->children[RESULT_COUNT], batch->children[RESULT_COUNT], at,
                    &file->record_count));
    TRY(read_number(r, schema->children[RESULT_BYTES], batch->children[RESULT_BYTES], at,
                    &file->size_bytes));
    TRY(read_columns(r, schema->children[RESULT_STATISTICS], batch->children[RESULT_STATISTICS], at,
                     out));
    return read_partition(r, schema->children[RESULT_KEYS], batch->children[RESULT_KEYS], at, file);
}

static enum err add_file(struct reader *r, struct lake_written_list *list,
                         const struct lake_written *file)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct lake_written *grown = arena_calloc(r->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(r->info);
        }
        if (list->count > 0) {
            memcpy(grown, list->files, list->count * sizeof(*grown));
        }
        list->files = grown;
        list->capacity = capacity;
    }
    list->files[list->count++] = *file;
    return ERR_OK;
}

enum err lake_write_read(const struct lake_write *write, const struct ArrowSchema *schema,
                         const struct ArrowArray *batch, struct arena *arena,
                         struct lake_written_list *list, struct errinfo *info)
{
    struct reader r = {write, arena, info};
    if (schema->n_children != RESULT_COLUMNS || batch->n_children != RESULT_COLUMNS) {
        return odd_result(info);
    }
    for (int64_t row = 0; row < batch->length; row++) {
        struct lake_written file;
        TRY(read_file(&r, schema, batch, row, &file));
        if (file.file.record_count > 0) {
            TRY(add_file(&r, list, &file));
        }
    }
    return ERR_OK;
}
