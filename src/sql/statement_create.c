/* CREATE, ATTACH, DROP, ALTER. */
#include "sql/statement_int.h"

static enum err parse_format(struct cursor *c, struct statement *s)
{
    static const struct {
        const char *word;
        enum relation_format format;
    } formats[] = {{"parquet", FORMAT_PARQUET}, {"csv", FORMAT_CSV}, {"json", FORMAT_JSON}};
    TRY(cursor_expect(c, "AS"));
    TRY(cursor_accept(c, "iceberg", &s->is_iceberg));
    if (s->is_iceberg) {
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (token_is(&c->token, formats[i].word)) {
            s->format = formats[i].format;
            s->format_given = true;
            return cursor_next(c);
        }
    }
    return cursor_expected(c, "PARQUET, CSV, JSON or ICEBERG");
}

static enum err parse_external_table(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_CREATE_TABLE;
    s->tag = "CREATE TABLE";
    TRY(cursor_expect(c, "TABLE"));
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_name(c, &s->name));
    while (c->token.kind != TOKEN_END) {
        bool taken;
        TRY(cursor_accept(c, "location", &taken));
        if (taken && s->location.len == 0) {
            TRY(cursor_string(c, "the files' location in single quotes", &s->location));
            continue;
        }
        TRY(cursor_accept(c, "stored", &taken));
        if (taken && !s->format_given && !s->is_iceberg) {
            TRY(parse_format(c, s));
            continue;
        }
        TRY(cursor_accept(c, "options", &taken));
        if (!taken || s->option_count > 0) {
            return cursor_expected(c, "LOCATION, STORED AS or OPTIONS, each once");
        }
        TRY(cursor_options(c, &s->options, &s->option_count));
    }
    return s->location.len > 0 ? ERR_OK : cursor_expected(c, "LOCATION 'files'");
}

static enum err parse_security_word(struct cursor *c, struct statement *s)
{
    TRY(cursor_accept(c, "definer", &s->is_definer));
    return s->is_definer ? ERR_OK : cursor_expect(c, "INVOKER");
}

/* SECURITY DEFINER, or as PostgreSQL has it WITH (security_invoker = false): its default is the
 * other way round. */
static enum err parse_security(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "security", &taken));
    if (taken) {
        return parse_security_word(c, s);
    }
    TRY(cursor_accept(c, "with", &taken));
    if (!taken) {
        return ERR_OK;
    }
    TRY(cursor_expect_operator(c, "("));
    TRY(cursor_accept(c, "security", &taken));
    if (taken) {
        TRY(cursor_expect_operator(c, "="));
        TRY(parse_security_word(c, s));
        return cursor_expect_operator(c, ")");
    }
    TRY(cursor_expect(c, "SECURITY_INVOKER"));
    TRY(cursor_accept_operator(c, "=", &taken));
    if (taken) {
        TRY(cursor_accept(c, "false", &s->is_definer));
        TRY(s->is_definer ? ERR_OK : cursor_expect(c, "TRUE"));
    }
    return cursor_expect_operator(c, ")");
}

static enum err parse_view(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_CREATE_VIEW;
    s->tag = "CREATE VIEW";
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_name(c, &s->name));
    if (token_is_operator(&c->token, "(")) {
        TRY(cursor_name_list(c, &s->columns, &s->column_count));
    }
    TRY(parse_security(c, s));
    TRY(cursor_expect(c, "AS"));
    return cursor_rest(c, "a query", &s->query);
}

