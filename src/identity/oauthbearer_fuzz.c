/* SASL messages: never a crash; the token is a view of the message, the user a name. */
#include "base/fuzz.h"
#include "identity/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct slice message = {(const char *)data, size};
    struct oauthbearer response;
    if (oauthbearer_parse(message, arena, &response, NULL) == ERR_OK) {
        ASSERT(response.user.len == 0 || identity_name_is_valid(response.user));
        ASSERT(response.token.len == 0 ||
               (response.token.ptr > message.ptr &&
                response.token.ptr + response.token.len < message.ptr + message.len));
        ASSERT(response.token.len == 0 ||
               memchr(response.token.ptr, '\x01', response.token.len) == NULL);
    }
    return 0;
}
