#include "iceberg/metadata.h"

#include <zlib.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/write.h"

#define HEAD                                                                                       \
    "{\"format-version\":2,\"table-uuid\":\"1B82E7F7-5e1c-40cc-bbfc-c6c3fb3c1fe1\",\"location\":"  \
    "\"s3://b/t/\",\"last-sequence-number\":34,\"last-updated-ms\":1602638573590,"                 \
    "\"last-column-id\":3,\"current-schema-id\":1,\"schemas\":[{\"type\":\"struct\",\"schema-id\"" \
    ":0,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"},{\"id\":9,"      \
    "\"name\":\"gone\",\"required\":false,\"type\":\"date\"}]},{\"type\":\"struct\","              \
    "\"schema-id\":1,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]}]"
#define SPECS                                                                                      \
    ",\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"x\","      \
    "\"transform\":\"bucket[4]\",\"source-id\":1,\"field-id\":1000}]}],\"last-partition-id\":1000"
#define ORDERS                                                                                     \
    ",\"default-sort-order-id\":3,\"sort-orders\":[{\"order-id\":3,\"fields\":[{\"transform\":"    \
    "\"identity\",\"source-id\":1,\"direction\":\"desc\",\"null-order\":\"nulls-first\"}]}]"
#define SNAPSHOTS                                                                                  \
    ",\"current-snapshot-id\":30,\"snapshots\":[{\"snapshot-id\":30,\"parent-snapshot-id\":20,"    \
    "\"timestamp-ms\":3000,\"sequence-number\":3,\"summary\":{\"operation\":\"append\",\"a\":"     \
    "\"\\u00e9\"},\"manifest-list\":\"s3://b/3.avro\",\"schema-id\":1},{\"snapshot-id\":10,"       \
    "\"timestamp-ms\":1000,\"sequence-number\":1,\"summary\":{\"operation\":\"append\"},"          \
    "\"manifest-list\":\"s3://b/1.avro\",\"schema-id\":0}],\"snapshot-log\":[{\"snapshot-id\":10," \
    "\"timestamp-ms\":1000},{\"snapshot-id\":20,\"timestamp-ms\":2000},{\"snapshot-id\":30,"       \
    "\"timestamp-ms\":3000}],\"refs\":{\"main\":{\"snapshot-id\":30,\"type\":\"branch\"},"         \
    "\"release\":{\"snapshot-id\":10,\"type\":\"tag\",\"max-ref-age-ms\":10}}"
#define STATISTICS                                                                                 \
    ",\"statistics\":[{\"snapshot-id\":30,\"statistics-path\":\"s3://b/s.puffin\","                \
    "\"file-size-in-bytes\":413,\"file-footer-size-in-bytes\":42,\"blob-metadata\":[{\"type\":"    \
    "\"ndv\",\"snapshot-id\":30,\"sequence-number\":3,\"fields\":[1],\"properties\":{\"ndv\":"     \
    "\"5\"}}]}],\"partition-statistics\":[{\"snapshot-id\":30,\"statistics-path\":\"s3://b/p\","   \
    "\"file-size-in-bytes\":43}],\"metadata-log\":[{\"timestamp-ms\":1,\"metadata-file\":"         \
    "\"s3://b/v1\"}]"

static const char whole_text[] = HEAD SPECS ORDERS SNAPSHOTS STATISTICS ",\"news\":{\"a\":1}}";

static enum err parse(struct arena *arena, const char *text, struct iceberg_metadata *ret_metadata,
                      struct errinfo *info)
{
    return iceberg_metadata_parse(slice_of(text), arena, ret_metadata, info);
}

TEST(metadata, reads_every_member)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata m;
    CHECK_OK(parse(arena, whole_text, &m, NULL));
    CHECK_SLICE("1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1", m.uuid);
    CHECK_SLICE("s3://b/t", m.location);
    CHECK(m.format_version == 2 && m.last_sequence_number == 34 && m.last_column_id == 3);
    CHECK(iceberg_metadata_current_schema(&m)->root.field_count == 1);
    CHECK(iceberg_metadata_field(&m, 9)->type.id == ICEBERG_DATE);
    CHECK(iceberg_metadata_field(&m, 2) == NULL);
    CHECK(iceberg_metadata_spec(&m, 0)->fields[0].transform.width == 4);
    CHECK(iceberg_metadata_spec(&m, 1) == NULL);
    CHECK(m.sort_orders[0].fields[0].is_descending && !m.sort_orders[0].fields[0].is_nulls_last);
    CHECK(m.snapshot_count == 2 && iceberg_metadata_snapshot(&m, 10)->sequence_number == 1);
    CHECK(iceberg_metadata_snapshot(&m, 20) == NULL);
    CHECK(m.snapshots[0].parent_id == 20 && m.snapshots[1].parent_id == ICEBERG_NO_ID);
    CHECK_SLICE("append", m.snapshots[0].operation);
    CHECK_SLICE("\xC3\xA9", m.snapshots[0].summary[1].value);
    const struct iceberg_ref *tag = iceberg_metadata_ref(&m, SLICE("release"));
    CHECK(tag->is_tag && tag->max_ref_age_ms == 10 && tag->max_snapshot_age_ms == ICEBERG_NO_ID);
    CHECK(iceberg_ref_schema(&m, tag)->id == 0);
    CHECK(iceberg_ref_schema(&m, iceberg_metadata_ref(&m, SLICE("main")))->id == 1);
    CHECK(m.statistics[0].footer_size_bytes == 42 && m.statistics[0].blobs[0].field_ids[0] == 1);
    CHECK(m.partition_statistics[0].footer_size_bytes == ICEBERG_NO_ID);
    CHECK_SLICE("s3://b/v1", m.metadata_log[0].file);
    CHECK(m.snapshot_log_count == 3 && m.property_count == 0 && !m.has_encryption_keys);
}

