/* The audit trail: JSON lines, each carrying the hash of the one before.
 *
 * No audit, no data: audit_write returns only after the record is on disk (records of several
 * threads share one sync), but for records that say they can wait. If it fails, the query must
 * fail. The trail of a warehouse is the folder
 * `audit/` with files `audit-<first sequence>.jsonl`; a new file starts past a size, its first
 * record carrying the last hash of the file before. Several processes may append: a file lock
 * covers read-last-hash, append and sync. After a crash the torn last line, if any, is cut on the
 * next open (its query got no data: the sync had not returned).
 *
 * A record is one object: {"seq":n,"time":"...","kind":"...",...fields...,"prev":"<hex>",
 * "hash":"<hex>"}; hash = SHA-256 over the line's bytes up to and without `,"hash":...`. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "identity/identity.h"

struct audit;
struct metrics;

/* How far a trail is known to have come, remembered somewhere that does not fall with its folder. A
 * trail may reach further than its anchor; one that ends before it has lost its end. */
struct audit_anchor {
    char trail[65];  /* the hash of the trail's first record; empty = not known */
    uint64_t seq;    /* 0 = nothing is anchored */
    char hash[65];   /* of record `seq` */
    int64_t wall_us; /* when it was anchored; 0 = not known */
};

/* Where the anchor is kept. Called from whichever thread writes a record, one at a time, and with
 * no lock of the trail. */
struct audit_anchor_store {
    enum err (*load)(void *context, struct audit_anchor *ret_anchor, struct errinfo *info);
    /* Never backwards. ERR_CORRUPT: the anchor is of another trail, and this one must end; after
     * any other error the trail goes on, and the next record tries again. */
    enum err (*save)(void *context, const struct audit_anchor *anchor, struct errinfo *info);
    void *context;
};

/* An anchor is saved when a trail is opened or closed further than it, a new file was begun, or so
 * many records or so much time (looked at when a record is written) have passed. */
#define AUDIT_ANCHOR_RECORDS 64u
#define AUDIT_ANCHOR_US 2000000

/* Of a trail past its anchor. More than this is no crash, but a store that was put back or cannot
 * be written. */
#define AUDIT_ANCHOR_LAG_MAX 10000u

struct audit_options {
    uint64_t file_bytes_max;                  /* 0 = 256 MiB */
    const struct audit_anchor_store *anchors; /* copied; NULL = the trail is not anchored */
    struct metrics *metrics;                  /* NULL: nobody counts; outlives the trail */
};

/* ERR_CORRUPT when the trail is damaged, or ends before its anchor: then nothing was made, and only
 * the owner's word (AUDIT_LOSS) lets a trail go on. */
MUST_USE enum err audit_open(const char *folder, const struct audit_options *options,
                             struct audit **ret_audit, struct errinfo *info);
void audit_close(struct audit *audit);
DEFINE_CLEANUP(struct audit, audit_cleanup, audit_close)

struct audit_table {
    struct slice name; /* qualified */
    struct slice uuid;
    const struct slice *columns; /* read */
    size_t column_count;
    const uint64_t *grant_ids;
    size_t grant_count;
    uint64_t files;
    uint64_t bytes_read;     /* known at the end only */
    struct slice via_view;   /* empty, or the view it was reached through */
    struct slice as_definer; /* empty, or with whose rights it was read */
    struct slice via_policy; /* empty, or the table whose policy reads it to decide */
    bool has_snapshot;       /* of a table of a lake that has one */
    int64_t snapshot_id;
    struct slice version; /* which version was asked for, as AT says it; empty = the current one */
};

/* A table that a statement writes; what was done is known at its end. */
struct audit_write {
    struct slice name; /* qualified */
    struct slice uuid;
    struct slice operation;  /* empty: nothing was committed */
    int64_t snapshot_before; /* -1 = none */
    int64_t snapshot_after;
    uint64_t files; /* added */
    uint64_t rows;
    struct slice
        metadata_before; /* where the table's document is, of what changes more than rows */
    struct slice metadata_after;
};

enum audit_kind {
    AUDIT_QUERY_START, /* on SECURED, before the first row */
    AUDIT_QUERY_END,   /* DONE, FAILED, CANCELLED */
    AUDIT_DENIED,      /* a statement refused before it could be secured */
    AUDIT_ADMIN,       /* DDL, grants, users, roles */
    AUDIT_LOGIN,
    AUDIT_POLICY, /* moat policy apply */
    AUDIT_LOSS,   /* the owner accepted that records are gone */
};

struct audit_record {
    enum audit_kind kind;
    bool is_lazy; /* written within 5 ms or before the next record that is not, and synced with that
                   * or by the close: for what adds to a record that is on disk, and what shows
                   * nobody any data. Waits if the one before could not be written. */
    struct slice query_id;
    const struct identity *who; /* NULL for a login that was refused: then, as they said, */
    struct slice who_printed;   /* empty, or what audit_print_who said of `who` */
    struct slice claimed_user;  /* who wanted to be whom */
    struct slice claimed_client;
    struct slice reason;     /* of a refused login: why, in words that the client does not get */
    struct slice refused_by; /* the provider that refused it, or empty */
    struct slice statement; /* redacted text; cut at 64 KiB with its full length in another field */
    uint64_t fingerprint;
    const struct audit_table *tables;
    size_t table_count;
    const struct audit_write *write; /* NULL = none */
    /* end records */
    struct slice state; /* DONE, FAILED, CANCELLED */
    struct slice sqlstate;
    uint64_t rows_out;
    uint64_t bytes_out;
    const struct audit_duration {
        const char *state;
        int64_t us;
    } * durations;
    size_t duration_count;
    int64_t duration_us;
    struct slice command; /* tag */
};

/* What a record says of its person, appended: for who writes many of one person. */
void audit_print_who(const struct identity *who, struct buf *ret_fields);

/* Appends and syncs; a lazy record is only put aside. Any thread. */
MUST_USE enum err audit_write(struct audit *audit, const struct audit_record *record,
                              struct errinfo *info);

/* Whether a record could be written now; puts those on disk that wait for it. Any thread. */
MUST_USE enum err audit_check(struct audit *audit, struct errinfo *info);

/* Files of the trail in order, for moat_system.audit (arena). */
MUST_USE enum err audit_files(struct audit *audit, const struct identity *who, struct arena *arena,
                              struct slice **ret_paths, size_t *ret_count, struct errinfo *info);

struct audit_report {
    uint64_t records;
    uint64_t files;
    bool is_intact;
    char problem[256]; /* file, line and what: cut, edit, reorder, gap, torn */
    char last_hash[65];
    char trail[65]; /* the first record's hash; empty without one */
};

/* Reads the whole trail in `folder` and finds any cut, edit, insertion or reorder. A trail cut at
 * its end is found by comparing with head.json, and when even that is gone or was cut too, with
 * `anchor` (NULL: none is known), which must have been read before. ERR only when the files cannot
 * be read; ERR_NOT_FOUND without a folder and an anchor. */
MUST_USE enum err audit_verify(const char *folder, const struct audit_anchor *anchor,
                               struct audit_report *ret_report, struct errinfo *info);
