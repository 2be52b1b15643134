/* Sessions, and what they do without running anything: parse, print, describe, list functions. */
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/aggregate_function_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/macro_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/pragma_function_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/schema_catalog_entry.hpp>
#include <duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp>
#include <duckdb/function/function_binder.hpp>
#include <duckdb/main/client_context_state.hpp>
#include <duckdb/main/valid_checker.hpp>
#include <duckdb/parser/expression/window_expression.hpp>
#include <duckdb/parser/parsed_data/copy_info.hpp>
#include <duckdb/parser/parser.hpp>
#include <duckdb/parser/statement/copy_statement.hpp>
#include <duckdb/parser/statement/select_statement.hpp>
#include <duckdb/planner/expression/bound_reference_expression.hpp>

#include <chrono>
#include <thread>

extern "C" {
#include "base/arena.h"
#include "base/json.h"
}

namespace moat
{

using duckdb::Value;
using std::string;

static bool is_invalidated(duckdb::DuckDB &database)
{
    return duckdb::ValidChecker::IsInvalidated(*database.instance);
}

/* The database for a new session: a fresh one if the old has broken inside. */
static std::shared_ptr<duckdb::DuckDB> usable_database(struct engine *engine)
{
    std::lock_guard<std::mutex> held(engine->lock);
    if (is_invalidated(*engine->database)) {
        engine->database = open_database(*engine);
    }
    return engine->database;
}

enum err session_open(struct engine *engine, const struct identity *,
                      struct engine_session **ret_session, struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        auto session = std::make_unique<engine_session>(engine, usable_database(engine));
        duckdb::ClientConfig &config = session->main.context->config;
        config.enable_progress_bar = true;
        config.print_progress_bar = false;
        config.wait_time = 0;
        *ret_session = session.release();
        return ERR_OK;
    });
}

/* ---- cancelling ---- */

/* Hung into a connection, so that what the engine calls for it can ask. */
class session_state : public duckdb::ClientContextState
{
  public:
    session_state(cancel_flag flag, std::shared_ptr<grant_registry> grants_)
        : is_cancelled(std::move(flag)), grants(std::move(grants_))
    {
    }

    const cancel_flag is_cancelled;
    const std::shared_ptr<grant_registry> grants;
};

static const char SESSION_STATE[] = "moat_session";

cancel_flag cancel_flag_of(duckdb::ClientContext &context)
{
    auto state = context.registered_state->Get<session_state>(SESSION_STATE);
    return state ? state->is_cancelled : nullptr;
}

std::shared_ptr<grant_registry> registry_of(duckdb::ClientContext &context)
{
    auto state = context.registered_state->Get<session_state>(SESSION_STATE);
    return state ? state->grants : nullptr;
}

void throw_if_cancelled(const struct engine_session &session)
{
    if (*session.is_cancelled) {
        throw duckdb::InterruptException();
    }
}

void session_cancel(struct engine_session *session) noexcept
{
    *session->is_cancelled = true;
    session->main.context->Interrupt();
    session->side.context->Interrupt();
}

void session_ready(struct engine_session *session) noexcept
{
    *session->is_cancelled = false;
    session->main.context->ClearInterrupt();
    session->side.context->ClearInterrupt();
}

void session_set_memory(struct engine_session *session, uint64_t memory_bytes_max) noexcept
{
    auto &database = *session->database->instance;
    uint64_t most = session->engine->memory_bytes_max;
    uint64_t bytes = memory_bytes_max == 0 || memory_bytes_max > most ? most : memory_bytes_max;
    try {
        duckdb::BufferManager::GetBufferManager(database).SetMemoryLimit(bytes);
    } catch (...) {
        /* More is held than that: the query hears it from its first allocation. */
    }
}

void session_close(struct engine_session *session) noexcept
{
    ASSERT(!session->has_query);
    try {
        delete session;
    } catch (...) {
        /* As in closing an engine: there is no one to tell. */
    }
}

