/* Shared by the files that make the rows of metadata tables. */
#pragma once

#include "base/buf.h"
#include "query/lake_int.h"

struct lake_metadata_column {
    const char *name;
    const char *type; /* NULL: depends on the table */
};

/* Rows as JSON lines; an absent member is NULL. */
void lake_row_begin(struct buf *out);
void lake_row_end(struct buf *out);
void lake_put_text(struct buf *out, const char *name, struct slice text);
void lake_put_number(struct buf *out, const char *name, int64_t value);
void lake_put_known(struct buf *out, const char *name, int64_t value); /* not ICEBERG_NO_ID */
void lake_put_time(struct buf *out, const char *name, int64_t timestamp_ms);
