/* Portals: a statement with its values, run up to some row. The simple protocol, cursors and COPY
 * are portals too, so that there is one way to rows. */
#include "base/clock.h"
#include "base/mem.h"
#include "wire/pg/pg_int.h"

struct pg_portal *pg__portal_find(struct pg_connection *connection, struct slice name)
{
    struct pg_portal *portal = connection->portals;
    while (portal != NULL && !slice_equal(portal->name, name)) {
        portal = portal->next;
    }
    return portal;
}

enum err pg__portal_new(struct pg_connection *connection, struct slice name,
                        struct pg_portal **ret_portal, struct errinfo *info)
{
    if (connection->portal_count >= PORTALS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "53400", "a connection has at most %d portals",
                           PORTALS_MAX);
    }
    struct arena *arena = arena_new(NULL, "portal", 0);
    struct pg_portal *portal = arena == NULL ? NULL : arena_calloc(arena, 1, sizeof(*portal));
    if (portal == NULL || !arena_slice(arena, name, &portal->name)) {
        arena_free(arena);
        return errinfo_nomem(info);
    }
    portal->arena = arena;
    portal->session = -1;
    portal->created_wall_us = clock_wall_coarse_us();
    portal->next = connection->portals;
    connection->portals = portal;
    connection->portal_count++;
    *ret_portal = portal;
    return ERR_OK;
}

void pg__portal_stop(struct pg_connection *connection, struct pg_portal *portal)
{
    if (portal->batch.release != NULL) {
        portal->batch.release(&portal->batch);
        portal->batch.release = NULL;
    }
    for (size_t i = 0; portal->encoders != NULL && i < portal->column_count; i++) {
        pg_encoder_fini(&portal->encoders[i]);
    }
    portal->encoders = NULL;
    if (portal->schema.release != NULL) {
        portal->schema.release(&portal->schema);
        portal->schema.release = NULL;
    }
    query_close(TAKE(portal->query));
    if (portal->session >= 0) {
        pg__session_give(connection, portal->session);
        portal->session = -1;
    }
    portal->is_done = true;
}

void pg__portal_close(struct pg_connection *connection, struct pg_portal *portal)
{
    struct pg_portal **link = &connection->portals;
    while (*link != portal) {
        link = &(*link)->next;
    }
    *link = portal->next;
    connection->portal_count--;
    pg__portal_stop(connection, portal);
    pg__statement_unref(portal->statement);
    arena_free(portal->arena);
}

void pg__portal_end_transaction(struct pg_connection *connection, bool is_commit)
{
    struct pg_portal *next;
    for (struct pg_portal *portal = connection->portals; portal != NULL; portal = next) {
        next = portal->next;
        if (!portal->is_running && !(portal->is_held && is_commit)) {
            pg__portal_close(connection, portal);
        }
    }
}

/* ---- columns ---- */

static uint16_t format_of(const struct pg_portal *portal, size_t column)
{
    return portal->format_count > 1 ? portal->formats[column] : portal->all_format;
}

void pg__write_columns(struct pg_connection *connection, const struct pg_column *columns,
                       size_t column_count, const struct pg_portal *formats)
{
    struct buf *out = &connection->out;
    size_t begun = pg__begin(out, 'T');
    pg_put16(out, (uint16_t)column_count);
    for (size_t i = 0; i < column_count; i++) {
        pg__write_text(out, columns[i].name);
        pg_put32(out, 0); /* of no table that has a number */
        pg_put16(out, 0);
        pg_put32(out, columns[i].type.oid);
        pg_put16(out, (uint16_t)columns[i].type.size);
        pg_put32(out, (uint32_t)columns[i].type.typmod);
        pg_put16(out, formats == NULL ? 0 : format_of(formats, i));
    }
    pg__end(out, begun);
}

void pg__portal_describe(struct pg_connection *connection, const struct pg_portal *portal)
{
    if (portal->has_rows) {
        pg__write_columns(connection, portal->columns, portal->column_count, portal);
    } else {
        pg__write_empty(&connection->out, 'n');
    }
}

