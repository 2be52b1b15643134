/* Requests to a store that the catalog signs, asked for as the person (remote signing).
 *
 * Two forms of one thing: the S3 signer's own specification ("/v1/aws/s3/sign"), which is older,
 * and ".../tables/{table}/sign" of the REST specification. A catalog says by its endpoints, or by
 * properties of a table, which it has. */
#include "base/mem.h"
#include "catalog/rest/rest_sign_int.h"
#include "fetch/fetch.h"
#include "identity/identity.h"

#define HEADERS_MAX 32u
#define ENDPOINT_OF_OLD "v1/aws/s3/sign"
#define KEEP_MS 30000 /* where the answer says for how long, at most that */

/* ---- where ---- */

static struct slice property(const struct rest_vended *vended, const char *name)
{
    for (size_t i = 0; i < vended->count; i++) {
        const struct rest_credential *credential = &vended->credentials[i];
        for (size_t k = 0; k < credential->count; k++) {
            if (slice_equal(credential->properties[k].name, slice_of(name))) {
                return credential->properties[k].value;
            }
        }
    }
    return (struct slice){0};
}

/* The newer name first. */
static struct slice either(const struct rest_vended *vended, const char *name, const char *old_name)
{
    struct slice text = property(vended, name);
    return text.len > 0 ? text : property(vended, old_name);
}

static void write_url(const struct rest_call *call, const struct rest_vended *vended,
                      const struct lender *lender, struct buf *url)
{
    struct slice base = either(vended, "signer.uri", "s3.signer.uri");
    struct slice endpoint = either(vended, "signer.endpoint", "s3.signer.endpoint");
    if (slice_find(endpoint, SLICE("://")) != SIZE_MAX) {
        buf_append_slice(url, endpoint);
        return;
    }
    base = base.len > 0 ? base : call->catalog->uri;
    while (base.len > 0 && base.ptr[base.len - 1] == '/') {
        base.len--;
    }
    while (endpoint.len > 0 && endpoint.ptr[0] == '/') {
        endpoint = (struct slice){endpoint.ptr + 1, endpoint.len - 1};
    }
    buf_append_slice(url, base);
    buf_append_char(url, '/');
    if (endpoint.len > 0) {
        buf_append_slice(url, endpoint);
    } else if ((call->config->endpoints & REST_SIGN) != 0) {
        rest_url__namespace(url, call->config, &lender->ns);
        buf_append_str(url, "/tables/");
        rest_url__encode(url, lender->name);
        buf_append_str(url, "/sign");
    } else {
        buf_append_str(url, ENDPOINT_OF_OLD);
    }
}

/* The person's token goes there. */
static enum err check_origin(const struct rest_call *call, struct slice url)
{
    const char *origins = call->rest->options.origins;
    enum fetch_plain plain =
        call->rest->options.allow_loopback_http ? FETCH_PLAIN_LOOPBACK : FETCH_TLS_ONLY;
    bool is_ours = fetch_url_is_same_origin(call->catalog->uri, url) ||
                   (origins != NULL && rest_origin_is_among(slice_of(origins), url));
    if (is_ours && fetch_url_is_allowed(url, plain)) {
        return ERR_OK;
    }
    (void)errinfo_set(call->info, ERR_DENIED, "08P01",
                      "catalog \"%.*s\" names a signer at another address",
                      SLICE_ARGS(call->catalog->name));
    errinfo_hint(call->info, "People's tokens would go there: whoever runs this server may name it "
                             "in catalog.origins.");
    return ERR_DENIED;
}

