/* Arrow Flight SQL: GetFlightInfo begins a statement, DoGet takes its rows, DoPut changes.
 *
 * HTTP/2 is libcurl's, which the other door has already, with its TLS, its connections and its
 * waiting; nghttp2 below it would want a second event loop here. A call of gRPC is a request whose
 * status comes behind its body. */
#include "arrow/ipc.h"
#include "arrow/ipc_read.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/proto.h"
#include "remote/flight_reply.h"
#include "remote/transfer.h"

#define SERVICE "/arrow.flight.protocol.FlightService/"
#define COMMAND_URL "type.googleapis.com/arrow.flight.protocol.sql."
#define SHORT_MS 30000   /* what asks for no rows */
#define FAREWELL_MS 2000 /* what tidies up */
#define ANSWER_BYTES_MAX (64u << 20)
#define STATUS_BYTES_MAX 65536u
#define DESCRIPTOR_CMD 2
#define MIN(a, b) ((a) < (b) ? (a) : (b))

struct flight {
    CURLM *multi;
    CURL *easy;       /* of statements */
    CURL *easy_aside; /* of what tidies up while a statement's is in use */
    char *base;       /* https://host:port */
    char *user;       /* NULL: a token */
    struct secret secret;
    struct secret session; /* the token that Handshake gave; NULL: none */
    struct buf transaction;
};

/* One call of gRPC. */
struct call {
    struct transfer transfer;
    struct flight *flight;
    bool has_answer;
    int status; /* -1: it has not come */
    struct buf text;
    char sqlstate[6];
    char tag[64];
    struct buf notice;
    struct secret *session; /* where a token goes that the answer's head has; NULL: nowhere */
};

struct rows {
    struct arena *arena;
    struct buf info; /* FlightInfo */
    struct flight_endpoint *endpoints;
    size_t endpoint_count, next_endpoint;
    struct call call;
    bool is_reading;             /* DoGet is under way */
    struct ipc_reader **readers; /* of each endpoint: batches need theirs to the end */
};

/* ---- calls ---- */

static bool take_field(struct slice line, struct slice name, struct slice *ret_value)
{
    if (!slice_starts_with_fold(line, name)) {
        return false;
    }
    *ret_value = slice_trim((struct slice){line.ptr + name.len, line.len - name.len});
    return true;
}

static void on_header(void *context, struct slice line)
{
    struct call *call = context;
    struct slice value;
    uint64_t number;
    if (take_field(line, SLICE("grpc-status:"), &value)) {
        call->status = slice_to_u64(value, &number) && number <= INT32_MAX ? (int)number : 2;
    } else if (take_field(line, SLICE("grpc-message:"), &value)) {
        buf_reset(&call->text);
        flight_decode((struct slice){value.ptr, MIN(value.len, STATUS_BYTES_MAX)}, &call->text);
    } else if (take_field(line, SLICE("moat-sqlstate:"), &value)) {
        (void)snprintf(call->sqlstate, sizeof(call->sqlstate), "%.*s", SLICE_ARGS(value));
    } else if (take_field(line, SLICE("moat-tag:"), &value)) {
        (void)snprintf(call->tag, sizeof(call->tag), "%.*s", SLICE_ARGS(value));
    } else if (take_field(line, SLICE("moat-notice:"), &value)) {
        buf_reset(&call->notice);
        flight_decode((struct slice){value.ptr, MIN(value.len, STATUS_BYTES_MAX)}, &call->notice);
    } else if (call->session != NULL && take_field(line, SLICE("authorization:"), &value) &&
               slice_starts_with_fold(value, SLICE("Bearer "))) {
        struct secret token = {0};
        struct slice rest = slice_trim((struct slice){value.ptr + 7, value.len - 7});
        if (secret_copy(rest, &token)) {
            secret_replace(call->session, &token);
        }
    }
}

static void call_fini(struct call *call)
{
    transfer_fini(&call->transfer);
    buf_fini(&call->text);
    buf_fini(&call->notice);
}

