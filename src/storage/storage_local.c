/* Files of this machine.
 *
 * Listing walks the tree once, carrying the set of pattern components that may match next, so that
 * no folder is read twice whatever the pattern: "a/ ** /b/ ** /c" costs the tree, not its paths
 * to the power of its stars. "**" never follows a link to a folder, so that loops cannot be
 * entered; a component written out may. */
#include "storage/storage_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sweep.h"

/* ---- identity of a file's content ---- */

static int64_t modified_ns(const struct stat *file)
{
    return (int64_t)file->st_mtim.tv_sec * 1000000000 + file->st_mtim.tv_nsec;
}

#define ETAG_BYTES 96

static size_t print_etag(const struct stat *file, char out[ETAG_BYTES])
{
    int len = snprintf(out, ETAG_BYTES, "%llx-%llx-%llx-%llx", (unsigned long long)file->st_dev,
                       (unsigned long long)file->st_ino, (unsigned long long)file->st_size,
                       (unsigned long long)modified_ns(file));
    ASSERT(len > 0 && len < ETAG_BYTES);
    return (size_t)len;
}

enum err storage__local_report(struct errinfo *info, int error, const char *verb,
                               struct slice location)
{
    struct slice name = storage__base_name(location);
    if (error == ENOMEM) {
        return errinfo_nomem(info);
    }
    enum err code = error == ENOENT || error == ENOTDIR ? ERR_NOT_FOUND
                    : error == EACCES || error == EPERM ? ERR_DENIED
                                                        : ERR_IO;
    char text[128];
    (void)errinfo_set(info, code, code == ERR_NOT_FOUND ? "58P01" : NULL, "cannot %s \"%.*s\": %s",
                      verb, SLICE_ARGS(name), strerror_r(error, text, sizeof(text)));
    if (code == ERR_DENIED) {
        errinfo_hint(info, "The operating system's user who runs this program may not read it.");
    } else if (error == EMFILE) {
        errinfo_hint(info, "Each file of a statement is open while it runs: raise this program's "
                           "limit (ulimit -n), or compact tables of that many small files.");
    }
    return code;
}

enum err storage__local_refuse_kind(struct errinfo *info, mode_t mode, struct slice location)
{
    struct slice name = storage__base_name(location);
    const char *kind = S_ISDIR(mode)    ? "a folder"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    (void)errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is %s, not a file", SLICE_ARGS(name),
                      kind);
    if (S_ISDIR(mode)) {
        errinfo_hint(info,
                     "Name the files in it: \"%.*s/*.parquet\", or \"%.*s/**/*.parquet\" for "
                     "its folders too.",
                     SLICE_ARGS(name), SLICE_ARGS(name));
    }
    return ERR_INVALID;
}

bool storage__step_fails(void)
{
    if (fault_hit_io()) {
        errno = EIO;
        return true;
    }
    return false;
}

/* ---- listing ---- */

struct walk {
    struct arena *arena;
    struct slice *components;
    size_t component_count;
    struct storage_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    size_t entries_max;
    size_t names_seen;
    struct errinfo *info;
};

static bool is_any_depth(struct slice component)
{
    return slice_equal(component, SLICE("**"));
}

static enum err add_component(struct walk *walk, struct slice component)
{
    size_t count = walk->component_count;
    if (component.len == 0 || slice_equal(component, SLICE(".")) ||
        (count > 0 && is_any_depth(component) && is_any_depth(walk->components[count - 1]))) {
        return ERR_OK;
    }
    if (!storage__glob_is_valid(component)) {
        (void)errinfo_set(walk->info, ERR_INVALID, "22023",
                          "the location has a \"[\" without its \"]\": \"%.*s\"",
                          SLICE_ARGS(component));
        errinfo_hint(walk->info, "A bracket itself is written \"[[]\".");
        return ERR_INVALID;
    }
    walk->components[walk->component_count++] = component;
    return ERR_OK;
}

static enum err split_pattern(struct walk *walk, struct slice pattern)
{
    size_t slashes = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        slashes += pattern.ptr[i] == '/' ? 1 : 0;
    }
    walk->components = arena_calloc(walk->arena, slashes + 2, sizeof(*walk->components));
    if (walk->components == NULL) {
        return errinfo_nomem(walk->info);
    }
    size_t start = 0;
    for (size_t i = 0; i <= pattern.len; i++) {
        if (i == pattern.len || pattern.ptr[i] == '/') {
            TRY(add_component(walk, (struct slice){pattern.ptr + start, i - start}));
            start = i + 1;
        }
    }
    if (walk->component_count == 0) {
        return storage__local_refuse_kind(walk->info, S_IFDIR, SLICE("/"));
    }
    if (is_any_depth(walk->components[walk->component_count - 1])) {
        walk->components[walk->component_count++] = SLICE("*");
    }
    return ERR_OK;
}

