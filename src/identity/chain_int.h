/* What of a chain its own files see. */
#pragma once

#include "identity/provider.h"

/* What a provider keeps; NULL: it is not of the chain. */
void *chain__find(const struct identity_chain *chain, const char *provider);
bool chain__has(const struct identity_chain *chain, const char *provider);
struct slice chain__ask_rules(const struct identity_chain *chain); /* lives as long as the chain */

/* ERR_INVALID (22023): which rule of "login.ask" is none. */
MUST_USE enum err login_ask_check(struct slice rules, struct errinfo *info);
