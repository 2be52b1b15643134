/* GET /v1/ws: statements over a WebSocket, several at once, their rows as they come.
 *
 * The loop's worker reads frames and never waits: what a message asks for is done by a thread of
 * the query's, which signs nothing in anew: a socket is one person's. Writers take turns. Who reads
 * slowly holds up the writers, as on any connection; a query with a window waits for its own
 * client to ask for more, and holds up no other.
 *
 * Locks: the server's > a socket's `lock` > a run's. `writing` is not taken with `lock` held, and
 * only a query's thread waits for it; the worker and the minder try it, and leave a pong or a close
 * that could not be sent to whoever holds it. */
#include "wire/web/socket.h"

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/web/frame.h"

#define QUERIES_MAX 16u          /* of a socket */
#define QUERIES_SERVER_MAX 1000u /* of all: each has a thread */
#define PART_BYTES 65536u
#define PING_US (20 * 1000000LL) /* of silence, while something runs */
#define GONE_US (60 * 1000000LL)
#define LOOK_MS 50 /* how long a stop may go unseen */
#define PROTOCOL "moat.v1"

struct socket_query {
    struct socket_query *next; /* under the socket's lock, up to `window` */
    bool is_stopped;
    struct web_run *run;
    bool has_window;
    uint64_t window; /* messages of rows that the client has asked for */
    struct web_socket *socket;
    struct arena *arena;
    const struct json *message;
    uint64_t id;
    struct web_request request;
};

struct web_socket {
    struct web_socket *next, *previous; /* under the server's lock */
    struct web_server *server;
    struct connection *wire;
    struct identity *who;
    struct web_login *login;
    char *application;
    struct frame_reader reader; /* the worker's */
    bool is_finished;           /* the worker's: a close was sent or came */
    atomic_size_t query_count;
    atomic_int_least64_t heard_us;
    atomic_int_least64_t pinged_us;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct socket_query *queries;
    bool is_over; /* nothing new is begun */
    bool has_pong;
    uint8_t pong[FRAME_CONTROL_BYTES_MAX];
    size_t pong_len;
    bool has_close;
    unsigned close_code;
    const char *close_reason; /* literal */

    pthread_mutex_t writing;
    bool is_closed; /* under it: nothing is written any more */
};

/* ---- writing ---- */

/* What waits to be said beside rows; `ret_is_last`: nothing may be written behind it. */
static void take_waiting(struct web_socket *socket, struct buf *frames, bool *ret_is_last)
{
    pthread_mutex_lock(&socket->lock);
    if (socket->has_pong) {
        frame_write(frames, FRAME_PONG,
                    (struct slice){(const char *)socket->pong, socket->pong_len});
    }
    if (socket->has_close) {
        frame_write_close(frames, socket->close_code, slice_of(socket->close_reason));
    }
    *ret_is_last = socket->has_close;
    socket->has_pong = socket->has_close = false;
    pthread_mutex_unlock(&socket->lock);
}

static bool has_waiting(struct web_socket *socket)
{
    pthread_mutex_lock(&socket->lock);
    bool has = socket->has_pong || socket->has_close;
    bool is_close = socket->has_close;
    pthread_mutex_unlock(&socket->lock);
    /* A pong can wait until there is room for it; of a close there is nothing to wait for. */
    return has && (is_close || connection_has_room(socket->wire));
}

/* Never waits. Whoever holds `writing` looks again after letting go of it: something may have come
 * while nobody could be told. */
static void write_waiting(struct web_socket *socket)
{
    while (has_waiting(socket) && pthread_mutex_trylock(&socket->writing) == 0) {
        struct buf frames CLEANUP(buf_fini) = {0};
        bool is_last;
        take_waiting(socket, &frames, &is_last);
        if (!socket->is_closed && !buf_failed(&frames) && connection_wait_room(socket->wire, 0)) {
            enum err ignored = connection_write(socket->wire, buf_slice(&frames));
            (void)ignored; /* who is gone is told nothing */
        }
        socket->is_closed = socket->is_closed || is_last;
        pthread_mutex_unlock(&socket->writing);
        if (is_last) {
            connection_finish(socket->wire);
        }
    }
}

