/* TIMESTAMPTZ_NS, Iceberg's timestamptz_ns: nanoseconds since 1970 in UTC.
 *
 * A name for TIMESTAMP_NS, whose values have the same bytes. The engine takes no value of a named
 * type for one of the type below it, and in comparisons it prefers the named type: so what is not
 * said here is refused, and never done as if it were a local time. Said are
 *
 *   casts         by the session's time zone (UTC until module.cpp lets it be another), composed
 *                 of the engine's own for TIMESTAMPTZ: what
 *                 is below a microsecond is taken off before and put on behind it. Offsets of
 *                 zones are whole seconds, so it is the same in all of them.
 *   functions     of TIMESTAMPTZ take one, rounded down to microseconds, where that loses nothing
 *                 that the function tells (date_trunc, extract). Those that would lose something
 *                 have forms of their own: + and - INTERVAL, AT TIME ZONE, epoch_ns, nanosecond,
 *                 strftime (%n).
 *   JSON          as text with the zone. VARIANT: refused, the engine's has no such value.
 *
 * What is compared with an instant and lies beyond all of them is taken for an infinity: it
 * compares as it would, and hidden rows cannot be told by an error that the engine does not expect
 * of a cast to a type of more digits.
 *
 * Two parts of the engine look below the name and would be wrong: its optimizer takes casts
 * between TIMESTAMP_NS, DATE and the like for ones that no time zone bears upon (it moves them to
 * the constant of a comparison, and runs them over the bounds of a column), and its JSON functions
 * write by the type below. So casts become calls, which no rule knows, and what goes into JSON is
 * made text before, in a pass ahead of all rules. */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp>
#include <duckdb/common/type_visitor.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/general_cast.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/function/cast/cast_function_set.hpp>
#include <duckdb/function/function_binder.hpp>
#include <duckdb/optimizer/optimizer_extension.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>
#include <duckdb/parser/parsed_data/create_type_info.hpp>
#include <duckdb/planner/expression/bound_aggregate_expression.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <duckdb/planner/expression/bound_between_expression.hpp>
#include <duckdb/planner/expression/bound_comparison_expression.hpp>
#include <duckdb/planner/expression/bound_operator_expression.hpp>
#include <duckdb/planner/logical_operator_visitor.hpp>
#include <duckdb/planner/operator/logical_comparison_join.hpp>

