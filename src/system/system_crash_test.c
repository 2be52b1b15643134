/* What is left after a crash, a failing disk or no memory, at every step of every write.
 *
 * SQLite's file system is wrapped: each of its steps may end the process or fail. Its memory comes
 * from base/mem.h in this program, so that a sweep reaches it. Syncs are skipped: the process dies
 * here, not the machine, and what was written stays. */
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "system/system_fixture_int.h"

/* ---- a file system that can fail ---- */

static struct {
    bool is_on;
    bool counts_all;  /* also reads, opens, locks; else only what changes files */
    bool is_full;     /* writes fail for want of space */
    uint64_t torn_at; /* the n-th write is done by half, then the process ends; 0 = never */
    sqlite3_vfs *real;
} disk;

struct wrapped {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct wrapped *)file)->real;
}

static bool change_fails(void)
{
    return disk.is_on && fault_hit_io();
}

static bool look_fails(void)
{
    return disk.is_on && disk.counts_all && fault_hit_io();
}

static int wrapped_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods == NULL ? SQLITE_OK : real->pMethods->xClose(real);
}

static int wrapped_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    return look_fails() ? SQLITE_IOERR_READ : real->pMethods->xRead(real, bytes, len, at);
}

static int wrapped_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    if (disk.is_on && disk.torn_at > 0 && --disk.torn_at == 0) {
        (void)real->pMethods->xWrite(real, bytes, len / 2, at);
        (void)kill(getpid(), SIGKILL);
    }
    if (change_fails()) {
        return disk.is_full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return real->pMethods->xWrite(real, bytes, len, at);
}

static int wrapped_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_file *real = real_of(file);
    return change_fails() ? SQLITE_IOERR_TRUNCATE : real->pMethods->xTruncate(real, size);
}

static int wrapped_sync(UNUSED sqlite3_file *file, UNUSED int flags)
{
    return change_fails() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int wrapped_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    sqlite3_file *real = real_of(file);
    return look_fails() ? SQLITE_IOERR_FSTAT : real->pMethods->xFileSize(real, ret_size);
}

static int wrapped_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return look_fails() ? SQLITE_IOERR_LOCK : real->pMethods->xLock(real, level);
}

static int wrapped_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xUnlock(real, level);
}

static int wrapped_reserved(sqlite3_file *file, int *ret_is_reserved)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xCheckReservedLock(real, ret_is_reserved);
}

static int wrapped_control(sqlite3_file *file, int op, void *argument)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileControl(real, op, argument);
}

static int wrapped_sector(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xSectorSize(real);
}

static int wrapped_device(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xDeviceCharacteristics(real);
}

static int wrapped_shm_map(sqlite3_file *file, int page, int size, int extend,
                           void volatile **ret_map)
{
    sqlite3_file *real = real_of(file);
    return look_fails() ? SQLITE_IOERR_SHMMAP
                        : real->pMethods->xShmMap(real, page, size, extend, ret_map);
}

static int wrapped_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *real = real_of(file);
    bool is_lock = (flags & SQLITE_SHM_LOCK) != 0;
    return is_lock && look_fails() ? SQLITE_IOERR_SHMLOCK
                                   : real->pMethods->xShmLock(real, offset, count, flags);
}

static void wrapped_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    real->pMethods->xShmBarrier(real);
}

static int wrapped_shm_unmap(sqlite3_file *file, int is_delete)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmUnmap(real, is_delete);
}

static const sqlite3_io_methods wrapped_methods = {.iVersion = 2,
                                                   .xClose = wrapped_close,
                                                   .xRead = wrapped_read,
                                                   .xWrite = wrapped_write,
                                                   .xTruncate = wrapped_truncate,
                                                   .xSync = wrapped_sync,
                                                   .xFileSize = wrapped_size,
                                                   .xLock = wrapped_lock,
                                                   .xUnlock = wrapped_unlock,
                                                   .xCheckReservedLock = wrapped_reserved,
                                                   .xFileControl = wrapped_control,
                                                   .xSectorSize = wrapped_sector,
                                                   .xDeviceCharacteristics = wrapped_device,
                                                   .xShmMap = wrapped_shm_map,
                                                   .xShmLock = wrapped_shm_lock,
                                                   .xShmBarrier = wrapped_shm_barrier,
                                                   .xShmUnmap = wrapped_shm_unmap};

