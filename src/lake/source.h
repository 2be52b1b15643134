/* An Iceberg table at one snapshot, as somebody reads it.
 *
 * Plain data in the arena it was opened into; never changed, so any thread may read it. Whoever
 * opened it decided before that the person may know of the table. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "iceberg/scan.h"

struct identity;
struct storage_grant;

/* Equality delete files that compare the same columns in the same reach: one join of the scan. */
struct lake_equality {
    const int32_t *field_ids; /* ascending */
    size_t field_count;
    bool is_global; /* of an unpartitioned spec: applies to every partition */
    const struct iceberg_file *files;
    size_t file_count;
};

/* What metadata writes as the path that storage takes; ERR_UNSUPPORTED for a scheme. Called by
 * several threads of a scan at once. */
typedef enum err (*lake_locate_fn)(void *context, struct slice location, struct slice *ret_path,
                                   struct errinfo *info);

/* Opens what lies elsewhere (storage_is_remote), as the origin's person. */
struct storage_object;
typedef enum err (*lake_open_fn)(void *context, struct slice location,
                                 struct storage_object **ret_object, struct errinfo *info);

/* One answer's part of a plan, as it was written: references of `tasks` count in `delete_files`. */
struct lake_plan_page {
    struct slice delete_files; /* JSON lists of the REST specification; empty = none */
    struct slice tasks;
};

/* Somebody else who plans scans: a catalog. A run is of one reading of the table, and is closed
 * after its files. */
struct lake_planner {
    enum err (*open)(void *context, void **ret_run, struct errinfo *info);
    void (*close)(void *run);
    /* Who says that nobody waits any more; before the first plan. */
    void (*watch)(void *run, bool (*is_cancelled)(void *context), void *cancel_context);
    /* `request` is a PlanTableScanRequest; what comes back lives in the arena. */
    enum err (*plan)(void *run, struct slice request, struct arena *arena,
                     struct lake_plan_page **ret_pages, size_t *ret_count, struct errinfo *info);
    /* A file that a plan named, as the origin's person. Any thread. */
    enum err (*open_object)(void *run, struct slice location, struct storage_object **ret_object,
                            struct errinfo *info);
};

/* What a table is opened from; all of it outlives the source. */
struct lake_origin {
    const struct identity *who; /* files are read as them */
    struct slice name;          /* for messages */
    const struct iceberg_metadata *metadata;
    const struct iceberg_snapshot *snapshot; /* NULL = no rows */
    const struct iceberg_schema *schema;     /* rows are read with it */
    struct iceberg_io io;                    /* passes `locate` too */
    struct slice cache_scope;                /* iceberg_scan_options.cache_scope */
    lake_locate_fn locate;
    lake_open_fn open_remote;           /* NULL: `locate` says why not */
    const struct lake_planner *planner; /* NULL = nobody: scans are planned here */
    void *context;                      /* of all three */
    /* Where files must really be, else ERR_DENIED: metadata is written by others, and must not make
     * this program read what the catalog's owner did not mean. None: anywhere. */
    const struct slice *folders;
    size_t folder_count;
    /* Of a table in a remote store (storage/remote.h): it opens all files, its prefixes are what
     * the catalog meant; `locate` and `folders` are not asked. NULL = files of this machine. */
    struct storage_grant *grant;
};

struct lake_source {
    struct lake_origin from;
    struct iceberg_name_mapping mapping;
    bool is_planned_elsewhere; /* no manifest is read: `planner` says which files there are */
    bool has_position_deletes; /* or deletion vectors; or nobody knows */
    const struct lake_equality *equality;
    size_t equality_count;
    int64_t row_count; /* by the snapshot's summary; -1 = unknown */
};

/* With a snapshot, its list of manifests and its delete manifests are read. ERR_UNSUPPORTED names
 * what of the table cannot be read (encryption; a column that SQL has no type for). */
MUST_USE enum err lake_source_open(const struct lake_origin *from, struct arena *arena,
                                   struct lake_source **ret_source, struct errinfo *info);

/* Appends the engine's type text of an Iceberg type. ERR_UNSUPPORTED naming `column` and the type
 * for one without a counterpart. */
struct buf;
bool lake_type_is_readable(const struct iceberg_type *type);
MUST_USE enum err lake_type_print(const struct iceberg_type *type, struct slice column,
                                  struct buf *out, struct errinfo *info);
