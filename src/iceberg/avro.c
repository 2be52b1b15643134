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

struct avro_long avro__long(const uint8_t *at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return (struct avro_long){at, (int64_t)(value >> 1) ^ -(int64_t)(value & 1)};
        }
    }
    return (struct avro_long){NULL, 0};
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

/* Pairs of two numbers, or of a number and bytes: the maps of statistics, most of a manifest. */
static bool is_pair(const struct avro_schema *item)
{
    return item->kind == AVRO_RECORD && item->field_count == 2 &&
           (item->fields[0].schema->kind == AVRO_INT || item->fields[0].schema->kind == AVRO_LONG);
}

static bool skip_pairs(struct avro_cursor *cursor, const struct avro_schema *item, int64_t count)
{
    bool are_bytes = item->fields[1].schema->kind == AVRO_BYTES;
    const uint8_t *at = cursor->at;
    const uint8_t *end = cursor->end;
    for (int64_t i = 0; i < count; i++) {
        struct avro_long number = avro_long(at, end);
        if (number.next == NULL) {
            return false;
        }
        number = avro_long(number.next, end);
        if (number.next == NULL ||
            (are_bytes && (number.value < 0 || number.value > end - number.next))) {
            return false;
        }
        at = number.next + (are_bytes ? number.value : 0);
    }
    cursor->at = at;
    return true;
}

/* `count` items without a size. Those of one length, none at all for instance, are not looked at,
 * so that no claimed number of them costs time. */
static bool skip_run(struct avro_cursor *cursor, const struct avro_schema *list, int64_t count,
                     unsigned depth)
{
    const struct avro_schema *item = list->fields[0].schema;
    struct slice key;
    uint64_t total;
    if (list->kind == AVRO_ARRAY && item->constant_bytes >= 0) {
        return !__builtin_mul_overflow((uint64_t)count, (uint64_t)item->constant_bytes, &total) &&
               skip_bytes(cursor, total);
    }
    if (list->kind == AVRO_ARRAY && is_pair(item)) {
        enum avro_kind kind = item->fields[1].schema->kind;
        if (kind == AVRO_BYTES || kind == AVRO_LONG || kind == AVRO_INT) {
            return skip_pairs(cursor, item, count);
        }
    }
    for (int64_t i = 0; i < count; i++) {
        if ((list->kind == AVRO_MAP && !avro_read_bytes(cursor, &key)) ||
            !skip(cursor, item, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool skip_items(struct avro_cursor *cursor, const struct avro_schema *schema, unsigned depth)
{
    for (int64_t count = 1, size; count != 0;) {
        if (!avro_read_long(cursor, &count)) {
            return false;
        }
        bool is_skipped = count >= 0 ? skip_run(cursor, schema, count, depth)
                                     : avro_read_long(cursor, &size) && size >= 0 &&
                                           skip_bytes(cursor, (uint64_t)size);
        if (!is_skipped) {
            return false;
        }
    }
    return true;
}

static bool skip(struct avro_cursor *cursor, const struct avro_schema *schema, unsigned depth)
{
    int64_t number;
    struct slice bytes;
    if (schema->constant_bytes >= 0) {
        return skip_bytes(cursor, (uint64_t)schema->constant_bytes);
    }
    if (depth > AVRO_DEPTH_MAX) {
        return false;
    }
    switch (schema->kind) {
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        return avro_read_long(cursor, &number);
    case AVRO_BYTES:
    case AVRO_STRING:
        return avro_read_bytes(cursor, &bytes);
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
    case AVRO_NULL:
    case AVRO_BOOLEAN:
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
    case AVRO_FIXED:
        break; /* of constant size */
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

/* The next block as it is stored; count 0 at the end. */
static enum err read_block(struct avro_reader *reader, int64_t *ret_count, struct slice *ret_block,
                           struct errinfo *info)
{
    struct avro_cursor *cursor = &reader->cursor;
    if (!avro_read_long(cursor, ret_count) || *ret_count < 0 ||
        !avro_read_bytes(cursor, ret_block)) {
        return damaged(reader, "block", info);
    }
    if (cursor->end - cursor->at < SYNC_BYTES ||
        memcmp(cursor->at, reader->sync, SYNC_BYTES) != 0) {
        return damaged(reader, "sync marker", info);
    }
    cursor->at += SYNC_BYTES;
    if (reader->codec != AVRO_CODEC_NULL) {
        TRY(avro__decompress(reader->codec, *ret_block, &reader->block, info));
        *ret_block = buf_slice(&reader->block);
    }
    return *ret_count > 0 || ret_block->len == 0
               ? ERR_OK
               : damaged(reader, "a block of no records that holds bytes", info);
}

enum err avro_next_block(struct avro_reader *reader, uint64_t *ret_record_count,
                         struct slice *ret_bytes, struct errinfo *info)
{
    struct slice block = SLICE("");
    int64_t count = 0;
    while (count == 0 && reader->cursor.at < reader->cursor.end) {
        TRY(read_block(reader, &count, &block, info));
    }
    *ret_record_count = (uint64_t)count;
    *ret_bytes = block;
    return ERR_OK;
}
