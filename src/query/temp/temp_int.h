/* Temporary tables: rows of one connection, in files that have no name.
 *
 * What a table holds is in files made with O_TMPFILE: no path leads to them, so no other statement,
 * session or program can name them, and they are gone when the last descriptor is, also after a
 * crash. A table and a set of tables never change once made, so that a savepoint is a reference. */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "sql/statement.h"

struct session;

#define TEMP_SCHEMA "pg_temp"
#define TEMP_TABLES_MAX 1000
#define TEMP_FILES_MAX 1000 /* of one table: one a statement that filled it */
#define TEMP_SHAPES_BYTES_MAX ((uint64_t)32 << 20)

/* ---- what they take ---- */

/* Of all that one session has made and anything still holds: also what a savepoint may go back to,
 * what a cursor reads, and what a statement is about to put in another's place. */
struct temp_quota {
    atomic_int references;
    _Atomic uint64_t disk_bytes;  /* files */
    _Atomic uint64_t shape_bytes; /* memory: columns, rules */
};

struct temp_quota *temp_quota_new(void); /* NULL: no memory */
struct temp_quota *temp_quota_ref(struct temp_quota *quota);
void temp_quota_unref(struct temp_quota *quota); /* takes NULL */

/* ---- files ---- */

struct temp_file {
    atomic_int references;
    int fd;
    uint64_t size_bytes;
    uint64_t row_count;       /* once it is written */
    struct temp_quota *quota; /* held */
};

/* In `folder`; ERR_IO. */
MUST_USE enum err temp_file_new(const char *folder, struct temp_quota *quota,
                                struct temp_file **ret_file, struct errinfo *info);
struct temp_file *temp_file_ref(struct temp_file *file);
void temp_file_unref(struct temp_file *file); /* takes NULL */
DEFINE_CLEANUP(struct temp_file, temp_file_cleanup, temp_file_unref)
MUST_USE enum err temp_file_append(struct temp_file *file, const void *bytes, size_t len,
                                   struct errinfo *info);
MUST_USE enum err temp_file_read(const struct temp_file *file, uint64_t offset, void *ret_bytes,
                                 size_t len, struct errinfo *info);

/* ---- tables ---- */

struct temp_table {
    atomic_int references;
    struct arena *arena;
    struct slice name;
    struct slice uuid;
    const struct relation_column *columns;
    size_t column_count;
    struct temp_rule *rules;
    size_t rule_count;
    bool is_dropped_on_commit;
    struct temp_file **files;
    size_t file_count;
    struct temp_quota *quota; /* held */
    uint64_t shape_bytes;     /* counted there */
};

/* A table of the name, columns and rules of `like` (copied), with its files if they are `kept`, and
 * then `more` (NULL: none). ERR_LIMIT (53400): the shapes of all tables would be too large. */
MUST_USE enum err temp_table_new(const struct temp_table *like, bool is_kept,
                                 struct temp_file *more, struct temp_table **ret_table,
                                 struct errinfo *info);
struct temp_table *temp_table_ref(struct temp_table *table);
void temp_table_unref(struct temp_table *table); /* takes NULL */
uint64_t temp_table_rows(const struct temp_table *table);
DEFINE_CLEANUP(struct temp_table, temp_table_cleanup, temp_table_unref)
/* As a relation whose objects are the files; holds nothing: `table` must live as long. */
MUST_USE enum err temp_table_relation(const struct temp_table *table, struct arena *arena,
                                      struct relation *ret_relation, struct errinfo *info);

/* How values of a type are kept in a file: as they are, or as texts that are cast back. False: not
 * at all. */
bool temp_keeps_type(struct slice type, bool *ret_as_text);

/* ---- sets ---- */

struct temp_set {
    atomic_int references;
    struct temp_table **tables;
    size_t count;
};

struct temp_set *temp_set_ref(struct temp_set *set); /* takes NULL */
void temp_set_unref(struct temp_set *set);           /* takes NULL */
/* `set` (NULL: empty) with `table` in the place of what is called `name`, or NULL without it. */
MUST_USE enum err temp_set_with(const struct temp_set *set, struct slice name,
                                struct temp_table *table, struct temp_set **ret_set,
                                struct errinfo *info);
/* A reference to what a commit leaves of the set: all but tables ON COMMIT DROP. Where memory ends
 * those stay. Takes and gives NULL. */
struct temp_set *temp_set_at_commit(struct temp_set *set);

/* ---- of a session (workspace.c) ---- */

/* The table that a name as written means; NULL: none, it is of another place. */
struct temp_table *session_temp(const struct session *session, const struct sql_name *written);
MUST_USE enum err session_set_temp(struct session *session, struct slice name,
                                   struct temp_table *table, struct errinfo *info);
struct temp_quota *session_temp_quota(const struct session *session);
/* All tables as they were, after a statement that has changed some and failed. */
void session_restore_temps(struct session *session, struct temp_set *set);
/* All tables, held for as long as a plan reads them. */
struct temp_set *session_temp_set(const struct session *session);
/* ERR_UNSUPPORTED: the statement does not work on the temporary table that the name means. */
MUST_USE enum err session_refuse_temp(const struct session *session, const struct sql_name *written,
                                      const char *what, struct errinfo *info);
