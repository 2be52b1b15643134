/* The settings, and what functions are rewritten to (sql/macros.def). */
#include <ctype.h>

#include "base/json.h"
#include "catalog/pg_int.h"

#define BEGIN_ROWS                                                                                 \
    const struct pg_model *model;                                                                  \
    TRY(catalog__pg_model_get(input, arena, &model, info))

/* ---- settings ---- */

/* What clients ask about, where the session says nothing else. */
static const char *const settings[][2] = {
    {"application_name", ""},
    {"block_size", "8192"},
    {"bytea_output", "hex"},
    {"client_encoding", "UTF8"},
    {"client_min_messages", "notice"},
    {"datestyle", "ISO, MDY"},
    {"default_table_access_method", "heap"},
    {"default_transaction_deferrable", "off"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"extra_float_digits", "1"},
    {"in_hot_standby", "off"},
    {"integer_datetimes", "on"},
    {"intervalstyle", "postgres"},
    {"jit", "off"},
    {"lc_collate", "C"},
    {"lc_ctype", "C"},
    {"lock_timeout", "0"},
    {"max_identifier_length", "128"},
    {"max_index_keys", "32"},
    {"row_security", "on"},
    {"server_encoding", "UTF8"},
    {"server_version", "15.0"},
    {"server_version_num", "150000"},
    {"standard_conforming_strings", "on"},
    {"statement_timeout", "0"},
    {"timezone", "UTC"},
    {"transaction_deferrable", "off"},
    {"transaction_isolation", "read committed"},
    {"transaction_read_only", "off"},
};

static void print_setting(struct buf *out, struct slice name, struct slice value,
                          struct slice source)
{
    struct buf key CLEANUP(buf_fini) = {0}; /* by which current_setting finds it */
    for (size_t i = 0; i < name.len; i++) {
        buf_append_char(&key, (char)tolower((unsigned char)name.ptr[i]));
    }
    out->failed = out->failed || buf_failed(&key);
    catalog__row_begin(out);
    catalog__row_text(out, "name", name);
    catalog__row_text(out, "setting", value);
    catalog__row_text(out, "source", source);
    catalog__row_text(out, "boot_val", value);
    catalog__row_text(out, "reset_val", value);
    catalog__row_text(out, "__moat_name", buf_slice(&key));
    catalog__row_text(out, "__moat_value", value);
    catalog__row_end(out);
}

static bool is_told(const struct json *lines, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(json_get_text(&lines[i], "name"), name)) {
            return true;
        }
    }
    return false;
}

/* Each line of `text` as one object. */
static enum err read_lines(struct slice text, struct arena *arena, struct json **ret_lines,
                           size_t *ret_count, struct errinfo *info)
{
    struct slice rest = text;
    size_t capacity = 1;
    for (size_t i = 0; i < rest.len; i++) {
        capacity += rest.ptr[i] == '\n';
    }
    struct json *lines = arena_calloc(arena, capacity, sizeof(*lines));
    size_t count = 0;
    if (lines == NULL) {
        return errinfo_nomem(info);
    }
    while (rest.len > 0) {
        const char *newline = memchr(rest.ptr, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.ptr);
        struct json *line;
        TRY(json_parse(arena, (struct slice){rest.ptr, len}, NULL, &line, info));
        lines[count++] = *line;
        len += newline != NULL;
        rest = (struct slice){rest.ptr + len, rest.len - len};
    }
    *ret_lines = lines;
    *ret_count = count;
    return ERR_OK;
}

/* What the protocol of the session keeps, and then Moat's own: the first of a name is meant. */
static enum err read_settings(const struct catalog_system_input *input, struct arena *arena,
                              struct json **ret_lines, size_t *ret_count, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice kept;
    if (input->print_settings != NULL) {
        input->print_settings(input->activity_context, &text);
    }
    if (input->settings_json != NULL) {
        buf_append_slice(&text, *input->settings_json);
    }
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), &kept)) {
        return errinfo_nomem(info);
    }
    return read_lines(kept, arena, ret_lines, ret_count, info);
}

