/* The files of the trail: lock, head, tail, rotation.
 *
 * The head file says where the trail stands. It is rewritten in place after each sync without a
 * sync of its own, so it costs no wait; on disk it can only be behind the trail, never ahead,
 * unless the trail lost its end. It also tells other processes that something was appended or
 * that a new file was begun: a rotation moves the head's "file" before it creates the file. */
#include "observe/audit_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"

#define LOCK_WAIT_US 30000000

static const struct audit_head no_head = {
    .hash = "0000000000000000000000000000000000000000000000000000000000000000"};

static bool step_fails(void)
{
    if (fault_hit_io()) {
        errno = EIO;
        return true;
    }
    return false;
}

static enum err report(struct errinfo *info, int error, const char *verb, const char *name)
{
    char text[128];
    enum err code = error == ENOENT || error == ENOTDIR ? ERR_NOT_FOUND
                    : error == EACCES || error == EPERM ? ERR_DENIED
                                                        : ERR_IO;
    return errinfo_set(info, code, code == ERR_NOT_FOUND ? "58P01" : NULL,
                       "cannot %s \"%s\" of the audit trail: %s", verb, name,
                       strerror_r(error, text, sizeof(text)));
}

static enum err damaged(struct errinfo *info, const char *what)
{
    (void)errinfo_set(info, ERR_CORRUPT, NULL, "the audit trail is damaged: %s", what);
    errinfo_hint(info, "\"moat audit verify\" says where. Nothing is answered without an audit "
                       "trail: restore it from a backup, or \"moat audit accept-loss\" keeps what "
                       "is there aside and begins a new one.");
    return ERR_CORRUPT;
}

/* ---- small I/O ---- */

