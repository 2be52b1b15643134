/* Reading the trail as an auditor: from the first record to the last, believing nothing. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/io.h"
#include "observe/audit_int.h"

#define CHUNK_BYTES (256u << 10)
#define LINE_BYTES_MAX (AUDIT_RECORD_BYTES_MAX + 1024)

PRINTF_LIKE(2, 3) static bool problem(struct audit_check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(check->problem, sizeof(check->problem), format, arguments);
    va_end(arguments);
    return false;
}

/* The record is good in itself: is it the next one? */
static bool check_place(struct audit_check *check, const struct audit_line *line)
{
    unsigned long long want = check->head.seq + 1;
    unsigned long long have = line->seq;
    if (have == want - 1) {
        return problem(check, "record %llu is there twice", have);
    }
    if (have < want) {
        return problem(check, "record %llu follows record %llu: repeated or reordered", have,
                       want - 1);
    }
    if (have > want) {
        return problem(check, "record %llu follows record %llu: records are missing or reordered",
                       have, want - 1);
    }
    if (!slice_equal(line->prev, (struct slice){check->head.hash, AUDIT_HASH_HEX})) {
        return problem(check,
                       "record %llu does not continue the record before it: one of them was "
                       "replaced",
                       have);
    }
    if (have == check->expected.seq &&
        !slice_equal(line->hash, (struct slice){check->expected.hash, AUDIT_HASH_HEX})) {
        return problem(check,
                       "record %llu is not the one that " AUDIT_HEAD_NAME " remembers: the "
                       "trail was rewritten",
                       have);
    }
    if (have == check->anchor.seq &&
        !slice_equal(line->hash, (struct slice){check->anchor.hash, AUDIT_HASH_HEX})) {
        return problem(check,
                       "record %llu is not the one that the warehouse's store remembers: the trail "
                       "was rewritten",
                       have);
    }
    if (have == 1 && check->anchor.trail[0] != '\0' &&
        !slice_equal(line->hash, slice_of(check->anchor.trail))) {
        return problem(check, "this is not the trail that the warehouse's store remembers");
    }
    return true;
}

bool audit__check_next(struct audit_check *check, struct slice text)
{
    struct audit_line line;
    check->line_count++;
    switch (audit__check_line(text, &line)) {
    case AUDIT_LINE_FORM:
        return problem(check, "not an audit record");
    case AUDIT_LINE_HASH:
        return problem(check, "its hash does not fit: the record was edited");
    case AUDIT_LINE_GOOD:
        break;
    }
    if (!check_place(check, &line)) {
        return false;
    }
    check->head.seq = line.seq;
    memcpy(check->head.hash, line.hash.ptr, AUDIT_HASH_HEX);
    if (line.seq == 1) {
        memcpy(check->trail, line.hash.ptr, AUDIT_HASH_HEX);
    }
    check->records++;
    return true;
}

/* Takes the whole lines off the front of `pending`. */
static bool check_lines(struct audit_check *check, struct buf *pending)
{
    size_t start = 0;
    const char *newline;
    while (start < pending->len &&
           (newline = memchr(pending->ptr + start, '\n', pending->len - start)) != NULL) {
        size_t len = (size_t)(newline - pending->ptr) - start;
        if (!audit__check_next(check, (struct slice){pending->ptr + start, len})) {
            return false;
        }
        start += len + 1;
    }
    pending->len -= start;
    if (pending->len > 0) {
        memmove(pending->ptr, pending->ptr + start, pending->len);
    }
    if (pending->len > LINE_BYTES_MAX) {
        check->line_count++;
        return problem(check, "a line is longer than any record");
    }
    return true;
}

