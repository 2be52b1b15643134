#include "kernel/index.h"

#include "kernel/index_fit.h"
#include "kernel/kernel.h"

#define INDEX_MAGIC 0x3378644Bu /* "Kdx3" */
#define HEADER_BYTES 32u
#define CODE_MAX ((uint64_t)1 << 62)
#define FENCES_APART 16u /* so many with one code get a segment of their own: they share much */

_Static_assert(sizeof(struct index_step) == 16, "steps are stored as they lie in memory");

/* ---- Alphabet */

void alphabet_add(struct alphabet *alphabet, struct slice key)
{
    ASSERT(alphabet != NULL);
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    size_t len = key.len < INDEX_POSITIONS ? key.len : INDEX_POSITIONS;
    for (size_t i = 0; i < len; i++) {
        uint8_t symbol = (uint8_t)key.ptr[i];
        alphabet->symbols[i][symbol >> 6] |= (uint64_t)1 << (symbol & 63);
    }
    if (key.len < INDEX_POSITIONS) {
        alphabet->ends |= 1u << key.len;
    }
}

void alphabet_join(struct alphabet *alphabet, const struct alphabet *other)
{
    ASSERT(alphabet != other);
    ASSERT(alphabet != NULL && other != NULL);
    for (uint32_t i = 0; i < INDEX_POSITIONS; i++) {
        for (uint32_t word = 0; word < 4; word++) {
            alphabet->symbols[i][word] |= other->symbols[i][word];
        }
    }
    alphabet->ends |= other->ends;
}

static bool has_symbol(const struct alphabet *alphabet, uint32_t position, uint32_t symbol)
{
    ASSERT(position < INDEX_POSITIONS);
    ASSERT(symbol < 256);
    return (alphabet->symbols[position][symbol >> 6] >> (symbol & 63) & 1) != 0;
}

/* ---- Codes */

/* Digits of `step`, without the one for an end. */
static uint32_t step_symbols(const struct index_step *step, const uint8_t *tables)
{
    ASSERT(step->low <= step->high);
    ASSERT(step->is_table == 0 || tables != NULL);
    if (step->is_table == 0) {
        return (uint32_t)step->high - step->low + 1;
    }
    return (uint32_t)tables[256u * step->table + step->high] + 1;
}

/* Fills `step` for one position; false if no key is so long. */
static bool describe_position(const struct alphabet *alphabet, uint32_t position,
                              struct index_builder *builder, struct index_step *step)
{
    ASSERT(position < INDEX_POSITIONS);
    ASSERT(builder->coder.table_count <= INDEX_TABLES_MAX);
    uint32_t low = 256, high = 0, count = 0;
    uint8_t ranks[256];
    for (uint32_t symbol = 0; symbol < 256; symbol++) {
        ranks[symbol] = (uint8_t)(count < 255 ? count : 255);
        if (has_symbol(alphabet, position, symbol)) {
            low = low < symbol ? low : symbol;
            high = symbol;
            count++;
        }
    }
    if (count == 0) {
        return false;
    }
    *step = (struct index_step){.low = (uint8_t)low,
                                .high = (uint8_t)high,
                                .has_end = (alphabet->ends >> position & 1) != 0};
    if (count == high - low + 1) {
        return true;
    }
    /* Only now, so that positions with the same symbols share a table. With none left the range is
     * taken whole, which sorts as well and is only less even. */
    for (uint32_t i = 0; i <= builder->coder.table_count && i < INDEX_TABLES_MAX; i++) {
        if (i == builder->coder.table_count) {
            memcpy(builder->tables[i], ranks, sizeof(ranks));
            builder->coder.table_count++;
        }
        if (memcmp(builder->tables[i], ranks, sizeof(ranks)) == 0) {
            step->is_table = 1;
            step->table = (uint8_t)i;
            break;
        }
    }
    return true;
}

