/* CommandStatementIngest: a stream of batches into a table.
 *
 * Rows go into a temporary table as COPY's do, as texts that the engine converts; another table is
 * then filled out of it by one statement as the person, so that it has all rows or none. */
#include "arrow/ipc_read.h"
#include "arrow/value.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sql/scan.h"
#include "wire/flight/put.h"

#define BATCH_BYTES ((size_t)1 << 20) /* so that it goes to an engine host in one piece */

enum {
    NOT_EXIST_CREATE = 1,
    EXISTS_FAIL = 1,
    EXISTS_APPEND = 2,
    EXISTS_REPLACE = 3,
};

struct request {
    struct slice options, table, schema, catalog, transaction;
    uint64_t if_not_exist, if_exists, is_temporary;
};

struct ingest {
    struct flight_call *call;
    struct request request;
    struct buf target;          /* its name, quoted */
    struct buf staging;         /* of the temporary table that rows go to */
    struct buf columns;         /* "a", "b" */
    struct query *query;        /* COPY */
    struct ArrowSchema *schema; /* of what is pushed: line, then texts */
    const struct ArrowSchema *source;
    struct column *out; /* line, then each column */
    size_t column_count;
    size_t bytes;
    int64_t row_count; /* in `out` */
    int64_t line;
};

struct column {
    struct buf offsets, bytes, validity; /* of the line: bytes alone */
};

static enum err read_request(struct flight_call *call, struct slice body, struct request *request)
{
    *request = (struct request){.table = {"", 0}};
    struct proto_want wants[] = {
        {1, &request->options, NULL, NULL},      {2, &request->table, NULL, NULL},
        {3, &request->schema, NULL, NULL},       {4, &request->catalog, NULL, NULL},
        {5, NULL, &request->is_temporary, NULL}, {6, &request->transaction, NULL, NULL}};
    struct proto_want inner[] = {{1, NULL, &request->if_not_exist, NULL},
                                 {2, NULL, &request->if_exists, NULL}};
    return proto_read(body, wants, ARRAY_COUNT(wants)) &&
                   proto_read(request->options, inner, ARRAY_COUNT(inner)) && request->table.len > 0
               ? ERR_OK
               : flight__wrong(&call->info, "the command is no message of Flight SQL");
}

/* ---- types ---- */

static void put_type(struct buf *out, const struct ArrowSchema *schema);

static void put_fields(struct buf *out, const struct ArrowSchema *schema)
{
    buf_append_str(out, "STRUCT(");
    for (int64_t i = 0; i < schema->n_children; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, slice_of(schema->children[i]->name));
        buf_append_char(out, ' ');
        put_type(out, schema->children[i]);
    }
    buf_append_char(out, ')');
}

static void put_type(struct buf *out, const struct ArrowSchema *schema)
{
    static const struct {
        const char *format;
        const char *type;
    } types[] = {{"b", "BOOLEAN"},
                 {"c", "TINYINT"},
                 {"C", "UTINYINT"},
                 {"s", "SMALLINT"},
                 {"S", "USMALLINT"},
                 {"i", "INTEGER"},
                 {"I", "UINTEGER"},
                 {"l", "BIGINT"},
                 {"L", "UBIGINT"},
                 {"e", "FLOAT"},
                 {"f", "FLOAT"},
                 {"g", "DOUBLE"},
                 {"z", "BLOB"},
                 {"Z", "BLOB"},
                 {"tdD", "DATE"},
                 {"tdm", "DATE"},
                 {"tin", "INTERVAL"},
                 {"tss:", "TIMESTAMP_S"},
                 {"tsm:", "TIMESTAMP_MS"},
                 {"tsn:", "TIMESTAMP_NS"}};
    const char *format = schema->dictionary == NULL ? schema->format : schema->dictionary->format;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (strcmp(format, types[i].format) == 0) {
            buf_append_str(out, types[i].type);
            return;
        }
    }
    if (strncmp(format, "d:", 2) == 0) {
        buf_printf(out, "DECIMAL(%.*s)",
                   (int)strcspn(format + 2 + strcspn(format + 2, ",") + 1, ",") +
                       (int)strcspn(format + 2, ",") + 1,
                   format + 2);
    } else if (strcmp(format, "+s") == 0) {
        put_fields(out, schema);
    } else if (strcmp(format, "+m") == 0) {
        buf_append_str(out, "MAP(");
        put_type(out, schema->children[0]->children[0]);
        buf_append_str(out, ", ");
        put_type(out, schema->children[0]->children[1]);
        buf_append_char(out, ')');
    } else if (format[0] == '+') {
        put_type(out, schema->children[0]);
        buf_append_str(out, "[]");
    } else if (strncmp(format, "ts", 2) == 0) {
        buf_append_str(out, format[4] == '\0' ? "TIMESTAMP" : "TIMESTAMP WITH TIME ZONE");
    } else if (strncmp(format, "tt", 2) == 0) {
        buf_append_str(out, "TIME");
    } else {
        buf_append_str(out, strncmp(format, "w:", 2) == 0 ? "BLOB" : "VARCHAR");
    }
}

