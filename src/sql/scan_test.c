/* The boundaries that the engine sees are those of the scanner; agreement_test.c of query compares
 * the two over generated texts. Here: each rule by itself, and what the engine has no part in. */
#include "sql/scan.h"

#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"
#include "sql/relation.h"

/* "kind:text kind:text ..." of all tokens, or "error@position". */
static const char *tokens(struct arena *arena, struct slice text)
{
    static const char *const letters = ".wqsnpo;";
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token = {0};
    struct errinfo info;
    errinfo_init(&info);
    scanner_init(&scanner, text);
    do {
        if (scanner_next(&scanner, &token, &info) != ERR_OK) {
            CHECK(info.hint[0] != '\0');
            buf_reset(&out);
            buf_printf(&out, "error@%zu", info.position);
            return arena_strdup(arena, buf_cstr(&out));
        }
        CHECK(token.offset + token.text.len <= text.len);
        if (token.kind != TOKEN_END) {
            buf_printf(&out, "%c:%.*s ", letters[token.kind], SLICE_ARGS(token.text));
        }
    } while (token.kind != TOKEN_END);
    return arena_strdup(arena, buf_cstr(&out));
}

/* Texts whose tokens were read from the engine's scan.l. */
static const struct {
    const char *text;
    const char *tokens;
} token_cases[] = {
    {"", ""},
    {" \t\r\n\f", ""},
    {"select 1", "w:select n:1 "},
    {"a$b$$", "w:a$b$$ "},
    {"\"a\"\"b\"c", "q:\"a\"\"b\" w:c "},
    {"'it''s'", "s:'it''s' "},
    {"'a\\'", "s:'a\\' "},
    {"E'a\\'b'", "s:E'a\\'b' "},
    {"e'\\\\'", "s:e'\\\\' "},
    {"x'ff' B'01' n'x'", "s:x'ff' s:B'01' s:n'x' "},
    {"U&'a' u&\"b\"", "s:U&'a' q:u&\"b\" "},
    {"'a'\n'b'", "s:'a'\n'b' "},
    {"'a' 'b'", "s:'a' s:'b' "},
    {"'a' -- it's\n 'b'", "s:'a' -- it's\n 'b' "},
    {"E'a'\n'\\'' 1", "s:E'a'\n'\\'' n:1 "},
    {"\"a\"\n\"b\"", "q:\"a\" q:\"b\" "},
    {"$$a'b$$", "s:$$a'b$$ "},
    {"$x$ $$ $y$ $x$", "s:$x$ $$ $y$ $x$ "},
    {"$1$$;$$", "p:$1 s:$$;$$ "},
    {"$1a", "p:$1 w:a "},
    {"$name ? ?2", "p:$name p:? p:?2 "},
    {"$ a", "o:$ w:a "},
    {"1.5 .5 1. 1e5 1E-5 1_000", "n:1.5 n:.5 n:1. n:1e5 n:1E-5 n:1_000 "},
    {"1..2", "n:1 o:.. n:2 "},
    {"1e'\\';'", "n:1 s:e'\\';' "},
    {"1e+", "n:1 w:e o:+ "},
    {"0x1F", "n:0 w:x1F "},
    {"1a$$", "n:1 w:a$$ "},
    {"a.b", "w:a o:. w:b "},
    {"a::b:=c:d", "w:a o::: w:b o::= w:c o:: w:d "},
    {"a=-1", "w:a o:= o:- n:1 "},
    {"a@-b", "w:a o:@- w:b "},
    {"a<=b->>c", "w:a o:<= w:b o:->> w:c "},
    {"a--b\rc", "w:a w:c "},
    {"a--b\nc", "w:a w:c "},
    {"a-/*b*/-c", "w:a o:- o:- w:c "},
    {"/*a/*b*/c*/d", "w:d "},
    {"/***/a/**/", "w:a "},
    {"//*x*/a", "o:/ w:a "},
    {"([{}])", "o:( o:[ o:{ o:} o:] o:) "},
    {"a;;b", "w:a ;:; ;:; w:b "},
    {"a\xC2\xA0"
     "b\xE3\x80\x80"
     "c\xEF\xBB\xBF"
     "d\xE2\x80\x8B"
     "e",
     "w:a w:b w:c w:d w:e "},
    {"gr\xC3\xBC\xC3\x9F"
     "e",
     "w:gr\xC3\xBC\xC3\x9F"
     "e "},
    {"a\x0B"
     "b",
     "w:a o:\x0B w:b "},
    {"'abc", "error@1"},
    {"a 'abc''", "error@3"},
    {"E'abc\\", "error@1"},
    {"a \"abc", "error@3"},
    {"$a$ $b$", "error@1"},
    {"1 /* /* */", "error@3"},
    {"'a'\n'b", "error@1"},
};

