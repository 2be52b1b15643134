/* Goal: no bytes make the parser crash or hang, and what it accepts, written and parsed again, is
 * the same document. */
#include "base/fuzz.h"
#include "base/json.h"

static bool is_same(const struct json *a, const struct json *b)
{
    bool same = a->type == b->type && a->boolean == b->boolean && a->count == b->count &&
                slice_equal(a->key, b->key) && slice_equal(a->text, b->text);
    const struct json *other = b->first;
    for (const struct json *child = a->first; same && child != NULL; child = child->next) {
        same = is_same(child, other);
        other = other->next;
    }
    return same;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct slice text = {(const char *)data, size};
    struct json *first;
    struct json *second;
    if (arena == NULL || json_parse(arena, text, NULL, &first, NULL) != ERR_OK) {
        return 0;
    }
    struct buf out CLEANUP(buf_fini) = {0};
    json_write(&out, first);
    ASSERT(!buf_failed(&out));
    ASSERT(json_parse(arena, buf_slice(&out), NULL, &second, NULL) == ERR_OK);
    ASSERT(is_same(first, second));
    return 0;
}
