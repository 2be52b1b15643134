/* Goal: a trail that ends before its anchor is found and refused, whatever was done to its folder;
 * one that a crash left further than its anchor never is. Method: real trails, an anchor in a file
 * of its own; folders cut, emptied, replaced and removed; kills at every step. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "observe/audit_int.h"

/* ---- an anchor in a file: written whole or not at all, as a store would ---- */

struct anchor_file {
    char path[256];
    unsigned saves;
    enum err save_error;
};

static enum err load(void *context, struct audit_anchor *ret_anchor, UNUSED struct errinfo *info)
{
    const struct anchor_file *file = context;
    FILE *stream = fopen(file->path, "r");
    *ret_anchor = (struct audit_anchor){0};
    if (stream != NULL) {
        CHECK(fread(ret_anchor, sizeof(*ret_anchor), 1, stream) == 1);
        (void)fclose(stream);
    }
    return ERR_OK;
}

static enum err save(void *context, const struct audit_anchor *anchor, struct errinfo *info)
{
    struct anchor_file *file = context;
    if (file->save_error != ERR_OK) {
        return errinfo_set(info, file->save_error, NULL, "the anchor cannot be saved");
    }
    file->saves++;
    struct slice bytes = {(const char *)anchor, sizeof(*anchor)};
    return io_write_file_atomic(file->path, bytes, 0600, info);
}

struct anchored {
    char folder[256];
    struct anchor_file file;
    struct audit_anchor_store store;
    struct identity *who;
};

static void begin_in(struct anchored *a, const char *folder, uint64_t number)
{
    *a = (struct anchored){.store = {load, save, &a->file}};
    (void)snprintf(a->folder, sizeof(a->folder), "%s/audit%llu", folder,
                   (unsigned long long)number);
    (void)snprintf(a->file.path, sizeof(a->file.path), "%s/anchor%llu", folder,
                   (unsigned long long)number);
    struct identity_spec spec = {.subject = SLICE("ana"), .provider = SLICE("local")};
    CHECK_OK(identity_new(&spec, &a->who, NULL));
}

static void begin(struct anchored *a)
{
    begin_in(a, test_folder(), 0);
}

static void end(struct anchored *a)
{
    identity_unref(a->who);
}

static enum err open_trail(struct anchored *a, uint64_t file_bytes_max, struct audit **ret_audit,
                           struct errinfo *info)
{
    struct audit_options options = {.file_bytes_max = file_bytes_max, .anchors = &a->store};
    return audit_open(a->folder, &options, ret_audit, info);
}

static enum err write_one(struct audit *audit, const struct identity *who, bool is_lazy,
                          struct errinfo *info)
{
    struct audit_record record = {.kind = AUDIT_LOGIN,
                                  .is_lazy = is_lazy,
                                  .query_id = SLICE("q"),
                                  .who = who,
                                  .command = SLICE("LOGIN")};
    return audit_write(audit, &record, info);
}

static void write_many(struct anchored *a, unsigned count, uint64_t file_bytes_max)
{
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    CHECK_OK(open_trail(a, file_bytes_max, &audit, NULL));
    for (unsigned i = 0; i < count; i++) {
        CHECK_OK(write_one(audit, a->who, i % 3 == 0, NULL));
    }
}

static uint64_t anchored_seq(struct anchored *a)
{
    struct audit_anchor anchor;
    CHECK_OK(load(&a->file, &anchor, NULL));
    return anchor.seq;
}

static struct audit_report verify(struct anchored *a)
{
    struct audit_anchor anchor;
    struct audit_report report;
    CHECK_OK(load(&a->file, &anchor, NULL));
    CHECK_OK(audit_verify(a->folder, &anchor, &report, NULL));
    return report;
}

static int remove_entry(const char *path, UNUSED const struct stat *status, UNUSED int kind,
                        UNUSED struct FTW *walk)
{
    return remove(path);
}

static void remove_folder(const char *path)
{
    CHECK(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static void copy_folder(const char *from, const char *to)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "copy", 0);
    CHECK(mkdir(to, 0700) == 0);
    DIR *stream = opendir(from);
    CHECK(stream != NULL);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        struct slice bytes;
        if (entry->d_name[0] != '.') {
            CHECK_OK(
                io_read_file(arena, io_join(arena, from, entry->d_name), 64 << 20, &bytes, NULL));
            CHECK_OK(io_write_file_atomic(io_join(arena, to, entry->d_name), bytes, 0600, NULL));
        }
    }
    (void)closedir(stream);
}

