/* Statistics of columns: up to six maps of a file, joined by field id.
 *
 * A map's wanted items are collected, then merged into what the maps before it gave. Writers list
 * columns in ascending order, nearly always the same ones: then nothing is sorted or moved. A map
 * in any other order costs a sort, never a search for each item. */
#include <stdlib.h>

#include "base/mem.h"
#include "iceberg/manifest_int.h"

#define ITEMS_MAX 1000000 /* columns with statistics in one file */

void metrics__fini(struct metrics_reader *reader)
{
    mem_free(reader->metrics);
    mem_free(reader->items);
}

/* `*hint`: where among the wanted ids the last answer was. */
static bool is_wanted(const struct iceberg_manifest_want *want, int64_t field_id, size_t *hint)
{
    if (want->all_metrics) {
        return true;
    }
    size_t at = *hint;
    if (at > 0 && want->metric_ids[at - 1] >= field_id) {
        at = 0;
    }
    while (at < want->metric_count && want->metric_ids[at] < field_id) {
        at++;
    }
    *hint = at;
    return at < want->metric_count && want->metric_ids[at] == field_id;
}

/* Room for one more item or column; NULL without memory. */
static void *room(void *array, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = *capacity == 0 ? 32 : *capacity * 2;
    void *grown = mem_realloc(array, wanted * item_bytes);
    *capacity = grown == NULL ? *capacity : wanted;
    return grown;
}

static bool fail(struct metrics_reader *reader, enum err err)
{
    reader->err = err;
    return false;
}

/* Keys of Avro's own maps are texts. */
static struct avro_long read_key(const struct avro_schema *map, const uint8_t *at,
                                 const uint8_t *end)
{
    struct avro_cursor cursor = {at, end};
    struct slice text;
    int64_t key;
    if (map->kind != AVRO_MAP) {
        return avro_long(at, end);
    }
    return avro_read_bytes(&cursor, &text) && slice_to_i64(text, &key)
               ? (struct avro_long){cursor.at, key}
               : (struct avro_long){NULL, 0};
}

static bool add_item(struct metrics_reader *reader, const struct metric_item *item)
{
    if (reader->item_count == ITEMS_MAX) {
        return fail(reader, ERR_LIMIT);
    }
    struct metric_item *grown =
        room(reader->items, reader->item_count, &reader->item_capacity, sizeof(*grown));
    if (grown == NULL) {
        return fail(reader, ERR_NOMEM);
    }
    reader->items = grown;
    reader->items[reader->item_count] = *item;
    reader->items[reader->item_count].place = (uint32_t)reader->item_count;
    reader->item_count++;
    return true;
}

static bool collect_run(struct metrics_reader *reader, const struct avro_schema *map,
                        bool are_bounds, int64_t count, struct avro_cursor *cursor)
{
    const uint8_t *at = cursor->at;
    const uint8_t *end = cursor->end;
    size_t hint = 0;
    for (int64_t i = 0; i < count; i++) {
        struct avro_long key = read_key(map, at, end);
        if (key.next == NULL || key.value < 0 || key.value > INT32_MAX) {
            return fail(reader, ERR_CORRUPT);
        }
        struct avro_long value = avro_long(key.next, end);
        if (value.next == NULL ||
            (are_bounds && (value.value < 0 || value.value > end - value.next))) {
            return fail(reader, ERR_CORRUPT);
        }
        at = value.next + (are_bounds ? value.value : 0);
        if (is_wanted(&reader->want, key.value, &hint)) {
            struct metric_item item = {.field_id = (int32_t)key.value, .number = value.value};
            if (are_bounds) {
                item.bytes = (struct slice){(const char *)value.next, (size_t)value.value};
            }
            if (!add_item(reader, &item)) {
                return false;
            }
        }
    }
    cursor->at = at;
    return true;
}

static bool collect(struct metrics_reader *reader, const struct avro_schema *map, bool are_bounds,
                    struct avro_cursor *cursor)
{
    reader->item_count = 0;
    for (int64_t count = 1; count != 0;) {
        if (!item__run(cursor, &count)) {
            return fail(reader, ERR_CORRUPT);
        }
        if (!collect_run(reader, map, are_bounds, count, cursor)) {
            return false;
        }
    }
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct metric_item *left = a;
    const struct metric_item *right = b;
    return left->field_id != right->field_id
               ? (left->field_id > right->field_id) - (left->field_id < right->field_id)
               : (left->place > right->place) - (left->place < right->place);
}

