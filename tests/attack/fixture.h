/* A warehouse with something to steal, and people who try.
 *
 * Table main.people (Parquet, 3,000 rows; also main.people_csv): id, name, dept, salary, ssn.
 * Eve is in dept 'sales' and has: SELECT (id, name, dept, ssn) ROWS WHERE dept = claim('dept')
 * MASKED WITH (ssn = redact(ssn, 2)). What she may never see, wherever it shows up, holds one of
 * the words of `secrets`: names of other departments' rows, raw ssns, every salary. */
#pragma once

#include "base/buf.h"
#include "base/test.h"
#include "query/query.h"

struct fixture {
    const char *folder;
    struct config *config;
    struct warehouse *warehouse;
    struct session *owner;
    struct session *eve;
    struct session *bob; /* dept 'board': the same grant, other rows */
    struct doors *doors; /* doors.h: eve and bob come in by one; NULL: they do not */
};

struct outcome {
    enum err err;
    char sqlstate[6];
    uint64_t rows;
    struct buf text; /* every cell, message, detail and hint that the person gets */
};

#define FIXTURE_ROWS 3000
#define FIXTURE_SALES 1000

void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* All but the folder and the configuration. */
void fixture_end(struct fixture *fixture);
/* Eve and bob leave, and come again as who has their names now. */
void fixture_leave(struct fixture *fixture);
void fixture_enter(struct fixture *fixture);

/* Runs one statement and gathers all that comes back. The caller ends it with outcome_fini. */
struct outcome fixture_run(struct session *session, struct slice sql);
void outcome_fini(struct outcome *outcome);
void outcome_add_names(struct outcome *outcome, const struct ArrowSchema *schema);
void outcome_add_batch(struct outcome *outcome, const struct ArrowSchema *schema,
                       const struct ArrowArray *batch);
/* With the error of `info`, or the notice if there is none. */
void outcome_end(struct outcome *outcome, const struct errinfo *info, const char *notice);

/* As above, must succeed. */
bool fixture_fails(struct session *session, struct slice sql);
void fixture_must(struct session *session, const char *sql);

/* Runs as eve and fails the test if anything that comes back holds a secret. `sqlstate` NULL: must
 * succeed; "*": may fail in any way; else must fail with it. `rows` -1: any number. */
void fixture_attack(struct fixture *fixture, const char *sql, const char *sqlstate, int64_t rows);

struct attack {
    const char *sql;
    const char *sqlstate;
    int64_t rows;
};
void fixture_attack_all(struct fixture *fixture, const struct attack *attacks, size_t count);

/* True if `text` holds what eve may not see. */
bool fixture_leaks(const char *text);
