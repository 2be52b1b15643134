/* ALTER TABLE | VIEW: several actions after each other, parted by commas, are one change. */
#include "sql/statement_int.h"

#define ACTIONS_MAX 1000
#define MS_PER_MINUTE INT64_C(60000)

/* ---- parts ---- */

static enum err parse_column_path(struct cursor *c, const struct slice **ret_path,
                                  size_t *ret_count)
{
    struct buf parts CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_dot = true;
    *ret_count = 0;
    while (has_dot) {
        struct slice name;
        TRY(cursor_identifier(c, "a column", &name));
        buf_append(&parts, &name, sizeof(name));
        ++*ret_count;
        TRY(cursor_accept_operator(c, ".", &has_dot));
    }
    TRY(cursor_keep(c, &parts, &kept));
    *ret_path = kept;
    return ERR_OK;
}

static enum err parse_position(struct cursor *c, struct statement_alter *a, bool *ret_taken)
{
    TRY(cursor_accept(c, "first", ret_taken));
    if (*ret_taken) {
        a->at = ALTER_FIRST;
        return ERR_OK;
    }
    TRY(cursor_accept(c, "after", ret_taken));
    if (!*ret_taken) {
        return ERR_OK;
    }
    a->at = ALTER_AFTER;
    return cursor_identifier(c, "a column", &a->after);
}

static enum err parse_type(struct cursor *c, struct slice *ret_type)
{
    static const char *const stops[] = {"not",     "null",   "default", "comment",
                                        "first",   "after",  "using",   "constraint",
                                        "primary", "unique", "check",   "references"};
    return c->token.kind == TOKEN_END
               ? cursor_expected(c, "a type")
               : cursor_expression(c, stops, ARRAY_COUNT(stops), true, ret_type);
}

static enum err parse_literal_or_null(struct cursor *c, struct slice *ret_literal)
{
    TRY(cursor_literal(c, ret_literal));
    if (slice_equal_fold(*ret_literal, SLICE("null"))) {
        *ret_literal = (struct slice){"", 0};
    }
    return ERR_OK;
}

/* Behind the type; `ret_taken` false: there is no more. */
static enum err parse_detail(struct cursor *c, struct statement_alter *a, bool *ret_taken)
{
    TRY(cursor_accept(c, "not", ret_taken));
    if (*ret_taken) {
        a->is_required = true;
        return cursor_expect(c, "NULL");
    }
    TRY(cursor_accept(c, "null", ret_taken));
    if (*ret_taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "default", ret_taken));
    if (*ret_taken) {
        return parse_literal_or_null(c, &a->default_value);
    }
    TRY(cursor_accept(c, "comment", ret_taken));
    return *ret_taken ? cursor_string(c, "a comment in single quotes", &a->comment)
                      : parse_position(c, a, ret_taken);
}

/* ---- columns ---- */

static enum err parse_add_column(struct cursor *c, struct statement_alter *a)
{
    bool taken = true;
    a->kind = ALTER_ADD_COLUMN;
    TRY(cursor_if_exists(c, true, &a->if_not_exists));
    TRY(parse_column_path(c, &a->path, &a->path_count));
    TRY(parse_type(c, &a->type));
    while (taken) {
        TRY(parse_detail(c, a, &taken));
    }
    return ERR_OK;
}

static enum err parse_comment_text(struct cursor *c, struct statement_alter *a)
{
    bool is_null;
    a->kind = ALTER_COLUMN_COMMENT;
    TRY(cursor_accept(c, "null", &is_null));
    return is_null ? ERR_OK : cursor_string(c, "a comment in single quotes", &a->comment);
}

static enum err parse_set_column(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "not", &taken));
    if (taken) {
        a->kind = ALTER_SET_REQUIRED;
        return cursor_expect(c, "NULL");
    }
    TRY(cursor_accept(c, "default", &taken));
    if (taken) {
        a->kind = ALTER_SET_DEFAULT;
        return parse_literal_or_null(c, &a->default_value);
    }
    TRY(cursor_accept(c, "data", &taken));
    TRY(cursor_expect(c, "TYPE"));
    a->kind = ALTER_TYPE;
    return parse_type(c, &a->type);
}

