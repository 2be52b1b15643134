/* Goal: what a catalog plans is read as what we plan: the same files, partitions and deletes; what
 * its answer does not say exactly is refused; files of a store are opened a few ahead. Method: the
 * sample of real tables, whose plans are written as Iceberg's own catalog writes them. Rows of a
 * real one: tests/rest/plan_test.py. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/io.h"
#include "base/json.h"
#include "base/test.h"
#include "lake/lake_int.h"
#include "storage/storage.h"

#define DATA "tests/data/iceberg"

struct house {
    struct arena *arena;
    struct identity *who;
    struct slice prefix;
    struct slice folder;
    struct iceberg_io local;
};

static void place(const struct house *house, struct slice location, struct buf *path)
{
    size_t skip = slice_starts_with(location, SLICE("file:")) ? 5 : 0;
    location = (struct slice){location.ptr + skip, location.len - skip};
    CHECK(slice_starts_with(location, house->prefix));
    buf_append_slice(path, house->folder);
    buf_append(path, location.ptr + house->prefix.len, location.len - house->prefix.len);
}

static enum err read_all(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    struct house *house = context;
    struct buf path CLEANUP(buf_fini) = {0};
    place(house, location, &path);
    return house->local.read_all(house->local.context, buf_slice(&path), size_hint, bytes_max,
                                 ret_bytes, info);
}

static void house_open(struct house *house)
{
    char here[PATH_MAX];
    struct identity_spec spec = {.subject = SLICE("ada"), .provider = SLICE("local")};
    *house = (struct house){.arena = arena_new(NULL, "test", 0), .local = iceberg_io_local()};
    CHECK(realpath(DATA, here) != NULL);
    CHECK(arena_slice(house->arena, slice_of(here), &house->folder));
    CHECK_OK(io_read_file(house->arena, DATA "/prefix", 4096, &house->prefix, NULL));
    house->prefix = slice_trim(house->prefix);
    CHECK_OK(identity_new(&spec, &house->who, NULL));
}

static void house_close(struct house *house)
{
    identity_unref(house->who);
    arena_free(house->arena);
}

static const struct lake_planner no_planner;

static void load(struct house *house, struct slice file, struct lake_source *ret_source)
{
    struct iceberg_io io = {.context = house, .read_all = read_all};
    struct iceberg_metadata *metadata = arena_calloc(house->arena, 1, sizeof(*metadata));
    CHECK(metadata != NULL);
    CHECK_OK(iceberg_metadata_load(&io, file, house->arena, metadata, NULL));
    *ret_source = (struct lake_source){
        .from = {.who = house->who,
                 .name = SLICE("t"),
                 .metadata = metadata,
                 .snapshot =
                     metadata->current_snapshot_id == ICEBERG_NO_ID
                         ? NULL
                         : iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id),
                 .schema = iceberg_metadata_current_schema(metadata),
                 .io = io,
                 .planner = &no_planner}};
}

typedef void (*table_fn)(struct house *house, struct slice name, const struct lake_source *source);

static void for_each_table(struct house *house, const char *part, table_fn fn)
{
    struct slice index;
    size_t count = 0;
    CHECK_OK(io_read_file(house->arena, DATA "/index.jsonl", 64 << 20, &index, NULL));
    while (index.len > 0) {
        struct json *line;
        struct lake_source source;
        size_t len = slice_find(index, SLICE("\n"));
        len = len == SIZE_MAX ? index.len : len;
        CHECK_OK(json_parse(house->arena, (struct slice){index.ptr, len}, NULL, &line, NULL));
        struct slice name = json_get_text(line, "table");
        if (slice_equal(json_get_text(line, "case"), SLICE("current")) &&
            slice_find(name, slice_of(part)) != SIZE_MAX) {
            load(house, json_get_text(line, "metadata_file"), &source);
            fn(house, name, &source);
            count++;
        }
        size_t skip = len < index.len ? len + 1 : len;
        index = (struct slice){index.ptr + skip, index.len - skip};
    }
    CHECK(count > 0);
}

/* ---- a plan as Iceberg writes it ---- */

