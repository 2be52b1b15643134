/* Sets of row positions: one 32-bit roaring bitmap for each high half, ascending. The library of
 * Debian 12 has no 64-bit bitmaps in C; files hold them in just this form. */
#include <roaring/roaring.h>
#include <zlib.h>

#include "base/mem.h"
#include "iceberg/deletes.h"
#include "iceberg/roaring_int.h"

#define RUN_ROWS 2048u       /* asked for at once */
#define HIGH_MAX 0x7FFFFFFEu /* the largest key that the reference implementation takes */
#define FRAME_BYTES 12       /* length, magic; CRC behind */
#define PARTS_MAX 16384u     /* of 2^32 rows each: no file has as many */

static const uint8_t vector_magic[4] = {0xD1, 0xD3, 0x39, 0x64};

struct part {
    uint32_t high;
    roaring_bitmap_t *low;
};

struct iceberg_positions {
    struct part *parts;
    size_t part_count;
    size_t capacity;
};

enum err iceberg_positions_open(struct iceberg_positions **ret_positions, struct errinfo *info)
{
    struct iceberg_positions *positions = mem_calloc(1, sizeof(*positions));
    if (positions == NULL) {
        return errinfo_nomem(info);
    }
    *ret_positions = positions;
    return ERR_OK;
}

void iceberg_positions_close(struct iceberg_positions *positions)
{
    if (positions != NULL) {
        for (size_t i = 0; i < positions->part_count; i++) {
            roaring_bitmap_free(positions->parts[i].low);
        }
        mem_free(positions->parts);
        mem_free(positions);
    }
}

