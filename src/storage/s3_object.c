/* One object: what it is, and ranges of it.
 *
 * Opening asks the store as this person (HEAD), whatever the cache holds: who may no longer read it
 * is told so here, and the etag that comes back is the version that all reads are bound to
 * (If-Match), from the store as from the cache. */
#include <stdio.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/cache_int.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

#define PART_BYTES_MAX (8u * 1024 * 1024) /* of one request */
#define RANGE_TEXT_BYTES 64

struct slice s3__unquote(struct slice etag)
{
    bool is_quoted = etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"';
    return is_quoted ? (struct slice){etag.ptr + 1, etag.len - 2} : etag;
}

int64_t s3__modified_us(const struct fetch_answer *answer)
{
    struct slice value;
    int64_t wall_us;
    bool is_read =
        fetch_answer_header(answer, SLICE("last-modified"), &value) && fetch_date(value, &wall_us);
    return is_read ? wall_us : 0;
}

/* ---- opening ---- */

struct head {
    uint64_t size_bytes;
    int64_t modified_us;
    struct slice etag; /* view of the answer */
};

static bool is_whole_head(UNUSED const struct s3_call *call, const struct fetch_answer *answer)
{
    struct slice value;
    uint64_t size;
    return fetch_answer_header(answer, SLICE("content-length"), &value) &&
           slice_to_u64(value, &size) && size <= INT64_MAX &&
           fetch_answer_header(answer, SLICE("etag"), &value) && s3__unquote(value).len > 0 &&
           !slice_starts_with(value, SLICE("W/"));
}

static enum err ask_head(struct storage_grant *grant, const struct identity *who,
                         struct slice location, struct fetch_answer *ret_answer,
                         struct head *ret_head, struct errinfo *info)
{
    struct s3_place place;
    struct slice value;
    TRY(storage__grant_check(grant, who, info));
    TRY(s3__place_of(location, &place, info));
    if (place.key.len == 0) {
        return errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is a bucket, not an object",
                           SLICE_ARGS(place.bucket));
    }
    struct s3_call call = {.method = SLICE("HEAD"), .location = location, .is_good = is_whole_head};
    TRY(s3__send(grant, who, &call, ret_answer, info));
    bool is_read = fetch_answer_header(ret_answer, SLICE("content-length"), &value) &&
                   slice_to_u64(value, &ret_head->size_bytes) &&
                   fetch_answer_header(ret_answer, SLICE("etag"), &value);
    ASSERT(is_read); /* is_whole_head */
    ret_head->etag = s3__unquote(value);
    ret_head->modified_us = s3__modified_us(ret_answer);
    return ERR_OK;
}

enum err storage_grant_stat(struct storage_grant *grant, const struct identity *who,
                            struct slice location, struct arena *arena,
                            struct storage_entry *ret_entry, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct storage_entry entry = {0};
    struct head head;
    TRY(ask_head(grant, who, location, &answer, &head, info));
    entry.size_bytes = head.size_bytes;
    if (!arena_slice(arena, location, &entry.location) ||
        !arena_slice(arena, head.etag, &entry.etag)) {
        return errinfo_nomem(info);
    }
    *ret_entry = entry;
    return ERR_OK;
}

/* The same bytes, wherever they are asked for: the store, the object and its version. */
static enum err hash_key(struct storage_grant *grant, struct slice location,
                         const struct head *head, uint8_t ret_key[SHA256_BYTES],
                         struct errinfo *info)
{
    struct s3_keys *keys CLEANUP(s3__keys_cleanup) = NULL;
    char region[S3_REGION_BYTES];
    struct s3_place place;
    struct slice end = {"", 1};
    TRY(s3__place_of(location, &place, info));
    TRY(storage__grant_keys(grant, location, 0, &keys, region, info));
    struct slice size = {(const char *)&head->size_bytes, sizeof(head->size_bytes)};
    struct slice parts[] = {keys->endpoint, end, place.bucket, end, place.key, end,
                            head->etag,     end, size};
    return hash_sha256_parts(parts, ARRAY_COUNT(parts), ret_key);
}

