/* Values in messages between a broker and its hosts, native byte order: both ends are one program
 * on one machine. The reader trusts nothing: it never goes past its end, and once a value was bad
 * all that follow are zero, so that a decoder may read on and look once. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

void wire_put_u8(struct buf *out, uint8_t value);
void wire_put_u32(struct buf *out, uint32_t value);
void wire_put_u64(struct buf *out, uint64_t value);
void wire_put_i64(struct buf *out, int64_t value);
void wire_put_slice(struct buf *out, struct slice text);
void wire_put_errinfo(struct buf *out, const struct errinfo *info);

struct wire {
    const char *at;
    const char *end;
    bool is_bad;
};

struct wire wire_of(struct slice bytes);
void wire_fail(struct wire *in);
uint8_t wire_u8(struct wire *in);
bool wire_bool(struct wire *in); /* 0 or 1 */
uint32_t wire_u32(struct wire *in);
uint64_t wire_u64(struct wire *in);
int64_t wire_i64(struct wire *in);
struct slice wire_slice(struct wire *in); /* a view */
struct slice wire_bytes(struct wire *in, size_t len);
/* A count of things that take at least `bytes_min` each: never more than can follow. */
size_t wire_count(struct wire *in, size_t bytes_min);
/* What another process says went wrong: cut to size, UTF-8, one of the outcomes but ERR_OK. */
enum err wire_errinfo(struct wire *in, struct errinfo *ret_info);
/* All was read and nothing was bad. */
bool wire_is_done(const struct wire *in);

/* For decoders that allocate: zeroed, at least one; bad input and no memory alike fail `in`. */
void *wire_alloc(struct wire *in, struct arena *arena, size_t count, size_t size);
struct slice wire_copy(struct wire *in, struct arena *arena);
