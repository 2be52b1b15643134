/* What the engine's parser forgets of the type that a cast names.
 *
 * `varchar(3)` and `char(3)` are VARCHAR to it, so that nothing is cut, and a bare `numeric` is
 * DECIMAL(18,3), so that digits are. Its tree does not tell them from what was meant; the text at
 * the place of the cast does. A cast to varchar(n) becomes left(x, n), one to numeric without
 * digits __moat_numeric(x), which takes the digits from what it is given. */
#include "base/buf.h"
#include "sql/ast_int.h"
#include "sql/scan.h"

enum named {
    NAMED_OTHER,
    NAMED_NUMERIC, /* without digits */
    NAMED_TEXT,    /* of at most so many characters */
    NAMED_TEXTS,   /* a list of them */
};

struct named_type {
    enum named named;
    struct slice name;   /* as PostgreSQL calls it */
    uint64_t characters; /* NAMED_TEXT */
};

static bool next(struct scanner *scanner, struct token *ret_token)
{
    return scanner_next(scanner, ret_token, NULL) == ERR_OK && ret_token->kind != TOKEN_END;
}

/* Goes to behind the AS of the CAST whose word was taken. */
static bool enter_cast(struct scanner *scanner)
{
    struct token token;
    unsigned depth = 0;
    while (next(scanner, &token)) {
        bool opens = token.kind == TOKEN_OPERATOR && strchr("([{", token.text.ptr[0]) != NULL;
        bool closes = token.kind == TOKEN_OPERATOR && strchr(")]}", token.text.ptr[0]) != NULL;
        depth += opens ? 1 : 0;
        if (depth == 0 || (closes && --depth == 0)) {
            return false;
        }
        if (depth == 1 && token_is(&token, "as")) {
            return true;
        }
    }
    return false;
}

static bool is_one_of(const struct token *token, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (token_is(token, *words)) {
            return true;
        }
    }
    return false;
}

/* `(n)`: true if there is one; `token` is then what follows it. */
static bool take_length(struct scanner *scanner, struct token *token, uint64_t *ret_length)
{
    struct scanner ahead = *scanner;
    struct token number;
    struct token end;
    if (token->kind != TOKEN_OPERATOR || !token_is_operator(token, "(") || !next(&ahead, &number) ||
        number.kind != TOKEN_NUMBER || !slice_to_u64(number.text, ret_length) ||
        !next(&ahead, &end) || !token_is_operator(&end, ")")) {
        return false;
    }
    if (!next(&ahead, token)) {
        *token = (struct token){.kind = TOKEN_END};
    }
    *scanner = ahead;
    return true;
}

static struct named_type read_type(struct scanner *scanner)
{
    static const char *const numbers[] = {"numeric", "decimal", "dec", NULL};
    static const char *const texts[] = {"varchar",  "char",   "character", "nchar",
                                        "nvarchar", "bpchar", NULL};
    struct named_type type = {NAMED_OTHER, {"", 0}, 0};
    struct token token;
    if (!next(scanner, &token)) {
        return type;
    }
    bool is_number = is_one_of(&token, numbers);
    bool is_text = is_one_of(&token, texts);
    bool is_padded = is_text && !token_is(&token, "varchar") && !token_is(&token, "nvarchar");
    bool is_one = is_padded && !token_is(&token, "bpchar"); /* char is char(1) */
    if (!is_number && !is_text) {
        return type;
    }
    if (!next(scanner, &token)) {
        token = (struct token){.kind = TOKEN_END};
    }
    if (is_padded && token_is(&token, "varying")) {
        is_padded = is_one = false;
        if (!next(scanner, &token)) {
            token = (struct token){.kind = TOKEN_END};
        }
    }
    if (is_number) {
        type.named = token_is_operator(&token, "(") ? NAMED_OTHER : NAMED_NUMERIC;
        type.name = SLICE("numeric");
        return type;
    }
    type.characters = 1;
    bool is_said = take_length(scanner, &token, &type.characters);
    bool is_list = token_is_operator(&token, "[") || token_is_operator(&token, "[]") ||
                   token_is(&token, "array");
    type.named = !is_said && !is_one ? NAMED_OTHER : is_list ? NAMED_TEXTS : NAMED_TEXT;
    type.name = is_padded ? SLICE("bpchar") : SLICE("varchar");
    return type;
}

