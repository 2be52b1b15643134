#include <glob.h>
#include <limits.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/manifest_writer_int.h"

#define DATA "tests/data/iceberg"

struct made_manifest {
    const char *path;
    int64_t length_bytes;
    int64_t spec_id;
    int64_t content;
    int64_t sequence_number;
    int64_t added_files;
    int64_t summaries; /* how many; 0 = null */
    const char *key_metadata;
    int64_t first_row_id;
};

static struct made_manifest made_manifest(void)
{
    return (struct made_manifest){.path = "/t/m.avro",
                                  .length_bytes = 6000,
                                  .spec_id = 3,
                                  .content = WRITER_NULL,
                                  .sequence_number = WRITER_NULL,
                                  .added_files = WRITER_NULL,
                                  .first_row_id = WRITER_NULL};
}

static void put_manifest(struct buf *out, const struct made_manifest *made)
{
    put_text(out, made->path);
    put_long(out, made->length_bytes);
    put_long(out, made->spec_id);
    put_optional_long(out, made->content);
    put_optional_long(out, made->sequence_number);
    put_optional_long(out, made->sequence_number == WRITER_NULL ? WRITER_NULL : 2);
    put_long(out, 77);
    put_optional_long(out, made->added_files);
    put_long(out, made->summaries > 0);
    if (made->summaries > 0) {
        put_long(out, made->summaries);
        for (int64_t i = 0; i < made->summaries; i++) {
            buf_append(out, i == 0 ? "\1\2\1" : "\0\0", i == 0 ? 3 : 2);
            put_optional_text(out, "lower");
            put_optional_text(out, NULL);
        }
        put_long(out, 0);
    }
    put_optional_text(out, made->key_metadata);
    put_optional_long(out, made->first_row_id);
}

static void make_list(const char *codec, const char *const *metadata,
                      const struct made_manifest *made, size_t count, struct buf *out)
{
    struct buf block CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < count; i++) {
        put_manifest(&block, &made[i]);
    }
    put_header(out, WRITER_LIST_SCHEMA, codec, metadata);
    put_block(out, (int64_t)count, buf_slice(&block), codec);
}

static enum err parse(const struct buf *bytes, struct arena *arena,
                      struct iceberg_manifest **ret_manifests, size_t *ret_count,
                      struct errinfo *info)
{
    return iceberg_manifest_list_parse(buf_slice(bytes), writer_metadata(), arena, ret_manifests,
                                       ret_count, info);
}

TEST(manifest_list, every_field)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf bytes = {0};
    struct iceberg_manifest *list;
    size_t count;
    struct made_manifest made[100];
    for (size_t i = 0; i < ARRAY_COUNT(made); i++) {
        made[i] = made_manifest();
    }
    made[1] = (struct made_manifest){.path = "/t/d.avro",
                                     .length_bytes = 1,
                                     .spec_id = 1,
                                     .content = 1,
                                     .sequence_number = 4,
                                     .added_files = 12,
                                     .summaries = 11,
                                     .key_metadata = "k",
                                     .first_row_id = 1000};
    make_list("deflate", NULL, made, ARRAY_COUNT(made), &bytes);
    CHECK_OK(parse(&bytes, arena, &list, &count, NULL));
    buf_fini(&bytes);
    CHECK(count == ARRAY_COUNT(made));
    CHECK_SLICE("/t/m.avro", list[0].path);
    CHECK(list[0].length_bytes == 6000 && list[0].spec_id == 3 && !list[0].is_deletes);
    CHECK(list[0].sequence_number == 0 && list[0].min_sequence_number == 0);
    CHECK(list[0].added_snapshot_id == 77 && list[0].added_files == ICEBERG_NO_ID);
    CHECK(list[0].deleted_rows == ICEBERG_NO_ID && list[0].partition_count == 0);
    CHECK(list[0].first_row_id == ICEBERG_NO_ID && !list[0].is_encrypted);
    CHECK_SLICE("/t/d.avro", list[1].path);
    CHECK(list[1].is_deletes && list[1].sequence_number == 4 && list[1].min_sequence_number == 2);
    CHECK(list[1].added_files == 12 && list[1].first_row_id == 1000 && list[1].is_encrypted);
    CHECK(list[1].partition_count == 11);
    const struct iceberg_partition_summary *first = &list[1].partitions[0];
    const struct iceberg_partition_summary *last = &list[1].partitions[10];
    CHECK(first->contains_null && first->has_nan_flag && first->contains_nan);
    CHECK_SLICE("lower", first->lower);
    CHECK(first->upper.ptr == NULL && !last->contains_null && !last->has_nan_flag);
    CHECK_SLICE("/t/m.avro", list[99].path);
}

