/* One batch of requests over one lane, driven to its end by the thread that asked.
 *
 * Why not one thread that drives everything: a caller has to wait anyway, and a thread for each
 * person would cost more than the poll loop here. */
#include "fetch/fetch_int.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sweep.h"

#define CONNECT_MS_DEFAULT 5000
#define ERROR_BYTES_MAX 65536u /* kept of what comes with a status that is no success */
#define POLL_MS 1000
#define CANCEL_POLL_MS 50
#define ROOM_BYTES_FIRST 8192u
#define BUFFER_BYTES 262144L /* what the library reads at once, where the answer may be long */
#define BUFFER_BYTES_MIN 16384L

struct transfer {
    const struct fetch_request *request;
    struct fetch_answer *answer;
    CURL *easy;
    struct curl_slist *headers;
    struct secret method;
    struct secret url;
    size_t body_capacity;
    size_t head_capacity;
    uint64_t sunk_bytes;
    unsigned redirects;
    enum err failed; /* why a callback ended the transfer */
    bool is_added;
    bool is_done;
};

static void fail(struct transfer *transfer, enum err err, const char *why)
{
    transfer->answer->err = err;
    (void)snprintf(transfer->answer->why, sizeof(transfer->answer->why), "%s", why);
}

/* ---- what comes back ---- */

/* A larger copy; the smaller one is wiped. */
static bool append(struct secret *into, size_t *capacity, const char *bytes, size_t len)
{
    if (len > *capacity - into->len) {
        size_t room = *capacity == 0 ? ROOM_BYTES_FIRST : *capacity * 2;
        while (room - into->len < len) {
            room *= 2;
        }
        struct secret larger;
        if (!secret_new(room, &larger)) {
            return false;
        }
        if (into->len > 0) {
            memcpy(larger.ptr, into->ptr, into->len);
        }
        larger.len = into->len;
        secret_replace(into, &larger);
        *capacity = room;
    }
    memcpy(into->ptr + into->len, bytes, len);
    into->len += len;
    return true;
}

static long status_of(const struct transfer *transfer)
{
    long status = 0;
    return curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status
                                                                                          : 0;
}

static size_t keep(struct transfer *transfer, const char *bytes, size_t len)
{
    if (!append(&transfer->answer->body, &transfer->body_capacity, bytes, len)) {
        transfer->failed = ERR_NOMEM;
        return 0;
    }
    return len;
}

static size_t receive_body(char *bytes, size_t one, size_t count, void *context)
{
    struct transfer *transfer = context;
    const struct fetch_request *request = transfer->request;
    struct secret *body = &transfer->answer->body;
    size_t len = one * count; /* libcurl hands out 16 KiB at most */
    long status = status_of(transfer);
    if (status < 200 || status > 299) {
        size_t max =
            request->body_bytes_max > ERROR_BYTES_MAX ? request->body_bytes_max : ERROR_BYTES_MAX;
        size_t room = max - body->len;
        return keep(transfer, bytes, len < room ? len : room) == 0 && room > 0 ? 0 : len;
    }
    uint64_t before = request->sink != NULL ? transfer->sunk_bytes : body->len;
    if (len > request->body_bytes_max - before) {
        transfer->failed = ERR_LIMIT;
        return 0;
    }
    if (request->sink == NULL) {
        return keep(transfer, bytes, len);
    }
    if (!request->sink(request->sink_context, before, (struct slice){bytes, len})) {
        transfer->failed = ERR_CANCELLED;
        return 0;
    }
    transfer->sunk_bytes += len;
    return len;
}

static size_t receive_head(char *bytes, size_t one, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct secret *head = &transfer->answer->head;
    size_t len = one * count;
    if (slice_starts_with((struct slice){bytes, len}, SLICE("HTTP/"))) {
        if (head->len > 0) { /* of an interim answer */
            mem_wipe(head->ptr, head->len);
            head->len = 0;
        }
    }
    if (len > FETCH_HEAD_BYTES_MAX - head->len) {
        transfer->failed = ERR_LIMIT;
        return 0;
    }
    if (!append(head, &transfer->head_capacity, bytes, len)) {
        transfer->failed = ERR_NOMEM;
        return 0;
    }
    return len;
}

