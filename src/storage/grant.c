/* What a catalog lent one person: credentials by prefix, their lives and their renewal.
 *
 * Keys are handed out as counted, unchanging objects, so that a renewal never pulls them from under
 * a request that is being signed. One thread renews, without the lock; others go on with keys that
 * still live, and wait only where they have none. */
#include "base/clock.h"
#include "base/mem.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

/* Renewed when a quarter of their life is left, five minutes at most. */
#define MARGIN_US_MAX (300LL * 1000000)
#define CREDENTIALS_MAX 1000u

/* ---- keys ---- */

void s3__keys_unref(struct s3_keys *keys)
{
    if (keys != NULL && atomic_fetch_sub(&keys->references, 1) == 1) {
        secret_fini(&keys->texts);
        mem_free(keys);
    }
}

static bool is_printable(struct slice text, bool may_be_empty)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return may_be_empty || text.len > 0;
}

static enum err check_credential(const struct storage_credential *from, enum fetch_plain plain,
                                 struct errinfo *info)
{
    struct s3_place place;
    if (from->prefix.len > 0) {
        TRY(s3__place_of(from->prefix, &place, info));
    }
    bool is_keyed = is_printable(from->access_key, false) &&
                    is_printable(from->secret_key, false) &&
                    is_printable(from->session_token, true) &&
                    memchr(from->access_key.ptr, '/', from->access_key.len) == NULL;
    bool is_good = (is_keyed || from->is_signed) &&
                   (from->region.len == 0 || s3__region_is_valid(from->region));
    if (!is_good) {
        return errinfo_set(info, ERR_INVALID, NULL,
                           "the catalog lent credentials that cannot be used");
    }
    if (from->endpoint.len > 0 && !fetch_url_is_allowed(from->endpoint, plain)) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "the catalog names a storage without TLS");
        errinfo_hint(info, "Give the storage a certificate; storage.allow_plain_http = true "
                           "reads from it as it is.");
        return ERR_DENIED;
    }
    return ERR_OK;
}

static struct s3_keys *keys_new(const struct storage_credential *from, uint64_t generation,
                                int64_t now_us)
{
    struct s3_keys *keys = mem_calloc(1, sizeof(*keys));
    struct slice parts[] = {from->prefix, from->access_key, from->secret_key, from->session_token,
                            from->endpoint};
    if (keys == NULL || !secret_join(parts, ARRAY_COUNT(parts), &keys->texts)) {
        mem_free(keys);
        return NULL;
    }
    struct slice *views[] = {&keys->prefix, &keys->access_key, &keys->secret_key,
                             &keys->session_token, &keys->endpoint};
    const char *at = keys->texts.ptr;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        *views[i] = (struct slice){at, parts[i].len};
        at += parts[i].len;
    }
    atomic_init(&keys->references, 1);
    keys->generation = generation;
    keys->is_path_style = from->is_path_style;
    keys->is_signed = from->is_signed;
    keys->expires_wall_us = from->expires_wall_us;
    if (from->expires_wall_us > 0) {
        int64_t life_us = from->expires_wall_us - now_us;
        int64_t margin_us = life_us / 4 < MARGIN_US_MAX ? life_us / 4 : MARGIN_US_MAX;
        keys->renew_wall_us = from->expires_wall_us - (margin_us > 0 ? margin_us : 0);
    }
    if (from->region.len > 0) {
        memcpy(keys->region, from->region.ptr, from->region.len);
    }
    return keys;
}

static void free_all(struct s3_keys **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        s3__keys_unref(keys[i]);
    }
    mem_free(keys);
}

static enum fetch_plain plain_of(const struct storage_remote *remote)
{
    return remote->options.allow_plain_http ? FETCH_PLAIN_ANYWHERE : FETCH_PLAIN_LOOPBACK;
}

