#include "iceberg/manifest.h"

#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/manifest_writer_int.h"

#define DAY(type) WRITER_OPTIONAL("gone", 1012, type)
#define MANY_MAX 300

static const struct slice full_tuple = {WRITER_TUPLE_BYTES, sizeof(WRITER_TUPLE_BYTES) - 1};

/* A manifest of these entries, one block. */
static void make_manifest(const char *schema, const char *codec, const char *const *metadata,
                          const struct made_entry *entries, size_t count, struct buf *out)
{
    struct buf block CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < count; i++) {
        put_entry(&block, &entries[i]);
    }
    put_header(out, schema, codec, metadata);
    put_block(out, (int64_t)count, buf_slice(&block), codec);
}

/* Copies of all entries, in `arena`. */
static enum err read_manifest(struct slice bytes, const struct iceberg_manifest *manifest,
                              const struct iceberg_manifest_want *want, struct arena *arena,
                              struct iceberg_file *ret_files, size_t *ret_count,
                              struct errinfo *info)
{
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    size_t count = 0;
    TRY(iceberg_manifest_open(bytes, manifest, writer_metadata(), want, &reader, info));
    for (;;) {
        const struct iceberg_file *file;
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file == NULL) {
            *ret_count = count;
            return ERR_OK;
        }
        if (count == MANY_MAX || !iceberg_file_copy(file, arena, &ret_files[count])) {
            return errinfo_nomem(info);
        }
        count++;
    }
}

static const struct iceberg_manifest_want want_all = {.all_metrics = true, .deleted_entries = true};

static struct iceberg_manifest data_manifest(int32_t spec_id)
{
    return (struct iceberg_manifest){.spec_id = spec_id,
                                     .sequence_number = 5,
                                     .added_snapshot_id = 77,
                                     .first_row_id = ICEBERG_NO_ID};
}

static void check_tuple(const struct iceberg_value *values)
{
    CHECK(values[0].type == ICEBERG_BOOLEAN && values[0].boolean);
    CHECK(values[1].type == ICEBERG_INT && values[1].integer == 5);
    CHECK(values[2].type == ICEBERG_FLOAT && values[2].real == 1.5);
    CHECK(values[3].type == ICEBERG_DOUBLE && values[3].real == -2.5);
    CHECK(values[4].type == ICEBERG_DECIMAL && values[4].decimal == -1230 && values[4].scale == 2);
    CHECK_SLICE("eu", values[5].bytes);
    CHECK(values[6].type == ICEBERG_UUID && values[6].bytes.len == 16 &&
          values[6].bytes.ptr[15] == 7);
    CHECK_SLICE("abc", values[7].bytes);
    CHECK(values[8].type == ICEBERG_BINARY && values[8].is_null);
    CHECK(values[9].type == ICEBERG_INT && values[9].integer == 1000);
    CHECK(values[10].type == ICEBERG_DATE && values[10].is_null && !values[9].is_null);
}

