# libmoatkernel: the kernel alone, static and shared, for those who embed it. The program links moat_kernel instead. Without the
# start files of the compiler, so that the shared one has no variables either.
set(alone "${MOAT_SOURCE_ROOT}/kernel/alone")
add_library(moatkernel_static STATIC $<TARGET_OBJECTS:moat_kernel> "${alone}/assert.c")
add_library(moatkernel_shared SHARED $<TARGET_OBJECTS:moat_kernel> "${alone}/assert.c")
foreach(library moatkernel_static moatkernel_shared)
    target_include_directories(${library} PRIVATE "${MOAT_SOURCE_ROOT}")
    target_link_libraries(${library} PRIVATE moat_flags)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME moatkernel)
endforeach()
set_target_properties(moatkernel_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(moatkernel_shared PRIVATE -nostartfiles)

configure_file("${alone}/moatkernel.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/moatkernel.pc" @ONLY)
set(headers "${CMAKE_INSTALL_INCLUDEDIR}/moat")
install(TARGETS moatkernel_static moatkernel_shared COMPONENT kernel
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${MOAT_SOURCE_ROOT}/kernel/kernel.h" "${MOAT_SOURCE_ROOT}/kernel/kernel_io.h"
    DESTINATION "${headers}/kernel" COMPONENT kernel)
install(FILES "${MOAT_SOURCE_ROOT}/base/base.h" "${MOAT_SOURCE_ROOT}/base/err.h" "${alone}/banned.h"
    DESTINATION "${headers}/base" COMPONENT kernel)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/moatkernel.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT kernel)
