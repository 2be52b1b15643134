/* Tables of a metastore: where their metadata lies, and turning them to another. */
#include <time.h>

#include "base/clock.h"
#include "catalog/rest/hive/hive_int.h"
#include "identity/identity.h"

#define LOCK_WAIT_US INT64_C(30000000)
#define LOCK_PAUSE_MS_MAX 500

static const struct hive_method get_table = {"get_table_req", false, {HIVE_FAILS, HIVE_MISSING}};
static const struct hive_method create_table = {
    "create_table_with_environment_context",
    true,
    {HIVE_EXISTS, HIVE_REFUSED, HIVE_FAILS, HIVE_MISSING}};
static const struct hive_method alter_table = {
    "alter_table_with_environment_context", true, {HIVE_REFUSED, HIVE_FAILS}};
static const struct hive_method drop_table = {"drop_table", true, {HIVE_MISSING, HIVE_FAILS}};
static const struct hive_method lock = {"lock", true, {HIVE_FAILS, HIVE_FAILS}};
static const struct hive_method check_lock = {
    "check_lock", false, {HIVE_FAILS, HIVE_FAILS, HIVE_FAILS}};
static const struct hive_method show_locks = {"show_locks", false, {HIVE_FAILS}};
static const struct hive_method unlock = {"unlock", false, {HIVE_FAILS, HIVE_FAILS}};

enum {
    LOCK_EXCLUSIVE_WRITE = 4,
    LOCK_OF_TABLE = 2,
    LOCK_IS_HELD = 1,
    LOCK_IS_AWAITED = 2,
    LOCK_AGENT = 5,
    SHOWN_AGENT = 13,
};

/* As the metastore has it; `reply` holds it. */
static enum err find(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name, struct hive_reply *reply, struct hive_found *ret_found)
{
    struct slice database;
    struct thrift_field field;
    if (!metastore_name__of(ns, &database) || !metastore_name__is(name)) {
        return metastore__no_table(call, name);
    }
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &get_table, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_string_field(&hive.body, 1, database);
    thrift_string_field(&hive.body, 2, name);
    thrift_stop(&hive.body);
    TRY(hive_call__do(&hive, reply));
    struct thrift_reader result = {.left = reply->result.value};
    if (reply->result.type != THRIFT_STRUCT || !thrift_read_field(&result, &field) ||
        field.id != 1 || field.type != THRIFT_STRUCT || !hive_table__read(field.value, ret_found)) {
        return hive_call__wrong(call, "a table that is none");
    }
    if (!ret_found->is_iceberg) {
        return metastore__not_iceberg(call, name);
    }
    return ERR_OK;
}

static enum err find_place(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, struct arena *arena,
                           struct metastore_place *ret_place)
{
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct hive_found found;
    TRY(find(call, ns, name, &reply, &found));
    return metastore__place(call, found.location, found.metadata_location, arena, ret_place);
}

static enum err drop(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name)
{
    struct hive_reply before CLEANUP(hive_reply__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct hive_found found;
    TRY(find(call, ns, name, &before, &found));
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &drop_table, "table", name);
    thrift_string_field(&hive.body, 1, ns->levels[0]);
    thrift_string_field(&hive.body, 2, name);
    thrift_bool_field(&hive.body, 3, false); /* files stay */
    return hive_call__do(&hive, &reply);
}

/* ---- locks: writers that compare nothing hold one while they look and turn ---- */

static enum err read_lock(const struct rest_call *call, const struct hive_reply *reply,
                          int64_t *ret_id, int64_t *ret_state)
{
    struct thrift_reader reader = {.left = reply->result.value};
    struct thrift_field field;
    *ret_id = *ret_state = 0;
    while (reply->result.type == THRIFT_STRUCT && thrift_read_field(&reader, &field)) {
        if (field.id == 1) {
            *ret_id = thrift_number_of(&reader, &field);
        } else if (field.id == 2) {
            *ret_state = thrift_number_of(&reader, &field);
        }
    }
    return reader.is_bad || *ret_state == 0 ? hive_call__wrong(call, "a lock that is none")
                                            : ERR_OK;
}

/* The call for what is done on the way out: whatever is cancelled, and whatever comes of it. */
static struct rest_call aside(const struct rest_call *call, struct rest_catalog *catalog)
{
    struct rest_call quiet = *call;
    *catalog = *call->catalog;
    catalog->is_cancelled = NULL;
    quiet.catalog = catalog;
    quiet.info = NULL;
    return quiet;
}

/* One that is left runs out by itself. */
static void give_up(const struct rest_call *call, struct slice name, int64_t id)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct rest_catalog catalog;
    const struct rest_call quiet = aside(call, &catalog);
    hive_call__begin(&hive, &quiet, &unlock, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_i64_field(&hive.body, 1, id);
    thrift_stop(&hive.body);
    enum err err = hive_call__send(&hive, &reply);
    (void)err;
}

