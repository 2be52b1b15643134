/* The syntax tree of what the engine runs: the engine's own JSON form (json_serialize_sql of a
 * SELECT), checked node by node, resolved and rewritten.
 *
 * Fail closed: a node class, type or member that this file does not know refuses the statement
 * (0A000, naming it). Every BASE_TABLE, TABLE_FUNCTION and COLUMN_DATA-like reference is either a
 * CTE in scope, or reported to the caller, who must replace it; sql_ast_finish checks that none
 * is left. So whatever reaches the engine names nothing but what Moat put there. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "sql/relation.h"

struct identity;

struct sql_limits {
    size_t statement_bytes_max; /* before parsing */
    uint32_t nodes_max;
    uint32_t depth_max;
    uint32_t list_max; /* longest list: IN (...), VALUES rows, arguments, UNION arms */
    /* What current_schema says; empty: main. The one thing here that is not a limit. */
    struct slice default_schema;
    const struct sql_session *session; /* NULL: no catalog functions */
};

/* What PostgreSQL's catalog functions need of who plans. */
struct sql_session {
    struct slice catalog; /* what current_database says */
    /* The engine's JSON of a query, in `arena`. */
    enum err (*parse)(void *context, struct slice text, struct arena *arena, struct slice *ret_json,
                      struct errinfo *info);
    /* The number of what `kind` ("regclass", "regtype" ...) calls `text`. ERR_NOT_FOUND also where
     * the person may not know of it. */
    enum err (*number)(void *context, const char *kind, struct slice text, uint32_t *ret_oid,
                       struct errinfo *info);
    void *context;
};

extern const struct sql_limits sql_limits_default; /* 1 MiB, 100,000 nodes, 400 deep, 20,000 */

/* How an expression behaves over rows that policy hides. */
enum leak_class {
    LEAK_NONE,    /* cannot throw, print or branch on data visibly */
    LEAK_GUARDED, /* may throw, and the engine declares so: it then keeps the expression above
                     the policy's filter and out of whole-dictionary evaluation */
    LEAK_UNSAFE,  /* may throw or show values in a way the engine does not guard: needs a
    barrier */
};

/* A table reference to be replaced. */
struct sql_reference {
    struct sql_name name; /* as written */
    size_t position;      /* 1-based in the statement, 0 if unknown */
    struct json *node;    /* the BASE_TABLE or TABLE_FUNCTION node */
    bool is_function;     /* read_parquet('...') and its like: `name.name` is the function */
    bool has_version, has_timestamp; /* AT (...) given: the caller refuses or honours */
    const struct json *at;           /* its expression */
    struct slice path; /* first constant VARCHAR argument of such a function, if any */
    const struct relation_option *options; /* further named constant arguments, as literals */
    size_t option_count;
    /* Conjuncts of the enclosing WHERE that only compare one column of this table with a constant:
     * candidates for a copy below a barrier. */
    struct sql_conjunct *conjuncts;
    size_t conjunct_count;
};

struct sql_conjunct {
    struct slice column; /* as written */
    struct json *node;   /* the comparison node; copied, never moved */
    struct json *column_node;
    enum {
        CONSTANT_NUMBER,
        CONSTANT_STRING,
        CONSTANT_BOOL,
        CONSTANT_DATE
    } constant;
};

struct sql_ast {
    struct arena *arena;
    struct json *root;                /* the whole json_serialize_sql document */
    struct json *select;              /* the query node of the one statement */
    struct sql_reference *references; /* grows while views are grafted */
    size_t reference_count;
    enum leak_class leak;       /* worst of all expressions of the user's text */
    struct slice leak_function; /* what made it so */
    uint32_t parameter_count;   /* highest $n or number of ? */
    uint32_t node_count;
    bool is_ordered; /* top level has ORDER BY */
};

