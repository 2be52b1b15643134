/* What a table is made of, and whether all that its metadata claims is true.
 *
 * Both read every manifest they need from scratch and keep only sums: a table of a million files
 * costs the memory of its largest manifest, and of the set of its paths when it is validated. */
#pragma once

#include "iceberg/metadata.h"

/* Sums over live files. */
struct iceberg_totals {
    uint64_t manifests;
    uint64_t delete_manifests;
    uint64_t manifest_bytes; /* as the list says */
    uint64_t data_files;
    uint64_t data_rows; /* before deletes */
    uint64_t data_bytes;
    uint64_t data_bytes_least; /* of one file */
    uint64_t data_bytes_most;
    uint64_t small_files; /* data files below `small_bytes` */
    uint64_t small_bytes; /* a quarter of write.target-file-size-bytes */
    uint64_t position_files;
    uint64_t position_rows;
    uint64_t vectors;
    uint64_t vector_rows;
    uint64_t equality_files;
    uint64_t equality_rows;
    uint64_t delete_bytes; /* vectors: of the vector, not of its Puffin file */
};

MUST_USE enum err iceberg_inspect(const struct iceberg_io *io,
                                  const struct iceberg_metadata *metadata,
                                  const struct iceberg_snapshot *snapshot,
                                  struct iceberg_totals *ret_totals, struct errinfo *info);

enum iceberg_severity {
    ICEBERG_WARNING, /* against the spec's letter or odd, but readers give the right rows */
    ICEBERG_PROBLEM, /* readers fail, or may give wrong rows */
};

/* One thing that is wrong. Texts live until the callback returns. */
struct iceberg_finding {
    enum iceberg_severity severity;
    const char *check;  /* a stable word: "counts", "bounds", "file-size", ... */
    struct slice where; /* JSON path, or the location of a file; may be empty */
    const char *message;
};

typedef void (*iceberg_finding_fn)(void *context, const struct iceberg_finding *finding);

struct iceberg_validate_options {
    const struct iceberg_io *io;
    const struct iceberg_metadata *metadata;
    bool without_files; /* data and delete files are neither looked for nor read */
    iceberg_finding_fn report;
    void *context;
};

struct iceberg_validate_counts {
    uint64_t problems;
    uint64_t warnings;
    uint64_t checks; /* single claims that were compared with the truth */
    uint64_t snapshots;
    uint64_t manifests; /* distinct */
    uint64_t files;     /* distinct, looked at in storage */
    uint64_t vectors;   /* whose bitmap and CRC were read */
};

/* Checks all living snapshots. What cannot be read is a finding, not an error: errors are
 * ERR_NOMEM, ERR_DENIED and ERR_CANCELLED only. */
MUST_USE enum err iceberg_validate(const struct iceberg_validate_options *options,
                                   struct iceberg_validate_counts *ret_counts,
                                   struct errinfo *info);
