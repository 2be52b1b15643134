#include <glob.h>
#include <lz4frame.h>
#include <zstd.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/deletes.h"

#define FOOTER                                                                                     \
    "{\"blobs\":[{\"type\":\"deletion-vector-v1\",\"fields\":[2147483545],\"snapshot-id\":-1,"     \
    "\"sequence-number\":-1,\"offset\":4,\"length\":3,\"properties\":{\"cardinality\":\"2\"}},"    \
    "{\"type\":\"x\",\"fields\":[],\"snapshot-id\":1,\"sequence-number\":2,\"offset\":7,"          \
    "\"length\":5,\"compression-codec\":\"zstd\"}],\"properties\":{\"created-by\":\"me\"}}"

/* Magic, eight bytes of blobs, magic, payload, size, flags, magic. */
static void make_file(const char *json, bool is_compressed, struct buf *out)
{
    char packed[4096];
    struct slice payload = slice_of(json);
    if (is_compressed) {
        size_t len = LZ4F_compressFrame(packed, sizeof(packed), payload.ptr, payload.len, NULL);
        CHECK(!LZ4F_isError(len));
        payload = (struct slice){packed, len};
    }
    buf_append_str(out, "PFA1blobsbloPFA1");
    buf_append_slice(out, payload);
    for (unsigned shift = 0; shift < 32; shift += 8) {
        buf_append_char(out, (char)(payload.len >> shift));
    }
    buf_append(out, is_compressed ? "\1\0\0\0PFA1" : "\0\0\0\0PFA1", 8);
}

static enum err parse(const struct buf *file, struct arena *arena, struct puffin_footer *ret_footer,
                      struct errinfo *info)
{
    uint64_t needed;
    return puffin_footer_parse(buf_slice(file), file->len, arena, ret_footer, &needed, info);
}

TEST(puffin, every_member_of_a_footer)
{
    for (int is_compressed = 0; is_compressed <= 1; is_compressed++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf file = {0};
        struct puffin_footer footer;
        make_file(FOOTER, is_compressed, &file);
        CHECK_OK(parse(&file, arena, &footer, NULL));
        buf_fini(&file);
        CHECK(footer.blob_count == 2 && footer.property_count == 1);
        CHECK_SLICE("created-by", footer.properties[0].key);
        CHECK_SLICE("me", footer.properties[0].value);
        const struct puffin_blob *blob = &footer.blobs[0];
        CHECK_SLICE("deletion-vector-v1", blob->type);
        CHECK(blob->field_count == 1 && blob->field_ids[0] == 2147483545);
        CHECK(blob->snapshot_id == -1 && blob->sequence_number == -1);
        CHECK(blob->offset == 4 && blob->length_bytes == 3 && blob->codec.len == 0);
        CHECK(blob->property_count == 1);
        CHECK_SLICE("2", blob->properties[0].value);
        CHECK(footer.blobs[1].field_count == 0 && footer.blobs[1].sequence_number == 2);
        CHECK_SLICE("zstd", footer.blobs[1].codec);
    }
}

TEST(puffin, a_tail_that_is_too_short_says_what_is_needed)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf file CLEANUP(buf_fini) = {0};
    struct puffin_footer footer;
    uint64_t needed = 0;
    make_file(FOOTER, false, &file);
    struct slice tail = {file.ptr + file.len - 20, 20};
    CHECK_ERR(ERR_LIMIT, puffin_footer_parse(tail, file.len, arena, &footer, &needed, NULL));
    CHECK(needed == 4 + strlen(FOOTER) + 12);
    tail = (struct slice){file.ptr + file.len - needed, (size_t)needed};
    CHECK_OK(puffin_footer_parse(tail, file.len, arena, &footer, &needed, NULL));
    CHECK(footer.blob_count == 2);
}

