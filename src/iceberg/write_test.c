#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/manifest_writer_int.h"
#include "iceberg/write.h"

/* ---- a store in memory ---- */

struct memory_object {
    char *location;
    struct buf bytes;
};

struct memory {
    struct memory_object objects[256];
    size_t count;
};

static struct memory_object *find_object(struct memory *memory, struct slice location)
{
    for (size_t i = 0; i < memory->count; i++) {
        if (slice_equal(slice_of(memory->objects[i].location), location)) {
            return &memory->objects[i];
        }
    }
    return NULL;
}

static enum err memory_create(void *context, struct slice location, struct slice bytes,
                              struct errinfo *info)
{
    struct memory *memory = context;
    if (fault_hit_io()) {
        return errinfo_set(info, ERR_IO, NULL, "made to fail");
    }
    if (find_object(memory, location) != NULL) {
        return errinfo_set(info, ERR_EXISTS, NULL, "it is there");
    }
    ASSERT(memory->count < ARRAY_COUNT(memory->objects));
    struct memory_object *object = &memory->objects[memory->count];
    *object = (struct memory_object){.location = mem_slicedup(location)};
    buf_append_slice(&object->bytes, bytes);
    if (object->location == NULL || buf_failed(&object->bytes)) {
        mem_free(object->location);
        buf_fini(&object->bytes);
        return errinfo_nomem(info);
    }
    memory->count++;
    return ERR_OK;
}

static enum err memory_remove(void *context, struct slice location, UNUSED struct errinfo *info)
{
    struct memory *memory = context;
    struct memory_object *object = find_object(memory, location);
    if (object != NULL) {
        mem_free(object->location);
        buf_fini(&object->bytes);
        *object = memory->objects[--memory->count];
    }
    return ERR_OK;
}

static enum err memory_read(void *context, struct slice location, UNUSED uint64_t size_hint,
                            UNUSED uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    const struct memory_object *object = find_object(context, location);
    if (object == NULL) {
        return errinfo_set(info, ERR_NOT_FOUND, NULL, "no object");
    }
    buf_append_slice(ret_bytes, buf_slice(&object->bytes));
    return buf_failed(ret_bytes) ? errinfo_nomem(info) : ERR_OK;
}

static void memory_fini(struct memory *memory)
{
    while (memory->count > 0) {
        CHECK_OK(
            memory_remove(memory, slice_of(memory->objects[memory->count - 1].location), NULL));
    }
}

static struct iceberg_io memory_io(struct memory *memory)
{
    return (struct iceberg_io){.context = memory, .read_all = memory_read};
}

static struct iceberg_output memory_output(struct memory *memory)
{
    return (struct iceberg_output){memory, memory_create, memory_remove};
}

/* ---- manifests ---- */

static struct slice random_text(uint64_t *seed, struct arena *arena, size_t len)
{
    char *text = arena_alloc(arena, len + 1);
    ASSERT(text != NULL);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + test_random_below(seed, 26));
    }
    return (struct slice){text, len};
}

static int64_t random_or_none(uint64_t *seed, uint64_t bound)
{
    return test_random_below(seed, 4) == 0 ? ICEBERG_NO_ID
                                           : (int64_t)test_random_below(seed, bound);
}

static struct slice random_bytes_or_none(uint64_t *seed, struct arena *arena)
{
    return test_random_below(seed, 3) == 0 ? (struct slice){NULL, 0}
                                           : random_text(seed, arena, test_random_below(seed, 20));
}

/* A tuple of spec 1 of the made table: one of each type. */
static const struct iceberg_value *random_tuple(uint64_t *seed, struct arena *arena)
{
    static const enum iceberg_type_id types[] = {ICEBERG_BOOLEAN, ICEBERG_INT,     ICEBERG_FLOAT,
                                                 ICEBERG_DOUBLE,  ICEBERG_DECIMAL, ICEBERG_STRING,
                                                 ICEBERG_UUID,    ICEBERG_FIXED,   ICEBERG_BINARY,
                                                 ICEBERG_INT,     ICEBERG_DATE};
    struct iceberg_value *values = arena_calloc(arena, ARRAY_COUNT(types), sizeof(*values));
    ASSERT(values != NULL);
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        struct iceberg_value *value = &values[i];
        uint64_t any = test_random(seed);
        value->type = types[i];
        value->is_null = any % 5 == 0 || types[i] == ICEBERG_BINARY; /* which is void */
        value->boolean = any % 2 == 0;
        value->integer = (int32_t)any;
        value->real = types[i] == ICEBERG_FLOAT ? (float)(int8_t)any / 4 : (double)(int16_t)any / 8;
        value->decimal = (int64_t)(any % 2000000000) - 1000000000;
        value->precision = 9;
        value->scale = 2;
        value->bytes = random_text(seed, arena,
                                   types[i] == ICEBERG_UUID    ? 16
                                   : types[i] == ICEBERG_FIXED ? 3
                                                               : any % 9);
    }
    return values;
}

