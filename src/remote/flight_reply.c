#include "remote/flight_reply.h"

#include "base/digits.h"
#include "base/proto.h"
#include "remote/remote_int.h"

static enum err wrong(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_IO, "08P01", "the server's answer is not as Flight has it: %s",
                       what);
}

/* ---- messages ---- */

enum err flight_frame(const char prefix[FLIGHT_PREFIX_BYTES], uint64_t *ret_len,
                      struct errinfo *info)
{
    if (prefix[0] == 1) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "the server compresses its messages, which nobody asked for");
    }
    if (prefix[0] != 0) {
        return wrong(info, "it is no message of gRPC");
    }
    uint64_t len = 0;
    for (unsigned i = 1; i < FLIGHT_PREFIX_BYTES; i++) {
        len = len << 8 | (unsigned char)prefix[i];
    }
    *ret_len = len;
    return ERR_OK;
}

void flight_frame_put(struct buf *out, struct slice message)
{
    buf_append_char(out, 0);
    for (unsigned i = 0; i < 4; i++) {
        buf_append_char(out, (char)(unsigned char)(message.len >> (24 - 8 * i)));
    }
    buf_append_slice(out, message);
}

/* host:port of a location that this connection is to; what else is named is not asked. */
static bool is_here(struct slice uri, const struct remote_address *address)
{
    static const char *const clear[] = {"grpc://", "grpc+tcp://"};
    char place[512];
    struct slice host = slice_of(address->host);
    if (slice_starts_with_fold(uri, SLICE("arrow-flight-reuse-connection://"))) {
        return true;
    }
    bool is_v6 = memchr(host.ptr, ':', host.len) != NULL;
    (void)snprintf(place, sizeof(place), "%s%.*s%s:%u", is_v6 ? "[" : "", SLICE_ARGS(host),
                   is_v6 ? "]" : "", address->port);
    for (size_t i = 0; i < ARRAY_COUNT(clear) + 1; i++) {
        struct slice scheme = i < ARRAY_COUNT(clear) ? slice_of(clear[i]) : SLICE("grpc+tls://");
        if (slice_starts_with_fold(uri, scheme) && address->is_tls == (i == ARRAY_COUNT(clear))) {
            struct slice rest = {uri.ptr + scheme.len, uri.len - scheme.len};
            rest.len -= rest.len > 0 && rest.ptr[rest.len - 1] == '/';
            return slice_equal_fold(rest, slice_of(place));
        }
    }
    return false;
}

static bool read_endpoint(struct slice message, const struct remote_address *address,
                          struct flight_endpoint *ret_endpoint)
{
    struct proto_field field;
    enum proto_step step;
    size_t location_count = 0;
    bool is_here_too = false;
    *ret_endpoint = (struct flight_endpoint){.ticket = SLICE("")};
    while ((step = proto_next(&message, &field)) == PROTO_FIELD) {
        struct slice uri = {"", 0};
        const struct proto_want ticket[] = {{1, &ret_endpoint->ticket, NULL, NULL}};
        const struct proto_want location[] = {{1, &uri, NULL, NULL}};
        if (field.number == 1 &&
            (field.type != PROTO_BYTES || !proto_read(field.bytes, ticket, 1))) {
            return false;
        }
        if (field.number == 2) {
            if (field.type != PROTO_BYTES || !proto_read(field.bytes, location, 1)) {
                return false;
            }
            location_count++;
            is_here_too = is_here_too || is_here(uri, address);
        }
    }
    ret_endpoint->is_elsewhere = location_count > 0 && !is_here_too;
    return step == PROTO_END;
}

enum err flight_info(struct slice message, const struct remote_address *address,
                     struct arena *arena, struct flight_endpoint **ret_endpoints, size_t *ret_count,
                     struct errinfo *info)
{
    struct proto_field field;
    struct slice rest = message;
    size_t count = 0;
    while (proto_next(&rest, &field) == PROTO_FIELD) {
        count += field.number == 3;
    }
    if (count > FLIGHT_ENDPOINTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "the rows are in %zu places, and may be in %u",
                           count, FLIGHT_ENDPOINTS_MAX);
    }
    struct flight_endpoint *endpoints = arena_calloc(arena, count + 1, sizeof(*endpoints));
    if (endpoints == NULL) {
        return errinfo_nomem(info);
    }
    enum proto_step step;
    size_t at = 0;
    while ((step = proto_next(&message, &field)) == PROTO_FIELD) {
        if (field.number == 3 &&
            (field.type != PROTO_BYTES || !read_endpoint(field.bytes, address, &endpoints[at++]))) {
            return wrong(info, "a FlightInfo is not as it must be");
        }
    }
    if (step != PROTO_END) {
        return wrong(info, "a FlightInfo is not as it must be");
    }
    *ret_endpoints = endpoints;
    *ret_count = count;
    return ERR_OK;
}

