#include "query/spill_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#define PREFIX "moat-spill-"
#define DEPTH_MAX 2 /* the folder of a process, of an engine host, its files */
#define TRIES_MAX 8

struct spill {
    int tmp;
    int folder;
    char name[64];
    char *path;
};

static bool is_ours(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

static int open_folder(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What cannot be removed stays, and is tried again at the next start. Closes `folder`. */
static void empty(int folder, unsigned depth)
{
    DIR *listing = fdopendir(folder);
    if (listing == NULL) {
        (void)close(folder);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(folder, entry->d_name, 0) == 0 || depth == 0) {
            continue;
        }
        int inner = open_folder(folder, entry->d_name);
        if (inner >= 0) {
            empty(inner, depth - 1);
            (void)unlinkat(folder, entry->d_name, AT_REMOVEDIR);
        }
    }
    (void)closedir(listing);
}

static void remove_left(int tmp, const char *name)
{
    int folder = open_folder(tmp, name);
    if (folder < 0) {
        return;
    }
    if (flock(folder, LOCK_EX | LOCK_NB) != 0) {
        (void)close(folder); /* its process lives */
        return;
    }
    int listing = open_folder(tmp, name);
    if (listing >= 0) {
        empty(listing, DEPTH_MAX);
    }
    (void)unlinkat(tmp, name, AT_REMOVEDIR);
    (void)close(folder); /* and the lock: who waits for it finds that the folder is gone */
}

static void sweep(int tmp)
{
    int copy = open_folder(tmp, ".");
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        if (is_ours(entry->d_name)) {
            remove_left(tmp, entry->d_name);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    } else if (copy >= 0) {
        (void)close(copy);
    }
}

/* Another process that starts may take it for left behind before it is locked. */
static bool make(struct spill *spill)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        uint8_t random[16];
        char hex[33];
        if (random_bytes(random, sizeof(random)) != ERR_OK) {
            return false;
        }
        hash_hex(random, sizeof(random), hex);
        (void)snprintf(spill->name, sizeof(spill->name), PREFIX "%s", hex);
        if (mkdirat(spill->tmp, spill->name, 0700) != 0) {
            return false;
        }
        spill->folder = open_folder(spill->tmp, spill->name);
        struct stat status;
        if (spill->folder >= 0 && flock(spill->folder, LOCK_EX) == 0 &&
            fstat(spill->folder, &status) == 0 && status.st_nlink > 0) {
            return true;
        }
        if (spill->folder >= 0) {
            (void)close(spill->folder);
            spill->folder = -1;
        }
        (void)unlinkat(spill->tmp, spill->name, AT_REMOVEDIR);
    }
    return false;
}

enum err spill_open(const char *tmp, struct spill **ret_spill, struct errinfo *info)
{
    struct buf path CLEANUP(buf_fini) = {0};
    struct spill *spill = mem_calloc(1, sizeof(*spill));
    if (spill == NULL) {
        return errinfo_nomem(info);
    }
    spill->folder = -1;
    spill->tmp = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spill->tmp >= 0) {
        sweep(spill->tmp);
    }
    if (spill->tmp < 0 || !make(spill)) {
        spill_close(spill);
        return errinfo_set(info, ERR_IO, NULL, "the folder for temporary files cannot be used");
    }
    buf_printf(&path, "%s/%s", tmp, spill->name);
    if (buf_failed(&path)) {
        spill_close(spill);
        return errinfo_nomem(info);
    }
    spill->path = buf_take(&path);
    *ret_spill = spill;
    return ERR_OK;
}

void spill_close(struct spill *spill)
{
    if (spill == NULL) {
        return;
    }
    if (spill->folder >= 0) {
        int listing = open_folder(spill->tmp, spill->name);
        if (listing >= 0) {
            empty(listing, DEPTH_MAX);
        }
        (void)unlinkat(spill->tmp, spill->name, AT_REMOVEDIR);
        (void)close(spill->folder);
    }
    if (spill->tmp >= 0) {
        (void)close(spill->tmp);
    }
    mem_free(spill->path);
    mem_free(spill);
}

const char *spill_folder(const struct spill *spill)
{
    return spill->path;
}
