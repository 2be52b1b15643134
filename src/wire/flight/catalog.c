/* Commands about the catalog: each is a query of the system's views as the person (catalog.def). */
#include "arrow/ipc.h"
#include "arrow/value.h"
#include "sql/scan.h"
#include "wire/flight/flight_int.h"
#include "wire/flight/rows.h"

#define COLUMNS_MAX 24u
#define TABLES_A_BATCH 500

static const struct catalog_command {
    const char *name;
    const char *columns;
    const char *query; /* NULL: there are never rows */
} commands[] = {
#define COMMAND(name, columns, query) {name, columns, query},
#include "wire/flight/catalog.def"
#undef COMMAND
};

static const struct catalog_command *find_command(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (slice_equal(name, slice_of(commands[i].name))) {
            return &commands[i];
        }
    }
    return NULL;
}

bool flight__is_catalog(struct slice name)
{
    return find_command(name) != NULL || slice_equal(name, SLICE("CommandGetSqlInfo"));
}

/* ---- what a command asks for ---- */

struct tables_request {
    struct slice catalog, schema, table;
    bool has_catalog, has_schema, has_table;
    uint64_t include_schema;
    uint64_t data_type;
    bool has_data_type;
    struct slice body;
};

static bool read_request(const struct flight_command *command, struct tables_request *ret_request)
{
    *ret_request = (struct tables_request){.body = command->body};
    struct tables_request *r = ret_request;
    if (slice_equal(command->name, SLICE("CommandGetXdbcTypeInfo"))) {
        struct proto_want wants[] = {{1, NULL, &r->data_type, &r->has_data_type}};
        return proto_read(command->body, wants, ARRAY_COUNT(wants));
    }
    struct proto_want wants[] = {{1, &r->catalog, NULL, &r->has_catalog},
                                 {2, &r->schema, NULL, &r->has_schema},
                                 {3, &r->table, NULL, &r->has_table},
                                 {5, NULL, &r->include_schema, NULL}};
    bool is_tables = slice_equal(command->name, SLICE("CommandGetTables"));
    bool is_schemas = slice_equal(command->name, SLICE("CommandGetDbSchemas"));
    return proto_read(command->body, wants, is_tables ? 4 : is_schemas ? 2 : 0);
}

static void put_condition(struct buf *out, const char *column, const char *operator,
                          struct slice value)
{
    buf_printf(out, " AND %s %s ", column, operator);
    sql_quote_string(out, value);
}

static void put_types(struct buf *out, struct slice body)
{
    struct proto_field field;
    bool is_first = true;
    while (proto_next(&body, &field) == PROTO_FIELD) {
        if (field.number == 4 && field.type == PROTO_BYTES) {
            buf_append_str(out, is_first ? " AND table_type IN (" : ", ");
            sql_quote_string(out, field.bytes);
            is_first = false;
        }
    }
    buf_append_str(out, is_first ? "" : ")");
}

/* The query with its conditions in the place of %f. */
static void put_query(struct buf *out, const struct catalog_command *command,
                      const struct tables_request *request)
{
    const char *mark = strstr(command->query, "%f");
    if (mark == NULL) {
        buf_append_str(out, command->query);
        return;
    }
    buf_append(out, command->query, (size_t)(mark - command->query));
    if (request->has_catalog) {
        put_condition(out, "catalog_name", "=", request->catalog);
    }
    if (request->has_schema) {
        put_condition(out, "db_schema_name", "LIKE", request->schema);
    }
    if (request->has_table) {
        put_condition(out, "table_name", "LIKE", request->table);
    }
    if (request->has_data_type) {
        buf_printf(out, " AND data_type = %lld", (long long)(int32_t)request->data_type);
    }
    if (strcmp(command->name, "CommandGetTables") == 0) {
        put_types(out, request->body);
    }
    buf_append_str(out, mark + 2);
}

/* ---- schemas ---- */

/* "a VARCHAR, b! INTEGER": b is never NULL. Some drivers hold the schema against the protocol's. */
static size_t read_columns(const char *text, struct query_column columns[COLUMNS_MAX],
                           bool is_required[COLUMNS_MAX])
{
    size_t count = 0;
    while (*text != '\0') {
        size_t name_len = strcspn(text, " ");
        const char *type = text + name_len + 1;
        size_t type_len = strcspn(type, ",");
        ASSERT(count < COLUMNS_MAX);
        is_required[count] = text[name_len - 1] == '!';
        columns[count] =
            (struct query_column){{text, name_len - is_required[count]}, {type, type_len}};
        count++;
        text = type + type_len + (type[type_len] == ',' ? 2 : 0);
    }
    return count;
}