static enum err check_file(struct audit_check *check, int fd, uint64_t size_bytes, bool is_last,
                           uint64_t *ret_unfinished, struct errinfo *info)
{
    struct buf pending CLEANUP(buf_fini) = {0};
    check->line_count = 0;
    for (uint64_t offset = 0; offset < size_bytes && check->problem[0] == '\0';) {
        uint64_t left = size_bytes - offset;
        size_t len = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        char *room = buf_reserve(&pending, len);
        if (room == NULL) {
            return errinfo_nomem(info);
        }
        TRY(audit__read_at(fd, offset, room, len, info));
        pending.len += len;
        offset += len;
        (void)check_lines(check, &pending);
    }
    if (check->problem[0] == '\0' && !is_last && (pending.len > 0 || check->line_count == 0)) {
        check->line_count++;
        (void)problem(check, "the file ends in the middle: its end was cut");
    }
    *ret_unfinished = check->problem[0] == '\0' ? pending.len : 0;
    return ERR_OK;
}

/* What is looked at: taken under the lock, because all before it never changes again. */
struct view {
    struct audit_head head;
    bool has_head;
    uint64_t *seqs;
    size_t count;
    uint64_t last_bytes;
    struct slice foreign;
};

static enum err take_view(const char *folder, struct arena *arena, struct view *view,
                          struct errinfo *info)
{
    int fd;
    char bytes[AUDIT_HEAD_BYTES];
    enum err err = audit__open_file(folder, AUDIT_HEAD_NAME, O_RDONLY, &fd, info);
    if (err == ERR_OK) {
        struct stat file;
        bool has_size = fstat(fd, &file) == 0 && file.st_size == AUDIT_HEAD_BYTES;
        err = has_size ? audit__read_at(fd, 0, bytes, sizeof(bytes), info) : ERR_OK;
        io_close(fd);
        TRY(err);
        view->has_head =
            has_size && audit__parse_head((struct slice){bytes, sizeof(bytes)}, &view->head);
    } else if (err != ERR_NOT_FOUND) {
        return err;
    }
    TRY(audit__list(folder, arena, &view->seqs, &view->count, &view->foreign, info));
    if (view->count == 0) {
        return ERR_OK;
    }
    char name[AUDIT_NAME_BYTES];
    audit__file_name(view->seqs[view->count - 1], name);
    TRY(audit__open_file(folder, name, O_RDONLY, &fd, info));
    struct stat file;
    view->last_bytes = fstat(fd, &file) == 0 ? (uint64_t)file.st_size : 0;
    io_close(fd);
    return ERR_OK;
}

static enum err take_view_locked(const char *folder, struct arena *arena, struct view *view,
                                 struct errinfo *info)
{
    int lock_fd;
    TRY(audit__open_file(folder, AUDIT_LOCK_NAME, O_RDONLY, &lock_fd, info));
    enum err err = audit__lock(lock_fd, false, info);
    if (err == ERR_OK) {
        err = take_view(folder, arena, view, info);
    }
    io_close(lock_fd); /* and so unlocks */
    return err;
}

static enum err check_named_file(const char *folder, const struct view *view, size_t index,
                                 struct audit_check *check, struct audit_report *report,
                                 struct errinfo *info)
{
    char name[AUDIT_NAME_BYTES];
    bool is_last = index + 1 == view->count;
    audit__file_name(view->seqs[index], name);
    if (view->seqs[index] != check->head.seq + 1) {
        (void)snprintf(report->problem, sizeof(report->problem),
                       "%s: should begin with record %llu: a file is missing or renamed", name,
                       (unsigned long long)check->head.seq + 1);
        return ERR_OK;
    }
    int fd;
    uint64_t unfinished = 0;
    struct stat file;
    TRY(audit__open_file(folder, name, O_RDONLY, &fd, info));
    uint64_t size = is_last ? view->last_bytes : fstat(fd, &file) == 0 ? (uint64_t)file.st_size : 0;
    enum err err = check_file(check, fd, size, is_last, &unfinished, info);
    io_close(fd);
    TRY(err);
    report->files++;
    if (check->problem[0] != '\0') {
        (void)snprintf(report->problem, sizeof(report->problem), "%s line %llu: %s", name,
                       (unsigned long long)check->line_count, check->problem);
    } else if (unfinished > 0) {
        (void)snprintf(report->problem, sizeof(report->problem),
                       "%s: %llu bytes of an unfinished record at the end, left by a crash (no "
                       "query was answered for it); the next start cuts them",
                       name, (unsigned long long)unfinished);
    }
    return ERR_OK;
}

