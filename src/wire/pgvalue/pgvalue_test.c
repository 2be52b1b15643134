/* Values: against texts of PostgreSQL 15, and binary against text by way of the decoder. */
#include "base/test.h"
#include "wire/pgvalue/pgvalue_int.h"

#define RANDOM_VALUES 20000

/* One cell of a column of `format`, as text or binary. */
static void encode_cell(const char *format, const char *engine_type, const void *values,
                        enum pg_format wanted, struct buf *out)
{
    struct ArrowSchema schema = {.format = format, .name = "c"};
    const void *buffers[] = {NULL, values};
    struct ArrowArray array = {.length = 1, .n_buffers = 2, .buffers = buffers};
    struct pg_encoder encoder;
    CHECK_OK(pg_encoder_init(&encoder, &schema, pg_type_of(slice_of(engine_type)), wanted, NULL));
    CHECK(!pg_cell_is_null(&encoder, &array, 0));
    buf_reset(out);
    CHECK_OK(pg_encode(&encoder, &array, 0, out, NULL));
    CHECK(!buf_failed(out));
    pg_encoder_fini(&encoder);
}

static void prints(const char *expected, const char *format, const char *type, const void *values)
{
    struct buf text CLEANUP(buf_fini) = {0};
    encode_cell(format, type, values, PG_FORMAT_TEXT, &text);
    CHECK_STR(expected, buf_cstr(&text));
}

/* The binary form, read back by the decoder, is what the engine would print of the value. */
static void comes_back(const char *expected, const char *format, const char *type,
                       const void *values)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    encode_cell(format, type, values, PG_FORMAT_BINARY, &bytes);
    uint32_t oid = pg_type_of(slice_of(type)).oid;
    CHECK_OK(pg_decode(oid, PG_FORMAT_BINARY, buf_slice(&bytes), &text, NULL));
    CHECK_STR(expected, buf_cstr(&text));
}

TEST(pgvalue, types_have_their_oids_and_modifiers)
{
    static const struct {
        const char *engine;
        uint32_t oid;
        int32_t typmod;
    } cases[] = {
        {"BOOLEAN", PG_BOOL, -1},
        {"TINYINT", PG_INT2, -1},
        {"USMALLINT", PG_INT4, -1},
        {"UINTEGER", PG_INT8, -1},
        {"HUGEINT", PG_NUMERIC, -1},
        {"DECIMAL(9,2)", PG_NUMERIC, (9 << 16 | 2) + 4},
        {"DECIMAL(38,38)", PG_NUMERIC, (38 << 16 | 38) + 4},
        {"VARCHAR", PG_TEXT, -1},
        {"TIMESTAMP_NS", PG_TIMESTAMP, -1},
        {"TIMESTAMP WITH TIME ZONE", PG_TIMESTAMPTZ, -1},
        {"TIMESTAMPTZ_NS", PG_TIMESTAMPTZ, -1},
        {"INTEGER[]", 1007, -1},
        {"INTEGER[3]", 1007, -1},
        {"DECIMAL(9,2)[]", 1231, (9 << 16 | 2) + 4},
        {"UINTEGER[]", 1028, -1},
        {"INTEGER[][]", PG_TEXT, -1},
        {"STRUCT(a INTEGER)", PG_TEXT, -1},
        {"STRUCT(a INTEGER)[]", PG_TEXT, -1},
        {"MAP(VARCHAR, INTEGER)", PG_TEXT, -1},
        {"ENUM('a', 'b')", PG_TEXT, -1},
        {"DECIMAL(x,y)", PG_TEXT, -1},
        {"UNKNOWN", PG_TEXT, -1},
        {"", PG_TEXT, -1},
        {"]", PG_TEXT, -1},
        {"[]", PG_TEXT, -1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pg_type type = pg_type_of(slice_of(cases[i].engine));
        assert_int_equal(type.oid, cases[i].oid);
        assert_int_equal(type.typmod, cases[i].typmod);
    }
}

TEST(pgvalue, numbers_print_as_in_postgresql)
{
    const int64_t lowest = INT64_MIN;
    const double doubles[] = {1,    0.1,   -0.0,   1e15,   123456789012345678.0, 1e-5,
                              1e-4, 1e300, 5e-324, 100000, 0.30000000000000004};
    static const char *const texts[] = {
        "1",      "0.1",    "-0",     "1e+15",  "1.2345678901234568e+17", "1e-05",
        "0.0001", "1e+300", "5e-324", "100000", "0.30000000000000004"};
    prints("-9223372036854775808", "l", "BIGINT", &lowest);
    for (size_t i = 0; i < ARRAY_COUNT(doubles); i++) {
        prints(texts[i], "g", "DOUBLE", &doubles[i]);
    }
    const float floats[] = {1.5F, 1e6F, 123456.0F, 0.1F};
    static const char *const float_texts[] = {"1.5", "1e+06", "123456", "0.1"};
    for (size_t i = 0; i < ARRAY_COUNT(floats); i++) {
        prints(float_texts[i], "f", "FLOAT", &floats[i]);
    }
    const __int128 values[] = {0, 5, -5, 12345, 1000000000000000000};
    static const char *const decimals[] = {"0.00", "0.05", "-0.05", "123.45",
                                           "10000000000000000.00"};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        prints(decimals[i], "d:20,2", "DECIMAL(20,2)", &values[i]);
    }
    __int128 big = (__int128)1 << 126;
    prints("85070591730234615865843651857942052864", "d:38,0", "HUGEINT", &big);
    big = -big;
    prints("-0.85070591730234615865843651857942052864", "d:38,38", "DECIMAL(38,38)", &big);
}