static struct iceberg_file random_file(uint64_t *seed, struct arena *arena)
{
    size_t count = test_random_below(seed, 6);
    struct iceberg_metrics *metrics = arena_calloc(arena, count + 1, sizeof(*metrics));
    int64_t *splits = arena_calloc(arena, 4, sizeof(*splits));
    ASSERT(metrics != NULL && splits != NULL);
    for (size_t i = 0; i < count; i++) {
        metrics[i] = (struct iceberg_metrics){.field_id = (int32_t)i + 1,
                                              .size_bytes = random_or_none(seed, 1u << 30),
                                              .value_count = random_or_none(seed, 1u << 30),
                                              .null_count = random_or_none(seed, 1u << 30),
                                              .nan_count = random_or_none(seed, 1u << 30),
                                              .lower = random_bytes_or_none(seed, arena),
                                              .upper = random_bytes_or_none(seed, arena)};
    }
    for (int64_t i = 0; i < 4; i++) {
        splits[i] = 4 + i * 1000;
    }
    return (struct iceberg_file){.status = (enum iceberg_entry_status)test_random_below(seed, 3),
                                 .content = ICEBERG_DATA,
                                 .format = ICEBERG_PARQUET,
                                 .snapshot_id = 77,
                                 .sequence_number = (int64_t)test_random_below(seed, 9),
                                 .file_sequence_number = (int64_t)test_random_below(seed, 9),
                                 .path = random_text(seed, arena, 30),
                                 .spec_id = 1,
                                 .partition = random_tuple(seed, arena),
                                 .partition_count = 11,
                                 .record_count = (int64_t)test_random_below(seed, 1000),
                                 .size_bytes = (int64_t)test_random_below(seed, 1000000),
                                 .metrics = metrics,
                                 .metrics_count = count,
                                 .split_offsets = splits,
                                 .split_offset_count = test_random_below(seed, 5),
                                 .sort_order_id = (int32_t)random_or_none(seed, 5),
                                 .first_row_id = (int64_t)test_random_below(seed, 100),
                                 .content_offset = ICEBERG_NO_ID,
                                 .content_size_bytes = ICEBERG_NO_ID};
}

static bool is_empty(const struct iceberg_metrics *metrics)
{
    return metrics->size_bytes == ICEBERG_NO_ID && metrics->value_count == ICEBERG_NO_ID &&
           metrics->null_count == ICEBERG_NO_ID && metrics->nan_count == ICEBERG_NO_ID &&
           metrics->lower.ptr == NULL && metrics->upper.ptr == NULL;
}

static void check_metrics(const struct iceberg_file *wrote, const struct iceberg_file *read)
{
    size_t at = 0;
    for (size_t i = 0; i < wrote->metrics_count; i++) {
        const struct iceberg_metrics *a = &wrote->metrics[i];
        if (is_empty(a)) {
            continue; /* nothing of it is in the file */
        }
        CHECK(at < read->metrics_count);
        const struct iceberg_metrics *b = &read->metrics[at++];
        CHECK(a->field_id == b->field_id && a->size_bytes == b->size_bytes &&
              a->value_count == b->value_count && a->null_count == b->null_count &&
              a->nan_count == b->nan_count);
        CHECK((a->lower.ptr == NULL) == (b->lower.ptr == NULL) && slice_equal(a->lower, b->lower));
        CHECK((a->upper.ptr == NULL) == (b->upper.ptr == NULL) && slice_equal(a->upper, b->upper));
    }
    CHECK(at == read->metrics_count);
}

