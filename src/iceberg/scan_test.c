/* Planning: real tables by Spark (tests/data/iceberg); deletes against the words of the spec. */
#include "iceberg/scan_int.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"

#define DATA "tests/data/iceberg"
#define WITH_EVERYTHING "/core/v2_bucket_id_pos_eq/" /* position and equality deletes */
#define WITH_VECTORS "/core/v3_bucket_id_dv_eq/"

/* ---- tables ---- */

struct sample {
    struct arena *arena;
    struct iceberg_io local;
    char *folder;
    struct slice prefix;
    atomic_uint reads;
    unsigned fail_at; /* this read fails, from 1; 0 = none */
    bool is_cut;      /* manifests lack their last byte */
};

static struct slice map(struct sample *sample, struct slice location, struct buf *path)
{
    size_t skip = slice_starts_with(location, SLICE("file:")) ? 5 : 0;
    location = (struct slice){location.ptr + skip, location.len - skip};
    CHECK(slice_starts_with(location, sample->prefix));
    buf_printf(path, "%s%.*s", sample->folder, (int)(location.len - sample->prefix.len),
               location.ptr + sample->prefix.len);
    return buf_slice(path);
}

static enum err read_all(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    struct sample *sample = context;
    struct buf path CLEANUP(buf_fini) = {0};
    if (atomic_fetch_add(&sample->reads, 1) + 1 == sample->fail_at) {
        return errinfo_set(info, ERR_IO, NULL, "the object store hung up");
    }
    struct slice mapped = map(sample, location, &path);
    if (buf_failed(&path)) {
        return errinfo_nomem(info);
    }
    TRY(sample->local.read_all(sample->local.context, mapped, size_hint, bytes_max, ret_bytes,
                               info));
    ret_bytes->len -= sample->is_cut && slice_find(location, SLICE("-m0.avro")) != SIZE_MAX;
    return ERR_OK;
}

static void sample_fini(struct sample *sample)
{
    arena_free(sample->arena);
}

static struct iceberg_io sample_init(struct sample *sample)
{
    char here[PATH_MAX];
    *sample = (struct sample){.arena = arena_new(NULL, "test", 0), .local = iceberg_io_local()};
    CHECK(realpath(DATA, here) != NULL);
    sample->folder = arena_strdup(sample->arena, here);
    CHECK_OK(io_read_file(sample->arena, DATA "/prefix", 4096, &sample->prefix, NULL));
    sample->prefix = slice_trim(sample->prefix);
    return (struct iceberg_io){.context = sample, .read_all = read_all};
}

/* The current metadata file of each table, once. */
static size_t list_tables(struct sample *sample, struct slice *ret_files, size_t files_max)
{
    struct slice index;
    size_t count = 0;
    CHECK_OK(io_read_file(sample->arena, DATA "/index.jsonl", 64 << 20, &index, NULL));
    while (index.len > 0) {
        struct json *line;
        size_t len = slice_find(index, SLICE("\n"));
        len = len == SIZE_MAX ? index.len : len;
        CHECK_OK(json_parse(sample->arena, (struct slice){index.ptr, len}, NULL, &line, NULL));
        struct slice file = json_get_text(line, "metadata_file");
        bool is_new = count == 0 || !slice_equal(ret_files[count - 1], file);
        for (size_t i = 0; i < count; i++) {
            is_new = is_new && !slice_equal(ret_files[i], file);
        }
        if (is_new && count < files_max) {
            ret_files[count++] = file;
        }
        size_t skip = len < index.len ? len + 1 : len;
        index = (struct slice){index.ptr + skip, index.len - skip};
    }
    return count;
}

static struct slice find_table(struct sample *sample, const char *name)
{
    struct slice files[200];
    size_t count = list_tables(sample, files, ARRAY_COUNT(files));
    for (size_t i = 0; i < count; i++) {
        if (slice_find(files[i], slice_of(name)) != SIZE_MAX) {
            return files[i];
        }
    }
    fail_msg("no table %s in the sample", name);
    return files[0];
}

struct table {
    struct iceberg_metadata metadata;
    struct iceberg_scan_options options;
};