TEST(scan, cuts_tokens_as_the_engine_does)
{
    /* Goal: every lexical rule. Method: the table above. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(token_cases); i++) {
        CHECK_STR(token_cases[i].tokens, tokens(arena, slice_of(token_cases[i].text)));
    }
}

TEST(scan, tokens_cover_the_text_in_order)
{
    /* Goal: no byte is lost or seen twice. Method: random texts of the bytes that matter. */
    static const char *const pieces[] = {"'",  "\"",       "$$", "$a$", "--", "/*", "*/", "\n",
                                         "\r", ";",        "E",  "e'",  "\\", "1",  ".",  "e",
                                         "_",  "\xC2\xA0", "+",  "-",   "=",  ":",  "?",  "(",
                                         " ",  "a",        "$",  "U&",  "x'", "b"};
    uint64_t seed = test_seed();
    for (int round = 0; round < 20000; round++) {
        struct buf text CLEANUP(buf_fini) = {0};
        size_t count = test_random_below(&seed, 14);
        for (size_t i = 0; i < count; i++) {
            buf_append_str(&text, pieces[test_random_below(&seed, ARRAY_COUNT(pieces))]);
        }
        struct scanner scanner;
        struct token token;
        size_t end = 0;
        scanner_init(&scanner, buf_slice(&text));
        while (scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind != TOKEN_END) {
            CHECK(token.text.len > 0);
            CHECK(token.offset >= end);
            CHECK(token.text.ptr == buf_slice(&text).ptr + token.offset);
            end = token.offset + token.text.len;
            CHECK(end == scanner.at);
        }
    }
}

TEST(scan, folds_words_and_keeps_quoted_names)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct scanner scanner;
    struct token token;
    struct slice name;
    scanner_init(&scanner, SLICE("SeLeCt \"select\" \"a\"\"b\""));
    CHECK_OK(scanner_next(&scanner, &token, NULL));
    CHECK(token_is(&token, "select"));
    CHECK(!token_is(&token, "selec"));
    CHECK_OK(scanner_next(&scanner, &token, NULL));
    CHECK(!token_is(&token, "select"));
    CHECK(token_identifier(&token, arena, &name));
    CHECK_SLICE("select", name);
    CHECK_OK(scanner_next(&scanner, &token, NULL));
    CHECK(token_identifier(&token, arena, &name));
    CHECK_SLICE("a\"b", name);
}

static enum err decode(struct arena *arena, const char *text, struct slice *ret_value,
                       struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, slice_of(text));
    CHECK_OK(scanner_next(&scanner, &token, NULL));
    CHECK(token.kind == TOKEN_STRING && token.text.len == strlen(text));
    return token_string(&token, arena, ret_value, info);
}

TEST(scan, decodes_strings)
{
    static const struct {
        const char *text;
        const char *value;
    } cases[] = {
        {"''", ""},
        {"'a''b'", "a'b"},
        {"'\\n'", "\\n"},
        {"E'\\b\\f\\n\\r\\t\\q\\\\'", "\b\f\n\r\tq\\"},
        {"E'''\\''", "''"},
        {"e'\\x41\\x4a\\101\\7'", "AJA\7"},
        {"E'\\u00fc\\U0001F600'", "\xC3\xBC\xF0\x9F\x98\x80"},
        {"E'\\xc3\\xbc'", "\xC3\xBC"},
        {"E'\\x'", "x"},
        {"$$a'b$$", "a'b"},
        {"$tag$ $$ $tag$", " $$ "},
        {"$$$$", ""},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct slice value;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK_OK(decode(arena, cases[i].text, &value, &info));
        CHECK_SLICE(cases[i].value, value);
    }
    static const char *const bad[] = {"E'\\0'",   "E'\\xff'",       "E'\\ud83d'",
                                      "E'\\u12'", "E'\\U00110000'", "E'\\377'"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        enum err err = decode(arena, bad[i], &value, &info);
        CHECK(err == ERR_INVALID || err == ERR_SYNTAX);
    }
    static const char *const foreign[] = {"x'00'", "B'1'", "U&'a'", "'a'\n'b'", "E'\\''\n'b'"};
    for (size_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        CHECK_ERR(ERR_UNSUPPORTED, decode(arena, foreign[i], &value, &info));
    }
}

