/* Goal: no expression tells of hidden rows by failing. Method: every overload of every function
 * that a statement may call, and every cast, over columns chosen by type, in every place that a
 * statement has for an expression; run by one person over a table whose policy hides rows full of
 * extreme values, and over a table from which those rows were really removed. The outcome (an
 * error or not, its SQLSTATE, the rows) must be the same. Parquet with dictionaries, because the
 * engine runs functions over a whole dictionary, and several forms of policy. */
#include "fixture.h"

#include <stdlib.h>

#include "base/json.h"
#include "engine/engine.h"
#include "engine/host/testing.h"
#include "sql/functions.h"

#define OVERLOADS_MAX 4096
#define ARGUMENTS_MAX 5
/* Statements with rows over the clean table: a count and not a time, so that a busy machine looks
 * at as much as a quiet one (where it takes 20 s). */
#define CASES 1000
#define CASES_BY_DOOR 50 /* the policy is the same, whoever brings a statement */
#define LEAKS_MAX 20     /* then it is time to look at them */

/* Columns of the tables, with the engine's name of the type. */
static const struct {
    const char *name;
    const char *type;
    const char *visible[4];
    const char *hidden[8];
} columns[] = {
    {"s",
     "VARCHAR",
     {"'1'", "'12'", "'2'", "'a'"},
     {"'HIDDEN[('", "''", "'98765432109876543210'", "'\\'", "'%Q'", "'{\"a\":'", "'\U0001F469'",
      "'2021-13-45'"}},
    {"i",
     "INTEGER",
     {"1", "2", "3", "5"},
     {"2147483647", "-2147483648", "0", "-1", "1114112", "98765", "55296", "NULL"}},
    {"b",
     "BIGINT",
     {"1", "2", "3", "5"},
     {"9223372036854775807", "-9223372036854775808", "0", "-1", "1114112", "98765", "4294967296",
      "NULL"}},
    {"u",
     "UBIGINT",
     {"1", "2", "3", "5"},
     {"18446744073709551615", "0", "9223372036854775808", "64", "98765", "7", "0", "NULL"}},
    {"t", "TINYINT", {"1", "2", "3", "5"}, {"127", "-128", "0", "-1", "64", "32", "8", "NULL"}},
    {"d",
     "DOUBLE",
     {"0.25", "0.5", "1", "0.75"},
     {"'nan'", "'infinity'", "'-infinity'", "-1", "0", "1e308", "-1e308", "5e-324"}},
    {"f",
     "FLOAT",
     {"0.25", "0.5", "1", "0.75"},
     {"'nan'", "'infinity'", "'-infinity'", "-1", "0", "3e38", "-3e38", "1e-45"}},
    {"n",
     "DECIMAL(18,3)",
     {"1", "2.5", "3", "5"},
     {"999999999999999.999", "-999999999999999.999", "0", "-1", "0.001", "98765", "9", "NULL"}},
    {"m",
     "DECIMAL(38,10)",
     {"1", "2.5", "3", "5"},
     {"9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "0",
      "-1", "0.001", "98765", "9", "NULL"}},
    {"dt",
     "DATE",
     {"'2020-01-01'", "'2021-02-03'", "'2022-12-31'", "'2020-02-29'"},
     {"'infinity'", "'-infinity'", "'5881580-07-10'", "'5877642-06-25 (BC)'", "'294247-01-11'",
      "'0001-01-01'", "'1582-10-10'", "NULL"}},
    {"ts",
     "TIMESTAMP",
     {"'2020-01-01'", "'2021-02-03 01:02:03'", "'2022-12-31'", "'2020-02-29'"},
     {"'infinity'", "'-infinity'", "'294247-01-10 04:00:54.775806'", "'290309-12-22 (BC) 00:00:00'",
      "'0001-01-01'", "'1582-10-10'", "'1900-01-01'", "NULL"}},
    {"tz",
     "TIMESTAMP WITH TIME ZONE",
     {"'2020-01-01 00:00:00+00'", "'2021-02-03 01:02:03+00'", "'2022-12-31 00:00:00+00'",
      "'2020-02-29 00:00:00+00'"},
     {"'infinity'", "'-infinity'", "'294247-01-10 04:00:54.775806+00'",
      "'290309-12-22 (BC) 00:00:00+00'", "'0001-01-01 00:00:00+00'", "'1582-10-10 00:00:00+00'",
      "'1900-01-01 00:00:00+00'", "NULL"}},
    {"tm",
     "TIME",
     {"'01:02:03'", "'00:00:00'", "'12:00:00'", "'13:14:15'"},
     {"'24:00:00'", "'23:59:59.999999'", "'00:00:00'", "NULL", "'11:11:11'", "'11:11:12'",
      "'11:11:13'", "'11:11:14'"}},
    {"iv",
     "INTERVAL",
     {"'1 day'", "'2 hours'", "'1 month'", "'1 year'"},
     {"'178956970 years'", "'2147483647 days'", "'49 days'", "'1192 hours'", "'0 days'",
      "'98765 days'", "'1 millisecond'", "NULL"}},
    {"bl",
     "BLOB",
     {"'abc'", "'x'", "'1'", "'yz'"},
     {"'\\xFF\\xFE'", "'\\x00'", "''", "'HIDDEN'", "'\\xED\\xA0\\x80'", "'[('", "'\\x80'", "NULL"}},
    {"uu",
     "UUID",
     {"'0191b2c3-0000-7000-8000-000000000001'", "'0191b2c3-0000-7000-8000-000000000002'",
      "'0191b2c3-0000-7000-8000-000000000003'", "'0191b2c3-0000-7000-8000-000000000004'"},
     {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'0191b2c3-0000-1000-8000-000000000001'", "'0191b2c3-0000-4000-8000-000000000001'", "NULL",
      "'98765b2c-0000-1000-8000-000000000001'", "NULL", "NULL"}},
    {"bo",
     "BOOLEAN",
     {"true", "true", "true", "true"},
     {"false", "false", "NULL", "false", "false", "NULL", "false", "false"}},
    {"li",
     "BIGINT[]",
     {"[1]", "[1,2]", "[3,4,5]", "[2]"},
     {"[]", "[NULL]", "NULL", "[9223372036854775807,1]", "[-1]", "[0]", "[1114112]", "[98765]"}},
    {"ls",
     "VARCHAR[]",
     {"['1']", "['1','2']", "['a']", "['2']"},
     {"[]", "[NULL]", "NULL", "['HIDDEN[(']", "['']", "['%Q']", "['x',NULL]", "['98765']"}},
    {"ld",
     "DOUBLE[]",
     {"[1.0]", "[0.5]", "[0.25]", "[1.0]"},
     {"[]", "[NULL]", "NULL", "['nan'::DOUBLE]", "[1.0,2.0]", "['infinity'::DOUBLE]", "[0.0]",
      "[-1.0]"}},
    {"st",
     "STRUCT(x INTEGER, y VARCHAR)",
     {"{'x':1,'y':'1'}", "{'x':2,'y':'2'}", "{'x':3,'y':'a'}", "{'x':5,'y':'1'}"},
     {"{'x':0,'y':'HIDDEN[('}", "NULL", "{'x':2147483647,'y':''}", "{'x':-1,'y':'%Q'}",
      "{'x':NULL,'y':NULL}", "{'x':1114112,'y':'\\'}", "{'x':55296,'y':'z'}",
      "{'x':98765,'y':''}"}},
    {"mp",
     "MAP(VARCHAR, INTEGER)",
     {"MAP {'a':1}", "MAP {'b':2}", "MAP {'a':3}", "MAP {'c':5}"},
     {"MAP {}", "NULL", "MAP {'HIDDEN':98765}", "MAP {'a':NULL}", "MAP {'':0}", "MAP {'[(':-1}",
      "MAP {'a':2147483647}", "MAP {'%Q':1}"}},
};
#define COLUMNS ARRAY_COUNT(columns)

