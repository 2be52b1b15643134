/* Membership of users and roles in roles. The graph of roles has no cycle. */
#include "base/buf.h"
#include "system/system_int.h"

/* Only the owner changes who is an admin, directly or through a role that is one. */
static enum err find_pair(struct system *system, const struct actor *actor, struct slice role,
                          struct slice member, struct arena *arena, struct principal *ret_role,
                          struct principal *ret_member, struct errinfo *info)
{
    bool conveys = false;
    TRY(system__need_admin(actor, "change who is in a role", info));
    TRY(system__need_principal(system, actor, role, WANT_ROLE, arena, ret_role, info));
    TRY(system__need_principal(system, actor, member, WANT_ANY, arena, ret_member, info));
    if (ret_role->id == SYSTEM_PUBLIC_ID || ret_member->id == SYSTEM_PUBLIC_ID) {
        (void)errinfo_set(info, ERR_INVALID, "0LP01",
                          "role \"" SYSTEM_PUBLIC "\" has everybody in it and is in no other");
        errinfo_hint(info, "Grant privileges to \"" SYSTEM_PUBLIC "\" instead.");
        return ERR_INVALID;
    }
    TRY(system__conveys_admin(system, ret_role->id, &conveys, info));
    if (conveys && !actor->is_owner) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "only the warehouse's owner may grant or revoke \"%.*s\", which gives "
                           "\"" SYSTEM_ROLE_ADMIN "\"",
                           SLICE_ARGS(ret_role->name));
    }
    return ERR_OK;
}

/* One step from `from` towards `to` over "is a member of"; `ret_found` false if there is no way.
 * Without cycles, taking any such step again and again arrives. */
static enum err step_towards(struct system *system, int64_t from, int64_t to, struct arena *arena,
                             bool *ret_found, struct principal *ret_next, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            "WITH RECURSIVE below (id) AS (VALUES (?2) UNION"
                            " SELECT m.member FROM membership m JOIN below ON m.role = below.id)"
                            " SELECT m.role, p.name FROM membership m"
                            " JOIN principal p ON p.id = m.role"
                            " WHERE m.member = ?1 AND m.role IN below LIMIT 1",
                            VALUES(INT(from), INT(to)), &cursor, info));
    bool has_row = false;
    TRY(system__next(&cursor, &has_row, info));
    if (has_row) {
        ret_next->id = system__int(&cursor, 0);
        ret_next->is_role = true;
        TRY(system__text(&cursor, 1, arena, &ret_next->name, info));
    }
    *ret_found = has_row;
    return ERR_OK;
}

/* Refuses a membership that would put `role` into itself, and shows the way round. */
static enum err check_no_cycle(struct system *system, const struct principal *role,
                               const struct principal *member, struct arena *arena,
                               struct errinfo *info)
{
    struct principal at = *role;
    bool found = true;
    if (role->id != member->id) {
        TRY(step_towards(system, role->id, member->id, arena, &found, &at, info));
    }
    if (!found) {
        return ERR_OK;
    }
    struct buf way CLEANUP(buf_fini) = {0};
    buf_printf(&way, "\"%.*s\"", SLICE_ARGS(role->name));
    if (role->id != member->id) {
        buf_printf(&way, " in \"%.*s\"", SLICE_ARGS(at.name));
    }
    while (at.id != member->id) {
        TRY(step_towards(system, at.id, member->id, arena, &found, &at, info));
        ASSERT(found);
        buf_printf(&way, " in \"%.*s\"", SLICE_ARGS(at.name));
    }
    (void)errinfo_set(info, ERR_INVALID, "0LP01",
                      "role \"%.*s\" cannot be granted to \"%.*s\": it would be in itself (%s)",
                      SLICE_ARGS(role->name), SLICE_ARGS(member->name), buf_cstr(&way));
    return ERR_INVALID;
}

