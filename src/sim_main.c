/* moat-sim: lives of a simulated store, from seeds.
 *
 *     moat-sim [--seed N] [--seeds COUNT] [--steps N] [--jobs N] [--hardware] [--verbose]
 *
 * Lives are dealt out to `--jobs` processes; the outcome is the same for any number. Prints each
 * failing seed with the reason; the last line is `N passed, N failed`. Exit code 1 if any failed.
 * The same seed gives the same life, and the same hash, on every machine and build. */
#include "base/base.h"
#include "sim/sim_run.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64u

static void print_life(const struct sim_report *r)
{
    printf("seed %llu: hash %016llx, %llu commits, %llu conflicts, %llu stale, %llu reads, %llu "
           "scans, "
           "%llu opens, %llu crashes, %llu faults, %llu flushes, %llu compactions, "
           "%llu corruptions named\n",
           (unsigned long long)r->seed, (unsigned long long)r->hash, (unsigned long long)r->commits,
           (unsigned long long)r->conflicts, (unsigned long long)r->stale,
           (unsigned long long)r->reads, (unsigned long long)r->scans, (unsigned long long)r->opens,
           (unsigned long long)r->crashes, (unsigned long long)r->faults,
           (unsigned long long)r->flushes, (unsigned long long)r->compactions,
           (unsigned long long)r->corruptions);
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
}

struct run {
    struct sim_options options;
    uint64_t seed, count;
    uint32_t jobs;
    bool is_verbose;
    /* Shared by the processes. */
    uint64_t *hashes;        /* of each life */
    struct sim_report *sums; /* of each process; `seed` counts its failures */
};

/* Every life whose turn is `job`'s. */
static void live(const struct run *run, uint32_t job)
{
    struct sim_report *sum = &run->sums[job];
    for (uint64_t i = job; i < run->count; i += run->jobs) {
        struct sim_report report;
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

/* In processes, as a failed assertion ends one. Returns how many lives failed or were not lived. */
static uint64_t live_all(const struct run *run)
{
    pid_t processes[JOBS_MAX];
    uint64_t failed = 0;
    for (uint32_t job = 0; job < run->jobs; job++) {
        processes[job] = fork();
        if (processes[job] == 0) {
            live(run, job);
            _exit(0);
        }
    }
    for (uint32_t job = 0; job < run->jobs; job++) {
        int status = 0;
        bool is_over = processes[job] > 0 && waitpid(processes[job], &status, 0) > 0;
        failed += run->sums[job].seed;
        if (!is_over || status != 0) {
            printf("process %u of %u FAILED: it ended by signal %d\n", job + 1, run->jobs,
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0);
            failed++;
        }
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
    for (uint64_t i = 0; i < run.count; i++) {
        sum.hash = sum.hash * 31 + run.hashes[i];
    }
    for (uint32_t job = 0; job < run.jobs; job++) {
        add(&sum, &run.sums[job]);
    }
    print_life(&sum);
    printf("%llu passed, %llu failed\n", (unsigned long long)(run.count - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
