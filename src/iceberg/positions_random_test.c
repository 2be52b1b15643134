/* Sets of positions and deletion vectors against sorted arrays of plain numbers. */
#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/deletes.h"

#define POSITION_LIMIT ((uint64_t)0x7FFFFFFF << 32) /* the least that is none */

/* ---- the plain oracle ---- */

struct rows {
    uint64_t *items; /* ascending, each once, after rows_order */
    size_t count;
    size_t capacity;
};

static void rows_fini(struct rows *rows)
{
    mem_free(rows->items);
}

static void rows_add(struct rows *rows, uint64_t row)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 1024 : rows->capacity * 2;
        rows->items = mem_realloc(rows->items, rows->capacity * sizeof(*rows->items));
        CHECK(rows->items != NULL);
    }
    rows->items[rows->count++] = row;
}

static int compare_rows(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void rows_order(struct rows *rows)
{
    size_t kept = 0;
    if (rows->count > 0) {
        qsort(rows->items, rows->count, sizeof(*rows->items), compare_rows);
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (i == 0 || rows->items[i] != rows->items[kept - 1]) {
            rows->items[kept++] = rows->items[i];
        }
    }
    rows->count = kept;
}

/* How many are below `row`. */
static size_t rows_below(const struct rows *rows, uint64_t row)
{
    size_t first = 0;
    size_t last = rows->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (rows->items[middle] < row) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

static bool rows_has(const struct rows *rows, uint64_t row)
{
    size_t at = rows_below(rows, row);
    return at < rows->count && rows->items[at] == row;
}

/* ---- random sets ---- */

enum shape {
    SHAPE_SPARSE,
    SHAPE_DENSE,
    SHAPE_RUNS,
    SHAPE_EVERY_OTHER,
    SHAPE_FULL,
    SHAPE_FAR,
    SHAPE_EDGES,
    SHAPE_MIXED,
    SHAPES
};

static void add_run(struct rows *rows, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count && first + i < POSITION_LIMIT; i++) {
        rows_add(rows, first + i);
    }
}

static void make_rows(enum shape shape, uint64_t *seed, struct rows *rows)
{
    size_t count = 1 + test_random_below(seed, 3000);
    switch (shape) {
    case SHAPE_SPARSE:
        for (size_t i = 0; i < count; i++) {
            rows_add(rows, test_random_below(seed, (uint64_t)1 << 33));
        }
        break;
    case SHAPE_DENSE:
        for (size_t i = 0; i < 20000; i++) {
            rows_add(rows, test_random_below(seed, 70000));
        }
        break;
    case SHAPE_RUNS:
        for (size_t i = 0; i < 12; i++) {
            add_run(rows, test_random_below(seed, 200000), test_random_below(seed, 3000));
        }
        break;
    case SHAPE_EVERY_OTHER:
        for (size_t i = 0; i < 10000; i++) {
            rows_add(rows, 60000 + 2 * i);
        }
        break;
    case SHAPE_FULL: /* whole containers, so that runs touch over their border */
        add_run(rows, 65536 - test_random_below(seed, 3), 2 * 65536 + test_random_below(seed, 3));
        break;
    case SHAPE_FAR:
        for (size_t i = 0; i < count; i++) {
            uint64_t high = test_random_below(seed, 40) * (uint64_t)53687091;
            rows_add(rows, high << 32 | (test_random(seed) & UINT32_MAX));
        }
        break;
    case SHAPE_EDGES: /* both sides of containers, of 2^32, of the limit */
        for (uint64_t i = 0; i < 6; i++) {
            add_run(rows, ((uint64_t)65536 << i) - 2, 4);
            add_run(rows, ((uint64_t)(i + 1) << 32) - 2, 4);
        }
        rows_add(rows, 0);
        rows_add(rows, POSITION_LIMIT - 1);
        break;
    case SHAPE_MIXED:
        make_rows(SHAPE_SPARSE, seed, rows);
        make_rows(SHAPE_DENSE, seed, rows);
        make_rows(SHAPE_RUNS, seed, rows);
        make_rows(SHAPE_FAR, seed, rows);
        break;
    case SHAPES:
        break;
    }
}

/* Adds all rows in random order and pieces, some of them twice. */
static void add_shuffled(struct iceberg_positions *positions, const struct rows *rows,
                         uint64_t *seed)
{
    int64_t *order = mem_calloc(rows->count + 1, sizeof(*order));
    CHECK(order != NULL);
    bool is_shuffled = test_random_below(seed, 2) == 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t other = is_shuffled ? test_random_below(seed, i + 1) : i;
        order[i] = order[other];
        order[other] = (int64_t)rows->items[i];
    }
    for (size_t at = 0; at < rows->count;) {
        size_t len = 1 + test_random_below(seed, rows->count - at);
        CHECK_OK(iceberg_positions_add(positions, order + at, len, NULL));
        at += test_random_below(seed, 4) == 0 ? 1 + test_random_below(seed, len) : len;
    }
    mem_free(order);
}

