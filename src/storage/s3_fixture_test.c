#include "storage/s3_fixture_int.h"

#include <stdio.h>

#include "base/mem.h"

static struct store_object *find_object(struct store *store, struct slice path)
{
    for (size_t i = 0; i < store->object_count; i++) {
        if (slice_equal(slice_of(store->objects[i].path), path)) {
            return &store->objects[i];
        }
    }
    return NULL;
}

static struct store_fault *find_fault(struct store *store, const struct fetch_peer_request *request)
{
    for (size_t i = 0; i < store->fault_count; i++) {
        struct store_fault *fault = &store->faults[i];
        bool is_method =
            fault->method == NULL || slice_equal(request->method, slice_of(fault->method));
        if (fault->times > 0 && is_method &&
            (fault->path == NULL ||
             slice_find(request->target, slice_of(fault->path)) != SIZE_MAX)) {
            fault->times--;
            return fault;
        }
    }
    return NULL;
}

static void serve_object(const struct store *store, const struct store_object *object,
                         const struct store_fault *fault, const struct fetch_peer_request *request,
                         struct fetch_peer_reply *reply)
{
    unsigned long long first = 0;
    unsigned long long last = object->len - 1;
    char etag[32];
    struct slice range = fetch_peer_header(request, "range");
    struct slice match = fetch_peer_header(request, "if-match");
    unsigned version = object->version + (fault != NULL && fault->is_other_version ? 1 : 0);
    (void)snprintf(etag, sizeof(etag), "\"v%u\"", version);
    buf_printf(&reply->headers, "ETag: %s\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
               etag);
    if (match.len > 0 && !store->ignores_match && !slice_equal(match, slice_of(etag))) {
        reply->status = 412;
        return;
    }
    bool is_part = range.len > 0 && !(fault != NULL && fault->ignores_range);
    if (is_part) {
        char text[64];
        (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(range));
        CHECK(sscanf(text, "bytes=%llu-%llu", &first, &last) == 2 && last < object->len);
        buf_printf(&reply->headers, "Content-Range: bytes %llu-%llu/%zu\r\n", first, last,
                   object->len);
        reply->status = 206;
    }
    if (object->len > 0) {
        buf_append(&reply->body, object->bytes + first, (size_t)(last - first + 1));
    }
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct store *store = context;
    bool is_get = slice_equal(request->method, SLICE("GET"));
    bool is_head = slice_equal(request->method, SLICE("HEAD"));
    bool is_put = slice_equal(request->method, SLICE("PUT"));
    pthread_mutex_lock(&store->lock);
    ++*(is_get ? &store->gets : is_head ? &store->heads : is_put ? &store->puts : &store->others);
    struct slice authorization = fetch_peer_header(request, "authorization");
    (void)snprintf(store->last_authorization, sizeof(store->last_authorization), "%.*s",
                   SLICE_ARGS(authorization));
    (void)snprintf(store->last_target, sizeof(store->last_target), "%.*s",
                   SLICE_ARGS(request->target));
    reply->delay_ms = store->delay_ms;
    struct store_fault *fault = find_fault(store, request);
    struct store_object *object = find_object(store, request->target);
    if (store->accepted != NULL &&
        slice_find(authorization, slice_of(store->accepted)) == SIZE_MAX) {
        store->refused++;
        reply->status = 403;
        buf_append_str(&reply->body, "<Error><Code>ExpiredToken</Code></Error>");
    } else if (fault != NULL && !fault->is_late) {
        *reply = fault->reply;
        buf_append_str(&reply->body, fault->body == NULL ? "" : fault->body);
        buf_append_str(&reply->headers, fault->headers == NULL ? "" : fault->headers);
    } else if (is_put) {
        buf_append_str(&reply->headers, "ETag: \"put\"\r\n");
    } else if (object == NULL) {
        reply->status = 404;
        buf_append_str(&reply->body, "<Error><Code>NoSuchKey</Code></Error>");
    } else {
        serve_object(store, object, fault, request, reply);
        if (fault != NULL) {
            reply->cut_bytes = fault->reply.cut_bytes;
        }
    }
    pthread_mutex_unlock(&store->lock);
}

void store_open(struct store *store)
{
    *store = (struct store){0};
    pthread_mutex_init(&store->lock, NULL);
    store->peer = fetch_peer_open(answer, store, store->url);
}

void store_close(struct store *store)
{
    fetch_peer_close(store->peer);
    for (size_t i = 0; i < store->object_count; i++) {
        mem_free(store->objects[i].bytes);
    }
    pthread_mutex_destroy(&store->lock);
}

void store_put(struct store *store, const char *path, const char *bytes, size_t len)
{
    pthread_mutex_lock(&store->lock);
    struct store_object *object = find_object(store, slice_of(path));
    if (object == NULL) {
        CHECK(store->object_count < STORE_OBJECTS);
        object = &store->objects[store->object_count++];
        (void)snprintf(object->path, sizeof(object->path), "%s", path);
    }
    mem_free(object->bytes);
    object->bytes = mem_alloc(len);
    memcpy(object->bytes, bytes, len);
    object->len = len;
    object->version++;
    pthread_mutex_unlock(&store->lock);
}

void store_fault(struct store *store, struct store_fault fault)
{
    pthread_mutex_lock(&store->lock);
    size_t at = 0;
    while (at < store->fault_count && store->faults[at].times > 0) {
        at++;
    }
    CHECK(at < STORE_FAULTS);
    store->faults[at] = fault;
    store->fault_count = at < store->fault_count ? store->fault_count : at + 1;
    pthread_mutex_unlock(&store->lock);
}

const struct identity *person(int number)
{
    static char people[2];
    return (const struct identity *)(const void *)&people[number];
}

void lender_open(struct lender *lender, const struct storage_remote_options *options)
{
    *lender = (struct lender){0};
    CHECK_OK(storage_remote_open(options, &lender->remote, &lender->info));
    CHECK_OK(storage_remote_pool(lender->remote, &lender->pool, &lender->info));
}

void lender_close(struct lender *lender)
{
    fetch_pool_unref(lender->pool);
    storage_remote_close(lender->remote);
}

struct storage_credential credential_of(const struct store *store, const char *access_key)
{
    return (struct storage_credential){.prefix = SLICE("s3://bucket/t/"),
                                       .access_key = slice_of(access_key),
                                       .secret_key = SLICE("secret-of-the-test"),
                                       .session_token = SLICE("token-of-the-test"),
                                       .region = SLICE("eu-central-1"),
                                       .endpoint = slice_of(store->url)};
}

struct storage_grant *lend(struct lender *lender, const struct store *store, int number,
                           const char *access_key)
{
    struct storage_credential credential = credential_of(store, access_key);
    struct storage_grant_spec spec = {.who = person(number),
                                      .remote = lender->remote,
                                      .pool = lender->pool,
                                      .credentials = &credential,
                                      .credential_count = 1};
    struct storage_grant *grant = NULL;
    CHECK_OK(storage_grant_new(&spec, &grant, &lender->info));
    return grant;
}
