/* AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"): of S3 and of AWS's
 * other services, whoever answers for them. */
#pragma once

#include "fetch/fetch.h"

#define SIGV4_TIME_BYTES 17 /* "20130524T000000Z" */

struct sigv4_request {
    struct slice method;
    struct slice path;                  /* encoded */
    struct slice query;                 /* canonical: sorted, encoded */
    const struct fetch_header *headers; /* names in lower case, sorted; "host" is one */
    size_t header_count;
    const char *payload_hash; /* hexadecimal SHA-256 of the body */
    const char *time;         /* SIGV4_TIME_BYTES; also in the header "x-amz-date" */
    struct slice region;
    struct slice service;
    struct slice access_key;
    struct slice secret_key;
};

void sigv4_format_time(int64_t wall_us, char ret_time[SIGV4_TIME_BYTES]);

/* The value of the Authorization header. ERR_NOMEM; ERR_INTERNAL: the library of hashes fails. Any
 * thread. */
MUST_USE enum err sigv4_sign(const struct sigv4_request *request, struct secret *ret_authorization,
                             struct errinfo *info);

/* "host" or "host:port" of an address, as the header Host has it: without the port of the scheme. A
 * view; empty: it is none. */
struct slice sigv4_host(struct slice url);
