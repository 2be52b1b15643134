#include <zlib.h>

#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/deletes.h"
#include "iceberg/roaring_int.h"

#define ROWS_MAX 200000

/* Rows of one kind, ascending, each once; at least one. */
static size_t make_rows(uint64_t *seed, unsigned kind, int64_t *rows)
{
    static const int64_t starts[] = {0, 65530, (1LL << 32) - 40000, 7LL << 32, 0x7FFFFFFE00000000};
    size_t count = 0;
    int64_t at = starts[test_random_below(seed, ARRAY_COUNT(starts))];
    uint64_t wanted = 1 + test_random_below(seed, 20000);
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t step = kind == 0   ? 1 + test_random_below(seed, 3)      /* dense: bitsets */
                        : kind == 1 ? 1 + test_random_below(seed, 100000) /* sparse: arrays */
                        : kind == 2 ? (test_random_below(seed, 500) == 0 ? 5000 : 1) /* runs */
                                    : 1 + (test_random(seed) >> (28 + test_random_below(seed, 30)));
        if ((uint64_t)at + step > 0x7FFFFFFEFFFFFFFF) {
            if (count > 0) {
                break;
            }
            step = 1; /* of one row at least: nothing is tested by none */
        }
        at += (int64_t)step;
        rows[count++] = at;
    }
    return count;
}

static void shuffle(uint64_t *seed, int64_t *rows, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = test_random_below(seed, i);
        int64_t row = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = row;
    }
}

static struct iceberg_positions *open_positions(void)
{
    struct iceberg_positions *positions = NULL;
    CHECK_OK(iceberg_positions_open(&positions, NULL));
    return positions;
}

static bool oracle_has(const int64_t *rows, size_t count, int64_t row)
{
    size_t first = 0;
    while (count > 0) {
        size_t half = count / 2;
        bool is_below = rows[first + half] < row;
        first = is_below ? first + half + 1 : first;
        count = is_below ? count - half - 1 : half;
    }
    return rows[first] == row;
}

static bool oracle_any(const int64_t *rows, size_t count, uint64_t first, uint64_t len)
{
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)rows[i] >= first && (uint64_t)rows[i] - first < len) {
            return true;
        }
    }
    return false;
}

/* All questions, against the sorted array. rows[count] must be there: no row. */
static void check_same(const struct iceberg_positions *positions, const int64_t *rows, size_t count,
                       uint64_t *seed)
{
    static uint64_t copied[ROWS_MAX];
    static bool live[5000];
    int64_t asked[5000];
    CHECK(iceberg_positions_count(positions) == count);
    CHECK(iceberg_positions_copy(positions, 0, copied, ROWS_MAX) == count);
    for (size_t i = 0; i < count; i++) {
        CHECK(copied[i] == (uint64_t)rows[i]);
    }
    size_t middle = test_random_below(seed, count);
    CHECK(iceberg_positions_copy(positions, copied[middle], copied, 3) ==
          (count - middle < 3 ? count - middle : 3));
    CHECK(copied[0] == (uint64_t)rows[middle]);
    for (size_t i = 0; i < 5000; i++) { /* in no order, half of them near a row */
        int64_t near = rows[test_random_below(seed, count)];
        asked[i] = i % 2 == 0 ? (int64_t)(test_random(seed) >> 1)
                              : near + (int64_t)test_random_below(seed, 5) - 2;
    }
    iceberg_positions_live(positions, asked, 5000, live);
    for (size_t i = 0; i < 5000; i++) {
        CHECK(live[i] == !oracle_has(rows, count, asked[i]));
    }
    int64_t start = rows[middle] - (int64_t)test_random_below(seed, 2500);
    for (size_t i = 0; i < 5000; i++) { /* the fast path */
        asked[i] = (start < 0 ? 0 : start) + (int64_t)i;
    }
    iceberg_positions_live(positions, asked, 5000, live);
    for (size_t i = 0; i < 5000; i++) {
        CHECK(live[i] == !oracle_has(rows, count, asked[i]));
    }
    for (size_t i = 0; i < 50; i++) {
        uint64_t first =
            (uint64_t)rows[test_random_below(seed, count)] + test_random_below(seed, 9);
        uint64_t len = i == 0 ? UINT64_MAX : test_random(seed) >> test_random_below(seed, 64);
        CHECK(iceberg_positions_any(positions, first, len) == oracle_any(rows, count, first, len));
    }
}

