#include "engine/parquet_instants.h"

#include "engine/thrift_int.h"

struct search {
    struct thrift_reader in;
    const uint8_t *begin;
    bool is_utc;
    const int32_t *field_ids;
    size_t field_count;
    size_t *offsets;
    size_t count;
    bool has_schema;
};

static void skip(struct search *s, unsigned type)
{
    thrift__skip(&s->in, type, THRIFT_DEPTH_MAX);
}

/* TimeUnit: 1 MILLIS, 2 MICROS, 3 NANOS; a union. */
static bool take_nanos(struct search *s)
{
    struct thrift_field field = {0};
    bool is_nanos = false;
    while (thrift__field(&s->in, &field)) {
        is_nanos = field.id == 3;
        skip(s, field.type);
    }
    return is_nanos;
}

/* TimestampType: 1 isAdjustedToUTC, 2 unit. NULL: not in nanoseconds. */
static const uint8_t *take_timestamp(struct search *s, bool *ret_is_utc)
{
    struct thrift_field field = {0};
    const uint8_t *head = s->in.at;
    const uint8_t *found = NULL;
    bool is_nanos = false;
    while (thrift__field(&s->in, &field)) {
        if (field.id == 1 && (field.type == THRIFT_TRUE || field.type == THRIFT_FALSE)) {
            s->in.is_bad = s->in.is_bad || found != NULL;
            found = head;
            *ret_is_utc = field.type == THRIFT_TRUE;
        } else if (field.id == 2 && field.type == THRIFT_STRUCT) {
            is_nanos = take_nanos(s);
        } else {
            skip(s, field.type);
        }
        head = s->in.at;
    }
    return is_nanos ? found : NULL;
}

/* LogicalType: 8 TIMESTAMP; a union. */
static const uint8_t *take_type(struct search *s, bool *ret_is_utc)
{
    struct thrift_field field = {0};
    const uint8_t *found = NULL;
    while (thrift__field(&s->in, &field)) {
        if (field.id == 8 && field.type == THRIFT_STRUCT) {
            s->in.is_bad = s->in.is_bad || found != NULL;
            found = take_timestamp(s, ret_is_utc);
        } else {
            skip(s, field.type);
        }
    }
    return found;
}

static bool is_wanted(const struct search *s, int64_t field_id)
{
    for (size_t i = 0; i < s->field_count; i++) {
        if (s->field_ids[i] == field_id) {
            return true;
        }
    }
    return s->field_count == 0;
}

/* SchemaElement: 9 field_id, 10 logicalType. */
static void take_element(struct search *s)
{
    struct thrift_field field = {0};
    const uint8_t *found = NULL;
    bool is_utc = false;
    int64_t id = -1;
    while (thrift__field(&s->in, &field)) {
        if (field.id == 10 && field.type == THRIFT_STRUCT) {
            s->in.is_bad = s->in.is_bad || found != NULL;
            found = take_type(s, &is_utc);
        } else if (field.id == 9 && field.type == THRIFT_I32) {
            id = thrift__int(&s->in);
        } else {
            skip(s, field.type);
        }
    }
    if (found != NULL && is_utc == s->is_utc && is_wanted(s, id) && !s->in.is_bad) {
        s->offsets[s->count++] = (size_t)(found - s->begin);
    }
}

static void take_schema(struct search *s, struct arena *arena)
{
    unsigned type;
    size_t count = thrift__list(&s->in, &type);
    s->in.is_bad = s->in.is_bad || s->has_schema || type != THRIFT_STRUCT;
    s->has_schema = true;
    s->offsets = s->in.is_bad ? NULL : arena_calloc(arena, count + 1, sizeof(*s->offsets));
    for (size_t i = 0; i < count && s->offsets != NULL && !s->in.is_bad; i++) {
        take_element(s);
    }
}

enum err parquet_instants_find(struct slice footer, bool is_utc, const int32_t *field_ids,
                               size_t field_count, struct arena *arena,
                               struct parquet_instants *ret_instants)
{
    const uint8_t *begin = (const uint8_t *)footer.ptr;
    struct search s = {.in = {begin, begin + footer.len, false},
                       .begin = begin,
                       .is_utc = is_utc,
                       .field_ids = field_ids,
                       .field_count = field_count};
    struct thrift_field field = {0};
    while (thrift__field(&s.in, &field)) { /* FileMetaData: 2 schema */
        if (field.id == 2 && field.type == THRIFT_LIST) {
            take_schema(&s, arena);
            if (s.offsets == NULL && !s.in.is_bad) {
                return ERR_NOMEM;
            }
        } else {
            skip(&s, field.type);
        }
    }
    if (s.in.is_bad || !s.has_schema || (field_count > 0 && s.count != field_count)) {
        return ERR_CORRUPT;
    }
    *ret_instants = (struct parquet_instants){s.offsets, s.count};
    return ERR_OK;
}

uint8_t parquet_instant_byte(uint8_t byte, bool is_utc)
{
    return (uint8_t)((byte & 0xf0) | (is_utc ? THRIFT_TRUE : THRIFT_FALSE));
}