static void make_coder(struct index_builder *builder, const struct alphabet *alphabet)
{
    ASSERT(alphabet != NULL);
    builder->coder =
        (struct index_coder){.steps = builder->steps, .tables = &builder->tables[0][0]};
    uint64_t product = 1;
    uint32_t count = 0;
    for (; count < INDEX_POSITIONS; count++) {
        struct index_step *step = &builder->steps[count];
        if (!describe_position(alphabet, count, builder, step)) {
            break;
        }
        uint64_t radix = step_symbols(step, builder->coder.tables) + step->has_end;
        if (product > CODE_MAX / radix) {
            break;
        }
        product *= radix;
        step->weight = radix; /* for now */
    }
    uint64_t weight = 1;
    for (uint32_t i = count; i-- > 0;) {
        uint64_t radix = builder->steps[i].weight;
        builder->steps[i].weight = weight;
        weight *= radix;
    }
    ASSERT(weight == product);
    builder->coder.step_count = count;
}

uint64_t index_code(const struct index_coder *coder, struct slice key)
{
    ASSERT(coder->step_count <= INDEX_POSITIONS);
    ASSERT(key.ptr != NULL || key.len == 0);
    uint64_t code = 0;
    for (uint32_t i = 0; i < coder->step_count; i++) {
        const struct index_step *step = &coder->steps[i];
        if (i >= key.len) {
            return code;
        }
        uint32_t symbol = (uint8_t)key.ptr[i];
        uint64_t digit = step->has_end;
        if (symbol < step->low) {
            return code + digit * step->weight;
        }
        if (symbol > step->high) {
            return code + (digit + step_symbols(step, coder->tables)) * step->weight;
        }
        if (step->is_table == 0) {
            code += (digit + symbol - step->low) * step->weight;
            continue;
        }
        const uint8_t *ranks = coder->tables + 256u * step->table;
        code += (digit + ranks[symbol]) * step->weight;
        if (symbol < step->high && ranks[symbol + 1] == ranks[symbol]) {
            return code; /* does not occur: as the next that does */
        }
    }
    return code;
}

/* ---- Lookup */

static bool steps_are_sound(const struct index_coder *coder)
{
    ASSERT(coder->step_count <= INDEX_POSITIONS);
    ASSERT(coder->table_count <= INDEX_TABLES_MAX);
    uint64_t bound = CODE_MAX + 1; /* what the digits before may still add up to */
    for (uint32_t i = 0; i < coder->step_count; i++) {
        const struct index_step *step = &coder->steps[i];
        if (step->low > step->high || step->is_table > 1 || step->has_end > 1 ||
            (step->is_table == 1 && step->table >= coder->table_count) || step->weight == 0) {
            return false;
        }
        uint64_t digits = step_symbols(step, coder->tables) + (uint64_t)step->has_end;
        if (step->weight > bound / digits) {
            return false;
        }
        bound = step->weight;
    }
    return true;
}

/* What the segment says of `count` blocks lies within the index. */
static bool segment_is_sound(const struct index_view *view, const struct index_segment *segment,
                             uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(view->data_len >= WALK_SLACK_BYTES);
    uint64_t data_len = view->data_len - WALK_SLACK_BYTES;
    uint64_t fence_end = (segment->slope >> 32) + (segment->slope & UINT32_MAX);
    switch (segment->kind) {
    case INDEX_FENCES:
    case INDEX_FENCES_ON:
        return fence_end <= view->fence_count &&
               (segment->slope & UINT32_MAX) == count - (segment->kind == INDEX_FENCES) &&
               (segment->kind == INDEX_FENCES || segment->first_block > 0) &&
               segment->pace <= KERNEL_KEY_BYTES_MAX &&
               (uint64_t)segment->data + segment->pace <= data_len;
    case INDEX_LINE:
        return segment->cell <= 63 && segment->fraction <= INDEX_FRACTION_BITS_MAX &&
               (segment->data & 1) == 0 && segment->data + 2ull * count <= data_len;
    case INDEX_WALK:
        return segment->slope > 0 && segment->pace > 0 &&
               segment->data + walk_bytes(count) <= data_len;
    default: /* foreign bytes */
        return false;
    }
}

