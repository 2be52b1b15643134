/* `moat serve`: the warehouse behind its protocols, until a signal says that it is enough. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "config/config.h"

/* 0: none. */
struct server_ports {
    uint16_t pg;
    uint16_t http; /* for who watches */
    uint16_t web;
    uint16_t flight;
};

struct server_options {
    const struct config *config;
    const char *engine_module; /* NULL = beside the program */
    /* Called once, when connections are accepted. */
    void (*on_ready)(void *context, const char *address, const struct server_ports *ports,
                     bool is_tls);
    /* What stands against a start in production, each with its mend; then server_run fails. */
    void (*on_refused)(void *context, const char *what, const char *mend);
    /* On SIGHUP, on a thread of its own: the configuration as it is now. NULL: it stays. */
    enum err (*load_config)(void *context, struct config **ret_config, struct errinfo *info);
    void *context;
};

/* Serves until SIGTERM or SIGINT, then drains. ERR_OK after a drain, whoever had to be cut. */
MUST_USE enum err server_run(const struct server_options *options, struct errinfo *info);
