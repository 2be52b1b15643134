/* The server, and Flight's own methods: what a command is decides which file answers it. */
#include "wire/flight/flight.h"

#include "arrow/ipc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wire/flight/flight_int.h"

#define SERVICE "/arrow.flight.protocol.FlightService/"
#define COMMAND_URL "type.googleapis.com/arrow.flight.protocol.sql."
#define DESCRIPTOR_CMD 2
#define MIND_US 1000000

enum err flight__wrong(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_INVALID, "08P01", "%s", what);
}

/* ---- one call ---- */

enum err flight__begin(struct flight_call *call, struct flight_server *server,
                       struct grpc_call *grpc)
{
    *call = (struct flight_call){.server = server, .grpc = grpc};
    errinfo_init(&call->info);
    call->arena = arena_new(NULL, "flight call", 0);
    return call->arena == NULL ? errinfo_nomem(&call->info) : flight__sign_in(call);
}

void flight__end(struct flight_call *call)
{
    bool is_late;
    if (call->given != NULL && grpc_is_cancelled(call->grpc, &is_late)) {
        flight__run_stop(call->given); /* nobody has heard of its ticket */
        flight__run_forget(call->given);
    }
    flight__run_unref(call->given);
    flight__session_unref(call->session);
    arena_free(call->arena);
}

enum err flight__read_one(struct flight_call *call, struct buf *message)
{
    bool is_end;
    TRY(grpc_read(call->grpc, message, &is_end, &call->info));
    return is_end ? flight__wrong(&call->info, "the request has no message") : ERR_OK;
}

enum err flight__command_read(struct slice any, struct flight_command *ret_command,
                              struct errinfo *info)
{
    struct slice url = {"", 0}, body = {"", 0};
    struct proto_want wants[] = {{1, &url, NULL, NULL}, {2, &body, NULL, NULL}};
    if (!proto_read(any, wants, ARRAY_COUNT(wants)) ||
        !slice_starts_with(url, SLICE(COMMAND_URL))) {
        (void)errinfo_set(info, ERR_INVALID, "08P01", "the command is none of Flight SQL");
        errinfo_hint(info, "Use a driver for Arrow Flight SQL.");
        return ERR_INVALID;
    }
    size_t len = sizeof(COMMAND_URL) - 1;
    *ret_command = (struct flight_command){{url.ptr + len, url.len - len}, body};
    return ERR_OK;
}

/* The command of a FlightDescriptor. */
static enum err read_descriptor(struct flight_call *call, struct slice descriptor,
                                struct slice *ret_any, struct flight_command *ret_command)
{
    uint64_t type = 0;
    *ret_any = SLICE("");
    struct proto_want wants[] = {{1, NULL, &type, NULL}, {2, ret_any, NULL, NULL}};
    if (!proto_read(descriptor, wants, ARRAY_COUNT(wants)) || type != DESCRIPTOR_CMD) {
        return flight__wrong(&call->info, "the descriptor must be a command of Flight SQL");
    }
    return flight__command_read(*ret_any, ret_command, &call->info);
}

static enum err no_command(struct flight_call *call, struct slice name)
{
    return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "the command \"%.*s\" is not there",
                       SLICE_ARGS(name));
}

/* ---- methods ---- */

static enum err info_of(struct flight_call *call, struct slice descriptor, struct buf *out)
{
    struct slice any;
    struct flight_command command;
    TRY(read_descriptor(call, descriptor, &any, &command));
    if (flight__is_query(command.name)) {
        return flight__query_info(call, &command, descriptor, out);
    }
    if (!flight__is_catalog(command.name)) {
        return no_command(call, command.name);
    }
    struct ArrowSchema *schema;
    struct buf ticket CLEANUP(buf_fini) = {0};
    TRY(flight__catalog_schema(call, &command, &schema));
    TRY(flight__ticket_put(call->session, FLIGHT_TICKET_COMMAND, any, &ticket, &call->info));
    struct flight_info info = {
        .schema = schema, .descriptor = descriptor, .ticket = buf_slice(&ticket), .rows = -1};
    return flight__info_put(&info, out, &call->info);
}

static enum err get_flight_info(struct flight_call *call)
{
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    TRY(flight__read_one(call, &request));
    TRY(info_of(call, buf_slice(&request), &out));
    return flight__reply(call, &out);
}

/* All that runs is running: there is one answer, with no descriptor to ask again. */
static enum err poll_flight_info(struct flight_call *call)
{
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf info CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    TRY(flight__read_one(call, &request));
    TRY(info_of(call, buf_slice(&request), &info));
    proto_put_bytes(&out, 1, buf_slice(&info));
    return buf_failed(&out) ? errinfo_nomem(&call->info) : flight__reply(call, &out);
}

static enum err get_schema(struct flight_call *call)
{
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    struct slice any;
    struct flight_command command;
    TRY(flight__read_one(call, &request));
    TRY(read_descriptor(call, buf_slice(&request), &any, &command));
    if (flight__is_query(command.name)) {
        TRY(flight__query_schema(call, &command, &schema));
    } else if (flight__is_catalog(command.name)) {
        struct ArrowSchema *found;
        TRY(flight__catalog_schema(call, &command, &found));
        TRY(ipc_write_schema(found, &schema, &call->info));
    } else {
        return no_command(call, command.name);
    }
    proto_put_bytes(&out, 1, buf_slice(&schema));
    return buf_failed(&out) ? errinfo_nomem(&call->info) : flight__reply(call, &out);
}

