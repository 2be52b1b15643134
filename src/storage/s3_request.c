/* Signed requests, and when they are sent again.
 *
 * Again: no answer, too busy (429, 5xx), a connection that broke, an answer that is not whole; with
 * another region if the store names one; with renewed credentials if it says they have expired.
 * Not again: everything it decided (403, 404, 412), and what must not be done twice. */
#include "storage/s3_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/cancellation.h"
#include "storage/storage_int.h"

#define ATTEMPTS_MAX 12u
#define BACKOFF_MS 50
#define BACKOFF_MS_MAX 5000
#define STALL_PART 3 /* of the time for a request: that long without a byte is no answer */
#define REGION_FIRST "us-east-1" /* answers for any bucket, naming its region */
#define ERROR_XML_BYTES_MAX 65536u

/* One call on its way: what its last try was made of. */
struct attempt {
    const struct s3_call *call;
    struct s3_keys *keys;
    char region[S3_REGION_BYTES];
    struct s3_address address;
    struct buf query;
    struct buf url;
    struct secret authorization;
    struct storage_signed *signature; /* where somebody else signs */
    bool has_kept_signature;          /* that went out before */
    bool is_signature_refused;
    char time[SIGV4_TIME_BYTES];
    char payload_hash[SHA256_HEX_BYTES];
    struct fetch_header headers[S3_HEADERS_MAX];
    size_t header_count;
    const struct cancellation *cancellation; /* NULL: it goes on whatever happens */
    uint64_t refused;                        /* generation of keys that the store called expired */
    bool has_learned_region;
    bool is_done;
};

static void attempt_reset(struct attempt *attempt)
{
    s3__keys_unref(attempt->keys);
    attempt->keys = NULL;
    s3__address_fini(&attempt->address);
    buf_fini(&attempt->query);
    buf_fini(&attempt->url);
    secret_fini(&attempt->authorization);
    s3__signed_unref(attempt->signature);
    attempt->signature = NULL;
    attempt->header_count = 0;
}

/* ---- making one ---- */

static int compare_headers(const void *a, const void *b)
{
    const struct fetch_header *first = a;
    const struct fetch_header *second = b;
    return slice_compare(first->name, second->name);
}

static bool is_cancelled(void *context)
{
    return cancellation_is_set(context);
}

static void add_header(struct attempt *attempt, struct slice name, struct slice value)
{
    ASSERT(attempt->header_count < S3_HEADERS_MAX - 1); /* one is left for the signature */
    attempt->headers[attempt->header_count++] = (struct fetch_header){name, value};
}

static enum err sign(struct attempt *attempt, struct errinfo *info)
{
    const struct s3_call *call = attempt->call;
    struct slice host = buf_slice(&attempt->address.host);
    add_header(attempt, SLICE("host"), host);
    for (size_t i = 0; i < call->header_count; i++) {
        add_header(attempt, call->headers[i].name, call->headers[i].value);
    }
    add_header(attempt, SLICE("x-amz-content-sha256"), slice_of(attempt->payload_hash));
    add_header(attempt, SLICE("x-amz-date"), slice_of(attempt->time));
    if (attempt->keys->session_token.len > 0) {
        add_header(attempt, SLICE("x-amz-security-token"), attempt->keys->session_token);
    }
    qsort(attempt->headers, attempt->header_count, sizeof(attempt->headers[0]), compare_headers);
    struct sigv4_request signing = {
        .method = call->method,
        .path = buf_slice(&attempt->address.path),
        .query = buf_slice(&attempt->query),
        .headers = attempt->headers,
        .header_count = attempt->header_count,
        .payload_hash = attempt->payload_hash,
        .time = attempt->time,
        .region = slice_of(attempt->region),
        .service = SLICE("s3"),
        .access_key = attempt->keys->access_key,
        .secret_key = attempt->keys->secret_key,
    };
    TRY(sigv4_sign(&signing, &attempt->authorization, info));
    for (size_t i = 0; i < attempt->header_count; i++) { /* libcurl writes it */
        if (slice_equal(attempt->headers[i].name, SLICE("host"))) {
            attempt->headers[i] = (struct fetch_header){SLICE("Authorization"),
                                                        secret_slice(&attempt->authorization)};
        }
    }
    return ERR_OK;
}

