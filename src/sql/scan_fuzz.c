/* Goal: no bytes make the scanner or the splitter crash, hang or lose their place. */
#include "base/fuzz.h"
#include "sql/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct slice rest = {(const char *)data, size};
    struct slice statement = {"", 1};
    if (arena == NULL || sql_check_text(rest, 1u << 20, NULL) != ERR_OK) {
        return 0;
    }
    while (statement.len > 0 && sql_split(&rest, &statement, NULL, NULL) == ERR_OK) {
        struct scanner scanner;
        struct token token = {0};
        size_t end = 0;
        scanner_init(&scanner, statement);
        do {
            /* What the splitter read once, the scanner reads again, without a boundary in it. */
            ASSERT(scanner_next(&scanner, &token, NULL) == ERR_OK);
            ASSERT(token.kind != TOKEN_SEMICOLON && token.offset >= end);
            end = token.offset + token.text.len;
            ASSERT(end <= statement.len && (token.kind == TOKEN_END || end > token.offset));
            struct slice value;
            if (token.kind == TOKEN_STRING && token_string(&token, arena, &value, NULL) == ERR_OK) {
                ASSERT(value.len <= token.text.len && slice_is_utf8(value, NULL));
            }
        } while (token.kind != TOKEN_END);
    }
    return 0;
}
