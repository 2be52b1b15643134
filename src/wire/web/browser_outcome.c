/* What became of sign-ins whose browser came back: a token until it is asked for, and that there
 * was one, until their ticket is too old to come again.
 *
 * Who only asks, or has no code, makes no entry here. One with a wrong code makes one that has
 * failed: of these the oldest goes when there are too many. */
#include "base/clock.h"
#include "base/mem.h"
#include "wire/web/browser.h"

#define OUTCOMES_MAX 4096u
#define PERSON_MAX 16u    /* tokens of one person that nobody has asked for */
#define REDEEMERS_MAX 16u /* requests to the issuer at a time */
#define WAITERS_MAX 64u   /* threads that wait for somebody's browser */
#define ADDRESS_MAX 16u   /* of them, for one address */
#define TOKEN_LIFE_US (60 * 1000000LL)

enum state {
    STATE_REDEEMING,
    STATE_TOKEN,
    STATE_FAILED,
    STATE_GIVEN,
};

struct outcome {
    struct outcome *next;
    uint8_t flow[BROWSER_FLOW_BYTES];
    int64_t since_us; /* of its ticket */
    int64_t set_us;
    enum state state;
    struct secret token;
    uint64_t person;
};

struct browser_outcomes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct outcome *first; /* newest first */
    size_t count;
    size_t redeemer_count;
    struct browser_waiter *waiters;
    uint64_t seed;
};

