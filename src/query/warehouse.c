/* The warehouse: what all sessions of one process share. */
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/rest/rest.h"
#include "engine/host/host.h"
#include "identity/guard.h"
#include "iceberg/scan.h"
#include "query/admission/admission_int.h"
#include "query/login/login_int.h"
#include "query/spill_int.h"
#include "query/lake/stores_int.h"
#include "query/trail_int.h"
#include "query/admission/watchdog_int.h"
#include "storage/remote.h"

#define MANIFEST_CACHE_BYTES_MAX (256u * 1024 * 1024)

uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

static uint64_t engine_memory_max(const struct config *config)
{
    uint64_t memory = config_bytes(config, CONFIG_ENGINE_MEMORY);
    return memory != 0 ? memory : machine_memory_bytes() / 10 * 6;
}

static uint64_t host_memory_max(const struct config *config)
{
    uint64_t memory = config_bytes(config, CONFIG_ENGINE_HOST_MEMORY);
    return memory != 0 ? memory : engine_memory_max(config) / 4;
}

static bool wants_hosts(const struct config *config, const struct warehouse_options *options)
{
    struct slice isolation = slice_of(config_text(config, CONFIG_ENGINE_ISOLATION));
    return options->engine_host != NULL || slice_equal(isolation, SLICE("hosts")) ||
           (options->is_server && slice_equal(isolation, SLICE("auto")));
}

static enum err open_hosts(struct warehouse *warehouse, const struct warehouse_options *options,
                           struct errinfo *info)
{
    const struct config *config = warehouse->config;
    struct engine_hosts_options hosts = {
        .program = options->engine_host,
        .busy_max = (unsigned)config_integer(config, CONFIG_ENGINE_HOSTS),
        .spare_count = (unsigned)config_integer(config, CONFIG_ENGINE_HOST_SPARES),
        .memory_bytes_max = host_memory_max(config),
        .cancel_ms = (unsigned)config_duration_ms(config, CONFIG_ENGINE_HOST_CANCEL_TIME),
        .wait_ms = (unsigned)config_duration_ms(config, CONFIG_QUERY_QUEUE_TIMEOUT),
        .idle_ms = (unsigned)config_duration_ms(config, CONFIG_ENGINE_HOST_IDLE_TIME),
        .statements_max = (unsigned)config_integer(config, CONFIG_ENGINE_HOST_STATEMENTS),
        .user_id = config_integer(config, CONFIG_ENGINE_HOST_USER),
        .niceness = (unsigned)config_integer(config, CONFIG_ENGINE_HOST_NICENESS),
        .may_be_unconfined = !config_bool(config, CONFIG_ENGINE_HOST_CONFINEMENT),
    };
    return engine_hosts_open(&hosts, &warehouse->hosts, info);
}

static enum err open_engine(struct warehouse *warehouse, const struct warehouse_options *given,
                            struct arena *arena, struct errinfo *info)
{
    const struct config *config = warehouse->config;
    uint64_t temp_bytes = config_bytes(config, CONFIG_ENGINE_TEMP_DISK);
    const char *temp = io_join(arena, warehouse->folder, "tmp");
    if (temp == NULL) {
        return errinfo_nomem(info);
    }
    if (temp_bytes > 0) {
        TRY(io_make_folders(temp, 0700, info));
        TRY(spill_open(temp, &warehouse->spill, info));
    }
    struct engine_options options = {
        .memory_bytes_max = engine_memory_max(config),
        .thread_count = (unsigned)config_integer(config, CONFIG_ENGINE_THREADS),
        .temp_folder = temp_bytes > 0 ? spill_folder(warehouse->spill) : NULL,
        .temp_bytes_max = temp_bytes,
        .mask_key = system_mask_key(warehouse->system),
        .module_path = given->engine_module,
    };
    if (wants_hosts(config, given)) {
        TRY(open_hosts(warehouse, given, info));
        options.hosts = warehouse->hosts;
    }
    return engine_open(&options, &warehouse->engine, info);
}

/* Hosts get what admission grants, so that the sum is bounded; an engine in this process has one
 * limit for all. */
static enum err open_admission(struct warehouse *warehouse, struct errinfo *info)
{
    const struct config *config = warehouse->config;
    bool has_hosts = warehouse->hosts != NULL;
    uint64_t memory = has_hosts ? engine_memory_max(config) : 0;
    return admission_new(config, memory, has_hosts ? host_memory_max(config) : 0,
                         &warehouse->admission, info);
}

