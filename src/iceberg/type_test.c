#include "iceberg/type.h"

#include <math.h>

#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/transform.h"

static struct iceberg_type type_of(const char *text)
{
    struct iceberg_type type;
    CHECK_OK(iceberg_type_parse_text(slice_of(text), &type, NULL));
    return type;
}

static enum err parse_value(struct arena *arena, const char *type, const char *text,
                            struct iceberg_value *ret_value)
{
    struct iceberg_type parsed = type_of(type);
    struct json *node;
    CHECK_OK(json_parse(arena, slice_of(text), NULL, &node, NULL));
    return iceberg_value_parse(&parsed, node, arena, ret_value, NULL);
}

static enum err parse_schema(struct arena *arena, const char *text, uint32_t version,
                             struct iceberg_schema *ret_schema, struct errinfo *info)
{
    struct json *node;
    CHECK_OK(json_parse(arena, slice_of(text), NULL, &node, NULL));
    return iceberg_schema_parse(node, version, "$", arena, ret_schema, info);
}

TEST(type, texts_of_the_spec)
{
    static const struct {
        const char *written;
        const char *printed;
    } cases[] = {
        {"unknown", "unknown"},
        {"boolean", "boolean"},
        {"int", "int"},
        {"timestamptz_ns", "timestamptz_ns"},
        {"fixed[16]", "fixed[16]"},
        {"fixed[ 16 ]", "fixed[16]"},
        {"decimal(9,2)", "decimal(9, 2)"},
        {"decimal( 38 , 38 )", "decimal(38, 38)"},
        {"variant", "variant"},
        {"geometry", "geometry"},
        {"geometry(srid:4326)", "geometry(srid:4326)"},
        {"geometry(OGC:CRS84)", "geometry"},
        {"geometry('srid:3857')", "geometry(srid:3857)"},
        {"geography('OGC:CRS84', \"karney\")", "geography(OGC:CRS84, karney)"},
        {"geography", "geography"},
        {"geography(srid:4326, karney)", "geography(srid:4326, karney)"},
        {"geography(srid:4326,spherical)", "geography(srid:4326)"},
        {"geography(OGC:CRS84, vincenty)", "geography(OGC:CRS84, vincenty)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct iceberg_type type = type_of(cases[i].written);
        iceberg_type_print(&type, &out);
        CHECK_STR(cases[i].printed, buf_cstr(&out));
        struct iceberg_type again = type_of(buf_cstr(&out));
        CHECK(iceberg_type_equal(&type, &again));
    }
}

TEST(type, refuses_what_is_no_type)
{
    static const char *const corrupt[] = {
        "decimal",    "decimal(0,0)",       "decimal(39,2)",     "decimal(4,5)",
        "decimal(4)", "decimal(4,2,1)",     "decimal(-4,2)",     "fixed",
        "fixed[]",    "fixed[-1]",          "fixed[9999999999]", "int(4)",
        "geometry(",  "geography(a, flat)", "geometry()",
    };
    static const char *const unknown[] = {"", "interval", "int4", "struct", "list<int>", "varchar"};
    struct iceberg_type type;
    for (size_t i = 0; i < ARRAY_COUNT(corrupt); i++) {
        CHECK_ERR(ERR_CORRUPT, iceberg_type_parse_text(slice_of(corrupt[i]), &type, NULL));
    }
    for (size_t i = 0; i < ARRAY_COUNT(unknown); i++) {
        CHECK_ERR(ERR_UNSUPPORTED, iceberg_type_parse_text(slice_of(unknown[i]), &type, NULL));
    }
}

TEST(type, promotes_as_the_spec_allows)
{
    static const struct {
        const char *from;
        const char *to;
        uint32_t version; /* the first that allows it; 9 = none */
    } cases[] = {
        {"int", "long", 1},
        {"long", "int", 9},
        {"float", "double", 1},
        {"double", "float", 9},
        {"int", "double", 9},
        {"decimal(9,2)", "decimal(18,2)", 1},
        {"decimal(9,2)", "decimal(8,2)", 9},
        {"decimal(9,2)", "decimal(18,3)", 9},
        {"date", "timestamp", 3},
        {"date", "timestamp_ns", 3},
        {"date", "timestamptz", 9},
        {"timestamp", "timestamp_ns", 9},
        {"unknown", "string", 3},
        {"string", "string", 1},
        {"string", "binary", 9},
        {"fixed[4]", "fixed[8]", 9},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_type from = type_of(cases[i].from);
        struct iceberg_type to = type_of(cases[i].to);
        for (uint32_t version = 1; version <= 3; version++) {
            CHECK(iceberg_type_can_promote(&from, &to, version) == (version >= cases[i].version));
        }
    }
}

/* ---- schemas ---- */

static const char nested_text[] =
    "{\"type\":\"struct\",\"schema-id\":7,\"identifier-field-ids\":[1],\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"uuid\",\"doc\":\"key\","
    "\"initial-default\":\"0db3e2a8-9d1d-42b9-aa7b-74ebe558dceb\","
    "\"write-default\":\"ec5911be-b0a7-458c-8438-c9a3e53cffae\"},"
    "{\"id\":2,\"name\":\"tags\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":3,"
    "\"element\":\"string\",\"element-required\":true}},"
    "{\"id\":4,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":5,\"key\":"
    "\"string\",\"value-id\":6,\"value\":{\"type\":\"struct\",\"fields\":[{\"id\":8,\"name\":"
    "\"a.b\",\"required\":false,\"type\":\"decimal(9, 2)\",\"initial-default\":\"-0.50\"}]},"
    "\"value-required\":false}},"
    "{\"id\":9,\"name\":\"point\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":[]},"
    "\"initial-default\":{}}]}";

