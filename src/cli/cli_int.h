/* The program's state, shared by its commands and the shell. Internal. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/sink.h"
#include "cli/watch.h"
#include "config/config.h"
#include "query/query.h"
#include "remote/remote.h"

struct cli {
    struct cli_options options;
    struct arena *arena;
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    struct remote *remote; /* instead of the three above: a server */
    struct remote_address address;
    struct watch *watch;
    struct sink out; /* results */
    struct sink err; /* errors, notices, progress */
    enum cli_format format;
    bool is_timed;
    bool is_expanded;
    bool is_shell;
    size_t result_count;
};

/* ---- session.c ---- */

/* Folder of the warehouse, its configuration and the rest. Reports and gives the exit code. */
MUST_USE enum cli_exit cli_load_config(struct cli *cli);
/* The configuration as it is now; `context` is the cli. */
MUST_USE enum err cli_read_config(void *context, struct config **ret_config, struct errinfo *info);
/* Opens the warehouse and a session of the person. With `is_init` the folder is made. */
MUST_USE enum cli_exit cli_open(struct cli *cli, bool is_init);
/* Changes the person: a new login and session. On failure the old ones stand. `as` empty = whose
 * token was given, or the OS user. */
MUST_USE enum err cli_login(struct cli *cli, struct slice as, struct errinfo *info);
/* Signs in to the server of --connect. Reports and gives the exit code. */
MUST_USE enum cli_exit cli_connect(struct cli *cli);
/* Whom the prompt names: "" for the one who needs no naming. */
void cli_print_person(const struct cli *cli, struct buf *out);
void cli_close(struct cli *cli);

/* ---- token.c ---- */

struct secret;
/* A person's own token: from a file that only its owner can read, or, for "-", a line of standard
 * input, which a terminal does not show. It is a token, or the JSON of a token endpoint's answer
 * with its "access_token" and, optionally, "refresh_token". ERR_DENIED, ERR_INVALID, ERR_IO. */
MUST_USE enum err token_read(const char *path, struct secret *ret_access,
                             struct secret *ret_refresh, struct errinfo *info);

/* A password, likewise; NULL: the terminal is asked for it, for whom. It may hold any character. */
MUST_USE enum err password_read(const char *path, const char *whose, struct secret *ret_password,
                                struct errinfo *info);

/* ---- run.c ---- */

/* Runs one statement and prints its result or its error. ERR_OK, or what it failed with. */
MUST_USE enum err cli_run_statement(struct cli *cli, struct slice statement,
                                    const struct origin *origin);
/* Runs all statements of `text`, up to the first error or, with --keep-going, all; gives the first
 * error. `file` NULL unless it came from one. */
MUST_USE enum err cli_run_text(struct cli *cli, struct slice text, const char *file);
/* Reads and runs a file, "-" for standard input. */
MUST_USE enum err cli_run_file(struct cli *cli, const char *path);
/* -c, -f or standard input, as the options say. */
enum cli_exit cli_run_scripts(struct cli *cli);
void cli_report(struct cli *cli, const struct errinfo *info);
/* What Ctrl-C stops. */
struct watched cli_watched(struct cli *cli);

/* ---- command.c ---- */

enum cli_exit command_config(struct cli *cli);
enum cli_exit command_audit(struct cli *cli);
enum cli_exit command_policy(struct cli *cli);
enum cli_exit command_init(struct cli *cli);
enum cli_exit command_serve(struct cli *cli);

/* ---- iceberg.c ---- */

enum cli_exit command_iceberg(struct cli *cli);

/* ---- shell.c, shell_command.c ---- */

enum cli_exit shell_run(struct cli *cli);

/* Runs a line that starts with a backslash. True: leave the shell. */
bool shell_command(struct cli *cli, struct slice line);
/* Every command, for completion: "\\d", ...; NULL past the end. */
const char *shell_command_name(size_t index);