static int wrapped_open(UNUSED sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file,
                        int flags, int *ret_flags)
{
    struct wrapped *wrapped = (struct wrapped *)file;
    wrapped->base.pMethods = NULL;
    wrapped->real = (sqlite3_file *)(wrapped + 1);
    if (look_fails()) {
        return SQLITE_CANTOPEN;
    }
    int code = disk.real->xOpen(disk.real, name, wrapped->real, flags, ret_flags);
    wrapped->base.pMethods = code == SQLITE_OK ? &wrapped_methods : NULL;
    return code;
}

static int wrapped_delete(UNUSED sqlite3_vfs *vfs, const char *name, UNUSED int sync_folder)
{
    return change_fails() ? SQLITE_IOERR_DELETE : disk.real->xDelete(disk.real, name, 0);
}

static int wrapped_access(UNUSED sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
    return look_fails() ? SQLITE_IOERR_ACCESS
                        : disk.real->xAccess(disk.real, name, flags, ret_result);
}

static sqlite3_vfs wrapped_vfs;

/* ---- SQLite on our heap ---- */

static void *sqlite_alloc(int size)
{
    return mem_alloc((size_t)size);
}

static void *sqlite_realloc(void *ptr, int size)
{
    return mem_realloc(ptr, (size_t)size);
}

static int sqlite_size(void *ptr)
{
    return (int)malloc_usable_size(ptr);
}

static int sqlite_roundup(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_init(UNUSED void *context)
{
    return SQLITE_OK;
}

static void sqlite_shutdown(UNUSED void *context)
{
}

/* Before any test of this program has SQLite initialised. */
__attribute__((constructor)) static void wrap_sqlite(void)
{
    static const sqlite3_mem_methods methods = {
        sqlite_alloc,   mem_free,    sqlite_realloc,  sqlite_size,
        sqlite_roundup, sqlite_init, sqlite_shutdown, NULL};
    ASSERT(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK);
    ASSERT(sqlite3_initialize() == SQLITE_OK);
    disk.real = sqlite3_vfs_find(NULL);
    wrapped_vfs = *disk.real;
    wrapped_vfs.zName = "moat_test";
    wrapped_vfs.szOsFile = (int)sizeof(struct wrapped) + disk.real->szOsFile;
    wrapped_vfs.xOpen = wrapped_open;
    wrapped_vfs.xDelete = wrapped_delete;
    wrapped_vfs.xAccess = wrapped_access;
    ASSERT(sqlite3_vfs_register(&wrapped_vfs, 1) == SQLITE_OK);
}

/* ---- the script: one of every kind of write ---- */

struct run {
    struct system *system;
    struct identity *owner;
    struct arena *arena;
};

static enum err step_user(struct run *run, struct errinfo *info)
{
    return system_user_create(run->system, run->owner, SLICE("bob"), SLICE(""), false, info);
}

static enum err step_role(struct run *run, struct errinfo *info)
{
    return system_role_create(run->system, run->owner, SLICE("analyst"), false, info);
}

static enum err step_member(struct run *run, struct errinfo *info)
{
    return system_role_grant(run->system, run->owner, SLICE("analyst"), SLICE("bob"), info);
}

static enum err step_attribute(struct run *run, struct errinfo *info)
{
    struct slice value = SLICE("EU");
    return system_user_set_attribute(run->system, run->owner, SLICE("bob"), SLICE("region"), &value,
                                     info);
}

static enum err step_schema(struct run *run, struct errinfo *info)
{
    return system_schema_create(run->system, run->owner, SLICE("s"), false, info);
}

static enum err step_table(struct run *run, struct errinfo *info)
{
    struct system_relation table = fixture_table_spec("t");
    bool created;
    return system_relation_create(run->system, run->owner, &table, SYSTEM_CREATE, &created, info);
}

static enum err find_uuid(struct run *run, struct slice *ret_uuid, struct errinfo *info)
{
    struct system_relation table;
    struct sql_name name = fixture_name("t");
    TRY(system_relation_load(run->system, run->owner, &name, run->arena, &table, info));
    *ret_uuid = table.relation.uuid;
    return ERR_OK;
}

static enum err step_grant(struct run *run, struct errinfo *info)
{
    const struct grant_mask masks[] = {{2, SLICE("NULL")}};
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT,
                          .grantee_kind = GRANTEE_ROLE,
                          .grantee = SLICE("analyst"),
                          .all_columns = true,
                          .masks = masks,
                          .mask_count = 1,
                          .rows = SLICE("__moat_c3 = 'EU'")};
    uint64_t id;
    TRY(find_uuid(run, &grant.object_uuid, info));
    return system_grant_add(run->system, run->owner, &grant, &id, info);
}