TEST(metadata, fields_of_several_columns_are_written_as_they_were)
{
    /* Goal: a spec and an order whose transforms take several columns: no transform of ours, though
     * one is called as one is, and their JSON is the same again. */
    static const char spec[] = "[{\"name\":\"both\",\"transform\":\"bucket[4]\",\"source-ids\":"
                               "[2,1],\"field-id\":1000},{\"name\":\"one\",\"transform\":"
                               "\"identity\",\"source-id\":1,\"field-id\":1001}]";
    static const char order[] = "[{\"transform\":\"zorder\",\"source-ids\":[1,2],\"direction\":"
                                "\"asc\",\"null-order\":\"nulls-last\"},{\"transform\":"
                                "\"identity\",\"source-id\":2,\"direction\":\"desc\","
                                "\"null-order\":\"nulls-first\"}]";
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf again CLEANUP(buf_fini) = {0};
    struct iceberg_metadata m;
    buf_printf(&text,
               HEAD ",\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":%s}],"
                    "\"last-partition-id\":1001,\"default-sort-order-id\":1,\"sort-orders\":"
                    "[{\"order-id\":1,\"fields\":%s}]}",
               spec, order);
    CHECK_OK(parse(arena, buf_cstr(&text), &m, NULL));
    CHECK(m.specs[0].fields[0].transform.kind == TRANSFORM_OTHER);
    CHECK(m.specs[0].fields[0].source_count == 2 && m.specs[0].fields[0].source_ids[0] == 2);
    iceberg_spec_write_fields(&m.specs[0], &again);
    CHECK_STR(spec, buf_cstr(&again));
    buf_reset(&again);
    iceberg_sort_write_fields(m.sort_orders[0].fields, m.sort_orders[0].field_count, &again);
    CHECK_STR(order, buf_cstr(&again));
}