static void table_load(struct table *table, const struct iceberg_io *io, struct slice file,
                       struct arena *arena)
{
    CHECK_OK(iceberg_metadata_load(io, file, arena, &table->metadata, NULL));
    table->options =
        (struct iceberg_scan_options){.io = io,
                                      .metadata = &table->metadata,
                                      .snapshot = iceberg_metadata_snapshot(
                                          &table->metadata, table->metadata.current_snapshot_id),
                                      .schema = iceberg_metadata_current_schema(&table->metadata),
                                      .cache_scope = SLICE("test")};
}

static void print_file(const struct iceberg_file *file, struct buf *out)
{
    buf_printf(out, "%.*s %d %d %d %lld %lld %lld %lld %lld %d %lld %lld %lld %d %lld %.*s|",
               SLICE_ARGS(file->path), (int)file->status, (int)file->content, (int)file->format,
               (long long)file->snapshot_id, (long long)file->sequence_number,
               (long long)file->file_sequence_number, (long long)file->record_count,
               (long long)file->size_bytes, file->spec_id, (long long)file->first_row_id,
               (long long)file->content_offset, (long long)file->content_size_bytes,
               file->sort_order_id, (long long)file->referenced_data_file.len,
               SLICE_ARGS(file->referenced_data_file));
    scan__partition_key(file->spec_id, file->partition, file->partition_count, out);
    for (size_t i = 0; i < file->split_offset_count; i++) {
        buf_printf(out, " s%lld", (long long)file->split_offsets[i]);
    }
    for (size_t i = 0; i < file->equality_id_count; i++) {
        buf_printf(out, " e%d", file->equality_ids[i]);
    }
    for (size_t i = 0; i < file->metrics_count; i++) {
        const struct iceberg_metrics *metrics = &file->metrics[i];
        buf_printf(out, " m%d:%lld,%lld,%lld,%lld,%d,%d,", metrics->field_id,
                   (long long)metrics->size_bytes, (long long)metrics->value_count,
                   (long long)metrics->null_count, (long long)metrics->nan_count,
                   metrics->lower.ptr != NULL, metrics->upper.ptr != NULL);
        buf_append_slice(out, metrics->lower);
        buf_append_char(out, ',');
        buf_append_slice(out, metrics->upper);
    }
    buf_append_char(out, '\n');
}

static void print_plan(const struct iceberg_scan_plan *plan, struct buf *out)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *file = &plan->files[i];
        print_file(&file->file, out);
        iceberg_expression_print(file->residual, NULL, out);
        for (size_t d = 0; d < file->delete_count; d++) {
            buf_printf(out, " d%u", file->deletes[d]);
        }
        for (size_t d = 0; d < file->equality_delete_count; d++) {
            buf_printf(out, " q%u", file->equality_deletes[d]);
        }
        buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < plan->delete_count; i++) {
        print_file(&plan->deletes[i].file, out);
    }
    CHECK(!buf_failed(out));
}

/* A predicate on the first column that is a whole number. */
static const struct iceberg_expression *make_filter(const struct iceberg_schema *schema,
                                                    int64_t number, struct arena *arena)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        const struct iceberg_field *field = &schema->root.fields[i];
        if (field->type.id == ICEBERG_INT || field->type.id == ICEBERG_LONG) {
            struct iceberg_expression *leaf = arena_calloc(arena, 1, sizeof(*leaf));
            struct iceberg_value *value = arena_calloc(arena, 1, sizeof(*value));
            CHECK(leaf != NULL && value != NULL);
            *value = (struct iceberg_value){.type = ICEBERG_LONG, .integer = number};
            *leaf = (struct iceberg_expression){
                .op = ICEBERG_EQUAL, .field_id = field->id, .values = value, .value_count = 1};
            return leaf;
        }
    }
    return NULL;
}

