/* The shell: lines to statements.
 *
 * At the prompt the terminal sends Ctrl-C as a character (isig off in the editor's mode only), so
 * the editor can drop the line; while a statement runs it is SIGINT again, for watch.c. */
#include <histedit.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_int.h"
#include "cli/complete.h"
#include "cli/history.h"
#include "cli/shell_int.h"
#include "cli/text.h"
#include "sql/scan.h"

enum {
    AGAIN_US = 2000000
};

struct shell {
    struct cli *cli;
    EditLine *editor;
    struct statement_history history;
    struct buf text; /* lines of a statement that is not complete */
    char prompt[160];
    bool is_interrupted;
    int64_t interrupted_us;
};

static struct shell *shell_of(EditLine *editor)
{
    void *shell = NULL;
    (void)el_get(editor, EL_CLIENTDATA, &shell);
    return shell;
}

static char *prompt(EditLine *editor)
{
    struct shell *shell = shell_of(editor);
    struct buf name CLEANUP(buf_fini) = {0};
    cli_print_person(shell->cli, &name);
    (void)snprintf(shell->prompt, sizeof(shell->prompt), "%s%.100s%s",
                   shell->text.len == 0 ? "moat" : "  ..", buf_cstr(&name),
                   shell->text.len == 0 ? "> " : "> ");
    return shell->prompt;
}

static unsigned char on_interrupt(EditLine *editor, UNUSED int key)
{
    struct shell *shell = shell_of(editor);
    const LineInfo *line = el_line(editor);
    bool is_empty = line->lastchar == line->buffer && shell->text.len == 0;
    int64_t now_us = clock_mono_us();
    bool is_again = is_empty && now_us - shell->interrupted_us < AGAIN_US;
    shell->is_interrupted = true;
    shell->interrupted_us = now_us;
    ssize_t wrote = write(STDOUT_FILENO, "^C\n", 3);
    if (is_again) {
        const char *text = "(type \\q or press Ctrl-D to leave)\n";
        wrote = write(STDOUT_FILENO, text, strlen(text));
    }
    (void)wrote;
    return CC_NEWLINE;
}

static unsigned char on_complete(EditLine *editor, UNUSED int key)
{
    struct shell *shell = shell_of(editor);
    const LineInfo *info = el_line(editor);
    struct slice line = {info->buffer, (size_t)(info->lastchar - info->buffer)};
    struct buf insert CLEANUP(buf_fini) = {0};
    struct buf list CLEANUP(buf_fini) = {0};
    complete(shell->cli, line, (size_t)(info->cursor - info->buffer), shell->cli->out.width,
             &insert, &list);
    if (insert.len > 0 && el_insertstr(editor, buf_cstr(&insert)) == 0) {
        return CC_REFRESH;
    }
    if (list.len > 0) {
        ssize_t wrote = write(STDOUT_FILENO, "\n", 1);
        wrote = write(STDOUT_FILENO, list.ptr, list.len);
        (void)wrote;
        return CC_REDISPLAY;
    }
    return CC_REFRESH_BEEP;
}

/* A server's statements are kept where those of the usual warehouse are, if it is there. */
static const char *history_folder(const struct cli *cli)
{
    const char *home = getenv("HOME");
    if (cli->warehouse != NULL) {
        return warehouse_folder(cli->warehouse);
    }
    const char *folder = home == NULL ? NULL : arena_printf(cli->arena, "%s/.moat", home);
    return folder == NULL ? "" : folder;
}

static bool start_editor(struct shell *shell)
{
    shell->editor = el_init("moat", stdin, stdout, stderr);
    if (shell->editor == NULL) {
        return false;
    }
    EditLine *editor = shell->editor;
    history_start(&shell->history, history_folder(shell->cli));
    (void)el_set(editor, EL_CLIENTDATA, shell);
    (void)el_set(editor, EL_PROMPT, prompt);
    (void)el_set(editor, EL_EDITOR, "emacs");
    (void)el_set(editor, EL_SIGNAL, 0);
    if (shell->history.lines != NULL) {
        (void)el_set(editor, EL_HIST, history, shell->history.lines);
    }
    (void)el_set(editor, EL_ADDFN, "moat-complete", "complete names", on_complete);
    (void)el_set(editor, EL_ADDFN, "moat-interrupt", "drop the line", on_interrupt);
    (void)el_set(editor, EL_BIND, "^I", "moat-complete", NULL);
    (void)el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(editor, NULL); /* ~/.editrc, before what Ctrl-C must do */
    (void)el_set(editor, EL_BIND, "^C", "moat-interrupt", NULL);
    (void)el_set(editor, EL_SETTY, "-d", "-isig", NULL);
    return true;
}

