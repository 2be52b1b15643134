/* Goal: listing and reading of local files as the header promises. Method: real folders. */
#include "storage/storage.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "storage/storage_int.h"

/* Storage only carries the identity on; it is opaque here. */
static const struct identity *someone(void)
{
    static int stand_in;
    return (const struct identity *)(const void *)&stand_in;
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    CHECK_OK(io_make_folders(path, 0700, NULL));
    *slash = '/';
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_OK(io_write_all(fd, slice_of(text), NULL));
    io_close(fd);
}

/* Names under `folder` that `pattern` matches, joined by spaces, or "!<error>". */
static const char *list(struct arena *arena, const char *folder, const char *pattern)
{
    struct storage_entry *entries;
    size_t count;
    char *full = arena_printf(arena, "%s/%s", folder, pattern);
    enum err err = storage_list(someone(), slice_of(full), 1000, arena, &entries, &count, NULL);
    if (err != ERR_OK) {
        return arena_printf(arena, "!%s", err_name(err));
    }
    char *text = arena_strdup(arena, "");
    for (size_t i = 0; i < count; i++) {
        struct slice name = entries[i].location;
        CHECK(slice_starts_with(name, slice_of(folder)));
        text =
            arena_printf(arena, "%s%s%s", text, i == 0 ? "" : " ", name.ptr + strlen(folder) + 1);
    }
    return text;
}

TEST(storage, patterns_match_as_documented)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    static const char *const names[] = {"a.csv",      "b.csv",        "B.csv",     "c.txt",
                                        ".h.csv",     "_t.csv",       "x/a.csv",   "x/y/a.csv",
                                        "x/.g/a.csv", "x/_s/a.csv",   "z/q/r.csv", "\xC3\xA9.csv",
                                        "s[1].csv",   "dir.csv/e.csv"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        write_file(f, names[i], "1");
    }
    CHECK_STR("B.csv a.csv b.csv s[1].csv \xC3\xA9.csv", list(arena, f, "*.csv"));
    CHECK_STR("B.csv a.csv b.csv \xC3\xA9.csv", list(arena, f, "?.csv"));
    CHECK_STR("a.csv b.csv", list(arena, f, "[a-c].csv"));
    CHECK_STR("B.csv \xC3\xA9.csv", list(arena, f, "[!a-z].csv"));
    CHECK_STR("s[1].csv", list(arena, f, "s[[]1].csv"));
    CHECK_STR(".h.csv", list(arena, f, ".*.csv"));
    CHECK_STR("_t.csv", list(arena, f, "_t.csv"));
    CHECK_STR("x/a.csv x/y/a.csv", list(arena, f, "x/**/*.csv"));
    CHECK_STR("a.csv x/a.csv x/y/a.csv", list(arena, f, "**/a.csv"));
    CHECK_STR("a.csv x/a.csv x/y/a.csv", list(arena, f, "**/**/a.csv"));
    CHECK_STR("x/y/a.csv z/q/r.csv", list(arena, f, "*/?/*.csv"));
    CHECK_STR("x/.g/a.csv", list(arena, f, "x/.g/*"));
    CHECK_STR("x/a.csv x/y/a.csv", list(arena, f, "x/**"));
    CHECK_STR("x/../a.csv", list(arena, f, "./x//../a.csv")); /* x may be a link */
    CHECK_STR("!not_found", list(arena, f, "nothing*"));
    CHECK_STR("!invalid", list(arena, f, "x"));
    CHECK_STR("!invalid", list(arena, f, "a[bc"));
}

TEST(storage, links_to_files_are_followed_and_loops_are_not)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    write_file(f, "d/a.csv", "1");
    CHECK_STR("d/a.csv", list(arena, f, "**/*.csv"));
    CHECK(symlink("a.csv", arena_printf(arena, "%s/d/l.csv", f)) == 0);
    CHECK(symlink("..", arena_printf(arena, "%s/d/up", f)) == 0);
    CHECK_STR("d/a.csv d/l.csv", list(arena, f, "**/*.csv"));
    CHECK_STR("d/up/d/a.csv d/up/d/l.csv", list(arena, f, "d/up/d/*.csv"));
    CHECK(symlink("gone", arena_printf(arena, "%s/d/dead.csv", f)) == 0);
    CHECK_STR("!not_found", list(arena, f, "d/*.csv"));
}