#define OLD_PATH WRITER_REQUIRED("manifest_path", 500, "\"string\"")
#define OLD_LENGTH WRITER_REQUIRED("manifest_length", 501, "\"long\"")
#define OLD_SPEC WRITER_REQUIRED("partition_spec_id", 502, "\"int\"")
#define OLD_SNAPSHOT WRITER_OPTIONAL("added_snapshot_id", 503, "\"long\"")
#define OLD_COUNT WRITER_OPTIONAL("added_data_files_count", 504, "\"int\"")
#define OLD_LIST_SCHEMA                                                                            \
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[" OLD_PATH "," OLD_LENGTH         \
    "," OLD_SPEC "," OLD_SNAPSHOT "," OLD_COUNT "]}"

TEST(manifest_list, version_1_and_nothing_at_all)
{
    /* Goal: a list with only the fields that version 1 required; a list without manifests. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf block CLEANUP(buf_fini) = {0};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest *list;
    size_t count;
    put_text(&block, "/t/m.avro");
    put_long(&block, 6);
    put_long(&block, 0);
    put_optional_long(&block, WRITER_NULL);
    put_optional_long(&block, 3);
    put_header(&bytes, OLD_LIST_SCHEMA, "null", NULL);
    CHECK_OK(parse(&bytes, arena, &list, &count, NULL));
    CHECK(count == 0);
    put_block(&bytes, 1, buf_slice(&block), "null");
    CHECK_OK(parse(&bytes, arena, &list, &count, NULL));
    CHECK(count == 1 && list[0].added_snapshot_id == ICEBERG_NO_ID && list[0].added_files == 3);
}

TEST(manifest_list, refuses_what_is_wrong_by_name)
{
    struct {
        enum err err;
        const char *message;
        struct made_manifest made;
        const char *version;
    } cases[] = {
        {ERR_CORRUPT, "a manifest list is damaged: manifest_path", made_manifest(), "3"},
        {ERR_CORRUPT, "a manifest list is damaged: content", made_manifest(), "3"},
        {ERR_CORRUPT, "a manifest list is damaged: a number below 0", made_manifest(), "3"},
        {ERR_CORRUPT, "a manifest list is damaged: added_files_count", made_manifest(), "3"},
        {ERR_CORRUPT, "a manifest list names partition spec 9, which the table has not",
         made_manifest(), "3"},
        {ERR_CORRUPT, "a manifest list has summaries of 2 partition fields of spec 3, which has 1",
         made_manifest(), "3"},
        {ERR_UNSUPPORTED,
         "a manifest list has format version \"4\", which this program does not know",
         made_manifest(), "4"},
    };
    cases[0].made.path = "\xff";
    cases[1].made.content = 2;
    cases[2].made.length_bytes = -1;
    cases[3].made.added_files = -1;
    cases[4].made.spec_id = 9;
    cases[5].made.summaries = 2;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct iceberg_manifest *list;
        size_t count;
        struct errinfo info;
        errinfo_init(&info);
        const char *const metadata[] = {"format-version", cases[i].version, NULL};
        make_list("null", metadata, &cases[i].made, 1, &bytes);
        CHECK_ERR(cases[i].err, parse(&bytes, arena, &list, &count, &info));
        CHECK_STR(cases[i].message, info.message);
    }
}

TEST(manifest_list, a_changed_byte_is_seen_or_changes_nothing)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct made_manifest made[] = {made_manifest(), made_manifest()};
    made[0].summaries = made[1].summaries = 1;
    made[1].sequence_number = 8;
    made[1].content = 1;
    make_list("snappy", NULL, made, 2, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
            struct iceberg_manifest *list;
            size_t count;
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ 1 << bit);
            if (parse(&bytes, arena, &list, &count, NULL) == ERR_OK) {
                CHECK(count == 2);
                CHECK(list[0].sequence_number == 0 && list[1].sequence_number == 8);
                CHECK(list[0].spec_id == 3 && !list[0].is_deletes && list[1].is_deletes);
                CHECK(slice_equal(list[1].path, SLICE("/t/m.avro")) && !list[1].is_encrypted);
                CHECK(list[1].first_row_id == ICEBERG_NO_ID && list[0].length_bytes == 6000);
            }
            bytes.ptr[i] = (char)(bytes.ptr[i] ^ 1 << bit);
        }
    }
}

TEST(manifest_list, snapshots_with_and_without_a_list)
{
    /* Goal: a version 1 snapshot that names its manifests gives what their headers say; an
     * encrypted list is refused by name. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_io io = iceberg_io_local();
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest *list;
    size_t count;
    struct errinfo info;
    errinfo_init(&info);
    put_header(&bytes, WRITER_SCHEMA(""), "null",
               (const char *const[]){"partition-spec-id", "3", NULL});
    struct slice path = slice_of(arena_printf(arena, "%s/m.avro", test_folder()));
    CHECK_OK(io_write_file_atomic(path.ptr, buf_slice(&bytes), 0600, NULL));
    struct slice missing = SLICE("/nowhere/m.avro");
    struct iceberg_snapshot snapshot = {.id = 4, .manifests = &path, .manifest_count = 1};
    CHECK_OK(
        iceberg_manifests_load(&io, writer_metadata(), &snapshot, arena, &list, &count, &info));
    CHECK(count == 1 && list[0].spec_id == 3 && list[0].added_snapshot_id == 4);
    CHECK(list[0].length_bytes == (int64_t)bytes.len && list[0].sequence_number == 0);
    snapshot.manifests = &missing;
    CHECK_ERR(ERR_NOT_FOUND, iceberg_manifests_load(&io, writer_metadata(), &snapshot, arena, &list,
                                                    &count, &info));
    snapshot.manifest_list = path; /* a manifest is no list */
    CHECK_ERR(ERR_CORRUPT, iceberg_manifests_load(&io, writer_metadata(), &snapshot, arena, &list,
                                                  &count, &info));
    snapshot.key_id = SLICE("k1");
    CHECK_ERR(ERR_UNSUPPORTED, iceberg_manifests_load(&io, writer_metadata(), &snapshot, arena,
                                                      &list, &count, &info));
    CHECK_STR("the manifest list of snapshot 4 is encrypted (key \"k1\")", info.message);
}