/* What needs no signature: so one serves all ranges of a version, and any version. */
static bool goes_unsigned(struct slice name)
{
    return slice_equal_fold(name, SLICE("range")) || slice_equal_fold(name, SLICE("if-match")) ||
           slice_equal_fold(name, SLICE("if-none-match"));
}

static bool has_header(const struct attempt *attempt, struct slice name)
{
    for (size_t i = 0; i < attempt->header_count; i++) {
        if (slice_equal_fold(attempt->headers[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* The signer's headers in the place of those it was shown. */
static enum err have_signed(struct storage_grant *grant, struct attempt *attempt,
                            struct errinfo *info)
{
    const struct s3_call *call = attempt->call;
    add_header(attempt, SLICE("host"), buf_slice(&attempt->address.host));
    add_header(attempt, SLICE("x-amz-content-sha256"), slice_of(attempt->payload_hash));
    for (size_t i = 0; i < call->header_count; i++) {
        if (!goes_unsigned(call->headers[i].name)) {
            add_header(attempt, call->headers[i].name, call->headers[i].value);
        }
    }
    qsort(attempt->headers, attempt->header_count, sizeof(attempt->headers[0]), compare_headers);
    const struct storage_to_sign request = {.method = call->method,
                                            .url = buf_slice(&attempt->url),
                                            .region = slice_of(attempt->region),
                                            .headers = attempt->headers,
                                            .header_count = attempt->header_count};
    TRY(s3__grant_sign(grant, &request, attempt->is_signature_refused, &attempt->signature,
                       &attempt->has_kept_signature, info));
    const struct storage_signed *signature = attempt->signature;
    attempt->header_count = 0;
    for (size_t i = 0; i < signature->header_count; i++) {
        if (!goes_unsigned(signature->headers[i].name)) {
            add_header(attempt, signature->headers[i].name, signature->headers[i].value);
        }
    }
    for (size_t i = 0; i < call->header_count; i++) {
        if (!has_header(attempt, call->headers[i].name)) {
            add_header(attempt, call->headers[i].name, call->headers[i].value);
        }
    }
    attempt->url.len -= attempt->query.len > 0 ? attempt->query.len + 1 : 0;
    buf_append_str(&attempt->url, signature->query.len > 0 ? "?" : "");
    buf_append_slice(&attempt->url, signature->query);
    return buf_failed(&attempt->url) ? errinfo_nomem(info) : ERR_OK;
}

static void write_query(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->call->param_count; i++) {
        buf_append_str(&attempt->query, i == 0 ? "" : "&");
        s3__encode(slice_of(attempt->call->params[i].name), false, &attempt->query);
        buf_append_char(&attempt->query, '=');
        s3__encode(attempt->call->params[i].value, false, &attempt->query);
    }
}

static enum err prepare(struct storage_grant *grant, struct attempt *attempt, int64_t timeout_ms,
                        struct fetch_request *ret_request, struct errinfo *info)
{
    const struct s3_call *call = attempt->call;
    struct s3_place place;
    uint8_t digest[SHA256_BYTES];
    attempt_reset(attempt);
    TRY(s3__place_of(call->location, &place, info));
    if (call->is_bucket) {
        place.key = (struct slice){NULL, 0};
    }
    TRY(storage__grant_keys(grant, call->location, attempt->refused, &attempt->keys,
                            attempt->region, info));
    if (attempt->region[0] == '\0') {
        memcpy(attempt->region, REGION_FIRST, sizeof(REGION_FIRST));
    }
    struct s3_target target = {attempt->keys->endpoint, slice_of(attempt->region),
                               attempt->keys->is_path_style};
    TRY(s3__address_of(&target, &place, &attempt->address, info));
    write_query(attempt);
    buf_append_slice(&attempt->url, buf_slice(&attempt->address.base));
    buf_append_slice(&attempt->url, buf_slice(&attempt->address.path));
    buf_append_str(&attempt->url, call->param_count > 0 ? "?" : "");
    buf_append_slice(&attempt->url, buf_slice(&attempt->query));
    if (buf_failed(&attempt->query) || buf_failed(&attempt->url)) {
        return errinfo_nomem(info);
    }
    sigv4_format_time(grant->remote->wall_us(), attempt->time);
    TRY(hash_sha256(call->body, digest));
    hash_hex(digest, sizeof(digest), attempt->payload_hash);
    TRY(attempt->keys->is_signed ? have_signed(grant, attempt, info) : sign(attempt, info));
    *ret_request = (struct fetch_request){
        .method = call->method,
        .url = buf_slice(&attempt->url),
        .headers = attempt->headers,
        .header_count = attempt->header_count,
        .body = call->body,
        .connect_ms = grant->remote->options.connect_ms,
        .timeout_ms = timeout_ms,
        .stall_ms = grant->remote->options.timeout_ms / STALL_PART,
        .body_bytes_max = call->body_bytes_max,
        .is_once = call->is_once,
        .sink = call->sink,
        .sink_context = call->sink_context,
        .is_cancelled = attempt->cancellation == NULL ? NULL : is_cancelled,
        .cancel_context = (void *)(uintptr_t)attempt->cancellation,
    };
    return ERR_OK;
}

/* ---- judging what came ---- */

static enum err report_cancelled(struct errinfo *info)
{
    return errinfo_set(info, ERR_CANCELLED, NULL, "what waited for the storage was cancelled");
}

enum verdict {
    VERDICT_GOOD,
    VERDICT_FAILED,
    VERDICT_AGAIN,      /* after a while */
    VERDICT_AGAIN_SOON, /* something was learned */
};

static bool is_busy(long status, const char *code)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504 || status == 409 || strcmp(code, "RequestTimeout") == 0 ||
           strcmp(code, "SlowDown") == 0;
}

static bool says_expired(const char *code, const struct s3_call *call, long status)
{
    /* The answer to a HEAD has no body to say it with; S3 gives it status 400. */
    return strcmp(code, "ExpiredToken") == 0 || strcmp(code, "TokenRefreshRequired") == 0 ||
           (status == 400 && slice_equal(call->method, SLICE("HEAD")));
}

static enum err explain(long status, const char *code, struct slice location, struct errinfo *info)
{
    struct slice name = storage__base_name(location);
    enum err err = ERR_IO;
    if (status == 404) {
        err = errinfo_set(info, ERR_NOT_FOUND, "58P01", "\"%.*s\" does not exist in its storage",
                          SLICE_ARGS(name));
    } else if (status == 401 || status == 403) {
        err = errinfo_set(info, ERR_DENIED, NULL, "the storage refuses access to \"%.*s\"",
                          SLICE_ARGS(name));
        if (strcmp(code, "RequestTimeTooSkewed") == 0) {
            errinfo_hint(info, "The clocks of this machine and of the storage differ.");
        }
    } else if (status == 412 || status == 416) {
        err = errinfo_set(info, ERR_CORRUPT, NULL, "\"%.*s\" changed while it was being read",
                          SLICE_ARGS(name));
        errinfo_hint(info, "Run the statement again.");
    } else {
        (void)errinfo_set(info, ERR_IO, NULL, "the storage cannot serve \"%.*s\": status %ld",
                          SLICE_ARGS(name), status);
    }
    if (code[0] != '\0') {
        errinfo_detail(info, "The storage says: %s.", code);
    }
    return err;
}

/* Takes another region from the answer, if it names one that was not tried. */
static bool learn_region(struct storage_grant *grant, struct attempt *attempt,
                         const struct fetch_answer *answer, const char *in_body)
{
    struct slice region;
    if (!fetch_answer_header(answer, SLICE("x-amz-bucket-region"), &region)) {
        region = slice_of(in_body);
    }
    if (attempt->has_learned_region || !s3__region_is_valid(region) ||
        slice_equal(region, slice_of(attempt->region))) {
        return false;
    }
    attempt->has_learned_region = true;
    storage__grant_learn_region(grant, attempt->keys, region);
    return true;
}

static enum verdict judge(struct storage_grant *grant, struct attempt *attempt,
                          const struct fetch_answer *answer, enum err *ret_err,
                          struct errinfo *info)
{
    const struct s3_call *call = attempt->call;
    struct slice name = storage__base_name(call->location);
    char code[S3_ERROR_BYTES] = "";
    char region[S3_REGION_BYTES] = "";
    if (answer->err == ERR_IO || answer->err == ERR_TIMEOUT) {
        *ret_err = errinfo_set(info, ERR_IO, NULL, "the storage does not answer for \"%.*s\": %s",
                               SLICE_ARGS(name), answer->why);
        return call->is_once && answer->was_sent ? VERDICT_FAILED : VERDICT_AGAIN;
    }
    if (answer->err == ERR_CANCELLED) {
        *ret_err = report_cancelled(info);
        return VERDICT_FAILED;
    }
    if (answer->err == ERR_LIMIT) {
        *ret_err = errinfo_set(info, ERR_LIMIT, NULL,
                               "the storage's answer for \"%.*s\" is longer than it may be",
                               SLICE_ARGS(name));
        return VERDICT_FAILED;
    }
    if (answer->err != ERR_OK) {
        *ret_err = fetch_report(grant->pool, answer, info);
        return VERDICT_FAILED;
    }
    if (answer->status >= 200 && answer->status <= 299) {
        if (call->is_good == NULL || call->is_good(call, answer)) {
            return VERDICT_GOOD;
        }
        *ret_err = errinfo_set(info, ERR_IO, NULL,
                               "the storage's answer for \"%.*s\" is not what was asked for",
                               SLICE_ARGS(name));
        return VERDICT_AGAIN;
    }
    struct slice xml = secret_slice(&answer->body);
    if (xml.len <= ERROR_XML_BYTES_MAX) {
        s3__error_code(xml, code, region);
    }
    *ret_err = explain(answer->status, code, call->location, info);
    bool has_keys = !attempt->keys->is_signed;
    if (has_keys && says_expired(code, call, answer->status) && grant->renew != NULL &&
        attempt->refused == 0) {
        attempt->refused = attempt->keys->generation;
        return VERDICT_AGAIN_SOON;
    }
    if (answer->status == 403 && attempt->has_kept_signature && !attempt->is_signature_refused) {
        attempt->is_signature_refused = true; /* its time may be over */
        return VERDICT_AGAIN_SOON;
    }
    if (learn_region(grant, attempt, answer, region)) {
        return VERDICT_AGAIN_SOON;
    }
    return is_busy(answer->status, code) && !call->is_once ? VERDICT_AGAIN : VERDICT_FAILED;
}

/* ---- sending ---- */

void s3__free_answers(struct fetch_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fetch_answer_fini(&answers[i]);
    }
}

struct batch {
    struct storage_grant *grant;
    struct attempt *attempts;
    struct fetch_request *requests;
    struct fetch_answer *answers; /* of one round */
    size_t count;
    int64_t deadline_us;
    int64_t retry_after_ms;
    const struct cancellation *cancellation;
};

static int64_t left_ms(const struct batch *batch)
{
    return (batch->deadline_us - clock_mono_us()) / 1000;
}

/* All that are not done, once. `ret_worst` says how to go on. */
static enum err send_round(struct batch *batch, struct fetch_answer *ret_answers,
                           enum verdict *ret_worst, struct errinfo *info)
{
    struct storage_grant *grant = batch->grant;
    int64_t timeout_ms = left_ms(batch);
    int64_t request_ms = grant->remote->options.timeout_ms;
    size_t sent = 0;
    enum err failed = ERR_OK;
    timeout_ms = timeout_ms < request_ms ? timeout_ms : request_ms;
    timeout_ms = timeout_ms > 1 ? timeout_ms : 1;
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->attempts[i].is_done) {
            TRY(prepare(grant, &batch->attempts[i], timeout_ms, &batch->requests[sent], info));
            sent++;
        }
    }
    atomic_fetch_add(&grant->remote->requests, sent);
    TRY(fetch_send_all(grant->pool, batch->requests, sent, batch->answers, info));
    *ret_worst = VERDICT_GOOD;
    batch->retry_after_ms = -1;
    sent = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct attempt *attempt = &batch->attempts[i];
        if (attempt->is_done) {
            continue;
        }
        struct fetch_answer *answer = &batch->answers[sent++];
        enum err err = ERR_OK;
        struct errinfo why;
        enum verdict verdict = judge(grant, attempt, answer, &err, &why);
        int64_t retry_after_ms = fetch_answer_retry_after_ms(answer);
        if (verdict == VERDICT_GOOD) {
            attempt->is_done = true;
            ret_answers[i] = *answer;
            *answer = (struct fetch_answer){0};
            atomic_fetch_add(&grant->remote->bytes_sent, attempt->call->body.len);
            continue;
        }
        if (*ret_worst != VERDICT_FAILED) {
            *ret_worst = verdict == VERDICT_AGAIN_SOON && *ret_worst == VERDICT_AGAIN
                             ? VERDICT_AGAIN
                             : verdict;
            failed = err;
            if (info != NULL) {
                *info = why;
            }
        }
        batch->retry_after_ms =
            retry_after_ms > batch->retry_after_ms ? retry_after_ms : batch->retry_after_ms;
    }
    s3__free_answers(batch->answers, sent);
    return failed;
}

