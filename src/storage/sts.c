/* What comes back is looked for by its tags instead of being given to a parser, which would keep
 * copies of keys: of its values none may have what XML would have to encode. */
#include "storage/sts.h"

#include <time.h>

#include "base/buf.h"
#include "storage/s3_int.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define SESSION_NAME_BYTES_MAX 64 /* of the action */

void storage_sts_fini(struct storage_sts_answer *answer)
{
    secret_fini(&answer->access_key);
    secret_fini(&answer->secret_key);
    secret_fini(&answer->session_token);
    *answer = (struct storage_sts_answer){0};
}

/* ---- answers ---- */

/* The text between a tag and its end, which is there once; empty: it is not. */
static struct slice between(struct slice text, struct slice begin, struct slice end)
{
    size_t at = slice_find(text, begin);
    if (at == SIZE_MAX) {
        return (struct slice){0};
    }
    struct slice rest = {text.ptr + at + begin.len, text.len - at - begin.len};
    size_t len = slice_find(rest, end);
    bool is_twice = slice_find(rest, begin) != SIZE_MAX;
    if (len == SIZE_MAX || is_twice) {
        return (struct slice){0};
    }
    return slice_trim((struct slice){rest.ptr, len});
}

/* Printable, and as it is in XML, JSON and headers. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c >= 0x7F || strchr("<>&\"'\\", c) != NULL) {
            return false;
        }
    }
    return text.len > 0;
}

/* "2026-11-22T10:00:00Z", with a fraction or without. */
static int64_t read_time(struct slice text)
{
    char copy[24] = {0};
    struct tm parts = {0};
    if (text.len < 20 || text.ptr[text.len - 1] != 'Z') {
        return 0;
    }
    memcpy(copy, text.ptr, 19);
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts);
    time_t seconds = end == copy + 19 ? timegm(&parts) : -1;
    return seconds > 0 ? (int64_t)seconds * 1000000 : 0;
}

enum err storage_sts_parse(struct slice text, struct storage_sts_answer *ret_answer,
                           struct errinfo *info)
{
    struct storage_sts_answer answer = {0};
    struct slice access = between(text, SLICE("<AccessKeyId>"), SLICE("</AccessKeyId>"));
    struct slice secret = between(text, SLICE("<SecretAccessKey>"), SLICE("</SecretAccessKey>"));
    struct slice session = between(text, SLICE("<SessionToken>"), SLICE("</SessionToken>"));
    struct slice expires = between(text, SLICE("<Expiration>"), SLICE("</Expiration>"));
    if (!is_plain(access) || !is_plain(secret) || !is_plain(session)) {
        return errinfo_set(info, ERR_CORRUPT, "08P01",
                           "the token service does not answer with credentials of a session");
    }
    if (!secret_copy(access, &answer.access_key) || !secret_copy(secret, &answer.secret_key) ||
        !secret_copy(session, &answer.session_token)) {
        storage_sts_fini(&answer);
        return errinfo_nomem(info);
    }
    answer.expires_wall_us = read_time(expires);
    *ret_answer = answer;
    return ERR_OK;
}

/* ---- asking ---- */

static struct slice session_name(struct slice written, char out[SESSION_NAME_BYTES_MAX])
{
    size_t len = written.len < SESSION_NAME_BYTES_MAX ? written.len : SESSION_NAME_BYTES_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = written.ptr[i];
        bool is_allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || strchr("=,.@-_", c) != NULL;
        out[i] = is_allowed && c != '\0' ? c : '-';
    }
    while (len > 0 && len < 2) { /* the action wants two */
        out[len++] = '-';
    }
    return (struct slice){out, len};
}

static enum err by_status(long status, struct errinfo *info)
{
    if (status >= 500 || status == 429) {
        return errinfo_set(info, ERR_BUSY, "08006", "the token service fails (status %ld)", status);
    }
    (void)errinfo_set(info, ERR_DENIED, "42501",
                      "the token service lends this sign-in nothing for the object store (status "
                      "%ld)",
                      status);
    errinfo_hint(info, "It must know the identity provider, and the ROLE must trust it.");
    return ERR_DENIED;
}

enum err storage_sts_ask(struct fetch_pool *pool, const struct storage_sts_request *request,
                         struct storage_sts_answer *ret_answer, struct errinfo *info)
{
    struct secret form CLEANUP(secret_fini) = {0};
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    char name[SESSION_NAME_BYTES_MAX];
    const struct fetch_field fields[] = {
        {"Action", SLICE("AssumeRoleWithWebIdentity")},
        {"Version", SLICE("2011-06-15")},
        {"WebIdentityToken", request->token},
        {"RoleArn", request->role},
        {"RoleSessionName", session_name(request->session_name, name)},
        {"Policy", request->policy},
    };
    const struct fetch_header headers[] = {
        {SLICE("Content-Type"), SLICE("application/x-www-form-urlencoded")}};
    if (!fetch_form(fields, ARRAY_COUNT(fields), &form)) {
        return errinfo_nomem(info);
    }
    const struct fetch_request asked = {.method = SLICE("POST"),
                                        .url = request->url,
                                        .headers = headers,
                                        .header_count = ARRAY_COUNT(headers),
                                        .body = secret_slice(&form),
                                        .timeout_ms = request->timeout_ms,
                                        .body_bytes_max = ANSWER_BYTES_MAX,
                                        .is_cancelled = request->is_cancelled,
                                        .cancel_context = request->cancel_context};
    enum err err = fetch_send(pool, &asked, &answer, info);
    if (err == ERR_IO || err == ERR_TIMEOUT) {
        return errinfo_set(info, ERR_BUSY, "08006", "the token service does not answer");
    }
    TRY(err);
    return answer.status == 200 ? storage_sts_parse(secret_slice(&answer.body), ret_answer, info)
                                : by_status(answer.status, info);
}

/* ---- policies ---- */

/* A policy would take '*' and '?' for any text, and "${" for a variable. */
static bool is_literal(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c >= 0x7F || strchr("*?\"\\$", c) != NULL) {
            return false;
        }
    }
    return true;
}

enum err storage_sts_policy(struct slice location, struct buf *out, struct errinfo *info)
{
    struct s3_place place;
    TRY(s3__place_of(location, &place, info));
    while (place.key.len > 0 && place.key.ptr[place.key.len - 1] == '/') {
        place.key.len--;
    }
    if (!is_literal(location) || place.key.len == 0) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "the location of a table cannot be named in a session's policy");
    }
    buf_printf(out,
               "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":["
               "\"s3:GetObject\",\"s3:PutObject\",\"s3:DeleteObject\",\"s3:AbortMultipartUpload\","
               "\"s3:ListMultipartUploadParts\"],\"Resource\":[\"arn:aws:s3:::%.*s/%.*s/*\"]},{"
               "\"Effect\":\"Allow\",\"Action\":[\"s3:ListBucket\",\"s3:GetBucketLocation\"],"
               "\"Resource\":[\"arn:aws:s3:::%.*s\"]}]}",
               SLICE_ARGS(place.bucket), SLICE_ARGS(place.key), SLICE_ARGS(place.bucket));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
