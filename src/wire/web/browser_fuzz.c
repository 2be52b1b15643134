/* What browsers and programs come back with: the query of an answer, and texts that would be
 * tickets. Whatever the bytes, none that this key has not sealed is one, what is read lies within
 * its limits, and values are printable. */
#include "base/fuzz.h"
#include "wire/web/browser.h"

#define COOKIE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void check_value(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        ASSERT(value.ptr[i] >= 0x20 && value.ptr[i] <= 0x7E);
    }
}

/* Genuine tickets for a program that calls itself so: what a page shows of it is bounded, and
 * nothing but plain letters. */
static void check_own(const struct browser_key *key, struct slice program)
{
    struct buf wait CLEANUP(buf_fini) = {0};
    struct buf page CLEANUP(buf_fini) = {0};
    struct buf state CLEANUP(buf_fini) = {0};
    struct browser_ticket a, b, c;
    enum err err = browser_begin(key, 5, program, program, &wait, &page, NULL);
    ASSERT(err == ERR_OK);
    bool are_own = browser_wait_open(key, 6, buf_slice(&wait), &a) &&
                   browser_page_open(key, 6, buf_slice(&page), &b);
    ASSERT(are_own && memcmp(a.flow, b.flow, sizeof(a.flow)) == 0);
    ASSERT(strpbrk(b.who, "<>&\"'\\\r\n") == NULL && strlen(b.who) <= BROWSER_WHO_BYTES_MAX);
    ASSERT(!browser_wait_open(key, 6, buf_slice(&page), &c));
    ASSERT(!browser_page_open(key, 6, buf_slice(&wait), &c));
    err = browser_state(key, &b, SLICE(COOKIE), &state, NULL);
    ASSERT(err == ERR_OK && browser_state_open(key, 6, buf_slice(&state), SLICE(COOKIE), &c));
    ASSERT(!browser_page_open(key, 6, buf_slice(&state), &c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct browser_key key = {.bytes = {7}};
    struct slice input = {(const char *)data, size};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 16u << 20);
    struct browser_answer answer;
    struct browser_ticket ticket;
    uint8_t flow[BROWSER_FLOW_BYTES];
    if (arena == NULL || size > 65536) {
        return 0;
    }
    if (browser_answer_read(input, arena, &answer)) {
        check_value(answer.state);
        check_value(answer.code);
        check_value(answer.error);
        check_value(answer.issuer);
        ASSERT(answer.state.len > 0 && (answer.code.len > 0) != (answer.error.len > 0));
    }
    ASSERT(!browser_wait_open(&key, 0, input, &ticket));
    ASSERT(!browser_page_open(&key, 0, input, &ticket));
    ASSERT(!browser_state_open(&key, 0, input, SLICE(COOKIE), &ticket));
    (void)browser_state_flow(input, flow);
    check_own(&key, input);
    return 0;
}
