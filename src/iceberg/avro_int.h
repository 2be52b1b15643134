/* Parts of the Avro reader. */
#pragma once

#include "iceberg/avro.h"

/* Parses a writer's schema (Avro specification, "Schema Declaration"). ERR_CORRUPT, ERR_LIMIT for
 * depth, ERR_UNSUPPORTED for a schema that refers to itself. */
MUST_USE enum err avro__schema_parse(struct slice text, struct arena *arena,
                                     const struct avro_schema **ret_schema, struct errinfo *info);

enum avro_codec {
    AVRO_CODEC_NULL,
    AVRO_CODEC_DEFLATE,
    AVRO_CODEC_SNAPPY,
    AVRO_CODEC_ZSTANDARD,
};

/* ERR_UNSUPPORTED naming it. An absent codec (empty) is "null". */
MUST_USE enum err avro__codec_find(struct slice name, enum avro_codec *ret_codec,
                                   struct errinfo *info);
/* Decompresses one block into `out`, whose content is replaced. Not for AVRO_CODEC_NULL. */
MUST_USE enum err avro__decompress(enum avro_codec codec, struct slice block, struct buf *out,
                                   struct errinfo *info);
