/* Conditions of DELETE that metadata alone may decide: comparisons of columns with constants, and
 * nothing else. Whatever is not understood exactly is left to the engine. */
#include "query/dml/dml_change_int.h"

#include "iceberg/scan.h"
#include "sql/scan.h"

struct reader {
    const struct dml *dml;
    struct slice alias;
    struct arena *arena;
    struct scanner scanner;
    struct token token;
    bool is_odd;   /* something was not understood */
    bool is_loose; /* it chooses files, not rows: constants need not compare as in the engine */
};

static void next(struct reader *r)
{
    if (scanner_next(&r->scanner, &r->token, NULL) != ERR_OK) {
        r->is_odd = true;
        r->token = (struct token){.kind = TOKEN_END};
    }
}

static bool accept(struct reader *r, const char *word)
{
    bool is_there = token_is(&r->token, word);
    if (is_there) {
        next(r);
    }
    return is_there;
}

static bool accept_operator(struct reader *r, const char *text)
{
    bool is_there = token_is_operator(&r->token, text);
    if (is_there) {
        next(r);
    }
    return is_there;
}

static struct slice read_name(struct reader *r)
{
    struct slice name = {"", 0};
    bool is_name = r->token.kind == TOKEN_WORD ||
                   (r->token.kind == TOKEN_QUOTED && r->token.text.ptr[0] == '"');
    r->is_odd = r->is_odd || !is_name || !token_identifier(&r->token, r->arena, &name);
    next(r);
    return name;
}

static const struct iceberg_field *read_column(struct reader *r)
{
    const struct iceberg_type *root = &r->dml->write.schema->root;
    struct slice name = read_name(r);
    if (accept_operator(r, ".")) {
        r->is_odd = r->is_odd || !slice_equal_fold(name, r->alias);
        name = read_name(r);
    }
    for (size_t i = 0; i < root->field_count; i++) {
        if (slice_equal_fold(root->fields[i].name, name)) {
            return &root->fields[i];
        }
    }
    r->is_odd = true;
    return NULL;
}

static bool is_constant(const struct token *token)
{
    return token->kind == TOKEN_NUMBER || token->kind == TOKEN_STRING || token_is(token, "true") ||
           token_is(token, "false");
}

/* Constants whose comparison with the column is the same to the engine and to Iceberg: no floats,
 * no zones, nothing that would be cast on the column's side. */
static bool takes(enum iceberg_type_id type, const struct token *token, bool is_date)
{
    switch (type) {
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DECIMAL:
        return token->kind == TOKEN_NUMBER && !is_date;
    case ICEBERG_STRING:
        return token->kind == TOKEN_STRING && !is_date;
    case ICEBERG_DATE:
        return token->kind == TOKEN_STRING;
    case ICEBERG_BOOLEAN:
        return token_is(token, "true") || token_is(token, "false");
    case ICEBERG_UNKNOWN:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        break;
    }
    return false;
}

static void read_constant(struct reader *r, const struct iceberg_type *type,
                          struct iceberg_value *ret_value)
{
    bool is_date = type->id == ICEBERG_DATE && accept(r, "date");
    if (r->is_loose && type->id >= ICEBERG_TIMESTAMP && type->id <= ICEBERG_TIMESTAMPTZ_NS) {
        (void)(accept(r, "timestamp") || accept(r, "timestamptz") || accept(r, "timestamp_ns") ||
               accept(r, "timestamptz_ns"));
    }
    bool is_negative = accept_operator(r, "-");
    struct slice text = r->token.text;
    bool is_taken = r->is_loose ? is_constant(&r->token) : takes(type->id, &r->token, is_date);
    if (r->is_odd || !is_taken || (is_negative && r->token.kind != TOKEN_NUMBER) ||
        (r->token.kind == TOKEN_STRING &&
         token_string(&r->token, r->arena, &text, NULL) != ERR_OK)) {
        r->is_odd = true;
        return;
    }
    if (is_negative) {
        char *printed = arena_printf(r->arena, "-%.*s", SLICE_ARGS(text));
        text = printed == NULL ? text : slice_of(printed);
        r->is_odd = r->is_odd || printed == NULL;
    }
    r->is_odd = r->is_odd || !lake_value_parse(type, text, r->arena, ret_value);
    next(r);
}

static struct iceberg_expression *new_node(struct reader *r, enum iceberg_operator op)
{
    struct iceberg_expression *node = arena_calloc(r->arena, 1, sizeof(*node));
    if (node == NULL) {
        r->is_odd = true;
        return NULL;
    }
    node->op = op;
    return node;
}

