/* What a temporary table demands of its rows, as SQL: each rule is a column beside those of the
 * table, which says whether the row breaks it. Before the rows reach the file the first such column
 * that is true is an error, so that a statement keeps all rules or does nothing. */
#include "query/temp/change_rules_int.h"

#include "base/hash.h"
#include "sql/scan.h"

#define OLD "\"moat old\"" /* the rows that the table has, as the rules call them */

const struct relation_column *change_column(const struct temp_table *table, struct slice name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (slice_equal_fold(table->columns[i].name, name)) {
            return &table->columns[i];
        }
    }
    return NULL;
}

const struct temp_rule *change_rule(const struct temp_table *table, enum temp_rule_kind kind,
                                    struct slice column)
{
    for (size_t i = 0; i < table->rule_count; i++) {
        const struct temp_rule *rule = &table->rules[i];
        if (rule->kind == kind && slice_equal_fold(rule->columns[0], column)) {
            return rule;
        }
    }
    return NULL;
}

static void write_name(const struct temp_table *table, struct slice column, struct buf *out)
{
    sql_quote_name(out, table->name);
    buf_append_char(out, '.');
    sql_quote_name(out, column);
}

static void write_key(const struct temp_table *table, const struct temp_rule *rule,
                      const char *before, const char *after, const char *between, struct buf *out)
{
    for (size_t i = 0; i < rule->column_count; i++) {
        buf_append_str(out, i == 0 ? before : between);
        write_name(table, rule->columns[i], out);
        buf_append_str(out, after);
    }
}

/* NULLs are never equal. */
static void write_unique(const struct temp_table *table, const struct temp_rule *rule,
                         bool is_beside_old, struct buf *out)
{
    write_key(table, rule, "(", " IS NOT NULL", " AND ", out);
    buf_append_str(out, " AND (count(*) OVER (PARTITION BY ");
    write_key(table, rule, "", "", ", ", out);
    buf_append_str(out, ") > 1");
    if (is_beside_old && table->file_count > 0) {
        buf_append_str(out, " OR EXISTS (SELECT 1 FROM " TEMP_SCHEMA ".");
        sql_quote_name(out, table->name);
        buf_append_str(out, " AS " OLD " WHERE ");
        for (size_t i = 0; i < rule->column_count; i++) {
            buf_append_str(out, i == 0 ? OLD "." : " AND " OLD ".");
            sql_quote_name(out, rule->columns[i]);
            buf_append_str(out, " = ");
            write_name(table, rule->columns[i], out);
        }
        buf_append_char(out, ')');
    }
    buf_append_str(out, "))");
}

static void add(struct change_checks *checks, const struct temp_rule *rule, struct slice column)
{
    ASSERT(checks->count < checks->capacity);
    checks->items[checks->count++] = (struct change_check){rule, column};
}

enum err change_checks_of(const struct temp_table *table, enum change_scope scope,
                          struct arena *arena, struct change_checks *ret_checks,
                          struct errinfo *info)
{
    struct change_checks checks = {.scope = scope};
    for (size_t i = 0; i < table->rule_count; i++) {
        checks.capacity += table->rules[i].column_count + 1;
    }
    checks.items = arena_calloc(arena, checks.capacity + 1, sizeof(*checks.items));
    if (checks.items == NULL || uuid_new(checks.marker) != ERR_OK) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < table->rule_count; i++) {
        const struct temp_rule *rule = &table->rules[i];
        bool is_key = rule->kind == RULE_PRIMARY_KEY || rule->kind == RULE_UNIQUE;
        bool is_whole = rule->kind == RULE_NOT_NULL || rule->kind == RULE_SERIAL ||
                        rule->kind == RULE_PRIMARY_KEY;
        for (size_t c = 0; is_whole && c < rule->column_count; c++) {
            add(&checks, rule, rule->columns[c]);
        }
        if (is_key || rule->kind == RULE_CHECK || rule->kind == RULE_LENGTH) {
            add(&checks, rule, SLICE(""));
        }
    }
    *ret_checks = checks;
    return ERR_OK;
}

static bool is_exact(const struct temp_rule *rule)
{
    return slice_equal(rule->expression, SLICE("bit"));
}

