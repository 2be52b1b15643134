/* MERGE INTO, and the assignments that it shares with UPDATE. */
#include "base/buf.h"
#include "sql/statement_int.h"

struct lists {
    struct buf columns, paths, values;
};

static void lists_fini(struct lists *lists)
{
    buf_fini(&lists->columns);
    buf_fini(&lists->paths);
    buf_fini(&lists->values);
}

static void add(struct buf *out, struct slice text)
{
    buf_append(out, &text, sizeof(text));
}

static enum err keep(struct cursor *c, const struct buf *from, const struct slice **ret_list)
{
    struct slice *list = arena_alloc(c->arena, from->len + sizeof(*list));
    if (list == NULL || buf_failed(from)) {
        return errinfo_nomem(c->info);
    }
    if (from->len > 0) {
        memcpy(list, from->ptr, from->len);
    }
    *ret_list = list;
    return ERR_OK;
}

static enum err keep_all(struct cursor *c, const struct lists *lists,
                         struct statement_assignments *out)
{
    out->count = lists->columns.len / sizeof(struct slice);
    out->value_count = lists->values.len / sizeof(struct slice);
    TRY(keep(c, &lists->columns, &out->columns));
    TRY(keep(c, &lists->paths, &out->paths));
    return keep(c, &lists->values, &out->values);
}

/* a, or a.b.c: the names behind the first as they are written. */
static enum err parse_target(struct cursor *c, struct lists *lists)
{
    struct slice name;
    TRY(cursor_identifier(c, "a column", &name));
    size_t begin = c->token.offset;
    size_t end = begin;
    bool has_more;
    TRY(cursor_accept_operator(c, ".", &has_more));
    while (has_more) {
        struct slice ignored;
        TRY(cursor_identifier(c, "a column", &ignored));
        end = c->end;
        TRY(cursor_accept_operator(c, ".", &has_more));
    }
    add(&lists->columns, name);
    add(&lists->paths, (struct slice){c->scanner.text.ptr + begin, end - begin});
    return ERR_OK;
}