static void check_file(const struct iceberg_file *wrote, const struct iceberg_file *read)
{
    CHECK(wrote->status == read->status && wrote->content == read->content);
    CHECK(wrote->snapshot_id == read->snapshot_id);
    CHECK(wrote->sequence_number == read->sequence_number);
    CHECK(wrote->file_sequence_number == read->file_sequence_number);
    CHECK(slice_equal(wrote->path, read->path));
    CHECK(wrote->record_count == read->record_count && wrote->size_bytes == read->size_bytes);
    CHECK(wrote->split_offset_count == read->split_offset_count);
    CHECK(wrote->sort_order_id == read->sort_order_id);
    CHECK(wrote->first_row_id == read->first_row_id);
    CHECK(read->partition_count == wrote->partition_count);
    for (size_t i = 0; i < wrote->partition_count; i++) {
        const struct iceberg_value *a = &wrote->partition[i];
        const struct iceberg_value *b = &read->partition[i];
        CHECK(a->is_null == b->is_null);
        CHECK(a->is_null || iceberg_value_compare(a, b) == 0);
    }
    check_metrics(wrote, read);
}

TEST(iceberg_write, a_manifest_reads_as_it_was_written)
{
    /* Goal: every member of every entry survives, under each codec. Method: random entries. */
    uint64_t seed = test_seed();
    for (int round = 0; round < 60; round++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        size_t count = test_random_below(&seed, 400);
        struct iceberg_file *files = arena_calloc(arena, count + 1, sizeof(*files));
        struct iceberg_manifest manifest;
        struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
        static const struct iceberg_manifest_want all = {.all_metrics = true,
                                                         .deleted_entries = true};
        struct iceberg_manifest_write write = {
            .metadata = writer_metadata(),
            .schema = iceberg_metadata_current_schema(writer_metadata()),
            .spec = iceberg_metadata_spec(writer_metadata(), 1),
            .snapshot_id = 77,
            .sequence_number = 9,
            .codec = (enum avro_output_codec)(round % 3)};
        for (size_t i = 0; i < count; i++) {
            files[i] = random_file(&seed, arena);
        }
        CHECK_OK(iceberg_manifest_write(&write, files, count, arena, &bytes, &manifest, NULL));
        CHECK(manifest.length_bytes == (int64_t)bytes.len);
        CHECK(manifest.partition_count == 11);
        manifest.first_row_id = 0; /* as the list would say: else row ids are of no meaning */
        CHECK(manifest.added_files + manifest.existing_files + manifest.deleted_files ==
              (int64_t)count);
        CHECK_OK(iceberg_manifest_open(buf_slice(&bytes), &manifest, writer_metadata(), &all,
                                       &reader, NULL));
        for (size_t i = 0; i <= count; i++) {
            const struct iceberg_file *file;
            CHECK_OK(iceberg_manifest_next(reader, &file, NULL));
            CHECK((file == NULL) == (i == count));
            if (file != NULL) {
                check_file(&files[i], file);
            }
        }
    }
}

