#include <time.h>

#include "base/test.h"
#include "wire/grpc/grpc_fixture.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
/* POST /a/E of stream 1: 53 bytes of fields that are not in any table. */
#define HEAD                                                                                       \
    "\x83\x86\0\x05:path\x04/a/E\0\x0a:authority\x01x\0\x0c"                                       \
    "content-type\x10"                                                                             \
    "application/grpc"
#define MESSAGE "\0\0\0\0\x05hello"

static void put_frame(struct buf *out, unsigned char type, unsigned char flags,
                      unsigned char stream, struct slice body)
{
    char head[9] = {0, (char)(body.len >> 8), (char)body.len, (char)type, (char)flags, 0, 0,
                    0, (char)stream};
    buf_append(out, head, sizeof(head));
    buf_append_slice(out, body);
}

static bool has_sent(struct connection *wire, struct slice text)
{
    bool has = false;
    for (int i = 0; i < 500 && !has; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&wire->lock);
        has = slice_find(buf_slice(&wire->out), text) != SIZE_MAX;
        pthread_mutex_unlock(&wire->lock);
    }
    return has;
}

struct conversation {
    struct grpc_server *server;
    struct connection wire;
    void *state;
};

static void begin(struct conversation *c)
{
    *c = (struct conversation){.wire = {.keeps = true}};
    pthread_mutex_init(&c->wire.lock, NULL);
    c->server = open_echo();
    CHECK_OK(grpc_protocol.open(c->server, &c->wire, &c->state, NULL));
}

static void end(struct conversation *c)
{
    grpc_protocol.close(c->state);
    grpc_server_close(c->server);
    buf_fini(&c->wire.out);
    pthread_mutex_destroy(&c->wire.lock);
}

TEST(grpc, a_message_is_said_back_however_it_is_cut)
{
    // Goal: a call from its head to its status, with pieces of 1 byte and of all.
    for (size_t piece = 1; piece < 4096; piece += 4094) {
        struct conversation c;
        struct buf input CLEANUP(buf_fini) = {0};
        begin(&c);
        buf_append_slice(&input, SLICE(PREFACE));
        put_frame(&input, 1, 4, 1, SLICE(HEAD));
        put_frame(&input, 0, 1, 1, SLICE(MESSAGE));
        for (size_t at = 0; at < input.len; at += piece) {
            size_t len = input.len - at < piece ? input.len - at : piece;
            CHECK(grpc_protocol.work(c.state, (struct slice){input.ptr + at, len}) == len);
        }
        CHECK(has_sent(&c.wire, SLICE(MESSAGE)));
        CHECK(!c.wire.is_over);
        end(&c);
    }
}

TEST(grpc, a_call_that_waits_ends_with_its_deadline_and_its_connection)
{
    // Goal: nobody who waits for a client outlives the deadline, or the connection.
    struct conversation c;
    struct buf input CLEANUP(buf_fini) = {0};
    struct buf head CLEANUP(buf_fini) = {0};
    begin(&c);
    buf_append_slice(&input, SLICE(PREFACE));
    buf_append_slice(&head, SLICE(HEAD));
    buf_append_slice(&head, SLICE("\0\x0cgrpc-timeout\x04"
                                  "100m"));
    put_frame(&input, 1, 4, 1, buf_slice(&head));
    put_frame(&input, 1, 4, 3, SLICE(HEAD));
    (void)grpc_protocol.work(c.state, buf_slice(&input));
    CHECK(grpc_protocol.is_busy(c.state));
    struct grpc_connection *on = c.state;
    unsigned count = 2;
    for (int i = 0; i < 500 && count != 1; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        (void)nanosleep(&pause, NULL);
        pthread_mutex_lock(&on->lock);
        count = on->thread_count;
        pthread_mutex_unlock(&on->lock);
    }
    CHECK(count == 1);
    end(&c);
}

TEST(grpc, a_message_that_is_too_long_is_refused)
{
    // Goal: its length alone is enough to refuse it.
    struct conversation c;
    struct buf input CLEANUP(buf_fini) = {0};
    begin(&c);
    buf_append_slice(&input, SLICE(PREFACE));
    put_frame(&input, 1, 4, 1, SLICE(HEAD));
    put_frame(&input, 0, 0, 1, SLICE("\0\x7f\0\0\0"));
    (void)grpc_protocol.work(c.state, buf_slice(&input));
    struct grpc_connection *on = c.state;
    unsigned count = 1;
    for (int i = 0; i < 500 && count != 0; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        (void)nanosleep(&pause, NULL);
        count = atomic_load(&on->call_count);
    }
    CHECK(count == 0);
    end(&c);
}
