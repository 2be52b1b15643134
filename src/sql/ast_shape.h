/* The shape of every node that the engine's syntax tree may hold: members in the order in which the
 * engine writes them, each with what may stand there.
 *
 * Why a strict order: one comparison per member then proves that nothing is unknown, missing or
 * doubled, so that no later lookup by name can be led to another member than the engine reads. */
#pragma once

#include "base/base.h"

enum member_kind {
    MEMBER_STRING,     /* any text */
    MEMBER_NAME,       /* an identifier: no name of Moat's own from users */
    MEMBER_BOOL,
    MEMBER_FALSE,      /* must be false */
    MEMBER_INTEGER,
    MEMBER_EMPTY_TEXT, /* must be "" */
    MEMBER_EMPTY_LIST, /* must be [] */
    MEMBER_WORD,       /* one of `words` */
    MEMBER_NAMES,      /* array of identifiers */
    MEMBER_EXPRESSION,
    MEMBER_EXPRESSION_OR_NULL,
    MEMBER_EXPRESSIONS,
    MEMBER_ROWS,      /* array of arrays of expressions */
    MEMBER_NUMBERS,   /* array of arrays of integers: grouping sets */
    MEMBER_QUERY,     /* a query node */
    MEMBER_STATEMENT, /* {"node": query, "named_param_map": []} */
    MEMBER_RELATION,  /* FROM item */
    MEMBER_RELATION_OR_NULL,
    MEMBER_TYPE,
    MEMBER_TYPES,
    MEMBER_VALUE,
    MEMBER_VALUES,
    MEMBER_OBJECT,  /* of `shape` */
    MEMBER_OBJECT_OR_NULL,
    MEMBER_OBJECTS, /* array of objects of `shape` */
    MEMBER_MODIFIERS,
    MEMBER_ORDER,   /* an ORDER_MODIFIER object */
};

struct shape;

struct member {
    const char *name;
    enum member_kind kind;
    const char *const *words; /* MEMBER_WORD: NULL-terminated */
    const struct shape *shape;
};

/* What the walker does beyond the members. */
enum shape_id {
    SHAPE_PLAIN,
    SHAPE_CAST,
    SHAPE_COLLATE,
    SHAPE_COLUMN,
    SHAPE_COMPARISON,
    SHAPE_CONSTANT,
    SHAPE_FUNCTION,
    SHAPE_LAMBDA,
    SHAPE_OPERATOR,
    SHAPE_PARAMETER,
    SHAPE_STAR,
    SHAPE_SUBQUERY,
    SHAPE_WINDOW,
    SHAPE_BASE_TABLE,
    SHAPE_TABLE_FUNCTION,
    SHAPE_SHOW,
    SHAPE_SELECT,
    SHAPE_SET_OPERATION,
    SHAPE_RECURSIVE,
};

struct shape {
    enum shape_id id;
    const char *tag;          /* value of "class" or "type" */
    const char *const *types; /* of an expression: what "type" may be, NULL-terminated */
    const struct member *members;
    size_t member_count;
};

/* NULL for what this program does not know. */
const struct shape *shape_of_expression(struct slice class);
const struct shape *shape_of_relation(struct slice type);
const struct shape *shape_of_query(struct slice type);
const struct shape *shape_of_modifier(struct slice type);
const struct shape *shape_of_type_info(struct slice type);

extern const struct shape shape_type, shape_value, shape_cte_map, shape_statement;

/* True for the id of a type that a value or a cast may have. */
bool shape_is_type_id(struct slice id);
/* True for the name of a type of the engine's own catalog. */
bool shape_is_type_name(struct slice name);