/* Two tables that must look the same to eve, "leak_" and "pure_", under one policy. */
static const struct {
    const char *name;
    const char *grants[2]; /* "%s" is a table */
    /* Of each column, "@": then every row shows, and the cells of hidden rows are NULL. */
    const char *each;
} pairs[] = {
    {"equal", {"GRANT SELECT ON %s TO eve ROWS WHERE owner = 'me'"}, NULL},
    {"among", {"GRANT SELECT ON %s TO eve ROWS WHERE owner IN ('me', 'mine', claim('x'))"}, NULL},
    {"throws", {"GRANT SELECT ON %s TO eve ROWS WHERE CAST(code AS INTEGER) = 1"}, NULL},
    {"implicit", {"GRANT SELECT ON %s TO eve ROWS WHERE code = 1"}, NULL},
    {"deny",
     {"GRANT SELECT ON %s TO eve", "DENY SELECT ON %s TO eve ROWS WHERE owner <> 'me'"},
     NULL},
    {"column",
     {"GRANT SELECT ON %s TO eve ROWS WHERE i BETWEEN 1 AND 10 AND owner LIKE 'me%%'"},
     NULL},
    {"overlap",
     {"GRANT SELECT ON %s TO eve ROWS WHERE owner = 'me'",
      "GRANT SELECT ON %s TO staff ROWS WHERE code = '1' AND owner IS NOT NULL"},
     NULL},
    {"masks", {"GRANT SELECT ON %s TO eve MASKED WITH ("}, "@ = null"},
    {"reads", {"GRANT SELECT ON %s TO eve MASKED WITH ("}, "@ = CASE WHEN owner = 'me' THEN @ END"},
    {"cells",
     {"GRANT SELECT ON %s TO eve", "DENY SELECT (@) ON %s TO eve ROWS WHERE owner <> 'me'"},
     "@"},
};