namespace moat
{

using duckdb::BindCastInput;
using duckdb::BoundCastExpression;
using duckdb::BoundCastInfo;
using duckdb::CastParameters;
using duckdb::DataChunk;
using duckdb::Expression;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::make_uniq;
using duckdb::ScalarFunction;
using duckdb::string;
using duckdb::string_t;
using duckdb::timestamp_ns_t;
using duckdb::timestamp_t;
using duckdb::UnaryExecutor;
using duckdb::unique_ptr;
using duckdb::ValidityMask;
using duckdb::Vector;

static const int64_t NANOS = 1000; /* of a microsecond */
static const int64_t INFINITE = INT64_MAX;

LogicalType instant_type()
{
    LogicalType type(LogicalTypeId::TIMESTAMP_NS);
    type.SetAlias(INSTANT_NAME);
    return type;
}

bool is_instant(const LogicalType &type)
{
    return type.id() == LogicalTypeId::TIMESTAMP_NS && type.GetAlias() == INSTANT_NAME;
}

bool has_instants(const LogicalType &type)
{
    return duckdb::TypeVisitor::Contains(type, is_instant);
}

size_t count_instants(const duckdb::vector<LogicalType> &types)
{
    size_t count = 0;
    for (const LogicalType &type : types) {
        (void)duckdb::TypeVisitor::Contains(type, [&](const LogicalType &part) {
            count += is_instant(part) ? 1 : 0;
            return false;
        });
    }
    return count;
}

/* ---- values ---- */

static bool is_finite(int64_t value)
{
    return value != INFINITE && value != -INFINITE;
}

/* Below a microsecond: 0 to 999, also before 1970. */
static int64_t rest_of(int64_t nanos)
{
    int64_t rest = is_finite(nanos) ? nanos % NANOS : 0;
    return rest < 0 ? rest + NANOS : rest;
}

/* Rounded down. */
static int64_t micros_of(int64_t nanos)
{
    return is_finite(nanos) ? nanos / NANOS - (nanos % NANOS < 0 ? 1 : 0) : nanos;
}

/* False: no instant of nanoseconds. The first microsecond that has any is not one as a whole. */
static bool nanos_of(int64_t micros, int64_t rest, int64_t *ret_nanos)
{
    if (!is_finite(micros)) {
        *ret_nanos = micros;
        return true;
    }
    __int128 nanos = static_cast<__int128>(micros) * NANOS + rest;
    *ret_nanos = static_cast<int64_t>(nanos);
    return nanos >= INT64_MIN && nanos <= INT64_MAX && is_finite(*ret_nanos);
}

/* Texts are of years of four digits, so that the fraction of a second is where it always is. */
static string with_digits(const string &text, int64_t nanos)
{
    static const size_t FRACTION_AT = sizeof("2020-01-31 12:34:56") - 1;
    int64_t rest = rest_of(nanos);
    if (rest == 0 || text.size() < FRACTION_AT) {
        return text;
    }
    int64_t fraction = micros_of(nanos) % 1000000;
    char digits[sizeof(".123456789")];
    (void)snprintf(digits, sizeof(digits), ".%06d%03d",
                   static_cast<int>(fraction < 0 ? fraction + 1000000 : fraction),
                   static_cast<int>(rest));
    size_t len = sizeof(digits) - 1;
    while (digits[len - 1] == '0') { /* as the engine's */
        len--;
    }
    size_t end = FRACTION_AT;
    while (end < text.size() && (text[end] == '.' || (text[end] >= '0' && text[end] <= '9'))) {
        end++;
    }
    return text.substr(0, FRACTION_AT) + string(digits, len) + text.substr(end);
}

string text_of_nanos(int64_t nanos)
{
    return with_digits(duckdb::Timestamp::ToString(timestamp_t(micros_of(nanos))), nanos);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits behind the sixth of a second's fraction off: the first three are the nanoseconds
 * that are given, what is behind them is cut, as the engine cuts what is behind the sixth. */
static string without_digits(const string &text, int64_t *ret_rest)
{
    *ret_rest = 0;
    size_t colon = text.rfind(':', text.find('.'));
    size_t point = text.find('.');
    if (point == string::npos || colon == string::npos || point == 0 ||
        !is_digit(text[point - 1])) {
        return text;
    }
    size_t end = point + 1;
    while (end < text.size() && is_digit(text[end])) {
        end++;
    }
    size_t kept = point + 1 + 6;
    if (end <= kept) {
        return text;
    }
    for (size_t i = kept; i < kept + 3; i++) {
        *ret_rest = *ret_rest * 10 + (i < end ? text[i] - '0' : 0);
    }
    return text.substr(0, kept) + text.substr(end);
}

/* ---- casts ---- */

namespace
{

/* The engine's own casts, one after the other. */
struct inner_casts : duckdb::BoundCastData {
    unique_ptr<duckdb::BoundCastData> Copy() const override
    {
        auto copy = make_uniq<inner_casts>();
        for (auto &step : steps) {
            copy->steps.push_back(step.Copy());
        }
        copy->types = types;
        return std::move(copy);
    }

    std::vector<BoundCastInfo> steps;
    std::vector<LogicalType> types; /* that they make */
};

/* A number for each row, or none. */
class numbers_of
{
  public:
    numbers_of(Vector &vector, idx_t count)
    {
        vector.ToUnifiedFormat(count, format);
    }
    bool is_null(idx_t row) const
    {
        return !format.validity.RowIsValid(format.sel->get_index(row));
    }
    int64_t at(idx_t row) const
    {
        return duckdb::UnifiedVectorFormat::GetData<int64_t>(format)[format.sel->get_index(row)];
    }

  private:
    duckdb::UnifiedVectorFormat format;
};

} // namespace

static bool run_inner(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    auto &inner = parameters.cast_data->Cast<inner_casts>();
    bool is_whole = true;
    std::vector<unique_ptr<Vector>> made;
    Vector *from = &source;
    for (size_t i = 0; i < inner.steps.size(); i++) {
        bool is_last = i + 1 == inner.steps.size();
        if (!is_last) {
            made.push_back(make_uniq<Vector>(inner.types[i], count));
        }
        Vector &to = is_last ? result : *made.back();
        CastParameters own(parameters, inner.steps[i].cast_data.get(), nullptr);
        is_whole = inner.steps[i].function(*from, to, count, own) && is_whole;
        from = &to;
    }
    return is_whole;
}

static bool to_micros(Vector &source, Vector &result, idx_t count, CastParameters &)
{
    UnaryExecutor::Execute<int64_t, int64_t>(source, result, count, micros_of);
    return true;
}

/* Microseconds and what is below them, as nanoseconds. */
static bool join(Vector &micros, Vector &rests, Vector &result, idx_t count,
                 CastParameters &parameters)
{
    duckdb::VectorTryCastData data(result, parameters);
    numbers_of whole(micros, count);
    numbers_of rest(rests, count);
    bool is_constant = micros.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR &&
                       rests.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR;
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    auto out = duckdb::FlatVector::GetData<int64_t>(result);
    auto &mask = duckdb::FlatVector::Validity(result);
    for (idx_t i = 0; i < (is_constant ? 1 : count); i++) {
        if (whole.is_null(i) || rest.is_null(i)) {
            mask.SetInvalid(i);
        } else if (!nanos_of(whole.at(i), rest.at(i), &out[i])) {
            out[i] = duckdb::HandleVectorCastError::Operation<int64_t>(
                "timestamp out of range: nanoseconds count from 1677-09-21 00:12:43.145224193 to "
                "2262-04-11 23:47:16.854775806 UTC",
                mask, i, data);
        }
    }
    if (is_constant) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
    return data.all_converted;
}

static void take_rests(Vector &nanos, Vector &rests, idx_t count)
{
    UnaryExecutor::Execute<int64_t, int64_t>(nanos, rests, count, rest_of);
}

static Vector no_rests()
{
    return Vector(duckdb::Value::BIGINT(0));
}

/* An instant as what the engine makes of a TIMESTAMPTZ. */
static bool cast_out(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    Vector micros(LogicalType::TIMESTAMP_TZ, count);
    (void)to_micros(source, micros, count, parameters);
    return run_inner(micros, result, count, parameters);
}

/* A local time, or the time of its day, in nanoseconds. */
static bool cast_to_local(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    Vector local(parameters.cast_data->Cast<inner_casts>().types.back(), count);
    Vector rests(LogicalType::BIGINT, count);
    bool is_whole = cast_out(source, local, count, parameters);
    take_rests(source, rests, count);
    return join(local, rests, result, count, parameters) && is_whole;
}

static bool cast_to_text(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    bool is_json = result.GetType().IsJSONType();
    Vector texts(LogicalType::VARCHAR, count);
    (void)cast_out(source, texts, count, parameters);
    duckdb::BinaryExecutor::Execute<string_t, int64_t, string_t>(
        texts, source, result, count, [&](string_t text, int64_t nanos) {
            string whole = with_digits(text.GetString(), nanos);
            return duckdb::StringVector::AddString(result, is_json ? '"' + whole + '"' : whole);
        });
    return true;
}

/* What the engine makes a TIMESTAMPTZ of. */
static bool cast_in(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    Vector micros(LogicalType::TIMESTAMP_TZ, count);
    Vector rests = no_rests();
    bool is_whole = run_inner(source, micros, count, parameters);
    return join(micros, rests, result, count, parameters) && is_whole;
}

static bool cast_moment(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    Vector rests = no_rests();
    return join(source, rests, result, count, parameters);
}

static bool cast_from_local(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    Vector local(LogicalType::TIMESTAMP, count);
    Vector micros(LogicalType::TIMESTAMP_TZ, count);
    Vector rests(LogicalType::BIGINT, count);
    (void)to_micros(source, local, count, parameters);
    take_rests(source, rests, count);
    bool is_whole = run_inner(local, micros, count, parameters);
    return join(micros, rests, result, count, parameters) && is_whole;
}

static bool cast_from_text(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    bool is_json = source.GetType().IsJSONType();
    Vector texts(LogicalType::VARCHAR, count);
    Vector micros(LogicalType::TIMESTAMP_TZ, count);
    Vector rests(LogicalType::BIGINT, count);
    auto split = [&](string_t given, int64_t *ret_rest) {
        string text = given.GetString();
        if (is_json && text.size() >= 2 && text.front() == '"' && text.back() == '"') {
            text = text.substr(1, text.size() - 2);
        }
        return without_digits(text, ret_rest);
    };
    UnaryExecutor::Execute<string_t, string_t>(source, texts, count, [&](string_t text) {
        int64_t rest;
        return duckdb::StringVector::AddString(texts, split(text, &rest));
    });
    UnaryExecutor::Execute<string_t, int64_t>(source, rests, count, [&](string_t text) {
        int64_t rest;
        (void)split(text, &rest);
        return rest;
    });
    bool is_whole = run_inner(texts, micros, count, parameters);
    return join(micros, rests, result, count, parameters) && is_whole;
}

static BoundCastInfo bind_steps(BindCastInput &input, duckdb::cast_function_t function,
                                LogicalType from, std::initializer_list<LogicalType> types)
{
    auto inner = make_uniq<inner_casts>();
    for (const LogicalType &type : types) {
        inner->steps.push_back(input.GetCastFunction(from, type));
        inner->types.push_back(type);
        ASSERT(inner->steps.back().init_local_state == nullptr);
        from = type;
    }
    return {function, std::move(inner)};
}

static BoundCastInfo bind_out(BindCastInput &input, const LogicalType &, const LogicalType &target)
{
    const LogicalType moment = LogicalType::TIMESTAMP_TZ;
    const LogicalType local = LogicalType::TIMESTAMP;
    switch (target.id()) {
    case LogicalTypeId::TIMESTAMP_NS:
        return bind_steps(input, cast_to_local, moment, {local});
    case LogicalTypeId::TIME_NS:
        return bind_steps(input, cast_to_local, moment, {local, LogicalType::TIME});
    case LogicalTypeId::VARCHAR:
        return bind_steps(input, cast_to_text, moment, {LogicalType::VARCHAR});
    case LogicalTypeId::TIME_TZ:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_SEC:
        return bind_steps(input, cast_out, moment, {target});
    default: /* a foreign enum: parts of a local time */
        return bind_steps(input, cast_out, moment, {local, target});
    }
}

static BoundCastInfo bind_in(BindCastInput &input, const LogicalType &source, const LogicalType &)
{
    const LogicalType moment = LogicalType::TIMESTAMP_TZ;
    switch (source.id()) {
    case LogicalTypeId::TIMESTAMP_NS:
        return bind_steps(input, cast_from_local, LogicalType::TIMESTAMP, {moment});
    case LogicalTypeId::VARCHAR:
        return bind_steps(input, cast_from_text, LogicalType::VARCHAR, {moment});
    default: /* a foreign enum */
        return bind_steps(input, cast_in, source, {moment});
    }
}

void refuse_variant(const LogicalType &type)
{
    throw_err(ERR_UNSUPPORTED, nullptr,
              "a VARIANT keeps no instants of nanoseconds, so none is made of or into " +
                  type.ToString(),
              "Cast it to TIMESTAMPTZ, which keeps microseconds, or to VARCHAR.");
}

static BoundCastInfo refuse_cast(BindCastInput &, const LogicalType &source,
                                 const LogicalType &target)
{
    refuse_variant(is_instant(source) ? source : target);
}

static void register_casts_of(duckdb::ClientContext &context)
{
    auto &casts = duckdb::CastFunctionSet::Get(context);
    const LogicalType instant = instant_type();
    const LogicalType moment = LogicalType::TIMESTAMP_TZ;
    /* As far as a TIMESTAMP is from one, so that functions of a TIMESTAMPTZ take it. */
    int64_t cost = casts.ImplicitCastCost(context, LogicalType::TIMESTAMP, moment);
    casts.RegisterCastFunction(instant, moment, BoundCastInfo(to_micros), cost);
    casts.RegisterCastFunction(moment, instant, BoundCastInfo(cast_moment), -1);
    const LogicalType both[] = {LogicalType::VARCHAR,      LogicalType::JSON(),
                                LogicalType::DATE,         LogicalType::TIMESTAMP_S,
                                LogicalType::TIMESTAMP_MS, LogicalType::TIMESTAMP,
                                LogicalType::TIMESTAMP_NS};
    for (const LogicalType &type : both) {
        casts.RegisterCastFunction(instant, type, bind_out, -1);
        casts.RegisterCastFunction(type, instant, bind_in, -1);
    }
    for (auto type : {LogicalTypeId::TIME, LogicalTypeId::TIME_NS, LogicalTypeId::TIME_TZ}) {
        casts.RegisterCastFunction(instant, type, bind_out, -1);
    }
    casts.RegisterCastFunction(instant, LogicalType::VARIANT(), refuse_cast, -1);
    casts.RegisterCastFunction(LogicalType::VARIANT(), instant, refuse_cast, -1);
}

/* ---- functions ---- */

/* A point in time or a local one, and the instant whose nanoseconds it has. */
static void run_join(DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    Vector rests(LogicalType::BIGINT, args.size());
    CastParameters parameters(false, nullptr);
    take_rests(args.data[1], rests, args.size());
    (void)join(args.data[0], rests, result, args.size(), parameters);
}

static unique_ptr<Expression> join_call(unique_ptr<Expression> micros, unique_ptr<Expression> rest,
                                        const LogicalType &type)
{
    ScalarFunction function("__moat_instant", {micros->return_type, rest->return_type}, type,
                            run_join);
    function.SetFallible();
    duckdb::vector<unique_ptr<Expression>> arguments;
    arguments.push_back(std::move(micros));
    arguments.push_back(std::move(rest));
    return make_uniq<duckdb::BoundFunctionExpression>(type, std::move(function),
                                                      std::move(arguments), nullptr);
}

/* The engine's function of the same name, of a TIMESTAMPTZ in the place of the instant. */
static unique_ptr<Expression> call_of_moment(duckdb::FunctionBindExpressionInput &input,
                                             const char *name, idx_t at)
{
    duckdb::vector<unique_ptr<Expression>> arguments;
    for (idx_t i = 0; i < input.children.size(); i++) {
        auto argument = input.children[i]->Copy();
        arguments.push_back(
            i != at ? std::move(argument)
                    : BoundCastExpression::AddCastToType(input.context, std::move(argument),
                                                         LogicalType::TIMESTAMP_TZ));
    }
    duckdb::ErrorData error;
    duckdb::FunctionBinder binder(input.context);
    auto bound = binder.BindScalarFunction(DEFAULT_SCHEMA, name, std::move(arguments), error, true);
    if (!bound) {
        error.Throw();
    }
    return bound;
}

static unique_ptr<Expression> bind_plus(duckdb::FunctionBindExpressionInput &input)
{
    idx_t at = is_instant(input.children[0]->return_type) ? 0 : 1;
    return join_call(call_of_moment(input, "+", at), input.children[at]->Copy(), instant_type());
}

static unique_ptr<Expression> bind_minus(duckdb::FunctionBindExpressionInput &input)
{
    return join_call(call_of_moment(input, "-", 0), input.children[0]->Copy(), instant_type());
}

static unique_ptr<Expression> bind_at_zone(duckdb::FunctionBindExpressionInput &input)
{
    return join_call(call_of_moment(input, "timezone", 1), input.children[1]->Copy(),
                     LogicalType::TIMESTAMP_NS);
}

/* The format with its %n, the digits of nanoseconds, said. */
static void run_format(DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    duckdb::BinaryExecutor::Execute<string_t, int64_t, string_t>(
        args.data[0], args.data[1], result, args.size(), [&](string_t format, int64_t nanos) {
            static const int64_t SECOND = 1000000000;
            string text = format.GetString();
            char digits[sizeof("123456789")];
            int64_t fraction = nanos % SECOND + (nanos % SECOND < 0 ? SECOND : 0);
            (void)snprintf(digits, sizeof(digits), "%09d", static_cast<int>(fraction));
            for (size_t i = 0; i + 1 < text.size(); i++) {
                if (text[i] == '%' && text[i + 1] == 'n' && is_finite(nanos)) {
                    text.replace(i, 2, digits);
                } else if (text[i] == '%') {
                    i++;
                }
            }
            return duckdb::StringVector::AddString(result, text);
        });
}

static unique_ptr<Expression> bind_format(duckdb::FunctionBindExpressionInput &input)
{
    idx_t at = is_instant(input.children[0]->return_type) ? 0 : 1;
    ScalarFunction function("__moat_instant_format",
                            {LogicalType::VARCHAR, input.children[at]->return_type},
                            LogicalType::VARCHAR, run_format);
    duckdb::vector<unique_ptr<Expression>> arguments;
    arguments.push_back(input.children[1 - at]->Copy());
    arguments.push_back(input.children[at]->Copy());
    input.children[1 - at] = make_uniq<duckdb::BoundFunctionExpression>(
        LogicalType::VARCHAR, std::move(function), std::move(arguments), nullptr);
    return call_of_moment(input, "strftime", at);
}

static void run_epoch(DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<int64_t, int64_t>(args.data[0], result, args.size(),
                                             [](int64_t nanos) { return nanos; });
}

/* Of the minute, as the engine's. */
static void run_nanosecond(DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<int64_t, int64_t>(args.data[0], result, args.size(), [](int64_t nanos) {
        static const int64_t MINUTE = 60000000000;
        return nanos % MINUTE + (nanos % MINUTE < 0 ? MINUTE : 0);
    });
}

static void run_never(DataChunk &, duckdb::ExpressionState &, Vector &)
{
    throw_err(ERR_INTERNAL, nullptr, "a function of an instant was not bound", "");
}

static ScalarFunction bound_by(duckdb::vector<LogicalType> arguments, LogicalType type,
                               duckdb::function_bind_expression_t bind)
{
    ScalarFunction function(std::move(arguments), std::move(type), run_never);
    function.SetBindExpressionCallback(bind);
    function.SetFallible();
    return function;
}

static void add_form(duckdb::ClientContext &context, const char *name,
                     const ScalarFunction &function)
{
    auto &functions = duckdb::Catalog::GetEntry<duckdb::ScalarFunctionCatalogEntry>(
                          context, SYSTEM_CATALOG, DEFAULT_SCHEMA, name)
                          .functions;
    ScalarFunction named = function;
    named.name = name;
    functions.AddFunction(named);
}

static void register_functions_of(duckdb::ClientContext &context)
{
    const LogicalType instant = instant_type();
    const LogicalType interval = LogicalType::INTERVAL;
    const LogicalType text = LogicalType::VARCHAR;
    const LogicalType number = LogicalType::BIGINT;
    add_form(context, "+", bound_by({instant, interval}, instant, bind_plus));
    add_form(context, "+", bound_by({interval, instant}, instant, bind_plus));
    add_form(context, "-", bound_by({instant, interval}, instant, bind_minus));
    add_form(context, "timezone",
             bound_by({text, instant}, LogicalType::TIMESTAMP_NS, bind_at_zone));
    add_form(context, "strftime", bound_by({instant, text}, text, bind_format));
    add_form(context, "strftime", bound_by({text, instant}, text, bind_format));
    add_form(context, "epoch_ns", ScalarFunction({instant}, number, run_epoch));
    add_form(context, "nanosecond", ScalarFunction({instant}, number, run_nanosecond));
}

/* ---- ahead of the engine's rules ---- */

namespace
{

struct cast_call : duckdb::FunctionData {
    cast_call(BoundCastInfo cast_, bool is_try_) : cast(std::move(cast_)), is_try(is_try_)
    {
    }
    unique_ptr<duckdb::FunctionData> Copy() const override
    {
        return make_uniq<cast_call>(cast.Copy(), is_try);
    }
    /* Of calls of equal types (the function's). */
    bool Equals(const duckdb::FunctionData &other) const override
    {
        return is_try == other.Cast<cast_call>().is_try;
    }

    BoundCastInfo cast;
    const bool is_try;
};

} // namespace

static void run_cast(DataChunk &args, duckdb::ExpressionState &state, Vector &result)
{
    auto &call = state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<cast_call>();
    string message;
    unique_ptr<duckdb::FunctionLocalState> local;
    if (call.cast.init_local_state != nullptr) {
        duckdb::CastLocalStateParameters given(&state.GetContext(), call.cast.cast_data.get());
        local = call.cast.init_local_state(given);
    }
    CastParameters parameters(call.cast.cast_data.get(), false, call.is_try ? &message : nullptr,
                              local.get());
    (void)call.cast.function(args.data[0], result, args.size(), parameters);
}

/* Casts that the engine's rules know nothing of that is not true here too. */
static bool is_harmless(const LogicalType &source, const LogicalType &target)
{
    const LogicalType &other = is_instant(source) ? target : source;
    bool is_plain = is_instant(source) || is_instant(target);
    return is_plain &&
           (other.id() == LogicalTypeId::TIMESTAMP_TZ || other.id() == LogicalTypeId::SQLNULL ||
            (other.id() == LogicalTypeId::VARCHAR && !other.IsJSONType()));
}

static unique_ptr<Expression> as_call(BoundCastExpression &cast)
{
    ScalarFunction function("__moat_instant_cast", {cast.child->return_type}, cast.return_type,
                            run_cast);
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    function.SetFallible();
    duckdb::vector<unique_ptr<Expression>> arguments;
    arguments.push_back(std::move(cast.child));
    auto type = cast.return_type;
    return make_uniq<duckdb::BoundFunctionExpression>(
        type, std::move(function), std::move(arguments),
        make_uniq<cast_call>(cast.bound_cast.Copy(), cast.try_cast));
}

static void run_near(DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<int64_t, int64_t>(args.data[0], result, args.size(), [](int64_t micros) {
        int64_t nanos;
        return nanos_of(micros, 0, &nanos) ? nanos : micros < 0 ? -INFINITE : INFINITE;
    });
}

/* One side of a comparison with an instant: a cast to it that cannot fail. */
static void soften(duckdb::ClientContext &context, unique_ptr<Expression> *side)
{
    if (!is_instant((*side)->return_type) ||
        (*side)->GetExpressionClass() != duckdb::ExpressionClass::BOUND_CAST) {
        return;
    }
    auto &cast = (*side)->Cast<BoundCastExpression>();
    switch (cast.child->return_type.id()) {
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_TZ:
        break;
    default: /* a foreign enum: values that are instants, and texts */
        return;
    }
    ScalarFunction function("__moat_instant_near", {LogicalType::TIMESTAMP_TZ}, instant_type(),
                            run_near);
    duckdb::vector<unique_ptr<Expression>> arguments;
    arguments.push_back(BoundCastExpression::AddCastToType(context, std::move(cast.child),
                                                           LogicalType::TIMESTAMP_TZ));
    *side = make_uniq<duckdb::BoundFunctionExpression>(instant_type(), std::move(function),
                                                       std::move(arguments), nullptr);
}

/* The engine's rules call what has no name by its text, and the engine's own text of nanoseconds
 * fails on the first day that they reach. */
static void name_constant(Expression &value)
{
    if (!value.HasAlias() && has_instants(value.return_type)) {
        value.SetAlias("instant");
    }
}

/* Instants as texts, at any depth. */
static void make_text(duckdb::ClientContext &context, unique_ptr<Expression> *value)
{
    if (has_instants((*value)->return_type)) {
        auto type =
            duckdb::TypeVisitor::VisitReplace((*value)->return_type, [](const LogicalType &part) {
                return is_instant(part) ? LogicalType::VARCHAR : part;
            });
        *value = BoundCastExpression::AddCastToType(context, std::move(*value), type);
    }
}

static bool makes_json(const string &name)
{
    return name.compare(0, 5, "json_") == 0 || name == "to_json" || name == "array_to_json" ||
           name == "row_to_json";
}

namespace
{

class rewriting : public duckdb::LogicalOperatorVisitor
{
  public:
    explicit rewriting(duckdb::ClientContext &context_) : context(context_)
    {
    }

    void VisitOperator(duckdb::LogicalOperator &op) override
    {
        if (op.type == duckdb::LogicalOperatorType::LOGICAL_COMPARISON_JOIN ||
            op.type == duckdb::LogicalOperatorType::LOGICAL_DELIM_JOIN ||
            op.type == duckdb::LogicalOperatorType::LOGICAL_ASOF_JOIN) {
            for (auto &condition : op.Cast<duckdb::LogicalComparisonJoin>().conditions) {
                soften(context, &condition.left);
                soften(context, &condition.right);
            }
        }
        if (op.type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION) {
            for (auto &value : op.expressions) {
                name_constant(*value);
            }
        }
        duckdb::LogicalOperatorVisitor::VisitOperator(op);
    }

  protected:
    unique_ptr<Expression> VisitReplace(BoundCastExpression &cast,
                                        unique_ptr<Expression> *) override
    {
        const LogicalType source = cast.child->return_type;
        if (cast.return_type.IsJSONType() && !is_instant(source)) {
            make_text(context, &cast.child);
            if (cast.child->return_type != source) {
                auto of_text = BoundCastExpression::AddCastToType(context, cast.child->Copy(),
                                                                  cast.return_type);
                cast.bound_cast = of_text->Cast<BoundCastExpression>().bound_cast.Copy();
            }
        }
        bool is_ours = has_instants(cast.child->return_type) || has_instants(cast.return_type);
        if (!is_ours || is_harmless(cast.child->return_type, cast.return_type)) {
            return nullptr; /* what is inside is visited next */
        }
        VisitExpression(&cast.child);
        return as_call(cast);
    }

    unique_ptr<Expression> VisitReplace(duckdb::BoundComparisonExpression &compared,
                                        unique_ptr<Expression> *) override
    {
        soften(context, &compared.left);
        soften(context, &compared.right);
        return nullptr;
    }

    unique_ptr<Expression> VisitReplace(duckdb::BoundBetweenExpression &compared,
                                        unique_ptr<Expression> *) override
    {
        soften(context, &compared.input);
        soften(context, &compared.lower);
        soften(context, &compared.upper);
        return nullptr;
    }

    unique_ptr<Expression> VisitReplace(duckdb::BoundOperatorExpression &compared,
                                        unique_ptr<Expression> *) override
    {
        bool is_in = compared.type == duckdb::ExpressionType::COMPARE_IN ||
                     compared.type == duckdb::ExpressionType::COMPARE_NOT_IN;
        for (size_t i = 0; i < compared.children.size() && is_in; i++) {
            soften(context, &compared.children[i]);
        }
        return nullptr;
    }

    unique_ptr<Expression> VisitReplace(duckdb::BoundFunctionExpression &call,
                                        unique_ptr<Expression> *) override
    {
        if (makes_json(call.function.name)) {
            for (auto &child : call.children) {
                make_text(context, &child);
            }
        }
        return nullptr;
    }

  private:
    duckdb::ClientContext &context;
};

} // namespace

static void rewrite(duckdb::OptimizerExtensionInput &input,
                    unique_ptr<duckdb::LogicalOperator> &plan)
{
    rewriting(input.context).VisitOperator(*plan);
}

void register_instants(duckdb::Connection &connection)
{
    duckdb::ClientContext &context = *connection.context;
    context.RunFunctionInTransaction([&] {
        duckdb::CreateTypeInfo info(INSTANT_NAME, instant_type());
        info.internal = true;
        duckdb::Catalog::GetSystemCatalog(context).CreateType(context, info);
        register_casts_of(context);
        register_functions_of(context);
    });
    duckdb::OptimizerExtension extension;
    extension.pre_optimize_function = rewrite;
    duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(context), extension);
}

} // namespace moat