static void write_file(const struct lake_source *source, const struct iceberg_file *file,
                       const char *content, bool has_ids, struct buf *out)
{
    static const char *const formats[] = {"parquet", "avro", "orc", "puffin"};
    const struct iceberg_spec *spec = iceberg_metadata_spec(source->from.metadata, file->spec_id);
    buf_printf(out, "{\"spec-id\":%d,\"content\":\"%s\",\"file-path\":", file->spec_id, content);
    json_write_string(out, file->path);
    buf_printf(out, ",\"file-format\":\"%s\",\"partition\":%c", formats[file->format],
               has_ids ? '{' : '[');
    for (size_t i = 0; i < file->partition_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        if (has_ids) {
            buf_printf(out, "\"%d\":", spec->fields[i].field_id);
        }
        if (file->partition[i].is_null) {
            buf_append_str(out, "null");
        } else {
            iceberg_value_write(&file->partition[i], out);
        }
    }
    buf_printf(out, "%c,\"file-size-in-bytes\":%lld,\"record-count\":%lld,\"split-offsets\":[4]}",
               has_ids ? '}' : ']', (long long)file->size_bytes, (long long)file->record_count);
}

/* Each file with its deletes is a page of its own, and every second one as before 1.11. */
static void write_pages(const struct lake_source *source, const struct iceberg_scan_plan *plan,
                        struct arena *arena, struct lake_plan_page *pages)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *file = &plan->files[i];
        struct buf text CLEANUP(buf_fini) = {0};
        bool is_old = i % 2 == 1;
        buf_append_char(&text, '[');
        for (size_t d = 0; d < file->delete_count; d++) {
            buf_append_str(&text, d == 0 ? "" : ",");
            write_file(source, &plan->deletes[file->deletes[d]].file,
                       is_old ? "POSITION_DELETES" : "position-deletes", is_old, &text);
        }
        buf_append_char(&text, ']');
        CHECK(!buf_failed(&text) && arena_slice(arena, buf_slice(&text), &pages[i].delete_files));
        buf_reset(&text);
        buf_append_str(&text, "[{\"data-file\":");
        write_file(source, &file->file, is_old ? "DATA" : "data", is_old, &text);
        buf_append_str(&text, ",\"delete-file-references\":[");
        for (size_t d = 0; d < file->delete_count; d++) {
            buf_printf(&text, "%s%zu", d == 0 ? "" : ",", d);
        }
        buf_append_str(&text, "],\"residual-filter\":true}]");
        CHECK(!buf_failed(&text) && arena_slice(arena, buf_slice(&text), &pages[i].tasks));
    }
}

static void check_same_file(const struct iceberg_file *a, const struct iceberg_file *b)
{
    CHECK(slice_equal(a->path, b->path) && a->format == b->format && a->spec_id == b->spec_id);
    CHECK(a->size_bytes == b->size_bytes && a->record_count == b->record_count);
    CHECK(a->partition_count == b->partition_count && a->content == b->content);
    for (size_t i = 0; i < a->partition_count; i++) {
        CHECK(a->partition[i].is_null == b->partition[i].is_null);
        CHECK(a->partition[i].is_null ||
              iceberg_value_compare(&a->partition[i], &b->partition[i]) == 0);
    }
}

static unsigned planned_count;
static unsigned delete_count;

static void compare(struct house *house, struct slice name, const struct lake_source *source)
{
    struct iceberg_scan_options options = {.io = &source->from.io,
                                           .metadata = source->from.metadata,
                                           .snapshot = source->from.snapshot,
                                           .schema = source->from.schema};
    struct iceberg_scan_plan ours;
    struct iceberg_scan_plan theirs;
    struct errinfo info;
    errinfo_init(&info);
    if (!lake__is_planned_elsewhere(&source->from)) {
        return;
    }
    CHECK_OK(iceberg_scan_plan(&options, house->arena, &ours, &info));
    struct lake_plan_page *pages = arena_calloc(house->arena, ours.file_count + 1, sizeof(*pages));
    CHECK(pages != NULL);
    write_pages(source, &ours, house->arena, pages);
    enum err err = lake__planned_read(source, pages, ours.file_count, house->arena, &theirs, &info);
    if (err != ERR_OK) {
        fail_msg("%.*s: %s", SLICE_ARGS(name), info.message);
    }
    assert_int_equal(ours.file_count, theirs.file_count);
    for (size_t i = 0; i < ours.file_count; i++) {
        const struct iceberg_scan_file *a = &ours.files[i];
        const struct iceberg_scan_file *b = &theirs.files[i];
        check_same_file(&a->file, &b->file);
        assert_int_equal(a->delete_count, b->delete_count);
        CHECK(a->equality_delete_count == 0 && b->equality_delete_count == 0);
        for (size_t d = 0; d < a->delete_count; d++) {
            check_same_file(&ours.deletes[a->deletes[d]].file, &theirs.deletes[b->deletes[d]].file);
            delete_count++;
        }
    }
    planned_count++;
}