/* How far the engine is trusted with the text being analysed. */
enum sql_origin {
    SQL_FROM_USER,   /* full checks */
    SQL_FROM_VIEW,   /* a stored view: same checks, positions not reported */
    SQL_FROM_POLICY, /* a stored policy expression: `__moat_` names and mask functions allowed */
};

/* Refuses text that the engine's own parser would take too long over, before it sees it: its time
 * grows with the square of the operands of one AND, OR or set operation (30 s for 100,000).
 * ERR_LIMIT (54000) with position. */
MUST_USE enum err sql_ast_check_text(struct slice text, const struct sql_limits *limits,
                                     struct errinfo *info);

/* Reads the engine's JSON for exactly one SELECT-shaped statement and checks it: known nodes only,
 * caps, allowed functions (sql/functions.h), no POINTER constants, no `__moat_` names from users.
 * Folds current_user, session_user, user, current_role, current_catalog, current_schema,
 * has_role('x'), claim('x'), current_roles() to constants of `who` (claim of an attribute the
 * person lacks is NULL).
 * Rewrites growth functions to their capped form. `statement` is the user's text (for messages).
 * Errors: 42601 (the engine's parse error, with position), 0A000, 42883 unknown function with
 * "did you mean", 42501 refused function, 54000/54001 caps. */
MUST_USE enum err sql_ast_open(struct slice ast_json, struct slice statement,
                               enum sql_origin origin, const struct sql_limits *limits,
                               const struct identity *who, struct arena *arena,
                               struct sql_ast **ret_ast, struct errinfo *info);

/* Puts `query_json` (a query node: the `node` member of a parsed SELECT) in the place of reference
 * `index`, keeping its alias (or the table's own name) and column aliases, and fixing column
 * references that name the table with schema or catalog. The grafted tree must have been checked
 * by its own sql_ast_open. */
MUST_USE enum err sql_ast_graft(struct sql_ast *ast, size_t index, const struct json *query_node,
                                struct errinfo *info);

/* Takes columns that a relation has beyond its own out of every star of the SELECT it stands in.
 * `ret_is_done` false, and nothing changed, where that cannot be said: a star over several
 * relations, a NATURAL join that would compare them. Before sql_ast_graft. */
MUST_USE enum err sql_ast_hide_from_stars(struct sql_ast *ast, size_t index,
                                          const struct slice *names, size_t name_count,
                                          bool *ret_is_done, struct errinfo *info);

/* Adds `conjunct` with its column renamed to `column` to the WHERE of `query_node`. */
MUST_USE enum err sql_ast_push_conjunct(struct sql_ast *ast, struct json *query_node,
                                        const struct sql_conjunct *conjunct, struct slice column,
                                        struct errinfo *info);

/* Makes every sample of whole vectors one of rows: which vectors a person's rows lie in, and so how
 * many hidden ones lie between, would show in the size of the sample. */
void sql_ast_sample_rows(struct sql_ast *ast);

/* A column that the statement can name, with the engine's name of its type. */
struct sql_typed_name {
    struct slice name;
    struct slice type;
};

/* Does the statement bring unlike types together where the engine casts one of them without saying
 * that the cast can throw (a DATE compared with a TIMESTAMP, a time with a number)? `columns` are
 * those of all its references; call before grafting. Scratch memory from `arena`. */
MUST_USE enum err sql_ast_mixes_types(const struct sql_ast *ast,
                                      const struct sql_typed_name *columns, size_t column_count,
                                      struct arena *arena, bool *ret_mixes, struct errinfo *info);

/* True only if no reference is left in the tree (walks it again, trusting nothing recorded),
 * except CTEs in scope and the functions listed as injected by Moat (read_parquet, read_csv,
 * read_json over moat:// constants). ERR_INTERNAL otherwise. */
MUST_USE enum err sql_ast_finish(const struct sql_ast *ast, struct errinfo *info);

/* Do the rows of the statement follow from its text alone: no table, parameter, function, clock,
 * setting? Only SELECTs of constants, operators and plain casts are known to be so. */
