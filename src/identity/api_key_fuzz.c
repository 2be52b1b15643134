/* Texts that could be API keys: never a crash; what is one begins with its prefix. */
#include "base/fuzz.h"
#include "identity/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct api_key key, again;
    if (api_key_parse(text, &key)) {
        ASSERT(slice_equal(text, slice_of(key.text)));
        ASSERT(slice_starts_with(text, slice_of(key.prefix)));
        ASSERT(api_key_parse(slice_of(key.text), &again));
        ASSERT(memcmp(key.hash, again.hash, sizeof(key.hash)) == 0);
    }
    return 0;
}