/* ---- comparing ---- */

static void check_copy(const struct iceberg_positions *positions, const struct rows *rows,
                       size_t capacity, uint64_t from)
{
    uint64_t *found = mem_calloc(capacity, sizeof(*found));
    CHECK(found != NULL);
    size_t at = rows_below(rows, from);
    for (;;) {
        size_t count = iceberg_positions_copy(positions, from, found, capacity);
        CHECK(count == (rows->count - at < capacity ? rows->count - at : capacity));
        if (count == 0) {
            break;
        }
        assert_memory_equal(found, rows->items + at, count * sizeof(*found));
        at += count;
        from = found[count - 1] + 1;
    }
    mem_free(found);
}

/* A row near one of the set, so that hits and near misses are as likely as misses. */
static uint64_t near(const struct rows *rows, uint64_t *seed)
{
    if (rows->count == 0 || test_random_below(seed, 4) == 0) {
        return test_random(seed) >> 1 >> test_random_below(seed, 60);
    }
    uint64_t row = rows->items[test_random_below(seed, rows->count)];
    uint64_t step = test_random_below(seed, 4);
    return test_random_below(seed, 2) == 0 && row >= step ? row - step : row + step;
}

static void check_live(const struct iceberg_positions *positions, const struct rows *rows,
                       uint64_t *seed)
{
    int64_t asked[500];
    bool live[501];
    size_t count = test_random_below(seed, ARRAY_COUNT(asked) + 1);
    uint64_t first = near(rows, seed);
    uint64_t kind =
        test_random_below(seed, 5); /* run, run with one gap, ascending, any, shuffled */
    for (size_t i = 0; i < count; i++) {
        uint64_t row = kind == 3   ? near(rows, seed)
                       : kind == 2 ? first + 3 * i
                                   : first + i + (kind == 1 && i > count / 2 ? 1 : 0);
        asked[i] = (int64_t)(row & INT64_MAX);
        live[i] = test_random_below(seed, 2) == 0;
    }
    for (size_t i = 1; kind == 4 && i + 2 < count; i++) { /* ends as a run does */
        int64_t row = asked[i];
        asked[i] = asked[i + 1];
        asked[i + 1] = row;
    }
    bool behind = test_random_below(seed, 2) == 0;
    live[count] = behind;
    iceberg_positions_live(positions, asked, count, live);
    CHECK(live[count] == behind);
    for (size_t i = 0; i < count; i++) {
        CHECK(live[i] == !rows_has(rows, (uint64_t)asked[i]));
    }
}

static void check_equal(const struct iceberg_positions *positions, const struct rows *rows,
                        uint64_t *seed)
{
    CHECK(iceberg_positions_count(positions) == rows->count);
    check_copy(positions, rows, 1 + test_random_below(seed, 5000), 0);
    check_copy(positions, rows, 1000, near(rows, seed));
    for (size_t i = 0; i < 300; i++) {
        uint64_t row = near(rows, seed);
        CHECK(iceberg_positions_has(positions, row) == rows_has(rows, row));
        uint64_t count = test_random(seed) >> test_random_below(seed, 64);
        uint64_t end = count > UINT64_MAX - row ? UINT64_MAX : row + count;
        CHECK(iceberg_positions_any(positions, row, count) ==
              (rows_below(rows, end) > rows_below(rows, row)));
    }
    for (size_t i = 0; i < 40; i++) {
        check_live(positions, rows, seed);
    }
}