TEST(manifest, every_field_of_an_entry)
{
    /* Goal: each member is what was written, also after the manifest's bytes are gone. */
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes = {0};
    size_t count;
    struct made_entry entry = made_entry("/t/a.parquet");
    entry.status = ICEBERG_EXISTING;
    entry.snapshot_id = 42;
    entry.sequence_number = 3;
    entry.file_sequence_number = 4;
    entry.partition = full_tuple;
    entry.columns = 3;
    entry.key_metadata = "secret";
    entry.splits = 2;
    entry.sort_order_id = 1;
    make_manifest(WRITER_SCHEMA(WRITER_TUPLE), "deflate", NULL, &entry, 1, &bytes);
    struct iceberg_manifest manifest = data_manifest(1);
    manifest.length_bytes = (int64_t)bytes.len;
    CHECK_OK(read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, NULL));
    buf_fini(&bytes);
    const struct iceberg_file *file = &files[0];
    CHECK(count == 1 && file->status == ICEBERG_EXISTING && file->content == ICEBERG_DATA);
    CHECK(file->format == ICEBERG_PARQUET && file->snapshot_id == 42 && file->spec_id == 1);
    CHECK(file->sequence_number == 3 && file->file_sequence_number == 4);
    CHECK_SLICE("/t/a.parquet", file->path);
    CHECK(file->record_count == 10 && file->size_bytes == 1000 && file->sort_order_id == 1);
    CHECK(file->partition_count == 11);
    check_tuple(file->partition);
    CHECK(file->is_encrypted);
    CHECK_SLICE("secret", file->key_metadata);
    CHECK(file->split_offset_count == 2 && file->split_offsets[1] == 1004);
    CHECK(file->equality_id_count == 0 && file->first_row_id == ICEBERG_NO_ID);
    CHECK(file->referenced_data_file.ptr == NULL && file->content_offset == ICEBERG_NO_ID);
    CHECK(file->metrics_count == 3);
    for (int32_t i = 0; i < 3; i++) {
        const struct iceberg_metrics *one = &file->metrics[i];
        int64_t lower, upper;
        CHECK(one->field_id == i + 1 && one->size_bytes == i + 1 && one->value_count == i + 101);
        CHECK(one->null_count == i + 201 && one->nan_count == i + 301);
        CHECK(one->lower.len == 8 && one->upper.len == 8);
        memcpy(&lower, one->lower.ptr, 8);
        memcpy(&upper, one->upper.ptr, 8);
        CHECK(lower == i + 401 && upper == i + 501);
    }
}

TEST(manifest, deletes_say_what_they_delete)
{
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes CLEANUP(buf_fini) = {0};
    size_t count;
    struct made_entry entries[] = {made_entry("/t/eq.parquet"), made_entry("/t/dv.puffin"),
                                   made_entry("/t/pos.orc")};
    entries[0].content = ICEBERG_EQUALITY_DELETES;
    entries[0].equality_id = 9;
    entries[1].content = ICEBERG_POSITION_DELETES;
    entries[1].format = "puffin";
    entries[1].referenced = "/t/a.parquet";
    entries[1].content_offset = 4;
    entries[1].content_size_bytes = 50;
    entries[2].content = ICEBERG_POSITION_DELETES;
    entries[2].format = "orc";
    make_manifest(WRITER_SCHEMA(""), "snappy", NULL, entries, 3, &bytes);
    struct iceberg_manifest manifest = data_manifest(0);
    manifest.is_deletes = true;
    manifest.first_row_id = 9; /* not for deletes */
    CHECK_OK(read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, NULL));
    CHECK(count == 3 && files[0].equality_id_count == 1 && files[0].equality_ids[0] == 9);
    CHECK(files[1].format == ICEBERG_PUFFIN && files[1].content_offset == 4 &&
          files[1].content_size_bytes == 50);
    CHECK_SLICE("/t/a.parquet", files[1].referenced_data_file);
    CHECK(files[2].format == ICEBERG_ORC && files[2].referenced_data_file.ptr == NULL);
    for (size_t i = 0; i < 3; i++) {
        CHECK(files[i].first_row_id == ICEBERG_NO_ID && files[i].sequence_number == 5);
    }
}

