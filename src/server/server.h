/* `moat serve`: the warehouse behind its protocols, until a signal says that it is enough. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "config/config.h"

struct server_options {
    const struct config *config;
    const char *engine_module; /* NULL = beside the program */
    /* Called once, when connections are accepted. */
    void (*on_ready)(void *context, const char *address, uint16_t pg_port, bool is_tls,
                     uint16_t http_port); /* 0: none */
    /* What stands against a start in production, each with its mend; then server_run fails. */
    void (*on_refused)(void *context, const char *what, const char *mend);
    /* On SIGHUP, on a thread of its own: the configuration as it is now. NULL: it stays. */
    enum err (*load_config)(void *context, struct config **ret_config, struct errinfo *info);
    void *context;
};

/* Serves until SIGTERM or SIGINT, then drains. ERR_OK after a drain, whoever had to be cut. */
MUST_USE enum err server_run(const struct server_options *options, struct errinfo *info);