TEST(iceberg_write, a_list_reads_as_it_was_written)
{
    static const char lower[] = {1, 0, 0, 0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_partition_summary summaries[] = {
        {.contains_null = true, .has_nan_flag = true, .lower = {lower, 4}, .upper = {lower, 4}},
        {.contains_nan = true, .has_nan_flag = true}};
    struct iceberg_manifest manifests[] = {{.path = SLICE("/t/a"),
                                            .length_bytes = 10,
                                            .spec_id = 3,
                                            .sequence_number = 3,
                                            .min_sequence_number = 2,
                                            .added_snapshot_id = 5,
                                            .added_files = 1,
                                            .existing_files = 2,
                                            .deleted_files = 3,
                                            .added_rows = 4,
                                            .existing_rows = 5,
                                            .deleted_rows = 6,
                                            .partitions = summaries,
                                            .partition_count = 1,
                                            .first_row_id = 9},
                                           {.path = SLICE("/t/b"),
                                            .length_bytes = 11,
                                            .spec_id = 2,
                                            .is_deletes = true,
                                            .sequence_number = 1,
                                            .min_sequence_number = 1,
                                            .added_snapshot_id = 6,
                                            .partitions = &summaries[1],
                                            .partition_count = 1,
                                            .first_row_id = ICEBERG_NO_ID}};
    struct iceberg_list_write write = {3, 7, ICEBERG_NO_ID, 4, 0, AVRO_OUTPUT_DEFLATE};
    struct iceberg_manifest *read = NULL;
    size_t count = 0;
    CHECK_OK(iceberg_manifest_list_write(&write, manifests, 2, &bytes, NULL));
    CHECK_OK(iceberg_manifest_list_parse(buf_slice(&bytes), writer_metadata(), arena, &read, &count,
                                         NULL));
    CHECK(count == 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK(slice_equal(read[i].path, manifests[i].path));
        CHECK(read[i].length_bytes == manifests[i].length_bytes);
        CHECK(read[i].spec_id == manifests[i].spec_id);
        CHECK(read[i].is_deletes == manifests[i].is_deletes);
        CHECK(read[i].sequence_number == manifests[i].sequence_number);
        CHECK(read[i].min_sequence_number == manifests[i].min_sequence_number);
        CHECK(read[i].added_snapshot_id == manifests[i].added_snapshot_id);
        CHECK(read[i].added_files == manifests[i].added_files);
        CHECK(read[i].existing_files == manifests[i].existing_files);
        CHECK(read[i].deleted_files == manifests[i].deleted_files);
        CHECK(read[i].added_rows == manifests[i].added_rows);
        CHECK(read[i].existing_rows == manifests[i].existing_rows);
        CHECK(read[i].deleted_rows == manifests[i].deleted_rows);
        CHECK(read[i].first_row_id == manifests[i].first_row_id);
        CHECK(read[i].partition_count == manifests[i].partition_count);
    }
    CHECK(read[0].partitions[0].contains_null && !read[0].partitions[0].contains_nan);
    CHECK(read[1].partitions[0].contains_nan && read[1].partitions[0].lower.ptr == NULL);
    CHECK(slice_equal(read[0].partitions[0].lower, summaries[0].lower));
}

/* ---- bounds ---- */

static void check_bound(enum iceberg_type_id type, const char *value, uint32_t length,
                        bool is_upper, const char *expected)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_value from = {.type = type, .bytes = slice_of(value)};
    struct iceberg_metrics_want want = {ICEBERG_METRICS_TRUNCATE, length};
    struct slice bound;
    CHECK_OK(iceberg_metrics_bound(&from, want, is_upper, arena, &bound, NULL));
    CHECK((bound.ptr == NULL) == (expected == NULL));
    if (expected != NULL) {
        CHECK_SLICE(expected, bound);
    }
}

TEST(iceberg_write, bounds_are_cut_by_the_rules)
{
    /* Characters are code points, an upper bound is raised past all that begins with it, and where
     * nothing is higher there is none. */
    check_bound(ICEBERG_STRING, "abc", 3, true, "abc");
    check_bound(ICEBERG_STRING, "abcd", 3, false, "abc");
    check_bound(ICEBERG_STRING, "abcd", 3, true, "abd");
    check_bound(ICEBERG_STRING, "a\u00e9\u00e9\u00e9", 3, false, "a\u00e9\u00e9");
    check_bound(ICEBERG_STRING, "a\u00e9\u00e9\u00e9", 3, true, "a\u00e9\u00ea");
    check_bound(ICEBERG_STRING, "a\U0010FFFF\U0010FFFFx", 3, true, "b");
    check_bound(ICEBERG_STRING, "\U0010FFFF\U0010FFFFx", 2, true, NULL);
    check_bound(ICEBERG_STRING, "a\uD7FFx", 2, true, "a\uE000"); /* not into the surrogates */
    check_bound(ICEBERG_STRING,
                "~\x7f"
                "bcd",
                2, true, "~\xc2\x80");
    check_bound(ICEBERG_BINARY,
                "a\xff\xff"
                "b",
                3, true, "b");
    check_bound(ICEBERG_BINARY, "\xff\xff\xff", 2, true, NULL);
    check_bound(ICEBERG_BINARY, "\xff\xff\xff", 2, false, "\xff\xff");
    struct iceberg_metadata metadata = {0};
    const struct iceberg_property properties[] = {
        {SLICE("write.metadata.metrics.default"), SLICE("counts")},
        {SLICE("write.metadata.metrics.column.a.b"), SLICE("truncate(5)")},
        {SLICE("write.metadata.metrics.column.c"), SLICE("truncate(no)")},
        {SLICE("write.metadata.metrics.column.d"), SLICE("FULL")}};
    CHECK(iceberg_metrics_wanted(&metadata, SLICE("x")).length == 16);
    metadata.properties = properties;
    metadata.property_count = ARRAY_COUNT(properties);
    CHECK(iceberg_metrics_wanted(&metadata, SLICE("x")).mode == ICEBERG_METRICS_COUNTS);
    CHECK(iceberg_metrics_wanted(&metadata, SLICE("a.b")).length == 5);
    CHECK(iceberg_metrics_wanted(&metadata, SLICE("c")).mode == ICEBERG_METRICS_COUNTS);
    CHECK(iceberg_metrics_wanted(&metadata, SLICE("d")).mode == ICEBERG_METRICS_FULL);
}

