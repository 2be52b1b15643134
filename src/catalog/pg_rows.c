/* The rows of pg_catalog that come from what a person may see. */
#include "base/hash.h"
#include "catalog/pg_int.h"
#include "sql/functions.h"
#include "system/transaction.h"

#define BEGIN_ROWS                                                                                 \
    const struct pg_model *model;                                                                  \
    TRY(catalog__pg_model_get(input, arena, &model, info))

static enum err rows_namespace(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->schema_count; i++) {
        const struct pg_schema *schema = &model->schemas[i];
        catalog__row_begin(out);
        catalog__row_number(out, "oid", schema->oid);
        catalog__row_text(out, "nspname", schema->shown);
        catalog__row_number(out, "nspowner", catalog__pg_person_find(model, schema->owner, true));
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- pg_class, pg_attribute ---- */

static enum err rows_class(const struct catalog_system_input *input, struct arena *arena,
                           struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        catalog__row_begin(out);
        catalog__row_number(out, "oid", listed->oid);
        catalog__row_text(out, "relname", listed->name);
        catalog__row_number(out, "relnamespace", listed->schema->oid);
        catalog__row_number(out, "relowner", listed->owner);
        catalog__row_number(out, "relam", listed->is_view ? 0 : 2);
        catalog__row_text(out, "relkind", listed->is_view ? SLICE("v") : SLICE("r"));
        catalog__row_number(out, "relnatts", listed->column_count);
        catalog__row_bool(out, "relhasrules", listed->is_view);
        bool is_plain = !listed->is_view && listed->relation == NULL;
        catalog__row_text(out, "relreplident", is_plain ? SLICE("d") : SLICE("n"));
        catalog__row_text(out, "relpersistence",
                          catalog__pg_is_temp(listed) ? SLICE("t") : SLICE("p"));
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static void print_attribute(struct buf *out, const struct pg_listed *listed, size_t index)
{
    struct pg_field field = catalog__pg_field_of(listed, index);
    const struct pg_type *type = field.typed.type;
    catalog__row_begin(out);
    catalog__row_number(out, "attrelid", listed->oid);
    catalog__row_text(out, "attname", field.name);
    catalog__row_number(out, "atttypid", type->oid);
    catalog__row_integer(out, "attlen", type->len);
    catalog__row_number(out, "attnum", index + 1);
    catalog__row_number(out, "attndims", field.typed.dimensions);
    catalog__row_integer(out, "atttypmod", field.typed.modifier);
    catalog__row_bool(out, "attbyval", type->is_by_value);
    catalog__row_text(out, "attalign", slice_of(type->align));
    catalog__row_text(out, "attstorage", slice_of(type->storage));
    catalog__row_bool(out, "attnotnull", field.is_required);
    catalog__row_number(out, "attcollation", type->collation);
    catalog__row_end(out);
}

static enum err rows_attribute(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        for (size_t c = 0; c < model->relations[i].column_count; c++) {
            print_attribute(out, &model->relations[i], c);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* `column` 0: of the relation itself. */
static void print_comment(struct buf *out, const struct pg_listed *listed, size_t column,
                          struct slice comment)
{
    if (comment.len > 0) {
        catalog__row_begin(out);
        catalog__row_number(out, "objoid", listed->oid);
        catalog__row_number(out, "objsubid", column);
        catalog__row_text(out, "description", comment);
        catalog__row_end(out);
    }
}

static void print_comments(struct buf *out, const struct pg_listed *listed)
{
    for (size_t c = 0; listed->visible != NULL && c < listed->column_count; c++) {
        struct slice comment =
            catalog__column_comment(listed->visible->relation, listed->visible->columns[c]->id);
        for (size_t i = 0; i < listed->comment_count; i++) {
            if (listed->comments[i].column_id == listed->visible->columns[c]->id) {
                comment = listed->comments[i].comment;
            }
        }
        print_comment(out, listed, c + 1, comment);
    }
}

static enum err rows_description(const struct catalog_system_input *input, struct arena *arena,
                                 struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        bool is_stored = listed->comment.len > 0 || listed->visible == NULL;
        print_comment(out, listed, 0,
                      is_stored ? listed->comment : listed->visible->relation->comment);
        print_comments(out, listed);
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- views and what they read: for those who may see the text ---- */

static const struct pg_listed *readable_view(const struct catalog_system_input *input,
                                             const struct pg_listed *listed)
{
    bool is_readable = listed->rule != 0 && listed->visible != NULL &&
                       catalog__may_administer(input->who, listed->visible->relation);
    return is_readable ? listed : NULL;
}

static enum err rows_rewrite(const struct catalog_system_input *input, struct arena *arena,
                             struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *view = readable_view(input, &model->relations[i]);
        if (view != NULL) {
            catalog__row_begin(out);
            catalog__row_number(out, "oid", view->rule);
            catalog__row_number(out, "ev_class", view->oid);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static void print_depend(struct buf *out, uint32_t rule, uint32_t on, const char *kind)
{
    catalog__row_begin(out);
    catalog__row_number(out, "objid", rule);
    catalog__row_number(out, "refobjid", on);
    catalog__row_text(out, "deptype", slice_of(kind));
    catalog__row_end(out);
}

/* Of the text on its view, and on what it reads. */
static enum err rows_depend(const struct catalog_system_input *input, struct arena *arena,
                            struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *view = readable_view(input, &model->relations[i]);
        size_t count = view == NULL ? 0 : view->visible->relation->source_count;
        if (view != NULL) {
            print_depend(out, view->rule, view->oid, "i");
        }
        for (size_t s = 0; s < count; s++) {
            const struct pg_listed *on =
                catalog__pg_listed_find(model, view->visible->relation->sources[s].uuid);
            if (on != NULL) {
                print_depend(out, view->rule, on->oid, "n");
            }
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- the views that PostgreSQL makes of them ---- */

static enum err rows_tables(const struct catalog_system_input *input, struct arena *arena,
                            struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        if (!listed->is_view) {
            catalog__row_begin(out);
            catalog__row_text(out, "schemaname", listed->schema->shown);
            catalog__row_text(out, "tablename", listed->name);
            catalog__row_text(out, "tableowner", listed->owner_name);
            catalog__row_end(out);
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
        if (listed->is_view) {
            catalog__row_begin(out);
            catalog__row_text(out, "schemaname", listed->schema->shown);
            catalog__row_text(out, "viewname", listed->name);
            catalog__row_text(out, "viewowner", listed->owner_name);
            if (listed->visible != NULL &&
                catalog__may_administer(input->who, listed->visible->relation)) {
                catalog__row_text(out, "definition", listed->visible->relation->view_sql);
            }
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* Names only: how many rows there are, or were read, is not for everybody. */
static enum err print_statistics(const struct pg_model *model, bool with_user, bool with_own,
                                 struct buf *out, struct errinfo *info)
{
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        bool is_user = listed->visible != NULL;
        if (!listed->is_view && (is_user ? with_user : with_own)) {
            catalog__row_begin(out);
            catalog__row_number(out, "relid", listed->oid);
            catalog__row_text(out, "schemaname", listed->schema->shown);
            catalog__row_text(out, "relname", listed->name);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_user_statistics(const struct catalog_system_input *input, struct arena *arena,
                                     struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    return print_statistics(model, true, false, out, info);
}

static enum err rows_system_statistics(const struct catalog_system_input *input,
                                       struct arena *arena, struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    return print_statistics(model, false, true, out, info);
}

static enum err rows_all_statistics(const struct catalog_system_input *input, struct arena *arena,
                                    struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    return print_statistics(model, true, true, out, info);
}

/* ---- databases: the catalogs ---- */

static enum err rows_database(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->schema_count; i++) {
        const struct pg_schema *schema = &model->schemas[i];
        if (schema->is_first) {
            catalog__row_begin(out);
            catalog__row_number(out, "oid", schema->catalog_oid);
            catalog__row_text(out, "datname", schema->name.catalog);
            catalog__row_number(out, "datdba", model->owner);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- people ---- */

static enum err rows_roles(const struct catalog_system_input *input, struct arena *arena,
                           struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->person_count; i++) {
        const struct pg_person *person = &model->people[i];
        catalog__row_begin(out);
        catalog__row_number(out, "oid", person->oid);
        catalog__row_text(out, "rolname", person->name);
        catalog__row_bool(out, "rolsuper", person->is_owner);
        catalog__row_bool(out, "rolcreaterole", person->is_owner || person->is_admin);
        catalog__row_bool(out, "rolcreatedb", person->is_owner);
        catalog__row_bool(out, "rolcanlogin", person->is_user);
        catalog__row_bool(out, "rolbypassrls", person->is_owner);
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_user(const struct catalog_system_input *input, struct arena *arena,
                          struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->person_count; i++) {
        const struct pg_person *person = &model->people[i];
        if (person->is_user) {
            catalog__row_begin(out);
            catalog__row_text(out, "usename", person->name);
            catalog__row_number(out, "usesysid", person->oid);
            catalog__row_bool(out, "usecreatedb", person->is_owner);
            catalog__row_bool(out, "usesuper", person->is_owner);
            catalog__row_bool(out, "usebypassrls", person->is_owner);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static void print_members(struct buf *out, const struct pg_model *model, uint32_t role)
{
    bool is_first = true;
    catalog__row_key(out, "grolist");
    buf_append_char(out, '[');
    for (size_t m = 0; m < model->member_count; m++) {
        if (model->members[m].role == role) {
            buf_printf(out, "%s%u", is_first ? "" : ",", model->members[m].member);
            is_first = false;
        }
    }
    buf_append_char(out, ']');
}

static enum err rows_group(const struct catalog_system_input *input, struct arena *arena,
                           struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->person_count; i++) {
        const struct pg_person *person = &model->people[i];
        if (!person->is_user) {
            catalog__row_begin(out);
            catalog__row_text(out, "groname", person->name);
            catalog__row_number(out, "grosysid", person->oid);
            print_members(out, model, person->oid);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err rows_auth_members(const struct catalog_system_input *input, struct arena *arena,
                                  struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->member_count; i++) {
        catalog__row_begin(out);
        catalog__row_number(out, "roleid", model->members[i].role);
        catalog__row_number(out, "member", model->members[i].member);
        catalog__row_number(out, "grantor", model->owner);
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- what does not depend on who asks ---- */

static enum err rows_type(UNUSED const struct catalog_system_input *input,
                          UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    const struct pg_type *type;
    for (size_t i = 0; (type = catalog__pg_type_at(i)) != NULL; i++) {
        catalog__row_begin(out);
        catalog__row_number(out, "oid", type->oid);
        catalog__row_text(out, "typname", slice_of(type->name));
        catalog__row_integer(out, "typlen", type->len);
        catalog__row_bool(out, "typbyval", type->is_by_value);
        catalog__row_text(out, "typtype", slice_of(type->kind));
        catalog__row_text(out, "typcategory", slice_of(type->category));
        catalog__row_bool(out, "typispreferred", type->is_preferred);
        catalog__row_text(out, "typdelim", slice_of(type->delimiter));
        catalog__row_number(out, "typsubscript", type->subscript);
        catalog__row_number(out, "typelem", type->element);
        catalog__row_number(out, "typarray", type->array);
        catalog__row_number(out, "typinput", type->input);
        catalog__row_number(out, "typoutput", type->output);
        catalog__row_number(out, "typreceive", type->receive);
        catalog__row_number(out, "typsend", type->send);
        catalog__row_number(out, "typmodin", type->modifier_in);
        catalog__row_number(out, "typmodout", type->modifier_out);
        catalog__row_text(out, "typalign", slice_of(type->align));
        catalog__row_text(out, "typstorage", slice_of(type->storage));
        catalog__row_number(out, "typcollation", type->collation);
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err print_fixed(const char *const *lines, size_t count, struct buf *out,
                            struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, lines[i]);
        buf_append_char(out, '\n');
    }
    return catalog__pg_rows_finish(out, info);
}

#define FIXED_ROWS(name, ...)                                                                      \
    static enum err name(UNUSED const struct catalog_system_input *input,                          \
                         UNUSED struct arena *arena, struct buf *out, struct errinfo *info)        \
    {                                                                                              \
        static const char *const lines[] = {__VA_ARGS__};                                          \
        return print_fixed(lines, ARRAY_COUNT(lines), out, info);                                  \
    }

FIXED_ROWS(rows_am, "{\"oid\":2,\"amname\":\"heap\",\"amtype\":\"t\"}",
           "{\"oid\":403,\"amname\":\"btree\",\"amtype\":\"i\"}",
           "{\"oid\":405,\"amname\":\"hash\",\"amtype\":\"i\"}")

FIXED_ROWS(rows_collation, "{\"oid\":100,\"collname\":\"default\",\"collprovider\":\"d\"}",
           "{\"oid\":950,\"collname\":\"C\",\"collprovider\":\"c\",\"collcollate\":\"C\","
           "\"collctype\":\"C\"}",
           "{\"oid\":951,\"collname\":\"POSIX\",\"collprovider\":\"c\",\"collcollate\":\"POSIX\","
           "\"collctype\":\"POSIX\"}")

FIXED_ROWS(rows_language, "{\"oid\":12,\"lanname\":\"internal\",\"lanpltrusted\":false}",
           "{\"oid\":14,\"lanname\":\"sql\",\"lanpltrusted\":true}")

FIXED_ROWS(rows_range, "{\"rngtypid\":3904,\"rngsubtype\":23}",
           "{\"rngtypid\":3906,\"rngsubtype\":1700}", "{\"rngtypid\":3908,\"rngsubtype\":1114}",
           "{\"rngtypid\":3910,\"rngsubtype\":1184}", "{\"rngtypid\":3912,\"rngsubtype\":1082}",
           "{\"rngtypid\":3926,\"rngsubtype\":20}")

FIXED_ROWS(rows_tablespace, "{\"oid\":1663,\"spcname\":\"pg_default\"}",
           "{\"oid\":1664,\"spcname\":\"pg_global\"}")

/* ---- functions ---- */

/* Of a function that PostgreSQL has not, or not under one number. The list is fixed. */
static uint32_t proc_oid(const char *name)
{
    return 16384 + (uint32_t)(hash_xx64(slice_of(name), 0) % 0x7fff0000u);
}

static const char *proc_kind(enum function_class class)
{
    switch (class) {
    case FUNCTION_AGGREGATE:
        return "a";
    case FUNCTION_WINDOW:
        return "w";
    case FUNCTION_SCALAR:
    case FUNCTION_TABLE:
    case FUNCTION_CONTEXT:
    case FUNCTION_MACRO:
        return "f";
    case FUNCTION_READER:
    case FUNCTION_MASK:
    case FUNCTION_REFUSED:
        return NULL;
    }
    return NULL;
}

static enum err rows_proc(UNUSED const struct catalog_system_input *input,
                          UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    static const struct {
        uint32_t oid;
        const char *name;
        int arguments;
        uint32_t result;
    } procs[] = {
#define PG_PROC(oid_, name_, arguments_, result_) {(oid_), (name_), (arguments_), (result_)},
#include "catalog/pg_procs.def"
    };
    for (size_t i = 0; i < ARRAY_COUNT(procs); i++) {
        catalog__row_begin(out);
        catalog__row_number(out, "oid", procs[i].oid);
        catalog__row_text(out, "proname", slice_of(procs[i].name));
        catalog__row_text(out, "prokind", SLICE("f"));
        catalog__row_integer(out, "pronargs", procs[i].arguments);
        catalog__row_number(out, "prorettype", procs[i].result);
        catalog__row_end(out);
    }
    const struct sql_function *function;
    for (size_t i = 0; (function = sql_function_at(i)) != NULL; i++) {
        const char *kind = proc_kind(function->class);
        if (kind != NULL && function->name[0] >= 'a' && function->name[0] <= 'z') {
            catalog__row_begin(out);
            catalog__row_number(out, "oid", proc_oid(function->name));
            catalog__row_text(out, "proname", slice_of(function->name));
            catalog__row_text(out, "prokind", slice_of(kind));
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

/* ---- the table of all ---- */

static const char *const class_constants[] = {"relispopulated", "true", "reltuples", "-1",
                                              "relfilenode",    "0",    NULL};
static const char *const attribute_constants[] = {"attstattarget", "-1",   "attcacheoff", "-1",
                                                  "attislocal",    "true", NULL};
static const char *const description_constants[] = {"classoid", "1259", NULL};
static const char *const database_constants[] = {"encoding",
                                                 "6",
                                                 "datallowconn",
                                                 "true",
                                                 "datconnlimit",
                                                 "-1",
                                                 "dattablespace",
                                                 "1663",
                                                 "datcollate",
                                                 "'C'",
                                                 "datctype",
                                                 "'C'",
                                                 "datlocprovider",
                                                 "'c'",
                                                 NULL};
static const char *const roles_constants[] = {"rolinherit",  "true",         "rolreplication",
                                              "false",       "rolconnlimit", "-1",
                                              "rolpassword", "NULL",         NULL};
static const char *const pg_roles_constants[] = {"rolinherit",  "true",         "rolreplication",
                                                 "false",       "rolconnlimit", "-1",
                                                 "rolpassword", "'********'",   NULL};
static const char *const user_constants[] = {"userepl", "false", "passwd", "'********'", NULL};
static const char *const shadow_constants[] = {"userepl", "false", NULL};
static const char *const members_constants[] = {"admin_option", "false", NULL};
static const char *const type_constants[] = {
    "typnamespace", "11", "typowner", "10", "typisdefined", "true", "typtypmod", "-1", NULL};
static const char *const collation_constants[] = {
    "collnamespace", "11",           "collisdeterministic",
    "true",          "collencoding", "-1",
    "collowner",     "10",           NULL};
static const char *const language_constants[] = {"lanowner", "10", NULL};
static const char *const tablespace_constants[] = {"spcowner", "10", NULL};
static const char *const proc_constants[] = {
    "pronamespace", "11",  "proowner",    "10",  "prolang", "12", "procost", "1",
    "provolatile",  "'i'", "proparallel", "'s'", NULL};
static const char *const settings_constants[] = {
    "category", "'Moat'",   "short_desc",      "''",    "context", "'user'",
    "vartype",  "'string'", "pending_restart", "false", NULL};
static const char *const rewrite_constants[] = {
    "rulename", "'_RETURN'", "ev_type", "'1'", "ev_enabled", "'O'", "is_instead", "true", NULL};
static const char *const depend_constants[] = {
    "classid", "2618", "objsubid", "0", "refclassid", "1259", "refobjsubid", "0", NULL};
static const char *const table_constants[] = {"hasindexes",  "false",       "hasrules",
                                              "false",       "hastriggers", "false",
                                              "rowsecurity", "false",       NULL};
static const char *const cursor_constants[] = {"is_scrollable", "false", NULL};
static const char *const activity_constants[] = {"backend_type", "'client backend'", NULL};

#define ROLE_COLUMNS "oid rolname rolsuper rolcreaterole rolcreatedb rolcanlogin rolbypassrls "
#define USER_COLUMNS "usename usesysid usecreatedb usesuper usebypassrls "
#define SETTING_COLUMNS "name setting source boot_val reset_val "

const struct pg_source catalog__pg_sources[] = {
    {SQL_SCHEMA_PG, "pg_namespace", "oid nspname nspowner ", NULL, rows_namespace},
    {SQL_SCHEMA_PG, "pg_class",
     "oid relname relnamespace relowner relam relkind relnatts relhasrules relreplident "
     "relpersistence ",
     class_constants, rows_class},
    {SQL_SCHEMA_PG, "pg_attribute",
     "attrelid attname atttypid attlen attnum attndims atttypmod attbyval attalign attstorage "
     "attnotnull attcollation ",
     attribute_constants, rows_attribute},
    {SQL_SCHEMA_PG, "pg_description", "objoid objsubid description ", description_constants,
     rows_description},
    {SQL_SCHEMA_PG, "pg_rewrite", "oid ev_class ", rewrite_constants, rows_rewrite},
    {SQL_SCHEMA_PG, "pg_depend", "objid refobjid deptype ", depend_constants, rows_depend},
    {SQL_SCHEMA_PG, "pg_tables", "schemaname tablename tableowner ", table_constants, rows_tables},
    {SQL_SCHEMA_PG, "pg_views", "schemaname viewname viewowner definition ", NULL, rows_views},
    {SQL_SCHEMA_PG, "pg_stat_user_tables", "relid schemaname relname ", NULL, rows_user_statistics},
    {SQL_SCHEMA_PG, "pg_stat_sys_tables", "relid schemaname relname ", NULL,
     rows_system_statistics},
    {SQL_SCHEMA_PG, "pg_stat_all_tables", "relid schemaname relname ", NULL, rows_all_statistics},
    {SQL_SCHEMA_PG, "pg_statio_user_tables", "relid schemaname relname ", NULL,
     rows_user_statistics},
    {SQL_SCHEMA_PG, "pg_statio_all_tables", "relid schemaname relname ", NULL, rows_all_statistics},
    {SQL_SCHEMA_PG, "pg_database", "oid datname datdba ", database_constants, rows_database},
    {SQL_SCHEMA_PG, "pg_roles", ROLE_COLUMNS, pg_roles_constants, rows_roles},
    {SQL_SCHEMA_PG, "pg_authid", ROLE_COLUMNS, roles_constants, rows_roles},
    {SQL_SCHEMA_PG, "pg_user", USER_COLUMNS, user_constants, rows_user},
    {SQL_SCHEMA_PG, "pg_shadow", USER_COLUMNS, shadow_constants, rows_user},
    {SQL_SCHEMA_PG, "pg_group", "groname grosysid grolist ", NULL, rows_group},
    {SQL_SCHEMA_PG, "pg_auth_members", "roleid member grantor ", members_constants,
     rows_auth_members},
    {SQL_SCHEMA_PG, "pg_type",
     "oid typname typlen typbyval typtype typcategory typispreferred typdelim typsubscript "
     "typelem typarray typinput typoutput typreceive typsend typmodin typmodout typalign "
     "typstorage typcollation ",
     type_constants, rows_type},
    {SQL_SCHEMA_PG, "pg_am", "oid amname amtype ", NULL, rows_am},
    {SQL_SCHEMA_PG, "pg_collation", "oid collname collprovider collcollate collctype ",
     collation_constants, rows_collation},
    {SQL_SCHEMA_PG, "pg_language", "oid lanname lanpltrusted ", language_constants, rows_language},
    {SQL_SCHEMA_PG, "pg_range", "rngtypid rngsubtype ", NULL, rows_range},
    {SQL_SCHEMA_PG, "pg_tablespace", "oid spcname ", tablespace_constants, rows_tablespace},
    {SQL_SCHEMA_PG, "pg_proc", "oid proname prokind pronargs prorettype ", proc_constants,
     rows_proc},
    {SQL_SCHEMA_PG, "pg_settings", SETTING_COLUMNS, settings_constants, catalog__pg_rows_settings},
    {SQL_SCHEMA_PG, "pg_stat_activity",
     "datname pid usesysid usename application_name client_addr client_port backend_start "
     "query_start state_change state query ",
     activity_constants, catalog__pg_rows_activity},
    {SQL_SCHEMA_PG, "pg_cursors", "name statement is_holdable is_binary creation_time ",
     cursor_constants, catalog__pg_rows_cursors},
};
const size_t catalog__pg_source_count = ARRAY_COUNT(catalog__pg_sources);
