#include "iceberg/metadata.h"
#include "iceberg/write.h"

#include <stdio.h>

#include "base/test.h"

static const char first[] =
    "{\"format-version\":2,\"table-uuid\":\"1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1\","
    "\"location\":\"/t\",\"last-sequence-number\":1,\"last-updated-ms\":10,\"last-column-id\":2,"
    "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"string\"}]}],"
    "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"
    "\"last-partition-id\":999,\"default-sort-order-id\":0,"
    "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"properties\":{\"old\":\"1\"},"
    "\"current-snapshot-id\":7,\"refs\":{\"main\":{\"snapshot-id\":7,\"type\":\"branch\"},"
    "\"side\":{\"snapshot-id\":7,\"type\":\"branch\"}},\"snapshots\":["
    "{\"snapshot-id\":6,\"sequence-number\":1,\"timestamp-ms\":5,\"manifest-list\":\"/t/6.avro\","
    "\"summary\":{\"operation\":\"append\"},\"schema-id\":0},"
    "{\"snapshot-id\":7,\"sequence-number\":1,\"timestamp-ms\":6,\"manifest-list\":\"/t/7.avro\","
    "\"summary\":{\"operation\":\"append\"},\"schema-id\":0}],"
    "\"statistics\":[{\"snapshot-id\":7,\"statistics-path\":\"/t/7.stats\","
    "\"file-size-in-bytes\":9,\"file-footer-size-in-bytes\":4,\"blob-metadata\":[]}]}";

#define SCHEMA(type)                                                                               \
    "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":1,\"fields\":["      \
    "{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"long\"},{\"id\":3,\"name\":\"c\","      \
    "\"required\":false,\"type\":\"" type                                                          \
    "\"}]},\"last-column-id\":3},{\"action\":\"set-current-schema\",\"schema-id\":-1}"
#define SNAPSHOT                                                                                   \
    "{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":8,\"parent-snapshot-id\":7,"       \
    "\"sequence-number\":2,\"timestamp-ms\":20,\"manifest-list\":\"/t/8.avro\",\"summary\":{"      \
    "\"operation\":\"append\"},\"schema-id\":0}}"
#define STATISTICS                                                                                 \
    "{\"action\":\"set-statistics\",\"snapshot-id\":7,\"statistics\":{\"snapshot-id\":7,"          \
    "\"statistics-path\":\"/t/other.stats\",\"file-size-in-bytes\":9,"                             \
    "\"file-footer-size-in-bytes\":4,\"blob-metadata\":[]}}"

static const char *const changes[] = {
    "[{\"action\":\"upgrade-format-version\",\"format-version\":3}]",
    "[{\"action\":\"set-location\",\"location\":\"/u\"}]",
    "[{\"action\":\"set-properties\",\"updates\":{\"old\":\"2\",\"new\":\"x\"}}]",
    "[{\"action\":\"remove-properties\",\"removals\":[\"old\"]}]",
    "[" SCHEMA("int") "]",
    "[{\"action\":\"add-spec\",\"spec\":{\"spec-id\":1,\"fields\":[{\"name\":\"a_bucket_4\","
    "\"transform\":\"bucket[4]\",\"source-id\":1,\"field-id\":1000}]}},"
    "{\"action\":\"set-default-spec\",\"spec-id\":-1}]",
    "[{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":1,\"fields\":[{\"transform\":"
    "\"identity\",\"source-id\":1,\"direction\":\"desc\",\"null-order\":\"nulls-last\"}]}},"
    "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1}]",
    "[" SNAPSHOT "]",
    "[" SNAPSHOT ",{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
    "\"snapshot-id\":8}]",
    "[{\"action\":\"remove-snapshot-ref\",\"ref-name\":\"side\"}]",
    "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[6]}]",
    "[" STATISTICS "]",
    "[{\"action\":\"remove-statistics\",\"snapshot-id\":7}]",
};

static bool is_done(struct slice document, const char *updates)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_metadata metadata;
    CHECK(arena != NULL);
    CHECK_OK(iceberg_metadata_parse(document, arena, &metadata, NULL));
    return iceberg_update_is_done(&metadata, slice_of(updates), arena);
}

TEST(iceberg_update_done, each_change_is_seen_where_it_was_made_and_nowhere_else)
{
    /* Goal: no change is taken for done that was not, and each for done that was. Method: every
     * change against the table before it, after it, and after each of the others. */
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        struct buf next CLEANUP(buf_fini) = {0};
        struct iceberg_update update = {.document = slice_of(first),
                                        .location = SLICE("/t/metadata/before.json"),
                                        .requirements = SLICE("[]"),
                                        .updates = slice_of(changes[i]),
                                        .now_ms = 2000};
        CHECK_OK(iceberg_update_apply(&update, &next, NULL));
        CHECK(!is_done(slice_of(first), changes[i]));
        for (size_t k = 0; k < ARRAY_COUNT(changes); k++) {
            bool has_both = (i == 8 && k == 7); /* a snapshot, and that it is the current one */
            CHECK(is_done(buf_slice(&next), changes[k]) == (i == k || has_both));
        }
    }
}

TEST(iceberg_update_done, what_is_not_known_is_not_done)
{
    CHECK(!is_done(slice_of(first), "[]"));
    CHECK(!is_done(slice_of(first), "{}"));
    CHECK(!is_done(slice_of(first), "no"));
    CHECK(!is_done(slice_of(first), "[{\"action\":\"assign-uuid\",\"uuid\":\"x\"}]"));
    CHECK(!is_done(slice_of(first), "[" SCHEMA("nothing") "]"));
}
