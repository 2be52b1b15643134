/* A request out of bytes, by llhttp in its strict mode, with limits and a few rules of our own:
 * what two readers could understand differently is refused, not guessed. */
#include <llhttp.h>

#include "wire/http/http_int.h"

struct reading {
    struct http_parsed *parsed;
    const struct http_limits *limits;
    struct slice url;
    struct slice encoding; /* the value of Transfer-Encoding, if any */
    struct buf *chunks;
    size_t body_bytes;
    bool is_head_done;
    bool is_done;
};

static int wrong(struct reading *reading, unsigned status, const char *reason)
{
    if (reading->parsed->status == 0) {
        reading->parsed->status = status;
        reading->parsed->reason = reason;
    }
    return -1;
}

/* Parts of one thing come one behind the other in the input. */
static void extend(struct slice *slice, const char *at, size_t len)
{
    if (slice->len == 0) {
        slice->ptr = at;
    }
    slice->len = (size_t)(at - slice->ptr) + len;
}

static int on_method(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    extend(&reading->parsed->request.method, at, len);
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    extend(&reading->url, at, len);
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct http_request *request = &reading->parsed->request;
    if (reading->is_head_done) { /* a trailer: nothing of it is asked for */
        return 0;
    }
    struct http_field *last =
        request->field_count == 0 ? NULL : &request->fields[request->field_count - 1];
    if (last != NULL && last->value.ptr == NULL) {
        extend(&last->name, at, len);
        return 0;
    }
    if (request->field_count == HTTP_FIELDS_MAX) {
        return wrong(reading, 431, "too many header fields");
    }
    request->fields[request->field_count++] = (struct http_field){.name = {at, len}};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct http_request *request = &reading->parsed->request;
    if (reading->is_head_done) {
        return 0;
    }
    struct http_field *last = &request->fields[request->field_count - 1];
    if (last->value.ptr == NULL) {
        last->value = (struct slice){at, 0};
    }
    last->value.len = (size_t)(at - last->value.ptr) + len;
    return 0;
}

/* Also for an empty value, which on_value may not be called for. */
static int on_value_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    struct http_request *request = &reading->parsed->request;
    if (reading->is_head_done) {
        return 0;
    }
    struct http_field *last = &request->fields[request->field_count - 1];
    if (last->value.ptr == NULL) {
        last->value = (struct slice){"", 0};
    }
    last->value = slice_trim(last->value);
    return memchr(last->value.ptr, '\n', last->value.len) == NULL
               ? 0
               : wrong(reading, 400, "a header field of several lines");
}

static int check_fields(struct reading *reading, unsigned minor)
{
    struct http_request *request = &reading->parsed->request;
    unsigned hosts = 0;
    unsigned lengths = 0;
    unsigned encodings = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        hosts += slice_equal_fold(field->name, SLICE("host"));
        lengths += slice_equal_fold(field->name, SLICE("content-length"));
        if (slice_equal_fold(field->name, SLICE("transfer-encoding"))) {
            encodings++;
            reading->encoding = field->value;
        }
        if (slice_equal_fold(field->name, SLICE("expect"))) {
            if (!slice_equal_fold(field->value, SLICE("100-continue"))) {
                return wrong(reading, 417, "an expectation that is not known");
            }
            request->wants_continue = minor > 0;
        }
    }
    if (hosts > 1 || (hosts == 0 && minor > 0)) {
        return wrong(reading, 400, "there must be one Host");
    }
    if (lengths > 1) {
        return wrong(reading, 400, "there must be one Content-Length");
    }
    if (encodings > 0 && (lengths > 0 || minor == 0 || encodings > 1)) {
        return wrong(reading, 400, "the length of the body is said in two ways");
    }
    request->is_chunked = encodings == 1;
    return request->is_chunked && !slice_equal_fold(reading->encoding, SLICE("chunked"))
               ? wrong(reading, 501, "of transfer encodings only chunked is taken")
               : 0;
}

/* Origin form or absolute form: the host of the latter is not looked at. */
static bool split_url(struct http_request *request, struct slice url)
{
    size_t scheme = slice_find(url, SLICE("://"));
    if (url.len > 0 && url.ptr[0] != '/' && scheme != SIZE_MAX) {
        url = (struct slice){url.ptr + scheme + 3, url.len - scheme - 3};
        const char *slash = url.len == 0 ? NULL : memchr(url.ptr, '/', url.len);
        if (slash == NULL) {
            url = SLICE("/");
        } else {
            url = (struct slice){slash, url.len - (size_t)(slash - url.ptr)};
        }
    }
    if (url.len == 0 || url.ptr[0] != '/') {
        return false;
    }
    const char *mark = memchr(url.ptr, '?', url.len);
    size_t path_len = mark == NULL ? url.len : (size_t)(mark - url.ptr);
    request->path = (struct slice){url.ptr, path_len};
    request->query =
        mark == NULL ? (struct slice){"", 0} : (struct slice){mark + 1, url.len - path_len - 1};
    return true;
}

