/* Answers that are on their way for a statement (rest_ahead.c). */
#pragma once

#include "catalog/rest/rest.h"

/* An answer that is on its way for this statement. False: there is none. */
bool rest_ahead__take(const struct rest_catalog *catalog, const struct identity *who,
                      const struct rest_namespace *ns, struct slice name, bool all_snapshots,
                      struct arena *arena, struct rest_loaded *ret_loaded, enum err *ret_err,
                      struct errinfo *info);
