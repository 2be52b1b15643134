/* SQL over HTTP: a statement is a request, its rows an Arrow stream. A cancel is a request that
 * ends early: the server stops what nobody reads any more. */
#include <curl/curl.h>

#include "arrow/ipc_read.h"
#include "base/json.h"
#include "base/mem.h"
#include "remote/remote_int.h"

#define CONNECT_MS 15000L
#define ERROR_BYTES_MAX 65536u
#define MESSAGE_BYTES_MAX (1ull << 30)
#define POLL_MS 1000
#define FRAME_BYTES 8u /* of a message: a mark, and how long its metadata is */

struct http {
    CURLM *multi;
    CURL *easy;
    struct secret sign_in; /* of Authorization */
    char *user;            /* NULL: a token */
    char *url;
};

/* One request. */
struct call {
    struct curl_slist *headers;
    struct buf body; /* of the request */
    struct buf in;   /* what came and was not read */
    size_t in_at;
    struct ipc_reader *reader;
    char type[64];
    bool is_sent; /* the handle is with the multi */
    bool is_done;
    CURLcode code;
};

/* ---- the connection ---- */

static void http_close(struct remote *remote)
{
    struct http *http = remote->state;
    if (http->easy != NULL) {
        curl_easy_cleanup(http->easy);
    }
    if (http->multi != NULL) {
        (void)curl_multi_cleanup(http->multi);
    }
    secret_fini(&http->sign_in);
    mem_free(http->user);
    mem_free(http->url);
    mem_free(http);
}

static enum err open_handles(struct http *http, const struct remote_options *options,
                             struct errinfo *info)
{
    const struct remote_address *address = options->address;
    struct buf url CLEANUP(buf_fini) = {0};
    bool is_v6 = strchr(address->host, ':') != NULL;
    buf_printf(&url, "%s://%s%s%s:%u/v1/sql", address->is_tls ? "https" : "http", is_v6 ? "[" : "",
               address->host, is_v6 ? "]" : "", address->port);
    http->url = buf_take(&url);
    http->user = options->is_token ? NULL : mem_slicedup(options->user);
    http->multi = curl_multi_init();
    http->easy = curl_easy_init();
    bool has_all = http->url != NULL && http->multi != NULL && http->easy != NULL &&
                   (options->is_token || http->user != NULL) &&
                   secret_copy(options->secret, &http->sign_in);
    return has_all ? ERR_OK : errinfo_nomem(info);
}

static enum err http_open(struct remote *remote, const struct remote_options *options,
                          struct errinfo *info)
{
    struct http *http = mem_calloc(1, sizeof(*http));
    if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(http);
        return errinfo_nomem(info);
    }
    remote->state = http;
    return open_handles(http, options, info);
}

/* ---- what comes ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    buf_append(&call->in, bytes, size * count);
    return buf_failed(&call->in) ? 0 : size * count;
}

static bool take_header(struct slice line, struct slice name, char *ret_text, size_t room)
{
    if (!slice_starts_with_fold(line, name)) {
        return false;
    }
    struct slice value = slice_trim((struct slice){line.ptr + name.len, line.len - name.len});
    (void)snprintf(ret_text, room, "%.*s", SLICE_ARGS(value));
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct remote_answer *answer = context;
    struct call *call = answer->state;
    struct slice line = {bytes, size * count};
    (void)(take_header(line, SLICE("x-moat-tag:"), answer->tag, sizeof(answer->tag)) ||
           take_header(line, SLICE("x-moat-notice:"), answer->notice, sizeof(answer->notice)) ||
           take_header(line, SLICE("content-type:"), call->type, sizeof(call->type)));
    return line.len;
}

static enum err cancelled(struct errinfo *info)
{
    return errinfo_set(info, ERR_CANCELLED, "57014", "the query was cancelled");
}

static enum err broken(struct http *http, const struct call *call, struct errinfo *info)
{
    long status = 0;
    (void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        (void)errinfo_set(info, ERR_IO, "08006",
                          "the rows ended before their end: the statement failed behind them, or "
                          "the connection was lost");
        errinfo_hint(info, "moat_system.queries says which, to who may read it.");
        return ERR_IO;
    }
    return errinfo_set(info, ERR_IO, "08001", "the server cannot be asked: %s",
                       curl_easy_strerror(call->code));
}

/* Goes on until more has come, or the end. */
static enum err pump(struct remote *remote, struct call *call, struct errinfo *info)
{
    struct http *http = remote->state;
    size_t before = call->in.len;
    while (!call->is_done && call->in.len == before) {
        int running, left;
        CURLMsg *message;
        if (atomic_load(&remote->is_cancelled)) {
            return cancelled(info);
        }
        if (curl_multi_perform(http->multi, &running) != CURLM_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "curl does not go on");
        }
        while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
            if (message->msg == CURLMSG_DONE) {
                call->is_done = true;
                call->code = message->data.result;
            }
        }
        if (!call->is_done && call->in.len == before &&
            curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "curl does not wait");
        }
    }
    if (buf_failed(&call->in)) {
        return errinfo_nomem(info);
    }
    return call->is_done && call->code != CURLE_OK ? broken(http, call, info) : ERR_OK;
}

