/* Trino's client protocol over what doors on HTTP share: /v1/statement and the addresses that its
 * answers name, so that Trino's clients work as they are (docs/trino.md). */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "wire/web/web.h"

struct trino_server;

/* Adds its routes to those of `web`, which outlives it, before the loop runs. */
MUST_USE enum err trino_open(struct web_server *web, struct trino_server **ret_server,
                             struct errinfo *info);
void trino_close(struct trino_server *server);
