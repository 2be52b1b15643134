/* Rows that the program hands in: what is read of them, how they end, who may have them. */
#include <pthread.h>
#include <unistd.h>

#include "engine/duckdb/fixture.h"

/* Batches of a number and a text of `text_len` bytes, numbered on from row to row. */
struct source {
    int64_t batch_count;
    int64_t batch_rows;
    size_t text_len;
    int64_t fail_at; /* this batch is an error; -1: none */
    _Atomic int64_t given;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool waits; /* under lock: before the next batch */
    bool is_waiting;
};

struct batch_memory {
    struct ArrowArray columns[2];
    struct ArrowArray *links[2];
    const void *none[1];
    const void *buffers[2][3];
    int64_t *numbers;
    int32_t *ends;
    char *texts;
};

static void release_child(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_batch(struct ArrowArray *array)
{
    struct batch_memory *memory = array->private_data;
    mem_free(memory->numbers);
    mem_free(memory->ends);
    mem_free(memory->texts);
    mem_free(memory);
    array->release = NULL;
}

static void make_batch(const struct source *source, int64_t first, struct ArrowArray *ret_batch)
{
    size_t rows = (size_t)source->batch_rows;
    struct batch_memory *memory = mem_calloc(1, sizeof(*memory));
    memory->numbers = mem_calloc(rows, sizeof(int64_t));
    memory->ends = mem_calloc(rows + 1, sizeof(int32_t));
    memory->texts = mem_calloc(rows + 1, source->text_len + 1);
    memset(memory->texts, 'x', rows * source->text_len);
    for (size_t i = 0; i < rows; i++) {
        memory->numbers[i] = first + (int64_t)i;
        memory->ends[i + 1] = (int32_t)((i + 1) * source->text_len);
    }
    memory->buffers[0][1] = memory->numbers;
    memory->buffers[1][1] = memory->ends;
    memory->buffers[1][2] = memory->texts;
    for (size_t i = 0; i < 2; i++) {
        memory->columns[i] = (struct ArrowArray){.length = source->batch_rows,
                                                 .n_buffers = 2 + (int64_t)i,
                                                 .buffers = memory->buffers[i],
                                                 .release = release_child};
        memory->links[i] = &memory->columns[i];
    }
    *ret_batch = (struct ArrowArray){.length = source->batch_rows,
                                     .n_buffers = 1,
                                     .n_children = 2,
                                     .buffers = memory->none,
                                     .children = memory->links,
                                     .release = release_batch,
                                     .private_data = memory};
}

static enum err next_batch(void *context, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct source *source = context;
    pthread_mutex_lock(&source->lock);
    source->is_waiting = source->waits;
    pthread_cond_broadcast(&source->changed);
    while (source->waits) {
        pthread_cond_wait(&source->changed, &source->lock);
    }
    pthread_mutex_unlock(&source->lock);
    int64_t at = source->given;
    if (at == source->fail_at) {
        return errinfo_set(info, ERR_INVALID, "22P04", "batch %d is bad", (int)at);
    }
    *ret_batch = (struct ArrowArray){0};
    if (at < source->batch_count) {
        make_batch(source, at * source->batch_rows, ret_batch);
        source->given++;
    }
    return ERR_OK;
}

static void keep_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static struct ArrowSchema number = {.format = "l", .name = "n", .flags = ARROW_FLAG_NULLABLE};
static struct ArrowSchema text = {.format = "u", .name = "t", .flags = ARROW_FLAG_NULLABLE};
static struct ArrowSchema *fields[] = {&number, &text};
static struct ArrowSchema schema = {
    .format = "+s", .name = "", .n_children = 2, .children = fields};

static void source_init(struct source *source, struct engine_rows *rows)
{
    pthread_mutex_init(&source->lock, NULL);
    pthread_cond_init(&source->changed, NULL);
    number.release = text.release = schema.release = keep_schema;
    *rows = (struct engine_rows){&schema, next_batch, source};
}

static struct engine_grant *rows_grant(struct fixture *fixture, const struct engine_rows *rows)
{
    struct engine_grant *grant;
    struct engine_grant_spec spec = {.rows = rows};
    CHECK(engine_grant_open(fixture->engine, WHO, &spec, &grant, NULL) == ERR_OK);
    return grant;
}

static enum err run(struct fixture *fixture, const struct engine_grant *grant, const char *select,
                    struct buf *ret_text, struct errinfo *info)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(&sql, "SELECT CAST(%s AS VARCHAR) FROM moat_rows('", select);
    engine_grant_uri_rows(grant, &sql);
    buf_append_str(&sql, "')");
    return fixture_run(fixture, buf_cstr(&sql), ret_text, info);
}

