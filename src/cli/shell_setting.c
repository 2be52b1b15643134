/* Commands that change how the shell behaves, or leave it. */
#include <unistd.h>

#include "cli/cli_int.h"
#include "cli/shell_int.h"

static bool timing(struct cli *cli, UNUSED struct slice rest)
{
    cli->is_timed = !cli->is_timed;
    shell_say(cli, "Timing is %s.", cli->is_timed ? "on" : "off");
    return false;
}

static bool expanded(struct cli *cli, UNUSED struct slice rest)
{
    cli->is_expanded = !cli->is_expanded;
    shell_say(cli, "One block a row is %s.", cli->is_expanded ? "on" : "off");
    return false;
}

static bool format(struct cli *cli, struct slice rest)
{
    if (rest.len == 0) {
        shell_say(cli, "The format is %s.", options_format_name(cli->format));
    } else if (!options_find_format(rest, &cli->format)) {
        shell_say(cli,
                  "\"%.*s\" is not a format; allowed: table, csv, json, jsonl, markdown, "
                  "arrow or parquet",
                  SLICE_ARGS(rest));
    }
    cli->result_count = 0;
    return false;
}

static bool output(struct cli *cli, struct slice rest)
{
    struct errinfo info;
    struct sink sink = {0};
    char *path = rest.len == 0 ? NULL : arena_slicedup(cli->arena, rest);
    if (path == NULL) {
        sink_init(&sink, STDOUT_FILENO, (int)cli->options.color);
    } else if (cli->format != OUTPUT_PARQUET && sink_open_file(&sink, path, &info) != ERR_OK) {
        cli_report(cli, &info);
        return false;
    }
    cli->options.output = path; /* COPY writes it, for Parquet */
    if (path == NULL || cli->format != OUTPUT_PARQUET) {
        sink_close(&cli->out);
        cli->out = sink;
    }
    cli->result_count = 0;
    return false;
}

static bool input(struct cli *cli, struct slice rest)
{
    char *path = arena_slicedup(cli->arena, rest);
    if (rest.len == 0 || path == NULL) {
        shell_say(cli, "Name a file: \\i report.sql");
        return false;
    }
    enum err err = cli_run_file(cli, path);
    (void)err; /* reported; the shell goes on */
    return false;
}

static bool as(struct cli *cli, struct slice rest)
{
    struct errinfo info;
    errinfo_init(&info);
    if (cli_login(cli, rest, &info) != ERR_OK) {
        cli_report(cli, &info);
        return false;
    }
    struct slice subject = identity_subject(session_identity(cli->session));
    shell_say(cli, "You are now %.*s.", SLICE_ARGS(subject));
    return false;
}

static bool help(struct cli *cli, UNUSED struct slice rest)
{
    shell_help(cli);
    return false;
}

static bool leave(UNUSED struct cli *cli, UNUSED struct slice rest)
{
    return true;
}

const struct shell_entry shell_setting[] = {
    {"\\timing", "", "say how long each statement took, or not", timing},
    {"\\x", "", "one block a row, or a table", expanded},
    {"\\format", "[FORMAT]", "table, csv, json, jsonl, markdown, arrow or parquet", format},
    {"\\o", "[FILE]", "write results to FILE, or back to the terminal", output},
    {"\\i", "FILE", "run a file", input},
    {"\\as", "[NAME]", "ask as another person (the warehouse's owner only), or as yourself", as},
    {"\\?", "", "this help", help},
    {"\\q", "", "leave (also Ctrl-D)", leave},
};
const size_t shell_setting_count = ARRAY_COUNT(shell_setting);