TEST(scan, plans_are_the_same_with_cache_and_threads)
{
    /* Goal: cold, from the cache and by several threads, one plan. Method: all sample tables, with
     * and without a filter, with and without metrics, compared byte for byte. */
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct slice files[200];
    size_t count = list_tables(&sample, files, ARRAY_COUNT(files));
    uint64_t deletes = 0;
    CHECK(count > 30);
    for (size_t i = 0; i < count * 4; i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "plans", 0);
        struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
        struct buf expected CLEANUP(buf_fini) = {0};
        struct table table;
        struct iceberg_scan_plan plan;
        CHECK_OK(iceberg_manifest_cache_open(64 << 20, &cache, NULL));
        table_load(&table, &io, files[i / 4], arena);
        table.options.want_metrics = (i & 1) != 0;
        table.options.filter = (i & 2) != 0 ? make_filter(table.options.schema, 5, arena) : NULL;
        CHECK_OK(iceberg_scan_plan(&table.options, arena, &plan, NULL));
        print_plan(&plan, &expected);
        deletes += plan.delete_count;
        table.options.cache = cache;
        for (unsigned round = 0; round < 4; round++) {
            struct buf text CLEANUP(buf_fini) = {0};
            unsigned reads = atomic_load(&sample.reads);
            table.options.thread_count = round;
            CHECK_OK(iceberg_scan_plan(&table.options, arena, &plan, NULL));
            print_plan(&plan, &text);
            CHECK(slice_equal(buf_slice(&expected), buf_slice(&text)));
            bool is_listed =
                table.options.snapshot != NULL && table.options.snapshot->manifest_list.len > 0;
            CHECK(round == 0 || !is_listed || atomic_load(&sample.reads) == reads);
        }
    }
    CHECK(deletes > 30);
}

TEST(scan, plans_without_a_filter_hold_every_live_file)
{
    /* Goal: no file is lost, and only empty ones are left out. Method: count entries of manifests
     * read one by one. */
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct slice files[200];
    size_t count = list_tables(&sample, files, ARRAY_COUNT(files));
    for (size_t i = 0; i < count; i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "plans", 0);
        struct table table;
        struct iceberg_scan_plan plan;
        struct iceberg_manifest *manifests = NULL;
        size_t manifest_count = 0;
        size_t live = 0;
        table_load(&table, &io, files[i], arena);
        if (table.options.snapshot != NULL) {
            CHECK_OK(iceberg_manifests_load(&io, &table.metadata, table.options.snapshot, arena,
                                            &manifests, &manifest_count, NULL));
        }
        for (size_t m = 0; m < manifest_count; m++) {
            static const struct iceberg_manifest_want nothing = {0};
            struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
            struct buf bytes CLEANUP(buf_fini) = {0};
            const struct iceberg_file *file;
            CHECK_OK(io.read_all(io.context, manifests[m].path, 0, 0, &bytes, NULL));
            CHECK_OK(iceberg_manifest_open(buf_slice(&bytes), &manifests[m], &table.metadata,
                                           &nothing, &reader, NULL));
            do {
                CHECK_OK(iceberg_manifest_next(reader, &file, NULL));
                live += file != NULL && file->content == ICEBERG_DATA && file->record_count > 0;
            } while (file != NULL);
        }
        CHECK_OK(iceberg_scan_plan(&table.options, arena, &plan, NULL));
        assert_int_equal(plan.file_count, live);
        assert_int_equal(plan.counts.files_matched, live);
    }
}

TEST(scan, packed_manifests_give_back_what_was_read)
{
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    static const char *const names[] = {WITH_EVERYTHING, WITH_VECTORS, "/types/v3_all/"};
    static const struct iceberg_manifest_want all = {.all_metrics = true};
    for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "plans", 0);
        struct table table;
        struct iceberg_manifest *manifests;
        size_t count;
        table_load(&table, &io, find_table(&sample, names[n]), arena);
        CHECK_OK(iceberg_manifests_load(&io, &table.metadata, table.options.snapshot, arena,
                                        &manifests, &count, NULL));
        CHECK(count > 0);
        for (size_t m = 0; m < count; m++) {
            struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
            struct scan__pack *pack CLEANUP(scan__pack_cleanup) = NULL;
            struct scan__entries *entries CLEANUP(scan__entries_cleanup) = NULL;
            struct buf bytes CLEANUP(buf_fini) = {0};
            const struct iceberg_file *file;
            CHECK_OK(io.read_all(io.context, manifests[m].path, 0, 0, &bytes, NULL));
            CHECK_OK(
                scan__pack_build(buf_slice(&bytes), &manifests[m], &table.metadata, &pack, NULL));
            CHECK_OK(iceberg_manifest_open(buf_slice(&bytes), &manifests[m], &table.metadata, &all,
                                           &reader, NULL));
            CHECK_OK(scan__entries_open(pack, NULL, NULL, 0, &entries, NULL));
            do {
                struct buf expected CLEANUP(buf_fini) = {0};
                struct buf text CLEANUP(buf_fini) = {0};
                const struct iceberg_file *packed;
                CHECK_OK(iceberg_manifest_next(reader, &file, NULL));
                CHECK_OK(scan__entries_next(entries, &packed, NULL));
                CHECK((file == NULL) == (packed == NULL));
                if (file != NULL) {
                    CHECK_OK(scan__entries_full(entries, true, &packed, NULL));
                    print_file(file, &expected);
                    print_file(packed, &text);
                    CHECK(slice_equal(buf_slice(&expected), buf_slice(&text)));
                }
            } while (file != NULL);
        }
    }
}

