#include "kernel/index_fit.h"

#define UNIT ((uint64_t)1 << INDEX_UNIT_BITS)
#define CONES 8u
#define BLOCKS_MAX (1u << 20) /* so that products of a slope's parts fit in 128 bits */

/* All lines that start at one height and serve the blocks so far have a slope in
 * [low_rise / low_run, high_rise / high_run]. */
struct cone {
    uint64_t height; /* in units */
    uint64_t low_rise, low_run;
    uint64_t high_rise, high_run; /* high_run 0: no bound yet */
};

/* a / b < c / d */
static bool is_less(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (unsigned __int128)a * d < (unsigned __int128)c * b;
}

/* Narrows the cone by block `index`; false (and the cone is as it was) if no line is left. */
static bool cone_take(struct cone *cone, uint32_t index, uint64_t first_run, uint64_t last_run)
{
    struct cone next = *cone;
    uint64_t floor_units = (uint64_t)index * UNIT;
    if (floor_units > cone->height) {
        ASSERT(first_run > 0);
        uint64_t rise = floor_units - cone->height;
        if (is_less(next.low_rise, next.low_run, rise, first_run)) {
            next.low_rise = rise;
            next.low_run = first_run;
        }
    }
    if (last_run > 0) {
        uint64_t rise = floor_units + UNIT - 1 - cone->height;
        if (next.high_run == 0 || is_less(rise, last_run, next.high_rise, next.high_run)) {
            next.high_rise = rise;
            next.high_run = last_run;
        }
    }
    if (next.high_run != 0 &&
        !is_less(next.low_rise, next.low_run, next.high_rise, next.high_run)) {
        return false;
    }
    *cone = next;
    return true;
}

static uint64_t scaled(uint64_t rise, uint64_t run, uint32_t shift)
{
    ASSERT(run > 0);
    unsigned __int128 slope = ((unsigned __int128)rise << (64 - shift)) / run;
    return slope > UINT64_MAX ? UINT64_MAX : (uint64_t)slope;
}

/* The line in the middle of the cone, for distances up to `run_max`. */
static struct index_segment cone_line(const struct cone *cone, uint64_t run_max)
{
    struct index_segment segment = {0};
    segment.height = (uint8_t)(cone->height >> (INDEX_UNIT_BITS - INDEX_HEIGHT_BITS));
    segment.shift = run_max == 0 ? 63 : (uint8_t)__builtin_clzll(run_max);
    uint64_t low = scaled(cone->low_rise, cone->low_run, segment.shift);
    uint64_t high = cone->high_run == 0
                        ? low
                        : scaled(cone->high_rise, cone->high_run, segment.shift);
    ASSERT(low <= high);
    segment.slope = low + (high - low + 1) / 2;
    return segment;
}

/* The cone that serves the most of `count` blocks; `ret_reached` is how many. */
static struct cone widest_cone(const uint64_t *first_codes, const uint64_t *last_codes,
                               uint32_t count, uint32_t *ret_reached)
{
    struct cone cones[CONES];
    uint32_t reached[CONES];
    for (uint32_t i = 0; i < CONES; i++) {
        cones[i] = (struct cone){.height = i * (UNIT / CONES), .low_run = 1};
        reached[i] = 0;
    }
    uint32_t best = 0;
    for (uint32_t block = 0; block < count; block++) {
        uint64_t first_run = first_codes[block] - first_codes[0];
        uint64_t last_run = last_codes[block] - first_codes[0];
        bool is_any = false;
        for (uint32_t i = 0; i < CONES; i++) {
            if (reached[i] == block && cone_take(&cones[i], block, first_run, last_run)) {
                reached[i] = block + 1;
                best = i;
                is_any = true;
            }
        }
        if (!is_any) {
            break;
        }
    }
    ASSERT(reached[best] > 0);
    *ret_reached = reached[best];
    return cones[best];
}

static bool is_exact(const struct index_segment *segment, const uint64_t *first_codes,
                     const uint64_t *last_codes, uint32_t count)
{
    for (uint32_t block = 0; block < count; block++) {
        uint64_t first_run = first_codes[block] - first_codes[0];
        uint64_t last_run = last_codes[block] - first_codes[0];
        if (index_segment_predict(segment, first_run, UINT32_MAX) != block ||
            index_segment_predict(segment, last_run, UINT32_MAX) != block) {
            return false;
        }
    }
    return true;
}

uint32_t index_fit(const uint64_t *first_codes, const uint64_t *last_codes, uint32_t count,
                   struct index_segment *ret_segment)
{
    ASSERT(count > 0);
    ASSERT(first_codes[0] <= last_codes[0]);
    uint32_t reached = count < BLOCKS_MAX ? count : BLOCKS_MAX;
    while (true) {
        struct cone cone = widest_cone(first_codes, last_codes, reached, &reached);
        struct index_segment segment = cone_line(&cone, last_codes[reached - 1] - first_codes[0]);
        if (is_exact(&segment, first_codes, last_codes, reached)) {
            *ret_segment = segment;
            return reached;
        }
        /* The middle of the cone is no line in whole units: rare, and never with one block. */
        if (reached == 1) {
            *ret_segment = (struct index_segment){.shift = segment.shift};
            return 1;
        }
        reached = (reached + 1) / 2;
    }
}
