/* SHOW and DESCRIBE, as Trino has them: queries over what the person may see. */
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

struct reader {
    const struct trino_request *request;
    const struct trino_tokens *tokens;
    size_t at;
    struct arena *arena;
    struct errinfo *info;
};

static const struct token *next(const struct reader *reader)
{
    static const struct token none = {.kind = TOKEN_END};
    return reader->at < reader->tokens->count ? &reader->tokens->all[reader->at] : &none;
}

static bool take(struct reader *reader, const char *word)
{
    bool is = token_is(next(reader), word);
    reader->at += is;
    return is;
}

static enum err wrong(struct reader *reader)
{
    (void)errinfo_set(reader->info, ERR_SYNTAX, "42601", "syntax error at or near \"%.*s\"",
                      SLICE_ARGS(next(reader)->text));
    errinfo_position(reader->info, next(reader)->offset + 1);
    return ERR_SYNTAX;
}

struct name {
    struct slice parts[3];
    size_t count;
};

static enum err read_name(struct reader *reader, struct name *ret_name)
{
    *ret_name = (struct name){.count = 0};
    do {
        const struct token *token = next(reader);
        bool is_name = token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
        if (!is_name || ret_name->count == 3) {
            return wrong(reader);
        }
        if (!token_identifier(token, reader->arena, &ret_name->parts[ret_name->count++])) {
            return errinfo_nomem(reader->info);
        }
        reader->at++;
    } while (token_is_operator(next(reader), ".") && reader->at++ < reader->tokens->count);
    return ERR_OK;
}

/* LIKE 'pattern' [ESCAPE 'c']; then nothing. */
static enum err read_like(struct reader *reader, const char *column, struct buf *out)
{
    for (int part = 0; part < 2; part++) {
        bool is_there = take(reader, part == 0 ? "like" : "escape");
        if (!is_there) {
            break;
        }
        if (next(reader)->kind != TOKEN_STRING) {
            return wrong(reader);
        }
        if (part == 0) {
            buf_printf(out, " AND %s LIKE ", column);
        } else {
            buf_append_str(out, " ESCAPE ");
        }
        buf_append_slice(out, next(reader)->text);
        reader->at++;
    }
    return next(reader)->kind == TOKEN_END ? ERR_OK : wrong(reader);
}

static struct slice catalog_of(const struct reader *reader)
{
    return reader->request->catalog.len > 0 ? reader->request->catalog : SLICE("moat");
}

static struct slice schema_of(const struct reader *reader)
{
    return reader->request->schema.len > 0 ? reader->request->schema : SLICE("main");
}

static void put_equal(struct buf *out, const char *column, struct slice value)
{
    buf_printf(out, "lower(%s) = lower(", column);
    sql_quote_string(out, value);
    buf_append_char(out, ')');
}

/* A catalog that is not there holds nothing: to be an error, as it is, it is named, too. */
static void put_known(struct buf *out, struct slice catalog)
{
    if (!slice_equal_fold(catalog, SLICE("system"))) { /* Trino's own */
        buf_append_str(out, " AND (SELECT count(*) FROM (SELECT 1 FROM ");
        sql_quote_name(out, catalog);
        buf_append_str(out, ".information_schema.schemata LIMIT 0)) = 0");
    }
}

/* ---- each of them ---- */

static enum err show_catalogs(struct reader *reader, struct buf *out)
{
    buf_append_str(out, "SELECT DISTINCT catalog_name AS \"Catalog\" FROM "
                        "moat.information_schema.schemata WHERE true");
    TRY(read_like(reader, "catalog_name", out));
    buf_append_str(out, " ORDER BY 1");
    return ERR_OK;
}

static enum err show_schemas(struct reader *reader, struct buf *out)
{
    struct name name;
    struct slice catalog = catalog_of(reader);
    if (take(reader, "from") || take(reader, "in")) {
        TRY(read_name(reader, &name));
        catalog = name.parts[0];
    }
    buf_append_str(out, "SELECT schema_name AS \"Schema\" FROM moat.information_schema.schemata "
                        "WHERE ");
    put_equal(out, "catalog_name", catalog);
    TRY(read_like(reader, "schema_name", out));
    put_known(out, catalog);
    buf_append_str(out, " ORDER BY 1");
    return ERR_OK;
}

static enum err show_tables(struct reader *reader, struct buf *out)
{
    struct name name;
    struct slice catalog = catalog_of(reader);
    struct slice schema = schema_of(reader);
    if (take(reader, "from") || take(reader, "in")) {
        TRY(read_name(reader, &name));
        schema = name.parts[name.count - 1];
        catalog = name.count > 1 ? name.parts[0] : catalog;
    }
    buf_append_str(out, "SELECT table_name AS \"Table\" FROM moat.information_schema.tables "
                        "WHERE ");
    put_equal(out, "table_catalog", catalog);
    buf_append_str(out, " AND ");
    put_equal(out, "table_schema", schema);
    TRY(read_like(reader, "table_name", out));
    put_known(out, catalog);
    buf_append_str(out, " ORDER BY 1");
    return ERR_OK;
}

