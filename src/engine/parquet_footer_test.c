/* Footers, by hand. What the engine's writer makes and what others read of it:
 * tests/interop/iceberg/geo_test.py. */
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "engine/parquet_footer.h"

/* Two row groups of three leaves: a number, a geometry of id 7, a geometry of id 8 in a struct. */
#define ROOT 0x48, 0x01, 'r', 0x15, 0x04, 0x00
#define PLAIN 0x15, 0x04, 0x38, 0x01, 'a', 0x55, 0x02, 0x00
#define OUTER 0x48, 0x01, 's', 0x15, 0x02, 0x45, 0x0c, 0x00
/* 1 type, 4 name, 9 field_id, 10 logicalType {17 {}}; of the second {17 {1 "x:1"}} */
#define FIRST 0x15, 0x0c, 0x38, 0x01, 'g', 0x55, 0x0e, 0x1c, 0x0c, 0x22, 0x00, 0x00, 0x00
#define SECOND                                                                                     \
    0x15, 0x0c, 0x38, 0x01, 'h', 0x55, 0x10, 0x1c, 0x0c, 0x22, 0x18, 0x03, 'x', ':', '1', 0x00,    \
        0x00, 0x00
#define BOX 0x1c, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x00
#define META 0x3c, 0x76, 0x14, 0x26, 0x28
#define WITH_BOX META, 0x8c, BOX, 0x19, 0x15, 0x02, 0x00, 0x00, 0x00
#define ONLY_BOX META, 0x8c, BOX, 0x00, 0x00, 0x00
#define NO_BOX META, 0x8c, 0x29, 0x15, 0x02, 0x00, 0x00, 0x00
#define EMPTY_BOX META, 0x8c, 0x00, 0x00, 0x00
#define BARE META, 0x00, 0x00
#define BEGIN 0x15, 0x04, 0x19, 0x5c /* 1: version; 2: five elements */
#define GROUPS 0x16, 0x04, 0x19, 0x2c
#define GROUP 0x19, 0x3c
#define GROUP_END 0x16, 0x28, 0x00
#define END 0x28, 0x01, 'w', 0x00 /* 6: created_by */

static const uint8_t FOOTER[] = {BEGIN,  ROOT,  PLAIN,    FIRST,    OUTER,     SECOND,
                                 GROUPS, GROUP, BARE,     WITH_BOX, ONLY_BOX,  GROUP_END,
                                 GROUP,  BARE,  ONLY_BOX, WITH_BOX, GROUP_END, END};
#define SLICE_OF(bytes) ((struct slice){(const char *)(bytes), sizeof(bytes)})

static const struct parquet_geo COLUMNS[] = {
    {.field_id = 8, .crs = {"EPSG:4326", 9}, .edges = PARQUET_KARNEY},
    {.field_id = 7, .edges = PARQUET_PLANAR}};
static const bool WRONG[] = {false, true, false, false}; /* of group 0 the geometry's */
static const struct parquet_mending MENDING = {COLUMNS, 2, WRONG, 2};

/* 18 {1 "EPSG:4326", 2 KARNEY (4)} */
#define MENDED_SECOND                                                                              \
    0x15, 0x0c, 0x38, 0x01, 'h', 0x55, 0x10, 0x1c, 0x0c, 0x24, 0x18, 0x09, 'E', 'P', 'S', 'G',     \
        ':', '4', '3', '2', '6', 0x15, 0x08, 0x00, 0x00, 0x00

TEST(parquet_footer, says_what_columns_are)
{
    /* Goal: two types and three boxes change, and not another byte. */
    static const uint8_t expected[] = {BEGIN,  ROOT,  PLAIN,    FIRST,  OUTER,     MENDED_SECOND,
                                       GROUPS, GROUP, BARE,     NO_BOX, EMPTY_BOX, GROUP_END,
                                       GROUP,  BARE,  ONLY_BOX, NO_BOX, GROUP_END, END};
    struct buf out CLEANUP(buf_fini) = {0};
    buf_append_str(&out, "before");
    CHECK_OK(parquet_footer_mend(SLICE_OF(FOOTER), &MENDING, &out, NULL));
    CHECK(out.len == 6 + sizeof(expected) && memcmp(out.ptr, "before", 6) == 0);
    CHECK(memcmp(out.ptr + 6, expected, sizeof(expected)) == 0);
}

TEST(parquet_footer, nothing_to_change_changes_nothing)
{
    static const struct parquet_geo columns[] = {{.field_id = 7},
                                                 {.field_id = 8, .crs = {"x:1", 3}}};
    static const bool right[4] = {false};
    const struct parquet_mending mending = {columns, 2, right, 2};
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(parquet_footer_mend(SLICE_OF(FOOTER), &mending, &out, NULL));
    CHECK(slice_equal(SLICE_OF(FOOTER), buf_slice(&out)));
}

