/* A manifest, and the footer of a run, as bytes: refused, or everything in them is in bounds. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "kernel/manifest.h"
#include "kernel/run.h"

static void fuzz_footer(const struct crc32c *crc, const uint8_t *data, size_t size)
{
    uint8_t footer[RUN_FOOTER_BYTES] = {0};
    memcpy(footer, data, size < sizeof(footer) ? size : sizeof(footer));
    uint64_t number = load_u64(footer + 8);
    struct run_tables tables;
    if (number == 0) {
        return;
    }
    uint32_t seed = crc32c_run(crc, 0, &number, sizeof(number));
    store_u32(footer, crc32c_run(crc, seed, footer + 4, sizeof(footer) - 4));
    struct run run;
    if (run_parse_footer(crc, footer, number, &run, &tables)) {
        ASSERT(run.file_bytes > tables.filter_len + run.index_len);
        ASSERT(key_compare(run.smallest, run.largest) <= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crc32c crc;
    if (crc.table[0][1] == 0) {
        crc32c_init(&crc, false);
    }
    uint8_t *bytes = mem_alloc(size + 1);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data, size);
    if (size >= MANIFEST_HEADER_BYTES) {
        store_u32(bytes, crc32c_run(&crc, 0, bytes + 4, size - 4));
    }
    struct manifest manifest;
    if (manifest_parse(&crc, bytes, size, &manifest)) {
        for (uint32_t i = 0; i < manifest.run_count; i++) {
            struct manifest_run run = manifest_run_at(bytes, i);
            ASSERT(run.number < manifest.run_next && run.level < KERNEL_LEVELS);
        }
    }
    fuzz_footer(&crc, data, size);
    mem_free(bytes);
    return 0;
}
