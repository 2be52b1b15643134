/* API keys: made, taken back, listed. The store has their hashes; nobody can get one out again. */
#include "base/clock.h"
#include "system/credentials.h"
#include "system/system_int.h"

#define LIVE_MAX 100 /* of one person */
#define DEAD_MAX 100 /* that are still remembered */

/* Of a name, or of a prefix: which no name can be, as a key's prefix belongs to the key. */
static enum err find_live(struct system *system, int64_t user, struct slice name, bool *ret_found,
                          int64_t *ret_id, struct errinfo *info)
{
    return system__number(system,
                          "SELECT id FROM api_key WHERE principal = ?1 AND revoked_wall_us = 0"
                          " AND (name = ?2 OR prefix = ?2)",
                          VALUES(INT(user), TEXT(name)), ret_found, ret_id, info);
}

static enum err revoke_id(struct system *system, const struct actor *actor, int64_t id,
                          struct errinfo *info)
{
    return system__run(
        system, "UPDATE api_key SET revoked_wall_us = ?2, revoked_by = ?3 WHERE id = ?1",
        VALUES(INT(id), INT(clock_wall_us()), TEXT(identity_subject(actor->who))), info);
}

/* What has expired gives its name back; of the dead only the newest are remembered. */
static enum err bury(struct system *system, const struct actor *actor, int64_t user,
                     struct errinfo *info)
{
    TRY(system__run(system,
                    "UPDATE api_key SET revoked_wall_us = expires_wall_us, revoked_by = ?3"
                    " WHERE principal = ?1 AND revoked_wall_us = 0"
                    " AND expires_wall_us BETWEEN 1 AND ?2",
                    VALUES(INT(user), INT(clock_wall_us()), TEXT(identity_subject(actor->who))),
                    info));
    return system__run(system,
                       "DELETE FROM api_key WHERE principal = ?1 AND revoked_wall_us <> 0"
                       " AND id NOT IN (SELECT id FROM api_key WHERE principal = ?1"
                       " AND revoked_wall_us <> 0 ORDER BY id DESC LIMIT ?2)",
                       VALUES(INT(user), INT(DEAD_MAX)), info);
}

static enum err check_room(struct system *system, const struct principal *user, struct slice name,
                           struct errinfo *info)
{
    bool exists = false;
    int64_t ignored = 0;
    int64_t count = 0;
    TRY(find_live(system, user->id, name, &exists, &ignored, info));
    if (exists) {
        (void)errinfo_set(info, ERR_EXISTS, "42710",
                          "user \"%.*s\" has an API key \"%.*s\" already", SLICE_ARGS(user->name),
                          SLICE_ARGS(name));
        errinfo_hint(info, "Choose another name, or REVOKE API KEY first.");
        return ERR_EXISTS;
    }
    TRY(system__number(system,
                       "SELECT count(*) FROM api_key WHERE principal = ?1 AND revoked_wall_us = 0",
                       VALUES(INT(user->id)), &exists, &count, info));
    if (count >= LIVE_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "user \"%.*s\" has %d API keys already",
                           SLICE_ARGS(user->name), LIVE_MAX);
    }
    return ERR_OK;
}

static enum err check_name(struct slice name, struct errinfo *info)
{
    TRY(system__check_name(name, "key", info));
    if (slice_starts_with_fold(name, SLICE(API_KEY_MARK))) {
        return errinfo_set(info, ERR_INVALID, "42939",
                           "the name of a key cannot begin with \"" API_KEY_MARK "\"");
    }
    return ERR_OK;
}

static enum err create(struct system *system, const struct actor *actor, struct slice user_name,
                       struct slice name, const struct api_key *key, int64_t expires_wall_us,
                       struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "create key", 0);
    struct principal user;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    /* A stolen key would else make others that outlive it. */
    if (identity_sign_in(actor->who)->api_key.len > 0) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "a session of an API key makes no other keys");
        errinfo_hint(info, "Sign in with a password or a token.");
        return ERR_DENIED;
    }
    TRY(system__find_to_change(system, actor, user_name, true, arena, &user, info));
    TRY(bury(system, actor, user.id, info));
    TRY(check_room(system, &user, name, info));
    struct slice hash = {(const char *)key->hash, sizeof(key->hash)};
    return system__run(system,
                       "INSERT INTO api_key (principal, name, prefix, hash, created_by,"
                       " created_wall_us, expires_wall_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                       VALUES(INT(user.id), TEXT(name), TEXT(slice_of(key->prefix)), BLOB(hash),
                              TEXT(identity_subject(actor->who)), INT(clock_wall_us()),
                              INT(expires_wall_us)),
                       info);
}

