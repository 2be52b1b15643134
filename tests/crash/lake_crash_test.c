/* kill -9 before each write, sync and link of a statement that writes a table of a lake.
 *
 * Goal: afterwards the table has the rows from before or those from after, those from after if the
 * statement was answered, and the next statement works. Method: before the first, second, third ...
 * step of the program's own files, a process each, until the statement passes untouched.
 * MOAT_CRASH_STRIDE=n: each n-th step only, from one of the first n that the seed chooses. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sweep.h"
#include "base/test.h"
#include "engine/host/testing.h"
#include "query/query.h"

#define STEPS_MAX 400
#define UNREADABLE 255

struct world {
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
};

static enum err open_world(const char *folder, struct world *world, struct errinfo *info)
{
    char set[256];
    const char *sets[] = {set, "engine.threads=1"};
    struct config_sources sources = {.sets = sets, .set_count = ARRAY_COUNT(sets)};
    (void)snprintf(set, sizeof(set), "warehouse.path=%s/warehouse", folder);
    TRY(config_load(&sources, &world->config, info));
    struct warehouse_options options = {
        .config = world->config, .create_if_missing = true, .engine_host = test_host_program()};
    TRY(warehouse_open(&options, &world->warehouse, info));
    TRY(warehouse_login_local(world->warehouse, SLICE(""), &world->who, info));
    return session_open(world->warehouse, world->who, &world->session, info);
}

static void close_world(struct world *world)
{
    session_close(world->session);
    identity_unref(world->who);
    warehouse_close(world->warehouse);
    config_free(world->config);
}

/* How many rows the statement gave out. */
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

/* In a process of its own, so that this one never holds an engine while it forks. */
static int run_alone(const char *folder, const char *const *texts, size_t count)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct world world = {0};
        struct errinfo info;
        uint64_t rows = 0;
        enum err err = open_world(folder, &world, &info);
        for (size_t i = 0; i < count && err == ERR_OK; i++) {
            err = run(world.session, texts[i], &rows);
        }
        _exit(err == ERR_OK && rows < UNREADABLE ? (int)rows : UNREADABLE);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* True: the statement was answered. Only its own steps count, not those of opening. */
static bool run_killed(const char *folder, const char *text, uint64_t step)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct world world = {0};
        struct errinfo info;
        uint64_t rows = 0;
        struct fault fault = {.kind = FAULT_KILL, .step = step};
        if (open_world(folder, &world, &info) != ERR_OK) {
            _exit(2);
        }
        fault_arm(&fault);
        enum err err = run(world.session, text, &rows);
        fault_disarm();
        close_world(&world);
        _exit(err == ERR_OK ? 0 : 3);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(is_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return !is_killed;
}

/* Rows of the table, at most 254. */
static int count_rows(const char *folder)
{
    static const char *const texts[] = {"SELECT id FROM lake.s.t WHERE id < 10000"};
    int rows = run_alone(folder, texts, ARRAY_COUNT(texts));
    CHECK(rows != UNREADABLE);
    return rows;
}

static void prepare(const char *folder, const char *properties)
{
    char attach[256];
    char create[512];
    (void)snprintf(attach, sizeof(attach),
                   "ATTACH '%s/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true)", folder);
    (void)snprintf(create, sizeof(create),
                   "CREATE TABLE lake.s.t PARTITIONED BY (bucket(2, id)) WITH (%s) AS SELECT i AS "
                   "id FROM range(100) r(i)",
                   properties);
    const char *const texts[] = {attach, "CREATE SCHEMA lake.s", create};
    CHECK(run_alone(folder, texts, ARRAY_COUNT(texts)) != UNREADABLE);
}

static uint64_t stride(void)
{
    const char *text = getenv("MOAT_CRASH_STRIDE");
    long steps = text != NULL ? strtol(text, NULL, 10) : 1;
    CHECK(steps > 0 && steps < STEPS_MAX / 10);
    return (uint64_t)steps;
}

