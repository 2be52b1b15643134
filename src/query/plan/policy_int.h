/* Policy expressions, for GRANT and for policy files, and the tables that they read. */
#pragma once

#include "query/query_int.h"

/* Tables that policies read in subqueries (policy_tables.c), in an arena. */
struct policy_table {
    struct relation relation;
    struct policy_table *next;
};

struct policy_tables {
    struct session *session;
    struct arena *arena;
    struct policy_table *first;
    struct sql_definer definer; /* loads as the session's person, and remembers */
    struct sql_namer namer;     /* knows what was loaded */
};

/* The struct points into itself: it must stay where it is. */
void policy_tables_init(struct policy_tables *tables, struct session *session, struct arena *arena);

/* policy_print_* with the names of subqueries' tables that the session's person may know. */
MUST_USE enum err print_grant(struct session *session, const struct grant *grant,
                              const struct relation *relation, struct arena *arena,
                              struct slice *ret_text, struct errinfo *info);
MUST_USE enum err print_expression(struct session *session, struct slice expression,
                                   const struct relation *relation, struct arena *arena,
                                   struct slice *ret_text, struct errinfo *info);

/* ERR_INVALID (0LP01) for rights to write what takes no rows. */
MUST_USE enum err grant_check_object(const struct relation *relation, unsigned privileges,
                                     struct errinfo *info);
/* Binds one filter (`column` NULL) or mask to its stored form in `arena`. `position` is where the
 * expression starts in the statement (1-based; 0 = unknown), added to error positions. */
MUST_USE enum err bind_expression(struct session *session, const struct relation *relation,
                                  const struct relation_column *column, struct slice expression,
                                  size_t position, struct arena *arena, struct slice *ret_stored,
                                  struct errinfo *info);
MUST_USE enum err bind_column(const struct relation *relation, struct slice name, size_t position,
                              const struct relation_column **ret_column, struct errinfo *info);
/* Position of a slice of the statement, 1-based; 0 if it is not one. */
size_t statement_position(struct slice statement, struct slice part);
/* Which kind a grantee is, when the statement did not say. */
MUST_USE enum err find_grantee(struct session *session, struct slice name, bool kind_given,
                               bool said_role, struct arena *arena, enum grantee_kind *ret_kind,
                               struct errinfo *info);