static enum err do_get(struct flight_call *call)
{
    struct buf request CLEANUP(buf_fini) = {0};
    struct slice ticket = {"", 0}, what;
    enum flight_ticket_kind kind;
    struct flight_command command;
    TRY(flight__read_one(call, &request));
    struct proto_want wants[] = {{1, &ticket, NULL, NULL}};
    if (!proto_read(buf_slice(&request), wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the request is no ticket");
    }
    TRY(flight__ticket_read(call->session, ticket, &kind, &what, &call->info));
    if (kind == FLIGHT_TICKET_RUN) {
        return flight__get_run(call, what);
    }
    TRY(flight__command_read(what, &command, &call->info));
    return flight__get_catalog(call, &command);
}

static void run_method(void *context, struct grpc_call *grpc,
                       enum err (*method)(struct flight_call *call))
{
    struct flight_call call;
    enum err err = flight__begin(&call, context, grpc);
    err = err != ERR_OK ? err : method(&call);
    flight__finish(&call, err);
    flight__end(&call);
}

static void on_get_flight_info(void *context, struct grpc_call *grpc)
{
    run_method(context, grpc, get_flight_info);
}

static void on_poll_flight_info(void *context, struct grpc_call *grpc)
{
    run_method(context, grpc, poll_flight_info);
}

static void on_get_schema(void *context, struct grpc_call *grpc)
{
    run_method(context, grpc, get_schema);
}

static void on_do_get(void *context, struct grpc_call *grpc)
{
    run_method(context, grpc, do_get);
}

/* Flights are named by commands: none can be listed. */
static enum err list_flights(struct flight_call *call)
{
    struct buf request CLEANUP(buf_fini) = {0};
    return flight__read_one(call, &request);
}

static void on_list_flights(void *context, struct grpc_call *grpc)
{
    run_method(context, grpc, list_flights);
}

/* ---- the server ---- */

static void *run_minder(void *context)
{
    struct flight_server *server = context;
    pthread_mutex_lock(&server->lock);
    while (!server->is_closing) {
        (void)clock_wait(&server->tick, &server->lock, clock_mono_us() + MIND_US);
        pthread_mutex_unlock(&server->lock);
        flight__sessions_mind(server, clock_mono_us());
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static enum err add_methods(struct flight_server *server, struct errinfo *info)
{
    static const struct {
        const char *path;
        grpc_method_fn fn;
    } methods[] = {
        {SERVICE "Handshake", flight__handshake},
        {SERVICE "ListFlights", on_list_flights},
        {SERVICE "GetFlightInfo", on_get_flight_info},
        {SERVICE "PollFlightInfo", on_poll_flight_info},
        {SERVICE "GetSchema", on_get_schema},
        {SERVICE "DoGet", on_do_get},
        {SERVICE "DoPut", flight__do_put},
        {SERVICE "DoAction", flight__do_action},
        {SERVICE "ListActions", flight__list_actions},
    };
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        TRY(grpc_method(server->grpc, methods[i].path, methods[i].fn, server, info));
    }
    return ERR_OK;
}

static enum err start(struct flight_server *server, const struct flight_options *options,
                      struct errinfo *info)
{
    const struct config *config = options->config;
    struct grpc_options grpc = {
        .is_tls_required = options->is_tls_required,
        .message_bytes_max = config_bytes(config, CONFIG_SERVER_MESSAGE_BYTES_MAX),
        .threads_max = (unsigned)config_integer(config, CONFIG_SERVER_THREADS_MAX),
        .message_timeout_ms = config_duration_ms(config, CONFIG_SERVER_MESSAGE_TIMEOUT),
        .close_state = flight__visitor_close,
    };
    if (random_bytes(server->key, sizeof(server->key)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there is no randomness");
    }
    TRY(grpc_server_open(&grpc, &server->grpc, info));
    TRY(add_methods(server, info));
    if (pthread_create(&server->minder, NULL, run_minder, server) != 0) {
        return errinfo_set(info, ERR_IO, "53000", "no thread can be started for sessions");
    }
    server->has_minder = true;
    return ERR_OK;
}

enum err flight_open(const struct flight_options *options, struct flight_server **ret_server,
                     struct errinfo *info)
{
    struct flight_server *server = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    server->warehouse = options->warehouse;
    server->config = options->config;
    server->session_us =
        config_duration_ms(options->config, CONFIG_SERVER_FLIGHT_SESSION_TIMEOUT) * 1000;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->tick, NULL);
    enum err err = start(server, options, info);
    if (err != ERR_OK) {
        flight_close(server);
        return err;
    }
    *ret_server = server;
    return ERR_OK;
}

void flight_close(struct flight_server *server)
{
    if (server == NULL) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    server->is_closing = true;
    pthread_cond_broadcast(&server->tick);
    pthread_mutex_unlock(&server->lock);
    if (server->has_minder) {
        (void)pthread_join(server->minder, NULL);
    }
    grpc_server_close(server->grpc);
    while (server->sessions != NULL) {
        flight__session_end(server->sessions);
    }
    mem_wipe(server->key, sizeof(server->key));
    pthread_cond_destroy(&server->tick);
    pthread_mutex_destroy(&server->lock);
    mem_free(server);
}

struct grpc_server *flight_grpc(struct flight_server *server)
{
    return server->grpc;
}