static enum err open_parts(struct warehouse *warehouse, const struct warehouse_options *options,
                           struct arena *arena, struct errinfo *info)
{
    const struct config *config = warehouse->config;
    struct slice os_user;
    warehouse->started_wall_us = clock_wall_us();
    TRY(metrics_new(&warehouse->metrics, info));
    TRY(identity_os_user(arena, &os_user, info));
    TRY(system_open(warehouse->folder, os_user, options->create_if_missing, &warehouse->system,
                    info));
    const char *trail = io_join(arena, warehouse->folder, "audit");
    if (trail == NULL) {
        return errinfo_nomem(info);
    }
    struct audit_anchor_store anchors = trail_anchors(warehouse->system);
    struct audit_options audit = {
        .file_bytes_max = config_bytes(config, CONFIG_AUDIT_FILE_BYTES_MAX),
        .anchors = &anchors,
        .metrics = warehouse->metrics,
    };
    TRY(audit_open(trail, &audit, &warehouse->audit, info));
    TRY(open_engine(warehouse, options, arena, info));
    TRY(open_admission(warehouse, info));
    struct login_guard_options guard = {
        .account_tries_max = (unsigned)config_integer(config, CONFIG_LOGIN_ACCOUNT_TRIES),
        .address_tries_max = (unsigned)config_integer(config, CONFIG_LOGIN_ADDRESS_TRIES),
        .window_us = config_duration_ms(config, CONFIG_LOGIN_WINDOW) * 1000,
    };
    TRY(login_guard_new(&guard, &warehouse->guard, info));
    TRY(plan_cache_new(&warehouse->cache, info));
    TRY(iceberg_manifest_cache_open(MANIFEST_CACHE_BYTES_MAX, &warehouse->manifests, info));
    return watchdog_new(&warehouse->watchdog, info);
}

enum err warehouse_open(const struct warehouse_options *options, struct warehouse **ret_warehouse,
                        struct errinfo *info)
{
    const struct config *config = options->config;
    struct warehouse *warehouse CLEANUP(warehouse_cleanup) = mem_calloc(1, sizeof(*warehouse));
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "open", 0);
    if (warehouse == NULL || arena == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&warehouse->setup_lock, NULL);
    clients_init(&warehouse->clients);
    warehouse->config = config;
    warehouse->folder = mem_strdup(config_text(config, CONFIG_WAREHOUSE_PATH));
    uint8_t nonce[16];
    if (warehouse->folder == NULL || random_bytes(nonce, sizeof(nonce)) != ERR_OK) {
        return errinfo_nomem(info);
    }
    char hex[33];
    hash_hex(nonce, sizeof(nonce), hex);
    (void)snprintf(warehouse->uri_prefix, sizeof(warehouse->uri_prefix), "moat://%s", hex);
    warehouse->limits = (struct sql_limits){
        .statement_bytes_max = config_bytes(config, CONFIG_SQL_STATEMENT_BYTES_MAX),
        .nodes_max = (uint32_t)config_integer(config, CONFIG_SQL_NODES_MAX),
        .depth_max = (uint32_t)config_integer(config, CONFIG_SQL_DEPTH_MAX),
        .list_max = (uint32_t)config_integer(config, CONFIG_SQL_LIST_MAX),
    };
    TRY(open_parts(warehouse, options, arena, info));
    *ret_warehouse = TAKE(warehouse);
    return ERR_OK;
}

void warehouse_close(struct warehouse *warehouse)
{
    if (warehouse == NULL) {
        return;
    }
    watchdog_free(warehouse->watchdog);
    iceberg_manifest_cache_close(warehouse->manifests);
    rest_close(atomic_load(&warehouse->rest));
    storage_remote_close(atomic_load(&warehouse->stores));
    plan_cache_free(warehouse->cache);
    login_setup_unref(warehouse->setup);
    pthread_mutex_destroy(&warehouse->setup_lock);
    clients_fini(&warehouse->clients);
    login_guard_free(warehouse->guard);
    admission_free(warehouse->admission);
    engine_close(warehouse->engine);
    engine_hosts_close(warehouse->hosts);
    spill_close(warehouse->spill);
    audit_close(warehouse->audit);
    system_close(warehouse->system);
    metrics_free(warehouse->metrics);
    mem_free(warehouse->folder);
    mem_free(warehouse);
}

const char *warehouse_folder(const struct warehouse *warehouse)
{
    return warehouse->folder;
}

enum err warehouse_audit_login(struct warehouse *warehouse, const struct identity *who,
                               struct errinfo *info)
{
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    struct audit_record record = {.kind = AUDIT_LOGIN,
                                  .is_lazy = true,
                                  .query_id = slice_of(id),
                                  .who = who,
                                  .command = SLICE("LOGIN"),
                                  .state = SLICE("DONE"),
                                  .sqlstate = SLICE("00000")};
    return audit_write(warehouse->audit, &record, info);
}

enum err warehouse_login_local(struct warehouse *warehouse, struct slice as,
                               struct identity **ret_identity, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "login", 0);
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct slice os_user;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(identity_os_user(arena, &os_user, info));
    if (!slice_equal(os_user, system_owner(warehouse->system))) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "\"%.*s\" does not own this warehouse",
                          SLICE_ARGS(os_user));
        errinfo_hint(info, "A warehouse opened as files belongs to the person who made it; make "
                           "your own with --warehouse.");
        return ERR_DENIED;
    }
    bool is_other = as.len > 0 && !slice_equal_fold(as, os_user);
    enum err err =
        system_login(warehouse->system, is_other ? as : os_user, is_other ? os_user : SLICE(""),
                     SLICE("local"), SLICE("embedded"), &who, info);
    if (err == ERR_NOT_FOUND && is_other) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "28000", "there is no user \"%.*s\"",
                          SLICE_ARGS(as));
        errinfo_hint(info, "SHOW USERS lists them; CREATE USER makes one.");
    }
    TRY(err);
    TRY(warehouse_audit_login(warehouse, who, info));
    *ret_identity = TAKE(who);
    return ERR_OK;
}
