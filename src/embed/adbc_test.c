/* The driver by its table of functions, as a manager calls it. */
#include "base/test.h"

#include "embed/adbc_int.h"

struct connected {
    struct AdbcDriver driver;
    struct AdbcDatabase database;
    struct AdbcConnection connection;
    struct AdbcError error;
};

static void forget(struct AdbcError *error)
{
    if (error->release != NULL) {
        error->release(error);
    }
    *error = (struct AdbcError){.vendor_code = ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA};
}

static void connect_one(struct connected *to)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "file://%s/w", test_folder());
    *to = (struct connected){.error = {.vendor_code = ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA}};
    struct AdbcDriver *driver = &to->driver;
    CHECK_OK(AdbcDriverInit(ADBC_VERSION_1_1_0, driver, &to->error));
    CHECK_OK(driver->DatabaseNew(&to->database, &to->error));
    CHECK_OK(driver->DatabaseSetOption(&to->database, ADBC_OPTION_URI, path, &to->error));
    CHECK_OK(driver->DatabaseSetOption(&to->database, "adbc.moat.create", "true", &to->error));
    CHECK_OK(
        driver->DatabaseSetOption(&to->database, "adbc.moat.set.engine.threads", "2", &to->error));
    CHECK_OK(driver->DatabaseInit(&to->database, &to->error));
    CHECK_OK(driver->ConnectionNew(&to->connection, &to->error));
    CHECK_OK(driver->ConnectionInit(&to->connection, &to->database, &to->error));
}

static void disconnect(struct connected *from)
{
    CHECK_OK(from->driver.ConnectionRelease(&from->connection, &from->error));
    CHECK_OK(from->driver.DatabaseRelease(&from->database, &from->error));
    CHECK_OK(from->driver.release(&from->driver, &from->error));
    forget(&from->error);
}

TEST(adbc, an_older_manager_gets_no_more_than_it_has_room_for)
{
    // Goal: of 1.0.0 nothing behind its last function is written. Method: guard bytes.
    struct AdbcDriver driver;
    const unsigned char *bytes = (const unsigned char *)&driver;
    memset(&driver, 0x5a, sizeof(driver));
    CHECK_OK(AdbcDriverInit(ADBC_VERSION_1_0_0, &driver, NULL));
    CHECK(driver.StatementExecuteQuery != NULL && driver.StatementSetSubstraitPlan != NULL);
    for (size_t i = ADBC_DRIVER_1_0_0_SIZE; i < sizeof(driver); i++) {
        CHECK(bytes[i] == 0x5a);
    }
    CHECK(AdbcMoatInit(42, &driver, NULL) == ADBC_STATUS_NOT_IMPLEMENTED);
}

TEST(adbc, every_function_of_1_1_is_there)
{
    struct AdbcDriver driver;
    void *function;
    CHECK_OK(AdbcMoatInit(ADBC_VERSION_1_1_0, &driver, NULL));
    for (size_t at = offsetof(struct AdbcDriver, release); at < sizeof(driver);
         at += sizeof(function)) {
        memcpy(&function, (const char *)&driver + at, sizeof(function));
        CHECK(function != NULL);
    }
}

TEST(adbc, parts_of_an_answer_can_be_moved_away)
{
    // Goal: a child that a consumer has taken is good after the rest was released.
    struct connected to;
    struct ArrowArrayStream stream;
    struct ArrowArray rows;
    connect_one(&to);
    CHECK_OK(to.driver.ConnectionGetInfo(&to.connection, NULL, 0, &stream, &to.error));
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length == 7);
    struct ArrowArray codes = *rows.children[0];
    rows.children[0]->release = NULL;
    rows.release(&rows);
    stream.release(&stream);
    CHECK(((const uint32_t *)codes.buffers[1])[codes.length - 1] == ADBC_INFO_DRIVER_ADBC_VERSION);
    codes.release(&codes);
    disconnect(&to);
}

TEST(adbc, errors_have_their_parts)
{
    struct connected to;
    struct AdbcStatement statement;
    struct ArrowArrayStream rows;
    connect_one(&to);
    CHECK_OK(to.driver.StatementNew(&to.connection, &statement, &to.error));
    CHECK(to.driver.StatementExecuteQuery(&statement, &rows, NULL, &to.error) ==
          ADBC_STATUS_INVALID_STATE);
    CHECK_OK(to.driver.StatementSetSqlQuery(&statement, "SELECT nope FROM range(1)", &to.error));
    CHECK(to.driver.StatementExecuteQuery(&statement, &rows, NULL, &to.error) != ADBC_STATUS_OK);
    CHECK(memcmp(to.error.sqlstate, "42703", 5) == 0);
    bool has_position = false;
    for (int i = 0; i < to.driver.ErrorGetDetailCount(&to.error); i++) {
        struct AdbcErrorDetail detail = to.driver.ErrorGetDetail(&to.error, i);
        has_position = has_position || (strcmp(detail.key, "moat.position") == 0 &&
                                        memcmp(detail.value, "8", detail.value_length) == 0);
    }
    CHECK(has_position);
    CHECK(to.driver.ErrorGetDetail(&to.error, 99).key == NULL);
    /* A caller of 1.0 has no room for them. */
    struct AdbcError old = {.vendor_code = 0};
    CHECK(to.driver.StatementExecuteQuery(&statement, &rows, NULL, &old) != ADBC_STATUS_OK);
    CHECK(old.private_data == NULL && old.message != NULL);
    old.release(&old);
    CHECK(to.driver.StatementExecuteQuery(&statement, &rows, NULL, NULL) != ADBC_STATUS_OK);
    CHECK_OK(to.driver.StatementRelease(&statement, &to.error));
    disconnect(&to);
}