static enum err schema_of(struct flight_call *call, const struct flight_command *command,
                          struct ArrowSchema **ret_schema)
{
    struct query_column columns[COLUMNS_MAX];
    bool is_required[COLUMNS_MAX];
    struct tables_request request;
    const struct catalog_command *found = find_command(command->name);
    if (found == NULL) {
        return flight__info_schema(call, ret_schema);
    }
    if (!read_request(command, &request)) {
        return flight__wrong(&call->info, "the command is no message of Flight SQL");
    }
    size_t count = read_columns(found->columns, columns, is_required);
    if (request.include_schema != 0) {
        is_required[count] = true;
        columns[count++] = (struct query_column){SLICE("table_schema"), SLICE("BLOB")};
    }
    TRY(flight__schema_of(call->arena, columns, count, ret_schema, &call->info));
    for (size_t i = 0; i < count; i++) {
        (*ret_schema)->children[i]->flags = is_required[i] ? 0 : ARROW_FLAG_NULLABLE;
    }
    return ERR_OK;
}

enum err flight__catalog_schema(struct flight_call *call, const struct flight_command *command,
                                struct ArrowSchema **ret_schema)
{
    return schema_of(call, command, ret_schema);
}

/* ---- rows ---- */

static void on_gone(void *context)
{
    flight__run_stop(context);
}

/* Calls `fn` for each batch of a query of ours. */
typedef enum err (*batch_fn)(void *context, const struct ArrowSchema *schema,
                             const struct ArrowArray *batch);

static enum err for_each(struct flight_call *call, struct slice text, batch_fn fn, void *context)
{
    struct flight_run *run CLEANUP(flight_run_cleanup) = NULL;
    struct flight_statement statement = {.text = text};
    TRY(flight__run_open(call, &statement, &run));
    grpc_on_cancel(call->grpc, on_gone, run);
    enum err err = ERR_OK;
    while (err == ERR_OK) {
        struct ArrowArray batch;
        err = flight__run_next(run, &batch, &call->info);
        if (err != ERR_OK || batch.release == NULL) {
            break;
        }
        err = fn(context, &run->schema, &batch);
        batch.release(&batch);
    }
    grpc_on_cancel(call->grpc, NULL, NULL);
    flight__run_forget(run);
    return err;
}

static enum err send_batch(void *context, const struct ArrowSchema *schema,
                           const struct ArrowArray *batch)
{
    return flight__send_batch(context, schema, batch);
}

/* ---- tables with their schemas ---- */

struct gathering {
    struct flight_call *call;
    const struct ArrowSchema *schema; /* of the answer */
    struct rows rows;
    struct buf cells[6]; /* catalog, schema, table, its type, column, its type */
    struct buf table[4]; /* whose columns are gathered */
    bool has_table;
    struct arena *arena; /* of the table */
    struct query_column *columns;
    size_t count, capacity;
};

