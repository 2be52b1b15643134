/* What transforms, projections and their tests share. */
#pragma once

#include "iceberg/transform.h"

/* Value of truncate (numbers), year, month, day or hour before it is cut to its stored width:
 * monotone in `value`, which is a number of type `source`. */
iceberg_int128 iceberg__transform_number(const struct iceberg_transform *transform,
                                         enum iceberg_type_id source, iceberg_int128 value);

/* Bytes that the first `count_max` code points of `text` take, and how many there are. */
size_t iceberg__code_points(struct slice text, size_t count_max, size_t *ret_len);