/* Takes turns with others, also while it waits for room: a stop is seen in between. */
static enum err write_frame(struct web_socket *socket, const struct socket_query *query,
                            const struct buf *frame, struct errinfo *info)
{
    for (;;) {
        pthread_mutex_lock(&socket->writing);
        bool has_room = socket->is_closed || connection_wait_room(socket->wire, LOOK_MS);
        enum err err = !has_room || socket->is_closed
                           ? ERR_IO
                           : connection_write(socket->wire, buf_slice(frame));
        pthread_mutex_unlock(&socket->writing);
        write_waiting(socket);
        if (has_room) {
            return err == ERR_OK ? ERR_OK
                                 : errinfo_set(info, ERR_IO, "08006", "the connection was lost");
        }
        TRY(query->run == NULL ? ERR_OK : web__run_check(query->run, info));
    }
}

/* From the query's thread, which alone sets `run`. */
static enum err send_text(struct socket_query *query, const struct buf *text, struct errinfo *info)
{
    struct buf frame CLEANUP(buf_fini) = {0};
    frame_write(&frame, FRAME_TEXT, buf_slice(text));
    if (buf_failed(text) || buf_failed(&frame)) {
        return errinfo_nomem(info);
    }
    return write_frame(query->socket, query, &frame, info);
}

/* From the worker: last words. */
static void finish(struct web_socket *socket, unsigned code, const char *reason)
{
    if (socket->is_finished) {
        return;
    }
    socket->is_finished = true;
    web__socket_stop(socket);
    pthread_mutex_lock(&socket->lock);
    socket->has_close = true;
    socket->close_code = code;
    socket->close_reason = reason;
    pthread_mutex_unlock(&socket->lock);
    write_waiting(socket);
}

/* ---- a query's thread ---- */

static void begin_message(struct buf *out, const char *type, const struct socket_query *query)
{
    buf_printf(out, "{\"type\":\"%s\",\"id\":%llu", type, (unsigned long long)query->id);
}

/* Until the client asks for more, if it said that it would. */
static enum err wait_window(struct socket_query *query, struct errinfo *info)
{
    struct web_socket *socket = query->socket;
    pthread_mutex_lock(&socket->lock);
    while (query->has_window && query->window == 0 && !web__run_is_stopped(query->run)) {
        int64_t until_us =
            clock_mono_us() + LOOK_MS * 1000; /* others stop a run, and tell nobody here */
        (void)clock_wait(&socket->changed, &socket->lock, until_us);
    }
    query->window -= query->window > 0;
    pthread_mutex_unlock(&socket->lock);
    return web__run_check(query->run, info);
}

static enum err send_rows(struct socket_query *query, struct web_writer *writer,
                          const struct ArrowArray *batch, int64_t *row, struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    int64_t first = *row;
    TRY(wait_window(query, info));
    begin_message(&out, "rows", query);
    buf_append_str(&out, ",\"rows\":[");
    for (; *row < batch->length && out.len < PART_BYTES; (*row)++) {
        buf_append_str(&out, *row == first ? "" : ",");
        TRY(web__print_row(writer, batch, *row, &out, info));
    }
    writer->row_count += (uint64_t)(*row - first);
    buf_append_str(&out, "]}");
    TRY(send_text(query, &out, info));
    query_touch(web_run_query(query->run));
    return ERR_OK;
}

