/* Writers from whom some of the table is hidden.
 *
 * What they may not see they may not write: a new row must be one that the policy would show them,
 * and only columns that it shows raw get values. Their rows are staged first (dml_stage.c) and
 * looked at there, under the very filter that reading has, before any file of the table is made. So
 * what is refused leaves nothing, and what is said of it names no value. */
#include "query/dml/dml_change_int.h"

#include "base/hash.h"
#include "query/plan/plan_int.h"
#include "query/plan/policy_int.h"
#include "sql/scan.h"

const struct policy_column *dml_cell(const struct dml *dml, size_t index)
{
    uint32_t id = (uint32_t)dml->write.schema->root.fields[index].id;
    for (size_t i = 0; i < dml->effective.column_count; i++) {
        if (dml->effective.columns[i].column->id == id) {
            return &dml->effective.columns[i];
        }
    }
    return NULL;
}

bool dml_is_hidden(const struct dml *dml, size_t index)
{
    return dml->is_partial && dml_cell(dml, index) == NULL;
}

bool dml_is_masked(const struct dml *dml, size_t index)
{
    const struct policy_column *cell = dml->is_partial ? dml_cell(dml, index) : NULL;
    return cell != NULL && !cell->is_raw;
}

enum err dml_refuse_masked(const struct dml *dml, size_t index, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "permission denied to give column \"%.*s\" of table \"%.*s\" a value: it is "
                      "masked",
                      SLICE_ARGS(dml->write.schema->root.fields[index].name),
                      SLICE_ARGS(dml->name));
    errinfo_hint(info, "A new row may leave it out, or give it NULL or DEFAULT.");
    return ERR_DENIED;
}

enum err dml_check_insertable(const struct dml *dml, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    for (size_t i = 0; dml->is_partial && i < root->field_count; i++) {
        const struct iceberg_field *field = &root->fields[i];
        if (field->is_required && field->write_default == NULL && dml_is_hidden(dml, i)) {
            (void)errinfo_set(info, ERR_DENIED, NULL,
                              "permission denied to add rows to table \"%.*s\": they would lack "
                              "values that are hidden from you",
                              SLICE_ARGS(dml->name));
            return ERR_DENIED;
        }
    }
    return ERR_OK;
}

/* ---- rows that change ---- */