/* Runs what is complete in `text` and keeps the rest. */
static void run_complete(struct shell *shell)
{
    struct slice rest = buf_slice(&shell->text);
    for (;;) {
        struct slice statement;
        bool is_complete = true;
        struct slice before = rest;
        struct errinfo info;
        errinfo_init(&info);
        enum err err = sql_split(&rest, &statement, &is_complete, &info);
        if (err == ERR_SYNTAX || (err == ERR_OK && statement.len > 0 && !is_complete)) {
            rest = before; /* more lines may finish it */
            break;
        }
        if (err != ERR_OK) {
            report_error(&shell->cli->err, &info, before, NULL);
            report_flush(&shell->cli->err);
            rest.len = 0;
            break;
        }
        if (statement.len == 0) {
            rest.len = 0;
            break;
        }
        history_add(&shell->history, statement);
        if (cli_run_statement(shell->cli, statement, NULL) != ERR_OK) {
            rest.len = 0; /* what was pasted behind a failure does not run */
            break;
        }
        shell->cli->result_count = shell->cli->out.is_terminal ? 0 : shell->cli->result_count;
    }
    if (slice_trim(rest).len == 0) {
        buf_reset(&shell->text);
        return;
    }
    memmove(shell->text.ptr, rest.ptr, rest.len);
    shell->text.len = rest.len;
    shell->text.ptr[rest.len] = '\0';
}

/* Does what was typed so far end inside a text, a quoted name or a comment? */
static bool is_in_quotes(const struct shell *shell)
{
    struct slice rest = buf_slice(&shell->text);
    struct slice statement;
    bool is_complete = true;
    return sql_split(&rest, &statement, &is_complete, NULL) == ERR_SYNTAX;
}

/* True: leave. */
static bool take_line(struct shell *shell, struct slice line)
{
    struct slice word = slice_trim(line);
    if (word.len > 0 && word.ptr[0] == '\\' && !is_in_quotes(shell)) {
        history_add(&shell->history, word);
        return shell_command(shell->cli, word); /* also between the lines of a statement */
    }
    if (shell->text.len == 0) {
        if (word.len == 0) {
            return false;
        }
        if (slice_equal_fold(word, SLICE("quit")) || slice_equal_fold(word, SLICE("exit"))) {
            return true;
        }
        if (slice_equal_fold(word, SLICE("help"))) {
            shell_help(shell->cli);
            return false;
        }
    }
    buf_append_slice(&shell->text, line);
    if (buf_failed(&shell->text)) {
        shell_say(shell->cli, "The statement is too long.");
        buf_reset(&shell->text);
        return false;
    }
    run_complete(shell);
    return false;
}

static void greet(struct cli *cli)
{
    if (cli->options.is_quiet) {
        return;
    }
    if (cli->remote != NULL) {
        shell_say(cli, "moat " MOAT_VERSION ", at %s:%u%s%s. \\? for help, \\q to leave.",
                  cli->address.host, cli->address.port, cli->options.token == NULL ? ", as " : "",
                  cli->options.token == NULL ? cli->address.user : "");
        return;
    }
    struct slice subject = identity_subject(session_identity(cli->session));
    shell_say(cli, "moat " MOAT_VERSION ", warehouse %s, as %.*s. \\? for help, \\q to leave.",
              warehouse_folder(cli->warehouse), SLICE_ARGS(subject));
}

enum cli_exit shell_run(struct cli *cli)
{
    struct shell shell = {.cli = cli, .text.bytes_max = 64 << 20, .interrupted_us = -AGAIN_US};
    if (!start_editor(&shell)) {
        shell_say(cli, "The line editor does not work on this terminal; use -c, -f or a pipe.");
        return EXIT_STATEMENT;
    }
    greet(cli);
    for (bool is_over = false; !is_over;) {
        int len = 0;
        /* Before the prompt shows, or what is typed at once still meets the terminal's own editing:
         * el_gets changes the mode only when it waits for the first key. */
        (void)el_set(shell.editor, EL_PREP_TERM, 1);
        const char *line = el_gets(shell.editor, &len);
        if (shell.is_interrupted) {
            shell.is_interrupted = false;
            buf_reset(&shell.text);
            continue;
        }
        is_over = line == NULL || len <= 0;
        if (!is_over) {
            is_over = take_line(&shell, (struct slice){line, (size_t)len});
        } else {
            shell_say(cli, "%s", "");
        }
    }
    el_end(shell.editor);
    history_stop(&shell.history);
    buf_fini(&shell.text);
    return EXIT_OK;
}
