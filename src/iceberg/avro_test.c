#include "iceberg/avro.h"

#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/manifest_writer_int.h"

static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};

#define ANY_SCHEMA                                                                                 \
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["                                             \
    "{\"name\":\"a\",\"type\":[\"null\",\"string\"],\"field-id\":7},"                              \
    "{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":\"long\",\"element-id\":8}},"          \
    "{\"name\":\"c\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"fixed\",\"name\":\"f\","    \
    "\"size\":2,\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}}},"                       \
    "{\"name\":\"d\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\"]}},"            \
    "{\"name\":\"g\",\"type\":\"f\"},{\"name\":\"h\",\"type\":\"double\"},"                        \
    "{\"name\":\"i\",\"type\":\"boolean\"},{\"name\":\"j\",\"type\":\"float\"},"                   \
    "{\"name\":\"k\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"p\","  \
    "\"fields\":[{\"name\":\"key\",\"type\":\"int\"},{\"name\":\"value\",\"type\":\"bytes\"}]}}}," \
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}]}"

/* One record of ANY_SCHEMA, with runs of items that say their size and runs that do not. */
static void put_any(struct buf *out, int64_t number)
{
    put_optional_text(out, number % 2 == 0 ? "text" : NULL);
    put_long(out, 2); /* b */
    put_long(out, number);
    put_long(out, INT64_MIN);
    put_long(out, -1);
    put_long(out, 10);
    put_long(out, INT64_MAX);
    put_long(out, 0);
    put_long(out, 1); /* c */
    put_text(out, "key");
    buf_append_str(out, "zz");
    put_long(out, 0);
    put_long(out, 0);                      /* d */
    buf_append_str(out, "ffdoubless");     /* g, h */
    buf_append(out, "\1flt.\2\2\4yy", 10); /* i, j, k: one pair */
    put_long(out, 0);
    put_long(out, 1000000); /* l: a million of nothing */
    put_long(out, 0);
}

static void make_file(const char *codec, struct buf *out)
{
    struct buf block CLEANUP(buf_fini) = {0};
    put_header(out, ANY_SCHEMA, codec, (const char *const[]){"who", "me", NULL});
    for (int64_t b = 1; b <= 3; b++) {
        buf_reset(&block);
        for (int64_t i = 0; i < b; i++) {
            put_any(&block, b * 1000000007 + i);
        }
        put_block(out, b, buf_slice(&block), codec);
    }
}

/* Steps over all records; how many there are. */
static enum err count_records(struct slice bytes, uint64_t *ret_count, struct errinfo *info)
{
    struct avro_reader *reader CLEANUP(avro_cleanup) = NULL;
    uint64_t count = 0;
    TRY(avro_open(bytes, &reader, info));
    for (;;) {
        uint64_t records;
        struct slice block;
        TRY(avro_next_block(reader, &records, &block, info));
        struct avro_cursor cursor = {(const uint8_t *)block.ptr,
                                     (const uint8_t *)block.ptr + block.len};
        if (records == 0) {
            *ret_count = count;
            return ERR_OK;
        }
        for (uint64_t i = 0; i < records; i++, count++) {
            if (!avro_skip(&cursor, avro_reader_schema(reader))) {
                return ERR_CORRUPT;
            }
        }
        if (cursor.at != cursor.end) {
            return ERR_CORRUPT;
        }
    }
}

TEST(avro, numbers_of_every_length)
{
    /* Goal: zigzag numbers as the specification has them; none that leaves 64 bits or the block. */
    struct buf out CLEANUP(buf_fini) = {0};
    int64_t values[200];
    size_t count = 0;
    for (unsigned bit = 0; bit < 63; bit++) {
        values[count++] = (int64_t)1 << bit;
        values[count++] = -((int64_t)1 << bit);
        values[count++] = ((int64_t)1 << bit) - 1;
    }
    values[count++] = INT64_MIN;
    values[count++] = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        put_long(&out, values[i]);
    }
    struct avro_cursor cursor = {(const uint8_t *)out.ptr, (const uint8_t *)out.ptr + out.len};
    int64_t value;
    for (size_t i = 0; i < count; i++) {
        CHECK(avro_read_long(&cursor, &value));
        CHECK(value == values[i]);
    }
    CHECK(!avro_read_long(&cursor, &value));
    static const struct {
        const char *bytes;
        size_t len;
    } wrong[] = {{"\x80", 1},
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
                 {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        const uint8_t *start = (const uint8_t *)wrong[i].bytes;
        cursor = (struct avro_cursor){start, start + wrong[i].len};
        CHECK(!avro_read_long(&cursor, &value));
    }
}