struct overload {
    const struct sql_function *function;
    size_t count;
    struct slice types[ARGUMENTS_MAX];
};

struct fuzz {
    struct fixture f;
    struct arena *arena;
    struct overload overloads[OVERLOADS_MAX];
    size_t overload_count;
    uint64_t seed;
    size_t informative; /* statements that gave rows over the clean table */
    size_t compared;
    size_t leaks;
};

/* ---- the tables ---- */

static void write_rows(struct buf *sql, bool is_visible, bool is_null)
{
    for (int v = 0; v < (is_visible ? 4 : 8); v++) {
        const char *owner = is_visible ? "'me'" : v == 7 ? "NULL" : "'them'";
        buf_printf(sql, "%s(%d, %s, %s", v == 0 ? "" : ", ", v + (is_visible ? 0 : 4), owner,
                   is_visible ? "'1'" : "'2'");
        for (size_t c = 0; c < COLUMNS; c++) {
            const char *value = is_visible ? columns[c].visible[v] : columns[c].hidden[v];
            buf_printf(sql, ", CAST(%s AS %s)", is_null ? "NULL" : value, columns[c].type);
        }
        buf_append_str(sql, ")");
    }
}

static void make_file(struct fuzz *fuzz, const char *file, bool has_hidden, bool is_null)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_append_str(&sql, "COPY (SELECT r.n * 100 + v.k AS id, v.* FROM (VALUES ");
    write_rows(&sql, true, false);
    if (has_hidden) {
        buf_append_str(&sql, ", ");
        write_rows(&sql, false, is_null);
    }
    buf_append_str(&sql, ") v(k, owner, code");
    for (size_t c = 0; c < COLUMNS; c++) {
        buf_printf(&sql, ", %s", columns[c].name);
    }
    buf_printf(&sql, "), range(40) r(n) ORDER BY id) TO '%s/%s.parquet' (FORMAT parquet)",
               fuzz->f.folder, file);
    fixture_must(fuzz->f.owner, buf_cstr(&sql));
}

static void make_table(struct fuzz *fuzz, const char *prefix, const char *name, const char *file)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE %s_%s LOCATION '%s/%s.parquet'", prefix,
                   name, fuzz->f.folder, file);
    fixture_must(fuzz->f.owner, sql);
}

