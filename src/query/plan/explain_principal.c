/* Where a role or user that is not there stands in the statement, and what to do next. */
#include "query/query_int.h"
#include "sql/scan.h"

/* First "quoted" word of a message. */
static struct slice quoted_name(const char *message)
{
    const char *open = strchr(message, '"');
    const char *close = open == NULL ? NULL : strchr(open + 1, '"');
    return close == NULL ? (struct slice){"", 0}
                         : (struct slice){open + 1, (size_t)(close - open - 1)};
}

/* The last: what is granted may have the same name, and stands before. */
static size_t find_last(struct slice statement, struct slice name, struct arena *arena)
{
    struct scanner scanner;
    struct token token;
    size_t position = 0;
    scanner_init(&scanner, statement);
    while (scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind != TOKEN_END) {
        struct slice word;
        bool is_name = token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED;
        if (is_name && token_identifier(&token, arena, &word) && slice_equal_fold(word, name)) {
            position = token.offset + 1;
        }
    }
    return position;
}

void query_explain_principal(const struct query *query, struct errinfo *info)
{
    struct slice name = quoted_name(info->message);
    if (name.len == 0 || strcmp(name.ptr + name.len, "\" does not exist") != 0) {
        return; /* of a key, a membership */
    }
    if (info->position == 0) {
        errinfo_position(info, find_last(query->statement, name, query->arena));
    }
    if (info->hint[0] == '\0') {
        bool is_user = strncmp(info->message, "user \"", 6) == 0;
        errinfo_hint(info, "SHOW %s lists those that you may know of.",
                     is_user ? "USERS" : "ROLES");
    }
}
