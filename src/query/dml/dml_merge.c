/* MERGE INTO: the rows of the table and of the source, matched.
 *
 * Each kind of WHEN is one part of a UNION ALL with just the names in view that it may use: both
 * rows of a match, the source's alone, or the table's alone. The source is computed once for all of
 * them. */
#include "query/dml/dml_change_int.h"

#include "query/plan/policy_int.h"
#include "sql/scan.h"

#define SOURCE "\"moat source\""

struct merger {
    struct dml *dml;
    const struct statement *statement;
    struct dml_values *values; /* by clause */
    const bool **assigned;     /* by clause, of UPDATE: which fields it gives values */
    struct slice source;       /* what the source is called */
    struct dml_text text;
    bool is_first; /* no part is there yet */
    struct errinfo *info;
};

static bool has(const struct statement *statement, int when)
{
    for (size_t i = 0; i < statement->merge_count; i++) {
        if ((int)statement->merges[i].when == when &&
            statement->merges[i].action != MERGE_NOTHING) {
            return true;
        }
    }
    return false;
}

static enum err check_clauses(const struct statement *statement, struct errinfo *info)
{
    bool is_settled[3] = {false, false, false};
    for (size_t i = 0; i < statement->merge_count; i++) {
        const struct statement_merge *clause = &statement->merges[i];
        if (is_settled[clause->when]) {
            return errinfo_set(info, ERR_SYNTAX, NULL,
                               "unreachable WHEN clause specified after unconditional WHEN clause");
        }
        is_settled[clause->when] = clause->condition.len == 0;
    }
    return ERR_OK;
}

