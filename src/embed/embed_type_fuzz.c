/* Names of types, with field names that people chose in them: what is read prints and reads again
 * as the same. */
#include "base/fuzz.h"

#include "base/buf.h"
#include "embed/embed_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ArrowSchema schema;
    struct ArrowSchema again;
    struct errinfo info;
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice type = {(const char *)data, size};
    if (memchr(data, '\0', size) != NULL ||
        embed__schema_of_type(type, SLICE("x"), &schema, &info) != ERR_OK) {
        return 0;
    }
    if (embed__print_type(&schema, &text, &info) == ERR_OK) {
        ASSERT(embed__schema_of_type(buf_slice(&text), SLICE("x"), &again, &info) == ERR_OK);
        again.release(&again);
    }
    schema.release(&schema);
    return 0;
}
