/* Messages say the same at both ends, and nothing if they are cut or changed. */
#include "arrow/sample.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/protocol.h"

struct packed {
    struct buf schema;
    struct wire_batch batch;
    char *data;
};

static void pack(const struct sample *sample, struct packed *packed)
{
    *packed = (struct packed){0};
    CHECK_OK(wire_put_schema(&packed->schema, sample->schema, NULL));
    CHECK_OK(wire_batch_of(sample->schema, sample->batch, &packed->batch, NULL));
    packed->data = mem_alloc(packed->batch.data_bytes);
    CHECK(packed->data != NULL);
    wire_batch_copy(&packed->batch, packed->data);
}

static void packed_fini(struct packed *packed)
{
    buf_fini(&packed->schema);
    wire_batch_fini(&packed->batch);
    mem_free(packed->data);
}

static enum err unpack(const struct wire_schema *schema, const struct packed *packed,
                       struct ArrowArray *ret_batch, struct errinfo *info)
{
    char *data = mem_alloc(packed->batch.data_bytes);
    if (data == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(data, packed->data, packed->batch.data_bytes);
    return wire_take_batch(schema, buf_slice(&packed->batch.description), data,
                           packed->batch.data_bytes, ret_batch, info);
}

static struct wire_schema *take_schema(const struct packed *packed, struct arena *arena)
{
    struct wire in = wire_of(buf_slice(&packed->schema));
    struct wire_schema *schema = wire_take_schema(&in, arena);
    CHECK(schema != NULL && wire_is_done(&in));
    return schema;
}

TEST(engine_host, batches_of_every_type_arrive_as_they_were)
{
    /* Method: pack, unpack, export, pack again: the same bytes. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct sample sample;
    struct packed first;
    struct packed second;
    sample_init(&sample);
    pack(&sample, &first);
    struct wire_schema *schema = take_schema(&first, arena);
    struct ArrowArray batch;
    struct ArrowSchema copy;
    CHECK_OK(unpack(schema, &first, &batch, NULL));
    CHECK_OK(wire_schema_export(schema, &copy, NULL));
    sample.schema = &copy;
    sample.batch = &batch;
    pack(&sample, &second);
    CHECK(slice_equal(buf_slice(&first.schema), buf_slice(&second.schema)));
    CHECK(slice_equal(buf_slice(&first.batch.description), buf_slice(&second.batch.description)));
    CHECK(first.batch.data_bytes == second.batch.data_bytes);
    for (size_t i = 0; i < first.batch.piece_count; i++) { /* what is between them is nobody's */
        const struct wire_piece *piece = &first.batch.pieces[i];
        CHECK(memcmp(first.data + piece->at, second.data + piece->at, piece->len) == 0);
    }
    /* A child that was moved out outlives the rest. */
    struct ArrowArray moved = *batch.children[0];
    batch.children[0]->release = NULL;
    batch.release(&batch);
    CHECK(moved.length == SAMPLE_ROWS && ((const uint8_t *)moved.buffers[1])[0] == 0x09);
    moved.release(&moved);
    copy.release(&copy);
    packed_fini(&first);
    packed_fini(&second);
}

TEST(engine_host, a_changed_batch_is_refused_or_stays_within_its_bytes)
{
    /* Method: change one byte of the description or of the data; the sanitizers watch. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    uint64_t seed = test_seed();
    struct sample sample;
    struct packed packed;
    sample_init(&sample);
    pack(&sample, &packed);
    struct wire_schema *schema = take_schema(&packed, arena);
    unsigned refused = 0;
    for (unsigned i = 0; i < 20000; i++) {
        bool in_data = test_random_below(&seed, 2) == 0;
        size_t len = in_data ? packed.batch.data_bytes : packed.batch.description.len;
        char *bytes = in_data ? packed.data : packed.batch.description.ptr;
        size_t at = test_random_below(&seed, len);
        char before = bytes[at];
        bytes[at] = (char)test_random(&seed);
        struct ArrowArray batch;
        if (unpack(schema, &packed, &batch, NULL) == ERR_OK) {
            struct wire_batch again = {0};
            CHECK_OK(wire_batch_of(sample.schema, &batch, &again, NULL));
            wire_batch_fini(&again);
            batch.release(&batch);
        } else {
            refused++;
        }
        bytes[at] = before;
    }
    CHECK(refused > 1000);
    packed_fini(&packed);
}

TEST(engine_host, a_cut_message_is_never_whole)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct sample sample;
    struct packed packed;
    sample_init(&sample);
    pack(&sample, &packed);
    for (size_t len = 0; len < packed.schema.len; len++) {
        struct wire in = wire_of((struct slice){packed.schema.ptr, len});
        CHECK(wire_take_schema(&in, arena) == NULL);
    }
    packed_fini(&packed);
}

TEST(engine_host, reading_a_batch_survives_any_failed_allocation)
{
    struct sample sample;
    struct packed packed;
    sample_init(&sample);
    pack(&sample, &packed);
    bool was_whole = false;
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct wire in = wire_of(buf_slice(&packed.schema));
        struct wire_schema *schema = arena == NULL ? NULL : wire_take_schema(&in, arena);
        struct ArrowArray batch;
        struct ArrowSchema copy;
        bool is_whole = schema != NULL && unpack(schema, &packed, &batch, NULL) == ERR_OK;
        if (is_whole) {
            if (wire_schema_export(schema, &copy, NULL) == ERR_OK) {
                copy.release(&copy);
            } else {
                is_whole = false;
            }
            batch.release(&batch);
        }
        was_whole = is_whole;
    }
    CHECK(was_whole); /* the last time nothing failed */
    packed_fini(&packed);
}

