/* BEGIN, COMMIT, ROLLBACK and savepoints. Modes of a transaction are read and make no difference:
 * every statement sees the store and the files as they are when it starts. */
#include "sql/statement_int.h"

static enum err parse_modes(struct cursor *c)
{
    static const char *const words[] = {"isolation", "level",     "serializable", "repeatable",
                                        "read",      "committed", "uncommitted",  "only",
                                        "write",     "not",       "deferrable"};
    bool ignored;
    while (c->token.kind != TOKEN_END) {
        bool is_mode = false;
        for (size_t i = 0; i < ARRAY_COUNT(words) && !is_mode; i++) {
            TRY(cursor_accept(c, words[i], &is_mode));
        }
        if (!is_mode) {
            return cursor_expected(c, "a transaction mode");
        }
        TRY(cursor_accept_operator(c, ",", &ignored));
    }
    return ERR_OK;
}

static enum err skip_block_word(struct cursor *c)
{
    bool taken;
    TRY(cursor_accept(c, "work", &taken));
    return taken ? ERR_OK : cursor_accept(c, "transaction", &taken);
}

static enum err parse_savepoint(struct cursor *c, struct statement *s, enum transaction_kind kind,
                                const char *tag)
{
    s->transaction = kind;
    s->tag = tag;
    TRY(cursor_identifier(c, "a savepoint", &s->savepoint));
    return cursor_expect_end(c);
}

static enum err parse_rollback(struct cursor *c, struct statement *s)
{
    bool taken;
    s->transaction = TRANSACTION_ROLLBACK;
    s->tag = "ROLLBACK";
    TRY(skip_block_word(c));
    TRY(cursor_accept(c, "to", &taken));
    if (!taken) {
        return cursor_expect_end(c);
    }
    TRY(cursor_accept(c, "savepoint", &taken));
    return parse_savepoint(c, s, TRANSACTION_ROLLBACK_TO, "ROLLBACK");
}

enum err parse_transaction(struct cursor *c, struct statement *s)
{
    bool taken;
    struct token first = c->token;
    s->kind = STATEMENT_TRANSACTION;
    TRY(cursor_next(c));
    if (token_is(&first, "begin") || token_is(&first, "start")) {
        bool is_start = token_is(&first, "start");
        s->transaction = TRANSACTION_BEGIN;
        s->tag = is_start ? "START TRANSACTION" : "BEGIN";
        TRY(is_start ? cursor_expect(c, "TRANSACTION") : skip_block_word(c));
        return parse_modes(c);
    }
    if (token_is(&first, "commit") || token_is(&first, "end")) {
        s->transaction = TRANSACTION_COMMIT;
        s->tag = "COMMIT";
        TRY(skip_block_word(c));
        return cursor_expect_end(c);
    }
    if (token_is(&first, "savepoint")) {
        return parse_savepoint(c, s, TRANSACTION_SAVEPOINT, "SAVEPOINT");
    }
    if (token_is(&first, "release")) {
        TRY(cursor_accept(c, "savepoint", &taken));
        return parse_savepoint(c, s, TRANSACTION_RELEASE, "RELEASE");
    }
    return parse_rollback(c, s);
}
