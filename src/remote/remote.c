#include "remote/remote.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/digits.h"
#include "base/mem.h"
#include "remote/remote_int.h"

#define ADDRESS_BYTES_MAX 2048
#define HOST_BYTES_MAX 253 /* RFC 1035, as text */
#define TIMEOUT_S_MAX 99999

/* ---- addresses ---- */

static const struct {
    const char *scheme;
    enum remote_door door;
    bool is_tls;
    uint16_t port;
} schemes[] = {
    {"postgres", REMOTE_POSTGRES, false, 5433}, /* TLS wherever it is not this machine */
    {"postgresql", REMOTE_POSTGRES, false, 5433}, {"http", REMOTE_HTTP, false, 5435},
    {"https", REMOTE_HTTP, true, 5435},           {"grpc", REMOTE_FLIGHT, false, 5436},
    {"grpc+tcp", REMOTE_FLIGHT, false, 5436},     {"grpc+tls", REMOTE_FLIGHT, true, 5436},
    {"grpcs", REMOTE_FLIGHT, true, 5436},
};
#define SCHEMES "begins with none of postgres://, http://, https://, grpc:// and grpc+tls://"

static enum err wrong(struct errinfo *info, const char *what)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "the address of the server %s", what);
    errinfo_hint(info, "Such as postgres://amelia@moat.example.com:5433, "
                       "https://amelia@moat.example.com:5435 or "
                       "grpc+tls://amelia@moat.example.com:5436.");
    return ERR_INVALID;
}

/* A part with its "%xx" decoded; NULL for one that is none, or holds a control character. */
static char *decode(struct arena *arena, struct slice part)
{
    char *text = arena_alloc(arena, part.len + 1);
    size_t len = 0;
    for (size_t i = 0; text != NULL && i < part.len; i++) {
        char c = part.ptr[i];
        if (c == '%') {
            int high = i + 2 < part.len ? digits_hex(part.ptr[i + 1]) : -1;
            int low = i + 2 < part.len ? digits_hex(part.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7F) {
            return NULL;
        }
        text[len++] = c;
    }
    if (text != NULL) {
        text[len] = '\0';
    }
    return text;
}

/* Up to `mark`, which is taken too, or all. */
static struct slice take_until(struct slice *rest, char mark)
{
    const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, mark, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->ptr);
    struct slice part = {rest->ptr, len};
    size_t used = at == NULL ? len : len + 1;
    *rest = (struct slice){rest->ptr + used, rest->len - used};
    return part;
}

static bool is_this_machine(const char *host)
{
    struct in_addr in;
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &in) == 1 && ntohl(in.s_addr) >> 24 == 127);
}

/* Or anything else that no name or address has in it. */
static bool has_blank(const char *host)
{
    bool found = false;
    for (; *host != '\0'; host++) {
        found = found || (unsigned char)*host <= ' ' || *host == 0x7f;
    }
    return found;
}

/* host, host:port, [::1]:port */
static enum err read_place(struct slice place, struct arena *arena, struct remote_address *address,
                           struct errinfo *info)
{
    uint64_t port;
    struct slice host = place;
    struct slice rest = {"", 0};
    if (slice_starts_with(place, SLICE("["))) {
        rest = (struct slice){place.ptr + 1, place.len - 1};
        bool is_closed = memchr(rest.ptr, ']', rest.len) != NULL;
        host = take_until(&rest, ']');
        if (!is_closed || (rest.len > 0 && rest.ptr[0] != ':')) {
            return wrong(info, "has something behind its host");
        }
        rest = rest.len > 0 ? (struct slice){rest.ptr + 1, rest.len - 1} : rest;
    } else {
        rest = place;
        host = take_until(&rest, ':');
    }
    if (rest.len > 0 && (!slice_to_u64(rest, &port) || port == 0 || port > UINT16_MAX)) {
        return wrong(info, "has a port that is none");
    }
    address->port = rest.len > 0 ? (uint16_t)port : address->port;
    address->host = decode(arena, host);
    if (address->host != NULL && strlen(address->host) > HOST_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000",
                           "the name of the host has %zu bytes, and may have %d",
                           strlen(address->host), HOST_BYTES_MAX);
    }
    return host.len == 0 || address->host == NULL || has_blank(address->host)
               ? wrong(info, "names no host")
               : ERR_OK;
}

static enum err read_query(struct slice query, struct arena *arena, struct remote_address *address,
                           struct errinfo *info)
{
    while (query.len > 0) {
        struct slice value = take_until(&query, '&');
        struct slice key = take_until(&value, '=');
        uint64_t seconds;
        bool is_flight = address->door == REMOTE_FLIGHT;
        if (slice_equal(key, SLICE("ca")) && value.len > 0) {
            address->ca_file = decode(arena, value);
            address->is_tls = true;
        } else if (is_flight && slice_equal(key, SLICE("timeout"))) {
            if (!slice_to_u64(value, &seconds) || seconds == 0 || seconds > TIMEOUT_S_MAX) {
                return wrong(info, "has a timeout that is no number of seconds");
            }
            address->timeout_s = (uint32_t)seconds;
        } else {
            return wrong(info, is_flight ? "has a setting that there is not; allowed: ca=FILE and "
                                           "timeout=SECONDS"
                                         : "has a setting that there is not; allowed: ca=FILE");
        }
    }
    return ERR_OK;
}