static enum err send_until(struct batch *batch, const struct identity *who,
                           struct fetch_answer *ret_answers, bool *ret_was_repeated,
                           struct errinfo *info)
{
    for (unsigned attempt = 1;; attempt++) {
        enum verdict worst = VERDICT_FAILED;
        if (cancellation_is_set(batch->cancellation)) {
            return report_cancelled(info);
        }
        TRY(storage__grant_check(batch->grant, who, info));
        enum err err = send_round(batch, ret_answers, &worst, info);
        if (err == ERR_OK) {
            return ERR_OK;
        }
        if (worst == VERDICT_FAILED || attempt >= ATTEMPTS_MAX) {
            return err;
        }
        if (worst == VERDICT_AGAIN) {
            int64_t patience_ms = left_ms(batch);
            int64_t pause_ms = fetch_backoff_ms(attempt, BACKOFF_MS, BACKOFF_MS_MAX,
                                                batch->retry_after_ms, patience_ms);
            if (pause_ms < 0 || pause_ms >= patience_ms) {
                return err;
            }
            if (!cancellation_sleep_ms(batch->cancellation, pause_ms)) {
                return report_cancelled(info);
            }
        }
        *ret_was_repeated = true;
        atomic_fetch_add(&batch->grant->remote->repeats, 1);
    }
}

