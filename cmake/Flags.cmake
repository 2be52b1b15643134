# Compiler and linker flags of everything that is ours. Targets take them by linking `moat_flags`, so that code which
# is not ours (generated or vendored) can be built without.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON) # gnu17: strdup, accept4, cleanup attribute
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# No NDEBUG in any build: assertions are part of the program.
foreach(language C CXX)
    set(CMAKE_${language}_FLAGS_RELEASE "-O2 -g")
    set(CMAKE_${language}_FLAGS_DEBUG "-Og -g")
endforeach()

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()

include(CheckPIESupported)
check_pie_supported()

# The base folder lets two checkouts share the cache.
find_program(CCACHE ccache)
if(CCACHE)
    foreach(language C CXX)
        set(CMAKE_${language}_COMPILER_LAUNCHER env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "${CCACHE}")
    endforeach()
endif()

file(RELATIVE_PATH up "${CMAKE_BINARY_DIR}" "${CMAKE_SOURCE_DIR}")
add_library(moat_flags INTERFACE)
target_compile_definitions(moat_flags INTERFACE
    "MOAT_VERSION=\"${PROJECT_VERSION}\""
    $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE>) # accept4, GNU strerror_r; g++ defines it itself
target_compile_options(moat_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    # gcc lets a function that takes a va_list pass its format on; clang does not, and gcc checks the same file.
    $<$<C_COMPILER_ID:Clang>:-Wno-format-nonliteral>
    # `ret_` outputs are set only on success, which gcc 12 cannot follow across functions: a third of the tree's calls
    # would warn falsely. clang's -Wuninitialized and the sanitizers stand in.
    $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    $<$<BOOL:${MOAT_WERROR}>:-Werror>
    -fno-common -ffp-contract=off
    # Files are named from the root of the tree ("src/base/arena.c"), whatever the compiler was given.
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=" "-ffile-prefix-map=${up}="
    $<IF:$<C_COMPILER_ID:Clang>,-ffile-compilation-dir=.,-ffile-prefix-map=${CMAKE_BINARY_DIR}=.>)
target_link_options(moat_flags INTERFACE LINKER:--as-needed)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(moat_flags INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
        # The engine is a shared library, so the linker never sees the whole program: drop what it can see is unused.
        -ffunction-sections -fdata-sections)
    target_link_options(moat_flags INTERFACE LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:--gc-sections)
endif()

# Everything that runs under a sanitizer stops at the first finding.
if(MOAT_SANITIZE STREQUAL "")
    set(sanitizers "")
elseif(MOAT_SANITIZE STREQUAL "address")
    set(sanitizers -fsanitize=address,undefined)
elseif(MOAT_SANITIZE STREQUAL "thread")
    set(sanitizers -fsanitize=thread)
elseif(MOAT_SANITIZE STREQUAL "fuzzer")
    set(sanitizers -fsanitize=fuzzer-no-link,address,undefined)
else()
    message(FATAL_ERROR "MOAT_SANITIZE is \"${MOAT_SANITIZE}\"; allowed: empty, address, thread, fuzzer")
endif()
if(sanitizers)
    # vptr needs type information that the engine's library does not share with us; clang's function check needs its
    # C++ runtime in the program, which is C.
    list(APPEND sanitizers -fno-sanitize-recover=all $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>
        $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-fno-sanitize=function>)
    target_compile_options(moat_flags INTERFACE ${sanitizers} -O1 -fno-omit-frame-pointer)
    # The engine brings the C++ library by dlopen; the sanitizers look up its __cxa_throw when the program starts.
    target_link_options(moat_flags INTERFACE ${sanitizers} LINKER:--no-as-needed,-lstdc++,--as-needed)
endif()

# What a test sees, whichever sanitizer it was built with: stacks with lines, which clang's sanitizers leave to LLVM's tool, and
# signals not caught by cmocka (handle_*=2), which would lose the stack.
find_program(LLVM_SYMBOLIZER llvm-symbolizer PATHS /usr/lib/llvm-14/bin)
set(signals "handle_segv=2:handle_sigbus=2:handle_sigfpe=2")
set(symbolizer "$<$<BOOL:${LLVM_SYMBOLIZER}>::external_symbolizer_path=${LLVM_SYMBOLIZER}>")
set(MOAT_TEST_ENVIRONMENT
    "ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1:${signals}${symbolizer}"
    "UBSAN_OPTIONS=print_stacktrace=1${symbolizer}"
    "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp:halt_on_error=1:second_deadlock_stack=1${symbolizer}")
