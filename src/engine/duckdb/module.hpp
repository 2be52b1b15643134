/* What the files of the engine module share. The only C++ of the tree: DuckDB's C interface has no
 * file systems, no way to stream large batches and no error types.
 *
 * No exception leaves the module: every function of the table in engine_module.h is a lambda inside
 * guarded(), which turns what was thrown into an `enum err`. DuckDB's headers come first, because
 * base/banned.h renames C functions that the C++ library still wants to declare. */
#pragma once

#include <duckdb.hpp>

#include <duckdb/common/error_data.hpp>
#include <duckdb/execution/expression_executor.hpp>
#include <duckdb/main/client_context.hpp>
#include <duckdb/main/config.hpp>
#include <duckdb/main/pending_query_result.hpp>

/* Its SHA-256 states can be copied for nothing, which the interface that replaces it lacks. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/duckdb/grants.hpp"

namespace moat
{

/* ---- errors (error.cpp) ---- */

/* What a failed callback said, carried through DuckDB as extra information of an exception. */
[[noreturn]] void throw_errinfo(enum err code, const struct errinfo &info);
[[noreturn]] void throw_err(enum err code, const char *sqlstate, const std::string &message,
                            const std::string &hint);

/* Fills `info` from an error of the engine and returns the outcome that fits. */
enum err report(const duckdb::ErrorData &error, struct errinfo *info);

/* Inside a catch block: turns the exception in flight into a report. Never throws. */
enum err report_current(struct errinfo *info) noexcept;

template <class Body> enum err guarded(struct errinfo *info, Body &&body) noexcept
{
    try {
        return body();
    } catch (...) {
        return report_current(info);
    }
}

/* Every moat:// address in `text` becomes the word file: an address is a secret of its query. */
std::string without_addresses(const std::string &text);

/* ---- file system (filesystem.cpp) ---- */

/* Serves moat://. `spill_name` empty means no spilling; files of it come from `spill`, or if that
 * has no functions lie in `spill_folder`. */
duckdb::unique_ptr<duckdb::FileSystem> make_file_system(std::shared_ptr<grant_registry> grants,
                                                        std::string spill_name,
                                                        std::string spill_folder,
                                                        const struct engine_spill &spill);

/* The files of `spill` under the folder "spill" (spill.cpp). */
duckdb::unique_ptr<duckdb::FileSystem> make_spill_system(const struct engine_spill &spill);

/* True if the address is of an object of an open grant whose bounds anybody may plan with. */
bool tells_statistics(grant_registry &grants, const std::string &path);

/* ---- statistics (statistics.cpp) ---- */

/* Before the database is shared: bounds of files reach plans only where nothing is hidden. */
void guard_statistics(duckdb::Connection &connection);

/* ---- scans (scan.cpp) ---- */

/* The grant whose scan `path` ("moat://<grant>/s<index>") names; null if there is none. */
std::shared_ptr<grant_state> find_scan(grant_registry &grants, const std::string &path,
                                       size_t *ret_index);

/* moat_scan, made of the engine's own Parquet scan: after guard_statistics. */
void register_scan(duckdb::Connection &connection);

/* ---- rows of the program (rows.cpp) ---- */

/* moat_rows: the rows of a grant, over the engine's own reading of Arrow. */
void register_rows(duckdb::Connection &connection);

/* ---- functions (functions.cpp) ---- */

/* The key, or who has it. */
struct mask_key {
    mask_key(struct slice bytes, const struct engine_mask *other);
    ~mask_key(); /* wipes */
    mask_key(const mask_key &) = delete;
    mask_key &operator=(const mask_key &) = delete;

    SHA256_CTX inner;
    SHA256_CTX outer;
    struct engine_mask other = {}; /* hash != nullptr: asked instead */
};

void register_functions(duckdb::Connection &connection, const std::shared_ptr<mask_key> &key);

/* trino.cpp */
std::vector<duckdb::ScalarFunction> trino_functions();

/* numeric.cpp */
duckdb::ScalarFunction numeric_function();
/* Of what has no scale of its own. */
duckdb::LogicalType numeric_type();

/* ---- casts (casts.cpp) ---- */

/* From text, for the types whose casts in the engine are lax. */
void register_casts(duckdb::Connection &connection);

/* ---- VARIANT (variant.cpp) ---- */

/* Before the database is shared: none loses a field when it is written to Parquet, and none is made
 * of JSON that is deeper than the stack. */
void guard_variants(duckdb::Connection &connection);

/* ---- files in order (files.cpp) ---- */

/* FORMAT moat_files, made of the engine's own Parquet writer: after guard_variants. */
void register_files(duckdb::Connection &connection);

/* ---- statements (session.cpp) ---- */

/* Our own flag, since the engine clears its own at the start of each statement: a cancel that comes
 * just before would be lost. Shared with the files that the session opens. */
using cancel_flag = std::shared_ptr<std::atomic<bool>>;

/* The flag of the session that the engine works for; null if it is none of ours. */
cancel_flag cancel_flag_of(duckdb::ClientContext &context);

/* The grants that the session may have; null as above. */
std::shared_ptr<grant_registry> registry_of(duckdb::ClientContext &context);

/* Called before and right after the engine has cleared its own flag. */
void throw_if_cancelled(const struct engine_session &session);

/* A function of one argument, bound on first use. */
struct scalar_call {
    duckdb::unique_ptr<duckdb::Expression> expression;
    duckdb::unique_ptr<duckdb::ExpressionExecutor> executor;
};

