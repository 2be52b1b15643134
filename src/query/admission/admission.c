/* One lock: entering is rare beside running. Each waiter sleeps on a condition of its own, so that
 * a place that becomes free wakes who gets it and nobody else. */
#include "query/admission/admission_int.h"

#include "base/clock.h"
#include "base/mem.h"

struct waiter {
    pthread_cond_t changed;
    bool is_dropped;
};

struct admission {
    pthread_mutex_t lock;
    struct fair *fair;
    size_t waiter_count;
    struct fair_limits limits;
    int64_t wait_max_us;
    int64_t idle_max_us; /* 0 = idle queries keep their places */
    struct admission_counts refused;
};

/* A deadline of the statement may wake nobody here (watchdog.c), nor does a client that falls idle:
 * each waiter looks, the more of them the less often. */
#define LOOK_US 100000
#define LOOKERS 16 /* who look each LOOK_US, about */

enum err admission_new(const struct config *config, uint64_t memory_bytes_max,
                       uint64_t ask_bytes_max, struct admission **ret_admission,
                       struct errinfo *info)
{
    struct admission *admission = mem_calloc(1, sizeof(*admission));
    if (admission == NULL) {
        return errinfo_nomem(info);
    }
    admission->limits = (struct fair_limits){
        .concurrent_max = (uint64_t)config_integer(config, CONFIG_QUERY_CONCURRENT_MAX),
        .queued_max = (uint64_t)config_integer(config, CONFIG_QUERY_QUEUED_MAX),
        .memory_bytes_max = memory_bytes_max,
    };
    struct fair_options options = {.server = admission->limits, .ask_bytes_max = ask_bytes_max};
    if (fair_new(&options, &admission->fair) != ERR_OK) {
        mem_free(admission);
        return errinfo_nomem(info);
    }
    admission->wait_max_us = config_duration_ms(config, CONFIG_QUERY_QUEUE_TIMEOUT) * 1000;
    admission->idle_max_us = config_duration_ms(config, CONFIG_QUERY_IDLE_TIMEOUT) * 1000;
    pthread_mutex_init(&admission->lock, NULL);
    *ret_admission = admission;
    return ERR_OK;
}

void admission_free(struct admission *admission)
{
    if (admission != NULL) {
        ASSERT(admission->waiter_count == 0);
        fair_free(admission->fair);
        pthread_mutex_destroy(&admission->lock);
        mem_free(admission);
    }
}

/* ---- words ---- */

static void hint_wait(int64_t wait_us, struct errinfo *info)
{
    if (wait_us >= 1000000) {
        errinfo_hint(info,
                     "It would have waited about %lld s. Try again then, or ask for less at "
                     "once; SHOW LIMITS shows what holds.",
                     (long long)((wait_us + 500000) / 1000000));
    } else if (wait_us > 0) {
        errinfo_hint(info,
                     "It would have waited about %lld ms. Try again then; SHOW LIMITS shows "
                     "what holds.",
                     (long long)(wait_us / 1000 + 1));
    } else {
        errinfo_hint(info, "Try again later; SHOW LIMITS shows what holds.");
    }
}

static enum err say_refused(const struct query *query, const struct fair_refusal *refusal,
                            struct errinfo *info)
{
    if (refusal->memory_limit != 0) {
        (void)errinfo_set(info, ERR_LIMIT, "53400",
                          "query.memory asks for more than the %llu MiB that a query may have",
                          (unsigned long long)(refusal->memory_limit >> 20));
        errinfo_hint(info, "SET query.memory = 0 takes what there is; SHOW LIMITS shows what "
                           "holds.");
        return ERR_LIMIT;
    }
    switch (refusal->level) {
    case FAIR_SERVER:
        (void)errinfo_set(info, ERR_BUSY, "53300", "the server has %llu queries waiting already",
                          (unsigned long long)refusal->count);
        break;
    case FAIR_ROLE: /* the key begins with "role " */
        (void)errinfo_set(info, ERR_BUSY, "53300", "role \"%.*s\" has %llu queries waiting already",
                          (int)(refusal->key.len - 5), refusal->key.ptr + 5,
                          (unsigned long long)refusal->count);
        break;
    case FAIR_PERSON:
        (void)errinfo_set(info, ERR_BUSY, "53300", "\"%.*s\" has %llu queries waiting already",
                          SLICE_ARGS(identity_subject(query->session->who)),
                          (unsigned long long)refusal->count);
        break;
    }
    hint_wait(refusal->wait_us, info);
    return ERR_BUSY;
}

