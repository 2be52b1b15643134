/* The scanner's boundaries are the engine's. A statement that Moat cuts in one place and the engine
 * in another could hide one statement in another's string. */
#include "base/json.h"
#include "base/test.h"
#include "engine/engine.h"
#include "engine/host/testing.h"
#include "sql/relation.h"
#include "sql/scan.h"

/* Statements that the engine finds in `text`, or -1 if it refuses it. */
static int engine_count(struct engine_session *session, struct slice text)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf json CLEANUP(buf_fini) = {0};
    struct json *root;
    if (engine_parse(session, text, &json, NULL) != ERR_OK ||
        json_parse(arena, buf_slice(&json), NULL, &root, NULL) != ERR_OK) {
        return -1;
    }
    const struct json *statements = json_get(root, "statements");
    return statements == NULL ? -1 : (int)statements->count;
}

static void compare(struct engine_session *session, struct slice text, size_t *ret_compared,
                    size_t *ret_refused)
{
    int whole = engine_count(session, text);
    if (whole < 0) {
        return;
    }
    struct slice rest = text;
    int pieces = 0;
    for (;;) {
        struct slice statement;
        if (sql_split(&rest, &statement, NULL, NULL) != ERR_OK) {
            fail_msg("the engine reads what the splitter does not: %.*s", SLICE_ARGS(text));
        }
        if (statement.len == 0) {
            break;
        }
        pieces++;
        int count = engine_count(session, statement);
        *ret_refused += count < 0;
        if (count == 0 || count > 1) {
            fail_msg("no single statement: %.*s in %.*s", SLICE_ARGS(statement), SLICE_ARGS(text));
        }
    }
    if (pieces != whole) {
        fail_msg("%d pieces, %d statements: %.*s", pieces, whole, SLICE_ARGS(text));
    }
    *ret_compared += whole > 0;
}

static struct engine_hosts *open_session(struct engine **ret_engine,
                                         struct engine_session **ret_session)
{
    struct engine_options options = {.memory_bytes_max = 256u << 20, .thread_count = 1};
    struct errinfo info;
    struct engine_hosts *hosts;
    CHECK_OK(test_engine_open(&options, ret_engine, &hosts, &info));
    CHECK_OK(engine_session_open(*ret_engine, test_who(), ret_session, &info));
    return hosts;
}

TEST(agreement, splitter_and_engine_cut_at_the_same_places)
{
    /* Goal: same boundaries. Method: scripts of the constructs that hide a semicolon, some with one
     * byte gone or changed; whatever the engine still accepts is compared. */
    static const char *const values[] = {
        "1",           "1.5e-3",     "1_0",         ".5",           "'a;b'",
        "'a'';'",      "'\\'",       "E'\\';'",     "e'a'\n'\\';'", "'a'\r--;'\n';'",
        "$$;$$",       "$a$;$$;$a$", "$a$ $b$;$a$", "x'00'",        "\"a;b\"",
        "\"a\"\";\"",  "a$b$$",      "-+1",         "1=-1",         "2//1",
        "1/*;/*;*/*/", "1--;\n",     "1--;\r",      "'x'::text",    "[1,2][1]",
        "{'a':';'}",   "1e'\\';'",   "1e\"a;\"",
    };
    static const char *const gaps[] = {
        " ",     "\n",       "\r",           "\t",           "\f",        "/*;*/",   "--;\n",
        "--;\r", "\xC2\xA0", "\xE2\x80\x8B", "\xE3\x80\x80", " /* ' */ ", " -- $$\n"};
    struct engine *engine = NULL;
    struct engine_session *session = NULL;
    uint64_t seed = test_seed();
    size_t compared = 0;
    size_t refused = 0;
    struct engine_hosts *hosts = open_session(&engine, &session);
    for (int round = 0; round < 3000; round++) {
        struct buf text CLEANUP(buf_fini) = {0};
        size_t count = 1 + test_random_below(&seed, 3);
        for (size_t i = 0; i < count; i++) {
            buf_append_str(&text, "select");
            buf_append_str(&text, gaps[test_random_below(&seed, ARRAY_COUNT(gaps))]);
            for (size_t n = test_random_below(&seed, 3); n > 0; n--) {
                buf_append_str(&text, values[test_random_below(&seed, ARRAY_COUNT(values))]);
                buf_append_str(&text, ",");
            }
            buf_append_str(&text, values[test_random_below(&seed, ARRAY_COUNT(values))]);
            buf_append_str(&text, gaps[test_random_below(&seed, ARRAY_COUNT(gaps))]);
            buf_append_str(&text, i + 1 < count || round % 2 == 0 ? ";" : "");
        }
        if (round % 3 != 0) {
            size_t at = test_random_below(&seed, text.len);
            static const char marks[] = "'\"$\\;-*/\n";
            text.ptr[at] = marks[test_random_below(&seed, sizeof(marks) - 1)];
        }
        if (sql_check_text(buf_slice(&text), 1 << 20, NULL) == ERR_OK) {
            compare(session, buf_slice(&text), &compared, &refused);
        }
    }
    engine_session_close(session);
    engine_close(engine);
    engine_hosts_close(hosts);
    CHECK(compared > 500);
    /* At the very end of a text the engine takes a Unicode space for a name and "$" for nothing:
     * such a piece is refused, which is the safe side. */
    CHECK(refused * 50 < compared);
}

TEST(agreement, printed_names_are_names_to_the_engine)
{
    struct engine *engine = NULL;
    struct engine_session *session = NULL;
    struct engine_hosts *hosts = open_session(&engine, &session);
    for (size_t i = 0; i < sql_keyword_count; i++) {
        char lower[32] = "";
        for (size_t n = 0; sql_keywords[i][n] != '\0' && n + 1 < sizeof(lower); n++) {
            char c = sql_keywords[i][n];
            lower[n] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        struct sql_name name = {.name = slice_of(lower)};
        struct buf text CLEANUP(buf_fini) = {0};
        buf_append_str(&text, "SELECT 1 FROM ");
        sql_print_name(&text, &name);
        if (engine_count(session, buf_slice(&text)) != 1) {
            fail_msg("%s", buf_cstr(&text));
        }
    }
    engine_session_close(session);
    engine_close(engine);
    engine_hosts_close(hosts);
}
