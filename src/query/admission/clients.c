#include "query/clients.h"

#include "base/clock.h"
#include "base/mem.h"
#include "query/admission/admission_int.h"
#include "query/query_int.h"
#include "sql/scan.h"

#define APPLICATION_BYTES_MAX 64u /* as PostgreSQL */

struct client {
    struct client *next, *previous;
    struct clients *clients;
    uint32_t id;
    const char *protocol;
    struct identity *who;
    char *address;
    char application[APPLICATION_BYTES_MAX];
    int64_t connected_wall_us;
    atomic_int state;
    atomic_llong state_wall_us;
    void *context;
    void (*cancel)(void *context);
    void (*terminate)(void *context, enum client_end why);
    enum err (*list_cursors)(void *context, struct arena *arena, struct client_cursor **ret_cursors,
                             size_t *ret_count, struct errinfo *info);
    void (*print_settings)(void *context, struct buf *out);
};

void clients_init(struct clients *clients)
{
    pthread_mutex_init(&clients->lock, NULL);
}

void clients_fini(struct clients *clients)
{
    ASSERT(clients->first == NULL && clients->running == NULL);
    pthread_mutex_destroy(&clients->lock);
}

/* ---- a client ---- */

static struct client *find(const struct clients *clients, int64_t id)
{
    struct client *client = clients->first;
    while (client != NULL && client->id != id) {
        client = client->next;
    }
    return client;
}

static void put_application(struct client *client, struct slice application)
{
    size_t len =
        application.len < APPLICATION_BYTES_MAX - 1 ? application.len : APPLICATION_BYTES_MAX - 1;
    while (len < application.len && len > 0 &&
           ((unsigned char)application.ptr[len] & 0xC0) == 0x80) {
        len--; /* not half a character */
    }
    memcpy(client->application, application.ptr, len);
    client->application[len] = '\0';
}

enum err client_open(struct warehouse *warehouse, const struct client_spec *spec,
                     struct client **ret_client, struct errinfo *info)
{
    struct clients *clients = &warehouse->clients;
    struct client *client = mem_calloc(1, sizeof(*client));
    char *address = mem_slicedup(spec->address);
    if (client == NULL || address == NULL) {
        mem_free(client);
        mem_free(address);
        return errinfo_nomem(info);
    }
    *client = (struct client){.clients = clients,
                              .protocol = spec->protocol,
                              .who = identity_ref(spec->who),
                              .address = address,
                              .connected_wall_us = clock_wall_coarse_us(),
                              .context = spec->context,
                              .cancel = spec->cancel,
                              .terminate = spec->terminate,
                              .list_cursors = spec->list_cursors,
                              .print_settings = spec->print_settings};
    put_application(client, spec->application);
    atomic_init(&client->state, CLIENT_IDLE);
    atomic_init(&client->state_wall_us, client->connected_wall_us);
    pthread_mutex_lock(&clients->lock);
    do {
        clients->next_id = clients->next_id % INT32_MAX + 1;
    } while (find(clients, clients->next_id) != NULL);
    client->id = clients->next_id;
    client->next = clients->first;
    if (clients->first != NULL) {
        clients->first->previous = client;
    }
    clients->first = client;
    pthread_mutex_unlock(&clients->lock);
    *ret_client = client;
    return ERR_OK;
}

void client_close(struct client *client)
{
    if (client == NULL) {
        return;
    }
    struct clients *clients = client->clients;
    pthread_mutex_lock(&clients->lock);
    *(client->previous == NULL ? &clients->first : &client->previous->next) = client->next;
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    for (struct running *running = clients->running; running != NULL; running = running->next) {
        ASSERT(running->client != client);
    }
    pthread_mutex_unlock(&clients->lock);
    identity_unref(client->who);
    mem_free(client->address);
    mem_free(client);
}

uint32_t client_id(const struct client *client)
{
    return client->id;
}

void client_set_application(struct client *client, struct slice application)
{
    pthread_mutex_lock(&client->clients->lock);
    put_application(client, application);
    pthread_mutex_unlock(&client->clients->lock);
}

void client_set_state(struct client *client, enum client_state state)
{
    if (atomic_exchange(&client->state, (int)state) != (int)state) {
        atomic_store(&client->state_wall_us, clock_wall_coarse_us());
    }
}

void session_set_client(struct session *session, struct client *client)
{
    session->client = client;
}

enum err client_list_cursors(struct client *client, struct arena *arena,
                             struct client_cursor **ret_cursors, size_t *ret_count,
                             struct errinfo *info)
{
    *ret_count = 0;
    return client == NULL || client->list_cursors == NULL
               ? ERR_OK
               : client->list_cursors(client->context, arena, ret_cursors, ret_count, info);
}

