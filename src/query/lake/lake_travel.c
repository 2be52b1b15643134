/* AT (VERSION => ...) and AT (TIMESTAMP => ...): which version of a table a statement means. */
#include "arrow/arrow.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "query/lake/lake_int.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

static enum err not_constant(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "a version is chosen before any row is read");
    errinfo_hint(info, "AT takes a snapshot id, the name of a branch or tag, or a point in time "
                       "that needs no table and no parameter.");
    return ERR_UNSUPPORTED;
}

static bool is_constant(const struct json *node)
{
    static const char *const refused[] = {"COLUMN_REF", "SUBQUERY", "PARAMETER", "STAR",
                                          "WINDOW",     "LAMBDA",   "LAMBDA_REF"};
    struct slice class = json_get_text(node, "class");
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (slice_equal(class, slice_of(refused[i]))) {
            return false;
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && !is_constant(child)) {
            return false;
        }
    }
    return true;
}

static enum err read_version(const struct json *at, struct lake_travel *ret_travel,
                             struct errinfo *info)
{
    const struct json *value = json_get(json_get(at, "value"), "value");
    if (!slice_equal(json_get_text(at, "class"), SLICE("CONSTANT")) || value == NULL) {
        return not_constant(info);
    }
    if (json_to_i64(value, &ret_travel->value)) {
        ret_travel->kind = TRAVEL_SNAPSHOT;
        return ERR_OK;
    }
    if (value->type == JSON_STRING && value->text.len > 0) {
        ret_travel->kind = TRAVEL_REF;
        ret_travel->ref = value->text;
        return ERR_OK;
    }
    return not_constant(info);
}

/* SELECT epoch_ms(CAST(<expression> AS TIMESTAMPTZ)): what the engine makes of the expression, in
 * the session's time zone. */
static enum err write_question(struct builder *b, const struct json *at, struct buf *out,
                               struct errinfo *info)
{
    struct slice json;
    struct json *root;
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(plan_parse(b->session, SLICE("SELECT epoch_ms(CAST(NULL AS TIMESTAMPTZ))"), b->arena, &json,
                   info));
    TRY(json_parse(b->arena, json, NULL, &root, info));
    const struct json *select = json_get(json_at(json_get(root, "statements"), 0), "node");
    const struct json *call = json_at(json_get(select, "select_list"), 0);
    struct json *hole = json_get(json_at(json_get(call, "children"), 0), "child");
    struct json *copy = json_copy(b->arena, at);
    if (hole == NULL) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a point in time cannot be asked for");
    }
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    json_replace(hole, copy);
    json_write(&text, root);
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    return engine_deparse(b->session->engine, buf_slice(&text), out, info);
}

/* The only cell of the result. */
static enum err first_cell(struct builder *b, struct slice sql, int64_t *ret_value,
                           struct errinfo *info)
{
    struct session *session = b->session;
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    struct ArrowArray batch = {0};
    TRY(engine_query_open(session->engine, session->who, sql, NULL, 0, &query, info));
    TRY(engine_query_next(query, &batch, info));
    bool is_known = batch.release != NULL && batch.length == 1 && batch.n_children == 1;
    if (is_known) {
        const struct ArrowArray *cell = batch.children[0];
        const uint8_t *valid = cell->buffers[0];
        size_t at = (size_t)cell->offset;
        is_known = valid == NULL || (valid[at / 8] >> (at % 8) & 1) != 0;
        if (is_known) {
            *ret_value = ((const int64_t *)cell->buffers[1])[at];
        }
    }
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    return is_known ? ERR_OK
                    : errinfo_set(info, ERR_INVALID, "22004", "the point in time of AT is NULL");
}

static enum err read_time(struct builder *b, const struct json *at, struct lake_travel *ret_travel,
                          struct errinfo *info)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    if (!is_constant(at)) {
        return not_constant(info);
    }
    TRY(write_question(b, at, &sql, info));
    if (buf_failed(&sql)) {
        return errinfo_nomem(info);
    }
    b->plan->is_cacheable = false; /* now() and the session's time zone are not in the key */
    TRY(first_cell(b, buf_slice(&sql), &ret_travel->value, info));
    ret_travel->kind = TRAVEL_TIME;
    return ERR_OK;
}

enum err lake_fill_audit(const struct relation *relation, struct arena *arena,
                         struct audit_table *out, struct errinfo *info)
{
    const struct lake_table *table = relation->lake;
    struct buf text CLEANUP(buf_fini) = {0};
    char time[CLOCK_TEXT_BYTES];
    if (table == NULL || relation->kind == RELATION_VIEW) {
        return ERR_OK;
    }
    switch (table->travel.kind) {
    case TRAVEL_NOW:
        break;
    case TRAVEL_SNAPSHOT:
        buf_printf(&text, "VERSION => %lld", (long long)table->travel.value);
        break;
    case TRAVEL_REF:
        buf_append_str(&text, "VERSION => ");
        sql_quote_string(&text, table->travel.ref);
        break;
    case TRAVEL_TIME:
        buf_printf(&text, "TIMESTAMP => '%s'", clock_format_utc(table->travel.value * 1000, time));
        break;
    }
    out->has_snapshot = table->snapshot != NULL;
    out->snapshot_id = table->snapshot == NULL ? 0 : table->snapshot->id;
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), &out->version)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err plan_read_travel(struct builder *b, const struct sql_reference *reference,
                          struct lake_travel *ret_travel, struct errinfo *info)
{
    struct lake_travel travel = {.kind = TRAVEL_NOW};
    if (reference->has_version) {
        TRY(read_version(reference->at, &travel, info));
    } else if (reference->has_timestamp) {
        TRY(read_time(b, reference->at, &travel, info));
    }
    *ret_travel = travel;
    return ERR_OK;
}
