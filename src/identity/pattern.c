#include "identity/pattern_int.h"

#include "base/buf.h"

#define ARROW "=>"

static bool is_separator(char c)
{
    return c == '/' || c == '@' || c == ',' || c == '+' || c == '=' || c == ':';
}

struct match {
    struct slice stars[PATTERN_STARS_MAX];
    size_t count;
};

static size_t count_stars(struct slice pattern)
{
    size_t count = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        count += pattern.ptr[i] == '*';
    }
    return count;
}

/* Shortest first, star by star: at most PATTERN_STARS_MAX deep, over texts of bounded length. */
static bool match_rest(struct slice pattern, struct slice text, struct match *match)
{
    size_t at = 0;
    while (at < pattern.len && pattern.ptr[at] != '*') {
        if (at >= text.len || text.ptr[at] != pattern.ptr[at]) {
            return false;
        }
        at++;
    }
    if (at == pattern.len) {
        return at == text.len;
    }
    struct slice behind = {pattern.ptr + at + 1, pattern.len - at - 1};
    size_t index = match->count++;
    for (size_t end = at; end < text.len && !is_separator(text.ptr[end]); end++) {
        struct slice rest = {text.ptr + end + 1, text.len - end - 1};
        match->count = index + 1;
        match->stars[index] = (struct slice){text.ptr + at, end + 1 - at};
        if (match_rest(behind, rest, match)) {
            return true;
        }
    }
    return false;
}

static bool match_all(struct slice pattern, struct slice text, struct match *match)
{
    *match = (struct match){0};
    return text.len <= 1024 && count_stars(pattern) <= PATTERN_STARS_MAX &&
           match_rest(pattern, text, match);
}

bool pattern_matches(struct slice pattern, struct slice text)
{
    struct match match;
    return match_all(pattern, text, &match);
}

/* "{3}" at the front of `text`: its number, or 0. */
static size_t placeholder(struct slice text)
{
    bool is_one = text.len >= 3 && text.ptr[0] == '{' && text.ptr[2] == '}' && text.ptr[1] >= '1' &&
                  text.ptr[1] <= '9';
    return is_one ? (size_t)(text.ptr[1] - '0') : 0;
}

static bool template_fits(struct slice template, size_t stars)
{
    for (size_t i = 0; i < template.len; i++) {
        char c = template.ptr[i];
        size_t number = placeholder((struct slice){template.ptr + i, template.len - i});
        if (number > stars || (number == 0 && (c == '{' || c == '}'))) {
            return false;
        }
        i += number > 0 ? 2 : 0;
    }
    return template.len > 0;
}

enum err name_rule_parse(struct slice text, struct name_rule *ret_rule, struct errinfo *info)
{
    size_t arrow = slice_find(text, SLICE(ARROW));
    if (arrow != SIZE_MAX) {
        struct slice pattern = slice_trim((struct slice){text.ptr, arrow});
        struct slice template =
            slice_trim((struct slice){text.ptr + arrow + 2, text.len - arrow - 2});
        size_t stars = count_stars(pattern);
        if (pattern.len > 0 && stars <= PATTERN_STARS_MAX && template_fits(template, stars)) {
            *ret_rule = (struct name_rule){pattern, template, stars == 0};
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is not a rule for names",
                      SLICE_ARGS(text));
    errinfo_hint(info,
                 "Write \"pattern => user\": a * in the pattern stands for part of a name, "
                 "{1} is what the first one stood for; at most %u.",
                 PATTERN_STARS_MAX);
    return ERR_INVALID;
}

enum err name_rule_apply(const struct name_rule *rule, struct slice text, struct arena *arena,
                         bool *ret_applies, struct slice *ret_name, struct errinfo *info)
{
    struct match match;
    struct buf name CLEANUP(buf_fini) = {0};
    *ret_applies = match_all(rule->pattern, text, &match);
    if (!*ret_applies) {
        return ERR_OK;
    }
    for (size_t i = 0; i < rule->template.len; i++) {
        size_t number = placeholder((struct slice){rule->template.ptr + i, rule->template.len - i});
        if (number > 0) {
            ASSERT(number <= match.count);
            buf_append_slice(&name, match.stars[number - 1]);
            i += 2;
        } else {
            buf_append_char(&name, rule->template.ptr[i]);
        }
    }
    return !buf_failed(&name) && arena_slice(arena, buf_slice(&name), ret_name)
               ? ERR_OK
               : errinfo_nomem(info);
}

bool list_next(struct slice *list, char separator, struct slice *ret_item)
{
    while (list->len > 0) {
        const char *end = memchr(list->ptr, separator, list->len);
        size_t len = end == NULL ? list->len : (size_t)(end - list->ptr);
        size_t skip = end == NULL ? len : len + 1;
        struct slice item = slice_trim((struct slice){list->ptr, len});
        *list = (struct slice){list->ptr + skip, list->len - skip};
        if (item.len > 0) {
            *ret_item = item;
            return true;
        }
    }
    return false;
}

bool pair_split(struct slice item, struct slice *ret_left, struct slice *ret_right)
{
    for (size_t i = item.len; i > 0; i--) {
        if (item.ptr[i - 1] == '=') {
            *ret_left = slice_trim((struct slice){item.ptr, i - 1});
            *ret_right = slice_trim((struct slice){item.ptr + i, item.len - i});
            return ret_left->len > 0 && ret_right->len > 0;
        }
    }
    return false;
}
