/* The login: what a client is asked for (docs/decisions/007), its answer, and what it is told at
 * the start. */
#include "base/mem.h"
#include "query/login.h"
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

#define AUTH_OK 0u
#define AUTH_CLEARTEXT 3u
#define AUTH_SASL 10u
#define AUTH_SASL_CONTINUE 11u
#define AUTH_SASL_FINAL 12u
#define DATABASE_DEFAULT SLICE("moat")
#define NO_RESPONSE UINT32_MAX /* length of an initial response that is still to come */

static void write_auth(struct pg_connection *connection, uint32_t code, struct slice data)
{
    size_t begun = pg__begin(&connection->out, 'R');
    pg_put32(&connection->out, code);
    buf_append_slice(&connection->out, data);
    pg__end(&connection->out, begun);
}

/* Address and program, for the trail. */
static enum err client_of(struct pg_connection *connection, struct slice *ret_client,
                          struct errinfo *info)
{
    int application = pg__setting_find(SLICE("application_name"));
    char *client = arena_printf(connection->arena, "%s %s", connection_peer(connection->wire),
                                pg__setting_value(connection, application));
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    *ret_client = slice_trim(slice_of(client));
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
    errinfo_hint(info, "Connect to \"moat\", or to an attached catalog by its name.");
    return ERR_NOT_FOUND;
}

/* Who they are is not what they said: case, or the name that a provider knows them by. */
static enum err keep_name(struct pg_connection *connection, struct errinfo *info)
{
    return arena_slice(connection->arena, identity_subject(connection->who), &connection->subject)
               ? ERR_OK
               : errinfo_nomem(info);
}

static void stop_statement(void *context)
{
    struct pg_connection *connection = context;
    pthread_mutex_lock(&connection->cancel_lock);
    if (connection->active != NULL) {
        session_cancel(connection->active);
    }
    pthread_mutex_unlock(&connection->cancel_lock);
}

static void stop_connection(void *context, enum client_end why)
{
    struct pg_connection *connection = context;
    pg__stop(connection);
    connection_end(connection->wire,
                   why == CLIENT_END_IDLE ? FAREWELL_IDLE_QUERY : FAREWELL_SHUTDOWN);
}

static enum err be_listed(struct pg_connection *connection, struct errinfo *info)
{
    int application = pg__setting_find(SLICE("application_name"));
    struct client_spec spec = {
        .protocol = "postgresql",
        .who = connection->who,
        .address = slice_of(connection_peer(connection->wire)),
        .application = slice_of(pg__setting_value(connection, application)),
        .context = connection,
        .cancel = stop_statement,
        .terminate = stop_connection,
        .list_cursors = pg__cursors_list,
        .print_settings = pg__settings_print,
    };
    return client_open(connection->server->warehouse, &spec, &connection->client, info);
}

static enum err welcome(struct pg_connection *connection, struct errinfo *info)
{
    TRY(keep_name(connection, info));
    TRY(be_listed(connection, info));
    TRY(choose_database(connection, info));
    TRY(pg__setting_apply(connection, info));
    TRY(pg__key_add(connection, info));
    write_auth(connection, AUTH_OK, (struct slice){"", 0});
    pg__setting_report_all(connection);
    size_t begun = pg__begin(&connection->out, 'K');
    pg_put32(&connection->out, connection->key.process_id);
    buf_append(&connection->out, connection->key.secret, connection->key.secret_len);
    pg__end(&connection->out, begun);
    pg__write_ready(&connection->out, 'I');
    return ERR_OK;
}

/* ---- whole credentials ---- */

/* `who` is the connection's. */
static enum err log_in(struct pg_connection *connection, enum credential_kind kind,
                       struct slice secret, struct slice certificate, struct errinfo *info)
{
    struct slice client;
    TRY(client_of(connection, &client, info));
    struct credential credential = {.kind = kind,
                                    .user = connection->user,
                                    .secret = secret,
                                    .certificate = certificate,
                                    .address = connection_address(connection->wire)};
    TRY(warehouse_login_credential(connection->server->warehouse, &credential, client,
                                   &connection->who, info));
    connection->phase = PHASE_READY;
    TRY(welcome(connection, info));
    connection_ready(connection->wire);
    return ERR_OK;
}