static enum err new_name(struct dml *dml, const char *what, struct slice *ret_name,
                         struct errinfo *info)
{
    char uuid[UUID_TEXT_BYTES];
    if (uuid_new(uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    char *name = arena_printf(dml->query->arena, "moat %s %s", what, uuid);
    if (name == NULL) {
        return errinfo_nomem(info);
    }
    *ret_name = slice_of(name);
    return ERR_OK;
}

enum err dml_name_rows(struct dml *dml, const struct statement *statement, struct errinfo *info)
{
    dml->target = (struct plan_target){.name = statement->name,
                                       .alias = dml_alias(statement),
                                       .file = SLICE("_file"),
                                       .pos = SLICE("_pos"),
                                       .row = SLICE("_row_id")};
    dml->kept_file = SLICE("m_file");
    dml->kept_pos = SLICE("m_pos");
    dml->kept_row = SLICE("m_row");
    if (!dml->is_partial) {
        return ERR_OK;
    }
    TRY(new_name(dml, "table", &dml->target.table, info));
    TRY(new_name(dml, "file", &dml->target.file, info));
    TRY(new_name(dml, "pos", &dml->target.pos, info));
    TRY(new_name(dml, "row", &dml->target.row, info));
    dml->kept_file = dml->target.file; /* conditions could say another name of them too */
    dml->kept_pos = dml->target.pos;
    dml->kept_row = dml->target.row;
    return ERR_OK;
}

void dml_print_target(const struct dml *dml, const struct statement *statement, struct buf *out)
{
    if (dml->is_partial) {
        sql_quote_name(out, dml->target.table);
    } else {
        dml_print_name(statement, out);
    }
    /* Without an alias, columns may be written with all of the table's name before them. */
    if (dml->is_partial || statement->alias.len > 0) {
        buf_append_str(out, " AS ");
        sql_quote_name(out, dml_alias(statement));
    }
}

enum err dml_print_seen(const struct dml *dml, struct slice alias, size_t index, struct buf *out,
                        struct errinfo *info)
{
    const struct iceberg_field *field = &dml->write.schema->root.fields[index];
    if (dml_is_hidden(dml, index)) {
        buf_append_str(out, "CAST(NULL AS ");
        TRY(lake_type_print(&field->type, field->name, out, info));
        buf_append_char(out, ')');
        return ERR_OK;
    }
    sql_quote_name(out, alias);
    buf_append_char(out, '.');
    sql_quote_name(out, field->name);
    return ERR_OK;
}

enum err dml_plan_rows(struct dml *dml, struct slice text, struct plan **ret_plan,
                       struct errinfo *info)
{
    struct query *query = dml->query;
    struct session *session = query->session;
    if (!dml->is_partial) {
        return plan_build(session, query, text, ret_plan, info);
    }
    session->target = &dml->target;
    enum err err = plan_build_new(session, query, text, ret_plan, info);
    session->target = NULL;
    return err;
}

void dml_print_stored(const struct dml *dml, struct buf *out)
{
    struct buf name CLEANUP(buf_fini) = {0};
    sql_quote_name(out, dml->catalog.name);
    buf_append_char(out, '.');
    sql_quote_name(out, dml->ns);
    buf_append_char(out, '.');
    buf_append_slice(&name, dml->name);
    buf_append_str(&name, dml->branch.len > 0 ? "$branch_" : "");
    buf_append_slice(&name, dml->branch);
    sql_quote_name(out, buf_slice(&name));
    out->failed = out->failed || buf_failed(&name);
}

/* "__moat_c7" of the filter. */
static bool filter_reads(const struct dml *dml, uint32_t id)
{
    static const char prefix[] = "__moat_c";
    struct slice filter = dml->effective.filter;
    for (size_t i = 0; i + strlen(prefix) < filter.len; i++) {
        uint64_t found = 0;
        size_t at = i + strlen(prefix);
        if (memcmp(filter.ptr + i, prefix, strlen(prefix)) != 0) {
            continue;
        }
        for (; at < filter.len && filter.ptr[at] >= '0' && filter.ptr[at] <= '9'; at++) {
            found = found * 10 + (uint64_t)(filter.ptr[at] - '0');
        }
        if (found == id) {
            return true;
        }
    }
    return false;
}

enum err dml_check_assigned(const struct dml *dml, const bool *is_assigned, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    bool reads_hidden = false, gives = false;
    for (size_t i = 0; dml->is_partial && i < root->field_count; i++) {
        bool is_read = filter_reads(dml, (uint32_t)root->fields[i].id);
        gives = gives || (is_read && is_assigned[i]);
        reads_hidden =
            reads_hidden || (is_read && (dml_is_hidden(dml, i) || dml_is_masked(dml, i)));
    }
    if (!reads_hidden || !gives) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "permission denied to change columns of table \"%.*s\" that decide, beside "
                      "what is hidden from you, which rows you see",
                      SLICE_ARGS(dml->name));
    return ERR_DENIED;
}

static void print_kinds(const bool *const *clauses, size_t count, size_t field, struct buf *out)
{
    buf_printf(out, "(%d", (int)DML_INSERTED);
    for (size_t i = 0; i < count; i++) {
        if (clauses[i] != NULL && clauses[i][field]) {
            buf_printf(out, ", %zu", (size_t)DML_UPDATED_BY + i);
        }
    }
    buf_append_char(out, ')');
}

static enum err print_complete(const struct dml *dml, const bool *const *clauses, size_t count,
                               struct buf *out)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    buf_append_str(out, "SELECT s.m_file, s.m_pos, s.m_kind, s.m_row");
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(out, ", CASE WHEN s.m_kind IN ");
            print_kinds(clauses, count, i, out);
            buf_printf(out, " THEN s.c%zu ELSE r.", i);
            sql_quote_name(out, root->fields[i].name);
            buf_printf(out, " END AS c%zu", i);
        }
    }
    buf_append_str(out, " FROM " DML_STAGE " AS s LEFT JOIN ");
    dml_print_stored(dml, out);
    buf_append_str(out, " AS r ON r._file = s.m_file AND r._pos = s.m_pos");
    return buf_failed(out) ? ERR_NOMEM : ERR_OK;
}

enum err dml_complete(struct dml *dml, struct temp_table *rows, const bool *const *clauses,
                      size_t count, struct temp_table **ret_rows, struct errinfo *info)
{
    struct session *session = dml->query->session;
    struct buf text CLEANUP(buf_fini) = {0};
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    if (!dml->is_partial || clauses == NULL || temp_table_rows(rows) == 0) {
        *ret_rows = temp_table_ref(rows);
        return ERR_OK;
    }
    if (print_complete(dml, clauses, count, &text) != ERR_OK) {
        return errinfo_nomem(info);
    }
    session->raw_uuid = dml->uuid;
    enum err err = dml_plan_staged(session, rows, buf_slice(&text), &plan, info);
    session->raw_uuid = (struct slice){"", 0};
    TRY(err);
    TRY(dml_check_plan(dml, plan, info));
    return dml_stage_plan(dml, plan, ret_rows, info);
}