static enum err read_path(struct slice path, struct arena *arena, struct remote_address *address,
                          struct errinfo *info)
{
    struct slice catalog = take_until(&path, '/');
    struct slice schema = take_until(&path, '/');
    if (path.len > 0 || (schema.len > 0 && address->door == REMOTE_POSTGRES)) {
        return wrong(info, "has a path that is none");
    }
    address->catalog = catalog.len > 0 ? decode(arena, catalog) : NULL;
    address->schema = schema.len > 0 ? decode(arena, schema) : NULL;
    bool is_whole = (catalog.len == 0) == (address->catalog == NULL) &&
                    (schema.len == 0) == (address->schema == NULL);
    return is_whole ? ERR_OK : wrong(info, "has a path that is none");
}

static enum err find_scheme(struct slice scheme, struct remote_address *address,
                            struct errinfo *info)
{
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (slice_equal_fold(scheme, slice_of(schemes[i].scheme))) {
            address->door = schemes[i].door;
            address->is_tls = schemes[i].is_tls;
            address->port = schemes[i].port;
            return ERR_OK;
        }
    }
    return wrong(info, SCHEMES);
}

enum err remote_address_parse(const char *url, struct arena *arena,
                              struct remote_address *ret_address, struct errinfo *info)
{
    struct remote_address address = {0};
    struct slice rest = slice_of(url);
    if (rest.len > ADDRESS_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000",
                           "the address of the server has %zu bytes, and may have %d", rest.len,
                           ADDRESS_BYTES_MAX);
    }
    size_t at = slice_find(rest, SLICE("://"));
    if (at == SIZE_MAX) {
        return wrong(info, SCHEMES);
    }
    struct slice scheme = {url, at};
    TRY(find_scheme(scheme, &address, info));
    struct slice query = {rest.ptr + at + 3, rest.len - at - 3};
    struct slice path = take_until(&query, '?');
    struct slice place = take_until(&path, '/');
    const char *sign = place.len == 0 ? NULL : memrchr(place.ptr, '@', place.len);
    if (sign != NULL) {
        struct slice user = {place.ptr, (size_t)(sign - place.ptr)};
        if (memchr(user.ptr, ':', user.len) != NULL) {
            (void)wrong(info, "may not hold a password, which others on this machine could read");
            errinfo_hint(info, "Leave it out: it is asked for, or give --password-file.");
            return ERR_INVALID;
        }
        address.user = decode(arena, user);
        if (user.len == 0 || address.user == NULL) {
            return wrong(info, "names nobody before its \"@\"");
        }
        place = (struct slice){sign + 1, place.len - user.len - 1};
    }
    TRY(read_place(place, arena, &address, info));
    TRY(read_path(path, arena, &address, info));
    TRY(read_query(query, arena, &address, info));
    address.is_loopback = is_this_machine(address.host);
    if (address.door == REMOTE_POSTGRES && !address.is_loopback) {
        address.is_tls = true;
    }
    if (!address.is_tls && !address.is_loopback) {
        (void)errinfo_set(info, ERR_DENIED, "28000",
                          "passwords and tokens are not sent to \"%s\" in the clear", address.host);
        errinfo_hint(info, "Ask %s.", address.door == REMOTE_FLIGHT ? "grpc+tls://" : "https://");
        return ERR_DENIED;
    }
    bool is_clear = slice_equal_fold(scheme, SLICE("http")) ||
                    slice_equal_fold(scheme, SLICE("grpc")) ||
                    slice_equal_fold(scheme, SLICE("grpc+tcp"));
    if (is_clear && address.ca_file != NULL) {
        return wrong(info, "names a certificate authority, but neither https:// nor grpc+tls://");
    }
    *ret_address = address;
    return ERR_OK;
}

/* ---- errors ---- */

enum err remote__code(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        enum err code;
    } codes[] = {
        {"57014", ERR_CANCELLED}, {"57P01", ERR_CANCELLED}, {"42501", ERR_DENIED},
        {"28", ERR_DENIED},       {"42601", ERR_SYNTAX},    {"0A000", ERR_UNSUPPORTED},
        {"08", ERR_IO},           {"53", ERR_BUSY},         {"54", ERR_LIMIT},
        {"42P01", ERR_NOT_FOUND}, {"XX", ERR_INTERNAL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        if (strncmp(sqlstate, codes[i].prefix, strlen(codes[i].prefix)) == 0) {
            return codes[i].code;
        }
    }
    return ERR_INVALID;
}