/* ---- rates ---- */

enum err admission_check_rate(struct session *session, bool *ret_is_first, struct errinfo *info)
{
    struct admission *admission = session->warehouse->admission;
    const struct fair_asker *asker;
    int64_t wait_us = 0;
    TRY(session_limits(session, &asker, info));
    if (asker->person.limits.rate_per_minute == 0) {
        return ERR_OK;
    }
    pthread_mutex_lock(&admission->lock);
    bool may = fair_rate(admission->fair, &asker->person, clock_mono_us(), &wait_us, ret_is_first);
    admission->refused.refused_rate += !may;
    pthread_mutex_unlock(&admission->lock);
    if (may) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_BUSY, "53400", "\"%.*s\" may run %llu statements a minute, and has",
                      SLICE_ARGS(identity_subject(session->who)),
                      (unsigned long long)asker->person.limits.rate_per_minute);
    errinfo_hint(info, "The next may be run in %lld ms; SHOW LIMITS shows what holds.",
                 (long long)(wait_us / 1000 + 1));
    return ERR_BUSY;
}

/* ---- places ---- */

/* Under the lock. */
static void give_places(struct admission *admission)
{
    struct fair_ticket *ticket;
    while ((ticket = fair_next(admission->fair, clock_mono_us())) != NULL) {
        struct waiter *waiter = fair_context(ticket);
        pthread_cond_signal(&waiter->changed);
    }
}

static enum err say_waited(const struct admission *admission, const struct fair_ticket *ticket,
                           struct errinfo *info)
{
    int64_t wait_us = fair_estimate(admission->fair, ticket, clock_mono_us());
    (void)errinfo_set(info, ERR_BUSY, "53400", "the query waited %lld ms and found no place to run",
                      (long long)(admission->wait_max_us / 1000));
    if (wait_us > 0) {
        errinfo_hint(info,
                     "It would have waited about %lld s more. Try again later; SHOW LIMITS "
                     "shows what holds.",
                     (long long)((wait_us + 999999) / 1000000));
    } else {
        errinfo_hint(info, "Try again later; SHOW LIMITS shows what holds.");
    }
    return ERR_BUSY;
}

bool admission_blocks(struct admission *admission, const struct query *placed,
                      const struct query *waiting)
{
    pthread_mutex_lock(&admission->lock);
    bool does = placed->ticket != NULL && waiting->ticket != NULL &&
                fair_blocks(admission->fair, placed->ticket, waiting->ticket);
    pthread_mutex_unlock(&admission->lock);
    return does;
}

/* A place is an engine host and its memory, so that an idle query cannot give it back and go on
 * later; but it need not keep it from those who would use it. Under the lock, which is given up
 * meanwhile: that of the list of clients comes before it. */
static void end_idle(struct admission *admission, struct query *query)
{
    if (admission->idle_max_us != 0) {
        pthread_mutex_unlock(&admission->lock);
        clients_end_idle(&query->session->warehouse->clients, query,
                         clock_mono_us() - admission->idle_max_us);
        pthread_mutex_lock(&admission->lock);
    }
}

