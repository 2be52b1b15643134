/* Avro records by field id. */
#include "iceberg/manifest_int.h"

/* A union with null to the other branch; anything else as it is. */
static const struct avro_schema *without_null(const struct avro_schema *schema, int *ret_null)
{
    *ret_null = -1;
    if (schema->kind != AVRO_UNION || schema->field_count != 2) {
        return schema;
    }
    for (int i = 0; i < 2; i++) {
        if (schema->fields[i].schema->kind == AVRO_NULL &&
            schema->fields[1 - i].schema->kind != AVRO_NULL) {
            *ret_null = i;
            return schema->fields[1 - i].schema;
        }
    }
    return schema;
}

const struct avro_schema *record__value(const struct avro_schema *schema)
{
    int null_branch;
    return without_null(schema, &null_branch);
}

const struct avro_schema *record__find(const struct avro_schema *record, int32_t field_id)
{
    for (size_t i = 0; record->kind == AVRO_RECORD && i < record->field_count; i++) {
        if (record->fields[i].id == field_id) {
            return record__value(record->fields[i].schema);
        }
    }
    return NULL;
}

bool record__enter(const struct avro_schema *schema, struct avro_cursor *cursor,
                   const struct avro_schema **ret_schema, bool *ret_is_null)
{
    int null_branch;
    int64_t branch;
    *ret_schema = without_null(schema, &null_branch);
    *ret_is_null = schema->kind == AVRO_NULL;
    if (null_branch < 0) {
        return true;
    }
    if (!avro_read_long(cursor, &branch) || branch < 0 || branch > 1) {
        return false;
    }
    *ret_is_null = branch == null_branch;
    return true;
}

static bool is_whole(const struct avro_schema *schema)
{
    return schema->kind == AVRO_INT || schema->kind == AVRO_LONG;
}

/* A map of statistics: an array of key and value, since Avro's own maps have texts for keys. */
static bool is_map(const struct avro_schema *schema)
{
    if (schema->kind != AVRO_ARRAY) {
        return schema->kind == AVRO_MAP;
    }
    const struct avro_schema *item = schema->fields[0].schema;
    return item->kind == AVRO_RECORD && item->field_count == 2 && is_whole(item->fields[0].schema);
}

static bool has_kind(const struct avro_schema *schema, enum slot_kind kind)
{
    switch (kind) {
    case SLOT_NUMBER:
        return is_whole(schema) || schema->kind == AVRO_BOOLEAN;
    case SLOT_BYTES:
        return schema->kind == AVRO_BYTES || schema->kind == AVRO_STRING ||
               schema->kind == AVRO_FIXED;
    case SLOT_NUMBERS:
        return schema->kind == AVRO_ARRAY && is_whole(schema->fields[0].schema);
    case SLOT_METRICS:
        return is_map(schema);
    case SLOT_TUPLE:
        return schema->kind == AVRO_RECORD || schema->kind == AVRO_ARRAY;
    }
    return false;
}

static enum err compile_field(const struct avro_field *field, const struct slot_want *wants,
                              size_t want_count, uint32_t *seen, struct record_step *out,
                              struct errinfo *info)
{
    *out = (struct record_step){.schema = field->schema, .slot = -1, .null_branch = -1};
    for (size_t w = 0; w < want_count; w++) {
        if (wants[w].field_id != field->id) {
            /* Names do not matter, but no writer gives one of these to another field: what looks
             * like an unknown field has a damaged id. Nothing else guards a header. */
            if (slice_equal(field->name, slice_of(wants[w].name))) {
                return errinfo_set(info, ERR_CORRUPT, NULL, "field \"%s\" of a manifest has id %d",
                                   wants[w].name, field->id);
            }
            continue;
        }
        out->schema = without_null(field->schema, &out->null_branch);
        out->slot = (int)w;
        out->kind = wants[w].kind;
        if (!has_kind(out->schema, wants[w].kind) || (*seen & 1u << w) != 0) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "field \"%s\" of a manifest is %s",
                               wants[w].name,
                               (*seen & 1u << w) != 0 ? "there twice" : "of a wrong type");
        }
        *seen |= 1u << w;
    }
    return ERR_OK;
}

enum err record__compile(const struct avro_schema *record, const struct slot_want *wants,
                         size_t want_count, struct arena *arena, struct record_program *ret_program,
                         struct errinfo *info)
{
    ASSERT(want_count <= RECORD_SLOTS_MAX);
    if (record->kind != AVRO_RECORD) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest is not made of records");
    }
    struct record_step *steps = arena_calloc(arena, record->field_count + 1, sizeof(*steps));
    uint32_t seen = 0;
    if (steps == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < record->field_count; i++) {
        TRY(compile_field(&record->fields[i], wants, want_count, &seen, &steps[i], info));
    }
    for (size_t w = 0; w < want_count; w++) {
        if (wants[w].is_required && (seen & 1u << w) == 0) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "field \"%s\" of a manifest is missing",
                               wants[w].name);
        }
    }
    *ret_program = (struct record_program){.steps = steps, .step_count = record->field_count};
    return ERR_OK;
}

