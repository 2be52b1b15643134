/* The rule of fair_int.h, on a clock of the test's own. */
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "query/admission/fair_int.h"

#define CHECK_U64(expected, actual) assert_int_equal((actual), (expected))
#define SECOND INT64_C(1000000)
#define MIB (UINT64_C(1) << 20)
#define TICKETS_MAX 4096

struct world {
    struct fair *fair;
    int64_t now_us;
};

static struct world world_new(uint64_t places, uint64_t memory)
{
    struct fair_options options = {
        .server = {.concurrent_max = places, .queued_max = UINT64_MAX, .memory_bytes_max = memory}};
    struct world world = {.now_us = SECOND};
    CHECK_OK(fair_new(&options, &world.fair));
    return world;
}

static struct fair_party party(const char *key, uint64_t places, uint64_t queued)
{
    return (struct fair_party){slice_of(key), {.concurrent_max = places, .queued_max = queued}};
}

static struct fair_ticket *ask(struct world *world, struct fair_party person)
{
    struct fair_asker asker = {.person = person};
    struct fair_ticket *ticket = NULL;
    struct fair_refusal refusal;
    CHECK_OK(fair_ask(world->fair, &asker, world->now_us++, &ticket, &refusal));
    return ticket;
}

static size_t give_places(struct world *world)
{
    size_t count = 0;
    while (fair_next(world->fair, world->now_us) != NULL) {
        count++;
    }
    return count;
}

static void leave(struct world *world, struct fair_ticket *ticket)
{
    fair_leave(world->fair, ticket, ++world->now_us);
}

TEST(fair, a_thousand_of_one_do_not_delay_the_first_of_another)
{
    /* Goal: ann waits for one place to become free, whatever ben has queued before her.
     * Method: one place in all; ben asks 1,000 times, then ann. */
    struct world world = world_new(1, 0);
    struct fair_ticket *ben[1000];
    for (size_t i = 0; i < ARRAY_COUNT(ben); i++) {
        ben[i] = ask(&world, party("ben", 0, UINT64_MAX));
        (void)give_places(&world);
    }
    struct fair_ticket *ann = ask(&world, party("ann", 0, UINT64_MAX));
    CHECK_U64(0, give_places(&world));
    leave(&world, ben[0]);
    CHECK_U64(1, give_places(&world));
    CHECK(fair_has_place(ann));
    leave(&world, ann);
    for (size_t i = 1; i < ARRAY_COUNT(ben); i++) { /* and his come in his order */
        CHECK_U64(1, give_places(&world));
        CHECK(fair_has_place(ben[i]));
        leave(&world, ben[i]);
    }
    fair_free(world.fair);
}

TEST(fair, nobody_who_waits_is_passed_for_ever)
{
    /* Goal: a stream of people who come anew does not keep an old one out.
     * Method: one place, ann waits; each round somebody new comes and the running one leaves. */
    struct world world = world_new(1, 0);
    char name[16];
    struct fair_ticket *running = ask(&world, party("first", 0, UINT64_MAX));
    (void)give_places(&world);
    struct fair_ticket *before = ask(&world, party("before", 0, UINT64_MAX));
    struct fair_ticket *ann = ask(&world, party("ann", 0, UINT64_MAX));
    struct fair_ticket *others[8];
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        (void)snprintf(name, sizeof(name), "new%zu", i);
        others[i] = ask(&world, party(name, 0, UINT64_MAX));
    }
    leave(&world, running);
    (void)give_places(&world);
    CHECK(fair_has_place(before));
    leave(&world, before);
    (void)give_places(&world);
    CHECK(fair_has_place(ann));
    leave(&world, ann);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        (void)give_places(&world);
        CHECK(fair_has_place(others[i]));
        leave(&world, others[i]);
    }
    fair_free(world.fair);
}

TEST(fair, places_are_dealt_out_evenly_among_those_who_want_them)
{
    /* Goal: of 6 places, three people with 100 statements each get two, whoever came first. */
    struct world world = world_new(6, 0);
    static const char *const names[] = {"ann", "ben", "cem"};
    struct fair_ticket *tickets[3][100];
    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < 100; i++) {
            tickets[p][i] = ask(&world, party(names[p], 0, UINT64_MAX));
        }
    }
    CHECK_U64(6, give_places(&world));
    for (size_t p = 0; p < 3; p++) {
        CHECK_U64(2, fair_count(world.fair, slice_of(names[p])).running);
    }
    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < 100; i++) {
            leave(&world, tickets[p][i]);
        }
    }
    CHECK_U64(0, fair_count(world.fair, SLICE("")).running);
    CHECK_U64(0, fair_count(world.fair, SLICE("")).queued);
    fair_free(world.fair);
}

