/* A query: bound when opened, started by the first pull, streamed, and stoppable at any time.
 *
 *   OPEN -> STREAMING -> ENDED       (pull, pull ..., the last pull)
 *     \________\_______> FAILED      (error or cancel)
 *
 * Opening only binds: to start would set the engine's threads to reading, and nothing may be read
 * before the program has recorded who reads. */
#include "engine/duckdb/result.hpp"

#include <duckdb/main/client_config.hpp>
#include <duckdb/main/prepared_statement.hpp>
#include <duckdb/main/prepared_statement_data.hpp>
#include <duckdb/parser/expression/cast_expression.hpp>
#include <duckdb/parser/expression/constant_expression.hpp>
#include <duckdb/parser/expression/parameter_expression.hpp>
#include <duckdb/parser/expression/subquery_expression.hpp>
#include <duckdb/parser/parsed_expression_iterator.hpp>
#include <duckdb/parser/statement/select_statement.hpp>

#include <chrono>
#include <exception>

namespace moat
{

enum class query_state {
    OPEN,
    STREAMING,
    ENDED,
    FAILED
};

/* After this long a pull hands out the rows it has rather than wait for a full batch. */
static const std::chrono::milliseconds BATCH_PATIENCE(5);

/* The engine does not say whether it ran a task; one that it runs takes longer than this. */
static const std::chrono::microseconds TASK_TIME_MIN(5);

} // namespace moat

struct engine_query {
    const struct engine_module_ops *const ops = &moat::module_table;
    struct engine_session *session = nullptr;
    moat::query_state state = moat::query_state::OPEN;
    duckdb::unique_ptr<duckdb::PreparedStatement> prepared;
    duckdb::case_insensitive_map_t<duckdb::BoundParameterData> values;
    std::vector<std::string> type_names;
    std::unique_ptr<moat::batch_builder> builder;
    duckdb::vector<duckdb::LogicalType> types; /* which the builder was made for */
    duckdb::unique_ptr<duckdb::PendingQueryResult> pending;
    std::shared_ptr<moat::result_stream> stream;
    moat::result_rows rows;     /* taken from it */
    duckdb::idx_t next_row = 0; /* of a chunk of few rows: those before are in the builder */
    bool has_ended = false;     /* the plan: the stream may hold rows yet */
    std::exception_ptr failure; /* which ended it: reported after them */
    std::atomic<bool> is_cancelled{false};

    duckdb::ClientContext &context() const
    {
        return *session->main.context;
    }
};

namespace moat
{

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::ParsedExpression;
using duckdb::PendingExecutionResult;
using duckdb::Value;
using std::string;

/* ---- parameters ---- */

static Value value_of(const struct engine_parameter &parameter)
{
    switch (parameter.type) {
    case PARAMETER_NULL:
        return Value();
    case PARAMETER_BOOL:
        return Value::BOOLEAN(parameter.boolean);
    case PARAMETER_I64:
        return Value::BIGINT(parameter.integer);
    case PARAMETER_DOUBLE:
        return Value::DOUBLE(parameter.real);
    case PARAMETER_TEXT:
        return Value(checked_text(parameter.text));
    }
    ASSERT(false && "a parameter type that engine.h does not have");
    return Value();
}

static void inline_values(duckdb::unique_ptr<ParsedExpression> &expression, const value_map &values)
{
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::PARAMETER) {
        auto found = values.find(expression->Cast<duckdb::ParameterExpression>().identifier);
        if (found != values.end()) {
            string alias = expression->GetAlias();
            Value value = found->second.GetValue();
            LogicalType type = value.type();
            expression = duckdb::make_uniq<duckdb::ConstantExpression>(std::move(value));
            if (type.IsNumeric()) { /* ORDER BY 1 would mean the first column */
                expression = duckdb::make_uniq<duckdb::CastExpression>(type, std::move(expression));
            }
            expression->SetAlias(alias);
        }
        return;
    }
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
        inline_values(*expression->Cast<duckdb::SubqueryExpression>().subquery->node, values);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        *expression,
        [&](duckdb::unique_ptr<ParsedExpression> &child) { inline_values(child, values); });
}

