/* Arenas: memory by lifetime, session > statement > batch, in a tree.
 *
 * The arena is a parameter and its name is its lifetime. Freeing or resetting a parent frees its
 * children. Each arena has a byte limit; what a child takes also counts against its parents, so
 * that one limit at the top bounds a query. Not thread-safe: one thread at a time per tree.
 * After PostgreSQL's memory contexts, without the per-chunk free. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct arena;

/* `parent` NULL makes a root. `bytes_max` 0 means bounded only by the parents. `name` must be a
 * literal (it is kept by pointer). NULL when memory or the parent's limit is exhausted. */
MUST_USE struct arena *arena_new(struct arena *parent, const char *name, size_t bytes_max);

/* Frees the arena, its children and all of their memory. NULL is allowed. */
void arena_free(struct arena *arena);

/* Frees the children and all memory but one block, which is kept for reuse. */
void arena_reset(struct arena *arena);

/* 16-byte aligned, not zeroed; NULL when memory or a limit is exhausted. */
MUST_USE void *arena_alloc(struct arena *arena, size_t size);

/* Zeroed; checks count * size for overflow. */
MUST_USE void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* NUL-terminated copies; NULL on failure. */
MUST_USE char *arena_strdup(struct arena *arena, const char *text);
MUST_USE char *arena_slicedup(struct arena *arena, struct slice text);

/* Copies the bytes: true on success. The copy is also NUL-terminated. */
MUST_USE bool arena_slice(struct arena *arena, struct slice text, struct slice *ret_copy);

PRINTF_LIKE(2, 3) MUST_USE char *arena_printf(struct arena *arena, const char *format, ...);

/* Bytes handed to users of this arena and its children / taken from the heap. */
size_t arena_bytes(const struct arena *arena);

DEFINE_CLEANUP(struct arena, arena_cleanup, arena_free)
