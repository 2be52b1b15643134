/* A growing byte buffer on the heap. A failed append sets a sticky flag, so that a writer may
 * append freely and look once at the end (buf_failed). The content is always NUL-terminated
 * behind `len`. After git's strbuf. */
#pragma once

#include "base/base.h"

struct buf {
    char *ptr; /* NULL while nothing was appended */
    size_t len;
    size_t capacity;
    size_t bytes_max; /* 0 = no limit of its own */
    bool failed;
};

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf); /* frees; accepts a zeroed struct */

/* Empties without freeing and clears the failed flag. */
void buf_reset(struct buf *buf);

PRINTF_LIKE(2, 3) void buf_printf(struct buf *buf, const char *format, ...);

/* Room for `len` more bytes: pointer to them (then add to buf->len yourself), or NULL. */
MUST_USE char *buf_reserve(struct buf *buf, size_t len);

/* Records and messages are put together in dozens of small pieces: no call where there is room. */
static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    bool has_room = buf->capacity > buf->len && len < buf->capacity - buf->len;
    has_room = has_room && buf->bytes_max == 0 && !buf->failed;
    char *room = has_room ? buf->ptr + buf->len : buf_reserve(buf, len);
    if (room == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(room, bytes, len);
    }
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

static inline void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

static inline void buf_append_slice(struct buf *buf, struct slice text)
{
    buf_append(buf, text.ptr, text.len);
}

static inline void buf_append_str(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text)); /* of a literal the compiler knows it */
}

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->ptr == NULL ? "" : buf->ptr, buf->len};
}

/* NUL-terminated content; "" when empty. Valid until the next append. */
static inline const char *buf_cstr(const struct buf *buf)
{
    return buf->ptr == NULL ? "" : buf->ptr;
}

/* Hands the NUL-terminated bytes to the caller (mem_free); NULL if failed. The buffer is empty. */
MUST_USE char *buf_take(struct buf *buf);
