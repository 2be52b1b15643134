/* kill -9 before any one write, sync or rename of the store and the audit trail, while a program
 * runs statements.
 *
 * The store is on a wrapped SQLite file system and the trail on base/io, which both count a
 * sweep's steps. Whatever ran is in processes of their own, so that this one never holds an
 * engine while it forks. What a statement's caller was told comes through a pipe: after the
 * crash the warehouse must open, its trail be intact, and every statement that was answered be
 * there, in the trail and in its effect. */
#include <ftw.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "engine/host/testing.h"
#include "observe/audit.h"
#include "query/query.h"

/* ---- a file system that counts what changes files ---- */

static sqlite3_vfs *real_vfs;
static sqlite3_vfs counting_vfs;

/* The methods of one kind of file (database, journal), and a copy of them that counts. */
struct methods {
    sqlite3_io_methods counting; /* first: a file's pMethods points at it */
    const sqlite3_io_methods *real;
};

static struct methods kinds[4];

static const sqlite3_io_methods *real_of(const sqlite3_file *file)
{
    return ((const struct methods *)(const void *)file->pMethods)->real;
}

static int counting_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    (void)fault_hit_io();
    return real_of(file)->xWrite(file, bytes, len, at);
}

static int counting_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    (void)fault_hit_io();
    return real_of(file)->xTruncate(file, size);
}

/* A killed process loses nothing that it wrote: the sync itself is not needed here. */
static int counting_sync(UNUSED sqlite3_file *file, UNUSED int flags)
{
    (void)fault_hit_io();
    return SQLITE_OK;
}

static const sqlite3_io_methods *counting_of(const sqlite3_io_methods *real)
{
    struct methods *kind = kinds;
    while (kind->real != NULL && kind->real != real) {
        kind++;
        ASSERT(kind < kinds + ARRAY_COUNT(kinds));
    }
    kind->real = real;
    kind->counting = *real;
    kind->counting.xWrite = counting_write;
    kind->counting.xTruncate = counting_truncate;
    kind->counting.xSync = counting_sync;
    return &kind->counting;
}

static int counting_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                         int *ret_flags)
{
    int code = real_vfs->xOpen(vfs, name, file, flags, ret_flags);
    if (code == SQLITE_OK && file->pMethods != NULL) {
        file->pMethods = counting_of(file->pMethods);
    }
    return code;
}

static int counting_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)fault_hit_io();
    return real_vfs->xDelete(vfs, name, sync_folder);
}

static void count_sqlite(void)
{
    ASSERT(sqlite3_initialize() == SQLITE_OK);
    real_vfs = sqlite3_vfs_find(NULL);
    counting_vfs = *real_vfs;
    counting_vfs.zName = "counting";
    counting_vfs.xOpen = counting_open;
    counting_vfs.xDelete = counting_delete;
    ASSERT(sqlite3_vfs_register(&counting_vfs, 1) == SQLITE_OK);
}

/* Mean distance of two crashes past the first: some hundred steps in well under a minute. */
#define CRASH_DISTANCE 8

/* ---- the script ---- */

/* Each with a question, asked after the crash, that gives rows only if the statement had its
 * effect. A later statement may undo it: such a question holds until then. */
static const struct {
    const char *statement;
    const char *question;
    size_t undone_by; /* index; 0 = never */
} script[] = {
    {"CREATE EXTERNAL TABLE t LOCATION", "SELECT 1 FROM (SELECT count(*) AS n FROM t) WHERE n = 2",
     9},
    {"CREATE USER ann PASSWORD 'secret'", "SELECT 1 FROM moat_system.users WHERE name = 'ann'", 0},
    {"CREATE ROLE reader", NULL, 0}, /* the next but one stands on it */
    {"GRANT ROLE reader TO ann",
     "SELECT 1 FROM moat_system.members WHERE \"role\" = 'reader' AND member = 'ann'", 0},
    {"ALTER USER ann SET ATTRIBUTE region = 'EU'",
     "SELECT 1 FROM moat_system.users WHERE name = 'ann' AND attributes['region'] = 'EU'", 0},
    {"GRANT SELECT (id) ON t TO ROLE reader ROWS WHERE id = 1",
     "SELECT 1 FROM moat_system.grants WHERE grantee = 'reader' AND has_rows", 0},
    {"CREATE VIEW v AS SELECT id FROM t",
     "SELECT 1 FROM information_schema.views WHERE table_name = 'v'", 0},
    {"SELECT count(*) FROM t", NULL, 0},
    {"CREATE SCHEMA s", "SELECT 1 FROM moat_system.schemas WHERE name = 's'", 0},
    {"ALTER TABLE t RENAME TO u", "SELECT 1 FROM information_schema.tables WHERE table_name = 'u'",
     0},
    {"SELECT id FROM u", NULL, 0},
};

