#include "base/test.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SLOWNESS_STEPS 18000000u /* test_slowness(): 20 ms of one processor */

static struct test_case *tests;
static size_t test_count;
static uint64_t seed;
static char folder_base[64];
static unsigned folder_count;

void test_register(struct test_case *test)
{
    struct test_case **link = &tests;
    while (*link != NULL) { /* keeps the order of the files */
        link = &(*link)->next;
    }
    *link = test;
    test_count++;
}

uint64_t test_seed(void)
{
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t test_random_below(uint64_t *state, uint64_t bound)
{
    ASSERT(bound > 0);
    return test_random(state) % bound;
}

unsigned test_slowness(void)
{
    int64_t begun_us = clock_mono_us();
    uint64_t state = 1;
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLOWNESS_STEPS; i++) {
        sum += test_random(&state);
    }
    __asm__ volatile("" : : "r"(sum)); /* so that it is worked out */
    int64_t took_us = clock_mono_us() - begun_us;
    return took_us <= 20000 ? 1 : (unsigned)((took_us + 19999) / 20000);
}

const char *test_folder(void)
{
    if (folder_base[0] == '\0') {
        (void)snprintf(folder_base, sizeof(folder_base), "/tmp/moat_test_XXXXXX");
        ASSERT(mkdtemp(folder_base) != NULL);
    }
    static char paths[256][128];
    ASSERT(folder_count < ARRAY_COUNT(paths));
    char *path = paths[folder_count];
    (void)snprintf(path, sizeof(paths[0]), "%s/%u", folder_base, folder_count++);
    ASSERT(mkdir(path, 0700) == 0);
    return path;
}

static int remove_entry(const char *path, UNUSED const struct stat *info, UNUSED int kind,
                        UNUSED struct FTW *walk)
{
    return remove(path);
}

int main(int argc, char **argv)
{
    const char *filter = "";
    bool is_list = false;
    seed = (uint64_t)clock_wall_us();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strcmp(argv[i], "--list") == 0) {
            is_list = true;
        } else {
            fprintf(stderr, "usage: %s [--seed N] [--filter SUBSTRING] [--list]\n", argv[0]);
            return 2;
        }
    }
    struct CMUnitTest *selected = mem_calloc(test_count + 1, sizeof(*selected));
    char(*names)[160] = mem_calloc(test_count + 1, sizeof(*names));
    ASSERT(selected != NULL && names != NULL);
    size_t count = 0;
    for (struct test_case *test = tests; test != NULL; test = test->next) {
        (void)snprintf(names[count], sizeof(names[count]), "%s.%s", test->module, test->name);
        if (strstr(names[count], filter) == NULL) {
            continue;
        }
        if (is_list) {
            puts(names[count]);
        }
        selected[count] = (struct CMUnitTest){.name = names[count], .test_func = test->run};
        count++;
    }
    int failed = 0;
    if (!is_list) {
        printf("seed %llu\n", (unsigned long long)seed);
        fflush(stdout);
        failed = _cmocka_run_group_tests("tests", selected, count, NULL, NULL);
    }
    if (folder_base[0] != '\0') {
        (void)nftw(folder_base, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    mem_free(names);
    mem_free(selected);
    return failed == 0 ? 0 : 1;
}
