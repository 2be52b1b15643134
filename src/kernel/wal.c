#include "kernel/wal.h"

#define MAGIC 0x316C774Bu /* "Kwl1" */
#define FILL_BYTES (64u << 10)
#define FILLED_BYTES_MAX (16u << 20) /* of a segment: a rotation may wait for it */
#define FILL_SYNC_BYTES (512u << 10)

void wal_init(struct wal *wal, struct disk *disk, void *memory, uint64_t buffer_bytes,
              uint64_t segment_bytes)
{
    ASSERT(((uintptr_t)memory & 15) == 0);
    ASSERT(buffer_bytes % WAL_ALIGN == 0 && buffer_bytes >= 2 * WAL_ALIGN);
    *wal = (struct wal){.disk = disk, .buffer_bytes = buffer_bytes, .segment_bytes = segment_bytes};
    wal->buffers[0] = memory;
    wal->buffers[1] = wal->buffers[0] + buffer_bytes;
}

static enum err fill(struct disk *disk, kernel_file file, const char *name, uint64_t bytes)
{
    static const uint8_t zeros[FILL_BYTES];
    ASSERT(bytes > 0);
    ASSERT(name[0] != '\0');
    for (uint64_t at = 0; at < bytes; at += FILL_BYTES) {
        TRY(disk_write(disk, file, name, at, zeros,
                       bytes - at < FILL_BYTES ? bytes - at : FILL_BYTES));
        if (at % FILL_SYNC_BYTES == 0) { /* not all at once: others sync the log meanwhile */
            TRY(disk_sync(disk, file, name));
        }
    }
    return ERR_OK;
}

