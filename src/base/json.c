/* Recursive descent with an explicit depth limit; one pass, no look-back. */
#include "base/json.h"

#include "base/digits.h"

#define JSON_DEPTH_DEFAULT 512u

struct json_parser {
    struct arena *arena;
    const char *start;
    const char *at;
    const char *end;
    uint32_t depth_max;
    uint32_t nodes_max;
    uint32_t depth;
    uint32_t nodes;
    struct errinfo *info;
};

static enum err parse_value(struct json_parser *p, struct json **ret_node);

static enum err syntax_error(struct json_parser *p, const char *what)
{
    return errinfo_set(p->info, ERR_INVALID, "22032", "invalid JSON at byte %zu: %s",
                       (size_t)(p->at - p->start), what);
}

static void skip_space(struct json_parser *p)
{
    while (p->at < p->end &&
           (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')) {
        p->at++;
    }
}

static bool read_hex4(struct json_parser *p, uint32_t *ret_value)
{
    if (p->end - p->at < 4) {
        return false;
    }
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = digits_hex(p->at[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint32_t)digit;
    }
    p->at += 4;
    *ret_value = value;
    return true;
}

static char *write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* After "\u": one code point, joining surrogate pairs; lone surrogates are refused. */
static enum err read_escape_code(struct json_parser *p, uint32_t *ret_code)
{
    uint32_t code;
    if (!read_hex4(p, &code)) {
        return syntax_error(p, "bad \\u escape");
    }
    if (code >= 0xD800 && code <= 0xDBFF) {
        uint32_t low;
        if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u') {
            return syntax_error(p, "lone surrogate");
        }
        p->at += 2;
        if (!read_hex4(p, &low) || low < 0xDC00 || low > 0xDFFF) {
            return syntax_error(p, "lone surrogate");
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return syntax_error(p, "lone surrogate");
    }
    *ret_code = code;
    return ERR_OK;
}

static enum err read_escape(struct json_parser *p, char **out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end) {
        return syntax_error(p, "text ends inside an escape");
    }
    char c = *p->at++;
    if (c == 'u') {
        uint32_t code = 0;
        TRY(read_escape_code(p, &code));
        *out = write_utf8(*out, code);
        return ERR_OK;
    }
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found == NULL) {
        return syntax_error(p, "unknown escape");
    }
    *(*out)++ = to[found - from];
    return ERR_OK;
}

/* At the opening quote. A string without escapes stays a view of the input. */
static enum err parse_string(struct json_parser *p, struct slice *ret_text)
{
    const char *begin = ++p->at;
    while (p->at < p->end && *p->at != '"' && *p->at != '\\' && (unsigned char)*p->at >= 0x20) {
        p->at++;
    }
    if (p->at < p->end && *p->at == '"') {
        *ret_text = (struct slice){begin, (size_t)(p->at - begin)};
        p->at++;
        return ERR_OK;
    }
    const char *close = p->at; /* upper bound of the decoded length */
    while (close < p->end && *close != '"') {
        close += *close == '\\' && close + 1 < p->end ? 2 : 1;
    }
    char *text = arena_alloc(p->arena, (size_t)(close - begin) + 1);
    if (text == NULL) {
        return errinfo_nomem(p->info);
    }
    size_t plain = (size_t)(p->at - begin);
    memcpy(text, begin, plain);
    char *out = text + plain;
    while (p->at < p->end && *p->at != '"') {
        if ((unsigned char)*p->at < 0x20) {
            return syntax_error(p, "control character in a string");
        }
        if (*p->at == '\\') {
            p->at++;
            TRY(read_escape(p, &out));
        } else {
            *out++ = *p->at++;
        }
    }
    if (p->at == p->end) {
        return syntax_error(p, "text ends inside a string");
    }
    p->at++;
    *ret_text = (struct slice){text, (size_t)(out - text)};
    return ERR_OK;
}

static size_t skip_digits(struct json_parser *p)
{
    const char *begin = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        p->at++;
    }
    return (size_t)(p->at - begin);
}

static enum err parse_number(struct json_parser *p, struct json *node)
{
    const char *begin = p->at;
    if (*p->at == '-') {
        p->at++;
    }
    bool has_leading_zero = p->at < p->end && *p->at == '0';
    size_t digits = skip_digits(p);
    if (digits == 0 || (has_leading_zero && digits > 1)) {
        return syntax_error(p, "bad number");
    }
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (skip_digits(p) == 0) {
            return syntax_error(p, "bad number");
        }
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) {
            p->at++;
        }
        if (skip_digits(p) == 0) {
            return syntax_error(p, "bad number");
        }
    }
    node->type = JSON_NUMBER;
    node->text = (struct slice){begin, (size_t)(p->at - begin)};
    return ERR_OK;
}