TEST(avro, blocks_of_every_codec)
{
    /* Goal: six records in three blocks come back in each codec, stepped over exactly. */
    for (size_t c = 0; c < ARRAY_COUNT(codecs); c++) {
        struct buf file CLEANUP(buf_fini) = {0};
        struct avro_reader *reader CLEANUP(avro_cleanup) = NULL;
        uint64_t count;
        make_file(codecs[c], &file);
        CHECK_OK(count_records(buf_slice(&file), &count, NULL));
        CHECK(count == 6);
        CHECK_OK(avro_open(buf_slice(&file), &reader, NULL));
        CHECK_SLICE("me", avro_metadata(reader, "who"));
        CHECK(avro_metadata(reader, "nobody").len == 0);
    }
}

TEST(avro, schema_keeps_what_iceberg_needs)
{
    struct buf file CLEANUP(buf_fini) = {0};
    struct avro_reader *reader CLEANUP(avro_cleanup) = NULL;
    make_file("null", &file);
    CHECK_OK(avro_open(buf_slice(&file), &reader, NULL));
    const struct avro_schema *root = avro_reader_schema(reader);
    CHECK(root->kind == AVRO_RECORD && root->field_count == 10);
    CHECK(root->fields[0].id == 7 && root->fields[1].id == -1);
    CHECK_SLICE("a", root->fields[0].name);
    CHECK(root->fields[0].schema->kind == AVRO_UNION && root->fields[0].schema->field_count == 2);
    CHECK(root->fields[1].schema->element_id == 8);
    const struct avro_schema *again = root->fields[4].schema; /* named, used a second time */
    CHECK(again->kind == AVRO_FIXED && again->size == 2 && again->constant_bytes == 2);
    CHECK_SLICE("decimal", again->logical_type);
    CHECK(again->precision == 4 && again->scale == 1);
    CHECK(root->constant_bytes == -1 && root->fields[5].schema->constant_bytes == 8);
}

static enum err open_schema(const char *schema, const char *codec, struct errinfo *info)
{
    struct buf file CLEANUP(buf_fini) = {0};
    struct avro_reader *reader CLEANUP(avro_cleanup) = NULL;
    put_header(&file, schema, codec, NULL);
    return avro_open(buf_slice(&file), &reader, info);
}

TEST(avro, refuses_by_name)
{
    struct errinfo info;
    errinfo_init(&info);
    CHECK_ERR(ERR_UNSUPPORTED, open_schema("\"int\"", "xz", &info));
    CHECK_STR("Avro codec \"xz\" is not supported", info.message);
    CHECK_ERR(ERR_UNSUPPORTED,
              open_schema("{\"type\":\"record\",\"name\":\"self\",\"fields\":[{\"name\":\"a\","
                          "\"type\":[\"null\",\"self\"]}]}",
                          "null", &info));
    CHECK_STR("Avro type \"self\" refers to itself", info.message);
    static const char *const wrong[] = {"",
                                        "[]",
                                        "{}",
                                        "5",
                                        "\"nobody\"",
                                        "{\"type\":\"record\",\"name\":\"r\"}",
                                        "{\"type\":\"record\",\"fields\":[]}",
                                        "{\"type\":\"array\"}",
                                        "{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}",
                                        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{}]}"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_ERR(ERR_CORRUPT, open_schema(wrong[i], "null", &info));
    }
}

