/* GRANT, DENY, REVOKE, in the forms of privileges and of roles. */
#include "sql/statement_int.h"
#include "base/buf.h"

#define MASKS_MAX 10000

static enum err parse_privilege(struct cursor *c, struct statement_grant *g)
{
    bool taken;
    TRY(cursor_accept(c, "select", &taken));
    if (taken) {
        g->privileges |= 1;
        return token_is_operator(&c->token, "(")
                   ? cursor_name_list(c, &g->columns, &g->column_count)
                   : ERR_OK;
    }
    TRY(cursor_accept(c, "create", &taken));
    if (taken) {
        g->privileges |= 2;
        return ERR_OK;
    }
    TRY(cursor_accept(c, "all", &taken));
    if (!taken) {
        return cursor_expected(c, "SELECT, CREATE or ALL");
    }
    g->privileges |= 3;
    return cursor_accept(c, "privileges", &taken);
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
    if (g->privileges == 3) { /* ALL is all that the object can be granted */
        g->privileges = g->object_kind == OBJECT_SCHEMA ? 2 : 1;
    }
    if (g->object_kind == OBJECT_SCHEMA ? g->privileges != 2 : g->privileges != 1) {
        (void)errinfo_set(c->info, ERR_SYNTAX, NULL,
                          "SELECT is granted on a table or view, CREATE on a schema");
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
    TRY(parse_privilege(c, &s->grant));
    TRY(parse_object(c, &s->grant));
    TRY(cursor_expect(c, "TO"));
    TRY(parse_grantee(c, &s->grant));
    return parse_conditions(c, &s->grant);
}

static bool starts_privilege(const struct token *token)
{
    return token_is(token, "select") || token_is(token, "create") || token_is(token, "all");
}

/* r TO m, r FROM m: a role's membership. */
static enum err parse_membership(struct cursor *c, struct statement *s, const char *link)
{
    bool has_word;
    s->kind = STATEMENT_GRANT_ROLE;
    TRY(cursor_accept(c, "role", &has_word));
    static const char *const foreign[] = {"insert",  "update", "delete",     "usage",
                                          "execute", "merge",  "references", "truncate"};
    for (size_t i = 0; !has_word && i < ARRAY_COUNT(foreign); i++) {
        if (token_is(&c->token, foreign[i])) {
            return cursor_expected(c, "SELECT, CREATE, ALL, or a role");
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
    TRY(parse_privilege(c, &s->grant));
    TRY(parse_object(c, &s->grant));
    TRY(cursor_expect(c, "FROM"));
    TRY(parse_grantee(c, &s->grant));
    return cursor_expect_end(c);
}
