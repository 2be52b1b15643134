/* UPDATE, MERGE and RETURNING of tables of attached catalogs: the steps that they share. */
#pragma once

#include "lake/rows.h"
#include "query/dml_int.h"
#include "query/run_int.h"

#define DML_STAGE_NAME "moat change" /* no person's table is called so while it is read */
#define DML_STAGE TEMP_SCHEMA ".\"" DML_STAGE_NAME "\""

enum dml_kind { /* m_kind of a staged row: what becomes of it */
    DML_UPDATED = 1,
    DML_DELETED,
    DML_INSERTED,
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
/* ERR_NOT_FOUND (42703), ERR_SYNTAX for a column twice, pointing at it. */
MUST_USE enum err dml_values_open(struct dml_values *values, struct errinfo *info);
/* Appends CAST(... AS type): the value of field `index`, without a name. */
MUST_USE enum err dml_values_print(const struct dml_values *values, size_t index,
                                   struct dml_text *out, struct errinfo *info);

/* ---- dml_condition.c ---- */

/* Where partitions and bounds decide that the statement's condition holds for all rows of some
 * files and for none of the others: those are `removed`, and nothing is read. */
MUST_USE enum err dml_remove_whole(struct dml *dml, const struct statement *statement,
                                   bool *ret_is_done, struct errinfo *info);

/* ---- dml_change.c ---- */

struct slice dml_alias(const struct statement *statement);
/* "catalog"."schema"."table", as the statement names it. */
void dml_print_name(const struct statement *statement, struct buf *out);
/* Columns that a table must not have so that rows can say where they are. */
MUST_USE enum err dml_check_names(const struct dml *dml, struct errinfo *info);
/* From rows that are staged to a commit. */
MUST_USE enum err dml_apply(struct dml *dml, const struct statement *statement,
                            struct temp_table *rows, struct errinfo *info);