/* Each time the statement takes effect there are `change` rows more. */
static void sweep(const char *folder, const char *statement, int change)
{
    int rows = count_rows(folder);
    bool is_answered = false;
    uint64_t kept = 0;
    uint64_t killed = 0;
    uint64_t step = 1 + test_seed() % stride();
    for (; !is_answered && step < STEPS_MAX; step += stride()) {
        is_answered = run_killed(folder, statement, step);
        int now = count_rows(folder);
        CHECK(now == rows + change || (now == rows && !is_answered));
        killed += is_answered ? 0 : 1;
        kept += now != rows && !is_answered ? 1 : 0;
        rows = now;
    }
    CHECK(is_answered && step > 10);          /* that there were steps to die at */
    CHECK(kept < killed / 2 || stride() > 1); /* and most of them came before the commit */
}

TEST(lake_crash, an_insert_is_there_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep(folder, "INSERT INTO lake.s.t VALUES (1000), (1001)", 2);
}

TEST(lake_crash, a_delete_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep(folder, "DELETE FROM lake.s.t WHERE id = (SELECT min(id) FROM lake.s.t)", -1);
}

#define UPDATE                                                                                     \
    "UPDATE lake.s.t SET id = id + 10000 WHERE id = (SELECT min(id) FROM lake.s.t WHERE id < "     \
    "10000)"
#define MERGE                                                                                      \
    "MERGE INTO lake.s.t AS t USING (SELECT min(id) AS id FROM lake.s.t UNION ALL SELECT 1000 + "  \
    "count(*) FROM lake.s.t UNION ALL SELECT 3000 + count(*) FROM lake.s.t) AS s ON t.id = s.id "  \
    "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"

TEST(lake_crash, an_update_that_writes_files_anew_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep(folder, UPDATE, -1);
}

TEST(lake_crash, an_update_with_delete_files_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2, \"write.update.mode\" = 'merge-on-read'");
    sweep(folder, UPDATE, -1);
}

TEST(lake_crash, an_update_with_vectors_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 3, \"write.update.mode\" = 'merge-on-read'");
    sweep(folder, UPDATE, -1);
}

TEST(lake_crash, a_merge_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 3, \"write.merge.mode\" = 'merge-on-read'");
    sweep(folder, MERGE, 1);
}

TEST(lake_crash, an_overwrite_is_done_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep(folder,
          "INSERT OVERWRITE lake.s.t SELECT id FROM lake.s.t UNION ALL SELECT max(id) + 1 FROM "
          "lake.s.t",
          1);
}

/* As above, of a statement that changes no row; `before` gives it something to do again, about as
 * much each time: work that grew with what was killed would never end. */
static void sweep_after(const char *folder, const char *const *before, size_t count,
                        const char *statement)
{
    bool is_answered = false;
    uint64_t step = 1 + test_seed() % stride();
    for (; !is_answered && step < STEPS_MAX; step += stride()) {
        CHECK(run_alone(folder, before, count) != UNREADABLE);
        int rows = count_rows(folder);
        is_answered = run_killed(folder, statement, step);
        CHECK(count_rows(folder) == rows);
    }
    CHECK(is_answered && step > 6);
}

static void sweep_still(const char *folder, const char *before, const char *statement)
{
    sweep_after(folder, &before, 1, statement);
}

TEST(lake_crash, a_table_is_altered_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep_still(folder, "ALTER TABLE lake.s.t DROP COLUMN IF EXISTS c",
                "ALTER TABLE lake.s.t ADD COLUMN IF NOT EXISTS c INTEGER");
}

TEST(lake_crash, expiry_removes_nothing_that_lives)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep_still(folder, "DELETE FROM lake.s.t WHERE id = (SELECT min(id) FROM lake.s.t)",
                "CALL moat.expire_snapshots('lake.s.t', older_than => '2999-01-01')");
}

TEST(lake_crash, manifests_are_rewritten_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep_still(folder, "DELETE FROM lake.s.t WHERE id = (SELECT min(id) FROM lake.s.t)",
                "CALL moat.rewrite_manifests('lake.s.t')");
}

TEST(lake_crash, data_files_are_rewritten_or_not)
{
    static const char *const before[] = {
        "CALL moat.rewrite_data_files('lake.s.t', rewrite_all => true)",
        "INSERT INTO lake.s.t VALUES (20000), (20001)"};
    const char *folder = test_folder();
    prepare(folder, "format_version = 3");
    sweep_after(folder, before, ARRAY_COUNT(before),
                "CALL moat.rewrite_data_files('lake.s.t', min_input_files => 2)");
}

