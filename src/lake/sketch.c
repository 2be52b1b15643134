/* Values of an Arrow column as Iceberg serializes them: those of a fixed width are the same bytes
 * in both, and so are texts; others go through their text. */
#include "lake/sketch.h"

#include "arrow/value.h"
#include "lake/lake_int.h"

bool lake_sketch_takes(const struct iceberg_type *type)
{
    return type->field_count == 0 && type->id != ICEBERG_UNKNOWN && type->id != ICEBERG_STRUCT &&
           type->id != ICEBERG_FIXED && type->id != ICEBERG_VARIANT &&
           type->id != ICEBERG_GEOMETRY && type->id != ICEBERG_GEOGRAPHY;
}

/* Bytes of each value; 0: not of a fixed width, or of another one than Arrow's. */
static size_t width_of(enum iceberg_type_id type)
{
    switch (type) {
    case ICEBERG_INT:
    case ICEBERG_FLOAT:
    case ICEBERG_DATE:
        return 4;
    case ICEBERG_LONG:
    case ICEBERG_DOUBLE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return 8;
    case ICEBERG_UNKNOWN:
    case ICEBERG_BOOLEAN:
    case ICEBERG_DECIMAL:
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        break;
    }
    return 0;
}

static enum err odd_column(const struct ArrowSchema *schema, struct errinfo *info)
{
    return errinfo_set(info, ERR_INTERNAL, NULL,
                       "a column is of another type (%s) than its table's", schema->format);
}

/* Formats of values of these many bytes. */
static bool has_width(const char *format, size_t width)
{
    static const char *const four[] = {"i", "f", "tdD"};
    static const char *const eight[] = {"l", "g", "ttu"};
    bool is_time =
        width == 8 && (strncmp(format, "tsu:", 4) == 0 || strncmp(format, "tsn:", 4) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(four); i++) {
        if (strcmp(format, width == 4 ? four[i] : eight[i]) == 0) {
            return true;
        }
    }
    return is_time;
}

static enum err add_fixed(size_t width, const struct ArrowSchema *schema,
                          const struct ArrowArray *column, struct iceberg_sketch *sketch,
                          struct errinfo *info)
{
    const char *values = column->buffers[1];
    if (!has_width(schema->format, width)) {
        return odd_column(schema, info);
    }
    for (int64_t row = 0; row < column->length; row++) {
        if (arrow_is_valid(schema, column, row)) {
            size_t at = (size_t)(row + column->offset) * width;
            iceberg_sketch_add(sketch, (struct slice){values + at, width});
        }
    }
    return ERR_OK;
}

/* With 32-bit offsets (engine.h). */
static enum err add_bytes(const struct ArrowSchema *schema, const struct ArrowArray *column,
                          struct iceberg_sketch *sketch, struct errinfo *info)
{
    const int32_t *offsets = column->buffers[1];
    const char *bytes = column->buffers[2];
    if (strcmp(schema->format, "u") != 0 && strcmp(schema->format, "z") != 0) {
        return odd_column(schema, info);
    }
    for (int64_t row = 0; row < column->length; row++) {
        if (arrow_is_valid(schema, column, row)) {
            int64_t at = row + column->offset;
            iceberg_sketch_add(sketch, (struct slice){bytes + offsets[at],
                                                      (size_t)(offsets[at + 1] - offsets[at])});
        }
    }
    return ERR_OK;
}

static enum err add_printed(const struct iceberg_type *type, const struct ArrowSchema *schema,
                            const struct ArrowArray *column, struct arena *scratch,
                            struct iceberg_sketch *sketch, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf bytes CLEANUP(buf_fini) = {0};
    for (int64_t row = 0; row < column->length; row++) {
        struct iceberg_value parsed;
        struct iceberg_value value;
        if (!arrow_is_valid(schema, column, row)) {
            continue;
        }
        buf_reset(&text);
        buf_reset(&bytes);
        arena_reset(scratch);
        TRY(arrow_print(schema, column, row, &text, info));
        if (!lake__value_parse(type, buf_slice(&text), scratch, &parsed) ||
            !iceberg_value_convert(&parsed, type, &value)) {
            return buf_failed(&text) ? errinfo_nomem(info) : odd_column(schema, info);
        }
        iceberg_value_encode(&value, &bytes);
        if (buf_failed(&bytes)) {
            return errinfo_nomem(info);
        }
        iceberg_sketch_add(sketch, buf_slice(&bytes));
    }
    return ERR_OK;
}

enum err lake_sketch_add(const struct iceberg_type *type, const struct ArrowSchema *schema,
                         const struct ArrowArray *column, struct arena *scratch,
                         struct iceberg_sketch *sketch, struct errinfo *info)
{
    size_t width = width_of(type->id);
    if (width > 0) {
        return add_fixed(width, schema, column, sketch, info);
    }
    if (type->id == ICEBERG_STRING || type->id == ICEBERG_BINARY) {
        return add_bytes(schema, column, sketch, info);
    }
    return add_printed(type, schema, column, scratch, sketch, info);
}