/* Index of the first part whose key is `high` or more. */
static size_t find(const struct iceberg_positions *positions, uint32_t high)
{
    size_t first = 0;
    size_t count = positions->part_count;
    while (count > 0) {
        size_t half = count / 2;
        if (positions->parts[first + half].high < high) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

static const roaring_bitmap_t *part_of(const struct iceberg_positions *positions, uint32_t high)
{
    size_t at = find(positions, high);
    return at < positions->part_count && positions->parts[at].high == high
               ? positions->parts[at].low
               : NULL;
}

/* Takes `low` over, whatever happens. */
static enum err add_part(struct iceberg_positions *positions, uint32_t high, roaring_bitmap_t *low,
                         struct errinfo *info)
{
    if (low == NULL) {
        return errinfo_nomem(info);
    }
    size_t at = find(positions, high);
    if (at < positions->part_count && positions->parts[at].high == high) {
        roaring_bitmap_or_inplace(positions->parts[at].low, low);
        roaring_bitmap_free(low);
        return ERR_OK;
    }
    if (positions->part_count == PARTS_MAX) {
        roaring_bitmap_free(low);
        return errinfo_set(info, ERR_LIMIT, NULL,
                           "deleted positions of a file are spread over more than %u times 2^32 "
                           "rows",
                           PARTS_MAX);
    }
    if (positions->part_count == positions->capacity) {
        size_t capacity = positions->capacity == 0 ? 1 : positions->capacity * 2;
        struct part *grown = mem_realloc(positions->parts, capacity * sizeof(*grown));
        if (grown == NULL) {
            roaring_bitmap_free(low);
            return errinfo_nomem(info);
        }
        positions->parts = grown;
        positions->capacity = capacity;
    }
    memmove(positions->parts + at + 1, positions->parts + at,
            (positions->part_count - at) * sizeof(*positions->parts));
    positions->parts[at] = (struct part){high, low};
    positions->part_count++;
    return ERR_OK;
}

enum err iceberg_positions_add(struct iceberg_positions *positions, const int64_t *rows,
                               size_t count, struct errinfo *info)
{
    roaring_bitmap_t *part = NULL;
    uint32_t part_high = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t high = (uint32_t)((uint64_t)rows[i] >> 32);
        if (rows[i] < 0 || high > HIGH_MAX) {
            return errinfo_set(info, ERR_INVALID, NULL, "%lld is no position in a file",
                               (long long)rows[i]);
        }
        if (part == NULL || high != part_high) {
            if (part_of(positions, high) == NULL) {
                TRY(add_part(positions, high, roaring_bitmap_create(), info));
            }
            part = positions->parts[find(positions, high)].low;
            part_high = high;
        }
        roaring_bitmap_add(part, (uint32_t)rows[i]);
    }
    return ERR_OK;
}

uint64_t iceberg_positions_count(const struct iceberg_positions *positions)
{
    uint64_t count = 0;
    for (size_t i = 0; i < positions->part_count; i++) {
        count += roaring_bitmap_get_cardinality(positions->parts[i].low);
    }
    return count;
}

bool iceberg_positions_has(const struct iceberg_positions *positions, uint64_t row)
{
    const roaring_bitmap_t *part = part_of(positions, (uint32_t)(row >> 32));
    return part != NULL && roaring_bitmap_contains(part, (uint32_t)row);
}

bool iceberg_positions_any(const struct iceberg_positions *positions, uint64_t first,
                           uint64_t count)
{
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;
    for (size_t i = find(positions, (uint32_t)(first >> 32)); i < positions->part_count; i++) {
        uint64_t base = (uint64_t)positions->parts[i].high << 32;
        if (base >= end) {
            return false;
        }
        uint64_t from = first > base ? first - base : 0;
        uint64_t to = end - base < (uint64_t)1 << 32 ? end - base : (uint64_t)1 << 32;
        if (roaring_bitmap_range_cardinality(positions->parts[i].low, from, to) > 0) {
            return true;
        }
    }
    return false;
}

size_t iceberg_positions_find(const struct iceberg_positions *positions, uint64_t first,
                              size_t count, uint32_t *ret_offsets)
{
    uint64_t end = first + count;
    size_t found = 0;
    for (size_t i = find(positions, (uint32_t)(first >> 32)); i < positions->part_count; i++) {
        uint64_t base = (uint64_t)positions->parts[i].high << 32;
        roaring_uint32_iterator_t at;
        if (base >= end) {
            break;
        }
        roaring_init_iterator(positions->parts[i].low, &at);
        if (first > base && !roaring_move_uint32_iterator_equalorlarger(&at, (uint32_t)first)) {
            continue;
        }
        for (; at.has_value && base + at.current_value < end;
             (void)roaring_advance_uint32_iterator(&at)) {
            ret_offsets[found++] = (uint32_t)(base + at.current_value - first);
        }
    }
    return found;
}

void iceberg_positions_live(const struct iceberg_positions *positions, const int64_t *rows,
                            size_t count, bool *ret_live)
{
    if (count == 0) {
        return;
    }
    bool is_run = rows[0] >= 0 && rows[count - 1] >= rows[0] &&
                  rows[count - 1] - rows[0] == (int64_t)count - 1;
    for (size_t i = 1; is_run && i < count; i++) {
        is_run = rows[i] == rows[i - 1] + 1;
    }
    for (size_t done = 0, len; is_run && done < count; done += len) {
        uint32_t dead[RUN_ROWS];
        len = count - done < RUN_ROWS ? count - done : RUN_ROWS;
        memset(ret_live + done, true, len);
        size_t found = iceberg_positions_find(positions, (uint64_t)rows[done], len, dead);
        for (size_t i = 0; i < found; i++) {
            ret_live[done + dead[i]] = false;
        }
    }
    for (size_t i = 0; !is_run && i < count; i++) {
        ret_live[i] = !iceberg_positions_has(positions, (uint64_t)rows[i]);
    }
}

size_t iceberg_positions_copy(const struct iceberg_positions *positions, uint64_t at,
                              uint64_t *ret_rows, size_t capacity)
{
    size_t count = 0;
    for (size_t i = find(positions, (uint32_t)(at >> 32)); i < positions->part_count; i++) {
        uint64_t base = (uint64_t)positions->parts[i].high << 32;
        roaring_uint32_iterator_t item;
        roaring_init_iterator(positions->parts[i].low, &item);
        if (at > base && !roaring_move_uint32_iterator_equalorlarger(&item, (uint32_t)at)) {
            continue;
        }
        for (; item.has_value && count < capacity; (void)roaring_advance_uint32_iterator(&item)) {
            ret_rows[count++] = base + item.current_value;
        }
    }
    return count;
}

/* ---- deletion vectors ---- */

static uint32_t big_endian(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}

static void append_big_endian(struct buf *out, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    buf_append(out, bytes, sizeof(bytes));
}

static uint64_t little_endian(const char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = len; i > 0; i--) {
        value = value << 8 | (uint8_t)bytes[i - 1];
    }
    return value;
}

static void append_little_endian(struct buf *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(value >> (8 * i)));
    }
}