TEST(lake_crash, position_deletes_are_rewritten_or_not)
{
    static const char *const before[] = {
        "CALL moat.rewrite_position_delete_files('lake.s.t')",
        "DELETE FROM lake.s.t WHERE id = (SELECT min(id) FROM lake.s.t)"};
    const char *folder = test_folder();
    prepare(folder, "format_version = 2, \"write.delete.mode\" = 'merge-on-read'");
    sweep_after(folder, before, ARRAY_COUNT(before),
                "CALL moat.rewrite_position_delete_files('lake.s.t', rewrite_all => true)");
}

TEST(lake_crash, statistics_are_there_or_not)
{
    const char *folder = test_folder();
    prepare(folder, "format_version = 2");
    sweep_still(folder, "SELECT 1", "CALL moat.compute_statistics('lake.s.t')");
}

TEST(lake_crash, what_is_staged_is_published_or_not)
{
    const char *folder = test_folder();
    static const char *const stage[] = {"SET lake.wap_id = 'x'",
                                        "INSERT INTO lake.s.t VALUES (2000)"};
    prepare(folder, "format_version = 2, \"write.wap.enabled\" = 'true'");
    CHECK(run_alone(folder, stage, ARRAY_COUNT(stage)) != UNREADABLE);
    CHECK(count_rows(folder) == 100);
    bool is_answered = false;
    uint64_t step = 1 + test_seed() % stride();
    int now = 100;
    for (; now == 100 && !is_answered && step < STEPS_MAX; step += stride()) {
        is_answered = run_killed(folder, "CALL moat.publish_changes('lake.s.t', 'x')", step);
        now = count_rows(folder);
        CHECK(now == 101 || (now == 100 && !is_answered));
    }
    CHECK(now == 101 && step > 5);
}

/* Files that are nobody's, older than any that a statement may be writing. */
static void leave_orphans(const char *folder)
{
    static const char *const names[] = {"data/a.parquet", "data/b.parquet", "metadata/c.avro"};
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/warehouse/s/t/%s", folder, names[i]);
        FILE *file = fopen(path, "w");
        CHECK(file != NULL && fputs("x", file) >= 0 && fclose(file) == 0);
        CHECK(utimensat(AT_FDCWD, path, long_ago, 0) == 0);
    }
}

TEST(lake_crash, orphans_go_and_nothing_that_lives)
{
    const char *folder = test_folder();
    bool is_answered = false;
    uint64_t step = 1 + test_seed() % stride();
    prepare(folder, "format_version = 2");
    for (; !is_answered && step < STEPS_MAX; step += stride()) {
        leave_orphans(folder);
        is_answered = run_killed(folder, "CALL moat.remove_orphan_files('lake.s.t')", step);
        CHECK(count_rows(folder) == 100);
    }
    CHECK(is_answered && step > 1);
}

/* A table that is gone is gone whole, and one that is not has all rows. */
TEST(lake_crash, a_table_is_purged_or_not)
{
    static const char *const make[] = {
        "CREATE TABLE IF NOT EXISTS lake.s.u AS SELECT i AS id FROM range(50) r(i)"};
    static const char *const names[] = {
        "SELECT 1 FROM information_schema.tables WHERE table_name = 'u'"};
    static const char *const rows[] = {"SELECT id FROM lake.s.u"};
    const char *folder = test_folder();
    bool is_answered = false;
    uint64_t step = 1 + test_seed() % stride();
    prepare(folder, "format_version = 2");
    for (; !is_answered && step < STEPS_MAX; step += stride()) {
        CHECK(run_alone(folder, make, 1) != UNREADABLE);
        is_answered = run_killed(folder, "DROP TABLE lake.s.u PURGE", step);
        int is_there = run_alone(folder, names, 1);
        CHECK(is_there == 0 || (is_there == 1 && !is_answered));
        CHECK(is_there == 0 || run_alone(folder, rows, 1) == 50);
        CHECK(count_rows(folder) == 100);
    }
    CHECK(is_answered && step > 10);
}
