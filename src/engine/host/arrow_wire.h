/* Arrow schemas and batches in messages. A batch is a description (lengths and sizes, in the order
 * of the schema's nodes) and the bytes of its buffers, one behind the other at multiples of 64.
 *
 * What is decoded was checked against the schema whole: every offset, length and index of it lies
 * within its buffers, whoever wrote them. */
#pragma once

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/buf.h"
#include "engine/host/wire.h"

enum {
    ARROW_WIRE_DEPTH_MAX = 128,
    ARROW_WIRE_ALIGN = 64
};

/* How the values of a node lie in memory. */
enum arrow_layout_kind {
    LAYOUT_NULL,
    LAYOUT_BITS,
    LAYOUT_FIXED,
    LAYOUT_BYTES,
    LAYOUT_LIST, /* and maps */
    LAYOUT_FIXED_LIST,
    LAYOUT_STRUCT,
    LAYOUT_UNION, /* sparse: every child as long as the union */
};

struct arrow_layout {
    enum arrow_layout_kind kind;
    uint32_t width;   /* bytes of a value; of a fixed list: items */
    bool is_large;    /* offsets of 64 bits */
    bool is_unsigned; /* of an integer */
    bool is_integer;  /* may index a dictionary */
};

/* False for a format that no engine of ours writes. */
bool arrow_layout_of(const char *format, struct arrow_layout *ret_layout);

/* ---- schemas ---- */

struct wire_schema {
    struct slice format; /* NUL-terminated, as is the name */
    struct slice name;
    struct slice metadata; /* as Arrow has it; empty = none */
    int64_t flags;
    struct arrow_layout layout;
    struct wire_schema *children;
    size_t child_count;
    struct wire_schema *dictionary;
    size_t node_count;   /* of the tree below and this */
    size_t buffer_count; /* of all of these */
};

MUST_USE enum err wire_put_schema(struct buf *out, const struct ArrowSchema *schema,
                                  struct errinfo *info);
/* NULL (and `in` bad) for anything but a struct of columns. */
struct wire_schema *wire_take_schema(struct wire *in, struct arena *arena);
/* A copy that lives by itself. */
MUST_USE enum err wire_schema_export(const struct wire_schema *schema,
                                     struct ArrowSchema *ret_schema, struct errinfo *info);

/* ---- batches ---- */

struct wire_piece {
    const void *bytes; /* NULL: zeros */
    size_t len;
    size_t at; /* behind the start of the data */
};

struct wire_batch {
    struct buf description;
    struct wire_piece *pieces;
    size_t piece_count;
    size_t piece_capacity;
    size_t data_bytes;
};

/* What to send of a batch; the pieces point into it. */
MUST_USE enum err wire_batch_of(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                                struct wire_batch *ret_batch, struct errinfo *info);
void wire_batch_copy(const struct wire_batch *batch, char *ret_data);
void wire_batch_reset(struct wire_batch *batch);
void wire_batch_fini(struct wire_batch *batch);

/* Takes `data` (from mem_alloc; `data_bytes` long), also when it fails. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE enum err wire_take_batch(const struct wire_schema *schema, struct slice description,
                                  char *data, size_t data_bytes, struct ArrowArray *ret_batch,
                                  struct errinfo *info);
