/* A catalog's policy ("read-restrictions") in the words of ours: masks by field id, a filter as
 * SQL.
 *
 * Whatever is not certainly what the specification means refuses the table. The filter is SQL's
 * three-valued logic: a row of which it is not known to hold is hidden, which is never more than
 * the two-valued logic of Iceberg shows. */
#include <ctype.h>

#include "base/json.h"
#include "query/lake/lake_int.h"
#include "sql/scan.h"

#define NODES_MAX 10000

struct translator {
    const struct relation *relation;
    const struct lake_table *table;
    struct arena *arena;
    struct buf *out;
    size_t node_count;
    const char *refusal; /* NULL = none yet */
};

static bool refuse(struct translator *t, const char *why)
{
    t->refusal = t->refusal == NULL ? why : t->refusal;
    return false;
}

static const struct relation_column *column_of(const struct relation *relation, uint32_t id)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        if (relation->columns[i].id == id) {
            return &relation->columns[i];
        }
    }
    return NULL;
}

/* ---- filters ---- */

/* "name", {"type": "reference", "term": "name"} or {"type": "reference", "id": 1}. Names are those
 * of the schema that came with the filter. */
static const struct relation_column *read_term(struct translator *t, const struct json *term)
{
    struct slice name = {0};
    int64_t id = 0;
    if (term != NULL && term->type == JSON_STRING) {
        name = term->text;
    } else if (term != NULL && term->type == JSON_OBJECT && term->count == 2 &&
               slice_equal(json_get_text(term, "type"), SLICE("reference"))) {
        name = json_get_text(term, "term");
        if (name.len == 0 && !json_to_i64(json_get(term, "id"), &id)) {
            id = 0;
        }
    }
    const struct iceberg_schema *schema =
        iceberg_metadata_current_schema(&t->table->loaded.metadata);
    for (size_t i = 0; name.len > 0 && i < schema->root.field_count; i++) {
        if (slice_equal(schema->root.fields[i].name, name)) {
            id = schema->root.fields[i].id;
        }
    }
    const struct relation_column *column =
        id > 0 && id <= INT32_MAX ? column_of(t->relation, (uint32_t)id) : NULL;
    if (column == NULL || column->source.len == 0) {
        (void)refuse(t, "the catalog's row filter names something else than a readable column");
        return NULL;
    }
    return column;
}

static bool is_integer_type(struct slice type)
{
    return slice_equal(type, SLICE("INTEGER")) || slice_equal(type, SLICE("BIGINT"));
}

static bool has_only(struct slice text, const char *letters, size_t len_max)
{
    bool is_it = text.len > 0 && text.len <= len_max;
    for (size_t i = 0; is_it && i < text.len; i++) {
        is_it = text.ptr[i] != '\0' && strchr(letters, text.ptr[i]) != NULL;
    }
    return is_it;
}

static bool write_literal(struct translator *t, const struct relation_column *column,
                          const struct json *value)
{
    struct slice type = column->type;
    bool is_text = value->type == JSON_STRING;
    if (value->type == JSON_BOOL && slice_equal(type, SLICE("BOOLEAN"))) {
        buf_append_str(t->out, value->boolean ? "TRUE" : "FALSE");
        return true;
    }
    int64_t number;
    if (value->type == JSON_NUMBER && is_integer_type(type) && json_to_i64(value, &number)) {
        buf_append_slice(t->out, value->text);
        return true;
    }
    if (is_text && slice_equal(type, SLICE("VARCHAR")) &&
        memchr(value->text.ptr, '\0', value->text.len) == NULL &&
        slice_is_utf8(value->text, NULL)) {
        sql_quote_string(t->out, value->text);
        return true;
    }
    bool is_date =
        slice_equal(type, SLICE("DATE")) && is_text && has_only(value->text, "0123456789-", 10);
    bool is_time = slice_equal(type, SLICE("TIMESTAMP")) && is_text &&
                   has_only(value->text, "0123456789-:.T", 26);
    bool is_zoned = slice_equal(type, SLICE("TIMESTAMP WITH TIME ZONE")) && is_text &&
                    has_only(value->text, "0123456789-:.T+", 32) &&
                    slice_ends_with(value->text, SLICE("+00:00"));
    bool is_decimal = slice_starts_with(type, SLICE("DECIMAL(")) && is_text &&
                      has_only(value->text, "0123456789-.", 40);
    bool is_uuid = slice_equal(type, SLICE("UUID")) && is_text &&
                   has_only(value->text, "0123456789abcdef-", 36);
    if (!is_date && !is_time && !is_zoned && !is_decimal && !is_uuid) {
        return refuse(t, "the catalog's row filter compares with a value of another type");
    }
    buf_append_str(t->out, "CAST(");
    sql_quote_string(t->out, value->text);
    buf_append_str(t->out, " AS ");
    buf_append_slice(t->out, type);
    buf_append_char(t->out, ')');
    return true;
}