TEST(manifest_list, survives_failed_allocations)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct made_manifest made[70];
    for (size_t i = 0; i < ARRAY_COUNT(made); i++) {
        made[i] = made_manifest();
        made[i].summaries = 1;
    }
    make_list("deflate", NULL, made, ARRAY_COUNT(made), &bytes);
    (void)writer_metadata();
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct iceberg_manifest *list;
        size_t count = 0;
        enum err err = arena == NULL ? ERR_NOMEM : parse(&bytes, arena, &list, &count, NULL);
        CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK && count == ARRAY_COUNT(made));
    }
}

/* ---- real tables ---- */

struct sample {
    char folder[PATH_MAX];
    struct slice prefix;
};

/* Paths in the sample begin with a prefix that stands for its folder. */
static enum err read_sample(void *context, struct slice location, uint64_t size_hint,
                            uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    const struct sample *sample = context;
    struct iceberg_io local = iceberg_io_local();
    size_t skip = slice_starts_with(location, SLICE("file:")) ? 5 : 0;
    struct buf path CLEANUP(buf_fini) = {0};
    skip += sample->prefix.len;
    buf_printf(&path, "%s%.*s", sample->folder, (int)(location.len - skip), location.ptr + skip);
    return local.read_all(NULL, buf_slice(&path), size_hint, bytes_max, ret_bytes, info);
}

struct totals {
    uint64_t data_files;
    uint64_t delete_files;
    uint64_t records;
    uint64_t position_deletes;
    uint64_t equality_deletes;
};