static enum err send_batches(struct socket_query *query, struct web_writer *writer,
                             struct errinfo *info)
{
    for (;;) {
        struct ArrowArray batch = {.release = NULL};
        TRY(web_run_next(query->run, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = ERR_OK;
        for (int64_t row = 0; err == ERR_OK && row < batch.length;) {
            err = send_rows(query, writer, &batch, &row, info);
        }
        batch.release(&batch);
        TRY(err);
    }
}

/* All but its end, which is in `ret_end`. */
static enum err send_answer(struct socket_query *query, struct buf *ret_end, struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct web_writer writer CLEANUP(web__writer_fini) = {0};
    struct query *run = web_run_query(query->run);
    const struct ArrowSchema *schema = web_run_schema(query->run);
    TRY(web__writer_init(&writer, WEB_JSON, query->request.numbers_as_text, run, schema, info));
    begin_message(&out, "started", query);
    buf_append_str(&out, ",\"query\":");
    json_write_string(&out, query_id(run));
    if (schema != NULL) {
        buf_append_str(&out, ",\"columns\":");
        web__print_columns(&out, run);
    }
    buf_append_char(&out, '}');
    TRY(send_text(query, &out, info));
    TRY(schema == NULL ? ERR_OK : send_batches(query, &writer, info));
    begin_message(ret_end, "done", query);
    buf_append_str(ret_end, ",\"tag\":");
    json_write_string(ret_end, slice_of(query_tag(run)));
    if (query_notice(run)[0] != '\0') {
        buf_append_str(ret_end, ",\"notice\":");
        json_write_string(ret_end, slice_of(query_notice(run)));
    }
    buf_printf(ret_end, ",\"row_count\":%llu}", (unsigned long long)writer.row_count);
    return ERR_OK;
}

/* What a message says beside what is of the socket goes on as a request's body does. */
static enum err read_run(struct socket_query *query, struct errinfo *info)
{
    struct json *root = json_copy(query->arena, query->message);
    struct json *rest = json_new(query->arena, JSON_OBJECT);
    struct json *next;
    if (root == NULL || rest == NULL) {
        return errinfo_nomem(info);
    }
    for (struct json *member = root->first; member != NULL; member = next) {
        next = member->next;
        bool is_ours = slice_equal(member->key, SLICE("type")) ||
                       slice_equal(member->key, SLICE("id")) ||
                       slice_equal(member->key, SLICE("window"));
        member->next = NULL;
        if (!is_ours) {
            json_append(rest, member);
        }
    }
    query->request.arena = query->arena;
    TRY(web__request_members(&query->request, rest, info));
    if (query->request.is_async || query->request.format != WEB_JSON) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "rows are JSON here, and come as they are there: leave out \"async\" "
                           "and \"format\"");
    }
    return web__request_statement(&query->request, info);
}

static enum err open_run(struct socket_query *query, struct errinfo *info)
{
    struct web_socket *socket = query->socket;
    const struct web_request *request = &query->request;
    struct web_run_spec spec = {
        .protocol = SESSION_HTTP,
        .visitor = {.protocol = "http", .application = slice_of(socket->application)},
        .who = socket->who,
        .address = slice_of(connection_peer(socket->wire)),
        .catalog = request->catalog,
        .schema = request->schema,
        .settings = request->settings,
        .setting_count = request->setting_count,
        .login = socket->login,
    };
    struct web_run *run;
    if (socket->login != NULL && !web__login_use(socket->server, socket->login)) {
        return errinfo_set(info, ERR_DENIED, "28000", "the session is over");
    }
    TRY(web_run_open(socket->server, &spec, &run, info));
    pthread_mutex_lock(&socket->lock);
    query->run = run;
    if (query->is_stopped) {
        web_run_stop(run);
    }
    pthread_mutex_unlock(&socket->lock);
    return web_run_start(run, request->statement, request->parameters, request->parameter_count,
                         info);
}

static void print_failure(struct buf *out, struct socket_query *query, const struct errinfo *why)
{
    buf_reset(out);
    begin_message(out, "error", query);
    buf_append_str(out, ",\"error\":");
    web_print_error(out, why, query->request.statement);
    buf_append_char(out, '}');
}

/* The id is free, and the place, before the client hears of the end. */
static void forget(struct socket_query *query)
{
    struct web_socket *socket = query->socket;
    pthread_mutex_lock(&socket->lock);
    struct socket_query **at = &socket->queries;
    while (*at != query) {
        at = &(*at)->next;
    }
    *at = query->next;
    struct web_run *run = TAKE(query->run);
    pthread_mutex_unlock(&socket->lock);
    web_run_close(run);
}