TEST(manifest, what_an_entry_inherits)
{
    /* Goal: spec, "Sequence Number Inheritance" and "Snapshot ID Inheritance", each row of it. */
    static const struct {
        int64_t manifest_sequence;
        int64_t status;
        int64_t written; /* both numbers */
        enum err err;
        int64_t expected;
    } cases[] = {
        {5, ICEBERG_ADDED, WRITER_NULL, ERR_OK, 5},
        {5, ICEBERG_ADDED, 2, ERR_OK, 2},
        {5, ICEBERG_ADDED, 0, ERR_OK, 0},
        {5, ICEBERG_EXISTING, 3, ERR_OK, 3},
        {5, ICEBERG_EXISTING, WRITER_NULL, ERR_CORRUPT, 0},
        {5, ICEBERG_DELETED, WRITER_NULL, ERR_OK, ICEBERG_NO_ID},
        {0, ICEBERG_EXISTING, WRITER_NULL, ERR_OK, 0}, /* version 1 */
        {0, ICEBERG_ADDED, WRITER_NULL, ERR_OK, 0},
        {0, ICEBERG_DELETED, WRITER_NULL, ERR_OK, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        static struct iceberg_file files[MANY_MAX];
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        size_t count;
        struct made_entry entry = made_entry("/t/a");
        entry.status = cases[i].status;
        entry.sequence_number = cases[i].written;
        entry.file_sequence_number = cases[i].written;
        make_manifest(WRITER_SCHEMA(""), "null", NULL, &entry, 1, &bytes);
        struct iceberg_manifest manifest = data_manifest(0);
        manifest.sequence_number = cases[i].manifest_sequence;
        CHECK_ERR(cases[i].err, read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files,
                                              &count, NULL));
        if (cases[i].err == ERR_OK) {
            CHECK(count == 1 && files[0].sequence_number == cases[i].expected);
            CHECK(files[0].file_sequence_number == cases[i].expected);
            CHECK(files[0].snapshot_id == 77);
        }
    }
}

TEST(manifest, row_ids_run_through_the_manifest)
{
    /* Goal: spec, "First Row ID Inheritance": null takes the next id, also of existing files; one
     * of its own does not move the others; deleted files take none; without an id of the manifest
     * there are none. */
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes CLEANUP(buf_fini) = {0};
    size_t count;
    struct made_entry entries[5];
    for (size_t i = 0; i < 5; i++) {
        entries[i] = made_entry("/t/a");
        entries[i].sequence_number = 1;
        entries[i].record_count = 10 + (int64_t)i;
    }
    entries[1].first_row_id = 5000;
    entries[2].status = ICEBERG_DELETED;
    entries[3].status = ICEBERG_EXISTING;
    make_manifest(WRITER_SCHEMA(""), "null", NULL, entries, 5, &bytes);
    static const int64_t expected[] = {100, 5000, ICEBERG_NO_ID, 110, 123};
    for (int has_id = 0; has_id <= 1; has_id++) {
        struct iceberg_manifest manifest = data_manifest(0);
        manifest.first_row_id = has_id ? 100 : ICEBERG_NO_ID;
        CHECK_OK(
            read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, NULL));
        for (size_t i = 0; i < 5; i++) {
            CHECK(files[i].first_row_id == (has_id ? expected[i] : ICEBERG_NO_ID));
        }
        struct iceberg_manifest_want live = {.all_metrics = false};
        CHECK_OK(read_manifest(buf_slice(&bytes), &manifest, &live, arena, files, &count, NULL));
        CHECK(count == 4 && files[3].first_row_id == (has_id ? 123 : ICEBERG_NO_ID));
    }
    struct iceberg_manifest late = data_manifest(0);
    late.first_row_id = INT64_MAX - 5;
    CHECK_ERR(ERR_CORRUPT,
              read_manifest(buf_slice(&bytes), &late, &want_all, arena, files, &count, NULL));
}

#define TABLE_IDS 40

/* An entry with six maps of random columns; `table` says what was written last, -1 = nothing. */
static void make_statistics(uint64_t *seed, int64_t table[6][TABLE_IDS], struct buf *out)
{
    struct buf block CLEANUP(buf_fini) = {0};
    struct made_entry entry = made_entry("/t/a");
    memset(table, 0xff, 6 * sizeof(*table));
    put_entry(&block, &entry);
    block.len -= 14; /* the maps and all behind them are null: a byte each */
    for (size_t map = 0; map < 6; map++) {
        put_long(&block, 1);
        for (uint64_t items = test_random_below(seed, 30); items > 0; items--) {
            int64_t id = (int64_t)test_random_below(seed, TABLE_IDS);
            int64_t value = (int64_t)test_random_below(seed, 1u << 30);
            put_long(&block, -1); /* a run of one, with a size that nobody needs */
            put_long(&block, 20);
            put_long(&block, id);
            if (map < 4) {
                put_long(&block, value);
            } else {
                put_bytes(&block, (struct slice){(const char *)&value, sizeof(value)});
            }
            table[map][id] = value;
        }
        put_long(&block, 0);
    }
    buf_append(&block, "\0\0\0\0\0\0\0\0", 8);
    put_header(out, WRITER_SCHEMA(""), "null", NULL);
    put_block(out, 1, buf_slice(&block), "null");
}

