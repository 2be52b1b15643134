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
    static const struct {
        const char *logical_type;
        enum iceberg_type_id id;
    } by_name[] = {{"date", ICEBERG_DATE},
                   {"time-micros", ICEBERG_TIME},
                   {"timestamp-micros", ICEBERG_TIMESTAMP},
                   {"timestamp-nanos", ICEBERG_TIMESTAMP_NS},
                   {"decimal", ICEBERG_DECIMAL},
                   {"uuid", ICEBERG_UUID}};
    const struct iceberg_field *source =
        field->source_count == 0 ? NULL : iceberg_metadata_field(metadata, field->source_ids[0]);
    /* What a transform that is not known gives, its writer says alone. */
    if (source != NULL && field->transform.kind != TRANSFORM_OTHER) {
        return iceberg_transform_result(&field->transform, &source->type, ret_type, info);
    }
    *ret_type = (struct iceberg_type){.id = ICEBERG_UNKNOWN};
    if (written->kind > AVRO_FIXED) {
        return ERR_OK;
    }
    ret_type->id = by_kind[written->kind];
    for (size_t i = 0; i < ARRAY_COUNT(by_name); i++) {
        if (slice_equal(written->logical_type, slice_of(by_name[i].logical_type))) {
            ret_type->id = by_name[i].id;
            ret_type->precision = written->precision;
            ret_type->scale = written->scale;
        }
    }
    bool has_zone = written->is_adjusted_to_utc;
    ret_type->id = ret_type->id == ICEBERG_TIMESTAMP && has_zone      ? ICEBERG_TIMESTAMPTZ
                   : ret_type->id == ICEBERG_TIMESTAMP_NS && has_zone ? ICEBERG_TIMESTAMPTZ_NS
                                                                      : ret_type->id;
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

/* The writer's unit must be the table's: days read as microseconds would be other rows. A writer
 * may say nothing, and does for days of a transform. */
static bool has_unit(const struct iceberg_type *type, const struct avro_schema *written)
{
    static const struct {
        enum iceberg_type_id id;
        const char *logical_type;
    } units[] = {{ICEBERG_INT, "date"}, /* a day's value, by old specs */
                 {ICEBERG_DATE, "date"},
                 {ICEBERG_TIME, "time-micros"},
                 {ICEBERG_TIMESTAMP, "timestamp-micros"},
                 {ICEBERG_TIMESTAMP, "local-timestamp-micros"},
                 {ICEBERG_TIMESTAMPTZ, "timestamp-micros"},
                 {ICEBERG_TIMESTAMP_NS, "timestamp-nanos"},
                 {ICEBERG_TIMESTAMP_NS, "local-timestamp-nanos"},
                 {ICEBERG_TIMESTAMPTZ_NS, "timestamp-nanos"}};
    bool is_known = written->logical_type.len == 0;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        is_known =
            is_known || (units[i].id == type->id &&
                         slice_equal(written->logical_type, slice_of(units[i].logical_type)));
    }
    return is_known;
}

/* Can values of the written type be read as the spec's? Told before the first one is. */
static bool is_readable(const struct iceberg_type *type, const struct avro_schema *written)
{
    bool is_any_bytes =
        written->kind == AVRO_BYTES || written->kind == AVRO_STRING || written->kind == AVRO_FIXED;
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        return written->kind == AVRO_BOOLEAN;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return (written->kind == AVRO_INT || written->kind == AVRO_LONG) && has_unit(type, written);
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return written->kind == AVRO_FLOAT || written->kind == AVRO_DOUBLE;
    case ICEBERG_DECIMAL:
        return is_any_bytes && (!slice_equal(written->logical_type, SLICE("decimal")) ||
                                written->scale == type->scale);
    case ICEBERG_UUID:
        return written->kind == AVRO_FIXED && written->size == 16;
    case ICEBERG_STRING:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        return is_any_bytes;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        return true; /* stepped over */
    }
    return false;
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
        if (written == NULL) {
            return errinfo_set(info, ERR_CORRUPT, NULL,
                               "a manifest's partition tuple lacks field \"%.*s\" of its spec %d",
                               SLICE_ARGS(spec->fields[i].name), spec->id);
        }
        TRY(type_of(metadata, &spec->fields[i], written, &reader.types[i], info));
        if (written->kind != AVRO_NULL && !is_readable(&reader.types[i], written)) {
            struct buf type CLEANUP(buf_fini) = {0};
            iceberg_type_print(&reader.types[i], &type);
            return errinfo_set(info, ERR_CORRUPT, NULL,
                               "a manifest's values of partition field \"%.*s\" are not of its "
                               "type %s",
                               SLICE_ARGS(spec->fields[i].name), buf_cstr(&type));
        }
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

static bool read_real(const struct avro_schema *schema, struct avro_cursor *cursor,
                      double *ret_real)
{
    float single;
    size_t size = schema->kind == AVRO_FLOAT ? sizeof(single) : sizeof(*ret_real);
    if ((size_t)(cursor->end - cursor->at) < size) {
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
    return avro_read_bytes(cursor, ret_bytes);
}

static bool in_range(enum iceberg_type_id id, int64_t number)
{
    bool is_narrow = id == ICEBERG_INT || id == ICEBERG_DATE;
    return !is_narrow || (number >= INT32_MIN && number <= INT32_MAX);
}

/* A value of the written type as one of the wanted type; the pair is_readable. */
static bool read_value(const struct iceberg_type *type, const struct avro_schema *schema,
                       struct avro_cursor *cursor, struct iceberg_value *out)
{
    out->type = type->id;
    out->precision = type->precision;
    out->scale = type->scale;
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        if (cursor->at == cursor->end || *cursor->at > 1) {
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
        return avro_read_long(cursor, &out->integer) && in_range(type->id, out->integer);
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
        return read_any_bytes(schema, cursor, &out->bytes);
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