static enum err add_entry(struct walk *walk, const char *path, const struct stat *file)
{
    if (walk->entry_count == walk->entries_max) {
        (void)errinfo_set(walk->info, ERR_LIMIT, "54000",
                          "the location matches more than %zu files", walk->entries_max);
        errinfo_hint(walk->info, "Name fewer files, or raise files.count_max.");
        return ERR_LIMIT;
    }
    if (walk->entry_count == walk->entry_capacity) {
        size_t capacity = walk->entry_capacity == 0 ? 16 : walk->entry_capacity * 2;
        struct storage_entry *grown = arena_calloc(walk->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(walk->info);
        }
        if (walk->entry_count > 0) {
            memcpy(grown, walk->entries, walk->entry_count * sizeof(*grown));
        }
        walk->entries = grown;
        walk->entry_capacity = capacity;
    }
    char etag[ETAG_BYTES];
    struct storage_entry *entry = &walk->entries[walk->entry_count];
    *entry =
        (struct storage_entry){.location = slice_of(path), .size_bytes = (uint64_t)file->st_size};
    struct slice printed = {etag, print_etag(file, etag)};
    if (!arena_slice(walk->arena, printed, &entry->etag)) {
        return errinfo_nomem(walk->info);
    }
    walk->entry_count++;
    return ERR_OK;
}

/* What one name is to the active components. */
struct visit {
    bool *next;      /* components that may match inside it, if it is a folder */
    bool *next_real; /* the same if it is a folder and no link */
    bool has_next;
    bool has_next_real;
    bool is_match;
    bool is_named; /* matched by a component without wildcards */
};

static void activate(const struct walk *walk, bool *states, size_t index)
{
    ASSERT(index < walk->component_count);
    states[index] = true;
    if (is_any_depth(walk->components[index])) {
        activate(walk, states, index + 1);
    }
}

static void match_components(const struct walk *walk, const bool *states, struct slice name,
                             struct visit *visit)
{
    for (size_t i = 0; i < walk->component_count; i++) {
        if (!states[i]) {
            continue;
        }
        if (is_any_depth(walk->components[i])) {
            if (storage__glob_match(SLICE("*"), name)) {
                activate(walk, visit->next_real, i);
                visit->has_next_real = true;
            }
            continue;
        }
        bool is_plain = storage__glob_is_plain(walk->components[i]);
        if (is_plain ? !slice_equal(walk->components[i], name)
                     : !storage__glob_match(walk->components[i], name)) {
            continue;
        }
        if (i + 1 == walk->component_count) {
            visit->is_match = true;
            visit->is_named = visit->is_named || is_plain;
        } else {
            activate(walk, visit->next, i + 1);
            visit->has_next = true;
        }
    }
}

static enum err walk_folder(struct walk *walk, const char *folder, const bool *states,
                            unsigned depth);

/* One name of a folder. A name that is gone by now was never there. */
static enum err walk_name(struct walk *walk, const char *folder, struct slice name,
                          const bool *states, unsigned depth)
{
    struct visit visit = {
        .next = arena_calloc(walk->arena, walk->component_count, sizeof(bool)),
        .next_real = arena_calloc(walk->arena, walk->component_count, sizeof(bool)),
    };
    char *path = arena_printf(walk->arena, "%s/%.*s", folder, (int)name.len, name.ptr);
    if (visit.next == NULL || visit.next_real == NULL || path == NULL) {
        return errinfo_nomem(walk->info);
    }
    match_components(walk, states, name, &visit);
    if (!visit.is_match && !visit.has_next && !visit.has_next_real) {
        return ERR_OK;
    }
    struct stat file;
    if (storage__step_fails() || lstat(path, &file) != 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? ERR_OK
                   : storage__local_report(walk->info, errno, "look at", name);
    }
    bool is_link = S_ISLNK(file.st_mode);
    if (is_link && stat(path, &file) != 0) {
        if (errno == ENOENT && !visit.is_match) {
            return ERR_OK;
        }
        return storage__local_report(walk->info, errno, "follow the link", name);
    }
    if (S_ISDIR(file.st_mode)) {
        for (size_t i = 0; !is_link && i < walk->component_count; i++) {
            visit.next[i] = visit.next[i] || visit.next_real[i];
        }
        if (visit.has_next || (visit.has_next_real && !is_link)) {
            TRY(walk_folder(walk, path, visit.next, depth + 1));
        }
        return visit.is_match && visit.is_named
                   ? storage__local_refuse_kind(walk->info, file.st_mode, name)
                   : ERR_OK;
    }
    if (!visit.is_match) {
        return ERR_OK;
    }
    return S_ISREG(file.st_mode) ? add_entry(walk, path, &file)
                                 : storage__local_refuse_kind(walk->info, file.st_mode, name);
}

