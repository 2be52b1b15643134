/* The PostgreSQL protocol, versions 3.0 and 3.2, over the query module: bytes of a client to calls
 * of query/query.h, Arrow batches back to bytes. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "config/config.h"
#include "query/query.h"
#include "wire/loop/loop.h"

struct pg_server;

struct pg_server_options {
    struct warehouse *warehouse; /* outlives the server, as does the configuration */
    const struct config *config;
    bool is_tls_required;
};

/* What all connections share: the warehouse, and who may be cancelled with which key. */
MUST_USE enum err pg_server_open(const struct pg_server_options *options,
                                 struct pg_server **ret_server, struct errinfo *info);
void pg_server_close(struct pg_server *server); /* after all connections */
DEFINE_CLEANUP(struct pg_server, pg_server_cleanup, pg_server_close)

/* For loop_listen; the context of its connections is the pg_server. */
extern const struct loop_protocol pg_protocol;
