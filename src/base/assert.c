#include "base/base.h"

#include <unistd.h>

void assert_failed(const char *expression, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "moat: assertion failed: %s (%s:%d)\n", expression, file,
                       line);
    if (len > 0) {
        size_t size = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
        ssize_t ignored = write(STDERR_FILENO, text, size);
        (void)ignored;
    }
    abort();
}
