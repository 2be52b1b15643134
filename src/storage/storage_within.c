/* Opening what must lie in certain folders, however names are changed meanwhile.
 *
 * A path that was resolved and judged can lead elsewhere by the time it is opened. So the file is
 * pinned first (O_PATH: nothing of it is touched, a device is not woken), then asked for its own
 * path, and only then opened, through the pin. What was judged is what is read. Tried and dropped:
 * openat2 with RESOLVE_BENEATH, which refuses every absolute link, also one that stays inside. */
#include "storage/storage_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define PIN_PATH_BYTES 64

static void close_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static void print_pin(int fd, char out[PIN_PATH_BYTES])
{
    int len = snprintf(out, PIN_PATH_BYTES, "/proc/self/fd/%d", fd);
    ASSERT(len > 0 && len < PIN_PATH_BYTES);
}

int storage__local_pin(struct slice path, int flags)
{
    char *text CLEANUP(mem_free_cleanup) = mem_slicedup(path);
    int fd = -1;
    if (text == NULL) {
        errno = ENOMEM;
        return -1;
    }
    do {
        fd = storage__step_fails() ? -1 : open(text, O_PATH | O_CLOEXEC | flags);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Where the pinned thing is now, in PATH_MAX bytes. */
static enum err find_path(int fd, char *text, struct slice *ret_path, struct slice name,
                          struct errinfo *info)
{
    char pin_path[PIN_PATH_BYTES];
    print_pin(fd, pin_path);
    ssize_t len = storage__step_fails() ? -1 : readlink(pin_path, text, PATH_MAX);
    if (len <= 0 || len >= PATH_MAX || text[0] != '/') {
        return errinfo_set(info, ERR_IO, NULL, "cannot tell where \"%.*s\" really is",
                           SLICE_ARGS(name));
    }
    *ret_path = (struct slice){text, (size_t)len};
    return ERR_OK;
}

static bool is_inside(struct slice path, struct slice folder, bool may_be_it)
{
    return slice_equal(folder, SLICE("/")) || (may_be_it && slice_equal(path, folder)) ||
           (path.len > folder.len && slice_starts_with(path, folder) &&
            path.ptr[folder.len] == '/');
}

enum err storage__local_judge(int file, bool may_be_it, const struct slice *folders,
                              size_t folder_count, bool *ret_is_inside, struct slice name,
                              struct errinfo *info)
{
    char *texts CLEANUP(mem_free_cleanup) = mem_alloc((size_t)2 * PATH_MAX);
    if (texts == NULL) {
        return errinfo_nomem(info);
    }
    struct slice path;
    struct slice folder_path;
    TRY(find_path(file, texts, &path, name, info));
    *ret_is_inside = false;
    for (size_t i = 0; i < folder_count && !*ret_is_inside; i++) {
        int folder CLEANUP(close_fd) = storage__local_pin(folders[i], O_DIRECTORY);
        if (folder < 0 && errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
            return storage__local_report(info, errno, "look at", folders[i]);
        }
        if (folder >= 0) {
            TRY(find_path(folder, texts + PATH_MAX, &folder_path, name, info));
            *ret_is_inside = is_inside(path, folder_path, may_be_it);
        }
    }
    return ERR_OK;
}

enum err storage__local_open_within(struct slice location, const struct slice *folders,
                                    size_t folder_count, struct storage_object *object,
                                    bool *ret_is_outside, struct errinfo *info)
{
    struct slice name = storage__base_name(location);
    char pin_path[PIN_PATH_BYTES];
    struct stat file;
    int pinned CLEANUP(close_fd) = storage__local_pin(location, 0);
    if (pinned < 0 || storage__step_fails() || fstat(pinned, &file) != 0) {
        return storage__local_report(info, errno, "open", location);
    }
    bool is_allowed = folder_count == 0;
    if (!is_allowed) {
        TRY(storage__local_judge(pinned, false, folders, folder_count, &is_allowed, name, info));
    }
    if (!is_allowed) {
        *ret_is_outside = true;
        (void)errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" lies outside of the allowed folders",
                          SLICE_ARGS(name));
        return ERR_DENIED;
    }
    if (!S_ISREG(file.st_mode)) {
        return storage__local_refuse_kind(info, file.st_mode, location);
    }
    print_pin(pinned, pin_path);
    return storage__local_open_file(pin_path, name, object, info);
}
