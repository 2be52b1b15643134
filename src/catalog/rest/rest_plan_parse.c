/* Answers about planning. Strict: a member that is not known here may say which rows are to be
 * read, so it refuses the answer. */
#include "base/json.h"
#include "catalog/rest/rest_plan_int.h"

enum member {
    MEMBER_STATUS,
    MEMBER_ID,
    MEMBER_TASKS,
    MEMBER_FILES,
    MEMBER_DELETES,
    MEMBER_CREDENTIALS,
    MEMBER_ERROR,
    MEMBER_COUNT
};

static const char *const members[MEMBER_COUNT] = {
    [MEMBER_STATUS] = "status",        [MEMBER_ID] = "plan-id",
    [MEMBER_TASKS] = "plan-tasks",     [MEMBER_FILES] = "file-scan-tasks",
    [MEMBER_DELETES] = "delete-files", [MEMBER_CREDENTIALS] = "storage-credentials",
    [MEMBER_ERROR] = "error",
};

static enum err read_text(const struct rest_call *call, struct slice written, const char *wrong,
                          struct arena *arena, struct slice *ret_text)
{
    struct json *node;
    struct slice kept;
    if (!arena_slice(arena, written, &kept)) {
        return errinfo_nomem(call->info);
    }
    enum err err = json_parse(arena, kept, NULL, &node, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    if (err != ERR_OK || node->type != JSON_STRING || node->text.len == 0) {
        return rest_answer__wrong(call, wrong);
    }
    *ret_text = node->text;
    return ERR_OK;
}

static enum err read_status(const struct rest_call *call, struct slice written, struct arena *arena,
                            enum rest_plan_status *ret_status)
{
    static const char *const names[] = {
        [REST_PLAN_COMPLETED] = "completed",
        [REST_PLAN_SUBMITTED] = "submitted",
        [REST_PLAN_CANCELLED] = "cancelled",
        [REST_PLAN_FAILED] = "failed",
    };
    struct slice text;
    TRY(read_text(call, written, "a plan without a status", arena, &text));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal(text, slice_of(names[i]))) {
            *ret_status = (enum rest_plan_status)i;
            return ERR_OK;
        }
    }
    return rest_answer__wrong(call, "a plan of an unknown status");
}

static enum err read_tasks(const struct rest_call *call, struct slice written, struct arena *arena,
                           struct rest_plan_answer *out)
{
    struct slice kept;
    struct json *list;
    if (written.len == 0) {
        return ERR_OK;
    }
    if (!arena_slice(arena, written, &kept)) {
        return errinfo_nomem(call->info);
    }
    static const struct json_limits limits = {.depth_max = 4, .nodes_max = REST_PLAN_TASKS_MAX + 1};
    enum err err = json_parse(arena, kept, &limits, &list, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    if (err != ERR_OK || list->type != JSON_ARRAY) {
        return rest_answer__wrong(call, "plan tasks that are no list, or too long a one");
    }
    out->tasks = arena_calloc(arena, (size_t)list->count + 1, sizeof(*out->tasks));
    if (out->tasks == NULL) {
        return errinfo_nomem(call->info);
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        if (item->type != JSON_STRING || item->text.len == 0) {
            return rest_answer__wrong(call, "a plan task that is no text");
        }
        out->tasks[out->task_count++] = item->text;
    }
    return ERR_OK;
}

static enum err read_error(const struct rest_call *call, struct slice written, struct arena *arena,
                           struct rest_plan_answer *out)
{
    static const char *const keys[] = {"code"};
    struct slice value;
    int64_t code;
    if (written.len == 0) {
        return rest_answer__wrong(call, "a plan that failed without an error");
    }
    TRY(rest_members(written, keys, 1, &value, call->info));
    struct json *node = NULL;
    enum err err = value.len == 0 ? ERR_INVALID : json_parse(arena, value, NULL, &node, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    bool is_code = err == ERR_OK && json_to_i64(node, &code) && code >= 400 && code <= 599;
    out->error_status = is_code ? (long)code : 500;
    return ERR_OK;
}

static bool has_results(const struct slice *values)
{
    return values[MEMBER_TASKS].len + values[MEMBER_FILES].len + values[MEMBER_DELETES].len +
               values[MEMBER_CREDENTIALS].len >
           0;
}

static enum err check_members(const struct rest_call *call, enum rest_plan_kind kind,
                              const struct slice *values, enum rest_plan_status status)
{
    if (status != REST_PLAN_COMPLETED && has_results(values)) {
        return rest_answer__wrong(call, "results of a plan that is not completed");
    }
    if (status != REST_PLAN_FAILED && values[MEMBER_ERROR].len > 0) {
        return rest_answer__wrong(call, "an error of a plan that has not failed");
    }
    if (kind == REST_PLAN_ASKED && status == REST_PLAN_SUBMITTED && values[MEMBER_ID].len == 0) {
        return rest_answer__wrong(call, "a plan to wait for without its id");
    }
    if (kind == REST_PLAN_ASKED && status == REST_PLAN_CANCELLED) {
        return rest_answer__wrong(call, "a plan that was cancelled when it was asked for");
    }
    return ERR_OK;
}

enum err rest_plan__parse(const struct rest_call *call, enum rest_plan_kind kind, struct slice text,
                          struct arena *arena, struct rest_plan_answer *ret_answer)
{
    struct slice values[MEMBER_COUNT];
    struct rest_plan_answer out = {.status = REST_PLAN_COMPLETED};
    TRY(rest_members_only(text, members, MEMBER_COUNT, values, call->info));
    if (kind == REST_PLAN_TASK) {
        if (values[MEMBER_STATUS].len + values[MEMBER_ID].len + values[MEMBER_CREDENTIALS].len +
                values[MEMBER_ERROR].len >
            0) {
            return rest_answer__wrong(call, "a plan where one of its tasks was asked for");
        }
    } else {
        TRY(read_status(call, values[MEMBER_STATUS], arena, &out.status));
    }
    TRY(check_members(call, kind, values, out.status));
    if (values[MEMBER_ID].len > 0) {
        TRY(read_text(call, values[MEMBER_ID], "a plan whose id is no text", arena, &out.plan_id));
    }
    if (out.status == REST_PLAN_FAILED) {
        TRY(read_error(call, values[MEMBER_ERROR], arena, &out));
    }
    TRY(read_tasks(call, values[MEMBER_TASKS], arena, &out));
    if (!arena_slice(arena, values[MEMBER_FILES], &out.page.tasks) ||
        !arena_slice(arena, values[MEMBER_DELETES], &out.page.delete_files)) {
        return errinfo_nomem(call->info);
    }
    out.credentials = values[MEMBER_CREDENTIALS];
    *ret_answer = out;
    return ERR_OK;
}