static enum err parse_member(struct json_parser *p, struct json *object)
{
    skip_space(p);
    struct slice key = {"", 0};
    if (object->type == JSON_OBJECT) {
        if (p->at == p->end || *p->at != '"') {
            return syntax_error(p, "expected a member name");
        }
        TRY(parse_string(p, &key));
        skip_space(p);
        if (p->at == p->end || *p->at != ':') {
            return syntax_error(p, "expected ':'");
        }
        p->at++;
    }
    struct json *child;
    TRY(parse_value(p, &child));
    child->key = key;
    json_append(object, child);
    return ERR_OK;
}

/* At the opening bracket of an array or object. */
static enum err parse_container(struct json_parser *p, struct json *node)
{
    char close = *p->at == '{' ? '}' : ']';
    node->type = *p->at == '{' ? JSON_OBJECT : JSON_ARRAY;
    p->at++;
    if (++p->depth > p->depth_max) {
        return errinfo_set(p->info, ERR_LIMIT, NULL, "JSON is nested deeper than %u levels",
                           p->depth_max);
    }
    skip_space(p);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        p->depth--;
        return ERR_OK;
    }
    for (;;) {
        TRY(parse_member(p, node));
        skip_space(p);
        if (p->at == p->end) {
            return syntax_error(p, "text ends inside an array or object");
        }
        char c = *p->at++;
        if (c == close) {
            p->depth--;
            return ERR_OK;
        }
        if (c != ',') {
            p->at--;
            return syntax_error(p, "expected ',' or the end of the array or object");
        }
    }
}

static bool take_word(struct json_parser *p, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0) {
        return false;
    }
    p->at += len;
    return true;
}

static enum err parse_value(struct json_parser *p, struct json **ret_node)
{
    skip_space(p);
    if (p->at == p->end) {
        return syntax_error(p, "expected a value");
    }
    if (p->nodes_max != 0 && ++p->nodes > p->nodes_max) {
        return errinfo_set(p->info, ERR_LIMIT, NULL, "JSON has more than %u values", p->nodes_max);
    }
    struct json *node = json_new(p->arena, JSON_NULL);
    if (node == NULL) {
        return errinfo_nomem(p->info);
    }
    *ret_node = node;
    switch (*p->at) {
    case '{':
    case '[':
        return parse_container(p, node);
    case '"':
        node->type = JSON_STRING;
        return parse_string(p, &node->text);
    case 't':
    case 'f':
        node->type = JSON_BOOL;
        node->boolean = *p->at == 't';
        return take_word(p, node->boolean ? "true" : "false") ? ERR_OK
                                                              : syntax_error(p, "unknown word");
    case 'n':
        return take_word(p, "null") ? ERR_OK : syntax_error(p, "unknown word");
    default:
        return (*p->at >= '0' && *p->at <= '9') || *p->at == '-'
                   ? parse_number(p, node)
                   : syntax_error(p, "expected a value");
    }
}

enum err json_parse(struct arena *arena, struct slice text, const struct json_limits *limits,
                    struct json **ret_root, struct errinfo *info)
{
    struct json_parser parser = {
        .arena = arena,
        .start = text.len == 0 ? "" : text.ptr,
        .depth_max =
            limits != NULL && limits->depth_max != 0 ? limits->depth_max : JSON_DEPTH_DEFAULT,
        .nodes_max = limits != NULL ? limits->nodes_max : 0,
        .info = info,
    };
    parser.at = parser.start;
    parser.end = parser.start + text.len;
    struct json *root;
    TRY(parse_value(&parser, &root));
    skip_space(&parser);
    if (parser.at != parser.end) {
        return syntax_error(&parser, "text after the document");
    }
    *ret_root = root;
    return ERR_OK;
}

struct json *json_get(const struct json *object, const char *key)
{
    if (object == NULL || object->type != JSON_OBJECT) {
        return NULL;
    }
    struct slice name = slice_of(key);
    for (struct json *child = object->first; child != NULL; child = child->next) {
        if (slice_equal(child->key, name)) {
            return child;
        }
    }
    return NULL;
}

struct json *json_at(const struct json *array, uint32_t index)
{
    if (array == NULL || array->type != JSON_ARRAY || index >= array->count) {
        return NULL;
    }
    struct json *child = array->first;
    while (index-- > 0) {
        child = child->next;
    }
    return child;
}

struct slice json_get_text(const struct json *object, const char *key)
{
    const struct json *member = json_get(object, key);
    return member != NULL && member->type == JSON_STRING ? member->text : (struct slice){"", 0};
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise)
{
    const struct json *member = json_get(object, key);
    return member != NULL && member->type == JSON_BOOL ? member->boolean : otherwise;
}

