/* Hosts under real work: who gets which, and what happens when one ends. Hosts are the program. */
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/host/broker_int.h"
#include "engine/host/testing.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

struct house {
    struct engine_hosts *hosts;
    struct engine *engine;
};

static struct house house_open(struct engine_hosts_options hosts, uint64_t memory_bytes_max)
{
    struct house house = {0};
    struct errinfo info;
    (void)setenv("MOAT_TEST_HOSTS", "1", 1);
    hosts.program = test_host_program();
    hosts.user_id = 65534;
    CHECK_OK(engine_hosts_open(&hosts, &house.hosts, &info));
    struct engine_options options = {
        .thread_count = 1, .memory_bytes_max = memory_bytes_max, .hosts = house.hosts};
    if (engine_open(&options, &house.engine, &info) != ERR_OK) {
        fail_msg("%s: %s", info.message, info.detail);
    }
    return house;
}

static void house_close(struct house *house)
{
    engine_close(house->engine);
    engine_hosts_close(house->hosts);
}

static struct identity *person_new(const char *name, const char *role)
{
    struct slice roles[] = {slice_of(role)};
    struct identity_spec spec = {
        .subject = slice_of(name), .provider = SLICE("test"), .roles = roles, .role_count = 1};
    struct identity *who;
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

/* To the end of the statement. */
static enum err run(struct engine_session *session, const struct identity *who, const char *sql,
                    pid_t *ret_pid, struct errinfo *info)
{
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    TRY(engine_query_open(session, who, slice_of(sql), NULL, 0, &query, info));
    if (ret_pid != NULL) {
        *ret_pid = session->host->pid;
    }
    for (;;) {
        struct ArrowArray batch;
        TRY(engine_query_next(query, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        batch.release(&batch);
    }
}

TEST(engine_host, a_host_never_serves_two_persons)
{
    struct house house = house_open((struct engine_hosts_options){.busy_max = 2}, 256u << 20);
    struct identity *ann = person_new("ann", "staff");
    struct identity *bob = person_new("bob", "staff");
    struct identity *promoted = person_new("ann", "boss"); /* another in what she may see */
    struct engine_session *session = NULL;
    struct errinfo info;
    pid_t of_ann;
    pid_t of_bob;
    pid_t again;
    CHECK_OK(engine_session_open(house.engine, ann, &session, &info));
    CHECK_OK(run(session, ann, "SELECT 1", &of_ann, &info));
    CHECK_OK(run(session, bob, "SELECT 1", &of_bob, &info));
    CHECK(of_ann != of_bob);
    CHECK_OK(run(session, ann, "SELECT 1", &again, &info));
    CHECK(of_ann == again); /* kept warm */
    CHECK_OK(run(session, promoted, "SELECT 1", &again, &info));
    CHECK(again != of_ann && again != of_bob);
    CHECK_OK(run(session, bob, "SELECT 1", &again, &info));
    CHECK(again != of_bob); /* made room for the one before */
    engine_session_close(session);
    identity_unref(ann);
    identity_unref(bob);
    identity_unref(promoted);
    house_close(&house);
}

static enum err never_read(UNUSED void *context, UNUSED size_t index, UNUSED uint64_t offset,
                           UNUSED void *ret_bytes, UNUSED size_t len, UNUSED struct errinfo *info)
{
    fail_msg("read for another");
    return ERR_INTERNAL;
}

TEST(engine_host, a_grant_is_only_for_its_person)
{
    struct house house = house_open((struct engine_hosts_options){0}, 256u << 20);
    struct identity *ann = person_new("ann", "staff");
    struct identity *bob = person_new("bob", "staff");
    struct engine_session *session = NULL;
    struct engine_grant *grant = NULL;
    struct errinfo info;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct engine_grant_spec spec = {.writable_count = 0};
    struct engine_object object = {.size_bytes = 1, .extension = SLICE(".csv")};
    spec.objects = &object;
    spec.object_count = 1;
    spec.read = never_read;
    CHECK_OK(engine_session_open(house.engine, bob, &session, &info));
    CHECK_OK(engine_grant_open(house.engine, ann, &spec, &grant, &info));
    buf_append_str(&sql, "SELECT * FROM '");
    engine_grant_uri(grant, 0, &sql);
    buf_append_str(&sql, "'");
    CHECK_ERR(ERR_DENIED, run(session, bob, buf_cstr(&sql), NULL, &info));
    engine_grant_close(grant);
    engine_session_close(session);
    identity_unref(ann);
    identity_unref(bob);
    house_close(&house);
}

/* ---- many sessions, one crash ---- */

enum {
    SESSIONS = IS_SANITIZED ? 12 : 50
};

struct worker {
    struct house *house;
    const struct identity *who;
    pthread_t thread;
    _Atomic pid_t pid; /* of the host that runs its query */
    _Atomic bool is_stopping;
    unsigned done;
    unsigned failed;
    struct errinfo failure;
    struct engine_session *session;
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct errinfo info;
    while (!worker->is_stopping) {
        struct engine_query *query = NULL;
        errinfo_init(&info);
        enum err err = engine_query_open(worker->session, worker->who,
                                         SLICE("SELECT i, md5(i::VARCHAR) FROM range(200000) t(i)"),
                                         NULL, 0, &query, &info);
        while (err == ERR_OK) {
            struct ArrowArray batch;
            worker->pid = worker->session->host->pid;
            err = engine_query_next(query, &batch, &info);
            if (err == ERR_OK && batch.release == NULL) {
                break;
            }
            if (err == ERR_OK) {
                batch.release(&batch);
            }
        }
        worker->pid = 0;
        if (query != NULL) {
            engine_query_close(query);
        }
        if (err != ERR_OK) {
            worker->failed++;
            worker->failure = info;
        } else {
            worker->done++;
        }
    }
    return NULL;
}

static void kill_one(struct worker *workers, size_t index, int signal_number)
{
    pid_t pid = 0;
    while ((pid = workers[index].pid) == 0) {
        usleep(500);
    }
    CHECK(kill(pid, signal_number) == 0);
    while (workers[index].failed == 0 && workers[index].pid == pid) {
        usleep(500);
    }
}

static void crash_one_of_many(int signal_number)
{
    struct house house = house_open((struct engine_hosts_options){.busy_max = SESSIONS + 4,
                                                                  .spare_count = 2,
                                                                  .wait_ms = 120000},
                                    128u << 20);
    struct identity *who = person_new("ann", "staff");
    struct worker *workers = mem_calloc(SESSIONS, sizeof(*workers));
    struct errinfo info;
    for (size_t i = 0; i < SESSIONS; i++) {
        workers[i] = (struct worker){.house = &house, .who = who};
        CHECK_OK(engine_session_open(house.engine, who, &workers[i].session, &info));
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    kill_one(workers, SESSIONS / 2, signal_number);
    usleep(500000);
    unsigned failed = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        workers[i].is_stopping = true;
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failed += workers[i].failed;
        engine_session_close(workers[i].session);
        if (workers[i].failed > 0) {
            char wanted[64];
            /* A sanitizer makes an exit of a fault. */
            bool is_signal = !IS_SANITIZED || signal_number == SIGKILL;
            (void)snprintf(wanted, sizeof(wanted),
                           is_signal ? "the engine host ended (signal %d)"
                                     : "the engine host ended",
                           signal_number);
            CHECK_STR("XX000", workers[i].failure.sqlstate);
            CHECK(strstr(workers[i].failure.message, wanted) != NULL);
        }
    }
    CHECK(failed <= 1); /* none: the query had just ended */
    CHECK(engine_hosts_count(house.hosts).crashed == 1);
    mem_free(workers);
    identity_unref(who);
    house_close(&house);
}

TEST(engine_host, a_crash_ends_one_query_of_fifty)
{
    crash_one_of_many(SIGSEGV);
}

TEST(engine_host, a_kill_ends_one_query_of_fifty)
{
    crash_one_of_many(SIGKILL);
}

TEST(engine_host, after_a_crash_the_next_statement_runs_at_once)
{
    /* Goal: a spare is there, so nobody waits for a start; the limit is the acceptance's. */
    struct house house = house_open((struct engine_hosts_options){.spare_count = 1}, 128u << 20);
    struct identity *who = person_new("ann", "staff");
    struct engine_session *session = NULL;
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_session_open(house.engine, who, &session, &info));
    CHECK_OK(engine_query_open(session, who, SLICE("SELECT count(*) FROM range(100000000000)"),
                               NULL, 0, &query, &info));
    while (engine_hosts_count(house.hosts).idle == 0) { /* the spare */
        usleep(1000);
    }
    struct ArrowArray batch;
    CHECK(kill(session->host->pid, SIGSEGV) == 0);
    int64_t start = clock_mono_us();
    CHECK_ERR(ERR_INTERNAL, engine_query_next(query, &batch, &info));
    engine_query_close(query);
    CHECK_OK(run(session, who, "SELECT 1", NULL, &info));
    int64_t took_ms = (clock_mono_us() - start) / 1000;
    printf("from the crash to the next result: %lld ms\n", (long long)took_ms);
    /* 100 on a machine of its own. */
    CHECK(took_ms < (IS_SANITIZED ? 5000 : 1000) * (int64_t)test_slowness());
    engine_session_close(session);
    identity_unref(who);
    house_close(&house);
}

static _Atomic int64_t cancelled_at_us;

static void *cancel_later(void *session)
{
    usleep(300000);
    cancelled_at_us = clock_mono_us();
    engine_session_cancel(session);
    return NULL;
}

TEST(engine_host, what_cannot_be_interrupted_is_killed)
{
    /* One call of a function over one vector does not look at cancels. */
    struct house house = house_open((struct engine_hosts_options){.cancel_ms = 100}, 4u << 30);
    struct identity *who = person_new("ann", "staff");
    struct engine_session *session = NULL;
    struct errinfo info;
    pthread_t thread;
    CHECK_OK(engine_session_open(house.engine, who, &session, &info));
    CHECK(pthread_create(&thread, NULL, cancel_later, session) == 0);
    CHECK_ERR(ERR_CANCELLED,
              run(session, who, "SELECT list_sum(list_sort(range(150000000)))", NULL, &info));
    int64_t took_ms = (clock_mono_us() - cancelled_at_us) / 1000;
    (void)pthread_join(thread, NULL);
    printf("from the cancel to its end: %lld ms\n", (long long)took_ms);
    CHECK(took_ms < 2000 * (int64_t)test_slowness());
    CHECK(engine_hosts_count(house.hosts).killed_deadline <= 1);
    engine_session_ready(session);
    CHECK_OK(run(session, who, "SELECT 1", NULL, &info));
    engine_session_close(session);
    identity_unref(who);
    house_close(&house);
}

TEST(engine_host, memory_beyond_the_limit_is_one_clear_error)
{
    /* Goal: what the engine's own limit does not count, the system's does. */
    if (IS_SANITIZED) {
        skip(); /* their shadow memory knows no limit */
    }
    struct house house = house_open((struct engine_hosts_options){0}, 128u << 20);
    struct identity *who = person_new("ann", "staff");
    struct engine_session *session = NULL;
    struct errinfo info;
    CHECK_OK(engine_session_open(house.engine, who, &session, &info));
    CHECK_ERR(ERR_NOMEM, run(session, who, "SELECT len(range(400000000))", NULL, &info));
    CHECK_STR("53200", info.sqlstate);
    CHECK_OK(run(session, who, "SELECT 1", NULL, &info));
    engine_session_close(session);
    identity_unref(who);
    house_close(&house);
}

TEST(engine_host, when_all_are_busy_the_next_waits_and_is_refused)
{
    struct house house =
        house_open((struct engine_hosts_options){.busy_max = 1, .wait_ms = 2000}, 128u << 20);
    struct identity *ann = person_new("ann", "staff");
    struct identity *bob = person_new("bob", "staff");
    struct engine_session *one = NULL;
    struct engine_session *two = NULL;
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_session_open(house.engine, ann, &one, &info));
    CHECK_OK(engine_session_open(house.engine, bob, &two, &info));
    CHECK_OK(engine_query_open(one, ann, SLICE("SELECT 1"), NULL, 0, &query, &info));
    CHECK_ERR(ERR_BUSY, run(two, bob, "SELECT 2", NULL, &info));
    CHECK_STR("53300", info.sqlstate);
    engine_query_close(query);
    CHECK_OK(run(two, bob, "SELECT 2", NULL, &info));
    engine_session_close(one);
    engine_session_close(two);
    identity_unref(ann);
    identity_unref(bob);
    house_close(&house);
}

TEST(engine_host, a_host_is_replaced_after_so_many_statements)
{
    struct house house = house_open((struct engine_hosts_options){.statements_max = 3}, 128u << 20);
    struct identity *who = person_new("ann", "staff");
    struct engine_session *session = NULL;
    struct errinfo info;
    CHECK_OK(engine_session_open(house.engine, who, &session, &info));
    for (size_t i = 0; i < 12; i++) {
        CHECK_OK(run(session, who, "SELECT 1", NULL, &info));
    }
    struct engine_hosts_counts counts = engine_hosts_count(house.hosts);
    CHECK(counts.started >= 4 && counts.crashed == 0);
    engine_session_close(session);
    identity_unref(who);
    house_close(&house);
}
