/* Just enough of a flatbuffer writer for Arrow's metadata ("FlatBuffers internals").
 *
 * It writes forwards: a table first, what it refers to after it, patching the reference then
 * (references are unsigned distances ahead, so this order is the format's own). Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

struct flat_field {
    uint16_t slot;
    uint8_t size; /* 1, 2, 4, 8; references are 4 and patched later */
    uint64_t value;
    size_t at; /* set: where the field lies */
};

/* All positions count from `base`, where the flatbuffer starts in `out`. */
struct flat {
    struct buf *out;
    size_t base;
};

/* Fields of size 8 must come first. Returns the position of the table. */
size_t flat_table(struct flat *flat, struct flat_field *fields, size_t count);

/* Starts a vector of `count` elements of `size` bytes, zeroed; returns where the first element
 * lies (aligned to the element's alignment, `align`), and sets the reference at `reference`. */
size_t flat_vector(struct flat *flat, size_t reference, size_t count, size_t size, size_t align);
void flat_string(struct flat *flat, size_t reference, struct slice text);
void flat_refer(struct flat *flat, size_t reference, size_t target);
void flat_put(struct flat *flat, size_t at, uint64_t value, size_t size);
void flat_align(struct flat *flat, size_t align);
