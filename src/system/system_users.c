/* Users: their identity at login, passwords' verifiers, attributes. */
#include "base/clock.h"
#include "sql/ast.h"
#include "system/system_int.h"

#define ATTRIBUTES_MAX 1024
#define ATTRIBUTE_BYTES_MAX (64u * 1024)

/* All roles of ?1, nested ones and "public". */
#define SQL_HELD                                                                                   \
    "WITH RECURSIVE held (id) AS (SELECT role FROM membership WHERE member = ?1 UNION"             \
    " SELECT m.role FROM membership m JOIN held ON m.member = held.id) "

/* ---- login ---- */

static enum err load_roles(struct system *system, int64_t user, struct arena *arena,
                           struct identity_spec *spec, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct slice *roles;
    TRY(system__open_cursor(system,
                            SQL_HELD "SELECT name FROM principal WHERE id = ?2 OR id IN held",
                            VALUES(INT(user), INT(SYSTEM_PUBLIC_ID)), &cursor, info));
    TRY(system__texts(&cursor, arena, &roles, &spec->role_count, info));
    spec->roles = roles;
    return ERR_OK;
}

static enum err load_attributes(struct system *system, int64_t user, struct arena *arena,
                                const struct identity_attribute **ret_attributes, size_t *ret_count,
                                struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct identity_attribute *list = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__open_cursor(system,
                            "SELECT name, value FROM attribute WHERE principal = ?1 ORDER BY name",
                            VALUES(INT(user)), &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        list = system__push(arena, list, count, &capacity, sizeof(*list));
        if (list == NULL) {
            return errinfo_nomem(info);
        }
        TRY(system__text(&cursor, 0, arena, &list[count].name, info));
        TRY(system__text(&cursor, 1, arena, &list[count].value, info));
        count++;
    }
    *ret_attributes = list;
    *ret_count = count;
    return ERR_OK;
}

enum err system__load_person(struct system *system, struct slice user, struct arena *arena,
                             struct identity_spec *spec, struct errinfo *info)
{
    struct principal found;
    bool is_found;
    TRY(system__find_principal(system, user, arena, &is_found, &found, info));
    if (!is_found || found.is_role) {
        return errinfo_set(info, ERR_NOT_FOUND, "28000", "user \"%.*s\" does not exist",
                           SLICE_ARGS(user));
    }
    spec->subject = found.name;
    spec->is_owner = found.id == system->owner_id;
    spec->principal = found.id;
    TRY(load_roles(system, found.id, arena, spec, info));
    return load_attributes(system, found.id, arena, &spec->attributes, &spec->attribute_count,
                           info);
}

enum err system_login(struct system *system, struct slice user, struct slice actor,
                      struct slice provider, struct slice client, struct identity **ret_identity,
                      struct errinfo *info)
{
    if (actor.len > 0 && !slice_equal_fold(actor, system->owner)) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" may not act as another person",
                          SLICE_ARGS(actor));
        errinfo_hint(info, "Only the warehouse's owner may.");
        return ERR_DENIED;
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "login", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct identity_spec spec = {.provider = provider, .actor = actor, .client = client};
    TRY(system__read_begin(system, info));
    enum err err = system__load_person(system, user, arena, &spec, info);
    system__read_end(system);
    TRY(err);
    return identity_new(&spec, ret_identity, info);
}