string checked_text(struct slice text)
{
    if (text.len > 0 && memchr(text.ptr, '\0', text.len) != nullptr) {
        throw_err(ERR_SYNTAX, "42601", "the statement holds a NUL byte", "");
    }
    if (!slice_is_utf8(text, nullptr)) {
        throw_err(ERR_SYNTAX, "22021", "the statement is not valid UTF-8", "");
    }
    return string(text.ptr == nullptr ? "" : text.ptr, text.len);
}

duckdb::unique_ptr<duckdb::SQLStatement> parse_one(duckdb::ClientContext &context, struct slice sql,
                                                   bool may_copy)
{
    duckdb::Parser parser(context.GetParserOptions());
    parser.ParseQuery(checked_text(sql));
    if (parser.statements.size() != 1) {
        throw_err(ERR_UNSUPPORTED, nullptr, "the engine runs one statement at a time", "");
    }
    auto statement = std::move(parser.statements[0]);
    bool is_select = statement->type == duckdb::StatementType::SELECT_STATEMENT;
    bool is_copy_out = may_copy && statement->type == duckdb::StatementType::COPY_STATEMENT &&
                       !statement->Cast<duckdb::CopyStatement>().info->is_from;
    if (!is_select && !is_copy_out) {
        throw_err(ERR_UNSUPPORTED, nullptr, "the engine runs only queries", "");
    }
    return statement;
}

/* ---- running ---- */

void patience::wait()
{
    static const unsigned yields_max = 32;
    static const unsigned sleep_us_max = 500;
    waits++;
    if (waits <= yields_max) {
        std::this_thread::yield();
        return;
    }
    unsigned sleep_us = std::min(20u * (waits - yields_max), sleep_us_max);
    std::this_thread::sleep_for(std::chrono::microseconds(sleep_us));
}

duckdb::unique_ptr<duckdb::QueryResult> run_pending(duckdb::PendingQueryResult &pending)
{
    if (pending.HasError()) {
        pending.GetErrorObject().Throw();
    }
    patience idle;
    duckdb::PendingExecutionResult state;
    while (!duckdb::PendingQueryResult::IsResultReady(state = pending.ExecuteTask())) {
        if (state == duckdb::PendingExecutionResult::BLOCKED) {
            pending.WaitForTask();
        } else if (state == duckdb::PendingExecutionResult::NO_TASKS_AVAILABLE) {
            idle.wait();
        } else {
            idle.reset();
        }
    }
    if (pending.HasError()) {
        pending.GetErrorObject().Throw();
    }
    return pending.Execute(); /* ready: only hands it over */
}

duckdb::unique_ptr<duckdb::PreparedStatement>
prepare_statement(const struct engine_session &session, duckdb::Connection &connection,
                  duckdb::unique_ptr<duckdb::SQLStatement> statement)
{
    throw_if_cancelled(session);
    auto prepared = connection.Prepare(std::move(statement));
    throw_if_cancelled(session);
    if (prepared->HasError()) {
        prepared->GetErrorObject().Throw();
    }
    return prepared;
}

/* ---- syntax trees ---- */

/* One value through a function of one argument, without a query: that would wake the engine's other
 * threads and wait for them, twice for each statement of a person. */
static string call(struct engine_session &session, scalar_call &called, const char *name,
                   const Value &argument)
{
    throw_if_cancelled(session);
    duckdb::ClientContext &context = *session.side.context;
    string out;
    context.RunFunctionInTransaction([&] {
        if (!called.executor) {
            duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> children;
            children.push_back(
                duckdb::make_uniq<duckdb::BoundReferenceExpression>(argument.type(), 0ULL));
            duckdb::ErrorData error;
            duckdb::FunctionBinder binder(context);
            auto bound =
                binder.BindScalarFunction(DEFAULT_SCHEMA, name, std::move(children), error);
            if (!bound) {
                error.Throw();
            }
            called.executor = duckdb::make_uniq<duckdb::ExpressionExecutor>(context, *bound);
            called.expression = std::move(bound);
        }
        duckdb::DataChunk input;
        input.Initialize(duckdb::Allocator::DefaultAllocator(), {argument.type()}, 1);
        input.SetValue(0, 0, argument);
        input.SetCardinality(1);
        duckdb::Vector result(called.expression->return_type);
        called.executor->ExecuteExpression(input, result);
        out = result.GetValue(0).ToString();
    });
    return out;
}

