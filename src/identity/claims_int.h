/* What claims make of a person: their name, roles and attributes, by the rules of the
 * configuration. A path names members one inside the other: "realm_access.roles"; a "\." is a dot
 * in a name. Claims give nothing that no rule names. */
#pragma once

#include "base/json.h"
#include "identity/pattern_int.h"
#include "identity/provider.h"

/* Checked once, at the start. ERR_INVALID (22023) names the configuration's key. */
MUST_USE enum err claims_check_options(const struct oidc_options *options, struct errinfo *info);

/* The node at the end of a path, or NULL. */
const struct json *claims_find(const struct json *claims, struct slice path);

/* ERR_DENIED with the reason when the claims name nobody that a user could be called. Only an exact
 * subject rule sets may_be_owner. */
MUST_USE enum err claims_apply(const struct oidc_options *options, const struct json *claims,
                               struct arena *arena, struct login *login, struct errinfo *info);

/* ERR_DENIED names the first required claim ("path=value") that is not so: a text, number or
 * boolean, or a list that holds it. */
MUST_USE enum err claims_require(struct slice required, const struct json *claims,
                                 struct errinfo *info);