static enum err load_verifier(struct system *system, struct slice user, struct arena *arena,
                              struct slice *ret_verifier, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct principal found = {0};
    bool is_found;
    bool has_row = false;
    TRY(system__find_principal(system, user, arena, &is_found, &found, info));
    /* Also for a user who is not: as much work as for one who is. */
    TRY(system__open_cursor(system, "SELECT verifier FROM principal WHERE id = ?1 AND NOT is_role",
                            VALUES(INT(is_found ? found.id : -1)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    *ret_verifier = SLICE("");
    return has_row ? system__text(&cursor, 0, arena, ret_verifier, info) : ERR_OK;
}

enum err system_password_verifier(struct system *system, struct slice user, struct arena *arena,
                                  struct slice *ret_verifier, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load_verifier(system, user, arena, ret_verifier, info);
    system__read_end(system);
    return err;
}

/* The store's part of who somebody is, as it is now. */
static enum err reload(struct system *system, struct identity *who, struct arena *arena,
                       struct identity_spec *spec, struct errinfo *info)
{
    TRY(system__check_sign_in(system, who, info));
    if (identity_principal(who) == 0) {
        return ERR_OK;
    }
    enum err err = system__load_person(system, identity_subject(who), arena, spec, info);
    if (err == ERR_NOT_FOUND || (err == ERR_OK && spec->principal != identity_principal(who))) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "the session's user does not exist any more");
        errinfo_hint(info, "Connect anew, and sign in again.");
        return ERR_DENIED;
    }
    return err;
}

enum err system_renew(struct system *system, struct identity *who, struct identity **ret_identity,
                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "renew", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct identity_spec spec = {.provider = identity_provider(who),
                                 .actor = identity_actor(who),
                                 .client = identity_client(who),
                                 .display_name = identity_display_name(who),
                                 .expires_wall_us = identity_expiry(who),
                                 .session_id = identity_session_id(who),
                                 .sign_in = identity_sign_in(who)};
    TRY(system__read_begin(system, info));
    enum err err = reload(system, who, arena, &spec, info);
    system__read_end(system);
    TRY(err);
    if (identity_principal(who) == 0) {
        *ret_identity = identity_ref(who);
        return ERR_OK;
    }
    return identity_new(&spec, ret_identity, info);
}

/* ---- create, drop ---- */

static enum err check_new_name(struct slice name, const char *what, struct errinfo *info)
{
    TRY(system__check_name(name, what, info));
    if (slice_equal_fold(name, SLICE(SYSTEM_PUBLIC)) ||
        slice_equal_fold(name, SLICE(SYSTEM_ROLE_ADMIN))) {
        return errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                           SLICE_ARGS(name));
    }
    return ERR_OK;
}

static enum err create(struct system *system, const struct actor *actor, struct slice name,
                       bool is_role, struct slice verifier, bool if_not_exists,
                       struct errinfo *info)
{
    const char *what = is_role ? "role" : "user";
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "create", 0);
    struct principal old;
    bool exists = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_admin(actor, is_role ? "create roles" : "create users", info));
    TRY(check_new_name(name, what, info));
    TRY(system__find_principal(system, name, arena, &exists, &old, info));
    if (exists && old.is_role == is_role && if_not_exists) {
        return ERR_OK;
    }
    if (exists) {
        (void)errinfo_set(info, ERR_EXISTS, "42710", "%s \"%.*s\" already exists",
                          old.is_role ? "role" : "user", SLICE_ARGS(old.name));
        errinfo_hint(info, "Users and roles share their names: choose another.");
        return ERR_EXISTS;
    }
    return system__run(system,
                       "INSERT INTO principal (name, is_role, verifier, created_wall_us)"
                       " VALUES (?1, ?2, ?3, ?4)",
                       VALUES(TEXT(name), INT(is_role), TEXT(verifier), INT(clock_wall_us())),
                       info);
}

static enum err check_verifier(struct slice verifier, struct errinfo *info)
{
    if (verifier.len > 0 && !scram_verifier_is_valid(verifier)) {
        return errinfo_set(info, ERR_INVALID, "28P01", "the password's verifier is not valid");
    }
    return ERR_OK;
}

enum err system_user_create(struct system *system, const struct identity *who, struct slice name,
                            struct slice verifier, bool if_not_exists, struct errinfo *info)
{
    struct actor actor;
    TRY(check_verifier(verifier, info));
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = create(system, &actor, name, false, verifier, if_not_exists, info);
    return system__write_end(system, err, info);
}

enum err system_role_create(struct system *system, const struct identity *who, struct slice name,
                            bool if_not_exists, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = create(system, &actor, name, true, SLICE(""), if_not_exists, info);
    return system__write_end(system, err, info);
}

/* Whoever is an admin, or makes others one, is the owner's to change. */
static enum err check_not_admin(struct system *system, const struct actor *actor,
                                const struct principal *principal, struct errinfo *info)
{
    bool conveys = false;
    TRY(system__conveys_admin(system, principal->id, &conveys, info));
    if (conveys && !actor->is_owner) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "\"%.*s\" holds \"" SYSTEM_ROLE_ADMIN
                           "\": only the warehouse's owner may do that",
                           SLICE_ARGS(principal->name));
    }
    return ERR_OK;
}

