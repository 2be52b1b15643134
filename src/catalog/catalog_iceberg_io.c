/* How the Iceberg library reads: through storage, as a person. */
#include "catalog/iceberg.h"

#include "base/buf.h"
#include "storage/remote.h"
#include "storage/storage.h"

enum err catalog_iceberg_path(struct slice location, struct slice *ret_path, struct errinfo *info)
{
    static const struct slice prefixes[] = {{"file://localhost", 16}, {"file://", 7}, {"file:", 5}};
    struct slice path = location;
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        if (slice_starts_with_fold(location, prefixes[i])) {
            path = (struct slice){location.ptr + prefixes[i].len, location.len - prefixes[i].len};
            break;
        }
    }
    if (path.len == 0 || path.ptr[0] != '/') {
        size_t scheme = slice_find(location, SLICE(":"));
        struct slice name = {location.ptr, scheme == SIZE_MAX ? 0 : scheme};
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          name.len == 0 ? "a relative location cannot be read%.*s"
                                        : "locations of scheme \"%.*s\" cannot be read yet",
                          SLICE_ARGS(name));
        return ERR_UNSUPPORTED;
    }
    *ret_path = path;
    return ERR_OK;
}

enum err catalog_iceberg_check_local(const struct catalog_iceberg *catalog, struct errinfo *info)
{
    if (catalog == NULL || !catalog_iceberg_is_remote(catalog) || catalog->folder_count > 0) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL, "catalog \"%.*s\" names a file of this machine",
                      SLICE_ARGS(catalog->name));
    errinfo_hint(info, "Whoever runs this server may allow folders for it: catalog.local_folders.");
    return ERR_DENIED;
}

/* Who reads, and where: no catalog = anywhere. */
struct reader {
    const struct identity *who;
    const struct catalog_iceberg *catalog;
    const struct catalog_iceberg_name *table;
    struct storage_grant *grant; /* of objects in a remote store; NULL = none */
};

static enum err open_location(const struct reader *reader, struct slice location,
                              struct storage_object **ret_object, struct errinfo *info)
{
    const struct catalog_iceberg *catalog = reader->catalog;
    bool is_outside = false;
    struct slice path;
    if (reader->grant !=
        NULL) { /* nothing of this machine: the location is another system's word */
        struct slice any_version = {NULL, 0};
        return storage_grant_open(reader->grant, reader->who, location, any_version, ret_object,
                                  info);
    }
    if (catalog != NULL && reader->table != NULL && storage_is_remote(location)) {
        return catalog_iceberg_open_remote(catalog, reader->who, reader->table, location,
                                           ret_object, info);
    }
    TRY(catalog_iceberg_path(location, &path, info));
    TRY(catalog_iceberg_check_local(catalog, info));
    enum err err = storage_open_within(reader->who, path, catalog == NULL ? NULL : catalog->folders,
                                       catalog == NULL ? 0 : catalog->folder_count, ret_object,
                                       &is_outside, info);
    if (is_outside) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "catalog \"%.*s\" names a file outside of its own folder",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info,
                     "If the table is to reach there, ATTACH OR REPLACE ... (ALLOW 'folder').");
    }
    return err;
}

static enum err read_whole(const struct reader *reader, struct slice location, uint64_t bytes_max,
                           struct buf *ret_bytes, struct errinfo *info)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    TRY(open_location(reader, location, &object, info));
    uint64_t size = storage_size(object);
    if (bytes_max != 0 && size > bytes_max) {
        return errinfo_set(info, ERR_LIMIT, NULL, "an object has more than %llu bytes",
                           (unsigned long long)bytes_max);
    }
    char *room = buf_reserve(ret_bytes, (size_t)size);
    if (room == NULL) {
        return errinfo_nomem(info);
    }
    TRY(storage_read(object, 0, room, (size_t)size, info));
    ret_bytes->len += (size_t)size;
    return ERR_OK;
}

static enum err read_part(const struct reader *reader, struct slice location, uint64_t offset,
                          size_t len, void *ret_bytes, struct errinfo *info)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    TRY(open_location(reader, location, &object, info));
    return storage_read(object, offset, ret_bytes, len, info);
}

static enum err read_size(const struct reader *reader, struct slice location,
                          uint64_t *ret_size_bytes, struct errinfo *info)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    TRY(open_location(reader, location, &object, info));
    *ret_size_bytes = storage_size(object);
    return ERR_OK;
}

/* ---- as a person, anywhere ---- */

static enum err read_all_anywhere(void *context, struct slice location, UNUSED uint64_t size_hint,
                                  uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    struct reader reader = {.who = context};
    return read_whole(&reader, location, bytes_max, ret_bytes, info);
}

