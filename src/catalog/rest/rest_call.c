/* One request of a person to a catalog: whose token, what may be tried again, what an answer means.
 *
 * What changes nothing, and what has an Idempotency-Key, may be tried again after every failure on
 * the way; but only as often, and as late, as leaves the answer of use. What changes something
 * without a key is tried again only where it was certainly not done, and else the answer says that
 * nobody knows. */
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/rest/glue/glue_int.h"
#include "catalog/rest/rest_http.h"
#include "catalog/rest/rest_answer_int.h"
#include "fetch/fetch.h"
#include "identity/identity.h"
#include "identity/provider.h"

#define TRIES_MAX 3
#define PAUSE_MS_BASE 100
#define PAUSE_MS_MAX 5000

void rest_answer__fini(struct rest_answer *answer)
{
    secret_fini(&answer->body);
}

/* ---- keys ---- */

/* Everything that makes one person's view of one catalog another's: who, by which sign-in, where,
 * and how. Each part behind its length, so that no two lists of parts are one text. */
enum err rest_call__key(const struct rest_call *call, const char *kind, const struct slice *parts,
                        size_t part_count, struct rest_key *ret_key)
{
    const struct rest_catalog *catalog = call->catalog;
    const struct identity *who = call->who;
    struct buf text CLEANUP(buf_fini) = {0};
    const struct slice fixed[] = {
        slice_of(kind),         catalog->uri,        catalog->warehouse, catalog->token_uri,
        catalog->audience,      catalog->scope,      catalog->client_id, identity_subject(who),
        identity_provider(who), identity_actor(who), catalog->sts_uri,   catalog->role,
        catalog->store_uri,     catalog->region,
    };
    buf_printf(&text, "%d %d %llu %llu %lld|", (int)catalog->protocol, (int)catalog->auth,
               (unsigned long long)identity_credential_number(who),
               (unsigned long long)identity_fingerprint(who), (long long)identity_principal(who));
    for (size_t i = 0; i < ARRAY_COUNT(fixed) + part_count; i++) {
        struct slice part = i < ARRAY_COUNT(fixed) ? fixed[i] : parts[i - ARRAY_COUNT(fixed)];
        buf_printf(&text, "%zu:", part.len);
        buf_append_slice(&text, part);
    }
    if (buf_failed(&text)) {
        return errinfo_nomem(call->info);
    }
    return hash_sha256(buf_slice(&text), ret_key->bytes) == ERR_OK
               ? ERR_OK
               : errinfo_set(call->info, ERR_INTERNAL, NULL, "the library of hashes fails");
}

/* ---- trying ---- */