static void write_column(struct translator *t, const struct relation_column *column)
{
    buf_printf(t->out, "__moat_c%u", column->id);
}

/* The literal, bare or as {"type": "literal", "value": ...}. */
static const struct json *read_value(const struct json *value)
{
    bool is_wrapped = value != NULL && value->type == JSON_OBJECT && value->count == 2 &&
                      slice_equal(json_get_text(value, "type"), SLICE("literal"));
    return is_wrapped ? json_get(value, "value") : value;
}

static bool write_comparison(struct translator *t, const struct json *node, const char *operator)
{
    bool is_new = json_get(node, "left") != NULL;
    const struct relation_column *column = read_term(t, json_get(node, is_new ? "left" : "term"));
    const struct json *value = read_value(json_get(node, is_new ? "right" : "value"));
    if (column == NULL || value == NULL || node->count != 3) {
        return refuse(t, "the catalog's row filter has a comparison of another shape");
    }
    write_column(t, column);
    buf_append_str(t->out, operator);
    return write_literal(t, column, value);
}

static bool write_prefix(struct translator *t, const struct json *node, bool is_negated)
{
    bool is_new = json_get(node, "left") != NULL;
    const struct relation_column *column = read_term(t, json_get(node, is_new ? "left" : "term"));
    const struct json *value = read_value(json_get(node, is_new ? "right" : "value"));
    if (column == NULL || value == NULL || node->count != 3 ||
        !slice_equal(column->type, SLICE("VARCHAR"))) {
        return refuse(t, "the catalog's row filter has a prefix of something that is no text");
    }
    buf_append_str(t->out, is_negated ? "NOT starts_with(" : "starts_with(");
    write_column(t, column);
    buf_append_str(t->out, ", ");
    bool is_written = write_literal(t, column, value);
    buf_append_char(t->out, ')');
    return is_written;
}

static bool write_set(struct translator *t, const struct json *node, bool is_negated)
{
    const struct relation_column *column = read_term(t, json_get(node, "term"));
    const struct json *values = json_get(node, "values");
    if (column == NULL || values == NULL || values->type != JSON_ARRAY || values->count == 0 ||
        node->count != 3) {
        return refuse(t, "the catalog's row filter has a set of another shape");
    }
    write_column(t, column);
    buf_append_str(t->out, is_negated ? " NOT IN (" : " IN (");
    for (const struct json *item = values->first; item != NULL; item = item->next) {
        if (++t->node_count > NODES_MAX) {
            return refuse(t, "the catalog's row filter is too long");
        }
        buf_append_str(t->out, item == values->first ? "" : ", ");
        if (!write_literal(t, column, item)) {
            return false;
        }
    }
    buf_append_char(t->out, ')');
    return true;
}

static bool write_unary(struct translator *t, const struct json *node, struct slice type)
{
    const struct json *term = json_get(node, "term");
    const struct relation_column *column =
        read_term(t, term != NULL ? term : json_get(node, "child"));
    bool is_nan = slice_ends_with(type, SLICE("nan"));
    if (column == NULL || node->count != 2) {
        return refuse(t, "the catalog's row filter has a test of another shape");
    }
    bool is_float =
        slice_equal(column->type, SLICE("FLOAT")) || slice_equal(column->type, SLICE("DOUBLE"));
    if (is_nan && !is_float) {
        return refuse(t, "the catalog's row filter tests something for NaN that is no float");
    }
    bool is_negated = slice_starts_with(type, SLICE("not-"));
    buf_append_str(t->out, !is_nan ? "" : is_negated ? "NOT isnan(" : "isnan(");
    write_column(t, column);
    buf_append_str(t->out, is_nan ? ")" : is_negated ? " IS NOT NULL" : " IS NULL");
    return true;
}

static bool write_expression(struct translator *t, const struct json *node);

static bool write_pair(struct translator *t, const struct json *node, const char *operator)
{
    const struct json *left = json_get(node, "left");
    const struct json *right = json_get(node, "right");
    if (left == NULL || right == NULL || node->count != 3) {
        return refuse(t, "the catalog's row filter joins other than two conditions");
    }
    bool is_written = write_expression(t, left);
    buf_append_str(t->out, operator);
    return is_written && write_expression(t, right);
}

static bool write_not(struct translator *t, const struct json *node)
{
    if (json_get(node, "child") == NULL || node->count != 2) {
        return refuse(t, "the catalog's row filter negates other than one condition");
    }
    buf_append_str(t->out, "NOT ");
    return write_expression(t, json_get(node, "child"));
}

