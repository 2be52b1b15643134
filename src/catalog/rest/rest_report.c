#include "catalog/rest/report.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "catalog/rest/rest_int.h"
#include "identity/identity.h"

#define WAITING_MAX 64u
#define PAUSE_US (60 * INT64_C(1000000))

/* One that waits: all it points to is in its arena, but who it is told as. */
struct report {
    struct arena *arena;
    struct rest_catalog catalog;
    struct identity *who;
    struct rest_namespace ns;
    struct slice name;
    struct slice body;
};

struct rest_reporter {
    struct rest *rest;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_begun; /* the thread is there */
    atomic_bool is_stopping;
    atomic_bool is_wanted;              /* by a catalog, or by configuration */
    struct report waiting[WAITING_MAX]; /* a ring */
    size_t first, count;
    int64_t paused_until_us;
};

/* ---- the text ---- */

static void add_counter(struct buf *out, const char *name, const char *unit, uint64_t value)
{
    bool is_first = out->len > 0 && out->ptr[out->len - 1] == '{';
    buf_printf(out, "%s\"%s\":{\"unit\":\"%s\",\"value\":%llu}", is_first ? "" : ",", name, unit,
               (unsigned long long)value);
}

static void begin(struct buf *out, const char *type, const struct rest_catalog *catalog,
                  const struct rest_namespace *ns, struct slice name)
{
    struct buf full CLEANUP(buf_fini) = {0};
    buf_append_slice(&full, catalog->name);
    for (size_t i = 0; i < ns->level_count; i++) {
        buf_append_char(&full, '.');
        buf_append_slice(&full, ns->levels[i]);
    }
    buf_append_char(&full, '.');
    buf_append_slice(&full, name);
    buf_printf(out, "{\"report-type\":\"%s\",\"table-name\":", type);
    json_write_string(out, buf_slice(&full));
    out->failed = out->failed || buf_failed(&full);
}

/* The query's id, by which the catalog's log and the audit trail meet. */
static void end(struct buf *out, const struct rest_catalog *catalog)
{
    buf_append_str(out,
                   "},\"metadata\":{\"engine-name\":\"moat\",\"engine-version\":\"" MOAT_VERSION
                   "\",\"moat.query-id\":");
    json_write_string(out, catalog->request_id);
    buf_append_str(out, "}}");
}

static void print_scan(const struct rest_scan_report *report, struct buf *out)
{
    buf_printf(out, ",\"snapshot-id\":%lld,\"schema-id\":%d,\"filter\":true,",
               (long long)report->snapshot_id, report->schema_id);
    buf_append_str(out, "\"projected-field-ids\":[");
    for (size_t i = 0; i < report->field_count; i++) {
        buf_printf(out, "%s%d", i == 0 ? "" : ",", report->field_ids[i]);
    }
    buf_append_str(out, "],\"projected-field-names\":[");
    for (size_t i = 0; i < report->field_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, report->field_names[i]);
    }
    buf_append_str(out, "],\"metrics\":{");
    add_counter(out, "result-data-files", "count", report->data_files);
    add_counter(out, "result-delete-files", "count", report->delete_files);
    add_counter(out, "total-file-size-in-bytes", "bytes", report->data_bytes);
    add_counter(out, "equality-delete-files", "count", report->equality_delete_files);
    add_counter(out, "positional-delete-files", "count", report->position_delete_files);
    add_counter(out, "dvs", "count", report->vectors);
    add_counter(out, "total-data-manifests", "count", report->manifests);
    add_counter(out, "scanned-data-manifests", "count",
                report->manifests - report->manifests_skipped);
    add_counter(out, "skipped-data-manifests", "count", report->manifests_skipped);
    add_counter(out, "total-delete-manifests", "count", report->delete_manifests);
    add_counter(out, "skipped-delete-manifests", "count", report->delete_manifests_skipped);
    add_counter(out, "skipped-data-files", "count", report->files_skipped);
}

