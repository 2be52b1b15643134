/* A catalog that does not answer costs one timeout now and then, not one a statement. One that was
 * waited for in vain is open at once.
 *
 *   closed --failures_max in a row--> open --pause--> one may try --answered--> closed
 *                                      ^-----------------did not--'
 *
 * By address, whoever asks: that a server is down says nothing of anybody's rights. */
#include "catalog/rest/rest_int.h"

static struct rest_breaker *find(struct rest_breakers *breakers, struct slice uri, bool makes)
{
    uint64_t address = hash_xx64(uri, 0) | 1;
    struct rest_breaker *oldest = &breakers->sites[0];
    for (size_t i = 0; i < REST_SITES_MAX; i++) {
        struct rest_breaker *site = &breakers->sites[i];
        if (site->address == address) {
            return site;
        }
        oldest = site->used_us < oldest->used_us ? site : oldest;
    }
    if (!makes) {
        return NULL;
    }
    *oldest = (struct rest_breaker){.address = address};
    return oldest;
}

bool rest_breaker__enter(struct rest_breakers *breakers, struct slice uri, int64_t now_us,
                         int64_t *ret_wait_us)
{
    bool may_ask = true;
    pthread_mutex_lock(&breakers->lock);
    struct rest_breaker *site = find(breakers, uri, false);
    if (site != NULL && site->closed_until_us != 0) {
        may_ask = now_us >= site->closed_until_us && !site->is_probing;
        site->is_probing = site->is_probing || may_ask;
        int64_t wait_us = site->closed_until_us - now_us;
        *ret_wait_us = wait_us > 0 ? wait_us : 0;
    }
    pthread_mutex_unlock(&breakers->lock);
    return may_ask;
}

void rest_breaker__leave(struct rest_breakers *breakers, struct slice uri, int64_t now_us,
                         bool has_answered, unsigned failures_max, int64_t pause_us)
{
    pthread_mutex_lock(&breakers->lock);
    struct rest_breaker *site = find(breakers, uri, !has_answered);
    if (site != NULL) {
        site->used_us = now_us;
        site->is_probing = false;
        site->failures = has_answered ? 0 : site->failures + 1;
        bool is_open = site->failures >= failures_max;
        site->closed_until_us = is_open ? now_us + pause_us : 0;
    }
    pthread_mutex_unlock(&breakers->lock);
}
