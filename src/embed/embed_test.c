/* Types both ways, and the C API over a warehouse of its own. */
#include "base/test.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sweep.h"
#include "embed/embed_int.h"

/* ---- types ---- */

static void check_type(const char *type, const char *format, int64_t children)
{
    struct ArrowSchema schema;
    CHECK_OK(embed__schema_of_type(slice_of(type), SLICE("x"), &schema, NULL));
    CHECK_STR(format, schema.format);
    CHECK_STR("x", schema.name);
    CHECK(schema.n_children == children);
    schema.release(&schema);
}

TEST(embed, types_have_their_form_in_arrow)
{
    // Goal: a type's name, as the engine prints it, gives the format that its results have.
    check_type("INTEGER", "i", 0);
    check_type("DECIMAL(38,10)", "d:38,10", 0);
    check_type("TIMESTAMP WITH TIME ZONE", "tsu:UTC", 0);
    check_type("TIMESTAMPTZ_NS", "tsn:UTC", 0);
    check_type("\"NULL\"", "n", 0);
    check_type("", "n", 0);
    check_type("VARCHAR[]", "+l", 1);
    check_type("INTEGER[3]", "+w:3", 1);
    check_type("DECIMAL(9,2)[][4]", "+w:4", 1);
    check_type("MAP(VARCHAR, INTEGER[])", "+m", 1);
    check_type("ENUM('a,)', 'it''s')", "C", 0);
    check_type("STRUCT(a INTEGER, \"b, \"\"c)\" STRUCT(d DATE)[], e ENUM('x', 'y'))", "+s", 3);
}

TEST(embed, names_of_fields_lose_their_quotes)
{
    struct ArrowSchema schema;
    CHECK_OK(embed__schema_of_type(SLICE("STRUCT(a INTEGER, \"b, \"\"c)\" MAP(DATE, BLOB))"),
                                   SLICE(""), &schema, NULL));
    CHECK_STR("a", schema.children[0]->name);
    CHECK_STR("b, \"c)", schema.children[1]->name);
    CHECK_STR("z", schema.children[1]->children[0]->children[1]->format);
    CHECK(schema.children[1]->children[0]->children[0]->flags == 0); /* keys are never NULL */
    schema.release(&schema);
}

TEST(embed, what_is_no_type_is_refused)
{
    static const char *const wrong[] = {"NOTHING",        "STRUCT(a",   "STRUCT(\"a INTEGER)",
                                        "MAP(INTEGER)",   "INTEGER)",   "STRUCT(a INTEGER",
                                        "INTEGER[] BLOB", "MAP INTEGER"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct errinfo info;
        struct ArrowSchema schema;
        CHECK_ERR(ERR_UNSUPPORTED,
                  embed__schema_of_type(slice_of(wrong[i]), SLICE("x"), &schema, &info));
    }
}

TEST(embed, a_type_that_is_nested_too_deep_is_refused)
{
    struct buf deep CLEANUP(buf_fini) = {0};
    struct errinfo info;
    struct ArrowSchema schema;
    for (int i = 0; i < 100000; i++) {
        buf_append_str(&deep, "STRUCT(a ");
    }
    CHECK_ERR(ERR_LIMIT, embed__schema_of_type(buf_slice(&deep), SLICE("x"), &schema, &info));
}

TEST(embed, types_go_to_arrow_and_back)
{
    static const char *const types[] = {"DECIMAL(9,2)[]",
                                        "STRUCT(\"a\" INTEGER, \"b c\" VARCHAR[])",
                                        "MAP(VARCHAR, STRUCT(\"x\" TIMESTAMP_NS))",
                                        "BLOB",
                                        "TIMESTAMP WITH TIME ZONE",
                                        "UBIGINT[3]"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct ArrowSchema schema;
        struct ArrowSchema copy;
        struct buf out CLEANUP(buf_fini) = {0};
        CHECK_OK(embed__schema_of_type(slice_of(types[i]), SLICE("x"), &schema, NULL));
        CHECK_OK(embed__schema_copy(&schema, &copy, NULL));
        CHECK(embed__schema_equal(&schema, &copy));
        schema.release(&schema);
        CHECK_OK(embed__print_type(&copy, &out, NULL));
        CHECK_STR(types[i], buf_cstr(&out));
        copy.release(&copy);
    }
}

