#include "base/io.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/sweep.h"
#include "base/test.h"

static const char *path_in(struct arena *arena, const char *folder, const char *name)
{
    const char *path = io_join(arena, folder, name);
    CHECK(path != NULL);
    return path;
}

TEST(io, reads_what_it_wrote)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct slice bytes;
    struct stat status;
    const char *path = path_in(arena, test_folder(), "file");
    CHECK_OK(io_write_file_atomic(path, SLICE("a\0b"), 0600, &info));
    CHECK_OK(io_read_file(arena, path, 3, &bytes, &info));
    CHECK(slice_equal(bytes, SLICE("a\0b")));
    CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
    CHECK_OK(io_write_file_atomic(path, SLICE(""), 0600, &info));
    CHECK_OK(io_read_file(arena, path, 0x10000, &bytes, &info));
    CHECK(bytes.len == 0);
}

TEST(io, tells_what_is_wrong_by_base_name)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct slice bytes = SLICE("untouched");
    const char *folder = test_folder();
    const char *path = path_in(arena, folder, "file");
    CHECK_ERR(ERR_NOT_FOUND, io_read_file(arena, path, 10, &bytes, &info));
    CHECK(strstr(info.message, "\"file\"") != NULL && strstr(info.message, folder) == NULL);
    CHECK_ERR(ERR_IO, io_read_file(arena, folder, 1 << 20, &bytes, &info));
    CHECK_OK(io_write_file_atomic(path, SLICE("12345"), 0600, &info));
    CHECK_ERR(ERR_LIMIT, io_read_file(arena, path, 4, &bytes, &info));
    CHECK_OK(io_read_file(arena, path, 5, &bytes, &info));
    CHECK_SLICE("12345", bytes);
}

TEST(io, appends_and_truncates)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct slice bytes;
    const char *path = path_in(arena, test_folder(), "log");
    for (int i = 0; i < 2; i++) {
        int fd;
        CHECK_OK(io_open_append(path, 0600, &fd, &info));
        CHECK_OK(io_write_all(fd, SLICE("line\n"), &info));
        CHECK_OK(io_sync(fd, &info));
        io_close(fd);
    }
    int fd;
    CHECK_OK(io_open_append(path, 0600, &fd, &info));
    CHECK_OK(io_truncate(fd, 7, &info));
    io_close(fd);
    CHECK_OK(io_read_file(arena, path, 100, &bytes, &info));
    CHECK_SLICE("line\nli", bytes);
    const char *link = path_in(arena, test_folder(), "link");
    CHECK(symlink(path, link) == 0);
    CHECK_ERR(ERR_IO, io_open_append(link, 0600, &fd, &info)); /* nobody leads us elsewhere */
}

TEST(io, makes_folders)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    const char *folder = test_folder();
    const char *deep = path_in(arena, folder, "a/b//c/");
    CHECK_OK(io_make_folders(deep, 0700, &info));
    CHECK(io_exists(deep));
    CHECK_OK(io_make_folders(deep, 0700, &info));
    CHECK_STR("/a", io_join(arena, "/", "a"));
}

TEST(io, atomic_write_keeps_old_or_new_through_every_failure)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct slice bytes;
    const char *path = path_in(arena, test_folder(), "file");
    CHECK_OK(io_write_file_atomic(path, SLICE("old"), 0600, &info));
    uint64_t failures = 0;
    SWEEP_IO(fault)
    {
        enum err err = io_write_file_atomic(path, SLICE("new"), 0600, &info);
        fault_disarm();
        CHECK_ERR(fault.fired ? ERR_IO : ERR_OK, err);
        failures += fault.fired;
        CHECK_OK(io_read_file(arena, path, 10, &bytes, &info));
        CHECK(slice_equal(bytes, SLICE("old")) || slice_equal(bytes, SLICE("new")));
        CHECK(err != ERR_OK || slice_equal(bytes, SLICE("new")));
    }
    CHECK(failures == 6); /* create, write, sync, rename, open the folder, sync it */
    SWEEP_ALLOC(fault)
    {
        CHECK_ERR(fault.step <= 2 ? ERR_NOMEM : ERR_OK,
                  io_write_file_atomic(path, SLICE("more"), 0600, &info));
    }
}

TEST(io, reading_survives_every_failure)
{
    struct arena *keep CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    const char *path = path_in(keep, test_folder(), "file");
    CHECK_OK(io_write_file_atomic(path, SLICE("content"), 0600, &info));
    for (int kind = 0; kind < 2; kind++) {
        SWEEP_FAULT_(kind == 0 ? FAULT_ALLOC : FAULT_IO, fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
            struct slice bytes = SLICE("untouched");
            enum err err =
                arena == NULL ? ERR_NOMEM : io_read_file(arena, path, 100, &bytes, &info);
            CHECK_ERR(!fault.fired ? ERR_OK : kind == 0 ? ERR_NOMEM : ERR_IO, err);
            CHECK_SLICE(err == ERR_OK ? "content" : "untouched", bytes);
        }
    }
}
