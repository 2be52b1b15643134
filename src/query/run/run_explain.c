/* EXPLAIN: what Moat will do, and the engine's plan to those who may see it.
 *
 * Where a policy binds the person, the plan would show its predicates, hidden columns and row
 * counts from before the filter. They get Moat's own outline: what is read and that a policy
 * applies. The physical SQL is for who sees everything of every table in it. */
#include "base/clock.h"
#include "base/json.h"
#include "query/lake/lake_int.h"
#include "query/plan/policy_int.h"
#include "query/run/run_int.h"

static const struct relation_column plan_columns[] = {
    {1, {"plan", 4}, {"plan", 4}, {"VARCHAR", 7}},
};

static void add_line(struct buf *lines, struct slice text)
{
    buf_append_str(lines, "{\"plan\":");
    json_write_string(lines, text);
    buf_append_str(lines, "}\n");
}

/* Cuts text at newlines: one row a line. */
static void add_text(struct buf *lines, struct slice text)
{
    while (text.len > 0) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.ptr);
        add_line(lines, (struct slice){text.ptr, len});
        size_t skip = newline == NULL ? len : len + 1;
        text.ptr += skip;
        text.len -= skip;
    }
}

static void add_outline(const struct plan *plan, struct buf *lines)
{
    struct buf line CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        if (table->audit.as_definer.len > 0) {
            continue; /* what a definer's view reads is not the person's to know */
        }
        buf_reset(&line);
        buf_append_str(&line, table->relation->kind == RELATION_VIEW ? "View " : "Read ");
        buf_append_slice(&line, table->audit.name);
        buf_printf(&line, ": %zu column%s", table->audit.column_count,
                   table->audit.column_count == 1 ? "" : "s");
        const struct lake_table *lake = table->relation->lake;
        if (lake != NULL && lake->snapshot != NULL) {
            buf_printf(&line, ", snapshot %lld", (long long)lake->snapshot->id);
        } else if (lake == NULL && table->relation->kind != RELATION_VIEW) {
            buf_printf(&line, ", %zu file%s", table->object_count,
                       table->object_count == 1 ? "" : "s");
        }
        buf_append_str(&line, table->is_bound ? ", policy applies" : "");
        add_line(lines, buf_slice(&line));
    }
    /* A barrier that the policy itself makes necessary is not told of: it would tell what the
     * policy is made of. */
    if (plan->has_barrier && plan->leak == LEAK_UNSAFE && plan->leak_what != NULL) {
        struct slice name = plan->leak_name;
        buf_reset(&line);
        buf_printf(&line, "Barrier: %s%s", plan->leak_what,
                   plan->leak_what[0] != '\0' && name.len > 0 ? " " : "");
        if (name.len > 0) {
            buf_printf(&line, "\"%.*s\"", SLICE_ARGS(name));
        }
        buf_append_str(&line, " could fail on hidden rows, so it runs above the policy");
        add_line(lines, buf_slice(&line));
    }
}

/* The engine's tree: name, then what it says of itself, children indented. */
static void add_operator(const struct json *node, unsigned depth, struct buf *lines)
{
    struct slice name = json_get_text(node, "name");
    if (name.len == 0) {
        name = json_get_text(node, "operator_name");
    }
    struct buf line CLEANUP(buf_fini) = {0};
    buf_printf(&line, "%*s%.*s", (int)(depth * 2), "", SLICE_ARGS(slice_trim(name)));
    const struct json *rows = json_get(node, "operator_cardinality");
    if (rows != NULL) {
        buf_printf(&line, " (%.*s rows)", SLICE_ARGS(rows->text));
    }
    const struct json *extra = json_get(node, "extra_info");
    const struct json *first = extra == NULL ? NULL : extra->first;
    for (const struct json *e = first; e != NULL; e = e->next) {
        if (slice_equal(e->key, SLICE("Function")) || e->type == JSON_OBJECT) {
            continue;
        }
        buf_printf(&line, "%s%.*s: ", e == first ? "  " : "; ", SLICE_ARGS(e->key));
        if (e->type == JSON_ARRAY) {
            for (const struct json *item = e->first; item != NULL; item = item->next) {
                buf_printf(&line, "%s%.*s", item == e->first ? "" : ", ", SLICE_ARGS(item->text));
            }
        } else {
            buf_append_slice(&line, e->text);
        }
    }
    if (name.len > 0) {
        add_line(lines, buf_slice(&line));
    }
    const struct json *children = json_get(node, "children");
    for (const struct json *c = children == NULL ? NULL : children->first; c != NULL; c = c->next) {
        add_operator(c, name.len > 0 ? depth + 1 : depth, lines);
    }
}

