/* DROP TABLE ... PURGE: the name goes first, then what only this table referred to. */
#include "query/maintain/maintain_int.h"

struct purge {
    struct ddl ddl;
    struct slice folder;
    struct iceberg_names *names; /* of others */
    struct iceberg_garbage garbage;
    size_t removed, kept;
};

static enum err find_garbage(struct purge *p, struct errinfo *info)
{
    const struct iceberg_metadata *metadata = p->ddl.metadata;
    struct arena *arena = p->ddl.query->arena;
    int64_t *all = arena_calloc(arena, metadata->snapshot_count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        all[i] = metadata->snapshots[i].id;
    }
    TRY(catalog_iceberg_path(metadata->location, &p->folder, info));
    p->folder = maintain_without_slash(p->folder);
    TRY(iceberg_names_open(&p->names, info));
    TRY(maintain_add_others(&p->ddl, p->folder, p->names, info));
    return iceberg_garbage_find(&p->ddl.io, metadata, metadata, all, metadata->snapshot_count,
                                arena, &p->garbage, info);
}

static void remove_one(struct purge *p, struct slice location)
{
    const struct iceberg_output *output = &p->ddl.output;
    struct errinfo ignored;
    struct slice path;
    bool is_own = catalog_iceberg_path(location, &path, &ignored) == ERR_OK &&
                  maintain_is_inside(path, p->folder) && !iceberg_names_have(p->names, location);
    bool is_removed = is_own && output->remove(output->context, location, &ignored) == ERR_OK;
    p->removed += is_removed;
    p->kept += !is_removed; /* an orphan: nothing names it */
}

static enum err drop(struct purge *p, struct errinfo *info)
{
    struct ddl *ddl = &p->ddl;
    TRY(find_garbage(p, info));
    TRY(catalog_iceberg_unregister(&ddl->catalog, ddl->query->session->who, ddl->ns, ddl->name,
                                   false, info));
    for (size_t i = 0; i < p->garbage.count; i++) {
        query_note_step(ddl->query, i, p->garbage.count);
        remove_one(p, p->garbage.objects[i].path);
    }
    for (size_t i = 0; i < ddl->metadata->metadata_log_count; i++) {
        remove_one(p, ddl->metadata->metadata_log[i].file);
    }
    remove_one(p, ddl->location);
    (void)snprintf(ddl->query->notice, sizeof(ddl->query->notice),
                   "%zu files were removed, %zu were not", p->removed, p->kept);
    return ERR_OK;
}

enum err maintain_purge(struct query *query, const struct statement *statement,
                        struct errinfo *info)
{
    struct purge p = {0};
    enum err err = ddl_open(query, &statement->name, &p.ddl, info);
    if (err == ERR_OK &&
        slice_equal_fold(iceberg_metadata_property(p.ddl.metadata, "gc.enabled"), SLICE("false"))) {
        err = errinfo_set(info, ERR_INVALID, "55000",
                          "the files of table \"%.*s\" are not removed: its property gc.enabled is "
                          "false",
                          SLICE_ARGS(p.ddl.name));
        errinfo_hint(info, "DROP TABLE without PURGE forgets the name alone.");
    }
    if (err == ERR_OK) {
        err = drop(&p, info);
    }
    iceberg_names_close(p.names);
    ddl_close(&p.ddl);
    return err;
}
