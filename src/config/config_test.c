#include "config/config.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"

static const char *write_file(const char *text)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/moat.yaml", test_folder());
    CHECK_OK(io_write_file_atomic(path, slice_of(text), 0600, NULL));
    return path;
}

static struct config *load(const char *file, char **environment, const char *set)
{
    struct config *config = NULL;
    struct errinfo info;
    errinfo_init(&info);
    const struct config_sources sources = {
        .file = file, .environment = environment, .sets = &set, .set_count = set != NULL};
    enum err err = config_load(&sources, &config, &info);
    if (err != ERR_OK) {
        print_error("%s\n", info.message);
    }
    CHECK_OK(err);
    return config;
}

static void refused(const char *file, char **environment, const char *set, const char *message,
                    const char *hint)
{
    struct config *config = NULL;
    struct errinfo info;
    errinfo_init(&info);
    const struct config_sources sources = {
        .file = file, .environment = environment, .sets = &set, .set_count = set != NULL};
    CHECK_ERR(ERR_INVALID, config_load(&sources, &config, &info));
    CHECK(config == NULL);
    CHECK_STR(message, info.message);
    CHECK_STR(hint, info.hint);
}

static void file_refused(const char *text, const char *message, const char *hint)
{
    refused(write_file(text), NULL, NULL, message, hint);
}

TEST(config, defaults_pass_their_own_validation)
{
    // Goal: config.def has no default out of bounds. Method: load with no source.
    struct config *config CLEANUP(config_cleanup) = load(NULL, NULL, NULL);
    CHECK(config_bytes(config, CONFIG_ENGINE_TEMP_DISK) == UINT64_C(10) << 30);
    assert_int_equal(config_duration_ms(config, CONFIG_QUERY_QUEUE_TIMEOUT), 30000);
    CHECK_STR("warn", config_text(config, CONFIG_LOG_LEVEL));
    CHECK_STR("default", config_source(config, CONFIG_LOG_LEVEL));
}

TEST(config, later_sources_win_and_are_named)
{
    const char *file = write_file("# comment\nengine:\n  memory: 1.5GiB\n  threads: 2\n"
                                  "query: {timeout: 90s}\n");
    char memory[] = "MOAT_ENGINE_THREADS=3";
    char other[] = "MOAT_CACHE=/somewhere";
    char *environment[] = {memory, other, NULL};
    struct config *config CLEANUP(config_cleanup) = load(file, environment, "query.timeout = 2m");
    CHECK(config_bytes(config, CONFIG_ENGINE_MEMORY) == UINT64_C(3) << 29);
    CHECK_STR("file moat.yaml:3", config_source(config, CONFIG_ENGINE_MEMORY));
    assert_int_equal(config_integer(config, CONFIG_ENGINE_THREADS), 3);
    CHECK_STR("environment", config_source(config, CONFIG_ENGINE_THREADS));
    assert_int_equal(config_duration_ms(config, CONFIG_QUERY_TIMEOUT), 120000);
    CHECK_STR("--set", config_source(config, CONFIG_QUERY_TIMEOUT));
}

TEST(config, misspelt_names_are_refused_with_the_nearest)
{
    file_refused("engine:\n  memroy: 1GiB\n", "moat.yaml:2: unknown key \"engine.memroy\"",
                 "did you mean \"engine.memory\"?");
    file_refused("\nenigne:\n  memory: 1GiB\n", "moat.yaml:3: unknown section \"enigne\"",
                 "did you mean \"engine\"?");
    file_refused("memory: 1GiB\n", "moat.yaml:1: unknown key \"memory\"",
                 "did you mean \"engine.memory\"?");
    refused(NULL, NULL, "engine.thread=1", "--set: unknown key \"engine.thread\"",
            "did you mean \"engine.threads\"?");
    char misspelt[] = "MOAT_ENGINE_MEMROY=1GiB";
    char *environment[] = {misspelt, NULL};
    refused(NULL, environment, NULL, "environment: unknown variable \"MOAT_ENGINE_MEMROY\"",
            "did you mean \"MOAT_ENGINE_MEMORY\"?");
    refused(NULL, NULL, "zzzzzzzzzz=1", "--set: unknown key \"zzzzzzzzzz\"",
            "`moat config --explain` lists every key");
}

