/* GetInfo: a dense union of which two members are used, made by hand. */
#include "base/mem.h"
#include "embed/adbc_int.h"

#define ROWS_MAX 7

enum {
    MEMBER_TEXT,
    MEMBER_BOOL,
    MEMBER_INT64,
    MEMBER_COUNT = 6
};

struct fact {
    uint32_t code;
    int8_t member;
    const char *text;
    int64_t number; /* also of a BOOL */
};

static const struct fact facts[] = {
    {ADBC_INFO_VENDOR_NAME, MEMBER_TEXT, "Moat", 0},
    {ADBC_INFO_VENDOR_VERSION, MEMBER_TEXT, MOAT_VERSION, 0},
    {ADBC_INFO_VENDOR_SQL, MEMBER_BOOL, NULL, 1},
    {ADBC_INFO_VENDOR_SUBSTRAIT, MEMBER_BOOL, NULL, 0},
    {ADBC_INFO_DRIVER_NAME, MEMBER_TEXT, "libmoat", 0},
    {ADBC_INFO_DRIVER_VERSION, MEMBER_TEXT, MOAT_VERSION, 0},
    {ADBC_INFO_DRIVER_ADBC_VERSION, MEMBER_INT64, NULL, ADBC_VERSION_1_1_0},
};
_Static_assert(ARRAY_COUNT(facts) == ROWS_MAX, "a row for each");

/* ---- the type ---- */

static enum err set(struct ArrowSchema *schema, const char *format, const char *name,
                    size_t children)
{
    return embed__schema_new(format, slice_of(name), children, schema, NULL);
}

/* union<text, bool, int64, int32, list<text>, map<int32, list<int32>>> */
static enum err fill_union(struct ArrowSchema *value)
{
    TRY(set(value, "+ud:0,1,2,3,4,5", "info_value", MEMBER_COUNT));
    TRY(set(value->children[0], "u", "string_value", 0));
    TRY(set(value->children[1], "b", "bool_value", 0));
    TRY(set(value->children[2], "l", "int64_value", 0));
    TRY(set(value->children[3], "i", "int32_bitmask", 0));
    TRY(set(value->children[4], "+l", "string_list", 1));
    TRY(set(value->children[4]->children[0], "u", "item", 0));
    TRY(set(value->children[5], "+m", "int32_to_int32_list_map", 1));
    struct ArrowSchema *entries = value->children[5]->children[0];
    TRY(set(entries, "+s", "entries", 2));
    entries->flags = 0;
    TRY(set(entries->children[0], "i", "key", 0));
    entries->children[0]->flags = 0;
    TRY(set(entries->children[1], "+l", "value", 1));
    return set(entries->children[1]->children[0], "i", "item", 0);
}

static enum err make_schema(struct ArrowSchema *ret_schema)
{
    struct ArrowSchema schema;
    TRY(embed__schema_new("+s", SLICE(""), 2, &schema, NULL));
    enum err err = set(schema.children[0], "I", "info_name", 0);
    err = err != ERR_OK ? err : fill_union(schema.children[1]);
    if (err != ERR_OK) {
        schema.release(&schema);
        return err;
    }
    schema.children[0]->flags = 0;
    *ret_schema = schema;
    return ERR_OK;
}

/* ---- the rows ---- */

/* All in one piece. */
struct answer {
    atomic_uint part_count;
    struct ArrowArray columns[2];
    struct ArrowArray members[MEMBER_COUNT];
    struct ArrowArray item, entries, key, value, number;
    struct ArrowArray *column_links[2], *member_links[MEMBER_COUNT];
    struct ArrowArray *item_link, *entries_link, *entry_links[2], *number_link;
    const void *no_buffer[1];
    const void *code_buffers[2], *union_buffers[2], *text_buffers[3], *bool_buffers[2];
    const void *number_buffers[2], *empty_buffers[3], *list_buffers[2];
    uint32_t codes[ROWS_MAX];
    int8_t types[ROWS_MAX];
    int32_t offsets[ROWS_MAX];
    int32_t text_offsets[ROWS_MAX + 1];
    char texts[ROWS_MAX * 32];
    uint8_t bools[1];
    int64_t numbers[ROWS_MAX];
    int64_t zero;
};

/* A consumer may move a part away and release the rest: the last one frees all. */
static void release_part(struct ArrowArray *array)
{
    struct answer *answer = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
    }
    array->release = NULL;
    if (atomic_fetch_sub(&answer->part_count, 1) == 1) {
        mem_free(answer);
    }
}

