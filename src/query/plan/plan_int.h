/* What the files of the planner share: plan.c, and policy_tables.c for what policies read. */
#pragma once

#include "base/json.h"
#include "query/plan/policy_int.h"
#include "query/query_int.h"

#define PLAN_DEPTH_MAX 16 /* views, and policies' subqueries, in each other */

struct plan_node;

/* What a statement can be about that asks information_schema for nothing else (plan_wanted.c).
 * NULL: anything. */
struct resolve_wanted;
const struct resolve_wanted *plan_wanted(const struct sql_ast *ast, struct arena *arena);

/* A table that a policy's subqueries read as their definer. */
struct plan_read {
    struct slice subject;
    struct slice uuid;
    struct plan_node *node; /* SELECT <used columns> FROM it */
    struct plan_read *next;
};

struct plan_ref {
    struct resolved resolved;
    struct plan_node *view;      /* body, if the relation is a view */
    struct plan_read *reads;     /* of the policy's subqueries */
    size_t table;                /* in plan->tables, for what has objects */
    enum leak_class filter_leak; /* of the policy's own row filter */
};

struct plan_node {
    struct sql_ast *ast;
    struct identity *who; /* held by the plan */
    struct slice via_view;
    const struct relation *view; /* whose body this is; NULL: the statement's */
    struct slice catalog;        /* of names without one; empty: the session's */
    struct slice schema;         /* the same */
    struct slice via_policy;     /* the table whose policy reads this */
    struct plan_ref *refs;
    size_t ref_count;
};

/* A table's filter, for staged rows of it: which column of the table each of theirs is. */
struct plan_staged {
    struct slice filter;
    const uint32_t *ids;
    size_t id_count;
};

/* The table whose rows a statement changes, for somebody from whom some of it is hidden. Where a
 * row is tells of rows beside it, so nothing of the person's own may say these names: they are made
 * anew for each statement. */
struct plan_target {
    struct slice table; /* what our text calls it */
    struct sql_name name;
    struct slice alias; /* the person's */
    struct slice file, pos, row;
};

struct builder {
    struct session *session;
    struct arena *arena;
    struct plan *plan;
    size_t table_capacity;
    size_t object_capacity;
    unsigned depth;
};

/* ---- plan.c ---- */

/* Takes over `who`, also when it fails. */
MUST_USE enum err plan_hold(struct plan *plan, struct identity *who, struct errinfo *info);
MUST_USE enum err plan_parse(struct session *session, struct slice text, struct arena *arena,
                             struct slice *ret_json, struct errinfo *info);
MUST_USE enum err plan_resolve_node(struct builder *b, struct plan_node *node,
                                    struct errinfo *info);
MUST_USE enum err plan_secure_node(struct builder *b, struct plan_node *node, struct errinfo *info);
/* Puts a copy of the query `select` as a subquery called `alias` in the place of `hole`. */
MUST_USE enum err plan_graft(struct builder *b, struct json *hole, struct slice alias,
                             const struct json *select, struct errinfo *info);

/* As plan_build, but without a look at what was planned before. */
MUST_USE enum err plan_build_new(struct session *session, struct query *query, struct slice text,
                                 struct plan **ret_plan, struct errinfo *info);

/* ---- plan_view.c ---- */

/* `name`, complete, in the body of a view: to what it meant when the view was made, under the name
 * that this has now. `ret_source` NULL: the view does not say. ERR_NOT_FOUND (42P01). */
MUST_USE enum err plan_find_source(struct builder *b, const struct plan_node *node,
                                   struct sql_name *name, const struct relation_source **ret_source,
                                   struct errinfo *info);
/* What was found is what the view means, under the columns' names of then, without later ones. */
MUST_USE enum err plan_use_source(struct builder *b, const struct plan_node *node,
                                  const struct relation_source *source, struct resolved *resolved,
                                  struct errinfo *info);
/* What a view over `plan` reads, in `arena`. */
MUST_USE enum err plan_sources(const struct plan *plan, struct slice catalog, struct slice schema,
                               struct arena *arena, struct relation *view, struct errinfo *info);

/* ---- lake_travel.c ---- */

/* The version that AT (...) of a reference asks for; TRAVEL_NOW without one. */
struct lake_travel;
MUST_USE enum err plan_read_travel(struct builder *b, const struct sql_reference *reference,
                                   struct lake_travel *ret_travel, struct errinfo *info);

/* ---- lake_virtual.c ---- */

/* Adds the virtual columns that the statement names to a table of a lake which the person sees all
 * of. `uses` says whether it names one. */
typedef bool (*plan_uses_fn)(const void *used, struct slice name);
MUST_USE enum err plan_add_virtual(struct builder *b, struct plan_node *node, size_t index,
                                   plan_uses_fn uses, const void *used, struct resolved *resolved,
                                   struct errinfo *info);

/* The same for plan_target: its columns, whatever the person sees of the table. ERR_UNSUPPORTED
 * where the person's text could say all columns of the table without naming them. */
MUST_USE enum err plan_add_target(struct builder *b, const struct plan_node *node,
                                  struct resolved *resolved, struct errinfo *info);
bool plan_is_target(const struct builder *b, const struct plan_node *node,
                    const struct sql_reference *reference);
/* Puts the filter of plan_staged on a relation of staged rows. */
MUST_USE enum err plan_bind_staged(struct builder *b, struct resolved *out, struct errinfo *info);

/* ---- policy_tables.c ---- */

/* First pass: resolves what the subqueries of the policy on `ref` read, as their definers. */
MUST_USE enum err plan_resolve_reads(struct builder *b, struct plan_ref *ref, struct errinfo *info);
/* Second pass: puts it into the secured relation. */
MUST_USE enum err plan_secure_reads(struct builder *b, const struct plan_ref *ref,
                                    struct json *secured, struct errinfo *info);
