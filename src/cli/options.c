#include "cli/options.h"

/* getopt_long was tried: it permutes, abbreviates and reports by itself, and cannot say "did you
 * mean". */

const char options_help[] =
    "moat: SQL over your own data, every query as the person who asked\n"
    "\n"
    "  moat                                  open a shell (\\? helps there, \\q leaves)\n"
    "  moat -c 'SELECT 1'                    run SQL; repeat -c or separate statements with ;\n"
    "  moat -f report.sql                    run a file; - is standard input\n"
    "  echo 'SELECT 1' | moat                run standard input\n"
    "\n"
    "Try it:\n"
    "  moat init                             make the warehouse ~/.moat; it belongs to you\n"
    "  moat -c \"CREATE EXTERNAL TABLE flights LOCATION 'flights/*.parquet'\"\n"
    "  moat -c \"CREATE USER amelia; GRANT SELECT ON flights TO USER amelia ROWS WHERE origin = "
    "'JFK'\"\n"
    "  moat --as amelia -c 'SELECT count(*) FROM flights'\n"
    "  moat --format csv -o delays.csv -c 'SELECT origin, avg(delay) FROM flights GROUP BY 1'\n"
    "\n"
    "Whose data, and where:\n"
    "  --connect URL         ask a server: postgres://, https:// or "
    "grpc+tls://[person@]host[:port]\n"
    "  --password-file FILE  the password for it is in FILE; - is a line of standard input\n"
    "  --as NAME             ask as another person; for the warehouse's owner, and audited as "
    "such\n"
    "  --token-file FILE     ask as whose token is in FILE, and catalogs with it; - asks for it\n"
    "  --warehouse DIR       the warehouse's folder (~/.moat)\n"
    "  --config FILE         a configuration file instead of DIR/moat.yaml\n"
    "  --set KEY=VALUE       one configuration value, such as engine.memory=4GiB; repeatable\n"
    "\n"
    "What comes out:\n"
    "  --format F            table, csv, json, jsonl, markdown, arrow or parquet\n"
    "                        (table on a terminal, csv elsewhere)\n"
    "  -o, --output FILE     write results to FILE\n"
    "  --no-header           leave out the line of column names\n"
    "  --timing              say how long each statement took\n"
    "  -q, --quiet           results and errors only\n"
    "  --color WHEN          auto, always or never (NO_COLOR is honoured)\n"
    "  --keep-going          go on after a statement that fails\n"
    "\n"
    "Other commands:\n"
    "  moat serve                            for psql and other clients of PostgreSQL\n"
    "  moat init [DIR]                       make a warehouse\n"
    "  moat config --explain                 every key: value, default, unit, where it came from\n"
    "  moat config --reference               the page docs/configuration.md\n"
    "  moat audit verify [DIR]               find any cut, edit or reorder in the audit trail\n"
    "  moat audit accept-loss [DIR]          go on after records of it are gone; is recorded\n"
    "  moat policy validate|plan|apply FILE  policies kept in a YAML file\n"
    "  moat iceberg inspect|validate PATH    an Iceberg table: what it is made of, whether it is "
    "whole\n"
    "  moat kv get|put|scan|load|stats|verify DIR  a store of key-value pairs by hand\n"
    "  moat --version, moat --help, moat iceberg --help, moat kv --help\n"
    "\n"
    "Exit codes: 0 ok, 1 a statement failed, 2 usage, 3 the warehouse cannot be opened,\n"
    "4 configuration, 5 the audit trail is not intact, 6 a table is not valid, 130 cancelled.\n";

static const char *const format_names[OUTPUT_COUNT] = {"table",    "csv",   "json",   "jsonl",
                                                       "markdown", "arrow", "parquet"};

bool options_find_format(struct slice name, enum cli_format *ret_format)
{
    for (size_t i = 0; i < OUTPUT_COUNT; i++) {
        if (slice_equal_fold(name, slice_of(format_names[i]))) {
            *ret_format = (enum cli_format)i;
            return true;
        }
    }
    return false;
}

const char *options_format_name(enum cli_format format)
{
    return format_names[format];
}

