/* Goal: what was acknowledged is in the trail, whole and in order, whatever fails; whatever was
 * changed is found. Method: real files, every byte and line damaged in turn, faults and kills at
 * every step of I/O. */
#include "observe/audit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "observe/audit_int.h"

static struct identity *new_person(void)
{
    struct identity_spec spec = {.subject = SLICE("ana \"x\""),
                                 .provider = SLICE("local"),
                                 .actor = SLICE("root"),
                                 .client = SLICE("embedded")};
    struct identity *who;
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

static enum err write_one(struct audit *audit, const struct identity *who, unsigned number,
                          struct errinfo *info)
{
    char id[32];
    (void)snprintf(id, sizeof(id), "q%u", number);
    struct slice columns[] = {SLICE("a"), SLICE("b\n\"c\"")};
    uint64_t grants[] = {7, 9};
    struct audit_table table = {.name = SLICE("moat.main.t"),
                                .uuid = SLICE("u"),
                                .columns = columns,
                                .column_count = 2,
                                .grant_ids = grants,
                                .grant_count = 2,
                                .files = 3,
                                .bytes_read = 10};
    struct audit_duration durations[] = {{"PARSED", 12}, {"DONE", 5}};
    struct audit_record record = {.kind = number % 2 == 0 ? AUDIT_QUERY_START : AUDIT_QUERY_END,
                                  .is_lazy = number % 2 != 0,
                                  .query_id = slice_of(id),
                                  .who = who,
                                  .statement = SLICE("select 'line\n two' -- \xff\x01"),
                                  .fingerprint = 0xABC,
                                  .tables = &table,
                                  .table_count = 1,
                                  .state = number % 2 == 0 ? SLICE("") : SLICE("DONE"),
                                  .durations = durations,
                                  .duration_count = 2,
                                  .command = SLICE("SELECT")};
    return audit_write(audit, &record, info);
}

/* In the trail when it returns, even if it is lazy. */
static enum err write_whole(struct audit *audit, const struct identity *who, unsigned number,
                            struct errinfo *info)
{
    TRY(write_one(audit, who, number, info));
    return audit__flush(audit) ? ERR_OK
                               : errinfo_set(info, ERR_IO, NULL, "the record was put aside");
}

static void write_trail(const char *folder, unsigned count, uint64_t file_bytes_max)
{
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    struct audit_options options = {.file_bytes_max = file_bytes_max};
    CHECK_OK(audit_open(folder, &options, &audit, NULL));
    for (unsigned i = 0; i < count; i++) {
        CHECK_OK(write_whole(audit, who, i, NULL));
    }
}

static struct audit_report verify(const char *folder)
{
    struct audit_report report;
    struct errinfo info;
    enum err err = audit_verify(folder, NULL, &report, &info);
    if (err != ERR_OK) {
        (void)snprintf(report.problem, sizeof(report.problem), "%.200s", info.message);
        report.is_intact = false;
    }
    return report;
}

static struct slice read_all(struct arena *arena, const char *path)
{
    struct slice bytes;
    CHECK_OK(io_read_file(arena, path, 64 << 20, &bytes, NULL));
    return bytes;
}

static void write_all(const char *path, struct slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_OK(io_write_all(fd, bytes, NULL));
    io_close(fd);
}

TEST(audit, a_record_is_one_line_with_all_its_fields)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 2, 0);
    struct slice text = read_all(arena, io_join(arena, folder, "audit-00000000000000000001.jsonl"));
    size_t end = slice_find(text, SLICE("\n"));
    struct json *root;
    struct slice second = {text.ptr + end + 1, text.len - end - 2};
    CHECK(memchr(second.ptr, '\n', second.len) == NULL);
    CHECK_OK(json_parse(arena, (struct slice){text.ptr, end}, NULL, &root, NULL));
    CHECK_OK(json_parse(arena, second, NULL, &root, NULL));
    CHECK_SLICE("query_end", json_get_text(root, "kind"));
    CHECK_SLICE("q1", json_get_text(root, "query_id"));
    CHECK_SLICE("ana \"x\"", json_get_text(root, "user"));
    CHECK_SLICE("root", json_get_text(root, "actor"));
    CHECK_SLICE("select 'line\n two' -- \xEF\xBF\xBD\x01", json_get_text(root, "statement"));
    CHECK_SLICE("0000000000000abc", json_get_text(root, "fingerprint"));
    CHECK_SLICE("DONE", json_get_text(root, "state"));
    CHECK(json_get(root, "sqlstate") == NULL);
    CHECK(json_get_text(root, "session").len > 0);
    const struct json *table = json_at(json_get(root, "tables"), 0);
    CHECK_SLICE("b\n\"c\"", json_at(json_get(table, "columns"), 1)->text);
    CHECK_SLICE("9", json_at(json_get(table, "grants"), 1)->text);
    CHECK_SLICE("10", json_get(table, "bytes_read")->text);
    CHECK_SLICE("12", json_get(json_get(root, "durations_us"), "PARSED")->text);
    CHECK(verify(folder).is_intact && verify(folder).records == 2);
}