TEST(storage, what_is_no_file_is_refused)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    struct errinfo info;
    struct storage_entry *entries;
    size_t count;
    CHECK(mkfifo(arena_printf(arena, "%s/pipe.csv", f), 0600) == 0);
    CHECK_STR("!invalid", list(arena, f, "*.csv"));
    CHECK_ERR(ERR_INVALID,
              storage_list(someone(), SLICE("/dev/null"), 10, arena, &entries, &count, &info));
    CHECK_STR("\"null\" is a device, not a file", info.message);
    struct storage_object *object;
    struct storage_entry pipe = {.location = slice_of(arena_printf(arena, "%s/pipe.csv", f))};
    CHECK_ERR(ERR_INVALID, storage_open(someone(), &pipe, &object, &info));
    CHECK_ERR(ERR_DENIED, storage_list(someone(), SLICE("s3://b/*.parquet"), 10, arena, &entries,
                                       &count, &info));
    CHECK_STR("a location of storage \"s3\" cannot be opened by itself", info.message);
    CHECK_ERR(ERR_INVALID, storage_list(someone(), (struct slice){"/a\0b", 4}, 10, arena, &entries,
                                        &count, &info));
}

TEST(storage, entries_are_limited)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    for (int i = 0; i < 5; i++) {
        write_file(f, arena_printf(arena, "%d", i), "");
    }
    struct storage_entry *entries;
    size_t count;
    struct slice pattern = slice_of(arena_printf(arena, "%s/*", f));
    CHECK_OK(storage_list(someone(), pattern, 5, arena, &entries, &count, NULL));
    CHECK(count == 5);
    CHECK_ERR(ERR_LIMIT, storage_list(someone(), pattern, 4, arena, &entries, &count, NULL));
}

TEST(storage, locations_are_made_absolute)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct slice out;
    CHECK(setenv("HOME", "/people/a*b", 1) == 0);
    CHECK_OK(storage_qualify(someone(), SLICE("~/x/*.csv"), arena, &out, NULL));
    CHECK_SLICE("/people/a[*]b/x/*.csv", out);
    CHECK_OK(storage_qualify(someone(), SLICE("/x/~"), arena, &out, NULL));
    CHECK_SLICE("/x/~", out);
    CHECK_OK(storage_qualify(someone(), SLICE("file:///a%20b/%2A/*%5b.csv"), arena, &out, NULL));
    CHECK_SLICE("/a b/[*]/*[[].csv", out);
    CHECK_OK(storage_qualify(someone(), SLICE("FILE://localhost/a"), arena, &out, NULL));
    CHECK_SLICE("/a", out);
    CHECK_ERR(ERR_INVALID, storage_qualify(someone(), SLICE("file:///a%2"), arena, &out, NULL));
    CHECK_ERR(ERR_INVALID, storage_qualify(someone(), SLICE("file:///a%2Fb"), arena, &out, NULL));
    CHECK_ERR(ERR_INVALID, storage_qualify(someone(), SLICE("file:///a%00"), arena, &out, NULL));
    CHECK_ERR(ERR_UNSUPPORTED,
              storage_qualify(someone(), SLICE("file://host/a"), arena, &out, NULL));
    CHECK_ERR(ERR_UNSUPPORTED, storage_qualify(someone(), SLICE("https://h/a"), arena, &out, NULL));
    CHECK_ERR(ERR_INVALID, storage_qualify(someone(), SLICE(""), arena, &out, NULL));
    const char *f = test_folder();
    char kept[4096];
    char real[4096];
    CHECK(getcwd(kept, sizeof(kept)) != NULL);
    CHECK(chdir(f) == 0);
    CHECK(getcwd(real, sizeof(real)) != NULL);
    CHECK_OK(storage_qualify(someone(), SLICE("d/*.csv"), arena, &out, NULL));
    CHECK_STR(arena_printf(arena, "%s/d/*.csv", real), out.ptr);
    CHECK(chdir(kept) == 0);
}

