/* API keys:
 *
 *     CREATE API KEY name [FOR USER user] [EXPIRES IN n DAYS | EXPIRES AT 'time' | EXPIRES NEVER]
 *     REVOKE API KEY name [FOR USER user] */
#include "sql/statement_int.h"

/* A name, or the prefix of a key as a string. */
static enum err parse_key_name(struct cursor *c, struct statement *s)
{
    TRY(cursor_expect(c, "KEY"));
    return c->token.kind == TOKEN_STRING
               ? cursor_string(c, "a name for the key", &s->name.name)
               : cursor_identifier(c, "a name for the key", &s->name.name);
}

static enum err parse_for_user(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "for", &taken));
    if (!taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "user", &taken));
    return cursor_identifier(c, "a user", &s->for_user);
}

static enum err parse_lifetime(struct cursor *c, struct statement *s)
{
    static const struct {
        const char *word;
        const char *words;
        int64_t seconds;
    } units[] = {{"minute", "minutes", 60}, {"hour", "hours", 3600}, {"day", "days", 86400}};
    uint64_t count;
    if (c->token.kind != TOKEN_NUMBER || !slice_to_u64(c->token.text, &count) || count == 0 ||
        count > 1000000) {
        return cursor_expected(c, "a number of days, hours or minutes");
    }
    TRY(cursor_next(c));
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (token_is(&c->token, units[i].word) || token_is(&c->token, units[i].words)) {
            s->expiry = KEY_EXPIRES_IN;
            s->expires_in_s = (int64_t)count * units[i].seconds;
            return cursor_next(c);
        }
    }
    return cursor_expected(c, "DAYS, HOURS or MINUTES");
}

static enum err parse_expiry(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_accept(c, "expires", &taken));
    if (!taken) {
        return ERR_OK;
    }
    TRY(cursor_accept(c, "in", &taken));
    if (taken) {
        return parse_lifetime(c, s);
    }
    TRY(cursor_accept(c, "never", &taken));
    if (taken) {
        s->expiry = KEY_EXPIRES_NEVER;
        return ERR_OK;
    }
    TRY(cursor_accept(c, "at", &taken));
    if (!taken) {
        return cursor_expected(c, "IN, AT or NEVER");
    }
    s->expiry = KEY_EXPIRES_AT;
    return cursor_string(c, "a time in single quotes: '2027-01-31' or '2027-01-31T12:00:00Z'",
                         &s->expires_at);
}

enum err parse_create_api_key(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_CREATE_API_KEY;
    s->tag = "CREATE API KEY";
    TRY(parse_key_name(c, s));
    TRY(parse_for_user(c, s));
    TRY(parse_expiry(c, s));
    return cursor_expect_end(c);
}

enum err parse_revoke_api_key(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_REVOKE_API_KEY;
    s->tag = "REVOKE API KEY";
    TRY(parse_key_name(c, s));
    TRY(parse_for_user(c, s));
    return cursor_expect_end(c);
}

enum err cursor_accept_api(struct cursor *c, bool *ret_taken)
{
    struct cursor before = *c;
    TRY(cursor_accept(c, "api", ret_taken));
    if (*ret_taken && !token_is(&c->token, "key") && !token_is(&c->token, "keys")) {
        *c = before; /* a role of that name */
        *ret_taken = false;
    }
    return ERR_OK;
}
