/* What is said of files that are not what their table was registered as (files.c). */
#pragma once

#include "base/err.h"

struct query;

/* If `info` is the engine's complaint about a file that is not what its table was registered as, it
 * is replaced by which file and what of it (for who may administer the table), and true. */
bool files_explain(struct query *query, struct errinfo *info);
/* Names the files in the engine's words, where the person may know them, and shortens those. */
void files_polish(const struct query *query, struct errinfo *info);
