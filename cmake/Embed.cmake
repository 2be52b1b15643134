# Files as a C array: cmake -DNAME=console_script -DOUTPUT=x.c "-DFILES=a.js;b.js" -P cmake/Embed.cmake
# Several become one, in their order.
set(hex "")
foreach(file IN LISTS FILES)
    file(READ "${file}" part HEX)
    string(APPEND hex "${part}")
endforeach()
string(LENGTH "${hex}" digits)
math(EXPR length "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "#include <stddef.h>\n\n"
    "extern const unsigned char ${NAME}[];\nextern const size_t ${NAME}_len;\n"
    "const unsigned char ${NAME}[] = {\n${bytes}};\nconst size_t ${NAME}_len = ${length};\n")
