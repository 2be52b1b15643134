/* Frames of anybody, behind the preface that every client sends. The first byte says in how large
 * pieces they come. Whatever they are, the connection ends and all calls with it. */
#include "base/fuzz.h"
#include "wire/grpc/grpc_fixture.h"

static struct grpc_server *server;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice preface = SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    struct connection wire = {.keeps = false};
    void *state;
    if (size == 0) {
        return 0;
    }
    server = server == NULL ? open_echo() : server;
    pthread_mutex_init(&wire.lock, NULL);
    if (grpc_protocol.open(server, &wire, &state, NULL) != ERR_OK) {
        return 0;
    }
    (void)grpc_protocol.work(state, preface);
    size_t piece = (size_t)data[0] + 1;
    for (size_t at = 1; at < size && !wire.is_over; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        (void)grpc_protocol.work(state, (struct slice){(const char *)data + at, len});
    }
    grpc_protocol.cancel(state);
    grpc_protocol.close(state);
    pthread_mutex_destroy(&wire.lock);
    return 0;
}
