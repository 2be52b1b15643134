/* moat-sim: lives of a simulated store, from seeds.
 *
 *     moat-sim [--seed N] [--seeds COUNT] [--steps N] [--jobs N] [--hardware] [--verbose]
 *
 * Lives are dealt out to `--jobs` processes; the outcome is the same for any number. Prints each
 * failing seed with the reason; the last line is `N passed, N failed`. Exit code 1 if any failed.
 * Told to end (SIGINT, SIGTERM) it ends the lives that are begun and says up to which seed it came:
 * all before it were lived. A terminal is shown how far it is.
 * The same seed gives the same life, and the same hash, on every machine and build. */
#include "base/base.h"
#include "sim/sim_run.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64u

static void print_life(const struct sim_report *r)
{
    printf("seed %llu: hash %016llx, %llu commits, %llu conflicts, %llu stale, %llu reads, %llu "
           "scans, "
           "%llu opens, %llu crashes, %llu faults, %llu flushes, %llu compactions, %llu moves, "
           "%llu corruptions named\n",
           (unsigned long long)r->seed, (unsigned long long)r->hash, (unsigned long long)r->commits,
           (unsigned long long)r->conflicts, (unsigned long long)r->stale,
           (unsigned long long)r->reads, (unsigned long long)r->scans, (unsigned long long)r->opens,
           (unsigned long long)r->crashes, (unsigned long long)r->faults,
           (unsigned long long)r->flushes, (unsigned long long)r->compactions,
           (unsigned long long)r->moves, (unsigned long long)r->corruptions);
}

static void add(struct sim_report *sum, const struct sim_report *one)
{
    sum->commits += one->commits;
    sum->conflicts += one->conflicts;
    sum->stale += one->stale;
    sum->crashes += one->crashes;
    sum->opens += one->opens;
    sum->reads += one->reads;
    sum->scans += one->scans;
    sum->faults += one->faults;
    sum->corruptions += one->corruptions;
    sum->flushes += one->flushes;
    sum->compactions += one->compactions;
    sum->moves += one->moves;
}

struct run {
    struct sim_options options;
    uint64_t seed, count;
    uint32_t jobs;
    bool is_verbose;
    /* Shared by the processes. */
    _Atomic uint64_t *begun; /* lives */
    uint64_t *hashes;        /* of each life */
    struct sim_report *sums; /* of each process; `seed` counts its failures */
};

static volatile sig_atomic_t is_told_to_end;

static void end(int number)
{
    (void)number;
    is_told_to_end = 1;
}

/* One life after the other, until there are no more. */
static void live(const struct run *run, uint32_t job)
{
    struct sim_report *sum = &run->sums[job];
    while (!is_told_to_end) {
        struct sim_report report;
        uint64_t i = atomic_fetch_add(run->begun, 1);
        if (i >= run->count) {
            break;
        }
        sim_run(run->seed + i, &run->options, &report);
        run->hashes[i] = report.hash;
        add(sum, &report);
        if (report.is_failed) {
            sum->seed++;
            printf("seed %llu FAILED: %s\n", (unsigned long long)report.seed, report.text);
        }
        if (run->is_verbose) {
            print_life(&report);
        }
        fflush(stdout);
    }
}

static uint64_t begun(const struct run *run)
{
    uint64_t count = atomic_load(run->begun);
    return count < run->count ? count : run->count;
}

static void show(const struct run *run, double seconds)
{
    uint64_t lives = begun(run);
    uint64_t failed = 0;
    for (uint32_t job = 0; job < run->jobs; job++) {
        failed += run->sums[job].seed;
    }
    fprintf(stderr, "\r%llu of %llu lives, %llu failed, %.0f a second ", (unsigned long long)lives,
            (unsigned long long)run->count, (unsigned long long)failed, (double)lives / seconds);
}