/* 1-based byte of the character with this index. */
static size_t position_of(struct slice text, uint64_t character)
{
    size_t at = 0;
    for (uint64_t seen = 0; at < text.len; at++) {
        if ((static_cast<unsigned char>(text.ptr[at]) & 0xC0) != 0x80 && seen++ == character) {
            break;
        }
    }
    return at + 1;
}

/* {"error":true,"error_type":"parser","error_message":...,"position":"7"}; the position counts
 * characters from 0. */
static enum err parse_failure(const string &document, struct slice sql, struct errinfo *info)
{
    struct arena *arena = arena_new(nullptr, "parse error", 0);
    if (arena == nullptr) {
        return errinfo_nomem(info);
    }
    struct json *root = nullptr;
    enum err err = json_parse(arena, {document.data(), document.size()}, nullptr, &root, info);
    if (err == ERR_OK) {
        struct slice type = json_get_text(root, "error_type");
        struct slice message = json_get_text(root, "error_message");
        bool is_syntax =
            slice_equal(type, SLICE("parser")) || slice_equal(type, SLICE("syntax error"));
        err = report(duckdb::ErrorData(is_syntax ? duckdb::ExceptionType::PARSER
                                                 : duckdb::ExceptionType::NOT_IMPLEMENTED,
                                       string(message.ptr, message.len)),
                     info);
        uint64_t position;
        if (slice_to_u64(json_get_text(root, "position"), &position)) {
            errinfo_position(info, position_of(sql, position));
        } else if (is_syntax && slice_find(message, SLICE("end of input")) != SIZE_MAX) {
            errinfo_position(info, sql.len + 1);
        }
    }
    arena_free(arena);
    return err;
}

enum err parse(struct engine_session *session, struct slice sql, struct buf *ret_json,
               struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        string document =
            call(*session, session->serialize, "json_serialize_sql", Value(checked_text(sql)));
        static const char failed[] = "{\"error\":true";
        if (document.compare(0, sizeof(failed) - 1, failed) == 0) {
            return parse_failure(document, sql, info);
        }
        buf_append(ret_json, document.data(), document.size());
        return buf_failed(ret_json) ? errinfo_nomem(info) : ERR_OK;
    });
}

enum err deparse(struct engine_session *session, struct slice json, struct buf *ret_sql,
                 struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        Value document(checked_text(json));
        document.Reinterpret(duckdb::LogicalType::JSON());
        string sql = call(*session, session->deserialize, "json_deserialize_sql", document);
        buf_append(ret_sql, sql.data(), sql.size());
        return buf_failed(ret_sql) ? errinfo_nomem(info) : ERR_OK;
    });
}

/* ---- describe ---- */

static bool says_type(const duckdb::LogicalType &type)
{
    switch (type.id()) {
    case duckdb::LogicalTypeId::INVALID:
    case duckdb::LogicalTypeId::UNKNOWN:
    case duckdb::LogicalTypeId::ANY:
    case duckdb::LogicalTypeId::SQLNULL:
    case duckdb::LogicalTypeId::TEMPLATE:
        return false;
    default: /* not an enum of ours, and it grows */
        return true;
    }
}

/* Where a parameter could be anything the engine knows no column at all: then NULLs take their
 * places, of the types that are known. */
