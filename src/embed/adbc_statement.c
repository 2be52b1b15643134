/* Statements: text, rows of parameters, execution, and bulk ingest in its place. */
#include "base/mem.h"
#include "embed/adbc_int.h"

struct adbc_statement {
    struct adbc_connection *connection; /* outlives it, by the rules of ADBC */
    struct moat_statement *statement;   /* NULL: no text was given */
    struct adbc_options options;        /* adbc.ingest.* */
    struct ArrowArrayStream rows;       /* bound; release NULL: none */
};

static void drop_rows(struct adbc_statement *own)
{
    if (own->rows.release != NULL) {
        own->rows.release(&own->rows);
    }
    own->rows.release = NULL;
}

/* ---- life ---- */

static AdbcStatusCode statement_new(struct AdbcConnection *connection,
                                    struct AdbcStatement *statement, struct AdbcError *error)
{
    struct adbc_connection *parent = connection->private_data;
    if (parent == NULL || parent->session == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08003", error, "the connection is not open");
    }
    struct adbc_statement *own = mem_calloc(1, sizeof(*own));
    if (own == NULL) {
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    own->connection = parent;
    statement->private_data = own;
    return ADBC_STATUS_OK;
}

static AdbcStatusCode statement_release(struct AdbcStatement *statement, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    if (own == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08003", error, "the statement is closed");
    }
    drop_rows(own);
    adbc__options_fini(&own->options);
    moat_statement_close(own->statement);
    mem_free(own);
    statement->private_data = NULL;
    return ADBC_STATUS_OK;
}

static AdbcStatusCode set_sql(struct AdbcStatement *statement, const char *sql,
                              struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    struct moat_statement *made;
    struct moat_error why;
    if (moat_prepare(own->connection->session, sql, &made, &why) != MOAT_OK) {
        return adbc__fail(&why, error);
    }
    moat_statement_close(own->statement);
    own->statement = made;
    adbc__options_fini(&own->options);
    return ADBC_STATUS_OK;
}

static AdbcStatusCode no_text(struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_INVALID_STATE, "03000", error, "the statement has no text");
}

/* What is wrong with it shows now. */
static AdbcStatusCode prepare(struct AdbcStatement *statement, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    struct ArrowSchema schema;
    struct moat_error why;
    if (own->statement == NULL) {
        return no_text(error);
    }
    enum moat_status status = moat_statement_parameters(own->statement, &schema, &why);
    if (status == MOAT_OK) {
        schema.release(&schema);
        return ADBC_STATUS_OK;
    }
    /* Statements that take no parameters cannot be described: they are looked at when they run. */
    return status == MOAT_UNSUPPORTED || status == MOAT_SYNTAX ? ADBC_STATUS_OK
                                                               : adbc__fail(&why, error);
}

/* ---- options ---- */

static AdbcStatusCode statement_set(struct AdbcStatement *statement, const char *name,
                                    const char *value, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    if (strcmp(name, ADBC_STATEMENT_OPTION_INCREMENTAL) == 0 && strcmp(value, "false") == 0) {
        return ADBC_STATUS_OK;
    }
    if (strncmp(name, "adbc.ingest.", strlen("adbc.ingest.")) != 0) {
        return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "42704", error,
                           "\"%s\" is no option of a statement", name);
    }
    return adbc__options_set(&own->options, name, value)
               ? ADBC_STATUS_OK
               : adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
}

static AdbcStatusCode statement_get(struct AdbcStatement *statement, const char *name, char *value,
                                    size_t *length, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    return adbc__give_text(name, adbc__options_get(&own->options, name), value, length, error);
}

/* ---- parameters ---- */

static AdbcStatusCode bind_array(struct AdbcStatement *statement, struct ArrowArray *values,
                                 struct ArrowSchema *schema, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    drop_rows(own);
    return adbc__stream_of(schema, values, &own->rows)
               ? ADBC_STATUS_OK
               : adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
}

static AdbcStatusCode bind_stream(struct AdbcStatement *statement, struct ArrowArrayStream *rows,
                                  UNUSED struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    drop_rows(own);
    own->rows = *rows;
    rows->release = NULL;
    return ADBC_STATUS_OK;
}

