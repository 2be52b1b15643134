/* Requests to an identity provider: one at a time, small answers, no redirects, no environment
 * (proxies, .netrc), TLS verified. Blocks: for worker threads. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "identity/secret.h"

struct http_options {
    int64_t timeout_ms;
    const char *ca_file;      /* NULL = the system's authorities */
    bool allow_loopback_http; /* http:// to 127.0.0.0/8, [::1] and localhost */
};

struct http_request {
    const char *url;
    const struct secret *form;          /* application/x-www-form-urlencoded; NULL makes it a GET */
    const struct secret *authorization; /* whole header line; NULL = none */
    size_t bytes_max;                   /* a longer answer is an error */
};

/* https, or loopback http where that is allowed; with a host, without user and fragment. */
MUST_USE bool http_url_is_allowed(struct slice url, bool allow_loopback_http);

/* ERR_BUSY (57P03): no answer. The message says why without repeating any of the request. */
MUST_USE enum err http_fetch(const struct http_options *options, const struct http_request *request,
                             long *ret_status, struct secret *ret_body, struct errinfo *info);

/* Form encoding: "a=b&c=d" of pairs; a pair whose value is empty is left out. */
struct http_field {
    const char *name;
    struct slice value;
};
MUST_USE bool http_form(const struct http_field *fields, size_t field_count,
                        struct secret *ret_form);
