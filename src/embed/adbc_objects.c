/* What there is: catalogs, schemas, tables, columns, as the person may see them. The answers are
 * those of information_schema, in the shape that ADBC wants, made by one SELECT. */
#include "base/buf.h"
#include "embed/adbc_int.h"
#include "sql/scan.h"

static AdbcStatusCode ask(struct AdbcConnection *connection, struct buf *sql,
                          struct ArrowArrayStream *out, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    struct moat_error why;
    if (own == NULL || own->session == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08003", error, "the connection is not open");
    }
    if (buf_failed(sql)) {
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    return moat_query(own->session, buf_cstr(sql), out, NULL, &why) == MOAT_OK
               ? ADBC_STATUS_OK
               : adbc__fail(&why, error);
}

/* " AND name LIKE 'pattern'": in ADBC's patterns nothing is escaped. NULL: all of them. */
static void write_like(struct buf *sql, const char *name, const char *pattern)
{
    if (pattern != NULL) {
        buf_printf(sql, " AND %s LIKE ", name);
        sql_quote_string(sql, slice_of(pattern));
    }
}

static void write_types(struct buf *sql, const char **types)
{
    if (types == NULL) {
        return;
    }
    buf_append_str(sql, " AND t.table_type IN (''");
    for (; *types != NULL; types++) {
        buf_append_str(sql, ", ");
        sql_quote_string(sql, slice_of(*types));
    }
    buf_append_char(sql, ')');
}

static const char null_constraints[] =
    "CAST(NULL AS STRUCT(constraint_name VARCHAR, constraint_type VARCHAR, "
    "constraint_column_names VARCHAR[], constraint_column_usage STRUCT(fk_catalog VARCHAR, "
    "fk_db_schema VARCHAR, fk_table VARCHAR, fk_column_name VARCHAR)[])[])";

static const char column_type[] =
    "STRUCT(column_name VARCHAR, ordinal_position INTEGER, remarks VARCHAR, xdbc_data_type "
    "SMALLINT, xdbc_type_name VARCHAR, xdbc_column_size INTEGER, xdbc_decimal_digits SMALLINT, "
    "xdbc_num_prec_radix SMALLINT, xdbc_nullable SMALLINT, xdbc_column_def VARCHAR, "
    "xdbc_sql_data_type SMALLINT, xdbc_datetime_sub SMALLINT, xdbc_char_octet_length INTEGER, "
    "xdbc_is_nullable VARCHAR, xdbc_scope_catalog VARCHAR, xdbc_scope_schema VARCHAR, "
    "xdbc_scope_table VARCHAR, xdbc_is_autoincrement BOOLEAN, xdbc_is_generatedcolumn BOOLEAN)[]";

/* The columns of each table, as a list. */
static void write_columns(struct buf *sql, const char *column)
{
    buf_printf(sql,
               "c AS (SELECT table_catalog, table_schema, table_name, CAST(list(struct_pack("
               "column_name := column_name, ordinal_position := ordinal_position, remarks := NULL, "
               "xdbc_data_type := NULL, xdbc_type_name := data_type, xdbc_column_size := "
               "character_maximum_length, xdbc_decimal_digits := numeric_scale, "
               "xdbc_num_prec_radix := numeric_precision_radix, xdbc_nullable := CASE WHEN "
               "is_nullable = 'YES' THEN 1 ELSE 0 END, xdbc_column_def := column_default, "
               "xdbc_sql_data_type := NULL, xdbc_datetime_sub := NULL, xdbc_char_octet_length := "
               "NULL, xdbc_is_nullable := is_nullable, xdbc_scope_catalog := NULL, "
               "xdbc_scope_schema := NULL, xdbc_scope_table := NULL, xdbc_is_autoincrement := "
               "NULL, xdbc_is_generatedcolumn := NULL) ORDER BY ordinal_position) AS %s) AS "
               "columns FROM information_schema.columns WHERE true",
               column_type);
    write_like(sql, "column_name", column);
    buf_append_str(sql, " GROUP BY ALL), ");
}

static const char table_members[] =
    "table_name VARCHAR, table_type VARCHAR, table_columns %s, table_constraints "
    "STRUCT(constraint_name VARCHAR, constraint_type VARCHAR, constraint_column_names VARCHAR[], "
    "constraint_column_usage STRUCT(fk_catalog VARCHAR, fk_db_schema VARCHAR, fk_table VARCHAR, "
    "fk_column_name VARCHAR)[])[]";

static void write_tables(struct buf *sql, bool has_columns, const char *table, const char **types)
{
    buf_printf(sql,
               "t AS (SELECT t.table_catalog, t.table_schema, list(struct_pack(table_name := "
               "t.table_name, table_type := t.table_type, table_columns := %s%s%s, "
               "table_constraints := %s) ORDER BY t.table_name) AS tables FROM "
               "information_schema.tables t %s WHERE true",
               has_columns ? "coalesce(c.columns, CAST([] AS " : "CAST(NULL AS ", column_type,
               has_columns ? "))" : ")", null_constraints,
               has_columns
                   ? "LEFT JOIN c ON c.table_catalog = t.table_catalog AND c.table_schema = "
                     "t.table_schema AND c.table_name = t.table_name"
                   : "");
    write_like(sql, "t.table_name", table);
    write_types(sql, types);
    buf_append_str(sql, " GROUP BY ALL), ");
}

static void write_schemas(struct buf *sql, int depth, const char *schema)
{
    bool has_tables = depth == ADBC_OBJECT_DEPTH_ALL || depth == ADBC_OBJECT_DEPTH_TABLES;
    struct buf type CLEANUP(buf_fini) = {0};
    buf_append_str(&type, "STRUCT(");
    const char *at = strstr(table_members, "%s");
    buf_append(&type, table_members, (size_t)(at - table_members));
    buf_append_str(&type, column_type);
    buf_append_str(&type, at + 2);
    buf_append_str(&type, ")[]");
    buf_printf(sql,
               "s AS (SELECT s.catalog_name, list(struct_pack(db_schema_name := s.schema_name, "
               "db_schema_tables := %s%s%s) ORDER BY s.schema_name) AS schemas FROM "
               "information_schema.schemata s %s WHERE true",
               has_tables ? "coalesce(t.tables, CAST([] AS " : "CAST(NULL AS ", buf_cstr(&type),
               has_tables ? "))" : ")",
               has_tables ? "LEFT JOIN t ON t.table_catalog = s.catalog_name AND t.table_schema = "
                            "s.schema_name"
                          : "");
    write_like(sql, "s.schema_name", schema);
    buf_printf(sql,
               " GROUP BY ALL), n AS (SELECT DISTINCT catalog_name, CAST([] AS "
               "STRUCT(db_schema_name VARCHAR, db_schema_tables %s)[]) AS none FROM "
               "information_schema.schemata) ",
               buf_cstr(&type));
    sql->failed = sql->failed || buf_failed(&type);
}

static AdbcStatusCode get_objects(struct AdbcConnection *connection, int depth, const char *catalog,
                                  const char *schema, const char *table, const char **types,
                                  const char *column, struct ArrowArrayStream *out,
                                  struct AdbcError *error)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    bool has_columns = depth == ADBC_OBJECT_DEPTH_ALL;
    bool has_tables = has_columns || depth == ADBC_OBJECT_DEPTH_TABLES;
    if (depth < ADBC_OBJECT_DEPTH_ALL || depth > ADBC_OBJECT_DEPTH_TABLES) {
        return adbc__error(ADBC_STATUS_INVALID_ARGUMENT, "22023", error, "%d is no depth", depth);
    }
    buf_append_str(&sql, "WITH ");
    if (has_columns) {
        write_columns(&sql, column);
    }
    if (has_tables) {
        write_tables(&sql, has_columns, table, types);
    }
    write_schemas(&sql, depth, schema);
    buf_printf(&sql,
               "SELECT n.catalog_name, %s AS catalog_db_schemas FROM n LEFT JOIN s ON "
               "s.catalog_name = n.catalog_name WHERE true",
               depth == ADBC_OBJECT_DEPTH_CATALOGS ? "CASE WHEN false THEN n.none END"
                                                   : "coalesce(s.schemas, n.none)");
    write_like(&sql, "n.catalog_name", catalog);
    buf_append_str(&sql, " ORDER BY n.catalog_name");
    return ask(connection, &sql, out, error);
}

