/* Arrow Flight SQL (docs/flight.md): gRPC calls to `query`, Arrow batches back. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "config/config.h"

struct flight_server;
struct grpc_server;
struct warehouse;

struct flight_options {
    struct warehouse *warehouse;
    const struct config *config; /* outlives the server */
    bool is_tls_required;
};

MUST_USE enum err flight_open(const struct flight_options *options,
                              struct flight_server **ret_server, struct errinfo *info);
void flight_close(struct flight_server *server); /* after the loop */
/* The context of listeners of grpc_protocol. */
struct grpc_server *flight_grpc(struct flight_server *server);