static void add_manifest(const struct iceberg_io *io, const struct iceberg_metadata *metadata,
                         const struct iceberg_manifest *manifest, struct totals *totals)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    struct iceberg_manifest_want want = {.all_metrics = true, .deleted_entries = true};
    int64_t files[3] = {0}, rows[3] = {0};
    CHECK_OK(io->read_all(io->context, manifest->path, 0, 0, &bytes, NULL));
    CHECK_OK(iceberg_manifest_open(buf_slice(&bytes), manifest, metadata, &want, &reader, NULL));
    for (;;) {
        const struct iceberg_file *file;
        CHECK_OK(iceberg_manifest_next(reader, &file, NULL));
        if (file == NULL) {
            break;
        }
        files[file->status]++;
        rows[file->status] += file->record_count;
        uint64_t is_live = file->status != ICEBERG_DELETED;
        uint64_t count = is_live ? (uint64_t)file->record_count : 0;
        totals->data_files += file->content == ICEBERG_DATA ? is_live : 0;
        totals->delete_files += file->content != ICEBERG_DATA ? is_live : 0;
        totals->records += file->content == ICEBERG_DATA ? count : 0;
        totals->position_deletes += file->content == ICEBERG_POSITION_DELETES ? count : 0;
        totals->equality_deletes += file->content == ICEBERG_EQUALITY_DELETES ? count : 0;
    }
    CHECK(files[ICEBERG_ADDED] == manifest->added_files);
    CHECK(files[ICEBERG_EXISTING] == manifest->existing_files);
    CHECK(files[ICEBERG_DELETED] == manifest->deleted_files);
    CHECK(rows[ICEBERG_ADDED] == manifest->added_rows);
    CHECK(rows[ICEBERG_EXISTING] == manifest->existing_rows);
    CHECK(rows[ICEBERG_DELETED] == manifest->deleted_rows);
}

static size_t check_total(const struct iceberg_snapshot *snapshot, const char *key, uint64_t found)
{
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        uint64_t expected;
        if (slice_equal(snapshot->summary[i].key, slice_of(key))) {
            CHECK(slice_to_u64(snapshot->summary[i].value, &expected));
            CHECK(found == expected);
            return 1;
        }
    }
    return 0;
}

TEST(manifest_list, real_tables_hold_what_their_snapshots_sum_up)
{
    /* Goal: each manifest's entries are those that its list counts, and the live ones of a snapshot
     * those that its summary counts: three claims that Spark made in three places. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    static struct sample sample;
    struct iceberg_io io = {&sample, read_sample, NULL, NULL};
    size_t sums = 0;
    glob_t found;
    CHECK(realpath(DATA, sample.folder) != NULL);
    CHECK_OK(io_read_file(arena, DATA "/prefix", 4096, &sample.prefix, NULL));
    sample.prefix = slice_trim(sample.prefix);
    const char *pattern =
        arena_printf(arena, "%s/warehouse/*/*/*/metadata/*.metadata.json", sample.folder);
    CHECK(glob(pattern, 0, NULL, &found) == 0);
    for (size_t t = 0; t < found.gl_pathc; t++) {
        struct iceberg_metadata metadata;
        struct iceberg_io local = iceberg_io_local();
        CHECK_OK(
            iceberg_metadata_load(&local, slice_of(found.gl_pathv[t]), arena, &metadata, NULL));
        for (size_t s = 0; s < metadata.snapshot_count; s++) {
            const struct iceberg_snapshot *snapshot = &metadata.snapshots[s];
            struct iceberg_manifest *manifests;
            size_t count;
            struct totals totals = {0};
            CHECK_OK(
                iceberg_manifests_load(&io, &metadata, snapshot, arena, &manifests, &count, NULL));
            for (size_t i = 0; i < count; i++) {
                add_manifest(&io, &metadata, &manifests[i], &totals);
            }
            sums += check_total(snapshot, "total-data-files", totals.data_files);
            sums += check_total(snapshot, "total-delete-files", totals.delete_files);
            sums += check_total(snapshot, "total-records", totals.records);
            sums += check_total(snapshot, "total-position-deletes", totals.position_deletes);
            sums += check_total(snapshot, "total-equality-deletes", totals.equality_deletes);
        }
    }
    print_message("%zu tables, %zu sums\n", found.gl_pathc, sums);
    CHECK(found.gl_pathc > 40 && sums > 500);
    globfree(&found);
}
