/* Who is connected, and what they run: for lists of sessions and of running queries, and for
 * cancelling and ending each other's. A client is what a protocol has: a connection, with one
 * session or more.
 *
 * Everybody sees and stops their own. The owner of the warehouse sees and stops all; members of
 * moat_admin see all, members of moat_operator all but what statements are about (their constants);
 * both stop all but sessions of the owner, operators those of moat_admin neither. Whoever may not
 * stop a session is not told that there is one. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "identity/identity.h"

#define CLIENT_ROLE_OPERATOR "moat_operator"

struct arena;
struct buf;
struct warehouse;
struct session;
struct client;

enum client_state {
    CLIENT_IDLE,
    CLIENT_ACTIVE,
    CLIENT_IDLE_IN_TRANSACTION,
    CLIENT_IDLE_IN_FAILED_TRANSACTION,
};

enum client_end {
    CLIENT_END_SIGNAL, /* somebody who may has said so */
    CLIENT_END_IDLE    /* it took no rows, and another waited for its place */
};

struct client_cursor {
    struct slice name;
    struct slice statement;
    bool is_holdable;
    bool is_binary;
    int64_t created_wall_us;
};

struct client_spec {
    const char *protocol; /* literal */
    struct identity *who;
    struct slice address;     /* copied, like all text */
    struct slice application; /* program, as it calls itself */
    void *context;
    /* Any thread, until client_close has returned; they must not wait, nor call back. */
    void (*cancel)(void *context);                         /* what runs now */
    void (*terminate)(void *context, enum client_end why); /* the connection */
    /* From the thread of its session; the texts are good while that runs. NULL: it has none. */
    enum err (*list_cursors)(void *context, struct arena *arena, struct client_cursor **ret_cursors,
                             size_t *ret_count, struct errinfo *info);
    /* The same: what the protocol keeps, as JSON lines of name, value and source. NULL: nothing. */
    void (*print_settings)(void *context, struct buf *out);
};

MUST_USE enum err client_open(struct warehouse *warehouse, const struct client_spec *spec,
                              struct client **ret_client, struct errinfo *info);
void client_close(struct client *client); /* after its sessions */
/* From 1 to INT32_MAX, not given to another while it lives. */
uint32_t client_id(const struct client *client);
void client_set_application(struct client *client, struct slice application);
void client_set_state(struct client *client, enum client_state state);

/* The session is the client's, and so are those forked from it. Before its first statement. */
void session_set_client(struct session *session, struct client *client);
