/* Types: the engine's names of them, as it prints them, to Arrow's and back. */
#include "base/buf.h"
#include "base/mem.h"
#include "embed/embed_int.h"
#include "sql/scan.h"

#define DEPTH_MAX 64

struct reader {
    struct slice rest;
    unsigned depth;
    struct errinfo *info;
};

static enum err read_type(struct reader *reader, struct slice name, struct ArrowSchema *ret_schema);

static enum err unknown_type(const struct reader *reader, struct slice type)
{
    return errinfo_set(reader->info, ERR_UNSUPPORTED, NULL,
                       "\"%.*s\" is no type with a form in Arrow", SLICE_ARGS(type));
}

/* ---- the engine's text ---- */

static void skip(struct reader *reader, size_t len)
{
    reader->rest.ptr += len;
    reader->rest.len -= len;
}

static void skip_spaces(struct reader *reader)
{
    while (reader->rest.len > 0 && reader->rest.ptr[0] == ' ') {
        skip(reader, 1);
    }
}

static bool take(struct reader *reader, char c)
{
    skip_spaces(reader);
    bool is_next = reader->rest.len > 0 && reader->rest.ptr[0] == c;
    skip(reader, is_next ? 1 : 0);
    return is_next;
}

/* Up to a mark of the grammar: "TIMESTAMP WITH TIME ZONE". */
static struct slice take_words(struct reader *reader)
{
    size_t len = 0;
    skip_spaces(reader);
    while (len < reader->rest.len && strchr("()[],\"", reader->rest.ptr[len]) == NULL) {
        len++;
    }
    struct slice words = slice_trim((struct slice){reader->rest.ptr, len});
    skip(reader, len);
    return words;
}

static uint32_t take_number(struct reader *reader)
{
    uint64_t number = 0;
    struct slice words = take_words(reader);
    return slice_to_u64(words, &number) && number <= INT32_MAX ? (uint32_t)number : 0;
}

/* Of a field: a word, or "quoted" with quotes doubled. */
static enum err take_name(struct reader *reader, struct buf *out)
{
    if (!take(reader, '"')) {
        while (reader->rest.len > 0 && strchr(" (),", reader->rest.ptr[0]) == NULL) {
            buf_append_char(out, reader->rest.ptr[0]);
            skip(reader, 1);
        }
        return ERR_OK;
    }
    while (reader->rest.len > 0) {
        char c = reader->rest.ptr[0];
        bool is_double = reader->rest.len > 1 && c == '"' && reader->rest.ptr[1] == '"';
        skip(reader, is_double ? 2 : 1);
        if (c == '"' && !is_double) {
            return ERR_OK;
        }
        buf_append_char(out, c);
    }
    return unknown_type(reader, SLICE("STRUCT"));
}

/* ---- types without parts ---- */

static const struct plain {
    const char *type;
    const char *format;
} plains[] = {
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
    {"JSON", "u"},
    {"UUID", "u"},
    {"BLOB", "z"},
    {"BIT", "z"},
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
    {"NULL", "n"},
    {"UNKNOWN", "n"},
    {"", "n"},
};

/* ---- types with parts ---- */

static enum err read_decimal(struct reader *reader, struct slice name,
                             struct ArrowSchema *ret_schema)
{
    char format[40];
    uint32_t precision = take(reader, '(') ? take_number(reader) : 18;
    uint32_t scale = take(reader, ',') ? take_number(reader) : 0;
    (void)take(reader, ')');
    (void)snprintf(format, sizeof(format), "d:%u,%u", precision, scale);
    return embed__schema_new(format, name, 0, ret_schema, reader->info);
}

/* A dictionary of texts: its size follows from the number of values. */
static enum err read_enum(struct reader *reader, struct slice name, struct ArrowSchema *ret_schema)
{
    size_t count = 0;
    bool is_inside = false;
    while (reader->rest.len > 0) {
        char c = reader->rest.ptr[0];
        skip(reader, 1);
        is_inside ^= c == '\'';
        count += c == ',' && !is_inside;
        if (c == ')' && !is_inside) {
            break;
        }
    }
    count++;
    const char *index = count <= UINT8_MAX ? "C" : count <= UINT16_MAX ? "S" : "I";
    TRY(embed__schema_new(index, name, 0, ret_schema, reader->info));
    struct ArrowSchema values;
    enum err err = embed__schema_new("u", SLICE(""), 0, &values, reader->info);
    ret_schema->dictionary = err == ERR_OK ? mem_calloc(1, sizeof(values)) : NULL;
    if (ret_schema->dictionary == NULL) {
        if (err == ERR_OK) {
            values.release(&values);
        }
        ret_schema->release(ret_schema);
        return errinfo_nomem(reader->info);
    }
    *ret_schema->dictionary = values;
    return ERR_OK;
}

