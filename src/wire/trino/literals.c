/* Literals that Trino writes or types otherwise: bytes, numbers, decimals, dates, moments, JSON,
 * intervals. */
#include "base/digits.h"
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

static bool has_zone(struct slice text)
{
    if (text.len < 12) { /* a date alone */
        return false;
    }
    for (size_t i = 11; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' || c == '-' || (c >= 'A' && c <= 'Z' && c != 'T')) {
            return true;
        }
    }
    return false;
}

/* Ours takes an offset without the space before it. */
static void put_zoned(struct trino_rewrite *r, struct slice text)
{
    struct buf glued CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < text.len; i++) {
        bool is_before = text.ptr[i] == ' ' && i + 1 < text.len &&
                         (text.ptr[i + 1] == '+' || text.ptr[i + 1] == '-');
        buf_append(&glued, text.ptr + i, is_before ? 0 : 1);
    }
    sql_quote_string(&r->out, buf_slice(&glued));
    r->out.failed = r->out.failed || buf_failed(&glued);
}

/* ---- numbers ---- */

/* DECIMAL '1.50' and 0.10 have the digits that are written, without zeros in front. */
static bool read_decimal(struct slice text, size_t *ret_digits, size_t *ret_scale)
{
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    size_t digits = 0;
    bool is_behind = false;
    bool has_digit = false;
    *ret_scale = 0;
    for (; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '.' && !is_behind) {
            is_behind = true;
            continue;
        }
        if (c < '0' || c > '9') {
            return false;
        }
        has_digit = true;
        digits += digits > 0 || c != '0' || is_behind;
        *ret_scale += is_behind;
    }
    *ret_digits = digits > 0 ? digits : 1;
    return has_digit && *ret_digits <= 38;
}

static bool has_exponent(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] | 0x20) == 'e') {
            return true;
        }
    }
    return false;
}

/* 0x1F, 0b101, 0o17: a 0 and a word to the scanner. */
static bool read_based(const struct trino_rewrite *r, size_t i, uint64_t *ret_value)
{
    const struct token *zero = trino__at(r, i);
    const struct token *word = trino__at(r, i + 1);
    bool is_glued = word->kind == TOKEN_WORD && word->offset == zero->offset + zero->text.len;
    if (!is_glued || !slice_equal(zero->text, SLICE("0"))) {
        return false;
    }
    char base = (char)(word->text.ptr[0] | 0x20);
    unsigned shift = base == 'x' ? 4 : base == 'o' ? 3 : base == 'b' ? 1 : 0;
    *ret_value = 0;
    for (size_t c = 1; c < word->text.len && shift > 0; c++) {
        int digit = digits_hex(word->text.ptr[c]);
        if (digit < 0 || digit >= 1 << shift || *ret_value >> (63 - shift) != 0) {
            return false;
        }
        *ret_value = *ret_value << shift | (unsigned)digit;
    }
    return shift > 0 && word->text.len > 1;
}

static bool put_number(struct trino_rewrite *r, size_t *i)
{
    const struct token *token = trino__at(r, *i);
    uint64_t value;
    if (token->kind != TOKEN_NUMBER) {
        return false;
    }
    if (read_based(r, *i, &value)) {
        trino__space(r);
        trino__mark(r, token->offset);
        buf_printf(&r->out, "%llu", (unsigned long long)value);
        *i += 2;
        return true;
    }
    bool is_hex = token->text.len > 1 && (token->text.ptr[1] | 0x20) == 'x';
    if (is_hex) {
        return false;
    }
    if (has_exponent(token->text)) {
        trino__space(r);
        trino__mark(r, token->offset);
        buf_append_str(&r->out, "CAST(");
        buf_append_slice(&r->out, token->text);
        buf_append_str(&r->out, " AS DOUBLE)");
    } else if (slice_starts_with(token->text, SLICE("0.")) && token->text.len > 2) {
        trino__space(r);
        trino__mark(r, token->offset);
        buf_append(&r->out, token->text.ptr + 1, token->text.len - 1);
    } else {
        return false;
    }
    (*i)++;
    return true;
}