enum err storage_grant_open(struct storage_grant *grant, const struct identity *who,
                            struct slice location, struct slice etag,
                            struct storage_object **ret_object, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct head head;
    TRY(ask_head(grant, who, location, &answer, &head, info));
    if (etag.len > 0 && !slice_equal(s3__unquote(etag), head.etag)) {
        struct slice name = storage__base_name(location);
        return errinfo_set(info, ERR_CORRUPT, NULL, "\"%.*s\" changed since it was listed",
                           SLICE_ARGS(name));
    }
    struct storage_object *object CLEANUP(storage_cleanup) = mem_calloc(1, sizeof(*object));
    struct storage_s3 *s3 = object == NULL ? NULL : mem_calloc(1, sizeof(*s3));
    if (s3 == NULL) {
        return errinfo_nomem(info);
    }
    object->s3 = s3;
    object->size_bytes = head.size_bytes;
    object->modified_us = head.modified_us;
    s3->who = who;
    s3->location = mem_slicedup(location);
    s3->etag = mem_slicedup(head.etag);
    s3->if_match = mem_alloc(head.etag.len + 3);
    if (s3->location == NULL || s3->etag == NULL || s3->if_match == NULL) {
        return errinfo_nomem(info);
    }
    (void)snprintf(s3->if_match, head.etag.len + 3, "\"%s\"", s3->etag);
    TRY(hash_key(grant, location, &head, s3->cache_key, info));
    s3->grant = storage_grant_ref(grant);
    *ret_object = TAKE(object);
    return ERR_OK;
}

void storage__s3_close(struct storage_s3 *s3)
{
    if (s3 != NULL) {
        mem_free(s3->location);
        mem_free(s3->etag);
        mem_free(s3->if_match);
        storage_grant_unref(s3->grant);
        mem_free(s3);
    }
}

/* ---- reading ---- */

/* One request of a read. */
struct part {
    const struct storage_object *object;
    const struct s3_range *into;
    uint64_t offset;
    size_t len;
    uint64_t received;
    char range[RANGE_TEXT_BYTES];
    char content_range[RANGE_TEXT_BYTES]; /* what the answer must say */
    struct fetch_header headers[2];
};

/* `at`: in the range. */
static void put(const struct s3_range *range, size_t at, struct slice bytes)
{
    if (range->blocks == NULL) {
        memcpy(range->out + at, bytes.ptr, bytes.len);
        return;
    }
    for (size_t done = 0; done < bytes.len;) {
        size_t start = (at + done) % range->block_bytes;
        size_t room = range->block_bytes - start;
        size_t part = bytes.len - done < room ? bytes.len - done : room;
        memcpy(range->blocks[(at + done) / range->block_bytes] + start, bytes.ptr + done, part);
        done += part;
    }
}

static bool receive(void *context, uint64_t at, struct slice bytes)
{
    struct part *part = context;
    if (at + bytes.len > part->len) { /* the whole object instead of a part: judged at the end */
        part->received = UINT64_MAX;
        return true;
    }
    put(part->into, (size_t)(part->offset - part->into->offset + at), bytes);
    part->received = at + bytes.len;
    return true;
}

/* Of the right place in the right version, and all of it. A store that does not know If-Match or
 * Range is found out here. */
static bool is_whole_part(const struct s3_call *call, const struct fetch_answer *answer)
{
    const struct part *part = call->context;
    struct slice value;
    bool is_all = part->offset == 0 && part->len == part->object->size_bytes;
    if (answer->status == 206) {
        if (!fetch_answer_header(answer, SLICE("content-range"), &value) ||
            !slice_equal(value, slice_of(part->content_range))) {
            return false;
        }
    } else if (answer->status != 200 || !is_all) {
        return false;
    }
    return part->received == part->len && fetch_answer_header(answer, SLICE("etag"), &value) &&
           slice_equal(s3__unquote(value), slice_of(part->object->s3->etag));
}

