/* For the files of the Hive metastore's client. */
#pragma once

#include "catalog/rest/hive/thrift.h"
#include "catalog/rest/rest_metastore_int.h"

/* What a call may throw, by the classes that the metastore has for it. */
enum hive_fault {
    HIVE_FINE,
    HIVE_FAILS, /* MetaException, or what it has no class for */
    HIVE_MISSING,
    HIVE_EXISTS,
    HIVE_REFUSED, /* an object or an operation that is not allowed */
};

struct hive_method {
    const char *name;
    bool changes;
    enum hive_fault faults[4]; /* of the answer's fields 1 to 4 */
};

struct hive_reply {
    struct rest_answer answer;
    enum hive_fault fault;
    struct slice message;       /* of the fault: a view of the answer */
    struct thrift_field result; /* `type` THRIFT_STOP: nothing was given */
};
void hive_reply__fini(struct hive_reply *reply);

/* Begins a call: its arguments follow. */
struct hive_call {
    const struct rest_call *call;
    const struct hive_method *method;
    struct buf body;
    const char *what; /* for messages, as in rest_question */
    struct slice name;
};
void hive_call__begin(struct hive_call *hive, const struct rest_call *call,
                      const struct hive_method *method, const char *what, struct slice name);
void hive_call__fini(struct hive_call *hive);
/* What `reply->answer` says. */
MUST_USE enum err hive_reply__read(const struct hive_call *hive, struct hive_reply *reply);
/* Sends it. What the metastore throws is no error yet: `fault`. */
MUST_USE enum err hive_call__send(struct hive_call *hive, struct hive_reply *ret_reply);
/* What a fault means, where nothing better is known. */
MUST_USE enum err hive_call__fault(const struct hive_call *hive, const struct hive_reply *reply);
/* Both. */
MUST_USE enum err hive_call__do(struct hive_call *hive, struct hive_reply *ret_reply);
enum err(hive_call__wrong)(const struct rest_call *call, const char *what);
#define hive_call__wrong(...) ((void)(hive_call__wrong)(__VA_ARGS__), (enum err)ERR_CORRUPT)

/* What a metastore says of a table. */
struct hive_found {
    struct slice raw; /* the struct, as it is written */
    struct slice name;
    struct slice location; /* its folder */
    struct slice metadata_location;
    bool is_iceberg;
};
/* Of a Table. False: it is none. */
bool hive_table__read(struct slice raw, struct hive_found *ret_found);

/* What is to be another; empty: stays. */
struct hive_change {
    struct slice name;
    const struct metastore_table *table;
    struct slice before;
};
/* The Table with all that is not changed as it is written. */
void hive_table__rewrite(struct slice raw, const struct hive_change *change, struct buf *out);
/* A new one. */
void hive_table__write(struct slice database, struct slice name, struct slice owner,
                       const struct metastore_table *table, struct buf *out);

/* ---- what struct metastore_calls has of databases (hive_names.c) ---- */

MUST_USE enum err hive__check(const struct rest_call *call);
MUST_USE enum err hive__namespaces(const struct rest_call *call, struct arena *arena,
                                   struct rest_namespace **ret_namespaces, size_t *ret_count);
MUST_USE enum err hive__properties(const struct rest_call *call, const struct rest_namespace *ns,
                                   struct arena *arena, struct rest_property **ret_properties,
                                   size_t *ret_count);
MUST_USE enum err hive__names(const struct rest_call *call, const struct rest_namespace *ns,
                              struct arena *arena, struct rest_name **ret_names, size_t *ret_count);
MUST_USE enum err hive__create_namespace(const struct rest_call *call,
                                         const struct rest_namespace *ns,
                                         const struct rest_property *properties,
                                         size_t property_count);
MUST_USE enum err hive__drop_namespace(const struct rest_call *call,
                                       const struct rest_namespace *ns);
MUST_USE enum err hive__set_properties(const struct rest_call *call,
                                       const struct rest_namespace *ns,
                                       const struct rest_property *properties,
                                       size_t property_count);
