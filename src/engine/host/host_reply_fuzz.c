/* What the broker reads of a host: the first byte says which message, the rest is its body. A batch
 * that is accepted is walked to its last byte, so that what it claims must be there. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/broker_int.h"

static uint64_t walk_bytes(const void *bytes, size_t len)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += ((const uint8_t *)bytes)[i];
    }
    return sum;
}

static uint64_t walk(const struct wire_schema *schema, const struct ArrowArray *array)
{
    size_t rows = (size_t)array->length;
    size_t offset_bytes = (rows + 1) * (schema->layout.is_large ? 8 : 4);
    uint64_t sum = 0;
    uint64_t last = 0;
    switch (schema->layout.kind) {
    case LAYOUT_NULL:
    case LAYOUT_STRUCT:
    case LAYOUT_FIXED_LIST:
        break;
    case LAYOUT_UNION:
        sum += walk_bytes(array->buffers[0], rows);
        break;
    case LAYOUT_BITS:
        sum += walk_bytes(array->buffers[1], (rows + 7) / 8);
        break;
    case LAYOUT_FIXED:
        sum += walk_bytes(array->buffers[1], rows * schema->layout.width);
        break;
    case LAYOUT_LIST:
    case LAYOUT_BYTES:
        sum += walk_bytes(array->buffers[1], offset_bytes);
        last = schema->layout.is_large ? (uint64_t)((const int64_t *)array->buffers[1])[rows]
                                       : (uint64_t)((const int32_t *)array->buffers[1])[rows];
        if (schema->layout.kind == LAYOUT_BYTES) {
            sum += walk_bytes(array->buffers[2], last);
        }
        break;
    }
    if (schema->layout.kind != LAYOUT_NULL && schema->layout.kind != LAYOUT_UNION &&
        array->buffers[0] != NULL) {
        sum += walk_bytes(array->buffers[0], (rows + 7) / 8);
    }
    for (size_t i = 0; i < schema->child_count; i++) {
        sum += walk(&schema->children[i], array->children[i]);
    }
    return schema->dictionary == NULL ? sum : sum + walk(schema->dictionary, array->dictionary);
}

static void read_batch(struct wire *in, struct arena *arena)
{
    struct wire_schema *schema = wire_take_schema(in, arena);
    struct slice description = wire_slice(in);
    struct slice data = wire_slice(in);
    if (in->is_bad) {
        return;
    }
    struct ArrowSchema copy;
    if (wire_schema_export(schema, &copy, NULL) == ERR_OK) {
        copy.release(&copy);
    }
    char *owned = mem_alloc(data.len);
    struct ArrowArray batch;
    if (owned == NULL) {
        return;
    }
    memcpy(owned, data.ptr, data.len);
    if (wire_take_batch(schema, description, owned, data.len, &batch, NULL) == ERR_OK) {
        volatile uint64_t sum = walk(schema, &batch);
        (void)sum;
        batch.release(&batch);
    }
}

/* A lane's request with no grant attached: it must be refused or answered, whatever it says. */
static void read_request(uint8_t which, struct slice body)
{
    static struct engine engine;
    static struct engine_hosts hosts = {.engine = &engine};
    static struct host host = {.hosts = &hosts, .spill_folder = -1, .lane_count = 1};
    static char memory[HOST_SHARED_BYTES];
    struct buf out CLEANUP(buf_fini) = {0};
    if (engine.mask == NULL && mask__new(SLICE("key"), &engine.mask, NULL) != ERR_OK) {
        return;
    }
    host.memory = memory;
    struct lane_request request = {
        .host = &host, .kind = MESSAGE_READ + which % 10, .body = body, .out = &out, .fd = -1};
    errinfo_init(&request.info);
    bool is_sane = lane__handle(&request);
    if (is_sane && request.err == ERR_OK) {
        ASSERT(request.kind == MESSAGE_HASH); /* nothing else is to be had without a grant */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    if (size == 0 || arena == NULL) {
        return 0;
    }
    struct slice body = {(const char *)data + 1, size - 1};
    struct wire in = wire_of(body);
    struct errinfo info;
    struct engine_column *columns;
    const struct engine_predicate *const *predicates;
    size_t count;
    switch (data[0] & 7) {
    case 0:
        read_batch(&in, arena);
        break;
    case 1:
        host_take_columns(&in, arena, &columns, &count);
        break;
    case 2:
        (void)wire_errinfo(&in, &info);
        break;
    case 3:
        host_take_predicates(&in, arena, &predicates, &count);
        break;
    default: /* a byte of the input */
        read_request((uint8_t)(data[0] >> 3), body);
        break;
    }
    return 0;
}