TEST(scan, refuses_text_that_no_statement_may_have)
{
    struct errinfo info;
    CHECK_OK(sql_check_text(SLICE("select '\xC3\xBC'"), 100, &info));
    CHECK_OK(sql_check_text(SLICE(""), 0, &info));
    CHECK_ERR(ERR_INVALID, sql_check_text(SLICE("a\0b"), 100, &info));
    CHECK_STR("22021", info.sqlstate);
    CHECK(info.position == 2);
    CHECK_ERR(ERR_INVALID, sql_check_text(SLICE("ab\xFF"), 100, &info));
    CHECK_STR("22021", info.sqlstate);
    CHECK(info.position == 3);
    CHECK_ERR(ERR_LIMIT, sql_check_text(SLICE("abc"), 2, &info));
    CHECK_STR("54000", info.sqlstate);
    CHECK(info.hint[0] != '\0');
}

/* All statements of `script` joined by "|", then "!" if the last one is incomplete. */
static const char *split(struct arena *arena, const char *script)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct slice rest = slice_of(script);
    for (;;) {
        struct slice statement;
        bool is_complete = true;
        if (sql_split(&rest, &statement, &is_complete, NULL) != ERR_OK) {
            CHECK(!is_complete);
            buf_append_str(&out, "error");
            break;
        }
        if (statement.len == 0) {
            CHECK(is_complete);
            break;
        }
        buf_append_slice(&out, statement);
        buf_append_char(&out, is_complete ? '|' : '!');
    }
    return arena_strdup(arena, buf_cstr(&out));
}

TEST(scan, splits_scripts)
{
    static const struct {
        const char *script;
        const char *statements;
    } cases[] = {
        {"", ""},
        {" ;; -- x\n;/* ; */", ""},
        {"select 1", "select 1!"},
        {"select 1;", "select 1|"},
        {" select 1 ; select 2; ", "select 1|select 2|"},
        {"-- a\nselect 1 -- b\n; -- c\n", "select 1|"},
        {"select ';' ; select \";\" ; select $$;$$ ; select E'\\';';",
         "select ';'|select \";\"|select $$;$$|select E'\\';'|"},
        {"select /* ; */ 1; select 2", "select /* ; */ 1|select 2!"},
        {"a --;\r;b;", "a|b|"},
        {"select (1;2)", "select (1|2)!"},
        {"select 1; select 'x", "select 1|error"},
        {"select 1; /* x", "select 1|error"},
        {"select $a$ ; $$", "error"},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK_STR(cases[i].statements, split(arena, cases[i].script));
    }
}

TEST(scan, takes_linear_time)
{
    /* Goal: no text is slow. Method: the worst of each rule; a quadratic scanner would run
     * for hours and fail by the test's time limit. */
    static const char *const units[] = {"'", "''",       "$",     "$a",   "/*", "*/",
                                        "-", "--\r",     "'a'\n", "\"\"", "(",  "1.",
                                        "e", "\xC2\xA0", "E'\\",  ";",    "+"};
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        while (text.len < (512u << 10)) {
            buf_append_str(&text, units[i]);
        }
        struct scanner scanner;
        struct token token;
        scanner_init(&scanner, buf_slice(&text));
        while (scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind != TOKEN_END) {
        }
    }
}

TEST(scan, quotes_what_must_be_quoted)
{
    static const struct {
        struct sql_name name;
        const char *printed;
    } cases[] = {
        {{{0}, {0}, SLICE("orders")}, "orders"},
        {{SLICE("moat"), SLICE("main"), SLICE("orders")}, "moat.main.orders"},
        {{{0}, SLICE("Sales"), SLICE("a b")}, "\"Sales\".\"a b\""},
        {{{0}, {0}, SLICE("select")}, "\"select\""},
        {{{0}, {0}, SLICE("like")}, "\"like\""},
        {{{0}, {0}, SLICE("a\"b")}, "\"a\"\"b\""},
        {{{0}, {0}, SLICE("1a")}, "\"1a\""},
        {{{0}, {0}, SLICE("a1_")}, "a1_"},
        {{{0}, {0}, SLICE("")}, "\"\""},
        {{{0}, {0}, SLICE("gr\xC3\xBC")}, "\"gr\xC3\xBC\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        sql_print_name(&out, &cases[i].name);
        CHECK_STR(cases[i].printed, buf_cstr(&out));
    }
    struct buf out CLEANUP(buf_fini) = {0};
    sql_quote_string(&out, SLICE("it's"));
    sql_quote_name(&out, SLICE(""));
    CHECK_STR("'it''s'\"\"", buf_cstr(&out));
}

TEST(scan, keywords_are_sorted)
{
    for (size_t i = 1; i < sql_keyword_count; i++) {
        CHECK(strcmp(sql_keywords[i - 1], sql_keywords[i]) < 0);
    }
}

TEST(scan, decoding_survives_every_failed_allocation)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct slice value = SLICE("untouched");
        struct errinfo info;
        enum err err = arena == NULL ? ERR_NOMEM : decode(arena, "E'a\\nb'", &value, &info);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        CHECK_SLICE(err == ERR_OK ? "a\nb" : "untouched", value);
    }
}