TEST(metadata, reads_what_version_1_left_out)
{
    /* Goal: a table written before there were lists of schemas, specs or refs. */
    static const char old[] =
        "{\"format-version\":1,\"location\":\"s3://b/t\",\"last-updated-ms\":1,\"last-column-id\":"
        "2,\"schema\":{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":true,"
        "\"type\":\"int\"},{\"id\":2,\"name\":\"b\",\"required\":true,\"type\":\"int\"}]},"
        "\"partition-spec\":[{\"name\":\"a\",\"transform\":\"identity\",\"source-id\":1},{\"name\":"
        "\"b\",\"transform\":\"void\",\"source-id\":2}],\"current-snapshot-id\":7,\"snapshots\":[{"
        "\"snapshot-id\":7,\"timestamp-ms\":5,\"manifests\":[\"s3://b/m1\",\"s3://b/m2\"]}]}";
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata m;
    CHECK_OK(parse(arena, old, &m, NULL));
    CHECK(m.uuid.len == 0 && m.schema_count == 1 && m.current_schema_id == 0);
    CHECK(m.specs[0].fields[0].field_id == 1000 && m.specs[0].fields[1].field_id == 1001);
    CHECK(m.last_partition_id == 1001 && m.sort_order_count == 1);
    CHECK(m.snapshots[0].manifest_count == 2 && m.snapshots[0].sequence_number == 0);
    CHECK(m.ref_count == 1 && m.refs[0].snapshot_id == 7);
    CHECK_SLICE("main", m.refs[0].name);
    CHECK(iceberg_snapshot_schema(&m, &m.snapshots[0]) == &m.schemas[0]);
}

TEST(metadata, says_where_it_is_wrong)
{
    static const struct {
        const char *text;
        enum err err;
        const char *message;
    } cases[] = {
        {"{", ERR_CORRUPT, "table metadata is no JSON document"},
        {"[]", ERR_CORRUPT, "\"$\" is not an object"},
        {"{\"format-version\":4}", ERR_UNSUPPORTED,
         "\"$\" is a table of format version 4; this program reads up to 3"},
        {HEAD "}", ERR_CORRUPT, "\"$.partition-specs\" is missing"},
        {HEAD ",\"default-spec-id\":1,\"partition-specs\":[]}", ERR_CORRUPT,
         "\"$.default-spec-id\" is 1, but no partition spec has that id"},
        {HEAD ",\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":"
              "\"x\",\"transform\":\"bucket[]\",\"source-id\":1,\"field-id\":1000}]}]}",
         ERR_CORRUPT, "\"$.partition-specs[0].fields[0].transform\" is no transform"},
        {HEAD SPECS ORDERS ",\"current-snapshot-id\":5}", ERR_CORRUPT,
         "\"$.current-snapshot-id\" is 5, but there is no such snapshot"},
        {HEAD SPECS ORDERS ",\"snapshots\":[{\"snapshot-id\":1,\"timestamp-ms\":1,"
                           "\"sequence-number\":35,\"manifest-list\":\"x\"}]}",
         ERR_CORRUPT, "\"$.snapshots[0]\" has sequence number 35, above the table's last, 34"},
        {HEAD SPECS ORDERS ",\"snapshots\":[{\"snapshot-id\":1,\"timestamp-ms\":1}]}", ERR_CORRUPT,
         "\"$.snapshots[0]\" names no manifest list"},
        {HEAD SPECS ORDERS ",\"snapshots\":[{\"snapshot-id\":1,\"timestamp-ms\":1,"
                           "\"manifest-list\":\"x\"},{\"snapshot-id\":1,\"timestamp-ms\":1,"
                           "\"manifest-list\":\"x\"}]}",
         ERR_CORRUPT, "\"$.snapshots\" has two snapshots with id 1"},
        {HEAD SPECS ORDERS ",\"refs\":{\"t\":{\"snapshot-id\":1,\"type\":\"tag\"}}}", ERR_CORRUPT,
         "\"$.refs.t\" refers to snapshot 1, which does not exist"},
        {HEAD SPECS ORDERS ",\"snapshots\":[{\"snapshot-id\":1,\"timestamp-ms\":1,"
                           "\"manifest-list\":\"x\"}],\"refs\":{\"main\":{\"snapshot-id\":1,"
                           "\"type\":\"branch\"}}}",
         ERR_CORRUPT, "\"$.refs\" has a \"main\" that is not a branch at the current snapshot"},
        {HEAD SPECS ORDERS ",\"statistics\":[{\"snapshot-id\":1}]}", ERR_CORRUPT,
         "\"$.statistics[0].statistics-path\" is missing"},
        {HEAD SPECS ORDERS ",\"properties\":{\"a\":1}}", ERR_CORRUPT,
         "\"$.properties.a\" is not a string"},
        {HEAD SPECS ORDERS ",\"location\":\"x\"}", ERR_CORRUPT,
         "\"$\" has the member \"location\" twice"},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct iceberg_metadata m;
        struct errinfo info;
        errinfo_init(&info);
        CHECK_ERR(cases[i].err, parse(arena, cases[i].text, &m, &info));
        if (strncmp(info.message, cases[i].message, strlen(cases[i].message)) != 0) {
            CHECK_STR(cases[i].message, info.message);
        }
    }
}