void change_write_checks(const struct temp_table *table, const struct change_checks *checks,
                         struct buf *out)
{
    for (size_t i = 0; i < checks->count; i++) {
        const struct change_check *check = &checks->items[i];
        buf_append_str(out, ", ");
        bool is_of_marked = checks->scope == CHANGE_MARKED &&
                            (check->column.len > 0 || check->rule->kind == RULE_CHECK ||
                             check->rule->kind == RULE_LENGTH);
        buf_append_str(out, is_of_marked ? CHANGE_HIT " AND " : "");
        if (check->column.len > 0) {
            write_name(table, check->column, out);
            buf_append_str(out, " IS NULL");
        } else if (check->rule->kind == RULE_LENGTH) {
            buf_append_str(out, "length(");
            write_name(table, check->rule->columns[0], out);
            buf_printf(out, ") %s %llu", is_exact(check->rule) ? "<>" : ">",
                       (unsigned long long)check->rule->length);
        } else if (check->rule->kind == RULE_CHECK) {
            buf_append_str(out, "NOT coalesce((");
            buf_append_slice(out, check->rule->expression);
            buf_append_str(out, "\n), true)");
        } else {
            write_unique(table, check->rule, checks->scope == CHANGE_NEW, out);
        }
    }
    buf_append_str(out, checks->is_ordered ? ", " CHANGE_ORDER : "");
}

void change_write_guard(const struct temp_table *table, const struct change_checks *checks,
                        struct slice rows, struct buf *out)
{
    buf_append_str(out, "SELECT CASE");
    for (size_t i = 0; i < checks->count; i++) {
        buf_printf(out, " WHEN k%zu THEN error('%s %zu')", i, checks->marker, i);
    }
    buf_append_str(out, " ELSE c0 END AS ");
    for (size_t i = 0; i < table->column_count; i++) {
        if (i > 0) {
            buf_printf(out, ", c%zu AS ", i);
        }
        sql_quote_name(out, table->columns[i].name);
    }
    buf_append_str(out, " FROM (");
    buf_append_slice(out, rows);
    buf_append_str(out, "\n) AS n (");
    for (size_t i = 0; i < table->column_count; i++) {
        buf_printf(out, i == 0 ? "c%zu" : ", c%zu", i);
    }
    for (size_t i = 0; i < checks->count; i++) {
        buf_printf(out, ", k%zu", i);
    }
    buf_append_str(out, checks->is_ordered ? ", r) ORDER BY r" : ")");
}

/* As PostgreSQL names what nobody has named: t_pkey, t_a_b_key, t_a_check. */
static void print_rule(const struct temp_table *table, const struct temp_rule *rule,
                       struct buf *out)
{
    if (rule->name.len > 0) {
        buf_append_slice(out, rule->name);
        return;
    }
    buf_append_slice(out, table->name);
    for (size_t i = 0; rule->kind != RULE_PRIMARY_KEY && i < rule->column_count; i++) {
        buf_append_char(out, '_');
        buf_append_slice(out, rule->columns[i]);
    }
    buf_append_str(out, rule->kind == RULE_PRIMARY_KEY ? "_pkey"
                        : rule->kind == RULE_UNIQUE    ? "_key"
                                                       : "_check");
}

enum err change_explain(const struct temp_table *table, const struct change_checks *checks,
                        enum err err, struct errinfo *info)
{
    const char *at =
        info == NULL || checks->count == 0 ? NULL : strstr(info->message, checks->marker);
    size_t index = at == NULL ? SIZE_MAX : strtoul(at + strlen(checks->marker), NULL, 10);
    if (index >= checks->count) {
        return err;
    }
    struct buf name CLEANUP(buf_fini) = {0};
    const struct change_check *check = &checks->items[index];
    if (check->column.len > 0) {
        return errinfo_set(info, ERR_INVALID, "23502",
                           "null value in column \"%.*s\" of relation \"%.*s\" violates not-null "
                           "constraint",
                           SLICE_ARGS(check->column), SLICE_ARGS(table->name));
    }
    if (check->rule->kind == RULE_LENGTH) {
        bool is_bits = slice_starts_with(check->rule->expression, SLICE("bit"));
        return errinfo_set(
            info, ERR_INVALID, is_exact(check->rule) ? "22026" : "22001", "%s for type %.*s(%llu)",
            is_exact(check->rule) ? "bit string of another length than that"
            : is_bits             ? "bit string too long"
                                  : "value too long",
            SLICE_ARGS(check->rule->expression), (unsigned long long)check->rule->length);
    }
    print_rule(table, check->rule, &name);
    if (check->rule->kind == RULE_CHECK) {
        return errinfo_set(info, ERR_INVALID, "23514",
                           "new row for relation \"%.*s\" violates check constraint \"%s\"",
                           SLICE_ARGS(table->name), buf_cstr(&name));
    }
    return errinfo_set(info, ERR_EXISTS, "23505",
                       "duplicate key value violates unique constraint \"%s\"", buf_cstr(&name));
}
