/* Spill folders of processes that are gone. */
#include "query/spill_int.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"

static char *place(struct arena *arena, const char *name)
{
    char *path = io_join(arena, test_folder(), name);
    CHECK(path != NULL && mkdir(path, 0700) == 0);
    return path;
}

static void put_file(const char *folder, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(file, "x", 1) == 1 && close(file) == 0);
}

TEST(spill, what_killed_processes_left_is_removed_and_nothing_else)
{
    /* Goal: a folder goes when its process is gone, whatever is in it, and not before. Method: a
     * child that holds one is looked at while it lives, and after it was killed. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "spill", 0);
    const char *tmp = place(arena, "tmp");
    int told[2];
    char theirs[4096] = "";
    CHECK(pipe(told) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct spill *spill;
        struct errinfo info;
        char inner[4096];
        if (spill_open(tmp, &spill, &info) != ERR_OK) {
            _exit(1);
        }
        (void)snprintf(inner, sizeof(inner), "%s/moat-spill-0123", spill_folder(spill));
        bool is_made = mkdir(inner, 0700) == 0;
        put_file(inner, "duckdb_temp_storage-0.tmp");
        put_file(spill_folder(spill), "a.tmp");
        size_t len = strlen(spill_folder(spill));
        is_made = is_made && write(told[1], spill_folder(spill), len) == (ssize_t)len;
        for (;;) {
            (void)pause();
        }
    }
    CHECK(child > 0);
    CHECK(read(told[0], theirs, sizeof(theirs) - 1) > 0);
    const char *other = io_join(arena, tmp, "kept");
    CHECK(mkdir(other, 0700) == 0);
    struct spill *spill;
    struct errinfo info;
    CHECK_OK(spill_open(tmp, &spill, &info));
    CHECK(io_exists(theirs) && io_exists(spill_folder(spill)));
    int status;
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    CHECK(io_exists(theirs));
    struct spill *second;
    CHECK_OK(spill_open(tmp, &second, &info));
    CHECK(!io_exists(theirs) && io_exists(other) && io_exists(spill_folder(spill)));
    spill_close(second);
    char *own = arena_strdup(arena, spill_folder(spill));
    put_file(own, "b.tmp");
    spill_close(spill);
    CHECK(!io_exists(own));
    (void)close(told[0]);
    (void)close(told[1]);
}

TEST(spill, memory_may_end_anywhere)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "spill", 0);
    const char *tmp = place(arena, "tmp");
    SWEEP_ALLOC(fault)
    {
        struct spill *spill = NULL;
        struct errinfo info;
        enum err err = spill_open(tmp, &spill, &info);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        spill_close(err == ERR_OK ? spill : NULL);
    }
    CHECK(rmdir(tmp) == 0); /* nothing is left in it */
}
