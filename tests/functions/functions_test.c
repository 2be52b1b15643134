/* The allow list (sql/functions.def) is complete over the engine's own list, and does not claim
 * more of a function than the engine's flags do: an upgrade of the engine cannot add a hole in
 * silence. */
#include "arrow/value.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/test.h"
#include "engine/engine.h"
#include "engine/host/testing.h"
#include "sql/functions.h"

/* The engine only checks that somebody asks. */
#define WHO test_who()

struct listing {
    struct engine_hosts *hosts;
    struct engine *engine;
    struct engine_session *session;
    struct arena *arena;
    struct buf lines;
    struct json *functions[8192];
    size_t count;
};

static void listing_open(struct listing *l)
{
    struct engine_options options = {.thread_count = 1, .mask_key = SLICE("0123456789abcdef")};
    struct errinfo info;
    *l = (struct listing){.arena = arena_new(NULL, "functions", 0)};
    CHECK_OK(test_engine_open(&options, &l->engine, &l->hosts, &info));
    CHECK_OK(engine_session_open(l->engine, WHO, &l->session, &info));
    CHECK_OK(engine_functions(l->session, &l->lines, &info));
    struct slice rest = buf_slice(&l->lines);
    while (rest.len > 0) {
        const char *newline = memchr(rest.ptr, '\n', rest.len);
        CHECK(newline != NULL && l->count < ARRAY_COUNT(l->functions));
        struct slice line = {rest.ptr, (size_t)(newline - rest.ptr)};
        CHECK_OK(json_parse(l->arena, line, NULL, &l->functions[l->count++], &info));
        rest = (struct slice){newline + 1, rest.len - line.len - 1};
    }
    CHECK(l->count > 1500); /* overloads of DuckDB 1.5 */
}

static void listing_close(struct listing *l)
{
    engine_session_close(l->session);
    engine_close(l->engine);
    engine_hosts_close(l->hosts);
    buf_fini(&l->lines);
    arena_free(l->arena);
}

static bool has_type(const struct json *function, const char *type)
{
    return slice_equal(json_get_text(function, "type"), slice_of(type));
}

static bool can_throw(const struct json *function)
{
    const struct json *flag = json_get(function, "can_throw");
    CHECK(flag != NULL);
    return flag->type != JSON_BOOL || flag->boolean;
}

TEST(functions, list_knows_every_function_of_the_engine)
{
    // Goal: no function of the engine is unknown to the list. Method: look each up.
    struct listing l;
    listing_open(&l);
    CHECK(sql_function_find(SLICE("")) == NULL && sql_function_find(SLICE("no_such")) == NULL);
    unsigned unknown = 0;
    for (size_t i = 0; i < l.count; i++) {
        struct slice name = json_get_text(l.functions[i], "name");
        if (name.len > 0 && sql_function_find(name) == NULL) { /* nameless: cannot be called */
            print_error("not in functions.def: %.*s\n", SLICE_ARGS(name));
            unknown++;
        }
    }
    assert_int_equal(unknown, 0);
    listing_close(&l);
}

