/* Whether a server may be one of production: all that stands against it, not the first only. */
#pragma once

#include "query/query.h"

struct production_reason {
    const char *what;
    const char *mend;
};

/* Empty for one that may. `warehouse` NULL: of the configuration only; else of what its store holds
 * too, read as the OS user. Texts live in the arena. */
MUST_USE enum err production_reasons(const struct config *config, struct warehouse *warehouse,
                                     struct arena *arena, struct production_reason **ret_reasons,
                                     size_t *ret_count, struct errinfo *info);