static enum err read_names(struct walk *walk, const char *folder, struct slice **ret_names,
                           size_t *ret_count)
{
    DIR *stream = storage__step_fails() ? NULL : opendir(folder[0] == '\0' ? "/" : folder);
    if (stream == NULL) {
        return storage__local_report(walk->info, errno, "open folder", slice_of(folder));
    }
    struct slice *names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    enum err err = ERR_OK;
    const struct dirent *entry;
    while (err == ERR_OK && (errno = 0, entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (++walk->names_seen > STORAGE_NAMES_MAX) {
            err = errinfo_set(walk->info, ERR_LIMIT, "54000",
                              "the location looks at more than %d names", STORAGE_NAMES_MAX);
            break;
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 32 : capacity * 2;
            struct slice *grown = arena_calloc(walk->arena, capacity, sizeof(*grown));
            if (grown != NULL && count > 0) {
                memcpy(grown, names, count * sizeof(*names));
            }
            names = grown;
        }
        if (names == NULL || !arena_slice(walk->arena, slice_of(entry->d_name), &names[count++])) {
            err = errinfo_nomem(walk->info);
        }
    }
    if (err == ERR_OK && errno != 0) {
        err = storage__local_report(walk->info, errno, "read folder", slice_of(folder));
    }
    (void)closedir(stream);
    if (err == ERR_OK) {
        *ret_names = names;
        *ret_count = count;
    }
    return err;
}

/* True if every active component is a plain name: then the folder need not be read (and need not be
 * readable). */
static bool is_all_plain(const struct walk *walk, const bool *states)
{
    for (size_t i = 0; i < walk->component_count; i++) {
        if (states[i] && !storage__glob_is_plain(walk->components[i])) {
            return false;
        }
    }
    return true;
}

static enum err walk_folder(struct walk *walk, const char *folder, const bool *states,
                            unsigned depth)
{
    if (depth > STORAGE_DEPTH_MAX) {
        return errinfo_set(walk->info, ERR_LIMIT, "54000",
                           "the location looks deeper than %d folders", STORAGE_DEPTH_MAX);
    }
    if (is_all_plain(walk, states)) {
        for (size_t i = 0; i < walk->component_count; i++) {
            bool is_repeated = false;
            for (size_t j = 0; j < i; j++) {
                is_repeated = is_repeated ||
                              (states[j] && slice_equal(walk->components[j], walk->components[i]));
            }
            if (states[i] && !is_repeated) {
                TRY(walk_name(walk, folder, walk->components[i], states, depth));
            }
        }
        return ERR_OK;
    }
    struct slice *names = NULL;
    size_t count = 0;
    TRY(read_names(walk, folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        TRY(walk_name(walk, folder, names[i], states, depth));
    }
    return ERR_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct storage_entry *first = a;
    const struct storage_entry *second = b;
    return slice_compare(first->location, second->location);
}

enum err storage__local_list(struct slice pattern, size_t entries_max, struct arena *arena,
                             struct storage_entry **ret_entries, size_t *ret_count,
                             struct errinfo *info)
{
    struct walk walk = {.arena = arena, .entries_max = entries_max, .info = info};
    TRY(split_pattern(&walk, pattern));
    bool *states = arena_calloc(arena, walk.component_count, sizeof(*states));
    if (states == NULL) {
        return errinfo_nomem(info);
    }
    activate(&walk, states, 0);
    TRY(walk_folder(&walk, "", states, 0));
    if (walk.entry_count == 0) {
        struct slice last = storage__base_name(pattern);
        (void)errinfo_set(info, ERR_NOT_FOUND, "58P01", "no file matches \"%.*s\"",
                          SLICE_ARGS(last));
        errinfo_hint(info, "Names that begin with \".\" or \"_\" match only a pattern that begins "
                           "so; \"**\" stands for any number of folders.");
        return ERR_NOT_FOUND;
    }
    qsort(walk.entries, walk.entry_count, sizeof(*walk.entries), compare_entries);
    *ret_entries = walk.entries;
    *ret_count = walk.entry_count;
    return ERR_OK;
}

enum err storage__local_stat(struct slice location, struct arena *arena,
                             struct storage_entry *ret_entry, struct errinfo *info)
{
    struct storage_entry entry = {0};
    struct stat file;
    if (!arena_slice(arena, location, &entry.location)) {
        return errinfo_nomem(info);
    }
    if (storage__step_fails() || stat(entry.location.ptr, &file) != 0) {
        return storage__local_report(info, errno, "look at", location);
    }
    if (!S_ISREG(file.st_mode)) {
        return storage__local_refuse_kind(info, file.st_mode, location);
    }
    char etag[ETAG_BYTES];
    struct slice printed = {etag, print_etag(&file, etag)};
    if (!arena_slice(arena, printed, &entry.etag)) {
        return errinfo_nomem(info);
    }
    entry.size_bytes = (uint64_t)file.st_size;
    *ret_entry = entry;
    return ERR_OK;
}

/* ---- reading ---- */

static enum err changed(struct errinfo *info, struct slice name)
{
    (void)errinfo_set(info, ERR_CORRUPT, NULL, "\"%.*s\" changed while it was being read",
                      SLICE_ARGS(name));
    errinfo_hint(info, "Run the statement again. Replace files by renaming new ones into place.");
    return ERR_CORRUPT;
}

static enum err check_opened(const struct storage_entry *entry, const struct stat *file,
                             struct slice name, struct errinfo *info)
{
    if (!S_ISREG(file->st_mode)) {
        return storage__local_refuse_kind(info, file->st_mode, name);
    }
    if (entry->etag.len == 0) {
        return (uint64_t)file->st_size < entry->size_bytes ? changed(info, name) : ERR_OK;
    }
    char etag[ETAG_BYTES];
    struct slice printed = {etag, print_etag(file, etag)};
    return slice_equal(printed, entry->etag) ? ERR_OK : changed(info, name);
}

/* The object owns what is open of it from the start: also after an error it is closed with it. */
static enum err open_file(const char *path, struct slice name, struct storage_object *object,
                          struct stat *ret_file, struct errinfo *info)
{
    struct storage_local *local = mem_calloc(1, sizeof(*local) + name.len);
    object->local = local;
    if (local == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(local + 1, name.ptr, name.len);
    local->name = (struct slice){(const char *)(local + 1), name.len};
    do {
        /* Not blocking: a pipe put in the file's place must not hang the query. */
        local->fd =
            storage__step_fails() ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (local->fd < 0 && errno == EINTR);
    if (local->fd < 0 || storage__step_fails() || fstat(local->fd, ret_file) != 0) {
        return storage__local_report(info, errno, "open", name);
    }
    local->modified_ns = modified_ns(ret_file);
    local->file_bytes = (uint64_t)ret_file->st_size;
    object->size_bytes = local->file_bytes;
    object->modified_us = local->modified_ns / 1000;
    return ERR_OK;
}

enum err storage__local_open(const struct storage_entry *entry, struct storage_object *object,
                             struct errinfo *info)
{
    struct slice name = storage__base_name(entry->location);
    struct stat file;
    char *path CLEANUP(mem_free_cleanup) = mem_slicedup(entry->location);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    TRY(open_file(path, name, object, &file, info));
    TRY(check_opened(entry, &file, name, info));
    object->local->is_prefix = entry->etag.len == 0;
    if (object->local->is_prefix) {
        object->size_bytes = entry->size_bytes;
    }
    return ERR_OK;
}

enum err storage__local_open_file(const char *path, struct slice name,
                                  struct storage_object *object, struct errinfo *info)
{
    struct stat file;
    TRY(open_file(path, name, object, &file, info));
    return S_ISREG(file.st_mode) ? ERR_OK : storage__local_refuse_kind(info, file.st_mode, name);
}

enum err storage__local_read(const struct storage_object *object, uint64_t offset, void *ret_bytes,
                             size_t len, struct errinfo *info)
{
    const struct storage_local *local = object->local;
    char *out = ret_bytes;
    size_t done = 0;
    while (done < len) {
        ssize_t got = storage__step_fails()
                          ? -1
                          : pread(local->fd, out + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return storage__local_report(info, errno, "read", local->name);
        }
        if (got == 0) {
            return changed(info, local->name);
        }
        done += (size_t)got;
    }
    /* After the bytes, so that what is handed out is known to be of the opened version. */
    struct stat file;
    if (storage__step_fails() || fstat(local->fd, &file) != 0) {
        return storage__local_report(info, errno, "read", local->name);
    }
    bool is_same = local->is_prefix ? (uint64_t)file.st_size >= object->size_bytes
                                    : (uint64_t)file.st_size == local->file_bytes &&
                                          modified_ns(&file) == local->modified_ns;
    return is_same ? ERR_OK : changed(info, local->name);
}

void storage__local_close(struct storage_local *local)
{
    if (local != NULL) {
        if (local->fd >= 0) {
            (void)close(local->fd);
        }
        mem_free(local);
    }
}