/* Of one element of the metastore's locks: its number, if it is ours by its agent; else 0. */
static int64_t number_if_ours(struct slice element, struct slice agent)
{
    struct thrift_reader reader = {.left = element};
    struct thrift_field field;
    bool is_ours = false;
    int64_t id = 0;
    while (thrift_read_field(&reader, &field)) {
        if (field.id == 1) {
            id = thrift_number_of(&reader, &field);
        } else if (field.id == SHOWN_AGENT) {
            is_ours = slice_equal(thrift_text_of(&reader, &field), agent);
        }
    }
    return is_ours && !reader.is_bad ? id : 0;
}

/* A lock whose answer was lost would keep all writers out until it runs out. */
static void give_up_lost(const struct rest_call *call, struct slice database, struct slice name,
                         struct slice agent)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct thrift_field field;
    struct rest_catalog catalog;
    const struct rest_call quiet = aside(call, &catalog);
    hive_call__begin(&hive, &quiet, &show_locks, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_string_field(&hive.body, 1, database);
    thrift_string_field(&hive.body, 2, name);
    thrift_stop(&hive.body);
    if (hive_call__do(&hive, &reply) != ERR_OK || reply.result.type != THRIFT_STRUCT) {
        return;
    }
    struct thrift_reader result = {.left = reply.result.value};
    if (!thrift_read_field(&result, &field) || field.type != THRIFT_LIST) {
        return;
    }
    struct thrift_reader list = {.left = field.value};
    size_t count = thrift_read_list(&list, THRIFT_STRUCT);
    for (size_t i = 0; i < count && !list.is_bad; i++) {
        int64_t id = number_if_ours(thrift_read_raw(&list, THRIFT_STRUCT), agent);
        if (id != 0) {
            give_up(call, name, id);
        }
    }
}

/* Locks fail where many are asked for, and answers are lost: nothing was done yet, so it is as if
 * somebody had been first. */
static enum err do_lock(struct hive_call *hive, struct hive_reply *reply, int64_t *ret_id,
                        int64_t *ret_state)
{
    struct errinfo told = {0};
    struct rest_call call = *hive->call;
    call.info = &told;
    struct hive_call asked = *hive;
    asked.call = &call;
    enum err err = hive_call__do(&asked, reply);
    hive->body = asked.body;
    bool is_maybe = err == ERR_BUSY && (reply->fault == HIVE_FAILS || rest_is_unknown(&told));
    if (is_maybe) {
        return errinfo_set(hive->call->info, ERR_BUSY, "40001",
                           "catalog \"%.*s\" could not lock table \"%.*s\"",
                           SLICE_ARGS(call.catalog->name), SLICE_ARGS(hive->name));
    }
    if (err != ERR_OK && hive->call->info != NULL) {
        *hive->call->info = told;
    }
    TRY(err);
    return read_lock(hive->call, reply, ret_id, ret_state);
}

static enum err ask_lock(const struct rest_call *call, struct slice database, struct slice name,
                         int64_t *ret_id, int64_t *ret_state)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    char agent[UUID_TEXT_BYTES];
    if (uuid_new(agent) != ERR_OK) {
        return errinfo_set(call->info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    hive_call__begin(&hive, call, &lock, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_field(&hive.body, THRIFT_LIST, 1);
    thrift_list(&hive.body, THRIFT_STRUCT, 1);
    thrift_i32_field(&hive.body, 1, LOCK_EXCLUSIVE_WRITE);
    thrift_i32_field(&hive.body, 2, LOCK_OF_TABLE);
    thrift_string_field(&hive.body, 3, database);
    thrift_string_field(&hive.body, 4, name);
    thrift_stop(&hive.body);
    thrift_string_field(&hive.body, 3, identity_subject(call->who));
    thrift_string_field(&hive.body, 4, SLICE("moat"));
    thrift_string_field(&hive.body, LOCK_AGENT, slice_of(agent));
    thrift_stop(&hive.body);
    enum err err = do_lock(&hive, &reply, ret_id, ret_state);
    if (err != ERR_OK) {
        give_up_lost(call, database, name, slice_of(agent));
    }
    return err;
}

static enum err ask_again(const struct rest_call *call, struct slice name, int64_t id,
                          int64_t *ret_state)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, call, &check_lock, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_i64_field(&hive.body, 1, id);
    thrift_stop(&hive.body);
    return do_lock(&hive, &reply, &id, ret_state);
}

static enum err take_lock(const struct rest_call *call, struct slice database, struct slice name,
                          int64_t *ret_id)
{
    int64_t state;
    int64_t pause_ms = 10;
    int64_t deadline_us = clock_mono_us() + LOCK_WAIT_US;
    TRY(ask_lock(call, database, name, ret_id, &state));
    enum err err = ERR_OK;
    while (err == ERR_OK && state == LOCK_IS_AWAITED && clock_mono_us() < deadline_us) {
        struct timespec pause = {.tv_nsec = pause_ms * 1000000};
        (void)nanosleep(&pause, NULL);
        pause_ms = pause_ms * 2 > LOCK_PAUSE_MS_MAX ? LOCK_PAUSE_MS_MAX : pause_ms * 2;
        err = ask_again(call, name, *ret_id, &state);
    }
    if (err == ERR_OK && state != LOCK_IS_HELD) {
        err = errinfo_set(call->info, ERR_BUSY, "55P03",
                          "table \"%.*s\" is locked by another writer in catalog \"%.*s\"",
                          SLICE_ARGS(name), SLICE_ARGS(call->catalog->name));
        errinfo_hint(call->info, "Try again; the metastore frees locks that nobody keeps up.");
    }
    if (err != ERR_OK) {
        give_up(call, name, *ret_id);
    }
    return err;
}

/* ---- changes ---- */

/* What goes along with a change: no statistics are gathered, and what must be so for it to be
 * done. */
static void write_context(struct buf *out, int16_t id, struct slice expected)
{
    thrift_field(out, THRIFT_STRUCT, id);
    thrift_field(out, THRIFT_MAP, 1);
    thrift_map(out, THRIFT_STRING, THRIFT_STRING, expected.len > 0 ? 3 : 1);
    thrift_string(out, SLICE("DO_NOT_UPDATE_STATS"));
    thrift_string(out, SLICE("true"));
    if (expected.len > 0) {
        thrift_string(out, SLICE("expected_parameter_key"));
        thrift_string(out, SLICE("metadata_location"));
        thrift_string(out, SLICE("expected_parameter_value"));
        thrift_string(out, expected);
    }
    thrift_stop(out);
}

/* The metastore's words for it: there is no class. */
static bool is_moved(struct slice message)
{
    return slice_find(message, SLICE("has been modified")) != SIZE_MAX;
}

static enum err alter(const struct rest_call *call, const struct rest_namespace *ns,
                      struct slice name, const struct hive_found *found,
                      const struct hive_change *change, struct slice expected)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, call, &alter_table, "table", name);
    thrift_string_field(&hive.body, 1, ns->levels[0]);
    thrift_string_field(&hive.body, 2, name);
    thrift_field(&hive.body, THRIFT_STRUCT, 3);
    hive_table__rewrite(found->raw, change, &hive.body);
    write_context(&hive.body, 4, expected);
    TRY(hive_call__send(&hive, &reply));
    if (reply.fault == HIVE_FAILS && is_moved(reply.message)) {
        return metastore__moved(call, name);
    }
    return reply.fault == HIVE_FINE ? ERR_OK : hive_call__fault(&hive, &reply);
}

