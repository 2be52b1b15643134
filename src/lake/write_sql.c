/* The COPY that writes data files. */
#include "lake/write.h"

#include "lake/lake_int.h"
#include "sql/scan.h"

bool lake_write_keeps(const struct iceberg_field *field)
{
    return field->type.id != ICEBERG_UNKNOWN;
}

void lake_write_default(const struct iceberg_field *field, struct buf *out)
{
    lake__value_print(&field->type, field->write_default, out);
}

bool lake_value_parse(const struct iceberg_type *type, struct slice text, struct arena *arena,
                      struct iceberg_value *ret_value)
{
    struct iceberg_value value;
    return lake__value_parse(type, text, arena, &value) &&
           iceberg_value_convert(&value, type, ret_value) &&
           iceberg_value_copy(ret_value, arena, ret_value);
}

bool lake__write_is_partitioned(const struct lake_write *write)
{
    for (size_t i = 0; i < write->spec->field_count; i++) {
        if (write->spec->fields[i].transform.kind != TRANSFORM_VOID) {
            return true;
        }
    }
    return false;
}

/* ---- what can be written ---- */

static bool is_written(enum iceberg_type_id id)
{
    return id != ICEBERG_FIXED;
}

/* The engine writes a VARIANT that is a column, and a NULL in one as the value null: nothing could
 * be said of a column that has none. */
static enum err check_variant(const struct lake_write *write, const struct iceberg_field *field,
                              bool is_column, struct errinfo *info)
{
    if (field->type.id == ICEBERG_VARIANT && !is_column) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "table \"%.*s\" cannot be written: values of type variant inside of "
                           "another (field \"%.*s\") are not there",
                           SLICE_ARGS(write->name), SLICE_ARGS(field->name));
    }
    if (field->type.id == ICEBERG_VARIANT && field->is_required) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "table \"%.*s\" cannot be written: NOT NULL of a variant (column "
                           "\"%.*s\") is not checked",
                           SLICE_ARGS(write->name), SLICE_ARGS(field->name));
    }
    return ERR_OK;
}

static enum err check_type(const struct lake_write *write, struct slice column,
                           const struct iceberg_type *type, struct errinfo *info)
{
    if (!is_written(type->id)) {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_type_print(type, &text);
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "table \"%.*s\" cannot be written: files with values of type %s "
                           "(column \"%.*s\") are not there",
                           SLICE_ARGS(write->name), buf_cstr(&text), SLICE_ARGS(column));
    }
    for (size_t i = 0; i < type->field_count; i++) {
        if (type->id == ICEBERG_STRUCT && !lake_write_keeps(&type->fields[i])) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "table \"%.*s\" cannot be written: field \"%.*s\" inside of a "
                               "column has no type",
                               SLICE_ARGS(write->name), SLICE_ARGS(type->fields[i].name));
        }
        TRY(check_variant(write, &type->fields[i], false, info));
        TRY(check_type(write, column, &type->fields[i].type, info));
    }
    return ERR_OK;
}

static enum err check_format(const struct lake_write *write, struct errinfo *info)
{
    struct slice format = iceberg_metadata_property(write->metadata, "write.format.default");
    if (format.len > 0 && !slice_equal_fold(format, SLICE("parquet"))) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "table \"%.*s\" wants its files as %.*s, which are not written",
                          SLICE_ARGS(write->name), SLICE_ARGS(format));
        errinfo_hint(info, "Set its property write.format.default to 'parquet'.");
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

static enum err check_field(const struct lake_write *write,
                            const struct iceberg_partition_field *field, struct errinfo *info)
{
    if (field->transform.kind == TRANSFORM_OTHER || field->source_count != 1) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "table \"%.*s\" cannot be written: partition transform \"%.*s\" is not "
                           "known",
                           SLICE_ARGS(write->name), SLICE_ARGS(field->transform.text));
    }
    const struct iceberg_field *source =
        iceberg_schema_find_id(write->schema, field->source_ids[0], NULL);
    if (source == NULL && field->transform.kind != TRANSFORM_VOID) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "partition field \"%.*s\" of table \"%.*s\" is of no column",
                           SLICE_ARGS(field->name), SLICE_ARGS(write->name));
    }
    return ERR_OK;
}