/* Found by the auditor, refused at a start, and nothing is made in its place. */
static void check_lost(struct anchored *a, const char *problem, const char *message)
{
    struct audit *audit = NULL;
    struct errinfo info;
    struct audit_report report = verify(a);
    bool had_folder = io_exists(a->folder);
    CHECK(!report.is_intact);
    if (strstr(report.problem, problem) == NULL) {
        print_error("\"%s\" is not in: %s\n", problem, report.problem);
    }
    CHECK(strstr(report.problem, problem) != NULL);
    CHECK_ERR(ERR_CORRUPT, open_trail(a, 0, &audit, &info));
    if (strstr(info.message, message) == NULL) {
        print_error("\"%s\" is not in: %s\n", message, info.message);
    }
    CHECK(strstr(info.message, message) != NULL);
    CHECK(strstr(info.hint, "accept-loss") != NULL);
    CHECK(io_exists(a->folder) == had_folder);
}

/* ---- what is found ---- */

TEST(audit_anchor, a_folder_that_is_gone_is_found)
{
    struct anchored a;
    begin(&a);
    write_many(&a, 5, 0);
    assert_int_equal(5, (int)anchored_seq(&a));
    CHECK(verify(&a).is_intact);
    remove_folder(a.folder);
    check_lost(&a, "the trail is gone", "is gone");
    CHECK(mkdir(a.folder, 0700) == 0);
    check_lost(&a, "the trail is gone", "is gone");
    end(&a);
}

TEST(audit_anchor, a_shorter_trail_that_is_whole_in_itself_is_found)
{
    // Method: what an older copy of the folder is, put in its place.
    struct anchored a;
    char aside[300];
    begin(&a);
    write_many(&a, 5, 0);
    (void)snprintf(aside, sizeof(aside), "%s.now", a.folder);
    copy_folder(a.folder, aside);
    write_many(&a, 4, 0);
    assert_int_equal(9, (int)anchored_seq(&a));
    remove_folder(a.folder);
    CHECK(rename(aside, a.folder) == 0);
    check_lost(&a, "ends with record 5, but the warehouse's store remembers record 9",
               "the trail ends with record 5");
    end(&a);
}

