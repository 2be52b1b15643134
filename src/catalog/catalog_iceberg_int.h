/* Shared by the files of the attached Iceberg catalogs. */
#pragma once

#include "catalog/iceberg.h"

#include <sqlite3.h>

#define ICEBERG_NAMESPACE_BYTES_MAX 255 /* of the layout's columns */
#define ICEBERG_NAMES_MAX 1000000

/* A growing list in an arena. */
struct iceberg_name_list {
    struct arena *arena;
    struct catalog_iceberg_name *names;
    size_t count;
    size_t capacity;
};

MUST_USE enum err iceberg_catalog__add(struct iceberg_name_list *list,
                                       const struct catalog_iceberg_name *name,
                                       struct errinfo *info);
/* Sorted by namespace and name. */
void iceberg_catalog__sort(struct iceberg_name_list *list);

enum err(iceberg_catalog__no_namespace)(const struct catalog_iceberg *catalog, struct slice ns,
                                        struct errinfo *info);
#define iceberg_catalog__no_namespace(...)                                                         \
    ((void)(iceberg_catalog__no_namespace)(__VA_ARGS__), (enum err)ERR_NOT_FOUND)

/* Levels separated by single dots, UTF-8, no control characters, no '/', none "." or "..". */
MUST_USE enum err iceberg_catalog__check_name(struct slice name, bool is_namespace,
                                              struct errinfo *info);

/* ---- iceberg_local ---- */

struct iceberg_db {
    sqlite3 *db;
    struct slice catalog_name;
    bool has_views; /* layout version 1 */
    char name[512]; /* what catalog_name views when it was found in the file */
};

MUST_USE enum err iceberg_db__open(const struct catalog_iceberg *catalog, bool is_writer,
                                   struct iceberg_db *ret_db, struct errinfo *info);
void iceberg_db__close(struct iceberg_db *db);
enum err iceberg_db__error(const struct catalog_iceberg *catalog, int code, const char *verb,
                           struct errinfo *info);
/* Prepares and binds texts; sqlite3_finalize by the caller, also of NULL. */
MUST_USE enum err iceberg_db__prepare(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                      const char *sql, const struct slice *texts, size_t text_count,
                                      sqlite3_stmt **ret_stmt, struct errinfo *info);
void iceberg_db__finalize(sqlite3_stmt **stmt);
/* Runs to the end. */
MUST_USE enum err iceberg_db__run(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                  const char *sql, const struct slice *texts, size_t text_count,
                                  struct errinfo *info);
MUST_USE enum err iceberg_db__has(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                  const char *sql, const struct slice *texts, size_t text_count,
                                  bool *ret_has, struct errinfo *info);
MUST_USE enum err iceberg_db__namespace_exists(const struct catalog_iceberg *catalog,
                                               struct iceberg_db *db, struct slice ns,
                                               bool *ret_exists, struct errinfo *info);

/* For ATTACH. ERR_NOT_FOUND (3D000) when the file has catalogs, but none of the name given. */
MUST_USE enum err iceberg_local__check(const struct catalog_iceberg *catalog, struct errinfo *info);
/* Names that are `name` but for ASCII case, all when it is empty; namespaces as names without a
 * name. */
MUST_USE enum err iceberg_local__names(const struct catalog_iceberg *catalog, struct slice name,
                                       struct iceberg_name_list *list, struct errinfo *info);
MUST_USE enum err iceberg_local__namespaces(const struct catalog_iceberg *catalog,
                                            struct iceberg_name_list *list, struct errinfo *info);
MUST_USE enum err iceberg_local__properties(const struct catalog_iceberg *catalog, struct slice ns,
                                            struct arena *arena,
                                            struct iceberg_property **ret_properties,
                                            size_t *ret_count, struct errinfo *info);

/* A name that the namespace has not yet, in the open transaction. ERR_EXISTS, ERR_NOT_FOUND
 * (3F000). */
MUST_USE enum err iceberg_local__insert(const struct catalog_iceberg *catalog,
                                        struct iceberg_db *db,
                                        const struct catalog_iceberg_name *row,
                                        struct errinfo *info);

/* ---- iceberg_hadoop and iceberg_static ---- */

MUST_USE enum err iceberg_hadoop__names(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        struct iceberg_name_list *list, struct errinfo *info);
/* The current metadata file of the table in `folder`. ERR_NOT_FOUND when it is no table. */
MUST_USE enum err iceberg_hadoop__current(const struct identity *who, struct slice folder,
                                          struct arena *arena, struct slice *ret_location,
                                          struct errinfo *info);
