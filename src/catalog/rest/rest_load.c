/* Tables and views: what the catalog says of one of them to one person, and, kept for that person
 * alone, what it said last.
 *
 * What is kept is never shown before the catalog has been asked again. With an ETag it may answer
 * "as before" (304). That says nothing of a policy or a right that the catalog does not put into
 * its ETags, so it is asked that way only where ATTACH says that it may (ETAG true). */
#include "base/mem.h"
#include "catalog/rest/rest_ahead_int.h"
#include "catalog/rest/rest_metastore_int.h"
#include "catalog/rest/rest_plan_int.h"
#include "identity/identity.h"

enum member {
    MEMBER_METADATA,
    MEMBER_LOCATION,
    MEMBER_CONFIG,
    MEMBER_CREDENTIALS,
    MEMBER_RESTRICTIONS,
    MEMBER_SIGNING,
    MEMBER_COUNT
};

static const char *const members[MEMBER_COUNT] = {
    [MEMBER_METADATA] = "metadata",
    [MEMBER_LOCATION] = "metadata-location",
    [MEMBER_CONFIG] = "config",
    [MEMBER_CREDENTIALS] = "storage-credentials",
    [MEMBER_RESTRICTIONS] = "read-restrictions",
    [MEMBER_SIGNING] = "remote-signing-config",
};

static void table_fini(struct rest_item *item)
{
    struct rest_table *table = (struct rest_table *)item;
    storage_grant_unref(table->grant);
    identity_unref(table->who);
    secret_fini(&table->metadata);
    secret_fini(&table->restrictions);
    mem_free(table->etag);
    mem_free(table->metadata_location);
    mem_free(table->folder);
}

static void unref_table(struct rest_table **table)
{
    rest_item__unref(*table == NULL ? NULL : &(*table)->item);
}

static enum err key_of(const struct rest_call *call, const struct rest_namespace *ns,
                       struct slice name, const char *kind, struct rest_key *ret_key)
{
    struct buf path CLEANUP(buf_fini) = {0};
    rest_url__levels(&path, call->config, ns);
    const struct slice parts[] = {buf_slice(&path), name};
    return buf_failed(&path) ? errinfo_nomem(call->info)
                             : rest_call__key(call, kind, parts, ARRAY_COUNT(parts), ret_key);
}

static const char *kind_of(bool is_view, bool all_snapshots)
{
    return is_view ? "view" : all_snapshots ? "table, all" : "table";
}

/* ---- an answer ---- */

static enum err read_location(const struct rest_call *call, struct slice written, char **ret_text)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "location", 0);
    struct json *text = NULL;
    *ret_text = NULL;
    if (written.len == 0) {
        return ERR_OK; /* staged; nothing is kept under its name */
    }
    enum err err = arena == NULL ? ERR_NOMEM : json_parse(arena, written, NULL, &text, NULL);
    if (err != ERR_NOMEM && (err != ERR_OK || text->type != JSON_STRING)) {
        return rest_answer__wrong(call, "a metadata location that is no text");
    }
    *ret_text = err == ERR_OK ? mem_slicedup(text->text) : NULL;
    return *ret_text == NULL ? errinfo_nomem(call->info) : ERR_OK;
}

static enum err fill_grant(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, const struct slice *values, struct rest_table *table)
{
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    TRY(rest_vended__parse(call, values[MEMBER_CREDENTIALS], values[MEMBER_CONFIG], &vended));
    return rest_lend(call, ns, name, (struct slice){0}, &vended, values[MEMBER_SIGNING],
                     &table->grant, &table->lent_to);
}

static enum err read_planning(const struct rest_call *call, struct slice config,
                              enum rest_planning *ret_planning)
{
    static const char *const keys[] = {"scan-planning-mode"};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "planning", 0);
    struct slice value = {0};
    struct json *mode = NULL;
    if (config.len > 0) {
        TRY(rest_members(config, keys, 1, &value, call->info));
    }
    if (value.len == 0) {
        *ret_planning = call->config->planning;
        return ERR_OK;
    }
    enum err err = arena == NULL ? ERR_NOMEM : json_parse(arena, value, NULL, &mode, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    bool is_text = err == ERR_OK && mode->type == JSON_STRING && mode->text.len > 0;
    *ret_planning = is_text ? rest_planning_of(mode->text) : REST_PLANNING_UNKNOWN;
    return ERR_OK;
}