/* COMMENT ON TABLE | VIEW name, or COLUMN name.column, IS 'text' | NULL */
enum err parse_comment(struct cursor *c, struct statement *s)
{
    bool is_table;
    bool is_view = false;
    bool is_null;
    s->kind = STATEMENT_COMMENT;
    s->tag = "COMMENT";
    s->object_kind = OBJECT_TABLE;
    TRY(cursor_expect(c, "ON"));
    TRY(cursor_accept(c, "table", &is_table));
    TRY(is_table ? ERR_OK : cursor_accept(c, "view", &is_view));
    if (is_table || is_view) {
        s->object_kind = is_view ? OBJECT_VIEW : OBJECT_TABLE;
        TRY(cursor_name(c, &s->name));
    } else {
        if (!token_is(&c->token, "column")) {
            return cursor_expected(c, "TABLE, VIEW or COLUMN");
        }
        TRY(cursor_next(c));
        TRY(cursor_column(c, &s->name, &s->column));
    }
    TRY(cursor_expect(c, "IS"));
    TRY(cursor_accept(c, "null", &is_null));
    TRY(is_null ? ERR_OK : cursor_string(c, "a comment in single quotes", &s->comment));
    return cursor_expect_end(c);
}

static enum err parse_password(struct cursor *c, struct statement *s, bool *ret_given)
{
    bool has_with;
    TRY(cursor_accept(c, "with", &has_with));
    TRY(cursor_accept(c, "password", ret_given));
    if (!*ret_given) {
        return has_with ? cursor_expected(c, "PASSWORD") : ERR_OK;
    }
    s->password_given = true;
    c->is_secret = true;
    return cursor_string(c, "the password in single quotes", &s->password);
}

static enum err parse_principal(struct cursor *c, struct statement *s, bool is_role)
{
    s->kind = STATEMENT_CREATE_PRINCIPAL;
    s->tag = is_role ? "CREATE ROLE" : "CREATE USER";
    s->object_kind = is_role ? OBJECT_ROLE : OBJECT_USER;
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_identifier(c, "a name", &s->name.name));
    bool ignored;
    TRY(is_role ? ERR_OK : parse_password(c, s, &ignored));
    return cursor_expect_end(c);
}

static enum err parse_schema(struct cursor *c, struct statement *s)
{
    bool has_properties;
    s->kind = STATEMENT_CREATE_SCHEMA;
    s->tag = "CREATE SCHEMA";
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_schema(c, &s->name));
    TRY(cursor_accept(c, "with", &has_properties));
    TRY(has_properties ? cursor_options(c, &s->options, &s->option_count) : ERR_OK);
    return cursor_expect_end(c);
}

/* SET (name = value, ...) | UNSET (name, ...) */
static enum err parse_set_options(struct cursor *c, struct statement *s, const char *wanted)
{
    bool taken;
    TRY(cursor_accept(c, "set", &taken));
    if (taken) {
        TRY(cursor_options(c, &s->options, &s->option_count));
        return cursor_expect_end(c);
    }
    TRY(cursor_accept(c, "unset", &taken));
    if (!taken) {
        return cursor_expected(c, wanted);
    }
    const struct slice *names;
    TRY(cursor_name_list(c, &names, &s->option_count));
    struct relation_option *options = arena_calloc(c->arena, s->option_count, sizeof(*options));
    if (options == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < s->option_count; i++) {
        options[i].name = names[i];
    }
    s->options = options;
    return cursor_expect_end(c);
}

static enum err parse_alter_schema(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_ALTER_SCHEMA;
    s->tag = "ALTER SCHEMA";
    TRY(cursor_schema(c, &s->name));
    return parse_set_options(c, s, "SET (property = value, ...) or UNSET (property, ...)");
}

static enum err parse_limits(struct cursor *c, struct statement *s, enum object_kind kind)
{
    s->kind = STATEMENT_ALTER_LIMITS;
    s->object_kind = kind;
    return parse_set_options(c, s, "SET (limit = value, ...) or UNSET (limit, ...)");
}

static enum err parse_alter_role(struct cursor *c, struct statement *s)
{
    s->tag = "ALTER ROLE";
    TRY(cursor_identifier(c, "a role", &s->name.name));
    return parse_limits(c, s, OBJECT_ROLE);
}

