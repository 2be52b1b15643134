#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sweep.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

static enum err report(struct errinfo *info, int error, const char *verb, const char *path)
{
    char text[128];
    const char *reason = strerror_r(error, text, sizeof(text));
    enum err code = error == ENOENT || error == ENOTDIR ? ERR_NOT_FOUND
                    : error == ENOMEM                   ? ERR_NOMEM
                    : error == EACCES || error == EPERM ? ERR_DENIED
                                                        : ERR_IO;
    return errinfo_set(info, code, code == ERR_NOT_FOUND ? "58P01" : NULL, "cannot %s \"%s\": %s",
                       verb, base_name(path), reason);
}

/* Every step of I/O passes here first; an injected fault looks like EIO. */
static bool step_fails(void)
{
    if (fault_hit_io()) {
        errno = EIO;
        return true;
    }
    return false;
}

static int open_retry(const char *path, int flags, unsigned mode)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static enum err read_fd(struct arena *arena, int fd, const char *path, size_t bytes_max,
                        struct slice *ret_bytes, struct errinfo *info)
{
    struct stat stat_buf;
    if (fstat(fd, &stat_buf) != 0) {
        return report(info, errno, "read", path);
    }
    if (S_ISDIR(stat_buf.st_mode)) {
        return report(info, EISDIR, "read", path);
    }
    size_t capacity = stat_buf.st_size > 0 ? (size_t)stat_buf.st_size : 4096;
    if (capacity > bytes_max) {
        return errinfo_set(info, ERR_LIMIT, NULL, "\"%s\" is larger than %zu bytes",
                           base_name(path), bytes_max);
    }
    struct buf content CLEANUP(buf_fini) = {.bytes_max = bytes_max};
    for (;;) {
        char *room = buf_reserve(&content, capacity);
        if (room == NULL) {
            return content.len + capacity > bytes_max
                       ? errinfo_set(info, ERR_LIMIT, NULL, "\"%s\" is larger than %zu bytes",
                                     base_name(path), bytes_max)
                       : errinfo_nomem(info);
        }
        ssize_t got = step_fails() ? -1 : read(fd, room, capacity);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return report(info, errno, "read", path);
        }
        if (got == 0) {
            break;
        }
        content.len += (size_t)got;
        capacity = bytes_max - content.len < 65536 ? bytes_max - content.len : 65536;
        if (capacity == 0) {
            break;
        }
    }
    return arena_slice(arena, buf_slice(&content), ret_bytes) ? ERR_OK : errinfo_nomem(info);
}

enum err io_read_file(struct arena *arena, const char *path, size_t bytes_max,
                      struct slice *ret_bytes, struct errinfo *info)
{
    int fd = step_fails() ? -1 : open_retry(path, O_RDONLY, 0);
    if (fd < 0) {
        return report(info, errno, "open", path);
    }
    enum err err = read_fd(arena, fd, path, bytes_max, ret_bytes, info);
    io_close(fd);
    return err;
}

enum err io_open_append(const char *path, unsigned mode, int *ret_fd, struct errinfo *info)
{
    int fd = step_fails() ? -1 : open_retry(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, mode);
    if (fd < 0) {
        return report(info, errno, "open", path);
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err io_write_all(int fd, struct slice bytes, struct errinfo *info)
{
    while (bytes.len > 0) {
        ssize_t wrote = step_fails() ? -1 : write(fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return report(info, errno, "write", "file");
        }
        bytes.ptr += wrote;
        bytes.len -= (size_t)wrote;
    }
    return ERR_OK;
}

enum err io_sync(int fd, struct errinfo *info)
{
    if (step_fails() || fdatasync(fd) != 0) {
        return report(info, errno, "sync", "file");
    }
    return ERR_OK;
}

enum err io_truncate(int fd, uint64_t size_bytes, struct errinfo *info)
{
    if (step_fails() || ftruncate(fd, (off_t)size_bytes) != 0) {
        return report(info, errno, "truncate", "file");
    }
    return ERR_OK;
}

enum err io_sync_folder(const char *path, struct errinfo *info)
{
    int fd = step_fails() ? -1 : open_retry(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return report(info, errno, "open", path);
    }
    int failed = step_fails() ? -1 : fsync(fd);
    int error = errno;
    io_close(fd);
    return failed != 0 ? report(info, error, "sync", path) : ERR_OK;
}

void io_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static enum err write_temporary(const char *path, struct slice bytes, unsigned mode,
                                struct errinfo *info)
{
    int fd = step_fails() ? -1 : open_retry(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return report(info, errno, "create", path);
    }
    enum err err = io_write_all(fd, bytes, info);
    if (err == ERR_OK) {
        err = io_sync(fd, info);
    }
    io_close(fd);
    return err;
}

enum err io_write_file_atomic(const char *path, struct slice bytes, unsigned mode,
                              struct errinfo *info)
{
    size_t len = strlen(path);
    char *temporary CLEANUP(mem_free_cleanup) = mem_alloc(len + sizeof(".tmp"));
    char *folder CLEANUP(mem_free_cleanup) = mem_strdup(path);
    if (temporary == NULL || folder == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(temporary, path, len);
    memcpy(temporary + len, ".tmp", sizeof(".tmp"));
    enum err err = write_temporary(temporary, bytes, mode, info);
    if (err == ERR_OK && (step_fails() || rename(temporary, path) != 0)) {
        err = report(info, errno, "rename", path);
    }
    if (err != ERR_OK) {
        (void)unlink(temporary);
        return err;
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return io_sync_folder(".", info);
    }
    slash[slash == folder ? 1 : 0] = '\0';
    return io_sync_folder(folder, info);
}

enum err io_make_folders(const char *path, unsigned mode, struct errinfo *info)
{
    char *partial CLEANUP(mem_free_cleanup) = mem_strdup(path);
    if (partial == NULL) {
        return errinfo_nomem(info);
    }
    for (char *p = partial + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char kept = *p;
        *p = '\0';
        if (step_fails() || (mkdir(partial, (mode_t)mode) != 0 && errno != EEXIST)) {
            return report(info, errno, "create folder", partial);
        }
        *p = kept;
        if (kept == '\0') {
            return ERR_OK;
        }
    }
}

bool io_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *io_join(struct arena *arena, const char *folder, const char *name)
{
    size_t len = strlen(folder);
    bool has_slash = len > 0 && folder[len - 1] == '/';
    return arena_printf(arena, "%s%s%s", folder, has_slash ? "" : "/", name);
}
