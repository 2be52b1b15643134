/* Which tables a question to information_schema can be about.
 *
 * Columns of a table elsewhere are known only when its catalog has been asked for the table, so a
 * question about one is not made to wait for all. What is not plainly so is about all tables: the
 * engine filters the rows in either case. */
#include "query/plan/plan_int.h"
#include "query/plan/resolve_int.h"

static bool is_listing(const struct sql_name *name)
{
    static const char *const listings[] = {"tables", "columns", "views"};
    for (size_t i = 0; i < ARRAY_COUNT(listings); i++) {
        if (slice_equal_fold(name->schema, SLICE("information_schema")) &&
            slice_equal_fold(name->name, slice_of(listings[i]))) {
            return true;
        }
    }
    return false;
}

/* The text that a column must be equal to; false: it is no such comparison. */
static bool read_equal(const struct sql_conjunct *conjunct, struct slice *ret_text)
{
    const struct json *left = json_get(conjunct->node, "left");
    const struct json *right = json_get(conjunct->node, "right");
    const struct json *constant = left == conjunct->column_node ? right : left;
    const struct json *value = json_get(json_get(constant, "value"), "value");
    if (!slice_equal(json_get_text(conjunct->node, "type"), SLICE("COMPARE_EQUAL")) ||
        !slice_equal(json_get_text(constant, "class"), SLICE("CONSTANT")) ||
        conjunct->constant != CONSTANT_STRING || value == NULL || value->type != JSON_STRING) {
        return false;
    }
    *ret_text = value->text;
    return true;
}

const struct resolve_wanted *plan_wanted(const struct sql_ast *ast, struct arena *arena)
{
    const struct sql_reference *reference = ast->references;
    struct resolve_wanted wanted = {0};
    if (ast->reference_count != 1 || reference->is_function || !is_listing(&reference->name)) {
        return NULL;
    }
    for (size_t i = 0; i < reference->conjunct_count; i++) {
        const struct sql_conjunct *conjunct = &reference->conjuncts[i];
        struct slice *part =
            slice_equal_fold(conjunct->column, SLICE("table_catalog"))  ? &wanted.catalog
            : slice_equal_fold(conjunct->column, SLICE("table_schema")) ? &wanted.schema
            : slice_equal_fold(conjunct->column, SLICE("table_name"))   ? &wanted.name
                                                                        : NULL;
        struct slice text;
        if (part != NULL && read_equal(conjunct, &text)) {
            *part = text; /* of two, either is a condition */
        }
    }
    struct resolve_wanted *kept = arena_alloc(arena, sizeof(*kept));
    if (kept != NULL) {
        *kept = wanted;
    }
    return kept; /* without memory: all */
}
