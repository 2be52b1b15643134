/* The YAML reader over any bytes: it ends, stays in its memory, and what it accepts is whole. */
#include "base/fuzz.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", (size_t)64 << 20);
    struct policy_file file = {0};
    struct errinfo info;
    struct slice text = {(const char *)data, size};
    if (arena == NULL || policy_file_parse(text, "fuzz.yaml", arena, &file, &info) != ERR_OK) {
        return 0;
    }
    for (size_t i = 0; i < file.rule_count; i++) {
        const struct policy_rule *rule = &file.rules[i];
        ASSERT(rule->grantee.len > 0 && rule->object.schema.len > 0 && rule->object.name.len > 0);
        ASSERT(rule->effect == GRANT_ALLOW || rule->mask_count == 0);
        ASSERT(rule->line > 0 && memchr(rule->grantee.ptr, 0, rule->grantee.len) == NULL);
        for (size_t c = 0; c < rule->column_count; c++) {
            ASSERT(rule->columns[c].len > 0);
        }
        for (size_t m = 0; m < rule->mask_count; m++) {
            ASSERT(rule->masks[m].name.len > 0 && rule->masks[m].value.len > 0);
        }
    }
    return 0;
}