TEST(fair, a_big_one_is_not_kept_out_by_small_ones)
{
    /* Goal: who is next and needs more memory than there is, gets what becomes free; small ones
     * that would fit wait behind. Method: 8 places, 800 MiB: shares of 50, 400 to be asked for. */
    struct world world = world_new(8, 800 * MIB);
    struct fair_asker big = {.person = party("big", 0, UINT64_MAX), .memory_bytes = 400 * MIB};
    struct fair_refusal refusal;
    struct fair_ticket *first = NULL, *second = NULL;
    CHECK_OK(fair_ask(world.fair, &big, world.now_us++, &first, &refusal));
    CHECK_U64(1, give_places(&world));
    CHECK_U64(400 * MIB, fair_memory(first));
    big.person.key = SLICE("big2");
    CHECK_OK(fair_ask(world.fair, &big, world.now_us++, &second, &refusal));
    CHECK_U64(0, give_places(&world));
    struct fair_ticket *small[4];
    for (size_t i = 0; i < 4; i++) {
        small[i] = ask(&world, party("small", 0, UINT64_MAX));
        CHECK_U64(0, give_places(&world));
    }
    leave(&world, first);
    CHECK_U64(5, give_places(&world));
    CHECK(fair_has_place(second));
    leave(&world, second);
    for (size_t i = 0; i < 4; i++) {
        CHECK(fair_memory(small[i]) >= 50 * MIB);
        leave(&world, small[i]);
    }
    big.memory_bytes = 600 * MIB;
    CHECK_ERR(ERR_BUSY, fair_ask(world.fair, &big, world.now_us, &first, &refusal));
    CHECK_U64(450 * MIB, refusal.memory_limit);
    fair_free(world.fair);
}

TEST(fair, the_first_of_a_role_leaves_memory_for_others_of_it)
{
    /* Goal: a role with memory for several runs several. Method: 64 GiB and 4 places, so that a
     * share is 8 GiB and the first alone could have 16; the role may have 34, and asks thrice. */
    struct world world = world_new(4, 65536 * MIB);
    struct fair_party role = party("role analyst", 0, UINT64_MAX);
    struct fair_asker asker = {.person = party("ann", 0, 9), .roles = &role, .role_count = 1};
    struct fair_ticket *tickets[3];
    struct fair_refusal refusal;
    role.limits.memory_bytes_max = 34816 * MIB;
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(fair_ask(world.fair, &asker, world.now_us++, &tickets[i], &refusal));
        CHECK_U64(1, give_places(&world));
        CHECK(fair_memory(tickets[i]) >= 8192 * MIB);
    }
    CHECK(fair_count(world.fair, role.key).memory_bytes <= 34816 * MIB);
    for (size_t i = 0; i < 3; i++) {
        leave(&world, tickets[i]);
    }
    fair_free(world.fair);
}

TEST(fair, a_role_is_limited_as_a_whole_and_a_person_alone)
{
    struct world world = world_new(100, 0);
    struct fair_party role_analyst = party("role analyst", 3, 4);
    struct fair_asker asker = {.roles = &role_analyst, .role_count = 1};
    struct fair_ticket *tickets[8];
    struct fair_refusal refusal;
    static const char *const names[] = {"ann", "ben", "cem", "dan"};
    for (size_t i = 0; i < 7; i++) {
        asker.person = party(names[i % 4], 1, 10);
        CHECK_OK(fair_ask(world.fair, &asker, world.now_us++, &tickets[i], &refusal));
        (void)give_places(&world);
    }
    struct fair_counts role = fair_count(world.fair, SLICE("role analyst"));
    CHECK_U64(3, role.running);
    CHECK_U64(4, role.queued);
    CHECK_ERR(ERR_BUSY, fair_ask(world.fair, &asker, world.now_us, &tickets[7], &refusal));
    CHECK(refusal.level == FAIR_ROLE && slice_equal(refusal.key, SLICE("role analyst")));
    struct fair_ticket *other = ask(&world, party("eve", 1, 0)); /* none of them: free to go */
    CHECK_U64(1, give_places(&world));
    leave(&world, other);
    for (size_t i = 0; i < 7; i++) {
        leave(&world, tickets[i]);
    }
    fair_free(world.fair);
}