enum option_id {
    OPTION_COMMAND,
    OPTION_FILE,
    OPTION_AS,
    OPTION_CONNECT,
    OPTION_PASSWORD_FILE,
    OPTION_TOKEN_FILE,
    OPTION_WAREHOUSE,
    OPTION_CONFIG,
    OPTION_SET,
    OPTION_FORMAT,
    OPTION_OUTPUT,
    OPTION_NO_HEADER,
    OPTION_TIMING,
    OPTION_QUIET,
    OPTION_COLOR,
    OPTION_KEEP_GOING,
    OPTION_VERSION,
    OPTION_HELP,
    OPTION_EXPLAIN,
    OPTION_REFERENCE,
};

static const struct option_entry {
    const char *name;
    char letter;
    bool takes_value;
    enum option_id id;
} option_entries[] = {
    {"command", 'c', true, OPTION_COMMAND},
    {"file", 'f', true, OPTION_FILE},
    {"as", 0, true, OPTION_AS},
    {"connect", 0, true, OPTION_CONNECT},
    {"password-file", 0, true, OPTION_PASSWORD_FILE},
    {"token-file", 0, true, OPTION_TOKEN_FILE},
    {"warehouse", 0, true, OPTION_WAREHOUSE},
    {"config", 0, true, OPTION_CONFIG},
    {"set", 0, true, OPTION_SET},
    {"format", 0, true, OPTION_FORMAT},
    {"output", 'o', true, OPTION_OUTPUT},
    {"no-header", 0, false, OPTION_NO_HEADER},
    {"timing", 0, false, OPTION_TIMING},
    {"quiet", 'q', false, OPTION_QUIET},
    {"color", 0, true, OPTION_COLOR},
    {"keep-going", 0, false, OPTION_KEEP_GOING},
    {"version", 'V', false, OPTION_VERSION},
    {"help", 'h', false, OPTION_HELP},
    {"explain", 0, false, OPTION_EXPLAIN},
    {"reference", 0, false, OPTION_REFERENCE},
};

struct parser {
    int argc;
    char **argv;
    int at;
    struct cli_options *options;
    const char *words[4]; /* subcommand and operands */
    size_t word_count;
    bool explain, reference, help, version;
    struct errinfo *info;
};

static enum err usage(const struct parser *parser, const char *problem, const char *word,
                      const char *hint)
{
    enum err err = errinfo_set(parser->info, ERR_INVALID, "22023", "%s \"%.200s\"", problem, word);
    errinfo_hint(parser->info, "%s", hint);
    return err;
}

static enum err unknown_option(const struct parser *parser, const char *word)
{
    size_t dashes = word[1] == '-' ? 2 : 1;
    const char *equals = strchr(word, '=');
    struct slice name = {word + dashes,
                         equals == NULL ? strlen(word + dashes) : (size_t)(equals - word) - dashes};
    const char *nearest = NULL;
    unsigned best = name.len < 4 ? 2 : 3; /* two edits make another word of a short one */
    for (size_t i = 0; i < ARRAY_COUNT(option_entries); i++) {
        unsigned distance = slice_edit_distance(name, slice_of(option_entries[i].name), 2);
        if (distance < best) {
            best = distance;
            nearest = option_entries[i].name;
        }
    }
    enum err err =
        errinfo_set(parser->info, ERR_INVALID, "22023", "unknown option \"%.200s\"", word);
    if (nearest != NULL) {
        errinfo_hint(parser->info, "did you mean \"--%s\"?", nearest);
    } else {
        errinfo_hint(parser->info, "`moat --help` lists the options");
    }
    return err;
}

static void add_script(struct cli_options *options, bool is_file, const char *text)
{
    options->scripts[options->script_count++] = (struct cli_script){is_file, text};
}

static enum err take_color(struct parser *parser, const char *value)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            parser->options->color = (enum cli_color)i;
            return ERR_OK;
        }
    }
    return usage(parser, "--color cannot be", value, "allowed: auto, always or never");
}

