/* A schema message of anybody (Schema.fbs). */
#include "arrow/ipc_int.h"
#include "arrow/ipc_read_int.h"

struct type_reader {
    struct ipc_reader *reader;
    struct errinfo *info;
};

static const char *int_format(uint64_t width, bool is_signed)
{
    switch (width) {
    case 8:
        return is_signed ? "c" : "C";
    case 16:
        return is_signed ? "s" : "S";
    case 32:
        return is_signed ? "i" : "I";
    case 64:
        return is_signed ? "l" : "L";
    default:
        return NULL;
    }
}

static bool read_int(const struct flat_view *type, const char **ret_format)
{
    uint64_t width, is_signed;
    if (!flat_view_number(type, 0, 4, 0, &width) || !flat_view_number(type, 1, 1, 0, &is_signed)) {
        return false;
    }
    *ret_format = int_format(width, is_signed != 0);
    return true;
}

/* One of "smun", by the number of a unit. */
static char unit_letter(uint64_t unit)
{
    return unit < 4 ? "smun"[unit] : '\0';
}

static bool read_time(struct arena *arena, const struct flat_view *type, unsigned code,
                      const char **ret_format)
{
    uint64_t unit;
    struct slice zone = {"", 0};
    if (!flat_view_number(type, 0, 2, code == IPC_TYPE_TIMESTAMP ? 0 : 1, &unit) ||
        (code == IPC_TYPE_TIMESTAMP && !flat_view_text(type, 1, &zone))) {
        return false;
    }
    char letter = unit_letter(unit);
    if (letter == '\0' || zone.len > 64 || memchr(zone.ptr, '\0', zone.len) != NULL) {
        return true;
    }
    *ret_format = code == IPC_TYPE_TIME ? arena_printf(arena, "tt%c", letter)
                  : code == IPC_TYPE_DURATION
                      ? arena_printf(arena, "tD%c", letter)
                      : arena_printf(arena, "ts%c:%.*s", letter, SLICE_ARGS(zone));
    return true;
}

static bool read_decimal(struct arena *arena, const struct flat_view *type, const char **ret_format)
{
    uint64_t precision, scale, bits;
    if (!flat_view_number(type, 0, 4, 0, &precision) || !flat_view_number(type, 1, 4, 0, &scale) ||
        !flat_view_number(type, 2, 4, 128, &bits)) {
        return false;
    }
    *ret_format =
        bits == 128 ? arena_printf(arena, "d:%d,%d", (int)(uint32_t)precision, (int)(uint32_t)scale)
                    : arena_printf(arena, "d:%d,%d,%d", (int)(uint32_t)precision,
                                   (int)(uint32_t)scale, (int)(uint32_t)bits);
    return true;
}

static bool read_sized(struct arena *arena, const struct flat_view *type, const char *format,
                       const char **ret_format)
{
    uint64_t size;
    if (!flat_view_number(type, 0, 4, 0, &size)) {
        return false;
    }
    *ret_format = size > INT32_MAX ? NULL : arena_printf(arena, "%s%u", format, (unsigned)size);
    return true;
}

static bool read_unit(const struct flat_view *type, const char *const *formats, size_t count,
                      uint64_t fallback, const char **ret_format)
{
    uint64_t unit;
    if (!flat_view_number(type, 0, 2, fallback, &unit)) {
        return false;
    }
    *ret_format = unit < count ? formats[unit] : NULL;
    return true;
}

/* False: the flatbuffer is wrong. `*ret_format` NULL: there is no such type here. */
static bool read_format(struct arena *arena, unsigned code, const struct flat_view *type,
                        const char **ret_format)
{
    static const char *const floats[] = {"e", "f", "g"};
    static const char *const dates[] = {"tdD", "tdm"};
    static const char *const intervals[] = {NULL, NULL, "tin"};
    *ret_format = NULL;
    switch (code) {
    case IPC_TYPE_NULL:
        *ret_format = "n";
        return true;
    case IPC_TYPE_INT:
        return read_int(type, ret_format);
    case IPC_TYPE_FLOAT:
        return read_unit(type, floats, ARRAY_COUNT(floats), 0, ret_format);
    case IPC_TYPE_BINARY:
        *ret_format = "z";
        return true;
    case IPC_TYPE_UTF8:
        *ret_format = "u";
        return true;
    case IPC_TYPE_BOOL:
        *ret_format = "b";
        return true;
    case IPC_TYPE_DECIMAL:
        return read_decimal(arena, type, ret_format);
    case IPC_TYPE_DATE:
        return read_unit(type, dates, ARRAY_COUNT(dates), 1, ret_format);
    case IPC_TYPE_TIME:
    case IPC_TYPE_TIMESTAMP:
    case IPC_TYPE_DURATION:
        return read_time(arena, type, code, ret_format);
    case IPC_TYPE_INTERVAL:
        return read_unit(type, intervals, ARRAY_COUNT(intervals), 0, ret_format);
    case IPC_TYPE_LIST:
        *ret_format = "+l";
        return true;
    case IPC_TYPE_STRUCT:
        *ret_format = "+s";
        return true;
    case IPC_TYPE_FIXED_BINARY:
        return read_sized(arena, type, "w:", ret_format);
    case IPC_TYPE_FIXED_LIST:
        return read_sized(arena, type, "+w:", ret_format);
    case IPC_TYPE_MAP:
        *ret_format = "+m";
        return true;
    case IPC_TYPE_LARGE_BINARY:
        *ret_format = "Z";
        return true;
    case IPC_TYPE_LARGE_UTF8:
        *ret_format = "U";
        return true;
    case IPC_TYPE_LARGE_LIST:
        *ret_format = "+L";
        return true;
    default:
        return true; /* unions, views, run-end encoding */
    }
}

