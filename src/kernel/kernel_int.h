/* The kernel's parts, for its own files and tests. See README.md for how they hang together. */
#pragma once

#include "kernel/cache.h"
#include "kernel/disk.h"
#include "kernel/kernel.h"
#include "kernel/manifest.h"
#include "kernel/memtable.h"
#include "kernel/merge.h"
#include "kernel/run.h"
#include "kernel/ssi.h"
#include "kernel/wal.h"

#define MEMTABLES_MAX 8u
#define LEVEL0_MAX 32u
#define VIEWS 16u
#define JOB_SOURCES_MAX (LEVEL0_MAX + 2u)
#define SCAN_SOURCES_MAX (1u + MEMTABLES_MAX + LEVEL0_MAX + KERNEL_LEVELS)
#define JOB_AHEAD_BLOCKS 16u
#define JOB_OUTPUTS_MAX 1024u

/* What readers see, as one pointer: memtables, newest first, and runs by level. Immutable once
 * published; given back when no reader can still hold it. */
struct view {
    bool is_used;
    bool is_retired;
    uint64_t retired_epoch;
    uint64_t generation;
    uint32_t table_count;
    uint32_t run_count;
    const struct memtable *tables[MEMTABLES_MAX];
    uint32_t level_start[KERNEL_LEVELS + 1]; /* in `slots` */
    uint16_t *slots; /* of kernel.runs: level 0 newest first, the others by key */
    uint64_t *heads; /* key_head of the smallest key of each */
};

enum table_state {
    TABLE_FREE,
    TABLE_ACTIVE,
    TABLE_FROZEN,
    TABLE_RETIRED,
};

struct table_slot {
    struct memtable table;
    enum table_state state;
    uint64_t retired_epoch;
    uint64_t wal_segment; /* the first segment with commits of this memtable */
    uint64_t commit_last; /* of a frozen one */
    uint64_t order;       /* older ones have lower numbers */
};

struct run_state {
    bool is_retired;
    uint64_t retired_epoch;
};

/* A reader says from which epoch on it may hold things; 0 = nothing. One cache line each. */
struct reader {
    uint64_t epoch;
    uint8_t unused[56];
} __attribute__((aligned(64)));

struct kernel_scan {
    struct kernel_txn *txn;
    bool is_open, is_started, is_at_end;
    struct kernel_range range;
    uint64_t view_generation;
    uint64_t overlay_last; /* writes of the transaction up to this one are seen */
    uint64_t overlay_truncated;
    struct merge merge;
    struct source sources[SCAN_SOURCES_MAX];
    uint32_t passed_over; /* by `wants`, since the view was pinned */
    uint32_t last_len;
    char *last;  /* the key given out last */
    char *value; /* options.value_bytes_max: of a backward scan, or one kept apart */
};

struct kernel_txn {
    struct kernel *kernel;
    struct reader *reader;
    bool is_open;
    enum kernel_isolation isolation;
    uint64_t snapshot;
    struct memtable overlay; /* its "commits" are the numbers of the writes, from 1 */
    uint64_t overlay_last;
    uint64_t overlay_truncated;                 /* how often writes were taken back */
    uint64_t writes_bytes;                      /* of all writes in the log, an upper bound */
    uint64_t table_bytes;                       /* likewise in a memtable */
    struct read_set reads;                      /* of a serializable one */
    struct kernel_txn *ssi_before, *ssi_behind; /* serializable ones that are open */
    char *value;                                /* options.value_bytes_max */
    uint8_t *scratch;                           /* BLOCK_BYTES */
    struct kernel_scan scan;
    uint64_t stat_hits, stat_misses, stat_negatives, stat_false_positives;
};

enum job_kind {
    JOB_NONE,
    JOB_FLUSH,
    JOB_COMPACT,
};

/* What a work job does. */
enum work_kind {
    WORK_SEGMENT, /* creates the next segment of the log */
    WORK_REMOVE,  /* removes the file of a run that nobody reads any more */
    WORK_MERGE,   /* a step of the flush or compaction */
    WORK_INSTALL, /* writes the manifest that makes it part of the store */
};

struct job {
    enum job_kind kind;
    struct table_slot *table; /* of a flush */
    uint32_t level_to;
    uint64_t watermark;
    struct merge merge;
    struct source sources[JOB_SOURCES_MAX];
    uint16_t *slots; /* inputs: those of level_from, then those of level_to */
    uint32_t slot_count, slot_count_from;
    struct alphabet alphabet;
    struct run_writer writer;
    uint64_t *outputs; /* numbers of finished runs */
    uint32_t output_count;
    bool is_started; /* the merge stands on the next entry */
    bool has_key;    /* an entry of `key` was seen */
    bool is_covered; /* a version of `key` at or below the watermark was seen */
    uint32_t key_len;
    char *key;
    char *value;         /* options.value_bytes_max: one kept apart */
    bool is_key_written; /* `key` is in the run that is being written */
    bool is_merged;      /* all outputs are written */
    bool is_move;        /* the outputs are the inputs, in another level */
    struct view *view;   /* reserved for what will be, while the manifest is written */
    uint16_t *added;     /* slots of the opened outputs, or of what is moved */
    uint64_t output_bytes;
    struct manifest manifest_next;
};

