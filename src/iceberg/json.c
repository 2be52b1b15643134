#include "iceberg/json_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "iceberg/metadata.h"

#define PATH_BYTES_MAX 400

void iceberg__json_place_print(const struct json_place *place, struct buf *out)
{
    /* Up to the root and back: as deep as types may nest, which ICEBERG_DEPTH_MAX bounds. */
    if (place->up != NULL) {
        iceberg__json_place_print(place->up, out);
    }
    if (place->name.ptr == NULL) {
        buf_printf(out, "[%zu]", place->index);
        return;
    }
    if (place->up != NULL) {
        buf_append_char(out, '.');
    }
    buf_append_slice(out, place->name);
}

PRINTF_LIKE(4, 0)
static void report(const struct json_reader *reader, const struct json_place *place, enum err code,
                   const char *format, va_list args)
{
    char what[512];
    struct buf path CLEANUP(buf_fini) = {.bytes_max = PATH_BYTES_MAX};
    (void)vsnprintf(what, sizeof(what), format, args);
    iceberg__json_place_print(place, &path);
    (void)(errinfo_set)(reader->info, code, NULL, "\"%s\" %s", buf_cstr(&path), what);
}

enum err(iceberg__json_bad)(const struct json_reader *reader, const struct json_place *place,
                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(reader, place, ERR_CORRUPT, format, args);
    va_end(args);
    return ERR_CORRUPT;
}

enum err(iceberg__json_unsupported)(const struct json_reader *reader,
                                    const struct json_place *place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(reader, place, ERR_UNSUPPORTED, format, args);
    va_end(args);
    return ERR_UNSUPPORTED;
}

enum err iceberg__json_object(const struct json_reader *reader, const struct json_place *place,
                              const struct json *node)
{
    if (node == NULL || node->type != JSON_OBJECT) {
        return iceberg__json_bad(reader, place, "is not an object");
    }
    if (node->count > 256) {
        return iceberg__json_bad(reader, place, "has more than 256 members");
    }
    /* A member given twice would mean different things to different readers. */
    for (const struct json *a = node->first; a != NULL; a = a->next) {
        for (const struct json *b = a->next; b != NULL; b = b->next) {
            if (slice_equal(a->key, b->key)) {
                return iceberg__json_bad(reader, place, "has the member \"%.*s\" twice",
                                         SLICE_ARGS(a->key));
            }
        }
    }
    return ERR_OK;
}

enum err iceberg__json_array(const struct json_reader *reader, const struct json_place *place,
                             const struct json *object, const char *name,
                             const struct json **ret_array)
{
    const struct json *node = json_get(object, name);
    if (json_is_null(node)) {
        *ret_array = NULL;
        return ERR_OK;
    }
    if (node->type != JSON_ARRAY) {
        struct json_place member = JSON_MEMBER(place, name);
        return iceberg__json_bad(reader, &member, "is not a list");
    }
    *ret_array = node;
    return ERR_OK;
}

enum err iceberg__json_array_required(const struct json_reader *reader,
                                      const struct json_place *place, const struct json *object,
                                      const char *name, const struct json **ret_array)
{
    const struct json *node = NULL;
    TRY(iceberg__json_array(reader, place, object, name, &node));
    if (node == NULL) {
        struct json_place member = JSON_MEMBER(place, name);
        return iceberg__json_bad(reader, &member, "is missing");
    }
    *ret_array = node;
    return ERR_OK;
}

static enum err read_long(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, int64_t least, int64_t most, int64_t *ret_value)
{
    int64_t value = 0;
    if (!json_to_i64(node, &value) || value < least || value > most) {
        return iceberg__json_bad(reader, place, "is not a whole number of %lld to %lld",
                                 (long long)least, (long long)most);
    }
    *ret_value = value;
    return ERR_OK;
}

enum err iceberg__json_long(const struct json_reader *reader, const struct json_place *place,
                            const struct json *object, const char *name, int64_t least,
                            int64_t most, int64_t *ret_value)
{
    struct json_place member = JSON_MEMBER(place, name);
    const struct json *node = json_get(object, name);
    if (json_is_null(node)) {
        return iceberg__json_bad(reader, &member, "is missing");
    }
    return read_long(reader, &member, node, least, most, ret_value);
}

enum err iceberg__json_long_or(const struct json_reader *reader, const struct json_place *place,
                               const struct json *object, const char *name, int64_t least,
                               int64_t most, int64_t otherwise, int64_t *ret_value)
{
    const struct json *node = json_get(object, name);
    if (json_is_null(node)) {
        *ret_value = otherwise;
        return ERR_OK;
    }
    struct json_place member = JSON_MEMBER(place, name);
    return read_long(reader, &member, node, least, most, ret_value);
}

enum err iceberg__json_int(const struct json_reader *reader, const struct json_place *place,
                           const struct json *object, const char *name, int32_t least,
                           int32_t *ret_value)
{
    int64_t value = 0;
    TRY(iceberg__json_long(reader, place, object, name, least, INT32_MAX, &value));
    *ret_value = (int32_t)value;
    return ERR_OK;
}