enum err s3__send_all(struct storage_grant *grant, const struct identity *who,
                      const struct s3_call *calls, size_t count, struct fetch_answer *ret_answers,
                      bool *ret_was_repeated, struct errinfo *info)
{
    bool was_repeated = false;
    struct attempt *attempts CLEANUP(mem_free_cleanup) = mem_calloc(count, sizeof(*attempts));
    struct fetch_request *requests CLEANUP(mem_free_cleanup) = mem_calloc(count, sizeof(*requests));
    struct fetch_answer *answers CLEANUP(mem_free_cleanup) = mem_calloc(count, sizeof(*answers));
    for (size_t i = 0; i < count; i++) {
        ret_answers[i] = (struct fetch_answer){0};
    }
    if (attempts == NULL || requests == NULL || answers == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        attempts[i].call = &calls[i];
        attempts[i].cancellation = calls[i].is_owed ? NULL : cancellation_here();
    }
    struct batch batch = {
        .grant = grant,
        .attempts = attempts,
        .requests = requests,
        .answers = answers,
        .count = count,
        .deadline_us = clock_mono_us() + grant->remote->options.patience_ms * 1000,
        .cancellation = count > 0 ? attempts[0].cancellation : NULL,
    };
    enum err err = send_until(&batch, who, ret_answers, &was_repeated, info);
    for (size_t i = 0; i < count; i++) {
        attempt_reset(&attempts[i]);
    }
    if (err != ERR_OK) {
        s3__free_answers(ret_answers, count);
    }
    if (ret_was_repeated != NULL) {
        *ret_was_repeated = was_repeated;
    }
    return err;
}

enum err s3__send(struct storage_grant *grant, const struct identity *who,
                  const struct s3_call *call, struct fetch_answer *ret_answer, struct errinfo *info)
{
    return s3__send_all(grant, who, call, 1, ret_answer, NULL, info);
}
