# How one folder of src/ becomes a module.
#
#   moat_module(base LIBS Lib::x)
#   moat_module(query PARTS dml run)        one library, whose files are in folders too
#
#   src/base/*.c          static library moat_base (includes start at src/: "base/arena.h")
#   src/base/*_test.c     one program base_test, cmocka, in CTest as unit.base
#   src/base/x_fuzz.c     program x_fuzz: libFuzzer in the fuzz preset; elsewhere it runs the files it is given, and
#                         CTest runs it over tests/corpus/x/ as fuzz.x
#   src/base/x_bench.c    program x_bench, built by the target `benches` only, and run by tools/bench; x_probe.c likewise, but
#                         for a script or a person to run, with arguments
#
# It is linked with the modules that tools/deps.txt lets it include. A folder that is absent is passed over, and so is an
# arrow to it. Two files of src/base are kept out of its library: test_main.c and fuzz_main.c, the main() of tests and of
# fuzz targets.

set(MOAT_SOURCE_ROOT "${PROJECT_SOURCE_DIR}/src")
set(MOAT_ARROWS "${PROJECT_SOURCE_DIR}/tools/deps.txt")
set(MOAT_RPATH "$ORIGIN")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${MOAT_ARROWS}")
add_custom_target(benches)

function(moat_module name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS;PARTS")
    list(TRANSFORM arg_PARTS PREPEND "${MOAT_SOURCE_ROOT}/${name}/" OUTPUT_VARIABLE folders)
    moat__sort_sources(c "${MOAT_SOURCE_ROOT}/${name}" ${folders})
    if(NOT EXISTS "${MOAT_SOURCE_ROOT}/${name}")
        return()
    endif()

    string(REPLACE "/" "_" label ${name})
    set(target moat_${label})
    if(sources)
        add_library(${target} STATIC ${sources})
        set(scope PUBLIC)
        target_link_libraries(${target} PRIVATE moat_flags)
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    moat__arrows(deps ${name})
    target_include_directories(${target} ${scope} "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${target} ${scope} ${deps} ${arg_LIBS})

    moat__programs(${label} "${tests}" "${fuzzers}" "${benches}" ${target})
endfunction()

# moat_embed(wire/web console_script console/a.js console/b.js): the files, one behind the other, as the array
# `console_script` with its length `console_script_len` in the module's library.
function(moat_embed module name)
    string(REPLACE "/" "_" label ${module})
    list(TRANSFORM ARGN PREPEND "${MOAT_SOURCE_ROOT}/${module}/" OUTPUT_VARIABLE files)
    set(output "${PROJECT_BINARY_DIR}/embedded/${name}.c")
    add_custom_command(OUTPUT "${output}"
        COMMAND "${CMAKE_COMMAND}" "-DNAME=${name}" "-DOUTPUT=${output}" "-DFILES=${files}"
            -P "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake"
        DEPENDS ${files} "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake" VERBATIM)
    target_sources(moat_${label} PRIVATE "${output}")
endfunction()

# The only C++: one shared module that the loader in src/engine opens where the engine runs. It exports what it marks for
# export and nothing else: its copy of base stays its own. (gcc's sanitizers answer dlopen() in the program's place, and
# then the program's rpath is not searched: open it by path.)
function(moat_engine_module name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS")
    moat__sort_sources(cpp "${MOAT_SOURCE_ROOT}/${name}")
    if(NOT sources)
        return()
    endif()

    moat__arrows(deps ${name})
    add_library(moat_engine_duckdb SHARED ${sources})
    target_include_directories(moat_engine_duckdb PUBLIC "${MOAT_SOURCE_ROOT}")
    target_link_libraries(moat_engine_duckdb PRIVATE moat_flags ${deps} DuckDB::DuckDB ${arg_LIBS})
    target_link_options(moat_engine_duckdb PRIVATE LINKER:--exclude-libs,ALL)
    set_target_properties(moat_engine_duckdb PROPERTIES
        OUTPUT_NAME moat_engine
        LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
        BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN")
    # Beside the program, and beside the tests, which are one folder below.
    file(MAKE_DIRECTORY "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
    file(CREATE_LINK "${DUCKDB_LIBRARY}" "${PROJECT_BINARY_DIR}/libduckdb.so" SYMBOLIC)
    file(CREATE_LINK ../libduckdb.so "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/libduckdb.so" SYMBOLIC)
    file(CREATE_LINK ../libmoat_engine.so "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/libmoat_engine.so" SYMBOLIC)

    install(TARGETS moat_engine_duckdb LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/moat")
    install(PROGRAMS "$<TARGET_FILE:DuckDB::DuckDB>" DESTINATION "${CMAKE_INSTALL_LIBDIR}/moat" RENAME libduckdb.so)

    moat__programs(engine_duckdb "${tests}" "${fuzzers}" "${benches}" moat_engine_duckdb ${deps})
endfunction()

# moat_program(main): src/main.c is the program, build/<preset>/moat, and bin/moat when installed.
function(moat_program name)
    file(GLOB main CONFIGURE_DEPENDS "${MOAT_SOURCE_ROOT}/${name}.c")
    if(NOT main)
        return()
    endif()

    moat__arrows(deps ${name})
    add_executable(moat ${main})
    target_include_directories(moat PRIVATE "${MOAT_SOURCE_ROOT}")
    target_link_libraries(moat PRIVATE moat_flags ${deps})
    file(RELATIVE_PATH libraries "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}/moat")
    set_target_properties(moat PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
        BUILD_RPATH "${MOAT_RPATH}" INSTALL_RPATH "$ORIGIN;$ORIGIN/${libraries}")
    if(TARGET moat_engine_duckdb)
        add_dependencies(moat moat_engine_duckdb)
    endif()
    install(TARGETS moat RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endfunction()

# moat_tool(moat-sim sim_main): a program for developers, bin/moat-sim, from src/sim_main.c; not installed.
function(moat_tool program name)
    moat__arrows(deps ${name})
    add_executable(${program} "${MOAT_SOURCE_ROOT}/${name}.c")
    target_include_directories(${program} PRIVATE "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${program} PRIVATE moat_flags ${deps})
endfunction()

# moat_add_test(NAME attack.files LABEL attack TIMEOUT 3600 COMMAND program argument...): a test that runs at the root of the
# tree, so that it names its data as "tests/...". tools/check counts its cases by what it prints (see there).
function(moat_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;LABEL;TIMEOUT" "COMMAND")
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 1800) # for what hangs: many times what any takes, as machines may be slow and busy
    endif()
    add_test(NAME ${arg_NAME} COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" COMMAND_EXPAND_LISTS)
    set_tests_properties(${arg_NAME} PROPERTIES
        LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${MOAT_TEST_ENVIRONMENT}")
endfunction()

# moat__sort_sources(<language> <folder>...): sets sources, tests, fuzzers and benches from the files of the folders. `language`
# is the suffix of the library's own files; tests and their kin are always C.
macro(moat__sort_sources language)
    foreach(pair "sources:*.${language}" "tests:*_test.c" "fuzzers:*_fuzz.c" "benches:*_bench.c" "probes:*_probe.c")
        string(REPLACE ":" ";" pair "${pair}")
        list(GET pair 0 kind)
        list(GET pair 1 pattern)
        set(globs ${ARGN})
        list(TRANSFORM globs APPEND "/${pattern}")
        file(GLOB ${kind} CONFIGURE_DEPENDS ${globs})
    endforeach()
    list(APPEND benches ${probes})
    list(FILTER sources EXCLUDE REGEX "/([^/]*_(test|fuzz|bench|probe)|test_main|fuzz_main)\\.c$")
endmacro()

# Sets `result` to the libraries of the modules that tools/deps.txt gives to `module`, in whatever order they are declared.
function(moat__arrows result module)
    file(STRINGS "${MOAT_ARROWS}" line REGEX "^${module}:")
    if(NOT line)
        message(FATAL_ERROR "tools/deps.txt has no line for \"${module}\"")
    endif()
    string(REGEX REPLACE "^[^:]*: *" "" names "${line}")
    string(REGEX MATCHALL "[a-z0-9_/]+" names "${names}")
    set(libraries "")
    foreach(name IN LISTS names)
        string(REPLACE "/" "_" name ${name})
        list(APPEND libraries "$<TARGET_NAME_IF_EXISTS:moat_${name}>")
    endforeach()
    set(${result} ${libraries} PARENT_SCOPE)
endfunction()

# moat__programs(<module> <tests> <fuzzers> <benches> <libraries>...)
function(moat__programs module tests fuzzers benches)
    if(BUILD_TESTING AND CMOCKA_FOUND AND tests)
        moat__program(${module}_test SOURCES ${tests} "${MOAT_SOURCE_ROOT}/base/test_main.c"
            LIBS ${ARGN} moat_base PkgConfig::CMOCKA)
        moat_add_test(NAME unit.${module} LABEL unit COMMAND ${module}_test)
    endif()

    foreach(source IN LISTS fuzzers)
        cmake_path(GET source STEM LAST_ONLY program)
        string(REGEX REPLACE "_fuzz$" "" stem ${program})
        file(GLOB corpus CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/corpus/${stem}/*")
        if(MOAT_SANITIZE STREQUAL "fuzzer")
            moat__program(${program} SOURCES ${source} LIBS ${ARGN})
            target_link_options(${program} PRIVATE -fsanitize=fuzzer)
            set(arguments -runs=0) # the corpus only, no mutation
        else()
            moat__program(${program} SOURCES ${source} "${MOAT_SOURCE_ROOT}/base/fuzz_main.c" LIBS ${ARGN} moat_base)
            set(arguments "")
        endif()
        if(BUILD_TESTING AND corpus)
            moat_add_test(NAME fuzz.${stem} LABEL fuzz COMMAND ${program} ${arguments} tests/corpus/${stem})
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
    if(TARGET moat_engine_duckdb) # opened at run time by whatever is above the engine
        add_dependencies(${name} moat_engine_duckdb)
    endif()
endfunction()
