/* One call: what its method sees of it, and its end. */

#include "base/clock.h"
#include "base/mem.h"
#include "wire/grpc/grpc_int.h"

#define DEADLINE_US_MAX (INT64_C(366) * 24 * 3600 * 1000000)

struct grpc_call *grpc__call_new(struct grpc_connection *on, int32_t stream_id)
{
    struct grpc_call *call = mem_calloc(1, sizeof(*call));
    if (call == NULL) {
        return NULL;
    }
    call->on = on;
    call->stream_id = stream_id;
    call->field_bytes.bytes_max = GRPC_FIELD_BYTES_MAX;
    pthread_mutex_init(&call->cancel_lock, NULL);
    call->next = on->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    on->calls = call;
    atomic_fetch_add(&on->call_count, 1);
    return call;
}

static void free_texts(struct grpc_text *texts)
{
    while (texts != NULL) {
        struct grpc_text *next = texts->next;
        mem_free(texts);
        texts = next;
    }
}

void grpc__call_settle(struct grpc_call *call)
{
    struct grpc_connection *on = call->on;
    if (!call->is_closed || call->has_thread) {
        return;
    }
    *(call->previous == NULL ? &on->calls : &call->previous->next) = call->next;
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    while (call->out_first != NULL) {
        struct grpc_part *part = call->out_first;
        call->out_first = part->next;
        buf_fini(&part->bytes);
        mem_free(part);
    }
    free_texts(call->headers);
    free_texts(call->trailers);
    if (call->field_bytes.ptr != NULL) {
        mem_wipe(call->field_bytes.ptr, call->field_bytes.len); /* a password, a token */
    }
    buf_fini(&call->field_bytes);
    buf_fini(&call->in);
    mem_free(call->status_text);
    pthread_mutex_destroy(&call->cancel_lock);
    mem_free(call);
    atomic_fetch_sub(&on->call_count, 1);
    pthread_cond_broadcast(&on->changed);
}

/* ---- the request's head ---- */

bool grpc_field_at(const struct grpc_call *call, struct slice name, size_t index,
                   struct slice *ret_value)
{
    for (size_t i = 0; i < call->field_count; i++) {
        const struct grpc_field *field = &call->fields[i];
        struct slice found = {call->field_bytes.ptr + field->name_at, field->name_len};
        if (slice_equal(found, name) && index-- == 0) {
            *ret_value = (struct slice){call->field_bytes.ptr + field->value_at, field->value_len};
            return true;
        }
    }
    return false;
}

bool grpc_field(const struct grpc_call *call, struct slice name, struct slice *ret_value)
{
    return grpc_field_at(call, name, 0, ret_value);
}

/* "250m": 1 to 8 digits and a unit. */
static bool read_timeout(struct slice text, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t us;
    } units[] = {{'H', INT64_C(3600000000)},
                 {'M', 60000000},
                 {'S', 1000000},
                 {'m', 1000},
                 {'u', 1},
                 {'n', 0}};
    uint64_t count;
    if (text.len < 2 || text.len > 9 ||
        !slice_to_u64((struct slice){text.ptr, text.len - 1}, &count)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (units[i].unit == text.ptr[text.len - 1]) {
            int64_t us = units[i].us == 0 ? (int64_t)(count / 1000) : (int64_t)count * units[i].us;
            *ret_us = us < 1 ? 1 : us < DEADLINE_US_MAX ? us : DEADLINE_US_MAX;
            return true;
        }
    }
    return false;
}

static const struct grpc_method_entry *find_method(const struct grpc_call *call)
{
    struct slice path = {"", 0};
    (void)grpc_field(call, SLICE(":path"), &path);
    for (const struct grpc_method_entry *m = call->on->server->methods; m != NULL; m = m->next) {
        if (slice_equal(path, slice_of(m->path))) {
            return m;
        }
    }
    return NULL;
}

static void refuse(struct grpc_call *call, enum grpc_status status, const char *why)
{
    grpc__finish_locked(call, status, slice_of(why));
    grpc__call_end(call, GRPC_END_CLIENT);
}