TEST(lake_planned, a_plan_of_theirs_is_a_plan_of_ours)
{
    struct house house;
    house_open(&house);
    planned_count = 0;
    delete_count = 0;
    for_each_table(&house, "", compare);
    CHECK(planned_count >= 20 && delete_count >= 5);
    house_close(&house);
}

static void must_be_ours(UNUSED struct house *house, UNUSED struct slice name,
                         const struct lake_source *source)
{
    CHECK(!lake__is_planned_elsewhere(&source->from));
}

TEST(lake_planned, what_needs_sequence_numbers_is_planned_here)
{
    struct house house;
    house_open(&house);
    for_each_table(&house, "_eq", must_be_ours);
    for_each_table(&house, ".v3_", must_be_ours);
    house_close(&house);
}

/* ---- what is asked ---- */

static void check_request(struct house *house, UNUSED struct slice name,
                          const struct lake_source *source)
{
    const struct iceberg_field *s = iceberg_schema_find_name(source->from.schema, SLICE("s"));
    const struct iceberg_field *k = iceberg_schema_find_name(source->from.schema, SLICE("k"));
    const struct iceberg_field *f = iceberg_schema_find_name(source->from.schema, SLICE("f"));
    CHECK(s != NULL && k != NULL && f != NULL);
    const struct iceberg_value text = {.type = ICEBERG_STRING, .bytes = SLICE("a\"b")};
    const struct iceberg_value number = {.type = ICEBERG_LONG, .integer = INT64_MAX - 1};
    const struct iceberg_value real = {.type = ICEBERG_FLOAT, .real = 1.5};
    const struct iceberg_expression is_text = {ICEBERG_EQUAL, s->id, &text, 1, NULL, NULL};
    const struct iceberg_expression is_less = {ICEBERG_LESS, k->id, &number, 1, NULL, NULL};
    const struct iceberg_expression is_real = {ICEBERG_EQUAL, f->id, &real, 1, NULL, NULL};
    const struct iceberg_expression either = {ICEBERG_OR, 0, NULL, 0, &is_text, &is_less};
    const struct iceberg_expression neither = {ICEBERG_OR, 0, NULL, 0, &is_text, &is_real};
    const struct iceberg_expression both = {ICEBERG_AND, 0, NULL, 0, &is_real, &either};
    const struct iceberg_expression all = {ICEBERG_AND, 0, NULL, 0, &both, &neither};
    const struct iceberg_expression *bound;
    struct buf out CLEANUP(buf_fini) = {0};
    char expected[512];
    CHECK_OK(iceberg_expression_bind(&all, source->from.schema, house->arena, &bound, NULL));
    lake__planned_request(&source->from, bound, &out);
    (void)snprintf(expected, sizeof(expected),
                   "{\"snapshot-id\":%lld,\"case-sensitive\":true,\"use-snapshot-schema\":false,"
                   "\"filter\":{\"type\":\"or\","
                   "\"left\":{\"type\":\"eq\",\"term\":\"s\",\"value\":\"a\\\"b\"},"
                   "\"right\":{\"type\":\"lt\",\"term\":\"k\",\"value\":9223372036854775806}}}",
                   (long long)source->from.snapshot->id);
    CHECK_STR(expected, buf_cstr(&out));
    buf_reset(&out);
    CHECK_OK(iceberg_expression_bind(&neither, source->from.schema, house->arena, &bound, NULL));
    lake__planned_request(&source->from, bound, &out);
    CHECK(strstr(buf_cstr(&out), "filter") == NULL); /* of an OR, all or nothing */
}

TEST(lake_planned, what_can_be_said_exactly_is_asked_for)
{
    struct house house;
    house_open(&house);
    for_each_table(&house, "core.v2_none_pos_partition", check_request);
    house_close(&house);
}

/* ---- what is refused ---- */

#define FILE_OF(more) "\"content\":\"data\",\"file-path\":\"/a\",\"file-format\":\"parquet\"," more
#define REST "\"spec-id\":0,\"partition\":[],\"file-size-in-bytes\":9,\"record-count\":1"
#define TASK(more) "[{\"data-file\":{" FILE_OF(REST) "}" more "}]"

