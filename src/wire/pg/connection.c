/* A connection as the loop sees it: how much of a message is needed, what one asks for, the end. */
#include "base/log.h"
#include "base/mem.h"
#include "query/login.h"
#include "wire/pg/copy_in.h"
#include "wire/pg/pg_int.h"

#define OUT_KEPT_BYTES 4096u /* of the output buffer between messages */

/* ---- output ---- */

void pg__flush(struct pg_connection *connection)
{
    if (connection->out.len > 0 && !connection->is_broken) {
        connection->is_broken =
            buf_failed(&connection->out) ||
            connection_write(connection->wire, buf_slice(&connection->out)) != ERR_OK;
    }
    if (connection->out.capacity > OUT_KEPT_BYTES && connection->out.capacity < FLUSH_BYTES) {
        buf_fini(&connection->out);
    } else {
        buf_reset(&connection->out);
    }
}

void pg__send_if_full(struct pg_connection *connection)
{
    if (connection->out.len >= FLUSH_BYTES) {
        pg__flush(connection);
    }
}

static bool is_stopped(struct pg_connection *connection)
{
    pthread_mutex_lock(&connection->cancel_lock);
    bool is = connection->is_stopped;
    pthread_mutex_unlock(&connection->cancel_lock);
    return is;
}

void pg__error(struct pg_connection *connection, const struct errinfo *info, struct slice statement,
               size_t offset)
{
    struct errinfo ended;
    if (is_stopped(connection) && info->code == ERR_CANCELLED) { /* with it the connection */
        (void)errinfo_set(&ended, ERR_CANCELLED, "57P01",
                          "terminating connection due to administrator command");
        pg__fatal(connection, &ended);
        return;
    }
    if (pg__session_is_over(connection)) { /* so that pools let go of it */
        pg__fatal(connection, info);
        return;
    }
    struct buf *context = &connection->error_context;
    bool has_context = context->len > 0 && !buf_failed(context);
    pg__write_error_in(&connection->out, "ERROR", info, statement, offset,
                       has_context ? buf_cstr(context) : "");
    buf_fini(context);
    buf_init(context);
    pg__fail_transaction(connection);
}

void pg__fatal(struct pg_connection *connection, const struct errinfo *info)
{
    pg__write_error(&connection->out, "FATAL", info, (struct slice){"", 0}, 0);
    pg__flush(connection);
    connection->phase = PHASE_ENDED;
    connection_finish(connection->wire);
}

enum err pg__protocol_violation(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_INVALID, "08P01", "%s", what);
}

/* ---- the loop's questions ---- */

static enum err open_connection(void *context, struct connection *wire, void **ret_state,
                                struct errinfo *info)
{
    struct pg_connection *connection = mem_calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return errinfo_nomem(info);
    }
    connection->server = context;
    connection->wire = wire;
    connection->status = 'I';
    pthread_mutex_init(&connection->cancel_lock, NULL);
    *ret_state = connection;
    return ERR_OK;
}

static void close_connection(void *state)
{
    struct pg_connection *connection = state;
    pg__key_remove(connection);
    pg__copy_in_drop(connection);
    pg__script_free(connection);
    buf_fini(&connection->error_context);
    while (connection->portals != NULL) {
        pg__portal_close(connection, connection->portals);
    }
    while (connection->statements != NULL) {
        pg__statement_drop(connection, connection->statements);
    }
    pg__session_close_all(connection);
    client_close(connection->client);
    password_login_close(connection->login);
    identity_unref(connection->who);
    pg__setting_free(connection);
    arena_free(connection->arena);
    buf_fini(&connection->out);
    pthread_mutex_destroy(&connection->cancel_lock);
    mem_wipe(&connection->key, sizeof(connection->key));
    mem_free(connection);
}

static size_t message_bytes_max(const struct pg_connection *connection)
{
    switch (connection->phase) {
    case PHASE_READY:
        return connection->server->message_bytes_max;
    case PHASE_SASL_INITIAL:
        return connection->offer.oauthbearer ? SECRET_BYTES_MAX : LOGIN_BYTES_MAX;
    case PHASE_OAUTH:
    case PHASE_SECRET:
        return SECRET_BYTES_MAX;
    case PHASE_STARTUP:
    case PHASE_SASL_RESPONSE:
    case PHASE_OAUTH_FAILED:
    case PHASE_ENDED:
        break;
    }
    return LOGIN_BYTES_MAX;
}

