#include "engine/duckdb/fixture.h"

#include <unistd.h>

struct fixture fixture_open(const struct engine_options *options)
{
    struct engine_options defaults = {.thread_count = 2, .mask_key = SLICE("key of the tests")};
    struct fixture fixture = {0};
    struct errinfo info;
    errinfo_init(&info);
    if (test_engine_open(options == NULL ? &defaults : options, &fixture.engine, &fixture.hosts,
                         &info) != ERR_OK) {
        fail_msg("%s: %s", info.message, info.detail);
    }
    CHECK_OK(engine_session_open(fixture.engine, WHO, &fixture.session, &info));
    return fixture;
}

void fixture_close(struct fixture *fixture)
{
    engine_session_close(fixture->session);
    engine_close(fixture->engine);
    engine_hosts_close(fixture->hosts);
}

static void append_column(const struct ArrowArray *batch, struct buf *text)
{
    const struct ArrowArray *column = batch->children[0];
    const uint8_t *validity = column->buffers[0];
    const int32_t *offsets = column->buffers[1];
    const char *bytes = column->buffers[2];
    for (int64_t row = 0; row < column->length; row++) {
        if (text->len > 0) {
            buf_append_char(text, '\n');
        }
        bool is_valid = validity == NULL || ((validity[row / 8] >> (row % 8)) & 1) != 0;
        if (!is_valid) {
            buf_append_str(text, "NULL");
        } else {
            buf_append(text, bytes + offsets[row], (size_t)(offsets[row + 1] - offsets[row]));
        }
    }
}

enum err fixture_run(struct fixture *fixture, const char *sql, struct buf *ret_text,
                     struct errinfo *info)
{
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    TRY(engine_query_open(fixture->session, WHO, slice_of(sql), NULL, 0, &query, info));
    while (true) {
        struct ArrowArray batch;
        TRY(engine_query_next(query, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        if (ret_text != NULL) {
            append_column(&batch, ret_text);
        }
        batch.release(&batch);
    }
}

void fixture_expect(struct fixture *fixture, const char *sql, const char *expected)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    if (fixture_run(fixture, sql, &text, &info) != ERR_OK) {
        fail_msg("%s: %s (%s)", sql, info.message, info.hint);
    }
    CHECK_STR(expected, buf_cstr(&text));
}

enum err store_read(void *context, size_t index, uint64_t offset, void *ret_bytes, size_t len,
                    struct errinfo *info)
{
    struct memory_store *store = context;
    store->reads++;
    if (store->read_delay_us != 0) {
        usleep(store->read_delay_us);
    }
    if (store->fail_read != ERR_OK) {
        enum err err = errinfo_set(info, store->fail_read, NULL, "object \"%zu\" is gone", index);
        errinfo_hint(info, "Ask its owner.");
        return err;
    }
    ASSERT(index < store->object_count && offset + len <= store->objects[index].len);
    memcpy(ret_bytes, store->objects[index].ptr + offset, len);
    return ERR_OK;
}

enum err store_write(void *context, size_t index, const void *bytes, size_t len,
                     struct errinfo *info)
{
    struct memory_store *store = context;
    buf_append(&store->objects[index], bytes, len);
    return buf_failed(&store->objects[index]) ? errinfo_nomem(info) : ERR_OK;
}

struct engine_grant *store_grant(struct fixture *fixture, struct memory_store *store,
                                 size_t writable_count)
{
    struct engine_object objects[MEMORY_OBJECTS] = {0};
    for (size_t i = 0; i < store->object_count; i++) {
        const char *extension = store->extensions[i];
        objects[i] = (struct engine_object){
            .size_bytes = store->objects[i].len,
            .modified_us = 1,
            .etag = SLICE("v1"),
            .extension = slice_of(extension == NULL ? ".parquet" : extension),
            .has_hidden = store->has_hidden,
        };
    }
    struct engine_grant_spec spec = {
        .objects = objects,
        .object_count = store->object_count,
        .read = store_read,
        .write = writable_count == 0 ? NULL : store_write,
        .writable_count = writable_count,
        .context = store,
    };
    struct engine_grant *grant = NULL;
    struct errinfo info;
    CHECK_OK(engine_grant_open(fixture->engine, WHO, &spec, &grant, &info));
    return grant;
}

void store_fini(struct memory_store *store)
{
    for (size_t i = 0; i < MEMORY_OBJECTS; i++) {
        buf_fini(&store->objects[i]);
    }
}

void store_fill(struct fixture *fixture, struct memory_store *store, const char *select)
{
    struct engine_grant *grant = store_grant(fixture, store, 1);
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(&sql, "COPY (%s) TO '", select);
    engine_grant_uri_out(grant, 0, &sql);
    buf_append_str(&sql, ".parquet' (FORMAT parquet)");
    struct errinfo info;
    errinfo_init(&info);
    if (fixture_run(fixture, buf_cstr(&sql), NULL, &info) != ERR_OK) {
        fail_msg("%s: %s", buf_cstr(&sql), info.message);
    }
    engine_grant_close(grant);
    store->object_count = 1;
}

static enum err write_sink(void *context, UNUSED size_t index, const void *bytes, size_t len,
                           struct errinfo *info)
{
    struct file_sink *sink = context;
    CHECK(!sink->is_closed);
    if (++sink->call_count == sink->failing_call) {
        return errinfo_set(info, ERR_IO, NULL, "the store is full");
    }
    sink->is_closed = len == 0;
    buf_append(&sink->bytes, bytes, len);
    return ERR_OK;
}

enum err fixture_write(struct fixture *fixture, const char *select, const char *options,
                       struct file_sink *sink, struct errinfo *info)
{
    struct engine_grant_spec spec = {.write = write_sink, .writable_count = 1, .context = sink};
    struct engine_grant *grant CLEANUP(engine_grant_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    CHECK_OK(engine_grant_open(fixture->engine, WHO, &spec, &grant, info));
    buf_printf(&sql, "COPY (%s) TO '", select);
    engine_grant_uri_folder(grant, &sql);
    buf_printf(&sql, "' (FORMAT moat_files, RETURN_STATS true, %s)", options);
    return fixture_run(fixture, buf_cstr(&sql), NULL, info);
}

char *fixture_sql(const struct engine_grant *grant, size_t index, const char *format)
{
    struct buf sql = {0};
    const char *mark = strstr(format, "%s");
    ASSERT(mark != NULL);
    buf_append(&sql, format, (size_t)(mark - format));
    engine_grant_uri(grant, index, &sql);
    buf_append_str(&sql, mark + 2);
    char *text = buf_take(&sql);
    ASSERT(text != NULL);
    return text;
}

uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ASSERT(file != NULL && fscanf(file, "%lu %lu", &pages, &resident) == 2);
    (void)fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}
