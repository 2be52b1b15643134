#include "io/codec.h"

#include <lz4.h>
#include <sched.h>
#include <zstd.h>

#include "base/mem.h"

#define ZSTD_LEVEL 3
#define READERS 16u /* that decompress at once; more take turns */

/* Contexts of zstd are a hundred kilobytes: each reader borrows one. */
struct reader {
    ZSTD_DCtx *context;
    bool is_taken; /* __atomic */
};

struct io_codecs {
    struct kernel_codec list[IO_CODECS];
    void *lz4_state;
    ZSTD_CCtx *writer; /* blocks are compressed by one thread at a time */
    struct reader readers[READERS];
};

static size_t lz4_compress(void *ctx, const void *bytes, size_t len, void *ret_bytes,
                           size_t bytes_max)
{
    const struct io_codecs *codecs = ctx;
    int done = LZ4_compress_fast_extState(codecs->lz4_state, bytes, ret_bytes, (int)len,
                                          (int)bytes_max, 1);
    return done > 0 ? (size_t)done : 0;
}

static size_t lz4_decompress(UNUSED void *ctx, const void *bytes, size_t len, void *ret_bytes,
                             size_t bytes_max)
{
    int done = LZ4_decompress_safe(bytes, ret_bytes, (int)len, (int)bytes_max);
    return done > 0 ? (size_t)done : 0;
}

static size_t zstd_compress(void *ctx, const void *bytes, size_t len, void *ret_bytes,
                            size_t bytes_max)
{
    const struct io_codecs *codecs = ctx;
    size_t done = ZSTD_compressCCtx(codecs->writer, ret_bytes, bytes_max, bytes, len, ZSTD_LEVEL);
    return ZSTD_isError(done) != 0 ? 0 : done;
}

static struct reader *take_reader(struct io_codecs *codecs)
{
    for (;;) {
        for (uint32_t i = 0; i < READERS; i++) {
            if (!__atomic_test_and_set(&codecs->readers[i].is_taken, __ATOMIC_ACQUIRE)) {
                return &codecs->readers[i];
            }
        }
        (void)sched_yield();
    }
}

static size_t zstd_decompress(void *ctx, const void *bytes, size_t len, void *ret_bytes,
                              size_t bytes_max)
{
    struct io_codecs *codecs = ctx;
    struct reader *reader = take_reader(codecs);
    size_t done = ZSTD_decompressDCtx(reader->context, ret_bytes, bytes_max, bytes, len);
    __atomic_clear(&reader->is_taken, __ATOMIC_RELEASE);
    return ZSTD_isError(done) != 0 ? 0 : done;
}

enum err io_codecs_new(struct io_codecs **ret_codecs, struct errinfo *error)
{
    struct io_codecs *codecs = mem_calloc(1, sizeof(*codecs));
    if (codecs == NULL) {
        return errinfo_nomem(error);
    }
    codecs->list[0] = (struct kernel_codec){IO_CODEC_LZ4, codecs, lz4_compress, lz4_decompress};
    codecs->list[1] = (struct kernel_codec){IO_CODEC_ZSTD, codecs, zstd_compress, zstd_decompress};
    codecs->lz4_state = mem_alloc((size_t)LZ4_sizeofState());
    codecs->writer = ZSTD_createCCtx();
    bool is_whole = codecs->lz4_state != NULL && codecs->writer != NULL;
    for (uint32_t i = 0; i < READERS && is_whole; i++) {
        codecs->readers[i].context = ZSTD_createDCtx();
        is_whole = codecs->readers[i].context != NULL;
    }
    /* A first block, so that zstd takes what it needs now. */
    static const char zeros[4096];
    char packed[4096];
    if (is_whole) {
        is_whole = zstd_compress(codecs, zeros, sizeof(zeros), packed, sizeof(packed)) > 0;
    }
    if (!is_whole) {
        io_codecs_free(codecs);
        return errinfo_nomem(error);
    }
    *ret_codecs = codecs;
    return ERR_OK;
}

void io_codecs_free(struct io_codecs *codecs)
{
    if (codecs == NULL) {
        return;
    }
    for (uint32_t i = 0; i < READERS; i++) {
        (void)ZSTD_freeDCtx(codecs->readers[i].context);
    }
    (void)ZSTD_freeCCtx(codecs->writer);
    mem_free(codecs->lz4_state);
    mem_free(codecs);
}

const struct kernel_codec *io_codecs_list(const struct io_codecs *codecs)
{
    return codecs->list;
}

bool io_codec_parse(struct slice word, uint8_t *ret_codec)
{
    static const char *const names[] = {"none", "lz4", "zstd"};
    for (uint8_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal(word, slice_of(names[i]))) {
            *ret_codec = i;
            return true;
        }
    }
    return false;
}
