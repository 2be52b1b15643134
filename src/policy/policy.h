/* What a person may see of one relation, and the one secured relation that shows just that.
 *
 * Meaning (docs/policy.md): no applicable grant, no relation. A row is visible if any grant shows
 * it and no DENY hides it; a cell is raw if any grant that shows this row gives the column raw,
 * else the first mask in grant order whose grant shows the row, else NULL. A column no grant gives
 * is absent. DENY of a column removes it, DENY of the table removes the table, DENY ... ROWS WHERE
 * removes rows (a condition that is NULL removes too), DENY of columns with ROWS WHERE makes those
 * cells NULL. The owner of the warehouse and the owner of the relation see everything raw, unless a
 * DENY says otherwise to the latter.
 * Rights to write (INSERT, UPDATE, DELETE) are those that some grant gives and no DENY takes; they
 * are worth nothing without a grant that shows the relation, and never widen what is seen.
 * A policy that cannot be applied (a mask or filter names a dropped column, a claim function is
 * malformed) refuses the relation: no rows, never a fallback to open. So does a mask for, or a DENY
 * of, a dropped column where a grant gives all columns: the same name could come back unmasked.
 * Everything is keyed by relation uuid and column id. Pure functions over their inputs;
 * thread-safe. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "identity/identity.h"
#include "sql/relation.h"
#include "system/system.h"

struct sql_namer; /* sql/ast.h */

struct policy_column {
    const struct relation_column *column;
    bool is_raw;             /* raw in every visible row */
    bool is_masked;          /* some visible row shows a mask or NULL instead */
    struct slice expression; /* over `__moat_c<id>` names, context folded; what the cell shows */
};

struct policy_effective {
    bool is_visible;
    bool is_refused; /* visible by name, but its policy cannot be applied: `refusal` */
    struct slice refusal;
    bool is_bound;                       /* a row filter or a mask applies: hidden values exist */
    struct slice filter;                 /* over `__moat_c<id>`, folded; empty = every row */
    const struct policy_column *columns; /* visible ones, in relation order */
    size_t column_count;
    const uint64_t *grant_ids; /* allow grants that apply, in grant order */
    size_t grant_count;
    unsigned writes;        /* rights to write, as bits of PRIVILEGE_WRITE */
    unsigned denied_writes; /* those that a DENY takes, from administrators too */
};

/* `grants` are all grants of the relation's uuid in grant order (system_grants). */
MUST_USE enum err policy_effective(const struct identity *who, const struct relation *relation,
                                   const struct grant *grants, size_t grant_count,
                                   struct arena *arena, struct policy_effective *ret_effective,
                                   struct errinfo *info);

/* What a policy of another store says of one relation and person, as expressions over
 * `__moat_c<id>` names that depend on nothing else. */
struct policy_foreign_mask {
    uint32_t column_id;
    struct slice expression;
};
struct policy_foreign {
    struct slice refusal; /* not empty: it cannot be applied */
    struct slice filter;  /* rows where it is TRUE; empty = every row */
    const struct policy_foreign_mask *masks;
    size_t mask_count;
};

/* Leaves of `effective` what both allow, and refuses what `foreign` refuses. Holds for owners too.
 * */
MUST_USE enum err policy_restrict(const struct policy_foreign *foreign, struct arena *arena,
                                  struct policy_effective *effective, struct errinfo *info);

/* Appends the secured relation as one SELECT: projection, masks and filter together over
 * `source_sql`, a FROM item that yields every needed column as `__moat_c<id>`
 * (policy_source_columns says which). With `barrier`, nothing of an outer query can run before the
 * filter. */
MUST_USE enum err policy_secure(const struct policy_effective *effective, struct slice source_sql,
                                bool barrier, struct buf *ret_sql, struct errinfo *info);

/* Ids of the columns that policy_secure's text reads, in relation order (arena). */
MUST_USE enum err policy_source_columns(const struct policy_effective *effective,
                                        const struct relation *relation, struct arena *arena,
                                        const struct relation_column ***ret_columns,
                                        size_t *ret_count, struct errinfo *info);

/* ---- masks ---- */

/* A mask as written in MASKED WITH to the expression to be bound (before sql_expression_bind):
 * built-in forms are expanded over the quoted column name, anything else is returned as it is.
 *   null | sha256(x) keyed by the warehouse | redact(x [, keep_last]) | show_first(x, n) |
 *   show_last(x, n) | year(c) month(c) day(c): truncation to it, c being the masked column itself |
 *   a constant | any scalar expression
 * `type` is the column's type: a mask that cannot have it is refused here when that can be known
 * (22023, saying what the mask gives). */
MUST_USE enum err policy_mask_expand(struct slice mask, const struct relation_column *column,
                                     struct arena *arena, struct slice *ret_expression,
                                     struct errinfo *info);

/* ---- people's view ---- */

/* "INSERT, DELETE" of some privileges; empty of none. */
void policy_print_privileges(unsigned privileges, struct buf *out);

/* "SELECT (a, b) ON main.t TO ROLE analyst ROWS WHERE ... MASKED WITH (...)" of one grant, with the
 * columns' present names. `namer` knows the tables of subqueries; NULL: "?". */
MUST_USE enum err policy_print_grant(const struct grant *grant, const struct relation *relation,
                                     const struct sql_namer *namer, struct arena *arena,
                                     struct slice *ret_text, struct errinfo *info);

/* What an effective filter or cell (folded) says, with present names, and built-in masks by their
 * own names: for SHOW EFFECTIVE POLICY to those who may see it. */
MUST_USE enum err policy_print_expression(struct slice expression, const struct relation *relation,
                                          const struct sql_namer *namer, struct arena *arena,
                                          struct slice *ret_text, struct errinfo *info);

/* ---- the file store (GitOps): YAML with the same meaning as GRANT/DENY ---- */

/* One rule of the file, expressions as written (not yet bound). */
struct policy_rule {
    enum grant_effect effect;
    unsigned privileges; /* bits of enum privilege; SELECT if the file does not say */
    struct sql_name object;
    bool grantee_is_role;
    struct slice grantee;
    const struct slice *columns; /* empty = all */
    size_t column_count;
    struct slice rows;
    const struct relation_option *masks; /* name = column, value = mask as written */
    size_t mask_count;
    unsigned line; /* in the file, for messages */
};

struct policy_file {
    const struct policy_rule *rules;
    size_t rule_count;
};

/* Reads the YAML text strictly: unknown keys, wrong types, duplicates and anything not understood
 * are refused with file, line, what is allowed and the nearest right name. */
MUST_USE enum err policy_file_parse(struct slice yaml, const char *file_name, struct arena *arena,
                                    struct policy_file *ret_file, struct errinfo *info);