TEST(pgvalue, times_print_as_in_postgresql)
{
    const int32_t dates[] = {0, 10957, 2932896, 2932897, INT32_MAX, -INT32_MAX};
    prints("1970-01-01", "tdD", "DATE", &dates[0]);
    prints("2000-01-01", "tdD", "DATE", &dates[1]);
    prints("0001-12-31 BC", "tdD", "DATE", &(const int32_t){-719163});
    prints("0001-01-01", "tdD", "DATE", &(const int32_t){-719162});
    prints("9999-12-31", "tdD", "DATE", &dates[2]);
    prints("10000-01-01", "tdD", "DATE", &dates[3]);
    prints("infinity", "tdD", "DATE", &dates[4]);
    prints("-infinity", "tdD", "DATE", &dates[5]);
    prints("1969-12-31 23:59:59.999999", "tsu:", "TIMESTAMP", &(const int64_t){-1});
    prints("1970-01-01 00:00:01.5+00", "tsm:UTC", "TIMESTAMP WITH TIME ZONE",
           &(const int64_t){1500});
    prints("1969-12-31 23:59:59.999999", "tsn:", "TIMESTAMP_NS", &(const int64_t){-1});
    prints("1969-12-31 23:59:59.999999+00", "tsn:UTC", "TIMESTAMPTZ_NS", &(const int64_t){-1});
    prints("infinity", "tsu:", "TIMESTAMP", &(const int64_t){INT64_MAX});
    prints("24:00:00", "ttu", "TIME", &(const int64_t){US_PER_DAY});
    prints("01:02:03.00045", "ttu", "TIME", &(const int64_t){3723000450});
    static const struct {
        int32_t months, days;
        int64_t nanos;
        const char *text;
    } intervals[] = {
        {0, 0, 0, "00:00:00"},
        {14, 3, 3723000000000, "1 year 2 mons 3 days 01:02:03"},
        {-1, 1, -1000, "-1 mons +1 day -00:00:00.000001"},
        {0, -1, 3600000000000, "-1 days +01:00:00"},
        {1, 0, 0, "1 mon"},
        {0, 0, 360000000000000, "100:00:00"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(intervals); i++) {
        prints(intervals[i].text, "tin", "INTERVAL", &intervals[i]);
    }
}

TEST(pgvalue, numerics_have_the_bytes_of_postgresql)
{
    static const struct {
        int64_t value;
        int32_t scale;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0, 2, "\0\0\0\0\0\0\0\2", 8},
        {12345, 2, "\0\2\0\0\0\0\0\2\0\x7b\x11\x94", 12}, /* 123.45: 123, 4500 */
        {-1, 4, "\0\1\xff\xff\x40\0\0\4\0\1", 10},        /* -0.0001 */
        {1, 5, "\0\1\xff\xfe\0\0\0\5\x03\xe8", 10},       /* 0.00001: group -2, 1000 */
        {100000000, 0, "\0\1\0\2\0\0\0\0\0\1", 10},       /* 10^8 */
        {10000, 4, "\0\1\0\0\0\0\0\4\0\1", 10},           /* 1.0000 */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        int64_t value = cases[i].value;
        pg__put_numeric((unsigned __int128)(value < 0 ? -value : value), value < 0, cases[i].scale,
                        &out);
        assert_int_equal(out.len, cases[i].len);
        assert_memory_equal(out.ptr, cases[i].bytes, cases[i].len);
    }
}

