/* Puffin files (Puffin spec): a footer of JSON that says where the blobs are. */
#include <lz4frame.h>
#include <zstd.h>

#include "base/json.h"
#include "iceberg/deletes.h"
#include "iceberg/json_int.h"

#define TAIL_BYTES 12 /* payload size, flags, magic */
#define FOOTER_BYTES_MAX (256u * 1024 * 1024)
#define BLOB_BYTES_MAX (1024u * 1024 * 1024)
#define FLAG_COMPRESSED 1u

static const char magic[4] = {'P', 'F', 'A', '1'};

static enum err damaged(const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL, "a Puffin file is damaged: %s", what);
}

static uint32_t u32_at(const char *bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One LZ4 frame, appended. */
static enum err unpack_lz4(struct slice packed, size_t bytes_max, struct buf *out,
                           struct errinfo *info)
{
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) {
        return errinfo_nomem(info);
    }
    enum err err = ERR_OK;
    size_t left = 1;
    for (size_t at = 0; err == ERR_OK && left != 0;) {
        size_t room_len = 256 * 1024;
        size_t in_len = packed.len - at;
        char *room = buf_reserve(out, room_len);
        if (room == NULL) {
            err = errinfo_nomem(info);
            break;
        }
        left = LZ4F_decompress(context, room, &room_len, packed.ptr + at, &in_len, NULL);
        at += in_len;
        out->len += room_len;
        if (LZ4F_isError(left) || (in_len == 0 && room_len == 0 && left != 0)) {
            err = damaged("an LZ4 frame", info);
        } else if (out->len > bytes_max) {
            err = errinfo_set(info, ERR_LIMIT, NULL, "a part of a Puffin file is too large");
        } else if (left == 0 && at != packed.len) {
            err = damaged("bytes behind an LZ4 frame", info);
        }
    }
    (void)LZ4F_freeDecompressionContext(context);
    return err;
}

/* One zstd frame with its content size, as the spec asks for, appended. */
static enum err unpack_zstd(struct slice packed, struct buf *out, struct errinfo *info)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.ptr, packed.len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return damaged("a zstd frame", info);
    }
    if (size > BLOB_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a blob of a Puffin file is too large");
    }
    char *room = buf_reserve(out, (size_t)size + 1);
    if (room == NULL) {
        return errinfo_nomem(info);
    }
    size_t len = ZSTD_decompress(room, (size_t)size, packed.ptr, packed.len);
    if (ZSTD_isError(len) || len != size) {
        return damaged("a zstd frame", info);
    }
    out->len += len;
    return ERR_OK;
}

static enum err read_blob(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, uint64_t blobs_end, struct puffin_blob *out)
{
    int64_t offset, length;
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_text(reader, place, node, "type", &out->type));
    TRY(iceberg__json_ids(reader, place, node, "fields", &out->field_ids, &out->field_count));
    TRY(iceberg__json_long(reader, place, node, "snapshot-id", INT64_MIN, INT64_MAX,
                           &out->snapshot_id));
    TRY(iceberg__json_long(reader, place, node, "sequence-number", INT64_MIN, INT64_MAX,
                           &out->sequence_number));
    TRY(iceberg__json_long(reader, place, node, "offset", 0, INT64_MAX, &offset));
    TRY(iceberg__json_long(reader, place, node, "length", 0, INT64_MAX, &length));
    TRY(iceberg__json_text_or_empty(reader, place, node, "compression-codec", &out->codec));
    TRY(iceberg__json_properties(reader, place, node, "properties", &out->properties,
                                 &out->property_count));
    out->offset = (uint64_t)offset;
    out->length_bytes = (uint64_t)length;
    if (out->offset < sizeof(magic) || out->length_bytes > blobs_end ||
        out->offset > blobs_end - out->length_bytes) {
        return iceberg__json_bad(reader, place, "does not lie between its file's start and footer");
    }
    return ERR_OK;
}

