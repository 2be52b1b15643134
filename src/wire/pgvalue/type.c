/* Which of PostgreSQL's types an engine's type is, and back. */
#include "wire/pgvalue/pgvalue_int.h"

/* First name of `engine`: what a value of the type is cast to. Unsigned ones go to the next wider
 * signed type, so that every value fits. */
static const struct pg_type_row rows[] = {
    {PG_BOOL, 1000, 1, "BOOLEAN"},
    {PG_BYTEA, 1001, -1, "BLOB"},
    {PG_CHAR, 1002, 1, ""},
    {PG_NAME, 1003, 64, ""},
    {PG_INT2, 1005, 2, "SMALLINT|TINYINT|UTINYINT"},
    {PG_INT4, 1007, 4, "INTEGER|USMALLINT"},
    {PG_INT8, 1016, 8, "BIGINT|UINTEGER"},
    {PG_OID, 1028, 4, ""},
    {PG_TEXT, 1009, -1, "VARCHAR"},
    {PG_JSON, 199, -1, "JSON"},
    {PG_FLOAT4, 1021, 4, "FLOAT"},
    {PG_FLOAT8, 1022, 8, "DOUBLE"},
    {PG_BPCHAR, 1014, -1, ""},
    {PG_VARCHAR, 1015, -1, ""},
    {PG_DATE, 1182, 4, "DATE"},
    {PG_TIME, 1183, 8, "TIME"},
    {PG_TIMESTAMP, 1115, 8, "TIMESTAMP|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS"},
    {PG_TIMESTAMPTZ, 1185, 8, "TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS"},
    {PG_INTERVAL, 1187, 16, "INTERVAL"},
    {PG_TIMETZ, 1270, 12, ""},
    {PG_NUMERIC, 1231, -1, "HUGEINT|UBIGINT|UHUGEINT"},
    {PG_UUID, 2951, 16, "UUID"},
    {PG_BIT, 1561, -1, ""},
    {PG_VARBIT, 1563, -1, "BIT"},
    {PG_JSONB, 3807, -1, ""},
};

const struct pg_type_row *pg__type_row(uint32_t oid)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].oid == oid) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct pg_type_row *pg__element_row(uint32_t array_oid)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].array_oid == array_oid) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool names(const char *list, struct slice name)
{
    struct slice rest = slice_of(list);
    while (rest.len > 0) {
        const char *bar = memchr(rest.ptr, '|', rest.len);
        size_t len = bar == NULL ? rest.len : (size_t)(bar - rest.ptr);
        if (slice_equal((struct slice){rest.ptr, len}, name)) {
            return true;
        }
        size_t skip = bar == NULL ? len : len + 1;
        rest = (struct slice){rest.ptr + skip, rest.len - skip};
    }
    return false;
}

/* "DECIMAL(9,2)" as a modifier. */
static bool parse_decimal(struct slice type, int32_t *ret_typmod)
{
    const struct slice prefix = SLICE("DECIMAL(");
    size_t start = prefix.len;
    const char *comma = type.len == 0 ? NULL : memchr(type.ptr, ',', type.len);
    uint64_t precision, scale;
    if (!slice_starts_with(type, prefix) || comma == NULL || type.ptr[type.len - 1] != ')') {
        return false;
    }
    size_t at = (size_t)(comma - type.ptr);
    if (!slice_to_u64((struct slice){type.ptr + start, at - start}, &precision) ||
        !slice_to_u64((struct slice){comma + 1, type.len - at - 2}, &scale) || precision > 38 ||
        scale > 38) {
        return false;
    }
    *ret_typmod = (int32_t)(precision << 16 | scale) + 4;
    return true;
}

/* The part before a last "[]" or "[3]". */
static bool element_of(struct slice type, struct slice *ret_element)
{
    if (type.len < 3 || type.ptr[type.len - 1] != ']') {
        return false;
    }
    size_t open = type.len - 2;
    while (open > 0 && type.ptr[open] != '[') {
        if (type.ptr[open] < '0' || type.ptr[open] > '9') {
            return false;
        }
        open--;
    }
    *ret_element = (struct slice){type.ptr, open};
    return open > 0;
}

struct pg_type pg_type_of(struct slice engine_type)
{
    struct pg_type type = {.oid = PG_TEXT, .typmod = -1, .size = -1};
    struct slice element;
    if (element_of(engine_type, &element)) {
        struct pg_type inner = pg_type_of(element);
        if (slice_equal(element, SLICE("UINTEGER"))) {
            inner.oid =
                PG_OID; /* of four bytes without a sign; drivers know no other way to an oid[] */
        }
        bool is_text = inner.oid == PG_TEXT && !slice_equal(element, SLICE("VARCHAR"));
        if (inner.element_oid == 0 && !is_text) {
            type.oid = pg__type_row(inner.oid)->array_oid;
            type.element_oid = inner.oid;
            type.typmod = inner.typmod;
        }
        return type;
    }
    if (parse_decimal(engine_type, &type.typmod)) {
        type.oid = PG_NUMERIC;
        return type;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (names(rows[i].engine, engine_type)) {
            type.oid = rows[i].oid;
            type.size = rows[i].size;
            break;
        }
    }
    return type;
}

const char *pg_engine_type(uint32_t oid)
{
    switch (oid) {
    case PG_BOOL:
        return "BOOLEAN";
    case PG_BYTEA:
        return "BLOB";
    case PG_INT2:
        return "SMALLINT";
    case PG_INT4:
        return "INTEGER";
    case PG_INT8:
    case PG_OID:
        return "BIGINT";
    case PG_FLOAT4:
        return "FLOAT";
    case PG_FLOAT8:
        return "DOUBLE";
    case PG_TEXT:
    case PG_VARCHAR:
    case PG_BPCHAR:
    case PG_NAME:
    case PG_CHAR:
        return "VARCHAR";
    case PG_JSON:
    case PG_JSONB:
        return "JSON";
    case PG_DATE:
        return "DATE";
    case PG_TIME:
    case PG_TIMETZ:
        return "TIME";
    case PG_TIMESTAMP:
        return "TIMESTAMP";
    case PG_TIMESTAMPTZ:
        return "TIMESTAMP WITH TIME ZONE";
    case PG_INTERVAL:
        return "INTERVAL";
    case PG_UUID:
        return "UUID";
    case PG_BIT:
    case PG_VARBIT:
        return "BIT";
    case 1000:
        return "BOOLEAN[]";
    case 1005:
        return "SMALLINT[]";
    case 1007:
        return "INTEGER[]";
    case 1016:
        return "BIGINT[]";
    case 1009:
    case 1015:
        return "VARCHAR[]";
    case 1021:
        return "FLOAT[]";
    case 1022:
        return "DOUBLE[]";
    case 1115:
        return "TIMESTAMP[]";
    case 1182:
        return "DATE[]";
    case 1185:
        return "TIMESTAMP WITH TIME ZONE[]";
    case 2951:
        return "UUID[]";
    default: /* numeric without a scale has no one type of the engine */
        return NULL;
    }
}
