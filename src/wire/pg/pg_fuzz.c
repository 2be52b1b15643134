/* Bytes of a client through the whole state machine, over sessions that are not. The first byte
 * says whether a login goes before them and in how large pieces they come. */
#include "base/fuzz.h"
#include "wire/pg/pg_conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct conversation conversation;
    conversation_begin(&conversation);
    if ((data[0] & 1) != 0) {
        conversation_login(&conversation);
        ASSERT(conversation.wire.is_ready);
    }
    size_t piece = (size_t)(data[0] >> 1) + 1;
    for (size_t at = 1; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        conversation_feed(&conversation, (struct slice){(const char *)data + at, len});
    }
    conversation_end(&conversation);
    return 0;
}