static void check_statistics(const struct iceberg_file *file, int64_t table[6][TABLE_IDS],
                             const struct iceberg_manifest_want *want)
{
    size_t at = 0;
    for (int32_t id = 0; id < TABLE_IDS; id++) {
        bool is_wanted = want->all_metrics, is_there = false;
        for (size_t i = 0; i < want->metric_count; i++) {
            is_wanted = is_wanted || want->metric_ids[i] == id;
        }
        for (size_t map = 0; map < 6; map++) {
            is_there = is_there || table[map][id] >= 0;
        }
        if (!is_wanted || !is_there) {
            continue;
        }
        const struct iceberg_metrics *one = &file->metrics[at++];
        CHECK(one->field_id == id && one->size_bytes == table[0][id]);
        CHECK(one->value_count == table[1][id] && one->null_count == table[2][id]);
        CHECK(one->nan_count == table[3][id]);
        CHECK(table[4][id] < 0 ? one->lower.ptr == NULL
                               : memcmp(one->lower.ptr, &table[4][id], 8) == 0);
        CHECK(table[5][id] < 0 ? one->upper.ptr == NULL
                               : memcmp(one->upper.ptr, &table[5][id], 8) == 0);
    }
    CHECK(at == file->metrics_count);
}

TEST(manifest, statistics_of_wanted_columns_in_any_order)
{
    /* Goal: columns of each map in random order, some missing, some twice (the later holds), as a
     * table of what was written has them. */
    uint64_t seed = test_seed();
    for (int round = 0; round < 200; round++) {
        static struct iceberg_file files[MANY_MAX];
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        int64_t table[6][TABLE_IDS];
        int32_t ids[TABLE_IDS];
        size_t id_count = 0, count;
        make_statistics(&seed, table, &bytes);
        for (int32_t id = 0; id < TABLE_IDS; id++) {
            if (test_random_below(&seed, 3) == 0) {
                ids[id_count++] = id;
            }
        }
        struct iceberg_manifest_want want = {
            .all_metrics = round % 2 == 0, .metric_ids = ids, .metric_count = id_count};
        struct iceberg_manifest manifest = data_manifest(0);
        CHECK_OK(read_manifest(buf_slice(&bytes), &manifest, &want, arena, files, &count, NULL));
        CHECK(count == 1);
        check_statistics(&files[0], table, &want);
    }
}

/* An old version 1 manifest: no content, fields that are no more, a map as Avro has them, a tuple
 * without ids. */
