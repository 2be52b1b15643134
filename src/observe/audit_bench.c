/* Time a record and syncs a record, with 1 and 8 writers: the wait that audit adds to a query.
 * First argument: a folder on the disk to measure, instead of one that is made and removed. */
#include "base/bench.h"
#include "base/clock.h"
#include "base/io.h"
#include "observe/audit_int.h"

#define RECORDS 2000u

struct writer {
    struct audit *audit;
    struct identity *who;
    unsigned count;
    unsigned failed;
};

static void *write_many(void *context)
{
    struct writer *writer = context;
    struct audit_record record = {.kind = AUDIT_QUERY_START,
                                  .query_id = SLICE("01997f6e-0000-7000-8000-000000000000"),
                                  .who = writer->who,
                                  .statement = SLICE("SELECT count(*) FROM flights"),
                                  .command = SLICE("SELECT")};
    for (unsigned i = 0; i < writer->count; i++) {
        writer->failed += audit_write(writer->audit, &record, NULL) != ERR_OK;
    }
    return NULL;
}

static bool measure(const char *folder, unsigned thread_count, struct identity *who)
{
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    if (audit_open(folder, NULL, &audit, NULL) != ERR_OK) {
        return false;
    }
    pthread_t threads[8];
    struct writer writers[8];
    uint64_t syncs = audit__sync_count(audit);
    int64_t start_us = clock_mono_us();
    for (unsigned i = 0; i < thread_count; i++) {
        writers[i] = (struct writer){audit, who, RECORDS / thread_count, 0};
        if (pthread_create(&threads[i], NULL, write_many, &writers[i]) != 0) {
            return false;
        }
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        (void)pthread_join(threads[i], NULL);
        failed += writers[i].failed;
    }
    double took_us = (double)(clock_mono_us() - start_us);
    double records = (double)(RECORDS / thread_count * thread_count);
    (void)printf("audit: wait for a record, %u writers\t%.1f\tus\n", thread_count,
                 took_us / records * thread_count);
    (void)printf("audit: syncs a record, %u writers\t%.3f\tsyncs\n", thread_count,
                 (double)(audit__sync_count(audit) - syncs) / records);
    return failed == 0;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : bench_folder();
    struct identity_spec spec = {.subject = SLICE("bench"), .provider = SLICE("local")};
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    bool is_good = folder != NULL && identity_new(&spec, &who, NULL) == ERR_OK &&
                   measure(folder, 1, who) && measure(folder, 8, who);
    if (!is_good && folder != NULL) {
        (void)fprintf(stderr, "audit_bench: the trail in \"%s\" cannot be written\n", folder);
    }
    return is_good ? 0 : 1;
}
