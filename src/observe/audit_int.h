/* For the module's own files and tests. */
#pragma once

#include <pthread.h>

#include "observe/audit.h"

/* ---- form of a trail ---- */

#define AUDIT_HASH_HEX 64
#define AUDIT_FILE_BYTES_DEFAULT (256ull << 20)
#define AUDIT_STATEMENT_BYTES_MAX (64u << 10)

/* Below what the reader of moat_system.audit takes as one JSON object. */
#define AUDIT_RECORD_BYTES_MAX (8u << 20)

#define AUDIT_HEAD_NAME "head.json"
#define AUDIT_LOCK_NAME "lock"
#define AUDIT_NAME_BYTES 40

/* "audit-00000000000000000001.jsonl": as wide as any sequence, so that byte order is trail order.
 * */
void audit__file_name(uint64_t first_seq, char out[AUDIT_NAME_BYTES]);
bool audit__parse_file_name(struct slice name, uint64_t *ret_first_seq);

/* Where a trail stands: its last record. seq 0 and 64 zeros before the first. */
struct audit_head {
    uint64_t seq;
    uint64_t file_first_seq; /* names the file it is in; 0 = no file yet */
    char hash[AUDIT_HASH_HEX + 1];
};

/* One line of fixed width, so that it is rewritten in place by one small write. */
#define AUDIT_HEAD_BYTES 160
void audit__print_head(const struct audit_head *head, char out[AUDIT_HEAD_BYTES]);
bool audit__parse_head(struct slice bytes, struct audit_head *ret_head);

/* One record without its newline, checked for form and for its own hash. */
struct audit_line {
    uint64_t seq;
    struct slice prev;
    struct slice hash;
};
enum audit_line_state {
    AUDIT_LINE_GOOD,
    AUDIT_LINE_FORM,
    AUDIT_LINE_HASH
};
enum audit_line_state audit__check_line(struct slice line, struct audit_line *ret_line);

/* Appends `{"seq":..,"time":"..",` `fields` `,"prev":..,"hash":..}\n` and moves `head` to it. */
MUST_USE enum err audit__append_line(struct buf *out, struct audit_head *head, int64_t wall_us,
                                     struct slice fields, struct errinfo *info);

/* The record's own fields as JSON members, without braces (audit_record.c). */
MUST_USE enum err audit__print_fields(const struct audit_record *record, struct buf *out,
                                      struct errinfo *info);

/* ---- files (audit_trail.c): everything below is called with the lock held ---- */

struct audit_trail {
    char *folder;
    uint64_t file_bytes_max;
    int lock_fd;
    int head_fd;
    int file_fd;         /* -1: not open; read the tail again before the next append */
    uint64_t file_bytes; /* of file_fd, all of them whole lines */
    struct audit_head head;
    struct audit_head marked; /* what the head file says: `head`, or a record before it */
    bool is_unsynced;         /* lines between `marked` and `head` wait for a sync */
    uint64_t sync_count;      /* for tests and benchmarks */
};

/* The first record's hash, which names the trail; empty if its file was put away or there is no
 * record yet. The file never changes, so this needs no lock. */
MUST_USE enum err audit__trail_id(const char *folder, char ret_id[AUDIT_HASH_HEX + 1],
                                  struct errinfo *info);

/* ERR_CORRUPT if the trail, just refreshed, ends before `anchor` or is another one. */
MUST_USE enum err audit__trail_check_anchor(const struct audit_trail *trail,
                                            const struct audit_anchor *anchor,
                                            struct errinfo *info);

/* With `anchor`, refuses a trail that ends before it, and makes nothing. */
MUST_USE enum err audit__trail_open(struct audit_trail *trail, const char *folder,
                                    uint64_t file_bytes_max, const struct audit_anchor *anchor,
                                    struct errinfo *info);
void audit__trail_close(struct audit_trail *trail);

MUST_USE enum err audit__lock(int lock_fd, bool is_exclusive, struct errinfo *info);
void audit__unlock(int lock_fd);

/* Makes `trail` agree with the folder: nothing to do if nobody else wrote, else reads the tail,
 * cuts an unfinished last line and checks the last record. ERR_CORRUPT if the trail is damaged.
 * */
MUST_USE enum err audit__trail_refresh(struct audit_trail *trail, struct errinfo *info);

/* Appends `lines` (which end at `head`), and unless they are lazy syncs and moves the head file. On
 * failure the lines are
 * cut off again where possible and the tail is read anew before the next append. */
MUST_USE enum err audit__trail_append(struct audit_trail *trail, struct slice lines,
                                      const struct audit_head *head, bool is_lazy,
                                      struct errinfo *info);

/* Syncs what lazy records left, and moves the head file to the last. */
MUST_USE enum err audit__trail_settle(struct audit_trail *trail, struct errinfo *info);

/* First sequence numbers of the trail's files, sorted, in `arena`. */
MUST_USE enum err audit__list(const char *folder, struct arena *arena, uint64_t **ret_seqs,
                              size_t *ret_count, struct slice *ret_foreign, struct errinfo *info);

MUST_USE enum err audit__open_file(const char *folder, const char *name, int flags, int *ret_fd,
                                   struct errinfo *info);
MUST_USE enum err audit__read_at(int fd, uint64_t offset, void *ret_bytes, size_t len,
                                 struct errinfo *info);

/* The last whole line that ends at or before `size_bytes`; `ret_end` is behind its newline, 0 if
 * there is none. The text lives in `line`. */
MUST_USE enum err audit__last_line(int fd, uint64_t size_bytes, struct buf *line, uint64_t *ret_end,
                                   struct errinfo *info);

uint64_t audit__sync_count(const struct audit *audit);

/* Writes the lazy records that were put aside. False: they could not be, and still are. */
bool audit__flush(struct audit *audit);

/* ---- verification of one file's bytes, in pieces ---- */

struct audit_check {
    struct audit_head head;     /* the last good record */
    struct audit_head expected; /* from the head file: this record must be passed with this hash */
    struct audit_anchor anchor; /* likewise */
    char trail[AUDIT_HASH_HEX + 1]; /* the first record's hash */
    uint64_t line_count;            /* of the present file */
    uint64_t records;
    char problem[200]; /* empty = none */
};

/* Checks one line; false sets `problem`. */
bool audit__check_next(struct audit_check *check, struct slice line);