/* Waits for all of them; whoever is told to end tells them. Returns how many did not end well. */
static uint32_t await_all(const struct run *run, pid_t *processes)
{
    const bool is_shown = isatty(STDERR_FILENO) == 1;
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    bool has_passed_on = false;
    uint32_t bad = 0;
    for (uint32_t left = run->jobs, turn = 1; left > 0; turn++) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended > 0 || (ended < 0 && errno == ECHILD)) {
            left = ended > 0 ? left - 1 : 0;
            bad += status != 0 ? 1 : 0;
            if (WIFSIGNALED(status)) {
                printf("a process FAILED: it ended by signal %d\n", WTERMSIG(status));
            }
            continue;
        }
        for (uint32_t job = 0; is_told_to_end && !has_passed_on && job < run->jobs; job++) {
            (void)kill(processes[job], SIGTERM);
        }
        has_passed_on = is_told_to_end != 0;
        if (is_shown && turn % 10 == 0) {
            show(run, turn / 10.0);
        }
        (void)nanosleep(&pause, NULL);
    }
    fputs(is_shown ? "\r\033[K" : "", stderr);
    return bad;
}

/* In processes, as a failed assertion ends one. Returns how many lives failed or were not lived. */
static uint64_t live_all(const struct run *run)
{
    pid_t processes[JOBS_MAX];
    for (uint32_t job = 0; job < run->jobs; job++) {
        processes[job] = fork();
        if (processes[job] == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
            live(run, job);
            _exit(0);
        }
        if (processes[job] < 0) {
            perror("fork");
            exit(1);
        }
    }
    uint64_t failed = await_all(run, processes);
    for (uint32_t job = 0; job < run->jobs; job++) {
        failed += run->sums[job].seed;
    }
    return failed;
}

static void *share(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return memory;
}

static bool read_options(int argc, char **argv, struct run *run)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0) {
            run->is_verbose = true;
        } else if (strcmp(argv[i], "--hardware") == 0) {
            run->options.has_hardware_crc = true;
        } else if (has_value && strcmp(argv[i], "--seed") == 0) {
            run->seed = strtoull(argv[++i], NULL, 0);
        } else if (has_value && strcmp(argv[i], "--seeds") == 0) {
            run->count = strtoull(argv[++i], NULL, 0);
        } else if (has_value && strcmp(argv[i], "--steps") == 0) {
            run->options.steps = (uint32_t)strtoull(argv[++i], NULL, 0);
        } else if (has_value && strcmp(argv[i], "--jobs") == 0) {
            run->jobs = (uint32_t)strtoull(argv[++i], NULL, 0);
        } else {
            return false;
        }
    }
    return run->jobs > 0 && run->jobs <= JOBS_MAX && run->count > 0;
}

int main(int argc, char **argv)
{
    struct run run = {.seed = 1, .count = 1, .jobs = 1};
    if (!read_options(argc, argv, &run)) {
        fprintf(stderr, "usage: moat-sim [--seed N] [--seeds COUNT] [--steps N] [--jobs N] "
                        "[--hardware] [--verbose]\n");
        return 2;
    }
    (void)signal(SIGINT, end);
    (void)signal(SIGTERM, end);
    run.begun = share(sizeof(*run.begun));
    run.hashes = share(run.count * sizeof(uint64_t));
    run.sums = share(run.jobs * sizeof(struct sim_report));
    uint64_t failed = 0;
    if (run.jobs == 1) { /* in this one, for a debugger */
        live(&run, 0);
        failed = run.sums[0].seed;
    } else {
        failed = live_all(&run);
    }
    struct sim_report sum = {.seed = run.seed};
    uint64_t lives = begun(&run);
    for (uint64_t i = 0; i < lives; i++) {
        sum.hash = sum.hash * 31 + run.hashes[i];
    }
    for (uint32_t job = 0; job < run.jobs; job++) {
        add(&sum, &run.sums[job]);
    }
    print_life(&sum);
    if (lives < run.count) {
        printf("told to end: seeds %llu to %llu were lived, of %llu\n",
               (unsigned long long)run.seed, (unsigned long long)(run.seed + lives) - 1,
               (unsigned long long)run.count);
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)(lives - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
