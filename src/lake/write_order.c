/* Rows in the table's order: the engine sorts them (and spills), by partition first, so that at
 * most one file at a time is written to, and writes them in that order (engine/duckdb/files.cpp).
 *
 * Files say that they are sorted only where that is certain (sort_order_id): two zeros of different
 * sign are equal to the engine. */
#include "lake/write.h"

#include "lake/lake_int.h"

static bool can_sort(const struct lake_write *write, const struct iceberg_sort_field *field)
{
    return field->transform.kind != TRANSFORM_OTHER && field->source_count == 1 &&
           iceberg_schema_find_id(write->schema, field->source_ids[0], NULL) != NULL;
}

const struct iceberg_sort_order *lake_write_order(const struct lake_write *write)
{
    const struct iceberg_metadata *metadata = write->metadata;
    const struct iceberg_sort_order *found = NULL;
    for (size_t i = 0; i < metadata->sort_order_count; i++) {
        const struct iceberg_sort_order *order = &metadata->sort_orders[i];
        found = order->id == metadata->default_sort_order_id ? order : found;
    }
    found = write->order != NULL ? write->order : found;
    bool is_none = found == NULL || found->field_count == 0;
    for (size_t i = 0; !is_none && i < found->field_count; i++) {
        is_none = !can_sort(write, &found->fields[i]);
    }
    return is_none ? NULL : found;
}

static void print_key(const struct lake_write *write, const struct iceberg_sort_field *field,
                      struct buf *out)
{
    struct buf source CLEANUP(buf_fini) = {0};
    const struct iceberg_field *column =
        iceberg_schema_find_id(write->schema, field->source_ids[0], NULL);
    lake__write_source(write, field->source_ids[0], &source);
    if (field->transform.kind == TRANSFORM_IDENTITY) {
        buf_append_slice(out, buf_slice(&source)); /* not as the number that partitions go by */
    } else {
        lake__write_transform(&field->transform, &column->type, buf_cstr(&source), out);
    }
    buf_printf(out, " %s NULLS %s", field->is_descending ? "DESC" : "ASC",
               field->is_nulls_last ? "LAST" : "FIRST");
    out->failed = out->failed || buf_failed(&source);
}

bool lake__write_is_shredded(const struct lake_write *write)
{
    return lake_write_has_variant(write->schema) &&
           slice_equal_fold(
               iceberg_metadata_property(write->metadata, "write.parquet.shred-variants"),
               SLICE("true"));
}

bool lake__write_has_instants(const struct iceberg_type *type)
{
    bool has_any = type->id == ICEBERG_TIMESTAMPTZ_NS;
    for (size_t i = 0; i < type->field_count && !has_any; i++) {
        has_any = lake__write_has_instants(&type->fields[i].type);
    }
    return has_any;
}

bool lake__write_has_geo(const struct iceberg_type *type)
{
    bool has_any = type->id == ICEBERG_GEOMETRY || type->id == ICEBERG_GEOGRAPHY;
    for (size_t i = 0; i < type->field_count && !has_any; i++) {
        has_any = lake__write_has_geo(&type->fields[i].type);
    }
    return has_any;
}

/* Whether only the writer of ours can: it shreds, looks at shapes, says what edges they have and of
 * which system they are, and of nanoseconds that they are of UTC. */
static bool needs_ours(const struct lake_write *write)
{
    return lake__write_is_shredded(write) || lake__write_has_geo(&write->schema->root) ||
           lake__write_has_instants(&write->schema->root);
}

/* By partition, so that each has its rows in a row: an order asks for it, or the table
 * (write.distribution-mode), or the writer. */
static bool is_clustered(const struct lake_write *write)
{
    struct slice mode = iceberg_metadata_property(write->metadata, "write.distribution-mode");
    bool is_asked = slice_equal_fold(mode, SLICE("hash")) || slice_equal_fold(mode, SLICE("range"));
    return lake__write_is_partitioned(write) &&
           (is_asked || write->curve_count > 0 || lake_write_order(write) != NULL ||
            needs_ours(write));
}

bool lake__write_is_sorted(const struct lake_write *write)
{
    return write->curve_count > 0 || lake_write_order(write) != NULL || is_clustered(write);
}

bool lake__write_is_ours(const struct lake_write *write)
{
    return lake__write_is_sorted(write) || needs_ours(write);
}

/* ---- a space-filling curve ---- */

static unsigned curve_bits(const struct lake_write *write)
{
    size_t bits = 64 / write->curve_count;
    return bits < 16 ? (unsigned)bits : 16;
}

/* Where a row is among all by each column, so that columns of whatever type and distribution count
 * the same. */
void lake__write_ranks(const struct lake_write *write, struct buf *out)
{
    for (size_t i = 0; i < write->curve_count; i++) {
        buf_append_str(out, ", CAST(percent_rank() OVER (ORDER BY ");
        lake__write_source(write, write->curve_ids[i], out);
        buf_printf(out, " NULLS FIRST) * %u AS UBIGINT) AS __moat_z%zu",
                   (1u << curve_bits(write)) - 1, i);
    }
}

/* Z-order: the ranks' bits in turns, the highest first. */
static void print_curve(const struct lake_write *write, struct buf *out)
{
    size_t count = write->curve_count;
    for (unsigned bit = 0; bit < curve_bits(write); bit++) {
        for (size_t i = 0; i < count; i++) {
            buf_printf(out, "%s(((__moat_z%zu >> %u) & 1) << %zu)", bit + i == 0 ? "" : " | ", i,
                       bit, bit * count + (count - 1 - i));
        }
    }
}

/* ---- around the rows ---- */

void lake__write_order_before(const struct lake_write *write, struct buf *out)
{
    if (write->curve_count > 0) {
        buf_append_str(out, "SELECT * EXCLUDE (__moat_z0");
        for (size_t i = 1; i < write->curve_count; i++) {
            buf_printf(out, ", __moat_z%zu", i);
        }
        buf_append_str(out, ") FROM (");
    }
}

void lake__write_order_after(const struct lake_write *write, struct buf *out)
{
    const char *comma = "";
    if (!lake__write_is_sorted(write)) {
        return;
    }
    buf_append_str(out, write->curve_count > 0 ? ") ORDER BY " : " ORDER BY ");
    for (size_t i = 0; i < write->spec->field_count; i++) {
        if (write->spec->fields[i].transform.kind != TRANSFORM_VOID) {
            buf_printf(out, "%s__moat_p%zu", comma, i);
            comma = ", ";
        }
    }
    const struct iceberg_sort_order *order = lake_write_order(write);
    for (size_t i = 0; write->curve_count == 0 && order != NULL && i < order->field_count; i++) {
        buf_append_str(out, comma);
        print_key(write, &order->fields[i], out);
        comma = ", ";
    }
    if (write->curve_count > 0) {
        buf_append_str(out, comma);
        print_curve(write, out);
    }
}

void lake_write_note_order(const struct lake_write *write, struct lake_written_list *list)
{
    const struct iceberg_sort_order *order = lake_write_order(write);
    bool is_certain = order != NULL && write->order == NULL && write->curve_count == 0;
    for (size_t i = 0; is_certain && i < order->field_count; i++) {
        const struct iceberg_field *column =
            iceberg_schema_find_id(write->schema, order->fields[i].source_ids[0], NULL);
        is_certain = column->type.id != ICEBERG_FLOAT && column->type.id != ICEBERG_DOUBLE;
    }
    for (size_t i = 0; i < list->count; i++) {
        list->files[i].file.sort_order_id = is_certain ? order->id : 0;
    }
}