TEST(audit, a_long_statement_is_cut_between_characters)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    char *text = arena_alloc(arena, 70001);
    text[0] = 'x'; /* so that 64 KiB falls inside a character */
    for (size_t i = 1; i < 70001; i += 2) {
        memcpy(text + i, "\xC3\xA9", 2);
    }
    struct buf fields CLEANUP(buf_fini) = {0};
    struct audit_record record = {.who = who, .statement = {text, 70001}};
    buf_append_char(&fields, '{');
    CHECK_OK(audit__print_fields(&record, &fields, NULL));
    buf_append_char(&fields, '}');
    struct json *root;
    CHECK_OK(json_parse(arena, buf_slice(&fields), NULL, &root, NULL));
    CHECK(json_get_text(root, "statement").len == AUDIT_STATEMENT_BYTES_MAX - 1);
    CHECK(slice_find(buf_slice(&fields), SLICE("\xEF\xBF\xBD")) == SIZE_MAX);
    CHECK_SLICE("70001", json_get(root, "statement_bytes")->text);
}

/* Every byte of every file of the trail, changed. */
TEST(audit, every_changed_byte_is_found)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 5, 1000);
    struct audit_report whole = verify(folder);
    CHECK(whole.is_intact && whole.records == 5 && whole.files == 3);
    static const char *const names[] = {"audit-00000000000000000001.jsonl",
                                        "audit-00000000000000000003.jsonl",
                                        "audit-00000000000000000005.jsonl", "head.json"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = io_join(arena, folder, names[i]);
        struct slice bytes = read_all(arena, path);
        int fd = open(path, O_WRONLY);
        CHECK(fd >= 0);
        for (size_t at = 0; at < bytes.len; at++) {
            char changed = (char)(bytes.ptr[at] ^ (1 << (at % 8)));
            CHECK(pwrite(fd, &changed, 1, (off_t)at) == 1);
            CHECK(!verify(folder).is_intact);
            CHECK(pwrite(fd, &bytes.ptr[at], 1, (off_t)at) == 1);
        }
        io_close(fd);
    }
    CHECK(verify(folder).is_intact);
}

/* Lines of `text` in the order of `order` (indexes, -1 ends). */
static struct slice lines_in_order(struct arena *arena, struct slice text, const int *order)
{
    struct buf out CLEANUP(buf_fini) = {0};
    for (; *order >= 0; order++) {
        struct slice rest = text;
        for (int i = 0; i < *order; i++) {
            size_t skip = slice_find(rest, SLICE("\n")) + 1;
            rest = (struct slice){rest.ptr + skip, rest.len - skip};
        }
        buf_append(&out, rest.ptr, slice_find(rest, SLICE("\n")) + 1);
    }
    struct slice copy;
    CHECK(arena_slice(arena, buf_slice(&out), &copy));
    return copy;
}

