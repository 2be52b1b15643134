/* Tables of attached catalogs as the planner loads them: whatever allocation or read fails, there
 * is an error or the same answer. What their statements mean is in tests/sql and tests/cli. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "query/lake/lake_int.h"

#define TABLE "tests/data/iceberg/warehouse/hadoop/files/v1_manifest_uncompressed/metadata/"
#define FIRST "f5e38832-e91c-4d0c-a829-bf9b6f679015-m0.avro"
#define SECOND "b7e23a69-da6a-4ad9-80c5-9ad0038c108f-m0.avro"
#define PLACE "/tmp/moat-iceberg-lkXXXXXX" /* as long as what it stands for */

/* Two snapshots of a table that Spark wrote, without lists of manifests. */
static const char metadata_text[] =
    "{\"format-version\":1,\"table-uuid\":\"d4d60c24-0b97-49f1-b23c-2783b026c3ac\","
    "\"location\":\"%s\",\"last-updated-ms\":2000,\"last-column-id\":3,"
    "\"schema\":{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":false,\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"d\",\"required\":false,\"type\":\"date\"}]},"
    "\"partition-spec\":[{\"name\":\"id_bucket\",\"transform\":\"bucket[2]\",\"source-id\":1,"
    "\"field-id\":1000}],\"last-partition-id\":1000,\"properties\":{\"owner\":\"data\"},"
    "\"current-snapshot-id\":2,\"refs\":{\"main\":{\"snapshot-id\":2,\"type\":\"branch\"},"
    "\"first\":{\"snapshot-id\":1,\"type\":\"tag\"}},\"snapshots\":["
    "{\"snapshot-id\":1,\"timestamp-ms\":1000,\"summary\":{\"operation\":\"append\"},"
    "\"manifests\":[\"%s/" FIRST "\"]},"
    "{\"snapshot-id\":2,\"parent-snapshot-id\":1,\"timestamp-ms\":2000,"
    "\"summary\":{\"operation\":\"append\",\"total-records\":\"20\"},"
    "\"manifests\":[\"%s/" FIRST "\",\"%s/" SECOND "\"]}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1000,\"snapshot-id\":1},"
    "{\"timestamp-ms\":2000,\"snapshot-id\":2}],"
    "\"metadata-log\":[{\"timestamp-ms\":1000,\"metadata-file\":\"%s/old.metadata.json\"}]}";

struct shop {
    struct arena *arena;
    struct identity *who;
    struct attached attached;
    struct slice folders[2];
    char place[sizeof(PLACE)];
};

static void write_file(const struct shop *shop, const char *name, struct slice bytes)
{
    char path[PATH_MAX];
    int fd = -1;
    (void)snprintf(path, sizeof(path), "%s/%s", shop->place, name);
    CHECK_OK(io_open_append(path, 0600, &fd, NULL));
    CHECK_OK(io_write_all(fd, bytes, NULL));
    io_close(fd);
}

/* A manifest that is not compressed, with the files where they are now. */
static void move_manifest(const struct shop *shop, const char *name)
{
    struct slice bytes;
    struct slice prefix;
    CHECK_OK(io_read_file(shop->arena, "tests/data/iceberg/prefix", 4096, &prefix, NULL));
    prefix = slice_trim(prefix);
    CHECK(prefix.len == strlen(shop->place));
    char *path = arena_printf(shop->arena, "%s%s", TABLE, name);
    CHECK_OK(io_read_file(shop->arena, path, 1 << 20, &bytes, NULL));
    char *text = arena_slicedup(shop->arena, bytes);
    struct slice rest = {text, bytes.len};
    for (size_t at; (at = slice_find(rest, prefix)) != SIZE_MAX;) {
        memcpy(text + (rest.ptr - text) + at, shop->place, prefix.len);
        rest = (struct slice){rest.ptr + at + prefix.len, rest.len - at - prefix.len};
    }
    write_file(shop, name, (struct slice){text, bytes.len});
}

