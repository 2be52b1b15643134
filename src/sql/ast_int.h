/* What the files of the syntax tree share. */
#pragma once

#include "identity/identity.h"
#include "sql/ast.h"
#include "sql/ast_shape.h"
#include "sql/functions.h"

/* Scalar forms that make a list or text of a given size may make at most this much: larger results
 * come from tables, which stream. */
#define AST_CAP_LIST 10000000
#define AST_CAP_TEXT 16777216
#define AST_CAP_REPEAT 65536 /* repetitions of a text of unknown length */

/* Decimal digits behind the point that a constant may have without a barrier. The engine compares
 * a DECIMAL(15,2) column with a constant of 37 digits by casting the *column* to DECIMAL(38,37),
 * which throws for values from 10 on and which BoundCastExpression::CanThrow (same type id) does
 * not report: a threshold oracle for hidden rows. */
#define AST_SCALE_SAFE 10

struct ast_cte {
    struct slice name;
    bool is_recurring; /* `recurring.name` of a recursive CTE with USING KEY */
    const struct ast_cte *outer;
};

/* One SELECT while its parts are looked at. `relations` are those of its own FROM. */
struct ast_select {
    struct json *node;
    size_t reference_first; /* index of the first reference below this SELECT */
    const struct ast_select *outer;
};

/* Where a reference stands; parallel to sql_ast.references. */
struct ast_place {
    struct json *select; /* SELECT whose FROM holds it; NULL below SHOW */
    bool keeps_rows;     /* no ASOF, POSITIONAL, sample or pivot between it and the WHERE */
};

/* A column reference that is `user` and its like unless a relation in scope has such a column. */
struct ast_pending {
    struct json *node;
    const struct ast_select *select;
    bool is_item; /* stands in a select list: keeps its name */
};

/* Most mentions of arguments in one macro. */
#define AST_MACRO_NODES_MAX 16

struct ast_macro;

struct ast_whole {
    struct sql_ast ast;    /* first: the contract's pointer is this one */
    uint32_t copied_nodes; /* arguments of macros */
    struct sql_limits limits;
    struct slice statement;
    const struct identity *who;
    enum sql_origin origin;
    struct ast_place *places;
    size_t reference_capacity;
    size_t open_references; /* not yet grafted */
    struct ast_pending *pending;
    size_t pending_count, pending_capacity;
};

struct ast_check {
    struct ast_whole *whole;
    struct slice statement;
    size_t prefix; /* bytes that Moat put before the statement: "SELECT " of an expression */
    struct errinfo *info;
    const struct ast_cte *ctes;
    const struct ast_select *select;
    const struct ast_lambda *lambdas;
    const struct ast_macro *macro; /* the text is one of macros.def, not the person's */
    uint32_t depth;
    bool keeps_rows; /* of the FROM item being walked */
    bool is_item;    /* the next expression is an item of a select list */
    bool is_verify;  /* sql_ast_finish: look at everything, change nothing */
    /* sql_expression_bind: columns are bound, context functions stay, nothing but scalars. */
    struct ast_binding *binding;
};

struct ast_lambda {
    const struct json *parameters; /* the lhs of the lambda */
    const struct ast_lambda *outer;
};

/* A table in the FROM of a policy's subquery, as the definer sees it. */
struct ast_bound_table {
    struct slice alias;
    const struct relation *relation;
    struct json *node;
    const struct ast_bound_table *next;
};

struct ast_bound_scope {
    const struct ast_bound_table *tables;
    const struct ast_bound_scope *outer;
    bool is_exists; /* below EXISTS: what it selects does not matter */
};

struct ast_binding {
    const struct relation *relation;
    uint32_t *ids;
    size_t count;
    size_t capacity;
    const struct sql_definer *definer;   /* NULL: no subqueries */
    const struct ast_bound_scope *scope; /* innermost subquery, or NULL */
    uint32_t from_count;
    bool is_inside; /* of a subquery */
    bool is_exists; /* of the subquery that comes next */
};

/* ---- ast_check.c ---- */

MUST_USE enum err ast__expression(struct ast_check *c, struct json *node);
MUST_USE enum err ast__relation(struct ast_check *c, struct json *node);
MUST_USE enum err ast__query(struct ast_check *c, struct json *node);
MUST_USE enum err ast__members(struct ast_check *c, const struct shape *shape, struct json *node);
struct ast_whole *ast__whole_new(struct arena *arena, const struct sql_limits *limits,
                                 struct slice statement, const struct identity *who,
                                 enum sql_origin origin);
MUST_USE enum err ast__document(struct ast_whole *whole, struct slice ast_json,
                                struct errinfo *info);
MUST_USE enum err ast__order(const struct shape *shape, const struct json *node,
                             struct errinfo *info);