static duckdb::unique_ptr<duckdb::PreparedStatement>
prepare_with_nulls(struct engine_session &session, duckdb::SQLStatement &statement,
                   duckdb::unique_ptr<duckdb::PreparedStatement> prepared)
{
    value_map nulls;
    auto expected = prepared->GetExpectedParameterTypes();
    for (auto &named : statement.named_param_map) {
        auto found = expected.find(named.first);
        bool is_known = found != expected.end() && says_type(found->second);
        nulls.emplace(named.first, duckdb::BoundParameterData(
                                       is_known ? duckdb::Value(found->second) : duckdb::Value()));
    }
    auto copy = statement.Copy();
    inline_values(*copy->Cast<duckdb::SelectStatement>().node, nulls);
    copy->named_param_map.clear();
    try {
        return prepare_statement(session, session.side, std::move(copy));
    } catch (const std::exception &) { /* something takes no NULL: what is known must do */
        return prepared;
    }
}

enum err describe(struct engine_session *session, const struct identity *, struct slice sql,
                  struct arena *arena, struct engine_column **ret_columns, size_t *ret_count,
                  struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        auto statement = parse_one(*session->side.context, sql, true);
        bool is_select = statement->type == duckdb::StatementType::SELECT_STATEMENT;
        auto copy = is_select && !statement->named_param_map.empty() ? statement->Copy() : nullptr;
        auto prepared = prepare_statement(*session, session->side, std::move(statement));
        if (copy && has_unknown_type(*prepared)) {
            prepared = prepare_with_nulls(*session, *copy, std::move(prepared));
        }
        auto &names = prepared->GetNames();
        auto &types = prepared->GetTypes();
        auto *columns = static_cast<struct engine_column *>(
            arena_calloc(arena, names.size(), sizeof(struct engine_column)));
        if (columns == nullptr) {
            return errinfo_nomem(info);
        }
        for (size_t i = 0; i < names.size(); i++) {
            string type = types[i].ToString();
            if (!arena_slice(arena, {names[i].data(), names[i].size()}, &columns[i].name) ||
                !arena_slice(arena, {type.data(), type.size()}, &columns[i].type)) {
                return errinfo_nomem(info);
            }
        }
        *ret_columns = columns;
        *ret_count = names.size();
        return ERR_OK;
    });
}

enum err describe_parameters(struct engine_session *session, const struct identity *,
                             struct slice sql, struct arena *arena, struct slice **ret_types,
                             size_t *ret_count, struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        auto statement = parse_one(*session->side.context, sql, true);
        size_t count = 0; /* up to the highest that is left */
        for (auto &named : statement->named_param_map) {
            count = std::max<size_t>(count, std::strtoul(named.first.c_str(), nullptr, 10));
        }
        auto *types =
            static_cast<struct slice *>(arena_calloc(arena, count + 1, sizeof(struct slice)));
        if (types == nullptr) {
            return errinfo_nomem(info);
        }
        auto prepared = prepare_statement(*session, session->side, std::move(statement));
        auto expected = prepared->GetExpectedParameterTypes();
        for (size_t i = 0; i < count; i++) {
            auto found = expected.find(std::to_string(i + 1));
            if (found == expected.end() || !says_type(found->second)) {
                continue;
            }
            string type = found->second.ToString();
            if (!arena_slice(arena, {type.data(), type.size()}, &types[i])) {
                return errinfo_nomem(info);
            }
        }
        *ret_types = types;
        *ret_count = count;
        return ERR_OK;
    });
}

/* ---- list of functions ---- */

static void write_line(struct buf *out, const string &name, const char *type, bool can_throw,
                       const duckdb::vector<string> &arguments)
{
    buf_append_str(out, "{\"name\":");
    json_write_string(out, {name.data(), name.size()});
    buf_printf(out, ",\"type\":\"%s\",\"can_throw\":%s,\"arguments\":[", type,
               can_throw ? "true" : "false");
    for (size_t i = 0; i < arguments.size(); i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, {arguments[i].data(), arguments[i].size()});
    }
    buf_append_str(out, "]}\n");
}

static duckdb::vector<string> arguments_of(const duckdb::SimpleFunction &function)
{
    duckdb::vector<string> names;
    for (auto &type : function.arguments) {
        names.push_back(type.ToString());
    }
    if (function.varargs.id() != duckdb::LogicalTypeId::INVALID) {
        names.push_back(function.varargs.ToString() + "...");
    }
    return names;
}

