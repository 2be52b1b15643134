/* Tables that folders alone make: a Hadoop-catalog warehouse, and single metadata files.
 *
 * The current version is found as Iceberg's HadoopTableOperations does: the hint may lag behind, so
 * versions after it are tried in turn. A folder without vN files may hold those of other catalogs,
 * NNNNN-<uuid>.metadata.json: the highest number counts, and two files of that number are refused,
 * since only the catalog that wrote them knows which commit won. */
#include "catalog/catalog_iceberg_int.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/mem.h"
#include "storage/storage.h"

#define HINT_BYTES_MAX 4096
#define VERSION_MAX INT32_MAX

static const struct slice suffixes[] = {
    {".metadata.json", 14}, {".gz.metadata.json", 17}, {".metadata.json.gz", 17}};

static struct slice parent_of(struct slice path)
{
    for (size_t i = path.len; i > 0; i--) {
        if (path.ptr[i - 1] == '/') {
            return (struct slice){path.ptr, i - 1};
        }
    }
    return (struct slice){path.ptr, 0};
}

static struct slice last_of(struct slice path)
{
    if (path.len == 0) {
        return path; /* whose pointer may be NULL */
    }
    size_t folder = parent_of(path).len;
    size_t skip = folder < path.len && path.ptr[folder] == '/' ? folder + 1 : folder;
    return skip == 0 ? path : (struct slice){path.ptr + skip, path.len - skip};
}

/* `text` with its wildcards quoted, then `tail`, which may have some. */
static enum err make_pattern(struct slice text, const char *tail, struct arena *arena,
                             struct slice *ret_pattern, struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '*' || c == '?' || c == '[') {
            buf_printf(&out, "[%c]", c);
        } else {
            buf_append_char(&out, c);
        }
    }
    buf_append_str(&out, tail);
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_pattern)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* Files that match, none when there are none. */
static enum err list_files(const struct identity *who, struct slice pattern, struct arena *arena,
                           struct storage_entry **ret_entries, size_t *ret_count,
                           struct errinfo *info)
{
    *ret_count = 0;
    enum err err =
        storage_list(who, pattern, ICEBERG_NAMES_MAX, arena, ret_entries, ret_count, info);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* "v12.metadata.json", "00012-<uuid>.gz.metadata.json": the number, or -1. */
static int64_t version_of(struct slice name, bool *ret_has_prefix)
{
    struct slice rest = name;
    bool is_metadata = false;
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        is_metadata = is_metadata || slice_ends_with(name, suffixes[i]);
    }
    *ret_has_prefix = rest.len > 0 && rest.ptr[0] == 'v';
    if (*ret_has_prefix) {
        rest = (struct slice){rest.ptr + 1, rest.len - 1};
    }
    size_t digits = 0;
    while (digits < rest.len && isdigit((unsigned char)rest.ptr[digits])) {
        digits++;
    }
    int64_t version;
    bool is_ended = digits < rest.len && rest.ptr[digits] == (*ret_has_prefix ? '.' : '-');
    if (!is_metadata || !is_ended || !slice_to_i64((struct slice){rest.ptr, digits}, &version) ||
        version > VERSION_MAX) {
        return -1;
    }
    return version;
}

static enum err find_version(const struct identity *who, struct slice folder, int64_t version,
                             struct arena *arena, bool *ret_found, struct slice *ret_location,
                             struct errinfo *info)
{
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        struct storage_entry entry;
        char *path = arena_printf(arena, "%.*s/metadata/v%lld%.*s", (int)folder.len, folder.ptr,
                                  (long long)version, (int)suffixes[i].len, suffixes[i].ptr);
        if (path == NULL) {
            return errinfo_nomem(info);
        }
        enum err err = storage_stat(who, slice_of(path), arena, &entry, info);
        if (err == ERR_OK) {
            *ret_found = true;
            *ret_location = slice_of(path);
            return ERR_OK;
        }
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    *ret_found = false;
    return ERR_OK;
}

