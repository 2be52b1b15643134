/* What a fuzz target gives: libFuzzer's entry point. In the fuzz preset libFuzzer drives it; in
 * every other preset fuzz_main.c runs it over the files and folders named on the command line. */
#pragma once

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
