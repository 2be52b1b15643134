#include "sim/sim_disk.h"

#include "base/hash.h"
#include "base/mem.h"

#define SECTOR_BYTES 512u
#define FILES_MAX 512u
#define HANDLES_MAX 512u
#define MOVES_MAX 4096u

/* An inode. `seen` is what reads see, `kept` what a power cut cannot take. */
struct sim_file {
    uint32_t refs; /* names (seen and kept) and handles */
    uint8_t *seen, *kept;
    uint64_t seen_len, kept_len, capacity;
    uint8_t *dirty; /* a byte for each sector: seen differs from kept, a sync keeps it */
    uint8_t *doubt; /* likewise, but no sync brings it back */
    bool is_len_doubt;
};

struct sim_name {
    char text[KERNEL_NAME_BYTES]; /* "" = free */
    struct sim_file *file;
};

/* A change of names that is not kept yet. */
struct sim_move {
    char from[KERNEL_NAME_BYTES], to[KERNEL_NAME_BYTES];
    struct sim_file *file; /* of a new name; NULL for a rename or removal */
};

struct sim_disk {
    uint64_t random, ticks, fault_count;
    struct sim_faults faults;
    bool is_crashed;
    struct sim_name seen[FILES_MAX], kept[FILES_MAX];
    struct sim_move moves[MOVES_MAX];
    uint32_t move_count;
    struct sim_file *handles[HANDLES_MAX];
};

static bool happens(struct sim_disk *disk, uint32_t one_in)
{
    if (one_in == 0 || sim_random_below(&disk->random, one_in) != 0) {
        return false;
    }
    disk->fault_count++;
    return true;
}

/* A short transfer is no fault: it excuses nothing. */
static bool is_short(struct sim_disk *disk)
{
    uint64_t before = disk->fault_count;
    bool is = happens(disk, disk->faults.short_transfer);
    disk->fault_count = before;
    return is;
}

/* ---- Files */

static void file_unref(struct sim_file *file)
{
    ASSERT(file->refs > 0);
    if (--file->refs == 0) {
        mem_free(file->seen);
        mem_free(file->kept);
        mem_free(file->dirty);
        mem_free(file->doubt);
        mem_free(file);
    }
}

static void file_grow(struct sim_file *file, uint64_t len)
{
    if (len <= file->capacity) {
        return;
    }
    uint64_t capacity = file->capacity == 0 ? 65536 : file->capacity;
    while (capacity < len) {
        capacity *= 2;
    }
    file->seen = mem_realloc(file->seen, capacity);
    file->kept = mem_realloc(file->kept, capacity);
    file->dirty = mem_realloc(file->dirty, capacity / SECTOR_BYTES);
    file->doubt = mem_realloc(file->doubt, capacity / SECTOR_BYTES);
    ASSERT(file->seen && file->kept && file->dirty && file->doubt);
    uint64_t added = capacity - file->capacity;
    memset(file->seen + file->capacity, 0, added);
    memset(file->kept + file->capacity, 0, added);
    memset(file->dirty + file->capacity / SECTOR_BYTES, 0, added / SECTOR_BYTES);
    memset(file->doubt + file->capacity / SECTOR_BYTES, 0, added / SECTOR_BYTES);
    file->capacity = capacity;
}

static void file_write(struct sim_file *file, uint64_t offset, const void *bytes, uint64_t len)
{
    if (len == 0) {
        return;
    }
    file_grow(file, offset + len);
    memcpy(file->seen + offset, bytes, len);
    for (uint64_t s = offset / SECTOR_BYTES; s <= (offset + len - 1) / SECTOR_BYTES; s++) {
        file->dirty[s] = 1;
    }
    file->seen_len = offset + len > file->seen_len ? offset + len : file->seen_len;
}

static void file_keep(struct sim_file *file)
{
    for (uint64_t s = 0; s < file->capacity / SECTOR_BYTES; s++) {
        if (file->dirty[s] != 0) {
            memcpy(file->kept + s * SECTOR_BYTES, file->seen + s * SECTOR_BYTES, SECTOR_BYTES);
            file->dirty[s] = 0;
            file->doubt[s] = 0;
        }
    }
    if (!file->is_len_doubt) {
        file->kept_len = file->seen_len;
    }
}