/* ---- updates ---- */

static const char creation[] =
    "[{\"action\":\"assign-uuid\",\"uuid\":\"1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\"},"
    "{\"action\":\"upgrade-format-version\",\"format-version\":%u},"
    "{\"action\":\"set-location\",\"location\":\"/t\"},"
    "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\"}]}},"
    "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":0,\"fields\":["
    "{\"name\":\"a\",\"transform\":\"identity\",\"source-id\":1,\"field-id\":1000}]}},"
    "{\"action\":\"set-default-spec\",\"spec-id\":-1},"
    "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":0,\"fields\":[]}},"
    "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1},"
    "{\"action\":\"set-properties\",\"updates\":{\"write.metadata.previous-versions-max\":\"2\"}}]";

static enum err make_table(unsigned version, struct buf *document, struct errinfo *info)
{
    char text[2048];
    (void)snprintf(text, sizeof(text), creation, version);
    struct iceberg_update update = {.requirements = SLICE("[{\"type\":\"assert-create\"}]"),
                                    .updates = slice_of(text),
                                    .now_ms = 1000};
    return iceberg_update_apply(&update, document, info);
}

static enum err change_table(struct buf *document, const char *requirements, const char *updates,
                             struct errinfo *info)
{
    struct buf next CLEANUP(buf_fini) = {0};
    struct iceberg_update update = {.document = buf_slice(document),
                                    .location = SLICE("/t/metadata/before.json"),
                                    .requirements = slice_of(requirements),
                                    .updates = slice_of(updates),
                                    .now_ms = 2000};
    TRY(iceberg_update_apply(&update, &next, info));
    buf_reset(document);
    buf_append_slice(document, buf_slice(&next));
    return buf_failed(document) ? errinfo_nomem(info) : ERR_OK;
}

TEST(iceberg_write, a_table_is_made_of_updates)
{
    for (unsigned version = 1; version <= 3; version++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf document CLEANUP(buf_fini) = {0};
        struct iceberg_metadata metadata;
        CHECK_OK(make_table(version, &document, NULL));
        CHECK_OK(iceberg_metadata_parse(buf_slice(&document), arena, &metadata, NULL));
        CHECK(metadata.format_version == version && metadata.last_column_id == 1);
        CHECK(metadata.last_partition_id == 1000 && metadata.last_updated_ms == 1000);
        CHECK(metadata.current_snapshot_id == ICEBERG_NO_ID && metadata.metadata_log_count == 0);
        CHECK(metadata.schema_count == 1 && metadata.spec_count == 1);
        CHECK((slice_find(buf_slice(&document), SLICE("\"partition-spec\":")) != SIZE_MAX) ==
              (version == 1));
    }
}

TEST(iceberg_write, what_is_not_known_stays_to_the_digit)
{
    struct buf document CLEANUP(buf_fini) = {0};
    static const char odd[] = "\"x-odd\":{\"n\":1.50,\"big\":123456789012345678901234567890,"
                              "\"deep\":[{\"\\u00e9\":null}]}";
    CHECK_OK(make_table(2, &document, NULL));
    document.len--; /* the last bracket */
    buf_printf(&document, ",%s}", odd);
    for (int i = 0; i < 5; i++) {
        CHECK_OK(change_table(&document, "[]",
                              "[{\"action\":\"set-properties\",\"updates\":{\"k\":\"v\"}}]", NULL));
    }
    CHECK(slice_find(buf_slice(&document), SLICE("\"n\":1.50,")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&document), SLICE("123456789012345678901234567890")) != SIZE_MAX);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata metadata;
    CHECK_OK(iceberg_metadata_parse(buf_slice(&document), arena, &metadata, NULL));
    CHECK(metadata.metadata_log_count == 2); /* as many as the property says */
    CHECK(metadata.property_count == 2);
}

