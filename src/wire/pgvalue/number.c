/* Texts of numbers and truth, as PostgreSQL reads them: the whole text, or an error. */
#include <errno.h>
#include <math.h>

#include "wire/pgvalue/pgvalue_int.h"

#include "base/digits.h"

const char *pg_type_title(uint32_t oid)
{
    switch (oid) {
    case PG_BOOL:
        return "boolean";
    case PG_INT2:
        return "smallint";
    case PG_INT4:
        return "integer";
    case PG_INT8:
        return "bigint";
    case PG_OID:
        return "oid";
    case PG_FLOAT4:
        return "real";
    case PG_FLOAT8:
        return "double precision";
    case PG_NUMERIC:
        return "numeric";
    case PG_BYTEA:
        return "bytea";
    case PG_DATE:
        return "date";
    case PG_TIME:
        return "time";
    case PG_TIMESTAMP:
        return "timestamp";
    case PG_TIMESTAMPTZ:
        return "timestamp with time zone";
    case PG_INTERVAL:
        return "interval";
    case PG_UUID:
        return "uuid";
    default:
        return NULL;
    }
}

enum err pg_out_of_range(uint32_t oid, struct slice text, struct errinfo *info)
{
    text.len = text.len > 400 ? 400 : text.len; /* errinfo cuts at a character */
    return errinfo_set(info, ERR_INVALID, "22003", "value \"%.*s\" is out of range for type %s",
                       SLICE_ARGS(text), pg_type_title(oid));
}

static enum err malformed(uint32_t oid, struct slice text, struct errinfo *info)
{
    text.len = text.len > 400 ? 400 : text.len;
    return errinfo_set(info, ERR_INVALID, "22P02", "invalid input syntax for type %s: \"%.*s\"",
                       pg_type_title(oid), SLICE_ARGS(text));
}

/* The start of a word is enough where no other has it ("o" has two). */
static bool begins(struct slice text, const char *word, size_t least)
{
    size_t len = strlen(word);
    return text.len >= least && text.len <= len &&
           slice_equal_fold(text, (struct slice){word, text.len});
}

enum err pg_read_bool(struct slice text, bool *ret_value, struct errinfo *info)
{
    struct slice word = slice_trim(text);
    bool is_true = begins(word, "true", 1) || begins(word, "yes", 1) || begins(word, "on", 2) ||
                   begins(word, "1", 1);
    bool is_false = begins(word, "false", 1) || begins(word, "no", 1) || begins(word, "off", 2) ||
                    begins(word, "0", 1);
    if (!is_true && !is_false) {
        return malformed(PG_BOOL, text, info);
    }
    *ret_value = is_true;
    return ERR_OK;
}

static bool is_wide(uint32_t oid, int64_t value)
{
    return (oid == PG_INT2 && value != (int16_t)value) ||
           (oid == PG_INT4 && value != (int32_t)value);
}

/* 0x and 0b, and single underscores between digits, as PostgreSQL 16 has it. */
enum err pg_read_integer(uint32_t oid, struct slice text, int64_t *ret_value, struct errinfo *info)
{
    struct slice digits = slice_trim(text);
    bool is_negative = digits.len > 0 && digits.ptr[0] == '-';
    bool is_over = false;
    bool was_digit = false;
    int64_t value = 0; /* below zero, which has one more */
    int base = 10;
    if (digits.len > 0 && (is_negative || digits.ptr[0] == '+')) {
        digits = (struct slice){digits.ptr + 1, digits.len - 1};
    }
    if (digits.len > 2 && digits.ptr[0] == '0' && strchr("xXbB", digits.ptr[1]) != NULL) {
        base = (digits.ptr[1] | 0x20) == 'x' ? 16 : 2;
        digits = (struct slice){digits.ptr + 2, digits.len - 2};
    }
    for (size_t i = 0; i < digits.len; i++) {
        bool is_gap = digits.ptr[i] == '_' && was_digit;
        int digit = is_gap ? 0 : digits_hex(digits.ptr[i]);
        if (digit < 0 || digit >= base) {
            return malformed(oid, text, info);
        }
        was_digit = !is_gap;
        is_over = is_over || (!is_gap && (__builtin_mul_overflow(value, base, &value) ||
                                          __builtin_sub_overflow(value, digit, &value)));
    }
    if (!was_digit) {
        return malformed(oid, text, info);
    }
    if (is_over || (!is_negative && value == INT64_MIN) ||
        is_wide(oid, is_negative ? value : -value)) {
        return pg_out_of_range(oid, text, info);
    }
    *ret_value = is_negative ? value : -value;
    return ERR_OK;
}

static bool named_float(struct slice word, double *ret_value)
{
    bool is_negative = word.len > 0 && word.ptr[0] == '-';
    if (word.len > 0 && (is_negative || word.ptr[0] == '+')) {
        word = (struct slice){word.ptr + 1, word.len - 1};
    }
    if (slice_equal_fold(word, SLICE("nan"))) {
        *ret_value = (double)NAN;
        return true;
    }
    *ret_value = is_negative ? -HUGE_VAL : HUGE_VAL;
    return slice_equal_fold(word, SLICE("infinity")) || slice_equal_fold(word, SLICE("inf"));
}

enum err pg_read_float(uint32_t oid, struct slice text, double *ret_value, struct errinfo *info)
{
    char copy[512];
    char *end;
    struct slice word = slice_trim(text);
    if (named_float(word, ret_value)) {
        return ERR_OK;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (strchr("0123456789+-.eE", word.ptr[i]) == NULL || word.ptr[i] == '\0') {
            return malformed(oid, text, info);
        }
    }
    if (word.len == 0 || word.len >= sizeof(copy)) {
        return malformed(oid, text, info);
    }
    memcpy(copy, word.ptr, word.len);
    copy[word.len] = '\0';
    errno = 0;
    double value = oid == PG_FLOAT4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    if (*end != '\0') {
        return malformed(oid, text, info);
    }
    if (errno == ERANGE && (value == 0 || isinf(value))) {
        return pg_out_of_range(oid, text, info);
    }
    *ret_value = value;
    return ERR_OK;
}