static AdbcStatusCode get_table_types(struct AdbcConnection *connection,
                                      struct ArrowArrayStream *out, struct AdbcError *error)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_append_str(&sql, "SELECT table_type FROM (VALUES ('BASE TABLE'), ('LOCAL TEMPORARY'), "
                         "('VIEW')) AS t(table_type)");
    return ask(connection, &sql, out, error);
}

static AdbcStatusCode get_table_schema(struct AdbcConnection *connection, const char *catalog,
                                       const char *schema, const char *table,
                                       struct ArrowSchema *out, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct moat_statement *statement;
    struct moat_error why;
    const char *const names[] = {catalog, schema};
    buf_append_str(&sql, "SELECT * FROM ");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (names[i] != NULL && names[i][0] != '\0') {
            sql_quote_name(&sql, slice_of(names[i]));
            buf_append_char(&sql, '.');
        }
    }
    sql_quote_name(&sql, slice_of(table));
    if (buf_failed(&sql)) {
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    enum moat_status status = moat_prepare(own->session, buf_cstr(&sql), &statement, &why);
    if (status == MOAT_OK) {
        status = moat_statement_columns(statement, out, &why);
        moat_statement_close(statement);
    }
    return status == MOAT_OK ? ADBC_STATUS_OK : adbc__fail(&why, error);
}

static AdbcStatusCode no_statistics(struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "0A000", error,
                       "statistics are not given: they would tell of rows that a policy hides");
}

static AdbcStatusCode get_statistics(UNUSED struct AdbcConnection *connection,
                                     UNUSED const char *catalog, UNUSED const char *schema,
                                     UNUSED const char *table, UNUSED char approximate,
                                     UNUSED struct ArrowArrayStream *out, struct AdbcError *error)
{
    return no_statistics(error);
}

static AdbcStatusCode get_statistic_names(UNUSED struct AdbcConnection *connection,
                                          UNUSED struct ArrowArrayStream *out,
                                          struct AdbcError *error)
{
    return no_statistics(error);
}

void adbc__fill_objects(struct AdbcDriver *driver)
{
    driver->ConnectionGetObjects = get_objects;
    driver->ConnectionGetTableTypes = get_table_types;
    driver->ConnectionGetTableSchema = get_table_schema;
    driver->ConnectionGetStatistics = get_statistics;
    driver->ConnectionGetStatisticNames = get_statistic_names;
}
