/* Footers, by hand. What the engine and other writers make: duckdb/instants_test.c. */
#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"
#include "engine/parquet_instants.h"

/* A schema of a root and of five columns: an instant and a local time of nanoseconds, an instant of
 * microseconds, an instant of nanoseconds without a field id, a column without a type. */
static const uint8_t FOOTER[] = {
    0x15, 0x02,                         /* 1: version 1 */
    0x19, 0x6c,                         /* 2: schema, six structs */
    0x48, 0x01, 'r',  0x15, 0x0a, 0x00, /*   4: name, 5: five children */
    0x15, 0x04, 0x38, 0x01, 'a',        /*   1: INT64, 4: name */
    0x55, 0x02, 0x1c, 0x8c,             /*   9: field id 1, 10: type, its 8: TIMESTAMP */
    0x11, 0x1c, 0x3c, 0x00, 0x00, 0x00, 0x00, 0x00,       /* 1: UTC, 2: unit, its 3: NANOS; ends */
    0x15, 0x04, 0x38, 0x01, 'b',                          /*   the same of */
    0x55, 0x04, 0x1c, 0x8c,                               /*   field id 2 */
    0x12, 0x1c, 0x3c, 0x00, 0x00, 0x00, 0x00, 0x00,       /* local */
    0x15, 0x04, 0x38, 0x01, 'c',                          /*   of */
    0x55, 0x06, 0x1c, 0x8c,                               /*   field id 3 */
    0x11, 0x1c, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x00,       /* UTC, 2: MICROS */
    0x15, 0x04, 0x38, 0x01, 'd',                          /*   of */
    0x6c, 0x8c,                                           /*   no id */
    0x01, 0x02, 0x1c, 0x3c, 0x00, 0x00, 0x00, 0x00, 0x00, /* 1, in its long form: UTC; NANOS */
    0x15, 0x02, 0x38, 0x01, 'e',  0x00,                   /*   INT32 */
    0x16, 0x00,                                           /* 3: rows */
    0x00};

static const struct slice WHOLE = {(const char *)FOOTER, sizeof(FOOTER)};

static size_t find(struct slice footer, bool is_utc, const int32_t *ids, size_t count,
                   size_t *ret_first)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_instants found;
    CHECK_OK(parquet_instants_find(footer, is_utc, ids, count, arena, &found));
    *ret_first = found.count > 0 ? found.offsets[0] : SIZE_MAX;
    return found.count;
}

TEST(parquet_instants, are_found_and_turned)
{
    /* Goal: of the five those of nanoseconds, by what they say; and what is turned is the other. */
    size_t at;
    uint8_t changed[sizeof(FOOTER)];
    memcpy(changed, FOOTER, sizeof(FOOTER));
    struct slice footer = {(const char *)changed, sizeof(changed)};
    assert_int_equal(2, find(WHOLE, true, NULL, 0, &at));
    assert_int_equal(0x11, FOOTER[at]);
    assert_int_equal(1, find(WHOLE, false, NULL, 0, &at));
    assert_int_equal(0x12, FOOTER[at]);
    changed[at] = parquet_instant_byte(changed[at], true);
    assert_int_equal(3, find(footer, true, NULL, 0, &at));
    size_t none;
    assert_int_equal(0, find(footer, false, NULL, 0, &none));
    changed[at] = parquet_instant_byte(changed[at], false);
    assert_int_equal(2, find(footer, true, NULL, 0, &at));
}

TEST(parquet_instants, of_field_ids_are_each_there)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_instants found;
    static const int32_t first[] = {1}, second[] = {2}, both[] = {1, 2}, none[] = {7};
    size_t at;
    assert_int_equal(1, find(WHOLE, true, first, 1, &at));
    assert_int_equal(1, find(WHOLE, false, second, 1, &at));
    CHECK_ERR(ERR_CORRUPT, parquet_instants_find(WHOLE, true, both, 2, arena, &found));
    CHECK_ERR(ERR_CORRUPT, parquet_instants_find(WHOLE, true, second, 1, arena, &found));
    CHECK_ERR(ERR_CORRUPT, parquet_instants_find(WHOLE, false, none, 1, arena, &found));
}

TEST(parquet_instants, what_is_cut_or_changed_is_refused_or_within_the_footer)
{
    /* Goal: no footer makes it read or find outside of it. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_instants found;
    uint8_t changed[sizeof(FOOTER)];
    for (size_t len = 0; len + 3 < WHOLE.len; len++) { /* what ends behind the schema is one */
        CHECK_ERR(ERR_CORRUPT, parquet_instants_find((struct slice){WHOLE.ptr, len}, true, NULL, 0,
                                                     arena, &found));
    }
    for (size_t at = 0; at < sizeof(FOOTER); at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(changed, FOOTER, sizeof(FOOTER));
            changed[at] = (uint8_t)value;
            struct slice footer = {(const char *)changed, sizeof(changed)};
            if (parquet_instants_find(footer, true, NULL, 0, arena, &found) == ERR_OK) {
                for (size_t i = 0; i < found.count; i++) {
                    CHECK(found.offsets[i] < sizeof(FOOTER));
                }
            }
            arena_reset(arena);
        }
    }
}

TEST(parquet_instants, memory_runs_out)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct parquet_instants found;
        enum err err = arena == NULL ? (enum err)ERR_NOMEM
                                     : parquet_instants_find(WHOLE, true, NULL, 0, arena, &found);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
    }
}
