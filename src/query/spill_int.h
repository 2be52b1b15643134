/* The folder that this process spills into, below the warehouse's tmp.
 *
 * It is locked (flock) as long as the process lives, however that ends: a folder that can be locked
 * is nobody's any more. No process is guessed by its number. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct spill;

/* Removes those of processes that are gone, and makes one of its own. ERR_IO, ERR_NOMEM. */
MUST_USE enum err spill_open(const char *tmp, struct spill **ret_spill, struct errinfo *info);
void spill_close(struct spill *spill); /* when nothing uses it any more */
const char *spill_folder(const struct spill *spill);
