/* Goal: single values of any type in both encodings. Method: the first line is a type, the rest its
 * bytes or its JSON; what is accepted is written in both encodings, read again, and is the same. */
#include "base/fuzz.h"
#include "base/json.h"
#include "iceberg/type.h"

static void check_json(const struct iceberg_type *type, const struct iceberg_value *value,
                       struct arena *arena)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf printed CLEANUP(buf_fini) = {0};
    struct json *node;
    struct iceberg_value again;
    iceberg_value_write(value, &text);
    iceberg_value_print(value, &printed);
    ASSERT(json_parse(arena, buf_slice(&text), NULL, &node, NULL) == ERR_OK);
    /* A bound of a fixed column may be cut short; a value in JSON may not. */
    bool is_cut = type->id == ICEBERG_FIXED && value->bytes.len != type->length;
    if (type->id < ICEBERG_VARIANT && !is_cut) {
        ASSERT(iceberg_value_parse(type, node, arena, &again, NULL) == ERR_OK);
        ASSERT(again.is_null == value->is_null);
        ASSERT(value->is_null || iceberg_value_compare(&again, value) == 0);
    }
}

static void check_bytes(const struct iceberg_type *type, const struct iceberg_value *value)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_value again;
    iceberg_value_encode(value, &bytes);
    ASSERT(iceberg_value_decode(type, buf_slice(&bytes), &again, NULL) == ERR_OK);
    ASSERT(iceberg_value_compare(&again, value) == 0);
}

static void check_conversions(const struct iceberg_value *value)
{
    struct iceberg_type type = {.precision = 20, .scale = 4, .length = 4};
    struct iceberg_value to;
    for (int id = ICEBERG_BOOLEAN; id <= ICEBERG_BINARY; id++) {
        type.id = (enum iceberg_type_id)id;
        if (iceberg_value_convert(value, &type, &to)) {
            ASSERT(to.type == type.id);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct slice input = {(const char *)data, size};
    size_t line = slice_find(input, SLICE("\n"));
    struct iceberg_type type;
    struct iceberg_value value;
    struct json *node;
    if (arena == NULL || line == SIZE_MAX ||
        iceberg_type_parse_text((struct slice){input.ptr, line}, &type, NULL) != ERR_OK) {
        return 0;
    }
    struct slice rest = {input.ptr + line + 1, input.len - line - 1};
    if (iceberg_value_decode(&type, rest, &value, NULL) == ERR_OK) {
        check_bytes(&type, &value);
        check_json(&type, &value, arena);
        check_conversions(&value);
    }
    if (json_parse(arena, rest, NULL, &node, NULL) == ERR_OK &&
        iceberg_value_parse(&type, node, arena, &value, NULL) == ERR_OK) {
        check_json(&type, &value, arena);
        if (!value.is_null && type.id != ICEBERG_UNKNOWN) {
            check_bytes(&type, &value);
        }
    }
    return 0;
}
