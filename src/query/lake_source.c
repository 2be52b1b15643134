/* A table of a lake as the lake module reads it. */
#include "base/buf.h"
#include "query/lake_int.h"

static enum err locate(UNUSED void *context, struct slice location, struct slice *ret_path,
                       struct errinfo *info)
{
    return catalog_iceberg_path(location, ret_path, info);
}

enum err lake_table_source(const struct lake_table *table, struct arena *arena,
                           const struct lake_source **ret_source, struct errinfo *info)
{
    struct lake_origin from = {
        .who = table->who,
        .name = table->loaded.name.name,
        .metadata = &table->loaded.metadata,
        .snapshot = table->snapshot,
        .schema = table->schema,
        .io = table->io,
        .locate = locate,
        .folders = table->attached->catalog.folders,
        .folder_count = table->attached->catalog.folder_count,
    };
    /* Manifests are kept for the person and the catalog's own name of the table. */
    char *scope =
        arena_printf(arena, "%.*s/%.*s/%.*s/%.*s", SLICE_ARGS(identity_subject(table->who)),
                     SLICE_ARGS(table->attached->catalog.location),
                     SLICE_ARGS(table->loaded.name.ns), SLICE_ARGS(table->loaded.name.name));
    if (scope == NULL) {
        return errinfo_nomem(info);
    }
    from.cache_scope = slice_of(scope);
    struct lake_source *source;
    TRY(lake_source_open(&from, arena, &source, info));
    *ret_source = source;
    return ERR_OK;
}
