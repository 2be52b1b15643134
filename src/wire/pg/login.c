/* The login: SCRAM, then what a client is told at the start. */
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

#define AUTH_OK 0u
#define AUTH_SASL 10u
#define AUTH_SASL_CONTINUE 11u
#define AUTH_SASL_FINAL 12u
#define DATABASE_DEFAULT SLICE("moat")

static void write_auth(struct pg_connection *connection, uint32_t code, struct slice data)
{
    size_t begun = pg__begin(&connection->out, 'R');
    pg__write32(&connection->out, code);
    buf_append_slice(&connection->out, data);
    pg__end(&connection->out, begun);
}

void pg__login_begin(struct pg_connection *connection)
{
    static const char both[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    static const char plain[] = "SCRAM-SHA-256\0";
    bool is_tls = connection_is_tls(connection->wire);
    write_auth(connection, AUTH_SASL,
               is_tls ? (struct slice){both, sizeof(both)} : (struct slice){plain, sizeof(plain)});
    connection->phase = PHASE_SASL_INITIAL;
}

static enum err sasl_initial(struct pg_connection *connection, struct slice body,
                             struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice mechanism = pg__read_text(&reader);
    uint32_t len = pg__read32(&reader);
    struct slice message = pg__read_bytes(&reader, len);
    if (reader.failed || reader.rest.len > 0) {
        return pg__protocol_violation(info, "malformed SASL initial response");
    }
    bool is_plus = slice_equal(mechanism, SLICE("SCRAM-SHA-256-PLUS"));
    bool is_tls = connection_is_tls(connection->wire);
    if ((!is_plus && !slice_equal(mechanism, SLICE("SCRAM-SHA-256"))) || (is_plus && !is_tls)) {
        return pg__protocol_violation(info,
                                      "client selected an invalid SASL authentication mechanism");
    }
    uint8_t endpoint[CONNECTION_ENDPOINT_BYTES_MAX];
    size_t endpoint_len = connection_endpoint(connection->wire, endpoint);
    int application = pg__setting_find(SLICE("application_name"));
    char *client = arena_printf(connection->arena, "%s %s", connection_peer(connection->wire),
                                pg__setting_value(connection, application));
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    struct password_request request = {.user = connection->user,
                                       .address = connection_address(connection->wire),
                                       .client = slice_trim(slice_of(client)),
                                       .endpoint = {(const char *)endpoint, endpoint_len},
                                       .is_plus = is_plus};
    TRY(password_login_open(connection->server->warehouse, &request, &connection->login, info));
    struct buf challenge CLEANUP(buf_fini) = {0};
    TRY(password_login_first(connection->login, message, &challenge, info));
    write_auth(connection, AUTH_SASL_CONTINUE, buf_slice(&challenge));
    connection->phase = PHASE_SASL_RESPONSE;
    return ERR_OK;
}

/* The database is a catalog: Moat's own, or one that is attached. Clients that name none name the
 * user: then the default will do. */
static enum err choose_database(struct pg_connection *connection, struct errinfo *info)
{
    struct slice name = connection->database;
    if (name.len == 0 || slice_equal_fold(name, DATABASE_DEFAULT)) {
        return ERR_OK;
    }
    struct buf use CLEANUP(buf_fini) = {0};
    buf_append_str(&use, "USE ");
    sql_quote_name(&use, name);
    if (buf_failed(&use)) {
        return errinfo_nomem(info);
    }
    enum err err = pg__session_run(connection, buf_slice(&use), info);
    if (err == ERR_OK || slice_equal(name, connection->user)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "database \"%.*s\" does not exist",
                      SLICE_ARGS(name));
    errinfo_hint(info, "Connect to \"moat\", or to an attached catalog with one schema.");
    return ERR_NOT_FOUND;
}

static enum err welcome(struct pg_connection *connection, struct errinfo *info)
{
    TRY(choose_database(connection, info));
    TRY(pg__setting_apply(connection, info));
    TRY(pg__key_add(connection, info));
    write_auth(connection, AUTH_OK, (struct slice){"", 0});
    pg__setting_report_all(connection);
    size_t begun = pg__begin(&connection->out, 'K');
    pg__write32(&connection->out, connection->key.process_id);
    buf_append(&connection->out, connection->key.secret, connection->key.secret_len);
    pg__end(&connection->out, begun);
    pg__write_ready(&connection->out, 'I');
    return ERR_OK;
}

static enum err sasl_response(struct pg_connection *connection, struct slice body,
                              struct errinfo *info)
{
    struct buf proof CLEANUP(buf_fini) = {0};
    TRY(password_login_final(connection->login, body, &proof, &connection->who, info));
    password_login_close(TAKE(connection->login));
    write_auth(connection, AUTH_SASL_FINAL, buf_slice(&proof));
    connection->phase = PHASE_READY;
    TRY(welcome(connection, info));
    connection_ready(connection->wire);
    return ERR_OK;
}

void pg__login_message(struct pg_connection *connection, struct slice body)
{
    struct errinfo info;
    errinfo_init(&info);
    bool is_first = connection->phase == PHASE_SASL_INITIAL;
    enum err err =
        is_first ? sasl_initial(connection, body, &info) : sasl_response(connection, body, &info);
    if (err != ERR_OK) {
        password_login_close(TAKE(connection->login));
        pg__fatal(connection, &info);
    }
}
