/* Locations, and the addresses that requests for them go to. */
#include "storage/s3_int.h"

#include "base/digits.h"

#include "storage/storage_int.h"

/* Beyond these a key is none of S3, and a bucket's name would be no part of a host. */
#define KEY_BYTES_MAX 1024u
#define BUCKET_BYTES_MAX 63u

static const struct {
    struct slice scheme;
    struct slice store;
} strangers[] = {
    {{"abfs", 4}, {"Azure Data Lake", 15}},
    {{"abfss", 5}, {"Azure Data Lake", 15}},
    {{"wasb", 4}, {"Azure Blob Storage", 18}},
    {{"wasbs", 5}, {"Azure Blob Storage", 18}},
    {{"adl", 3}, {"Azure Data Lake", 15}},
    {{"az", 2}, {"Azure Blob Storage", 18}},
    {{"azure", 5}, {"Azure Blob Storage", 18}},
    {{"gs", 2}, {"Google Cloud Storage", 20}},
    {{"gcs", 3}, {"Google Cloud Storage", 20}},
    {{"oss", 3}, {"Alibaba OSS", 11}},
    {{"hdfs", 4}, {"HDFS", 4}},
    {{"http", 4}, {"HTTP", 4}},
    {{"https", 5}, {"HTTP", 4}},
};

struct slice s3__store_of(struct slice scheme)
{
    for (size_t i = 0; i < ARRAY_COUNT(strangers); i++) {
        if (slice_equal_fold(scheme, strangers[i].scheme)) {
            return strangers[i].store;
        }
    }
    return (struct slice){0};
}

static bool is_s3(struct slice scheme)
{
    return slice_equal_fold(scheme, SLICE("s3")) || slice_equal_fold(scheme, SLICE("s3a")) ||
           slice_equal_fold(scheme, SLICE("s3n"));
}

bool storage_is_remote(struct slice location)
{
    struct slice scheme = storage__scheme_of(location);
    return is_s3(scheme) || s3__store_of(scheme).len > 0;
}

static bool is_bucket(struct slice bucket)
{
    for (size_t i = 0; i < bucket.len; i++) {
        char c = bucket.ptr[i];
        bool is_inner = c == '-' || c == '.' || c == '_';
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (is_inner && i > 0))) {
            return false;
        }
    }
    return bucket.len >= 3 && bucket.len <= BUCKET_BYTES_MAX;
}

enum err s3__place_of(struct slice location, struct s3_place *ret_place, struct errinfo *info)
{
    struct slice scheme = storage__scheme_of(location);
    if (!is_s3(scheme)) {
        return storage__refuse_scheme(scheme, info);
    }
    size_t start = scheme.len + 3;
    struct slice rest = {location.ptr + start, location.len - start};
    const char *slash = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
    struct slice bucket = {rest.ptr, slash == NULL ? rest.len : (size_t)(slash - rest.ptr)};
    struct slice key = {NULL, 0};
    if (slash != NULL) {
        key = (struct slice){slash + 1, rest.len - bucket.len - 1};
    }
    if (!is_bucket(bucket) || key.len > KEY_BYTES_MAX ||
        (key.len > 0 && memchr(key.ptr, '\0', key.len) != NULL)) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "a location is none of S3");
        errinfo_hint(info, "It is \"s3://bucket/key\", with a bucket of 3 to 63 letters, digits, "
                           "\"-\" and \".\".");
        return ERR_INVALID;
    }
    *ret_place = (struct s3_place){bucket, key};
    return ERR_OK;
}

bool s3__region_is_valid(struct slice region)
{
    for (size_t i = 0; i < region.len; i++) {
        char c = region.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_')) {
            return false;
        }
    }
    return region.len > 0 && region.len < S3_REGION_BYTES;
}

/* ---- percent codes ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void s3__encode(struct slice text, bool keeps_slashes, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_unreserved(c) || (c == '/' && keeps_slashes)) {
            buf_append_char(out, c);
        } else {
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

bool s3__decode(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '+') { /* servers answer a list with forms' encoding */
            buf_append_char(out, ' ');
        } else if (text.ptr[i] != '%') {
            buf_append_char(out, text.ptr[i]);
        } else {
            int high = i + 1 < text.len ? digits_hex(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? digits_hex(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            buf_append_char(out, (char)(high * 16 + low));
            i += 2;
        }
    }
    return true;
}