/* The hint's number; -1 without a hint or when it is no number. */
static enum err read_hint(const struct identity *who, struct slice folder, struct arena *arena,
                          int64_t *ret_version, struct errinfo *info)
{
    struct iceberg_io io = catalog_iceberg_io(who);
    struct buf text CLEANUP(buf_fini) = {0};
    char *path =
        arena_printf(arena, "%.*s/metadata/version-hint.text", (int)folder.len, folder.ptr);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = io.read_all(io.context, slice_of(path), 0, HINT_BYTES_MAX, &text, info);
    if (err != ERR_OK && err != ERR_NOT_FOUND) {
        return err;
    }
    int64_t version;
    bool is_number = err == ERR_OK && slice_to_i64(slice_trim(buf_slice(&text)), &version) &&
                     version >= 0 && version < VERSION_MAX;
    *ret_version = is_number ? version : -1;
    return ERR_OK;
}

/* The highest version among the files: vN before NNNNN-uuid. */
static enum err find_highest(const struct identity *who, struct slice folder, struct arena *arena,
                             struct slice *ret_location, struct errinfo *info)
{
    struct slice pattern;
    struct storage_entry *entries = NULL;
    size_t count = 0;
    int64_t best = -1;
    bool best_has_prefix = false;
    size_t ties = 0;
    TRY(make_pattern(folder, "/metadata/*.metadata.json*", arena, &pattern, info));
    TRY(list_files(who, pattern, arena, &entries, &count, info));
    for (size_t i = 0; i < count; i++) {
        bool has_prefix = false;
        int64_t version = version_of(last_of(entries[i].location), &has_prefix);
        bool is_better = version >= 0 && (best < 0 || (has_prefix && !best_has_prefix) ||
                                          (has_prefix == best_has_prefix && version > best));
        if (is_better) {
            best = version;
            best_has_prefix = has_prefix;
            *ret_location = entries[i].location;
            ties = 1;
        } else if (version >= 0 && version == best && has_prefix == best_has_prefix) {
            ties++;
        }
    }
    struct slice name = last_of(folder);
    if (best < 0) {
        return errinfo_set(info, ERR_NOT_FOUND, "42P01",
                           "\"%.*s\" is not an Iceberg table: it has no metadata file",
                           SLICE_ARGS(name));
    }
    if (ties > 1) {
        (void)errinfo_set(info, ERR_INVALID, NULL,
                          "table \"%.*s\" has %zu metadata files of version %lld", SLICE_ARGS(name),
                          ties, (long long)best);
        errinfo_hint(info,
                     "Name the metadata file instead of the folder; the catalog that wrote them "
                     "knows which one counts.");
        return ERR_INVALID;
    }
    return ERR_OK;
}

enum err iceberg_hadoop__current(const struct identity *who, struct slice folder,
                                 struct arena *arena, struct slice *ret_location,
                                 struct errinfo *info)
{
    int64_t version = -1;
    bool found = false;
    struct slice location = {0};
    TRY(read_hint(who, folder, arena, &version, info));
    if (version >= 0) {
        TRY(find_version(who, folder, version, arena, &found, &location, info));
    }
    if (!found) {
        return find_highest(who, folder, arena, ret_location, info);
    }
    while (found) {
        *ret_location = location;
        version++;
        TRY(find_version(who, folder, version, arena, &found, &location, info));
    }
    return ERR_OK;
}

enum err iceberg_hadoop__folder(const struct catalog_iceberg *catalog, struct slice ns,
                                struct slice name, struct arena *arena, struct slice *ret_folder,
                                struct errinfo *info)
{
    TRY(iceberg_catalog__check_name(name, false, info));
    if (ns.len > 0) {
        TRY(iceberg_catalog__check_name(ns, true, info));
    }
    char *path =
        arena_printf(arena, "%.*s/%.*s%s%.*s", (int)catalog->location.len, catalog->location.ptr,
                     (int)ns.len, ns.ptr, ns.len > 0 ? "/" : "", (int)name.len, name.ptr);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < ns.len; i++) {
        char *c = &path[catalog->location.len + 1 + i];
        *c = *c == '.' ? '/' : *c;
    }
    *ret_folder = slice_of(path);
    return ERR_OK;
}