static enum err step_revoke(struct run *run, struct errinfo *info)
{
    struct slice uuid;
    const uint32_t columns[] = {2};
    size_t count;
    TRY(find_uuid(run, &uuid, info));
    return system_grant_revoke(run->system, run->owner, GRANT_ALLOW, PRIVILEGE_SELECT, GRANTEE_ROLE,
                               SLICE("analyst"), uuid, false, columns, 1, &count, info);
}

static enum err step_rename(struct run *run, struct errinfo *info)
{
    struct sql_name name = fixture_name("t");
    return system_column_rename(run->system, run->owner, &name, SLICE("email"), SLICE("mail"),
                                info);
}

static enum err step_replace(struct run *run, struct errinfo *info)
{
    struct slice uuid;
    TRY(find_uuid(run, &uuid, info));
    struct grant grants[3];
    for (size_t i = 0; i < ARRAY_COUNT(grants); i++) {
        grants[i] = (struct grant){.effect = i == 1 ? GRANT_DENY : GRANT_ALLOW,
                                   .privileges = PRIVILEGE_SELECT,
                                   .grantee_kind = GRANTEE_ROLE,
                                   .grantee = SLICE("public"),
                                   .object_uuid = uuid,
                                   .all_columns = true};
    }
    return system_grants_replace(run->system, run->owner, grants, ARRAY_COUNT(grants), info);
}

static enum err change_twice(struct run *run, struct system *overlay, struct errinfo *info)
{
    struct system_relation first = fixture_table_spec("first");
    struct system_relation second = fixture_table_spec("second");
    struct sql_name name = fixture_name("first");
    bool created;
    TRY(system_relation_create(overlay, run->owner, &first, SYSTEM_CREATE, &created, info));
    TRY(system_relation_create(overlay, run->owner, &second, SYSTEM_CREATE, &created, info));
    TRY(system_comment_set(overlay, run->owner, &name, RELATION_TABLE, SLICE("id"), SLICE("both"),
                           info));
    return system_overlay_commit(overlay, run->owner, info);
}

static enum err step_transaction(struct run *run, struct errinfo *info)
{
    struct system *overlay CLEANUP(system_cleanup) = NULL;
    TRY(system_overlay_open(run->system, &overlay, info));
    return change_twice(run, overlay, info);
}

static enum err step_drop_role(struct run *run, struct errinfo *info)
{
    return system_role_drop(run->system, run->owner, SLICE("analyst"), false, info);
}

static enum err step_drop_table(struct run *run, struct errinfo *info)
{
    struct sql_name name = fixture_name("t");
    return system_relation_drop(run->system, run->owner, &name, RELATION_TABLE, false, false, info);
}

static enum err step_anchor(struct run *run, struct errinfo *info)
{
    struct system_anchor anchor = {.trail = "t", .seq = 1000, .hash = "h"};
    return system_anchor_advance(run->system, &anchor, info);
}

static enum err step_anchor_unsynced(struct run *run, struct errinfo *info)
{
    struct system_anchor anchor = {.trail = "t", .seq = 1001, .hash = "i"};
    return system_anchor_advance(run->system, &anchor, info);
}

