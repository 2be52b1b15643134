/* The shell's history: a file of the owner in the warehouse's folder, without secrets. Internal. */
#pragma once

#include <histedit.h>

#include "base/base.h"

struct statement_history {
    History *lines;
    char path[4096]; /* "" = kept for this shell only */
};

void history_start(struct statement_history *kept, const char *folder);
/* Statements that name a password are not kept at all. */
void history_add(struct statement_history *kept, struct slice statement);
void history_stop(struct statement_history *kept);

/* True if the statement may be kept: not one with a password, nor one that cannot be understood and
 * mentions one. */
bool history_may_keep(struct slice statement);
