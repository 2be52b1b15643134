/* For those who embed libmoatkernel without the rest: an assertion that fails stops the process at
 * once. Whoever wants to say more first defines assert_failed himself. */
#include "base/base.h"

__attribute__((weak, visibility("default"))) void
assert_failed(UNUSED const char *expression, UNUSED const char *file, UNUSED int line)
{
    __builtin_trap();
}
