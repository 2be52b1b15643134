/* What the tests of scans share: tables of Parquet files in memory, written by the engine itself
 * with field ids of our choosing, and the program's side of their scans. */
#pragma once

#include <pthread.h>

#include "engine/duckdb/fixture.h"
#include "engine/scan.h"

#define FILES_MAX MEMORY_OBJECTS
#define TOLD_MAX 512

/* A table of files in memory and the program's side of its scan. */
struct table {
    struct memory_store store;
    struct engine_scan_file files[FILES_MAX];
    struct engine_scan_spec spec;
    int64_t deleted_modulus; /* rows of files with deletes whose position it divides are dead */
    int32_t skip_if_asked;   /* a field id: only files[0] for conditions on it; 0 = never */
    enum err fail_files;
    enum err fail_dead;
    _Atomic unsigned asked;
    _Atomic unsigned asked_dynamic;
    _Atomic uint64_t dead_calls;
    struct buf predicates; /* of the last call of files() */
    const struct engine_scan_range
        *ranges; /* what ranges() says; NULL: there is no such function */
    enum err fail_ranges;
    _Atomic unsigned asked_ranges;
    bool takes_advice;           /* of what is read ahead: then the following is kept */
    pthread_mutex_t advice_lock; /* initialised by who takes it */
    struct engine_scan_extent told[TOLD_MAX];
    size_t told_objects[TOLD_MAX];
    size_t told_count;
    uint64_t read_bytes;
    uint64_t told_bytes; /* of them, in one extent that was told before */
};

/* Adds `select` as a file of the table; `options` are those of COPY beside the format. */
struct engine_scan_file *table_add(struct fixture *fixture, struct table *table, const char *select,
                                   const char *options);
void table_fini(struct table *table);

struct engine_grant *table_grant(struct fixture *fixture, struct table *table);

/* `format` with the call of moat_scan in place of "%s"; the caller frees. */
char *scan_sql(const struct engine_grant *grant, const char *format);

/* Fails the test unless the statement gives exactly this. */
void table_expect(struct fixture *fixture, struct table *table, const char *format,
                  const char *expected);
/* What the statement gives. */
void table_answer(struct fixture *fixture, struct table *table, const char *format,
                  struct buf *ret_text);
/* Fails the test unless it is refused with a message that has `part` and no address. */
void table_refuse(struct fixture *fixture, struct table *table, const char *format,
                  enum err expected, const char *part);

#define COLUMN(id, text, type_text, ...)                                                           \
    {                                                                                              \
        .field_id = (id), .name = SLICE(text), .type = SLICE(type_text), __VA_ARGS__               \
    }
#define VALUE(text) .value = SLICE(text)
#define CHILDREN(list) .children = (list), .child_count = ARRAY_COUNT(list)
#define COLUMNS(table, list)                                                                       \
    ((table)->spec.columns = (list), (table)->spec.column_count = ARRAY_COUNT(list))