TEST(positions, random_sets_equal_plain_ones)
{
    /* Goal: every question is answered as a sorted array answers it, before and after a trip
     * through a deletion vector, and for the union with another set. */
    uint64_t seed = test_seed();
    for (int round = 0; round < 3 * SHAPES; round++) {
        struct rows rows CLEANUP(rows_fini) = {0};
        struct rows other CLEANUP(rows_fini) = {0};
        struct buf vector CLEANUP(buf_fini) = {0};
        struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
        struct iceberg_positions *both CLEANUP(iceberg_positions_cleanup) = NULL;
        make_rows((enum shape)(round % SHAPES), &seed, &rows);
        rows_order(&rows);
        CHECK_OK(iceberg_positions_open(&positions, NULL));
        add_shuffled(positions, &rows, &seed);
        check_equal(positions, &rows, &seed);
        CHECK_OK(iceberg_positions_write_vector(positions, &vector, NULL));

        make_rows((enum shape)test_random_below(&seed, SHAPES), &seed, &other);
        rows_order(&other);
        CHECK_OK(iceberg_positions_open(&both, NULL));
        add_shuffled(both, &other, &seed);
        CHECK_OK(iceberg_positions_add_vector(both, buf_slice(&vector), (int64_t)rows.count, NULL));
        for (size_t i = 0; i < rows.count; i++) {
            rows_add(&other, rows.items[i]);
        }
        rows_order(&other);
        check_equal(both, &other, &seed);

        struct iceberg_positions *again CLEANUP(iceberg_positions_cleanup) = NULL;
        CHECK_OK(iceberg_positions_open(&again, NULL));
        CHECK_OK(iceberg_positions_add_vector(again, buf_slice(&vector), ICEBERG_NO_ID, NULL));
        check_equal(again, &rows, &seed);
        add_shuffled(again, &other, &seed); /* onto the library's own forms of containers */
        check_equal(again, &other, &seed);
    }
}

TEST(positions, an_empty_set_deletes_nothing)
{
    struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
    struct buf vector CLEANUP(buf_fini) = {0};
    uint64_t row;
    bool live[2] = {false, false};
    CHECK_OK(iceberg_positions_open(&positions, NULL));
    CHECK_OK(iceberg_positions_add(positions, NULL, 0, NULL));
    CHECK_OK(iceberg_positions_write_vector(positions, &vector, NULL));
    CHECK(vector.len == 4 + 4 + 8 + 4);
    CHECK_OK(iceberg_positions_add_vector(positions, buf_slice(&vector), 0, NULL));
    CHECK(iceberg_positions_count(positions) == 0 && !iceberg_positions_has(positions, 0));
    CHECK(!iceberg_positions_any(positions, 0, UINT64_MAX));
    CHECK(iceberg_positions_copy(positions, 0, &row, 1) == 0);
    iceberg_positions_live(positions, (const int64_t[]){0, 1}, 2, live);
    CHECK(live[0] && live[1]);
    iceberg_positions_live(positions, NULL, 0, NULL);
}

TEST(positions, refuses_what_is_no_position)
{
    struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    CHECK_OK(iceberg_positions_open(&positions, NULL));
    int64_t row = -1;
    CHECK_ERR(ERR_INVALID, iceberg_positions_add(positions, &row, 1, &info));
    CHECK_STR("-1 is no position in a file", info.message);
    row = (int64_t)POSITION_LIMIT;
    CHECK_ERR(ERR_INVALID, iceberg_positions_add(positions, &row, 1, &info));
    row = INT64_MIN;
    CHECK_ERR(ERR_INVALID, iceberg_positions_add(positions, &row, 1, &info));
    CHECK(iceberg_positions_count(positions) == 0);
    bool live[3];
    row = 7;
    CHECK_OK(iceberg_positions_add(positions, &row, 1, &info));
    iceberg_positions_live(positions, (const int64_t[]){INT64_MIN, 7, INT64_MAX}, 3, live);
    CHECK(live[0] && !live[1] && live[2]);
    enum err err = ERR_OK;
    for (row = 0; err == ERR_OK && row < 20000; row++) {
        int64_t far = row << 32;
        err = iceberg_positions_add(positions, &far, 1, &info);
    }
    CHECK_ERR(ERR_LIMIT, err);
}

