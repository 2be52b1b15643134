/* The portable form of 32-bit roaring bitmaps, checked before the library sees it: its reader
 * trusts what containers claim. https://github.com/RoaringBitmap/RoaringFormatSpec */
#pragma once

#include "base/base.h"

/* True if `bytes` starts with a well-formed bitmap: keys and values strictly ascending, counts as
 * claimed, offsets where the containers are, nothing beyond the end. Gives its length and its
 * cardinality. */
MUST_USE bool roaring__check(struct slice bytes, size_t *ret_len, uint64_t *ret_count);
