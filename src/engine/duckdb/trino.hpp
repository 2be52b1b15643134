/* The parts of what Trino has (trino.cpp says which): each adds its functions. All may throw. */
#pragma once
#include "engine/duckdb/module.hpp"

#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/function/scalar_function.hpp>

namespace moat
{

using trino_list = std::vector<duckdb::ScalarFunction>;

void add_trino_text(trino_list &functions);
void add_trino_bytes(trino_list &functions);
void add_trino_numbers(trino_list &functions);
void add_trino_times(trino_list &functions);
void add_trino_lists(trino_list &functions);
void add_trino_dispatch(trino_list &functions);

[[noreturn]] inline void throw_argument(const std::string &message)
{
    throw_err(ERR_INVALID, "22023", message, "");
}

inline duckdb::string_t put_text(duckdb::Vector &result, const std::string &text)
{
    return duckdb::StringVector::AddStringOrBlob(result, text);
}

inline std::string text_of(duckdb::string_t value)
{
    return {value.GetData(), value.GetSize()};
}

/* `one` of each value, or of each pair of them, as a text or bytes. */
template <class T, class F> void put_texts(duckdb::DataChunk &args, duckdb::Vector &result, F one)
{
    duckdb::UnaryExecutor::Execute<T, duckdb::string_t>(
        args.data[0], result, args.size(), [&](T value) { return put_text(result, one(value)); });
}

} // namespace moat
