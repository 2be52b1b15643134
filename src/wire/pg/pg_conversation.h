/* A client's conversation with the protocol, over the wire of pg_fixture.h. Internal. */
#pragma once

#include "wire/pg/pg_fixture.h"

struct conversation {
    struct config *config;
    struct pg_server *server;
    struct connection wire;
    struct pg_connection *state;
    struct buf pending;
};

static void conversation_begin(struct conversation *conversation)
{
    const struct config_sources sources = {0};
    void *state;
    *conversation = (struct conversation){0};
    ASSERT(config_load(&sources, &conversation->config, NULL) == ERR_OK);
    struct pg_server_options options = {.config = conversation->config};
    ASSERT(pg_server_open(&options, &conversation->server, NULL) == ERR_OK);
    ASSERT(pg_protocol.open(conversation->server, &conversation->wire, &state, NULL) == ERR_OK);
    conversation->state = state;
}

/* Bytes from the client, as the loop would hand them on. */
static void conversation_feed(struct conversation *conversation, struct slice bytes)
{
    struct buf *pending = &conversation->pending;
    buf_append_slice(pending, bytes);
    while (pending->len > 0 && !conversation->wire.is_finished) {
        size_t need = pg_protocol.need(conversation->state, buf_slice(pending));
        if (need > pending->len) {
            break;
        }
        size_t consumed = pg_protocol.work(conversation->state, buf_slice(pending));
        ASSERT(consumed > 0 && consumed <= pending->len); /* else the loop would spin */
        memmove(pending->ptr, pending->ptr + consumed, pending->len - consumed);
        pending->len -= consumed;
    }
}

static void conversation_login(struct conversation *conversation)
{
    static const char start[] = "\0\0\0\x15\0\3\0\0user\0amelia\0";
    static const char initial[] = "p\0\0\0\x1bSCRAM-SHA-256\0\0\0\0\5n,,n=";
    static const char final[] = "p\0\0\0\7c=x";
    conversation_feed(conversation, (struct slice){start, 21});
    conversation_feed(conversation, (struct slice){initial, 28});
    conversation_feed(conversation, (struct slice){final, 8});
}

/* All that was sent is whole messages of the types that a server sends. */
static void conversation_check(const struct conversation *conversation)
{
    struct slice sent = buf_slice(&conversation->wire.sent);
    while (sent.len > 0 && (sent.ptr[0] == 'N' && (sent.len < 2 || sent.ptr[1] != 0))) {
        sent = (struct slice){sent.ptr + 1, sent.len - 1}; /* the answer to SSLRequest */
    }
    while (sent.len > 0) {
        ASSERT(sent.len >= 5 && strchr("RSKZTDCEINv123nstHGcd", sent.ptr[0]) != NULL);
        size_t len = pg__peek32(sent.ptr + 1);
        ASSERT(len >= 4 && len < sent.len);
        sent = (struct slice){sent.ptr + 1 + len, sent.len - 1 - len};
        while (sent.len > 0 && (sent.ptr[0] == 'N' && (sent.len < 2 || sent.ptr[1] != 0))) {
            sent = (struct slice){sent.ptr + 1, sent.len - 1};
        }
    }
}

static void conversation_end(struct conversation *conversation)
{
    conversation_check(conversation);
    pg_protocol.close(conversation->state);
    pg_server_close(conversation->server);
    config_free(conversation->config);
    buf_fini(&conversation->pending);
    buf_fini(&conversation->wire.sent);
}
