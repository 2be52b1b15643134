#include "base/mem.h"
#include "cli/cli.h"
#include "engine/host/host.h"

int main(int argc, char **argv)
{
    if (engine_host_is_asked(argc, argv)) {
        mem_keep_freed();
        return engine_host_main();
    }
    return cli_main(argc, argv);
}
