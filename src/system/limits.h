/* Limits of people and roles as the store keeps them: names and numbers, whose meaning is the query
 * module's. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "identity/identity.h"

struct system;

struct system_limit {
    struct slice principal;
    bool is_role;
    bool is_theirs; /* of the person who asked, or of a role that they have */
    struct slice name;
    int64_t value;
};

struct system_limit_change {
    struct slice name;
    bool is_unset;
    int64_t value;
};

/* All of them or none. Writers: owner and moat_admin, also for themselves: a limit is no right.
 * ERR_NOT_FOUND (42704) for a name that is none. */
MUST_USE enum err system_limits_set(struct system *system, const struct identity *who, bool is_role,
                                    struct slice name, const struct system_limit_change *changes,
                                    size_t change_count, struct errinfo *info);
/* What holds for `who`; for owner and admins everybody's. By principal and name, in `arena`. */
MUST_USE enum err system_limits(struct system *system, const struct identity *who,
                                struct arena *arena, struct system_limit **ret_limits,
                                size_t *ret_count, struct errinfo *info);