TEST(adbc, errors_of_a_stream_have_a_sqlstate)
{
    struct connected to;
    struct AdbcStatement statement;
    struct ArrowArrayStream rows;
    struct ArrowArray batch = {0};
    AdbcStatusCode code = ADBC_STATUS_OK;
    connect_one(&to);
    CHECK_OK(to.driver.StatementNew(&to.connection, &statement, &to.error));
    CHECK_OK(to.driver.StatementSetSqlQuery(
        &statement,
        "SELECT CAST(CASE WHEN i < 600000 THEN '1' ELSE 'x' END AS INTEGER) FROM "
        "range(601000) r(i)",
        &to.error));
    CHECK_OK(to.driver.StatementExecuteQuery(&statement, &rows, NULL, &to.error));
    CHECK(to.driver.ErrorFromArrayStream(&rows, &code) == NULL);
    int failed = 0;
    while ((failed = rows.get_next(&rows, &batch)) == 0 && batch.release != NULL) {
        batch.release(&batch);
    }
    CHECK(failed != 0);
    const struct AdbcError *error = to.driver.ErrorFromArrayStream(&rows, &code);
    CHECK(error != NULL && code != ADBC_STATUS_OK && memcmp(error->sqlstate, "22P02", 5) == 0);
    CHECK(to.driver.ErrorFromArrayStream(&rows, &code) == error);
    rows.release(&rows);
    CHECK_OK(to.driver.StatementRelease(&statement, &to.error));
    disconnect(&to);
}

TEST(adbc, rows_that_nobody_used_are_let_go_of)
{
    // Goal: bound rows are released by the next ones, by the end, and by a table that fails.
    struct connected to;
    struct AdbcStatement from, statement;
    connect_one(&to);
    CHECK_OK(to.driver.StatementNew(&to.connection, &from, &to.error));
    CHECK_OK(to.driver.StatementNew(&to.connection, &statement, &to.error));
    CHECK_OK(to.driver.StatementSetSqlQuery(&from, "SELECT 1 AS i, 'x' AS s", &to.error));
    for (int i = 0; i < 3; i++) {
        struct ArrowArrayStream rows;
        int64_t count = 0;
        CHECK_OK(to.driver.StatementExecuteQuery(&from, &rows, NULL, &to.error));
        CHECK_OK(to.driver.StatementBindStream(&statement, &rows, &to.error));
        CHECK(rows.release == NULL);
        if (i > 0) {
            CHECK_OK(to.driver.StatementSetOption(&statement, ADBC_INGEST_OPTION_TARGET_TABLE, "t",
                                                  &to.error));
            CHECK_OK(to.driver.StatementSetOption(&statement, ADBC_INGEST_OPTION_TEMPORARY, "true",
                                                  &to.error));
            AdbcStatusCode code =
                to.driver.StatementExecuteQuery(&statement, NULL, &count, &to.error);
            CHECK(code == (i == 1 ? ADBC_STATUS_OK : ADBC_STATUS_ALREADY_EXISTS));
            CHECK(count == (i == 1 ? 1 : 0));
        }
    }
    CHECK_OK(to.driver.StatementRelease(&statement, &to.error));
    CHECK_OK(to.driver.StatementRelease(&from, &to.error));
    disconnect(&to);
}

TEST(adbc, secrets_are_not_told)
{
    struct AdbcDriver driver;
    struct AdbcDatabase database;
    char value[64];
    size_t length = sizeof(value);
    CHECK_OK(AdbcDriverInit(ADBC_VERSION_1_1_0, &driver, NULL));
    CHECK_OK(driver.DatabaseNew(&database, NULL));
    CHECK_OK(driver.DatabaseSetOption(&database, ADBC_OPTION_PASSWORD, "secret", NULL));
    CHECK_OK(driver.DatabaseSetOption(&database, ADBC_OPTION_USERNAME, "amelia", NULL));
    CHECK(driver.DatabaseGetOption(&database, ADBC_OPTION_PASSWORD, value, &length, NULL) ==
          ADBC_STATUS_NOT_FOUND);
    length = 3;
    memset(value, 'x', sizeof(value));
    CHECK_OK(driver.DatabaseGetOption(&database, ADBC_OPTION_USERNAME, value, &length, NULL));
    CHECK(length == 7 && value[0] == 'x'); /* too long for that room */
    CHECK_OK(driver.DatabaseGetOption(&database, ADBC_OPTION_USERNAME, value, &length, NULL));
    CHECK_STR("amelia", value);
    CHECK_OK(driver.DatabaseRelease(&database, NULL));
}
