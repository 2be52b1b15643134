/* WITH (...) of CREATE TABLE as Trino's connector for Iceberg has it: partitions and order are
 * lists of texts there and clauses here, and properties have names of their own, by the table
 * below. A name with a dot or a dash is a property of Iceberg itself, and goes through. */
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

struct output {
    struct buf partitions;
    struct buf order;
    struct buf options;
};

static void output_fini(struct output *out)
{
    buf_fini(&out->partitions);
    buf_fini(&out->order);
    buf_fini(&out->options);
}

/* One property: what its value is, and where it goes. */
enum form {
    FORM_FORMAT, /* of files; there is one */
    FORM_PARTITIONS,
    FORM_ORDER,
    FORM_VALUE,   /* as it is */
    FORM_CODEC,   /* a text in lower case */
    FORM_COLUMNS, /* a list: a property each, and true */
    FORM_MAP,     /* of properties */
};

static const struct {
    const char *name;
    enum form form;
    const char *property;
} known[] = {
    {"format", FORM_FORMAT, NULL},
    {"partitioning", FORM_PARTITIONS, NULL},
    {"sorted_by", FORM_ORDER, NULL},
    {"location", FORM_VALUE, "location"},
    {"format_version", FORM_VALUE, "format_version"},
    {"compression_codec", FORM_CODEC, "write.parquet.compression-codec"},
    {"data_location", FORM_VALUE, "write.data.path"},
    {"max_commit_retry", FORM_VALUE, "commit.retry.num-retries"},
    {"max_previous_versions", FORM_VALUE, "write.metadata.previous-versions-max"},
    {"delete_after_commit_enabled", FORM_VALUE, "write.metadata.delete-after-commit.enabled"},
    {"parquet_bloom_filter_columns", FORM_COLUMNS, "write.parquet.bloom-filter-enabled.column."},
    {"extra_properties", FORM_MAP, NULL},
};

static enum err wrong_value(const struct trino_rewrite *r, size_t i, struct slice name,
                            const char *wanted, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "HV00D", "table property \"%.*s\" is %s", SLICE_ARGS(name),
                      wanted);
    errinfo_position(info, trino__at(r, i)->offset + 1);
    return ERR_INVALID;
}

/* ['a', 'b'] behind ARRAY, from `i` on. */
static enum err read_texts(const struct trino_rewrite *r, struct trino_range range,
                           struct slice name, struct slice **ret_texts, size_t *ret_count,
                           struct errinfo *info)
{
    size_t i = range.from + 1;
    size_t count = 0;
    bool is_list = trino__is_word(r, range.from, "array") && trino__is_op(r, i, "[") &&
                   trino__behind(r, i, range.to) == range.to;
    struct slice *texts = arena_calloc(r->arena, range.to - range.from + 1, sizeof(*texts));
    if (texts == NULL) {
        return errinfo_nomem(info);
    }
    for (i++; is_list && i + 1 < range.to; i++) {
        bool is_text = trino__at(r, i)->kind == TOKEN_STRING &&
                       (trino__is_op(r, i + 1, ",") || i + 2 == range.to);
        if (!is_text) {
            is_list = false;
            break;
        }
        TRY(token_string(trino__at(r, i), r->arena, &texts[count++], info));
        i += trino__is_op(r, i + 1, ",");
    }
    if (!is_list) {
        return wrong_value(r, range.from, name, "ARRAY['...', ...]", info);
    }
    *ret_texts = texts;
    *ret_count = count;
    return ERR_OK;
}

/* month(a), bucket(a, 4), a DESC NULLS LAST: words, numbers and calls, and nothing that would end
 * the clause which it becomes a part of. */
static bool is_item(const struct trino_tokens *tokens)
{
    unsigned depth = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct token *token = &tokens->all[i];
        bool opens = token_is_operator(token, "(");
        bool closes = token_is_operator(token, ")");
        bool is_plain = token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED ||
                        token->kind == TOKEN_NUMBER || token_is_operator(token, ".") || opens;
        is_plain = is_plain || (depth > 0 && (closes || token_is_operator(token, ",")));
        if (!is_plain) {
            return false;
        }
        depth += opens;
        depth -= closes;
    }
    return depth == 0 && tokens->count > 0;
}

