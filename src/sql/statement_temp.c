/* What is written to: CREATE TEMP TABLE, INSERT, UPDATE, DELETE, TRUNCATE. */
#include "base/buf.h"
#include "sql/statement_int.h"

/* ---- constraints ---- */

static enum err refuse_constraint(struct cursor *c)
{
    (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s\" is no constraint that a temporary table has",
                      SLICE_ARGS(c->token.text));
    errinfo_hint(c->info, "It has NOT NULL, DEFAULT, CHECK, UNIQUE, PRIMARY KEY and GENERATED ... "
                          "AS IDENTITY, each checked at once.");
    errinfo_position(c->info, c->token.offset + 1);
    return ERR_UNSUPPORTED;
}

static enum err add_rule(struct cursor *c, struct buf *rules, const struct temp_rule *rule)
{
    buf_append(rules, rule, sizeof(*rule));
    return buf_failed(rules) ? errinfo_nomem(c->info) : ERR_OK;
}

static enum err parse_check_rule(struct cursor *c, struct temp_rule *rule)
{
    rule->kind = RULE_CHECK;
    TRY(cursor_expect_operator(c, "("));
    TRY(cursor_expression(c, NULL, 0, false, &rule->expression));
    return cursor_expect_operator(c, ")");
}

/* {ALWAYS | BY DEFAULT} AS IDENTITY [(options)] */
static enum err parse_identity(struct cursor *c, struct temp_rule *rule)
{
    bool taken;
    struct slice ignored;
    rule->kind = RULE_SERIAL;
    rule->next = 1;
    TRY(cursor_accept(c, "always", &taken));
    if (!taken) {
        TRY(cursor_expect(c, "BY"));
        TRY(cursor_expect(c, "DEFAULT"));
    }
    TRY(cursor_expect(c, "AS"));
    if (!token_is(&c->token, "identity")) {
        return refuse_constraint(c);
    }
    TRY(cursor_next(c));
    if (token_is_operator(&c->token, "(")) {
        TRY(cursor_next(c));
        TRY(cursor_expression(c, NULL, 0, false, &ignored));
        return refuse_constraint(c);
    }
    return ERR_OK;
}

/* Behind the type of a column; `ret_taken` false: there is none. */
static enum err parse_column_rule(struct cursor *c, const struct slice *column, struct buf *rules,
                                  bool *ret_taken)
{
    static const char *const ends[] = {"not",        "primary",    "unique",    "check",
                                       "references", "constraint", "generated", "collate"};
    struct temp_rule rule = {.columns = column, .column_count = 1};
    bool taken;
    TRY(cursor_accept(c, "constraint", &taken));
    if (taken) {
        TRY(cursor_identifier(c, "a constraint", &rule.name));
    }
    *ret_taken = true;
    TRY(cursor_accept(c, "not", &taken));
    if (taken) {
        rule.kind = RULE_NOT_NULL;
        TRY(cursor_expect(c, "NULL"));
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "null", &taken));
    if (taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "default", &taken));
    if (taken) {
        rule.kind = RULE_DEFAULT;
        TRY(cursor_expression(c, ends, ARRAY_COUNT(ends), true, &rule.expression));
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "check", &taken));
    if (taken) {
        TRY(parse_check_rule(c, &rule));
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "primary", &taken));
    if (taken) {
        rule.kind = RULE_PRIMARY_KEY;
        TRY(cursor_expect(c, "KEY"));
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "unique", &taken));
    if (taken) {
        rule.kind = RULE_UNIQUE;
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "generated", &taken));
    if (taken) {
        TRY(parse_identity(c, &rule));
        return add_rule(c, rules, &rule);
    }
    *ret_taken = false;
    return ERR_OK;
}

static bool begins_table_rule(const struct token *token)
{
    static const char *const words[] = {"constraint", "primary", "unique", "check",
                                        "foreign",    "exclude", "like"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (token_is(token, words[i])) {
            return true;
        }
    }
    return false;
}

static enum err parse_table_rule(struct cursor *c, struct buf *rules)
{
    struct temp_rule rule = {0};
    bool taken;
    TRY(cursor_accept(c, "constraint", &taken));
    if (taken) {
        TRY(cursor_identifier(c, "a constraint", &rule.name));
    }
    TRY(cursor_accept(c, "check", &taken));
    if (taken) {
        TRY(parse_check_rule(c, &rule));
        return add_rule(c, rules, &rule);
    }
    TRY(cursor_accept(c, "primary", &taken));
    rule.kind = taken ? RULE_PRIMARY_KEY : RULE_UNIQUE;
    if (taken) {
        TRY(cursor_expect(c, "KEY"));
    } else {
        TRY(cursor_accept(c, "unique", &taken));
        if (!taken) {
            return refuse_constraint(c);
        }
    }
    TRY(cursor_name_list(c, &rule.columns, &rule.column_count));
    return add_rule(c, rules, &rule);
}

/* ---- columns ---- */

