/* One SELECT that shows what an effective policy shows: rows, masks and restrictions together, so
 * that no second projection can drop the masks. README.md has the probes behind the barrier. */
#include "policy/policy_int.h"
#include "sql/scan.h"

/* Makes the engine finish filter and projection before anything outside runs: OFFSET 0 keeps
 * conditions from moving in, the volatile identity on every cell copies it out of dictionaries that
 * hold hidden rows' values. Streams. What held less or cost more: README.md, "The barrier". */
#define BARRIER_CELL "__moat_barrier("
#define BARRIER_ROWS " OFFSET 0"

enum err policy_secure(const struct policy_effective *effective, struct slice source_sql,
                       bool barrier, struct buf *ret_sql, struct errinfo *info)
{
    ASSERT(effective->is_visible && !effective->is_refused && effective->column_count > 0);
    buf_append_str(ret_sql, "SELECT ");
    for (size_t i = 0; i < effective->column_count; i++) {
        const struct policy_column *column = &effective->columns[i];
        buf_append_str(ret_sql, i == 0 ? "" : ", ");
        buf_append_str(ret_sql, barrier ? BARRIER_CELL : "");
        buf_append_slice(ret_sql, column->expression);
        buf_append_str(ret_sql, barrier ? ") AS " : " AS ");
        sql_quote_name(ret_sql, column->column->name);
    }
    buf_append_str(ret_sql, " FROM ");
    buf_append_slice(ret_sql, source_sql);
    if (effective->filter.len > 0) {
        buf_append_str(ret_sql, " WHERE ");
        buf_append_slice(ret_sql, effective->filter);
    }
    buf_append_str(ret_sql, barrier ? BARRIER_ROWS : "");
    return buf_failed(ret_sql) ? errinfo_nomem(info) : ERR_OK;
}

/* Marks the columns whose own name occurs in `text`, also inside a string: one column too many is
 * read in vain, one too few would not bind. */
static void mark_used(struct slice text, const struct relation *relation, bool *used)
{
    static const char prefix[] = "__moat_c";
    for (;;) {
        size_t at = slice_find(text, slice_of(prefix));
        if (at == SIZE_MAX) {
            return;
        }
        text.ptr += at + sizeof(prefix) - 1;
        text.len -= at + sizeof(prefix) - 1;
        struct slice digits = {text.ptr, 0};
        uint64_t id;
        while (digits.len < text.len && digits.ptr[digits.len] >= '0' &&
               digits.ptr[digits.len] <= '9') {
            digits.len++;
        }
        for (size_t i = 0; slice_to_u64(digits, &id) && i < relation->column_count; i++) {
            used[i] = used[i] || relation->columns[i].id == id;
        }
    }
}

enum err policy_source_columns(const struct policy_effective *effective,
                               const struct relation *relation, struct arena *arena,
                               const struct relation_column ***ret_columns, size_t *ret_count,
                               struct errinfo *info)
{
    bool *used = arena_calloc(arena, relation->column_count + 1, sizeof(*used));
    const struct relation_column **columns =
        arena_calloc(arena, relation->column_count + 1, sizeof(const struct relation_column *));
    if (used == NULL || columns == NULL) {
        return errinfo_nomem(info);
    }
    mark_used(effective->filter, relation, used);
    for (size_t i = 0; i < effective->column_count; i++) {
        mark_used(effective->columns[i].expression, relation, used);
    }
    size_t count = 0;
    for (size_t i = 0; i < relation->column_count; i++) {
        if (used[i]) {
            columns[count++] = &relation->columns[i];
        }
    }
    if (count == 0 && effective->column_count > 0) {
        columns[count++] = effective->columns[0].column; /* all constants: FROM needs a column */
    }
    *ret_columns = columns;
    *ret_count = count;
    return ERR_OK;
}