static enum err parse_change_column(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(parse_column_path(c, &a->path, &a->path_count));
    TRY(cursor_accept(c, "set", &taken));
    if (taken) {
        return parse_set_column(c, a);
    }
    TRY(cursor_accept(c, "type", &taken));
    if (taken) {
        a->kind = ALTER_TYPE;
        return parse_type(c, &a->type);
    }
    TRY(cursor_accept(c, "comment", &taken));
    if (taken) {
        return parse_comment_text(c, a);
    }
    TRY(cursor_accept(c, "drop", &taken));
    if (taken) {
        TRY(cursor_accept(c, "default", &taken));
        a->kind = taken ? ALTER_DROP_DEFAULT : ALTER_DROP_REQUIRED;
        TRY(taken ? ERR_OK : cursor_expect(c, "NOT"));
        return taken ? ERR_OK : cursor_expect(c, "NULL");
    }
    a->kind = ALTER_MOVE;
    TRY(parse_position(c, a, &taken));
    return taken ? ERR_OK
                 : cursor_expected(c, "TYPE, SET NOT NULL, SET DEFAULT, DROP NOT NULL, DROP "
                                      "DEFAULT, COMMENT, FIRST or AFTER");
}

static enum err parse_rename_column(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    a->kind = ALTER_NAME_COLUMN;
    TRY(cursor_accept(c, "column", &taken));
    TRY(parse_column_path(c, &a->path, &a->path_count));
    TRY(cursor_expect(c, "TO"));
    return cursor_identifier(c, "the new name", &a->new_name);
}

static enum err parse_fields(struct cursor *c, struct statement_alter *a)
{
    struct buf paths CLEANUP(buf_fini) = {0};
    struct buf lens CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_bracket;
    bool has_more = true;
    TRY(cursor_expect(c, "FIELDS"));
    TRY(cursor_accept_operator(c, "(", &has_bracket));
    while (has_more) {
        const struct slice *path;
        size_t len;
        TRY(parse_column_path(c, &path, &len));
        buf_append(&paths, &path, sizeof(path));
        buf_append(&lens, &len, sizeof(len));
        a->field_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(has_bracket ? cursor_expect_operator(c, ")") : ERR_OK);
    TRY(cursor_keep(c, &paths, &kept));
    a->fields = kept;
    TRY(cursor_keep(c, &lens, &kept));
    a->field_lens = kept;
    return ERR_OK;
}

/* ---- properties ---- */

/* 'a.b', "a.b" or a.b */
static enum err parse_key(struct cursor *c, struct slice *ret_key)
{
    if (c->token.kind == TOKEN_STRING) {
        return cursor_string(c, "a property", ret_key);
    }
    struct buf key CLEANUP(buf_fini) = {0};
    bool has_more = true;
    while (has_more) {
        struct slice part;
        TRY(cursor_identifier(c, "a property", &part));
        buf_append_slice(&key, part);
        TRY(cursor_accept_operator(c, ".", &has_more));
        buf_append_str(&key, has_more ? "." : "");
    }
    return !buf_failed(&key) && arena_slice(c->arena, buf_slice(&key), ret_key)
               ? ERR_OK
               : errinfo_nomem(c->info);
}

/* A constant as a text: null has ptr NULL. */
static enum err parse_value(struct cursor *c, struct slice *ret_value)
{
    if (c->token.kind == TOKEN_STRING) {
        return cursor_string(c, "a constant", ret_value);
    }
    TRY(cursor_literal(c, ret_value));
    if (slice_equal_fold(*ret_value, SLICE("null"))) {
        *ret_value = (struct slice){NULL, 0};
    }
    return ERR_OK;
}

static enum err parse_properties(struct cursor *c, struct statement_alter *a)
{
    struct buf items CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_more = true;
    TRY(cursor_expect_operator(c, "("));
    while (has_more) {
        struct statement_argument item = {.offset = c->token.offset};
        TRY(parse_key(c, &item.name));
        if (a->kind == ALTER_SET_PROPERTIES) {
            TRY(cursor_expect_operator(c, "="));
            TRY(parse_value(c, &item.value));
            if (item.value.ptr == NULL) {
                return cursor_expected(c, "a value that is not null");
            }
        }
        buf_append(&items, &item, sizeof(item));
        a->property_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_keep(c, &items, &kept));
    a->properties = kept;
    return cursor_expect_operator(c, ")");
}

/* ---- branches and tags ---- */

static enum err parse_number(struct cursor *c, int64_t *ret_number)
{
    if (c->token.kind != TOKEN_NUMBER || !slice_to_i64(c->token.text, ret_number)) {
        return cursor_expected(c, "a whole number");
    }
    return cursor_next(c);
}

/* `number` of DAYS, HOURS or MINUTES; false: the word is none of them. */
static enum err parse_unit(struct cursor *c, int64_t number, int64_t *ret_ms, bool *ret_taken)
{
    static const struct {
        const char *word;
        int64_t minutes;
    } units[] = {{"days", 1440}, {"day", 1440},  {"hours", 60},
                 {"hour", 60},   {"minutes", 1}, {"minute", 1}};
    *ret_taken = false;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (!token_is(&c->token, units[i].word)) {
            continue;
        }
        int64_t ms_most = INT64_MAX / (units[i].minutes * MS_PER_MINUTE);
        if (number < 1 || number > ms_most) {
            return cursor_expected(c, "a time that is shorter, and not none");
        }
        *ret_ms = number * units[i].minutes * MS_PER_MINUTE;
        *ret_taken = true;
        return cursor_next(c);
    }
    return ERR_OK;
}