static int on_head(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    struct http_request *request = &reading->parsed->request;
    reading->is_head_done = true;
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return wrong(reading, 505, "the version must be HTTP/1.1 or 1.0");
    }
    request->is_old = parser->http_minor == 0;
    if (parser->method == HTTP_CONNECT || !split_url(request, reading->url)) {
        return wrong(reading, 400, "the target must be a path");
    }
    if (check_fields(reading, parser->http_minor) != 0) {
        return -1;
    }
    if (!request->is_chunked && parser->content_length > reading->limits->body_bytes_max) {
        return wrong(reading, 413, "the body is too long");
    }
    request->keeps_alive = llhttp_should_keep_alive(parser) != 0;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct http_request *request = &reading->parsed->request;
    reading->body_bytes += len;
    if (reading->body_bytes > reading->limits->body_bytes_max) {
        return wrong(reading, 413, "the body is too long");
    }
    if (!request->is_chunked) {
        extend(&request->body, at, len);
    } else if (reading->chunks != NULL) {
        buf_append(reading->chunks, at, len);
    }
    return 0;
}

static int on_done(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    reading->is_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_method = on_method,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

/* llhttp takes a line feed alone for the end of a line; others before us might not. */
static bool has_bare_line_feed(struct slice head)
{
    for (size_t i = 0; i < head.len; i++) {
        if (head.ptr[i] == '\n' && (i == 0 || head.ptr[i - 1] != '\r')) {
            return true;
        }
    }
    return false;
}

static bool is_chunked_too_long(const struct reading *reading, size_t used, size_t head_len)
{
    return reading->parsed->request.is_chunked && head_len != SIZE_MAX && used > head_len &&
           used - head_len > HTTP_CHUNKED_BYTES_MAX;
}

enum http_outcome http_request_parse(struct slice input, const struct http_limits *limits,
                                     struct buf *chunks, struct http_parsed *ret_parsed)
{
    struct reading reading = {.parsed = ret_parsed, .limits = limits, .chunks = chunks};
    llhttp_t parser;
    memset(ret_parsed, 0, sizeof(*ret_parsed));
    ret_parsed->request.query = ret_parsed->request.body = SLICE("");
    if (input.len > 0 && input.ptr[0] == 0x16) {
        (void)wrong(&reading, 400, "TLS is not spoken here");
        return HTTP_WRONG;
    }
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &reading;
    llhttp_errno_t code = llhttp_execute(&parser, input.ptr, input.len);
    size_t read = input.len;
    if (code != HPE_OK && llhttp_get_error_pos(&parser) != NULL) {
        read = (size_t)(llhttp_get_error_pos(&parser) - input.ptr);
    }
    size_t head_len = slice_find(input, SLICE("\r\n\r\n"));
    bool is_long = head_len == SIZE_MAX ? input.len > limits->head_bytes_max
                                        : head_len > limits->head_bytes_max;
    struct slice head = {input.ptr, head_len == SIZE_MAX ? input.len : head_len};
    if (is_long) {
        (void)wrong(&reading, 431, "the request's head is too long");
    } else if (has_bare_line_feed(head)) {
        (void)wrong(&reading, 400, "lines end with CR LF");
    } else if (!reading.is_done && code != HPE_OK) {
        (void)wrong(&reading, 400, "this is not an HTTP request");
    } else if (is_chunked_too_long(&reading, read, head_len)) {
        (void)wrong(&reading, 413, "a body in chunks is at most 1 MiB: send a length");
    }
    if (ret_parsed->status != 0) {
        return HTTP_WRONG;
    }
    if (reading.is_done) {
        ret_parsed->used = read;
        if (ret_parsed->request.is_chunked && chunks != NULL) {
            ret_parsed->request.body = buf_slice(chunks);
        }
        return HTTP_WHOLE;
    }
    ret_parsed->head_is_whole = reading.is_head_done;
    ret_parsed->need = input.len + 1;
    if (reading.is_head_done && !ret_parsed->request.is_chunked) { /* what is left is known */
        ret_parsed->need = input.len + (size_t)parser.content_length;
    }
    return HTTP_PARTIAL;
}
