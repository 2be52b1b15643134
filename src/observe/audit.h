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

struct audit_options {
    uint64_t file_bytes_max; /* 0 = 256 MiB */
};

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
};

enum audit_kind {
    AUDIT_QUERY_START, /* on SECURED, before the first row */
    AUDIT_QUERY_END,   /* DONE, FAILED, CANCELLED */
    AUDIT_DENIED,      /* a statement refused before it could be secured */
    AUDIT_ADMIN,       /* DDL, grants, users, roles */
    AUDIT_LOGIN,
    AUDIT_POLICY, /* moat policy apply */
};

struct audit_record {
    enum audit_kind kind;
    bool is_lazy; /* written, but synced only with the next record that is not, or by the close: for
                   * what adds to a record that is on disk, and what shows nobody any data */
    struct slice query_id;
    const struct identity *who; /* NULL for a login that was refused: then, as they said, */
    struct slice claimed_user;  /* who wanted to be whom */
    struct slice claimed_client;
    struct slice statement; /* redacted text; cut at 64 KiB with its full length in another field */
    uint64_t fingerprint;
    const struct audit_table *tables;
    size_t table_count;
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

/* Appends, and syncs unless the record is lazy. Any thread. */
MUST_USE enum err audit_write(struct audit *audit, const struct audit_record *record,
                              struct errinfo *info);

/* Files of the trail in order, for moat_system.audit (arena). */
MUST_USE enum err audit_files(struct audit *audit, const struct identity *who, struct arena *arena,
                              struct slice **ret_paths, size_t *ret_count, struct errinfo *info);

struct audit_report {
    uint64_t records;
    uint64_t files;
    bool is_intact;
    char problem[256]; /* file, line and what: cut, edit, reorder, gap, torn */
    char last_hash[65];
};

/* Reads the whole trail in `folder` and finds any cut, edit, insertion or reorder. A trail cut at
 * its end is found by comparing with the head that the store remembers (`head_path`, written after
 * each sync). ERR only when the files cannot be read. */
MUST_USE enum err audit_verify(const char *folder, struct audit_report *ret_report,
                               struct errinfo *info);
