/* Goal: the block cache gives right bytes, to those alone who may read them now, fetches each block
 * once, and stays within its bounds. Method: a store of the tests that counts; a damaged disk. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "storage/s3_fixture_int.h"
#include "storage/storage_int.h"

#define KIB 1024u

struct world {
    struct store store;
    struct lender lender;
    struct storage_grant *grants[2];
    struct storage_object *objects[2];
    struct storage_counts counts;
    char *bytes;
    size_t len;
    struct errinfo info;
};

static void world_open(struct world *w, uint64_t memory, uint64_t disk, size_t len)
{
    struct storage_remote_options options = {.patience_ms = 1500,
                                             .timeout_ms = 500,
                                             .cache_memory_bytes = memory,
                                             .cache_disk_bytes = disk,
                                             .cache_folder = slice_of(test_folder()),
                                             .cache_block_bytes = 4 * KIB};
    *w = (struct world){.len = len, .bytes = mem_alloc(len)};
    uint64_t seed = test_seed();
    for (size_t i = 0; i < len; i++) {
        w->bytes[i] = (char)test_random(&seed);
    }
    store_open(&w->store);
    store_put(&w->store, "/bucket/t/data", w->bytes, len);
    lender_open(&w->lender, &options);
    for (int i = 0; i < 2; i++) {
        w->grants[i] = lend(&w->lender, &w->store, i, i == 0 ? "KEY0" : "KEY1");
        CHECK_OK(storage_grant_open(w->grants[i], person(i), SLICE("s3://bucket/t/data"),
                                    (struct slice){0}, &w->objects[i], &w->info));
    }
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        storage_close(w->objects[i]);
        storage_grant_unref(w->grants[i]);
    }
    lender_close(&w->lender);
    store_close(&w->store);
    mem_free(w->bytes);
}

static enum err read_as(struct world *w, int who, uint64_t offset, size_t len)
{
    static char out[1024 * KIB]; /* not of the heap, which fails in sweeps */
    CHECK(len <= sizeof(out));
    memset(out, 'x', len);
    enum err err = storage_read(w->objects[who], offset, out, len, &w->info);
    CHECK(err != ERR_OK || memcmp(out, w->bytes + offset, len) == 0);
    storage_remote_counts(w->lender.remote, &w->counts);
    return err;
}

TEST(cache, keeps_blocks_and_joins_neighbours)
{
    struct world w;
    world_open(&w, 1024 * KIB, 0, 200 * KIB + 7);
    CHECK_OK(read_as(&w, 0, 5000, 10));
    assert_int_equal(1, w.store.gets);
    assert_int_equal(1, w.counts.misses);
    CHECK_OK(read_as(&w, 0, 4096, 4096));
    assert_int_equal(1, w.store.gets);
    assert_int_equal(1, w.counts.memory_hits);
    assert_int_equal(4096, w.counts.hit_bytes);
    CHECK_OK(read_as(&w, 0, 0, 20 * KIB)); /* 0 and 2..4 are missing: two ranges */
    assert_int_equal(3, w.store.gets);
    CHECK_OK(read_as(&w, 0, 0, w.len)); /* two windows */
    assert_int_equal(5, w.store.gets);
    CHECK_OK(read_as(&w, 0, w.len - 1, 1));
    assert_int_equal(5, w.store.gets);
    assert_int_equal(w.len, w.counts.memory_bytes);
    world_close(&w);
}

