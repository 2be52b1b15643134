/* The list of clients: who sees and stops whom, by table; the list while others come and go. */
#include "query/clients.h"

#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "query/query_int.h"

struct person {
    struct identity *who;
    struct client *client;
    int cancelled, terminated;
};

static struct identity *make(const char *name, int64_t principal, bool is_owner, const char *role)
{
    struct identity *who;
    struct slice roles[] = {slice_of(role)};
    struct identity_spec spec = {.subject = slice_of(name),
                                 .provider = SLICE("password"),
                                 .principal = principal,
                                 .is_owner = is_owner,
                                 .roles = roles,
                                 .role_count = role[0] == '\0' ? 0 : 1};
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

static void on_cancel(void *context)
{
    ((struct person *)context)->cancelled++;
}

static void on_terminate(void *context, UNUSED enum client_end why)
{
    ((struct person *)context)->terminated++;
}

static enum err enter(struct warehouse *warehouse, struct person *person)
{
    struct client_spec spec = {.protocol = "test",
                               .who = person->who,
                               .address = SLICE("192.0.2.1:5"),
                               .application = SLICE("tool"),
                               .context = person,
                               .cancel = on_cancel,
                               .terminate = on_terminate};
    return client_open(warehouse, &spec, &person->client, NULL);
}

TEST(clients, see_and_stop_whom_they_may)
{
    // Goal: the table of docs/server.md, for each pair. bob2 has bob's name, and is somebody else.
    enum {
        OWNER,
        ADMIN,
        OPERATOR,
        BOB,
        BOB2,
        STRANGER,
        COUNT
    };
    static const char *const stops[COUNT] = {
        [OWNER] = "111111", [ADMIN] = "011111", [OPERATOR] = "001111",
        [BOB] = "000100",   [BOB2] = "000010",  [STRANGER] = "000001",
    };
    struct warehouse warehouse = {0};
    struct person people[COUNT] = {
        {.who = make("olga", 1, true, "")},
        {.who = make("ada", 3, false, "moat_admin")},
        {.who = make("op", 4, false, "moat_operator")},
        {.who = make("bob", 5, false, "analyst")},
        {.who = make("Bob", 6, false, "")},
        {.who = make("sam", 0, false, "")},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "list", 0);
    clients_init(&warehouse.clients);
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(enter(&warehouse, &people[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        struct catalog_activity activity;
        CHECK_OK(clients_list(&warehouse.clients, people[i].who, people[i].client, arena, &activity,
                              NULL));
        assert_int_equal(i <= OPERATOR ? COUNT : 1, (int)activity.client_count);
        assert_int_equal((int)client_id(people[i].client), (int)activity.self_id);
        for (int j = 0; j < COUNT; j++) {
            bool is_done;
            struct slice user;
            int before = people[j].cancelled;
            CHECK_OK(clients_signal(&warehouse.clients, people[i].who, client_id(people[j].client),
                                    CLIENT_CANCEL, arena, &is_done, &user, NULL));
            assert_int_equal(stops[i][j] == '1', is_done);
            assert_int_equal(before + is_done, people[j].cancelled);
            assert_int_equal(0, people[j].terminated);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        client_close(people[i].client);
        identity_unref(people[i].who);
    }
    clients_fini(&warehouse.clients);
}

TEST(clients, operators_do_not_read_constants)
{
    struct warehouse warehouse = {0};
    struct session session = {.warehouse = &warehouse, .who = make("bob", 5, false, "")};
    struct query query = {.session = &session, .id = "11111111-2222-7333-8444-555555555555"};
    struct identity *operator CLEANUP(identity_cleanup) = make("op", 4, false, "moat_operator");
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "list", 0);
    struct catalog_activity activity;
    clients_init(&warehouse.clients);
    clients_add(&warehouse.clients, &query);
    query.audit_statement =
        SLICE("SELECT a /* ssn 078-05-1120 */ FROM t -- x\nWHERE b='o''neil' AND c IN (17, 1e5, "
              "$tag$secret$tag$, E'\\x41') AND \"quoted 5\" = $1");
    query.tag = "SELECT";
    clients_tell(&warehouse.clients, &query);
    CHECK_OK(clients_list(&warehouse.clients, operator, NULL, arena, &activity, NULL));
    assert_int_equal(1, (int)activity.running_count);
    CHECK_SLICE("SELECT a FROM t WHERE b = ? AND c IN ( ? , ? , ? , ? ) AND \"quoted 5\" = $1",
                activity.running[0].statement);
    CHECK_OK(clients_list(&warehouse.clients, session.who, NULL, arena, &activity, NULL));
    CHECK(slice_equal(query.audit_statement, activity.running[0].statement));
    clients_remove(&warehouse.clients, &query);
    CHECK_OK(clients_list(&warehouse.clients, session.who, NULL, arena, &activity, NULL));
    assert_int_equal(0, (int)activity.running_count);
    identity_unref(session.who);
    clients_fini(&warehouse.clients);
}

TEST(clients, memory_may_end)
{
    SWEEP_ALLOC(fault)
    {
        struct warehouse warehouse = {0};
        struct catalog_activity activity;
        fault_disarm();
        struct person person = {.who = make("bob", 5, false, "")};
        clients_init(&warehouse.clients);
        struct fault armed = fault;
        fault_arm(&armed);
        struct arena *arena = arena_new(NULL, "list", 0);
        if (arena != NULL && enter(&warehouse, &person) == ERR_OK) {
            enum err err =
                clients_list(&warehouse.clients, person.who, person.client, arena, &activity, NULL);
            CHECK(err == ERR_OK || err == ERR_NOMEM);
        }
        fault_disarm();
        fault.fired = armed.fired;
        arena_free(arena);
        client_close(person.client);
        identity_unref(person.who);
        clients_fini(&warehouse.clients);
    }
}

static void *come_and_go(void *context)
{
    struct warehouse *warehouse = context;
    struct person person = {.who = make("bob", 5, false, "")};
    for (int i = 0; i < 2000; i++) {
        CHECK_OK(enter(warehouse, &person));
        client_set_state(person.client, CLIENT_ACTIVE);
        client_set_application(person.client, SLICE("another tool"));
        client_close(person.client);
    }
    identity_unref(person.who);
    return NULL;
}

TEST(clients, come_and_go_while_they_are_listed_and_stopped)
{
    struct warehouse warehouse = {0};
    struct identity *owner CLEANUP(identity_cleanup) = make("olga", 1, true, "");
    pthread_t threads[2];
    clients_init(&warehouse.clients);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, come_and_go, &warehouse) == 0);
    }
    for (int i = 0; i < 500; i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "list", 0);
        struct catalog_activity activity;
        CHECK_OK(clients_list(&warehouse.clients, owner, NULL, arena, &activity, NULL));
        CHECK(activity.client_count <= 2);
        for (size_t j = 0; j < activity.client_count; j++) {
            bool is_done;
            struct slice user;
            CHECK_OK(clients_signal(&warehouse.clients, owner, activity.clients[j].id,
                                    CLIENT_TERMINATE, arena, &is_done, &user, NULL));
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    clients_fini(&warehouse.clients);
}
