/* HTTP/2 as gRPC uses it: nghttp2's callbacks, and sending.
 *
 * Data go out by NO_COPY: a frame's bytes are copied once, out of the message into what is sent.
 * nghttp2 would else fill the whole window of a client at once (measured: 1.3 MB a stream). */
#include "base/mem.h"
#include "wire/grpc/grpc_int.h"

#define FRAME_BYTES_MAX 65536u
#define FRAME_HEAD_BYTES 9u
#define RESETS_BURST 200 /* of a client that opens calls to reset them (CVE-2023-44487) */
#define RESETS_A_SECOND 50

/* ---- in ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct grpc_connection *on = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0;
    }
    unsigned count = atomic_load(&on->call_count);
    bool is_stranger = !on->is_signed_in && count >= GRPC_STREAMS_MAX_STRANGER;
    struct grpc_call *call = is_stranger ? NULL : grpc__call_new(on, frame->hd.stream_id);
    if (call == NULL) { /* nothing was done for it: clients may ask again */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    (void)flags;
    (void)context;
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call == NULL || call->is_dispatched) {
        return 0; /* trailers of a request: gRPC has none */
    }
    if (call->field_count == GRPC_FIELDS_MAX ||
        call->field_bytes.len + name_len + value_len > GRPC_FIELD_BYTES_MAX) {
        call->is_refused = true;
        return 0;
    }
    struct grpc_field *field = &call->fields[call->field_count++];
    field->name_at = call->field_bytes.len;
    field->name_len = name_len;
    buf_append(&call->field_bytes, name, name_len);
    field->value_at = call->field_bytes.len;
    field->value_len = value_len;
    buf_append(&call->field_bytes, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *context)
{
    (void)flags;
    struct grpc_connection *on = context;
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream_id);
    if (call == NULL || call->is_finished) {
        return nghttp2_session_consume(session, stream_id, len) == 0 ? 0
                                                                     : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    buf_append(&call->in, data, len);
    call->unconsumed += len;
    if (buf_failed(&call->in)) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    pthread_cond_broadcast(&on->changed);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct grpc_connection *on = context;
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call == NULL) {
        return 0;
    }
    bool is_head = frame->hd.type == NGHTTP2_HEADERS;
    if ((is_head || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        call->is_in_ended = true;
        pthread_cond_broadcast(&on->changed);
    }
    if (is_head && !call->is_dispatched) {
        grpc__call_dispatch(call);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code,
                           void *context)
{
    (void)code;
    struct grpc_connection *on = context;
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream_id);
    if (call == NULL) {
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, stream_id, NULL);
    (void)nghttp2_session_consume_connection(session, call->unconsumed);
    call->unconsumed = 0;
    call->is_closed = true;
    if (!call->is_finished) {
        grpc__call_end(call, GRPC_END_CLIENT);
    }
    pthread_cond_broadcast(&on->changed);
    grpc__call_settle(call);
    return 0;
}

void grpc__consume(struct grpc_call *call)
{
    if (call->unconsumed > 0 && !call->is_closed) {
        (void)nghttp2_session_consume(call->on->session, call->stream_id, call->unconsumed);
    }
    call->unconsumed = 0;
}

/* ---- out ---- */