static void gzip(const char *text, size_t member_count, struct buf *out)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < member_count; i++) {
        size_t begin = len * i / member_count;
        size_t end = len * (i + 1) / member_count;
        z_stream stream = {0};
        CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, 0) == Z_OK);
        stream.next_in = (z_const Bytef *)(uintptr_t)(text + begin);
        stream.avail_in = (uInt)(end - begin);
        char *room = buf_reserve(out, len + 1024);
        CHECK(room != NULL);
        stream.next_out = (Bytef *)room;
        stream.avail_out = (uInt)len + 1024;
        CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
        out->len += stream.total_out;
        CHECK(deflateEnd(&stream) == Z_OK);
    }
}

TEST(metadata, reads_gzip_and_knows_when_it_is_cut)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata m;
    for (size_t members = 1; members <= 3; members++) {
        struct buf packed CLEANUP(buf_fini) = {0};
        gzip(whole_text, members, &packed);
        CHECK_OK(iceberg_metadata_parse(buf_slice(&packed), arena, &m, NULL));
        CHECK(m.snapshot_count == 2);
        for (size_t len = 2; len < packed.len; len += 7) {
            struct slice cut = {packed.ptr, len};
            CHECK_ERR(ERR_CORRUPT, iceberg_metadata_parse(cut, arena, &m, NULL));
        }
    }
}

TEST(metadata, every_allocation_may_fail)
{
    struct buf packed CLEANUP(buf_fini) = {0};
    gzip(whole_text, 1, &packed);
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        struct iceberg_metadata m;
        enum err err =
            arena == NULL ? ERR_NOMEM : iceberg_metadata_parse(buf_slice(&packed), arena, &m, NULL);
        CHECK(err == ERR_NOMEM || (err == ERR_OK && m.snapshot_count == 2));
        CHECK(fault.fired == (err != ERR_OK));
    }
}

TEST(metadata, loads_local_files)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_io io = iceberg_io_local();
    struct iceberg_metadata m;
    char *path = io_join(arena, test_folder(), "a%2Fb.metadata.json");
    CHECK_OK(io_write_file_atomic(path, slice_of(whole_text), 0600, NULL));
    static const char *const prefixes[] = {"", "file:", "file://", "file://localhost"};
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        struct slice location = slice_of(arena_printf(arena, "%s%s", prefixes[i], path));
        uint64_t size = 0;
        char head[8];
        CHECK_OK(iceberg_metadata_load(&io, location, arena, &m, NULL));
        CHECK_OK(io.size(io.context, location, &size, NULL));
        CHECK(size == strlen(whole_text));
        CHECK_OK(io.read_range(io.context, location, 2, 6, head, NULL));
        CHECK(memcmp(head, "format", 6) == 0);
        CHECK_ERR(ERR_CORRUPT, io.read_range(io.context, location, size - 3, 6, head, NULL));
    }
    CHECK_ERR(ERR_NOT_FOUND, iceberg_metadata_load(&io, SLICE("/none/x"), arena, &m, NULL));
    CHECK_ERR(ERR_UNSUPPORTED, iceberg_metadata_load(&io, SLICE("s3://b/x"), arena, &m, NULL));
    CHECK_ERR(ERR_UNSUPPORTED, iceberg_metadata_load(&io, SLICE("file://host/x"), arena, &m, NULL));
    CHECK_ERR(ERR_UNSUPPORTED, iceberg_metadata_load(&io, SLICE("x"), arena, &m, NULL));
    SWEEP_IO(fault)
    {
        enum err err = iceberg_metadata_load(&io, slice_of(path), arena, &m, NULL);
        CHECK(err == ERR_IO || err == ERR_OK);
    }
}

