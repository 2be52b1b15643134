/* Files of this machine. Locations are taken literally: writers do not percent-encode them, and
 * names of partition folders hold "%2F" as such. */
#include "iceberg/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"

/* The path as a NUL-terminated copy (mem_free). */
static enum err local_path(struct slice location, char **ret_path, struct errinfo *info)
{
    struct slice path = location;
    if (slice_starts_with(location, SLICE("file://localhost/"))) {
        path = (struct slice){location.ptr + 16, location.len - 16};
    } else if (slice_starts_with(location, SLICE("file:///"))) {
        path = (struct slice){location.ptr + 7, location.len - 7};
    } else if (slice_starts_with(location, SLICE("file:/"))) {
        path = (struct slice){location.ptr + 5, location.len - 5};
    }
    if (path.len < 1 || path.ptr[0] != '/' || slice_starts_with(path, SLICE("//")) ||
        memchr(path.ptr, '\0', path.len) != NULL) {
        size_t scheme = slice_find(location, SLICE(":"));
        struct slice name = {location.ptr, scheme == SIZE_MAX ? 0 : scheme};
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           name.len == 0 ? "a relative location cannot be read%.*s"
                                         : "locations of scheme \"%.*s\" cannot be read here",
                           SLICE_ARGS(name));
    }
    char *copy = mem_slicedup(path);
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    *ret_path = copy;
    return ERR_OK;
}

static enum err read_all(UNUSED void *context, struct slice location, UNUSED uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    char *path CLEANUP(mem_free_cleanup) = NULL;
    struct slice bytes = {"", 0};
    TRY(local_path(location, &path, info));
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "local file", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    size_t most = bytes_max == 0 || bytes_max > SIZE_MAX ? SIZE_MAX : (size_t)bytes_max;
    TRY(io_read_file(arena, path, most, &bytes, info));
    buf_append_slice(ret_bytes, bytes);
    return buf_failed(ret_bytes) ? errinfo_nomem(info) : ERR_OK;
}

static enum err report(struct errinfo *info, const char *path)
{
    const char *slash = strrchr(path, '/');
    enum err code = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
                    : errno == EACCES || errno == EPERM ? ERR_DENIED
                                                        : ERR_IO;
    char text[128];
    return errinfo_set(info, code, code == ERR_NOT_FOUND ? "58P01" : NULL, "cannot read \"%s\": %s",
                       slash + 1, strerror_r(errno, text, sizeof(text)));
}

static bool step_fails(void)
{
    if (fault_hit_io()) {
        errno = EIO;
        return true;
    }
    return false;
}

static enum err read_fd(int fd, const char *path, uint64_t offset, size_t len, char *bytes,
                        struct errinfo *info)
{
    for (size_t done = 0; done < len;) {
        ssize_t got =
            step_fails() ? -1 : pread(fd, bytes + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return report(info, path);
        }
        if (got == 0) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "\"%s\" ends before byte %llu",
                               strrchr(path, '/') + 1, (unsigned long long)(offset + len));
        }
        done += (size_t)got;
    }
    return ERR_OK;
}

static enum err read_range(UNUSED void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info)
{
    char *path CLEANUP(mem_free_cleanup) = NULL;
    TRY(local_path(location, &path, info));
    if (offset > INT64_MAX || len > INT64_MAX - offset) {
        return errinfo_set(info, ERR_INVALID, NULL, "a range leaves what a file can hold");
    }
    int fd = step_fails() ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return report(info, path);
    }
    enum err err = read_fd(fd, path, offset, len, ret_bytes, info);
    io_close(fd);
    return err;
}

static enum err size(UNUSED void *context, struct slice location, uint64_t *ret_size_bytes,
                     struct errinfo *info)
{
    char *path CLEANUP(mem_free_cleanup) = NULL;
    struct stat found;
    TRY(local_path(location, &path, info));
    if (step_fails() || stat(path, &found) != 0) {
        return report(info, path);
    }
    if (!S_ISREG(found.st_mode)) {
        return errinfo_set(info, ERR_INVALID, NULL, "\"%s\" is not a file", strrchr(path, '/') + 1);
    }
    *ret_size_bytes = (uint64_t)found.st_size;
    return ERR_OK;
}

struct iceberg_io iceberg_io_local(void)
{
    return (struct iceberg_io){.read_all = read_all, .read_range = read_range, .size = size};
}
