/* Manifests as Avro (spec "Manifests"), versions 1 to 3.
 *
 * The file's schema is made of a table of fields, and each record is written by walking the same
 * table: what a version has and in which order stands in one place. */
#include "iceberg/write_int.h"

#include "base/json.h"

enum file_field {
    FIELD_CONTENT = 134,
    FIELD_PATH = 100,
    FIELD_FORMAT = 101,
    FIELD_PARTITION = 102,
    FIELD_RECORDS = 103,
    FIELD_SIZE = 104,
    FIELD_BLOCK_SIZE = 105,
    FIELD_COLUMN_SIZES = 108,
    FIELD_VALUES = 109,
    FIELD_NULLS = 110,
    FIELD_NANS = 137,
    FIELD_LOWER = 125,
    FIELD_UPPER = 128,
    FIELD_KEY = 131,
    FIELD_SPLITS = 132,
    FIELD_EQUALITY = 135,
    FIELD_SORT_ORDER = 140,
    FIELD_FIRST_ROW = 142,
    FIELD_REFERENCED = 143,
    FIELD_OFFSET = 144,
    FIELD_LENGTH = 145,
};

#define VERSIONS(least, most) least, most
#define V1_BLOCK_BYTES (64 * 1024 * 1024) /* required in v1, used by nobody */

struct file_member {
    enum file_field id;
    const char *name;
    const char *type; /* NULL: the partition's */
    bool is_required;
    int32_t key_id, value_id; /* of maps; element's in value_id */
    uint32_t least_version, most_version;
};

static const struct file_member members[] = {
    {FIELD_CONTENT, "content", "\"int\"", true, 0, 0, VERSIONS(2, 3)},
    {FIELD_PATH, "file_path", "\"string\"", true, 0, 0, VERSIONS(1, 3)},
    {FIELD_FORMAT, "file_format", "\"string\"", true, 0, 0, VERSIONS(1, 3)},
    {FIELD_PARTITION, "partition", NULL, true, 0, 0, VERSIONS(1, 3)},
    {FIELD_RECORDS, "record_count", "\"long\"", true, 0, 0, VERSIONS(1, 3)},
    {FIELD_SIZE, "file_size_in_bytes", "\"long\"", true, 0, 0, VERSIONS(1, 3)},
    {FIELD_BLOCK_SIZE, "block_size_in_bytes", "\"long\"", true, 0, 0, VERSIONS(1, 1)},
    {FIELD_COLUMN_SIZES, "column_sizes", "\"long\"", false, 117, 118, VERSIONS(1, 3)},
    {FIELD_VALUES, "value_counts", "\"long\"", false, 119, 120, VERSIONS(1, 3)},
    {FIELD_NULLS, "null_value_counts", "\"long\"", false, 121, 122, VERSIONS(1, 3)},
    {FIELD_NANS, "nan_value_counts", "\"long\"", false, 138, 139, VERSIONS(1, 3)},
    {FIELD_LOWER, "lower_bounds", "\"bytes\"", false, 126, 127, VERSIONS(1, 3)},
    {FIELD_UPPER, "upper_bounds", "\"bytes\"", false, 129, 130, VERSIONS(1, 3)},
    {FIELD_KEY, "key_metadata", "\"bytes\"", false, 0, 0, VERSIONS(1, 3)},
    {FIELD_SPLITS, "split_offsets", "\"long\"", false, 0, 133, VERSIONS(1, 3)},
    {FIELD_EQUALITY, "equality_ids", "\"int\"", false, 0, 136, VERSIONS(2, 3)},
    {FIELD_SORT_ORDER, "sort_order_id", "\"int\"", false, 0, 0, VERSIONS(1, 3)},
    {FIELD_FIRST_ROW, "first_row_id", "\"long\"", false, 0, 0, VERSIONS(3, 3)},
    {FIELD_REFERENCED, "referenced_data_file", "\"string\"", false, 0, 0, VERSIONS(2, 3)},
    {FIELD_OFFSET, "content_offset", "\"long\"", false, 0, 0, VERSIONS(3, 3)},
    {FIELD_LENGTH, "content_size_in_bytes", "\"long\"", false, 0, 0, VERSIONS(3, 3)},
};