/* ---- statements, with the turn ---- */

static enum err run(struct ingest *in, const struct buf *text, int64_t *ret_rows)
{
    struct query *query;
    if (buf_failed(text)) {
        return errinfo_nomem(&in->call->info);
    }
    enum err err =
        query_open(in->call->session->main, buf_slice(text), NULL, 0, &query, &in->call->info);
    errinfo_position(&in->call->info, 0); /* not of what they sent */
    TRY(err);
    if (ret_rows != NULL) {
        *ret_rows = flight__tag_rows(query_tag(query));
    }
    query_close(query);
    return ERR_OK;
}

static enum err create_table(struct ingest *in, const struct buf *name)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "CREATE TEMP TABLE ");
    buf_append_slice(&text, buf_slice(name));
    for (int64_t i = 0; i < in->source->n_children; i++) {
        buf_append_str(&text, i == 0 ? " (" : ", ");
        sql_quote_name(&text, slice_of(in->source->children[i]->name));
        buf_append_char(&text, ' ');
        put_type(&text, in->source->children[i]);
    }
    buf_append_char(&text, ')');
    return run(in, &text, NULL);
}

static enum err drop_table(struct ingest *in, const struct buf *name)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "DROP TABLE ");
    buf_append_slice(&text, buf_slice(name));
    return run(in, &text, NULL);
}

static enum err find_target(struct ingest *in, bool *ret_exists)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct query_column *columns;
    struct slice *types;
    size_t count, type_count;
    struct errinfo *info = &in->call->info;
    buf_append_str(&text, "SELECT * FROM ");
    buf_append_slice(&text, buf_slice(&in->target));
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    enum err err = session_describe(in->call->session->main, buf_slice(&text), in->call->arena,
                                    &columns, &count, &types, &type_count, info);
    errinfo_position(info, 0);
    bool is_absent = strcmp(info->sqlstate, "42P01") == 0;
    *ret_exists = err == ERR_OK;
    return err == ERR_OK || is_absent ? ERR_OK : err;
}

/* ---- rows ---- */

static void column_reset(struct column *column)
{
    static const int32_t zero;
    buf_reset(&column->offsets);
    buf_reset(&column->bytes);
    buf_reset(&column->validity);
    buf_append(&column->offsets, &zero, sizeof(zero));
}

struct pushed {
    const void **buffers; /* three of each column, one of the batch */
    struct ArrowArray *arrays;
    struct ArrowArray **links;
    struct column *columns;
    size_t count;
};

static void release_pushed(struct ArrowArray *array)
{
    struct pushed *pushed = array->private_data;
    for (size_t i = 0; i < pushed->count; i++) {
        buf_fini(&pushed->columns[i].offsets);
        buf_fini(&pushed->columns[i].bytes);
        buf_fini(&pushed->columns[i].validity);
    }
    mem_free(pushed->columns);
    mem_free(pushed->buffers);
    mem_free(pushed->arrays);
    mem_free(pushed->links);
    mem_free(pushed);
    array->release = NULL;
}

static void release_child(struct ArrowArray *array)
{
    array->release = NULL;
}