enum err parse_create(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "or", &s->or_replace));
    if (s->or_replace) {
        TRY(cursor_expect(c, "REPLACE"));
    }
    TRY(cursor_accept(c, "external", &taken));
    if (taken) {
        return parse_external_table(c, s);
    }
    TRY(cursor_accept(c, "view", &taken));
    if (taken) {
        return parse_view(c, s);
    }
    TRY(cursor_accept_api(c, &taken));
    if (taken) {
        return s->or_replace ? cursor_expected(c, "EXTERNAL TABLE or VIEW")
                             : parse_create_api_key(c, s);
    }
    bool is_temp = token_is(&c->token, "temp") || token_is(&c->token, "temporary");
    if (is_temp) {
        TRY(cursor_next(c));
    }
    if (is_temp && token_is(&c->token, "table")) {
        return s->or_replace ? cursor_expected(c, "EXTERNAL TABLE or VIEW")
                             : parse_temp_table(c, s);
    }
    if (!is_temp && token_is(&c->token, "table")) {
        return parse_managed_table(c, s);
    }
    bool is_schema = token_is(&c->token, "schema");
    bool is_role = token_is(&c->token, "role");
    bool is_user = token_is(&c->token, "user");
    if (is_schema || is_role || is_user) {
        if (s->or_replace) {
            return cursor_expected(c, "EXTERNAL TABLE or VIEW");
        }
        TRY(cursor_next(c));
        return is_schema ? parse_schema(c, s) : parse_principal(c, s, is_role);
    }
    static const char *const others[] = {
        "macro",  "function", "type",    "secret",       "persistent", "sequence", "index",
        "unique", "database", "trigger", "materialized", "recursive",  "view"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (is_temp || token_is(&c->token, others[i])) {
            s->kind = STATEMENT_REFUSED;
            s->tag = s->refused_word = "this form of CREATE";
            return ERR_OK;
        }
    }
    return cursor_expected(c, "EXTERNAL TABLE, VIEW, SCHEMA, USER, ROLE or API KEY");
}

enum err parse_attach(struct cursor *c, struct statement *s)
{
    bool ignored;
    s->kind = STATEMENT_ATTACH;
    s->tag = "ATTACH";
    TRY(cursor_accept(c, "or", &s->or_replace));
    if (s->or_replace) {
        TRY(cursor_expect(c, "REPLACE"));
    }
    TRY(cursor_accept(c, "catalog", &ignored));
    TRY(ignored ? ERR_OK : cursor_accept(c, "database", &ignored));
    TRY(cursor_if_exists(c, true, &s->if_not_exists));
    TRY(cursor_string(c, "the catalog's location in single quotes", &s->location));
    TRY(cursor_expect(c, "AS"));
    TRY(cursor_identifier(c, "a name", &s->name.name));
    if (!token_is_operator(&c->token, "(")) {
        return cursor_expected(c, "(TYPE iceberg_local | hadoop | static)");
    }
    TRY(cursor_options(c, &s->options, &s->option_count));
    return cursor_expect_end(c);
}

enum err parse_detach(struct cursor *c, struct statement *s)
{
    bool ignored;
    s->kind = STATEMENT_DETACH;
    s->tag = "DETACH";
    TRY(cursor_accept(c, "catalog", &ignored));
    TRY(ignored ? ERR_OK : cursor_accept(c, "database", &ignored));
    TRY(cursor_if_exists(c, false, &s->if_exists));
    TRY(cursor_identifier(c, "a name", &s->name.name));
    return cursor_expect_end(c);
}

static enum err parse_kind(struct cursor *c, enum object_kind *ret_kind)
{
    static const struct {
        const char *word;
        enum object_kind kind;
    } kinds[] = {{"table", OBJECT_TABLE},
                 {"view", OBJECT_VIEW},
                 {"schema", OBJECT_SCHEMA},
                 {"user", OBJECT_USER},
                 {"role", OBJECT_ROLE}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (token_is(&c->token, kinds[i].word)) {
            *ret_kind = kinds[i].kind;
            return cursor_next(c);
        }
    }
    return cursor_expected(c, "TABLE, VIEW, SCHEMA, USER or ROLE");
}