static enum err take_columns(struct pg_portal *portal, struct errinfo *info)
{
    size_t count = query_column_count(portal->query);
    if (count > UINT16_MAX / 2) {
        return errinfo_set(info, ERR_LIMIT, "54011",
                           "the result has %zu columns, the protocol "
                           "carries %d",
                           count, UINT16_MAX / 2);
    }
    if (portal->format_count > 1 && portal->format_count != count) {
        return errinfo_set(info, ERR_INVALID, "08P01",
                           "bind message has %zu result formats but query has %zu columns",
                           portal->format_count, count);
    }
    portal->columns = arena_calloc(portal->arena, count + 1, sizeof(*portal->columns));
    portal->encoders = arena_calloc(portal->arena, count + 1, sizeof(*portal->encoders));
    portal->row_columns = arena_calloc(portal->arena, count + 1, sizeof(*portal->row_columns));
    if (portal->columns == NULL || portal->encoders == NULL || portal->row_columns == NULL) {
        return errinfo_nomem(info);
    }
    portal->column_count = count;
    TRY(query_schema(portal->query, &portal->schema, info));
    bool is_binary_copy =
        portal->command.kind == COMMAND_COPY_OUT && portal->command.copy.format == COPY_BINARY;
    for (size_t i = 0; i < count; i++) {
        struct query_column column = query_column(portal->query, i);
        struct pg_column *own = &portal->columns[i];
        own->type = pg_type_of(column.type);
        if (!arena_slice(portal->arena, column.name, &own->name)) {
            return errinfo_nomem(info);
        }
        enum pg_format format =
            format_of(portal, i) == 1 || is_binary_copy ? PG_FORMAT_BINARY : PG_FORMAT_TEXT;
        TRY(pg_encoder_init(&portal->encoders[i], portal->schema.children[i], own->type, format,
                            info));
    }
    return ERR_OK;
}

/* ---- opening ---- */

static enum err open_constant(struct pg_connection *connection, struct pg_portal *portal,
                              struct errinfo *info)
{
    const struct pg_command *command = &portal->command;
    const char *name;
    struct pg_type type = {.oid = PG_TEXT, .typmod = -1, .size = -1};
    char text[128];
    if (command->kind == COMMAND_SHOW) {
        int setting = pg__setting_find(command->name);
        name = pg__setting_name(setting);
        portal->constant = arena_strdup(portal->arena, pg__setting_value(connection, setting));
    } else {
        const struct pg_constant *constant = command->constant;
        name = constant->column;
        type.oid = constant->oid;
        type.size = constant->size;
        if (constant->value == NULL) {
            (void)snprintf(text, sizeof(text), "PostgreSQL 15.0 (Moat " MOAT_VERSION ")");
        } else if (strcmp(constant->value, "#pid") == 0) {
            (void)snprintf(text, sizeof(text), "%u", connection->key.process_id);
        } else if (strcmp(constant->value, "#schema") == 0) {
            int setting = pg__setting_find(SLICE("search_path"));
            (void)snprintf(text, sizeof(text), "%s", pg__setting_value(connection, setting));
        } else {
            (void)snprintf(text, sizeof(text), "%s", constant->value);
        }
        portal->constant = arena_strdup(portal->arena, text);
    }
    portal->columns = arena_calloc(portal->arena, 1, sizeof(*portal->columns));
    if (portal->columns == NULL || portal->constant == NULL) {
        return errinfo_nomem(info);
    }
    portal->columns[0] = (struct pg_column){slice_of(name), type};
    portal->column_count = 1;
    portal->has_rows = true;
    return ERR_OK;
}

/* A cursor, and a portal with a name, may stay open beside other statements: a session of its own.
 * What changes the session must run in the main one. */
static enum err open_query(struct pg_connection *connection, struct pg_portal *portal,
                           struct errinfo *info)
{
    bool is_main = portal->command.is_session || portal->command.kind == COMMAND_COPY_IN;
    bool is_extra = (portal->is_cursor || portal->name.len > 0) && !is_main;
    TRY(pg__session_take(connection, is_extra, &portal->session, info));
    if (portal->command.is_session && portal->session != 0) {
        return errinfo_set(info, ERR_BUSY, "55006",
                           "the session cannot be changed while a portal of it is open");
    }
    struct session *session = connection->sessions[portal->session].session;
    TRY(pg__active(connection, session, info));
    enum err err = query_open(session, portal->command.text, portal->values, portal->value_count,
                              &portal->query, info);
    pg__inactive(connection);
    TRY(err);
    if (portal->command.is_session) {
        connection->generation++;
    }
    if (query_notice(portal->query)[0] != '\0') {
        pg__write_notice(&connection->out, "NOTICE", "00000", query_notice(portal->query));
    }
    portal->has_rows = query_has_rows(portal->query);
    return portal->has_rows ? take_columns(portal, info) : ERR_OK;
}