/* ---- time travel ---- */

TEST(travel, finds_or_says_what_lives)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata m;
    const struct iceberg_snapshot *snapshot = NULL;
    struct errinfo info;
    errinfo_init(&info);
    CHECK_OK(parse(arena, whole_text, &m, NULL));
    CHECK_OK(iceberg_travel_to_id(&m, 10, &snapshot, NULL));
    CHECK(snapshot->id == 10);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_id(&m, 20, &snapshot, &info));
    CHECK_STR("snapshot 20 has expired", info.message);
    CHECK_STR("The nearest living snapshot is 30 of 1970-01-01 00:00:03.000 UTC.", info.hint);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_id(&m, 99, &snapshot, &info));
    CHECK_STR("snapshot 99 does not exist", info.message);

    CHECK_OK(iceberg_travel_to_time(&m, 1000, &snapshot, NULL));
    CHECK(snapshot->id == 10);
    CHECK_OK(iceberg_travel_to_time(&m, 1999, &snapshot, NULL));
    CHECK(snapshot->id == 10);
    CHECK_OK(iceberg_travel_to_time(&m, INT64_MAX, &snapshot, NULL));
    CHECK(snapshot->id == 30);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_time(&m, 2500, &snapshot, &info));
    CHECK_STR("snapshot 20, which was current at 1970-01-01 00:00:02.500 UTC, has expired",
              info.message);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_time(&m, 999, &snapshot, &info));
    CHECK_STR("The oldest living snapshot is 10 of 1970-01-01 00:00:01.000 UTC.", info.hint);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_time(&m, INT64_MIN, &snapshot, &info));

    CHECK_OK(iceberg_travel_to_ref(&m, SLICE("release"), &snapshot, NULL));
    CHECK(snapshot->id == 10);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_ref(&m, SLICE("relaese"), &snapshot, &info));
    CHECK_STR("Did you mean \"release\"?", info.hint);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_ref(&m, SLICE("nightly"), &snapshot, &info));
    CHECK_STR("Branches and tags are \"main\", \"release\".", info.hint);
}

TEST(travel, of_a_table_without_snapshots)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata m;
    const struct iceberg_snapshot *snapshot = NULL;
    struct errinfo info;
    CHECK_OK(parse(arena, HEAD SPECS ORDERS ",\"current-snapshot-id\":-1}", &m, NULL));
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_id(&m, 1, &snapshot, &info));
    CHECK_STR("The table has no snapshots yet.", info.hint);
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_time(&m, 1, &snapshot, &info));
    CHECK_ERR(ERR_NOT_FOUND, iceberg_travel_to_ref(&m, SLICE("main"), &snapshot, &info));
}

/* ---- name mapping ---- */

