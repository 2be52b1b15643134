# libmoat: Moat for programs that embed it, and a driver for ADBC. It exports moat_* and Adbc*, whatever else is in it stays its own.
set(embed "${MOAT_SOURCE_ROOT}/embed")
moat__arrows(deps embed)
add_library(moat_shared SHARED $<TARGET_OBJECTS:moat_embed>)
target_link_libraries(moat_shared PRIVATE moat_flags ${deps} Threads::Threads ${CMAKE_DL_LIBS})
target_link_options(moat_shared PRIVATE LINKER:--exclude-libs,ALL "LINKER:--version-script=${embed}/exports.map")
set_property(TARGET moat_shared APPEND PROPERTY LINK_DEPENDS "${embed}/exports.map")
set_target_properties(moat_shared PROPERTIES
    OUTPUT_NAME moat VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
add_dependencies(moat_shared moat_engine_duckdb)

configure_file("${embed}/moat.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/moat.pc" @ONLY)
install(TARGETS moat_shared LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${embed}/moat.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/moat.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
