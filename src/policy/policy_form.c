/* The union per cell, as conditions by number.
 *
 * Simplified only by what holds for every outcome of every condition: a condition that was tested
 * need not be tested again, and once the tested ones are all that can make a row visible, the last
 * needs no test. So one grant with a filter and a mask costs no CASE. */
#include "policy/policy_int.h"

struct condition_set {
    uint64_t *words;
    size_t word_count;
};

static bool set_has(const struct condition_set *set, uint32_t condition)
{
    return (set->words[condition / 64] >> (condition % 64) & 1) != 0;
}

static void set_add(struct condition_set *set, uint32_t condition)
{
    set->words[condition / 64] |= UINT64_C(1) << (condition % 64);
}

static bool set_covers(const struct condition_set *set, const struct condition_set *of)
{
    for (size_t i = 0; i < set->word_count; i++) {
        if ((of->words[i] & ~set->words[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool set_new(struct arena *arena, size_t condition_count, struct condition_set *ret_set)
{
    ret_set->word_count = condition_count / 64 + 1;
    ret_set->words = arena_calloc(arena, ret_set->word_count, sizeof(*ret_set->words));
    return ret_set->words != NULL;
}

struct former {
    const struct policy_gathered *gathered;
    struct arena *arena;
    struct condition_set shows;
    struct condition_set hides;
    struct condition_set covered; /* scratch, of one cell */
    struct policy_form form;
};

static bool lists(const struct grant *grant, uint32_t id)
{
    for (size_t i = 0; !grant->all_columns && i < grant->column_count; i++) {
        if (grant->column_ids[i] == id) {
            return true;
        }
    }
    return grant->all_columns;
}

/* The mask a grant has for a column; empty = none, so it gives the column raw. */
static struct slice mask_of(const struct policy_applied *applied, uint32_t id)
{
    for (size_t i = 0; i < applied->grant->mask_count; i++) {
        if (applied->grant->masks[i].column_id == id) {
            return applied->masks[i];
        }
    }
    return (struct slice){"", 0};
}

/* True once every visible row meets one of the conditions tested so far. */
static bool is_covered(const struct former *f)
{
    return !f->form.shows_all && set_covers(&f->covered, &f->shows);
}

/* Adds a term unless no row can reach it; true when no further one can be reached. */
static bool add_term(struct former *f, struct policy_cell *cell, uint32_t condition,
                     struct slice mask)
{
    if (condition != POLICY_ALWAYS) {
        if (set_has(&f->covered, condition)) {
            return false;
        }
        set_add(&f->covered, condition);
    }
    cell->terms[cell->term_count++] = (struct policy_term){condition, mask};
    return condition == POLICY_ALWAYS || is_covered(f);
}

/* The last term that is reached needs no test, nor do those before it that show the same. */
static void close_terms(struct policy_cell *cell)
{
    struct policy_term last = cell->terms[cell->term_count - 1];
    while (cell->term_count > 1 && slice_equal(cell->terms[cell->term_count - 2].mask, last.mask)) {
        cell->term_count--;
    }
    last.condition = POLICY_ALWAYS;
    cell->terms[cell->term_count - 1] = last;
}

static bool fill_terms(struct former *f, struct policy_cell *cell)
{
    const struct policy_gathered *g = f->gathered;
    uint32_t id = cell->column->id;
    bool is_given = false;
    memset(f->covered.words, 0, f->covered.word_count * sizeof(*f->covered.words));
    for (int masked = 0; masked <= 1; masked++) {
        for (size_t i = 0; i < g->allow_count; i++) {
            const struct policy_applied *allow = &g->allows[i];
            struct slice mask = mask_of(allow, id);
            if (!lists(allow->grant, id) || (mask.len > 0) != (masked == 1)) {
                continue;
            }
            is_given = true;
            if (add_term(f, cell, allow->condition, mask)) {
                close_terms(cell);
                return true;
            }
        }
    }
    return is_given;
}

/* DENYs of this column: false if one takes it away altogether. */
static bool fill_hides(struct former *f, struct policy_cell *cell, uint32_t *hides)
{
    const struct policy_gathered *g = f->gathered;
    memset(f->covered.words, 0, f->covered.word_count * sizeof(*f->covered.words));
    for (size_t i = 0; i < g->deny_count; i++) {
        const struct policy_applied *deny = &g->denies[i];
        if (deny->grant->all_columns || !lists(deny->grant, cell->column->id)) {
            continue;
        }
        if (deny->condition == POLICY_ALWAYS) {
            return false;
        }
        if (!set_has(&f->hides, deny->condition) && !set_has(&f->covered, deny->condition)) {
            set_add(&f->covered, deny->condition);
            hides[cell->hide_count++] = deny->condition;
        }
    }
    cell->hides = hides;
    return true;
}

static enum err fill_rows(struct former *f, struct errinfo *info)
{
    const struct policy_gathered *g = f->gathered;
    uint32_t *shows = arena_calloc(f->arena, g->allow_count + 1, sizeof(*shows));
    uint32_t *hides = arena_calloc(f->arena, g->deny_count + 1, sizeof(*hides));
    if (shows == NULL || hides == NULL || !set_new(f->arena, g->condition_count, &f->shows) ||
        !set_new(f->arena, g->condition_count, &f->hides) ||
        !set_new(f->arena, g->condition_count, &f->covered)) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < g->allow_count; i++) {
        uint32_t condition = g->allows[i].condition;
        if (condition == POLICY_ALWAYS) {
            f->form.shows_all = true;
        } else if (!set_has(&f->shows, condition)) {
            set_add(&f->shows, condition);
            shows[f->form.show_count++] = condition;
        }
    }
    for (size_t i = 0; i < g->deny_count; i++) {
        uint32_t condition = g->denies[i].condition;
        if (g->denies[i].grant->all_columns && !set_has(&f->hides, condition)) {
            set_add(&f->hides, condition);
            hides[f->form.hide_count++] = condition;
        }
    }
    f->form.show_count = f->form.shows_all ? 0 : f->form.show_count;
    f->form.shows = shows;
    f->form.hides = hides;
    return ERR_OK;
}

enum err policy__form(const struct relation *relation, const struct policy_gathered *gathered,
                      struct arena *arena, struct policy_form *ret_form, struct errinfo *info)
{
    struct former f = {.gathered = gathered, .arena = arena};
    struct policy_cell *cells = arena_calloc(arena, relation->column_count + 1, sizeof(*cells));
    if (cells == NULL) {
        return errinfo_nomem(info);
    }
    TRY(fill_rows(&f, info));
    for (size_t i = 0; i < relation->column_count; i++) {
        struct policy_cell cell = {.column = &relation->columns[i]};
        cell.terms = arena_calloc(arena, gathered->allow_count + 1, sizeof(*cell.terms));
        uint32_t *hides = arena_calloc(arena, gathered->deny_count + 1, sizeof(*hides));
        if (cell.terms == NULL || hides == NULL) {
            return errinfo_nomem(info);
        }
        if (fill_hides(&f, &cell, hides) && fill_terms(&f, &cell)) {
            cells[f.form.cell_count++] = cell;
        }
    }
    f.form.cells = cells;
    *ret_form = f.form;
    return ERR_OK;
}

bool policy__cell_is_raw(const struct policy_cell *cell)
{
    return cell->hide_count == 0 && cell->term_count == 1 &&
           cell->terms[0].condition == POLICY_ALWAYS && cell->terms[0].mask.len == 0;
}