TEST(pgvalue, binary_says_what_text_says)
{
    // Method: random values of each type; binary, decoded, must be the text (the engine's where
    // PostgreSQL's differs, so no years before 1).
    uint64_t seed = test_seed();
    struct buf text CLEANUP(buf_fini) = {0};
    for (int i = 0; i < RANDOM_VALUES; i++) {
        int scale = (int)test_random_below(&seed, 39);
        char format[32];
        char type[32];
        (void)snprintf(format, sizeof(format), "d:38,%d", scale);
        (void)snprintf(type, sizeof(type), "DECIMAL(38,%d)", scale);
        __int128 value =
            (__int128)((unsigned __int128)test_random(&seed) << 62 | test_random(&seed));
        value >>= test_random_below(&seed, 120);
        encode_cell(format, type, &value, PG_FORMAT_TEXT, &text);
        comes_back(buf_cstr(&text), format, type, &value);
        int64_t us = (int64_t)(test_random(&seed) % 200000000000000000) - 60000000000000000;
        encode_cell("tsu:UTC", "TIMESTAMP WITH TIME ZONE", &us, PG_FORMAT_TEXT, &text);
        comes_back(buf_cstr(&text), "tsu:UTC", "TIMESTAMP WITH TIME ZONE", &us);
        int64_t number = (int64_t)(test_random(&seed) >> test_random_below(&seed, 64));
        encode_cell("l", "BIGINT", &number, PG_FORMAT_TEXT, &text);
        comes_back(buf_cstr(&text), "l", "BIGINT", &number);
        int64_t of_day = (int64_t)(test_random(&seed) % 86400000000);
        encode_cell("ttu", "TIME", &of_day, PG_FORMAT_TEXT, &text);
        comes_back(buf_cstr(&text), "ttu", "TIME", &of_day);
        int32_t day = (int32_t)(test_random(&seed) % 3000000) - 700000;
        encode_cell("tdD", "DATE", &day, PG_FORMAT_TEXT, &text);
        comes_back(buf_cstr(&text), "tdD", "DATE", &day);
    }
}

static void decodes(const char *expected, uint32_t oid, enum pg_format format, const char *bytes,
                    size_t len)
{
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(pg_decode(oid, format, (struct slice){bytes, len}, &text, NULL));
    CHECK_STR(expected, buf_cstr(&text));
}

static void refuses(const char *sqlstate, uint32_t oid, enum pg_format format, const char *bytes,
                    size_t len)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    CHECK(pg_decode(oid, format, (struct slice){bytes, len}, &text, &info) != ERR_OK);
    CHECK_STR(sqlstate, info.sqlstate);
}

TEST(pgvalue, parameters_become_the_engines_texts)
{
    decodes("\\xDE\\xAD", PG_BYTEA, PG_FORMAT_TEXT, "\\xdead", 6);
    decodes("\\x61\\x5C\\x00", PG_BYTEA, PG_FORMAT_TEXT, "a\\\\\\000", 7);
    decodes("\\x00\\xFF", PG_BYTEA, PG_FORMAT_BINARY, "\0\xff", 2);
    decodes("['1', NULL, '3']", 1007, PG_FORMAT_TEXT, "{1,NULL, 3}", 11);
    decodes("['a b', 'it\\'s', '', 'NULL']", 1009, PG_FORMAT_TEXT, "{\"a b\",it's,\"\",\"NULL\"}",
            22);
    decodes("[]", 1009, PG_FORMAT_TEXT, "{}", 2);
    decodes("['7', NULL]", 1007, PG_FORMAT_BINARY,
            "\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\7\xff\xff\xff\xff", 32);
    decodes("true", PG_BOOL, PG_FORMAT_TEXT, "t", 1);
    decodes("false", PG_BOOL, PG_FORMAT_BINARY, "\0", 1);
    decodes("00010203-0405-0607-0809-0a0b0c0d0e0f", PG_UUID, PG_FORMAT_BINARY,
            "\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xf", 16);
    decodes("{}", PG_JSONB, PG_FORMAT_BINARY, "\1{}", 3);
    decodes("0.0001", PG_NUMERIC, PG_FORMAT_BINARY, "\0\1\xff\xff\0\0\0\4\0\1", 10);
    decodes("NaN", PG_NUMERIC, PG_FORMAT_BINARY, "\0\0\0\0\xc0\0\0\0", 8);
    decodes("1 months 2 days -0:00:00.000003", PG_INTERVAL, PG_FORMAT_BINARY,
            "\xff\xff\xff\xff\xff\xff\xff\xfd\0\0\0\2\0\0\0\1", 16);
}

