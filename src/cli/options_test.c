#include "cli/options.h"

#include "base/test.h"

static enum err parse(struct cli_options *options, struct errinfo *info, const char *line)
{
    static struct arena *arena; /* kept until the next parse */
    arena_free(arena);
    arena = arena_new(NULL, "options", 0);
    CHECK(arena != NULL);
    char *copy = arena_strdup(arena, line);
    char *argv[16] = {copy};
    int argc = 1;
    for (char *at = copy; *at != '\0'; at++) {
        if (*at == ' ') {
            *at = '\0';
            argv[argc++] = at + 1;
        }
    }
    enum err err = options_parse(argc, argv, arena, options, info);
    if (line[0] == '\0') { /* the last call frees */
        arena_free(arena);
        arena = NULL;
    }
    return err;
}

TEST(options, scripts_keep_their_order)
{
    struct cli_options options;
    CHECK_OK(parse(&options, NULL, "moat -c A -f b.sql --command=C -cD --format jsonl -q"));
    assert_int_equal(options.script_count, 4);
    CHECK_STR("A", options.scripts[0].text);
    CHECK(options.scripts[1].is_file);
    CHECK_STR("C", options.scripts[2].text);
    CHECK_STR("D", options.scripts[3].text);
    assert_int_equal(options.format, OUTPUT_JSONL);
    CHECK(options.is_quiet && options.command == COMMAND_SQL);
    CHECK_OK(parse(&options, NULL, ""));
}

TEST(options, commands_take_their_operands)
{
    struct cli_options options;
    CHECK_OK(parse(&options, NULL, "moat iceberg validate /lake/t --format json"));
    CHECK(options.command == COMMAND_ICEBERG_VALIDATE && options.format == OUTPUT_JSON);
    CHECK_STR("/lake/t", options.operand);
    CHECK_OK(parse(&options, NULL, "moat iceberg --help"));
    CHECK(options.command == COMMAND_ICEBERG_HELP);
    CHECK_OK(parse(&options, NULL, "moat policy plan p.yaml --warehouse w"));
    assert_int_equal(options.command, COMMAND_POLICY_PLAN);
    CHECK_STR("p.yaml", options.operand);
    CHECK_OK(parse(&options, NULL, "moat audit verify"));
    CHECK(options.command == COMMAND_AUDIT_VERIFY && options.operand == NULL);
    CHECK_OK(parse(&options, NULL, "moat config --reference"));
    assert_int_equal(options.command, COMMAND_CONFIG_REFERENCE);
    CHECK_OK(parse(&options, NULL, "moat polcy --help"));
    assert_int_equal(options.command, COMMAND_HELP);
    CHECK_OK(parse(&options, NULL, ""));
}

TEST(options, a_token_belongs_to_who_runs_statements)
{
    struct cli_options options;
    struct errinfo info;
    CHECK_OK(parse(&options, NULL, "moat --token-file t -c A"));
    CHECK_STR("t", options.token);
    CHECK_OK(parse(&options, NULL, "moat policy plan p.yaml --token-file=-"));
    CHECK_STR("-", options.token);
    CHECK_ERR(ERR_INVALID, parse(&options, &info, "moat --token-file t --as anna"));
    CHECK_STR("a token says who asks; it does not go with --as \"anna\"", info.message);
    CHECK_ERR(ERR_INVALID, parse(&options, &info, "moat serve --token-file t"));
    CHECK_STR("nobody signs in for the command \"serve\"", info.message);
    CHECK_OK(parse(&options, NULL, ""));
}

TEST(options, mistakes_name_the_nearest_right_word)
{
    static const struct {
        const char *line, *message, *hint;
    } cases[] = {
        {"moat --formt csv", "unknown option \"--formt\"", "did you mean \"--format\"?"},
        {"moat --wherehouse=x", "unknown option \"--wherehouse=x\"",
         "did you mean \"--warehouse\"?"},
        {"moat -z", "unknown option \"-z\"", "`moat --help` lists the options"},
        {"moat --format xml", "--format cannot be \"xml\"",
         "allowed: table, csv, json, jsonl, markdown, arrow or parquet"},
        {"moat -c", "a value must follow \"-c\"", "`moat --help` shows examples"},
        {"moat --quiet=1", "an option that takes no value was given one: \"--quiet=1\"",
         "leave out what follows \"=\""},
        {"moat polcy plan x", "unknown command \"polcy\"", "did you mean \"moat policy plan\"?"},
        {"moat audit verfy", "unknown command \"audit verfy\"",
         "did you mean \"moat audit verify\"?"},
        {"moat iceberg inspect", "a table must follow \"inspect\"",
         "its folder, or a metadata file; see moat iceberg --help"},
        {"moat policy plan", "a file must follow \"plan\"",
         "such as: moat policy plan policies.yaml"},
        {"moat init a b", "unexpected word \"b\"", "`moat --help` shows what each command takes"},
        {"moat --explain", "an option of `moat config` was given without it: \"--explain\"",
         "write: moat config --explain"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct cli_options options;
        struct errinfo info;
        CHECK_ERR(ERR_INVALID, parse(&options, &info, cases[i].line));
        CHECK_STR(cases[i].message, info.message);
        CHECK_STR(cases[i].hint, info.hint);
    }
    struct cli_options options;
    CHECK_OK(parse(&options, NULL, ""));
}