static void shop_open(struct shop *shop)
{
    char here[PATH_MAX];
    char link[PATH_MAX];
    struct identity_spec spec = {
        .subject = SLICE("ada"), .provider = SLICE("local"), .is_owner = true};
    *shop = (struct shop){.arena = arena_new(NULL, "shop", 0), .place = PLACE};
    CHECK(mkdtemp(shop->place) != NULL);
    CHECK(realpath("tests/data/iceberg/warehouse", here) != NULL);
    (void)snprintf(link, sizeof(link), "%s/warehouse", shop->place);
    CHECK(symlink(here, link) == 0);
    move_manifest(shop, FIRST);
    move_manifest(shop, SECOND);
    const char *p = shop->place;
    char *text = arena_printf(shop->arena, metadata_text, p, p, p, p, p);
    write_file(shop, "t.metadata.json", slice_of(text));
    CHECK_OK(identity_new(&spec, &shop->who, NULL));
    shop->folders[0] = slice_of(shop->place);
    CHECK(arena_slice(shop->arena, slice_of(here), &shop->folders[1]));
    shop->attached = (struct attached){
        .catalog = {.name = SLICE("shop"),
                    .kind = CATALOG_ICEBERG_STATIC,
                    .location = slice_of(arena_printf(shop->arena, "%s/t.metadata.json", p)),
                    .folders = shop->folders,
                    .folder_count = ARRAY_COUNT(shop->folders)},
        .owner = SLICE("ada"),
    };
}

static void shop_close(struct shop *shop)
{
    static const char *const names[] = {"warehouse", FIRST, SECOND, "t.metadata.json", ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", shop->place, names[i]);
        CHECK((names[i][0] == '\0' ? rmdir(path) : unlink(path)) == 0);
    }
    identity_unref(shop->who);
    arena_free(shop->arena);
}

/* ---- what is loaded, as text ---- */

static void print_relation(const struct relation *relation, struct buf *out)
{
    buf_printf(out, "%.*s %.*s", SLICE_ARGS(relation->name.name), SLICE_ARGS(relation->uuid));
    for (size_t i = 0; i < relation->column_count; i++) {
        buf_printf(out, " %u:%.*s:%.*s", relation->columns[i].id,
                   SLICE_ARGS(relation->columns[i].name), SLICE_ARGS(relation->columns[i].type));
    }
    for (size_t i = 0; i < relation->object_count; i++) {
        buf_append_char(out, '\n');
        buf_append_slice(out, relation->objects[i].bytes);
    }
    for (size_t i = 0; i < relation->option_count; i++) {
        buf_printf(out, " %.*s", SLICE_ARGS(relation->options[i].value));
    }
}

struct asked {
    const char *name;
    struct lake_travel travel;
};

static enum err load_metadata(const struct lake_open *open, const struct relation *now,
                              struct arena *arena, struct buf *out, struct errinfo *info)
{
    struct relation relation;
    struct relation source;
    TRY(lake_metadata_load(open, now, arena, &relation, info));
    TRY(lake_metadata_source(&relation, arena, &source, info));
    print_relation(&relation, out);
    print_relation(&source, out);
    return ERR_OK;
}

static enum err load(const struct shop *shop, const struct asked *asked, struct buf *out,
                     struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "statement", 0);
    struct lake_open open;
    struct relation relation;
    const struct lake_source *source;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(lake_open(&shop->attached, shop->who, SLICE("main"), slice_of(asked->name), &asked->travel,
                  arena, &open, info));
    TRY(lake_now(&open, arena, &relation, info));
    print_relation(&relation, out);
    if (open.is_metadata) {
        return load_metadata(&open, &relation, arena, out, info);
    }
    TRY(lake_version(&open, arena, &relation, info));
    print_relation(&relation, out);
    TRY(lake_table_source(relation.lake, arena, &source, info));
    buf_printf(out, " rows %lld", (long long)source->row_count);
    return ERR_OK;
}

