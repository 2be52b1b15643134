#include "identity/guard.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define SETS 2048
#define WAYS 8
#define NEWS_US 1000000
#define LINE_US 30000000 /* as long as a client may take to sign in, unless configured */

struct bucket {
    uint64_t key;    /* 0: free */
    int64_t full_us; /* the level: when it will have run dry, at one drop each `drop_us` */
    int64_t told_us; /* when one that was too many was news */
    unsigned under_way;
};

struct login_guard {
    pthread_mutex_t lock;
    pthread_cond_t ended; /* a try */
    struct login_guard_options options;
    uint64_t seed; /* so that nobody can choose who shares a set */
    struct bucket buckets[SETS][WAYS];
};

enum err login_guard_new(const struct login_guard_options *options, struct login_guard **ret_guard,
                         struct errinfo *info)
{
    ASSERT(options->account_tries_max > 0 && options->address_tries_max > 0);
    struct login_guard *guard = mem_calloc(1, sizeof(*guard));
    if (guard == NULL || random_bytes(&guard->seed, sizeof(guard->seed)) != ERR_OK) {
        mem_free(guard);
        return errinfo_nomem(info);
    }
    pthread_cond_init(&guard->ended, NULL);
    pthread_mutex_init(&guard->lock, NULL);
    guard->options = *options;
    *ret_guard = guard;
    return ERR_OK;
}

void login_guard_free(struct login_guard *guard)
{
    if (guard != NULL) {
        pthread_cond_destroy(&guard->ended);
        pthread_mutex_destroy(&guard->lock);
        mem_free(guard);
    }
}

static struct bucket *find(struct login_guard *guard, uint64_t key)
{
    struct bucket *set = guard->buckets[key % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
    }
    return NULL;
}

static bool is_emptier(const struct bucket *a, const struct bucket *b)
{
    bool is_free = a->under_way == 0;
    return is_free == (b->under_way == 0) ? a->full_us < b->full_us : is_free;
}

/* The bucket of a key; a new one takes the place of the emptiest of its set, but not `keep`'s. */
static struct bucket *find_or_make(struct login_guard *guard, uint64_t key,
                                   const struct bucket *keep)
{
    struct bucket *set = guard->buckets[key % SETS];
    struct bucket *bucket = find(guard, key);
    if (bucket != NULL) {
        return bucket;
    }
    bucket = &set[0] != keep ? &set[0] : &set[1];
    for (size_t i = 0; i < WAYS; i++) {
        bucket = &set[i] != keep && is_emptier(&set[i], bucket) ? &set[i] : bucket;
    }
    *bucket = (struct bucket){.key = key};
    return bucket;
}

/* Names fold case, as accounts do; the kind keeps an account from being an address. */
static uint64_t key_of(const struct login_guard *guard, char kind, struct slice text)
{
    char folded[256];
    size_t len = text.len < sizeof(folded) - 1 ? text.len : sizeof(folded) - 1;
    folded[0] = kind;
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];
        folded[i + 1] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    uint64_t key = hash_xx64((struct slice){folded, len + 1}, guard->seed);
    return key == 0 ? 1 : key;
}

/* A network of IPv6 is one person's: the first four groups count. */
static struct slice network_of(struct slice address)
{
    size_t colons = 0;
    for (size_t i = 0; i < address.len; i++) {
        colons += address.ptr[i] == ':';
        if (colons == 4) {
            return (struct slice){address.ptr, i};
        }
    }
    return address;
}

/* One of the two that a try counts in. */
struct side {
    struct bucket *bucket;
    int64_t drop_us;
};

struct sides {
    struct side account;
    struct side address;
};

static struct sides sides_of(struct login_guard *guard, struct slice address, struct slice account)
{
    const struct login_guard_options *options = &guard->options;
    uint64_t key = key_of(guard, 'u', account);
    struct bucket *by_account = find_or_make(guard, key, NULL);
    key = key_of(guard, 'a', network_of(address));
    struct bucket *by_address = find_or_make(guard, key, by_account);
    return (struct sides){{by_account, options->window_us / options->account_tries_max},
                          {by_address, options->window_us / options->address_tries_max}};
}

/* Until a drop fits in, not counting `forgiven` of those in it. */
static int64_t wait_of(const struct login_guard *guard, const struct side *side, unsigned forgiven,
                       int64_t now_us)
{
    int64_t full_us = side->bucket->full_us - side->drop_us * (int64_t)forgiven;
    int64_t level_us = full_us > now_us ? full_us - now_us : 0;
    int64_t room_us = guard->options.window_us - side->drop_us;
    return level_us <= room_us ? 0 : level_us - room_us;
}

static void add(const struct side *side, int64_t now_us)
{
    struct bucket *bucket = side->bucket;
    int64_t from = bucket->full_us > now_us ? bucket->full_us : now_us;
    bucket->full_us = from + side->drop_us;
}

static bool is_news(struct bucket *bucket, int64_t now_us)
{
    if (bucket->told_us != 0 && now_us - bucket->told_us < NEWS_US) {
        return false;
    }
    bucket->told_us = now_us;
    return true;
}

