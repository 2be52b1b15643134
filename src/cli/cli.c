#include "cli/cli.h"

#include <locale.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "cli/kv.h"

static void print(struct cli *cli, const char *text)
{
    buf_append_str(&cli->out.buf, text);
    report_flush(&cli->out);
}

/* Where results go, and their format if none was asked for. */
static enum err set_output(struct cli *cli, struct errinfo *info)
{
    const struct cli_options *options = &cli->options;
    cli->format = options->format;
    /* A Parquet file is written by COPY, not through the sink. */
    if (options->output != NULL && options->format != OUTPUT_PARQUET) {
        TRY(sink_open_file(&cli->out, options->output, info));
    }
    if (!options->format_given) {
        cli->format = cli->out.is_terminal ? OUTPUT_TABLE : OUTPUT_CSV;
    }
    cli->is_timed = options->is_timed;
    return ERR_OK;
}

static enum cli_exit run_sql(struct cli *cli)
{
    cli->is_shell = cli->options.command == COMMAND_SQL && cli->options.script_count == 0 &&
                    isatty(STDIN_FILENO) == 1;
    struct errinfo info;
    errinfo_init(&info);
    bool is_remote = cli->options.connect != NULL;
    enum cli_exit code = is_remote ? EXIT_OK : cli_load_config(cli);
    if (code != EXIT_OK) {
        return code;
    }
    if (watch_start(cli->is_shell, cli->err.is_terminal && !cli->options.is_quiet, &cli->watch,
                    &info) != ERR_OK ||
        set_output(cli, &info) != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_STATEMENT;
    }
    if (cli->options.command == COMMAND_INIT) {
        return command_init(cli);
    }
    code = is_remote ? cli_connect(cli) : cli_open(cli, false);
    if (code != EXIT_OK) {
        return code;
    }
    return cli->options.command != COMMAND_SQL ? command_policy(cli)
           : cli->is_shell                     ? shell_run(cli)
                                               : cli_run_scripts(cli);
}

static enum cli_exit dispatch(struct cli *cli)
{
    switch (cli->options.command) {
    case COMMAND_HELP:
        print(cli, options_help);
        return EXIT_OK;
    case COMMAND_ICEBERG_HELP:
        print(cli, iceberg_help);
        return EXIT_OK;
    case COMMAND_ICEBERG_INSPECT:
    case COMMAND_ICEBERG_VALIDATE:
        return command_iceberg(cli);
    case COMMAND_VERSION:
        print(cli, "moat " MOAT_VERSION "\n");
        return EXIT_OK;
    case COMMAND_CONFIG_EXPLAIN:
    case COMMAND_CONFIG_REFERENCE:
        return command_config(cli);
    case COMMAND_AUDIT_VERIFY:
    case COMMAND_AUDIT_ACCEPT_LOSS:
        return command_audit(cli);
    case COMMAND_INIT:
        if (cli->options.operand != NULL) {
            cli->options.warehouse = cli->options.operand;
        }
        return run_sql(cli);
    case COMMAND_SERVE:
        return command_serve(cli);
    case COMMAND_POLICY_VALIDATE:
    case COMMAND_POLICY_PLAN:
    case COMMAND_POLICY_APPLY:
    case COMMAND_SQL:
        return run_sql(cli);
    }
    ASSERT(false);
    return EXIT_USAGE;
}

int cli_main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, ""); /* for line editing; numbers stay as in C */
    if (argc > 1 && strcmp(argv[1], "kv") == 0) {
        return (int)kv_main(argc - 1, argv + 1);
    }
    struct cli cli = {0};
    struct errinfo info;
    errinfo_init(&info);
    sink_init(&cli.err, STDERR_FILENO, COLOR_AUTO);
    sink_init(&cli.out, STDOUT_FILENO, COLOR_AUTO);
    enum cli_exit code = EXIT_USAGE;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "program", 0);
    cli.arena = arena;
    if (arena == NULL || options_parse(argc, argv, arena, &cli.options, &info) != ERR_OK) {
        cli_report(&cli, &info);
    } else {
        sink_init(&cli.err, STDERR_FILENO, (int)cli.options.color);
        sink_init(&cli.out, STDOUT_FILENO, (int)cli.options.color);
        code = dispatch(&cli);
    }
    cli_close(&cli);
    return (int)code;
}