static enum err parse_retention(struct cursor *c, struct statement_ref *ref)
{
    bool taken = true;
    TRY(cursor_expect(c, "SNAPSHOT"));
    TRY(cursor_expect(c, "RETENTION"));
    while (c->token.kind == TOKEN_NUMBER) {
        int64_t number = 0;
        TRY(parse_number(c, &number));
        TRY(parse_unit(c, number, &ref->keep_ms, &taken));
        if (!taken) {
            TRY(cursor_accept(c, "snapshots", &taken));
            TRY(taken ? ERR_OK : cursor_expect(c, "SNAPSHOT"));
            ref->keep_snapshots = number;
            if (number < 1) {
                return cursor_expected(c, "one snapshot or more");
            }
        }
    }
    return ref->keep_ms < 0 && ref->keep_snapshots < 0
               ? cursor_expected(c, "n SNAPSHOTS, n DAYS or both")
               : ERR_OK;
}

static enum err parse_ref(struct cursor *c, struct statement_alter *a)
{
    struct statement_ref *ref = &a->ref;
    bool taken;
    a->kind = ALTER_SET_REF;
    ref->retain_ms = ref->keep_snapshots = ref->keep_ms = -1;
    TRY(cursor_accept(c, "tag", &ref->is_tag));
    TRY(ref->is_tag ? ERR_OK : cursor_expect(c, "BRANCH"));
    TRY(ref->may_create ? cursor_if_exists(c, true, &a->if_not_exists) : ERR_OK);
    TRY(cursor_identifier(c, "a branch or tag", &ref->name));
    TRY(cursor_accept(c, "as", &ref->has_version));
    if (ref->has_version) {
        TRY(cursor_expect(c, "OF"));
        TRY(cursor_expect(c, "VERSION"));
        TRY(parse_number(c, &ref->version));
    }
    TRY(cursor_accept(c, "retain", &taken));
    if (taken) {
        int64_t number = 0;
        TRY(parse_number(c, &number));
        TRY(parse_unit(c, number, &ref->retain_ms, &taken));
        TRY(taken ? ERR_OK : cursor_expected(c, "DAYS, HOURS or MINUTES"));
    }
    TRY(cursor_accept(c, "with", &taken));
    if (taken && ref->is_tag) {
        return cursor_expected(c, "no snapshot retention, which only branches have");
    }
    return taken ? parse_retention(c, ref) : ERR_OK;
}

static enum err parse_drop_ref(struct cursor *c, struct statement_alter *a, bool is_tag)
{
    a->kind = ALTER_DROP_REF;
    a->ref.is_tag = is_tag;
    TRY(cursor_if_exists(c, false, &a->if_exists));
    return cursor_identifier(c, "a branch or tag", &a->ref.name);
}

/* ---- actions ---- */

static enum err parse_field_name(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "as", &taken));
    return taken ? cursor_identifier(c, "a name", &a->field_name) : ERR_OK;
}

static enum err parse_add(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "partition", &taken));
    if (taken) {
        a->kind = ALTER_ADD_PARTITION;
        TRY(cursor_expect(c, "FIELD"));
        TRY(parse_transform(c, &a->transform));
        return parse_field_name(c, a);
    }
    TRY(cursor_accept(c, "column", &taken));
    return parse_add_column(c, a);
}

