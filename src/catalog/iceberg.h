/* Attached Iceberg catalogs: names to table metadata, loaded as an identity.
 *
 *   iceberg_local   a SQLite file in the JDBC-catalog layout (what PyIceberg's SqlCatalog and
 *                   Iceberg's JdbcCatalog read and write, versions 0 and 1), a warehouse folder
 *   iceberg_hadoop  a warehouse folder: version-hint.text, metadata/vN.metadata.json; read only
 *   iceberg_static  one metadata file, or one table's folder; read only
 *   iceberg_rest    a catalog that is asked over HTTP, as the person
 *   iceberg_hive    a Hive metastore, likewise; this program writes the tables' metadata
 *   iceberg_glue    AWS Glue's data catalog, likewise
 *
 * Nothing is cached: each call looks again, as the identity it is given. Visibility is decided by
 * policy, not here. Namespaces are dotted texts ("a.b"), as the SQLite layout keeps them; a level
 * with a dot of its own cannot be told apart and is refused. Objects are read through storage. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "catalog/rest/rest.h"
#include "iceberg/metadata.h"

struct identity;

struct storage_grant;

enum catalog_iceberg_kind {
    CATALOG_ICEBERG_LOCAL,
    CATALOG_ICEBERG_HADOOP,
    CATALOG_ICEBERG_STATIC,
    CATALOG_ICEBERG_REST,
    CATALOG_ICEBERG_HIVE,
    CATALOG_ICEBERG_GLUE,
};

/* An attached catalog: plain data, kept by whoever attached it. */
struct catalog_iceberg {
    struct slice name; /* in SQL */
    enum catalog_iceberg_kind kind;
    struct slice location;     /* absolute path: SQLite file, warehouse folder, metadata file */
    struct slice catalog_name; /* local: `catalog_name` in the file; empty: the only one there, or
                                  `name` while the file is empty */
    struct slice warehouse;    /* local: folder of new tables; empty: "warehouse" beside the file;
                                  glue: of those whose database lies nowhere */
    /* Absolute: what metadata names is read only if it really is in one of them. Metadata is
     * written by whoever may write to the lake, and this process may be allowed to read more than
     * they: a manifest that names /etc/passwd must not be a way to it. None: wherever it is. */
    const struct slice *folders;
    size_t folder_count;
    struct rest *rest;          /* catalogs elsewhere only, as what follows */
    struct rest_catalog remote; /* its name and uri are `name` and `location` */
    bool wants_history;         /* with snapshots that no branch or tag names */
    /* What was lent for new objects of the one table that a statement writes, in the statement's
     * own copy of this (catalog_iceberg_borrow); NULL: nothing. */
    struct storage_grant *lent;
    const struct identity *lent_to;
    /* The session's transaction (catalog/iceberg_block.h); NULL: each commit is one by itself. */
    struct catalog_iceberg_block *block;
};

/* Elsewhere, and keeps but the places of tables' metadata, which this program writes. */
static inline bool catalog_iceberg_is_metastore(const struct catalog_iceberg *catalog)
{
    return catalog->kind == CATALOG_ICEBERG_HIVE || catalog->kind == CATALOG_ICEBERG_GLUE;
}

/* Elsewhere: asked over the network, as the person. */
static inline bool catalog_iceberg_is_remote(const struct catalog_iceberg *catalog)
{
    return catalog->kind == CATALOG_ICEBERG_REST || catalog_iceberg_is_metastore(catalog);
}

/* "iceberg_local", "iceberg_hadoop" or "hadoop", "iceberg_static" or "static",
 * "iceberg_rest" or "rest", "iceberg_hive" or "hive", "iceberg_glue" or "glue". */
bool catalog_iceberg_kind_parse(struct slice text, enum catalog_iceberg_kind *ret_kind);
const char *catalog_iceberg_kind_name(enum catalog_iceberg_kind kind);

/* The location as written in ATTACH made absolute: "~", relative paths, file:, sqlite:///path and
 * jdbc:sqlite:path. Touches nothing. ERR_INVALID for wildcards, ERR_UNSUPPORTED for schemes. */
