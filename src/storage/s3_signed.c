/* Requests that somebody else signs: the catalog, for the person whose grant it is.
 *
 * What is signed is the method, the address and the headers that S3 wants signed; a range and the
 * version that is wanted go unsigned, so that one signature serves all ranges of an object, where
 * its signer lets it be kept. It is kept by the grant alone: one person's, for one table.
 *
 * The answer may add headers and parameters, but not name another object: bytes go into the cache
 * under the name that was asked for. */
#include "storage/s3_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define KEEP_MS_MAX 30000 /* a signature lives five minutes or more; clocks differ */

void s3__signed_unref(struct storage_signed *signed_request)
{
    if (signed_request != NULL && atomic_fetch_sub(&signed_request->references, 1) == 1) {
        secret_fini(&signed_request->texts);
        mem_free(signed_request);
    }
}

DEFINE_CLEANUP(struct storage_signed, signed_cleanup, s3__signed_unref)

/* ---- the answer ---- */

static enum err wrong(struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, "08P01",
                       "the catalog's signer answers with what cannot be sent");
}

/* Of a request that is signed: what says how it is carried is not the signer's. */
static bool is_carrying(struct slice name)
{
    static const struct slice names[] = {SLICE("host"), SLICE("content-length"),
                                         SLICE("connection"), SLICE("transfer-encoding"),
                                         SLICE("expect")};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_fold(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_header_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && c != '-' && c != '_') {
            return false;
        }
    }
    return name.len > 0;
}

enum err storage_signed_fill(struct storage_signed *signed_request, struct slice url,
                             const struct fetch_header *headers, size_t header_count,
                             int64_t keep_ms, struct errinfo *info)
{
    struct slice parts[1 + 2 * S3_SIGNED_HEADERS_MAX] = {url};
    size_t count = 1;
    for (size_t i = 0; i < header_count; i++) {
        if (!is_header_name(headers[i].name)) {
            return wrong(info);
        }
        if (is_carrying(headers[i].name)) {
            continue;
        }
        if (count + 2 > ARRAY_COUNT(parts)) {
            return wrong(info);
        }
        parts[count++] = headers[i].name;
        parts[count++] = headers[i].value;
    }
    if (!secret_join(parts, count, &signed_request->texts)) {
        return errinfo_nomem(info);
    }
    const char *at = signed_request->texts.ptr;
    signed_request->url = (struct slice){at, url.len};
    at += url.len;
    for (size_t i = 1; i < count; i += 2) {
        struct fetch_header *header = &signed_request->headers[signed_request->header_count++];
        header->name = (struct slice){at, parts[i].len};
        header->value = (struct slice){at + parts[i].len, parts[i + 1].len};
        at += parts[i].len + parts[i + 1].len;
    }
    keep_ms = keep_ms < KEEP_MS_MAX ? keep_ms : KEEP_MS_MAX;
    signed_request->good_until_us = keep_ms > 0 ? clock_mono_us() + keep_ms * 1000 : 0;
    return ERR_OK;
}

/* "https://host/a%20b?x=y" -> "https://host/a%20b", "x=y". */
static struct slice cut_query(struct slice *url)
{
    size_t at = slice_find(*url, SLICE("?"));
    struct slice query = {NULL, 0};
    if (at != SIZE_MAX) {
        query = (struct slice){url->ptr + at + 1, url->len - at - 1};
        url->len = at;
    }
    return query;
}

/* "https://host/a" -> "/a". */
static struct slice path_of(struct slice url)
{
    size_t host = slice_find(url, SLICE("://"));
    for (size_t i = host == SIZE_MAX ? url.len : host + 3; i < url.len; i++) {
        if (url.ptr[i] == '/') {
            return (struct slice){url.ptr + i, url.len - i};
        }
    }
    return SLICE("/");
}

/* The same object, asked the same: a signer may write some characters otherwise, and add
 * parameters. `ret_query` is what goes out behind the address that was asked for. */
