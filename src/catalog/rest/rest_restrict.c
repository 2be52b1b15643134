/* What a catalog restricts of a table for one person ("read-restrictions"), read strictly: whatever
 * is not known refuses, since to pass over it would show what it hides. */
#include "catalog/rest/rest_int.h"

#define PROJECTIONS_MAX 10000

static const char *const actions[] = {
    [REST_MASK_ALPHANUM] = "mask-alphanum",
    [REST_MASK_TO_FIXED_VALUE] = "mask-to-fixed-value",
    [REST_REPLACE_WITH_NULL] = "replace-with-null",
    [REST_SHOW_FIRST_4] = "show-first-4",
    [REST_SHOW_LAST_4] = "show-last-4",
    [REST_TRUNCATE_TO_YEAR] = "truncate-to-year",
    [REST_TRUNCATE_TO_MONTH] = "truncate-to-month",
    [REST_SHA_256_GLOBAL] = "sha-256-global",
    [REST_SHA_256_QUERY_LOCAL] = "sha-256-query-local",
};

static enum err unknown(const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                       "the catalog restricts the table in a way that is not known here: %s", what);
}

static enum err read_projection(const struct json *item, struct rest_projection *out,
                                struct errinfo *info)
{
    const struct json *field = json_get(item, "field-id");
    const struct json *action = json_get(item, "action");
    int64_t id;
    if (item->type != JSON_OBJECT || item->count != 2 || field == NULL || action == NULL) {
        return unknown("a projection with other members", info);
    }
    if (!json_to_i64(field, &id) || id <= 0 || id > INT32_MAX) {
        return unknown("a projection of no field", info);
    }
    for (size_t i = 0; action->type == JSON_STRING && i < ARRAY_COUNT(actions); i++) {
        if (slice_equal(action->text, slice_of(actions[i]))) {
            *out = (struct rest_projection){(int32_t)id, (enum rest_action)i};
            return ERR_OK;
        }
    }
    return unknown("an action", info);
}

static enum err read_projections(const struct json *list, struct arena *arena,
                                 struct rest_restrictions *out, struct errinfo *info)
{
    if (list->type != JSON_ARRAY || list->count > PROJECTIONS_MAX) {
        return unknown("projections that are no list", info);
    }
    struct rest_projection *projections =
        arena_calloc(arena, list->count + 1u, sizeof(*projections));
    if (projections == NULL) {
        return errinfo_nomem(info);
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        struct rest_projection *next = &projections[out->projection_count];
        TRY(read_projection(item, next, info));
        for (size_t i = 0; i < out->projection_count; i++) {
            if (projections[i].field_id == next->field_id) {
                return unknown("two projections of one field", info);
            }
        }
        out->projection_count++;
    }
    out->projections = projections;
    return ERR_OK;
}

enum err rest_restrictions_parse(struct slice text, struct arena *arena,
                                 struct rest_restrictions *ret_restrictions, struct errinfo *info)
{
    static const struct json_limits limits = {.depth_max = 64, .nodes_max = 100000};
    struct rest_restrictions out = {0};
    struct json *root = NULL;
    bool has_projections = false;
    enum err err = json_parse(arena, text, &limits, &root, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    if (err != ERR_OK || root->type != JSON_OBJECT) {
        return unknown("no JSON object", info);
    }
    for (const struct json *item = root->first; item != NULL; item = item->next) {
        if (slice_equal(item->key, SLICE("required-row-filter")) && out.filter == NULL) {
            out.filter = item;
        } else if (slice_equal(item->key, SLICE("required-column-projections")) &&
                   !has_projections) {
            has_projections = true;
            TRY(json_is_null(item) ? ERR_OK : read_projections(item, arena, &out, info));
        } else {
            return unknown("a restriction", info);
        }
    }
    out.filter = json_is_null(out.filter) ? NULL : out.filter;
    *ret_restrictions = out;
    return ERR_OK;
}
