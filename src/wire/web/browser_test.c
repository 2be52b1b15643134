/* Tickets of sign-ins by a browser, and what becomes of them; the whole way: tests/trino. */
#include "base/clock.h"
#include "base/sweep.h"
#include "base/test.h"
#include "wire/web/browser.h"

#define COOKIE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct browser_key key = {.bytes = {1, 2, 3}};

struct fixture {
    struct buf wait, page;
    struct browser_ticket ticket;
    struct browser_outcomes *outcomes;
};

static void fixture_fini(struct fixture *f)
{
    buf_fini(&f->wait);
    buf_fini(&f->page);
    browser_outcomes_close(f->outcomes);
}

static void begin(struct fixture *f, int64_t now_us)
{
    buf_fini(&f->wait);
    buf_fini(&f->page);
    CHECK_OK(browser_begin(&key, now_us, SLICE("10.0.0.7"), SLICE("trino-cli <b>\n\"x"), &f->wait,
                           &f->page, NULL));
    CHECK(browser_page_open(&key, now_us, buf_slice(&f->page), &f->ticket));
}

TEST(browser, tickets_are_of_one_key_kind_and_time)
{
    struct fixture f CLEANUP(fixture_fini) = {0};
    struct browser_ticket ticket;
    const struct browser_key other = {.bytes = {1, 2, 4}};
    begin(&f, 1000);
    assert_string_equal("10.0.0.7 trino-cli ?b???x", f.ticket.who);
    struct slice wait = buf_slice(&f.wait), page = buf_slice(&f.page);
    CHECK(browser_wait_open(&key, 1000 + BROWSER_LIFE_US, wait, &ticket));
    assert_memory_equal(ticket.flow, f.ticket.flow, sizeof(ticket.flow));
    CHECK(!browser_wait_open(&key, 1001 + BROWSER_LIFE_US, wait, &ticket));
    CHECK(!browser_page_open(&key, 1001 + BROWSER_LIFE_US, page, &ticket));
    CHECK(!browser_wait_open(&key, 999, wait, &ticket)); /* of a clock that was another's */
    CHECK(!browser_wait_open(&other, 1000, wait, &ticket));
    CHECK(!browser_page_open(&other, 1000, page, &ticket));
    CHECK(!browser_wait_open(&key, 1000, page, &ticket));
    CHECK(!browser_page_open(&key, 1000, wait, &ticket));
    for (size_t i = 0; i < wait.len; i++) { /* any half of a byte that is another */
        f.wait.ptr[i] ^= 1;
        CHECK(!browser_wait_open(&key, 1000, wait, &ticket));
        f.wait.ptr[i] ^= 1;
    }
    for (size_t i = 0; i < wait.len; i++) {
        CHECK(!browser_wait_open(&key, 1000, (struct slice){wait.ptr, i}, &ticket));
    }
}

TEST(browser, a_state_is_its_cookies)
{
    struct fixture f CLEANUP(fixture_fini) = {0};
    struct buf sealed CLEANUP(buf_fini) = {0};
    struct browser_ticket ticket;
    uint8_t flow[BROWSER_FLOW_BYTES];
    char a[BROWSER_DERIVED_BYTES], b[BROWSER_DERIVED_BYTES];
    begin(&f, 1000);
    CHECK_OK(browser_state(&key, &f.ticket, SLICE(COOKIE), &sealed, NULL));
    struct slice text = buf_slice(&sealed);
    CHECK(browser_state_flow(text, flow));
    assert_memory_equal(flow, f.ticket.flow, sizeof(flow));
    CHECK(browser_state_open(&key, 1000, text, SLICE(COOKIE), &ticket));
    CHECK(!browser_state_open(&key, 1000, text, SLICE(OTHER), &ticket));
    CHECK(!browser_state_open(&key, 1000, text, SLICE(""), &ticket));
    CHECK(!browser_state_open(&key, 1001 + BROWSER_LIFE_US, text, SLICE(COOKIE), &ticket));
    CHECK_OK(browser_derive(&key, "nonce", &f.ticket, SLICE(COOKIE), a, NULL));
    CHECK_OK(browser_derive(&key, "nonce", &f.ticket, SLICE(COOKIE), b, NULL));
    assert_string_equal(a, b);
    CHECK_OK(browser_derive(&key, "verifier", &f.ticket, SLICE(COOKIE), b, NULL));
    assert_string_not_equal(a, b);
    CHECK_OK(browser_derive(&key, "nonce", &f.ticket, SLICE(OTHER), b, NULL));
    assert_string_not_equal(a, b);
    begin(&f, 1000);
    CHECK_OK(browser_derive(&key, "nonce", &f.ticket, SLICE(COOKIE), b, NULL));
    assert_string_not_equal(a, b);
}

TEST(browser, answers_are_read_strictly)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct browser_answer answer;
    CHECK(browser_answer_read(SLICE("x=1&code=a%2Fb+c&state=s&iss=https%3a//i&session_state=%zz"),
                              arena, &answer));
    CHECK(slice_equal(answer.code, SLICE("a/b c")) && slice_equal(answer.state, SLICE("s")));
    CHECK(slice_equal(answer.issuer, SLICE("https://i")) && answer.error.len == 0);
    static const char *const wrong[] = {"",
                                        "code=1",
                                        "state=1",
                                        "state=1&code=",
                                        "state=1&code=2&error=3",
                                        "state=1&code=2&state=1",
                                        "state=1&code=2&iss=a&iss=a",
                                        "state=1&code=%",
                                        "state=1&code=%4",
                                        "state=1&code=%0a",
                                        "state=1&code=%c3%bc",
                                        "state=1;code=2"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK(!browser_answer_read(slice_of(wrong[i]), arena, &answer));
    }
}

