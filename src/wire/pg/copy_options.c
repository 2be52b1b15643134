/* What a COPY statement says: the table or query, and its options in both spellings,
 * WITH (FORMAT csv, HEADER) and the older WITH CSV HEADER. */
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

struct copy_words {
    struct scanner scanner;
    struct token token;
    struct slice text;
    struct arena *arena;
    struct errinfo *info;
    bool is_from;
    unsigned seen; /* bits of enum option */
};

enum option {
    OPTION_FORMAT,
    OPTION_HEADER,
    OPTION_DELIMITER,
    OPTION_NULL,
    OPTION_QUOTE,
    OPTION_ESCAPE,
    OPTION_ENCODING,
    OPTION_ON_ERROR,
    OPTION_FORCE_QUOTE,
    OPTION_FORCE_NULL,
    OPTION_FORCE_NOT_NULL,
};

static enum err step(struct copy_words *words)
{
    return scanner_next(&words->scanner, &words->token, words->info);
}

static bool is_at_end(const struct copy_words *words)
{
    return words->token.kind == TOKEN_END || words->token.kind == TOKEN_SEMICOLON;
}

static enum err wrong(struct copy_words *words, const char *expected)
{
    enum err err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                               "syntax error in COPY at or near \"%.*s\": expected %s",
                               SLICE_ARGS(words->token.text), expected);
    errinfo_position(words->info, words->token.offset + 1);
    return err;
}

static enum err bad_value(struct copy_words *words, const char *message)
{
    return errinfo_set(words->info, ERR_INVALID, "22023", "%s", message);
}

static bool has(const struct copy_words *words, enum option option)
{
    return (words->seen & 1u << option) != 0;
}

/* ---- the table or query ---- */

/* From an opening parenthesis to behind its closing one; the slice is what is between. */
static enum err parenthesised(struct copy_words *words, struct slice *ret_inside)
{
    size_t start = words->token.offset + 1;
    size_t depth = 0;
    for (;;) {
        if (is_at_end(words)) {
            return wrong(words, ")");
        }
        depth += token_is_operator(&words->token, "(");
        depth -= token_is_operator(&words->token, ")");
        if (depth == 0) {
            break;
        }
        TRY(step(words));
    }
    *ret_inside = (struct slice){words->text.ptr + start, words->token.offset - start};
    return step(words);
}

/* name[.name][.name] [(columns)] as a SELECT. */
static enum err table_query(struct copy_words *words, struct pg_command *command)
{
    size_t start = words->token.offset;
    struct slice columns = SLICE("*");
    size_t end = start;
    bool wants_name = true;
    while (wants_name ? words->token.kind == TOKEN_WORD || words->token.kind == TOKEN_QUOTED
                      : token_is_operator(&words->token, ".")) {
        wants_name = !wants_name;
        end = words->token.offset + words->token.text.len;
        TRY(step(words));
    }
    if (wants_name) {
        return wrong(words, "a table or (query)");
    }
    command->name = (struct slice){words->text.ptr + start, end - start};
    if (token_is_operator(&words->token, "(")) {
        TRY(parenthesised(words, &columns));
    }
    char *query = arena_printf(words->arena, "SELECT %.*s FROM %.*s", (int)columns.len, columns.ptr,
                               (int)command->name.len, command->name.ptr);
    if (query == NULL) {
        return errinfo_nomem(words->info);
    }
    command->text = slice_of(query);
    return ERR_OK;
}

/* ---- values of options ---- */

static enum err one_character(struct copy_words *words, struct slice value, char *ret_character)
{
    if (value.len != 1 || value.ptr[0] == '\n' || value.ptr[0] == '\r' ||
        (unsigned char)value.ptr[0] >= 0x80) {
        return bad_value(words, "a separator of COPY must be a single one-byte character, and none "
                                "that ends a line");
    }
    *ret_character = value.ptr[0];
    return ERR_OK;
}

static enum err option_value(struct copy_words *words, struct slice *ret_value)
{
    bool is_as = token_is(&words->token, "as");
    if (is_as) {
        TRY(step(words));
    }
    if (words->token.kind == TOKEN_STRING) {
        TRY(token_string(&words->token, words->arena, ret_value, words->info));
        return step(words);
    }
    if (words->token.kind != TOKEN_WORD && words->token.kind != TOKEN_NUMBER) {
        return wrong(words, "a value");
    }
    *ret_value = words->token.text;
    return step(words);
}

