/* GRANT, DENY, REVOKE, in the forms of privileges and of roles. */
#include "sql/statement_int.h"
#include "base/buf.h"

#define MASKS_MAX 10000

#define ON_TABLES (1u | 4 | 8 | 16)
#define ON_SCHEMAS 2u
#define ALL_PRIVILEGES 31u

static const struct {
    const char *word;
    unsigned bits;
} privilege_words[] = {{"select", 1},  {"create", 2},  {"insert", 4},          {"update", 8},
                       {"delete", 16}, {"modify", 28}, {"all", ALL_PRIVILEGES}};

static enum err parse_privilege(struct cursor *c, struct statement_grant *g)
{
    for (size_t i = 0; i < ARRAY_COUNT(privilege_words); i++) {
        bool taken;
        TRY(cursor_accept(c, privilege_words[i].word, &taken));
        if (!taken) {
            continue;
        }
        unsigned bits = privilege_words[i].bits;
        bool has_columns = token_is_operator(&c->token, "(");
        g->privileges |= bits;
        if (has_columns && (bits & ON_TABLES) != 0 && bits != 1) {
            (void)errinfo_set(c->info, ERR_SYNTAX, NULL, "only SELECT is granted on columns");
            errinfo_position(c->info, c->token.offset + 1);
            errinfo_hint(c->info, "Who writes gives values to the columns that SELECT shows raw.");
            return ERR_SYNTAX;
        }
        if (bits == ALL_PRIVILEGES) {
            return cursor_accept(c, "privileges", &taken);
        }
        return has_columns && bits == 1 ? cursor_name_list(c, &g->columns, &g->column_count)
                                        : ERR_OK;
    }
    return cursor_expected(c, "SELECT, INSERT, UPDATE, DELETE, MODIFY, CREATE or ALL");
}