static size_t need(void *state, struct slice input)
{
    const struct pg_connection *connection = state;
    if (connection->phase == PHASE_STARTUP) {
        size_t len = input.len < 4 ? 4 : pg__peek32(input.ptr);
        return len < 4 || len > STARTUP_BYTES_MAX ? 1 : len;
    }
    size_t len = input.len < 5 ? 4 : pg__peek32(input.ptr + 1);
    return len < 4 || len > message_bytes_max(connection) ? 1 : len + 1;
}

void pg__stop(void *state)
{
    struct pg_connection *connection = state;
    pthread_mutex_lock(&connection->cancel_lock);
    connection->is_stopped = true;
    if (connection->active != NULL) {
        session_stop(connection->active);
    }
    pthread_mutex_unlock(&connection->cancel_lock);
}

static const struct {
    const char *sqlstate;
    const char *message;
} farewells[] = {
    [FAREWELL_NONE] = {"57P01", "the connection ends"},
    [FAREWELL_FULL] = {"53300", "sorry, too many clients already"},
    [FAREWELL_LOGIN_TIMEOUT] = {"57014", "canceling authentication due to timeout"},
    [FAREWELL_IDLE_TIMEOUT] = {"57P05", "terminating connection due to idle-session timeout"},
    [FAREWELL_IDLE_QUERY] = {"25P03", "terminating connection: its open query took no rows, and "
                                      "another waits for its place"},
    [FAREWELL_MESSAGE_TIMEOUT] = {"08P01", "the rest of a message did not come in time"},
    [FAREWELL_SHUTDOWN] = {"57P01", "terminating connection due to administrator command"},
    [FAREWELL_NO_MEMORY] = {"53200", "the server has no memory for what its clients send"},
};

static void refuse(enum loop_farewell why, struct buf *out)
{
    struct errinfo info;
    errinfo_init(&info);
    (void)errinfo_set(&info, ERR_BUSY, farewells[why].sqlstate, "%s", farewells[why].message);
    pg__write_error(out, "FATAL", &info, (struct slice){"", 0}, 0);
}

static void farewell(void *state, enum loop_farewell why)
{
    struct pg_connection *connection = state;
    if (connection->phase != PHASE_ENDED) { /* else it has heard */
        refuse(why, &connection->out);
        pg__flush(connection);
        connection->phase = PHASE_ENDED;
    }
}

/* ---- messages ---- */

static void fail_extended(struct pg_connection *connection, const struct errinfo *info)
{
    pg__error(connection, info, connection->error_text, 0);
    connection->skips_to_sync = true;
}

void pg__extended_copied(struct pg_connection *connection, enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        connection->error_text = (struct slice){"", 0}; /* it is about the data */
        fail_extended(connection, info);
    }
}

static void sync_up(struct pg_connection *connection)
{
    connection->skips_to_sync = false;
    if (connection->status == 'I') {
        pg__portal_end_transaction(connection, true);
    }
    pg__write_ready(&connection->out, connection->status);
    pg__flush(connection);
}

static void ready_message(struct pg_connection *connection, char type, struct slice body)
{
    struct errinfo info;
    errinfo_init(&info);
    if (connection->copy_in != NULL && type != 'X') {
        pg__copy_in_message(connection, type, body);
        return;
    }
    if (connection->skips_to_sync && type != 'S' && type != 'X') {
        return;
    }
    if (pg__parse_answer(connection, type == 'S' || type == 'H', &info) != ERR_OK && type == 'H') {
        connection->skips_to_sync = true;
        pg__flush(connection);
        return;
    }
    switch (type) {
    case 'Q':
        pg__simple_query(connection, body);
        break;
    case 'S':
        sync_up(connection);
        break;
    case 'H':
        pg__flush(connection);
        break;
    case 'X':
        connection->phase = PHASE_ENDED;
        connection_finish(connection->wire);
        break;
    case 'd':
    case 'c':
    case 'f': /* of a COPY that was refused */
        break;
    case 'F':
        (void)errinfo_set(&info, ERR_UNSUPPORTED, NULL, "function calls are not supported");
        errinfo_hint(&info, "Write SELECT function(...).");
        pg__write_error(&connection->out, "ERROR", &info, (struct slice){"", 0}, 0);
        pg__fail_transaction(connection);
        pg__write_ready(&connection->out, connection->status);
        pg__flush(connection);
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        if (pg__extended(connection, type, body, &info) != ERR_OK) {
            fail_extended(connection, &info);
        }
        break;
    default:
        (void)errinfo_set(&info, ERR_INVALID, "08P01", "invalid frontend message type %u",
                          (unsigned char)type);
        pg__fatal(connection, &info);
    }
    pg__send_if_full(connection);
}