void grpc__call_dispatch(struct grpc_call *call)
{
    struct grpc_server *server = call->on->server;
    struct slice type = {"", 0}, method = {"", 0}, timeout;
    int64_t timeout_us;
    call->is_dispatched = true;
    (void)grpc_field(call, SLICE("content-type"), &type);
    (void)grpc_field(call, SLICE(":method"), &method);
    if (call->is_refused || buf_failed(&call->field_bytes)) {
        refuse(call, GRPC_RESOURCE_EXHAUSTED, "the request's metadata are too long");
        return;
    }
    if (!slice_starts_with(type, SLICE("application/grpc")) ||
        !slice_equal(method, SLICE("POST"))) {
        refuse(call, GRPC_INVALID_ARGUMENT, "this is served by gRPC: POST application/grpc");
        return;
    }
    if (server->options.is_tls_required && !connection_is_tls(call->on->wire)) {
        refuse(call, GRPC_UNAVAILABLE, "this is served over TLS only: ask grpc+tls://");
        return;
    }
    if (grpc_field(call, SLICE("grpc-timeout"), &timeout)) {
        if (!read_timeout(timeout, &timeout_us)) {
            refuse(call, GRPC_INVALID_ARGUMENT, "grpc-timeout is none");
            return;
        }
        call->deadline_us = clock_mono_us() + timeout_us;
    }
    call->method = find_method(call);
    if (call->method == NULL) {
        refuse(call, GRPC_UNIMPLEMENTED, "there is no such method");
        return;
    }
    call->has_thread = true;
    call->is_stranger = !call->on->is_signed_in;
    call->on->thread_count++;
    if (!grpc__threads_submit(server, call)) {
        call->has_thread = false;
        call->on->thread_count--;
        refuse(call, GRPC_RESOURCE_EXHAUSTED, "the server has as many calls at work as it may");
    }
}

/* ---- cancelling ---- */

void grpc__call_end(struct grpc_call *call, enum grpc_end end)
{
    pthread_mutex_lock(&call->cancel_lock);
    call->end = call->end == GRPC_END_NONE ? end : call->end;
    if (call->cancel != NULL) {
        call->cancel(call->cancel_context);
    }
    pthread_mutex_unlock(&call->cancel_lock);
    pthread_cond_broadcast(&call->on->changed);
}

void grpc_on_cancel(struct grpc_call *call, void (*cancel)(void *context), void *context)
{
    pthread_mutex_lock(&call->cancel_lock);
    call->cancel = cancel;
    call->cancel_context = context;
    if (call->end != GRPC_END_NONE && cancel != NULL) {
        cancel(context);
    }
    pthread_mutex_unlock(&call->cancel_lock);
}

bool grpc_is_cancelled(struct grpc_call *call, bool *ret_is_late)
{
    pthread_mutex_lock(&call->cancel_lock);
    enum grpc_end end = call->end;
    pthread_mutex_unlock(&call->cancel_lock);
    *ret_is_late = end == GRPC_END_DEADLINE;
    return end != GRPC_END_NONE;
}

/* With the lock held: to be asked before each wait. */
static enum err check_over(struct grpc_call *call, struct errinfo *info)
{
    bool is_late;
    if (!grpc_is_cancelled(call, &is_late)) {
        return ERR_OK;
    }
    return is_late ? errinfo_set(info, ERR_TIMEOUT, "57014", "the call's deadline has passed")
                   : errinfo_set(info, ERR_CANCELLED, "57014", "the call was cancelled");
}

struct patience {
    size_t moved; /* what should: its last value, and when that was new */
    int64_t since_us;
};

/* With the lock held: until something changes, or too long. */
static enum err wait_for_change(struct grpc_call *call, struct patience *patience, size_t moved,
                                struct errinfo *info)
{
    struct grpc_connection *on = call->on;
    int64_t now_us = clock_mono_us();
    int64_t limit_us = on->server->options.message_timeout_ms * 1000;
    if (patience->since_us == 0 || patience->moved != moved) {
        *patience = (struct patience){moved, now_us};
    }
    if (limit_us != 0 && now_us - patience->since_us > limit_us) {
        return errinfo_set(info, ERR_TIMEOUT, "08006",
                           "nothing of the call has moved for too long");
    }
    (void)clock_wait(&on->changed, &on->lock, now_us + 1000000);
    return ERR_OK;
}

/* ---- messages in ---- */

