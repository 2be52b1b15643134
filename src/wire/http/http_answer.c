/* Answers: whole ones with their length, and those in parts. Both in gzip where the route and the
 * client will have it: a part is flushed, so that its rows are there when they are sent. */
#include "wire/http/http.h"

#include "base/mem.h"
#include "wire/http/http_int.h"

#define GZIP_BYTES_MIN 512u /* below, the answer would hardly get shorter */
#define GZIP_LEVEL 1        /* what is streamed is to be sent, not to be small */
#define GZIP_WINDOW (15 + 16)
#define SMALL_PART_BYTES 65536u

const char *http_status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Status";
}

/* ---- codings ---- */

/* The next member of a list, trimmed, up to `end`; false when there is none. */
static bool next_member(struct slice *rest, char end, struct slice *ret_member)
{
    if (rest->len == 0) {
        return false;
    }
    const char *at = memchr(rest->ptr, end, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->ptr);
    *ret_member = slice_trim((struct slice){rest->ptr, len});
    size_t used = at == NULL ? len : len + 1;
    rest->ptr += used;
    rest->len -= used;
    return true;
}

/* "q=0", "q=0.0", "q=0.000": not acceptable. */
static bool is_refused(struct slice parameters)
{
    struct slice parameter;
    while (next_member(&parameters, ';', &parameter)) {
        if (slice_starts_with_fold(parameter, SLICE("q="))) {
            for (size_t i = 2; i < parameter.len; i++) {
                if (parameter.ptr[i] != '0' && parameter.ptr[i] != '.') {
                    return false;
                }
            }
            return true;
        }
    }
    return false;
}

bool http_takes_gzip(struct slice accept_encoding)
{
    struct slice member, name;
    bool takes_any = false;
    while (next_member(&accept_encoding, ',', &member)) {
        struct slice rest = member;
        if (!next_member(&rest, ';', &name)) {
            continue;
        }
        if (slice_equal_fold(name, SLICE("gzip"))) {
            return !is_refused(rest);
        }
        takes_any = takes_any || (slice_equal(name, SLICE("*")) && !is_refused(rest));
    }
    return takes_any;
}

static void *zip_alloc(UNUSED void *context, unsigned count, unsigned size)
{
    return mem_calloc(count, size);
}

static void zip_free(UNUSED void *context, void *ptr)
{
    mem_free(ptr);
}

/* Without the memory for it, it goes as it is. */
static void start_gzip(struct http_exchange *exchange)
{
    struct slice accepted;
    if (!exchange->wants_gzip || exchange->is_head ||
        !http_field(exchange, SLICE("accept-encoding"), &accepted) || !http_takes_gzip(accepted)) {
        return;
    }
    exchange->zip = (z_stream){.zalloc = zip_alloc, .zfree = zip_free};
    exchange->is_gzip = deflateInit2(&exchange->zip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8,
                                     Z_DEFAULT_STRATEGY) == Z_OK;
    if (exchange->is_gzip) {
        http_header(exchange, "Content-Encoding", SLICE("gzip"));
    }
}

static void zip(struct http_exchange *exchange, struct slice part, int flush, struct buf *out)
{
    z_stream *stream = &exchange->zip;
    stream->next_in = (Bytef *)(uintptr_t)part.ptr;
    stream->avail_in = (uInt)part.len;
    do {
        char *room = buf_reserve(out, 16384);
        if (room == NULL) {
            return;
        }
        stream->next_out = (Bytef *)room;
        stream->avail_out = 16384;
        (void)deflate(stream, flush);
        out->len += 16384u - stream->avail_out;
    } while (stream->avail_out == 0);
}

/* ---- heads ---- */

void http_header(struct http_exchange *exchange, const char *name, struct slice value)
{
    ASSERT(exchange->phase == HTTP_PHASE_NONE);
    buf_printf(&exchange->headers, "%s: ", name);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char byte = (unsigned char)value.ptr[i];
        if (byte >= 0x20 && byte != 0x7F) {
            buf_append_char(&exchange->headers, value.ptr[i]);
        }
    }
    buf_append_str(&exchange->headers, "\r\n");
}

void http_last(struct http_exchange *exchange)
{
    exchange->is_last = true;
}

void http_compress(struct http_exchange *exchange)
{
    ASSERT(exchange->phase == HTTP_PHASE_NONE);
    if (!exchange->wants_gzip) {
        exchange->wants_gzip = true;
        http_header(exchange, "Vary", SLICE("Accept-Encoding"));
    }
}

void http__exchange_fini(struct http_exchange *exchange)
{
    if (exchange->is_gzip) {
        (void)deflateEnd(&exchange->zip);
        exchange->is_gzip = false;
    }
    buf_fini(&exchange->headers);
}

/* What is shown is of now, and for who asked; a browser is to make nothing else of it. */
void http__put_head(struct buf *out, unsigned status, const char *content_type, bool is_last,
                    const struct buf *headers)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
    if (content_type != NULL) {
        buf_printf(out, "Content-Type: %s\r\n", content_type);
    }
    buf_append_str(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    if (is_last) {
        buf_append_str(out, "Connection: close\r\n");
    }
    if (headers != NULL) {
        buf_append_slice(out, buf_slice(headers));
        out->failed = out->failed || buf_failed(headers);
    }
}

/* ---- answers ---- */

static enum err send(struct http_exchange *exchange, const struct buf *out)
{
    enum err err =
        buf_failed(out) ? ERR_NOMEM : connection_write(exchange->on->connection, buf_slice(out));
    exchange->is_last = exchange->is_last || err != ERR_OK;
    return err;
}

static size_t sum_of(const struct slice *parts, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += parts[i].len;
    }
    return sum;
}