static enum err open_all(const char *folder, struct config **config, struct warehouse **warehouse,
                         struct identity **who, struct session **session)
{
    char set[256];
    const char *sets[] = {set, "engine.threads=1"};
    struct config_sources sources = {.sets = sets, .set_count = ARRAY_COUNT(sets)};
    struct errinfo info;
    (void)snprintf(set, sizeof(set), "warehouse.path=%s/warehouse", folder);
    TRY(config_load(&sources, config, &info));
    struct warehouse_options options = {
        .config = *config, .create_if_missing = true, .engine_host = test_host_program()};
    enum err err = warehouse_open(&options, warehouse, &info);
    if (err == ERR_OK) {
        err = warehouse_login_local(*warehouse, SLICE(""), who, &info);
    }
    if (err == ERR_OK) {
        err = session_open(*warehouse, *who, session, &info);
    }
    if (err != ERR_OK) {
        (void)fprintf(stderr, "the warehouse does not open: %s\n", info.message);
    }
    return err;
}

static enum err run(struct session *session, const char *text, uint64_t *ret_rows)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct errinfo info;
    enum err err = query_open(session, slice_of(text), NULL, 0, &query, &info);
    while (err == ERR_OK && query_has_rows(query)) {
        struct ArrowArray batch = {0};
        err = query_next(query, &batch, &info);
        if (err == ERR_OK && batch.release == NULL) {
            break;
        }
        if (err == ERR_OK) {
            batch.release(&batch);
        }
    }
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s: %s\n", text, info.message);
        return err;
    }
    *ret_rows = query_rows(query);
    return ERR_OK;
}

/* In a process of its own: the script, killed before step `step`; answers go to `pipe_fd`. */
static int play(const char *folder, uint64_t step, int pipe_fd)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    struct fault fault = {.kind = FAULT_KILL, .step = step};
    uint64_t rows;
    count_sqlite();
    fault_arm(&fault);
    if (open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    for (size_t i = 0; i < ARRAY_COUNT(script); i++) {
        char text[512];
        bool has_file = strstr(script[i].statement, "LOCATION") != NULL;
        (void)snprintf(text, sizeof(text), has_file ? "%s '%s/t.csv'" : "%s", script[i].statement,
                       folder);
        if (run(session, text, &rows) != ERR_OK) {
            return 3;
        }
        ASSERT(write(pipe_fd, "+", 1) == 1);
    }
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    fault_disarm();
    return fault.fired ? 4 : 0;
}

#define NEIGHBOUR_STATEMENTS 6

/* In a process beside the one that is killed: statements of its own, none of which may fail. */
static int live_beside(const char *folder)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    uint64_t rows;
    if (open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    for (int i = 0; i < NEIGHBOUR_STATEMENTS; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "CREATE USER neighbour_%d", i);
        if (run(session, text, &rows) != ERR_OK || run(session, "SELECT 1", &rows) != ERR_OK) {
            return 3;
        }
    }
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    return 0;
}

static enum err load_config(const char *folder, struct config **ret_config)
{
    char set[256];
    const char *sets[] = {set};
    struct config_sources sources = {.sets = sets, .set_count = 1};
    struct errinfo info;
    (void)snprintf(set, sizeof(set), "warehouse.path=%s/warehouse", folder);
    return config_load(&sources, ret_config, &info);
}

/* As the crash left it, before a start moves the anchor: the trail reaches it, and not much
 * further. A warehouse whose making was cut short has neither yet. */
static bool is_anchored(const char *folder)
{
    struct config *config;
    struct errinfo info;
    struct audit_report report = {0};
    struct audit_anchor anchor = {0};
    if (load_config(folder, &config) != ERR_OK) {
        return false;
    }
    enum err err = warehouse_verify_trail(config, &report, &anchor, &info);
    config_free(config);
    if (err == ERR_NOT_FOUND) {
        return true;
    }
    if (err != ERR_OK || (!report.is_intact && anchor.seq > 0)) {
        (void)fprintf(stderr, "after the crash: %s%s\n", err == ERR_OK ? "" : info.message,
                      report.problem);
        return false;
    }
    return report.records <= anchor.seq + 2 * (uint64_t)AUDIT_ANCHOR_RECORDS;
}

