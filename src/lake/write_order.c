/* Rows in the table's order: the engine sorts them (and spills), by partition first, so that at
 * most one file at a time is written to. What is behind the sort must not run in several threads,
 * which would take its rows in turns: a running number over all of them cannot, and a condition on
 * it keeps the number alive.
 *
 * Files say that they are sorted only where that is certain (sort_order_id): where a partition
 * begins, the engine holds some dozens of rows back and appends them out of turn, and two zeros of
 * different sign are equal to it. */
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

void lake__write_order_before(const struct lake_write *write, struct buf *out)
{
    if (lake_write_order(write) != NULL) {
        buf_append_str(out, "SELECT * EXCLUDE (__moat_n) FROM (SELECT *, row_number() OVER () AS "
                            "__moat_n FROM (");
    }
}

void lake__write_order_after(const struct lake_write *write, struct buf *out)
{
    const struct iceberg_sort_order *order = lake_write_order(write);
    if (order == NULL) {
        return;
    }
    buf_append_str(out, " ORDER BY ");
    for (size_t i = 0; i < write->spec->field_count; i++) {
        if (write->spec->fields[i].transform.kind != TRANSFORM_VOID) {
            buf_printf(out, "__moat_p%zu, ", i);
        }
    }
    for (size_t i = 0; i < order->field_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        print_key(write, &order->fields[i], out);
    }
    buf_append_str(out, ")) WHERE __moat_n > 0");
}

void lake_write_note_order(const struct lake_write *write, struct lake_written_list *list)
{
    const struct iceberg_sort_order *order = lake_write_order(write);
    bool is_certain = order != NULL && !lake__write_is_partitioned(write);
    for (size_t i = 0; is_certain && i < order->field_count; i++) {
        const struct iceberg_field *column =
            iceberg_schema_find_id(write->schema, order->fields[i].source_ids[0], NULL);
        is_certain = column->type.id != ICEBERG_FLOAT && column->type.id != ICEBERG_DOUBLE;
    }
    for (size_t i = 0; i < list->count; i++) {
        list->files[i].file.sort_order_id = is_certain ? order->id : 0;
    }
}
