#include "identity/guard.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

#define SETS 2048
#define WAYS 8
#define NEWS_US 1000000

struct bucket {
    uint64_t key;    /* 0: free */
    int64_t full_us; /* the level: when it will have run dry, at one drop each `drop_us` */
    int64_t told_us; /* when one that was too many was news */
};

struct login_guard {
    pthread_mutex_t lock;
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
    pthread_mutex_init(&guard->lock, NULL);
    guard->options = *options;
    *ret_guard = guard;
    return ERR_OK;
}

void login_guard_free(struct login_guard *guard)
{
    if (guard != NULL) {
        pthread_mutex_destroy(&guard->lock);
        mem_free(guard);
    }
}

/* The bucket of a key; a new one takes the place of the emptiest of its set. */
static struct bucket *find(struct login_guard *guard, uint64_t key)
{
    struct bucket *set = guard->buckets[key % SETS];
    struct bucket *emptiest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (set[i].full_us < emptiest->full_us) {
            emptiest = &set[i];
        }
    }
    *emptiest = (struct bucket){.key = key};
    return emptiest;
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

static int64_t wait_of(const struct login_guard *guard, const struct bucket *bucket,
                       unsigned tries_max, int64_t now_us)
{
    int64_t drop_us = guard->options.window_us / tries_max;
    int64_t level_us = bucket->full_us > now_us ? bucket->full_us - now_us : 0;
    int64_t room_us = guard->options.window_us - drop_us;
    return level_us <= room_us ? 0 : level_us - room_us;
}

static void add(const struct login_guard *guard, struct bucket *bucket, unsigned tries_max,
                int64_t now_us)
{
    int64_t from = bucket->full_us > now_us ? bucket->full_us : now_us;
    bucket->full_us = from + guard->options.window_us / tries_max;
}

static bool is_news(struct bucket *bucket, int64_t now_us)
{
    if (bucket->told_us != 0 && now_us - bucket->told_us < NEWS_US) {
        return false;
    }
    bucket->told_us = now_us;
    return true;
}

bool login_guard_enter(struct login_guard *guard, struct slice address, struct slice account,
                       int64_t now_us, int64_t *ret_wait_us, bool *ret_is_news)
{
    const struct login_guard_options *options = &guard->options;
    pthread_mutex_lock(&guard->lock);
    uint64_t by_account = key_of(guard, 'u', account);
    uint64_t by_address = key_of(guard, 'a', network_of(address));
    int64_t wait_us = wait_of(guard, find(guard, by_account), options->account_tries_max, now_us);
    int64_t other_us = wait_of(guard, find(guard, by_address), options->address_tries_max, now_us);
    *ret_is_news = false;
    if (wait_us > 0 || other_us > 0) {
        *ret_is_news = is_news(find(guard, wait_us > other_us ? by_account : by_address), now_us);
    }
    wait_us = wait_us > other_us ? wait_us : other_us;
    if (wait_us == 0) {
        add(guard, find(guard, by_account), options->account_tries_max, now_us);
        add(guard, find(guard, by_address), options->address_tries_max, now_us);
    }
    pthread_mutex_unlock(&guard->lock);
    *ret_wait_us = wait_us;
    return wait_us == 0;
}

void login_guard_succeeded(struct login_guard *guard, struct slice address, struct slice account,
                           int64_t now_us)
{
    pthread_mutex_lock(&guard->lock);
    find(guard, key_of(guard, 'u', account))->full_us = now_us;
    struct bucket *bucket = find(guard, key_of(guard, 'a', network_of(address)));
    bucket->full_us -= guard->options.window_us / guard->options.address_tries_max;
    pthread_mutex_unlock(&guard->lock);
}
