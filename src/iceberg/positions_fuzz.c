/* Goal: no bytes make the reader of deletion vectors crash, or disagree with itself. Method: the
 * last byte of the input says whether the rest is a vector or only its bitmaps, which then get a
 * frame that fits, since no mutation finds a CRC-32. What is read is written and read again. */
#include <zlib.h>

#include "base/fuzz.h"
#include "iceberg/deletes.h"

#define LOOK_MAX 1000

static void frame(struct slice bitmaps, struct buf *out)
{
    uint32_t len = (uint32_t)bitmaps.len + 4;
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        buf_append_char(out, (char)(len >> (shift - 8)));
    }
    buf_append(out, "\xD1\xD3\x39\x64", 4);
    buf_append_slice(out, bitmaps);
    ASSERT(!buf_failed(out));
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)out->ptr + 4, out->len - 4);
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        buf_append_char(out, (char)(crc >> (shift - 8)));
    }
}

static void check_again(const struct iceberg_positions *positions)
{
    static uint64_t rows[LOOK_MAX];
    struct iceberg_positions *again CLEANUP(iceberg_positions_cleanup) = NULL;
    struct buf vector CLEANUP(buf_fini) = {0};
    uint64_t count = iceberg_positions_count(positions);
    size_t found = iceberg_positions_copy(positions, 0, rows, LOOK_MAX);
    ASSERT(found == (count < LOOK_MAX ? count : LOOK_MAX));
    for (size_t i = 0; i < found; i++) {
        ASSERT((i == 0 || rows[i - 1] < rows[i]) && iceberg_positions_has(positions, rows[i]));
        ASSERT(iceberg_positions_any(positions, rows[i], 1));
        if (i > 0 && rows[i - 1] + 1 < rows[i]) {
            ASSERT(!iceberg_positions_has(positions, rows[i] - 1));
            ASSERT(!iceberg_positions_any(positions, rows[i - 1] + 1, rows[i] - rows[i - 1] - 1));
        }
    }
    ASSERT(iceberg_positions_write_vector(positions, &vector, NULL) == ERR_OK);
    ASSERT(iceberg_positions_open(&again, NULL) == ERR_OK);
    ASSERT(iceberg_positions_add_vector(again, buf_slice(&vector), (int64_t)count, NULL) == ERR_OK);
    ASSERT(iceberg_positions_count(again) == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
    struct buf framed CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    if (size == 0 || size > 1u << 20) {
        return 0;
    }
    struct slice bytes = {(const char *)data, size - 1};
    if ((data[size - 1] & 1) != 0) {
        frame(bytes, &framed);
        bytes = buf_slice(&framed);
    }
    ASSERT(iceberg_positions_open(&positions, NULL) == ERR_OK);
    if (iceberg_positions_add_vector(positions, bytes, ICEBERG_NO_ID, &info) == ERR_OK) {
        check_again(positions);
    } else {
        ASSERT(iceberg_positions_count(positions) == 0);
    }
    return 0;
}
