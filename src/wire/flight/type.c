/* The engine's names of types as Arrow has them, for what is told before rows are there. It must be
 * what the engine's own batches say: the tests hold them against each other for each type. */
#include "wire/flight/flight_int.h"

#define DEPTH_MAX 32u

static const struct {
    const char *name;
    const char *format;
} scalars[] = {
    {"BOOLEAN", "b"},
    {"TINYINT", "c"},
    {"SMALLINT", "s"},
    {"INTEGER", "i"},
    {"BIGINT", "l"},
    {"UTINYINT", "C"},
    {"USMALLINT", "S"},
    {"UINTEGER", "I"},
    {"UBIGINT", "L"},
    {"HUGEINT", "d:38,0"},
    {"UHUGEINT", "d:38,0"},
    {"FLOAT", "f"},
    {"DOUBLE", "g"},
    {"VARCHAR", "u"},
    {"UNKNOWN", "u"},
    {"JSON", "u"},
    {"UUID", "u"},
    {"BIT", "u"},
    {"BLOB", "z"},
    {"DATE", "tdD"},
    {"TIME", "ttu"},
    {"TIME_NS", "ttn"},
    {"TIME WITH TIME ZONE", "ttu"},
    {"TIMESTAMP", "tsu:"},
    {"TIMESTAMP_S", "tss:"},
    {"TIMESTAMP_MS", "tsm:"},
    {"TIMESTAMP_NS", "tsn:"},
    {"TIMESTAMP WITH TIME ZONE", "tsu:UTC"},
    {"TIMESTAMPTZ_NS", "tsn:UTC"},
    {"INTERVAL", "tin"},
    {"\"NULL\"", "n"},
    {"NULL", "n"},
};

struct reader {
    struct arena *arena;
    struct errinfo *info;
};

static enum err read_type(struct reader *reader, struct slice type, struct slice name,
                          unsigned depth, struct ArrowSchema *ret_schema);