/* One message at the start of `input`; the bytes consumed, 0 if it is not whole. */
static size_t one_message(struct pg_connection *connection, struct slice input)
{
    if (connection->phase == PHASE_STARTUP) {
        return pg__startup(connection, input);
    }
    if (input.len < 5) {
        return 0;
    }
    size_t len = pg__peek32(input.ptr + 1);
    if (len < 4 || len > message_bytes_max(connection)) {
        struct errinfo info;
        errinfo_init(&info);
        (void)errinfo_set(&info, ERR_INVALID, "08P01", "invalid message length");
        if (len >= 4 && connection->phase == PHASE_READY) {
            errinfo_hint(&info, "server.message_bytes_max is the limit.");
        }
        pg__fatal(connection, &info);
        return input.len;
    }
    if (input.len < len + 1) {
        return 0;
    }
    struct slice body = {input.ptr + 5, len - 4};
    if (connection->phase == PHASE_READY) {
        ready_message(connection, input.ptr[0], body);
    } else if (input.ptr[0] == 'p') {
        pg__login_message(connection, body);
    } else {
        struct errinfo info;
        errinfo_init(&info);
        (void)pg__protocol_violation(&info, "expected a SASL response");
        pg__fatal(connection, &info);
    }
    return len + 1;
}

/* For the list of sessions. */
static void tell_state(const struct pg_connection *connection)
{
    if (connection->client != NULL) {
        client_set_state(connection->client,
                         connection->copy_in != NULL ? CLIENT_ACTIVE
                         : connection->status == 'T' ? CLIENT_IDLE_IN_TRANSACTION
                         : connection->status == 'E' ? CLIENT_IDLE_IN_FAILED_TRANSACTION
                                                     : CLIENT_IDLE);
    }
}

static size_t work(void *state, struct slice input)
{
    struct pg_connection *connection = state;
    size_t consumed = 0;
    if (connection->client != NULL) {
        client_set_state(connection->client, CLIENT_ACTIVE);
    }
    while (connection->phase != PHASE_ENDED && !connection->is_broken) {
        size_t one =
            one_message(connection, (struct slice){input.ptr + consumed, input.len - consumed});
        consumed += one;
        if (one == 0) {
            break;
        }
    }
    pg__flush(connection);
    tell_state(connection);
    return connection->phase == PHASE_ENDED || connection->is_broken ? input.len : consumed;
}

const struct loop_protocol pg_protocol = {
    .name = "postgresql",
    .alpn = "postgresql",
    .open = open_connection,
    .need = need,
    .work = work,
    .farewell = farewell,
    .cancel = pg__stop,
    .close = close_connection,
    .refuse = refuse,
};

/* ---- the server ---- */

enum err pg_server_open(const struct pg_server_options *options, struct pg_server **ret_server,
                        struct errinfo *info)
{
    struct pg_server *server = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&server->lock, NULL);
    server->warehouse = options->warehouse;
    server->config = options->config;
    server->is_tls_required = options->is_tls_required;
    server->message_bytes_max =
        (size_t)config_bytes(options->config, CONFIG_SERVER_MESSAGE_BYTES_MAX);
    *ret_server = server;
    return ERR_OK;
}

void pg_server_close(struct pg_server *server)
{
    if (server != NULL) {
        for (size_t i = 0; i < KEY_SLOTS; i++) {
            ASSERT(server->keys[i] == NULL);
        }
        pthread_mutex_destroy(&server->lock);
        mem_free(server);
    }
}