TEST(engine_host, grants_files_and_predicates_arrive_as_they_were)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct engine_scan_column field = {.field_id = 7, .name = SLICE("f"), .type = SLICE("DATE")};
    struct engine_scan_column column = {.field_id = 3,
                                        .name = SLICE("s"),
                                        .type = SLICE("STRUCT(f DATE)"),
                                        .value = SLICE("NULL"),
                                        .children = &field,
                                        .child_count = 1};
    struct engine_scan_spec scan = {
        .columns = &column, .column_count = 1, .row_count_estimate = -1, .has_hidden = true};
    const struct engine_scan_spec *scans[] = {&scan};
    struct engine_object object = {.size_bytes = 5, .etag = SLICE("e"), .extension = SLICE(".csv")};
    char address[] = "0123456789abcdef0123456789abcdef";
    struct buf first CLEANUP(buf_fini) = {0};
    struct buf second CLEANUP(buf_fini) = {0};
    struct ArrowSchema number = {.format = "l", .name = "n"};
    struct ArrowSchema *fields[] = {&number};
    struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1, .children = fields};
    struct engine_rows rows = {.schema = &schema};
    struct engine_grant_spec spec = {.objects = &object,
                                     .object_count = 1,
                                     .writable_count = 2,
                                     .scans = scans,
                                     .scan_count = 1,
                                     .rows = &rows};
    CHECK(host_put_grant(&first, 9, address, &spec, NULL) == ERR_OK);
    struct wire in = wire_of(buf_slice(&first));
    struct host_grant grant;
    host_take_grant(&in, arena, &grant);
    CHECK(wire_is_done(&in));
    struct ArrowSchema taken_schema;
    CHECK(wire_schema_export(grant.rows, &taken_schema, NULL) == ERR_OK);
    rows.schema = &taken_schema;
    grant.spec.rows = &rows;
    CHECK(host_put_grant(&second, grant.number, grant.address, &grant.spec, NULL) == ERR_OK);
    taken_schema.release(&taken_schema);
    CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));

    struct slice values[] = {SLICE("1"), SLICE("2")};
    struct engine_predicate leaf = {
        .kind = PREDICATE_IN, .field_id = 3, .values = values, .value_count = 2};
    const struct engine_predicate *leaves[] = {&leaf};
    struct engine_predicate either = {.kind = PREDICATE_OR, .children = leaves, .child_count = 1};
    const struct engine_predicate *all[] = {&either, &leaf};
    buf_reset(&first);
    buf_reset(&second);
    host_put_predicates(&first, all, 2);
    in = wire_of(buf_slice(&first));
    const struct engine_predicate *const *taken;
    size_t count;
    host_take_predicates(&in, arena, &taken, &count);
    CHECK(wire_is_done(&in) && count == 2);
    host_put_predicates(&second, taken, count);
    CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
    leaf.kind = PREDICATE_EQUAL; /* with two values */
    buf_reset(&first);
    host_put_predicates(&first, all, 2);
    in = wire_of(buf_slice(&first));
    host_take_predicates(&in, arena, &taken, &count);
    CHECK(in.is_bad && count == 0);
}

TEST(engine_host, names_of_spill_files_stay_in_their_folder)
{
    CHECK(host_name_is_valid(SLICE("duckdb_temp_storage_S32K-0.tmp")));
    static const char *const bad[] = {"", ".", "..", "a/b", "../x", "a b", "a\nb"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK(!host_name_is_valid(slice_of(bad[i])));
    }
}

TEST(engine_host, errors_arrive_whole_and_never_as_success)
{
    struct errinfo sent;
    struct errinfo got;
    struct buf out CLEANUP(buf_fini) = {0};
    (void)errinfo_set(&sent, ERR_ENGINE, "22012", "division by zero in \"%s\"", "x");
    errinfo_hint(&sent, "Use another divisor.");
    errinfo_position(&sent, 12);
    wire_put_errinfo(&out, &sent);
    struct wire in = wire_of(buf_slice(&out));
    CHECK_ERR(ERR_ENGINE, wire_errinfo(&in, &got));
    CHECK(wire_is_done(&in));
    CHECK_STR(sent.message, got.message);
    CHECK_STR("22012", got.sqlstate);
    CHECK_STR(sent.hint, got.hint);
    CHECK(got.position == 12);
    out.ptr[0] = ERR_OK;
    in = wire_of(buf_slice(&out));
    CHECK(wire_errinfo(&in, &got) != ERR_OK && in.is_bad);
}
