/* The protocol over a wire and sessions that are not (pg_fixture.h): what real clients do not send.
 * What they do send is in tests/wire, against the program. */
#include "base/sweep.h"
#include "base/test.h"
#include "wire/pg/pg_conversation.h"

#define RANDOM_MESSAGES 100000

static void send_message(struct conversation *conversation, char type, const void *body, size_t len)
{
    struct buf message CLEANUP(buf_fini) = {0};
    size_t begun = pg__begin(&message, type);
    buf_append(&message, body, len);
    pg__end(&message, begun);
    conversation_feed(conversation, buf_slice(&message));
}

/* Types of what was sent since the last call. */
static const char *answers(struct conversation *conversation)
{
    static char types[256];
    size_t count = 0;
    struct slice sent = buf_slice(&conversation->wire.sent);
    while (sent.len > 0) {
        types[count++] = sent.ptr[0];
        size_t len = pg__peek32(sent.ptr + 1) + 1;
        sent = (struct slice){sent.ptr + len, sent.len - len};
    }
    types[count] = '\0';
    buf_reset(&conversation->wire.sent);
    return types;
}

TEST(pg, a_login_tells_parameters_key_and_readiness)
{
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_login(&conversation);
    CHECK(conversation.wire.is_ready);
    CHECK_STR("RRRRSSSSSSSSSSSSSSKZ", answers(&conversation));
    conversation_end(&conversation);
}

TEST(pg, bytes_may_come_one_by_one)
{
    static const char query[] = "Q\0\0\0\x0dSELECT 1\0";
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_login(&conversation);
    (void)answers(&conversation);
    for (size_t i = 0; i < 14; i++) {
        CHECK_STR("", answers(&conversation));
        conversation_feed(&conversation, (struct slice){query + i, 1});
    }
    CHECK_STR("TCZ", answers(&conversation));
    conversation_end(&conversation);
}

TEST(pg, an_error_skips_all_up_to_sync)
{
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_login(&conversation);
    (void)answers(&conversation);
    send_message(&conversation, 'P', "\0SELECT nope\0\0\0", 15);
    send_message(&conversation, 'B', "\0\0\0\0\0\0\0\0", 8);
    send_message(&conversation, 'E', "\0\0\0\0\0", 5);
    CHECK_STR("12E", answers(&conversation));
    send_message(&conversation, 'P', "\0SELECT 1\0\0\0", 12);
    send_message(&conversation, 'Q', "SELECT 1\0", 9);
    CHECK_STR("", answers(&conversation));
    send_message(&conversation, 'S', "", 0);
    CHECK_STR("Z", answers(&conversation));
    conversation_end(&conversation);
}

TEST(pg, a_wrong_password_ends_the_connection)
{
    static const char start[] = "\0\0\0\x15\0\3\0\0user\0amelia\0";
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_feed(&conversation, (struct slice){start, 21});
    send_message(&conversation, 'p', "SCRAM-SHA-256\0\0\0\0\5n,,n=", 23);
    send_message(&conversation, 'p', "wrong", 5);
    CHECK_STR("RRE", answers(&conversation));
    CHECK(conversation.wire.is_finished && !conversation.wire.is_ready);
    conversation_end(&conversation);
}

TEST(pg, data_are_awaited_in_the_middle_of_a_message)
{
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_login(&conversation);
    (void)answers(&conversation);
    send_message(&conversation, 'Q', "SELECT 1; COPY t FROM STDIN; SELECT 2\0", 38);
    CHECK_STR("TCG", answers(&conversation));
    send_message(&conversation, 'd', "1\tx\n2", 5);
    send_message(&conversation, 'S', "", 0);
    send_message(&conversation, 'H', "", 0);
    send_message(&conversation, 'd', "\ty\n", 3);
    CHECK_STR("", answers(&conversation));
    send_message(&conversation, 'c', "", 0);
    CHECK(slice_find(buf_slice(&conversation.wire.sent), SLICE("COPY 2")) != SIZE_MAX);
    CHECK_STR("CTCZ", answers(&conversation));
    send_message(&conversation, 'Q', "COPY t FROM STDIN\0", 18);
    CHECK_STR("G", answers(&conversation));
    send_message(&conversation, 'd', "1\tx\ny\tx\n", 8);
    CHECK(slice_find(buf_slice(&conversation.wire.sent),
                     SLICE("WCOPY t, line 2, column n: \"y\"")) != SIZE_MAX);
    CHECK_STR("EZ", answers(&conversation));
    send_message(&conversation, 'd', "1\tx\n", 4);
    send_message(&conversation, 'c', "", 0);
    CHECK_STR("", answers(&conversation));
    conversation_end(&conversation);
}

