/* Bytes of anybody's. What passes is as long as what it says, so cut by one it does not. */
#include "base/fuzz.h"
#include "engine/wkb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    struct wkb_facts facts;
    struct errinfo info;
    if (wkb_check(bytes, &facts, &info) == ERR_OK) {
        ASSERT(size >= 9);
        ASSERT(wkb_check((struct slice){bytes.ptr, size - 1}, &facts, NULL) == ERR_INVALID);
    } else {
        ASSERT(info.code == ERR_INVALID);
    }
    return 0;
}
