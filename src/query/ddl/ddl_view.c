/* Views of attached catalogs: CREATE VIEW and COMMENT.
 *
 * Such a view is Iceberg's: its text, in the dialect "moat", is kept by the catalog.
 * Names in it are looked up when it is read, as whoever reads it. */
#include "query/ddl/ddl_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "iceberg/view_write.h"
#include "lake/schema.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

#define DIALECT "moat"

struct view_change {
    struct query *query;
    const struct attached *attached;
    struct slice ns, name;
    struct catalog_iceberg_table there; /* what is there */
    bool is_there;
    struct iceberg_schema schema;
    struct iceberg_view_write write;
    struct errinfo *info;
};

static enum err open_view(struct view_change *c, const struct sql_name *name)
{
    struct session *session = c->query->session;
    struct errinfo told = {0};
    c->ns = name->schema.len > 0 ? name->schema : slice_of(session->default_schema);
    c->name = name->name;
    enum err err = catalog_iceberg_load(&c->attached->catalog, session->who, c->ns, c->name,
                                        c->query->arena, &c->there, &told);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        *c->info = told;
        return err;
    }
    c->is_there = err == ERR_OK;
    if (c->is_there) { /* as the catalog has them */
        c->ns = c->there.name.ns;
        c->name = c->there.name.name;
    }
    c->write.dialect = SLICE(DIALECT);
    c->write.default_namespace = c->ns;
    c->write.now_ms = clock_wall_us() / 1000;
    return ERR_OK;
}

static enum err put(struct view_change *c)
{
    struct catalog_iceberg catalog = c->attached->catalog;
    char *uuid = arena_alloc(c->query->arena, UUID_TEXT_BYTES);
    if (uuid == NULL || uuid_new(uuid) != ERR_OK) {
        return errinfo_nomem(c->info);
    }
    const struct catalog_iceberg_view_change change = {
        .ns = c->ns,
        .name = c->name,
        .view = &c->write,
        .before = c->is_there ? &c->there.view : NULL,
        .metadata_location = c->there.name.metadata_location};
    c->write.uuid = slice_of(uuid);
    c->write.schema = &c->schema;
    return catalog_iceberg_put_view(&catalog, c->query->session->who, &change, c->query->arena,
                                    c->info);
}

/* ---- CREATE VIEW ---- */

static enum err fill_schema(struct view_change *c, const struct statement *statement,
                            const struct engine_column *found, size_t count)
{
    struct iceberg_field *fields = arena_calloc(c->query->arena, count + 1, sizeof(*fields));
    int32_t last = 0;
    if (fields == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < count; i++) {
        fields[i].name = i < statement->column_count ? statement->columns[i] : found[i].name;
        for (size_t k = 0; k < i; k++) {
            if (slice_equal_fold(fields[k].name, fields[i].name)) {
                return errinfo_set(c->info, ERR_EXISTS, "42701", "column \"%.*s\" is there twice",
                                   SLICE_ARGS(fields[i].name));
            }
        }
        struct slice type =
            slice_equal(found[i].type, SLICE("\"NULL\"")) ? SLICE("VARCHAR") : found[i].type;
        TRY(lake_type_parse(type, fields[i].name, ICEBERG_FORMAT_VERSION_MAX, c->query->arena,
                            &fields[i].type, c->info));
    }
    c->schema.root =
        (struct iceberg_type){.id = ICEBERG_STRUCT, .fields = fields, .field_count = count};
    lake_schema_number(&c->schema.root, &last);
    return ERR_OK;
}

/* A view that is replaced keeps its identity, so its new body could read it. */
static enum err check_body(struct view_change *c, const struct plan *plan)
{
    struct relation ignored = {0};
    if (plan->ast->parameter_count > 0) {
        return errinfo_set(c->info, ERR_INVALID, "42P02", "a view has no parameters");
    }
    for (size_t i = 0; c->is_there && i < plan->table_count; i++) {
        if (slice_equal(plan->tables[i].relation->uuid, c->there.view.uuid)) {
            return errinfo_set(c->info, ERR_INVALID, "42P17", "the view \"%.*s\" would read itself",
                               SLICE_ARGS(c->name));
        }
    }
    /* That it reads nothing of this session's alone. */
    return plan_sources(plan, c->attached->catalog.name, c->ns, c->query->arena, &ignored, c->info);
}

