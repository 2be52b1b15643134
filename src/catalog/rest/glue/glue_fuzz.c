/* Goal: no answer of Glue makes its readers crash or hang; what is told of an error is short and
 * printable; a table that was read is the same table when it is written again with another place,
 * and no Iceberg table when it is written as one that has moved. */
#include "base/fuzz.h"
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/glue/glue_int.h"

static void fuzz_error(const struct rest_call *call, struct slice text)
{
    static const long statuses[] = {400, 403, 404, 500, 503};
    const struct rest_question question = {.what = "table", .name = SLICE("t")};
    struct errinfo info;
    errinfo_init(&info);
    long status = glue__status(statuses[text.len % ARRAY_COUNT(statuses)], text);
    ASSERT(status >= 400 && status < 600);
    ASSERT(rest_answer__error(call->catalog, &question, status, text, 0, &info) != ERR_OK);
    for (const char *c = info.detail; *c != '\0'; c++) {
        ASSERT(*c >= 0x20 && *c < 0x7F);
    }
}

/* What is written is JSON whatever was read. */
static struct json *parse(struct arena *arena, const struct buf *text)
{
    struct json *root = NULL;
    struct errinfo info;
    enum err err =
        buf_failed(text) ? ERR_NOMEM : json_parse(arena, buf_slice(text), NULL, &root, &info);
    ASSERT(err == ERR_OK || err == ERR_NOMEM || err == ERR_LIMIT);
    return err == ERR_OK ? root : NULL;
}

static void fuzz_table(const struct json *table, struct arena *arena)
{
    const struct metastore_column column = {
        .name = SLICE("id"), .type = SLICE("bigint"), .field_id = 1};
    const struct metastore_table next = {.location = SLICE("s3://b/t"),
                                         .metadata_location = SLICE("s3://b/t/metadata/2.json"),
                                         .columns = &column,
                                         .column_count = 1};
    const struct glue_change turned = {.table = &next, .before = SLICE("s3://b/t/metadata/1.json")};
    const struct glue_change moved = {.moved = SLICE("other")};
    struct glue_found found;
    struct glue_found again;
    struct buf first CLEANUP(buf_fini) = {0};
    struct buf second CLEANUP(buf_fini) = {0};
    if (!glue_table__read(table, &found)) {
        return;
    }
    glue_table__write(table, &turned, &first);
    const struct json *written = parse(arena, &first);
    if (written != NULL) {
        ASSERT(glue_table__read(written, &again));
        ASSERT(!slice_is_utf8(found.name, NULL) || slice_equal(found.name, again.name));
        ASSERT(slice_equal(again.metadata_location, next.metadata_location));
        ASSERT(slice_equal(again.location, next.location));
    }
    glue_table__write(table, &moved, &second);
    written = parse(arena, &second);
    if (written != NULL) {
        ASSERT(glue_table__read(written, &again) && !again.is_iceberg);
    }
}

static void fuzz_database(const struct json *database, struct arena *arena)
{
    const struct rest_property properties[] = {{SLICE("location"), SLICE("s3://b/d")},
                                               {SLICE("a"), {NULL, 0}}};
    struct buf out CLEANUP(buf_fini) = {0};
    glue_database__write(database, SLICE("d"), properties, ARRAY_COUNT(properties), &out);
    const struct json *written = parse(arena, &out);
    ASSERT(written == NULL ||
           slice_equal(json_get_text(written, "LocationUri"), SLICE("s3://b/d")));
    ASSERT(written == NULL || json_get(json_get(written, "Parameters"), "a") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    const struct rest_catalog catalog = {.protocol = REST_PROTOCOL_GLUE, .name = SLICE("lake")};
    struct errinfo info;
    const struct rest_call call = {.catalog = &catalog, .info = &info};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    struct slice text = {(const char *)data, size};
    fuzz_error(&call, text);
    if (arena == NULL || !secret_copy(text, &reply.answer.body) ||
        glue_reply__read(&call, &reply) != ERR_OK) {
        return 0;
    }
    fuzz_table(json_get(reply.root, "Table"), arena);
    fuzz_table(reply.root, arena);
    fuzz_database(json_get(reply.root, "Database"), arena);
    return 0;
}