TEST(avro, bounds_what_a_small_file_can_cost)
{
    /* Goal: no hang. Method: a schema of forty lines that stands for 2^40 nulls; nesting without
     * end; an item of nothing claimed 2^62 times; a block that unpacks to more than the limit. */
    struct buf schema CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    for (int i = 40; i > 0; i--) {
        buf_printf(
            &schema,
            "{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[{\"name\":\"a\",\"type\":", i);
    }
    buf_append_str(&schema, "\"null\"");
    for (int i = 1; i <= 40; i++) {
        buf_printf(&schema, "},{\"name\":\"b\",\"type\":\"%s%.0d\"}]}", i == 1 ? "null" : "r",
                   i - 1);
    }
    CHECK_ERR(ERR_LIMIT, open_schema(buf_cstr(&schema), "null", &info));
    CHECK_STR("an Avro schema has more than 100000 types", info.message);
    buf_reset(&schema);
    for (int i = 0; i < 100; i++) {
        buf_append_str(&schema, "{\"type\":\"array\",\"items\":");
    }
    CHECK(open_schema(buf_cstr(&schema), "null", &info) != ERR_OK);

    struct buf file CLEANUP(buf_fini) = {0};
    struct buf block CLEANUP(buf_fini) = {0};
    uint64_t count;
    put_header(&file, "{\"type\":\"array\",\"items\":\"null\"}", "null", NULL);
    for (int i = 0; i < 10000; i++) {
        put_long(&block, INT64_MAX / 2);
    }
    put_long(&block, 0);
    put_block(&file, 1, buf_slice(&block), "null");
    CHECK_OK(count_records(buf_slice(&file), &count, &info));

    for (size_t c = 1; c < ARRAY_COUNT(codecs); c++) {
        struct buf bomb CLEANUP(buf_fini) = {0};
        struct buf zeros CLEANUP(buf_fini) = {0};
        char *room = buf_reserve(&zeros, AVRO_BLOCK_BYTES_MAX + 1);
        CHECK(room != NULL);
        memset(room, 0, AVRO_BLOCK_BYTES_MAX + 1);
        zeros.len = AVRO_BLOCK_BYTES_MAX + 1;
        put_header(&bomb, "\"int\"", codecs[c], NULL);
        put_block(&bomb, 1, buf_slice(&zeros), codecs[c]);
        CHECK_ERR(ERR_LIMIT, count_records(buf_slice(&bomb), &count, &info));
    }
}

TEST(avro, a_block_of_no_records_holds_nothing)
{
    for (size_t c = 0; c < ARRAY_COUNT(codecs); c++) {
        struct buf file CLEANUP(buf_fini) = {0};
        uint64_t count;
        put_header(&file, "\"int\"", codecs[c], NULL);
        put_block(&file, 0, SLICE(""), codecs[c]);
        put_block(&file, 1, SLICE("\2"), codecs[c]);
        CHECK_OK(count_records(buf_slice(&file), &count, NULL));
        CHECK(count == 1);
        put_block(&file, 0, SLICE("\2"), codecs[c]);
        CHECK_ERR(ERR_CORRUPT, count_records(buf_slice(&file), &count, NULL));
    }
}

TEST(avro, a_changed_byte_in_a_snappy_file_is_seen)
{
    /* Goal: where there is a checksum, each changed byte behind the schema is an error. Method: all
     * bits of all bytes. In the header a name may change without a count being another. */
    struct buf file CLEANUP(buf_fini) = {0};
    make_file("snappy", &file);
    struct slice whole = buf_slice(&file);
    size_t header = slice_find(whole, SLICE(WRITER_SYNC)) + strlen(WRITER_SYNC);
    for (size_t i = 0; i < file.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint64_t count = 0;
            file.ptr[i] = (char)(file.ptr[i] ^ 1 << bit);
            enum err err = count_records(whole, &count, NULL);
            file.ptr[i] = (char)(file.ptr[i] ^ 1 << bit);
            CHECK(i < header ? err != ERR_OK || count == 6 : err != ERR_OK);
        }
    }
}

TEST(avro, a_cut_file_is_seen_unless_at_a_block)
{
    for (size_t c = 0; c < ARRAY_COUNT(codecs); c++) {
        struct buf file CLEANUP(buf_fini) = {0};
        size_t whole_ends = 0;
        make_file(codecs[c], &file);
        for (size_t len = 0; len < file.len; len++) {
            uint64_t count;
            struct slice cut = {file.ptr, len};
            bool is_at_sync = slice_ends_with(cut, SLICE(WRITER_SYNC));
            CHECK((count_records(cut, &count, NULL) == ERR_OK) == is_at_sync);
            whole_ends += is_at_sync ? 1 : 0;
        }
        CHECK(whole_ends == 3);
    }
}

TEST(avro, survives_failed_allocations)
{
    for (size_t c = 0; c < ARRAY_COUNT(codecs); c++) {
        struct buf file CLEANUP(buf_fini) = {0};
        make_file(codecs[c], &file);
        SWEEP_ALLOC(fault)
        {
            uint64_t count = 0;
            enum err err = count_records(buf_slice(&file), &count, NULL);
            CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK && count == 6);
        }
    }
}
