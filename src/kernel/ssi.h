/* Serializable snapshot isolation (Cahill, Rohm and Fekete 2008; the order of commits and the rule
 * for readers by Ports and Grittner 2012), decided at commits alone.
 *
 * There is an anti-dependency A -> B if A read a version of a key and B wrote the next one. Every
 * cycle of dependencies under snapshot isolation has two of them in a row, A -> P -> B, of which B
 * was the first to commit; if A writes nothing, B even before A's snapshot. P is the pivot. Whoever
 * of A and P commits last is refused, so no transaction that is open has to be looked at: what it
 * reads beside a commit is found when it commits itself.
 *
 * What a transaction has read is kept when it is over, while one lives that began before its end.
 * Memory is fixed: what is forgotten for want of it counts as if it had read everything and were a
 * pivot, so more is refused and nothing let through. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct kernel_txn;
struct view;

/* Keys and ranges, one behind the other: u16 from_len, u16 to_len, u8 is_range, from, to. */
struct read_set {
    uint8_t *bytes;
    uint32_t used, max;
    bool is_everything; /* there was no room for all of it */
};

/* A transaction that is over. Those that wrote are in order of their commits, each in front of
 * those that wrote nothing and ended before the next commit. */
struct ssi_record {
    uint64_t position;  /* its commit, or the newest one when it ended */
    uint64_t until;     /* no use for transactions with this snapshot or a later one */
    uint64_t snapshot;  /* of its own */
    uint64_t out_first; /* the first commit that it has an anti-dependency to, 0 = none */
    uint64_t at;        /* of its reads, counted on without end */
    uint32_t len;
    bool is_writer, is_everything;
};

struct ssi {
    struct ssi_record *records; /* a ring */
    uint32_t record_max, record_first, record_count;
    uint8_t *bytes; /* a ring; what one has read is in one piece */
    uint64_t bytes_max, bytes_end;
    uint64_t forgotten;  /* the highest `until` of those that were let go too early */
    uint64_t pivot_last; /* the newest commit with an anti-dependency out of it */
    struct kernel_txn *oldest, *newest; /* serializable ones that are open, by their beginning */
    uint64_t stat_refused, stat_stale, stat_forgotten;
};

uint64_t ssi_record_count(uint64_t reads_bytes);
void ssi_init(struct ssi *ssi, struct ssi_record *records, uint8_t *bytes, uint64_t reads_bytes);

/* A serializable transaction begins, reads, ends. */
void ssi_enter(struct ssi *ssi, struct kernel_txn *txn);
void ssi_note_read(struct read_set *reads, struct slice from, struct slice to, bool is_range);
void ssi_leave(struct ssi *ssi, struct kernel_txn *txn);

/* ERR_BUSY: committing it would end a dangerous structure. Its writes were found to be the first of
 * their keys since its snapshot. `view` is pinned, and the transaction has no open scan. ERR_OK:
 * `ret_out_first` is for ssi_keep. Changes nothing but statistics. ERR_IO, ERR_CORRUPT. */
MUST_USE enum err ssi_check(struct kernel_txn *txn, const struct view *view,
                            uint64_t *ret_out_first);

/* It has committed with that number, 0 if it wrote nothing; before ssi_leave. */
void ssi_keep(struct kernel_txn *txn, uint64_t commit, uint64_t out_first);
