/* Partition tuples: Avro values to values of the types that the spec's transforms give. */
#include "iceberg/manifest_int.h"

/* The type of a spec's field. A source column that no schema of the table has any more (dropped
 * in a v1 table) leaves only what the file itself says. */
static enum err type_of(const struct iceberg_metadata *metadata,
                        const struct iceberg_partition_field *field,
                        const struct avro_schema *written, struct iceberg_type *ret_type,
                        struct errinfo *info)
{
    static const enum iceberg_type_id by_kind[] = {
        [AVRO_BOOLEAN] = ICEBERG_BOOLEAN, [AVRO_INT] = ICEBERG_INT,
        [AVRO_LONG] = ICEBERG_LONG,       [AVRO_FLOAT] = ICEBERG_FLOAT,
        [AVRO_DOUBLE] = ICEBERG_DOUBLE,   [AVRO_BYTES] = ICEBERG_BINARY,
        [AVRO_STRING] = ICEBERG_STRING,   [AVRO_FIXED] = ICEBERG_BINARY};
    const struct iceberg_field *source =
        field->source_count == 0 ? NULL : iceberg_metadata_field(metadata, field->source_ids[0]);
    if (source != NULL) {
        return iceberg_transform_result(&field->transform, &source->type, ret_type, info);
    }
    *ret_type = (struct iceberg_type){.id = written == NULL || written->kind > AVRO_FIXED
                                                ? ICEBERG_UNKNOWN
                                                : by_kind[written->kind]};
    return ERR_OK;
}

static int place_of(const struct iceberg_spec *spec, int32_t field_id)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        if (spec->fields[i].field_id == field_id) {
            return (int)i;
        }
    }
    return -1;
}

/* Old v1 writers gave no ids to the fields of the tuple, or ids of their own: then the order is
 * that of the spec. */
static bool has_ids(const struct iceberg_spec *spec, const struct avro_schema *record)
{
    for (size_t i = 0; i < record->field_count; i++) {
        if (place_of(spec, record->fields[i].id) >= 0) {
            return true;
        }
    }
    return record->field_count == 0;
}

enum err partition__open(const struct iceberg_metadata *metadata, const struct iceberg_spec *spec,
                         const struct avro_schema *record, struct arena *arena,
                         struct partition_reader *ret_reader, struct errinfo *info)
{
    struct partition_reader reader = {.field_count = spec->field_count, .record = record};
    reader.types = arena_calloc(arena, spec->field_count + 1, sizeof(*reader.types));
    reader.places = arena_calloc(arena, record->field_count + 1, sizeof(*reader.places));
    if (reader.types == NULL || reader.places == NULL) {
        return errinfo_nomem(info);
    }
    bool by_id = has_ids(spec, record);
    if (!by_id && record->field_count != spec->field_count) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "a manifest's partition tuple has other fields than its spec %d",
                           spec->id);
    }
    for (size_t i = 0; i < record->field_count; i++) {
        reader.places[i] = by_id ? place_of(spec, record->fields[i].id) : (int)i;
    }
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct avro_schema *written = NULL;
        for (size_t f = 0; f < record->field_count; f++) {
            if (reader.places[f] == (int)i) {
                written = record__value(record->fields[f].schema);
            }
        }
        TRY(type_of(metadata, &spec->fields[i], written, &reader.types[i], info));
    }
    *ret_reader = reader;
    return ERR_OK;
}

__extension__ typedef unsigned __int128 iceberg_uint128;

static iceberg_int128 decimal_of(struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    iceberg_uint128 value = bytes.len > 0 && (at[0] & 0x80) != 0 ? ~(iceberg_uint128)0 : 0;
    for (size_t i = 0; i < bytes.len; i++) {
        value = value << 8 | at[i];
    }
    return (iceberg_int128)value;
}

static bool read_whole(const struct avro_schema *schema, struct avro_cursor *cursor,
                       int64_t *ret_number)
{
    return (schema->kind == AVRO_INT || schema->kind == AVRO_LONG) &&
           avro_read_long(cursor, ret_number);
}

