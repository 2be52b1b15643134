/* Reading members of a JSON document with the path said in messages.
 *
 * A path is a list of frames on the stack, so that a document of ten thousand snapshots pays
 * nothing for it; it is printed when something is wrong. Null and absent members mean the same, as
 * writers differ in which they use. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct json_place {
    const struct json_place *up;
    struct slice name; /* the root's is "$"; ptr NULL: an index */
    size_t index;
};

struct json_reader {
    struct arena *arena;     /* of the result */
    struct slice document;   /* texts inside of it need no copy */
    uint32_t format_version; /* of the table; views read schemas as version 3 */
    struct errinfo *info;
};

#define JSON_ROOT(text) ((struct json_place){.name = slice_of(text)})
#define JSON_MEMBER(place, text) ((struct json_place){.up = (place), .name = slice_of(text)})
#define JSON_INDEX(place, idx) ((struct json_place){.up = (place), .index = (idx)})

/* ERR_CORRUPT: "<path>" <what>. */
PRINTF_LIKE(3, 4)
enum err(iceberg__json_bad)(const struct json_reader *reader, const struct json_place *place,
                            const char *format, ...);
#define iceberg__json_bad(...) ((void)(iceberg__json_bad)(__VA_ARGS__), (enum err)ERR_CORRUPT)
/* The same with another code, for what is valid but not done. */
PRINTF_LIKE(3, 4)
enum err(iceberg__json_unsupported)(const struct json_reader *reader,
                                    const struct json_place *place, const char *format, ...);
#define iceberg__json_unsupported(...)                                                             \
    ((void)(iceberg__json_unsupported)(__VA_ARGS__), (enum err)ERR_UNSUPPORTED)

/* Appends "$.schemas[1].fields[0]". */
void iceberg__json_place_print(const struct json_place *place, struct buf *out);

/* ERR_CORRUPT unless `node` is an object that names no member twice. */
MUST_USE enum err iceberg__json_object(const struct json_reader *reader,
                                       const struct json_place *place, const struct json *node);
/* The array member `name`, or NULL when it is absent; ERR_CORRUPT for another kind. */
MUST_USE enum err iceberg__json_array(const struct json_reader *reader,
                                      const struct json_place *place, const struct json *object,
                                      const char *name, const struct json **ret_array);
MUST_USE enum err iceberg__json_array_required(const struct json_reader *reader,
                                               const struct json_place *place,
                                               const struct json *object, const char *name,
                                               const struct json **ret_array);

/* Whole numbers from `least` to `most`. */
MUST_USE enum err iceberg__json_long(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *object,
                                     const char *name, int64_t least, int64_t most,
                                     int64_t *ret_value);
MUST_USE enum err iceberg__json_long_or(const struct json_reader *reader,
                                        const struct json_place *place, const struct json *object,
                                        const char *name, int64_t least, int64_t most,
                                        int64_t otherwise, int64_t *ret_value);
MUST_USE enum err iceberg__json_int(const struct json_reader *reader,
                                    const struct json_place *place, const struct json *object,
                                    const char *name, int32_t least, int32_t *ret_value);
MUST_USE enum err iceberg__json_int_or(const struct json_reader *reader,
                                       const struct json_place *place, const struct json *object,
                                       const char *name, int32_t least, int32_t otherwise,
                                       int32_t *ret_value);
MUST_USE enum err iceberg__json_bool(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *object,
                                     const char *name, bool *ret_value);

/* Texts; they outlive the tree. An absent optional text is empty. */
MUST_USE enum err iceberg__json_text(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *object,
                                     const char *name, struct slice *ret_text);
MUST_USE enum err iceberg__json_text_or_empty(const struct json_reader *reader,
                                              const struct json_place *place,
                                              const struct json *object, const char *name,
                                              struct slice *ret_text);
/* `text` of a node as a text that outlives the tree. */
MUST_USE enum err iceberg__json_keep(const struct json_reader *reader, struct slice text,
                                     struct slice *ret_text);
/* Lists of ids of 0 and up; of texts. Absent: none. */
MUST_USE enum err iceberg__json_ids(const struct json_reader *reader,
                                    const struct json_place *place, const struct json *object,
                                    const char *name, const int32_t **ret_ids, size_t *ret_count);
MUST_USE enum err iceberg__json_texts(const struct json_reader *reader,
                                      const struct json_place *place, const struct json *object,
                                      const char *name, const struct slice **ret_texts,
                                      size_t *ret_count);
struct iceberg_property;
/* A map of texts; of members with one name the last counts, as in every JSON reader of the
 * neighbours, and both are kept. Absent: none. */
MUST_USE enum err iceberg__json_properties(const struct json_reader *reader,
                                           const struct json_place *place,
                                           const struct json *object, const char *name,
                                           const struct iceberg_property **ret_properties,
                                           size_t *ret_count);

struct iceberg_schema;
struct iceberg_type;
/* Schemas inside of a document. */
MUST_USE enum err iceberg__schema_read(const struct json_reader *reader,
                                       const struct json_place *place, const struct json *node,
                                       struct iceberg_schema *ret_schema);
/* The array member "schemas"; no two may have one id. */
MUST_USE enum err iceberg__schemas_read(const struct json_reader *reader,
                                        const struct json_place *place, const struct json *array,
                                        struct iceberg_schema **ret_schemas, size_t *ret_count);

/* A document's bytes as text in `arena`: copied, or unpacked when they are gzip. */
MUST_USE enum err iceberg__document_text(struct slice bytes, struct arena *arena,
                                         struct slice *ret_text, struct errinfo *info);

#define ICEBERG__DOCUMENT_BYTES_MAX (1024u * 1024 * 1024)
#define ICEBERG__FIELD_ID_MAX 2147483447 /* above: metadata columns (spec "Reserved Field IDs") */