static enum err rename_to(const struct rest_call *call, const struct rest_namespace *ns,
                          struct slice name, struct slice new_name)
{
    struct hive_reply before CLEANUP(hive_reply__fini) = {0};
    struct hive_reply other CLEANUP(hive_reply__fini) = {0};
    struct hive_found found;
    struct hive_found ignored;
    struct errinfo told = {0};
    struct rest_call quiet = *call;
    const struct hive_change change = {.name = new_name};
    quiet.info = &told;
    TRY(find(call, ns, name, &before, &found));
    if (!metastore_name__is(new_name)) {
        return metastore__wrong_name(call);
    }
    enum err err = find(&quiet, ns, new_name, &other, &ignored);
    if (err == ERR_OK || err == ERR_UNSUPPORTED) {
        return metastore__table_exists(call, new_name);
    }
    return alter(call, ns, name, &found, &change, found.metadata_location);
}

static enum err create(const struct rest_call *call, const struct rest_namespace *ns,
                       struct slice name, const struct metastore_table *table)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, call, &create_table, "table", name);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    hive_table__write(ns->levels[0], name, identity_subject(call->who), table, &hive.body);
    write_context(&hive.body, 2, (struct slice){0});
    TRY(hive_call__send(&hive, &reply));
    if (reply.fault == HIVE_MISSING) { /* the namespace: the table is to be made */
        return metastore__no_namespace(call, ns);
    }
    return reply.fault == HIVE_FINE ? ERR_OK : hive_call__fault(&hive, &reply);
}

static enum err swap(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name, const struct metastore_table *table, struct slice before)
{
    struct hive_reply now CLEANUP(hive_reply__fini) = {0};
    struct hive_found found;
    const struct hive_change change = {.table = table, .before = before};
    TRY(find(call, ns, name, &now, &found));
    return slice_equal(found.metadata_location, before)
               ? alter(call, ns, name, &found, &change, before)
               : metastore__moved(call, name);
}

static enum err swap_locked(const struct rest_call *call, const struct rest_namespace *ns,
                            struct slice name, const struct metastore_table *table,
                            struct slice before)
{
    int64_t id;
    if (table->is_unlocked) {
        return swap(call, ns, name, table, before);
    }
    TRY(take_lock(call, ns->levels[0], name, &id));
    enum err err = swap(call, ns, name, table, before);
    give_up(call, name, id);
    return err;
}

const struct metastore_calls hive_calls = {
    .check = hive__check,
    .namespaces = hive__namespaces,
    .properties = hive__properties,
    .names = hive__names,
    .find = find_place,
    .create_namespace = hive__create_namespace,
    .drop_namespace = hive__drop_namespace,
    .set_properties = hive__set_properties,
    .create_table = create,
    .swap_table = swap_locked,
    .drop_table = drop,
    .rename_table = rename_to,
};