enum err browser_outcomes_open(struct browser_outcomes **ret_outcomes, struct errinfo *info)
{
    struct browser_outcomes *outcomes = mem_calloc(1, sizeof(*outcomes));
    if (outcomes == NULL) {
        return errinfo_nomem(info);
    }
    if (random_bytes(&outcomes->seed, sizeof(outcomes->seed)) != ERR_OK) {
        mem_free(outcomes);
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    pthread_mutex_init(&outcomes->lock, NULL);
    pthread_cond_init(&outcomes->changed, NULL);
    *ret_outcomes = outcomes;
    return ERR_OK;
}

static void drop(struct browser_outcomes *outcomes, struct outcome **at)
{
    struct outcome *outcome = *at;
    *at = outcome->next;
    secret_fini(&outcome->token);
    mem_free(outcome);
    outcomes->count--;
}

void browser_outcomes_close(struct browser_outcomes *outcomes)
{
    if (outcomes == NULL) {
        return;
    }
    ASSERT(outcomes->waiters == NULL && outcomes->redeemer_count == 0);
    while (outcomes->first != NULL) {
        drop(outcomes, &outcomes->first);
    }
    pthread_cond_destroy(&outcomes->changed);
    pthread_mutex_destroy(&outcomes->lock);
    mem_free(outcomes);
}

/* With the lock held, like all below but the public ones: what nobody can ask for any more goes. */
static void sweep(struct browser_outcomes *outcomes)
{
    int64_t now_us = clock_mono_us();
    for (struct outcome **at = &outcomes->first; *at != NULL;) {
        struct outcome *outcome = *at;
        if (outcome->state == STATE_TOKEN && now_us - outcome->set_us > TOKEN_LIFE_US) {
            secret_fini(&outcome->token);
            outcome->state = STATE_GIVEN;
        }
        bool is_over =
            outcome->state != STATE_REDEEMING && now_us - outcome->since_us > BROWSER_LIFE_US;
        if (is_over) {
            drop(outcomes, at);
        } else {
            at = &outcome->next;
        }
    }
}

static struct outcome *find(const struct browser_outcomes *outcomes,
                            const struct browser_ticket *ticket)
{
    struct outcome *outcome = outcomes->first;
    while (outcome != NULL && memcmp(outcome->flow, ticket->flow, sizeof(ticket->flow)) != 0) {
        outcome = outcome->next;
    }
    return outcome;
}

/* The oldest that has failed goes. */
static bool make_room(struct browser_outcomes *outcomes)
{
    struct outcome **oldest = NULL;
    for (struct outcome **at = &outcomes->first; *at != NULL; at = &(*at)->next) {
        oldest = (*at)->state == STATE_FAILED ? at : oldest;
    }
    if (outcomes->count >= OUTCOMES_MAX && oldest != NULL) {
        drop(outcomes, oldest);
    }
    return outcomes->count < OUTCOMES_MAX;
}

static enum err begin(struct browser_outcomes *outcomes, const struct browser_ticket *ticket,
                      struct errinfo *info)
{
    if (find(outcomes, ticket) != NULL) {
        return errinfo_set(info, ERR_DENIED, "28000", "this sign-in is over");
    }
    if (outcomes->redeemer_count >= REDEEMERS_MAX || !make_room(outcomes)) {
        return errinfo_set(info, ERR_BUSY, "53300", "there are too many sign-ins at a time");
    }
    struct outcome *outcome = mem_calloc(1, sizeof(*outcome));
    if (outcome == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(outcome->flow, ticket->flow, sizeof(outcome->flow));
    outcome->since_us = ticket->since_us;
    outcome->state = STATE_REDEEMING;
    outcome->next = outcomes->first;
    outcomes->first = outcome;
    outcomes->count++;
    outcomes->redeemer_count++;
    return ERR_OK;
}

enum err browser_outcome_begin(struct browser_outcomes *outcomes,
                               const struct browser_ticket *ticket, struct errinfo *info)
{
    pthread_mutex_lock(&outcomes->lock);
    sweep(outcomes);
    enum err err = begin(outcomes, ticket, info);
    pthread_mutex_unlock(&outcomes->lock);
    return err;
}

/* Whoever signs in again and again loses what was never asked for. */
static void limit_person(struct browser_outcomes *outcomes, uint64_t person)
{
    size_t count = 0;
    for (struct outcome *o = outcomes->first; o != NULL; o = o->next) {
        bool is_theirs = o->state == STATE_TOKEN && o->person == person;
        count += is_theirs;
        if (is_theirs && count > PERSON_MAX) {
            secret_fini(&o->token);
            o->state = STATE_GIVEN;
        }
    }
}

void browser_outcome_set(struct browser_outcomes *outcomes, const struct browser_ticket *ticket,
                         struct secret *token, struct slice person)
{
    pthread_mutex_lock(&outcomes->lock);
    struct outcome *outcome = find(outcomes, ticket);
    ASSERT(outcome != NULL && outcome->state == STATE_REDEEMING);
    outcomes->redeemer_count--;
    outcome->set_us = clock_mono_us();
    outcome->state = STATE_FAILED;
    if (token != NULL) {
        outcome->state = STATE_TOKEN;
        outcome->person = hash_xx64(person, outcomes->seed);
        secret_replace(&outcome->token, token);
        limit_person(outcomes, outcome->person);
    }
    pthread_cond_broadcast(&outcomes->changed);
    pthread_mutex_unlock(&outcomes->lock);
}

bool browser_outcome_is_begun(struct browser_outcomes *outcomes,
                              const struct browser_ticket *ticket)
{
    pthread_mutex_lock(&outcomes->lock);
    sweep(outcomes);
    bool is_begun = find(outcomes, ticket) != NULL;
    pthread_mutex_unlock(&outcomes->lock);
    return is_begun;
}

/* ---- who waits ---- */

static bool may_wait(const struct browser_outcomes *outcomes, struct slice address)
{
    size_t all = 0, own = 0;
    for (const struct browser_waiter *w = outcomes->waiters; w != NULL; w = w->next) {
        all++;
        own += slice_equal(w->address, address);
    }
    return all < WAITERS_MAX && own < ADDRESS_MAX;
}

static void unlist(struct browser_outcomes *outcomes, const struct browser_waiter *waiter)
{
    struct browser_waiter **at = &outcomes->waiters;
    while (*at != waiter) {
        at = &(*at)->next;
    }
    *at = waiter->next;
}

static enum browser_result take(struct browser_outcomes *outcomes,
                                const struct browser_ticket *ticket, struct secret *ret_token)
{
    sweep(outcomes);
    struct outcome *outcome = find(outcomes, ticket);
    switch (outcome == NULL ? STATE_REDEEMING : outcome->state) {
    case STATE_REDEEMING:
        return BROWSER_PENDING;
    case STATE_TOKEN:
        secret_replace(ret_token, &outcome->token);
        outcome->state = STATE_GIVEN;
        return BROWSER_TOKEN;
    case STATE_FAILED:
        outcome->state = STATE_GIVEN;
        return BROWSER_FAILED;
    case STATE_GIVEN:
        break;
    }
    return BROWSER_GIVEN;
}

enum browser_result browser_outcome_wait(struct browser_outcomes *outcomes,
                                         const struct browser_ticket *ticket,
                                         struct browser_waiter *waiter, int64_t wait_ms,
                                         struct secret *ret_token)
{
    int64_t until_us = clock_mono_us() + wait_ms * 1000;
    pthread_mutex_lock(&outcomes->lock);
    enum browser_result result = take(outcomes, ticket, ret_token);
    if (result == BROWSER_PENDING && may_wait(outcomes, waiter->address)) {
        waiter->next = outcomes->waiters;
        outcomes->waiters = waiter;
        bool is_late = false;
        while (result == BROWSER_PENDING && !is_late && !waiter->is_gone) {
            is_late = !clock_wait(&outcomes->changed, &outcomes->lock, until_us);
            result = waiter->is_gone ? result : take(outcomes, ticket, ret_token);
        }
        unlist(outcomes, waiter);
    }
    pthread_mutex_unlock(&outcomes->lock);
    return result;
}

void browser_outcome_leave(struct browser_outcomes *outcomes, struct browser_waiter *waiter)
{
    pthread_mutex_lock(&outcomes->lock);
    waiter->is_gone = true;
    pthread_cond_broadcast(&outcomes->changed);
    pthread_mutex_unlock(&outcomes->lock);
}