TEST(iceberg_write, an_old_table_gets_the_lists_that_it_has_not)
{
    static const char old[] =
        "{\"format-version\":1,\"table-uuid\":\"1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\","
        "\"location\":\"/t\",\"last-updated-ms\":1,\"last-column-id\":2,\"schema\":{\"type\":"
        "\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\"},"
        "{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"long\"}]},\"partition-spec\":["
        "{\"name\":\"a\",\"transform\":\"identity\",\"source-id\":1},"
        "{\"name\":\"b\",\"transform\":\"identity\",\"source-id\":2}]}";
    struct buf document CLEANUP(buf_fini) = {0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata metadata;
    buf_append_str(&document, old);
    for (int i = 0; i < 2; i++) { /* the second time they are there */
        CHECK_OK(change_table(&document, "[]",
                              "[{\"action\":\"set-properties\",\"updates\":{\"k\":\"v\"}}]", NULL));
        CHECK_OK(iceberg_metadata_parse(buf_slice(&document), arena, &metadata, NULL));
        CHECK(metadata.schema_count == 1 && metadata.spec_count == 1);
        CHECK(metadata.current_schema_id == 0 && metadata.default_spec_id == 0);
        const struct iceberg_spec *spec = iceberg_metadata_spec(&metadata, 0);
        CHECK(spec->field_count == 2 && spec->fields[1].field_id == 1001);
    }
    CHECK(slice_find(buf_slice(&document), SLICE("\"last-partition-id\":1001")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&document), SLICE("\"schemas\":[{")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&document), SLICE("\"sort-orders\":[{")) != SIZE_MAX);
}

TEST(iceberg_write, a_requirement_that_does_not_hold_changes_nothing)
{
    static const char change[] = "[{\"action\":\"set-location\",\"location\":\"/u\"}]";
    static const struct {
        const char *requirement;
        enum err err;
    } cases[] = {
        {"[{\"type\":\"assert-table-uuid\",\"uuid\":\"1B82E7F7-5e1c-40cc-bbfc-c6c3fb3c1fe1\"}]",
         ERR_OK},
        {"[{\"type\":\"assert-table-uuid\",\"uuid\":\"2b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\"}]",
         ERR_BUSY},
        {"[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":null}]", ERR_OK},
        {"[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":5}]", ERR_BUSY},
        {"[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"b\",\"snapshot-id\":null}]", ERR_OK},
        {"[{\"type\":\"assert-create\"}]", ERR_EXISTS},
        {"[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}]", ERR_OK},
        {"[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":1}]", ERR_BUSY},
        {"[{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":1}]", ERR_OK},
        {"[{\"type\":\"assert-default-spec-id\"}]", ERR_BUSY},
        {"[{\"type\":\"assert-moon\"}]", ERR_UNSUPPORTED},
        {"{}", ERR_INVALID},
        {"[", ERR_CORRUPT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf document CLEANUP(buf_fini) = {0};
        CHECK_OK(make_table(2, &document, NULL));
        CHECK_ERR(cases[i].err, change_table(&document, cases[i].requirement, change, NULL));
    }
}

TEST(iceberg_write, updates_that_break_a_table_are_refused)
{
    static const char *const cases[] = {
        "[{\"action\":\"fly\"}]",
        "[{\"action\":\"assign-uuid\",\"uuid\":\"2b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\"}]",
        "[{\"action\":\"upgrade-format-version\",\"format-version\":1}]",
        "[{\"action\":\"set-current-schema\",\"schema-id\":7}]",
        "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":0,\"fields\":[]"
        "}}]",
        "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":1,\"fields\":["
        "{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"nonsense\"}]}}]",
        "[{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
        "\"snapshot-id\":5}]",
        "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":5,\"sequence-number\":0,"
        "\"timestamp-ms\":1,\"manifest-list\":\"/l\",\"summary\":{\"operation\":\"append\"}}}]",
        "[{\"action\":\"remove-schemas\",\"schema-ids\":[0]}]",
        "[{\"action\":\"set-properties\",\"updates\":{\"a\":1}}]",
        "{\"action\":\"set-location\",\"location\":\"/u\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf document CLEANUP(buf_fini) = {0};
        CHECK_OK(make_table(2, &document, NULL));
        struct errinfo info;
        enum err err = change_table(&document, "[]", cases[i], &info);
        CHECK(err == ERR_INVALID || err == ERR_UNSUPPORTED || err == ERR_CORRUPT);
    }
}

