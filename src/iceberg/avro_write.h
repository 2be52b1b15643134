/* Avro object container files, written record by record (Avro 1.12 specification).
 *
 * The caller encodes each record by its own schema into `output->block`; this cuts blocks, packs
 * and frames them. Nothing is checked against the schema: readers of tests do that. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum avro_output_codec {
    AVRO_OUTPUT_NULL,
    AVRO_OUTPUT_DEFLATE,
    AVRO_OUTPUT_ZSTANDARD,
};

struct avro_pair {
    const char *key;
    struct slice value;
};

#define AVRO_SYNC_BYTES 16

struct avro_output {
    struct buf *out;  /* the caller's: the file so far */
    struct buf block; /* records that are not in it yet */
    uint64_t record_count;
    enum avro_output_codec codec;
    char sync[AVRO_SYNC_BYTES];
};

/* Appends the header to `out`, which the output keeps. `metadata` goes beside schema and codec. */
MUST_USE enum err avro_output_open(struct avro_output *output, struct buf *out, struct slice schema,
                                   const struct avro_pair *metadata, size_t metadata_count,
                                   enum avro_output_codec codec, struct errinfo *info);
/* The record is whole in `output->block`. ERR_NOMEM. */
MUST_USE enum err avro_output_next(struct avro_output *output, struct errinfo *info);
/* Writes what is left. */
MUST_USE enum err avro_output_end(struct avro_output *output, struct errinfo *info);
void avro_output_fini(struct avro_output *output);

/* Values, appended. */
void avro_write_long(struct buf *out, int64_t value);
void avro_write_bytes(struct buf *out, struct slice bytes);
void avro_write_float(struct buf *out, float value);
void avro_write_double(struct buf *out, double value);
