/* WebSockets (socket.c). Internal. */
#pragma once

#include "wire/web/web_int.h"

MUST_USE enum err web__socket_route(struct web_server *server, struct errinfo *info);
/* Stops all that it runs; nothing new begins. Any thread. */
void web__socket_stop(struct web_socket *socket);
/* With the server's lock held: those of that sign-in end. */
void web__sockets_end_of(struct web_server *server, const struct web_login *login);
/* With the server's lock held, each second. */
void web__sockets_mind(struct web_server *server);
