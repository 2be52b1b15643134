/* Requests: whatever the bytes, views stay inside them, limits hold, and what is whole is so too
 * when it is cut in two and comes in parts. */
#include "base/fuzz.h"
#include "wire/http/http_int.h"

static bool is_inside(struct slice part, struct slice input)
{
    return part.len == 0 || (part.ptr >= input.ptr && part.ptr + part.len <= input.ptr + input.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_limits limits = {.head_bytes_max = 4096, .body_bytes_max = 1024};
    struct slice input = {(const char *)data, size};
    struct http_parsed parsed;
    struct buf chunks CLEANUP(buf_fini) = {0};
    enum http_outcome outcome = http_request_parse(input, &limits, &chunks, &parsed);
    const struct http_request *request = &parsed.request;
    (void)http_takes_gzip(input);
    switch (outcome) {
    case HTTP_WHOLE:
        ASSERT(parsed.used > 0 && parsed.used <= size && request->path.ptr[0] == '/');
        ASSERT(request->body.len <= limits.body_bytes_max);
        ASSERT(is_inside(request->path, input) || request->path.len == 1);
        ASSERT(is_inside(request->method, input));
        ASSERT(is_inside(request->body, request->is_chunked ? buf_slice(&chunks) : input));
        for (size_t i = 0; i < request->field_count; i++) {
            ASSERT(is_inside(request->fields[i].name, input) &&
                   is_inside(request->fields[i].value, input));
        }
        struct http_parsed part;
        size_t cut = parsed.used / 2;
        ASSERT(http_request_parse((struct slice){input.ptr, cut}, &limits, NULL, &part) ==
               HTTP_PARTIAL);
        ASSERT(part.need > cut && part.need <= parsed.used);
        break;
    case HTTP_PARTIAL:
        ASSERT(parsed.need > size && parsed.need - size <= limits.body_bytes_max + 1);
        ASSERT(chunks.len <= limits.body_bytes_max);
        break;
    case HTTP_WRONG:
        ASSERT(parsed.status >= 400 && parsed.reason != NULL);
        break;
    }
    return 0;
}
