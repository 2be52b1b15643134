/* The sessions of a connection: one main one, which SET and USE change, and one more for each
 * cursor that is open beside it, since a session has one query at a time. Made when first needed:
 * most connections are idle. */
#include "base/mem.h"
#include "wire/pg/pg_int.h"

static enum err open_main(struct pg_connection *connection, struct errinfo *info)
{
    if (connection->sessions == NULL) {
        connection->sessions = mem_calloc(SESSIONS_MAX, sizeof(*connection->sessions));
        if (connection->sessions == NULL) {
            return errinfo_nomem(info);
        }
    }
    if (connection->sessions[0].session != NULL) {
        return ERR_OK;
    }
    TRY(session_open(connection->server->warehouse, connection->who,
                     &connection->sessions[0].session, info));
    session_set_client(connection->sessions[0].session, connection->client);
    session_set_protocol(connection->sessions[0].session, SESSION_POSTGRES);
    return ERR_OK;
}

static void close_slot(struct pg_session_slot *slot)
{
    ASSERT(!slot->is_busy);
    session_close(slot->session);
    slot->session = NULL;
}

enum err pg__session_take(struct pg_connection *connection, bool is_extra, int *ret_slot,
                          struct errinfo *info)
{
    TRY(open_main(connection, info));
    struct pg_session_slot *slots = connection->sessions;
    for (int i = is_extra ? 1 : 0; i < SESSIONS_MAX; i++) {
        if (slots[i].is_busy) {
            continue;
        }
        if (i > 0 && slots[i].session != NULL && slots[i].generation != connection->generation) {
            close_slot(&slots[i]);
        }
        if (slots[i].session == NULL) {
            TRY(session_fork(slots[0].session, &slots[i].session, info));
            slots[i].generation = connection->generation;
        }
        slots[i].is_busy = true;
        *ret_slot = i;
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_LIMIT, "53400", "a connection has at most %d cursors open",
                      SESSIONS_MAX - 1);
    errinfo_hint(info, "Close some, or read them to their end.");
    return ERR_LIMIT;
}

/* One to spare is kept, for who opens a cursor after the other. */
void pg__session_give(struct pg_connection *connection, int slot)
{
    struct pg_session_slot *slots = connection->sessions;
    slots[slot].is_busy = false;
    if (slot > 1) {
        close_slot(&slots[slot]);
    }
}

void pg__session_close_all(struct pg_connection *connection)
{
    for (int i = 0; connection->sessions != NULL && i < SESSIONS_MAX; i++) {
        close_slot(&connection->sessions[i]);
    }
    mem_free(connection->sessions);
    connection->sessions = NULL;
}

enum err pg__active(struct pg_connection *connection, struct session *session, struct errinfo *info)
{
    pthread_mutex_lock(&connection->cancel_lock);
    bool is_stopped = connection->is_stopped;
    connection->active = is_stopped ? NULL : session;
    pthread_mutex_unlock(&connection->cancel_lock);
    return is_stopped ? errinfo_set(info, ERR_CANCELLED, "57P01",
                                    "terminating connection due to administrator command")
                      : ERR_OK;
}

void pg__inactive(struct pg_connection *connection)
{
    pthread_mutex_lock(&connection->cancel_lock);
    connection->active = NULL;
    pthread_mutex_unlock(&connection->cancel_lock);
}

enum err pg__session_run(struct pg_connection *connection, struct slice text, struct errinfo *info)
{
    TRY(open_main(connection, info));
    if (connection->sessions[0].is_busy) {
        (void)errinfo_set(info, ERR_BUSY, "55006",
                          "the session cannot be changed while a portal of it is open");
        errinfo_hint(info, "Read it to its end, or close it, first.");
        return ERR_BUSY;
    }
    struct query *query;
    struct session *session = connection->sessions[0].session;
    TRY(pg__active(connection, session, info));
    enum err err = query_open(session, text, NULL, 0, &query, info);
    if (err == ERR_OK) {
        query_close(query);
    }
    pg__inactive(connection);
    connection->generation++;
    return err;
}

enum err pg__session_check(struct pg_connection *connection, struct errinfo *info)
{
    TRY(open_main(connection, info));
    return session_check(connection->sessions[0].session, info);
}

bool pg__session_is_over(const struct pg_connection *connection)
{
    for (int i = 0; connection->sessions != NULL && i < SESSIONS_MAX; i++) {
        const struct session *session = connection->sessions[i].session;
        if (session != NULL && session_is_over(session)) {
            return true;
        }
    }
    return false;
}