static bool read_number(const struct avro_schema *schema, struct avro_cursor *cursor,
                        int64_t *ret_number)
{
    if (schema->kind != AVRO_BOOLEAN) {
        return avro_read_long(cursor, ret_number);
    }
    if (cursor->at == cursor->end || *cursor->at > 1) {
        return false;
    }
    *ret_number = *cursor->at++;
    return true;
}

static bool read_slot(const struct record_step *step, struct avro_cursor *cursor,
                      const struct record_sink *sink, struct record_slot *out)
{
    const struct avro_schema *schema = step->schema;
    out->is_set = true;
    out->schema = schema;
    switch (step->kind) {
    case SLOT_NUMBER:
        return read_number(schema, cursor, &out->number);
    case SLOT_BYTES:
        if (schema->kind != AVRO_FIXED) {
            return avro_read_bytes(cursor, &out->bytes);
        }
        out->bytes = (struct slice){(const char *)cursor->at, schema->size};
        return avro_skip(cursor, schema);
    case SLOT_METRICS:
        return sink == NULL ? avro_skip(cursor, schema)
                            : sink->read_map(sink->context, step->slot, schema, cursor);
    case SLOT_NUMBERS:
    case SLOT_TUPLE:
        out->cursor = *cursor;
        if (!avro_skip(cursor, schema)) {
            return false;
        }
        out->cursor.end = cursor->at;
        return true;
    }
    return false;
}

bool record__read(const struct record_program *program, struct avro_cursor *cursor,
                  const struct record_sink *sink, struct record_slot *slots, size_t slot_count)
{
    memset(slots, 0, slot_count * sizeof(*slots));
    for (size_t i = 0; i < program->step_count; i++) {
        const struct record_step *step = &program->steps[i];
        int64_t branch;
        if (step->null_branch >= 0) {
            if (!avro_read_long(cursor, &branch) || branch < 0 || branch > 1) {
                return false;
            }
            if (branch == step->null_branch) {
                continue;
            }
        }
        if (program->leaves_last && i == program->step_count - 1) {
            slots[step->slot].is_set = true;
            slots[step->slot].schema = step->schema;
            return true;
        }
        bool is_read = step->slot < 0 ? avro_skip(cursor, step->schema)
                                      : read_slot(step, cursor, sink, &slots[step->slot]);
        if (!is_read) {
            return false;
        }
    }
    return true;
}

const char *record__missing(const struct slot_want *wants, const struct record_slot *slots,
                            size_t slot_count)
{
    for (size_t i = 0; i < slot_count; i++) {
        if (wants[i].is_required && !slots[i].is_set) {
            return wants[i].name;
        }
    }
    return NULL;
}

/* ---- loose partitions ---- */

struct loosening {
    struct arena *arena;
    bool has_changed;
    bool is_out_of_memory;
};

static const struct avro_schema *loosen(struct loosening *l, const struct avro_schema *schema,
                                        bool is_partition)
{
    struct avro_schema *copy = arena_alloc(l->arena, sizeof(*copy));
    struct avro_field *fields = arena_calloc(l->arena, schema->field_count + 1, sizeof(*fields));
    if (copy == NULL || fields == NULL) {
        l->is_out_of_memory = true;
        return schema;
    }
    *copy = *schema;
    if (is_partition && schema->kind == AVRO_FIXED && schema->logical_type.len == 0) {
        copy->kind = AVRO_BYTES;
        copy->constant_bytes = -1;
        l->has_changed = true;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        copy->constant_bytes = -1;
        fields[i] = schema->fields[i];
        bool is_inside = is_partition || fields[i].id == 102;
        /* Only the way to the tuple: entry > data_file > partition > its fields. */
        if (is_inside || fields[i].id == 2 || schema->kind == AVRO_UNION) {
            fields[i].schema = loosen(l, schema->fields[i].schema, is_inside);
        }
    }
    copy->fields = fields;
    return copy;
}

const struct avro_schema *record__with_loose_partition(const struct avro_schema *entry,
                                                       struct arena *arena)
{
    struct loosening l = {.arena = arena};
    const struct avro_schema *copy = loosen(&l, entry, false);
    if (l.is_out_of_memory) {
        return NULL;
    }
    return l.has_changed ? copy : entry;
}

bool item__run(struct avro_cursor *cursor, int64_t *ret_count)
{
    int64_t size;
    if (!avro_read_long(cursor, ret_count) || *ret_count == INT64_MIN) {
        return false;
    }
    if (*ret_count < 0) {
        *ret_count = -*ret_count;
        return avro_read_long(cursor, &size); /* in bytes: for those who skip it */
    }
    return true;
}

bool item__next(struct item_iterator *items, bool *ret_more)
{
    if (items->left == 0 && !items->is_done) {
        if (!item__run(&items->cursor, &items->left)) {
            return false;
        }
        items->is_done = items->left == 0;
    }
    *ret_more = !items->is_done;
    items->left -= items->is_done ? 0 : 1;
    return true;
}
