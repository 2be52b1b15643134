/* The functions a statement may call: an allow list, complete over the engine's own list.
 *
 * The list is `functions.def` (one line an entry: name, class, leak class, growth argument, why
 * when refused). A name it does not have is refused; a test compares it with every function of the
 * engine, so an upgrade cannot add a hole in silence, and compares `guarded` with the engine's own
 * error flags. */
#pragma once

#include "base/base.h"
#include "sql/ast.h"

enum function_class {
    FUNCTION_SCALAR,
    FUNCTION_AGGREGATE,
    FUNCTION_WINDOW,
    FUNCTION_TABLE,   /* unnest, range, generate_series: rows from arguments only */
    FUNCTION_CONTEXT, /* folded by Moat: current_user, claim, has_role ... */
    FUNCTION_MACRO,   /* rewritten by Moat: what PostgreSQL has for its catalogs (macros.def) */
    FUNCTION_READER,  /* read_parquet, read_csv, read_json: the owner's paths, embedded only */
    FUNCTION_MASK,    /* Moat's own, only in policy expressions: redact, sha256 mask, ... */
    FUNCTION_REFUSED,
};

struct sql_function {
    const char *name; /* lower case */
    enum function_class class;
    enum leak_class leak;
    int growth_argument;   /* 1-based argument that multiplies the result's size; 0 = none */
    bool makes_text;       /* what grows is text (cap in bytes), not a list */
    int constant_argument; /* `leak` holds if this 1-based argument is a constant text; else it is
                              LEAK_UNSAFE. 0 = none */
    const char *reason;    /* why refused, or NULL */
};

/* NULL if the list has no such name. Folds case. */
const struct sql_function *sql_function_find(struct slice name);
const struct sql_function *sql_function_at(size_t index); /* sorted; NULL past the end */

/* Nearest allowed name for "did you mean", or NULL. */
const char *sql_function_suggest(struct slice name);
