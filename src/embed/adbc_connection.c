/* Connections: a session, its transaction block, its catalog and schema. */
#include "arrow/value.h"
#include "base/buf.h"
#include "base/mem.h"
#include "embed/adbc_int.h"
#include "sql/scan.h"

static AdbcStatusCode no_memory(struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
}

AdbcStatusCode adbc__run(struct adbc_connection *own, struct buf *sql, struct AdbcError *error)
{
    struct moat_error why;
    if (buf_failed(sql)) {
        return no_memory(error);
    }
    return moat_query(own->session, buf_cstr(sql), NULL, NULL, &why) == MOAT_OK
               ? ADBC_STATUS_OK
               : adbc__fail(&why, error);
}

/* ---- life ---- */

static AdbcStatusCode connection_new(struct AdbcConnection *connection, struct AdbcError *error)
{
    connection->private_data = mem_calloc(1, sizeof(struct adbc_connection));
    return connection->private_data == NULL ? no_memory(error) : ADBC_STATUS_OK;
}

static AdbcStatusCode connection_release(struct AdbcConnection *connection, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    if (own == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08003", error, "the connection is closed");
    }
    adbc__options_fini(&own->options);
    moat_session_close(own->session);
    mem_free(own);
    connection->private_data = NULL;
    return ADBC_STATUS_OK;
}

/* ---- transactions ---- */

static AdbcStatusCode end_block(struct AdbcConnection *connection, bool is_commit,
                                struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    struct moat_error why;
    if (!own->is_manual) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "25P01", error,
                           "the connection commits each statement by itself");
    }
    enum moat_status status =
        is_commit ? moat_commit(own->session, &why) : moat_rollback(own->session, &why);
    struct moat_error begin_why;
    enum moat_status begun = moat_begin(own->session, &begin_why);
    return status != MOAT_OK  ? adbc__fail(&why, error)
           : begun != MOAT_OK ? adbc__fail(&begin_why, error)
                              : ADBC_STATUS_OK;
}

static AdbcStatusCode connection_commit(struct AdbcConnection *connection, struct AdbcError *error)
{
    return end_block(connection, true, error);
}

static AdbcStatusCode connection_rollback(struct AdbcConnection *connection,
                                          struct AdbcError *error)
{
    return end_block(connection, false, error);
}

static AdbcStatusCode set_autocommit(struct adbc_connection *own, const char *value,
                                     struct AdbcError *error)
{
    struct moat_error why;
    bool is_manual = strcmp(value, "false") == 0;
    if (!is_manual && strcmp(value, "true") != 0) {
        return adbc__error(ADBC_STATUS_INVALID_ARGUMENT, "22023", error,
                           "\"%s\" is neither true nor false", value);
    }
    if (is_manual == own->is_manual) {
        return ADBC_STATUS_OK;
    }
    enum moat_status status =
        is_manual ? moat_begin(own->session, &why) : moat_commit(own->session, &why);
    if (status != MOAT_OK) {
        return adbc__fail(&why, error);
    }
    own->is_manual = is_manual;
    return ADBC_STATUS_OK;
}

/* ---- catalog and schema ---- */

/* The one cell of a statement as a text. */
static AdbcStatusCode ask_text(struct adbc_connection *own, const char *sql, struct buf *out,
                               struct AdbcError *error)
{
    struct ArrowArrayStream rows;
    struct ArrowSchema schema = {0};
    struct ArrowArray batch = {0};
    struct moat_error why;
    struct errinfo info;
    if (moat_query(own->session, sql, &rows, NULL, &why) != MOAT_OK) {
        return adbc__fail(&why, error);
    }
    bool has =
        rows.get_schema(&rows, &schema) == 0 && rows.get_next(&rows, &batch) == 0 &&
        batch.release != NULL && batch.length > 0 &&
        arrow_print(schema.children[0], batch.children[0], batch.offset, out, &info) == ERR_OK;
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    if (schema.release != NULL) {
        schema.release(&schema);
    }
    rows.release(&rows);
    return has && !buf_failed(out)
               ? ADBC_STATUS_OK
               : adbc__error(ADBC_STATUS_INTERNAL, "XX000", error, "the answer has no text");
}

static AdbcStatusCode use(struct adbc_connection *own, const char *catalog, const char *schema,
                          struct AdbcError *error)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf current CLEANUP(buf_fini) = {0};
    if (catalog == NULL) { /* a schema is one of the catalog that is in use */
        AdbcStatusCode code = ask_text(own, "SELECT current_catalog", &current, error);
        if (code != ADBC_STATUS_OK) {
            return code;
        }
        catalog = buf_cstr(&current);
    }
    buf_append_str(&sql, "USE ");
    sql_quote_name(&sql, slice_of(catalog));
    if (schema != NULL) {
        buf_append_char(&sql, '.');
        sql_quote_name(&sql, slice_of(schema));
    }
    return adbc__run(own, &sql, error);
}