TEST(parquet_footer, every_algorithm_has_its_number)
{
    static const struct {
        const char *word;
        uint8_t said[6];
        size_t len;
    } rows[] = {
        {"planar", {0x0c, 0x22, 0x00, 0x00}, 4},
        {"spherical", {0x0c, 0x24, 0x00, 0x00}, 4},
        {"vincenty", {0x0c, 0x24, 0x25, 0x02, 0x00, 0x00}, 6},
        {"thomas", {0x0c, 0x24, 0x25, 0x04, 0x00, 0x00}, 6},
        {"andoyer", {0x0c, 0x24, 0x25, 0x06, 0x00, 0x00}, 6},
        {"karney", {0x0c, 0x24, 0x25, 0x08, 0x00, 0x00}, 6},
    };
    static const uint8_t one[] = {0x15, 0x02, 0x19, 0x2c,  0x48, 0x01, 'r',
                                  0x15, 0x02, 0x00, FIRST, 0x16, 0x00, 0x00};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct parquet_geo column = {.field_id = 7};
        const struct parquet_mending mending = {&column, 1, NULL, 0};
        CHECK(parquet_edges_parse(slice_of(rows[i].word), &column.edges));
        CHECK_OK(parquet_footer_mend(SLICE_OF(one), &mending, &out, NULL));
        assert_int_equal(sizeof(one) - 4 + rows[i].len, out.len);
        CHECK(memcmp(out.ptr + 18, rows[i].said, rows[i].len) == 0);
    }
    enum parquet_edges edges = PARQUET_THOMAS;
    CHECK(!parquet_edges_parse(SLICE("Karney"), &edges) && edges == PARQUET_THOMAS);
    CHECK(!parquet_edges_parse(SLICE(""), &edges));
}

TEST(parquet_footer, other_columns_and_groups_than_those_meant_are_refused)
{
    static const bool right[6] = {false};
    static const struct {
        int32_t first, second;
        size_t groups;
    } rows[] = {{7, 9, 2}, {7, 7, 2}, {1, 8, 2}, {7, 6, 2}, {7, 8, 1}, {7, 8, 3}, {7, 8, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct parquet_geo columns[] = {{.field_id = rows[i].first},
                                              {.field_id = rows[i].second}};
        const struct parquet_mending mending = {columns, 2, right, rows[i].groups};
        struct buf out CLEANUP(buf_fini) = {0};
        buf_append_str(&out, "kept");
        CHECK_ERR(ERR_CORRUPT, parquet_footer_mend(SLICE_OF(FOOTER), &mending, &out, NULL));
        CHECK_SLICE("kept", buf_slice(&out));
    }
}

TEST(parquet_footer, what_is_cut_is_refused_and_what_is_changed_leaves_no_bounds)
{
    /* Goal: no footer makes it read outside of it; what is refused leaves nothing behind. */
    uint8_t changed[sizeof(FOOTER)];
    for (size_t len = 0; len < sizeof(FOOTER); len++) {
        struct buf out CLEANUP(buf_fini) = {0};
        char *exact = mem_alloc(len + 1); /* so that a sanitizer sees a byte too many */
        memcpy(exact, FOOTER, len);
        CHECK_ERR(ERR_CORRUPT,
                  parquet_footer_mend((struct slice){exact, len}, &MENDING, &out, NULL));
        CHECK(out.len == 0);
        mem_free(exact);
    }
    for (size_t at = 0; at < sizeof(FOOTER); at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct buf out CLEANUP(buf_fini) = {0};
            memcpy(changed, FOOTER, sizeof(FOOTER));
            changed[at] = (uint8_t)value;
            enum err err = parquet_footer_mend(SLICE_OF(changed), &MENDING, &out, NULL);
            CHECK(err == ERR_OK || (err == ERR_CORRUPT && out.len == 0));
        }
    }
}

TEST(parquet_footer, the_end_of_a_file_is_put_together_again)
{
    struct buf end CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    struct buf footer CLEANUP(buf_fini) = {0};
    const uint8_t len[] = {sizeof(FOOTER) & 0xFF, sizeof(FOOTER) >> 8, 0, 0};
    buf_append_str(&end, "pages");
    buf_append(&end, FOOTER, sizeof(FOOTER));
    buf_append(&end, len, 4);
    buf_append_str(&end, "PAR1");
    CHECK_OK(parquet_end_mend(buf_slice(&end), &MENDING, &out, NULL));
    CHECK_OK(parquet_footer_mend(SLICE_OF(FOOTER), &MENDING, &footer, NULL));
    assert_int_equal(5 + footer.len + 8, out.len);
    CHECK(memcmp(out.ptr, "pages", 5) == 0 && memcmp(out.ptr + 5, footer.ptr, footer.len) == 0);
    assert_int_equal(footer.len & 0xFF, (uint8_t)out.ptr[5 + footer.len]);
    assert_int_equal(footer.len >> 8, (uint8_t)out.ptr[6 + footer.len]);
    CHECK(memcmp(out.ptr + out.len - 4, "PAR1", 4) == 0);
    for (size_t cut = 1; cut < 6 + sizeof(FOOTER); cut++) { /* from the front, into the footer */
        struct slice rest = {end.ptr + cut, end.len - cut};
        buf_reset(&out);
        enum err err = parquet_end_mend(rest, &MENDING, &out, NULL);
        CHECK(err == (cut <= 5 ? ERR_OK : ERR_CORRUPT));
        CHECK(err == ERR_OK || out.len == 0);
    }
    CHECK_ERR(ERR_CORRUPT, parquet_end_mend(SLICE("PAR1"), &MENDING, &out, NULL));
}

TEST(parquet_footer, says_where_it_has_no_memory)
{
    SWEEP_ALLOC(fault)
    {
        struct buf out CLEANUP(buf_fini) = {0};
        enum err err = parquet_footer_mend(SLICE_OF(FOOTER), &MENDING, &out, NULL);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired && out.len == 0));
    }
}
