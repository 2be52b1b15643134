#include "arrow/value.h"

#include <math.h>

#include "arrow/sample.h"
#include "base/sweep.h"
#include "base/test.h"

struct expectation {
    const char *column;
    const char *first;
    const char *second;
    const char *fourth;
};

static const struct expectation sql_texts[] = {
    {"bool", "true", "false", "true"},
    {"i8", "1", "-128", "127"},
    {"u8", "1", "0", "255"},
    {"i16", "1", "-32768", "32767"},
    {"u16", "1", "0", "65535"},
    {"i32", "1", "-2147483648", "2147483647"},
    {"u32", "1", "0", "4294967295"},
    {"i64", "1", "-9223372036854775808", "9223372036854775807"},
    {"u64", "1", "0", "18446744073709551615"},
    {"f32", "0.1", "-16777216.0", "3.4028235e+38"},
    {"f64", "0.1", "-1.0", "1e+300"},
    {"d128", "1.50", "-0.05", "999999999999999999999999999999999999.99"},
    {"huge", "1", "-5", "99999999999999999999999999999999999999"},
    {"utf8", "a", "", "\xc3\xa9, \"b\"\x01"},
    {"large_utf8", "a", "", "\xc3\xa9, \"b\"\x01"},
    {"binary", "\\x61", "\\x",
     "\\xc3a92c20226222"
     "01"},
    {"fixed_binary", "\\x61c3", "\\xa92c", "\\x6222"},
    {"date32", "1970-01-01", "0001-01-01", "2024-01-01"},
    {"time", "00:00:00", "01:02:03.000001", "23:59:59.999999"},
    {"ts_s", "1970-01-01 00:00:00", "1969-12-31 23:59:59", "2023-12-31 23:59:59"},
    {"ts_ms", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999", "2023-12-31 23:59:59.5"},
    {"ts_us", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2023-12-31 23:59:59.5"},
    {"ts_ns", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999999",
     "2023-12-31 23:59:59.500000001"},
    {"ts_tz", "1970-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00",
     "2023-12-31 23:59:59.5+00"},
    {"ts_offset", "1970-01-01 05:30:00+05:30", "1970-01-01 05:29:59.999999+05:30",
     "2024-01-01 05:29:59.5+05:30"},
    {"interval", "00:00:00", "-1 year -2 months 3 days -01:00:00", "1 month -1 day 00:00:01.5"},
    {"list", "[1, 2]", "[]", "[NULL, 4]"},
    {"large", "[1, 2]", "[]", "[NULL, 4]"},
    {"fixed", "[1, 2]", "[NULL, 4]", "[7, 8]"},
    {"struct", "{'key': x, 'item': 1}", "{'key': 'y ', 'item': 2}", "{'key': zNU, 'item': 4}"},
    {"map", "{x=1, 'y '=2}", "{}", "{''=NULL, zNU=4}"},
    {"enum", "y ", "x", "zNU"},
};

static const struct expectation json_texts[] = {
    {"bool", "true", "false", "true"},
    {"u64", "1", "0", "18446744073709551615"},
    {"f64", "0.1", "-1.0", "1e+300"},
    {"huge", "1", "-5", "99999999999999999999999999999999999999"},
    {"utf8", "\"a\"", "\"\"", "\"\xc3\xa9, \\\"b\\\"\\u0001\""},
    {"binary", "\"\\\\x61\"", "\"\\\\x\"", "\"\\\\xc3a92c2022622201\""},
    {"date32", "\"1970-01-01\"", "\"0001-01-01\"", "\"2024-01-01\""},
    {"list", "[1,2]", "[]", "[null,4]"},
    {"struct", "{\"key\":\"x\",\"item\":1}", "{\"key\":\"y \",\"item\":2}",
     "{\"key\":\"zNU\",\"item\":4}"},
    {"map", "{\"x\":1,\"y \":2}", "{}", "{\"\":null,\"zNU\":4}"},
    {"enum", "\"y \"", "\"x\"", "\"zNU\""},
};

typedef enum err (*print_fn)(const struct ArrowSchema *, const struct ArrowArray *, int64_t,
                             struct buf *, struct errinfo *);

static void check_texts(const struct expectation *expected, size_t count, print_fn print,
                        const char *null_text, int64_t offset)
{
    struct sample sample;
    sample_init(&sample);
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < count; i++) {
        size_t c = 0;
        while (strcmp(sample.schema->children[c]->name, expected[i].column) != 0) {
            c++;
        }
        struct ArrowArray array = *sample.batch->children[c];
        array.offset = offset;
        const char *const rows[] = {expected[i].first, expected[i].second, null_text,
                                    expected[i].fourth};
        for (int64_t row = 0; row + offset < SAMPLE_ROWS; row++) {
            buf_reset(&text);
            CHECK_OK(print(sample.schema->children[c], &array, row, &text, NULL));
            CHECK_STR(rows[row + offset], buf_cstr(&text));
        }
    }
}

TEST(value, every_type_prints_as_sql)
{
    for (int64_t offset = 0; offset < SAMPLE_ROWS; offset++) {
        check_texts(sql_texts, ARRAY_COUNT(sql_texts), arrow_print, "NULL", offset);
    }
}

TEST(value, every_type_prints_as_json)
{
    for (int64_t offset = 0; offset < SAMPLE_ROWS; offset++) {
        check_texts(json_texts, ARRAY_COUNT(json_texts), arrow_print_json, "null", offset);
    }
}

static void check_double(double value, const char *expected, const char *expected_json)
{
    const void *buffers[] = {NULL, &value};
    struct ArrowSchema schema = {.format = "g", .name = "x"};
    struct ArrowArray array = {.length = 1, .n_buffers = 2, .buffers = buffers};
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(arrow_print(&schema, &array, 0, &text, NULL));
    CHECK_STR(expected, buf_cstr(&text));
    buf_reset(&text);
    CHECK_OK(arrow_print_json(&schema, &array, 0, &text, NULL));
    CHECK_STR(expected_json, buf_cstr(&text));
}

TEST(value, doubles_are_short_and_exact)
{
    check_double(0.0, "0.0", "0.0");
    check_double(-0.0, "-0.0", "-0.0");
    check_double(1e15, "1000000000000000.0", "1000000000000000.0");
    check_double(1e16, "1e+16", "1e+16");
    check_double(0.0001, "0.0001", "0.0001");
    check_double(0.00001, "1e-05", "1e-05");
    check_double(123456.789, "123456.789", "123456.789");
    check_double(5e-324, "5e-324", "5e-324");
    check_double((double)NAN, "NaN", "\"NaN\"");
    check_double(-HUGE_VAL, "-Infinity", "\"-Infinity\"");
    // Method: random bit patterns must read back as themselves.
    uint64_t seed = test_seed();
    struct ArrowSchema schema = {.format = "g", .name = "x"};
    struct buf text CLEANUP(buf_fini) = {0};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = test_random(&seed);
        double value;
        memcpy(&value, &bits, 8);
        if (!isfinite(value)) {
            continue;
        }
        const void *buffers[] = {NULL, &value};
        struct ArrowArray array = {.length = 1, .n_buffers = 2, .buffers = buffers};
        buf_reset(&text);
        CHECK_OK(arrow_print(&schema, &array, 0, &text, NULL));
        CHECK(strtod(buf_cstr(&text), NULL) == value);
    }
}

