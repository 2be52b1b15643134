/* Statements whose rows are kept with their plan, held against the engine's own answer each
 * time. */
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

#include "arrow/value.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/host/testing.h"
#include "query/query_int.h"

struct house {
    struct arena *arena;
    struct config *config;
    struct warehouse *warehouse;
    struct session *session;
    const char *folder;
};

static void house_open(struct house *house)
{
    struct errinfo info;
    *house = (struct house){.arena = arena_new(NULL, "house", 0), .folder = test_folder()};
    const char *sets[] = {arena_printf(house->arena, "warehouse.path=%s/warehouse", house->folder),
                          "engine.threads=1"};
    struct config_sources sources = {.sets = sets, .set_count = ARRAY_COUNT(sets)};
    CHECK_OK(config_load(&sources, &house->config, &info));
    struct warehouse_options options = {
        .config = house->config, .create_if_missing = true, .engine_host = test_host_program()};
    CHECK_OK(warehouse_open(&options, &house->warehouse, &info));
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    CHECK_OK(warehouse_login_local(house->warehouse, SLICE(""), &who, &info));
    CHECK_OK(session_open(house->warehouse, who, &house->session, &info));
}

static void house_close(struct house *house)
{
    session_close(house->session);
    warehouse_close(house->warehouse);
    config_free(house->config);
    arena_free(house->arena);
}

static void free_text(char **text)
{
    mem_free(*text);
}

/* Columns with their types, then rows; or the error's SQLSTATE. The text is gone behind it. */
static void ask(struct house *house, const char *kept_text, struct buf *out, bool *ret_is_answered)
{
    char *text CLEANUP(free_text) = mem_strdup(kept_text);
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct ArrowSchema schema = {0};
    struct errinfo info;
    buf_reset(out);
    enum err err = query_open(house->session, slice_of(text), NULL, 0, &query, &info);
    if (err != ERR_OK) {
        buf_append_str(out, info.sqlstate);
        return;
    }
    *ret_is_answered = query->is_answered;
    CHECK(query_has_rows(query));
    for (size_t i = 0; i < query_column_count(query); i++) {
        buf_append_slice(out, query_column(query, i).type);
        buf_append_char(out, ' ');
    }
    CHECK_OK(query_schema(query, &schema, &info));
    struct ArrowArray batch = {0};
    while ((err = query_next(query, &batch, &info)) == ERR_OK && batch.release != NULL) {
        for (int64_t row = 0; row < batch.length; row++) {
            for (int64_t c = 0; c < schema.n_children; c++) {
                buf_append_char(out, '|');
                CHECK_OK(arrow_print(schema.children[c], batch.children[c], row, out, &info));
            }
        }
        batch.release(&batch);
    }
    if (err != ERR_OK) {
        buf_reset(out);
        buf_append_str(out, info.sqlstate);
    }
    schema.release(&schema);
}

TEST(constant, rows_are_those_of_the_engine)
{
    // Goal: what is kept is what the engine says. Method: each expression by itself, three times,
    // against the same over a row that is read, which is never kept.
    static const struct {
        const char *expression;
        bool is_kept;
    } cases[] = {
        {"1", true},
        {"1 + 1", true},
        {"-7 // 2, 7 % 3", true},
        {"1.50::DECIMAL(9,2) * 2", true},
        {"'a' || 'b'", true},
        {"NULL", true},
        {"'12'::INTEGER", true},
        {"1 < 2", true},
        {"true", true},
        {"'x'::INTEGER", false}, /* an error is not kept */
        {"1e400", false},
        {"1::HUGEINT * 170141183460469231731687303715884105727", true},
        {"170141183460469231731687303715884105727::HUGEINT + 1", false},
        {"'today'::DATE IS NULL", false},
        {"current_date IS NULL", false},
        {"random() < 0", false},
        {"[1, 2]", false},
        {"(SELECT 1)", false},
        {"count(*)", false},
        {"abs(-1)", false},
        {"DATE '2020-01-01'", false},
    };
    struct house house;
    struct buf given CLEANUP(buf_fini) = {0};
    struct buf wanted CLEANUP(buf_fini) = {0};
    house_open(&house);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool is_answered = false;
        const char *kept = arena_printf(house.arena, "SELECT %s", cases[i].expression);
        const char *read = arena_printf(house.arena, "%s FROM range(1)", kept);
        ask(&house, read, &wanted, &is_answered);
        CHECK(!is_answered);
        for (int round = 0; round < 3; round++) {
            is_answered = false;
            ask(&house, kept, &given, &is_answered);
            CHECK_STR(buf_cstr(&wanted), buf_cstr(&given));
            CHECK(is_answered == (cases[i].is_kept && round > 0));
        }
    }
    house_close(&house);
}

