/* Avro object container files: header, blocks, and the primitives inside of a block. */
#include "iceberg/avro.h"

#include "base/mem.h"
#include "iceberg/avro_int.h"

#define SYNC_BYTES 16
#define METADATA_MAX 1000

struct avro_metadata_entry {
    struct slice key;
    struct slice value;
};

struct avro_reader {
    struct arena *arena;
    struct slice bytes;
    struct avro_cursor cursor;
    const uint8_t *sync;
    struct avro_metadata_entry *metadata;
    size_t metadata_count;
    enum avro_codec codec;
    const struct avro_schema *schema;
    struct buf block; /* decompressed */
};

/* ---- primitives ---- */

bool avro_read_long(struct avro_cursor *cursor, int64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

bool avro_read_bytes(struct avro_cursor *cursor, struct slice *ret_bytes)
{
    int64_t len;
    if (!avro_read_long(cursor, &len) || len < 0 || len > cursor->end - cursor->at) {
        return false;
    }
    *ret_bytes = (struct slice){(const char *)cursor->at, (size_t)len};
    cursor->at += len;
    return true;
}

static bool skip_bytes(struct avro_cursor *cursor, uint64_t len)
{
    if (len > (uint64_t)(cursor->end - cursor->at)) {
        return false;
    }
    cursor->at += len;
    return true;
}

static bool skip(struct avro_cursor *cursor, const struct avro_schema *schema, unsigned depth);

/* Items that take no bytes could be claimed without end: a block may not hold more of them than
 * bytes are left, unless it says its size. */
static bool skip_items(struct avro_cursor *cursor, const struct avro_schema *schema, unsigned depth)
{
    const struct avro_schema *item = schema->fields[0].schema;
    for (int64_t count = 1, size; count != 0;) {
        if (!avro_read_long(cursor, &count) || count == INT64_MIN) {
            return false;
        }
        if (count < 0) {
            if (!avro_read_long(cursor, &size) || size < 0 || !skip_bytes(cursor, (uint64_t)size)) {
                return false;
            }
            continue;
        }
        for (int64_t i = 0; i < count; i++) {
            struct slice key;
            const uint8_t *before = cursor->at;
            if ((schema->kind == AVRO_MAP && !avro_read_bytes(cursor, &key)) ||
                !skip(cursor, item, depth + 1) ||
                (cursor->at == before && count > cursor->end - cursor->at)) {
                return false;
            }
        }
    }
    return true;
}

static bool skip(struct avro_cursor *cursor, const struct avro_schema *schema, unsigned depth)
{
    int64_t number;
    struct slice bytes;
    if (depth > AVRO_DEPTH_MAX) {
        return false;
    }
    switch (schema->kind) {
    case AVRO_NULL:
        return true;
    case AVRO_BOOLEAN:
        return skip_bytes(cursor, 1);
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        return avro_read_long(cursor, &number);
    case AVRO_FLOAT:
        return skip_bytes(cursor, 4);
    case AVRO_DOUBLE:
        return skip_bytes(cursor, 8);
    case AVRO_BYTES:
    case AVRO_STRING:
        return avro_read_bytes(cursor, &bytes);
    case AVRO_FIXED:
        return skip_bytes(cursor, schema->size);
    case AVRO_RECORD:
        for (size_t i = 0; i < schema->field_count; i++) {
            if (!skip(cursor, schema->fields[i].schema, depth + 1)) {
                return false;
            }
        }
        return true;
    case AVRO_ARRAY:
    case AVRO_MAP:
        return skip_items(cursor, schema, depth);
    case AVRO_UNION:
        return avro_read_long(cursor, &number) && number >= 0 &&
               (uint64_t)number < schema->field_count &&
               skip(cursor, schema->fields[number].schema, depth + 1);
    }
    return false;
}

bool avro_skip(struct avro_cursor *cursor, const struct avro_schema *schema)
{
    return skip(cursor, schema, 0);
}

/* ---- the file ---- */

static enum err damaged(const struct avro_reader *reader, const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL, "an Avro file is damaged at byte %zu: %s",
                       (size_t)(reader->cursor.at - (const uint8_t *)reader->bytes.ptr), what);
}

