/* What change_rules.c gives to run_change.c. */
#pragma once

#include "query/temp/change_int.h"

#define CHANGE_ORDER_NAME "moat order" /* columns of ours: no table has them */
#define CHANGE_HIT_NAME "moat hit"
#define CHANGE_ORDER "\"" CHANGE_ORDER_NAME "\""
#define CHANGE_HIT "\"" CHANGE_HIT_NAME "\"" /* the row is one that the statement is about */

enum change_scope {
    CHANGE_NEW,    /* rows beside those that the table has: all rules */
    CHANGE_MARKED, /* all rows of the table: of those with a mark what a row must be, and keys */
};

struct change_check {
    const struct temp_rule *rule;
    struct slice column; /* that must not be NULL; empty: the rule itself */
};

struct change_checks {
    enum change_scope scope;
    struct change_check *items;
    size_t count, capacity;
    bool is_ordered; /* the rows have a number behind the columns: finding equal keys mixes them */
    char marker[UUID_TEXT_BYTES]; /* how the engine's words about a broken one begin */
};

/* NULL: there is none. */
const struct relation_column *change_column(const struct temp_table *table, struct slice name);
const struct temp_rule *change_rule(const struct temp_table *table, enum temp_rule_kind kind,
                                    struct slice column);

MUST_USE enum err change_checks_of(const struct temp_table *table, enum change_scope scope,
                                   struct arena *arena, struct change_checks *ret_checks,
                                   struct errinfo *info);
/* ", broken" for each, over rows that have the table's name. */
void change_write_checks(const struct temp_table *table, const struct change_checks *checks,
                         struct buf *out);
/* The columns of `rows`, SQL for the engine with the checks behind them; or an error. */
void change_write_guard(const struct temp_table *table, const struct change_checks *checks,
                        struct slice rows, struct buf *out);
/* The engine's error, or which rule was broken. */
enum err change_explain(const struct temp_table *table, const struct change_checks *checks,
                        enum err err, struct errinfo *info);
