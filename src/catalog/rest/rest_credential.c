/* Credentials for storage, as a catalog vends them for one person and table: out of an answer, into
 * a grant of storage, which has newer ones fetched while something still reads. */
#include "base/mem.h"
#include "catalog/rest/rest_sign_int.h"
#include "fetch/fetch.h"
#include "identity/identity.h"

#define CREDENTIALS_MAX 256
#define PROPERTIES_MAX 256

/* ---- out of an answer ---- */

static void credential_fini(struct rest_credential *credential)
{
    for (size_t i = 0; i < credential->count; i++) {
        mem_free(credential->keys[i]);
        secret_fini(&credential->values[i]);
    }
    mem_free(credential->keys);
    mem_free(credential->values);
    mem_free(credential->properties);
    mem_free(credential->prefix);
}

void rest_vended__fini(struct rest_vended *vended)
{
    for (size_t i = 0; i < vended->count; i++) {
        credential_fini(&vended->credentials[i]);
    }
    mem_free(vended->credentials);
    *vended = (struct rest_vended){0};
}

/* What a text with escapes was decoded to is a copy in the arena of the tree: wiped there. */
static void wipe_texts(const struct json *object, struct slice document)
{
    for (const struct json *item = object->first; item != NULL; item = item->next) {
        bool is_copy =
            item->type == JSON_STRING && item->text.len > 0 &&
            (item->text.ptr < document.ptr || item->text.ptr >= document.ptr + document.len);
        if (is_copy) {
            mem_wipe((void *)(uintptr_t)item->text.ptr, item->text.len);
        }
    }
}

static enum err add_properties(const struct rest_call *call, const struct json *config,
                               struct rest_credential *out)
{
    out->keys = mem_calloc(config->count + 1u, sizeof(char *));
    out->values = mem_calloc(config->count + 1u, sizeof(*out->values));
    out->properties = mem_calloc(config->count + 1u, sizeof(*out->properties));
    if (out->keys == NULL || out->values == NULL || out->properties == NULL) {
        return errinfo_nomem(call->info);
    }
    for (const struct json *item = config->first; item != NULL; item = item->next) {
        if (item->type != JSON_STRING) {
            return rest_answer__wrong(call, "a property that is no text");
        }
        size_t at = out->count++;
        out->keys[at] = mem_slicedup(item->key);
        if (out->keys[at] == NULL || !secret_copy(item->text, &out->values[at])) {
            return errinfo_nomem(call->info);
        }
        out->properties[at] =
            (struct storage_property){slice_of(out->keys[at]), secret_slice(&out->values[at])};
    }
    return ERR_OK;
}

static enum err add_credential(const struct rest_call *call, struct slice prefix,
                               const struct json *config, struct rest_vended *vended)
{
    if (config == NULL || config->type != JSON_OBJECT || config->count > PROPERTIES_MAX) {
        return rest_answer__wrong(call, "a credential without a configuration");
    }
    struct rest_credential *credential = &vended->credentials[vended->count++];
    credential->prefix = mem_slicedup(prefix);
    return credential->prefix == NULL ? errinfo_nomem(call->info)
                                      : add_properties(call, config, credential);
}

static enum err parse_list(const struct rest_call *call, struct slice text, struct arena *arena,
                           struct rest_vended *vended)
{
    struct json *list = NULL;
    enum err err = json_parse(arena, text, NULL, &list, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    if (err != ERR_OK || list->type != JSON_ARRAY || list->count > CREDENTIALS_MAX) {
        return rest_answer__wrong(call, "credentials that are no list");
    }
    for (const struct json *item = list->first; err == ERR_OK && item != NULL; item = item->next) {
        const struct json *prefix = json_get(item, "prefix");
        if (prefix == NULL || prefix->type != JSON_STRING) {
            err = rest_answer__wrong(call, "a credential without a prefix");
        } else {
            err = add_credential(call, prefix->text, json_get(item, "config"), vended);
        }
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        const struct json *config = json_get(item, "config");
        if (config != NULL) {
            wipe_texts(config, text);
        }
    }
    return err;
}

/* Credentials among a table's configuration hold for all of its files, behind the list's. */
static enum err parse_config(const struct rest_call *call, struct slice text, struct arena *arena,
                             struct rest_vended *vended)
{
    struct json *config = NULL;
    enum err err = json_parse(arena, text, NULL, &config, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    if (err != ERR_OK || config->type != JSON_OBJECT) {
        return rest_answer__wrong(call, "a configuration that is no object");
    }
    err = add_credential(call, SLICE(""), config, vended);
    wipe_texts(config, text);
    return err;
}

enum err rest_vended__parse(const struct rest_call *call, struct slice credentials,
                            struct slice config, struct rest_vended *ret_vended)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "credentials", 0);
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    vended.credentials = mem_calloc(CREDENTIALS_MAX + 1, sizeof(*vended.credentials));
    if (arena == NULL || vended.credentials == NULL) {
        return errinfo_nomem(call->info);
    }
    if (credentials.len > 0) {
        TRY(parse_list(call, credentials, arena, &vended));
    }
    if (config.len > 0) {
        TRY(parse_config(call, config, arena, &vended));
    }
    *ret_vended = vended;
    vended = (struct rest_vended){0};
    return ERR_OK;
}