MUST_USE enum err catalog_iceberg_locate(const struct identity *who, struct slice written,
                                         struct arena *arena, struct slice *ret_location,
                                         struct errinfo *info);

/* Begins to load a table that the statement will ask for, where the catalog is elsewhere: `remote`
 * holds what it is kept in. */
void catalog_iceberg_load_ahead(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name);

/* That the catalog is there and readable: for ATTACH. ERR_NOT_FOUND, ERR_CORRUPT (not the layout),
 * ERR_INVALID when catalog_name must be given, naming those that the file holds. */
MUST_USE enum err catalog_iceberg_check(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct errinfo *info);

/* How the Iceberg library reads as `who`; `who` must outlive it. Any thread. */
struct iceberg_io catalog_iceberg_io(const struct identity *who);

/* The same for what the catalog's metadata names: ERR_DENIED (42501) for what is not in its
 * folders. Lives in the arena; the catalog must outlive it. `table` says whose files they are, for
 * what lies elsewhere; NULL: no table's. */
struct catalog_iceberg_name;
MUST_USE enum err catalog_iceberg_io_of(const struct catalog_iceberg *catalog,
                                        const struct identity *who,
                                        const struct catalog_iceberg_name *table,
                                        struct arena *arena, struct iceberg_io *ret_io,
                                        struct errinfo *info);

/* What a statement read of a table or committed to it, told to a catalog that takes such reports
 * (catalog/rest/report.h); nothing for the others. */
struct rest_scan_report;
struct rest_commit_report;
void catalog_iceberg_report_scan(const struct catalog_iceberg *catalog, const struct identity *who,
                                 const struct catalog_iceberg_name *table,
                                 const struct rest_scan_report *report);
void catalog_iceberg_report_commit(const struct catalog_iceberg *catalog,
                                   const struct identity *who,
                                   const struct catalog_iceberg_name *table,
                                   const struct rest_commit_report *report);

/* Opens a file of a table that lies elsewhere (storage_is_remote), with what the catalog vended to
 * `who` for it. ERR_UNSUPPORTED for a catalog that vends nothing. */
struct storage_object;
MUST_USE enum err
catalog_iceberg_open_remote(const struct catalog_iceberg *catalog, const struct identity *who,
                            const struct catalog_iceberg_name *table, struct slice location,
                            struct storage_object **ret_object, struct errinfo *info);

/* Scans of a table that a REST catalog plans (catalog/rest/plan.h); all given outlives it. */
struct rest_planner;
MUST_USE enum err catalog_iceberg_planner(const struct catalog_iceberg *catalog,
                                          const struct identity *who,
                                          const struct catalog_iceberg_name *table,
                                          struct rest_planner **ret_planner, struct errinfo *info);

/* Reads with what a catalog lent `who` for one table, and nothing else; `grant` outlives the io. */
MUST_USE enum err catalog_iceberg_io_lent(struct storage_grant *grant, const struct identity *who,
                                          struct arena *arena, struct iceberg_io *ret_io,
                                          struct errinfo *info);

/* A location of metadata ("file:/a/b", "/a/b") as storage takes it: a view of it, literal, since
 * writers do not percent-encode. ERR_UNSUPPORTED for other schemes, by name. */
MUST_USE enum err catalog_iceberg_path(struct slice location, struct slice *ret_path,
                                       struct errinfo *info);

/* Whether metadata of the catalog may name local files at all: of a REST catalog, only in folders
 * that the configuration allows. ERR_DENIED (42501). NULL: anywhere. */
MUST_USE enum err catalog_iceberg_check_local(const struct catalog_iceberg *catalog,
                                              struct errinfo *info);

/* ---- reading ---- */

/* All namespaces at any depth, parents of others included, sorted. */
MUST_USE enum err catalog_iceberg_namespaces(const struct catalog_iceberg *catalog,
                                             const struct identity *who, struct arena *arena,
                                             struct slice **ret_namespaces, size_t *ret_count,
                                             struct errinfo *info);
/* ERR_NOT_FOUND (3F000). Only iceberg_local has any. */
MUST_USE enum err catalog_iceberg_properties(const struct catalog_iceberg *catalog,
                                             const struct identity *who, struct slice ns,
                                             struct arena *arena,
                                             struct iceberg_property **ret_properties,
                                             size_t *ret_count, struct errinfo *info);

