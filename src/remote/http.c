/* SQL over HTTP: a statement is a request, its rows an Arrow stream. A cancel is a request that
 * ends early: the server stops what nobody reads any more. */
#include "arrow/ipc_read.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "remote/transfer.h"

#define ERROR_BYTES_MAX 65536u
#define AGENT_BYTES 8u
#define FRAME_BYTES 8u /* of a message: a mark, and how long its metadata is */

struct http {
    CURLM *multi;
    CURL *easy;
    struct secret sign_in; /* of Authorization */
    char *user;            /* NULL: a token */
    char *url;
    char agent[sizeof("moat ") + 2 * AGENT_BYTES]; /* by which its statements are found */
};

/* One request. */
struct call {
    struct transfer transfer;
    struct ipc_reader *reader;
    char type[64];
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
    uint8_t random[AGENT_BYTES];
    (void)snprintf(http->agent, sizeof(http->agent), "moat");
    if (options->is_watched && random_bytes(random, sizeof(random)) == ERR_OK) {
        http->agent[4] = ' ';
        hash_hex(random, sizeof(random), http->agent + 5);
    }
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

static bool take_header(struct slice line, struct slice name, char *ret_text, size_t room)
{
    if (!slice_starts_with_fold(line, name)) {
        return false;
    }
    struct slice value = slice_trim((struct slice){line.ptr + name.len, line.len - name.len});
    (void)snprintf(ret_text, room, "%.*s", SLICE_ARGS(value));
    return true;
}

static void on_header(void *context, struct slice line)
{
    struct remote_answer *answer = context;
    struct call *call = answer->state;
    (void)(take_header(line, SLICE("x-moat-tag:"), answer->tag, sizeof(answer->tag)) ||
           take_header(line, SLICE("x-moat-notice:"), answer->notice, sizeof(answer->notice)) ||
           take_header(line, SLICE("content-type:"), call->type, sizeof(call->type)));
}

static uint32_t number_at(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The next message of the stream; `ret_is_end`: there is none. */
static enum err next_message(struct call *call, struct ArrowArray *ret_batch, bool *ret_is_end,
                             struct errinfo *info)
{
    struct transfer *transfer = &call->transfer;
    uint64_t body_len;
    ret_batch->release = NULL;
    TRY(transfer_want(transfer, FRAME_BYTES, info));
    struct slice in = transfer_unread(transfer);
    *ret_is_end = in.len == 0 || (in.len >= FRAME_BYTES && number_at(in.ptr + 4) == 0);
    if (*ret_is_end) {
        return ERR_OK;
    }
    size_t metadata_len = in.len < FRAME_BYTES ? 0 : number_at(in.ptr + 4);
    TRY(transfer_want(transfer, (uint64_t)metadata_len + FRAME_BYTES, info));
    in = transfer_unread(transfer);
    if (metadata_len == 0 || in.len < metadata_len + FRAME_BYTES ||
        number_at(in.ptr) != UINT32_MAX) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer is no Arrow stream");
    }
    TRY(ipc_body_bytes((struct slice){in.ptr + FRAME_BYTES, metadata_len}, &body_len, info));
    uint64_t total = metadata_len + FRAME_BYTES + body_len;
    TRY(transfer_want(transfer, total, info));
    in = transfer_unread(transfer);
    if (in.len < total) {
        return errinfo_set(info, ERR_IO, "08P01", "the server's answer ends within a message");
    }
    struct slice metadata = {in.ptr + FRAME_BYTES, metadata_len};
    struct slice body = {metadata.ptr + metadata_len, (size_t)body_len};
    TRY(ipc_reader_feed(call->reader, metadata, body, ret_batch, info));
    transfer_take(transfer, (size_t)total);
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

static enum err begin(struct remote *remote, struct remote_answer *answer, struct errinfo *info)
{
    struct http *http = remote->state;
    struct call *call = mem_calloc(1, sizeof(*call));
    if (call == NULL) {
        return errinfo_nomem(info);
    }
    answer->state = call;
    struct transfer *transfer = &call->transfer;
    *transfer = (struct transfer){.remote = remote,
                                  .multi = http->multi,
                                  .easy = http->easy,
                                  .agent = http->agent,
                                  .on_header = on_header,
                                  .context = answer};
    print_request(&transfer->body, answer);
    if (!transfer_add_header(transfer, "Content-Type: application/json")) {
        return errinfo_nomem(info);
    }
    TRY(ipc_reader_new(&call->reader, info));
    const struct transfer_sign_in sign_in = {http->user, http->sign_in.ptr};
    return transfer_begin(transfer, http->url, CURL_HTTP_VERSION_1_1, &sign_in, info);
}

/* {"error": {"sqlstate", "message", "detail", "hint", "position"}} */
static enum err report(struct remote_answer *answer, long status, struct errinfo *info)
{
    struct call *call = answer->state;
    struct transfer *transfer = &call->transfer;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "error", 1 << 20);
    struct json *root = NULL;
    uint64_t character;
    TRY(transfer_want(transfer, ERROR_BYTES_MAX, info));
    bool is_json = slice_starts_with_fold(slice_of(call->type), SLICE("application/json"));
    const struct json *error = NULL;
    if (arena != NULL && is_json &&
        json_parse(arena, transfer_unread(transfer), NULL, &root, NULL) == ERR_OK) {
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
    struct ArrowArray none;
    bool is_end;
    TRY(begin(remote, answer, info));
    struct call *call = answer->state;
    TRY(transfer_pump(&call->transfer, info));
    long status = transfer_status(&call->transfer);
    if (status != 200) {
        return report(answer, status, info);
    }
    TRY(next_message(call, &none, &is_end, info));
    answer->is_over = is_end; /* a statement without rows */
    answer->schema = is_end ? NULL : ipc_reader_schema(call->reader);
    return ERR_OK;
}

static enum err http_next(UNUSED struct remote *remote, struct remote_answer *answer,
                          struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct call *call = answer->state;
    bool is_end = false;
    do { /* dictionaries are messages too */
        TRY(next_message(call, ret_batch, &is_end, info));
    } while (!is_end && ret_batch->release == NULL);
    while (is_end && !call->transfer.is_done) { /* so that the connection can be used again */
        TRY(transfer_pump(&call->transfer, info));
    }
    answer->is_over = is_end;
    return ERR_OK;
}

/* What is not over is cut, and cancelled by that. */
static void http_end(UNUSED struct remote *remote, struct remote_answer *answer)
{
    struct call *call = answer->state;
    if (call != NULL) {
        transfer_fini(&call->transfer);
        ipc_reader_free(call->reader);
        mem_free(call);
    }
}

static void http_cancel(struct remote *remote)
{
    struct http *http = remote->state;
    (void)curl_multi_wakeup(http->multi);
}

/* Each statement has a session of its own, so they are found by what this program calls itself. */
static void http_print_own(const struct remote *remote, struct buf *out)
{
    const struct http *http = remote->state;
    buf_printf(out, "application_name = '%s'", http->agent);
}

const struct remote_ops remote_http = {
    .open = http_open,
    .close = http_close,
    .run = http_run,
    .next = http_next,
    .end = http_end,
    .cancel = http_cancel,
    .print_own = http_print_own,
};