static void expect(struct fixture *fixture, struct source source, const char *select,
                   const char *expected)
{
    struct engine_rows rows;
    struct errinfo info;
    struct buf got CLEANUP(buf_fini) = {0};
    source_init(&source, &rows);
    struct engine_grant *grant = rows_grant(fixture, &rows);
    if (run(fixture, grant, select, &got, &info) != ERR_OK) {
        fail_msg("%s: %s", select, info.message);
    }
    CHECK_STR(expected, buf_cstr(&got));
    engine_grant_close(grant);
}

TEST(engine_rows, all_batches_are_read_and_no_more)
{
    struct fixture fixture = fixture_open(NULL);
    expect(&fixture, (struct source){3, 5000, 10, .fail_at = -1},
           "count(*) || ' ' || sum(n) || ' ' || sum(length(t))", "15000 112492500 150000");
    expect(&fixture, (struct source){0, 1, 1, .fail_at = -1}, "count(*)", "0");
    expect(&fixture, (struct source){1, 1, 1, .fail_at = -1}, "t", "x");
    /* Longer than what goes to a host in one piece. */
    expect(&fixture, (struct source){3, 2, 5u << 20, .fail_at = -1}, "sum(length(t))", "31457280");
    fixture_close(&fixture);
}

TEST(engine_rows, an_error_of_the_program_arrives_as_it_is)
{
    struct fixture fixture = fixture_open(NULL);
    struct source source = {10, 100, 1, .fail_at = 3};
    struct engine_rows rows;
    struct errinfo info;
    source_init(&source, &rows);
    struct engine_grant *grant = rows_grant(&fixture, &rows);
    CHECK(run(&fixture, grant, "sum(n)", NULL, &info) == ERR_INVALID);
    CHECK_STR("22P04", info.sqlstate);
    CHECK_STR("batch 3 is bad", info.message);
    engine_grant_close(grant);
    fixture_expect(&fixture, "SELECT 'still here'", "still here");
    fixture_close(&fixture);
}

TEST(engine_rows, only_an_open_grant_with_rows_has_them)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    struct source source = {1, 1, 1, .fail_at = -1};
    struct engine_rows rows;
    struct errinfo info;
    struct buf sql CLEANUP(buf_fini) = {0};
    store_fill(&fixture, &store, "SELECT 1");
    struct engine_grant *other = store_grant(&fixture, &store, 0);
    engine_grant_uri(other, 0, &sql);
    char address[128];
    (void)snprintf(address, sizeof(address), "SELECT t FROM moat_rows('%.39s/rows')", sql.ptr);
    CHECK(fixture_run(&fixture, address, NULL, &info) == ERR_DENIED);
    CHECK(strstr(info.message, "no grant for rows") != NULL);
    CHECK(fixture_run(&fixture, "SELECT t FROM moat_rows('x')", NULL, &info) == ERR_DENIED);
    engine_grant_close(other);

    source_init(&source, &rows);
    struct engine_grant *grant = rows_grant(&fixture, &rows);
    CHECK(run(&fixture, grant, "t", NULL, &info) == ERR_OK);
    buf_reset(&sql);
    buf_append_str(&sql, "SELECT t FROM moat_rows('");
    engine_grant_uri_rows(grant, &sql);
    buf_append_str(&sql, "')");
    engine_grant_close(grant);
    CHECK(fixture_run(&fixture, buf_cstr(&sql), NULL, &info) == ERR_DENIED);
    store_fini(&store);
    fixture_close(&fixture);
}

struct asking {
    struct fixture *fixture;
    struct engine_grant *grant;
    enum err err;
};

static void *ask(void *context)
{
    struct asking *asking = context;
    asking->err = run(asking->fixture, asking->grant, "sum(n)", NULL, NULL);
    return NULL;
}

TEST(engine_rows, a_wait_for_rows_ends_with_a_cancel_and_a_wake)
{
    // Goal: a client that sends nothing can be stopped: cancel the engine, wake the source.
    struct fixture fixture = fixture_open(NULL);
    struct source source = {10, 100, 1, .fail_at = -1, .waits = true};
    struct engine_rows rows;
    pthread_t thread;
    source_init(&source, &rows);
    struct asking asking = {&fixture, rows_grant(&fixture, &rows), ERR_OK};
    CHECK(pthread_create(&thread, NULL, ask, &asking) == 0);
    pthread_mutex_lock(&source.lock);
    while (!source.is_waiting) {
        pthread_cond_wait(&source.changed, &source.lock);
    }
    engine_session_cancel(fixture.session);
    source.waits = false;
    pthread_cond_broadcast(&source.changed);
    pthread_mutex_unlock(&source.lock);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(asking.err == ERR_CANCELLED);
    engine_session_ready(fixture.session);
    engine_grant_close(asking.grant);
    fixture_expect(&fixture, "SELECT 'still here'", "still here");
    fixture_close(&fixture);
}