TEST(pgvalue, parameters_that_are_none_are_refused)
{
    refuses("22P03", PG_INT4, PG_FORMAT_BINARY, "\0\0\0", 3);
    refuses("22P03", PG_INT8, PG_FORMAT_BINARY, "", 0);
    refuses("22P03", PG_NUMERIC, PG_FORMAT_BINARY, "\xff\xff\0\0\0\0\0\0", 8);
    refuses("22P03", PG_NUMERIC, PG_FORMAT_BINARY, "\0\1\0\0\0\0\0\0\x27\x10", 10); /* 10000 */
    refuses("22P03", 1007, PG_FORMAT_BINARY, "\0\0\0\1\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff\0\0\0\1",
            20);
    refuses("22P03", 1007, PG_FORMAT_BINARY, "\0\0\0\0\0\0\0\0\0\0\0\x14", 12); /* of int8 */
    refuses("0A000", 1007, PG_FORMAT_TEXT, "{{1},{2}}", 9);
    refuses("22P02", 1007, PG_FORMAT_TEXT, "{1,2", 4);
    refuses("22P02", 1007, PG_FORMAT_TEXT, "{1,}", 4);
    refuses("22P02", 1007, PG_FORMAT_TEXT, "{\"1}", 4);
    refuses("22P02", PG_BYTEA, PG_FORMAT_TEXT, "\\xabc", 5);
    refuses("22P02", PG_BYTEA, PG_FORMAT_TEXT, "\\9", 2);
    refuses("22P03", PG_UUID, PG_FORMAT_BINARY, "x", 1);
    refuses("22P03", PG_JSONB, PG_FORMAT_BINARY, "\2{}", 3);
    refuses("22P03", PG_TIME, PG_FORMAT_BINARY, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    refuses("22021", PG_TEXT, PG_FORMAT_TEXT, "a\0b", 3);
    refuses("22021", PG_TEXT, PG_FORMAT_BINARY, "\xff", 1);
    refuses("0A000", 600, PG_FORMAT_BINARY, "x", 1); /* point */
}

/* ---- bits ---- */

/* The engine's: how many bits of the first byte are none, then the bits, behind those. */
static void encodes_bits(const char *text, const char *binary, size_t binary_len,
                         const char *engine, size_t len)
{
    const int32_t offsets[] = {3, 3, 3 + (int32_t)len};
    char bytes[32] = "xyz";
    const uint8_t validity = 2; /* the first is NULL */
    memcpy(bytes + 3, engine, len);
    const void *buffers[] = {&validity, offsets, bytes};
    struct ArrowSchema schema = {.format = "z", .name = "b"};
    struct ArrowArray column = {.length = 2, .null_count = 1, .n_buffers = 3, .buffers = buffers};
    for (int format = 0; format < 2; format++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct pg_encoder encoder;
        CHECK_OK(pg_encoder_init(&encoder, &schema, pg_type_of(SLICE("BIT")),
                                 (enum pg_format)format, NULL));
        CHECK(pg_cell_is_null(&encoder, &column, 0) && !pg_cell_is_null(&encoder, &column, 1));
        CHECK_OK(pg_encode(&encoder, &column, 1, &out, NULL));
        size_t wanted = format == 0 ? strlen(text) : binary_len;
        assert_int_equal(out.len, wanted);
        assert_memory_equal(out.ptr == NULL ? "" : out.ptr, format == 0 ? text : binary, wanted);
        pg_encoder_fini(&encoder);
    }
}

TEST(pgvalue, bits_go_out_and_come_in)
{
    encodes_bits("1", "\0\0\0\1\x80", 5, "\7\xff", 2);
    encodes_bits("10110111", "\0\0\0\x8\xb7", 5, "\0\xb7", 2);
    encodes_bits("1011011101", "\0\0\0\xa\xb7\x40", 6, "\6\xfe\xdd", 3);
    encodes_bits("000000000", "\0\0\0\x9\0\0", 6, "\7\xfe\0", 3);
    decodes("1011011101", PG_VARBIT, PG_FORMAT_BINARY, "\0\0\0\xa\xb7\x40", 6);
    decodes("1011011101", PG_BIT, PG_FORMAT_BINARY, "\0\0\0\xa\xb7\x7f", 6);
    decodes("", PG_VARBIT, PG_FORMAT_BINARY, "\0\0\0\0", 4);
    decodes("101", PG_VARBIT, PG_FORMAT_TEXT, "101", 3);
    decodes("['101', NULL]", 1563, PG_FORMAT_TEXT, "{101,NULL}", 10);
    decodes("['101', NULL]", 1563, PG_FORMAT_BINARY,
            "\0\0\0\1\0\0\0\1\0\0\x6\x1a\0\0\0\2\0\0\0\1"
            "\0\0\0\5\0\0\0\3\xa0\xff\xff\xff\xff",
            33);
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0},
               {"\0\0\0", 3},
               {"\0\0\0\1", 4},
               {"\0\0\0\x9\xff", 5},
               {"\0\0\0\1\x80\0", 6},
               {"\xff\xff\xff\xff\x80", 5},
               {"\x7f\xff\xff\xff\x80", 5},
               {"\x80\0\0\0\x80", 5}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        refuses("22P03", PG_VARBIT, PG_FORMAT_BINARY, bad[i].bytes, bad[i].len);
        refuses("22P03", PG_BIT, PG_FORMAT_BINARY, bad[i].bytes, bad[i].len);
    }
    refuses("22P03", 1563, PG_FORMAT_BINARY,
            "\0\0\0\1\0\0\0\0\0\0\x6\x1a\0\0\0\1\0\0\0\1\0\0\0\5\0\0\0\x9\xa0", 29);
}

