/* SHOW, CHECK ACCESS, DESCRIBE. */
#include "sql/statement_int.h"
#include "base/buf.h"

static enum err parse_like(struct cursor *c, struct statement *s)
{
    TRY(cursor_accept(c, "like", &s->has_like));
    return s->has_like ? cursor_string(c, "a pattern in single quotes", &s->like) : ERR_OK;
}

/* IN x or FROM x. */
static enum err parse_in(struct cursor *c, struct statement *s)
{
    TRY(cursor_accept(c, "in", &s->has_name));
    TRY(s->has_name ? ERR_OK : cursor_accept(c, "from", &s->has_name));
    return s->has_name ? cursor_name(c, &s->name) : ERR_OK;
}

static enum err parse_for_user(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "for", &taken));
    if (taken) {
        TRY(cursor_accept(c, "user", &taken));
        TRY(cursor_identifier(c, "a user", &s->for_user));
    }
    return cursor_expect_end(c);
}

static enum err parse_on(struct cursor *c, struct statement *s, bool is_required)
{
    TRY(cursor_accept(c, "on", &s->has_name));
    if (!s->has_name) {
        return is_required ? cursor_expected(c, "ON") : ERR_OK;
    }
    bool ignored;
    TRY(cursor_accept(c, "table", &ignored));
    return cursor_name(c, &s->name);
}

static enum err parse_show_create(struct cursor *c, struct statement *s)
{
    bool taken;
    s->show = SHOW_CREATE;
    s->has_name = true;
    TRY(cursor_accept(c, "schema", &taken));
    if (taken) {
        s->show = SHOW_CREATE_SCHEMA;
        TRY(cursor_schema(c, &s->name));
        return cursor_expect_end(c);
    }
    TRY(cursor_accept(c, "table", &taken));
    TRY(taken ? ERR_OK : cursor_accept(c, "view", &taken));
    if (!taken) {
        return cursor_expected(c, "TABLE, VIEW or SCHEMA");
    }
    TRY(cursor_name(c, &s->name));
    return cursor_expect_end(c);
}

static enum err parse_show_setting(struct cursor *c, struct statement *s)
{
    size_t start = c->token.offset;
    bool has_dot = true;
    struct slice ignored;
    s->show = SHOW_SETTING;
    while (has_dot) {
        TRY(cursor_identifier(c, "TABLES, GRANTS, ROLES ... or a setting", &ignored));
        TRY(cursor_accept_operator(c, ".", &has_dot));
    }
    s->setting = (struct slice){c->scanner.text.ptr + start, c->end - start};
    return cursor_expect_end(c);
}

const char *statement_suggest_show(struct slice word)
{
    static const char *const words[] = {"TABLES",       "SCHEMAS",  "CATALOGS",  "COLUMNS",
                                        "VIEWS",        "USERS",    "ROLES",     "FUNCTIONS",
                                        "GRANTS",       "ALL",      "DATABASES", "EFFECTIVE POLICY",
                                        "CREATE TABLE", "API KEYS", "LIMITS"};
    unsigned best = 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct slice first = {words[i], strcspn(words[i], " ")};
        unsigned distance = slice_edit_distance(first, word, best);
        if (distance < best) {
            best = distance;
            nearest = words[i];
        }
    }
    return nearest;
}

enum err parse_show(struct cursor *c, struct statement *s)
{
    static const struct {
        const char *word;
        enum show_kind show;
        bool takes_in;
    } lists[] = {
        {"tables", SHOW_TABLES, true},       {"schemas", SHOW_SCHEMAS, true},
        {"catalogs", SHOW_CATALOGS, false},  {"columns", SHOW_COLUMNS, true},
        {"views", SHOW_VIEWS, true},         {"users", SHOW_USERS, false},
        {"roles", SHOW_ROLES, false},        {"functions", SHOW_FUNCTIONS, false},
        {"databases", SHOW_CATALOGS, false},
    };
    bool taken;
    s->kind = STATEMENT_SHOW;
    s->tag = "SHOW";
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (token_is(&c->token, lists[i].word)) {
            s->show = lists[i].show;
            TRY(cursor_next(c));
            TRY(lists[i].takes_in ? parse_in(c, s) : ERR_OK);
            if (s->show == SHOW_COLUMNS && !s->has_name) {
                return cursor_expected(c, "IN table");
            }
            TRY(parse_like(c, s));
            return cursor_expect_end(c);
        }
    }
    TRY(cursor_accept(c, "grants", &taken));
    if (taken) {
        s->show = SHOW_GRANTS;
        TRY(parse_on(c, s, false));
        return cursor_expect_end(c);
    }
    TRY(cursor_accept(c, "limits", &taken));
    if (taken) {
        s->show = SHOW_LIMITS;
        return cursor_expect_end(c);
    }
    TRY(cursor_accept_api(c, &taken));
    if (taken) {
        s->show = SHOW_API_KEYS;
        TRY(cursor_expect(c, "KEYS"));
        return parse_for_user(c, s);
    }
    TRY(cursor_accept(c, "effective", &taken));
    if (taken) {
        s->show = SHOW_EFFECTIVE_POLICY;
        TRY(cursor_expect(c, "POLICY"));
        TRY(parse_on(c, s, true));
        return parse_for_user(c, s);
    }
    TRY(cursor_accept(c, "create", &taken));
    if (taken) {
        return parse_show_create(c, s);
    }
    TRY(cursor_accept(c, "all", &taken));
    if (taken) {
        s->show = SHOW_ALL_SETTINGS;
        return cursor_expect_end(c);
    }
    return parse_show_setting(c, s);
}

enum err parse_check(struct cursor *c, struct statement *s)
{
    bool ignored;
    s->kind = STATEMENT_CHECK_ACCESS;
    s->tag = "CHECK ACCESS";
    TRY(cursor_expect(c, "ACCESS"));
    TRY(cursor_accept(c, "select", &ignored));
    TRY(parse_on(c, s, true));
    return parse_for_user(c, s);
}

enum err parse_describe(struct cursor *c, struct statement *s)
{
    bool is_query = token_is(&c->token, "select") || token_is(&c->token, "with") ||
                    token_is(&c->token, "from") || token_is(&c->token, "values") ||
                    token_is(&c->token, "table") || token_is_operator(&c->token, "(");
    s->kind = STATEMENT_DESCRIBE;
    s->tag = "DESCRIBE";
    if (is_query) {
        return cursor_rest(c, "a query", &s->query);
    }
    s->has_name = true;
    TRY(cursor_name(c, &s->name));
    return cursor_expect_end(c);
}
