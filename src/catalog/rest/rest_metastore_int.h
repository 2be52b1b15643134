/* What the kinds of metastores have in common. For the module's own files and tests. */
#pragma once

#include "catalog/rest/metastore.h"
#include "catalog/rest/rest_int.h"
#include "storage/sts.h"

struct metastore_place {
    struct slice folder;
    struct slice metadata_location; /* empty: it does not say */
};

/* What rest.h, write.h and metastore.h are of one kind. */
struct metastore_calls {
    enum err (*check)(const struct rest_call *call);
    enum err (*namespaces)(const struct rest_call *call, struct arena *arena,
                           struct rest_namespace **ret_namespaces, size_t *ret_count);
    enum err (*properties)(const struct rest_call *call, const struct rest_namespace *ns,
                           struct arena *arena, struct rest_property **ret_properties,
                           size_t *ret_count);
    enum err (*names)(const struct rest_call *call, const struct rest_namespace *ns,
                      struct arena *arena, struct rest_name **ret_names, size_t *ret_count);
    /* Where the table lies now, for who asks; ERR_UNSUPPORTED: it is none of Iceberg's. */
    enum err (*find)(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name, struct arena *arena, struct metastore_place *ret_place);
    enum err (*create_namespace)(const struct rest_call *call, const struct rest_namespace *ns,
                                 const struct rest_property *properties, size_t property_count);
    enum err (*drop_namespace)(const struct rest_call *call, const struct rest_namespace *ns);
    enum err (*set_properties)(const struct rest_call *call, const struct rest_namespace *ns,
                               const struct rest_property *properties, size_t property_count);
    enum err (*create_table)(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name, const struct metastore_table *table);
    enum err (*swap_table)(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, const struct metastore_table *table,
                           struct slice before);
    enum err (*drop_table)(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name);
    enum err (*rename_table)(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name, struct slice new_name);
};
extern const struct metastore_calls hive_calls;
extern const struct metastore_calls glue_calls;

/* NULL: it speaks the REST specification. */
const struct metastore_calls *rest_metastore__of(const struct rest_catalog *catalog);

/* A namespace of one level, and a name, as metastores write them: in small letters. False for what
 * they cannot have. */
bool metastore_name__is(struct slice name);
bool metastore_name__of(const struct rest_namespace *ns, struct slice *ret_database);
/* The errors of names. */
MUST_USE enum err metastore__no_namespace(const struct rest_call *call,
                                          const struct rest_namespace *ns);
MUST_USE enum err metastore__no_table(const struct rest_call *call, struct slice name);
MUST_USE enum err metastore__table_exists(const struct rest_call *call, struct slice name);
MUST_USE enum err metastore__wrong_name(const struct rest_call *call);
MUST_USE enum err metastore__not_iceberg(const struct rest_call *call, struct slice name);
MUST_USE enum err metastore__moved(const struct rest_call *call, struct slice name);

/* Properties of a database that metastores keep apart from the others. */
#define METASTORE_LOCATION "location"
#define METASTORE_COMMENT "comment"
/* The last of a key, or NULL. */
const struct rest_property *metastore__property(const struct rest_property *properties,
                                                size_t count, struct slice key);

/* `metadata` stays empty: it is read where it lies. */
MUST_USE enum err rest_metastore__load(const struct rest_call *call,
                                       const struct rest_namespace *ns, struct slice name,
                                       struct arena *arena, struct rest_loaded *ret_loaded);
/* Of texts that will be gone: into the arena. */
MUST_USE enum err metastore__place(const struct rest_call *call, struct slice folder,
                                   struct slice metadata_location, struct arena *arena,
                                   struct metastore_place *ret_place);
/* Credentials for what lies there; none, if nothing lends any. */
MUST_USE enum err rest_metastore__vended(const struct rest_call *call, struct slice location,
                                         struct rest_vended *ret_vended);
/* A session's keys for the person's token, narrowed to what `policy` allows. */
MUST_USE enum err rest_metastore__keys(const struct rest_call *call, struct slice policy,
                                       struct storage_sts_answer *ret_answer);
