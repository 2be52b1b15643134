/* For tests: a batch with a column of every type that this module knows, four rows each, the third
 * of them NULL. Storage is the caller's struct; nothing is allocated. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"

enum {
    SAMPLE_NODES = 80,
    SAMPLE_ROWS = 4
};

struct sample {
    struct ArrowSchema schemas[SAMPLE_NODES];
    struct ArrowArray arrays[SAMPLE_NODES];
    const void *buffers[SAMPLE_NODES][3];
    struct ArrowSchema *schema_links[SAMPLE_NODES];
    struct ArrowArray *array_links[SAMPLE_NODES];
    size_t used;
    size_t links;
    size_t column_count;
    struct ArrowSchema *schema; /* the struct of all columns */
    struct ArrowArray *batch;
};

/* 10^38 - 1, low and high half */
#define NINES_LOW INT64_C(0x098A223FFFFFFFFF)
#define NINES_HIGH INT64_C(0x4B3B4CA85A86C47A)

static const uint8_t sample_validity[] = {0x0B}; /* rows 0, 1, 3 */

/* One node; children are the `child_count` nodes given. Returns its index. */
static inline size_t sample_node(struct sample *sample, const char *name, const char *format,
                                 const void *validity, const void *values, const void *bytes,
                                 const size_t *children, size_t child_count, int64_t length)
{
    size_t i = sample->used++;
    ASSERT(i < SAMPLE_NODES && sample->links + child_count <= SAMPLE_NODES);
    sample->buffers[i][0] = validity;
    sample->buffers[i][1] = values;
    sample->buffers[i][2] = bytes;
    sample->schemas[i] = (struct ArrowSchema){.format = format,
                                              .name = name,
                                              .flags = ARROW_FLAG_NULLABLE,
                                              .n_children = (int64_t)child_count,
                                              .children = &sample->schema_links[sample->links]};
    sample->arrays[i] = (struct ArrowArray){.length = length,
                                            .null_count = validity == NULL ? 0 : -1,
                                            .n_buffers = bytes != NULL    ? 3
                                                         : values != NULL ? 2
                                                                          : 1,
                                            .n_children = (int64_t)child_count,
                                            .buffers = sample->buffers[i],
                                            .children = &sample->array_links[sample->links]};
    for (size_t c = 0; c < child_count; c++) {
        sample->schema_links[sample->links] = &sample->schemas[children[c]];
        sample->array_links[sample->links++] = &sample->arrays[children[c]];
    }
    return i;
}

static inline size_t sample_flat(struct sample *sample, const char *name, const char *format,
                                 const void *values, const void *bytes)
{
    return sample_node(sample, name, format, sample_validity, values, bytes, NULL, 0, SAMPLE_ROWS);
}

static inline size_t sample_numbers(struct sample *s, size_t *columns)
{
    static const uint8_t bools[] = {0x09}; /* true false - true */
    static const int8_t i8[] = {1, INT8_MIN, 0, INT8_MAX};
    static const uint8_t u8[] = {1, 0, 0, UINT8_MAX};
    static const int16_t i16[] = {1, INT16_MIN, 0, INT16_MAX};
    static const uint16_t u16[] = {1, 0, 0, UINT16_MAX};
    static const int32_t i32[] = {1, INT32_MIN, 0, INT32_MAX};
    static const uint32_t u32[] = {1, 0, 0, UINT32_MAX};
    static const int64_t i64[] = {1, INT64_MIN, 0, INT64_MAX};
    static const uint64_t u64[] = {1, 0, 0, UINT64_MAX};
    static const float f32[] = {0.1f, -16777216.0f, 0, 3.4028235e38f};
    static const double f64[] = {0.1, -1.0, 0, 1e300};
    static const int64_t d128[] = {150, 0, -5, -1, 0, 0, NINES_LOW, NINES_HIGH};
    static const int64_t huge[] = {1, 0, -5, -1, 0, 0, NINES_LOW, NINES_HIGH};
    size_t n = 0;
    columns[n++] = sample_flat(s, "bool", "b", bools, NULL);
    columns[n++] = sample_flat(s, "i8", "c", i8, NULL);
    columns[n++] = sample_flat(s, "u8", "C", u8, NULL);
    columns[n++] = sample_flat(s, "i16", "s", i16, NULL);
    columns[n++] = sample_flat(s, "u16", "S", u16, NULL);
    columns[n++] = sample_flat(s, "i32", "i", i32, NULL);
    columns[n++] = sample_flat(s, "u32", "I", u32, NULL);
    columns[n++] = sample_flat(s, "i64", "l", i64, NULL);
    columns[n++] = sample_flat(s, "u64", "L", u64, NULL);
    columns[n++] = sample_flat(s, "f32", "f", f32, NULL);
    columns[n++] = sample_flat(s, "f64", "g", f64, NULL);
    columns[n++] = sample_flat(s, "d128", "d:38,2", d128, NULL);
    columns[n++] = sample_flat(s, "huge", "d:38,0", huge, NULL);
    return n;
}

