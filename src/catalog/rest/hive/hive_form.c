/* The struct Table of a metastore. What is not ours of one is kept as it is written. */
#include "catalog/rest/hive/hive_int.h"

enum {
    TABLE_NAME = 1,
    TABLE_DATABASE = 2,
    TABLE_OWNER = 3,
    TABLE_STORAGE = 7,
    TABLE_PARTITION_KEYS = 8,
    TABLE_PARAMETERS = 9,
    TABLE_KIND = 12,
    STORAGE_COLUMNS = 1,
    STORAGE_LOCATION = 2,
    STORAGE_INPUT = 3,
    STORAGE_OUTPUT = 4,
    STORAGE_IS_COMPRESSED = 5,
    STORAGE_BUCKETS = 6,
    STORAGE_SERDE = 7,
    SERDE_CLASS = 2,
    SERDE_PARAMETERS = 3,
};

static bool read_parameters(struct slice map, struct hive_found *found)
{
    struct thrift_reader reader = {.left = map};
    size_t count = thrift_read_map(&reader, THRIFT_STRING, THRIFT_STRING);
    for (size_t i = 0; i < count; i++) {
        struct slice key = thrift_read_string(&reader);
        struct slice value = thrift_read_string(&reader);
        if (slice_equal(key, SLICE("table_type"))) {
            found->is_iceberg = slice_equal_fold(value, SLICE("iceberg"));
        } else if (slice_equal(key, SLICE("metadata_location"))) {
            found->metadata_location = value;
        }
    }
    return !reader.is_bad;
}

static bool read_storage(struct slice storage, struct hive_found *found)
{
    struct thrift_reader reader = {.left = storage};
    struct thrift_field field;
    while (thrift_read_field(&reader, &field)) {
        if (field.id == STORAGE_LOCATION) {
            found->location = thrift_text_of(&reader, &field);
        }
    }
    return !reader.is_bad;
}

bool hive_table__read(struct slice raw, struct hive_found *ret_found)
{
    struct thrift_reader reader = {.left = raw};
    struct thrift_field field;
    *ret_found = (struct hive_found){.raw = raw};
    while (thrift_read_field(&reader, &field)) {
        if (field.id == TABLE_NAME) {
            ret_found->name = thrift_text_of(&reader, &field);
        } else if (field.id == TABLE_STORAGE && field.type == THRIFT_STRUCT &&
                   !read_storage(field.value, ret_found)) {
            return false;
        } else if (field.id == TABLE_PARAMETERS && field.type == THRIFT_MAP &&
                   !read_parameters(field.value, ret_found)) {
            return false;
        }
    }
    return !reader.is_bad && ret_found->name.len > 0;
}

/* ---- writing ---- */

static void copy(struct buf *out, const struct thrift_field *field)
{
    thrift_field(out, field->type, field->id);
    buf_append_slice(out, field->value);
}

static void write_columns(struct buf *out, const struct metastore_table *table)
{
    thrift_field(out, THRIFT_LIST, STORAGE_COLUMNS);
    thrift_list(out, THRIFT_STRUCT, table->column_count);
    for (size_t i = 0; i < table->column_count; i++) {
        thrift_string_field(out, 1, table->columns[i].name);
        thrift_string_field(out, 2, table->columns[i].type);
        if (table->columns[i].doc.len > 0) {
            thrift_string_field(out, 3, table->columns[i].doc);
        }
        thrift_stop(out);
    }
}

static bool is_ours(struct slice key)
{
    return slice_equal(key, SLICE("metadata_location")) ||
           slice_equal(key, SLICE("previous_metadata_location")) || slice_equal(key, SLICE("uuid"));
}

static size_t write_ours(struct buf *out, const struct metastore_table *table, struct slice before)
{
    const struct slice pairs[][2] = {{SLICE("metadata_location"), table->metadata_location},
                                     {SLICE("uuid"), table->uuid},
                                     {SLICE("previous_metadata_location"), before}};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (pairs[i][1].len > 0) {
            thrift_string(out, pairs[i][0]);
            thrift_string(out, pairs[i][1]);
            count++;
        }
    }
    return count;
}

