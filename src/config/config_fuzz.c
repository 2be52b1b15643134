/* The YAML reader over foreign bytes, through the front door: a file. Whatever comes, it must
 * either load or refuse with a message. */
#include "base/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    ASSERT(fd >= 0);
    ASSERT(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config *config = NULL;
    struct errinfo info;
    errinfo_init(&info);
    enum err err = config_load(&(struct config_sources){.file = path}, &config, &info);
    ASSERT((err == ERR_OK) == (config != NULL));
    ASSERT(err == ERR_OK || info.message[0] != '\0');
    config_free(config);
    (void)close(fd);
    return 0;
}