TEST(cache, what_is_fetched_ahead_waits_for_its_reader)
{
    /* Goal: only what is missing is asked for, once, and only for whom it may be. */
    struct world w;
    world_open(&w, 1024 * KIB, 0, 200 * KIB + 7);
    CHECK_OK(read_as(&w, 0, 8192, 10));
    CHECK(!storage_prefetch_is_useful(w.objects[0], 8192, 4096));
    CHECK(storage_prefetch_is_useful(w.objects[0], 8192, 4097));
    storage_prefetch(w.objects[0], 5000, 20 * KIB); /* blocks 1 and 3..6: two ranges */
    assert_int_equal(3, w.store.gets);
    CHECK(!storage_prefetch_is_useful(w.objects[0], 4096, 24 * KIB));
    CHECK_OK(read_as(&w, 0, 4096, 24 * KIB));
    CHECK_OK(read_as(&w, 1, 4096, 24 * KIB));
    storage_prefetch(w.objects[0], 4096, 24 * KIB);
    assert_int_equal(3, w.store.gets);
    storage_prefetch(w.objects[0], 0, 0);
    storage_prefetch(w.objects[0], w.len, 1);         /* behind its end */
    storage_prefetch(w.objects[0], w.len - 1, 10000); /* over it */
    assert_int_equal(4, w.store.gets);
    CHECK_OK(read_as(&w, 0, w.len - 7, 7));
    assert_int_equal(4, w.store.gets);
    storage_grant_revoke(w.grants[1]);
    storage_prefetch(w.objects[1], 100 * KIB, 4096);
    assert_int_equal(4, w.store.gets);
    world_close(&w);
}

TEST(cache, fetches_ahead_no_more_than_it_has_room_for)
{
    struct world w;
    world_open(&w, 64 * KIB, 0, 200 * KIB);
    storage_prefetch(w.objects[0], 0, 17 * KIB);
    assert_int_equal(0, w.store.gets);
    storage_prefetch(w.objects[0], 0, 16 * KIB);
    assert_int_equal(1, w.store.gets);
    world_close(&w);
}

static void *fetch_ahead(void *context)
{
    struct world *w = context;
    storage_prefetch(w->objects[0], 0, 40 * KIB);
    return NULL;
}

TEST(cache, a_reader_waits_for_what_is_on_its_way)
{
    struct world w;
    pthread_t thread;
    world_open(&w, 1024 * KIB, 0, 40 * KIB);
    w.store.delay_ms = 50;
    CHECK(pthread_create(&thread, NULL, fetch_ahead, &w) == 0);
    while (w.counts.misses == 0) { /* until it has the blocks */
        storage_remote_counts(w.lender.remote, &w.counts);
    }
    CHECK_OK(read_as(&w, 1, 0, 40 * KIB));
    CHECK(pthread_join(thread, NULL) == 0);
    assert_int_equal(1, w.store.gets);
    world_close(&w);
}

TEST(cache, what_cannot_be_fetched_ahead_is_read)
{
    struct world w;
    world_open(&w, 1024 * KIB, 0, 40 * KIB);
    w.store.accepted = "Credential=KEY1/";
    storage_prefetch(w.objects[0], 0, 8 * KIB); /* refused, and nobody is told */
    CHECK_OK(read_as(&w, 1, 0, 8 * KIB));
    CHECK_ERR(ERR_DENIED, read_as(&w, 0, 8 * KIB, 8 * KIB));
    w.store.accepted = NULL;
    SWEEP_ALLOC(fault)
    {
        storage_prefetch(w.objects[0], 8 * KIB, 32 * KIB);
    }
    CHECK_OK(read_as(&w, 0, 0, w.len));
    world_close(&w);
}

TEST(cache, gives_no_hit_to_one_whose_grant_is_gone)
{
    struct world w;
    struct storage_object *object = NULL;
    world_open(&w, 1024 * KIB, 0, 50 * KIB);
    CHECK_OK(read_as(&w, 0, 0, w.len));
    unsigned gets = w.store.gets;
    CHECK_OK(read_as(&w, 1, 0, w.len)); /* the other one may read it too: blocks are shared */
    assert_int_equal(gets, w.store.gets);
    storage_grant_revoke(w.grants[1]);
    CHECK_ERR(ERR_DENIED, read_as(&w, 1, 0, 10));
    CHECK_OK(read_as(&w, 0, 0, 10));
    /* The store no longer lets the second one in: what is cached helps nothing. */
    struct storage_grant *again = lend(&w.lender, &w.store, 1, "KEY1");
    w.store.accepted = "Credential=KEY0/";
    CHECK_ERR(ERR_DENIED, storage_grant_open(again, person(1), SLICE("s3://bucket/t/data"),
                                             (struct slice){0}, &object, &w.info));
    /* Nor does the first one's grant, in the second one's hand. */
    CHECK_ERR(ERR_DENIED, storage_grant_open(w.grants[0], person(1), SLICE("s3://bucket/t/data"),
                                             (struct slice){0}, &object, &w.info));
    storage_grant_unref(again);
    assert_int_equal(gets, w.store.gets);
    world_close(&w);
}

