/* Real tables by Spark (tests/data/iceberg), whole and damaged. */
#include "iceberg/inspect.h"

#include <limits.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"

#define DATA "tests/data/iceberg"
#define VECTORS "core/v3_bucket_id_dv_eq" /* deletion vectors and equality deletes */

/* Reads the sample in place: its paths begin with a prefix that stands for its folder. Optionally
 * one byte of one file is another, or one file is a byte longer than it is. */
struct sample {
    struct arena *arena;
    struct iceberg_io local;
    char *folder; /* absolute */
    struct slice prefix;
    struct slice damaged; /* part of a location; empty = nothing */
    uint64_t damaged_at;
    bool is_longer;
};

static struct slice map(const struct sample *s, struct slice location)
{
    size_t skip = slice_starts_with(location, SLICE("file:")) ? 5 : 0;
    struct slice path = {location.ptr + skip, location.len - skip};
    if (!slice_starts_with(path, s->prefix)) {
        return location;
    }
    return slice_of(arena_printf(s->arena, "%s%.*s", s->folder, (int)(path.len - s->prefix.len),
                                 path.ptr + s->prefix.len)); /* empty when memory is out */
}

static bool is_damaged(const struct sample *s, struct slice location)
{
    return s->damaged.len > 0 && slice_find(location, s->damaged) != SIZE_MAX;
}

static enum err read_all(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    const struct sample *s = context;
    TRY(s->local.read_all(NULL, map(s, location), size_hint, bytes_max, ret_bytes, info));
    if (is_damaged(s, location) && s->damaged_at < ret_bytes->len) {
        ret_bytes->ptr[s->damaged_at] ^= 0x40;
    }
    return ERR_OK;
}

static enum err read_range(void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info)
{
    const struct sample *s = context;
    TRY(s->local.read_range(NULL, map(s, location), offset, len, ret_bytes, info));
    if (is_damaged(s, location) && s->damaged_at >= offset && s->damaged_at < offset + len) {
        ((char *)ret_bytes)[s->damaged_at - offset] ^= 0x40;
    }
    return ERR_OK;
}

static enum err size(void *context, struct slice location, uint64_t *ret_size_bytes,
                     struct errinfo *info)
{
    const struct sample *s = context;
    TRY(s->local.size(NULL, map(s, location), ret_size_bytes, info));
    *ret_size_bytes += s->is_longer && is_damaged(s, location) ? 1 : 0;
    return ERR_OK;
}

static void sample_fini(struct sample *s)
{
    arena_free(s->arena);
}

static struct iceberg_io sample_init(struct sample *s)
{
    *s = (struct sample){.arena = arena_new(NULL, "test", 0), .local = iceberg_io_local()};
    char here[PATH_MAX];
    CHECK(realpath(DATA, here) != NULL);
    s->folder = arena_strdup(s->arena, here);
    CHECK_OK(io_read_file(s->arena, DATA "/prefix", 4096, &s->prefix, NULL));
    s->prefix = slice_trim(s->prefix);
    return (struct iceberg_io){s, read_all, read_range, size};
}

struct found {
    uint64_t problems;
    struct buf text;
};

static void collect(void *context, const struct iceberg_finding *finding)
{
    struct found *found = context;
    found->problems += finding->severity == ICEBERG_PROBLEM ? 1 : 0;
    buf_printf(&found->text, "%s %.*s %s\n", finding->check, SLICE_ARGS(finding->where),
               finding->message);
}

static enum err validate(const struct iceberg_io *io, const struct iceberg_metadata *metadata,
                         struct found *found, struct iceberg_validate_counts *counts)
{
    const struct iceberg_validate_options options = {
        .io = io, .metadata = metadata, .report = collect, .context = found};
    struct errinfo info;
    return iceberg_validate(&options, counts, &info);
}

TEST(inspect, every_table_of_the_sample_is_whole)
{
    /* Goal: no false alarm over what a real writer does. Method: each table of the index. */
    struct sample s CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&s);
    struct slice index;
    size_t tables = 0;
    size_t checks = 0;
    size_t vectors = 0;
    CHECK_OK(io_read_file(s.arena, DATA "/index.jsonl", 64u << 20, &index, NULL));
    struct slice last = {0};
    while (index.len > 0) {
        struct json *line;
        size_t len = slice_find(index, SLICE("\n"));
        len = len == SIZE_MAX ? index.len : len;
        CHECK_OK(json_parse(s.arena, (struct slice){index.ptr, len}, NULL, &line, NULL));
        index = (struct slice){index.ptr + len + 1, index.len - (len < index.len ? len + 1 : len)};
        struct slice file = json_get_text(line, "metadata_file");
        if (slice_equal(file, last)) {
            continue;
        }
        last = file;
        struct iceberg_metadata metadata;
        struct iceberg_validate_counts counts;
        struct found found = {0};
        CHECK_OK(iceberg_metadata_load(&io, file, s.arena, &metadata, NULL));
        CHECK_OK(validate(&io, &metadata, &found, &counts));
        if (found.problems > 0) {
            print_message("%.*s: %s", SLICE_ARGS(file), buf_cstr(&found.text));
        }
        CHECK(found.problems == 0 && counts.problems == 0);
        buf_fini(&found.text);
        tables++;
        checks += counts.checks;
        vectors += counts.vectors;
    }
    CHECK(tables >= 20 && checks > 1000 * tables / 10 && vectors > 0);
}