/* How many fields there are up to the bracket that closes. */
static size_t count_fields(struct slice rest)
{
    size_t count = 1;
    size_t depth = 0;
    char quote = '\0';
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i];
        if (quote != '\0' || c == '"' || c == '\'') {
            quote = quote == '\0' ? c : c == quote ? '\0' : quote;
            continue;
        }
        if (c == ')' && depth == 0) {
            break;
        }
        depth += c == '(';
        depth -= c == ')';
        count += c == ',' && depth == 0;
    }
    return count;
}

static enum err read_fields(struct reader *reader, struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct buf field CLEANUP(buf_fini) = {0};
        TRY(take_name(reader, &field));
        if (buf_failed(&field)) {
            return errinfo_nomem(reader->info);
        }
        TRY(read_type(reader, buf_slice(&field), schema->children[i]));
        (void)take(reader, ',');
    }
    return take(reader, ')') ? ERR_OK : unknown_type(reader, SLICE("STRUCT"));
}

static enum err read_struct(struct reader *reader, const char *format, struct slice name,
                            struct ArrowSchema *ret_schema)
{
    if (!take(reader, '(')) {
        return unknown_type(reader, SLICE("STRUCT"));
    }
    TRY(embed__schema_new(format, name, count_fields(reader->rest), ret_schema, reader->info));
    enum err err = read_fields(reader, ret_schema);
    if (err != ERR_OK) {
        ret_schema->release(ret_schema);
    }
    return err;
}

static enum err read_map(struct reader *reader, struct slice name, struct ArrowSchema *ret_schema)
{
    struct ArrowSchema *entries;
    TRY(embed__schema_new("+m", name, 1, ret_schema, reader->info));
    enum err err =
        embed__schema_new("+s", SLICE("entries"), 2, ret_schema->children[0], reader->info);
    entries = ret_schema->children[0];
    err = err == ERR_OK && !take(reader, '(') ? unknown_type(reader, SLICE("MAP")) : err;
    err = err != ERR_OK ? err : read_type(reader, SLICE("key"), entries->children[0]);
    err = err == ERR_OK && !take(reader, ',') ? unknown_type(reader, SLICE("MAP")) : err;
    err = err != ERR_OK ? err : read_type(reader, SLICE("value"), entries->children[1]);
    err = err == ERR_OK && !take(reader, ')') ? unknown_type(reader, SLICE("MAP")) : err;
    if (err != ERR_OK) {
        ret_schema->release(ret_schema);
        return err;
    }
    entries->flags = 0;
    entries->children[0]->flags = 0;
    return ERR_OK;
}

static enum err read_base(struct reader *reader, struct slice name, struct ArrowSchema *ret_schema)
{
    (void)take(reader, '"'); /* "NULL" is quoted */
    struct slice words = take_words(reader);
    (void)take(reader, '"');
    if (slice_equal(words, SLICE("DECIMAL"))) {
        return read_decimal(reader, name, ret_schema);
    }
    if (slice_equal(words, SLICE("ENUM"))) {
        return read_enum(reader, name, ret_schema);
    }
    if (slice_equal(words, SLICE("STRUCT"))) {
        return read_struct(reader, "+s", name, ret_schema);
    }
    if (slice_equal(words, SLICE("MAP"))) {
        return read_map(reader, name, ret_schema);
    }
    for (size_t i = 0; i < ARRAY_COUNT(plains); i++) {
        if (slice_equal(words, slice_of(plains[i].type))) {
            return embed__schema_new(plains[i].format, name, 0, ret_schema, reader->info);
        }
    }
    return unknown_type(reader, words);
}

/* What stands before is the list's element. */
static enum err wrap(struct reader *reader, const char *format, struct slice name,
                     struct ArrowSchema *schema)
{
    struct ArrowSchema list;
    TRY(embed__schema_new(format, name, 1, &list, reader->info));
    *list.children[0] = *schema;
    *schema = list;
    return ERR_OK;
}

static enum err read_type(struct reader *reader, struct slice name, struct ArrowSchema *ret_schema)
{
    struct ArrowSchema schema;
    if (reader->depth >= DEPTH_MAX) {
        return errinfo_set(reader->info, ERR_LIMIT, NULL, "a type is nested too deep");
    }
    reader->depth++;
    TRY(read_base(reader, name, &schema));
    while (take(reader, '[')) {
        char format[24] = "+l";
        if (!take(reader, ']')) {
            (void)snprintf(format, sizeof(format), "+w:%u", take_number(reader));
            (void)take(reader, ']');
        }
        mem_free((void *)(uintptr_t)schema.name);
        schema.name = mem_strdup("l");
        enum err err =
            schema.name == NULL ? errinfo_nomem(reader->info) : wrap(reader, format, name, &schema);
        if (err != ERR_OK) {
            schema.release(&schema);
            return err;
        }
    }
    reader->depth--;
    *ret_schema = schema;
    return ERR_OK;
}