static nghttp2_nv field_of(struct slice name, struct slice value)
{
    union {
        const char *in;
        uint8_t *out; /* nghttp2 copies what it is given; its type does not say so */
    } name_bytes = {name.ptr}, value_bytes = {value.ptr};
    return (nghttp2_nv){name_bytes.out, value_bytes.out, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

static size_t add_texts(const struct grpc_text *texts, nghttp2_nv *fields, size_t count, size_t max)
{
    for (; texts != NULL && count < max; texts = texts->next) {
        fields[count++] = field_of(texts->name, texts->value);
    }
    return count;
}

#define ANSWER_FIELDS_MAX 32u

static size_t add_status(const struct grpc_call *call, nghttp2_nv *fields, size_t count,
                         char number[16])
{
    (void)snprintf(number, 16, "%u", (unsigned)call->status);
    fields[count++] = field_of(SLICE("grpc-status"), slice_of(number));
    if (call->status_text != NULL && call->status_text[0] != '\0') {
        fields[count++] = field_of(SLICE("grpc-message"), slice_of(call->status_text));
    }
    return add_texts(call->trailers, fields, count, ANSWER_FIELDS_MAX);
}

static ssize_t read_data(nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)buf;
    (void)context;
    struct grpc_call *call = source->ptr;
    if (call->out_bytes > 0) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        return (ssize_t)(call->out_bytes < len ? call->out_bytes : len);
    }
    if (!call->is_finished) {
        return NGHTTP2_ERR_DEFERRED;
    }
    nghttp2_nv fields[ANSWER_FIELDS_MAX];
    char number[16];
    size_t count = add_status(call, fields, 0, number);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    int status = nghttp2_submit_trailer(session, stream_id, fields, count);
    return status == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static ssize_t frame_length(nghttp2_session *session, uint8_t type, int32_t stream_id,
                            int32_t session_window, int32_t stream_window, uint32_t frame_max,
                            void *context)
{
    (void)session;
    (void)type;
    (void)stream_id;
    (void)context;
    int64_t len = session_window < stream_window ? session_window : stream_window;
    len = len < frame_max ? len : frame_max;
    return (ssize_t)(len < FRAME_BYTES_MAX ? len : FRAME_BYTES_MAX);
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *context)
{
    (void)session;
    struct grpc_connection *on = context;
    struct grpc_call *call = source->ptr;
    if (on->out.len >= GRPC_SEND_BYTES) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    ASSERT(frame->data.padlen == 0 && len <= call->out_bytes);
    if (buf_reserve(&on->out, FRAME_HEAD_BYTES + len) == NULL) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    buf_append(&on->out, head, FRAME_HEAD_BYTES);
    call->out_bytes -= len;
    while (len > 0) {
        struct grpc_part *part = call->out_first;
        size_t left = part->bytes.len - part->sent;
        size_t taken = left < len ? left : len;
        buf_append(&on->out, part->bytes.ptr + part->sent, taken);
        part->sent += taken;
        len -= taken;
        if (part->sent == part->bytes.len) {
            call->out_first = part->next;
            call->out_last = part->next == NULL ? NULL : call->out_last;
            buf_fini(&part->bytes);
            mem_free(part);
        }
    }
    if (call->out_bytes < GRPC_OUT_BYTES_MAX / 2) {
        pthread_cond_broadcast(&on->changed);
    }
    return 0;
}

/* What a client still sends behind its status is not read: it is told. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool is_end =
        frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (call != NULL && is_end) {
        call->is_end_out = true;
    }
    if (call != NULL && is_end && !call->is_in_ended) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    }
    return 0;
}

void grpc__submit_head(struct grpc_call *call)
{
    nghttp2_nv fields[ANSWER_FIELDS_MAX];
    size_t count = 0;
    fields[count++] = field_of(SLICE(":status"), SLICE("200"));
    fields[count++] = field_of(SLICE("content-type"), SLICE("application/grpc"));
    fields[count++] = field_of(SLICE("grpc-accept-encoding"), SLICE("identity"));
    count = add_texts(call->headers, fields, count, ANSWER_FIELDS_MAX);
    nghttp2_data_provider provider = {.source = {.ptr = call}, .read_callback = read_data};
    call->is_begun = true;
    if (nghttp2_submit_response(call->on->session, call->stream_id, fields, count, &provider) !=
        0) {
        (void)nghttp2_submit_rst_stream(call->on->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                        NGHTTP2_INTERNAL_ERROR);
    }
}

void grpc__submit_status(struct grpc_call *call)
{
    nghttp2_nv fields[ANSWER_FIELDS_MAX];
    char number[16];
    size_t count = 0;
    fields[count++] = field_of(SLICE(":status"), SLICE("200"));
    fields[count++] = field_of(SLICE("content-type"), SLICE("application/grpc"));
    count = add_texts(call->headers, fields, count, ANSWER_FIELDS_MAX / 2);
    count = add_status(call, fields, count, number);
    call->is_begun = true;
    if (nghttp2_submit_response(call->on->session, call->stream_id, fields, count, NULL) != 0) {
        (void)nghttp2_submit_rst_stream(call->on->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                        NGHTTP2_INTERNAL_ERROR);
    }
}

void grpc__resume(struct grpc_call *call)
{
    if (!call->is_closed) {
        (void)nghttp2_session_resume_data(call->on->session, call->stream_id);
    }
}

void grpc__give_up(struct grpc_call *call)
{
    (void)nghttp2_submit_rst_stream(call->on->session, NGHTTP2_FLAG_NONE, call->stream_id,
                                    NGHTTP2_CANCEL);
}

/* ---- sending ---- */

static void fill(struct grpc_connection *on)
{
    while (on->out.len < GRPC_SEND_BYTES) {
        const uint8_t *bytes;
        ssize_t len = nghttp2_session_mem_send(on->session, &bytes);
        if (len < 0 || buf_failed(&on->out)) {
            on->is_broken = true;
            return;
        }
        if (len == 0) {
            return;
        }
        buf_append(&on->out, bytes, (size_t)len);
    }
}

static bool has_room(struct grpc_connection *on)
{
    pthread_mutex_unlock(&on->lock);
    bool has = connection_has_room(on->wire);
    pthread_mutex_lock(&on->lock);
    return has;
}

static void note_sent(struct grpc_connection *on, bool is_written)
{
    for (struct grpc_call *call = on->calls; is_written && call != NULL; call = call->next) {
        call->is_sent = call->is_end_out;
    }
}

void grpc__flush(struct grpc_connection *on, bool may_wait)
{
    if (on->is_sending) {
        return; /* who sends looks again */
    }
    on->is_sending = true;
    on->is_sender_wanted = false;
    while (!on->is_broken) {
        if (!may_wait && on->thread_count > 0 && !has_room(on)) {
            on->is_sender_wanted = true;
            break;
        }
        fill(on);
        if (on->out.len == 0 || on->is_broken) {
            break;
        }
        pthread_mutex_unlock(&on->lock);
        enum err err = connection_write(on->wire, buf_slice(&on->out));
        buf_reset(&on->out);
        pthread_mutex_lock(&on->lock);
        on->is_broken = on->is_broken || err != ERR_OK;
        note_sent(on, err == ERR_OK);
    }
    on->is_sending = false;
    for (struct grpc_call *call = on->calls; on->is_broken && call != NULL; call = call->next) {
        if (!call->is_sent) {
            grpc__call_end(call, GRPC_END_CLIENT);
        }
    }
    pthread_cond_broadcast(&on->changed);
}

/* ---- opening ---- */

enum err grpc__callbacks(struct grpc_server *server, struct errinfo *info)
{
    if (nghttp2_session_callbacks_new(&server->callbacks) != 0 ||
        nghttp2_option_new(&server->nghttp2_options) != 0) {
        return errinfo_nomem(info);
    }
    nghttp2_session_callbacks *c = server->callbacks;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, frame_length);
    nghttp2_option *o = server->nghttp2_options;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_stream_reset_rate_limit(o, RESETS_BURST, RESETS_A_SECOND);
    nghttp2_option_set_max_settings(o, 32);
    nghttp2_option_set_max_continuations(o, 8);
    nghttp2_option_set_max_outbound_ack(o, 1000);
    return ERR_OK;
}

enum err grpc__session_open(struct grpc_connection *on, struct errinfo *info)
{
    const struct grpc_server *server = on->server;
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_FIELD_BYTES_MAX},
    };
    if (nghttp2_session_server_new2(&on->session, server->callbacks, on, server->nghttp2_options) !=
        0) {
        return errinfo_nomem(info);
    }
    if (nghttp2_submit_settings(on->session, NGHTTP2_FLAG_NONE, settings, ARRAY_COUNT(settings)) !=
            0 ||
        nghttp2_session_set_local_window_size(on->session, NGHTTP2_FLAG_NONE, 0,
                                              GRPC_CONNECTION_WINDOW_BYTES) != 0) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