#define OLD_STATUS WRITER_REQUIRED("status", 0, "\"int\"")
#define OLD_SNAPSHOT WRITER_REQUIRED("snapshot_id", 1, "\"long\"")
#define OLD_PATH WRITER_REQUIRED("file_path", 100, "\"string\"")
#define OLD_FORMAT WRITER_REQUIRED("file_format", 101, "\"string\"")
#define OLD_RECORDS WRITER_REQUIRED("record_count", 103, "\"long\"")
#define OLD_SIZE WRITER_REQUIRED("file_size_in_bytes", 104, "\"long\"")
#define OLD_BLOCK WRITER_REQUIRED("block_size_in_bytes", 105, "\"long\"")
#define OLD_COUNTS WRITER_OPTIONAL("value_counts", 109, "{\"type\":\"map\",\"values\":\"long\"}")
#define OLD_SCHEMA                                                                                 \
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[" OLD_STATUS "," OLD_SNAPSHOT    \
    ",{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\","       \
    "\"fields\":[" OLD_PATH "," OLD_FORMAT ",{\"name\":\"partition\",\"field-id\":102,\"type\":{"  \
    "\"type\":\"record\",\"name\":\"r102\",\"fields\":[{\"name\":\"gone_day\",\"type\":[\"null\"," \
    "{\"type\":\"int\",\"logicalType\":\"date\"}]}]}}," OLD_RECORDS "," OLD_SIZE "," OLD_BLOCK     \
    "," OLD_COUNTS "]}}]}"

TEST(manifest, old_manifests)
{
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf block CLEANUP(buf_fini) = {0};
    struct buf bytes CLEANUP(buf_fini) = {0};
    size_t count;
    put_long(&block, ICEBERG_EXISTING);
    put_long(&block, 12);
    put_text(&block, "/t/a.avro");
    put_text(&block, "avro");
    put_optional_long(&block, -3);
    put_long(&block, 7);
    put_long(&block, 70);
    put_long(&block, 64);
    put_long(&block, 1);
    put_long(&block, 2);
    put_text(&block, "9");
    put_long(&block, 900);
    put_text(&block, "4");
    put_long(&block, -1);
    put_long(&block, 0);
    put_header(&bytes, OLD_SCHEMA, "null", (const char *const[]){"partition-spec-id", "2", NULL});
    put_block(&bytes, 1, buf_slice(&block), "null");
    struct iceberg_manifest manifest = data_manifest(2);
    manifest.sequence_number = 0;
    CHECK_OK(read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, NULL));
    CHECK(count == 1 && files[0].content == ICEBERG_DATA && files[0].format == ICEBERG_AVRO);
    CHECK(files[0].sequence_number == 0 && files[0].snapshot_id == 12);
    CHECK(files[0].partition[0].type == ICEBERG_DATE && files[0].partition[0].integer == -3);
    CHECK(files[0].metrics_count == 2 && files[0].metrics[0].field_id == 4);
    CHECK(files[0].metrics[0].value_count == ICEBERG_NO_ID);
    CHECK(files[0].metrics[1].value_count == 900);
}

static enum err read_tuple(const char *schema, struct slice tuple, int32_t spec_id,
                           struct iceberg_value *ret_value, struct errinfo *info)
{
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes CLEANUP(buf_fini) = {0};
    size_t count;
    struct made_entry entry = made_entry("/t/a");
    entry.partition = tuple;
    struct iceberg_manifest manifest = data_manifest(spec_id);
    make_manifest(schema, "null", NULL, &entry, 1, &bytes);
    TRY(read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, info));
    *ret_value = files[0].partition[0];
    ret_value->bytes = SLICE("");
    return ERR_OK;
}

#define LONG(type) WRITER_SCHEMA(WRITER_OPTIONAL("l", 1013, type))