static enum err fill(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name, const struct rest_answer *answer, struct rest_table *table)
{
    struct slice values[MEMBER_COUNT];
    TRY(rest_members(secret_slice(&answer->body), members, MEMBER_COUNT, values, call->info));
    if (values[MEMBER_METADATA].len == 0) {
        return rest_answer__wrong(call, "no metadata");
    }
    TRY(read_location(call, values[MEMBER_LOCATION], &table->metadata_location));
    if (!table->is_view) {
        TRY(read_planning(call, values[MEMBER_CONFIG], &table->planning));
        TRY(fill_grant(call, ns, name, values, table)); /* wipes what it reads */
    }
    struct slice restrictions = values[MEMBER_RESTRICTIONS];
    bool is_kept = secret_copy(values[MEMBER_METADATA], &table->metadata) &&
                   (restrictions.len == 0 || secret_copy(restrictions, &table->restrictions)) &&
                   (answer->etag[0] == '\0' || (table->etag = mem_strdup(answer->etag)) != NULL);
    table->item.bytes = sizeof(*table) + table->metadata.len + restrictions.len + 1024;
    return is_kept ? ERR_OK : errinfo_nomem(call->info);
}

static enum err new_table(const struct rest_call *call, const struct rest_key *key,
                          struct rest_table **ret_table)
{
    struct rest_table *table = mem_calloc(1, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(call->info);
    }
    atomic_init(&table->item.references, 1);
    table->who = identity_ref((struct identity *)(uintptr_t)call->who);
    table->item.key = *key;
    table->item.fini = table_fini;
    *ret_table = table;
    return ERR_OK;
}

static enum err make_table(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, const struct rest_answer *answer,
                           const struct rest_key *key, bool is_view, struct rest_table **ret_table)
{
    struct rest_table *table CLEANUP(unref_table) = NULL;
    TRY(new_table(call, key, &table));
    table->is_view = is_view;
    TRY(fill(call, ns, name, answer, table));
    rest_cache__put(call->rest->cache, &table->item);
    *ret_table = TAKE(table);
    return ERR_OK;
}

/* Of a metastore there is nothing to keep but what its files are opened with. */
static enum err make_metastore(const struct rest_call *call, const struct rest_namespace *ns,
                               struct slice name, const struct rest_key *key,
                               struct rest_table **ret_table)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "location", 0);
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    struct rest_table *table CLEANUP(unref_table) = NULL;
    struct metastore_place place;
    if (arena == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_metastore__of(call->catalog)->find(call, ns, name, arena, &place));
    TRY(rest_metastore__vended(call, place.folder, &vended));
    TRY(new_table(call, key, &table));
    TRY(rest_lend(call, ns, name, (struct slice){0}, &vended, (struct slice){0}, &table->grant,
                  &table->lent_to));
    table->folder = mem_slicedup(place.folder);
    if (table->folder == NULL) {
        return errinfo_nomem(call->info);
    }
    table->item.bytes = sizeof(*table) + place.folder.len + 1024;
    rest_cache__put(call->rest->cache, &table->item);
    *ret_table = TAKE(table);
    return ERR_OK;
}

/* ---- a question ---- */

/* Of the two answers about one table, with its history and without, the last one holds: what it
 * lends no more is not to be had from the other. */
static enum err drop_other(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, bool is_view, bool all_snapshots)
{
    struct rest_key other;
    if (is_view) {
        return ERR_OK;
    }
    TRY(key_of(call, ns, name, kind_of(false, !all_snapshots), &other));
    rest_cache__drop(call->rest->cache, &other);
    return ERR_OK;
}

static enum err ask(const struct rest_call *call, const struct rest_namespace *ns,
                    struct slice name, bool is_view, bool all_snapshots,
                    struct rest_table **ret_table)
{
    struct rest_key key;
    struct buf path CLEANUP(buf_fini) = {0};
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    TRY(key_of(call, ns, name, kind_of(is_view, all_snapshots), &key));
    if (metastore_is(call->catalog->protocol)) {
        return make_metastore(call, ns, name, &key, ret_table);
    }
    rest_url__namespace(&path, call->config, ns);
    buf_append_str(&path, is_view ? "/views/" : "/tables/");
    rest_url__encode(&path, name);
    buf_append_str(&path, is_view ? "" : all_snapshots ? "?snapshots=all" : "?snapshots=refs");
    struct rest_table *kept CLEANUP(unref_table) = NULL;
    if (call->catalog->has_etags) {
        kept = (struct rest_table *)rest_cache__get(call->rest->cache, &key);
    }
    const struct rest_question question = {.path = buf_slice(&path),
                                           .etag = kept == NULL ? NULL : kept->etag,
                                           .delegates = !is_view,
                                           .what = is_view ? "view" : "table",
                                           .name = name};
    if (buf_failed(&path)) {
        return errinfo_nomem(call->info);
    }
    enum err err = rest_call__ask(call, &question, &answer);
    if (err != ERR_OK) {
        rest_cache__drop(call->rest->cache, &key); /* whatever was right then */
        return err;
    }
    TRY(drop_other(call, ns, name, is_view, all_snapshots));
    if (answer.status == 304) {
        *ret_table = TAKE(kept);
        return ERR_OK;
    }
    return make_table(call, ns, name, &answer, &key, is_view, ret_table);
}

