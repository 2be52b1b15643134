/* Long results on a terminal go through $PAGER, or less with flags that leave at once when all
 * fits. */
#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

extern char **environ;

/* The child must not inherit our blocked SIGINT and ignored SIGPIPE. */
static bool set_up(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *actions, int input)
{
    sigset_t none;
    sigset_t defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGINT);
    return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &defaults) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ==
               0 &&
           posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO) == 0;
}

static pid_t spawn(const char *command, int input)
{
    char shell[] = "sh";
    char flag[] = "-c";
    char text[512];
    (void)snprintf(text, sizeof(text), "%s", command);
    char *const arguments[] = {shell, flag, text, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    pid_t child = 0;
    if (posix_spawnattr_init(&attributes) != 0) {
        return 0;
    }
    if (posix_spawn_file_actions_init(&actions) == 0) {
        if (!set_up(&attributes, &actions, input) ||
            posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environ) != 0) {
            child = 0;
        }
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return child;
}

void sink_start_pager(struct sink *sink)
{
    const char *command = getenv("PAGER");
    command = command == NULL ? "less" : command;
    if (sink->pager != 0 || !sink->is_terminal || command[0] == '\0' ||
        strcmp(command, "cat") == 0 || isatty(STDIN_FILENO) != 1) {
        return;
    }
    (void)setenv("LESS", "FRSX", 0);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    pid_t child = spawn(command, ends[0]);
    io_close(ends[0]);
    if (child == 0) {
        io_close(ends[1]);
        return;
    }
    sink->pager = child;
    sink->pager_base = sink->fd;
    sink->fd = ends[1];
}

void sink_end_pager(struct sink *sink)
{
    if (sink->pager == 0) {
        return;
    }
    io_close(sink->fd);
    int status;
    while (waitpid(sink->pager, &status, 0) < 0 && errno == EINTR) {
    }
    sink->fd = sink->pager_base;
    sink->pager = 0;
    sink->is_closed = false;
}
