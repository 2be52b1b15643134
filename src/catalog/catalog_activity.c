/* Who is connected and what they run: moat_system.sessions and running_queries, pg_stat_activity.
 * The caller has left out already what the person may not see. */
#include "base/clock.h"
#include "catalog/pg_int.h"

static enum err list(const struct catalog_system_input *input, struct arena *arena,
                     struct catalog_activity *ret_activity, struct errinfo *info)
{
    *ret_activity = (struct catalog_activity){0};
    return input->list_activity == NULL ? ERR_OK
                                        : input->list_activity(input->activity_context, input->who,
                                                               arena, ret_activity, info);
}

static void print_time(struct buf *out, const char *name, int64_t wall_us)
{
    char time[CLOCK_TEXT_BYTES];
    catalog__row_text(out, name, slice_of(clock_format_utc(wall_us, time)));
}

/* The newest of what a client runs: the list is newest first. */
static const struct catalog_running *running_of(const struct catalog_activity *activity,
                                                uint32_t client_id)
{
    for (size_t i = 0; i < activity->running_count; i++) {
        if (activity->running[i].client_id == client_id) {
            return &activity->running[i];
        }
    }
    return NULL;
}

static const struct catalog_client *client_of(const struct catalog_activity *activity, uint32_t id)
{
    for (size_t i = 0; i < activity->client_count; i++) {
        if (activity->clients[i].id == id) {
            return &activity->clients[i];
        }
    }
    return NULL;
}

static void print_query(struct buf *out, const struct catalog_running *running)
{
    catalog__row_text(out, "query_id", running->query_id);
    catalog__row_text(out, "statement", running->statement);
    print_time(out, "started_at", running->started_wall_us);
    catalog__row_number(out, "rows_out", running->rows_out);
}

static void print_client(struct buf *out, const struct catalog_client *client)
{
    catalog__row_text(out, "provider", client->provider);
    catalog__row_text(out, "client", client->address);
    catalog__row_text_or_null(out, "application_name", client->application);
    catalog__row_text(out, "protocol", client->protocol);
}

enum err catalog__rows_sessions(const struct catalog_system_input *input, struct arena *arena,
                                struct buf *out, struct errinfo *info)
{
    struct catalog_activity activity;
    TRY(list(input, arena, &activity, info));
    for (size_t i = 0; i < activity.client_count; i++) {
        const struct catalog_client *client = &activity.clients[i];
        const struct catalog_running *running = running_of(&activity, client->id);
        catalog__row_begin(out);
        catalog__row_number(out, "pid", client->id);
        catalog__row_text(out, "user", client->user);
        print_client(out, client);
        print_time(out, "connected_at", client->connected_wall_us);
        catalog__row_text(out, "state", client->state);
        print_time(out, "state_since", client->state_wall_us);
        if (running != NULL) {
            print_query(out, running);
        }
        catalog__row_bool(out, "is_self", client->is_self);
        catalog__row_end(out);
    }
    return ERR_OK;
}

enum err catalog__rows_running(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    struct catalog_activity activity;
    TRY(list(input, arena, &activity, info));
    for (size_t i = 0; i < activity.running_count; i++) {
        const struct catalog_running *running = &activity.running[i];
        const struct catalog_client *client = client_of(&activity, running->client_id);
        catalog__row_begin(out);
        catalog__row_text(out, "user", running->user);
        catalog__row_text(out, "state", running->state);
        catalog__row_text(out, "command", running->command);
        print_query(out, running);
        catalog__row_percent(out, "progress", running->progress);
        if (client != NULL) {
            catalog__row_number(out, "pid", client->id);
            print_client(out, client);
        }
        catalog__row_end(out);
    }
    return ERR_OK;
}

/* ---- as PostgreSQL has it ---- */

static void print_address(struct buf *out, struct slice address)
{
    const char *colon = address.len == 0 ? NULL : memrchr(address.ptr, ':', address.len);
    int64_t port = 0;
    if (colon == NULL) {
        return;
    }
    size_t len = (size_t)(colon - address.ptr);
    catalog__row_text(out, "client_addr", (struct slice){address.ptr, len});
    if (slice_to_i64((struct slice){colon + 1, address.len - len - 1}, &port)) {
        catalog__row_integer(out, "client_port", port);
    }
}

static void print_activity(struct buf *out, const struct catalog_system_input *input,
                           const struct pg_model *model, const struct catalog_client *client,
                           const struct catalog_running *running)
{
    catalog__row_begin(out);
    catalog__row_text(out, "datname", input->default_catalog);
    catalog__row_number(out, "pid", client->id);
    catalog__row_number(out, "usesysid", catalog__pg_person_find(model, client->user, true));
    catalog__row_text(out, "usename", client->user);
    catalog__row_text(out, "application_name", client->application);
    print_address(out, client->address);
    catalog__row_text(out, "state", client->state);
    if (client->connected_wall_us != 0) {
        print_time(out, "backend_start", client->connected_wall_us);
        print_time(out, "state_change", client->state_wall_us);
    }
    if (running != NULL) {
        print_time(out, "query_start", running->started_wall_us);
        catalog__row_text(out, "query", running->statement);
    }
    catalog__row_end(out);
}

/* Where nobody is connected there is the session itself, which is no process: number 0. */
enum err catalog__pg_rows_activity(const struct catalog_system_input *input, struct arena *arena,
                                   struct buf *out, struct errinfo *info)
{
    struct catalog_activity activity;
    const struct pg_model *model;
    TRY(catalog__pg_model_get(input, arena, &model, info));
    TRY(list(input, arena, &activity, info));
    for (size_t i = 0; i < activity.client_count; i++) {
        print_activity(out, input, model, &activity.clients[i],
                       running_of(&activity, activity.clients[i].id));
    }
    if (activity.self_id == 0) {
        struct catalog_client self = {.user = identity_subject(input->who),
                                      .state = SLICE("active")};
        print_activity(out, input, model, &self, running_of(&activity, 0));
    }
    return catalog__pg_rows_finish(out, info);
}

enum err catalog__pg_rows_cursors(const struct catalog_system_input *input, struct arena *arena,
                                  struct buf *out, struct errinfo *info)
{
    struct catalog_cursor *cursors;
    size_t count = 0;
    if (input->list_cursors != NULL) {
        TRY(input->list_cursors(input->activity_context, arena, &cursors, &count, info));
    }
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "name", cursors[i].name);
        catalog__row_text(out, "statement", cursors[i].statement);
        catalog__row_bool(out, "is_holdable", cursors[i].is_holdable);
        catalog__row_bool(out, "is_binary", cursors[i].is_binary);
        print_time(out, "creation_time", cursors[i].created_wall_us);
        catalog__row_end(out);
    }
    return catalog__pg_rows_finish(out, info);
}

enum err catalog__pg_rows_self(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    struct catalog_activity activity;
    TRY(list(input, arena, &activity, info));
    catalog__row_begin(out);
    catalog__row_number(out, "__moat_pid", activity.self_id);
    catalog__row_end(out);
    return catalog__pg_rows_finish(out, info);
}
