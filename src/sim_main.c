/* moat-sim: lives of a simulated store, from seeds.
 *
 *     moat-sim [--seed N] [--seeds COUNT] [--steps N] [--verbose]
 *
 * Prints each failing seed with the reason; the last line is `N passed, N failed`. Exit code 1 if
 * any failed. The same seed gives the same life, and the same hash, on every machine and build. */
#include "base/base.h"
#include "sim/sim_run.h"

static void print_life(const struct sim_report *r)
{
    printf("seed %llu: hash %016llx, %llu commits, %llu conflicts, %llu reads, %llu scans, "
           "%llu opens, %llu crashes, %llu faults, %llu flushes, %llu compactions, "
           "%llu corruptions named\n",
           (unsigned long long)r->seed, (unsigned long long)r->hash, (unsigned long long)r->commits,
           (unsigned long long)r->conflicts, (unsigned long long)r->reads,
           (unsigned long long)r->scans, (unsigned long long)r->opens,
           (unsigned long long)r->crashes, (unsigned long long)r->faults,
           (unsigned long long)r->flushes, (unsigned long long)r->compactions,
           (unsigned long long)r->corruptions);
}

static void add(struct sim_report *sum, const struct sim_report *one)
{
    sum->hash = sum->hash * 31 + one->hash;
    sum->commits += one->commits;
    sum->conflicts += one->conflicts;
    sum->crashes += one->crashes;
    sum->opens += one->opens;
    sum->reads += one->reads;
    sum->scans += one->scans;
    sum->faults += one->faults;
    sum->corruptions += one->corruptions;
    sum->flushes += one->flushes;
    sum->compactions += one->compactions;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, count = 1, failed = 0;
    bool is_verbose = false;
    struct sim_options options = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            is_verbose = true;
        } else if (strcmp(argv[i], "--hardware") == 0) {
            options.has_hardware_crc = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--steps") == 0) {
            options.steps = (uint32_t)strtoull(argv[++i], NULL, 0);
        } else {
            fprintf(stderr, "usage: moat-sim [--seed N] [--seeds COUNT] [--steps N] [--hardware] "
                            "[--verbose]\n");
            return 2;
        }
    }
    struct sim_report sum = {.seed = seed};
    for (uint64_t i = 0; i < count; i++) {
        struct sim_report report;
        sim_run(seed + i, &options, &report);
        add(&sum, &report);
        if (report.is_failed) {
            failed++;
            printf("seed %llu FAILED: %s\n", (unsigned long long)report.seed, report.text);
        }
        if (is_verbose) {
            print_life(&report);
        }
    }
    print_life(&sum);
    printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}
