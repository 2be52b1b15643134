#include "kernel/index_walk.h"

#define CELLS_MAX UINT16_MAX
#define DELTA_BITS 5u
#define DELTA_MAX 31u
#define CHUNK_DELTAS 8u /* five bytes */
#define CHUNK_BYTES 5u
#define PATIENCE_MAX 64
#define PATIENCE_LOST 16 /* by a walk that breaks */

/* ---- Reading */

static uint32_t find_group(const struct walk *walk, const uint8_t *groups, uint32_t group_count,
                           uint32_t at)
{
    ASSERT(group_count > 0);
    ASSERT(walk->pace > 0);
    uint32_t group = at / walk->pace;
    group = group < group_count ? group : group_count - 1;
    while (group + 1 < group_count &&
           load_u16(groups + (uint64_t)WALK_GROUP_BYTES * (group + 1)) <= at) {
        group++;
    }
    while (group > 0 && load_u16(groups + (uint64_t)WALK_GROUP_BYTES * group) > at) {
        group--;
    }
    return group;
}

/* Of eight deltas: pairs in fields of ten bits, whose sum a product has in its fourth field. */
static inline uint32_t chunk_sum(uint64_t chunk)
{
    ASSERT(DELTA_BITS * CHUNK_DELTAS == 8 * CHUNK_BYTES);
    uint64_t even = 0x1Full | 0x1Full << 10 | 0x1Full << 20 | 0x1Full << 30;
    uint64_t pairs = (chunk & even) + (chunk >> DELTA_BITS & even);
    uint64_t sum = pairs * (1 | 1ull << 10 | 1ull << 20 | 1ull << 30) >> 30 & 0x3FFu;
    ASSERT(sum <= CHUNK_DELTAS * DELTA_MAX);
    return (uint32_t)sum;
}

uint32_t walk_find(const struct walk *walk, const uint8_t *groups, uint32_t count,
                   uint64_t distance)
{
    ASSERT(count > 0);
    ASSERT(walk->cell > 0);
    uint64_t cells = distance / walk->cell;
    uint32_t at = cells < CELLS_MAX ? (uint32_t)cells : CELLS_MAX;
    uint32_t group = find_group(walk, groups, (uint32_t)(walk_bytes(count) / WALK_GROUP_BYTES), at);
    const uint8_t *bytes = groups + (uint64_t)WALK_GROUP_BYTES * group;
    uint32_t begun = load_u16(bytes), first = WALK_GROUP_BLOCKS * group;
    uint32_t left = at < begun ? 0 : at - begun;
    uint32_t block_count = count - first < WALK_GROUP_BLOCKS ? count - first : WALK_GROUP_BLOCKS;
    uint32_t block = 1; /* whose separator may be too high */
    const uint8_t *deltas = bytes + 2;
    uint64_t chunk = load_u64(deltas);
    while (block + CHUNK_DELTAS < block_count) {
        uint32_t width = CHUNK_DELTAS * walk->low + chunk_sum(chunk);
        if (left < width) {
            break;
        }
        left -= width;
        block += CHUNK_DELTAS;
        deltas += CHUNK_BYTES;
        chunk = load_u64(deltas);
    }
    for (; block < block_count; block++) {
        uint32_t width = walk->low + (uint32_t)(chunk & DELTA_MAX);
        if (left < width) {
            break;
        }
        left -= width;
        chunk >>= DELTA_BITS;
    }
    return first + block - 1;
}

/* ---- Writing */

void walker_reset(struct walker *walker)
{
    ASSERT(walker->starts != NULL);
    ASSERT(walker->deltas != NULL);
    *walker = (struct walker){
        .starts = walker->starts, .deltas = walker->deltas, .patience = PATIENCE_MAX};
}

static uint64_t distance_of(uint64_t a, uint64_t b)
{
    ASSERT(a < (uint64_t)1 << 63);
    ASSERT(b < (uint64_t)1 << 63);
    return a < b ? b - a : a - b;
}

void walker_note(struct walker *walker, uint64_t width)
{
    ASSERT(walker->deltas != NULL);
    ASSERT(width < (uint64_t)1 << 63);
    if (walker->width_count == 0) {
        walker->mean = width;
        walker->spread = width / 6; /* a fifth and a bit, as 22 keys at random have it */
    }
    uint32_t weight = walker->width_count < 31 ? walker->width_count + 1 : 32;
    walker->width_count += walker->width_count < 31;
    uint64_t off = distance_of(width, walker->mean);
    walker->mean = width < walker->mean ? walker->mean - off / weight : walker->mean + off / weight;
    uint32_t slow = weight < 8 ? 8 : weight; /* the first few say little of a spread */
    uint64_t more = distance_of(off, walker->spread) / slow;
    walker->spread = off < walker->spread ? walker->spread - more : walker->spread + more;
}

