/* Tables and databases as Glue has them, and as it wants them back: an input has fewer members than
 * what is answered, and none that is null. What is not ours of one is kept as it is written. */
#include "catalog/rest/glue/glue_int.h"

#define COMMENT_CHARACTERS_MAX 255 /* of a column */
#define DESCRIPTION_CHARACTERS_MAX 2048

bool glue_table__read(const struct json *table, struct glue_found *ret_found)
{
    const struct json *parameters = json_get(table, "Parameters");
    *ret_found = (struct glue_found){
        .table = table,
        .name = json_get_text(table, "Name"),
        .location = json_get_text(json_get(table, "StorageDescriptor"), "Location"),
        .metadata_location = json_get_text(parameters, "metadata_location"),
        .version = json_get_text(table, "VersionId"),
        .is_iceberg = slice_equal_fold(json_get_text(parameters, "table_type"), SLICE("iceberg")),
    };
    return ret_found->name.len > 0;
}

/* ---- writing ---- */

static bool is_among(struct slice key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(key, slice_of(keys[i]))) {
            return true;
        }
    }
    return false;
}

static void write_key(struct buf *out, bool *is_first, struct slice key)
{
    buf_append_str(out, *is_first ? "" : ",");
    json_write_string(out, key);
    buf_append_char(out, ':');
    *is_first = false;
}

static void write_member(struct buf *out, bool *is_first, struct slice key, struct slice text)
{
    write_key(out, is_first, key);
    json_write_string(out, text);
}

/* Those members of `old` that may be given, or, where `is_other`, may not. */
static void copy_members(const struct json *old, const char *const *keys, size_t count,
                         bool is_other, struct buf *out, bool *is_first)
{
    bool is_object = old != NULL && old->type == JSON_OBJECT;
    for (const struct json *item = is_object ? old->first : NULL; item != NULL; item = item->next) {
        if (is_among(item->key, keys, count) != is_other && !json_is_null(item)) {
            write_key(out, is_first, item->key);
            json_write(out, item);
        }
    }
}

/* At most so many characters of UTF-8. */
static struct slice cut(struct slice text, size_t characters_max)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool begins = ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
        if (begins && ++characters > characters_max) {
            return (struct slice){text.ptr, i};
        }
    }
    return text;
}

/* What somebody else wrote of a column that has no words of its own. */
static struct slice comment_of(const struct json *columns, struct slice name)
{
    bool is_array = columns != NULL && columns->type == JSON_ARRAY;
    for (const struct json *item = is_array ? columns->first : NULL; item != NULL;
         item = item->next) {
        if (slice_equal(json_get_text(item, "Name"), name)) {
            return json_get_text(item, "Comment");
        }
    }
    return (struct slice){0};
}

static void write_column(const struct metastore_column *column, const struct json *old,
                         struct buf *out)
{
    bool is_first = true;
    struct slice comment = column->doc.len > 0 ? column->doc : comment_of(old, column->name);
    buf_append_char(out, '{');
    write_member(out, &is_first, SLICE("Name"), column->name);
    write_member(out, &is_first, SLICE("Type"), column->type);
    if (comment.len > 0) {
        write_member(out, &is_first, SLICE("Comment"), cut(comment, COMMENT_CHARACTERS_MAX));
    }
    buf_printf(out,
               ",\"Parameters\":{\"iceberg.field.id\":\"%d\",\"iceberg.field.optional\":\"%s\","
               "\"iceberg.field.current\":\"%s\"}}",
               (int)column->field_id, column->is_optional ? "true" : "false",
               column->is_past ? "false" : "true");
}

static void write_storage(const struct json *old, const struct metastore_table *table,
                          struct buf *out)
{
    static const char *const ours[] = {"Columns", "Location"};
    bool is_first = true;
    buf_append_char(out, '{');
    write_key(out, &is_first, SLICE("Columns"));
    buf_append_char(out, '[');
    for (size_t i = 0; i < table->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        write_column(&table->columns[i], json_get(old, "Columns"), out);
    }
    buf_append_char(out, ']');
    write_member(out, &is_first, SLICE("Location"), table->location);
    copy_members(old, ours, ARRAY_COUNT(ours), true, out, &is_first);
    buf_append_char(out, '}');
}