/* Waits for what other threads of the engine do: first lets them have the processor, then sleeps
 * longer and longer. Left to itself the engine asks again without a pause, which on a busy machine
 * takes the processor from the very thread that it waits for. */
class patience
{
  public:
    void wait();
    void reset()
    {
        waits = 0;
    }

  private:
    unsigned waits = 0;
};

/* Runs what is pending until its result can be had, and gives it; an error is in the result. */
duckdb::unique_ptr<duckdb::QueryResult> run_pending(duckdb::PendingQueryResult &pending);

/* Binds and plans a statement of the session on one of its connections; throws if it cannot. */
duckdb::unique_ptr<duckdb::PreparedStatement>
prepare_statement(const struct engine_session &session, duckdb::Connection &connection,
                  duckdb::unique_ptr<duckdb::SQLStatement> statement);

/* Values of parameters by name, in the place of these. */
using value_map = duckdb::case_insensitive_map_t<duckdb::BoundParameterData>;
void inline_values(duckdb::QueryNode &node, const value_map &values);
/* A column or a parameter of it has no type as long as it has no values. */
bool has_unknown_type(duckdb::PreparedStatement &prepared);

/* The text as a string; throws for NUL and for bytes that are no UTF-8. */
std::string checked_text(struct slice text);

/* The one statement of `sql`: a SELECT or, if allowed, COPY TO. Throws for anything else. */
duckdb::unique_ptr<duckdb::SQLStatement> parse_one(duckdb::ClientContext &context, struct slice sql,
                                                   bool may_copy);

} // namespace moat

/* ---- the handles of engine.h: the table first, by which the loader finds its way ---- */

namespace moat
{
extern const struct engine_module_ops module_table;
}

struct engine {
    const struct engine_module_ops *const ops = &moat::module_table;
    std::shared_ptr<moat::grant_registry> grants;
    std::shared_ptr<moat::mask_key> key;
    uint64_t memory_bytes_max = 0;
    unsigned thread_count = 0;
    std::string temp_folder;
    uint64_t temp_bytes_max = 0;
    struct engine_spill spill = {}; /* open != nullptr: instead of the folder */

    std::mutex lock;
    std::shared_ptr<duckdb::DuckDB> database; /* under lock; replaced once it is invalidated */
};

struct engine_session {
    engine_session(struct engine *engine, std::shared_ptr<duckdb::DuckDB> database);

    const struct engine_module_ops *const ops = &moat::module_table;
    struct engine *const engine;
    const std::shared_ptr<duckdb::DuckDB> database;
    duckdb::Connection main; /* runs the query */
    duckdb::Connection side; /* parses and describes, since a second statement on a connection
                                silently kills the stream that is open on it */
    moat::scalar_call serialize;
    moat::scalar_call deserialize;
    const moat::cancel_flag is_cancelled;
    bool has_query = false;
};

struct engine_grant {
    const struct engine_module_ops *ops = &moat::module_table;
    std::shared_ptr<moat::grant_state> state;
    std::shared_ptr<moat::grant_registry> registry;
};

/* ---- functions of the table, by file ---- */

namespace moat
{

/* The person of each call is checked above: in this process they all end here. */
enum err session_open(struct engine *, const struct identity *, struct engine_session **,
                      struct errinfo *) noexcept;
void session_close(struct engine_session *) noexcept;
void session_cancel(struct engine_session *) noexcept;
void session_ready(struct engine_session *) noexcept;
void session_set_memory(struct engine_session *, uint64_t memory_bytes_max) noexcept;
enum err parse(struct engine_session *, struct slice, struct buf *, struct errinfo *) noexcept;
enum err deparse(struct engine_session *, struct slice, struct buf *, struct errinfo *) noexcept;
enum err functions(struct engine_session *, struct buf *, struct errinfo *) noexcept;
enum err describe(struct engine_session *, const struct identity *, struct slice, struct arena *,
                  struct engine_column **, size_t *, struct errinfo *) noexcept;
enum err describe_parameters(struct engine_session *, const struct identity *, struct slice,
                             struct arena *, struct slice **, size_t *, struct errinfo *) noexcept;
enum err explain(struct engine_session *, const struct identity *, struct slice, bool, struct buf *,
                 struct errinfo *) noexcept;

enum err grant_open(struct engine *, const struct identity *, const struct engine_grant_spec *,
                    struct engine_grant **, struct errinfo *) noexcept;
void grant_close(struct engine_grant *) noexcept;
void grant_uri(const struct engine_grant *, size_t, struct buf *) noexcept;
void grant_uri_out(const struct engine_grant *, size_t, struct buf *) noexcept;
void grant_uri_scan(const struct engine_grant *, size_t, struct buf *) noexcept;
void grant_uri_rows(const struct engine_grant *, struct buf *) noexcept;
struct engine_grant_counters grant_count(const struct engine_grant *) noexcept;

enum err query_open(struct engine_session *, const struct identity *, struct slice,
                    const struct engine_parameter *, size_t, struct engine_query **,
                    struct errinfo *) noexcept;
size_t query_column_count(const struct engine_query *) noexcept;
struct engine_column query_column(const struct engine_query *, size_t) noexcept;
enum err query_schema(struct engine_query *, struct ArrowSchema *, struct errinfo *) noexcept;
enum err query_next(struct engine_query *, struct ArrowArray *, struct errinfo *) noexcept;
void query_cancel(struct engine_query *) noexcept;
double query_progress(struct engine_query *) noexcept;
void query_close(struct engine_query *) noexcept;

/* A database as every session of this engine needs it: opened, fenced and locked. */
std::shared_ptr<duckdb::DuckDB> open_database(const struct engine &engine);

} // namespace moat
