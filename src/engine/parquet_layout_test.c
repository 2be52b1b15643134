/* Footers, by hand. What the engine writes: duckdb/readahead_test.c. */
#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"
#include "engine/parquet_layout.h"

/* Two groups of two columns: with a dictionary, and without; an unknown field of each kind. */
static const uint8_t FOOTER[] = {
    0x15, 0x02,                               /* 1: version 1 */
    0x19, 0x1c, 0x48, 0x01, 'r',  0x00,       /* 2: schema, a list of one struct with a text (4) */
    0x16, 0x28,                               /* 3: rows */
    0x19, 0x2c,                               /* 4: two row groups */
    0x19, 0x2c,                               /*   1: two columns */
    0x26, 0x08, 0x1c,                         /*     2: file_offset; 3: meta_data */
    0x76, 0x14, 0x26, 0x28, 0x26, 0x08,       /* 7: 10 bytes; 9: data at 20; 11: dictionary at 4 */
    0x00, 0x00,                               /*     ends of meta_data and column */
    0x3c, 0x76, 0x14, 0x26, 0x3c, 0x00, 0x00, /* 10 bytes at 30 */
    0x16, 0x28, 0x00,                         /*   2: total_byte_size; the end of the group */
    0x19, 0x2c, 0x3c, 0x76, 0x14, 0x26, 0x64, 0x26, 0x00, 0x00, 0x00, /* at 50; dictionary at 0 */
    0x3c, 0x76, 0x28, 0x26, 0x78, 0x00, 0x00,                         /* 20 bytes at 60 */
    0x00, 0x1b, 0x01, 0x88, 0x01, 'k',  0x01, 'v',                    /* 5: a map of texts */
    0x00};

static const struct slice WHOLE = {(const char *)FOOTER, sizeof(FOOTER)};

TEST(parquet_layout, says_where_chunks_lie)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_layout layout;
    CHECK_OK(parquet_layout_read(WHOLE, 1000, arena, &layout));
    static const struct parquet_chunk expected[] = {{4, 10}, {30, 10}, {50, 10}, {60, 20}};
    assert_int_equal(2, layout.group_count);
    assert_int_equal(2, layout.column_count);
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_int_equal(expected[i].offset, layout.chunks[i].offset);
        assert_int_equal(expected[i].len, layout.chunks[i].len);
    }
    CHECK_OK(parquet_layout_read(WHOLE, 80, arena, &layout));
    CHECK_ERR(ERR_CORRUPT, parquet_layout_read(WHOLE, 79, arena, &layout)); /* the last one ends */
}

TEST(parquet_layout, what_is_cut_or_changed_is_refused_or_within_the_file)
{
    /* Goal: no footer makes it read outside of it, nor tell of bytes outside of the file. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_layout layout;
    uint8_t changed[sizeof(FOOTER)];
    for (size_t len = 0; len < WHOLE.len; len++) {
        CHECK_ERR(ERR_CORRUPT,
                  parquet_layout_read((struct slice){WHOLE.ptr, len}, 1000, arena, &layout));
    }
    for (size_t at = 0; at < sizeof(FOOTER); at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(changed, FOOTER, sizeof(FOOTER));
            changed[at] = (uint8_t)value;
            struct slice footer = {(const char *)changed, sizeof(changed)};
            if (parquet_layout_read(footer, 1000, arena, &layout) == ERR_OK) {
                for (size_t i = 0; i < layout.group_count * layout.column_count; i++) {
                    CHECK(layout.chunks[i].offset + layout.chunks[i].len <= 1000);
                }
            }
            arena_reset(arena);
        }
    }
}

TEST(parquet_layout, groups_that_are_not_in_order_are_refused)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_layout layout;
    uint8_t changed[sizeof(FOOTER)];
    memcpy(changed, FOOTER, sizeof(FOOTER));
    uint8_t *at = memchr(changed, 0x64, sizeof(changed)); /* 50 */
    *at = 0x28;
    struct slice footer = {(const char *)changed, sizeof(changed)};
    CHECK_ERR(ERR_CORRUPT, parquet_layout_read(footer, 1000, arena, &layout));
}

TEST(parquet_layout, a_file_ends_with_the_length_of_its_footer)
{
    assert_int_equal(0, parquet_footer_len(SLICE("")));
    assert_int_equal(0, parquet_footer_len(SLICE("PAR1")));
    assert_int_equal(0x04030201, parquet_footer_len(SLICE("x\1\2\3\4PAR1")));
    assert_int_equal(0, parquet_footer_len(SLICE("x\1\2\3\4PARE"))); /* an encrypted footer */
}

TEST(parquet_layout, says_where_it_has_no_memory)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct parquet_layout layout;
        enum err err =
            arena == NULL ? (enum err)ERR_NOMEM : parquet_layout_read(WHOLE, 1000, arena, &layout);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
    }
}