/* ---- bytes ---- */

/* X'00 ff'. The scanner has it as one text. */
static enum err put_bytes(struct trino_rewrite *r, size_t i, struct errinfo *info)
{
    struct slice text = trino__at(r, i)->text;
    size_t count = 0;
    trino__space(r);
    trino__mark(r, trino__at(r, i)->offset);
    buf_append_str(&r->out, "unhex('");
    for (size_t c = 2; c + 1 < text.len; c++) {
        char lower = (char)(text.ptr[c] | 0x20);
        if (text.ptr[c] == ' ' || text.ptr[c] == '\n' || text.ptr[c] == '\t') {
            continue;
        }
        if (!((lower >= 'a' && lower <= 'f') || (text.ptr[c] >= '0' && text.ptr[c] <= '9'))) {
            count = 1;
            break;
        }
        buf_append_char(&r->out, text.ptr[c]);
        count++;
    }
    if (count % 2 != 0) {
        (void)errinfo_set(info, ERR_SYNTAX, "42601",
                          "a binary literal has an even number of hexadecimal digits");
        errinfo_position(info, trino__at(r, i)->offset + 1);
        return ERR_SYNTAX;
    }
    buf_append_str(&r->out, "')");
    return ERR_OK;
}

/* ---- intervals ---- */

static bool is_unit_word(const struct trino_rewrite *r, size_t i)
{
    static const char *const units[] = {"year", "month", "day", "hour", "minute", "second", "week"};
    for (size_t u = 0; u < ARRAY_COUNT(units); u++) {
        if (trino__is_word(r, i, units[u])) {
            return true;
        }
    }
    return false;
}

/* '1-2' YEAR TO MONTH as months, '2 03:04:05' DAY TO SECOND as days and a time. */
static bool put_span(struct trino_rewrite *r, struct slice text, bool is_months, bool has_days)
{
    struct slice sign = text.len > 0 && text.ptr[0] == '-' ? SLICE("-") : SLICE("");
    struct slice rest = {text.ptr + sign.len, text.len - sign.len};
    size_t at = 0;
    uint64_t first, second = 0;
    while (at < rest.len && rest.ptr[at] >= '0' && rest.ptr[at] <= '9') {
        at++;
    }
    if (!slice_to_u64((struct slice){rest.ptr, at}, &first)) {
        return false;
    }
    struct slice more = {rest.ptr + at, rest.len - at};
    if (is_months) {
        bool has_more = more.len > 0;
        if (has_more && (more.ptr[0] != '-' ||
                         !slice_to_u64((struct slice){more.ptr + 1, more.len - 1}, &second))) {
            return false;
        }
        buf_printf(&r->out, "INTERVAL '%.*s%llu' MONTH", SLICE_ARGS(sign),
                   (unsigned long long)(first * 12 + second));
        return first < 1000000 && second < 12;
    }
    for (size_t c = 0; c < more.len; c++) {
        if (strchr("0123456789:. ", more.ptr[c]) == NULL) {
            return false;
        }
    }
    if (has_days) {
        buf_printf(&r->out, "(%.*s INTERVAL '%llu days%.*s')", SLICE_ARGS(sign),
                   (unsigned long long)first, SLICE_ARGS(more));
    } else {
        buf_printf(&r->out, "(%.*s INTERVAL '%.*s')", SLICE_ARGS(sign), SLICE_ARGS(rest));
    }
    return true;
}

