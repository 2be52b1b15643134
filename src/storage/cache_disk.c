/* Slots of one file that has no name: it is gone with the process, however that ends.
 *
 * Each block is sealed with AES-256-GCM under a key that only this process has and never writes:
 * whoever reads the disk later reads nothing, and a block that is not exactly what was written, or
 * is another one, does not open. The price is a cold start after each restart. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "storage/cache_int.h"

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SEAL_BYTES (NONCE_BYTES + TAG_BYTES)
#define KEY_BYTES 32

struct storage_disk {
    int fd;
    size_t slot_bytes;
    int64_t slot_count;
    uint8_t key[KEY_BYTES];
    atomic_uint_fast64_t writes; /* each has a nonce of its own */
};

static enum err open_file(struct slice folder, int *ret_fd, struct errinfo *info)
{
    char name[UUID_TEXT_BYTES];
    char path[4096];
    TRY(uuid_new(name));
    int len = snprintf(path, sizeof(path), "%.*s/blocks-%s", SLICE_ARGS(folder), name);
    bool fits = len > 0 && (size_t)len < sizeof(path) && !fault_hit_io();
    int fd = fits ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd < 0) {
        (void)errinfo_set(info, ERR_IO, NULL, "the folder of the block cache cannot be written");
        errinfo_hint(info, "Look at storage.cache_disk and the warehouse's folder.");
        return ERR_IO;
    }
    (void)unlink(path);
    *ret_fd = fd;
    return ERR_OK;
}

enum err storage__disk_open(struct slice folder, uint64_t bytes, size_t block_bytes,
                            struct storage_disk **ret_disk, struct errinfo *info)
{
    struct storage_disk *disk = mem_calloc(1, sizeof(*disk));
    if (disk == NULL) {
        return errinfo_nomem(info);
    }
    disk->slot_bytes = block_bytes + SEAL_BYTES;
    disk->slot_count = (int64_t)(bytes / disk->slot_bytes);
    disk->fd = -1;
    enum err err = random_bytes(disk->key, sizeof(disk->key));
    err = err == ERR_OK ? open_file(folder, &disk->fd, info) : err;
    if (err != ERR_OK) {
        storage__disk_close(disk);
        return err;
    }
    *ret_disk = disk;
    return ERR_OK;
}

void storage__disk_close(struct storage_disk *disk)
{
    if (disk != NULL) {
        if (disk->fd >= 0) {
            (void)close(disk->fd);
        }
        mem_wipe(disk->key, sizeof(disk->key));
        mem_free(disk);
    }
}

int64_t storage__disk_slots(const struct storage_disk *disk)
{
    return disk->slot_count;
}

int storage__disk_fd(const struct storage_disk *disk)
{
    return disk->fd;
}

static void free_cipher(EVP_CIPHER_CTX **cipher)
{
    EVP_CIPHER_CTX_free(*cipher);
}

/* In place. `seal` is the nonce and the tag. */
static bool transform(const struct storage_disk *disk, bool is_sealing, uint8_t seal[SEAL_BYTES],
                      struct slice name, uint8_t *bytes, size_t len)
{
    int done = 0;
    EVP_CIPHER_CTX *cipher CLEANUP(free_cipher) = EVP_CIPHER_CTX_new();
    return cipher != NULL && len <= INT32_MAX &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, disk->key, seal,
                             is_sealing ? 1 : 0) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &done, (const uint8_t *)name.ptr, (int)name.len) == 1 &&
           EVP_CipherUpdate(cipher, bytes, &done, bytes, (int)len) == 1 &&
           (is_sealing || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES,
                                              seal + NONCE_BYTES) == 1) &&
           EVP_CipherFinal_ex(cipher, bytes + len, &done) == 1 &&
           (!is_sealing ||
            EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, seal + NONCE_BYTES) == 1);
}

static bool move_all(int fd, bool is_writing, uint8_t *bytes, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t moved = fault_hit_io() ? -1
                        : is_writing   ? pwrite(fd, bytes + done, len - done, at + (off_t)done)
                                       : pread(fd, bytes + done, len - done, at + (off_t)done);
        if (moved < 0 && errno == EINTR) {
            continue;
        }
        if (moved <= 0) {
            return false;
        }
        done += (size_t)moved;
    }
    return true;
}

bool storage__disk_write(struct storage_disk *disk, int64_t slot, struct slice name,
                         struct slice bytes)
{
    ASSERT(slot >= 0 && slot < disk->slot_count && bytes.len + SEAL_BYTES <= disk->slot_bytes);
    uint8_t *room CLEANUP(mem_free_cleanup) = mem_alloc(SEAL_BYTES + bytes.len);
    uint64_t number = atomic_fetch_add(&disk->writes, 1);
    if (room == NULL) {
        return false;
    }
    memset(room, 0, SEAL_BYTES);
    memcpy(room, &number, sizeof(number));
    memcpy(room + SEAL_BYTES, bytes.ptr, bytes.len);
    return transform(disk, true, room, name, room + SEAL_BYTES, bytes.len) &&
           move_all(disk->fd, true, room, SEAL_BYTES + bytes.len,
                    (off_t)slot * (off_t)disk->slot_bytes);
}

bool storage__disk_read(struct storage_disk *disk, int64_t slot, struct slice name, char *ret_bytes,
                        size_t len)
{
    ASSERT(slot >= 0 && slot < disk->slot_count && len + SEAL_BYTES <= disk->slot_bytes);
    uint8_t seal[SEAL_BYTES];
    off_t at = (off_t)slot * (off_t)disk->slot_bytes;
    return move_all(disk->fd, false, seal, sizeof(seal), at) &&
           move_all(disk->fd, false, (uint8_t *)ret_bytes, len, at + SEAL_BYTES) &&
           transform(disk, false, seal, name, (uint8_t *)ret_bytes, len);
}
