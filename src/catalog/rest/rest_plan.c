/* Planning by the catalog: asked for, waited for, fetched task by task, and given up where nobody
 * wants it any more.
 *
 * A plan's own credentials are kept beside the table's, newest first: a catalog may lend for the
 * files of one plan only. */
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/plan.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/rest/rest_plan_int.h"

#define POLL_MS_MIN 20
#define POLL_MS_MAX 1000
#define POLL_STEP_MS 50 /* how soon a cancelled statement ends its waiting */
#define WAIT_MS_MAX (15 * 60 * 1000)
#define CANCEL_MS 1000
#define LOANS_MAX 64

struct loan {
    struct storage_grant *grant;
    const struct identity *lent_to;
};

struct rest_planner {
    struct rest *rest;
    struct rest_catalog catalog;
    const struct identity *who;
    struct arena *arena;
    struct rest_namespace ns;
    struct slice name;
    pthread_mutex_t lock; /* of the loans */
    struct loan loans[LOANS_MAX];
    size_t loan_count;
};

enum err rest_planner_open(struct rest *rest, const struct rest_catalog *catalog,
                           const struct identity *who, const struct rest_namespace *ns,
                           struct slice name, struct rest_planner **ret_planner,
                           struct errinfo *info)
{
    ASSERT(who != NULL);
    struct rest_planner *planner = mem_calloc(1, sizeof(*planner));
    if (planner == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&planner->lock, NULL);
    planner->rest = rest;
    planner->catalog = *catalog;
    planner->catalog.ahead = NULL;
    planner->who = who;
    planner->arena = arena_new(NULL, "planner", 0);
    struct slice *levels = planner->arena == NULL
                               ? NULL
                               : arena_calloc(planner->arena, ns->level_count + 1, sizeof(*levels));
    bool is_copied = levels != NULL && arena_slice(planner->arena, name, &planner->name);
    for (size_t i = 0; is_copied && i < ns->level_count; i++) {
        is_copied = arena_slice(planner->arena, ns->levels[i], &levels[i]);
    }
    if (!is_copied) {
        rest_planner_close(planner);
        return errinfo_nomem(info);
    }
    planner->ns = (struct rest_namespace){levels, ns->level_count};
    *ret_planner = planner;
    return ERR_OK;
}

void rest_planner_close(struct rest_planner *planner)
{
    if (planner == NULL) {
        return;
    }
    for (size_t i = 0; i < planner->loan_count; i++) {
        storage_grant_unref(planner->loans[i].grant);
    }
    pthread_mutex_destroy(&planner->lock);
    arena_free(planner->arena);
    mem_free(planner);
}

void rest_planner_watch(struct rest_planner *planner, bool (*is_cancelled)(void *context),
                        void *cancel_context)
{
    planner->catalog.is_cancelled = is_cancelled;
    planner->catalog.cancel_context = cancel_context;
}

/* ---- one plan ---- */

struct asking {
    struct rest_planner *planner;
    struct rest_call call;
    struct arena *arena;
    struct slice plan_id; /* of what the catalog holds for us; empty = nothing */
    struct rest_plan_page *pages;
    size_t page_count;
    size_t page_capacity;
    struct slice *tasks; /* all that were named so far */
    size_t task_count;
    size_t task_capacity;
};

