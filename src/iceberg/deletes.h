/* Deleted positions of one data file: roaring bitmaps of 64-bit positions, deletion vectors in
 * Puffin files (spec "Deletion Vectors", Puffin spec "deletion-vector-v1"), and their union with
 * positions from position delete files.
 *
 * A set is built by one thread, then only read, by any number. */
#pragma once

#include "iceberg/manifest.h"

struct iceberg_positions;

MUST_USE enum err iceberg_positions_open(struct iceberg_positions **ret_positions,
                                         struct errinfo *info);
void iceberg_positions_close(struct iceberg_positions *positions);
DEFINE_CLEANUP(struct iceberg_positions, iceberg_positions_cleanup, iceberg_positions_close)

/* ERR_INVALID for a negative position or one of 2^63 - 2^32 or more, as in the reference
 * implementation; ERR_LIMIT when they lie in more than 16,384 ranges of 2^32. */
MUST_USE enum err iceberg_positions_add(struct iceberg_positions *positions, const int64_t *rows,
                                        size_t count, struct errinfo *info);
uint64_t iceberg_positions_count(const struct iceberg_positions *positions);
bool iceberg_positions_has(const struct iceberg_positions *positions, uint64_t row);
/* True if any position lies in [first, first + count). */
bool iceberg_positions_any(const struct iceberg_positions *positions, uint64_t first,
                           uint64_t count);
/* ret_live[i] = rows[i] is not deleted; rows usually ascend (fast path). */
void iceberg_positions_live(const struct iceberg_positions *positions, const int64_t *rows,
                            size_t count, bool *ret_live);
/* The deleted among the rows first .. first + count - 1, as offsets from `first`, ascending; how
 * many. There is room for `count` in ret_offsets; first + count does not overflow. */
size_t iceberg_positions_find(const struct iceberg_positions *positions, uint64_t first,
                              size_t count, uint32_t *ret_offsets);
/* Ascending; writes up to `capacity` positions from `at` (0 first) and returns how many. */
size_t iceberg_positions_copy(const struct iceberg_positions *positions, uint64_t at,
                              uint64_t *ret_rows, size_t capacity);

/* Adds the vector in `blob` (length, magic D1 D3 39 64, portable 64-bit roaring, CRC-32). Every
 * claim is checked: length, magic, CRC, ascending keys, cardinality against `expected_count`
 * (ICEBERG_NO_ID = unknown). ERR_CORRUPT, and then nothing was added; ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err iceberg_positions_add_vector(struct iceberg_positions *positions,
                                               struct slice blob, int64_t expected_count,
                                               struct errinfo *info);
/* Appends the same form: writers and tests. */
MUST_USE enum err iceberg_positions_write_vector(const struct iceberg_positions *positions,
                                                 struct buf *out, struct errinfo *info);

/* ---- Puffin files ---- */

struct puffin_blob {
    struct slice type;
    const int32_t *field_ids;
    size_t field_count;
    int64_t snapshot_id;
    int64_t sequence_number;
    uint64_t offset;
    uint64_t length_bytes;
    struct slice codec; /* empty, "lz4", "zstd" */
    const struct iceberg_property *properties;
    size_t property_count;
};

struct puffin_footer {
    const struct puffin_blob *blobs;
    size_t blob_count;
    const struct iceberg_property *properties;
    size_t property_count;
};

/* Parses the footer from the last bytes of a file of `file_size_bytes` (all of the footer payload
 * must be in `tail`; ERR_LIMIT with the needed length in ret_needed_bytes when it is not).
 * Compressed footers (LZ4 frame) are read. */
MUST_USE enum err puffin_footer_parse(struct slice tail, uint64_t file_size_bytes,
                                      struct arena *arena, struct puffin_footer *ret_footer,
                                      uint64_t *ret_needed_bytes, struct errinfo *info);
/* Decompresses one blob's bytes, appended. */
MUST_USE enum err puffin_blob_read(const struct puffin_blob *blob, struct slice bytes,
                                   struct buf *ret_content, struct errinfo *info);
