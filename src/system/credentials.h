/* What people sign in with, as far as the store keeps it: API keys (verifiers of passwords are in
 * system.h); and the identity of somebody whom a provider vouches for. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "identity/provider.h"
#include "system/system.h"

/* The key of a prefix, dead ones included; for logins, likewise. */
MUST_USE enum err system_api_key_find(struct system *system, struct slice prefix,
                                      struct arena *arena, bool *ret_found,
                                      struct stored_key *ret_key, struct errinfo *info);

/* The identity of a person whom a provider vouches for, with what the store knows of them, by the
 * rule for their account. ERR_DENIED (28000): the store will not have them, the reason in the
 * message, for the trail only. `session_id` empty: a new session. */
MUST_USE enum err system_sign_in(struct system *system, const struct login *login,
                                 struct slice client, struct slice session_id,
                                 struct identity **ret_identity, struct errinfo *info);

/* ---- API keys (writers: the person themself, but not by such a key; owner and moat_admin, as for
 *      passwords) ---- */

struct system_api_key {
    struct slice user;
    struct slice name;
    struct slice prefix;
    struct slice created_by;
    int64_t created_wall_us;
    int64_t expires_wall_us; /* 0 = never */
    struct slice revoked_by;
    int64_t revoked_wall_us; /* 0 = is not */
};

/* Keeps the hash. A key of that name that has expired makes room. ERR_EXISTS (42710) for one that
 * lives, ERR_LIMIT for too many of one person. */
MUST_USE enum err system_api_key_create(struct system *, const struct identity *who,
                                        struct slice user, struct slice name,
                                        const struct api_key *key, int64_t expires_wall_us,
                                        struct errinfo *info);
/* By name or prefix; from now on, sessions that were opened with it included. Any admin may, and
 * the person. ERR_NOT_FOUND (42704). */
MUST_USE enum err system_api_key_revoke(struct system *, const struct identity *who,
                                        struct slice user, struct slice name, struct errinfo *info);
/* All for owner and admins, their own for others; newest first. */
MUST_USE enum err system_api_keys(struct system *, const struct identity *who, struct arena *arena,
                                  struct system_api_key **ret_keys, size_t *ret_count,
                                  struct errinfo *info);