static void *run_query(void *context)
{
    struct socket_query *query = context;
    struct web_socket *socket = query->socket;
    struct buf end CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    enum err err = read_run(query, &info);
    err = err != ERR_OK ? err : open_run(query, &info);
    err = err != ERR_OK ? err : send_answer(query, &end, &info);
    if (err != ERR_OK) {
        print_failure(&end, query, &info);
    }
    forget(query);
    err = send_text(query, &end, &info);
    (void)err;                /* who is gone is told nothing */
    arena_free(query->arena); /* the query lives in it */
    pthread_mutex_lock(&socket->lock);
    atomic_fetch_sub(&socket->server->socket_query_count, 1);
    atomic_fetch_sub(&socket->query_count, 1);
    pthread_cond_broadcast(&socket->changed);
    pthread_mutex_unlock(&socket->lock); /* the socket may be gone now */
    return NULL;
}

/* ---- messages, on the worker ---- */

/* With the lock held. */
static struct socket_query *find(struct web_socket *socket, uint64_t id)
{
    struct socket_query *query = socket->queries;
    while (query != NULL && query->id != id) {
        query = query->next;
    }
    return query;
}

/* With the lock held. Threads that only have an end to tell are not counted: its client may be
 * ahead of them. */
static size_t count(const struct web_socket *socket)
{
    size_t own = 0;
    for (const struct socket_query *q = socket->queries; q != NULL; q = q->next) {
        own++;
    }
    return own;
}

/* ERR_INVALID: there is one of that id; ERR_BUSY: there are too many. */
static enum err list(struct web_socket *socket, struct socket_query *query)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&socket->lock);
    if (find(socket, query->id) != NULL) {
        err = ERR_INVALID;
    } else if (count(socket) >= QUERIES_MAX || socket->is_over ||
               atomic_load(&socket->server->socket_query_count) >= QUERIES_SERVER_MAX) {
        err = ERR_BUSY;
    } else {
        query->next = socket->queries;
        socket->queries = query;
        atomic_fetch_add(&socket->query_count, 1);
        atomic_fetch_add(&socket->server->socket_query_count, 1);
    }
    pthread_mutex_unlock(&socket->lock);
    return err;
}

static void unlist(struct web_socket *socket, struct socket_query *query)
{
    forget(query);
    atomic_fetch_sub(&socket->query_count, 1);
    atomic_fetch_sub(&socket->server->socket_query_count, 1);
}

/* The arena is the query's from here on, if it gives NULL; else why the socket ends. */
static const char *begin_query(struct web_socket *socket, struct arena *arena,
                               const struct json *message, uint64_t id)
{
    struct socket_query *query = arena_calloc(arena, 1, sizeof(*query));
    const struct json *window = json_get(message, "window");
    pthread_t thread;
    if (query == NULL) {
        return "out of memory";
    }
    *query = (struct socket_query){.socket = socket, .arena = arena, .message = message, .id = id};
    query->has_window = window != NULL;
    if (window != NULL && !json_to_u64(window, &query->window)) {
        return "\"window\" must be a number of messages";
    }
    switch (list(socket, query)) {
    case ERR_OK:
        break;
    case ERR_INVALID:
        return "a query of that id runs";
    default:
        return "too many queries run";
    }
    if (pthread_create(&thread, NULL, run_query, query) != 0) {
        unlist(socket, query);
        return "a thread could not be started";
    }
    (void)pthread_detach(thread);
    return NULL;
}

static void stop_query(struct socket_query *query)
{
    query->is_stopped = true;
    if (query->run != NULL) {
        web_run_stop(query->run);
    }
}

/* What is not there is over: nothing is said of it. */
static void cancel(struct web_socket *socket, uint64_t id)
{
    pthread_mutex_lock(&socket->lock);
    struct socket_query *query = find(socket, id);
    if (query != NULL) {
        stop_query(query);
        pthread_cond_broadcast(&socket->changed);
    }
    pthread_mutex_unlock(&socket->lock);
}

static void widen(struct web_socket *socket, uint64_t id, uint64_t more)
{
    pthread_mutex_lock(&socket->lock);
    struct socket_query *query = find(socket, id);
    if (query != NULL) {
        query->window = UINT64_MAX - query->window < more ? UINT64_MAX : query->window + more;
        pthread_cond_broadcast(&socket->changed);
    }
    pthread_mutex_unlock(&socket->lock);
}

