/* The warehouses that this process has open: one for each folder, shared by all who open it, for
 * trail and engine are of one process. */
#include <dlfcn.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "embed/embed_int.h"

#define CREATE_SETTING "warehouse.create=true"
#define SETTINGS_MAX 256u

extern char **environ;

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct moat_database *registry;

/* ---- what lies beside the library ---- */

/* Folder of this library, without the last slash, behind all links. */
static bool library_folder(char folder[PATH_MAX])
{
    Dl_info found;
    if (dladdr(&registry, &found) == 0 || found.dli_fname == NULL ||
        realpath(found.dli_fname, folder) == NULL) {
        return false;
    }
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

static const char *find_beside(const char *const *places, size_t count, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    for (size_t i = 0; library_folder(folder) && i < count; i++) {
        int len = snprintf(path, PATH_MAX, "%s/%s", folder, places[i]);
        if (len > 0 && len < PATH_MAX && access(path, R_OK) == 0) {
            return path;
        }
    }
    return NULL;
}

/* NULL: where the engine's own loader looks. */
static const char *find_module(char path[PATH_MAX])
{
    static const char *const places[] = {"libmoat_engine.so", "moat/libmoat_engine.so"};
    return find_beside(places, ARRAY_COUNT(places), path);
}

/* Hosts are the program `moat`: whatever embeds the library cannot be one. */
static enum err find_host(const struct config *config, char path[PATH_MAX], const char **ret_host,
                          struct errinfo *info)
{
    static const char *const places[] = {"moat", "../bin/moat", "../../bin/moat"};
    *ret_host = NULL;
    if (strcmp(config_text(config, CONFIG_ENGINE_ISOLATION), "hosts") != 0) {
        return ERR_OK;
    }
    *ret_host = find_beside(places, ARRAY_COUNT(places), path);
    if (*ret_host == NULL) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "\"engine.isolation=hosts\" needs the program \"moat\"");
        errinfo_hint(info, "Install it beside the library, or into ../bin.");
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

/* ---- opening ---- */

/* Settings without the one that is of the library itself, a line each. */
static enum err read_settings(const char *const *settings, const char **sets, size_t *count,
                              bool *is_created, struct buf *lines, struct errinfo *info)
{
    for (; settings != NULL && *settings != NULL; settings++) {
        if (strcmp(*settings, CREATE_SETTING) == 0) {
            *is_created = true;
            continue;
        }
        if (*count == SETTINGS_MAX) {
            return errinfo_set(info, ERR_LIMIT, NULL, "there are more than %u settings",
                               SETTINGS_MAX);
        }
        sets[(*count)++] = *settings;
        buf_printf(lines, "%s\n", *settings);
    }
    return buf_failed(lines) ? errinfo_nomem(info) : ERR_OK;
}

static enum err load_config(const char *path, const char **sets, size_t count,
                            struct config **ret_config, struct errinfo *info)
{
    struct buf where CLEANUP(buf_fini) = {0};
    buf_printf(&where, "warehouse.path=%s", path);
    if (buf_failed(&where)) {
        return errinfo_nomem(info);
    }
    sets[count] = buf_cstr(&where);
    const struct config_sources sources = {
        .environment = environ, .sets = sets, .set_count = count + 1};
    return config_load_warehouse(&sources, ret_config, info);
}

static void database_free(struct moat_database *database)
{
    warehouse_close(database->warehouse);
    config_free(database->config);
    mem_free(database->settings);
    mem_free(database);
}
DEFINE_CLEANUP(struct moat_database, database_cleanup, database_free)

/* With the registry's lock. NULL in `ret_database`: it is not open. */
static enum err find_open(const char *path, const char *settings,
                          struct moat_database **ret_database, struct errinfo *info)
{
    struct stat found;
    *ret_database = NULL;
    if (stat(path, &found) != 0) {
        return ERR_OK;
    }
    for (struct moat_database *open = registry; open != NULL; open = open->next) {
        if (open->device != found.st_dev || open->inode != found.st_ino) {
            continue;
        }
        if (strcmp(open->settings, settings) != 0) {
            (void)errinfo_set(info, ERR_BUSY, "55006",
                              "the warehouse \"%s\" is open in this process with other settings",
                              path);
            errinfo_hint(info, "Open it with the same ones, or close it first.");
            return ERR_BUSY;
        }
        open->references++;
        *ret_database = open;
    }
    return ERR_OK;
}

static enum err open_new(const char *path, const char **sets, size_t set_count, bool is_created,
                         const char *settings, struct moat_database **ret_database,
                         struct errinfo *info)
{
    struct moat_database *database CLEANUP(database_cleanup) = mem_calloc(1, sizeof(*database));
    char module[PATH_MAX], host[PATH_MAX];
    struct warehouse_options options = {.create_if_missing = is_created,
                                        .engine_module = find_module(module)};
    struct stat folder;
    if (database == NULL || (database->settings = mem_strdup(settings)) == NULL) {
        return errinfo_nomem(info);
    }
    TRY(load_config(path, sets, set_count, &database->config, info));
    TRY(find_host(database->config, host, &options.engine_host, info));
    options.config = database->config;
    enum err err = warehouse_open(&options, &database->warehouse, info);
    if (err == ERR_NOT_FOUND) {
        errinfo_hint(info, "`moat init DIR` makes a warehouse, and so does " CREATE_SETTING ".");
    }
    TRY(err);
    if (stat(path, &folder) != 0) {
        return errinfo_set(info, ERR_IO, NULL, "the warehouse \"%s\" is gone", path);
    }
    database->device = folder.st_dev;
    database->inode = folder.st_ino;
    database->references = 1;
    database->next = registry;
    registry = database;
    *ret_database = TAKE(database);
    return ERR_OK;
}

static enum err open_path(const char *path, const char *const *settings,
                          struct moat_database **ret_database, struct errinfo *info)
{
    const char *sets[SETTINGS_MAX + 1];
    size_t set_count = 0;
    bool is_created = false;
    struct buf lines CLEANUP(buf_fini) = {0};
    if (path == NULL || path[0] == '\0') {
        return errinfo_set(info, ERR_INVALID, "22023", "a warehouse needs a path");
    }
    TRY(read_settings(settings, sets, &set_count, &is_created, &lines, info));
    (void)pthread_mutex_lock(&registry_lock);
    enum err err = find_open(path, buf_cstr(&lines), ret_database, info);
    if (err == ERR_OK && *ret_database == NULL) {
        err = open_new(path, sets, set_count, is_created, buf_cstr(&lines), ret_database, info);
    }
    pthread_mutex_unlock(&registry_lock);
    return err;
}

enum moat_status moat_open(const char *path, const char *const *settings,
                           struct moat_database **ret_database, struct moat_error *error)
{
    struct errinfo info;
    struct moat_database *database;
    errinfo_init(&info);
    enum err err = open_path(path, settings, &database, &info);
    if (err == ERR_OK) {
        *ret_database = database;
    }
    return embed__status(err, &info, error);
}

void embed__database_ref(struct moat_database *database)
{
    (void)pthread_mutex_lock(&registry_lock);
    database->references++;
    pthread_mutex_unlock(&registry_lock);
}

/* Closed with the lock held: who opens it again meanwhile waits for the trail's end. */
void moat_close(struct moat_database *database)
{
    if (database == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&registry_lock);
    if (--database->references == 0) {
        struct moat_database **at = &registry;
        while (*at != database) {
            at = &(*at)->next;
        }
        *at = database->next;
        database_free(database);
    }
    pthread_mutex_unlock(&registry_lock);
}
