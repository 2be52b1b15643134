/* The program `moat`: options, subcommands, the shell, and results for people and machines. */
#pragma once

/* Documented in docs/cli.md; scripts depend on them. */
enum cli_exit {
    EXIT_OK = 0,
    EXIT_STATEMENT = 1,   /* a statement failed */
    EXIT_USAGE = 2,       /* the command line is wrong */
    EXIT_WAREHOUSE = 3,   /* the warehouse cannot be opened */
    EXIT_CONFIG = 4,      /* a configuration file, variable or --set is wrong */
    EXIT_AUDIT = 5,       /* the audit trail is not intact */
    EXIT_TABLE = 6,       /* moat iceberg validate found a problem */
    EXIT_CANCELLED = 130, /* Ctrl-C */
};

/* Runs the program; returns its exit code. */
int cli_main(int argc, char **argv);