void inline_values(duckdb::QueryNode &node, const value_map &values)
{
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(
        node, [&](duckdb::unique_ptr<ParsedExpression> &child) { inline_values(child, values); });
}

bool has_unknown_type(duckdb::PreparedStatement &prepared)
{
    if (!prepared.GetStatementProperties().bound_all_parameters) {
        return true;
    }
    for (auto &type : prepared.GetTypes()) {
        if (type.id() == duckdb::LogicalTypeId::UNKNOWN) {
            return true;
        }
    }
    return false;
}

static duckdb::unique_ptr<duckdb::PreparedStatement>
prepare_once(struct engine_session *session, duckdb::unique_ptr<duckdb::SQLStatement> statement)
{
    auto prepared = prepare_statement(*session, session->main, std::move(statement));
    /* A statement over files would be bound and optimised anew before each run, since files change
     * between runs. This one runs once, now. (With parameters it may not be planned at all yet.) */
    auto &properties = prepared->data->properties;
    if (properties.parameter_count == 0) {
        properties.always_require_rebind = false;
    }
    return prepared;
}

/* Is a number or truth of another type than the statement gives its parameter, or a text one of as
 * many digits as it is written with? Binding it anew with the value's may change the columns
 * (coalesce($1, 5), $1::numeric), also after they were asked for. */
static bool has_other_number(duckdb::PreparedStatement &prepared, const value_map &values)
{
    for (auto &expected : prepared.GetExpectedParameterTypes()) {
        auto value = values.find(expected.first);
        if (value == values.end() || value->second.GetValue().IsNull()) {
            continue;
        }
        const LogicalType &type = value->second.GetValue().type();
        bool is_text = type.id() == duckdb::LogicalTypeId::VARCHAR;
        if (is_text ? expected.second == numeric_type() : type != expected.second) {
            return true;
        }
    }
    return false;
}

/* Binds. A column that is a bare `$1` has no type until the values are there, and the columns must
 * be known now: then the values go into the tree (and out of `values`). */
static duckdb::unique_ptr<duckdb::PreparedStatement> prepare(struct engine_session *session,
                                                             struct slice sql, value_map &values)
{
    auto statement = parse_one(*session->main.context, sql, true);
    size_t wanted = statement->named_param_map.size();
    /* A function that was rewritten may have no use for an argument, and so for a parameter. */
    for (auto value = values.begin(); value != values.end();) {
        bool is_named = statement->named_param_map.count(value->first) > 0;
        value = is_named ? std::next(value) : values.erase(value);
    }
    if (wanted != values.size()) {
        throw_err(ERR_INVALID, "08P01",
                  "the statement has " + std::to_string(wanted) + " parameters, but " +
                      std::to_string(values.size()) + " were given",
                  "");
    }
    bool is_select = statement->type == duckdb::StatementType::SELECT_STATEMENT;
    auto copy = wanted == 0 || !is_select ? nullptr : statement->Copy();
    auto prepared = prepare_once(session, std::move(statement));
    if (copy && (has_unknown_type(*prepared) || has_other_number(*prepared, values))) {
        inline_values(*copy->Cast<duckdb::SelectStatement>().node, values);
        values.clear();
        copy->named_param_map.clear();
        prepared = prepare_once(session, std::move(copy));
    }
    return prepared;
}