/* After a power cut: each sector that was not synced goes its own way. */
static void file_settle(struct sim_disk *disk, struct sim_file *file, bool is_all)
{
    for (uint64_t s = 0; s < file->capacity / SECTOR_BYTES; s++) {
        uint8_t *seen = file->seen + s * SECTOR_BYTES, *kept = file->kept + s * SECTOR_BYTES;
        if (file->dirty[s] != 0 || file->doubt[s] != 0) {
            uint64_t fate = is_all ? 0 : sim_random_below(&disk->random, 3);
            uint64_t torn = fate == 0   ? SECTOR_BYTES
                            : fate == 1 ? 0
                                        : sim_random_below(&disk->random, SECTOR_BYTES);
            memcpy(kept, seen, torn);
        }
        memcpy(seen, kept, SECTOR_BYTES);
        file->dirty[s] = 0;
        file->doubt[s] = 0;
    }
    if (is_all || (file->seen_len != file->kept_len && sim_random_below(&disk->random, 2) == 0)) {
        file->kept_len = file->seen_len;
    }
    file->seen_len = file->kept_len;
    file->is_len_doubt = false;
    if (file->capacity > file->kept_len) { /* what lies behind the end is gone */
        memset(file->kept + file->kept_len, 0, file->capacity - file->kept_len);
        memset(file->seen + file->kept_len, 0, file->capacity - file->kept_len);
    }
}

/* ---- Names */

static struct sim_name *name_find(struct sim_name *names, const char *text)
{
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (strcmp(names[i].text, text) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

static void name_remove(struct sim_name *names, const char *text)
{
    struct sim_name *name = name_find(names, text);
    if (name != NULL) {
        file_unref(name->file);
        *name = (struct sim_name){.file = NULL};
    }
}

static void name_set(struct sim_name *names, const char *text, struct sim_file *file)
{
    file->refs++;
    name_remove(names, text);
    struct sim_name *name = name_find(names, "");
    ASSERT(name != NULL);
    (void)snprintf(name->text, sizeof(name->text), "%s", text);
    name->file = file;
}

static void move_apply(struct sim_name *names, const struct sim_move *move)
{
    if (move->file != NULL) {
        name_set(names, move->to, move->file);
    } else if (move->to[0] == '\0') {
        name_remove(names, move->from);
    } else {
        struct sim_name *from = name_find(names, move->from);
        if (from != NULL) {
            name_set(names, move->to, from->file);
            name_remove(names, move->from);
        }
    }
}

static void note_move(struct sim_disk *disk, const char *from, const char *to,
                      struct sim_file *file)
{
    ASSERT(disk->move_count < MOVES_MAX);
    struct sim_move *move = &disk->moves[disk->move_count++];
    memset(move, 0, sizeof(*move));
    (void)snprintf(move->from, sizeof(move->from), "%s", from);
    (void)snprintf(move->to, sizeof(move->to), "%s", to);
    move->file = file;
    if (file != NULL) {
        file->refs++;
    }
    move_apply(disk->seen, move);
}

static void keep_moves(struct sim_disk *disk, uint32_t count)
{
    for (uint32_t i = 0; i < disk->move_count; i++) {
        if (i < count) {
            move_apply(disk->kept, &disk->moves[i]);
        }
        if (disk->moves[i].file != NULL) {
            file_unref(disk->moves[i].file);
        }
    }
    disk->move_count = 0;
}

/* ---- The table of functions */

/* Each call takes time, and may be the last. */
static bool is_off(struct sim_disk *disk, uint64_t most_ticks)
{
    disk->ticks += 1000 + sim_random_below(&disk->random, most_ticks);
    if (!disk->is_crashed && disk->faults.crash > 0 &&
        sim_random_below(&disk->random, disk->faults.crash) == 0) {
        disk->is_crashed = true;
    }
    return disk->is_crashed;
}

static uint64_t sim_ticks(void *ctx)
{
    struct sim_disk *disk = ctx;
    return ++disk->ticks;
}

static enum err sim_open(void *ctx, const char *name, bool is_create, kernel_file *ret_file)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 20000) || happens(disk, disk->faults.name_error)) {
        return ERR_IO;
    }
    struct sim_name *found = name_find(disk->seen, name);
    if (found == NULL && !is_create) {
        return ERR_NOT_FOUND;
    }
    struct sim_file *file = found == NULL ? NULL : found->file;
    if (is_create) { /* a new inode: emptied in place, the old could outlive a crash by halves */
        file = mem_calloc(1, sizeof(*file));
        ASSERT(file != NULL);
        note_move(disk, "", name, file);
    }
    uint32_t handle = 1;
    while (disk->handles[handle] != NULL) {
        handle++;
        ASSERT(handle < HANDLES_MAX);
    }
    file->refs++;
    disk->handles[handle] = file;
    *ret_file = handle;
    return ERR_OK;
}

static struct sim_file *file_of(struct sim_disk *disk, kernel_file handle)
{
    ASSERT(handle > 0 && handle < HANDLES_MAX && disk->handles[handle] != NULL);
    return disk->handles[handle];
}