static inline size_t sample_texts(struct sample *s, size_t *columns)
{
    static const int32_t offsets[] = {0, 1, 1, 1, 9};
    static const int64_t large_offsets[] = {0, 1, 1, 1, 9};
    static const char bytes[] = "a\xc3\xa9, \"b\"\x01";
    size_t n = 0;
    columns[n++] = sample_flat(s, "utf8", "u", offsets, bytes);
    columns[n++] = sample_flat(s, "large_utf8", "U", large_offsets, bytes);
    columns[n++] = sample_flat(s, "binary", "z", offsets, bytes);
    columns[n++] = sample_flat(s, "fixed_binary", "w:2", bytes, NULL);
    return n;
}

static inline size_t sample_times(struct sample *s, size_t *columns)
{
    static const int32_t date32[] = {0, -719162, 0, 19723};
    static const int64_t time_us[] = {0, 3723000001, 0, 86399999999};
    static const int64_t seconds[] = {0, -1, 0, 1704067199};
    static const int64_t millis[] = {0, -1, 0, 1704067199500};
    static const int64_t micros[] = {0, -1, 0, 1704067199500000};
    static const int64_t nanos[] = {0, -1, 0, 1704067199500000001};
    static const struct {
        int32_t months, days;
        int64_t nanos;
    } intervals[] = {{0, 0, 0}, {-14, 3, -3600000000000}, {0, 0, 0}, {1, -1, 1500000000}};
    size_t n = 0;
    columns[n++] = sample_flat(s, "date32", "tdD", date32, NULL);
    columns[n++] = sample_flat(s, "time", "ttu", time_us, NULL);
    columns[n++] = sample_flat(s, "ts_s", "tss:", seconds, NULL);
    columns[n++] = sample_flat(s, "ts_ms", "tsm:", millis, NULL);
    columns[n++] = sample_flat(s, "ts_us", "tsu:", micros, NULL);
    columns[n++] = sample_flat(s, "ts_ns", "tsn:", nanos, NULL);
    columns[n++] = sample_flat(s, "ts_tz", "tsu:UTC", micros, NULL);
    columns[n++] = sample_flat(s, "ts_offset", "tsu:+05:30", micros, NULL);
    columns[n++] = sample_flat(s, "interval", "tin", intervals, NULL);
    return n;
}

static inline size_t sample_nested(struct sample *s, size_t *columns)
{
    static const int32_t offsets[] = {0, 2, 2, 2, 4};
    static const int64_t large_offsets[] = {0, 2, 2, 2, 4};
    static const int32_t items[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t items_valid[] = {0xFB}; /* the third item is NULL */
    static const int32_t text_offsets[] = {0, 1, 3, 3, 6};
    static const char texts[] = "xy zNUL";
    static const uint8_t indices[] = {1, 0, 9, 3};
    size_t n = 0;
    size_t item = sample_node(s, "item", "i", items_valid, items, NULL, NULL, 0, 8);
    size_t key = sample_node(s, "key", "u", NULL, text_offsets, texts, NULL, 0, 4);
    size_t fields[] = {key, item};
    size_t entries = sample_node(s, "entries", "+s", NULL, NULL, NULL, fields, 2, 4);
    s->schemas[key].flags = 0;
    s->schemas[entries].flags = 0;
    columns[n++] = sample_node(s, "list", "+l", sample_validity, offsets, NULL, &item, 1, 4);
    columns[n++] = sample_node(s, "large", "+L", sample_validity, large_offsets, NULL, &item, 1, 4);
    columns[n++] = sample_node(s, "fixed", "+w:2", sample_validity, NULL, NULL, &item, 1, 4);
    columns[n++] = sample_node(s, "struct", "+s", sample_validity, NULL, NULL, fields, 2, 4);
    columns[n++] = sample_node(s, "map", "+m", sample_validity, offsets, NULL, &entries, 1, 4);
    columns[n] = sample_flat(s, "enum", "C", indices, NULL);
    s->schemas[columns[n]].dictionary = &s->schemas[key];
    s->arrays[columns[n]].dictionary = &s->arrays[key];
    n++;
    columns[n] = sample_node(s, "null", "n", NULL, NULL, NULL, NULL, 0, 4);
    s->arrays[columns[n]].n_buffers = 0;
    s->arrays[columns[n]].null_count = 4;
    n++;
    return n;
}

static inline void sample_init(struct sample *sample)
{
    size_t columns[SAMPLE_NODES];
    *sample = (struct sample){0};
    size_t n = sample_numbers(sample, columns);
    n += sample_texts(sample, columns + n);
    n += sample_times(sample, columns + n);
    n += sample_nested(sample, columns + n);
    size_t root = sample_node(sample, "", "+s", NULL, NULL, NULL, columns, n, SAMPLE_ROWS);
    sample->column_count = n;
    sample->schema = &sample->schemas[root];
    sample->batch = &sample->arrays[root];
}
