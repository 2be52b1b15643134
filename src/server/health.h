/* /live, /ready and /metrics: what a watcher asks over HTTP. Internal. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct health;
struct loop;
struct warehouse;

MUST_USE enum err health_open(struct warehouse *warehouse, struct loop *loop,
                              struct health **ret_health, struct errinfo *info);
void health_close(struct health *health); /* after the loop */
/* Listens; `ret_port` is 0 if the default port is taken, and then nobody is told anything. */
MUST_USE enum err health_listen(struct health *health, const char *address, uint16_t port,
                                unsigned connections_max, uint16_t *ret_port, struct errinfo *info);
void health_drain(struct health *health); /* not ready from now on */