static void sim_close(void *ctx, kernel_file handle)
{
    struct sim_disk *disk = ctx;
    file_unref(file_of(disk, handle));
    disk->handles[handle] = NULL;
}

static enum err sim_size(void *ctx, kernel_file handle, uint64_t *ret_bytes)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 1000) || happens(disk, disk->faults.read_error)) {
        return ERR_IO;
    }
    *ret_bytes = file_of(disk, handle)->seen_len;
    return ERR_OK;
}

static enum err sim_read(void *ctx, kernel_file handle, uint64_t offset, void *ret_bytes,
                         size_t len, size_t *ret_len)
{
    struct sim_disk *disk = ctx;
    const struct sim_file *file = file_of(disk, handle);
    if (is_off(disk, 100000) || happens(disk, disk->faults.read_error)) {
        return ERR_IO;
    }
    uint64_t left = offset < file->seen_len ? file->seen_len - offset : 0;
    len = len < left ? len : left;
    if (len > 1 && is_short(disk)) {
        len = 1 + sim_random_below(&disk->random, len - 1);
    }
    const uint8_t *from = file->seen + offset;
    if (len > 0 && happens(disk, disk->faults.read_misdirected)) {
        uint64_t place = sim_random_below(&disk->random, file->seen_len - len + 1);
        from = file->seen + (place & ~(uint64_t)4095); /* disks err by whole sectors */
    } else if (len > 0 && happens(disk, disk->faults.read_stale)) {
        from = file->kept + offset;
    }
    if (len > 0) {
        memcpy(ret_bytes, from, len);
    }
    *ret_len = len;
    return ERR_OK;
}

static enum err sim_write(void *ctx, kernel_file handle, uint64_t offset, const void *bytes,
                          size_t len, size_t *ret_len)
{
    struct sim_disk *disk = ctx;
    struct sim_file *file = file_of(disk, handle);
    bool was_off = disk->is_crashed;
    if (is_off(disk, 100000)) {
        if (!was_off && len > 0) { /* the power went within the write */
            file_write(file, offset, bytes, sim_random_below(&disk->random, len + 1));
        }
        return ERR_IO;
    }
    bool is_failed = happens(disk, disk->faults.write_error);
    bool is_full = happens(disk, disk->faults.disk_full);
    if (len > 1 && (is_failed || is_full || is_short(disk))) {
        len = 1 + sim_random_below(&disk->random, len - 1);
    }
    file_write(file, offset, bytes, len);
    *ret_len = len;
    return is_failed ? ERR_IO : is_full ? ERR_LIMIT : ERR_OK;
}

static enum err sim_reserve(void *ctx, kernel_file handle, uint64_t bytes)
{
    struct sim_disk *disk = ctx;
    struct sim_file *file = file_of(disk, handle);
    if (is_off(disk, 100000) || happens(disk, disk->faults.write_error)) {
        return ERR_IO;
    }
    if (happens(disk, disk->faults.disk_full)) {
        return ERR_LIMIT;
    }
    file_grow(file, bytes);
    file->seen_len = bytes > file->seen_len ? bytes : file->seen_len;
    return ERR_OK;
}

static enum err sim_sync(void *ctx, kernel_file handle)
{
    struct sim_disk *disk = ctx;
    struct sim_file *file = file_of(disk, handle);
    if (is_off(disk, 1000000)) {
        return ERR_IO;
    }
    if (happens(disk, disk->faults.sync_error)) {
        for (uint64_t s = 0; s < file->capacity / SECTOR_BYTES; s++) {
            file->doubt[s] = (uint8_t)(file->doubt[s] | file->dirty[s]);
            file->dirty[s] = 0;
        }
        file->is_len_doubt = file->seen_len != file->kept_len;
        return ERR_IO;
    }
    file_keep(file);
    return ERR_OK;
}

static enum err sim_rename(void *ctx, const char *from, const char *to)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 100000) || happens(disk, disk->faults.name_error)) {
        return ERR_IO;
    }
    if (name_find(disk->seen, from) == NULL) {
        return ERR_NOT_FOUND;
    }
    note_move(disk, from, to, NULL);
    return ERR_OK;
}

static enum err sim_remove(void *ctx, const char *name)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 100000) || happens(disk, disk->faults.name_error)) {
        return ERR_IO;
    }
    if (name_find(disk->seen, name) == NULL) {
        return ERR_NOT_FOUND;
    }
    note_move(disk, name, "", NULL);
    return ERR_OK;
}

static enum err sim_sync_folder(void *ctx)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 1000000) || happens(disk, disk->faults.name_error)) {
        return ERR_IO;
    }
    keep_moves(disk, disk->move_count);
    return ERR_OK;
}