TEST(embed, types_survive_a_lack_of_memory)
{
    SWEEP_ALLOC(fault)
    {
        struct ArrowSchema schema;
        struct ArrowSchema copy;
        struct errinfo info;
        struct slice type = SLICE("STRUCT(a MAP(INTEGER, VARCHAR[]), b ENUM('x'))[]");
        enum err err = embed__schema_of_type(type, SLICE("x"), &schema, &info);
        if (err == ERR_OK) {
            err = embed__schema_copy(&schema, &copy, &info);
            schema.release(&schema);
        }
        if (err == ERR_OK) {
            copy.release(&copy);
        }
        CHECK(err == (fault.fired ? ERR_NOMEM : ERR_OK));
    }
}

/* ---- the C API ---- */

struct opened {
    struct moat_database *database;
    struct moat_session *session;
    char path[512];
};

static void open_one(struct opened *opened)
{
    struct moat_error error;
    const char *settings[] = {"warehouse.create=true", "engine.threads=2", NULL};
    (void)snprintf(opened->path, sizeof(opened->path), "%s/w", test_folder());
    CHECK(moat_open(opened->path, settings, &opened->database, &error) == MOAT_OK);
    CHECK(moat_sign_in_local(opened->database, NULL, &opened->session, &error) == MOAT_OK);
}

static void close_one(struct opened *opened)
{
    moat_session_close(opened->session);
    moat_close(opened->database);
}

static int64_t count_rows(struct ArrowArrayStream *rows)
{
    int64_t count = 0;
    struct ArrowArray batch = {0};
    while (rows->get_next(rows, &batch) == 0 && batch.release != NULL) {
        count += batch.length;
        batch.release(&batch);
    }
    return count;
}

TEST(embed, a_result_outlives_all_that_it_came_from)
{
    // Goal: closing in any order is safe; what is closed starts nothing more.
    struct opened opened;
    struct moat_statement *statement;
    struct ArrowArrayStream rows;
    struct moat_error error;
    open_one(&opened);
    CHECK(moat_prepare(opened.session, "SELECT * FROM range($1)", &statement, &error) == MOAT_OK);
    CHECK(moat_bind_int64(statement, 1, 500000, &error) == MOAT_OK);
    CHECK(moat_execute(statement, &rows, NULL, &error) == MOAT_OK);
    close_one(&opened);
    CHECK(moat_execute(statement, NULL, NULL, &error) == MOAT_INVALID);
    CHECK_STR("08003", error.sqlstate);
    moat_statement_close(statement);
    CHECK(count_rows(&rows) == 500000);
    rows.release(&rows);
}

