/* Rows into a table. What a protocol can push is a temporary table of the session: rows for any
 * other go there first, and from there by a statement as anybody could write it. */
#include <errno.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/adbc_int.h"
#include "sql/scan.h"

/* ---- one array as a stream ---- */

struct single {
    struct ArrowSchema schema;
    struct ArrowArray array; /* release NULL: given */
};

static int single_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct single *single = stream->private_data;
    return embed__schema_copy(&single->schema, out, NULL) == ERR_OK ? 0 : ENOMEM;
}

static int single_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct single *single = stream->private_data;
    *out = single->array;
    single->array.release = NULL;
    return 0;
}

static const char *single_error(UNUSED struct ArrowArrayStream *stream)
{
    return "out of memory";
}

static void drop(struct ArrowSchema *schema, struct ArrowArray *array)
{
    if (schema->release != NULL) {
        schema->release(schema);
    }
    if (array->release != NULL) {
        array->release(array);
    }
}

static void single_release(struct ArrowArrayStream *stream)
{
    struct single *single = stream->private_data;
    drop(&single->schema, &single->array);
    mem_free(single);
    stream->release = NULL;
}

bool adbc__stream_of(struct ArrowSchema *schema, struct ArrowArray *array,
                     struct ArrowArrayStream *ret_stream)
{
    struct single *single = mem_calloc(1, sizeof(*single));
    if (single == NULL) {
        drop(schema, array);
        return false;
    }
    *single = (struct single){*schema, *array};
    schema->release = NULL;
    array->release = NULL;
    *ret_stream = (struct ArrowArrayStream){.get_schema = single_schema,
                                            .get_next = single_next,
                                            .get_last_error = single_error,
                                            .release = single_release,
                                            .private_data = single};
    return true;
}

/* ---- statements ---- */

struct ingest {
    struct adbc_connection *connection;
    struct buf target;  /* quoted */
    struct buf landing; /* the temporary table that the rows are pushed to */
    struct buf columns; /* names, with commas */
    struct buf shape;   /* names and types */
    bool is_temporary;
    bool is_created;
    bool is_replaced;
    bool may_exist;
};

static void ingest_fini(struct ingest *ingest)
{
    buf_fini(&ingest->target);
    buf_fini(&ingest->landing);
    buf_fini(&ingest->columns);
    buf_fini(&ingest->shape);
}

