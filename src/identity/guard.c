#include "identity/guard.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"

#define SET_COUNT 2048u
#define WAY_COUNT 8u /* buckets of a set: who comes last pushes out the emptiest of them */
#define NAME_BYTES_MAX 256u

struct bucket {
    uint64_t key;   /* 0 = free */
    int64_t dry_us; /* when it will have run dry; its level is how far away that is */
};

struct login_guard {
    pthread_mutex_t lock;
    struct login_guard_options options;
    uint64_t seed; /* nobody can choose whom they share a set with */
    struct bucket buckets[SET_COUNT][WAY_COUNT];
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

static uint64_t key_of(const struct login_guard *guard, char kind, struct slice text)
{
    char folded[NAME_BYTES_MAX];
    size_t len = text.len < sizeof(folded) - 1 ? text.len : sizeof(folded) - 1;
    folded[0] = kind;
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];
        folded[i + 1] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    uint64_t key = hash_xx64((struct slice){folded, len + 1}, guard->seed);
    return key != 0 ? key : 1;
}

/* A network of IPv6 is one person's: its first four groups count. An address of IPv4 written in
 * IPv6 is its own. */
static struct slice network_of(struct slice address)
{
    size_t colons = 0;
    if (slice_find(address, SLICE(".")) != SIZE_MAX) {
        return address;
    }
    for (size_t i = 0; i < address.len; i++) {
        colons += address.ptr[i] == ':';
        if (colons == 4) {
            return (struct slice){address.ptr, i};
        }
    }
    return address;
}

static struct bucket *find(struct login_guard *guard, uint64_t key)
{
    struct bucket *set = guard->buckets[key % SET_COUNT];
    struct bucket *emptiest = &set[0];
    for (size_t i = 0; i < WAY_COUNT; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (set[i].dry_us < emptiest->dry_us) {
            emptiest = &set[i];
        }
    }
    *emptiest = (struct bucket){.key = key};
    return emptiest;
}

static int64_t drop_us(const struct login_guard *guard, unsigned tries_max)
{
    return guard->options.window_us / tries_max;
}

static int64_t wait_us(const struct login_guard *guard, const struct bucket *bucket,
                       unsigned tries_max, int64_t now_us)
{
    int64_t level_us = bucket->dry_us > now_us ? bucket->dry_us - now_us : 0;
    int64_t room_us = drop_us(guard, tries_max) * (tries_max - 1);
    return level_us > room_us ? level_us - room_us : 0;
}

static void pour(const struct login_guard *guard, struct bucket *bucket, unsigned tries_max,
                 int64_t now_us)
{
    int64_t from_us = bucket->dry_us > now_us ? bucket->dry_us : now_us;
    bucket->dry_us = from_us + drop_us(guard, tries_max);
}

bool login_guard_enter(struct login_guard *guard, struct slice address, struct slice account,
                       int64_t now_us, int64_t *ret_wait_us)
{
    unsigned account_max = guard->options.account_tries_max;
    unsigned address_max = guard->options.address_tries_max;
    uint64_t by_account = key_of(guard, 'u', account);
    uint64_t by_address = key_of(guard, 'a', network_of(address));
    pthread_mutex_lock(&guard->lock);
    /* Looked up again each time: both may be of one set. */
    int64_t account_us = wait_us(guard, find(guard, by_account), account_max, now_us);
    int64_t address_us = wait_us(guard, find(guard, by_address), address_max, now_us);
    int64_t wait = account_us > address_us ? account_us : address_us;
    if (wait == 0) {
        pour(guard, find(guard, by_account), account_max, now_us);
        pour(guard, find(guard, by_address), address_max, now_us);
    }
    pthread_mutex_unlock(&guard->lock);
    *ret_wait_us = wait;
    return wait == 0;
}

void login_guard_succeeded(struct login_guard *guard, struct slice address, struct slice account,
                           int64_t now_us)
{
    uint64_t by_account = key_of(guard, 'u', account);
    uint64_t by_address = key_of(guard, 'a', network_of(address));
    pthread_mutex_lock(&guard->lock);
    find(guard, by_account)->dry_us = now_us;
    find(guard, by_address)->dry_us -= drop_us(guard, guard->options.address_tries_max);
    pthread_mutex_unlock(&guard->lock);
}