/* With the lock held: bytes of the next message with its prefix, 0 as long as that is not there. */
static enum err message_length(const struct grpc_call *call, size_t *ret_len, struct errinfo *info)
{
    *ret_len = 0;
    if (call->in.len - call->in_at < GRPC_PREFIX_BYTES) {
        return ERR_OK;
    }
    const unsigned char *at = (const unsigned char *)call->in.ptr + call->in_at;
    if (at[0] != 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "compressed messages are not taken");
    }
    size_t len = (size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 | at[4];
    size_t max = call->on->server->options.message_bytes_max;
    if (len > max) {
        (void)errinfo_set(info, ERR_LIMIT, "54000", "a message of %zu bytes is too long", len);
        errinfo_hint(info, "server.message_bytes_max is %zu: send smaller batches.", max);
        return ERR_LIMIT;
    }
    *ret_len = GRPC_PREFIX_BYTES + len;
    return ERR_OK;
}

static enum err take_message(struct grpc_call *call, size_t len, struct buf *message,
                             struct errinfo *info)
{
    buf_append(message, call->in.ptr + call->in_at + GRPC_PREFIX_BYTES, len - GRPC_PREFIX_BYTES);
    call->in_at += len;
    if (call->in_at == call->in.len) {
        buf_fini(&call->in);
        call->in_at = 0;
    } else if (call->in_at > call->in.len / 2) {
        memmove(call->in.ptr, call->in.ptr + call->in_at, call->in.len - call->in_at);
        call->in.len -= call->in_at;
        call->in_at = 0;
    }
    return buf_failed(message) ? errinfo_nomem(info) : ERR_OK;
}

/* With the lock held: what is there is taken off the windows, so that more may come. */
static void open_windows(struct grpc_call *call)
{
    if (call->unconsumed > 0) {
        grpc__consume(call);
        grpc__flush(call->on, true);
    }
}

enum err grpc_read(struct grpc_call *call, struct buf *message, bool *ret_is_end,
                   struct errinfo *info)
{
    struct grpc_connection *on = call->on;
    struct patience patience = {0};
    size_t len = 0;
    buf_reset(message);
    *ret_is_end = false;
    pthread_mutex_lock(&on->lock);
    enum err err;
    for (;;) {
        err = check_over(call, info);
        err = err != ERR_OK ? err : message_length(call, &len, info);
        if (err != ERR_OK) {
            break;
        }
        if (len > 0 && call->in.len - call->in_at >= len) {
            err = take_message(call, len, message, info);
            open_windows(call);
            break;
        }
        if (call->is_in_ended) {
            *ret_is_end = true;
            err = call->in.len == call->in_at
                      ? ERR_OK
                      : errinfo_set(info, ERR_INVALID, "08P01", "the last message is cut off");
            break;
        }
        if (call->unconsumed > 0) {
            open_windows(call); /* gives the lock up */
        } else if (on->is_sender_wanted) {
            grpc__flush(on, true);
        } else if ((err = wait_for_change(call, &patience, call->in.len, info)) != ERR_OK) {
            break;
        }
    }
    pthread_mutex_unlock(&on->lock);
    return err;
}

/* ---- messages out ---- */

static void add_text(struct grpc_text **texts, const char *name, struct slice value)
{
    size_t name_len = strlen(name);
    struct grpc_text *text = mem_alloc(sizeof(*text) + name_len + value.len);
    if (text == NULL) {
        return; /* the answer is good without it */
    }
    char *bytes = (char *)(text + 1);
    memcpy(bytes, name, name_len);
    if (value.len > 0) {
        memcpy(bytes + name_len, value.ptr, value.len);
    }
    *text = (struct grpc_text){*texts, {bytes, name_len}, {bytes + name_len, value.len}};
    *texts = text;
}

void grpc_header(struct grpc_call *call, const char *name, struct slice value)
{
    pthread_mutex_lock(&call->on->lock);
    add_text(&call->headers, name, value);
    pthread_mutex_unlock(&call->on->lock);
}

void grpc_trailer(struct grpc_call *call, const char *name, struct slice value)
{
    pthread_mutex_lock(&call->on->lock);
    add_text(&call->trailers, name, value);
    pthread_mutex_unlock(&call->on->lock);
}

/* What is not printable, and '%', as %XX. */
static char *encode_status(struct slice text)
{
    struct buf out CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c <= 0x7E && c != '%') {
            buf_append_char(&out, (char)c);
        } else {
            buf_printf(&out, "%%%02X", c);
        }
    }
    return buf_take(&out);
}

void grpc_trailer_text(struct grpc_call *call, const char *name, struct slice text)
{
    char *encoded CLEANUP(mem_free_cleanup) = encode_status(text);
    if (encoded != NULL) {
        grpc_trailer(call, name, slice_of(encoded));
    }
}

