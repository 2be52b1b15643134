/* Files of SQL with their right answers: sqllogictest's form, with people and positions.
 *
 *     # a comment
 *     file NAME             the lines up to `endfile` become ${dir}/NAME
 *     owner | user NAME     the next statements run in a new session of that person
 *     reconnect | reopen    a new session; a new process's view: the warehouse opened again
 *     config KEY=VALUE      the warehouse opened again with this setting
 *     parameter TEXT        a value of the next statement's $1, $2 ... (`parameter` alone: NULL)
 *
 *     statement ok
 *     [tag TAG] [notice TEXT]
 *     SQL up to an empty line
 *
 *     statement error SQLSTATE [part of the message, or /regular expression/]
 *     [position N] [hint TEXT] [detail TEXT] [never TEXT]      each on a line of its own
 *     SQL
 *
 *     query TYPES [nosort|rowsort|valuesort]
 *     [columns a, b] [never TEXT]
 *     SQL
 *     ----
 *     one row a line, cells separated by " | "; valuesort: one cell a line
 *
 * TYPES has a letter a column: I integers, R other numbers, B booleans, T texts, D dates and times,
 * ? anything. NULL is NULL, the empty text is (empty), a newline is \n. In SQL and in answers
 * `${dir}` is the folder of the files, `${owner}` the warehouse's owner and `${iceberg}` the sample
 * of Iceberg tables (tests/data/iceberg, laid out by CTest). `never` is a text that must not occur
 * in answer or error. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct lines {
    struct slice *items;
    size_t count;
    size_t capacity;
};

enum step_kind {
    STEP_END,
    STEP_FILE,
    STEP_OWNER,
    STEP_USER,
    STEP_RECONNECT,
    STEP_REOPEN,
    STEP_CONFIG,
    STEP_PARAMETER,
    STEP_OK,
    STEP_ERROR,
    STEP_ROWS,
};

enum row_order {
    ROWS_AS_GIVEN,
    ROWS_SORTED,
    VALUES_SORTED
};

struct step {
    enum step_kind kind;
    unsigned line;
    struct slice argument; /* NAME, KEY=VALUE, TEXT */
    struct slice body;     /* of `file` */
    struct slice sql;
    struct slice sqlstate;
    struct slice message, hint, detail, never, tag, notice, columns; /* ptr NULL: not asked */
    uint64_t position;
    bool has_position;
    struct slice types;
    enum row_order order;
    struct lines rows;
};

struct script {
    struct slice rest;
    unsigned line; /* of the next line, from 1 */
    struct arena *arena;
};

/* The next step; STEP_END at the end. ERR_SYNTAX names the line. */
MUST_USE enum err script_next(struct script *script, struct step *ret_step, struct errinfo *info);

void lines_add(struct lines *lines, struct arena *arena, struct slice text);
void lines_sort(struct lines *lines);