static bool write_by_type(struct translator *t, const struct json *node)
{
    static const struct {
        const char *type;
        const char *operator;
    } comparisons[] = {{"eq", " = "},     {"not-eq", " <> "}, {"lt", " < "},
                       {"lt-eq", " <= "}, {"gt", " > "},      {"gt-eq", " >= "}};
    struct slice type = json_get_text(node, "type");
    for (size_t i = 0; i < ARRAY_COUNT(comparisons); i++) {
        if (slice_equal(type, slice_of(comparisons[i].type))) {
            return write_comparison(t, node, comparisons[i].operator);
        }
    }
    if (slice_equal(type, SLICE("and")) || slice_equal(type, SLICE("or"))) {
        return write_pair(t, node, type.len == 3 ? " AND " : " OR ");
    }
    if (slice_equal(type, SLICE("not"))) {
        return write_not(t, node);
    }
    if (slice_equal(type, SLICE("in")) || slice_equal(type, SLICE("not-in"))) {
        return write_set(t, node, type.len > 2);
    }
    if (slice_equal(type, SLICE("starts-with")) || slice_equal(type, SLICE("not-starts-with"))) {
        return write_prefix(t, node, type.ptr[0] == 'n');
    }
    if (slice_equal(type, SLICE("is-null")) || slice_equal(type, SLICE("not-null")) ||
        slice_equal(type, SLICE("is-nan")) || slice_equal(type, SLICE("not-nan"))) {
        return write_unary(t, node, type);
    }
    if ((slice_equal(type, SLICE("true")) || slice_equal(type, SLICE("false"))) &&
        node->count == 1) {
        buf_append_str(t->out, type.len == 4 ? "TRUE" : "FALSE");
        return true;
    }
    return refuse(t, "the catalog's row filter has a condition that is not known here");
}

/* Depth is bounded by the parser of the JSON. */
static bool write_expression(struct translator *t, const struct json *node)
{
    if (++t->node_count > NODES_MAX) {
        return refuse(t, "the catalog's row filter is too long");
    }
    buf_append_char(t->out, '(');
    bool is_written;
    if (node->type == JSON_BOOL) {
        buf_append_str(t->out, node->boolean ? "TRUE" : "FALSE");
        is_written = true;
    } else {
        is_written = node->type == JSON_OBJECT ? write_by_type(t, node)
                                               : refuse(t, "the catalog's row filter is none");
    }
    buf_append_char(t->out, ')');
    return is_written;
}

/* ---- masks ---- */

/* Digits are "n", the rest but a few marks "x", as the specification's mask-alphanum has it. */
static void write_alphanum(struct buf *out, const char *text)
{
    buf_printf(out,
               "regexp_replace(regexp_replace(%s, '[^0-9(),.@-]', 'x', 'g'), '[0-9]', 'n', 'g')",
               text);
}

static void write_text_mask(struct buf *out, enum rest_action action, const char *cell)
{
    char part[160];
    switch (action) {
    case REST_MASK_ALPHANUM:
        write_alphanum(out, cell);
        break;
    case REST_SHOW_FIRST_4:
        buf_printf(out, "CASE WHEN length(%s) <= 4 THEN %s ELSE substring(%s, 1, 4) || ", cell,
                   cell, cell);
        (void)snprintf(part, sizeof(part), "substring(%s, 5)", cell);
        write_alphanum(out, part);
        buf_append_str(out, " END");
        break;
    case REST_SHOW_LAST_4:
        buf_printf(out, "CASE WHEN length(%s) <= 4 THEN %s ELSE ", cell, cell);
        (void)snprintf(part, sizeof(part), "substring(%s, 1, length(%s) - 4)", cell, cell);
        write_alphanum(out, part);
        buf_printf(out, " || right(%s, 4) END", cell);
        break;
    case REST_SHA_256_GLOBAL:
        buf_printf(out, "sha256(%s)", cell);
        break;
    case REST_MASK_TO_FIXED_VALUE:
    case REST_REPLACE_WITH_NULL:
    case REST_TRUNCATE_TO_YEAR:
    case REST_TRUNCATE_TO_MONTH:
    case REST_SHA_256_QUERY_LOCAL:
        break;
    }
}

static bool write_truncation(struct translator *t, const struct relation_column *column,
                             const char *part, const char *cell)
{
    bool is_zoned = slice_equal(column->type, SLICE("TIMESTAMP WITH TIME ZONE"));
    if (!is_zoned && !slice_equal(column->type, SLICE("DATE")) &&
        !slice_equal(column->type, SLICE("TIMESTAMP"))) {
        return refuse(t, "the catalog truncates a column that is no date or timestamp");
    }
    buf_printf(t->out, "CAST(%sdate_trunc('%s', %s%s%s) AS ", is_zoned ? "timezone('UTC', " : "",
               part, is_zoned ? "timezone('UTC', " : "", cell, is_zoned ? "))" : "");
    buf_append_slice(t->out, column->type);
    buf_append_char(t->out, ')');
    return true;
}

