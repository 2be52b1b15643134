/* Backslash commands: finding one, and help. */
#include <stdarg.h>

#include "cli/cli_int.h"
#include "cli/shell_int.h"
#include "cli/text.h"

static const struct shell_entry *entry_at(size_t index)
{
    if (index < shell_describe_count) {
        return &shell_describe[index];
    }
    index -= shell_describe_count;
    return index < shell_setting_count ? &shell_setting[index] : NULL;
}

const char *shell_command_name(size_t index)
{
    const struct shell_entry *entry = entry_at(index);
    return entry == NULL ? NULL : entry->name;
}

void shell_say(struct cli *cli, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text_escape(&cli->err.buf, slice_of(text), KEEP_LAYOUT);
    buf_append_char(&cli->err.buf, '\n');
    report_flush(&cli->err);
}

void shell_help(struct cli *cli)
{
    const struct shell_entry *entry;
    struct buf *out = &cli->err.buf;
    buf_append_str(out, "Type SQL and end it with a semicolon; Tab completes, Ctrl-C cancels.\n");
    for (size_t i = 0; (entry = entry_at(i)) != NULL; i++) {
        buf_printf(out, "  %-8s %-9s %s\n", entry->name, entry->arguments, entry->help);
    }
    report_flush(&cli->err);
}

static void unknown(struct cli *cli, struct slice name)
{
    const char *nearest = NULL;
    unsigned best = 3;
    const struct shell_entry *entry;
    for (size_t i = 0; (entry = entry_at(i)) != NULL; i++) {
        unsigned distance = slice_edit_distance(name, slice_of(entry->name), 2);
        if (distance < best) {
            best = distance;
            nearest = entry->name;
        }
    }
    if (nearest != NULL) {
        shell_say(cli, "There is no command %.*s; did you mean %s?", SLICE_ARGS(name), nearest);
    } else {
        shell_say(cli, "There is no command %.*s; \\? lists them.", SLICE_ARGS(name));
    }
}

bool shell_command(struct cli *cli, struct slice line)
{
    line = slice_trim(line);
    /* People end these with a semicolon out of habit. */
    if (line.len > 0 && line.ptr[line.len - 1] == ';') {
        line.len--;
    }
    size_t end = 0;
    while (end < line.len && line.ptr[end] != ' ' && line.ptr[end] != '\t') {
        end++;
    }
    struct slice name = {line.ptr, end};
    struct slice rest = slice_trim((struct slice){line.ptr + end, line.len - end});
    const struct shell_entry *entry;
    for (size_t i = 0; (entry = entry_at(i)) != NULL; i++) {
        if (slice_equal(name, slice_of(entry->name))) {
            return entry->run(cli, rest);
        }
    }
    unknown(cli, name);
    return false;
}