static enum err parse_drop_action(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "partition", &taken));
    if (taken) {
        a->kind = ALTER_DROP_PARTITION;
        TRY(cursor_expect(c, "FIELD"));
        return parse_transform(c, &a->transform);
    }
    TRY(cursor_accept(c, "branch", &taken));
    if (taken) {
        return parse_drop_ref(c, a, false);
    }
    TRY(cursor_accept(c, "tag", &taken));
    if (taken) {
        return parse_drop_ref(c, a, true);
    }
    TRY(cursor_accept(c, "identifier", &taken));
    if (taken) {
        a->kind = ALTER_UNIDENTIFY;
        return parse_fields(c, a);
    }
    a->kind = ALTER_DROP_COLUMN;
    TRY(cursor_accept(c, "column", &taken));
    TRY(cursor_if_exists(c, false, &a->if_exists));
    return parse_column_path(c, &a->path, &a->path_count);
}

static enum err parse_replace(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "partition", &taken));
    if (!taken) {
        a->ref.may_replace = true;
        return parse_ref(c, a);
    }
    a->kind = ALTER_REPLACE_PARTITION;
    TRY(cursor_expect(c, "FIELD"));
    TRY(parse_transform(c, &a->transform));
    TRY(cursor_expect(c, "WITH"));
    TRY(parse_transform(c, &a->with));
    return parse_field_name(c, a);
}

static enum err parse_create_ref(struct cursor *c, struct statement_alter *a)
{
    a->ref.may_create = true;
    TRY(cursor_accept(c, "or", &a->ref.may_replace));
    TRY(a->ref.may_replace ? cursor_expect(c, "REPLACE") : ERR_OK);
    return parse_ref(c, a);
}

/* SORTED BY, UNORDERED: behind SET, and in Spark's words behind WRITE. */
static enum err parse_order(struct cursor *c, struct statement_alter *a, bool *ret_taken)
{
    a->kind = ALTER_SORT;
    TRY(cursor_accept(c, "unordered", ret_taken));
    if (*ret_taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "sorted", ret_taken));
    TRY(*ret_taken ? ERR_OK : cursor_accept(c, "ordered", ret_taken));
    if (!*ret_taken) {
        return ERR_OK;
    }
    TRY(cursor_expect(c, "BY"));
    return parse_sorts(c, &a->sorts, &a->sort_count);
}

static enum err parse_set_action(struct cursor *c, struct statement_alter *a)
{
    bool taken;
    TRY(cursor_accept(c, "identifier", &taken));
    if (taken) {
        a->kind = ALTER_IDENTIFY;
        return parse_fields(c, a);
    }
    TRY(parse_order(c, a, &taken));
    if (taken) {
        return ERR_OK;
    }
    a->kind = ALTER_SET_PROPERTIES;
    TRY(cursor_accept(c, "tblproperties", &taken));
    return token_is_operator(&c->token, "(")
               ? parse_properties(c, a)
               : cursor_expected(c, "('property' = 'value', ...), SORTED BY, UNORDERED, IDENTIFIER "
                                    "FIELDS or SCHEMA");
}

static enum err parse_action(struct cursor *c, struct statement_alter *a)
{
    static const struct {
        const char *word;
        enum err (*parse)(struct cursor *c, struct statement_alter *a);
    } actions[] = {
        {"add", parse_add},         {"drop", parse_drop_action},  {"rename", parse_rename_column},
        {"replace", parse_replace}, {"create", parse_create_ref}, {"set", parse_set_action},
    };
    bool taken;
    *a = (struct statement_alter){0};
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        if (token_is(&c->token, actions[i].word)) {
            TRY(cursor_next(c));
            return actions[i].parse(c, a);
        }
    }
    if (token_is(&c->token, "alter") || token_is(&c->token, "change")) {
        TRY(cursor_next(c));
        TRY(cursor_accept(c, "column", &taken));
        return parse_change_column(c, a);
    }
    TRY(cursor_accept(c, "unset", &taken));
    if (taken) {
        a->kind = ALTER_UNSET_PROPERTIES;
        TRY(cursor_accept(c, "tblproperties", &taken));
        return parse_properties(c, a);
    }
    TRY(cursor_accept(c, "write", &taken));
    if (taken) {
        TRY(parse_order(c, a, &taken));
        return taken ? ERR_OK : cursor_expected(c, "ORDERED BY or UNORDERED");
    }
    return cursor_expected(c, "RENAME, SET SCHEMA, REFRESH, ADD, DROP, ALTER, REPLACE, CREATE, SET "
                              "or UNSET");
}