TEST(storage, a_changed_file_is_noticed)
{
    // Every way to change a file between listing, opening and reading.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    write_file(f, "a", "0123456789");
    char *path = arena_printf(arena, "%s/a", f);
    struct storage_entry *entries;
    size_t count;
    struct storage_object *object;
    char bytes[16];
    CHECK_OK(storage_list(someone(), slice_of(path), 9, arena, &entries, &count, NULL));
    CHECK(entries[0].size_bytes == 10);
    CHECK_OK(storage_open(someone(), entries, &object, NULL));
    CHECK_OK(storage_read(object, 3, bytes, 7, NULL));
    CHECK_SLICE("3456789", ((struct slice){bytes, 7}));
    CHECK_OK(storage_read(object, 10, bytes, 0, NULL));
    CHECK_ERR(ERR_INVALID, storage_read(object, 4, bytes, 7, NULL));
    CHECK_ERR(ERR_INVALID, storage_read(object, UINT64_MAX, bytes, 2, NULL));
    CHECK(storage_modified_us(object) > 1500000000000000);
    CHECK(truncate(path, 5) == 0);
    CHECK_ERR(ERR_CORRUPT, storage_read(object, 0, bytes, 10, NULL)); /* shorter */
    CHECK_ERR(ERR_CORRUPT, storage_read(object, 0, bytes, 1, NULL));
    storage_close(object);
    CHECK_ERR(ERR_CORRUPT, storage_open(someone(), entries, &object, NULL));

    /* Replaced by another of the same size and time. */
    struct stat old;
    write_file(f, "a", "0123456789");
    CHECK(stat(path, &old) == 0);
    CHECK_OK(storage_list(someone(), slice_of(path), 9, arena, &entries, &count, NULL));
    write_file(f, "b", "9876543210");
    struct timespec times[2] = {old.st_atim, old.st_mtim};
    CHECK(utimensat(AT_FDCWD, arena_printf(arena, "%s/b", f), times, 0) == 0);
    CHECK(rename(arena_printf(arena, "%s/b", f), path) == 0);
    CHECK_ERR(ERR_CORRUPT, storage_open(someone(), entries, &object, NULL));
}

TEST(storage, a_prefix_of_a_growing_file_stays_readable)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    write_file(f, "t", "line one\n");
    struct storage_entry entry;
    char *path = arena_printf(arena, "%s/t", f);
    CHECK_OK(storage_stat(someone(), slice_of(path), arena, &entry, NULL));
    CHECK(entry.size_bytes == 9 && entry.etag.len > 0);
    entry.etag = (struct slice){0};
    entry.size_bytes = 5;
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    CHECK_OK(storage_open(someone(), &entry, &object, NULL));
    write_file(f, "t", "line one\nline two\n");
    char bytes[16];
    CHECK(storage_size(object) == 5);
    CHECK_OK(storage_read(object, 0, bytes, 5, NULL));
    CHECK_ERR(ERR_INVALID, storage_read(object, 0, bytes, 6, NULL));
    CHECK(truncate(path, 4) == 0);
    CHECK_ERR(ERR_CORRUPT, storage_read(object, 0, bytes, 2, NULL));
}

TEST(storage, memory_bytes_are_an_object)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    char bytes[4];
    CHECK_OK(storage_open_bytes(SLICE("abcdef"), &object, NULL));
    CHECK(storage_size(object) == 6);
    CHECK_OK(storage_read(object, 2, bytes, 4, NULL));
    CHECK_SLICE("cdef", ((struct slice){bytes, 4}));
    CHECK_ERR(ERR_INVALID, storage_read(object, 3, bytes, 4, NULL));
}

static void *read_often(void *context)
{
    struct storage_object *object = context;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (int i = 0; i < 2000; i++) {
        unsigned char byte;
        uint64_t offset = test_random_below(&seed, storage_size(object));
        if (storage_read(object, offset, &byte, 1, NULL) != ERR_OK || byte != (offset & 0x7F)) {
            return context;
        }
    }
    return NULL;
}