TEST(positions, answers_as_a_sorted_array_does)
{
    /* Goal: sets of each kind of container, over and under 2^32, answer right; also after they were
     * written as a vector and read back. Method: random rows in random order, some twice. */
    static int64_t rows[ROWS_MAX], mixed[ROWS_MAX];
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 24; round++) {
        struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
        struct iceberg_positions *again CLEANUP(iceberg_positions_cleanup) = open_positions();
        struct buf vector CLEANUP(buf_fini) = {0};
        size_t count = make_rows(&seed, round % 4, rows);
        memcpy(mixed, rows, count * sizeof(*rows));
        rows[count] = -1;
        shuffle(&seed, mixed, count);
        CHECK_OK(iceberg_positions_add(set, mixed, count, NULL));
        CHECK_OK(iceberg_positions_add(set, mixed, count / 2, NULL));
        check_same(set, rows, count, &seed);
        CHECK_OK(iceberg_positions_write_vector(set, &vector, NULL));
        CHECK_OK(iceberg_positions_add_vector(again, buf_slice(&vector), (int64_t)count, NULL));
        check_same(again, rows, count, &seed);
        CHECK_OK(iceberg_positions_add_vector(again, buf_slice(&vector), ICEBERG_NO_ID, NULL));
        CHECK(iceberg_positions_count(again) == count);
    }
}

TEST(positions, unites_vectors_and_files)
{
    struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
    struct iceberg_positions *other CLEANUP(iceberg_positions_cleanup) = open_positions();
    struct buf vector CLEANUP(buf_fini) = {0};
    static const int64_t left[] = {1, 5, 1LL << 33};
    static const int64_t right[] = {5, 1LL << 32, (1LL << 33) + 1};
    uint64_t all[9];
    CHECK_OK(iceberg_positions_add(set, left, 3, NULL));
    CHECK_OK(iceberg_positions_add(other, right, 3, NULL));
    CHECK_OK(iceberg_positions_write_vector(other, &vector, NULL));
    CHECK_OK(iceberg_positions_add_vector(set, buf_slice(&vector), 3, NULL));
    CHECK(iceberg_positions_copy(set, 0, all, 9) == 5);
    CHECK(all[0] == 1 && all[1] == 5 && all[2] == 1ULL << 32 && all[3] == 1ULL << 33 &&
          all[4] == (1ULL << 33) + 1);
}

TEST(positions, bounds_of_positions)
{
    struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
    static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX, 0x7FFFFFFF00000000};
    static const int64_t last = 0x7FFFFFFEFFFFFFFF;
    bool live[2];
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_ERR(ERR_INVALID, iceberg_positions_add(set, &wrong[i], 1, NULL));
    }
    CHECK(iceberg_positions_count(set) == 0);
    CHECK_OK(iceberg_positions_add(set, &last, 1, NULL));
    CHECK(iceberg_positions_has(set, (uint64_t)last));
    CHECK(iceberg_positions_any(set, 0, UINT64_MAX));
    CHECK(!iceberg_positions_any(set, 0, (uint64_t)last));
    CHECK(!iceberg_positions_any(set, (uint64_t)last, 0));
    iceberg_positions_live(set, (const int64_t[]){0, INT64_MIN}, 2, live);
    CHECK(live[0] && live[1]);
    iceberg_positions_live(set, NULL, 0, live);
    static int64_t wide[16385];
    for (size_t i = 0; i < ARRAY_COUNT(wide); i++) {
        wide[i] = (int64_t)i << 32;
    }
    struct iceberg_positions *many CLEANUP(iceberg_positions_cleanup) = open_positions();
    CHECK_OK(iceberg_positions_add(many, wide, ARRAY_COUNT(wide) - 1, NULL));
    CHECK_ERR(ERR_LIMIT, iceberg_positions_add(many, wide, ARRAY_COUNT(wide), NULL));
}

/* ---- vectors ---- */

