/* Addresses as libcurl itself takes them apart, so that what is judged is what is asked; forms. */
#include "fetch/fetch_int.h"

#include <arpa/inet.h>
#include <stdio.h>

#define URL_BYTES_MAX 16384u

static bool is_loopback(struct slice host)
{
    struct in_addr address;
    char text[INET_ADDRSTRLEN];
    if (slice_equal_fold(host, SLICE("localhost")) || slice_equal(host, SLICE("[::1]"))) {
        return true;
    }
    if (host.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.ptr, host.len); /* "127.0.0.1.example.com" is elsewhere */
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static void close_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void free_part(char **part)
{
    curl_free(*part);
}

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

/* NULL when it is none. */
static CURLU *parse(struct slice url)
{
    char text[URL_BYTES_MAX];
    if (url.len == 0 || url.len >= sizeof(text) || memchr(url.ptr, '\0', url.len) != NULL) {
        return NULL;
    }
    memcpy(text, url.ptr, url.len);
    text[url.len] = '\0';
    CURLU *parsed CLEANUP(close_url) = curl_url();
    bool is_parsed = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, text, 0) == CURLUE_OK;
    return is_parsed ? TAKE(parsed) : NULL;
}

bool fetch_url_is_allowed(struct slice url, enum fetch_plain plain)
{
    CURLU *parsed CLEANUP(close_url) = parse(url);
    if (parsed == NULL) {
        return false;
    }
    char *scheme CLEANUP(free_part) = url_part(parsed, CURLUPART_SCHEME, 0);
    char *host CLEANUP(free_part) = url_part(parsed, CURLUPART_HOST, 0);
    char *user CLEANUP(free_part) = url_part(parsed, CURLUPART_USER, 0);
    char *fragment CLEANUP(free_part) = url_part(parsed, CURLUPART_FRAGMENT, 0);
    if (host == NULL || user != NULL || fragment != NULL) {
        return false;
    }
    if (slice_equal(slice_of(scheme), SLICE("https"))) {
        return true;
    }
    return slice_equal(slice_of(scheme), SLICE("http")) &&
           (plain == FETCH_PLAIN_ANYWHERE ||
            (plain == FETCH_PLAIN_LOOPBACK && is_loopback(slice_of(host))));
}

bool fetch__origin(struct slice url, char out[FETCH_ORIGIN_BYTES])
{
    CURLU *parsed CLEANUP(close_url) = parse(url);
    if (parsed == NULL) {
        return false;
    }
    char *scheme CLEANUP(free_part) = url_part(parsed, CURLUPART_SCHEME, 0);
    char *host CLEANUP(free_part) = url_part(parsed, CURLUPART_HOST, 0);
    char *port CLEANUP(free_part) = url_part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (scheme == NULL || host == NULL || port == NULL) {
        return false;
    }
    for (char *c = host; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    int len = snprintf(out, FETCH_ORIGIN_BYTES, "%s://%s:%s", scheme, host, port);
    return len > 0 && len < FETCH_ORIGIN_BYTES;
}

bool fetch_url_is_same_origin(struct slice a, struct slice b)
{
    char first[FETCH_ORIGIN_BYTES];
    char second[FETCH_ORIGIN_BYTES];
    return fetch__origin(a, first) && fetch__origin(b, second) && strcmp(first, second) == 0;
}

/* ---- forms ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static size_t write_encoded(struct slice text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_unreserved((char)c)) {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = digits[c >> 4];
        out[len++] = digits[c & 15];
    }
    return len;
}

bool fetch_form(const struct fetch_field *fields, size_t field_count, struct secret *ret_form)
{
    size_t size = 0;
    for (size_t i = 0; i < field_count; i++) {
        size += strlen(fields[i].name) + 2 + 3 * fields[i].value.len;
    }
    struct secret form;
    if (!secret_new(size, &form)) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].value.len == 0) {
            continue;
        }
        if (at > 0) {
            form.ptr[at++] = '&';
        }
        size_t name_len = strlen(fields[i].name);
        memcpy(form.ptr + at, fields[i].name, name_len);
        at += name_len;
        if (name_len > 0) {
            form.ptr[at++] = '=';
        }
        at += write_encoded(fields[i].value, form.ptr + at);
    }
    form.len = at; /* the bytes behind are zeros */
    *ret_form = form;
    return true;
}