static struct slice unread(const struct call *call)
{
    return (struct slice){buf_cstr(&call->in) + call->in_at, call->in.len - call->in_at};
}

static enum err want(struct remote *remote, struct call *call, uint64_t bytes, struct errinfo *info)
{
    if (bytes > MESSAGE_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a batch of rows is too large");
    }
    if (call->in_at > 0) {
        memmove(call->in.ptr, call->in.ptr + call->in_at, call->in.len - call->in_at);
        call->in.len -= call->in_at;
        call->in_at = 0;
    }
    while (call->in.len < bytes && !call->is_done) {
        TRY(pump(remote, call, info));
    }
    return ERR_OK;
}

static uint32_t number_at(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The next message of the stream; `ret_is_end`: there is none. */
static enum err next_message(struct remote *remote, struct call *call, struct ArrowArray *ret_batch,
                             bool *ret_is_end, struct errinfo *info)
{
    uint64_t body_len;
    ret_batch->release = NULL;
    TRY(want(remote, call, FRAME_BYTES, info));
    struct slice in = unread(call);
    *ret_is_end = in.len == 0 || (in.len >= FRAME_BYTES && number_at(in.ptr + 4) == 0);
    if (*ret_is_end) {
        return ERR_OK;
    }
    size_t metadata_len = in.len < FRAME_BYTES ? 0 : number_at(in.ptr + 4);
    TRY(want(remote, call, (uint64_t)metadata_len + FRAME_BYTES, info));
    in = unread(call);
    if (metadata_len == 0 || in.len < metadata_len + FRAME_BYTES ||
        number_at(in.ptr) != UINT32_MAX) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer is no Arrow stream");
    }
    TRY(ipc_body_bytes((struct slice){in.ptr + FRAME_BYTES, metadata_len}, &body_len, info));
    uint64_t total = metadata_len + FRAME_BYTES + body_len;
    TRY(want(remote, call, total, info));
    in = unread(call);
    if (in.len < total) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer ends within a message");
    }
    struct slice metadata = {in.ptr + FRAME_BYTES, metadata_len};
    struct slice body = {metadata.ptr + metadata_len, (size_t)body_len};
    TRY(ipc_reader_feed(call->reader, metadata, body, ret_batch, info));
    call->in_at += (size_t)total;
    return ERR_OK;
}

/* ---- a statement ---- */

static void print_request(struct buf *out, const struct remote_answer *answer)
{
    const struct remote_address *address = answer->remote->address;
    buf_append_str(out, "{\"sql\":");
    json_write_string(out, (struct slice){answer->statement, answer->statement_len});
    buf_append_str(out, ",\"format\":\"arrow\"");
    if (address->catalog != NULL) {
        buf_append_str(out, ",\"session\":{\"catalog\":");
        json_write_string(out, slice_of(address->catalog));
        if (address->schema != NULL) {
            buf_append_str(out, ",\"schema\":");
            json_write_string(out, slice_of(address->schema));
        }
        buf_append_char(out, '}');
    }
    buf_append_char(out, '}');
}

static bool set_options(struct remote *remote, struct remote_answer *answer)
{
    struct http *http = remote->state;
    struct call *call = answer->state;
    const struct remote_address *address = remote->address;
    CURL *easy = http->easy;
    curl_easy_reset(easy);
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                         \
    code = code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_##option, value)
    SET(URL, http->url);
    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, ""); /* none, whatever the environment says */
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(NOSIGNAL, 1L);
    SET(CONNECTTIMEOUT_MS, CONNECT_MS);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    if (address->ca_file != NULL) {
        SET(CAINFO, address->ca_file);
    }
    if (http->user == NULL) {
        SET(HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(XOAUTH2_BEARER, http->sign_in.ptr);
    } else {
        SET(HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(USERNAME, http->user);
        SET(PASSWORD, http->sign_in.ptr);
    }
    SET(USERAGENT, "moat");
    SET(HTTPHEADER, call->headers);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
    SET(POSTFIELDS, call->body.ptr);
    SET(WRITEFUNCTION, on_bytes);
    SET(WRITEDATA, call);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, answer);
#undef SET
    return code == CURLE_OK;
}

