/* What changes something in a REST catalog, as the person who asks.
 *
 * Each change is asked for once, or, where the catalog takes an Idempotency-Key, again under the
 * same key until it says what became of it. Where nobody knows (no answer, or one of status 5xx),
 * the error has SQLSTATE 08007 and says so: look before trying again.
 *
 * Errors beside those of rest.h: ERR_BUSY 40001 (somebody else was there first: load, and try
 * again), ERR_EXISTS 42P07 (42P06 for a namespace), ERR_INVALID 22023 (the catalog refuses what it
 * was given), 2BP01 (a namespace that is not empty), ERR_UNSUPPORTED (it has no such endpoint). */
#pragma once

#include "catalog/rest/rest.h"

/* True for an error after which the change may have been made. */
bool rest_is_unknown(const struct errinfo *info);

/* Updates of one table, if the requirements hold: JSON arrays of the specification. `ret_loaded` is
 * the table as it is then. */
MUST_USE enum err rest_commit(struct rest *rest, const struct rest_catalog *catalog,
                              const struct identity *who, const struct rest_namespace *ns,
                              struct slice name, struct slice requirements, struct slice updates,
                              struct arena *arena, struct rest_loaded *ret_loaded,
                              struct errinfo *info);

/* The same of several tables of a catalog, all or none. ERR_UNSUPPORTED unless the catalog says
 * that it can (rest_commits_all). */
struct rest_change {
    struct rest_namespace ns;
    struct slice name;
    struct slice requirements;
    struct slice updates;
};
MUST_USE enum err rest_commit_all(struct rest *rest, const struct rest_catalog *catalog,
                                  const struct identity *who, const struct rest_change *changes,
                                  size_t change_count, struct errinfo *info);
MUST_USE enum err rest_commits_all(struct rest *rest, const struct rest_catalog *catalog,
                                   const struct identity *who, bool *ret_can, struct errinfo *info);

struct storage_grant;

/* What a catalog lends one person for one table. Hand `who` to storage with it. */
struct rest_lent {
    struct storage_grant *grant; /* a reference; NULL: nothing was lent */
    const struct identity *who;  /* lives as long as the grant */
};
/* Of a table that there is: what came with its last answer. */
MUST_USE enum err rest_borrow(struct rest *rest, const struct rest_catalog *catalog,
                              const struct identity *who, const struct rest_namespace *ns,
                              struct slice name, struct rest_lent *ret_lent, struct errinfo *info);

/* `request` is a CreateTableRequest as JSON, with its name in it. With "stage-create" there is no
 * table yet: its metadata and what is lent are for writing its files; then rest_commit. */
MUST_USE enum err rest_create_table(struct rest *rest, const struct rest_catalog *catalog,
                                    const struct identity *who, const struct rest_namespace *ns,
                                    struct slice name, struct slice request, struct arena *arena,
                                    struct rest_loaded *ret_loaded, struct rest_lent *ret_lent,
                                    struct errinfo *info);
MUST_USE enum err rest_register_table(struct rest *rest, const struct rest_catalog *catalog,
                                      const struct identity *who, const struct rest_namespace *ns,
                                      struct slice name, struct slice metadata_location,
                                      struct errinfo *info);
/* With `purges`, the catalog is asked to delete the files too. */
MUST_USE enum err rest_drop_table(struct rest *rest, const struct rest_catalog *catalog,
                                  const struct identity *who, const struct rest_namespace *ns,
                                  struct slice name, bool purges, struct errinfo *info);
MUST_USE enum err rest_rename_table(struct rest *rest, const struct rest_catalog *catalog,
                                    const struct identity *who, const struct rest_namespace *ns,
                                    struct slice name, const struct rest_namespace *new_ns,
                                    struct slice new_name, struct errinfo *info);

MUST_USE enum err rest_create_namespace(struct rest *rest, const struct rest_catalog *catalog,
                                        const struct identity *who, const struct rest_namespace *ns,
                                        const struct rest_property *properties,
                                        size_t property_count, struct errinfo *info);
MUST_USE enum err rest_drop_namespace(struct rest *rest, const struct rest_catalog *catalog,
                                      const struct identity *who, const struct rest_namespace *ns,
                                      struct errinfo *info);
/* A property whose value has ptr NULL is removed. */
MUST_USE enum err rest_set_properties(struct rest *rest, const struct rest_catalog *catalog,
                                      const struct identity *who, const struct rest_namespace *ns,
                                      const struct rest_property *properties, size_t property_count,
                                      struct errinfo *info);

/* `request` is a CreateViewRequest as JSON, with its name in it. */
MUST_USE enum err rest_create_view(struct rest *rest, const struct rest_catalog *catalog,
                                   const struct identity *who, const struct rest_namespace *ns,
                                   struct slice name, struct slice request, struct errinfo *info);
MUST_USE enum err rest_drop_view(struct rest *rest, const struct rest_catalog *catalog,
                                 const struct identity *who, const struct rest_namespace *ns,
                                 struct slice name, struct errinfo *info);
MUST_USE enum err rest_rename_view(struct rest *rest, const struct rest_catalog *catalog,
                                   const struct identity *who, const struct rest_namespace *ns,
                                   struct slice name, const struct rest_namespace *new_ns,
                                   struct slice new_name, struct errinfo *info);
