/* Writes manifests and manifest lists for tests, benches and corpora: both forms of maps, any
 * schema. Not part of the library, which writes nothing. */
#pragma once

#include "iceberg/avro_writer_int.h"
#include "iceberg/manifest.h"

/* clang-format off */
#define WRITER_OPTIONAL(name, id, type)                                                            \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define WRITER_REQUIRED(name, id, type)                                                            \
    "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define WRITER_MAP(name, id, key, value, type)                                                     \
    WRITER_OPTIONAL(name, id,                                                                      \
        "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\","              \
        "\"name\":\"k" #key "\",\"fields\":["                                                      \
        WRITER_REQUIRED("key", key, "\"int\"") ","                                                 \
        WRITER_REQUIRED("value", value, type) "]}}")

/* A manifest's schema of v2 and v3; `partition` is the text of the tuple's fields. */
#define WRITER_SCHEMA(partition) WRITER_ENTRY partition WRITER_MEASURES
#define WRITER_ENTRY                                                                               \
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["                                \
    WRITER_REQUIRED("status", 0, "\"int\"") ","                                                    \
    WRITER_OPTIONAL("snapshot_id", 1, "\"long\"") ","                                              \
    WRITER_OPTIONAL("sequence_number", 3, "\"long\"") ","                                          \
    WRITER_OPTIONAL("file_sequence_number", 4, "\"long\"") ","                                     \
    "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\","        \
    "\"fields\":["                                                                                 \
    WRITER_REQUIRED("content", 134, "\"int\"") ","                                                 \
    WRITER_REQUIRED("file_path", 100, "\"string\"") ","                                            \
    WRITER_REQUIRED("file_format", 101, "\"string\"") ","                                          \
    "{\"name\":\"partition\",\"field-id\":102,\"type\":{\"type\":\"record\","                      \
    "\"name\":\"r102\",\"fields\":["
#define WRITER_MEASURES                                                                            \
    "]}},"                                                                                         \
    WRITER_REQUIRED("record_count", 103, "\"long\"") ","                                           \
    WRITER_REQUIRED("file_size_in_bytes", 104, "\"long\"") ","                                     \
    WRITER_MAP("column_sizes", 108, 117, 118, "\"long\"") ","                                      \
    WRITER_MAP("value_counts", 109, 119, 120, "\"long\"") ","                                      \
    WRITER_MAP("null_value_counts", 110, 121, 122, "\"long\"") ","                                 \
    WRITER_MAP("nan_value_counts", 137, 138, 139, "\"long\"") ","                                  \
    WRITER_MAP("lower_bounds", 125, 126, 127, "\"bytes\"") ","                                     \
    WRITER_MAP("upper_bounds", 128, 129, 130, "\"bytes\"") ","                                     \
    WRITER_OPTIONAL("key_metadata", 131, "\"bytes\"") ","                                          \
    WRITER_OPTIONAL("split_offsets", 132,                                                          \
        "{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}") ","                          \
    WRITER_OPTIONAL("equality_ids", 135,                                                           \
        "{\"type\":\"array\",\"items\":\"int\",\"element-id\":136}") ","                           \
    WRITER_OPTIONAL("sort_order_id", 140, "\"int\"") ","                                           \
    WRITER_OPTIONAL("first_row_id", 142, "\"long\"") ","                                           \
    WRITER_OPTIONAL("referenced_data_file", 143, "\"string\"") ","                                 \
    WRITER_OPTIONAL("content_offset", 144, "\"long\"") ","                                         \
    WRITER_OPTIONAL("content_size_in_bytes", 145, "\"long\"") "]}}]}"

/* The tuple of spec 1 and its bytes: true, 5, 1.5, -2.5, -12.30, "eu", sixteen 7, "abc", null,
 * 1000, null. */
#define WRITER_TUPLE                                                                               \
    WRITER_OPTIONAL("b", 1001, "\"boolean\"") ","                                                  \
    WRITER_OPTIONAL("l", 1002, "\"int\"") ","                                                      \
    WRITER_OPTIONAL("f", 1003, "\"float\"") ","                                                    \
    WRITER_OPTIONAL("d", 1004, "\"double\"") ","                                                   \
    WRITER_OPTIONAL("n", 1005,                                                                     \
        "{\"type\":\"fixed\",\"name\":\"decimal_9_2\",\"size\":4,"                                 \
        "\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}") ","                            \
    WRITER_OPTIONAL("s", 1006, "\"string\"") ","                                                   \
    WRITER_OPTIONAL("u", 1007,                                                                     \
        "{\"type\":\"fixed\",\"name\":\"uuid_fixed\",\"size\":16,\"logicalType\":\"uuid\"}") ","   \
    WRITER_OPTIONAL("x", 1008, "{\"type\":\"fixed\",\"name\":\"fixed_3\",\"size\":3}") ","         \
    WRITER_OPTIONAL("y", 1009, "\"bytes\"") ","                                                    \
    WRITER_OPTIONAL("t", 1010, "\"int\"") ","                                                      \
    WRITER_OPTIONAL("a", 1011, "{\"type\":\"int\",\"logicalType\":\"date\"}")