enum err storage_grant_renew(struct storage_grant *grant,
                             const struct storage_credential *credentials, size_t credential_count,
                             struct errinfo *info)
{
    if (credential_count == 0 || credential_count > CREDENTIALS_MAX) {
        return errinfo_set(info, ERR_DENIED, NULL, "the catalog lent no credentials for storage");
    }
    for (size_t i = 0; i < credential_count; i++) {
        TRY(check_credential(&credentials[i], plain_of(grant->remote), info));
    }
    struct s3_keys **keys = mem_calloc(credential_count, sizeof(struct s3_keys *));
    if (keys == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_lock(&grant->lock);
    uint64_t generation = ++grant->generation;
    pthread_mutex_unlock(&grant->lock);
    int64_t now_us = grant->remote->wall_us();
    for (size_t i = 0; i < credential_count; i++) {
        keys[i] = keys_new(&credentials[i], generation, now_us);
        if (keys[i] == NULL) {
            free_all(keys, i);
            return errinfo_nomem(info);
        }
    }
    pthread_mutex_lock(&grant->lock);
    struct s3_keys **old = grant->keys;
    size_t old_count = grant->key_count;
    grant->keys = keys;
    grant->key_count = credential_count;
    pthread_mutex_unlock(&grant->lock);
    free_all(old, old_count);
    return ERR_OK;
}

/* ---- grants ---- */

enum err storage_grant_new(const struct storage_grant_spec *spec, struct storage_grant **ret_grant,
                           struct errinfo *info)
{
    ASSERT(spec->who != NULL && spec->remote != NULL && spec->pool != NULL);
    struct storage_grant *grant CLEANUP(storage_grant_cleanup) = mem_calloc(1, sizeof(*grant));
    if (grant == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&grant->references, 1);
    pthread_mutex_init(&grant->lock, NULL);
    pthread_cond_init(&grant->changed, NULL);
    grant->who = spec->who;
    grant->remote = spec->remote;
    grant->pool = fetch_pool_ref(spec->pool);
    TRY(storage_grant_renew(grant, spec->credentials, spec->credential_count, info));
    grant->renew = spec->renew;
    grant->sign = spec->sign;
    grant->release = spec->release;
    grant->context = spec->context;
    *ret_grant = TAKE(grant);
    return ERR_OK;
}

struct storage_grant *storage_grant_ref(struct storage_grant *grant)
{
    atomic_fetch_add(&grant->references, 1);
    return grant;
}

void storage_grant_unref(struct storage_grant *grant)
{
    if (grant == NULL || atomic_fetch_sub(&grant->references, 1) > 1) {
        return;
    }
    free_all(grant->keys, grant->key_count);
    for (size_t i = 0; i < S3_SIGNATURES_MAX; i++) {
        s3__signed_unref(grant->kept[i]);
    }
    fetch_pool_unref(grant->pool);
    if (grant->release != NULL) {
        grant->release(grant->context);
    }
    pthread_cond_destroy(&grant->changed);
    pthread_mutex_destroy(&grant->lock);
    mem_free(grant);
}

void storage_grant_revoke(struct storage_grant *grant)
{
    atomic_store(&grant->is_revoked, true);
}

enum err storage__grant_check(const struct storage_grant *grant, const struct identity *who,
                              struct errinfo *info)
{
    if (grant->who != who) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "the storage's credentials are another person's");
    }
    if (atomic_load(&grant->is_revoked)) {
        return errinfo_set(info, ERR_DENIED, NULL, "the storage's credentials were withdrawn");
    }
    return ERR_OK;
}

/* "s3://", "s3a://" and "s3n://" are one store. */
static struct slice behind_scheme(struct slice location)
{
    size_t start = storage__scheme_of(location).len;
    return (struct slice){location.ptr + start, location.len - start};
}

/* A prefix ends at a "/" of the location: what is lent for ".../t1" is not for ".../t10". */
static bool covers(struct slice prefix, struct slice location)
{
    if (prefix.len == 0) {
        return true;
    }
    prefix = behind_scheme(prefix);
    location = behind_scheme(location);
    return slice_starts_with(location, prefix) &&
           (location.len == prefix.len || prefix.ptr[prefix.len - 1] == '/' ||
            location.ptr[prefix.len] == '/');
}

/* With the lock held. */
static struct s3_keys *find_keys(const struct storage_grant *grant, struct slice location)
{
    struct s3_keys *best = NULL;
    for (size_t i = 0; i < grant->key_count; i++) {
        struct s3_keys *keys = grant->keys[i];
        if (covers(keys->prefix, location) &&
            (best == NULL || keys->prefix.len > best->prefix.len)) {
            best = keys;
        }
    }
    return best;
}

/* With the lock held, which is given up meanwhile. */
static enum err renew(struct storage_grant *grant, struct errinfo *info)
{
    grant->is_renewing = true;
    pthread_mutex_unlock(&grant->lock);
    enum err err = grant->renew(grant->context, grant, info);
    atomic_fetch_add(&grant->remote->renewals, 1);
    pthread_mutex_lock(&grant->lock);
    grant->is_renewing = false;
    pthread_cond_broadcast(&grant->changed);
    return err;
}