/* Puffin spec, "deletion-vector-v1": positions 1, 5 and 2^32 + 3, byte by byte. */
static const char by_hand[] =
    "\0\0\0\x3A\xD1\xD3\x39\x64"                             /* length, magic */
    "\2\0\0\0\0\0\0\0"                                       /* two bitmaps */
    "\0\0\0\0\x3A\x30\0\0\1\0\0\0\0\0\1\0\x10\0\0\0\1\0\5\0" /* key 0: one array of two */
    "\1\0\0\0\x3A\x30\0\0\1\0\0\0\0\0\0\0\x10\0\0\0\3\0"     /* key 1: one array of one */
    "\0\0\0\0";                                              /* CRC-32 */

static void seal(struct buf *vector)
{
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)vector->ptr + 4, vector->len - 8);
    uint32_t len = (uint32_t)vector->len - 8;
    for (size_t i = 0; i < 4; i++) {
        vector->ptr[i] = (char)(len >> (24 - 8 * i));
        vector->ptr[vector->len - 4 + i] = (char)(crc >> (24 - 8 * i));
    }
}

static void copy_by_hand(struct buf *out)
{
    buf_append(out, by_hand, sizeof(by_hand) - 1);
    seal(out);
}

TEST(positions, a_vector_by_hand)
{
    struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
    struct buf vector CLEANUP(buf_fini) = {0};
    struct buf written CLEANUP(buf_fini) = {0};
    uint64_t rows[9];
    copy_by_hand(&vector);
    CHECK(memcmp(vector.ptr, by_hand, 8) == 0);
    CHECK_OK(iceberg_positions_add_vector(set, buf_slice(&vector), 3, NULL));
    CHECK(iceberg_positions_copy(set, 0, rows, 9) == 3);
    CHECK(rows[0] == 1 && rows[1] == 5 && rows[2] == (1ULL << 32) + 3);
    CHECK_OK(iceberg_positions_write_vector(set, &written, NULL));
    CHECK(slice_equal(buf_slice(&written), buf_slice(&vector)));
}

TEST(positions, a_changed_byte_of_a_vector_is_seen)
{
    /* Goal: any changed bit, any cut, any byte more is an error, and adds nothing. */
    struct buf vector CLEANUP(buf_fini) = {0};
    struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
    copy_by_hand(&vector);
    for (size_t i = 0; i < vector.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            vector.ptr[i] = (char)(vector.ptr[i] ^ 1 << bit);
            CHECK_ERR(ERR_CORRUPT,
                      iceberg_positions_add_vector(set, buf_slice(&vector), ICEBERG_NO_ID, NULL));
            vector.ptr[i] = (char)(vector.ptr[i] ^ 1 << bit);
        }
        CHECK_ERR(ERR_CORRUPT, iceberg_positions_add_vector(set, (struct slice){vector.ptr, i},
                                                            ICEBERG_NO_ID, NULL));
    }
    CHECK_ERR(ERR_CORRUPT, iceberg_positions_add_vector(set, buf_slice(&vector), 4, NULL));
    buf_append_char(&vector, 0);
    CHECK_ERR(ERR_CORRUPT,
              iceberg_positions_add_vector(set, buf_slice(&vector), ICEBERG_NO_ID, NULL));
    CHECK(iceberg_positions_count(set) == 0);
}

TEST(positions, a_lying_vector_with_a_right_checksum)
{
    /* Goal: what a writer may not write is refused even if its checksum fits: each byte of the
     * bitmaps is every other one. What is accepted must be a set that its own claims describe. */
    struct buf vector CLEANUP(buf_fini) = {0};
    size_t accepted = 0;
    copy_by_hand(&vector);
    for (size_t i = 8; i < vector.len - 4; i++) {
        char old = vector.ptr[i];
        for (unsigned byte = 0; byte < 256; byte++) {
            struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = open_positions();
            uint64_t rows[9];
            vector.ptr[i] = (char)byte;
            seal(&vector);
            if (iceberg_positions_add_vector(set, buf_slice(&vector), ICEBERG_NO_ID, NULL) ==
                ERR_OK) {
                accepted++;
                CHECK(iceberg_positions_copy(set, 0, rows, 9) == 3);
                CHECK(rows[0] < rows[1] && rows[1] < rows[2]);
            }
        }
        vector.ptr[i] = old;
    }
    /* Keys of bitmaps and containers, and values: where another byte is another set. */
    CHECK(accepted > 1000 && accepted < 16 * 256);
}