enum err query_open(struct engine_session *session, const struct identity *, struct slice sql,
                    const struct engine_parameter *parameters, size_t parameter_count,
                    struct engine_query **ret_query, struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        if (session->has_query) {
            return errinfo_set(info, ERR_BUSY, "55006", "the session already runs a query");
        }
        auto query = std::make_unique<engine_query>();
        query->session = session;
        for (size_t i = 0; i < parameter_count; i++) {
            query->values.emplace(std::to_string(i + 1),
                                  duckdb::BoundParameterData(value_of(parameters[i])));
        }
        query->prepared = prepare(session, sql, query->values);
        for (auto &type : query->prepared->GetTypes()) {
            query->type_names.push_back(batch_builder::output_type(type).ToString());
        }
        query->types = query->prepared->GetTypes();
        query->builder = std::make_unique<batch_builder>(query->context(), query->types);
        session->has_query = true;
        *ret_query = query.release();
        return ERR_OK;
    });
}

size_t query_column_count(const struct engine_query *query) noexcept
{
    return query->type_names.size();
}

struct engine_column query_column(const struct engine_query *query, size_t index) noexcept
{
    ASSERT(index < query->type_names.size());
    const string &name = query->prepared->GetNames()[index];
    const string &type = query->type_names[index];
    return {{name.data(), name.size()}, {type.data(), type.size()}};
}

enum err query_schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                      struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        struct ArrowSchema schema;
        query->builder->write_schema(query->prepared->GetNames(), &schema);
        *ret_schema = schema;
        return ERR_OK;
    });
}

/* ---- running ---- */

static bool is_cancelled(const struct engine_query &query)
{
    return query.is_cancelled || *query.session->is_cancelled;
}

static void throw_if_cancelled(const struct engine_query &query)
{
    if (is_cancelled(query)) {
        throw duckdb::InterruptException();
    }
}

static void start(struct engine_query &query)
{
    throw_if_cancelled(query);
    auto stream = std::make_shared<result_stream>();
    auto &collect = query.context().config.get_result_collector;
    collect = [stream](duckdb::ClientContext &context, duckdb::PreparedStatementData &data) {
        return collect_into(stream, context, data);
    };
    auto pending = query.prepared->PendingQuery(query.values, false);
    collect = nullptr;
    /* Starting has cleared the engine's own flag: a cancel from before is in ours, and one from
     * now on stays set in both. */
    throw_if_cancelled(query);
    if (pending->HasError()) {
        pending->GetErrorObject().Throw();
    }
    if (pending->types != query.types) { /* its values would be read as others */
        throw_err(ERR_INTERNAL, nullptr, "a value has changed the types of the result",
                  "Cast the parameters, as in $1::bigint.");
    }
    query.stream = std::move(stream);
    query.pending = std::move(pending);
    query.state = query_state::STREAMING;
}

/* Lets this thread help the engine's for a while. False once the plan has ended; throws what ended
 * it otherwise. */
static bool run_some(struct engine_query &query, patience &idle)
{
    throw_if_cancelled(query);
    query.stream->resume();
    auto begun = std::chrono::steady_clock::now();
    switch (query.pending->ExecuteTask()) {
    case PendingExecutionResult::EXECUTION_ERROR:
        throw_if_cancelled(query);
        query.pending->GetErrorObject().Throw();
    case PendingExecutionResult::EXECUTION_FINISHED: {
        auto result = query.pending->Execute(); /* ends the engine's transaction */
        if (result->HasError()) {
            result->GetErrorObject().Throw();
        }
        return false;
    }
    case PendingExecutionResult::BLOCKED:
        query.pending->WaitForTask();
        return true;
    default: /* a foreign enum: it goes on */
        if (std::chrono::steady_clock::now() - begun < TASK_TIME_MIN) { /* no task was left */
            idle.wait();
        } else {
            idle.reset();
        }
        return true;
    }
}

/* In a catch block. What was ready goes out first; after a cancel nothing does. */
static void end_with_failure(struct engine_query &query)
{
    if (is_cancelled(query)) {
        throw;
    }
    query.failure = std::current_exception();
    query.has_ended = true;
}

