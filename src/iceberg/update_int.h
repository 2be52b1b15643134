/* What update.c and update_apply.c share. */
#pragma once

#include "base/json.h"
#include "iceberg/write.h"

struct updater {
    struct arena *arena;
    struct json *root; /* NULL: no table yet */
    bool is_new;
    int64_t now_ms;
    int64_t last_schema_id, last_spec_id, last_order_id; /* added by this change; -1 = none */
    int64_t last_snapshot_id;
    bool has_snapshot; /* last_snapshot_id was added by this change */
    struct errinfo *info;
};

/* ERR_INVALID in words. */
enum err update__bad(const struct updater *u, const char *what);
/* ERR_NOMEM for a value of NULL. */
MUST_USE enum err update__set(struct updater *u, struct json *object, const char *key,
                              struct json *value);
MUST_USE enum err update__set_number(struct updater *u, struct json *object, const char *key,
                                     int64_t value);
int64_t update__number(const struct json *object, const char *key, int64_t otherwise);
/* A member of the root, made when it is not there. */
MUST_USE enum err update__list(struct updater *u, const char *key, struct json **ret_array);
MUST_USE enum err update__object(struct updater *u, const char *key, struct json **ret_object);
MUST_USE enum err update__append_copy(struct updater *u, struct json *array,
                                      const struct json *item);
/* The item whose member `key` is `id`, or NULL. */
struct json *update__find(const struct json *array, const char *key, int64_t id);
void update__remove_number(struct json *array, const char *key, int64_t id);
void update__remove_key(struct json *object, struct slice key);

/* One update. */
MUST_USE enum err update__apply(struct updater *u, const struct json *node);
