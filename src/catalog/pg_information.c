/* The rows of information_schema: all catalogs, each thing under its own name there. */
#include "catalog/pg_int.h"

#define BEGIN_ROWS                                                                                 \
    const struct pg_model *model;                                                                  \
    TRY(catalog__pg_model_get(input, arena, &model, info))

static enum err rows_catalog_name(const struct catalog_system_input *input,
                                  UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    catalog__row_begin(out);
    catalog__row_text(out, "catalog_name", input->default_catalog);
    catalog__row_end(out);
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_schemata(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->schema_count; i++) {
        const struct pg_schema *schema = &model->schemas[i];
        catalog__row_begin(out);
        catalog__row_text(out, "catalog_name", schema->name.catalog);
        catalog__row_text(out, "schema_name", schema->name.schema);
        catalog__row_text(out, "schema_owner", schema->owner);
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static bool is_asked(const struct catalog_system_input *input, const struct pg_listed *listed)
{
    return input->only_catalog.len == 0 ||
           slice_equal_fold(input->only_catalog, listed->schema->name.catalog);
}

static void print_name(struct buf *out, const struct pg_listed *listed)
{
    catalog__row_text(out, "table_catalog", listed->schema->name.catalog);
    catalog__row_text(out, "table_schema", listed->schema->name.schema);
    catalog__row_text(out, "table_name", listed->name);
}

static enum err rows_tables(const struct catalog_system_input *input, struct arena *arena,
                            struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        if (!is_asked(input, listed)) {
            continue;
        }
        catalog__row_begin(out);
        print_name(out, listed);
        catalog__row_text(out, "table_type",
                          listed->is_view               ? SLICE("VIEW")
                          : catalog__pg_is_temp(listed) ? SLICE("LOCAL TEMPORARY")
                                                        : SLICE("BASE TABLE"));
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static void print_precision(struct buf *out, const struct pg_typed *typed)
{
    static const struct {
        uint32_t oid;
        int precision;
        int radix;
        int scale; /* -1 = none */
    } numbers[] = {
        {21, 16, 2, 0}, {23, 32, 2, 0}, {20, 64, 2, 0}, {700, 24, 2, -1}, {701, 53, 2, -1}};
    uint32_t oid = typed->type->oid;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (numbers[i].oid == oid) {
            catalog__row_integer(out, "numeric_precision", numbers[i].precision);
            catalog__row_integer(out, "numeric_precision_radix", numbers[i].radix);
            if (numbers[i].scale >= 0) {
                catalog__row_integer(out, "numeric_scale", numbers[i].scale);
            }
        }
    }
    if (oid == PG_TYPE_NUMERIC) {
        catalog__row_integer(out, "numeric_precision_radix", 10);
        if (typed->modifier >= 0) {
            catalog__row_integer(out, "numeric_precision", (typed->modifier - 4) >> 16);
            catalog__row_integer(out, "numeric_scale", (typed->modifier - 4) & 0xffff);
        }
    }
    bool is_time =
        strcmp(typed->type->category, "D") == 0 || strcmp(typed->type->category, "T") == 0;
    if (is_time) {
        catalog__row_integer(out, "datetime_precision", oid == 1082 ? 0 : 6);
    }
}

static void print_column(struct buf *out, const struct pg_listed *listed, size_t index)
{
    struct pg_field field = catalog__pg_field_of(listed, index);
    const struct pg_type *type = field.typed.type;
    catalog__row_begin(out);
    print_name(out, listed);
    catalog__row_text(out, "column_name", field.name);
    catalog__row_number(out, "ordinal_position", index + 1);
    catalog__row_text(out, "is_nullable", field.is_required ? SLICE("NO") : SLICE("YES"));
    catalog__row_text(out, "data_type",
                      field.typed.dimensions > 0 ? SLICE("ARRAY") : slice_of(type->format));
    print_precision(out, &field.typed);
    catalog__row_text(out, "udt_name", slice_of(type->name));
    catalog__row_number(out, "dtd_identifier", index + 1);
    catalog__row_end(out);
}

static enum err rows_columns(const struct catalog_system_input *input, struct arena *arena,
                             struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        bool is_shown = is_asked(input, &model->relations[i]);
        for (size_t c = 0; is_shown && c < model->relations[i].column_count; c++) {
            print_column(out, &model->relations[i], c);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_views(const struct catalog_system_input *input, struct arena *arena,
                           struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        if (listed->is_view && is_asked(input, listed)) {
            catalog__row_begin(out);
            print_name(out, listed);
            /* The text may name what others may not see. */
            if (listed->visible != NULL &&
                catalog__may_administer(input->who, listed->visible->relation)) {
                catalog__row_text(out, "view_definition", listed->visible->relation->view_sql);
            }
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- roles and privileges ---- */

static enum err rows_applicable_roles(const struct catalog_system_input *input,
                                      UNUSED struct arena *arena, struct buf *out,
                                      struct errinfo *info)
{
    for (size_t i = 0; i < identity_role_count(input->who); i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "grantee", identity_subject(input->who));
        catalog__row_text(out, "role_name", identity_role(input->who, i));
        catalog__row_text(out, "is_grantable",
                          catalog__is_admin(input->who) ? SLICE("YES") : SLICE("NO"));
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_administrable_roles(const struct catalog_system_input *input,
                                         struct arena *arena, struct buf *out, struct errinfo *info)
{
    return catalog__is_admin(input->who) ? rows_applicable_roles(input, arena, out, info) : ERR_OK;
}

static enum err rows_enabled_roles(const struct catalog_system_input *input,
                                   UNUSED struct arena *arena, struct buf *out,
                                   struct errinfo *info)
{
    for (size_t i = 0; i < identity_role_count(input->who); i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "role_name", identity_role(input->who, i));
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

/* Of a grant, who may see that it is there: who gave the object, and whom it is for. */
static bool is_shown(const struct catalog_system_input *input, const struct pg_listed *listed,
                     const struct grant *grant)
{
    return grant->effect == GRANT_ALLOW &&
           (catalog__may_administer(input->who, listed->visible->relation) ||
            catalog__is_grantee(input->who, grant));
}

static void print_privilege(struct buf *out, const struct pg_listed *listed,
                            const struct grant *grant)
{
    catalog__row_text(out, "grantor", grant->grantor);
    catalog__row_text(out, "grantee", grant->grantee);
    print_name(out, listed);
}

static enum err rows_table_privileges(const struct catalog_system_input *input, struct arena *arena,
                                      struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        struct grant *grants;
        size_t count = 0;
        if (listed->visible != NULL) {
            TRY(system_grants(input->system, input->who, listed->visible->relation->uuid, arena,
                              &grants, &count, info));
        }
        for (size_t g = 0; g < count; g++) {
            for (unsigned bit = 1; is_shown(input, listed, &grants[g]) && bit <= PRIVILEGE_ALL;
                 bit <<= 1) {
                if ((grants[g].privileges & bit) != 0) {
                    catalog__row_begin(out);
                    print_privilege(out, listed, &grants[g]);
                    catalog__row_text(out, "privilege_type", slice_of(catalog__privilege(bit)));
                    catalog__row_end(out);
                }
            }
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static bool gives_column(const struct grant *grant, uint32_t id)
{
    bool gives = grant->all_columns;
    for (size_t i = 0; i < grant->column_count; i++) {
        gives = gives || grant->column_ids[i] == id;
    }
    return gives;
}

static enum err rows_column_privileges(const struct catalog_system_input *input,
                                       struct arena *arena, struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        struct grant *grants;
        size_t count = 0;
        if (listed->visible != NULL) {
            TRY(system_grants(input->system, input->who, listed->visible->relation->uuid, arena,
                              &grants, &count, info));
        }
        for (size_t g = 0; g < count; g++) {
            bool is_select = (grants[g].privileges & PRIVILEGE_SELECT) != 0 &&
                             is_shown(input, listed, &grants[g]);
            for (size_t c = 0; is_select && c < listed->column_count; c++) {
                const struct relation_column *column = listed->visible->columns[c];
                if (gives_column(&grants[g], column->id)) {
                    catalog__row_begin(out);
                    print_privilege(out, listed, &grants[g]);
                    catalog__row_text(out, "column_name", column->name);
                    catalog__row_end(out);
                }
            }
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_character_sets(const struct catalog_system_input *input,
                                    UNUSED struct arena *arena, struct buf *out,
                                    struct errinfo *info)
{
    catalog__row_begin(out);
    catalog__row_text(out, "character_set_name", SLICE("UTF8"));
    catalog__row_text(out, "character_repertoire", SLICE("UCS"));
    catalog__row_text(out, "form_of_use", SLICE("UTF8"));
    catalog__row_text(out, "default_collate_catalog", input->default_catalog);
    catalog__row_end(out);
    return catalog__pg_rows_finish(out, info);
}

static const char *const table_constants[] = {"is_insertable_into", "'NO'", "is_typed", "'NO'",
                                              "commit_action",      "NULL", NULL};
static const char *const column_constants[] = {
    "udt_catalog",  "'moat'",      "udt_schema",     "'pg_catalog'", "is_self_referencing",
    "'NO'",         "is_identity", "'NO'",           "is_generated", "'NEVER'",
    "is_updatable", "'NO'",        "identity_cycle", "'NO'",         NULL};
static const char *const view_constants[] = {"check_option",
                                             "'NONE'",
                                             "is_updatable",
                                             "'NO'",
                                             "is_insertable_into",
                                             "'NO'",
                                             "is_trigger_updatable",
                                             "'NO'",
                                             "is_trigger_deletable",
                                             "'NO'",
                                             "is_trigger_insertable_into",
                                             "'NO'",
                                             NULL};
static const char *const privilege_constants[] = {"is_grantable", "'NO'", "with_hierarchy", "'YES'",
                                                  NULL};
static const char *const cell_constants[] = {"privilege_type", "'SELECT'", "is_grantable", "'NO'",
                                             NULL};

#define PRIVILEGE_COLUMNS "grantor grantee table_catalog table_schema table_name "

const struct pg_source catalog__pg_information_sources[] = {
    {SQL_SCHEMA_INFORMATION, "information_schema_catalog_name", "catalog_name ", NULL,
     rows_catalog_name},
    {SQL_SCHEMA_INFORMATION, "schemata", "catalog_name schema_name schema_owner ", NULL,
     rows_schemata},
    {SQL_SCHEMA_INFORMATION, "tables", "table_catalog table_schema table_name table_type ",
     table_constants, rows_tables},
    {SQL_SCHEMA_INFORMATION, "columns",
     "table_catalog table_schema table_name column_name ordinal_position is_nullable data_type "
     "numeric_precision numeric_precision_radix numeric_scale datetime_precision udt_name "
     "dtd_identifier ",
     column_constants, rows_columns},
    {SQL_SCHEMA_INFORMATION, "views", "table_catalog table_schema table_name view_definition ",
     view_constants, rows_views},
    {SQL_SCHEMA_INFORMATION, "applicable_roles", "grantee role_name is_grantable ", NULL,
     rows_applicable_roles},
    {SQL_SCHEMA_INFORMATION, "administrable_role_authorizations", "grantee role_name is_grantable ",
     NULL, rows_administrable_roles},
    {SQL_SCHEMA_INFORMATION, "enabled_roles", "role_name ", NULL, rows_enabled_roles},
    {SQL_SCHEMA_INFORMATION, "table_privileges", PRIVILEGE_COLUMNS "privilege_type ",
     privilege_constants, rows_table_privileges},
    {SQL_SCHEMA_INFORMATION, "role_table_grants", PRIVILEGE_COLUMNS "privilege_type ",
     privilege_constants, rows_table_privileges},
    {SQL_SCHEMA_INFORMATION, "column_privileges", PRIVILEGE_COLUMNS "column_name ", cell_constants,
     rows_column_privileges},
    {SQL_SCHEMA_INFORMATION, "role_column_grants", PRIVILEGE_COLUMNS "column_name ", cell_constants,
     rows_column_privileges},
    {SQL_SCHEMA_INFORMATION, "character_sets",
     "character_set_name character_repertoire form_of_use default_collate_catalog ", NULL,
     rows_character_sets},
};
const size_t catalog__pg_information_source_count = ARRAY_COUNT(catalog__pg_information_sources);
