#include "catalog/rest/write.h"

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/rest_metastore_int.h"

#define STATE_UNKNOWN "08007" /* "transaction resolution unknown" */

bool rest_is_unknown(const struct errinfo *info)
{
    return strcmp(info->sqlstate, STATE_UNKNOWN) == 0;
}

/* ---- one change ---- */

struct change {
    struct rest_call call;
    struct buf path;
    struct buf body;
    char key[UUID_TEXT_BYTES]; /* empty = the catalog takes none */
    struct rest_answer answer;
};

static void change_fini(struct change *change)
{
    rest_call__close(&change->call);
    buf_fini(&change->path);
    buf_fini(&change->body);
    rest_answer__fini(&change->answer);
}

/* Of version 7, which sorts by time, as the specification wants keys. */
static enum err make_key(char ret_key[UUID_TEXT_BYTES], struct errinfo *info)
{
    char time[16];
    if (uuid_new(ret_key) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the library of random numbers fails");
    }
    uint64_t now_ms = (uint64_t)(clock_wall_us() / 1000);
    (void)snprintf(time, sizeof(time), "%012llx", (unsigned long long)(now_ms & 0xFFFFFFFFFFFF));
    memcpy(ret_key, time, 8);
    memcpy(ret_key + 9, time + 8, 4);
    ret_key[14] = '7';
    return ERR_OK;
}

static enum err begin(struct change *change, struct rest *rest, const struct rest_catalog *catalog,
                      const struct identity *who, enum rest_endpoint endpoint, struct errinfo *info)
{
    TRY(rest_call__open(rest, catalog, who, &change->call, info));
    if ((change->call.config->endpoints & endpoint) == 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "catalog \"%.*s\" has no endpoint for this change",
                           SLICE_ARGS(catalog->name));
    }
    return change->call.config->takes_keys ? make_key(change->key, info) : ERR_OK;
}

enum err rest_answer__unknown(const struct rest_call *call, const char *what, struct slice name)
{
    (void)errinfo_set(call->info, ERR_BUSY, STATE_UNKNOWN,
                      "nobody knows whether %s \"%.*s\" was changed: catalog \"%.*s\" did not say",
                      what, SLICE_ARGS(name), SLICE_ARGS(call->catalog->name));
    errinfo_hint(call->info, "Look at it before trying again.");
    return ERR_BUSY;
}

static enum err unknown(const struct change *change, const char *what, struct slice name)
{
    return rest_answer__unknown(&change->call, what, name);
}

static enum err send(struct change *change, const char *method, const char *what, struct slice name)
{
    const struct rest_question question = {
        .method = slice_of(method),
        .path = buf_slice(&change->path),
        .body = change->body.len > 0 ? buf_slice(&change->body) : (struct slice){NULL, 0},
        .key = slice_of(change->key),
        .changes = true,
        .delegates = true,
        .what = what,
        .name = name,
    };
    if (buf_failed(&change->path) || buf_failed(&change->body)) {
        return errinfo_nomem(change->call.info);
    }
    enum err err = rest_call__ask(&change->call, &question, &change->answer);
    return err != ERR_OK && change->answer.is_unknown ? unknown(change, what, name) : err;
}

static void add_table(struct change *change, const struct rest_namespace *ns, struct slice name)
{
    rest_url__namespace(&change->path, change->call.config, ns);
    buf_append_str(&change->path, "/tables/");
    rest_url__encode(&change->path, name);
}

static void write_levels(struct buf *out, const struct rest_namespace *ns)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < ns->level_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, ns->levels[i]);
    }
    buf_append_char(out, ']');
}

static void write_identifier(struct buf *out, const struct rest_namespace *ns, struct slice name)
{
    buf_append_str(out, "{\"namespace\":");
    write_levels(out, ns);
    buf_append_str(out, ",\"name\":");
    json_write_string(out, name);
    buf_append_char(out, '}');
}

static struct slice last_level(const struct rest_namespace *ns)
{
    return ns->levels[ns->level_count - 1];
}

/* ---- tables ---- */