/* Once it has been looked at, nobody finds it in a buffer. */
static void wipe(struct slice secret)
{
    if (secret.len > 0) {
        mem_wipe((void *)(uintptr_t)secret.ptr, secret.len);
    }
}

static enum err secret_message(struct pg_connection *connection, struct slice body,
                               struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice secret = pg__read_text(&reader);
    if (reader.failed || reader.rest.len > 0) {
        return pg__protocol_violation(info, "invalid password packet size");
    }
    enum err err = log_in(connection, CREDENTIAL_PASSWORD, secret, (struct slice){0}, info);
    wipe(body);
    return err;
}

/* ---- SASL ---- */

/* What was wrong is said after the client has heard where tokens come from (RFC 7628, 3.2.3). */
static enum err oauth_failed(struct pg_connection *connection, const struct errinfo *why,
                             struct errinfo *info)
{
    struct buf answer CLEANUP(buf_fini) = {0};
    TRY(warehouse_login_discovery(connection->server->warehouse, &answer, info));
    connection->refusal = arena_calloc(connection->arena, 1, sizeof(*connection->refusal));
    if (connection->refusal == NULL) {
        return errinfo_nomem(info);
    }
    *connection->refusal = *why;
    write_auth(connection, AUTH_SASL_CONTINUE, buf_slice(&answer));
    connection->phase = PHASE_OAUTH_FAILED;
    return ERR_OK;
}

/* An empty token asks where to get one, and is no try. */
static enum err oauth_message(struct pg_connection *connection, struct slice message,
                              struct errinfo *info)
{
    struct oauthbearer response;
    struct errinfo why;
    errinfo_init(&why);
    enum err err = oauthbearer_parse(message, connection->arena, &response, info);
    if (err == ERR_OK && response.token.len == 0) {
        err = ERR_DENIED;
        (void)errinfo_set(&why, ERR_DENIED, "28000", "there is no token");
    } else { /* also what is malformed: it is counted and audited there */
        err = log_in(connection, CREDENTIAL_OAUTHBEARER, message, (struct slice){0}, &why);
    }
    wipe(message);
    if (err == ERR_DENIED && connection->who == NULL) {
        return oauth_failed(connection, &why, info);
    }
    if (err != ERR_OK) {
        *info = why;
    }
    return err;
}

static enum err scram_first(struct pg_connection *connection, struct slice message, bool is_plus,
                            struct errinfo *info)
{
    uint8_t endpoint[CONNECTION_ENDPOINT_BYTES_MAX];
    size_t endpoint_len = connection_endpoint(connection->wire, endpoint);
    struct slice client;
    TRY(client_of(connection, &client, info));
    struct password_request request = {.user = connection->user,
                                       .address = connection_address(connection->wire),
                                       .client = client,
                                       .endpoint = {(const char *)endpoint, endpoint_len},
                                       .is_plus = is_plus};
    TRY(password_login_open(connection->server->warehouse, &request, &connection->login, info));
    struct buf challenge CLEANUP(buf_fini) = {0};
    TRY(password_login_first(connection->login, message, &challenge, info));
    write_auth(connection, AUTH_SASL_CONTINUE, buf_slice(&challenge));
    connection->phase = PHASE_SASL_RESPONSE;
    return ERR_OK;
}

