/* Iceberg types as the engine writes them. */
#include "lake/lake_int.h"
#include "sql/scan.h"

/* Types with a name of their own; the others are built below. */
static const char *const plain_types[] = {
    [ICEBERG_UNKNOWN] = "INTEGER", /* always NULL */
    [ICEBERG_BOOLEAN] = "BOOLEAN",
    [ICEBERG_INT] = "INTEGER",
    [ICEBERG_LONG] = "BIGINT",
    [ICEBERG_FLOAT] = "FLOAT",
    [ICEBERG_DOUBLE] = "DOUBLE",
    [ICEBERG_DATE] = "DATE",
    [ICEBERG_TIME] = "TIME",
    [ICEBERG_TIMESTAMP] = "TIMESTAMP",
    [ICEBERG_TIMESTAMPTZ] = "TIMESTAMP WITH TIME ZONE",
    [ICEBERG_TIMESTAMP_NS] = "TIMESTAMP_NS",
    [ICEBERG_TIMESTAMPTZ_NS] = "TIMESTAMPTZ_NS", /* Moat's own (engine/duckdb/instants.hpp) */
    [ICEBERG_STRING] = "VARCHAR",
    [ICEBERG_UUID] = "UUID",
    [ICEBERG_FIXED] = "BLOB",
    [ICEBERG_BINARY] = "BLOB",
    [ICEBERG_VARIANT] = "VARIANT",
    /* As the specification has them in memory: well-known binary. The engine's GEOMETRY knows no
     * edges, and of reference systems only those it has a definition of; bytes lose neither. */
    [ICEBERG_GEOMETRY] = "BLOB",
    [ICEBERG_GEOGRAPHY] = "BLOB",
};

/* `is_stored`: as files have it, where shapes are the engine's GEOMETRY. */
static enum err print_type(const struct iceberg_type *type, bool is_stored, struct slice column,
                           struct buf *out, struct errinfo *info);

static enum err print_struct(const struct iceberg_type *type, bool is_stored, struct slice column,
                             struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "STRUCT(");
    for (size_t i = 0; i < type->field_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, type->fields[i].name);
        buf_append_char(out, ' ');
        TRY(print_type(&type->fields[i].type, is_stored, column, out, info));
    }
    buf_append_char(out, ')');
    return ERR_OK;
}

static enum err no_type(const struct iceberg_type *type, struct slice column, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    iceberg_type_print(type, &text);
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "column \"%.*s\" has the Iceberg type %s, which cannot be read",
                      SLICE_ARGS(column), buf_cstr(&text));
    errinfo_hint(info, "A struct without fields has no counterpart here.");
    return ERR_UNSUPPORTED;
}

bool lake_type_is_readable(const struct iceberg_type *type)
{
    switch (type->id) {
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
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
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        return true;
    }
    for (size_t i = 0; i < type->field_count; i++) {
        if (!lake_type_is_readable(&type->fields[i].type)) {
            return false;
        }
    }
    return type->field_count > 0;
}

static enum err print_type(const struct iceberg_type *type, bool is_stored, struct slice column,
                           struct buf *out, struct errinfo *info)
{
    switch (type->id) {
    case ICEBERG_DECIMAL:
        buf_printf(out, "DECIMAL(%u,%u)", type->precision, type->scale);
        return ERR_OK;
    case ICEBERG_STRUCT:
        return type->field_count == 0 ? no_type(type, column, info)
                                      : print_struct(type, is_stored, column, out, info);
    case ICEBERG_LIST:
        TRY(print_type(&type->fields[0].type, is_stored, column, out, info));
        buf_append_str(out, "[]");
        return ERR_OK;
    case ICEBERG_MAP:
        buf_append_str(out, "MAP(");
        TRY(print_type(&type->fields[0].type, is_stored, column, out, info));
        buf_append_str(out, ", ");
        TRY(print_type(&type->fields[1].type, is_stored, column, out, info));
        buf_append_char(out, ')');
        return ERR_OK;
    case ICEBERG_UNKNOWN:
    case ICEBERG_BOOLEAN:
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
        buf_append_str(out, plain_types[type->id]);
        return ERR_OK;
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        buf_append_str(out, is_stored ? "GEOMETRY" : plain_types[type->id]);
        return ERR_OK;
    }
    return no_type(type, column, info);
}

enum err lake_type_print(const struct iceberg_type *type, struct slice column, struct buf *out,
                         struct errinfo *info)
{
    return print_type(type, false, column, out, info);
}

enum err lake__type_print_stored(const struct iceberg_type *type, struct slice column,
                                 struct buf *out, struct errinfo *info)
{
    return print_type(type, true, column, out, info);
}
