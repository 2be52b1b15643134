#include "io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define SHRINK_BYTES ((off_t)1 << 20)

/* Descriptors are the kernel's file numbers. */
struct io_folder {
    int descriptor;
};

static enum err of_errno(void)
{
    return errno == ENOENT                        ? ERR_NOT_FOUND
           : (errno == ENOSPC || errno == EDQUOT) ? ERR_LIMIT
                                                  : ERR_IO;
}

static uint64_t folder_ticks(UNUSED void *ctx)
{
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum err folder_open_file(void *ctx, const char *name, bool is_create, kernel_file *ret_file)
{
    const struct io_folder *folder = ctx;
    /* A new file, not the old one emptied: a backup may hold that one by another name. */
    if (is_create && unlinkat(folder->descriptor, name, 0) != 0 && errno != ENOENT) {
        return of_errno();
    }
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (is_create ? O_CREAT | O_EXCL : 0);
    int descriptor = openat(folder->descriptor, name, flags, 0600);
    if (descriptor < 0) {
        return of_errno();
    }
    *ret_file = (kernel_file)descriptor;
    return ERR_OK;
}

static void folder_close_file(UNUSED void *ctx, kernel_file file)
{
    (void)close((int)file);
}

static enum err folder_size(UNUSED void *ctx, kernel_file file, uint64_t *ret_bytes)
{
    struct stat info;
    if (fstat((int)file, &info) != 0) {
        return of_errno();
    }
    *ret_bytes = (uint64_t)info.st_size;
    return ERR_OK;
}

static enum err folder_read(UNUSED void *ctx, kernel_file file, uint64_t offset, void *ret_bytes,
                            size_t len, size_t *ret_len)
{
    ssize_t done = 0;
    do {
        done = pread((int)file, ret_bytes, len, (off_t)offset);
    } while (done < 0 && errno == EINTR);
    if (done < 0) {
        return of_errno();
    }
    *ret_len = (size_t)done;
    return ERR_OK;
}

static enum err folder_write(UNUSED void *ctx, kernel_file file, uint64_t offset, const void *bytes,
                             size_t len, size_t *ret_len)
{
    ssize_t done = 0;
    do {
        done = pwrite((int)file, bytes, len, (off_t)offset);
    } while (done < 0 && errno == EINTR);
    if (done < 0) {
        return of_errno();
    }
    *ret_len = (size_t)done;
    return ERR_OK;
}

static enum err folder_reserve(UNUSED void *ctx, kernel_file file, uint64_t bytes)
{
    int code = posix_fallocate((int)file, 0, (off_t)bytes);
    errno = code;
    return code == 0 ? ERR_OK : of_errno();
}

static enum err folder_sync(UNUSED void *ctx, kernel_file file)
{
    return fdatasync((int)file) == 0 ? ERR_OK : ERR_IO;
}

static enum err folder_rename(void *ctx, const char *from, const char *to)
{
    const struct io_folder *folder = ctx;
    return renameat(folder->descriptor, from, folder->descriptor, to) == 0 ? ERR_OK : of_errno();
}

/* To free the space of a long file at once may keep a disk busy for many milliseconds, and with it
 * the syncs of the log: it is cut off piece by piece. Not if a backup has it too. */
static void shrink(const struct io_folder *folder, const char *name)
{
    int file = openat(folder->descriptor, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    if (file >= 0 && fstat(file, &info) == 0 && info.st_nlink == 1) {
        off_t left = info.st_size;
        bool is_shorter = true;
        while (is_shorter && left > SHRINK_BYTES) {
            left -= SHRINK_BYTES;
            is_shorter = ftruncate(file, left) == 0 && fdatasync(file) == 0;
        }
    }
    if (file >= 0) {
        (void)close(file);
    }
}

static enum err folder_remove(void *ctx, const char *name)
{
    const struct io_folder *folder = ctx;
    shrink(folder, name);
    return unlinkat(folder->descriptor, name, 0) == 0 ? ERR_OK : of_errno();
}

static enum err folder_sync_names(void *ctx)
{
    const struct io_folder *folder = ctx;
    return fsync(folder->descriptor) == 0 ? ERR_OK : ERR_IO;
}

static enum err folder_list(void *ctx, void (*each)(void *each_ctx, const char *name),
                            void *each_ctx)
{
    const struct io_folder *folder = ctx;
    int descriptor = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (entries == NULL) {
        return ERR_IO;
    }
    errno = 0;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (entry->d_name[0] != '.') {
            each(each_ctx, entry->d_name);
        }
        errno = 0;
    }
    enum err result = errno == 0 ? ERR_OK : ERR_IO;
    (void)closedir(entries);
    return result;
}

enum err io_folder_open(const char *path, struct io_folder **ret_folder, struct errinfo *error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return errinfo_set(error, ERR_IO, NULL, "cannot create the folder \"%s\"", path);
    }
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return errinfo_set(error, ERR_IO, NULL, "cannot open the folder \"%s\"", path);
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        (void)close(descriptor);
        errinfo_set(error, ERR_BUSY, NULL, "the store \"%s\" is open elsewhere", path);
        errinfo_hint(error, "close the other program that uses it");
        return ERR_BUSY;
    }
    struct io_folder *folder = mem_alloc(sizeof(*folder));
    if (folder == NULL) {
        (void)close(descriptor);
        return errinfo_nomem(error);
    }
    folder->descriptor = descriptor;
    *ret_folder = folder;
    return ERR_OK;
}

