#include "cli/complete.h"

#include "cli/cli_int.h"
#include "cli/text.h"

enum {
    LISTED_MAX = 200
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

size_t complete_word(struct slice line, size_t cursor)
{
    size_t start = cursor;
    while (start > 0 && is_word(line.ptr[start - 1])) {
        start--;
    }
    return start == 1 && line.ptr[0] == '\\' ? 0 : start;
}

static size_t common_len(struct slice a, struct slice b)
{
    size_t len = 0;
    while (len < a.len && len < b.len && (a.ptr[len] | 0x20) == (b.ptr[len] | 0x20)) {
        len++;
    }
    return len;
}

static void list(const struct completion *items, size_t count, size_t width, struct buf *out)
{
    size_t widest = 1;
    for (size_t i = 0; i < count; i++) {
        widest = items[i].text.len > widest ? items[i].text.len : widest;
    }
    size_t per_line = width / (widest + 2);
    per_line = per_line == 0 ? 1 : per_line;
    for (size_t i = 0; i < count && i < LISTED_MAX; i++) {
        size_t start = out->len;
        text_escape(out, items[i].text, KEEP_NOTHING);
        bool is_last = (i + 1) % per_line == 0 || i + 1 == count;
        for (size_t pad = out->len - start; pad < widest + 2 && !is_last; pad++) {
            buf_append_char(out, ' ');
        }
        buf_append_str(out, is_last ? "\n" : "");
    }
    if (count > LISTED_MAX) {
        buf_printf(out, "... and %zu more\n", count - LISTED_MAX);
    }
}

static size_t collect_commands(struct slice word, struct completion *items, size_t room)
{
    size_t count = 0;
    const char *name;
    for (size_t i = 0; (name = shell_command_name(i)) != NULL && count < room; i++) {
        if (slice_starts_with(slice_of(name), word)) {
            items[count++] = (struct completion){COMPLETE_KEYWORD, slice_of(name)};
        }
    }
    return count;
}

static bool needs_quotes(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_word(name.ptr[i])) {
            return true;
        }
    }
    return name.len == 0 || (name.ptr[0] >= '0' && name.ptr[0] <= '9');
}

void complete(struct cli *cli, struct slice line, size_t cursor, size_t width,
              struct buf *ret_insert, struct buf *ret_list)
{
    size_t start = complete_word(line, cursor);
    struct slice word = {line.ptr + start, cursor - start};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "completion", 64 << 20);
    struct completion commands[40];
    struct completion *items = commands;
    size_t count = 0;
    if (word.len > 0 && word.ptr[0] == '\\') {
        count = collect_commands(word, commands, ARRAY_COUNT(commands));
    } else if (arena == NULL || cli->session == NULL ||
               (word.len == 0 && (start == 0 || line.ptr[start - 1] != '.')) ||
               session_complete(cli->session, word, arena, &items, &count, NULL) != ERR_OK) {
        return; /* completion is a courtesy: no error */
    }
    if (count == 0) {
        return;
    }
    size_t common = items[0].text.len;
    for (size_t i = 1; i < count; i++) {
        size_t len = common_len(items[0].text, items[i].text);
        common = len < common ? len : common;
    }
    /* A name with odd characters cannot be finished without quotes in front: list it instead. */
    if (common > word.len &&
        !needs_quotes((struct slice){items[0].text.ptr + (word.len > 0 && word.ptr[0] == '\\'),
                                     common - (word.len > 0 && word.ptr[0] == '\\')})) {
        bool is_upper = word.len > 0 && items[0].kind == COMPLETE_KEYWORD && word.ptr[0] >= 'A' &&
                        word.ptr[0] <= 'Z';
        for (size_t i = word.len; i < common; i++) {
            char c = items[0].text.ptr[i];
            bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            bool is_sql = items[0].kind == COMPLETE_KEYWORD && word.ptr[0] != '\\';
            buf_append_char(ret_insert, !is_letter || !is_sql ? c
                                        : is_upper            ? (char)(c & ~0x20)
                                                              : (char)(c | 0x20));
        }
        if (count == 1 && items[0].kind != COMPLETE_SCHEMA && items[0].kind != COMPLETE_FUNCTION) {
            buf_append_char(ret_insert, ' ');
        }
    } else if (count > 1 || common > word.len) {
        list(items, count, width == 0 ? 80 : width, ret_list);
    }
}
