/* Written from the engine's serialisation descriptions (src/include/duckdb/storage/serialization)
 * and from the JSON of the statements in tests/data/ast. Not here, and so refused: CTE_NODE,
 * DELIM_GET, COLUMN_DATA, BOUND_*, TYPE expressions, LAMBDA_REF: the parser never makes them, and
 * a statement that claims to hold one was not made by the parser. */
#include "sql/ast_shape.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define COUNTED(array) (array), ARRAY_COUNT(array)

static bool in_words(const char *const *words, struct slice text)
{
    for (; *words != NULL; words++) {
        if (slice_equal(slice_of(*words), text)) {
            return true;
        }
    }
    return false;
}

/* ---- types and values ---- */

bool shape_is_type_id(struct slice id)
{
    /* POINTER is the one that matters: the engine dereferences it. */
    return in_words(WORDS("NULL", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
                          "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT",
                          "DOUBLE", "DECIMAL", "VARCHAR", "BLOB", "BIT", "BIGNUM", "DATE", "TIME",
                          "TIME_NS", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_S",
                          "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "INTERVAL",
                          "UUID", "STRUCT", "LIST", "ARRAY", "MAP", "UNION", "ENUM", "VARIANT",
                          "UNBOUND"),
                    id);
}

bool shape_is_type_name(struct slice name)
{
    static const char *const names[] = {
        "json",          "array",   "bigint",    "bignum",  "binary",       "bit",
        "bitstring",     "blob",    "bool",      "boolean", "bpchar",       "bytea",
        "char",          "date",    "datetime",  "dec",     "decimal",      "double",
        "enum",          "float",   "float4",    "float8",  "guid",         "hugeint",
        "int",           "int1",    "int128",    "int16",   "int2",         "int32",
        "int4",          "int64",   "int8",      "integer", "integral",     "interval",
        "list",          "logical", "long",      "map",     "null",         "numeric",
        "nvarchar",      "oid",     "real",      "row",     "short",        "signed",
        "smallint",      "string",  "struct",    "text",    "time",         "time_ns",
        "timestamp",     "timetz",  "tinyint",   "ubigint", "timestamp_ms", "timestamp_ns",
        "uhugeint",      "uint128", "uint16",    "uint32",  "timestamp_s",  "timestamp_us",
        "uint64",        "uint8",   "uinteger",  "union",   "timestamptz",  "usmallint",
        "utinyint",      "uuid",    "varbinary", "varchar", "variant",      "varint",
        "timestamptz_ns"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_fold(slice_of(names[i]), name)) {
            return true;
        }
    }
    return false;
}

static const struct member type_members[] = {{"id", MEMBER_STRING, NULL, NULL},
                                             {"type_info", MEMBER_STRING, NULL, NULL}};
const struct shape shape_type = {SHAPE_PLAIN, "type", NULL, COUNTED(type_members)};

/* The value itself is looked at by the walker: its JSON type depends on the type. */
static const struct member value_members[] = {{"type", MEMBER_TYPE, NULL, NULL},
                                              {"is_null", MEMBER_BOOL, NULL, NULL},
                                              {"value", MEMBER_STRING, NULL, NULL}};
const struct shape shape_value = {SHAPE_PLAIN, "value", NULL, COUNTED(value_members)};

static const struct member field_members[] = {{"first", MEMBER_NAME, NULL, NULL},
                                              {"second", MEMBER_TYPE, NULL, NULL}};
static const struct shape shape_field = {SHAPE_PLAIN, "field", NULL, COUNTED(field_members)};

#define INFO_HEAD                                                                                  \
    {"type", MEMBER_STRING, NULL, NULL}, {"alias", MEMBER_EMPTY_TEXT, NULL, NULL},                 \
    {                                                                                              \
        "extension_info", MEMBER_OBJECT_OR_NULL, NULL, NULL                                        \
    }

static const struct member decimal_members[] = {
    INFO_HEAD, {"width", MEMBER_INTEGER, NULL, NULL}, {"scale", MEMBER_INTEGER, NULL, NULL}};
