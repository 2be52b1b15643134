/* View metadata, format version 1 (Iceberg view spec). */
#include "iceberg/json_int.h"
#include "iceberg/metadata.h"

#define VIEW_FORMAT_VERSION 1

const struct iceberg_view_version *iceberg_view_current(const struct iceberg_view *view)
{
    for (size_t i = 0; i < view->version_count; i++) {
        if (view->versions[i].id == view->current_version_id) {
            return &view->versions[i];
        }
    }
    return NULL;
}

const struct iceberg_schema *iceberg_view_schema(const struct iceberg_view *view, int32_t id)
{
    for (size_t i = 0; i < view->schema_count; i++) {
        if (view->schemas[i].id == id) {
            return &view->schemas[i];
        }
    }
    return NULL;
}

static enum err read_representations(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *node,
                                     struct iceberg_view_version *version)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array_required(reader, place, node, "representations", &array));
    struct iceberg_view_sql *list =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*list));
    if (list == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place member = JSON_MEMBER(place, "representations");
    size_t count = 0;
    size_t idx = 0;
    for (const struct json *item = array->first; item != NULL; item = item->next, idx++) {
        struct json_place at = JSON_INDEX(&member, idx);
        struct slice type;
        TRY(iceberg__json_object(reader, &at, item));
        TRY(iceberg__json_text(reader, &at, item, "type", &type));
        if (!slice_equal_fold(type, SLICE("sql"))) {
            continue; /* another way to say the same view */
        }
        TRY(iceberg__json_text(reader, &at, item, "sql", &list[count].sql));
        TRY(iceberg__json_text(reader, &at, item, "dialect", &list[count].dialect));
        for (size_t i = 0; i < count; i++) {
            if (slice_equal_fold(list[i].dialect, list[count].dialect)) {
                return iceberg__json_bad(reader, &at, "is in dialect \"%.*s\", as another is",
                                         SLICE_ARGS(list[i].dialect));
            }
        }
        count++;
    }
    version->representations = list;
    version->representation_count = count;
    return ERR_OK;
}

static enum err read_version(const struct json_reader *reader, const struct json_place *place,
                             const struct json *node, struct iceberg_view_version *version)
{
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_int(reader, place, node, "version-id", 0, &version->id));
    TRY(iceberg__json_long(reader, place, node, "timestamp-ms", INT64_MIN, INT64_MAX,
                           &version->timestamp_ms));
    /* -1 in a request means "the schema sent with it"; a stored view names one. */
    TRY(iceberg__json_int(reader, place, node, "schema-id", 0, &version->schema_id));
    TRY(iceberg__json_properties(reader, place, node, "summary", &version->summary,
                                 &version->summary_count));
    TRY(iceberg__json_text_or_empty(reader, place, node, "default-catalog",
                                    &version->default_catalog));
    TRY(iceberg__json_texts(reader, place, node, "default-namespace", &version->default_namespace,
                            &version->default_namespace_count));
    return read_representations(reader, place, node, version);
}

static enum err read_versions(const struct json_reader *reader, const struct json_place *place,
                              const struct json *root, struct iceberg_view *view)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array_required(reader, place, root, "versions", &array));
    struct iceberg_view_version *versions =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*versions));
    if (versions == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "versions");
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&list, count);
        TRY(read_version(reader, &item, node, &versions[count]));
        for (size_t i = 0; i < count; i++) {
            if (versions[i].id == versions[count].id) {
                return iceberg__json_bad(reader, &item, "has version id %d, as another has",
                                         versions[i].id);
            }
        }
        count++;
    }
    view->versions = versions;
    view->version_count = count;
    return ERR_OK;
}

static enum err read_schemas(const struct json_reader *reader, const struct json_place *place,
                             const struct json *root, struct iceberg_view *view)
{
    const struct json *array = NULL;
    struct iceberg_schema *schemas;
    TRY(iceberg__json_array_required(reader, place, root, "schemas", &array));
    TRY(iceberg__schemas_read(reader, place, array, &schemas, &view->schema_count));
    view->schemas = schemas;
    return ERR_OK;
}

static enum err read_log(const struct json_reader *reader, const struct json_place *place,
                         const struct json *root, struct iceberg_view *view)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, root, "version-log", &array));
    size_t listed = array == NULL ? 0 : array->count;
    struct iceberg_view_log_entry *entries =
        arena_calloc(reader->arena, listed + 1, sizeof(*entries));
    if (entries == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "version-log");
    const struct json *node = array == NULL ? NULL : array->first;
    for (size_t i = 0; i < listed; i++, node = node->next) {
        struct json_place item = JSON_INDEX(&list, i);
        TRY(iceberg__json_object(reader, &item, node));
        TRY(iceberg__json_long(reader, &item, node, "timestamp-ms", INT64_MIN, INT64_MAX,
                               &entries[i].timestamp_ms));
        TRY(iceberg__json_int(reader, &item, node, "version-id", 0, &entries[i].version_id));
    }
    view->log = entries;
    view->log_count = listed;
    return ERR_OK;
}

static enum err read_root(const struct json_reader *reader, const struct json *root,
                          struct iceberg_view *view)
{
    struct json_place place = JSON_ROOT("$");
    int64_t version = 0;
    TRY(iceberg__json_object(reader, &place, root));
    TRY(iceberg__json_long(reader, &place, root, "format-version", 1, INT32_MAX, &version));
    if (version != VIEW_FORMAT_VERSION) {
        return iceberg__json_unsupported(
            reader, &place, "is a view of format version %lld; this program reads version %d",
            (long long)version, VIEW_FORMAT_VERSION);
    }
    TRY(iceberg__json_text(reader, &place, root, "view-uuid", &view->uuid));
    TRY(iceberg__json_text(reader, &place, root, "location", &view->location));
    TRY(iceberg__json_int(reader, &place, root, "current-version-id", 0,
                          &view->current_version_id));
    TRY(read_schemas(reader, &place, root, view));
    TRY(read_versions(reader, &place, root, view));
    TRY(read_log(reader, &place, root, view));
    TRY(iceberg__json_properties(reader, &place, root, "properties", &view->properties,
                                 &view->property_count));
    const struct iceberg_view_version *current = iceberg_view_current(view);
    if (current == NULL || iceberg_view_schema(view, current->schema_id) == NULL) {
        struct json_place member = JSON_MEMBER(&place, "current-version-id");
        return iceberg__json_bad(reader, &member, "is %d, but %s", view->current_version_id,
                                 current == NULL ? "no version has that id"
                                                 : "that version's schema is missing");
    }
    return ERR_OK;
}

enum err iceberg_view_parse(struct slice bytes, struct arena *arena, struct iceberg_view *ret_view,
                            struct errinfo *info)
{
    /* Views know no version of tables: every type is allowed. */
    struct json_reader reader = {
        .arena = arena, .format_version = ICEBERG_FORMAT_VERSION_MAX, .info = info};
    struct iceberg_view view = {0};
    struct json *root = NULL;
    TRY(iceberg__document_text(bytes, arena, &reader.document, info));
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(arena, "view tree", 0);
    if (tree == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = json_parse(tree, reader.document, NULL, &root, info);
    if (err == ERR_INVALID) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "view metadata is no JSON document");
    }
    TRY(err);
    TRY(read_root(&reader, root, &view));
    *ret_view = view;
    return ERR_OK;
}