TEST(fair, a_refusal_says_how_long_it_would_have_been)
{
    /* Goal: the estimate follows measured run times. Method: statements of 10 s, two places; with
     * 4 waiting, a fifth would wait for 5 of them on 2 places: 25 s. */
    struct world world = world_new(2, 0);
    struct fair_ticket *tickets[6];
    for (size_t i = 0; i < 2; i++) {
        tickets[i] = ask(&world, party("ann", 0, 4));
        (void)give_places(&world);
        world.now_us += 10 * SECOND - 1;
        leave(&world, tickets[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        tickets[i] = ask(&world, party("ann", 0, 4));
        (void)give_places(&world);
    }
    struct fair_asker asker = {.person = party("ann", 0, 4)};
    struct fair_refusal refusal;
    struct fair_ticket *ticket;
    CHECK_ERR(ERR_BUSY, fair_ask(world.fair, &asker, world.now_us, &ticket, &refusal));
    CHECK(refusal.level == FAIR_PERSON && refusal.count == 4);
    CHECK(refusal.wait_us > 24 * SECOND && refusal.wait_us < 26 * SECOND);
    for (size_t i = 0; i < 6; i++) {
        leave(&world, tickets[i]);
    }
    fair_free(world.fair);
}

TEST(fair, a_rate_lets_a_burst_through_and_then_one_at_a_time)
{
    struct world world = world_new(2, 0);
    struct fair_party ann = {SLICE("ann"), {.rate_per_minute = 60, .burst = 3}};
    int64_t wait_us = 0;
    bool is_first = false;
    for (int i = 0; i < 3; i++) {
        CHECK(fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first));
    }
    CHECK(!fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first) && is_first);
    CHECK(wait_us == SECOND);
    CHECK(!fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first) && !is_first);
    world.now_us += SECOND;
    CHECK(fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first));
    CHECK(!fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first) && is_first);
    struct fair_party ben = {SLICE("ben"), {.rate_per_minute = 60, .burst = 1}};
    CHECK(fair_rate(world.fair, &ben, world.now_us, &wait_us, &is_first)); /* it is hers alone */
    world.now_us += 60 * SECOND; /* a long pause gives no more than the burst */
    for (int i = 0; i < 3; i++) {
        CHECK(fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first));
    }
    CHECK(!fair_rate(world.fair, &ann, world.now_us, &wait_us, &is_first));
    fair_free(world.fair);
}

/* ---- whatever happens ---- */

struct model {
    struct world world;
    struct fair_ticket *tickets[TICKETS_MAX];
    size_t count;
};

static void check_limits(const struct model *model, uint64_t memory)
{
    uint64_t granted = 0;
    for (size_t i = 0; i < model->count; i++) {
        granted += fair_has_place(model->tickets[i]) ? fair_memory(model->tickets[i]) : 0;
    }
    struct fair_counts all = fair_count(model->world.fair, SLICE(""));
    CHECK_U64(granted, all.memory_bytes);
    CHECK(granted <= memory && all.running <= 8);
    CHECK(fair_count(model->world.fair, SLICE("role a")).running <= 3);
    CHECK(fair_count(model->world.fair, SLICE("role a")).memory_bytes <= 300 * MIB);
    CHECK(fair_count(model->world.fair, SLICE("p0")).running <= 2);
}

TEST(fair, limits_hold_whatever_happens_and_all_get_their_place)
{
    /* Goal: the sum of grants never passes the whole, no limit is passed, and whoever waits runs
     * in the end. Method: random asking and leaving; then everybody leaves. */
    uint64_t seed = test_seed();
    struct model *model = mem_calloc(1, sizeof(*model));
    CHECK(model != NULL);
    model->world = world_new(8, 1000 * MIB);
    for (int step = 0; step < 4000; step++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "p%u", (unsigned)test_random_below(&seed, 6));
        struct fair_party role_a = party("role a", 3, 30);
        struct fair_asker asker = {.person = party(name, 2, 20), .roles = &role_a};
        asker.memory_bytes =
            test_random_below(&seed, 4) == 0 ? (1 + test_random_below(&seed, 280)) * MIB : 0;
        asker.role_count = test_random_below(&seed, 2);
        role_a.limits.memory_bytes_max = 300 * MIB;
        struct fair_refusal refusal;
        if (test_random_below(&seed, 2) == 0 && model->count < TICKETS_MAX) {
            enum err err = fair_ask(model->world.fair, &asker, model->world.now_us,
                                    &model->tickets[model->count], &refusal);
            CHECK(err == ERR_OK || err == ERR_BUSY);
            model->count += err == ERR_OK;
        } else if (model->count > 0) {
            size_t i = test_random_below(&seed, model->count);
            leave(&model->world, model->tickets[i]);
            model->tickets[i] = model->tickets[--model->count];
        }
        model->world.now_us += (int64_t)test_random_below(&seed, 1000);
        (void)give_places(&model->world);
        check_limits(model, 1000 * MIB);
    }
    while (model->count > 0) {
        size_t before = model->count;
        for (size_t i = model->count; i-- > 0;) {
            if (fair_has_place(model->tickets[i])) {
                leave(&model->world, model->tickets[i]);
                model->tickets[i] = model->tickets[--model->count];
            }
        }
        (void)give_places(&model->world);
        CHECK(model->count < before);
    }
    fair_free(model->world.fair);
    mem_free(model);
}

