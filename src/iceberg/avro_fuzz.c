/* Goal: no bytes make the container reader crash, hang or leave its input. Method: every record of
 * every block is stepped over by the writer's own schema. */
#include "base/fuzz.h"
#include "iceberg/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct avro_reader *reader CLEANUP(avro_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    if (avro_open((struct slice){(const char *)data, size}, &reader, &info) != ERR_OK) {
        return 0;
    }
    for (;;) {
        uint64_t records;
        struct slice block;
        if (avro_next_block(reader, &records, &block, &info) != ERR_OK || records == 0) {
            return 0;
        }
        const uint8_t *start = (const uint8_t *)block.ptr;
        struct avro_cursor cursor = {start, start + block.len};
        for (uint64_t i = 0; i < records && cursor.at < cursor.end; i++) {
            const uint8_t *before = cursor.at;
            if (!avro_skip(&cursor, avro_reader_schema(reader))) {
                break;
            }
            ASSERT(cursor.at >= before && cursor.at <= cursor.end);
        }
    }
}
