/* What catalogs are told of a statement that has ended (catalog/rest/report.h). */
#include "catalog/rest/report.h"

#include "query/lake/lake_int.h"
#include "query/plan/access_int.h"
#include "query/plan/plan_int.h"
#include "query/query_int.h"

static const struct iceberg_field *find_column(const struct iceberg_schema *schema,
                                               struct slice name)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        if (slice_equal_fold(schema->root.fields[i].name, name)) {
            return &schema->root.fields[i];
        }
    }
    return NULL;
}

static bool read_fields(const struct lake_table *lake, const struct audit_table *audit,
                        struct arena *arena, struct rest_scan_report *report)
{
    int32_t *ids = arena_calloc(arena, audit->column_count + 1, sizeof(*ids));
    struct slice *names = arena_calloc(arena, audit->column_count + 1, sizeof(*names));
    if (ids == NULL || names == NULL) {
        return false;
    }
    for (size_t i = 0; i < audit->column_count; i++) {
        const struct iceberg_field *field = find_column(lake->schema, audit->columns[i]);
        if (field != NULL) {
            ids[report->field_count] = field->id;
            names[report->field_count++] = field->name;
        }
    }
    report->field_ids = ids;
    report->field_names = names;
    return true;
}

static void report_scan(const struct query *query, const struct plan_table *table,
                        struct arena *arena)
{
    const struct lake_table *lake = table->relation->lake;
    struct lake_scan_counts counts = access_lake_work(query->access, table->scan);
    if (!counts.is_planned || lake->snapshot == NULL) {
        return;
    }
    struct rest_scan_report report = {
        .snapshot_id = lake->snapshot->id,
        .schema_id = lake->schema->id,
        .data_files = counts.plan.files_matched,
        .data_bytes = counts.plan.bytes_matched,
        .delete_files = counts.plan.delete_files_matched,
        .equality_delete_files = counts.equality_delete_files,
        .position_delete_files = counts.position_delete_files,
        .vectors = counts.deletion_vectors,
        .manifests = counts.plan.manifests_total,
        .manifests_skipped = counts.plan.manifests_skipped,
        .delete_manifests = counts.plan.delete_manifests_total,
        .delete_manifests_skipped = counts.plan.delete_manifests_skipped,
        .files_skipped =
            counts.plan.files_skipped_by_partition + counts.plan.files_skipped_by_metrics,
    };
    struct catalog_iceberg catalog = lake->attached->catalog;
    catalog.remote.request_id = slice_of(query->id); /* the plan may be an earlier statement's */
    if (read_fields(lake, &table->audit, arena, &report)) {
        catalog_iceberg_report_scan(&catalog, query->session->who, &lake->loaded.name, &report);
    }
}

void lake_report_scans(const struct query *query)
{
    const struct plan *plan = query->plan;
    struct arena *arena CLEANUP(arena_cleanup) = NULL;
    for (size_t i = 0; plan != NULL && query->access != NULL && i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        if (table->relation->lake == NULL || table->relation->kind != RELATION_TABLE ||
            table->is_mentioned_before) {
            continue;
        }
        arena = arena == NULL ? arena_new(NULL, "report", 0) : arena;
        if (arena != NULL) {
            report_scan(query, table, arena);
        }
    }
}