/* `timeout_ms` 0: none. */
static enum err call_begin(struct remote *remote, struct call *call, const char *method,
                           struct slice message, int64_t timeout_ms, struct errinfo *info)
{
    struct flight *flight = remote->state;
    struct transfer *transfer = &call->transfer;
    char url[1024], timeout[64];
    bool is_aside = transfer->is_deaf;
    transfer->remote = remote;
    transfer->multi = flight->multi;
    transfer->easy = is_aside ? flight->easy_aside : flight->easy;
    transfer->on_header = on_header;
    transfer->context = call;
    call->flight = flight;
    call->status = -1;
    (void)snprintf(url, sizeof(url), "%s" SERVICE "%s", flight->base, method);
    bool has_all = transfer_add_header(transfer, "Content-Type: application/grpc") &&
                   transfer_add_header(transfer, "TE: trailers") &&
                   transfer_add_header(transfer, "grpc-accept-encoding: identity") &&
                   transfer_add_header(transfer, "Accept:");
    if (timeout_ms > 0) {
        (void)snprintf(timeout, sizeof(timeout), "grpc-timeout: %lldm", (long long)timeout_ms);
        has_all = has_all && transfer_add_header(transfer, timeout);
        transfer->deadline_us = clock_mono_us() + timeout_ms * 1000;
    }
    if (!has_all) {
        return errinfo_nomem(info);
    }
    bool has_session = flight->session.ptr != NULL && call->session == NULL;
    const struct transfer_sign_in sign_in = {
        has_session ? NULL : flight->user,
        has_session ? flight->session.ptr : flight->secret.ptr,
    };
    buf_append_slice(&transfer->body, message);
    long version = remote->address->is_tls ? (long)CURL_HTTP_VERSION_2TLS
                                           : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    return transfer_begin(transfer, url, version, &sign_in, info);
}

static enum err no_grpc(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_IO, "08P01", "the server does not speak gRPC");
    errinfo_hint(info, "Is it a server of Arrow Flight SQL, and the port that of "
                       "server.flight_port?");
    return ERR_IO;
}

/* What the head of the answer says. */
static enum err check_head(const struct call *call, struct errinfo *info)
{
    long version = 0;
    const char *type = NULL;
    const struct transfer *transfer = &call->transfer;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    bool is_grpc = transfer_status(transfer) == 200 && version == CURL_HTTP_VERSION_2_0 &&
                   type != NULL &&
                   slice_starts_with_fold(slice_of(type), SLICE("application/grpc"));
    return is_grpc ? ERR_OK : no_grpc(info);
}

/* How it ended, once nothing more comes that anybody reads. */
static enum err call_end(struct call *call, size_t statement_len, struct errinfo *info)
{
    struct transfer *transfer = &call->transfer;
    size_t unread = 0;
    while (!transfer->is_done && unread < ANSWER_BYTES_MAX) {
        transfer->in.len = transfer->in_at = 0;
        TRY(transfer_pump(transfer, info));
        unread += transfer->in.len;
    }
    if (!transfer->is_done) {
        return errinfo_set(info, ERR_LIMIT, NULL, "the server's answer does not end");
    }
    TRY(check_head(call, info));
    if (call->status == 0) {
        return ERR_OK;
    }
    if (call->status < 0) {
        return errinfo_set(info, ERR_IO, "08006", "the server's answer ended before its status");
    }
    return flight_error(call->status, call->sqlstate, buf_slice(&call->text), statement_len, info);
}

/* The next message, a view that is good until the next call; `ret_is_end`: there is none. */
static enum err call_next(struct call *call, uint64_t bytes_max, struct slice *ret_message,
                          bool *ret_is_end, struct errinfo *info)
{
    struct transfer *transfer = &call->transfer;
    uint64_t len;
    TRY(transfer_want(transfer, FLIGHT_PREFIX_BYTES, info));
    struct slice in = transfer_unread(transfer);
    *ret_is_end = in.len == 0;
    if (in.len == 0) {
        return ERR_OK;
    }
    TRY(check_head(call, info));
    if (in.len < FLIGHT_PREFIX_BYTES) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer ends within a message");
    }
    TRY(flight_frame(in.ptr, &len, info));
    if (len > bytes_max) {
        return errinfo_set(info, ERR_LIMIT, NULL,
                           "a message of the server has %llu bytes, and may have %llu",
                           (unsigned long long)len, (unsigned long long)bytes_max);
    }
    TRY(transfer_want(transfer, len + FLIGHT_PREFIX_BYTES, info));
    in = transfer_unread(transfer);
    if (in.len < len + FLIGHT_PREFIX_BYTES) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer ends within a message");
    }
    *ret_message = (struct slice){in.ptr + FLIGHT_PREFIX_BYTES, (size_t)len};
    transfer_take(transfer, (size_t)len + FLIGHT_PREFIX_BYTES);
    return ERR_OK;
}