/* ---- deletion vectors, byte by byte ---- */

static void put_number(struct buf *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(value >> (8 * i)));
    }
}

static void put_big_endian(struct buf *out, uint32_t value)
{
    put_number(out, __builtin_bswap32(value), 4);
}

/* The bitmaps in a frame that fits. */
static void put_frame(struct buf *out, struct slice bitmaps)
{
    buf_reset(out);
    put_big_endian(out, (uint32_t)bitmaps.len + 4);
    buf_append(out, "\xD1\xD3\x39\x64", 4);
    buf_append_slice(out, bitmaps);
    put_big_endian(out, (uint32_t)crc32_z(0, (const Bytef *)out->ptr + 4, out->len - 4));
}

static enum err read_vector(struct slice blob, int64_t expected, struct rows *ret_rows,
                            struct errinfo *info)
{
    struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
    CHECK_OK(iceberg_positions_open(&positions, NULL));
    enum err err = iceberg_positions_add_vector(positions, blob, expected, info);
    uint64_t count = iceberg_positions_count(positions);
    CHECK(err == ERR_OK || count == 0);
    if (err == ERR_OK && ret_rows != NULL) {
        ret_rows->items = mem_calloc(count + 1, sizeof(*ret_rows->items));
        CHECK(ret_rows->items != NULL);
        ret_rows->count = iceberg_positions_copy(positions, 0, ret_rows->items, count + 1);
        CHECK(ret_rows->count == count);
    }
    return err;
}

/* Bitmaps by the format's description, all forms of containers in two parts: an array {1, 3}, a
 * bitset of the 4,098 values 0, 2, ..., runs 5-7 and 65535; then above 2^32 an array {9}. */
static void put_all_forms(struct buf *out)
{
    static const uint8_t two = 0x55; /* every other bit */
    put_number(out, 2, 8);
    put_number(out, 0, 4);                 /* high half */
    put_number(out, 2u << 16 | 12347u, 4); /* three containers, some of runs */
    put_number(out, 4, 1);                 /* the third */
    put_number(out, 0 | 1u << 16, 4);      /* key 0, 2 values */
    put_number(out, 7 | 4097u << 16, 4);   /* key 7, 4098 values */
    put_number(out, 65535 | 3u << 16, 4);  /* key 65535, 4 values */
    put_number(out, 1 | 3u << 16, 4);      /* no offsets below four containers */
    for (size_t i = 0; i < 8192; i++) {
        uint8_t byte = i < 1024 ? two : i == 1024 ? 0x05 : 0;
        buf_append_char(out, (char)byte);
    }
    put_number(out, 2, 2);
    put_number(out, 5 | 2u << 16, 4); /* first, length - 1 */
    put_number(out, 65535, 4);
    put_number(out, 1, 4);
    put_number(out, 12346u, 4);
    put_number(out, 1, 4);
    put_number(out, 2, 4);  /* key 2, 1 value */
    put_number(out, 16, 4); /* its offset */
    put_number(out, 9, 2);
}