/* INTERVAL [-] 'text' unit [TO unit], where ours has another form for it. */
static enum err put_interval(struct trino_rewrite *r, size_t *i, bool *ret_done,
                             struct errinfo *info)
{
    size_t at = *i + 1;
    struct slice text;
    bool is_negative = trino__is_op(r, at, "-");
    bool is_signed = is_negative || trino__is_op(r, at, "+");
    at += is_signed;
    bool has_span =
        is_unit_word(r, at + 1) && trino__is_word(r, at + 2, "to") && is_unit_word(r, at + 3);
    if (trino__at(r, at)->kind != TOKEN_STRING || !is_unit_word(r, at + 1) ||
        (!is_signed && !has_span)) {
        return ERR_OK;
    }
    TRY(token_string(trino__at(r, at), r->arena, &text, info));
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    buf_append_str(&r->out, is_negative ? "(- " : "(");
    if (!has_span) {
        buf_append_str(&r->out, "INTERVAL ");
        sql_quote_string(&r->out, text);
        buf_append_char(&r->out, ' ');
        buf_append_slice(&r->out, trino__at(r, at + 1)->text);
    } else if (trino__is_word(r, at + 1, "minute") ||
               !put_span(r, text, trino__is_word(r, at + 1, "year"),
                         trino__is_word(r, at + 1, "day"))) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "the interval \"%.*s\"", SLICE_ARGS(text));
    }
    buf_append_char(&r->out, ')');
    *i = at + (has_span ? 4 : 2);
    *ret_done = true;
    return ERR_OK;
}

/* ---- what a word says of the text behind it ---- */

/* A number with a point is a decimal of its digits; without zeros in front also to the engine. */
static void put_decimal(struct trino_rewrite *r, struct slice text, size_t digits, size_t scale)
{
    size_t at = text.ptr[0] == '-' || text.ptr[0] == '+' ? 1 : 0;
    size_t first = at;
    while (first < text.len && text.ptr[first] == '0') {
        first++;
    }
    if (scale > 0) {
        buf_printf(&r->out, "(%.*s%.*s)", (int)at, text.ptr, (int)(text.len - first),
                   text.ptr + first);
    } else {
        buf_printf(&r->out, "CAST('%.*s' AS DECIMAL(%zu, %zu))", SLICE_ARGS(text), digits, scale);
    }
}

static bool read_day(struct slice text, int *ret_year, int *ret_month, int *ret_day)
{
    uint64_t parts[3];
    size_t at = 0;
    for (int p = 0; p < 3; p++) {
        size_t from = at;
        while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
            at++;
        }
        if (!slice_to_u64((struct slice){text.ptr + from, at - from}, &parts[p]) ||
            parts[p] > 9999 || (p < 2 ? at == text.len || text.ptr[at] != '-' : at != text.len)) {
            return false;
        }
        at++;
    }
    *ret_year = (int)parts[0];
    *ret_month = (int)parts[1];
    *ret_day = (int)parts[2];
    return parts[0] > 0 && parts[1] >= 1 && parts[1] <= 12 && parts[2] >= 1;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* The day `count` units later; false where the year leaves 1 to 9999. */
static bool shift_day(int *year, int *month, int *day, int64_t count, bool is_days)
{
    if (!is_days) {
        int64_t months = (int64_t)*year * 12 + *month - 1 + count;
        *year = (int)(months / 12);
        *month = (int)(months % 12) + 1;
        if (months < 12 || *year > 9999) {
            return false;
        }
        *day = *day < days_of_month(*year, *month) ? *day : days_of_month(*year, *month);
        return true;
    }
    for (; count != 0; count -= count > 0 ? 1 : -1) {
        *day += count > 0 ? 1 : -1;
        bool is_over = *day > days_of_month(*year, *month);
        if (is_over || *day == 0) {
            *month += is_over ? 1 : -1;
            *year += *month > 12 ? 1 : *month < 1 ? -1 : 0;
            *month = *month > 12 ? 1 : *month < 1 ? 12 : *month;
            if (*year < 1 || *year > 9999) {
                return false;
            }
            *day = is_over ? 1 : days_of_month(*year, *month);
        }
    }
    return true;
}