static bool is_word_byte(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '"' || (unsigned char)ch >= 0x80;
}

static size_t skip_spaces_back(struct slice text, size_t at)
{
    while (at > 0 &&
           (text.ptr[at - 1] == ' ' || (text.ptr[at - 1] >= '\t' && text.ptr[at - 1] <= '\r'))) {
        at--;
    }
    return at;
}

static size_t skip_word_back(struct slice text, size_t at)
{
    while (at > 0 && is_word_byte(text.ptr[at - 1])) {
        at--;
    }
    return at;
}

/* Where the type begins that stands before the text at `at`: word [varying] [(n)]. */
static size_t type_before(struct slice text, size_t at)
{
    size_t end = skip_spaces_back(text, at);
    if (end > 0 && text.ptr[end - 1] == ')') {
        end = skip_spaces_back(text, end - 1);
        end = skip_spaces_back(text, skip_word_back(text, end));
        end = end > 0 && text.ptr[end - 1] == '(' ? skip_spaces_back(text, end - 1) : end;
    }
    size_t start = skip_word_back(text, end);
    if (slice_equal_fold((struct slice){text.ptr + start, end - start}, SLICE("varying"))) {
        start = skip_word_back(text, skip_spaces_back(text, start));
    }
    return start;
}

/* The type as it is written: behind `::`, in CAST(... AS type), or before a text. */
static struct named_type written_type(const struct ast_check *c, const struct json *cast)
{
    struct named_type none = {NAMED_OTHER, {"", 0}, 0};
    struct scanner scanner;
    struct token token;
    size_t position = ast__text_position(c, cast);
    scanner_init(&scanner, c->statement);
    if (c->macro != NULL) {
        return none;
    }
    if (position == 0) { /* varchar(3) 'text', which has only the place of the text */
        size_t text = ast__text_position(c, json_get(cast, "child"));
        scanner.at = text == 0 ? 0 : type_before(c->statement, text - 1);
        return text == 0 ? none : read_type(&scanner);
    }
    scanner.at = position - 1;
    if (!next(&scanner, &token)) {
        return none;
    }
    bool is_call = token_is(&token, "cast") || token_is(&token, "try_cast");
    return is_call                           ? enter_cast(&scanner) ? read_type(&scanner) : none
           : token_is_operator(&token, "::") ? read_type(&scanner)
                                             : none;
}

/* What the result's column is called, as PostgreSQL does: after a column, or the type. */
static struct slice column_name(const struct json *child, struct slice type)
{
    const struct json *names = json_get(child, "column_names");
    return ast__is(child, "class", "COLUMN_REF") && names != NULL && names->last != NULL
               ? names->last->text
               : type;
}