TEST(fair, without_memory_nobody_is_counted)
{
    SWEEP_ALLOC(fault)
    {
        struct fair_options options = {.server = {.concurrent_max = 1, .queued_max = 1}};
        struct fair *fair = NULL;
        struct fair_party role_a = party("role a", 1, 1);
        struct fair_asker asker = {.person = party("ann", 0, 1), .roles = &role_a, .role_count = 1};
        struct fair_ticket *ticket = NULL;
        struct fair_refusal refusal;
        if (fair_new(&options, &fair) != ERR_OK) {
            CHECK(fault.fired);
            continue;
        }
        enum err err = fair_ask(fair, &asker, 1, &ticket, &refusal);
        CHECK(err == (fault.fired ? ERR_NOMEM : ERR_OK));
        CHECK_U64(err == ERR_OK ? 1 : 0, fair_count(fair, SLICE("")).queued);
        CHECK_U64(err == ERR_OK ? 1 : 0, fair_count(fair, SLICE("role a")).queued);
        if (err == ERR_OK) {
            fair_leave(fair, ticket, 2);
        }
        fair_free(fair);
    }
}

TEST(fair, what_is_kept_of_people_does_not_grow)
{
    /* Goal: "nothing a client sends makes memory grow without bound". Method: 100,000 people. */
    struct world world = world_new(2, 0);
    char name[32];
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "p%u", i);
        struct fair_party person = {slice_of(name), {.rate_per_minute = 6000, .queued_max = 1}};
        int64_t wait_us;
        bool is_first;
        CHECK(fair_rate(world.fair, &person, world.now_us, &wait_us, &is_first));
        struct fair_ticket *ticket = ask(&world, person);
        CHECK_U64(1, give_places(&world));
        leave(&world, ticket);
        world.now_us += 20000;
    }
    CHECK_U64(0, fair_count(world.fair, SLICE("p0")).running);
    fair_free(world.fair);
}

TEST(fair, says_whose_place_another_waits_for)
{
    /* Goal: nobody is ended for another who would have to wait all the same. */
    struct world world = world_new(3, 0);
    struct fair_ticket *ann = ask(&world, party("ann", 1, UINT64_MAX));
    struct fair_ticket *ben = ask(&world, party("ben", 2, UINT64_MAX));
    CHECK_U64(2, give_places(&world));
    struct fair_ticket *ann2 = ask(&world, party("ann", 1, UINT64_MAX));
    CHECK_U64(0, give_places(&world));
    CHECK(fair_blocks(world.fair, ann, ann2)); /* her own limit: nobody else's place would help */
    CHECK(!fair_blocks(world.fair, ben, ann2));
    CHECK(!fair_blocks(world.fair, ann2, ann));
    struct fair_ticket *ben2 = ask(&world, party("ben", 2, UINT64_MAX));
    struct fair_ticket *cid = ask(&world, party("cid", 5, UINT64_MAX));
    CHECK_U64(1, give_places(&world));
    struct fair_ticket *placed = fair_has_place(ben2) ? ben2 : cid;
    struct fair_ticket *other = placed == ben2 ? cid : ben2;
    CHECK(fair_blocks(world.fair, ann, cid) == (other == cid)); /* the server's: anybody's would */
    CHECK(fair_blocks(world.fair, ben, cid) == (other == cid));
    CHECK(fair_blocks(world.fair, ann, ann2)); /* both her limit and the server's */
    CHECK(!fair_blocks(world.fair, ben, ann2));
    struct fair_ticket *const all[] = {ann2, ann, ben, other, placed};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        leave(&world, all[i]);
    }
    fair_free(world.fair);
}