/* NULL, or why the socket ends: what a client does not know to send, it does not know to read. */
static const char *on_message(struct web_socket *socket)
{
    const struct json_limits limits = {.depth_max = 16, .nodes_max = 100000};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "message", 0);
    struct json *root;
    struct slice text;
    uint64_t id, more;
    if (arena == NULL || !arena_slice(arena, buf_slice(&socket->reader.message), &text)) {
        return "out of memory";
    }
    if (json_parse(arena, text, &limits, &root, NULL) != ERR_OK || root->type != JSON_OBJECT ||
        !json_to_u64(json_get(root, "id"), &id)) {
        return "a message is an object with \"type\" and a number \"id\"";
    }
    struct slice type = json_get_text(root, "type");
    if (slice_equal(type, SLICE("run"))) {
        const char *why = begin_query(socket, arena, root, id);
        if (why == NULL) {
            arena = NULL;
        }
        return why;
    }
    if (slice_equal(type, SLICE("cancel"))) {
        cancel(socket, id);
        return NULL;
    }
    if (slice_equal(type, SLICE("more")) && json_to_u64(json_get(root, "count"), &more)) {
        widen(socket, id, more);
        return NULL;
    }
    return "\"type\" must be \"run\", \"cancel\" or \"more\" with a \"count\"";
}

static void on_ping(struct web_socket *socket, const struct frame_read *read)
{
    pthread_mutex_lock(&socket->lock);
    memcpy(socket->pong, read->payload, read->payload_len);
    socket->pong_len = read->payload_len; /* the last one only: section 5.5.3 */
    socket->has_pong = true;
    pthread_mutex_unlock(&socket->lock);
    write_waiting(socket);
}

static size_t on_work(void *context, struct slice input)
{
    struct web_socket *socket = context;
    size_t at = 0;
    atomic_store(&socket->heard_us, clock_mono_us());
    while (!socket->is_finished) {
        struct frame_read read;
        const char *why;
        switch (
            frame_read(&socket->reader, (struct slice){input.ptr + at, input.len - at}, &read)) {
        case FRAME_EVENT_PARTIAL:
            return at;
        case FRAME_EVENT_TEXT:
            why = on_message(socket);
            buf_fini(&socket->reader.message);
            if (why != NULL) {
                finish(socket, FRAME_CLOSE_POLICY, why);
            }
            break;
        case FRAME_EVENT_PING:
            on_ping(socket, &read);
            break;
        case FRAME_EVENT_PART:
        case FRAME_EVENT_PONG:
            break;
        case FRAME_EVENT_CLOSE:
            finish(socket, read.code == FRAME_CLOSE_NONE ? FRAME_CLOSE_NORMAL : read.code, "");
            break;
        case FRAME_EVENT_WRONG:
            finish(socket, read.code, "");
            break;
        }
        at += read.used;
    }
    return input.len;
}

/* ---- the rest of what the loop asks ---- */

static size_t on_need(void *context, struct slice input)
{
    const struct web_socket *socket = context;
    return frame_need(input, socket->reader.message_bytes_max);
}

static bool on_is_busy(void *context)
{
    struct web_socket *socket = context;
    return atomic_load(&socket->query_count) > 0;
}

void web__socket_stop(struct web_socket *socket)
{
    pthread_mutex_lock(&socket->lock);
    socket->is_over = true;
    for (struct socket_query *query = socket->queries; query != NULL; query = query->next) {
        stop_query(query);
    }
    pthread_cond_broadcast(&socket->changed);
    pthread_mutex_unlock(&socket->lock);
}

static void on_cancel(void *context)
{
    web__socket_stop(context);
}

static void on_farewell(void *context, enum loop_farewell why)
{
    bool is_wrong = why != FAREWELL_SHUTDOWN && why != FAREWELL_IDLE_TIMEOUT;
    finish(context, is_wrong ? FRAME_CLOSE_POLICY : FRAME_CLOSE_GOING, "");
}

