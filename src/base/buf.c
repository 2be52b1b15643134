#include "base/buf.h"

#include <stdarg.h>

#include "base/checked.h"
#include "base/mem.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->ptr);
    *buf = (struct buf){0};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->ptr != NULL) {
        buf->ptr[0] = '\0';
    }
}

char *buf_reserve(struct buf *buf, size_t len)
{
    size_t need;
    if (buf->failed || !checked_add(buf->len, len, &need) || !checked_add(need, 1, &need) ||
        (buf->bytes_max != 0 && need - 1 > buf->bytes_max)) {
        buf->failed = true;
        return NULL;
    }
    if (need > buf->capacity) {
        size_t capacity = buf->capacity < 256 ? 256 : buf->capacity;
        while (capacity < need) {
            if (!checked_mul(capacity, 2, &capacity)) {
                capacity = need;
            }
        }
        char *ptr = mem_realloc(buf->ptr, capacity);
        if (ptr == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->ptr = ptr;
        buf->capacity = capacity;
    }
    return buf->ptr + buf->len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = len < 0 ? NULL : buf_reserve(buf, (size_t)len);
    if (room != NULL) {
        (void)vsnprintf(room, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

char *buf_take(struct buf *buf)
{
    if (!buf->failed && buf->ptr == NULL) {
        buf_append(buf, "", 0);
    }
    if (buf->failed) {
        buf_fini(buf);
        return NULL;
    }
    char *ptr = buf->ptr;
    *buf = (struct buf){.bytes_max = buf->bytes_max};
    return ptr;
}
