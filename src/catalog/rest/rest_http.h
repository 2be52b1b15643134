/* One request over HTTP, with what the REST specification wants beside it. For rest_call.c. */
#pragma once

#include "catalog/rest/rest_int.h"
#include "fetch/fetch.h"

struct rest_request {
    struct slice method; /* empty = GET */
    struct slice url;
    struct slice body; /* JSON, if nothing else is said; `ptr` NULL = none */
    const char *content_type;
    struct slice key; /* Idempotency-Key; empty = none */
    bool is_once;
    const struct secret *authorization; /* "Bearer ...", or a signature */
    const struct fetch_header *headers; /* that the signature covers */
    size_t header_count;
    struct slice request_id; /* empty = none */
    const char *etag;        /* NULL = none */
    bool delegates;
    int64_t timeout_ms;
};

struct rest_reply {
    long status;
    struct secret body;
    char etag[REST_ETAG_BYTES_MAX]; /* empty = none that can be kept */
    int64_t retry_after_ms;         /* -1 = not said */
    bool is_late;                   /* no answer in time */
    bool was_sent;                  /* some of it, maybe */
    char cache_control[REST_CACHE_CONTROL_BYTES_MAX];
};
void rest_reply__fini(struct rest_reply *reply);

/* Over the person's own connections. ERR_BUSY: no answer, why in the message. */
MUST_USE enum err rest_http__send(const struct rest_call *call, const struct rest_request *request,
                                  struct rest_reply *ret_reply, struct errinfo *info);