static struct ArrowArray part(struct answer *answer, int64_t length, const void **buffers,
                              int64_t buffer_count, struct ArrowArray **children,
                              int64_t child_count)
{
    atomic_fetch_add(&answer->part_count, 1);
    return (struct ArrowArray){.length = length,
                               .private_data = answer,
                               .n_buffers = buffer_count,
                               .buffers = buffers,
                               .n_children = child_count,
                               .children = children,
                               .release = release_part};
}

static void add(struct answer *answer, const struct fact *fact, size_t row)
{
    struct ArrowArray *member = &answer->members[fact->member];
    int64_t at = member->length++;
    answer->codes[row] = fact->code;
    answer->types[row] = fact->member;
    answer->offsets[row] = (int32_t)at;
    if (fact->member == MEMBER_BOOL) {
        answer->bools[0] = (uint8_t)(answer->bools[0] | (fact->number != 0 ? 1 << at : 0));
    } else if (fact->member == MEMBER_INT64) {
        answer->numbers[at] = fact->number;
    } else {
        int32_t begin = answer->text_offsets[at];
        int32_t len = (int32_t)strlen(fact->text);
        memcpy(answer->texts + begin, fact->text, (size_t)len);
        answer->text_offsets[at + 1] = begin + len;
    }
}

static void link_parts(struct answer *answer)
{
    struct ArrowArray *members = answer->members;
    answer->text_buffers[1] = answer->text_offsets;
    answer->text_buffers[2] = answer->texts;
    answer->bool_buffers[1] = answer->bools;
    answer->number_buffers[1] = answer->numbers;
    answer->empty_buffers[1] = answer->empty_buffers[2] = &answer->zero;
    answer->list_buffers[1] = &answer->zero;
    members[0] = part(answer, 0, answer->text_buffers, 3, NULL, 0);
    members[1] = part(answer, 0, answer->bool_buffers, 2, NULL, 0);
    members[2] = part(answer, 0, answer->number_buffers, 2, NULL, 0);
    members[3] = part(answer, 0, answer->empty_buffers, 2, NULL, 0);
    members[4] = part(answer, 0, answer->list_buffers, 2, &answer->item_link, 1);
    members[5] = part(answer, 0, answer->list_buffers, 2, &answer->entries_link, 1);
    answer->item = part(answer, 0, answer->empty_buffers, 3, NULL, 0);
    answer->entries = part(answer, 0, answer->no_buffer, 1, answer->entry_links, 2);
    answer->key = part(answer, 0, answer->empty_buffers, 2, NULL, 0);
    answer->value = part(answer, 0, answer->list_buffers, 2, &answer->number_link, 1);
    answer->number = part(answer, 0, answer->empty_buffers, 2, NULL, 0);
    answer->item_link = &answer->item;
    answer->entries_link = &answer->entries;
    answer->entry_links[0] = &answer->key;
    answer->entry_links[1] = &answer->value;
    answer->number_link = &answer->number;
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        answer->member_links[i] = &members[i];
    }
}

static bool is_wanted(uint32_t code, const uint32_t *codes, size_t count)
{
    bool is = codes == NULL;
    for (size_t i = 0; codes != NULL && i < count; i++) {
        is = is || codes[i] == code;
    }
    return is;
}

static bool make_rows(const uint32_t *codes, size_t count, struct ArrowArray *ret_rows)
{
    struct answer *answer = mem_calloc(1, sizeof(*answer));
    size_t rows = 0;
    if (answer == NULL) {
        return false;
    }
    link_parts(answer);
    for (size_t i = 0; i < ARRAY_COUNT(facts); i++) {
        if (is_wanted(facts[i].code, codes, count)) {
            add(answer, &facts[i], rows++);
        }
    }
    answer->code_buffers[1] = answer->codes;
    answer->union_buffers[0] = answer->types;
    answer->union_buffers[1] = answer->offsets;
    answer->columns[0] = part(answer, (int64_t)rows, answer->code_buffers, 2, NULL, 0);
    answer->columns[1] =
        part(answer, (int64_t)rows, answer->union_buffers, 2, answer->member_links, MEMBER_COUNT);
    answer->column_links[0] = &answer->columns[0];
    answer->column_links[1] = &answer->columns[1];
    *ret_rows = part(answer, (int64_t)rows, answer->no_buffer, 1, answer->column_links, 2);
    return true;
}

AdbcStatusCode adbc__get_info(UNUSED struct AdbcConnection *connection, const uint32_t *codes,
                              size_t code_count, struct ArrowArrayStream *out,
                              struct AdbcError *error)
{
    struct ArrowSchema schema = {0};
    struct ArrowArray rows = {0};
    if (make_schema(&schema) != ERR_OK || !make_rows(codes, code_count, &rows)) {
        if (schema.release != NULL) {
            schema.release(&schema);
        }
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    return adbc__stream_of(&schema, &rows, out)
               ? ADBC_STATUS_OK
               : adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
}
