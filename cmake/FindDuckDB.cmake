# The engine: DuckDB::DuckDB, headers and shared library of exactly the version in tools/deps.lock.
# Looked for in DUCKDB_ROOT (lib/ and include/, or flat), then where tools/deps puts it.

file(STRINGS "${PROJECT_SOURCE_DIR}/tools/deps.lock" line REGEX "^pypi +duckdb-headers ")
string(REGEX REPLACE ".*==([0-9.]+) .*" "\\1" DuckDB_WANTED "${line}")

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/deps.lock")

if(DEFINED ENV{DUCKDB_ROOT})
    set(root "$ENV{DUCKDB_ROOT}")
elseif(DEFINED ENV{MOAT_CACHE})
    set(root "$ENV{MOAT_CACHE}/duckdb-${DuckDB_WANTED}")
else()
    set(root "${PROJECT_SOURCE_DIR}/.cache/deps/duckdb-${DuckDB_WANTED}")
endif()

# Not cached: a new version in the lock must be found anew.
find_library(DUCKDB_LIBRARY duckdb PATHS "${root}" PATH_SUFFIXES lib NO_DEFAULT_PATH NO_CACHE)
find_path(DUCKDB_INCLUDE_DIR duckdb.hpp PATHS "${root}" PATH_SUFFIXES include NO_DEFAULT_PATH NO_CACHE)

if(DUCKDB_INCLUDE_DIR)
    file(STRINGS "${DUCKDB_INCLUDE_DIR}/duckdb.h" lines REGEX "#define DUCKDB_API_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
    string(REGEX REPLACE "#define DUCKDB_API_VERSION_[A-Z]+ " "" lines "${lines}")
    string(REPLACE ";" "." DuckDB_VERSION "${lines}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB
    REQUIRED_VARS DUCKDB_LIBRARY DUCKDB_INCLUDE_DIR VERSION_VAR DuckDB_VERSION
    REASON_FAILURE_MESSAGE "run `tools/deps build`, or set DUCKDB_ROOT to a folder with lib/ and include/")
if(NOT DuckDB_VERSION VERSION_EQUAL DuckDB_WANTED)
    message(FATAL_ERROR "DuckDB in ${root} is ${DuckDB_VERSION}; the engine adapter needs exactly ${DuckDB_WANTED}")
endif()

if(NOT TARGET DuckDB::DuckDB)
    add_library(DuckDB::DuckDB SHARED IMPORTED)
    set_target_properties(DuckDB::DuckDB PROPERTIES
        IMPORTED_LOCATION "${DUCKDB_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${DUCKDB_INCLUDE_DIR}")
endif()
