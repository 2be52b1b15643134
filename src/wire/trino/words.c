/* Names that are words of the engine's grammar and free in Trino's: a column may be called "at",
 * "desc" or "map" there without quotes, and gets them here.
 *
 * A word is a name if an operand can begin where it stands and ends behind it. What has such a word
 * as a word never looks so: ANY (...), ARRAY[...], LATERAL (...), a AT TIME ZONE, ORDER BY a DESC.
 * Not taken are those that do (ALL, DEFAULT, BOTH and its kin) and what stands behind AS, where a
 * type may be (CAST(a AS binary)). */
#include "base/mem.h"
#include "wire/trino/trino_int.h"

static bool is_one_of(const struct token *token, const char *const *words, size_t count)
{
    for (size_t w = 0; w < count; w++) {
        if (token_is(token, words[w])) {
            return true;
        }
    }
    return false;
}

static bool is_engines_alone(const struct token *token)
{
    static const char *const words[] = {
        "anti",       "any",        "array",   "asc",          "asof",        "asymmetric",
        "at",         "binary",     "check",   "collate",      "collation",   "column",
        "columns",    "deferrable", "desc",    "do",           "fetch",       "foreign",
        "freeze",     "generated",  "glob",    "ilike",        "initially",   "isnull",
        "lambda",     "lateral",    "limit",   "map",          "notnull",     "offset",
        "only",       "overlaps",   "pivot",   "pivot_longer", "pivot_wider", "placing",
        "positional", "primary",    "qualify", "references",   "returning",   "semi",
        "show",       "similar",    "some",    "struct",       "summarize",   "symmetric",
        "to",         "unique",     "unpack",  "unpivot",      "variadic",    "window",
        "try_cast",   "tablesample"};
    return is_one_of(token, words, ARRAY_COUNT(words));
}

static bool begins_operand(const struct token *before)
{
    static const char *const words[] = {"select", "distinct", "where", "and",  "or",   "not",
                                        "by",     "having",   "on",    "when", "then", "else",
                                        "case",   "between",  "like",  "in",   "from", "join"};
    static const char *const operators[] = {",",  "(", "=", "<", ">", "<=", ">=", "<>",
                                            "!=", "+", "-", "*", "/", "%",  "||", "["};
    for (size_t o = 0; o < ARRAY_COUNT(operators); o++) {
        if (token_is_operator(before, operators[o])) {
            return true;
        }
    }
    return is_one_of(before, words, ARRAY_COUNT(words));
}

static bool ends_operand(const struct token *behind)
{
    static const char *const words[] = {
        "as",      "from",   "where",     "group", "having", "order", "limit", "offset", "fetch",
        "union",   "except", "intersect", "and",   "or",     "is",    "in",    "not",    "like",
        "between", "then",   "when",      "else",  "end",    "asc",   "desc",  "nulls",  "join",
        "inner",   "left",   "right",     "full",  "cross",  "at"};
    static const char *const operators[] = {
        ",", ")", "=", "<", ">", "<=", ">=", "<>", "!=", "+", "-", "*", "/", "%", "||", ".", "]"};
    for (size_t o = 0; o < ARRAY_COUNT(operators); o++) {
        if (token_is_operator(behind, operators[o])) {
            return true;
        }
    }
    return behind->kind == TOKEN_END || is_one_of(behind, words, ARRAY_COUNT(words));
}

bool trino__is_name(const struct trino_rewrite *r, size_t i)
{
    return i > 0 && is_engines_alone(trino__at(r, i)) && begins_operand(trino__at(r, i - 1)) &&
           ends_operand(trino__at(r, i + 1));
}
