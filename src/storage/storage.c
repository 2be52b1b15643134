#include "storage/storage.h"

#include "base/checked.h"
#include "base/mem.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

enum err storage_qualify(const struct identity *who, struct slice pattern, struct arena *arena,
                         struct slice *ret_pattern, struct errinfo *info)
{
    ASSERT(who != NULL);
    return storage__local_pattern(pattern, arena, ret_pattern, info);
}

enum err storage_list(const struct identity *who, struct slice pattern, size_t entries_max,
                      struct arena *arena, struct storage_entry **ret_entries, size_t *ret_count,
                      struct errinfo *info)
{
    ASSERT(who != NULL);
    struct slice local;
    TRY(storage__local_pattern(pattern, arena, &local, info));
    return storage__local_list(local, entries_max, arena, ret_entries, ret_count, info);
}

static enum err check_location(struct slice location, struct errinfo *info)
{
    if (storage_is_remote(location)) {
        return storage__refuse_scheme(storage__scheme_of(location), info);
    }
    if (location.len == 0 || location.ptr[0] != '/' ||
        memchr(location.ptr, '\0', location.len) != NULL) {
        return errinfo_set(info, ERR_INVALID, NULL,
                           "the object's location is not an absolute path");
    }
    return ERR_OK;
}

enum err storage_stat(const struct identity *who, struct slice location, struct arena *arena,
                      struct storage_entry *ret_entry, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(check_location(location, info));
    return storage__local_stat(location, arena, ret_entry, info);
}

enum err storage_open(const struct identity *who, const struct storage_entry *entry,
                      struct storage_object **ret_object, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(check_location(entry->location, info));
    struct storage_object *object CLEANUP(storage_cleanup) = mem_calloc(1, sizeof(*object));
    if (object == NULL) {
        return errinfo_nomem(info);
    }
    TRY(storage__local_open(entry, object, info));
    *ret_object = TAKE(object);
    return ERR_OK;
}

enum err storage_open_within(const struct identity *who, struct slice location,
                             const struct slice *folders, size_t folder_count,
                             struct storage_object **ret_object, bool *ret_is_outside,
                             struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(check_location(location, info));
    struct storage_object *object CLEANUP(storage_cleanup) = mem_calloc(1, sizeof(*object));
    if (object == NULL) {
        return errinfo_nomem(info);
    }
    TRY(storage__local_open_within(location, folders, folder_count, object, ret_is_outside, info));
    *ret_object = TAKE(object);
    return ERR_OK;
}

enum err storage_open_bytes(struct slice bytes, struct storage_object **ret_object,
                            struct errinfo *info)
{
    struct storage_object *object = mem_calloc(1, sizeof(*object));
    if (object == NULL) {
        return errinfo_nomem(info);
    }
    object->bytes = bytes;
    object->size_bytes = bytes.len;
    *ret_object = object;
    return ERR_OK;
}

enum err storage_read(struct storage_object *object, uint64_t offset, void *ret_bytes, size_t len,
                      struct errinfo *info)
{
    uint64_t end;
    if (!checked_add(offset, (uint64_t)len, &end) || end > object->size_bytes) {
        return errinfo_set(info, ERR_INVALID, NULL,
                           "a read leaves its object: %zu bytes at %llu of %llu", len,
                           (unsigned long long)offset, (unsigned long long)object->size_bytes);
    }
    if (object->local != NULL) {
        return storage__local_read(object, offset, ret_bytes, len, info);
    }
    if (object->s3 != NULL) {
        return storage__s3_read(object, offset, ret_bytes, len, info);
    }
    if (len > 0) {
        memcpy(ret_bytes, object->bytes.ptr + offset, len);
    }
    return ERR_OK;
}

void storage_prefetch(struct storage_object *object, uint64_t offset, uint64_t len)
{
    if (object->s3 != NULL) {
        storage__s3_prefetch(object, offset, len);
    }
}

bool storage_prefetch_is_useful(struct storage_object *object, uint64_t offset, uint64_t len)
{
    return object->s3 != NULL && storage__s3_is_missing(object, offset, len);
}

uint64_t storage_size(const struct storage_object *object)
{
    return object->size_bytes;
}

int64_t storage_modified_us(const struct storage_object *object)
{
    return object->modified_us;
}

void storage_close(struct storage_object *object)
{
    if (object != NULL) {
        storage__local_close(object->local);
        storage__s3_close(object->s3);
        mem_free(object);
    }
}