/* ---- what is staged ---- */

static enum err pull_count(struct dml *dml, uint64_t *ret_count, struct errinfo *info)
{
    struct query *query = dml->query;
    int64_t count = -1;
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(query_check_cancelled(query, info));
        TRY(engine_query_next(query->engine, &batch, info));
        if (batch.release == NULL) {
            break;
        }
        if (batch.length == 1 && batch.n_children == 1 && batch.children[0]->n_buffers == 2) {
            const int64_t *values = batch.children[0]->buffers[1];
            count = values[batch.children[0]->offset];
        }
        batch.release(&batch);
    }
    if (count < 0) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the engine did not count the rows");
    }
    *ret_count = (uint64_t)count;
    return ERR_OK;
}

/* What a text of ours over DML_STAGE counts. */
static enum err count_rows(struct dml *dml, struct temp_table *rows, struct slice text,
                           uint64_t *ret_count, struct errinfo *info)
{
    struct session *session = dml->query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL; /* outlives its access */
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf bound CLEANUP(buf_fini) = {0};
    TRY(dml_plan_staged(session, rows, text, &plan, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, info));
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(query_engine_open(dml->query, buf_slice(&bound), info));
    enum err err = pull_count(dml, ret_count, info);
    query_engine_close(dml->query);
    return err;
}

static enum err check_masked(struct dml *dml, struct temp_table *rows, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    for (size_t i = 0; i < root->field_count; i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        uint64_t count;
        if (!lake_write_keeps(&root->fields[i]) || !dml_is_masked(dml, i)) {
            continue;
        }
        buf_printf(&text,
                   "SELECT count(*) FROM " DML_STAGE " WHERE m_kind = %d AND c%zu IS NOT NULL AND "
                   "c%zu IS DISTINCT FROM CAST(",
                   (int)DML_INSERTED, i, i);
        lake_write_default(&root->fields[i], &text);
        buf_append_str(&text, " AS ");
        TRY(lake_type_print(&root->fields[i].type, root->fields[i].name, &text, info));
        buf_append_char(&text, ')');
        TRY(buf_failed(&text) ? errinfo_nomem(info)
                              : count_rows(dml, rows, buf_slice(&text), &count, info));
        if (count > 0) {
            return dml_refuse_masked(dml, i, info);
        }
    }
    return ERR_OK;
}

static enum err outside(const struct dml *dml, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "44000",
                      "a new row of table \"%.*s\" is none that you would see",
                      SLICE_ARGS(dml->name));
    errinfo_hint(info, "The table's policy lets you write the rows that it shows you.");
    return ERR_INVALID;
}

/* Beyond every field id of a table. */
#define STAGE_ID_FIRST 0xFFFFFE00u

static enum err staged_as(const struct dml *dml, struct plan_staged *ret_staged,
                          struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    uint32_t *ids =
        arena_calloc(dml->query->arena, root->field_count + DML_STAGE_COLUMNS, sizeof(*ids));
    size_t count = 0;
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    while (count < DML_STAGE_COLUMNS) {
        ids[count] = STAGE_ID_FIRST + (uint32_t)count;
        count++;
    }
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            ids[count++] = (uint32_t)root->fields[i].id;
        }
    }
    *ret_staged = (struct plan_staged){dml->effective.filter, ids, count};
    return ERR_OK;
}

/* How many rows there will be, and how many of them the policy shows. A filter that fails on a row
 * does not show it. */
static enum err check_shown(struct dml *dml, struct temp_table *rows, struct errinfo *info)
{
    struct session *session = dml->query->session;
    struct plan_staged staged;
    uint64_t all, shown;
    char text[96];
    if (dml->effective.filter.len == 0) {
        return ERR_OK;
    }
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM " DML_STAGE " WHERE m_kind <> %d",
                   (int)DML_DELETED);
    TRY(count_rows(dml, rows, slice_of(text), &all, info));
    TRY(staged_as(dml, &staged, info));
    session->staged = &staged;
    enum err err = count_rows(dml, rows, slice_of(text), &shown, info);
    session->staged = NULL;
    if (err == ERR_INVALID || err == ERR_INTERNAL || err == ERR_UNSUPPORTED) {
        return outside(dml, info); /* what it failed on is the policy's own */
    }
    TRY(err);
    return shown == all ? ERR_OK : outside(dml, info);
}

enum err dml_check_rows(struct dml *dml, struct temp_table *rows, struct errinfo *info)
{
    if (!dml->is_partial || temp_table_rows(rows) == 0) {
        return ERR_OK;
    }
    TRY(check_masked(dml, rows, info));
    return check_shown(dml, rows, info);
}
