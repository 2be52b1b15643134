/* Words that completion offers, and words that must be quoted to be names. */
#include "base/buf.h"
#include "sql/relation.h"
#include "sql/scan.h"

const char *const sql_keywords[] = {
    /* clang-format off */
    "ACCESS", "ADD", "ALL", "ALTER", "ANALYZE", "AND", "ANTI", "ANY", "API", "AS", "ASC", "ASOF",
    "AT", "ATTRIBUTE", "BETWEEN", "BY", "CASCADE", "CASE", "CAST", "CATALOGS", "CHECK",
    "COLLATE", "COLUMN", "COLUMNS", "COPY", "CREATE", "CROSS", "CSV", "CUBE", "DEALLOCATE",
    "DEFINER", "DENY", "DESC", "DESCRIBE", "DISTINCT", "DROP", "EFFECTIVE", "ELSE", "END",
    "EXCEPT", "EXCLUDE", "EXECUTE", "EXISTS", "EXPIRES", "EXPLAIN", "EXTERNAL", "FALSE", "FETCH",
    "FILTER", "FIRST", "FOLLOWING", "FOR", "FORMAT", "FROM", "FULL", "FUNCTIONS", "GRANT",
    "GRANTS", "GROUP", "GROUPING", "HAVING", "IF", "ILIKE", "IN", "INNER", "INTERSECT",
    "INTERVAL", "INTO", "INVOKER", "IS", "JOIN", "JSON", "KEY", "KEYS", "LAST", "LATERAL", "LEFT",
    "LIKE", "LIMIT", "LOCATION", "MASKED", "MATERIALIZED", "NATURAL", "NOT", "NULL", "NULLS",
    "OFFSET", "ON", "OPTIONS", "OR", "ORDER", "OUTER", "OVER", "PARQUET", "PARTITION", "PASSWORD",
    "PHYSICAL", "PIVOT", "POLICY", "PRECEDING", "PREPARE", "PUBLIC", "QUALIFY", "RANGE",
    "RECURSIVE", "REFRESH", "RENAME", "REPLACE", "RESET", "RESTRICT", "REVOKE", "RIGHT",
    "ROLE", "ROLES", "ROLLUP", "ROW", "ROWS", "SAMPLE", "SCHEMA", "SCHEMAS", "SECURITY",
    "SELECT", "SEMI", "SET", "SETS", "SHOW", "SIMILAR", "STORED", "SUMMARIZE", "TABLE",
    "TABLES", "THEN", "TIMESTAMP", "TO", "TRUE", "TRY_CAST", "UNBOUNDED", "UNION", "UNPIVOT",
    "UNSET", "USE", "USER", "USERS", "USING", "VALUES", "VERSION", "VIEW", "VIEWS", "WHEN",
    "WHERE", "WINDOW", "WITH",
    /* clang-format on */
};

const size_t sql_keyword_count = ARRAY_COUNT(sql_keywords);

/* Words that are no table's name without quotes: the engine's reserved words and those that its
 * grammar keeps for types and functions, and GRANT; sorted. */
static const char *const reserved_words[] = {
    /* clang-format off */
    "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof",
    "asymmetric", "at", "authorization", "binary", "both", "by", "case", "cast", "check",
    "collate", "collation", "column", "columns", "concurrently", "constraint", "create",
    "cross", "default", "deferrable", "desc", "describe", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "generated",
    "glob", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
    "into", "is", "isnull", "join", "lambda", "lateral", "leading", "left", "like", "limit",
    "map", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer",
    "overlaps", "pivot", "pivot_longer", "pivot_wider", "placing", "positional", "primary",
    "qualify", "references", "returning", "right", "select", "semi", "show", "similar", "some",
    "struct", "summarize", "symmetric", "table", "tablesample", "then", "to", "trailing",
    "true", "try_cast", "union", "unique", "unpack", "unpivot", "using", "variadic", "verbose",
    "when", "where", "window", "with",
    /* clang-format on */
};

static bool needs_quotes(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9');
        if (!is_plain) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(reserved_words); i++) {
        if (slice_equal(name, slice_of(reserved_words[i]))) {
            return true;
        }
    }
    return name.len == 0;
}

void sql_print_name(struct buf *out, const struct sql_name *name)
{
    const struct slice parts[] = {name->catalog, name->schema, name->name};
    bool is_first = true;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i].len == 0 && i < 2) {
            continue;
        }
        if (!is_first) {
            buf_append_char(out, '.');
        }
        is_first = false;
        if (needs_quotes(parts[i])) {
            sql_quote_name(out, parts[i]);
        } else {
            buf_append_slice(out, parts[i]);
        }
    }
}