TEST(cache, another_version_or_store_is_another_object)
{
    struct world w;
    world_open(&w, 1024 * KIB, 0, 8 * KIB);
    CHECK_OK(read_as(&w, 0, 0, w.len));
    memset(w.bytes, 'n', w.len);
    store_put(&w.store, "/bucket/t/data", w.bytes, w.len);
    storage_close(w.objects[0]);
    CHECK_OK(storage_grant_open(w.grants[0], person(0), SLICE("s3a://bucket/t/data"),
                                (struct slice){0}, &w.objects[0], &w.info));
    CHECK_OK(read_as(&w, 0, 0, w.len));
    assert_int_equal(2, w.store.gets);
    world_close(&w);
}

TEST(cache, stays_within_its_bounds)
{
    struct world w;
    world_open(&w, 64 * KIB, 128 * KIB, 1024 * KIB);
    uint64_t seed = test_seed();
    for (int i = 0; i < 500; i++) {
        size_t len = (size_t)test_random_below(&seed, 40 * KIB);
        CHECK_OK(read_as(&w, i % 2, test_random_below(&seed, w.len - len), len));
        CHECK(w.counts.memory_bytes <= 64 * KIB && w.counts.disk_bytes <= 128 * KIB);
    }
    CHECK(w.counts.memory_hits > 0 && w.counts.disk_hits > 0 && w.counts.misses > 0);
    assert_int_equal(0, w.counts.damaged);
    world_close(&w);
}

TEST(cache, a_damaged_block_on_disk_is_a_miss)
{
    struct world w;
    world_open(&w, 16 * KIB, 256 * KIB, 128 * KIB);
    CHECK_OK(read_as(&w, 0, 0, w.len));
    CHECK(w.counts.disk_bytes >= 112 * KIB);
    int fd = storage__disk_fd(storage__cache_disk(w.lender.remote->cache));
    size_t slot_bytes = 4 * KIB + 28;
    for (size_t slot = 0; slot < 28; slot++) { /* one bit of each: nonce, tag, or content */
        uint64_t seed = test_seed() + slot;
        off_t at = (off_t)(slot * slot_bytes + test_random_below(&seed, slot_bytes));
        char byte;
        CHECK(pread(fd, &byte, 1, at) == 1);
        byte = (char)(byte ^ (1 << test_random_below(&seed, 8)));
        CHECK(pwrite(fd, &byte, 1, at) == 1);
    }
    unsigned gets = w.store.gets;
    CHECK_OK(read_as(&w, 0, 0, w.len)); /* right bytes: read_as compares */
    assert_int_equal(28, w.counts.damaged);
    CHECK(w.counts.disk_hits <= 4); /* what was in memory, and went to disk meanwhile */
    CHECK(w.store.gets > gets);
    world_close(&w);
}

TEST(cache, blocks_on_disk_are_sealed_and_without_a_name)
{
    struct world w;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    world_open(&w, 8 * KIB, 256 * KIB, 64 * KIB);
    CHECK_OK(read_as(&w, 0, 0, w.len));
    int fd = storage__disk_fd(storage__cache_disk(w.lender.remote->cache));
    char *raw = arena_alloc(arena, 64 * KIB);
    ssize_t got = pread(fd, raw, 64 * KIB, 0);
    CHECK(got > 32 * (ssize_t)KIB);
    for (size_t i = 0; i + 16 < w.len; i += 4096) {
        CHECK(memmem(raw, (size_t)got, w.bytes + i, 16) == NULL);
    }
    char link[64];
    char path[512] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    CHECK(readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "(deleted)") != NULL);
    world_close(&w);
}

struct reader {
    struct world *w;
    uint64_t seed;
    int who;
};

static void *read_much(void *context)
{
    struct reader *reader = context;
    char out[9000];
    for (int i = 0; i < 150; i++) {
        size_t len = (size_t)test_random_below(&reader->seed, sizeof(out));
        uint64_t at = test_random_below(&reader->seed, reader->w->len - len);
        struct errinfo info;
        CHECK_OK(storage_read(reader->w->objects[reader->who], at, out, len, &info));
        CHECK(memcmp(out, reader->w->bytes + at, len) == 0);
    }
    return NULL;
}

