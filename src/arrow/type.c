/* Format strings ("The Arrow C data interface", section "Data type description") and cells. */
#include "arrow/arrow_int.h"

static const struct {
    const char *format;
    struct arrow_type type;
} simple_types[] = {
    {"n", {.kind = ARROW_NULL}},
    {"b", {.kind = ARROW_BOOL, .width_bits = 1}},
    {"c", {.kind = ARROW_INT, .width_bits = 8, .is_signed = true}},
    {"C", {.kind = ARROW_INT, .width_bits = 8}},
    {"s", {.kind = ARROW_INT, .width_bits = 16, .is_signed = true}},
    {"S", {.kind = ARROW_INT, .width_bits = 16}},
    {"i", {.kind = ARROW_INT, .width_bits = 32, .is_signed = true}},
    {"I", {.kind = ARROW_INT, .width_bits = 32}},
    {"l", {.kind = ARROW_INT, .width_bits = 64, .is_signed = true}},
    {"L", {.kind = ARROW_INT, .width_bits = 64}},
    {"e", {.kind = ARROW_FLOAT, .width_bits = 16}},
    {"f", {.kind = ARROW_FLOAT, .width_bits = 32}},
    {"g", {.kind = ARROW_FLOAT, .width_bits = 64}},
    {"u", {.kind = ARROW_UTF8}},
    {"U", {.kind = ARROW_UTF8, .is_large = true}},
    {"z", {.kind = ARROW_BINARY}},
    {"Z", {.kind = ARROW_BINARY, .is_large = true}},
    {"tdD", {.kind = ARROW_DATE, .width_bits = 32}},
    {"tdm", {.kind = ARROW_DATE, .width_bits = 64, .unit = ARROW_MILLI}},
    {"tts", {.kind = ARROW_TIME, .width_bits = 32, .unit = ARROW_SECOND}},
    {"ttm", {.kind = ARROW_TIME, .width_bits = 32, .unit = ARROW_MILLI}},
    {"ttu", {.kind = ARROW_TIME, .width_bits = 64, .unit = ARROW_MICRO}},
    {"ttn", {.kind = ARROW_TIME, .width_bits = 64, .unit = ARROW_NANO}},
    {"tDs", {.kind = ARROW_DURATION, .width_bits = 64, .unit = ARROW_SECOND}},
    {"tDm", {.kind = ARROW_DURATION, .width_bits = 64, .unit = ARROW_MILLI}},
    {"tDu", {.kind = ARROW_DURATION, .width_bits = 64, .unit = ARROW_MICRO}},
    {"tDn", {.kind = ARROW_DURATION, .width_bits = 64, .unit = ARROW_NANO}},
    {"tin", {.kind = ARROW_INTERVAL, .width_bits = 128}},
    {"+l", {.kind = ARROW_LIST}},
    {"+L", {.kind = ARROW_LIST, .is_large = true}},
    {"+s", {.kind = ARROW_STRUCT}},
    {"+m", {.kind = ARROW_MAP}},
};

/* "15,2" or "38,0,128" after "d:". */
static bool parse_decimal(const char *text, struct arrow_type *ret_type)
{
    char *end;
    long precision = strtol(text, &end, 10);
    long scale = *end == ',' ? strtol(end + 1, &end, 10) : 1000;
    long bits = *end == ',' ? strtol(end + 1, &end, 10) : 128;
    if (*end != '\0' || precision < 1 || precision > 38 || scale < -38 || scale > 38 ||
        (bits != 32 && bits != 64 && bits != 128)) {
        return false;
    }
    *ret_type = (struct arrow_type){.kind = ARROW_DECIMAL,
                                    .width_bits = (int32_t)bits,
                                    .precision = (int32_t)precision,
                                    .scale = (int32_t)scale};
    return true;
}

static bool parse_sized(const char *text, enum arrow_kind kind, struct arrow_type *ret_type)
{
    uint64_t size;
    if (!slice_to_u64(slice_of(text), &size) || size > INT32_MAX) {
        return false;
    }
    *ret_type = (struct arrow_type){.kind = kind, .size = (int32_t)size};
    return true;
}

static bool parse_timestamp(const char *text, struct arrow_type *ret_type)
{
    static const char units[] = "smun";
    const char *unit = text[0] == '\0' ? NULL : strchr(units, text[0]);
    if (unit == NULL || text[1] != ':') {
        return false;
    }
    *ret_type = (struct arrow_type){.kind = ARROW_TIMESTAMP,
                                    .width_bits = 64,
                                    .unit = (enum arrow_unit)(unit - units),
                                    .timezone = text + 2};
    return true;
}

/* "+us:0,1,2" (sparse) or "+ud:..." (dense): only numbers that are those of the children. */
static bool parse_union(const char *text, struct arrow_type *ret_type)
{
    bool is_dense = text[0] == 'd';
    int32_t count = 0;
    if ((text[0] != 's' && text[0] != 'd') || text[1] != ':') {
        return false;
    }
    for (text += 2; *text != '\0'; count++) {
        char *end;
        if (strtol(text, &end, 10) != count || end == text || (*end != ',' && *end != '\0')) {
            return false;
        }
        text = *end == ',' ? end + 1 : end;
    }
    *ret_type = (struct arrow_type){.kind = ARROW_UNION, .is_large = is_dense, .size = count};
    return count <= 128;
}

