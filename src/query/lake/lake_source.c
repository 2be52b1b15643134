/* A table of a lake as the lake module reads it. */
#include "base/buf.h"
#include "catalog/rest/plan.h"
#include "identity/provider.h"
#include "query/lake/lake_int.h"

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

/* ---- scans that the catalog plans ---- */

static enum err open_planner(void *context, void **ret_run, struct errinfo *info)
{
    const struct lake_table *table = context;
    struct rest_planner *planner;
    TRY(catalog_iceberg_planner(&table->attached->catalog, table->who, &table->loaded.name,
                                &planner, info));
    *ret_run = planner;
    return ERR_OK;
}

static void close_planner(void *run)
{
    rest_planner_close(run);
}

static void watch_planner(void *run, bool (*is_cancelled)(void *context), void *cancel_context)
{
    rest_planner_watch(run, is_cancelled, cancel_context);
}

static enum err plan_scan(void *run, struct slice request, struct arena *arena,
                          struct lake_plan_page **ret_pages, size_t *ret_count,
                          struct errinfo *info)
{
    struct rest_plan_page *answers;
    size_t count;
    TRY(rest_planner_plan(run, request, arena, &answers, &count, info));
    struct lake_plan_page *pages = arena_calloc(arena, count + 1, sizeof(*pages));
    if (pages == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        pages[i] = (struct lake_plan_page){answers[i].delete_files, answers[i].tasks};
    }
    *ret_pages = pages;
    *ret_count = count;
    return ERR_OK;
}

static enum err open_planned(void *run, struct slice location, struct storage_object **ret_object,
                             struct errinfo *info)
{
    return rest_planner_open_object(run, location, ret_object, info);
}

static const struct lake_planner catalogs_planner = {.open = open_planner,
                                                     .close = close_planner,
                                                     .watch = watch_planner,
                                                     .plan = plan_scan,
                                                     .open_object = open_planned};

/* ATTACH has the last word; without one, the table's own configuration. NULL: here. */
static enum err choose_planner(const struct lake_table *table,
                               const struct lake_planner **ret_planner, struct errinfo *info)
{
    const struct catalog_iceberg *catalog = &table->attached->catalog;
    enum rest_planning planning = catalog->remote.planning;
    *ret_planner = NULL;
    if (!catalog_iceberg_is_remote(catalog)) {
        return ERR_OK;
    }
    planning = planning == REST_PLANNING_UNSAID ? table->loaded.planning : planning;
    if (planning == REST_PLANNING_UNKNOWN) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "catalog \"%.*s\" wants scans of table \"%.*s\" planned in a way that is "
                          "not known here",
                          SLICE_ARGS(catalog->name), SLICE_ARGS(table->loaded.name.name));
        errinfo_hint(info, "Its \"scan-planning-mode\" is neither client nor server; ATTACH OR "
                           "REPLACE ... (PLANNING 'client') overrules it.");
        return ERR_UNSUPPORTED;
    }
    *ret_planner = planning == REST_PLANNING_SERVER ? &catalogs_planner : NULL;
    return ERR_OK;
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
    TRY(choose_planner(table, &from.planner, info));
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
