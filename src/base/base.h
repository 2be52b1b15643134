/* What every file of the tree may assume: fixed-width types, attributes, assertions, slices.
 *
 * A bug is an ASSERT and aborts in every build; an operation that can fail returns `enum err`
 * (base/err.h). Nothing here allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/banned.h"

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

/* Runs `fn(&variable)` when the variable leaves scope; `fn` must accept a zeroed variable. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Moves ownership out of a CLEANUP variable: yields its value and leaves NULL behind. */
#define TAKE(ptr)                                                                                  \
    (__extension__({                                                                               \
        __typeof__(ptr) take_tmp_ = (ptr);                                                         \
        (ptr) = NULL;                                                                              \
        take_tmp_;                                                                                 \
    }))

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Defines `void type_cleanup_name(T **)` for CLEANUP from a close/free function. */
#define DEFINE_CLEANUP(type, name, close_fn)                                                       \
    static inline void name(type **ptr)                                                            \
    {                                                                                              \
        if (*ptr != NULL) {                                                                        \
            close_fn(*ptr);                                                                        \
        }                                                                                          \
    }

/* Prints file, line and the failed expression to stderr and aborts. Safe in any thread. */
__attribute__((noreturn, cold)) void assert_failed(const char *expression, const char *file,
                                                   int line);

#define ASSERT(expression)                                                                         \
    (__builtin_expect(!!(expression), 1) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))

/* A view of bytes owned by another, not NUL-terminated. `ptr` may be NULL only if len is 0. */
struct slice {
    const char *ptr;
    size_t len;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

/* View of a NUL-terminated string; NULL gives the empty slice. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Byte order, shorter first on a common prefix: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

/* Equality folding ASCII case only, as SQL identifiers are compared. */
bool slice_equal_fold(struct slice a, struct slice b);
int slice_compare_fold(struct slice a, struct slice b);

bool slice_starts_with(struct slice text, struct slice prefix);
bool slice_starts_with_fold(struct slice text, struct slice prefix);
bool slice_ends_with(struct slice text, struct slice suffix);

/* Offset of the first `needle` in `text`, or SIZE_MAX. */
size_t slice_find(struct slice text, struct slice needle);

/* Without ASCII white space at both ends. */
struct slice slice_trim(struct slice text);

/* True if `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). On false,
 * `ret_bad_offset` (if not NULL) is the first offending byte. */
bool slice_is_utf8(struct slice text, size_t *ret_bad_offset);

/* Decimal digits only, no sign or space; false on overflow or any other byte. */
bool slice_to_u64(struct slice text, uint64_t *ret_value);
bool slice_to_i64(struct slice text, int64_t *ret_value);

/* Damerau-Levenshtein distance folding ASCII case, capped: returns limit + 1 when larger.
 * For "did you mean". Texts longer than 64 bytes count as infinitely far. */
unsigned slice_edit_distance(struct slice a, struct slice b, unsigned limit);