enum err iceberg__json_int_or(const struct json_reader *reader, const struct json_place *place,
                              const struct json *object, const char *name, int32_t least,
                              int32_t otherwise, int32_t *ret_value)
{
    int64_t value = 0;
    TRY(iceberg__json_long_or(reader, place, object, name, least, INT32_MAX, otherwise, &value));
    *ret_value = (int32_t)value;
    return ERR_OK;
}

enum err iceberg__json_bool(const struct json_reader *reader, const struct json_place *place,
                            const struct json *object, const char *name, bool *ret_value)
{
    const struct json *node = json_get(object, name);
    if (node == NULL || node->type != JSON_BOOL) {
        struct json_place member = JSON_MEMBER(place, name);
        return iceberg__json_bad(reader, &member,
                                 node == NULL ? "is missing" : "is not true or false");
    }
    *ret_value = node->boolean;
    return ERR_OK;
}

enum err iceberg__json_keep(const struct json_reader *reader, struct slice text,
                            struct slice *ret_text)
{
    uintptr_t at = (uintptr_t)text.ptr;
    uintptr_t begin = (uintptr_t)reader->document.ptr;
    if (text.len == 0) {
        *ret_text = (struct slice){"", 0};
        return ERR_OK;
    }
    if (at >= begin && at < begin + reader->document.len) {
        *ret_text = text;
        return ERR_OK;
    }
    return arena_slice(reader->arena, text, ret_text) ? ERR_OK : errinfo_nomem(reader->info);
}

static enum err read_text(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, struct slice *ret_text)
{
    if (node->type != JSON_STRING) {
        return iceberg__json_bad(reader, place, "is not a string");
    }
    return iceberg__json_keep(reader, node->text, ret_text);
}

enum err iceberg__json_text(const struct json_reader *reader, const struct json_place *place,
                            const struct json *object, const char *name, struct slice *ret_text)
{
    const struct json *node = json_get(object, name);
    struct json_place member = JSON_MEMBER(place, name);
    if (json_is_null(node)) {
        return iceberg__json_bad(reader, &member, "is missing");
    }
    return read_text(reader, &member, node, ret_text);
}

enum err iceberg__json_text_or_empty(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *object,
                                     const char *name, struct slice *ret_text)
{
    const struct json *node = json_get(object, name);
    if (json_is_null(node)) {
        *ret_text = (struct slice){"", 0};
        return ERR_OK;
    }
    struct json_place member = JSON_MEMBER(place, name);
    return read_text(reader, &member, node, ret_text);
}

enum err iceberg__json_ids(const struct json_reader *reader, const struct json_place *place,
                           const struct json *object, const char *name, const int32_t **ret_ids,
                           size_t *ret_count)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, object, name, &array));
    if (array == NULL) {
        *ret_ids = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    int32_t *ids = arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place member = JSON_MEMBER(place, name);
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&member, count);
        int64_t id = 0;
        TRY(read_long(reader, &item, node, 0, INT32_MAX, &id));
        ids[count++] = (int32_t)id;
    }
    *ret_ids = ids;
    *ret_count = count;
    return ERR_OK;
}

enum err iceberg__json_texts(const struct json_reader *reader, const struct json_place *place,
                             const struct json *object, const char *name,
                             const struct slice **ret_texts, size_t *ret_count)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, object, name, &array));
    if (array == NULL) {
        *ret_texts = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    struct slice *texts = arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*texts));
    if (texts == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place member = JSON_MEMBER(place, name);
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&member, count);
        TRY(read_text(reader, &item, node, &texts[count++]));
    }
    *ret_texts = texts;
    *ret_count = count;
    return ERR_OK;
}

enum err iceberg__json_properties(const struct json_reader *reader, const struct json_place *place,
                                  const struct json *object, const char *name,
                                  const struct iceberg_property **ret_properties, size_t *ret_count)
{
    const struct json *map = json_get(object, name);
    if (json_is_null(map)) {
        *ret_properties = NULL;
        *ret_count = 0;
        return ERR_OK;
    }
    struct json_place member = JSON_MEMBER(place, name);
    if (map->type != JSON_OBJECT) {
        return iceberg__json_bad(reader, &member, "is not an object");
    }
    struct iceberg_property *properties =
        arena_calloc(reader->arena, (size_t)map->count + 1, sizeof(*properties));
    if (properties == NULL) {
        return errinfo_nomem(reader->info);
    }
    size_t count = 0;
    for (const struct json *node = map->first; node != NULL; node = node->next) {
        if (node->type != JSON_STRING) {
            struct json_place item = {.up = &member, .name = node->key};
            return iceberg__json_bad(reader, &item, "is not a string");
        }
        TRY(iceberg__json_keep(reader, node->key, &properties[count].key));
        TRY(iceberg__json_keep(reader, node->text, &properties[count].value));
        count++;
    }
    *ret_properties = properties;
    *ret_count = count;
    return ERR_OK;
}
