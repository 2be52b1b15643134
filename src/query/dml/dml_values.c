/* What SET and VALUES give the columns of a table, fields of structs too. */
#include "query/dml/dml_change_int.h"

#include "query/plan/policy_int.h"
#include "sql/scan.h"

#define DEPTH_MAX 32 /* of fields of structs in structs */

/* A column, or a field inside of it: numbers of fields, from the outermost. */
struct dml_target {
    size_t steps[DEPTH_MAX];
    size_t count; /* 0: of INSERT without columns, a value by its place */
};

/* ---- names ---- */

static size_t find_field(const struct iceberg_type *type, struct slice name)
{
    size_t at = 0;
    while (at < type->field_count && !slice_equal_fold(type->fields[at].name, name)) {
        at++;
    }
    return at;
}

static enum err no_column(const struct dml_values *values, struct slice name, struct slice at,
                          struct errinfo *info)
{
    const struct dml *dml = values->dml;
    (void)errinfo_set(info, ERR_NOT_FOUND, "42703",
                      "column \"%.*s\" of relation \"%.*s\" does not exist", SLICE_ARGS(name),
                      SLICE_ARGS(dml->name));
    errinfo_position(info, statement_position(dml->query->statement, at));
    return ERR_NOT_FOUND;
}

/* One step into a struct; with no steps yet, into the table's row. */
static enum err add_step(const struct dml_values *values, struct slice name, struct slice at,
                         struct dml_target *target, struct errinfo *info)
{
    const struct iceberg_type *type = &values->dml->write.schema->root;
    for (size_t i = 0; i < target->count; i++) {
        type = &type->fields[target->steps[i]].type;
    }
    if (type->id != ICEBERG_STRUCT || target->count == DEPTH_MAX) {
        (void)errinfo_set(info, ERR_INVALID, "42804",
                          "\"%.*s\" is no field that can be set: what it stands behind is no "
                          "struct",
                          SLICE_ARGS(name));
        errinfo_position(info, statement_position(values->dml->query->statement, at));
        return ERR_INVALID;
    }
    size_t field = find_field(type, name);
    bool is_root = target->count == 0;
    if (field == type->field_count || !lake_write_keeps(&type->fields[field]) ||
        (is_root && dml_is_hidden(values->dml, field))) {
        return no_column(values, name, at, info);
    }
    if (is_root && values->alias.len > 0 && dml_is_masked(values->dml, field)) {
        return dml_refuse_masked(values->dml, field, info);
    }
    target->steps[target->count++] = field;
    return ERR_OK;
}

static enum err resolve(const struct dml_values *values, size_t index, struct dml_target *target,
                        struct errinfo *info)
{
    const struct dml *dml = values->dml;
    struct slice name = values->set->columns[index];
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, values->set->paths[index]);
    /* t.a is the column a, unless the table has a column t. */
    bool is_of_alias =
        values->set->paths[index].len > 0 && values->alias.len > 0 &&
        slice_equal_fold(name, values->alias) &&
        find_field(&dml->write.schema->root, name) == dml->write.schema->root.field_count;
    TRY(is_of_alias ? ERR_OK : add_step(values, name, name, target, info));
    for (;;) {
        TRY(scanner_next(&scanner, &token, info)); /* the dot */
        if (token.kind == TOKEN_END) {
            return ERR_OK;
        }
        TRY(scanner_next(&scanner, &token, info));
        if (!token_identifier(&token, dml->query->arena, &name)) {
            return errinfo_nomem(info);
        }
        TRY(add_step(values, name, token.text, target, info));
    }
}

/* One is the other, or holds it. */
static bool meet(const struct dml_target *a, const struct dml_target *b)
{
    size_t count = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < count; i++) {
        if (a->steps[i] != b->steps[i]) {
            return false;
        }
    }
    return true;
}

static enum err check_single(const struct dml_values *values, size_t index, struct errinfo *info)
{
    struct slice name = values->set->columns[index];
    for (size_t i = 0; i < index; i++) {
        if (meet(&values->targets[i], &values->targets[index])) {
            (void)errinfo_set(info, ERR_SYNTAX, NULL,
                              "multiple assignments to same column \"%.*s\"", SLICE_ARGS(name));
            errinfo_position(info, statement_position(values->dml->query->statement, name));
            return ERR_SYNTAX;
        }
    }
    return ERR_OK;
}

enum err dml_values_open(struct dml_values *values, struct errinfo *info)
{
    const struct dml *dml = values->dml;
    size_t count = values->set->count;
    values->targets = arena_calloc(dml->query->arena, count + 1, sizeof(*values->targets));
    if (values->targets == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(resolve(values, i, &values->targets[i], info));
        TRY(check_single(values, i, info));
        if (values->alias.len == 0 && values->targets[i].count > 1) {
            return no_column(values, values->set->paths[i], values->set->columns[i], info);
        }
    }
    size_t room = dml->write.schema->root.field_count;
    return values->set->value_count <= room
               ? ERR_OK
               : errinfo_set(info, ERR_SYNTAX, NULL, "INSERT has %zu values for %zu columns",
                             values->set->value_count, room);
}

