/* Goal: no answer of a metastore makes its reader crash, hang or look past its end, and a table
 * that was read is the same table when it is written again with another place. */
#include "base/fuzz.h"
#include "catalog/rest/hive/hive_int.h"

static void check_inside(struct slice outer, struct slice inner)
{
    ASSERT(inner.len == 0 ||
           (inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len));
}

static void fuzz_reply(struct slice bytes)
{
    static const struct hive_method method = {"get_table_req", false, {HIVE_FAILS, HIVE_MISSING}};
    const struct rest_catalog catalog = {.name = SLICE("lake")};
    struct errinfo info;
    const struct rest_call call = {.catalog = &catalog, .info = &info};
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, &call, &method, "table", SLICE("t"));
    if (!secret_copy(bytes, &reply.answer.body) || hive_reply__read(&hive, &reply) != ERR_OK) {
        return;
    }
    struct slice body = secret_slice(&reply.answer.body);
    check_inside(body, reply.message);
    check_inside(body, reply.result.value);
    ASSERT(reply.fault == HIVE_FINE || hive_call__fault(&hive, &reply) != ERR_OK);
}

static void fuzz_table(struct slice bytes)
{
    const struct metastore_column column = {.name = SLICE("id"), .type = SLICE("bigint")};
    const struct metastore_table table = {.location = SLICE("file:/t"),
                                          .metadata_location = SLICE("file:/t/metadata/2.json"),
                                          .uuid = SLICE("u"),
                                          .columns = &column,
                                          .column_count = 1};
    const struct hive_change change = {.table = &table, .before = SLICE("file:/t/metadata/1.json")};
    struct hive_found found;
    struct hive_found again;
    struct buf out CLEANUP(buf_fini) = {0};
    struct thrift_reader reader = {.left = bytes};
    struct slice raw = thrift_read_raw(&reader, THRIFT_STRUCT);
    if (reader.is_bad || !hive_table__read(raw, &found)) {
        return;
    }
    check_inside(bytes, found.name);
    check_inside(bytes, found.metadata_location);
    hive_table__rewrite(raw, &change, &out);
    if (buf_failed(&out)) {
        return;
    }
    ASSERT(hive_table__read(buf_slice(&out), &again));
    ASSERT(slice_equal(found.name, again.name) && found.is_iceberg == again.is_iceberg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    fuzz_reply(bytes);
    fuzz_table(bytes);
    return 0;
}