TEST(embed, parameters_stay_until_they_are_cleared)
{
    struct opened opened;
    struct moat_statement *statement;
    struct moat_error error;
    int64_t affected;
    open_one(&opened);
    CHECK(moat_query(opened.session, "CREATE TEMP TABLE t (i INTEGER, s VARCHAR, x BLOB)", NULL,
                     NULL, &error) == MOAT_OK);
    CHECK(moat_prepare(opened.session, "INSERT INTO t VALUES ($1, $2, $3)", &statement, &error) ==
          MOAT_OK);
    CHECK(moat_bind_int64(statement, 1, 7, &error) == MOAT_OK);
    CHECK(moat_bind_bytes(statement, 3, "\0\xff", 2, &error) == MOAT_OK);
    CHECK(moat_execute(statement, NULL, &affected, &error) == MOAT_INVALID);
    CHECK_STR("08P01", error.sqlstate);
    CHECK(moat_bind_null(statement, 2, &error) == MOAT_OK);
    CHECK(moat_execute(statement, NULL, &affected, &error) == MOAT_OK && affected == 1);
    CHECK(moat_bind_text(statement, 2, "text", SIZE_MAX, &error) == MOAT_OK);
    CHECK(moat_execute(statement, NULL, &affected, &error) == MOAT_OK && affected == 1);
    CHECK_STR("INSERT 0 1", moat_statement_tag(statement));
    moat_clear_bindings(statement);
    CHECK(moat_execute(statement, NULL, &affected, &error) == MOAT_INVALID);
    CHECK(moat_bind_bool(statement, 0, true, &error) == MOAT_INVALID);
    moat_statement_close(statement);
    struct ArrowArrayStream rows;
    CHECK(moat_query(opened.session,
                     "SELECT 1 FROM t WHERE i = 7 AND x = '\\x00\\xFF'::BLOB AND "
                     "coalesce(s, 'text') = 'text'",
                     &rows, &affected, &error) == MOAT_OK);
    CHECK(affected == -1 && count_rows(&rows) == 2);
    rows.release(&rows);
    close_one(&opened);
}

struct canceller {
    struct moat_session *session;
    atomic_bool is_done;
};

static void *cancel_all(void *context)
{
    struct canceller *canceller = context;
    while (!atomic_load(&canceller->is_done)) {
        (void)usleep(20000);
        moat_cancel(canceller->session);
    }
    return NULL;
}

