/* Packed blocks as bytes: refused, or no more is written than there is room; and what is packed
 * comes out as it went in. */
#include "base/fuzz.h"
#include "io/codec.h"

#define BLOCK 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct io_codecs *codecs; /* once: it takes a megabyte */
    struct errinfo error;
    if (codecs == NULL) {
        ASSERT(io_codecs_new(&codecs, &error) == ERR_OK);
    }
    if (size < 2 || size - 1 > BLOCK) {
        return 0;
    }
    const struct kernel_codec *codec = &io_codecs_list(codecs)[data[0] % IO_CODECS];
    static uint8_t out[BLOCK + 8], block[BLOCK], packed[BLOCK], again[BLOCK];
    memset(out + BLOCK, 0x5A, 8);
    size_t done = codec->decompress(codec->ctx, data + 1, size - 1, out, BLOCK);
    ASSERT(done <= BLOCK && out[BLOCK] == 0x5A && out[BLOCK + 7] == 0x5A);
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] = data[1 + i % (size - 1)];
    }
    size_t len = codec->compress(codec->ctx, block, BLOCK, packed, BLOCK - 2);
    ASSERT(len <= BLOCK - 2);
    if (len > 0) {
        ASSERT(codec->decompress(codec->ctx, packed, len, again, BLOCK) == BLOCK);
        ASSERT(memcmp(again, block, BLOCK) == 0);
        (void)codec->decompress(codec->ctx, packed, len - 1, again, BLOCK); /* cut off */
    }
    return 0;
}
