/* The document is changed as a tree: what is not about versions and properties stays. */
#include "iceberg/view_write.h"

#include "base/json.h"

#define VERSIONS_KEPT 10 /* version.history.num-entries, by default */

/* ---- parts ---- */

static void print_schema(const struct iceberg_view_write *write, int32_t id, struct buf *out)
{
    struct iceberg_schema schema = *write->schema;
    schema.id = id;
    iceberg_schema_write(&schema, out);
}

static void print_namespace(struct slice dotted, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t start = 0, i = 0; i <= dotted.len && dotted.len > 0; i++) {
        if (i == dotted.len || dotted.ptr[i] == '.') {
            buf_append_str(out, start == 0 ? "" : ",");
            json_write_string(out, (struct slice){dotted.ptr + start, i - start});
            start = i + 1;
        }
    }
    buf_append_char(out, ']');
}

static void print_version(const struct iceberg_view_write *write, int32_t id, int32_t schema_id,
                          struct buf *out)
{
    buf_printf(out,
               "{\"version-id\":%d,\"timestamp-ms\":%lld,\"schema-id\":%d,\"summary\":"
               "{\"engine-name\":\"moat\"},\"representations\":[{\"type\":\"sql\",\"sql\":",
               id, (long long)write->now_ms, schema_id);
    json_write_string(out, write->sql);
    buf_append_str(out, ",\"dialect\":");
    json_write_string(out, write->dialect);
    buf_append_str(out, "}],\"default-namespace\":");
    print_namespace(write->default_namespace, out);
    buf_append_char(out, '}');
}

static void print_properties(const struct iceberg_view_write *write, struct buf *out)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < write->property_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, write->properties[i].key);
        buf_append_char(out, ':');
        json_write_string(out, write->properties[i].value);
    }
    buf_append_char(out, '}');
}

void iceberg_view_print(const struct iceberg_view_write *write, struct buf *out)
{
    buf_append_str(out, "{\"view-uuid\":");
    json_write_string(out, write->uuid);
    buf_append_str(out, ",\"format-version\":1,\"location\":");
    json_write_string(out, write->location);
    buf_append_str(out, ",\"schemas\":[");
    print_schema(write, 0, out);
    buf_append_str(out, "],\"current-version-id\":1,\"versions\":[");
    print_version(write, 1, 0, out);
    buf_printf(out, "],\"version-log\":[{\"timestamp-ms\":%lld,\"version-id\":1}],\"properties\":",
               (long long)write->now_ms);
    print_properties(write, out);
    buf_append_char(out, '}');
}

/* ---- REST ---- */

void iceberg_view_print_request(const struct iceberg_view_write *write, struct slice name,
                                struct buf *out)
{
    buf_append_str(out, "{\"name\":");
    json_write_string(out, name);
    buf_append_str(out, ",\"schema\":");
    print_schema(write, 0, out);
    buf_append_str(out, ",\"view-version\":");
    print_version(write, 1, 0, out);
    buf_append_str(out, ",\"properties\":");
    print_properties(write, out);
    buf_append_char(out, '}');
}

void iceberg_view_print_updates(const struct iceberg_view_write *write, struct slice uuid,
                                struct buf *out)
{
    buf_append_str(out, "{\"requirements\":[{\"type\":\"assert-view-uuid\",\"uuid\":");
    json_write_string(out, uuid);
    buf_append_str(out, "}],\"updates\":[{\"action\":\"set-properties\",\"updates\":");
    print_properties(write, out);
    if (write->sql.len > 0) {
        buf_append_str(out, "},{\"action\":\"add-schema\",\"schema\":");
        print_schema(write, 0, out);
        buf_append_str(out, "},{\"action\":\"add-view-version\",\"view-version\":");
        print_version(write, 1, -1, out); /* of the schema sent with it */
        buf_append_str(out, "},{\"action\":\"set-current-view-version\",\"view-version-id\":-1");
    }
    buf_append_str(out, "}]}");
}

/* ---- a document that is there ---- */

static int64_t highest(const struct json *array, const char *key)
{
    int64_t most = -1;
    for (const struct json *item = array->first; item != NULL; item = item->next) {
        int64_t id;
        most = json_to_i64(json_get(item, key), &id) && id > most ? id : most;
    }
    return most;
}

/* `array` with what `text` says behind it, and no more than `kept` of both; the latest. */
static enum err extend(struct json *root, const char *key, const struct buf *text, size_t kept,
                       struct arena *arena, struct errinfo *info)
{
    struct json *added;
    struct json *array = json_new(arena, JSON_ARRAY);
    const struct json *old = json_get(root, key);
    size_t skipped = old->count + 1 > kept ? old->count + 1 - kept : 0;
    struct slice kept_text; /* the tree is a view of it */
    bool is_copied =
        !buf_failed(text) && array != NULL && arena_slice(arena, buf_slice(text), &kept_text);
    TRY(is_copied ? ERR_OK : errinfo_nomem(info));
    TRY(json_parse(arena, kept_text, NULL, &added, info));
    for (const struct json *item = old->first; item != NULL; item = item->next) {
        if (skipped > 0) {
            skipped--;
            continue;
        }
        struct json *copy = json_copy(arena, item);
        if (copy == NULL) {
            return errinfo_nomem(info);
        }
        json_append(array, copy);
    }
    json_append(array, added);
    json_set(root, key, array);
    return ERR_OK;
}

