#include "iceberg/evolve.h"

#include "base/sweep.h"
#include "base/test.h"
#include "iceberg/write.h"

/* ---- a table ---- */

static const char creation[] =
    "[{\"action\":\"assign-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\"},"
    "{\"action\":\"upgrade-format-version\",\"format-version\":%u},"
    "{\"action\":\"set-location\",\"location\":\"/t\"},"
    "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"Name\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"day\",\"required\":false,\"type\":\"date\"},"
    "{\"id\":4,\"name\":\"p\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":5,\"name\":\"x\",\"required\":false,\"type\":\"float\"}]}},"
    "{\"id\":6,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":7,\"key\":"
    "\"string\",\"value-id\":8,\"value\":\"int\",\"value-required\":false}}]}},"
    "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":0,\"fields\":[{\"name\":\"id_bucket\","
    "\"transform\":\"bucket[4]\",\"source-id\":1,\"field-id\":1000}]}},"
    "{\"action\":\"set-default-spec\",\"spec-id\":-1},"
    "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":0,\"fields\":[]}},"
    "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1},"
    "{\"action\":\"set-properties\",\"updates\":{\"write.metadata.metrics.column.Name\":\"full\"}}"
    "]";

struct table {
    struct arena *arena;
    struct buf document;
    struct iceberg_metadata metadata;
};

static enum err load(struct table *t, struct errinfo *info)
{
    return iceberg_metadata_parse(buf_slice(&t->document), t->arena, &t->metadata, info);
}

static void make(struct table *t, unsigned version)
{
    char text[4096];
    (void)snprintf(text, sizeof(text), creation, version);
    struct iceberg_update update = {.requirements = SLICE("[{\"type\":\"assert-create\"}]"),
                                    .updates = slice_of(text),
                                    .now_ms = 1000};
    *t = (struct table){.arena = arena_new(NULL, "test", 0)};
    CHECK_OK(iceberg_update_apply(&update, &t->document, NULL));
    CHECK_OK(load(t, NULL));
}

static void fini(struct table *t)
{
    buf_fini(&t->document);
    arena_free(t->arena);
}

/* As a catalog does. */
static enum err commit(struct table *t, struct iceberg_evolution *e, struct errinfo *info)
{
    struct slice requirements, updates;
    struct buf next CLEANUP(buf_fini) = {0};
    TRY(iceberg_evolve_print(e, &requirements, &updates, info));
    if (updates.len == 0) {
        return ERR_OK;
    }
    struct iceberg_update update = {.document = buf_slice(&t->document),
                                    .location = SLICE("/t/metadata/before.json"),
                                    .requirements = requirements,
                                    .updates = updates,
                                    .now_ms = 2000};
    TRY(iceberg_update_apply(&update, &next, info));
    buf_reset(&t->document);
    buf_append_slice(&t->document, buf_slice(&next));
    return buf_failed(&t->document) ? errinfo_nomem(info) : load(t, info);
}

static struct iceberg_path path1(const struct slice *name)
{
    return (struct iceberg_path){name, 1};
}

static const struct slice id = {"id", 2}, name = {"name", 4}, day = {"day", 3},
                          fresh = {"fresh", 5};
static const struct slice map_key[] = {{"m", 1}, {"key", 3}};
static const struct slice inner[] = {{"p", 1}, {"y", 1}};

static struct iceberg_evolution *begin(struct table *t)
{
    struct iceberg_evolution *e;
    CHECK_OK(iceberg_evolve_open(&t->metadata, t->arena, &e, NULL));
    return e;
}

TEST(iceberg_evolve, ids_are_never_given_twice)
{
    struct table t CLEANUP(fini);
    make(&t, 2);
    const struct iceberg_field field = {.type = {.id = ICEBERG_LONG}};
    int32_t last = 8;
    for (int round = 0; round < 5; round++) {
        struct iceberg_evolution *e = begin(&t);
        CHECK_OK(iceberg_evolve_add(e, path1(&fresh), &field, (struct iceberg_position){0}, NULL));
        CHECK_OK(commit(&t, e, NULL));
        const struct iceberg_schema *schema = iceberg_metadata_current_schema(&t.metadata);
        CHECK(iceberg_schema_find_name(schema, fresh)->id == ++last);
        e = begin(&t);
        CHECK_OK(iceberg_evolve_drop(e, path1(&fresh), NULL));
        CHECK_OK(commit(&t, e, NULL));
        CHECK(t.metadata.last_column_id == last);
        CHECK(t.metadata.current_schema_id == 0); /* which is as it was */
    }
}