#define GOOD(type, body)                                                                           \
    {                                                                                              \
        type, body, sizeof(body) - 1                                                               \
    }

static size_t random_message(uint64_t *seed, char *bytes, size_t size)
{
    static const struct {
        char type;
        const char *body;
        size_t len;
    } good[] = {
        GOOD('Q', "SELECT 1\0"),
        GOOD('Q', "BEGIN; DECLARE c CURSOR FOR SELECT 1\0"),
        GOOD('Q', "COMMIT\0"),
        GOOD('Q', "FETCH 2 c; CLOSE c\0"),
        GOOD('Q', "SELECT nope\0"),
        GOOD('Q', "SET DateStyle = 'ISO'\0"),
        GOOD('Q', "SAVEPOINT s; ROLLBACK TO s\0"),
        GOOD('Q', "COPY (SELECT 12) TO STDOUT\0"),
        GOOD('Q', "COPY t FROM STDIN; FETCH 1 c\0"),
        GOOD('P', "\0COPY t FROM STDIN CSV HEADER\0\0\0"),
        GOOD('d', "1\tx\n"),
        GOOD('d', "1,\"x"),
        GOOD('c', ""),
        GOOD('f', "no\0"),
        GOOD('P', "a\0SELECT $1\0\0\1\0\0\0\x17"),
        GOOD('P', "\0SELECT 12\0\0\0"),
        GOOD('B', "p\0a\0\0\0\0\1\0\0\0\1x\0\0"),
        GOOD('B', "\0\0\0\0\0\0\0\0"),
        GOOD('B', "\0a\0\0\1\0\1\0\1\0\0\0\4\0\0\0\5\0\1\0\1"),
        GOOD('D', "P\0"),
        GOOD('D', "Sa\0"),
        GOOD('E', "\0\0\0\0\1"),
        GOOD('E', "p\0\0\0\0\0"),
        GOOD('C', "Sa\0"),
        GOOD('C', "Pp\0"),
        GOOD('S', ""),
        GOOD('H', ""),
        GOOD('X', ""),
    };
    size_t which = test_random_below(seed, ARRAY_COUNT(good));
    size_t len = good[which].len + 5;
    ASSERT(len <= size);
    bytes[0] = good[which].type;
    memcpy(bytes + 1, (uint8_t[]){0, 0, 0, (uint8_t)(len - 1)}, 4);
    memcpy(bytes + 5, good[which].body, good[which].len);
    if (test_random_below(seed, 10) == 0) {
        bytes[test_random_below(seed, len)] = (char)test_random(seed);
    }
    return test_random_below(seed, 100) == 0 ? test_random_below(seed, len) : len;
}

TEST(pg, random_and_mutated_messages_keep_the_protocol)
{
    // Goal: no bytes of a client crash it, make it spin or make it send half a message.
    uint64_t seed = test_seed();
    char bytes[64];
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_login(&conversation);
    for (size_t i = 0; i < RANDOM_MESSAGES; i++) {
        if (conversation.wire.is_finished || test_random_below(&seed, 200) == 0) {
            conversation_end(&conversation);
            conversation_begin(&conversation);
            conversation_login(&conversation);
        }
        size_t len = random_message(&seed, bytes, sizeof(bytes));
        conversation_feed(&conversation, (struct slice){bytes, len});
        if (conversation.wire.sent.len > 1 << 20) {
            conversation_check(&conversation);
            buf_reset(&conversation.wire.sent);
        }
    }
    conversation_end(&conversation);
}

TEST(pg, memory_may_end_anywhere)
{
    SWEEP_ALLOC(fault)
    {
        struct conversation conversation = {0};
        fault_disarm(); /* what the loop and the server have made stands */
        conversation_begin(&conversation);
        conversation_login(&conversation);
        struct fault armed = fault;
        fault_arm(&armed);
        send_message(&conversation, 'P', "a\0SELECT $1\0\0\0", 14);
        send_message(&conversation, 'B', "p\0a\0\0\0\0\0\0\0", 10);
        send_message(&conversation, 'E', "p\0\0\0\0\1", 6);
        send_message(&conversation, 'S', "", 0);
        send_message(&conversation, 'Q', "BEGIN; SET application_name = x; ROLLBACK\0", 42);
        send_message(&conversation, 'Q', "COPY t FROM STDIN CSV\0", 22);
        send_message(&conversation, 'd', "1,\"x\"\n2", 7);
        send_message(&conversation, 'd', ",\n", 2);
        send_message(&conversation, 'c', "", 0);
        fault_disarm();
        fault.fired = armed.fired;
        pg_protocol.close(conversation.state);
        pg_server_close(conversation.server);
        config_free(conversation.config);
        buf_fini(&conversation.pending);
        buf_fini(&conversation.wire.sent);
    }
}

