/* A table of a lake as the lake module reads it. */
#include "base/buf.h"
#include "identity/provider.h"
#include "query/lake_int.h"

static enum err locate(void *context, struct slice location, struct slice *ret_path,
                       struct errinfo *info)
{
    const struct lake_table *table = context;
    TRY(catalog_iceberg_path(location, ret_path, info));
    return catalog_iceberg_check_local(&table->attached->catalog, info);
}

static enum err open_remote(void *context, struct slice location,
                            struct storage_object **ret_object, struct errinfo *info)
{
    const struct lake_table *table = context;
    return catalog_iceberg_open_remote(&table->attached->catalog, table->who, &table->loaded.name,
                                       location, ret_object, info);
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
        .open_remote = open_remote,
        .context = (void *)(uintptr_t)table, /* only read */
        .folders = table->attached->catalog.folders,
        .folder_count = table->attached->catalog.folder_count,
    };
    /* Manifests are kept for the person, the sign-in and the catalog's own name of the table. */
    char *scope = arena_printf(
        arena, "%.*s/%llu/%.*s/%.*s/%.*s/%.*s", SLICE_ARGS(identity_subject(table->who)),
        (unsigned long long)identity_credential_number(table->who),
        SLICE_ARGS(table->attached->catalog.location),
        SLICE_ARGS(table->attached->catalog.remote.warehouse), SLICE_ARGS(table->loaded.name.ns),
        SLICE_ARGS(table->loaded.name.name));
    if (scope == NULL) {
        return errinfo_nomem(info);
    }
    from.cache_scope = slice_of(scope);
    struct lake_source *source;
    TRY(lake_source_open(&from, arena, &source, info));
    *ret_source = source;
    return ERR_OK;
}