enum err wal_create_segment(struct disk *disk, uint64_t number, uint64_t segment_bytes,
                            bool is_filled, kernel_file *ret_file)
{
    ASSERT(number > 0);
    ASSERT(segment_bytes % WAL_ALIGN == 0 || segment_bytes > WAL_ALIGN);
    char name[KERNEL_NAME_BYTES];
    disk_name(WAL_PREFIX, number, name);
    uint64_t filled = segment_bytes < FILLED_BYTES_MAX ? segment_bytes : FILLED_BYTES_MAX;
    kernel_file file = 0;
    if (disk->io.open(disk->io.ctx, name, true, &file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    if (disk->io.reserve(disk->io.ctx, file, segment_bytes) != ERR_OK ||
        (is_filled && fill(disk, file, name, filled) != ERR_OK) ||
        disk->io.sync(disk->io.ctx, file) != ERR_OK ||
        disk->io.sync_folder(disk->io.ctx) != ERR_OK) {
        disk->io.close(disk->io.ctx, file);
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    *ret_file = file;
    return ERR_OK;
}

enum err wal_reuse_segment(struct disk *disk, uint64_t spare, uint64_t number,
                           kernel_file *ret_file)
{
    ASSERT(spare > 0);
    ASSERT(number > spare);
    char from[KERNEL_NAME_BYTES], to[KERNEL_NAME_BYTES];
    disk_name(WAL_PREFIX, spare, from);
    disk_name(WAL_PREFIX, number, to);
    const struct kernel_io *io = &disk->io;
    if (io->rename(io->ctx, from, to) != ERR_OK || io->sync_folder(io->ctx) != ERR_OK ||
        io->open(io->ctx, to, false, ret_file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, to, 0);
    }
    return ERR_OK;
}

enum err wal_start_segment(struct wal *wal, uint64_t number)
{
    ASSERT(!wal->is_unsynced);
    ASSERT(number > wal->segment && !wal->is_creating);
    kernel_file file = wal->next_file;
    if (wal->has_next) {
        ASSERT(number == wal->segment + 1);
        wal->has_next = false;
    } else {
        TRY(wal_create_segment(wal->disk, number, wal->segment_bytes, false, &file));
    }
    wal_close(wal);
    wal->file = file;
    wal->is_open = true;
    wal->segment = number;
    wal->at = 0;
    return ERR_OK;
}

void wal_adopt_next(struct wal *wal, kernel_file file)
{
    ASSERT(wal->is_open);
    ASSERT(!wal->has_next && !wal->is_creating);
    wal->next_file = file;
    wal->has_next = true;
}

void wal_close(struct wal *wal)
{
    ASSERT(wal != NULL);
    ASSERT(!wal->is_job);
    if (wal->is_open) {
        wal->disk->io.close(wal->disk->io.ctx, wal->file);
        wal->is_open = false;
    }
    if (wal->has_next) {
        wal->disk->io.close(wal->disk->io.ctx, wal->next_file);
        wal->has_next = false;
    }
}

bool wal_has_room(const struct wal *wal, uint64_t writes_bytes)
{
    ASSERT(writes_bytes < UINT64_MAX / 2);
    ASSERT(wal->used <= wal->buffer_bytes);
    uint64_t used = wal->used == 0 ? WAL_HEADER_BYTES : wal->used;
    return used + WAL_RECORD_BYTES + writes_bytes <= wal->buffer_bytes;
}

void wal_begin_record(struct wal *wal, uint64_t commit, uint64_t writes_bytes, uint32_t write_count)
{
    ASSERT(wal_has_room(wal, writes_bytes));
    if (wal->used == 0) {
        wal->used = WAL_HEADER_BYTES;
        wal->commit_first = commit;
        wal->record_count = 0;
    } else {
        ASSERT(commit == wal->commit_last + 1);
    }
    wal->commit_last = commit;
    wal->record_count++;
    uint8_t *at = wal->buffers[wal->filling] + wal->used;
    store_u64(at, commit);
    store_u32(at + 8, (uint32_t)writes_bytes);
    store_u32(at + 12, write_count);
    wal->used += WAL_RECORD_BYTES;
}

void wal_add_write(struct wal *wal, const struct entry *entry)
{
    ASSERT(wal->used >= WAL_HEADER_BYTES + WAL_RECORD_BYTES);
    uint64_t len = wal_write_bytes(entry->key.len, entry->value.len);
    ASSERT(wal->used + len <= wal->buffer_bytes);
    uint8_t *at = wal->buffers[wal->filling] + wal->used;
    at[0] = (uint8_t)entry->kind;
    at[1] = 0;
    store_u16(at + 2, (uint16_t)entry->key.len);
    store_u32(at + 4, (uint32_t)entry->value.len);
    copy_bytes(at + WAL_WRITE_BYTES, entry->key.ptr, entry->key.len);
    copy_bytes(at + WAL_WRITE_BYTES + entry->key.len, entry->value.ptr, entry->value.len);
    wal->used += len;
}

static uint32_t place_seed(const struct crc32c *crc, uint64_t segment, uint64_t offset)
{
    ASSERT(segment > 0);
    ASSERT(offset % WAL_ALIGN == 0);
    uint64_t place[2] = {segment, offset};
    return crc32c_run(crc, 0, place, sizeof(place));
}

bool wal_take_group(struct wal *wal, uint64_t durable, const void **ret_bytes, uint64_t *ret_offset,
                    uint64_t *ret_len)
{
    ASSERT(!wal->is_job);
    if (wal->used == 0) {
        return false;
    }
    ASSERT(wal->is_open);
    uint8_t *group = wal->buffers[wal->filling];
    uint64_t padded = align_up(wal->used, WAL_ALIGN);
    memset(group + wal->used, 0, padded - wal->used);
    store_u32(group + 4, MAGIC);
    store_u32(group + 8, (uint32_t)wal->used);
    store_u32(group + 12, wal->record_count);
    store_u64(group + 16, wal->commit_first);
    store_u64(group + 24, wal->commit_last);
    store_u64(group + 32, durable);
    uint32_t seed = place_seed(&wal->disk->crc, wal->segment, wal->at);
    store_u32(group, disk_crc(wal->disk, seed, group + 4, wal->used - 4));
    *ret_bytes = group;
    *ret_offset = wal->at;
    *ret_len = padded;
    wal->at += padded;
    wal->written_bytes += padded;
    wal->filling ^= 1;
    wal->used = 0;
    wal->is_job = true;
    wal->is_unsynced = true;
    return true;
}

/* ---- Reading */

/* The writes of one record lie within it. */
static bool writes_are_sound(const uint8_t *at, uint64_t len, uint32_t write_count)
{
    ASSERT(at != NULL);
    ASSERT(len <= UINT32_MAX);
    for (uint32_t i = 0; i < write_count; i++) {
        if (len < WAL_WRITE_BYTES) {
            return false;
        }
        uint64_t key_len = load_u16(at + 2), value_len = load_u32(at + 4);
        uint64_t size = wal_write_bytes(key_len, value_len);
        if (size > len || at[0] > ENTRY_DELETE || key_len > KERNEL_KEY_BYTES_MAX ||
            value_len > KERNEL_VALUE_BYTES_MAX) {
            return false;
        }
        at += size;
        len -= size;
    }
    return len == 0;
}

static bool records_are_sound(const uint8_t *bytes, const struct wal_group *group)
{
    ASSERT(bytes != NULL);
    ASSERT(group->len >= WAL_HEADER_BYTES);
    uint64_t at = WAL_HEADER_BYTES;
    for (uint32_t i = 0; i < group->record_count; i++) {
        if (group->len - at < WAL_RECORD_BYTES) {
            return false;
        }
        uint64_t len = load_u32(bytes + at + 8);
        if (load_u64(bytes + at) != group->commit_first + i ||
            len > group->len - at - WAL_RECORD_BYTES ||
            !writes_are_sound(bytes + at + WAL_RECORD_BYTES, len, load_u32(bytes + at + 12))) {
            return false;
        }
        at += WAL_RECORD_BYTES + len;
    }
    return at == group->len;
}

bool wal_may_begin(const uint8_t *bytes)
{
    ASSERT(bytes != NULL);
    uint32_t len = load_u32(bytes + 8);
    ASSERT(WAL_ALIGN > WAL_HEADER_BYTES);
    return load_u32(bytes + 4) == MAGIC && len >= WAL_HEADER_BYTES;
}

bool wal_parse_group(const struct crc32c *crc, uint64_t segment, uint64_t offset,
                     const uint8_t *bytes, uint64_t len, struct wal_group *ret_group)
{
    ASSERT(bytes != NULL || len == 0);
    ASSERT(ret_group != NULL);
    if (len < WAL_HEADER_BYTES || load_u32(bytes + 4) != MAGIC) {
        return false;
    }
    struct wal_group group = {.len = load_u32(bytes + 8),
                              .record_count = load_u32(bytes + 12),
                              .commit_first = load_u64(bytes + 16),
                              .commit_last = load_u64(bytes + 24),
                              .durable = load_u64(bytes + 32)};
    if (group.len < WAL_HEADER_BYTES || group.len > len || group.record_count == 0 ||
        group.commit_last < group.commit_first ||
        group.commit_last - group.commit_first != group.record_count - 1 ||
        load_u32(bytes) !=
            crc32c_run(crc, place_seed(crc, segment, offset), bytes + 4, group.len - 4) ||
        !records_are_sound(bytes, &group)) {
        return false;
    }
    *ret_group = group;
    return true;
}

uint64_t wal_record_at(const uint8_t *group, uint64_t at, struct wal_record *ret_record)
{
    ASSERT(at >= WAL_HEADER_BYTES);
    ASSERT(at < load_u32(group + 8));
    ret_record->commit = load_u64(group + at);
    ret_record->writes_bytes = load_u32(group + at + 8);
    ret_record->write_count = load_u32(group + at + 12);
    ret_record->writes = group + at + WAL_RECORD_BYTES;
    return at + WAL_RECORD_BYTES + ret_record->writes_bytes;
}

uint64_t wal_write_at(const struct wal_record *record, uint64_t at, struct entry *ret_entry)
{
    ASSERT(at < record->writes_bytes);
    const uint8_t *write = record->writes + at;
    ASSERT(write[0] <= ENTRY_DELETE);
    ret_entry->commit = record->commit;
    ret_entry->kind = (enum entry_kind)write[0];
    ret_entry->key = (struct slice){(const char *)write + WAL_WRITE_BYTES, load_u16(write + 2)};
    ret_entry->value = (struct slice){ret_entry->key.ptr + ret_entry->key.len, load_u32(write + 4)};
    return at + wal_write_bytes(ret_entry->key.len, ret_entry->value.len);
}

enum err wal_read_group(const struct wal *wal, kernel_file file, uint64_t segment, uint64_t offset,
                        uint64_t file_bytes, uint32_t reads, uint8_t *buffer,
                        struct wal_group *ret_group, bool *ret_is_sound)
{
    ASSERT(offset % WAL_ALIGN == 0 && reads > 0);
    ASSERT(offset + WAL_ALIGN <= file_bytes);
    char name[KERNEL_NAME_BYTES];
    disk_name(WAL_PREFIX, segment, name);
    *ret_is_sound = false;
    for (uint32_t i = 0; i < reads && !*ret_is_sound; i++) {
        TRY(disk_read(wal->disk, file, name, offset, buffer, WAL_ALIGN));
        uint64_t len = load_u32(buffer + 8);
        if (!wal_may_begin(buffer) || len > wal->buffer_bytes || len > file_bytes - offset) {
            continue;
        }
        if (len > WAL_ALIGN) {
            TRY(disk_read(wal->disk, file, name, offset + WAL_ALIGN, buffer + WAL_ALIGN,
                          len - WAL_ALIGN));
        }
        *ret_is_sound = wal_parse_group(&wal->disk->crc, segment, offset, buffer, len, ret_group);
    }
    return ERR_OK;
}