TEST(audit_anchor, newest_files_and_their_head_taken_away_are_found)
{
    // Method: the newest files removed and head.json written as it was when they began.
    struct anchored a;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    uint64_t *seqs;
    size_t count;
    struct slice foreign;
    begin(&a);
    write_many(&a, 60, 2048);
    CHECK_OK(audit__list(a.folder, arena, &seqs, &count, &foreign, NULL));
    CHECK(count > 3);
    char path[400];
    char name[AUDIT_NAME_BYTES];
    audit__file_name(seqs[count - 1], name);
    (void)snprintf(path, sizeof(path), "%s/%s", a.folder, name);
    CHECK(unlink(path) == 0);
    audit__file_name(seqs[count - 2], name);
    int fd, head_fd;
    struct buf line CLEANUP(buf_fini) = {0};
    uint64_t line_end;
    struct stat status;
    CHECK_OK(audit__open_file(a.folder, name, O_RDONLY, &fd, NULL));
    CHECK(fstat(fd, &status) == 0);
    CHECK_OK(audit__last_line(fd, (uint64_t)status.st_size, &line, &line_end, NULL));
    io_close(fd);
    struct audit_line last;
    CHECK(audit__check_line(buf_slice(&line), &last) == AUDIT_LINE_GOOD);
    struct audit_head head = {.seq = last.seq, .file_first_seq = seqs[count - 2]};
    memcpy(head.hash, last.hash.ptr, AUDIT_HASH_HEX);
    char bytes[AUDIT_HEAD_BYTES];
    audit__print_head(&head, bytes);
    CHECK_OK(audit__open_file(a.folder, AUDIT_HEAD_NAME, O_WRONLY, &head_fd, NULL));
    CHECK(write(head_fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
    io_close(head_fd);
    struct audit_report alone;
    CHECK_OK(audit_verify(a.folder, NULL, &alone, NULL));
    CHECK(alone.is_intact);
    check_lost(&a, "its end was cut", "the trail ends with record");
    end(&a);
}

TEST(audit_anchor, another_trail_in_its_place_is_found)
{
    struct anchored a, b;
    begin(&a);
    begin(&b);
    write_many(&a, 5, 0);
    write_many(&b, 9, 0);
    remove_folder(a.folder);
    CHECK(rename(b.folder, a.folder) == 0);
    check_lost(&a, "not the trail that the warehouse's store remembers", "another trail");
    end(&b);
    begin(&b);
    write_many(&b, 5, 0); /* as long as the anchor */
    remove_folder(a.folder);
    CHECK(rename(b.folder, a.folder) == 0);
    check_lost(&a, "not the trail that the warehouse's store remembers", "in its place");
    end(&a);
    end(&b);
}

TEST(audit_anchor, an_older_anchor_is_no_damage_but_a_very_old_one_is_told)
{
    struct anchored a;
    struct audit_anchor first;
    begin(&a);
    write_many(&a, 1, 0);
    CHECK_OK(load(&a.file, &first, NULL));
    write_many(&a, 20, 0);
    CHECK_OK(save(&a.file, &first, NULL));
    CHECK(verify(&a).is_intact);
    write_many(&a, 1, 0);
    assert_int_equal(22, (int)anchored_seq(&a));
    first.seq = 1;
    struct audit *audit;
    CHECK_OK(open_trail(&a, 0, &audit, NULL));
    for (unsigned i = 0; i <= AUDIT_ANCHOR_LAG_MAX; i++) {
        CHECK_OK(write_one(audit, a.who, true, NULL));
    }
    audit_close(audit);
    CHECK(verify(&a).is_intact);
    CHECK_OK(save(&a.file, &first, NULL));
    CHECK(strstr(verify(&a).problem, "put back to an older state") != NULL);
    end(&a);
}

/* ---- when it is saved ---- */

TEST(audit_anchor, is_saved_now_and_then_but_not_for_each_record)
{
    struct anchored a;
    begin(&a);
    struct audit *audit;
    CHECK_OK(open_trail(&a, 0, &audit, NULL));
    for (unsigned i = 0; i < 10 * AUDIT_ANCHOR_RECORDS; i++) {
        CHECK_OK(write_one(audit, a.who, false, NULL));
        assert_in_range(i + 1 - anchored_seq(&a), 0, AUDIT_ANCHOR_RECORDS);
    }
    assert_in_range(a.file.saves, 10, 40); /* more only by the time that passes */
    audit_close(audit);
    assert_int_equal((int)(10 * AUDIT_ANCHOR_RECORDS), (int)anchored_seq(&a));
    end(&a);
}

TEST(audit_anchor, follows_what_a_killed_process_left_at_the_next_open)
{
    struct anchored a;
    begin(&a);
    pid_t child = fork();
    if (child == 0) {
        struct audit *audit;
        CHECK_OK(open_trail(&a, 0, &audit, NULL));
        for (unsigned i = 0; i < 7; i++) {
            CHECK_OK(write_one(audit, a.who, i == 6, NULL));
        }
        CHECK(audit__flush(audit));
        (void)raise(SIGKILL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    assert_in_range(anchored_seq(&a), 0, 6);
    CHECK(verify(&a).is_intact);
    write_many(&a, 0, 0);
    assert_int_equal(7, (int)anchored_seq(&a));
    end(&a);
}

TEST(audit_anchor, a_store_that_cannot_be_written_stops_no_query)
{
    struct anchored a;
    struct errinfo info;
    begin(&a);
    write_many(&a, 2, 0);
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    CHECK_OK(open_trail(&a, 0, &audit, NULL));
    a.file.save_error = ERR_BUSY;
    for (unsigned i = 0; i < 2 * AUDIT_ANCHOR_RECORDS; i++) {
        CHECK_OK(write_one(audit, a.who, false, NULL));
    }
    CHECK(verify(&a).is_intact);
    /* But one that has gone on to another trail does: this one is read by nobody any more. */
    a.file.save_error = ERR_CORRUPT;
    enum err err = ERR_OK;
    int64_t until_us = clock_mono_us() + 5 * (int64_t)AUDIT_ANCHOR_US;
    while (err == ERR_OK && clock_mono_us() < until_us) {
        err = write_one(audit, a.who, false, &info);
    }
    assert_int_equal(ERR_CORRUPT, err);
    CHECK(strstr(info.message, "another audit trail") != NULL);
    end(&a);
}

/* ---- crashes ---- */

static bool killed_at(const char *folder, uint64_t step)
{
    struct anchored a;
    begin_in(&a, folder, step);
    write_many(&a, 2, 400);
    pid_t child = fork();
    if (child == 0) {
        struct fault fault = {.kind = FAULT_KILL, .step = step};
        fault_arm(&fault);
        for (unsigned i = 0; i < 3; i++) {
            write_many(&a, 3, 400);
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(is_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    struct audit_report report = verify(&a);
    if (!report.is_intact) {
        print_error("step %llu: %s\n", (unsigned long long)step, report.problem);
    }
    CHECK(report.is_intact && anchored_seq(&a) <= report.records);
    write_many(&a, 1, 400);
    report = verify(&a);
    CHECK(report.is_intact && anchored_seq(&a) == report.records);
    end(&a);
    return is_killed;
}

TEST(audit_anchor, killed_at_any_step_the_trail_reaches_its_anchor)
{
    const char *folder = test_folder();
    uint64_t step = 1;
    while (killed_at(folder, step)) {
        step++;
    }
    assert_in_range(step, 60, 2000);
}
