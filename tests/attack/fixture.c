#include "fixture.h"

#include "arrow/value.h"
#include "base/io.h"
#include "config/config.h"
#include "doors.h"
#include "engine/host/testing.h"

static const char *const secrets[] = {"HIDDEN", "RAW", "98765"};

bool fixture_leaks(const char *text)
{
    for (size_t i = 0; i < ARRAY_COUNT(secrets); i++) {
        if (strstr(text, secrets[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void write_people(const char *path)
{
    struct buf csv CLEANUP(buf_fini) = {0};
    buf_append_str(&csv, "id,name,dept,salary,ssn\n");
    for (int i = 0; i < FIXTURE_ROWS; i++) {
        if (i % 3 == 0) {
            buf_printf(&csv, "%d,person %d,sales,%d,RAW-%04d-11\n", i, i % 50, 9876500 + i % 90, i);
        } else {
            /* Names that break a pattern, a cast and a division. */
            buf_printf(&csv, "%d,HIDDEN[( %d,board,%d,RAW-%04d-22\n", i, i % 50, 9876500 + i % 90,
                       i);
        }
    }
    ASSERT(!buf_failed(&csv));
    CHECK_OK(io_write_file_atomic(path, buf_slice(&csv), 0600, NULL));
}

void outcome_add_names(struct outcome *outcome, const struct ArrowSchema *schema)
{
    for (int64_t c = 0; c < schema->n_children; c++) {
        buf_printf(&outcome->text, "%s|", schema->children[c]->name);
    }
    buf_append_char(&outcome->text, '\n');
}

void outcome_add_batch(struct outcome *outcome, const struct ArrowSchema *schema,
                       const struct ArrowArray *batch)
{
    struct buf *out = &outcome->text;
    outcome->rows += (uint64_t)batch->length;
    for (int64_t row = 0; row < batch->length; row++) {
        for (int64_t c = 0; c < batch->n_children; c++) {
            if (arrow_is_valid(schema->children[c], batch->children[c], row)) {
                if (arrow_print(schema->children[c], batch->children[c], row, out, NULL) !=
                    ERR_OK) {
                    buf_printf(out, "(%s)", schema->children[c]->format);
                }
            }
            buf_append_char(out, '|');
        }
        buf_append_char(out, '\n');
    }
}

static enum err drain(struct query *query, struct outcome *outcome, struct errinfo *info)
{
    struct ArrowSchema schema;
    enum err err = query_schema(query, &schema, info);
    if (err != ERR_OK) {
        return err;
    }
    outcome_add_names(outcome, &schema);
    for (;;) {
        struct ArrowArray batch;
        err = query_next(query, &batch, info);
        if (err != ERR_OK || batch.release == NULL) {
            break;
        }
        outcome_add_batch(outcome, &schema, &batch);
        batch.release(&batch);
    }
    schema.release(&schema);
    return err;
}

void outcome_end(struct outcome *outcome, const struct errinfo *info, const char *notice)
{
    bool is_ok = outcome->err == ERR_OK;
    if (is_ok) {
        buf_append_str(&outcome->text, notice);
    } else {
        buf_printf(&outcome->text, "%s\n%s\n%s\n", info->message, info->detail, info->hint);
    }
    memcpy(outcome->sqlstate, is_ok ? "00000" : info->sqlstate, sizeof(outcome->sqlstate));
}

/* Who comes in by a door instead of the session that a test knows them by. */
static struct {
    const struct session *session;
    struct visitor *visitor;
} guests[2];

struct outcome fixture_run(struct session *session, struct slice sql)
{
    for (size_t i = 0; i < ARRAY_COUNT(guests); i++) {
        if (guests[i].visitor != NULL && guests[i].session == session) {
            return visitor_run(guests[i].visitor, sql);
        }
    }
    struct outcome outcome = {0};
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    outcome.err = query_open(session, sql, NULL, 0, &query, &info);
    if (outcome.err == ERR_OK && query_has_rows(query)) {
        outcome.err = drain(query, &outcome, &info);
    }
    outcome_end(&outcome, &info, outcome.err == ERR_OK ? query_notice(query) : "");
    return outcome;
}

void outcome_fini(struct outcome *outcome)
{
    buf_fini(&outcome->text);
}

bool fixture_fails(struct session *session, struct slice sql)
{
    struct outcome outcome = fixture_run(session, sql);
    outcome_fini(&outcome);
    return outcome.err != ERR_OK;
}

void fixture_must(struct session *session, const char *sql)
{
    struct outcome outcome = fixture_run(session, slice_of(sql));
    if (outcome.err != ERR_OK) {
        fail_msg("%s\n%.500s", buf_cstr(&outcome.text), sql);
    }
    outcome_fini(&outcome);
}

void fixture_attack(struct fixture *fixture, const char *sql, const char *sqlstate, int64_t rows)
{
    struct outcome outcome = fixture_run(fixture->eve, slice_of(sql));
    if (fixture_leaks(buf_cstr(&outcome.text))) {
        fail_msg("LEAK: %s\n%.2000s", sql, buf_cstr(&outcome.text));
    }
    bool is_any = sqlstate != NULL && strcmp(sqlstate, "*") == 0;
    const char *wanted = sqlstate == NULL ? "00000" : sqlstate;
    if (doors_translate(fixture->doors)) {
        bool must_fail = strcmp(wanted, "42501") == 0;
        if (outcome.err == ERR_OK ? must_fail : strcmp(outcome.sqlstate, "XX000") == 0) {
            fail_msg("%s\n%s: %.1000s", sql, outcome.sqlstate, buf_cstr(&outcome.text));
        }
        outcome_fini(&outcome);
        return;
    }
    /* A door says in its own way that somebody is not who they were, and closes. */
    bool is_out =
        fixture->doors != NULL && strcmp(wanted, "28000") == 0 &&
        (strncmp(outcome.sqlstate, "28", 2) == 0 || strcmp(outcome.sqlstate, "08006") == 0);
    if (!is_any && !is_out && strcmp(outcome.sqlstate, wanted) != 0) {
        fail_msg("%s\nexpected %s, got %s: %.1000s", sql, wanted, outcome.sqlstate,
                 buf_cstr(&outcome.text));
    }
    if (rows >= 0 && outcome.rows != (uint64_t)rows) {
        fail_msg("%s\nexpected %lld rows, got %llu:\n%.1000s", sql, (long long)rows,
                 (unsigned long long)outcome.rows, buf_cstr(&outcome.text));
    }
    outcome_fini(&outcome);
}

void fixture_attack_all(struct fixture *fixture, const struct attack *attacks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fixture_attack(fixture, attacks[i].sql, attacks[i].sqlstate, attacks[i].rows);
    }
}

static struct session *login(struct fixture *fixture, const char *name)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session;
    CHECK_OK(warehouse_login_local(fixture->warehouse, slice_of(name), &who, NULL));
    CHECK_OK(session_open(fixture->warehouse, who, &session, NULL));
    return session;
}

static void make_tables(struct fixture *fixture)
{
    char sql[1024];
    char csv[256];
    (void)snprintf(csv, sizeof(csv), "%s/people.csv", fixture->folder);
    write_people(csv);
    (void)snprintf(sql, sizeof(sql), "COPY (SELECT * FROM '%s') TO '%s/people.parquet'", csv,
                   fixture->folder);
    fixture_must(fixture->owner, sql);
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE people LOCATION '%s/people.parquet'",
                   fixture->folder);
    fixture_must(fixture->owner, sql);
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE people_csv LOCATION '%s'", csv);
    fixture_must(fixture->owner, sql);
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE vault LOCATION '%s/people.parquet'",
                   fixture->folder);
    fixture_must(fixture->owner, sql);
}

void fixture_open(struct fixture *fixture)
{
    static const char *const setup[] = {
        "CREATE ROLE staff",
        "CREATE USER eve",
        "CREATE USER bob",
        "GRANT ROLE staff TO eve",
        "GRANT ROLE staff TO bob",
        "ALTER USER eve SET ATTRIBUTE dept = 'sales'",
        "ALTER USER bob SET ATTRIBUTE dept = 'board'",
        "GRANT SELECT (id, name, dept, ssn) ON people TO ROLE staff ROWS WHERE dept = "
        "claim('dept') "
        "MASKED WITH (ssn = redact(ssn, 2))",
        ("GRANT SELECT (id, name, dept, ssn) ON people_csv TO ROLE staff ROWS WHERE dept = "
         "claim('dept') MASKED WITH (ssn = redact(ssn, 2))"),
    };
    *fixture = (struct fixture){.folder = test_folder()};
    char set[256];
    (void)snprintf(set, sizeof(set), "warehouse.path=%s/wh", fixture->folder);
    const char *sets[] = {set, "login.insecure_loopback=true"};
    struct config_sources sources = {.sets = sets, .set_count = ARRAY_COUNT(sets)};
    CHECK_OK(config_load(&sources, &fixture->config, NULL));
    struct warehouse_options options = {
        .config = fixture->config, .create_if_missing = true, .engine_host = test_host_program()};
    struct errinfo info;
    if (warehouse_open(&options, &fixture->warehouse, &info) != ERR_OK) {
        fail_msg("%s", info.message);
    }
    fixture->owner = login(fixture, "");
    make_tables(fixture);
    for (size_t i = 0; i < ARRAY_COUNT(setup); i++) {
        fixture_must(fixture->owner, setup[i]);
    }
    fixture->doors = doors_open(fixture->warehouse, fixture->config);
    fixture_enter(fixture);
}

void fixture_enter(struct fixture *fixture)
{
    fixture->eve = login(fixture, "eve");
    fixture->bob = login(fixture, "bob");
    if (fixture->doors != NULL) {
        fixture_must(fixture->owner, "ALTER USER eve PASSWORD '" DOORS_PASSWORD "'");
        fixture_must(fixture->owner, "ALTER USER bob PASSWORD '" DOORS_PASSWORD "'");
        guests[0].session = fixture->eve;
        guests[0].visitor = visitor_open(fixture->doors, "eve");
        guests[1].session = fixture->bob;
        guests[1].visitor = visitor_open(fixture->doors, "bob");
    }
}

void fixture_leave(struct fixture *fixture)
{
    for (size_t i = 0; i < ARRAY_COUNT(guests); i++) {
        visitor_close(guests[i].visitor);
        guests[i].visitor = NULL;
    }
    session_close(fixture->bob);
    session_close(fixture->eve);
}

void fixture_end(struct fixture *fixture)
{
    fixture_leave(fixture);
    doors_close(fixture->doors);
    session_close(fixture->owner);
    warehouse_close(fixture->warehouse);
}

void fixture_close(struct fixture *fixture)
{
    fixture_end(fixture);
    config_free(fixture->config);
}