static bool read_real(const struct avro_schema *schema, struct avro_cursor *cursor,
                      double *ret_real)
{
    float single;
    size_t size = schema->kind == AVRO_FLOAT ? sizeof(single) : sizeof(*ret_real);
    if ((schema->kind != AVRO_FLOAT && schema->kind != AVRO_DOUBLE) ||
        (size_t)(cursor->end - cursor->at) < size) {
        return false;
    }
    if (schema->kind == AVRO_FLOAT) {
        memcpy(&single, cursor->at, size);
        *ret_real = (double)single;
    } else {
        memcpy(ret_real, cursor->at, size);
    }
    cursor->at += size;
    return true;
}

static bool read_any_bytes(const struct avro_schema *schema, struct avro_cursor *cursor,
                           struct slice *ret_bytes)
{
    if (schema->kind == AVRO_FIXED) {
        *ret_bytes = (struct slice){(const char *)cursor->at, schema->size};
        return avro_skip(cursor, schema);
    }
    return (schema->kind == AVRO_BYTES || schema->kind == AVRO_STRING) &&
           avro_read_bytes(cursor, ret_bytes);
}

static bool in_range(enum iceberg_type_id id, int64_t number)
{
    bool is_narrow = id == ICEBERG_INT || id == ICEBERG_DATE;
    return !is_narrow || (number >= INT32_MIN && number <= INT32_MAX);
}

/* A value of the written type as one of the wanted type; false for a pair that cannot be. */
static bool read_value(const struct iceberg_type *type, const struct avro_schema *schema,
                       struct avro_cursor *cursor, struct iceberg_value *out)
{
    out->type = type->id;
    out->precision = type->precision;
    out->scale = type->scale;
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        if (schema->kind != AVRO_BOOLEAN || cursor->at == cursor->end || *cursor->at > 1) {
            return false;
        }
        out->boolean = *cursor->at++ != 0;
        return true;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return read_whole(schema, cursor, &out->integer) && in_range(type->id, out->integer);
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return read_real(schema, cursor, &out->real);
    case ICEBERG_DECIMAL:
        if (!read_any_bytes(schema, cursor, &out->bytes) || out->bytes.len == 0 ||
            out->bytes.len > 16) {
            return false;
        }
        out->decimal = decimal_of(out->bytes);
        return true;
    case ICEBERG_STRING:
        return read_any_bytes(schema, cursor, &out->bytes) && slice_is_utf8(out->bytes, NULL);
    case ICEBERG_UUID:
        return schema->kind == AVRO_FIXED && schema->size == 16 &&
               read_any_bytes(schema, cursor, &out->bytes);
    case ICEBERG_FIXED:
        return read_any_bytes(schema, cursor, &out->bytes) && out->bytes.len == type->length;
    case ICEBERG_BINARY:
        return read_any_bytes(schema, cursor, &out->bytes);
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        out->is_null = true; /* void over what has no single value */
        return avro_skip(cursor, schema);
    }
    return false;
}

enum err partition__read(const struct partition_reader *reader, struct avro_cursor *cursor,
                         struct iceberg_value *ret_values, struct errinfo *info)
{
    memset(ret_values, 0, reader->field_count * sizeof(*ret_values));
    for (size_t i = 0; i < reader->field_count; i++) {
        ret_values[i].type = reader->types[i].id;
        ret_values[i].is_null = true;
    }
    for (size_t f = 0; f < reader->record->field_count; f++) {
        const struct avro_schema *schema;
        bool is_null;
        int place = reader->places[f];
        bool is_read =
            place < 0 ? avro_skip(cursor, reader->record->fields[f].schema)
                      : record__enter(reader->record->fields[f].schema, cursor, &schema, &is_null);
        if (is_read && place >= 0 && !is_null) {
            ret_values[place].is_null = false;
            is_read = read_value(&reader->types[place], schema, cursor, &ret_values[place]);
        }
        if (!is_read) {
            return errinfo_set(info, ERR_CORRUPT, NULL,
                               "a manifest is damaged: partition field \"%.*s\"",
                               SLICE_ARGS(reader->record->fields[f].name));
        }
    }
    return ERR_OK;
}