TEST(audit, every_deletion_swap_and_repetition_is_found)
{
    enum {
        COUNT = 6
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, COUNT, 0);
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    struct slice bytes = read_all(arena, path);
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            int order[COUNT + 2];
            int count = 0;
            for (int k = 0; k < COUNT; k++) { /* i moved to the place of j; i == j: deleted */
                if (k == j && i != j) {
                    order[count++] = i;
                }
                if (k != i) {
                    order[count++] = k;
                }
            }
            order[count] = -1;
            bool is_same = j == i + 1; /* before its successor: nothing moved */
            write_all(path, lines_in_order(arena, bytes, order));
            CHECK(verify(folder).is_intact == is_same);
            count = 0;
            for (int k = 0; k < COUNT; k++) { /* i again at j */
                order[count++] = k;
                if (k == j) {
                    order[count++] = i;
                }
            }
            order[count] = -1;
            write_all(path, lines_in_order(arena, bytes, order));
            CHECK(!verify(folder).is_intact);
        }
    }
    write_all(path, bytes);
    for (size_t len = bytes.len; len-- > 0;) { /* its end cut anywhere */
        CHECK(truncate(path, (off_t)len) == 0);
        CHECK(!verify(folder).is_intact);
    }
    write_all(path, bytes);
    CHECK(verify(folder).is_intact);
}

/* A record written anew with the right hash of its own: the next one, or the head, knows better. */
TEST(audit, a_forged_record_is_found)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 3, 0);
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    struct slice bytes = read_all(arena, path);
    static const int orders[3][4] = {{0, -1}, {1, -1}, {2, -1}};
    for (int forged = 0; forged < 3; forged++) {
        struct buf text CLEANUP(buf_fini) = {0};
        struct audit_head head = {0};
        memset(head.hash, '0', AUDIT_HASH_HEX);
        for (int i = 0; i < 3; i++) {
            struct slice line = lines_in_order(arena, bytes, orders[i]);
            if (i == forged) {
                CHECK_OK(audit__append_line(&text, &head, 0, SLICE("\"kind\":\"login\""), NULL));
                continue;
            }
            struct audit_line checked;
            line.len--;
            CHECK(audit__check_line(line, &checked) == AUDIT_LINE_GOOD);
            buf_append_slice(&text, line);
            buf_append_char(&text, '\n');
            head.seq = checked.seq;
            memcpy(head.hash, checked.hash.ptr, AUDIT_HASH_HEX);
        }
        write_all(path, buf_slice(&text));
        CHECK(!verify(folder).is_intact);
        struct audit *audit = NULL;
        if (forged == 2) {
            CHECK_ERR(ERR_CORRUPT, audit_open(folder, NULL, &audit, NULL));
        }
    }
}

TEST(audit, missing_and_foreign_files_are_named)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 8, 1000);
    CHECK(verify(folder).files == 4);
    static const char *const names[] = {"audit-00000000000000000001.jsonl",
                                        "audit-00000000000000000003.jsonl",
                                        "audit-00000000000000000007.jsonl", "head.json"};
    char *aside = arena_printf(arena, "%s.aside", folder);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = io_join(arena, folder, names[i]);
        CHECK(rename(path, aside) == 0);
        struct audit_report report = verify(folder);
        CHECK(!report.is_intact && report.problem[0] != '\0');
        struct audit *audit = NULL;
        if (i != 0 && i != 1) { /* the start looks at the end only */
            CHECK_ERR(ERR_CORRUPT, audit_open(folder, NULL, &audit, NULL));
        }
        CHECK(rename(aside, path) == 0);
    }
    char *foreign = io_join(arena, folder, "audit-2.jsonl");
    write_all(foreign, SLICE("x"));
    CHECK(!verify(folder).is_intact);
    CHECK(slice_find(slice_of(verify(folder).problem), SLICE("\"audit-2.jsonl\"")) != SIZE_MAX);
    CHECK(unlink(foreign) == 0);
    CHECK(verify(folder).is_intact);
}

TEST(audit, an_unfinished_last_line_is_cut_on_open)
{
    // Method: the state a crash leaves, one byte more of the last record each time.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    char *head_path = io_join(arena, folder, "head.json");
    write_trail(folder, 2, 0);
    struct slice before = read_all(arena, path);
    struct slice head = read_all(arena, head_path);
    write_trail(folder, 1, 0);
    struct slice after = read_all(arena, path);
    for (size_t len = before.len; len <= after.len; len += len + 20 < after.len ? 17 : 1) {
        write_all(path, (struct slice){after.ptr, len});
        write_all(head_path, head);
        struct audit_report report = verify(folder);
        CHECK(report.is_intact);
        CHECK(report.records == (len == after.len ? 3 : 2));
        write_trail(folder, 1, 0);
        CHECK(verify(folder).is_intact);
        CHECK(verify(folder).records == (len == after.len ? 4 : 3));
    }
}