/* ---- refusals ---- */

TEST(scan, a_cut_manifest_is_an_error)
{
    /* Goal: a manifest that ends early is not taken for a shorter one. */
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct table table;
    struct iceberg_scan_plan plan;
    struct errinfo info;
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    sample.is_cut = true;
    CHECK_ERR(ERR_CORRUPT, iceberg_scan_plan(&table.options, sample.arena, &plan, &info));
    CHECK(strstr(info.message, "its list says") != NULL);
}

TEST(scan, a_cancelled_plan_stops)
{
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct table table;
    struct iceberg_scan_plan plan;
    atomic_bool is_cancelled = true;
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    table.options.is_cancelled = &is_cancelled;
    table.options.thread_count = 3;
    CHECK_ERR(ERR_CANCELLED, iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
}

TEST(scan, a_filter_that_does_not_bind_is_an_error)
{
    /* Goal: a conjunct is never left out in silence: residuals would lack it. */
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct table table;
    struct iceberg_scan_plan plan;
    struct iceberg_expression leaf = {.op = ICEBERG_IS_NULL, .field_id = 4711};
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    table.options.filter = &leaf;
    CHECK_ERR(ERR_INVALID, iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
}

/* ---- faults ---- */

TEST(scan, every_failed_allocation_is_a_clean_error)
{
    static const char *const names[] = {WITH_EVERYTHING, WITH_VECTORS};
    for (size_t n = 0; n < ARRAY_COUNT(names) * 2; n++) {
        struct sample sample CLEANUP(sample_fini);
        struct iceberg_io io = sample_init(&sample);
        struct table table;
        table_load(&table, &io, find_table(&sample, names[n / 2]), sample.arena);
        table.options.filter = make_filter(table.options.schema, 5, sample.arena);
        SWEEP_ALLOC(fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
            struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
            struct iceberg_scan_plan plan = {.file_count = 77};
            struct errinfo info;
            enum err err = arena == NULL ? ERR_NOMEM : ERR_OK;
            if (err == ERR_OK && (n & 1) != 0) {
                err = iceberg_manifest_cache_open(1 << 20, &cache, &info);
                table.options.cache = cache;
            }
            if (err == ERR_OK) {
                err = iceberg_scan_plan(&table.options, arena, &plan, &info);
            }
            CHECK(err == ERR_NOMEM || (err == ERR_OK && !fault.fired));
            CHECK(plan.file_count == (err == ERR_OK ? 1u : 77u));
            table.options.cache = NULL;
        }
    }
}

TEST(scan, every_failed_read_is_a_clean_error)
{
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
    struct table table;
    CHECK_OK(iceberg_manifest_cache_open(1 << 20, &cache, NULL));
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        enum err err = ERR_IO;
        for (unsigned step = 1; err != ERR_OK; step++) {
            struct iceberg_scan_plan plan;
            struct errinfo info;
            CHECK(step < 100);
            atomic_store(&sample.reads, 0);
            sample.fail_at = step;
            table.options.thread_count = threads;
            err = iceberg_scan_plan(&table.options, sample.arena, &plan, &info);
            if (err != ERR_OK) {
                CHECK_ERR(ERR_IO, err);
                CHECK_STR("the object store hung up", info.message);
            }
            CHECK(err != ERR_OK || step > 4);
        }
    }
    /* Nothing that failed is kept: with the cache the plan comes whole in the end. */
    table.options.cache = cache;
    for (unsigned step = 1;; step++) {
        struct iceberg_scan_plan plan;
        atomic_store(&sample.reads, 0);
        sample.fail_at = 2;
        if (iceberg_scan_plan(&table.options, sample.arena, &plan, NULL) == ERR_OK) {
            CHECK(step > 2 && plan.file_count > 1 && plan.delete_count > 0);
            break;
        }
    }
}

/* ---- the cache ---- */

TEST(scan, scopes_share_nothing_and_no_scope_keeps_nothing)
{
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
    static const struct slice scopes[] = {SLICE("a"), SLICE("b"), SLICE(""), SLICE("")};
    struct table table;
    struct iceberg_scan_plan plan;
    CHECK_OK(iceberg_manifest_cache_open(8 << 20, &cache, NULL));
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    table.options.cache = cache;
    for (size_t i = 0; i < ARRAY_COUNT(scopes); i++) {
        table.options.cache_scope = scopes[i];
        CHECK_OK(iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
        CHECK(plan.counts.manifest_cache_hits == 0 && plan.counts.manifest_bytes_read > 0);
    }
    table.options.cache_scope = scopes[0];
    CHECK_OK(iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
    CHECK(plan.counts.manifest_cache_hits > 2 && plan.counts.manifest_bytes_read == 0);

    /* What is forgotten is read again, and what is another scope's stays. */
    iceberg_manifest_cache_forget(cache, scopes[0]);
    CHECK_OK(iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
    CHECK(plan.counts.manifest_cache_hits == 0 && plan.counts.manifest_bytes_read > 0);
    table.options.cache_scope = scopes[1];
    CHECK_OK(iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
    CHECK(plan.counts.manifest_cache_hits > 2 && plan.counts.manifest_bytes_read == 0);
}

struct hammer {
    struct iceberg_scan_options options;
    size_t file_count;
};

static void *plan_often(void *context)
{
    const struct hammer *hammer = context;
    for (unsigned i = 0; i < 40; i++) {
        struct arena *arena = arena_new(NULL, "plan", 0);
        struct iceberg_scan_plan plan;
        if (iceberg_scan_plan(&hammer->options, arena, &plan, NULL) != ERR_OK ||
            plan.file_count != hammer->file_count) {
            arena_free(arena);
            return context;
        }
        arena_free(arena);
    }
    return NULL;
}

TEST(scan, a_cache_too_small_for_all_serves_many_threads)
{
    /* Goal: entries in use outlive being dropped. Method: several scans at once over a cache that
     * holds a few manifests; the thread and address sanitizers look on. */
    struct sample sample CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&sample);
    struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
    struct table table;
    struct iceberg_scan_plan plan;
    pthread_t threads[4];
    CHECK_OK(iceberg_manifest_cache_open(48 << 10, &cache, NULL));
    table_load(&table, &io, find_table(&sample, WITH_EVERYTHING), sample.arena);
    CHECK_OK(iceberg_scan_plan(&table.options, sample.arena, &plan, NULL));
    table.options.cache = cache;
    table.options.thread_count = 2;
    struct hammer hammer = {.options = table.options, .file_count = plan.file_count};
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, plan_often, &hammer) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        void *failed;
        CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
}

/* ---- deletes, by the words of the specification ---- */

#define DATA_COUNT 12
#define DELETE_COUNT 14
#define PATH_COLUMN 2147483546

struct deletes_world {
    uint64_t seed;
    struct arena *arena;
    struct iceberg_partition_field fields[2];
    struct iceberg_spec specs[3]; /* unpartitioned, one field, void */
    struct iceberg_metadata metadata;
    struct iceberg_scan_options options;
    struct scan__spec plan_specs[3];
    struct scan__plan plan;
    struct iceberg_file data[DATA_COUNT];
    struct iceberg_file deletes[DELETE_COUNT];
};

static const struct iceberg_schema no_columns = {.root.id = ICEBERG_STRUCT};

static void make_specs(struct deletes_world *world)
{
    world->fields[0].transform.kind = TRANSFORM_IDENTITY;
    world->fields[1].transform.kind = TRANSFORM_VOID;
    for (int i = 0; i < 3; i++) {
        world->specs[i] = (struct iceberg_spec){
            .id = i, .fields = i == 0 ? NULL : &world->fields[i - 1], .field_count = i != 0};
        world->plan_specs[i] =
            (struct scan__spec){.spec = &world->specs[i], .is_unpartitioned = i != 1};
    }
    world->metadata.specs = world->specs;
    world->metadata.spec_count = 3;
    world->options.metadata = &world->metadata;
    world->options.schema = &no_columns;
    world->plan.options = &world->options;
    world->plan.specs = world->plan_specs;
}

static void make_delete_file(struct deletes_world *world, struct iceberg_file *file, bool is_data,
                             size_t number)
{
    struct iceberg_value *partition = arena_calloc(world->arena, 1, sizeof(*partition));
    struct iceberg_metrics *metrics = arena_calloc(world->arena, 1, sizeof(*metrics));
    CHECK(partition != NULL && metrics != NULL);
    *file = (struct iceberg_file){.sequence_number = (int64_t)test_random_below(&world->seed, 4),
                                  .spec_id = (int32_t)test_random_below(&world->seed, 3),
                                  .partition = partition,
                                  .record_count = 1};
    file->partition_count = file->spec_id == 0 ? 0 : 1;
    partition->type = ICEBERG_DOUBLE;
    static const double reals[] = {0.0, -0.0, 1.0, NAN};
    partition->real = reals[test_random_below(&world->seed, ARRAY_COUNT(reals))];
    partition->is_null = file->spec_id == 2 || test_random_below(&world->seed, 5) == 0;
    if (is_data) {
        file->path = slice_of(arena_printf(world->arena, "data-%zu", number));
        return;
    }
    file->content = (enum iceberg_content)(1 + test_random_below(&world->seed, 2));
    const struct iceberg_file *target = &world->data[test_random_below(&world->seed, DATA_COUNT)];
    uint64_t dice = test_random_below(&world->seed, 4);
    if (file->content == ICEBERG_EQUALITY_DELETES || dice == 0) {
        return;
    }
    file->spec_id = target->spec_id;
    file->partition = target->partition;
    file->partition_count = target->partition_count;
    if (dice == 1) { /* about one file, by its bounds */
        *metrics = (struct iceberg_metrics){
            .field_id = PATH_COLUMN, .lower = target->path, .upper = target->path};
        file->metrics = metrics;
        file->metrics_count = 1;
        return;
    }
    file->referenced_data_file = target->path;
    for (size_t i = 0; i < number; i++) {
        bool is_taken = world->deletes[i].format == ICEBERG_PUFFIN &&
                        slice_equal(world->deletes[i].referenced_data_file, target->path);
        dice = is_taken ? 2 : dice;
    }
    if (dice == 3) {
        file->format = ICEBERG_PUFFIN;
        file->sequence_number =
            target->sequence_number + (int64_t)test_random_below(&world->seed, 3);
    }
}

static bool same_partition(const struct iceberg_file *a, const struct iceberg_file *b)
{
    if (a->spec_id != b->spec_id) {
        return false;
    }
    for (size_t i = 0; i < a->partition_count; i++) {
        const struct iceberg_value *left = &a->partition[i];
        const struct iceberg_value *right = &b->partition[i];
        if (left->is_null || right->is_null) {
            if (left->is_null != right->is_null) {
                return false;
            }
        } else if (iceberg_value_compare(left, right) != 0) { /* bits, NaN once */
            return false;
        }
    }
    return true;
}

static bool is_about(const struct iceberg_file *delete, const struct iceberg_file *data)
{
    struct slice path =
        delete->metrics_count > 0 ? delete->metrics[0].lower : delete->referenced_data_file;
    return path.ptr == NULL || slice_equal(path, data->path);
}

/* The three rules as "Scan Planning" words them. */
static bool applies(const struct deletes_world *world, const struct iceberg_file *delete,
                    const struct iceberg_file *data)
{
    if (delete->content == ICEBERG_EQUALITY_DELETES) {
        return data->sequence_number < delete->sequence_number &&
               (same_partition(delete, data) || delete->spec_id != 1);
    }
    if (!is_about(delete, data) || data->sequence_number > delete->sequence_number ||
        !same_partition(delete, data)) {
        return false;
    }
    for (size_t i = 0; delete->format != ICEBERG_PUFFIN && i < DELETE_COUNT; i++) {
        const struct iceberg_file *vector = &world->deletes[i];
        if (vector->format == ICEBERG_PUFFIN && is_about(vector, data)) {
            return false;
        }
    }
    return true;
}

static bool has_index(const uint32_t *indices, size_t count, uint32_t index)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || indices[i - 1] < indices[i]);
        if (indices[i] == index) {
            return true;
        }
    }
    return false;
}