static struct iceberg_metadata load(struct sample *s, const struct iceberg_io *io,
                                    const char *table)
{
    struct iceberg_metadata metadata;
    struct slice location = {0};
    struct arena *arena = s->arena;
    for (int version = 1; version < 40; version++) {
        char *path = arena_printf(arena, "%s/warehouse/hadoop/%s/metadata/v%d.metadata.json",
                                  s->folder, table, version);
        location = io_exists(path) ? slice_of(path) : location;
    }
    CHECK(location.len > 0);
    CHECK_OK(iceberg_metadata_load(io, location, arena, &metadata, NULL));
    return metadata;
}

TEST(inspect, sums_the_live_files)
{
    struct sample s CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&s);
    struct iceberg_metadata m = load(&s, &io, VECTORS);
    struct iceberg_totals t;
    CHECK_OK(
        iceberg_inspect(&io, &m, iceberg_metadata_snapshot(&m, m.current_snapshot_id), &t, NULL));
    const struct iceberg_snapshot *current = iceberg_metadata_snapshot(&m, m.current_snapshot_id);
    uint64_t rows = 0;
    uint64_t files = 0;
    for (size_t i = 0; i < current->summary_count; i++) {
        const struct iceberg_property *p = &current->summary[i];
        if (slice_equal(p->key, SLICE("total-records"))) {
            CHECK(slice_to_u64(p->value, &rows));
        } else if (slice_equal(p->key, SLICE("total-data-files"))) {
            CHECK(slice_to_u64(p->value, &files));
        }
    }
    CHECK(rows > 0 && t.data_rows == rows && t.data_files == files && t.vectors > 0);
    CHECK(t.small_files == t.data_files && t.small_bytes == 128u << 20);
    CHECK(t.data_bytes_least > 0 && t.data_bytes_least <= t.data_bytes_most);
    CHECK(t.delete_manifests > 0 && t.manifests > t.delete_manifests);
}

TEST(inspect, damage_is_found)
{
    /* Goal: each kind of damage is a problem. Method: real tables, one byte or size changed. */
    static const struct {
        const char *file;
        uint64_t at;
        bool is_longer;
        const char *check;
    } cases[] = {
        {".puffin", 10, false, "vector"},     /* the vector's magic */
        {".puffin", 30, false, "vector"},     /* its bitmap: the CRC tells */
        {"snap-", 1, false, "manifest-list"}, /* Avro's magic */
        {"-m0.avro", 1, false, "manifest "},  {".parquet", 0, true, "file-size"},
        {".puffin", 0, true, "file-size"},
    };
    struct sample s CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&s);
    struct iceberg_metadata m = load(&s, &io, VECTORS);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct found found = {0};
        struct iceberg_validate_counts counts;
        s.damaged = slice_of(cases[i].file);
        s.damaged_at = cases[i].is_longer ? UINT64_MAX : cases[i].at;
        s.is_longer = cases[i].is_longer;
        CHECK_OK(validate(&io, &m, &found, &counts));
        CHECK(counts.problems > 0 && counts.problems == found.problems);
        if (slice_find(buf_slice(&found.text), slice_of(cases[i].check)) == SIZE_MAX) {
            print_message("%s: %s", cases[i].check, buf_cstr(&found.text));
            CHECK(false);
        }
        buf_fini(&found.text);
    }
}

TEST(inspect, false_claims_are_found)
{
    /* Goal: the document's own claims are compared. Method: change one member at a time. */
    struct sample s CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&s);
    const struct iceberg_metadata whole = load(&s, &io, VECTORS);
    for (int i = 0; i < 5; i++) {
        static const char *const checks[] = {"column-ids", "partition-ids", "row-ids", "log-order",
                                             "statistics"};
        struct iceberg_metadata m = whole;
        struct found found = {0};
        struct iceberg_validate_counts counts;
        static const struct iceberg_log_entry log[] = {{.timestamp_ms = 900000},
                                                       {.timestamp_ms = 1}};
        static const struct iceberg_statistics file = {.path = {"/none", 5}, .size_bytes = 1};
        m.last_column_id = i == 0 ? 1 : m.last_column_id;
        m.last_partition_id = i == 1 ? 1 : m.last_partition_id;
        m.next_row_id = i == 2 ? 1 : m.next_row_id;
        if (i == 3) {
            m.metadata_log = log;
            m.metadata_log_count = 2;
        }
        if (i == 4) {
            m.statistics = &file;
            m.statistics_count = 1;
        }
        CHECK_OK(validate(&io, &m, &found, &counts));
        CHECK(found.problems > 0);
        CHECK(slice_find(buf_slice(&found.text), slice_of(checks[i])) != SIZE_MAX);
        buf_fini(&found.text);
    }
}

static void ignore(UNUSED void *context, UNUSED const struct iceberg_finding *finding)
{
}

TEST(inspect, running_out_of_memory_is_no_finding)
{
    struct sample s CLEANUP(sample_fini);
    struct iceberg_io io = sample_init(&s);
    const struct iceberg_metadata m = load(&s, &io, VECTORS);
    const struct iceberg_validate_options options = {
        .io = &io, .metadata = &m, .report = ignore, .without_files = true};
    for (uint64_t step = 1; step < 400; step += 13) {
        struct fault fault = {.kind = FAULT_ALLOC, .step = step};
        struct iceberg_validate_counts counts = {0};
        struct errinfo info;
        fault_arm(&fault);
        enum err err = iceberg_validate(&options, &counts, &info);
        fault_disarm();
        CHECK(err == ERR_NOMEM || err == ERR_OK);
        CHECK(err == ERR_NOMEM || counts.problems == 0);
    }
}
