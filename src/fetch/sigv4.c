/* AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"). Ours, because
 * libcurl's CURLOPT_AWS_SIGV4 of 7.88 signs neither a session token nor a query in its order. */
#include "fetch/sigv4.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

struct slice sigv4_host(struct slice url)
{
    size_t mark = slice_find(url, SLICE("://"));
    if (mark == SIZE_MAX) {
        return (struct slice){0};
    }
    struct slice scheme = {url.ptr, mark};
    struct slice host = {url.ptr + mark + 3, 0};
    while (host.len < url.len - mark - 3 && strchr("/?#", host.ptr[host.len]) == NULL) {
        host.len++;
    }
    struct slice port = slice_equal_fold(scheme, SLICE("https")) ? SLICE(":443") : SLICE(":80");
    host.len -= slice_ends_with(host, port) ? port.len : 0;
    return host;
}

void sigv4_format_time(int64_t wall_us, char ret_time[SIGV4_TIME_BYTES])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    ASSERT(gmtime_r(&seconds, &parts) != NULL);
    ASSERT(strftime(ret_time, SIGV4_TIME_BYTES, "%Y%m%dT%H%M%SZ", &parts) == SIGV4_TIME_BYTES - 1);
}

/* Names joined by ";". */
static void append_names(const struct sigv4_request *request, struct buf *out)
{
    for (size_t i = 0; i < request->header_count; i++) {
        buf_append_str(out, i == 0 ? "" : ";");
        buf_append_slice(out, request->headers[i].name);
    }
}

/* Without white space at the ends; runs of spaces inside become one. */
static void append_value(struct slice value, struct buf *out)
{
    value = slice_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] != ' ' || value.ptr[i - 1] != ' ') {
            buf_append_char(out, value.ptr[i]);
        }
    }
}

static void wipe_buf(struct buf *buf)
{
    if (buf->capacity > 0) {
        mem_wipe(buf->ptr, buf->capacity);
    }
    buf_fini(buf);
}

static enum err hash_request(const struct sigv4_request *request, char ret_hex[SHA256_HEX_BYTES],
                             struct errinfo *info)
{
    struct buf text CLEANUP(wipe_buf) = {0}; /* a session token is in it */
    uint8_t digest[SHA256_BYTES];
    size_t size = 256 + request->method.len + request->path.len + request->query.len;
    for (size_t i = 0; i < request->header_count; i++) {
        size += 2 * request->headers[i].name.len + request->headers[i].value.len + 4;
    }
    if (buf_reserve(&text, size) == NULL) { /* all at once: growing would leave copies behind */
        return errinfo_nomem(info);
    }
    buf_append_slice(&text, request->method);
    buf_append_char(&text, '\n');
    buf_append_slice(&text, request->path);
    buf_append_char(&text, '\n');
    buf_append_slice(&text, request->query);
    buf_append_char(&text, '\n');
    for (size_t i = 0; i < request->header_count; i++) {
        buf_append_slice(&text, request->headers[i].name);
        buf_append_char(&text, ':');
        append_value(request->headers[i].value, &text);
        buf_append_char(&text, '\n');
    }
    buf_append_char(&text, '\n');
    append_names(request, &text);
    buf_append_char(&text, '\n');
    buf_append_str(&text, request->payload_hash);
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    TRY(hash_sha256(buf_slice(&text), digest));
    hash_hex(digest, sizeof(digest), ret_hex);
    return ERR_OK;
}

static struct slice bytes_of(const uint8_t digest[SHA256_BYTES])
{
    return (struct slice){(const char *)digest, SHA256_BYTES};
}

/* HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request") */
static enum err derive_key(const struct sigv4_request *request, uint8_t ret_key[SHA256_BYTES],
                           struct errinfo *info)
{
    struct secret first CLEANUP(secret_fini) = {0};
    struct slice parts[] = {SLICE("AWS4"), request->secret_key};
    struct slice date = {request->time, 8};
    uint8_t key[SHA256_BYTES];
    if (!secret_join(parts, ARRAY_COUNT(parts), &first)) {
        return errinfo_nomem(info);
    }
    TRY(hash_hmac_sha256(secret_slice(&first), date, key));
    enum err err = hash_hmac_sha256(bytes_of(key), request->region, ret_key);
    err = err == ERR_OK ? hash_hmac_sha256(bytes_of(ret_key), request->service, key) : err;
    err = err == ERR_OK ? hash_hmac_sha256(bytes_of(key), SLICE("aws4_request"), ret_key) : err;
    mem_wipe(key, sizeof(key));
    return err;
}

enum err sigv4_sign(const struct sigv4_request *request, struct secret *ret_authorization,
                    struct errinfo *info)
{
    char request_hash[SHA256_HEX_BYTES];
    char signature[SHA256_HEX_BYTES];
    uint8_t key[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES];
    struct buf scope CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(hash_request(request, request_hash, info));
    buf_printf(&scope, "%.8s/%.*s/%.*s/aws4_request", request->time, SLICE_ARGS(request->region),
               SLICE_ARGS(request->service));
    buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", request->time, buf_cstr(&scope),
               request_hash);
    if (buf_failed(&scope) || buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    TRY(derive_key(request, key, info));
    enum err err = hash_hmac_sha256(bytes_of(key), buf_slice(&text), digest);
    mem_wipe(key, sizeof(key));
    TRY(err);
    hash_hex(digest, sizeof(digest), signature);
    struct buf names CLEANUP(buf_fini) = {0};
    append_names(request, &names);
    struct slice parts[] = {SLICE("AWS4-HMAC-SHA256 Credential="),
                            request->access_key,
                            SLICE("/"),
                            buf_slice(&scope),
                            SLICE(", SignedHeaders="),
                            buf_slice(&names),
                            SLICE(", Signature="),
                            slice_of(signature)};
    bool is_joined =
        !buf_failed(&names) && secret_join(parts, ARRAY_COUNT(parts), ret_authorization);
    return is_joined ? ERR_OK : errinfo_nomem(info);
}
