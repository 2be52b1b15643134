/* Results as text or bytes: one table of functions a format. Internal. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/err.h"
#include "cli/options.h"
#include "cli/sink.h"

struct format_options {
    bool no_header;
    bool is_quiet;
    bool is_expanded; /* \x: a record a block, tables only */
    bool is_timed;    /* the footer tells the time */
    bool is_paged;
};

struct format;

struct format_ops {
    size_t state_bytes;
    enum err (*begin)(struct format *format, struct errinfo *info);
    enum err (*batch)(struct format *format, const struct ArrowArray *batch, struct errinfo *info);
    enum err (*end)(struct format *format, int64_t duration_us, struct errinfo *info);
    void (*fini)(struct format *format); /* NULL = nothing to free */
};

struct format {
    const struct format_ops *ops;
    const struct ArrowSchema *schema; /* outlives the format */
    struct sink *sink;
    struct format_options options;
    uint64_t row_count;
    void *state; /* zeroed state_bytes */
};

extern const struct format_ops format_table, format_csv, format_json, format_jsonl, format_markdown,
    format_arrow;

/* ERR_UNSUPPORTED for a binary format to a terminal. `which` is not parquet, which runs as COPY. */
MUST_USE enum err format_open(enum cli_format which, const struct format_options *options,
                              const struct ArrowSchema *schema, struct sink *sink,
                              struct format **ret_format, struct errinfo *info);
MUST_USE enum err format_batch(struct format *format, const struct ArrowArray *batch,
                               struct errinfo *info);
/* The rest, and the footer; flushes. */
MUST_USE enum err format_end(struct format *format, int64_t duration_us, struct errinfo *info);
void format_close(struct format *format);
DEFINE_CLEANUP(struct format, format_cleanup, format_close)

/* "12 ms", "3.4 s", "2 min 5 s". */
void format_duration(struct buf *out, int64_t us);