static enum err check_owns_nothing(struct system *system, const struct principal *user,
                                   struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT s.name || '.' || r.name FROM relation r JOIN schema s"
                            " ON s.id = r.schema WHERE r.owner = ?1"
                            " UNION ALL SELECT name FROM schema WHERE owner = ?1 LIMIT 1",
                            VALUES(INT(user->id)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "2BP01", "user \"%.*s\" cannot be dropped",
                      SLICE_ARGS(user->name));
    errinfo_detail(info, "It owns \"%.*s\".", SLICE_ARGS(system__view(&cursor, 0)));
    errinfo_hint(info, "Drop what it owns first.");
    return ERR_INVALID;
}

/* Policies that read tables do so as who granted them, by name: were the user to go, one made anew
 * under that name would lend them rights that nobody asked for. */
static enum err check_lends_nothing(struct system *system, const struct principal *user,
                                    struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT id FROM access_grant WHERE grantor = ?1 COLLATE NOCASE AND"
                            " (instr(row_filter, '" SQL_DEFINER "') > 0 OR EXISTS (SELECT 1"
                            " FROM grant_mask WHERE grant_id = access_grant.id"
                            " AND instr(expression, '" SQL_DEFINER "') > 0)) LIMIT 1",
                            VALUES(TEXT(user->name)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "2BP01", "user \"%.*s\" cannot be dropped",
                      SLICE_ARGS(user->name));
    errinfo_detail(info, "Grant %lld, which they gave, reads tables as them.",
                   (long long)system__int(&cursor, 0));
    errinfo_hint(info, "Revoke it first, and grant anew what is to stay; SHOW GRANTS tells what "
                       "they gave.");
    return ERR_INVALID;
}

static enum err drop(struct system *system, const struct actor *actor, struct slice name,
                     bool is_role, bool if_exists, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "drop", 0);
    struct principal old;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_admin(actor, is_role ? "drop roles" : "drop users", info));
    enum err err = system__need_principal(system, actor, name, is_role ? WANT_ROLE : WANT_USER,
                                          arena, &old, info);
    if (err == ERR_NOT_FOUND && if_exists) {
        return ERR_OK;
    }
    TRY(err);
    if (old.id == SYSTEM_PUBLIC_ID || old.id == SYSTEM_ADMIN_ID) {
        return errinfo_set(info, ERR_INVALID, "42939", "role \"%.*s\" cannot be dropped",
                           SLICE_ARGS(old.name));
    }
    if (old.id == system->owner_id) {
        return errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" owns the warehouse",
                           SLICE_ARGS(old.name));
    }
    TRY(check_not_admin(system, actor, &old, info));
    TRY(check_owns_nothing(system, &old, info));
    TRY(check_lends_nothing(system, &old, info));
    /* Grants, memberships and attributes go with it: ON DELETE CASCADE. */
    return system__run(system, "DELETE FROM principal WHERE id = ?1", VALUES(INT(old.id)), info);
}

enum err system_user_drop(struct system *system, const struct identity *who, struct slice name,
                          bool if_exists, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = drop(system, &actor, name, false, if_exists, info);
    return system__write_end(system, err, info);
}

enum err system_role_drop(struct system *system, const struct identity *who, struct slice name,
                          bool if_exists, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = drop(system, &actor, name, true, if_exists, info);
    return system__write_end(system, err, info);
}

/* ---- change ---- */

enum err system__find_to_change(struct system *system, const struct actor *actor, struct slice name,
                                bool also_themself, struct arena *arena, struct principal *ret_user,
                                struct errinfo *info)
{
    bool is_themself = also_themself && slice_equal_fold(name, identity_subject(actor->who));
    if (!is_themself) {
        TRY(system__need_admin(actor, "change users", info));
    }
    TRY(system__need_principal(system, actor, name, WANT_USER, arena, ret_user, info));
    if (ret_user->id == actor->id && (is_themself || actor->is_owner)) {
        return ERR_OK;
    }
    if (ret_user->id == system->owner_id) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "only \"%.*s\", who owns the warehouse, may do that",
                           SLICE_ARGS(system->owner));
    }
    return check_not_admin(system, actor, ret_user, info);
}