enum err lake_write_check(const struct lake_write *write, struct errinfo *info)
{
    bool has_any = false;
    TRY(check_format(write, info));
    for (size_t i = 0; i < write->schema->root.field_count; i++) {
        const struct iceberg_field *field = &write->schema->root.fields[i];
        has_any = has_any || lake_write_keeps(field);
        TRY(check_variant(write, field, true, info));
        TRY(check_type(write, field->name, &field->type, info));
    }
    for (size_t i = 0; i < write->spec->field_count; i++) {
        TRY(check_field(write, &write->spec->fields[i], info));
    }
    return has_any ? ERR_OK
                   : errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                 "table \"%.*s\" has no columns to write", SLICE_ARGS(write->name));
}

bool lake_write_has_variant(const struct iceberg_schema *schema)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        if (schema->root.fields[i].type.id == ICEBERG_VARIANT) {
            return true;
        }
    }
    return false;
}

static bool has_no_null(const struct iceberg_file *file, int32_t field_id)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (file->metrics[i].field_id == field_id) {
            return file->metrics[i].null_count == 0;
        }
    }
    return false;
}

bool lake_write_is_lossless(const struct iceberg_schema *schema, const struct iceberg_file *file)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        const struct iceberg_field *field = &schema->root.fields[i];
        if (field->type.id == ICEBERG_VARIANT && !has_no_null(file, field->id)) {
            return false;
        }
    }
    return true;
}

/* ---- field ids ---- */

static void print_field_ids(const struct iceberg_type *type, struct buf *out);

void lake__write_field_id(struct slice name, const struct iceberg_field *field, struct buf *out)
{
    sql_quote_string(out, name);
    if (field->type.field_count == 0) {
        buf_printf(out, ": %d", field->id);
        return;
    }
    buf_printf(out, ": {__duckdb_field_id: %d, ", field->id);
    print_field_ids(&field->type, out);
    buf_append_char(out, '}');
}

static void print_field_ids(const struct iceberg_type *type, struct buf *out)
{
    static const char *const map_names[] = {"key", "value"};
    for (size_t i = 0; i < type->field_count; i++) {
        struct slice name = type->id == ICEBERG_LIST  ? SLICE("element")
                            : type->id == ICEBERG_MAP ? slice_of(map_names[i])
                                                      : type->fields[i].name;
        buf_append_str(out, i == 0 ? "" : ", ");
        lake__write_field_id(name, &type->fields[i], out);
    }
}

/* ---- partitions ---- */

/* The column, or the field of a struct, that is partitioned by. */
static bool print_source(const struct iceberg_type *type, int32_t id, const char *base,
                         struct buf *out)
{
    for (size_t i = 0; i < type->field_count && type->id == ICEBERG_STRUCT; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct buf path CLEANUP(buf_fini) = {0};
        buf_append_str(&path, base);
        buf_append_char(&path, '.');
        sql_quote_name(&path, field->name);
        out->failed = out->failed || buf_failed(&path);
        if (field->id == id) {
            buf_append_slice(out, buf_slice(&path));
            return true;
        }
        if (print_source(&field->type, id, buf_cstr(&path), out)) {
            return true;
        }
    }
    return false;
}

/* What is left of a number above a multiple of the width, also for negative ones. */
static void print_rest(const char *number, int64_t width, struct buf *out)
{
    buf_printf(out, "(((%s %% %lld) + %lld) %% %lld)", number, (long long)width, (long long)width,
               (long long)width);
}

static bool is_nanos(enum iceberg_type_id type)
{
    return type == ICEBERG_TIMESTAMP_NS || type == ICEBERG_TIMESTAMPTZ_NS;
}

/* Microseconds since 1970 in UTC. */
static void print_micros(enum iceberg_type_id type, const char *source, struct buf *out)
{
    if (is_nanos(type)) {
        struct buf nanos CLEANUP(buf_fini) = {0};
        buf_printf(&nanos, "epoch_ns(%s)", source);
        buf_printf(out, "((%s - ", buf_cstr(&nanos));
        print_rest(buf_cstr(&nanos), 1000, out);
        buf_append_str(out, ") // 1000)");
        out->failed = out->failed || buf_failed(&nanos);
    } else {
        buf_printf(out, "epoch_us(%s)", source);
    }
}

static void print_unit(enum iceberg_type_id type, const char *source, int64_t micros,
                       struct buf *out)
{
    struct buf number CLEANUP(buf_fini) = {0};
    print_micros(type, source, &number);
    buf_printf(out, "(%s - ", buf_cstr(&number));
    print_rest(buf_cstr(&number), micros, out);
    buf_printf(out, ") // %lld", (long long)micros);
    out->failed = out->failed || buf_failed(&number);
}

/* Years and months are those of the date in UTC. */
static void print_date(enum iceberg_type_id type, const char *source, struct buf *out)
{
    if (type == ICEBERG_DATE) {
        buf_append_str(out, source);
        return;
    }
    buf_append_str(out, "make_timestamp(");
    print_micros(type, source, out);
    buf_append_char(out, ')');
}

