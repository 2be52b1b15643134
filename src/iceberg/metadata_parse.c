/* The root of a table's metadata document. Its text stays in the caller's arena, which values
 * view; the tree is dropped. */
#include "iceberg/metadata_int.h"

#include <ctype.h>

#include "base/json.h"

static enum err read_version(const struct json_reader *reader, const struct json_place *place,
                             const struct json *root, uint32_t *ret_version)
{
    int64_t version = 0;
    TRY(iceberg__json_long(reader, place, root, "format-version", 1, INT32_MAX, &version));
    if (version > ICEBERG_FORMAT_VERSION_MAX) {
        (void)iceberg__json_unsupported(
            reader, place, "is a table of format version %lld; this program reads up to %d",
            (long long)version, ICEBERG_FORMAT_VERSION_MAX);
        errinfo_hint(reader->info,
                     "Read it with a newer program, or write it in format version %d.",
                     ICEBERG_FORMAT_VERSION_MAX);
        return ERR_UNSUPPORTED;
    }
    *ret_version = (uint32_t)version;
    return ERR_OK;
}

static bool is_uuid(struct slice text)
{
    if (text.len != 36) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? text.ptr[i] != '-' : !isxdigit((unsigned char)text.ptr[i])) {
            return false;
        }
    }
    return true;
}

/* Policies hang on it, so one table has one spelling. */
static enum err read_uuid(const struct json_reader *reader, const struct json_place *place,
                          const struct json *root, struct slice *ret_uuid)
{
    struct slice text;
    TRY(iceberg__json_text_or_empty(reader, place, root, "table-uuid", &text));
    if (text.len == 0 && reader->format_version == 1) {
        *ret_uuid = (struct slice){"", 0};
        return ERR_OK;
    }
    if (!is_uuid(text)) {
        struct json_place member = JSON_MEMBER(place, "table-uuid");
        return iceberg__json_bad(reader, &member, "is not a UUID");
    }
    char *lower = arena_slicedup(reader->arena, text);
    if (lower == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (size_t i = 0; i < text.len; i++) {
        lower[i] = (char)tolower((unsigned char)lower[i]);
    }
    *ret_uuid = (struct slice){lower, text.len};
    return ERR_OK;
}

static enum err read_schemas(const struct json_reader *reader, const struct json_place *place,
                             const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *array = NULL;
    struct iceberg_schema *schemas;
    TRY(iceberg__json_array(reader, place, root, "schemas", &array));
    if (array == NULL && reader->format_version == 1) {
        struct json_place member = JSON_MEMBER(place, "schema");
        struct iceberg_schema *schema = arena_calloc(reader->arena, 1, sizeof(*schema));
        if (schema == NULL) {
            return errinfo_nomem(reader->info);
        }
        TRY(iceberg__schema_read(reader, &member, json_get(root, "schema"), schema));
        metadata->schemas = schema;
        metadata->schema_count = 1;
        metadata->current_schema_id = schema->id;
        return ERR_OK;
    }
    TRY(iceberg__json_array_required(reader, place, root, "schemas", &array));
    TRY(iceberg__json_int(reader, place, root, "current-schema-id", 0,
                          &metadata->current_schema_id));
    TRY(iceberg__schemas_read(reader, place, array, &schemas, &metadata->schema_count));
    metadata->schemas = schemas;
    if (iceberg_metadata_current_schema(metadata) == NULL) {
        struct json_place member = JSON_MEMBER(place, "current-schema-id");
        return iceberg__json_bad(reader, &member, "is %d, but no schema has that id",
                                 metadata->current_schema_id);
    }
    return ERR_OK;
}

static enum err read_counters(const struct json_reader *reader, const struct json_place *place,
                              const struct json *root, struct iceberg_metadata *metadata)
{
    TRY(iceberg__json_text(reader, place, root, "location", &metadata->location));
    while (metadata->location.len > 1 &&
           metadata->location.ptr[metadata->location.len - 1] == '/') {
        metadata->location.len--;
    }
    TRY(iceberg__json_long(reader, place, root, "last-updated-ms", INT64_MIN, INT64_MAX,
                           &metadata->last_updated_ms));
    TRY(iceberg__json_int(reader, place, root, "last-column-id", 0, &metadata->last_column_id));
    if (reader->format_version > 1) {
        TRY(iceberg__json_long(reader, place, root, "last-sequence-number", 0, INT64_MAX,
                               &metadata->last_sequence_number));
    }
    if (reader->format_version > 2) {
        TRY(iceberg__json_long(reader, place, root, "next-row-id", 0, INT64_MAX,
                               &metadata->next_row_id));
    }
    const struct json *keys = NULL;
    TRY(iceberg__json_array(reader, place, root, "encryption-keys", &keys));
    metadata->has_encryption_keys = keys != NULL && keys->count > 0;
    return ERR_OK;
}

static enum err read_root(struct json_reader *reader, const struct json *root,
                          struct iceberg_metadata *metadata)
{
    struct json_place place = JSON_ROOT("$");
    TRY(iceberg__json_object(reader, &place, root));
    TRY(read_version(reader, &place, root, &metadata->format_version));
    reader->format_version = metadata->format_version;
    TRY(read_uuid(reader, &place, root, &metadata->uuid));
    TRY(read_counters(reader, &place, root, metadata));
    TRY(read_schemas(reader, &place, root, metadata));
    TRY(iceberg__specs_read(reader, &place, root, metadata));
    TRY(iceberg__sort_orders_read(reader, &place, root, metadata));
    TRY(iceberg__json_properties(reader, &place, root, "properties", &metadata->properties,
                                 &metadata->property_count));
    TRY(iceberg__snapshots_read(reader, &place, root, metadata));
    TRY(iceberg__refs_read(reader, &place, root, metadata));
    TRY(iceberg__logs_read(reader, &place, root, metadata));
    return iceberg__statistics_read(reader, &place, root, metadata);
}

enum err iceberg_metadata_parse(struct slice bytes, struct arena *arena,
                                struct iceberg_metadata *ret_metadata, struct errinfo *info)
{
    struct json_reader reader = {.arena = arena, .info = info};
    struct iceberg_metadata metadata = {0};
    struct json *root = NULL;
    TRY(iceberg__document_text(bytes, arena, &reader.document, info));
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(arena, "metadata tree", 0);
    if (tree == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = json_parse(tree, reader.document, NULL, &root, info);
    if (err != ERR_OK) {
        struct errinfo inner = {0};
        if (err == ERR_INVALID && info != NULL) {
            inner = *info;
        }
        return err == ERR_INVALID
                   ? errinfo_set(info, ERR_CORRUPT, NULL, "table metadata is no JSON document: %s",
                                 inner.message)
                   : err;
    }
    TRY(read_root(&reader, root, &metadata));
    *ret_metadata = metadata;
    return ERR_OK;
}
