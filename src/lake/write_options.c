/* What a table's properties say of its files, as options of the COPY that writes them. What a
 * property says wrongly counts as not said. */
#include "lake/write.h"

#include <math.h>
#include <stdlib.h>

#include "lake/lake_int.h"
#include "sql/scan.h"

#define FILE_BYTES_DEFAULT (512ull * 1024 * 1024) /* write.target-file-size-bytes */
#define FILE_BYTES_MIN (64ull * 1024)
#define FILE_BYTES_MAX (64ull * 1024 * 1024 * 1024)
#define GROUP_ROWS_DEFAULT 122880ull /* the engine's */
#define SHRED_ROWS_DEFAULT 100ull    /* write.parquet.variant-inference-buffer-size */
#define GROUP_ROWS_MIN 2048ull
#define GROUP_ROWS_MAX 100000000ull
#define LEVEL_MAX 22ull                        /* zstd */
#define BLOOM_BYTES_DEFAULT (1024ull * 1024)   /* write.parquet.bloom-filter-max-bytes */
#define BLOOM_BYTES_MIN 32ull                  /* one block */
#define BLOOM_BYTES_MAX (128ull * 1024 * 1024) /* that readers take */
#define BLOOM_RATIO_DEFAULT 0.01               /* write.parquet.bloom-filter-fpp.column.* */
#define TEXT_BYTES_GUESSED 32ull               /* of a value without a width of its own */

static uint64_t number_or(const struct iceberg_metadata *metadata, const char *property,
                          uint64_t least, uint64_t most, uint64_t otherwise)
{
    uint64_t value;
    if (!slice_to_u64(iceberg_metadata_property(metadata, property), &value)) {
        return otherwise;
    }
    return value < least ? least : value > most ? most : value;
}

/* ---- rows ---- */

/* What a row takes in memory, about. */
static uint64_t width_of(const struct iceberg_type *type)
{
    uint64_t sum = 0;
    switch (type->id) {
    case ICEBERG_UNKNOWN:
        return 0;
    case ICEBERG_BOOLEAN:
        return 1;
    case ICEBERG_INT:
    case ICEBERG_FLOAT:
    case ICEBERG_DATE:
        return 4;
    case ICEBERG_LONG:
    case ICEBERG_DOUBLE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return 8;
    case ICEBERG_DECIMAL:
    case ICEBERG_UUID:
        return 16;
    case ICEBERG_STRING:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        return TEXT_BYTES_GUESSED;
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    for (size_t i = 0; i < type->field_count; i++) {
        sum += width_of(&type->fields[i].type);
    }
    return sum;
}

/* write.parquet.row-group-size-bytes as rows: the engine counts bytes only where it need not keep
 * the order of rows. */
static uint64_t group_rows(const struct lake_write *write)
{
    const struct iceberg_metadata *metadata = write->metadata;
    uint64_t width = width_of(&write->schema->root);
    uint64_t most =
        number_or(metadata, "write.parquet.row-group-limit", GROUP_ROWS_MIN, GROUP_ROWS_MAX, 0);
    uint64_t bytes =
        number_or(metadata, "write.parquet.row-group-size-bytes", 1, FILE_BYTES_MAX, 0);
    uint64_t rows = bytes / (width == 0 ? 1 : width);
    rows = rows < GROUP_ROWS_MIN ? GROUP_ROWS_MIN : rows;
    if (bytes == 0) {
        return most;
    }
    return most != 0 && most < rows ? most : rows > GROUP_ROWS_MAX ? GROUP_ROWS_MAX : rows;
}

static uint64_t target_bytes(const struct lake_write *write)
{
    return number_or(write->metadata, "write.target-file-size-bytes", FILE_BYTES_MIN,
                     FILE_BYTES_MAX, FILE_BYTES_DEFAULT);
}

/* What a row took in the files that are there; for the first ones, what it takes in memory. */
static double row_bytes(const struct lake_write *write)
{
    const struct iceberg_metadata *metadata = write->metadata;
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id);
    int64_t rows = 0;
    int64_t bytes = 0;
    for (size_t i = 0; snapshot != NULL && i < snapshot->summary_count; i++) {
        const struct iceberg_property *said = &snapshot->summary[i];
        if (slice_equal(said->key, SLICE("total-records"))) {
            (void)slice_to_i64(said->value, &rows);
        } else if (slice_equal(said->key, SLICE("total-files-size"))) {
            (void)slice_to_i64(said->value, &bytes);
        }
    }
    double width = (double)width_of(&write->schema->root);
    /* Of small files most is their footers. */
    bool is_known = rows >= (int64_t)GROUP_ROWS_MIN && bytes > 0;
    double each = is_known ? (double)bytes / (double)rows : width;
    return each > width && width > 0 ? width : each > 0 ? each : 1;
}

uint64_t lake__write_file_rows(const struct lake_write *write)
{
    double rows = (double)target_bytes(write) / row_bytes(write);
    return rows < (double)GROUP_ROWS_MIN ? GROUP_ROWS_MIN : (uint64_t)rows;
}

/* ---- bloom filters ---- */