static enum err put_items(const struct trino_rewrite *r, struct trino_range range,
                          struct slice name, struct buf *out, struct errinfo *info)
{
    struct slice *texts;
    size_t count;
    TRY(read_texts(r, range, name, &texts, &count, info));
    for (size_t i = 0; i < count; i++) {
        struct trino_tokens tokens;
        if (trino_tokens_read(texts[i], r->arena, &tokens, info) != ERR_OK || !is_item(&tokens)) {
            return wrong_value(r, range.from, name, "a list of columns, or of what is made of them",
                               info);
        }
        buf_append_str(out, i == 0 ? "" : ", ");
        buf_append_slice(out, texts[i]);
    }
    return ERR_OK;
}

static void put_option(struct buf *out, const char *name, struct slice more)
{
    struct buf whole CLEANUP(buf_fini) = {0};
    buf_append_str(&whole, name);
    buf_append_slice(&whole, more);
    buf_append_str(out, out->len == 0 ? "" : ", ");
    sql_quote_name(out, buf_slice(&whole));
    buf_append_str(out, " = ");
    out->failed = out->failed || buf_failed(&whole);
}

static void put_value(const struct trino_rewrite *r, struct trino_range range, struct buf *out)
{
    for (size_t i = range.from; i < range.to; i++) {
        buf_append_slice(out, trino__at(r, i)->text);
    }
}

/* MAP(ARRAY['a'], ARRAY['b']) */
static enum err put_map(const struct trino_rewrite *r, struct trino_range range, struct slice name,
                        struct buf *out, struct errinfo *info)
{
    struct slice *lists[2];
    size_t counts[2] = {0, 1};
    size_t open = range.from + 1;
    size_t comma = trino__comma(r, open + 1, range.to);
    bool is_map = trino__is_word(r, range.from, "map") && trino__is_op(r, open, "(") &&
                  trino__behind(r, open, range.to) == range.to && comma + 1 < range.to;
    if (is_map) {
        struct trino_range keys = {open + 1, comma};
        struct trino_range values = {comma + 1, range.to - 1};
        TRY(read_texts(r, keys, name, &lists[0], &counts[0], info));
        TRY(read_texts(r, values, name, &lists[1], &counts[1], info));
    }
    if (counts[0] != counts[1]) {
        return wrong_value(r, range.from, name, "MAP(ARRAY['...'], ARRAY['...'])", info);
    }
    for (size_t i = 0; i < counts[0]; i++) {
        put_option(out, "", lists[0][i]);
        sql_quote_string(out, lists[1][i]);
    }
    return ERR_OK;
}

static enum err put_text(const struct trino_rewrite *r, struct trino_range range, struct slice name,
                         struct slice *ret_text, struct errinfo *info)
{
    const struct token *token = trino__at(r, range.from);
    return range.to == range.from + 1 && token->kind == TOKEN_STRING
               ? token_string(token, r->arena, ret_text, info)
               : wrong_value(r, range.from, name, "a text", info);
}

