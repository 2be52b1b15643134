# How one folder of src/ becomes a module.
#
#   moat_module(NAME base DEPS a b LIBS Lib::x)
#
#   src/base/*.c          static library moat_base (includes start at src/: "base/arena.h")
#   src/base/*_test.c     one program base_test, cmocka, in CTest as unit.base
#   src/base/x_fuzz.c     program x_fuzz: libFuzzer in the fuzz preset; elsewhere it runs the files it is given, and
#                         CTest runs it over tests/corpus/x/ as fuzz.x
#   src/base/x_bench.c    program x_bench, built by the target `benches` only
#
# A folder that is absent is passed over, and so is a dependency on it. Three files of src/base are for programs other than `moat` and are
# kept out of the library: test_main.c and fuzz_main.c, the main() of tests and of fuzz targets.

set(MOAT_SOURCE_ROOT "${PROJECT_SOURCE_DIR}/src")
set(MOAT_RPATH "$ORIGIN" "$ORIGIN/..") # tests live one folder below the program and its engine
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
add_custom_target(benches)

function(moat_module)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "DEPS;LIBS")
    moat__sort_sources("${MOAT_SOURCE_ROOT}/${arg_NAME}" c)
    if(NOT EXISTS "${MOAT_SOURCE_ROOT}/${arg_NAME}")
        return()
    endif()

    set(target moat_${arg_NAME})
    if(sources)
        add_library(${target} STATIC ${sources})
        set(scope PUBLIC)
        target_link_libraries(${target} PRIVATE moat_flags)
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    moat__existing(deps ${arg_DEPS})
    target_include_directories(${target} ${scope} "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${target} ${scope} ${deps} ${arg_LIBS})

    moat__programs(${arg_NAME} "${tests}" "${fuzzers}" "${benches}" ${target})
endfunction()

# src/engine/duckdb: the only C++, one shared module that the loader in src/engine opens where the engine runs.
# It exports what it marks for export and nothing else: its copy of base stays its own.
function(moat_engine_module)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "DEPS")
    moat__sort_sources("${MOAT_SOURCE_ROOT}/engine/duckdb" cpp)
    if(NOT sources)
        return()
    endif()

    moat__existing(deps ${arg_DEPS})
    add_library(moat_engine_duckdb SHARED ${sources})
    target_include_directories(moat_engine_duckdb PUBLIC "${MOAT_SOURCE_ROOT}")
    target_link_libraries(moat_engine_duckdb PRIVATE moat_flags ${deps} DuckDB::DuckDB)
    target_link_options(moat_engine_duckdb PRIVATE LINKER:--exclude-libs,ALL)
    set_target_properties(moat_engine_duckdb PROPERTIES
        OUTPUT_NAME moat_engine
        LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
        BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
    file(CREATE_LINK "${DUCKDB_LIBRARY}" "${PROJECT_BINARY_DIR}/libduckdb.so" SYMBOLIC)

    install(TARGETS moat_engine_duckdb LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/moat" NAMELINK_SKIP)
    install(PROGRAMS "$<TARGET_FILE:DuckDB::DuckDB>" DESTINATION "${CMAKE_INSTALL_LIBDIR}/moat" RENAME libduckdb.so)

    moat__existing(loader engine)
    moat__programs(engine_duckdb "${tests}" "${fuzzers}" "${benches}" moat_engine_duckdb ${loader} ${deps})
endfunction()

# moat_program(NAME moat MAIN src/main.c DEPS a b): the program in build/<preset>/, in bin/ when installed.
function(moat_program)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;MAIN" "DEPS")
    file(GLOB main CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${arg_MAIN}")
    if(NOT main)
        return()
    endif()

    moat__existing(deps ${arg_DEPS})
    add_executable(${arg_NAME} ${main})
    target_include_directories(${arg_NAME} PRIVATE "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${arg_NAME} PRIVATE moat_flags ${deps})
    file(RELATIVE_PATH libraries "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}/moat")
    set_target_properties(${arg_NAME} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
        BUILD_RPATH "${MOAT_RPATH}" INSTALL_RPATH "$ORIGIN;$ORIGIN/${libraries}")
    if(TARGET moat_engine_duckdb)
        add_dependencies(${arg_NAME} moat_engine_duckdb)
    endif()
    install(TARGETS ${arg_NAME} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endfunction()

# Sets sources, tests, fuzzers and benches from the files of a folder. `language` is the suffix of the library's own files;
# tests and their kin are always C.
macro(moat__sort_sources folder language)
    file(GLOB sources CONFIGURE_DEPENDS "${folder}/*.${language}")
    file(GLOB tests CONFIGURE_DEPENDS "${folder}/*_test.c")
    file(GLOB fuzzers CONFIGURE_DEPENDS "${folder}/*_fuzz.c")
    file(GLOB benches CONFIGURE_DEPENDS "${folder}/*_bench.c")
    list(FILTER sources EXCLUDE REGEX "/([^/]*_(test|fuzz|bench)|test_main|fuzz_main)\\.c$")
endmacro()

# Sets `result` to the targets of those modules that exist.
function(moat__existing result)
    set(found "")
    foreach(name IN LISTS ARGN)
        if(TARGET moat_${name})
            list(APPEND found moat_${name})
        endif()
    endforeach()
    set(${result} ${found} PARENT_SCOPE)
endfunction()

# moat__programs(<module> <tests> <fuzzers> <benches> <libraries>...)
function(moat__programs module tests fuzzers benches)
    if(BUILD_TESTING AND CMOCKA_FOUND AND tests)
        moat__program(${module}_test SOURCES ${tests} "${MOAT_SOURCE_ROOT}/base/test_main.c"
            LIBS ${ARGN} moat_base PkgConfig::CMOCKA)
        moat__add_test(unit.${module} unit ${module}_test)
    endif()

    foreach(source IN LISTS fuzzers)
        cmake_path(GET source STEM LAST_ONLY program)
        string(REGEX REPLACE "_fuzz$" "" stem ${program})
        if(MOAT_SANITIZE STREQUAL "fuzzer")
            moat__program(${program} SOURCES ${source} LIBS ${ARGN})
            target_link_options(${program} PRIVATE -fsanitize=fuzzer)
        else()
            moat__program(${program} SOURCES ${source} ${MOAT_SOURCE_ROOT}/base/fuzz_main.c LIBS ${ARGN} moat_base)
        endif()
        set(corpus "${PROJECT_SOURCE_DIR}/tests/corpus/${stem}")
        if(MOAT_SANITIZE STREQUAL "fuzzer")
            set(run -runs=0)
        else()
            set(run "")
        endif()
        if(BUILD_TESTING AND EXISTS "${corpus}")
            moat__add_test(fuzz.${stem} fuzz ${program} ${run} "${corpus}")
        endif()
    endforeach()

    foreach(source IN LISTS benches)
        cmake_path(GET source STEM LAST_ONLY program)
        moat__program(${program} SOURCES ${source} LIBS ${ARGN})
        set_target_properties(${program} PROPERTIES EXCLUDE_FROM_ALL ON)
        add_dependencies(benches ${program})
    endforeach()
endfunction()

function(moat__program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${name} PRIVATE moat_flags ${arg_LIBS})
    set_target_properties(${name} PROPERTIES BUILD_RPATH "${MOAT_RPATH}")
endfunction()

# moat__add_test(<name> <label> <program> <argument>...): runs at the root of the tree, so tests name their data as "tests/...".
function(moat__add_test name label program)
    add_test(NAME ${name} COMMAND ${program} ${ARGN} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 120 ENVIRONMENT "${MOAT_TEST_ENVIRONMENT}")
endfunction()