enum err embed__schema_of_type(struct slice type, struct slice name, struct ArrowSchema *ret_schema,
                               struct errinfo *info)
{
    struct reader reader = {.rest = type, .info = info};
    struct ArrowSchema schema;
    TRY(read_type(&reader, name, &schema));
    skip_spaces(&reader);
    if (reader.rest.len > 0) {
        schema.release(&schema);
        return unknown_type(&reader, type);
    }
    *ret_schema = schema;
    return ERR_OK;
}

/* ---- and back ---- */

static const struct plain values[] = {
    {"INTEGER", "n"},
    {"BOOLEAN", "b"},
    {"TINYINT", "c"},
    {"UTINYINT", "C"},
    {"SMALLINT", "s"},
    {"USMALLINT", "S"},
    {"INTEGER", "i"},
    {"UINTEGER", "I"},
    {"BIGINT", "l"},
    {"UBIGINT", "L"},
    {"FLOAT", "e"},
    {"FLOAT", "f"},
    {"DOUBLE", "g"},
    {"VARCHAR", "u"},
    {"VARCHAR", "U"},
    {"VARCHAR", "vu"},
    {"BLOB", "z"},
    {"BLOB", "Z"},
    {"BLOB", "vz"},
    {"DATE", "tdD"},
    {"DATE", "tdm"},
    {"TIME", "tts"},
    {"TIME", "ttm"},
    {"TIME", "ttu"},
    {"TIME", "ttn"},
    {"TIMESTAMP_S", "tss:"},
    {"TIMESTAMP_MS", "tsm:"},
    {"TIMESTAMP", "tsu:"},
    {"TIMESTAMP_NS", "tsn:"},
    {"INTERVAL", "tiM"},
    {"INTERVAL", "tiD"},
    {"INTERVAL", "tin"},
    {"INTERVAL", "tDs"},
    {"INTERVAL", "tDm"},
    {"INTERVAL", "tDu"},
    {"INTERVAL", "tDn"},
};

static enum err print_fields(const struct ArrowSchema *schema, struct buf *out,
                             struct errinfo *info)
{
    buf_append_str(out, "STRUCT(");
    for (int64_t i = 0; i < schema->n_children; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, slice_of(schema->children[i]->name));
        buf_append_char(out, ' ');
        TRY(embed__print_type(schema->children[i], out, info));
    }
    buf_append_char(out, ')');
    return ERR_OK;
}

static enum err print_decimal(const char *format, struct buf *out)
{
    unsigned precision = 0;
    unsigned scale = 0;
    (void)sscanf(format, "d:%u,%u", &precision, &scale);
    buf_printf(out, "DECIMAL(%u,%u)", precision, scale);
    return ERR_OK;
}

static enum err print_map(const struct ArrowSchema *schema, struct buf *out, struct errinfo *info)
{
    const struct ArrowSchema *entries = schema->children[0];
    buf_append_str(out, "MAP(");
    TRY(embed__print_type(entries->children[0], out, info));
    buf_append_str(out, ", ");
    TRY(embed__print_type(entries->children[1], out, info));
    buf_append_char(out, ')');
    return ERR_OK;
}

enum err embed__print_type(const struct ArrowSchema *schema, struct buf *out, struct errinfo *info)
{
    const char *format = schema->format;
    if (schema->dictionary != NULL) {
        return embed__print_type(schema->dictionary, out, info);
    }
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        if (strcmp(format, values[i].format) == 0) {
            buf_append_str(out, values[i].type);
            return ERR_OK;
        }
    }
    if (strncmp(format, "d:", 2) == 0) {
        return print_decimal(format, out);
    }
    if (strncmp(format, "w:", 2) == 0) {
        buf_append_str(out, "BLOB");
        return ERR_OK;
    }
    if (strncmp(format, "ts", 2) == 0) {
        buf_append_str(out, "TIMESTAMP WITH TIME ZONE");
        return ERR_OK;
    }
    if (strcmp(format, "+s") == 0) {
        return print_fields(schema, out, info);
    }
    if (strcmp(format, "+m") == 0) {
        return print_map(schema, out, info);
    }
    bool is_list = strcmp(format, "+l") == 0 || strcmp(format, "+L") == 0;
    if (is_list || strncmp(format, "+w:", 3) == 0) {
        TRY(embed__print_type(schema->children[0], out, info));
        buf_printf(out, "[%s]", is_list ? "" : format + 3);
        return ERR_OK;
    }
    return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                       "column \"%s\" is of the Arrow type \"%s\", which no table has",
                       schema->name == NULL ? "" : schema->name, format);
}
