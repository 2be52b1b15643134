/* The checksum by its definition, beside the two ways that compute it fast. */
#include "base/test.h"
#include "kernel/bytes.h"
#include "kernel/crc32c.h"

/* A bit at a time. */
static uint32_t by_definition(uint32_t seed, const uint8_t *bytes, size_t len)
{
    uint32_t value = ~seed;
    for (size_t i = 0; i < len; i++) {
        value ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            value = (value >> 1) ^ (0x82F63B78u & (0u - (value & 1)));
        }
    }
    return ~value;
}

TEST(crc32c, both_ways_give_what_is_defined)
{
    // Goal: the known check value, and any length, start and seed around blocks and lanes.
    static uint8_t bytes[3 * 4096 + 64];
    struct crc32c ways[2];
    crc32c_init(&ways[0], false);
    crc32c_init(&ways[1], __builtin_cpu_supports("sse4.2") != 0);
    uint64_t seed = test_seed();
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)test_random(&seed);
    }
    for (int way = 0; way < 2; way++) {
        CHECK(crc32c_run(&ways[way], 0, "123456789", 9) == 0xE3069283u);
    }
    static const size_t lens[] = {0, 1, 7, 8, 1360, 4079, 4080, 4081, 4092, 4096, 8160, 12288};
    for (uint32_t n = 0; n < ARRAY_COUNT(lens) + 40; n++) {
        size_t len = n < ARRAY_COUNT(lens) ? lens[n] : test_random_below(&seed, 12288);
        size_t start = test_random_below(&seed, 64);
        uint32_t before = (uint32_t)test_random(&seed);
        uint32_t wanted = by_definition(before, bytes + start, len);
        CHECK(crc32c_run(&ways[0], before, bytes + start, len) == wanted);
        CHECK(crc32c_run(&ways[1], before, bytes + start, len) == wanted);
    }
}