static enum err read_range_anywhere(void *context, struct slice location, uint64_t offset,
                                    size_t len, void *ret_bytes, struct errinfo *info)
{
    struct reader reader = {.who = context};
    return read_part(&reader, location, offset, len, ret_bytes, info);
}

static enum err size_anywhere(void *context, struct slice location, uint64_t *ret_size_bytes,
                              struct errinfo *info)
{
    struct reader reader = {.who = context};
    return read_size(&reader, location, ret_size_bytes, info);
}

struct iceberg_io catalog_iceberg_io(const struct identity *who)
{
    ASSERT(who != NULL);
    /* The context is only ever given back to the functions above. */
    return (struct iceberg_io){.context = (void *)(uintptr_t)who,
                               .read_all = read_all_anywhere,
                               .read_range = read_range_anywhere,
                               .size = size_anywhere};
}

/* ---- as a person, in the folders of a catalog ---- */

static enum err read_all(void *context, struct slice location, UNUSED uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    return read_whole(context, location, bytes_max, ret_bytes, info);
}

static enum err read_range(void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info)
{
    return read_part(context, location, offset, len, ret_bytes, info);
}

static enum err size(void *context, struct slice location, uint64_t *ret_size_bytes,
                     struct errinfo *info)
{
    return read_size(context, location, ret_size_bytes, info);
}

enum err catalog_iceberg_io_of(const struct catalog_iceberg *catalog, const struct identity *who,
                               const struct catalog_iceberg_name *table, struct arena *arena,
                               struct iceberg_io *ret_io, struct errinfo *info)
{
    ASSERT(who != NULL);
    struct reader *reader = arena_alloc(arena, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    *reader = (struct reader){who, catalog, table, NULL};
    *ret_io = (struct iceberg_io){
        .context = reader, .read_all = read_all, .read_range = read_range, .size = size};
    return ERR_OK;
}

enum err catalog_iceberg_io_lent(struct storage_grant *grant, const struct identity *who,
                                 struct arena *arena, struct iceberg_io *ret_io,
                                 struct errinfo *info)
{
    ASSERT(who != NULL && grant != NULL);
    struct reader *reader = arena_alloc(arena, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    *reader = (struct reader){who, NULL, NULL, grant};
    *ret_io = (struct iceberg_io){
        .context = reader, .read_all = read_all, .read_range = read_range, .size = size};
    return ERR_OK;
}

/* ---- locations as people write them ---- */

static struct slice without_prefix(struct slice text, struct slice prefix)
{
    return slice_starts_with_fold(text, prefix)
               ? (struct slice){text.ptr + prefix.len, text.len - prefix.len}
               : text;
}

/* Wildcards that storage_qualify quoted, "[*]", are the characters themselves here. */
static enum err unquote(struct slice pattern, struct arena *arena, struct slice *ret_path,
                        struct errinfo *info)
{
    char *out = arena_alloc(arena, pattern.len + 1);
    size_t len = 0;
    if (out == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < pattern.len; i++) {
        bool is_quoted = pattern.ptr[i] == '[' && i + 2 < pattern.len && pattern.ptr[i + 2] == ']';
        i += is_quoted ? 1 : 0;
        out[len++] = pattern.ptr[i];
        i += is_quoted ? 1 : 0;
    }
    while (len > 1 && out[len - 1] == '/') {
        len--;
    }
    out[len] = '\0';
    *ret_path = (struct slice){out, len};
    return ERR_OK;
}

enum err catalog_iceberg_locate(const struct identity *who, struct slice written,
                                struct arena *arena, struct slice *ret_location,
                                struct errinfo *info)
{
    struct slice text = without_prefix(slice_trim(written), SLICE("jdbc:"));
    if (slice_starts_with_fold(text, SLICE("sqlite:"))) {
        text = without_prefix(text, SLICE("sqlite:"));
        /* sqlite:///a is relative and sqlite:////a absolute, as SQLAlchemy has it. */
        text = without_prefix(text, SLICE("///"));
        size_t query = slice_find(text, SLICE("?"));
        text.len = query == SIZE_MAX ? text.len : query;
    }
    if (slice_starts_with_fold(text, SLICE("file:/")) &&
        !slice_starts_with_fold(text, SLICE("file://"))) {
        text = without_prefix(text, SLICE("file:"));
    }
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) != NULL) {
        return errinfo_set(info, ERR_INVALID, "22023", "the location of a catalog is empty");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '*' || text.ptr[i] == '?' || text.ptr[i] == '[') {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "the location of a catalog may not have wildcards");
        }
    }
    struct slice pattern;
    TRY(storage_qualify(who, text, arena, &pattern, info));
    return unquote(pattern, arena, ret_location, info);
}