struct catalog_iceberg_name {
    struct slice ns;
    struct slice name;
    bool is_view;
    struct slice metadata_location; /* iceberg_local and static; else empty until it is loaded */
};

/* Tables and views of one namespace, or of all when `ns` is empty, sorted. ERR_NOT_FOUND (3F000)
 * for a namespace that does not exist. */
MUST_USE enum err catalog_iceberg_names(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        struct arena *arena,
                                        struct catalog_iceberg_name **ret_names, size_t *ret_count,
                                        struct errinfo *info);

/* A loaded table or view; all of it lives in the arena. */
struct catalog_iceberg_table {
    struct catalog_iceberg_name name; /* canonical, with the metadata location */
    struct iceberg_metadata metadata; /* tables */
    struct iceberg_view view;         /* views */
    struct slice restrictions;        /* REST: "read-restrictions" of the catalog; empty = none */
    enum rest_planning planning;      /* REST: who plans scans, by the catalog's word */
};

/* ERR_NOT_FOUND (42P01). Names are exact first, then folding ASCII case when one only fits. */
MUST_USE enum err catalog_iceberg_load(const struct catalog_iceberg *catalog,
                                       const struct identity *who, struct slice ns,
                                       struct slice name, struct arena *arena,
                                       struct catalog_iceberg_table *ret_table,
                                       struct errinfo *info);

/* ---- writing: iceberg_local and iceberg_rest (else ERR_UNSUPPORTED); owner or moat_admin (else
 * ERR_DENIED). Each is one transaction of SQLite, or one request, as the person, whose outcome may
 * stay unknown (catalog/rest/write.h). ---- */

/* A new, empty catalog file of iceberg_local in layout version 1. ERR_EXISTS when there is one. */
MUST_USE enum err catalog_iceberg_create(const struct catalog_iceberg *catalog,
                                         const struct identity *who, struct errinfo *info);

/* Without properties, `exists = true` is kept, as PyIceberg and JdbcCatalog do. ERR_EXISTS. */
MUST_USE enum err catalog_iceberg_create_namespace(const struct catalog_iceberg *catalog,
                                                   const struct identity *who, struct slice ns,
                                                   const struct iceberg_property *properties,
                                                   size_t property_count, struct errinfo *info);
/* ERR_NOT_FOUND; ERR_INVALID (2BP01) while it holds tables, views or namespaces. */
MUST_USE enum err catalog_iceberg_drop_namespace(const struct catalog_iceberg *catalog,
                                                 const struct identity *who, struct slice ns,
                                                 struct errinfo *info);
/* A property whose value has ptr NULL is removed. */
MUST_USE enum err catalog_iceberg_set_properties(const struct catalog_iceberg *catalog,
                                                 const struct identity *who, struct slice ns,
                                                 const struct iceberg_property *properties,
                                                 size_t property_count, struct errinfo *info);

/* Names existing metadata, which is loaded from the catalog's folders and checked first.
 * ERR_EXISTS, ERR_DENIED. */
MUST_USE enum err catalog_iceberg_register(const struct catalog_iceberg *catalog,
                                           const struct identity *who, struct slice ns,
                                           struct slice name, bool is_view,
                                           struct slice metadata_location, struct errinfo *info);
/* Forgets the name; no file is touched, unless a REST catalog does so of its own. */
MUST_USE enum err catalog_iceberg_unregister(const struct catalog_iceberg *catalog,
                                             const struct identity *who, struct slice ns,
                                             struct slice name, bool is_view, struct errinfo *info);
/* The same of a table, whose catalog is asked to delete its files too. ERR_UNSUPPORTED for
 * iceberg_local. */
MUST_USE enum err catalog_iceberg_purge(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        struct slice name, struct errinfo *info);
/* In the same namespace. ERR_NOT_FOUND, ERR_EXISTS. */
MUST_USE enum err catalog_iceberg_rename(const struct catalog_iceberg *catalog,
                                         const struct identity *who, struct slice ns,
                                         struct slice name, bool is_view, struct slice new_name,
                                         struct errinfo *info);
