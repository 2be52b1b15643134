/* Object stores and catalogs elsewhere, for who opens them. */
#pragma once

#include "base/err.h"

struct warehouse;
struct storage_remote;

/* What this machine has; 0 = it does not say. */
uint64_t machine_memory_bytes(void);

/* How object stores are asked, and the block cache: opened with the first use, the warehouse's. */
MUST_USE enum err warehouse_stores(struct warehouse *warehouse, struct storage_remote **ret_stores,
                                   struct errinfo *info);

/* What catalogs elsewhere have said, and to whom: likewise. */
struct rest;
MUST_USE enum err warehouse_rest(struct warehouse *warehouse, struct rest **ret_rest,
                                 struct errinfo *info);
/* NULL: nobody has asked one yet. */
struct rest *warehouse_rest_in_use(struct warehouse *warehouse);