/* Under the lock. */
static enum err wait_for_place(struct admission *admission, struct waiter *waiter,
                               struct query *query, struct errinfo *info)
{
    int64_t give_up_us = clock_mono_us() + admission->wait_max_us;
    while (waiter->is_dropped || !fair_has_place(query->ticket)) {
        int64_t now_us = clock_mono_us();
        TRY(query_check_cancelled(query, info));
        ASSERT(!waiter->is_dropped); /* or there is a reason */
        if (now_us >= give_up_us) {
            admission->refused.refused_wait++;
            return say_waited(admission, query->ticket, info);
        }
        int64_t look_us =
            now_us + LOOK_US * (int64_t)((admission->waiter_count + LOOKERS - 1) / LOOKERS);
        look_us = look_us > give_up_us ? give_up_us : look_us;
        look_us = query->deadline_us != 0 && look_us > query->deadline_us ? query->deadline_us + 1
                                                                          : look_us;
        if (!clock_wait(&waiter->changed, &admission->lock, look_us)) {
            end_idle(admission, query);
        }
    }
    return ERR_OK;
}

/* Under the lock. */
static enum err stand_in_line(struct admission *admission, struct waiter *waiter,
                              struct query *query, struct errinfo *info)
{
    admission->waiter_count++;
    give_places(admission);
    enum err err = wait_for_place(admission, waiter, query, info);
    admission->waiter_count--;
    return err;
}

enum err admission_enter(struct admission *admission, struct query *query, struct errinfo *info)
{
    const struct fair_asker *found;
    TRY(session_limits(query->session, &found, info));
    struct fair_asker asker = *found;
    asker.memory_bytes = admission->limits.memory_bytes_max == 0
                             ? 0
                             : config_bytes(query->session->config, CONFIG_QUERY_MEMORY);
    struct fair_refusal refusal;
    struct waiter waiter = {0};
    pthread_cond_init(&waiter.changed, NULL);
    asker.context = &waiter;
    pthread_mutex_lock(&admission->lock);
    enum err err = query_check_cancelled(query, info);
    if (err != ERR_OK) { /* before its ticket was there to be dropped */
        pthread_mutex_unlock(&admission->lock);
        pthread_cond_destroy(&waiter.changed);
        return err;
    }
    err = fair_ask(admission->fair, &asker, clock_mono_us(), &query->ticket, &refusal);
    if (err == ERR_NOMEM) {
        err = errinfo_nomem(info);
    } else if (err != ERR_OK) {
        bool is_memory = refusal.memory_limit != 0;
        *(is_memory ? &admission->refused.refused_memory : &admission->refused.refused_queue) += 1;
        err = say_refused(query, &refusal, info);
    } else {
        err = stand_in_line(admission, &waiter, query, info);
        if (err != ERR_OK && !waiter.is_dropped) {
            fair_leave(admission->fair, TAKE(query->ticket), clock_mono_us());
            give_places(admission);
        } else if (err == ERR_OK) {
            query->memory_bytes = fair_memory(query->ticket);
        }
    }
    pthread_mutex_unlock(&admission->lock);
    pthread_cond_destroy(&waiter.changed);
    return err;
}

void admission_leave(struct admission *admission, struct query *query)
{
    pthread_mutex_lock(&admission->lock);
    fair_leave(admission->fair, TAKE(query->ticket), clock_mono_us());
    give_places(admission);
    pthread_mutex_unlock(&admission->lock);
}

void admission_drop(struct admission *admission, struct query *query)
{
    pthread_mutex_lock(&admission->lock);
    if (query->ticket != NULL && !fair_has_place(query->ticket)) {
        struct waiter *waiter = fair_context(query->ticket);
        waiter->is_dropped = true;
        pthread_cond_signal(&waiter->changed);
        fair_leave(admission->fair, TAKE(query->ticket), clock_mono_us());
        give_places(admission);
    }
    pthread_mutex_unlock(&admission->lock);
}

/* ---- to look at ---- */

struct fair_limits admission_server_limits(const struct admission *admission)
{
    return admission->limits;
}

struct fair_counts admission_count(struct admission *admission, struct slice key)
{
    pthread_mutex_lock(&admission->lock);
    struct fair_counts counts = fair_count(admission->fair, key);
    pthread_mutex_unlock(&admission->lock);
    return counts;
}

struct admission_counts admission_refused(struct admission *admission)
{
    pthread_mutex_lock(&admission->lock);
    struct admission_counts counts = admission->refused;
    pthread_mutex_unlock(&admission->lock);
    return counts;
}