TEST(storage, threads_share_an_object)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *f = test_folder();
    char *path = arena_printf(arena, "%s/a", f);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (unsigned i = 0; i < 4096; i++) {
        char c = (char)(i & 0x7F);
        CHECK(write(fd, &c, 1) == 1);
    }
    io_close(fd);
    struct storage_entry entry;
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    CHECK_OK(storage_stat(someone(), slice_of(path), arena, &entry, NULL));
    CHECK_OK(storage_open(someone(), &entry, &object, NULL));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, read_often, object) == 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        CHECK(pthread_join(threads[i], &failed) == 0);
        CHECK(failed == NULL);
    }
}

static enum err list_and_read(const char *pattern)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    struct storage_entry *entries;
    size_t count;
    char bytes[4] = {0};
    if (arena == NULL) {
        return ERR_NOMEM;
    }
    TRY(storage_list(someone(), slice_of(pattern), 9, arena, &entries, &count, NULL));
    CHECK(count == 2);
    TRY(storage_open(someone(), &entries[1], &object, NULL));
    TRY(storage_read(object, 0, bytes, 4, NULL));
    CHECK(memcmp(bytes, "beta", 4) == 0);
    return ERR_OK;
}

/* The first byte of what is opened, or '!' when it lies outside, '?' for another error. */
static char open_within(const char *folder, const char *name, const char *first, const char *second)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    char path[1024];
    char texts[2][1024];
    bool is_outside = false;
    char byte = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    (void)snprintf(texts[0], sizeof(texts[0]), "%s/%s", folder, first);
    (void)snprintf(texts[1], sizeof(texts[1]), "%s/%s", folder, second);
    struct slice folders[] = {slice_of(texts[0]), slice_of(texts[1])};
    enum err err =
        storage_open_within(someone(), slice_of(path), folders, 2, &object, &is_outside, NULL);
    CHECK(is_outside == (err == ERR_DENIED));
    if (err != ERR_OK) {
        return is_outside ? '!' : '?';
    }
    CHECK_OK(storage_read(object, 0, &byte, 1, NULL));
    return byte;
}

TEST(storage, what_is_opened_lies_in_the_allowed_folders)
{
    /* Goal: neither "..", nor links, nor folders whose names begin alike lead outside; what only
     * seems to lie outside opens. */
    const char *f = test_folder();
    char path[1024];
    write_file(f, "lake/data/a", "A");
    write_file(f, "lake2/b", "B");
    write_file(f, "more/c", "C");
    static const struct {
        const char *name;
        const char *target;
    } links[] = {{"lake/out", "../lake2/b"}, {"lake/out_folder", "../lake2"},
                 {"lake/more", "../more/c"}, {"lake/in", "data/a"},
                 {"seems", "lake"},          {"lake/loop", "loop"}};
    for (size_t i = 0; i < ARRAY_COUNT(links); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f, links[i].name);
        CHECK(symlink(links[i].target, path) == 0);
    }
    char target[1024];
    (void)snprintf(target, sizeof(target), "%s/lake/data/a", f);
    (void)snprintf(path, sizeof(path), "%s/lake/absolute", f);
    CHECK(symlink(target, path) == 0);
    (void)snprintf(path, sizeof(path), "%s/lake/pipe", f);
    CHECK(mkfifo(path, 0600) == 0);

    static const struct {
        const char *name;
        char expected;
    } cases[] = {{"lake/data/a", 'A'},       {"lake/data/../data/a", 'A'},
                 {"lake/in", 'A'},           {"seems/data/a", 'A'},
                 {"lake/absolute", 'A'},     {"more/c", 'C'},
                 {"lake/more", 'C'},         {"lake2/b", '!'},
                 {"lake/../lake2/b", '!'},   {"lake/out", '!'},
                 {"lake/out_folder/b", '!'}, {"lake/loop", '?'},
                 {"lake/data", '?'},         {"lake/nothing", '?'},
                 {"lake/pipe", '?'},         {"lake/data/../../lake2/b", '!'}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char found = open_within(f, cases[i].name, "seems", "more");
        if (found != cases[i].expected) {
            fail_msg("%s: %c", cases[i].name, found);
        }
    }
    CHECK(open_within(f, "lake/data/a", "gone", "lake/data") == 'A');
    CHECK(open_within(f, "lake/data/a", "gone", "lake/dat") == '!');
}

static atomic_bool is_swapping;

