/* Pools and their lanes: a lane is a set of connections that one thread drives at a time. Sharing
 * connections between threads inside libcurl (CURL_LOCK_DATA_CONNECT) is documented as unsafe. */
#include "base/mem.h"
#include "fetch/fetch_int.h"

#define CONNECTIONS_MAX_DEFAULT 8u
#define IDLE_LANES_MAX 16u

static struct {
    pthread_once_t once;
    CURLcode code;
} library = {.once = PTHREAD_ONCE_INIT};

static void start_library(void)
{
    library.code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool copy_text(struct slice text, struct slice otherwise, char **ret_text)
{
    *ret_text = mem_slicedup(text.len > 0 ? text : otherwise);
    return *ret_text != NULL;
}

enum err fetch_pool_new(const struct fetch_options *options, struct fetch_pool **ret_pool,
                        struct errinfo *info)
{
    ASSERT(pthread_once(&library.once, start_library) == 0);
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) =
        library.code == CURLE_OK ? mem_calloc(1, sizeof(*pool)) : NULL;
    if (pool == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&pool->references, 1);
    pthread_mutex_init(&pool->lock, NULL);
    pool->plain = options->plain;
    pool->is_http1 = options->is_http1;
    pool->connections_max =
        options->connections_max > 0 ? options->connections_max : CONNECTIONS_MAX_DEFAULT;
    if (!copy_text(options->peer, SLICE("the server"), &pool->peer) ||
        !copy_text(options->user_agent, SLICE("moat"), &pool->user_agent) ||
        !copy_text(options->proxy, SLICE(""), &pool->proxy) ||
        (options->ca_file.len > 0 && !copy_text(options->ca_file, SLICE(""), &pool->ca_file))) {
        return errinfo_nomem(info);
    }
    *ret_pool = TAKE(pool);
    return ERR_OK;
}

struct fetch_pool *fetch_pool_ref(struct fetch_pool *pool)
{
    atomic_fetch_add(&pool->references, 1);
    return pool;
}

static void close_lane(struct fetch_lane *lane)
{
    (void)curl_multi_cleanup(lane->multi);
    mem_free(lane);
}

void fetch_pool_unref(struct fetch_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub(&pool->references, 1) > 1) {
        return;
    }
    while (pool->idle != NULL) {
        struct fetch_lane *lane = pool->idle;
        pool->idle = lane->next;
        close_lane(lane);
    }
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->peer);
    mem_free(pool->user_agent);
    mem_free(pool->ca_file);
    if (pool->proxy != NULL) { /* may hold a password */
        mem_wipe(pool->proxy, strlen(pool->proxy));
    }
    mem_free(pool->proxy);
    mem_free(pool);
}

static struct fetch_lane *lane_new(const struct fetch_pool *pool)
{
    struct fetch_lane *lane = mem_calloc(1, sizeof(*lane));
    CURLM *multi = lane == NULL ? NULL : curl_multi_init();
    if (multi == NULL) {
        mem_free(lane);
        return NULL;
    }
    lane->multi = multi;
    long connections = (long)pool->connections_max;
    if (curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) != CURLM_OK ||
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections) != CURLM_OK) {
        close_lane(lane);
        return NULL;
    }
    return lane;
}

struct fetch_lane *fetch__lane_take(struct fetch_pool *pool, const char *origin)
{
    struct fetch_lane *found = NULL;
    pthread_mutex_lock(&pool->lock);
    struct fetch_lane **at = &pool->idle;
    for (; *at != NULL && strcmp((*at)->origin, origin) != 0;) {
        at = &(*at)->next;
    }
    at = *at == NULL ? &pool->idle : at;
    if (*at != NULL) {
        found = *at;
        *at = found->next;
        pool->idle_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (found == NULL) {
        found = lane_new(pool);
    }
    if (found != NULL) {
        found->next = NULL;
        (void)snprintf(found->origin, sizeof(found->origin), "%s", origin);
    }
    return found;
}

void fetch__lane_give(struct fetch_pool *pool, struct fetch_lane *lane)
{
    pthread_mutex_lock(&pool->lock);
    bool is_kept = pool->idle_count < IDLE_LANES_MAX;
    if (is_kept) {
        lane->next = pool->idle;
        pool->idle = lane;
        pool->idle_count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_kept) {
        close_lane(lane);
    }
}