void grpc_begin_message(struct buf *out)
{
    ASSERT(out->len == 0);
    static const char prefix[GRPC_PREFIX_BYTES];
    buf_append(out, prefix, sizeof(prefix));
}

/* With the lock held. */
static void append_part(struct grpc_call *call, struct grpc_part *part, struct buf *message)
{
    part->bytes = *message;
    *message = (struct buf){0};
    *(call->out_last == NULL ? &call->out_first : &call->out_last->next) = part;
    call->out_last = part;
    call->out_bytes += part->bytes.len;
    if (call->is_begun) {
        grpc__resume(call);
    } else {
        grpc__submit_head(call);
    }
    grpc__flush(call->on, true);
}

enum err grpc_write(struct grpc_call *call, struct buf *message, struct errinfo *info)
{
    struct grpc_connection *on = call->on;
    size_t len = message->len - GRPC_PREFIX_BYTES;
    struct grpc_part *part =
        buf_failed(message) || len > INT32_MAX ? NULL : mem_calloc(1, sizeof(*part));
    if (part == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < 4; i++) {
        message->ptr[1 + i] = (char)(unsigned char)(len >> (24 - 8 * i));
    }
    struct patience patience = {0};
    pthread_mutex_lock(&on->lock);
    enum err err = check_over(call, info);
    while (err == ERR_OK && call->out_bytes >= GRPC_OUT_BYTES_MAX) {
        if (on->is_sender_wanted) {
            grpc__flush(on, true);
        } else {
            err = wait_for_change(call, &patience, call->out_bytes, info);
        }
        err = err != ERR_OK ? err : check_over(call, info);
    }
    if (err == ERR_OK) {
        append_part(call, TAKE(part), message);
    }
    pthread_mutex_unlock(&on->lock);
    mem_free(part);
    return err;
}

/* ---- the end ---- */

void grpc__finish_locked(struct grpc_call *call, enum grpc_status status, struct slice message)
{
    ASSERT(!call->is_finished);
    call->status = status;
    call->status_text = encode_status(message);
    call->is_finished = true;
    if (call->is_closed) {
        return;
    }
    if (call->is_begun) {
        grpc__resume(call);
    } else {
        grpc__submit_status(call);
    }
    grpc__consume(call);
}

void grpc_finish(struct grpc_call *call, enum grpc_status status, struct slice message)
{
    struct grpc_connection *on = call->on;
    pthread_mutex_lock(&on->lock);
    grpc__finish_locked(call, status, message);
    grpc__flush(on, true);
    pthread_mutex_unlock(&on->lock);
}

/* The thread stays until its client has taken all: it is the one who waits for the socket. */
void grpc__call_run(struct grpc_call *call)
{
    struct grpc_connection *on = call->on;
    struct patience patience = {0};
    enum err err = ERR_OK;
    pthread_mutex_lock(&on->lock);
    ASSERT(call->is_finished);
    while (!call->is_closed && !on->is_broken && call->out_bytes > 0 && err == ERR_OK) {
        if (on->is_sender_wanted) {
            grpc__flush(on, true);
        } else {
            err = wait_for_change(call, &patience, call->out_bytes, NULL);
        }
    }
    if (err != ERR_OK) {
        grpc__give_up(call);
        grpc__flush(on, true);
    }
    on->thread_count--;
    call->has_thread = false;
    if (on->is_sender_wanted) {
        grpc__flush(on, true);
    }
    grpc__call_settle(call);
    pthread_cond_broadcast(&on->changed);
    pthread_mutex_unlock(&on->lock);
}

/* ---- connections and states ---- */

struct connection *grpc_connection(const struct grpc_call *call)
{
    return call->on->wire;
}

void grpc_state_lock(struct grpc_call *call)
{
    pthread_mutex_lock(&call->on->state_lock);
}

void grpc_state_unlock(struct grpc_call *call)
{
    pthread_mutex_unlock(&call->on->state_lock);
}

void *grpc_state(const struct grpc_call *call)
{
    return call->on->state;
}

void grpc_set_state(struct grpc_call *call, void *state)
{
    ASSERT(call->on->state == NULL);
    call->on->state = state;
}

void grpc_signed_in(struct grpc_call *call)
{
    struct grpc_connection *on = call->on;
    pthread_mutex_lock(&on->lock);
    bool is_first = !on->is_signed_in;
    on->is_signed_in = true;
    pthread_mutex_unlock(&on->lock);
    if (is_first) {
        connection_ready(on->wire);
    }
}
