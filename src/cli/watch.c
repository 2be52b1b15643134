#include "cli/watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

enum {
    TICK_MS = 100,
    BAR_AFTER_US = 1000000,
    BAR_CELLS = 24
};

struct watch {
    pthread_t thread;
    pthread_mutex_t lock; /* over all below it */
    struct watched what;
    int64_t begun_us;
    bool is_shell;
    bool has_bar;
    bool is_quiet;
    bool is_shown;
    bool is_cancelled;
    atomic_bool is_stopping;
};

static void put(const char *text)
{
    /* Best effort: a bar that cannot be drawn is no failure. */
    ssize_t wrote = write(STDERR_FILENO, text, strlen(text));
    (void)wrote;
}

static void erase(struct watch *watch)
{
    if (watch->is_shown) {
        put("\r\x1b[K");
        watch->is_shown = false;
    }
}

void watch_text(double percent, int64_t elapsed_us, char ret_text[WATCH_TEXT_BYTES])
{
    int64_t elapsed_s = elapsed_us / 1000000;
    if (!(percent >= 0 && percent <= 100)) {
        (void)snprintf(ret_text, WATCH_TEXT_BYTES, "running, %lld s", (long long)elapsed_s);
        return;
    }
    char bar[BAR_CELLS + 1];
    int full = (int)(percent / 100 * BAR_CELLS);
    memset(bar, ' ', BAR_CELLS);
    memset(bar, '#', (size_t)full);
    bar[BAR_CELLS] = '\0';
    int len = snprintf(ret_text, WATCH_TEXT_BYTES, "[%s] %3d %%, %lld s", bar, (int)percent,
                       (long long)elapsed_s);
    if (percent >= 1) {
        double left_s = (double)elapsed_us / 1e6 * (100 - percent) / percent;
        (void)snprintf(ret_text + len, (size_t)(WATCH_TEXT_BYTES - len), ", about %.0f s left",
                       left_s);
    }
}

static void draw(struct watch *watch)
{
    int64_t elapsed_us = clock_mono_us() - watch->begun_us;
    if (!watch->has_bar || watch->is_quiet || elapsed_us < BAR_AFTER_US) {
        return;
    }
    char text[WATCH_TEXT_BYTES];
    char line[WATCH_TEXT_BYTES + 16];
    watch_text(watch->what.progress(watch->what.context), elapsed_us, text);
    (void)snprintf(line, sizeof(line), "\r%s\x1b[K", text);
    put(line);
    watch->is_shown = true;
}

static void interrupt(struct watch *watch)
{
    if (atomic_load(&watch->is_stopping)) {
        return; /* woken to stop */
    }
    bool may_leave = !watch->is_shell && (watch->what.context == NULL || watch->is_cancelled);
    erase(watch);
    if (may_leave) {
        _exit(EXIT_CANCELLED); /* store and audit stay whole at any point (kill -9 is tested) */
    }
    if (watch->what.context != NULL) {
        watch->is_cancelled = true;
        watch->what.cancel(watch->what.context);
    }
}

static void *run(void *context)
{
    struct watch *watch = context;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    while (!atomic_load(&watch->is_stopping)) {
        int signal = sigtimedwait(&signals, NULL, &tick);
        pthread_mutex_lock(&watch->lock);
        if (signal == SIGINT) {
            interrupt(watch);
        } else if (watch->what.context != NULL) {
            draw(watch);
        }
        pthread_mutex_unlock(&watch->lock);
    }
    return NULL;
}

enum err watch_start(bool is_shell, bool has_bar, struct watch **ret_watch, struct errinfo *info)
{
    struct watch *watch CLEANUP(mem_free_cleanup) = mem_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return errinfo_nomem(info);
    }
    watch->is_shell = is_shell;
    watch->has_bar = has_bar;
    atomic_init(&watch->is_stopping, false);
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that goes away ends the output, not the audit */
    if (pthread_mutex_init(&watch->lock, NULL) != 0 ||
        pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 ||
        pthread_create(&watch->thread, NULL, run, watch) != 0) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "cannot start a thread");
    }
    *ret_watch = TAKE(watch);
    return ERR_OK;
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    atomic_store(&watch->is_stopping, true);
    (void)pthread_kill(watch->thread, SIGINT); /* wakes it */
    (void)pthread_join(watch->thread, NULL);
    (void)pthread_mutex_destroy(&watch->lock);
    mem_free(watch);
}

void watch_begin(struct watch *watch, const struct watched *what)
{
    pthread_mutex_lock(&watch->lock);
    watch->what = *what;
    watch->begun_us = clock_mono_us();
    watch->is_quiet = false;
    watch->is_cancelled = false;
    pthread_mutex_unlock(&watch->lock);
}

void watch_quiet(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    erase(watch);
    watch->is_quiet = true;
    pthread_mutex_unlock(&watch->lock);
}

void watch_end(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    erase(watch);
    watch->what = (struct watched){0};
    pthread_mutex_unlock(&watch->lock);
}
