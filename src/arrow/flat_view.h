/* Reading flatbuffers that anybody may have made ("FlatBuffers internals"): every position is
 * checked against the bytes that are there. Internal. */
#pragma once

#include "base/base.h"

/* A table; `at` 0: there is none, and all its fields are their defaults. */
struct flat_view {
    struct slice bytes;
    size_t at;
    size_t vtable, vtable_len;
    size_t table_len;
};

struct flat_items {
    struct slice bytes; /* of the whole flatbuffer */
    size_t at;          /* of the first item */
    size_t count;
};

MUST_USE bool flat_view_root(struct slice bytes, struct flat_view *ret_table);
/* Scalars of 1, 2, 4 and 8 bytes. False: the field is there, and goes beyond its table. */
MUST_USE bool flat_view_number(const struct flat_view *table, unsigned slot, unsigned size,
                               uint64_t fallback, uint64_t *ret_value);
/* `ret_table->at` is 0 if the field is not there. */
MUST_USE bool flat_view_table(const struct flat_view *table, unsigned slot,
                              struct flat_view *ret_table);
/* `item_size` 4 for references. Count 0 if the field is not there. */
MUST_USE bool flat_view_items(const struct flat_view *table, unsigned slot, size_t item_size,
                              struct flat_items *ret_items);
/* The table that item `index` of references names. */
MUST_USE bool flat_view_item(const struct flat_items *items, size_t index,
                             struct flat_view *ret_table);
/* Empty if the field is not there. */
MUST_USE bool flat_view_text(const struct flat_view *table, unsigned slot, struct slice *ret_text);
