#include "kernel/index_fit.h"

#define CELLS_LOG2 12u    /* a block's codes are cut into so many cells: 4,096 */
#define SAMPLE_BLOCKS 32u /* tell how many codes a block has */

uint32_t index_segment_find(const struct index_segment *segment, const int16_t *corrections,
                            uint32_t count, uint64_t distance)
{
    ASSERT(count > 0);
    ASSERT(segment->fraction <= INDEX_FRACTION_BITS_MAX);
    uint32_t spare = distance == 0 ? 63 : (uint32_t)__builtin_clzll(distance);
    uint32_t scale = spare < segment->fraction ? spare : segment->fraction;
    uint64_t slope = segment->slope >> (segment->fraction - scale);
    uint64_t guess = slope == 0 ? 0 : (distance << scale) / slope;
    uint32_t block = guess < count ? (uint32_t)guess : count - 1;
    /* The line is at most eight blocks off, by the range of the corrections. */
    while (block + 1 < count &&
           index_segment_separator(segment, block + 1, corrections[block + 1]) <= distance) {
        block++;
    }
    while (block > 0 && index_segment_separator(segment, block, corrections[block]) > distance) {
        block--;
    }
    return block;
}

/* Slopes of lines through the first code that come within `reach` of every first code. */
struct cone {
    unsigned __int128 low, high;
};

static bool cone_take(struct cone *cone, uint32_t block, uint64_t rise, uint64_t reach,
                      uint32_t fraction)
{
    ASSERT(block > 0);
    ASSERT(cone->low <= cone->high);
    unsigned __int128 low = rise > reach ? ((unsigned __int128)(rise - reach) << fraction) : 0;
    unsigned __int128 high = ((unsigned __int128)rise + reach) << fraction;
    low = (low + block - 1) / block;
    high = high / block;
    low = low > cone->low ? low : cone->low;
    high = high < cone->high ? high : cone->high;
    if (low > high) {
        return false;
    }
    *cone = (struct cone){low, high};
    return true;
}

/* The correction that brings the separator of `block` to the highest place at or below its first
 * code; false if that is not above the last code of the block before. */
static bool correct(const struct index_segment *segment, uint32_t block, uint64_t before,
                    uint64_t first, int16_t *ret_correction)
{
    ASSERT(block > 0);
    ASSERT(before < first);
    __int128 off = (__int128)first - index_segment_rise(segment, block);
    __int128 cells = off >> segment->cell; /* towards minus infinity, as both compilers have it */
    if (cells < INT16_MIN || cells > INT16_MAX) {
        return false;
    }
    *ret_correction = (int16_t)cells;
    uint64_t separator = index_segment_separator(segment, block, *ret_correction);
    return separator > before && separator <= first;
}

uint32_t index_fit(const uint64_t *first_codes, const uint64_t *last_codes, uint32_t count,
                   struct index_segment *ret_segment, int16_t *ret_corrections)
{
    ASSERT(count > 0);
    ASSERT(first_codes[0] <= last_codes[0]);
    struct index_segment segment = {.kind = INDEX_LINE, .slope = 1};
    count = count < INDEX_SEGMENT_BLOCKS_MAX ? count : INDEX_SEGMENT_BLOCKS_MAX;
    ret_corrections[0] = 0;
    if (count > 1) {
        uint32_t sample = count - 1 < SAMPLE_BLOCKS ? count - 1 : SAMPLE_BLOCKS;
        uint64_t width = (first_codes[sample] - first_codes[0]) / sample;
        uint32_t log2 = width <= 1 ? 0 : 63 - (uint32_t)__builtin_clzll(width);
        segment.cell = (uint8_t)(log2 > CELLS_LOG2 ? log2 - CELLS_LOG2 : 0);
        segment.fraction = log2 < 40 ? INDEX_FRACTION_BITS_MAX : 0;
        struct cone cone = {1, UINT64_MAX};
        uint32_t reached = 1;
        while (reached < count &&
               cone_take(&cone, reached, first_codes[reached] - first_codes[0],
                         (uint64_t)(INT16_MAX - 1) << segment.cell, segment.fraction)) {
            reached++;
        }
        count = reached;
        segment.slope = (uint64_t)(cone.low + (cone.high - cone.low) / 2);
    }
    uint32_t served = 1;
    while (served < count &&
           correct(&segment, served, last_codes[served - 1] - first_codes[0],
                   first_codes[served] - first_codes[0], &ret_corrections[served])) {
        served++;
    }
    *ret_segment = segment;
    return served;
}