static bool is_of_version(const struct file_member *member, uint32_t version)
{
    return version >= member->least_version && version <= member->most_version;
}

/* ---- the schema ---- */

void write__optional(struct buf *out, const char *name, int32_t id, const char *type)
{
    buf_printf(out, "{\"name\":\"%s\",\"type\":[\"null\",%s],\"default\":null,\"field-id\":%d}",
               name, type, id);
}

void write__required(struct buf *out, const char *name, int32_t id, const char *type)
{
    buf_printf(out, "{\"name\":\"%s\",\"type\":%s,\"field-id\":%d}", name, type, id);
}

static void write_map_type(struct buf *out, const struct file_member *member)
{
    buf_printf(out,
               "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\","
               "\"name\":\"k%d_v%d\",\"fields\":[",
               member->key_id, member->value_id);
    write__required(out, "key", member->key_id, "\"int\"");
    buf_append_char(out, ',');
    write__required(out, "value", member->value_id, member->type);
    buf_append_str(out, "]}}");
}

/* Avro's names are letters, digits and "_"; other characters are written as Java's library does. */
static void write_avro_name(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_digit = c >= '0' && c <= '9';
        if (is_letter || (is_digit && i > 0)) {
            buf_append_char(out, (char)c);
        } else if (is_digit) {
            buf_printf(out, "_%c", c);
        } else {
            buf_printf(out, "_x%X", c);
        }
    }
}

/* The smallest number of bytes that holds 10^precision - 1 and its sign. */
static uint32_t decimal_bytes(uint32_t precision)
{
    iceberg_int128 most = iceberg__power_of_ten(precision) - 1;
    uint32_t bytes = 1;
    while (bytes < 16 && (most >> (8 * bytes - 1)) != 0) {
        bytes++;
    }
    return bytes;
}

/* Named types are named by the field's id, since no name may be defined twice. */
static void write_value_type(struct buf *out, const struct iceberg_type *type, int32_t field_id)
{
    static const char *const plain[] = {
        [ICEBERG_BOOLEAN] = "\"boolean\"",
        [ICEBERG_INT] = "\"int\"",
        [ICEBERG_LONG] = "\"long\"",
        [ICEBERG_FLOAT] = "\"float\"",
        [ICEBERG_DOUBLE] = "\"double\"",
        [ICEBERG_DATE] = "{\"type\":\"int\",\"logicalType\":\"date\"}",
        [ICEBERG_TIME] = "{\"type\":\"long\",\"logicalType\":\"time-micros\"}",
        [ICEBERG_TIMESTAMP] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":false}",
        [ICEBERG_TIMESTAMPTZ] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":true}",
        [ICEBERG_TIMESTAMP_NS] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\",\"adjust-to-utc\":false}",
        [ICEBERG_TIMESTAMPTZ_NS] =
            "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\",\"adjust-to-utc\":true}",
        [ICEBERG_STRING] = "\"string\"",
        [ICEBERG_BINARY] = "\"bytes\"",
    };
    if (type->id == ICEBERG_UUID) {
        buf_printf(out,
                   "{\"type\":\"fixed\",\"size\":16,\"logicalType\":\"uuid\",\"name\":"
                   "\"uuid_fixed_%d\"}",
                   field_id);
    } else if (type->id == ICEBERG_FIXED) {
        buf_printf(out, "{\"type\":\"fixed\",\"size\":%u,\"name\":\"fixed_%u_%d\"}", type->length,
                   type->length, field_id);
    } else if (type->id == ICEBERG_DECIMAL) {
        buf_printf(out,
                   "{\"type\":\"fixed\",\"size\":%u,\"logicalType\":\"decimal\",\"precision\":%u,"
                   "\"scale\":%u,\"name\":\"decimal_%u_%u_%d\"}",
                   decimal_bytes(type->precision), type->precision, type->scale, type->precision,
                   type->scale, field_id);
    } else {
        ASSERT(type->id < ARRAY_COUNT(plain) && plain[type->id] != NULL);
        buf_append_str(out, plain[type->id]);
    }
}