/* One message there, its answer's first back. `call->has_answer`: one came. */
static enum err ask(struct remote *remote, struct call *call, const char *method,
                    struct slice message, int64_t timeout_ms, size_t statement_len,
                    struct buf *answer, struct errinfo *info)
{
    struct buf framed CLEANUP(buf_fini) = {0};
    struct slice first;
    bool is_end;
    flight_frame_put(&framed, message);
    if (buf_failed(&framed)) {
        return errinfo_nomem(info);
    }
    TRY(call_begin(remote, call, method, buf_slice(&framed), timeout_ms, info));
    TRY(call_next(call, ANSWER_BYTES_MAX, &first, &is_end, info));
    call->has_answer = !is_end;
    if (!is_end) {
        buf_append_slice(answer, first);
    }
    TRY(call_end(call, statement_len, info));
    return buf_failed(answer) ? errinfo_nomem(info) : ERR_OK;
}

static void put_any(struct buf *out, const char *name, struct slice body)
{
    struct buf url CLEANUP(buf_fini) = {0};
    buf_printf(&url, COMMAND_URL "%s", name);
    proto_put_bytes(out, 1, buf_slice(&url));
    proto_put_bytes(out, 2, body);
    out->failed = out->failed || buf_failed(&url);
}

struct action {
    const char *name;
    const char *request; /* in an Any of that name; NULL: as it is */
    struct slice body;
    int64_t timeout_ms;
    bool is_deaf; /* cancels do not end it */
};

static enum err act(struct remote *remote, const struct action *action, struct buf *answer,
                    struct errinfo *info)
{
    struct call call CLEANUP(call_fini) = {.transfer = {.is_deaf = action->is_deaf}};
    struct buf any CLEANUP(buf_fini) = {0};
    struct buf message CLEANUP(buf_fini) = {0};
    if (action->request != NULL) {
        put_any(&any, action->request, action->body);
    }
    proto_put_bytes(&message, 1, slice_of(action->name));
    proto_put_bytes(&message, 2, action->request != NULL ? buf_slice(&any) : action->body);
    if (buf_failed(&any) || buf_failed(&message)) {
        return errinfo_nomem(info);
    }
    return ask(remote, &call, "DoAction", buf_slice(&message), action->timeout_ms, 0, answer, info);
}

/* ---- the connection ---- */

static void flight_close(struct remote *remote)
{
    struct flight *flight = remote->state;
    if (flight->session.ptr != NULL) {
        struct buf ignored CLEANUP(buf_fini) = {0};
        struct errinfo unheard;
        const struct action close = {
            .name = "CloseSession", .body = SLICE(""), .timeout_ms = FAREWELL_MS, .is_deaf = true};
        enum err err = act(remote, &close, &ignored, &unheard); /* if not, it ends by its time */
        (void)err;
    }
    if (flight->easy != NULL) {
        curl_easy_cleanup(flight->easy);
    }
    if (flight->easy_aside != NULL) {
        curl_easy_cleanup(flight->easy_aside);
    }
    if (flight->multi != NULL) {
        (void)curl_multi_cleanup(flight->multi);
    }
    secret_fini(&flight->secret);
    secret_fini(&flight->session);
    buf_fini(&flight->transaction);
    mem_free(flight->user);
    mem_free(flight->base);
    mem_free(flight);
}

static enum err open_handles(struct flight *flight, const struct remote_options *options,
                             struct errinfo *info)
{
    const struct remote_address *address = options->address;
    struct buf base CLEANUP(buf_fini) = {0};
    bool is_v6 = strchr(address->host, ':') != NULL;
    buf_printf(&base, "%s://%s%s%s:%u", address->is_tls ? "https" : "http", is_v6 ? "[" : "",
               address->host, is_v6 ? "]" : "", address->port);
    flight->base = buf_take(&base);
    flight->user = options->is_token ? NULL : mem_slicedup(options->user);
    flight->multi = curl_multi_init();
    flight->easy = curl_easy_init();
    flight->easy_aside = curl_easy_init();
    bool has_all = flight->base != NULL && flight->multi != NULL && flight->easy != NULL &&
                   flight->easy_aside != NULL && (options->is_token || flight->user != NULL) &&
                   secret_copy(options->secret, &flight->secret);
    return has_all ? ERR_OK : errinfo_nomem(info);
}

