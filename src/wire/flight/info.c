/* GetSqlInfo: what the server is and can, by info.def. */
#include "base/mem.h"
#include "wire/flight/flight_int.h"

enum info_kind {
    INFO_TEXT,
    INFO_TRUTH,
    INFO_NUMBER,
    INFO_BITS,
    INFO_LIST,
    INFO_MAP, /* of conversions: none is listed, since casts are many */
    INFO_KINDS,
};

static const struct info {
    uint32_t code;
    enum info_kind kind;
    const char *text;
    int64_t number;
} infos[] = {
#define TEXT(code, text) {code, INFO_TEXT, text, 0},
#define LIST(code, words) {code, INFO_LIST, words, 0},
#define TRUTH(code, is) {code, INFO_TRUTH, NULL, is},
#define NUMBER(code, number) {code, INFO_NUMBER, NULL, number},
#define BITS(code, bits) {code, INFO_BITS, NULL, bits},
#include "wire/flight/info.def"
};

/* ---- the schema: uint32 and a dense union ---- */

static struct ArrowSchema utf8_item = {.format = "u", .name = "item", .flags = ARROW_FLAG_NULLABLE};
static struct ArrowSchema int_item = {.format = "i", .name = "item", .flags = ARROW_FLAG_NULLABLE};
static struct ArrowSchema *utf8_items[] = {&utf8_item};
static struct ArrowSchema *int_items[] = {&int_item};
static struct ArrowSchema map_key = {.format = "i", .name = "key"};
static struct ArrowSchema map_value = {.format = "+l",
                                       .name = "value",
                                       .flags = ARROW_FLAG_NULLABLE,
                                       .n_children = 1,
                                       .children = int_items};
static struct ArrowSchema *map_pair[] = {&map_key, &map_value};
static struct ArrowSchema map_entries = {
    .format = "+s", .name = "entries", .n_children = 2, .children = map_pair};
static struct ArrowSchema *map_links[] = {&map_entries};

#define FLAGS ARROW_FLAG_NULLABLE
static struct ArrowSchema text_value = {.format = "u", .name = "string_value", .flags = FLAGS};
static struct ArrowSchema truth_value = {.format = "b", .name = "bool_value", .flags = FLAGS};
static struct ArrowSchema number_value = {.format = "l", .name = "bigint_value", .flags = FLAGS};
static struct ArrowSchema bits_value = {.format = "i", .name = "int32_bitmask", .flags = FLAGS};
static struct ArrowSchema list_value = {
    .format = "+l", .name = "string_list", .flags = FLAGS, .n_children = 1, .children = utf8_items};
static struct ArrowSchema conversions = {.format = "+m",
                                         .name = "int32_to_int32_list_map",
                                         .flags = FLAGS,
                                         .n_children = 1,
                                         .children = map_links};
static struct ArrowSchema *union_values[INFO_KINDS] = {
    [INFO_TEXT] = &text_value, [INFO_TRUTH] = &truth_value, [INFO_NUMBER] = &number_value,
    [INFO_BITS] = &bits_value, [INFO_LIST] = &list_value,   [INFO_MAP] = &conversions,
};
static struct ArrowSchema code_column = {.format = "I", .name = "info_name"};
static struct ArrowSchema value_column = {.format = "+ud:0,1,2,3,4,5",
                                          .name = "value",
                                          .n_children = INFO_KINDS,
                                          .children = union_values};
static struct ArrowSchema *columns[] = {&code_column, &value_column};
static struct ArrowSchema info_schema = {
    .format = "+s", .name = "", .n_children = ARRAY_COUNT(columns), .children = columns};

enum err flight__info_schema(struct flight_call *call, struct ArrowSchema **ret_schema)
{
    (void)call;
    *ret_schema = &info_schema;
    return ERR_OK;
}

/* ---- the rows ---- */

struct info_rows {
    struct buf codes, types, offsets; /* uint32, int8, int32 */
    int32_t counts[INFO_KINDS];
    struct buf numbers, bits, truths; /* int64, int32; a bit each */
    struct buf text_offsets, text_bytes;
    struct buf list_offsets, word_offsets, word_bytes;
    int32_t word_count;
};

static void rows_close(struct info_rows *rows)
{
    struct buf *all[] = {&rows->codes,        &rows->types,      &rows->offsets,
                         &rows->numbers,      &rows->bits,       &rows->truths,
                         &rows->text_offsets, &rows->text_bytes, &rows->list_offsets,
                         &rows->word_offsets, &rows->word_bytes};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        buf_fini(all[i]);
    }
}

static void put_offset(struct buf *out, size_t offset)
{
    int32_t value = (int32_t)offset;
    buf_append(out, &value, sizeof(value));
}

static void put_words(struct info_rows *rows, const char *words)
{
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        buf_append(&rows->word_bytes, words, len);
        put_offset(&rows->word_offsets, rows->word_bytes.len);
        rows->word_count++;
        words += len + (words[len] == ' ');
    }
    put_offset(&rows->list_offsets, (size_t)rows->word_count);
}