static AdbcStatusCode apply_option(struct adbc_connection *own, const char *name, const char *value,
                                   struct AdbcError *error)
{
    if (strcmp(name, ADBC_CONNECTION_OPTION_AUTOCOMMIT) == 0) {
        return set_autocommit(own, value, error);
    }
    if (strcmp(name, ADBC_CONNECTION_OPTION_CURRENT_CATALOG) == 0) {
        return use(own, value, NULL, error);
    }
    if (strcmp(name, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA) == 0) {
        return use(own, NULL, value, error);
    }
    bool is_default =
        (strcmp(name, ADBC_CONNECTION_OPTION_READ_ONLY) == 0 && strcmp(value, "false") == 0) ||
        (strcmp(name, ADBC_CONNECTION_OPTION_ISOLATION_LEVEL) == 0 &&
         strcmp(value, ADBC_OPTION_ISOLATION_LEVEL_DEFAULT) == 0);
    return is_default ? ADBC_STATUS_OK
                      : adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "42704", error,
                                    "\"%s\" is no option of a connection, or cannot be \"%s\"",
                                    name, value);
}

static AdbcStatusCode connection_set(struct AdbcConnection *connection, const char *name,
                                     const char *value, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    if (own->session != NULL) {
        return apply_option(own, name, value, error);
    }
    return adbc__options_set(&own->options, name, value) ? ADBC_STATUS_OK : no_memory(error);
}

static AdbcStatusCode connection_get(struct AdbcConnection *connection, const char *name,
                                     char *value, size_t *length, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    struct buf text CLEANUP(buf_fini) = {0};
    if (strcmp(name, ADBC_CONNECTION_OPTION_AUTOCOMMIT) == 0) {
        return adbc__give_text(name, own->is_manual ? "false" : "true", value, length, error);
    }
    if (strcmp(name, ADBC_CONNECTION_OPTION_READ_ONLY) == 0) {
        return adbc__give_text(name, "false", value, length, error);
    }
    const char *sql =
        strcmp(name, ADBC_CONNECTION_OPTION_CURRENT_CATALOG) == 0     ? "SELECT current_catalog"
        : strcmp(name, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA) == 0 ? "SELECT current_schema"
                                                                      : NULL;
    if (sql == NULL || own->session == NULL) {
        return adbc__give_text(name, NULL, value, length, error);
    }
    AdbcStatusCode code = ask_text(own, sql, &text, error);
    return code != ADBC_STATUS_OK ? code
                                  : adbc__give_text(name, buf_cstr(&text), value, length, error);
}

static AdbcStatusCode connection_init(struct AdbcConnection *connection,
                                      struct AdbcDatabase *database, struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    struct moat_error why;
    if (adbc__sign_in(database, &own->session, &why) != MOAT_OK) {
        return adbc__fail(&why, error);
    }
    for (size_t i = 0; i < own->options.count; i++) {
        const struct adbc_option *option = &own->options.items[i];
        AdbcStatusCode code = apply_option(own, option->name, option->value, error);
        if (code != ADBC_STATUS_OK) {
            moat_session_close(own->session);
            own->session = NULL;
            return code;
        }
    }
    return ADBC_STATUS_OK;
}

static AdbcStatusCode connection_cancel(struct AdbcConnection *connection,
                                        UNUSED struct AdbcError *error)
{
    struct adbc_connection *own = connection->private_data;
    moat_cancel(own->session);
    return ADBC_STATUS_OK;
}

static AdbcStatusCode read_partition(UNUSED struct AdbcConnection *connection,
                                     UNUSED const uint8_t *partition, UNUSED size_t length,
                                     UNUSED struct ArrowArrayStream *out, struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "0A000", error,
                       "results of an embedded warehouse have no partitions");
}

void adbc__fill_connection(struct AdbcDriver *driver)
{
    driver->ConnectionNew = connection_new;
    driver->ConnectionInit = connection_init;
    driver->ConnectionRelease = connection_release;
    driver->ConnectionSetOption = connection_set;
    driver->ConnectionGetOption = connection_get;
    driver->ConnectionCommit = connection_commit;
    driver->ConnectionRollback = connection_rollback;
    driver->ConnectionCancel = connection_cancel;
    driver->ConnectionReadPartition = read_partition;
    driver->ConnectionGetInfo = adbc__get_info;
}
