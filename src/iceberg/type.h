/* Iceberg types, fields, schemas and single values (spec "Schemas and Data Types", Appendix C, D).
 *
 * All structs are data in the arena of whoever made them (usually a metadata document), never
 * changed afterwards, so any thread may read them. Nothing here knows SQL or an engine. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct json;

enum iceberg_type_id {
    ICEBERG_UNKNOWN, /* v3: always null */
    ICEBERG_BOOLEAN,
    ICEBERG_INT,
    ICEBERG_LONG,
    ICEBERG_FLOAT,
    ICEBERG_DOUBLE,
    ICEBERG_DECIMAL,
    ICEBERG_DATE,
    ICEBERG_TIME,           /* microseconds of the day */
    ICEBERG_TIMESTAMP,      /* microseconds, no zone */
    ICEBERG_TIMESTAMPTZ,    /* microseconds, UTC */
    ICEBERG_TIMESTAMP_NS,   /* v3 */
    ICEBERG_TIMESTAMPTZ_NS, /* v3 */
    ICEBERG_STRING,
    ICEBERG_UUID,
    ICEBERG_FIXED,
    ICEBERG_BINARY,
    ICEBERG_VARIANT,   /* v3 */
    ICEBERG_GEOMETRY,  /* v3 */
    ICEBERG_GEOGRAPHY, /* v3 */
    ICEBERG_STRUCT,
    ICEBERG_LIST,
    ICEBERG_MAP,
};

__extension__ typedef __int128 iceberg_int128;

struct iceberg_field;

struct iceberg_type {
    enum iceberg_type_id id;
    uint32_t precision;                 /* decimal: 1..38 */
    uint32_t scale;                     /* decimal: 0..precision */
    uint32_t length;                    /* fixed */
    struct slice crs;                   /* geometry, geography; empty = the default */
    struct slice algorithm;             /* geography; empty = spherical */
    const struct iceberg_field *fields; /* struct: fields; list: element; map: key, value */
    size_t field_count;
};

/* One primitive value. `type` says which member holds it; a null has is_null and the type. */
struct iceberg_value {
    enum iceberg_type_id type;
    bool is_null;
    bool boolean;
    uint32_t precision; /* decimal */
    uint32_t scale;     /* decimal */
    int64_t integer;    /* int, long, date (days), time, timestamps (their unit) */
    double real;        /* float, double */
    iceberg_int128 decimal;
    struct slice bytes; /* string, uuid (16), fixed, binary */
};

struct iceberg_field {
    int32_t id;
    struct slice name;
    struct slice doc;
    bool is_required;
    struct iceberg_type type;
    /* NULL = none given, which means null. Of a struct: the JSON {} as a non-null empty value. */
    const struct iceberg_value *initial_default;
    const struct iceberg_value *write_default;
};

struct iceberg_schema {
    int32_t id;
    struct iceberg_type root; /* ICEBERG_STRUCT */
    const int32_t *identifier_ids;
    size_t identifier_count;
};

#define ICEBERG_DEPTH_MAX 100 /* nesting of types; deeper is refused */

/* "int", "decimal(9, 2)", "struct<...>": as the spec prints types; for messages too. */
void iceberg_type_print(const struct iceberg_type *type, struct buf *out);

/* Parses the spec's JSON form of a type or schema. `path` is the JSON path said in messages
 * ("$.schemas[1]"). ERR_CORRUPT for what is not a type, ERR_UNSUPPORTED naming a type that the
 * spec does not know, ERR_LIMIT for depth. `format_version` refuses v3 types in older tables. */
MUST_USE enum err iceberg_schema_parse(const struct json *node, uint32_t format_version,
                                       const char *path, struct arena *arena,
                                       struct iceberg_schema *ret_schema, struct errinfo *info);
MUST_USE enum err iceberg_type_parse_text(struct slice text, struct iceberg_type *ret_type,
                                          struct errinfo *info);
/* The JSON form, appended: what a writer puts into metadata and Avro headers. */
void iceberg_schema_write(const struct iceberg_schema *schema, struct buf *out);

bool iceberg_type_equal(const struct iceberg_type *a, const struct iceberg_type *b);
/* True if data written as `from` may be read as `to` (spec "Schema Evolution"; v3 adds unknown to
 * any and date to timestamp). */
bool iceberg_type_can_promote(const struct iceberg_type *from, const struct iceberg_type *to,
                              uint32_t format_version);

/* Field by id at any depth, or NULL. `ret_parent` (may be NULL): the field that holds it, NULL at
 * the top. Element, key and value fields have ids too. */
const struct iceberg_field *iceberg_schema_find_id(const struct iceberg_schema *schema, int32_t id,
                                                   const struct iceberg_field **ret_parent);
/* Field by dotted name, exact; fields of lists and maps as "element", "key", "value". */
const struct iceberg_field *iceberg_schema_find_name(const struct iceberg_schema *schema,
                                                     struct slice name);
int32_t iceberg_schema_id_max(const struct iceberg_schema *schema);

/* ---- single values ---- */

/* Binary form (Appendix D: bounds). ERR_CORRUPT for a wrong length. Bytes written under an older,
 * promotable type (4 bytes for a long) are accepted and promoted. Strings are checked as UTF-8.
 * `ret_value` views `bytes`. */
MUST_USE enum err iceberg_value_decode(const struct iceberg_type *type, struct slice bytes,
                                       struct iceberg_value *ret_value, struct errinfo *info);
/* Appends the binary form. */
void iceberg_value_encode(const struct iceberg_value *value, struct buf *out);

/* JSON form (defaults, partition values in some files). */
MUST_USE enum err iceberg_value_parse(const struct iceberg_type *type, const struct json *node,
                                      struct arena *arena, struct iceberg_value *ret_value,
                                      struct errinfo *info);
void iceberg_value_write(const struct iceberg_value *value, struct buf *out);
/* For people: 2024-01-31, 12.50, 0x0a; the form of the spec's partition paths. */
void iceberg_value_print(const struct iceberg_value *value, struct buf *out);

/* <0, 0, >0 in the type's order: NaN above all and equal to itself, -0.0 below 0.0, bytes
 * unsigned, strings by UTF-8 bytes. Both of one type and not null. */
int iceberg_value_compare(const struct iceberg_value *a, const struct iceberg_value *b);
/* True if the value could be changed to `type` without loss (5 as long, decimals of another scale);
 * false leaves ret_value alone. For literals of predicates. */
bool iceberg_value_convert(const struct iceberg_value *value, const struct iceberg_type *type,
                           struct iceberg_value *ret_value);
MUST_USE bool iceberg_value_copy(const struct iceberg_value *value, struct arena *arena,
                                 struct iceberg_value *ret_value);
