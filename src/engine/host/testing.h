/* For tests and benchmarks that open engines: with MOAT_TEST_HOSTS in the environment the same
 * test runs over engine hosts. The program above the folder of tests is executed as host. */
#pragma once

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/host/host.h"

/* NULL: in this process. */
static inline const char *test_host_program(void)
{
    static char path[PATH_MAX];
    if (getenv("MOAT_TEST_HOSTS") == NULL) {
        return NULL;
    }
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);
    ASSERT(len > 0);
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    ASSERT(slash != NULL);
    memcpy(slash, "/../moat", sizeof("/../moat"));
    return path;
}

/* Somebody; who it is matters above the engine. Kept until the end. */
static inline const struct identity *test_who(void)
{
    static struct identity *who;
    if (who == NULL) {
        struct identity_spec spec = {.subject = SLICE("tester"), .provider = SLICE("test")};
        ASSERT(identity_new(&spec, &who, NULL) == ERR_OK);
    }
    return who;
}

/* `ret_hosts`: to close after the engine; NULL in this process. */
static inline enum err test_engine_open(const struct engine_options *options,
                                        struct engine **ret_engine, struct engine_hosts **ret_hosts,
                                        struct errinfo *info)
{
    struct engine_options all = *options;
    struct engine_hosts_options host = {.program = test_host_program(), .user_id = 65534};
    *ret_hosts = NULL;
    if (host.program != NULL) {
        TRY(engine_hosts_open(&host, ret_hosts, info));
        all.hosts = *ret_hosts;
    }
    enum err err = engine_open(&all, ret_engine, info);
    if (err != ERR_OK) {
        engine_hosts_close(TAKE(*ret_hosts));
    }
    return err;
}