void io_folder_close(struct io_folder *folder)
{
    if (folder != NULL) {
        (void)close(folder->descriptor);
        mem_free(folder);
    }
}

static enum err copy_bytes_of(int from, int to)
{
    for (;;) {
        ssize_t done = copy_file_range(from, NULL, to, NULL, (size_t)1 << 20, 0);
        if (done == 0) {
            return fdatasync(to) == 0 ? ERR_OK : ERR_IO;
        }
        if (done < 0 && errno != EINTR) {
            return of_errno();
        }
    }
}

/* The last page of a run has the checksums of its tables, so two runs with the same one are one. */
static bool is_same(const struct io_folder *from, const struct io_folder *to, const char *name)
{
    char pages[2][4096];
    struct stat infos[2];
    bool is_read = true;
    for (int i = 0; i < 2; i++) {
        int folder = i == 0 ? from->descriptor : to->descriptor;
        int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        is_read = is_read && file >= 0 && fstat(file, &infos[i]) == 0 &&
                  infos[i].st_size >= (off_t)sizeof(pages[i]) &&
                  pread(file, pages[i], sizeof(pages[i]),
                        infos[i].st_size - (off_t)sizeof(pages[i])) == (ssize_t)sizeof(pages[i]);
        if (file >= 0) {
            (void)close(file);
        }
    }
    return is_read && infos[0].st_size == infos[1].st_size &&
           memcmp(pages[0], pages[1], sizeof(pages[0])) == 0;
}

enum err io_folder_copy(struct io_folder *from, struct io_folder *to, const char *name,
                        bool is_kept)
{
    if (is_kept && is_same(from, to, name)) {
        return ERR_OK;
    }
    if (unlinkat(to->descriptor, name, 0) != 0 && errno != ENOENT) {
        return of_errno();
    }
    if (is_kept && linkat(from->descriptor, name, to->descriptor, name, 0) == 0) {
        return ERR_OK;
    }
    int source = openat(from->descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int target = openat(to->descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum err result = source < 0 || target < 0 ? of_errno() : copy_bytes_of(source, target);
    (void)close(source);
    (void)close(target);
    return result;
}

struct kernel_io io_folder_kernel(struct io_folder *folder)
{
    return (struct kernel_io){.ctx = folder,
                              .ticks = folder_ticks,
                              .open = folder_open_file,
                              .close = folder_close_file,
                              .size = folder_size,
                              .read = folder_read,
                              .write = folder_write,
                              .reserve = folder_reserve,
                              .sync = folder_sync,
                              .rename = folder_rename,
                              .remove = folder_remove,
                              .sync_folder = folder_sync_names,
                              .list = folder_list};
}

bool io_has_hardware_crc(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2") != 0;
#else
    return false;
#endif
}