/* The statement with the table's name, and for "(" or "@" the text for each column. */
static void give(struct fuzz *fuzz, const char *prefix, size_t p, const char *grant)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    for (const char *g = grant; *g != '\0'; g++) {
        bool is_list = *g == '@' || (g[0] == '(' && g[1] == '\0');
        if (g[0] == '%' && g[1] == 's') {
            buf_printf(&sql, "%s_%s", prefix, pairs[p].name);
        } else if (*g != '@' && g[0] != '%') {
            buf_append_char(&sql, *g);
        }
        g += g[0] == '%' && g[1] == 's';
        if (g[0] == '%' && g[1] == '%') {
            buf_append_char(&sql, *g++);
        }
        for (size_t c = 0; is_list && c < COLUMNS; c++) {
            buf_append_str(&sql, c == 0 ? "" : ", ");
            for (const char *e = pairs[p].each; *e != '\0'; e++) {
                if (*e == '@') {
                    buf_append_str(&sql, columns[c].name);
                } else {
                    buf_append_char(&sql, *e);
                }
            }
        }
    }
    buf_append_str(&sql, sql.ptr != NULL && strchr(buf_cstr(&sql), '(') != NULL &&
                                 strstr(buf_cstr(&sql), "MASKED") != NULL
                             ? ")"
                             : "");
    fixture_must(fuzz->f.owner, buf_cstr(&sql));
}

/* Both tables have the policy, so that only the hidden rows differ, not the plan. */
static void make_pair(struct fuzz *fuzz, const char *prefix, size_t p, const char *file)
{
    make_table(fuzz, prefix, pairs[p].name, file);
    for (size_t g = 0; g < 2 && pairs[p].grants[g] != NULL; g++) {
        give(fuzz, prefix, p, pairs[p].grants[g]);
    }
}

static void make_tables(struct fuzz *fuzz)
{
    make_file(fuzz, "all", true, false);
    make_file(fuzz, "clean", false, false);
    make_file(fuzz, "nulls", true, true);
    for (size_t p = 0; p < ARRAY_COUNT(pairs); p++) {
        make_pair(fuzz, "leak", p, "all");
        make_pair(fuzz, "pure", p, pairs[p].each != NULL ? "nulls" : "clean");
    }
}

/* ---- the functions ---- */

