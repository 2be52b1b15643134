/* Requests as JSON: whatever the bytes, what is read lies within limits, and what a setting or a
 * parameter becomes can be put into a statement. */
#include "base/arena.h"
#include "base/fuzz.h"
#include "wire/web/web_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = {(const char *)data, size};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "request", 64 << 20);
    struct web_request request = {.arena = arena};
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    ASSERT(arena != NULL);
    enum err err = web__request_json(&request, body, &info);
    err = err != ERR_OK ? err : web__request_statement(&request, &info);
    if (err != ERR_OK) {
        web_print_error(&out, &info, request.statement);
        ASSERT(info.code == err && out.len > 0 && slice_is_utf8(buf_slice(&out), NULL));
        return 0;
    }
    ASSERT(request.statement.len > 0 && slice_is_utf8(request.statement, NULL));
    ASSERT(request.parameter_count <= 10000 && request.setting_count <= 64);
    for (size_t i = 0; i < request.parameter_count; i++) {
        const struct query_parameter *p = &request.parameters[i];
        ASSERT(p->is_null || p->kind == QUERY_PARAMETER_TEXT || p->text.len > 0);
    }
    for (size_t i = 0; i < request.setting_count; i++) {
        struct slice name = request.settings[i].name;
        for (size_t at = 0; at < name.len; at++) {
            ASSERT(strchr("; '\"\\-", name.ptr[at]) == NULL);
        }
    }
    return 0;
}