static size_t count_lines(struct house *house, const char *kind)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "trail", 0);
    const char *folder = io_join(arena, house->folder, "warehouse/audit");
    size_t count = 0;
    struct slice *paths;
    size_t path_count; /* and what need not be written yet is */
    CHECK_OK(audit_files(house->warehouse->audit, house->session->who, arena, &paths, &path_count,
                         NULL));
    DIR *stream = opendir(folder);
    CHECK(stream != NULL);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        struct slice rest;
        if (!slice_starts_with(slice_of(entry->d_name), SLICE("audit-"))) {
            continue;
        }
        CHECK_OK(io_read_file(arena, io_join(arena, folder, entry->d_name), (size_t)1 << 30, &rest,
                              NULL));
        for (size_t at; (at = slice_find(rest, slice_of(kind))) != SIZE_MAX; count++) {
            rest = (struct slice){rest.ptr + at + 1, rest.len - at - 1};
        }
    }
    CHECK(closedir(stream) == 0);
    return count;
}

TEST(constant, each_answer_is_on_the_trail_once)
{
    struct house house;
    struct errinfo info;
    struct query *query;
    struct buf rows CLEANUP(buf_fini) = {0};
    bool is_answered;
    house_open(&house);
    ask(&house, "SELECT 41 + 1", &rows, &is_answered);
    size_t starts = count_lines(&house, "\"kind\":\"query_start\"");
    size_t ends = count_lines(&house, "\"kind\":\"query_end\"");
    for (size_t i = 1; i <= 5; i++) {
        CHECK_OK(query_open(house.session, SLICE("SELECT 41 + 1"), NULL, 0, &query, &info));
        CHECK(query->is_answered);
        assert_int_equal(count_lines(&house, "\"kind\":\"query_end\""), ends + i);
        query_close(query);
    }
    assert_int_equal(count_lines(&house, "\"kind\":\"query_start\""), starts);
    assert_int_equal(count_lines(&house, "\"kind\":\"query_end\""), ends + 5);
    house_close(&house);
}

TEST(constant, no_trail_no_answer)
{
    // Method: files may grow no further, as on a full disk.
    struct house house;
    struct errinfo info;
    struct query *query;
    struct buf rows CLEANUP(buf_fini) = {0};
    struct rlimit before;
    bool is_answered;
    house_open(&house);
    ask(&house, "SELECT 42", &rows, &is_answered);
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
    CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
    enum err err = ERR_OK;
    unsigned answers = 0;
    for (int64_t until_us = clock_mono_us() + 5000000; err == ERR_OK;) {
        err = query_open(house.session, SLICE("SELECT 42"), NULL, 0, &query, &info);
        if (err == ERR_OK) {
            query_close(query);
            answers++;
        }
        CHECK(clock_mono_us() < until_us);
    }
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_ERR(ERR_IO, err); /* once it is known that nothing can be written */
    ask(&house, "SELECT 42", &rows, &is_answered);
    CHECK_STR("INTEGER |42", buf_cstr(&rows));
    CHECK(is_answered);
    assert_int_equal(count_lines(&house, "\"kind\":\"query_end\""), answers + 2);
    house_close(&house);
}

TEST(constant, limits_and_people_hold)
{
    // Goal: the session's own limits are looked at, and a constant made of who asks is theirs only.
    struct house house;
    struct buf rows CLEANUP(buf_fini) = {0};
    bool is_answered;
    house_open(&house);
    ask(&house, "SELECT 'twelve bytes'", &rows, &is_answered);
    ask(&house, "SELECT 'twelve bytes'", &rows, &is_answered);
    CHECK(is_answered);
    struct query *query;
    CHECK_OK(query_open(house.session, SLICE("SET query.bytes_max = '1B'"), NULL, 0, &query, NULL));
    query_close(query);
    ask(&house, "SELECT 'twelve bytes'", &rows, &is_answered);
    CHECK_STR("54000", buf_cstr(&rows));
    house_close(&house);
}
