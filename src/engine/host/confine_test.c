/* What a host cannot do, and what the broker does about one that lies. */
#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "engine/host/broker_int.h"
#include "engine/host/testing.h"

struct probe {
    struct engine_hosts *hosts;
    struct engine *engine;
    struct engine_session *session;
};

/* Hosts are this program (probe_test.c). */
static struct probe probe_open(void)
{
    struct probe probe = {0};
    struct engine_hosts_options hosts = {.user_id = 65534, .cancel_ms = 200};
    struct engine_options options = {.thread_count = 2, .memory_bytes_max = 256u << 20};
    struct errinfo info;
    CHECK_OK(engine_hosts_open(&hosts, &probe.hosts, &info));
    options.hosts = probe.hosts;
    if (engine_open(&options, &probe.engine, &info) != ERR_OK) {
        fail_msg("%s: %s", info.message, info.detail);
    }
    CHECK_OK(engine_session_open(probe.engine, test_who(), &probe.session, &info));
    return probe;
}

static void probe_close(struct probe *probe)
{
    engine_session_close(probe->session);
    engine_close(probe->engine);
    engine_hosts_close(probe->hosts);
}

/* As the kernel has it. */
static unsigned user_of(pid_t pid)
{
    char path[64];
    char text[4096] = {0};
    unsigned user = UINT32_MAX;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fread(text, 1, sizeof(text) - 1, file) > 0);
    (void)fclose(file);
    const char *line = strstr(text, "\nUid:");
    CHECK(line != NULL && sscanf(line, "\nUid: %u", &user) == 1);
    return user;
}

TEST(engine_host, a_confined_host_reaches_nothing)
{
    /* Goal: code that runs in a host finds no file, network, process or privilege. Method: a host
     * after its real start tries them all and says what was refused. */
    struct probe probe = probe_open();
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(engine_parse(probe.session, SLICE("escape"), &text, &info));
    if (strstr(buf_cstr(&text), "DONE") != NULL) {
        fail_msg("%s", buf_cstr(&text));
    }
    CHECK(strstr(buf_cstr(&text), "open /etc/passwd refused") != NULL);
    CHECK(strstr(buf_cstr(&text), "read broker refused") != NULL);
    const struct host *host = probe.hosts->list;
    while (host != NULL && !host->has_person) { /* a spare may not be that far */
        host = host->next;
    }
    CHECK(host != NULL && (geteuid() != 0 || user_of(host->pid) == 65534));
    probe_close(&probe);
}

TEST(engine_host, a_host_that_lies_is_ended_and_the_next_one_serves)
{
    /* Goal: whatever a host says, the broker neither breaks nor believes it. */
    static const struct {
        const char *how;
        const char *part; /* of the message */
    } cases[] = {
        {"garbage", "made no sense"},    {"huge", "made no sense"},
        {"no error", "made no sense"},   {"kind", "made no sense"},
        {"cut", "exit code 3"},          {"exit", "exit code 7"},
        {"crash", "signal 4"},           {"lane long read", "made no sense"},
        {"lane kind", "made no sense"},  {"lane wild buffer", "made no sense"},
        {"lane dead", "made no sense"},  {"lane spill name", "made no sense"},
        {"lane short", "made no sense"},
    };
    struct probe probe = probe_open();
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        struct errinfo info;
        errinfo_init(&info);
        enum err err = engine_parse(probe.session, slice_of(cases[i].how), &text, &info);
        if (err != ERR_INTERNAL || strstr(info.message, cases[i].part) == NULL) {
            fail_msg("%s: %s %s", cases[i].how, err_name(err), info.message);
        }
        CHECK_STR("XX000", info.sqlstate);
    }
    /* A number that is no grant's is not a lie: it may have been closed just now. */
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(engine_parse(probe.session, SLICE("lane stale grant"), &text, &info));
    CHECK_STR("went on", buf_cstr(&text));
    probe_close(&probe);
}

static void *cancel_soon(void *session)
{
    usleep(100000);
    engine_session_cancel(session);
    return NULL;
}

TEST(engine_host, a_host_that_does_not_answer_a_cancel_is_killed)
{
    struct probe probe = probe_open();
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_soon, probe.session) == 0);
    CHECK_ERR(ERR_CANCELLED, engine_parse(probe.session, SLICE("silence"), &text, &info));
    (void)pthread_join(thread, NULL);
    CHECK_ERR(ERR_CANCELLED, engine_parse(probe.session, SLICE("escape"), &text, &info));
    CHECK(engine_hosts_count(probe.hosts).killed_deadline == 1);
    engine_session_ready(probe.session);
    CHECK_OK(engine_parse(probe.session, SLICE("escape"), &text, &info));
    probe_close(&probe);
}

static size_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;
    CHECK(folder != NULL);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

TEST(engine_host, ended_hosts_leave_no_descriptor_and_no_zombie)
{
    /* Method: count both before and after hosts ended in every way. */
    size_t before = count_fds();
    struct probe probe = probe_open();
    static const char *const ways[] = {"crash", "exit", "garbage", "cut", "escape"};
    for (size_t i = 0; i < 10; i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        struct errinfo info;
        (void)!engine_parse(probe.session, slice_of(ways[i % ARRAY_COUNT(ways)]), &text, &info);
    }
    struct engine_hosts_counts counts = engine_hosts_count(probe.hosts);
    CHECK(counts.started >= 8 && counts.busy == 0);
    probe_close(&probe);
    CHECK(count_fds() == before);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1); /* no child at all */
}

TEST(engine_host, a_program_that_cannot_be_a_host_is_a_clear_error)
{
    struct engine_hosts_options options = {.program = "/bin/false", .user_id = -1};
    struct engine_hosts *hosts;
    struct errinfo info;
    CHECK_OK(engine_hosts_open(&options, &hosts, &info));
    struct engine *engine;
    CHECK_ERR(ERR_UNSUPPORTED,
              engine_open(&(struct engine_options){.hosts = hosts}, &engine, &info));
    CHECK(strstr(info.message, "before they are ready") != NULL);
    engine_hosts_close(hosts);
    options.program = "/no/such/program";
    CHECK_OK(engine_hosts_open(&options, &hosts, &info));
    CHECK_ERR(ERR_UNSUPPORTED,
              engine_open(&(struct engine_options){.hosts = hosts}, &engine, &info));
    engine_hosts_close(hosts);
}
