/* Rows into files of temporary tables, and the rules that they keep (run_change.c). */
#pragma once

#include "query/run/run_int.h"

/* Rows for a table: a query, and which of its columns each column of the table gets. */
struct change_source {
    struct slice query;
    const struct engine_column *found;
    size_t found_count;
    const size_t *from;      /* SIZE_MAX: the default */
    const bool *is_numbered; /* where NULL stands for the next number; NULL: nowhere */
};

/* " FROM pg_temp.t AS alias", or under its own name. */
void change_write_table(const struct temp_table *table, struct slice alias, struct buf *out);
/* ERR_UNSUPPORTED: what the statement names is none. */
enum err change_not_temp(const struct statement *statement, struct errinfo *info);

/* What a query gives, by binding it: nothing is read. */
MUST_USE enum err change_query_columns(struct query *query, struct slice text,
                                       struct engine_column **ret_columns, size_t *ret_count,
                                       struct errinfo *info);
/* Runs the statement's query, as the person and audited, into a new file; NULL if it had no rows.
 * What breaks a rule of the table is 23502, 23514 or 23505, and there is no file. */
MUST_USE enum err change_fill(struct query *query, const struct temp_table *table,
                              const struct change_source *source, struct temp_file **ret_file,
                              struct errinfo *info);
/* The same of a query that runs already, and reads nothing but rows of its own. */
MUST_USE enum err change_fill_again(struct query *query, const struct temp_table *table,
                                    const struct change_source *source, struct temp_file **ret_file,
                                    struct errinfo *info);
/* The columns of the table that are named (NULL: the first `given` ones) get those of the query, in
 * their order. */
MUST_USE enum err change_targets(struct query *query, const struct temp_table *table,
                                 const struct slice *names, size_t name_count, size_t given,
                                 size_t **ret_from, struct errinfo *info);
/* What the session's temporary tables are now, they are again if the statement fails. Once. */
void change_begin(struct query *query);
/* Adds what was filled to the table of the session. */
MUST_USE enum err change_add(struct query *query, const struct temp_table *table,
                             struct temp_file *file, struct errinfo *info);
/* Tells rows as the tag, and that none were given out. */
MUST_USE enum err change_tag(struct query *query, const char *format, uint64_t rows,
                             struct errinfo *info);
/* That the rules name columns of the table, and expressions that have a sense there, read nothing
 * and give one value. */
MUST_USE enum err change_check_rules(struct query *query, const struct temp_table *table,
                                     struct errinfo *info);

/* Writes what DEFAULT as the `index`th value of a row stands for; false: it is no column's. */
typedef bool (*change_default_fn)(void *context, size_t index, struct buf *out);

/* VALUES (DEFAULT, ...): the words become what they stand for. ERR_LIMIT (54000): more than
 * `bytes_max`. */
MUST_USE enum err change_expand_defaults(struct slice text, change_default_fn write, void *context,
                                         size_t bytes_max, struct arena *arena,
                                         struct slice *ret_text, struct errinfo *info);

/* The statement with values in the place of $1 and so on: as unknown literals, which take the type
 * that they meet. ERR_INVALID (08P01): another number of them. ERR_LIMIT (54000): it would be
 * longer than `bytes_max`; a value counts wherever it goes. */
MUST_USE enum err change_bind(struct slice statement, const struct query_parameter *parameters,
                              size_t count, size_t bytes_max, struct arena *arena,
                              struct slice *ret_statement, struct errinfo *info);
