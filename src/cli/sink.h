/* Where results go: a terminal, a pager, a pipe or a file. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

struct sink {
    int fd;
    bool is_owned;    /* closed by sink_close */
    bool is_terminal; /* what is written is shown on one, also through a pager */
    bool is_color;
    bool is_unicode; /* box drawing and the ellipsis may be used */
    size_t width;    /* columns; 0 = unbounded */
    size_t height;   /* lines; 0 = unknown */
    bool is_closed;  /* the reader went away: no error, but nothing more is wanted */
    pid_t pager;     /* 0 = none */
    int pager_base;  /* the terminal behind the pager */
    struct buf buf;
};

/* `color` as asked for: is_color is true only with a terminal or "always". */
void sink_init(struct sink *sink, int fd, int color);
/* Asks the terminal, if it is one, for its size: it may have changed. */
void sink_measure(struct sink *sink);
/* Creates or empties the file. */
MUST_USE enum err sink_open_file(struct sink *sink, const char *path, struct errinfo *info);
/* Writes what is buffered once it is more than a little. ERR_OK with is_closed for EPIPE. */
MUST_USE enum err sink_flush_some(struct sink *sink, struct errinfo *info);
MUST_USE enum err sink_flush(struct sink *sink, struct errinfo *info);
/* $PAGER (or less) between the terminal and us, until sink_end_pager. None if it cannot. */
void sink_start_pager(struct sink *sink);
void sink_end_pager(struct sink *sink);
void sink_close(struct sink *sink);

#define STYLE_DIM "\x1b[2m"
#define STYLE_BOLD "\x1b[1m"
#define STYLE_RED "\x1b[1;31m"
#define STYLE_OFF "\x1b[0m"
/* `style` if the sink has colours, else "". */
const char *sink_style(const struct sink *sink, const char *style);