static enum err parse_privileges(struct cursor *c, struct statement_grant *g)
{
    bool has_more = true;
    while (has_more) {
        TRY(parse_privilege(c, g));
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    return ERR_OK;
}

static enum err parse_object(struct cursor *c, struct statement_grant *g)
{
    bool taken;
    TRY(cursor_expect(c, "ON"));
    TRY(cursor_accept(c, "schema", &taken));
    g->object_kind = taken ? OBJECT_SCHEMA : OBJECT_TABLE;
    if (!taken) {
        TRY(cursor_accept(c, "table", &taken));
        TRY(taken ? ERR_OK : cursor_accept(c, "view", &taken));
    }
    TRY(cursor_name(c, &g->object));
    unsigned has = g->object_kind == OBJECT_SCHEMA ? ON_SCHEMAS : ON_TABLES;
    if (g->privileges != ALL_PRIVILEGES && (g->privileges & ~has) != 0) {
        (void)errinfo_set(c->info, ERR_SYNTAX, NULL,
                          "SELECT is granted on a table or view, INSERT, UPDATE and DELETE on a "
                          "table, CREATE on a schema");
        errinfo_position(c->info, c->end);
        errinfo_hint(c->info,
                     "GRANT SELECT ON table TO ..., or GRANT CREATE ON SCHEMA schema TO ...");
        return ERR_SYNTAX;
    }
    return ERR_OK;
}

static enum err parse_grantee(struct cursor *c, struct statement_grant *g)
{
    bool is_user;
    TRY(cursor_accept(c, "role", &g->grantee_is_role));
    TRY(g->grantee_is_role ? ERR_OK : cursor_accept(c, "user", &is_user));
    g->grantee_kind_given = g->grantee_is_role || is_user;
    return cursor_identifier(c, "a user or role", &g->grantee);
}

static enum err parse_masks(struct cursor *c, struct statement_grant *g)
{
    struct buf masks CLEANUP(buf_fini) = {0};
    bool has_more = true;
    TRY(cursor_expect(c, "WITH"));
    TRY(cursor_expect_operator(c, "("));
    while (has_more) {
        struct statement_mask mask;
        TRY(cursor_identifier(c, "a column", &mask.column));
        TRY(cursor_expect_operator(c, "="));
        TRY(cursor_expression(c, NULL, 0, true, &mask.expression));
        buf_append(&masks, &mask, sizeof(mask));
        if (++g->mask_count > MASKS_MAX) {
            return errinfo_set(c->info, ERR_LIMIT, NULL, "a grant may have %d masks", MASKS_MAX);
        }
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    struct statement_mask *kept = arena_calloc(c->arena, g->mask_count, sizeof(*kept));
    if (buf_failed(&masks) || kept == NULL) {
        return errinfo_nomem(c->info);
    }
    memcpy(kept, masks.ptr, masks.len);
    g->masks = kept;
    return ERR_OK;
}

static enum err parse_conditions(struct cursor *c, struct statement_grant *g)
{
    static const char *const stops[] = {"masked"};
    while (c->token.kind != TOKEN_END) {
        bool taken;
        TRY(cursor_accept(c, "rows", &taken));
        if (taken && g->rows.len == 0) {
            TRY(cursor_expect(c, "WHERE"));
            TRY(cursor_expression(c, stops, ARRAY_COUNT(stops), false, &g->rows));
            continue;
        }
        if (!token_is(&c->token, "masked") || g->mask_count > 0) {
            return cursor_expected(c, g->is_deny ? "ROWS WHERE, once, or the end"
                                                 : "ROWS WHERE or MASKED WITH, each once");
        }
        if (g->is_deny) {
            return cursor_expected(c, "no masks: DENY takes a column or rows away");
        }
        TRY(cursor_next(c));
        TRY(parse_masks(c, g));
    }
    return ERR_OK;
}

static enum err parse_privilege_grant(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_GRANT;
    TRY(parse_privileges(c, &s->grant));
    TRY(parse_object(c, &s->grant));
    TRY(cursor_expect(c, "TO"));
    TRY(parse_grantee(c, &s->grant));
    return parse_conditions(c, &s->grant);
}

static bool starts_privilege(const struct token *token)
{
    for (size_t i = 0; i < ARRAY_COUNT(privilege_words); i++) {
        if (token_is(token, privilege_words[i].word)) {
            return true;
        }
    }
    return false;
}

/* r TO m, r FROM m: a role's membership. */
static enum err parse_membership(struct cursor *c, struct statement *s, const char *link)
{
    bool has_word;
    s->kind = STATEMENT_GRANT_ROLE;
    TRY(cursor_accept(c, "role", &has_word));
    static const char *const foreign[] = {"usage", "execute", "merge", "references", "truncate"};
    for (size_t i = 0; !has_word && i < ARRAY_COUNT(foreign); i++) {
        if (token_is(&c->token, foreign[i])) {
            return cursor_expected(
                c, "SELECT, INSERT, UPDATE, DELETE, MODIFY, CREATE, ALL, or a role");
        }
    }
    TRY(cursor_identifier(c, "a role", &s->role));
    if (token_is_operator(&c->token, ",")) {
        return cursor_expected(c, "one role: grant each by itself");
    }
    TRY(cursor_expect(c, link));
    TRY(parse_grantee(c, &s->grant));
    return cursor_expect_end(c);
}

enum err parse_grant(struct cursor *c, struct statement *s)
{
    bool is_privilege = starts_privilege(&c->token);
    s->tag = is_privilege ? "GRANT" : "GRANT ROLE";
    return is_privilege ? parse_privilege_grant(c, s) : parse_membership(c, s, "TO");
}

enum err parse_deny(struct cursor *c, struct statement *s)
{
    s->tag = "DENY";
    s->grant.is_deny = true;
    return parse_privilege_grant(c, s);
}

enum err parse_revoke(struct cursor *c, struct statement *s)
{
    bool is_key;
    TRY(cursor_accept_api(c, &is_key));
    if (is_key) {
        return parse_revoke_api_key(c, s);
    }
    TRY(cursor_accept(c, "deny", &s->grant.is_deny));
    if (!s->grant.is_deny && !starts_privilege(&c->token)) {
        s->tag = "REVOKE ROLE";
        s->is_revoke = true;
        return parse_membership(c, s, "FROM");
    }
    s->tag = "REVOKE";
    s->kind = STATEMENT_REVOKE;
    TRY(parse_privileges(c, &s->grant));
    TRY(parse_object(c, &s->grant));
    TRY(cursor_expect(c, "FROM"));
    TRY(parse_grantee(c, &s->grant));
    return cursor_expect_end(c);
}