/* The head names a file of the trail, or the one that was about to be begun. */
static bool is_head_file_known(const struct view *view)
{
    uint64_t first = view->head.file_first_seq;
    bool is_known = first == 0 ? view->head.seq == 0 : first == view->head.seq + 1;
    for (size_t i = 0; i < view->count; i++) {
        is_known = is_known || (first == view->seqs[i] && first <= view->head.seq + 1);
    }
    return is_known;
}

/* What is wrong with the trail as a whole, once every record has been read. */
static void check_whole(const struct view *view, const struct audit_check *check,
                        struct audit_report *report)
{
    char *out = report->problem;
    size_t room = sizeof(report->problem);
    if (!view->has_head || !is_head_file_known(view)) {
        (void)snprintf(out, room, AUDIT_HEAD_NAME ": missing or not what was written");
    } else if (check->head.seq < view->head.seq) {
        (void)snprintf(out, room,
                       "the trail ends with record %llu, but record %llu was written: its end was "
                       "cut",
                       (unsigned long long)check->head.seq, (unsigned long long)view->head.seq);
    } else if (check->head.seq < check->anchor.seq) {
        (void)snprintf(
            out, room,
            "the trail ends with record %llu, but the warehouse's store remembers record "
            "%llu: its end was cut",
            (unsigned long long)check->head.seq, (unsigned long long)check->anchor.seq);
    } else if (check->anchor.seq > 0 &&
               check->head.seq - check->anchor.seq > AUDIT_ANCHOR_LAG_MAX) {
        (void)snprintf(
            out, room,
            "the trail ends with record %llu, but the warehouse's store remembers only "
            "record %llu: the store was put back to an older state, or cannot be written",
            (unsigned long long)check->head.seq, (unsigned long long)check->anchor.seq);
    } else if (view->foreign.len > 0) {
        (void)snprintf(out, room, "\"%.*s\" does not belong in the folder of the trail",
                       SLICE_ARGS(view->foreign));
    } else {
        report->is_intact = true;
    }
}

enum err audit_verify(const char *folder, const struct audit_anchor *anchor,
                      struct audit_report *ret_report, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "audit", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct view view = {0};
    struct audit_report report = {0};
    enum err err = take_view_locked(folder, arena, &view, info);
    if (err == ERR_NOT_FOUND && anchor != NULL && anchor->seq > 0) {
        (void)snprintf(
            report.problem, sizeof(report.problem),
            "the trail is gone, or not whole (there is no \"%s\" in its folder), but the "
            "warehouse's store remembers record %llu",
            AUDIT_LOCK_NAME, (unsigned long long)anchor->seq);
        *ret_report = report;
        return ERR_OK;
    }
    TRY(err);
    struct audit_check check = {.expected = view.head};
    if (anchor != NULL) {
        check.anchor = *anchor;
    }
    memset(check.head.hash, '0', AUDIT_HASH_HEX);
    bool is_read = true;
    for (size_t i = 0; i < view.count && is_read; i++) {
        uint64_t files = report.files;
        TRY(check_named_file(folder, &view, i, &check, &report, info));
        is_read = report.files > files && check.problem[0] == '\0';
    }
    if (is_read) {
        check_whole(&view, &check, &report);
    }
    report.records = check.records;
    memcpy(report.last_hash, check.head.hash, sizeof(report.last_hash));
    memcpy(report.trail, check.trail, sizeof(report.trail));
    *ret_report = report;
    return ERR_OK;
}