/* What differs from one run to the next by its nature. */
static bool is_unsteady(const char *name)
{
    static const char *const names[] = {"random",
                                        "uuid",
                                        "uuidv4",
                                        "uuidv7",
                                        "gen_random_uuid",
                                        "now",
                                        "get_current_timestamp",
                                        "transaction_timestamp",
                                        "get_current_time",
                                        "current_localtime",
                                        "current_localtimestamp",
                                        "ago",
                                        "age"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_overload(struct fuzz *fuzz, const struct json *line)
{
    struct slice type = json_get_text(line, "type");
    const struct sql_function *function = sql_function_find(json_get_text(line, "name"));
    bool is_scalar = slice_equal(type, SLICE("scalar")) || slice_equal(type, SLICE("macro"));
    if (!is_scalar || function == NULL || function->class != FUNCTION_SCALAR ||
        is_unsteady(function->name)) {
        return;
    }
    CHECK(fuzz->overload_count < OVERLOADS_MAX);
    struct overload *overload = &fuzz->overloads[fuzz->overload_count];
    *overload = (struct overload){.function = function};
    const struct json *arguments = json_get(line, "arguments");
    for (const struct json *a = arguments == NULL ? NULL : arguments->first;
         a != NULL && overload->count < ARGUMENTS_MAX; a = a->next) {
        overload->types[overload->count++] = a->text;
    }
    fuzz->overload_count++;
}

static void list_overloads(struct fuzz *fuzz)
{
    struct engine_options options = {.thread_count = 1, .mask_key = SLICE("0123456789abcdef")};
    struct engine_hosts *hosts CLEANUP(engine_hosts_cleanup) = NULL;
    struct engine *engine CLEANUP(engine_cleanup) = NULL;
    struct engine_session *session CLEANUP(engine_session_cleanup) = NULL;
    struct buf lines CLEANUP(buf_fini) = {0};
    struct slice rest;
    CHECK_OK(test_engine_open(&options, &engine, &hosts, NULL));
    CHECK_OK(engine_session_open(engine, test_who(), &session, NULL));
    CHECK_OK(engine_functions(session, &lines, NULL));
    CHECK(arena_slice(fuzz->arena, buf_slice(&lines), &rest));
    while (rest.len > 0) {
        const char *newline = memchr(rest.ptr, '\n', rest.len);
        CHECK(newline != NULL);
        struct slice line = {rest.ptr, (size_t)(newline - rest.ptr)};
        struct json *root;
        CHECK_OK(json_parse(fuzz->arena, line, NULL, &root, NULL));
        add_overload(fuzz, root);
        rest = (struct slice){newline + 1, rest.len - line.len - 1};
    }
    CHECK(fuzz->overload_count > 300);
}

/* ---- expressions ---- */

static size_t pick(struct fuzz *fuzz, size_t bound)
{
    return (size_t)test_random_below(&fuzz->seed, bound);
}

/* A column of the type, or of any type if the tables have none. */
static size_t column_for(struct fuzz *fuzz, struct slice type)
{
    size_t start = pick(fuzz, COLUMNS);
    if (pick(fuzz, 6) == 0) {
        return start; /* the engine casts by itself, or refuses */
    }
    for (size_t n = 0; n < COLUMNS; n++) {
        size_t c = (start + n) % COLUMNS;
        struct slice have = slice_of(columns[c].type);
        bool is_list = slice_ends_with(type, SLICE("[]")) && slice_ends_with(have, SLICE("[]"));
        bool is_decimal =
            slice_starts_with(type, SLICE("DECIMAL")) && slice_starts_with(have, SLICE("DECIMAL"));
        bool is_nested =
            (slice_starts_with(type, SLICE("STRUCT")) &&
             slice_starts_with(have, SLICE("STRUCT"))) ||
            (slice_starts_with(type, SLICE("MAP")) && slice_starts_with(have, SLICE("MAP")));
        if (slice_equal(type, have) || is_list || is_decimal || is_nested) {
            return c;
        }
    }
    return start;
}

static void write_constant(struct fuzz *fuzz, struct slice type, struct buf *out)
{
    size_t c = column_for(fuzz, type);
    static const char *const texts[] = {"'a'",    "'%Y'", "'day'", "'1'", "'$.a'",
                                        "'UTF8'", "'.'",  "'UTC'", "'g'", "','"};
    static const char *const numbers[] = {"0", "1", "2", "-1", "3", "64"};
    bool is_number =
        strstr(columns[c].type, "INT") == columns[c].type || strcmp(columns[c].type, "BIGINT") == 0;
    if (strcmp(columns[c].type, "VARCHAR") == 0) {
        buf_append_str(out, texts[pick(fuzz, ARRAY_COUNT(texts))]);
    } else if (is_number) {
        buf_append_str(out, numbers[pick(fuzz, ARRAY_COUNT(numbers))]);
    } else {
        buf_printf(out, "CAST(%s AS %s)", columns[c].visible[pick(fuzz, 4)], columns[c].type);
    }
}

/* Beneath an argument: a column, sometimes inside something that hides it from the planner. */
static void write_column(struct fuzz *fuzz, struct slice type, struct buf *out)
{
    const char *name = columns[column_for(fuzz, type)].name;
    switch (pick(fuzz, 10)) {
    case 0:
        buf_printf(out, "CASE WHEN x.id >= 0 THEN x.%s END", name);
        break;
    case 1:
        buf_printf(out, "coalesce(x.%s, x.%s)", name, name);
        break;
    case 2:
        buf_printf(out, "struct_pack(q := x.%s).q", name);
        break;
    default:
        buf_printf(out, "x.%s", name);
        break;
    }
}

static void write_call(struct fuzz *fuzz, const struct overload *overload, struct buf *out)
{
    const char *name = overload->function->name;
    bool is_word = (name[0] >= 'a' && name[0] <= 'z') || name[0] == '_';
    size_t column_at = overload->count == 0 ? 0 : pick(fuzz, overload->count);
    if (!is_word && overload->count == 1) {
        buf_printf(out, "(%s(", name);
        write_column(fuzz, overload->types[0], out);
        buf_append_str(out, "))");
        return;
    }
    buf_printf(out, is_word ? "%s(" : "(", name);
    for (size_t a = 0; a < overload->count; a++) {
        if (a > 0) {
            buf_append_str(out, is_word ? ", " : " ");
            buf_append_str(out, is_word ? "" : name);
            buf_append_str(out, " ");
        }
        if (a == column_at || pick(fuzz, 3) == 0) {
            write_column(fuzz, overload->types[a], out);
        } else {
            write_constant(fuzz, overload->types[a], out);
        }
    }
    buf_append_str(out, ")");
}

static void write_cast(struct fuzz *fuzz, struct buf *out)
{
    static const char *const types[] = {"TINYINT",
                                        "SMALLINT",
                                        "INTEGER",
                                        "BIGINT",
                                        "HUGEINT",
                                        "UTINYINT",
                                        "USMALLINT",
                                        "UINTEGER",
                                        "UBIGINT",
                                        "UHUGEINT",
                                        "FLOAT",
                                        "DOUBLE",
                                        "DECIMAL(4,2)",
                                        "DECIMAL(18,17)",
                                        "DECIMAL(38,37)",
                                        "VARCHAR",
                                        "BLOB",
                                        "BIT",
                                        "DATE",
                                        "TIME",
                                        "TIMESTAMP",
                                        "TIMESTAMP_S",
                                        "TIMESTAMP_MS",
                                        "TIMESTAMP_NS",
                                        "TIMESTAMPTZ",
                                        "TIMESTAMPTZ_NS",
                                        "TIMETZ",
                                        "INTERVAL",
                                        "UUID",
                                        "BOOLEAN",
                                        "BIGINT[]",
                                        "TINYINT[]",
                                        "DATE[]",
                                        "INTEGER[1]",
                                        "JSON",
                                        "STRUCT(x TINYINT, y INTEGER)",
                                        "MAP(VARCHAR, TINYINT)",
                                        "VARCHAR[]",
                                        "BIGNUM"};
    const char *name = columns[pick(fuzz, COLUMNS)].name;
    switch (pick(fuzz, 4)) {
    case 0: /* the cast that a comparison makes by itself */
        buf_printf(out, "(x.%s %s x.%s)", name, pick(fuzz, 2) == 0 ? "=" : "<",
                   columns[pick(fuzz, COLUMNS)].name);
        break;
    case 1:
        buf_printf(out, "(x.%s IN (", name);
        write_constant(fuzz, slice_of(columns[pick(fuzz, COLUMNS)].type), out);
        buf_append_str(out, ", ");
        write_constant(fuzz, slice_of(columns[pick(fuzz, COLUMNS)].type), out);
        buf_append_str(out, "))");
        break;
    case 2:
        buf_printf(out, "(x.%s %s 1.%0*d)", name, pick(fuzz, 2) == 0 ? "=" : ">",
                   1 + (int)pick(fuzz, 37), 0);
        break;
    default:
        buf_printf(out, "CAST(x.%s AS %s)", name, types[pick(fuzz, ARRAY_COUNT(types))]);
        break;
    }
}

/* ---- statements ---- */

/* "@" is the expression, "#" the table (as x where the expression reads it), "&" another. Rows 4 to
 * 11 of each hundred are hidden ones. */
static const char *const places[] = {
    "SELECT @ AS z FROM # x",
    "SELECT count(*) FROM # x WHERE @ IS NOT NULL",
    "SELECT x.id FROM # x WHERE x.id >= 0 AND @ IS NOT NULL AND x.id < 1000000",
    "SELECT count(@) FROM # x",
    "SELECT max(@) FROM # x",
    "SELECT count(*) FROM # x JOIN # y ON x.id = y.id AND @ IS NOT NULL",
    "SELECT count(*) FROM # y LEFT JOIN # x ON x.id = y.id AND @ IS NULL",
    "SELECT x.id FROM # x ORDER BY @, x.id LIMIT 100000",
    "SELECT @ AS z, count(*) FROM # x GROUP BY ALL",
    "SELECT DISTINCT @ AS z FROM # x",
    "SELECT count(*) OVER (PARTITION BY @) FROM # x",
    "SELECT count(*) FROM # y WHERE EXISTS (SELECT 1 FROM # x WHERE y.id = x.id AND @ IS NOT NULL)",
    "SELECT (SELECT count(*) FROM # x WHERE x.id = y.id AND @ IS NOT NULL) FROM # y",
    "SELECT @ AS z FROM # x UNION SELECT @ FROM # x",
    "SELECT count(*) FILTER (WHERE @ IS NOT NULL) FROM # x",
    "WITH q AS MATERIALIZED (SELECT @ AS z FROM # x) SELECT count(z) FROM q",
    "WITH q AS (SELECT @ AS z FROM # x) SELECT count(*) FROM q WHERE z IS NOT NULL",
    "SELECT z FROM (SELECT @ AS z, x.id FROM # x ORDER BY x.id LIMIT 100000)",
    "SELECT count(*) FROM # y, LATERAL (SELECT @ AS z FROM # x WHERE x.id = y.id) q WHERE z > ''",
    "SELECT count(*) FROM # x WHERE x.owner = 'me' AND @ IS NOT NULL",
    "SELECT count(*) FROM # x WHERE x.owner = 'them' AND @ IS NOT NULL",
    "SELECT x.owner, min(@) FROM # x GROUP BY x.owner",
    "SELECT CASE WHEN @ IS NULL THEN 0 ELSE 1 END FROM # x",
    "SELECT count(*) FROM # x HAVING count(@) > 0",
    "SELECT count(*) FROM # x WHERE x.id BETWEEN 4 AND 11 AND @ IS NOT NULL",
    "SELECT count(*) FROM # x WHERE x.id = 5 AND @ IS NULL",
    "SELECT count(*) FROM # x WHERE x.s = 'HIDDEN[(' AND @ IS NOT NULL",
    "SELECT count(*) FROM # x LEFT JOIN & y ON @ IS NOT NULL AND x.id = y.id WHERE y.id = 5",
    "SELECT count(*) FROM # x, & y WHERE x.id = y.id AND y.owner = 'them' AND @ IS NOT NULL",
    "SELECT count(*) FROM # x JOIN & y USING (id, s) WHERE @ IS NULL",
    "SELECT count(*) FROM # x ASOF JOIN & y ON x.code = y.code AND x.id >= y.id WHERE @ IS NULL",
    "SELECT z, count(*) FROM (SELECT @ AS z FROM # x WHERE x.id = 6 UNION ALL SELECT @ FROM & x) "
    "GROUP BY z",
    "SELECT x.id FROM # x QUALIFY row_number() OVER (PARTITION BY @ ORDER BY x.id) = 1",
    "SELECT count(*) FROM # x TABLESAMPLE 100 PERCENT WHERE @ IS NOT NULL AND x.id = 7",
    "SELECT x.id FROM # x WHERE x.id < 8 LIMIT (SELECT count(@) FROM & x WHERE x.id = 8)",
    "SELECT x.id FROM # x WHERE (x.id = 9 AND @ IS NULL) OR x.id = 1",
    "SELECT x.code, max(@) FROM # x WHERE x.id = 10 GROUP BY ROLLUP (x.code)",
    "SELECT count(*) FROM (SELECT DISTINCT ON (x.code) @ AS z FROM # x WHERE x.id = 11) WHERE z IS "
    "NULL",
};

static void write_statement(const char *place, const char *expression, const char *prefix,
                            const char *name, const char *other, struct buf *out)
{
    for (const char *p = place; *p != '\0'; p++) {
        if (*p == '@') {
            buf_append_str(out, expression);
        } else if (*p == '#' || *p == '&') {
            buf_printf(out, "%s_%s", prefix, *p == '#' ? name : other);
        } else {
            buf_append_char(out, *p);
        }
    }
}

static int compare_lines(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Lines in a fixed order: SQL promises none. */
static void sort_lines(struct buf *text)
{
    static struct slice lines[8192];
    size_t count = 0;
    struct slice rest = buf_slice(text);
    struct buf sorted = {0};
    while (rest.len > 0 && count < ARRAY_COUNT(lines)) {
        const char *newline = memchr(rest.ptr, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.ptr) + 1;
        lines[count++] = (struct slice){rest.ptr, len};
        rest = (struct slice){rest.ptr + len, rest.len - len};
    }
    qsort(lines, count, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < count; i++) {
        buf_append_slice(&sorted, lines[i]);
    }
    buf_fini(text);
    *text = sorted;
}

static void compare(struct fuzz *fuzz, const char *expression, size_t place)
{
    size_t p = pick(fuzz, ARRAY_COUNT(pairs));
    const char *other = pairs[pick(fuzz, ARRAY_COUNT(pairs))].name;
    struct buf leak_sql CLEANUP(buf_fini) = {0};
    struct buf pure_sql CLEANUP(buf_fini) = {0};
    write_statement(places[place], expression, "pure", pairs[p].name, other, &pure_sql);
    struct outcome pure = fixture_run(fuzz->f.eve, buf_slice(&pure_sql));
    if (strncmp(pure.sqlstate, "42", 2) == 0 || strncmp(pure.sqlstate, "0A", 2) == 0) {
        outcome_fini(&pure); /* no statement at all, over whatever table */
        return;
    }
    write_statement(places[place], expression, "leak", pairs[p].name, other, &leak_sql);
    struct outcome leak = fixture_run(fuzz->f.eve, buf_slice(&leak_sql));
    fuzz->compared++;
    fuzz->informative += pure.err == ERR_OK;
    if (leak.err == ERR_OK && pure.err == ERR_OK) {
        sort_lines(&leak.text);
        sort_lines(&pure.text);
    }
    /* Which of two failing constants is met first is nobody's secret. */
    bool is_same = leak.err == pure.err &&
                   (leak.err != ERR_OK || strcmp(buf_cstr(&leak.text), buf_cstr(&pure.text)) == 0);
    bool is_told = fixture_leaks(buf_cstr(&leak.text)) && !fixture_leaks(buf_cstr(&pure.text));
    if (!is_same || is_told) {
        fuzz->leaks++;
        print_error("LEAK (%s): %.400s\n", pairs[p].name, buf_cstr(&leak_sql));
        print_error("  %s %.150s\n", leak.sqlstate, buf_cstr(&leak.text));
        print_error("  without the hidden rows %s %.150s\n", pure.sqlstate, buf_cstr(&pure.text));
    }
    outcome_fini(&leak);
    outcome_fini(&pure);
}

TEST(attack, no_function_tells_of_hidden_rows_by_failing)
{
    static struct fuzz fuzz;
    fuzz = (struct fuzz){.seed = test_seed(), .arena = arena_new(NULL, "leak fuzz", 0)};
    CHECK(fuzz.arena != NULL);
    fixture_open(&fuzz.f);
    list_overloads(&fuzz);
    make_tables(&fuzz);
    /* A stride that meets all of them in an order of its own, however soon there are enough. */
    size_t at = pick(&fuzz, fuzz.overload_count);
    size_t tries_max = 3 * fuzz.overload_count;
    size_t cases = fuzz.f.doors == NULL ? CASES : CASES_BY_DOOR;
    for (size_t n = 0; n < tries_max && fuzz.leaks < LEAKS_MAX && fuzz.informative < cases; n++) {
        struct buf expression CLEANUP(buf_fini) = {0};
        at = (at + 7919) % fuzz.overload_count;
        if (n % 4 == 3) {
            write_cast(&fuzz, &expression);
        } else {
            write_call(&fuzz, &fuzz.overloads[at], &expression);
        }
        compare(&fuzz, buf_cstr(&expression), pick(&fuzz, ARRAY_COUNT(places)));
    }
    print_message("%zu statements compared, %zu with rows\n", fuzz.compared, fuzz.informative);
    assert_int_equal(fuzz.leaks, 0);
    assert_int_equal(fuzz.informative, cases);
    fixture_close(&fuzz.f);
    arena_free(fuzz.arena);
}
