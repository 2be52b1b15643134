#include "identity/http_int.h"

#include <arpa/inet.h>
#include <pthread.h>

#include <curl/curl.h>

#include "base/mem.h"

#define URL_BYTES_MAX 2048u
#define CONNECT_TIMEOUT_MS_MAX 5000

static struct {
    pthread_once_t once;
    CURLcode code;
} library = {.once = PTHREAD_ONCE_INIT};

static void start_library(void)
{
    library.code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- addresses ---- */

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

static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

bool http_url_is_allowed(struct slice url, bool allow_loopback_http)
{
    char text[URL_BYTES_MAX];
    if (url.len == 0 || url.len >= sizeof(text) || memchr(url.ptr, '\0', url.len) != NULL) {
        return false;
    }
    memcpy(text, url.ptr, url.len);
    text[url.len] = '\0';
    CURLU *parsed = curl_url();
    bool is_allowed = false;
    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, text, 0) == CURLUE_OK) {
        char *scheme = url_part(parsed, CURLUPART_SCHEME);
        char *host = url_part(parsed, CURLUPART_HOST);
        char *user = url_part(parsed, CURLUPART_USER);
        char *fragment = url_part(parsed, CURLUPART_FRAGMENT);
        struct slice scheme_text = slice_of(scheme);
        bool is_http = slice_equal(scheme_text, SLICE("http"));
        is_allowed = host != NULL && user == NULL && fragment == NULL &&
                     (slice_equal(scheme_text, SLICE("https")) ||
                      (is_http && allow_loopback_http && is_loopback(slice_of(host))));
        curl_free(scheme);
        curl_free(host);
        curl_free(user);
        curl_free(fragment);
    }
    curl_url_cleanup(parsed);
    return is_allowed;
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

bool http_form(const struct http_field *fields, size_t field_count, struct secret *ret_form)
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

/* ---- requests ---- */

struct answer {
    struct secret body; /* of the most that is allowed, so that it never moves */
    size_t len;
    bool is_too_long;
};

static size_t receive(char *bytes, size_t one, size_t count, void *context)
{
    struct answer *answer = context;
    size_t len = one * count;
    if (len > answer->body.len - answer->len) {
        answer->is_too_long = true;
        return 0; /* ends the transfer */
    }
    memcpy(answer->body.ptr + answer->len, bytes, len);
    answer->len += len;
    return len;
}

static void free_headers(struct curl_slist **list)
{
    for (struct curl_slist *item = *list; item != NULL; item = item->next) {
        mem_wipe(item->data, strlen(item->data));
    }
    curl_slist_free_all(*list);
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL) {
        return false;
    }
    *list = longer;
    return true;
}

static void close_easy(CURL **easy)
{
    curl_easy_cleanup(*easy);
}

static bool set_safety(CURL *easy, const struct http_options *options)
{
    long connect_ms = options->timeout_ms < CONNECT_TIMEOUT_MS_MAX ? (long)options->timeout_ms
                                                                   : CONNECT_TIMEOUT_MS_MAX;
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                            options->allow_loopback_http ? "https,http" : "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (options->ca_file == NULL ||
            curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms) == CURLE_OK;
}

static bool set_request(CURL *easy, const struct http_request *request, struct curl_slist **headers,
                        struct answer *answer)
{
    bool is_set =
        add_header(headers, "Accept: application/json") &&
        (request->authorization == NULL || add_header(headers, request->authorization->ptr)) &&
        curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "moat") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) == CURLE_OK;
    if (is_set && request->form != NULL) { /* not copied by the library */
        is_set = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                  (curl_off_t)request->form->len) == CURLE_OK &&
                 curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->form->ptr) == CURLE_OK;
    }
    return is_set;
}

static enum err perform(CURL *easy, const struct answer *answer, long *ret_status,
                        struct errinfo *info)
{
    CURLcode code = curl_easy_perform(easy);
    if (answer->is_too_long) {
        return errinfo_set(info, ERR_BUSY, "57P03", "the identity provider's answer is too long");
    }
    if (code == CURLE_OUT_OF_MEMORY) {
        return errinfo_nomem(info);
    }
    if (code != CURLE_OK ||
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status) != CURLE_OK) {
        return errinfo_set(info, ERR_BUSY, "57P03", "the identity provider does not answer: %s",
                           curl_easy_strerror(code));
    }
    return ERR_OK;
}

enum err http_fetch(const struct http_options *options, const struct http_request *request,
                    long *ret_status, struct secret *ret_body, struct errinfo *info)
{
    struct answer answer = {0};
    struct secret body CLEANUP(secret_fini) = {0};
    if (!http_url_is_allowed(slice_of(request->url), options->allow_loopback_http)) {
        return errinfo_set(info, ERR_DENIED, "57P03",
                           "the identity provider names an address that is not asked");
    }
    ASSERT(pthread_once(&library.once, start_library) == 0);
    CURL *easy CLEANUP(close_easy) = library.code == CURLE_OK ? curl_easy_init() : NULL;
    struct curl_slist *headers CLEANUP(free_headers) = NULL;
    if (easy == NULL || !secret_new(request->bytes_max, &body)) {
        return errinfo_nomem(info);
    }
    answer.body = body;
    if (!set_safety(easy, options) || !set_request(easy, request, &headers, &answer)) {
        return errinfo_nomem(info);
    }
    TRY(perform(easy, &answer, ret_status, info));
    if (!secret_copy((struct slice){body.ptr, answer.len}, ret_body)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
