/* An issuer for tests: keys, signatures, and a small HTTP server on the loopback that answers what
 * a test tells it to. */
#pragma once

#include "base/buf.h"
#include "base/test.h"
#include "identity/jose_int.h"
#include "identity/provider.h"

/* A key pair for one algorithm of jose.c; `kid` and `declared` NULL leave the member out. */
EVP_PKEY *fixture_key(const char *algorithm);
void fixture_jwk(EVP_PKEY *key, const char *kid, const char *declared, struct buf *out);
void fixture_base64(struct slice bytes, struct buf *out);
/* header.claims.signature */
void fixture_sign(EVP_PKEY *key, const char *algorithm, const char *header, const char *claims,
                  struct buf *out);

struct web_answer {
    const char *path; /* prefix of the request's */
    int status;
    char *body; /* mem_free'd by the server */
    int64_t delay_ms;
    size_t pad_bytes; /* of spaces behind the body */
    const char *location;
    unsigned count;     /* of requests so far */
    char request[8192]; /* the last one, whole */
};

struct web_server;
struct web_server *web_open(char ret_url[64]);
void web_close(struct web_server *web);
/* Sets the answer for a path. */
void web_set(struct web_server *web, const char *path, int status, const char *body);
struct web_answer *web_answer(struct web_server *web, const char *path);
unsigned web_count(struct web_server *web, const char *path);