static void write_tuple_type(struct buf *out, const struct iceberg_spec *spec,
                             const struct iceberg_type *types)
{
    buf_append_str(out, "{\"type\":\"record\",\"name\":\"r102\",\"fields\":[");
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        buf_printf(out, "%s{\"name\":\"", i == 0 ? "" : ",");
        write_avro_name(out, field->name);
        buf_append_str(out, "\",\"type\":[\"null\",");
        write_value_type(out, &types[i], field->field_id);
        buf_printf(out, "],\"default\":null,\"field-id\":%d}", field->field_id);
    }
    buf_append_str(out, "]}");
}

static void write_member(struct buf *out, const struct file_member *member,
                         const struct iceberg_spec *spec, const struct iceberg_type *types)
{
    struct buf type CLEANUP(buf_fini) = {0};
    if (member->type == NULL) {
        write_tuple_type(&type, spec, types);
    } else if (member->key_id > 0) {
        write_map_type(&type, member);
    } else if (member->value_id > 0) {
        buf_printf(&type, "{\"type\":\"array\",\"items\":%s,\"element-id\":%d}", member->type,
                   member->value_id);
    } else {
        buf_append_str(&type, member->type);
    }
    if (member->is_required) {
        write__required(out, member->name, (int32_t)member->id, buf_cstr(&type));
    } else {
        write__optional(out, member->name, (int32_t)member->id, buf_cstr(&type));
    }
    out->failed = out->failed || buf_failed(&type);
}

static void write_entry_schema(struct buf *out, uint32_t version, const struct iceberg_spec *spec,
                               const struct iceberg_type *types)
{
    buf_append_str(out, "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[");
    write__required(out, "status", 0, "\"int\"");
    buf_append_char(out, ',');
    write__optional(out, "snapshot_id", 1, "\"long\"");
    if (version > 1) {
        buf_append_char(out, ',');
        write__optional(out, "sequence_number", 3, "\"long\"");
        buf_append_char(out, ',');
        write__optional(out, "file_sequence_number", 4, "\"long\"");
    }
    buf_append_str(out, ",{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\","
                        "\"name\":\"r2\",\"fields\":[");
    bool is_first = true;
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (is_of_version(&members[i], version)) {
            buf_append_str(out, is_first ? "" : ",");
            write_member(out, &members[i], spec, types);
            is_first = false;
        }
    }
    buf_append_str(out, "]}}]}");
}

/* ---- entries ---- */

void write__optional_long(struct buf *out, int64_t value)
{
    avro_write_long(out, value == ICEBERG_NO_ID ? 0 : 1);
    if (value != ICEBERG_NO_ID) {
        avro_write_long(out, value);
    }
}

void write__optional_bytes(struct buf *out, struct slice bytes)
{
    avro_write_long(out, bytes.ptr == NULL ? 0 : 1);
    if (bytes.ptr != NULL) {
        avro_write_bytes(out, bytes);
    }
}

static void write_decimal(struct buf *out, const struct iceberg_type *type, iceberg_int128 value)
{
    for (uint32_t left = decimal_bytes(type->precision); left > 0; left--) {
        buf_append_char(out, (char)(value >> (8 * (left - 1))));
    }
}

static void write_value(struct buf *out, const struct iceberg_type *type,
                        const struct iceberg_value *value)
{
    avro_write_long(out, value->is_null ? 0 : 1);
    if (value->is_null) {
        return;
    }
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        buf_append_char(out, value->boolean ? 1 : 0);
        return;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        avro_write_long(out, value->integer);
        return;
    case ICEBERG_FLOAT:
        avro_write_float(out, (float)value->real);
        return;
    case ICEBERG_DOUBLE:
        avro_write_double(out, value->real);
        return;
    case ICEBERG_DECIMAL:
        write_decimal(out, type, value->decimal);
        return;
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
        buf_append_slice(out, value->bytes);
        return;
    case ICEBERG_STRING:
    case ICEBERG_BINARY:
        avro_write_bytes(out, value->bytes);
        return;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    ASSERT(false); /* no transform gives one */
}

/* The number of a column in a map of numbers, or -1. */
static int64_t number_of(const struct iceberg_metrics *metrics, enum file_field map)
{
    return map == FIELD_COLUMN_SIZES ? metrics->size_bytes
           : map == FIELD_VALUES     ? metrics->value_count
           : map == FIELD_NULLS      ? metrics->null_count
                                     : metrics->nan_count;
}