/* Under the lock. */
static bool is_full_of_wrong(const struct login_guard *guard, const struct sides *sides,
                             int64_t now_us, struct login_guard_refusal *ret_refusal)
{
    const struct side *account = &sides->account, *address = &sides->address;
    int64_t wait_us = wait_of(guard, account, account->bucket->under_way, now_us);
    int64_t other_us = wait_of(guard, address, address->bucket->under_way, now_us);
    bool is_of_account = wait_us > other_us;
    wait_us = is_of_account ? wait_us : other_us;
    if (wait_us == 0) {
        return false;
    }
    *ret_refusal = (struct login_guard_refusal){
        wait_us, is_news(is_of_account ? account->bucket : address->bucket, now_us)};
    return true;
}

/* Under the lock. */
static enum login_guard_answer try_now(struct login_guard *guard, struct slice address,
                                       struct slice account, int64_t now_us,
                                       struct login_guard_refusal *ret_refusal)
{
    struct sides sides = sides_of(guard, address, account);
    if (is_full_of_wrong(guard, &sides, now_us, ret_refusal)) {
        return LOGIN_GUARD_FULL;
    }
    int64_t wait_us = wait_of(guard, &sides.account, 0, now_us);
    int64_t other_us = wait_of(guard, &sides.address, 0, now_us);
    if (wait_us > 0 || other_us > 0) {
        *ret_refusal = (struct login_guard_refusal){wait_us > other_us ? wait_us : other_us, false};
        return LOGIN_GUARD_LINE;
    }
    add(&sides.account, now_us);
    add(&sides.address, now_us);
    sides.account.bucket->under_way++;
    sides.address.bucket->under_way++;
    return LOGIN_GUARD_MAY;
}

enum login_guard_answer login_guard_try(struct login_guard *guard, struct slice address,
                                        struct slice account, int64_t now_us,
                                        struct login_guard_refusal *ret_refusal)
{
    pthread_mutex_lock(&guard->lock);
    enum login_guard_answer answer = try_now(guard, address, account, now_us, ret_refusal);
    pthread_mutex_unlock(&guard->lock);
    return answer;
}

bool login_guard_enter(struct login_guard *guard, struct slice address, struct slice account,
                       struct login_guard_refusal *ret_refusal)
{
    int64_t until_us = clock_mono_us() + LINE_US;
    bool is_late = false;
    pthread_mutex_lock(&guard->lock);
    enum login_guard_answer answer = try_now(guard, address, account, clock_mono_us(), ret_refusal);
    while (answer == LOGIN_GUARD_LINE && !is_late) {
        is_late = !clock_wait(&guard->ended, &guard->lock, until_us);
        answer = try_now(guard, address, account, clock_mono_us(), ret_refusal);
    }
    pthread_mutex_unlock(&guard->lock);
    return answer == LOGIN_GUARD_MAY;
}

/* Under the lock. A bucket whose place another took meanwhile counts for nobody any more. */
static struct bucket *end_one(struct login_guard *guard, uint64_t key)
{
    struct bucket *bucket = find(guard, key);
    if (bucket == NULL || bucket->under_way == 0) {
        return NULL;
    }
    bucket->under_way--;
    return bucket;
}

void login_guard_leave(struct login_guard *guard, struct slice address, struct slice account,
                       bool is_right, int64_t now_us)
{
    const struct login_guard_options *options = &guard->options;
    int64_t account_drop_us = options->window_us / options->account_tries_max;
    pthread_mutex_lock(&guard->lock);
    struct bucket *by_account = end_one(guard, key_of(guard, 'u', account));
    struct bucket *by_address = end_one(guard, key_of(guard, 'a', network_of(address)));
    if (is_right && by_account != NULL) { /* those still under way may be somebody else's */
        by_account->full_us = now_us + account_drop_us * (int64_t)by_account->under_way;
    }
    if (is_right && by_address != NULL) {
        by_address->full_us -= options->window_us / options->address_tries_max;
    }
    pthread_cond_broadcast(&guard->ended);
    pthread_mutex_unlock(&guard->lock);
}

bool login_guard_look(struct login_guard *guard, struct slice address, struct slice account,
                      int64_t now_us, struct login_guard_refusal *ret_refusal)
{
    pthread_mutex_lock(&guard->lock);
    struct sides sides = sides_of(guard, address, account);
    bool is_full = is_full_of_wrong(guard, &sides, now_us, ret_refusal);
    pthread_mutex_unlock(&guard->lock);
    return !is_full;
}

void login_guard_blame(struct login_guard *guard, struct slice address, struct slice account,
                       int64_t now_us)
{
    pthread_mutex_lock(&guard->lock);
    struct sides sides = sides_of(guard, address, account);
    if (wait_of(guard, &sides.account, 0, now_us) == 0) { /* nobody waits longer than for a drop */
        add(&sides.account, now_us);
    }
    if (wait_of(guard, &sides.address, 0, now_us) == 0) {
        add(&sides.address, now_us);
    }
    pthread_mutex_unlock(&guard->lock);
}
