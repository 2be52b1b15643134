/* What is counted in the text itself, before any parser sees it. */
#include "sql/ast.h"
#include "sql/scan.h"

/* Operands of one chain; the engine parses this many in about 0.2 s. */
#define CHAIN_WORDS_MAX 8000u

/* No syntax tree has fewer nodes than half of its text's tokens. */
#define TOKENS_PER_NODE_MAX 2u

enum err sql_ast_check_text(struct slice text, const struct sql_limits *limits,
                            struct errinfo *info)
{
    static const char *const chains[] = {"or", "and", "union", "except", "intersect"};
    struct scanner scanner;
    struct token token;
    uint64_t tokens = 0;
    uint32_t words = 0;
    scanner_init(&scanner, text);
    for (;;) {
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            return ERR_OK;
        }
        for (size_t i = 0; token.kind == TOKEN_WORD && i < ARRAY_COUNT(chains); i++) {
            words += token_is(&token, chains[i]);
        }
        if (++tokens > (uint64_t)limits->nodes_max * TOKENS_PER_NODE_MAX ||
            words > CHAIN_WORDS_MAX) {
            (void)errinfo_set(info, ERR_LIMIT, "54000", "the statement is too complex");
            errinfo_detail(info,
                           "It has more than %llu words, or more than %u of AND, OR and set "
                           "operations.",
                           (unsigned long long)limits->nodes_max * TOKENS_PER_NODE_MAX,
                           CHAIN_WORDS_MAX);
            errinfo_hint(info, "Put long lists into IN (...), or into a table to join.");
            errinfo_position(info, token.offset + 1);
            return ERR_LIMIT;
        }
    }
}
