/* What the tests of the engine share: an engine, a session, and objects kept in memory. */
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/engine.h"
#include "engine/host/testing.h"

#define WHO test_who()

#define MEMORY_OBJECTS 8

/* Objects to read and sinks to write, all in memory. */
struct memory_store {
    struct buf objects[MEMORY_OBJECTS];
    size_t object_count;
    const char *extensions[MEMORY_OBJECTS];
    enum err fail_read; /* ERR_OK = reads work */
    uint32_t read_delay_us;
    bool has_hidden;
    _Atomic uint64_t reads;
};

/* One file that is written, and its end. */
struct file_sink {
    struct buf bytes;
    bool is_closed;
    size_t call_count;
    size_t failing_call; /* which is the store's failure; 0: none */
};

struct fixture {
    struct engine_hosts *hosts; /* NULL: in this process */
    struct engine *engine;
    struct engine_session *session;
};

struct fixture fixture_open(const struct engine_options *options);
void fixture_close(struct fixture *fixture);

/* Runs to the end: the rows' first column (VARCHAR) joined by '\n' in `ret_text` (may be NULL). */
enum err fixture_run(struct fixture *fixture, const char *sql, struct buf *ret_text,
                     struct errinfo *info);

/* Fails the test unless the statement gives exactly this. */
void fixture_expect(struct fixture *fixture, const char *sql, const char *expected);

struct engine_grant *store_grant(struct fixture *fixture, struct memory_store *store,
                                 size_t writable_count);
void store_fini(struct memory_store *store);
enum err store_read(void *context, size_t index, uint64_t offset, void *ret_bytes, size_t len,
                    struct errinfo *info);
enum err store_write(void *context, size_t index, const void *bytes, size_t len,
                     struct errinfo *info);

/* Writes `select` as Parquet into object 0 of the store. */
void store_fill(struct fixture *fixture, struct memory_store *store, const char *select);

/* Text with the grant's address of object `index` in place of "%s". */
char *fixture_sql(const struct engine_grant *grant, size_t index, const char *format);

/* COPY of the rows into the sink as a file of FORMAT moat_files; `options` behind a comma. */
enum err fixture_write(struct fixture *fixture, const char *select, const char *options,
                       struct file_sink *sink, struct errinfo *info);

uint64_t resident_bytes(void);

/* How much more time and memory a sanitizer may take; clang tells by a feature, gcc by a macro. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SLOWNESS 8
#else
#define TEST_SLOWNESS 1
#endif