struct bloom {
    bool is_wanted;  /* of some column */
    bool is_refused; /* of some, and of none wanted */
    double ratio;    /* the least that is asked for */
};

static struct slice behind(struct slice key, struct slice prefix)
{
    return (struct slice){key.ptr + prefix.len, key.len - prefix.len};
}

static bool parse_ratio(struct slice text, double *ret_ratio)
{
    char copy[32];
    char *end = NULL;
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double ratio = strtod(copy, &end);
    *ret_ratio = ratio;
    return *end == '\0' && ratio > 0 && ratio < 1;
}

static double ratio_of(const struct iceberg_metadata *metadata, struct slice column)
{
    struct slice prefix = SLICE("write.parquet.bloom-filter-fpp.column.");
    double ratio = BLOOM_RATIO_DEFAULT;
    for (size_t i = 0; i < metadata->property_count; i++) {
        struct slice key = metadata->properties[i].key;
        double said;
        if (slice_starts_with(key, prefix) && slice_equal(behind(key, prefix), column) &&
            parse_ratio(metadata->properties[i].value, &said)) {
            ratio = said;
        }
    }
    return ratio;
}

static struct bloom bloom_of(const struct iceberg_metadata *metadata)
{
    struct slice prefix = SLICE("write.parquet.bloom-filter-enabled.column.");
    struct bloom bloom = {.ratio = 1};
    for (size_t i = 0; i < metadata->property_count; i++) {
        struct slice key = metadata->properties[i].key;
        if (!slice_starts_with(key, prefix)) {
            continue;
        }
        bool is_true = slice_equal_fold(metadata->properties[i].value, SLICE("true"));
        bloom.is_refused =
            bloom.is_refused || slice_equal_fold(metadata->properties[i].value, SLICE("false"));
        if (is_true) {
            double ratio = ratio_of(metadata, behind(key, prefix));
            bloom.is_wanted = true;
            bloom.ratio = ratio < bloom.ratio ? ratio : bloom.ratio;
        }
    }
    bloom.is_refused = bloom.is_refused && !bloom.is_wanted;
    return bloom;
}

/* The engine writes a filter for each column that has a dictionary: with one for as many values as
 * a filter of the size allowed takes, whatever column is meant has one. Its size is a power of two
 * at most twice what it needs. */
static void print_bloom(const struct lake_write *write, uint64_t rows, struct buf *out)
{
    struct bloom bloom = bloom_of(write->metadata);
    if (bloom.is_refused) {
        buf_append_str(out, ", WRITE_BLOOM_FILTER false");
        return;
    }
    if (!bloom.is_wanted) {
        return;
    }
    double bits = -8.0 / log(1.0 - pow(bloom.ratio, 1.0 / 8.0)); /* a value's */
    uint64_t bytes = number_or(write->metadata, "write.parquet.bloom-filter-max-bytes",
                               BLOOM_BYTES_MIN, BLOOM_BYTES_MAX, BLOOM_BYTES_DEFAULT);
    uint64_t whole = BLOOM_BYTES_MIN;
    while (whole * 2 <= bytes) {
        whole *= 2;
    }
    uint64_t values = (uint64_t)((double)whole * 8.0 / bits);
    values = values < 1 ? 1 : values > rows ? rows : values;
    buf_printf(out,
               ", WRITE_BLOOM_FILTER true, BLOOM_FILTER_FALSE_POSITIVE_RATIO %.9f, "
               "DICTIONARY_SIZE_LIMIT %llu",
               bloom.ratio, (unsigned long long)values);
}

/* ---- all of them ---- */

static const char *codec_of(const struct iceberg_metadata *metadata)
{
    static const struct {
        const char *written;
        const char *own;
    } codecs[] = {{"zstd", "zstd"},         {"gzip", "gzip"},
                  {"snappy", "snappy"},     {"lz4", "lz4_raw"},
                  {"lz4_raw", "lz4_raw"},   {"brotli", "brotli"},
                  {"none", "uncompressed"}, {"uncompressed", "uncompressed"}};
    struct slice name = iceberg_metadata_property(metadata, "write.parquet.compression-codec");
    for (size_t i = 0; i < ARRAY_COUNT(codecs); i++) {
        if (slice_equal_fold(name, slice_of(codecs[i].written))) {
            return codecs[i].own;
        }
    }
    return "zstd";
}

/* The engine has levels of zstd only. */
static void print_codec(const struct lake_write *write, struct buf *out)
{
    const char *codec = codec_of(write->metadata);
    uint64_t level = number_or(write->metadata, "write.parquet.compression-level", 1, LEVEL_MAX, 0);
    buf_printf(out, ", COMPRESSION %s", codec);
    if (level > 0 && strcmp(codec, "zstd") == 0) {
        buf_printf(out, ", COMPRESSION_LEVEL %llu", (unsigned long long)level);
    }
}

