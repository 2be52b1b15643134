/* JSON: a document tree in an arena, a reader and a writer.
 *
 * Why our own: the engine's syntax tree is read, changed and written back for every query, so
 * numbers must survive to the digit (they are kept as text) and a parse must cost tens of
 * microseconds; jansson was measured at 66 MB/s and rounds nothing but refuses integers beyond
 * int64. RFC 8259, strict: no comments, no trailing commas; of members with
 * one name json_get finds the first. Strings may hold NUL ("\u0000").
 * Children are a linked list, so a node can be replaced in place. Not thread-safe per document. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_type type;
    bool boolean;       /* JSON_BOOL */
    uint32_t count;     /* children of an array or object */
    struct slice key;   /* decoded member name when the parent is an object */
    struct slice text;  /* JSON_STRING: decoded bytes; JSON_NUMBER: digits as written */
    struct json *first; /* children */
    struct json *last;
    struct json *next; /* next sibling */
};

struct json_limits {
    uint32_t depth_max; /* 0 = 512 */
    uint32_t nodes_max; /* 0 = no limit */
};

/* Parses one document; trailing white space only. `ret_root` and all it points to live in
 * `arena` (strings without escapes are views of `text`, which must live as long).
 * ERR_INVALID (22032) with the byte offset in the message; ERR_LIMIT for depth or nodes. */
MUST_USE enum err json_parse(struct arena *arena, struct slice text,
                             const struct json_limits *limits, struct json **ret_root,
                             struct errinfo *info);

/* Member of an object, or NULL (also when `object` is NULL or not an object). */
struct json *json_get(const struct json *object, const char *key);

/* Element of an array, or NULL. */
struct json *json_at(const struct json *array, uint32_t index);

/* Text of a string member, empty slice if absent or no string. */
struct slice json_get_text(const struct json *object, const char *key);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);

/* True if the node is an integer number in range. */
bool json_to_i64(const struct json *node, int64_t *ret_value);
bool json_to_u64(const struct json *node, uint64_t *ret_value);
bool json_is_null(const struct json *node); /* NULL counts as null */

/* Constructors in an arena: NULL when it is exhausted. Text is not copied. */
MUST_USE struct json *json_new(struct arena *arena, enum json_type type);
MUST_USE struct json *json_new_text(struct arena *arena, struct slice text);
MUST_USE struct json *json_new_bool(struct arena *arena, bool value);
MUST_USE struct json *json_new_i64(struct arena *arena, int64_t value);

/* Appends a child (which must not have a parent). Sets the key for objects (not copied). */
void json_append(struct json *parent, struct json *child);
void json_set(struct json *object, const char *key, struct json *child); /* append or replace */

/* Puts the content of `replacement` in the place of `node`: key and siblings of `node` stay. */
void json_replace(struct json *node, const struct json *replacement);

/* Deep copy into `arena` (texts are shared); NULL when exhausted. */
MUST_USE struct json *json_copy(struct arena *arena, const struct json *node);

/* Compact text, appended. Bytes that are not UTF-8 are written as they are. */
void json_write(struct buf *out, const struct json *node);

/* Appends a quoted, escaped JSON string. Invalid UTF-8 becomes U+FFFD. */
void json_write_string(struct buf *out, struct slice text);
