/* Shared by the shell's files. Internal. */
#pragma once

#include "base/base.h"

struct cli;

/* One command, its words split; `rest` is all after the name, trimmed. True: leave the shell. */
typedef bool (*shell_command_fn)(struct cli *cli, struct slice rest);

struct shell_entry {
    const char *name;
    const char *arguments;
    const char *help;
    shell_command_fn run;
};

/* The families: what is there (shell_describe.c) and how the shell behaves (shell_setting.c). */
extern const struct shell_entry shell_describe[];
extern const size_t shell_describe_count;
extern const struct shell_entry shell_setting[];
extern const size_t shell_setting_count;

/* Prints one line to standard error, escaped. */
__attribute__((format(printf, 2, 3))) void shell_say(struct cli *cli, const char *format, ...);
void shell_help(struct cli *cli);
