/* Writing: one PUT, or parts that become an object when they are completed.
 *
 * Bodies are signed with their SHA-256: the store refuses what arrived damaged. A part or a whole
 * object may be sent twice; completing may not be clean twice (the first may have worked without
 * its answer reaching us), so its failure is looked into with a HEAD. */
#include <stdio.h>

#include "base/mem.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

#define PART_BYTES (16u * 1024 * 1024) /* 10,000 parts are allowed: 156 GiB */
#define PARTS_MAX 10000u
#define ANSWER_BYTES_MAX (1024u * 1024)

static enum err check_key(struct storage_grant *grant, const struct identity *who,
                          struct slice location, struct errinfo *info)
{
    struct s3_place place;
    TRY(storage__grant_check(grant, who, info));
    TRY(s3__place_of(location, &place, info));
    if (place.key.len == 0) {
        return errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is a bucket, not an object",
                           SLICE_ARGS(place.bucket));
    }
    return ERR_OK;
}

static bool has_etag(UNUSED const struct s3_call *call, const struct fetch_answer *answer)
{
    struct slice etag;
    return fetch_answer_header(answer, SLICE("etag"), &etag) && s3__unquote(etag).len > 0;
}

static enum err fill_entry(struct slice location, uint64_t size_bytes, struct slice etag,
                           struct arena *arena, struct storage_entry *ret_entry,
                           struct errinfo *info)
{
    struct storage_entry entry = {.size_bytes = size_bytes};
    if (!arena_slice(arena, location, &entry.location) ||
        !arena_slice(arena, s3__unquote(etag), &entry.etag)) {
        return errinfo_nomem(info);
    }
    *ret_entry = entry;
    return ERR_OK;
}

static enum err exists(struct slice location, struct errinfo *info)
{
    struct slice name = storage__base_name(location);
    return errinfo_set(info, ERR_EXISTS, NULL, "\"%.*s\" is there already", SLICE_ARGS(name));
}

enum err storage_grant_put(struct storage_grant *grant, const struct identity *who,
                           struct slice location, struct slice bytes, bool is_new,
                           struct arena *arena, struct storage_entry *ret_entry,
                           struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct fetch_header header = {SLICE("if-none-match"), SLICE("*")};
    struct slice etag;
    struct slice body = {bytes.len > 0 ? bytes.ptr : "", bytes.len};
    TRY(check_key(grant, who, location, info));
    /* With a condition, a second try would find what the first may have written. */
    struct s3_call call = {.method = SLICE("PUT"),
                           .location = location,
                           .headers = &header,
                           .header_count = is_new ? 1 : 0,
                           .body = body,
                           .body_bytes_max = ANSWER_BYTES_MAX,
                           .is_good = has_etag,
                           .is_once = is_new};
    enum err err = s3__send(grant, who, &call, &answer, info);
    if (err == ERR_CORRUPT && is_new) { /* 412 */
        return exists(location, info);
    }
    TRY(err);
    bool has_one = fetch_answer_header(&answer, SLICE("etag"), &etag);
    ASSERT(has_one);
    return fill_entry(location, bytes.len, etag, arena, ret_entry, info);
}