static void release_nothing(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static enum err set(struct reader *reader, const char *format, struct slice name,
                    size_t child_count, struct ArrowSchema *ret_schema)
{
    char *copy = arena_slicedup(reader->arena, name);
    struct ArrowSchema *children = arena_calloc(reader->arena, child_count + 1, sizeof(*children));
    struct ArrowSchema **links =
        arena_calloc(reader->arena, child_count + 1, sizeof(struct ArrowSchema *));
    if (format == NULL || copy == NULL || children == NULL || links == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (size_t i = 0; i < child_count; i++) {
        links[i] = &children[i];
    }
    *ret_schema = (struct ArrowSchema){.format = format,
                                       .name = copy,
                                       .flags = ARROW_FLAG_NULLABLE,
                                       .n_children = (int64_t)child_count,
                                       .children = links,
                                       .release = release_nothing};
    return ERR_OK;
}

/* Where the part of a list ends: at a comma outside of parentheses and quotes. */
static size_t part_len(struct slice text)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quote != 0) {
            quote = c == quote ? 0 : quote; /* a doubled one opens again */
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(' || c == '[') {
            depth++;
        } else if (c == ')' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 0) {
            return i;
        }
    }
    return text.len;
}

static struct slice next_part(struct slice *rest)
{
    size_t len = part_len(*rest);
    struct slice part = slice_trim((struct slice){rest->ptr, len});
    size_t used = len < rest->len ? len + 1 : len;
    *rest = (struct slice){rest->ptr + used, rest->len - used};
    return part;
}

static size_t part_count(struct slice text)
{
    size_t count = 0;
    for (; text.len > 0; count++) {
        (void)next_part(&text);
    }
    return count;
}

/* `name type` or `"na""me" type`. */
static enum err split_field(struct reader *reader, struct slice part, struct slice *ret_name,
                            struct slice *ret_type)
{
    size_t at = 0;
    size_t len = 0;
    char *name = arena_alloc(reader->arena, part.len + 1);
    if (name == NULL) {
        return errinfo_nomem(reader->info);
    }
    if (part.len > 0 && part.ptr[0] == '"') {
        for (at = 1; at < part.len; at++) {
            if (part.ptr[at] == '"' && (at + 1 >= part.len || part.ptr[++at] != '"')) {
                break;
            }
            name[len++] = part.ptr[at];
        }
    } else {
        for (; at < part.len && part.ptr[at] != ' '; at++) {
            name[len++] = part.ptr[at];
        }
    }
    *ret_name = (struct slice){name, len};
    *ret_type = slice_trim((struct slice){part.ptr + at, part.len - at});
    return ERR_OK;
}

static bool between(struct slice type, const char *prefix, struct slice *ret_inner)
{
    size_t len = strlen(prefix);
    if (!slice_starts_with(type, slice_of(prefix)) || !slice_ends_with(type, SLICE(")"))) {
        return false;
    }
    *ret_inner = (struct slice){type.ptr + len, type.len - len - 1};
    return true;
}

static enum err read_struct(struct reader *reader, struct slice inner, struct slice name,
                            unsigned depth, struct ArrowSchema *ret_schema)
{
    size_t count = part_count(inner);
    TRY(set(reader, "+s", name, count, ret_schema));
    for (size_t i = 0; i < count; i++) {
        struct slice field, type;
        TRY(split_field(reader, next_part(&inner), &field, &type));
        TRY(read_type(reader, type, field, depth + 1, ret_schema->children[i]));
    }
    return ERR_OK;
}

static enum err read_map(struct reader *reader, struct slice inner, struct slice name,
                         unsigned depth, struct ArrowSchema *ret_schema)
{
    struct slice key = next_part(&inner);
    TRY(set(reader, "+m", name, 1, ret_schema));
    struct ArrowSchema *entries = ret_schema->children[0];
    TRY(set(reader, "+s", SLICE("entries"), 2, entries));
    entries->flags = 0;
    TRY(read_type(reader, key, SLICE("key"), depth + 1, entries->children[0]));
    entries->children[0]->flags = 0;
    return read_type(reader, next_part(&inner), SLICE("value"), depth + 1, entries->children[1]);
}

/* An index as wide as the engine takes for so many values. */
static enum err read_enum(struct reader *reader, struct slice inner, struct slice name,
                          struct ArrowSchema *ret_schema)
{
    size_t count = part_count(inner);
    TRY(set(reader,
            count <= UINT8_MAX    ? "C"
            : count <= UINT16_MAX ? "S"
                                  : "I",
            name, 0, ret_schema));
    ret_schema->dictionary = arena_calloc(reader->arena, 1, sizeof(struct ArrowSchema));
    return ret_schema->dictionary == NULL ? errinfo_nomem(reader->info)
                                          : set(reader, "u", SLICE(""), 0, ret_schema->dictionary);
}

/* VARCHAR[] and INTEGER[3]. */
static enum err read_list(struct reader *reader, struct slice type, struct slice name,
                          unsigned depth, struct ArrowSchema *ret_schema)
{
    size_t open = type.len - 1;
    while (open > 0 && type.ptr[open] != '[') {
        open--;
    }
    struct slice size = {type.ptr + open + 1, type.len - open - 2};
    const char *format = "+l";
    if (size.len > 0) {
        format = arena_printf(reader->arena, "+w:%.*s", SLICE_ARGS(size));
    }
    TRY(set(reader, format, name, 1, ret_schema));
    return read_type(reader, (struct slice){type.ptr, open}, SLICE("l"), depth + 1,
                     ret_schema->children[0]);
}

static enum err read_type(struct reader *reader, struct slice type, struct slice name,
                          unsigned depth, struct ArrowSchema *ret_schema)
{
    struct slice inner;
    if (depth > DEPTH_MAX) {
        return errinfo_set(reader->info, ERR_LIMIT, NULL, "a type is nested deeper than %u levels",
                           DEPTH_MAX);
    }
    if (slice_ends_with(type, SLICE("]"))) {
        return read_list(reader, type, name, depth, ret_schema);
    }
    if (between(type, "STRUCT(", &inner)) {
        return read_struct(reader, inner, name, depth, ret_schema);
    }
    if (between(type, "MAP(", &inner)) {
        return read_map(reader, inner, name, depth, ret_schema);
    }
    if (between(type, "ENUM(", &inner)) {
        return read_enum(reader, inner, name, ret_schema);
    }
    if (between(type, "DECIMAL(", &inner)) {
        return set(reader, arena_printf(reader->arena, "d:%.*s", SLICE_ARGS(inner)), name, 0,
                   ret_schema);
    }
    for (size_t i = 0; i < ARRAY_COUNT(scalars); i++) {
        if (slice_equal(type, slice_of(scalars[i].name))) {
            return set(reader, scalars[i].format, name, 0, ret_schema);
        }
    }
    (void)errinfo_set(reader->info, ERR_UNSUPPORTED, NULL,
                      "column \"%.*s\" is of the type %.*s, which Arrow is not told of here",
                      SLICE_ARGS(name), SLICE_ARGS(type));
    errinfo_hint(reader->info, "Cast it to VARCHAR in the query.");
    return ERR_UNSUPPORTED;
}

enum err flight__schema_of(struct arena *arena, const struct query_column *columns, size_t count,
                           struct ArrowSchema **ret_schema, struct errinfo *info)
{
    struct reader reader = {arena, info};
    struct ArrowSchema *schema = arena_calloc(arena, 1, sizeof(*schema));
    if (schema == NULL) {
        return errinfo_nomem(info);
    }
    TRY(set(&reader, "+s", SLICE(""), count, schema));
    for (size_t i = 0; i < count; i++) {
        TRY(read_type(&reader, columns[i].type, columns[i].name, 1, schema->children[i]));
    }
    *ret_schema = schema;
    return ERR_OK;
}
