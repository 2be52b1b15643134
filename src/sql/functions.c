#include "sql/functions.h"

#include <stdlib.h>

static const struct sql_function functions[] = {
#define ENTRY(name_, class_, leak_, growth_, text_, constant_, reason_)                            \
    {.name = (name_),                                                                              \
     .class = (class_),                                                                            \
     .leak = (leak_),                                                                              \
     .growth_argument = (growth_),                                                                 \
     .makes_text = (text_),                                                                        \
     .constant_argument = (constant_),                                                             \
     .reason = (reason_)},
#define SCALAR(name, leak) ENTRY(name, FUNCTION_SCALAR, leak, 0, false, 0, NULL)
#define AGGREGATE(name, leak) ENTRY(name, FUNCTION_AGGREGATE, leak, 0, false, 0, NULL)
#define WINDOW(name) ENTRY(name, FUNCTION_WINDOW, LEAK_GUARDED, 0, false, 0, NULL)
#define ROWS(name, leak) ENTRY(name, FUNCTION_TABLE, leak, 0, false, 0, NULL)
#define SERIES(name) ENTRY(name, FUNCTION_TABLE, LEAK_UNSAFE, 1, false, 0, NULL)
#define GROWS_TEXT(name, leak, n) ENTRY(name, FUNCTION_SCALAR, leak, n, true, 0, NULL)
#define GROWS_LIST(name, leak, n) ENTRY(name, FUNCTION_SCALAR, leak, n, false, 0, NULL)
#define PATTERN(name, leak, n) ENTRY(name, FUNCTION_SCALAR, leak, 0, false, n, NULL)
#define CONTEXT(name) ENTRY(name, FUNCTION_CONTEXT, LEAK_NONE, 0, false, 0, NULL)
#define READER(name) ENTRY(name, FUNCTION_READER, LEAK_NONE, 0, false, 0, NULL)
#define MASK(name) ENTRY(name, FUNCTION_MASK, LEAK_GUARDED, 0, false, 0, NULL)
#define CATALOG(name) ENTRY(name, FUNCTION_MACRO, LEAK_UNSAFE, 0, false, 0, NULL)
#define REFUSED(name, why) ENTRY(name, FUNCTION_REFUSED, LEAK_UNSAFE, 0, false, 0, why)
#include "sql/functions.def"
};

static int compare(const void *key, const void *entry)
{
    const struct slice *name = key;
    return slice_compare_fold(*name, slice_of(((const struct sql_function *)entry)->name));
}

const struct sql_function *sql_function_find(struct slice name)
{
    return bsearch(&name, functions, ARRAY_COUNT(functions), sizeof(functions[0]), compare);
}

const struct sql_function *sql_function_at(size_t index)
{
    return index < ARRAY_COUNT(functions) ? &functions[index] : NULL;
}

const char *sql_function_suggest(struct slice name)
{
    const char *nearest = NULL;
    unsigned best = name.len <= 4 ? 2 : 3;
    if (name.len < 3) {
        return NULL; /* everything is near */
    }
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++) {
        const struct sql_function *function = &functions[i];
        if (function->class == FUNCTION_REFUSED || function->class == FUNCTION_MASK) {
            continue;
        }
        unsigned distance = slice_edit_distance(name, slice_of(function->name), best);
        if (distance < best) {
            best = distance;
            nearest = function->name;
        }
    }
    return nearest;
}