/* Turns a link to and fro between what is inside and what is not. */
static void *swap_link(void *context)
{
    const char *folder = context;
    char link[1024];
    char next[1024];
    (void)snprintf(link, sizeof(link), "%s/lake/link", folder);
    (void)snprintf(next, sizeof(next), "%s/lake/next", folder);
    for (unsigned i = 0; atomic_load(&is_swapping); i++) {
        CHECK(symlink(i % 2 == 0 ? "../secret" : "data", next) == 0);
        CHECK(rename(next, link) == 0);
    }
    return NULL;
}

TEST(storage, a_link_that_is_swapped_meanwhile_leads_nowhere_else)
{
    const char *f = test_folder();
    pthread_t thread;
    unsigned opened = 0;
    unsigned refused = 0;
    write_file(f, "lake/data/a", "A");
    write_file(f, "secret/a", "S");
    char folder[1024];
    (void)snprintf(folder, sizeof(folder), "%s", f);
    atomic_store(&is_swapping, true);
    CHECK(pthread_create(&thread, NULL, swap_link, folder) == 0);
    for (unsigned i = 0; i < 20000 && (opened < 500 || refused < 500); i++) {
        char found = open_within(f, "lake/link/a", "lake", "lake");
        CHECK(found == 'A' || found == '!' || found == '?');
        opened += found == 'A';
        refused += found == '!';
    }
    atomic_store(&is_swapping, false);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(opened > 0 && refused > 0);
}

static enum err open_and_read_within(struct slice path, struct slice folder)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    char bytes[4] = {0};
    bool is_outside = false;
    TRY(storage_open_within(someone(), path, &folder, 1, &object, &is_outside, NULL));
    TRY(storage_read(object, 0, bytes, 4, NULL));
    CHECK(memcmp(bytes, "beta", 4) == 0);
    return ERR_OK;
}

TEST(storage, every_failure_of_a_fence_is_clean)
{
    const char *f = test_folder();
    write_file(f, "d/b.x", "beta");
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/d/b.x", f);
    SWEEP_ALLOC(fault)
    {
        enum err err = open_and_read_within(slice_of(path), slice_of(f));
        CHECK(err == ERR_OK ? !fault.fired : err == ERR_NOMEM && fault.fired);
    }
    SWEEP_IO(fault)
    {
        enum err err = open_and_read_within(slice_of(path), slice_of(f));
        CHECK(err == ERR_OK ? !fault.fired : err == ERR_IO && fault.fired);
    }
}

TEST(storage, every_failure_is_clean)
{
    const char *f = test_folder();
    write_file(f, "d/a.x", "alph");
    write_file(f, "d/b.x", "beta");
    char pattern[512];
    (void)snprintf(pattern, sizeof(pattern), "%s/**/*.x", f);
    SWEEP_ALLOC(fault)
    {
        enum err err = list_and_read(pattern);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        CHECK(err == ERR_OK ? !fault.fired : fault.fired);
    }
    SWEEP_IO(fault)
    {
        enum err err = list_and_read(pattern);
        CHECK(err == ERR_OK || err == ERR_IO);
        CHECK(err == ERR_OK ? !fault.fired : fault.fired);
    }
}

/* The obvious exponential matcher, to compare with; ASCII without brackets. */
static bool slow_match(const char *pattern, const char *name)
{
    if (*pattern == '\0') {
        return *name == '\0';
    }
    if (*pattern == '*') {
        return slow_match(pattern + 1, name) || (*name != '\0' && slow_match(pattern, name + 1));
    }
    return *name != '\0' && (*pattern == '?' || *pattern == *name) &&
           slow_match(pattern + 1, name + 1);
}

TEST(storage, the_matcher_agrees_with_a_slow_one)
{
    uint64_t seed = test_seed();
    for (int i = 0; i < 200000; i++) {
        char pattern[8] = {0};
        char name[10] = {0};
        for (uint64_t n = test_random_below(&seed, 7), j = 0; j < n; j++) {
            pattern[j] = "ab*?*b?"[test_random_below(&seed, 7)];
        }
        for (uint64_t n = test_random_below(&seed, 9), j = 0; j < n; j++) {
            name[j] = "ab"[test_random_below(&seed, 2)];
        }
        CHECK(storage__glob_match(slice_of(pattern), slice_of(name)) == slow_match(pattern, name));
    }
}