static enum err take_format(struct copy_words *words, struct slice name, struct pg_copy *copy)
{
    if (slice_equal_fold(name, SLICE("csv"))) {
        copy->format = COPY_CSV;
    } else if (slice_equal_fold(name, SLICE("binary"))) {
        copy->format = COPY_BINARY;
    } else if (slice_equal_fold(name, SLICE("text"))) {
        copy->format = COPY_TEXT;
    } else {
        return errinfo_set(words->info, ERR_INVALID, "22023", "COPY format \"%.*s\" not recognized",
                           SLICE_ARGS(name));
    }
    return ERR_OK;
}

static enum err take_header(struct copy_words *words, struct pg_copy *copy)
{
    static const char *const off[] = {"false", "off", "0"};
    static const char *const on[] = {"true", "on", "1"};
    copy->has_header = true;
    struct slice value = words->token.text;
    if (words->token.kind == TOKEN_STRING) {
        TRY(token_string(&words->token, words->arena, &value, words->info));
    } else if (words->token.kind != TOKEN_WORD && words->token.kind != TOKEN_NUMBER) {
        return ERR_OK;
    }
    if (slice_equal_fold(value, SLICE("match"))) {
        copy->is_header_matched = true;
        return words->is_from ? step(words)
                              : bad_value(words, "cannot use \"match\" with HEADER in COPY TO");
    }
    for (size_t i = 0; i < ARRAY_COUNT(off); i++) {
        bool is_off = slice_equal_fold(value, slice_of(off[i]));
        if (is_off || slice_equal_fold(value, slice_of(on[i]))) {
            copy->has_header = !is_off;
            return step(words);
        }
    }
    return words->token.kind == TOKEN_STRING
               ? bad_value(words, "HEADER requires a Boolean value or \"match\"")
               : ERR_OK; /* the next option of the older spelling */
}

/* (a, b), or in the older spelling a, b. */
static enum err column_list(struct copy_words *words, struct slice **ret_names, size_t *ret_count)
{
    struct buf names CLEANUP(buf_fini) = {0};
    bool is_list = token_is_operator(&words->token, "(");
    bool has_more = true;
    TRY(is_list ? step(words) : ERR_OK);
    while (has_more) {
        struct slice name;
        if (words->token.kind != TOKEN_WORD && words->token.kind != TOKEN_QUOTED) {
            return wrong(words, "a column");
        }
        if (!token_identifier(&words->token, words->arena, &name)) {
            return errinfo_nomem(words->info);
        }
        buf_append(&names, &name, sizeof(name));
        TRY(step(words));
        has_more = token_is_operator(&words->token, ",");
        TRY(has_more ? step(words) : ERR_OK);
    }
    if (is_list && !token_is_operator(&words->token, ")")) {
        return wrong(words, ")");
    }
    TRY(is_list ? step(words) : ERR_OK);
    size_t count = names.len / sizeof(struct slice);
    struct slice *kept = arena_calloc(words->arena, count + 1, sizeof(*kept));
    if (kept == NULL || buf_failed(&names)) {
        return errinfo_nomem(words->info);
    }
    memcpy(kept, names.ptr, names.len);
    *ret_names = kept;
    *ret_count = count;
    return ERR_OK;
}

static enum err take_force_quote(struct copy_words *words, struct pg_copy *copy)
{
    if (words->is_from) {
        return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                           "COPY force quote only available using COPY TO");
    }
    if (!token_is_operator(&words->token, "*")) {
        return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                           "COPY with FORCE_QUOTE of single columns; * quotes all");
    }
    copy->force_quote_all = true;
    return step(words);
}

static enum err take_force(struct copy_words *words, enum option option, struct pg_copy *copy)
{
    if (option == OPTION_FORCE_QUOTE) {
        return take_force_quote(words, copy);
    }
    if (!words->is_from) {
        return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                           "COPY force null and force not null only available using COPY FROM");
    }
    if (token_is_operator(&words->token, "*")) {
        return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                           "COPY with FORCE_NULL or FORCE_NOT_NULL of all columns by *");
    }
    return option == OPTION_FORCE_NULL
               ? column_list(words, &copy->force_null, &copy->force_null_count)
               : column_list(words, &copy->force_not_null, &copy->force_not_null_count);
}

/* FORCE QUOTE, FORCE NULL, FORCE NOT NULL: behind the first word. */
static enum err old_force(struct copy_words *words, enum option *ret_option)
{
    *ret_option = OPTION_FORCE_NULL;
    if (token_is(&words->token, "quote")) {
        *ret_option = OPTION_FORCE_QUOTE;
        return step(words);
    }
    if (token_is(&words->token, "not")) {
        *ret_option = OPTION_FORCE_NOT_NULL;
        TRY(step(words));
    }
    return token_is(&words->token, "null") ? step(words) : wrong(words, "QUOTE, NULL or NOT NULL");
}

/* ---- options ---- */

