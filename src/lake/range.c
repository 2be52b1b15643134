/* What manifests say of a column's values in all files of a scan (engine/scan.h). */
#include "lake/lake_int.h"

/* The number that stands for the value; false for types that have none, and for decimals that are
 * longer than it. */
static bool number_of(const struct iceberg_value *value, int64_t *ret_number)
{
    switch (value->type) {
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        *ret_number = value->integer;
        return true;
    case ICEBERG_DECIMAL:
        *ret_number = (int64_t)value->decimal;
        return *ret_number == value->decimal;
    case ICEBERG_UNKNOWN:
    case ICEBERG_BOOLEAN:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    return false;
}

static bool bound_of(const struct iceberg_field *field, struct slice bytes, int64_t *ret_number)
{
    struct iceberg_value value;
    return bytes.ptr != NULL && iceberg_value_decode(&field->type, bytes, &value, NULL) == ERR_OK &&
           number_of(&value, ret_number);
}

static const struct iceberg_metrics *metrics_of(const struct iceberg_file *file, int32_t field_id)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (file->metrics[i].field_id == field_id) {
            return &file->metrics[i];
        }
    }
    return NULL;
}

/* One more file; false if its values could be any. */
static bool widen(struct engine_scan_range *range, const struct iceberg_field *field,
                  const struct iceberg_file *file)
{
    const struct iceberg_metrics *metrics = metrics_of(file, field->id);
    int64_t lower;
    int64_t upper;
    if (file->record_count == 0) {
        return true;
    }
    if (metrics == NULL) {
        return false;
    }
    range->has_nulls |= metrics->null_count != 0; /* or unknown */
    if (metrics->null_count == file->record_count) {
        return true;
    }
    if (!bound_of(field, metrics->lower, &lower) || !bound_of(field, metrics->upper, &upper) ||
        lower > upper) {
        return false;
    }
    range->lower = range->has_bounds && range->lower < lower ? range->lower : lower;
    range->upper = range->has_bounds && range->upper > upper ? range->upper : upper;
    range->has_bounds = true;
    return true;
}

enum err lake__ranges(const struct iceberg_scan_options *options,
                      const struct engine_scan_column *columns, size_t column_count,
                      struct arena *arena, const struct engine_scan_range **ret_ranges,
                      struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "ranges", 0);
    struct engine_scan_range *ranges = arena_calloc(arena, column_count + 1, sizeof(*ranges));
    struct iceberg_scan_options with_metrics = *options;
    struct iceberg_scan_plan plan;
    if (scratch == NULL || ranges == NULL) {
        return errinfo_nomem(info);
    }
    with_metrics.want_metrics = true;
    TRY(iceberg_scan_plan(&with_metrics, scratch, &plan, info));
    for (size_t c = 0; c < column_count; c++) {
        const struct iceberg_field *field =
            iceberg_schema_find_id(options->schema, columns[c].field_id, NULL);
        bool is_known = field != NULL;
        for (size_t i = 0; i < plan.file_count && is_known; i++) {
            is_known = widen(&ranges[c], field, &plan.files[i].file);
        }
        ranges[c].has_bounds = ranges[c].has_bounds && is_known;
    }
    *ret_ranges = ranges;
    return ERR_OK;
}