enum err flight_data(struct slice message, struct slice *ret_header, struct slice *ret_body,
                     struct errinfo *info)
{
    *ret_header = *ret_body = SLICE("");
    const struct proto_want wants[] = {{2, ret_header, NULL, NULL}, {1000, ret_body, NULL, NULL}};
    return proto_read(message, wants, ARRAY_COUNT(wants))
               ? ERR_OK
               : wrong(info, "FlightData is not as it must be");
}

enum err flight_result(struct slice message, bool is_any, struct slice *ret_body,
                       struct errinfo *info)
{
    struct slice body = {"", 0}, inner = {"", 0};
    const struct proto_want outer_wants[] = {{1, &body, NULL, NULL}};
    const struct proto_want any_wants[] = {{2, &inner, NULL, NULL}};
    if (!proto_read(message, outer_wants, 1) || (is_any && !proto_read(body, any_wants, 1))) {
        return wrong(info, "the result of an action is not as it must be");
    }
    *ret_body = is_any ? inner : body;
    return ERR_OK;
}

/* ---- errors ---- */

void flight_decode(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int high = text.ptr[i] == '%' && i + 2 < text.len ? digits_hex(text.ptr[i + 1]) : -1;
        int low = high >= 0 ? digits_hex(text.ptr[i + 2]) : -1;
        if (low >= 0) {
            buf_append_char(out, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_append_char(out, text.ptr[i]);
        }
    }
}

static const struct {
    enum err code;
    const char *sqlstate;
} statuses[] = {
    {ERR_INTERNAL, "XX000"},  /* OK: it is no error */
    {ERR_CANCELLED, "57014"}, /* CANCELLED */
    {ERR_ENGINE, "XX000"},    /* UNKNOWN */
    {ERR_INVALID, "22023"},   /* INVALID_ARGUMENT */
    {ERR_TIMEOUT, "57014"},   /* DEADLINE_EXCEEDED */
    {ERR_NOT_FOUND, "42704"}, /* NOT_FOUND */
    {ERR_EXISTS, "42710"},    /* ALREADY_EXISTS */
    {ERR_DENIED, "42501"},    /* PERMISSION_DENIED */
    {ERR_LIMIT, "53000"},     /* RESOURCE_EXHAUSTED */
    {ERR_BUSY, "55000"},      /* FAILED_PRECONDITION */
    {ERR_BUSY, "40001"},      /* ABORTED */
    {ERR_INVALID, "22003"},   /* OUT_OF_RANGE */
    {ERR_UNSUPPORTED, NULL},  /* UNIMPLEMENTED */
    {ERR_ENGINE, "XX000"},    /* INTERNAL */
    {ERR_IO, "08006"},        /* UNAVAILABLE */
    {ERR_CORRUPT, NULL},      /* DATA_LOSS */
    {ERR_DENIED, "28000"},    /* UNAUTHENTICATED */
};

/* Where `mark` stands the last time; SIZE_MAX: nowhere. */
static size_t find_last(struct slice text, struct slice mark)
{
    size_t found = SIZE_MAX, at = 0;
    for (;;) {
        struct slice rest = {text.ptr + at, text.len - at};
        size_t next = slice_find(rest, mark);
        if (next == SIZE_MAX) {
            return found;
        }
        found = at + next;
        at = found + 1;
    }
}

/* What stands behind the mark, cut off the text. */
static struct slice cut_off(struct slice *text, struct slice mark)
{
    size_t at = find_last(*text, mark);
    if (at == SIZE_MAX) {
        return (struct slice){"", 0};
    }
    struct slice part = {text->ptr + at + mark.len, text->len - at - mark.len};
    text->len = at;
    return part;
}

static struct slice reason(struct slice text)
{
    return text.len > 0 && text.ptr[0] != '\0' ? text : SLICE("the server gives no reason");
}

