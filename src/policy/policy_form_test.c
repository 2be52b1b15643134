/* The meaning of grants against a slow oracle: the definition in policy.h, cell by cell. */
#include "policy/policy_fixture.h"
#include "sql/scan.h"

#define CASES 20000
#define GRANTS_MAX 6
#define COLUMNS 3
#define SYMBOLS 4
#define ROWS 81 /* every outcome of every symbol: 3^4 */
#define TEXT_ROWS 6

enum outcome {
    OUTCOME_FALSE,
    OUTCOME_TRUE,
    OUTCOME_NULL
};

/* What a cell shows. Masks are CELL_MASK + number. */
enum {
    CELL_RAW = 100,
    CELL_NULL,
    CELL_MASK = 200
};

/* Filters: the symbols, then what is the same in every row. */
static const char *const filters[] = {"__moat_c1 = 0",      "__moat_c1 = 1", "__moat_c1 = 2",
                                      "__moat_c1 = 3",      "true",          "has_role('analyst')",
                                      "has_role('nobody')", "false"};
static const char *const masks[] = {"'m0'", "'m1'", "'m2'"};

struct sample {
    struct relation relation;
    struct grant grants[GRANTS_MAX];
    size_t grant_count;
    size_t filter[GRANTS_MAX]; /* SIZE_MAX: none */
    uint32_t columns[GRANTS_MAX][COLUMNS];
    struct grant_mask masks[GRANTS_MAX][COLUMNS];
    bool is_owner;
};

static bool happens(uint64_t *seed, unsigned percent)
{
    return test_random_below(seed, 100) < percent;
}

static void make_grant(struct sample *s, size_t index, uint64_t *seed)
{
    static const char *const strangers[] = {"bob", "nobody"};
    struct grant *grant = &s->grants[index];
    *grant = fixture_grant(index + 1);
    grant->effect = happens(seed, 70) ? GRANT_ALLOW : GRANT_DENY;
    grant->grantee_kind = happens(seed, 60) ? GRANTEE_ROLE : GRANTEE_USER;
    grant->grantee = grant->grantee_kind == GRANTEE_ROLE ? SLICE("ANALYST") : SLICE("Ann");
    if (happens(seed, 15)) {
        grant->grantee = slice_of(strangers[grant->grantee_kind == GRANTEE_ROLE]);
    }
    s->filter[index] = happens(seed, 65) ? test_random_below(seed, ARRAY_COUNT(filters)) : SIZE_MAX;
    if (s->filter[index] != SIZE_MAX) {
        grant->rows = slice_of(filters[s->filter[index]]);
    }
    grant->all_columns = happens(seed, grant->effect == GRANT_ALLOW ? 50 : 60);
    for (uint32_t id = 1; id <= COLUMNS; id++) {
        if (!grant->all_columns && happens(seed, 50)) {
            s->columns[index][grant->column_count++] = id;
        }
        if (happens(seed, 40)) {
            s->masks[index][grant->mask_count++] = (struct grant_mask){
                id, slice_of(masks[test_random_below(seed, ARRAY_COUNT(masks))])};
        }
    }
    grant->column_ids = s->columns[index];
    grant->masks = s->masks[index];
}

static const struct relation_column sample_columns[COLUMNS] = {
    {1, {"a", 1}, {"a", 1}, {"BIGINT", 6}},
    {2, {"b", 1}, {"b", 1}, {"VARCHAR", 7}},
    {3, {"c", 1}, {"c", 1}, {"DATE", 4}}};

static void make_sample(struct sample *s, uint64_t *seed)
{
    *s = (struct sample){.relation = fixture_relation};
    s->relation.columns = sample_columns;
    s->relation.column_count = COLUMNS;
    s->is_owner = happens(seed, 10);
    s->relation.owner = s->is_owner ? SLICE("ANN") : SLICE("olga");
    s->grant_count = test_random_below(seed, GRANTS_MAX + 1);
    for (size_t i = 0; i < s->grant_count; i++) {
        make_grant(s, i, seed);
    }
}

/* ---- the oracle ---- */

