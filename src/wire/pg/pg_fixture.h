/* The protocol over a wire and a warehouse that are not: for the fuzz target and the tests of this
 * module. Include in one file of a program: it defines what wire/loop and query would, so that the
 * linker never looks there, and what the protocol says can be looked at. Internal. */
#pragma once

#include "base/mem.h"
#include "wire/pg/pg_fixture_people.h"
#include "wire/pg/pg_int.h"

struct connection {
    struct buf sent;
    bool is_finished, is_ready;
};

/* ---- wire/loop ---- */

enum err connection_write(struct connection *connection, struct slice bytes)
{
    buf_append_slice(&connection->sent, bytes);
    return buf_failed(&connection->sent) ? ERR_IO : ERR_OK;
}

void connection_finish(struct connection *connection)
{
    connection->is_finished = true;
}

void connection_ready(struct connection *connection)
{
    connection->is_ready = true;
}

bool connection_can_tls(UNUSED const struct connection *connection)
{
    return false;
}

enum err connection_start_tls(UNUSED struct connection *connection, UNUSED struct slice unread,
                              UNUSED struct slice answer, struct errinfo *info)
{
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "there is no TLS");
}

bool connection_is_tls(UNUSED const struct connection *connection)
{
    return false;
}

size_t connection_endpoint(UNUSED struct connection *connection,
                           UNUSED uint8_t ret_hash[CONNECTION_ENDPOINT_BYTES_MAX])
{
    return 0;
}

const char *connection_peer(UNUSED const struct connection *connection)
{
    return "192.0.2.1:5000";
}

struct slice connection_address(UNUSED const struct connection *connection)
{
    return SLICE("192.0.2.1");
}

void connection_end(UNUSED struct connection *connection, UNUSED enum loop_farewell why)
{
}

enum err connection_certificate(UNUSED struct connection *connection, struct slice *ret_der,
                                UNUSED struct errinfo *info)
{
    *ret_der = (struct slice){"", 0};
    return ERR_OK;
}

/* ---- query: sessions ---- */

struct session {
    bool has_query;
    bool has_block;
    unsigned savepoint_count;
};

enum err session_begin(struct session *session, UNUSED struct errinfo *info)
{
    session->has_block = true;
    return ERR_OK;
}

bool session_has_changes(const struct session *session)
{
    return session->has_block && session->savepoint_count % 2 == 1; /* sometimes */
}

void session_end(struct session *session, UNUSED bool is_commit)
{
    session->has_block = false;
    session->savepoint_count = 0;
}

void session_drop_temps(UNUSED struct session *session)
{
}

void session_set_protocol(UNUSED struct session *session, UNUSED enum session_protocol protocol)
{
}

enum err session_use_savepoint(struct session *session, enum session_savepoint which,
                               struct slice name, struct errinfo *info)
{
    if (!session->has_block) {
        return errinfo_set(info, ERR_INVALID, "25P01", "only in transaction blocks");
    }
    if (which == SESSION_SAVEPOINT_SET) {
        session->savepoint_count++;
        return ERR_OK;
    }
    return session->savepoint_count > 0
               ? ERR_OK
               : errinfo_set(info, ERR_NOT_FOUND, "3B001", "savepoint \"%.*s\" does not exist",
                             SLICE_ARGS(name));
}

enum err session_open(UNUSED struct warehouse *warehouse, UNUSED struct identity *who,
                      struct session **ret_session, struct errinfo *info)
{
    *ret_session = mem_calloc(1, sizeof(**ret_session));
    return *ret_session == NULL ? errinfo_nomem(info) : ERR_OK;
}

enum err session_fork(UNUSED const struct session *session, struct session **ret_session,
                      struct errinfo *info)
{
    return session_open(NULL, NULL, ret_session, info);
}

void session_close(struct session *session)
{
    ASSERT(session == NULL || !session->has_query); /* as the real one */
    mem_free(session);
}

enum err session_check(UNUSED struct session *session, UNUSED struct errinfo *info)
{
    return ERR_OK;
}

bool session_is_over(UNUSED const struct session *session)
{
    return false;
}

void session_set_client(UNUSED struct session *session, UNUSED struct client *client)
{
}

void session_cancel(UNUSED struct session *session)
{
}

/* ---- query: statements with two columns, up to 7 rows ---- */

struct query {
    struct session *session;
    int64_t rows_left;
    bool has_rows;
    bool takes_rows;
    bool is_pushing;
    int64_t rows_in;
    struct ArrowSchema schema; /* of what is pushed */
};

static const struct query_column fixture_columns[] = {{{"n", 1}, {"BIGINT", 6}},
                                                      {{"t", 1}, {"VARCHAR", 7}}};

