/* Reads manifests and says entries per second: with the statistics of one column of ten, of two,
 * of all, and with none. Without names, a made-up manifest of 100,000 entries in each codec. */
#include <stdio.h>
#include <time.h>

#include "iceberg/manifest_writer_int.h"

#define ENTRIES 100000
#define BLOCK_ENTRIES 200 /* about what Java's writer puts into one block of 64 KB */
#define COLUMNS 10
#define ROUNDS 5

/* Of this thread's processor time: a busy machine does not count. */
static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void make_manifest(const char *codec, struct buf *out)
{
    struct buf block CLEANUP(buf_fini) = {0};
    put_header(out, WRITER_SCHEMA(WRITER_OPTIONAL("day", 1000, "\"int\"")), codec, NULL);
    for (int64_t i = 0; i < ENTRIES; i++) {
        char path[120];
        char tuple[2] = {2, (char)(i % 30 * 2)};
        (void)snprintf(path, sizeof(path),
                       "s3://lake/warehouse/sales/orders/data/day=2024-01-%02d/"
                       "00000-%06d-8330df68-e52f-4c14-ad75-2a6a05840f4c-00001.parquet",
                       (int)(i % 30), (int)i);
        struct made_entry entry = made_entry(path);
        entry.partition = (struct slice){tuple, sizeof(tuple)};
        entry.columns = COLUMNS;
        entry.splits = 1;
        entry.sort_order_id = 0;
        put_entry(&block, &entry);
        if (i % BLOCK_ENTRIES == BLOCK_ENTRIES - 1) {
            put_block(out, BLOCK_ENTRIES, buf_slice(&block), codec);
            buf_reset(&block);
        }
    }
}

static int measure(const char *name, struct slice bytes, const struct iceberg_metadata *metadata,
                   const struct iceberg_manifest_want *want)
{
    struct iceberg_manifest manifest = {.sequence_number = 1, .first_row_id = ICEBERG_NO_ID};
    double best = 1e9;
    uint64_t entries = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
        const struct iceberg_file *file = NULL;
        struct errinfo info;
        errinfo_init(&info);
        double begin = now_seconds();
        enum err err = iceberg_manifest_open(bytes, &manifest, metadata, want, &reader, &info);
        for (entries = 0; err == ERR_OK; entries++) {
            err = iceberg_manifest_next(reader, &file, &info);
            if (file == NULL) {
                break;
            }
        }
        if (err != ERR_OK) {
            printf("%s: %s\n", name, info.message);
            return 1;
        }
        double seconds = now_seconds() - begin;
        best = seconds < best ? seconds : best;
    }
    printf("%-10s %s: %llu entries, %zu bytes, %.1f ms, %.2f million entries/s\n", name,
           want->all_metrics         ? "all columns"
           : want->metric_count == 0 ? "no column  "
           : want->metric_count == 1 ? "one column "
                                     : "two columns",
           (unsigned long long)entries, bytes.len, best * 1e3, (double)entries / best / 1e6);
    return 0;
}

int main(void)
{
    static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};
    static const int32_t ids[] = {3, 7};
    struct iceberg_partition_field day = {.field_id = 1000, .name = SLICE("day")};
    struct iceberg_spec spec = {.fields = &day, .field_count = 1};
    struct iceberg_metadata metadata = {.format_version = 2, .specs = &spec, .spec_count = 1};
    int failures = 0;
    for (size_t c = 0; c < ARRAY_COUNT(codecs); c++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        make_manifest(codecs[c], &bytes);
        for (size_t wanted = 0; wanted <= 3; wanted++) {
            struct iceberg_manifest_want want = {
                .all_metrics = wanted == 3, .metric_ids = ids, .metric_count = wanted % 3};
            failures += measure(codecs[c], buf_slice(&bytes), &metadata, &want);
        }
    }
    return failures != 0;
}
