#include "base/sweep.h"

#include <signal.h>
#include <unistd.h>

/* One process-wide fault; NULL outside sweeps, so that the cost in service is one load. */
static struct fault *armed;
static uint64_t calls_left;

void fault_arm(struct fault *fault)
{
    ASSERT(fault->step > 0);
    calls_left = fault->step;
    armed = fault;
}

void fault_disarm(void)
{
    armed = NULL;
}

static bool count_down(void)
{
    if (calls_left == 0 || --calls_left > 0) {
        return false;
    }
    armed->fired = true;
    return true;
}

bool fault_hit_alloc(void)
{
    return __builtin_expect(armed != NULL, 0) && armed->kind == FAULT_ALLOC && count_down();
}

bool fault_hit_io(void)
{
    if (__builtin_expect(armed == NULL, 1) || armed->kind == FAULT_ALLOC || !count_down()) {
        return false;
    }
    if (armed->kind == FAULT_KILL) {
        (void)kill(getpid(), SIGKILL);
    }
    return true;
}
