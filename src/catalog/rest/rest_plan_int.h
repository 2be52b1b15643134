/* Planning: shared by its two files, the fuzzer and tests. */
#pragma once

#include "catalog/rest/plan.h"
#include "catalog/rest/rest_int.h"

#define REST_PLAN_TASKS_MAX 100000u

enum rest_plan_kind {
    REST_PLAN_ASKED,   /* planTableScan */
    REST_PLAN_FETCHED, /* fetchPlanningResult */
    REST_PLAN_TASK,    /* fetchScanTasks */
};

enum rest_plan_status {
    REST_PLAN_COMPLETED,
    REST_PLAN_SUBMITTED,
    REST_PLAN_CANCELLED,
    REST_PLAN_FAILED,
};

struct rest_plan_answer {
    enum rest_plan_status status;
    struct slice plan_id; /* in the arena, as what follows */
    struct slice *tasks;
    size_t task_count;
    struct rest_plan_page page;
    struct slice credentials; /* a view of the answer: never copied */
    long error_status;        /* FAILED: of HTTP, as the error says it */
};

/* "scan-planning-mode"; empty = not said. */
enum rest_planning rest_planning_of(struct slice mode);

/* As rest_members; a member that is none of `keys` is ERR_UNSUPPORTED. */
MUST_USE enum err rest_members_only(struct slice text, const char *const *keys, size_t key_count,
                                    struct slice *ret_values, struct errinfo *info);
MUST_USE enum err rest_plan__parse(const struct rest_call *call, enum rest_plan_kind kind,
                                   struct slice text, struct arena *arena,
                                   struct rest_plan_answer *ret_answer);
