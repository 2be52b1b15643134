/* The heap, through which all of the tree allocates, so that a sweep can make the n-th
 * allocation fail (base/sweep.h). Sizes of zero give a valid, freeable pointer. Thread-safe. */
#pragma once

#include "base/base.h"

MUST_USE void *mem_alloc(size_t size);
MUST_USE void *mem_calloc(size_t count, size_t size);

/* NULL on failure, and then `ptr` is still valid. `ptr` may be NULL. */
MUST_USE void *mem_realloc(void *ptr, size_t size);

/* NUL-terminated copy. */
MUST_USE char *mem_strdup(const char *text);
MUST_USE char *mem_slicedup(struct slice text);

void mem_free(void *ptr);

/* At a program's start, once: freed memory is kept for what is asked next, up to 64 MiB in each of
 * the allocator's arenas, where glibc gives back the end of an arena from a few MiB on. The pages
 * of batches would be zeroed and mapped anew for each of them: a third of the processor time that
 * an engine host needs for all columns of TPC-H's lineitem. */
void mem_keep_freed(void);

/* Overwrites `size` bytes in a way the compiler may not remove, for secrets. */
void mem_wipe(void *ptr, size_t size);

static inline void mem_free_cleanup(void *ptr_to_ptr)
{
    mem_free(*(void **)ptr_to_ptr);
}
