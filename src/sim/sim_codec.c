#include "sim/sim_codec.h"

#define COUNT_MAX 127u
#define ZEROS 128u /* in the count: that many zeros; else that many bytes follow */

static size_t compress(UNUSED void *ctx, const void *bytes, size_t len, void *ret_bytes,
                       size_t bytes_max)
{
    const uint8_t *from = bytes;
    uint8_t *to = ret_bytes;
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        bool is_zero = from[i] == 0;
        size_t count = 1;
        while (i + count < len && count < COUNT_MAX && (from[i + count] == 0) == is_zero) {
            count++;
        }
        size_t size = is_zero ? 1 : 1 + count;
        if (size > bytes_max - used) {
            return 0;
        }
        to[used] = (uint8_t)(count + (is_zero ? ZEROS : 0));
        memcpy(to + used + 1, from + i, size - 1);
        used += size;
        i += count;
    }
    return used;
}

static size_t decompress(UNUSED void *ctx, const void *bytes, size_t len, void *ret_bytes,
                         size_t bytes_max)
{
    const uint8_t *from = bytes;
    uint8_t *to = ret_bytes;
    size_t used = 0;
    for (size_t i = 0; i < len;) {
        size_t count = from[i] % ZEROS;
        bool is_zero = from[i] >= ZEROS;
        i++;
        if (count > bytes_max - used || (!is_zero && count > len - i)) {
            return 0;
        }
        if (is_zero) {
            memset(to + used, 0, count);
        } else {
            memcpy(to + used, from + i, count);
            i += count;
        }
        used += count;
    }
    return used;
}

struct kernel_codec sim_codec(void)
{
    return (struct kernel_codec){
        .id = SIM_CODEC_ID, .compress = compress, .decompress = decompress};
}