static bool is_volatile(struct slice name)
{
    static const char *const names[] = {"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_fold(name, slice_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* ON is asked for each kind of WHEN: what answers otherwise each time would let a row be matched
 * and not matched. */
static enum err check_condition(const struct dml *dml, const struct statement *statement,
                                struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    struct slice name = {"", 0}; /* before this token */
    int kinds = has(statement, MERGE_MATCHED) + has(statement, MERGE_NOT_MATCHED) +
                has(statement, MERGE_NOT_MATCHED_BY_SOURCE);
    scanner_init(&scanner, statement->where);
    do {
        TRY(scanner_next(&scanner, &token, info));
        if (kinds > 1 && token_is_operator(&token, "(") && is_volatile(name)) {
            (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                              "ON of MERGE cannot call \"%.*s\", which answers otherwise each time",
                              SLICE_ARGS(name));
            errinfo_hint(info, "Call it in the source: USING (SELECT *, %.*s(...) AS x FROM ...).",
                         SLICE_ARGS(name));
            errinfo_position(info, statement_position(dml->query->statement, name));
            return ERR_UNSUPPORTED;
        }
        bool is_name = token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED;
        name = is_name ? token.text : (struct slice){"", 0};
        if (is_name && token.kind == TOKEN_QUOTED && name.len > 2) {
            name = (struct slice){name.ptr + 1, name.len - 2};
        }
    } while (token.kind != TOKEN_END);
    return ERR_OK;
}

/* All columns without their names are those that the person sees raw, if these are all. */
static enum err check_named(const struct merger *m, const struct statement_merge *clause)
{
    const struct dml *dml = m->dml;
    bool is_unnamed = clause->is_star || (clause->action == MERGE_INSERT && clause->set.count == 0);
    for (size_t i = 0; is_unnamed && i < dml->write.schema->root.field_count; i++) {
        if (dml_is_hidden(dml, i) || dml_is_masked(dml, i)) {
            (void)errinfo_set(m->info, ERR_DENIED, NULL,
                              "not all columns of table \"%.*s\" can be given values by you",
                              SLICE_ARGS(dml->name));
            errinfo_hint(m->info, "Name those that you see raw.");
            return ERR_DENIED;
        }
    }
    return ERR_OK;
}

static enum err open_values(struct merger *m)
{
    const struct statement *statement = m->statement;
    m->values = arena_calloc(m->dml->query->arena, statement->merge_count, sizeof(*m->values));
    m->assigned =
        arena_calloc(m->dml->query->arena, statement->merge_count + 1, sizeof(const bool *));
    if (m->values == NULL || m->assigned == NULL) {
        return errinfo_nomem(m->info);
    }
    for (size_t i = 0; i < statement->merge_count; i++) {
        const struct statement_merge *clause = &statement->merges[i];
        m->values[i] = (struct dml_values){
            .dml = m->dml,
            .set = &clause->set,
            .alias = clause->action == MERGE_INSERT ? (struct slice){"", 0} : dml_alias(statement),
            .star = clause->is_star ? m->source : (struct slice){"", 0}};
        TRY(check_named(m, clause));
        TRY(dml_values_open(&m->values[i], m->info));
        if (clause->action == MERGE_UPDATE) {
            TRY(dml_values_assigned(&m->values[i], &m->assigned[i], m->info));
            TRY(dml_check_assigned(m->dml, m->assigned[i], m->info));
        }
        TRY(clause->action == MERGE_INSERT ? dml_check_insertable(m->dml, m->info) : ERR_OK);
    }
    return ERR_OK;
}

/* ---- the parts ---- */

/* CASE WHEN condition THEN number ... END: the first clause that a row meets; NULL: none. */
static void print_choice(struct merger *m, int when)
{
    struct buf *sql = &m->text.sql;
    buf_append_str(sql, "CASE");
    for (size_t i = 0; i < m->statement->merge_count; i++) {
        const struct statement_merge *clause = &m->statement->merges[i];
        if ((int)clause->when != when) {
            continue;
        }
        buf_append_str(sql, " WHEN (");
        if (clause->condition.len > 0) {
            dml_text_part(&m->text, clause->condition);
        } else {
            buf_append_str(sql, "true");
        }
        if (clause->action == MERGE_NOTHING) {
            buf_append_str(sql, ") THEN NULL");
        } else {
            buf_printf(sql, ") THEN %zu", i + 1);
        }
    }
    buf_append_str(sql, " END AS \"moat choice\"");
}

static void print_kind(struct merger *m, int when)
{
    struct buf *sql = &m->text.sql;
    buf_append_str(sql, "CASE \"moat choice\"");
    for (size_t i = 0; i < m->statement->merge_count; i++) {
        const struct statement_merge *clause = &m->statement->merges[i];
        if ((int)clause->when == when && clause->action != MERGE_NOTHING) {
            buf_printf(sql, " WHEN %zu THEN %d", i + 1,
                       clause->action == MERGE_INSERT   ? (int)DML_INSERTED
                       : clause->action == MERGE_DELETE ? (int)DML_DELETED
                       : m->dml->is_partial             ? (int)DML_UPDATED_BY + (int)i
                                                        : (int)DML_UPDATED);
        }
    }
    buf_append_str(sql, " END AS m_kind");
}

static enum err print_value(struct merger *m, int when, size_t field)
{
    struct buf *sql = &m->text.sql;
    buf_append_str(sql, ", CASE \"moat choice\"");
    for (size_t i = 0; i < m->statement->merge_count; i++) {
        const struct statement_merge *clause = &m->statement->merges[i];
        if ((int)clause->when != when || clause->action == MERGE_NOTHING) {
            continue;
        }
        buf_printf(sql, " WHEN %zu THEN ", i + 1);
        if (clause->action == MERGE_DELETE) { /* as it was, for RETURNING */
            TRY(dml_print_seen(m->dml, dml_alias(m->statement), field, sql, m->info));
        } else {
            TRY(dml_values_print(&m->values[i], field, &m->text, m->info));
        }
    }
    buf_printf(sql, " END AS c%zu", field);
    return ERR_OK;
}

static void print_target(struct merger *m)
{
    dml_print_target(m->dml, m->statement, &m->text.sql);
}

/* ", <where the row is> AS ..."; without an alias: NULL. */
static void print_place(struct merger *m, const char *alias, struct slice name, struct slice kept,
                        const char *type)
{
    struct buf *sql = &m->text.sql;
    if (alias == NULL) {
        buf_printf(sql, ", CAST(NULL AS %s)", type);
    } else {
        buf_printf(sql, ", %s.", alias);
        sql_quote_name(sql, name);
    }
    buf_append_str(sql, " AS ");
    sql_quote_name(sql, kept);
}

static void print_source(struct merger *m)
{
    buf_append_str(&m->text.sql, SOURCE " AS ");
    sql_quote_name(&m->text.sql, m->source);
}

static void print_from(struct merger *m, int when)
{
    struct buf *sql = &m->text.sql;
    buf_append_str(sql, " FROM ");
    if (when == MERGE_NOT_MATCHED) {
        print_source(m);
        buf_append_str(sql, " ANTI JOIN ");
        print_target(m);
    } else {
        print_target(m);
        buf_append_str(sql, when == MERGE_MATCHED ? " JOIN " : " ANTI JOIN ");
        print_source(m);
    }
    buf_append_str(sql, " ON (");
    dml_text_part(&m->text, m->statement->where);
    buf_append_char(sql, ')');
}

static void print_outer(struct merger *m)
{
    const struct iceberg_type *root = &m->dml->write.schema->root;
    const struct slice names[] = {m->dml->kept_file, m->dml->kept_pos, SLICE("m_kind"),
                                  m->dml->kept_row};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        buf_append_str(&m->text.sql, i == 0 ? "SELECT " : ", ");
        sql_quote_name(&m->text.sql, names[i]);
    }
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_printf(&m->text.sql, ", c%zu", i);
        }
    }
    buf_append_str(&m->text.sql, " FROM (SELECT ");
}

