#include "base/mem.h"

#include <malloc.h>

#include "base/sweep.h"

#define KEPT_BYTES_MAX (64 << 20)
#define MAPPED_BYTES_MIN (16 << 20) /* what is longer is mapped by itself, and kept by nobody */

void *mem_alloc(size_t size)
{
    return fault_hit_alloc() ? NULL : malloc(size == 0 ? 1 : size);
}

void *mem_calloc(size_t count, size_t size)
{
    return fault_hit_alloc() ? NULL : calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *mem_realloc(void *ptr, size_t size)
{
    return fault_hit_alloc() ? NULL : realloc(ptr, size == 0 ? 1 : size);
}

char *mem_slicedup(struct slice text)
{
    char *copy = mem_alloc(text.len + 1);
    if (copy != NULL) {
        if (text.len > 0) {
            memcpy(copy, text.ptr, text.len);
        }
        copy[text.len] = '\0';
    }
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_slicedup(slice_of(text));
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_keep_freed(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
}

void mem_wipe(void *ptr, size_t size)
{
    if (size > 0) {
        memset(ptr, 0, size);
        __asm__ volatile("" : : "r"(ptr) : "memory");
    }
}