/* What proves who asks becomes a token of this server, which names a session, whatever connection a
 * call is on. Where there is no Handshake, each call has the proof itself; where it wants a
 * password, a token is still good for calls. */
static enum err shake_hands(struct remote *remote, struct errinfo *info)
{
    struct flight *flight = remote->state;
    struct secret token CLEANUP(secret_fini) = {0};
    struct call call CLEANUP(call_fini) = {.session = &token};
    struct slice message;
    bool is_end;
    TRY(call_begin(remote, &call, "Handshake", SLICE(""), SHORT_MS, info));
    TRY(call_next(&call, ANSWER_BYTES_MAX, &message, &is_end, info));
    enum err err = call_end(&call, 0, info);
    bool is_optional = call.status == 12 || (flight->user == NULL && call.status == 16);
    if (err != ERR_OK) {
        return is_optional ? ERR_OK : err;
    }
    if (token.ptr != NULL) {
        secret_replace(&flight->session, &token);
    }
    return ERR_OK;
}

/* SessionOptionValue { string_value = 1 } in a map's entry. */
static void put_option(struct buf *out, const char *name, const char *value)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf entry CLEANUP(buf_fini) = {0};
    proto_put_bytes(&text, 1, slice_of(value));
    proto_put_bytes(&entry, 1, slice_of(name));
    proto_put_bytes(&entry, 2, buf_slice(&text));
    proto_put_bytes(out, 1, buf_slice(&entry));
    out->failed = out->failed || buf_failed(&text) || buf_failed(&entry);
}

static enum err choose_schema(struct remote *remote, struct errinfo *info)
{
    const struct remote_address *address = remote->address;
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf answer CLEANUP(buf_fini) = {0};
    struct slice result;
    if (address->catalog == NULL) {
        return ERR_OK;
    }
    put_option(&request, "catalog", address->catalog);
    if (address->schema != NULL) {
        put_option(&request, "schema", address->schema);
    }
    if (buf_failed(&request)) {
        return errinfo_nomem(info);
    }
    const struct action set = {
        .name = "SetSessionOptions", .body = buf_slice(&request), .timeout_ms = SHORT_MS};
    TRY(act(remote, &set, &answer, info));
    TRY(flight_result(buf_slice(&answer), false, &result, info));
    struct slice refused = {"", 0};
    const struct proto_want wants[] = {{1, &refused, NULL, NULL}};
    if (!proto_read(result, wants, 1) || refused.len > 0) {
        return errinfo_set(info, ERR_NOT_FOUND, "3D000",
                           "the server takes neither that catalog nor that schema: \"%s\"",
                           address->catalog);
    }
    return ERR_OK;
}

static enum err flight_open(struct remote *remote, const struct remote_options *options,
                            struct errinfo *info)
{
    struct flight *flight = mem_calloc(1, sizeof(*flight));
    if (flight == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(flight);
        return errinfo_nomem(info);
    }
    remote->state = flight;
    TRY(open_handles(flight, options, info));
    if (!options->is_session) {
        TRY(shake_hands(remote, info));
    }
    return choose_schema(remote, info);
}

/* ---- a statement ---- */

static void put_statement(struct buf *out, const struct flight *flight,
                          const struct remote_answer *answer)
{
    proto_put_bytes(out, 1, (struct slice){answer->statement, answer->statement_len});
    if (flight->transaction.len > 0) {
        proto_put_bytes(out, 2, buf_slice(&flight->transaction));
    }
}