static void gathering_fini(struct gathering *g)
{
    rows_fini(&g->rows);
    for (size_t i = 0; i < ARRAY_COUNT(g->cells); i++) {
        buf_fini(&g->cells[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(g->table); i++) {
        buf_fini(&g->table[i]);
    }
    arena_free(g->arena);
}

static enum err send_tables(struct gathering *g)
{
    struct ArrowArray batch;
    if (rows_count(&g->rows) == 0) {
        return ERR_OK;
    }
    TRY(rows_batch(&g->rows, &batch, &g->call->info));
    enum err err = flight__send_batch(g->call, g->schema, &batch);
    rows_reset(&g->rows);
    return err;
}

/* A column whose type Arrow is not told of is a text there: that is what a cast of it gives. */
static enum err table_schema(struct gathering *g, struct buf *out)
{
    struct ArrowSchema *schema;
    for (size_t i = 0; i < g->count; i++) {
        struct ArrowSchema *alone;
        struct errinfo ignored;
        if (flight__schema_of(g->arena, &g->columns[i], 1, &alone, &ignored) == ERR_UNSUPPORTED) {
            g->columns[i].type = SLICE("VARCHAR");
        }
    }
    TRY(flight__schema_of(g->arena, g->columns, g->count, &schema, &g->call->info));
    return ipc_write_schema(schema, out, &g->call->info);
}

static enum err end_table(struct gathering *g)
{
    struct buf schema CLEANUP(buf_fini) = {0};
    if (!g->has_table) {
        return ERR_OK;
    }
    TRY(table_schema(g, &schema));
    for (size_t i = 0; i < ARRAY_COUNT(g->table); i++) {
        rows_put(&g->rows, i, buf_slice(&g->table[i]));
    }
    rows_put(&g->rows, 4, buf_slice(&schema));
    rows_end_row(&g->rows);
    g->has_table = false;
    g->count = 0;
    g->columns = NULL;
    g->capacity = 0;
    arena_reset(g->arena);
    return rows_count(&g->rows) >= TABLES_A_BATCH ? send_tables(g) : ERR_OK;
}

static enum err add_column(struct gathering *g)
{
    struct slice name, type;
    if (g->count == g->capacity) {
        size_t capacity = g->capacity == 0 ? 16 : 2 * g->capacity;
        struct query_column *columns = arena_calloc(g->arena, capacity, sizeof(*columns));
        if (columns == NULL) {
            return errinfo_nomem(&g->call->info);
        }
        if (g->count > 0) {
            memcpy(columns, g->columns, g->count * sizeof(*columns));
        }
        g->columns = columns;
        g->capacity = capacity;
    }
    if (!arena_slice(g->arena, buf_slice(&g->cells[4]), &name) ||
        !arena_slice(g->arena, buf_slice(&g->cells[5]), &type)) {
        return errinfo_nomem(&g->call->info);
    }
    g->columns[g->count++] = (struct query_column){name, type};
    return ERR_OK;
}

static enum err gather_row(struct gathering *g, const struct ArrowSchema *schema,
                           const struct ArrowArray *batch, int64_t row)
{
    bool is_same = g->has_table;
    for (size_t i = 0; i < ARRAY_COUNT(g->cells); i++) {
        buf_reset(&g->cells[i]);
        if (arrow_is_valid(schema->children[i], batch->children[i], row)) {
            TRY(arrow_print(schema->children[i], batch->children[i], row, &g->cells[i],
                            &g->call->info));
        }
        is_same = is_same && (i >= ARRAY_COUNT(g->table) ||
                              slice_equal(buf_slice(&g->cells[i]), buf_slice(&g->table[i])));
    }
    if (!is_same) {
        TRY(end_table(g));
        for (size_t i = 0; i < ARRAY_COUNT(g->table); i++) {
            buf_reset(&g->table[i]);
            buf_append_slice(&g->table[i], buf_slice(&g->cells[i]));
        }
        g->has_table = true;
    }
    return g->cells[4].len == 0 ? ERR_OK : add_column(g);
}

static enum err gather(void *context, const struct ArrowSchema *schema,
                       const struct ArrowArray *batch)
{
    struct gathering *g = context;
    for (int64_t row = 0; row < batch->length; row++) {
        TRY(gather_row(g, schema, batch, batch->offset + row));
    }
    return ERR_OK;
}

static enum err send_with_schemas(struct flight_call *call, struct slice tables,
                                  const struct ArrowSchema *schema)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct gathering g CLEANUP(gathering_fini) = {.call = call, .schema = schema};
    rows_init(&g.rows, schema);
    g.arena = arena_new(NULL, "flight table", 0);
    buf_append_str(&text, "SELECT t.catalog_name, t.db_schema_name, t.table_name, t.table_type, "
                          "c.name, c.\"type\" FROM (");
    buf_append_slice(&text, tables);
    buf_append_str(&text, ") AS t LEFT JOIN moat.moat_system.columns AS c ON c.\"catalog\" = "
                          "t.catalog_name AND c.\"schema\" = t.db_schema_name AND c.table_name = "
                          "t.table_name ORDER BY 1, 2, 3, 4, c.position");
    if (g.arena == NULL || buf_failed(&text)) {
        return errinfo_nomem(&call->info);
    }
    TRY(for_each(call, buf_slice(&text), gather, &g));
    TRY(end_table(&g));
    return send_tables(&g);
}

enum err flight__get_catalog(struct flight_call *call, const struct flight_command *command)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct tables_request request;
    struct ArrowSchema *schema;
    const struct catalog_command *found = find_command(command->name);
    if (found == NULL) {
        return flight__get_info(call, command->body);
    }
    TRY(schema_of(call, command, &schema));
    if (!read_request(command, &request)) {
        return flight__wrong(&call->info, "the command is no message of Flight SQL");
    }
    TRY(flight__send_schema(call, schema));
    if (found->query == NULL) {
        return ERR_OK; /* there are no keys */
    }
    put_query(&text, found, &request);
    if (buf_failed(&text)) {
        return errinfo_nomem(&call->info);
    }
    return request.include_schema != 0 ? send_with_schemas(call, buf_slice(&text), schema)
                                       : for_each(call, buf_slice(&text), send_batch, call);
}
