/* Goal: no answer of a catalog makes a parser crash or hang, members are views of the answer, and
 * what is told of an error is short and printable. The first byte chooses the parser. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/rest_plan_int.h"

static void fuzz_members(struct slice text)
{
    static const char *const keys[] = {"metadata", "config", "read-restrictions"};
    struct slice values[ARRAY_COUNT(keys)];
    struct errinfo info;
    if (rest_members(text, keys, ARRAY_COUNT(keys), values, &info) != ERR_OK) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        ASSERT(values[i].len == 0 ||
               (values[i].ptr >= text.ptr && values[i].ptr + values[i].len <= text.ptr + text.len));
    }
}

static void fuzz_error(const struct rest_call *call, struct slice text)
{
    static const long statuses[] = {400, 401, 403, 404, 409, 419, 429, 500, 503, 799};
    const struct rest_question question = {.what = "table", .name = SLICE("t")};
    struct errinfo info;
    errinfo_init(&info);
    long status = statuses[text.len % ARRAY_COUNT(statuses)];
    ASSERT(rest_answer__error(call->catalog, &question, status, text, 0, &info) != ERR_OK);
    for (const char *c = info.detail; *c != '\0'; c++) {
        ASSERT(*c >= 0x20 && *c < 0x7F);
    }
}

static void fuzz_config(const struct rest_call *call, struct slice text)
{
    struct rest_config *config;
    if (rest_parse__config(call, text, &config) != ERR_OK) {
        return;
    }
    ASSERT(strstr(config->prefix, "..") == NULL || strstr(config->prefix, "/../") == NULL);
    ASSERT(strchr(config->prefix, '?') == NULL && strchr(config->prefix, '#') == NULL);
    rest_item__unref(&config->item);
}

static void fuzz_vended(const struct rest_call *call, struct slice text, struct arena *arena)
{
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    struct storage_credential *credentials;
    size_t count;
    if (rest_vended__parse(call, text, (struct slice){0}, &vended) == ERR_OK) {
        enum err err = rest_vended__list(&vended, arena, &credentials, &count, NULL);
        ASSERT(err == ERR_OK ? count <= vended.count : err == ERR_NOMEM);
    }
}

static enum err fuzz_plan(const struct rest_call *call, struct slice text, struct arena *arena)
{
    struct rest_plan_answer answer;
    enum rest_plan_kind kind = (enum rest_plan_kind)(text.len % 3);
    enum err err = rest_plan__parse(call, kind, text, arena, &answer);
    if (err == ERR_OK) {
        bool is_done = answer.status == REST_PLAN_COMPLETED;
        ASSERT(is_done || (answer.task_count == 0 && answer.page.tasks.len == 0 &&
                           answer.credentials.len == 0));
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct rest_catalog catalog = {.name = SLICE("lake"), .uri = SLICE("http://127.0.0.1")};
    struct errinfo info;
    struct rest_call call = {.catalog = &catalog, .info = &info};
    struct rest_names_page names;
    struct rest_namespaces_page namespaces;
    struct rest_restrictions restrictions;
    if (arena == NULL || size == 0) {
        return 0;
    }
    struct slice text = {(const char *)data + 1, size - 1};
    enum err err = ERR_OK;
    switch (data[0] % 8) {
    case 0:
        fuzz_members(text);
        break;
    case 1:
        fuzz_error(&call, text);
        break;
    case 2:
        fuzz_config(&call, text);
        break;
    case 3:
        fuzz_vended(&call, text, arena);
        break;
    case 4:
        err = rest_parse__names(&call, text, false, arena, &names);
        break;
    case 5:
        err = rest_parse__namespaces(&call, text, arena, &namespaces);
        break;
    case 6:
        err = rest_restrictions_parse(text, arena, &restrictions, &info);
        break;
    case 7:
        err = fuzz_plan(&call, text, arena);
        break;
    }
    ASSERT(err == ERR_OK || info.message[0] != '\0');
    return 0;
}