enum err system_api_key_create(struct system *system, const struct identity *who, struct slice user,
                               struct slice name, const struct api_key *key,
                               int64_t expires_wall_us, struct errinfo *info)
{
    struct actor actor;
    TRY(check_name(name, info));
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = create(system, &actor, user, name, key, expires_wall_us, info);
    return system__write_end(system, err, info);
}

static enum err revoke(struct system *system, const struct actor *actor, struct slice user_name,
                       struct slice name, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "revoke key", 0);
    struct principal user;
    bool is_found = false;
    int64_t id;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (!slice_equal_fold(user_name, identity_subject(actor->who))) {
        TRY(system__need_admin(actor, "take back keys of others", info));
    }
    TRY(system__need_principal(system, actor, user_name, WANT_USER, arena, &user, info));
    TRY(find_live(system, user.id, name, &is_found, &id, info));
    if (!is_found) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42704", "user \"%.*s\" has no API key \"%.*s\"",
                          SLICE_ARGS(user.name), SLICE_ARGS(name));
        errinfo_hint(info, "SHOW API KEYS lists them.");
        return ERR_NOT_FOUND;
    }
    return revoke_id(system, actor, id, info);
}

enum err system_api_key_revoke(struct system *system, const struct identity *who, struct slice user,
                               struct slice name, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = revoke(system, &actor, user, name, info);
    return system__write_end(system, err, info);
}

static enum err read_key(const struct cursor *cursor, struct arena *arena,
                         struct system_api_key *ret_key, struct errinfo *info)
{
    TRY(system__text(cursor, 0, arena, &ret_key->user, info));
    TRY(system__text(cursor, 1, arena, &ret_key->name, info));
    TRY(system__text(cursor, 2, arena, &ret_key->prefix, info));
    TRY(system__text(cursor, 3, arena, &ret_key->created_by, info));
    ret_key->created_wall_us = system__int(cursor, 4);
    ret_key->expires_wall_us = system__int(cursor, 5);
    TRY(system__text(cursor, 6, arena, &ret_key->revoked_by, info));
    ret_key->revoked_wall_us = system__int(cursor, 7);
    return ERR_OK;
}

static enum err list(struct system *system, const struct identity *who, struct arena *arena,
                     struct system_api_key **ret_keys, size_t *ret_count, struct errinfo *info)
{
    struct actor actor;
    struct system_api_key *keys = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            "SELECT p.name, k.name, k.prefix, k.created_by, k.created_wall_us,"
                            " k.expires_wall_us, k.revoked_by, k.revoked_wall_us"
                            " FROM api_key k JOIN principal p ON p.id = k.principal"
                            " WHERE ?1 OR p.id = ?2 ORDER BY k.id DESC",
                            VALUES(INT(actor.is_admin), INT(actor.id)), &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        keys = system__push(arena, keys, count, &capacity, sizeof(*keys));
        if (keys == NULL) {
            return errinfo_nomem(info);
        }
        TRY(read_key(&cursor, arena, &keys[count++], info));
    }
    *ret_keys = keys;
    *ret_count = count;
    return ERR_OK;
}

enum err system_api_keys(struct system *system, const struct identity *who, struct arena *arena,
                         struct system_api_key **ret_keys, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = list(system, who, arena, ret_keys, ret_count, info);
    system__read_end(system);
    return err;
}

/* ---- for logins ---- */

static enum err find_key(struct system *system, struct slice prefix, struct arena *arena,
                         bool *ret_found, struct stored_key *ret_key, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct stored_key key = {0};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT k.principal, p.name, k.name, k.hash, k.expires_wall_us,"
                            " k.revoked_wall_us FROM api_key k"
                            " JOIN principal p ON p.id = k.principal WHERE k.prefix = ?1",
                            VALUES(TEXT(prefix)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (has_row) {
        struct slice hash = system__view(&cursor, 3);
        ASSERT(hash.len == sizeof(key.hash));
        memcpy(key.hash, hash.ptr, sizeof(key.hash));
        key.principal = system__int(&cursor, 0);
        TRY(system__text(&cursor, 1, arena, &key.user, info));
        TRY(system__text(&cursor, 2, arena, &key.name, info));
        key.expires_wall_us = system__int(&cursor, 4);
        key.is_revoked = system__int(&cursor, 5) != 0;
        *ret_key = key;
    }
    *ret_found = has_row;
    return ERR_OK;
}

enum err system_api_key_find(struct system *system, struct slice prefix, struct arena *arena,
                             bool *ret_found, struct stored_key *ret_key, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = find_key(system, prefix, arena, ret_found, ret_key, info);
    system__read_end(system);
    return err;
}