static bool grow(struct arena *arena, void *array_of_pointer, size_t *capacity, size_t need,
                 size_t item_bytes)
{
    void **array = array_of_pointer;
    if (need <= *capacity) {
        return true;
    }
    size_t wanted = need * 2;
    void *grown = arena_calloc(arena, wanted, item_bytes);
    if (grown == NULL) {
        return false;
    }
    if (*capacity > 0) {
        memcpy(grown, *array, *capacity * item_bytes);
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

static enum err need_endpoint(const struct asking *asking, enum rest_endpoint endpoint)
{
    const struct rest_call *call = &asking->call;
    if ((call->config->endpoints & endpoint) != 0) {
        return ERR_OK;
    }
    (void)errinfo_set(call->info, ERR_UNSUPPORTED, NULL,
                      "catalog \"%.*s\" is to plan the scan of table \"%.*s\", and has no endpoint "
                      "for it",
                      SLICE_ARGS(call->catalog->name), SLICE_ARGS(asking->planner->name));
    errinfo_hint(call->info, "ATTACH OR REPLACE ... (PLANNING 'client') plans it here, where the "
                             "catalog lets the table's manifests be read.");
    return ERR_UNSUPPORTED;
}

static enum err ask(const struct asking *asking, const char *method, const char *path,
                    struct slice last, struct slice body, struct rest_answer *ret_answer)
{
    const struct rest_planner *planner = asking->planner;
    struct buf url CLEANUP(buf_fini) = {0};
    rest_url__namespace(&url, asking->call.config, &planner->ns);
    buf_append_str(&url, "/tables/");
    rest_url__encode(&url, planner->name);
    buf_append_str(&url, path);
    rest_url__encode(&url, last);
    const struct rest_question question = {.method = slice_of(method),
                                           .path = buf_slice(&url),
                                           .body = body,
                                           .delegates = true,
                                           .what = "table",
                                           .name = planner->name};
    return buf_failed(&url) ? errinfo_nomem(asking->call.info)
                            : rest_call__ask(&asking->call, &question, ret_answer);
}

static bool is_given_up(const struct rest_planner *planner)
{
    return planner->catalog.is_cancelled != NULL &&
           planner->catalog.is_cancelled(planner->catalog.cancel_context);
}

/* ---- giving up ---- */

static bool is_late(void *context)
{
    const int64_t *until_us = context;
    return clock_mono_us() > *until_us;
}

/* Nobody waits for the answer, or learns of it. */
static void cancel(const struct asking *asking)
{
    struct rest_catalog catalog = asking->planner->catalog;
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    int64_t until_us = clock_mono_us() + CANCEL_MS * 1000;
    struct asking last = *asking;
    if (asking->plan_id.len == 0 || (asking->call.config->endpoints & REST_CANCEL_PLAN) == 0) {
        return;
    }
    catalog.is_cancelled = is_late;
    catalog.cancel_context = &until_us;
    last.call.catalog = &catalog;
    last.call.info = NULL;
    enum err err = ask(&last, "DELETE", "/plan/", asking->plan_id, (struct slice){0}, &answer);
    (void)err;
}

/* ---- what an answer brings ---- */

static enum err keep_loan(struct asking *asking, struct slice credentials)
{
    struct rest_planner *planner = asking->planner;
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    struct loan loan;
    if (credentials.len == 0) {
        return ERR_OK;
    }
    TRY(rest_vended__parse(&asking->call, credentials, (struct slice){0}, &vended));
    TRY(rest_lend(&asking->call, &planner->ns, planner->name, asking->plan_id, &vended,
                  (struct slice){0}, &loan.grant, &loan.lent_to));
    if (loan.grant == NULL) {
        return ERR_OK;
    }
    pthread_mutex_lock(&planner->lock);
    bool has_room = planner->loan_count < LOANS_MAX;
    if (has_room) {
        planner->loans[planner->loan_count++] = loan;
    }
    pthread_mutex_unlock(&planner->lock);
    if (!has_room) {
        storage_grant_unref(loan.grant);
        return errinfo_set(asking->call.info, ERR_LIMIT, NULL,
                           "one scan of \"%.*s\" has more than %d plans with credentials",
                           SLICE_ARGS(planner->name), LOANS_MAX);
    }
    return ERR_OK;
}

static enum err add_tasks(struct asking *asking, const struct rest_plan_answer *answer)
{
    size_t need = asking->task_count + answer->task_count;
    if (need > REST_PLAN_TASKS_MAX) {
        return errinfo_set(asking->call.info, ERR_LIMIT, NULL,
                           "the catalog's plan of \"%.*s\" has more than %u tasks",
                           SLICE_ARGS(asking->planner->name), REST_PLAN_TASKS_MAX);
    }
    if (!grow(asking->arena, &asking->tasks, &asking->task_capacity, need,
              sizeof(*asking->tasks))) {
        return errinfo_nomem(asking->call.info);
    }
    for (size_t i = 0; i < answer->task_count; i++) {
        asking->tasks[asking->task_count++] = answer->tasks[i];
    }
    return ERR_OK;
}

static enum err take_completed(struct asking *asking, const struct rest_plan_answer *answer)
{
    if (!grow(asking->arena, &asking->pages, &asking->page_capacity, asking->page_count + 1,
              sizeof(*asking->pages))) {
        return errinfo_nomem(asking->call.info);
    }
    asking->pages[asking->page_count++] = answer->page;
    TRY(add_tasks(asking, answer));
    return keep_loan(asking, answer->credentials);
}

static enum err take(struct asking *asking, enum rest_plan_kind kind, struct slice body,
                     bool *ret_is_done)
{
    struct errinfo *info = asking->call.info;
    struct rest_plan_answer answer;
    TRY(rest_plan__parse(&asking->call, kind, body, asking->arena, &answer));
    if (kind == REST_PLAN_ASKED) {
        asking->plan_id = answer.plan_id;
    }
    *ret_is_done = answer.status != REST_PLAN_SUBMITTED;
    const struct rest_question question = {.what = "table", .name = asking->planner->name};
    switch (answer.status) {
    case REST_PLAN_COMPLETED:
        return take_completed(asking, &answer);
    case REST_PLAN_SUBMITTED:
        return ERR_OK;
    case REST_PLAN_CANCELLED:
        asking->plan_id = (struct slice){0};
        return errinfo_set(
            info, ERR_BUSY, "08006", "catalog \"%.*s\" gave up planning the scan of table \"%.*s\"",
            SLICE_ARGS(asking->call.catalog->name), SLICE_ARGS(asking->planner->name));
    case REST_PLAN_FAILED:
        asking->plan_id = (struct slice){0};
        return rest_answer__error(asking->call.catalog, &question, answer.error_status, body, 0,
                                  info);
    }
    return rest_answer__wrong(&asking->call, "a plan of an unknown status");
}

/* ---- the way of a plan ---- */

static enum err pause_for(const struct asking *asking, int64_t pause_ms)
{
    int64_t until_us = clock_mono_us() + pause_ms * 1000;
    for (;;) {
        int64_t left_us = until_us - clock_mono_us();
        if (is_given_up(asking->planner)) {
            return errinfo_set(asking->call.info, ERR_CANCELLED, NULL,
                               "the statement was cancelled");
        }
        if (left_us <= 0) {
            return ERR_OK;
        }
        int64_t step_us = left_us < POLL_STEP_MS * 1000 ? left_us : POLL_STEP_MS * 1000;
        struct timespec step = {.tv_nsec = step_us * 1000};
        (void)nanosleep(&step, NULL);
    }
}

static enum err wait_for(struct asking *asking)
{
    int64_t until_us = clock_mono_us() + (int64_t)WAIT_MS_MAX * 1000;
    int64_t pause_ms = POLL_MS_MIN;
    bool is_done = false;
    TRY(need_endpoint(asking, REST_FETCH_PLAN));
    while (!is_done) {
        struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
        if (clock_mono_us() > until_us) {
            return errinfo_set(asking->call.info, ERR_BUSY, "08006",
                               "catalog \"%.*s\" does not come to an end with planning the scan of "
                               "table \"%.*s\"",
                               SLICE_ARGS(asking->call.catalog->name),
                               SLICE_ARGS(asking->planner->name));
        }
        TRY(pause_for(asking, pause_ms));
        TRY(ask(asking, "", "/plan/", asking->plan_id, (struct slice){0}, &answer));
        TRY(take(asking, REST_PLAN_FETCHED, secret_slice(&answer.body), &is_done));
        pause_ms = pause_ms * 2 < POLL_MS_MAX ? pause_ms * 2 : POLL_MS_MAX;
    }
    return ERR_OK;
}

/* Tasks may bring more tasks. */
static enum err fetch_tasks(struct asking *asking)
{
    for (size_t i = 0; i < asking->task_count; i++) {
        struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
        struct buf body CLEANUP(buf_fini) = {0};
        bool is_done;
        TRY(need_endpoint(asking, REST_FETCH_TASKS));
        TRY(pause_for(asking, 0));
        buf_append_str(&body, "{\"plan-task\":");
        json_write_string(&body, asking->tasks[i]);
        buf_append_char(&body, '}');
        if (buf_failed(&body)) {
            return errinfo_nomem(asking->call.info);
        }
        TRY(ask(asking, "POST", "/tasks", (struct slice){0}, buf_slice(&body), &answer));
        TRY(take(asking, REST_PLAN_TASK, secret_slice(&answer.body), &is_done));
    }
    return ERR_OK;
}

static enum err plan(struct asking *asking, struct slice request)
{
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    bool is_done;
    TRY(need_endpoint(asking, REST_PLAN_SCAN));
    TRY(ask(asking, "POST", "/plan", (struct slice){0}, request, &answer));
    TRY(take(asking, REST_PLAN_ASKED, secret_slice(&answer.body), &is_done));
    if (!is_done) {
        TRY(wait_for(asking));
    }
    return fetch_tasks(asking);
}

enum err rest_planner_plan(struct rest_planner *planner, struct slice request, struct arena *arena,
                           struct rest_plan_page **ret_pages, size_t *ret_count,
                           struct errinfo *info)
{
    struct asking asking = {.planner = planner, .arena = arena};
    TRY(rest_call__open(planner->rest, &planner->catalog, planner->who, &asking.call, info));
    enum err err = plan(&asking, request);
    if (err != ERR_OK) {
        cancel(&asking);
    } else {
        *ret_pages = asking.pages;
        *ret_count = asking.page_count;
    }
    rest_call__close(&asking.call);
    return err;
}

/* ---- files ---- */

static struct loan loan_at(struct rest_planner *planner, size_t age)
{
    pthread_mutex_lock(&planner->lock);
    struct loan loan = age < planner->loan_count ? planner->loans[planner->loan_count - 1 - age]
                                                 : (struct loan){0};
    pthread_mutex_unlock(&planner->lock);
    return loan;
}

enum err rest_planner_open_object(struct rest_planner *planner, struct slice location,
                                  struct storage_object **ret_object, struct errinfo *info)
{
    struct loan loan;
    for (size_t age = 0; (loan = loan_at(planner, age)).grant != NULL; age++) {
        enum err err = storage_grant_open(loan.grant, loan.lent_to, location, (struct slice){0},
                                          ret_object, info);
        if (err != ERR_DENIED) {
            return err;
        }
    }
    return rest_open_object(planner->rest, &planner->catalog, planner->who, &planner->ns,
                            planner->name, location, ret_object, info);
}
