/* What OPTIONS (...) may say: a closed list. An option that names another file, stores rejected
 * rows, adds columns of the engine's own (file names) or reads more than the columns
 * that policy knows is not in it. */
#include "catalog/catalog_int.h"
#include "sql/scan.h"

#define PARQUET (1u << FORMAT_PARQUET)
#define CSV (1u << FORMAT_CSV)
#define JSON (1u << FORMAT_JSON)

static const struct option_rule rules[] = {
    {PARQUET | CSV | JSON, "hive_partitioning", "hive_partitioning", OPTION_BOOL, 0, 0, NULL},
    {PARQUET, "binary_as_string", "binary_as_string", OPTION_BOOL, 0, 0, NULL},
    {PARQUET | CSV | JSON, "union_by_name", "union_by_name", OPTION_BOOL, 0, 0, NULL},
    {CSV, "delim", "delim", OPTION_TEXT, 1, 4, NULL},
    {CSV, "delimiter", "delim", OPTION_TEXT, 1, 4, NULL},
    {CSV, "sep", "delim", OPTION_TEXT, 1, 4, NULL},
    {CSV, "header", "header", OPTION_BOOL, 0, 0, NULL},
    {CSV, "quote", "quote", OPTION_TEXT, 0, 1, NULL},
    {CSV, "escape", "escape", OPTION_TEXT, 0, 1, NULL},
    {CSV, "comment", "comment", OPTION_TEXT, 0, 1, NULL},
    {CSV, "nullstr", "nullstr", OPTION_TEXT, 0, 256, NULL},
    {CSV, "decimal_separator", "decimal_separator", OPTION_CHOICE, 0, 0, ".|,"},
    {CSV, "skip", "skip", OPTION_INTEGER, 0, 1000000, NULL},
    {CSV, "null_padding", "null_padding", OPTION_BOOL, 0, 0, NULL},
    {CSV, "strict_mode", "strict_mode", OPTION_BOOL, 0, 0, NULL},
    {CSV, "encoding", "encoding", OPTION_CHOICE, 0, 0, "utf-8|latin-1|utf-16"},
    {CSV | JSON, "ignore_errors", "ignore_errors", OPTION_BOOL, 0, 0, NULL},
    {CSV | JSON, "dateformat", "dateformat", OPTION_TEXT, 1, 64, NULL},
    {CSV | JSON, "timestampformat", "timestampformat", OPTION_TEXT, 1, 64, NULL},
    {CSV, "compression", "compression", OPTION_CHOICE, 0, 0, "auto|none|gzip|zstd"},
    {JSON, "compression", "compression", OPTION_CHOICE, 0, 0, "auto|gzip|zstd"},
    {JSON, "format", "format", OPTION_CHOICE, 0, 0, "auto|array|newline_delimited|unstructured"},
    {JSON, "maximum_object_size", "maximum_object_size", OPTION_INTEGER, 1, 64u << 20, NULL},
};

static const char *const format_names[] = {
    [FORMAT_PARQUET] = "PARQUET", [FORMAT_CSV] = "CSV", [FORMAT_JSON] = "JSON"};

const struct option_rule *catalog__option_find(enum relation_format format, struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if ((rules[i].formats & 1u << format) != 0 &&
            slice_equal_fold(slice_of(rules[i].name), name)) {
            return &rules[i];
        }
    }
    return NULL;
}

#define VALUE_BYTES_MAX 256

/* Decodes 'text' (with doubled quotes), or a bare word or number as it stands. */
static bool decode(struct slice literal, char out[VALUE_BYTES_MAX], struct slice *ret_value,
                   bool *ret_is_text)
{
    size_t len = 0;
    bool is_text = literal.len >= 2 && literal.ptr[0] == '\'';
    size_t end = is_text ? literal.len - 1 : literal.len;
    if (is_text && literal.ptr[end] != '\'') {
        return false;
    }
    for (size_t i = is_text ? 1 : 0; i < end; i++) {
        char c = literal.ptr[i];
        if (c == '\'' && (!is_text || ++i >= end || literal.ptr[i] != '\'')) {
            return false;
        }
        if (c == '\0' || len == VALUE_BYTES_MAX) {
            return false;
        }
        out[len++] = c;
    }
    *ret_value = (struct slice){out, len};
    *ret_is_text = is_text;
    return true;
}