static enum err damaged(const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL, "a deletion vector is damaged: %s", what);
}

/* Length, magic and checksum; leaves the bitmaps. */
static enum err open_frame(struct slice blob, struct slice *ret_bitmaps, struct errinfo *info)
{
    if (blob.len < FRAME_BYTES + 8 || big_endian(blob.ptr) != blob.len - 8) {
        return damaged("length", info);
    }
    if (memcmp(blob.ptr + 4, vector_magic, sizeof(vector_magic)) != 0) {
        return damaged("magic bytes", info);
    }
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)blob.ptr + 4, blob.len - 8);
    if (crc != big_endian(blob.ptr + blob.len - 4)) {
        return damaged("checksum", info);
    }
    *ret_bitmaps = (struct slice){blob.ptr + 8, blob.len - FRAME_BYTES};
    return ERR_OK;
}

/* Checks all bitmaps before any is added, so that a damaged vector changes nothing. */
static enum err check_bitmaps(struct slice bitmaps, int64_t expected_count, struct errinfo *info)
{
    uint64_t parts = little_endian(bitmaps.ptr, 8);
    uint64_t total = 0;
    uint64_t previous = 0;
    size_t at = 8;
    for (uint64_t i = 0; i < parts; i++) {
        size_t len;
        uint64_t count;
        if (bitmaps.len - at < 4) {
            return damaged("it ends early", info);
        }
        uint64_t high = little_endian(bitmaps.ptr + at, 4);
        if (high > HIGH_MAX || (i > 0 && high <= previous)) {
            return damaged("keys", info);
        }
        previous = high;
        at += 4;
        if (!roaring__check((struct slice){bitmaps.ptr + at, bitmaps.len - at}, &len, &count)) {
            return damaged("a bitmap", info);
        }
        at += len;
        total += count;
    }
    if (at != bitmaps.len) {
        return damaged("bytes behind the last bitmap", info);
    }
    if (parts > PARTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a deletion vector has %llu bitmaps",
                           (unsigned long long)parts);
    }
    if (expected_count != ICEBERG_NO_ID && total != (uint64_t)expected_count) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "a deletion vector holds %llu positions, its manifest says %lld",
                           (unsigned long long)total, (long long)expected_count);
    }
    return ERR_OK;
}

enum err iceberg_positions_add_vector(struct iceberg_positions *positions, struct slice blob,
                                      int64_t expected_count, struct errinfo *info)
{
    struct slice bitmaps;
    TRY(open_frame(blob, &bitmaps, info));
    TRY(check_bitmaps(bitmaps, expected_count, info));
    uint64_t parts = little_endian(bitmaps.ptr, 8);
    size_t at = 8;
    for (uint64_t i = 0; i < parts; i++) {
        size_t len;
        uint64_t count;
        uint32_t high = (uint32_t)little_endian(bitmaps.ptr + at, 4);
        at += 4;
        bool is_well =
            roaring__check((struct slice){bitmaps.ptr + at, bitmaps.len - at}, &len, &count);
        ASSERT(is_well);
        TRY(add_part(positions, high,
                     roaring_bitmap_portable_deserialize_safe(bitmaps.ptr + at, len), info));
        at += len;
    }
    return ERR_OK;
}

enum err iceberg_positions_write_vector(const struct iceberg_positions *positions, struct buf *out,
                                        struct errinfo *info)
{
    struct buf vector CLEANUP(buf_fini) = {0};
    buf_append(&vector, vector_magic, sizeof(vector_magic));
    append_little_endian(&vector, positions->part_count, 8);
    for (size_t i = 0; i < positions->part_count; i++) {
        const struct part *part = &positions->parts[i];
        size_t len = roaring_bitmap_portable_size_in_bytes(part->low);
        append_little_endian(&vector, part->high, 4);
        char *room = buf_reserve(&vector, len);
        if (room == NULL) {
            return errinfo_nomem(info);
        }
        vector.len += roaring_bitmap_portable_serialize(part->low, room);
    }
    if (vector.len > UINT32_MAX / 2) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a deletion vector may have 2 GiB");
    }
    append_big_endian(out, (uint32_t)vector.len);
    buf_append_slice(out, buf_slice(&vector));
    append_big_endian(out, (uint32_t)crc32_z(0, (const Bytef *)buf_cstr(&vector), vector.len));
    return buf_failed(&vector) || buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