static bool is_of_identity(struct slice name)
{
    return slice_equal_fold(name, SLICE("session_authorization")) ||
           slice_equal_fold(name, SLICE("is_superuser"));
}

enum err catalog__pg_rows_settings(const struct catalog_system_input *input, struct arena *arena,
                                   struct buf *out, struct errinfo *info)
{
    struct json *lines;
    size_t count;
    TRY(read_settings(input, arena, &lines, &count, info));
    for (size_t i = 0; i < count; i++) {
        struct slice name = json_get_text(&lines[i], "name");
        if (!is_of_identity(name) && !is_told(lines, i, name)) {
            print_setting(out, name, json_get_text(&lines[i], "value"),
                          json_get_text(&lines[i], "source"));
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (!is_told(lines, count, slice_of(settings[i][0]))) {
            print_setting(out, slice_of(settings[i][0]), slice_of(settings[i][1]),
                          SLICE("default"));
        }
    }
    struct buf path CLEANUP(buf_fini) = {0};
    catalog__pg_print_word(&path, input->default_schema);
    if (!is_told(lines, count, SLICE("search_path"))) {
        print_setting(out, SLICE("search_path"), buf_slice(&path), SLICE("session"));
    }
    print_setting(out, SLICE("session_authorization"), identity_subject(input->who),
                  SLICE("override"));
    print_setting(out, SLICE("is_superuser"),
                  identity_is_owner(input->who) ? SLICE("on") : SLICE("off"), SLICE("default"));
    return buf_failed(&path) ? errinfo_nomem(info) : catalog__pg_rows_finish(out, info);
}

/* ---- what functions are rewritten to ---- */

/* As words that a pattern may hold; PostgreSQL's TRUNCATE is part of our DELETE. "-" is no word. */
static void print_writes(struct buf *out, const struct pg_listed *listed)
{
    unsigned writes = listed->visible == NULL ? 0 : listed->visible->writes;
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_char(&text, '-');
    for (unsigned bit = PRIVILEGE_INSERT; bit <= PRIVILEGE_DELETE; bit <<= 1) {
        if ((writes & bit) != 0) {
            buf_printf(&text, "|%s%s", catalog__privilege(bit),
                       bit == PRIVILEGE_DELETE ? "|TRUNCATE" : "");
        }
    }
    catalog__row_text(out, "__moat_writes", buf_slice(&text));
    out->failed = out->failed || buf_failed(&text);
}

static enum err helper_relation(const struct catalog_system_input *input, struct arena *arena,
                                struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    struct buf name CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        catalog__row_begin(out);
        catalog__row_number(out, "__moat_oid", listed->oid);
        for (int is_full = 0; is_full < 2; is_full++) {
            buf_reset(&name);
            catalog__pg_print_name(&name, listed, is_full == 1);
            catalog__row_text(out, is_full == 1 ? "__moat_full" : "__moat_name", buf_slice(&name));
        }
        catalog__row_bool(out, "__moat_is_visible", listed->schema->is_on_path);
        catalog__row_text_or_null(out, "__moat_comment", listed->comment);
        if (listed->visible != NULL && listed->is_view &&
            catalog__may_administer(input->who, listed->visible->relation)) {
            catalog__row_text(out, "__moat_definition", listed->visible->relation->view_sql);
        }
        print_writes(out, listed);
        catalog__row_end(out);
    }
    return buf_failed(&name) ? errinfo_nomem(info) : catalog__pg_rows_finish(out, info);
}

