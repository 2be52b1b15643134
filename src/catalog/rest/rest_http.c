#include "catalog/rest/rest_http.h"

#include "base/mem.h"
#include "fetch/fetch.h"

#define HEADERS_MAX 12
#define POOL_BYTES 65536 /* about what idle connections of one person take */

void rest_reply__fini(struct rest_reply *reply)
{
    secret_fini(&reply->body);
    *reply = (struct rest_reply){.retry_after_ms = -1};
}

/* ---- connections: of one person and one catalog, never another's ---- */

struct rest_pool {
    struct rest_item item;
    struct fetch_pool *pool;
};

static void pool_fini(struct rest_item *item)
{
    fetch_pool_unref(((struct rest_pool *)item)->pool);
}

static enum err open_pool(const struct rest_call *call, struct fetch_pool **ret_pool)
{
    const struct rest_options *options = &call->rest->options;
    char peer[160];
    (void)snprintf(peer, sizeof(peer), "catalog \"%.*s\"", SLICE_ARGS(call->catalog->name));
    struct fetch_options made = {.peer = slice_of(peer),
                                 .user_agent = SLICE("moat/" MOAT_VERSION),
                                 .ca_file = slice_of(options->ca_file),
                                 .plain = options->allow_loopback_http ? FETCH_PLAIN_LOOPBACK
                                                                       : FETCH_TLS_ONLY};
    return fetch_pool_new(&made, ret_pool, call->info);
}

static enum err make_pool(const struct rest_call *call, const struct rest_key *key, bool is_store,
                          struct fetch_pool **ret_pool)
{
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) = NULL;
    TRY(is_store ? storage_remote_pool(call->rest->options.storage, &pool, call->info)
                 : open_pool(call, &pool));
    struct rest_pool *kept = mem_calloc(1, sizeof(*kept));
    if (kept == NULL) {
        return errinfo_nomem(call->info);
    }
    atomic_init(&kept->item.references, 1);
    kept->item.key = *key;
    kept->item.bytes = POOL_BYTES;
    kept->item.fini = pool_fini;
    kept->pool = fetch_pool_ref(pool);
    rest_cache__put(call->rest->cache, &kept->item);
    rest_item__unref(&kept->item);
    *ret_pool = TAKE(pool);
    return ERR_OK;
}

static enum err find_pool(const struct rest_call *call, bool is_store, struct fetch_pool **ret_pool)
{
    struct rest_key key;
    TRY(rest_call__key(call, is_store ? "store" : "pool", NULL, 0, &key));
    struct rest_pool *kept = (struct rest_pool *)rest_cache__get(call->rest->cache, &key);
    if (kept == NULL) {
        return make_pool(call, &key, is_store, ret_pool);
    }
    *ret_pool = fetch_pool_ref(kept->pool);
    rest_item__unref(&kept->item);
    return ERR_OK;
}

enum err rest_http__store_pool(const struct rest_call *call, struct fetch_pool **ret_pool)
{
    return find_pool(call, true, ret_pool);
}

/* ---- one request ---- */

static void add(struct fetch_header *headers, size_t *count, struct slice name, struct slice value)
{
    ASSERT(*count < HEADERS_MAX);
    headers[(*count)++] = (struct fetch_header){name, value};
}

/* A header that is too long to be kept is none. */
static void keep_header(const struct fetch_answer *answer, struct slice name, char *out,
                        size_t out_size)
{
    struct slice value;
    if (fetch_answer_header(answer, name, &value) && value.len < out_size) {
        memcpy(out, value.ptr, value.len);
        out[value.len] = '\0';
    }
}

static void read_headers(const struct fetch_answer *answer, struct rest_reply *reply)
{
    reply->status = answer->status;
    reply->retry_after_ms = fetch_answer_retry_after_ms(answer);
    keep_header(answer, SLICE("etag"), reply->etag, sizeof(reply->etag));
    keep_header(answer, SLICE("cache-control"), reply->cache_control, sizeof(reply->cache_control));
}

enum err rest_http__send(const struct rest_call *call, const struct rest_request *request,
                         struct rest_reply *ret_reply, struct errinfo *info)
{
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) = NULL;
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct fetch_header headers[HEADERS_MAX];
    size_t count = 0;
    TRY(find_pool(call, false, &pool));
    add(headers, &count, SLICE("Accept"),
        request->content_type == NULL ? SLICE("application/json")
                                      : slice_of(request->content_type));
    add(headers, &count, SLICE("Authorization"), secret_slice(request->authorization));
    for (size_t i = 0; i < request->header_count; i++) {
        add(headers, &count, request->headers[i].name, request->headers[i].value);
    }
    if (request->request_id.len > 0) {
        add(headers, &count, SLICE("X-Request-ID"), request->request_id);
    }
    if (request->etag != NULL) {
        add(headers, &count, SLICE("If-None-Match"), slice_of(request->etag));
    }
    if (request->delegates) {
        add(headers, &count, SLICE("X-Iceberg-Access-Delegation"),
            SLICE("vended-credentials,remote-signing"));
    }
    if (request->body.ptr != NULL) {
        add(headers, &count, SLICE("Content-Type"),
            request->content_type == NULL ? SLICE("application/json")
                                          : slice_of(request->content_type));
    }
    if (request->key.len > 0) {
        add(headers, &count, SLICE("Idempotency-Key"), request->key);
    }
    const struct fetch_request asked = {
        .method = request->method,
        .url = request->url,
        .body = request->body,
        .is_once = request->is_once,
        .headers = headers,
        .header_count = count,
        .connect_ms = call->rest->options.connect_timeout_ms,
        .timeout_ms = request->timeout_ms,
        .body_bytes_max = call->rest->options.response_bytes_max,
        .accept_coded = true,
        .is_cancelled = call->catalog->is_cancelled,
        .cancel_context = call->catalog->cancel_context,
    };
    enum err err = fetch_send(pool, &asked, &answer, info);
    ret_reply->is_late = err == ERR_TIMEOUT;
    ret_reply->was_sent = answer.was_sent;
    if (err == ERR_IO || err == ERR_TIMEOUT) {
        if (info != NULL) {
            info->code = ERR_BUSY;
            memcpy(info->sqlstate, "08006", sizeof("08006"));
        }
        return ERR_BUSY;
    }
    if (err == ERR_LIMIT && info != NULL) { /* of the catalog, not of a table: it is told */
        memcpy(info->sqlstate, "08P01", sizeof("08P01"));
        errinfo_hint(info, "catalog.answer_bytes_max says how long an answer may be.");
    }
    TRY(err);
    read_headers(&answer, ret_reply);
    secret_replace(&ret_reply->body, &answer.body);
    return ERR_OK;
}
