#include "iceberg/sketch.h"

#include <stdio.h>

#include "base/sweep.h"
#include "base/test.h"

/* `count` different texts, each twice. */
static void fill(struct iceberg_sketch *sketch, unsigned count)
{
    char text[32];
    for (unsigned i = 0; i < 2 * count; i++) {
        (void)snprintf(text, sizeof(text), "x%u", i % count);
        iceberg_sketch_add(sketch, slice_of(text));
    }
}

static void check_hex(const char *hex, struct slice bytes)
{
    char byte[3];
    CHECK(strlen(hex) == 2 * bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)snprintf(byte, sizeof(byte), "%02x", (unsigned char)bytes.ptr[i]);
        CHECK(memcmp(byte, hex + 2 * i, 2) == 0);
    }
}

TEST(iceberg_sketch, bytes_are_those_of_the_library)
{
    /* Goal: the format, to the byte. Method: what Apache DataSketches 5.2 writes of the same texts,
     * with the sampling probability and the mark of single items of its Java release. */
    static const struct {
        const char *values[3];
        size_t count;
        const char *hex;
    } cases[] = {
        {{NULL}, 0, "01030300001ecc93"},
        {{""}, 1, "01030300001ecc93"},
        {{"a", "a"}, 2, "01030300003acc9317c11d528507017b"},
        {{"x0", "x1", "x2"},
         3,
         "02030300001acc93030000000000803f6f041236fa045b254fafa6cc43fbae270f8062c68e3cb855"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_sketch *sketch CLEANUP(iceberg_sketch_cleanup) = NULL;
        struct buf bytes CLEANUP(buf_fini) = {0};
        CHECK_OK(iceberg_sketch_open(&sketch, NULL));
        for (size_t v = 0; v < cases[i].count; v++) {
            iceberg_sketch_add(sketch, slice_of(cases[i].values[v]));
        }
        CHECK_OK(iceberg_sketch_write(sketch, &bytes, NULL));
        check_hex(cases[i].hex, buf_slice(&bytes));
    }
}

static uint64_t number_at(const struct buf *bytes, size_t at, size_t len)
{
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        number |= (uint64_t)(unsigned char)bytes->ptr[at + i] << (8 * i);
    }
    return number;
}

TEST(iceberg_sketch, large_counts_are_near_and_small_ones_exact)
{
    static const unsigned counts[] = {1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 20000, 300000};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct iceberg_sketch *sketch CLEANUP(iceberg_sketch_cleanup) = NULL;
        struct buf bytes CLEANUP(buf_fini) = {0};
        unsigned count = counts[i];
        CHECK_OK(iceberg_sketch_open(&sketch, NULL));
        fill(sketch, count);
        CHECK_OK(iceberg_sketch_write(sketch, &bytes, NULL));
        uint64_t estimate = iceberg_sketch_estimate(sketch);
        double error = ((double)estimate - count) / count;
        CHECK(count <= 4096 ? estimate == count : error > -0.05 && error < 0.05);
        size_t kept = count <= 4096 ? count : 4096;
        size_t head = count == 1 ? 8 : count <= 4096 ? 16 : 24;
        CHECK(bytes.len == head + 8 * kept);
        uint64_t theta = count <= 4096 ? INT64_MAX : number_at(&bytes, 16, 8);
        uint64_t before = 0;
        for (size_t at = head; at < bytes.len; at += 8) { /* ascending, and below theta */
            uint64_t hash = number_at(&bytes, at, 8);
            CHECK(hash > before && hash < theta);
            before = hash;
        }
        fill(sketch, count); /* what was thrown away comes not back */
        CHECK(iceberg_sketch_estimate(sketch) == estimate);
    }
}

static enum err write_one(void)
{
    struct iceberg_sketch *sketch CLEANUP(iceberg_sketch_cleanup) = NULL;
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(iceberg_sketch_open(&sketch, NULL));
    fill(sketch, 5000);
    return iceberg_sketch_write(sketch, &bytes, NULL);
}

TEST(iceberg_sketch, every_allocation_may_fail)
{
    SWEEP_ALLOC(fault)
    {
        enum err err = write_one();
        CHECK((err == ERR_OK) == !fault.fired);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
    }
}
