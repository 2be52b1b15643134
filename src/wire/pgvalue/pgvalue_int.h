/* Shared by the files of this module only. */
#pragma once

#include "wire/pgvalue/pgvalue.h"

#define DAYS_TO_2000 10957 /* from 1970-01-01 */
#define SECONDS_TO_2000 INT64_C(946684800)
#define US_PER_DAY INT64_C(86400000000)
#define DAY_INFINITE INT32_MAX /* PostgreSQL's, and the engine's: -INT32_MAX is its other one */

/* Where the values of the column lie, in Arrow's terms. */
enum column_kind {
    COLUMN_OTHER, /* by arrow/value.h, as text */
    COLUMN_BOOL,
    COLUMN_I8,
    COLUMN_U8,
    COLUMN_I16,
    COLUMN_U16,
    COLUMN_I32,
    COLUMN_U32,
    COLUMN_I64,
    COLUMN_U64,
    COLUMN_FLOAT,
    COLUMN_DOUBLE,
    COLUMN_DECIMAL,
    COLUMN_BYTES,
    COLUMN_DATE,
    COLUMN_TIME,
    COLUMN_TIMESTAMP,
    COLUMN_INTERVAL,
    COLUMN_LIST,
    COLUMN_FIXED_LIST,
    COLUMN_NULL,
};

/* Microseconds; nanoseconds are cut, since the protocol has no more. */
static inline int64_t pg__us_of(int64_t value, int64_t unit)
{
    if (unit > 1000000) {
        int64_t parts = unit / 1000000;
        return value / parts - (value % parts < 0);
    }
    int64_t us;
    return __builtin_mul_overflow(value, 1000000 / unit, &us) ? (value < 0 ? -INT64_MAX : INT64_MAX)
                                                              : us;
}

struct pg_interval {
    int32_t months;
    int32_t days;
    int64_t us;
};

/* ---- text.c ---- */

void pg__print_int(int64_t value, struct buf *out);
void pg__print_double(double value, bool is_single, struct buf *out);
void pg__print_decimal(unsigned __int128 magnitude, bool is_negative, int32_t scale,
                       struct buf *out);
void pg__print_date(int64_t days_since_1970, struct buf *out);
#define PG_DAYS_BYTES_MAX 24 /* of pg__put_days */
/* Writes year, month and day; gives the place behind them. `ret_is_bc`: before the year 1. */
char *pg__put_days(int64_t days_since_1970, char *at, bool *ret_is_bc);
void pg__print_time(int64_t us, struct buf *out);
void pg__print_timestamp(int64_t us_since_1970, bool is_zoned, struct buf *out);
void pg__print_interval(const struct pg_interval *interval, struct buf *out);
void pg__print_hex(struct slice bytes, struct buf *out);

/* ---- binary.c ---- */

void pg__put_numeric(unsigned __int128 magnitude, bool is_negative, int32_t scale, struct buf *out);
MUST_USE bool pg__parse_uuid(struct slice text, uint8_t ret_bytes[16]);

/* ---- type.c ---- */

struct pg_type_row {
    uint32_t oid;
    uint32_t array_oid;
    int16_t size;
    const char *engine; /* names, "|" between */
};
const struct pg_type_row *pg__type_row(uint32_t oid);
/* Of an array type; NULL if it is none. */
const struct pg_type_row *pg__element_row(uint32_t array_oid);
