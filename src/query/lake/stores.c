/* Object stores and catalogs elsewhere, as the configuration says they are asked. */
#include "query/lake/stores_int.h"

#include "base/io.h"
#include "catalog/rest/rest.h"
#include "config/config.h"
#include "query/query_int.h"
#include "storage/remote.h"

#define CACHE_MEMORY_MIN (256u * 1024 * 1024)

/* 256 MiB at least: where the machine does not say what it has, too. */
static uint64_t cache_memory_max(const struct config *config)
{
    uint64_t memory = config_bytes(config, CONFIG_STORAGE_CACHE_MEMORY);
    uint64_t share = machine_memory_bytes() / 8;
    if (!config_bool(config, CONFIG_STORAGE_CACHE)) {
        return 0;
    }
    return memory != 0 ? memory : share > CACHE_MEMORY_MIN ? share : CACHE_MEMORY_MIN;
}

static enum err open_stores(const struct warehouse *warehouse, struct storage_remote **ret_stores,
                            struct errinfo *info)
{
    const struct config *config = warehouse->config;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "stores", 0);
    const char *folder = arena == NULL ? NULL : io_join(arena, warehouse->folder, "tmp");
    struct storage_remote_options options = {
        .ca_file = slice_of(config_text(config, CONFIG_STORAGE_CA_FILE)),
        .proxy = slice_of(config_text(config, CONFIG_STORAGE_PROXY)),
        .allow_plain_http = config_bool(config, CONFIG_STORAGE_ALLOW_PLAIN_HTTP),
        .connect_ms = config_duration_ms(config, CONFIG_STORAGE_CONNECT_TIMEOUT),
        .timeout_ms = config_duration_ms(config, CONFIG_STORAGE_REQUEST_TIMEOUT),
        .patience_ms = config_duration_ms(config, CONFIG_STORAGE_PATIENCE),
        .connections_max = (unsigned)config_integer(config, CONFIG_STORAGE_CONNECTIONS),
        .cache_memory_bytes = cache_memory_max(config),
        .cache_disk_bytes = config_bytes(config, CONFIG_STORAGE_CACHE_DISK),
        .cache_folder = slice_of(folder),
        .cache_block_bytes = config_bytes(config, CONFIG_STORAGE_CACHE_BLOCK),
    };
    if (folder == NULL) {
        return errinfo_nomem(info);
    }
    if (options.cache_disk_bytes > 0) {
        TRY(io_make_folders(folder, 0700, info));
    }
    return storage_remote_open(&options, ret_stores, info);
}

enum err warehouse_stores(struct warehouse *warehouse, struct storage_remote **ret_stores,
                          struct errinfo *info)
{
    enum err err = ERR_OK;
    struct storage_remote *stores = atomic_load(&warehouse->stores);
    if (stores == NULL) {
        pthread_mutex_lock(&warehouse->setup_lock);
        stores = atomic_load(&warehouse->stores);
        if (stores == NULL) {
            err = open_stores(warehouse, &stores, info);
            if (err == ERR_OK) {
                atomic_store(&warehouse->stores, stores);
            }
        }
        pthread_mutex_unlock(&warehouse->setup_lock);
    }
    if (err == ERR_OK) {
        *ret_stores = stores;
    }
    return err;
}

static enum err open_rest(struct warehouse *warehouse, struct storage_remote *stores,
                          struct rest **ret_rest, struct errinfo *info)
{
    const struct config *config = warehouse->config;
    const char *ca_file = config_text(config, CONFIG_CATALOG_CA_FILE);
    struct rest_options options = {
        .timeout_ms = config_duration_ms(config, CONFIG_CATALOG_TIMEOUT),
        .connect_timeout_ms = config_duration_ms(config, CONFIG_CATALOG_CONNECT_TIMEOUT),
        .config_age_ms = config_duration_ms(config, CONFIG_CATALOG_CONFIG_AGE),
        .breaker_failures = (unsigned)config_integer(config, CONFIG_CATALOG_FAILURES_MAX),
        .breaker_pause_ms = config_duration_ms(config, CONFIG_CATALOG_PAUSE),
        .response_bytes_max = config_bytes(config, CONFIG_CATALOG_ANSWER_BYTES_MAX),
        .cache_bytes_max = config_bytes(config, CONFIG_CATALOG_CACHE_BYTES_MAX),
        .loads_at_once = (unsigned)config_integer(config, CONFIG_CATALOG_LOADS),
        .ca_file = ca_file[0] == '\0' ? NULL : ca_file,
        .origins = config_text(config, CONFIG_CATALOG_ORIGINS),
        .sends_reports = config_bool(config, CONFIG_CATALOG_REPORTS),
        .allow_loopback_http = config_bool(config, CONFIG_CATALOG_INSECURE_LOOPBACK),
        .is_production = config_bool(config, CONFIG_SERVER_PRODUCTION),
        .storage = stores,
    };
    return rest_open(&options, ret_rest, info);
}

struct rest *warehouse_rest_in_use(struct warehouse *warehouse)
{
    return atomic_load(&warehouse->rest);
}

enum err warehouse_rest(struct warehouse *warehouse, struct rest **ret_rest, struct errinfo *info)
{
    enum err err = ERR_OK;
    struct storage_remote *stores;
    struct rest *rest = atomic_load(&warehouse->rest);
    if (rest == NULL) {
        TRY(warehouse_stores(warehouse, &stores, info));
        pthread_mutex_lock(&warehouse->setup_lock);
        rest = atomic_load(&warehouse->rest);
        if (rest == NULL) {
            err = open_rest(warehouse, stores, &rest, info);
            if (err == ERR_OK) {
                atomic_store(&warehouse->rest, rest);
            }
        }
        pthread_mutex_unlock(&warehouse->setup_lock);
    }
    if (err == ERR_OK) {
        *ret_rest = rest;
    }
    return err;
}