#define WRITER_TUPLE_BYTES                                                                         \
    "\2\1" "\2\12" "\2\0\0\300\77" "\2\0\0\0\0\0\0\4\300" "\2\377\377\373\62" "\2\4eu"             \
    "\2\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7" "\2abc" "\0" "\2\320\17" "\0"

#define WRITER_LIST_SCHEMA                                                                         \
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["                                 \
    WRITER_REQUIRED("manifest_path", 500, "\"string\"") ","                                        \
    WRITER_REQUIRED("manifest_length", 501, "\"long\"") ","                                        \
    WRITER_REQUIRED("partition_spec_id", 502, "\"int\"") ","                                       \
    WRITER_OPTIONAL("content", 517, "\"int\"") ","                                                 \
    WRITER_OPTIONAL("sequence_number", 515, "\"long\"") ","                                        \
    WRITER_OPTIONAL("min_sequence_number", 516, "\"long\"") ","                                    \
    WRITER_REQUIRED("added_snapshot_id", 503, "\"long\"") ","                                      \
    WRITER_OPTIONAL("added_files_count", 504, "\"int\"") ","                                       \
    WRITER_OPTIONAL("partitions", 507,                                                             \
        "{\"type\":\"array\",\"element-id\":508,\"items\":{\"type\":\"record\","                   \
        "\"name\":\"r508\",\"fields\":["                                                           \
        WRITER_REQUIRED("contains_null", 509, "\"boolean\"") ","                                   \
        WRITER_OPTIONAL("contains_nan", 518, "\"boolean\"") ","                                    \
        WRITER_OPTIONAL("lower_bound", 510, "\"bytes\"") ","                                       \
        WRITER_OPTIONAL("upper_bound", 511, "\"bytes\"") "]}}") ","                                \
    WRITER_OPTIONAL("key_metadata", 519, "\"bytes\"") ","                                          \
    WRITER_OPTIONAL("first_row_id", 520, "\"long\"") "]}"
/* clang-format on */

/* A table for such manifests: spec 0 has no fields, spec 1 one of each type and transform, spec 2
 * the day of a column that is gone, spec 3 an int that became a long. */
static const char writer_table[] =
    "{\"format-version\":3,\"table-uuid\":\"1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\",\"location\":"
    "\"/"
    "t\",\"last-sequence-number\":9,\"last-updated-ms\":1,\"last-column-id\":20,\"next-row-id\":0,"
    "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"b\",\"required\":false,\"type\":\"boolean\"},"
    "{\"id\":2,\"name\":\"l\",\"required\":false,\"type\":\"long\"},"
    "{\"id\":3,\"name\":\"f\",\"required\":false,\"type\":\"float\"},"
    "{\"id\":4,\"name\":\"d\",\"required\":false,\"type\":\"double\"},"
    "{\"id\":5,\"name\":\"n\",\"required\":false,\"type\":\"decimal(9,2)\"},"
    "{\"id\":6,\"name\":\"s\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":7,\"name\":\"u\",\"required\":false,\"type\":\"uuid\"},"
    "{\"id\":8,\"name\":\"x\",\"required\":false,\"type\":\"fixed[3]\"},"
    "{\"id\":9,\"name\":\"y\",\"required\":false,\"type\":\"binary\"},"
    "{\"id\":10,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"},"
    "{\"id\":11,\"name\":\"a\",\"required\":false,\"type\":\"date\"}]}],"
    "\"default-spec-id\":0,\"last-partition-id\":1020,\"partition-specs\":["
    "{\"spec-id\":0,\"fields\":[]},{\"spec-id\":1,\"fields\":["
    "{\"name\":\"b\",\"transform\":\"identity\",\"source-id\":1,\"field-id\":1001},"
    "{\"name\":\"l\",\"transform\":\"bucket[8]\",\"source-id\":2,\"field-id\":1002},"
    "{\"name\":\"f\",\"transform\":\"identity\",\"source-id\":3,\"field-id\":1003},"
    "{\"name\":\"d\",\"transform\":\"identity\",\"source-id\":4,\"field-id\":1004},"
    "{\"name\":\"n\",\"transform\":\"truncate[10]\",\"source-id\":5,\"field-id\":1005},"
    "{\"name\":\"s\",\"transform\":\"identity\",\"source-id\":6,\"field-id\":1006},"
    "{\"name\":\"u\",\"transform\":\"identity\",\"source-id\":7,\"field-id\":1007},"
    "{\"name\":\"x\",\"transform\":\"identity\",\"source-id\":8,\"field-id\":1008},"
    "{\"name\":\"y\",\"transform\":\"void\",\"source-id\":9,\"field-id\":1009},"
    "{\"name\":\"t\",\"transform\":\"hour\",\"source-id\":10,\"field-id\":1010},"
    "{\"name\":\"a\",\"transform\":\"identity\",\"source-id\":11,\"field-id\":1011}]},"
    "{\"spec-id\":2,\"fields\":[{\"name\":\"gone\",\"transform\":\"day\",\"source-id\":19,"
    "\"field-id\":1012}]},{\"spec-id\":3,\"fields\":[{\"name\":\"l\",\"transform\":\"identity\","
    "\"source-id\":2,\"field-id\":1013}]}],\"default-sort-order-id\":0,\"sort-orders\":[{\"order-"
    "id\":0,"
    "\"fields\":[]}]}";

