# Lays the sample of Iceberg tables out where its own paths lead: cmake -DPYTHON=... -DFOLDER=... -DLINK=... -P this
#
# Metadata holds absolute paths, and those in Parquet and Puffin files can only be replaced by others of their length. So the
# copy is in FOLDER, in the build, and LINK, of the right length, leads there.
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
file(REMOVE "${LINK}")
file(CREATE_LINK "${FOLDER}" "${LINK}" SYMBOLIC)
file(READ tests/data/iceberg/prefix prefix)
string(STRIP "${prefix}" prefix)
execute_process(COMMAND "${PYTHON}" tests/interop/iceberg/relocate.py tests/data/iceberg "${prefix}" "${LINK}"
    COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${PYTHON}" tests/interop/iceberg/relocate.py tests/data/iceberg_views "${prefix}/views" "${LINK}/views"
    COMMAND_ERROR_IS_FATAL ANY)
message("1 passed, 0 failed")