TEST(audit, an_unfinished_first_line_of_a_new_file_is_cut_on_open)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 2, 0);
    write_all(io_join(arena, folder, "audit-00000000000000000003.jsonl"), SLICE("{\"seq\":3,"));
    CHECK(verify(folder).is_intact && verify(folder).records == 2);
    write_trail(folder, 1, 0);
    struct audit_report report = verify(folder);
    CHECK(report.is_intact && report.records == 3 && report.files == 2);
}

TEST(audit, a_sweep_of_failures_loses_nothing_acknowledged)
{
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    for (int kind = 0; kind < 2; kind++) {
        for (uint64_t step = 1, fired = 1; fired != 0; step++) {
            const char *folder = test_folder();
            struct fault fault = {.kind = kind == 0 ? FAULT_IO : FAULT_ALLOC, .step = step};
            struct audit_options options = {.file_bytes_max = 2200};
            struct audit *audit = NULL;
            uint64_t acknowledged = 0;
            uint64_t failed = 0;
            fault_arm(&fault);
            enum err err = audit_open(folder, &options, &audit, NULL);
            for (unsigned i = 0; err == ERR_OK && i < 7; i++) {
                struct errinfo info;
                enum err outcome = write_whole(audit, who, i, &info);
                acknowledged += outcome == ERR_OK;
                failed += outcome != ERR_OK;
                CHECK(outcome == ERR_OK || info.message[0] != '\0');
            }
            fault_disarm();
            fired = fault.fired;
            CHECK(failed <= 1); /* one fault costs one batch, and the trail mends itself */
            audit_close(audit);
            audit = NULL;
            CHECK_OK(audit_open(folder, &options, &audit, NULL));
            CHECK_OK(write_one(audit, who, 100, NULL));
            audit_close(audit);
            struct audit_report report = verify(folder);
            CHECK(report.is_intact);
            CHECK(report.records >= acknowledged + 1);
            CHECK(report.records <= acknowledged + failed + 1);
        }
    }
}

/* In a child: writes and says over a pipe what was acknowledged, until it is killed. */
static void run_child(const char *folder, uint64_t step, int out_fd)
{
    struct identity *who = new_person();
    struct audit_options options = {.file_bytes_max = 2200};
    struct audit *audit = NULL;
    struct fault fault = {.kind = FAULT_KILL, .step = step};
    fault_arm(&fault);
    if (audit_open(folder, &options, &audit, NULL) != ERR_OK) {
        _exit(2);
    }
    for (unsigned i = 0; i < 7; i++) {
        if (write_whole(audit, who, i, NULL) != ERR_OK || write(out_fd, "x", 1) != 1) {
            _exit(3);
        }
    }
    _exit(0);
}

static bool run_and_count(const char *folder, uint64_t step, uint64_t *ret_acknowledged)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        run_child(folder, step, ends[1]);
    }
    close(ends[1]);
    char byte;
    *ret_acknowledged = 0;
    while (read(ends[0], &byte, 1) == 1) {
        *ret_acknowledged += 1;
    }
    close(ends[0]);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

TEST(audit, killed_at_any_step_the_trail_holds_what_was_acknowledged)
{
    bool was_killed = true;
    for (uint64_t step = 1; was_killed; step++) {
        const char *folder = test_folder();
        uint64_t acknowledged;
        was_killed = run_and_count(folder, step, &acknowledged);
        if (acknowledged > 0) {
            struct audit_report found = verify(folder);
            CHECK(found.is_intact && found.records >= acknowledged);
        }
        write_trail(folder, 1, 2200); /* the next start goes on */
        struct audit_report report = verify(folder);
        CHECK(report.is_intact);
        CHECK(report.records >= acknowledged + 1 && report.records <= acknowledged + 2);
        CHECK(step > 1 || was_killed);
    }
}