static void free_socket(struct web_socket *socket)
{
    frame_reader_fini(&socket->reader);
    identity_unref(socket->who);
    web__login_unref(socket->login);
    mem_free(socket->application);
    pthread_cond_destroy(&socket->changed);
    pthread_mutex_destroy(&socket->lock);
    pthread_mutex_destroy(&socket->writing);
    mem_free(socket);
}

static void on_close(void *context)
{
    struct web_socket *socket = context;
    struct web_server *server = socket->server;
    pthread_mutex_lock(&server->lock);
    *(socket->previous == NULL ? &server->sockets : &socket->previous->next) = socket->next;
    if (socket->next != NULL) {
        socket->next->previous = socket->previous;
    }
    pthread_mutex_unlock(&server->lock);
    web__socket_stop(socket);
    pthread_mutex_lock(&socket->lock);
    while (atomic_load(&socket->query_count) > 0) {
        pthread_cond_wait(&socket->changed, &socket->lock);
    }
    pthread_mutex_unlock(&socket->lock);
    free_socket(socket);
}

static const struct http_upgrade upgrade = {
    .need = on_need,
    .work = on_work,
    .is_busy = on_is_busy,
    .farewell = on_farewell,
    .cancel = on_cancel,
    .close = on_close,
};

/* ---- the minder ---- */

void web__sockets_end_of(struct web_server *server, const struct web_login *login)
{
    for (struct web_socket *socket = server->sockets; socket != NULL; socket = socket->next) {
        if (socket->login == login) {
            web__socket_stop(socket);
            connection_end(socket->wire, FAREWELL_SHUTDOWN);
        }
    }
}

/* A client that is gone without a word is asked whether it is there. Only while something runs:
 * otherwise the idle timeout holds. */
static void mind(struct web_socket *socket, int64_t now_us)
{
    int64_t silent_us = now_us - atomic_load(&socket->heard_us);
    if (atomic_load(&socket->query_count) == 0 || silent_us < PING_US) {
        return;
    }
    if (silent_us > GONE_US) {
        connection_end(socket->wire, FAREWELL_MESSAGE_TIMEOUT);
        return;
    }
    bool is_asked = now_us - atomic_load(&socket->pinged_us) < PING_US;
    if (is_asked || pthread_mutex_trylock(&socket->writing) != 0) {
        return; /* being written to, it is not silent */
    }
    if (!socket->is_closed && connection_has_room(socket->wire)) { /* else it would wait */
        struct buf frame CLEANUP(buf_fini) = {0};
        frame_write(&frame, FRAME_PING, SLICE(""));
        enum err ignored =
            buf_failed(&frame) ? ERR_NOMEM : connection_write(socket->wire, buf_slice(&frame));
        (void)ignored;
        atomic_store(&socket->pinged_us, now_us);
    }
    pthread_mutex_unlock(&socket->writing);
}

void web__sockets_mind(struct web_server *server)
{
    int64_t now_us = clock_mono_us();
    for (struct web_socket *socket = server->sockets; socket != NULL; socket = socket->next) {
        mind(socket, now_us);
    }
}

/* ---- the handshake ---- */

static bool has_word(struct http_exchange *exchange, struct slice name, struct slice word)
{
    struct slice field;
    for (size_t i = 0; http_field_at(exchange, name, i, &field); i++) {
        while (field.len > 0) {
            const char *comma = memchr(field.ptr, ',', field.len);
            size_t len = comma == NULL ? field.len : (size_t)(comma - field.ptr);
            if (slice_equal_fold(slice_trim((struct slice){field.ptr, len}), word)) {
                return true;
            }
            size_t used = comma == NULL ? len : len + 1;
            field = (struct slice){field.ptr + used, field.len - used};
        }
    }
    return false;
}

/* RFC 6455, 4.2.2: that a WebSocket was meant, and no other protocol was made to look like one. */
static bool answer_key(struct slice key, char ret_answer[32])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[24 + sizeof(magic)];
    unsigned char digest[EVP_MAX_MD_SIZE], decoded[24];
    unsigned len = 0;
    if (key.len != 24 || key.ptr[21] == '=' || key.ptr[22] != '=' || key.ptr[23] != '=' ||
        EVP_DecodeBlock(decoded, (const unsigned char *)key.ptr, (int)key.len) != 18) {
        return false;
    }
    memcpy(text, key.ptr, key.len);
    memcpy(text + key.len, magic, sizeof(magic));
    if (EVP_Digest(text, sizeof(text) - 1, digest, &len, EVP_sha1(), NULL) != 1 || len != 20) {
        return false;
    }
    (void)EVP_EncodeBlock((unsigned char *)ret_answer, digest, (int)len);
    return true;
}

