/* As storage_within.c: the folder is pinned first, judged by its own path, and everything is done
 * through the pin, so what was judged is what is written to. Files are O_TMPFILE: who dies while
 * writing leaves nothing. */
#include "storage/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/storage_int.h"

#define FOLDER_MODE 0755 /* less the umask, as other writers of a lake do */
#define FILE_MODE 0644
#define DEPTH_MAX 64

struct storage_output {
    int folder; /* pinned */
    int fd;
    uint64_t size_bytes;
    char *name; /* last component */
};

static struct slice parent_of(struct slice path)
{
    while (path.len > 1 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    while (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

static enum err judge(int folder, struct slice location, const struct slice *folders,
                      size_t folder_count, bool *ret_is_outside, struct errinfo *info)
{
    bool is_inside = folder_count == 0;
    struct slice name = storage__base_name(location);
    if (!is_inside) {
        TRY(storage__local_judge(folder, true, folders, folder_count, &is_inside, name, info));
    }
    if (is_inside) {
        return ERR_OK;
    }
    *ret_is_outside = true;
    return errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" lies outside of the allowed folders",
                       SLICE_ARGS(name));
}

struct place {
    const struct slice *folders;
    size_t folder_count;
    bool *ret_is_outside;
    struct errinfo *info;
};

/* Pins `path`, which is made below the first folder of it that is there, when that is allowed. */
static enum err pin_folder(const struct place *place, struct slice path, bool makes, unsigned depth,
                           int *ret_fd)
{
    int fd = storage__local_pin(path, O_DIRECTORY);
    int error = errno;
    if (fd < 0 && error == ENOENT && makes && path.len > 1 && depth < DEPTH_MAX) {
        int above = -1;
        TRY(pin_folder(place, parent_of(path), true, depth + 1, &above));
        char *name CLEANUP(mem_free_cleanup) = mem_slicedup(storage__base_name(path));
        bool is_made = name != NULL && !storage__step_fails() &&
                       (mkdirat(above, name, FOLDER_MODE) == 0 || errno == EEXIST);
        error = errno;
        io_close(above);
        if (!is_made) {
            return name == NULL ? errinfo_nomem(place->info)
                                : storage__local_report(place->info, error, "make", path);
        }
        fd = storage__local_pin(path, O_DIRECTORY);
        error = errno;
    }
    if (fd < 0) {
        return storage__local_report(place->info, error, "open", path);
    }
    enum err err =
        judge(fd, path, place->folders, place->folder_count, place->ret_is_outside, place->info);
    if (err != ERR_OK) {
        io_close(fd);
        return err;
    }
    *ret_fd = fd;
    return ERR_OK;
}

static enum err check_location(struct slice location, struct errinfo *info)
{
    struct slice name = storage__base_name(location);
    bool is_good = location.len > 1 && location.ptr[0] == '/' && name.len > 0 &&
                   memchr(location.ptr, '\0', location.len) == NULL &&
                   !slice_equal(name, SLICE(".")) && !slice_equal(name, SLICE(".."));
    return is_good ? ERR_OK
                   : errinfo_set(info, ERR_INVALID, NULL,
                                 "the new object's location is not an absolute path of a file");
}

enum err storage_output_open(const struct identity *who, struct slice location,
                             const struct slice *folders, size_t folder_count,
                             struct storage_output **ret_output, bool *ret_is_outside,
                             struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(check_location(location, info));
    struct storage_output *output CLEANUP(storage_output_cleanup) = mem_calloc(1, sizeof(*output));
    if (output == NULL) {
        return errinfo_nomem(info);
    }
    struct place place = {folders, folder_count, ret_is_outside, info};
    output->folder = output->fd = -1;
    output->name = mem_slicedup(storage__base_name(location));
    if (output->name == NULL) {
        return errinfo_nomem(info);
    }
    TRY(pin_folder(&place, parent_of(location), true, 0, &output->folder));
    output->fd = storage__step_fails()
                     ? -1
                     : openat(output->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    if (output->fd < 0) {
        return storage__local_report(info, errno, "write", location);
    }
    *ret_output = TAKE(output);
    return ERR_OK;
}

enum err storage_output_append(struct storage_output *output, struct slice bytes,
                               struct errinfo *info)
{
    TRY(io_write_all(output->fd, bytes, info));
    output->size_bytes += bytes.len;
    return ERR_OK;
}

uint64_t storage_output_size(const struct storage_output *output)
{
    return output->size_bytes;
}

static int name_file(const struct storage_output *output, const char *name)
{
    char pin[64];
    (void)snprintf(pin, sizeof(pin), "/proc/self/fd/%d", output->fd);
    return storage__step_fails() ? -1
                                 : linkat(AT_FDCWD, pin, output->folder, name, AT_SYMLINK_FOLLOW);
}

static enum err put_in_place(const struct storage_output *output, struct errinfo *info)
{
    char beside[UUID_TEXT_BYTES + 8] = ".";
    char uuid[UUID_TEXT_BYTES];
    if (uuid_new(uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    (void)snprintf(beside, sizeof(beside), ".%s.tmp", uuid);
    if (name_file(output, beside) != 0) {
        return storage__local_report(info, errno, "write", slice_of(output->name));
    }
    if (storage__step_fails() ||
        renameat(output->folder, beside, output->folder, output->name) != 0) {
        int error = errno;
        (void)unlinkat(output->folder, beside, 0);
        return storage__local_report(info, error, "write", slice_of(output->name));
    }
    return ERR_OK;
}

/* A folder that is pinned cannot be synced: it is opened through the pin. */
static enum err sync_folder(const struct storage_output *output, struct errinfo *info)
{
    int fd = storage__step_fails()
                 ? -1
                 : openat(output->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int error = errno;
        if (fd >= 0) {
            io_close(fd);
        }
        return storage__local_report(info, error, "sync the folder of", slice_of(output->name));
    }
    io_close(fd);
    return ERR_OK;
}

enum err storage_output_finish(struct storage_output *output, bool replaces, struct errinfo *info)
{
    TRY(io_sync(output->fd, info));
    if (replaces) {
        TRY(put_in_place(output, info));
    } else if (name_file(output, output->name) != 0) {
        return errno == EEXIST
                   ? errinfo_set(info, ERR_EXISTS, NULL, "\"%s\" is there already", output->name)
                   : storage__local_report(info, errno, "write", slice_of(output->name));
    }
    return sync_folder(output, info);
}

void storage_output_close(struct storage_output *output)
{
    if (output == NULL) {
        return;
    }
    if (output->fd >= 0) {
        io_close(output->fd);
    }
    if (output->folder >= 0) {
        io_close(output->folder);
    }
    mem_free(output->name);
    mem_free(output);
}

enum err storage_remove_within(const struct identity *who, struct slice location,
                               const struct slice *folders, size_t folder_count,
                               bool *ret_is_outside, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(check_location(location, info));
    struct place place = {folders, folder_count, ret_is_outside, info};
    int folder = -1;
    enum err err = pin_folder(&place, parent_of(location), false, 0, &folder);
    if (err != ERR_OK) {
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    char *name CLEANUP(mem_free_cleanup) = mem_slicedup(storage__base_name(location));
    bool is_done = name != NULL && !storage__step_fails() &&
                   (unlinkat(folder, name, 0) == 0 || errno == ENOENT);
    int error = errno;
    io_close(folder);
    if (name == NULL) {
        return errinfo_nomem(info);
    }
    return is_done ? ERR_OK : storage__local_report(info, error, "remove", location);
}
