/* Geometries as well-known binary, which is what columns of them are here (geometry.cpp). */
#pragma once

#include <duckdb/main/connection.hpp>

namespace moat
{

/* Before the database is shared: st_astext(BLOB) and st_geomfromtext(VARCHAR). */
void register_geometry(duckdb::Connection &connection);

} // namespace moat
