/* The subcommands besides SQL. */
#include "base/io.h"
#include "cli/cli_int.h"
#include "cli/text.h"
#include "observe/audit.h"
#include "server/server.h"

static enum cli_exit finish(struct cli *cli, enum cli_exit code)
{
    struct errinfo info;
    if (sink_flush(&cli->out, &info) != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_STATEMENT;
    }
    return code;
}

enum cli_exit command_config(struct cli *cli)
{
    if (cli->options.command == COMMAND_CONFIG_REFERENCE) {
        config_reference(&cli->out.buf);
        return finish(cli, EXIT_OK);
    }
    enum cli_exit code = cli_load_config(cli);
    if (code == EXIT_OK) {
        config_explain(cli->config, &cli->out.buf);
        code = finish(cli, EXIT_OK);
    }
    return code;
}

static enum cli_exit verify_trail(struct cli *cli)
{
    struct errinfo info;
    errinfo_init(&info);
    struct audit_report report = {0};
    struct audit_anchor anchor = {0};
    if (warehouse_verify_trail(cli->config, &report, &anchor, &info) != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_WAREHOUSE;
    }
    struct buf *out = &cli->out.buf;
    if (!report.is_intact) {
        buf_append_str(out, "The audit trail is NOT intact: ");
        text_escape(out, slice_of(report.problem), KEEP_NOTHING);
        buf_append_char(out, '\n');
        return finish(cli, EXIT_AUDIT);
    }
    buf_printf(out, "The audit trail is intact: %llu record%s in %llu file%s.\n",
               (unsigned long long)report.records, report.records == 1 ? "" : "s",
               (unsigned long long)report.files, report.files == 1 ? "" : "s");
    if (report.problem[0] != '\0') {
        text_escape(out, slice_of(report.problem), KEEP_NOTHING);
        buf_append_char(out, '\n');
    }
    if (anchor.seq > 0) {
        buf_printf(out, "Anchored in the store: up to record %llu.\n",
                   (unsigned long long)anchor.seq);
    } else {
        buf_append_str(out, "Not anchored: no store says whether later records are missing.\n");
    }
    buf_printf(out, "Last hash: %s\n", report.last_hash);
    return finish(cli, EXIT_OK);
}

static enum cli_exit accept_loss(struct cli *cli)
{
    struct errinfo info;
    errinfo_init(&info);
    struct trail_loss loss = {0};
    if (warehouse_accept_trail_loss(cli->config, &loss, &info) != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_WAREHOUSE;
    }
    struct buf *out = &cli->out.buf;
    if (!loss.is_accepted) {
        buf_append_str(out, "Nothing is missing from the audit trail; nothing was done.\n");
        return finish(cli, EXIT_OK);
    }
    if (loss.aside[0] != '\0') {
        buf_append_str(out, "What was left of the damaged trail was put aside, keep it: ");
        text_escape(out, slice_of(loss.aside), KEEP_NOTHING);
        buf_append_str(out, "\nA new trail begins");
    } else {
        buf_printf(out, "The trail goes on after record %llu", (unsigned long long)loss.kept);
    }
    buf_append_str(out, " with a record of this loss.\n");
    return finish(cli, EXIT_OK);
}

enum cli_exit command_audit(struct cli *cli)
{
    if (cli->options.operand != NULL) {
        cli->options.warehouse = cli->options.operand;
    }
    enum cli_exit code = cli_load_config(cli);
    if (code != EXIT_OK) {
        return code;
    }
    return cli->options.command == COMMAND_AUDIT_VERIFY ? verify_trail(cli) : accept_loss(cli);
}

