/* Values as the PostgreSQL protocol carries them: columns of Arrow batches out, parameters in, as
 * text and as binary. Knows types and bytes, no messages. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

/* Object identifiers of PostgreSQL's own types (its catalog pg_type.dat). */
enum pg_oid {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_CHAR = 18,
    PG_NAME = 19,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_OID = 26,
    PG_JSON = 114,
    PG_FLOAT4 = 700,
    PG_FLOAT8 = 701,
    PG_UNKNOWN = 705,
    PG_BPCHAR = 1042,
    PG_VARCHAR = 1043,
    PG_DATE = 1082,
    PG_TIME = 1083,
    PG_TIMESTAMP = 1114,
    PG_TIMESTAMPTZ = 1184,
    PG_INTERVAL = 1186,
    PG_TIMETZ = 1266,
    PG_BIT = 1560,
    PG_VARBIT = 1562,
    PG_NUMERIC = 1700,
    PG_VOID = 2278,
    PG_UUID = 2950,
    PG_JSONB = 3802,
};

struct pg_type {
    uint32_t oid;
    int32_t typmod;       /* -1: none; numeric: precision and scale */
    int16_t size;         /* -1: varies */
    uint32_t element_oid; /* 0: no array */
};

/* Of an engine's type name ("DECIMAL(9,2)", "VARCHAR[]"). What PostgreSQL has no type for is text:
 * structs, maps, unions, lists of lists, bits, enums. */
struct pg_type pg_type_of(struct slice engine_type);

/* The engine's name of one of PostgreSQL's types, for a cast; NULL where it has none. */
const char *pg_engine_type(uint32_t oid);

enum pg_format {
    PG_FORMAT_TEXT = 0,
    PG_FORMAT_BINARY = 1
};

/* How the cells of one column are written. Filled once a query, used for each cell. */
struct pg_encoder {
    struct pg_type type;
    enum pg_format format;
    int kind; /* of the Arrow column; internal */
    int32_t scale;
    int64_t unit; /* parts of a second in which it counts */
    int32_t size;
    int32_t extra_float_digits;
    const struct ArrowSchema *schema;
    const struct pg_encoder *element; /* arrays */
    struct pg_encoder *owned;
};

/* `schema` (of the column) outlives the encoder. ERR_UNSUPPORTED naming the column where its
 * values cannot be sent in that format. */
MUST_USE enum err pg_encoder_init(struct pg_encoder *encoder, const struct ArrowSchema *schema,
                                  struct pg_type type, enum pg_format format, struct errinfo *info);
void pg_encoder_fini(struct pg_encoder *encoder);

bool pg_cell_is_null(const struct pg_encoder *encoder, const struct ArrowArray *column,
                     int64_t row);
/* Appends the value's bytes, without length; not for NULL. ERR_LIMIT and the like as it says. */
MUST_USE enum err pg_encode(const struct pg_encoder *encoder, const struct ArrowArray *column,
                            int64_t row, struct buf *out, struct errinfo *info);

/* How one column of a batch goes into rows; filled by pg_rows_take. */
struct pg_row_column {
    const struct pg_encoder *encoder;
    const struct ArrowArray *array;
    const uint8_t *validity; /* NULL: no cell is NULL */
    const void *values;
    const int32_t *offsets; /* texts: into `values` */
    int way;                /* internal */
    size_t bytes_max;       /* of a cell, without its length; texts and the unusual: 0 */
};

/* Looks at a batch, whose children are as many as the encoders; it and they outlive the use. */
void pg_rows_take(struct pg_row_column *columns, const struct pg_encoder *encoders, size_t count,
                  const struct ArrowArray *batch);
/* Appends rows from `*row` on, each as a message: the type, its length, how many cells, each with
 * its length. So is a DataRow, and a row of a binary COPY. Stops at `row_end`, or once `out` has
 * `bytes_stop` bytes; `*row` is the next then, also after an error. */
MUST_USE enum err pg_rows_write(const struct pg_row_column *columns, size_t count, char type,
                                int64_t *row, int64_t row_end, size_t bytes_stop, struct buf *out,
                                struct errinfo *info);

/* A parameter's bytes to text that the engine converts, appended. Text passes, but for arrays and
 * bytea, whose texts differ. ERR_INVALID (22P03, 22P02) for bytes that are no such value,
 * ERR_UNSUPPORTED for a type without a decoder in binary. */
MUST_USE enum err pg_decode(uint32_t oid, enum pg_format format, struct slice bytes,
                            struct buf *ret_text, struct errinfo *info);

/* ---- texts of numbers and truth (number.c) ---- */

/* PostgreSQL's name of a type; NULL of those that only their own names have. */
const char *pg_type_title(uint32_t oid);
/* The whole text, spaces around it aside; of integers and floats in the range of the type.
 * ERR_INVALID: 22P02, 22003. */
MUST_USE enum err pg_read_bool(struct slice text, bool *ret_value, struct errinfo *info);
MUST_USE enum err pg_read_integer(uint32_t oid, struct slice text, int64_t *ret_value,
                                  struct errinfo *info);
MUST_USE enum err pg_read_float(uint32_t oid, struct slice text, double *ret_value,
                                struct errinfo *info);
enum err pg_out_of_range(uint32_t oid, struct slice text, struct errinfo *info); /* 22003 */

/* ---- bytes of the wire ---- */

/* buf_append without a call where there is room: rows are made of a few bytes at a time. */
static inline void pg_put(struct buf *out, const void *bytes, size_t len)
{
    if (!out->failed && out->capacity - out->len > len) {
        memcpy(out->ptr + out->len, bytes, len);
        out->len += len;
        out->ptr[out->len] = '\0';
    } else {
        buf_append(out, bytes, len);
    }
}

static inline void pg_put16(struct buf *out, uint16_t value)
{
    value = __builtin_bswap16(value);
    pg_put(out, &value, sizeof(value));
}

static inline void pg_put32(struct buf *out, uint32_t value)
{
    value = __builtin_bswap32(value);
    pg_put(out, &value, sizeof(value));
}

static inline void pg_put64(struct buf *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    pg_put(out, &value, sizeof(value));
}
