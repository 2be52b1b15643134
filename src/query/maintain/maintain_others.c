/* What else may refer to a table's files: others of its catalog. */
#include "query/maintain/maintain_int.h"

struct slice maintain_without_slash(struct slice path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

bool maintain_is_inside(struct slice path, struct slice folder)
{
    folder = maintain_without_slash(folder);
    bool is_inside = path.len > folder.len && memcmp(path.ptr, folder.ptr, folder.len) == 0 &&
                     path.ptr[folder.len] == '/';
    for (size_t i = 0; is_inside && i + 1 < path.len; i++) { /* no way out */
        bool is_start = i == 0 || path.ptr[i - 1] == '/';
        bool is_up = is_start && path.ptr[i] == '.' && path.ptr[i + 1] == '.' &&
                     (i + 2 == path.len || path.ptr[i + 2] == '/');
        is_inside = !is_up;
    }
    return is_inside;
}

static enum err not_sure(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "55000",
                      "it is not sure which files nothing refers to: another table or view of the "
                      "catalog cannot be read");
    errinfo_hint(info, "Administrators find out which one with moat iceberg validate.");
    return ERR_INVALID;
}

/* Another table whose folder is in this one's, around it or the same. */
static enum err add_other(struct ddl *ddl, struct slice own,
                          const struct catalog_iceberg_name *name, struct iceberg_names *names,
                          struct errinfo *info)
{
    struct slice folder;
    struct catalog_iceberg_table table;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(ddl->query->arena, "other", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = catalog_iceberg_load(&ddl->catalog, ddl->query->session->who, name->ns,
                                        name->name, arena, &table, info);
    if (err != ERR_OK) {
        return err == ERR_NOMEM ? err : not_sure(info);
    }
    TRY(iceberg_names_add(names, table.name.metadata_location, info));
    if (table.name.is_view ||
        catalog_iceberg_path(table.metadata.location, &folder, info) != ERR_OK) {
        return ERR_OK; /* elsewhere */
    }
    folder = maintain_without_slash(folder);
    bool is_near = slice_equal(folder, own) || maintain_is_inside(folder, own) ||
                   maintain_is_inside(own, folder);
    if (!is_near) {
        return ERR_OK;
    }
    err = iceberg_names_add_table(names, &ddl->io, &table.metadata, info);
    return err == ERR_OK || err == ERR_NOMEM ? err : not_sure(info);
}

enum err maintain_add_others(struct ddl *ddl, struct slice folder, struct iceberg_names *names,
                             struct errinfo *info)
{
    struct catalog_iceberg_name *found = NULL;
    size_t count = 0;
    TRY(catalog_iceberg_names(&ddl->catalog, ddl->query->session->who, (struct slice){"", 0},
                              ddl->query->arena, &found, &count, info));
    for (size_t i = 0; i < count; i++) {
        bool is_this = slice_equal(found[i].ns, ddl->ns) && slice_equal(found[i].name, ddl->name);
        TRY(is_this ? ERR_OK : add_other(ddl, folder, &found[i], names, info));
        TRY(query_check_cancelled(ddl->query, info));
    }
    return ERR_OK;
}
