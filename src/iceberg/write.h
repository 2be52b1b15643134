/* Writing a table: manifests, manifest lists, snapshots, and the updates that a catalog commits.
 *
 * Data files come from elsewhere, as paths with metrics. A change of a table is written in two
 * steps: new objects, which nobody sees yet (iceberg_snapshot_write), and one change of its
 * metadata, said as the REST protocol says it: `requirements` that must hold, `updates` to apply.
 * A REST catalog is sent their JSON; other catalogs apply them to the document themselves
 * (iceberg_update_apply). The document is changed as a tree, so members that this library does not
 * know stay as they were. */
#pragma once

#include "iceberg/avro_write.h"
#include "iceberg/manifest.h"

struct json;

/* How new objects come to be: a table of functions of whoever embeds the library. */
struct iceberg_output {
    void *context;
    /* A new object of these bytes; ERR_EXISTS when there is one, and then it is as it was. After
     * another error the object may be there. */
    enum err (*create)(void *context, struct slice location, struct slice bytes,
                       struct errinfo *info);
    /* ERR_NOT_FOUND counts as done. */
    enum err (*remove)(void *context, struct slice location, struct errinfo *info);
};

/* ---- metrics ---- */

/* What a table wants to know of a column (write.metadata.metrics.*). */
enum iceberg_metrics_mode {
    ICEBERG_METRICS_NONE,
    ICEBERG_METRICS_COUNTS,
    ICEBERG_METRICS_TRUNCATE,
    ICEBERG_METRICS_FULL,
};

struct iceberg_metrics_want {
    enum iceberg_metrics_mode mode;
    uint32_t length; /* of TRUNCATE: characters or bytes */
};

/* By the properties; `path` is the column's dotted name. What they say wrongly counts as the
 * default, truncate(16). */
struct iceberg_metrics_want iceberg_metrics_wanted(const struct iceberg_metadata *metadata,
                                                   struct slice path);
/* The bounds as they are kept: encoded, texts and bytes cut by the spec's rules. An upper bound
 * that cannot be cut (all of it is the highest) is left out: ptr NULL. Values of NaN and null make
 * none. Live in `arena`. */
MUST_USE enum err iceberg_metrics_bound(const struct iceberg_value *value,
                                        struct iceberg_metrics_want want, bool is_upper,
                                        struct arena *arena, struct slice *ret_bound,
                                        struct errinfo *info);

/* ---- manifests ---- */

struct iceberg_manifest_write {
    const struct iceberg_metadata *metadata;
    const struct iceberg_schema *schema;
    const struct iceberg_spec *spec;
    bool is_deletes;
    int64_t snapshot_id;     /* of those who write it */
    int64_t sequence_number; /* of added entries as far as the summary counts; they inherit it */
    enum avro_output_codec codec;
};

/* Appends a manifest of these entries, and says what a list says of it (but for path). Statuses
 * are taken as given; an ADDED entry whose sequence number is ICEBERG_NO_ID inherits it. Partition
 * values must be of the spec's types. ERR_UNSUPPORTED for a transform that is not known. */
MUST_USE enum err iceberg_manifest_write(const struct iceberg_manifest_write *write,
                                         const struct iceberg_file *files, size_t file_count,
                                         struct arena *arena, struct buf *out,
                                         struct iceberg_manifest *ret_manifest,
                                         struct errinfo *info);

struct iceberg_list_write {
    uint32_t format_version;
    int64_t snapshot_id;
    int64_t parent_id; /* ICEBERG_NO_ID = none */
    int64_t sequence_number;
    int64_t first_row_id; /* v3; else ICEBERG_NO_ID */
    enum avro_output_codec codec;
};
MUST_USE enum err iceberg_manifest_list_write(const struct iceberg_list_write *write,
                                              const struct iceberg_manifest *manifests,
                                              size_t manifest_count, struct buf *out,
                                              struct errinfo *info);

/* ---- snapshots ---- */