static bool check_roaring(const char *bytes, size_t len, uint64_t *ret_count)
{
    size_t used;
    return roaring__check((struct slice){bytes, len}, &used, ret_count) && used == len;
}
#define ROARING(literal, count) check_roaring(literal, sizeof(literal) - 1, count)

TEST(positions, forms_of_containers)
{
    /* Goal: the format specification's containers, and each thing that may be wrong with them. */
    uint64_t count;
    CHECK(ROARING("\x3A\x30\0\0\0\0\0\0", &count) && count == 0);
    CHECK(ROARING("\x3A\x30\0\0\1\0\0\0\5\0\1\0\x10\0\0\0\1\0\2\0", &count) && count == 2);
    /* One container of runs: no offsets. Runs 5..6 and 9. */
    CHECK(ROARING("\x3B\x30\0\0\1\0\0\2\0\2\0\5\0\1\0\x9\0\0\0", &count) && count == 3);
    static const struct {
        const char *bytes;
        size_t len;
    } wrong[] = {
#define WRONG(literal) {literal, sizeof(literal) - 1}
        WRONG(""),
        WRONG("\x3C\x30\0\0\0\0\0\0"),                           /* cookie */
        WRONG("\x3A\x30\0\0\1\0\1\0"),                           /* 65,537 of them */
        WRONG("\x3A\x30\0\0\1\0\0\0\5\0\1\0\x11\0\0\0\1\0\2\0"), /* offset */
        WRONG("\x3A\x30\0\0\1\0\0\0\5\0\1\0\x10\0\0\0\2\0\1\0"), /* descending */
        WRONG("\x3A\x30\0\0\1\0\0\0\5\0\1\0\x10\0\0\0\2\0\2\0"), /* twice */
        WRONG("\x3A\x30\0\0\1\0\0\0\5\0\2\0\x10\0\0\0\1\0\2\0"), /* too short */
        WRONG("\x3B\x30\0\0\1\0\0\2\0\2\0\5\0\5\0\x9\0\0\0"),    /* overlapping */
        WRONG("\x3B\x30\0\0\1\0\0\2\0\2\0\x9\0\0\0\5\0\1\0"),    /* descending runs */
        WRONG("\x3B\x30\0\0\1\0\0\3\0\2\0\5\0\1\0\x9\0\0\0"),    /* another count */
        WRONG("\x3B\x30\0\0\1\0\0\1\0\1\0\xff\xff\1\0"),         /* beyond 65,535 */
        WRONG("\x3B\x30\0\0\1\0\0\0\0\0\0"),                     /* no run */
        WRONG("\x3A\x30\0\0\2\0\0\0\5\0\0\0\5\0\0\0\x18\0\0\0\x1a\0\0\0\1\0\1\0"), /* key twice */
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK(!check_roaring(wrong[i].bytes, wrong[i].len, &count));
    }
    /* A bitset must hold as many as it says. */
    static char bitset[16 + 8192] = "\x3A\x30\0\0\1\0\0\0\0\0\x00\x10\x10\0\0";
    memset(bitset + 16, 0xff, 4097 / 8);
    bitset[16 + 4097 / 8] = 1;
    CHECK(check_roaring(bitset, sizeof(bitset), &count) && count == 4097);
    bitset[16 + 5000] = 1;
    CHECK(!check_roaring(bitset, sizeof(bitset), &count));
}

TEST(positions, survives_failed_allocations)
{
    struct buf vector CLEANUP(buf_fini) = {0};
    copy_by_hand(&vector);
    SWEEP_ALLOC(fault)
    {
        struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = NULL;
        struct buf written CLEANUP(buf_fini) = {0};
        enum err err = iceberg_positions_open(&set, NULL);
        err = err != ERR_OK ? err : iceberg_positions_add_vector(set, buf_slice(&vector), 3, NULL);
        err = err != ERR_OK ? err : iceberg_positions_write_vector(set, &written, NULL);
        CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK);
        CHECK(fault.fired || slice_equal(buf_slice(&written), buf_slice(&vector)));
    }
}
