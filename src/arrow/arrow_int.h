/* What the files of this module share: format strings as a type, and access to cells. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum arrow_kind {
    ARROW_NULL,
    ARROW_BOOL,
    ARROW_INT,          /* width_bits, is_signed */
    ARROW_FLOAT,        /* width_bits 16, 32, 64 */
    ARROW_DECIMAL,      /* width_bits 32, 64, 128; precision, scale */
    ARROW_UTF8,         /* is_large */
    ARROW_BINARY,       /* is_large */
    ARROW_FIXED_BINARY, /* size */
    ARROW_DATE,         /* width_bits 32 days, 64 milliseconds */
    ARROW_TIME,         /* width_bits, unit */
    ARROW_TIMESTAMP,    /* unit, timezone */
    ARROW_DURATION,     /* unit */
    ARROW_INTERVAL,     /* month_day_nano only */
    ARROW_LIST,         /* is_large */
    ARROW_FIXED_LIST,   /* size */
    ARROW_STRUCT,
    ARROW_MAP,
    ARROW_UNION, /* is_large: dense; the type of a cell is the number of its child */
};

enum arrow_unit {
    ARROW_SECOND,
    ARROW_MILLI,
    ARROW_MICRO,
    ARROW_NANO
};

struct arrow_type {
    enum arrow_kind kind;
    int32_t width_bits;
    bool is_signed;
    bool is_large;
    enum arrow_unit unit;
    int32_t precision;
    int32_t scale;
    int32_t size;
    const char *timezone; /* "" = none; a view of the format */
};

/* Reads schema->format (of the values, not the indices, is the caller's choice of schema).
 * ERR_UNSUPPORTED naming the column for any other format; ERR_INVALID if children do not fit. */
MUST_USE enum err arrow__type(const struct ArrowSchema *schema, struct arrow_type *ret_type,
                              struct errinfo *info);

/* `index` counts from the start of the buffers: array->offset is included. */
bool arrow__bit(const void *bitmap, int64_t index);
struct slice arrow__bytes(const struct arrow_type *type, const struct ArrowArray *array,
                          int64_t index);
/* Start and end of a list's or map's entries in its child (child->offset not included). */
void arrow__range(const struct arrow_type *type, const struct ArrowArray *array, int64_t index,
                  int64_t *ret_start, int64_t *ret_end);
int64_t arrow__int(const struct arrow_type *type, const void *values, int64_t index);

/* Position of the value that a dictionary-encoded cell points at. ERR_CORRUPT out of range. */
MUST_USE enum err arrow__dictionary_row(const struct ArrowSchema *schema,
                                        const struct ArrowArray *array, int64_t index,
                                        int64_t *ret_row, struct errinfo *info);

void arrow__print_double(double value, struct buf *out);
void arrow__print_float(float value, struct buf *out);
double arrow__half(uint16_t bits);
void arrow__print_decimal(const struct arrow_type *type, const struct ArrowArray *array,
                          int64_t index, struct buf *out);
void arrow__print_temporal(const struct arrow_type *type, const struct ArrowArray *array,
                           int64_t index, struct buf *out);

struct arrow_interval {
    int32_t months;
    int32_t days;
    int64_t nanos;
};
