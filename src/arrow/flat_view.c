#include "arrow/flat_view.h"

static bool read(struct slice bytes, size_t at, unsigned size, uint64_t *ret_value)
{
    if (at > bytes.len || bytes.len - at < size) {
        return false;
    }
    *ret_value = 0;
    memcpy(ret_value, bytes.ptr + at, size); /* little-endian, as every machine we build for */
    return true;
}

static bool open_table(struct slice bytes, size_t at, struct flat_view *ret_table)
{
    uint64_t back, vtable_len, table_len;
    if (at == 0 || !read(bytes, at, 4, &back)) {
        return false;
    }
    int64_t vtable = (int64_t)at - (int32_t)(uint32_t)back;
    if (vtable < 0 || (uint64_t)vtable > bytes.len ||
        !read(bytes, (size_t)vtable, 2, &vtable_len) ||
        !read(bytes, (size_t)vtable + 2, 2, &table_len) || vtable_len < 4 ||
        vtable_len > bytes.len - (size_t)vtable || table_len < 4 || table_len > bytes.len - at) {
        return false;
    }
    *ret_table =
        (struct flat_view){bytes, at, (size_t)vtable, (size_t)vtable_len, (size_t)table_len};
    return true;
}

bool flat_view_root(struct slice bytes, struct flat_view *ret_table)
{
    uint64_t at;
    return read(bytes, 0, 4, &at) && open_table(bytes, (size_t)at, ret_table);
}

/* Where the field lies; 0: it is not there. */
static bool find(const struct flat_view *table, unsigned slot, unsigned size, size_t *ret_at)
{
    uint64_t offset = 0;
    *ret_at = 0;
    if (table->at == 0 || 4 + 2 * (size_t)slot + 2 > table->vtable_len) {
        return true;
    }
    if (!read(table->bytes, table->vtable + 4 + 2 * (size_t)slot, 2, &offset)) {
        return false;
    }
    if (offset == 0) {
        return true;
    }
    if (offset > table->table_len || table->table_len - offset < size) {
        return false;
    }
    *ret_at = table->at + (size_t)offset;
    return true;
}

bool flat_view_number(const struct flat_view *table, unsigned slot, unsigned size,
                      uint64_t fallback, uint64_t *ret_value)
{
    size_t at;
    if (!find(table, slot, size, &at)) {
        return false;
    }
    *ret_value = fallback;
    return at == 0 || read(table->bytes, at, size, ret_value);
}

static bool follow(struct slice bytes, size_t at, size_t *ret_target)
{
    uint64_t distance;
    if (!read(bytes, at, 4, &distance) || distance == 0 || distance > bytes.len - at) {
        return false;
    }
    *ret_target = at + (size_t)distance;
    return true;
}

bool flat_view_table(const struct flat_view *table, unsigned slot, struct flat_view *ret_table)
{
    size_t at, target;
    if (!find(table, slot, 4, &at)) {
        return false;
    }
    if (at == 0) {
        *ret_table = (struct flat_view){.at = 0};
        return true;
    }
    return follow(table->bytes, at, &target) && open_table(table->bytes, target, ret_table);
}

bool flat_view_items(const struct flat_view *table, unsigned slot, size_t item_size,
                     struct flat_items *ret_items)
{
    size_t at, target;
    uint64_t count;
    *ret_items = (struct flat_items){.count = 0};
    if (!find(table, slot, 4, &at)) {
        return false;
    }
    if (at == 0) {
        return true;
    }
    if (!follow(table->bytes, at, &target) || !read(table->bytes, target, 4, &count) ||
        count > (table->bytes.len - target - 4) / item_size) {
        return false;
    }
    *ret_items = (struct flat_items){table->bytes, target + 4, (size_t)count};
    return true;
}

bool flat_view_item(const struct flat_items *items, size_t index, struct flat_view *ret_table)
{
    size_t target;
    return follow(items->bytes, items->at + 4 * index, &target) &&
           open_table(items->bytes, target, ret_table);
}

bool flat_view_text(const struct flat_view *table, unsigned slot, struct slice *ret_text)
{
    struct flat_items items;
    if (!flat_view_items(table, slot, 1, &items)) {
        return false;
    }
    *ret_text =
        items.count == 0 ? SLICE("") : (struct slice){items.bytes.ptr + items.at, items.count};
    return true;
}