static uint64_t check_deletes(struct deletes_world *world)
{
    const struct iceberg_file *files[DELETE_COUNT];
    const struct scan__deletes *index;
    struct scan__targets targets;
    struct buf key CLEANUP(buf_fini) = {0};
    uint64_t found = 0;
    struct scan__task task = {
        .kept = {.files = world->data, .count = DATA_COUNT, .capacity = DATA_COUNT}};
    for (size_t i = 0; i < DELETE_COUNT; i++) {
        files[i] = &world->deletes[i];
    }
    CHECK_OK(scan__targets_build(&world->plan, &task, 1, &targets));
    CHECK_OK(scan__deletes_build(&world->plan, files, DELETE_COUNT, &index));
    for (size_t d = 0; d < DATA_COUNT; d++) {
        struct iceberg_scan_file file = {.residual = NULL};
        CHECK_OK(scan__deletes_find(&world->plan, index, &world->data[d], world->arena, &file));
        for (uint32_t i = 0; i < DELETE_COUNT; i++) {
            bool expected = applies(world, files[i], &world->data[d]);
            bool is_equality = files[i]->content == ICEBERG_EQUALITY_DELETES;
            bool is_wanted = true;
            assert_int_equal(has_index(file.deletes, file.delete_count, i),
                             expected && !is_equality);
            assert_int_equal(has_index(file.equality_deletes, file.equality_delete_count, i),
                             expected && is_equality);
            CHECK_OK(scan__targets_has(&world->plan, &targets, files[i], &key, &is_wanted));
            CHECK(is_wanted || !expected);
            found += expected;
        }
    }
    return found;
}