/* (+|-) INTERVAL 'n' DAY|WEEK|MONTH|YEAR at `at`: how many days or months. */
static bool read_shift(const struct trino_rewrite *r, size_t at, int64_t *ret_count,
                       bool *ret_is_days)
{
    bool is_minus = trino__is_op(r, at, "-");
    const struct token *string = trino__at(r, at + 2);
    if ((!is_minus && !trino__is_op(r, at, "+")) || !trino__is_word(r, at + 1, "interval") ||
        string->kind != TOKEN_STRING || string->text.len < 3 || trino__is_word(r, at + 4, "to") ||
        !slice_to_i64((struct slice){string->text.ptr + 1, string->text.len - 2}, ret_count) ||
        *ret_count > 100000 || *ret_count < -100000) {
        return false;
    }
    bool is_week = trino__is_word(r, at + 3, "week");
    bool is_year = trino__is_word(r, at + 3, "year");
    *ret_is_days = is_week || trino__is_word(r, at + 3, "day");
    *ret_count *= (is_minus ? -1 : 1) * (is_week ? 7 : is_year ? 12 : 1);
    return *ret_is_days || is_year || trino__is_word(r, at + 3, "month");
}

/* DATE 'x' + INTERVAL 'n' MONTH is a date, and one that is known now: what prunes files sees it. */
static bool put_shifted_date(struct trino_rewrite *r, size_t *i)
{
    static const char *const operators[] = {"+", "-", "*", "/", "%"};
    const struct token *string = trino__at(r, *i + 1);
    int year, month, day;
    int64_t count;
    bool is_days;
    size_t at = *i + 2;
    if (!trino__is_word(r, *i, "date") || string->kind != TOKEN_STRING || string->text.len < 3 ||
        !read_day((struct slice){string->text.ptr + 1, string->text.len - 2}, &year, &month,
                  &day) ||
        day > days_of_month(year, month) || !read_shift(r, at, &count, &is_days)) {
        return false;
    }
    for (size_t o = 0; *i > 0 && o < ARRAY_COUNT(operators); o++) {
        if (trino__is_op(r, *i - 1, operators[o])) {
            return false;
        }
    }
    while (read_shift(r, at, &count, &is_days)) {
        if (!shift_day(&year, &month, &day, count, is_days)) {
            return false;
        }
        at += 4;
    }
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    buf_printf(&r->out, "DATE '%04d-%02d-%02d'", year, month, day);
    *i = at;
    return true;
}

static enum err put_typed(struct trino_rewrite *r, size_t *i, bool *ret_done, struct errinfo *info)
{
    const struct token *word = trino__at(r, *i);
    const struct token *string = trino__at(r, *i + 1);
    struct slice text;
    size_t digits, scale;
    if (string->kind != TOKEN_STRING || string->text.ptr[0] != '\'') {
        return ERR_OK;
    }
    TRY(token_string(string, r->arena, &text, info));
    bool is_decimal = token_is(word, "decimal") && read_decimal(text, &digits, &scale);
    bool is_zoned = token_is(word, "timestamp") && has_zone(text);
    if (!is_decimal && !is_zoned && !token_is(word, "json")) {
        return ERR_OK;
    }
    trino__space(r);
    trino__mark(r, word->offset);
    if (is_decimal) {
        put_decimal(r, text, digits, scale);
    } else if (is_zoned) {
        buf_append_str(&r->out, "TIMESTAMPTZ ");
        put_zoned(r, text);
    } else { /* without white space, as Trino keeps it */
        buf_append_str(&r->out, "json(");
        sql_quote_string(&r->out, text);
        buf_append_char(&r->out, ')');
    }
    *i += 2;
    *ret_done = true;
    return ERR_OK;
}

enum err trino__put_literal(struct trino_rewrite *r, size_t *i, bool *ret_done,
                            struct errinfo *info)
{
    const struct token *token = trino__at(r, *i);
    *ret_done = put_number(r, i) || put_shifted_date(r, i);
    if (*ret_done) {
        return ERR_OK;
    }
    if (token->kind == TOKEN_STRING && slice_starts_with_fold(token->text, SLICE("x'"))) {
        TRY(put_bytes(r, *i, info));
        (*i)++;
        *ret_done = true;
        return ERR_OK;
    }
    if (token->kind != TOKEN_WORD) {
        return ERR_OK;
    }
    if (token_is(token, "interval")) {
        return put_interval(r, i, ret_done, info);
    }
    return put_typed(r, i, ret_done, info);
}