static AdbcStatusCode parameter_schema(struct AdbcStatement *statement, struct ArrowSchema *schema,
                                       struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    struct moat_error why;
    if (own->statement == NULL) {
        return no_text(error);
    }
    return moat_statement_parameters(own->statement, schema, &why) == MOAT_OK
               ? ADBC_STATUS_OK
               : adbc__fail(&why, error);
}

static AdbcStatusCode execute_schema(struct AdbcStatement *statement, struct ArrowSchema *schema,
                                     struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    struct moat_error why;
    if (own->statement == NULL) {
        return no_text(error);
    }
    return moat_statement_columns(own->statement, schema, &why) == MOAT_OK
               ? ADBC_STATUS_OK
               : adbc__fail(&why, error);
}

/* ---- running ---- */

static AdbcStatusCode ingest(struct adbc_statement *own, struct ArrowArrayStream *out,
                             int64_t *ret_affected, struct AdbcError *error)
{
    int64_t count = -1;
    if (own->rows.release == NULL) {
        return adbc__error(ADBC_STATUS_INVALID_STATE, "08P01", error,
                           "there are no rows for the table: bind them first");
    }
    AdbcStatusCode code = adbc__ingest(own->connection, &own->options, &own->rows, &count, error);
    if (code != ADBC_STATUS_OK) {
        return code;
    }
    if (ret_affected != NULL) {
        *ret_affected = count;
    }
    struct ArrowSchema schema = {0};
    struct ArrowArray nothing = {0};
    if (out != NULL && (embed__schema_new("+s", SLICE(""), 0, &schema, NULL) != ERR_OK ||
                        !adbc__stream_of(&schema, &nothing, out))) {
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    return ADBC_STATUS_OK;
}

static AdbcStatusCode execute(struct AdbcStatement *statement, struct ArrowArrayStream *out,
                              int64_t *ret_affected, struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    struct moat_error why;
    if (adbc__options_get(&own->options, ADBC_INGEST_OPTION_TARGET_TABLE) != NULL) {
        return ingest(own, out, ret_affected, error);
    }
    if (own->statement == NULL) {
        return no_text(error);
    }
    enum moat_status status = MOAT_OK;
    if (own->rows.release != NULL) {
        status = moat_bind_stream(own->statement, &own->rows, &why);
    }
    status = status != MOAT_OK ? status : moat_execute(own->statement, out, ret_affected, &why);
    return status == MOAT_OK ? ADBC_STATUS_OK : adbc__fail(&why, error);
}

static AdbcStatusCode cancel(struct AdbcStatement *statement, UNUSED struct AdbcError *error)
{
    struct adbc_statement *own = statement->private_data;
    if (own->statement != NULL) {
        moat_statement_cancel(own->statement);
    }
    return ADBC_STATUS_OK;
}

static AdbcStatusCode execute_partitions(UNUSED struct AdbcStatement *statement,
                                         UNUSED struct ArrowSchema *schema,
                                         UNUSED struct AdbcPartitions *partitions,
                                         UNUSED int64_t *rows_affected, struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "0A000", error,
                       "results of an embedded warehouse have no partitions");
}

static AdbcStatusCode set_substrait(UNUSED struct AdbcStatement *statement,
                                    UNUSED const uint8_t *plan, UNUSED size_t length,
                                    struct AdbcError *error)
{
    return adbc__error(ADBC_STATUS_NOT_IMPLEMENTED, "0A000", error,
                       "statements are SQL: Substrait is not read");
}

void adbc__fill_statement(struct AdbcDriver *driver)
{
    driver->StatementNew = statement_new;
    driver->StatementRelease = statement_release;
    driver->StatementSetSqlQuery = set_sql;
    driver->StatementSetSubstraitPlan = set_substrait;
    driver->StatementPrepare = prepare;
    driver->StatementSetOption = statement_set;
    driver->StatementGetOption = statement_get;
    driver->StatementBind = bind_array;
    driver->StatementBindStream = bind_stream;
    driver->StatementGetParameterSchema = parameter_schema;
    driver->StatementExecuteSchema = execute_schema;
    driver->StatementExecuteQuery = execute;
    driver->StatementExecutePartitions = execute_partitions;
    driver->StatementCancel = cancel;
}
