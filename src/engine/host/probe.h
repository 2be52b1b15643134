/* For probe_test.c: the test program is its own host, which tries to get out or lies. */
#pragma once

#include <sys/types.h>

extern pid_t probe_broker_pid; /* in the host */
