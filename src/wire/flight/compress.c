/* Bodies of batches in LZ4 frames or Zstandard, for clients far away that ask for it: on one
 * machine it costs more than it saves. */
#include <lz4frame.h>
#include <zstd.h>

#include "arrow/ipc.h"
#include "wire/flight/flight_int.h"

#define ZSTD_LEVEL 1 /* what is streamed is to be sent, not to be small */

static size_t lz4_bound(size_t len)
{
    return LZ4F_compressFrameBound(len, NULL);
}

static size_t lz4_compress(char *to, size_t room, struct slice from)
{
    size_t len = LZ4F_compressFrame(to, room, from.ptr, from.len, NULL);
    return LZ4F_isError(len) != 0 ? 0 : len;
}

static size_t zstd_bound(size_t len)
{
    return ZSTD_compressBound(len);
}

static size_t zstd_compress(char *to, size_t room, struct slice from)
{
    size_t len = ZSTD_compress(to, room, from.ptr, from.len, ZSTD_LEVEL);
    return ZSTD_isError(len) != 0 ? 0 : len;
}

static const struct {
    const char *name;
    struct ipc_codec codec;
} codecs[] = {
    {"lz4", {0, lz4_bound, lz4_compress}},
    {"zstd", {1, zstd_bound, zstd_compress}},
};

enum err flight__codec(struct flight_call *call, const struct ipc_codec **ret_codec)
{
    struct slice name;
    *ret_codec = NULL;
    if (!grpc_field(call->grpc, SLICE("x-moat-compression"), &name) ||
        slice_equal(name, SLICE("none"))) {
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(codecs); i++) {
        if (slice_equal(name, slice_of(codecs[i].name))) {
            *ret_codec = &codecs[i].codec;
            return ERR_OK;
        }
    }
    (void)errinfo_set(&call->info, ERR_INVALID, "22023", "\"%.*s\" is no compression",
                      SLICE_ARGS(name));
    errinfo_hint(&call->info, "x-moat-compression: lz4, zstd or none");
    return ERR_INVALID;
}