static enum browser_result ask(struct fixture *f, struct secret *token)
{
    struct browser_waiter waiter = {.address = SLICE("10.0.0.7")};
    return browser_outcome_wait(f->outcomes, &f->ticket, &waiter, 0, token);
}

static void give(struct fixture *f, const char *text, const char *person)
{
    struct secret token CLEANUP(secret_fini) = {0};
    CHECK_OK(browser_outcome_begin(f->outcomes, &f->ticket, NULL));
    CHECK(secret_copy(slice_of(text), &token));
    browser_outcome_set(f->outcomes, &f->ticket, &token, slice_of(person));
    assert_null(token.ptr);
}

TEST(browser, a_token_is_given_once)
{
    struct fixture f CLEANUP(fixture_fini) = {0};
    struct secret token CLEANUP(secret_fini) = {0};
    CHECK_OK(browser_outcomes_open(&f.outcomes, NULL));
    begin(&f, clock_mono_us());
    assert_int_equal(BROWSER_PENDING, ask(&f, &token));
    CHECK(!browser_outcome_is_begun(f.outcomes, &f.ticket));
    CHECK_OK(browser_outcome_begin(f.outcomes, &f.ticket, NULL));
    CHECK(browser_outcome_is_begun(f.outcomes, &f.ticket));
    CHECK_ERR(ERR_DENIED, browser_outcome_begin(f.outcomes, &f.ticket, NULL)); /* at once */
    assert_int_equal(BROWSER_PENDING, ask(&f, &token));
    CHECK(secret_copy(SLICE("t"), &token));
    browser_outcome_set(f.outcomes, &f.ticket, &token, SLICE("bob"));
    assert_int_equal(BROWSER_TOKEN, ask(&f, &token));
    CHECK(slice_equal(secret_slice(&token), SLICE("t")));
    assert_int_equal(BROWSER_GIVEN, ask(&f, &token));
    CHECK_ERR(ERR_DENIED, browser_outcome_begin(f.outcomes, &f.ticket, NULL)); /* and afterwards */
    begin(&f, clock_mono_us());
    CHECK_OK(browser_outcome_begin(f.outcomes, &f.ticket, NULL));
    browser_outcome_set(f.outcomes, &f.ticket, NULL, SLICE(""));
    assert_int_equal(BROWSER_FAILED, ask(&f, &token));
    assert_int_equal(BROWSER_GIVEN, ask(&f, &token));
}

/* What has failed makes room; what somebody signed in for does not, and a person has so many. */
TEST(browser, outcomes_are_bounded)
{
    struct fixture f CLEANUP(fixture_fini) = {0};
    struct secret token CLEANUP(secret_fini) = {0};
    CHECK_OK(browser_outcomes_open(&f.outcomes, NULL));
    begin(&f, clock_mono_us());
    struct browser_ticket bobs = f.ticket;
    give(&f, "bobs", "bob");
    for (unsigned i = 0; i < 5000; i++) {
        begin(&f, clock_mono_us());
        CHECK_OK(browser_outcome_begin(f.outcomes, &f.ticket, NULL));
        browser_outcome_set(f.outcomes, &f.ticket, NULL, SLICE(""));
    }
    f.ticket = bobs;
    assert_int_equal(BROWSER_TOKEN, ask(&f, &token));
    struct browser_ticket first = {0};
    for (unsigned i = 0; i < 17; i++) {
        begin(&f, clock_mono_us());
        first = i == 0 ? f.ticket : first;
        give(&f, "anna's", "anna");
    }
    assert_int_equal(BROWSER_TOKEN, ask(&f, &token));
    f.ticket = first;
    assert_int_equal(BROWSER_GIVEN, ask(&f, &token));
    enum err err = ERR_OK; /* so many ask the issuer at a time, and no more */
    unsigned count = 0;
    struct browser_ticket under_way[32];
    for (; err == ERR_OK && count < ARRAY_COUNT(under_way); count++) {
        begin(&f, clock_mono_us());
        under_way[count] = f.ticket;
        err = browser_outcome_begin(f.outcomes, &f.ticket, NULL);
    }
    assert_int_equal(ERR_BUSY, err);
    assert_int_equal(17, count);
    for (unsigned i = 0; i + 1 < count; i++) {
        browser_outcome_set(f.outcomes, &under_way[i], NULL, SLICE(""));
    }
}

/* Memory that is not there is told, and nothing is left behind. */
TEST(browser, without_memory_nothing_is_half)
{
    SWEEP_ALLOC(fault)
    {
        struct fixture f CLEANUP(fixture_fini) = {0};
        struct secret token CLEANUP(secret_fini) = {0};
        enum err err = browser_outcomes_open(&f.outcomes, NULL);
        if (err == ERR_OK) {
            err = browser_begin(&key, clock_mono_us(), SLICE("a"), SLICE("b"), &f.wait, &f.page,
                                NULL);
        }
        if (err == ERR_OK) {
            CHECK(browser_page_open(&key, clock_mono_us(), buf_slice(&f.page), &f.ticket));
            err = browser_outcome_begin(f.outcomes, &f.ticket, NULL);
        }
        if (err == ERR_OK) {
            browser_outcome_set(f.outcomes, &f.ticket, NULL, SLICE(""));
            assert_int_equal(BROWSER_FAILED, ask(&f, &token));
        }
        CHECK(err == ERR_OK || err == ERR_NOMEM);
    }
}
