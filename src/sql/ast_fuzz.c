/* Goal: no bytes, taken as the engine's JSON, make the checks crash, hang or let a table through. */
#include "base/fuzz.h"
#include "identity/identity.h"
#include "sql/ast.h"

static struct identity *person(void)
{
    static struct identity *who;
    struct identity_spec spec = {
        .subject = SLICE("alice"), .provider = SLICE("local"), .client = SLICE("embedded")};
    if (who == NULL && identity_new(&spec, &who, NULL) != ERR_OK) {
        return NULL;
    }
    return who;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct identity *who = person();
    struct sql_limits limits = sql_limits_default;
    limits.nodes_max = 2000;
    struct sql_ast *ast;
    struct errinfo info;
    errinfo_init(&info);
    struct slice json = {(const char *)data, size};
    if (arena == NULL || who == NULL ||
        sql_ast_open(json, json, SQL_FROM_USER, &limits, who, arena, &ast, &info) != ERR_OK) {
        return 0;
    }
    bool is_clean = sql_ast_finish(ast, &info) == ERR_OK;
    ASSERT(!is_clean || ast->reference_count == 0);
    (void)sql_ast_locate(ast, SLICE("a"));
    return 0;
}