enum cli_exit command_policy(struct cli *cli)
{
    static const struct {
        enum cli_command command;
        enum policy_action action;
        const char *none, *verb;
    } actions[] = {
        {COMMAND_POLICY_VALIDATE, POLICY_VALIDATE, "The file is valid.", "differ"},
        {COMMAND_POLICY_PLAN, POLICY_PLAN, "Nothing to change.", "to make"},
        {COMMAND_POLICY_APPLY, POLICY_APPLY, "Nothing to change.", "made"},
    };
    size_t which = 0;
    while (actions[which].command != cli->options.command) {
        which++;
    }
    struct errinfo info;
    errinfo_init(&info);
    size_t changes = 0;
    struct buf report CLEANUP(buf_fini) = {0};
    const struct watched what = cli_watched(cli);
    watch_begin(cli->watch, &what);
    enum err err = session_policy_file(cli->session, cli->options.operand, actions[which].action,
                                       &report, &changes, &info);
    watch_end(cli->watch);
    text_escape(&cli->out.buf, buf_slice(&report), KEEP_LAYOUT);
    if (err != ERR_OK) {
        (void)finish(cli, EXIT_OK);
        cli_report(cli, &info);
        return err == ERR_CANCELLED ? EXIT_CANCELLED : EXIT_STATEMENT;
    }
    if (!cli->options.is_quiet) {
        if (changes == 0 || which == 0) {
            buf_printf(&cli->out.buf, "%s\n", actions[which].none);
        } else {
            buf_printf(&cli->out.buf, "%zu change%s %s.\n", changes, changes == 1 ? "" : "s",
                       actions[which].verb);
        }
    }
    return finish(cli, EXIT_OK);
}

/* Whoever started it, and a program that started it for a test, reads the port here. */
static void say_ready(void *context, const char *address, const struct server_ports *ports,
                      bool is_tls)
{
    struct cli *cli = context;
    bool is_6 = strchr(address, ':') != NULL;
    if (!cli->options.is_quiet) {
        buf_printf(&cli->out.buf, "Serving PostgreSQL on %s%s%s:%u, TLS %s\n", is_6 ? "[" : "",
                   address, is_6 ? "]" : "", ports->pg, is_tls ? "on" : "off");
        if (ports->http != 0) {
            buf_printf(&cli->out.buf, "Serving /live, /ready and /metrics on port %u of %s\n",
                       ports->http, config_text(cli->config, CONFIG_SERVER_HTTP_ADDRESS));
        }
        if (ports->web != 0) {
            buf_printf(&cli->out.buf,
                       "Serving SQL over HTTP and Trino's protocol on port %u of %s\n", ports->web,
                       address);
        }
        if (ports->flight != 0) {
            buf_printf(&cli->out.buf, "Serving Arrow Flight SQL on port %u of %s\n", ports->flight,
                       address);
        }
        (void)finish(cli, EXIT_OK);
    }
}

/* On a thread of the server, when it loads its configuration anew. */
static void say_refused(void *context, const char *what, const char *mend)
{
    struct cli *cli = context;
    struct buf *out = &cli->err.buf;
    buf_append_str(out, "not for production: ");
    text_escape(out, slice_of(what), KEEP_NOTHING);
    buf_append_str(out, "\n    ");
    text_escape(out, slice_of(mend), KEEP_NOTHING);
    buf_append_char(out, '\n');
    report_flush(&cli->err);
}

enum cli_exit command_serve(struct cli *cli)
{
    enum cli_exit code = cli_load_config(cli);
    if (code != EXIT_OK) {
        return code;
    }
    struct errinfo info;
    errinfo_init(&info);
    struct server_options options = {.config = cli->config,
                                     .on_ready = say_ready,
                                     .on_refused = say_refused,
                                     .load_config = cli_read_config,
                                     .context = cli};
    if (server_run(&options, &info) != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_WAREHOUSE;
    }
    return EXIT_OK;
}

enum cli_exit command_init(struct cli *cli)
{
    const char *folder = config_text(cli->config, CONFIG_WAREHOUSE_PATH);
    bool was_there = io_exists(folder);
    enum cli_exit code = cli_open(cli, true);
    if (code != EXIT_OK || cli->options.is_quiet) {
        return code;
    }
    struct buf *out = &cli->out.buf;
    buf_append_str(out, was_there ? "The warehouse is ready: " : "Made the warehouse ");
    text_escape(out, slice_of(folder), KEEP_NOTHING);
    buf_append_str(out, was_there ? "\n" : "; it belongs to you.\n");
    buf_append_str(out, "Next: moat -c \"CREATE EXTERNAL TABLE t LOCATION '/data/*.parquet'\", "
                        "then moat -c 'SELECT * FROM t'\n");
    return finish(cli, EXIT_OK);
}