static enum err (*const steps[])(struct run *, struct errinfo *) = {
    step_user,        step_role,      step_member,    step_attribute,
    step_schema,      step_table,     step_grant,     step_revoke,
    step_rename,      step_replace,   step_anchor,    step_anchor_unsynced,
    step_transaction, step_drop_role, step_drop_table};
#define STEP_COUNT ARRAY_COUNT(steps)

static enum err run_open(struct run *run, const char *folder, bool create, struct errinfo *info)
{
    *run = (struct run){0};
    TRY(system_open(folder, SLICE("olga"), create, &run->system, info));
    return system_login(run->system, SLICE("olga"), SLICE(""), SLICE("local"), SLICE("t"),
                        &run->owner, info);
}

static void run_close(struct run *run)
{
    identity_unref(run->owner);
    system_close(run->system);
    arena_free(run->arena);
}

/* Opens and runs the script until something fails; `on_done` hears of each success (0: opened). */
static enum err run_script(struct run *run, const char *folder, void (*on_done)(void *context),
                           void *context, struct errinfo *info)
{
    TRY(run_open(run, folder, true, info));
    run->arena = arena_new(NULL, "run", 0);
    if (run->arena == NULL) {
        return errinfo_nomem(info);
    }
    on_done(context);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        TRY(steps[i](run, info));
        on_done(context);
    }
    return ERR_OK;
}

/* ---- the state, as text without what differs from run to run ---- */

static void print_people(struct run *run, struct arena *arena, struct buf *out)
{
    struct system_user *users;
    struct system_member *members;
    struct slice *roles;
    size_t count;
    CHECK_OK(system_users(run->system, run->owner, arena, &users, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "user %.*s %zu\n", SLICE_ARGS(users[i].name), users[i].attribute_count);
    }
    CHECK_OK(system_roles(run->system, run->owner, arena, &roles, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "role %.*s\n", SLICE_ARGS(roles[i]));
    }
    CHECK_OK(system_members(run->system, run->owner, arena, &members, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "member %.*s\n", SLICE_ARGS(members[i].member));
    }
}

static void print_objects(struct run *run, struct arena *arena, struct buf *out)
{
    struct system_schema *schemas;
    struct system_relation *relations;
    struct grant *grants;
    struct system_anchor anchor;
    size_t count;
    CHECK_OK(system_anchor(run->system, &anchor, NULL));
    buf_printf(out, "anchor %llu %s\n", (unsigned long long)anchor.seq, anchor.hash);
    CHECK_OK(system_schemas(run->system, run->owner, arena, &schemas, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "schema %.*s\n", SLICE_ARGS(schemas[i].name));
    }
    CHECK_OK(system_relations(run->system, run->owner, arena, &relations, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        const struct relation *relation = &relations[i].relation;
        buf_printf(out, "relation %.*s\n", SLICE_ARGS(relation->name.name));
        for (size_t c = 0; c < relation->column_count; c++) {
            buf_printf(out, " %u %.*s\n", relation->columns[c].id,
                       SLICE_ARGS(relation->columns[c].name));
        }
    }
    CHECK_OK(system_grants(run->system, run->owner, SLICE(""), arena, &grants, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "grant %llu %d %.*s %d %zu %zu %.*s\n", (unsigned long long)grants[i].id,
                   grants[i].effect, SLICE_ARGS(grants[i].grantee), grants[i].all_columns,
                   grants[i].column_count, grants[i].mask_count, SLICE_ARGS(grants[i].rows));
    }
}

static char *print_state(struct run *run)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "state", 0);
    struct buf out CLEANUP(buf_fini) = {0};
    uint64_t version;
    CHECK_OK(system_version(run->system, &version, NULL));
    buf_printf(&out, "version %llu\n", (unsigned long long)version);
    print_people(run, arena, &out);
    print_objects(run, arena, &out);
    char *text = buf_take(&out);
    CHECK(text != NULL);
    return text;
}

