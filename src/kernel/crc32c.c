#include "kernel/crc32c.h"

#include "kernel/bytes.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLYNOMIAL 0x82F63B78u /* Castagnoli's, reflected */
#define LANE_BYTES 1360u       /* three of them and twelve bytes are a block without its checksum */

static inline uint32_t step(uint32_t value)
{
    return (value >> 1) ^ (POLYNOMIAL & (0u - (value & 1)));
}

/* What a lane of zeros makes of a checksum: linear, so the sum of what it makes of each bit. A bit
 * is the one above it a step later, before the lane as behind it. */
static void fill_lane(struct crc32c *crc)
{
    ASSERT(crc->table[0][128] == POLYNOMIAL);
    memset(crc->lane, 0, sizeof(crc->lane));
    uint32_t value = 1u << 31;
    for (uint32_t i = 0; i < LANE_BYTES; i++) {
        value = (value >> 8) ^ crc->table[0][value & 255];
    }
    for (uint32_t bit = 32; bit-- > 0; value = step(value)) {
        for (uint32_t n = 0; n < 256; n++) {
            crc->lane[bit / 8][n] ^= (n >> (bit % 8) & 1) != 0 ? value : 0;
        }
    }
    ASSERT(crc->lane[0][0] == 0);
}

void crc32c_init(struct crc32c *crc, bool is_hardware)
{
    ASSERT(crc != NULL);
    crc->is_hardware = is_hardware;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = step(value);
        }
        crc->table[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (uint32_t n = 1; n < 8; n++) {
            uint32_t before = crc->table[n - 1][i];
            crc->table[n][i] = (before >> 8) ^ crc->table[0][before & 255];
        }
    }
    ASSERT(crc->table[0][128] == POLYNOMIAL);
    fill_lane(crc);
}

/* Eight bytes a step ("slicing by 8", Kounavis and Berry 2005). */
static uint32_t run_tables(const struct crc32c *crc, uint32_t value, const uint8_t *at, size_t len)
{
    ASSERT(at != NULL || len == 0);
    ASSERT(crc->table[0][128] == POLYNOMIAL);
    while (len >= 8) {
        uint64_t word = load_u64(at) ^ value;
        value = 0;
        for (uint32_t n = 0; n < 8; n++) {
            value ^= crc->table[7 - n][(word >> (8 * n)) & 255];
        }
        at += 8;
        len -= 8;
    }
    for (; len > 0; at++, len--) {
        value = (value >> 8) ^ crc->table[0][(value ^ *at) & 255];
    }
    return value;
}

#if defined(__x86_64__)
static inline uint32_t behind_lane(const struct crc32c *crc, uint64_t value)
{
    return crc->lane[0][value & 255] ^ crc->lane[1][value >> 8 & 255] ^
           crc->lane[2][value >> 16 & 255] ^ crc->lane[3][value >> 24 & 255];
}

/* The instruction takes three cycles and one can begin in each: three lanes side by side. */
__attribute__((target("sse4.2"))) static uint32_t
run_hardware(const struct crc32c *crc, uint32_t value, const uint8_t *at, size_t len)
{
    ASSERT(at != NULL || len == 0);
    ASSERT(len < UINT64_MAX / 2);
    uint64_t wide = value;
    for (; len >= 3 * LANE_BYTES; at += 3 * LANE_BYTES, len -= 3 * LANE_BYTES) {
        uint64_t second = 0, third = 0;
        for (uint32_t i = 0; i < LANE_BYTES; i += 8) {
            wide = _mm_crc32_u64(wide, load_u64(at + i));
            second = _mm_crc32_u64(second, load_u64(at + LANE_BYTES + i));
            third = _mm_crc32_u64(third, load_u64(at + 2 * LANE_BYTES + i));
        }
        wide = behind_lane(crc, behind_lane(crc, wide) ^ second) ^ third;
    }
    for (; len >= 8; at += 8, len -= 8) {
        wide = _mm_crc32_u64(wide, load_u64(at));
    }
    value = (uint32_t)wide;
    for (; len > 0; at++, len--) {
        value = _mm_crc32_u8(value, *at);
    }
    return value;
}
#endif

uint32_t crc32c_run(const struct crc32c *crc, uint32_t seed, const void *bytes, size_t len)
{
    ASSERT(crc != NULL);
    ASSERT(bytes != NULL || len == 0);
#if defined(__x86_64__)
    if (crc->is_hardware) {
        return ~run_hardware(crc, ~seed, bytes, len);
    }
#endif
    return ~run_tables(crc, ~seed, bytes, len);
}