enum err pg__portal_open(struct pg_connection *connection, struct pg_portal *portal,
                         struct errinfo *info)
{
    enum err err = ERR_OK;
    if (portal->is_opened) {
        return ERR_OK;
    }
    switch (portal->command.kind) {
    case COMMAND_STATEMENT:
    case COMMAND_DECLARE:
    case COMMAND_COPY_OUT:
    case COMMAND_COPY_IN:
        err = open_query(connection, portal, info);
        break;
    case COMMAND_SHOW:
    case COMMAND_CONSTANT:
        err = open_constant(connection, portal, info);
        break;
    case COMMAND_FETCH: {
        struct pg_portal *cursor = pg__portal_find(connection, portal->command.name);
        portal->has_rows = cursor != NULL;
        portal->columns = cursor == NULL ? NULL : cursor->columns;
        portal->column_count = cursor == NULL ? 0 : cursor->column_count;
        return ERR_OK; /* looked up again when it runs */
    }
    case COMMAND_EMPTY:
    case COMMAND_BEGIN:
    case COMMAND_COMMIT:
    case COMMAND_ROLLBACK:
    case COMMAND_SAVEPOINT:
    case COMMAND_RELEASE:
    case COMMAND_ROLLBACK_TO:
    case COMMAND_SET:
    case COMMAND_RESET:
    case COMMAND_RESET_ALL:
    case COMMAND_SET_TRANSACTION:
    case COMMAND_KEEP:
    case COMMAND_MOVE:
    case COMMAND_CLOSE:
    case COMMAND_DEALLOCATE:
    case COMMAND_DISCARD:
    case COMMAND_UNLISTEN:
        return ERR_OK;
    }
    if (err != ERR_OK) {
        pg__portal_stop(connection, portal);
        return err;
    }
    portal->is_opened = true;
    return ERR_OK;
}

/* ---- rows ---- */

enum err pg__portal_pull(struct pg_connection *connection, struct pg_portal *portal,
                         struct errinfo *info)
{
    if (portal->batch.release != NULL && portal->batch_row < portal->batch.length) {
        query_touch(portal->query);
        return ERR_OK;
    }
    if (portal->batch.release != NULL) {
        portal->batch.release(&portal->batch);
        portal->batch.release = NULL;
    }
    portal->batch_row = 0;
    if (portal->is_done || portal->query == NULL) {
        return ERR_OK;
    }
    TRY(pg__active(connection, connection->sessions[portal->session].session, info));
    enum err err;
    do {
        if (portal->batch.release != NULL) { /* one without rows */
            portal->batch.release(&portal->batch);
            portal->batch.release = NULL;
        }
        err = query_next(portal->query, &portal->batch, info);
    } while (err == ERR_OK && portal->batch.release != NULL && portal->batch.length == 0);
    pg__inactive(connection);
    if (err == ERR_OK && portal->batch.release == NULL) {
        portal->is_done = true;
    }
    return err;
}

static void send_constant(struct pg_connection *connection, struct pg_portal *portal)
{
    struct buf *out = &connection->out;
    size_t begun = pg__begin(out, 'D');
    bool is_binary = format_of(portal, 0) == 1 && portal->columns[0].type.oid == PG_INT4;
    pg_put16(out, 1);
    if (is_binary) {
        pg_put32(out, 4);
        pg_put32(out, (uint32_t)strtoul(portal->constant, NULL, 10));
    } else {
        pg_put32(out, (uint32_t)strlen(portal->constant));
        buf_append_str(out, portal->constant);
    }
    pg__end(out, begun);
    portal->row_count = 1;
    portal->is_done = true;
}

enum err pg__portal_send_batch(struct pg_connection *connection, struct pg_portal *portal,
                               char type, uint64_t rows_max, struct errinfo *info)
{
    int64_t end = portal->batch.length;
    if (rows_max != 0 && rows_max - portal->row_count < (uint64_t)(end - portal->batch_row)) {
        end = portal->batch_row + (int64_t)(rows_max - portal->row_count);
    }
    pg_rows_take(portal->row_columns, portal->encoders, portal->column_count, &portal->batch);
    while (portal->batch_row < end) {
        int64_t first = portal->batch_row;
        TRY(pg_rows_write(portal->row_columns, portal->column_count, type, &portal->batch_row, end,
                          FLUSH_BYTES, &connection->out, info));
        portal->row_count += (uint64_t)(portal->batch_row - first);
        pg__send_if_full(connection);
        if (connection->is_broken) {
            return errinfo_set(info, ERR_IO, "08006", "the connection was lost");
        }
    }
    return ERR_OK;
}

enum err pg__portal_send(struct pg_connection *connection, struct pg_portal *portal,
                         uint64_t rows_max, bool *ret_is_done, struct errinfo *info)
{
    portal->row_count = 0;
    *ret_is_done = true;
    if (portal->constant != NULL) {
        if (!portal->is_done) {
            send_constant(connection, portal);
        }
        return ERR_OK;
    }
    for (;;) {
        TRY(pg__portal_pull(connection, portal, info));
        if (portal->batch.release == NULL) {
            return ERR_OK;
        }
        TRY(pg__portal_send_batch(connection, portal, 'D', rows_max, info));
        if (rows_max != 0 && portal->row_count >= rows_max) {
            *ret_is_done = false; /* perhaps it is; asking would wait for the next batch */
            return ERR_OK;
        }
    }
}