static bool is_retryable(long status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* What says that the server is there, and in its senses. A 500 may be about this one person's
 * request, who must not shut out the others by it; not so one that a proxy made up. */
static bool is_answer(enum err err, const struct rest_reply *reply)
{
    bool is_said = reply->status == 500 && rest_answer__is_said(secret_slice(&reply->body));
    return err == ERR_OK
               ? reply->status < 500 || reply->status == 501 || reply->status == 503 || is_said
               : err != ERR_BUSY;
}

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static enum err is_down(const struct rest_call *call, int64_t wait_us)
{
    (void)errinfo_set(call->info, ERR_BUSY, "08006", "catalog \"%.*s\" does not answer",
                      SLICE_ARGS(call->catalog->name));
    errinfo_hint(call->info, "It is asked again in %lld s.",
                 (long long)((wait_us + 999999) / 1000000));
    return ERR_BUSY;
}

static bool is_single(const struct rest_question *question)
{
    return question->changes && question->key.len == 0;
}

/* That it is this person who asks: a token, or a signature by keys that were lent for it. */
struct proof {
    struct secret token;
    struct glue_signed made;
};

static void proof_fini(struct proof *proof)
{
    secret_fini(&proof->token);
    glue_signed__fini(&proof->made);
}

static enum err prove(const struct rest_call *call, const struct rest_question *question,
                      bool is_again, struct proof *ret_proof)
{
    return call->catalog->protocol == REST_PROTOCOL_GLUE
               ? glue__sign(call, question, is_again, &ret_proof->made)
               : rest_token__header(call, is_again, &ret_proof->token);
}

/* `ret_is_shut`: it was not asked at all. */
static enum err try_once(const struct rest_call *call, const struct rest_question *question,
                         bool is_again, int64_t timeout_ms, struct rest_reply *ret_reply,
                         bool *ret_is_shut)
{
    const struct rest_catalog *catalog = call->catalog;
    const struct rest_options *options = &call->rest->options;
    bool is_glue = catalog->protocol == REST_PROTOCOL_GLUE;
    struct proof proof CLEANUP(proof_fini) = {0};
    struct buf url CLEANUP(buf_fini) = {0};
    int64_t wait_us = 0;
    TRY(prove(call, question, is_again, &proof));
    struct slice site = question->url.len > 0 ? question->url : catalog->uri;
    buf_append_slice(&url, site);
    if (question->url.len == 0) {
        buf_append_char(&url, '/');
        buf_append_slice(&url, question->path);
    }
    if (buf_failed(&url)) {
        return errinfo_nomem(call->info);
    }
    if (url.len > REST_URL_BYTES_MAX) {
        (void)errinfo_set(call->info, ERR_LIMIT, "54000", "the name of a %s is too long",
                          question->what);
        errinfo_hint(call->info,
                     "Its address would have %zu bytes, encoded and behind that of the catalog, "
                     "and may have %d.",
                     url.len, REST_URL_BYTES_MAX);
        return ERR_LIMIT;
    }
    if (!rest_breaker__enter(&call->rest->breakers, site, clock_mono_us(), &wait_us)) {
        *ret_is_shut = true;
        return is_down(call, wait_us);
    }
    struct rest_request request = {.method = question->method,
                                   .url = buf_slice(&url),
                                   .body = question->body,
                                   .content_type = question->content_type,
                                   .key = question->key,
                                   .is_once = is_single(question),
                                   .authorization =
                                       is_glue ? &proof.made.authorization : &proof.token,
                                   .headers = proof.made.headers,
                                   .header_count = proof.made.header_count,
                                   .request_id = catalog->request_id,
                                   .etag = question->etag,
                                   .delegates = question->delegates,
                                   .timeout_ms = timeout_ms};
    enum err err = rest_http__send(call, &request, ret_reply, call->info);
    if (is_glue) {
        ret_reply->status = glue__status(ret_reply->status, secret_slice(&ret_reply->body));
    }
    rest_breaker__leave(&call->rest->breakers, site, clock_mono_us(), is_answer(err, ret_reply),
                        ret_reply->is_late ? 1 : options->breaker_failures,
                        options->breaker_pause_ms * 1000);
    if (err == ERR_BUSY) {
        errinfo_hint(call->info, "Statements that need no other catalog are not affected.");
    }
    return err;
}

/* It may have been done: there is no answer though something left, or one that does not say. (The
 * specification calls the state unknown after 500, 502 and 504; 503 may come from what is in
 * between, when it is too late.) */
static bool is_unknown(const struct rest_question *question, enum err err, bool is_shut,
                       const struct rest_reply *reply)
{
    if (!question->changes || is_shut) {
        return false;
    }
    return err == ERR_OK ? reply->status >= 500 && reply->status != 501 : reply->was_sent;
}

/* What says, of something with a key, whether it was done, whatever a try before this one met. */
static bool is_certain(enum err err, const struct rest_reply *reply)
{
    return err == ERR_OK && reply->status < 500 && reply->status != 401 && reply->status != 403 &&
           reply->status != 419 && reply->status != 429;
}

static bool may_send_again(const struct rest_question *question, enum err err,
                           const struct rest_reply *reply)
{
    bool was_done_maybe = is_single(question) && is_unknown(question, err, false, reply);
    return !was_done_maybe && (err == ERR_BUSY || (err == ERR_OK && is_retryable(reply->status)));
}

/* Tries until there is an answer that another try would not better. */
static enum err ask(const struct rest_call *call, const struct rest_question *question,
                    struct rest_reply *reply, bool *ret_is_unknown)
{
    int64_t deadline_us = clock_mono_us() + call->rest->options.timeout_ms * 1000;
    bool is_again = false;
    bool is_shut = false;
    for (unsigned tries = 1;; tries++) {
        int64_t left_ms = (deadline_us - clock_mono_us()) / 1000;
        rest_reply__fini(reply);
        enum err err =
            try_once(call, question, is_again, left_ms > 1 ? left_ms : 1, reply, &is_shut);
        bool is_refused = err == ERR_OK && (reply->status == 401 || reply->status == 419);
        bool is_open = is_unknown(question, err, is_shut, reply);
        *ret_is_unknown = is_open || (*ret_is_unknown && !is_certain(err, reply));
        bool may_again = (!is_shut && may_send_again(question, err, reply)) ||
                         (is_refused && !is_again && rest_token__can_change(call));
        int64_t pause_ms = is_refused ? 0
                                      : fetch_backoff_ms(tries, PAUSE_MS_BASE, PAUSE_MS_MAX,
                                                         reply->retry_after_ms, PAUSE_MS_MAX);
        if (!may_again || tries == TRIES_MAX || pause_ms < 0 ||
            clock_mono_us() + pause_ms * 1000 >= deadline_us) {
            return err;
        }
        is_again = is_again || is_refused;
        sleep_ms(pause_ms);
    }
}

enum err rest_call__ask(const struct rest_call *call, const struct rest_question *question,
                        struct rest_answer *ret_answer)
{
    struct rest_reply reply CLEANUP(rest_reply__fini) = {.retry_after_ms = -1};
    TRY(ask(call, question, &reply, &ret_answer->is_unknown));
    bool is_good = reply.status == 200 || (reply.status == 304 && question->etag != NULL) ||
                   (reply.status == 204 && question->method.len > 0);
    if (!is_good) {
        return rest_answer__error(
            call->catalog, question, reply.status, secret_slice(&reply.body),
            reply.retry_after_ms > 0 ? (reply.retry_after_ms + 999) / 1000 : 0, call->info);
    }
    ret_answer->status = reply.status;
    memcpy(ret_answer->etag, reply.etag, sizeof(ret_answer->etag));
    memcpy(ret_answer->cache_control, reply.cache_control, sizeof(ret_answer->cache_control));
    secret_replace(&ret_answer->body, &reply.body);
    return ERR_OK;
}

/* ---- configuration first ---- */

static enum err fetch_config(struct rest_call *call, const struct rest_key *key)
{
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct rest_config *config;
    buf_append_str(&path, "v1/config");
    if (call->catalog->warehouse.len > 0) {
        buf_append_str(&path, "?warehouse=");
        rest_url__encode(&path, call->catalog->warehouse);
    }
    const struct rest_question question = {
        .path = buf_slice(&path), .what = "catalog", .name = call->catalog->name};
    if (buf_failed(&path)) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_call__ask(call, &question, &answer));
    TRY(rest_parse__config(call, secret_slice(&answer.body), &config));
    if (config->reports == REST_REPORTS_WANTED) {
        rest_reporter__want(call->rest->reporter);
    }
    config->item.key = *key;
    rest_cache__put(call->rest->cache, &config->item);
    call->config = config;
    return ERR_OK;
}

enum err rest_call__open(struct rest *rest, const struct rest_catalog *catalog,
                         const struct identity *who, struct rest_call *ret_call,
                         struct errinfo *info)
{
    ASSERT(who != NULL);
    struct rest_call call = {.rest = rest, .catalog = catalog, .who = who, .info = info};
    struct rest_key key;
    if (metastore_is(catalog->protocol)) { /* which has none */
        TRY(rest_parse__config(&call, SLICE("{}"), &call.config));
        call.config->endpoints = 0;
        *ret_call = call;
        return ERR_OK;
    }
    TRY(rest_call__key(&call, "config", NULL, 0, &key));
    struct rest_config *config = (struct rest_config *)rest_cache__get(rest->cache, &key);
    if (config != NULL &&
        clock_mono_us() - config->fetched_us < rest->options.config_age_ms * 1000) {
        call.config = config;
    } else {
        rest_item__unref(config == NULL ? NULL : &config->item);
        TRY(fetch_config(&call, &key));
    }
    *ret_call = call;
    return ERR_OK;
}

void rest_call__close(struct rest_call *call)
{
    if (call->config != NULL) {
        rest_item__unref(&call->config->item);
        call->config = NULL;
    }
}