size_t remote__position(struct slice statement, size_t character)
{
    size_t seen = 0;
    for (size_t i = 0; i < statement.len && character > 0; i++) {
        seen += ((unsigned char)statement.ptr[i] & 0xC0) != 0x80;
        if (seen == character) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- what doors have in common ---- */

static const struct remote_ops *const doors[] = {
    [REMOTE_POSTGRES] = &remote_postgres,
    [REMOTE_HTTP] = &remote_http,
    [REMOTE_FLIGHT] = &remote_flight,
};

static enum err keep_secret(struct remote *remote, const struct remote_options *options,
                            struct errinfo *info)
{
    remote->user = mem_slicedup(options->user);
    return remote->user != NULL && secret_copy(options->secret, &remote->secret)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err remote_open(const struct remote_options *options, struct remote **ret_remote,
                     struct errinfo *info)
{
    struct remote *remote = mem_calloc(1, sizeof(*remote));
    if (remote == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&remote->lock, NULL);
    atomic_init(&remote->is_cancelled, false);
    atomic_init(&remote->statement_number, 0);
    atomic_init(&remote->begun_us, 0);
    remote->address = options->address;
    remote->is_watched = options->is_watched;
    remote->is_token = options->is_token;
    remote->ops = doors[options->address->door];
    enum err err = options->is_watched ? keep_secret(remote, options, info) : ERR_OK;
    err = err != ERR_OK ? err : remote->ops->open(remote, options, info);
    if (err != ERR_OK) {
        remote_close(remote);
        return err;
    }
    *ret_remote = remote;
    return ERR_OK;
}

void remote_close(struct remote *remote)
{
    if (remote != NULL) {
        remote__progress_stop(remote->progress);
        if (remote->state != NULL) {
            remote->ops->close(remote);
        }
        secret_fini(&remote->secret);
        mem_free(remote->user);
        pthread_mutex_destroy(&remote->lock);
        mem_free(remote);
    }
}

static void set_running(struct remote *remote, bool is_running)
{
    pthread_mutex_lock(&remote->lock);
    remote->is_running = is_running;
    pthread_mutex_unlock(&remote->lock);
}

void remote_cancel(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    if (remote->is_running) {
        atomic_store(&remote->is_cancelled, true);
        remote->ops->cancel(remote);
    }
    pthread_mutex_unlock(&remote->lock);
}

/* Documents and messages of protocols cannot carry it, or would carry something else. */
static enum err check_text(struct slice statement, struct errinfo *info)
{
    const char *nul = statement.len == 0 ? NULL : memchr(statement.ptr, '\0', statement.len);
    size_t bad = nul == NULL ? 0 : (size_t)(nul - statement.ptr);
    if (nul == NULL && slice_is_utf8(statement, &bad)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "22021",
                      nul != NULL ? "the statement holds a NUL byte"
                                  : "the statement is not valid UTF-8");
    errinfo_position(info, bad + 1);
    return ERR_INVALID;
}

enum err remote_run(struct remote *remote, struct slice statement,
                    struct remote_answer **ret_answer, struct errinfo *info)
{
    TRY(check_text(statement, info));
    struct remote_answer *answer CLEANUP(remote_answer_cleanup) = mem_calloc(1, sizeof(*answer));
    if (answer == NULL) {
        return errinfo_nomem(info);
    }
    answer->remote = remote;
    answer->statement = mem_slicedup(statement);
    answer->statement_len = statement.len;
    if (answer->statement == NULL) {
        return errinfo_nomem(info);
    }
    atomic_store(&remote->is_cancelled, false);
    atomic_store(&remote->begun_us, clock_mono_us());
    (void)atomic_fetch_add(&remote->statement_number, 1);
    set_running(remote, true);
    TRY(remote->ops->run(remote, answer, info));
    *ret_answer = TAKE(answer);
    return ERR_OK;
}

const struct ArrowSchema *remote_answer_schema(const struct remote_answer *answer)
{
    return answer->schema;
}

enum err remote_answer_next(struct remote_answer *answer, struct ArrowArray *ret_batch,
                            struct errinfo *info)
{
    ret_batch->release = NULL;
    return answer->is_over ? ERR_OK
                           : answer->remote->ops->next(answer->remote, answer, ret_batch, info);
}

const char *remote_answer_tag(const struct remote_answer *answer)
{
    return answer->tag;
}

const char *remote_answer_notice(const struct remote_answer *answer)
{
    return answer->notice;
}

void remote_answer_close(struct remote_answer *answer)
{
    if (answer == NULL) {
        return;
    }
    answer->remote->ops->end(answer->remote, answer);
    set_running(answer->remote, false);
    mem_free(answer->statement);
    mem_free(answer);
}