/* A FlightDescriptor of the statement as a command of that name. */
static enum err put_descriptor(struct buf *out, const struct flight *flight, const char *command,
                               const struct remote_answer *answer, struct errinfo *info)
{
    struct buf body CLEANUP(buf_fini) = {0};
    struct buf any CLEANUP(buf_fini) = {0};
    put_statement(&body, flight, answer);
    put_any(&any, command, buf_slice(&body));
    proto_put_varint(out, 1, DESCRIPTOR_CMD);
    proto_put_bytes(out, 2, buf_slice(&any));
    return buf_failed(&body) || buf_failed(&any) || buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static void take_words(struct remote_answer *answer, const struct call *call)
{
    if (call->tag[0] != '\0') {
        (void)snprintf(answer->tag, sizeof(answer->tag), "%s", call->tag);
    }
    if (call->notice.len > 0) {
        (void)snprintf(answer->notice, sizeof(answer->notice), "%s", buf_cstr(&call->notice));
    }
}

static int64_t time_of(const struct remote *remote)
{
    return (int64_t)remote->address->timeout_s * 1000;
}

static enum err query(struct remote *remote, struct remote_answer *answer, struct errinfo *info)
{
    struct rows *rows = answer->state;
    struct call call CLEANUP(call_fini) = {.status = -1};
    struct buf descriptor CLEANUP(buf_fini) = {0};
    TRY(put_descriptor(&descriptor, remote->state, "CommandStatementQuery", answer, info));
    TRY(ask(remote, &call, "GetFlightInfo", buf_slice(&descriptor), time_of(remote),
            answer->statement_len, &rows->info, info));
    if (!call.has_answer) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer has no FlightInfo");
    }
    take_words(answer, &call);
    TRY(flight_info(buf_slice(&rows->info), remote->address, rows->arena, &rows->endpoints,
                    &rows->endpoint_count, info));
    rows->readers = arena_calloc(rows->arena, rows->endpoint_count + 1, sizeof(void *));
    return rows->readers == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err update(struct remote *remote, struct remote_answer *answer, struct slice word,
                       struct errinfo *info)
{
    static const struct ArrowSchema none = {.format = "+s", .name = ""};
    struct call call CLEANUP(call_fini) = {.status = -1};
    struct buf descriptor CLEANUP(buf_fini) = {0};
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf message CLEANUP(buf_fini) = {0};
    struct buf got CLEANUP(buf_fini) = {0};
    struct slice result = {"", 0};
    uint64_t count = 0;
    TRY(put_descriptor(&descriptor, remote->state, "CommandStatementUpdate", answer, info));
    TRY(ipc_write_schema(&none, &schema, info));
    proto_put_bytes(&message, 1, buf_slice(&descriptor));
    proto_put_bytes(&message, 2,
                    (struct slice){schema.ptr + IPC_PREFIX_BYTES, schema.len - IPC_PREFIX_BYTES});
    if (buf_failed(&message)) {
        return errinfo_nomem(info);
    }
    TRY(ask(remote, &call, "DoPut", buf_slice(&message), time_of(remote), answer->statement_len,
            &got, info));
    const struct proto_want outer[] = {{1, &result, NULL, NULL}};
    const struct proto_want inner[] = {{1, NULL, &count, NULL}};
    if (!proto_read(buf_slice(&got), outer, 1) || !proto_read(result, inner, 1)) {
        return errinfo_set(info, ERR_IO, "08P01",
                           "the server's answer to a change is not as Flight SQL has it");
    }
    for (size_t i = 0; i < word.len && i + 1 < sizeof(answer->tag); i++) {
        answer->tag[i] = (char)(word.ptr[i] & ~0x20);
    }
    if (count > 0 && count <= INT64_MAX) {
        size_t len = strlen(answer->tag);
        (void)snprintf(answer->tag + len, sizeof(answer->tag) - len, " %llu",
                       (unsigned long long)count);
    }
    take_words(answer, &call);
    answer->is_over = true;
    return ERR_OK;
}

static enum err begin_transaction(struct remote *remote, struct remote_answer *answer,
                                  struct errinfo *info)
{
    struct flight *flight = remote->state;
    struct buf got CLEANUP(buf_fini) = {0};
    struct slice result, id = {"", 0};
    const struct action begin = {.name = "BeginTransaction",
                                 .request = "ActionBeginTransactionRequest",
                                 .body = SLICE(""),
                                 .timeout_ms = SHORT_MS};
    if (flight->transaction.len > 0) {
        return errinfo_set(info, ERR_INVALID, "25001", "a transaction is open already");
    }
    TRY(act(remote, &begin, &got, info));
    TRY(flight_result(buf_slice(&got), true, &result, info));
    const struct proto_want wants[] = {{1, &id, NULL, NULL}};
    if (!proto_read(result, wants, 1) || id.len == 0) {
        return errinfo_set(info, ERR_IO, "08P01", "the server names no transaction");
    }
    buf_reset(&flight->transaction);
    buf_append_slice(&flight->transaction, id);
    (void)snprintf(answer->tag, sizeof(answer->tag), "BEGIN");
    answer->is_over = true;
    return buf_failed(&flight->transaction) ? errinfo_nomem(info) : ERR_OK;
}

/* Whatever comes of it, there is none open afterwards. */
static enum err end_transaction(struct remote *remote, struct remote_answer *answer, bool is_commit,
                                struct errinfo *info)
{
    struct flight *flight = remote->state;
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf got CLEANUP(buf_fini) = {0};
    if (flight->transaction.len == 0) {
        return errinfo_set(info, ERR_INVALID, "25P01", "no transaction is open");
    }
    proto_put_bytes(&request, 1, buf_slice(&flight->transaction));
    proto_put_varint(&request, 2, is_commit ? 1 : 2);
    if (buf_failed(&request)) {
        return errinfo_nomem(info);
    }
    buf_reset(&flight->transaction);
    const struct action end = {.name = "EndTransaction",
                               .request = "ActionEndTransactionRequest",
                               .body = buf_slice(&request),
                               .timeout_ms = time_of(remote)};
    TRY(act(remote, &end, &got, info));
    (void)snprintf(answer->tag, sizeof(answer->tag), "%s", is_commit ? "COMMIT" : "ROLLBACK");
    answer->is_over = true;
    return ERR_OK;
}

/* ---- rows ---- */

static enum err begin_endpoint(struct remote *remote, struct rows *rows, struct errinfo *info)
{
    const struct flight_endpoint *endpoint = &rows->endpoints[rows->next_endpoint];
    struct buf ticket CLEANUP(buf_fini) = {0};
    struct buf framed CLEANUP(buf_fini) = {0};
    if (endpoint->is_elsewhere) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "rows are at another server, where this sign-in is not sent");
        errinfo_hint(info, "Connect to that server.");
        return ERR_UNSUPPORTED;
    }
    proto_put_bytes(&ticket, 1, endpoint->ticket);
    flight_frame_put(&framed, buf_slice(&ticket));
    if (buf_failed(&ticket) || buf_failed(&framed)) {
        return errinfo_nomem(info);
    }
    TRY(ipc_reader_new(&rows->readers[rows->next_endpoint], info));
    call_fini(&rows->call);
    rows->call = (struct call){.status = -1};
    rows->is_reading = true;
    return call_begin(remote, &rows->call, "DoGet", buf_slice(&framed), time_of(remote), info);
}