static bool join(const char *folder, const char *name, char out[PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < PATH_MAX;
}

enum err audit__open_file(const char *folder, const char *name, int flags, int *ret_fd,
                          struct errinfo *info)
{
    char path[PATH_MAX];
    if (!join(folder, name, path)) {
        return report(info, ENAMETOOLONG, "open", name);
    }
    int fd;
    do {
        fd = step_fails() ? -1 : open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    } while (fd < 0 && errno == EINTR);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
        int error = fd < 0 ? errno : EINVAL;
        io_close(fd);
        return report(info, error, "open", name);
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err audit__read_at(int fd, uint64_t offset, void *ret_bytes, size_t len, struct errinfo *info)
{
    char *out = ret_bytes;
    for (size_t done = 0; done < len;) {
        ssize_t got = step_fails() ? -1 : pread(fd, out + done, len - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return report(info, got == 0 ? ENODATA : errno, "read", "file");
        }
        done += (size_t)got;
    }
    return ERR_OK;
}

static enum err write_head(struct audit_trail *trail, const struct audit_head *head,
                           struct errinfo *info)
{
    char bytes[AUDIT_HEAD_BYTES];
    audit__print_head(head, bytes);
    ssize_t wrote;
    do {
        wrote = step_fails() ? -1 : pwrite(trail->head_fd, bytes, sizeof(bytes), 0);
    } while (wrote < 0 && errno == EINTR);
    if (wrote == (ssize_t)sizeof(bytes)) {
        return ERR_OK;
    }
    return report(info, wrote < 0 ? errno : ENOSPC, "write", AUDIT_HEAD_NAME);
}

static enum err read_head(const struct audit_trail *trail, struct audit_head *ret_head,
                          struct errinfo *info)
{
    char bytes[AUDIT_HEAD_BYTES];
    TRY(audit__read_at(trail->head_fd, 0, bytes, sizeof(bytes), info));
    if (!audit__parse_head((struct slice){bytes, sizeof(bytes)}, ret_head)) {
        return damaged(info, AUDIT_HEAD_NAME " is not what was written");
    }
    return ERR_OK;
}

/* ---- lock ---- */

/* Polled rather than waited for, so that a stopped process cannot hold everybody for ever. */
enum err audit__lock(int lock_fd, bool is_exclusive, struct errinfo *info)
{
    struct flock lock = {.l_type = is_exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    int64_t deadline_us = clock_mono_us() + LOCK_WAIT_US;
    struct timespec pause = {.tv_nsec = 20000};
    for (;;) {
        if (!step_fails() && fcntl(lock_fd, F_OFD_SETLK, &lock) == 0) {
            return ERR_OK;
        }
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            return report(info, errno, "lock", AUDIT_LOCK_NAME);
        }
        if (clock_mono_us() > deadline_us) {
            (void)errinfo_set(info, ERR_BUSY, "55P03",
                              "another process holds the lock of the audit trail");
            errinfo_hint(info, "Look for a stopped moat process of this warehouse.");
            return ERR_BUSY;
        }
        (void)nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec < 1000000 ? pause.tv_nsec * 2 : 1000000;
    }
}

void audit__unlock(int lock_fd)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(lock_fd, F_OFD_SETLK, &lock);
}

/* ---- the folder ---- */

static int compare_seqs(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

static bool is_own_name(struct slice name)
{
    return slice_equal(name, SLICE(".")) || slice_equal(name, SLICE("..")) ||
           slice_equal(name, SLICE(AUDIT_LOCK_NAME)) || slice_equal(name, SLICE(AUDIT_HEAD_NAME)) ||
           slice_equal(name, SLICE(AUDIT_HEAD_NAME ".tmp"));
}

enum err audit__list(const char *folder, struct arena *arena, uint64_t **ret_seqs,
                     size_t *ret_count, struct slice *ret_foreign, struct errinfo *info)
{
    DIR *stream = step_fails() ? NULL : opendir(folder);
    if (stream == NULL) {
        return report(info, errno, "open", "folder");
    }
    uint64_t *seqs = NULL;
    size_t count = 0;
    size_t capacity = 0;
    struct slice foreign = {0};
    enum err err = ERR_OK;
    const struct dirent *entry;
    while (err == ERR_OK && (errno = 0, entry = readdir(stream)) != NULL) {
        struct slice name = slice_of(entry->d_name);
        uint64_t seq;
        if (!audit__parse_file_name(name, &seq)) {
            if (!is_own_name(name) && foreign.len == 0 && !arena_slice(arena, name, &foreign)) {
                err = errinfo_nomem(info);
            }
            continue;
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            uint64_t *grown = arena_calloc(arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                err = errinfo_nomem(info);
                break;
            }
            if (count > 0) {
                memcpy(grown, seqs, count * sizeof(*seqs));
            }
            seqs = grown;
        }
        seqs[count++] = seq;
    }
    if (err == ERR_OK && errno != 0) {
        err = report(info, errno, "read", "folder");
    }
    (void)closedir(stream);
    TRY(err);
    if (count > 1) {
        qsort(seqs, count, sizeof(*seqs), compare_seqs);
    }
    *ret_seqs = seqs;
    *ret_count = count;
    *ret_foreign = foreign;
    return ERR_OK;
}

/* ---- the tail ---- */

enum err audit__last_line(int fd, uint64_t size_bytes, struct buf *line, uint64_t *ret_end,
                          struct errinfo *info)
{
    size_t want = 4096;
    for (;;) {
        size_t len = size_bytes < want ? (size_t)size_bytes : want;
        buf_reset(line);
        char *room = buf_reserve(line, len + 1);
        if (room == NULL) {
            return errinfo_nomem(info);
        }
        TRY(audit__read_at(fd, size_bytes - len, room, len, info));
        const char *last = len == 0 ? NULL : memrchr(room, '\n', len);
        const char *before =
            last == NULL || last == room ? NULL : memrchr(room, '\n', (size_t)(last - room));
        if (before == NULL && len < size_bytes) {
            if (want > 4 * (size_t)AUDIT_RECORD_BYTES_MAX) {
                return damaged(info, "its last line is longer than any record");
            }
            want *= 4;
            continue;
        }
        size_t start = before == NULL ? 0 : (size_t)(before - room) + 1;
        size_t end = last == NULL ? 0 : (size_t)(last - room);
        *ret_end = last == NULL ? 0 : size_bytes - len + end + 1;
        line->len = last == NULL ? 0 : end - start;
        memmove(room, room + start, line->len);
        return ERR_OK;
    }
}

static enum err file_size(int fd, uint64_t *ret_size, struct errinfo *info)
{
    struct stat file;
    if (step_fails() || fstat(fd, &file) != 0) {
        return report(info, errno, "look at", "file");
    }
    *ret_size = (uint64_t)file.st_size;
    return ERR_OK;
}

/* Takes the last whole record of an open file; ERR_OK with `*ret_end` 0 if it has none. */
static enum err read_tail(int fd, uint64_t size_bytes, struct audit_head *head, uint64_t *ret_end,
                          struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(audit__last_line(fd, size_bytes, &text, ret_end, info));
    if (*ret_end == 0) {
        return ERR_OK;
    }
    struct audit_line line;
    if (audit__check_line(buf_slice(&text), &line) != AUDIT_LINE_GOOD) {
        return damaged(info, "its last record is not what was written");
    }
    head->seq = line.seq;
    memcpy(head->hash, line.hash.ptr, AUDIT_HASH_HEX);
    return ERR_OK;
}

/* The record before an empty newest file is the last of the file before. */
static enum err read_previous(struct audit_trail *trail, const uint64_t *seqs, size_t count,
                              struct audit_head *head, struct errinfo *info)
{
    *head = no_head;
    if (count > 1) {
        char name[AUDIT_NAME_BYTES];
        int fd = -1;
        uint64_t size;
        uint64_t end = 0;
        audit__file_name(seqs[count - 2], name);
        TRY(audit__open_file(trail->folder, name, O_RDONLY, &fd, info));
        enum err err = file_size(fd, &size, info);
        if (err == ERR_OK) {
            err = read_tail(fd, size, head, &end, info);
        }
        if (err == ERR_OK && (end == 0 || end != size)) {
            err = damaged(info, "a file that is not the last has no whole end");
        }
        io_close(fd);
        TRY(err);
    }
    return head->seq + 1 == seqs[count - 1] ? ERR_OK : damaged(info, "records are missing");
}

static enum err check_head(const struct audit_head *tail, const struct audit_head *head,
                           struct errinfo *info)
{
    if (head->seq > tail->seq) {
        return damaged(info, "its end was cut");
    }
    if (head->seq == tail->seq && memcmp(head->hash, tail->hash, AUDIT_HASH_HEX) != 0) {
        return damaged(info, "its last record was replaced");
    }
    return ERR_OK;
}

/* Against the head file, and against what this process itself has seen or written: lazy records are
 * not in the head file yet. */
static enum err check_tail(const struct audit_trail *trail, const struct audit_head *tail,
                           const struct audit_head *head, struct errinfo *info)
{
    TRY(check_head(tail, head, info));
    return check_head(tail, &trail->head, info);
}

/* Reads the tail of the open newest file; cuts what a crash left unfinished. */
static enum err adopt_tail(struct audit_trail *trail, const uint64_t *seqs, size_t count,
                           const struct audit_head *head, struct errinfo *info)
{
    uint64_t size;
    uint64_t end;
    struct audit_head tail = no_head;
    TRY(file_size(trail->file_fd, &size, info));
    TRY(read_tail(trail->file_fd, size, &tail, &end, info));
    if (end == 0) {
        TRY(read_previous(trail, seqs, count, &tail, info));
        TRY(io_sync_folder(trail->folder, info));
    } else if (tail.seq < seqs[count - 1]) {
        return damaged(info, "a file has another name than its first record");
    }
    TRY(check_tail(trail, &tail, head, info));
    if (end < size) {
        TRY(io_truncate(trail->file_fd, end, info));
    }
    if (end < size || tail.seq > head->seq) {
        TRY(io_sync(trail->file_fd, info)); /* of a process that ended before its sync */
        trail->sync_count++;
    }
    trail->is_unsynced = false;
    trail->marked = *head;
    trail->head = tail;
    trail->head.file_first_seq = seqs[count - 1];
    trail->file_bytes = end;
    return ERR_OK;
}

static void forget_file(struct audit_trail *trail)
{
    io_close(trail->file_fd);
    trail->file_fd = -1;
}

/* Everything anew from the folder. */
static enum err recover(struct audit_trail *trail, const struct audit_head *head,
                        struct errinfo *info)
{
    forget_file(trail);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "audit", 0);
    uint64_t *seqs;
    size_t count;
    struct slice foreign;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(audit__list(trail->folder, arena, &seqs, &count, &foreign, info));
    if (count == 0) {
        TRY(check_tail(trail, &no_head, head, info));
        trail->head = no_head;
        trail->marked = *head;
        trail->is_unsynced = false;
        trail->file_bytes = 0;
        return ERR_OK;
    }
    char name[AUDIT_NAME_BYTES];
    audit__file_name(seqs[count - 1], name);
    TRY(audit__open_file(trail->folder, name, O_RDWR | O_APPEND, &trail->file_fd, info));
    enum err err = adopt_tail(trail, seqs, count, head, info);
    if (err != ERR_OK) {
        forget_file(trail);
    }
    return err;
}

/* True if the open file is still the one of that name; its size then is `*ret_size`. */
static bool is_file_in_place(const struct audit_trail *trail, uint64_t *ret_size)
{
    char name[AUDIT_NAME_BYTES];
    char path[PATH_MAX];
    struct stat named;
    struct stat open;
    audit__file_name(trail->head.file_first_seq, name);
    if (!join(trail->folder, name, path) || lstat(path, &named) != 0 ||
        fstat(trail->file_fd, &open) != 0) {
        return false;
    }
    *ret_size = (uint64_t)open.st_size;
    return named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

enum err audit__trail_refresh(struct audit_trail *trail, struct errinfo *info)
{
    struct audit_head head;
    TRY(read_head(trail, &head, info));
    uint64_t size;
    if (trail->file_fd < 0 || head.file_first_seq != trail->head.file_first_seq ||
        !is_file_in_place(trail, &size)) {
        return recover(trail, &head, info);
    }
    if (size == trail->file_bytes && head.seq == trail->marked.seq &&
        memcmp(head.hash, trail->marked.hash, AUDIT_HASH_HEX) == 0) {
        return ERR_OK;
    }
    if (size <= trail->file_bytes || trail->file_bytes == 0) {
        return recover(trail, &head, info);
    }
    /* Others appended to the same file: the usual case with two processes. */
    uint64_t seq = trail->head.file_first_seq;
    enum err err = adopt_tail(trail, &seq, 1, &head, info);
    if (err != ERR_OK) {
        forget_file(trail);
    }
    return err;
}

/* ---- the anchor ---- */

static enum err lost(struct errinfo *info, const struct audit_anchor *anchor, const char *what)
{
    char time[CLOCK_TEXT_BYTES] = "";
    clock_format_utc(anchor->wall_us, time);
    (void)errinfo_set(info, ERR_CORRUPT, NULL,
                      "records of the audit trail are missing: record %llu was there at %s, but %s",
                      (unsigned long long)anchor->seq, time, what);
    errinfo_hint(info, "Put the folder \"audit\" back from a backup, or let \"moat audit "
                       "accept-loss\" record that they are gone. \"moat audit verify\" says what "
                       "is left.");
    return ERR_CORRUPT;
}

enum err audit__trail_id(const char *folder, char ret_id[AUDIT_HASH_HEX + 1], struct errinfo *info)
{
    char name[AUDIT_NAME_BYTES];
    int fd;
    uint64_t size;
    ret_id[0] = '\0';
    audit__file_name(1, name);
    enum err err = audit__open_file(folder, name, O_RDONLY, &fd, info);
    if (err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    TRY(err);
    struct buf text CLEANUP(buf_fini) = {0};
    const char *newline = NULL;
    err = file_size(fd, &size, info);
    for (uint64_t want = 4096; err == ERR_OK && newline == NULL; want *= 4) {
        size_t len = size < want ? (size_t)size : (size_t)want;
        buf_reset(&text);
        char *room = buf_reserve(&text, len + 1);
        err = room == NULL ? errinfo_nomem(info) : audit__read_at(fd, 0, room, len, info);
        newline = err == ERR_OK ? memchr(room, '\n', len) : NULL;
        text.len = newline == NULL ? 0 : (size_t)(newline - room);
        if (len == size || len > AUDIT_RECORD_BYTES_MAX) {
            break;
        }
    }
    io_close(fd);
    TRY(err);
    struct audit_line line;
    if (newline == NULL) {
        return ERR_OK;
    }
    if (audit__check_line(buf_slice(&text), &line) != AUDIT_LINE_GOOD) {
        return damaged(info, "its first record is not what was written");
    }
    memcpy(ret_id, line.hash.ptr, AUDIT_HASH_HEX);
    ret_id[AUDIT_HASH_HEX] = '\0';
    return ERR_OK;
}

enum err audit__trail_check_anchor(const struct audit_trail *trail,
                                   const struct audit_anchor *anchor, struct errinfo *info)
{
    char text[96];
    if (trail->head.seq < anchor->seq) {
        (void)snprintf(text, sizeof(text), "the trail ends with record %llu",
                       (unsigned long long)trail->head.seq);
        return lost(info, anchor, text);
    }
    if (trail->head.seq == anchor->seq &&
        memcmp(trail->head.hash, anchor->hash, AUDIT_HASH_HEX) != 0) {
        return lost(info, anchor, "another one stands in its place");
    }
    char id[AUDIT_HASH_HEX + 1];
    TRY(audit__trail_id(trail->folder, id, info));
    if (id[0] != '\0' && anchor->trail[0] != '\0' && strcmp(id, anchor->trail) != 0) {
        return lost(info, anchor, "the folder holds another trail");
    }
    return ERR_OK;
}

/* ---- appending ---- */

static enum err mark(struct audit_trail *trail, const struct audit_head *head, struct errinfo *info)
{
    TRY(write_head(trail, head, info));
    trail->marked = *head;
    return ERR_OK;
}

static enum err sync_lines(struct audit_trail *trail, struct errinfo *info)
{
    enum err err = io_sync(trail->file_fd, info);
    trail->sync_count++;
    trail->is_unsynced = trail->is_unsynced && err != ERR_OK;
    return err;
}

static enum err begin_file(struct audit_trail *trail, struct errinfo *info)
{
    if (trail->is_unsynced) {
        TRY(sync_lines(trail, info)); /* the head may not pass what is on disk */
    }
    forget_file(trail);
    struct audit_head head = trail->head;
    head.file_first_seq = head.seq + 1;
    char name[AUDIT_NAME_BYTES];
    audit__file_name(head.file_first_seq, name);
    TRY(mark(trail, &head, info));
    int fd;
    TRY(audit__open_file(trail->folder, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL, &fd, info));
    enum err err = io_sync_folder(trail->folder, info);
    if (err != ERR_OK) {
        io_close(fd);
        return err;
    }
    trail->file_fd = fd;
    trail->file_bytes = 0;
    trail->head = head;
    return ERR_OK;
}

enum err audit__trail_append(struct audit_trail *trail, struct slice lines,
                             const struct audit_head *head, bool is_lazy, struct errinfo *info)
{
    if (trail->file_fd < 0 || trail->file_bytes >= trail->file_bytes_max) {
        TRY(begin_file(trail, info));
    }
    enum err err = io_write_all(trail->file_fd, lines, info);
    if (err == ERR_OK && !is_lazy) {
        err = sync_lines(trail, info);
    }
    if (err != ERR_OK) {
        /* Nobody was promised these lines. If even this fails, the next refresh finds them: it
         * cuts a torn one and takes whole ones for what they are, records without an answer. */
        struct errinfo ignored;
        (void)!io_truncate(trail->file_fd, trail->file_bytes, &ignored);
        forget_file(trail);
        return err;
    }
    struct audit_head moved = *head;
    moved.file_first_seq = trail->head.file_first_seq;
    if (!is_lazy) {
        err = mark(trail, &moved, info);
    }
    if (err != ERR_OK) {
        forget_file(trail);
        return err;
    }
    trail->head = moved;
    trail->file_bytes += lines.len;
    trail->is_unsynced = is_lazy;
    return ERR_OK;
}

enum err audit__trail_settle(struct audit_trail *trail, struct errinfo *info)
{
    TRY(audit__trail_refresh(trail, info));
    if (trail->is_unsynced) {
        TRY(sync_lines(trail, info));
    }
    return trail->marked.seq < trail->head.seq ? mark(trail, &trail->head, info) : ERR_OK;
}

/* ---- life ---- */

/* The head comes before the first file, so that a trail without a head is a trail that was
 * touched. */
static enum err open_head(struct audit_trail *trail, struct errinfo *info)
{
    char path[PATH_MAX];
    if (!join(trail->folder, AUDIT_HEAD_NAME, path)) {
        return report(info, ENAMETOOLONG, "open", AUDIT_HEAD_NAME);
    }
    if (!io_exists(path)) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "audit", 0);
        uint64_t *seqs;
        size_t count;
        struct slice foreign;
        if (arena == NULL) {
            return errinfo_nomem(info);
        }
        TRY(audit__list(trail->folder, arena, &seqs, &count, &foreign, info));
        if (count > 0) {
            return damaged(info, AUDIT_HEAD_NAME " is missing");
        }
        char bytes[AUDIT_HEAD_BYTES];
        audit__print_head(&no_head, bytes);
        TRY(io_write_file_atomic(path, (struct slice){bytes, sizeof(bytes)}, 0600, info));
    }
    return audit__open_file(trail->folder, AUDIT_HEAD_NAME, O_RDWR, &trail->head_fd, info);
}

/* Nothing may be made in the place of a trail that is gone: it would look like one. */
static enum err check_presence(const char *folder, const struct audit_anchor *anchor,
                               struct errinfo *info)
{
    char path[PATH_MAX];
    if (!join(folder, AUDIT_HEAD_NAME, path)) {
        return report(info, ENAMETOOLONG, "open", AUDIT_HEAD_NAME);
    }
    return io_exists(path) ? ERR_OK
                           : lost(info, anchor, "the trail, or its " AUDIT_HEAD_NAME ", is gone");
}

enum err audit__trail_open(struct audit_trail *trail, const char *folder, uint64_t file_bytes_max,
                           const struct audit_anchor *anchor, struct errinfo *info)
{
    *trail = (struct audit_trail){
        .lock_fd = -1, .head_fd = -1, .file_fd = -1, .head = no_head, .marked = no_head};
    trail->file_bytes_max = file_bytes_max;
    if (anchor->seq > 0) {
        TRY(check_presence(folder, anchor, info));
    }
    char path[PATH_MAX];
    TRY(io_make_folders(folder, 0700, info));
    if (realpath(folder, path) == NULL) {
        return report(info, errno, "open", "folder");
    }
    trail->folder = mem_strdup(path);
    if (trail->folder == NULL) {
        return errinfo_nomem(info);
    }
    TRY(audit__open_file(trail->folder, AUDIT_LOCK_NAME, O_RDWR | O_CREAT, &trail->lock_fd, info));
    TRY(audit__lock(trail->lock_fd, true, info));
    enum err err = open_head(trail, info);
    if (err == ERR_OK) {
        err = audit__trail_refresh(trail, info);
    }
    if (err == ERR_OK && anchor->seq > 0) {
        err = audit__trail_check_anchor(trail, anchor, info);
    }
    audit__unlock(trail->lock_fd);
    return err;
}

void audit__trail_close(struct audit_trail *trail)
{
    forget_file(trail);
    io_close(trail->head_fd);
    io_close(trail->lock_fd);
    mem_free(trail->folder);
}
