/* Objects: bytes at a location, read by range. One interface, several providers.
 *
 * A location is `path` or `file:///path` (provider local), later `s3://...`. Nothing here holds
 * credentials; remote providers get them with each call. A provider is found by the scheme.
 * Thread rule: a `struct storage_object` may be read by many threads at once. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct identity;

/* What listing says about one object. All slices live in the caller's arena. */
struct storage_entry {
    struct slice location;
    uint64_t size_bytes;
    struct slice etag; /* changes whenever the content may have changed */
};

/* An open object. Its content may not change while open: if the provider notices that it did
 * (size or etag), reads fail with ERR_CORRUPT rather than mix two versions. */
struct storage_object;

/* Objects that match `pattern` as `who`: a plain location, or a glob with `*`, `?`, `[...]` and
 * `**` (any number of folders), sorted by location in byte order. Hidden files (leading "." or
 * "_") are matched only by a pattern that names them so. ERR_NOT_FOUND if nothing matches,
 * ERR_LIMIT past `entries_max`. */
MUST_USE enum err storage_list(const struct identity *who, struct slice pattern, size_t entries_max,
                               struct arena *arena, struct storage_entry **ret_entries,
                               size_t *ret_count, struct errinfo *info);

/* `pattern` made independent of the working folder and of who runs the process later: absolute,
 * "~" and file:// resolved. What a registration keeps. Touches no object. ERR_UNSUPPORTED names a
 * scheme that this build has not. */
MUST_USE enum err storage_qualify(const struct identity *who, struct slice pattern,
                                  struct arena *arena, struct slice *ret_pattern,
                                  struct errinfo *info);

/* What listing would say of the one object at `location`, which is taken as it is, not as a
 * pattern. */
MUST_USE enum err storage_stat(const struct identity *who, struct slice location,
                               struct arena *arena, struct storage_entry *ret_entry,
                               struct errinfo *info);

/* Opens for range reads as `who`: a location as storage_list gives it, never a pattern. The object
 * must still have `entry->etag` (ERR_CORRUPT). An empty etag opens the first `entry->size_bytes`
 * bytes of an object that may only grow, such as a trail: growth is no change then. */
MUST_USE enum err storage_open(const struct identity *who, const struct storage_entry *entry,
                               struct storage_object **ret_object, struct errinfo *info);

/* Opens the object at `location`, which comes from somebody who is not trusted, if it really is in
 * one of `folders`, which are; none of them: wherever it is. Links and ".." may be in the path;
 * they must not lead outside, and what is changed while this looks does not matter. ERR_DENIED with
 * `ret_is_outside` set (never cleared) when it is outside. */
MUST_USE enum err storage_open_within(const struct identity *who, struct slice location,
                                      const struct slice *folders, size_t folder_count,
                                      struct storage_object **ret_object, bool *ret_is_outside,
                                      struct errinfo *info);

/* An object over bytes in memory, which must outlive it: what system tables are made of. */
MUST_USE enum err storage_open_bytes(struct slice bytes, struct storage_object **ret_object,
                                     struct errinfo *info);

/* Reads exactly `len` bytes at `offset`; ERR_INVALID when the range leaves the object. */
MUST_USE enum err storage_read(struct storage_object *object, uint64_t offset, void *ret_bytes,
                               size_t len, struct errinfo *info);

/* Fetches what is not in the process's cache of remote objects yet, as far as the range is in the
 * object; whoever reads it meanwhile waits for it. Nothing where there is no cache, and nobody is
 * told of errors: reading meets them again. */
void storage_prefetch(struct storage_object *object, uint64_t offset, uint64_t len);
/* Whether that would fetch anything. Never waits for a store. */
bool storage_prefetch_is_useful(struct storage_object *object, uint64_t offset, uint64_t len);

uint64_t storage_size(const struct storage_object *object);
int64_t storage_modified_us(const struct storage_object *object);

void storage_close(struct storage_object *object);

DEFINE_CLEANUP(struct storage_object, storage_cleanup, storage_close)