void client_print_settings(struct client *client, struct buf *out)
{
    if (client != NULL && client->print_settings != NULL) {
        client->print_settings(client->context, out);
    }
}

/* ---- what runs ---- */

void clients_add(struct clients *clients, struct query *query)
{
    struct running *running = &query->running;
    running->client = query->session->client;
    running->who = query->session->who; /* does not change while a query is open */
    running->query_id = query->id;
    running->command = "";
    running->started_wall_us = clock_wall_coarse_us();
    pthread_mutex_lock(&clients->lock);
    running->next = clients->running;
    if (running->next != NULL) {
        running->next->previous = running;
    }
    clients->running = running;
    pthread_mutex_unlock(&clients->lock);
}

void clients_tell(struct clients *clients, struct query *query)
{
    pthread_mutex_lock(&clients->lock);
    query->running.statement = query->audit_statement;
    query->running.command = query->tag;
    pthread_mutex_unlock(&clients->lock);
}

void clients_remove(struct clients *clients, struct query *query)
{
    struct running *running = &query->running;
    pthread_mutex_lock(&clients->lock);
    *(running->previous == NULL ? &clients->running : &running->previous->next) = running->next;
    if (running->next != NULL) {
        running->next->previous = running->previous;
    }
    pthread_mutex_unlock(&clients->lock);
}

/* Of one that is in the list. */
static struct query *query_of(struct running *running)
{
    return (struct query *)(void *)((char *)running - offsetof(struct query, running));
}

void clients_end_idle(struct clients *clients, const struct query *waiting, int64_t since_us)
{
    struct admission *admission = waiting->session->warehouse->admission;
    struct running *longest = NULL;
    bool is_one_ending = false;
    pthread_mutex_lock(&clients->lock);
    for (struct running *r = clients->running; r != NULL && !is_one_ending; r = r->next) {
        int64_t idle_us = atomic_load(&r->idle_since_us);
        bool is_other = r->client != NULL && r->client != waiting->session->client;
        bool is_idle = is_other && idle_us != 0 && idle_us <= since_us;
        if ((is_idle || r->is_ended) && admission_blocks(admission, query_of(r), waiting)) {
            is_one_ending = r->is_ended;
            longest =
                longest == NULL || idle_us < atomic_load(&longest->idle_since_us) ? r : longest;
        }
    }
    if (longest != NULL && !is_one_ending) {
        longest->is_ended = true;
        longest->client->terminate(longest->client->context, CLIENT_END_IDLE);
    }
    pthread_mutex_unlock(&clients->lock);
}

/* ---- who may see what ---- */

enum sight {
    SIGHT_NONE,
    SIGHT_BLURRED, /* not what a statement is about */
    SIGHT_FULL
};

static bool is_admin(const struct identity *who)
{
    return identity_is_owner(who) || identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN));
}

/* A name that was given again is another person's, and so is that of a stranger from an issuer. */
static bool is_same_person(const struct identity *a, const struct identity *b)
{
    return slice_equal_fold(identity_subject(a), identity_subject(b)) &&
           identity_principal(a) == identity_principal(b);
}

static enum sight sight_of(const struct identity *who, const struct identity *other)
{
    if (is_same_person(who, other) || is_admin(who)) {
        return SIGHT_FULL;
    }
    return identity_has_role(who, SLICE(CLIENT_ROLE_OPERATOR)) ? SIGHT_BLURRED : SIGHT_NONE;
}

static bool may_stop(const struct identity *who, const struct identity *other)
{
    if (is_same_person(who, other) || identity_is_owner(who)) {
        return true;
    }
    if (identity_is_owner(other)) {
        return false;
    }
    return is_admin(who) ||
           (identity_has_role(who, SLICE(CLIENT_ROLE_OPERATOR)) && !is_admin(other));
}

/* The words of a statement without its constants and comments, which may be anybody's data. */
static enum err blur(struct slice statement, struct arena *arena, struct slice *ret_text,
                     struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, statement);
    while (scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind != TOKEN_END) {
        bool is_constant = token.kind == TOKEN_STRING || token.kind == TOKEN_NUMBER;
        buf_append_str(&out, out.len > 0 ? " " : "");
        buf_append_slice(&out, is_constant ? SLICE("?") : token.text);
    }
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_text) ? ERR_OK
                                                                              : errinfo_nomem(info);
}

static const char *const state_names[] = {
    [CLIENT_IDLE] = "idle",
    [CLIENT_ACTIVE] = "active",
    [CLIENT_IDLE_IN_TRANSACTION] = "idle in transaction",
    [CLIENT_IDLE_IN_FAILED_TRANSACTION] = "idle in transaction (aborted)",
};