static bool write_mask(struct translator *t, const struct relation_column *column,
                       enum rest_action action)
{
    char cell[32];
    (void)snprintf(cell, sizeof(cell), "__moat_c%u", column->id);
    switch (action) {
    case REST_REPLACE_WITH_NULL:
        buf_append_str(t->out, "CAST(NULL AS ");
        buf_append_slice(t->out, relation_column_sql_type(column));
        buf_append_char(t->out, ')');
        return true;
    case REST_TRUNCATE_TO_YEAR:
        return write_truncation(t, column, "year", cell);
    case REST_TRUNCATE_TO_MONTH:
        return write_truncation(t, column, "month", cell);
    case REST_MASK_ALPHANUM:
    case REST_SHOW_FIRST_4:
    case REST_SHOW_LAST_4:
    case REST_SHA_256_GLOBAL:
        if (!slice_equal(column->type, SLICE("VARCHAR"))) {
            return refuse(t, "the catalog masks a column that is no text in a way for texts");
        }
        write_text_mask(t->out, action, cell);
        return true;
    case REST_MASK_TO_FIXED_VALUE:
        return refuse(t, "the catalog masks a column by \"mask-to-fixed-value\"");
    case REST_SHA_256_QUERY_LOCAL:
        return refuse(t, "the catalog masks a column by \"sha-256-query-local\"");
    }
    return refuse(t, "the catalog masks a column in an unknown way");
}

/* A field that this version has not, but another has, is nothing that could show here. */
static bool is_of_another_version(const struct lake_table *table, int32_t id)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    for (size_t s = 0; s < metadata->schema_count; s++) {
        const struct iceberg_type *root = &metadata->schemas[s].root;
        for (size_t i = 0; i < root->field_count; i++) {
            if (root->fields[i].id == id) {
                return true;
            }
        }
    }
    return false;
}

static enum err translate_masks(struct translator *t, const struct rest_restrictions *restrictions,
                                struct policy_foreign *foreign, struct errinfo *info)
{
    struct policy_foreign_mask *masks =
        arena_calloc(t->arena, restrictions->projection_count + 1, sizeof(*masks));
    if (masks == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; t->refusal == NULL && i < restrictions->projection_count; i++) {
        const struct rest_projection *projection = &restrictions->projections[i];
        const struct relation_column *column =
            column_of(t->relation, (uint32_t)projection->field_id);
        if (column == NULL) {
            if (!is_of_another_version(t->table, projection->field_id)) {
                (void)refuse(t, "the catalog masks a field that is no column");
            }
            continue;
        }
        buf_reset(t->out);
        struct policy_foreign_mask *mask = &masks[foreign->mask_count];
        mask->column_id = column->id;
        if (write_mask(t, column, projection->action)) {
            if (buf_failed(t->out) ||
                !arena_slice(t->arena, buf_slice(t->out), &mask->expression)) {
                return errinfo_nomem(info);
            }
            foreign->mask_count++;
        }
    }
    foreign->masks = masks;
    return ERR_OK;
}

static enum err translate_filter(struct translator *t, const struct json *filter,
                                 struct policy_foreign *foreign, struct errinfo *info)
{
    buf_reset(t->out);
    if (filter == NULL || t->refusal != NULL || !write_expression(t, filter)) {
        return ERR_OK;
    }
    return !buf_failed(t->out) && arena_slice(t->arena, buf_slice(t->out), &foreign->filter)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err lake_restrict(const struct relation *relation, struct arena *arena,
                       struct policy_effective *effective, struct errinfo *info)
{
    const struct lake_table *table = relation->lake;
    struct buf text CLEANUP(buf_fini) = {0};
    struct rest_restrictions restrictions = {0};
    struct policy_foreign foreign = {0};
    struct translator t = {.relation = relation, .table = table, .arena = arena, .out = &text};
    if (table == NULL || table->loaded.name.is_view || table->loaded.restrictions.len == 0) {
        return ERR_OK;
    }
    struct errinfo why;
    errinfo_init(&why);
    enum err err = rest_restrictions_parse(table->loaded.restrictions, arena, &restrictions, &why);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    if (err != ERR_OK) {
        (void)refuse(&t, "the catalog restricts the table in a way that is not known here");
    }
    TRY(translate_masks(&t, &restrictions, &foreign, info));
    TRY(translate_filter(&t, restrictions.filter, &foreign, info));
    foreign.refusal = slice_of(t.refusal);
    return policy_restrict(&foreign, arena, effective, info);
}