static bool segments_are_sound(const struct index_view *view)
{
    ASSERT(view->segment_count > 0);
    ASSERT(view->segment_count <= view->block_count);
    for (uint32_t i = 0; i < view->segment_count; i++) {
        struct index_segment segment = index_segment_at(view->segments, i);
        uint32_t end = i + 1 < view->segment_count
                           ? index_segment_at(view->segments, i + 1).first_block
                           : view->block_count;
        if ((i == 0 && segment.first_block != 0) || segment.first_block >= view->block_count ||
            end <= segment.first_block || (i > 0 && view->codes[i] <= view->codes[i - 1]) ||
            !segment_is_sound(view, &segment, end - segment.first_block)) {
            return false;
        }
    }
    return true;
}

static bool fences_are_sound(const struct index_view *view, uint64_t fence_bytes)
{
    ASSERT(view->fence_count < view->block_count);
    ASSERT(view->fences != NULL && fence_bytes <= UINT32_MAX);
    uint32_t start = 0;
    for (uint32_t i = 0; i < view->fence_count; i++) {
        uint32_t end = view->fence_ends[i];
        if (end < start || end - start < 8 || end - start - 8 > KERNEL_KEY_BYTES_MAX ||
            end > fence_bytes) {
            return false;
        }
        start = end;
    }
    return true;
}

bool index_open(const uint8_t *bytes, uint64_t len, struct index_view *ret_view)
{
    ASSERT(((uintptr_t)bytes & 7) == 0);
    ASSERT(ret_view != NULL);
    if (len < HEADER_BYTES || load_u32(bytes) != INDEX_MAGIC) {
        return false;
    }
    struct index_view view = {.block_count = load_u32(bytes + 4),
                              .segment_count = load_u32(bytes + 8),
                              .fence_count = load_u32(bytes + 12)};
    uint64_t fence_bytes = load_u32(bytes + 16);
    view.data_len = load_u32(bytes + 28);
    view.coder.step_count = load_u32(bytes + 20);
    view.coder.table_count = load_u32(bytes + 24);
    if (view.coder.step_count > INDEX_POSITIONS || view.coder.table_count > INDEX_TABLES_MAX ||
        view.block_count == 0 || view.segment_count == 0 || view.segment_count > view.block_count ||
        view.fence_count >= view.block_count || view.data_len < WALK_SLACK_BYTES) {
        return false;
    }
    uint64_t steps_at = HEADER_BYTES;
    uint64_t tables_at = steps_at + sizeof(struct index_step) * view.coder.step_count;
    uint64_t codes_at = tables_at + 256u * view.coder.table_count;
    uint64_t segments_at = codes_at + 8ull * view.segment_count;
    uint64_t data_at = segments_at + (uint64_t)INDEX_SEGMENT_BYTES * view.segment_count;
    uint64_t heads_at = align_up(data_at + view.data_len, 8);
    uint64_t ends_at = heads_at + 8ull * view.fence_count;
    uint64_t fences_at = align_up(ends_at + 4ull * view.fence_count, 8);
    if (align_up(fences_at + fence_bytes, 8) != len) {
        return false;
    }
    view.coder.steps = (const struct index_step *)(const void *)(bytes + steps_at);
    view.coder.tables = bytes + tables_at;
    view.codes = (const uint64_t *)(const void *)(bytes + codes_at);
    view.segments = bytes + segments_at;
    view.data = bytes + data_at;
    view.fence_heads = (const uint64_t *)(const void *)(bytes + heads_at);
    view.fence_ends = (const uint32_t *)(const void *)(bytes + ends_at);
    view.fences = bytes + fences_at;
    if (!steps_are_sound(&view.coder) || !segments_are_sound(&view) ||
        !fences_are_sound(&view, fence_bytes)) {
        return false;
    }
    *ret_view = view;
    return true;
}

/* The last of `count` numbers in order that is not above `number`, or the first one; without a
 * branch that could be guessed wrong. */