static const struct {
    const char *word;
    enum option option;
} option_words[] = {
    {"format", OPTION_FORMAT},
    {"csv", OPTION_FORMAT},
    {"binary", OPTION_FORMAT},
    {"header", OPTION_HEADER},
    {"delimiter", OPTION_DELIMITER},
    {"delimiters", OPTION_DELIMITER},
    {"null", OPTION_NULL},
    {"quote", OPTION_QUOTE},
    {"escape", OPTION_ESCAPE},
    {"encoding", OPTION_ENCODING},
    {"on_error", OPTION_ON_ERROR},
    {"force", OPTION_FORCE_NULL},
    {"force_quote", OPTION_FORCE_QUOTE},
    {"force_null", OPTION_FORCE_NULL},
    {"force_not_null", OPTION_FORCE_NOT_NULL},
};

static enum err unknown_option(struct copy_words *words, const struct token *token)
{
    static const char *const others[] = {"freeze", "default", "reject_limit", "log_verbosity",
                                         "where"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (token_is(token, others[i])) {
            enum err err = errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                                       "option \"%s\" of COPY is not supported", others[i]);
            errinfo_position(words->info, token->offset + 1);
            return err;
        }
    }
    enum err err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                               "option \"%.*s\" of COPY %s is not recognized",
                               SLICE_ARGS(token->text), words->is_from ? "FROM" : "TO");
    errinfo_position(words->info, token->offset + 1);
    return err;
}

static enum err take_on_error(struct copy_words *words, struct slice value)
{
    if (slice_equal_fold(value, SLICE("stop"))) {
        return ERR_OK;
    }
    (void)errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                      "COPY with ON_ERROR \"%.*s\" is not supported", SLICE_ARGS(value));
    errinfo_hint(words->info, "A value that cannot be read ends the statement (ON_ERROR stop).");
    return ERR_UNSUPPORTED;
}

static enum err take_encoding(struct copy_words *words, struct slice value)
{
    static const char *const same[] = {"utf8", "utf-8", "unicode"};
    for (size_t i = 0; i < ARRAY_COUNT(same); i++) {
        if (slice_equal_fold(value, slice_of(same[i]))) {
            return ERR_OK;
        }
    }
    return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                       "COPY in the encoding \"%.*s\" is not supported; UTF8 is",
                       SLICE_ARGS(value));
}

