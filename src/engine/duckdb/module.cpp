/* The module's table, and an engine: a database in memory that is fenced in before any statement
 * of a user can reach it.
 *
 * Order matters (what is set too late is refused): spill folder and limits, our file system, our
 * functions, the fence (only moat:// may be opened), and last the lock on all settings. */
#include "engine/duckdb/module.hpp"
#include "engine/duckdb/geometry.hpp"
#include "engine/duckdb/instants.hpp"

#include <duckdb/main/database.hpp>
#include <duckdb/main/valid_checker.hpp>
#include <duckdb/storage/buffer_manager.hpp>

#include <cstdint>
#include <unistd.h>

extern "C" {
#include "base/hash.h"
}

namespace moat
{

using duckdb::Value;
using std::string;

static uint64_t default_memory_bytes()
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_bytes <= 0) {
        return 1u << 30;
    }
    return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes) / 10 * 6;
}

static string random_name()
{
    uint8_t random[16];
    char name[2 * sizeof(random) + 1];
    enum err err = random_bytes(random, sizeof(random));
    if (err != ERR_OK) {
        throw_err(err, nullptr, "no random bytes to name the engine's spill folder with", "");
    }
    hash_hex(random, sizeof(random), name);
    return name;
}

static void configure(const struct engine &engine, const string &spill_name,
                      duckdb::DBConfig &config)
{
    config.SetOptionByName("memory_limit", Value(std::to_string(engine.memory_bytes_max != 0
                                                                    ? engine.memory_bytes_max
                                                                    : default_memory_bytes()) +
                                                 "B"));
    if (engine.thread_count != 0) {
        config.SetOptionByName("threads", Value::BIGINT(engine.thread_count));
    }
    config.SetOptionByName("temp_directory",
                           Value(engine.temp_folder.empty() && engine.spill.open == nullptr
                                     ? string()
                                     : "moat://" + spill_name));
    config.SetOptionByName("autoinstall_known_extensions", Value::BOOLEAN(false));
    config.SetOptionByName("autoload_known_extensions", Value::BOOLEAN(false));
    config.SetOptionByName("allow_community_extensions", Value::BOOLEAN(false));
    config.SetOptionByName("allow_unsigned_extensions", Value::BOOLEAN(false));
    config.SetOptionByName("allow_persistent_secrets", Value::BOOLEAN(false));
    /* Addresses are new with every grant: a cache keyed by them would only grow. */
    config.SetOptionByName("enable_external_file_cache", Value::BOOLEAN(false));
    config.options.load_extensions = true; /* json, icu and parquet, linked into the library */
}

static void run(duckdb::Connection &connection, const string &sql)
{
    auto result = connection.Query(sql);
    if (result->HasError()) {
        result->ThrowError();
    }
}

std::shared_ptr<duckdb::DuckDB> open_database(const struct engine &engine)
{
    string spill_name = random_name();
    string spill_folder =
        engine.temp_folder.empty() ? string() : engine.temp_folder + "/moat-spill-" + spill_name;
    if (engine.spill.open != nullptr) {
        spill_folder = "spill";
    }
    duckdb::DBConfig config;
    configure(engine, spill_name, config);
    auto database = std::make_shared<duckdb::DuckDB>(nullptr, &config);
    database->instance->GetFileSystem().RegisterSubSystem(
        make_file_system(engine.grants, spill_name, spill_folder, engine.spill));

    duckdb::Connection connection(*database);
    register_functions(connection, engine.key);
    register_casts(connection);
    guard_statistics(connection);
    guard_variants(connection);
    register_geometry(connection);
    register_instants(connection);
    register_files(connection);
    register_scan(connection);
    register_rows(connection);
    /* Only now: the engine forgets this limit when it is given before there is a database. */
    uint64_t spill_bytes_max =
        engine.temp_bytes_max != 0 ? engine.temp_bytes_max : static_cast<uint64_t>(INT64_MAX);
    run(connection, "SET max_temp_directory_size = '" + std::to_string(spill_bytes_max) + "B'");
    run(connection, "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL Calendar = 'gregorian';"
                    "SET allowed_directories = ['moat://'];"
                    "SET enable_external_access = false;"
                    "SET lock_configuration = true");
    return database;
}

static enum err open(const struct engine_options *options, struct engine **ret_engine,
                     struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        auto engine = std::make_unique<struct engine>();
        engine->grants = std::make_shared<grant_registry>();
        engine->key = std::make_shared<mask_key>(options->mask_key, options->mask);
        engine->memory_bytes_max = options->memory_bytes_max;
        engine->thread_count = options->thread_count;
        engine->temp_folder = options->temp_folder == nullptr ? "" : options->temp_folder;
        engine->temp_bytes_max = options->temp_bytes_max;
        if (options->spill != nullptr) {
            engine->spill = *options->spill;
        }
        engine->database = open_database(*engine);
        *ret_engine = engine.release();
        return ERR_OK;
    });
}

static void close(struct engine *engine) noexcept
{
    try {
        delete engine;
    } catch (...) {
        /* Closing frees memory and removes spill files; what fails in it has no one to go to. */
    }
}

static const char *version_text(UNUSED const struct engine *engine) noexcept
{
    return duckdb::DuckDB::LibraryVersion();
}

static uint64_t memory_bytes(struct engine *engine) noexcept
{
    std::lock_guard<std::mutex> held(engine->lock);
    return duckdb::BufferManager::GetBufferManager(*engine->database->instance).GetUsedMemory();
}

extern const struct engine_module_ops module_table = {
    ENGINE_MODULE_VERSION,
    sizeof(struct engine_module_ops),
    open,
    close,
    version_text,
    memory_bytes,
    session_open,
    session_close,
    session_cancel,
    session_ready,
    session_set_memory,
    parse,
    deparse,
    functions,
    describe,
    describe_parameters,
    explain,
    grant_open,
    grant_close,
    grant_uri,
    grant_uri_out,
    grant_uri_scan,
    grant_uri_rows,
    grant_count,
    query_open,
    query_column_count,
    query_column,
    query_schema,
    query_next,
    query_cancel,
    query_progress,
    query_close,
};

} // namespace moat

extern "C" __attribute__((visibility("default"))) const struct engine_module_ops *
moat_engine_module(void);

const struct engine_module_ops *moat_engine_module(void)
{
    return &moat::module_table;
}
