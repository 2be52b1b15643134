/* Who may run now. One lock and one condition: entering is rare beside running.
 *
 * Fair by arrival within the limits: a waiter goes ahead only if no earlier waiter could. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "query/query_int.h"

struct place {
    struct place *next;
    struct identity *who;
    struct slice person; /* theirs */
    bool is_running;
};

struct admission {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct place *places; /* in order of arrival, running and waiting */
    size_t running_max;
    size_t person_running_max;
    size_t person_queued_max;
    int64_t wait_max_us;
};

/* How often a waiter looks whether it was cancelled although nobody woke it. */
#define ADMISSION_LOOK_MS 20

enum err admission_new(const struct config *config, struct admission **ret_admission,
                       struct errinfo *info)
{
    struct admission *admission = mem_calloc(1, sizeof(*admission));
    if (admission == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&admission->lock, NULL);
    pthread_cond_init(&admission->changed, NULL);
    admission->running_max = (size_t)config_integer(config, CONFIG_QUERY_CONCURRENT_MAX);
    admission->person_running_max =
        (size_t)config_integer(config, CONFIG_QUERY_PERSON_CONCURRENT_MAX);
    admission->person_queued_max = (size_t)config_integer(config, CONFIG_QUERY_PERSON_QUEUED_MAX);
    admission->wait_max_us = config_duration_ms(config, CONFIG_QUERY_QUEUE_TIMEOUT) * 1000;
    *ret_admission = admission;
    return ERR_OK;
}

void admission_free(struct admission *admission)
{
    if (admission != NULL) {
        ASSERT(admission->places == NULL);
        pthread_cond_destroy(&admission->changed);
        pthread_mutex_destroy(&admission->lock);
        mem_free(admission);
    }
}

static void free_place(struct place *place)
{
    identity_unref(place->who);
    mem_free(place);
}

static size_t count_places(const struct admission *admission, const struct slice *person,
                           bool is_running, const struct place *until)
{
    size_t count = 0;
    for (const struct place *p = admission->places; p != until; p = p->next) {
        count += p->is_running == is_running && (person == NULL || slice_equal(p->person, *person));
    }
    return count;
}

static bool person_has_room(const struct admission *admission, const struct place *place)
{
    return count_places(admission, &place->person, true, NULL) < admission->person_running_max;
}

static bool may_run(const struct admission *admission, const struct place *place)
{
    size_t free_places = admission->running_max - count_places(admission, NULL, true, NULL);
    for (const struct place *p = admission->places; p != place; p = p->next) {
        free_places -= free_places > 0 && !p->is_running && person_has_room(admission, p);
    }
    return free_places > 0 && person_has_room(admission, place);
}

static void remove_place(struct admission *admission, const struct place *place)
{
    struct place **link = &admission->places;
    while (*link != place) {
        link = &(*link)->next;
    }
    *link = place->next;
}

static enum err wait_for_place(struct admission *admission, struct place *place,
                               struct query *query, struct errinfo *info)
{
    int64_t give_up_us = clock_mono_us() + admission->wait_max_us;
    while (!may_run(admission, place)) {
        TRY(query_check_cancelled(query, info));
        if (clock_mono_us() >= give_up_us) {
            (void)errinfo_set(info, ERR_BUSY, "53400",
                              "the query waited %lld ms and found no place to run",
                              (long long)(admission->wait_max_us / 1000));
            errinfo_hint(info, "Try again later, or raise query.concurrent_max or "
                               "query.queue_timeout.");
            return ERR_BUSY;
        }
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ADMISSION_LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&admission->changed, &admission->lock, &until);
    }
    return ERR_OK;
}

enum err admission_enter(struct admission *admission, struct query *query, struct errinfo *info)
{
    struct place *place = mem_calloc(1, sizeof(*place));
    if (place == NULL) {
        return errinfo_nomem(info);
    }
    place->who = identity_ref(query->session->who); /* may be given back for another's */
    place->person = identity_subject(place->who);
    pthread_mutex_lock(&admission->lock);
    size_t queued = count_places(admission, &place->person, false, NULL);
    struct place **link = &admission->places;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = place;
    enum err err = ERR_OK;
    if (!may_run(admission, place) && queued >= admission->person_queued_max) {
        err = errinfo_set(info, ERR_BUSY, "53300", "\"%.*s\" already has %zu queries waiting",
                          SLICE_ARGS(place->person), queued);
        errinfo_hint(info, "Wait for them, or raise query.person_queued_max.");
    } else {
        err = wait_for_place(admission, place, query, info);
    }
    if (err == ERR_OK) {
        place->is_running = true;
    } else {
        remove_place(admission, place);
        pthread_cond_broadcast(&admission->changed);
        free_place(place);
    }
    pthread_mutex_unlock(&admission->lock);
    return err;
}

void admission_leave(struct admission *admission, struct query *query)
{
    struct slice person = identity_subject(query->session->who);
    pthread_mutex_lock(&admission->lock);
    struct place *place = admission->places;
    while (!place->is_running || !slice_equal(place->person, person)) {
        place = place->next; /* running places of one person are alike */
    }
    remove_place(admission, place);
    pthread_cond_broadcast(&admission->changed);
    pthread_mutex_unlock(&admission->lock);
    free_place(place);
}

void admission_wake(struct admission *admission)
{
    pthread_mutex_lock(&admission->lock);
    pthread_cond_broadcast(&admission->changed);
    pthread_mutex_unlock(&admission->lock);
}