/* serial and its like are integers that number themselves. */
static enum err parse_serial(struct cursor *c, const struct slice *column, struct slice *type,
                             struct buf *rules)
{
    static const char *const serials[][2] = {
        {"serial", "INTEGER"}, {"serial4", "INTEGER"},      {"bigserial", "BIGINT"},
        {"serial8", "BIGINT"}, {"smallserial", "SMALLINT"}, {"serial2", "SMALLINT"},
    };
    struct temp_rule rule = {.kind = RULE_SERIAL, .columns = column, .column_count = 1, .next = 1};
    for (size_t i = 0; i < ARRAY_COUNT(serials); i++) {
        if (slice_equal_fold(*type, slice_of(serials[i][0]))) {
            *type = slice_of(serials[i][1]);
            return add_rule(c, rules, &rule);
        }
    }
    return ERR_OK;
}

/* What the type keeps is what it says: the engine's has no length. */
static enum err parse_length(struct cursor *c, const struct slice *column, struct slice type,
                             struct buf *rules)
{
    static const struct {
        const char *words[2];
        const char *name;
    } types[] = {{{"character", "varying"}, "character varying"},
                 {{"char", "varying"}, "character varying"},
                 {{"varchar", NULL}, "character varying"},
                 {{"bit", "varying"}, "bit varying"},
                 {{"varbit", NULL}, "bit varying"},
                 {{"character", NULL}, "character"},
                 {{"char", NULL}, "character"},
                 {{"bpchar", NULL}, "character"},
                 {{"bit", NULL}, "bit"}};
    struct temp_rule rule = {.kind = RULE_LENGTH, .columns = column, .column_count = 1};
    struct scanner scanner;
    struct token tokens[6];
    scanner_init(&scanner, type);
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        TRY(scanner_next(&scanner, &tokens[i], c->info));
    }
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        size_t words = types[i].words[1] == NULL ? 1 : 2;
        if (token_is(&tokens[0], types[i].words[0]) &&
            (words == 1 || token_is(&tokens[1], types[i].words[1])) &&
            token_is_operator(&tokens[words], "(") &&
            slice_to_u64(tokens[words + 1].text, &rule.length) &&
            tokens[words + 3].kind == TOKEN_END) { /* and no list of them */
            rule.expression = slice_of(types[i].name);
            return add_rule(c, rules, &rule);
        }
    }
    return ERR_OK;
}

static enum err parse_column(struct cursor *c, struct buf *names, struct buf *types,
                             struct buf *rules)
{
    static const char *const constraints[] = {"not",     "null",  "primary",    "unique",
                                              "default", "check", "references", "constraint",
                                              "collate", "as",    "generated"};
    struct slice *name = arena_calloc(c->arena, 1, sizeof(*name));
    struct slice type = {"", 0};
    if (name == NULL) {
        return errinfo_nomem(c->info);
    }
    TRY(cursor_identifier(c, "a column", name));
    bool is_bare = token_is_operator(&c->token, ",") || token_is_operator(&c->token, ")");
    if (!is_bare) {
        bool taken = true;
        TRY(cursor_expression(c, constraints, ARRAY_COUNT(constraints), true, &type));
        TRY(parse_serial(c, name, &type, rules));
        TRY(parse_length(c, name, type, rules));
        while (taken) {
            TRY(parse_column_rule(c, name, rules, &taken));
        }
    }
    if (!token_is_operator(&c->token, ",") && !token_is_operator(&c->token, ")")) {
        return refuse_constraint(c);
    }
    buf_append(names, name, sizeof(*name));
    buf_append(types, &type, sizeof(type));
    return ERR_OK;
}

/* a INTEGER, ... | a, ... behind the bracket; types are slices, empty where none is given. */
static enum err parse_columns(struct cursor *c, struct statement *s)
{
    struct buf names CLEANUP(buf_fini) = {0};
    struct buf types CLEANUP(buf_fini) = {0};
    struct buf rules CLEANUP(buf_fini) = {0};
    bool has_more = true;
    while (has_more) {
        if (s->column_count > 0 && begins_table_rule(&c->token)) {
            TRY(parse_table_rule(c, &rules));
        } else {
            TRY(parse_column(c, &names, &types, &rules));
            s->column_count++;
        }
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    struct slice *kept = arena_calloc(c->arena, s->column_count * 2, sizeof(*kept));
    s->rule_count = rules.len / sizeof(struct temp_rule);
    struct temp_rule *kept_rules = arena_calloc(c->arena, s->rule_count + 1, sizeof(*kept_rules));
    if (kept == NULL || kept_rules == NULL || buf_failed(&names) || buf_failed(&types)) {
        return errinfo_nomem(c->info);
    }
    memcpy(kept, names.ptr, names.len);
    memcpy(kept + s->column_count, types.ptr, types.len);
    if (rules.len > 0) {
        memcpy(kept_rules, rules.ptr, rules.len);
    }
    s->columns = kept;
    s->types = kept + s->column_count;
    s->rules = kept_rules;
    return ERR_OK;
}

static enum err parse_on_commit(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "on", &taken));
    if (!taken) {
        return ERR_OK;
    }
    TRY(cursor_expect(c, "COMMIT"));
    TRY(cursor_accept(c, "drop", &s->is_dropped_on_commit));
    if (s->is_dropped_on_commit) {
        return ERR_OK;
    }
    if (!token_is(&c->token, "preserve")) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "rows of temporary tables outlast a transaction, or go with the table");
        errinfo_hint(c->info, "Say ON COMMIT DROP, or TRUNCATE the table.");
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
    TRY(parse_on_commit(c, s));
    TRY(cursor_accept(c, "as", &taken));
    if (taken) {
        return cursor_rest(c, "a query", &s->query);
    }
    if (s->column_count == 0) {
        return cursor_expected(c, "(columns) or AS a query");
    }
    return cursor_expect_end(c);
}

