/* For the files of AWS Glue's client. */
#pragma once

#include "catalog/rest/rest_metastore_int.h"
#include "fetch/fetch.h"

/* One request: an action of Glue's, whose input is a JSON object. */
struct glue_call {
    const struct rest_call *call;
    const char *action; /* "GetTable" */
    bool changes;
    const char *what; /* for messages, as in rest_question */
    struct slice name;
    struct buf body;
};
/* Its members follow, the first without a comma before it. */
void glue_call__begin(struct glue_call *glue, const struct rest_call *call, const char *action,
                      bool changes, const char *what, struct slice name);
void glue_call__fini(struct glue_call *glue);
/* `,"key":"text"`, without the comma where `is_first`. */
void glue__write_text(struct buf *out, bool is_first, const char *key, struct slice text);

struct glue_reply {
    struct rest_answer answer; /* `root` has views of it */
    struct arena *arena;
    struct json *root; /* an object */
};
void glue_reply__fini(struct glue_reply *reply);
/* What Glue answers. Its errors are those of rest.h and write.h. */
MUST_USE enum err glue_call__do(struct glue_call *glue, struct glue_reply *ret_reply);
/* Of a body: ERR_CORRUPT for what is no object. An empty one is an empty object. */
MUST_USE enum err glue_reply__read(const struct rest_call *call, struct glue_reply *reply);

/* ---- signatures (glue_sign.c) ---- */

/* The headers of one request that its signature covers, and the signature. */
#define GLUE_HEADERS_MAX 4
struct glue_signed {
    char time[24];
    char target[64];
    struct secret session_token;
    struct secret authorization;
    struct fetch_header headers[GLUE_HEADERS_MAX];
    size_t header_count;
};
void glue_signed__fini(struct glue_signed *made);
/* With keys that were lent for the person's token; `is_again`: the last ones were refused. */
MUST_USE enum err glue__sign(const struct rest_call *call, const struct rest_question *question,
                             bool is_again, struct glue_signed *ret_signed);

/* The status that the REST specification has for what Glue says with its own (glue_error.c). */
long glue__status(long status, struct slice body);
/* "com.amazonaws.glue#EntityNotFoundException" -> "EntityNotFoundException" */
struct slice glue__type(struct slice written);

/* ---- forms (glue_form.c) ---- */

/* What Glue says of a table: views of the answer. */
struct glue_found {
    const struct json *table;
    struct slice name;
    struct slice location; /* its folder */
    struct slice metadata_location;
    struct slice version;
    bool is_iceberg;
};
/* Of a Table. False: it is none. */
bool glue_table__read(const struct json *table, struct glue_found *ret_found);

/* What is to be another of a table; empty: stays. */
struct glue_change {
    struct slice name;
    const struct metastore_table *table;
    struct slice before; /* where its metadata was */
    struct slice moved;  /* the name that it has now: what is left is no Iceberg table */
};
/* A TableInput: the table with all that is not changed as it is written. `old` NULL: a new one. */
void glue_table__write(const struct json *old, const struct glue_change *change, struct buf *out);

/* A DatabaseInput; `old` NULL: a new one. */
void glue_database__write(const struct json *old, struct slice name,
                          const struct rest_property *properties, size_t count, struct buf *out);

/* ---- databases (glue_names.c) ---- */

MUST_USE enum err glue__check(const struct rest_call *call);
MUST_USE enum err glue__namespaces(const struct rest_call *call, struct arena *arena,
                                   struct rest_namespace **ret_namespaces, size_t *ret_count);
MUST_USE enum err glue__properties(const struct rest_call *call, const struct rest_namespace *ns,
                                   struct arena *arena, struct rest_property **ret_properties,
                                   size_t *ret_count);
MUST_USE enum err glue__names(const struct rest_call *call, const struct rest_namespace *ns,
                              struct arena *arena, struct rest_name **ret_names, size_t *ret_count);
MUST_USE enum err glue__create_namespace(const struct rest_call *call,
                                         const struct rest_namespace *ns,
                                         const struct rest_property *properties,
                                         size_t property_count);
MUST_USE enum err glue__drop_namespace(const struct rest_call *call,
                                       const struct rest_namespace *ns);
MUST_USE enum err glue__set_properties(const struct rest_call *call,
                                       const struct rest_namespace *ns,
                                       const struct rest_property *properties,
                                       size_t property_count);