static enum err add_metadata(struct avro_reader *reader, struct slice key, struct slice value,
                             struct errinfo *info)
{
    if (reader->metadata_count == METADATA_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "an Avro header has more than %d entries",
                           METADATA_MAX);
    }
    if ((reader->metadata_count & (reader->metadata_count - 1)) == 0) {
        size_t capacity = reader->metadata_count == 0 ? 1 : reader->metadata_count * 2;
        struct avro_metadata_entry *grown = arena_calloc(reader->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (reader->metadata_count > 0) {
            memcpy(grown, reader->metadata, reader->metadata_count * sizeof(*grown));
        }
        reader->metadata = grown;
    }
    reader->metadata[reader->metadata_count++] = (struct avro_metadata_entry){key, value};
    return ERR_OK;
}

static enum err read_header(struct avro_reader *reader, struct errinfo *info)
{
    static const uint8_t magic[4] = {'O', 'b', 'j', 1};
    struct avro_cursor *cursor = &reader->cursor;
    if (reader->bytes.len < sizeof(magic) || memcmp(cursor->at, magic, sizeof(magic)) != 0) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a file is not an Avro container");
    }
    cursor->at += sizeof(magic);
    for (int64_t count = 1, size; count != 0;) {
        if (!avro_read_long(cursor, &count) || count == INT64_MIN ||
            (count < 0 && !avro_read_long(cursor, &size))) {
            return damaged(reader, "header", info);
        }
        for (int64_t i = 0; i < (count < 0 ? -count : count); i++) {
            struct slice key, value;
            if (!avro_read_bytes(cursor, &key) || !avro_read_bytes(cursor, &value)) {
                return damaged(reader, "header", info);
            }
            TRY(add_metadata(reader, key, value, info));
        }
    }
    if (cursor->end - cursor->at < SYNC_BYTES) {
        return damaged(reader, "header", info);
    }
    reader->sync = cursor->at;
    cursor->at += SYNC_BYTES;
    TRY(avro__codec_find(avro_metadata(reader, "avro.codec"), &reader->codec, info));
    return avro__schema_parse(avro_metadata(reader, "avro.schema"), reader->arena, &reader->schema,
                              info);
}

enum err avro_open(struct slice bytes, struct avro_reader **ret_reader, struct errinfo *info)
{
    struct avro_reader *reader CLEANUP(avro_cleanup) = mem_calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    reader->arena = arena_new(NULL, "avro", 0);
    if (reader->arena == NULL) {
        return errinfo_nomem(info);
    }
    static const uint8_t nothing;
    const uint8_t *start = bytes.ptr == NULL ? &nothing : (const uint8_t *)bytes.ptr;
    reader->bytes = (struct slice){(const char *)start, bytes.len};
    reader->cursor = (struct avro_cursor){start, start + bytes.len};
    TRY(read_header(reader, info));
    *ret_reader = TAKE(reader);
    return ERR_OK;
}

void avro_close(struct avro_reader *reader)
{
    if (reader != NULL) {
        buf_fini(&reader->block);
        arena_free(reader->arena);
        mem_free(reader);
    }
}

struct slice avro_metadata(const struct avro_reader *reader, const char *key)
{
    for (size_t i = 0; i < reader->metadata_count; i++) {
        if (slice_equal(reader->metadata[i].key, slice_of(key))) {
            return reader->metadata[i].value;
        }
    }
    return SLICE("");
}

const struct avro_schema *avro_reader_schema(const struct avro_reader *reader)
{
    return reader->schema;
}

enum err avro_next_block(struct avro_reader *reader, uint64_t *ret_record_count,
                         struct slice *ret_bytes, struct errinfo *info)
{
    struct avro_cursor *cursor = &reader->cursor;
    struct slice block;
    int64_t count = 0;
    while (count == 0) {
        if (cursor->at == cursor->end) {
            *ret_record_count = 0;
            *ret_bytes = SLICE("");
            return ERR_OK;
        }
        if (!avro_read_long(cursor, &count) || count < 0 || !avro_read_bytes(cursor, &block)) {
            return damaged(reader, "block", info);
        }
        if (cursor->end - cursor->at < SYNC_BYTES ||
            memcmp(cursor->at, reader->sync, SYNC_BYTES) != 0) {
            return damaged(reader, "sync marker", info);
        }
        cursor->at += SYNC_BYTES;
    }
    if (reader->codec != AVRO_CODEC_NULL) {
        TRY(avro__decompress(reader->codec, block, &reader->block, info));
        block = buf_slice(&reader->block);
    }
    *ret_record_count = (uint64_t)count;
    *ret_bytes = block;
    return ERR_OK;
}