enum err parse_returning(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "returning", &taken));
    return taken ? cursor_rest(c, "columns", &s->returning) : cursor_expect_end(c);
}

enum err parse_insert(struct cursor *c, struct statement *s)
{
    static const char *const ends[] = {"returning", "conflict"};
    bool taken;
    s->kind = STATEMENT_INSERT;
    s->tag = "INSERT";
    TRY(cursor_accept(c, "overwrite", &s->is_overwrite));
    if (s->is_overwrite) { /* in other engines' words: INSERT OVERWRITE [INTO | TABLE] */
        TRY(cursor_accept(c, "into", &taken));
        TRY(cursor_accept(c, "table", &taken));
    } else {
        TRY(cursor_expect(c, "INTO"));
    }
    TRY(cursor_name(c, &s->name));
    struct cursor before = *c; /* (a, b) are columns, (SELECT ...) is the query */
    TRY(cursor_accept_operator(c, "(", &taken));
    bool is_query = token_is(&c->token, "select") || token_is(&c->token, "with") ||
                    token_is(&c->token, "values") || token_is_operator(&c->token, "(");
    *c = before;
    if (taken && !is_query) {
        TRY(cursor_name_list(c, &s->columns, &s->column_count));
    }
    TRY(cursor_accept(c, "by", &s->is_by_name));
    TRY(s->is_by_name ? cursor_expect(c, "NAME") : ERR_OK);
    if (s->is_by_name && s->column_count > 0) {
        return cursor_expected(c, "a list of columns or BY NAME, not both");
    }
    if (!s->is_by_name && token_is(&c->token, "default")) {
        TRY(cursor_next(c));
        TRY(cursor_expect(c, "VALUES"));
        s->has_default_values = true;
    } else {
        TRY(cursor_expression(c, ends, ARRAY_COUNT(ends), false, &s->query));
    }
    if (token_is(&c->token, "conflict")) {
        return refuse_constraint(c);
    }
    return parse_returning(c, s);
}

/* [AS] name, before one of the words that go on */
static enum err parse_alias(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "as", &taken));
    bool is_there = taken || (c->token.kind == TOKEN_QUOTED) ||
                    (c->token.kind == TOKEN_WORD && !token_is(&c->token, "set") &&
                     !token_is(&c->token, "where") && !token_is(&c->token, "returning") &&
                     !token_is(&c->token, "using"));
    return is_there ? cursor_identifier(c, "an alias", &s->alias) : ERR_OK;
}

static enum err parse_where(struct cursor *c, struct statement *s)
{
    static const char *const ends[] = {"returning"};
    bool taken;
    TRY(cursor_accept(c, "where", &taken));
    TRY(taken ? cursor_expression(c, ends, ARRAY_COUNT(ends), false, &s->where) : ERR_OK);
    return parse_returning(c, s);
}

/* What would end a FROM clause: it goes into a SELECT of Moat's own, and must stay its FROM. */
static const char *const from_ends[] = {"where",  "returning", "union",  "intersect", "except",
                                        "order",  "limit",     "offset", "group",     "having",
                                        "window", "qualify",   "fetch"};

enum err parse_update(struct cursor *c, struct statement *s)
{
    static const char *const ends[] = {"from", "where", "returning"};
    struct statement_assignments set;
    bool taken;
    s->kind = STATEMENT_UPDATE;
    s->tag = "UPDATE";
    TRY(cursor_name(c, &s->name));
    TRY(parse_alias(c, s));
    TRY(cursor_expect(c, "SET"));
    TRY(parse_assignments(c, ends, ARRAY_COUNT(ends), &set));
    s->columns = set.columns;
    s->paths = set.paths;
    s->types = set.values;
    s->column_count = set.count;
    TRY(cursor_accept(c, "from", &taken));
    TRY(taken ? cursor_expression(c, from_ends, ARRAY_COUNT(from_ends), false, &s->using_list)
              : ERR_OK);
    return parse_where(c, s);
}

enum err parse_delete(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_DELETE;
    s->tag = "DELETE";
    TRY(cursor_expect(c, "FROM"));
    TRY(cursor_name(c, &s->name));
    TRY(parse_alias(c, s));
    TRY(cursor_accept(c, "using", &taken));
    TRY(taken ? cursor_expression(c, from_ends, ARRAY_COUNT(from_ends), false, &s->using_list)
              : ERR_OK);
    return parse_where(c, s);
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