/* The forms in which a relation can be named in a text, in lower case and without quotes. */
static enum err helper_relation_key(const struct catalog_system_input *input, struct arena *arena,
                                    struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    struct buf key CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < model->relation_count; i++) {
        const struct pg_listed *listed = &model->relations[i];
        for (unsigned form = 0; catalog__pg_print_key(listed, form, &key); form++) {
            catalog__row_begin(out);
            catalog__row_number(out, "__moat_oid", listed->oid);
            catalog__row_text(out, "__moat_key", buf_slice(&key));
            catalog__row_end(out);
        }
    }
    return buf_failed(&key) ? errinfo_nomem(info) : catalog__pg_rows_finish(out, info);
}

static enum err helper_column(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->relation_count; i++) {
        for (size_t c = 0; c < model->relations[i].column_count; c++) {
            struct pg_field field = catalog__pg_field_of(&model->relations[i], c);
            catalog__row_begin(out);
            catalog__row_number(out, "__moat_oid", model->relations[i].oid);
            catalog__row_number(out, "__moat_number", c + 1);
            catalog__row_text(out, "__moat_name", field.name);
            catalog__row_end(out);
        }
    }
    return catalog__pg_rows_finish(out, info);
}

static void print_helper(struct buf *out, uint32_t oid, struct slice name, struct slice key)
{
    catalog__row_begin(out);
    catalog__row_number(out, "__moat_oid", oid);
    catalog__row_text(out, "__moat_name", name);
    catalog__row_text(out, "__moat_key", key);
    catalog__row_end(out);
}

static enum err helper_role(const struct catalog_system_input *input, struct arena *arena,
                            struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->person_count; i++) {
        print_helper(out, model->people[i].oid, model->people[i].name, model->people[i].name);
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err helper_schema(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    BEGIN_ROWS;
    for (size_t i = 0; i < model->schema_count; i++) {
        print_helper(out, model->schemas[i].oid, model->schemas[i].shown, model->schemas[i].shown);
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err helper_type(UNUSED const struct catalog_system_input *input,
                            UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    const struct pg_type *type;
    for (size_t i = 0; (type = catalog__pg_type_at(i)) != NULL; i++) {
        print_helper(out, type->oid, slice_of(type->format), slice_of(type->name));
    }
    return catalog__pg_rows_finish(out, info);
}

static enum err helper_proc(UNUSED const struct catalog_system_input *input,
                            UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
#undef PG_PROC
#define PG_PROC(oid, name, arguments, result) print_helper(out, oid, SLICE(name), SLICE(name));
#include "catalog/pg_procs.def"
    return catalog__pg_rows_finish(out, info);
}

const struct pg_source catalog__pg_helper_sources[] = {
    {SQL_SCHEMA_PG, "__moat_relation",
     "__moat_oid __moat_name __moat_full __moat_is_visible __moat_comment __moat_definition "
     "__moat_writes ",
     NULL, helper_relation},
    {SQL_SCHEMA_PG, "__moat_relation_key", "__moat_oid __moat_key ", NULL, helper_relation_key},
    {SQL_SCHEMA_PG, "__moat_column", "__moat_oid __moat_number __moat_comment __moat_name ", NULL,
     helper_column},
    {SQL_SCHEMA_PG, "__moat_role", "__moat_oid __moat_name __moat_key ", NULL, helper_role},
    {SQL_SCHEMA_PG, "__moat_type", "__moat_oid __moat_name __moat_key ", NULL, helper_type},
    {SQL_SCHEMA_PG, "__moat_schema", "__moat_oid __moat_name __moat_key ", NULL, helper_schema},
    {SQL_SCHEMA_PG, "__moat_proc", "__moat_oid __moat_name __moat_key ", NULL, helper_proc},
    {SQL_SCHEMA_PG, "__moat_setting", "__moat_name __moat_value ", NULL, catalog__pg_rows_settings},
    {SQL_SCHEMA_PG, "__moat_self", "__moat_pid ", NULL, catalog__pg_rows_self},
};
const size_t catalog__pg_helper_source_count = ARRAY_COUNT(catalog__pg_helper_sources);
