/* What EXPLAIN says of planning the scans of a lake's tables.
 *
 * Counts of files and rows tell of all rows of a table: of how many there are, and through a
 * condition of which values; bytes and equality deletes tell of all columns. So they are for those
 * who see everything of every table in the statement; one table that a policy binds withholds the
 * counts of all, since what a join learnt from its hidden rows chooses files of the others. */
#include "base/buf.h"
#include "query/lake/lake_int.h"

static void add_count(struct buf *out, const char *lead, uint64_t count, const char *what)
{
    buf_printf(out, "%s%llu %s%s", lead, (unsigned long long)count, what, count == 1 ? "" : "s");
}

static void add_manifests(const struct iceberg_scan_counts *plan, struct buf *out)
{
    uint64_t read = plan->manifests_total - plan->manifests_skipped;
    add_count(out, "  ", plan->manifests_total, "manifest");
    buf_printf(out, ": %llu skipped, %llu read", (unsigned long long)plan->manifests_skipped,
               (unsigned long long)read);
    if (plan->delete_manifests_total > 0) {
        add_count(out, "; ", plan->delete_manifests_total, "delete manifest");
        buf_printf(out, ": %llu skipped", (unsigned long long)plan->delete_manifests_skipped);
    }
    buf_append_char(out, '\n');
}

static void add_files(const struct iceberg_scan_counts *plan, struct buf *out)
{
    add_count(out, "  ", plan->files_total, "file");
    buf_printf(out, ": %llu skipped by partition, %llu by bounds, %llu matched",
               (unsigned long long)plan->files_skipped_by_partition,
               (unsigned long long)plan->files_skipped_by_metrics,
               (unsigned long long)plan->files_matched);
    add_count(out, " (", plan->rows_matched, "row");
    add_count(out, ", ", plan->bytes_matched, "byte");
    buf_append_str(out, ")\n");
}

static void add_deletes(const struct lake_scan_counts *work, struct buf *out)
{
    if (work->position_delete_files + work->deletion_vectors + work->equality_delete_files == 0) {
        return;
    }
    add_count(out, "  deletes: ", work->position_delete_files, "position delete file");
    add_count(out, ", ", work->deletion_vectors, "deletion vector");
    add_count(out, ", ", work->equality_delete_files, "equality delete file");
    buf_append_char(out, '\n');
}

bool lake_may_explain(const struct plan *plan)
{
    for (size_t i = 0; i < plan->table_count; i++) {
        if (plan->tables[i].is_narrowed && plan->tables[i].relation->lake != NULL) {
            return false;
        }
    }
    return !plan->is_bound;
}

void lake_explain(const struct plan *plan, const struct access *access, bool has_run,
                  struct buf *out)
{
    for (size_t i = 0; lake_may_explain(plan) && i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        if (table->relation->lake == NULL || table->relation->kind != RELATION_TABLE ||
            table->is_mentioned_before) {
            continue;
        }
        struct lake_scan_counts work = access_lake_work(access, table->scan);
        buf_printf(out, "Scan %.*s%s\n", SLICE_ARGS(table->audit.name),
                   work.is_planned ? "" : ": no file is needed");
        if (work.is_planned) {
            add_manifests(&work.plan, out);
            add_files(&work.plan, out);
            add_deletes(&work, out);
        }
        if (has_run) {
            add_count(out, "  opened: ", work.files_opened, "file");
            add_count(out, ", ", work.bytes_read, "byte");
            buf_append_str(out, " read\n");
        }
    }
}
