/* COPY ... FROM STDIN: what the client sends goes through a reader into batches, and these to the
 * query module, which waits when the engine is behind: then nothing more is read of the socket.
 *
 * Between two messages the connection is in copy-in mode (connection->copy_in): no statement runs
 * until the data end, by CopyDone, CopyFail or an error. */
#include "wire/pg/copy_in.h"

#include "wire/pg/copy_batch.h"

struct pg_copy_in {
    struct pg_portal *portal;
    bool is_extended; /* what follows an error is passed over up to Sync */
    struct slice relation;
    struct copy_reader reader;
    struct copy_batch batch;
};

/* The last name of a.b.c, without its quotes. */
static struct slice last_name(struct slice name)
{
    size_t start = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < name.len; i++) {
        is_quoted ^= name.ptr[i] == '"';
        start = name.ptr[i] == '.' && !is_quoted ? i + 1 : start;
    }
    struct slice last = slice_trim((struct slice){name.ptr + start, name.len - start});
    bool has_quotes = last.len >= 2 && last.ptr[0] == '"';
    return has_quotes ? (struct slice){last.ptr + 1, last.len - 2} : last;
}

/* ---- beginning ---- */

static enum err push_batch(struct pg_copy_in *copy, struct errinfo *info)
{
    struct ArrowArray batch;
    TRY(copy_batch_take(&copy->batch, &batch, info));
    return query_push(copy->portal->query, &batch, info);
}

static enum err take_row(void *context, const struct copy_cell *cells, size_t *ret_column,
                         struct errinfo *info)
{
    struct pg_copy_in *copy = context;
    TRY(copy_batch_add(&copy->batch, copy->reader.line, cells, ret_column, info));
    return copy_batch_is_full(&copy->batch) ? push_batch(copy, info) : ERR_OK;
}

static enum err mark_columns(struct copy_target *targets, size_t count, const struct slice *names,
                             size_t name_count, bool is_not_null, struct errinfo *info)
{
    for (size_t n = 0; n < name_count; n++) {
        size_t at = 0;
        while (at < count && !slice_equal_fold(targets[at].name, names[n])) {
            at++;
        }
        if (at == count) {
            return errinfo_set(info, ERR_NOT_FOUND, "42703",
                               "column \"%.*s\" of FORCE_%sNULL is not among those of COPY",
                               SLICE_ARGS(names[n]), is_not_null ? "NOT_" : "");
        }
        targets[at].is_force_not_null = targets[at].is_force_not_null || is_not_null;
        targets[at].is_force_null = targets[at].is_force_null || !is_not_null;
    }
    return ERR_OK;
}

static enum err make_targets(struct pg_copy_in *copy, struct arena *arena, struct errinfo *info)
{
    const struct pg_copy *options = &copy->portal->command.copy;
    size_t count = query_target_count(copy->portal->query);
    struct copy_target *targets = arena_calloc(arena, count + 1, sizeof(*targets));
    copy->reader.cells = arena_calloc(arena, count + 1, sizeof(*copy->reader.cells));
    if (targets == NULL || copy->reader.cells == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        targets[i].name = query_target(copy->portal->query, i).name;
    }
    copy->reader.targets = targets;
    copy->reader.target_count = count;
    TRY(mark_columns(targets, count, options->force_null, options->force_null_count, false, info));
    return mark_columns(targets, count, options->force_not_null, options->force_not_null_count,
                        true, info);
}

static void say_begin(struct pg_connection *connection, const struct pg_copy_in *copy)
{
    bool is_binary = copy->batch.is_binary;
    struct buf *out = &connection->out;
    size_t begun = pg__begin(out, 'G');
    buf_append_char(out, is_binary ? 1 : 0);
    pg_put16(out, (uint16_t)copy->reader.target_count);
    for (size_t i = 0; i < copy->reader.target_count; i++) {
        pg_put16(out, is_binary ? 1 : 0);
    }
    pg__end(out, begun);
    pg__flush(connection);
}

static enum err begin(struct pg_connection *connection, struct pg_copy_in *copy,
                      struct errinfo *info)
{
    struct pg_portal *portal = copy->portal;
    struct ArrowSchema schema;
    if (!query_takes_rows(portal->query)) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the query takes no rows");
    }
    copy->relation = last_name(portal->command.name);
    copy->reader.copy = &portal->command.copy;
    copy->reader.line_bytes_max = connection->server->message_bytes_max;
    copy->reader.row = take_row;
    copy->reader.context = copy;
    copy_reader_init(&copy->reader);
    TRY(make_targets(copy, portal->arena, info));
    TRY(copy_batch_init(&copy->batch, portal->query, portal->command.copy.format == COPY_BINARY,
                        portal->arena, info));
    TRY(copy_batch_schema(&copy->batch, &schema, info));
    TRY(query_push_begin(portal->query, &schema, info));
    /* A cancel is for this until the data end, also while nothing comes. */
    TRY(pg__active(connection, connection->sessions[portal->session].session, info));
    say_begin(connection, copy);
    return ERR_OK;
}

