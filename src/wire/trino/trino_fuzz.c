/* What a client sends: a statement in Trino's dialect, a field with pairs, and the name of a type.
 * Whatever the bytes, nothing is read beside them, what comes out is bounded by what went in, and
 * positions are inside. */
#include "base/fuzz.h"
#include "wire/trino/trino_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct slice input = {(const char *)data, size};
    struct trino_pair pairs[8];
    struct trino_request request = {.prepared = pairs};
    struct trino_plan plan;
    struct trino_type type;
    struct buf text CLEANUP(buf_fini) = {0};
    if (arena == NULL || size > 65536) {
        return 0;
    }
    enum err err =
        trino_pairs_read(input, arena, pairs, ARRAY_COUNT(pairs), &request.prepared_count, NULL);
    ASSERT(request.prepared_count <= ARRAY_COUNT(pairs));
    err = trino_plan(&request, input, arena, &plan, NULL);
    if (err == ERR_OK) {
        for (size_t i = 0; i <= plan.text.len && i < 1000; i++) {
            struct errinfo why;
            errinfo_init(&why);
            (void)errinfo_set(&why, ERR_SYNTAX, "42601", "syntax error at or near \"x\"");
            errinfo_position(&why, i);
            trino_plan_error(&plan, &why);
            ASSERT(why.position <= plan.origin.len + 1); /* behind its end: something is missing */
            ASSERT(slice_is_utf8(slice_of(why.message), NULL) || !slice_is_utf8(plan.origin, NULL));
        }
    }
    if (trino_type_parse(input, true, arena, &type, NULL) == ERR_OK) {
        trino_type_print(&type, &text);
    }
    return 0;
}