static enum outcome outcome_of(size_t filter, unsigned row)
{
    if (filter == SIZE_MAX || filter == 4 || filter == 5) {
        return OUTCOME_TRUE;
    }
    if (filter >= SYMBOLS) {
        return OUTCOME_FALSE;
    }
    for (size_t i = 0; i < filter; i++) {
        row /= 3;
    }
    return (enum outcome)(row % 3);
}

static bool concerns(const struct grant *grant)
{
    return slice_equal_fold(grant->grantee, SLICE("ann")) ||
           slice_equal_fold(grant->grantee, SLICE("analyst"));
}

static bool gives(const struct grant *grant, uint32_t id)
{
    bool found = grant->all_columns;
    for (size_t i = 0; i < grant->column_count; i++) {
        found = found || grant->column_ids[i] == id;
    }
    return found;
}

static int mask_number(const struct grant *grant, uint32_t id)
{
    for (size_t i = 0; i < grant->mask_count; i++) {
        for (size_t m = 0; grant->masks[i].column_id == id && m < ARRAY_COUNT(masks); m++) {
            if (slice_equal(grant->masks[i].expression, slice_of(masks[m]))) {
                return (int)m;
            }
        }
    }
    return -1;
}

static bool oracle_column(const struct sample *s, uint32_t id)
{
    bool is_given = s->is_owner;
    for (size_t i = 0; i < s->grant_count; i++) {
        const struct grant *grant = &s->grants[i];
        if (concerns(grant) && gives(grant, id)) {
            if (grant->effect == GRANT_DENY && s->filter[i] == SIZE_MAX) {
                return false;
            }
            is_given = is_given || grant->effect == GRANT_ALLOW;
        }
    }
    return is_given;
}

static bool oracle_row(const struct sample *s, unsigned row)
{
    bool is_shown = s->is_owner;
    for (size_t i = 0; i < s->grant_count; i++) {
        const struct grant *grant = &s->grants[i];
        enum outcome outcome = outcome_of(s->filter[i], row);
        if (!concerns(grant)) {
            continue;
        }
        if (grant->effect == GRANT_ALLOW) {
            is_shown = is_shown || outcome == OUTCOME_TRUE;
        } else if (grant->all_columns && outcome != OUTCOME_FALSE) {
            return false;
        }
    }
    return is_shown;
}

static int oracle_cell(const struct sample *s, unsigned row, uint32_t id)
{
    int masked = CELL_NULL;
    bool is_raw = s->is_owner;
    for (size_t i = 0; i < s->grant_count; i++) {
        const struct grant *grant = &s->grants[i];
        enum outcome outcome = outcome_of(s->filter[i], row);
        if (!concerns(grant) || !gives(grant, id)) {
            continue;
        }
        if (grant->effect == GRANT_DENY) {
            if (outcome != OUTCOME_FALSE) {
                return CELL_NULL;
            }
        } else if (outcome == OUTCOME_TRUE) {
            int mask = mask_number(grant, id);
            is_raw = is_raw || mask < 0;
            masked = masked == CELL_NULL && mask >= 0 ? CELL_MASK + mask : masked;
        }
    }
    return is_raw ? CELL_RAW : masked;
}

/* ---- the form, evaluated ---- */

static enum outcome condition_outcome(const struct policy_gathered *g, uint32_t number,
                                      unsigned row)
{
    for (size_t i = 0; number != POLICY_ALWAYS && i < ARRAY_COUNT(filters); i++) {
        if (slice_equal(g->conditions[number], slice_of(filters[i]))) {
            return outcome_of(i, row);
        }
    }
    return number == POLICY_ALWAYS || slice_equal(g->conditions[number], SLICE("true"))
               ? OUTCOME_TRUE
               : OUTCOME_FALSE;
}

static bool form_row(const struct policy_form *form, const struct policy_gathered *g, unsigned row)
{
    bool is_shown = form->shows_all;
    for (size_t i = 0; i < form->show_count; i++) {
        is_shown = is_shown || condition_outcome(g, form->shows[i], row) == OUTCOME_TRUE;
    }
    for (size_t i = 0; i < form->hide_count; i++) {
        is_shown = is_shown && condition_outcome(g, form->hides[i], row) == OUTCOME_FALSE;
    }
    return is_shown;
}

