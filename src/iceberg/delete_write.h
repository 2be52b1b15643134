/* Writing deletes by position: Parquet files of version 2, vectors in Puffin files of version 3.
 * And the other blobs of Puffin files: sketches. */
#pragma once

#include "base/buf.h"
#include "iceberg/deletes.h"

/* Appends a Parquet file of (file_path, pos) with the positions of `file->referenced_data_file`,
 * ascending, and completes `file`: record_count, size_bytes, metrics (exact bounds) in `arena`.
 * ERR_LIMIT: more positions than such a file takes (2^31 - 1). */
MUST_USE enum err iceberg_position_deletes_write(const struct iceberg_positions *positions,
                                                 struct iceberg_file *file, struct arena *arena,
                                                 struct buf *out, struct errinfo *info);

/* A Puffin file of deletion vectors; zeroed at first. */
struct puffin_writer {
    struct buf blobs; /* JSON, of the footer */
    size_t count;
};
void puffin_writer_fini(struct puffin_writer *writer);
/* Appends the vector of `file->referenced_data_file` to the file's bytes `out`, which are empty
 * before the first, and completes `file`: record_count, content_offset, content_size_bytes. */
MUST_USE enum err puffin_writer_add_vector(struct puffin_writer *writer,
                                           const struct iceberg_positions *positions,
                                           struct iceberg_file *file, struct buf *out,
                                           struct errinfo *info);
/* The same of a sketch of field `field_id` (sketch.h), as of a snapshot; what
 * the table's metadata says of it is appended to `entries`, JSON, after a comma if there is one. */
struct iceberg_sketch;
struct puffin_sketch {
    int32_t field_id;
    int64_t snapshot_id;
    int64_t sequence_number;
};
MUST_USE enum err puffin_writer_add_sketch(struct puffin_writer *writer,
                                           const struct puffin_sketch *of,
                                           struct iceberg_sketch *sketch, struct buf *out,
                                           struct buf *entries, struct errinfo *info);
/* Appends the footer: the bytes are a file then. */
MUST_USE enum err puffin_writer_finish(struct puffin_writer *writer, struct buf *out,
                                       struct errinfo *info);
