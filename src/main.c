#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "engine/host/host.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* Tokens and lent keys are in this memory, also where libraries have copied them to: none of it
 * goes into a core dump, whoever collects them, and no other program of the same user may look at
 * it. A sanitizer that looks for leaks must. */
static void keep_memory_in(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* A connection is a file, and so is each file of a table that is read; the usual limit is 1,024. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    if (engine_host_is_asked(argc, argv)) {
        mem_keep_freed();
        return engine_host_main();
    }
    keep_memory_in();
    raise_file_limit();
    return cli_main(argc, argv);
}
