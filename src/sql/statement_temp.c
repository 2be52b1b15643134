/* What is written to: CREATE TEMP TABLE, INSERT, TRUNCATE. */
#include "base/buf.h"
#include "sql/statement_int.h"

/* a INTEGER, ... | a, ... behind the bracket; types are slices, empty where none is given. */
static enum err parse_columns(struct cursor *c, struct statement *s)
{
    static const char *const constraints[] = {"not",     "null",  "primary",    "unique",
                                              "default", "check", "references", "constraint",
                                              "collate", "as",    "generated"};
    struct buf names CLEANUP(buf_fini) = {0};
    struct buf types CLEANUP(buf_fini) = {0};
    bool has_more = true;
    while (has_more) {
        struct slice name;
        struct slice type = {"", 0};
        TRY(cursor_identifier(c, "a column", &name));
        bool is_bare = token_is_operator(&c->token, ",") || token_is_operator(&c->token, ")");
        if (!is_bare) {
            TRY(cursor_expression(c, constraints, ARRAY_COUNT(constraints), true, &type));
        }
        if (!token_is_operator(&c->token, ",") && !token_is_operator(&c->token, ")")) {
            (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                              "columns of a temporary table have no constraints and no defaults");
            errinfo_position(c->info, c->token.offset + 1);
            return ERR_UNSUPPORTED;
        }
        buf_append(&names, &name, sizeof(name));
        buf_append(&types, &type, sizeof(type));
        s->column_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    struct slice *kept = arena_calloc(c->arena, s->column_count * 2, sizeof(*kept));
    if (kept == NULL || buf_failed(&names) || buf_failed(&types)) {
        return errinfo_nomem(c->info);
    }
    memcpy(kept, names.ptr, names.len);
    memcpy(kept + s->column_count, types.ptr, types.len);
    s->columns = kept;
    s->types = kept + s->column_count;
    return ERR_OK;
}

static enum err parse_on_commit(struct cursor *c)
{
    bool taken;
    TRY(cursor_accept(c, "on", &taken));
    if (!taken) {
        return ERR_OK;
    }
    TRY(cursor_expect(c, "COMMIT"));
    if (!token_is(&c->token, "preserve")) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "temporary tables last as long as their session");
        errinfo_hint(c->info, "Leave ON COMMIT out, and DROP the table or TRUNCATE it.");
        errinfo_position(c->info, c->token.offset + 1);
        return ERR_UNSUPPORTED;
    }
    TRY(cursor_next(c));
    return cursor_expect(c, "ROWS");
}

enum err parse_temp_table(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_CREATE_TEMP;
    s->tag = "CREATE TABLE";
    TRY(cursor_expect(c, "TABLE"));
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_name(c, &s->name));
    TRY(cursor_accept_operator(c, "(", &taken));
    TRY(taken ? parse_columns(c, s) : ERR_OK);
    TRY(parse_on_commit(c));
    TRY(cursor_accept(c, "as", &taken));
    if (taken) {
        return cursor_rest(c, "a query", &s->query);
    }
    if (s->column_count == 0) {
        return cursor_expected(c, "(columns) or AS a query");
    }
    return cursor_expect_end(c);
}

enum err parse_insert(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_INSERT;
    s->tag = "INSERT";
    TRY(cursor_expect(c, "INTO"));
    TRY(cursor_name(c, &s->name));
    struct cursor before = *c; /* (a, b) are columns, (SELECT ...) is the query */
    TRY(cursor_accept_operator(c, "(", &taken));
    bool is_query = token_is(&c->token, "select") || token_is(&c->token, "with") ||
                    token_is(&c->token, "values") || token_is_operator(&c->token, "(");
    *c = before;
    if (taken && !is_query) {
        TRY(cursor_name_list(c, &s->columns, &s->column_count));
    }
    return cursor_rest(c, "VALUES or a query", &s->query);
}

enum err parse_truncate(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_TRUNCATE;
    s->tag = "TRUNCATE TABLE";
    TRY(cursor_accept(c, "table", &taken));
    TRY(cursor_name(c, &s->name));
    TRY(cursor_accept(c, "cascade", &taken));
    TRY(taken ? ERR_OK : cursor_accept(c, "restrict", &taken));
    return cursor_expect_end(c);
}
