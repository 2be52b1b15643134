/* Who may what. Rights are looked up inside the transaction that needs them: an identity only says
 * who asks, and what it claims beyond that counts only as far as the store still agrees. */
#include "base/clock.h"
#include "system/system_int.h"

#define SUGGEST_DISTANCE_MAX 3u

enum err system__actor(struct system *system, const struct identity *who, struct actor *ret_actor,
                       struct errinfo *info)
{
    ASSERT(who != NULL);
    struct actor actor = {.who = who};
    if (identity_is_expired(who, clock_wall_us())) {
        return errinfo_set(info, ERR_DENIED, "28000", "the session has expired");
    }
    if (identity_sign_in(who)->is_separate) { /* nobody here, whatever they are called */
        *ret_actor = actor;
        return ERR_OK;
    }
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            "WITH RECURSIVE held (id) AS ("
                            " SELECT id FROM principal WHERE name = ?1 AND is_role = 0"
                            " UNION SELECT m.role FROM membership m JOIN held"
                            " ON m.member = held.id)"
                            " SELECT id, EXISTS (SELECT 1 FROM held WHERE id = ?2)"
                            " FROM principal WHERE name = ?1 AND is_role = 0",
                            VALUES(TEXT(identity_subject(who)), INT(SYSTEM_ADMIN_ID)), &cursor,
                            info));
    bool has_row = false;
    TRY(system__next(&cursor, &has_row, info));
    if (has_row) {
        actor.id = system__int(&cursor, 0);
        actor.is_owner = identity_is_owner(who) && actor.id == system->owner_id;
        actor.is_admin = actor.is_owner || (identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN)) &&
                                            system__int(&cursor, 1) != 0);
    }
    *ret_actor = actor;
    return ERR_OK;
}

enum err system__need_admin(const struct actor *actor, const char *verb, struct errinfo *info)
{
    if (actor->is_admin) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "only the warehouse's owner and members of \"" SYSTEM_ROLE_ADMIN "\" may %s",
                      verb);
    errinfo_hint(info, "Ask one of them.");
    return ERR_DENIED;
}

enum err system__find_principal(struct system *system, struct slice name, struct arena *arena,
                                bool *ret_found, struct principal *ret_principal,
                                struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system, "SELECT id, is_role, name FROM principal WHERE name = ?1",
                            VALUES(TEXT(name)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (has_row) {
        struct principal found = {.id = system__int(&cursor, 0),
                                  .is_role = system__int(&cursor, 1) != 0};
        TRY(system__text(&cursor, 2, arena, &found.name, info));
        *ret_principal = found;
    }
    *ret_found = has_row;
    return ERR_OK;
}

enum err system__need_principal(struct system *system, const struct actor *actor, struct slice name,
                                enum principal_want want, struct arena *arena,
                                struct principal *ret_principal, struct errinfo *info)
{
    static const char *const words[] = {"user", "role", "user or role"};
    struct principal principal;
    bool found = false;
    TRY(system__find_principal(system, name, arena, &found, &principal, info));
    if (found && (want == WANT_ANY || principal.is_role == (want == WANT_ROLE))) {
        *ret_principal = principal;
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_NOT_FOUND, "42704", "%s \"%.*s\" does not exist", words[want],
                      SLICE_ARGS(name));
    if (found) {
        errinfo_hint(info, "\"%.*s\" is a %s: name it as one.", SLICE_ARGS(principal.name),
                     words[principal.is_role]);
    } else if (actor->is_admin) {
        system__suggest(system, "SELECT name FROM principal WHERE is_role = ?1 OR ?1 = 2",
                        VALUES(INT(want)), name, info);
    } else { /* others know of themselves and of what they are members of */
        system__suggest(system,
                        "WITH RECURSIVE held (id) AS (VALUES (?2) UNION"
                        " SELECT m.role FROM membership m JOIN held ON m.member = held.id)"
                        " SELECT name FROM principal JOIN held USING (id)"
                        " WHERE is_role = ?1 OR ?1 = 2",
                        VALUES(INT(want), INT(actor->id)), name, info);
    }
    return ERR_NOT_FOUND;
}

enum err system__conveys_admin(struct system *system, int64_t id, bool *ret_conveys,
                               struct errinfo *info)
{
    bool found = false;
    int64_t ignored;
    TRY(system__number(system,
                       "WITH RECURSIVE held (id) AS (VALUES (?1) UNION"
                       " SELECT m.role FROM membership m JOIN held ON m.member = held.id)"
                       " SELECT id FROM held WHERE id = ?2",
                       VALUES(INT(id), INT(SYSTEM_ADMIN_ID)), &found, &ignored, info));
    *ret_conveys = found;
    return ERR_OK;
}

enum err system__check_name(struct slice name, const char *what, struct errinfo *info)
{
    if (identity_name_is_valid(name)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "42602", "the name of a %s is not valid", what);
    errinfo_hint(info, "Names have 1 to %d bytes of UTF-8 without control characters.",
                 IDENTITY_NAME_BYTES_MAX);
    return ERR_INVALID;
}

void system__suggest(struct system *system, const char *sql, const struct value *values,
                     size_t value_count, struct slice wanted, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    char nearest[IDENTITY_NAME_BYTES_MAX + 1] = "";
    unsigned limit = wanted.len < 3 ? 1 : wanted.len < 6 ? 2 : SUGGEST_DISTANCE_MAX;
    bool has_row = system__open_cursor(system, sql, values, value_count, &cursor, NULL) == ERR_OK;
    while (has_row && system__next(&cursor, &has_row, NULL) == ERR_OK && has_row) {
        struct slice name = system__view(&cursor, 0);
        unsigned distance = slice_edit_distance(name, wanted, limit);
        if (distance <= limit && name.len < sizeof(nearest)) {
            memcpy(nearest, name.ptr, name.len);
            nearest[name.len] = '\0';
            if (distance == 0) {
                break;
            }
            limit = distance - 1;
        }
    }
    if (nearest[0] != '\0') {
        errinfo_hint(info, "Did you mean \"%s\"?", nearest);
    }
}