void http_reply_parts(struct http_exchange *exchange, unsigned status, const char *content_type,
                      const struct slice *parts, size_t part_count)
{
    ASSERT(exchange->phase == HTTP_PHASE_NONE);
    struct buf out CLEANUP(buf_fini) = {0};
    struct buf zipped CLEANUP(buf_fini) = {0};
    struct slice whole;
    size_t body_len = sum_of(parts, part_count);
    if (body_len >= GZIP_BYTES_MIN) {
        start_gzip(exchange);
    }
    if (exchange->is_gzip) {
        for (size_t i = 0; i < part_count; i++) {
            zip(exchange, parts[i], i + 1 == part_count ? Z_FINISH : Z_NO_FLUSH, &zipped);
        }
        out.failed = buf_failed(&zipped);
        whole = buf_slice(&zipped);
        body_len = whole.len;
        parts = &whole;
        part_count = 1;
    }
    http__put_head(&out, status, content_type, exchange->is_last, &exchange->headers);
    if (status == 204) {
        buf_append_str(&out, "\r\n");
    } else {
        buf_printf(&out, "Content-Length: %zu\r\n\r\n", body_len);
    }
    enum err err = ERR_OK;
    for (size_t i = 0; i < part_count && !exchange->is_head && status != 204; i++) {
        if (parts[i].len < SMALL_PART_BYTES) { /* with others, in one write */
            buf_append_slice(&out, parts[i]);
            continue;
        }
        err = err == ERR_OK ? send(exchange, &out) : err;
        buf_reset(&out);
        err = err == ERR_OK ? connection_write(exchange->on->connection, parts[i]) : err;
    }
    exchange->phase = HTTP_PHASE_DONE;
    err = err == ERR_OK && out.len > 0 ? send(exchange, &out) : err;
    exchange->is_last = exchange->is_last || err != ERR_OK; /* who is gone will ask nothing more */
}

void http_reply(struct http_exchange *exchange, unsigned status, const char *content_type,
                struct slice body)
{
    http_reply_parts(exchange, status, content_type, &body, 1);
}

void http_switch(struct http_exchange *exchange, const char *protocol,
                 const struct http_upgrade *upgrade, void *context)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct http_connection *on = exchange->on;
    ASSERT(exchange->phase == HTTP_PHASE_NONE && !exchange->is_last && on->upgrade == NULL);
    on->upgraded = context;
    on->upgrade = upgrade;
    exchange->phase = HTTP_PHASE_DONE;
    buf_printf(&out, "HTTP/1.1 101 %s\r\nUpgrade: %s\r\nConnection: Upgrade\r\n",
               http_status_text(101), protocol);
    buf_append_slice(&out, buf_slice(&exchange->headers));
    buf_append_str(&out, "\r\n");
    out.failed = out.failed || buf_failed(&exchange->headers);
    enum err ignored = send(exchange, &out); /* who is gone is closed */
    (void)ignored;
}

void http__say(struct http_exchange *exchange, unsigned status, const char *reason)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_printf(&text, "%s\n", reason);
    http_reply(exchange, status, "text/plain; charset=utf-8", buf_slice(&text));
}

enum err http_begin(struct http_exchange *exchange, unsigned status, const char *content_type)
{
    ASSERT(exchange->phase == HTTP_PHASE_NONE);
    struct buf out CLEANUP(buf_fini) = {0};
    bool is_old = exchange->request->is_old;
    exchange->is_last = exchange->is_last || is_old; /* its end is the end of the connection */
    start_gzip(exchange);
    http__put_head(&out, status, content_type, exchange->is_last, &exchange->headers);
    buf_append_str(&out, is_old ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
    exchange->phase = HTTP_PHASE_PARTS;
    return send(exchange, &out);
}

static enum err send_part(struct http_exchange *exchange, struct slice part)
{
    struct buf out CLEANUP(buf_fini) = {0};
    if (part.len == 0 || exchange->is_head) { /* a chunk of nothing would be the end */
        return ERR_OK;
    }
    bool is_old = exchange->request->is_old;
    if (!is_old) {
        buf_printf(&out, "%zx\r\n", part.len);
    }
    buf_append_slice(&out, part);
    buf_append_str(&out, is_old ? "" : "\r\n");
    return send(exchange, &out);
}

static enum err zip_part(struct http_exchange *exchange, struct slice part, int flush)
{
    struct buf zipped CLEANUP(buf_fini) = {0};
    zip(exchange, part, flush, &zipped);
    return buf_failed(&zipped) ? ERR_NOMEM : send_part(exchange, buf_slice(&zipped));
}

enum err http_write(struct http_exchange *exchange, struct slice part)
{
    ASSERT(exchange->phase == HTTP_PHASE_PARTS);
    if (!exchange->is_gzip) {
        return send_part(exchange, part);
    }
    return part.len == 0 ? ERR_OK : zip_part(exchange, part, Z_SYNC_FLUSH);
}

enum err http_end(struct http_exchange *exchange)
{
    ASSERT(exchange->phase == HTTP_PHASE_PARTS);
    struct buf out CLEANUP(buf_fini) = {0};
    exchange->phase = HTTP_PHASE_DONE;
    if (exchange->is_gzip) {
        TRY(zip_part(exchange, SLICE(""), Z_FINISH));
    }
    if (exchange->request->is_old || exchange->is_head) {
        return ERR_OK;
    }
    buf_append_str(&out, "0\r\n\r\n");
    return send(exchange, &out);
}

void http_abort(struct http_exchange *exchange)
{
    ASSERT(exchange->phase == HTTP_PHASE_PARTS);
    exchange->phase = HTTP_PHASE_DONE;
    exchange->is_last = true;
}