enum err rest_vended__list(const struct rest_vended *vended, struct arena *arena,
                           struct storage_credential **ret_credentials, size_t *ret_count,
                           struct errinfo *info)
{
    struct storage_credential *list = arena_calloc(arena, vended->count + 1, sizeof(*list));
    size_t count = 0;
    if (list == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < vended->count; i++) {
        const struct rest_credential *one = &vended->credentials[i];
        count +=
            storage_credential_of(slice_of(one->prefix), one->properties, one->count, &list[count])
                ? 1
                : 0;
    }
    *ret_credentials = list;
    *ret_count = count;
    return ERR_OK;
}

/* ---- into a grant ---- */

static void lender_free(void *context)
{
    struct lender *lender = context;
    identity_unref(lender->who);
    arena_free(lender->arena);
    mem_free(lender);
}

static void lender_cleanup(struct lender **lender)
{
    if (*lender != NULL) {
        lender_free(*lender);
    }
}

static enum err renew(void *context, struct storage_grant *grant, struct errinfo *info)
{
    struct lender *lender = context;
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "renewal", 0);
    struct storage_credential *credentials;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(rest_call__open(lender->rest, &lender->catalog, lender->who, &call, info));
    enum err err = rest_load__vended(&call, &lender->ns, lender->name, lender->plan_id, &vended);
    if (err == ERR_NOT_FOUND && lender->staged.len > 0) {
        err = rest_load__staged(&call, &lender->ns, lender->name, lender->staged, &vended);
    }
    TRY(err);
    TRY(rest_vended__list(&vended, arena, &credentials, &count, info));
    return storage_grant_renew(grant, credentials, count, info);
}

static bool copy_texts(struct arena *arena, const struct rest_call *call,
                       const struct rest_namespace *ns, struct slice name, struct slice plan_id,
                       struct lender *lender)
{
    bool is_copied = rest_catalog_copy(call->catalog, arena, &lender->catalog) &&
                     arena_slice(arena, name, &lender->name) &&
                     arena_slice(arena, plan_id, &lender->plan_id) &&
                     arena_slice(arena, call->staged, &lender->staged);
    struct slice *levels = arena_calloc(arena, ns->level_count + 1, sizeof(*levels));
    for (size_t i = 0; is_copied && levels != NULL && i < ns->level_count; i++) {
        is_copied = arena_slice(arena, ns->levels[i], &levels[i]);
    }
    lender->ns = (struct rest_namespace){levels, ns->level_count};
    return is_copied && levels != NULL;
}

static bool has_signed(const struct storage_credential *credentials, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (credentials[i].is_signed) {
            return true;
        }
    }
    return false;
}

enum err rest_lend(const struct rest_call *call, const struct rest_namespace *ns, struct slice name,
                   struct slice plan_id, const struct rest_vended *vended, struct slice signing,
                   struct storage_grant **ret_grant, const struct identity **ret_lent_to)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lending", 0);
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) = NULL;
    struct storage_credential *credentials;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_vended__list(vended, arena, &credentials, &count, call->info));
    if (count == 0 || call->rest->options.storage == NULL) {
        *ret_grant = NULL;
        *ret_lent_to = NULL;
        return ERR_OK;
    }
    struct lender *lender CLEANUP(lender_cleanup) = mem_calloc(1, sizeof(*lender));
    if (lender == NULL || (lender->arena = arena_new(NULL, "lender", 0)) == NULL ||
        !copy_texts(lender->arena, call, ns, name, plan_id, lender)) {
        return errinfo_nomem(call->info);
    }
    if (has_signed(credentials, count)) {
        TRY(rest_sign__prepare(call, vended, signing, lender));
    }
    lender->rest = call->rest;
    lender->who = identity_ref((struct identity *)(uintptr_t)call->who);
    TRY(rest_http__store_pool(call, &pool));
    const struct storage_grant_spec spec = {.who = lender->who,
                                            .remote = call->rest->options.storage,
                                            .pool = pool,
                                            .credentials = credentials,
                                            .credential_count = count,
                                            .renew = renew,
                                            .sign = rest_sign,
                                            .release = lender_free,
                                            .context = lender};
    TRY(storage_grant_new(&spec, ret_grant, call->info));
    *ret_lent_to = lender->who;
    lender = NULL; /* the grant's */
    return ERR_OK;
}
