/* Where the files that metadata names may be.
 *
 * Metadata is written by whoever may write to the lake, and this process may be allowed to read
 * more than they: a manifest that names /etc/passwd must not be a way to read it. So a file counts
 * only where it really is, links resolved, and that must be in the catalog's own folder or in one
 * that ATTACH names. */
#include <limits.h>
#include <stdlib.h>

#include "query/lake_int.h"

static bool is_inside(struct slice path, struct slice folder)
{
    while (folder.len > 1 && folder.ptr[folder.len - 1] == '/') {
        folder.len--;
    }
    return slice_equal(folder, SLICE("/")) ||
           (slice_starts_with(path, folder) &&
            (path.len == folder.len || path.ptr[folder.len] == '/'));
}

static bool resolve_path(struct slice path, char *ret_real)
{
    char text[PATH_MAX];
    if (path.len >= sizeof(text) || memchr(path.ptr, '\0', path.len) != NULL) {
        return false;
    }
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    return realpath(text, ret_real) != NULL;
}

enum err lake_location_check(const struct attached *attached, struct slice location,
                             struct errinfo *info)
{
    char real[PATH_MAX];
    char root[PATH_MAX];
    struct slice path;
    TRY(catalog_iceberg_path(location, &path, info));
    if (!resolve_path(path, real)) {
        return errinfo_set(info, ERR_NOT_FOUND, "58P01",
                           "a file of catalog \"%.*s\" is not there or cannot be reached",
                           SLICE_ARGS(attached->catalog.name));
    }
    for (size_t i = 0; i < attached->root_count; i++) {
        if (resolve_path(attached->roots[i], root) && is_inside(slice_of(real), slice_of(root))) {
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "catalog \"%.*s\" names a file outside of its own folder",
                      SLICE_ARGS(attached->catalog.name));
    errinfo_hint(info, "If the table is to reach there, ATTACH OR REPLACE ... (ALLOW 'folder').");
    return ERR_DENIED;
}