/* <warehouse>/a/b/table/metadata/file: namespace "a.b". Folders whose names have dots would read
 * as other namespaces and are passed over. */
static enum err add_table(const struct catalog_iceberg *catalog, struct slice file,
                          struct iceberg_name_list *list, struct errinfo *info)
{
    struct slice folder = parent_of(parent_of(file));
    size_t skip = catalog->location.len + 1;
    if (folder.len <= skip) {
        return ERR_OK;
    }
    struct slice inner = {folder.ptr + skip, folder.len - skip};
    struct slice ns = parent_of(inner);
    struct slice name = last_of(inner);
    const struct catalog_iceberg_name *last =
        list->count == 0 ? NULL : &list->names[list->count - 1];
    char *text = arena_slicedup(list->arena, ns);
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < ns.len; i++) {
        if (text[i] == '.') {
            return ERR_OK;
        }
        text[i] = text[i] == '/' ? '.' : text[i];
    }
    struct catalog_iceberg_name row = {.ns = {text, ns.len}, .name = name};
    if (last != NULL && slice_equal(last->ns, row.ns) && slice_equal(last->name, name)) {
        return ERR_OK; /* another file of the same table: entries are sorted */
    }
    return iceberg_catalog__add(list, &row, info);
}

enum err iceberg_hadoop__names(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct iceberg_name_list *list,
                               struct errinfo *info)
{
    struct slice pattern;
    struct slice folder = catalog->location;
    struct storage_entry *entries = NULL;
    size_t count = 0;
    const char *tail = "/**/metadata/*.metadata.json*";
    if (ns.len > 0) {
        /* "x" stands for a table: its parent is the namespace's folder. */
        struct slice table;
        TRY(iceberg_catalog__check_name(ns, true, info));
        TRY(iceberg_hadoop__folder(catalog, ns, SLICE("x"), list->arena, &table, info));
        folder = parent_of(table);
        tail = "/*/metadata/*.metadata.json*";
    }
    TRY(make_pattern(folder, tail, list->arena, &pattern, info));
    TRY(list_files(who, pattern, list->arena, &entries, &count, info));
    for (size_t i = 0; i < count; i++) {
        bool has_prefix = false;
        if (version_of(last_of(entries[i].location), &has_prefix) >= 0) {
            TRY(add_table(catalog, entries[i].location, list, info));
        }
    }
    return ERR_OK;
}

/* ---- one table ---- */

static bool is_metadata_file(struct slice path)
{
    return slice_ends_with(path, SLICE(".json")) || slice_ends_with(path, SLICE(".json.gz"));
}

enum err iceberg_static__name(const struct catalog_iceberg *catalog, const struct identity *who,
                              struct arena *arena, struct catalog_iceberg_name *ret_name,
                              struct errinfo *info)
{
    struct catalog_iceberg_name row = {.ns = SLICE("main"), .metadata_location = catalog->location};
    struct slice folder = catalog->location;
    if (is_metadata_file(catalog->location)) {
        struct storage_entry entry;
        TRY(storage_stat(who, catalog->location, arena, &entry, info));
        struct slice above = parent_of(catalog->location);
        folder =
            slice_equal(last_of(above), SLICE("metadata")) ? parent_of(above) : (struct slice){0};
    } else {
        TRY(iceberg_hadoop__current(who, folder, arena, &row.metadata_location, info));
    }
    row.name = last_of(folder);
    if (row.name.len == 0) {
        row.name = catalog->name;
    }
    *ret_name = row;
    return ERR_OK;
}