TEST(value, infinite_and_early_dates_have_words)
{
    int32_t days[] = {INT32_MAX, -INT32_MAX, -719528};
    const void *buffers[] = {NULL, days};
    struct ArrowSchema schema = {.format = "tdD", .name = "x"};
    struct ArrowArray array = {.length = 3, .n_buffers = 2, .buffers = buffers};
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(arrow_print(&schema, &array, 0, &text, NULL));
    CHECK_OK(arrow_print(&schema, &array, 1, &text, NULL));
    CHECK_OK(arrow_print(&schema, &array, 2, &text, NULL));
    CHECK_STR("infinity-infinity0001-01-01 (BC)", buf_cstr(&text));
}

TEST(value, unknown_types_are_refused_by_column)
{
    static const char *const formats[] = {"+ud:5,6", "vu", "d:76,0,256", "tsq:", "w:x", "d:5", ""};
    const void *buffers[] = {NULL, "aaaaaaaa"};
    struct ArrowArray array = {.length = 1, .n_buffers = 2, .buffers = buffers};
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct ArrowSchema schema = {.format = formats[i], .name = "odd"};
        struct errinfo info;
        CHECK_ERR(ERR_UNSUPPORTED, arrow_print(&schema, &array, 0, &text, &info));
        CHECK(strstr(info.message, "\"odd\"") != NULL);
    }
}

TEST(value, a_dictionary_index_out_of_range_is_corruption)
{
    struct sample sample;
    sample_init(&sample);
    struct ArrowSchema *schema = sample.schema->children[sample.column_count - 2];
    struct ArrowArray array = *sample.batch->children[sample.column_count - 2];
    array.null_count = 0; /* so that row 2, index 9, is read */
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_ERR(ERR_CORRUPT, arrow_print(schema, &array, 2, &text, &info));
}