static enum err refuse_value(const struct option_rule *rule, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "option \"%s\" cannot have this value",
                      rule->name);
    switch (rule->kind) {
    case OPTION_BOOL:
        errinfo_hint(info, "Write true or false.");
        break;
    case OPTION_INTEGER:
        errinfo_hint(info, "Write a whole number from %llu to %llu.",
                     (unsigned long long)rule->minimum, (unsigned long long)rule->maximum);
        break;
    case OPTION_TEXT:
        errinfo_hint(info, "Write a text of %llu to %llu bytes in single quotes.",
                     (unsigned long long)rule->minimum, (unsigned long long)rule->maximum);
        break;
    case OPTION_CHOICE:
        errinfo_hint(info, "Write one of: %s.", rule->choices);
        break;
    }
    return ERR_INVALID;
}

/* The choice as the list spells it, or empty. */
static struct slice find_choice(const char *choices, struct slice value)
{
    while (*choices != '\0') {
        size_t len = strcspn(choices, "|");
        struct slice choice = {choices, len};
        if (slice_equal_fold(choice, value)) {
            return choice;
        }
        choices += len + (choices[len] == '|' ? 1 : 0);
    }
    return (struct slice){0};
}

enum err catalog__option_print(const struct option_rule *rule, struct slice value, struct buf *out,
                               struct errinfo *info)
{
    char storage[VALUE_BYTES_MAX];
    struct slice text;
    bool is_text;
    if (!decode(value, storage, &text, &is_text)) {
        return refuse_value(rule, info);
    }
    struct buf printed CLEANUP(buf_fini) = {0};
    uint64_t number;
    bool is_right = false;
    switch (rule->kind) {
    case OPTION_BOOL: {
        bool is_true = slice_equal_fold(text, SLICE("true"));
        is_right = is_true || slice_equal_fold(text, SLICE("false"));
        buf_append_str(&printed, is_true ? "true" : "false");
        break;
    }
    case OPTION_INTEGER:
        is_right = !is_text && slice_to_u64(text, &number) && number >= rule->minimum &&
                   number <= rule->maximum;
        buf_append_slice(&printed, text);
        break;
    case OPTION_TEXT:
        is_right = is_text && text.len >= rule->minimum && text.len <= rule->maximum &&
                   slice_is_utf8(text, NULL);
        sql_quote_string(&printed, text);
        break;
    case OPTION_CHOICE: {
        struct slice choice = find_choice(rule->choices, text);
        is_right = choice.len > 0;
        sql_quote_string(&printed, choice);
        break;
    }
    }
    if (!is_right) {
        return refuse_value(rule, info);
    }
    /* "auto" is the default and not a word that every reader of the engine takes. */
    if (!slice_equal(buf_slice(&printed), SLICE("'auto'"))) {
        buf_printf(out, ", %s = ", rule->canonical);
        buf_append_slice(out, buf_slice(&printed));
    }
    return buf_failed(&printed) || buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err refuse_name(enum relation_format format, struct slice name, struct errinfo *info)
{
    if (slice_equal_fold(name, SLICE("hive_types")) ||
        slice_equal_fold(name, SLICE("hive_types_autocast"))) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "option \"%.*s\" is not supported",
                          SLICE_ARGS(name));
        errinfo_hint(info, "Columns from folder names are DATE, TIMESTAMP or BIGINT where all "
                           "values are, else VARCHAR; a view may cast them.");
        return ERR_UNSUPPORTED;
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "%s has no option \"%.*s\"", format_names[format],
                      SLICE_ARGS(name));
    unsigned best = 4;
    const char *nearest = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        unsigned distance = (rules[i].formats & 1u << format) == 0
                                ? best
                                : slice_edit_distance(slice_of(rules[i].name), name, best);
        if (distance < best) {
            best = distance;
            nearest = rules[i].name;
        }
    }
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%s\"?", nearest);
        return ERR_INVALID;
    }
    struct buf names CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        if ((rules[i].formats & 1u << format) != 0) {
            buf_printf(&names, "%s%s", names.len == 0 ? "" : ", ", rules[i].name);
        }
    }
    errinfo_hint(info, "It has: %s.", buf_cstr(&names));
    return ERR_INVALID;
}

enum err catalog_check_options(enum relation_format format, const struct relation_option *options,
                               size_t count, struct errinfo *info)
{
    struct buf ignored CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < count; i++) {
        const struct option_rule *rule = catalog__option_find(format, options[i].name);
        if (rule == NULL) {
            return refuse_name(format, options[i].name, info);
        }
        for (size_t j = 0; j < i; j++) {
            const struct option_rule *other = catalog__option_find(format, options[j].name);
            if (strcmp(other->canonical, rule->canonical) == 0) {
                return errinfo_set(info, ERR_INVALID, "22023", "option \"%s\" is given twice",
                                   rule->canonical);
            }
        }
        TRY(catalog__option_print(rule, options[i].value, &ignored, info));
    }
    return ERR_OK;
}
