/* Goal: no text makes the skeleton parser, redaction or the fingerprint crash or hang, and what is
 * redacted holds no string of the text. */
#include "base/fuzz.h"
#include "sql/scan.h"
#include "sql/statement.h"

static void check_inside(struct slice part, struct slice text)
{
    ASSERT(part.len == 0 || (part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct slice text = {(const char *)data, size};
    struct statement statement;
    struct errinfo info;
    struct slice redacted;
    uint64_t fingerprint;
    if (arena == NULL || sql_check_text(text, 1u << 20, NULL) != ERR_OK) {
        return 0;
    }
    errinfo_init(&info);
    if (statement_parse(text, arena, &statement, &info) == ERR_OK) {
        ASSERT(statement.tag != NULL);
        check_inside(statement.query, text);
        check_inside(statement.grant.rows, text);
        for (size_t i = 0; i < statement.grant.mask_count; i++) {
            check_inside(statement.grant.masks[i].expression, text);
        }
        if (statement.password_given && statement.password.len > 8) {
            ASSERT(statement_redact(text, arena, &redacted, NULL) == ERR_OK);
            ASSERT(slice_find(redacted, statement.password) == SIZE_MAX);
        }
    } else {
        ASSERT(info.code != ERR_OK && info.position <= size + 1);
    }
    ASSERT(statement_redact(text, arena, &redacted, NULL) == ERR_OK);
    uint64_t again;
    if (statement_fingerprint(text, &fingerprint, NULL) == ERR_OK) {
        ASSERT(statement_fingerprint(text, &again, NULL) == ERR_OK && again == fingerprint);
    }
    return 0;
}
