/* Statements: run, print, report. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli_int.h"
#include "cli/parquet.h"
#include "cli/text.h"
#include "sql/scan.h"

enum {
    SCRIPT_BYTES_MAX = 64 << 20
};

void cli_report(struct cli *cli, const struct errinfo *info)
{
    report_error(&cli->err, info, (struct slice){0}, NULL);
    report_flush(&cli->err);
}

static void schema_release(struct ArrowSchema *schema)
{
    if (schema->release != NULL) {
        schema->release(schema);
    }
}

/* Where rows come from: a query here, or a server's answer. */
struct source {
    struct query *query;
    struct remote_answer *answer;
};

static enum err next_batch(const struct source *source, struct ArrowArray *ret_batch,
                           struct errinfo *info)
{
    return source->query != NULL ? query_next(source->query, ret_batch, info)
                                 : remote_answer_next(source->answer, ret_batch, info);
}

/* All batches to the sink. */
static enum err print_rows(struct cli *cli, const struct source *source,
                           const struct ArrowSchema *schema, int64_t begun_us, struct errinfo *info)
{
    const struct format_options options = {
        .no_header = cli->options.no_header,
        .is_quiet = cli->options.is_quiet,
        .is_expanded = cli->is_expanded,
        .is_timed = cli->is_timed || cli->out.is_terminal,
        .is_paged = true,
    };
    struct format *format CLEANUP(format_cleanup) = NULL;
    TRY(format_open(cli->format, &options, schema, &cli->out, &format, info));
    while (!cli->out.is_closed) {
        struct ArrowArray batch = {0};
        TRY(next_batch(source, &batch, info));
        if (cli->out.is_terminal) {
            watch_quiet(cli->watch);
        }
        if (batch.release == NULL) {
            return format_end(format, clock_mono_us() - begun_us, info);
        }
        enum err err = format_batch(format, &batch, info);
        batch.release(&batch);
        TRY(err);
    }
    return ERR_OK;
}

static void say(struct cli *cli, const char *text)
{
    if (text[0] != '\0' && !cli->options.is_quiet) {
        text_escape(&cli->err.buf, slice_of(text), KEEP_LAYOUT);
        buf_append_char(&cli->err.buf, '\n');
        report_flush(&cli->err);
    }
}

/* What a statement without rows has to say: its tag goes with the results, for people only. */
static enum err print_tag(struct cli *cli, const char *tag, struct errinfo *info)
{
    if (cli->format == OUTPUT_TABLE && !cli->options.is_quiet) {
        text_escape(&cli->out.buf, slice_of(tag), KEEP_NOTHING);
        buf_append_char(&cli->out.buf, '\n');
        return sink_flush(&cli->out, info);
    }
    return ERR_OK;
}

/* Arrow streams and Parquet files hold one result; a second would be lost or spoil the first. */
static enum err refuse_second(struct cli *cli, struct errinfo *info)
{
    bool is_single = cli->format == OUTPUT_ARROW || cli->format == OUTPUT_PARQUET;
    if (!is_single || cli->result_count++ == 0) {
        return ERR_OK;
    }
    enum err err = errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "format \"%s\" holds the rows of one statement only",
                               options_format_name(cli->format));
    errinfo_hint(info, "run the other statements in another call, or use --format jsonl");
    return err;
}

static enum err execute_remotely(struct cli *cli, struct slice statement, int64_t begun_us,
                                 struct errinfo *info)
{
    struct remote_answer *answer CLEANUP(remote_answer_cleanup) = NULL;
    if (cli->format == OUTPUT_PARQUET) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "format \"parquet\" is written by a warehouse here, not over a "
                          "connection");
        errinfo_hint(info, "use --format arrow, csv or json");
        return ERR_UNSUPPORTED;
    }
    TRY(remote_run(cli->remote, statement, &answer, info));
    const struct ArrowSchema *schema = remote_answer_schema(answer);
    if (schema == NULL) {
        say(cli, remote_answer_notice(answer));
        return print_tag(cli, remote_answer_tag(answer), info);
    }
    const struct source source = {.answer = answer};
    TRY(refuse_second(cli, info));
    TRY(print_rows(cli, &source, schema, begun_us, info));
    say(cli, remote_answer_notice(answer));
    return ERR_OK;
}

static enum err execute(struct cli *cli, struct slice statement, int64_t begun_us,
                        struct errinfo *info)
{
    if (cli->remote != NULL) {
        return execute_remotely(cli, statement, begun_us, info);
    }
    if (cli->format == OUTPUT_PARQUET && parquet_is_query(statement)) {
        TRY(refuse_second(cli, info));
        return parquet_run(cli, statement, info);
    }
    struct query *query CLEANUP(query_cleanup) = NULL;
    TRY(query_open(cli->session, statement, NULL, 0, &query, info));
    say(cli, query_notice(query));
    if (!query_has_rows(query)) {
        return print_tag(cli, query_tag(query), info);
    }
    if (cli->format == OUTPUT_PARQUET) { /* SHOW and the like */
        enum err err = errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "format \"parquet\" takes the rows of a query, not of %s",
                                   query_tag(query));
        errinfo_hint(info, "use --format csv, json or arrow for this statement");
        return err;
    }
    TRY(refuse_second(cli, info));
    const struct source source = {.query = query};
    struct ArrowSchema schema CLEANUP(schema_release) = {0};
    TRY(query_schema(query, &schema, info));
    return print_rows(cli, &source, &schema, begun_us, info);
}

