/* \d and its kin: each is a statement that anybody could type. */
#include "cli/cli_int.h"
#include "cli/shell_int.h"

/* Format and output are the shell's own; the statement is the person's. */
static bool run(struct cli *cli, const char *head, struct slice rest)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, head);
    buf_append_slice(&text, rest);
    if (!buf_failed(&text)) {
        enum err err = cli_run_statement(cli, buf_slice(&text), NULL);
        (void)err; /* reported; the shell goes on */
    }
    return false;
}

static bool describe(struct cli *cli, struct slice rest)
{
    return rest.len == 0 ? run(cli, "SHOW TABLES", rest) : run(cli, "DESCRIBE ", rest);
}

static bool tables(struct cli *cli, struct slice rest)
{
    return run(cli, rest.len == 0 ? "SHOW TABLES" : "SHOW TABLES IN ", rest);
}

static bool views(struct cli *cli, struct slice rest)
{
    return run(cli, rest.len == 0 ? "SHOW VIEWS" : "SHOW VIEWS IN ", rest);
}

static bool schemas(struct cli *cli, UNUSED struct slice rest)
{
    return run(cli, "SHOW SCHEMAS", (struct slice){0});
}

static bool users(struct cli *cli, UNUSED struct slice rest)
{
    return run(cli, "SHOW USERS", (struct slice){0});
}

static bool roles(struct cli *cli, UNUSED struct slice rest)
{
    return run(cli, "SHOW ROLES", (struct slice){0});
}

static bool grants(struct cli *cli, struct slice rest)
{
    return run(cli, rest.len == 0 ? "SHOW GRANTS" : "SHOW GRANTS ON ", rest);
}

const struct shell_entry shell_describe[] = {
    {"\\d", "[NAME]", "tables and views, or the columns of one", describe},
    {"\\dt", "[SCHEMA]", "tables", tables},
    {"\\dv", "[SCHEMA]", "views", views},
    {"\\dn", "", "schemas", schemas},
    {"\\du", "", "users", users},
    {"\\dr", "", "roles", roles},
    {"\\dp", "[TABLE]", "grants", grants},
};
const size_t shell_describe_count = ARRAY_COUNT(shell_describe);