static enum err read_payload(struct slice text, uint64_t blobs_end, struct arena *arena,
                             struct puffin_footer *out, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "puffin", 0);
    struct slice kept;
    struct json *root;
    if (scratch == NULL || !arena_slice(arena, text, &kept)) {
        return errinfo_nomem(info);
    }
    enum err err = json_parse(scratch, kept, NULL, &root, info);
    if (err == ERR_INVALID) {
        return damaged("its footer is no JSON", info);
    }
    TRY(err);
    struct json_reader reader = {
        .arena = arena, .document = kept, .format_version = 3, .info = info};
    struct json_place place = JSON_ROOT("$");
    const struct json *blobs;
    TRY(iceberg__json_object(&reader, &place, root));
    TRY(iceberg__json_array_required(&reader, &place, root, "blobs", &blobs));
    struct puffin_blob *parsed = arena_calloc(arena, blobs->count + 1, sizeof(*parsed));
    if (parsed == NULL) {
        return errinfo_nomem(info);
    }
    struct json_place list = JSON_MEMBER(&place, "blobs");
    size_t count = 0;
    for (const struct json *blob = blobs->first; blob != NULL; blob = blob->next, count++) {
        struct json_place item = JSON_INDEX(&list, count);
        TRY(read_blob(&reader, &item, blob, blobs_end, &parsed[count]));
    }
    out->blobs = parsed;
    out->blob_count = count;
    return iceberg__json_properties(&reader, &place, root, "properties", &out->properties,
                                    &out->property_count);
}

enum err puffin_footer_parse(struct slice tail, uint64_t file_size_bytes, struct arena *arena,
                             struct puffin_footer *ret_footer, uint64_t *ret_needed_bytes,
                             struct errinfo *info)
{
    if (tail.len < TAIL_BYTES ||
        memcmp(tail.ptr + tail.len - sizeof(magic), magic, sizeof(magic)) != 0) {
        return damaged("magic bytes at its end", info);
    }
    const char *end = tail.ptr + tail.len;
    uint32_t size = u32_at(end - TAIL_BYTES);
    uint32_t flags = u32_at(end - 8);
    uint64_t need = (uint64_t)size + TAIL_BYTES + sizeof(magic);
    if (size > FOOTER_BYTES_MAX || need + sizeof(magic) > file_size_bytes) {
        return damaged("the size of its footer", info);
    }
    if ((flags & ~FLAG_COMPRESSED) != 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a Puffin file has unknown flags (%#x)",
                           (unsigned)flags);
    }
    if (need > tail.len) {
        *ret_needed_bytes = need;
        return errinfo_set(info, ERR_LIMIT, NULL, "the footer of a Puffin file has %llu bytes",
                           (unsigned long long)need);
    }
    if (memcmp(end - need, magic, sizeof(magic)) != 0) {
        return damaged("magic bytes of its footer", info);
    }
    struct puffin_footer footer = {0};
    struct slice payload = {end - TAIL_BYTES - size, size};
    struct buf unpacked CLEANUP(buf_fini) = {0};
    if ((flags & FLAG_COMPRESSED) != 0) {
        TRY(unpack_lz4(payload, FOOTER_BYTES_MAX, &unpacked, info));
        payload = buf_slice(&unpacked);
    }
    TRY(read_payload(payload, file_size_bytes - need, arena, &footer, info));
    *ret_footer = footer;
    return ERR_OK;
}

enum err puffin_blob_read(const struct puffin_blob *blob, struct slice bytes,
                          struct buf *ret_content, struct errinfo *info)
{
    if (blob->codec.len == 0) {
        buf_append_slice(ret_content, bytes);
        return buf_failed(ret_content) ? errinfo_nomem(info) : ERR_OK;
    }
    if (slice_equal(blob->codec, SLICE("lz4"))) {
        return unpack_lz4(bytes, BLOB_BYTES_MAX, ret_content, info);
    }
    if (slice_equal(blob->codec, SLICE("zstd"))) {
        return unpack_zstd(bytes, ret_content, info);
    }
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "Puffin codec \"%.*s\" is not supported",
                       SLICE_ARGS(blob->codec));
}
