/* Shared by the files that write. */
#pragma once

#include "iceberg/value_int.h"
#include "iceberg/write.h"

/* Fields of an Avro record's schema, as JSON text. */
void write__optional(struct buf *out, const char *name, int32_t id, const char *type);
void write__required(struct buf *out, const char *name, int32_t id, const char *type);

/* Values of a union of null and something, null first: ICEBERG_NO_ID, ptr NULL are null. */
void write__optional_long(struct buf *out, int64_t value);
void write__optional_bytes(struct buf *out, struct slice bytes);

/* The types of a spec's values. ERR_UNSUPPORTED for a field that cannot be written. */
MUST_USE enum err write__partition_types(const struct iceberg_metadata *metadata,
                                         const struct iceberg_spec *spec, struct arena *arena,
                                         struct iceberg_type **ret_types, struct errinfo *info);