static void put_row(struct info_rows *rows, const struct info *info)
{
    int32_t bits = (int32_t)info->number;
    int32_t at = rows->counts[info->kind]++;
    buf_append(&rows->codes, &info->code, sizeof(info->code));
    buf_append_char(&rows->types, (char)info->kind);
    buf_append(&rows->offsets, &at, sizeof(at));
    switch (info->kind) {
    case INFO_TEXT:
        buf_append_str(&rows->text_bytes, info->text);
        put_offset(&rows->text_offsets, rows->text_bytes.len);
        break;
    case INFO_TRUTH:
        if (at % 8 == 0) {
            buf_append_char(&rows->truths, 0);
        }
        if (info->number != 0 && !buf_failed(&rows->truths)) {
            char *last = &rows->truths.ptr[at / 8];
            *last = (char)(*last | 1 << (at % 8));
        }
        break;
    case INFO_NUMBER:
        buf_append(&rows->numbers, &info->number, sizeof(info->number));
        break;
    case INFO_BITS:
        buf_append(&rows->bits, &bits, sizeof(bits));
        break;
    case INFO_LIST:
        put_words(rows, info->text);
        break;
    case INFO_MAP:
    case INFO_KINDS:
        break;
    }
}

static bool is_wanted(struct slice body, uint32_t code)
{
    struct proto_field field;
    uint64_t value;
    bool is_any = true;
    while (proto_next(&body, &field) == PROTO_FIELD) {
        if (field.number != 1) {
            continue;
        }
        is_any = false;
        if (field.type == PROTO_VARINT && field.value == code) {
            return true;
        }
        while (field.type == PROTO_BYTES && field.bytes.len > 0) {
            if (!proto_varint(&field.bytes, &value)) {
                break;
            }
            if (value == code) {
                return true;
            }
        }
    }
    return is_any;
}

static enum err send_rows(struct flight_call *call, struct info_rows *rows)
{
    static const int32_t zero;
    int64_t count = (int64_t)(rows->codes.len / 4);
    const void *none[] = {NULL, &zero};
    const void *buffers[][3] = {{NULL, buf_cstr(&rows->text_offsets), buf_cstr(&rows->text_bytes)},
                                {NULL, buf_cstr(&rows->truths), NULL},
                                {NULL, buf_cstr(&rows->numbers), NULL},
                                {NULL, buf_cstr(&rows->bits), NULL},
                                {NULL, buf_cstr(&rows->list_offsets), NULL},
                                {NULL, buf_cstr(&rows->word_offsets), buf_cstr(&rows->word_bytes)},
                                {NULL, buf_cstr(&rows->codes), NULL},
                                {buf_cstr(&rows->types), buf_cstr(&rows->offsets), NULL}};
    struct ArrowArray words = {.length = rows->word_count, .n_buffers = 3, .buffers = buffers[5]};
    struct ArrowArray empty[] = {{.n_buffers = 2, .buffers = none},
                                 {.n_buffers = 2, .buffers = none},
                                 {.n_buffers = 2, .buffers = none},
                                 {.n_buffers = 1, .buffers = none}};
    struct ArrowArray *list_links[] = {&words};
    struct ArrowArray *int_links[] = {&empty[0]};
    empty[2].n_children = 1;
    empty[2].children = int_links;
    struct ArrowArray *pair_links[] = {&empty[1], &empty[2]};
    empty[3].n_children = 2;
    empty[3].children = pair_links;
    struct ArrowArray *entry_links[] = {&empty[3]};
    struct ArrowArray values[INFO_KINDS];
    struct ArrowArray *value_links[INFO_KINDS];
    for (unsigned i = 0; i < INFO_KINDS; i++) {
        values[i] = (struct ArrowArray){.length = rows->counts[i],
                                        .n_buffers = i == INFO_TEXT ? 3 : 2,
                                        .buffers = i == INFO_MAP ? none : buffers[i]};
        value_links[i] = &values[i];
    }
    values[INFO_LIST].n_children = 1;
    values[INFO_LIST].children = list_links;
    values[INFO_MAP].n_children = 1;
    values[INFO_MAP].children = entry_links;
    struct ArrowArray cells[] = {{.length = count, .n_buffers = 2, .buffers = buffers[6]},
                                 {.length = count,
                                  .n_buffers = 2,
                                  .buffers = buffers[7],
                                  .n_children = INFO_KINDS,
                                  .children = value_links}};
    struct ArrowArray *links[] = {&cells[0], &cells[1]};
    struct ArrowArray batch = {.length = count,
                               .n_buffers = 1,
                               .buffers = none,
                               .n_children = ARRAY_COUNT(links),
                               .children = links};
    return flight__send_batch(call, &info_schema, &batch);
}

enum err flight__get_info(struct flight_call *call, struct slice body)
{
    struct info_rows rows CLEANUP(rows_close) = {.word_count = 0};
    put_offset(&rows.text_offsets, 0);
    put_offset(&rows.list_offsets, 0);
    put_offset(&rows.word_offsets, 0);
    for (size_t i = 0; i < ARRAY_COUNT(infos); i++) {
        if (is_wanted(body, infos[i].code)) {
            put_row(&rows, &infos[i]);
        }
    }
    const struct buf *all[] = {&rows.codes,        &rows.types,      &rows.offsets,
                               &rows.numbers,      &rows.bits,       &rows.truths,
                               &rows.text_offsets, &rows.text_bytes, &rows.list_offsets,
                               &rows.word_offsets, &rows.word_bytes};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        if (buf_failed(all[i])) {
            return errinfo_nomem(&call->info);
        }
    }
    TRY(flight__send_schema(call, &info_schema));
    return rows.codes.len == 0 ? ERR_OK : send_rows(call, &rows);
}
