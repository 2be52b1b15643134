/* Opening the store: the folder and file are checked as an attacker might have left them, and
 * SQLite is told to trust nothing in the file but data. */
#include "system/system.h"

#include <stdatomic.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "system/system_int.h"

/* A process must not close a descriptor of the file while SQLite holds locks on it (POSIX drops
 * them all): one open at a time makes sure that the file is made before anybody has it open. */
static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- the folder and the file ---- */

static enum err no_warehouse(const char *folder, struct errinfo *info)
{
    const char *slash = strrchr(folder, '/');
    (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "there is no warehouse in \"%s\"",
                      slash == NULL || slash[1] == '\0' ? folder : slash + 1);
    errinfo_hint(info, "Check --warehouse, or create one there.");
    return ERR_NOT_FOUND;
}

static bool is_empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return false;
    }
    unsigned others = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        others += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    (void)closedir(folder);
    return others == 0;
}

/* Whoever may write here could replace grants; whoever may read could take keys and verifiers. */
static enum err check_mode(const char *what, const struct stat *found, mode_t mode_wanted,
                           struct errinfo *info)
{
    if (found->st_uid != geteuid()) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "%s belongs to another user", what);
        errinfo_hint(info, "A warehouse opened as files is for the person who made it.");
        return ERR_DENIED;
    }
    if ((found->st_mode & 077) != 0) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "%s is open to other users (mode %04o)", what,
                          (unsigned)(found->st_mode & 07777));
        errinfo_hint(info, "Make sure that nobody changed it, then set its mode to %04o.",
                     (unsigned)mode_wanted);
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err check_folder(const char *folder, bool create, struct errinfo *info)
{
    struct stat found;
    if (stat(folder, &found) != 0 || !S_ISDIR(found.st_mode)) {
        return no_warehouse(folder, info);
    }
    if (create && found.st_uid == geteuid() && (found.st_mode & 077) != 0 &&
        (found.st_mode & 022) == 0 && is_empty_folder(folder) && chmod(folder, 0700) == 0) {
        return ERR_OK; /* nothing in it yet that others could have seen or left */
    }
    return check_mode("the folder of the warehouse", &found, 0700, info);
}

/* `ret_exists` false if there is no such file. */
static enum err check_file(const char *folder, const char *name, struct arena *arena,
                           bool *ret_exists, struct errinfo *info)
{
    struct stat found;
    char *path = io_join(arena, folder, name);
    char *what = arena_printf(arena, "\"%s\"", name);
    if (path == NULL || what == NULL) {
        return errinfo_nomem(info);
    }
    *ret_exists = lstat(path, &found) == 0;
    if (!*ret_exists) {
        return errno == ENOENT ? ERR_OK : errinfo_set(info, ERR_IO, NULL, "cannot read %s", what);
    }
    if (!S_ISREG(found.st_mode)) {
        return errinfo_set(info, ERR_DENIED, NULL, "%s is not a plain file", what);
    }
    return check_mode(what, &found, 0600, info);
}

static enum err check_files(const char *folder, struct arena *arena, bool *ret_exists,
                            struct errinfo *info)
{
    static const char *const beside[] = {SYSTEM_FILE "-wal", SYSTEM_FILE "-shm",
                                         SYSTEM_FILE "-journal"};
    for (size_t i = 0; i < ARRAY_COUNT(beside); i++) {
        bool exists = false;
        TRY(check_file(folder, beside[i], arena, &exists, info));
    }
    return check_file(folder, SYSTEM_FILE, arena, ret_exists, info);
}

/* The path of the store, checked and existing. */
static enum err find_file(const char *folder, bool create, struct arena *arena, char **ret_path,
                          struct errinfo *info)
{
    if (create && !io_exists(folder)) {
        TRY(io_make_folders(folder, 0700, info));
    }
    TRY(check_folder(folder, create, info));
    char real_folder[PATH_MAX];
    if (realpath(folder, real_folder) == NULL) {
        return no_warehouse(folder, info);
    }
    char *path = io_join(arena, real_folder, SYSTEM_FILE);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    bool exists = false;
    TRY(check_files(real_folder, arena, &exists, info));
    if (!exists && !create) {
        return no_warehouse(folder, info);
    }
    if (!exists) {
        int fd;
        TRY(io_open_append(path, 0600, &fd, info));
        io_close(fd);
        TRY(io_sync_folder(real_folder, info));
    }
    *ret_path = path;
    return ERR_OK;
}

