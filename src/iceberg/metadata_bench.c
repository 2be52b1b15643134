/* Parses each file named (table metadata, plain or gzip) and says MB/s; without names, a made-up
 * document of ten thousand snapshots with the summaries that Spark writes. */
#include <stdio.h>
#include <time.h>

#include "iceberg/metadata.h"

#define SNAPSHOTS 10000

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void make_document(struct buf *out)
{
    buf_append_str(out, "{\"format-version\":2,\"table-uuid\":\"1b82e7f7-5e1c-40cc-bbfc-"
                        "c6c3fb3c1fe1\",\"location\":\"s3://lake/t\",\"last-sequence-number\":"
                        "10000,\"last-updated-ms\":1795246227104,\"last-column-id\":1,\"schemas\":"
                        "[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":"
                        "\"id\",\"required\":false,\"type\":\"int\"}]}],\"current-schema-id\":0,"
                        "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"default-spec-id\":"
                        "0,\"last-partition-id\":999,\"sort-orders\":[{\"order-id\":0,\"fields\":"
                        "[]}],\"default-sort-order-id\":0,\"current-snapshot-id\":1000000009999,"
                        "\"snapshots\":[");
    for (long long i = 0; i < SNAPSHOTS; i++) {
        buf_printf(out,
                   "%s{\"sequence-number\":%lld,\"snapshot-id\":%lld,\"timestamp-ms\":%lld,"
                   "\"summary\":{\"operation\":\"append\",\"spark.app.id\":\"local-1795246007939\","
                   "\"added-data-files\":\"7\",\"added-records\":\"%lld\",\"added-files-size\":"
                   "\"20179\",\"changed-partition-count\":\"7\",\"total-records\":\"%lld\","
                   "\"total-files-size\":\"40316\",\"total-data-files\":\"14\","
                   "\"total-delete-files\":\"0\",\"total-position-deletes\":\"0\","
                   "\"total-equality-deletes\":\"0\",\"engine-version\":\"4.1.4\",\"engine-name\":"
                   "\"spark\"},\"manifest-list\":\"s3://lake/t/metadata/snap-%lld-1-41bf6f4d-776d-"
                   "4201-a02f-fa332c5d8234.avro\",\"schema-id\":0}",
                   i == 0 ? "" : ",", i + 1, 1000000000000 + i, 1700000000000 + i * 1000, i, i * i,
                   i);
    }
    buf_append_str(out, "],\"snapshot-log\":[");
    for (long long i = 0; i < SNAPSHOTS; i++) {
        buf_printf(out, "%s{\"timestamp-ms\":%lld,\"snapshot-id\":%lld}", i == 0 ? "" : ",",
                   1700000000000 + i * 1000, 1000000000000 + i);
    }
    buf_append_str(out, "]}");
}

static int measure(const char *name, struct slice bytes)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "bench", 0);
    struct iceberg_metadata metadata;
    struct errinfo info;
    errinfo_init(&info);
    double begin = now_seconds();
    if (iceberg_metadata_parse(bytes, arena, &metadata, &info) != ERR_OK) {
        printf("%s: %s\n", name, info.message);
        return 1;
    }
    double seconds = now_seconds() - begin;
    printf("%s: v%u, %zu snapshots, %zu bytes, %.3f ms, %.0f MB/s, %zu bytes kept\n", name,
           metadata.format_version, metadata.snapshot_count, bytes.len, seconds * 1e3,
           (double)bytes.len / seconds / 1e6, arena_bytes(arena));
    return 0;
}

int main(int argc, char **argv)
{
    struct iceberg_io io = iceberg_io_local();
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct errinfo info;
        if (io.read_all(io.context, slice_of(argv[i]), 0, 0, &bytes, &info) != ERR_OK) {
            printf("%s: %s\n", argv[i], info.message);
            failures++;
            continue;
        }
        failures += measure(argv[i], buf_slice(&bytes));
    }
    if (argc == 1) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        make_document(&bytes);
        for (int i = 0; i < 5; i++) {
            failures += measure("10,000 snapshots", buf_slice(&bytes));
        }
    }
    return failures != 0;
}