/* ---- addresses ---- */

void s3__address_fini(struct s3_address *address)
{
    buf_fini(&address->base);
    buf_fini(&address->host);
    buf_fini(&address->path);
}

/* An address, or a name without a dot: no bucket can be put before it. */
static bool is_bare_host(struct slice host)
{
    const char *colon = memchr(host.ptr, ':', host.len);
    struct slice name = {host.ptr, colon == NULL ? host.len : (size_t)(colon - host.ptr)};
    bool is_numeric = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        is_numeric = is_numeric && ((c >= '0' && c <= '9') || c == '.');
    }
    return is_numeric || memchr(name.ptr, '.', name.len) == NULL;
}

/* "https://host:port/base" taken apart; a default port goes, as it does in the Host header. */
static bool split_endpoint(struct slice endpoint, struct slice *ret_scheme, struct slice *ret_host,
                           struct slice *ret_base)
{
    size_t mark = slice_find(endpoint, SLICE("://"));
    if (mark == SIZE_MAX) {
        return false;
    }
    struct slice scheme = {endpoint.ptr, mark};
    struct slice rest = {endpoint.ptr + mark + 3, endpoint.len - mark - 3};
    const char *slash = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
    size_t past = slash == NULL ? rest.len : (size_t)(slash - rest.ptr);
    struct slice host = sigv4_host(endpoint);
    struct slice base = {rest.ptr + past, rest.len - past};
    while (base.len > 0 && base.ptr[base.len - 1] == '/') {
        base.len--;
    }
    for (size_t i = 0; i < past + base.len; i++) {
        char c = rest.ptr[i];
        if (!is_unreserved(c) && c != ':' && c != '[' && c != ']' && c != '/') {
            return false;
        }
    }
    *ret_scheme = scheme;
    *ret_host = host;
    *ret_base = base;
    return host.len > 0;
}

enum err s3__address_of(const struct s3_target *target, const struct s3_place *place,
                        struct s3_address *ret_address, struct errinfo *info)
{
    struct slice scheme = SLICE("https");
    struct slice base = {NULL, 0};
    struct buf cloud CLEANUP(buf_fini) = {0};
    bool is_china = slice_starts_with(target->region, SLICE("cn-"));
    buf_printf(&cloud, "s3.%.*s.amazonaws.com%s", SLICE_ARGS(target->region),
               is_china ? ".cn" : "");
    struct slice host = buf_slice(&cloud);
    if (target->endpoint.len > 0 && !split_endpoint(target->endpoint, &scheme, &host, &base)) {
        return errinfo_set(info, ERR_INVALID, NULL, "the storage's endpoint is no address");
    }
    /* A certificate for *.s3.region.amazonaws.com does not fit a bucket with dots. */
    bool is_path_style = target->is_path_style || is_bare_host(host) ||
                         memchr(place->bucket.ptr, '.', place->bucket.len) != NULL;
    struct s3_address address = {0};
    if (!is_path_style) {
        buf_append_slice(&address.host, place->bucket);
        buf_append_char(&address.host, '.');
    }
    buf_append_slice(&address.host, host);
    buf_append_slice(&address.base, scheme);
    buf_append_str(&address.base, "://");
    buf_append_slice(&address.base, buf_slice(&address.host));
    buf_append_slice(&address.path, base);
    buf_append_char(&address.path, '/');
    if (is_path_style) {
        s3__encode(place->bucket, false, &address.path);
        buf_append_str(&address.path, place->key.len > 0 ? "/" : "");
    }
    s3__encode(place->key, true, &address.path);
    if (buf_failed(&address.host) || buf_failed(&address.base) || buf_failed(&address.path) ||
        buf_failed(&cloud)) {
        s3__address_fini(&address);
        return errinfo_nomem(info);
    }
    *ret_address = address;
    return ERR_OK;
}