TEST(positions, reads_every_form_of_container)
{
    struct buf bitmaps CLEANUP(buf_fini) = {0};
    struct buf vector CLEANUP(buf_fini) = {0};
    struct rows rows CLEANUP(rows_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    put_all_forms(&bitmaps);
    /* 1,024 bytes of every other bit, then bits 0 and 2 of the next: 4,096 + 2 values */
    put_frame(&vector, buf_slice(&bitmaps));
    CHECK_OK(read_vector(buf_slice(&vector), 2 + 4098 + 4 + 1, &rows, &info));
    CHECK(rows.items[0] == 1 && rows.items[1] == 3);
    for (uint64_t i = 0; i < 4098; i++) {
        CHECK(rows.items[2 + i] == 7 * 65536 + 2 * i);
    }
    uint64_t top = (uint64_t)65535 << 16;
    CHECK(rows.items[4100] == top + 5 && rows.items[4102] == top + 7);
    CHECK(rows.items[4103] == UINT32_MAX);
    CHECK(rows.items[4104] == ((uint64_t)1 << 32) + 2 * 65536 + 9);
    CHECK_ERR(ERR_CORRUPT, read_vector(buf_slice(&vector), 4104, NULL, &info));
    CHECK_STR("a deletion vector holds 4105 positions, its manifest says 4104", info.message);
}

TEST(positions, every_changed_bit_and_every_cut_is_seen)
{
    struct buf bitmaps CLEANUP(buf_fini) = {0};
    struct buf vector CLEANUP(buf_fini) = {0};
    put_all_forms(&bitmaps);
    put_frame(&vector, buf_slice(&bitmaps));
    for (size_t i = 0; i < vector.len; i++) {
        vector.ptr[i] = (char)(vector.ptr[i] ^ 1 << i % 8);
        CHECK_ERR(ERR_CORRUPT, read_vector(buf_slice(&vector), ICEBERG_NO_ID, NULL, NULL));
        vector.ptr[i] = (char)(vector.ptr[i] ^ 1 << i % 8);
        CHECK_ERR(ERR_CORRUPT,
                  read_vector((struct slice){vector.ptr, i}, ICEBERG_NO_ID, NULL, NULL));
    }
    buf_append_char(&vector, 0);
    CHECK_ERR(ERR_CORRUPT, read_vector(buf_slice(&vector), ICEBERG_NO_ID, NULL, NULL));
}

/* ---- under a checksum that fits ---- */

static uint64_t number_at(struct slice bytes, size_t at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = len; i > 0; i--) {
        value = value << 8 | (uint8_t)bytes.ptr[at + i - 1];
    }
    return value;
}

/* Reads bitmaps that are known to be well as the format's description says, and not as the library
 * does: a second opinion. */
static void read_plainly(struct slice bytes, struct rows *rows)
{
    uint64_t parts = number_at(bytes, 0, 8);
    size_t at = 8;
    for (uint64_t p = 0; p < parts; p++) {
        uint64_t high = number_at(bytes, at, 4) << 32;
        uint64_t cookie = number_at(bytes, at + 4, 4);
        bool has_runs = (cookie & 0xffff) == 12347;
        size_t containers = has_runs ? (cookie >> 16) + 1 : number_at(bytes, at + 8, 4);
        size_t flags = at + 8;
        size_t keys = has_runs ? flags + (containers + 7) / 8 : at + 12;
        at = keys + 4 * containers * (has_runs && containers < 4 ? 1 : 2);
        for (size_t c = 0; c < containers; c++) {
            uint64_t base = high | number_at(bytes, keys + 4 * c, 2) << 16;
            size_t values = number_at(bytes, keys + 4 * c + 2, 2) + 1;
            bool is_run = has_runs && (number_at(bytes, flags + c / 8, 1) >> c % 8 & 1) != 0;
            if (is_run) {
                size_t runs = number_at(bytes, at, 2);
                at += 2;
                for (size_t r = 0; r < runs; r++, at += 4) {
                    add_run(rows, base + number_at(bytes, at, 2), number_at(bytes, at + 2, 2) + 1);
                }
            } else if (values <= 4096) {
                for (size_t v = 0; v < values; v++, at += 2) {
                    rows_add(rows, base | number_at(bytes, at, 2));
                }
            } else {
                for (size_t bit = 0; bit < 65536; bit++) {
                    if ((number_at(bytes, at + bit / 8, 1) >> bit % 8 & 1) != 0) {
                        rows_add(rows, base | bit);
                    }
                }
                at += 8192;
            }
        }
    }
    CHECK(at == bytes.len);
}