static void write_parameters(const struct json *old, const struct glue_change *change,
                             struct buf *out)
{
    static const char *const ours[] = {"metadata_location", "previous_metadata_location",
                                       "table_type"};
    bool is_first = true;
    buf_append_char(out, '{');
    copy_members(old, ours, change->moved.len > 0 ? ARRAY_COUNT(ours) : 2, true, out, &is_first);
    if (change->moved.len > 0) {
        write_member(out, &is_first, SLICE("moat.renamed-to"), change->moved);
        buf_append_char(out, '}');
        return;
    }
    if (json_get(old, "table_type") == NULL) {
        write_member(out, &is_first, SLICE("table_type"), SLICE("ICEBERG"));
    }
    write_member(out, &is_first, SLICE("metadata_location"), change->table->metadata_location);
    if (change->before.len > 0) {
        write_member(out, &is_first, SLICE("previous_metadata_location"), change->before);
    }
    buf_append_char(out, '}');
}

static void write_description(const struct json *old, const struct metastore_table *table,
                              struct buf *out, bool *is_first)
{
    struct slice text = table != NULL ? table->comment : (struct slice){0};
    text = text.len > 0 ? text : json_get_text(old, "Description");
    if (text.len > 0) {
        write_member(out, is_first, SLICE("Description"), cut(text, DESCRIPTION_CHARACTERS_MAX));
    }
}

void glue_table__write(const struct json *old, const struct glue_change *change, struct buf *out)
{
    static const char *const kept[] = {
        "Owner",         "LastAccessTime",   "LastAnalyzedTime", "Retention",
        "PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType",
        "TargetTable"};
    static const char *const forms[] = {"StorageDescriptor", "Parameters"};
    bool is_first = true;
    buf_append_char(out, '{');
    write_member(out, &is_first, SLICE("Name"),
                 change->name.len > 0 ? change->name : json_get_text(old, "Name"));
    write_description(old, change->table, out, &is_first);
    copy_members(old, kept, ARRAY_COUNT(kept), false, out, &is_first);
    if (json_get_text(old, "TableType").len == 0) {
        write_member(out, &is_first, SLICE("TableType"), SLICE("EXTERNAL_TABLE"));
    }
    if (change->table == NULL) {
        copy_members(old, forms, change->moved.len > 0 ? 1 : 2, false, out, &is_first);
    } else {
        write_key(out, &is_first, SLICE("StorageDescriptor"));
        write_storage(json_get(old, "StorageDescriptor"), change->table, out);
    }
    if (change->table != NULL || change->moved.len > 0) {
        write_key(out, &is_first, SLICE("Parameters"));
        write_parameters(json_get(old, "Parameters"), change, out);
    }
    buf_append_char(out, '}');
}

/* ---- databases ---- */

/* A property that is a member of its own: what is given for it, or what it was. */
static void write_field(const struct json *old, const char *member, const char *key,
                        const struct rest_property *properties, size_t count, struct buf *out,
                        bool *is_first)
{
    const struct rest_property *given = metastore__property(properties, count, slice_of(key));
    struct slice value = given == NULL ? json_get_text(old, member) : given->value;
    if (value.len > 0) {
        write_member(out, is_first, slice_of(member), value);
    }
}

static bool is_field(struct slice key)
{
    return slice_equal(key, SLICE(METASTORE_LOCATION)) ||
           slice_equal(key, SLICE(METASTORE_COMMENT));
}

void glue_database__write(const struct json *old, struct slice name,
                          const struct rest_property *properties, size_t count, struct buf *out)
{
    static const char *const kept[] = {"CreateTableDefaultPermissions", "TargetDatabase",
                                       "FederatedDatabase"};
    const struct json *parameters = json_get(old, "Parameters");
    bool is_object = parameters != NULL && parameters->type == JSON_OBJECT;
    bool is_first = true;
    buf_append_char(out, '{');
    write_member(out, &is_first, SLICE("Name"), name);
    write_field(old, "Description", METASTORE_COMMENT, properties, count, out, &is_first);
    write_field(old, "LocationUri", METASTORE_LOCATION, properties, count, out, &is_first);
    copy_members(old, kept, ARRAY_COUNT(kept), false, out, &is_first);
    write_key(out, &is_first, SLICE("Parameters"));
    buf_append_char(out, '{');
    is_first = true;
    for (const struct json *item = is_object ? parameters->first : NULL; item != NULL;
         item = item->next) {
        if (metastore__property(properties, count, item->key) == NULL && !json_is_null(item)) {
            write_key(out, &is_first, item->key);
            json_write(out, item);
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool is_last = metastore__property(properties, count, properties[i].key) == &properties[i];
        if (is_last && properties[i].value.ptr != NULL && !is_field(properties[i].key)) {
            write_member(out, &is_first, properties[i].key, properties[i].value);
        }
    }
    buf_append_str(out, "}}");
}