/* A number to compute with; of a decimal the unscaled one, its digits without the point. */
static void print_unscaled(const struct iceberg_type *type, const char *source, struct buf *out)
{
    if (type->id == ICEBERG_DECIMAL) {
        buf_printf(out, "CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)", source);
    } else {
        buf_printf(out, "CAST(%s AS HUGEINT)", source);
    }
}

static void print_bucket(const struct iceberg_type *type, const char *source, uint32_t width,
                         struct buf *out)
{
    buf_append_str(out, "CAST((");
    if (type->id == ICEBERG_DATE) {
        buf_printf(out, "__moat_murmur_long(datediff('day', DATE '1970-01-01', %s))", source);
    } else if (type->id == ICEBERG_TIME) {
        buf_printf(out, "__moat_murmur_long(CAST(epoch_us(%s) AS BIGINT))", source);
    } else if (type->id == ICEBERG_TIMESTAMP || type->id == ICEBERG_TIMESTAMPTZ ||
               is_nanos(type->id)) {
        buf_append_str(out, "__moat_murmur_long(");
        print_micros(type->id, source, out);
        buf_append_char(out, ')');
    } else if (type->id == ICEBERG_DECIMAL) {
        buf_append_str(out, "__moat_murmur_decimal(");
        print_unscaled(type, source, out);
        buf_append_char(out, ')');
    } else if (type->id == ICEBERG_STRING) {
        buf_printf(out, "__moat_murmur_text(%s)", source);
    } else if (type->id == ICEBERG_UUID) {
        buf_printf(out, "__moat_murmur_uuid(%s)", source);
    } else if (type->id == ICEBERG_BINARY) {
        buf_printf(out, "__moat_murmur_blob(%s)", source);
    } else {
        buf_printf(out, "__moat_murmur_long(CAST(%s AS BIGINT))", source);
    }
    buf_printf(out, " & 2147483647) %% %u AS INTEGER)", width);
}

static void print_truncate(const struct iceberg_type *type, const char *source, uint32_t width,
                           struct buf *out)
{
    struct buf number CLEANUP(buf_fini) = {0};
    if (type->id == ICEBERG_STRING) {
        buf_printf(out, "left(%s, %u)", source, width);
        return;
    }
    if (type->id == ICEBERG_BINARY) {
        buf_printf(out, "left(hex(%s), %llu)", source, 2ull * width);
        return;
    }
    print_unscaled(type, source, &number);
    buf_printf(out, "%s - ", buf_cstr(&number));
    print_rest(buf_cstr(&number), width, out);
    out->failed = out->failed || buf_failed(&number);
}

/* As numbers and hex digits, which are the same for all years and bytes. */
static void print_identity(enum iceberg_type_id type, const char *source, struct buf *out)
{
    if (type == ICEBERG_DATE) {
        buf_printf(out, "datediff('day', DATE '1970-01-01', %s)", source);
    } else if (is_nanos(type)) {
        buf_printf(out, "epoch_ns(%s)", source);
    } else if (type == ICEBERG_TIMESTAMP || type == ICEBERG_TIMESTAMPTZ) {
        buf_printf(out, "epoch_us(%s)", source);
    } else if (type == ICEBERG_TIME) {
        buf_printf(out, "CAST(epoch_us(%s) AS BIGINT)", source);
    } else if (type == ICEBERG_BINARY) {
        buf_printf(out, "hex(%s)", source);
    } else if (type == ICEBERG_FLOAT || type == ICEBERG_DOUBLE) {
        buf_printf(out, "CAST(%s AS VARCHAR)", source); /* which tells -0.0 from 0.0 */
    } else {
        buf_append_str(out, source);
    }
}

static void print_transform(const struct iceberg_transform *transform,
                            const struct iceberg_type *type, const char *source, struct buf *out)
{
    switch (transform->kind) {
    case TRANSFORM_IDENTITY:
        print_identity(type->id, source, out);
        return;
    case TRANSFORM_BUCKET:
        print_bucket(type, source, transform->width, out);
        return;
    case TRANSFORM_TRUNCATE:
        print_truncate(type, source, transform->width, out);
        return;
    case TRANSFORM_YEAR:
        buf_append_str(out, "year(");
        print_date(type->id, source, out);
        buf_append_str(out, ") - 1970");
        return;
    case TRANSFORM_MONTH:
        buf_append_str(out, "(year(");
        print_date(type->id, source, out);
        buf_append_str(out, ") - 1970) * 12 + month(");
        print_date(type->id, source, out);
        buf_append_str(out, ") - 1");
        return;
    case TRANSFORM_DAY:
        if (type->id == ICEBERG_DATE) {
            buf_printf(out, "datediff('day', DATE '1970-01-01', %s)", source);
        } else {
            print_unit(type->id, source, 86400000000, out);
        }
        return;
    case TRANSFORM_HOUR:
        print_unit(type->id, source, 3600000000, out);
        return;
    case TRANSFORM_VOID:
    case TRANSFORM_OTHER:
        break;
    }
    buf_append_str(out, "NULL");
}

