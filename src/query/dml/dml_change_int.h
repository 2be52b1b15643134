/* UPDATE, MERGE and RETURNING of tables of attached catalogs: the steps that they share. */
#pragma once

#include "lake/rows.h"
#include "query/dml/dml_int.h"
#include "query/run/run_int.h"

#define DML_STAGE_NAME "moat change" /* no person's table is called so while it is read */
#define DML_STAGE TEMP_SCHEMA ".\"" DML_STAGE_NAME "\""

#define DML_STAGE_COLUMNS 4u /* before those of the table: m_file, m_pos, m_kind, m_row */

enum dml_kind { /* m_kind of a staged row: what becomes of it */
    DML_UPDATED = 1,
    DML_DELETED,
    DML_INSERTED,
    DML_UPDATED_BY = 16, /* and the number of a clause: by whom some of the table is hidden from */
};

/* ---- dml_stage.c ---- */

/* SQL that holds parts of the statement, for errors to point at them. */
struct dml_part {
    size_t at; /* in `sql` */
    struct slice text;
};
struct dml_text {
    struct buf sql;
    struct buf parts; /* of struct dml_part */
};
void dml_text_fini(struct dml_text *text);
/* Appends a slice of the statement. */
void dml_text_part(struct dml_text *text, struct slice part);
bool dml_text_failed(const struct dml_text *text);
/* An error's place in the text becomes the one in the statement, or none. */
void dml_text_position(const struct query *query, const struct dml_text *text,
                       struct errinfo *info);

/* Runs a plan of ours into a file of staged rows. */
MUST_USE enum err dml_stage_plan(struct dml *dml, const struct plan *plan,
                                 struct temp_table **ret_rows, struct errinfo *info);
/* Runs a query, as the person and audited, that gives m_file, m_pos, m_kind, m_row and the table's
 * columns as c<i>, into a file of the session. */
MUST_USE enum err dml_stage(struct dml *dml, const struct dml_text *text,
                            struct temp_table **ret_rows, struct errinfo *info);
/* Plans a text of ours that reads DML_STAGE, which is `rows`. */
MUST_USE enum err dml_plan_staged(struct session *session, struct temp_table *rows,
                                  struct slice text, struct plan **ret_plan, struct errinfo *info);
/* The rows of the table that are changed or go. ERR_INVALID (21000): one of them twice. */
MUST_USE enum err dml_staged_victims(struct dml *dml, struct temp_table *rows,
                                     struct lake_rows *victims, struct errinfo *info);
/* Takes what the engine gives: _file and _pos. */
MUST_USE enum err dml_pull_victims(struct dml *dml, struct lake_rows *victims,
                                   struct errinfo *info);
/* Computes what RETURNING gives, before anything is committed; then opens its rows. */
MUST_USE enum err dml_return(struct dml *dml, const struct statement *statement,
                             struct temp_table *rows, struct errinfo *info);
MUST_USE enum err dml_give(struct query *query, struct errinfo *info);

/* ---- dml_values.c: what SET and VALUES say ---- */

/* What a clause gives the fields of the table. */
struct dml_values {
    const struct dml *dml;
    const struct statement_assignments *set;
    struct dml_target *targets; /* by assignment: what its column means */
    struct slice alias;         /* the row whose other fields stay; empty: they are the default */
    struct slice star;          /* the row whose columns are taken by name; empty: none */
};
/* ERR_NOT_FOUND (42703), ERR_SYNTAX for a column twice, pointing at it; ERR_DENIED for one that is
 * masked. */
MUST_USE enum err dml_values_open(struct dml_values *values, struct errinfo *info);
/* Which fields it gives values. */
MUST_USE enum err dml_values_assigned(const struct dml_values *values, const bool **ret_assigned,
                                      struct errinfo *info);
/* Appends CAST(... AS type): the value of field `index`, without a name. */
MUST_USE enum err dml_values_print(const struct dml_values *values, size_t index,
                                   struct dml_text *out, struct errinfo *info);