static enum err check_request(struct slice asked, struct slice answered, struct slice *ret_query,
                              struct errinfo *info)
{
    struct buf asked_path CLEANUP(buf_fini) = {0};
    struct buf answered_path CLEANUP(buf_fini) = {0};
    struct slice asked_query = cut_query(&asked);
    struct slice query = cut_query(&answered);
    bool has_query =
        slice_starts_with(query, asked_query) &&
        (query.len == asked_query.len || asked_query.len == 0 || query.ptr[asked_query.len] == '&');
    struct slice path = path_of(answered);
    bool is_same = has_query && fetch_url_is_same_origin(asked, answered) &&
                   slice_find(path, SLICE("+")) == SIZE_MAX && /* a space to s3__decode */
                   s3__decode(path_of(asked), &asked_path) && s3__decode(path, &answered_path);
    if (buf_failed(&asked_path) || buf_failed(&answered_path)) {
        return errinfo_nomem(info);
    }
    if (!is_same || !slice_equal(buf_slice(&asked_path), buf_slice(&answered_path))) {
        return errinfo_set(info, ERR_CORRUPT, "08P01",
                           "the catalog's signer signed another request than it was asked for");
    }
    *ret_query = query;
    return ERR_OK;
}

/* ---- what is kept ---- */

static enum err hash_request(const struct storage_to_sign *request, uint64_t ret_key[2])
{
    uint8_t digest[SHA256_BYTES];
    struct buf text CLEANUP(buf_fini) = {0};
    const struct slice fixed[] = {request->method, request->url, request->region};
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        buf_printf(&text, "%zu:", fixed[i].len);
        buf_append_slice(&text, fixed[i]);
    }
    for (size_t i = 0; i < request->header_count; i++) {
        buf_printf(&text, "%zu:%zu:", request->headers[i].name.len, request->headers[i].value.len);
        buf_append_slice(&text, request->headers[i].name);
        buf_append_slice(&text, request->headers[i].value);
    }
    if (buf_failed(&text)) {
        return ERR_NOMEM;
    }
    TRY(hash_sha256(buf_slice(&text), digest));
    memcpy(ret_key, digest, 2 * sizeof(*ret_key));
    return ERR_OK;
}

static bool is_of(const struct storage_signed *kept, const uint64_t key[2])
{
    return kept != NULL && kept->key[0] == key[0] && kept->key[1] == key[1];
}

static struct storage_signed *find_kept(struct storage_grant *grant, const uint64_t key[2],
                                        bool is_refused)
{
    struct storage_signed *found = NULL;
    pthread_mutex_lock(&grant->lock);
    for (size_t i = 0; i < S3_SIGNATURES_MAX; i++) {
        struct storage_signed *kept = grant->kept[i];
        if (!is_of(kept, key)) {
            continue;
        }
        if (is_refused || clock_mono_us() >= kept->good_until_us) {
            grant->kept[i] = NULL;
            s3__signed_unref(kept);
        } else {
            found = kept;
            atomic_fetch_add(&found->references, 1);
        }
    }
    pthread_mutex_unlock(&grant->lock);
    return found;
}

static void keep(struct storage_grant *grant, struct storage_signed *signed_request)
{
    pthread_mutex_lock(&grant->lock);
    struct storage_signed **slot = &grant->kept[grant->kept_next++ % S3_SIGNATURES_MAX];
    struct storage_signed *old = *slot;
    atomic_fetch_add(&signed_request->references, 1);
    *slot = signed_request;
    pthread_mutex_unlock(&grant->lock);
    s3__signed_unref(old);
}

enum err s3__grant_sign(struct storage_grant *grant, const struct storage_to_sign *request,
                        bool is_refused, struct storage_signed **ret_signed, bool *ret_was_kept,
                        struct errinfo *info)
{
    uint64_t key[2];
    ASSERT(grant->sign != NULL);
    if (hash_request(request, key) != ERR_OK) {
        return errinfo_nomem(info);
    }
    struct storage_signed *kept = find_kept(grant, key, is_refused);
    *ret_was_kept = kept != NULL;
    if (kept != NULL) {
        *ret_signed = kept;
        return ERR_OK;
    }
    struct storage_signed *fresh CLEANUP(signed_cleanup) = mem_calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&fresh->references, 1);
    memcpy(fresh->key, key, sizeof(key));
    TRY(grant->sign(grant->context, request, fresh, info));
    TRY(check_request(request->url, fresh->url, &fresh->query, info));
    if (fresh->good_until_us > 0) {
        keep(grant, fresh);
    }
    *ret_signed = TAKE(fresh);
    return ERR_OK;
}