struct kernel {
    struct disk disk;
    struct kernel_options options;
    struct cache cache;
    struct table_pool pool;
    struct wal wal;
    struct run *runs; /* options.runs_max slots */
    struct run_state *run_states;
    struct view views[VIEWS];
    struct view *view; /* published */
    uint64_t view_generation;
    struct table_slot tables[MEMTABLES_MAX];
    struct table_slot *active;
    uint64_t table_order;
    struct reader *readers; /* one for each transaction, and one for work */
    uint64_t epoch;
    struct kernel_txn *txns;
    struct ssi ssi;
    struct job flush, compact;
    uint8_t *manifest_bytes;
    uint64_t manifest_bytes_max;
    struct manifest manifest;
    uint64_t committed; /* published with release: readers see what is at or below it */
    uint64_t durable;
    uint64_t watermark;
    bool is_stopped;  /* after an error of a write: only reads, and close */
    bool is_working;  /* a work job is under way */
    uint64_t *doomed; /* numbers of runs whose files are to be removed */
    uint32_t doomed_count;
    uint64_t flush_debt, compact_debt; /* bytes of input that commits owe */
    uint64_t stat_flushes, stat_compactions, stat_moves, stat_syncs, stat_user_bytes,
        stat_run_bytes, stat_first_won;
};

/* view.c */
struct view *kernel__view_new(struct kernel *kernel);
void kernel__view_renew(struct kernel *kernel, struct view *view);
void kernel__view_add_run(struct kernel *kernel, struct view *view, uint16_t slot);
void kernel__view_publish(struct kernel *kernel, struct view *view);
void kernel__reclaim(struct kernel *kernel);
void kernel__remove_doomed(struct kernel *kernel);
void kernel__remove_run(struct kernel *kernel, uint64_t number);
const struct view *kernel__pin(struct kernel *kernel, struct reader *reader);
void kernel__unpin(struct reader *reader);
static inline uint32_t view_level_runs(const struct view *view, uint32_t level)
{
    return view->level_start[level + 1] - view->level_start[level];
}

/* job.c: `bytes` is taken down by what was done. */
enum err kernel__flush_step(struct kernel *kernel, uint64_t *bytes);
bool kernel__flush_begin(struct kernel *kernel);
bool kernel__flush_wanted(const struct kernel *kernel);

/* compact.c */
enum err kernel__compact_step(struct kernel *kernel, uint64_t *bytes);
bool kernel__compact_begin(struct kernel *kernel);
enum err kernel__compact_alphabet(struct kernel *kernel, struct job *job);
bool kernel__compact_wanted(const struct kernel *kernel);

/* job.c */
void kernel__job_begin(struct kernel *kernel, struct job *job, enum job_kind kind);
enum err kernel__job_run(struct kernel *kernel, struct job *job, uint64_t *bytes,
                         bool *ret_is_done);
enum err kernel__job_prepare(struct kernel *kernel, struct job *job);
enum err kernel__job_write(struct kernel *kernel, struct job *job);
void kernel__job_publish(struct kernel *kernel, struct job *job);
enum err kernel__job_step(struct kernel *kernel, struct job *job, uint64_t *bytes, uint64_t *stat);
void kernel__view_fill(struct kernel *kernel, struct view *view, const struct job *job,
                       const uint16_t *added);
enum err kernel__stop(struct kernel *kernel, enum err result);
uint64_t kernel__horizon(const struct kernel *kernel);

/* kernel.c */
enum err kernel__flush_all(struct kernel *kernel);
enum err kernel__rotate(struct kernel *kernel);
enum err kernel__log_room(struct kernel *kernel, uint64_t writes_bytes);
void kernel__pace(struct kernel *kernel, uint64_t bytes);
bool kernel__must_wait(struct kernel *kernel);
struct table_slot *kernel__free_table(struct kernel *kernel);
void kernel__activate(struct kernel *kernel, struct table_slot *slot, uint64_t wal_segment);
enum err kernel__write_manifest(struct kernel *kernel, const struct view *view,
                                uint64_t commit_flushed, uint64_t wal_first);
void kernel__fill_manifest(struct kernel *kernel, const struct view *view, uint64_t commit_flushed,
                           uint64_t wal_first, struct manifest *ret_next);
enum err kernel__replace_manifest(struct kernel *kernel, const struct manifest *next);

/* recover.c */
enum err kernel__recover(struct kernel *kernel);

/* read.c: the newest version of `key` at or below `snapshot` outside of overlays; ERR_NOT_FOUND
 * also for a deleted one. `ret_commit` (may be NULL) is set for a deleted one too, 0 if none. Only
 * versions above `commit_above` need to be looked for. */
enum err kernel__read(struct kernel_txn *txn, const struct view *view, struct slice key,
                      uint64_t snapshot, uint64_t commit_above, struct slice *ret_value,
                      uint64_t *ret_commit);

/* The block of a level that was looked at last, pinned: the next key may lie in it too. */
struct held_block {
    uint64_t run;
    uint32_t block;
    struct cache_frame *frame; /* NULL = none */
    const uint8_t *bytes;
};

/* The same for one of many keys: `held` has KERNEL_LEVELS, to be released at last. */
enum err kernel__read_held(struct kernel_txn *txn, const struct view *view, struct slice key,
                           struct held_block *held, struct slice *ret_value);
void kernel__release_held(struct held_block *held);

/* scan.c: sources for all that the view holds, without overlay, and without runs that have nothing
 * above `commit_above`. */
uint32_t kernel__merge_view(struct kernel_txn *txn, const struct view *view, uint64_t commit_above,
                            struct merge *merge, struct source *sources);