TEST(puffin, refuses_what_is_wrong)
{
    static const struct {
        enum err err;
        const char *json;
    } cases[] = {
        {ERR_OK, "{\"blobs\":[]}"},
        {ERR_CORRUPT, "{}"},
        {ERR_CORRUPT, "[]"},
        {ERR_CORRUPT, "{\"blobs\":[{}]}"},
        {ERR_CORRUPT, "{\"blobs\":{}"},
#define BLOB(offset, length)                                                                       \
    "{\"blobs\":[{\"type\":\"x\",\"fields\":[],\"snapshot-id\":1,\"sequence-number\":1,"           \
    "\"offset\":" offset ",\"length\":" length "}]}"
        {ERR_OK, BLOB("4", "8")},
        {ERR_OK, BLOB("12", "0")},
        {ERR_CORRUPT, BLOB("4", "9")},
        {ERR_CORRUPT, BLOB("3", "1")},
        {ERR_CORRUPT, BLOB("-1", "1")},
        {ERR_CORRUPT, BLOB("9223372036854775807", "9223372036854775807")},
        {ERR_CORRUPT, BLOB("\"4\"", "1")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf file CLEANUP(buf_fini) = {0};
        struct puffin_footer footer;
        make_file(cases[i].json, false, &file);
        CHECK_ERR(cases[i].err, parse(&file, arena, &footer, NULL));
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf file CLEANUP(buf_fini) = {0};
    struct puffin_footer footer;
    make_file(FOOTER, false, &file);
    file.ptr[file.len - 8] = 2;
    CHECK_ERR(ERR_UNSUPPORTED, parse(&file, arena, &footer, NULL));
}

TEST(puffin, blobs_of_every_codec)
{
    char packed[200];
    struct slice text = SLICE("what a blob holds, what a blob holds, what a blob holds");
    struct buf content CLEANUP(buf_fini) = {0};
    struct puffin_blob blob = {.codec = SLICE("")};
    CHECK_OK(puffin_blob_read(&blob, text, &content, NULL));
    CHECK(slice_equal(buf_slice(&content), text));
    for (int c = 0; c < 2; c++) {
        size_t len = c == 0 ? ZSTD_compress(packed, sizeof(packed), text.ptr, text.len, 3)
                            : LZ4F_compressFrame(packed, sizeof(packed), text.ptr, text.len, NULL);
        blob.codec = c == 0 ? SLICE("zstd") : SLICE("lz4");
        buf_reset(&content);
        CHECK_OK(puffin_blob_read(&blob, (struct slice){packed, len}, &content, NULL));
        CHECK(slice_equal(buf_slice(&content), text));
        for (size_t cut = 0; cut < len; cut++) {
            CHECK_ERR(ERR_CORRUPT,
                      puffin_blob_read(&blob, (struct slice){packed, cut}, &content, NULL));
        }
    }
    blob.codec = SLICE("brotli");
    struct errinfo info;
    errinfo_init(&info);
    CHECK_ERR(ERR_UNSUPPORTED, puffin_blob_read(&blob, text, &content, &info));
    CHECK_STR("Puffin codec \"brotli\" is not supported", info.message);
}

TEST(puffin, a_changed_byte_is_seen_or_is_another_value)
{
    /* Goal: no changed byte of a footer gives a blob outside of the file, and none of its frame is
     * accepted. Puffin has no checksum: a digit or letter inside of the JSON may become another,
     * which is why vectors are found by their manifest, never by a footer. */
    struct buf file CLEANUP(buf_fini) = {0};
    make_file(FOOTER, false, &file);
    for (size_t i = 0; i < file.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
            struct puffin_footer footer;
            file.ptr[i] = (char)(file.ptr[i] ^ 1 << bit);
            enum err err = parse(&file, arena, &footer, NULL);
            file.ptr[i] = (char)(file.ptr[i] ^ 1 << bit);
            bool is_frame = (i >= 12 && i < 16) || i >= file.len - 12;
            CHECK(!is_frame || err != ERR_OK);
            for (size_t b = 0; err == ERR_OK && b < footer.blob_count; b++) {
                CHECK(footer.blobs[b].offset + footer.blobs[b].length_bytes <= 12);
            }
        }
    }
}

TEST(puffin, vectors_of_spark)
{
    /* Goal: each vector that Spark wrote is where the footer says, has the cardinality that it
     * says, and every changed bit of it is seen. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    glob_t found;
    size_t vectors = 0;
    CHECK(glob("tests/data/iceberg/warehouse/*/*/*/data/*.puffin", 0, NULL, &found) == 0);
    for (size_t f = 0; f < found.gl_pathc; f++) {
        struct slice file;
        struct puffin_footer footer;
        uint64_t needed;
        CHECK_OK(io_read_file(arena, found.gl_pathv[f], 1 << 20, &file, NULL));
        CHECK_OK(puffin_footer_parse(file, file.len, arena, &footer, &needed, NULL));
        for (size_t b = 0; b < footer.blob_count; b++) {
            struct iceberg_positions *set CLEANUP(iceberg_positions_cleanup) = NULL;
            const struct puffin_blob *blob = &footer.blobs[b];
            char *bytes = arena_alloc(arena, (size_t)blob->length_bytes);
            struct slice vector = {bytes, (size_t)blob->length_bytes};
            uint64_t expected = 0;
            for (size_t p = 0; p < blob->property_count; p++) {
                if (slice_equal(blob->properties[p].key, SLICE("cardinality"))) {
                    CHECK(slice_to_u64(blob->properties[p].value, &expected));
                }
            }
            memcpy(bytes, file.ptr + blob->offset, vector.len);
            CHECK_OK(iceberg_positions_open(&set, NULL));
            for (size_t i = 0; i < vector.len * 8; i++) {
                bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
                CHECK_ERR(ERR_CORRUPT,
                          iceberg_positions_add_vector(set, vector, ICEBERG_NO_ID, NULL));
                bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
            }
            CHECK(iceberg_positions_count(set) == 0 && expected > 0);
            CHECK_OK(iceberg_positions_add_vector(set, vector, (int64_t)expected, NULL));
            CHECK(iceberg_positions_count(set) == expected);
            vectors++;
        }
    }
    CHECK(vectors > 10);
    globfree(&found);
}

TEST(puffin, survives_failed_allocations)
{
    /* LZ4's own context is not among the allocations that fail. */
    struct buf file CLEANUP(buf_fini) = {0};
    make_file(FOOTER, true, &file);
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct puffin_footer footer;
        enum err err = arena == NULL ? ERR_NOMEM : parse(&file, arena, &footer, NULL);
        CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK && footer.blob_count == 2);
    }
}