static void rewrite_parameters(struct slice map, const struct hive_change *change, struct buf *out)
{
    struct buf entries CLEANUP(buf_fini) = {0};
    struct thrift_reader reader = {.left = map};
    size_t total = 0;
    size_t count = thrift_read_map(&reader, THRIFT_STRING, THRIFT_STRING);
    for (size_t i = 0; i < count; i++) {
        struct slice key = thrift_read_string(&reader);
        struct slice value = thrift_read_string(&reader);
        if (!is_ours(key)) {
            thrift_string(&entries, key);
            thrift_string(&entries, value);
            total++;
        }
    }
    total += write_ours(&entries, change->table, change->before);
    thrift_field(out, THRIFT_MAP, TABLE_PARAMETERS);
    thrift_map(out, THRIFT_STRING, THRIFT_STRING, total);
    buf_append_slice(out, buf_slice(&entries));
    if (buf_failed(&entries)) {
        out->failed = true;
    }
}

static void rewrite_storage(struct slice storage, const struct metastore_table *table,
                            struct buf *out)
{
    struct thrift_reader reader = {.left = storage};
    struct thrift_field field;
    thrift_field(out, THRIFT_STRUCT, TABLE_STORAGE);
    write_columns(out, table);
    thrift_string_field(out, STORAGE_LOCATION, table->location);
    while (thrift_read_field(&reader, &field)) {
        if (field.id != STORAGE_COLUMNS && field.id != STORAGE_LOCATION) {
            copy(out, &field);
        }
    }
    thrift_stop(out);
}

void hive_table__rewrite(struct slice raw, const struct hive_change *change, struct buf *out)
{
    struct thrift_reader reader = {.left = raw};
    struct thrift_field field;
    while (thrift_read_field(&reader, &field)) {
        if (field.id == TABLE_NAME && change->name.len > 0) {
            thrift_string_field(out, TABLE_NAME, change->name);
        } else if (field.id == TABLE_STORAGE && change->table != NULL) {
            rewrite_storage(field.value, change->table, out);
        } else if (field.id == TABLE_PARAMETERS && change->table != NULL) {
            rewrite_parameters(field.value, change, out);
        } else {
            copy(out, &field);
        }
    }
    thrift_stop(out);
}

/* With the classes that Hive itself reads Iceberg's tables by. */
static void write_storage(const struct metastore_table *table, struct buf *out)
{
    thrift_field(out, THRIFT_STRUCT, TABLE_STORAGE);
    write_columns(out, table);
    thrift_string_field(out, STORAGE_LOCATION, table->location);
    thrift_string_field(out, STORAGE_INPUT,
                        SLICE("org.apache.iceberg.mr.hive.HiveIcebergInputFormat"));
    thrift_string_field(out, STORAGE_OUTPUT,
                        SLICE("org.apache.iceberg.mr.hive.HiveIcebergOutputFormat"));
    thrift_bool_field(out, STORAGE_IS_COMPRESSED, false);
    thrift_i32_field(out, STORAGE_BUCKETS, 0);
    thrift_field(out, THRIFT_STRUCT, STORAGE_SERDE);
    thrift_string_field(out, SERDE_CLASS, SLICE("org.apache.iceberg.mr.hive.HiveIcebergSerDe"));
    thrift_field(out, THRIFT_MAP, SERDE_PARAMETERS);
    thrift_map(out, THRIFT_STRING, THRIFT_STRING, 0);
    thrift_stop(out);
    thrift_stop(out);
}

void hive_table__write(struct slice database, struct slice name, struct slice owner,
                       const struct metastore_table *table, struct buf *out)
{
    static const char *const fixed[][2] = {
        {"EXTERNAL", "TRUE"},
        {"table_type", "ICEBERG"},
        {"storage_handler", "org.apache.iceberg.mr.hive.HiveIcebergStorageHandler"},
    };
    struct buf entries CLEANUP(buf_fini) = {0};
    thrift_string_field(out, TABLE_NAME, name);
    thrift_string_field(out, TABLE_DATABASE, database);
    thrift_string_field(out, TABLE_OWNER, owner);
    write_storage(table, out);
    thrift_field(out, THRIFT_LIST, TABLE_PARTITION_KEYS);
    thrift_list(out, THRIFT_STRUCT, 0);
    size_t count = write_ours(&entries, table, (struct slice){0});
    thrift_field(out, THRIFT_MAP, TABLE_PARAMETERS);
    thrift_map(out, THRIFT_STRING, THRIFT_STRING, count + ARRAY_COUNT(fixed));
    buf_append_slice(out, buf_slice(&entries));
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        thrift_string(out, slice_of(fixed[i][0]));
        thrift_string(out, slice_of(fixed[i][1]));
    }
    thrift_string_field(out, TABLE_KIND, SLICE("EXTERNAL_TABLE"));
    thrift_stop(out);
    if (buf_failed(&entries)) {
        out->failed = true;
    }
}