/* A table that is not there has no columns: to be an error, as it is, the relation is named too. */
static enum err show_columns(struct reader *reader, struct buf *out)
{
    struct name name;
    TRY(read_name(reader, &name));
    struct slice catalog = name.count == 3 ? name.parts[0] : catalog_of(reader);
    struct slice schema = name.count >= 2 ? name.parts[name.count - 2] : schema_of(reader);
    struct slice table = name.parts[name.count - 1];
    buf_append_str(out, "SELECT c.column_name AS \"Column\", c.data_type AS \"Type\", '' AS "
                        "\"Extra\", coalesce(c.comment, '') AS \"Comment\" FROM (");
    for (const char *c = trino_table(SLICE("information_schema"), SLICE("columns"), true);
         *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'c') {
            sql_quote_string(out, catalog);
            c++;
        } else {
            buf_append_char(out, *c);
        }
    }
    buf_append_str(out, ") AS c WHERE ");
    put_equal(out, "c.table_schema", schema);
    buf_append_str(out, " AND ");
    put_equal(out, "c.table_name", table);
    TRY(read_like(reader, "c.column_name", out));
    buf_append_str(out, " AND (SELECT count(*) FROM (SELECT 1 FROM ");
    sql_quote_name(out, catalog);
    buf_append_char(out, '.');
    sql_quote_name(out, schema);
    buf_append_char(out, '.');
    sql_quote_name(out, table);
    buf_append_str(out, " LIMIT 0)) = 0 ORDER BY c.ordinal_position");
    return ERR_OK;
}

static enum err show_functions(struct reader *reader, struct buf *out)
{
    buf_append_str(out,
                   "SELECT name AS \"Function\", '' AS \"Return Type\", '' AS \"Argument Types\", "
                   "class AS \"Function Type\", true AS \"Deterministic\", '' AS \"Description\" "
                   "FROM moat.moat_system.functions WHERE name NOT LIKE '%\\_\\_%' ESCAPE '\\'");
    TRY(read_like(reader, "name", out));
    buf_append_str(out, " ORDER BY 1");
    return ERR_OK;
}

static enum err show_session(struct reader *reader, struct buf *out)
{
    buf_append_str(out, "SELECT name AS \"Name\", value AS \"Value\", value AS \"Default\", "
                        "'varchar' AS \"Type\", '' AS \"Description\" FROM (VALUES "
                        "('query_max_run_time', ''), ('query_max_execution_time', ''), "
                        "('time_zone_id', 'UTC')) AS s(name, value) WHERE true");
    for (size_t i = 0; i < reader->request->property_count; i++) {
        const struct trino_pair *property = &reader->request->properties[i];
        buf_append_str(out, " AND name <> ");
        sql_quote_string(out, property->name);
    }
    for (size_t i = 0; i < reader->request->property_count; i++) {
        const struct trino_pair *property = &reader->request->properties[i];
        buf_append_str(out, " UNION ALL SELECT ");
        sql_quote_string(out, property->name);
        buf_append_str(out, ", ");
        sql_quote_string(out, property->value);
        buf_append_str(out, ", '', 'varchar', ''");
    }
    buf_append_str(out, " ORDER BY 1");
    return next(reader)->kind == TOKEN_END ? ERR_OK : wrong(reader);
}

static enum err show_roles(struct buf *out)
{
    buf_append_str(out, "SELECT r AS \"Role\" FROM (SELECT unnest(current_roles()) AS r) "
                        "ORDER BY 1");
    return ERR_OK;
}

static enum err show(struct reader *reader, bool *ret_is_show, struct buf *out)
{
    if (take(reader, "catalogs")) {
        return show_catalogs(reader, out);
    }
    if (take(reader, "schemas")) {
        return show_schemas(reader, out);
    }
    if (take(reader, "tables")) {
        return show_tables(reader, out);
    }
    if (take(reader, "functions")) {
        return show_functions(reader, out);
    }
    if (take(reader, "session")) {
        return show_session(reader, out);
    }
    if (take(reader, "columns")) {
        return take(reader, "from") || take(reader, "in") ? show_columns(reader, out)
                                                          : wrong(reader);
    }
    bool is_current = take(reader, "current");
    if (take(reader, "roles") && (is_current || next(reader)->kind == TOKEN_END)) {
        return show_roles(out);
    }
    *ret_is_show = false; /* ours: SHOW CREATE, SHOW GRANTS ... */
    return ERR_OK;
}

enum err trino_show(const struct trino_request *request, const struct trino_tokens *tokens,
                    struct arena *arena, bool *ret_is_show, struct slice *ret_text,
                    struct errinfo *info)
{
    struct reader reader = {.request = request, .tokens = tokens, .arena = arena, .info = info};
    struct buf out CLEANUP(buf_fini) = {0};
    *ret_is_show = true;
    if (take(&reader, "show")) {
        TRY(show(&reader, ret_is_show, &out));
    } else if (take(&reader, "describe") || take(&reader, "desc")) {
        *ret_is_show = !token_is(next(&reader), "select") && !token_is(next(&reader), "with");
        TRY(*ret_is_show ? show_columns(&reader, &out) : ERR_OK);
    } else {
        *ret_is_show = false;
    }
    if (buf_failed(&out) || !arena_slice(arena, buf_slice(&out), ret_text)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