/* What was gathered becomes a batch, and gathering begins anew. */
static enum err take_batch(struct ingest *in, struct ArrowArray *ret_batch)
{
    size_t count = in->column_count + 1;
    struct pushed *pushed = mem_calloc(1, sizeof(*pushed));
    if (pushed == NULL) {
        return errinfo_nomem(&in->call->info);
    }
    *ret_batch = (struct ArrowArray){.private_data = pushed, .release = release_pushed};
    pushed->buffers = mem_calloc(3 * count + 1, sizeof(void *));
    pushed->arrays = mem_calloc(count, sizeof(*pushed->arrays));
    pushed->links = mem_calloc(count, sizeof(struct ArrowArray *));
    struct column *fresh = mem_calloc(count, sizeof(*fresh));
    bool has_failed =
        pushed->buffers == NULL || pushed->arrays == NULL || pushed->links == NULL || fresh == NULL;
    for (size_t i = 0; i < count && !has_failed; i++) {
        struct column *column = &in->out[i];
        has_failed = buf_failed(&column->offsets) || buf_failed(&column->bytes) ||
                     buf_failed(&column->validity);
        const void **buffers = &pushed->buffers[3 * i];
        buffers[0] = i == 0 ? NULL : column->validity.ptr;
        buffers[1] = i == 0 ? column->bytes.ptr : column->offsets.ptr;
        buffers[2] = i == 0 ? NULL : buf_cstr(&column->bytes);
        pushed->arrays[i] = (struct ArrowArray){.length = in->row_count,
                                                .null_count = i == 0 ? 0 : -1,
                                                .n_buffers = i == 0 ? 2 : 3,
                                                .buffers = buffers,
                                                .release = release_child};
        pushed->links[i] = &pushed->arrays[i];
    }
    if (has_failed) {
        mem_free(fresh);
        release_pushed(ret_batch);
        return errinfo_nomem(&in->call->info);
    }
    pushed->columns = in->out;
    pushed->count = count;
    ret_batch->length = in->row_count;
    ret_batch->n_buffers = 1;
    ret_batch->buffers = &pushed->buffers[3 * count];
    ret_batch->n_children = (int64_t)count;
    ret_batch->children = pushed->links;
    in->out = fresh;
    for (size_t i = 0; i < count; i++) {
        column_reset(&in->out[i]);
    }
    in->row_count = 0;
    in->bytes = 0;
    return ERR_OK;
}

static enum err push(struct ingest *in)
{
    struct ArrowArray batch;
    if (in->row_count == 0) {
        return ERR_OK;
    }
    TRY(take_batch(in, &batch));
    return query_push(in->query, &batch, &in->call->info);
}

static enum err add_cell(struct ingest *in, size_t at, const struct ArrowSchema *schema,
                         const struct ArrowArray *array, int64_t row)
{
    struct column *column = &in->out[at];
    bool is_valid = arrow_is_valid(schema, array, row);
    size_t before = column->bytes.len;
    if (in->row_count % 8 == 0) {
        buf_append_char(&column->validity, 0);
    }
    if (is_valid) {
        TRY(arrow_print(schema, array, row, &column->bytes, &in->call->info));
        if (flight__is_binary(schema) && !flight__print_bytes(&column->bytes, before)) {
            return errinfo_nomem(&in->call->info);
        }
        if (!buf_failed(&column->validity)) {
            char *last = &column->validity.ptr[in->row_count / 8];
            *last = (char)(*last | 1 << (in->row_count % 8));
        }
    }
    int32_t end = (int32_t)column->bytes.len;
    if (column->bytes.len > INT32_MAX) {
        return errinfo_set(&in->call->info, ERR_LIMIT, "54000", "a row is longer than 2 GiB");
    }
    buf_append(&column->offsets, &end, sizeof(end));
    in->bytes += column->bytes.len - before;
    return ERR_OK;
}

static enum err add_batch(void *context, const struct ArrowSchema *schema, struct ArrowArray *batch)
{
    struct ingest *in = context;
    for (int64_t row = 0; row < batch->length; row++) {
        int64_t line = ++in->line;
        for (int64_t c = 0; c < schema->n_children; c++) {
            TRY(add_cell(in, (size_t)c + 1, schema->children[c], batch->children[c], row));
        }
        buf_append(&in->out[0].bytes, &line, sizeof(line));
        in->row_count++;
        if (in->bytes + (size_t)in->row_count * in->column_count * 4 >= BATCH_BYTES) {
            TRY(push(in));
        }
    }
    return ERR_OK;
}

/* ---- COPY ---- */

struct pushed_schema {
    struct ArrowSchema *children, **links;
};

static void release_schema(struct ArrowSchema *schema)
{
    struct pushed_schema *own = schema->private_data;
    mem_free(own->children);
    mem_free(own->links);
    mem_free(own);
    schema->release = NULL;
}