TEST(cache, many_threads_fetch_each_block_once)
{
    struct world w;
    struct reader readers[6];
    pthread_t threads[6];
    world_open(&w, 1024 * KIB, 0, 200 * KIB);
    w.store.delay_ms = 5;
    for (int i = 0; i < 6; i++) {
        readers[i] = (struct reader){&w, test_seed() + (uint64_t)i, i % 2};
        CHECK(pthread_create(&threads[i], NULL, read_much, &readers[i]) == 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    storage_remote_counts(w.lender.remote, &w.counts);
    CHECK(w.counts.misses <= 50); /* blocks of the object */
    CHECK(w.counts.bytes_received <= w.len);
    world_close(&w);
}

TEST(cache, many_threads_press_through_a_small_one)
{
    struct world w;
    struct reader readers[4];
    pthread_t threads[4];
    world_open(&w, 16 * KIB, 40 * KIB, 300 * KIB);
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct reader){&w, test_seed() + (uint64_t)i, i % 2};
        CHECK(pthread_create(&threads[i], NULL, read_much, &readers[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    storage_remote_counts(w.lender.remote, &w.counts);
    CHECK(w.counts.memory_bytes <= 16 * KIB && w.counts.disk_bytes <= 40 * KIB);
    world_close(&w);
}

/* Each does what its own grant lets it, whatever the others wait for. */
static void *read_refused(void *context)
{
    struct world *w = context;
    char out[100];
    struct errinfo info;
    CHECK_ERR(ERR_DENIED, storage_read(w->objects[0], 0, out, sizeof(out), &info));
    return NULL;
}

TEST(cache, one_who_fails_leaves_the_block_to_the_next)
{
    struct world w;
    pthread_t thread;
    world_open(&w, 1024 * KIB, 0, 8 * KIB);
    w.store.accepted = "Credential=KEY1/";
    w.store.delay_ms = 50;
    CHECK(pthread_create(&thread, NULL, read_refused, &w) == 0);
    (void)usleep(10000);
    CHECK_OK(read_as(&w, 1, 0, 100)); /* waits for the first, then asks itself */
    CHECK(pthread_join(thread, NULL) == 0);
    world_close(&w);
}

static void *read_in_vain(void *context)
{
    struct world *w = context;
    char out[100];
    struct errinfo info;
    CHECK_ERR(ERR_IO, storage_read(w->objects[0], 0, out, sizeof(out), &info));
    return NULL;
}

static bool is_cancelled(UNUSED void *context)
{
    return true;
}

TEST(cache, a_cancelled_read_waits_for_no_block_of_another)
{
    struct world w;
    pthread_t thread;
    struct cancellation cancellation = {is_cancelled, NULL};
    world_open(&w, 1024 * KIB, 0, 8 * KIB);
    store_fault(&w.store, (struct store_fault){.times = 999, .reply = {.is_hanging = true}});
    CHECK(pthread_create(&thread, NULL, read_in_vain, &w) == 0);
    while (w.counts.misses == 0) { /* until it has the block */
        storage_remote_counts(w.lender.remote, &w.counts);
    }
    CHECK(cancellation_enter(&cancellation) == NULL);
    CHECK_ERR(ERR_CANCELLED, read_as(&w, 1, 0, 100));
    (void)cancellation_enter(NULL);
    CHECK(pthread_tryjoin_np(thread, NULL) == EBUSY); /* which goes on */
    CHECK(pthread_join(thread, NULL) == 0);
    w.store.fault_count = 0;
    CHECK_OK(read_as(&w, 1, 0, 100));
    world_close(&w);
}

TEST(cache, survives_every_failure_of_memory_and_disk)
{
    struct world w;
    world_open(&w, 8 * KIB, 64 * KIB, 40 * KIB);
    SWEEP_ALLOC(fault)
    {
        enum err err = read_as(&w, 0, 100, 39 * KIB);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
    }
    SWEEP_IO(fault)
    {
        CHECK_OK(read_as(&w, 0, 100, 39 * KIB));
    }
    world_close(&w);
}