static enum err no_keys(const struct s3_keys *keys, struct slice location, struct errinfo *info)
{
    struct slice name = storage__base_name(location);
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      keys == NULL
                          ? "the catalog lent no credentials for \"%.*s\""
                          : "the credentials that the catalog lent for \"%.*s\" have expired",
                      SLICE_ARGS(name));
    return ERR_DENIED;
}

/* With the lock held: `*ret_keys` live now. */
static enum err find_living(struct storage_grant *grant, struct slice location, uint64_t refused,
                            struct s3_keys **ret_keys, struct errinfo *info)
{
    for (bool has_renewed = false;;) {
        struct s3_keys *keys = find_keys(grant, location);
        int64_t now_us = grant->remote->wall_us();
        if (keys == NULL) {
            return no_keys(NULL, location, info);
        }
        bool is_refused = refused > 0 && keys->generation <= refused;
        bool is_dead = keys->expires_wall_us > 0 && now_us >= keys->expires_wall_us;
        bool is_due = keys->renew_wall_us > 0 && now_us >= keys->renew_wall_us;
        bool is_usable = !is_refused && !is_dead;
        if (is_usable && (!is_due || has_renewed || grant->is_renewing || grant->renew == NULL)) {
            *ret_keys = keys;
            return ERR_OK;
        }
        if (grant->is_renewing) {
            pthread_cond_wait(&grant->changed, &grant->lock);
            continue;
        }
        if (grant->renew == NULL || has_renewed) {
            return no_keys(keys, location, info);
        }
        enum err err = renew(grant, info);
        has_renewed = true;
        if (err != ERR_OK && !is_usable) {
            return err;
        }
    }
}

enum err storage__grant_keys(struct storage_grant *grant, struct slice location, uint64_t refused,
                             struct s3_keys **ret_keys, char ret_region[S3_REGION_BYTES],
                             struct errinfo *info)
{
    struct s3_keys *keys = NULL;
    pthread_mutex_lock(&grant->lock);
    enum err err = find_living(grant, location, refused, &keys, info);
    if (err == ERR_OK) {
        atomic_fetch_add(&keys->references, 1);
        memcpy(ret_region, keys->region, S3_REGION_BYTES);
        *ret_keys = keys;
    }
    pthread_mutex_unlock(&grant->lock);
    return err;
}

void storage__grant_learn_region(struct storage_grant *grant, struct s3_keys *keys,
                                 struct slice region)
{
    pthread_mutex_lock(&grant->lock);
    memset(keys->region, 0, S3_REGION_BYTES);
    memcpy(keys->region, region.ptr, region.len);
    pthread_mutex_unlock(&grant->lock);
}

/* ---- the catalog's words ---- */

bool storage_credential_of(struct slice prefix, const struct storage_property *properties,
                           size_t property_count, struct storage_credential *ret_credential)
{
    struct storage_credential found = {.prefix = prefix};
    struct slice expires = {NULL, 0};
    struct slice path_style = {NULL, 0};
    struct slice remote_signing = {NULL, 0};
    const struct {
        struct slice name;
        struct slice *value;
    } names[] = {
        {SLICE("s3.access-key-id"), &found.access_key},
        {SLICE("s3.secret-access-key"), &found.secret_key},
        {SLICE("s3.session-token"), &found.session_token},
        {SLICE("s3.session-token-expires-at-ms"), &expires},
        {SLICE("s3.endpoint"), &found.endpoint},
        {SLICE("s3.path-style-access"), &path_style},
        {SLICE("remote-signing-enabled"), &remote_signing},
        {SLICE("s3.remote-signing-enabled"), &remote_signing},
        {SLICE("s3.region"), &found.region},
        {SLICE("client.region"), &found.region}, /* the one that Java has wins */
    };
    for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
        for (size_t i = 0; i < property_count; i++) {
            if (slice_equal(properties[i].name, names[n].name)) {
                *names[n].value = properties[i].value;
            }
        }
    }
    int64_t expires_ms = 0;
    if (slice_to_i64(expires, &expires_ms) && expires_ms > 0 && expires_ms < INT64_MAX / 1000) {
        found.expires_wall_us = expires_ms * 1000;
    }
    found.is_path_style = slice_equal_fold(path_style, SLICE("true"));
    if (found.access_key.len == 0 || found.secret_key.len == 0) {
        found.is_signed = slice_equal_fold(remote_signing, SLICE("true"));
        if (!found.is_signed) {
            return false;
        }
    }
    *ret_credential = found;
    return true;
}