/* Ascending, each id once. */
static void order_items(struct metrics_reader *reader)
{
    struct metric_item *items = reader->items;
    size_t at = 1;
    while (at < reader->item_count && items[at - 1].field_id < items[at].field_id) {
        at++;
    }
    if (at >= reader->item_count) {
        return;
    }
    qsort(items, reader->item_count, sizeof(*items), compare_items);
    size_t kept = 0;
    for (size_t i = 1; i < reader->item_count; i++) {
        kept += items[kept].field_id != items[i].field_id ? 1 : 0;
        items[kept] = items[i];
    }
    reader->item_count = kept + 1;
}

/* Makes a column for each item that has none yet: counts them, then moves the columns apart from
 * behind. */
static bool add_columns(struct metrics_reader *reader)
{
    size_t added = 0;
    for (size_t i = 0, m = 0; i < reader->item_count; i++) {
        while (m < reader->count && reader->metrics[m].field_id < reader->items[i].field_id) {
            m++;
        }
        added +=
            m == reader->count || reader->metrics[m].field_id != reader->items[i].field_id ? 1 : 0;
    }
    size_t count = reader->count + added;
    while (reader->capacity < count) {
        struct iceberg_metrics *grown =
            room(reader->metrics, reader->capacity, &reader->capacity, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        reader->metrics = grown;
    }
    size_t to = count;
    size_t from = reader->count;
    for (size_t i = reader->item_count; i > 0 && to > from; i--) {
        int32_t id = reader->items[i - 1].field_id;
        while (from > 0 && reader->metrics[from - 1].field_id > id) {
            reader->metrics[--to] = reader->metrics[--from];
        }
        if (from == 0 || reader->metrics[from - 1].field_id != id) {
            reader->metrics[--to] = (struct iceberg_metrics){.field_id = id,
                                                             .size_bytes = ICEBERG_NO_ID,
                                                             .value_count = ICEBERG_NO_ID,
                                                             .null_count = ICEBERG_NO_ID,
                                                             .nan_count = ICEBERG_NO_ID};
        }
    }
    reader->count = count;
    return true;
}

static void set_metric(struct iceberg_metrics *metrics, enum metric_map map,
                       const struct metric_item *item)
{
    /* Some writers say -1 for unknown. */
    int64_t number = item->number < 0 ? ICEBERG_NO_ID : item->number;
    switch (map) {
    case METRIC_SIZES:
        metrics->size_bytes = number;
        break;
    case METRIC_VALUES:
        metrics->value_count = number;
        break;
    case METRIC_NULLS:
        metrics->null_count = number;
        break;
    case METRIC_NANS:
        metrics->nan_count = number;
        break;
    case METRIC_LOWER:
        metrics->lower = item->bytes;
        break;
    case METRIC_UPPER:
        metrics->upper = item->bytes;
        break;
    }
}

bool metrics__read(struct metrics_reader *reader, enum metric_map map,
                   const struct avro_schema *schema, struct avro_cursor *cursor)
{
    bool are_bounds = map == METRIC_LOWER || map == METRIC_UPPER;
    const struct avro_schema *item = schema->fields[0].schema;
    enum avro_kind value = schema->kind == AVRO_MAP ? item->kind : item->fields[1].schema->kind;
    if (are_bounds ? value != AVRO_BYTES && value != AVRO_STRING
                   : value != AVRO_INT && value != AVRO_LONG) {
        return fail(reader, ERR_CORRUPT);
    }
    if (!reader->want.all_metrics && reader->want.metric_count == 0) {
        return avro_skip(cursor, schema) || fail(reader, ERR_CORRUPT);
    }
    if (!collect(reader, schema, are_bounds, cursor)) {
        return false;
    }
    order_items(reader);
    if (!add_columns(reader)) {
        return fail(reader, ERR_NOMEM);
    }
    for (size_t i = 0, m = 0; i < reader->item_count; i++, m++) {
        while (reader->metrics[m].field_id != reader->items[i].field_id) {
            m++;
        }
        set_metric(&reader->metrics[m], map, &reader->items[i]);
    }
    return true;
}
