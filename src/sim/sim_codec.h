/* A codec of our own for simulated stores, so that what they write does not depend on a library:
 * runs of zeros are counted. */
#pragma once

#include "kernel/kernel.h"

#define SIM_CODEC_ID 200u

struct kernel_codec sim_codec(void);