TEST(iceberg_evolve, two_changes_at_once_are_one)
{
    struct table t CLEANUP(fini);
    make(&t, 2);
    struct iceberg_evolution *first = begin(&t);
    const struct iceberg_metadata as_read = t.metadata;
    struct iceberg_evolution *second;
    CHECK_OK(iceberg_evolve_open(&as_read, t.arena, &second, NULL));
    const struct iceberg_field field = {.type = {.id = ICEBERG_LONG}};
    CHECK_OK(iceberg_evolve_add(first, path1(&fresh), &field, (struct iceberg_position){0}, NULL));
    CHECK_OK(iceberg_evolve_rename(second, path1(&name), SLICE("other"), NULL));
    CHECK_OK(commit(&t, first, NULL));
    CHECK_ERR(ERR_BUSY, commit(&t, second, NULL));
}

TEST(iceberg_evolve, what_readers_could_not_follow_is_refused)
{
    struct table t CLEANUP(fini);
    make(&t, 3);
    struct iceberg_evolution *e = begin(&t);
    const struct iceberg_type text = {.id = ICEBERG_STRING};
    const struct iceberg_type time = {.id = ICEBERG_TIMESTAMP};
    const struct iceberg_type wide = {.id = ICEBERG_LONG};
    struct iceberg_path identifier[] = {path1(&name)};
    CHECK_ERR(ERR_INVALID, iceberg_evolve_drop(e, path1(&id), NULL)); /* partitioned by it */
    CHECK_ERR(ERR_EXISTS, iceberg_evolve_rename(e, path1(&name), SLICE("DAY"), NULL));
    CHECK_ERR(ERR_EXISTS, iceberg_evolve_rename(e, path1(&name), SLICE("ID_bucket"), NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_type(e, path1(&id), &text, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_type(e, (struct iceberg_path){map_key, 2}, &text, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_drop(e, (struct iceberg_path){map_key, 2}, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_required(e, path1(&name), true, false, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_identify(e, identifier, 1, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_upgrade(e, 2, NULL));
    CHECK_ERR(ERR_INVALID, iceberg_evolve_property(e, SLICE("location"), SLICE("/x"), NULL));
    CHECK_ERR(ERR_INVALID,
              iceberg_evolve_partition_add(e, path1(&name), SLICE("day"), SLICE(""), NULL));
    CHECK_ERR(ERR_EXISTS, iceberg_evolve_partition_add(e, path1(&id), SLICE("bucket[4]"),
                                                       SLICE("again"), NULL));
    CHECK_OK(iceberg_evolve_type(e, path1(&id), &wide, NULL));
    CHECK_OK(iceberg_evolve_type(e, path1(&day), &time, NULL)); /* of version 3 */
    CHECK_OK(iceberg_evolve_partition_add(e, path1(&name), SLICE("truncate[2]"), SLICE(""), NULL));
    CHECK_OK(commit(&t, e, NULL));
    CHECK(t.metadata.spec_count == 2 && t.metadata.last_partition_id == 1001);
}

/* A date that files are partitioned by has other values as a timestamp. */
TEST(iceberg_evolve, a_source_of_partitions_stays_a_date)
{
    struct table t CLEANUP(fini);
    make(&t, 3);
    const struct iceberg_type time = {.id = ICEBERG_TIMESTAMP};
    struct iceberg_evolution *e = begin(&t);
    CHECK_OK(iceberg_evolve_partition_add(e, path1(&day), SLICE("month"), SLICE(""), NULL));
    CHECK_OK(commit(&t, e, NULL));
    e = begin(&t);
    CHECK_OK(iceberg_evolve_partition_drop_named(e, SLICE("day_month"), NULL));
    CHECK_OK(commit(&t, e, NULL));
    CHECK(t.metadata.default_spec_id == 0);
    e = begin(&t);
    CHECK_ERR(ERR_INVALID, iceberg_evolve_type(e, path1(&day), &time, NULL));
}

TEST(iceberg_evolve, version_1_keeps_dropped_partition_fields)
{
    struct table t CLEANUP(fini);
    make(&t, 1);
    struct iceberg_evolution *e = begin(&t);
    CHECK_OK(iceberg_evolve_partition_drop(e, path1(&id), SLICE("bucket[4]"), NULL));
    CHECK_OK(iceberg_evolve_partition_add(e, path1(&day), SLICE("year"), SLICE("id_bucket"), NULL));
    CHECK_OK(commit(&t, e, NULL));
    const struct iceberg_spec *spec = iceberg_metadata_spec(&t.metadata, 1);
    CHECK(spec != NULL && spec->field_count == 2);
    CHECK(spec->fields[0].transform.kind == TRANSFORM_VOID && spec->fields[0].field_id == 1000);
    CHECK(spec->fields[1].transform.kind == TRANSFORM_YEAR && spec->fields[1].field_id == 1001);
}

static enum err change_much(struct table *t, struct errinfo *info)
{
    struct iceberg_evolution *e;
    const struct iceberg_field field = {.type = {.id = ICEBERG_LONG}, .doc = SLICE("new")};
    const struct iceberg_type wide = {.id = ICEBERG_LONG};
    const struct iceberg_sort_want want = {.path = path1(&day), .transform = SLICE("identity")};
    const struct iceberg_path identifier = path1(&id);
    TRY(iceberg_evolve_open(&t->metadata, t->arena, &e, info));
    TRY(iceberg_evolve_add(e, (struct iceberg_path){inner, 2}, &field,
                           (struct iceberg_position){.at = ICEBERG_FIRST}, info));
    TRY(iceberg_evolve_rename(e, path1(&name), SLICE("title"), info));
    TRY(iceberg_evolve_type(e, path1(&id), &wide, info));
    TRY(iceberg_evolve_move(e, path1(&id),
                            (struct iceberg_position){.at = ICEBERG_AFTER, .after = day}, info));
    TRY(iceberg_evolve_identify(e, &identifier, 1, info));
    TRY(iceberg_evolve_partition_add(e, path1(&day), SLICE("day"), SLICE(""), info));
    TRY(iceberg_evolve_order(e, &want, 1, info));
    TRY(iceberg_evolve_property(e, SLICE("a"), SLICE("b"), info));
    TRY(iceberg_evolve_upgrade(e, 3, info));
    return commit(t, e, info);
}

TEST(iceberg_evolve, a_failure_leaves_the_table_as_it_was)
{
    struct table base CLEANUP(fini);
    make(&base, 2);
    SWEEP_ALLOC(fault)
    {
        struct table t = {.arena = arena_new(NULL, "test", 0)};
        enum err err = t.arena == NULL ? ERR_NOMEM : ERR_OK;
        buf_append_slice(&t.document, buf_slice(&base.document));
        err = err != ERR_OK || buf_failed(&t.document) ? ERR_NOMEM : load(&t, NULL);
        if (err == ERR_OK) {
            err = change_much(&t, NULL);
        }
        fault_disarm();
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        if (err == ERR_OK) {
            const struct iceberg_schema *schema = iceberg_metadata_current_schema(&t.metadata);
            CHECK(t.metadata.format_version == 3 && schema->identifier_count == 1);
            CHECK(schema->root.fields[2].id == 1 && schema->root.fields[2].type.id == ICEBERG_LONG);
            CHECK(slice_equal(
                iceberg_metadata_property(&t.metadata, "write.metadata.metrics.column.title"),
                SLICE("full")));
            CHECK(t.metadata.default_sort_order_id == 1 && t.metadata.default_spec_id == 1);
        }
        fini(&t);
    }
}