TEST(audit, a_full_disk_leaves_no_half_line)
{
    // Method: a file size limit makes write() stop in the middle of a record, as a full disk does.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 2, 0);
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    struct stat before;
    CHECK(stat(path, &before) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {(rlim_t)before.st_size + 100, (rlim_t)before.st_size + 100};
        (void)signal(SIGXFSZ, SIG_IGN);
        struct audit *audit = NULL;
        struct identity *who = new_person();
        struct errinfo info;
        bool is_right = audit_open(folder, NULL, &audit, NULL) == ERR_OK &&
                        setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                        write_one(audit, who, 2, &info) == ERR_IO &&
                        write_one(audit, who, 1, &info) == ERR_IO;
        _exit(is_right ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct stat after;
    CHECK(stat(path, &after) == 0);
    CHECK(after.st_size == before.st_size);
    write_trail(folder, 1, 0);
    CHECK(verify(folder).is_intact && verify(folder).records == 3);
}

struct writer {
    struct audit *audit;
    struct identity *who;
    unsigned count;
    unsigned failed;
};

static void *write_many(void *context)
{
    struct writer *writer = context;
    for (unsigned i = 0; i < writer->count; i++) {
        writer->failed += write_one(writer->audit, writer->who, i, NULL) != ERR_OK;
    }
    return NULL;
}

static void write_with_threads(const char *folder, unsigned thread_count, unsigned count,
                               uint64_t *ret_syncs)
{
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    struct audit_options options = {.file_bytes_max = 200000};
    CHECK_OK(audit_open(folder, &options, &audit, NULL));
    pthread_t threads[8];
    struct writer writers[8];
    for (unsigned i = 0; i < thread_count; i++) {
        writers[i] = (struct writer){audit, who, count, 0};
        CHECK(pthread_create(&threads[i], NULL, write_many, &writers[i]) == 0);
    }
    for (unsigned i = 0; i < thread_count; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK(writers[i].failed == 0);
    }
    *ret_syncs = audit__sync_count(audit);
}

TEST(audit, threads_share_syncs)
{
    const char *folder = test_folder();
    uint64_t syncs;
    write_with_threads(folder, 8, 500, &syncs);
    struct audit_report report = verify(folder);
    CHECK(report.is_intact && report.records == 4000 && report.files > 5);
    CHECK(syncs < 3000);
}

TEST(audit, processes_share_a_trail)
{
    const char *folder = test_folder();
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            uint64_t syncs;
            write_with_threads(folder, 2, 250, &syncs);
            _exit(0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int status;
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    struct audit_report report = verify(folder);
    CHECK(report.is_intact && report.records == 1000);
}

TEST(audit, a_file_taken_away_from_a_running_process_is_noticed)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    struct errinfo info;
    CHECK_OK(audit_open(folder, NULL, &audit, NULL));
    CHECK_OK(write_one(audit, who, 0, &info));
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    char *aside = arena_printf(arena, "%s.aside", folder);
    CHECK(rename(path, aside) == 0);
    CHECK_ERR(ERR_CORRUPT, write_one(audit, who, 2, &info));
    CHECK(rename(aside, path) == 0);
    CHECK_OK(write_one(audit, who, 2, &info));
    CHECK(truncate(path, 100) == 0);
    CHECK_ERR(ERR_CORRUPT, write_one(audit, who, 4, &info));
    CHECK_ERR(ERR_CORRUPT, write_one(audit, who, 3, &info)); /* lazy, and nobody is answered */
}

/* Up to a minute. */
static uint64_t wait_for_records(const char *folder, uint64_t wanted)
{
    uint64_t records = 0;
    for (int i = 0; i < 60000 && records != wanted; i++) {
        struct timespec while_written = {0, 1000000};
        (void)nanosleep(&while_written, NULL);
        records = verify(folder).is_intact ? verify(folder).records : 0;
    }
    return records;
}

TEST(audit, what_was_put_aside_is_kept_while_it_cannot_be_written)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    struct errinfo info;
    CHECK_OK(audit_open(folder, NULL, &audit, NULL));
    CHECK_OK(write_one(audit, who, 0, &info));
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    char *aside = arena_printf(arena, "%s.aside", folder);
    CHECK(rename(path, aside) == 0);
    CHECK_OK(write_one(audit, who, 1, &info)); /* nobody knows yet */
    CHECK_ERR(ERR_CORRUPT, write_one(audit, who, 2, &info));
    CHECK_ERR(ERR_CORRUPT, write_one(audit, who, 3, &info));
    CHECK(rename(aside, path) == 0);
    CHECK(wait_for_records(folder, 1) == 1);
    CHECK_OK(write_one(audit, who, 4, &info));
    CHECK(verify(folder).is_intact && verify(folder).records == 3); /* 0, 1 and 4 */
    CHECK_OK(write_one(audit, who, 5, &info));
    CHECK(wait_for_records(folder, 4) == 4); /* by nobody else's writing */
}

TEST(audit, a_close_waits_for_what_its_own_thread_writes)
{
    const char *folder = test_folder();
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    for (unsigned i = 0; i < 40; i++) { /* about when the thread begins */
        struct audit *audit = NULL;
        struct timespec nearly = {0, 4800000 + 10000 * (long)i};
        CHECK_OK(audit_open(folder, NULL, &audit, NULL));
        CHECK_OK(write_one(audit, who, 1, NULL));
        (void)nanosleep(&nearly, NULL);
        audit_close(audit);
    }
    CHECK(verify(folder).is_intact && verify(folder).records == 40);
}

TEST(audit, lazy_records_wait_for_no_sync_and_are_synced_by_the_close)
{
    // Method: count syncs; compare the head file, which never passes what is on disk.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    const char *folder = test_folder();
    char *head_path = io_join(arena, folder, "head.json");
    struct audit *audit = NULL;
    CHECK_OK(audit_open(folder, NULL, &audit, NULL));
    CHECK_OK(write_one(audit, who, 0, NULL));
    struct slice head = read_all(arena, head_path);
    uint64_t syncs = audit__sync_count(audit);
    CHECK_OK(write_one(audit, who, 1, NULL));
    CHECK_OK(write_one(audit, who, 3, NULL));
    CHECK(audit__sync_count(audit) == syncs);
    CHECK(wait_for_records(folder, 3) == 3);
    CHECK(audit__sync_count(audit) == syncs);
    CHECK(slice_equal(read_all(arena, head_path), head));
    CHECK_OK(write_one(audit, who, 2, NULL));
    CHECK(audit__sync_count(audit) == syncs + 1);
    CHECK(!slice_equal(read_all(arena, head_path), head));
    CHECK_OK(write_one(audit, who, 5, NULL));
    head = read_all(arena, head_path);
    audit_close(audit);
    CHECK(!slice_equal(read_all(arena, head_path), head));
    CHECK(verify(folder).is_intact && verify(folder).records == 5);
}

TEST(audit, an_end_lost_with_its_sync_is_no_damage)
{
    // Method: what a power loss leaves: the lazy last record is gone, the head never knew of it.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    const char *folder = test_folder();
    char *path = io_join(arena, folder, "audit-00000000000000000001.jsonl");
    write_trail(folder, 1, 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct audit *audit = NULL;
        bool is_right = audit_open(folder, NULL, &audit, NULL) == ERR_OK &&
                        write_one(audit, who, 2, NULL) == ERR_OK &&
                        write_one(audit, who, 3, NULL) == ERR_OK &&
                        wait_for_records(folder, 3) == 3;
        _exit(is_right ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct slice bytes = read_all(arena, path);
    const char *before = memrchr(bytes.ptr, '\n', bytes.len - 1);
    size_t start = (size_t)(before - bytes.ptr) + 1;
    for (size_t len = start; len <= bytes.len; len += 97) {
        CHECK(truncate(path, (off_t)len) == 0);
        CHECK(verify(folder).is_intact && verify(folder).records == 2);
        write_all(path, bytes);
    }
    write_trail(folder, 1, 0); /* and a start takes it for the record it is */
    CHECK(verify(folder).is_intact && verify(folder).records == 4);
}

TEST(audit, files_are_listed_in_order)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    write_trail(folder, 12, 1);
    struct identity *who CLEANUP(identity_cleanup) = new_person();
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    CHECK_OK(audit_open(folder, NULL, &audit, NULL));
    struct slice *paths;
    size_t count;
    CHECK_OK(audit_files(audit, who, arena, &paths, &count, NULL));
    CHECK(count == 12 && paths[0].ptr[0] == '/');
    for (size_t i = 1; i < count; i++) {
        CHECK(slice_compare(paths[i - 1], paths[i]) < 0);
    }
}