static enum err read_config(const struct rest_call *call, struct slice signing,
                            struct lender *lender)
{
    static const char *const members[] = {"properties", "headers"};
    struct slice values[ARRAY_COUNT(members)] = {{0}};
    if (signing.len == 0) {
        return ERR_OK;
    }
    TRY(rest_members(signing, members, ARRAY_COUNT(members), values, call->info));
    if (values[1].len > 0 && !slice_equal(values[1], SLICE("{}"))) {
        return errinfo_set(call->info, ERR_UNSUPPORTED, NULL,
                           "the signer of catalog \"%.*s\" wants headers of its own",
                           SLICE_ARGS(call->catalog->name));
    }
    return arena_slice(lender->arena, values[0], &lender->sign_properties)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

enum err rest_sign__prepare(const struct rest_call *call, const struct rest_vended *vended,
                            struct slice signing, struct lender *lender)
{
    struct buf url CLEANUP(buf_fini) = {0};
    write_url(call, vended, lender, &url);
    if (buf_failed(&url)) {
        return errinfo_nomem(call->info);
    }
    TRY(check_origin(call, buf_slice(&url)));
    TRY(read_config(call, signing, lender));
    lender->names_provider = slice_ends_with(buf_slice(&url), SLICE("/sign")) &&
                             !slice_ends_with(buf_slice(&url), SLICE(ENDPOINT_OF_OLD));
    return arena_slice(lender->arena, buf_slice(&url), &lender->sign_url)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

/* ---- what is asked ---- */

static void write_request(const struct lender *lender, const struct storage_to_sign *request,
                          struct buf *out)
{
    buf_append_str(out, "{\"region\":");
    json_write_string(out, request->region);
    buf_append_str(out, ",\"uri\":");
    json_write_string(out, request->url);
    buf_append_str(out, ",\"method\":");
    json_write_string(out, request->method);
    buf_append_str(out, ",\"headers\":{");
    for (size_t i = 0; i < request->header_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, request->headers[i].name);
        buf_append_str(out, ":[");
        json_write_string(out, request->headers[i].value);
        buf_append_char(out, ']');
    }
    buf_append_str(out, "},\"properties\":");
    buf_append_slice(out, lender->sign_properties.len > 0 ? lender->sign_properties : SLICE("{}"));
    buf_append_str(out, lender->names_provider ? ",\"provider\":\"s3\"}" : "}");
}

/* ---- what is answered ---- */

/* "private" lets one person keep it, for as long as it says; nothing else does. */
static int64_t keep_ms_of(const char *cache_control)
{
    struct slice rest = slice_of(cache_control);
    bool may_keep = false;
    int64_t keep_ms = KEEP_MS;
    while (rest.len > 0) {
        size_t comma = slice_find(rest, SLICE(","));
        size_t len = comma == SIZE_MAX ? rest.len : comma;
        struct slice word = slice_trim((struct slice){rest.ptr, len});
        size_t past = len == rest.len ? len : len + 1;
        rest = (struct slice){rest.ptr + past, rest.len - past};
        if (slice_starts_with_fold(word, SLICE("no-cache")) ||
            slice_equal_fold(word, SLICE("no-store"))) {
            return 0;
        }
        may_keep = may_keep || slice_equal_fold(word, SLICE("private"));
        if (slice_starts_with_fold(word, SLICE("max-age="))) {
            int64_t seconds = 0;
            bool is_read = slice_to_i64((struct slice){word.ptr + 8, word.len - 8}, &seconds);
            bool is_shorter = is_read && seconds >= 0 && seconds < KEEP_MS / 1000;
            keep_ms = is_shorter ? seconds * 1000 : is_read ? keep_ms : 0;
        }
    }
    return may_keep ? keep_ms : 0;
}

static enum err read_header(const struct rest_call *call, const struct json *member,
                            struct arena *arena, struct fetch_header *ret_header)
{
    struct buf value CLEANUP(buf_fini) = {0};
    bool is_good = member->type == JSON_ARRAY && member->count > 0;
    for (const struct json *item = is_good ? member->first : NULL; item != NULL;
         item = item->next) {
        is_good = is_good && item->type == JSON_STRING;
        buf_append_str(&value, item == member->first ? "" : ", ");
        buf_append_slice(&value, is_good ? item->text : SLICE(""));
    }
    if (!is_good) {
        return rest_answer__wrong(call, "a signed header that is no list of texts");
    }
    ret_header->name = member->key;
    if (member->count == 1) { /* a view of the answer, which is wiped */
        ret_header->value = member->first->text;
        return ERR_OK;
    }
    return !buf_failed(&value) && arena_slice(arena, buf_slice(&value), &ret_header->value)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

static enum err read_signed(const struct rest_call *call, const struct rest_answer *answer,
                            struct storage_signed *ret_signed)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "signed", 0);
    struct fetch_header headers[HEADERS_MAX];
    struct json *root;
    size_t count = 0;
    if (arena == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_answer__json(call, secret_slice(&answer->body), arena, &root));
    struct slice uri = json_get_text(root, "uri");
    const struct json *list = json_get(root, "headers");
    if (uri.len == 0 || list == NULL || list->type != JSON_OBJECT || list->count > HEADERS_MAX) {
        return rest_answer__wrong(call, "a signed request without its address or headers");
    }
    for (const struct json *member = list->first; member != NULL; member = member->next) {
        TRY(read_header(call, member, arena, &headers[count++]));
    }
    return storage_signed_fill(ret_signed, uri, headers, count, keep_ms_of(answer->cache_control),
                               call->info);
}

enum err rest_sign(void *context, const struct storage_to_sign *request,
                   struct storage_signed *ret_signed, struct errinfo *info)
{
    const struct lender *lender = context;
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf body CLEANUP(buf_fini) = {0};
    write_request(lender, request, &body);
    if (buf_failed(&body)) {
        return errinfo_nomem(info);
    }
    TRY(rest_call__open(lender->rest, &lender->catalog, lender->who, &call, info));
    const struct rest_question question = {.method = SLICE("POST"),
                                           .url = lender->sign_url,
                                           .body = buf_slice(&body),
                                           .what = "table",
                                           .name = lender->name};
    TRY(rest_call__ask(&call, &question, &answer));
    return read_signed(&call, &answer, ret_signed);
}