static void check_refusals(struct house *house, UNUSED struct slice name,
                           const struct lake_source *source)
{
    static const struct {
        const char *tasks;
        const char *deletes;
        enum err err;
    } cases[] = {
        {TASK(""), "[]", ERR_OK},
        {TASK(",\"residual-filter\":{\"type\":\"eq\"}"), "", ERR_OK},
        {"{}", "", ERR_CORRUPT},
        {"[7]", "", ERR_CORRUPT},
        {"[{}]", "", ERR_CORRUPT},
        {TASK(",\"start\":7"), "", ERR_UNSUPPORTED},
        {"[{\"data-file\":{" FILE_OF(REST) ",\"row-filter\":{}}}]", "", ERR_UNSUPPORTED},
        {"[{\"data-file\":{" FILE_OF(REST) ",\"record-count\":1}}]", "", ERR_CORRUPT},
        {"[{\"data-file\":{" FILE_OF(REST) "}},{\"data-file\":{" FILE_OF(REST) "}}]", "",
         ERR_CORRUPT},
        {TASK(",\"delete-file-references\":[0]"), "[]", ERR_CORRUPT},
        {TASK(",\"delete-file-references\":[-1]"), "[]", ERR_CORRUPT},
        {TASK(",\"delete-file-references\":{}"), "[]", ERR_CORRUPT},
        {"[{\"data-file\":{" FILE_OF("\"spec-id\":99,\"partition\":[],\"file-size-in-bytes\":9,"
                                     "\"record-count\":1") "}}]",
         "", ERR_CORRUPT},
        {"[{\"data-file\":{" FILE_OF("\"spec-id\":0,\"partition\":[1],\"file-size-in-bytes\":9,"
                                     "\"record-count\":1") "}}]",
         "", ERR_CORRUPT},
        {"[{\"data-file\":{" FILE_OF("\"spec-id\":0,\"partition\":{\"1000\":1},"
                                     "\"file-size-in-bytes\":9,\"record-count\":1") "}}]",
         "", ERR_CORRUPT},
        {"[{\"data-file\":{" FILE_OF("\"spec-id\":0,\"partition\":[],\"file-size-in-bytes\":-9,"
                                     "\"record-count\":1") "}}]",
         "", ERR_CORRUPT},
        {"[]", "[{\"content\":\"equality-deletes\",\"equality-ids\":[1]}]", ERR_UNSUPPORTED},
        {"[]", "[{\"content\":\"data\"}]", ERR_CORRUPT},
        {"[]",
         "[{\"content\":\"position-deletes\",\"file-path\":\"/d\",\"file-format\":\"puffin\","
         "\"content-offset\":4," REST "}]",
         ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct lake_plan_page page = {slice_of(cases[i].deletes), slice_of(cases[i].tasks)};
        struct iceberg_scan_plan plan;
        struct errinfo info;
        errinfo_init(&info);
        enum err err = lake__planned_read(source, &page, 1, house->arena, &plan, &info);
        if (err != cases[i].err) {
            fail_msg("%s %s: %s: %s", cases[i].tasks, cases[i].deletes, err_name(err),
                     info.message);
        }
    }
}

TEST(lake_planned, an_answer_that_cannot_be_told_exactly_is_refused)
{
    struct house house;
    house_open(&house);
    for_each_table(&house, "core.v2_none_pos_partition", check_refusals);
    house_close(&house);
}

/* ---- files of a store ---- */

#define FILE_COUNT 12

struct store {
    struct slice file; /* what all of them are */
    uint64_t size_bytes;
    pthread_mutex_t lock;
    unsigned opened[FILE_COUNT];
    unsigned open_count;
    unsigned running;
    unsigned running_max;
};

static enum err open_run(void *context, void **ret_run, UNUSED struct errinfo *info)
{
    *ret_run = context;
    return ERR_OK;
}

static void close_run(UNUSED void *run)
{
}

static enum err plan_files(void *run, UNUSED struct slice request, struct arena *arena,
                           struct lake_plan_page **ret_pages, size_t *ret_count,
                           UNUSED struct errinfo *info)
{
    const struct store *store = run;
    struct lake_plan_page *page = arena_calloc(arena, 1, sizeof(*page));
    struct buf text CLEANUP(buf_fini) = {0};
    for (unsigned i = 0; i < FILE_COUNT; i++) {
        buf_printf(&text,
                   "%c{\"data-file\":{\"content\":\"data\",\"file-path\":\"s3://b/%u\","
                   "\"file-format\":\"parquet\",\"spec-id\":0,\"partition\":[],"
                   "\"file-size-in-bytes\":%llu,\"record-count\":1}}",
                   i == 0 ? '[' : ',', i, (unsigned long long)store->size_bytes);
    }
    buf_append_char(&text, ']');
    CHECK(page != NULL && arena_slice(arena, buf_slice(&text), &page->tasks));
    *ret_pages = page;
    *ret_count = 1;
    return ERR_OK;
}

static enum err open_file(void *run, struct slice location, struct storage_object **ret_object,
                          struct errinfo *info)
{
    struct store *store = run;
    int64_t number;
    CHECK(slice_starts_with(location, SLICE("s3://b/")));
    CHECK(slice_to_i64((struct slice){location.ptr + 7, location.len - 7}, &number));
    pthread_mutex_lock(&store->lock);
    store->opened[number]++;
    store->open_count++;
    store->running++;
    store->running_max = store->running > store->running_max ? store->running : store->running_max;
    pthread_mutex_unlock(&store->lock);
    const struct timespec slow = {.tv_nsec = 20000000};
    (void)nanosleep(&slow, NULL);
    pthread_mutex_lock(&store->lock);
    store->running--;
    pthread_mutex_unlock(&store->lock);
    return storage_open_bytes(store->file, ret_object, info);
}

static const struct lake_planner slow_store = {
    .open = open_run, .close = close_run, .plan = plan_files, .open_object = open_file};

/* Waits until so many were opened, and a little longer. */
static void expect_opened(struct store *store, unsigned count)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    unsigned now = 0;
    for (unsigned i = 0; i < 20000 && now < count; i++) {
        (void)nanosleep(&moment, NULL);
        pthread_mutex_lock(&store->lock);
        now = store->running == 0 ? store->open_count : 0;
        pthread_mutex_unlock(&store->lock);
    }
    for (unsigned i = 0; i < 8; i++) {
        (void)nanosleep(&moment, NULL);
    }
    pthread_mutex_lock(&store->lock);
    assert_int_equal(store->open_count, count);
    for (unsigned i = 0; i < FILE_COUNT; i++) {
        assert_int_equal(store->opened[i], i < count ? 1 : 0);
    }
    pthread_mutex_unlock(&store->lock);
}

