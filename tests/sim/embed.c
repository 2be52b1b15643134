/* The kernel alone, as somebody embeds it: its two headers, its library, a small world that lives
 * in memory. Puts pairs, loses the power, opens again and finds what was durable. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/kernel.h"

#define FILES_MAX 64u

struct file {
    char name[KERNEL_NAME_BYTES];
    uint8_t *bytes;
    size_t len;
};

static struct file files[FILES_MAX];
static uint64_t now;

static uint64_t ticks(void *ctx)
{
    (void)ctx;
    return ++now;
}

static struct file *find(const char *name)
{
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

static enum err open_file(void *ctx, const char *name, bool is_create, kernel_file *ret_file)
{
    (void)ctx;
    struct file *file = find(name);
    if (file == NULL && is_create) {
        file = find("");
        memcpy(file->name, name, strlen(name) + 1);
    }
    if (file == NULL) {
        return ERR_NOT_FOUND;
    }
    file->len = is_create ? 0 : file->len;
    *ret_file = (kernel_file)(file - files);
    return ERR_OK;
}

static void close_file(void *ctx, kernel_file file)
{
    (void)ctx;
    (void)file;
}

static enum err size(void *ctx, kernel_file file, uint64_t *ret_bytes)
{
    (void)ctx;
    *ret_bytes = files[file].len;
    return ERR_OK;
}

static enum err read_file(void *ctx, kernel_file file, uint64_t offset, void *ret_bytes, size_t len,
                          size_t *ret_len)
{
    (void)ctx;
    size_t there = offset < files[file].len ? files[file].len - offset : 0;
    *ret_len = len < there ? len : there;
    memcpy(ret_bytes, files[file].bytes + offset, *ret_len);
    return ERR_OK;
}

static enum err reserve(void *ctx, kernel_file file, uint64_t bytes)
{
    (void)ctx;
    if (bytes > files[file].len) {
        files[file].bytes = realloc(files[file].bytes, bytes);
        memset(files[file].bytes + files[file].len, 0, bytes - files[file].len);
        files[file].len = bytes;
    }
    return files[file].bytes == NULL ? ERR_IO : ERR_OK;
}

static enum err write_file(void *ctx, kernel_file file, uint64_t offset, const void *bytes,
                           size_t len, size_t *ret_len)
{
    if (reserve(ctx, file, offset + len) != ERR_OK) {
        return ERR_IO;
    }
    memcpy(files[file].bytes + offset, bytes, len);
    *ret_len = len;
    return ERR_OK;
}

static enum err sync_file(void *ctx, kernel_file file)
{
    (void)ctx;
    (void)file;
    return ERR_OK;
}

static enum err remove_file(void *ctx, const char *name)
{
    (void)ctx;
    struct file *file = find(name);
    if (file == NULL) {
        return ERR_NOT_FOUND;
    }
    free(file->bytes);
    *file = (struct file){.len = 0};
    return ERR_OK;
}

static enum err rename_file(void *ctx, const char *from, const char *to)
{
    (void)remove_file(ctx, to);
    struct file *file = find(from);
    memset(file->name, 0, sizeof(file->name));
    memcpy(file->name, to, strlen(to) + 1);
    return ERR_OK;
}

static enum err sync_folder(void *ctx)
{
    (void)ctx;
    return ERR_OK;
}

static enum err list(void *ctx, void (*each)(void *each_ctx, const char *name), void *each_ctx)
{
    (void)ctx;
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (files[i].name[0] != '\0') {
            char name[KERNEL_NAME_BYTES];
            memcpy(name, files[i].name, sizeof(name));
            each(each_ctx, name);
        }
    }
    return ERR_OK;
}

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

int main(void)
{
    enum {
        PAIRS = 20000
    };
    struct kernel_io io = {.ticks = ticks,
                           .open = open_file,
                           .close = close_file,
                           .size = size,
                           .read = read_file,
                           .write = write_file,
                           .reserve = reserve,
                           .sync = sync_file,
                           .rename = rename_file,
                           .remove = remove_file,
                           .sync_folder = sync_folder,
                           .list = list};
    struct kernel_options options = {.memtable_bytes = 1 << 18,
                                     .cache_bytes = 1 << 20,
                                     .table_bytes = 1 << 20,
                                     .run_bytes = 1 << 20,
                                     .level_base_bytes = 1 << 20,
                                     .wal_segment_bytes = 1 << 22};
    void *memory = aligned_alloc(64, (kernel_memory_bytes(&options, NULL) + 63) / 64 * 64);
    struct kernel *kernel = NULL;
    must(memory != NULL, "memory");
    must(kernel_open(&options, &io, memory, &kernel, NULL) == ERR_OK, "open");
    for (uint32_t i = 0; i < PAIRS; i++) {
        struct kernel_txn *txn = NULL;
        uint64_t commit = 0;
        char key[16];
        int len = snprintf(key, sizeof(key), "key%08u", i * 7919u % PAIRS);
        struct slice pair = {key, (size_t)len};
        must(kernel_begin(kernel, KERNEL_SERIALIZABLE, &txn) == ERR_OK, "begin");
        must(kernel_put(txn, pair, pair) == ERR_OK, "put");
        must(kernel_commit(txn, &commit) == ERR_OK && commit == i + 1, "commit");
        if (i == PAIRS / 2) {
            must(kernel_sync(kernel) == ERR_OK, "sync");
        }
    }
    must(kernel_sync(kernel) == ERR_OK && kernel_durable(kernel) == PAIRS, "all is durable");
    must(kernel_open(&options, &io, memory, &kernel, NULL) == ERR_OK, "open after a power cut");
    struct kernel_txn *txn = NULL;
    struct kernel_scan *scan = NULL;
    struct kernel_range range = {.is_backward = true};
    must(kernel_begin(kernel, KERNEL_READ_ONLY, &txn) == ERR_OK, "begin");
    must(kernel_scan_open(txn, &range, &scan) == ERR_OK, "scan");
    uint32_t count = 0;
    struct slice key, value;
    while (kernel_scan_next(scan, &key, &value) == ERR_OK) {
        must(slice_equal(key, value), "the right value");
        count++;
    }
    must(count == PAIRS, "all pairs are there");
    kernel_rollback(txn);
    must(kernel_verify(kernel) == ERR_OK, "verify");
    kernel_close(kernel);
    printf("2 passed, 0 failed\n");
    return 0;
}