/* ---- whole rows ---- */

static const struct {
    const char *format;
    const char *type;
    size_t size; /* of a value; 0: a text */
} row_types[] = {
    {"b", "BOOLEAN", 1},
    {"c", "TINYINT", 1},
    {"s", "SMALLINT", 2},
    {"i", "INTEGER", 4},
    {"I", "UINTEGER", 4},
    {"l", "BIGINT", 8},
    {"L", "UBIGINT", 8},
    {"f", "FLOAT", 4},
    {"g", "DOUBLE", 8},
    {"u", "VARCHAR", 0},
    {"z", "BLOB", 0},
    {"tdD", "DATE", 4},
    {"ttu", "TIME", 8},
    {"tsu:", "TIMESTAMP", 8},
    {"tsn:", "TIMESTAMP_NS", 8},
    {"tin", "INTERVAL", 16},
    {"d:20,0", "HUGEINT", 16},
    {"d:15,2", "DECIMAL(15,2)", 16},
    {"d:38,16", "DECIMAL(38,16)", 16},
    {"d:38,30", "DECIMAL(38,30)", 16},
};
#define ROWS 64
#define ROW_BYTES 16

/* Values of every size, with the ends of their ranges. */
static void fill_values(size_t type, uint8_t *values, int32_t *offsets, char *texts, uint64_t *seed)
{
    size_t size = row_types[type].size;
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t shift = test_random_below(seed, 64);
        unsigned __int128 value = test_random(seed) >> shift;
        uint64_t kind = test_random_below(seed, 8);
        value = kind == 0 ? 0 : kind == 1 ? INT32_MAX : kind == 2 ? INT64_MAX : value;
        value = kind == 3 ? value << 50 : kind == 4 ? ((unsigned __int128)1 << 64) - 1 : value;
        if (test_random_below(seed, 2) == 0 || (type == 14 && kind == 3)) {
            value = 0 - value;
        }
        if (row_types[type].format[0] == 't' && strcmp(row_types[type].format, "ttu") == 0) {
            value = (uint64_t)value % 86400000000;
        } else if (strcmp(row_types[type].format, "tin") == 0) {
            value &= 0xFFFFFF0FFFFFFULL; /* no interval that does not print */
        }
        memcpy(values + i * size, &value, size);
    }
    offsets[0] = 0;
    for (size_t i = 0; i < ROWS; i++) {
        int32_t len = (int32_t)(test_random_below(seed, 4) == 0 ? 0 : test_random_below(seed, 20));
        for (int32_t c = 0; c < len; c++) {
            texts[offsets[i] + c] = (char)('a' + (c + (int)i) % 26);
        }
        offsets[i + 1] = offsets[i] + len;
    }
}