static void release_field(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static enum err begin_push(struct ingest *in)
{
    size_t count = in->column_count + 1;
    struct pushed_schema *own = mem_calloc(1, sizeof(*own));
    struct ArrowSchema schema = {.format = "+s",
                                 .name = "",
                                 .n_children = (int64_t)count,
                                 .private_data = own,
                                 .release = release_schema};
    if (own == NULL) {
        return errinfo_nomem(&in->call->info);
    }
    own->children = mem_calloc(count, sizeof(*own->children));
    own->links = mem_calloc(count, sizeof(struct ArrowSchema *));
    if (own->children == NULL || own->links == NULL) {
        release_schema(&schema);
        return errinfo_nomem(&in->call->info);
    }
    for (size_t i = 0; i < count; i++) {
        own->children[i] = (struct ArrowSchema){.format = i == 0 ? "l" : "u",
                                                .name = i == 0 ? "line" : "",
                                                .flags = i == 0 ? 0 : ARROW_FLAG_NULLABLE,
                                                .release = release_field};
        own->links[i] = &own->children[i];
    }
    schema.children = own->links;
    return query_push_begin(in->query, &schema, &in->call->info);
}

static enum err copy_rows(struct ingest *in, struct flight_stream *stream)
{
    TRY(begin_push(in));
    TRY(flight__read_batches(in->call, stream, add_batch, in));
    TRY(push(in));
    return query_push_end(in->query, &in->call->info);
}

static void on_gone(void *context)
{
    session_cancel(context);
}

static enum err fill(struct ingest *in, const struct buf *table, struct flight_stream *stream)
{
    struct session *main = in->call->session->main;
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "COPY ");
    buf_append_slice(&text, buf_slice(table));
    buf_append_str(&text, " (");
    buf_append_slice(&text, buf_slice(&in->columns));
    buf_append_str(&text, ") FROM STDIN");
    if (buf_failed(&text)) {
        return errinfo_nomem(&in->call->info);
    }
    enum err err = query_open(main, buf_slice(&text), NULL, 0, &in->query, &in->call->info);
    errinfo_position(&in->call->info, 0);
    TRY(err);
    grpc_on_cancel(in->call->grpc, on_gone, main);
    err = copy_rows(in, stream);
    grpc_on_cancel(in->call->grpc, NULL, NULL);
    query_close(TAKE(in->query));
    return err;
}

/* ---- where to ---- */

static enum err into_temporary(struct ingest *in, struct flight_stream *stream, bool exists)
{
    if (exists && in->request.if_exists == EXISTS_REPLACE) {
        TRY(drop_table(in, &in->target));
        exists = false;
    }
    if (!exists) {
        TRY(create_table(in, &in->target));
        enum err err = fill(in, &in->target, stream);
        if (err != ERR_OK) { /* as if it had not been */
            struct errinfo why = in->call->info;
            enum err ignored = drop_table(in, &in->target);
            (void)ignored;
            in->call->info = why;
        }
        return err;
    }
    return fill(in, &in->target, stream);
}

static enum err out_of_staging(struct ingest *in, bool exists)
{
    struct buf text CLEANUP(buf_fini) = {0};
    int64_t rows;
    if (exists) {
        buf_append_str(&text, "INSERT INTO ");
        buf_append_slice(&text, buf_slice(&in->target));
        buf_append_str(&text, " (");
        buf_append_slice(&text, buf_slice(&in->columns));
        buf_append_str(&text, ") SELECT ");
    } else {
        buf_append_str(&text, "CREATE TABLE ");
        buf_append_slice(&text, buf_slice(&in->target));
        buf_append_str(&text, " AS SELECT ");
    }
    buf_append_slice(&text, buf_slice(&in->columns));
    buf_append_str(&text, " FROM ");
    buf_append_slice(&text, buf_slice(&in->staging));
    return run(in, &text, &rows);
}