static const char *option(const struct adbc_options *options, const char *name)
{
    const char *value = adbc__options_get(options, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void write_target(const struct adbc_options *options, bool is_temporary, struct buf *out)
{
    const char *catalog = option(options, ADBC_INGEST_OPTION_TARGET_CATALOG);
    const char *schema = option(options, ADBC_INGEST_OPTION_TARGET_DB_SCHEMA);
    const char *table = adbc__options_get(options, ADBC_INGEST_OPTION_TARGET_TABLE);
    if (catalog != NULL && !is_temporary) {
        sql_quote_name(out, slice_of(catalog));
        buf_append_char(out, '.');
    }
    if (schema != NULL && !is_temporary) {
        sql_quote_name(out, slice_of(schema));
        buf_append_char(out, '.');
    }
    sql_quote_name(out, slice_of(table));
}

static AdbcStatusCode read_options(struct ingest *ingest, const struct adbc_options *options,
                                   struct AdbcError *error)
{
    const char *mode = option(options, ADBC_INGEST_OPTION_MODE);
    const char *temporary = option(options, ADBC_INGEST_OPTION_TEMPORARY);
    mode = mode == NULL ? ADBC_INGEST_OPTION_MODE_CREATE : mode;
    ingest->is_temporary = temporary != NULL && strcmp(temporary, "true") == 0;
    ingest->is_replaced = strcmp(mode, ADBC_INGEST_OPTION_MODE_REPLACE) == 0;
    ingest->may_exist = strcmp(mode, ADBC_INGEST_OPTION_MODE_CREATE_APPEND) == 0;
    ingest->is_created = ingest->is_replaced || ingest->may_exist ||
                         strcmp(mode, ADBC_INGEST_OPTION_MODE_CREATE) == 0;
    if (!ingest->is_created && strcmp(mode, ADBC_INGEST_OPTION_MODE_APPEND) != 0) {
        return adbc__error(ADBC_STATUS_INVALID_ARGUMENT, "22023", error,
                           "\"%s\" is no way to ingest", mode);
    }
    write_target(options, ingest->is_temporary, &ingest->target);
    if (ingest->is_temporary) {
        buf_append_slice(&ingest->landing, buf_slice(&ingest->target));
    } else {
        buf_printf(&ingest->landing, "\"adbc ingest %u\"", ++ingest->connection->ingest_count);
    }
    return ADBC_STATUS_OK;
}

static AdbcStatusCode write_columns(struct ingest *ingest, const struct ArrowSchema *schema,
                                    struct AdbcError *error)
{
    struct errinfo info;
    struct moat_error why;
    for (int64_t i = 0; i < schema->n_children; i++) {
        const char *comma = i == 0 ? "" : ", ";
        const char *name = schema->children[i]->name;
        buf_append_str(&ingest->columns, comma);
        sql_quote_name(&ingest->columns, slice_of(name));
        buf_append_str(&ingest->shape, comma);
        sql_quote_name(&ingest->shape, slice_of(name));
        buf_append_char(&ingest->shape, ' ');
        if (embed__print_type(schema->children[i], &ingest->shape, &info) != ERR_OK) {
            embed__error(&info, &why);
            return adbc__fail(&why, error);
        }
    }
    return ADBC_STATUS_OK;
}

/* One statement of texts, up to a NULL. */
static AdbcStatusCode run(struct ingest *ingest, struct AdbcError *error, const char *const *parts)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    for (; *parts != NULL; parts++) {
        buf_append_str(&sql, *parts);
    }
    return adbc__run(ingest->connection, &sql, error);
}
#define RUN(ingest, error, ...) run((ingest), (error), (const char *const[]){__VA_ARGS__, NULL})

static AdbcStatusCode make_landing(struct ingest *ingest, struct AdbcError *error)
{
    const char *name = buf_cstr(&ingest->landing);
    if (!ingest->is_temporary) {
        return RUN(ingest, error, "CREATE TEMP TABLE ", name, " (", buf_cstr(&ingest->shape), ")");
    }
    AdbcStatusCode code = ADBC_STATUS_OK;
    if (ingest->is_replaced) {
        code = RUN(ingest, error, "DROP TABLE IF EXISTS ", name);
    }
    if (code == ADBC_STATUS_OK && ingest->is_created) {
        code = RUN(ingest, error, "CREATE TEMP TABLE ", ingest->may_exist ? "IF NOT EXISTS " : "",
                   name, " (", buf_cstr(&ingest->shape), ")");
    }
    return code;
}

static AdbcStatusCode move_on(struct ingest *ingest, struct AdbcError *error)
{
    const char *target = buf_cstr(&ingest->target);
    const char *columns = buf_cstr(&ingest->columns);
    AdbcStatusCode code = ADBC_STATUS_OK;
    if (ingest->is_replaced) {
        code = RUN(ingest, error, "DROP TABLE IF EXISTS ", target);
    }
    if (code == ADBC_STATUS_OK && ingest->is_created && !ingest->may_exist) {
        return RUN(ingest, error, "CREATE TABLE ", target, " AS SELECT ", columns, " FROM ",
                   buf_cstr(&ingest->landing));
    }
    if (code == ADBC_STATUS_OK && ingest->may_exist) {
        code = RUN(ingest, error, "CREATE TABLE IF NOT EXISTS ", target, " (",
                   buf_cstr(&ingest->shape), ")");
    }
    return code != ADBC_STATUS_OK ? code
                                  : RUN(ingest, error, "INSERT INTO ", target, " (", columns,
                                        ") SELECT ", columns, " FROM ", buf_cstr(&ingest->landing));
}

static AdbcStatusCode push(struct ingest *ingest, struct ArrowArrayStream *rows, int64_t *ret_count,
                           struct AdbcError *error)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    struct moat_error why;
    buf_printf(&sql, "COPY %s (%s) FROM STDIN", buf_cstr(&ingest->landing),
               buf_cstr(&ingest->columns));
    if (buf_failed(&sql)) {
        return adbc__error(ADBC_STATUS_INTERNAL, "53200", error, "out of memory");
    }
    return moat_copy_in(ingest->connection->session, buf_cstr(&sql), rows, ret_count, &why) ==
                   MOAT_OK
               ? ADBC_STATUS_OK
               : adbc__fail(&why, error);
}

static AdbcStatusCode ingest_rows(struct ingest *ingest, struct ArrowArrayStream *rows,
                                  int64_t *ret_count, struct AdbcError *error)
{
    struct ArrowSchema schema = {0};
    if (rows->get_schema(rows, &schema) != 0) {
        const char *why = rows->get_last_error(rows);
        return adbc__error(ADBC_STATUS_IO, "58030", error, "the rows given cannot be read: %s",
                           why == NULL ? "their source does not say why" : why);
    }
    AdbcStatusCode code = write_columns(ingest, &schema, error);
    schema.release(&schema);
    code = code != ADBC_STATUS_OK ? code : make_landing(ingest, error);
    if (code != ADBC_STATUS_OK) {
        return code;
    }
    code = push(ingest, rows, ret_count, error);
    if (!ingest->is_temporary) {
        code = code != ADBC_STATUS_OK ? code : move_on(ingest, error);
        AdbcStatusCode dropped = RUN(ingest, code == ADBC_STATUS_OK ? error : NULL, "DROP TABLE ",
                                     buf_cstr(&ingest->landing));
        code = code != ADBC_STATUS_OK ? code : dropped;
    }
    return code;
}

AdbcStatusCode adbc__ingest(struct adbc_connection *connection, const struct adbc_options *options,
                            struct ArrowArrayStream *rows, int64_t *ret_count,
                            struct AdbcError *error)
{
    struct ingest ingest CLEANUP(ingest_fini) = {.connection = connection};
    AdbcStatusCode code = read_options(&ingest, options, error);
    if (code == ADBC_STATUS_OK) {
        code = ingest_rows(&ingest, rows, ret_count, error);
    }
    if (rows->release != NULL) {
        rows->release(rows);
    }
    return code;
}