static size_t versions_kept(const struct json *root)
{
    uint64_t kept;
    struct slice said = json_get_text(json_get(root, "properties"), "version.history.num-entries");
    return slice_to_u64(said, &kept) && kept > 0 && kept < 10000 ? (size_t)kept : VERSIONS_KEPT;
}

static enum err set_properties(const struct iceberg_view_write *write, struct json *root,
                               struct arena *arena, struct errinfo *info)
{
    struct json *properties = json_get(root, "properties");
    if (properties == NULL) {
        properties = json_new(arena, JSON_OBJECT);
        if (properties == NULL) {
            return errinfo_nomem(info);
        }
        json_set(root, "properties", properties);
    }
    for (size_t i = 0; i < write->property_count; i++) {
        char *key = arena_slicedup(arena, write->properties[i].key);
        struct json *value = json_new_text(arena, write->properties[i].value);
        if (key == NULL || value == NULL) {
            return errinfo_nomem(info);
        }
        json_set(properties, key, value);
    }
    return ERR_OK;
}

static enum err add_version(const struct iceberg_view_write *write, struct json *root,
                            struct arena *arena, struct errinfo *info)
{
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf version CLEANUP(buf_fini) = {0};
    struct buf entry CLEANUP(buf_fini) = {0};
    struct json *log = json_get(root, "version-log");
    int64_t schema_id = highest(json_get(root, "schemas"), "schema-id") + 1;
    int64_t id = highest(json_get(root, "versions"), "version-id") + 1;
    if (id > INT32_MAX || schema_id > INT32_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "the view has too many versions");
    }
    if (log == NULL) {
        log = json_new(arena, JSON_ARRAY);
        if (log == NULL) {
            return errinfo_nomem(info);
        }
        json_set(root, "version-log", log);
    }
    print_schema(write, (int32_t)schema_id, &schema);
    print_version(write, (int32_t)id, (int32_t)schema_id, &version);
    buf_printf(&entry, "{\"timestamp-ms\":%lld,\"version-id\":%lld}", (long long)write->now_ms,
               (long long)id);
    TRY(extend(root, "schemas", &schema, SIZE_MAX, arena, info));
    TRY(extend(root, "versions", &version, versions_kept(root), arena, info));
    TRY(extend(root, "version-log", &entry, SIZE_MAX, arena, info));
    struct json *current = json_new_i64(arena, id);
    if (current == NULL) {
        return errinfo_nomem(info);
    }
    json_set(root, "current-version-id", current);
    return ERR_OK;
}

enum err iceberg_view_change(const struct iceberg_view_write *write, struct slice document,
                             struct arena *arena, struct buf *out, struct errinfo *info)
{
    struct json *root;
    struct iceberg_view checked; /* what is taken for granted above */
    TRY(iceberg_view_parse(document, arena, &checked, info));
    TRY(json_parse(arena, document, NULL, &root, info));
    TRY(set_properties(write, root, arena, info));
    if (write->sql.len > 0) {
        TRY(add_version(write, root, arena, info));
    }
    json_write(out, root);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err iceberg_view_write_of(const struct iceberg_view *view, struct slice dialect,
                               struct arena *arena, struct iceberg_view_write *ret_write,
                               struct errinfo *info)
{
    const struct iceberg_view_version *now = iceberg_view_current(view);
    struct buf ns CLEANUP(buf_fini) = {0};
    struct iceberg_view_write write = {.uuid = view->uuid,
                                       .location = view->location,
                                       .schema = iceberg_view_schema(view, now->schema_id),
                                       .properties = view->properties,
                                       .property_count = view->property_count,
                                       .now_ms = now->timestamp_ms};
    for (size_t i = 0; i < now->representation_count; i++) {
        bool is_it = slice_equal_fold(now->representations[i].dialect, dialect);
        if (i == 0 || is_it) {
            write.dialect = now->representations[i].dialect;
            write.sql = now->representations[i].sql;
        }
        if (is_it) {
            break;
        }
    }
    for (size_t i = 0; i < now->default_namespace_count; i++) {
        buf_append_str(&ns, i == 0 ? "" : ".");
        buf_append_slice(&ns, now->default_namespace[i]);
    }
    if (buf_failed(&ns) || !arena_slice(arena, buf_slice(&ns), &write.default_namespace)) {
        return errinfo_nomem(info);
    }
    *ret_write = write;
    return ERR_OK;
}