static struct web_socket *open_socket(struct web_server *server, struct http_exchange *exchange,
                                      struct identity *who, struct slice application)
{
    struct web_socket *socket = mem_calloc(1, sizeof(*socket));
    if (socket == NULL) {
        return NULL;
    }
    pthread_mutex_init(&socket->lock, NULL);
    pthread_mutex_init(&socket->writing, NULL);
    pthread_cond_init(&socket->changed, NULL);
    socket->server = server;
    socket->wire = http_connection(exchange);
    socket->who = identity_ref(who);
    socket->login = web__login_ref(web__login_of(exchange));
    socket->application = mem_slicedup(application);
    socket->reader.message_bytes_max =
        (size_t)config_bytes(server->config, CONFIG_SERVER_MESSAGE_BYTES_MAX);
    atomic_store(&socket->heard_us, clock_mono_us());
    if (socket->application == NULL) {
        free_socket(socket);
        return NULL;
    }
    pthread_mutex_lock(&server->lock);
    socket->next = server->sockets;
    if (socket->next != NULL) {
        socket->next->previous = socket;
    }
    server->sockets = socket;
    pthread_mutex_unlock(&server->lock);
    return socket;
}

static void refuse(struct http_exchange *exchange, unsigned status, const char *why)
{
    struct buf out CLEANUP(buf_fini) = {0};
    buf_append_str(&out, "{\"error\":{\"sqlstate\":\"08P01\",\"message\":");
    json_write_string(&out, slice_of(why));
    buf_append_str(&out, "}}\n");
    http_reply(exchange, status, "application/json", buf_slice(&out));
}

static void on_socket(void *context, struct http_exchange *exchange)
{
    struct web_server *server = context;
    struct web_visitor visitor = {.protocol = "http", .application = SLICE("")};
    struct slice key = {"", 0};
    char answer[32];
    (void)http_field(exchange, SLICE("user-agent"), &visitor.application);
    (void)http_field(exchange, SLICE("sec-websocket-key"), &key);
    if (!has_word(exchange, SLICE("connection"), SLICE("upgrade")) ||
        !has_word(exchange, SLICE("upgrade"), SLICE("websocket"))) {
        http_header(exchange, "Upgrade", SLICE("websocket"));
        refuse(exchange, 426, "this is a WebSocket");
        return;
    }
    if (!has_word(exchange, SLICE("sec-websocket-version"), SLICE("13"))) {
        http_header(exchange, "Sec-WebSocket-Version", SLICE("13"));
        refuse(exchange, 426, "the version must be 13");
        return;
    }
    if (http_is_head(exchange) || http_is_last(exchange) || http_body(exchange).len > 0 ||
        http_query(exchange).len > 0 || !answer_key(key, answer)) {
        refuse(exchange, 400,
               "this is no handshake of a WebSocket; nothing stands behind the path");
        return;
    }
    struct identity *who = web__sign_in_by(server, exchange, &visitor, WEB_PROOF_ORIGIN);
    if (who == NULL) {
        return;
    }
    struct web_socket *socket = open_socket(server, exchange, who, visitor.application);
    if (socket == NULL) {
        refuse(exchange, 503, "out of memory");
        return;
    }
    http_header(exchange, "Sec-WebSocket-Accept", slice_of(answer));
    if (has_word(exchange, SLICE("sec-websocket-protocol"), SLICE(PROTOCOL))) {
        http_header(exchange, "Sec-WebSocket-Protocol", SLICE(PROTOCOL));
    }
    http_switch(exchange, "websocket", &upgrade, socket);
}

enum err web__socket_route(struct web_server *server, struct errinfo *info)
{
    return http_route(server->http, "GET", "/v1/ws", on_socket, server, info);
}