/* Has the engine plan the statement, and run it if asked to. */
static enum err ask_engine(struct query *query, const struct plan *plan, bool is_analyze,
                           struct buf *ret_text, struct errinfo *info)
{
    struct session *session = query->session;
    struct buf bound CLEANUP(buf_fini) = {0};
    TRY(access_open(session->warehouse, session->who, plan, NULL, &query->access, info));
    if (access_bind(query->access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    enum err err = engine_explain(session->engine, session->who, buf_slice(&bound), is_analyze,
                                  ret_text, info);
    if (err != ERR_OK) {
        query_clean_error(query, true, info);
    }
    return err;
}

static enum err add_scans(const struct query *query, const struct plan *plan, bool has_run,
                          struct buf *lines, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    if (!has_run) {
        TRY(access_plan_lakes(query->access, info));
    }
    lake_explain(plan, query->access, has_run, &text);
    add_text(lines, buf_slice(&text));
    return buf_failed(&text) ? errinfo_nomem(info) : ERR_OK;
}

static enum err add_engine_plan(struct query *query, const struct plan *plan, bool is_analyze,
                                struct buf *lines, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    int64_t started_us = clock_mono_us();
    TRY(ask_engine(query, plan, is_analyze, &text, info));
    if (is_analyze) {
        char line[64];
        (void)snprintf(line, sizeof(line), "Total: %.1f ms",
                       (double)(clock_mono_us() - started_us) / 1000);
        add_line(lines, slice_of(line));
    }
    if (!lake_may_explain(plan)) {
        return ERR_OK; /* the tree would tell, and so would counts */
    }
    TRY(add_scans(query, plan, is_analyze, lines, info));
    struct json *root;
    TRY(json_parse(query->arena, buf_slice(&text), NULL, &root, info));
    if (root->type == JSON_ARRAY) {
        for (const struct json *n = root->first; n != NULL; n = n->next) {
            add_operator(n, 0, lines);
        }
    } else {
        add_operator(root, 0, lines);
    }
    return ERR_OK;
}

static enum err explain(struct query *query, const struct statement *statement,
                        const struct plan *plan, struct buf *lines, struct errinfo *info)
{
    if (!statement->is_physical) {
        add_outline(plan, lines);
        if (statement->is_analyze) { /* it runs, so it needs a place like anything that does */
            TRY(query_move(query, QUERY_ADMITTED, info));
        }
        return add_engine_plan(query, plan, statement->is_analyze, lines, info);
    }
    for (size_t i = 0; i < plan->table_count; i++) {
        if (plan->tables[i].is_bound ||
            !resolve_may_administer(query->session->who, plan->tables[i].relation)) {
            (void)errinfo_set(info, ERR_DENIED, NULL,
                              "the physical plan is for the owner of every table in it");
            errinfo_hint(info, "EXPLAIN without (PHYSICAL) shows what may be shown.");
            return ERR_DENIED;
        }
    }
    /* The placeholder is a key to nothing, but tells nothing either. */
    struct slice rest = plan->physical_sql;
    struct slice prefix = slice_of(query->session->warehouse->uri_prefix);
    struct buf shown CLEANUP(buf_fini) = {0};
    for (size_t at; (at = slice_find(rest, prefix)) != SIZE_MAX;) {
        buf_append(&shown, rest.ptr, at);
        buf_append_str(&shown, "moat://grant");
        rest = (struct slice){rest.ptr + at + prefix.len, rest.len - at - prefix.len};
    }
    buf_append_slice(&shown, rest);
    add_text(lines, buf_slice(&shown));
    if (buf_failed(&shown)) {
        return errinfo_nomem(info);
    }
    if (plan->lake_count > 0 && lake_may_explain(plan)) {
        struct buf unused CLEANUP(buf_fini) = {0};
        TRY(ask_engine(query, plan, false, &unused, info));
        TRY(add_scans(query, plan, false, lines, info));
    }
    return ERR_OK;
}

enum err run_explain(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    enum err err = plan_build(query->session, query, statement->query, &plan, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position > 0) {
            info->position += statement_position(query->statement, statement->query) - 1;
        }
        return err;
    }
    struct buf lines CLEANUP(buf_fini) = {0};
    TRY(explain(query, statement, plan, &lines, info));
    access_close(TAKE(query->access));
    if (buf_failed(&lines)) {
        return errinfo_nomem(info);
    }
    struct plan *rows CLEANUP(plan_cleanup) = NULL;
    TRY(plan_rows(query->session, plan_columns, ARRAY_COUNT(plan_columns), buf_slice(&lines), &rows,
                  info));
    return query_run(query, rows, NULL, 0, info);
}