/* With the lock held, as those below: copies, since who is listed may go at once. */
static enum err list_client(struct client *client, const struct client *self, struct arena *arena,
                            struct catalog_client *ret, struct errinfo *info)
{
    enum client_state state = (enum client_state)atomic_load(&client->state);
    *ret = (struct catalog_client){.id = client->id,
                                   .protocol = slice_of(client->protocol),
                                   .state = slice_of(state_names[state]),
                                   .connected_wall_us = client->connected_wall_us,
                                   .state_wall_us = atomic_load(&client->state_wall_us),
                                   .is_self = client == self};
    bool is_copied = arena_slice(arena, identity_subject(client->who), &ret->user) &&
                     arena_slice(arena, identity_provider(client->who), &ret->provider) &&
                     arena_slice(arena, slice_of(client->address), &ret->address) &&
                     arena_slice(arena, slice_of(client->application), &ret->application);
    return is_copied ? ERR_OK : errinfo_nomem(info);
}

static enum err list_running(struct running *running, enum sight sight, struct arena *arena,
                             struct catalog_running *ret, struct errinfo *info)
{
    enum query_state state = (enum query_state)atomic_load(&running->state);
    *ret = (struct catalog_running){.client_id = running->client == NULL ? 0 : running->client->id,
                                    .state = slice_of(query_state_name(state)),
                                    .command = slice_of(running->command),
                                    .started_wall_us = running->started_wall_us,
                                    .rows_out = atomic_load(&running->rows_out),
                                    .progress = query_progress(query_of(running))};
    if (!arena_slice(arena, slice_of(running->query_id), &ret->query_id) ||
        !arena_slice(arena, identity_subject(running->who), &ret->user)) {
        return errinfo_nomem(info);
    }
    return sight == SIGHT_BLURRED ? blur(running->statement, arena, &ret->statement, info)
           : arena_slice(arena, running->statement, &ret->statement) ? ERR_OK
                                                                     : errinfo_nomem(info);
}

static enum err list_all(struct clients *clients, const struct identity *who,
                         const struct client *self, struct arena *arena,
                         struct catalog_activity *out, struct errinfo *info)
{
    size_t client_count = 0, running_count = 0;
    for (struct client *c = clients->first; c != NULL; c = c->next) {
        client_count++;
    }
    for (struct running *r = clients->running; r != NULL; r = r->next) {
        running_count++;
    }
    struct catalog_client *listed = arena_calloc(arena, client_count + 1, sizeof(*listed));
    struct catalog_running *queries = arena_calloc(arena, running_count + 1, sizeof(*queries));
    if (listed == NULL || queries == NULL) {
        return errinfo_nomem(info);
    }
    *out = (struct catalog_activity){
        .clients = listed, .running = queries, .self_id = self == NULL ? 0 : self->id};
    for (struct client *c = clients->first; c != NULL; c = c->next) {
        if (sight_of(who, c->who) != SIGHT_NONE) {
            TRY(list_client(c, self, arena, &listed[out->client_count++], info));
        }
    }
    for (struct running *r = clients->running; r != NULL; r = r->next) {
        enum sight sight = sight_of(who, r->who);
        if (sight != SIGHT_NONE) {
            TRY(list_running(r, sight, arena, &queries[out->running_count++], info));
        }
    }
    return ERR_OK;
}

enum err clients_list(struct clients *clients, const struct identity *who,
                      const struct client *self, struct arena *arena,
                      struct catalog_activity *ret_activity, struct errinfo *info)
{
    struct catalog_activity activity = {0};
    pthread_mutex_lock(&clients->lock);
    enum err err = list_all(clients, who, self, arena, &activity, info);
    pthread_mutex_unlock(&clients->lock);
    if (err == ERR_OK) {
        *ret_activity = activity;
    }
    return err;
}

enum err clients_signal(struct clients *clients, const struct identity *who, int64_t id,
                        enum client_signal signal, struct arena *arena, bool *ret_done,
                        struct slice *ret_user, struct errinfo *info)
{
    enum err err = ERR_OK;
    *ret_done = false;
    pthread_mutex_lock(&clients->lock);
    struct client *client = find(clients, id);
    if (client != NULL && may_stop(who, client->who)) {
        err = arena_slice(arena, identity_subject(client->who), ret_user) ? ERR_OK
                                                                          : errinfo_nomem(info);
        if (err == ERR_OK) {
            if (signal == CLIENT_CANCEL) {
                client->cancel(client->context);
            } else {
                client->terminate(client->context, CLIENT_END_SIGNAL);
            }
            *ret_done = true;
        }
    }
    pthread_mutex_unlock(&clients->lock);
    return err;
}
