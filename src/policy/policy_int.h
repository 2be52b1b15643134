/* What is between the grants and the SQL text: which condition gives which value to which cell.
 *
 * Grants are first gathered (who is meant, context folded), then brought into a *form* in which
 * every condition has a number, then printed. The form exists so that the meaning can be tested
 * against a slow oracle without an engine (policy_form_test.c). */
#pragma once

#include "policy/policy.h"

/* The condition that holds in every visible row. */
#define POLICY_ALWAYS UINT32_MAX

/* A grant that applies to the person, its expressions folded. */
struct policy_applied {
    const struct grant *grant;
    uint32_t condition;        /* number of its ROWS WHERE; POLICY_ALWAYS if it has none (an
                                  allow's that folds to TRUE counts as none) */
    const struct slice *masks; /* folded; beside grant->masks */
};

struct policy_gathered {
    bool is_visible;
    struct slice refusal;           /* not empty: the policy cannot be applied */
    const struct slice *conditions; /* distinct texts, by number */
    size_t condition_count;
    const struct policy_applied *allows; /* in grant order */
    size_t allow_count;
    const struct policy_applied *denies;
    size_t deny_count;
};

/* One choice for a cell. The cell shows the value of its first term whose condition is TRUE. */
struct policy_term {
    uint32_t condition;
    struct slice mask; /* empty: the raw value */
};

struct policy_cell {
    const struct relation_column *column;
    struct policy_term *terms; /* none TRUE: NULL */
    size_t term_count;
    const uint32_t *hides; /* NULL unless each of these is FALSE */
    size_t hide_count;
};

struct policy_form {
    bool shows_all;        /* some grant shows every row */
    const uint32_t *shows; /* else a row needs one of these TRUE */
    size_t show_count;
    const uint32_t *hides; /* and each of these FALSE */
    size_t hide_count;
    struct policy_cell *cells; /* visible columns in relation order */
    size_t cell_count;
};

MUST_USE enum err policy__gather(const struct identity *who, const struct relation *relation,
                                 const struct grant *grants, size_t grant_count,
                                 struct arena *arena, struct policy_gathered *ret_gathered,
                                 struct errinfo *info);

/* The form of a visible, not refused relation. */
MUST_USE enum err policy__form(const struct relation *relation,
                               const struct policy_gathered *gathered, struct arena *arena,
                               struct policy_form *ret_form, struct errinfo *info);

bool policy__cell_is_raw(const struct policy_cell *cell);

/* Append the text; conditions by number from `conditions`. Nothing for "every row". */
void policy__print_filter(const struct policy_form *form, const struct slice *conditions,
                          struct buf *out);
void policy__print_cell(const struct policy_cell *cell, const struct slice *conditions,
                        struct buf *out);

const struct relation_column *policy__column(const struct relation *relation, uint32_t id);

/* ---- masks ---- */

enum mask_part {
    MASK_NULL,
    MASK_YEAR,
    MASK_MONTH,
    MASK_DAY
};

/* Appends the expression of a mask that needs only the column; false if its type cannot have it. */
bool policy__mask_plain(enum mask_part part, const struct relation_column *column, struct buf *out);

/* All tokens of `text` but the end. */
struct token;
MUST_USE enum err policy__tokens(struct slice text, struct arena *arena, struct token **ret_tokens,
                                 size_t *ret_count, struct errinfo *info);