/* ---- snapshots ---- */

static struct iceberg_file data_file(struct arena *arena, int64_t partition, int number)
{
    struct iceberg_value *value = arena_calloc(arena, 1, sizeof(*value));
    char *path = arena_printf(arena, "/t/data/%d.parquet", number);
    ASSERT(value != NULL && path != NULL);
    *value = (struct iceberg_value){.type = ICEBERG_LONG, .integer = partition};
    return (struct iceberg_file){.format = ICEBERG_PARQUET,
                                 .path = slice_of(path),
                                 .partition = value,
                                 .partition_count = 1,
                                 .record_count = 10,
                                 .size_bytes = 100,
                                 .sort_order_id = ICEBERG_NO_ID,
                                 .first_row_id = ICEBERG_NO_ID,
                                 .content_offset = ICEBERG_NO_ID,
                                 .content_size_bytes = ICEBERG_NO_ID};
}

struct change {
    const char *operation;
    const struct iceberg_file *added;
    size_t added_count;
    const struct slice *removed;
    size_t removed_count;
    bool removes_all;
};

static enum err commit(struct memory *memory, struct buf *document, const struct change *what,
                       struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "commit", 0);
    struct iceberg_metadata metadata;
    struct iceberg_snapshot_written written;
    struct iceberg_io io = memory_io(memory);
    struct iceberg_output output = memory_output(memory);
    int64_t id;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_metadata_parse(buf_slice(document), arena, &metadata, info));
    TRY(iceberg_snapshot_new_id(&metadata, &id, info));
    struct iceberg_snapshot_change change = {.io = &io,
                                             .output = &output,
                                             .metadata = &metadata,
                                             .operation = what->operation,
                                             .snapshot_id = id,
                                             .now_ms = metadata.last_updated_ms + 5,
                                             .added = what->added,
                                             .added_count = what->added_count,
                                             .removed = what->removed,
                                             .removed_count = what->removed_count,
                                             .removes_all = what->removes_all};
    enum err err = iceberg_snapshot_write(&change, arena, &written, info);
    if (err == ERR_OK) {
        char *requirements = arena_slicedup(arena, written.requirements);
        char *updates = arena_slicedup(arena, written.updates);
        err = requirements == NULL || updates == NULL
                  ? errinfo_nomem(info)
                  : change_table(document, requirements, updates, info);
    }
    for (size_t i = 0; i < written.location_count && err != ERR_OK; i++) {
        CHECK_OK(memory_remove(memory, written.locations[i], NULL));
    }
    return err;
}

/* Live files and rows by the manifests, and by what the summary says. */
static void check_live(struct memory *memory, const struct buf *document, int64_t files,
                       int64_t rows)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "live", 0);
    struct iceberg_metadata metadata;
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    struct iceberg_io io = memory_io(memory);
    static const struct iceberg_manifest_want want = {0};
    int64_t found_files = 0, found_rows = 0, said;
    CHECK_OK(iceberg_metadata_parse(buf_slice(document), arena, &metadata, NULL));
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(&metadata, metadata.current_snapshot_id);
    CHECK(snapshot != NULL);
    CHECK_OK(iceberg_manifests_load(&io, &metadata, snapshot, arena, &manifests, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
        const struct iceberg_file *file;
        CHECK_OK(io.read_all(io.context, manifests[i].path, 0, 0, &bytes, NULL));
        CHECK_OK(iceberg_manifest_open(buf_slice(&bytes), &manifests[i], &metadata, &want, &reader,
                                       NULL));
        for (;;) {
            CHECK_OK(iceberg_manifest_next(reader, &file, NULL));
            if (file == NULL) {
                break;
            }
            found_files++;
            found_rows += file->record_count;
            CHECK(metadata.format_version < 3 || file->first_row_id != ICEBERG_NO_ID);
        }
    }
    CHECK(found_files == files && found_rows == rows);
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        struct slice key = snapshot->summary[i].key;
        if (slice_equal(key, SLICE("total-data-files"))) {
            CHECK(slice_to_i64(snapshot->summary[i].value, &said) && said == files);
        } else if (slice_equal(key, SLICE("total-records"))) {
            CHECK(slice_to_i64(snapshot->summary[i].value, &said) && said == rows);
        }
    }
    CHECK(metadata.format_version < 3 || metadata.next_row_id >= rows);
}

