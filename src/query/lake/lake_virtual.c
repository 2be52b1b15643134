/* _file, _pos and their like: columns that tell where a row is stored.
 *
 * They are part of a table only for a statement that names them, and never of `*`. They tell of
 * rows beside those that a person may see, so they are for those who see all of the table. */
#include "query/lake/lake_int.h"
#include "query/lake/lake_metadata_int.h"
#include "query/plan/plan_int.h"

/* Beyond every field id of a table's own. */
#define VIRTUAL_ID_FIRST 0xFFFFFF00u

static const struct lake_metadata_column virtual_columns[] = {
    {"_file", "VARCHAR"}, {"_pos", "BIGINT"},    {"_spec_id", "INTEGER"},
    {"_partition", NULL}, {"_row_id", "BIGINT"}, {"_last_updated_sequence_number", "BIGINT"}};

static bool has_column(const struct relation *relation, struct slice name)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        if (slice_equal_fold(relation->columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

static enum err append(const struct relation_column *more, size_t more_count, struct arena *arena,
                       struct resolved *resolved, struct errinfo *info)
{
    struct relation *relation = resolved->relation;
    struct policy_effective *effective = &resolved->effective;
    size_t count = relation->column_count + more_count;
    struct relation_column *columns = arena_calloc(arena, count, sizeof(*columns));
    struct policy_column *cells = arena_calloc(arena, count, sizeof(*cells));
    if (columns == NULL || cells == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_own = i < relation->column_count;
        columns[i] = is_own ? relation->columns[i] : more[i - relation->column_count];
        char *expression = arena_printf(arena, "__moat_c%u", columns[i].id);
        if (expression == NULL) {
            return errinfo_nomem(info);
        }
        cells[i] = (struct policy_column){
            .column = &columns[i], .is_raw = true, .expression = slice_of(expression)};
    }
    relation->columns = columns;
    relation->column_count = count;
    effective->columns = cells;
    effective->column_count = count;
    return ERR_OK;
}

/* The names as the statement writes them, for the stars that must leave them out. */
enum err plan_add_virtual(struct builder *b, struct plan_node *node, size_t index,
                          plan_uses_fn uses, const void *used, struct resolved *resolved,
                          struct errinfo *info)
{
    const struct relation *relation = resolved->relation;
    const struct policy_effective *effective = &resolved->effective;
    struct relation_column found[ARRAY_COUNT(virtual_columns)];
    struct slice names[ARRAY_COUNT(virtual_columns)];
    size_t count = 0;
    bool is_hidden = false;
    if (relation->lake == NULL || relation->kind != RELATION_TABLE || effective->is_bound ||
        effective->column_count != relation->column_count) {
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(virtual_columns); i++) {
        struct slice name = slice_of(virtual_columns[i].name);
        struct slice type =
            slice_of(virtual_columns[i].type == NULL ? "" : virtual_columns[i].type);
        if (!uses(used, name) || has_column(relation, name)) {
            continue;
        }
        if (virtual_columns[i].type == NULL) {
            TRY(lake_metadata_type(relation->lake, "partition", b->arena, &type, info));
            type = type.len > 0 ? type : SLICE("INTEGER"); /* of a table without: NULL */
        }
        found[count] = (struct relation_column){VIRTUAL_ID_FIRST + (uint32_t)i, name, name, type};
        names[count++] = name;
    }
    if (count == 0) {
        return ERR_OK;
    }
    TRY(sql_ast_hide_from_stars(node->ast, index, names, count, &is_hidden, info));
    return is_hidden ? append(found, count, b->arena, resolved, info) : ERR_OK;
}

/* ---- where the rows are that a statement changes ---- */

/* FROM, but not into subqueries: they have rows of their own. */
static bool mentions(const struct json *from, struct slice table)
{
    if (slice_equal(json_get_text(from, "table_name"), table)) {
        return true;
    }
    for (const struct json *child = from->first; child != NULL; child = child->next) {
        bool is_query = slice_equal(json_get_text(child, "type"), SLICE("SUBQUERY"));
        if (child->first != NULL && !is_query && mentions(child, table)) {
            return true;
        }
    }
    return false;
}

static bool is_alone(const struct json *names, struct slice alias)
{
    return names != NULL && names->first != NULL && names->first->next == NULL &&
           slice_equal_fold(names->first->text, alias);
}

/* A star, a number or the name of the row would say columns that nobody can name. */
static bool says_all(const struct json *node, const struct plan_target *target, bool is_over)
{
    struct slice class = json_get_text(node, "class");
    const struct json *from = json_get(node, "from_table");
    if (from != NULL) {
        is_over = mentions(from, target->table);
    }
    if ((slice_equal(class, SLICE("STAR")) &&
         (is_over || slice_equal_fold(json_get_text(node, "relation_name"), target->alias))) ||
        slice_equal(class, SLICE("POSITIONAL_REFERENCE")) ||
        is_alone(json_get(node, "column_names"), target->alias)) {
        return true;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && says_all(child, target, is_over)) {
            return true;
        }
    }
    return false;
}

enum err plan_add_target(struct builder *b, const struct plan_node *node, struct resolved *resolved,
                         struct errinfo *info)
{
    const struct plan_target *target = b->session->target;
    const struct {
        const char *source, *type;
        struct slice name;
        uint32_t id;
    } more[] = {{"_file", "VARCHAR", target->file, VIRTUAL_ID_FIRST},
                {"_pos", "BIGINT", target->pos, VIRTUAL_ID_FIRST + 1},
                {"_row_id", "BIGINT", target->row, VIRTUAL_ID_FIRST + 4}};
    struct relation *relation = resolved->relation;
    struct policy_effective *effective = &resolved->effective;
    if (says_all(node->ast->root, target, false)) {
        (void)errinfo_set(
            info, ERR_UNSUPPORTED, NULL,
            "rows of \"%.*s\" are named column by column by who changes them and does "
            "not see all of the table",
            SLICE_ARGS(relation->name.name));
        errinfo_hint(info, "Name columns instead of *, #1 or the row; give the table an alias that "
                           "is none of its columns.");
        return ERR_UNSUPPORTED;
    }
    size_t own = relation->column_count, shown = effective->column_count;
    struct relation_column *columns =
        arena_calloc(b->arena, own + ARRAY_COUNT(more), sizeof(*columns));
    struct policy_column *cells = arena_calloc(b->arena, shown + ARRAY_COUNT(more), sizeof(*cells));
    if (columns == NULL || cells == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < own; i++) {
        columns[i] = relation->columns[i];
    }
    for (size_t i = 0; i < shown; i++) {
        cells[i] = effective->columns[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(more); i++) {
        columns[own + i] = (struct relation_column){
            more[i].id, more[i].name, slice_of(more[i].source), slice_of(more[i].type)};
        char *expression = arena_printf(b->arena, "__moat_c%u", more[i].id);
        if (expression == NULL) {
            return errinfo_nomem(info);
        }
        cells[shown + i] = (struct policy_column){
            .column = &columns[own + i], .is_raw = true, .expression = slice_of(expression)};
    }
    relation->columns = columns;
    relation->column_count = own + ARRAY_COUNT(more);
    effective->columns = cells;
    effective->column_count = shown + ARRAY_COUNT(more);
    return ERR_OK;
}

bool plan_is_target(const struct builder *b, const struct plan_node *node,
                    const struct sql_reference *reference)
{
    const struct plan_target *target = b->session->target;
    return target != NULL && node == b->plan->root && reference->name.schema.len == 0 &&
           slice_equal(reference->name.name, target->table);
}

/* Rows that a statement is about to write, as its table's filter would show them. */
enum err plan_bind_staged(struct builder *b, struct resolved *out, struct errinfo *info)
{
    const struct plan_staged *staged = b->session->staged;
    size_t count = out->relation->column_count;
    struct relation_column *columns = arena_calloc(b->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    ASSERT(count == staged->id_count);
    for (size_t i = 0; i < count; i++) {
        columns[i] = out->relation->columns[i];
        columns[i].id = staged->ids[i];
    }
    out->relation->columns = columns;
    TRY(resolve_give_all(out->relation, b->arena, &out->effective, info));
    out->effective.filter = staged->filter;
    out->effective.is_bound = true;
    return ERR_OK;
}