/* States after opening and after each step, of a run that nothing disturbs. */
static char *states[STEP_COUNT + 1];

struct recorder {
    struct run *run;
    size_t count;
};

static void record(void *context)
{
    struct recorder *recorder = context;
    mem_free(states[recorder->count]);
    states[recorder->count++] = print_state(recorder->run);
}

static void record_states(void)
{
    struct run run;
    struct recorder recorder = {&run, 0};
    disk.is_on = false;
    CHECK_OK(run_script(&run, test_folder(), record, &recorder, NULL));
    assert_int_equal(recorder.count, STEP_COUNT + 1);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        assert_string_not_equal(states[i], states[i + 1]);
    }
    run_close(&run);
}

static void forget_states(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        mem_free(states[i]);
        states[i] = NULL;
    }
}

static int expect_ok(void *context, int columns, char **values, UNUSED char **names)
{
    int *rows = context;
    (*rows)++;
    return columns == 1 && strcmp(values[0], "ok") == 0 ? 0 : 1;
}

static int expect_nothing(UNUSED void *context, UNUSED int columns, UNUSED char **values,
                          UNUSED char **names)
{
    return 1;
}

/* The store is whole and in the state after `done` steps or one more; it can be written. */
static void check_store(const char *folder, size_t done)
{
    struct run run;
    struct errinfo info;
    int rows = 0;
    enum err err = run_open(&run, folder, false, &info);
    if (err == ERR_NOT_FOUND && done == 0) {
        err = run_open(&run, folder, true, &info); /* died before it was made: made now */
    }
    CHECK_OK(err);
    CHECK(sqlite3_exec(run.system->db, "PRAGMA integrity_check", expect_ok, &rows, NULL) ==
          SQLITE_OK);
    CHECK(rows == 1);
    CHECK(sqlite3_exec(run.system->db, "PRAGMA foreign_key_check", expect_nothing, NULL, NULL) ==
          SQLITE_OK);
    char *state = print_state(&run);
    size_t at = done == 0 ? 0 : done - 1; /* opening counts as done, too */
    if (strcmp(state, states[at]) != 0) {
        CHECK(done > 0 && at + 1 <= STEP_COUNT);
        CHECK_STR(states[at + 1], state);
    }
    mem_free(state);
    CHECK_OK(system_user_create(run.system, run.owner, SLICE("after"), SLICE(""), false, NULL));
    run_close(&run);
}

/* ---- killed ---- */

static void acknowledge(void *context)
{
    const int *fd = context;
    ASSERT(write(*fd, "", 1) == 1);
}

/* Runs the script in a child that dies at `step`; true if it lived. */
static bool run_child(const char *folder, uint64_t step, bool is_torn, size_t *ret_done)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct run run = {0};
        struct fault fault = {.kind = FAULT_KILL, .step = step};
        disk.is_on = true;
        disk.counts_all = false;
        if (is_torn) {
            disk.torn_at = step;
        } else {
            fault_arm(&fault);
        }
        enum err err = run_script(&run, folder, acknowledge, &ends[1], NULL);
        run_close(&run);
        _exit(err == ERR_OK ? 0 : 1);
    }
    CHECK(close(ends[1]) == 0);
    char bytes[64];
    ssize_t got;
    *ret_done = 0;
    while ((got = read(ends[0], bytes, sizeof(bytes))) > 0) {
        *ret_done += (size_t)got;
    }
    CHECK(close(ends[0]) == 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return WIFEXITED(status);
}

static void sweep_kills(bool is_torn)
{
    record_states();
    bool lived = false;
    uint64_t step;
    char folder[128];
    const char *base = test_folder();
    for (step = 1; !lived; step++) {
        size_t done;
        CHECK(step < 10000);
        (void)snprintf(folder, sizeof(folder), "%s/%llu", base, (unsigned long long)step);
        lived = run_child(folder, step, is_torn, &done);
        CHECK(!lived || done == STEP_COUNT + 1);
        check_store(folder, done);
    }
    CHECK(step > 4 * STEP_COUNT); /* a commit is more than one step: the sweep saw inside */
    forget_states();
}

