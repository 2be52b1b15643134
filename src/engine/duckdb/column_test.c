/* Columns of results as Arrow: each cell against what C works out for itself. */
#include "arrow/value.h"
#include "engine/duckdb/fixture.h"

#define ROWS 30000

/* What stands in row `i` of each column; NULL: nothing. The text lives until the next call. */
static const char *expected(size_t column, int64_t i)
{
    static char text[5000];
    static const char *const fixed[] = {"", "a", "twelve bytes", "thirteen byte"};
    switch (column) {
    case 0:
        (void)snprintf(text, sizeof(text), "%lld", (long long)i);
        return text;
    case 1: /* the first NULL late, behind whole chunks without one */
        (void)snprintf(text, sizeof(text), "%lld", (long long)-i);
        return i > 9000 && i % 7 == 0 ? NULL : text;
    case 2:
        return i % 5 == 0 ? NULL : fixed[i % 4];
    case 3: /* long ones in one stretch: chunks that are given out in parts */
        memset(text, 'x', sizeof(text));
        text[i / 4096 == 3 ? 3000 + i % 100 : i % 20] = '\0';
        return text;
    case 4:
        (void)snprintf(text, sizeof(text), "%s%lld.%02lld", i % 2 == 0 && i > 0 ? "-" : "",
                       (long long)(i / 100), (long long)(i % 100));
        return i % 11 == 10 ? NULL : text;
    case 5: /* written by the engine's appender, between two that are not */
        return i % 3 == 0 ? NULL : i % 2 == 0 ? "true" : "false";
    case 6:
        (void)snprintf(text, sizeof(text), "[%lld, NULL]", (long long)i);
        return i % 13 == 0 ? NULL : text;
    default:
        (void)snprintf(text, sizeof(text), "%lld.50", (long long)i);
        return text;
    }
}

static const char statement[] =
    "SELECT i, CASE WHEN i <= 9000 OR i % 7 > 0 THEN (-i)::INTEGER END, "
    "CASE WHEN i % 5 > 0 THEN ['', 'a', 'twelve bytes', 'thirteen byte'][i % 4 + 1] END, "
    "repeat('x', CASE WHEN i // 4096 = 3 THEN 3000 + i % 100 ELSE i % 20 END), "
    "CASE WHEN i % 11 < 10 THEN (CASE WHEN i % 2 = 0 THEN -i ELSE i END / 100)::DECIMAL(9, 2) END, "
    "CASE WHEN i % 3 > 0 THEN i % 2 = 0 END, CASE WHEN i % 13 > 0 THEN [i, NULL] END, "
    "(i + 0.5)::DECIMAL(38, 2) FROM range(30000) t(i) ORDER BY i";

static void check_cell(const struct ArrowSchema *schema, const struct ArrowArray *column,
                       size_t index, int64_t row, int64_t i)
{
    struct buf text CLEANUP(buf_fini) = {0};
    const char *wanted = expected(index, i);
    bool is_valid = arrow_is_valid(schema, column, row);
    if (is_valid) {
        CHECK_OK(arrow_print(schema, column, row, &text, NULL));
    }
    if (is_valid != (wanted != NULL) || (is_valid && strcmp(buf_cstr(&text), wanted) != 0)) {
        fail_msg("column %zu, row %lld: \"%.60s\", not \"%.60s\"", index, (long long)i,
                 is_valid ? buf_cstr(&text) : "(null)", wanted == NULL ? "(null)" : wanted);
    }
}

TEST(engine_column, cells_are_what_they_were)
{
    // Goal: values, texts and NULLs at any place of chunks and batches, in columns that are written
    // by hand and by the engine. Method: all cells, printed; columns released one by one.
    struct fixture fixture = fixture_open(NULL);
    struct engine_query *query = NULL;
    struct ArrowSchema schema;
    struct errinfo info;
    int64_t seen = 0, batches = 0;
    CHECK_OK(engine_query_open(fixture.session, WHO, slice_of(statement), NULL, 0, &query, &info));
    CHECK_OK(engine_query_schema(query, &schema, &info));
    for (;;) {
        struct ArrowArray batch;
        CHECK_OK(engine_query_next(query, &batch, &info));
        if (batch.release == NULL) {
            break;
        }
        CHECK(batch.n_children == 8 && batch.length > 0);
        for (int64_t c = 0; c < batch.n_children; c++) {
            CHECK(batch.children[c]->length == batch.length);
            for (int64_t row = 0; row < batch.length; row++) {
                check_cell(schema.children[c], batch.children[c], (size_t)c, row, seen + row);
            }
        }
        /* A column that is moved out outlives its batch. */
        struct ArrowArray moved = *batch.children[2];
        batch.children[2]->release = NULL;
        batch.release(&batch);
        check_cell(schema.children[2], &moved, 2, 0, seen);
        seen += moved.length;
        batches++;
        moved.release(&moved);
    }
    CHECK(seen == ROWS && batches > 5);
    schema.release(&schema);
    engine_query_close(query);
    fixture_close(&fixture);
}