static void make_call(struct part *part, struct s3_call *call)
{
    const struct storage_s3 *s3 = part->object->s3;
    unsigned long long first = part->offset;
    unsigned long long last = part->offset + part->len - 1;
    (void)snprintf(part->range, sizeof(part->range), "bytes=%llu-%llu", first, last);
    (void)snprintf(part->content_range, sizeof(part->content_range), "bytes %llu-%llu/%llu", first,
                   last, (unsigned long long)part->object->size_bytes);
    part->headers[0] = (struct fetch_header){SLICE("if-match"), slice_of(s3->if_match)};
    part->headers[1] = (struct fetch_header){SLICE("range"), slice_of(part->range)};
    *call = (struct s3_call){
        .method = SLICE("GET"),
        .location = slice_of(s3->location),
        .headers = part->headers,
        .header_count = ARRAY_COUNT(part->headers),
        .body_bytes_max = part->len,
        .sink = receive,
        .sink_context = part,
        .is_good = is_whole_part,
        .context = part,
    };
}

static size_t count_parts(const struct s3_range *ranges, size_t count)
{
    size_t parts = 0;
    for (size_t i = 0; i < count; i++) {
        parts += (ranges[i].len + PART_BYTES_MAX - 1) / PART_BYTES_MAX;
    }
    return parts;
}

enum err s3__read_ranges(const struct storage_object *object, struct s3_range *ranges, size_t count,
                         struct errinfo *info)
{
    size_t part_count = count_parts(ranges, count);
    struct part *parts CLEANUP(mem_free_cleanup) = mem_calloc(part_count, sizeof(*parts));
    struct s3_call *calls CLEANUP(mem_free_cleanup) = mem_calloc(part_count, sizeof(*calls));
    struct fetch_answer *answers CLEANUP(mem_free_cleanup) =
        mem_calloc(part_count, sizeof(*answers));
    struct storage_s3 *s3 = object->s3;
    size_t at = 0;
    uint64_t bytes = 0;
    if (parts == NULL || calls == NULL || answers == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t done = 0; done < ranges[i].len;) {
            size_t left = ranges[i].len - done;
            struct part *part = &parts[at];
            *part = (struct part){.object = object,
                                  .into = &ranges[i],
                                  .offset = ranges[i].offset + done,
                                  .len = left < PART_BYTES_MAX ? left : PART_BYTES_MAX};
            make_call(part, &calls[at++]);
            done += part->len;
        }
        bytes += ranges[i].len;
    }
    TRY(s3__send_all(s3->grant, s3->who, calls, part_count, answers, NULL, info));
    s3__free_answers(answers, part_count);
    atomic_fetch_add(&s3->grant->remote->bytes_received, bytes);
    return ERR_OK;
}

enum err storage__s3_read(const struct storage_object *object, uint64_t offset, void *ret_bytes,
                          size_t len, struct errinfo *info)
{
    struct storage_s3 *s3 = object->s3;
    struct storage_cache *cache = s3->grant->remote->cache;
    struct s3_keys *keys CLEANUP(s3__keys_cleanup) = NULL;
    char region[S3_REGION_BYTES];
    TRY(storage__grant_check(s3->grant, s3->who, info));
    /* Also for what is in the cache: whose credentials have died reads nothing. */
    TRY(storage__grant_keys(s3->grant, slice_of(s3->location), 0, &keys, region, info));
    if (len == 0) {
        return ERR_OK;
    }
    if (cache != NULL) {
        return storage__cache_read(cache, object, offset, ret_bytes, len, info);
    }
    struct s3_range range = {.offset = offset, .out = ret_bytes, .len = len};
    return s3__read_ranges(object, &range, 1, info);
}

/* ---- ahead of reading ---- */

/* 0: nothing of it is in the object, or there is nowhere to keep it. */
static uint64_t len_inside(const struct storage_object *object, uint64_t offset, uint64_t len)
{
    if (object->s3->grant->remote->cache == NULL || offset >= object->size_bytes) {
        return 0;
    }
    uint64_t left = object->size_bytes - offset;
    return len < left ? len : left;
}

bool storage__s3_is_missing(const struct storage_object *object, uint64_t offset, uint64_t len)
{
    uint64_t inside = len_inside(object, offset, len);
    struct storage_cache *cache = object->s3->grant->remote->cache;
    return inside > 0 && storage__cache_is_missing(cache, object, offset, inside);
}

void storage__s3_prefetch(const struct storage_object *object, uint64_t offset, uint64_t len)
{
    uint64_t inside = len_inside(object, offset, len);
    struct storage_cache *cache = object->s3->grant->remote->cache;
    if (inside > 0) {
        enum err err = storage__cache_fill(cache, object, offset, inside);
        (void)err;
    }
}
