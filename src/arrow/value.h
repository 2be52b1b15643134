/* One cell of an Arrow batch as text: the same text for every format and protocol. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

/* False if the cell is NULL. */
bool arrow_is_valid(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row);

/* Appends the cell's SQL text: true/false, shortest round-trip floats, ISO dates and timestamps,
 * hex bytes (\x..), [a, b], {'k': v}. NULL inside nested values prints NULL.
 * ERR_UNSUPPORTED for a format string this reader does not know. */
MUST_USE enum err arrow_print(const struct ArrowSchema *schema, const struct ArrowArray *array,
                              int64_t row, struct buf *out, struct errinfo *info);

/* Appends the cell as a JSON value: numbers stay exact, NaN and infinities become null strings
 * "NaN"/"Infinity", decimals and int64 beyond 2^53 stay numbers, the rest strings. */
MUST_USE enum err arrow_print_json(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                   int64_t row, struct buf *out, struct errinfo *info);

/* True if the column should be right-aligned for people. */
bool arrow_is_numeric(const struct ArrowSchema *schema);