static int form_cell(const struct policy_cell *cell, const struct policy_gathered *g, unsigned row)
{
    for (size_t i = 0; i < cell->hide_count; i++) {
        if (condition_outcome(g, cell->hides[i], row) != OUTCOME_FALSE) {
            return CELL_NULL;
        }
    }
    for (size_t i = 0; i < cell->term_count; i++) {
        const struct policy_term *term = &cell->terms[i];
        if (condition_outcome(g, term->condition, row) == OUTCOME_TRUE) {
            return term->mask.len == 0 ? CELL_RAW : CELL_MASK + (term->mask.ptr[2] - '0');
        }
    }
    return CELL_NULL;
}

/* ---- the text, evaluated: just the SQL that policy_render.c writes ---- */

struct evaluator {
    const struct token *tokens;
    size_t count;
    size_t at;
    unsigned row;
};

static bool take(struct evaluator *e, const char *text)
{
    bool found = e->at < e->count &&
                 (token_is(&e->tokens[e->at], text) || token_is_operator(&e->tokens[e->at], text));
    e->at += found;
    return found;
}

static void must_take(struct evaluator *e, const char *text)
{
    CHECK(take(e, text));
}

static int evaluate(struct evaluator *e);

static int evaluate_case(struct evaluator *e)
{
    int value = -1;
    while (take(e, "WHEN")) {
        int condition = evaluate(e);
        must_take(e, "THEN");
        int branch = evaluate(e);
        value = value < 0 && condition == OUTCOME_TRUE ? branch : value;
    }
    must_take(e, "ELSE");
    int otherwise = evaluate(e);
    must_take(e, "END");
    return value < 0 ? otherwise : value;
}

static int evaluate_column(struct evaluator *e)
{
    uint64_t number;
    CHECK(e->at < e->count && e->tokens[e->at].kind == TOKEN_WORD);
    CHECK(slice_starts_with(e->tokens[e->at].text, SLICE("__moat_c")));
    e->at++;
    if (!take(e, "=")) {
        return CELL_RAW;
    }
    CHECK(slice_to_u64(e->tokens[e->at].text, &number));
    e->at++;
    return (int)outcome_of((size_t)number, e->row);
}

static int evaluate_primary(struct evaluator *e)
{
    int value;
    if (take(e, "(")) {
        value = evaluate(e);
        must_take(e, ")");
        return value;
    }
    if (take(e, "COALESCE")) {
        must_take(e, "(");
        value = evaluate(e);
        must_take(e, ",");
        must_take(e, "TRUE");
        must_take(e, ")");
        return value == OUTCOME_NULL ? OUTCOME_TRUE : value;
    }
    if (take(e, "CAST")) {
        must_take(e, "(");
        must_take(e, "NULL");
        must_take(e, "AS");
        e->at++; /* the type: one word in this relation */
        must_take(e, ")");
        return CELL_NULL;
    }
    if (take(e, "CASE")) {
        return evaluate_case(e);
    }
    if (take(e, "true")) {
        return OUTCOME_TRUE;
    }
    if (take(e, "false")) {
        return OUTCOME_FALSE;
    }
    if (e->tokens[e->at].kind == TOKEN_STRING) {
        return CELL_MASK + (e->tokens[e->at++].text.ptr[2] - '0');
    }
    return evaluate_column(e);
}

static int evaluate_not(struct evaluator *e)
{
    if (!take(e, "NOT")) {
        return evaluate_primary(e);
    }
    int value = evaluate_not(e);
    return value == OUTCOME_NULL ? value : !value;
}

static int evaluate_and(struct evaluator *e)
{
    int value = evaluate_not(e);
    while (take(e, "AND")) {
        int right = evaluate_not(e);
        value = value == OUTCOME_FALSE || right == OUTCOME_FALSE ? OUTCOME_FALSE
                : value == OUTCOME_TRUE                          ? right
                                                                 : value;
    }
    return value;
}

static int evaluate(struct evaluator *e)
{
    int value = evaluate_and(e);
    while (take(e, "OR")) {
        int right = evaluate_and(e);
        value = value == OUTCOME_TRUE || right == OUTCOME_TRUE ? OUTCOME_TRUE
                : value == OUTCOME_FALSE                       ? right
                                                               : value;
    }
    return value;
}

