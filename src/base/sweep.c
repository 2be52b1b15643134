#include "base/sweep.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/* One process-wide fault; NULL outside sweeps, so that the cost in service is one load. */
static struct fault *_Atomic armed;
static _Atomic uint64_t calls_left;
static _Thread_local bool is_spared;

void fault_arm(struct fault *fault)
{
    ASSERT(fault->step > 0);
    atomic_store(&calls_left, fault->step);
    atomic_store(&armed, fault);
}

void fault_disarm(void)
{
    atomic_store(&armed, NULL);
}

static struct fault *get_armed(void)
{
    return atomic_load_explicit(&armed, memory_order_relaxed);
}

void fault_spare_thread(void)
{
    is_spared = true;
}

/* Below 1 it stays there: a fault fires once. */
static bool count_down(struct fault *fault)
{
    if (is_spared) {
        return false;
    }
    uint64_t left = atomic_load(&calls_left);
    while (left > 0 && !atomic_compare_exchange_weak(&calls_left, &left, left - 1)) {
    }
    if (left != 1) {
        return false;
    }
    fault->fired = true;
    return true;
}

bool fault_hit_alloc(void)
{
    struct fault *fault = get_armed();
    return __builtin_expect(fault != NULL, 0) && fault->kind == FAULT_ALLOC && count_down(fault);
}

bool fault_hit_io(void)
{
    struct fault *fault = get_armed();
    if (__builtin_expect(fault == NULL, 1) || fault->kind == FAULT_ALLOC || !count_down(fault)) {
        return false;
    }
    if (fault->kind == FAULT_KILL) {
        (void)kill(getpid(), SIGKILL);
    }
    return true;
}
