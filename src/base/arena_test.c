#include "base/arena.h"

#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"

TEST(arena, gives_aligned_memory_that_does_not_overlap)
{
    uint64_t seed = test_seed();
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    unsigned char *parts[500];
    size_t sizes[500];
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        sizes[i] = test_random_below(&seed, i % 50 == 0 ? 100000 : 300);
        parts[i] = arena_alloc(arena, sizes[i]);
        CHECK(parts[i] != NULL && (uintptr_t)parts[i] % 16 == 0);
        memset(parts[i], (int)(i & 0xFF), sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            CHECK(parts[i][j] == (i & 0xFF));
        }
    }
}

TEST(arena, limit_counts_children)
{
    /* Goal: one limit at the top bounds the tree, and what a child frees may be taken again. */
    struct arena *root CLEANUP(arena_cleanup) = arena_new(NULL, "root", 100000);
    struct arena *child = arena_new(root, "child", 0);
    struct arena *grandchild = arena_new(child, "grandchild", 0);
    CHECK(arena_alloc(grandchild, 80000) != NULL);
    CHECK(arena_bytes(root) >= 80000 && arena_bytes(root) == arena_bytes(child));
    CHECK(arena_alloc(root, 30000) == NULL);
    CHECK(arena_alloc(child, 30000) == NULL);
    arena_free(grandchild);
    CHECK(arena_bytes(root) == 0);
    CHECK(arena_alloc(root, 30000) != NULL);

    struct arena *narrow = arena_new(root, "narrow", 1000);
    CHECK(arena_alloc(narrow, 500) != NULL); /* although the usual block is larger */
    CHECK(arena_alloc(narrow, 5000) == NULL);
}

TEST(arena, a_failed_request_leaves_no_charge)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 10000);
    CHECK(arena_alloc(arena, SIZE_MAX) == NULL);
    CHECK(arena_alloc(arena, SIZE_MAX - 15) == NULL);
    CHECK(arena_calloc(arena, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_alloc(arena, 20000) == NULL);
    CHECK(arena_bytes(arena) == 0);
    CHECK(arena_alloc(arena, 9000) != NULL);
}

TEST(arena, reset_frees_children_and_keeps_one_block)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct arena *child = arena_new(arena, "child", 0);
    CHECK(arena_alloc(child, 100) != NULL);
    for (int i = 0; i < 100; i++) {
        CHECK(arena_alloc(arena, 1000) != NULL);
    }
    arena_reset(arena);
    size_t kept = arena_bytes(arena);
    CHECK(kept > 0);
    CHECK(arena_alloc(arena, 1000) != NULL);
    CHECK(arena_bytes(arena) == kept);
    arena_reset(arena);
    CHECK(arena_bytes(arena) == kept);
}

TEST(arena, frees_siblings_in_any_order)
{
    uint64_t seed = test_seed();
    struct arena *root CLEANUP(arena_cleanup) = arena_new(NULL, "root", 0);
    struct arena *children[20];
    for (size_t i = 0; i < ARRAY_COUNT(children); i++) {
        children[i] = arena_new(root, "child", 0);
        CHECK(arena_alloc(children[i], 10) != NULL);
    }
    for (size_t left = ARRAY_COUNT(children); left > 0; left--) {
        size_t at = test_random_below(&seed, left);
        arena_free(children[at]);
        children[at] = children[left - 1];
    }
    CHECK(arena_bytes(root) == 0);
    arena_free(NULL);
}

TEST(arena, copies_texts_with_a_nul_behind)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct slice copy;
    CHECK_STR("abc", arena_strdup(arena, "abc"));
    CHECK_STR("ab", arena_slicedup(arena, (struct slice){"abc", 2}));
    CHECK_STR("", arena_slicedup(arena, (struct slice){NULL, 0}));
    CHECK_STR("1-x", arena_printf(arena, "%d-%s", 1, "x"));
    CHECK(arena_slice(arena, SLICE("a\0b"), &copy));
    CHECK(copy.len == 3 && copy.ptr[3] == '\0');
    char *zeroed = arena_calloc(arena, 10, 10);
    for (size_t i = 0; i < 100; i++) {
        CHECK(zeroed[i] == 0);
    }
}

TEST(arena, survives_every_failed_allocation)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *root CLEANUP(arena_cleanup) = arena_new(NULL, "root", 0);
        struct arena *child = root == NULL ? NULL : arena_new(root, "child", 0);
        size_t before = root == NULL ? 0 : arena_bytes(root);
        if (child != NULL && arena_alloc(child, 10000) == NULL) {
            CHECK(arena_bytes(root) == before);
            CHECK(arena_alloc(child, 10000) != NULL); /* a fault fires once */
        }
    }
}
