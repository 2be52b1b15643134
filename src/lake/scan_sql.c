/* The FROM item of a table: text that depends on the table alone. */
#include "lake/lake_int.h"
#include "sql/scan.h"

static const char *const virtual_columns[] = {
    "_file", "_pos", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number"};

size_t lake_scan_count(const struct lake_source *table)
{
    return table->equality_count == 0 ? 1 : 2 + table->equality_count;
}

static bool has_column(const struct lake_source *table, struct slice name)
{
    for (size_t i = 0; i < table->from.schema->root.field_count; i++) {
        if (slice_equal_fold(table->from.schema->root.fields[i].name, name)) {
            return true;
        }
    }
    return false;
}

struct writer {
    const struct lake_source *table;
    bool has_partition;
    lake_uri_fn uri;
    void *context;
    struct buf *out;
};

static void write_scan(const struct writer *w, size_t index)
{
    struct buf uri CLEANUP(buf_fini) = {0};
    w->uri(w->context, index, &uri);
    buf_append_str(w->out, "moat_scan(");
    sql_quote_string(w->out, buf_slice(&uri));
    buf_append_char(w->out, ')');
    w->out->failed = w->out->failed || buf_failed(&uri);
}

static void write_columns(const struct writer *w)
{
    const struct iceberg_type *root = &w->table->from.schema->root;
    bool is_first = true;
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_type_is_readable(&root->fields[i].type)) {
            buf_append_str(w->out, is_first ? "t." : ", t.");
            sql_quote_name(w->out, root->fields[i].name);
            is_first = false;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(virtual_columns); i++) {
        bool is_there =
            !slice_equal(slice_of(virtual_columns[i]), SLICE("_partition")) || w->has_partition;
        if (!has_column(w->table, slice_of(virtual_columns[i]))) {
            buf_printf(w->out, "%s%s\"%s\"", is_first ? "" : ", ",
                       is_there ? "t." : "CAST(NULL AS INTEGER) AS ", virtual_columns[i]);
            is_first = false;
        }
    }
}

/* Iceberg's Java library compares keys as Float.compare does: all NaNs are one, as in the engine,
 * but -0.0 and 0.0 are two. So beside a number with a fraction stands whether it is -0.0. */
static bool has_two_zeros(const struct lake_source *table, int32_t id)
{
    const struct iceberg_field *field = iceberg_schema_find_id(table->from.schema, id, NULL);
    field = field != NULL ? field : iceberg_metadata_field(table->from.metadata, id);
    ASSERT(field != NULL); /* looked at when the table was opened */
    return field->type.id == ICEBERG_FLOAT || field->type.id == ICEBERG_DOUBLE;
}

static void write_is_minus_zero(const struct writer *w, const char *of, int32_t id)
{
    buf_printf(w->out, "(%s.\"__moat_e%d\" = 0 AND signbit(%s.\"__moat_e%d\"))", of, id, of, id);
}

/* Of the deletes of one key only the last counts: so a row meets at most one, and the join has
 * equalities only. */
static void write_join(const struct writer *w, size_t index)
{
    const struct lake_equality *set = &w->table->equality[index];
    buf_append_str(w->out, " LEFT JOIN (SELECT max(d.\"__moat_sequence\") AS s");
    for (size_t i = 0; i < set->field_count; i++) {
        buf_printf(w->out, ", d.\"__moat_e%d\"", set->field_ids[i]);
        if (has_two_zeros(w->table, set->field_ids[i])) {
            buf_append_str(w->out, ", ");
            write_is_minus_zero(w, "d", set->field_ids[i]);
            buf_printf(w->out, " AS z%d", set->field_ids[i]);
        }
    }
    buf_append_str(w->out, set->is_global ? " FROM " : ", d.\"__moat_group\" AS g FROM ");
    write_scan(w, 2 + index);
    buf_printf(w->out, " AS d GROUP BY ALL) AS e%zu ON ", index);
    for (size_t i = 0; i < set->field_count; i++) {
        buf_printf(w->out, "%se%zu.\"__moat_e%d\" IS NOT DISTINCT FROM t.\"__moat_e%d\"",
                   i == 0 ? "" : " AND ", index, set->field_ids[i], set->field_ids[i]);
        if (has_two_zeros(w->table, set->field_ids[i])) {
            buf_printf(w->out, " AND e%zu.z%d IS NOT DISTINCT FROM ", index, set->field_ids[i]);
            write_is_minus_zero(w, "t", set->field_ids[i]);
        }
    }
    if (!set->is_global) {
        buf_printf(w->out, " AND e%zu.g = t.\"__moat_group\"", index);
    }
}

enum err lake_scan_sql(const struct lake_source *table, lake_uri_fn uri, void *context,
                       struct buf *out, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "scan text", 0);
    struct lake_partition partition;
    if (scratch == NULL) {
        return errinfo_nomem(info);
    }
    TRY(lake__partition(table, scratch, &partition, info));
    struct writer w = {table, partition.type.len > 0, uri, context, out};
    if (table->equality_count == 0) {
        write_scan(&w, 0);
        return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
    }
    buf_append_str(out, "(SELECT ");
    write_columns(&w);
    buf_append_str(out, " FROM ");
    write_scan(&w, 0);
    buf_append_str(out, " AS t UNION ALL SELECT ");
    write_columns(&w);
    buf_append_str(out, " FROM ");
    write_scan(&w, 1);
    buf_append_str(out, " AS t");
    for (size_t i = 0; i < table->equality_count; i++) {
        write_join(&w, i);
    }
    buf_append_str(out, " WHERE ");
    for (size_t i = 0; i < table->equality_count; i++) {
        buf_printf(out, "%s(e%zu.s IS NULL OR e%zu.s <= t.\"__moat_sequence\")",
                   i == 0 ? "" : " AND ", i, i);
    }
    buf_append_char(out, ')');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