static void print_ids(const struct lake_write *write, struct buf *out)
{
    bool is_first = true;
    buf_append_str(out, ", FIELD_IDS {");
    for (size_t i = 0; i < write->schema->root.field_count; i++) {
        const struct iceberg_field *field = &write->schema->root.fields[i];
        if (lake_write_keeps(field)) {
            buf_append_str(out, is_first ? "" : ", ");
            lake__write_field_id(field->name, field, out);
            is_first = false;
        }
    }
    /* The specification's ids of metadata columns. */
    buf_append_str(out, write->keeps_lineage ? ", _row_id: 2147483540, "
                                               "_last_updated_sequence_number: 2147483539"
                                             : "");
    buf_append_char(out, '}');
}

static size_t partition_columns(const struct lake_write *write)
{
    size_t count = 0;
    for (size_t i = 0; i < write->spec->field_count; i++) {
        count += write->spec->fields[i].transform.kind != TRANSFORM_VOID ? 1 : 0;
    }
    return count;
}

/* Of rows that come in no order, where the engine has a file open for each partition. */
static void print_partitions(const struct lake_write *write, struct buf *out)
{
    const char *comma = "";
    buf_append_str(out, ", FILENAME_PATTERN 'f{i}', HIVE_FILE_PATTERN false, PARTITION_BY (");
    for (size_t i = 0; i < write->spec->field_count; i++) {
        if (write->spec->fields[i].transform.kind != TRANSFORM_VOID) {
            buf_printf(out, "%s__moat_p%zu", comma, i);
            comma = ", ";
        }
    }
    buf_append_char(out, ')');
}

/* Of rows that come by partition. A file ends with a row group: groups are as small as it. */
static void print_sorted(const struct lake_write *write, uint64_t rows, struct buf *out)
{
    uint64_t file_rows = lake__write_file_rows(write);
    buf_printf(out, ", WRITE_EMPTY_FILE false, PARTITION_COLUMNS %zu, FILE_BYTES %llu",
               partition_columns(write), (unsigned long long)target_bytes(write));
    if (file_rows < rows) {
        buf_printf(out, ", FILE_ROWS %llu", (unsigned long long)file_rows);
    }
}

/* What the file says of geometries and geographies (engine/duckdb/geo.hpp), in order. */
static void print_geo(const struct iceberg_type *type, size_t *count, struct buf *out)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        bool is_geography = field->type.id == ICEBERG_GEOGRAPHY;
        print_geo(&field->type, count, out);
        if (field->type.id != ICEBERG_GEOMETRY && !is_geography) {
            continue;
        }
        buf_printf(out, "%sg%zu: {id: %d, crs: ", *count == 0 ? ", GEO_COLUMNS {" : ", ", *count,
                   field->id);
        sql_quote_string(out, field->type.crs);
        buf_append_str(out, ", edges: ");
        sql_quote_string(out, !is_geography                   ? SLICE("planar")
                              : field->type.algorithm.len > 0 ? field->type.algorithm
                                                              : SLICE("spherical"));
        buf_append_char(out, '}');
        *count += 1;
    }
}

static void print_instants(const struct iceberg_type *type, const char **before, struct buf *out)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (field->type.id == ICEBERG_TIMESTAMPTZ_NS) {
            buf_printf(out, "%s%d", *before, field->id);
            *before = ", ";
        }
        print_instants(&field->type, before, out);
    }
}

void lake__write_options(const struct lake_write *write, struct buf *out)
{
    uint64_t rows = group_rows(write);
    bool is_ours = lake__write_is_ours(write);
    buf_printf(out, " (FORMAT %s", is_ours ? "moat_files" : "parquet");
    print_codec(write, out);
    /* Geometries by Parquet's own type, not by GeoParquet's metadata. */
    buf_append_str(out, ", RETURN_STATS true, GEOPARQUET_VERSION 'NONE'");
    print_ids(write, out);
    print_bloom(write, rows > 0 ? rows : GROUP_ROWS_DEFAULT, out);
    if (rows > 0) {
        buf_printf(out, ", ROW_GROUP_SIZE %llu", (unsigned long long)rows);
    }
    if (lake__write_is_shredded(write)) {
        buf_printf(out, ", SHRED_ROWS %llu",
                   (unsigned long long)number_or(write->metadata,
                                                 "write.parquet.variant-inference-buffer-size", 1,
                                                 GROUP_ROWS_DEFAULT, SHRED_ROWS_DEFAULT));
    }
    size_t geo_count = 0;
    print_geo(&write->schema->root, &geo_count, out);
    buf_append_str(out, geo_count > 0 ? "}" : "");
    if (lake__write_has_instants(&write->schema->root)) {
        const char *before = ", INSTANT_FIELDS (";
        print_instants(&write->schema->root, &before, out);
        buf_append_char(out, ')');
    }
    if (is_ours) {
        print_sorted(write, rows > 0 ? rows : GROUP_ROWS_DEFAULT, out);
    } else if (lake__write_is_partitioned(write)) {
        print_partitions(write, out);
    } else {
        buf_printf(out, ", FILENAME_PATTERN 'f{i}', WRITE_EMPTY_FILE false, FILE_SIZE_BYTES %llu",
                   (unsigned long long)target_bytes(write));
    }
    buf_append_char(out, ')');
}