static enum err put_known(const struct trino_rewrite *r, size_t k, struct trino_range range,
                          struct output *out, struct errinfo *info)
{
    struct slice name = slice_of(known[k].name);
    struct slice text;
    struct slice *texts;
    size_t count;
    switch (known[k].form) {
    case FORM_FORMAT:
        TRY(put_text(r, range, name, &text, info));
        return slice_equal_fold(text, SLICE("parquet"))
                   ? ERR_OK
                   : errinfo_set(info, ERR_UNSUPPORTED, NULL, "files are written as Parquet");
    case FORM_PARTITIONS:
        return put_items(r, range, name, &out->partitions, info);
    case FORM_ORDER:
        return put_items(r, range, name, &out->order, info);
    case FORM_VALUE:
        put_option(&out->options, known[k].property, SLICE(""));
        put_value(r, range, &out->options);
        return ERR_OK;
    case FORM_CODEC:
        TRY(put_text(r, range, name, &text, info));
        put_option(&out->options, known[k].property, SLICE(""));
        buf_append_char(&out->options, '\'');
        for (size_t i = 0; i < text.len; i++) {
            char c = text.ptr[i];
            bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                             (c >= '0' && c <= '9');
            if (!is_letter) {
                return wrong_value(r, range.from, name, "the name of a codec", info);
            }
            buf_append_char(&out->options, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
        }
        buf_append_char(&out->options, '\'');
        return ERR_OK;
    case FORM_COLUMNS:
        TRY(read_texts(r, range, name, &texts, &count, info));
        for (size_t i = 0; i < count; i++) {
            put_option(&out->options, known[k].property, texts[i]);
            buf_append_str(&out->options, "'true'");
        }
        return ERR_OK;
    case FORM_MAP:
        return put_map(r, range, name, &out->options, info);
    }
    return ERR_OK;
}

static enum err put_property(const struct trino_rewrite *r, size_t at, struct trino_range value,
                             struct output *out, struct errinfo *info)
{
    struct slice name;
    if (!token_identifier(trino__at(r, at), r->arena, &name)) {
        return errinfo_nomem(info);
    }
    for (size_t k = 0; k < ARRAY_COUNT(known); k++) {
        if (slice_equal_fold(name, slice_of(known[k].name))) {
            return put_known(r, k, value, out, info);
        }
    }
    if (slice_find(name, SLICE(".")) == SIZE_MAX && slice_find(name, SLICE("-")) == SIZE_MAX) {
        (void)errinfo_set(info, ERR_INVALID, "HV00D", "table property \"%.*s\" does not exist",
                          SLICE_ARGS(name));
        errinfo_hint(info, "extra_properties = MAP(ARRAY['key'], ARRAY['value']) sets any of "
                           "Iceberg's.");
        errinfo_position(info, trino__at(r, at)->offset + 1);
        return ERR_INVALID;
    }
    put_option(&out->options, "", name);
    put_value(r, value, &out->options);
    return ERR_OK;
}

static enum err read_all(const struct trino_rewrite *r, size_t open, size_t end, struct output *out,
                         struct errinfo *info)
{
    for (size_t i = open + 1; i + 1 < end;) {
        size_t comma = trino__comma(r, i, end - 1);
        const struct token *name = trino__at(r, i);
        bool is_name = name->kind == TOKEN_WORD || name->kind == TOKEN_QUOTED;
        if (!is_name || !trino__is_op(r, i + 1, "=") || i + 2 >= comma) {
            (void)errinfo_set(info, ERR_SYNTAX, "42601", "syntax error at or near \"%.*s\"",
                              SLICE_ARGS(name->text));
            errinfo_position(info, name->offset + 1);
            return ERR_SYNTAX;
        }
        struct trino_range value = {i + 2, comma};
        TRY(put_property(r, i, value, out, info));
        i = comma + 1;
    }
    return ERR_OK;
}

static void put_clause(struct trino_rewrite *r, const char *head, const struct buf *list)
{
    if (list->len > 0) {
        trino__space(r);
        buf_printf(&r->out, "%s (", head);
        buf_append_slice(&r->out, buf_slice(list));
        buf_append_char(&r->out, ')');
    }
    r->out.failed = r->out.failed || buf_failed(list);
}

enum err trino__put_properties(struct trino_rewrite *r, size_t *i, struct errinfo *info)
{
    struct output out CLEANUP(output_fini) = {.options = {0}};
    size_t end = trino__behind(r, *i + 1, r->tokens.count);
    TRY(read_all(r, *i + 1, end, &out, info));
    trino__mark(r, trino__at(r, *i)->offset);
    put_clause(r, "PARTITIONED BY", &out.partitions);
    put_clause(r, "SORTED BY", &out.order);
    put_clause(r, "WITH", &out.options);
    *i = end;
    return ERR_OK;
}

size_t trino__find_properties(const struct trino_rewrite *r, size_t from)
{
    for (size_t i = from; i < r->tokens.count && !trino__is_word(r, i, "as");) {
        if (trino__is_word(r, i, "with") && trino__is_op(r, i + 1, "(")) {
            return i;
        }
        i = trino__is_op(r, i, "(") ? trino__behind(r, i, r->tokens.count) : i + 1;
    }
    return SIZE_MAX;
}