static bool parse_format(const char *format, struct arrow_type *ret_type)
{
    for (size_t i = 0; i < ARRAY_COUNT(simple_types); i++) {
        if (strcmp(format, simple_types[i].format) == 0) {
            *ret_type = simple_types[i].type;
            return true;
        }
    }
    if (strncmp(format, "d:", 2) == 0) {
        return parse_decimal(format + 2, ret_type);
    }
    if (strncmp(format, "w:", 2) == 0) {
        return parse_sized(format + 2, ARROW_FIXED_BINARY, ret_type);
    }
    if (strncmp(format, "+w:", 3) == 0) {
        return parse_sized(format + 3, ARROW_FIXED_LIST, ret_type);
    }
    if (strncmp(format, "+u", 2) == 0) {
        return parse_union(format + 2, ret_type);
    }
    return strncmp(format, "ts", 2) == 0 && parse_timestamp(format + 2, ret_type);
}

static bool children_fit(const struct ArrowSchema *schema, const struct arrow_type *type)
{
    switch (type->kind) {
    case ARROW_LIST:
    case ARROW_FIXED_LIST:
        return schema->n_children == 1;
    case ARROW_MAP:
        return schema->n_children == 1 && schema->children[0]->n_children == 2;
    case ARROW_STRUCT:
        return schema->n_children >= 0;
    case ARROW_UNION:
        return schema->n_children == type->size;
    case ARROW_NULL:
    case ARROW_BOOL:
    case ARROW_INT:
    case ARROW_FLOAT:
    case ARROW_DECIMAL:
    case ARROW_UTF8:
    case ARROW_BINARY:
    case ARROW_FIXED_BINARY:
    case ARROW_DATE:
    case ARROW_TIME:
    case ARROW_TIMESTAMP:
    case ARROW_DURATION:
    case ARROW_INTERVAL:
        return schema->n_children == 0;
    }
    return false;
}

enum err arrow__type(const struct ArrowSchema *schema, struct arrow_type *ret_type,
                     struct errinfo *info)
{
    struct arrow_type type = {0};
    const char *name = schema->name == NULL ? "" : schema->name;
    if (!parse_format(schema->format, &type)) {
        bool is_union = strncmp(schema->format, "+u", 2) == 0;
        enum err err = errinfo_set(
            info, ERR_UNSUPPORTED, NULL, "column \"%s\" has a type that cannot be shown (%s\"%s\")",
            name, is_union ? "a union, Arrow format " : "Arrow format ", schema->format);
        errinfo_hint(info, "cast it to VARCHAR in the query, or leave it out");
        return err;
    }
    if (!children_fit(schema, &type)) {
        return errinfo_set(info, ERR_INVALID, NULL,
                           "column \"%s\" of Arrow format \"%s\" has %lld children", name,
                           schema->format, (long long)schema->n_children);
    }
    type.timezone = type.timezone == NULL ? "" : type.timezone;
    *ret_type = type;
    return ERR_OK;
}

bool arrow__bit(const void *bitmap, int64_t index)
{
    const uint8_t *bytes = bitmap;
    return (bytes[index / 8] >> (index % 8) & 1) != 0;
}

struct slice arrow__bytes(const struct arrow_type *type, const struct ArrowArray *array,
                          int64_t index)
{
    if (type->kind == ARROW_FIXED_BINARY) {
        const char *bytes = array->buffers[1];
        return (struct slice){bytes + index * type->size, (size_t)type->size};
    }
    int64_t start;
    int64_t end;
    arrow__range(type, array, index, &start, &end);
    const char *bytes = array->buffers[2];
    return (struct slice){bytes == NULL ? "" : bytes + start, (size_t)(end - start)};
}

void arrow__range(const struct arrow_type *type, const struct ArrowArray *array, int64_t index,
                  int64_t *ret_start, int64_t *ret_end)
{
    if (type->kind == ARROW_FIXED_LIST) {
        *ret_start = index * type->size;
        *ret_end = *ret_start + type->size;
    } else if (type->is_large) {
        const int64_t *offsets = array->buffers[1];
        *ret_start = offsets[index];
        *ret_end = offsets[index + 1];
    } else {
        const int32_t *offsets = array->buffers[1];
        *ret_start = offsets[index];
        *ret_end = offsets[index + 1];
    }
    ASSERT(*ret_start >= 0 && *ret_end >= *ret_start);
}

int64_t arrow__int(const struct arrow_type *type, const void *values, int64_t index)
{
    switch (type->width_bits) {
    case 8:
        return type->is_signed ? ((const int8_t *)values)[index] : ((const uint8_t *)values)[index];
    case 16:
        return type->is_signed ? ((const int16_t *)values)[index]
                               : ((const uint16_t *)values)[index];
    case 32:
        return type->is_signed ? ((const int32_t *)values)[index]
                               : (int64_t)((const uint32_t *)values)[index];
    default:
        ASSERT(type->width_bits == 64); /* unsigned 64 is the caller's to cast back */
        return ((const int64_t *)values)[index];
    }
}

enum err arrow__dictionary_row(const struct ArrowSchema *schema, const struct ArrowArray *array,
                               int64_t index, int64_t *ret_row, struct errinfo *info)
{
    struct arrow_type type;
    TRY(arrow__type(schema, &type, info));
    int64_t row = type.kind == ARROW_INT ? arrow__int(&type, array->buffers[1], index) : -1;
    if (array->dictionary == NULL || row < 0 || row >= array->dictionary->length) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "column \"%s\" points outside of its dictionary",
                           schema->name == NULL ? "" : schema->name);
    }
    *ret_row = row;
    return ERR_OK;
}
