/* Patterns come from users: no input may crash the matcher or the location reader, and a name that
 * is quoted byte by byte must match itself and nothing that differs. First line: pattern, rest: name. */
#include "base/fuzz.h"

#include "base/arena.h"
#include "base/buf.h"
#include "storage/storage_int.h"

static void check_quoted(struct slice name)
{
    struct buf quoted CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '*' || c == '?' || c == '[') {
            buf_printf(&quoted, "[%c]", c);
        } else {
            buf_append_char(&quoted, c);
        }
    }
    ASSERT(storage__glob_is_valid(buf_slice(&quoted)));
    ASSERT(storage__glob_match(buf_slice(&quoted), name));
    buf_append_char(&quoted, '!');
    ASSERT(!storage__glob_match(buf_slice(&quoted), name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice all = {(const char *)data, size};
    const char *newline = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = newline == NULL ? size : (size_t)(newline - all.ptr);
    struct slice pattern = {all.ptr, len};
    struct slice name = newline == NULL ? all : (struct slice){newline + 1, size - len - 1};
    if (pattern.len > 4096 || name.len > 4096) {
        return 0;
    }
    bool is_valid = storage__glob_is_valid(pattern);
    bool is_match = storage__glob_match(pattern, name);
    if (storage__glob_is_plain(pattern)) {
        ASSERT(is_valid && is_match == slice_equal(pattern, name));
    }
    check_quoted(name);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 1 << 20);
    struct slice absolute;
    if (arena != NULL && storage__local_pattern(pattern, arena, &absolute, NULL) == ERR_OK) {
        ASSERT(absolute.ptr[0] == '/' && memchr(absolute.ptr, '\0', absolute.len) == NULL);
    }
    return 0;
}
