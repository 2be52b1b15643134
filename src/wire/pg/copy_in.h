/* COPY FROM STDIN in a connection: its beginning, its messages, and what goes on behind it.
 * Internal. */
#pragma once

#include "wire/pg/pg_int.h"

/* Begins; the connection is in copy-in mode when this returns ERR_OK. */
MUST_USE enum err pg__copy_in(struct pg_connection *connection, struct pg_portal *portal,
                              struct errinfo *info);
/* A message in that mode. */
void pg__copy_in_message(struct pg_connection *connection, char type, struct slice body);
/* Ends it with nothing kept, if it is on. */
void pg__copy_in_drop(struct pg_connection *connection);

/* simple.c, connection.c */

/* What a COPY FROM of theirs came to: each goes on, or tells the error. */
void pg__simple_copied(struct pg_connection *connection, enum err err, struct errinfo *info);
void pg__extended_copied(struct pg_connection *connection, enum err err,
                         const struct errinfo *info);
void pg__script_free(struct pg_connection *connection);