template <class Set> static void write_set(struct buf *out, const char *type, Set &set)
{
    for (auto &function : set.functions) {
        bool can_throw = true; /* table functions and pragmas touch the world outside */
        if constexpr (std::is_base_of<duckdb::BaseScalarFunction,
                                      std::decay_t<decltype(function)>>::value) {
            can_throw = function.GetErrorMode() == duckdb::FunctionErrors::CAN_THROW_RUNTIME_ERROR;
        }
        write_line(out, set.name, type, can_throw, arguments_of(function));
    }
}

static void write_entry(struct buf *out, duckdb::CatalogEntry &entry)
{
    switch (entry.type) {
    case duckdb::CatalogType::SCALAR_FUNCTION_ENTRY:
        write_set(out, "scalar", entry.Cast<duckdb::ScalarFunctionCatalogEntry>().functions);
        break;
    case duckdb::CatalogType::AGGREGATE_FUNCTION_ENTRY:
        write_set(out, "aggregate", entry.Cast<duckdb::AggregateFunctionCatalogEntry>().functions);
        break;
    case duckdb::CatalogType::TABLE_FUNCTION_ENTRY:
        write_set(out, "table", entry.Cast<duckdb::TableFunctionCatalogEntry>().functions);
        break;
    case duckdb::CatalogType::PRAGMA_FUNCTION_ENTRY:
        write_set(out, "pragma", entry.Cast<duckdb::PragmaFunctionCatalogEntry>().functions);
        break;
    case duckdb::CatalogType::MACRO_ENTRY:
    case duckdb::CatalogType::TABLE_MACRO_ENTRY: {
        const char *type = entry.type == duckdb::CatalogType::MACRO_ENTRY ? "macro" : "table_macro";
        for (auto &macro : entry.Cast<duckdb::MacroCatalogEntry>().macros) {
            duckdb::vector<string> names;
            for (auto &parameter : macro->parameters) {
                names.push_back(parameter->ToString());
            }
            write_line(out, entry.name, type, true, names);
        }
        break;
    }
    default: /* a foreign enum: tables, views and types are no functions */
        break;
    }
}

enum err functions(struct engine_session *session, struct buf *ret_lines,
                   struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        static const duckdb::CatalogType kinds[] = {
            duckdb::CatalogType::SCALAR_FUNCTION_ENTRY,
            duckdb::CatalogType::TABLE_FUNCTION_ENTRY,
            duckdb::CatalogType::PRAGMA_FUNCTION_ENTRY,
        };
        duckdb::ClientContext &context = *session->side.context;
        context.RunFunctionInTransaction([&] {
            for (auto &schema : duckdb::Catalog::GetAllSchemas(context)) {
                for (auto kind : kinds) { /* one set holds scalars, aggregates and macros */
                    schema.get().Scan(context, kind, [&](duckdb::CatalogEntry &entry) {
                        write_entry(ret_lines, entry);
                    });
                }
            }
        });
        /* Not in the catalog: the parser knows them. They fail on bad frames only when bound. */
        for (auto *window = duckdb::WindowExpression::WindowFunctions(); window->name != nullptr;
             window++) {
            write_line(ret_lines, window->name, "window", false, {});
        }
        return buf_failed(ret_lines) ? errinfo_nomem(info) : ERR_OK;
    });
}

} // namespace moat

engine_session::engine_session(struct engine *engine_, std::shared_ptr<duckdb::DuckDB> database_)
    : engine(engine_), database(std::move(database_)), main(*database), side(*database),
      is_cancelled(std::make_shared<std::atomic<bool>>(false))
{
    for (auto *connection : {&main, &side}) {
        connection->context->registered_state->Insert(
            moat::SESSION_STATE,
            duckdb::make_shared_ptr<moat::session_state>(is_cancelled, engine->grants));
    }
}