static enum err into_lake(struct ingest *in, struct flight_stream *stream, bool exists)
{
    char name[64] = "flight_ingest_";
    struct flight_id id;
    if (exists && in->request.if_exists == EXISTS_REPLACE) {
        (void)errinfo_set(&in->call->info, ERR_UNSUPPORTED, NULL,
                          "only temporary tables are replaced by what is put");
        errinfo_hint(&in->call->info, "TRUNCATE the table, and append.");
        return ERR_UNSUPPORTED;
    }
    if (!flight__id_new(&id)) {
        return errinfo_set(&in->call->info, ERR_INTERNAL, NULL, "there is no randomness");
    }
    hash_hex(id.bytes, sizeof(id.bytes), name + strlen(name));
    sql_quote_name(&in->staging, slice_of(name));
    TRY(create_table(in, &in->staging));
    enum err err = fill(in, &in->staging, stream);
    err = err != ERR_OK ? err : out_of_staging(in, exists);
    struct errinfo why = in->call->info;
    enum err dropped = drop_table(in, &in->staging);
    if (err != ERR_OK) {
        in->call->info = why;
    }
    return err != ERR_OK ? err : dropped;
}

static enum err ingest_locked(struct ingest *in, struct flight_stream *stream)
{
    struct flight_session *session = in->call->session;
    bool exists;
    TRY(flight__main(session, &in->call->info));
    if (session->main_run != NULL) {
        return errinfo_set(&in->call->info, ERR_BUSY, "55006",
                           "the session cannot be changed while rows of its last change are read");
    }
    TRY(session_check(session->main, &in->call->info));
    TRY(find_target(in, &exists));
    if (exists && (in->request.if_exists < EXISTS_APPEND)) {
        return errinfo_set(&in->call->info, ERR_EXISTS, "42P07", "relation %s already exists",
                           buf_cstr(&in->target));
    }
    if (!exists && in->request.if_not_exist != NOT_EXIST_CREATE) {
        return errinfo_set(&in->call->info, ERR_NOT_FOUND, "42P01", "relation %s does not exist",
                           buf_cstr(&in->target));
    }
    if (in->request.is_temporary != 0) {
        pthread_mutex_lock(&session->lock);
        session->has_temps = true;
        pthread_mutex_unlock(&session->lock);
        return into_temporary(in, stream, exists);
    }
    return into_lake(in, stream, exists);
}

static enum err begin(struct ingest *in, const struct flight_stream *stream)
{
    const struct request *request = &in->request;
    in->source = ipc_reader_schema(stream->reader);
    if (in->source == NULL || in->source->n_children == 0) {
        return flight__wrong(&in->call->info, "what is put has no columns");
    }
    in->column_count = (size_t)in->source->n_children;
    const struct slice names[] = {request->catalog, request->schema, request->table};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (names[i].len > 0) {
            buf_append_str(&in->target, in->target.len == 0 ? "" : ".");
            sql_quote_name(&in->target, names[i]);
        }
    }
    for (size_t i = 0; i < in->column_count; i++) {
        buf_append_str(&in->columns, i == 0 ? "" : ", ");
        sql_quote_name(&in->columns, slice_of(in->source->children[i]->name));
    }
    in->out = mem_calloc(in->column_count + 1, sizeof(*in->out));
    if (in->out == NULL || buf_failed(&in->target) || buf_failed(&in->columns)) {
        return errinfo_nomem(&in->call->info);
    }
    for (size_t i = 0; i <= in->column_count; i++) {
        column_reset(&in->out[i]);
    }
    return ERR_OK;
}

static void ingest_fini(struct ingest *in)
{
    for (size_t i = 0; in->out != NULL && i <= in->column_count; i++) {
        buf_fini(&in->out[i].offsets);
        buf_fini(&in->out[i].bytes);
        buf_fini(&in->out[i].validity);
    }
    mem_free(in->out);
    buf_fini(&in->target);
    buf_fini(&in->staging);
    buf_fini(&in->columns);
}

enum err flight__ingest(struct flight_call *call, struct flight_stream *stream, struct slice body,
                        int64_t *ret_rows)
{
    struct flight_session *session = call->session;
    struct ingest in CLEANUP(ingest_fini) = {.call = call};
    TRY(read_request(call, body, &in.request));
    TRY(flight__transaction_check(session, in.request.transaction, &call->info));
    TRY(begin(&in, stream));
    pthread_mutex_lock(&session->lock);
    bool is_outside = session->has_transaction && in.request.transaction.len == 0;
    pthread_mutex_unlock(&session->lock);
    if (is_outside) {
        return errinfo_set(&call->info, ERR_INVALID, "25001",
                           "the session has a transaction open, and the command does not name it");
    }
    TRY(flight__turn_take(session, NULL, &call->info));
    enum err err = ingest_locked(&in, stream);
    flight__turn_give(session);
    *ret_rows = in.line;
    return err;
}
