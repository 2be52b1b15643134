/* Footers that anybody may have written, as this only gets the engine's. What is given out can be
 * taken in again, has another type in it by then, and stays as it is. */
#include "base/fuzz.h"
#include "engine/parquet_footer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const bool wrong[] = {true, false, false, true};
    static const struct parquet_geo columns[] = {{.field_id = 7}, {.field_id = 8}};
    const struct parquet_mending mending = {columns, 2, wrong, 2};
    struct slice bytes = {(const char *)data, size};
    struct buf once CLEANUP(buf_fini) = {0};
    struct buf twice CLEANUP(buf_fini) = {0};
    if (parquet_footer_mend(bytes, &mending, &once, NULL) == ERR_OK) {
        ASSERT(once.len <= size);
        ASSERT(parquet_footer_mend(buf_slice(&once), &mending, &twice, NULL) == ERR_OK);
        ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
    } else {
        ASSERT(once.len == 0);
    }
    buf_reset(&once);
    ASSERT(parquet_end_mend(bytes, &mending, &once, NULL) == ERR_OK || once.len == 0);
    return 0;
}