static void cancel_session(void *context)
{
    session_cancel(context);
}

static double progress_of_session(void *context)
{
    return session_progress(context);
}

static void cancel_remote(void *context)
{
    remote_cancel(context);
}

static double progress_of_remote(void *context)
{
    return remote_progress(context);
}

struct watched cli_watched(struct cli *cli)
{
    return cli->remote != NULL
               ? (struct watched){cli->remote, cancel_remote, progress_of_remote}
               : (struct watched){cli->session, cancel_session, progress_of_session};
}

enum err cli_run_statement(struct cli *cli, struct slice statement, const struct origin *origin)
{
    struct errinfo info;
    errinfo_init(&info);
    int64_t begun_us = clock_mono_us();
    sink_measure(&cli->out);
    sink_measure(&cli->err);
    const struct watched what = cli_watched(cli);
    watch_begin(cli->watch, &what);
    enum err err = execute(cli, statement, begun_us, &info);
    watch_end(cli->watch);
    struct errinfo flushed;
    if (err != ERR_OK && sink_flush(&cli->out, &flushed) != ERR_OK) {
        buf_reset(&cli->out.buf); /* the first error is the one to report */
    }
    sink_end_pager(&cli->out);
    if (err != ERR_OK) {
        report_error(&cli->err, &info, statement, origin);
    }
    if (cli->is_timed && !(cli->format == OUTPUT_TABLE && err == ERR_OK)) {
        buf_append_str(&cli->err.buf, "Time: ");
        format_duration(&cli->err.buf, clock_mono_us() - begun_us);
        buf_append_char(&cli->err.buf, '\n');
    }
    report_flush(&cli->err);
    return err;
}

static size_t count_lines(const char *from, const char *to)
{
    size_t count = 0;
    for (; from < to; from++) {
        count += *from == '\n';
    }
    return count;
}

enum err cli_run_text(struct cli *cli, struct slice text, const char *file)
{
    struct slice rest = text;
    enum err first = ERR_OK;
    struct origin origin = {.file = file, .line = 1};
    const char *counted = text.ptr;
    for (;;) {
        struct slice statement;
        struct slice before = rest;
        struct errinfo info;
        errinfo_init(&info);
        enum err err = sql_split(&rest, &statement, NULL, &info);
        if (err != ERR_OK) { /* nothing behind it can be found */
            origin.line += count_lines(counted, before.ptr);
            report_error(&cli->err, &info, before, &origin);
            report_flush(&cli->err);
            return first == ERR_OK ? err : first;
        }
        if (statement.len == 0) {
            return first;
        }
        origin.line += count_lines(counted, statement.ptr);
        counted = statement.ptr;
        err = cli_run_statement(cli, statement, &origin);
        first = first == ERR_OK ? err : first;
        bool is_over = err == ERR_CANCELLED || cli->out.is_closed;
        if ((err != ERR_OK && !cli->options.keep_going) || is_over) {
            return first;
        }
    }
}

static enum err read_input(struct arena *arena, struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {.bytes_max = SCRIPT_BYTES_MAX};
    for (;;) {
        char *room = buf_reserve(&text, 65536);
        if (room == NULL) {
            return errinfo_set(info, ERR_LIMIT, NULL, "standard input is longer than %d MiB",
                               SCRIPT_BYTES_MAX >> 20);
        }
        ssize_t got = read(STDIN_FILENO, room, 65536);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errinfo_set(info, ERR_IO, NULL, "cannot read standard input: %m");
        }
        if (got == 0) {
            break;
        }
        text.len += (size_t)got;
    }
    return arena_slice(arena, buf_slice(&text), ret_text) ? ERR_OK : errinfo_nomem(info);
}

enum err cli_run_file(struct cli *cli, const char *path)
{
    struct errinfo info;
    errinfo_init(&info);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "script", 0);
    bool is_input = strcmp(path, "-") == 0;
    struct slice text;
    enum err err = arena == NULL ? errinfo_nomem(&info)
                   : is_input    ? read_input(arena, &text, &info)
                                 : io_read_file(arena, path, SCRIPT_BYTES_MAX, &text, &info);
    if (err != ERR_OK) {
        cli_report(cli, &info);
        return err;
    }
    return cli_run_text(cli, text, is_input ? NULL : path);
}

enum cli_exit cli_run_scripts(struct cli *cli)
{
    static const struct cli_script input = {.is_file = true, .text = "-"};
    const struct cli_script *scripts = cli->options.scripts;
    size_t count = cli->options.script_count;
    if (count == 0) {
        scripts = &input;
        count = 1;
    }
    enum err first = ERR_OK;
    for (size_t i = 0; i < count; i++) {
        enum err err = scripts[i].is_file ? cli_run_file(cli, scripts[i].text)
                                          : cli_run_text(cli, slice_of(scripts[i].text), NULL);
        first = first == ERR_OK ? err : first;
        if (err == ERR_CANCELLED || (err != ERR_OK && !cli->options.keep_going)) {
            break;
        }
    }
    return first == ERR_OK ? EXIT_OK : first == ERR_CANCELLED ? EXIT_CANCELLED : EXIT_STATEMENT;
}