static enum err replace_by_call(struct ast_check *c, struct json *cast, struct slice function,
                                struct slice name, uint64_t length, bool is_item)
{
    static const char text[] =
        "{\"class\":\"FUNCTION\",\"type\":\"FUNCTION\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"function_name\":\"\",\"schema\":\"\","
        "\"children\":[],\"filter\":null,\"order_bys\":{\"type\":\"ORDER_MODIFIER\",\"orders\":[]},"
        "\"distinct\":false,\"is_operator\":false,\"export_state\":false,\"catalog\":\"\"}";
    static const char number[] =
        "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":"
        "18446744073709551615,\"value\":{\"type\":{\"id\":\"BIGINT\",\"type_info\":null},"
        "\"is_null\":false,\"value\":%llu}}";
    struct arena *arena = c->whole->ast.arena;
    bool is_cut = length > 0;
    struct json *argument = json_copy(arena, is_cut ? cast : json_get(cast, "child"));
    struct slice alias = json_get_text(cast, "alias");
    struct json *call;
    TRY(json_parse(arena, slice_of(text), NULL, &call, c->info));
    if (argument == NULL) {
        return errinfo_nomem(c->info);
    }
    json_get(call, "function_name")->text = function;
    json_get(call, "alias")->text =
        alias.len > 0 || !is_item ? alias : column_name(json_get(cast, "child"), name);
    argument->key = (struct slice){"", 0};
    argument->next = NULL;
    if (is_cut) {
        json_get(argument, "alias")->text = SLICE("");
    }
    json_append(json_get(call, "children"), argument);
    if (is_cut) {
        struct json *count;
        char *said = arena_printf(arena, number, (unsigned long long)length);
        if (said == NULL) {
            return errinfo_nomem(c->info);
        }
        TRY(json_parse(arena, slice_of(said), NULL, &count, c->info));
        json_append(json_get(call, "children"), count);
    }
    json_replace(cast, call);
    return ERR_OK;
}

/* A list of numbers without digits: those that __moat_numeric gives to a text. */
static void widen_list(struct json *type)
{
    struct json *child = json_get(json_get(type, "type_info"), "child_type");
    struct json *info = json_get(child, "type_info");
    if (ast__is(child, "id", "DECIMAL") && info != NULL && info->type == JSON_OBJECT) {
        json_get(info, "width")->text = SLICE("38");
        json_get(info, "scale")->text = SLICE("9");
    }
}

static enum err cut_text(struct ast_check *c, struct json *cast, const struct named_type *type,
                         bool is_item)
{
    if (type->characters == 0 || type->characters > AST_CHARACTERS_MAX) {
        (void)errinfo_set(c->info, ERR_INVALID, "22023",
                          "length for type %.*s must be between 1 and %d", SLICE_ARGS(type->name),
                          AST_CHARACTERS_MAX);
        errinfo_position(c->info, ast__position(c, cast));
        return ERR_INVALID;
    }
    return replace_by_call(c, cast, SLICE("left"), type->name, type->characters, is_item);
}

enum err ast__cast_as_written(struct ast_check *c, struct json *cast, bool is_item)
{
    struct json *to = json_get(cast, "cast_type");
    bool is_decimal = ast__is(to, "id", "DECIMAL");
    bool is_list = ast__is(to, "id", "LIST") || ast__is(to, "id", "ARRAY");
    if (c->is_verify || (!is_decimal && !is_list && !ast__is(to, "id", "VARCHAR"))) {
        return ERR_OK;
    }
    struct named_type type = written_type(c, cast);
    if (type.named == NAMED_TEXTS) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "a list of %.*s(%llu) is not supported",
                          SLICE_ARGS(type.name), (unsigned long long)type.characters);
        errinfo_hint(c->info, "Use text[], or cut each with list_transform.");
        errinfo_position(c->info, ast__position(c, cast));
        return ERR_UNSUPPORTED;
    }
    if (type.named == NAMED_NUMERIC && is_list) {
        widen_list(to);
        return ERR_OK;
    }
    if (type.named == NAMED_NUMERIC && is_decimal) {
        /* What a policy says is printed, and read again: without a function of Moat's own. */
        if (c->binding != NULL || json_get_bool(cast, "try_cast", false)) {
            json_get(json_get(to, "type_info"), "width")->text = SLICE("38");
            json_get(json_get(to, "type_info"), "scale")->text = SLICE("9");
            return ERR_OK;
        }
        return replace_by_call(c, cast, SLICE("__moat_numeric"), type.name, 0, is_item);
    }
    return type.named == NAMED_TEXT && ast__is(to, "id", "VARCHAR")
               ? cut_text(c, cast, &type, is_item)
               : ERR_OK;
}
