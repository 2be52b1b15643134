#include "server/reload.h"

#include "base/log.h"

void reload_init(struct reload *reload, void (*fn)(void *context), void *context)
{
    *reload = (struct reload){.fn = fn, .context = context};
    pthread_mutex_init(&reload->lock, NULL);
}

static void *run(void *context)
{
    struct reload *reload = context;
    bool goes_on = true;
    while (goes_on) {
        reload->fn(reload->context);
        pthread_mutex_lock(&reload->lock);
        goes_on = reload->is_wanted;
        reload->is_wanted = false;
        reload->is_running = goes_on;
        pthread_mutex_unlock(&reload->lock);
    }
    return NULL;
}

static void join(struct reload *reload)
{
    if (reload->has_thread) {
        (void)pthread_join(reload->thread, NULL);
        reload->has_thread = false;
    }
}

void reload_ask(struct reload *reload)
{
    pthread_mutex_lock(&reload->lock);
    bool is_running = reload->is_running;
    reload->is_wanted = is_running;
    reload->is_running = true;
    pthread_mutex_unlock(&reload->lock);
    if (is_running) {
        return;
    }
    join(reload); /* one that is over */
    if (pthread_create(&reload->thread, NULL, run, reload) != 0) {
        reload->is_running = false;
        log_error("server", "nothing is loaded again: no thread can be started");
        return;
    }
    reload->has_thread = true;
}

void reload_fini(struct reload *reload)
{
    if (reload->fn != NULL) {
        join(reload);
        pthread_mutex_destroy(&reload->lock);
    }
}