static const struct asked all_asked[] = {
    {"shop", {.kind = TRAVEL_NOW}},
    {"shop", {.kind = TRAVEL_SNAPSHOT, .value = 1}},
    {"shop", {.kind = TRAVEL_TIME, .value = 1500}},
    {"shop", {.kind = TRAVEL_REF, .ref = {"first", 5}}},
    {"shop$tag_first", {.kind = TRAVEL_NOW}},
    {"shop$snapshots", {.kind = TRAVEL_NOW}},
    {"shop$history", {.kind = TRAVEL_NOW}},
    {"shop$refs", {.kind = TRAVEL_NOW}},
    {"shop$metadata_log_entries", {.kind = TRAVEL_NOW}},
    {"shop$properties", {.kind = TRAVEL_NOW}},
    {"shop$statistics", {.kind = TRAVEL_NOW}},
    {"shop$manifests", {.kind = TRAVEL_NOW}},
    {"shop$all_manifests", {.kind = TRAVEL_NOW}},
    {"shop$files", {.kind = TRAVEL_NOW}},
    {"shop$all_data_files", {.kind = TRAVEL_NOW}},
    {"shop$entries", {.kind = TRAVEL_NOW}},
    {"shop$all_entries", {.kind = TRAVEL_NOW}},
    {"shop$partitions", {.kind = TRAVEL_NOW}},
};

static void sweep(const struct shop *shop, const struct asked *asked, enum fault_kind kind)
{
    struct buf expected CLEANUP(buf_fini) = {0};
    struct errinfo info;
    unsigned failures = 0;
    errinfo_init(&info);
    if (load(shop, asked, &expected, &info) != ERR_OK) {
        fail_msg("%s: %s", asked->name, info.message);
    }
    SWEEP_FAULT_(kind, fault)
    {
        struct buf out CLEANUP(buf_fini) = {0};
        errinfo_init(&info);
        enum err err = load(shop, asked, &out, &info);
        fault_disarm();
        if (err == ERR_OK && !buf_failed(&out)) {
            CHECK_STR(buf_cstr(&expected), buf_cstr(&out));
            continue;
        }
        CHECK(fault.fired);
        if (err != ERR_OK && err != (kind == FAULT_ALLOC ? ERR_NOMEM : ERR_IO)) {
            fail_msg("%s, step %llu: %s: %s", asked->name, (unsigned long long)fault.step,
                     err_name(err), info.message);
        }
        failures++;
    }
    CHECK(failures >= (kind == FAULT_ALLOC ? 5 : 1));
}

TEST(lake_table, without_memory_there_is_an_error_or_the_same_answer)
{
    /* Goal: versions, columns, sources and rows of metadata tables are whole or ERR_NOMEM. */
    struct shop shop;
    shop_open(&shop);
    for (size_t i = 0; i < ARRAY_COUNT(all_asked); i++) {
        sweep(&shop, &all_asked[i], FAULT_ALLOC);
    }
    shop_close(&shop);
}

TEST(lake_table, a_failed_read_is_an_error)
{
    struct shop shop;
    shop_open(&shop);
    for (size_t i = 0; i < ARRAY_COUNT(all_asked); i++) {
        sweep(&shop, &all_asked[i], FAULT_IO);
    }
    shop_close(&shop);
}

TEST(lake_table, a_change_is_noticed_and_so_is_what_cannot_be_told)
{
    /* Goal: a plan is kept only while the catalog gives the same metadata; when that cannot be
     * found out, it is made anew. */
    struct shop shop;
    struct lake_open open;
    struct relation relation;
    struct errinfo info;
    shop_open(&shop);
    CHECK_OK(lake_open(&shop.attached, shop.who, SLICE("main"), SLICE("shop"), NULL, shop.arena,
                       &open, &info));
    CHECK_OK(lake_version(&open, shop.arena, &relation, &info));
    CHECK(lake_is_current(NULL, &relation));
    SWEEP_ALLOC(fault)
    {
        bool is_current = lake_is_current(NULL, &relation);
        CHECK(is_current == !fault.fired);
    }
    SWEEP_IO(fault)
    {
        bool is_current = lake_is_current(NULL, &relation);
        CHECK(is_current == !fault.fired);
    }
    shop_close(&shop);
}
