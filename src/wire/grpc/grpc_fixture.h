/* A connection of gRPC over no socket, for tests: what it sends is kept, or dropped. Include in one
 * file of a program: it defines what wire/loop would. */
#pragma once

#include "base/mem.h"
#include "wire/grpc/grpc_int.h"

struct connection {
    pthread_mutex_t lock;
    struct buf out;
    bool keeps;
    bool is_over;
};

enum err connection_write(struct connection *connection, struct slice bytes)
{
    pthread_mutex_lock(&connection->lock);
    if (connection->keeps) {
        buf_append_slice(&connection->out, bytes);
    }
    pthread_mutex_unlock(&connection->lock);
    return ERR_OK;
}

bool connection_has_room(UNUSED struct connection *connection)
{
    return true;
}

void connection_finish(struct connection *connection)
{
    connection->is_over = true;
}

void connection_ready(UNUSED struct connection *connection)
{
}

bool connection_is_tls(UNUSED const struct connection *connection)
{
    return true;
}

/* Says back what it is told, message by message. */
static void echo(UNUSED void *context, struct grpc_call *call)
{
    struct buf message CLEANUP(buf_fini) = {0};
    struct errinfo info;
    bool is_end = false;
    enum err err;
    errinfo_init(&info);
    grpc_signed_in(call);
    while ((err = grpc_read(call, &message, &is_end, &info)) == ERR_OK && !is_end) {
        struct buf out CLEANUP(buf_fini) = {0};
        grpc_begin_message(&out);
        buf_append_slice(&out, buf_slice(&message));
        err = grpc_write(call, &out, &info);
        if (err != ERR_OK) {
            break;
        }
    }
    grpc_finish(call, err == ERR_OK ? GRPC_OK : GRPC_INVALID_ARGUMENT, slice_of(info.message));
}

static void close_nothing(UNUSED void *state)
{
}

static struct grpc_server *open_echo(void)
{
    const struct grpc_options options = {
        .message_bytes_max = 4096, .threads_max = 8, .close_state = close_nothing};
    struct grpc_server *server;
    enum err err = grpc_server_open(&options, &server, NULL);
    ASSERT(err == ERR_OK);
    err = grpc_method(server, "/a/E", echo, NULL, NULL);
    ASSERT(err == ERR_OK);
    return server;
}
