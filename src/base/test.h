/* Tests on top of cmocka: TEST registers itself, test_main.c runs what --filter selects.
 *
 *     TEST(arena, limit_counts_children)
 *     {
 *         // Goal: ...  Method: ...
 *     }
 *
 * Flags of every test program: --seed N, --filter SUBSTRING, --list. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct test_case {
    const char *module;
    const char *name;
    void (*run)(void **state);
    struct test_case *next;
};

void test_register(struct test_case *test);

/* Seed of this run (printed at the start; from --seed or the clock). */
uint64_t test_seed(void);

/* SplitMix64 step: deterministic numbers from a seed that the test keeps. */
uint64_t test_random(uint64_t *seed);
uint64_t test_random_below(uint64_t *seed, uint64_t bound);

/* How many times longer something takes now than on an idle machine of 2024, at least 1: for limits
 * in milliseconds, which a slow machine and a busy one are not to fail. Measured anew by each call,
 * in 20 ms there; call it after what may have been late, while the machine is what it was then. */
unsigned test_slowness(void);

/* A fresh empty folder, removed after the run; the path is valid until the program ends. */
const char *test_folder(void);

#define TEST(module_, name_)                                                                       \
    static void test_##module_##_##name_(void **state);                                            \
    static struct test_case test_case_##module_##_##name_ = {#module_, #name_,                     \
                                                             test_##module_##_##name_, NULL};      \
    __attribute__((constructor)) static void test_register_##module_##_##name_(void)               \
    {                                                                                              \
        test_register(&test_case_##module_##_##name_);                                             \
    }                                                                                              \
    static void test_##module_##_##name_(UNUSED void **state)

#define CHECK(expression) assert_true(expression)
#define CHECK_OK(expression) assert_int_equal((expression), ERR_OK)
#define CHECK_ERR(expected, expression) assert_int_equal((expression), (expected))
#define CHECK_STR(expected, actual) assert_string_equal((actual), (expected))
#define CHECK_SLICE(expected, actual)                                                              \
    do {                                                                                           \
        struct slice check_slice_ = (actual);                                                      \
        assert_int_equal(check_slice_.len, strlen(expected));                                      \
        assert_memory_equal(check_slice_.ptr == NULL ? "" : check_slice_.ptr, (expected),          \
                            check_slice_.len);                                                     \
    } while (0)