/* The folder of a table of a warehouse. */
MUST_USE enum err iceberg_hadoop__folder(const struct catalog_iceberg *catalog, struct slice ns,
                                         struct slice name, struct arena *arena,
                                         struct slice *ret_folder, struct errinfo *info);
MUST_USE enum err iceberg_static__name(const struct catalog_iceberg *catalog,
                                       const struct identity *who, struct arena *arena,
                                       struct catalog_iceberg_name *ret_name, struct errinfo *info);

/* ---- iceberg_rest ---- */

#define ICEBERG_LEVELS_MAX (ICEBERG_NAMESPACE_BYTES_MAX + 1)

/* "a.b" -> its levels (ICEBERG_LEVELS_MAX): views of `ns`. False for what is no namespace here. */
bool iceberg_rest__split(struct slice ns, struct slice *levels, struct rest_namespace *ret_ns);

MUST_USE enum err iceberg_rest__namespaces(const struct catalog_iceberg *catalog,
                                           const struct identity *who,
                                           struct iceberg_name_list *list, struct errinfo *info);
/* Of one namespace, or of all when `ns` is empty. */
MUST_USE enum err iceberg_rest__names(const struct catalog_iceberg *catalog,
                                      const struct identity *who, struct slice ns,
                                      struct iceberg_name_list *list, struct errinfo *info);
MUST_USE enum err iceberg_rest__properties(const struct catalog_iceberg *catalog,
                                           const struct identity *who, struct slice ns,
                                           struct arena *arena,
                                           struct iceberg_property **ret_properties,
                                           size_t *ret_count, struct errinfo *info);
MUST_USE enum err iceberg_rest__load(const struct catalog_iceberg *catalog,
                                     const struct identity *who, struct slice ns, struct slice name,
                                     struct arena *arena, struct catalog_iceberg_table *ret_table,
                                     struct errinfo *info);

struct catalog_iceberg_change;
MUST_USE enum err iceberg_rest__commit(const struct catalog_iceberg *catalog,
                                       const struct identity *who,
                                       const struct catalog_iceberg_change *change,
                                       struct arena *arena, struct slice *ret_metadata_location,
                                       bool *ret_is_unknown, struct errinfo *info);

/* The document at a place, as the files of that table are read. */
MUST_USE enum err iceberg_catalog__read(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        struct slice name, struct slice location,
                                        struct arena *arena, struct slice *ret_document,
                                        struct errinfo *info);
/* What was lent, for the statement's own copy of a catalog. */
struct rest_lent;
void iceberg_rest__take(struct catalog_iceberg *catalog, const struct rest_lent *lent);
/* Lends what the files of a new table are written with, where its updates say that it is to lie. */
MUST_USE enum err iceberg_metastore__stage(struct catalog_iceberg *catalog,
                                           const struct identity *who, struct slice ns,
                                           struct slice name, struct slice updates,
                                           struct errinfo *info);
/* Where a new table lies whose namespace does not say: "<warehouse>/<namespace>.db/<table>".
 * ERR_INVALID: there is no warehouse. */
MUST_USE enum err iceberg_metastore__location(const struct catalog_iceberg *catalog,
                                              struct slice ns, struct slice name,
                                              struct arena *arena, struct slice *ret_location,
                                              struct errinfo *info);
MUST_USE enum err iceberg_metastore__register(const struct catalog_iceberg *catalog,
                                              const struct identity *who, struct slice ns,
                                              struct slice name, struct slice location,
                                              struct errinfo *info);

/* As those of iceberg.h; the catalog says who may. */
MUST_USE enum err iceberg_rest__create_namespace(const struct catalog_iceberg *catalog,
                                                 const struct identity *who, struct slice ns,
                                                 const struct iceberg_property *properties,
                                                 size_t property_count, struct errinfo *info);
MUST_USE enum err iceberg_rest__drop_namespace(const struct catalog_iceberg *catalog,
                                               const struct identity *who, struct slice ns,
                                               struct errinfo *info);
MUST_USE enum err iceberg_rest__set_properties(const struct catalog_iceberg *catalog,
                                               const struct identity *who, struct slice ns,
                                               const struct iceberg_property *properties,
                                               size_t property_count, struct errinfo *info);
MUST_USE enum err iceberg_rest__register(const struct catalog_iceberg *catalog,
                                         const struct identity *who, struct slice ns,
                                         struct slice name, bool is_view,
                                         struct slice metadata_location, struct errinfo *info);
MUST_USE enum err iceberg_rest__drop(const struct catalog_iceberg *catalog,
                                     const struct identity *who, struct slice ns, struct slice name,
                                     bool is_view, bool purges, struct errinfo *info);