static const struct member list_members[] = {INFO_HEAD, {"child_type", MEMBER_TYPE, NULL, NULL}};
static const struct member array_members[] = {
    INFO_HEAD, {"child_type", MEMBER_TYPE, NULL, NULL}, {"size", MEMBER_INTEGER, NULL, NULL}};
static const struct member struct_members[] = {INFO_HEAD,
                                               {"child_types", MEMBER_OBJECTS, NULL, &shape_field}};
static const struct member string_members[] = {INFO_HEAD, {"collation", MEMBER_STRING, NULL, NULL}};
static const struct member unbound_members[] = {
    INFO_HEAD,
    {"name", MEMBER_STRING, NULL, NULL},
    {"catalog", MEMBER_WORD, WORDS("", "system"), NULL},
    {"schema", MEMBER_WORD, WORDS("", "main", "pg_catalog"), NULL},
    {"user_type_modifiers", MEMBER_VALUES, NULL, NULL}};

const struct shape *shape_of_type_info(struct slice type)
{
    static const struct shape shapes[] = {
        {SHAPE_PLAIN, "DECIMAL_TYPE_INFO", NULL, COUNTED(decimal_members)},
        {SHAPE_PLAIN, "LIST_TYPE_INFO", NULL, COUNTED(list_members)},
        {SHAPE_PLAIN, "ARRAY_TYPE_INFO", NULL, COUNTED(array_members)},
        {SHAPE_PLAIN, "STRUCT_TYPE_INFO", NULL, COUNTED(struct_members)},
        {SHAPE_PLAIN, "STRING_TYPE_INFO", NULL, COUNTED(string_members)},
        {SHAPE_PLAIN, "UNBOUND_TYPE_INFO", NULL, COUNTED(unbound_members)}};
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        if (slice_equal(slice_of(shapes[i].tag), type)) {
            return &shapes[i];
        }
    }
    return NULL;
}

/* ---- expressions ---- */

#define EXPRESSION_HEAD                                                                            \
    {"class", MEMBER_STRING, NULL, NULL}, {"type", MEMBER_STRING, NULL, NULL},                     \
        {"alias", MEMBER_NAME, NULL, NULL},                                                        \
    {                                                                                              \
        "query_location", MEMBER_INTEGER, NULL, NULL                                               \
    }

static const char *const order_types[] = {"ORDER_DEFAULT", "ASCENDING", "DESCENDING", NULL};
static const char *const null_orders[] = {"ORDER_DEFAULT", "NULLS FIRST", "NULLS LAST", NULL};
static const struct member order_members[] = {{"type", MEMBER_WORD, order_types, NULL},
                                              {"null_order", MEMBER_WORD, null_orders, NULL},
                                              {"expression", MEMBER_EXPRESSION, NULL, NULL}};
static const struct shape shape_order = {SHAPE_PLAIN, "order", NULL, COUNTED(order_members)};

static const struct member between_members[] = {EXPRESSION_HEAD,
                                                {"input", MEMBER_EXPRESSION, NULL, NULL},
                                                {"lower", MEMBER_EXPRESSION, NULL, NULL},
                                                {"upper", MEMBER_EXPRESSION, NULL, NULL}};

static const struct member case_check_members[] = {{"when_expr", MEMBER_EXPRESSION, NULL, NULL},
                                                   {"then_expr", MEMBER_EXPRESSION, NULL, NULL}};
static const struct shape shape_case_check = {SHAPE_PLAIN, "case", NULL,
                                              COUNTED(case_check_members)};