static enum err begin(struct remote *remote, struct remote_answer *answer, struct errinfo *info)
{
    struct http *http = remote->state;
    struct call *call = mem_calloc(1, sizeof(*call));
    if (call == NULL) {
        return errinfo_nomem(info);
    }
    answer->state = call;
    print_request(&call->body, answer);
    call->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (buf_failed(&call->body) || call->headers == NULL || !set_options(remote, answer)) {
        return errinfo_nomem(info);
    }
    TRY(ipc_reader_new(&call->reader, info));
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK) {
        return errinfo_nomem(info);
    }
    call->is_sent = true;
    return ERR_OK;
}

/* {"error": {"sqlstate", "message", "detail", "hint", "position"}} */
static enum err report(struct remote *remote, struct remote_answer *answer, long status,
                       struct errinfo *info)
{
    struct call *call = answer->state;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "error", 1 << 20);
    struct json *root = NULL;
    uint64_t character;
    while (!call->is_done && call->in.len < ERROR_BYTES_MAX) {
        TRY(pump(remote, call, info));
    }
    bool is_json = slice_starts_with_fold(slice_of(call->type), SLICE("application/json"));
    const struct json *error = NULL;
    if (arena != NULL && is_json && json_parse(arena, unread(call), NULL, &root, NULL) == ERR_OK) {
        error = json_get(root, "error");
    }
    struct slice sqlstate = json_get_text(error, "sqlstate");
    if (sqlstate.len != 5) {
        (void)errinfo_set(info, ERR_IO, "08P01", "the server answers with status %ld", status);
        errinfo_hint(info, "Is it a server of Moat, and the port that of server.web_port?");
        return ERR_IO;
    }
    char state[6];
    (void)snprintf(state, sizeof(state), "%.*s", SLICE_ARGS(sqlstate));
    enum err code = remote__code(state);
    (void)errinfo_set(info, code, state, "%.*s", SLICE_ARGS(json_get_text(error, "message")));
    struct slice detail = json_get_text(error, "detail"), hint = json_get_text(error, "hint");
    if (detail.len > 0) {
        errinfo_detail(info, "%.*s", SLICE_ARGS(detail));
    }
    if (hint.len > 0) {
        errinfo_hint(info, "%.*s", SLICE_ARGS(hint));
    }
    if (json_to_u64(json_get(error, "position"), &character)) {
        struct slice statement = {answer->statement, answer->statement_len};
        errinfo_position(info, remote__position(statement, (size_t)character));
    }
    return code;
}

static enum err http_run(struct remote *remote, struct remote_answer *answer, struct errinfo *info)
{
    struct http *http = remote->state;
    struct ArrowArray none;
    bool is_end;
    long status = 0;
    TRY(begin(remote, answer, info));
    struct call *call = answer->state;
    TRY(pump(remote, call, info));
    (void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        return report(remote, answer, status, info);
    }
    TRY(next_message(remote, call, &none, &is_end, info));
    answer->is_over = is_end; /* a statement without rows */
    answer->schema = is_end ? NULL : ipc_reader_schema(call->reader);
    return ERR_OK;
}

static enum err http_next(struct remote *remote, struct remote_answer *answer,
                          struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct call *call = answer->state;
    bool is_end = false;
    do { /* dictionaries are messages too */
        TRY(next_message(remote, call, ret_batch, &is_end, info));
    } while (!is_end && ret_batch->release == NULL);
    while (is_end && !call->is_done) { /* so that the connection can be used again */
        TRY(pump(remote, call, info));
    }
    answer->is_over = is_end;
    return ERR_OK;
}

static void http_end(struct remote *remote, struct remote_answer *answer)
{
    struct http *http = remote->state;
    struct call *call = answer->state;
    if (call == NULL) {
        return;
    }
    if (call->is_sent) { /* what is not over is cut, and cancelled by that */
        (void)curl_multi_remove_handle(http->multi, http->easy);
    }
    ipc_reader_free(call->reader);
    curl_slist_free_all(call->headers);
    buf_fini(&call->body);
    buf_fini(&call->in);
    mem_free(call);
}

static void http_cancel(struct remote *remote)
{
    struct http *http = remote->state;
    (void)curl_multi_wakeup(http->multi);
}

const struct remote_ops remote_http = {
    .open = http_open,
    .close = http_close,
    .run = http_run,
    .next = http_next,
    .end = http_end,
    .cancel = http_cancel,
};
