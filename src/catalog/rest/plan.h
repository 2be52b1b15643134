/* Scans that the catalog plans, as the person who asks (planTableScan and what follows it).
 *
 * A planner is of one run of reading one table: what its plans lent is kept until it is closed. All
 * that it is given outlives it. Planning is of one thread at a time; objects are opened by any.
 *
 * Errors as in rest.h; ERR_UNSUPPORTED: the catalog has no endpoint for it, or answers with a
 * member that is not known here; ERR_BUSY 08006: it gave up, or took too long. */
#pragma once

#include "catalog/rest/rest.h"

struct rest_planner;
MUST_USE enum err rest_planner_open(struct rest *rest, const struct rest_catalog *catalog,
                                    const struct identity *who, const struct rest_namespace *ns,
                                    struct slice name, struct rest_planner **ret_planner,
                                    struct errinfo *info);
void rest_planner_close(struct rest_planner *planner);

/* Who says that the run is over; NULL: nobody. Before the first plan. */
void rest_planner_watch(struct rest_planner *planner, bool (*is_cancelled)(void *context),
                        void *cancel_context);

/* One answer's part of a plan, as it was written: references of `tasks` count in `delete_files`. */
struct rest_plan_page {
    struct slice delete_files; /* JSON; empty = none */
    struct slice tasks;
};

/* `request` is a PlanTableScanRequest as JSON. Waits until all of the plan is there; what has begun
 * is cancelled when it is given up. */
MUST_USE enum err rest_planner_plan(struct rest_planner *planner, struct slice request,
                                    struct arena *arena, struct rest_plan_page **ret_pages,
                                    size_t *ret_count, struct errinfo *info);

/* With what a plan lent, the newest first, or else with what the table did. */
MUST_USE enum err rest_planner_open_object(struct rest_planner *planner, struct slice location,
                                           struct storage_object **ret_object,
                                           struct errinfo *info);