static enum err set_verifier(struct system *system, const struct actor *actor, struct slice name,
                             struct slice verifier, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "alter", 0);
    struct principal user;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__find_to_change(system, actor, name, true, arena, &user, info));
    return system__run(system, "UPDATE principal SET verifier = ?2 WHERE id = ?1",
                       VALUES(INT(user.id), TEXT(verifier)), info);
}

enum err system_user_set_verifier(struct system *system, const struct identity *who,
                                  struct slice name, struct slice verifier, struct errinfo *info)
{
    struct actor actor;
    TRY(check_verifier(verifier, info));
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = set_verifier(system, &actor, name, verifier, info);
    return system__write_end(system, err, info);
}

static enum err check_attribute(struct slice attribute, const struct slice *value,
                                struct errinfo *info)
{
    if (!identity_name_is_valid(attribute)) {
        return errinfo_set(info, ERR_INVALID, "42602", "the name of an attribute is not valid");
    }
    if (value != NULL && (value->len > ATTRIBUTE_BYTES_MAX || !slice_is_utf8(*value, NULL) ||
                          (value->len > 0 && memchr(value->ptr, '\0', value->len) != NULL))) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "the value of attribute \"%.*s\" is not valid", SLICE_ARGS(attribute));
        errinfo_hint(info, "Values are UTF-8 without NUL, at most %u bytes.", ATTRIBUTE_BYTES_MAX);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err set_attribute(struct system *system, const struct actor *actor, struct slice name,
                              struct slice attribute, const struct slice *value,
                              struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "alter", 0);
    struct principal user;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__find_to_change(system, actor, name, false, arena, &user, info));
    if (value == NULL) {
        return system__run(system, "DELETE FROM attribute WHERE principal = ?1 AND name = ?2",
                           VALUES(INT(user.id), TEXT(attribute)), info);
    }
    bool found = false;
    int64_t count = 0;
    TRY(system__number(system, "SELECT count(*) FROM attribute WHERE principal = ?1",
                       VALUES(INT(user.id)), &found, &count, info));
    if (count >= ATTRIBUTES_MAX) { /* one more would be refused at login */
        return errinfo_set(info, ERR_LIMIT, NULL, "user \"%.*s\" has %d attributes already",
                           SLICE_ARGS(user.name), ATTRIBUTES_MAX);
    }
    return system__run(system,
                       "INSERT INTO attribute (principal, name, value) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT DO UPDATE SET value = excluded.value",
                       VALUES(INT(user.id), TEXT(attribute), TEXT(*value)), info);
}

enum err system_user_set_attribute(struct system *system, const struct identity *who,
                                   struct slice name, struct slice attribute,
                                   const struct slice *value, struct errinfo *info)
{
    struct actor actor;
    TRY(check_attribute(attribute, value, info));
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = set_attribute(system, &actor, name, attribute, value, info);
    return system__write_end(system, err, info);
}

/* ---- list ---- */

static enum err load_users(struct system *system, const struct identity *who, struct arena *arena,
                           struct system_user **ret_users, size_t *ret_count, struct errinfo *info)
{
    struct actor actor;
    struct system_user *users = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            "SELECT id, name, verifier FROM principal"
                            " WHERE is_role = 0 AND (?1 OR id = ?2) ORDER BY name",
                            VALUES(INT(actor.is_admin), INT(actor.id)), &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        users = system__push(arena, users, count, &capacity, sizeof(*users));
        if (users == NULL) {
            return errinfo_nomem(info);
        }
        struct system_user *user = &users[count++];
        *user = (struct system_user){.is_owner = system__int(&cursor, 0) == system->owner_id};
        TRY(system__text(&cursor, 1, arena, &user->name, info));
        if (actor.is_admin) {
            TRY(system__text(&cursor, 2, arena, &user->verifier, info));
        }
        TRY(load_attributes(system, system__int(&cursor, 0), arena, &user->attributes,
                            &user->attribute_count, info));
    }
    *ret_users = users;
    *ret_count = count;
    return ERR_OK;
}

enum err system_users(struct system *system, const struct identity *who, struct arena *arena,
                      struct system_user **ret_users, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load_users(system, who, arena, ret_users, ret_count, info);
    system__read_end(system);
    return err;
}