static void start_walk(struct walker *walker, uint64_t first)
{
    ASSERT(walker->width_count > 0);
    ASSERT(walker->deltas != NULL);
    /* 32 cells are to hold about five and a half standard deviations, of which one is five quarters
     * of the spread. Even keys get 32 cells a block, so that the walk is long enough. */
    uint64_t cell = walker->spread * 7 / 32, least = walker->mean / 32;
    cell = cell > least ? cell : least;
    cell = cell > 0 ? cell : 1;
    uint64_t middle = walker->mean / cell;
    uint64_t low = middle > 15 ? middle - 15 : 0;
    walker->base = first;
    walker->at = 0;
    walker->mean_at_start = walker->mean;
    walker->deltas[walker->block_count] = WALK_RESTART;
    walker->starts[walker->start_count++] =
        (struct walk_start){.cell = cell,
                            .first_block = walker->block_count,
                            .low = (uint32_t)(low < WALK_LOW_MAX ? low : WALK_LOW_MAX)};
}

/* Cells for a separator between two codes that follow each other; false if there is none. */
static bool place(const struct walker *walker, uint64_t last, uint64_t first, uint32_t *ret_cells)
{
    ASSERT(walker->start_count > 0);
    ASSERT(last <= first && walker->base <= last);
    const struct walk_start *start = &walker->starts[walker->start_count - 1];
    uint64_t low = (last - walker->base) / start->cell + 1;
    uint64_t high = (first - walker->base) / start->cell;
    uint64_t least = walker->at + start->low, most = least + DELTA_MAX;
    most = most < CELLS_MAX ? most : CELLS_MAX;
    low = low > least ? low : least;
    high = high < most ? high : most;
    if (low > high) {
        return false;
    }
    *ret_cells = (uint32_t)(low + (high - low) / 2);
    return true;
}

/* The first estimates are rough, and keys may change: then a new walk is worth its bytes. */
static bool is_stale(const struct walker *walker)
{
    ASSERT(walker->start_count > 0);
    ASSERT(walker->width_count > 0);
    return walker->block_count == 32 ||
           distance_of(walker->mean, walker->mean_at_start) > walker->mean_at_start / 8;
}

void walker_begin(struct walker *walker, uint64_t last, uint64_t first)
{
    ASSERT(walker->deltas != NULL);
    ASSERT(walker->block_count == 0 || last <= first);
    uint32_t cells = 0;
    if (walker->width_count == 0) { /* a run of one block */
        walker->mean = 1;
        walker->width_count = 1;
    }
    bool is_tied = walker->block_count > 0 && last == first;
    /* Fences take the blocks of a tie, so a walk begins behind them. */
    if (walker->block_count == 0 || walker->is_tied || is_stale(walker)) {
        start_walk(walker, first);
    } else if (!is_tied && place(walker, last, first, &cells)) {
        const struct walk_start *start = &walker->starts[walker->start_count - 1];
        walker->deltas[walker->block_count] = (uint8_t)(cells - walker->at - start->low);
        walker->at = cells;
        walker->patience += walker->patience < PATIENCE_MAX;
    } else {
        walker->patience -= walker->patience > -PATIENCE_MAX ? PATIENCE_LOST : 0;
        start_walk(walker, first);
    }
    walker->is_tied = is_tied;
    walker->block_count++;
}

uint32_t walker_leave(struct walker *walker, const uint64_t *tail, uint32_t tail_count)
{
    ASSERT(tail_count > 0);
    ASSERT(walker->block_count > 0);
    uint32_t cells = 0;
    for (uint32_t left = 0; left + 1 < tail_count; left++) {
        uint64_t last = tail[tail_count - 2 - left], first = tail[tail_count - 1 - left];
        if (last < first && place(walker, last, first, &cells)) {
            return left;
        }
        if (walker->patience <= 0) {
            break;
        }
    }
    return 0;
}

void walker_write(const struct walker *walker, const struct walk_start *start, uint32_t count,
                  uint8_t *ret_groups, uint32_t *ret_pace)
{
    ASSERT(count > 0);
    ASSERT(start->first_block + count <= walker->block_count);
    const uint8_t *deltas = walker->deltas + start->first_block;
    memset(ret_groups, 0, walk_bytes(count));
    uint32_t at = 0;
    for (uint32_t block = 0; block < count; block++) {
        uint32_t behind = block % WALK_GROUP_BLOCKS;
        uint8_t *group = ret_groups + (uint64_t)WALK_GROUP_BYTES * (block / WALK_GROUP_BLOCKS);
        at += block == 0 ? 0 : start->low + deltas[block];
        ASSERT(at <= CELLS_MAX && (block == 0 || deltas[block] <= DELTA_MAX));
        if (behind == 0) {
            store_u16(group, (uint16_t)at);
            continue;
        }
        uint32_t bit = DELTA_BITS * (behind - 1);
        uint8_t *to = group + 2 + bit / 8;
        uint32_t bits = (uint32_t)deltas[block] << (bit & 7);
        to[0] = (uint8_t)(to[0] | bits);
        if (bits > UINT8_MAX) {
            to[1] = (uint8_t)(to[1] | bits >> 8);
        }
    }
    uint32_t pace = (uint32_t)((uint64_t)at * WALK_GROUP_BLOCKS / count);
    *ret_pace = pace > 0 ? pace : 1;
}
