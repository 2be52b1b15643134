/* What a snapshot adds and removes, counted for its summary; and sets of paths. */
#pragma once

#include "iceberg/manifest.h"

struct write_counts {
    int64_t data_files;
    int64_t delete_files;
    int64_t position_files; /* of the delete files */
    int64_t equality_files;
    int64_t vectors;
    int64_t records;
    int64_t size_bytes;
    int64_t position_deletes; /* rows of delete files */
    int64_t equality_deletes;
};

struct write_tally {
    struct write_counts added;
    struct write_counts removed;
    uint64_t *partitions; /* hashes of those that changed, any order, doubles too */
    size_t partition_count, partition_capacity;
};

/* Counts a file of the change. ERR_NOMEM. */
MUST_USE enum err write__tally(struct write_tally *tally, const struct iceberg_file *file,
                               bool is_added, struct errinfo *info);
void write__tally_fini(struct write_tally *tally);
/* Appends the members of a summary, each after a comma. A total that the parent does not say, is
 * not said here. */
void write__tally_print(struct write_tally *tally, const struct iceberg_snapshot *parent,
                        bool is_emptied, struct buf *out);

/* ---- paths ---- */

struct write_paths {
    const struct slice *paths;
    size_t count;
    uint32_t *slots; /* number + 1; 0 = free */
    size_t slot_count;
    bool *is_found;
};

MUST_USE enum err write__paths_open(struct write_paths *set, const struct slice *paths,
                                    size_t count, struct arena *arena, struct errinfo *info);
/* Whether it is there; `marks`: it is found from now on. */
bool write__paths_find(struct write_paths *set, struct slice path, bool marks);
bool write__paths_all_found(const struct write_paths *set);