enum err parse_drop(struct cursor *c, struct statement *s)
{
    static const char *const tags[] = {[OBJECT_TABLE] = "DROP TABLE",
                                       [OBJECT_VIEW] = "DROP VIEW",
                                       [OBJECT_SCHEMA] = "DROP SCHEMA",
                                       [OBJECT_USER] = "DROP USER",
                                       [OBJECT_ROLE] = "DROP ROLE"};
    bool external;
    bool taken;
    s->kind = STATEMENT_DROP;
    TRY(cursor_accept(c, "external", &external));
    if (external && !token_is(&c->token, "table")) {
        return cursor_expected(c, "TABLE");
    }
    TRY(parse_kind(c, &s->object_kind));
    s->tag = tags[s->object_kind];
    TRY(cursor_if_exists(c, false, &s->if_exists));
    if (s->object_kind == OBJECT_TABLE || s->object_kind == OBJECT_VIEW) {
        TRY(cursor_name(c, &s->name));
    } else if (s->object_kind == OBJECT_SCHEMA) {
        TRY(cursor_schema(c, &s->name));
    } else {
        TRY(cursor_identifier(c, "a name", &s->name.name));
    }
    TRY(cursor_accept(c, "cascade", &s->cascade));
    TRY(s->cascade ? ERR_OK : cursor_accept(c, "restrict", &taken));
    TRY(s->object_kind == OBJECT_TABLE ? cursor_accept(c, "purge", &s->is_purge) : ERR_OK);
    return cursor_expect_end(c);
}

static enum err parse_alter_user(struct cursor *c, struct statement *s)
{
    bool has_set;
    bool taken;
    s->kind = STATEMENT_ALTER_USER;
    s->tag = "ALTER USER";
    TRY(cursor_identifier(c, "a user", &s->name.name));
    TRY(parse_password(c, s, &taken));
    if (taken) {
        return cursor_expect_end(c);
    }
    struct cursor before = *c;
    TRY(cursor_accept(c, "set", &has_set));
    TRY(has_set ? ERR_OK : cursor_accept(c, "unset", &taken));
    if ((has_set || taken) && token_is_operator(&c->token, "(")) {
        *c = before;
        return parse_limits(c, s, OBJECT_USER);
    }
    if (!has_set && !taken) {
        return cursor_expected(c, "SET (limit = value), SET ATTRIBUTE, UNSET or PASSWORD");
    }
    TRY(cursor_expect(c, "ATTRIBUTE"));
    TRY(cursor_identifier(c, "an attribute", &s->attribute));
    s->set_attribute = has_set;
    if (has_set) {
        TRY(cursor_expect_operator(c, "="));
        TRY(cursor_string(c, "its value in single quotes", &s->attribute_value));
    }
    return cursor_expect_end(c);
}

enum err parse_alter(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "external", &taken));
    if (taken && !token_is(&c->token, "table")) {
        return cursor_expected(c, "TABLE");
    }
    s->tag = "ALTER TABLE";
    TRY(cursor_accept(c, "table", &taken));
    if (!taken) {
        TRY(cursor_accept(c, "view", &taken));
        s->tag = "ALTER VIEW";
    }
    if (taken) {
        return parse_alter_table(c, s);
    }
    TRY(cursor_accept(c, "user", &taken));
    if (taken) {
        return parse_alter_user(c, s);
    }
    TRY(cursor_accept(c, "role", &taken));
    if (taken) {
        return parse_alter_role(c, s);
    }
    TRY(cursor_accept(c, "schema", &taken));
    if (taken) {
        return parse_alter_schema(c, s);
    }
    if (token_is(&c->token, "database") || token_is(&c->token, "sequence")) {
        s->kind = STATEMENT_REFUSED;
        s->tag = s->refused_word = "this form of ALTER";
        return ERR_OK;
    }
    return cursor_expected(c, "TABLE, VIEW, SCHEMA, USER or ROLE");
}
