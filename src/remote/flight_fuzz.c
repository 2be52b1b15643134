/* What a Flight server answers: messages of gRPC one behind the other, each read as all that it
 * could be, FlightData as one stream of Arrow. Whatever the bytes, what is given out can be
 * printed, and views lie inside of them. */
#include "arrow/ipc_read.h"
#include "arrow/value.h"
#include "base/fuzz.h"
#include "remote/flight_reply.h"

#define ROWS_MAX 100

static void check_inside(struct slice message, struct slice view)
{
    ASSERT(view.len == 0 || (view.ptr >= message.ptr && view.len <= message.len &&
                             view.ptr + view.len <= message.ptr + message.len));
}

static void read_info(struct slice message)
{
    struct remote_address address = {.host = (char[]){"localhost"}, .port = 5436};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct flight_endpoint *endpoints;
    size_t count;
    if (arena != NULL &&
        flight_info(message, &address, arena, &endpoints, &count, NULL) == ERR_OK) {
        for (size_t i = 0; i < count; i++) {
            check_inside(message, endpoints[i].ticket);
        }
    }
}

static void read_status(struct slice message)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    struct slice word;
    errinfo_init(&info);
    flight_decode(message, &text);
    ASSERT(text.len <= message.len);
    int status = message.len == 0 ? 0 : (signed char)message.ptr[0];
    ASSERT(flight_error(status, message.len % 2 == 0 ? "42601" : "", buf_slice(&text), 10, &info) !=
           ERR_OK);
    ASSERT(info.message[0] != '\0');
    ASSERT(info.position <= 11);
    (void)flight_way_of(message, &word);
    check_inside(message, word);
}

static void print_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch)
{
    struct buf text CLEANUP(buf_fini) = {.bytes_max = 1 << 20};
    for (int64_t c = 0; c < schema->n_children; c++) {
        for (int64_t row = 0; row < batch->length && row < ROWS_MAX; row++) {
            buf_reset(&text);
            enum err ignored =
                arrow_print(schema->children[c], batch->children[c], row, &text, NULL);
            (void)ignored;
        }
    }
}

static bool read_data(struct slice message, struct ipc_reader *reader)
{
    struct slice header, body;
    struct ArrowArray batch = {.release = NULL};
    if (flight_data(message, &header, &body, NULL) != ERR_OK) {
        return false;
    }
    check_inside(message, header);
    check_inside(message, body);
    if (header.len > 0 && ipc_reader_feed(reader, header, body, &batch, NULL) != ERR_OK) {
        return false;
    }
    if (batch.release != NULL) {
        print_batch(ipc_reader_schema(reader), &batch);
        batch.release(&batch);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ipc_reader *reader CLEANUP(ipc_reader_cleanup) = NULL;
    struct slice rest = {(const char *)data, size};
    uint64_t len;
    bool is_stream = true;
    if (ipc_reader_new(&reader, NULL) != ERR_OK) {
        return 0;
    }
    while (rest.len >= FLIGHT_PREFIX_BYTES && flight_frame(rest.ptr, &len, NULL) == ERR_OK) {
        rest = (struct slice){rest.ptr + FLIGHT_PREFIX_BYTES, rest.len - FLIGHT_PREFIX_BYTES};
        struct slice message = {rest.ptr, len < rest.len ? (size_t)len : rest.len};
        struct slice result;
        rest = (struct slice){rest.ptr + message.len, rest.len - message.len};
        read_info(message);
        read_status(message);
        for (unsigned is_any = 0; is_any < 2; is_any++) {
            if (flight_result(message, is_any == 1, &result, NULL) == ERR_OK) {
                check_inside(message, result);
            }
        }
        is_stream = is_stream && read_data(message, reader);
    }
    return 0;
}