static enum err print_part(struct merger *m, int when)
{
    const struct iceberg_type *root = &m->dml->write.schema->root;
    struct buf *sql = &m->text.sql;
    struct buf name CLEANUP(buf_fini) = {0};
    if (!has(m->statement, when)) {
        return ERR_OK;
    }
    bool has_row = when != MERGE_NOT_MATCHED;
    sql_quote_name(&name, dml_alias(m->statement));
    buf_append_str(sql, m->is_first ? "" : " UNION ALL ");
    m->is_first = false;
    print_outer(m);
    print_choice(m, when);
    const struct dml *dml = m->dml;
    const char *alias = has_row ? buf_cstr(&name) : NULL;
    print_place(m, alias, dml->target.file, dml->kept_file, "VARCHAR");
    print_place(m, alias, dml->target.pos, dml->kept_pos, "BIGINT");
    buf_append_str(sql, ", ");
    print_kind(m, when);
    print_place(m, dml->metadata->format_version > 2 ? alias : NULL, dml->target.row, dml->kept_row,
                "BIGINT");
    for (size_t i = 0; i < root->field_count; i++) {
        TRY(lake_write_keeps(&root->fields[i]) ? print_value(m, when, i) : ERR_OK);
    }
    print_from(m, when);
    buf_append_str(sql, ") AS \"moat part\" WHERE \"moat choice\" IS NOT NULL");
    return buf_failed(&name) ? errinfo_nomem(m->info) : ERR_OK;
}

static enum err print_merge(struct merger *m)
{
    struct buf *sql = &m->text.sql;
    m->is_first = true;
    buf_append_str(sql, "WITH " SOURCE " AS MATERIALIZED (SELECT * FROM ");
    dml_text_part(&m->text, m->statement->using_list);
    buf_append_str(sql, ") ");
    TRY(print_part(m, MERGE_MATCHED));
    TRY(print_part(m, MERGE_NOT_MATCHED));
    TRY(print_part(m, MERGE_NOT_MATCHED_BY_SOURCE));
    return dml_text_failed(&m->text) ? errinfo_nomem(m->info) : ERR_OK;
}

/* ---- running ---- */

static enum err merge_rows(struct dml *dml, const struct statement *statement, struct errinfo *info)
{
    struct merger m = {.dml = dml,
                       .statement = statement,
                       .source = statement->source_alias.len > 0 ? statement->source_alias
                                                                 : SLICE("moat source"),
                       .info = info};
    struct temp_table *seen CLEANUP(temp_table_cleanup) = NULL;
    struct temp_table *rows CLEANUP(temp_table_cleanup) = NULL;
    dml->reads_rows = "merge";
    TRY(dml_check_names(dml, info));
    TRY(dml_name_rows(dml, statement, info));
    if (slice_equal_fold(m.source, dml_alias(statement))) {
        return errinfo_set(info, ERR_INVALID, "42712",
                           "table name \"%.*s\" specified more than once", SLICE_ARGS(m.source));
    }
    TRY(open_values(&m));
    TRY(check_clauses(statement, info));
    TRY(check_condition(dml, statement, info));
    if (!has(statement, MERGE_MATCHED) && !has(statement, MERGE_NOT_MATCHED) &&
        !has(statement, MERGE_NOT_MATCHED_BY_SOURCE)) {
        return errinfo_set(info, ERR_SYNTAX, NULL, "MERGE does nothing in every case");
    }
    enum err err = print_merge(&m);
    if (err == ERR_OK) {
        err = dml_stage(dml, &m.text, &seen, info);
    }
    dml_text_fini(&m.text);
    TRY(err);
    TRY(dml_complete(dml, seen, m.assigned, statement->merge_count, &rows, info));
    TRY(dml_check_rows(dml, rows, info));
    TRY(dml_apply(dml, statement, seen, rows, info));
    return dml_tag(dml, temp_table_rows(rows), info);
}

enum err dml_merge(struct query *query, const struct statement *statement, struct errinfo *info)
{
    TRY(session_refuse_temp(query->session, &statement->name, "MERGE", info));
    return dml_run_change(query, statement, merge_rows, info);
}
