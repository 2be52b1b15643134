#include "engine/duckdb/scan_fixture.h"

static void print_predicate(const struct engine_predicate *predicate, struct buf *out)
{
    static const char *const names[] = {"and", "or", "null", "notnull", "=",  "<>",
                                        "<",   "<=", ">",    ">=",      "in", "prefix"};
    buf_printf(out, "%s(", names[predicate->kind]);
    if (predicate->child_count == 0) {
        buf_printf(out, "%d", predicate->field_id);
    }
    for (size_t i = 0; i < predicate->value_count; i++) {
        buf_append_str(out, " ");
        buf_append_slice(out, predicate->values[i]);
    }
    for (size_t i = 0; i < predicate->child_count; i++) {
        buf_append_str(out, i == 0 ? "" : " ");
        print_predicate(predicate->children[i], out);
    }
    buf_append_str(out, ")");
}

static enum err table_files(void *context, const struct engine_predicate *const *all,
                            size_t predicate_count, bool is_dynamic,
                            const struct engine_scan_file **ret_files, size_t *ret_count,
                            struct errinfo *info)
{
    struct table *table = context;
    table->asked++;
    table->asked_dynamic += is_dynamic ? 1 : 0;
    if (table->fail_files != ERR_OK) {
        return errinfo_set(info, table->fail_files, NULL, "the manifests are gone");
    }
    buf_reset(&table->predicates);
    bool skips = false;
    for (size_t i = 0; i < predicate_count; i++) {
        buf_append_str(&table->predicates, i == 0 ? "" : " ");
        print_predicate(all[i], &table->predicates);
        skips = skips || (table->skip_if_asked != 0 && all[i]->field_id == table->skip_if_asked);
    }
    *ret_files = table->files;
    *ret_count = skips ? 1 : table->store.object_count;
    return ERR_OK;
}

static enum err table_ranges(void *context, UNUSED const struct engine_predicate *const *all,
                             UNUSED size_t predicate_count,
                             const struct engine_scan_range **ret_ranges, struct errinfo *info)
{
    struct table *table = context;
    table->asked_ranges++;
    if (table->fail_ranges != ERR_OK) {
        return errinfo_set(info, table->fail_ranges, NULL, "the manifests are gone");
    }
    *ret_ranges = table->ranges;
    return ERR_OK;
}

static enum err table_dead(void *context, const struct engine_scan_file *file, int64_t first,
                           size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                           struct errinfo *info)
{
    struct table *table = context;
    CHECK(file >= table->files && file->has_deletes);
    table->dead_calls++;
    if (table->fail_dead != ERR_OK) {
        return errinfo_set(info, table->fail_dead, NULL, "the deletes are gone");
    }
    size_t dead_count = 0;
    for (size_t i = 0; i < count; i++) {
        if ((first + (int64_t)i) % table->deleted_modulus == 0) {
            ret_offsets[dead_count++] = (uint32_t)i;
        }
    }
    *ret_dead_count = dead_count;
    return ERR_OK;
}

static void table_advise(void *context, size_t object, const struct engine_scan_extent *extents,
                         size_t count)
{
    struct table *table = context;
    pthread_mutex_lock(&table->advice_lock);
    for (size_t i = 0; i < count; i++) {
        CHECK(table->told_count < TOLD_MAX);
        CHECK(extents[i].len > 0 &&
              extents[i].offset + extents[i].len <= table->files[object].size_bytes);
        table->told_objects[table->told_count] = object;
        table->told[table->told_count++] = extents[i];
    }
    pthread_mutex_unlock(&table->advice_lock);
}

static void count_told(struct table *table, size_t object, uint64_t offset, size_t len)
{
    bool is_told = false;
    pthread_mutex_lock(&table->advice_lock);
    for (size_t i = 0; i < table->told_count; i++) {
        const struct engine_scan_extent *told = &table->told[i];
        is_told = is_told || (table->told_objects[i] == object && told->offset <= offset &&
                              offset + len <= told->offset + told->len);
    }
    table->read_bytes += len;
    table->told_bytes += is_told ? len : 0;
    pthread_mutex_unlock(&table->advice_lock);
}