enum err dml_values_assigned(const struct dml_values *values, const bool **ret_assigned,
                             struct errinfo *info)
{
    const struct dml *dml = values->dml;
    size_t count = dml->write.schema->root.field_count;
    bool *assigned = arena_calloc(dml->query->arena, count + 1, sizeof(*assigned));
    if (assigned == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < values->set->count; i++) {
        assigned[values->targets[i].steps[0]] = true;
    }
    for (size_t i = 0; values->star.len > 0 && i < count; i++) {
        assigned[i] = true;
    }
    *ret_assigned = assigned;
    return ERR_OK;
}

/* ---- values ---- */

static enum err print_cast_end(const struct iceberg_field *field, struct dml_text *out,
                               struct errinfo *info)
{
    buf_append_str(&out->sql, " AS ");
    TRY(lake_type_print(&field->type, field->name, &out->sql, info));
    buf_append_char(&out->sql, ')');
    return ERR_OK;
}

static enum err print_default(const struct iceberg_field *field, struct dml_text *out,
                              struct errinfo *info)
{
    buf_append_str(&out->sql, "CAST(");
    lake_write_default(field, &out->sql);
    return print_cast_end(field, out, info);
}

static enum err print_given(const struct iceberg_field *field, struct slice value,
                            struct dml_text *out, struct errinfo *info)
{
    if (slice_equal_fold(slice_trim(value), SLICE("default"))) {
        return print_default(field, out, info);
    }
    buf_append_str(&out->sql, "CAST((");
    dml_text_part(out, value);
    buf_append_char(&out->sql, ')');
    return print_cast_end(field, out, info);
}

/* The assignment to exactly this; or `ret_is_inside`: there are some to fields of it. */
static size_t find_assignment(const struct dml_values *values, const struct dml_target *target,
                              bool *ret_is_inside)
{
    *ret_is_inside = false;
    for (size_t i = 0; i < values->set->count; i++) {
        if (meet(&values->targets[i], target)) {
            *ret_is_inside = values->targets[i].count > target->count;
            return i;
        }
    }
    return SIZE_MAX;
}

/* A field as it was: "alias"."a"."b". */
static void print_old(const struct dml_values *values, const struct dml_target *target,
                      struct buf *out)
{
    const struct iceberg_type *type = &values->dml->write.schema->root;
    sql_quote_name(out, values->alias);
    for (size_t i = 0; i < target->count; i++) {
        const struct iceberg_field *field = &type->fields[target->steps[i]];
        buf_append_char(out, '.');
        sql_quote_name(out, field->name);
        type = &field->type;
    }
}

/* Structs of which fields are set are made anew from their fields; of a NULL the others are NULL,
 * as in other engines. Recursion ends with the depth of targets. */
static enum err print_field(const struct dml_values *values, const struct iceberg_field *field,
                            struct dml_target *target, struct dml_text *out, struct errinfo *info)
{
    bool is_inside;
    size_t found = find_assignment(values, target, &is_inside);
    if (found != SIZE_MAX && !is_inside) {
        return print_given(field, values->set->values[found], out, info);
    }
    if (found == SIZE_MAX) {
        print_old(values, target, &out->sql);
        return ERR_OK;
    }
    buf_append_str(&out->sql, "CAST({");
    for (size_t i = 0; i < field->type.field_count; i++) {
        buf_append_str(&out->sql, i == 0 ? "" : ", ");
        sql_quote_string(&out->sql, field->type.fields[i].name);
        buf_append_str(&out->sql, ": ");
        target->steps[target->count++] = i;
        TRY(print_field(values, &field->type.fields[i], target, out, info));
        target->count--;
    }
    buf_append_char(&out->sql, '}');
    return print_cast_end(field, out, info);
}

enum err dml_values_print(const struct dml_values *values, size_t index, struct dml_text *out,
                          struct errinfo *info)
{
    const struct iceberg_field *field = &values->dml->write.schema->root.fields[index];
    struct dml_target target = {.steps = {index}, .count = 1};
    bool is_inside;
    if (values->star.len > 0) {
        buf_append_str(&out->sql, "CAST(");
        sql_quote_name(&out->sql, values->star);
        buf_append_char(&out->sql, '.');
        sql_quote_name(&out->sql, field->name);
        return print_cast_end(field, out, info);
    }
    if (values->alias.len > 0) {
        return dml_is_hidden(values->dml, index)
                   ? dml_print_seen(values->dml, values->alias, index, &out->sql, info)
                   : print_field(values, field, &target, out, info);
    }
    size_t found = find_assignment(values, &target, &is_inside);
    if (values->set->count == 0 && index < values->set->value_count) {
        found = index;
    }
    return found == SIZE_MAX ? print_default(field, out, info)
                             : print_given(field, values->set->values[found], out, info);
}