/* In another: what must be true after it, `answered` statements having returned. */
static int check(const char *folder, size_t answered)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    uint64_t rows;
    struct audit_report report;
    struct audit_anchor anchor;
    struct errinfo info;
    if (!is_anchored(folder)) {
        return 7;
    }
    if (open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    if (warehouse_verify_trail(config, &report, &anchor, &info) != ERR_OK || !report.is_intact) {
        (void)fprintf(stderr, "the trail is not intact: %s\n", report.problem);
        return 3;
    }
    if (anchor.seq + AUDIT_ANCHOR_RECORDS < report.records) {
        (void)fprintf(stderr, "the anchor is behind: %llu of %llu records\n",
                      (unsigned long long)anchor.seq, (unsigned long long)report.records);
        return 6;
    }
    for (size_t i = 0; i < answered; i++) {
        bool is_undone = script[i].undone_by != 0 && answered >= script[i].undone_by;
        if (script[i].question != NULL && !is_undone &&
            (run(session, script[i].question, &rows) != ERR_OK || rows != 1)) {
            (void)fprintf(stderr, "lost: %s\n", script[i].statement);
            return 4;
        }
    }
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "SELECT 1 FROM (SELECT count(DISTINCT query_id) AS n FROM moat_system.audit "
                   "WHERE kind IN ('query_start', 'admin')) WHERE n >= %zu",
                   answered);
    if (run(session, text, &rows) != ERR_OK || rows != 1) {
        (void)fprintf(stderr, "the trail lacks statements that were answered\n");
        return 5;
    }
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    return 0;
}

static int await(pid_t child)
{
    int status = 0;
    ASSERT(waitpid(child, &status, 0) == child);
    return status;
}

/* What a process of its own says of the neighbour's statements after the crash. */
static int check_neighbour(const char *folder)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    uint64_t rows;
    char text[256];
    if (open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    (void)snprintf(text, sizeof(text),
                   "SELECT 1 FROM (SELECT count(*) AS n FROM moat_system.users WHERE name LIKE "
                   "'neighbour%%') WHERE n = %d",
                   NEIGHBOUR_STATEMENTS);
    if (run(session, text, &rows) != ERR_OK || rows != 1) {
        return 3;
    }
    (void)snprintf(text, sizeof(text),
                   "SELECT 1 FROM (SELECT count(*) AS n FROM moat_system.audit WHERE kind = "
                   "'admin' AND statement LIKE 'CREATE USER neighbour%%') WHERE n >= %d",
                   NEIGHBOUR_STATEMENTS);
    if (run(session, text, &rows) != ERR_OK || rows != 1) {
        return 4;
    }
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    return 0;
}

static pid_t start(int (*body)(const char *folder), const char *folder)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        _exit(body(folder));
    }
    return child;
}

/* Runs and checks with the crash at `step`; true if the script ended without one. With a neighbour,
 * another process uses the same warehouse meanwhile. */
static bool crash_at(const char *folder, uint64_t step, bool has_neighbour)
{
    char path[256];
    int ends[2];
    char answers[64];
    size_t answered = 0;
    (void)snprintf(path, sizeof(path), "%s/t.csv", folder);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK(fputs("id,name\n1,ann\n2,bob\n", file) >= 0 && fclose(file) == 0);
    CHECK(pipe(ends) == 0);
    pid_t neighbour = has_neighbour ? start(live_beside, folder) : 0;
    (void)fflush(stdout);
    pid_t player = fork();
    if (player == 0) {
        close(ends[0]);
        _exit(play(folder, step, ends[1]));
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], answers, sizeof(answers))) > 0;) {
        answered += (size_t)got;
    }
    close(ends[0]);
    int status = await(player);
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!is_killed && status != 0) {
        print_error("step %llu: the script ended with status %d\n", (unsigned long long)step,
                    status);
    }
    CHECK(is_killed || status == 0);
    CHECK(is_killed || answered == ARRAY_COUNT(script));
    if (has_neighbour) {
        CHECK(await(neighbour) == 0);
        CHECK(await(start(check_neighbour, folder)) == 0);
    }
    pid_t checker = fork();
    if (checker == 0) {
        _exit(check(folder, answered));
    }
    status = await(checker);
    if (status != 0) {
        print_error("step %llu, %zu answered: status %d\n", (unsigned long long)step, answered,
                    status);
    }
    CHECK(status == 0);
    return !is_killed;
}

TEST(crash, kill_before_any_write_loses_nothing_answered)
{
    // Goal: after kill -9 anywhere the warehouse opens, the trail verifies, answered statements are
    // there. Method: kill before steps 1, 2, 3 ... while the warehouse is made; later, steps at
    // random distances, all of which many runs together cover.
    uint64_t seed = test_seed();
    uint64_t step = 1;
    unsigned crashes = 0;
    while (!crash_at(test_folder(), step, false)) {
        crashes++;
        step += step < 16 ? 1 : 1 + test_random_below(&seed, CRASH_DISTANCE);
    }
    print_message("%u crashes over %llu steps\n", crashes, (unsigned long long)step);
    assert_in_range(crashes, 20, 250);
}

static int only_open(const char *folder)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    if (open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    return 0;
}