static enum err take_option(struct parser *parser, enum option_id id, const char *value)
{
    struct cli_options *options = parser->options;
    switch (id) {
    case OPTION_COMMAND:
    case OPTION_FILE:
        add_script(options, id == OPTION_FILE, value);
        break;
    case OPTION_AS:
        options->as = value;
        return value[0] != '\0'
                   ? ERR_OK
                   : usage(parser, "--as needs a name, not", value, "name a user of the warehouse");
    case OPTION_CONNECT:
        options->connect = value;
        return value[0] != '-' ? ERR_OK
                               : usage(parser, "--connect needs an address, not", value,
                                       "name it: --connect postgres://amelia@moat.example.com");
    case OPTION_PASSWORD_FILE:
        options->password = value;
        break;
    case OPTION_TOKEN_FILE:
        options->token = value;
        break;
    case OPTION_WAREHOUSE:
        options->warehouse = value;
        break;
    case OPTION_CONFIG:
        options->config = value;
        break;
    case OPTION_SET:
        options->sets[options->set_count++] = value;
        break;
    case OPTION_FORMAT:
        options->format_given = true;
        return options_find_format(slice_of(value), &options->format)
                   ? ERR_OK
                   : usage(parser, "--format cannot be", value,
                           "allowed: table, csv, json, jsonl, markdown, arrow or parquet");
    case OPTION_OUTPUT:
        options->output = value;
        break;
    case OPTION_COLOR:
        return take_color(parser, value);
    case OPTION_NO_HEADER:
        options->no_header = true;
        break;
    case OPTION_TIMING:
        options->is_timed = true;
        break;
    case OPTION_QUIET:
        options->is_quiet = true;
        break;
    case OPTION_KEEP_GOING:
        options->keep_going = true;
        break;
    case OPTION_VERSION:
        parser->version = true;
        break;
    case OPTION_HELP:
        parser->help = true;
        break;
    case OPTION_EXPLAIN:
        parser->explain = true;
        break;
    case OPTION_REFERENCE:
        parser->reference = true;
        break;
    }
    return ERR_OK;
}

static bool matches(const struct option_entry *entry, const char *word, const char **ret_value)
{
    *ret_value = NULL;
    if (word[1] != '-') {
        *ret_value = word[2] == '\0' ? NULL : word + 2; /* -cSQL */
        return entry->letter != 0 && word[1] == entry->letter &&
               (word[2] == '\0' || entry->takes_value);
    }
    size_t len = strlen(entry->name);
    if (strncmp(word + 2, entry->name, len) != 0 ||
        (word[2 + len] != '\0' && word[2 + len] != '=')) {
        return false;
    }
    *ret_value = word[2 + len] == '=' ? word + 3 + len : NULL;
    return true;
}

static enum err parse_option(struct parser *parser, const char *word)
{
    for (size_t i = 0; i < ARRAY_COUNT(option_entries); i++) {
        const struct option_entry *entry = &option_entries[i];
        const char *value;
        if (!matches(entry, word, &value)) {
            continue;
        }
        if (!entry->takes_value && value != NULL) {
            return usage(parser, "an option that takes no value was given one:", word,
                         "leave out what follows \"=\"");
        }
        if (entry->takes_value && value == NULL) {
            if (parser->at >= parser->argc) {
                return usage(parser, "a value must follow", word, "`moat --help` shows examples");
            }
            value = parser->argv[parser->at++];
        }
        return take_option(parser, entry->id, value);
    }
    return unknown_option(parser, word);
}

static const struct command_entry {
    const char *words[2];
    enum cli_command command;
    unsigned operands_min, operands_max;
} command_entries[] = {
    {{"init", NULL}, COMMAND_INIT, 0, 1},
    {{"serve", NULL}, COMMAND_SERVE, 0, 0},
    {{"help", NULL}, COMMAND_HELP, 0, 0},
    {{"version", NULL}, COMMAND_VERSION, 0, 0},
    {{"config", NULL}, COMMAND_CONFIG_EXPLAIN, 0, 0},
    {{"audit", "verify"}, COMMAND_AUDIT_VERIFY, 0, 1},
    {{"audit", "accept-loss"}, COMMAND_AUDIT_ACCEPT_LOSS, 0, 1},
    {{"policy", "validate"}, COMMAND_POLICY_VALIDATE, 1, 1},
    {{"policy", "plan"}, COMMAND_POLICY_PLAN, 1, 1},
    {{"policy", "apply"}, COMMAND_POLICY_APPLY, 1, 1},
    {{"iceberg", "inspect"}, COMMAND_ICEBERG_INSPECT, 1, 1},
    {{"iceberg", "validate"}, COMMAND_ICEBERG_VALIDATE, 1, 1},
    {{"iceberg", "help"}, COMMAND_ICEBERG_HELP, 0, 0},
};

