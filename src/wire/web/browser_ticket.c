/* Tickets: what they say, and a MAC over what they are for. */
#include "wire/web/browser.h"

#include "base/clock.h"
#include "base/digits.h"
#include "base/mem.h"

#define TIME_BYTES 8
#define RANDOM_BYTES 24
#define PAYLOAD_MAX (TIME_BYTES + BROWSER_FLOW_BYTES + BROWSER_WHO_BYTES_MAX)
#define COOKIE_LEN (BROWSER_COOKIE_BYTES - 1)

/* What a MAC is for, so that none stands for another. Of one kind `more` is always as long. */
enum kind {
    KIND_WAIT = 'w',
    KIND_PAGE = 'p',
    KIND_STATE = 's',
    KIND_DERIVED = 'd',
};

static enum err make_mac(const struct browser_key *key, enum kind kind, struct slice more,
                         struct slice payload, uint8_t ret_mac[SHA256_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    char mark = (char)kind;
    struct slice parts[] = {{&mark, 1}, more, payload};
    struct slice bytes = {(const char *)key->bytes, sizeof(key->bytes)};
    TRY(hash_sha256_parts(parts, ARRAY_COUNT(parts), digest));
    return hash_hmac_sha256(bytes, (struct slice){(const char *)digest, sizeof(digest)}, ret_mac);
}

static enum err no_numbers(struct errinfo *info)
{
    return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers, or no hashes");
}

static void put_hex(struct buf *out, const uint8_t *bytes, size_t len)
{
    char text[2 * PAYLOAD_MAX + 1];
    ASSERT(len <= PAYLOAD_MAX);
    hash_hex(bytes, len, text);
    buf_append(out, text, 2 * len);
}

static enum err seal(const struct browser_key *key, enum kind kind, struct slice more,
                     const uint8_t *payload, size_t len, struct buf *out, struct errinfo *info)
{
    uint8_t mac[SHA256_BYTES];
    if (make_mac(key, kind, more, (struct slice){(const char *)payload, len}, mac) != ERR_OK) {
        return no_numbers(info);
    }
    put_hex(out, payload, len);
    put_hex(out, mac, sizeof(mac));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* `ret_payload` has room for PAYLOAD_MAX. */
static bool unseal(const struct browser_key *key, enum kind kind, struct slice more,
                   struct slice text, uint8_t *ret_payload, size_t *ret_len)
{
    uint8_t bytes[PAYLOAD_MAX + SHA256_BYTES];
    uint8_t mac[SHA256_BYTES];
    size_t len = text.len / 2;
    if (text.len % 2 != 0 || len > sizeof(bytes) || len <= SHA256_BYTES ||
        !hash_unhex(text, bytes)) {
        return false;
    }
    struct slice payload = {(const char *)bytes, len - SHA256_BYTES};
    if (make_mac(key, kind, more, payload, mac) != ERR_OK ||
        !hash_equal(mac, bytes + payload.len, sizeof(mac))) {
        return false;
    }
    memcpy(ret_payload, bytes, payload.len);
    *ret_len = payload.len;
    return true;
}

static void put_time(uint8_t to[TIME_BYTES], int64_t us)
{
    for (int i = 0; i < TIME_BYTES; i++) {
        to[i] = (uint8_t)((uint64_t)us >> (8 * i));
    }
}

static int64_t read_time(const uint8_t from[TIME_BYTES])
{
    uint64_t us = 0;
    for (int i = 0; i < TIME_BYTES; i++) {
        us |= (uint64_t)from[i] << (8 * i);
    }
    return (int64_t)us;
}

static bool is_young(const struct browser_ticket *ticket, int64_t now_us)
{
    return now_us >= ticket->since_us && now_us - ticket->since_us <= BROWSER_LIFE_US;
}

/* What is shown of who asks is said by who asks: plain letters, and not many of them. */
static size_t put_who(struct slice address, struct slice program, uint8_t *to, size_t max)
{
    size_t len = 0;
    struct slice parts[] = {address, SLICE(" "), program};
    for (size_t p = 0; p < ARRAY_COUNT(parts); p++) {
        for (size_t i = 0; i < parts[p].len && len < max; i++) {
            char c = parts[p].ptr[i];
            bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                            (c >= 'A' && c <= 'Z') ||
                            (c != '\0' && strchr(" .:_-/()[]", c) != NULL);
            to[len++] = (uint8_t)(is_plain ? c : '?');
        }
    }
    return len;
}

enum err browser_begin(const struct browser_key *key, int64_t now_us, struct slice address,
                       struct slice program, struct buf *ret_wait, struct buf *ret_page,
                       struct errinfo *info)
{
    uint8_t wait[TIME_BYTES + RANDOM_BYTES];
    uint8_t page[PAYLOAD_MAX];
    put_time(wait, now_us);
    put_time(page, now_us);
    if (random_bytes(wait + TIME_BYTES, RANDOM_BYTES) != ERR_OK ||
        hash_sha256((struct slice){(const char *)wait, sizeof(wait)}, page + TIME_BYTES) !=
            ERR_OK) {
        return no_numbers(info);
    }
    size_t len = TIME_BYTES + BROWSER_FLOW_BYTES;
    len += put_who(address, program, page + len, BROWSER_WHO_BYTES_MAX);
    TRY(seal(key, KIND_WAIT, SLICE(""), wait, sizeof(wait), ret_wait, info));
    return seal(key, KIND_PAGE, SLICE(""), page, len, ret_page, info);
}

bool browser_wait_open(const struct browser_key *key, int64_t now_us, struct slice text,
                       struct browser_ticket *ret_ticket)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t len;
    struct browser_ticket ticket = {.who = ""};
    if (!unseal(key, KIND_WAIT, SLICE(""), text, payload, &len) ||
        len != TIME_BYTES + RANDOM_BYTES ||
        hash_sha256((struct slice){(const char *)payload, len}, ticket.flow) != ERR_OK) {
        return false;
    }
    ticket.since_us = read_time(payload);
    *ret_ticket = ticket;
    return is_young(&ticket, now_us);
}

static bool read_ticket(const uint8_t *payload, size_t len, int64_t now_us,
                        struct browser_ticket *ret_ticket)
{
    struct browser_ticket ticket = {.who = ""};
    size_t head = TIME_BYTES + BROWSER_FLOW_BYTES;
    if (len < head || len - head > BROWSER_WHO_BYTES_MAX) {
        return false;
    }
    ticket.since_us = read_time(payload);
    memcpy(ticket.flow, payload + TIME_BYTES, BROWSER_FLOW_BYTES);
    memcpy(ticket.who, payload + head, len - head);
    *ret_ticket = ticket;
    return is_young(&ticket, now_us);
}

bool browser_page_open(const struct browser_key *key, int64_t now_us, struct slice text,
                       struct browser_ticket *ret_ticket)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t len;
    return unseal(key, KIND_PAGE, SLICE(""), text, payload, &len) &&
           read_ticket(payload, len, now_us, ret_ticket);
}

