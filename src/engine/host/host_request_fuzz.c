/* What a host reads of a broker: the first byte says which message, the rest is its body. */
#include "base/fuzz.h"
#include "engine/host/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    if (size == 0 || arena == NULL) {
        return 0;
    }
    struct slice body = {(const char *)data + 1, size - 1};
    struct wire in = wire_of(body);
    struct host_hello hello;
    struct host_grant grant;
    struct engine_scan_file *files;
    struct engine_parameter *parameters;
    size_t count;
    switch (data[0] & 3) {
    case 0:
        (void)!host_take_hello(&in, &hello);
        break;
    case 1:
        host_take_grant(&in, arena, &grant);
        break;
    case 2:
        host_take_files(&in, arena, &files, &count);
        break;
    default: /* a byte of the input */
        host_take_parameters(&in, arena, &parameters, &count);
        break;
    }
    return 0;
}
