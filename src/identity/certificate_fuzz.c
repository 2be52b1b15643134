/* Certificates of clients (DER), and one name against one rule.
 * Input: a rule, NUL, a certificate or a name. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "identity/certificate_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct certificate_names *names = arena_calloc(arena, 1, sizeof(*names));
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    size_t rule_len = nul == NULL ? 0 : (size_t)(nul - data);
    size_t rest_at = nul == NULL ? 0 : rule_len + 1;
    struct slice rules = {(const char *)data, rule_len};
    struct slice rest = {(const char *)data + rest_at, size - rest_at};
    struct slice user;
    bool found = false;
    bool is_exact = false;
    if (names == NULL) {
        return 0;
    }
    bool is_rule = rules.len < 512 && certificate_check_rules(rules, NULL) == ERR_OK;
    if (certificate_read(rest, arena, names, NULL) == ERR_OK) {
        ASSERT(names->count <= CERTIFICATE_NAMES_MAX);
        for (size_t i = 0; i < names->count; i++) {
            ASSERT(names->names[i].text.len > 0 && slice_is_utf8(names->names[i].text, NULL));
        }
    } else {
        *names = (struct certificate_names){.names = {{CERTIFICATE_EMAIL, rest}}, .count = 1};
    }
    if (is_rule) {
        enum err err = certificate_map(names, rules, arena, &found, &user, &is_exact, NULL);
        ASSERT(err == ERR_OK && (found || !is_exact));
    }
    return 0;
}
