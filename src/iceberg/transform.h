/* Partition transforms (spec "Partition Transforms", Appendix B) and their values. */
#pragma once

#include "iceberg/type.h"

enum iceberg_transform_kind {
    TRANSFORM_IDENTITY,
    TRANSFORM_BUCKET,
    TRANSFORM_TRUNCATE,
    TRANSFORM_YEAR,
    TRANSFORM_MONTH,
    TRANSFORM_DAY,
    TRANSFORM_HOUR,
    TRANSFORM_VOID,
    TRANSFORM_OTHER, /* a name the spec does not know: read, never used for pruning, not written */
};

struct iceberg_transform {
    enum iceberg_transform_kind kind;
    uint32_t width;    /* bucket: count, truncate: width; 1 and up */
    struct slice text; /* as written, for messages and TRANSFORM_OTHER */
};

/* "identity", "bucket[16]", "truncate[4]", ERR_CORRUPT for a
 * width that is none. `ret_transform` views `text`. */
MUST_USE enum err iceberg_transform_parse(struct slice text,
                                          struct iceberg_transform *ret_transform,
                                          struct errinfo *info);
/* What the name of its partition field has behind the column's, as the reference names them; in
 * ALTER TABLE a width follows. */
const char *iceberg_transform_suffix(const struct iceberg_transform *transform);
void iceberg_transform_print(const struct iceberg_transform *transform, struct buf *out);

/* Type of the partition value for a source type; ERR_INVALID when the transform does not take it.
 * A void or unknown transform gives the source type (void) or string (unknown). */
MUST_USE enum err iceberg_transform_result(const struct iceberg_transform *transform,
                                           const struct iceberg_type *source,
                                           struct iceberg_type *ret_type, struct errinfo *info);

/* Value of the transform; null to null. Texts of the result live in `arena`. ERR_NOMEM only:
 * the pair must have passed iceberg_transform_result. */
MUST_USE enum err iceberg_transform_apply(const struct iceberg_transform *transform,
                                          const struct iceberg_type *source,
                                          const struct iceberg_value *value, struct arena *arena,
                                          struct iceberg_value *ret_value);

/* The spec's 32-bit Murmur3 hash of a value (Appendix B), before the modulus. */
int32_t iceberg_bucket_hash(const struct iceberg_value *value);

/* 2024-01 for a month, 2024-01-31-05 for an hour ...: how partition values read in paths. */
void iceberg_transform_print_value(const struct iceberg_transform *transform,
                                   const struct iceberg_value *value, struct buf *out);
