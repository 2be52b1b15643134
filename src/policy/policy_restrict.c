/* What somebody else's policy leaves of what ours shows: rows that both show, cells that are raw in
 * both or masked as theirs says. Where ours masks a cell and theirs would too, there is nothing
 * that both allow: NULL. */
#include "policy/policy_int.h"

static const struct policy_foreign_mask *mask_of(const struct policy_foreign *foreign, uint32_t id)
{
    for (size_t i = 0; i < foreign->mask_count; i++) {
        if (foreign->masks[i].column_id == id) {
            return &foreign->masks[i];
        }
    }
    return NULL;
}

static enum err null_of(const struct relation_column *column, struct arena *arena,
                        struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_plain = policy__mask_plain(MASK_NULL, column, &text);
    ASSERT(is_plain);
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(info);
}

static enum err restrict_columns(const struct policy_foreign *foreign, struct arena *arena,
                                 struct policy_effective *effective, struct errinfo *info)
{
    struct policy_column *columns =
        arena_calloc(arena, effective->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < effective->column_count; i++) {
        columns[i] = effective->columns[i];
        const struct policy_foreign_mask *mask = mask_of(foreign, columns[i].column->id);
        if (mask == NULL) {
            continue;
        }
        if (columns[i].is_raw) {
            columns[i].expression = mask->expression;
        } else {
            TRY(null_of(columns[i].column, arena, &columns[i].expression, info));
        }
        columns[i].is_raw = false;
        columns[i].is_masked = true;
    }
    effective->columns = columns;
    return ERR_OK;
}

enum err policy_restrict(const struct policy_foreign *foreign, struct arena *arena,
                         struct policy_effective *effective, struct errinfo *info)
{
    if (!effective->is_visible || effective->is_refused) {
        return ERR_OK;
    }
    if (foreign->refusal.len > 0) {
        *effective = (struct policy_effective){
            .is_visible = true, .is_refused = true, .is_bound = true, .refusal = foreign->refusal};
        return ERR_OK;
    }
    if (foreign->mask_count > 0) {
        TRY(restrict_columns(foreign, arena, effective, info));
    }
    if (foreign->filter.len > 0) {
        char *both =
            effective->filter.len == 0
                ? arena_printf(arena, "(%.*s)", (int)foreign->filter.len, foreign->filter.ptr)
                : arena_printf(arena, "(%.*s) AND (%.*s)", (int)effective->filter.len,
                               effective->filter.ptr, (int)foreign->filter.len,
                               foreign->filter.ptr);
        if (both == NULL) {
            return errinfo_nomem(info);
        }
        effective->filter = slice_of(both);
    }
    effective->is_bound = effective->is_bound || foreign->mask_count > 0 || foreign->filter.len > 0;
    return ERR_OK;
}