/* ---- dml_condition.c ---- */

/* Where partitions and bounds decide that the statement's condition holds for all rows of some
 * files and for none of the others: those are `removed`, and nothing is read. */
MUST_USE enum err dml_remove_whole(struct dml *dml, const struct statement *statement,
                                   bool *ret_is_done, struct errinfo *info);

/* ---- dml_remove.c ---- */

/* The deletes by position of the plan's files that `rows` touches, as new delete files: a file
 * each, or their vectors. */
MUST_USE enum err dml_write_deletes_anew(struct dml *dml, struct lake_rows *rows,
                                         const struct iceberg_scan_plan *plan,
                                         struct errinfo *info);

/* ---- dml_condition.c: files ---- */

/* What chooses the files that may have rows of a condition; NULL: it is not understood. Points in
 * time are in UTC. */
const struct iceberg_expression *dml_file_filter(const struct dml *dml, struct slice where);

/* ---- dml_partial.c ---- */

/* What the person sees of field `index` of the table; NULL: nothing. */
const struct policy_column *dml_cell(const struct dml *dml, size_t index);
/* In some rows at least. */
bool dml_is_masked(const struct dml *dml, size_t index);
/* ERR_DENIED. */
enum err dml_refuse_masked(const struct dml *dml, size_t index, struct errinfo *info);
/* ERR_DENIED where new rows could not be whole without what is hidden. */
MUST_USE enum err dml_check_insertable(const struct dml *dml, struct errinfo *info);
/* How a SELECT of the rows that change calls the table and where they are. */
MUST_USE enum err dml_name_rows(struct dml *dml, const struct statement *statement,
                                struct errinfo *info);
/* "t" as the statement names it, or what nobody else can: with its alias. */
void dml_print_target(const struct dml *dml, const struct statement *statement, struct buf *out);
/* A field of a row as the person sees it. */
MUST_USE enum err dml_print_seen(const struct dml *dml, struct slice alias, size_t index,
                                 struct buf *out, struct errinfo *info);
/* Plans the person's query for rows that change. */
MUST_USE enum err dml_plan_rows(struct dml *dml, struct slice text, struct plan **ret_plan,
                                struct errinfo *info);
/* ERR_DENIED unless who sees only some rows may give these columns values: not where the filter
 * also reads what is hidden, which the answer would tell of. */
MUST_USE enum err dml_check_assigned(const struct dml *dml, const bool *is_assigned,
                                     struct errinfo *info);
/* Staged rows as they will be in files: what the statement does not give is as it was, raw. For
 * each of `clauses`, by field, whether it gives a value. NULL: `rows` say all. */
MUST_USE enum err dml_complete(struct dml *dml, struct temp_table *rows, const bool *const *clauses,
                               size_t count, struct temp_table **ret_rows, struct errinfo *info);
/* The new rows among those staged are what the person may write: ERR_INVALID (44000) for one that
 * the policy's filter would not show them, ERR_DENIED for a value in a masked column. */
MUST_USE enum err dml_check_rows(struct dml *dml, struct temp_table *rows, struct errinfo *info);

/* ---- dml_change.c ---- */

struct slice dml_alias(const struct statement *statement);
/* "catalog"."schema"."table", as the statement names it. */
void dml_print_name(const struct statement *statement, struct buf *out);
/* "DISTINCT ON (where the row is) ". */
void dml_print_distinct(const struct dml *dml, const char *alias, struct buf *out);
/* Where a row is and what becomes of it, as dml_stage wants them. */
void dml_print_place(const struct dml *dml, const char *alias, int kind, struct buf *out);
/* Columns that a table must not have so that rows can say where they are. */
MUST_USE enum err dml_check_names(const struct dml *dml, struct errinfo *info);
/* From rows that are staged to a commit; RETURNING is of `seen`. */
MUST_USE enum err dml_apply(struct dml *dml, const struct statement *statement,
                            struct temp_table *seen, struct temp_table *rows, struct errinfo *info);
