/* Avro object container files, read block by block (Avro 1.12 specification), by field id.
 *
 * Why our own: libavro cannot show the header's metadata, loses field ids and knows no zstandard
 * (docs/dependencies.md). A reader resolves the writer's schema against a list of wanted
 * fields once, into a program of skips and stores, so that unknown fields cost a skip and nothing
 * is built that nobody asked for. Memory: one block at a time. Codecs null, deflate, snappy (with
 * its CRC), zstandard. Not thread-safe per reader. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

#define AVRO_BLOCK_BYTES_MAX (256u * 1024 * 1024) /* decompressed; larger is ERR_LIMIT */
#define AVRO_DEPTH_MAX 64
#define AVRO_NODES_MAX 100000 /* of a schema with all its named types written out */

enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_RECORD,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
};

/* The writer's schema as a tree, in the reader's arena. */
struct avro_schema {
    enum avro_kind kind;
    struct slice name;         /* record, enum, fixed */
    struct slice logical_type; /* "decimal", "date", "timestamp-micros", "map", ...; empty = none */
    uint32_t precision;
    uint32_t scale;
    uint32_t size;                   /* fixed */
    uint32_t node_count;             /* of this tree, each use of a named type counted */
    int64_t constant_bytes;          /* every value has so many bytes; -1 = it varies */
    bool is_adjusted_to_utc;         /* adjust-to-utc */
    int32_t element_id;              /* arrays; -1 = none; maps: value-id */
    int32_t key_id;                  /* maps */
    const struct avro_field *fields; /* record: fields; union: branches; array, map: one item */
    size_t field_count;
};

struct avro_field {
    struct slice name;
    int32_t id; /* property field-id; -1 = none */
    const struct avro_schema *schema;
};

struct avro_reader;

/* Parses the header of a whole file in memory. `bytes` must outlive the reader. ERR_CORRUPT with
 * the byte offset; ERR_UNSUPPORTED for a codec or schema construct by name. */
MUST_USE enum err avro_open(struct slice bytes, struct avro_reader **ret_reader,
                            struct errinfo *info);
void avro_close(struct avro_reader *reader);
DEFINE_CLEANUP(struct avro_reader, avro_cleanup, avro_close)

/* Header metadata ("schema", "partition-spec", "format-version", "avro.codec" ...). */
struct slice avro_metadata(const struct avro_reader *reader, const char *key);
const struct avro_schema *avro_reader_schema(const struct avro_reader *reader);

/* Moves to the next block: its record count, 0 at the end, and its decompressed bytes, valid until
 * the next call. Sync markers are checked; a block of no records must hold nothing. What Avro
 * cannot tell: a changed byte inside of a block whose codec is not snappy (the only one with a
 * checksum), and a file that ends early, behind a sync marker. */
MUST_USE enum err avro_next_block(struct avro_reader *reader, uint64_t *ret_record_count,
                                  struct slice *ret_bytes, struct errinfo *info);

/* A cursor over decompressed bytes: primitives, each checked against the end. */
struct avro_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* A number and where it ends; `next` NULL: it leaves the block. In registers, so that loops over
 * statistics keep their place there. */
struct avro_long {
    const uint8_t *next;
    int64_t value;
};
struct avro_long avro__long(const uint8_t *at, const uint8_t *end);

static inline struct avro_long avro_long(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at < 0x80) { /* most numbers have one byte */
        return (struct avro_long){at + 1, (int64_t)(*at >> 1) ^ -(int64_t)(*at & 1)};
    }
    return avro__long(at, end);
}

MUST_USE static inline bool avro_read_long(struct avro_cursor *cursor, int64_t *ret_value)
{
    struct avro_long number = avro_long(cursor->at, cursor->end);
    if (number.next == NULL) {
        return false;
    }
    cursor->at = number.next;
    *ret_value = number.value;
    return true;
}

MUST_USE static inline bool avro_read_bytes(struct avro_cursor *cursor, struct slice *ret_bytes)
{
    struct avro_long len = avro_long(cursor->at, cursor->end);
    if (len.next == NULL || len.value < 0 || len.value > cursor->end - len.next) {
        return false;
    }
    *ret_bytes = (struct slice){(const char *)len.next, (size_t)len.value};
    cursor->at = len.next + len.value;
    return true;
}

/* Steps over one value of `schema`; false when it leaves the block or nests too deep. */
MUST_USE bool avro_skip(struct avro_cursor *cursor, const struct avro_schema *schema);
