/* Types of PostgreSQL, with its numbers, and which of them a type of the engine is. */
#include "catalog/pg_int.h"

static const struct pg_type types[] = {
#define PG_TYPE(oid_, name_, format_, len_, value_, kind_, category_, preferred_, delimiter_,      \
                element_, array_, input_, output_, receive_, send_, in_, out_, subscript_, align_, \
                storage_, collation_)                                                              \
    {.oid = (oid_),                                                                                \
     .name = (name_),                                                                              \
     .format = (format_),                                                                          \
     .len = (len_),                                                                                \
     .is_by_value = (value_),                                                                      \
     .kind = (kind_),                                                                              \
     .category = (category_),                                                                      \
     .is_preferred = (preferred_),                                                                 \
     .delimiter = (delimiter_),                                                                    \
     .element = (element_),                                                                        \
     .array = (array_),                                                                            \
     .input = (input_),                                                                            \
     .output = (output_),                                                                          \
     .receive = (receive_),                                                                        \
     .send = (send_),                                                                              \
     .modifier_in = (in_),                                                                         \
     .modifier_out = (out_),                                                                       \
     .subscript = (subscript_),                                                                    \
     .align = (align_),                                                                            \
     .storage = (storage_),                                                                        \
     .collation = (collation_)},
#include "catalog/pg_types.def"
};

const struct pg_type *catalog__pg_type_at(size_t index)
{
    return index < ARRAY_COUNT(types) ? &types[index] : NULL;
}

const struct pg_type *catalog__pg_type_find(uint32_t oid)
{
    size_t low = 0;
    size_t high = ARRAY_COUNT(types);
    while (low < high) { /* printed in order */
        size_t middle = low + (high - low) / 2;
        if (types[middle].oid == oid) {
            return &types[middle];
        }
        low = types[middle].oid < oid ? middle + 1 : low;
        high = types[middle].oid < oid ? high : middle;
    }
    return NULL;
}

const struct pg_type *catalog__pg_type_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

static struct pg_typed decimal_of(struct slice type)
{
    struct pg_typed typed = {catalog__pg_type_find(PG_TYPE_NUMERIC), -1, 0};
    int width;
    int scale;
    char text[32];
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(type));
    if (sscanf(text, "DECIMAL(%d,%d)", &width, &scale) == 2) { /* printed by the engine */
        typed.modifier = (width << 16 | scale) + 4;
    }
    return typed;
}

/* Of what has an array type of its own there; lists of lists and of structs are texts. */
static struct pg_typed array_of(struct slice type)
{
    size_t open = type.len;
    while (open > 0 && type.ptr[open - 1] != '[') {
        open--;
    }
    struct slice element = {type.ptr, open == 0 ? 0 : open - 1};
    struct pg_typed typed = catalog__pg_type_of(element);
    bool is_text = typed.type->oid == PG_TYPE_TEXT && !slice_equal(element, SLICE("VARCHAR"));
    if (is_text || typed.dimensions > 0) {
        return (struct pg_typed){catalog__pg_type_find(PG_TYPE_TEXT), -1, 0};
    }
    typed.type = catalog__pg_type_find(typed.type->array);
    typed.dimensions = 1;
    return typed;
}

struct pg_typed catalog__pg_type_of(struct slice engine_type)
{
    /* As the protocol gives them out (wire/pgvalue/type.c). */
    static const struct {
        const char *engine;
        uint32_t oid;
    } plain[] = {{"BOOLEAN", 16},
                 {"TINYINT", 21},
                 {"SMALLINT", 21},
                 {"INTEGER", 23},
                 {"BIGINT", 20},
                 {"HUGEINT", PG_TYPE_NUMERIC},
                 {"UTINYINT", 21},
                 {"USMALLINT", 23},
                 {"UINTEGER", 20},
                 {"UBIGINT", PG_TYPE_NUMERIC},
                 {"UHUGEINT", PG_TYPE_NUMERIC},
                 {"FLOAT", 700},
                 {"DOUBLE", 701},
                 {"BLOB", 17},
                 {"DATE", 1082},
                 {"TIME", 1083},
                 {"TIMESTAMP", 1114},
                 {"TIMESTAMP_S", 1114},
                 {"TIMESTAMP_MS", 1114},
                 {"TIMESTAMP_NS", 1114},
                 {"TIMESTAMP WITH TIME ZONE", 1184},
                 {"TIMESTAMPTZ_NS", 1184},
                 {"INTERVAL", 1186},
                 {"UUID", 2950},
                 {"BIT", 1562},
                 {"JSON", 114}};
    if (slice_ends_with(engine_type, SLICE("]"))) {
        return array_of(engine_type);
    }
    if (slice_starts_with(engine_type, SLICE("DECIMAL("))) {
        return decimal_of(engine_type);
    }
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (slice_equal(engine_type, slice_of(plain[i].engine))) {
            return (struct pg_typed){catalog__pg_type_find(plain[i].oid), -1, 0};
        }
    }
    /* VARCHAR, ENUM(...), and what has no type there: STRUCT(...), MAP(...) ... */
    return (struct pg_typed){catalog__pg_type_find(PG_TYPE_TEXT), -1, 0};
}
