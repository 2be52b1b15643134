/* Errors as people read them. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/sink.h"

/* Where a statement came from, for errors. */
struct origin {
    const char *file; /* NULL = not a file */
    size_t line;      /* 1-based line of the file on which the statement begins */
};

/* Appends to sink->buf, without a flush:
 *     ERROR 42P01: table "main.fligths" does not exist
 *     LINE 1: SELECT * FROM fligths
 *                           ^
 *     DETAIL: ... / HINT: ...
 * `statement` may be empty. Everything is escaped: a message may quote what a file said. */
void report_error(struct sink *sink, const struct errinfo *info, struct slice statement,
                  const struct origin *origin);
/* Flushes, ignoring that standard error may be gone. */
void report_flush(struct sink *sink);
