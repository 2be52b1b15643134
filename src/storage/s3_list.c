/* ListObjectsV2, page by page. Keys come percent-encoded, since XML cannot carry every byte. */
#include <stdlib.h>

#include "base/mem.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

#define PAGE_BYTES_MAX (16u * 1024 * 1024)
#define PAGES_MAX 100000u

struct listing {
    struct slice root; /* "s3://bucket/" as it was asked for */
    struct arena *arena;
    struct storage_entry *entries;
    size_t count;
    size_t capacity;
    size_t entries_max;
    struct storage_entry entry; /* the one being read */
    struct buf token;           /* of the next page */
    bool is_truncated;
    enum err err;
};

static bool fail(struct listing *listing, enum err err)
{
    listing->err = err;
    return false;
}

static bool add_entry(struct listing *listing)
{
    if (listing->count >= listing->entries_max) {
        return fail(listing, ERR_LIMIT);
    }
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 64 : listing->capacity * 2;
        struct storage_entry *grown = arena_calloc(listing->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return fail(listing, ERR_NOMEM);
        }
        if (listing->count > 0) {
            memcpy(grown, listing->entries, listing->count * sizeof(*grown));
        }
        listing->entries = grown;
        listing->capacity = capacity;
    }
    listing->entries[listing->count++] = listing->entry;
    listing->entry = (struct storage_entry){0};
    return true;
}

static bool read_key(struct listing *listing, struct slice text)
{
    struct buf location CLEANUP(buf_fini) = {0};
    buf_append_slice(&location, listing->root);
    if (!s3__decode(text, &location)) {
        return fail(listing, ERR_CORRUPT);
    }
    return !buf_failed(&location) &&
                   arena_slice(listing->arena, buf_slice(&location), &listing->entry.location)
               ? true
               : fail(listing, ERR_NOMEM);
}

static bool read_element(void *context, struct slice path, struct slice text)
{
    struct listing *listing = context;
    static const char root[] = "/ListBucketResult/";
    if (!slice_starts_with(path, slice_of(root))) {
        return true;
    }
    struct slice name = {path.ptr + sizeof(root) - 1, path.len - sizeof(root) + 1};
    if (slice_equal(name, SLICE("Contents/Key"))) {
        return read_key(listing, text);
    }
    if (slice_equal(name, SLICE("Contents/Size"))) {
        return slice_to_u64(text, &listing->entry.size_bytes) || fail(listing, ERR_CORRUPT);
    }
    if (slice_equal(name, SLICE("Contents/ETag"))) {
        return arena_slice(listing->arena, s3__unquote(text), &listing->entry.etag) ||
               fail(listing, ERR_NOMEM);
    }
    if (slice_equal(name, SLICE("Contents"))) {
        return listing->entry.location.ptr == NULL ? fail(listing, ERR_CORRUPT)
                                                   : add_entry(listing);
    }
    if (slice_equal(name, SLICE("IsTruncated"))) {
        listing->is_truncated = slice_equal(text, SLICE("true"));
    } else if (slice_equal(name, SLICE("NextContinuationToken"))) {
        buf_reset(&listing->token);
        buf_append_slice(&listing->token, text);
    }
    return true;
}

static enum err read_page(struct storage_grant *grant, const struct identity *who,
                          struct listing *listing, const struct s3_place *place,
                          struct slice location, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct s3_param params[4];
    size_t count = 0;
    if (listing->token.len > 0) {
        params[count++] = (struct s3_param){"continuation-token", buf_slice(&listing->token)};
    }
    params[count++] = (struct s3_param){"encoding-type", SLICE("url")};
    params[count++] = (struct s3_param){"list-type", SLICE("2")};
    params[count++] = (struct s3_param){"prefix", place->key};
    struct s3_call call = {.method = SLICE("GET"),
                           .location = location,
                           .is_bucket = true,
                           .params = params,
                           .param_count = count,
                           .body_bytes_max = PAGE_BYTES_MAX};
    TRY(s3__send(grant, who, &call, &answer, info));
    listing->is_truncated = false;
    size_t token_len = listing->token.len;
    enum err err = s3__xml_read(secret_slice(&answer.body), read_element, listing, info);
    if (listing->err == ERR_LIMIT) {
        return errinfo_set(info, ERR_LIMIT, "54000", "more than %zu objects were found",
                           listing->entries_max);
    }
    if (listing->err == ERR_NOMEM || buf_failed(&listing->token)) {
        return errinfo_nomem(info);
    }
    bool is_stuck = listing->is_truncated && token_len == 0 && listing->token.len == 0;
    if (listing->err != ERR_OK || is_stuck) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "the storage's answer cannot be read");
    }
    return err;
}

static int compare_entries(const void *a, const void *b)
{
    const struct storage_entry *first = a;
    const struct storage_entry *second = b;
    return slice_compare(first->location, second->location);
}

enum err storage_grant_list(struct storage_grant *grant, const struct identity *who,
                            struct slice prefix, size_t entries_max, struct arena *arena,
                            struct storage_entry **ret_entries, size_t *ret_count,
                            struct errinfo *info)
{
    struct s3_place place;
    struct listing listing = {.arena = arena, .entries_max = entries_max};
    enum err err = ERR_OK;
    TRY(storage__grant_check(grant, who, info));
    TRY(s3__place_of(prefix, &place, info));
    size_t root_len = (size_t)(place.bucket.ptr + place.bucket.len - prefix.ptr);
    char *root = arena_printf(arena, "%.*s/", (int)root_len, prefix.ptr);
    if (root == NULL) {
        return errinfo_nomem(info);
    }
    listing.root = slice_of(root);
    for (unsigned page = 0; err == ERR_OK; page++) {
        err = page < PAGES_MAX
                  ? read_page(grant, who, &listing, &place, prefix, info)
                  : errinfo_set(info, ERR_LIMIT, "54000", "the storage's list does not end");
        if (!listing.is_truncated) {
            break;
        }
    }
    buf_fini(&listing.token);
    TRY(err);
    if (listing.count > 0) {
        qsort(listing.entries, listing.count, sizeof(*listing.entries), compare_entries);
    }
    *ret_entries = listing.entries;
    *ret_count = listing.count;
    return ERR_OK;
}