enum err session_describe(struct session *session, struct slice statement, struct arena *arena,
                          struct query_column **ret_columns, size_t *ret_column_count,
                          struct slice **ret_parameter_types, size_t *ret_parameter_count,
                          struct errinfo *info)
{
    ASSERT(!session->has_query);
    if (slice_find(statement, SLICE("nope")) != SIZE_MAX) {
        return errinfo_set(info, ERR_NOT_FOUND, "42703", "column \"nope\" does not exist");
    }
    size_t count = slice_find(statement, SLICE("$2")) != SIZE_MAX   ? 2
                   : slice_find(statement, SLICE("$1")) != SIZE_MAX ? 1
                                                                    : 0;
    *ret_columns = arena_calloc(arena, 2, sizeof(**ret_columns));
    *ret_parameter_types = arena_calloc(arena, 2, sizeof(**ret_parameter_types));
    if (*ret_columns == NULL || *ret_parameter_types == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(*ret_columns, fixture_columns, sizeof(fixture_columns));
    (*ret_parameter_types)[0] = SLICE("INTEGER");
    *ret_column_count = 2;
    *ret_parameter_count = count;
    return ERR_OK;
}

enum err query_open(struct session *session, struct slice statement,
                    UNUSED const struct query_parameter *parameters, UNUSED size_t parameter_count,
                    struct query **ret_query, struct errinfo *info)
{
    ASSERT(!session->has_query);
    if (slice_find(statement, SLICE("nope")) != SIZE_MAX) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42703", "column \"nope\" does not exist");
        errinfo_position(info, slice_find(statement, SLICE("nope")) + 1);
        return ERR_NOT_FOUND;
    }
    struct query *query = mem_calloc(1, sizeof(*query));
    if (query == NULL) {
        return errinfo_nomem(info);
    }
    query->session = session;
    query->has_rows = slice_find(statement, SLICE("SELECT")) != SIZE_MAX;
    query->takes_rows = slice_find(statement, SLICE("FROM STDIN")) != SIZE_MAX;
    query->rows_left = (int64_t)(statement.len % 8);
    session->has_query = true;
    *ret_query = query;
    return ERR_OK;
}

bool query_has_rows(const struct query *query)
{
    return query->has_rows;
}

const char *query_tag(const struct query *query)
{
    static char tag[32];
    if (query->takes_rows) {
        (void)snprintf(tag, sizeof(tag), "COPY %lld", (long long)query->rows_in);
        return tag;
    }
    return query->has_rows ? "SELECT" : "SET";
}

const char *query_notice(UNUSED const struct query *query)
{
    return "";
}

size_t query_column_count(UNUSED const struct query *query)
{
    return ARRAY_COUNT(fixture_columns);
}

struct query_column query_column(UNUSED const struct query *query, size_t index)
{
    return fixture_columns[index];
}

static void fixture_release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

enum err query_schema(UNUSED struct query *query, struct ArrowSchema *ret_schema,
                      UNUSED struct errinfo *info)
{
    static struct ArrowSchema number = {.format = "l", .name = "n"};
    static struct ArrowSchema text = {.format = "u", .name = "t"};
    static struct ArrowSchema *children[] = {&number, &text};
    *ret_schema = (struct ArrowSchema){.format = "+s",
                                       .name = "",
                                       .n_children = 2,
                                       .children = children,
                                       .release = fixture_release_schema};
    return ERR_OK;
}

static void fixture_release_array(struct ArrowArray *array)
{
    array->release = NULL;
}

void query_touch(UNUSED struct query *query)
{
}

enum err query_next(struct query *query, struct ArrowArray *ret_batch, UNUSED struct errinfo *info)
{
    static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 5, 6};
    static const int32_t offsets[] = {0, 0, 1, 3, 3, 6, 6, 7};
    static const uint8_t valid[] = {0x5F};
    static const void *number_buffers[] = {NULL, numbers};
    static const void *text_buffers[] = {valid, offsets, "abcdefg"};
    static struct ArrowArray number = {.n_buffers = 2, .buffers = number_buffers};
    static struct ArrowArray text = {.n_buffers = 3, .buffers = text_buffers, .null_count = -1};
    static struct ArrowArray *children[] = {&number, &text};
    *ret_batch = (struct ArrowArray){.n_children = 2, .children = children};
    if (query->rows_left > 0) {
        ret_batch->length = query->rows_left;
        ret_batch->release = fixture_release_array;
        query->rows_left = 0;
    }
    return ERR_OK;
}
#include "wire/pg/pg_fixture_copy.h"
