/* What checking a syntax tree costs: the 22 TPC-H trees, microseconds a tree. */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "identity/identity.h"
#include "sql/ast.h"

#define ROUNDS 500

static bool measure(struct slice json, const struct identity *who, struct arena *arena)
{
    struct sql_ast *ast;
    struct errinfo info;
    struct json *root;
    errinfo_init(&info);
    int64_t began = clock_mono_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        arena_reset(arena);
        if (json_parse(arena, json, NULL, &root, &info) != ERR_OK) {
            return false;
        }
    }
    int64_t parsed = clock_mono_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        arena_reset(arena);
        if (sql_ast_open(json, SLICE(""), SQL_FROM_USER, &sql_limits_default, who, arena, &ast,
                         &info) != ERR_OK) {
            return false;
        }
    }
    int64_t opened = clock_mono_us();
    printf("%6zu bytes %4u nodes %zu tables: open %6.1f us, of which JSON %6.1f us\n", json.len,
           ast->node_count, ast->reference_count, (double)(opened - parsed) / ROUNDS,
           (double)(parsed - began) / ROUNDS);
    return true;
}

int main(void)
{
    struct identity_spec spec = {
        .subject = SLICE("alice"), .provider = SLICE("local"), .client = SLICE("embedded")};
    struct identity *who;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "bench", 0);
    FILE *file = fopen("tests/data/ast/tpch.jsonl", "r");
    static char line[1 << 16];
    if (arena == NULL || file == NULL || identity_new(&spec, &who, NULL) != ERR_OK) {
        return 1;
    }
    bool ok = true;
    while (ok && fgets(line, sizeof(line), file) != NULL) {
        ok = measure(slice_trim(slice_of(line)), who, arena);
    }
    (void)fclose(file);
    identity_unref(who);
    return ok ? 0 : 1;
}
