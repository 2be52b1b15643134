/* Runs a fuzz target over files and folders: how corpora are checked without libFuzzer. */
#include "base/fuzz.h"

#include <ftw.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/io.h"

#define FUZZ_FILE_BYTES_MAX (64u << 20)

static size_t run_count;

static int run_entry(const char *path, UNUSED const struct stat *info, int kind,
                     UNUSED struct FTW *walk)
{
    if (kind != FTW_F) {
        return 0;
    }
    struct arena *arena = arena_new(NULL, "fuzz file", 0);
    struct errinfo error;
    struct slice bytes;
    if (arena == NULL || io_read_file(arena, path, FUZZ_FILE_BYTES_MAX, &bytes, &error) != ERR_OK) {
        fprintf(stderr, "cannot read %s\n", path);
        arena_free(arena);
        return 1;
    }
    (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes.ptr, bytes.len);
    run_count++;
    arena_free(arena);
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (nftw(argv[i], run_entry, 16, FTW_PHYS) != 0) {
            return 1;
        }
    }
    printf("%zu inputs passed\n", run_count);
    return run_count > 0 ? 0 : 1;
}
