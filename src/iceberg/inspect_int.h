/* Shared by the files that inspect and validate. */
#pragma once

#include "iceberg/inspect.h"
#include "iceberg/manifest.h"

uint64_t iceberg__small_bytes(const struct iceberg_metadata *metadata);
void iceberg__totals_add_file(const struct iceberg_file *file, struct iceberg_totals *totals);

/* A set of paths, each with a number; texts are copied. */
struct path_slot {
    struct slice path; /* ptr NULL: free */
    size_t value;
};

struct path_set {
    struct arena *arena;
    struct path_slot *slots;
    size_t capacity; /* a power of two */
    size_t count;
};

/* The slot of `path`, added with value 0 when new. */
MUST_USE enum err path_set_put(struct path_set *set, struct slice path, bool *ret_is_new,
                               struct path_slot **ret_slot, struct errinfo *info);
const struct path_slot *path_set_find(const struct path_set *set, struct slice path);

/* What a manifest, read once, adds to each snapshot that lists it. */
struct validated_manifest {
    struct iceberg_totals totals;
    bool is_readable;
};

struct validation {
    const struct iceberg_validate_options *options;
    const struct iceberg_io *io;
    const struct iceberg_metadata *metadata;
    struct iceberg_validate_counts counts;
    struct arena *arena;
    struct path_set manifests; /* value: index of `validated` */
    struct validated_manifest *validated;
    size_t validated_capacity;
    struct path_set files; /* sizes already compared */
    struct errinfo *info;
};

PRINTF_LIKE(5, 6)
void validation_report(struct validation *v, enum iceberg_severity severity, const char *check,
                       struct slice where, const char *format, ...);
/* Counts one check; reports a problem when `holds` is false. */
#define EXPECT(v, holds, ...)                                                                      \
    do {                                                                                           \
        (v)->counts.checks++;                                                                      \
        if (!(holds)) {                                                                            \
            validation_report((v), __VA_ARGS__);                                                   \
        }                                                                                          \
    } while (0)

/* True for errors that end a validation; others become a finding. */
bool validation_is_fatal(enum err err);

/* Compares the size of an object with what metadata says (ICEBERG_NO_ID: any), once per path. */
MUST_USE enum err validation_file(struct validation *v, struct slice path, int64_t size_bytes,
                                  bool *ret_exists);

void validation_metadata(struct validation *v);
MUST_USE enum err validation_statistics(struct validation *v);
MUST_USE enum err validation_snapshot(struct validation *v,
                                      const struct iceberg_snapshot *snapshot);
/* Entries of one manifest: counts, sequence numbers, values, bounds, files. */
MUST_USE enum err validation_manifest(struct validation *v, const struct iceberg_manifest *manifest,
                                      struct validated_manifest *out);
/* Across the manifests of a snapshot that a reference names: paths once, vectors' data files. */
MUST_USE enum err validation_live_files(struct validation *v,
                                        const struct iceberg_snapshot *snapshot);