TEST(config, only_sections_with_scalars_are_a_file)
{
    const char *shape = "a configuration file is sections with keys: \"engine:\", then "
                        "\"  memory: 4GiB\"";
    file_refused("- a\n", "moat.yaml:1: expected sections with keys", shape);
    file_refused("engine:\n  memory: [1]\n",
                 "moat.yaml:2: lists and aliases are not part of a configuration file", shape);
    file_refused("engine: &a\n  memory: 1\n",
                 "moat.yaml:1: anchors and tags are not part of a configuration file", shape);
    file_refused("engine:\n  memory: !!str 1\n",
                 "moat.yaml:2: anchors and tags are not part of a configuration file", shape);
    file_refused("engine:\n  memory: 1\n---\nlog:\n  level: off\n",
                 "moat.yaml:3: only one YAML document is allowed", shape);
    file_refused("engine: 3\n", "moat.yaml:1: a section needs keys below it, not a value", shape);
    file_refused("engine:\n  memory: 1\n  memory: 2\n",
                 "moat.yaml:3: \"engine.memory\" is given a second time", "");
    file_refused("engine:\n  memory:\n", "moat.yaml:2: \"engine.memory\" has no value", "");
    file_refused("engine:\n  memory:\n    deep: 1\n",
                 "moat.yaml:3: \"engine.memory\" needs one value, not a map", "");
    struct config *empty CLEANUP(config_cleanup) = load(write_file("# nothing\n"), NULL, NULL);
    CHECK(empty != NULL);
}

TEST(config, values_out_of_bounds_say_what_is_allowed)
{
    struct config *config CLEANUP(config_cleanup) = load(NULL, NULL, NULL);
    static const struct {
        enum config_key key;
        const char *value;
        const char *detail;
    } cases[] = {
        {CONFIG_ENGINE_THREADS, "1025", "allowed: a whole number, from 0 to 1024"},
        {CONFIG_ENGINE_THREADS, "-1", "allowed: a whole number, from 0 to 1024"},
        {CONFIG_ENGINE_THREADS, "", "allowed: a whole number, from 0 to 1024"},
        {CONFIG_QUERY_TIMEOUT, "30", "allowed: a duration with its unit: 500ms, 30s, 5m, 2h or 1d"},
        {CONFIG_QUERY_TIMEOUT, "9223372036854775807d",
         "allowed: a duration with its unit: 500ms, 30s, 5m, 2h or 1d"},
        {CONFIG_SQL_STATEMENT_BYTES_MAX, "65MiB",
         "allowed: a size such as 65536, 512KiB, 1.5GiB or 2GB, from 1KiB to 64MiB"},
        {CONFIG_SQL_STATEMENT_BYTES_MAX, "1.2345KiB",
         "allowed: a size such as 65536, 512KiB, 1.5GiB or 2GB, from 1KiB to 64MiB"},
        {CONFIG_SQL_STATEMENT_BYTES_MAX, "12 parsecs",
         "allowed: a size such as 65536, 512KiB, 1.5GiB or 2GB, from 1KiB to 64MiB"},
        {CONFIG_LOG_LEVEL, "loud", "allowed: debug, info, warn, error or off"},
        {CONFIG_WAREHOUSE_PATH, "~root/x", "allowed: a path; ~ at its start is the home folder"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct errinfo info;
        CHECK_ERR(ERR_INVALID,
                  config_set(config, cases[i].key, slice_of(cases[i].value), "session", &info));
        CHECK_STR(cases[i].detail, info.detail);
        CHECK_STR("default", config_source(config, cases[i].key));
    }
    struct errinfo info;
    CHECK_ERR(ERR_INVALID, config_set(config, CONFIG_LOG_LEVEL, SLICE("a\xff"), "session", &info));
    CHECK_STR("22021", info.sqlstate);
}

TEST(config, printed_values_read_back_the_same)
{
    // Goal: SHOW prints what SET takes. Method: random byte sizes and durations, there and back.
    struct config *config CLEANUP(config_cleanup) = load(NULL, NULL, NULL);
    uint64_t seed = test_seed();
    struct buf text CLEANUP(buf_fini) = {0};
    for (int i = 0; i < 2000; i++) {
        uint64_t bytes = test_random(&seed) >> (test_random_below(&seed, 62) + 2);
        bytes <<= test_random_below(&seed, 2) * 10;
        bytes &= INT64_MAX;
        buf_reset(&text);
        buf_printf(&text, "%llu", (unsigned long long)bytes);
        CHECK_OK(config_set(config, CONFIG_QUERY_BYTES_MAX, buf_slice(&text), "t", NULL));
        buf_reset(&text);
        config_print(config, CONFIG_QUERY_BYTES_MAX, &text);
        CHECK_OK(config_set(config, CONFIG_QUERY_BYTES_MAX, buf_slice(&text), "t", NULL));
        CHECK(config_bytes(config, CONFIG_QUERY_BYTES_MAX) == bytes);
    }
    CHECK_OK(config_set(config, CONFIG_QUERY_TIMEOUT, SLICE("90m"), "t", NULL));
    buf_reset(&text);
    config_print(config, CONFIG_QUERY_TIMEOUT, &text);
    CHECK_STR("90m", buf_cstr(&text));
}

TEST(config, home_is_expanded_and_copies_are_apart)
{
    struct config *config CLEANUP(config_cleanup) = load(NULL, NULL, NULL);
    struct config *copy CLEANUP(config_cleanup) = NULL;
    CHECK_OK(setenv("HOME", "/people/amelia", 1));
    CHECK_OK(config_set(config, CONFIG_WAREHOUSE_PATH, SLICE("~/lake"), "t", NULL));
    CHECK_STR("/people/amelia/lake", config_text(config, CONFIG_WAREHOUSE_PATH));
    CHECK_OK(config_copy(config, &copy, NULL));
    CHECK_OK(config_set(copy, CONFIG_WAREHOUSE_PATH, SLICE("/x"), "t", NULL));
    CHECK_STR("/people/amelia/lake", config_text(config, CONFIG_WAREHOUSE_PATH));
    CHECK(config_is_session(CONFIG_QUERY_TIMEOUT) && !config_is_session(CONFIG_ENGINE_MEMORY));
}

TEST(config, a_named_file_must_exist_and_the_usual_one_need_not)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/none.yaml", test_folder());
    struct config *config CLEANUP(config_cleanup) = NULL;
    struct config_sources sources = {.file = path};
    CHECK_ERR(ERR_NOT_FOUND, config_load(&sources, &config, NULL));
    sources.file_is_optional = true;
    CHECK_OK(config_load(&sources, &config, NULL));
}