static enum err define(struct view_change *c, const struct statement *statement)
{
    struct query *query = c->query;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct engine_column *found;
    size_t count;
    enum err err =
        run_plan_body(query, statement->query, c->attached->catalog.name, c->ns, &plan, c->info);
    if (err == ERR_OK) {
        err = run_describe_plan(query, plan, &found, &count, c->info);
    }
    if (err != ERR_OK) {
        if (c->info->position > 0) {
            c->info->position += statement_position(query->statement, statement->query) - 1;
        }
        return err;
    }
    TRY(check_body(c, plan));
    TRY(run_name_body(query, statement, count, &c->write.sql, c->info));
    return fill_schema(c, statement, found, count);
}

enum err ddl_create_view(struct query *query, const struct statement *statement,
                         const struct attached *attached, struct errinfo *info)
{
    struct view_change c = {.query = query, .info = info};
    TRY(run_lake_to_change(query, attached, &c.attached, info));
    TRY(open_view(&c, &statement->name));
    if (statement->is_definer) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "a view of a lake is read with the rights of who reads it");
        errinfo_hint(info, "Views with their owner's rights live in catalog \"" SQL_CATALOG_DEFAULT
                           "\".");
        return ERR_UNSUPPORTED;
    }
    if (c.is_there && statement->if_not_exists) {
        (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
        return ERR_OK;
    }
    if (c.is_there && (!statement->or_replace || !c.there.name.is_view)) {
        (void)errinfo_set(info, ERR_EXISTS, c.there.name.is_view ? "42P07" : "42809",
                          c.there.name.is_view ? "\"%.*s\" already exists"
                                               : "\"%.*s\" is not a view",
                          SLICE_ARGS(statement->name.name));
        errinfo_position(info, statement_position(query->statement, statement->name.name));
        return ERR_EXISTS;
    }
    TRY(define(&c, statement));
    return put(&c);
}

/* ---- COMMENT ---- */

/* The same text with another schema: a comment on a column is of the schema. */
static enum err comment_column(struct view_change *c, const struct statement *statement)
{
    const struct iceberg_view_version *now = iceberg_view_current(&c->there.view);
    const struct iceberg_schema *schema = iceberg_view_schema(&c->there.view, now->schema_id);
    size_t count = schema->root.field_count;
    struct iceberg_field *fields = arena_calloc(c->query->arena, count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < now->representation_count; i++) {
        if (slice_equal(now->representations[i].dialect, SLICE(DIALECT))) {
            c->write.sql = now->representations[i].sql;
        }
    }
    if (c->write.sql.len == 0) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "the view \"%.*s\" was made by another engine, which alone can change "
                           "its columns",
                           SLICE_ARGS(c->name));
    }
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        fields[i] = schema->root.fields[i];
        if (slice_equal_fold(fields[i].name, statement->column)) {
            fields[i].doc = statement->comment;
            is_found = true;
        }
    }
    c->schema = *schema;
    c->schema.root.fields = fields;
    return is_found ? ERR_OK
                    : errinfo_set(c->info, ERR_NOT_FOUND, "42703",
                                  "column \"%.*s\" of relation \"%.*s\" does not exist",
                                  SLICE_ARGS(statement->column), SLICE_ARGS(c->name));
}

enum err ddl_comment_view(struct query *query, const struct statement *statement,
                          const struct attached *attached, bool *ret_is_view, struct errinfo *info)
{
    struct view_change c = {.query = query, .info = info};
    const struct iceberg_property comment = {SLICE("comment"), statement->comment};
    TRY(run_lake_to_change(query, attached, &c.attached, info));
    TRY(open_view(&c, &statement->name));
    *ret_is_view = c.is_there && c.there.name.is_view;
    if (!*ret_is_view) {
        return ERR_OK;
    }
    if (statement->column.len > 0) {
        TRY(comment_column(&c, statement));
        return put(&c);
    }
    c.write.properties = &comment;
    c.write.property_count = 1;
    return put(&c);
}
