/* --format parquet: the rows of a query through COPY. Internal. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct cli;

bool parquet_is_query(struct slice statement);

/* To the file of -o, or by a temporary file to standard output. ERR_UNSUPPORTED to a terminal. */
MUST_USE enum err parquet_run(struct cli *cli, struct slice statement, struct errinfo *info);