static void open_ahead(struct house *house, UNUSED struct slice name,
                       const struct lake_source *of_table)
{
    struct store store = {.file = SLICE("0123456789"), .size_bytes = 10};
    struct lake_origin origin = of_table->from;
    struct lake_source *source;
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = NULL;
    const struct engine_scan_file *files;
    size_t count;
    char bytes[4];
    pthread_mutex_init(&store.lock, NULL);
    origin.planner = &slow_store;
    origin.context = &store;
    CHECK_OK(lake_source_open(&origin, house->arena, &source, NULL));
    CHECK(source->is_planned_elsewhere);
    CHECK_OK(lake_scan_open(NULL, source, NULL, false, &scan, NULL));
    const struct engine_scan_spec *spec = lake_scan_spec(scan, 0);
    CHECK(spec->ranges == NULL);
    CHECK_OK(spec->files(spec->context, NULL, 0, false, &files, &count, NULL));
    assert_int_equal(count, FILE_COUNT);
    expect_opened(&store, 0);
    for (unsigned i = 0; i < FILE_COUNT; i++) {
        CHECK_OK(spec->read(spec->context, files[i].object, 0, bytes, sizeof(bytes), NULL));
        if (i == 0) {
            expect_opened(&store, 1 + LAKE_AHEAD_MAX);
        }
    }
    expect_opened(&store, FILE_COUNT);
    CHECK(store.running_max > 1 && store.running_max <= 1 + LAKE_AHEAD_MAX);
    lake_scan_close(TAKE(scan));
    pthread_mutex_destroy(&store.lock);
}

TEST(lake_planned, the_next_files_of_a_store_are_opened_ahead)
{
    /* Goal: with the first read, the next four of the plan are opened, and no others; each once. */
    struct house house;
    house_open(&house);
    for_each_table(&house, "core.v2_none_pos_partition", open_ahead);
    house_close(&house);
}