TEST(config, explanations_name_every_key)
{
    struct config *config CLEANUP(config_cleanup) = load(NULL, NULL, "engine.threads=7");
    struct buf explained CLEANUP(buf_fini) = {0};
    struct buf reference CLEANUP(buf_fini) = {0};
    config_explain(config, &explained);
    config_reference(&reference);
    for (size_t key = 0; key < CONFIG_KEY_COUNT; key++) {
        CHECK(strstr(buf_cstr(&explained), config_name((enum config_key)key)) != NULL);
        CHECK(strstr(buf_cstr(&reference), config_name((enum config_key)key)) != NULL);
    }
    CHECK(strstr(buf_cstr(&explained), "--set") != NULL);
    CHECK(strstr(buf_cstr(&reference), "`MOAT_QUERY_PERSON_QUEUED_MAX`") != NULL);
}

TEST(config, every_failed_step_is_a_clean_error)
{
    const char *file = write_file("engine:\n  memory: 1GiB\nlog:\n  level: off\n");
    const char *set = "warehouse.path=/x";
    const struct config_sources sources = {.file = file, .sets = &set, .set_count = 1};
    struct errinfo info;
    SWEEP_ALLOC(fault)
    {
        struct config *config = NULL;
        enum err err = config_load(&sources, &config, &info);
        CHECK((err == ERR_OK) == (config != NULL));
        CHECK(err == ERR_OK || err == ERR_NOMEM || err == ERR_LIMIT);
        struct config *copy = NULL;
        if (config != NULL) {
            enum err copied = config_copy(config, &copy, &info);
            CHECK((copied == ERR_OK) == (copy != NULL));
        }
        config_free(copy);
        config_free(config);
    }
    SWEEP_IO(fault)
    {
        struct config *config = NULL;
        enum err err = config_load(&sources, &config, &info);
        CHECK((err == ERR_OK) == (config != NULL));
        config_free(config);
    }
}
