/* Side effects hang on moves: the audit trail on SECURED and on the end states, the places of
 * admission and the grants on the end states. Nothing else in the module writes audit records of
 * queries or releases what a query holds. */
#include "query/state_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "query/lake_int.h"

typedef enum err (*move_fn)(struct query *query, enum query_state to, struct errinfo *info);

static enum err audit_start(struct query *query, enum query_state to, struct errinfo *info);
static enum err take_place(struct query *query, enum query_state to, struct errinfo *info);
static enum err finish(struct query *query, enum query_state to, struct errinfo *info);

#define BIT(state) (1u << (state))
#define BEFORE_END (BIT(QUERY_DONE) - 1)

/* to <- any of from, performing. DDL ends from SECURED; a plan out of the cache skips PARSED and
 * RESOLVED. */
static const struct {
    const char *name;
    unsigned from;
    move_fn perform;
} moves[QUERY_STATE_COUNT] = {
    [QUERY_RECEIVED] = {"RECEIVED", 0, NULL},
    [QUERY_PARSED] = {"PARSED", BIT(QUERY_RECEIVED), NULL},
    [QUERY_RESOLVED] = {"RESOLVED", BIT(QUERY_PARSED), NULL},
    [QUERY_SECURED] = {"SECURED", BIT(QUERY_RECEIVED) | BIT(QUERY_PARSED) | BIT(QUERY_RESOLVED),
                       audit_start},
    [QUERY_PLANNED] = {"PLANNED", BIT(QUERY_SECURED), NULL},
    [QUERY_ADMITTED] = {"ADMITTED", BIT(QUERY_PLANNED), take_place},
    [QUERY_RUNNING] = {"RUNNING", BIT(QUERY_ADMITTED), NULL},
    [QUERY_STREAMING] = {"STREAMING", BIT(QUERY_RUNNING), NULL},
    [QUERY_DONE] = {"DONE", BIT(QUERY_SECURED) | BIT(QUERY_RUNNING) | BIT(QUERY_STREAMING), finish},
    [QUERY_FAILED] = {"FAILED", BEFORE_END, finish},
    [QUERY_CANCELLED] = {"CANCELLED", BEFORE_END, finish},
};

const char *query_state_name(enum query_state state)
{
    return moves[state].name;
}

bool query_state_is_final(enum query_state state)
{
    return state >= QUERY_DONE;
}

enum err query_move(struct query *query, enum query_state to, struct errinfo *info)
{
    ASSERT((moves[to].from & BIT(query->state)) != 0);
    if (moves[to].perform != NULL) {
        TRY(moves[to].perform(query, to, info));
    }
    query->state = to;
    atomic_store_explicit(&query->running.state, (int)to, memory_order_relaxed);
    query->entered_us[to] = clock_mono_us();
    return ERR_OK;
}

static void fill_lake(const struct query *query, const struct plan_table *table,
                      struct audit_table *out)
{
    if (query->access != NULL && table->relation->kind == RELATION_TABLE) {
        struct lake_scan_counts counts = access_lake_work(query->access, table->scan);
        out->files = counts.plan.files_matched;
        out->bytes_read = table->is_mentioned_before ? 0 : counts.bytes_read;
    }
}

static void fill_tables(const struct query *query, struct audit_table *tables)
{
    const struct plan *plan = query->plan;
    for (size_t i = 0; plan != NULL && i < plan->table_count; i++) {
        tables[i] = plan->tables[i].audit;
        tables[i].files = plan->tables[i].object_count;
        if (plan->tables[i].relation->lake != NULL) {
            fill_lake(query, &plan->tables[i], &tables[i]);
            continue;
        }
        if (query->access != NULL && !plan->tables[i].is_mentioned_before) {
            tables[i].bytes_read = access_bytes_read(query->access, plan->tables[i].object_first,
                                                     plan->tables[i].object_count);
        }
    }
}

static enum err write_record(struct query *query, struct audit_record *record, struct errinfo *info)
{
    size_t table_count = query->plan == NULL ? 0 : query->plan->table_count;
    struct audit_table *tables = arena_calloc(query->arena, table_count + 1, sizeof(*tables));
    if (tables == NULL) {
        return errinfo_nomem(info);
    }
    fill_tables(query, tables);
    record->query_id = slice_of(query->id);
    record->who = query->session->who;
    record->statement = query->audit_statement;
    record->fingerprint = query->fingerprint;
    record->tables = tables;
    record->table_count = table_count;
    record->command = slice_of(query->tag);
    return audit_write(query->session->warehouse->audit, record, info);
}

/* S5: the record is on disk before anything that could read a row is started. */
static enum err audit_start(struct query *query, UNUSED enum query_state to, struct errinfo *info)
{
    struct audit_record record = {.kind = query->is_admin ? AUDIT_ADMIN : AUDIT_QUERY_START};
    TRY(write_record(query, &record, info));
    query->is_start_audited = true;
    return ERR_OK;
}

static enum err take_place(struct query *query, UNUSED enum query_state to, struct errinfo *info)
{
    TRY(admission_enter(query->session->warehouse->admission, query, info));
    query->is_admitted = true;
    return ERR_OK;
}

static size_t fill_durations(const struct query *query, struct audit_duration *durations)
{
    size_t count = 0;
    int64_t until = clock_mono_us();
    for (int state = QUERY_DONE - 1; state >= QUERY_RECEIVED; state--) {
        if (query->entered_us[state] != 0) {
            durations[count++] =
                (struct audit_duration){moves[state].name, until - query->entered_us[state]};
            until = query->entered_us[state];
        }
    }
    for (size_t i = 0; i < count / 2; i++) { /* in the order they were lived */
        struct audit_duration swap = durations[i];
        durations[i] = durations[count - 1 - i];
        durations[count - 1 - i] = swap;
    }
    return count;
}

static void release(struct query *query)
{
    struct session *session = query->session;
    pthread_mutex_lock(&session->lock);
    struct engine_query *engine = TAKE(query->engine);
    pthread_mutex_unlock(&session->lock);
    engine_query_close(engine);
    if (query->is_admitted) {
        admission_leave(session->warehouse->admission, query);
        query->is_admitted = false;
    }
    watchdog_remove(session->warehouse->watchdog, query);
}

/* The end record carries what the start could not know. A failing trail does not undo an end:
 * the rows are out, the start record stands, and the program's log says so. */
static enum err finish(struct query *query, enum query_state to, UNUSED struct errinfo *info)
{
    release(query);
    struct audit_duration durations[QUERY_STATE_COUNT];
    struct audit_record record = {
        .kind = query->is_start_audited ? AUDIT_QUERY_END : AUDIT_DENIED,
        .is_lazy = query->is_start_audited,
        .state = slice_of(moves[to].name),
        .sqlstate = slice_of(query->sqlstate),
        .rows_out = query->rows_out,
        .bytes_out = query->bytes_out,
        .durations = durations,
        .duration_count = fill_durations(query, durations),
        .duration_us = clock_mono_us() - query->entered_us[QUERY_RECEIVED],
    };
    struct errinfo trouble;
    if (write_record(query, &record, &trouble) != ERR_OK) {
        log_error("query", "the end of query %s is not in the audit trail: %s", query->id,
                  trouble.message);
    }
    access_close(TAKE(query->access));
    return ERR_OK;
}