enum err storage_grant_delete(struct storage_grant *grant, const struct identity *who,
                              struct slice location, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    TRY(check_key(grant, who, location, info));
    struct s3_call call = {.method = SLICE("DELETE"),
                           .location = location,
                           .body_bytes_max = ANSWER_BYTES_MAX,
                           .is_owed = true};
    enum err err = s3__send(grant, who, &call, &answer, info);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- in parts ---- */

struct storage_upload {
    struct storage_grant *grant;
    const struct identity *who;
    char *location;
    char *id;        /* NULL until there is more than one part */
    struct buf part; /* not sent yet */
    char **etags;    /* of parts that were */
    size_t part_count;
    size_t capacity;
    uint64_t size_bytes;
    bool is_finished;
};

enum err storage_upload_open(struct storage_grant *grant, const struct identity *who,
                             struct slice location, struct storage_upload **ret_upload,
                             struct errinfo *info)
{
    TRY(check_key(grant, who, location, info));
    struct storage_upload *upload CLEANUP(storage_upload_cleanup) = mem_calloc(1, sizeof(*upload));
    if (upload == NULL) {
        return errinfo_nomem(info);
    }
    upload->who = who;
    upload->location = mem_slicedup(location);
    if (upload->location == NULL) {
        return errinfo_nomem(info);
    }
    upload->grant = storage_grant_ref(grant);
    *ret_upload = TAKE(upload);
    return ERR_OK;
}

struct found {
    struct slice path;
    struct buf text;
};

static bool read_text(void *context, struct slice path, struct slice text)
{
    struct found *found = context;
    if (slice_equal(path, found->path)) {
        buf_reset(&found->text);
        buf_append_slice(&found->text, text);
    }
    return true;
}

/* The text at `path` of an answer, on the heap. */
static enum err take_text(const struct fetch_answer *answer, struct slice path, char **ret_text,
                          struct errinfo *info)
{
    struct found found = {.path = path};
    enum err err = s3__xml_read(secret_slice(&answer->body), read_text, &found, info);
    char *text CLEANUP(mem_free_cleanup) = buf_take(&found.text);
    TRY(err);
    if (text == NULL || text[0] == '\0') {
        return errinfo_set(info, ERR_CORRUPT, NULL, "the storage's answer cannot be read");
    }
    *ret_text = TAKE(text);
    return ERR_OK;
}

static enum err begin(struct storage_upload *upload, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct s3_param param = {"uploads", SLICE("")};
    struct s3_call call = {.method = SLICE("POST"),
                           .location = slice_of(upload->location),
                           .params = &param,
                           .param_count = 1,
                           .body = SLICE(""),
                           .body_bytes_max = ANSWER_BYTES_MAX};
    TRY(s3__send(upload->grant, upload->who, &call, &answer, info));
    return take_text(&answer, SLICE("/InitiateMultipartUploadResult/UploadId"), &upload->id, info);
}

static enum err keep_etag(struct storage_upload *upload, struct slice etag, struct errinfo *info)
{
    if (upload->part_count == upload->capacity) {
        size_t capacity = upload->capacity == 0 ? 16 : upload->capacity * 2;
        char **grown = mem_realloc((void *)upload->etags, capacity * sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        upload->etags = grown;
        upload->capacity = capacity;
    }
    upload->etags[upload->part_count] = mem_slicedup(s3__unquote(etag));
    if (upload->etags[upload->part_count] == NULL) {
        return errinfo_nomem(info);
    }
    upload->part_count++;
    return ERR_OK;
}

static enum err send_part(struct storage_upload *upload, struct slice bytes, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    char number[16];
    struct slice etag;
    if (upload->part_count >= PARTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "an object would have more than %u parts",
                           PARTS_MAX);
    }
    if (upload->id == NULL) {
        TRY(begin(upload, info));
    }
    (void)snprintf(number, sizeof(number), "%zu", upload->part_count + 1);
    struct s3_param params[] = {{"partNumber", slice_of(number)},
                                {"uploadId", slice_of(upload->id)}};
    struct s3_call call = {.method = SLICE("PUT"),
                           .location = slice_of(upload->location),
                           .params = params,
                           .param_count = ARRAY_COUNT(params),
                           .body = bytes,
                           .body_bytes_max = ANSWER_BYTES_MAX,
                           .is_good = has_etag};
    TRY(s3__send(upload->grant, upload->who, &call, &answer, info));
    bool has_one = fetch_answer_header(&answer, SLICE("etag"), &etag);
    ASSERT(has_one);
    return keep_etag(upload, etag, info);
}

enum err storage_upload_append(struct storage_upload *upload, struct slice bytes,
                               struct errinfo *info)
{
    ASSERT(!upload->is_finished);
    while (bytes.len > 0) {
        size_t room = PART_BYTES - upload->part.len;
        size_t len = bytes.len < room ? bytes.len : room;
        buf_append(&upload->part, bytes.ptr, len);
        if (buf_failed(&upload->part)) {
            return errinfo_nomem(info);
        }
        upload->size_bytes += len;
        bytes = (struct slice){bytes.ptr + len, bytes.len - len};
        if (upload->part.len == PART_BYTES) {
            TRY(send_part(upload, buf_slice(&upload->part), info));
            buf_reset(&upload->part);
        }
    }
    return ERR_OK;
}

static enum err write_manifest(const struct storage_upload *upload, struct buf *out,
                               struct errinfo *info)
{
    buf_append_str(out, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < upload->part_count; i++) {
        buf_printf(out, "<Part><PartNumber>%zu</PartNumber><ETag>&quot;", i + 1);
        for (const char *c = upload->etags[i]; *c != '\0'; c++) {
            if (*c == '<' || *c == '&') {
                buf_append_str(out, *c == '<' ? "&lt;" : "&amp;");
            } else {
                buf_append_char(out, *c);
            }
        }
        buf_append_str(out, "&quot;</ETag></Part>");
    }
    buf_append_str(out, "</CompleteMultipartUpload>");
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static bool is_completed(UNUSED const struct s3_call *call, const struct fetch_answer *answer)
{
    /* It can be a success with an error in it. */
    return slice_find(secret_slice(&answer->body), SLICE("<CompleteMultipartUploadResult")) !=
           SIZE_MAX;
}

static enum err complete(struct storage_upload *upload, struct arena *arena,
                         struct storage_entry *ret_entry, struct errinfo *info)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct buf manifest CLEANUP(buf_fini) = {0};
    char *etag CLEANUP(mem_free_cleanup) = NULL;
    struct slice location = slice_of(upload->location);
    bool was_repeated = false;
    TRY(write_manifest(upload, &manifest, info));
    struct s3_param param = {"uploadId", slice_of(upload->id)};
    struct s3_call call = {.method = SLICE("POST"),
                           .location = location,
                           .params = &param,
                           .param_count = 1,
                           .body = buf_slice(&manifest),
                           .body_bytes_max = ANSWER_BYTES_MAX,
                           .is_good = is_completed};
    enum err err = s3__send_all(upload->grant, upload->who, &call, 1, &answer, &was_repeated, info);
    if (err == ERR_NOT_FOUND && was_repeated) {
        struct storage_entry entry; /* the upload is gone: an earlier try may have completed it */
        TRY(storage_grant_stat(upload->grant, upload->who, location, arena, &entry, info));
        if (entry.size_bytes != upload->size_bytes) {
            return errinfo_set(info, ERR_IO, NULL, "an upload was lost by the storage");
        }
        *ret_entry = entry;
        return ERR_OK;
    }
    TRY(err);
    TRY(take_text(&answer, SLICE("/CompleteMultipartUploadResult/ETag"), &etag, info));
    return fill_entry(location, upload->size_bytes, slice_of(etag), arena, ret_entry, info);
}

enum err storage_upload_finish(struct storage_upload *upload, struct arena *arena,
                               struct storage_entry *ret_entry, struct errinfo *info)
{
    ASSERT(!upload->is_finished);
    struct slice rest = buf_slice(&upload->part);
    if (upload->part_count == 0) {
        TRY(storage_grant_put(upload->grant, upload->who, slice_of(upload->location), rest, false,
                              arena, ret_entry, info));
    } else {
        if (rest.len > 0) {
            TRY(send_part(upload, rest, info));
        }
        TRY(complete(upload, arena, ret_entry, info));
    }
    upload->is_finished = true;
    return ERR_OK;
}

/* What cannot be told to the store now is cleaned up there by its own rules. */
static void forget_parts(struct storage_upload *upload)
{
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct s3_param param = {"uploadId", slice_of(upload->id)};
    struct s3_call call = {.method = SLICE("DELETE"),
                           .location = slice_of(upload->location),
                           .params = &param,
                           .param_count = 1,
                           .body_bytes_max = ANSWER_BYTES_MAX,
                           .is_owed = true};
    enum err err = s3__send(upload->grant, upload->who, &call, &answer, NULL);
    (void)err;
}

void storage_upload_close(struct storage_upload *upload)
{
    if (upload == NULL) {
        return;
    }
    if (upload->id != NULL && !upload->is_finished) {
        forget_parts(upload);
    }
    for (size_t i = 0; i < upload->part_count; i++) {
        mem_free(upload->etags[i]);
    }
    mem_free((void *)upload->etags);
    buf_fini(&upload->part);
    mem_free(upload->id);
    mem_free(upload->location);
    storage_grant_unref(upload->grant);
    mem_free(upload);
}