enum err pg__copy_in(struct pg_connection *connection, struct pg_portal *portal,
                     struct errinfo *info)
{
    if (portal->is_opened) {
        return errinfo_set(info, ERR_INVALID, "55000", "portal \"%.*s\" cannot be run anymore",
                           SLICE_ARGS(portal->name));
    }
    TRY(pg__portal_open(connection, portal, info));
    struct pg_copy_in *copy = arena_calloc(portal->arena, 1, sizeof(*copy));
    enum err err = ERR_OK;
    if (copy == NULL) {
        err = errinfo_nomem(info);
    } else {
        copy->portal = portal;
        copy->is_extended = portal->statement != NULL;
        err = begin(connection, copy, info);
    }
    if (err != ERR_OK) {
        pg__inactive(connection);
        if (copy != NULL) {
            copy_reader_fini(&copy->reader);
            copy_batch_fini(&copy->batch);
        }
        pg__portal_stop(connection, portal);
        return err;
    }
    connection->copy_in = copy;
    return ERR_OK;
}

/* ---- ending ---- */

void pg__copy_in_drop(struct pg_connection *connection)
{
    struct pg_copy_in *copy = connection->copy_in;
    if (copy != NULL) {
        connection->copy_in = NULL;
        pg__inactive(connection);
        copy_reader_fini(&copy->reader);
        copy_batch_fini(&copy->batch);
        pg__portal_stop(connection, copy->portal);
    }
}

/* What is wrong with a row, and where: for the CONTEXT of the error. */
static enum err say_where(struct pg_connection *connection, struct pg_copy_in *copy, enum err err,
                          struct errinfo *info)
{
    struct copy_reader *reader = &copy->reader;
    struct slice value;
    uint64_t line;
    size_t target;
    if (query_bad_value(copy->portal->query, &line, &target, &value)) {
        const struct copy_column *column = &copy->batch.columns[target + 1];
        bool is_array = column->type.element_oid != 0; /* went in the engine's spelling */
        err = is_array ? errinfo_set(info, ERR_INVALID, "22P02",
                                     "invalid input syntax for an element of type %.*s",
                                     SLICE_ARGS(column->engine_type))
                       : copy_bad_text(column, value, info);
        reader->line = line;
        reader->column = target;
        reader->value = value;
        reader->has_value = !copy->batch.is_binary && !is_array;
    }
    buf_reset(&connection->error_context);
    if (err == ERR_INVALID || err == ERR_LIMIT) {
        copy_reader_where(reader, copy->relation, &connection->error_context);
    }
    return err;
}

static enum err finish(struct pg_connection *connection, struct pg_copy_in *copy,
                       struct errinfo *info)
{
    struct query *query = copy->portal->query;
    TRY(copy_reader_end(&copy->reader, info));
    if (copy->batch.row_count > 0) {
        TRY(push_batch(copy, info));
    }
    TRY(query_push_end(query, info));
    pg__write_tag(&connection->out, query_tag(query));
    return ERR_OK;
}

static enum err client_failed(struct slice body, struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice why = pg__read_text(&reader);
    if (reader.failed) {
        return pg__protocol_violation(info, "invalid string in message");
    }
    return errinfo_set(info, ERR_CANCELLED, "57014", "COPY from stdin failed: %.*s",
                       SLICE_ARGS(why));
}

static enum err take_message(struct pg_connection *connection, struct pg_copy_in *copy, char type,
                             struct slice body, bool *ret_is_done, struct errinfo *info)
{
    switch (type) {
    case 'd':
        TRY(query_push(copy->portal->query, NULL, info)); /* the engine may have failed since */
        return copy_reader_feed(&copy->reader, body, info);
    case 'c':
        *ret_is_done = true;
        return finish(connection, copy, info);
    case 'f':
        return client_failed(body, info);
    case 'H':
    case 'S': /* sent before it was known that data are wanted */
        return ERR_OK;
    default:
        return errinfo_set(info, ERR_INVALID, "08P01",
                           "unexpected message type 0x%02X during COPY from stdin",
                           (unsigned char)type);
    }
}

void pg__copy_in_message(struct pg_connection *connection, char type, struct slice body)
{
    struct pg_copy_in *copy = connection->copy_in;
    struct errinfo info;
    bool is_done = false;
    errinfo_init(&info);
    enum err err = take_message(connection, copy, type, body, &is_done, &info);
    if (err == ERR_OK && !is_done) {
        return;
    }
    if (err != ERR_OK && type != 'f') {
        err = say_where(connection, copy, err, &info);
    }
    if (err != ERR_OK) {
        query_push_fail(copy->portal->query, &info);
    }
    bool is_extended = copy->is_extended;
    pg__copy_in_drop(connection);
    if (is_extended) {
        pg__extended_copied(connection, err, &info);
    } else {
        pg__simple_copied(connection, err, &info);
    }
}