static void write_map(struct buf *out, const struct iceberg_file *file, enum file_field map)
{
    bool is_bounds = map == FIELD_LOWER || map == FIELD_UPPER;
    int64_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < file->metrics_count; i++) {
            const struct iceberg_metrics *metrics = &file->metrics[i];
            struct slice bound = map == FIELD_LOWER ? metrics->lower : metrics->upper;
            bool is_there =
                is_bounds ? bound.ptr != NULL : number_of(metrics, map) != ICEBERG_NO_ID;
            count += is_there && pass == 0 ? 1 : 0;
            if (!is_there || pass == 0) {
                continue;
            }
            avro_write_long(out, metrics->field_id);
            if (is_bounds) {
                avro_write_bytes(out, bound);
            } else {
                avro_write_long(out, number_of(metrics, map));
            }
        }
        if (pass == 0) {
            avro_write_long(out, count == 0 ? 0 : 1);
            if (count == 0) {
                return;
            }
            avro_write_long(out, count);
        }
    }
    avro_write_long(out, 0);
}

static void write_splits(struct buf *out, const struct iceberg_file *file)
{
    avro_write_long(out, file->split_offset_count == 0 ? 0 : 1);
    if (file->split_offset_count > 0) {
        avro_write_long(out, (int64_t)file->split_offset_count);
        for (size_t i = 0; i < file->split_offset_count; i++) {
            avro_write_long(out, file->split_offsets[i]);
        }
        avro_write_long(out, 0);
    }
}

static void write_equality(struct buf *out, const struct iceberg_file *file)
{
    avro_write_long(out, file->equality_id_count == 0 ? 0 : 1);
    if (file->equality_id_count > 0) {
        avro_write_long(out, (int64_t)file->equality_id_count);
        for (size_t i = 0; i < file->equality_id_count; i++) {
            avro_write_long(out, file->equality_ids[i]);
        }
        avro_write_long(out, 0);
    }
}

static void write_format(struct buf *out, enum iceberg_file_format format)
{
    static const char *const names[] = {[ICEBERG_PARQUET] = "PARQUET",
                                        [ICEBERG_AVRO] = "AVRO",
                                        [ICEBERG_ORC] = "ORC",
                                        [ICEBERG_PUFFIN] = "PUFFIN"};
    avro_write_bytes(out, slice_of(names[format]));
}

static void write_file_member(struct buf *out, enum file_field id, const struct iceberg_file *file,
                              const struct iceberg_type *types)
{
    switch (id) {
    case FIELD_CONTENT:
        avro_write_long(out, file->content);
        return;
    case FIELD_PATH:
        avro_write_bytes(out, file->path);
        return;
    case FIELD_FORMAT:
        write_format(out, file->format);
        return;
    case FIELD_PARTITION:
        for (size_t i = 0; i < file->partition_count; i++) {
            write_value(out, &types[i], &file->partition[i]);
        }
        return;
    case FIELD_RECORDS:
        avro_write_long(out, file->record_count);
        return;
    case FIELD_SIZE:
        avro_write_long(out, file->size_bytes);
        return;
    case FIELD_BLOCK_SIZE:
        avro_write_long(out, V1_BLOCK_BYTES);
        return;
    case FIELD_COLUMN_SIZES:
    case FIELD_VALUES:
    case FIELD_NULLS:
    case FIELD_NANS:
    case FIELD_LOWER:
    case FIELD_UPPER:
        write_map(out, file, id);
        return;
    case FIELD_KEY:
        write__optional_bytes(out, file->key_metadata);
        return;
    case FIELD_SPLITS:
        write_splits(out, file);
        return;
    case FIELD_EQUALITY:
        write_equality(out, file);
        return;
    case FIELD_SORT_ORDER:
        write__optional_long(out, file->sort_order_id);
        return;
    case FIELD_FIRST_ROW:
        write__optional_long(out, file->first_row_id);
        return;
    case FIELD_REFERENCED:
        write__optional_bytes(out, file->referenced_data_file);
        return;
    case FIELD_OFFSET:
        write__optional_long(out, file->content_offset);
        return;
    case FIELD_LENGTH:
        write__optional_long(out, file->content_size_bytes);
        return;
    }
}