static enum err unknown_command(const struct parser *parser)
{
    const struct command_entry *nearest = NULL;
    unsigned best = 3;
    bool is_first_known = false;
    for (size_t i = 0; i < ARRAY_COUNT(command_entries); i++) {
        const struct command_entry *entry = &command_entries[i];
        is_first_known = is_first_known || strcmp(parser->words[0], entry->words[0]) == 0;
        unsigned distance =
            slice_edit_distance(slice_of(parser->words[0]), slice_of(entry->words[0]), 2);
        if (entry->words[1] != NULL && parser->word_count > 1) {
            distance +=
                slice_edit_distance(slice_of(parser->words[1]), slice_of(entry->words[1]), 2);
        }
        if (distance < best) {
            best = distance;
            nearest = entry;
        }
    }
    bool is_second = is_first_known && parser->word_count > 1;
    enum err err =
        errinfo_set(parser->info, ERR_INVALID, "22023", "unknown command \"%.100s%s%.100s\"",
                    parser->words[0], is_second ? " " : "", is_second ? parser->words[1] : "");
    if (nearest != NULL) {
        errinfo_hint(parser->info, "did you mean \"moat %s%s%s\"?", nearest->words[0],
                     nearest->words[1] == NULL ? "" : " ",
                     nearest->words[1] == NULL ? "" : nearest->words[1]);
    } else {
        errinfo_hint(parser->info, "to run SQL, write moat -c 'SELECT ...'; `moat --help` lists "
                                   "the commands");
    }
    return err;
}

static enum err find_command(struct parser *parser)
{
    for (size_t i = 0; i < ARRAY_COUNT(command_entries); i++) {
        const struct command_entry *entry = &command_entries[i];
        size_t words = entry->words[1] == NULL ? 1 : 2;
        if (strcmp(parser->words[0], entry->words[0]) != 0 ||
            (words == 2 &&
             (parser->word_count < 2 || strcmp(parser->words[1], entry->words[1]) != 0))) {
            continue;
        }
        size_t operands = parser->word_count - words;
        if (operands < entry->operands_min) {
            bool is_table = strcmp(entry->words[0], "iceberg") == 0;
            return usage(parser, is_table ? "a table must follow" : "a file must follow",
                         parser->words[words - 1],
                         is_table ? "its folder, or a metadata file; see moat iceberg --help"
                                  : "such as: moat policy plan policies.yaml");
        }
        if (operands > entry->operands_max) {
            return usage(parser, "unexpected word", parser->words[words + entry->operands_max],
                         "`moat --help` shows what each command takes");
        }
        parser->options->command = entry->command;
        parser->options->operand = operands > 0 ? parser->words[words] : NULL;
        return ERR_OK;
    }
    return unknown_command(parser);
}

/* A token is one person's, for as long as the program runs. */
static enum err settle_token(struct parser *parser)
{
    const struct cli_options *options = parser->options;
    if (options->token == NULL) {
        return ERR_OK;
    }
    if (options->as != NULL) {
        return usage(parser, "a token says who asks; it does not go with --as", options->as,
                     "leave one of them out");
    }
    switch (options->command) {
    case COMMAND_SQL:
    case COMMAND_POLICY_VALIDATE:
    case COMMAND_POLICY_PLAN:
    case COMMAND_POLICY_APPLY:
        return ERR_OK;
    case COMMAND_HELP:
    case COMMAND_VERSION:
    case COMMAND_CONFIG_EXPLAIN:
    case COMMAND_CONFIG_REFERENCE:
    case COMMAND_AUDIT_VERIFY:
    case COMMAND_AUDIT_ACCEPT_LOSS:
    case COMMAND_INIT:
    case COMMAND_SERVE:
    case COMMAND_ICEBERG_HELP:
    case COMMAND_ICEBERG_INSPECT:
    case COMMAND_ICEBERG_VALIDATE:
        break;
    }
    return usage(parser, "nobody signs in for the command", parser->words[0],
                 "leave --token-file out");
}