static int evaluate_text(struct slice text, unsigned row, struct arena *arena)
{
    struct token *tokens;
    struct evaluator e = {.row = row};
    CHECK_OK(policy__tokens(text, arena, &tokens, &e.count, NULL));
    e.tokens = tokens;
    int value = evaluate(&e);
    CHECK(e.at == e.count);
    return value;
}

/* ---- the comparison ---- */

static void compare_row(const struct sample *s, const struct policy_form *form,
                        const struct policy_gathered *g, const struct policy_effective *effective,
                        unsigned row, bool with_text, struct arena *arena)
{
    bool is_shown = oracle_row(s, row);
    CHECK(form_row(form, g, row) == is_shown);
    if (with_text && effective->filter.len > 0) {
        CHECK((evaluate_text(effective->filter, row, arena) == OUTCOME_TRUE) == is_shown);
    } else if (with_text) {
        CHECK(is_shown);
    }
    for (size_t i = 0; is_shown && i < form->cell_count; i++) {
        int expected = oracle_cell(s, row, form->cells[i].column->id);
        assert_int_equal(form_cell(&form->cells[i], g, row), expected);
        if (effective->columns[i].is_raw) {
            assert_int_equal(expected, CELL_RAW);
        }
        if (with_text) {
            struct slice text = effective->columns[i].expression;
            assert_int_equal(evaluate_text(text, row, arena), expected);
        }
    }
}

static bool oracle_is_visible(const struct sample *s)
{
    bool has_allow = s->is_owner;
    for (size_t i = 0; i < s->grant_count; i++) {
        const struct grant *grant = &s->grants[i];
        bool is_deny = grant->effect == GRANT_DENY;
        if (concerns(grant) && is_deny && grant->all_columns && s->filter[i] == SIZE_MAX) {
            return false;
        }
        has_allow = has_allow || (concerns(grant) && !is_deny);
    }
    bool has_column = false;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        has_column = has_column || oracle_column(s, sample_columns[i].id);
    }
    return has_allow && has_column;
}

static void compare_sample(const struct sample *s, const struct identity *who, struct arena *arena,
                           uint64_t *seed)
{
    struct policy_effective effective;
    struct policy_gathered gathered;
    struct policy_form form;
    struct errinfo info;
    CHECK_OK(
        policy_effective(who, &s->relation, s->grants, s->grant_count, arena, &effective, &info));
    CHECK(effective.is_visible == oracle_is_visible(s));
    CHECK(!effective.is_refused);
    if (!effective.is_visible) {
        CHECK(effective.column_count == 0 && effective.filter.len == 0);
        return;
    }
    CHECK_OK(policy__gather(who, &s->relation, s->grants, s->grant_count, arena, &gathered, &info));
    CHECK_OK(policy__form(&s->relation, &gathered, arena, &form, &info));
    CHECK(form.cell_count == effective.column_count);
    size_t next = 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        if (oracle_column(s, s->relation.columns[i].id)) {
            CHECK(effective.columns[next++].column == &s->relation.columns[i]);
        }
    }
    CHECK(next == effective.column_count);
    uint64_t first = test_random_below(seed, ROWS);
    for (unsigned row = 0; row < ROWS; row++) {
        bool with_text = (row + ROWS - first) % ROWS < TEXT_ROWS;
        compare_row(s, &form, &gathered, &effective, row, with_text, arena);
    }
}

TEST(policy, random_grants_mean_what_the_definition_says)
{
    /* Goal: form and text mean the union per cell, DENY included, whatever the grants. Method:
     * random grants over three columns; every outcome (TRUE, FALSE, NULL) of four filters against
     * the definition evaluated grant by grant. */
    uint64_t seed = test_seed();
    struct identity *who = fixture_person("ann", false);
    struct arena *arena = arena_new(NULL, "test", 0);
    for (unsigned i = 0; i < CASES; i++) {
        struct sample sample;
        make_sample(&sample, &seed);
        compare_sample(&sample, who, arena, &seed);
        arena_reset(arena);
    }
    arena_free(arena);
    identity_unref(who);
}