enum err flight_error(int status, const char *sqlstate, struct slice text, size_t statement_len,
                      struct errinfo *info)
{
    size_t index = status > 0 && status < (int)ARRAY_COUNT(statuses) ? (size_t)status : 2;
    if (strlen(sqlstate) != 5) {
        enum err code = statuses[index].code;
        text = reason(text);
        (void)errinfo_set(info, code, statuses[index].sqlstate, "%.*s", SLICE_ARGS(text));
        return code;
    }
    /* "message [SQLSTATE] at byte N\nDETAIL: ...\nHINT: ..." */
    char mark[9];
    uint64_t position = 0;
    (void)snprintf(mark, sizeof(mark), " [%s]", sqlstate);
    struct slice hint = cut_off(&text, SLICE("\nHINT: "));
    struct slice detail = cut_off(&text, SLICE("\nDETAIL: "));
    struct slice place = cut_off(&text, slice_of(mark));
    enum err code = remote__code(sqlstate);
    code = code == ERR_CANCELLED && status == 4 ? ERR_TIMEOUT : code;
    text = reason(text);
    (void)errinfo_set(info, code, sqlstate, "%.*s", SLICE_ARGS(text));
    if (detail.len > 0) {
        errinfo_detail(info, "%.*s", SLICE_ARGS(detail));
    }
    if (hint.len > 0) {
        errinfo_hint(info, "%.*s", SLICE_ARGS(hint));
    }
    struct slice number = {place.ptr + 9, place.len < 9 ? 0 : place.len - 9};
    if (slice_starts_with(place, SLICE(" at byte ")) && slice_to_u64(number, &position) &&
        position <= statement_len + 1) {
        errinfo_position(info, (size_t)position);
    }
    return code;
}

/* ---- statements ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The next word, behind spaces and comments. Empty: something else comes. */
static struct slice take_word(struct slice *rest)
{
    size_t i = 0;
    while (i < rest->len) {
        struct slice here = {rest->ptr + i, rest->len - i};
        if (here.ptr[0] == ' ' || (here.ptr[0] >= '\t' && here.ptr[0] <= '\r')) {
            i++;
        } else if (slice_starts_with(here, SLICE("--"))) {
            size_t end = slice_find(here, SLICE("\n"));
            i = end == SIZE_MAX ? rest->len : i + end;
        } else if (slice_starts_with(here, SLICE("/*"))) {
            size_t end = slice_find(here, SLICE("*/"));
            i = end == SIZE_MAX ? rest->len : i + end + 2;
        } else {
            break;
        }
    }
    size_t end = i;
    while (end < rest->len && is_word(rest->ptr[end])) {
        end++;
    }
    struct slice word = {rest->ptr + i, end - i};
    *rest = (struct slice){rest->ptr + end, rest->len - end};
    return word;
}

static bool is_one_of(struct slice word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(word, slice_of(words[i]))) {
            return true;
        }
    }
    return false;
}

static bool has_word(struct slice text, struct slice word)
{
    for (size_t i = 0; i + word.len <= text.len; i++) {
        struct slice here = {text.ptr + i, word.len};
        bool is_whole = (i == 0 || !is_word(text.ptr[i - 1])) &&
                        (i + word.len == text.len || !is_word(text.ptr[i + word.len]));
        if (is_whole && slice_equal_fold(here, word)) {
            return true;
        }
    }
    return false;
}

enum flight_way flight_way_of(struct slice statement, struct slice *ret_word)
{
    static const char *const rows[] = {"INSERT", "UPDATE", "DELETE", "MERGE"};
    static const char *const objects[] = {"DROP", "ALTER", "TRUNCATE", "GRANT", "REVOKE"};
    static const char *const made[] = {"TABLE", "VIEW",   "SCHEMA",   "TEMP",
                                       "INDEX", "UNIQUE", "EXTERNAL", "TEMPORARY"};
    struct slice rest = statement;
    struct slice first = take_word(&rest);
    struct slice second = take_word(&rest);
    *ret_word = first;
    if (is_one_of(first, rows, ARRAY_COUNT(rows))) {
        return has_word(statement, SLICE("RETURNING")) ? FLIGHT_QUERY : FLIGHT_UPDATE;
    }
    if (is_one_of(first, objects, ARRAY_COUNT(objects))) {
        return FLIGHT_UPDATE;
    }
    if (slice_equal_fold(first, SLICE("CREATE"))) {
        if (slice_equal_fold(second, SLICE("OR")) &&
            slice_equal_fold(take_word(&rest), SLICE("REPLACE"))) {
            second = take_word(&rest);
        }
        return is_one_of(second, made, ARRAY_COUNT(made)) ? FLIGHT_UPDATE : FLIGHT_QUERY;
    }
    if (slice_equal_fold(first, SLICE("BEGIN")) ||
        (slice_equal_fold(first, SLICE("START")) &&
         slice_equal_fold(second, SLICE("TRANSACTION")))) {
        return FLIGHT_BEGIN;
    }
    if (slice_equal_fold(first, SLICE("COMMIT")) || slice_equal_fold(first, SLICE("END"))) {
        return FLIGHT_COMMIT;
    }
    bool is_back =
        slice_equal_fold(first, SLICE("ROLLBACK")) || slice_equal_fold(first, SLICE("ABORT"));
    return is_back && !slice_equal_fold(second, SLICE("TO")) ? FLIGHT_ROLLBACK : FLIGHT_QUERY;
}