/* ---- what is sent ---- */

static bool add_line(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    transfer->headers = longer != NULL ? longer : transfer->headers;
    return longer != NULL;
}

/* A control character in a header would let whoever gave its value write headers of their own. */
static bool is_header_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return false;
        }
    }
    return true;
}

static enum err add_header(struct transfer *transfer, const struct fetch_header *header)
{
    struct secret line CLEANUP(secret_fini) = {0};
    if (header->name.len == 0 || !is_header_text(header->name) || !is_header_text(header->value) ||
        memchr(header->name.ptr, ':', header->name.len) != NULL) {
        return ERR_INVALID;
    }
    /* "name;" is how libcurl is told of an empty value */
    struct slice parts[3] = {header->name, header->value.len > 0 ? SLICE(": ") : SLICE(";"),
                             header->value};
    return secret_join(parts, ARRAY_COUNT(parts), &line) && add_line(transfer, line.ptr)
               ? ERR_OK
               : ERR_NOMEM;
}

static enum err add_headers(struct transfer *transfer)
{
    const struct fetch_request *request = transfer->request;
    bool has_type = false;
    for (size_t i = 0; i < request->header_count; i++) {
        has_type = has_type || slice_equal_fold(request->headers[i].name, SLICE("content-type"));
        TRY(add_header(transfer, &request->headers[i]));
    }
    bool is_added =
        add_line(transfer, "Expect:") && (has_type || add_line(transfer, "Content-Type:"));
    return is_added && curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) ==
                           CURLE_OK
               ? ERR_OK
               : ERR_NOMEM;
}

static bool set_safety(const struct fetch_pool *pool, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                            pool->plain == FETCH_TLS_ONLY ? "https" : "https,http") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, pool->proxy) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (pool->ca_file == NULL ||
            curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                            (long)(pool->is_http1 ? CURL_HTTP_VERSION_1_1
                                                  : CURL_HTTP_VERSION_2TLS)) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, pool->user_agent) == CURLE_OK;
}

static bool set_limits(const struct fetch_request *request, CURL *easy)
{
    int64_t connect_ms = request->connect_ms > 0 ? request->connect_ms : CONNECT_MS_DEFAULT;
    connect_ms = connect_ms < request->timeout_ms ? connect_ms : request->timeout_ms;
    long stall_s = (long)((request->stall_ms + 999) / 1000);
    long buffer_bytes = request->body_bytes_max > BUFFER_BYTES ? BUFFER_BYTES : BUFFER_BYTES_MIN;
    return curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, buffer_bytes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) == CURLE_OK &&
           (stall_s == 0 ||
            (curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, stall_s) == CURLE_OK)) &&
           curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->is_once ? 1L : 0L) == CURLE_OK &&
           (!request->accept_coded ||
            curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK);
}

static bool set_body(const struct transfer *transfer)
{
    const struct fetch_request *request = transfer->request;
    CURL *easy = transfer->easy;
    if (slice_equal(request->method, SLICE("HEAD"))) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    if (request->body.ptr != NULL && /* not copied by the library */
        (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) !=
             CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr) != CURLE_OK)) {
        return false;
    }
    return request->method.len == 0 ||
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method.ptr) == CURLE_OK;
}

static bool set_callbacks(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    return curl_easy_setopt(easy, CURLOPT_URL, transfer->url.ptr) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive_head) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)transfer) == CURLE_OK;
}

/* Ready to be added, or failed with the reason in its answer. */
static void prepare(const struct fetch_pool *pool, struct transfer *transfer)
{
    const struct fetch_request *request = transfer->request;
    ASSERT(request->timeout_ms > 0);
    if (!fetch_url_is_allowed(request->url, pool->plain)) {
        fail(transfer, ERR_DENIED, "the address is none that may be asked (TLS is needed)");
        return;
    }
    transfer->easy = curl_easy_init();
    enum err err = transfer->easy != NULL && secret_copy(request->url, &transfer->url) &&
                           secret_copy(request->method, &transfer->method) &&
                           set_safety(pool, transfer->easy) &&
                           set_limits(request, transfer->easy) && set_callbacks(transfer) &&
                           set_body(transfer)
                       ? add_headers(transfer)
                       : ERR_NOMEM;
    if (err == ERR_INVALID) {
        fail(transfer, err, "a header of the request has a control character");
    } else if (err != ERR_OK) {
        fail(transfer, err, "out of memory");
    } else if (fault_hit_io()) {
        fail(transfer, ERR_IO, "a fault of the test");
    }
}

