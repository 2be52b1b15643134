/* Columns of a query's rows into sketches of their distinct values. */
#pragma once

#include "arrow/arrow.h"
#include "iceberg/sketch.h"
#include "iceberg/type.h"

/* Whether a column of the type has values to count: all but nested ones and those that the engine
 * does not give. */
bool lake_sketch_takes(const struct iceberg_type *type);
/* Adds what a column of a batch has, as the type's single-value serialization; NULLs count not. */
MUST_USE enum err lake_sketch_add(const struct iceberg_type *type, const struct ArrowSchema *schema,
                                  const struct ArrowArray *column, struct arena *scratch,
                                  struct iceberg_sketch *sketch, struct errinfo *info);