/* The rows as messages, cell by cell. */
static void write_cells(const struct pg_encoder *encoders, size_t count,
                        const struct ArrowArray *batch, struct buf *cells)
{
    for (int64_t i = 0; i < batch->length; i++) {
        size_t begun = cells->len;
        buf_append(cells, "D\0\0\0\0", 5);
        pg_put16(cells, (uint16_t)count);
        for (size_t c = 0; c < count; c++) {
            size_t at = cells->len;
            bool is_null = pg_cell_is_null(&encoders[c], batch->children[c], i);
            pg_put32(cells, is_null ? UINT32_MAX : 0);
            if (!is_null) {
                CHECK_OK(pg_encode(&encoders[c], batch->children[c], i, cells, NULL));
                uint32_t len = __builtin_bswap32((uint32_t)(cells->len - at - 4));
                memcpy(cells->ptr + at, &len, sizeof(len));
            }
        }
        uint32_t len = __builtin_bswap32((uint32_t)(cells->len - begun - 1));
        memcpy(cells->ptr + begun + 1, &len, sizeof(len));
    }
}

TEST(pgvalue, rows_are_what_cells_say)
{
    // Goal: whole rows have the bytes that pg_encode gives cell by cell. Method: random columns of
    // each type in both formats, with NULLs and an offset, written in pieces of any size.
    uint64_t seed = test_seed();
    enum {
        COLUMNS = ARRAY_COUNT(row_types)
    };
    static uint8_t values[COLUMNS][ROWS * ROW_BYTES];
    static int32_t offsets[COLUMNS][ROWS + 1];
    static char texts[COLUMNS][ROWS * 20];
    static uint8_t validity[COLUMNS][ROWS / 8];
    for (int round = 0; round < 200; round++) {
        struct ArrowSchema schemas[COLUMNS];
        struct ArrowArray arrays[COLUMNS];
        struct ArrowArray *children[COLUMNS];
        const void *buffers[COLUMNS][3];
        struct pg_encoder encoders[COLUMNS];
        struct pg_row_column columns[COLUMNS];
        int64_t offset = (int64_t)test_random_below(&seed, 9);
        for (size_t c = 0; c < COLUMNS; c++) {
            bool is_text = row_types[c].size == 0;
            fill_values(c, values[c], offsets[c], texts[c], &seed);
            for (size_t i = 0; i < sizeof(validity[c]); i++) {
                validity[c][i] = (uint8_t)test_random(&seed);
            }
            bool has_nulls = test_random_below(&seed, 2) == 0;
            buffers[c][0] = has_nulls ? validity[c] : NULL;
            buffers[c][1] = is_text ? (const void *)offsets[c] : values[c];
            buffers[c][2] = texts[c];
            schemas[c] = (struct ArrowSchema){.format = row_types[c].format, .name = "c"};
            arrays[c] = (struct ArrowArray){.length = ROWS - offset,
                                            .null_count = has_nulls ? -1 : 0,
                                            .offset = offset,
                                            .n_buffers = is_text ? 3 : 2,
                                            .buffers = buffers[c]};
            children[c] = &arrays[c];
            enum pg_format format = (enum pg_format)test_random_below(&seed, 2);
            CHECK_OK(pg_encoder_init(&encoders[c], &schemas[c],
                                     pg_type_of(slice_of(row_types[c].type)), format, NULL));
        }
        struct ArrowArray batch = {
            .length = ROWS - offset, .n_children = COLUMNS, .children = children};
        struct buf rows CLEANUP(buf_fini) = {0};
        struct buf cells CLEANUP(buf_fini) = {0};
        int64_t row = 0;
        pg_rows_take(columns, encoders, COLUMNS, &batch);
        while (row < batch.length) {
            size_t stop = rows.len + 1 + test_random_below(&seed, 5000);
            CHECK_OK(pg_rows_write(columns, COLUMNS, 'D', &row, batch.length, stop, &rows, NULL));
        }
        write_cells(encoders, COLUMNS, &batch, &cells);
        assert_int_equal(rows.len, cells.len);
        assert_memory_equal(rows.ptr, cells.ptr, cells.len);
    }
}