TEST(iceberg_write, snapshots_follow_each_other)
{
    /* Goal: append, overwrite of some files and delete of all give the live files that they should,
     * in every format version. */
    for (unsigned version = 1; version <= 3; version++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct memory memory CLEANUP(memory_fini) = {0};
        struct buf document CLEANUP(buf_fini) = {0};
        struct iceberg_file first[] = {data_file(arena, 1, 1), data_file(arena, 2, 2),
                                       data_file(arena, 2, 3)};
        struct iceberg_file second[] = {data_file(arena, 5, 4)};
        struct slice removed[] = {first[1].path, second[0].path};
        struct slice gone[] = {SLICE("/t/data/never.parquet")};
        CHECK_OK(make_table(version, &document, NULL));
        CHECK_OK(commit(&memory, &document,
                        &(struct change){.operation = "append", .added = first, .added_count = 3},
                        NULL));
        check_live(&memory, &document, 3, 30);
        CHECK_OK(commit(&memory, &document,
                        &(struct change){.operation = "append", .added = second, .added_count = 1},
                        NULL));
        check_live(&memory, &document, 4, 40);
        struct iceberg_file third[] = {data_file(arena, 1, 5)};
        CHECK_OK(commit(&memory, &document,
                        &(struct change){"overwrite", third, 1, removed, 2, false}, NULL));
        check_live(&memory, &document, 3, 30);
        size_t before = memory.count;
        CHECK_ERR(ERR_BUSY, commit(&memory, &document,
                                   &(struct change){"delete", NULL, 0, removed, 1, false}, NULL));
        CHECK_ERR(ERR_BUSY, commit(&memory, &document,
                                   &(struct change){"delete", NULL, 0, gone, 1, false}, NULL));
        CHECK(memory.count == before);
        CHECK_OK(
            commit(&memory, &document, &(struct change){"delete", NULL, 0, NULL, 0, true}, NULL));
        check_live(&memory, &document, 0, 0);
        CHECK_OK(commit(&memory, &document,
                        &(struct change){.operation = "append", .added = second, .added_count = 1},
                        NULL));
        check_live(&memory, &document, 1, 10);
    }
}

TEST(iceberg_write, a_failure_leaves_the_table_as_it_was)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct memory memory CLEANUP(memory_fini) = {0};
    struct buf base CLEANUP(buf_fini) = {0};
    struct iceberg_file files[] = {data_file(arena, 1, 1), data_file(arena, 2, 2)};
    struct iceberg_file more[] = {data_file(arena, 3, 3)};
    struct slice removed[] = {files[0].path};
    struct change change = {"overwrite", more, 1, removed, 1, false};
    CHECK_OK(make_table(3, &base, NULL));
    CHECK_OK(commit(&memory, &base,
                    &(struct change){.operation = "append", .added = files, .added_count = 2},
                    NULL));
    size_t before = memory.count;
    SWEEP_ALLOC(fault)
    {
        struct buf document CLEANUP(buf_fini) = {0};
        buf_append_slice(&document, buf_slice(&base));
        enum err err =
            buf_failed(&document) ? ERR_NOMEM : commit(&memory, &document, &change, NULL);
        fault_disarm();
        CHECK(err == ERR_OK || err == ERR_NOMEM || err == ERR_INTERNAL);
        CHECK(err == ERR_OK || memory.count == before);
        if (err == ERR_OK) {
            check_live(&memory, &document, 2, 20);
            while (memory.count > before) {
                CHECK_OK(memory_remove(&memory, slice_of(memory.objects[before].location), NULL));
            }
        }
    }
    SWEEP_IO(fault)
    {
        struct buf document CLEANUP(buf_fini) = {0};
        buf_append_slice(&document, buf_slice(&base));
        enum err err = commit(&memory, &document, &change, NULL);
        fault_disarm();
        CHECK((err == ERR_OK) == !fault.fired);
        CHECK(err == ERR_OK || memory.count == before);
        while (memory.count > before) {
            CHECK_OK(memory_remove(&memory, slice_of(memory.objects[before].location), NULL));
        }
    }
}
