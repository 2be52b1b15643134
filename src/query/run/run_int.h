/* Statements that Moat runs itself: one function a kind, in run_*.c; `statements` in query.c maps
 * kinds to them. */
#pragma once

#include "query/query_int.h"

typedef enum err (*statement_fn)(struct query *query, const struct statement *statement,
                                 struct errinfo *info);

/* ---- files.c ---- */

/* At a registration: ERR_INVALID (42P17) names a file that is empty where it may not be ... */
MUST_USE enum err files_check_sizes(const struct relation *relation, struct errinfo *info);
/* ... or has not the columns that the relation has now, and one that has. */
MUST_USE enum err files_check(struct query *query, const struct relation *relation,
                              struct errinfo *info);
/* Likewise after the engine could not bind them. False: it is not about a file. */
bool files_explain_sniff(struct query *query, const struct relation *path, struct errinfo *info);

/* ---- run_copy.c ---- */

/* Runs COPY (...) TO a sink to its end; query->rows_out says how many rows there were. */
MUST_USE enum err run_copy_to_end(struct query *query, struct slice sql, struct errinfo *info);

/* ---- run_copy_in.c: the calls of query.h but for how the query ends ---- */

MUST_USE enum err copy_in_begin(struct query *query, struct ArrowSchema *schema,
                                struct errinfo *info);
MUST_USE enum err copy_in_push(struct query *query, struct ArrowArray *batch, struct errinfo *info);
MUST_USE enum err copy_in_finish(struct query *query, struct errinfo *info);
/* Nobody waits any more, for rows or for room. Any thread, under the session's lock; takes NULL. */
void copy_in_stop(struct copy_in *copy);
/* Also waits until the engine is done; done again does nothing. Takes NULL. */
void copy_in_end(struct copy_in *copy);
void copy_in_free(struct copy_in *copy);

/* ---- run_view.c ---- */

/* The columns that a plan gives, found by binding its physical SQL. */
MUST_USE enum err run_describe_plan(struct query *query, struct plan *plan,
                                    struct engine_column **ret_columns, size_t *ret_count,
                                    struct errinfo *info);

/* Plans a view's body as it will be read: names without a schema are those of the view's. */
MUST_USE enum err run_plan_body(struct query *query, struct slice body, struct slice catalog,
                                struct slice schema, struct plan **ret_plan, struct errinfo *info);
/* The body with the names that CREATE VIEW v (a, b) gives its first columns. */
MUST_USE enum err run_name_body(struct query *query, const struct statement *statement,
                                size_t count, struct slice *ret_body, struct errinfo *info);

/* ---- run_change.c ---- */

/* A new file for a temporary table, and how long it may become. */
MUST_USE enum err run_temp_file(struct query *query, struct temp_file **ret_file,
                                uint64_t *ret_bytes_max, struct errinfo *info);

/* ---- run_temp.c ---- */

/* The engine's names of the types that CREATE TABLE declares. */
MUST_USE enum err run_declared_types(struct query *query, const struct statement *statement,
                                     struct engine_column **ret_columns, size_t *ret_count,
                                     struct errinfo *info);

/* `ret_is_done` false: the name is of no temporary table. */
MUST_USE enum err run_drop_temp(struct query *query, const struct statement *statement,
                                bool *ret_is_done, struct errinfo *info);

/* ---- run_ddl.c ---- */

/* Completes the name of an object of Moat's own catalog: catalog and schema given. */
MUST_USE enum err run_object_name(struct query *query, const struct sql_name *written,
                                  struct sql_name *ret_name, struct errinfo *info);
/* As the statement's OR REPLACE and IF NOT EXISTS say. */
MUST_USE enum err run_create_relation(struct query *query, const struct statement *statement,
                                      const struct system_relation *relation, bool *ret_created,
                                      struct errinfo *info);

/* ---- run_signal.c: pg_cancel_backend, pg_terminate_backend ---- */

/* False: the statement is no such call, and nothing was done. */
MUST_USE enum err run_signal(struct query *query, const struct query_parameter *parameters,
                             size_t parameter_count, bool *ret_is_one, struct errinfo *info);
/* Likewise: the SELECT of the numbers, and the name of the column of booleans. */
MUST_USE enum err signal_describe(struct slice statement, struct arena *arena,
                                  struct slice *ret_numbers, struct slice *ret_name,
                                  bool *ret_is_one, struct errinfo *info);

MUST_USE enum err run_explain(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_describe(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_table(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_view(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_temp(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_insert(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_update(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_delete(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_truncate(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_comment(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_schema(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_alter_schema(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_attach(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_detach(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_drop(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_alter_table(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_principal(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_alter_user(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_alter_limits(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_show_limits(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_create_api_key(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_revoke_api_key(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_show_api_keys(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_grant(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_revoke(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_grant_role(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_show(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_check_access(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err maintain_call(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_set(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_use(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_prepare(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_execute(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_deallocate(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_copy(struct query *, const struct statement *, struct errinfo *);
MUST_USE enum err run_copy_in(struct query *, const struct statement *, struct errinfo *);
