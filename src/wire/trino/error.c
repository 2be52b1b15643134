/* Errors by Trino's names and numbers (its StandardErrorCode). */
#include "wire/trino/trino_int.h"

#define USER "USER_ERROR"
#define INTERNAL "INTERNAL_ERROR"
#define RESOURCES "INSUFFICIENT_RESOURCES"

static const struct {
    const char *sqlstate;
    struct trino_error error;
} by_sqlstate[] = {
    {"07001", {80, "INVALID_PARAMETER_USAGE", USER}},
    {"0A000", {13, "NOT_SUPPORTED", USER}},
    {"21000", {28, "SUBQUERY_MULTIPLE_ROWS", USER}},
    {"22003", {19, "NUMERIC_VALUE_OUT_OF_RANGE", USER}},
    {"22007", {9, "INVALID_CAST_ARGUMENT", USER}},
    {"22008", {9, "INVALID_CAST_ARGUMENT", USER}},
    {"22012", {8, "DIVISION_BY_ZERO", USER}},
    {"22018", {9, "INVALID_CAST_ARGUMENT", USER}},
    {"22023", {7, "INVALID_FUNCTION_ARGUMENT", USER}},
    {"22P02", {9, "INVALID_CAST_ARGUMENT", USER}},
    {"25001", {13, "NOT_SUPPORTED", USER}},
    {"25006", {23, "READ_ONLY_VIOLATION", USER}},
    {"25P01", {21, "NOT_IN_TRANSACTION", USER}},
    {"25P03", {2, "ABANDONED_QUERY", USER}},
    {"2BP01", {34, "SCHEMA_NOT_EMPTY", USER}},
    {"3D000", {44, "CATALOG_NOT_FOUND", USER}},
    {"3F000", {45, "SCHEMA_NOT_FOUND", USER}},
    {"40001", {17, "TRANSACTION_CONFLICT", USER}},
    {"42501", {4, "PERMISSION_DENIED", USER}},
    {"42601", {1, "SYNTAX_ERROR", USER}},
    {"42611", {55, "MISSING_COLUMN_NAME", USER}},
    {"42702", {62, "AMBIGUOUS_NAME", USER}},
    {"42703", {47, "COLUMN_NOT_FOUND", USER}},
    {"42704", {43, "TYPE_NOT_FOUND", USER}},
    {"42701", {54, "DUPLICATE_COLUMN_NAME", USER}},
    {"42710", {12, "ALREADY_EXISTS", USER}},
    {"42803", {73, "EXPRESSION_NOT_AGGREGATE", USER}},
    {"42804", {58, "TYPE_MISMATCH", USER}},
    {"42846", {58, "TYPE_MISMATCH", USER}},
    {"42883", {6, "FUNCTION_NOT_FOUND", USER}},
    {"42P01", {46, "TABLE_NOT_FOUND", USER}},
    {"42P06", {49, "SCHEMA_ALREADY_EXISTS", USER}},
    {"42P07", {50, "TABLE_ALREADY_EXISTS", USER}},
    {"53200", {131079, "EXCEEDED_LOCAL_MEMORY_LIMIT", RESOURCES}},
    {"53300", {131074, "QUERY_QUEUE_FULL", RESOURCES}},
    {"54000", {35, "QUERY_TEXT_TOO_LARGE", USER}},
    {"55P02", {14, "INVALID_SESSION_PROPERTY", USER}},
    {"57P01", {38, "ADMINISTRATIVELY_KILLED", USER}},
    {"HV00D", {18, "INVALID_TABLE_PROPERTY", USER}},
};

/* What takes no such arguments: a function is not found, an operator's types do not match. The
 * message names it first in quotes. */
static struct trino_error no_such_form(const struct errinfo *info)
{
    const char *quote = strchr(info->message, '"');
    bool is_operator = quote != NULL && strchr("+-*/%=<>|~", quote[1]) != NULL && quote[1] != '\0';
    return is_operator ? (struct trino_error){58, "TYPE_MISMATCH", USER}
                       : (struct trino_error){6, "FUNCTION_NOT_FOUND", USER};
}

struct trino_error trino_error_of(const struct errinfo *info)
{
    if (strcmp(info->sqlstate, "42725") == 0 || strcmp(info->sqlstate, "42883") == 0) {
        return no_such_form(info);
    }
    for (size_t i = 0; i < ARRAY_COUNT(by_sqlstate); i++) {
        if (strcmp(by_sqlstate[i].sqlstate, info->sqlstate) == 0) {
            return by_sqlstate[i].error;
        }
    }
    switch (info->code) {
    case ERR_CANCELLED:
        return (struct trino_error){3, "USER_CANCELED", USER};
    case ERR_TIMEOUT:
        return (struct trino_error){131075, "EXCEEDED_TIME_LIMIT", RESOURCES};
    case ERR_NOT_FOUND:
        return (struct trino_error){5, "NOT_FOUND", USER};
    case ERR_DENIED:
        return (struct trino_error){4, "PERMISSION_DENIED", USER};
    case ERR_NOMEM:
    case ERR_LIMIT:
    case ERR_BUSY:
        return (struct trino_error){131072, "GENERIC_INSUFFICIENT_RESOURCES", RESOURCES};
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_INTERNAL:
        return (struct trino_error){65536, "GENERIC_INTERNAL_ERROR", INTERNAL};
    case ERR_OK:
    case ERR_INVALID:
    case ERR_SYNTAX:
    case ERR_EXISTS:
    case ERR_UNSUPPORTED:
    case ERR_ENGINE:
        break;
    }
    return (struct trino_error){0, "GENERIC_USER_ERROR", USER};
}