enum err rest_load__table(const struct rest_call *call, const struct rest_namespace *ns,
                          struct slice name, struct rest_table **ret_table)
{
    return ask(call, ns, name, false, false, ret_table);
}

/* A catalog that has no such table may have a view of the name. */
static enum err ask_either(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, bool all_snapshots, struct rest_table **ret_table)
{
    enum err err = ask(call, ns, name, false, all_snapshots, ret_table);
    bool may_be_view = (call->config->endpoints & REST_LOAD_VIEW) != 0;
    if (err != ERR_NOT_FOUND || !may_be_view) {
        return err;
    }
    struct errinfo first = {0};
    if (call->info != NULL) {
        first = *call->info;
    }
    err = ask(call, ns, name, true, false, ret_table);
    if (err == ERR_NOT_FOUND && call->info != NULL) {
        *call->info = first;
    }
    return err;
}

enum err rest_load__give(const struct rest_table *table, struct arena *arena,
                         struct rest_loaded *ret_loaded, struct errinfo *info)
{
    struct rest_loaded loaded = {.is_view = table->is_view, .planning = table->planning};
    bool is_copied =
        arena_slice(arena, slice_of(table->metadata_location), &loaded.metadata_location) &&
        arena_slice(arena, secret_slice(&table->metadata), &loaded.metadata) &&
        arena_slice(arena, secret_slice(&table->restrictions), &loaded.restrictions);
    if (!is_copied) {
        return errinfo_nomem(info);
    }
    *ret_loaded = loaded;
    return ERR_OK;
}

/* Whatever was right then. */
static enum err forget(const struct rest_call *call, const struct rest_namespace *ns,
                       struct slice name, enum err err)
{
    struct rest_key key;
    if (key_of(call, ns, name, kind_of(false, false), &key) == ERR_OK) {
        rest_cache__drop(call->rest->cache, &key);
    }
    return err;
}

/* A table of the name that lies elsewhere is another: what is kept opens none of its files. */
static enum err forget_moved(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name, struct slice folder)
{
    struct rest_key key;
    TRY(key_of(call, ns, name, kind_of(false, false), &key));
    struct rest_table *kept CLEANUP(unref_table) =
        (struct rest_table *)rest_cache__get(call->rest->cache, &key);
    if (kept != NULL && !slice_equal(slice_of(kept->folder), folder)) {
        rest_cache__drop(call->rest->cache, &key);
    }
    return ERR_OK;
}

enum err rest_load(struct rest *rest, const struct rest_catalog *catalog,
                   const struct identity *who, const struct rest_namespace *ns, struct slice name,
                   bool all_snapshots, struct arena *arena, struct rest_loaded *ret_loaded,
                   struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_table *table CLEANUP(unref_table) = NULL;
    enum err err;
    if (rest_ahead__take(catalog, who, ns, name, all_snapshots, arena, ret_loaded, &err, info)) {
        return err;
    }
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (metastore_is(catalog->protocol)) {
        err = rest_metastore__load(&call, ns, name, arena, ret_loaded);
        return err == ERR_OK ? forget_moved(&call, ns, name, ret_loaded->folder)
                             : forget(&call, ns, name, err);
    }
    TRY(ask_either(&call, ns, name, all_snapshots, &table));
    return rest_load__give(table, arena, ret_loaded, info);
}

/* ---- credentials of a table ---- */

/* What was vended with the last answer of either kind. */
static struct rest_table *find_kept(const struct rest_call *call, const struct rest_namespace *ns,
                                    struct slice name)
{
    static const char *const kinds[] = {"table", "table, all"};
    struct rest_table *found = NULL;
    for (size_t i = 0; found == NULL && i < ARRAY_COUNT(kinds); i++) {
        struct rest_key key;
        if (key_of(call, ns, name, kinds[i], &key) == ERR_OK) {
            found = (struct rest_table *)rest_cache__get(call->rest->cache, &key);
        }
    }
    return found;
}