TEST(crash, kill_beside_another_process_harms_neither)
{
    // Goal: one of two processes on a warehouse is killed while both write; the other notices
    // nothing, and what either was answered is there. Method: as above, at random distances.
    uint64_t seed = test_seed();
    uint64_t step = 1 + test_random_below(&seed, CRASH_DISTANCE);
    unsigned crashes = 0;
    for (;;) {
        const char *folder = test_folder();
        CHECK(await(start(only_open, folder)) == 0);
        if (crash_at(folder, step, true)) {
            break;
        }
        crashes++;
        step += 1 + test_random_below(&seed, 8 * CRASH_DISTANCE);
    }
    print_message("%u crashes over %llu steps\n", crashes, (unsigned long long)step);
    assert_in_range(crashes, 3, 100);
}

/* ---- accepting that the trail is gone ---- */

/* In a process of its own: killed before step `step` (0: not), then 0 if the loss was accepted. */
static int accept_loss(const char *folder, uint64_t step)
{
    struct config *config;
    struct trail_loss loss = {0};
    struct errinfo info;
    struct fault fault = {.kind = FAULT_KILL, .step = step};
    if (load_config(folder, &config) != ERR_OK) {
        return 2;
    }
    if (step > 0) {
        count_sqlite();
        fault_arm(&fault);
    }
    enum err err = warehouse_accept_trail_loss(config, &loss, &info);
    fault_disarm();
    if (err != ERR_OK) {
        (void)fprintf(stderr, "the loss is not accepted: %s\n", info.message);
    }
    config_free(config);
    return err == ERR_OK ? 0 : 3;
}

/* After it: opens, verifies, and the trail tells of the loss. */
static int check_accepted(const char *folder)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    uint64_t rows;
    if (!is_anchored(folder) || open_all(folder, &config, &warehouse, &who, &session) != ERR_OK) {
        return 2;
    }
    bool is_told = run(session,
                       "SELECT 1 FROM moat_system.audit WHERE kind = 'loss' AND statement LIKE "
                       "'accepted the loss of audit records % to % of the trail %'",
                       &rows) == ERR_OK &&
                   rows == 1;
    session_close(session);
    identity_unref(who);
    warehouse_close(warehouse);
    config_free(config);
    return is_told && is_anchored(folder) ? 0 : 3;
}

static int must_refuse(const char *folder)
{
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    ASSERT(freopen("/dev/null", "w", stderr) != NULL); /* what it says is tested elsewhere */
    return open_all(folder, &config, &warehouse, &who, &session) == ERR_OK ? 1 : 0;
}

static int remove_entry(const char *path, UNUSED const struct stat *status, UNUSED int kind,
                        UNUSED struct FTW *walk)
{
    return remove(path);
}

/* Takes the whole trail away, or all of it but the first record. */
static void damage(const char *folder, bool is_all)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/warehouse/audit", folder);
    if (is_all) {
        CHECK(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
        return;
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct slice text;
    char *file = io_join(arena, path, "audit-00000000000000000001.jsonl");
    CHECK_OK(io_read_file(arena, file, 1 << 20, &text, NULL));
    const char *newline = memchr(text.ptr, '\n', text.len);
    CHECK(newline != NULL && truncate(file, newline - text.ptr + 1) == 0);
}

/* True if the accepting ended without a crash. */
static bool accept_crash_at(const char *folder, uint64_t step, bool is_all)
{
    CHECK(await(start(only_open, folder)) == 0);
    CHECK(await(start(only_open, folder)) == 0);
    damage(folder, is_all);
    CHECK(await(start(must_refuse, folder)) == 0);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        _exit(accept_loss(folder, step));
    }
    int status = await(child);
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(is_killed || status == 0);
    if (is_killed) { /* again, as whoever is told that the start is refused would */
        child = fork();
        if (child == 0) {
            _exit(accept_loss(folder, 0));
        }
        CHECK(await(child) == 0);
    }
    CHECK(await(start(check_accepted, folder)) == 0);
    return !is_killed;
}

TEST(crash, kill_while_a_loss_is_accepted_can_be_done_again)
{
    // Goal: moat audit accept-loss, killed anywhere, leaves a warehouse that is refused as before
    // or opens; done again it always opens, and the trail tells of the loss. Method: kill before
    // each step, with the trail gone and with its end cut.
    for (int is_all = 0; is_all < 2; is_all++) {
        const char *base = test_folder();
        char folder[200];
        uint64_t step = 0;
        do {
            step++;
            (void)snprintf(folder, sizeof(folder), "%s/%llu", base, (unsigned long long)step);
            CHECK(mkdir(folder, 0700) == 0);
        } while (!accept_crash_at(folder, step, is_all == 1));
        assert_in_range(step, 8, 200);
    }
}
