#pragma once

#include "io/store.h"

/* Fills a store that holds nothing with `pairs` pairs and prints a table of how fast it is. */
MUST_USE enum err kv_measure(struct store *store, uint64_t pairs, struct errinfo *error);
