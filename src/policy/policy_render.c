/* The form as SQL text. Everything that came from a grant stands in parentheses of its own. */
#include "policy/policy_int.h"

static void print_any(const uint32_t *numbers, size_t count, const struct slice *conditions,
                      struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, i == 0 ? "(" : " OR (");
        buf_append_slice(out, conditions[numbers[i]]);
        buf_append_char(out, ')');
    }
}

/* What is not known to be FALSE hides. */
static void print_hide(struct slice condition, struct buf *out)
{
    buf_append_str(out, "COALESCE((");
    buf_append_slice(out, condition);
    buf_append_str(out, "), TRUE)");
}

void policy__print_filter(const struct policy_form *form, const struct slice *conditions,
                          struct buf *out)
{
    const char *before = "";
    if (!form->shows_all) {
        bool is_list = form->show_count > 1 && form->hide_count > 0;
        buf_append_str(out, is_list ? "(" : "");
        print_any(form->shows, form->show_count, conditions, out);
        buf_append_str(out, is_list ? ")" : "");
        before = " AND ";
    }
    for (size_t i = 0; i < form->hide_count; i++) {
        buf_append_str(out, before);
        buf_append_str(out, "(NOT ");
        print_hide(conditions[form->hides[i]], out);
        buf_append_char(out, ')');
        before = " AND ";
    }
}

/* NULL needs the column's type said: alone it would become an INTEGER. */
static void print_null(const struct policy_cell *cell, struct buf *out)
{
    buf_append_str(out, "CAST(NULL AS ");
    buf_append_slice(out, relation_column_sql_type(cell->column));
    buf_append_char(out, ')');
}

static void print_value(const struct policy_cell *cell, struct slice mask, struct buf *out)
{
    if (mask.len == 0) {
        buf_printf(out, "__moat_c%u", cell->column->id);
    } else if (slice_equal_fold(mask, SLICE("null"))) {
        print_null(cell, out);
    } else {
        buf_append_char(out, '(');
        buf_append_slice(out, mask);
        buf_append_char(out, ')');
    }
}

void policy__print_cell(const struct policy_cell *cell, const struct slice *conditions,
                        struct buf *out)
{
    size_t count = cell->term_count;
    bool is_closed = cell->terms[count - 1].condition == POLICY_ALWAYS;
    if (count == 1 && is_closed && cell->hide_count == 0) {
        print_value(cell, cell->terms[0].mask, out);
        return;
    }
    buf_append_str(out, "CASE");
    for (size_t i = 0; i < cell->hide_count; i++) {
        buf_append_str(out, i == 0 ? " WHEN " : " OR ");
        print_hide(conditions[cell->hides[i]], out);
    }
    if (cell->hide_count > 0) {
        buf_append_str(out, " THEN ");
        print_null(cell, out);
    }
    size_t tested = is_closed ? count - 1 : count;
    for (size_t i = 0; i < tested; i++) {
        const struct policy_term *term = &cell->terms[i];
        bool follows = i > 0 && slice_equal(term[-1].mask, term->mask);
        buf_append_str(out, follows ? " OR " : " WHEN ");
        print_any(&term->condition, 1, conditions, out);
        if (i + 1 == tested || !slice_equal(term[1].mask, term->mask)) {
            buf_append_str(out, " THEN ");
            print_value(cell, term->mask, out);
        }
    }
    buf_append_str(out, " ELSE ");
    if (is_closed) {
        print_value(cell, cell->terms[count - 1].mask, out);
    } else {
        print_null(cell, out);
    }
    buf_append_str(out, " END");
}
