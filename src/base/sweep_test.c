#include "base/sweep.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/test.h"

TEST(sweep, fails_each_step_once_and_then_passes)
{
    uint64_t runs = 0;
    uint64_t failed_steps = 0;
    SWEEP_ALLOC(fault)
    {
        runs++;
        for (uint64_t step = 1; step <= 5; step++) {
            void *memory = mem_alloc(8);
            if (memory == NULL) {
                failed_steps = failed_steps * 10 + step;
            }
            mem_free(memory);
        }
    }
    CHECK(runs == 6 && failed_steps == 12345);
    CHECK(!fault_hit_alloc() && !fault_hit_io());
}

TEST(sweep, kinds_do_not_meet)
{
    struct fault fault = {.kind = FAULT_IO, .step = 1};
    fault_arm(&fault);
    CHECK(!fault_hit_alloc());
    CHECK(fault_hit_io());
    CHECK(!fault_hit_io());
    fault_disarm();
    CHECK(fault.fired);
}

TEST(sweep, kills_before_the_step)
{
    const char *folder = test_folder();
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/f", folder);
    pid_t child = fork();
    if (child == 0) {
        struct fault fault = {.kind = FAULT_KILL, .step = 1};
        fault_arm(&fault);
        int fd;
        (void)!io_open_append(path, 0600, &fd, NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(!io_exists(path));
}
