/* Which metastore is meant, and what the names and errors of all of them are. */
#include "catalog/rest/rest_metastore_int.h"

const struct metastore_calls *rest_metastore__of(const struct rest_catalog *catalog)
{
    switch (catalog->protocol) {
    case REST_PROTOCOL_ICEBERG:
        break;
    case REST_PROTOCOL_HIVE:
        return &hive_calls;
    case REST_PROTOCOL_GLUE:
        return &glue_calls;
    }
    return NULL;
}

bool metastore_is(enum rest_protocol protocol)
{
    return protocol != REST_PROTOCOL_ICEBERG;
}

/* ---- names ---- */

bool metastore_name__is(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') {
            return false;
        }
    }
    return name.len > 0;
}

bool metastore_name__of(const struct rest_namespace *ns, struct slice *ret_database)
{
    if (ns->level_count != 1 || !metastore_name__is(ns->levels[0])) {
        return false;
    }
    *ret_database = ns->levels[0];
    return true;
}

enum err metastore__no_namespace(const struct rest_call *call, const struct rest_namespace *ns)
{
    return errinfo_set(
        call->info, ERR_NOT_FOUND, "3F000", "namespace \"%.*s\" does not exist in catalog \"%.*s\"",
        SLICE_ARGS(ns->levels[ns->level_count - 1]), SLICE_ARGS(call->catalog->name));
}

enum err metastore__no_table(const struct rest_call *call, struct slice name)
{
    return errinfo_set(call->info, ERR_NOT_FOUND, "42P01",
                       "table \"%.*s\" does not exist in catalog \"%.*s\"", SLICE_ARGS(name),
                       SLICE_ARGS(call->catalog->name));
}

enum err metastore__table_exists(const struct rest_call *call, struct slice name)
{
    return errinfo_set(call->info, ERR_EXISTS, "42P07", "table \"%.*s\" exists in catalog \"%.*s\"",
                       SLICE_ARGS(name), SLICE_ARGS(call->catalog->name));
}

enum err metastore__wrong_name(const struct rest_call *call)
{
    return errinfo_set(call->info, ERR_INVALID, "42602",
                       "names of catalog \"%.*s\" are in small letters",
                       SLICE_ARGS(call->catalog->name));
}

enum err metastore__not_iceberg(const struct rest_call *call, struct slice name)
{
    return errinfo_set(call->info, ERR_UNSUPPORTED, NULL,
                       "\"%.*s\" of catalog \"%.*s\" is no Iceberg table", SLICE_ARGS(name),
                       SLICE_ARGS(call->catalog->name));
}

enum err metastore__moved(const struct rest_call *call, struct slice name)
{
    return errinfo_set(call->info, ERR_BUSY, "40001", "table \"%.*s\" was changed by somebody else",
                       SLICE_ARGS(name));
}

const struct rest_property *metastore__property(const struct rest_property *properties,
                                                size_t count, struct slice key)
{
    const struct rest_property *found = NULL;
    for (size_t i = 0; i < count; i++) {
        found = slice_equal(properties[i].key, key) ? &properties[i] : found;
    }
    return found;
}

/* ---- tables ---- */

enum err metastore__place(const struct rest_call *call, struct slice folder,
                          struct slice metadata_location, struct arena *arena,
                          struct metastore_place *ret_place)
{
    struct metastore_place place;
    if (!arena_slice(arena, folder, &place.folder) ||
        !arena_slice(arena, metadata_location, &place.metadata_location)) {
        return errinfo_nomem(call->info);
    }
    *ret_place = place;
    return ERR_OK;
}

enum err rest_metastore__load(const struct rest_call *call, const struct rest_namespace *ns,
                              struct slice name, struct arena *arena,
                              struct rest_loaded *ret_loaded)
{
    struct metastore_place place;
    TRY(rest_metastore__of(call->catalog)->find(call, ns, name, arena, &place));
    if (place.metadata_location.len == 0) {
        return errinfo_set(call->info, ERR_CORRUPT, "08P01",
                           "catalog \"%.*s\" has an Iceberg table \"%.*s\" without "
                           "\"metadata_location\"",
                           SLICE_ARGS(call->catalog->name), SLICE_ARGS(name));
    }
    *ret_loaded = (struct rest_loaded){.metadata_location = place.metadata_location,
                                       .folder = place.folder,
                                       .planning = REST_PLANNING_CLIENT};
    return ERR_OK;
}

enum err metastore_create_table(struct rest *rest, const struct rest_catalog *catalog,
                                const struct identity *who, const struct rest_namespace *ns,
                                struct slice name, const struct metastore_table *table,
                                struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct slice database;
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (!metastore_name__of(ns, &database) || !metastore_name__is(name)) {
        return metastore__wrong_name(&call);
    }
    return rest_metastore__of(catalog)->create_table(&call, ns, name, table);
}

enum err metastore_swap_table(struct rest *rest, const struct rest_catalog *catalog,
                              const struct identity *who, const struct rest_namespace *ns,
                              struct slice name, const struct metastore_table *table,
                              struct slice before, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct slice database;
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (!metastore_name__of(ns, &database) || !metastore_name__is(name)) {
        return metastore__no_table(&call, name);
    }
    return rest_metastore__of(catalog)->swap_table(&call, ns, name, table, before);
}
