/* Functions of arrays and maps as Trino has them, of any type of element: those that choose give
 * numbers of elements, from 1, which the dialect then looks up.
 *
 *   trino_shuffle(n)               1 to n in any order
 *   trino_combinations(n, k)       all choices of k of 1 to n, the last element's number first
 *   trino_group(keys, values)      a map of each key to the array of its values
 *   trino_multimap(keys, values)   likewise, but a key that is NULL is an error, not left out
 *   trino_first(keys, values)      a map of each key to the first of its values
 *                                  (maps have keys in the order in which they come)
 *   trino_cosine_similarity(a, b)  of arrays of numbers, or of maps of texts to numbers */
#include "engine/duckdb/trino.hpp"

#include <cmath>
#include <numeric>
#include <random>
#include <unordered_map>

#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/vector_operations.hpp>
#include <duckdb/planner/expression.hpp>

namespace moat
{

using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::idx_t;
using duckdb::list_entry_t;
using duckdb::ListVector;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ScalarFunction;
using duckdb::Vector;
using arguments = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;

/* ---- choices ---- */

static constexpr int64_t LENGTH_MAX = 10000000; /* of what is shuffled: 80 MB of numbers */

static list_entry_t put_numbers(Vector &result, const std::vector<int64_t> &numbers)
{
    idx_t offset = ListVector::GetListSize(result);
    ListVector::Reserve(result, offset + numbers.size());
    auto to = duckdb::FlatVector::GetData<int64_t>(ListVector::GetEntry(result)) + offset;
    std::copy(numbers.begin(), numbers.end(), to);
    ListVector::SetListSize(result, offset + numbers.size());
    return {offset, numbers.size()};
}

static void run_shuffle(DataChunk &args, ExpressionState &, Vector &result)
{
    args.data[0].Flatten(args.size()); /* one order for each row */
    thread_local std::mt19937_64 generator{std::random_device{}()};
    duckdb::UnaryExecutor::Execute<int64_t, list_entry_t>(
        args.data[0], result, args.size(), [&](int64_t length) {
            if (length < 0 || length > LENGTH_MAX) {
                throw_argument("an array of this length is not shuffled");
            }
            std::vector<int64_t> numbers(static_cast<size_t>(length));
            std::iota(numbers.begin(), numbers.end(), 1);
            std::shuffle(numbers.begin(), numbers.end(), generator);
            return put_numbers(result, numbers);
        });
}

static constexpr int64_t CHOSEN_MAX = 5;
static constexpr int64_t ELEMENTS_MAX = 100000; /* of all choices together */

static list_entry_t put_choices(Vector &result, int64_t length, int64_t chosen)
{
    if (chosen < 0 || chosen > CHOSEN_MAX) {
        throw_argument("combinations are of 0 to 5 elements");
    }
    int64_t count = length < chosen ? 0 : 1;
    for (int64_t i = 0; i < chosen && count > 0; i++) {
        count = count > ELEMENTS_MAX ? count : count * (length - i) / (i + 1);
    }
    if (count * chosen > ELEMENTS_MAX) {
        throw_argument("the combinations have more than " + std::to_string(ELEMENTS_MAX) +
                       " elements");
    }
    Vector &choices = ListVector::GetEntry(result);
    idx_t offset = ListVector::GetListSize(result);
    ListVector::Reserve(result, offset + static_cast<idx_t>(count));
    std::vector<int64_t> choice(static_cast<size_t>(chosen));
    std::iota(choice.begin(), choice.end(), 1);
    for (idx_t n = 0; n < static_cast<idx_t>(count); n++) {
        list_entry_t entry = put_numbers(choices, choice);
        duckdb::FlatVector::GetData<list_entry_t>(choices)[offset + n] = entry;
        size_t i = 0; /* the first that has room in front of the next */
        while (i + 1 < choice.size() && choice[i] + 1 == choice[i + 1]) {
            choice[i] = static_cast<int64_t>(i) + 1;
            i++;
        }
        if (i < choice.size()) {
            choice[i]++;
        }
    }
    ListVector::SetListSize(result, offset + static_cast<idx_t>(count));
    return {offset, static_cast<idx_t>(count)};
}

static void run_combinations(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::BinaryExecutor::Execute<int64_t, int64_t, list_entry_t>(
        args.data[0], args.data[1], result, args.size(),
        [&](int64_t length, int64_t chosen) { return put_choices(result, length, chosen); });
}

/* ---- maps ---- */

enum class keep {
    ALL,
    EACH,
    FIRST
};

/* Where the values of each key are in a list, keys in the order in which they come. */
struct groups {
    std::vector<idx_t> keys;
    std::vector<std::vector<idx_t>> values;
};

static groups group(Vector &keys, const duckdb::hash_t *hashes, list_entry_t list, bool is_strict)
{
    groups found;
    std::unordered_multimap<duckdb::hash_t, size_t> places;
    for (idx_t i = list.offset; i < list.offset + list.length; i++) {
        duckdb::Value key = keys.GetValue(i);
        if (key.IsNull() && is_strict) {
            throw_argument("a key of a map is NULL");
        }
        if (key.IsNull()) {
            continue;
        }
        auto range = places.equal_range(hashes[i]);
        size_t place = found.keys.size();
        for (auto it = range.first; it != range.second; ++it) {
            if (duckdb::Value::NotDistinctFrom(keys.GetValue(found.keys[it->second]), key)) {
                place = it->second;
                break;
            }
        }
        if (place == found.keys.size()) {
            places.emplace(hashes[i], place);
            found.keys.push_back(i);
            found.values.emplace_back();
        }
        found.values[place].push_back(i);
    }
    return found;
}

/* Rows `picked` of `from`, behind what is in the child of a list. */
static void append(Vector &to, idx_t offset, Vector &from, const std::vector<idx_t> &picked)
{
    duckdb::SelectionVector selection(picked.size());
    for (idx_t i = 0; i < picked.size(); i++) {
        selection.set_index(i, picked[i]);
    }
    duckdb::VectorOperations::Copy(from, to, selection, picked.size(), 0, offset);
}

template <keep KEEP> static void run_map(DataChunk &args, ExpressionState &, Vector &result)
{
    idx_t rows = args.size();
    duckdb::UnifiedVectorFormat formats[2];
    idx_t sizes[2];
    for (size_t side = 0; side < 2; side++) {
        args.data[side].ToUnifiedFormat(rows, formats[side]);
        sizes[side] = ListVector::GetListSize(args.data[side]);
    }
    Vector &keys = ListVector::GetEntry(args.data[0]);
    Vector &values = ListVector::GetEntry(args.data[1]);
    Vector hashes(LogicalType::HASH, std::max<idx_t>(sizes[0], 1));
    duckdb::VectorOperations::Hash(keys, hashes, sizes[0]);
    hashes.Flatten(sizes[0]);
    auto hash = duckdb::FlatVector::GetData<duckdb::hash_t>(hashes);

    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    for (idx_t i = 0; i < rows; i++) {
        idx_t at[2] = {formats[0].sel->get_index(i), formats[1].sel->get_index(i)};
        bool is_valid =
            formats[0].validity.RowIsValid(at[0]) && formats[1].validity.RowIsValid(at[1]);
        list_entry_t key_list =
            is_valid ? duckdb::UnifiedVectorFormat::GetData<list_entry_t>(formats[0])[at[0]]
                     : list_entry_t();
        list_entry_t value_list =
            is_valid ? duckdb::UnifiedVectorFormat::GetData<list_entry_t>(formats[1])[at[1]]
                     : list_entry_t();
        if (is_valid && key_list.length != value_list.length) {
            throw_argument("keys and values are not as many");
        }
        groups found = is_valid ? group(keys, hash, key_list, KEEP == keep::EACH) : groups();
        if (found.keys.empty() && (!is_valid || key_list.length > 0)) {
            duckdb::FlatVector::SetNull(result, i, true);
            continue;
        }
        idx_t offset = ListVector::GetListSize(result);
        idx_t count = found.keys.size();
        ListVector::Reserve(result, offset + count);
        append(duckdb::MapVector::GetKeys(result), offset, keys, found.keys);
        Vector &to = duckdb::MapVector::GetValues(result);
        std::vector<idx_t> picked;
        for (idx_t k = 0; k < count; k++) {
            for (idx_t &value : found.values[k]) {
                value = value - key_list.offset + value_list.offset;
            }
            if (KEEP == keep::FIRST) {
                picked.push_back(found.values[k].front());
                continue;
            }
            idx_t from = ListVector::GetListSize(to);
            ListVector::Reserve(to, from + found.values[k].size());
            append(ListVector::GetEntry(to), from, values, found.values[k]);
            ListVector::SetListSize(to, from + found.values[k].size());
            duckdb::FlatVector::GetData<list_entry_t>(to)[offset + k] = {from,
                                                                         found.values[k].size()};
        }
        if (KEEP == keep::FIRST) {
            append(to, offset, values, picked);
        }
        ListVector::SetListSize(result, offset + count);
        duckdb::FlatVector::GetData<list_entry_t>(result)[i] = {offset, count};
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

template <keep KEEP>
static duckdb::unique_ptr<duckdb::FunctionData> bind_map(duckdb::ClientContext &,
                                                         ScalarFunction &function, arguments &lists)
{
    for (size_t side = 0; side < 2; side++) {
        LogicalType type = lists[side]->return_type;
        if (type.id() == LogicalTypeId::SQLNULL || type.id() == LogicalTypeId::UNKNOWN) {
            type = LogicalType::LIST(LogicalType::INTEGER);
        }
        if (type.id() != LogicalTypeId::LIST) {
            throw_err(ERR_INVALID, "42804", "keys and values of a map are arrays", "");
        }
        function.arguments[side] = type;
    }
    const LogicalType &value = duckdb::ListType::GetChildType(function.arguments[1]);
    function.SetReturnType(
        LogicalType::MAP(duckdb::ListType::GetChildType(function.arguments[0]),
                         KEEP == keep::FIRST ? value : LogicalType::LIST(value)));
    return nullptr;
}

/* ---- angles ---- */

using values = duckdb::vector<duckdb::Value>;

/* NULL where a number is. */
static bool has_null(const values &numbers)
{
    for (const duckdb::Value &number : numbers) {
        if (number.IsNull()) {
            return true;
        }
    }
    return false;
}

static double squares_of(const values &numbers)
{
    double sum = 0;
    for (const duckdb::Value &number : numbers) {
        double value = duckdb::DoubleValue::Get(number);
        sum += value * value;
    }
    return sum;
}

static duckdb::Value similarity(const duckdb::Value &left, const duckdb::Value &right)
{
    const values &a = duckdb::ListValue::GetChildren(left);
    const values &b = duckdb::ListValue::GetChildren(right);
    if (a.size() != b.size()) {
        throw_argument("the arrays have not as many numbers");
    }
    if (has_null(a) || has_null(b)) {
        return duckdb::Value(LogicalType::DOUBLE);
    }
    double product = 0;
    for (size_t i = 0; i < a.size(); i++) {
        product += duckdb::DoubleValue::Get(a[i]) * duckdb::DoubleValue::Get(b[i]);
    }
    double squares[2] = {squares_of(a), squares_of(b)};
    if (squares[0] == 0 || squares[1] == 0) {
        throw_argument("an array of zeros has no direction");
    }
    return duckdb::Value::DOUBLE(product / std::sqrt(squares[0] * squares[1]));
}

/* What is not in a map is 0 there. */
static duckdb::Value similarity_of_maps(const duckdb::Value &left, const duckdb::Value &right)
{
    values numbers[2];
    std::unordered_map<std::string, double> found;
    double product = 0;
    for (size_t side = 0; side < 2; side++) {
        for (const duckdb::Value &entry : duckdb::MapValue::GetChildren(side == 0 ? left : right)) {
            const values &pair = duckdb::StructValue::GetChildren(entry);
            numbers[side].push_back(pair[1]);
        }
        if (has_null(numbers[side])) {
            return duckdb::Value(LogicalType::DOUBLE);
        }
        for (const duckdb::Value &entry : duckdb::MapValue::GetChildren(side == 0 ? left : right)) {
            const values &pair = duckdb::StructValue::GetChildren(entry);
            const std::string &key = duckdb::StringValue::Get(pair[0]);
            double number = duckdb::DoubleValue::Get(pair[1]);
            auto other = found.find(key);
            product += side == 1 && other != found.end() ? number * other->second : 0;
            if (side == 0) {
                found.emplace(key, number);
            }
        }
    }
    return duckdb::Value::DOUBLE(product /
                                 std::sqrt(squares_of(numbers[0]) * squares_of(numbers[1])));
}

template <duckdb::Value (*OF)(const duckdb::Value &, const duckdb::Value &)>
static void run_similarity(DataChunk &args, ExpressionState &, Vector &result)
{
    for (idx_t i = 0; i < args.size(); i++) {
        duckdb::Value left = args.data[0].GetValue(i);
        duckdb::Value right = args.data[1].GetValue(i);
        bool is_null = left.IsNull() || right.IsNull();
        result.SetValue(i, is_null ? duckdb::Value(LogicalType::DOUBLE) : OF(left, right));
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

void add_trino_lists(trino_list &functions)
{
    const LogicalType number = LogicalType::BIGINT;
    const LogicalType any = LogicalType::ANY;
    const LogicalType numbers = LogicalType::LIST(number);
    functions.emplace_back("trino_shuffle", duckdb::vector<LogicalType>{number}, numbers,
                           run_shuffle);
    functions.back().SetVolatile();
    functions.emplace_back("trino_combinations", duckdb::vector<LogicalType>{number, number},
                           LogicalType::LIST(numbers), run_combinations);
    functions.emplace_back("trino_group", duckdb::vector<LogicalType>{any, any}, any,
                           run_map<keep::ALL>, bind_map<keep::ALL>);
    functions.emplace_back("trino_first", duckdb::vector<LogicalType>{any, any}, any,
                           run_map<keep::FIRST>, bind_map<keep::FIRST>);
    functions.emplace_back("trino_multimap", duckdb::vector<LogicalType>{any, any}, any,
                           run_map<keep::EACH>, bind_map<keep::EACH>);
    const LogicalType real = LogicalType::DOUBLE;
    const LogicalType vector = LogicalType::LIST(real);
    const LogicalType sparse = LogicalType::MAP(LogicalType::VARCHAR, real);
    functions.emplace_back("trino_cosine_similarity", duckdb::vector<LogicalType>{vector, vector},
                           real, run_similarity<similarity>);
    functions.emplace_back("trino_cosine_similarity", duckdb::vector<LogicalType>{sparse, sparse},
                           real, run_similarity<similarity_of_maps>);
}

} // namespace moat
