/* TIMESTAMPTZ_NS: a point in time to the nanosecond (instants.cpp). The engine has no such type:
 * it is its TIMESTAMP_NS under a name, with casts and functions of its own. */
#pragma once

#include <duckdb/common/types.hpp>
#include <duckdb/main/connection.hpp>

namespace moat
{

static constexpr const char *INSTANT_NAME = "TIMESTAMPTZ_NS";

duckdb::LogicalType instant_type();
bool is_instant(const duckdb::LogicalType &type);
/* The type, or one inside of it, is. */
bool has_instants(const duckdb::LogicalType &type);
/* How many of these types, and of those inside of them, are. */
size_t count_instants(const duckdb::vector<duckdb::LogicalType> &types);

/* "2020-01-31 12:34:56.000000001": nanoseconds since 1970, in UTC. */
std::string text_of_nanos(int64_t nanos);

/* Throws: such a value is none of a VARIANT. */
[[noreturn]] void refuse_variant(const duckdb::LogicalType &type);

/* Before the database is shared, and after its ICU is there. */
void register_instants(duckdb::Connection &connection);

} // namespace moat