static bool is_same_schema(const struct ArrowSchema *a, const struct ArrowSchema *b)
{
    bool is_same = strcmp(a->format, b->format) == 0 && strcmp(a->name, b->name) == 0 &&
                   a->n_children == b->n_children &&
                   (a->dictionary == NULL) == (b->dictionary == NULL);
    for (int64_t i = 0; is_same && i < a->n_children; i++) {
        is_same = is_same_schema(a->children[i], b->children[i]);
    }
    return is_same && (a->dictionary == NULL || is_same_schema(a->dictionary, b->dictionary));
}

/* The next message of the endpoint that is read: a schema, dictionary or batch; or its end. */
static enum err next_message(struct remote_answer *answer, struct ArrowArray *ret_batch,
                             struct errinfo *info)
{
    struct rows *rows = answer->state;
    struct ipc_reader *reader = rows->readers[rows->next_endpoint];
    struct slice message, header, body;
    bool is_end;
    TRY(call_next(&rows->call, TRANSFER_MESSAGE_BYTES_MAX, &message, &is_end, info));
    if (is_end) {
        TRY(call_end(&rows->call, answer->statement_len, info));
        rows->is_reading = false;
        rows->next_endpoint++;
        return ERR_OK;
    }
    TRY(flight_data(message, &header, &body, info));
    if (header.len == 0) {
        return ERR_OK; /* metadata alone */
    }
    bool is_first = ipc_reader_schema(reader) == NULL;
    TRY(ipc_reader_feed(reader, header, body, ret_batch, info));
    if (is_first && reader != rows->readers[0] &&
        !is_same_schema(ipc_reader_schema(reader), ipc_reader_schema(rows->readers[0]))) {
        return errinfo_set(info, ERR_IO, "08P01", "parts of the rows have other columns");
    }
    return ERR_OK;
}

static enum err advance(struct remote *remote, struct remote_answer *answer,
                        struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct rows *rows = answer->state;
    ret_batch->release = NULL;
    if (rows->is_reading) {
        return next_message(answer, ret_batch, info);
    }
    if (rows->next_endpoint == rows->endpoint_count) {
        answer->is_over = true;
        return ERR_OK;
    }
    return begin_endpoint(remote, rows, info);
}