/* ---- other ways in than a password ---- */

#define START_TOKEN "\0\0\0\x26\0\3\0\0user\0amelia\0moat.login\0token\0"
#define START_PLAIN "\0\0\0\x15\0\3\0\0user\0amelia\0"

static void oauth_initial(struct conversation *conversation, const char *token)
{
    struct buf body CLEANUP(buf_fini) = {0};
    char message[64];
    int len = snprintf(message, sizeof(message), "n,,\1auth=%s\1\1", token);
    buf_append(&body, "OAUTHBEARER", 12);
    pg_put32(&body, (uint32_t)len);
    buf_append(&body, message, (size_t)len);
    send_message(conversation, 'p', body.ptr, body.len);
}

/* True if what was sent holds these bytes. */
static bool has_sent(const struct conversation *conversation, const char *bytes, size_t len)
{
    return slice_find(buf_slice(&conversation->wire.sent), (struct slice){bytes, len}) != SIZE_MAX;
}

TEST(pg, a_secret_is_asked_for_and_wiped)
{
    // Goal: the cleartext request, its answers, and that nothing of them stays in the buffer.
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_feed(&conversation, (struct slice){START_TOKEN, 38});
    CHECK(has_sent(&conversation, "R\0\0\0\x08\0\0\0\3", 9));
    char bytes[] = "p\0\0\0\x0aright\0";
    CHECK(pg_protocol.need(conversation.state, (struct slice){bytes, 11}) == 11);
    CHECK(pg_protocol.work(conversation.state, (struct slice){bytes, 11}) == 11);
    CHECK(memcmp(bytes + 5, "\0\0\0\0\0\0", 6) == 0);
    CHECK(conversation.wire.is_ready && !conversation.wire.is_finished);
    CHECK(has_sent(&conversation, "R\0\0\0\x08\0\0\0\0", 9));
    conversation_end(&conversation);

    conversation_begin(&conversation);
    conversation_feed(&conversation, (struct slice){START_TOKEN, 38});
    send_message(&conversation, 'p', "wrong\0", 6);
    CHECK(conversation.wire.is_finished && !conversation.wire.is_ready);
    conversation_end(&conversation);

    conversation_begin(&conversation);
    conversation_feed(&conversation, (struct slice){START_TOKEN, 38});
    send_message(&conversation, 'p', "right\0more\0", 11);
    CHECK(conversation.wire.is_finished && has_sent(&conversation, "08P01", 5));
    conversation_end(&conversation);
}

TEST(pg, oauthbearer_hears_where_tokens_are_before_it_fails)
{
    // Goal: RFC 7628, 3.2.2, 3.2.3: the answer to a token that is wrong or missing, then the end.
    static const char *const tokens[] = {"Bearer wrong", ""};
    struct conversation conversation;
    conversation_begin(&conversation);
    conversation_feed(&conversation, (struct slice){START_PLAIN, 21});
    CHECK(has_sent(&conversation, "OAUTHBEARER", 11));
    oauth_initial(&conversation, "Bearer right");
    CHECK(conversation.wire.is_ready && !conversation.wire.is_finished);
    conversation_end(&conversation);
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        conversation_begin(&conversation);
        conversation_feed(&conversation, (struct slice){START_PLAIN, 21});
        oauth_initial(&conversation, tokens[i]);
        CHECK(!conversation.wire.is_finished);
        CHECK(has_sent(&conversation, "invalid_token", 13));
        send_message(&conversation, 'p', "\1", 1);
        CHECK(conversation.wire.is_finished && !conversation.wire.is_ready);
        CHECK(has_sent(&conversation, "28000", 5));
        conversation_end(&conversation);
    }
}

TEST(pg, memory_may_end_in_any_login)
{
    SWEEP_ALLOC(fault)
    {
        for (int way = 0; way < 3 && !fault.fired; way++) {
            struct conversation conversation = {0};
            fault_disarm();
            conversation_begin(&conversation);
            struct fault armed = fault;
            fault_arm(&armed);
            conversation_feed(&conversation, way == 0 ? (struct slice){START_TOKEN, 38}
                                                      : (struct slice){START_PLAIN, 21});
            if (way == 0) {
                send_message(&conversation, 'p', "right\0", 6);
            } else {
                oauth_initial(&conversation, way == 1 ? "Bearer right" : "");
                send_message(&conversation, 'p', "\1", 1);
            }
            fault_disarm();
            fault.fired = armed.fired;
            pg_protocol.close(conversation.state);
            pg_server_close(conversation.server);
            config_free(conversation.config);
            buf_fini(&conversation.pending);
            buf_fini(&conversation.wire.sent);
        }
    }
}