static enum err take_value(struct copy_words *words, enum option option, struct slice value,
                           struct pg_copy *copy)
{
    switch (option) {
    case OPTION_FORMAT:
        return take_format(words, value, copy);
    case OPTION_DELIMITER:
        return one_character(words, value, &copy->delimiter);
    case OPTION_QUOTE:
        return one_character(words, value, &copy->quote);
    case OPTION_ESCAPE:
        return one_character(words, value, &copy->escape);
    case OPTION_NULL:
        copy->null = value;
        return ERR_OK;
    case OPTION_ENCODING:
        return take_encoding(words, value);
    case OPTION_ON_ERROR:
        return take_on_error(words, value);
    case OPTION_HEADER:
    case OPTION_FORCE_QUOTE:
    case OPTION_FORCE_NULL:
    case OPTION_FORCE_NOT_NULL:
        break;
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

static enum err take_option(struct copy_words *words, struct pg_copy *copy)
{
    const struct token token = words->token;
    size_t found = 0;
    while (found < ARRAY_COUNT(option_words) && !token_is(&token, option_words[found].word)) {
        found++;
    }
    if (found == ARRAY_COUNT(option_words)) {
        return unknown_option(words, &token);
    }
    enum option option = option_words[found].option;
    TRY(step(words));
    TRY(token_is(&token, "force") ? old_force(words, &option) : ERR_OK);
    if (has(words, option)) {
        enum err err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                                   "conflicting or redundant options of COPY");
        errinfo_position(words->info, token.offset + 1);
        return err;
    }
    words->seen |= 1u << option;
    if (option == OPTION_HEADER) {
        return take_header(words, copy);
    }
    if (option >= OPTION_FORCE_QUOTE) {
        return take_force(words, option, copy);
    }
    struct slice value = token.text; /* CSV, BINARY: as before version 9 */
    if (!token_is(&token, "csv") && !token_is(&token, "binary")) {
        TRY(option_value(words, &value));
    }
    return take_value(words, option, value, copy);
}

/* What PostgreSQL refuses, since the data could not be told apart. */
static enum err check_separators(struct copy_words *words, const struct pg_copy *copy)
{
    static const char taken[] = "\\.abcdefghijklmnopqrstuvwxyz0123456789";
    bool is_csv = copy->format == COPY_CSV;
    struct slice null = copy->null;
    if (null.len > 0 &&
        (memchr(null.ptr, '\n', null.len) != NULL || memchr(null.ptr, '\r', null.len) != NULL)) {
        return bad_value(words, "COPY null representation cannot use newline or carriage return");
    }
    if (null.len > 0 && memchr(null.ptr, copy->delimiter, null.len) != NULL) {
        return bad_value(words, "COPY delimiter must not appear in the NULL specification");
    }
    if (!is_csv && strchr(taken, copy->delimiter) != NULL) {
        return errinfo_set(words->info, ERR_INVALID, "22023", "COPY delimiter cannot be \"%c\"",
                           copy->delimiter);
    }
    if (is_csv && copy->delimiter == copy->quote) {
        return bad_value(words, "COPY delimiter and quote must be different");
    }
    if (is_csv && null.len > 0 && memchr(null.ptr, copy->quote, null.len) != NULL) {
        return bad_value(words, "CSV quote character must not appear in the NULL specification");
    }
    return ERR_OK;
}

static enum err check_options(struct copy_words *words, const struct pg_copy *copy)
{
    static const enum option of_csv[] = {OPTION_QUOTE, OPTION_ESCAPE, OPTION_FORCE_QUOTE,
                                         OPTION_FORCE_NULL, OPTION_FORCE_NOT_NULL};
    static const enum option of_texts[] = {OPTION_DELIMITER, OPTION_NULL, OPTION_HEADER};
    for (size_t i = 0; i < ARRAY_COUNT(of_csv); i++) {
        if (has(words, of_csv[i]) && copy->format != COPY_CSV) {
            return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                               "QUOTE, ESCAPE and FORCE of COPY are available only in CSV mode");
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(of_texts); i++) {
        if (has(words, of_texts[i]) && copy->format == COPY_BINARY) {
            return errinfo_set(words->info, ERR_SYNTAX, "42601",
                               "cannot specify DELIMITER, NULL or HEADER in BINARY mode");
        }
    }
    return copy->format == COPY_BINARY ? ERR_OK : check_separators(words, copy);
}

static enum err take_options(struct copy_words *words, struct pg_copy *copy)
{
    copy->null.ptr = NULL;
    if (token_is(&words->token, "using")) {
        TRY(step(words));
    }
    if (token_is(&words->token, "with")) {
        TRY(step(words));
    }
    bool is_list = token_is_operator(&words->token, "(");
    if (is_list) {
        TRY(step(words));
    }
    while (!is_at_end(words) && !(is_list && token_is_operator(&words->token, ")"))) {
        TRY(take_option(words, copy));
        if (is_list && token_is_operator(&words->token, ",")) {
            TRY(step(words));
        }
    }
    if (is_list) {
        TRY(is_at_end(words) ? wrong(words, ")") : step(words));
    }
    bool is_csv = copy->format == COPY_CSV;
    copy->delimiter = copy->delimiter != 0 ? copy->delimiter : is_csv ? ',' : '\t';
    copy->quote = copy->quote != 0 ? copy->quote : '"';
    copy->escape = copy->escape != 0 ? copy->escape : copy->quote;
    if (copy->null.ptr == NULL) {
        copy->null = is_csv ? SLICE("") : SLICE("\\N");
    }
    if (token_is(&words->token, "where")) {
        return unknown_option(words, &words->token);
    }
    TRY(is_at_end(words) ? ERR_OK : wrong(words, "the end of the statement"));
    return check_options(words, copy);
}

enum err pg__copy_parse(struct slice text, struct arena *arena, struct pg_command *ret_command,
                        struct errinfo *info)
{
    struct copy_words words = {.text = text, .arena = arena, .info = info};
    struct pg_command command = {.kind = COMMAND_COPY_OUT, .is_transactional = true};
    scanner_init(&words.scanner, text);
    TRY(step(&words));
    TRY(step(&words)); /* COPY */
    bool is_query = token_is_operator(&words.token, "(");
    if (is_query) {
        TRY(parenthesised(&words, &command.text));
        command.text = slice_trim(command.text);
    } else {
        TRY(table_query(&words, &command));
    }
    words.is_from = token_is(&words.token, "from") && !is_query;
    if (!words.is_from && !token_is(&words.token, "to")) {
        return wrong(&words, is_query ? "TO" : "TO or FROM");
    }
    TRY(step(&words));
    if (!token_is(&words.token, words.is_from ? "stdin" : "stdout")) {
        /* a file: Moat's own COPY */
        *ret_command = (struct pg_command){.kind = COMMAND_STATEMENT, .text = text};
        return ERR_OK;
    }
    TRY(step(&words));
    TRY(take_options(&words, &command.copy));
    if (words.is_from) {
        command.kind = COMMAND_COPY_IN;
        command.text = text;
        command.is_change = true;
    }
    *ret_command = command;
    return ERR_OK;
}
