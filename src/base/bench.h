/* What the programs that measure share. A line of name, value, unit and optionally a limit, between
 * tabs, is a measurement to tools/bench. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

static inline void bench_print(const char *name, double value, const char *unit)
{
    (void)printf("%s\t%.6g\t%s\n", name, value, unit);
}

static inline void bench_print_limit(const char *name, double value, const char *unit, double limit)
{
    (void)printf("%s\t%.6g\t%s\t%g\n", name, value, unit, limit);
}

static char bench_folder_path[] = "moat_bench_XXXXXX"; /* here: /tmp may be no disk */

static inline int bench_remove(const char *path, UNUSED const struct stat *status, UNUSED int type,
                               UNUSED struct FTW *at)
{
    return remove(path);
}

static inline void bench_folder_remove(void)
{
    (void)nftw(bench_folder_path, bench_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new folder in the working folder, removed at exit; the same one at each call. NULL: none could
 * be made, which is printed. */
static inline const char *bench_folder(void)
{
    static bool is_made;
    if (!is_made && (mkdtemp(bench_folder_path) == NULL || atexit(bench_folder_remove) != 0)) {
        perror(bench_folder_path);
        return NULL;
    }
    is_made = true;
    return bench_folder_path;
}
