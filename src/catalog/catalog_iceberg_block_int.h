/* What catalog_iceberg_block*.c share. */
#pragma once

#include "base/buf.h"
#include "catalog/catalog_iceberg_int.h"
#include "catalog/iceberg_block.h"
#include "identity/identity.h"

enum iceberg_step_kind {
    STEP_OBJECT, /* an object was made */
    STEP_CREATE,
    STEP_CHANGE,
    STEP_RENAME,
    STEP_DROP,
};

struct iceberg_step {
    enum iceberg_step_kind kind;
    struct arena *arena;
    struct slice object; /* of STEP_OBJECT: its location */
    struct storage_grant *lent;
    const struct identity *lent_to;
    /* Which table or view: the step that made it, from 1 on, with the name that it was made by; or
     * 0 and its name in the catalog. */
    size_t born;
    struct slice ns, name;
    bool is_view;
    struct slice from, to;              /* what it was called until then, and is from then on */
    struct slice uuid;                  /* of what is renamed or dropped */
    struct slice requirements, updates; /* of a table */
    struct slice document, location;
    int64_t now_ms;
};

struct catalog_iceberg_block {
    struct arena *arena;
    struct catalog_iceberg catalog;
    struct identity *who; /* held */
    bool in_steps;        /* COMMIT may take several calls */
    struct iceberg_step *steps;
    size_t count;
    size_t capacity;
};

/* What all steps of one table or view come to. */
struct iceberg_effect {
    size_t born;
    struct slice ns, name; /* as in a step */
    struct slice final;    /* what it is called at the end */
    struct slice uuid;
    bool is_view;
    bool is_dropped;
    bool is_changed; /* also by being made */
    struct slice requirements, updates;
    struct slice document; /* of a view: all of it */
    int64_t now_ms;
};

/* In the order of their first steps; without those of nothing (made and dropped). */
MUST_USE enum err iceberg_block__effects(const struct catalog_iceberg_block *block,
                                         struct arena *arena, struct iceberg_effect **ret_effects,
                                         size_t *ret_count, struct errinfo *info);
/* How many calls of a REST catalog they take. */
MUST_USE enum err iceberg_block__calls(const struct catalog_iceberg_block *block,
                                       const struct iceberg_effect *effects, size_t count,
                                       size_t *ret_calls, struct errinfo *info);
/* All in one transaction of SQLite. */
MUST_USE enum err iceberg_local__commit_all(const struct catalog_iceberg *catalog,
                                            const struct identity *who,
                                            const struct iceberg_effect *effects, size_t count,
                                            bool *ret_is_unknown, struct errinfo *info);
/* One after the other; `ret_notice` says how many calls there were, if it was not one. */
MUST_USE enum err iceberg_rest__commit_steps(const struct catalog_iceberg_block *block,
                                             const struct iceberg_effect *effects, size_t count,
                                             char *ret_notice, size_t notice_bytes,
                                             bool *ret_is_unknown, struct errinfo *info);
