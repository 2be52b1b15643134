/* Loading again, on a thread of its own: the loop must not wait for files, people and policies. */
#pragma once

#include <pthread.h>

#include "base/base.h"
#include "base/err.h"

struct reload {
    void (*fn)(void *context);
    void *context;
    pthread_mutex_t lock;
    pthread_t thread;
    bool has_thread; /* to be joined */
    bool is_running;
    bool is_wanted; /* once more, when it has run */
};

void reload_init(struct reload *reload, void (*fn)(void *context), void *context);
/* Runs `fn`, soon: asked again in the meantime, it runs once more. From one thread. */
void reload_ask(struct reload *reload);
void reload_fini(struct reload *reload); /* waits for it */