enum err rest_load__kept(const struct rest_call *call, const struct rest_namespace *ns,
                         struct slice name, struct rest_table **ret_table)
{
    struct rest_table *kept = find_kept(call, ns, name);
    if (kept != NULL) {
        *ret_table = kept;
        return ERR_OK;
    }
    return ask(call, ns, name, false, false, ret_table); /* it had to give way */
}

enum err rest_load__made(const struct rest_call *call, const struct rest_namespace *ns,
                         struct slice name, const struct rest_answer *answer,
                         struct rest_table **ret_table)
{
    struct rest_key key;
    TRY(key_of(call, ns, name, kind_of(false, false), &key));
    return make_table(call, ns, name, answer, &key, false, ret_table);
}

/* Of a metastore's table, where it lies now. */
static enum err vended_now(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, struct rest_vended *ret_vended)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "location", 0);
    struct metastore_place place;
    if (arena == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_metastore__of(call->catalog)->find(call, ns, name, arena, &place));
    return rest_metastore__vended(call, place.folder, ret_vended);
}

/* By the endpoint for it, or, where there is none, by loading the table again. */
enum err rest_load__vended(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, struct slice plan_id, struct rest_vended *ret_vended)
{
    static const char *const wanted[] = {"storage-credentials", "config"};
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct slice values[ARRAY_COUNT(wanted)];
    if (metastore_is(call->catalog->protocol)) {
        return vended_now(call, ns, name, ret_vended);
    }
    bool has_endpoint = (call->config->endpoints & REST_LOAD_CREDENTIALS) != 0;
    rest_url__namespace(&path, call->config, ns);
    buf_append_str(&path, "/tables/");
    rest_url__encode(&path, name);
    buf_append_str(&path, has_endpoint ? "/credentials" : "?snapshots=refs");
    if (has_endpoint && plan_id.len > 0) {
        buf_append_str(&path, "?planId=");
        rest_url__encode(&path, plan_id);
    }
    const struct rest_question question = {
        .path = buf_slice(&path), .delegates = true, .what = "table", .name = name};
    if (buf_failed(&path)) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_call__ask(call, &question, &answer));
    TRY(rest_members(secret_slice(&answer.body), wanted, ARRAY_COUNT(wanted), values, call->info));
    return rest_vended__parse(call, values[0], values[1], ret_vended);
}

enum err rest_load__staged(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, struct slice request, struct rest_vended *ret_vended)
{
    static const char *const wanted[] = {"storage-credentials", "config"};
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct slice values[ARRAY_COUNT(wanted)];
    if (metastore_is(call->catalog->protocol)) {
        return rest_metastore__vended(call, request, ret_vended);
    }
    rest_url__namespace(&path, call->config, ns);
    buf_append_str(&path, "/tables");
    /* Staging changes nothing: it may be asked for again. */
    const struct rest_question question = {.method = SLICE("POST"),
                                           .path = buf_slice(&path),
                                           .body = request,
                                           .delegates = true,
                                           .what = "table",
                                           .name = name};
    if (buf_failed(&path)) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_call__ask(call, &question, &answer));
    TRY(rest_members(secret_slice(&answer.body), wanted, ARRAY_COUNT(wanted), values, call->info));
    return rest_vended__parse(call, values[0], values[1], ret_vended);
}

static enum err nothing_vended(const struct rest_call *call, struct slice name)
{
    (void)errinfo_set(call->info, ERR_DENIED, "42501",
                      "catalog \"%.*s\" vends no credentials for the files of table \"%.*s\"",
                      SLICE_ARGS(call->catalog->name), SLICE_ARGS(name));
    errinfo_hint(call->info,
                 metastore_is(call->catalog->protocol)
                     ? "Moat has none of its own: ATTACH OR REPLACE it with the STS of the store, "
                       "where people's own tokens are given for them."
                     : "Moat has none of its own: the catalog must vend them (\"vended "
                       "credentials\") to who may read the table.");
    return ERR_DENIED;
}

enum err rest_open_object(struct rest *rest, const struct rest_catalog *catalog,
                          const struct identity *who, const struct rest_namespace *ns,
                          struct slice name, struct slice location,
                          struct storage_object **ret_object, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    TRY(rest_call__open(rest, catalog, who, &call, info));
    struct rest_table *table CLEANUP(unref_table) = NULL;
    TRY(rest_load__kept(&call, ns, name, &table));
    if (table->grant == NULL) {
        return nothing_vended(&call, name);
    }
    /* The key says that it is the same person and sign-in, whichever object stands for them. */
    return storage_grant_open(table->grant, table->who, location, (struct slice){0}, ret_object,
                              info);
}