static const struct member case_members[] = {
    EXPRESSION_HEAD,
    {"case_checks", MEMBER_OBJECTS, NULL, &shape_case_check},
    {"else_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL}};

static const struct member cast_members[] = {EXPRESSION_HEAD,
                                             {"child", MEMBER_EXPRESSION, NULL, NULL},
                                             {"cast_type", MEMBER_TYPE, NULL, NULL},
                                             {"try_cast", MEMBER_BOOL, NULL, NULL}};
static const struct member collate_members[] = {EXPRESSION_HEAD,
                                                {"child", MEMBER_EXPRESSION, NULL, NULL},
                                                {"collation", MEMBER_STRING, NULL, NULL}};
static const struct member column_members[] = {EXPRESSION_HEAD,
                                               {"column_names", MEMBER_NAMES, NULL, NULL}};
static const struct member comparison_members[] = {EXPRESSION_HEAD,
                                                   {"left", MEMBER_EXPRESSION, NULL, NULL},
                                                   {"right", MEMBER_EXPRESSION, NULL, NULL}};
static const struct member children_members[] = {EXPRESSION_HEAD,
                                                 {"children", MEMBER_EXPRESSIONS, NULL, NULL}};
static const struct member constant_members[] = {EXPRESSION_HEAD,
                                                 {"value", MEMBER_VALUE, NULL, NULL}};
static const struct member function_members[] = {EXPRESSION_HEAD,
                                                 {"function_name", MEMBER_STRING, NULL, NULL},
                                                 {"schema", MEMBER_NAME, NULL, NULL},
                                                 {"children", MEMBER_EXPRESSIONS, NULL, NULL},
                                                 {"filter", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
                                                 {"order_bys", MEMBER_ORDER, NULL, NULL},
                                                 {"distinct", MEMBER_BOOL, NULL, NULL},
                                                 {"is_operator", MEMBER_BOOL, NULL, NULL},
                                                 {"export_state", MEMBER_FALSE, NULL, NULL},
                                                 {"catalog", MEMBER_NAME, NULL, NULL}};
static const struct member lambda_members[] = {EXPRESSION_HEAD,
                                               {"lhs", MEMBER_EXPRESSION, NULL, NULL},
                                               {"expr", MEMBER_EXPRESSION, NULL, NULL}};
static const struct member parameter_members[] = {EXPRESSION_HEAD,
                                                  {"identifier", MEMBER_NAME, NULL, NULL}};
static const struct member positional_members[] = {EXPRESSION_HEAD,
                                                   {"index", MEMBER_INTEGER, NULL, NULL}};

static const struct member qualified_members[] = {{"catalog", MEMBER_NAME, NULL, NULL},
                                                  {"schema", MEMBER_NAME, NULL, NULL},
                                                  {"table", MEMBER_NAME, NULL, NULL},
                                                  {"column", MEMBER_NAME, NULL, NULL}};
static const struct shape shape_qualified = {SHAPE_PLAIN, "qualified", NULL,
                                             COUNTED(qualified_members)};
static const struct member replace_members[] = {{"key", MEMBER_NAME, NULL, NULL},
                                                {"value", MEMBER_EXPRESSION, NULL, NULL}};
static const struct shape shape_replace = {SHAPE_PLAIN, "replace", NULL, COUNTED(replace_members)};
static const struct member rename_members[] = {{"key", MEMBER_OBJECT, NULL, &shape_qualified},
                                               {"value", MEMBER_NAME, NULL, NULL}};
static const struct shape shape_rename = {SHAPE_PLAIN, "rename", NULL, COUNTED(rename_members)};
static const struct member star_members[] = {
    EXPRESSION_HEAD,
    {"relation_name", MEMBER_NAME, NULL, NULL},
    {"exclude_list", MEMBER_NAMES, NULL, NULL},
    {"replace_list", MEMBER_OBJECTS, NULL, &shape_replace},
    {"columns", MEMBER_BOOL, NULL, NULL},
    {"expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"qualified_exclude_list", MEMBER_OBJECTS, NULL, &shape_qualified},
    {"rename_list", MEMBER_OBJECTS, NULL, &shape_rename}};

static const struct member subquery_members[] = {
    EXPRESSION_HEAD,
    {"subquery_type", MEMBER_WORD, WORDS("SCALAR", "EXISTS", "NOT_EXISTS", "ANY"), NULL},
    {"subquery", MEMBER_STATEMENT, NULL, NULL},
    {"child", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"comparison_type", MEMBER_WORD,
     WORDS("INVALID", "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN",
           "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO"),
     NULL}};

static const char *const boundaries[] = {
    "UNBOUNDED_PRECEDING", "UNBOUNDED_FOLLOWING",   "CURRENT_ROW_RANGE",     "CURRENT_ROW_ROWS",
    "EXPR_PRECEDING_ROWS", "EXPR_FOLLOWING_ROWS",   "EXPR_PRECEDING_RANGE",  "EXPR_FOLLOWING_RANGE",
    "CURRENT_ROW_GROUPS",  "EXPR_PRECEDING_GROUPS", "EXPR_FOLLOWING_GROUPS", NULL};
static const struct member window_members[] = {
    EXPRESSION_HEAD,
    {"function_name", MEMBER_STRING, NULL, NULL},
    {"schema", MEMBER_NAME, NULL, NULL},
    {"catalog", MEMBER_NAME, NULL, NULL},
    {"children", MEMBER_EXPRESSIONS, NULL, NULL},
    {"partitions", MEMBER_EXPRESSIONS, NULL, NULL},
    {"orders", MEMBER_OBJECTS, NULL, &shape_order},
    {"start", MEMBER_WORD, boundaries, NULL},
    {"end", MEMBER_WORD, boundaries, NULL},
    {"start_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"end_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"offset_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"default_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"ignore_nulls", MEMBER_BOOL, NULL, NULL},
    {"filter_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"exclude_clause", MEMBER_WORD, WORDS("NO_OTHER", "CURRENT_ROW", "GROUP", "TIES"), NULL},
    {"distinct", MEMBER_BOOL, NULL, NULL},
    {"arg_orders", MEMBER_OBJECTS, NULL, &shape_order}};

static const struct shape expression_shapes[] = {
    {SHAPE_COLUMN, "COLUMN_REF", WORDS("COLUMN_REF"), COUNTED(column_members)},
    {SHAPE_CONSTANT, "CONSTANT", WORDS("VALUE_CONSTANT"), COUNTED(constant_members)},
    {SHAPE_FUNCTION, "FUNCTION", WORDS("FUNCTION"), COUNTED(function_members)},
    {SHAPE_COMPARISON, "COMPARISON",
     WORDS("COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_GREATERTHAN",
           "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_DISTINCT_FROM",
           "COMPARE_NOT_DISTINCT_FROM"),
     COUNTED(comparison_members)},
    {SHAPE_PLAIN, "CONJUNCTION", WORDS("CONJUNCTION_AND", "CONJUNCTION_OR"),
     COUNTED(children_members)},
    {SHAPE_OPERATOR, "OPERATOR",
     WORDS("OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN",
           "COMPARE_NOT_IN", "OPERATOR_COALESCE", "ARRAY_EXTRACT", "ARRAY_SLICE", "STRUCT_EXTRACT",
           "ARRAY_CONSTRUCTOR", "GROUPING_FUNCTION", "OPERATOR_TRY", "OPERATOR_UNPACK"),
     COUNTED(children_members)},
    {SHAPE_CAST, "CAST", WORDS("OPERATOR_CAST"), COUNTED(cast_members)},
    {SHAPE_PLAIN, "BETWEEN", WORDS("COMPARE_BETWEEN", "COMPARE_NOT_BETWEEN"),
     COUNTED(between_members)},
    {SHAPE_PLAIN, "CASE", WORDS("CASE_EXPR"), COUNTED(case_members)},
    {SHAPE_STAR, "STAR", WORDS("STAR"), COUNTED(star_members)},
    {SHAPE_SUBQUERY, "SUBQUERY", WORDS("SUBQUERY"), COUNTED(subquery_members)},
    {SHAPE_WINDOW, "WINDOW",
     WORDS("WINDOW_AGGREGATE", "WINDOW_RANK", "WINDOW_RANK_DENSE", "WINDOW_NTILE",
           "WINDOW_PERCENT_RANK", "WINDOW_CUME_DIST", "WINDOW_ROW_NUMBER", "WINDOW_FIRST_VALUE",
           "WINDOW_LAST_VALUE", "WINDOW_LEAD", "WINDOW_LAG", "WINDOW_NTH_VALUE", "WINDOW_FILL"),
     COUNTED(window_members)},
    {SHAPE_COLLATE, "COLLATE", WORDS("COLLATE"), COUNTED(collate_members)},
    {SHAPE_LAMBDA, "LAMBDA", WORDS("LAMBDA"), COUNTED(lambda_members)},
    {SHAPE_PARAMETER, "PARAMETER", WORDS("VALUE_PARAMETER"), COUNTED(parameter_members)},
    {SHAPE_PLAIN, "POSITIONAL_REFERENCE", WORDS("POSITIONAL_REFERENCE"),
     COUNTED(positional_members)}};

/* ---- relations ---- */

static const struct member sample_members[] = {
    {"sample_size", MEMBER_VALUE, NULL, NULL},
    {"is_percentage", MEMBER_BOOL, NULL, NULL},
    {"method", MEMBER_WORD, WORDS("System", "Bernoulli", "Reservoir"), NULL},
    {"seed", MEMBER_INTEGER, NULL, NULL}};
static const struct shape shape_sample = {SHAPE_PLAIN, "sample", NULL, COUNTED(sample_members)};

static const struct member at_members[] = {
    {"unit", MEMBER_WORD, WORDS("VERSION", "TIMESTAMP"), NULL},
    {"expr", MEMBER_EXPRESSION, NULL, NULL}};
static const struct shape shape_at = {SHAPE_PLAIN, "at", NULL, COUNTED(at_members)};

#define RELATION_HEAD                                                                              \
    {"type", MEMBER_STRING, NULL, NULL}, {"alias", MEMBER_NAME, NULL, NULL},                       \
        {"sample", MEMBER_OBJECT_OR_NULL, NULL, &shape_sample},                                    \
    {                                                                                              \
        "query_location", MEMBER_INTEGER, NULL, NULL                                               \
    }

static const struct member empty_members[] = {RELATION_HEAD};
static const struct member base_table_members[] = {
    RELATION_HEAD,
    {"schema_name", MEMBER_NAME, NULL, NULL},
    {"table_name", MEMBER_NAME, NULL, NULL},
    {"column_name_alias", MEMBER_NAMES, NULL, NULL},
    {"catalog_name", MEMBER_NAME, NULL, NULL},
    {"at_clause", MEMBER_OBJECT_OR_NULL, NULL, &shape_at}};
static const struct member join_members[] = {
    RELATION_HEAD,
    {"left", MEMBER_RELATION, NULL, NULL},
    {"right", MEMBER_RELATION, NULL, NULL},
    {"condition", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"join_type", MEMBER_WORD, WORDS("INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"), NULL},
    {"ref_type", MEMBER_WORD, WORDS("REGULAR", "NATURAL", "CROSS", "POSITIONAL", "ASOF"), NULL},
    {"using_columns", MEMBER_NAMES, NULL, NULL},
    {"delim_flipped", MEMBER_FALSE, NULL, NULL},
    {"duplicate_eliminated_columns", MEMBER_EMPTY_LIST, NULL, NULL}};
static const struct member subquery_ref_members[] = {
    RELATION_HEAD,
    {"subquery", MEMBER_STATEMENT, NULL, NULL},
    {"column_name_alias", MEMBER_NAMES, NULL, NULL}};
static const struct member table_function_members[] = {
    RELATION_HEAD,
    {"function", MEMBER_EXPRESSION, NULL, NULL},
    {"column_name_alias", MEMBER_NAMES, NULL, NULL},
    {"with_ordinality", MEMBER_WORD, WORDS("WITHOUT_ORDINALITY", "WITH_ORDINALITY"), NULL}};
static const struct member expression_list_members[] = {
    RELATION_HEAD,
    {"expected_names", MEMBER_NAMES, NULL, NULL},
    {"expected_types", MEMBER_TYPES, NULL, NULL},
    {"values", MEMBER_ROWS, NULL, NULL}};

static const struct member entry_members[] = {{"values", MEMBER_VALUES, NULL, NULL},
                                              {"star_expr", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
                                              {"alias", MEMBER_NAME, NULL, NULL}};
static const struct shape shape_entry = {SHAPE_PLAIN, "entry", NULL, COUNTED(entry_members)};
static const struct member pivot_column_members[] = {
    {"pivot_expressions", MEMBER_EXPRESSIONS, NULL, NULL},
    {"unpivot_names", MEMBER_NAMES, NULL, NULL},
    {"entries", MEMBER_OBJECTS, NULL, &shape_entry},
    {"pivot_enum", MEMBER_EMPTY_TEXT, NULL, NULL}};
static const struct shape shape_pivot_column = {SHAPE_PLAIN, "pivot", NULL,
                                                COUNTED(pivot_column_members)};
static const struct member pivot_members[] = {RELATION_HEAD,
                                              {"source", MEMBER_RELATION, NULL, NULL},
                                              {"aggregates", MEMBER_EXPRESSIONS, NULL, NULL},
                                              {"unpivot_names", MEMBER_NAMES, NULL, NULL},
                                              {"pivots", MEMBER_OBJECTS, NULL, &shape_pivot_column},
                                              {"groups", MEMBER_NAMES, NULL, NULL},
                                              {"column_name_alias", MEMBER_NAMES, NULL, NULL},
                                              {"include_nulls", MEMBER_BOOL, NULL, NULL}};
/* Only over a query: lists of tables and databases are Moat's own statements. */
static const struct member show_members[] = {
    RELATION_HEAD,
    {"table_name", MEMBER_EMPTY_TEXT, NULL, NULL},
    {"query", MEMBER_QUERY, NULL, NULL},
    {"show_type", MEMBER_WORD, WORDS("DESCRIBE", "SUMMARY"), NULL},
    {"catalog_name", MEMBER_EMPTY_TEXT, NULL, NULL},
    {"schema_name", MEMBER_EMPTY_TEXT, NULL, NULL}};

static const struct shape relation_shapes[] = {
    {SHAPE_BASE_TABLE, "BASE_TABLE", NULL, COUNTED(base_table_members)},
    {SHAPE_PLAIN, "JOIN", NULL, COUNTED(join_members)},
    {SHAPE_PLAIN, "SUBQUERY", NULL, COUNTED(subquery_ref_members)},
    {SHAPE_PLAIN, "EMPTY", NULL, COUNTED(empty_members)},
    {SHAPE_TABLE_FUNCTION, "TABLE_FUNCTION", NULL, COUNTED(table_function_members)},
    {SHAPE_PLAIN, "EXPRESSION_LIST", NULL, COUNTED(expression_list_members)},
    {SHAPE_PLAIN, "PIVOT", NULL, COUNTED(pivot_members)},
    {SHAPE_SHOW, "SHOW_REF", NULL, COUNTED(show_members)}};

/* ---- queries ---- */

static const struct member parameter_map_members[] = {{"key", MEMBER_NAME, NULL, NULL},
                                                      {"value", MEMBER_INTEGER, NULL, NULL}};
static const struct shape shape_parameter_map = {SHAPE_PLAIN, "parameter", NULL,
                                                 COUNTED(parameter_map_members)};
static const struct member statement_members[] = {
    {"node", MEMBER_QUERY, NULL, NULL},
    {"named_param_map", MEMBER_OBJECTS, NULL, &shape_parameter_map}};
const struct shape shape_statement = {SHAPE_PLAIN, "statement", NULL, COUNTED(statement_members)};

static const struct member cte_members[] = {
    {"aliases", MEMBER_NAMES, NULL, NULL},
    {"query", MEMBER_STATEMENT, NULL, NULL},
    {"materialized", MEMBER_WORD,
     WORDS("CTE_MATERIALIZE_DEFAULT", "CTE_MATERIALIZE_ALWAYS", "CTE_MATERIALIZE_NEVER"), NULL},
    {"key_targets", MEMBER_EXPRESSIONS, NULL, NULL}};
static const struct shape shape_cte = {SHAPE_PLAIN, "cte", NULL, COUNTED(cte_members)};
static const struct member cte_entry_members[] = {{"key", MEMBER_NAME, NULL, NULL},
                                                  {"value", MEMBER_OBJECT, NULL, &shape_cte}};
static const struct shape shape_cte_entry = {SHAPE_PLAIN, "cte entry", NULL,
                                             COUNTED(cte_entry_members)};
static const struct member cte_map_members[] = {{"map", MEMBER_OBJECTS, NULL, &shape_cte_entry}};
const struct shape shape_cte_map = {SHAPE_PLAIN, "cte map", NULL, COUNTED(cte_map_members)};

#define QUERY_HEAD                                                                                 \
    {"type", MEMBER_STRING, NULL, NULL}, {"modifiers", MEMBER_MODIFIERS, NULL, NULL},              \
    {                                                                                              \
        "cte_map", MEMBER_OBJECT, NULL, &shape_cte_map                                             \
    }

static const struct member select_members[] = {
    QUERY_HEAD,
    {"select_list", MEMBER_EXPRESSIONS, NULL, NULL},
    {"from_table", MEMBER_RELATION_OR_NULL, NULL, NULL},
    {"where_clause", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"group_expressions", MEMBER_EXPRESSIONS, NULL, NULL},
    {"group_sets", MEMBER_NUMBERS, NULL, NULL},
    {"aggregate_handling", MEMBER_WORD,
     WORDS("STANDARD_HANDLING", "NO_AGGREGATES_ALLOWED", "FORCE_AGGREGATES"), NULL},
    {"having", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
    {"sample", MEMBER_OBJECT_OR_NULL, NULL, &shape_sample},
    {"qualify", MEMBER_EXPRESSION_OR_NULL, NULL, NULL}};
static const struct member set_members[] = {
    QUERY_HEAD,
    {"setop_type", MEMBER_WORD, WORDS("UNION", "EXCEPT", "INTERSECT", "UNION_BY_NAME"), NULL},
    {"left", MEMBER_QUERY, NULL, NULL},
    {"right", MEMBER_QUERY, NULL, NULL},
    {"setop_all", MEMBER_BOOL, NULL, NULL}};
static const struct member recursive_members[] = {QUERY_HEAD,
                                                  {"cte_name", MEMBER_NAME, NULL, NULL},
                                                  {"union_all", MEMBER_BOOL, NULL, NULL},
                                                  {"left", MEMBER_QUERY, NULL, NULL},
                                                  {"right", MEMBER_QUERY, NULL, NULL},
                                                  {"aliases", MEMBER_NAMES, NULL, NULL},
                                                  {"key_targets", MEMBER_EXPRESSIONS, NULL, NULL}};

static const struct shape query_shapes[] = {
    {SHAPE_SELECT, "SELECT_NODE", NULL, COUNTED(select_members)},
    {SHAPE_SET_OPERATION, "SET_OPERATION_NODE", NULL, COUNTED(set_members)},
    {SHAPE_RECURSIVE, "RECURSIVE_CTE_NODE", NULL, COUNTED(recursive_members)}};

static const struct member order_modifier_members[] = {
    {"type", MEMBER_STRING, NULL, NULL}, {"orders", MEMBER_OBJECTS, NULL, &shape_order}};
static const struct member limit_members[] = {{"type", MEMBER_STRING, NULL, NULL},
                                              {"limit", MEMBER_EXPRESSION_OR_NULL, NULL, NULL},
                                              {"offset", MEMBER_EXPRESSION_OR_NULL, NULL, NULL}};
static const struct member distinct_members[] = {
    {"type", MEMBER_STRING, NULL, NULL}, {"distinct_on_targets", MEMBER_EXPRESSIONS, NULL, NULL}};
static const struct shape modifier_shapes[] = {
    {SHAPE_PLAIN, "ORDER_MODIFIER", NULL, COUNTED(order_modifier_members)},
    {SHAPE_PLAIN, "LIMIT_MODIFIER", NULL, COUNTED(limit_members)},
    {SHAPE_PLAIN, "LIMIT_PERCENT_MODIFIER", NULL, COUNTED(limit_members)},
    {SHAPE_PLAIN, "DISTINCT_MODIFIER", NULL, COUNTED(distinct_members)}};

static const struct shape *find(const struct shape *shapes, size_t count, struct slice tag)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_of(shapes[i].tag), tag)) {
            return &shapes[i];
        }
    }
    return NULL;
}

const struct shape *shape_of_expression(struct slice class)
{
    return find(COUNTED(expression_shapes), class);
}

const struct shape *shape_of_relation(struct slice type)
{
    return find(COUNTED(relation_shapes), type);
}

const struct shape *shape_of_query(struct slice type)
{
    return find(COUNTED(query_shapes), type);
}

const struct shape *shape_of_modifier(struct slice type)
{
    return find(COUNTED(modifier_shapes), type);
}