TEST(system_crash, killed_before_any_write_sync_or_deletion_loses_nothing_acknowledged)
{
    sweep_kills(false);
}

TEST(system_crash, killed_within_any_write_loses_nothing_acknowledged)
{
    sweep_kills(true);
}

/* ---- failing ---- */

static void count_done(void *context)
{
    size_t *done = context;
    (*done)++;
}

static void sweep_failures(bool counts_all, bool is_full)
{
    record_states();
    const char *base = test_folder();
    char folder[128];
    uint64_t failures = 0;
    SWEEP_IO(fault)
    {
        struct run run;
        struct errinfo info;
        size_t done = 0;
        (void)snprintf(folder, sizeof(folder), "%s/%llu", base, (unsigned long long)fault.step);
        disk.is_on = true;
        disk.counts_all = counts_all;
        disk.is_full = is_full;
        errinfo_init(&info);
        enum err err = run_script(&run, folder, count_done, &done, &info);
        CHECK(err == ERR_OK || fault.fired);
        CHECK(err == ERR_OK || err == ERR_IO || err == ERR_CORRUPT);
        CHECK(err == ERR_OK || info.message[0] != '\0');
        disk.is_on = false;
        if (err != ERR_OK && run.system != NULL && run.owner != NULL && done > 0) {
            /* The same handle goes on, and sees what was acknowledged. */
            char *state = print_state(&run);
            CHECK_STR(states[done - 1], state);
            mem_free(state);
        }
        disk.is_on = true;
        run_close(&run);
        disk.is_on = false;
        failures += err != ERR_OK;
        check_store(folder, done);
    }
    CHECK(failures > 2 * STEP_COUNT);
    forget_states();
}

TEST(system_crash, any_failing_step_of_the_disk_is_a_clean_error)
{
    sweep_failures(true, false);
}

TEST(system_crash, a_full_disk_is_a_clean_error)
{
    sweep_failures(false, true);
}

TEST(system_crash, any_failing_allocation_while_opening_is_a_clean_error)
{
    struct fixture f;
    uint64_t failures = 0;
    fixture_open(&f);
    SWEEP_ALLOC(fault)
    {
        struct run run;
        enum err err = run_open(&run, f.folder, false, NULL);
        CHECK(err == ERR_OK || (fault.fired && err == ERR_NOMEM));
        failures += err != ERR_OK;
        fault_disarm();
        run_close(&run);
    }
    CHECK(failures > 50);
    fixture_close(&f);
}

TEST(system_crash, any_failing_allocation_of_a_write_or_read_is_a_clean_error)
{
    record_states();
    const char *base = test_folder();
    char folder[128];
    uint64_t failures = 0;
    uint64_t seed = test_seed();
    SWEEP_ALLOC(fault)
    {
        struct run run;
        struct arena *arena CLEANUP(arena_cleanup) = NULL;
        struct grant *grants;
        size_t done = 1, count;
        fault_disarm();
        (void)snprintf(folder, sizeof(folder), "%s/%llu", base, (unsigned long long)fault.step);
        CHECK_OK(run_open(&run, folder, true, NULL));
        run.arena = arena_new(NULL, "run", 0);
        fault_arm(&fault);
        enum err err = ERR_OK;
        for (size_t i = 0; err == ERR_OK && i < STEP_COUNT; i++) {
            err = steps[i](&run, NULL);
            done += err == ERR_OK;
        }
        if (err == ERR_OK && (arena = arena_new(NULL, "read", 0)) != NULL) {
            err = system_grants(run.system, run.owner, SLICE(""), arena, &grants, &count, NULL);
        }
        CHECK(err == ERR_OK || (fault.fired && err == ERR_NOMEM));
        failures += err != ERR_OK;
        fault_disarm();
        char *now = print_state(&run);
        CHECK_STR(states[done - 1], now);
        mem_free(now);
        run_close(&run);
        fault.step += test_random_below(&seed, 16); /* thousands of steps: some of them */
    }
    CHECK(failures > 50);
    forget_states();
}
