/* CREATE TABLE of a lake: columns, partitions, properties, AS a query. */
#include "base/buf.h"
#include "sql/statement_int.h"

#define ITEMS_MAX 10000

/* ---- columns ---- */

static enum err parse_detail(struct cursor *c, struct statement_column *out, bool *ret_taken)
{
    TRY(cursor_accept(c, "not", ret_taken));
    if (*ret_taken) {
        out->is_required = true;
        return cursor_expect(c, "NULL");
    }
    TRY(cursor_accept(c, "null", ret_taken));
    if (*ret_taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "default", ret_taken));
    if (*ret_taken) {
        return cursor_literal(c, &out->default_value);
    }
    TRY(cursor_accept(c, "comment", ret_taken));
    return *ret_taken ? cursor_string(c, "a comment in single quotes", &out->comment) : ERR_OK;
}

static bool is_end_of_column(const struct cursor *c)
{
    return token_is_operator(&c->token, ",") || token_is_operator(&c->token, ")");
}

/* Whose place it is to refuse it is known when the place of the table is. */
static enum err parse_constraint(struct cursor *c, struct statement *s)
{
    struct slice text;
    TRY(cursor_expression(c, NULL, 0, true, &text));
    s->constraint = s->constraint.len > 0 ? s->constraint : text;
    return ERR_OK;
}

/* Words that PostgreSQL keeps for constraints: no column is called so without quotes. */
static bool is_constraint_of_table(const struct token *token)
{
    return token_is(token, "primary") || token_is(token, "unique") || token_is(token, "check") ||
           token_is(token, "foreign") || token_is(token, "constraint");
}

static enum err parse_column(struct cursor *c, struct statement *s, struct slice *ret_name,
                             struct slice *ret_type, struct statement_column *ret_detail)
{
    static const char *const constraints[] = {"not",     "null",  "primary",    "unique",
                                              "default", "check", "references", "constraint",
                                              "collate", "as",    "generated",  "comment"};
    bool taken = true;
    *ret_type = (struct slice){"", 0};
    *ret_detail = (struct statement_column){0};
    TRY(cursor_identifier(c, "a column", ret_name));
    if (!is_end_of_column(c)) {
        TRY(cursor_expression(c, constraints, ARRAY_COUNT(constraints), true, ret_type));
    }
    while (taken) {
        TRY(parse_detail(c, ret_detail, &taken));
    }
    return is_end_of_column(c) ? ERR_OK : parse_constraint(c, s);
}

enum err cursor_keep(struct cursor *c, const struct buf *items, const void **ret_items)
{
    char *kept = arena_alloc(c->arena, items->len + 1);
    if (kept == NULL || buf_failed(items)) {
        return errinfo_nomem(c->info);
    }
    if (items->len > 0) {
        memcpy(kept, items->ptr, items->len);
    }
    *ret_items = kept;
    return ERR_OK;
}

/* Behind the bracket. */
static enum err parse_columns(struct cursor *c, struct statement *s)
{
    struct buf names CLEANUP(buf_fini) = {0};
    struct buf types CLEANUP(buf_fini) = {0};
    struct buf details CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_more = true;
    while (has_more) {
        struct slice name;
        struct slice type;
        struct statement_column detail;
        if (s->column_count == ITEMS_MAX) {
            return errinfo_set(c->info, ERR_LIMIT, "54011", "a table has up to %d columns",
                               ITEMS_MAX);
        }
        if (is_constraint_of_table(&c->token)) {
            TRY(parse_constraint(c, s));
        } else {
            TRY(parse_column(c, s, &name, &type, &detail));
            buf_append(&names, &name, sizeof(name));
            buf_append(&types, &type, sizeof(type));
            buf_append(&details, &detail, sizeof(detail));
            s->column_count++;
        }
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_keep(c, &names, &kept));
    s->columns = kept;
    TRY(cursor_keep(c, &types, &kept));
    s->types = kept;
    TRY(cursor_keep(c, &details, &kept));
    s->details = kept;
    return cursor_expect_operator(c, ")");
}

/* ---- partitions ---- */

/* a or a.b, as one dotted text; one name as it stands in the statement, so that it has a place. */
static enum err parse_dotted(struct cursor *c, struct slice *ret_path)
{
    struct buf path CLEANUP(buf_fini) = {0};
    bool has_dot;
    TRY(cursor_identifier(c, "a column", ret_path));
    TRY(cursor_accept_operator(c, ".", &has_dot));
    if (!has_dot) {
        return ERR_OK;
    }
    buf_append_slice(&path, *ret_path);
    while (has_dot) {
        struct slice name;
        TRY(cursor_identifier(c, "a column", &name));
        buf_append_str(&path, ".");
        buf_append_slice(&path, name);
        TRY(cursor_accept_operator(c, ".", &has_dot));
    }
    return !buf_failed(&path) && arena_slice(c->arena, buf_slice(&path), ret_path)
               ? ERR_OK
               : errinfo_nomem(c->info);
}