static void print_commit(const struct rest_commit_report *report, struct buf *out)
{
    buf_printf(out, ",\"snapshot-id\":%lld,\"sequence-number\":%lld,\"operation\":",
               (long long)report->snapshot_id, (long long)report->sequence_number);
    json_write_string(out, report->operation);
    buf_append_str(out, ",\"metrics\":{");
    buf_printf(out,
               "\"total-duration\":{\"count\":1,\"time-unit\":\"nanoseconds\","
               "\"total-duration\":%lld}",
               (long long)report->duration_us * 1000);
    add_counter(out, "attempts", "count", report->attempts);
    add_counter(out, "added-data-files", "count", report->added_data_files);
    add_counter(out, "removed-data-files", "count", report->removed_data_files);
    add_counter(out, "added-delete-files", "count", report->added_delete_files);
    add_counter(out, "added-records", "count", report->added_rows);
    add_counter(out, "added-files-size-bytes", "bytes", report->added_bytes);
}

/* ---- the thread ---- */

static void report_fini(struct report *report)
{
    identity_unref(report->who);
    arena_free(report->arena);
    *report = (struct report){0};
}

static bool is_stopping(void *context)
{
    const struct rest_reporter *reporter = context;
    return atomic_load(&reporter->is_stopping);
}

static bool is_wanted(const struct rest_call *call)
{
    const struct rest_config *config = call->config;
    return (config->endpoints & REST_REPORT) != 0 &&
           (config->reports == REST_REPORTS_WANTED ||
            (config->reports == REST_REPORTS_UNSAID && call->rest->options.sends_reports));
}

static enum err tell(struct rest *rest, const struct report *report, struct errinfo *info)
{
    struct rest_call call;
    struct rest_answer answer = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    enum err err = rest_call__open(rest, &report->catalog, report->who, &call, info);
    if (err == ERR_OK && is_wanted(&call)) {
        rest_url__namespace(&path, call.config, &report->ns);
        buf_append_str(&path, "/tables/");
        rest_url__encode(&path, report->name);
        buf_append_str(&path, "/metrics");
        const struct rest_question question = {.method = SLICE("POST"),
                                               .path = buf_slice(&path),
                                               .body = report->body,
                                               .changes = true,
                                               .what = "table",
                                               .name = report->name};
        err = buf_failed(&path) ? errinfo_nomem(info) : rest_call__ask(&call, &question, &answer);
    }
    rest_answer__fini(&answer);
    rest_call__close(&call);
    return err;
}

static void *work(void *context)
{
    struct rest_reporter *reporter = context;
    pthread_mutex_lock(&reporter->lock);
    while (!atomic_load(&reporter->is_stopping)) {
        if (reporter->count == 0) {
            pthread_cond_wait(&reporter->changed, &reporter->lock);
            continue;
        }
        struct report next = reporter->waiting[reporter->first];
        reporter->waiting[reporter->first] = (struct report){0};
        reporter->first = (reporter->first + 1) % WAITING_MAX;
        reporter->count--;
        bool is_paused = clock_mono_us() < reporter->paused_until_us;
        pthread_mutex_unlock(&reporter->lock);
        struct errinfo ignored;
        enum err err = is_paused ? ERR_OK : tell(reporter->rest, &next, &ignored);
        report_fini(&next);
        pthread_mutex_lock(&reporter->lock);
        reporter->paused_until_us =
            err == ERR_OK ? reporter->paused_until_us : clock_mono_us() + PAUSE_US;
    }
    pthread_mutex_unlock(&reporter->lock);
    return NULL;
}

enum err rest_reporter__new(struct rest *rest, struct rest_reporter **ret_reporter,
                            struct errinfo *info)
{
    struct rest_reporter *reporter = mem_calloc(1, sizeof(*reporter));
    if (reporter == NULL) {
        return errinfo_nomem(info);
    }
    reporter->rest = rest;
    atomic_init(&reporter->is_wanted, rest->options.sends_reports);
    pthread_mutex_init(&reporter->lock, NULL);
    pthread_cond_init(&reporter->changed, NULL);
    *ret_reporter = reporter;
    return ERR_OK;
}

void rest_reporter__want(struct rest_reporter *reporter)
{
    atomic_store(&reporter->is_wanted, true);
}

