/* Bytes that are wiped when they go: tokens, passwords on their way, keys. Never in an arena, never
 * grown in place (a larger copy would leave the smaller one behind). */
#pragma once

#include "base/base.h"

struct secret {
    char *ptr; /* heap, with a NUL behind `len`; NULL = none */
    size_t len;
};

/* Room for `len` bytes, zeroed; false when memory is exhausted. */
MUST_USE bool secret_new(size_t len, struct secret *ret_secret);
MUST_USE bool secret_copy(struct slice bytes, struct secret *ret_secret);
/* The parts one behind the other. */
MUST_USE bool secret_join(const struct slice *parts, size_t part_count, struct secret *ret_secret);
void secret_fini(struct secret *secret); /* accepts a zeroed struct */

/* What `secret` was is wiped; takes what `replacement` holds. */
void secret_replace(struct secret *secret, struct secret *replacement);

static inline struct slice secret_slice(const struct secret *secret)
{
    return (struct slice){secret->ptr == NULL ? "" : secret->ptr, secret->len};
}