TEST(positions, what_passes_a_false_checksum_is_what_the_bytes_say)
{
    /* Goal: no bitmaps, however made, give other positions than they hold. Method: each bit of the
     * small parts changed, and random bytes, under a checksum that fits; what is accepted is read a
     * second time by a reader that shares nothing with the first. */
    struct buf bitmaps CLEANUP(buf_fini) = {0};
    struct buf vector CLEANUP(buf_fini) = {0};
    uint64_t seed = test_seed();
    size_t accepted = 0, refused = 0;
    put_all_forms(&bitmaps);
    size_t bits = bitmaps.len * 8;
    for (size_t i = 0; i < 6000; i++) {
        size_t bit = i < 300 ? i : i < 700 ? bits - 1 - (i - 300) : test_random_below(&seed, bits);
        size_t second = i < 2000 ? bit : test_random_below(&seed, 400);
        uint8_t *bytes = (uint8_t *)bitmaps.ptr;
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        bytes[second / 8] = (uint8_t)(bytes[second / 8] ^ (second == bit ? 0 : 1u << second % 8));
        struct rows rows CLEANUP(rows_fini) = {0};
        struct rows plain CLEANUP(rows_fini) = {0};
        put_frame(&vector, buf_slice(&bitmaps));
        if (read_vector(buf_slice(&vector), ICEBERG_NO_ID, &rows, NULL) == ERR_OK) {
            accepted++;
            read_plainly(buf_slice(&bitmaps), &plain);
            CHECK(rows.count == plain.count);
            assert_memory_equal(rows.items, plain.items, plain.count * sizeof(*plain.items));
        } else {
            refused++;
        }
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
        bytes[second / 8] = (uint8_t)(bytes[second / 8] ^ (second == bit ? 0 : 1u << second % 8));
    }
    CHECK(accepted > 10 && refused > 1000);
}

/* Each is one part of high half 0 in a frame with a length and a checksum that fit. */
#define HEAD "\1\0\0\0\0\0\0\0\0\0\0\0"
#define PLAIN(count) HEAD "\x3a\x30\0\0" count "\0\0\0"
#define RUNS(flags, last) HEAD "\x3b\x30" last "\0" flags
#define BITMAPS(what, text)                                                                        \
    {                                                                                              \
        what, text, sizeof(text) - 1                                                               \
    }

static const struct {
    const char *what;
    const char *bytes;
    size_t len;
} wrong_bitmaps[] = {
    BITMAPS("a part that is not there", "\1\0\0\0\0\0\0\0"),
    BITMAPS("parts without end", "\xff\xff\xff\xff\xff\xff\xff\xff"),
    BITMAPS("too few parts", "\0\0\0\0\0\0\0\0"
                             "\0\0\0\0"
                             "\x3a\x30\0\0"
                             "\0\0\0\0"),
    BITMAPS("an unknown cookie", HEAD "\x39\x30\0\0"
                                      "\0\0\0\0"),
    BITMAPS("containers that are not there", PLAIN("\1")),
    BITMAPS("values that are not there", PLAIN("\1") "\0\0\1\0"
                                                     "\x10\0\0\0"
                                                     "\1\0"),
    BITMAPS("one value twice", PLAIN("\1") "\0\0\1\0"
                                           "\x10\0\0\0"
                                           "\1\0\1\0"),
    BITMAPS("values that descend", PLAIN("\1") "\0\0\1\0"
                                               "\x10\0\0\0"
                                               "\2\0\1\0"),
    BITMAPS("a false offset", PLAIN("\1") "\0\0\0\0"
                                          "\x11\0\0\0"
                                          "\1\0"),
    BITMAPS("one key twice", PLAIN("\2") "\5\0\0\0"
                                         "\5\0\0\0"
                                         "\x18\0\0\0"
                                         "\x1a\0\0\0"
                                         "\1\0"
                                         "\2\0"),
    BITMAPS("bytes behind", PLAIN("\1") "\0\0\0\0"
                                        "\x10\0\0\0"
                                        "\1\0"
                                        "\0"),
    BITMAPS("a high half out of range", "\1\0\0\0\0\0\0\0"
                                        "\xff\xff\xff\x7f"
                                        "\x3a\x30\0\0"
                                        "\0\0\0\0"),
    BITMAPS("one high half twice", "\2\0\0\0\0\0\0\0"
                                   "\1\0\0\0"
                                   "\x3a\x30\0\0"
                                   "\0\0\0\0"
                                   "\1\0\0\0"
                                   "\x3a\x30\0\0"
                                   "\0\0\0\0"),
    BITMAPS("no run", RUNS("\1", "\0") "\0\0\0\0"
                                       "\0\0"),
    BITMAPS("a run of another length", RUNS("\1", "\0") "\0\0\1\0"
                                                        "\1\0"
                                                        "\0\0\2\0"),
    BITMAPS("a run past the end", RUNS("\1", "\0") "\0\0\1\0"
                                                   "\1\0"
                                                   "\xff\xff\1\0"),
    BITMAPS("runs that overlap", RUNS("\1", "\0") "\0\0\3\0"
                                                  "\2\0"
                                                  "\0\0\1\0"
                                                  "\1\0\1\0"),
    BITMAPS("runs that descend", RUNS("\1", "\0") "\0\0\1\0"
                                                  "\2\0"
                                                  "\5\0\0\0"
                                                  "\1\0\0\0"),
    BITMAPS("a false offset among runs", RUNS("\1", "\3") "\0\0\0\0"
                                                          "\1\0\0\0"
                                                          "\2\0\0\0"
                                                          "\3\0\0\0"
                                                          "\x25\0\0\0"
                                                          "\x2b\0\0\0"
                                                          "\x2d\0\0\0"
                                                          "\x2e\0\0\0"
                                                          "\1\0"
                                                          "\7\0\0\0"
                                                          "\7\0"
                                                          "\7\0"
                                                          "\7\0"),
};