void rest_reporter__free(struct rest_reporter *reporter)
{
    if (reporter == NULL) {
        return;
    }
    atomic_store(&reporter->is_stopping, true);
    pthread_mutex_lock(&reporter->lock);
    pthread_cond_broadcast(&reporter->changed);
    pthread_mutex_unlock(&reporter->lock);
    if (reporter->is_begun) {
        (void)pthread_join(reporter->thread, NULL);
    }
    for (size_t i = 0; i < WAITING_MAX; i++) {
        report_fini(&reporter->waiting[i]);
    }
    pthread_cond_destroy(&reporter->changed);
    pthread_mutex_destroy(&reporter->lock);
    mem_free(reporter);
}

/* ---- into the queue ---- */

static bool copy_levels(const struct rest_namespace *ns, struct arena *arena,
                        struct rest_namespace *ret_ns)
{
    struct slice *levels = arena_calloc(arena, ns->level_count + 1, sizeof(*levels));
    bool is_copied = levels != NULL;
    for (size_t i = 0; is_copied && i < ns->level_count; i++) {
        is_copied = arena_slice(arena, ns->levels[i], &levels[i]);
    }
    *ret_ns = (struct rest_namespace){levels, ns->level_count};
    return is_copied;
}

static bool copy_catalog(const struct rest_catalog *catalog, struct rest_reporter *reporter,
                         struct arena *arena, struct rest_catalog *ret)
{
    bool is_copied = rest_catalog_copy(catalog, arena, ret);
    ret->is_cancelled = is_stopping;
    ret->cancel_context = reporter;
    return is_copied;
}

static bool put(struct rest_reporter *reporter, struct report *report)
{
    pthread_mutex_lock(&reporter->lock);
    if (!reporter->is_begun) {
        reporter->is_begun = pthread_create(&reporter->thread, NULL, work, reporter) == 0;
    }
    bool has_room = reporter->is_begun && reporter->count < WAITING_MAX;
    if (has_room) {
        reporter->waiting[(reporter->first + reporter->count++) % WAITING_MAX] = *report;
        pthread_cond_signal(&reporter->changed);
    }
    pthread_mutex_unlock(&reporter->lock);
    return has_room;
}

static void queue(struct rest *rest, const struct rest_catalog *catalog, const struct identity *who,
                  const struct rest_namespace *ns, struct slice name, struct slice body)
{
    struct report report = {.arena = arena_new(NULL, "report", 0)};
    bool is_copied = report.arena != NULL &&
                     copy_catalog(catalog, rest->reporter, report.arena, &report.catalog) &&
                     copy_levels(ns, report.arena, &report.ns) &&
                     arena_slice(report.arena, name, &report.name) &&
                     arena_slice(report.arena, body, &report.body);
    if (is_copied) {
        report.who = identity_ref((struct identity *)(uintptr_t)who); /* counted */
    }
    if (!is_copied || !put(rest->reporter, &report)) {
        report_fini(&report);
    }
}

void rest_report_scan(struct rest *rest, const struct rest_catalog *catalog,
                      const struct identity *who, const struct rest_namespace *ns,
                      struct slice name, const struct rest_scan_report *report)
{
    if (!atomic_load(&rest->reporter->is_wanted)) {
        return;
    }
    struct buf body CLEANUP(buf_fini) = {0};
    begin(&body, "scan-report", catalog, ns, name);
    print_scan(report, &body);
    end(&body, catalog);
    if (!buf_failed(&body)) {
        queue(rest, catalog, who, ns, name, buf_slice(&body));
    }
}

void rest_report_commit(struct rest *rest, const struct rest_catalog *catalog,
                        const struct identity *who, const struct rest_namespace *ns,
                        struct slice name, const struct rest_commit_report *report)
{
    if (!atomic_load(&rest->reporter->is_wanted)) {
        return;
    }
    struct buf body CLEANUP(buf_fini) = {0};
    begin(&body, "commit-report", catalog, ns, name);
    print_commit(report, &body);
    end(&body, catalog);
    if (!buf_failed(&body)) {
        queue(rest, catalog, who, ns, name, buf_slice(&body));
    }
}
