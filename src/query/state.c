/* Side effects hang on moves: the audit trail on SECURED and on the end states, the places of
 * admission and the grants on the end states. Nothing else in the module writes audit records of
 * queries or releases what a query holds. */
#include "query/state_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "query/admission/admission_int.h"
#include "query/lake/lake_int.h"
#include "query/admission/watchdog_int.h"

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
    query->entered_us[to] = query->is_answered ? 0 : clock_mono_us(); /* no time to speak of */
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

static struct slice print_who(struct session *session)
{
    if (session->printed != session->who) {
        identity_unref(session->printed);
        session->printed = identity_ref(session->who);
        buf_reset(&session->audit_who);
        audit_print_who(session->who, &session->audit_who);
    }
    return buf_failed(&session->audit_who) ? (struct slice){"", 0} : buf_slice(&session->audit_who);
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
    record->who_printed = print_who(query->session);
    record->statement = query->audit_statement;
    record->fingerprint = query->fingerprint;
    record->tables = tables;
    record->table_count = table_count;
    record->write = query->write;
    record->command = slice_of(query->tag);
    return audit_write(query->session->warehouse->audit, record, info);
}

/* S5: the record is on disk before anything that could read a row is started. Of a statement that
 * reads nothing it is written, and synced with the next that is not so. */
static enum err audit_start(struct query *query, UNUSED enum query_state to, struct errinfo *info)
{
    bool reads_nothing = query->plan != NULL && query->plan->reads_nothing;
    struct audit_record record = {.kind = query->is_admin ? AUDIT_ADMIN : AUDIT_QUERY_START,
                                  .is_lazy =
                                      reads_nothing && !query->is_admin && query->write == NULL};
    if (query->is_answered) {
        return ERR_OK; /* the record of its end comes before its rows */
    }
    TRY(write_record(query, &record, info));
    query->is_start_audited = true;
    return ERR_OK;
}

/* What is answered already needs neither an engine nor its memory. */
static enum err take_place(struct query *query, UNUSED enum query_state to, struct errinfo *info)
{
    if (query->is_answered) {
        return ERR_OK;
    }
    TRY(admission_enter(query->session->warehouse->admission, query, info));
    if (query->session->warehouse->hosts != NULL) {
        engine_session_set_memory(query->session->engine, query->memory_bytes);
    }
    return ERR_OK;
}

static size_t fill_durations(const struct query *query, int64_t until,
                             struct audit_duration *durations)
{
    size_t count = 0;
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
    const struct session *session = query->session;
    query_engine_close(query);
    if (query->ticket != NULL) {
        admission_leave(session->warehouse->admission, query);
    }
    watchdog_remove(session->warehouse->watchdog, query);
}

/* Which SQLSTATEs are of which kind of trouble: by their class. */
static unsigned kind_of_error(const char *sqlstate)
{
    static const struct {
        const char *class;
        unsigned kind;
    } classes[] = {{"42501", 1}, {"42", 0}, {"28", 1}, {"53", 2}, {"54", 2}, {"XX", 3}, {"58", 3}};
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        if (strncmp(sqlstate, classes[i].class, strlen(classes[i].class)) == 0) {
            return classes[i].kind;
        }
    }
    return 4;
}

static void observe_span(const struct query *query, enum metric metric, enum query_state from,
                         enum query_state to, int64_t end_us)
{
    int64_t until_us = to == QUERY_DONE ? end_us : query->entered_us[to];
    if (query->entered_us[from] != 0 && until_us != 0) {
        metrics_observe(query->session->warehouse->metrics, metric,
                        until_us - query->entered_us[from]);
    }
}

static void count_tables(const struct query *query, const struct audit_record *record)
{
    struct metrics *metrics = query->session->warehouse->metrics;
    for (size_t i = 0; query->is_start_audited && i < record->table_count; i++) {
        metrics_add(metrics, METRIC_POLICY_TABLES, query->plan->tables[i].is_bound ? 0 : 1, 1);
        metrics_add(metrics, METRIC_BYTES_READ, 0, record->tables[i].bytes_read);
    }
}

static void count_end(const struct query *query, enum query_state to, int64_t now_us,
                      const struct audit_record *record)
{
    struct metrics *metrics = query->session->warehouse->metrics;
    unsigned state = (unsigned)to - QUERY_DONE; /* done, failed, cancelled, as the metric has it */
    unsigned protocol = (unsigned)query->session->protocol;
    metrics_add(
        metrics, METRIC_QUERIES,
        state * METRIC_PROTOCOLS + (protocol == SESSION_LIBRARY ? METRIC_EMBEDDED : protocol), 1);
    metrics_add(metrics, METRIC_ROWS_OUT, 0, query->rows_out);
    metrics_add(metrics, METRIC_BYTES_OUT, 0, query->bytes_out);
    observe_span(query, METRIC_QUERY_PLAN, QUERY_RECEIVED, QUERY_PLANNED, now_us);
    observe_span(query, METRIC_QUERY_QUEUE, QUERY_PLANNED, QUERY_ADMITTED, now_us);
    observe_span(query, METRIC_QUERY_RUN, QUERY_ADMITTED, QUERY_DONE, now_us);
    count_tables(query, record);
    if (to == QUERY_FAILED) {
        unsigned kind = kind_of_error(query->sqlstate);
        metrics_add(metrics, METRIC_QUERY_ERRORS, kind, 1);
        metrics_add(metrics, METRIC_POLICY_DENIED, 0,
                    kind == 1 || strcmp(query->sqlstate, "42P01") == 0);
    }
}

/* The end record carries what the start could not know. A failing trail does not undo an end:
 * the rows are out, the start record stands, and the program's log says so. */
static enum err finish(struct query *query, enum query_state to, struct errinfo *info)
{
    release(query);
    int64_t now_us = clock_mono_us();
    struct audit_duration durations[QUERY_STATE_COUNT];
    struct audit_record record = {
        .kind = query->is_start_audited || query->is_answered ? AUDIT_QUERY_END : AUDIT_DENIED,
        .is_lazy = query->is_start_audited || query->is_answered,
        .state = slice_of(moves[to].name),
        .sqlstate = slice_of(query->sqlstate),
        .rows_out = query->rows_out,
        .bytes_out = query->bytes_out,
        .durations = durations,
        .duration_count = fill_durations(query, now_us, durations),
        .duration_us = now_us - query->entered_us[QUERY_RECEIVED],
    };
    if (query->is_answered && to == QUERY_DONE) {
        TRY(write_record(query, &record, info));
        count_end(query, to, now_us, &record);
        return ERR_OK;
    }
    struct errinfo trouble;
    if (write_record(query, &record, &trouble) != ERR_OK) {
        log_error("query", "the end of query %s is not in the audit trail: %s", query->id,
                  trouble.message);
    }
    count_end(query, to, now_us, &record);
    if (to == QUERY_DONE) {
        lake_report_scans(query);
    }
    access_close(TAKE(query->access));
    return ERR_OK;
}