bool json_to_i64(const struct json *node, int64_t *ret_value)
{
    return node != NULL && node->type == JSON_NUMBER && slice_to_i64(node->text, ret_value);
}

bool json_to_u64(const struct json *node, uint64_t *ret_value)
{
    return node != NULL && node->type == JSON_NUMBER && slice_to_u64(node->text, ret_value);
}

bool json_is_null(const struct json *node)
{
    return node == NULL || node->type == JSON_NULL;
}

struct json *json_new(struct arena *arena, enum json_type type)
{
    struct json *node = arena_calloc(arena, 1, sizeof(*node));
    if (node != NULL) {
        node->type = type;
    }
    return node;
}

struct json *json_new_text(struct arena *arena, struct slice text)
{
    struct json *node = json_new(arena, JSON_STRING);
    if (node != NULL) {
        node->text = text;
    }
    return node;
}

struct json *json_new_bool(struct arena *arena, bool value)
{
    struct json *node = json_new(arena, JSON_BOOL);
    if (node != NULL) {
        node->boolean = value;
    }
    return node;
}

struct json *json_new_i64(struct arena *arena, int64_t value)
{
    struct json *node = json_new(arena, JSON_NUMBER);
    char *text = node == NULL ? NULL : arena_printf(arena, "%lld", (long long)value);
    if (text == NULL) {
        return NULL;
    }
    node->text = slice_of(text);
    return node;
}

void json_append(struct json *parent, struct json *child)
{
    ASSERT(parent->type == JSON_ARRAY || parent->type == JSON_OBJECT);
    child->next = NULL;
    if (parent->last == NULL) {
        parent->first = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->count++;
}

void json_set(struct json *object, const char *key, struct json *child)
{
    struct json *old = json_get(object, key);
    if (old != NULL) {
        json_replace(old, child);
        return;
    }
    child->key = slice_of(key);
    json_append(object, child);
}

void json_replace(struct json *node, const struct json *replacement)
{
    struct json *next = node->next;
    struct slice key = node->key;
    *node = *replacement;
    node->next = next;
    node->key = key;
}

struct json *json_copy(struct arena *arena, const struct json *node)
{
    struct json *copy = json_new(arena, node->type);
    if (copy == NULL) {
        return NULL;
    }
    copy->boolean = node->boolean;
    copy->key = node->key;
    copy->text = node->text;
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        struct json *child_copy = json_copy(arena, child);
        if (child_copy == NULL) {
            return NULL;
        }
        json_append(copy, child_copy);
    }
    return copy;
}

static void write_escaped(struct buf *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found != NULL) {
        buf_append_char(out, '\\');
        buf_append_char(out, to[found - from]);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

static void write_plain_or_escaped(struct buf *out, struct slice text)
{
    size_t begin = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buf_append(out, text.ptr + begin, i - begin);
        write_escaped(out, c);
        begin = i + 1;
    }
    buf_append(out, text.ptr + begin, text.len - begin);
}

void json_write_string(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    size_t bad;
    while (!slice_is_utf8(text, &bad)) {
        write_plain_or_escaped(out, (struct slice){text.ptr, bad});
        buf_append_str(out, "\xEF\xBF\xBD");
        text = (struct slice){text.ptr + bad + 1, text.len - bad - 1};
    }
    if (text.len > 0) {
        write_plain_or_escaped(out, text);
    }
    buf_append_char(out, '"');
}

static void write_text(struct buf *out, struct slice text)
{
    buf_append_char(out, '"');
    if (text.len > 0) {
        write_plain_or_escaped(out, text);
    }
    buf_append_char(out, '"');
}

static void write_container(struct buf *out, const struct json *node)
{
    bool is_object = node->type == JSON_OBJECT;
    buf_append_char(out, is_object ? '{' : '[');
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (is_object) {
            write_text(out, child->key);
            buf_append_char(out, ':');
        }
        json_write(out, child);
        if (child->next != NULL) {
            buf_append_char(out, ',');
        }
    }
    buf_append_char(out, is_object ? '}' : ']');
}

void json_write(struct buf *out, const struct json *node)
{
    switch (node->type) {
    case JSON_NULL:
        buf_append_str(out, "null");
        break;
    case JSON_BOOL:
        buf_append_str(out, node->boolean ? "true" : "false");
        break;
    case JSON_NUMBER:
        buf_append_slice(out, node->text);
        break;
    case JSON_STRING:
        write_text(out, node->text);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        write_container(out, node);
        break;
    }
}
