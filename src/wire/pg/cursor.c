/* The list of a connection's cursors, for pg_cursors. */
#include "wire/pg/pg_int.h"

/* DECLAREd ones, and portals with a name, as in PostgreSQL. */
static bool is_listed(const struct pg_portal *portal)
{
    return portal->name.len > 0 && portal->is_opened;
}

enum err pg__cursors_list(void *context, struct arena *arena, struct client_cursor **ret_cursors,
                          size_t *ret_count, struct errinfo *info)
{
    const struct pg_connection *connection = context;
    struct client_cursor *cursors = arena_calloc(arena, PORTALS_MAX, sizeof(*cursors));
    size_t count = 0;
    if (cursors == NULL) {
        return errinfo_nomem(info);
    }
    for (const struct pg_portal *portal = connection->portals; portal != NULL;
         portal = portal->next) {
        if (is_listed(portal)) {
            cursors[count++] = (struct client_cursor){
                .name = portal->name,
                .statement = portal->is_cursor ? portal->command.value : portal->statement->text,
                .is_holdable = portal->is_held,
                .is_binary = portal->all_format == 1,
                .created_wall_us = portal->created_wall_us};
        }
    }
    *ret_cursors = cursors;
    *ret_count = count;
    return ERR_OK;
}