TEST(name_mapping, example_of_the_spec)
{
    static const char text[] =
        "[ { \"field-id\": 1, \"names\": [\"id\", \"record_id\"] }, { \"field-id\": 2, \"names\": "
        "[\"data\"] }, { \"names\": [\"location\"], \"fields\": [ { \"field-id\": 4, \"names\": "
        "[\"latitude\", \"lat\"] }, { \"field-id\": 5, \"names\": [] } ] } ]";
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_name_mapping mapping;
    struct errinfo info;
    CHECK_OK(iceberg_name_mapping_parse(slice_of(text), arena, &mapping, NULL));
    CHECK(mapping.field_count == 3 && mapping.fields[0].name_count == 2);
    CHECK_SLICE("record_id", mapping.fields[0].names[1]);
    CHECK(mapping.fields[2].field_id == ICEBERG_NO_ID);
    CHECK(mapping.fields[2].children.fields[0].field_id == 4);
    CHECK(mapping.fields[2].children.fields[1].name_count == 0);
    CHECK_ERR(ERR_CORRUPT,
              iceberg_name_mapping_parse(
                  SLICE("[{\"names\":[\"a\"],\"field-id\":1},{\"names\":[\"b\",\"a\"]}]"), arena,
                  &mapping, &info));
    CHECK_STR("\"$\" gives the name \"a\" twice", info.message);
    CHECK_ERR(ERR_CORRUPT,
              iceberg_name_mapping_parse(SLICE("[{\"field-id\":1}]"), arena, &mapping, &info));
    CHECK_STR("\"$[0].names\" is missing", info.message);
    CHECK_ERR(ERR_CORRUPT, iceberg_name_mapping_parse(SLICE("{}"), arena, &mapping, NULL));
    SWEEP_ALLOC(fault)
    {
        struct arena *inner CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        enum err err = inner == NULL
                           ? ERR_NOMEM
                           : iceberg_name_mapping_parse(slice_of(text), inner, &mapping, NULL);
        CHECK(err == ERR_NOMEM || err == ERR_OK);
    }
}

/* ---- views ---- */

TEST(view, example_of_the_spec)
{
    static const char text[] =
        "{\"view-uuid\":\"fa6506c3-7681-40c8-86dc-e36561f83385\",\"format-version\":1,\"location\":"
        "\"s3://bucket/warehouse/default.db/event_agg\",\"current-version-id\":2,\"properties\":"
        "{\"comment\":\"Daily event counts\"},\"versions\":[{\"version-id\":1,\"timestamp-ms\":"
        "1573518431292,\"schema-id\":1,\"default-catalog\":\"prod\",\"default-namespace\":["
        "\"default\"],\"summary\":{\"engine-name\":\"Spark\"},\"representations\":[{\"type\":"
        "\"sql\",\"sql\":\"SELECT 1\",\"dialect\":\"spark\"}]},{\"version-id\":2,\"timestamp-ms\":"
        "1573518981593,\"schema-id\":1,\"default-namespace\":[],\"summary\":{},"
        "\"representations\":[{\"type\":\"sql\",\"sql\":\"SELECT 2\",\"dialect\":\"spark\"},"
        "{\"type\":\"plan\"},{\"type\":\"sql\",\"sql\":\"SELECT 3\",\"dialect\":\"trino\"}]}],"
        "\"schemas\":[{\"schema-id\":1,\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":"
        "\"event_count\",\"required\":false,\"type\":\"int\",\"doc\":\"Count of events\"}]}],"
        "\"version-log\":[{\"timestamp-ms\":1573518431292,\"version-id\":1}]}";
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_view view;
    struct errinfo info;
    CHECK_OK(iceberg_view_parse(slice_of(text), arena, &view, NULL));
    const struct iceberg_view_version *version = iceberg_view_current(&view);
    CHECK(version->id == 2 && version->representation_count == 2);
    CHECK_SLICE("trino", version->representations[1].dialect);
    CHECK(version->default_catalog.len == 0 && view.log_count == 1);
    CHECK_SLICE("prod", view.versions[0].default_catalog);
    CHECK_SLICE("default", view.versions[0].default_namespace[0]);
    CHECK(iceberg_view_schema(&view, version->schema_id)->root.field_count == 1);
    CHECK_ERR(ERR_UNSUPPORTED,
              iceberg_view_parse(SLICE("{\"format-version\":2}"), arena, &view, &info));
    SWEEP_ALLOC(fault)
    {
        struct arena *inner CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        enum err err =
            inner == NULL ? ERR_NOMEM : iceberg_view_parse(slice_of(text), inner, &view, NULL);
        CHECK(err == ERR_NOMEM || err == ERR_OK);
    }
}