static enum err read_committed(const struct change *change, struct arena *arena,
                               struct rest_loaded *ret_loaded)
{
    static const char *const members[] = {"metadata", "metadata-location"};
    struct slice values[ARRAY_COUNT(members)];
    struct errinfo *info = change->call.info;
    struct json *location;
    TRY(rest_members(secret_slice(&change->answer.body), members, ARRAY_COUNT(members), values,
                     info));
    if (values[0].len == 0 || values[1].len == 0) {
        return rest_answer__wrong(&change->call, "a commit without the table's metadata");
    }
    struct rest_loaded loaded = {0};
    enum err err = json_parse(arena, values[1], NULL, &location, NULL);
    if (err != ERR_NOMEM && (err != ERR_OK || location->type != JSON_STRING)) {
        return rest_answer__wrong(&change->call, "a metadata location that is no text");
    }
    bool is_copied = err == ERR_OK && arena_slice(arena, values[0], &loaded.metadata) &&
                     arena_slice(arena, location->text, &loaded.metadata_location);
    if (!is_copied) {
        return errinfo_nomem(info);
    }
    *ret_loaded = loaded;
    return ERR_OK;
}

static void write_change(struct buf *out, const struct rest_change *change)
{
    buf_append_str(out, "{\"identifier\":");
    write_identifier(out, &change->ns, change->name);
    buf_append_str(out, ",\"requirements\":");
    buf_append_slice(out, change->requirements);
    buf_append_str(out, ",\"updates\":");
    buf_append_slice(out, change->updates);
    buf_append_char(out, '}');
}

enum err rest_commit(struct rest *rest, const struct rest_catalog *catalog,
                     const struct identity *who, const struct rest_namespace *ns, struct slice name,
                     struct slice requirements, struct slice updates, struct arena *arena,
                     struct rest_loaded *ret_loaded, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_UPDATE_TABLE, info));
    const struct rest_change one = {*ns, name, requirements, updates};
    add_table(&change, ns, name);
    write_change(&change.body, &one);
    TRY(send(&change, "POST", "table", name));
    /* It was made, whatever is wrong with the answer's text. */
    enum err err = read_committed(&change, arena, ret_loaded);
    return err == ERR_CORRUPT ? unknown(&change, "table", name) : err;
}

enum err rest_commit_all(struct rest *rest, const struct rest_catalog *catalog,
                         const struct identity *who, const struct rest_change *changes,
                         size_t change_count, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_COMMIT_ALL, info));
    buf_printf(&change.path, "v1/%stransactions/commit", change.call.config->prefix);
    buf_append_str(&change.body, "{\"table-changes\":[");
    for (size_t i = 0; i < change_count; i++) {
        buf_append_str(&change.body, i == 0 ? "" : ",");
        write_change(&change.body, &changes[i]);
    }
    buf_append_str(&change.body, "]}");
    return send(&change, "POST", "transaction on table", changes[0].name);
}

enum err rest_commits_all(struct rest *rest, const struct rest_catalog *catalog,
                          const struct identity *who, bool *ret_can, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    TRY(rest_call__open(rest, catalog, who, &call, info));
    *ret_can = (call.config->endpoints & REST_COMMIT_ALL) != 0;
    return ERR_OK;
}

static void lend(const struct rest_table *table, struct rest_lent *ret_lent)
{
    *ret_lent =
        (struct rest_lent){.grant = table->grant == NULL ? NULL : storage_grant_ref(table->grant),
                           .who = table->lent_to};
}

enum err rest_borrow(struct rest *rest, const struct rest_catalog *catalog,
                     const struct identity *who, const struct rest_namespace *ns, struct slice name,
                     struct rest_lent *ret_lent, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_table *table = NULL;
    TRY(rest_call__open(rest, catalog, who, &call, info));
    TRY(rest_load__kept(&call, ns, name, &table));
    lend(table, ret_lent);
    rest_item__unref(&table->item);
    return ERR_OK;
}

/* The request that stages the same table again, in the place that the catalog gave it: credentials
 * of a table that is not there yet are to be had no other way. Nothing for one that was made. */