/* ---- the end of a transfer ---- */

static void explain(struct transfer *transfer, CURLcode code)
{
    if (transfer->failed == ERR_LIMIT) {
        fail(transfer, ERR_LIMIT, "the answer is too long");
    } else if (transfer->failed == ERR_CANCELLED) {
        fail(transfer, ERR_CANCELLED, "cancelled");
    } else if (transfer->failed == ERR_NOMEM || code == CURLE_OUT_OF_MEMORY) {
        fail(transfer, ERR_NOMEM, "out of memory");
    } else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
               code == CURLE_SSL_ISSUER_ERROR) { /* trying again will not help */
        fail(transfer, ERR_DENIED, "its certificate is not trusted");
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        fail(transfer, ERR_TIMEOUT, "no answer in time");
    } else {
        fail(transfer, ERR_IO, curl_easy_strerror(code));
    }
}

/* Follows a redirection by adding the transfer again, if it may be followed. */
static bool redirect(const struct fetch_pool *pool, CURLM *multi, struct transfer *transfer)
{
    const struct fetch_request *request = transfer->request;
    bool is_read = request->method.len == 0 || slice_equal(request->method, SLICE("GET")) ||
                   slice_equal(request->method, SLICE("HEAD"));
    char *target = NULL;
    struct secret url CLEANUP(secret_fini) = {0};
    if (!is_read || transfer->redirects >= request->redirects_max ||
        curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &target) != CURLE_OK ||
        target == NULL || !fetch_url_is_allowed(slice_of(target), pool->plain) ||
        !fetch_url_is_same_origin(slice_of(target), secret_slice(&transfer->url)) ||
        !secret_copy(slice_of(target), &url)) {
        return false;
    }
    transfer->redirects++;
    secret_replace(&transfer->url, &url);
    secret_fini(&transfer->answer->body);
    transfer->body_capacity = 0;
    transfer->answer->status = 0;
    bool is_again = curl_easy_setopt(transfer->easy, CURLOPT_URL, transfer->url.ptr) == CURLE_OK &&
                    curl_multi_add_handle(multi, transfer->easy) == CURLM_OK;
    transfer->is_added = is_again;
    if (!is_again) {
        fail(transfer, ERR_NOMEM, "out of memory");
    }
    return is_again;
}

static void finish(const struct fetch_pool *pool, CURLM *multi, struct transfer *transfer,
                   CURLcode code)
{
    long sent = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    (void)curl_multi_remove_handle(multi, transfer->easy);
    transfer->is_added = false;
    transfer->answer->was_sent = sent > 0;
    if (code != CURLE_OK) {
        explain(transfer, code);
    } else {
        transfer->answer->status = status_of(transfer);
        if (redirect(pool, multi, transfer)) {
            return;
        }
    }
    transfer->is_done = true;
}

static void abandon(CURLM *multi, struct transfer *transfers, size_t count, enum err err)
{
    for (size_t i = 0; i < count; i++) {
        if (transfers[i].is_added) {
            long sent = 0;
            (void)curl_easy_getinfo(transfers[i].easy, CURLINFO_REQUEST_SIZE, &sent);
            (void)curl_multi_remove_handle(multi, transfers[i].easy);
            transfers[i].is_added = false;
            transfers[i].answer->was_sent = sent > 0;
            fail(&transfers[i], err, err == ERR_CANCELLED ? "cancelled" : "out of memory");
        }
    }
}

