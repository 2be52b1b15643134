/* What a view's text means, and goes on to mean.
 *
 * A name in it is what it was when the view was made, by uuid, whatever that is called now; so are
 * the columns, by id. A table that takes the name later, or two columns that swap theirs, change
 * nothing; `*` stays what it was. What is gone is gone: the view says so and reads no other. */
#include "query/lake/lake_int.h"
#include "query/plan/plan_int.h"

static bool is_named(const struct relation_source *source, const struct sql_name *name)
{
    return slice_equal_fold(source->name.name, name->name) &&
           slice_equal_fold(source->name.schema, name->schema) &&
           slice_equal_fold(source->name.catalog, name->catalog);
}

static enum err is_gone(const struct plan_node *node, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_NOT_FOUND, "42P01",
                      "what the view \"%.*s\" reads was dropped or replaced",
                      SLICE_ARGS(node->view->name.name));
    errinfo_hint(info, "Its owner can make it anew: CREATE OR REPLACE VIEW.");
    return ERR_NOT_FOUND;
}

enum err plan_find_source(struct builder *b, const struct plan_node *node, struct sql_name *name,
                          const struct relation_source **ret_source, struct errinfo *info)
{
    const struct relation_source *source = NULL;
    size_t count = node->view == NULL ? 0 : node->view->source_count;
    for (size_t i = 0; i < count && source == NULL; i++) {
        source = is_named(&node->view->sources[i], name) ? &node->view->sources[i] : NULL;
    }
    *ret_source = source;
    if (source == NULL) {
        return ERR_OK;
    }
    struct sql_name now;
    struct errinfo ignored;
    enum err err = system_relation_name(session_store(b->session), node->who, source->uuid,
                                        b->arena, &now, &ignored);
    if (err == ERR_OK) {
        *name = now;
    } else if (err != ERR_NOT_FOUND) {
        if (info != NULL) {
            *info = ignored;
        }
        return err;
    } else if (slice_equal_fold(name->catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        return is_gone(node, info);
    } /* else of an attached catalog, which is asked by name and checked below */
    return ERR_OK;
}

static const struct relation_column *find_then(const struct relation_source *source, uint32_t id)
{
    for (size_t i = 0; i < source->column_count; i++) {
        if (source->columns[i].id == id) {
            return &source->columns[i];
        }
    }
    return NULL;
}

/* Columns by their names of then; one that came later gets a name that nobody can write. */
static enum err rename_columns(struct builder *b, const struct relation_source *source,
                               struct relation *relation, struct errinfo *info)
{
    struct relation_column *columns =
        arena_calloc(b->arena, relation->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct relation_column *then = find_then(source, relation->columns[i].id);
        columns[i] = relation->columns[i];
        if (then != NULL) {
            columns[i].name = then->name;
            continue;
        }
        char *later = arena_printf(b->arena, "__moat_later_%u", columns[i].id);
        if (later == NULL) {
            return errinfo_nomem(info);
        }
        columns[i].name = slice_of(later);
    }
    relation->columns = columns;
    return ERR_OK;
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

enum err plan_use_source(struct builder *b, const struct plan_node *node,
                         const struct relation_source *source, struct resolved *resolved,
                         struct errinfo *info)
{
    struct relation *relation = resolved->relation;
    struct policy_effective *effective = &resolved->effective;
    bool is_kept = relation->kind == RELATION_TABLE || relation->kind == RELATION_VIEW;
    bool has_sources = node->view != NULL && node->view->source_count > 0;
    if (source == NULL) { /* a name that was of something else when the view was made */
        bool has_identity = !slice_equal(relation->uuid, SLICE(LAKE_NO_IDENTITY));
        return has_sources && is_kept && has_identity ? is_gone(node, info) : ERR_OK;
    }
    if (!is_kept || !slice_equal(relation->uuid, source->uuid)) {
        return is_gone(node, info);
    }
    TRY(rename_columns(b, source, relation, info));
    struct policy_column *columns =
        arena_calloc(b->arena, effective->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < effective->column_count; i++) {
        uint32_t id = effective->columns[i].column->id;
        if (find_then(source, id) != NULL) {
            columns[count] = effective->columns[i];
            columns[count++].column = column_of(relation, id);
        }
    }
    effective->columns = columns;
    effective->column_count = count;
    return ERR_OK;
}

/* ---- when a view is made ---- */

/* Two versions of a table are one source with the columns of both. */
static enum err fill_source(const struct plan_ref *ref, const struct sql_name *name,
                            struct arena *arena, struct relation_source *source,
                            struct errinfo *info)
{
    const struct policy_effective *effective = &ref->resolved.effective;
    size_t count = source->column_count;
    struct relation_column *columns =
        arena_calloc(arena, count + effective->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    if (count > 0) {
        memcpy(columns, source->columns, count * sizeof(*columns));
    }
    for (size_t i = 0; i < effective->column_count; i++) {
        const struct relation_column *column = effective->columns[i].column;
        if (find_then(source, column->id) == NULL) {
            columns[count++] = (struct relation_column){.id = column->id, .name = column->name};
        }
    }
    *source = (struct relation_source){.name = *name,
                                       .uuid = ref->resolved.relation->uuid,
                                       .columns = columns,
                                       .column_count = count};
    return ERR_OK;
}

enum err plan_sources(const struct plan *plan, struct slice catalog, struct slice schema,
                      struct arena *arena, struct relation *view, struct errinfo *info)
{
    const struct plan_node *root = plan->root;
    struct relation_source *sources = arena_calloc(arena, root->ref_count + 1, sizeof(*sources));
    if (sources == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < root->ref_count; i++) {
        const struct relation *relation = root->refs[i].resolved.relation;
        struct sql_name name = root->ast->references[i].name;
        if (relation->kind == RELATION_TEMP) {
            (void)errinfo_set(info, ERR_INVALID, "42P16",
                              "a view cannot read the temporary table \"%.*s\"",
                              SLICE_ARGS(relation->name.name));
            errinfo_hint(info, "It would outlive the table.");
            return ERR_INVALID;
        }
        if (relation->kind != RELATION_TABLE && relation->kind != RELATION_VIEW) {
            continue; /* Moat's own, or a file */
        }
        if (slice_equal(relation->uuid, SLICE(LAKE_NO_IDENTITY))) {
            continue; /* nothing but its name says which one it is */
        }
        name.catalog = name.catalog.len > 0 ? name.catalog : catalog;
        name.schema = name.schema.len > 0 ? name.schema : schema;
        size_t at = 0;
        while (at < view->source_count && !is_named(&sources[at], &name)) {
            at++;
        }
        TRY(fill_source(&root->refs[i], &name, arena, &sources[at], info));
        view->source_count += at == view->source_count;
    }
    view->sources = sources;
    return ERR_OK;
}