static void release_nothing(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static enum err read_fields(struct type_reader *types, const struct flat_items *items,
                            unsigned depth, struct ArrowSchema *schema);

/* The field's type is that of the values; the column itself holds the indices. */
static enum err read_encoding(struct type_reader *types, const struct flat_view *encoding,
                              struct ArrowSchema *schema)
{
    struct ipc_reader *reader = types->reader;
    struct ipc_dictionary *entry = arena_calloc(reader->arena, 1, sizeof(*entry));
    struct ArrowSchema *values = arena_calloc(reader->arena, 1, sizeof(*values));
    struct flat_view index;
    uint64_t id;
    const char *format = "i";
    if (entry == NULL || values == NULL) {
        return errinfo_nomem(types->info);
    }
    if (!flat_view_number(encoding, 0, 8, 0, &id) || !flat_view_table(encoding, 1, &index) ||
        (index.at != 0 && !read_int(&index, &format)) || format == NULL) {
        return ipc__wrong(types->info, "a dictionary is not described as it must be");
    }
    *values = *schema;
    values->name = "";
    schema->format = format;
    schema->n_children = 0;
    schema->children = NULL;
    schema->dictionary = values;
    *entry =
        (struct ipc_dictionary){.next = reader->dictionaries, .id = (int64_t)id, .column = schema};
    reader->dictionaries = entry;
    return ERR_OK;
}

static enum err read_field(struct type_reader *types, const struct flat_view *field, unsigned depth,
                           struct ArrowSchema *schema)
{
    struct arena *arena = types->reader->arena;
    struct slice name;
    uint64_t is_nullable, code;
    struct flat_view type, encoding;
    struct flat_items children;
    if (depth > IPC_READ_DEPTH_MAX || ++types->reader->field_count > IPC_READ_FIELDS_MAX) {
        return errinfo_set(types->info, ERR_LIMIT, NULL,
                           "the schema has too many columns, or is nested too deep");
    }
    if (!flat_view_text(field, 0, &name) || !flat_view_number(field, 1, 1, 0, &is_nullable) ||
        !flat_view_number(field, 2, 1, 0, &code) || !flat_view_table(field, 3, &type) ||
        !flat_view_table(field, 4, &encoding) || !flat_view_items(field, 5, 4, &children) ||
        !slice_is_utf8(name, NULL) || (name.len > 0 && memchr(name.ptr, '\0', name.len) != NULL) ||
        !read_format(arena, (unsigned)code, &type, &schema->format)) {
        return ipc__wrong(types->info, "the schema is not as it must be");
    }
    if (schema->format == NULL) {
        return errinfo_set(types->info, ERR_UNSUPPORTED, NULL,
                           "column \"%.*s\" is of a type of Arrow that is not taken",
                           SLICE_ARGS(name));
    }
    schema->name = arena_slicedup(arena, name);
    schema->flags = is_nullable != 0 ? ARROW_FLAG_NULLABLE : 0;
    schema->release = release_nothing;
    if (schema->name == NULL) {
        return errinfo_nomem(types->info);
    }
    TRY(read_fields(types, &children, depth, schema));
    struct arrow_type checked;
    TRY(arrow__type(schema, &checked, types->info));
    return encoding.at == 0 ? ERR_OK : read_encoding(types, &encoding, schema);
}

static enum err read_fields(struct type_reader *types, const struct flat_items *items,
                            unsigned depth, struct ArrowSchema *schema)
{
    struct arena *arena = types->reader->arena;
    if (items->count > IPC_READ_FIELDS_MAX) {
        return errinfo_set(types->info, ERR_LIMIT, NULL, "the schema has too many columns");
    }
    struct ArrowSchema *fields = arena_calloc(arena, items->count + 1, sizeof(*fields));
    schema->children = arena_calloc(arena, items->count + 1, sizeof(struct ArrowSchema *));
    if (fields == NULL || schema->children == NULL) {
        return errinfo_nomem(types->info);
    }
    schema->n_children = (int64_t)items->count;
    for (size_t i = 0; i < items->count; i++) {
        struct flat_view field;
        schema->children[i] = &fields[i];
        if (!flat_view_item(items, i, &field)) {
            return ipc__wrong(types->info, "the schema is not as it must be");
        }
        TRY(read_field(types, &field, depth + 1, &fields[i]));
    }
    return ERR_OK;
}

enum err ipc__read_schema(struct ipc_reader *reader, const struct flat_view *header,
                          struct errinfo *info)
{
    struct type_reader types = {reader, info};
    struct flat_items items;
    uint64_t endianness;
    struct ArrowSchema *schema = arena_calloc(reader->arena, 1, sizeof(*schema));
    if (schema == NULL) {
        return errinfo_nomem(info);
    }
    if (!flat_view_number(header, 0, 2, 0, &endianness) || endianness != 0 ||
        !flat_view_items(header, 1, 4, &items)) {
        return ipc__wrong(info, "the schema is not as it must be");
    }
    *schema = (struct ArrowSchema){.format = "+s", .name = "", .release = release_nothing};
    TRY(read_fields(&types, &items, 0, schema));
    reader->schema = schema;
    return ERR_OK;
}