static enum err table_read(void *context, size_t object, uint64_t offset, void *ret_bytes,
                           size_t len, struct errinfo *info)
{
    struct table *table = context;
    if (table->takes_advice) {
        count_told(table, object, offset, len);
    }
    return store_read(&table->store, object, offset, ret_bytes, len, info);
}

struct engine_scan_file *table_add(struct fixture *fixture, struct table *table, const char *select,
                                   const char *options)
{
    struct memory_store store = {0};
    struct engine_grant *grant = store_grant(fixture, &store, 1);
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(&sql, "COPY (%s) TO '", select);
    engine_grant_uri_out(grant, 0, &sql);
    buf_printf(&sql, ".parquet' (FORMAT parquet, %s)", options);
    struct errinfo info;
    errinfo_init(&info);
    if (fixture_run(fixture, buf_cstr(&sql), NULL, &info) != ERR_OK) {
        fail_msg("%s: %s", buf_cstr(&sql), info.message);
    }
    engine_grant_close(grant);

    size_t index = table->store.object_count++;
    CHECK(index < FILES_MAX);
    table->store.objects[index] = store.objects[0];
    table->files[index] = (struct engine_scan_file){.object = index,
                                                    .size_bytes = store.objects[0].len,
                                                    .record_count = -1,
                                                    .first_row_id = -1,
                                                    .path = SLICE("s3://lake/f")};
    return &table->files[index];
}

struct engine_grant *table_grant(struct fixture *fixture, struct table *table)
{
    table->spec.files = table_files;
    table->spec.read = table_read;
    table->spec.dead = table_dead;
    table->spec.advise = table->takes_advice ? table_advise : NULL;
    table->spec.ranges = table->ranges == NULL ? NULL : table_ranges;
    table->spec.context = table;
    if (table->spec.row_count_estimate == 0) {
        table->spec.row_count_estimate = -1;
    }
    const struct engine_scan_spec *scan = &table->spec;
    struct engine_grant_spec spec = {.scans = &scan, .scan_count = 1};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    CHECK_OK(engine_grant_open(fixture->engine, WHO, &spec, &grant, &info));
    return grant;
}

char *scan_sql(const struct engine_grant *grant, const char *format)
{
    struct buf sql = {0};
    const char *mark = strstr(format, "%s");
    ASSERT(mark != NULL);
    buf_append(&sql, format, (size_t)(mark - format));
    buf_append_str(&sql, "moat_scan('");
    engine_grant_uri_scan(grant, 0, &sql);
    buf_append_str(&sql, "')");
    buf_append_str(&sql, mark + 2);
    char *text = buf_take(&sql);
    ASSERT(text != NULL);
    return text;
}

void table_expect(struct fixture *fixture, struct table *table, const char *format,
                  const char *expected)
{
    struct engine_grant *grant = table_grant(fixture, table);
    char *sql = scan_sql(grant, format);
    fixture_expect(fixture, sql, expected);
    mem_free(sql);
    engine_grant_close(grant);
}

void table_answer(struct fixture *fixture, struct table *table, const char *format,
                  struct buf *ret_text)
{
    struct engine_grant *grant = table_grant(fixture, table);
    char *sql = scan_sql(grant, format);
    struct errinfo info;
    errinfo_init(&info);
    if (fixture_run(fixture, sql, ret_text, &info) != ERR_OK) {
        fail_msg("%s: %s", format, info.message);
    }
    mem_free(sql);
    engine_grant_close(grant);
}

void table_refuse(struct fixture *fixture, struct table *table, const char *format,
                  enum err expected, const char *part)
{
    struct engine_grant *grant = table_grant(fixture, table);
    char *sql = scan_sql(grant, format);
    struct errinfo info;
    errinfo_init(&info);
    enum err err = fixture_run(fixture, sql, NULL, &info);
    if (err != expected || strstr(info.message, part) == NULL ||
        strstr(info.message, "moat:") != NULL) {
        fail_msg("%s: %s \"%s\"", format, err_name(err), info.message);
    }
    mem_free(sql);
    engine_grant_close(grant);
}

void table_fini(struct table *table)
{
    store_fini(&table->store);
    buf_fini(&table->predicates);
}
