/* `moat kv`: a store of the kernel by hand. */
#pragma once

#include "cli/cli.h"

/* `argv[0]` is "kv". */
enum cli_exit kv_main(int argc, char **argv);