/* bucket(16, a) and bucket(a, 16): both are written elsewhere. */
static enum err parse_arguments(struct cursor *c, struct statement_transform *out)
{
    bool has_more = true;
    while (has_more) {
        uint64_t width = 0;
        if (c->token.kind == TOKEN_NUMBER && out->width == 0) {
            if (!slice_to_u64(c->token.text, &width) || width == 0 || width > INT32_MAX) {
                return cursor_expected(c, "a width of 1 and up");
            }
            out->width = (uint32_t)width;
            TRY(cursor_next(c));
        } else if (out->column.len == 0) {
            TRY(parse_dotted(c, &out->column));
        } else {
            return cursor_expected(c, "a width");
        }
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    return out->column.len > 0 ? ERR_OK : cursor_expected(c, "a column");
}

enum err parse_transform(struct cursor *c, struct statement_transform *out)
{
    bool is_call;
    *out = (struct statement_transform){0};
    TRY(parse_dotted(c, &out->column));
    TRY(cursor_accept_operator(c, "(", &is_call));
    if (!is_call) {
        return ERR_OK;
    }
    out->function = out->column;
    out->column = (struct slice){"", 0};
    return parse_arguments(c, out);
}

static enum err parse_partitions(struct cursor *c, struct statement *s)
{
    struct buf items CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_more = true;
    TRY(cursor_expect(c, "BY"));
    TRY(cursor_expect_operator(c, "("));
    while (has_more) {
        struct statement_transform item;
        TRY(parse_transform(c, &item));
        buf_append(&items, &item, sizeof(item));
        s->partition_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_keep(c, &items, &kept));
    s->partitions = kept;
    return cursor_expect_operator(c, ")");
}

/* ---- order ---- */

static enum err parse_nulls(struct cursor *c, struct statement_sort *out)
{
    bool is_first;
    bool is_last = false;
    TRY(cursor_accept(c, "first", &is_first));
    TRY(is_first ? ERR_OK : cursor_accept(c, "last", &is_last));
    out->is_nulls_last = is_last;
    return is_first || is_last ? ERR_OK : cursor_expected(c, "FIRST or LAST");
}

static enum err parse_sort(struct cursor *c, struct statement_sort *out)
{
    bool taken;
    *out = (struct statement_sort){0};
    TRY(parse_transform(c, &out->by));
    TRY(cursor_accept(c, "desc", &out->is_descending));
    TRY(out->is_descending ? ERR_OK : cursor_accept(c, "asc", &taken));
    out->is_nulls_last = out->is_descending; /* as Iceberg's other writers have it */
    TRY(cursor_accept(c, "nulls", &taken));
    return taken ? parse_nulls(c, out) : ERR_OK;
}

enum err parse_sorts(struct cursor *c, const struct statement_sort **ret_sorts, size_t *ret_count)
{
    struct buf items CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    size_t count = 0;
    bool has_bracket;
    bool has_more = true;
    TRY(cursor_accept_operator(c, "(", &has_bracket));
    while (has_more) {
        struct statement_sort item;
        TRY(parse_sort(c, &item));
        buf_append(&items, &item, sizeof(item));
        count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(has_bracket ? cursor_expect_operator(c, ")") : ERR_OK);
    TRY(cursor_keep(c, &items, &kept));
    *ret_sorts = kept;
    *ret_count = count;
    return ERR_OK;
}

/* ---- the statement ---- */

static enum err parse_like(struct cursor *c, struct statement *s)
{
    s->has_source = true;
    return cursor_name(c, &s->source);
}

/* Clauses behind the columns; `ret_done`: AS and its query, or the end. */
static enum err parse_clause(struct cursor *c, struct statement *s, bool *ret_done)
{
    bool taken;
    TRY(cursor_accept(c, "partitioned", &taken));
    if (!taken) {
        TRY(cursor_accept(c, "partition", &taken));
    }
    if (taken && s->partition_count == 0) {
        return parse_partitions(c, s);
    }
    TRY(cursor_accept(c, "sorted", &taken));
    if (taken && s->sort_count == 0) {
        TRY(cursor_expect(c, "BY"));
        return parse_sorts(c, &s->sorts, &s->sort_count);
    }
    TRY(cursor_accept(c, "like", &taken));
    if (taken && !s->has_source && s->column_count == 0) {
        return parse_like(c, s);
    }
    TRY(cursor_accept(c, "with", &taken));
    if (!taken) {
        TRY(cursor_accept(c, "tblproperties", &taken));
    }
    if (taken && s->option_count == 0) {
        return cursor_options(c, &s->options, &s->option_count);
    }
    TRY(cursor_accept(c, "comment", &taken));
    if (taken && s->comment.len == 0) {
        return cursor_string(c, "a comment in single quotes", &s->comment);
    }
    TRY(cursor_accept(c, "as", &taken));
    if (taken) {
        *ret_done = true;
        return cursor_rest(c, "a query", &s->query);
    }
    return cursor_expected(c, "PARTITIONED BY, SORTED BY, WITH, COMMENT, LIKE or AS, each once");
}

enum err parse_managed_table(struct cursor *c, struct statement *s)
{
    bool taken;
    bool is_done = false;
    s->kind = STATEMENT_CREATE_MANAGED;
    s->tag = "CREATE TABLE";
    TRY(cursor_expect(c, "TABLE"));
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_name(c, &s->name));
    TRY(cursor_accept_operator(c, "(", &taken));
    if (taken && token_is(&c->token, "like")) {
        TRY(cursor_next(c));
        TRY(parse_like(c, s));
        TRY(cursor_expect_operator(c, ")"));
    } else if (taken) {
        TRY(parse_columns(c, s));
    }
    while (!is_done && c->token.kind != TOKEN_END) {
        TRY(parse_clause(c, s, &is_done));
    }
    if (s->column_count == 0 && s->query.len == 0 && !s->has_source) {
        return cursor_expected(c, "(columns), LIKE a table or AS a query");
    }
    if (s->has_source && (s->query.len > 0 || s->partition_count > 0)) {
        return errinfo_set(c->info, ERR_SYNTAX, NULL,
                           "LIKE takes columns and partitions from the other table");
    }
    return ERR_OK;
}