static void put_ticket(const struct browser_ticket *ticket,
                       uint8_t ret_payload[TIME_BYTES + BROWSER_FLOW_BYTES])
{
    put_time(ret_payload, ticket->since_us);
    memcpy(ret_payload + TIME_BYTES, ticket->flow, BROWSER_FLOW_BYTES);
}

enum err browser_state(const struct browser_key *key, const struct browser_ticket *ticket,
                       struct slice cookie, struct buf *ret_state, struct errinfo *info)
{
    uint8_t payload[TIME_BYTES + BROWSER_FLOW_BYTES];
    ASSERT(cookie.len == COOKIE_LEN);
    put_ticket(ticket, payload);
    return seal(key, KIND_STATE, cookie, payload, sizeof(payload), ret_state, info);
}

bool browser_state_flow(struct slice text, uint8_t ret_flow[BROWSER_FLOW_BYTES])
{
    size_t hex = (size_t)2 * BROWSER_FLOW_BYTES;
    return text.len > 2 * TIME_BYTES + hex &&
           hash_unhex((struct slice){text.ptr + (size_t)2 * TIME_BYTES, hex}, ret_flow);
}

bool browser_state_open(const struct browser_key *key, int64_t now_us, struct slice text,
                        struct slice cookie, struct browser_ticket *ret_ticket)
{
    uint8_t payload[PAYLOAD_MAX];
    size_t len;
    return cookie.len == COOKIE_LEN && unseal(key, KIND_STATE, cookie, text, payload, &len) &&
           len == TIME_BYTES + BROWSER_FLOW_BYTES && read_ticket(payload, len, now_us, ret_ticket);
}

enum err browser_derive(const struct browser_key *key, const char *what,
                        const struct browser_ticket *ticket, struct slice cookie,
                        char ret_text[BROWSER_DERIVED_BYTES], struct errinfo *info)
{
    uint8_t payload[TIME_BYTES + BROWSER_FLOW_BYTES];
    uint8_t words[SHA256_BYTES], mac[SHA256_BYTES];
    put_ticket(ticket, payload);
    struct slice parts[] = {slice_of(what), SLICE("="), {(const char *)payload, sizeof(payload)}};
    if (hash_sha256_parts(parts, ARRAY_COUNT(parts), words) != ERR_OK ||
        make_mac(key, KIND_DERIVED, cookie, (struct slice){(const char *)words, sizeof(words)},
                 mac) != ERR_OK) {
        return no_numbers(info);
    }
    hash_hex(mac, sizeof(mac), ret_text);
    mem_wipe(mac, sizeof(mac));
    return ERR_OK;
}

/* ---- the query of an answer ---- */

/* Of application/x-www-form-urlencoded; what is not printable ASCII is none of these values. */
static bool decode(struct slice text, struct arena *arena, struct slice *ret_text)
{
    char *plain = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; plain != NULL && i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? digits_hex(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? digits_hex(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = high * 16 + low;
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (c < 0x20 || c > 0x7E) {
            return false;
        }
        plain[len++] = (char)c;
    }
    *ret_text = (struct slice){plain, len};
    return plain != NULL;
}

bool browser_answer_read(struct slice query, struct arena *arena, struct browser_answer *ret_answer)
{
    struct browser_answer answer = {.state = SLICE("")};
    const struct {
        struct slice name;
        struct slice *value;
    } known[] = {{SLICE("state"), &answer.state},
                 {SLICE("code"), &answer.code},
                 {SLICE("error"), &answer.error},
                 {SLICE("iss"), &answer.issuer}};
    bool has[ARRAY_COUNT(known)] = {false};
    answer.code = answer.error = answer.issuer = SLICE("");
    while (query.len > 0) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.ptr);
        const char *equal = len == 0 ? NULL : memchr(query.ptr, '=', len);
        struct slice name = {query.ptr, equal == NULL ? len : (size_t)(equal - query.ptr)};
        struct slice value = {query.ptr + name.len, len - name.len};
        value = equal == NULL ? value : (struct slice){value.ptr + 1, value.len - 1};
        for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
            if (slice_equal(name, known[i].name)) {
                if (has[i] || !decode(value, arena, known[i].value)) {
                    return false;
                }
                has[i] = true;
            }
        }
        size_t used = end == NULL ? len : len + 1;
        query = (struct slice){query.ptr + used, query.len - used};
    }
    *ret_answer = answer;
    return answer.state.len > 0 && (answer.code.len > 0) != (answer.error.len > 0);
}