struct iceberg_snapshot_change {
    const struct iceberg_io *io;
    const struct iceberg_output *output;
    const struct iceberg_metadata *metadata; /* as it was loaded: what is changed */
    const char *operation;                   /* append, overwrite, delete, replace */
    struct slice branch;                     /* empty = main */
    int64_t snapshot_id;
    int64_t now_ms;
    const struct iceberg_file *added; /* data and delete files; status and numbers are ignored */
    size_t added_count;
    const struct slice *removed; /* paths of live data files */
    size_t removed_count;
    const struct slice *replaced; /* paths of data files whose vectors, and other deletes of them
                                     alone, `added` has anew */
    size_t replaced_count;
    const struct slice *removed_deletes; /* paths of live files of position deletes */
    size_t removed_delete_count;
    int64_t merged_bytes; /* not 0: manifests are written again as ones about that large */
    size_t merged_least;  /* but only where the parent has as many */
    bool removes_all;     /* instead: every live file, deletes too */
    bool is_staged;       /* no reference is moved to it */
    const struct iceberg_property *summary; /* beside the totals */
    size_t summary_count;
};

/* What came of it; in the arena. */
struct iceberg_snapshot_written {
    struct slice requirements; /* JSON arrays, for the catalog */
    struct slice updates;
    const struct slice *locations; /* objects that were created: orphans unless it is committed */
    size_t location_count;
    size_t merged_count; /* manifests that others took the place of */
    int64_t snapshot_id;
    int64_t parent_id; /* ICEBERG_NO_ID = none */
};

/* Writes manifests and their list. `ret_written` is set also on failure, to what must be removed.
 * ERR_CORRUPT when a removed file is no live file of the branch. */
MUST_USE enum err iceberg_snapshot_write(const struct iceberg_snapshot_change *change,
                                         struct arena *arena,
                                         struct iceberg_snapshot_written *ret_written,
                                         struct errinfo *info);
/* A positive random id that the table has not. */
MUST_USE enum err iceberg_snapshot_new_id(const struct iceberg_metadata *metadata, int64_t *ret_id,
                                          struct errinfo *info);
/* The folder of new metadata or data: "<location>/metadata", or as the properties say. */
MUST_USE enum err iceberg_metadata_folder(const struct iceberg_metadata *metadata,
                                          struct arena *arena, struct slice *ret_folder,
                                          struct errinfo *info);
MUST_USE enum err iceberg_data_folder(const struct iceberg_metadata *metadata, struct arena *arena,
                                      struct slice *ret_folder, struct errinfo *info);

/* ---- updates ---- */

/* Checks requirements against a table's document (NULL: there is no such table). ERR_BUSY (40001)
 * says which one does not hold: somebody else was first. ERR_UNSUPPORTED for one not known. */
MUST_USE enum err iceberg_requirements_check(const struct json *document,
                                             const struct json *requirements, struct errinfo *info);

struct iceberg_update {
    struct slice document;     /* the metadata as it is, unpacked JSON; empty: a new table */
    struct slice location;     /* of that document, for the log */
    struct slice requirements; /* JSON arrays */
    struct slice updates;
    int64_t now_ms;
};
/* Appends the new document, which was parsed again to see that it is valid. ERR_BUSY as above;
 * ERR_INVALID, ERR_UNSUPPORTED for updates that cannot be applied. */
MUST_USE enum err iceberg_update_apply(const struct iceberg_update *update,
                                       struct buf *ret_document, struct errinfo *info);
/* Whether all that the updates make true is so in the table as it is now: for who was not told what
 * became of a commit. Schemas are compared without the ids that a catalog gives them. Not enough
 * memory, or an update that is not known: false. */
bool iceberg_update_is_done(const struct iceberg_metadata *now, struct slice updates,
                            struct arena *arena);
/* The document's bytes as text: unpacked when they are gzip. */
MUST_USE enum err iceberg_document_text(struct slice bytes, struct arena *arena,
                                        struct slice *ret_text, struct errinfo *info);

/* Appends ,"source-id":1 or, of a transform of several columns, ,"source-ids":[1,2]. */
void iceberg_sources_write(const int32_t *ids, size_t count, struct buf *out);
/* JSON of a spec's fields, an array, appended. */
void iceberg_spec_write_fields(const struct iceberg_spec *spec, struct buf *out);
/* The same of a sort order's. */
void iceberg_sort_write_fields(const struct iceberg_sort_field *fields, size_t count,
                               struct buf *out);