bool sql_ast_is_constant(const struct sql_ast *ast);

/* 1-based position in the statement of the first column or function reference called `name`
 * (folding case), 0 if none: where to put the caret for an error that the engine reports by
 * name. Works on the tree as parsed; call before or after grafting. */
size_t sql_ast_locate(const struct sql_ast *ast, struct slice name);

/* ---- expressions of policies ---- */

/* Who writes a policy: the tables of its subqueries are read with this person's rights. */
struct sql_definer {
    struct slice subject;
    /* A table or view of a subquery with the columns that the definer may see; its result must
     * live as long as the arena of sql_expression_bind. */
    enum err (*load)(void *context, const struct sql_name *written,
                     const struct relation **ret_relation, struct errinfo *info);
    void *context;
};

/* Catalog of the tables of subqueries in stored form: `__moat_definer.<subject>.<uuid>`. */
#define SQL_DEFINER "__moat_definer"

/* Checks the new expression whose JSON is the sole select item of `ast_json` (SELECT <expr>):
 * scalar only (no aggregates, windows, stars, parameters), functions allowed. Renames each column
 * reference found in `relation` to `__moat_c<id>`; an unknown column is 42703 with position
 * relative to the expression. Subqueries (refused with 0A000 if `definer` is NULL) are one SELECT
 * over tables and joins ON; their tables and columns are stored by identity, see ast_bind.c. On
 * return `ret_document` is the changed whole SELECT document, to be deparsed; `ret_column_ids` the
 * own columns used (arena). Context functions are left in place. */
MUST_USE enum err sql_expression_bind(struct slice ast_json, struct slice expression,
                                      const struct relation *relation,
                                      const struct sql_definer *definer,
                                      const struct sql_limits *limits, struct arena *arena,
                                      struct json **ret_document, uint32_t **ret_column_ids,
                                      size_t *ret_column_count, struct errinfo *info);

/* In a mask, every call of the engine's sha256 becomes the warehouse's keyed one, however it is
 * written and wherever it stands. For the document that sql_expression_bind gave. */
MUST_USE enum err sql_expression_key_hashes(struct json *document, struct arena *arena,
                                            struct errinfo *info);

/* The subqueries' tables by uuid; NULL for one that is gone or not to be named. */
struct sql_namer {
    const struct relation *(*find)(void *context, struct slice uuid);
    void *context;
};

/* Does a stored or folded expression read other tables? */
bool sql_expression_reads_tables(struct slice stored);
/* Takes a column's name `__moat_d<uuid>_<id>` apart; false if it is none. */
bool sql_expression_column(struct slice name, struct slice *ret_uuid, uint64_t *ret_id);

/* With an empty relation of the right shape in the place of each table of a subquery: to ask the
 * engine for types. ERR_NOT_FOUND (42P01) if `namer` does not know one. */
MUST_USE enum err sql_expression_shape(struct slice stored, const struct sql_namer *namer,
                                       struct arena *arena, struct slice *ret_text,
                                       struct errinfo *info);

/* The text of the expression from a deparsed "SELECT <expr>". */
struct slice sql_expression_of_select(struct slice select_sql);

/* Stored form to what people read: `__moat_c<id>` becomes the column's present name, quoted where
 * needed ("?" for a dropped column), tables of subqueries and their columns likewise (`namer` NULL:
 * "?"). */
MUST_USE enum err sql_expression_display(struct slice stored, const struct relation *relation,
                                         const struct sql_namer *namer, struct arena *arena,
                                         struct slice *ret_text, struct errinfo *info);

/* Stored form to text with context functions of `who` folded to literals. `ret_is_dangling` true
 * if it names a column that `relation` no longer has: the caller refuses the table. */
MUST_USE enum err sql_expression_fold(struct slice stored, const struct relation *relation,
                                      const struct identity *who, struct arena *arena,
                                      struct slice *ret_text, bool *ret_is_dangling,
                                      struct errinfo *info);