/* ---- the connection ---- */

static enum err configure(struct system *system, struct errinfo *info)
{
    static const struct {
        int option;
        int value;
    } options[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                   {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
                   {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                   {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                   {SQLITE_DBCONFIG_DQS_DDL, 0},
                   {SQLITE_DBCONFIG_DQS_DML, 0},
                   {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                   {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        int is = -1;
        int code = sqlite3_db_config(system->db, options[i].option, options[i].value, &is);
        if (code != SQLITE_OK || is != options[i].value) {
            return system__error(code == SQLITE_OK ? SQLITE_MISUSE : code, "open", info);
        }
    }
    (void)sqlite3_limit(system->db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(system->db, SQLITE_LIMIT_LENGTH, 64 << 20);
    (void)sqlite3_busy_timeout(system->db, SYSTEM_BUSY_TIMEOUT_MS);
    (void)sqlite3_wal_autocheckpoint(system->db, SYSTEM_LOG_PAGES_MAX);
    /* secure_delete: dropped verifiers and keys do not stay in free pages. */
    int code = sqlite3_exec(system->db,
                            "PRAGMA synchronous = FULL;"
                            "PRAGMA secure_delete = ON;"
                            "PRAGMA cell_size_check = ON;"
                            "PRAGMA temp_store = MEMORY;"
                            "PRAGMA mmap_size = 0;",
                            NULL, NULL, NULL);
    return code == SQLITE_OK ? ERR_OK : system__error(code, "open", info);
}

static enum err load_warehouse(struct system *system, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT w.uuid, w.mask_key, w.owner, p.name, w.version"
                            " FROM warehouse w JOIN principal p ON p.id = w.owner",
                            NO_VALUES, &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row || system__view(&cursor, 1).len != SYSTEM_MASK_KEY_BYTES) {
        return system__error(SQLITE_CORRUPT, "read", info);
    }
    TRY(system__text(&cursor, 0, system->arena, &system->uuid, info));
    TRY(system__text(&cursor, 3, system->arena, &system->owner, info));
    memcpy(system->mask_key, system__view(&cursor, 1).ptr, SYSTEM_MASK_KEY_BYTES);
    system->owner_id = system__int(&cursor, 2);
    return ERR_OK;
}

static enum err open_file(const char *path, struct slice os_user, bool create,
                          struct system **ret_system, struct errinfo *info)
{
    struct system *system CLEANUP(system_cleanup) = mem_calloc(1, sizeof(*system));
    if (system == NULL) {
        return errinfo_nomem(info);
    }
    if (pthread_mutex_init(&system->mutex, NULL) != 0) {
        mem_free(TAKE(system));
        return errinfo_nomem(info);
    }
    system->arena = arena_new(NULL, "system", 0);
    if (system->arena == NULL) {
        return errinfo_nomem(info);
    }
    /* NOMUTEX: calls are serialised by ours. NOFOLLOW: nobody swaps the file for a link. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &system->db, flags, NULL);
    if (code != SQLITE_OK) {
        return system__error(code, "open", info);
    }
    TRY(configure(system, info));
    TRY(system__prepare(system, os_user, create, info));
    TRY(load_warehouse(system, info));
    /* Prepared now, so that ending a transaction never needs memory. */
    TRY(system__read_begin(system, info));
    system__read_end(system);
    TRY(system__run(system, "BEGIN IMMEDIATE", NO_VALUES, info));
    TRY(system__run(system, "COMMIT", NO_VALUES, info));
    *ret_system = TAKE(system);
    return ERR_OK;
}

enum err system_open(const char *folder, struct slice os_user, bool create,
                     struct system **ret_system, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "open", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    char *path = NULL;
    struct system *system = NULL;
    ASSERT(pthread_mutex_lock(&open_mutex) == 0);
    enum err err = find_file(folder, create, arena, &path, info);
    if (err == ERR_OK) {
        err = open_file(path, os_user, create, &system, info);
        if (err == ERR_NOT_FOUND) {
            err = no_warehouse(folder, info);
        }
    }
    ASSERT(pthread_mutex_unlock(&open_mutex) == 0);
    if (err == ERR_OK) {
        *ret_system = system;
    }
    return err;
}

void system_close(struct system *system)
{
    if (system == NULL) {
        return;
    }
    for (size_t i = 0; i < SYSTEM_STATEMENTS_MAX; i++) {
        (void)sqlite3_finalize(system->statements[i].stmt);
    }
    if (system->db != NULL) {
        /* Emptying the log takes three syncs: too much for a page of it that says how far the
         * audit trail has come, at the end of every short run of the program. */
        (void)sqlite3_db_config(system->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                                system->is_written ? 0 : 1, NULL);
        ASSERT(sqlite3_close(system->db) == SQLITE_OK);
    }
    arena_free(system->arena);
    ASSERT(pthread_mutex_destroy(&system->mutex) == 0);
    mem_wipe(system->mask_key, sizeof(system->mask_key));
    mem_free(system);
}

/* ---- what belongs to the whole warehouse ---- */

/* The header of the WAL's index changes with every commit of anybody: it holds the number of frames
 * and their checksum, and SQLite itself looks at nothing else to see whether what it has read is
 * still so. To ask SQLite is four locks of the file for each statement of each session. */
static void find_log(struct system *system)
{
    sqlite3_file *file = NULL;
    void volatile *header = NULL;
    if (sqlite3_file_control(system->db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file) ==
            SQLITE_OK &&
        file != NULL && file->pMethods != NULL && file->pMethods->iVersion >= 2 &&
        file->pMethods->xShmMap(file, 0, 32768, 0, &header) == SQLITE_OK) {
        system->log_header = (const void *)(uintptr_t)header;
    }
}

static bool is_log_as_marked(const struct system *system)
{
    if (system->log_header == NULL || !system->is_version_known) {
        return false;
    }
    atomic_thread_fence(memory_order_acquire); /* others write it, in this process and in others */
    const char *header = system->log_header;
    size_t half = SYSTEM_LOG_HEADER_BYTES / 2; /* two that differ: it is being written */
    return memcmp(header, header + half, half) == 0 &&
           memcmp(header, system->log_mark, SYSTEM_LOG_HEADER_BYTES) == 0;
}

static enum err read_version(struct system *system, struct errinfo *info)
{
    bool found = false;
    int64_t number;
    if (is_log_as_marked(system)) {
        return ERR_OK;
    }
    if (system->log_header == NULL && system->is_version_known) {
        find_log(system);
    }
    if (system->log_header != NULL) { /* before the rest, as the counter is */
        memcpy(system->log_mark, system->log_header, SYSTEM_LOG_HEADER_BYTES);
        atomic_thread_fence(memory_order_acquire);
    }
    /* SQLite's own counter first: a commit between the two reads is then seen next time. */
    TRY(system__number(system, "PRAGMA data_version", NO_VALUES, &found, &number, info));
    if (!found || (system->is_version_known && number == system->data_version)) {
        return found ? ERR_OK : system__error(SQLITE_CORRUPT, "read", info);
    }
    int64_t version;
    TRY(system__number(system, "SELECT version FROM warehouse", NO_VALUES, &found, &version, info));
    if (!found) {
        return system__error(SQLITE_CORRUPT, "read", info);
    }
    system->data_version = number;
    system->version = (uint64_t)version;
    system->is_version_known = true;
    return ERR_OK;
}

enum err system_version(struct system *system, uint64_t *ret_version, struct errinfo *info)
{
    ASSERT(pthread_mutex_lock(&system->mutex) == 0);
    enum err err = read_version(system, info);
    uint64_t version = system->version;
    ASSERT(pthread_mutex_unlock(&system->mutex) == 0);
    TRY(err);
    *ret_version = version;
    return ERR_OK;
}

struct slice system_warehouse_uuid(const struct system *system)
{
    return system->uuid;
}

struct slice system_owner(const struct system *system)
{
    return system->owner;
}

struct slice system_mask_key(const struct system *system)
{
    return (struct slice){(const char *)system->mask_key, SYSTEM_MASK_KEY_BYTES};
}