/* A server has a warehouse, a configuration and people of its own. */
static enum err settle_connect(struct parser *parser)
{
    const struct cli_options *options = parser->options;
    if (options->connect == NULL) {
        return options->password == NULL
                   ? ERR_OK
                   : usage(parser, "a password is for a server:", "--password-file",
                           "name it: --connect postgres://amelia@moat.example.com");
    }
    const char *other = options->as != NULL          ? "--as"
                        : options->warehouse != NULL ? "--warehouse"
                        : options->config != NULL    ? "--config"
                        : options->set_count > 0     ? "--set"
                                                     : NULL;
    if (other != NULL) {
        return usage(parser, "of a server's own, which --connect cannot change, is", other,
                     "leave one of them out");
    }
    if (options->command != COMMAND_SQL) {
        return usage(parser, "this is not done over a connection:", parser->words[0],
                     "--connect runs SQL: the shell, -c, -f, standard input");
    }
    if (options->token != NULL && options->password != NULL) {
        return usage(parser, "a token does not go with", "--password-file",
                     "leave one of them out");
    }
    return ERR_OK;
}

static enum err settle(struct parser *parser)
{
    struct cli_options *options = parser->options;
    if (parser->help || parser->version) {
        bool is_iceberg = parser->word_count > 0 && strcmp(parser->words[0], "iceberg") == 0;
        options->command = !parser->help ? COMMAND_VERSION
                           : is_iceberg  ? COMMAND_ICEBERG_HELP
                                         : COMMAND_HELP;
        return ERR_OK;
    }
    if (parser->word_count > 0) {
        TRY(find_command(parser));
    }
    bool is_config = options->command == COMMAND_CONFIG_EXPLAIN;
    if ((parser->explain || parser->reference) && !is_config) {
        return usage(parser, "an option of `moat config` was given without it:",
                     parser->explain ? "--explain" : "--reference", "write: moat config --explain");
    }
    if (is_config && parser->reference) {
        options->command = COMMAND_CONFIG_REFERENCE;
    }
    if (options->command != COMMAND_SQL && options->script_count > 0) {
        return usage(parser, "-c and -f do not go with the command", parser->words[0],
                     "run them in two calls");
    }
    TRY(settle_connect(parser));
    return settle_token(parser);
}

enum err options_parse(int argc, char **argv, struct arena *arena, struct cli_options *ret_options,
                       struct errinfo *info)
{
    struct cli_options options = {0};
    size_t count = argc > 0 ? (size_t)argc : 1;
    options.scripts = arena_calloc(arena, count, sizeof(*options.scripts));
    options.sets = arena_calloc(arena, count + 1, sizeof(*options.sets));
    if (options.scripts == NULL || options.sets == NULL) {
        return errinfo_nomem(info);
    }
    struct parser parser = {.argc = argc, .argv = argv, .at = 1, .options = &options, .info = info};
    bool is_words_only = false;
    while (parser.at < argc) {
        const char *word = argv[parser.at++];
        if (!is_words_only && strcmp(word, "--") == 0) {
            is_words_only = true;
        } else if (!is_words_only && word[0] == '-' && word[1] != '\0') {
            TRY(parse_option(&parser, word));
        } else if (parser.word_count == ARRAY_COUNT(parser.words)) {
            return usage(&parser, "unexpected word", word, "`moat --help` shows what is allowed");
        } else {
            parser.words[parser.word_count++] = word;
        }
    }
    TRY(settle(&parser));
    *ret_options = options;
    return ERR_OK;
}