/* The next rows: a batch, or a few; none at the end, or if none are there at `deadline`. */
static result_rows next_rows(struct engine_query &query,
                             std::chrono::steady_clock::time_point deadline)
{
    patience idle;
    auto gathering_until = std::chrono::steady_clock::now() + BATCH_PATIENCE;
    while (true) {
        if (query.has_ended) {
            return query.stream->take_unfinished(); /* after an error there may be some */
        }
        result_rows rows = query.stream->take();
        if (rows) {
            return rows;
        }
        auto now = std::chrono::steady_clock::now();
        if (now >= gathering_until || now >= deadline) {
            rows = query.stream->take_unfinished();
            gathering_until = now + BATCH_PATIENCE;
        }
        if (rows || now >= deadline) {
            return rows;
        }
        try {
            query.has_ended = !run_some(query, idle);
        } catch (...) {
            end_with_failure(query);
        }
    }
}

/* Takes what comes until there is a batch: one that is written, or in the builder. */
static void fill(struct engine_query &query)
{
    auto deadline = std::chrono::steady_clock::time_point::max();
    while (!query.builder->is_full()) {
        if (!query.rows) {
            query.rows = next_rows(query, deadline);
            query.next_row = 0;
        }
        if (!query.rows || query.rows.batch) {
            break;
        }
        if (query.builder->is_empty()) {
            deadline = std::chrono::steady_clock::now() + BATCH_PATIENCE;
        }
        duckdb::DataChunk storage;
        auto &chunk = query.builder->convert(*query.rows.chunk, storage);
        query.next_row = query.builder->append(chunk, query.next_row);
        if (query.next_row == chunk.size()) {
            query.rows = result_rows();
        }
    }
}

/* The next batch; one without `release` at the end. Rows from before an error are given out, and
 * the error with the next pull. */
static struct ArrowArray gather(struct engine_query &query)
{
    try {
        fill(query);
    } catch (...) {
        end_with_failure(query);
        query.rows = result_rows();
        query.stream = std::make_shared<result_stream>(); /* what comes behind is not wanted */
    }
    if (!query.builder->is_empty()) {
        return query.builder->finish();
    }
    struct ArrowArray batch = {};
    if (query.rows) {
        std::swap(batch, query.rows.batch->arrow_array);
        query.rows = result_rows();
    } else if (query.failure) {
        std::rethrow_exception(query.failure);
    }
    return batch;
}

/* Stops what still runs for the query and releases its files; the session is free again. */
static void stop(struct engine_query &query) noexcept
{
    try {
        query.context().Interrupt();
        query.context().CancelTransaction();
    } catch (...) {
        /* Ending a query reports only what the query itself has reported before. */
    }
}

enum err query_next(struct engine_query *query, struct ArrowArray *ret_batch,
                    struct errinfo *info) noexcept
{
    ASSERT(query->state != query_state::FAILED);
    enum err err = guarded(info, [&] {
        if (query->state == query_state::OPEN) {
            start(*query);
        }
        *ret_batch = ArrowArray{};
        if (query->state == query_state::STREAMING) {
            *ret_batch = gather(*query);
            query->state = ret_batch->release == nullptr ? query_state::ENDED : query->state;
        }
        return ERR_OK;
    });
    if (err != ERR_OK) {
        query->state = query_state::FAILED;
        stop(*query);
        if (is_cancelled(*query)) { /* whatever broke first, the person asked for this */
            return errinfo_set(info, ERR_CANCELLED, nullptr, "the query was cancelled");
        }
    }
    return err;
}

void query_cancel(struct engine_query *query) noexcept
{
    query->is_cancelled = true;
    query->context().Interrupt();
}

double query_progress(struct engine_query *query) noexcept
{
    double percent = query->context().GetQueryProgress().GetPercentage();
    return percent >= 0 && percent <= 100 ? percent : -1;
}

void query_close(struct engine_query *query) noexcept
{
    struct engine_session *session = query->session;
    if (query->state == query_state::STREAMING) {
        stop(*query);
    }
    try {
        delete query;
    } catch (...) {
        /* As in stop(). */
    }
    session->has_query = false;
}

} // namespace moat