static struct iceberg_expression *read_comparison(struct reader *r, enum iceberg_operator op,
                                                  const struct iceberg_field *field)
{
    struct iceberg_expression *leaf = new_node(r, op);
    struct iceberg_value *value = arena_calloc(r->arena, 1, sizeof(*value));
    if (leaf == NULL || value == NULL) {
        r->is_odd = true;
        return NULL;
    }
    read_constant(r, &field->type, value);
    leaf->field_id = field->id;
    leaf->values = value;
    leaf->value_count = 1;
    return leaf;
}

static struct iceberg_expression *both(struct reader *r, struct iceberg_expression *left,
                                       struct iceberg_expression *right)
{
    struct iceberg_expression *node = new_node(r, ICEBERG_AND);
    if (node != NULL) {
        node->left = left;
        node->right = right;
    }
    return node;
}

/* column operator constant | column IS [NOT] NULL | column BETWEEN constant AND constant */
static struct iceberg_expression *read_leaf(struct reader *r)
{
    static const struct {
        const char *text;
        enum iceberg_operator op;
    } operators[] = {{"=", ICEBERG_EQUAL},
                     {"<", ICEBERG_LESS},
                     {"<=", ICEBERG_LESS_EQUAL},
                     {">", ICEBERG_GREATER},
                     {">=", ICEBERG_GREATER_EQUAL}};
    const struct iceberg_field *field = read_column(r);
    if (r->is_odd) {
        return NULL;
    }
    if (accept(r, "is")) {
        bool is_not = accept(r, "not");
        struct iceberg_expression *leaf = new_node(r, is_not ? ICEBERG_NOT_NULL : ICEBERG_IS_NULL);
        r->is_odd = !accept(r, "null") || leaf == NULL || field->type.field_count > 0;
        if (leaf != NULL) {
            leaf->field_id = field->id;
        }
        return leaf;
    }
    if (accept(r, "between")) {
        struct iceberg_expression *lower = read_comparison(r, ICEBERG_GREATER_EQUAL, field);
        r->is_odd = !accept(r, "and") || r->is_odd;
        return both(r, lower, r->is_odd ? NULL : read_comparison(r, ICEBERG_LESS_EQUAL, field));
    }
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (accept_operator(r, operators[i].text)) {
            return read_comparison(r, operators[i].op, field);
        }
    }
    r->is_odd = true;
    return NULL;
}

/* NULL: not understood. */
static const struct iceberg_expression *read_condition(const struct dml *dml, struct slice alias,
                                                       struct slice where, bool is_loose)
{
    struct reader r = {
        .dml = dml, .alias = alias, .arena = dml->query->arena, .is_loose = is_loose};
    scanner_init(&r.scanner, where);
    next(&r);
    struct iceberg_expression *all = read_leaf(&r);
    while (!r.is_odd && accept(&r, "and")) {
        all = both(&r, all, read_leaf(&r));
    }
    return r.is_odd || r.token.kind != TOKEN_END ? NULL : all;
}

const struct iceberg_expression *dml_file_filter(const struct dml *dml, struct slice where)
{
    return read_condition(dml, dml->name, where, true);
}

/* ---- the files ---- */

static bool is_decided(const struct iceberg_scan_file *file, const struct iceberg_expression *bound)
{
    return file->delete_count == 0 && file->equality_delete_count == 0 &&
           ((file->residual != NULL && file->residual->op == ICEBERG_TRUE) ||
            iceberg_metrics_must_match(bound, &file->file));
}

enum err dml_remove_whole(struct dml *dml, const struct statement *statement, bool *ret_is_done,
                          struct errinfo *info)
{
    static const struct iceberg_expression always = {.op = ICEBERG_TRUE};
    struct arena *arena = dml->query->arena;
    const struct iceberg_expression *bound;
    struct iceberg_scan_plan plan;
    *ret_is_done = false;
    const struct iceberg_expression *filter =
        statement->where.len == 0
            ? &always
            : read_condition(dml, dml_alias(statement), statement->where, false);
    if (statement->using_list.len > 0 || filter == NULL ||
        iceberg_expression_bind(filter, dml->write.schema, arena, &bound, NULL) != ERR_OK) {
        return ERR_OK;
    }
    TRY(dml_plan_files(dml, filter, &plan, info));
    for (size_t i = 0; i < plan.file_count; i++) {
        if (!is_decided(&plan.files[i], bound)) {
            return ERR_OK;
        }
    }
    struct slice *removed = arena_calloc(arena, plan.file_count + 1, sizeof(*removed));
    if (removed == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < plan.file_count; i++) {
        removed[i] = plan.files[i].file.path;
        dml->rows += (uint64_t)plan.files[i].file.record_count;
    }
    dml->condition = filter;
    dml->removed = removed;
    dml->removed_count = plan.file_count;
    *ret_is_done = true;
    return ERR_OK;
}