static enum err sim_list(void *ctx, void (*each)(void *each_ctx, const char *name), void *each_ctx)
{
    struct sim_disk *disk = ctx;
    if (is_off(disk, 100000) || happens(disk, disk->faults.name_error)) {
        return ERR_IO;
    }
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (disk->seen[i].text[0] != '\0') {
            char name[KERNEL_NAME_BYTES]; /* the callback may remove it */
            memcpy(name, disk->seen[i].text, sizeof(name));
            each(each_ctx, name);
        }
    }
    return ERR_OK;
}

/* ---- For the one who runs the world */

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *disk = mem_calloc(1, sizeof(*disk));
    if (disk != NULL) {
        disk->random = seed;
    }
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    keep_moves(disk, 0);
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (disk->seen[i].text[0] != '\0') {
            name_remove(disk->seen, disk->seen[i].text);
        }
        if (disk->kept[i].text[0] != '\0') {
            name_remove(disk->kept, disk->kept[i].text);
        }
    }
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        if (disk->handles[i] != NULL) {
            file_unref(disk->handles[i]);
        }
    }
    mem_free(disk);
}

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_faults *faults)
{
    disk->faults = *faults;
}

struct kernel_io sim_disk_io(struct sim_disk *disk)
{
    return (struct kernel_io){.ctx = disk,
                              .ticks = sim_ticks,
                              .open = sim_open,
                              .close = sim_close,
                              .size = sim_size,
                              .read = sim_read,
                              .write = sim_write,
                              .reserve = sim_reserve,
                              .sync = sim_sync,
                              .rename = sim_rename,
                              .remove = sim_remove,
                              .sync_folder = sim_sync_folder,
                              .list = sim_list};
}

bool sim_disk_is_crashed(const struct sim_disk *disk)
{
    return disk->is_crashed;
}

void sim_disk_crash(struct sim_disk *disk)
{
    disk->is_crashed = true;
}

static void settle(struct sim_disk *disk, bool is_all)
{
    uint32_t kept = disk->move_count;
    if (!is_all) {
        kept = (uint32_t)sim_random_below(&disk->random, disk->move_count + 1u);
    }
    keep_moves(disk, kept);
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (disk->seen[i].text[0] != '\0') {
            name_remove(disk->seen, disk->seen[i].text);
        }
    }
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (disk->kept[i].text[0] != '\0') {
            file_settle(disk, disk->kept[i].file, is_all);
            disk->seen[i] = disk->kept[i];
            disk->seen[i].file->refs++;
        }
    }
}

void sim_disk_power_on(struct sim_disk *disk)
{
    for (uint32_t i = 0; i < HANDLES_MAX; i++) {
        ASSERT(disk->handles[i] == NULL); /* the one who crashed has closed all */
    }
    settle(disk, false);
    disk->is_crashed = false;
}

void sim_disk_settle(struct sim_disk *disk)
{
    settle(disk, true);
}

bool sim_disk_rot(struct sim_disk *disk, const char *prefix, char ret_name[KERNEL_NAME_BYTES],
                  uint64_t *ret_offset)
{
    uint32_t chosen = FILES_MAX, count = 0;
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        const struct sim_name *name = &disk->kept[i];
        if (name->text[0] != '\0' && name->file->kept_len > 0 &&
            strncmp(name->text, prefix, strlen(prefix)) == 0 &&
            sim_random_below(&disk->random, ++count) == 0) {
            chosen = i;
        }
    }
    if (chosen == FILES_MAX) {
        return false;
    }
    struct sim_file *file = disk->kept[chosen].file;
    uint64_t offset = sim_random_below(&disk->random, file->kept_len);
    uint8_t bit = (uint8_t)(1u << sim_random_below(&disk->random, 8));
    file->kept[offset] ^= bit;
    file->seen[offset] ^= bit;
    memcpy(ret_name, disk->kept[chosen].text, KERNEL_NAME_BYTES);
    *ret_offset = offset;
    return true;
}

uint64_t sim_disk_hash(const struct sim_disk *disk)
{
    uint64_t sum = 0; /* over names, so that their order does not matter */
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        const struct sim_name *name = &disk->seen[i];
        if (name->text[0] != '\0') {
            struct slice bytes = {(const char *)name->file->seen, name->file->seen_len};
            sum += hash_xx64(bytes, hash_xx64(slice_of(name->text), 0));
        }
    }
    return sum;
}

uint64_t sim_disk_ticks(const struct sim_disk *disk)
{
    return disk->ticks;
}

uint64_t sim_disk_fault_count(const struct sim_disk *disk)
{
    return disk->fault_count;
}