static enum err flight_next(struct remote *remote, struct remote_answer *answer,
                            struct ArrowArray *ret_batch, struct errinfo *info)
{
    do {
        TRY(advance(remote, answer, ret_batch, info));
    } while (!answer->is_over && ret_batch->release == NULL);
    return ERR_OK;
}

/* Up to the schema; what has no columns is read to its end. */
static enum err read_schema(struct remote *remote, struct remote_answer *answer,
                            struct errinfo *info)
{
    struct rows *rows = answer->state;
    const struct ArrowSchema *schema = NULL;
    while (!answer->is_over && (schema == NULL || schema->n_children == 0)) {
        struct ArrowArray batch;
        TRY(advance(remote, answer, &batch, info));
        if (batch.release != NULL) {
            batch.release(&batch);
        }
        schema = rows->readers[0] == NULL ? NULL : ipc_reader_schema(rows->readers[0]);
    }
    answer->schema = schema == NULL || schema->n_children == 0 ? NULL : schema;
    return ERR_OK;
}

static enum err flight_run(struct remote *remote, struct remote_answer *answer,
                           struct errinfo *info)
{
    struct slice word;
    struct rows *rows = mem_calloc(1, sizeof(*rows));
    if (rows == NULL) {
        return errinfo_nomem(info);
    }
    answer->state = rows;
    rows->arena = arena_new(NULL, "answer", 0);
    if (rows->arena == NULL) {
        return errinfo_nomem(info);
    }
    switch (flight_way_of((struct slice){answer->statement, answer->statement_len}, &word)) {
    case FLIGHT_UPDATE:
        return update(remote, answer, word, info);
    case FLIGHT_BEGIN:
        return begin_transaction(remote, answer, info);
    case FLIGHT_COMMIT:
        return end_transaction(remote, answer, true, info);
    case FLIGHT_ROLLBACK:
        return end_transaction(remote, answer, false, info);
    case FLIGHT_QUERY:
        break;
    }
    TRY(query(remote, answer, info));
    return read_schema(remote, answer, info);
}

/* What is not over is cut, which resets its stream; a server that does not stop by that is told. */
static void cancel_rows(struct remote *remote, struct rows *rows)
{
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf ignored CLEANUP(buf_fini) = {0};
    struct errinfo unheard;
    transfer_cut(&rows->call.transfer);
    proto_put_bytes(&request, 1, buf_slice(&rows->info));
    const struct action cancel = {.name = "CancelFlightInfo",
                                  .body = buf_slice(&request),
                                  .timeout_ms = FAREWELL_MS,
                                  .is_deaf = true};
    enum err err = buf_failed(&request) ? ERR_NOMEM : act(remote, &cancel, &ignored, &unheard);
    (void)err; /* if not, it goes on to its end */
}

static void flight_end(struct remote *remote, struct remote_answer *answer)
{
    struct rows *rows = answer->state;
    if (rows == NULL) {
        return;
    }
    if (!answer->is_over && rows->endpoints != NULL && rows->call.status <= 0) {
        cancel_rows(remote, rows);
    }
    call_fini(&rows->call);
    for (size_t i = 0; rows->readers != NULL && i < rows->endpoint_count; i++) {
        ipc_reader_free(rows->readers[i]);
    }
    buf_fini(&rows->info);
    arena_free(rows->arena);
    mem_free(rows);
}

static void flight_cancel(struct remote *remote)
{
    struct flight *flight = remote->state;
    (void)curl_multi_wakeup(flight->multi);
}

/* Calls of one session are one client. What runs longest is not the question itself. */
static void flight_print_own(const struct remote *remote, struct buf *out)
{
    (void)remote;
    buf_append_str(out, "pid = (SELECT pid FROM moat.moat_system.sessions WHERE is_self LIMIT 1)");
}

static void flight_sign_in_aside(const struct remote *remote, struct remote_options *options)
{
    const struct flight *flight = remote->state;
    if (flight->session.ptr != NULL) {
        options->secret = secret_slice(&flight->session);
        options->is_token = options->is_session = true;
    }
}

const struct remote_ops remote_flight = {
    .open = flight_open,
    .close = flight_close,
    .run = flight_run,
    .next = flight_next,
    .end = flight_end,
    .cancel = flight_cancel,
    .print_own = flight_print_own,
    .sign_in_aside = flight_sign_in_aside,
};