static bool is_cancelled(const struct transfer *transfers, size_t count, bool *ret_can_be)
{
    for (size_t i = 0; i < count; i++) {
        const struct fetch_request *request = transfers[i].request;
        *ret_can_be = *ret_can_be || request->is_cancelled != NULL;
        if (request->is_cancelled != NULL && request->is_cancelled(request->cancel_context)) {
            return true;
        }
    }
    return false;
}

static void drive(const struct fetch_pool *pool, CURLM *multi, struct transfer *transfers,
                  size_t count)
{
    for (;;) {
        int running = 0;
        int left = 0;
        bool can_be_cancelled = false;
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            abandon(multi, transfers, count, ERR_NOMEM);
            return;
        }
        bool is_any = running > 0;
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
            char *private = NULL;
            CURLcode code = message->data.result;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
            struct transfer *transfer = (struct transfer *)(void *)private;
            finish(pool, multi, transfer, code);
            is_any = is_any || transfer->is_added;
        }
        if (!is_any) {
            return;
        }
        if (is_cancelled(transfers, count, &can_be_cancelled)) {
            abandon(multi, transfers, count, ERR_CANCELLED);
            return;
        }
        (void)curl_multi_poll(multi, NULL, 0, can_be_cancelled ? CANCEL_POLL_MS : POLL_MS, NULL);
    }
}

/* ---- public ---- */

static void transfer_fini(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    for (struct curl_slist *item = transfer->headers; item != NULL; item = item->next) {
        mem_wipe(item->data, strlen(item->data));
    }
    curl_slist_free_all(transfer->headers);
    secret_fini(&transfer->url);
    secret_fini(&transfer->method);
}

enum err fetch_send_all(struct fetch_pool *pool, const struct fetch_request *requests, size_t count,
                        struct fetch_answer *ret_answers, struct errinfo *info)
{
    char origin[FETCH_ORIGIN_BYTES] = "";
    struct transfer *transfers CLEANUP(mem_free_cleanup) = mem_calloc(count, sizeof(*transfers));
    for (size_t i = 0; i < count; i++) {
        ret_answers[i] = (struct fetch_answer){0};
    }
    if (count == 0) {
        return ERR_OK;
    }
    if (!fetch__origin(requests[0].url, origin)) {
        origin[0] = '\0'; /* it will be refused */
    }
    struct fetch_lane *lane = transfers == NULL ? NULL : fetch__lane_take(pool, origin);
    if (lane == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct transfer *transfer = &transfers[i];
        transfer->request = &requests[i];
        transfer->answer = &ret_answers[i];
        prepare(pool, transfer);
        if (transfer->answer->err == ERR_OK) {
            transfer->is_added = curl_multi_add_handle(lane->multi, transfer->easy) == CURLM_OK;
            if (!transfer->is_added) {
                fail(transfer, ERR_NOMEM, "out of memory");
            }
        }
    }
    drive(pool, lane->multi, transfers, count);
    for (size_t i = 0; i < count; i++) {
        transfer_fini(&transfers[i]);
    }
    fetch__lane_give(pool, lane);
    return ERR_OK;
}

enum err fetch_report(const struct fetch_pool *pool, const struct fetch_answer *answer,
                      struct errinfo *info)
{
    ASSERT(answer->err != ERR_OK);
    if (answer->err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    (void)errinfo_set(info, answer->err, NULL,
                      answer->err == ERR_DENIED || answer->err == ERR_INVALID
                          ? "%s cannot be asked: %s"
                      : answer->err == ERR_LIMIT ? "%s does not answer as it should: %s"
                                                 : "%s does not answer: %s",
                      pool->peer, answer->why);
    return answer->err;
}

enum err fetch_send(struct fetch_pool *pool, const struct fetch_request *request,
                    struct fetch_answer *ret_answer, struct errinfo *info)
{
    TRY(fetch_send_all(pool, request, 1, ret_answer, info));
    return ret_answer->err == ERR_OK ? ERR_OK : fetch_report(pool, ret_answer, info);
}

void fetch_answer_fini(struct fetch_answer *answer)
{
    secret_fini(&answer->body);
    secret_fini(&answer->head);
    *answer = (struct fetch_answer){0};
}