static enum err print_staged(const struct change *change, struct slice request, struct buf *out)
{
    static const char *const asked[] = {"stage-create", "location"};
    static const char *const told[] = {"metadata"};
    static const char *const placed[] = {"location"};
    struct slice wanted[ARRAY_COUNT(asked)];
    struct slice metadata;
    struct slice location;
    struct errinfo *info = change->call.info;
    TRY(rest_members(request, asked, ARRAY_COUNT(asked), wanted, info));
    if (!slice_equal(wanted[0], SLICE("true"))) {
        return ERR_OK;
    }
    TRY(rest_members(secret_slice(&change->answer.body), told, 1, &metadata, info));
    if (metadata.len > 0 && wanted[1].len == 0) {
        TRY(rest_members(metadata, placed, 1, &location, info));
        struct slice open = slice_trim(request);
        buf_append(out, open.ptr, open.len - 1);
        buf_append_str(out, ",\"location\":");
        buf_append_slice(out, location.len > 0 ? location : SLICE("null"));
        buf_append_char(out, '}');
    } else {
        buf_append_slice(out, request);
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err rest_create_table(struct rest *rest, const struct rest_catalog *catalog,
                           const struct identity *who, const struct rest_namespace *ns,
                           struct slice name, struct slice request, struct arena *arena,
                           struct rest_loaded *ret_loaded, struct rest_lent *ret_lent,
                           struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    struct buf staged CLEANUP(buf_fini) = {0};
    struct rest_table *table = NULL;
    TRY(begin(&change, rest, catalog, who, REST_CREATE_TABLE, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/tables");
    buf_append_slice(&change.body, request);
    TRY(send(&change, "POST", "table", name));
    enum err err = print_staged(&change, request, &staged);
    change.call.staged = buf_slice(&staged);
    if (err == ERR_OK) {
        err = rest_load__made(&change.call, ns, name, &change.answer, &table);
    }
    if (err == ERR_OK) {
        err = rest_load__give(table, arena, ret_loaded, info);
    }
    if (err == ERR_OK) {
        lend(table, ret_lent);
    }
    rest_item__unref(table == NULL ? NULL : &table->item);
    return err == ERR_CORRUPT ? unknown(&change, "table", name) : err;
}

enum err rest_register_table(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, const struct rest_namespace *ns,
                             struct slice name, struct slice metadata_location,
                             struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_REGISTER_TABLE, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/register");
    buf_append_str(&change.body, "{\"name\":");
    json_write_string(&change.body, name);
    buf_append_str(&change.body, ",\"metadata-location\":");
    json_write_string(&change.body, metadata_location);
    buf_append_char(&change.body, '}');
    return send(&change, "POST", "table", name);
}

enum err rest_drop_table(struct rest *rest, const struct rest_catalog *catalog,
                         const struct identity *who, const struct rest_namespace *ns,
                         struct slice name, bool purges, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    if (metastore_is(catalog->protocol) && !purges) {
        TRY(rest_call__open(rest, catalog, who, &change.call, info));
        return rest_metastore__of(catalog)->drop_table(&change.call, ns, name);
    }
    TRY(begin(&change, rest, catalog, who, REST_DROP_TABLE, info));
    add_table(&change, ns, name);
    buf_append_str(&change.path, purges ? "?purgeRequested=true" : "?purgeRequested=false");
    return send(&change, "DELETE", "table", name);
}

static enum err rename_to(struct change *change, const char *what, const struct rest_namespace *ns,
                          struct slice name, const struct rest_namespace *new_ns,
                          struct slice new_name)
{
    buf_printf(&change->path, "v1/%s%ss/rename", change->call.config->prefix, what);
    buf_append_str(&change->body, "{\"source\":");
    write_identifier(&change->body, ns, name);
    buf_append_str(&change->body, ",\"destination\":");
    write_identifier(&change->body, new_ns, new_name);
    buf_append_char(&change->body, '}');
    return send(change, "POST", what, name);
}

enum err rest_rename_table(struct rest *rest, const struct rest_catalog *catalog,
                           const struct identity *who, const struct rest_namespace *ns,
                           struct slice name, const struct rest_namespace *new_ns,
                           struct slice new_name, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    if (metastore_is(catalog->protocol)) {
        TRY(rest_call__open(rest, catalog, who, &change.call, info));
        return rest_metastore__of(catalog)->rename_table(&change.call, ns, name, new_name);
    }
    TRY(begin(&change, rest, catalog, who, REST_RENAME_TABLE, info));
    return rename_to(&change, "table", ns, name, new_ns, new_name);
}

/* ---- views ---- */

enum err rest_create_view(struct rest *rest, const struct rest_catalog *catalog,
                          const struct identity *who, const struct rest_namespace *ns,
                          struct slice name, struct slice request, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_CREATE_VIEW, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/views");
    buf_append_slice(&change.body, request);
    return send(&change, "POST", "view", name);
}

enum err rest_update_view(struct rest *rest, const struct rest_catalog *catalog,
                          const struct identity *who, const struct rest_namespace *ns,
                          struct slice name, struct slice request, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_UPDATE_VIEW, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/views/");
    rest_url__encode(&change.path, name);
    buf_append_slice(&change.body, request);
    return send(&change, "POST", "view", name);
}

enum err rest_drop_view(struct rest *rest, const struct rest_catalog *catalog,
                        const struct identity *who, const struct rest_namespace *ns,
                        struct slice name, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_DROP_VIEW, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/views/");
    rest_url__encode(&change.path, name);
    return send(&change, "DELETE", "view", name);
}

enum err rest_rename_view(struct rest *rest, const struct rest_catalog *catalog,
                          const struct identity *who, const struct rest_namespace *ns,
                          struct slice name, const struct rest_namespace *new_ns,
                          struct slice new_name, struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    TRY(begin(&change, rest, catalog, who, REST_RENAME_VIEW, info));
    return rename_to(&change, "view", ns, name, new_ns, new_name);
}

/* ---- namespaces ---- */

enum err rest_create_namespace(struct rest *rest, const struct rest_catalog *catalog,
                               const struct identity *who, const struct rest_namespace *ns,
                               const struct rest_property *properties, size_t property_count,
                               struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    if (metastore_is(catalog->protocol)) {
        TRY(rest_call__open(rest, catalog, who, &change.call, info));
        return rest_metastore__of(catalog)->create_namespace(&change.call, ns, properties,
                                                             property_count);
    }
    TRY(begin(&change, rest, catalog, who, REST_CREATE_NAMESPACE, info));
    buf_printf(&change.path, "v1/%snamespaces", change.call.config->prefix);
    buf_append_str(&change.body, "{\"namespace\":");
    write_levels(&change.body, ns);
    buf_append_str(&change.body, ",\"properties\":{");
    for (size_t i = 0; i < property_count; i++) {
        buf_append_str(&change.body, i == 0 ? "" : ",");
        json_write_string(&change.body, properties[i].key);
        buf_append_char(&change.body, ':');
        json_write_string(&change.body, properties[i].value);
    }
    buf_append_str(&change.body, "}}");
    return send(&change, "POST", "namespace", last_level(ns));
}

enum err rest_drop_namespace(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, const struct rest_namespace *ns,
                             struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    if (metastore_is(catalog->protocol)) {
        TRY(rest_call__open(rest, catalog, who, &change.call, info));
        return rest_metastore__of(catalog)->drop_namespace(&change.call, ns);
    }
    TRY(begin(&change, rest, catalog, who, REST_DROP_NAMESPACE, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    return send(&change, "DELETE", "namespace", last_level(ns));
}

enum err rest_set_properties(struct rest *rest, const struct rest_catalog *catalog,
                             const struct identity *who, const struct rest_namespace *ns,
                             const struct rest_property *properties, size_t property_count,
                             struct errinfo *info)
{
    struct change change CLEANUP(change_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    if (metastore_is(catalog->protocol)) {
        TRY(rest_call__open(rest, catalog, who, &change.call, info));
        return rest_metastore__of(catalog)->set_properties(&change.call, ns, properties,
                                                           property_count);
    }
    TRY(begin(&change, rest, catalog, who, REST_UPDATE_NAMESPACE, info));
    rest_url__namespace(&change.path, change.call.config, ns);
    buf_append_str(&change.path, "/properties");
    buf_append_str(&change.body, "{\"removals\":[");
    bool is_first = true;
    for (size_t i = 0; i < property_count; i++) {
        bool is_removal = properties[i].value.ptr == NULL;
        struct buf *out = is_removal ? &change.body : &updates;
        buf_append_str(out, (is_removal ? is_first : updates.len == 0) ? "" : ",");
        json_write_string(out, properties[i].key);
        if (!is_removal) {
            buf_append_char(out, ':');
            json_write_string(out, properties[i].value);
        }
        is_first = is_first && !is_removal;
    }
    buf_append_str(&change.body, "],\"updates\":{");
    buf_append_slice(&change.body, buf_slice(&updates));
    buf_append_str(&change.body, "}}");
    return buf_failed(&updates) ? errinfo_nomem(info)
                                : send(&change, "POST", "namespace", last_level(ns));
}
