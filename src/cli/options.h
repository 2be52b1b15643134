/* The command line as data. Internal. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

enum cli_format {
    OUTPUT_TABLE,
    OUTPUT_CSV,
    OUTPUT_JSON,
    OUTPUT_JSONL,
    OUTPUT_MARKDOWN,
    OUTPUT_ARROW,
    OUTPUT_PARQUET,
    OUTPUT_COUNT,
};

enum cli_command {
    COMMAND_SQL, /* the shell, -c, -f, standard input */
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_CONFIG_EXPLAIN,
    COMMAND_CONFIG_REFERENCE,
    COMMAND_AUDIT_VERIFY,
    COMMAND_AUDIT_ACCEPT_LOSS,
    COMMAND_POLICY_VALIDATE,
    COMMAND_POLICY_PLAN,
    COMMAND_POLICY_APPLY,
    COMMAND_INIT,
    COMMAND_SERVE,
    COMMAND_ICEBERG_HELP,
    COMMAND_ICEBERG_INSPECT,
    COMMAND_ICEBERG_VALIDATE,
};

enum cli_color {
    COLOR_AUTO,
    COLOR_ALWAYS,
    COLOR_NEVER
};

/* One -c or -f, in the order given. */
struct cli_script {
    bool is_file;
    const char *text; /* SQL, or a path */
};

struct cli_options {
    enum cli_command command;
    const char *operand; /* folder of init and audit verify, file of policy, table; NULL = none */
    struct cli_script *scripts;
    size_t script_count;
    const char *as;        /* NULL = the OS user */
    const char *connect;   /* address of a server; NULL = a warehouse here */
    const char *password;  /* file with the password for it, "-" standard input; NULL = asked for */
    const char *token;     /* file with the person's token, "-" standard input; NULL = none */
    const char *warehouse; /* NULL = the configured one */
    const char *config;
    const char **sets;
    size_t set_count;
    enum cli_format format;
    bool format_given;
    const char *output; /* NULL = standard output */
    bool no_header;
    bool is_timed;
    bool is_quiet;
    bool keep_going;
    enum cli_color color;
};

/* Views of argv, arrays in `arena`. ERR_INVALID with what was expected and the nearest right
 * option or subcommand as hint. */
MUST_USE enum err options_parse(int argc, char **argv, struct arena *arena,
                                struct cli_options *ret_options, struct errinfo *info);
bool options_find_format(struct slice name, enum cli_format *ret_format);
const char *options_format_name(enum cli_format format);
extern const char options_help[];
extern const char iceberg_help[];