static void write_entry(struct buf *out, const struct iceberg_file *file, uint32_t version,
                        const struct iceberg_type *types)
{
    avro_write_long(out, file->status);
    write__optional_long(out, file->snapshot_id);
    if (version > 1) {
        write__optional_long(out, file->sequence_number);
        write__optional_long(out, file->file_sequence_number);
    }
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        if (is_of_version(&members[i], version)) {
            write_file_member(out, members[i].id, file, types);
        }
    }
}

/* ---- what the list says ---- */

static bool is_nan(const struct iceberg_value *value)
{
    return (value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE) &&
           value->real != value->real;
}

static enum err encode(const struct iceberg_value *value, struct arena *arena,
                       struct slice *ret_bytes, struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    iceberg_value_encode(value, &bytes);
    return !buf_failed(&bytes) && arena_slice(arena, buf_slice(&bytes), ret_bytes)
               ? ERR_OK
               : errinfo_nomem(info);
}

static enum err summarize(const struct iceberg_file *files, size_t count, size_t field,
                          struct arena *arena, struct iceberg_partition_summary *out,
                          struct errinfo *info)
{
    const struct iceberg_value *lower = NULL;
    const struct iceberg_value *upper = NULL;
    out->has_nan_flag = true;
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_value *value = &files[i].partition[field];
        if (value->is_null) {
            out->contains_null = true;
        } else if (is_nan(value)) {
            out->contains_nan = true;
        } else {
            lower = lower == NULL || iceberg_value_compare(value, lower) < 0 ? value : lower;
            upper = upper == NULL || iceberg_value_compare(value, upper) > 0 ? value : upper;
        }
    }
    if (lower != NULL) {
        TRY(encode(lower, arena, &out->lower, info));
        TRY(encode(upper, arena, &out->upper, info));
    }
    return ERR_OK;
}

static void count_entries(const struct iceberg_manifest_write *write,
                          const struct iceberg_file *files, size_t count,
                          struct iceberg_manifest *out)
{
    out->sequence_number = write->sequence_number;
    out->min_sequence_number = write->sequence_number;
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_file *file = &files[i];
        bool is_live = file->status != ICEBERG_DELETED;
        int64_t *rows = file->status == ICEBERG_ADDED      ? &out->added_rows
                        : file->status == ICEBERG_EXISTING ? &out->existing_rows
                                                           : &out->deleted_rows;
        int64_t *many = file->status == ICEBERG_ADDED      ? &out->added_files
                        : file->status == ICEBERG_EXISTING ? &out->existing_files
                                                           : &out->deleted_files;
        *rows += file->record_count;
        *many += 1;
        if (is_live && file->sequence_number != ICEBERG_NO_ID &&
            file->sequence_number < out->min_sequence_number) {
            out->min_sequence_number = file->sequence_number;
        }
    }
}

static enum err describe(const struct iceberg_manifest_write *write,
                         const struct iceberg_file *files, size_t count, struct arena *arena,
                         struct iceberg_manifest *out, struct errinfo *info)
{
    size_t field_count = write->spec->field_count;
    *out = (struct iceberg_manifest){.spec_id = write->spec->id,
                                     .is_deletes = write->is_deletes,
                                     .added_snapshot_id = write->snapshot_id,
                                     .first_row_id = ICEBERG_NO_ID,
                                     .partition_count = field_count};
    count_entries(write, files, count, out);
    struct iceberg_partition_summary *summaries =
        arena_calloc(arena, field_count + 1, sizeof(*summaries));
    if (summaries == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < field_count; i++) {
        TRY(summarize(files, count, i, arena, &summaries[i], info));
    }
    out->partitions = summaries;
    return ERR_OK;
}

/* ---- the whole ---- */