/* Values in brackets, behind the opening one. */
static enum err parse_values(struct cursor *c, struct lists *lists)
{
    bool has_more = true;
    while (has_more) {
        struct slice value;
        TRY(cursor_expression(c, NULL, 0, true, &value));
        add(&lists->values, value);
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    return cursor_expect_operator(c, ")");
}

/* (a, b) = (1, 2), behind the first bracket. */
static enum err parse_row(struct cursor *c, struct lists *lists)
{
    size_t columns = lists->columns.len;
    size_t values = lists->values.len;
    bool has_more = true;
    bool taken;
    while (has_more) {
        TRY(parse_target(c, lists));
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    TRY(cursor_expect_operator(c, "="));
    TRY(cursor_accept(c, "row", &taken));
    TRY(cursor_expect_operator(c, "("));
    if (token_is(&c->token, "select") || token_is(&c->token, "with")) {
        return cursor_expected(c, "one value for each column");
    }
    TRY(parse_values(c, lists));
    return lists->columns.len - columns == lists->values.len - values
               ? ERR_OK
               : cursor_expected(c, "as many values as columns before it");
}

static enum err parse_assignment(struct cursor *c, const char *const *ends, size_t end_count,
                                 struct lists *lists)
{
    struct slice value;
    bool is_row;
    TRY(cursor_accept_operator(c, "(", &is_row));
    if (is_row) {
        return parse_row(c, lists);
    }
    TRY(parse_target(c, lists));
    TRY(cursor_expect_operator(c, "="));
    TRY(cursor_expression(c, ends, end_count, true, &value));
    add(&lists->values, value);
    return ERR_OK;
}

enum err parse_assignments(struct cursor *c, const char *const *ends, size_t end_count,
                           struct statement_assignments *ret_assignments)
{
    struct lists lists CLEANUP(lists_fini) = {0};
    bool has_more = true;
    while (has_more) {
        TRY(parse_assignment(c, ends, end_count, &lists));
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    return keep_all(c, &lists, ret_assignments);
}

/* ---- MERGE ---- */

/* What would end a FROM clause of Moat's own, or a part of MERGE. */
static const char *const condition_ends[] = {"when", "returning"};

/* table or (query), with the alias and the columns that it is given. */
static enum err parse_source(struct cursor *c, struct statement *s)
{
    size_t begin = c->token.offset;
    struct sql_name name = {0};
    struct slice query;
    bool taken;
    TRY(cursor_accept_operator(c, "(", &taken));
    if (taken) {
        TRY(cursor_expression(c, NULL, 0, false, &query));
        TRY(cursor_expect_operator(c, ")"));
    } else {
        TRY(cursor_name(c, &name));
    }
    s->source_alias = name.name;
    TRY(cursor_accept(c, "as", &taken));
    if (taken || !token_is(&c->token, "on")) {
        const struct slice *columns;
        size_t count;
        TRY(cursor_identifier(c, "an alias, or ON", &s->source_alias));
        if (token_is_operator(&c->token, "(")) {
            TRY(cursor_name_list(c, &columns, &count));
        }
    }
    s->using_list = (struct slice){c->scanner.text.ptr + begin, c->end - begin};
    return ERR_OK;
}

/* [NOT] MATCHED [BY SOURCE | BY TARGET], behind WHEN. */
static enum err parse_when(struct cursor *c, struct statement_merge *clause)
{
    bool is_not;
    bool taken;
    TRY(cursor_accept(c, "not", &is_not));
    TRY(cursor_expect(c, "MATCHED"));
    clause->when = is_not ? MERGE_NOT_MATCHED : MERGE_MATCHED;
    TRY(is_not ? cursor_accept(c, "by", &taken) : ERR_OK);
    if (is_not && taken) {
        bool is_source;
        TRY(cursor_accept(c, "source", &is_source));
        TRY(is_source ? ERR_OK : cursor_expect(c, "TARGET"));
        clause->when = is_source ? MERGE_NOT_MATCHED_BY_SOURCE : MERGE_NOT_MATCHED;
    }
    TRY(cursor_accept(c, "and", &taken));
    static const char *const ends[] = {"then"};
    return taken ? cursor_expression(c, ends, ARRAY_COUNT(ends), false, &clause->condition)
                 : ERR_OK;
}

/* INSERT [(a, ...)] VALUES (...) | DEFAULT VALUES | *, behind INSERT. */
static enum err parse_merge_insert(struct cursor *c, struct statement_merge *clause)
{
    struct lists lists CLEANUP(lists_fini) = {0};
    bool taken;
    clause->action = MERGE_INSERT;
    TRY(cursor_accept_operator(c, "*", &clause->is_star));
    if (clause->is_star) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "default", &clause->has_default_values));
    if (clause->has_default_values) {
        return cursor_expect(c, "VALUES");
    }
    TRY(cursor_accept_operator(c, "(", &taken));
    while (taken) {
        TRY(parse_target(c, &lists));
        TRY(cursor_accept_operator(c, ",", &taken));
        TRY(taken ? ERR_OK : cursor_expect_operator(c, ")"));
    }
    TRY(cursor_expect(c, "VALUES"));
    TRY(cursor_expect_operator(c, "("));
    TRY(parse_values(c, &lists));
    TRY(keep_all(c, &lists, &clause->set));
    return clause->set.count == 0 || clause->set.count == clause->set.value_count
               ? ERR_OK
               : cursor_expected(c, "as many values as columns before it");
}

static enum err parse_action(struct cursor *c, struct statement_merge *clause)
{
    bool taken;
    TRY(cursor_expect(c, "THEN"));
    TRY(cursor_accept(c, "do", &taken));
    if (taken) {
        clause->action = MERGE_NOTHING;
        return cursor_expect(c, "NOTHING");
    }
    if (clause->when == MERGE_NOT_MATCHED) {
        TRY(cursor_accept(c, "insert", &taken));
        return taken ? parse_merge_insert(c, clause) : cursor_expected(c, "INSERT or DO NOTHING");
    }
    TRY(cursor_accept(c, "delete", &taken));
    if (taken) {
        clause->action = MERGE_DELETE;
        return ERR_OK;
    }
    TRY(cursor_accept(c, "update", &taken));
    if (!taken) {
        return cursor_expected(c, "UPDATE, DELETE or DO NOTHING");
    }
    clause->action = MERGE_UPDATE;
    TRY(cursor_expect(c, "SET"));
    if (clause->when == MERGE_MATCHED) {
        TRY(cursor_accept_operator(c, "*", &clause->is_star));
    }
    return clause->is_star
               ? ERR_OK
               : parse_assignments(c, condition_ends, ARRAY_COUNT(condition_ends), &clause->set);
}

enum err parse_merge(struct cursor *c, struct statement *s)
{
    struct buf clauses CLEANUP(buf_fini) = {0};
    bool has_more;
    s->kind = STATEMENT_MERGE;
    s->tag = "MERGE";
    TRY(cursor_accept(c, "into", &has_more));
    TRY(cursor_name(c, &s->name));
    TRY(cursor_accept(c, "as", &has_more));
    if (has_more || !token_is(&c->token, "using")) {
        TRY(cursor_identifier(c, "an alias, or USING", &s->alias));
    }
    TRY(cursor_expect(c, "USING"));
    TRY(parse_source(c, s));
    TRY(cursor_expect(c, "ON"));
    TRY(cursor_expression(c, condition_ends, ARRAY_COUNT(condition_ends), false, &s->where));
    TRY(cursor_accept(c, "when", &has_more));
    if (!has_more) {
        return cursor_expected(c, "WHEN [NOT] MATCHED");
    }
    while (has_more) {
        struct statement_merge clause = {0};
        TRY(parse_when(c, &clause));
        TRY(parse_action(c, &clause));
        buf_append(&clauses, &clause, sizeof(clause));
        s->merge_count++;
        TRY(cursor_accept(c, "when", &has_more));
    }
    struct statement_merge *kept = arena_calloc(c->arena, s->merge_count, sizeof(*kept));
    if (kept == NULL || buf_failed(&clauses)) {
        return errinfo_nomem(c->info);
    }
    memcpy(kept, clauses.ptr, clauses.len);
    s->merges = kept;
    return parse_returning(c, s);
}