TEST(schema, reads_writes_and_finds)
{
    /* Goal: all of a nested schema survives; lookups by id and dotted name. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_schema schema;
    struct iceberg_schema again;
    const struct iceberg_field *parent = NULL;
    CHECK_OK(parse_schema(arena, nested_text, 3, &schema, NULL));
    struct buf out CLEANUP(buf_fini) = {0};
    iceberg_schema_write(&schema, &out);
    CHECK_STR(nested_text, buf_cstr(&out));
    CHECK_OK(parse_schema(arena, buf_cstr(&out), 3, &again, NULL));
    CHECK(iceberg_type_equal(&schema.root, &again.root));

    const struct iceberg_field *field = iceberg_schema_find_id(&schema, 8, &parent);
    CHECK(field != NULL && parent != NULL && parent->id == 6);
    CHECK_SLICE("a.b", field->name);
    CHECK(field->initial_default->decimal == -50);
    CHECK(iceberg_schema_find_name(&schema, SLICE("m.value.a.b")) == field);
    CHECK(iceberg_schema_find_name(&schema, SLICE("tags.element"))->id == 3);
    CHECK(iceberg_schema_find_name(&schema, SLICE("m.key"))->id == 5);
    CHECK(iceberg_schema_find_name(&schema, SLICE("m.value.a")) == NULL);
    CHECK(iceberg_schema_find_name(&schema, SLICE("M")) == NULL);
    CHECK(iceberg_schema_find_id(&schema, 1, &parent) != NULL && parent == NULL);
    CHECK(iceberg_schema_find_id(&schema, 7, NULL) == NULL);
    CHECK(iceberg_schema_id_max(&schema) == 9);
    struct buf printed CLEANUP(buf_fini) = {0};
    iceberg_type_print(&schema.root.fields[1].type, &printed);
    CHECK_STR("list<string>", buf_cstr(&printed));
}

#define FIELDS(text) "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[" text "]}"

TEST(schema, says_where_it_is_wrong)
{
    static const struct {
        const char *text;
        uint32_t version;
        enum err err;
        const char *message;
    } cases[] = {
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true}"), 2, ERR_CORRUPT,
         "\"$.fields[0].type\" is missing"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\"},{\"id\":1,\"name\":"
                "\"b\",\"required\":true,\"type\":\"int\"}"),
         2, ERR_CORRUPT, "\"$\" has two fields with id 1"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\"},{\"id\":2,\"name\":"
                "\"a\",\"required\":true,\"type\":\"int\"}"),
         2, ERR_CORRUPT, "\"$.fields\" has two fields named \"a\""},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":{\"type\":\"list\","
                "\"element-id\":\"x\"}}"),
         2, ERR_CORRUPT,
         "\"$.fields[0].type.element-id\" is not a whole number of 0 to 2147483447"},
        {FIELDS("{\"id\":2147483546,\"name\":\"a\",\"required\":true,\"type\":\"int\"}"), 2,
         ERR_CORRUPT, "\"$.fields[0].id\" is not a whole number of 0 to 2147483447"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"variant\"}"), 2,
         ERR_CORRUPT,
         "\"$.fields[0].type\" has type \"variant\", which tables of format version 2 lack"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"interval\"}"), 3,
         ERR_UNSUPPORTED, "\"$.fields[0].type\" cannot be read: type \"interval\" is not known"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"unknown\"}"), 3, ERR_CORRUPT,
         "\"$.fields[0]\" is required but of type unknown, always null"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\",\"initial-default\":"
                "2147483648}"),
         3, ERR_CORRUPT,
         "\"$.fields[0].initial-default\" is no value of its type: not a JSON value of type int"},
        {FIELDS("{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":{\"type\":\"list\","
                "\"element-id\":2,\"element\":\"int\",\"element-required\":true},"
                "\"initial-default\":[1]}"),
         3, ERR_UNSUPPORTED,
         "\"$.fields[0].initial-default\" cannot be used: values of type list<int> in JSON are "
         "not read"},
        {"{\"fields\":[],\"identifier-field-ids\":[4]}", 2, ERR_CORRUPT,
         "\"$\" names identifier field 4, which is not a field"},
        {"{\"fields\":[],\"fields\":[]}", 2, ERR_CORRUPT, "\"$\" has the member \"fields\" twice"},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_schema schema;
        struct errinfo info;
        errinfo_init(&info);
        CHECK_ERR(cases[i].err,
                  parse_schema(arena, cases[i].text, cases[i].version, &schema, &info));
        CHECK_STR(cases[i].message, info.message);
    }
}

TEST(schema, nests_to_a_limit)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (int depth = ICEBERG_DEPTH_MAX - 1; depth <= ICEBERG_DEPTH_MAX + 1; depth++) {
        struct buf text CLEANUP(buf_fini) = {0};
        struct iceberg_schema schema;
        buf_append_str(&text, "{\"fields\":[{\"id\":0,\"name\":\"a\",\"required\":false,\"type\":");
        for (int i = 1; i < depth; i++) {
            buf_printf(&text,
                       "{\"type\":\"list\",\"element-id\":%d,\"element-required\":true,"
                       "\"element\":",
                       i);
        }
        buf_append_str(&text, "\"int\"");
        for (int i = 1; i < depth; i++) {
            buf_append_char(&text, '}');
        }
        buf_append_str(&text, "}]}");
        CHECK_ERR(depth > ICEBERG_DEPTH_MAX ? ERR_LIMIT : ERR_OK,
                  parse_schema(arena, buf_cstr(&text), 2, &schema, NULL));
    }
}

/* ---- single values ---- */

TEST(value, examples_of_the_spec)
{
    /* Goal: Appendix D, both encodings. The bytes are those of the table in words. */
    static const struct {
        const char *type;
        const char *json;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"boolean", "true", "\x01", 1},
        {"int", "34", "\x22\0\0\0", 4},
        {"int", "-2147483648", "\0\0\0\x80", 4},
        {"long", "34", "\x22\0\0\0\0\0\0\0", 8},
        {"long", "-9223372036854775808", "\0\0\0\0\0\0\0\x80", 8},
        {"float", "1.0", "\0\0\x80\x3f", 4},
        {"float", "0.1", "\xcd\xcc\xcc\x3d", 4},
        {"double", "1.0", "\0\0\0\0\0\0\xf0\x3f", 8},
        {"double", "-0.0", "\0\0\0\0\0\0\0\x80", 8},
        {"double", "\"Infinity\"", "\0\0\0\0\0\0\xf0\x7f", 8},
        {"double", "\"NaN\"", "\0\0\0\0\0\0\xf8\x7f", 8},
        {"double", "1.7976931348623157e+308", "\xff\xff\xff\xff\xff\xff\xef\x7f", 8},
        {"decimal(9,2)", "\"14.20\"", "\x05\x8c", 2},
        {"decimal(9,2)", "\"-1.28\"", "\x80", 1},
        {"decimal(9,2)", "\"1.28\"", "\x00\x80", 2},
        {"decimal(9,2)", "\"0.00\"", "\x00", 1},
        {"decimal(38,0)", "\"99999999999999999999999999999999999999\"",
         "\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x3f\xff\xff\xff\xff", 16},
        {"date", "\"2017-11-16\"", "\x4e\x44\0\0", 4},
        {"date", "\"1969-12-31\"", "\xff\xff\xff\xff", 4},
        {"date", "\"-0001-02-28\"", "\x25\x04\xf5\xff", 4},
        {"time", "\"22:31:08.123456\"", "\x40\x65\x09\xe0\x12\x00\x00\x00", 8},
        {"timestamp", "\"2017-11-16T22:31:08.123456\"", "\x40\xa5\x28\x2d\x21\x5e\x05\x00", 8},
        {"timestamptz", "\"2017-11-16T22:31:08.123456+00:00\"", "\x40\xa5\x28\x2d\x21\x5e\x05\x00",
         8},
        {"timestamp", "\"1969-12-31T23:59:59.999999\"", "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
        {"timestamp_ns", "\"1970-01-01T00:00:00.123456789\"", "\x15\xcd\x5b\x07\0\0\0\0", 8},
        {"timestamptz_ns", "\"1970-01-01T00:00:00.000000001+00:00\"", "\x01\0\0\0\0\0\0\0", 8},
        {"timestamp_ns", "\"1677-09-21T00:12:43.145224192\"", "\0\0\0\0\0\0\0\x80", 8},
        {"string", "\"iceberg\"", "iceberg", 7},
        {"uuid", "\"f79c3e09-677c-4bbd-a479-3f349cb785e7\"",
         "\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7", 16},
        {"fixed[4]", "\"000102ff\"", "\0\x01\x02\xff", 4},
        {"binary", "\"000102ff\"", "\0\x01\x02\xff", 4},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf encoded CLEANUP(buf_fini) = {0};
        struct buf written CLEANUP(buf_fini) = {0};
        struct iceberg_value value;
        struct iceberg_value decoded;
        struct iceberg_type type = type_of(cases[i].type);
        CHECK_OK(parse_value(arena, cases[i].type, cases[i].json, &value));
        iceberg_value_encode(&value, &encoded);
        assert_int_equal(encoded.len, cases[i].len);
        assert_memory_equal(encoded.ptr, cases[i].bytes, cases[i].len);
        CHECK_OK(iceberg_value_decode(&type, buf_slice(&encoded), &decoded, NULL));
        assert_int_equal(iceberg_value_compare(&value, &decoded), 0);
        iceberg_value_write(&decoded, &written);
        CHECK_STR(cases[i].json, buf_cstr(&written));
    }
}

TEST(value, json_forms_that_are_none)
{
    static const struct {
        const char *type;
        const char *json;
    } cases[] = {
        {"boolean", "1"},
        {"int", "1.0"},
        {"int", "2147483648"},
        {"int", "\"1\""},
        {"long", "9223372036854775808"},
        {"float", "1e39"},
        {"float", "\"1.0\""},
        {"decimal(9,2)", "14.20"},
        {"decimal(9,2)", "\"14.2\""},
        {"decimal(9,2)", "\"12345678.00\""},
        {"decimal(9,2)", "\".\""},
        {"decimal(9,2)", "\"1.0.0\""},
        {"date", "\"2017-02-29\""},
        {"date", "\"2017-13-01\""},
        {"date", "\"2017-1-1\""},
        {"date", "\"10000-01-01\""},
        {"date", "\"+99999999-01-01\""},
        {"time", "\"24:00:01\""},
        {"timestamp", "\"2017-11-16T24:00:00\""},
        {"time", "\"22:31:08.1234567\""},
        {"timestamp", "\"2017-11-16T22:31:08+00:00\""},
        {"timestamptz", "\"2017-11-16T22:31:08\""},
        {"timestamptz", "\"2017-11-16T22:31:08+01:00\""},
        {"timestamp_ns", "\"1677-09-21T00:12:43.145224191\""},
        {"timestamp_ns", "\"2262-04-11T23:47:16.854775808\""},
        {"uuid", "\"f79c3e09677c4bbda4793f349cb785e7\""},
        {"fixed[4]", "\"000102\""},
        {"binary", "\"0\""},
        {"binary", "\"0g\""},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_value value;
        CHECK_ERR(ERR_CORRUPT, parse_value(arena, cases[i].type, cases[i].json, &value));
    }
    struct iceberg_value value;
    CHECK_OK(parse_value(arena, "decimal(9,2)", "\"1.42E+1\"", &value) == ERR_CORRUPT
                 ? ERR_OK
                 : ERR_INVALID);
    CHECK_OK(parse_value(arena, "decimal(9,1)", "\"1.42E+1\"", &value));
    CHECK(value.decimal == 142);
    CHECK_OK(parse_value(arena, "int", "null", &value));
    CHECK(value.is_null);
}

TEST(value, bytes_of_an_older_type_are_promoted)
{
    static const struct {
        const char *type;
        const char *bytes;
        size_t len;
        const char *printed; /* NULL = refused */
    } cases[] = {
        {"long", "\xff\xff\xff\xff", 4, "-1"},
        {"double", "\0\0\x80\x3f", 4, "1.0"},
        {"timestamp", "\x01\0\0\0", 4, "1970-01-02T00:00:00.000000"},
        {"timestamp_ns", "\xff\xff\xff\xff", 4, "1969-12-31T00:00:00.000000000"},
        {"timestamp_ns", "\xff\xff\xff\x7f", 4, NULL},
        {"timestamptz", "\x01\0\0\0", 4, NULL},
        {"int", "\x01\0\0\0\0\0\0\0", 8, NULL},
        {"boolean", "", 0, NULL},
        {"decimal(9,2)", "", 0, NULL},
        {"decimal(2,0)", "\x64", 1, NULL}, /* 100 has three digits */
        {"decimal(2,0)", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16,
         "-1"},
        {"string", "\xff", 1, NULL},
        {"uuid", "\xff", 1, NULL},
        {"fixed[2]", "abc", 3, NULL},
        {"fixed[20]", "abc", 3, "0x616263"},
        {"unknown", "", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_type type = type_of(cases[i].type);
        struct iceberg_value value;
        struct buf out CLEANUP(buf_fini) = {0};
        struct slice bytes = {cases[i].bytes, cases[i].len};
        CHECK_ERR(cases[i].printed == NULL ? ERR_CORRUPT : ERR_OK,
                  iceberg_value_decode(&type, bytes, &value, NULL));
        if (cases[i].printed != NULL) {
            iceberg_value_print(&value, &out);
            CHECK_STR(cases[i].printed, buf_cstr(&out));
        }
    }
}

TEST(value, orders)
{
    static const char *const ascending[][6] = {
        {"double", "\"-Infinity\"", "-1.5", "-0.0", "0.0", "\"Infinity\""},
        {"int", "-2147483648", "-1", "0", "1", "2147483647"},
        {"decimal(9,2)", "\"-10.00\"", "\"-1.01\"", "\"0.00\"", "\"9.99\"", "\"10.00\""},
        {"string", "\"\"", "\"a\"", "\"ab\"", "\"b\"", "\"\xC3\xA9\""},
        {"binary", "\"\"", "\"00\"", "\"0001\"", "\"7f\"", "\"80\""},
        {"date", "\"-0001-01-01\"", "\"1969-12-31\"", "\"1970-01-01\"", "\"2000-01-01\"",
         "\"+10000-01-01\""},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_value nan;
    CHECK_OK(parse_value(arena, "double", "\"NaN\"", &nan));
    CHECK(iceberg_value_compare(&nan, &nan) == 0);
    for (size_t row = 0; row < ARRAY_COUNT(ascending); row++) {
        struct iceberg_value values[5];
        for (size_t i = 0; i < 5; i++) {
            CHECK_OK(parse_value(arena, ascending[row][0], ascending[row][i + 1], &values[i]));
        }
        for (size_t i = 0; i < 25; i++) {
            int order = iceberg_value_compare(&values[i / 5], &values[i % 5]);
            CHECK((order < 0) == (i / 5 < i % 5) && (order > 0) == (i / 5 > i % 5));
        }
        if (row == 0) {
            CHECK(iceberg_value_compare(&nan, &values[4]) > 0);
        }
    }
}

TEST(value, converts_without_loss_or_not_at_all)
{
    static const struct {
        const char *from;
        const char *json;
        const char *to;
        const char *printed; /* NULL = refused */
    } cases[] = {
        {"int", "5", "long", "5"},
        {"long", "5000000000", "int", NULL},
        {"long", "-5", "int", "-5"},
        {"int", "5", "decimal(9,2)", "5.00"},
        {"int", "12345678", "decimal(9,2)", NULL},
        {"int", "16777217", "float", NULL},
        {"int", "16777216", "float", "16777216.0"},
        {"long", "9007199254740993", "double", NULL},
        {"double", "5.0", "int", "5"},
        {"double", "5.5", "int", NULL},
        {"double", "-0.0", "int", NULL},
        {"double", "1e300", "long", NULL},
        {"double", "\"NaN\"", "float", "NaN"},
        {"double", "0.1", "float", NULL},
        {"double", "0.5", "float", "0.5"},
        {"float", "0.1", "double", "0.10000000149011612"},
        {"decimal(9,2)", "\"5.00\"", "int", "5"},
        {"decimal(9,2)", "\"5.01\"", "int", NULL},
        {"decimal(9,2)", "\"5.50\"", "decimal(9,1)", "5.5"},
        {"decimal(9,2)", "\"5.51\"", "decimal(9,1)", NULL},
        {"decimal(38,0)", "\"99999999999999999999999999999999999999\"", "decimal(38,1)", NULL},
        {"date", "\"1970-01-02\"", "timestamp", "1970-01-02T00:00:00.000000"},
        {"date", "\"1970-01-02\"", "timestamptz", NULL},
        {"date", "\"-5000-01-02\"", "timestamp_ns", NULL},
        {"timestamp", "\"1970-01-02T00:00:00\"", "date", "1970-01-02"},
        {"timestamp", "\"1970-01-02T00:00:01\"", "date", NULL},
        {"timestamp_ns", "\"1970-01-01T00:00:00.000001\"", "timestamp",
         "1970-01-01T00:00:00.000001"},
        {"timestamp_ns", "\"1970-01-01T00:00:00.000000001\"", "timestamp", NULL},
        {"timestamptz", "\"1970-01-01T00:00:00Z\"", "timestamp", NULL},
        {"binary", "\"0102\"", "fixed[2]", "0x0102"},
        {"binary", "\"0102\"", "fixed[3]", NULL},
        {"string", "\"a\"", "binary", NULL},
        {"boolean", "true", "int", NULL},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_value from;
        struct iceberg_value to;
        struct buf out CLEANUP(buf_fini) = {0};
        struct iceberg_type type = type_of(cases[i].to);
        CHECK_OK(parse_value(arena, cases[i].from, cases[i].json, &from));
        CHECK(iceberg_value_convert(&from, &type, &to) == (cases[i].printed != NULL));
        if (cases[i].printed != NULL) {
            iceberg_value_print(&to, &out);
            CHECK_STR(cases[i].printed, buf_cstr(&out));
        }
    }
}

TEST(value, dates_round_trip)
{
    /* Goal: the calendar is right over all of its range. Method: random days and times. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    uint64_t seed = test_seed();
    static const char *const types[] = {"date", "timestamp", "timestamptz_ns"};
    for (int i = 0; i < 20000; i++) {
        const char *name = types[test_random_below(&seed, ARRAY_COUNT(types))];
        struct iceberg_value value = {.type = type_of(name).id};
        value.integer = value.type == ICEBERG_DATE ? (int32_t)(uint32_t)test_random(&seed)
                                                   : (int64_t)test_random(&seed);
        value.integer >>= value.type == ICEBERG_DATE ? 0 : test_random_below(&seed, 40);
        struct buf text CLEANUP(buf_fini) = {0};
        struct iceberg_value again;
        iceberg_value_write(&value, &text);
        CHECK_OK(parse_value(arena, name, buf_cstr(&text), &again));
        assert_int_equal(again.integer, value.integer);
        arena_reset(arena);
    }
}

/* ---- transforms by name ---- */

TEST(transform, names_and_results)
{
    static const struct {
        const char *text;
        const char *source;
        const char *result; /* NULL = not taken */
        const char *printed;
    } cases[] = {
        {"identity", "string", "string", "identity"},
        {"identity", "variant", NULL, "identity"},
        {"bucket[16]", "uuid", "int", "bucket[16]"},
        {"bucket[16]", "double", NULL, "bucket[16]"},
        {"Truncate[4]", "decimal(9, 2)", "decimal(9, 2)", "truncate[4]"},
        {"truncate[4]", "date", NULL, "truncate[4]"},
        {"year", "date", "int", "year"},
        {"month", "timestamp_ns", "int", "month"},
        {"day", "timestamptz", "date", "day"},
        {"hour", "timestamp", "int", "hour"},
        {"hour", "date", NULL, "hour"},
        {"void", "geometry", "geometry", "void"},
        {"zorder[3]", "int", "string", "zorder[3]"},
        {"days", "date", "string", "days"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_transform transform;
        struct iceberg_type source = type_of(cases[i].source);
        struct iceberg_type result;
        struct buf printed CLEANUP(buf_fini) = {0};
        struct buf type CLEANUP(buf_fini) = {0};
        CHECK_OK(iceberg_transform_parse(slice_of(cases[i].text), &transform, NULL));
        iceberg_transform_print(&transform, &printed);
        CHECK_STR(cases[i].printed, buf_cstr(&printed));
        CHECK_ERR(cases[i].result == NULL ? ERR_INVALID : ERR_OK,
                  iceberg_transform_result(&transform, &source, &result, NULL));
        if (cases[i].result != NULL) {
            iceberg_type_print(&result, &type);
            CHECK_STR(cases[i].result, buf_cstr(&type));
        }
    }
    static const char *const bad[] = {
        "",           "bucket",      "bucket[]", "bucket[0]",
        "bucket[-1]", "truncate[x]", "bucket[4", "bucket[2147483648]"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct iceberg_transform transform;
        CHECK_ERR(ERR_CORRUPT, iceberg_transform_parse(slice_of(bad[i]), &transform, NULL));
    }
}