static enum err sasl_initial(struct pg_connection *connection, struct slice body,
                             struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    const struct login_offer *offer = &connection->offer;
    struct slice mechanism = pg__read_text(&reader);
    uint32_t len = pg__read32(&reader);
    struct slice message =
        len == NO_RESPONSE ? (struct slice){"", 0} : pg__read_bytes(&reader, len);
    if (reader.failed || reader.rest.len > 0) {
        return pg__protocol_violation(info, "malformed SASL initial response");
    }
    bool is_plus = slice_equal(mechanism, SLICE("SCRAM-SHA-256-PLUS"));
    bool is_scram = is_plus || slice_equal(mechanism, SLICE("SCRAM-SHA-256"));
    bool is_oauth = slice_equal(mechanism, SLICE("OAUTHBEARER"));
    bool is_offered = (is_scram && offer->scram) || (is_oauth && offer->oauthbearer);
    if (!is_offered || (is_plus && !connection_is_tls(connection->wire))) {
        return pg__protocol_violation(info,
                                      "client selected an invalid SASL authentication mechanism");
    }
    if (is_scram) {
        return scram_first(connection, message, is_plus, info);
    }
    if (len == NO_RESPONSE) {
        write_auth(connection, AUTH_SASL_CONTINUE, (struct slice){"", 0});
        connection->phase = PHASE_OAUTH;
        return ERR_OK;
    }
    return oauth_message(connection, message, info);
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

/* ---- the question ---- */

static bool is_private(const struct pg_connection *connection)
{
    struct slice address = connection_address(connection->wire);
    bool is_loopback =
        slice_starts_with(address, SLICE("127.")) || slice_equal(address, SLICE("::1"));
    return connection_is_tls(connection->wire) ||
           (is_loopback && config_bool(connection->server->config, CONFIG_LOGIN_INSECURE_LOOPBACK));
}

static void offer_mechanisms(struct pg_connection *connection)
{
    struct buf names CLEANUP(buf_fini) = {0};
    if (connection->offer.scram && connection_is_tls(connection->wire)) {
        pg__write_text(&names, SLICE("SCRAM-SHA-256-PLUS"));
    }
    if (connection->offer.scram) {
        pg__write_text(&names, SLICE("SCRAM-SHA-256"));
    }
    if (connection->offer.oauthbearer) {
        pg__write_text(&names, SLICE("OAUTHBEARER"));
    }
    buf_append_char(&names, '\0');
    connection->out.failed = connection->out.failed || buf_failed(&names);
    write_auth(connection, AUTH_SASL, buf_slice(&names));
    connection->phase = PHASE_SASL_INITIAL;
}

enum err pg__login_begin(struct pg_connection *connection, struct errinfo *info)
{
    struct slice certificate, client;
    TRY(connection_certificate(connection->wire, &certificate, info));
    TRY(client_of(connection, &client, info));
    struct login_hello hello = {.user = connection->user,
                                .wish = connection->wish,
                                .is_private = is_private(connection),
                                .has_certificate = certificate.len > 0};
    TRY(warehouse_login_offer(connection->server->warehouse, &hello,
                              connection_address(connection->wire), client, &connection->offer,
                              info));
    if (connection->offer.certificate) {
        return log_in(connection, CREDENTIAL_CERTIFICATE, (struct slice){"", 0}, certificate, info);
    }
    if (connection->offer.secret) {
        write_auth(connection, AUTH_CLEARTEXT, (struct slice){"", 0});
        connection->phase = PHASE_SECRET;
    } else {
        offer_mechanisms(connection);
    }
    return ERR_OK;
}

static enum err answer(struct pg_connection *connection, struct slice body, struct errinfo *info)
{
    switch (connection->phase) {
    case PHASE_SASL_INITIAL:
        return sasl_initial(connection, body, info);
    case PHASE_SASL_RESPONSE:
        return sasl_response(connection, body, info);
    case PHASE_OAUTH:
        return oauth_message(connection, body, info);
    case PHASE_OAUTH_FAILED:
        *info = *connection->refusal;
        return ERR_DENIED;
    case PHASE_SECRET:
        return secret_message(connection, body, info);
    case PHASE_STARTUP:
    case PHASE_READY:
    case PHASE_ENDED:
        break;
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

void pg__login_message(struct pg_connection *connection, struct slice body)
{
    struct errinfo info;
    errinfo_init(&info);
    if (answer(connection, body, &info) != ERR_OK) {
        password_login_close(TAKE(connection->login));
        pg__fatal(connection, &info);
    }
}
