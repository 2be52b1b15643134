/* One thread a warehouse that stops statements at their deadlines (watchdog.c). */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct query;
struct watchdog;

MUST_USE enum err watchdog_new(struct watchdog **ret_watchdog, struct errinfo *info);
void watchdog_free(struct watchdog *watchdog);
void watchdog_add(struct watchdog *watchdog, struct query *query);
void watchdog_remove(struct watchdog *watchdog, struct query *query);
