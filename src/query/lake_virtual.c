/* _file, _pos and their like: columns that tell where a row is stored.
 *
 * They are part of a table only for a statement that names them, and never of `*`. They tell of
 * rows beside those that a person may see, so they are for those who see all of the table. */
#include "query/lake_int.h"
#include "query/lake_metadata_int.h"
#include "query/plan_int.h"

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