MUST_USE enum err iceberg_rest__rename(const struct catalog_iceberg *catalog,
                                       const struct identity *who, struct slice ns,
                                       struct slice name, bool is_view, struct slice new_name,
                                       struct errinfo *info);

/* Whether `who` may change the catalog's names. */
MUST_USE enum err iceberg_catalog__may_write(const struct catalog_iceberg *catalog,
                                             const struct identity *who, struct errinfo *info);

/* ---- transactions (catalog_iceberg_block.c); nothing for catalogs without a block ---- */

/* What a name means in the transaction: it was made there (loaded), is gone, or has `ns` and `name`
 * in its catalog. */
MUST_USE enum err iceberg_block__find(const struct catalog_iceberg *catalog, struct slice *ns,
                                      struct slice *name, struct arena *arena, bool *ret_is_loaded,
                                      bool *ret_is_gone, struct catalog_iceberg_table *table,
                                      struct errinfo *info);
/* What its catalog has, as the transaction changed it; it was asked for by a name, and found by
 * its `own`. */
MUST_USE enum err iceberg_block__show(const struct catalog_iceberg *catalog, struct slice asked,
                                      struct slice own, struct arena *arena,
                                      struct catalog_iceberg_table *table, struct errinfo *info);
/* The catalog's names as the transaction has them; `ns` empty: of all namespaces. */
MUST_USE enum err iceberg_block__list(const struct catalog_iceberg *catalog, struct slice ns,
                                      struct iceberg_name_list *list, struct errinfo *info);
/* What was lent for a table that the transaction makes; false: it is none. */
bool iceberg_block__lent(const struct catalog_iceberg *catalog, struct slice ns, struct slice name,
                         struct storage_grant **ret_grant, const struct identity **ret_who);
/* RENAME; DROP without `new_name`. */
MUST_USE enum err iceberg_block__name(const struct catalog_iceberg *catalog,
                                      const struct identity *who, struct slice ns,
                                      struct slice name, bool is_view, const struct slice *new_name,
                                      struct errinfo *info);
MUST_USE enum err iceberg_block__add_view(const struct catalog_iceberg *catalog, struct slice ns,
                                          struct slice name, bool creates, struct slice uuid,
                                          struct slice document, int64_t now_ms,
                                          struct errinfo *info);
/* The latest document that the transaction gave a table or view; false: it gave none. */
bool iceberg_block__document(const struct catalog_iceberg *catalog, struct slice ns,
                             struct slice name, struct slice *ret_document);
/* A view whose document says all that it is. */
MUST_USE enum err iceberg_view__put_document(const struct catalog_iceberg *catalog,
                                             const struct identity *who, struct slice ns,
                                             struct slice name, struct slice document, bool creates,
                                             struct arena *arena, struct errinfo *info);
/* ERR_UNSUPPORTED: the transaction changes another table, and no commit is of both. */
MUST_USE enum err iceberg_block__admit(const struct catalog_iceberg *catalog, struct slice ns,
                                       struct slice name, struct errinfo *info);
MUST_USE enum err iceberg_block__add(const struct catalog_iceberg *catalog,
                                     const struct identity *who,
                                     const struct catalog_iceberg_change *change,
                                     struct arena *arena, struct slice *ret_metadata_location,
                                     struct errinfo *info);
/* An object was made for a table of the catalog. */
MUST_USE enum err iceberg_block__made(const struct catalog_iceberg *catalog, struct slice location,
                                      struct errinfo *info);

/* The document of a table as it is now, without what a transaction changed. */
MUST_USE enum err iceberg_catalog__document(const struct catalog_iceberg *catalog,
                                            const struct identity *who, struct slice ns,
                                            struct slice name, struct arena *arena,
                                            struct slice *ret_location, struct slice *ret_document,
                                            struct errinfo *info);
MUST_USE enum err iceberg_rest__document(const struct catalog_iceberg *catalog,
                                         const struct identity *who, struct slice ns,
                                         struct slice name, struct arena *arena,
                                         struct slice *ret_location, struct slice *ret_document,
                                         struct errinfo *info);
/* Of several tables at once. */
MUST_USE enum err iceberg_rest__commit_all(const struct catalog_iceberg *catalog,
                                           const struct identity *who,
                                           const struct catalog_iceberg_change *changes,
                                           size_t change_count, bool *ret_is_unknown,
                                           struct errinfo *info);
MUST_USE enum err iceberg_rest__commits_all(const struct catalog_iceberg *catalog,
                                            const struct identity *who, bool *ret_can,
                                            struct errinfo *info);