static inline const struct iceberg_metadata *writer_metadata(void)
{
    static struct arena *arena;
    static struct iceberg_metadata metadata;
    if (arena == NULL) {
        arena = arena_new(NULL, "made table", 0);
        ASSERT(arena != NULL &&
               iceberg_metadata_parse(slice_of(writer_table), arena, &metadata, NULL) == ERR_OK);
    }
    return &metadata;
}

struct made_entry {
    int64_t status;
    int64_t snapshot_id;
    int64_t sequence_number;
    int64_t file_sequence_number;
    int64_t content;
    const char *path;
    const char *format;
    struct slice partition; /* the tuple's bytes */
    int64_t record_count;
    int64_t size_bytes;
    int32_t columns; /* with statistics: ids 1 and up; 0 = the maps are null */
    const char *key_metadata;
    int64_t splits; /* how many; 0 = null */
    int32_t equality_id;
    int64_t sort_order_id;
    int64_t first_row_id;
    const char *referenced;
    int64_t content_offset;
    int64_t content_size_bytes;
};

/* An added Parquet file of ten rows that inherits everything. */
static inline struct made_entry made_entry(const char *path)
{
    return (struct made_entry){.status = ICEBERG_ADDED,
                               .snapshot_id = WRITER_NULL,
                               .sequence_number = WRITER_NULL,
                               .file_sequence_number = WRITER_NULL,
                               .path = path,
                               .format = "PARQUET",
                               .record_count = 10,
                               .size_bytes = 1000,
                               .sort_order_id = WRITER_NULL,
                               .first_row_id = WRITER_NULL,
                               .content_offset = WRITER_NULL,
                               .content_size_bytes = WRITER_NULL};
}

/* Columns 1 to `columns`: numbers are `base` + column, bounds eight bytes of it. */
static inline void put_maps(struct buf *out, int32_t columns)
{
    for (int64_t map = 0; map < 6; map++) {
        put_long(out, columns > 0);
        if (columns == 0) {
            continue;
        }
        put_long(out, columns);
        for (int64_t id = 1; id <= columns; id++) {
            int64_t value = 100 * map + id;
            put_long(out, id);
            if (map < 4) {
                put_long(out, value);
            } else {
                put_bytes(out, (struct slice){(const char *)&value, sizeof(value)});
            }
        }
        put_long(out, 0);
    }
}

static inline void put_entry(struct buf *out, const struct made_entry *entry)
{
    put_long(out, entry->status);
    put_optional_long(out, entry->snapshot_id);
    put_optional_long(out, entry->sequence_number);
    put_optional_long(out, entry->file_sequence_number);
    put_long(out, entry->content);
    put_text(out, entry->path);
    put_text(out, entry->format);
    buf_append_slice(out, entry->partition);
    put_long(out, entry->record_count);
    put_long(out, entry->size_bytes);
    put_maps(out, entry->columns);
    put_optional_text(out, entry->key_metadata);
    put_long(out, entry->splits > 0);
    for (int64_t i = -1; entry->splits > 0 && i <= entry->splits; i++) {
        put_long(out, i < 0 ? entry->splits : i == entry->splits ? 0 : 4 + 1000 * i);
    }
    put_long(out, entry->equality_id > 0);
    if (entry->equality_id > 0) {
        put_long(out, 1);
        put_long(out, entry->equality_id);
        put_long(out, 0);
    }
    put_optional_long(out, entry->sort_order_id);
    put_optional_long(out, entry->first_row_id);
    put_optional_text(out, entry->referenced);
    put_optional_long(out, entry->content_offset);
    put_optional_long(out, entry->content_size_bytes);
}
