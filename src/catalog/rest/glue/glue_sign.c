/* Whose keys sign a request: those that the token service lends for the token of the person who
 * asks, narrowed to Glue's own actions. They are kept for that person's sign-in alone, and only
 * used while it still has a token: a session that is over signs nothing. */
#include "catalog/rest/glue/glue_int.h"

#include "base/clock.h"
#include "base/mem.h"
#include "fetch/sigv4.h"

#define RENEW_BEFORE_US INT64_C(30000000)
#define LIFE_US_UNSAID INT64_C(300000000)

static const char policy[] =
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":["
    "\"glue:GetDatabase\",\"glue:GetDatabases\",\"glue:CreateDatabase\",\"glue:UpdateDatabase\","
    "\"glue:DeleteDatabase\",\"glue:GetTable\",\"glue:GetTables\",\"glue:CreateTable\","
    "\"glue:UpdateTable\",\"glue:DeleteTable\"],\"Resource\":[\"*\"]}]}";

struct glue_keys {
    struct rest_item item;
    struct storage_sts_answer lent;
    int64_t good_until_us; /* wall */
};

static void keys_fini(struct rest_item *item)
{
    storage_sts_fini(&((struct glue_keys *)item)->lent);
}

static void unref_item(struct rest_item **item)
{
    rest_item__unref(*item);
}

static enum err ask_keys(const struct rest_call *call, const struct rest_key *key,
                         struct rest_item **ret_item)
{
    struct storage_sts_answer lent CLEANUP(storage_sts_fini) = {0};
    TRY(rest_metastore__keys(call, slice_of(policy), &lent));
    struct glue_keys *keys = mem_calloc(1, sizeof(*keys));
    if (keys == NULL) {
        return errinfo_nomem(call->info);
    }
    atomic_init(&keys->item.references, 1);
    keys->item.key = *key;
    keys->item.fini = keys_fini;
    keys->item.bytes =
        sizeof(*keys) + lent.access_key.len + lent.secret_key.len + lent.session_token.len;
    keys->good_until_us =
        lent.expires_wall_us > 0 ? lent.expires_wall_us : clock_wall_us() + LIFE_US_UNSAID;
    keys->lent = lent;
    lent = (struct storage_sts_answer){0};
    rest_cache__put(call->rest->cache, &keys->item);
    *ret_item = &keys->item;
    return ERR_OK;
}

static enum err find_keys(const struct rest_call *call, bool is_again, struct rest_item **ret_item)
{
    struct rest_key key;
    TRY(rest_call__key(call, "glue keys", NULL, 0, &key));
    struct rest_item *kept CLEANUP(unref_item) = rest_cache__get(call->rest->cache, &key);
    bool is_good = kept != NULL && !is_again &&
                   clock_wall_us() + RENEW_BEFORE_US < ((struct glue_keys *)kept)->good_until_us;
    if (is_good) {
        *ret_item = TAKE(kept);
        return ERR_OK;
    }
    return ask_keys(call, &key, ret_item);
}

/* ---- one request ---- */

void glue_signed__fini(struct glue_signed *made)
{
    secret_fini(&made->session_token);
    secret_fini(&made->authorization);
    *made = (struct glue_signed){0};
}

static void add(struct glue_signed *made, struct slice name, struct slice value)
{
    ASSERT(made->header_count < GLUE_HEADERS_MAX);
    made->headers[made->header_count++] = (struct fetch_header){name, value};
}

static enum err sign(const struct rest_call *call, const struct rest_question *question,
                     const struct storage_sts_answer *keys, struct glue_signed *made)
{
    char payload[SHA256_HEX_BYTES];
    uint8_t digest[SHA256_BYTES];
    if (hash_sha256(question->body, digest) != ERR_OK) {
        return errinfo_set(call->info, ERR_INTERNAL, NULL, "the library of hashes fails");
    }
    hash_hex(digest, sizeof(digest), payload);
    const struct fetch_header covered[] = {
        {SLICE("content-type"), slice_of(question->content_type)},
        {SLICE("host"), sigv4_host(question->url)},
        {SLICE("x-amz-date"), slice_of(made->time)},
        {SLICE("x-amz-security-token"), secret_slice(&made->session_token)},
        {SLICE("x-amz-target"), slice_of(made->target)},
    };
    const struct sigv4_request request = {.method = question->method,
                                          .path = SLICE("/"),
                                          .headers = covered,
                                          .header_count = ARRAY_COUNT(covered),
                                          .payload_hash = payload,
                                          .time = made->time,
                                          .region = call->catalog->region,
                                          .service = SLICE("glue"),
                                          .access_key = secret_slice(&keys->access_key),
                                          .secret_key = secret_slice(&keys->secret_key)};
    return sigv4_sign(&request, &made->authorization, call->info);
}

enum err glue__sign(const struct rest_call *call, const struct rest_question *question,
                    bool is_again, struct glue_signed *made)
{
    struct secret token CLEANUP(secret_fini) = {0};
    struct rest_item *item CLEANUP(unref_item) = NULL;
    TRY(rest_token__header(call, false, &token)); /* who has none any more signs nothing */
    TRY(find_keys(call, is_again, &item));
    const struct storage_sts_answer *keys = &((const struct glue_keys *)item)->lent;
    if (!secret_copy(secret_slice(&keys->session_token), &made->session_token)) {
        return errinfo_nomem(call->info);
    }
    sigv4_format_time(clock_wall_us(), made->time);
    (void)snprintf(made->target, sizeof(made->target), "AWSGlue.%s", question->action);
    TRY(sign(call, question, keys, made));
    add(made, SLICE("X-Amz-Date"), slice_of(made->time));
    add(made, SLICE("X-Amz-Security-Token"), secret_slice(&made->session_token));
    add(made, SLICE("X-Amz-Target"), slice_of(made->target));
    return ERR_OK;
}