/* The shapes of some of them without the fault, each of four positions. */
static const struct {
    const char *what;
    const char *bytes;
    size_t len;
} well_bitmaps[] = {
    BITMAPS("runs that touch", RUNS("\1", "\0") "\0\0\3\0"
                                                "\2\0"
                                                "\0\0\1\0"
                                                "\2\0\1\0"),
    BITMAPS("four containers, so that offsets are there", RUNS("\1", "\3") "\0\0\0\0"
                                                                           "\1\0\0\0"
                                                                           "\2\0\0\0"
                                                                           "\3\0\0\0"
                                                                           "\x25\0\0\0"
                                                                           "\x2b\0\0\0"
                                                                           "\x2d\0\0\0"
                                                                           "\x2f\0\0\0"
                                                                           "\1\0"
                                                                           "\7\0\0\0"
                                                                           "\7\0"
                                                                           "\7\0"
                                                                           "\7\0"),
};

TEST(positions, refuses_bitmaps_that_contradict_themselves)
{
    struct buf vector CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    for (size_t i = 0; i < ARRAY_COUNT(wrong_bitmaps); i++) {
        put_frame(&vector, (struct slice){wrong_bitmaps[i].bytes, wrong_bitmaps[i].len});
        if (read_vector(buf_slice(&vector), ICEBERG_NO_ID, NULL, &info) != ERR_CORRUPT) {
            fail_msg("%s: accepted", wrong_bitmaps[i].what);
        }
        CHECK(strncmp(info.message, "a deletion vector is damaged: ", 30) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(well_bitmaps); i++) {
        struct slice bitmaps = {well_bitmaps[i].bytes, well_bitmaps[i].len};
        struct rows rows CLEANUP(rows_fini) = {0};
        struct rows plain CLEANUP(rows_fini) = {0};
        put_frame(&vector, bitmaps);
        if (read_vector(buf_slice(&vector), 4, &rows, &info) != ERR_OK) {
            fail_msg("%s: %s", well_bitmaps[i].what, info.message);
        }
        read_plainly(bitmaps, &plain);
        CHECK(plain.count == 4 && rows.count == 4);
        assert_memory_equal(rows.items, plain.items, 4 * sizeof(*plain.items));
    }
}

TEST(positions, survive_failed_allocations)
{
    struct buf bitmaps CLEANUP(buf_fini) = {0};
    struct buf blob CLEANUP(buf_fini) = {0};
    put_all_forms(&bitmaps);
    put_frame(&blob, buf_slice(&bitmaps));
    SWEEP_ALLOC(fault)
    {
        struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
        struct buf vector CLEANUP(buf_fini) = {0};
        int64_t rows[] = {5, (int64_t)7 << 32, (int64_t)9 << 32};
        enum err err = iceberg_positions_open(&positions, NULL);
        err = err == ERR_OK ? iceberg_positions_add(positions, rows, 3, NULL) : err;
        err = err == ERR_OK
                  ? iceberg_positions_add_vector(positions, buf_slice(&blob), ICEBERG_NO_ID, NULL)
                  : err;
        err = err == ERR_OK ? iceberg_positions_write_vector(positions, &vector, NULL) : err;
        CHECK(err == (fault.fired ? ERR_NOMEM : ERR_OK));
        CHECK(fault.fired || iceberg_positions_count(positions) == 4105 + 3);
    }
}