static inline uint32_t find_last(const uint64_t *numbers, uint32_t count, uint64_t number)
{
    ASSERT(numbers != NULL);
    ASSERT(count > 0);
    const uint64_t *at = numbers;
    while (count > 1) {
        uint32_t half = count / 2;
        at = at[half] <= number ? at + half : at;
        count -= half;
    }
    return (uint32_t)(at - numbers);
}

/* The last segment whose first code is not above `code`, or the first one. */
static inline uint32_t find_segment(const struct index_view *view, uint64_t code)
{
    ASSERT(view->codes != NULL);
    ASSERT(view->segment_count > 0);
    return find_last(view->codes, view->segment_count, code);
}

static struct slice fence_at(const struct index_view *view, uint32_t fence, uint64_t *ret_commit)
{
    ASSERT(fence < view->fence_count);
    uint32_t start = fence == 0 ? 0 : view->fence_ends[fence - 1];
    ASSERT(view->fence_ends[fence] >= start + 8);
    *ret_commit = load_u64(view->fences + start);
    return (struct slice){(const char *)view->fences + start + 8,
                          view->fence_ends[fence] - start - 8};
}

static bool is_fences(const struct index_segment *segment)
{
    ASSERT(segment != NULL);
    ASSERT(segment->kind <= INDEX_FENCES_ON);
    return segment->kind == INDEX_FENCES || segment->kind == INDEX_FENCES_ON;
}

/* The block for a key before all fences. */
static uint32_t fences_base(const struct index_segment *segment)
{
    ASSERT(segment->kind <= INDEX_FENCES_ON);
    ASSERT(segment->kind != INDEX_FENCES_ON || segment->first_block > 0);
    return segment->first_block - (segment->kind == INDEX_FENCES_ON);
}

/* The key against what all fences of the segment begin with: <0, >0, or 0 and what follows. */
static int compare_shared(const struct index_view *view, const struct index_segment *segment,
                          struct slice key, struct slice *ret_rest)
{
    ASSERT(is_fences(segment));
    ASSERT(segment->data + segment->pace <= view->data_len);
    struct slice shared = {(const char *)view->data + segment->data, segment->pace};
    struct slice start = {key.ptr, key.len < shared.len ? key.len : shared.len};
    int order = key_compare(start, shared);
    if (order == 0) {
        *ret_rest = (struct slice){key.ptr + shared.len, key.len - shared.len};
    }
    return order;
}