void lake__write_source(const struct lake_write *write, int32_t id, struct buf *out)
{
    (void)print_source(&write->schema->root, id, "r", out);
}

void lake__write_transform(const struct iceberg_transform *transform,
                           const struct iceberg_type *type, const char *source, struct buf *out)
{
    print_transform(transform, type, source, out);
}

static void print_partitions(const struct lake_write *write, struct buf *out)
{
    for (size_t i = 0; i < write->spec->field_count; i++) {
        const struct iceberg_partition_field *field = &write->spec->fields[i];
        struct buf source CLEANUP(buf_fini) = {0};
        if (field->transform.kind == TRANSFORM_VOID) {
            continue;
        }
        const struct iceberg_field *column =
            iceberg_schema_find_id(write->schema, field->source_ids[0], NULL);
        (void)print_source(&write->schema->root, field->source_ids[0], "r", &source);
        buf_append_str(out, ", ");
        print_transform(&field->transform, &column->type, buf_cstr(&source), out);
        buf_printf(out, " AS __moat_p%zu", i);
        out->failed = out->failed || buf_failed(&source);
    }
}

/* ---- the statement ---- */

/* Whether a file has a value otherwise than a row: a VARIANT as Parquet has it
 * (engine/duckdb/variant.cpp), the engine's GEOMETRY of the bytes of a shape, at any depth. */
static bool is_stored_otherwise(const struct iceberg_field *field)
{
    return field->type.id == ICEBERG_VARIANT || lake__write_has_geo(&field->type);
}

static bool has_stored(const struct lake_write *write)
{
    bool has_any = false;
    for (size_t i = 0; i < write->schema->root.field_count; i++) {
        has_any = has_any || is_stored_otherwise(&write->schema->root.fields[i]);
    }
    return has_any;
}

static enum err print_one_stored(const struct iceberg_field *field, struct buf *out,
                                 struct errinfo *info)
{
    if (field->type.id == ICEBERG_VARIANT) {
        buf_append_str(out, "__moat_variant(");
        sql_quote_name(out, field->name);
    } else {
        buf_append_str(out, "CAST(");
        sql_quote_name(out, field->name);
        buf_append_str(out, " AS ");
        TRY(lake__type_print_stored(&field->type, field->name, out, info));
    }
    buf_append_str(out, ") AS ");
    sql_quote_name(out, field->name);
    return ERR_OK;
}

/* After the star. */
static enum err print_stored(const struct lake_write *write, struct buf *out, struct errinfo *info)
{
    const char *before = " REPLACE (";
    for (size_t i = 0; i < write->schema->root.field_count; i++) {
        const struct iceberg_field *field = &write->schema->root.fields[i];
        if (is_stored_otherwise(field)) {
            buf_append_str(out, before);
            TRY(print_one_stored(field, out, info));
            before = ", ";
        }
    }
    buf_append_str(out, has_stored(write) ? ")" : "");
    return ERR_OK;
}

enum err lake_write_sql(const struct lake_write *write, struct slice rows, struct slice folder,
                        struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "COPY (");
    if (lake__write_is_partitioned(write) || lake__write_is_sorted(write)) {
        lake__write_order_before(write, out);
        buf_append_str(out, "SELECT r.*");
        TRY(print_stored(write, out, info));
        print_partitions(write, out);
        lake__write_ranks(write, out);
        buf_append_str(out, " FROM (");
        buf_append_slice(out, rows);
        buf_append_str(out, ") AS r");
        lake__write_order_after(write, out);
    } else if (has_stored(write)) {
        buf_append_str(out, "SELECT *");
        TRY(print_stored(write, out, info));
        buf_append_str(out, " FROM (");
        buf_append_slice(out, rows);
        buf_append_char(out, ')');
    } else {
        buf_append_slice(out, rows);
    }
    buf_append_str(out, ") TO ");
    sql_quote_string(out, folder);
    lake__write_options(write, out);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