TEST(manifest, partition_values_of_promoted_and_of_other_types)
{
    struct slice two = {"\2\4", 2};
    struct iceberg_value value;
    struct errinfo info;
    errinfo_init(&info);
    CHECK_OK(read_tuple(LONG("\"int\""), two, 3, &value, &info));
    CHECK(value.type == ICEBERG_LONG && value.integer == 2);
    CHECK_OK(read_tuple(LONG("\"long\""), (struct slice){"\0", 1}, 3, &value, &info));
    CHECK(value.type == ICEBERG_LONG && value.is_null);
    static const char *const wrong[] = {
        LONG("\"string\""), LONG("\"double\""), LONG("{\"type\":\"int\",\"logicalType\":\"date\"}"),
        LONG("{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_ERR(ERR_CORRUPT, read_tuple(wrong[i], two, 3, &value, &info));
        CHECK_STR("a manifest's values of partition field \"l\" are not of its type long",
                  info.message);
    }
    CHECK_ERR(ERR_CORRUPT, read_tuple(WRITER_SCHEMA(""), SLICE(""), 3, &value, &info));
    CHECK_STR("a manifest's partition tuple lacks field \"l\" of its spec 3", info.message);
    /* A tuple's decimal of another scale would be another number. */
    CHECK_ERR(ERR_CORRUPT,
              read_tuple(WRITER_SCHEMA(WRITER_OPTIONAL("n", 1005,
                                                       "{\"type\":\"bytes\",\"logicalType\":"
                                                       "\"decimal\",\"precision\":9,\"scale\":3}")),
                         two, 1, &value, &info));
}

TEST(manifest, fixed_values_as_java_writes_them)
{
    /* Goal: Iceberg 1.12 declares fixed[3] and writes a length before it, which no Avro reader
     * expects. Both forms are read; a manifest with one form in one block and bytes left over is
     * neither. */
    static const char java[] = "\2\1\2\12\2\0\0\300\77\2\0\0\0\0\0\0\4\300\2\377\377\373\62\2\4eu"
                               "\2\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\2\6abc\0\2\320\17\0";
    struct slice forms[] = {full_tuple, {java, sizeof(java) - 1}};
    for (size_t f = 0; f < 2; f++) {
        static struct iceberg_file files[MANY_MAX];
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        size_t count;
        struct made_entry entries[] = {made_entry("/t/a"), made_entry("/t/b")};
        entries[0].partition = entries[1].partition = forms[f];
        struct iceberg_manifest manifest = data_manifest(1);
        make_manifest(WRITER_SCHEMA(WRITER_TUPLE), "null", NULL, entries, 2, &bytes);
        CHECK_OK(
            read_manifest(buf_slice(&bytes), &manifest, &want_all, arena, files, &count, NULL));
        CHECK(count == 2);
        check_tuple(files[0].partition);
        check_tuple(files[1].partition);
    }
}

struct refusal {
    enum err err;
    const char *message;
    struct made_entry entry;
    const char *key; /* of the header */
    const char *value;
};

static void check_refusals(const struct refusal *refusals, size_t count, bool are_deletes)
{
    for (size_t i = 0; i < count; i++) {
        static struct iceberg_file files[MANY_MAX];
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        size_t found;
        struct errinfo info;
        errinfo_init(&info);
        const char *const metadata[] = {refusals[i].key, refusals[i].value, NULL};
        struct iceberg_manifest manifest = data_manifest(0);
        manifest.is_deletes = are_deletes;
        make_manifest(WRITER_SCHEMA(""), "null", metadata, &refusals[i].entry, 1, &bytes);
        CHECK_ERR(refusals[i].err, read_manifest(buf_slice(&bytes), &manifest, &want_all, arena,
                                                 files, &found, &info));
        CHECK_STR(refusals[i].message, info.message);
    }
}

TEST(manifest, refuses_what_is_wrong_by_name)
{
    struct refusal data[14];
    for (size_t i = 0; i < ARRAY_COUNT(data); i++) {
        data[i] = (struct refusal){.err = ERR_CORRUPT, .entry = made_entry("/t/a")};
    }
    data[0].message = "a manifest is damaged: status";
    data[0].entry.status = 3;
    data[1].message = "a manifest is damaged: content";
    data[1].entry.content = ICEBERG_POSITION_DELETES;
    data[2].message = "a manifest is damaged: file_path";
    data[2].entry.path = "";
    data[3].message = "a manifest is damaged: file_path";
    data[3].entry.path = "/t/\xff";
    data[4].message = "a manifest is damaged: a number below 0";
    data[4].entry.record_count = -1;
    data[5].message = "a manifest is damaged: a number below 0";
    data[5].entry.size_bytes = -1;
    data[6].message = "a manifest is damaged: sort_order_id";
    data[6].entry.sort_order_id = INT64_C(1) << 32;
    data[7].err = ERR_UNSUPPORTED;
    data[7].message = "file format \"vortex\" is not supported";
    data[7].entry.format = "vortex";
    data[8].message = "a manifest is damaged: data_file";
    data[8].entry.partition = SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80");
    data[9].message = "a manifest has partition spec 1, its list says 0";
    data[9].key = "partition-spec-id";
    data[9].value = "1";
    data[10].message = "a manifest holds deletes, its list says data";
    data[10].key = "content";
    data[10].value = "deletes";
    data[11].err = ERR_UNSUPPORTED;
    data[11].message = "a manifest has format version \"4\", which this program does not know";
    data[11].key = "format-version";
    data[11].value = "4";
    data[12].message = "a manifest is damaged: a deletion vector that does not say where it is";
    data[12].entry.format = "puffin";
    data[13].message = "a manifest is damaged: content";
    data[13].entry.content = 3;
    check_refusals(data, ARRAY_COUNT(data), false);

    struct refusal deletes[3];
    for (size_t i = 0; i < ARRAY_COUNT(deletes); i++) {
        deletes[i] = (struct refusal){.err = ERR_CORRUPT, .entry = made_entry("/t/a")};
        deletes[i].entry.content = ICEBERG_POSITION_DELETES;
    }
    deletes[0].message = "a manifest is damaged: equality deletes without equality_ids";
    deletes[0].entry.content = ICEBERG_EQUALITY_DELETES;
    deletes[1].message = "a manifest is damaged: a deletion vector that does not say where it is";
    deletes[1].entry.format = "puffin";
    deletes[1].entry.content_offset = 4;
    deletes[1].entry.content_size_bytes = 4;
    deletes[2].message = "a manifest is damaged: content";
    deletes[2].entry.content = ICEBERG_DATA;
    check_refusals(deletes, ARRAY_COUNT(deletes), true);
}

TEST(manifest, refuses_another_length_and_encryption)
{
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    struct made_entry entry = made_entry("/t/a");
    make_manifest(WRITER_SCHEMA(""), "null", NULL, &entry, 1, &bytes);
    struct iceberg_manifest manifest = data_manifest(0);
    manifest.length_bytes = (int64_t)bytes.len + 1;
    CHECK_ERR(ERR_CORRUPT, iceberg_manifest_open(buf_slice(&bytes), &manifest, writer_metadata(),
                                                 &want_all, &reader, &info));
    CHECK(strstr(info.message, "its list says") != NULL);
    manifest.length_bytes--;
    manifest.is_encrypted = true;
    CHECK_ERR(ERR_UNSUPPORTED, iceberg_manifest_open(buf_slice(&bytes), &manifest,
                                                     writer_metadata(), &want_all, &reader, &info));
    manifest.is_encrypted = false;
    manifest.spec_id = 99;
    CHECK_ERR(ERR_CORRUPT, iceberg_manifest_open(buf_slice(&bytes), &manifest, writer_metadata(),
                                                 &want_all, &reader, &info));
}

TEST(manifest, fields_of_wrong_types)
{
    /* Goal: no field of a wrong type is read as if it were of the right one. Method: each type of
     * the schema is another, one by one. */
    static const char *const other[] = {"\"null\"", "\"double\"", "\"string\"", "\"long\"",
                                        "{\"type\":\"array\",\"items\":\"string\"}"};
    static const char text[] = WRITER_SCHEMA("");
    struct slice mark = SLICE("\"type\":");
    for (size_t o = 0; o < ARRAY_COUNT(other); o++) {
        for (size_t at = 0; at < sizeof(text) - 1;) {
            struct slice rest = {text + at, sizeof(text) - 1 - at};
            size_t found = slice_find(rest, mark);
            if (found == SIZE_MAX) {
                break;
            }
            at += found + mark.len;
            struct buf schema CLEANUP(buf_fini) = {0};
            struct buf bytes CLEANUP(buf_fini) = {0};
            struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
            struct iceberg_manifest manifest = data_manifest(0);
            struct made_entry entry = made_entry("/t/a");
            const char *end = text[at] == '"' ? strchr(text + at + 1, '"') + 1 : text + at;
            buf_append(&schema, text, at);
            buf_append_str(&schema, other[o]);
            buf_append_str(&schema, text[at] == '"' ? "" : ",\"was\":");
            buf_append_str(&schema, end);
            make_manifest(buf_cstr(&schema), "null", NULL, &entry, 1, &bytes);
            const struct iceberg_file *file;
            enum err err = iceberg_manifest_open(buf_slice(&bytes), &manifest, writer_metadata(),
                                                 &want_all, &reader, NULL);
            while (err == ERR_OK) {
                err = iceberg_manifest_next(reader, &file, NULL);
                if (file == NULL) {
                    break;
                }
                CHECK_SLICE("/t/a", file->path);
                CHECK(file->record_count == 10 && file->size_bytes == 1000);
            }
        }
    }
}

/* What rows depend on, as text. */
static enum err describe(struct slice bytes, struct buf *out)
{
    static struct iceberg_file files[MANY_MAX];
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    size_t count;
    struct iceberg_manifest manifest = data_manifest(1);
    manifest.first_row_id = 1000;
    buf_reset(out);
    TRY(read_manifest(bytes, &manifest, &want_all, arena, files, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_file *file = &files[i];
        buf_printf(out, "%d %d %.*s %lld %lld %lld %lld %lld:", file->status, file->format,
                   SLICE_ARGS(file->path), (long long)file->sequence_number,
                   (long long)file->snapshot_id, (long long)file->record_count,
                   (long long)file->size_bytes, (long long)file->first_row_id);
        for (size_t p = 0; p < file->partition_count; p++) {
            iceberg_value_print(&file->partition[p], out);
            buf_append_char(out, ',');
        }
        for (size_t m = 0; m < file->metrics_count; m++) {
            const struct iceberg_metrics *one = &file->metrics[m];
            buf_printf(out, "[%d %lld %lld %lld", one->field_id, (long long)one->value_count,
                       (long long)one->null_count, (long long)one->nan_count);
            buf_append_slice(out, one->lower);
            buf_append_slice(out, one->upper);
        }
        buf_append_char(out, '\n');
    }
    return ERR_OK;
}

TEST(manifest, a_changed_byte_is_seen_or_changes_nothing)
{
    /* Goal: with a codec that has a checksum, no changed byte changes what is read. Method: all
     * bits of all bytes, the header too, in which ids and names guard each other. */
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct buf whole CLEANUP(buf_fini) = {0};
    struct buf found CLEANUP(buf_fini) = {0};
    struct made_entry entries[] = {made_entry("/t/a"), made_entry("/t/b")};
    for (size_t i = 0; i < 2; i++) {
        entries[i].partition = full_tuple;
        entries[i].columns = 3;
        entries[i].status = i == 0 ? ICEBERG_ADDED : ICEBERG_EXISTING;
        entries[i].sequence_number = 2;
        entries[i].first_row_id = i == 0 ? 90 : WRITER_NULL;
    }
    make_manifest(WRITER_SCHEMA(WRITER_TUPLE), "snappy", NULL, entries, 2, &bytes);
    CHECK_OK(describe(buf_slice(&bytes), &whole));
    size_t differs = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ 1 << bit);
            if (describe(buf_slice(&bytes), &found) == ERR_OK &&
                !slice_equal(buf_slice(&found), buf_slice(&whole))) {
                print_message("byte %zu bit %u: %.*s\n", i, bit, 30, bytes.ptr + i - 15);
                differs++;
            }
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ 1 << bit);
        }
    }
    CHECK(differs == 0);
}

TEST(manifest, survives_failed_allocations)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct made_entry entries[40];
    for (size_t i = 0; i < 40; i++) {
        entries[i] = made_entry("/t/a");
        entries[i].partition = full_tuple;
        entries[i].columns = (int32_t)i * 2;
        entries[i].splits = (int64_t)i;
    }
    make_manifest(WRITER_SCHEMA(WRITER_TUPLE), "zstandard", NULL, entries, 40, &bytes);
    (void)writer_metadata();
    SWEEP_ALLOC(fault)
    {
        struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
        struct iceberg_manifest manifest = data_manifest(1);
        const struct iceberg_file *file = NULL;
        size_t count = 0;
        enum err err = iceberg_manifest_open(buf_slice(&bytes), &manifest, writer_metadata(),
                                             &want_all, &reader, NULL);
        for (; err == ERR_OK; count++) {
            err = iceberg_manifest_next(reader, &file, NULL);
            if (file == NULL) {
                break;
            }
        }
        CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK && count == 40);
    }
}