TEST(scan, deletes_apply_as_the_specification_says)
{
    /* Goal: the index finds what the rules say, each rule read off the spec. Method: random data
     * files and deletes in three specs, few sequence numbers and partitions, so that they meet. */
    uint64_t found = 0;
    struct deletes_world world = {.seed = test_seed()};
    for (unsigned round = 0; round < 3000; round++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "deletes", 0);
        world.arena = world.plan.scratch = arena;
        make_specs(&world);
        for (size_t i = 0; i < DATA_COUNT; i++) {
            make_delete_file(&world, &world.data[i], true, i);
        }
        memset(world.deletes, 0, sizeof(world.deletes));
        for (size_t i = 0; i < DELETE_COUNT; i++) {
            make_delete_file(&world, &world.deletes[i], false, i);
        }
        found += check_deletes(&world);
    }
    CHECK(found > 20000);
}

TEST(scan, two_vectors_of_one_file_and_foreign_partitions_are_refused)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "deletes", 0);
    struct errinfo info;
    struct deletes_world world = {.arena = arena};
    struct iceberg_scan_file result;
    const struct scan__deletes *index;
    struct iceberg_value one = {.type = ICEBERG_INT, .integer = 1};
    struct iceberg_value two = {.type = ICEBERG_INT, .integer = 2};
    make_specs(&world);
    world.plan.scratch = arena;
    world.plan.info = &info;
    struct iceberg_file data = {.path = SLICE("a"),
                                .spec_id = 1,
                                .partition = &one,
                                .partition_count = 1,
                                .sequence_number = 3};
    struct iceberg_file vector = {.content = ICEBERG_POSITION_DELETES,
                                  .format = ICEBERG_PUFFIN,
                                  .referenced_data_file = SLICE("a"),
                                  .spec_id = 1,
                                  .partition = &one,
                                  .partition_count = 1,
                                  .sequence_number = 3};
    const struct iceberg_file *files[] = {&vector, &vector};
    CHECK_OK(scan__deletes_build(&world.plan, files, 1, &index));
    CHECK_OK(scan__deletes_find(&world.plan, index, &data, arena, &result));
    assert_int_equal(result.delete_count, 1);
    CHECK_OK(scan__deletes_build(&world.plan, files, 2, &index));
    CHECK_ERR(ERR_CORRUPT, scan__deletes_find(&world.plan, index, &data, arena, &result));
    vector.partition = &two;
    CHECK_OK(scan__deletes_build(&world.plan, files, 1, &index));
    CHECK_ERR(ERR_CORRUPT, scan__deletes_find(&world.plan, index, &data, arena, &result));
    vector.partition = &one;
    vector.sequence_number = 2;
    CHECK_OK(scan__deletes_build(&world.plan, files, 1, &index));
    CHECK_ERR(ERR_CORRUPT, scan__deletes_find(&world.plan, index, &data, arena, &result));
}