TEST(embed, a_cancel_from_another_thread_is_heard)
{
    struct opened opened;
    struct moat_error error;
    pthread_t thread;
    open_one(&opened);
    struct canceller canceller = {.session = opened.session};
    CHECK(pthread_create(&thread, NULL, cancel_all, &canceller) == 0);
    CHECK(moat_query(opened.session, "SELECT count(*) FROM range(1000000000000) a, range(10000) b",
                     NULL, NULL, &error) == MOAT_CANCELLED);
    CHECK_STR("57014", error.sqlstate);
    atomic_store(&canceller.is_done, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(moat_query(opened.session, "SELECT 1", NULL, NULL, &error) == MOAT_OK);
    close_one(&opened);
}

TEST(embed, rows_of_one_result_are_parameters_of_another)
{
    // Goal: a stream of a session can be bound to a statement of the same session, without a knot.
    struct opened opened;
    struct moat_statement *statement;
    struct ArrowArrayStream from, rows;
    struct moat_error error;
    open_one(&opened);
    CHECK(moat_query(opened.session, "SELECT i FROM range(1, 4) r(i)", &from, NULL, &error) ==
          MOAT_OK);
    CHECK(moat_prepare(opened.session, "SELECT * FROM range($1::BIGINT)", &statement, &error) ==
          MOAT_OK);
    CHECK(moat_bind_stream(statement, &from, &error) == MOAT_OK && from.release == NULL);
    CHECK(moat_execute(statement, &rows, NULL, &error) == MOAT_OK);
    CHECK(count_rows(&rows) == 1 + 2 + 3);
    rows.release(&rows);
    moat_statement_close(statement);
    close_one(&opened);
}

TEST(embed, rows_are_copied_into_a_temporary_table_or_none_are)
{
    struct opened opened;
    struct ArrowArrayStream from;
    struct moat_error error;
    int64_t count;
    open_one(&opened);
    CHECK(moat_query(opened.session, "CREATE TEMP TABLE t (i BIGINT, s VARCHAR)", NULL, NULL,
                     &error) == MOAT_OK);
    CHECK(moat_query(opened.session, "SELECT i, 'x' || i FROM range(300000) r(i)", &from, NULL,
                     &error) == MOAT_OK);
    CHECK(moat_copy_in(opened.session, "COPY t FROM STDIN", &from, &count, &error) == MOAT_OK);
    CHECK(count == 300000);
    CHECK(moat_query(opened.session, "SELECT 1", &from, NULL, &error) == MOAT_OK);
    CHECK(moat_copy_in(opened.session, "COPY t FROM STDIN", &from, &count, &error) == MOAT_INVALID);
    CHECK(from.release == NULL);
    CHECK(moat_query(opened.session, "SELECT 'x', 'y'", &from, NULL, &error) == MOAT_OK);
    CHECK(moat_copy_in(opened.session, "COPY t FROM STDIN", &from, &count, &error) != MOAT_OK);
    CHECK(moat_query(opened.session, "SELECT 1", &from, NULL, &error) == MOAT_OK);
    CHECK(moat_copy_in(opened.session, "SELECT 1", &from, &count, &error) == MOAT_INVALID);
    CHECK(moat_query(opened.session, "COPY t FROM STDIN", NULL, NULL, &error) == MOAT_INVALID);
    CHECK(moat_query(opened.session, "SELECT * FROM t", &from, NULL, &error) == MOAT_OK);
    CHECK(count_rows(&from) == 300000);
    from.release(&from);
    close_one(&opened);
}

TEST(embed, a_warehouse_is_open_once)
{
    struct opened opened;
    struct moat_database *again;
    struct moat_session *other;
    struct moat_error error;
    char path[600];
    open_one(&opened);
    (void)snprintf(path, sizeof(path), "%s/../w", opened.path);
    CHECK(moat_open(path, NULL, &again, &error) == MOAT_BUSY);
    CHECK_STR("55006", error.sqlstate);
    const char *settings[] = {"engine.threads=2", NULL};
    CHECK(moat_open(path, settings, &again, &error) == MOAT_OK);
    CHECK(again == opened.database);
    moat_close(again);
    CHECK(moat_session_again(opened.session, &other, &error) == MOAT_OK);
    CHECK_STR(moat_session_user(opened.session), moat_session_user(other));
    moat_session_close(other);
    CHECK(moat_open("/nowhere/at/all", NULL, &again, &error) == MOAT_NOT_FOUND);
    CHECK(moat_open("", NULL, &again, &error) == MOAT_INVALID);
    CHECK(moat_sign_in_password(opened.database, "nobody", "x", &other, &error) == MOAT_DENIED);
    CHECK(moat_sign_in_token(opened.database, "moat_x", NULL, &other, &error) == MOAT_DENIED);
    CHECK(moat_sign_in_local(opened.database, "nobody", &other, &error) == MOAT_NOT_FOUND);
    close_one(&opened);
}

static enum moat_status ask(struct moat_session *session, struct moat_error *error)
{
    struct moat_statement *statement;
    struct ArrowArrayStream rows;
    enum moat_status status = moat_prepare(session, "SELECT $1 + $2", &statement, error);
    if (status != MOAT_OK) {
        return status;
    }
    status = moat_bind_int64(statement, 2, 1, error);
    status = status != MOAT_OK ? status : moat_bind_double(statement, 1, 0.5, error);
    status = status != MOAT_OK ? status : moat_execute(statement, &rows, NULL, error);
    if (status == MOAT_OK) {
        int64_t count = count_rows(&rows);
        status = moat_stream_error(&rows, error) ? error->status : MOAT_OK;
        CHECK(count == (status == MOAT_OK ? 1 : 0));
        rows.release(&rows);
    }
    moat_statement_close(statement);
    return status;
}

TEST(embed, statements_survive_a_lack_of_memory)
{
    // Goal: whatever cannot be allocated is an error, loses nothing, and the next statement runs.
    struct opened opened;
    struct moat_error error;
    open_one(&opened);
    SWEEP_ALLOC(fault)
    {
        enum moat_status status = ask(opened.session, &error);
        CHECK(fault.fired || status == MOAT_OK);
    }
    CHECK(ask(opened.session, &error) == MOAT_OK);
    close_one(&opened);
}