static enum err grant(struct system *system, const struct actor *actor, struct slice role_name,
                      struct slice member_name, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "grant role", 0);
    struct principal role, member;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(find_pair(system, actor, role_name, member_name, arena, &role, &member, info));
    TRY(check_no_cycle(system, &role, &member, arena, info));
    return system__run(system,
                       "INSERT INTO membership (member, role) VALUES (?1, ?2)"
                       " ON CONFLICT DO NOTHING",
                       VALUES(INT(member.id), INT(role.id)), info);
}

enum err system_role_grant(struct system *system, const struct identity *who, struct slice role,
                           struct slice member, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = grant(system, &actor, role, member, info);
    return system__write_end(system, err, info);
}

static enum err revoke(struct system *system, const struct actor *actor, struct slice role_name,
                       struct slice member_name, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "revoke role", 0);
    struct principal role, member;
    bool found = false;
    int64_t ignored;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(find_pair(system, actor, role_name, member_name, arena, &role, &member, info));
    TRY(system__number(system, "SELECT 1 FROM membership WHERE member = ?1 AND role = ?2",
                       VALUES(INT(member.id), INT(role.id)), &found, &ignored, info));
    if (!found) {
        return errinfo_set(info, ERR_NOT_FOUND, "42704", "\"%.*s\" is not a member of \"%.*s\"",
                           SLICE_ARGS(member.name), SLICE_ARGS(role.name));
    }
    return system__run(system, "DELETE FROM membership WHERE member = ?1 AND role = ?2",
                       VALUES(INT(member.id), INT(role.id)), info);
}

enum err system_role_revoke(struct system *system, const struct identity *who, struct slice role,
                            struct slice member, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = revoke(system, &actor, role, member, info);
    return system__write_end(system, err, info);
}

/* What the actor (?1) holds, themself and "public" (?3) included; everything for an admin (?2). */
#define SQL_SEEN                                                                                   \
    "WITH RECURSIVE seen (id) AS (VALUES (?1), (?3) UNION"                                         \
    " SELECT m.role FROM membership m JOIN seen ON m.member = seen.id) "

static enum err load_roles(struct system *system, const struct identity *who, struct arena *arena,
                           struct slice **ret_roles, size_t *ret_count, struct errinfo *info)
{
    struct actor actor;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(
        system,
        SQL_SEEN "SELECT name FROM principal WHERE is_role = 1 AND (?2 OR id IN seen)"
                 " ORDER BY name",
        VALUES(INT(actor.id), INT(actor.is_admin), INT(SYSTEM_PUBLIC_ID)), &cursor, info));
    return system__texts(&cursor, arena, ret_roles, ret_count, info);
}

enum err system_roles(struct system *system, const struct identity *who, struct arena *arena,
                      struct slice **ret_roles, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load_roles(system, who, arena, ret_roles, ret_count, info);
    system__read_end(system);
    return err;
}

static enum err load_members(struct system *system, const struct identity *who, struct arena *arena,
                             struct system_member **ret_members, size_t *ret_count,
                             struct errinfo *info)
{
    struct actor actor;
    struct system_member *members = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(
        system,
        SQL_SEEN "SELECT r.name, p.name, p.is_role FROM membership m"
                 " JOIN principal r ON r.id = m.role JOIN principal p ON p.id = m.member"
                 " WHERE ?2 OR m.member IN seen ORDER BY r.name, p.name",
        VALUES(INT(actor.id), INT(actor.is_admin), INT(SYSTEM_PUBLIC_ID)), &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        members = system__push(arena, members, count, &capacity, sizeof(*members));
        if (members == NULL) {
            return errinfo_nomem(info);
        }
        struct system_member *member = &members[count++];
        TRY(system__text(&cursor, 0, arena, &member->role, info));
        TRY(system__text(&cursor, 1, arena, &member->member, info));
        member->member_is_role = system__int(&cursor, 2) != 0;
    }
    *ret_members = members;
    *ret_count = count;
    return ERR_OK;
}

enum err system_members(struct system *system, const struct identity *who, struct arena *arena,
                        struct system_member **ret_members, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load_members(system, who, arena, ret_members, ret_count, info);
    system__read_end(system);
    return err;
}