static enum err parse_actions(struct cursor *c, struct statement *s)
{
    struct buf items CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    bool has_more = true;
    s->alter = ALTER_LAKE;
    while (has_more) {
        struct statement_alter item;
        if (s->alter_count == ACTIONS_MAX) {
            return errinfo_set(c->info, ERR_LIMIT, NULL, "ALTER TABLE takes up to %d actions",
                               ACTIONS_MAX);
        }
        TRY(parse_action(c, &item));
        buf_append(&items, &item, sizeof(item));
        s->alter_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_keep(c, &items, &kept));
    s->alters = kept;
    const struct statement_alter *first = s->alters;
    if (s->alter_count == 1 && first->kind == ALTER_NAME_COLUMN && first->path_count == 1) {
        s->alter = ALTER_RENAME_COLUMN; /* which tables of any kind have */
        s->column = first->path[0];
        s->new_name = first->new_name;
    }
    return cursor_expect_end(c);
}

enum err parse_alter_table(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_ALTER_TABLE;
    TRY(cursor_if_exists(c, false, &s->if_exists));
    TRY(cursor_name(c, &s->name));
    TRY(cursor_accept(c, "refresh", &taken));
    if (taken) {
        s->alter = ALTER_REFRESH;
        return cursor_expect_end(c);
    }
    struct cursor before = *c;
    TRY(cursor_accept(c, "set", &taken));
    if (taken && token_is(&c->token, "schema")) {
        s->alter = ALTER_SET_SCHEMA;
        TRY(cursor_next(c));
        TRY(cursor_identifier(c, "a schema", &s->new_name));
        return cursor_expect_end(c);
    }
    *c = before;
    TRY(cursor_accept(c, "rename", &taken));
    if (taken && token_is(&c->token, "to")) {
        s->alter = ALTER_RENAME;
        TRY(cursor_next(c));
        TRY(cursor_identifier(c, "the new name", &s->new_name));
        return cursor_expect_end(c);
    }
    *c = before;
    return parse_actions(c, s);
}

/* ---- CALL ---- */

/* name => value, or a value. TIMESTAMP before one changes nothing. */
static enum err parse_argument(struct cursor *c, struct statement_argument *out)
{
    bool is_named;
    bool taken;
    struct cursor before = *c;
    *out = (struct statement_argument){.name = {"", 0}, .offset = c->token.offset};
    if (c->token.kind == TOKEN_WORD || c->token.kind == TOKEN_QUOTED) {
        TRY(cursor_identifier(c, "an argument", &out->name));
        TRY(cursor_accept_operator(c, "=>", &is_named));
        TRY(is_named ? ERR_OK : cursor_accept_operator(c, ":=", &is_named));
        if (!is_named) {
            *c = before;
            out->name = (struct slice){"", 0};
        }
    }
    TRY(cursor_accept(c, "timestamp", &taken));
    return parse_value(c, &out->value);
}

/* Those of Moat's own schema; the engine's are refused, by name as ever. */
enum err parse_call(struct cursor *c, struct statement *s)
{
    struct buf items CLEANUP(buf_fini) = {0};
    const void *kept = NULL;
    s->kind = STATEMENT_REFUSED;
    s->tag = s->refused_word = "CALL";
    TRY(cursor_name(c, &s->name));
    if (s->name.catalog.len > 0 || !slice_equal_fold(s->name.schema, SLICE("moat"))) {
        return ERR_OK;
    }
    s->kind = STATEMENT_CALL;
    TRY(cursor_expect_operator(c, "("));
    bool has_more = !token_is_operator(&c->token, ")");
    while (has_more) {
        struct statement_argument item;
        if (s->call_argument_count == ACTIONS_MAX) {
            return cursor_expected(c, "fewer arguments");
        }
        TRY(parse_argument(c, &item));
        buf_append(&items, &item, sizeof(item));
        s->call_argument_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_keep(c, &items, &kept));
    s->call_arguments = kept;
    TRY(cursor_expect_operator(c, ")"));
    return cursor_expect_end(c);
}
