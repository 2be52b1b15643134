/* Geometries.
 *
 * Columns of type geometry and geography are BLOBs of well-known binary: the engine's GEOMETRY has
 * no edges, and of reference systems only those that it has a definition of. It is a type of files
 * alone: their Parquet type says what the bytes are. So the functions are over bytes, and check
 * them: st_astext(BLOB), which takes the place of the engine's own, st_geomfromtext(VARCHAR). The
 * cast of a BLOB to a GEOMETRY, at any depth, is for COPY; no statement of a user names the
 * type. */
#include "engine/duckdb/geometry.hpp"

#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp>
#include <duckdb/common/types/geometry.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/function/cast/cast_function_set.hpp>
#include <duckdb/function/scalar_function.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>

extern "C" {
#include "engine/wkb.h"
}

namespace moat
{

using duckdb::Geometry;
using duckdb::LogicalType;
using duckdb::string_t;
using duckdb::UnaryExecutor;
using duckdb::Vector;

static void run_text(duckdb::DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    Vector checked(LogicalType::BLOB, args.size());
    UnaryExecutor::Execute<string_t, string_t>(
        args.data[0], result, args.size(), [&](string_t bytes) {
            string_t geometry;
            (void)Geometry::FromBinary(bytes, geometry, checked, true); /* throws */
            return Geometry::ToString(result, geometry);
        });
}

static void run_geometry(duckdb::DataChunk &args, duckdb::ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<string_t, string_t>(
        args.data[0], result, args.size(), [&](string_t text) {
            string_t geometry;
            (void)Geometry::FromString(text, geometry, result, true); /* throws */
            return geometry;
        });
}

/* What files have of bytes, which may be of either byte order. Bytes that are none stay what they
 * are: where they are to be written is known which column they are of (geo.cpp). */
static bool cast_bytes(Vector &source, Vector &result, duckdb::idx_t count,
                       duckdb::CastParameters &)
{
    UnaryExecutor::Execute<string_t, string_t>(source, result, count, [&](string_t bytes) {
        string_t geometry;
        struct wkb_facts facts;
        if (wkb_check({bytes.GetData(), bytes.GetSize()}, &facts, nullptr) != ERR_OK) {
            return duckdb::StringVector::AddStringOrBlob(result, bytes);
        }
        (void)Geometry::FromBinary(bytes, geometry, result, true);
        return geometry;
    });
    return true;
}

void register_geometry(duckdb::Connection &connection)
{
    duckdb::ClientContext &context = *connection.context;
    duckdb::ScalarFunction text("st_astext", {LogicalType::BLOB}, LogicalType::VARCHAR, run_text);
    text.SetFallible();
    context.RunFunctionInTransaction([&] {
        auto &functions = duckdb::Catalog::GetEntry<duckdb::ScalarFunctionCatalogEntry>(
                              context, SYSTEM_CATALOG, DEFAULT_SCHEMA, "st_astext")
                              .functions;
        functions = duckdb::ScalarFunctionSet(text);
    });
    duckdb::ScalarFunction geometry("st_geomfromtext", {LogicalType::VARCHAR}, LogicalType::BLOB,
                                    run_geometry);
    geometry.SetFallible();
    duckdb::CreateScalarFunctionInfo info(geometry);
    info.schema = DEFAULT_SCHEMA;
    context.RegisterFunction(info);
    duckdb::CastFunctionSet::Get(context).RegisterCastFunction(
        LogicalType::BLOB, LogicalType::GEOMETRY(), duckdb::BoundCastInfo(cast_bytes));
}

} // namespace moat