enum err write__partition_types(const struct iceberg_metadata *metadata,
                                const struct iceberg_spec *spec, struct arena *arena,
                                struct iceberg_type **ret_types, struct errinfo *info)
{
    struct iceberg_type *types = arena_calloc(arena, spec->field_count + 1, sizeof(*types));
    if (types == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        const struct iceberg_field *source =
            field->source_count == 1 ? iceberg_metadata_field(metadata, field->source_ids[0])
                                     : NULL;
        if (field->transform.kind == TRANSFORM_OTHER || source == NULL) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "partition field \"%.*s\" (%.*s) cannot be written",
                               SLICE_ARGS(field->name), SLICE_ARGS(field->transform.text));
        }
        TRY(iceberg_transform_result(&field->transform, &source->type, &types[i], info));
    }
    *ret_types = types;
    return ERR_OK;
}

void iceberg_sources_write(const int32_t *ids, size_t count, struct buf *out)
{
    buf_append_str(out, count == 1 ? ",\"source-id\":" : ",\"source-ids\":[");
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, i == 0 ? "%d" : ",%d", ids[i]);
    }
    buf_append_str(out, count == 1 ? "" : "]");
}

void iceberg_spec_write_fields(const struct iceberg_spec *spec, struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        buf_append_str(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_write_string(out, field->name);
        buf_append_str(out, ",\"transform\":\"");
        iceberg_transform_print(&field->transform, out);
        buf_append_char(out, '"');
        iceberg_sources_write(field->source_ids, field->source_count, out);
        buf_printf(out, ",\"field-id\":%d}", field->field_id);
    }
    buf_append_char(out, ']');
}

static enum err open_output(const struct iceberg_manifest_write *write,
                            const struct iceberg_type *types, struct buf *out,
                            struct avro_output *avro, struct errinfo *info)
{
    uint32_t version = write->metadata->format_version;
    struct buf avro_schema CLEANUP(buf_fini) = {0};
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf spec CLEANUP(buf_fini) = {0};
    struct buf numbers CLEANUP(buf_fini) = {0};
    write_entry_schema(&avro_schema, version, write->spec, types);
    iceberg_schema_write(write->schema, &schema);
    iceberg_spec_write_fields(write->spec, &spec);
    buf_printf(&numbers, "%d", write->schema->id);
    size_t schema_id_len = numbers.len;
    buf_printf(&numbers, "%d", write->spec->id);
    size_t spec_id_end = numbers.len;
    buf_printf(&numbers, "%u", version);
    if (buf_failed(&avro_schema) || buf_failed(&schema) || buf_failed(&spec) ||
        buf_failed(&numbers)) {
        return errinfo_nomem(info);
    }
    const struct avro_pair pairs[] = {
        {"schema", buf_slice(&schema)},
        {"schema-id", {numbers.ptr, schema_id_len}},
        {"partition-spec", buf_slice(&spec)},
        {"partition-spec-id", {numbers.ptr + schema_id_len, spec_id_end - schema_id_len}},
        {"format-version", {numbers.ptr + spec_id_end, numbers.len - spec_id_end}},
        {"content", write->is_deletes ? SLICE("deletes") : SLICE("data")},
    };
    return avro_output_open(avro, out, buf_slice(&avro_schema), pairs, ARRAY_COUNT(pairs),
                            write->codec, info);
}

enum err iceberg_manifest_write(const struct iceberg_manifest_write *write,
                                const struct iceberg_file *files, size_t file_count,
                                struct arena *arena, struct buf *out,
                                struct iceberg_manifest *ret_manifest, struct errinfo *info)
{
    struct avro_output avro CLEANUP(avro_output_fini) = {0};
    struct iceberg_manifest manifest;
    struct iceberg_type *types;
    size_t before = out->len;
    TRY(write__partition_types(write->metadata, write->spec, arena, &types, info));
    TRY(describe(write, files, file_count, arena, &manifest, info));
    TRY(open_output(write, types, out, &avro, info));
    for (size_t i = 0; i < file_count; i++) {
        ASSERT(files[i].partition_count == write->spec->field_count);
        write_entry(&avro.block, &files[i], write->metadata->format_version, types);
        TRY(avro_output_next(&avro, info));
    }
    TRY(avro_output_end(&avro, info));
    manifest.length_bytes = (int64_t)(out->len - before);
    *ret_manifest = manifest;
    return ERR_OK;
}