TEST(functions, leak_class_is_never_better_than_the_engines_flags)
{
    // Goal: "cannot fail" is never claimed of what the engine says can, and "the engine guards it"
    // only where the engine has the flag that makes it guard. Method: every scalar overload against
    // its entry.
    struct listing l;
    listing_open(&l);
    unsigned wrong = 0;
    const struct sql_function *entry;
    for (size_t e = 0; (entry = sql_function_at(e)) != NULL; e++) {
        size_t overloads = 0;
        size_t throwing = 0;
        for (size_t i = 0; i < l.count; i++) {
            if (has_type(l.functions[i], "scalar") &&
                slice_equal_fold(json_get_text(l.functions[i], "name"), slice_of(entry->name))) {
                overloads++;
                throwing += can_throw(l.functions[i]);
            }
        }
        if (overloads == 0 || entry->class != FUNCTION_SCALAR) {
            continue;
        }
        bool is_wrong = (entry->leak == LEAK_NONE && throwing > 0) ||
                        (entry->leak == LEAK_GUARDED && throwing == 0);
        if (is_wrong) {
            print_error("%s is %s, but %zu of %zu overloads can throw\n", entry->name,
                        entry->leak == LEAK_NONE ? "LEAK_NONE" : "LEAK_GUARDED", throwing,
                        overloads);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    listing_close(&l);
}

TEST(functions, tables_and_pragmas_are_refused_or_make_rows_from_arguments)
{
    // Goal: whatever touches files, network, settings or catalogs is refused. Method: every table
    // function and pragma of the engine is refused but for a closed list, written down here a
    // second time.
    static const char *const open[] = {"range",         "generate_series",  "unnest",
                                       "repeat_row",    "repeat",           "read_csv",
                                       "read_csv_auto", "read_json",        "read_json_auto",
                                       "read_ndjson",   "read_ndjson_auto", "read_parquet",
                                       "parquet_scan",  "summary"};
    struct listing l;
    listing_open(&l);
    unsigned wrong = 0;
    for (size_t i = 0; i < l.count; i++) {
        struct slice name = json_get_text(l.functions[i], "name");
        const struct sql_function *entry = sql_function_find(name);
        bool is_world = has_type(l.functions[i], "table") || has_type(l.functions[i], "pragma") ||
                        has_type(l.functions[i], "table_macro");
        if (!is_world || entry == NULL || entry->class == FUNCTION_REFUSED) {
            continue;
        }
        bool is_known = false;
        for (size_t o = 0; o < ARRAY_COUNT(open); o++) {
            is_known = is_known || slice_equal(name, slice_of(open[o]));
        }
        /* A name may be a scalar of the list and a table function of the engine. */
        bool is_rows = entry->class == FUNCTION_TABLE || entry->class == FUNCTION_READER;
        if (is_rows && !is_known) {
            print_error("allowed as a table function: %.*s\n", SLICE_ARGS(name));
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    listing_close(&l);
}

/* What a macro may call although a statement may not. An aggregate sees visible rows only, and
 * the text of this error is a constant. */
static bool is_excepted(struct slice macro, struct slice called)
{
    return slice_equal(macro, SLICE("json_group_object")) && slice_equal(called, SLICE("error"));
}

/* Functions that a syntax tree calls, each checked. */
static unsigned check_calls(const struct json *node, struct slice macro)
{
    unsigned wrong = 0;
    struct slice called =
        node->type == JSON_OBJECT ? json_get_text(node, "function_name") : (struct slice){"", 0};
    if (called.len > 0 && !is_excepted(macro, called)) {
        const struct sql_function *entry = sql_function_find(called);
        if (entry == NULL || entry->class == FUNCTION_REFUSED || entry->class == FUNCTION_READER) {
            print_error("macro %.*s calls %.*s\n", SLICE_ARGS(macro), SLICE_ARGS(called));
            wrong++;
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        wrong += check_calls(child, macro);
    }
    return wrong;
}

static struct slice cell(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                         int64_t column, int64_t row, struct arena *arena)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice kept;
    CHECK_OK(arrow_print(schema->children[column], batch->children[column], batch->offset + row,
                         &text, NULL));
    CHECK(arena_slice(arena, buf_slice(&text), &kept));
    return kept;
}

static unsigned check_macro(struct listing *l, struct slice name, struct slice definition)
{
    const struct sql_function *entry = sql_function_find(name);
    bool is_replaced = entry != NULL && entry->class == FUNCTION_MACRO; /* by macros.def */
    if (entry == NULL || entry->class == FUNCTION_REFUSED || is_replaced) {
        return 0;
    }
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf json CLEANUP(buf_fini) = {0};
    struct json *root;
    struct errinfo info;
    bool is_query = slice_starts_with_fold(definition, SLICE("SELECT"));
    buf_append_str(&sql, is_query ? "" : "SELECT ");
    buf_append_slice(&sql, definition);
    CHECK_OK(engine_parse(l->session, buf_slice(&sql), &json, &info));
    CHECK_OK(json_parse(l->arena, buf_slice(&json), NULL, &root, &info));
    return check_calls(root, name);
}

TEST(functions, allowed_macros_call_only_what_is_allowed)
{
    // Goal: a macro of the engine is no way around the list. Method: parse the body of each that is
    // allowed.
    struct listing l;
    struct engine_query *query;
    struct ArrowSchema schema;
    struct errinfo info;
    listing_open(&l);
    CHECK_OK(engine_query_open(l.session, WHO,
                               SLICE("SELECT DISTINCT function_name, macro_definition FROM "
                                     "duckdb_functions() WHERE function_type = 'macro'"),
                               NULL, 0, &query, &info));
    CHECK_OK(engine_query_schema(query, &schema, &info));
    struct slice bodies[512][2];
    size_t count = 0;
    for (;;) {
        struct ArrowArray batch = {0};
        CHECK_OK(engine_query_next(query, &batch, &info));
        if (batch.release == NULL) {
            break;
        }
        for (int64_t row = 0; row < batch.length && count < ARRAY_COUNT(bodies); row++) {
            bodies[count][0] = cell(&schema, &batch, 0, row, l.arena);
            bodies[count++][1] = cell(&schema, &batch, 1, row, l.arena);
        }
        batch.release(&batch);
    }
    schema.release(&schema);
    engine_query_close(query);
    assert_in_range(count, 50, ARRAY_COUNT(bodies) - 1); /* table macros: the test above */
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += check_macro(&l, bodies[i][0], bodies[i][1]);
    }
    assert_int_equal(wrong, 0);
    listing_close(&l);
}
