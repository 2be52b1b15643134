/* Limits of people and roles: set, listed. */
#include "system/limits.h"
#include "system/system.h"
#include "system/system_int.h"

static enum err set_limits(struct system *system, const struct actor *actor, bool is_role,
                           struct slice name, const struct system_limit_change *changes,
                           size_t change_count, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "limits", 0);
    struct principal principal;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_admin(actor, "change limits", info));
    TRY(system__need_principal(system, actor, name, is_role ? WANT_ROLE : WANT_USER, arena,
                               &principal, info));
    for (size_t i = 0; i < change_count; i++) {
        const struct system_limit_change *change = &changes[i];
        if (change->is_unset) {
            TRY(system__run(system,
                            "DELETE FROM principal_limit WHERE principal = ?1 AND name = ?2",
                            VALUES(INT(principal.id), TEXT(change->name)), info));
        } else {
            TRY(system__run(system,
                            "INSERT INTO principal_limit (principal, name, value)"
                            " VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value",
                            VALUES(INT(principal.id), TEXT(change->name), INT(change->value)),
                            info));
        }
    }
    return ERR_OK;
}

enum err system_limits_set(struct system *system, const struct identity *who, bool is_role,
                           struct slice name, const struct system_limit_change *changes,
                           size_t change_count, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = set_limits(system, &actor, is_role, name, changes, change_count, info);
    return system__write_end(system, err, info);
}

static enum err load_limits(struct system *system, const struct identity *who, struct arena *arena,
                            struct system_limit **ret_limits, size_t *ret_count,
                            struct errinfo *info)
{
    struct actor actor;
    struct system_limit *limits = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            "SELECT p.id, p.name, p.is_role, l.name, l.value FROM principal_limit l"
                            " JOIN principal p ON p.id = l.principal"
                            " ORDER BY p.is_role DESC, p.name, l.name",
                            NO_VALUES, &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        /* A person of elsewhere has no number here, whatever they are called. */
        bool is_role = system__int(&cursor, 2) != 0;
        int64_t id = system__int(&cursor, 0);
        bool is_theirs = is_role ? identity_has_role(who, system__view(&cursor, 1))
                                 : id != 0 && id == identity_principal(who);
        if (!is_theirs && !actor.is_admin) {
            continue;
        }
        limits = system__push(arena, limits, count, &capacity, sizeof(*limits));
        if (limits == NULL) {
            return errinfo_nomem(info);
        }
        struct system_limit *limit = &limits[count++];
        *limit = (struct system_limit){
            .is_role = is_role, .is_theirs = is_theirs, .value = system__int(&cursor, 4)};
        TRY(system__text(&cursor, 1, arena, &limit->principal, info));
        TRY(system__text(&cursor, 3, arena, &limit->name, info));
    }
    *ret_limits = limits;
    *ret_count = count;
    return ERR_OK;
}

enum err system_limits(struct system *system, const struct identity *who, struct arena *arena,
                       struct system_limit **ret_limits, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load_limits(system, who, arena, ret_limits, ret_count, info);
    system__read_end(system);
    return err;
}
