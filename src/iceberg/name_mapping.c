/* Names of columns in files that carry no field ids (spec "Column Projection"). */
#include "iceberg/json_int.h"
#include "iceberg/metadata.h"

#include <stdlib.h>

#include "base/mem.h"

static enum err read_mapping(const struct json_reader *reader, const struct json_place *place,
                             const struct json *array, unsigned depth,
                             struct iceberg_name_mapping *ret_mapping);

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static enum err check_names(const struct json_reader *reader, const struct json_place *place,
                            const struct iceberg_name_mapping *mapping)
{
    size_t count = 0;
    for (size_t i = 0; i < mapping->field_count; i++) {
        count += mapping->fields[i].name_count;
    }
    struct slice *names CLEANUP(mem_free_cleanup) = mem_calloc(count + 1, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(reader->info);
    }
    count = 0;
    for (size_t i = 0; i < mapping->field_count; i++) {
        for (size_t k = 0; k < mapping->fields[i].name_count; k++) {
            names[count++] = mapping->fields[i].names[k];
        }
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal(names[i - 1], names[i])) {
            return iceberg__json_bad(reader, place, "gives the name \"%.*s\" twice",
                                     SLICE_ARGS(names[i]));
        }
    }
    return ERR_OK;
}

static enum err read_mapped_field(const struct json_reader *reader, const struct json_place *place,
                                  const struct json *node, unsigned depth,
                                  struct iceberg_mapped_field *field)
{
    const struct json *names = NULL;
    const struct json *children = NULL;
    TRY(iceberg__json_object(reader, place, node));
    int64_t id = 0;
    TRY(iceberg__json_long_or(reader, place, node, "field-id", 0, ICEBERG__FIELD_ID_MAX,
                              ICEBERG_NO_ID, &id));
    field->field_id = (int32_t)id;
    TRY(iceberg__json_array_required(reader, place, node, "names", &names));
    TRY(iceberg__json_texts(reader, place, node, "names", &field->names, &field->name_count));
    TRY(iceberg__json_array(reader, place, node, "fields", &children));
    if (children == NULL) {
        return ERR_OK;
    }
    struct json_place member = JSON_MEMBER(place, "fields");
    return read_mapping(reader, &member, children, depth + 1, &field->children);
}

static enum err read_mapping(const struct json_reader *reader, const struct json_place *place,
                             const struct json *array, unsigned depth,
                             struct iceberg_name_mapping *ret_mapping)
{
    if (depth > ICEBERG_DEPTH_MAX) {
        return errinfo_set(reader->info, ERR_LIMIT, NULL,
                           "a name mapping nests deeper than %d levels", ICEBERG_DEPTH_MAX);
    }
    struct iceberg_mapped_field *fields =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(reader->info);
    }
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(place, count);
        TRY(read_mapped_field(reader, &item, node, depth, &fields[count++]));
    }
    struct iceberg_name_mapping mapping = {.fields = fields, .field_count = count};
    TRY(check_names(reader, place, &mapping));
    *ret_mapping = mapping;
    return ERR_OK;
}

enum err iceberg_name_mapping_parse(struct slice json, struct arena *arena,
                                    struct iceberg_name_mapping *ret_mapping, struct errinfo *info)
{
    struct json *root = NULL;
    struct json_reader reader = {.arena = arena, .info = info};
    struct json_place place = JSON_ROOT("$");
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(arena, "name mapping tree", 0);
    if (tree == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = json_parse(tree, json, NULL, &root, info);
    if (err == ERR_INVALID) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a name mapping is no JSON document");
    }
    TRY(err);
    if (root->type != JSON_ARRAY) {
        return iceberg__json_bad(&reader, &place, "is not a list of field mappings");
    }
    return read_mapping(&reader, &place, root, 0, ret_mapping);
}
