/* One end of a stream socket that carries frames: a header of 16 bytes and a body. */
#pragma once

#include <sys/uio.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    CHANNEL_FDS_MAX = 64,
    CHANNEL_PARTS_MAX = 4
};

struct channel {
    int fd; /* -1: none */
    bool takes_fds;
    size_t begin; /* of what was read ahead */
    size_t end;
    int fds[CHANNEL_FDS_MAX]; /* arrived and not taken */
    size_t fd_count;
    char ahead[4096];
};

struct frame {
    uint32_t kind;
    size_t body_len; /* not read yet */
};

void channel_init(struct channel *channel, int fd, bool takes_fds);
void channel_fini(struct channel *channel); /* closes */

/* Sends one frame, whole: ERR_IO if the other end is gone. */
MUST_USE enum err channel_send(struct channel *channel, uint32_t kind, struct slice body);
MUST_USE enum err channel_send_parts(struct channel *channel, uint32_t kind,
                                     const struct slice *parts, size_t part_count);
MUST_USE enum err channel_send_fds(struct channel *channel, uint32_t kind, struct slice body,
                                   const int *fds, size_t fd_count);
/* Never waits: ERR_BUSY if there is no room, and then nothing was sent. For small frames. */
MUST_USE enum err channel_try_send(struct channel *channel, uint32_t kind, struct slice body);

/* The header of the next frame. ERR_IO: the other end is gone; ERR_CORRUPT: that is no frame. */
MUST_USE enum err channel_next(struct channel *channel, size_t body_max, struct frame *ret_frame);
/* Exactly `len` bytes of a body. */
MUST_USE enum err channel_read(struct channel *channel, void *ret_bytes, size_t len);
/* Header and whole body; `ret_body` is emptied first. */
MUST_USE enum err channel_receive(struct channel *channel, size_t body_max, struct frame *ret_frame,
                                  struct buf *ret_body);
/* The next descriptor that came along, or -1. The caller closes. */
int channel_take_fd(struct channel *channel);