/* Refuses a name of Moat's own in a user's text. */
MUST_USE enum err ast__name(const struct ast_check *c, struct slice name);
void ast__worsen(struct ast_check *c, enum leak_class leak, struct slice what);
/* Position of a node for the user, 0 if unknown or not theirs to see. */
size_t ast__position(const struct ast_check *c, const struct json *node);
/* The same for views too: where in the text that is looked at. */
size_t ast__text_position(const struct ast_check *c, const struct json *node);
bool ast__is(const struct json *node, const char *key, const char *text);
bool ast__is_own_name(struct slice name);

/* ---- ast_types.c ---- */
MUST_USE enum err ast__type(struct ast_check *c, const struct json *node);
MUST_USE enum err ast__value(struct ast_check *c, const struct json *node);
enum leak_class ast__cast_leak(const struct json *cast);
enum leak_class ast__constant_leak(const struct json *constant);
bool ast__is_constant(const struct json *expression);

/* ---- ast_cast.c ---- */
#define AST_CHARACTERS_MAX 10485760 /* PostgreSQL's, of varchar(n) */
/* Numbers without digits and texts of a length, which the engine's tree does not know, as they
 * were meant. Last of all that is done with the cast. */
MUST_USE enum err ast__cast_as_written(struct ast_check *c, struct json *cast, bool is_item);

/* ---- ast_call.c ---- */
MUST_USE enum err ast__function(struct ast_check *c, struct json *node);
MUST_USE enum err ast__window(struct ast_check *c, struct json *node);
MUST_USE enum err ast__call_find(struct ast_check *c, const struct json *node, bool is_relation,
                                 const struct sql_function **ret_function);
MUST_USE enum err ast__cap(struct ast_check *c, struct json *node,
                           const struct sql_function *function);

/* ---- ast_macro.c ---- */

/* Replaces a call of class FUNCTION_MACRO. */
MUST_USE enum err ast__macro_call(struct ast_check *c, struct json *node);
/* Casts to regclass and its like, and of PostgreSQL's form of lists. `ret_is_done`: replaced, and
 * looked at. */
MUST_USE enum err ast__macro_cast(struct ast_check *c, struct json *node, bool *ret_is_done);
/* A function of macros.def in FROM. */
MUST_USE enum err ast__macro_rows(struct ast_check *c, struct json *node, bool *ret_is_done);
MUST_USE enum err ast__macro_list(struct ast_check *c, struct json *call);
MUST_USE enum err ast__macro_system_column(struct ast_check *c, struct json *node,
                                           bool *ret_is_done);
/* `generate_series(timestamp, '2020-01-31', '1 day')`: words are of the type that is wanted. */
MUST_USE enum err ast__series_words(struct ast_check *c, struct json *call);
/* generate_series in the select list as rows; before its members are looked at. */
MUST_USE enum err ast__series(struct ast_check *c, struct json *select);
/* GROUP BY a name that is a result's and a table's: as in SQL, the result's. */
MUST_USE enum err ast__macro_groups(struct ast_check *c, const struct json *select);
void ast__macro_operator(const struct ast_check *c, struct json *node);
/* Is `node` an argument? Then it is text of the outer level, which c->macro is now. */
bool ast__macro_leave(struct ast_check *c, const struct json *node);

/* ---- ast_scope.c ---- */
MUST_USE enum err ast__base_table(struct ast_check *c, struct json *node);
MUST_USE enum err ast__table_function(struct ast_check *c, struct json *node);
bool ast__is_cte(const struct ast_cte *ctes, const struct json *table);
MUST_USE enum err ast__ctes(struct ast_check *c, struct json *cte_map,
                            const struct ast_cte **ret_scope);
MUST_USE enum err ast__recursive(struct ast_check *c, struct json *node);

/* ---- ast_fold.c ---- */
MUST_USE enum err ast__column(struct ast_check *c, struct json *node);
MUST_USE enum err ast__fold_call(struct ast_check *c, struct json *node);
/* Decides the pending references once every relation is known. */
MUST_USE enum err ast__fold_pending(struct ast_whole *whole, struct errinfo *info);
struct json *ast__new_text(struct arena *arena, struct slice text);

/* ---- ast_bind.c: sql_expression_bind ---- */
MUST_USE enum err ast__bind_column(struct ast_check *c, struct json *node,
                                   const struct json *names);
/* Is there a column called so, of the subqueries' tables or of the policy's own? */
bool ast__bind_knows(const struct ast_binding *binding, struct slice name);
MUST_USE enum err ast__bind_subquery(struct ast_check *c, const struct shape *shape,
                                     struct json *node);
/* Around the parts of a query: loads its FROM, later names its tables by identity. */
MUST_USE enum err ast__bind_enter(struct ast_check *c, const struct shape *shape,
                                  struct json *node);
MUST_USE enum err ast__bind_leave(struct ast_check *c);
bool ast__bind_takes_star(const struct ast_binding *binding, const struct json *star);

/* ---- ast_conjunct.c ---- */
MUST_USE enum err ast__conjuncts(struct ast_check *c, const struct ast_select *select);