static uint32_t find_fence(const struct index_view *view, const struct index_segment *segment,
                           struct slice key, uint64_t commit)
{
    uint32_t first = (uint32_t)(segment->slope >> 32), count = (uint32_t)segment->slope;
    ASSERT(count > 0);
    ASSERT((uint64_t)first + count <= view->fence_count);
    struct slice rest = key;
    int order = compare_shared(view, segment, key, &rest);
    uint32_t base = fences_base(segment);
    if (order != 0) {
        return base + (order < 0 ? 0 : count);
    }
    const uint64_t *heads = view->fence_heads + first;
    uint64_t head = key_head(rest.ptr, rest.len);
    uint32_t last = find_last(heads, count, head);
    /* How many fences are at or before the key: all up to `last`, but of those with the same head
     * one must look. */
    uint32_t high = heads[last] <= head ? last + 1 : 0, low = high;
    if (heads[last] == head) {
        low = head == 0 ? 0 : find_last(heads, count, head - 1);
        low += heads[low] < head;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t fence_commit = 0;
        struct slice fence = fence_at(view, first + middle, &fence_commit);
        if (entry_compare(fence, fence_commit, rest, commit) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return base + low;
}

uint32_t index_find(const struct index_view *view, struct slice key, uint64_t commit)
{
    ASSERT(view->segment_count > 0);
    uint64_t code = index_code(&view->coder, key);
    uint32_t i = find_segment(view, code);
    struct index_segment segment = index_segment_at(view->segments, i);
    if (is_fences(&segment)) {
        return find_fence(view, &segment, key, commit);
    }
    uint32_t end = i + 1 < view->segment_count ? index_segment_at(view->segments, i + 1).first_block
                                               : view->block_count;
    uint64_t distance = code <= view->codes[i] ? 0 : code - view->codes[i];
    uint32_t count = end - segment.first_block, block = 0;
    const uint8_t *data = view->data + segment.data;
    if (segment.kind == INDEX_WALK) {
        struct walk walk = {.cell = segment.slope, .low = segment.low, .pace = segment.pace};
        block = walk_find(&walk, data, count, distance);
    } else {
        block = index_segment_find(&segment, (const int16_t *)(const void *)data, count, distance);
    }
    ASSERT(block < count);
    return segment.first_block + block;
}

bool index_goes_on(const struct index_view *view, struct slice key, uint32_t block)
{
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    ASSERT(block < view->block_count);
    uint32_t i = find_segment(view, index_code(&view->coder, key));
    struct index_segment segment = index_segment_at(view->segments, i);
    uint32_t behind = block - fences_base(&segment);
    if (!is_fences(&segment) || behind >= (uint32_t)segment.slope) {
        return false; /* lines and walks never part the versions of a key */
    }
    uint64_t commit = 0;
    struct slice next = fence_at(view, (uint32_t)(segment.slope >> 32) + behind, &commit), rest;
    return compare_shared(view, &segment, key, &rest) == 0 && slice_equal(next, rest);
}

/* ---- Building */

uint64_t index_builder_bytes(uint32_t blocks_max, uint32_t fence_bytes_max)
{
    ASSERT(blocks_max > 0);
    ASSERT(fence_bytes_max >= KERNEL_KEY_BYTES_MAX + 8);
    uint64_t each = 2 * sizeof(uint64_t) + sizeof(uint32_t) + sizeof(struct walk_start) + 1;
    return align_up(each * blocks_max + fence_bytes_max, 64);
}

void index_builder_init(struct index_builder *builder, void *memory, uint32_t blocks_max,
                        uint32_t fence_bytes_max)
{
    ASSERT(((uintptr_t)memory & 7) == 0);
    ASSERT(blocks_max > 0);
    *builder = (struct index_builder){.blocks_max = blocks_max, .fence_bytes_max = fence_bytes_max};
    builder->first_codes = memory;
    builder->last_codes = builder->first_codes + blocks_max;
    builder->walker.starts = (struct walk_start *)(void *)(builder->last_codes + blocks_max);
    builder->fence_ends = (uint32_t *)(void *)(builder->walker.starts + blocks_max);
    builder->walker.deltas = (uint8_t *)(builder->fence_ends + blocks_max);
    builder->fences = builder->walker.deltas + blocks_max;
}

void index_builder_reset(struct index_builder *builder, const struct alphabet *alphabet)
{
    ASSERT(builder->first_codes != NULL);
    ASSERT(alphabet != NULL);
    builder->block_count = 0;
    builder->fence_count = 0;
    builder->fence_bytes = 0;
    builder->is_begun = false;
    walker_reset(&builder->walker);
    make_coder(builder, alphabet);
}

bool index_builder_has_room(const struct index_builder *builder)
{
    ASSERT(builder->fence_bytes <= builder->fence_bytes_max);
    ASSERT(builder->block_count <= builder->blocks_max);
    return builder->block_count < builder->blocks_max &&
           builder->fence_bytes_max - builder->fence_bytes >= KERNEL_KEY_BYTES_MAX + 8;
}

static void begin_block(struct index_builder *builder, uint64_t first)
{
    ASSERT(builder->block_count < builder->blocks_max);
    uint32_t before = builder->block_count;
    if (!builder->is_begun) {
        walker_begin(&builder->walker, before == 0 ? 0 : builder->last_codes[before - 1], first);
        builder->is_begun = true;
    }
    ASSERT(builder->walker.block_count == before + 1);
}

uint32_t index_builder_leave(struct index_builder *builder, struct slice first,
                             const struct slice *tail, uint32_t tail_count)
{
    ASSERT(index_builder_has_room(builder));
    ASSERT(tail_count > 0 && tail_count <= WALK_LEAVE_MAX + 1);
    uint64_t codes[WALK_LEAVE_MAX + 1];
    for (uint32_t i = 0; i < tail_count; i++) {
        codes[i] = index_code(&builder->coder, tail[i]);
    }
    uint64_t first_code = index_code(&builder->coder, first);
    walker_note(&builder->walker, codes[tail_count - 1] - first_code);
    begin_block(builder, first_code);
    return walker_leave(&builder->walker, codes, tail_count);
}

void index_builder_add(struct index_builder *builder, struct slice first_key, uint64_t first_commit,
                       struct slice last_key)
{
    ASSERT(index_builder_has_room(builder));
    uint64_t first = index_code(&builder->coder, first_key);
    begin_block(builder, first);
    builder->is_begun = false;
    uint32_t block = builder->block_count++;
    builder->first_codes[block] = first;
    builder->last_codes[block] = index_code(&builder->coder, last_key);
    ASSERT(first <= builder->last_codes[block]);
    if (block > 0 && builder->last_codes[block - 1] == first) {
        uint8_t *fence = builder->fences + builder->fence_bytes;
        store_u64(fence, first_commit);
        copy_bytes(fence + 8, first_key.ptr, first_key.len);
        builder->fence_bytes += 8 + (uint32_t)first_key.len;
        builder->fence_ends[builder->fence_count++] = builder->fence_bytes;
    }
    ASSERT(block == 0 || builder->last_codes[block - 1] <= first);
}

uint64_t index_builder_size_max(const struct index_builder *builder)
{
    ASSERT(builder->fence_count < builder->block_count);
    ASSERT(builder->block_count > 0);
    return HEADER_BYTES + sizeof(builder->steps) + sizeof(builder->tables) +
           (8ull + INDEX_SEGMENT_BYTES + 2 + 8 + 4) * builder->block_count + builder->fence_bytes +
           WALK_GROUP_BYTES + WALK_SLACK_BYTES + 24;
}

static bool is_tied(const struct index_builder *builder, uint32_t block)
{
    ASSERT(block < builder->block_count);
    ASSERT(builder->first_codes[block] <= builder->last_codes[block]);
    return block + 1 < builder->block_count &&
           builder->last_codes[block] == builder->first_codes[block + 1];
}

/* What index_builder_finish has written so far. */
struct index_output {
    uint8_t *data;
    uint32_t data_len, fence_next, start_next;
    bool is_fence_next; /* the next block begins with a code that the one before ends with */
};

/* How many blocks the walk `start` serves; 0 if too few. */
static uint32_t walk_blocks(const struct index_builder *builder, uint32_t start)
{
    const struct walker *walker = &builder->walker;
    ASSERT(start < walker->start_count);
    uint32_t first = walker->starts[start].first_block;
    uint32_t end = start + 1 < walker->start_count ? walker->starts[start + 1].first_block
                                                   : builder->block_count;
    ASSERT(first < end);
    end -= is_tied(builder, end - 1); /* that one is a fence's */
    return end - first < WALK_BLOCKS_MIN ? 0 : end - first;
}

static struct slice built_fence(const struct index_builder *builder, uint32_t fence,
                                uint64_t *ret_commit)
{
    ASSERT(fence < builder->fence_count);
    uint32_t start = fence == 0 ? 0 : builder->fence_ends[fence - 1];
    ASSERT(builder->fence_ends[fence] >= start + 8);
    *ret_commit = load_u64(builder->fences + start);
    return (struct slice){(const char *)builder->fences + start + 8,
                          builder->fence_ends[fence] - start - 8};
}

/* How many blocks from the one behind `block` on begin with one code, each tied to the one before
 * it. */
static uint32_t fences_with_one_code(const struct index_builder *builder, uint32_t block)
{
    ASSERT(is_tied(builder, block));
    uint64_t code = builder->first_codes[block + 1];
    uint32_t end = block + 1;
    while (is_tied(builder, end) && builder->first_codes[end + 1] == code) {
        end++;
    }
    ASSERT(end > block);
    return end - block;
}

/* Fences are in order: what the first and the last share, all do. */
static uint32_t make_fences(const struct index_builder *builder, uint32_t block,
                            struct index_output *output, struct index_segment *ret_segment)
{
    ASSERT(output->is_fence_next || is_tied(builder, block));
    bool is_on = output->is_fence_next;
    uint32_t base = is_on ? block - 1 : block, end = base, run = 0;
    while (is_tied(builder, end)) {
        uint32_t next = fences_with_one_code(builder, end);
        if (run > 0 && (next >= FENCES_APART || run >= FENCES_APART)) {
            break;
        }
        run = next;
        end += next;
    }
    output->is_fence_next = is_tied(builder, end);
    uint32_t count = end - base;
    uint64_t commit = 0;
    struct slice first = built_fence(builder, output->fence_next, &commit);
    struct slice last = built_fence(builder, output->fence_next + count - 1, &commit);
    uint32_t shared = (uint32_t)key_common(first, last);
    *ret_segment = (struct index_segment){.kind = is_on ? INDEX_FENCES_ON : INDEX_FENCES,
                                          .slope = (uint64_t)output->fence_next << 32 | count,
                                          .data = output->data_len,
                                          .pace = shared};
    copy_bytes(output->data + output->data_len, first.ptr, shared);
    output->data[output->data_len + shared] = 0;
    output->data_len += shared + (shared & 1); /* corrections begin at even places */
    output->fence_next += count;
    ASSERT(output->fence_next <= builder->fence_count);
    return end + 1;
}

/* The segment that starts at `block`; returns the block behind it. */
static uint32_t make_segment(const struct index_builder *builder, uint32_t block,
                             struct index_output *output, struct index_segment *ret_segment)
{
    ASSERT(block < builder->block_count);
    const struct walker *walker = &builder->walker;
    if (output->is_fence_next || is_tied(builder, block)) {
        return make_fences(builder, block, output, ret_segment);
    }
    while (output->start_next < walker->start_count &&
           (walker->starts[output->start_next].first_block < block ||
            walk_blocks(builder, output->start_next) == 0)) {
        output->start_next++;
    }
    uint32_t limit = builder->block_count;
    if (output->start_next < walker->start_count) {
        const struct walk_start *start = &walker->starts[output->start_next];
        limit = start->first_block;
        if (limit == block) {
            uint32_t count = walk_blocks(builder, output->start_next);
            *ret_segment = (struct index_segment){.kind = INDEX_WALK,
                                                  .low = (uint8_t)start->low,
                                                  .slope = start->cell,
                                                  .data = output->data_len};
            walker_write(walker, start, count, output->data + output->data_len, &ret_segment->pace);
            output->data_len += (uint32_t)walk_bytes(count);
            return block + count;
        }
    }
    uint32_t end = block;
    while (end < limit && !is_tied(builder, end)) {
        end++;
    }
    int16_t *corrections = (int16_t *)(void *)(output->data + output->data_len);
    uint32_t served = index_fit(builder->first_codes + block, builder->last_codes + block,
                                end - block, ret_segment, corrections);
    ASSERT(served > 0 && served <= end - block);
    ret_segment->data = output->data_len;
    output->data_len += 2 * served;
    return block + served;
}

/* Zeros up to the next multiple of eight. */
static uint64_t pad(uint8_t *bytes, uint64_t at)
{
    ASSERT(bytes != NULL);
    uint64_t end = align_up(at, 8);
    memset(bytes + at, 0, end - at);
    ASSERT(end - at < 8);
    return end;
}

/* Heads, ends and the rest of all fences, from `at` on; returns the end. */
static uint64_t write_fences(const struct index_builder *builder, const uint8_t *segments,
                             uint32_t segment_count, uint8_t *ret_bytes, uint64_t at,
                             uint32_t *ret_fence_bytes)
{
    uint8_t *heads = ret_bytes + at, *ends = heads + 8ull * builder->fence_count;
    uint64_t fences_at = pad(ret_bytes, at + 12ull * builder->fence_count);
    uint32_t used = 0, fence = 0;
    ASSERT((at & 7) == 0);
    for (uint32_t i = 0; i < segment_count; i++) {
        struct index_segment segment = index_segment_at(segments, i);
        uint32_t count = is_fences(&segment) ? (uint32_t)segment.slope : 0;
        for (; count > 0; count--, fence++) {
            uint64_t commit = 0;
            struct slice key = built_fence(builder, fence, &commit);
            struct slice rest = {key.ptr + segment.pace, key.len - segment.pace};
            uint8_t *to = ret_bytes + fences_at + used;
            store_u64(to, commit);
            copy_bytes(to + 8, rest.ptr, rest.len);
            used += 8 + (uint32_t)rest.len;
            store_u64(heads + 8ull * fence, key_head(rest.ptr, rest.len));
            store_u32(ends + 4ull * fence, used);
        }
    }
    ASSERT(fence == builder->fence_count);
    *ret_fence_bytes = used;
    return pad(ret_bytes, fences_at + used);
}

uint64_t index_builder_finish(const struct index_builder *builder, uint8_t *ret_bytes)
{
    ASSERT(((uintptr_t)ret_bytes & 7) == 0);
    ASSERT(builder->block_count > 0);
    uint32_t segment_count = 0, block_count = builder->block_count;
    uint64_t steps_bytes = sizeof(struct index_step) * builder->coder.step_count;
    uint64_t tables_bytes = 256ull * builder->coder.table_count;
    uint64_t at = HEADER_BYTES;
    memcpy(ret_bytes + at, builder->steps, steps_bytes);
    at += steps_bytes;
    memcpy(ret_bytes + at, builder->tables, tables_bytes);
    at += tables_bytes;
    /* The number of segments is known only at the end: they and their data are put behind the room
     * that the most would take, and moved. */
    uint8_t *codes = ret_bytes + at, *segments = codes + 8ull * block_count;
    struct index_output output = {.data = segments + (uint64_t)INDEX_SEGMENT_BYTES * block_count};
    for (uint32_t block = 0; block < block_count; segment_count++) {
        struct index_segment segment = {0};
        uint32_t first = block;
        store_u64(codes + 8ull * segment_count, builder->first_codes[block]);
        block = make_segment(builder, block, &output, &segment);
        segment.first_block = first;
        index_segment_store(segments, segment_count, &segment);
    }
    ASSERT(output.fence_next == builder->fence_count);
    uint64_t segments_bytes = (uint64_t)INDEX_SEGMENT_BYTES * segment_count;
    segments = memmove(codes + 8ull * segment_count, segments, segments_bytes);
    at += 8ull * segment_count + segments_bytes;
    memmove(ret_bytes + at, output.data, output.data_len);
    uint32_t data_len = output.data_len + WALK_SLACK_BYTES;
    memset(ret_bytes + at + output.data_len, 0, WALK_SLACK_BYTES);
    at = pad(ret_bytes, at + data_len);
    uint32_t fence_bytes = 0;
    uint64_t len = write_fences(builder, segments, segment_count, ret_bytes, at, &fence_bytes);

    store_u32(ret_bytes, INDEX_MAGIC);
    store_u32(ret_bytes + 4, builder->block_count);
    store_u32(ret_bytes + 8, segment_count);
    store_u32(ret_bytes + 12, builder->fence_count);
    store_u32(ret_bytes + 16, fence_bytes);
    store_u32(ret_bytes + 20, builder->coder.step_count);
    store_u32(ret_bytes + 24, builder->coder.table_count);
    store_u32(ret_bytes + 28, data_len);
    ASSERT(len <= index_builder_size_max(builder));
    return len;
}
