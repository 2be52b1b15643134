#include "remote/transfer.h"

#include "base/clock.h"
#include "base/mem.h"

#define CONNECT_MS 15000L
#define KEEPALIVE_SECONDS 60L
#define POLL_MS 1000

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    buf_append(&transfer->in, bytes, size * count);
    return buf_failed(&transfer->in) ? 0 : size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    if (transfer->on_header != NULL) {
        transfer->on_header(transfer->context, (struct slice){bytes, size * count});
    }
    return size * count;
}

static bool set_options(struct transfer *transfer, const char *url, long version,
                        const struct transfer_sign_in *sign_in)
{
    const struct remote_address *address = transfer->remote->address;
    CURL *easy = transfer->easy;
    curl_easy_reset(easy);
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                         \
    code = code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_##option, value)
    SET(URL, url);
    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, version);
    if (version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE) {
        SET(FORBID_REUSE, 1L); /* libcurl 7.88 fails at the second request on such a connection */
    }
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, ""); /* none, whatever the environment says */
    SET(NETRC, (long)CURL_NETRC_IGNORED);
    SET(NOSIGNAL, 1L);
    SET(CONNECTTIMEOUT_MS, CONNECT_MS);
    SET(TCP_KEEPALIVE, 1L);
    SET(TCP_KEEPIDLE, KEEPALIVE_SECONDS);
    SET(TCP_KEEPINTVL, KEEPALIVE_SECONDS);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    if (address->ca_file != NULL) {
        SET(CAINFO, address->ca_file);
    }
    if (sign_in->secret != NULL && sign_in->user == NULL) {
        SET(HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(XOAUTH2_BEARER, sign_in->secret);
    } else if (sign_in->secret != NULL) {
        SET(HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(USERNAME, sign_in->user);
        SET(PASSWORD, sign_in->secret);
    }
    SET(USERAGENT, transfer->agent == NULL ? "moat" : transfer->agent);
    SET(HTTPHEADER, transfer->headers);
    SET(POST, 1L);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body.len);
    SET(POSTFIELDS, buf_cstr(&transfer->body));
    SET(WRITEFUNCTION, on_bytes);
    SET(WRITEDATA, transfer);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, transfer);
    SET(PRIVATE, transfer);
#undef SET
    return code == CURLE_OK;
}

bool transfer_add_header(struct transfer *transfer, const char *line)
{
    struct curl_slist *headers = curl_slist_append(transfer->headers, line);
    transfer->headers = headers == NULL ? transfer->headers : headers;
    return headers != NULL;
}

enum err transfer_begin(struct transfer *transfer, const char *url, long version,
                        const struct transfer_sign_in *sign_in, struct errinfo *info)
{
    if (buf_failed(&transfer->body) || !set_options(transfer, url, version, sign_in) ||
        curl_multi_add_handle(transfer->multi, transfer->easy) != CURLM_OK) {
        return errinfo_nomem(info);
    }
    transfer->is_sent = true;
    return ERR_OK;
}

long transfer_status(const struct transfer *transfer)
{
    long status = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static enum err broken(const struct transfer *transfer, struct errinfo *info)
{
    if (transfer_status(transfer) == 200) {
        (void)errinfo_set(info, ERR_IO, "08006",
                          "the rows ended before their end: the statement failed behind them, or "
                          "the connection was lost");
        errinfo_hint(info, "moat_system.queries says which, to who may read it.");
        return ERR_IO;
    }
    return errinfo_set(info, ERR_IO, "08001", "the server cannot be asked: %s",
                       curl_easy_strerror(transfer->code));
}

/* What is over, of all requests that the multi has. */
static void note_ends(CURLM *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct transfer *ended = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
        if (message->msg == CURLMSG_DONE && ended != NULL) {
            ended->is_done = true;
            ended->code = message->data.result;
        }
    }
}

static enum err check_time(const struct transfer *transfer, int *ret_wait_ms, struct errinfo *info)
{
    *ret_wait_ms = POLL_MS;
    if (!transfer->is_deaf && atomic_load(&transfer->remote->is_cancelled)) {
        return errinfo_set(info, ERR_CANCELLED, "57014", "the query was cancelled");
    }
    if (transfer->deadline_us == 0) {
        return ERR_OK;
    }
    int64_t left_us = transfer->deadline_us - clock_mono_us();
    if (left_us <= 0) {
        return errinfo_set(info, ERR_TIMEOUT, "57014", "the server has not answered in time");
    }
    *ret_wait_ms = left_us < POLL_MS * 1000 ? (int)(left_us / 1000) + 1 : POLL_MS;
    return ERR_OK;
}

enum err transfer_pump(struct transfer *transfer, struct errinfo *info)
{
    size_t before = transfer->in.len;
    while (!transfer->is_done && transfer->in.len == before) {
        int running, wait_ms;
        TRY(check_time(transfer, &wait_ms, info));
        if (curl_multi_perform(transfer->multi, &running) != CURLM_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "curl does not go on");
        }
        note_ends(transfer->multi);
        if (!transfer->is_done && transfer->in.len == before &&
            curl_multi_poll(transfer->multi, NULL, 0, wait_ms, NULL) != CURLM_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "curl does not wait");
        }
    }
    if (buf_failed(&transfer->in)) {
        return errinfo_nomem(info);
    }
    return transfer->is_done && transfer->code != CURLE_OK ? broken(transfer, info) : ERR_OK;
}

struct slice transfer_unread(const struct transfer *transfer)
{
    return (struct slice){buf_cstr(&transfer->in) + transfer->in_at,
                          transfer->in.len - transfer->in_at};
}

void transfer_take(struct transfer *transfer, size_t bytes)
{
    ASSERT(bytes <= transfer->in.len - transfer->in_at);
    transfer->in_at += bytes;
}

enum err transfer_want(struct transfer *transfer, uint64_t bytes, struct errinfo *info)
{
    struct buf *in = &transfer->in;
    if (bytes > TRANSFER_MESSAGE_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a message of the server is too large");
    }
    if (in->len - transfer->in_at >= bytes) {
        return ERR_OK;
    }
    if (transfer->in_at > 0) {
        memmove(in->ptr, in->ptr + transfer->in_at, in->len - transfer->in_at);
        in->len -= transfer->in_at;
        transfer->in_at = 0;
    }
    while (in->len < bytes && !transfer->is_done) {
        TRY(transfer_pump(transfer, info));
    }
    return ERR_OK;
}

void transfer_cut(struct transfer *transfer)
{
    if (transfer->is_sent) {
        (void)curl_multi_remove_handle(transfer->multi, transfer->easy);
        transfer->is_sent = false;
    }
}

void transfer_fini(struct transfer *transfer)
{
    transfer_cut(transfer);
    curl_slist_free_all(transfer->headers);
    buf_fini(&transfer->body);
    buf_fini(&transfer->in);
}
