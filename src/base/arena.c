/* Blocks in a list, bump allocation in the newest; large requests get a block of their own behind
 * it. First blocks are kept by the thread that frees them: an allocator joins and splits pieces of
 * that size each time, which was 4 % of answering `SELECT 1`. Rejected: free lists (nothing in
 * request work frees one by one), mmap per arena (start-up cost of a query). */
#include "base/arena.h"

#include <pthread.h>
#include <stdarg.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/sweep.h"

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_FIRST_BYTES 4096u
#define ARENA_BLOCK_MAX_BYTES (1u << 20)
#define SPARES_MAX 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS_SPARES false /* a block in use after its end must be found */
#elif defined(__has_feature)
#define KEEPS_SPARES                                                                               \
    (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) &&                      \
     !__has_feature(memory_sanitizer))
#else
#define KEEPS_SPARES true
#endif

struct arena_block {
    struct arena_block *next;
    size_t capacity; /* of data */
    size_t used;
    size_t pad; /* keeps data 16-byte aligned */
    char data[];
};

struct arena {
    struct arena *parent;
    struct arena *children;
    struct arena *sibling;
    const char *name;
    struct arena_block *blocks; /* newest first */
    size_t block_bytes_next;
    size_t bytes_max; /* 0 = none */
    size_t bytes;     /* of blocks here and in children */
};

_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "data must be aligned");

/* ---- spare first blocks of this thread ---- */

static pthread_key_t spares_key;
static bool has_spares_key;
static pthread_once_t spares_once = PTHREAD_ONCE_INIT;
static _Thread_local struct {
    struct arena_block *first;
    unsigned count;
    bool has_end; /* freed at the thread's end */
} spares;

static void free_spares(UNUSED void *context)
{
    while (spares.first != NULL) {
        struct arena_block *block = spares.first;
        spares.first = block->next;
        mem_free(block);
    }
    spares.count = SPARES_MAX; /* no more of them */
}

static void make_spares_key(void)
{
    has_spares_key = pthread_key_create(&spares_key, free_spares) == 0;
}

static bool keep_spare(struct arena_block *block)
{
    if (!KEEPS_SPARES || block->capacity != ARENA_BLOCK_FIRST_BYTES || spares.count >= SPARES_MAX) {
        return false;
    }
    if (!spares.has_end) {
        (void)pthread_once(&spares_once, make_spares_key);
        spares.has_end = has_spares_key && pthread_setspecific(spares_key, &spares) == 0;
        if (!spares.has_end) {
            return false;
        }
    }
    block->next = spares.first;
    spares.first = block;
    spares.count++;
    return true;
}

static struct arena_block *new_block(size_t capacity)
{
    struct arena_block *block = spares.first;
    if (block == NULL || capacity != ARENA_BLOCK_FIRST_BYTES) {
        return mem_alloc(sizeof(*block) + capacity);
    }
    if (fault_hit_alloc()) {
        return NULL;
    }
    spares.first = block->next;
    spares.count--;
    return block;
}

/* ---- arenas ---- */

static bool arena__charge(struct arena *arena, size_t size)
{
    for (struct arena *a = arena; a != NULL; a = a->parent) {
        size_t total;
        if (!checked_add(a->bytes, size, &total) || (a->bytes_max != 0 && total > a->bytes_max)) {
            return false;
        }
    }
    for (struct arena *a = arena; a != NULL; a = a->parent) {
        a->bytes += size;
    }
    return true;
}

static void arena__uncharge(struct arena *arena, size_t size)
{
    for (struct arena *a = arena; a != NULL; a = a->parent) {
        ASSERT(a->bytes >= size);
        a->bytes -= size;
    }
}

struct arena *arena_new(struct arena *parent, const char *name, size_t bytes_max)
{
    struct arena *arena = mem_calloc(1, sizeof(*arena));
    if (arena == NULL) {
        return NULL;
    }
    arena->parent = parent;
    arena->name = name;
    arena->bytes_max = bytes_max;
    arena->block_bytes_next = ARENA_BLOCK_FIRST_BYTES;
    if (parent != NULL) {
        arena->sibling = parent->children;
        parent->children = arena;
    }
    return arena;
}

static void arena__free_blocks(struct arena *arena, struct arena_block *keep)
{
    struct arena_block *next;
    for (struct arena_block *block = arena->blocks; block != NULL; block = next) {
        next = block->next;
        if (block != keep) {
            arena__uncharge(arena, sizeof(*block) + block->capacity);
            if (!keep_spare(block)) {
                mem_free(block);
            }
        }
    }
    arena->blocks = keep;
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
}

void arena_free(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    while (arena->children != NULL) {
        arena_free(arena->children);
    }
    arena__free_blocks(arena, NULL);
    if (arena->parent != NULL) {
        struct arena **link = &arena->parent->children;
        while (*link != arena) {
            link = &(*link)->sibling;
        }
        *link = arena->sibling;
    }
    mem_free(arena);
}

void arena_reset(struct arena *arena)
{
    while (arena->children != NULL) {
        arena_free(arena->children);
    }
    arena__free_blocks(arena, arena->blocks);
}

static struct arena_block *arena__grow(struct arena *arena, size_t size)
{
    size_t capacity = arena->block_bytes_next > size ? arena->block_bytes_next : size;
    size_t total;
    if (!checked_add(capacity, sizeof(struct arena_block), &total)) {
        return NULL;
    }
    if (!arena__charge(arena, total)) {
        /* Near the limit the comfortable block may not fit although the request does. */
        capacity = size;
        total = capacity + sizeof(struct arena_block);
        if (!arena__charge(arena, total)) {
            return NULL;
        }
    }
    struct arena_block *block = new_block(capacity);
    if (block == NULL) {
        arena__uncharge(arena, total);
        return NULL;
    }
    block->capacity = capacity;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->block_bytes_next < ARENA_BLOCK_MAX_BYTES) {
        arena->block_bytes_next *= 2;
    }
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded;
    if (!checked_add(size == 0 ? 1 : size, ARENA_ALIGN - 1, &rounded)) {
        return NULL;
    }
    rounded &= ~(size_t)(ARENA_ALIGN - 1);
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->capacity - block->used < rounded) {
        block = arena__grow(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = block->data + block->used;
    block->used += rounded;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!checked_mul(count, size, &total)) {
        return NULL;
    }
    void *memory = arena_alloc(arena, total);
    if (memory != NULL) {
        memset(memory, 0, total);
    }
    return memory;
}

char *arena_slicedup(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (copy != NULL) {
        if (text.len > 0) {
            memcpy(copy, text.ptr, text.len);
        }
        copy[text.len] = '\0';
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_slicedup(arena, slice_of(text));
}

bool arena_slice(struct arena *arena, struct slice text, struct slice *ret_copy)
{
    char *copy = arena_slicedup(arena, text);
    if (copy == NULL) {
        return false;
    }
    *ret_copy = (struct slice){copy, text.len};
    return true;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return text;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
