/* Lists are walked: people at work are at most as many as the server has threads. */
#include "query/admission/fair_int.h"

#include "base/mem.h"

#define MINUTE_US INT64_C(60000000)
#define AVERAGE_OVER 8 /* run times, the newer the heavier */

/* The server, a person or a role while somebody counts for it, or a rate has to be remembered. */
struct group {
    struct group *next;
    char *key;
    size_t key_len;
    struct fair_limits limits; /* as the last that asked had them */
    uint64_t running;
    uint64_t queued;
    uint64_t memory_bytes;
    uint64_t uses; /* by tickets */
    /* People only. */
    int64_t last_place_us; /* when they last had one */
    int64_t rate_at_us;    /* up to when statements are used up (GCRA) */
    bool is_rate_refused;
};

struct fair_ticket {
    struct fair_ticket *next; /* in order of arrival */
    struct group *person;
    struct group *roles[FAIR_ROLES_MAX];
    size_t role_count;
    void *context;
    uint64_t wants_bytes; /* 0 = by the rule */
    uint64_t memory_bytes;
    int64_t since_us; /* asked, then placed */
    bool has_place;
};

struct fair {
    struct fair_options options;
    struct group server;
    struct group *groups;
    struct fair_ticket *queue; /* without a place */
    struct fair_ticket *placed;
    uint64_t extra_bytes;   /* granted above shares */
    int64_t average_run_us; /* 0 = none has ended yet */
};

enum err fair_new(const struct fair_options *options, struct fair **ret_fair)
{
    struct fair *fair = mem_calloc(1, sizeof(*fair));
    if (fair == NULL) {
        return ERR_NOMEM;
    }
    fair->options = *options;
    fair->server.limits = options->server;
    *ret_fair = fair;
    return ERR_OK;
}

static void free_group(struct group *group)
{
    mem_free(group->key);
    mem_free(group);
}

void fair_free(struct fair *fair)
{
    if (fair == NULL) {
        return;
    }
    ASSERT(fair->queue == NULL && fair->placed == NULL);
    while (fair->groups != NULL) {
        struct group *group = fair->groups;
        fair->groups = group->next;
        free_group(group);
    }
    mem_free(fair);
}

/* ---- groups ---- */

static bool group_is(const struct group *group, struct slice key)
{
    return slice_equal((struct slice){group->key, group->key_len}, key);
}

/* Forgets on its way whom nothing has to be remembered of: so what is kept is bounded by who is at
 * work now, and who was within the burst of a rate. */
static struct group *find_group(struct fair *fair, struct slice key, int64_t now_us)
{
    struct group *found = NULL;
    struct group **link = &fair->groups;
    while (*link != NULL) {
        struct group *group = *link;
        if (found == NULL && group_is(group, key)) {
            found = group;
        } else if (group->uses == 0 && group->rate_at_us <= now_us) {
            *link = group->next;
            free_group(group);
            continue;
        }
        link = &group->next;
    }
    return found;
}

static struct group *take_group(struct fair *fair, const struct fair_party *party, int64_t now_us)
{
    struct group *group = find_group(fair, party->key, now_us);
    if (group == NULL) {
        group = mem_calloc(1, sizeof(*group));
        char *key = mem_alloc(party->key.len + 1);
        if (group == NULL || key == NULL) {
            mem_free(group);
            mem_free(key);
            return NULL;
        }
        memcpy(key, party->key.ptr, party->key.len);
        key[party->key.len] = '\0';
        group->key = key;
        group->key_len = party->key.len;
        group->last_place_us = INT64_MIN;
        group->next = fair->groups;
        fair->groups = group;
    }
    group->limits = party->limits;
    return group;
}

static bool group_has_place(const struct group *group)
{
    return group->limits.concurrent_max == 0 || group->running < group->limits.concurrent_max;
}

static bool group_has_memory(const struct group *group, uint64_t bytes)
{
    uint64_t max = group->limits.memory_bytes_max;
    return max == 0 || (group->memory_bytes <= max && bytes <= max - group->memory_bytes);
}

/* ---- rates ---- */

bool fair_rate(struct fair *fair, const struct fair_party *person, int64_t now_us,
               int64_t *ret_wait_us, bool *ret_is_first)
{
    uint64_t rate = person->limits.rate_per_minute;
    if (rate == 0) {
        return true;
    }
    struct group *group = take_group(fair, person, now_us);
    if (group == NULL) {
        return true; /* what runs next says that there is no memory */
    }
    uint64_t burst = person->limits.burst == 0 ? rate : person->limits.burst;
    int64_t each_us =
        MINUTE_US / (int64_t)(rate < (uint64_t)MINUTE_US ? rate : (uint64_t)MINUTE_US);
    int64_t at_us = group->rate_at_us > now_us ? group->rate_at_us : now_us;
    int64_t most = INT64_MAX / 4 / (each_us == 0 ? 1 : each_us);
    int64_t ahead_us = (burst - 1 < (uint64_t)most ? (int64_t)burst - 1 : most) * each_us;
    if (at_us - now_us > ahead_us) {
        *ret_wait_us = at_us - now_us - ahead_us;
        *ret_is_first = !group->is_rate_refused;
        group->is_rate_refused = true;
        return false;
    }
    group->rate_at_us = at_us + each_us;
    group->is_rate_refused = false;
    return true;
}

/* ---- memory ---- */

static uint64_t share_bytes(const struct fair *fair)
{
    uint64_t places = fair->server.limits.concurrent_max;
    return fair->server.limits.memory_bytes_max / 2 / (places == 0 ? 1 : places);
}

/* What a ticket cannot do without. */
static uint64_t needed_bytes(const struct fair *fair, const struct fair_ticket *ticket)
{
    uint64_t bytes = ticket->wants_bytes != 0 ? ticket->wants_bytes : share_bytes(fair);
    const struct group *const *roles = (const struct group *const *)ticket->roles;
    for (size_t i = 0; ticket->wants_bytes == 0 && i <= ticket->role_count; i++) {
        const struct group *group = i == ticket->role_count ? ticket->person : roles[i];
        uint64_t max = group->limits.memory_bytes_max;
        bytes = max != 0 && max < bytes ? max : bytes;
    }
    return bytes;
}

static uint64_t extra_left(const struct fair *fair)
{
    uint64_t all =
        fair->server.limits.memory_bytes_max -
        share_bytes(fair) *
            (fair->server.limits.concurrent_max == 0 ? 1 : fair->server.limits.concurrent_max);
    return all > fair->extra_bytes ? all - fair->extra_bytes : 0;
}

static bool server_has_memory(const struct fair *fair, uint64_t bytes)
{
    uint64_t share = share_bytes(fair);
    return fair->server.limits.memory_bytes_max == 0 || bytes <= share ||
           bytes - share <= extra_left(fair);
}

static uint64_t grant_bytes(const struct fair *fair, const struct fair_ticket *ticket)
{
    uint64_t bytes = needed_bytes(fair, ticket);
    if (fair->server.limits.memory_bytes_max == 0 || ticket->wants_bytes != 0) {
        return bytes;
    }
    uint64_t share = share_bytes(fair);
    uint64_t most = share + extra_left(fair) / 4;
    uint64_t ask_max = fair->options.ask_bytes_max;
    most = ask_max != 0 && most > ask_max && ask_max >= share ? ask_max : most;
    for (size_t i = 0; i <= ticket->role_count; i++) {
        const struct group *group = i == ticket->role_count ? ticket->person : ticket->roles[i];
        uint64_t max = group->limits.memory_bytes_max;
        uint64_t left = max > group->memory_bytes ? max - group->memory_bytes : 0;
        uint64_t cap = left > bytes ? bytes + (left - bytes) / 4 : left; /* others come */
        most = max != 0 && cap < most ? cap : most;
    }
    return most > bytes ? most : bytes;
}

/* ---- how long ---- */

static int64_t typical_run_us(const struct fair *fair, int64_t now_us)
{
    if (fair->average_run_us != 0) {
        return fair->average_run_us;
    }
    int64_t sum_us = 0;
    int64_t count = 0;
    for (const struct fair_ticket *t = fair->placed; t != NULL; t = t->next) {
        sum_us += now_us - t->since_us;
        count++;
    }
    return count == 0 ? 0 : sum_us / count; /* they have run so long at least */
}

static int64_t group_wait_us(const struct group *group, uint64_t ahead, int64_t run_us)
{
    uint64_t places = group->limits.concurrent_max;
    return places == 0 || group->running < places
               ? 0
               : (int64_t)((double)run_us * (double)(ahead + 1) / (double)places);
}

/* The longest of what it would wait for each of them alone. */
static int64_t wait_us(const struct fair *fair, const struct fair_ticket *ticket, int64_t now_us)
{
    int64_t run_us = typical_run_us(fair, now_us);
    uint64_t ahead = 0;
    uint64_t ahead_of_person = 0;
    for (const struct fair_ticket *t = fair->queue; t != ticket; t = t->next) {
        ahead++;
        ahead_of_person += t->person == ticket->person;
    }
    int64_t longest_us = group_wait_us(&fair->server, ahead, run_us);
    int64_t own_us = group_wait_us(ticket->person, ahead_of_person, run_us);
    longest_us = own_us > longest_us ? own_us : longest_us;
    for (size_t i = 0; i < ticket->role_count; i++) {
        const struct group *role = ticket->roles[i];
        int64_t role_us = group_wait_us(role, role->queued, run_us);
        longest_us = role_us > longest_us ? role_us : longest_us;
    }
    return longest_us;
}

int64_t fair_estimate(const struct fair *fair, const struct fair_ticket *ticket, int64_t now_us)
{
    return ticket->has_place ? 0 : wait_us(fair, ticket, now_us);
}

/* ---- the next ---- */

static bool is_first_of_person(const struct fair *fair, const struct fair_ticket *ticket)
{
    const struct fair_ticket *t = fair->queue;
    while (t->person != ticket->person) {
        t = t->next;
    }
    return t == ticket;
}

/* When they came, or last had a place if that is later. */
static int64_t turn_us(const struct fair_ticket *ticket)
{
    int64_t last_us = ticket->person->last_place_us;
    return last_us > ticket->since_us ? last_us : ticket->since_us;
}

static bool comes_before(const struct fair_ticket *a, const struct fair_ticket *b)
{
    if (a->person->running != b->person->running) {
        return a->person->running < b->person->running;
    }
    return turn_us(a) < turn_us(b); /* of two alike, who came first */
}

/* Whether nothing but the server's memory could keep it waiting. */
static bool may_run(const struct fair *fair, const struct fair_ticket *ticket)
{
    bool may = group_has_place(&fair->server) && group_has_place(ticket->person);
    uint64_t bytes = needed_bytes(fair, ticket);
    may = may && group_has_memory(ticket->person, bytes);
    for (size_t i = 0; i < ticket->role_count && may; i++) {
        may = group_has_place(ticket->roles[i]) && group_has_memory(ticket->roles[i], bytes);
    }
    return may;
}

/* Who gets the next place; NULL if nobody does now. */
static struct fair_ticket *pick(const struct fair *fair)
{
    struct fair_ticket *best = NULL;
    for (struct fair_ticket *t = fair->queue; t != NULL; t = t->next) {
        if ((best == NULL || comes_before(t, best)) && may_run(fair, t) &&
            is_first_of_person(fair, t)) {
            best = t;
        }
    }
    return best != NULL && server_has_memory(fair, needed_bytes(fair, best)) ? best : NULL;
}

static bool counts_for(const struct fair_ticket *ticket, const struct group *group)
{
    bool does = ticket->person == group;
    for (size_t i = 0; i < ticket->role_count && !does; i++) {
        does = ticket->roles[i] == group;
    }
    return does;
}

bool fair_blocks(const struct fair *fair, const struct fair_ticket *placed,
                 const struct fair_ticket *waiting)
{
    uint64_t bytes = needed_bytes(fair, waiting);
    if (!placed->has_place || waiting->has_place) {
        return false;
    }
    bool is_held_up = !group_has_place(&fair->server) || !server_has_memory(fair, bytes);
    for (size_t i = 0; i <= waiting->role_count; i++) {
        const struct group *group = i == waiting->role_count ? waiting->person : waiting->roles[i];
        if (group_has_place(group) && group_has_memory(group, bytes)) {
            continue;
        }
        if (!counts_for(placed, group)) {
            return false;
        }
        is_held_up = true;
    }
    return is_held_up;
}

/* ---- asking ---- */

static void count_queued(struct fair *fair, const struct fair_ticket *ticket, uint64_t change)
{
    fair->server.queued += change;
    ticket->person->queued += change;
    for (size_t i = 0; i < ticket->role_count; i++) {
        ticket->roles[i]->queued += change;
    }
}

static void count_running(struct fair *fair, const struct fair_ticket *ticket, uint64_t change,
                          uint64_t bytes)
{
    uint64_t share = share_bytes(fair);
    uint64_t extra = ticket->memory_bytes > share ? ticket->memory_bytes - share : 0;
    fair->extra_bytes += change == 1 ? extra : 0 - extra;
    fair->server.running += change;
    fair->server.memory_bytes += bytes;
    ticket->person->running += change;
    ticket->person->memory_bytes += bytes;
    for (size_t i = 0; i < ticket->role_count; i++) {
        ticket->roles[i]->running += change;
        ticket->roles[i]->memory_bytes += bytes;
    }
}

static void release_groups(struct fair_ticket *ticket)
{
    if (ticket->person != NULL) {
        ticket->person->uses--;
    }
    for (size_t i = 0; i < ticket->role_count; i++) {
        ticket->roles[i]->uses--;
    }
}

static struct fair_ticket *make_ticket(struct fair *fair, const struct fair_asker *asker,
                                       int64_t now_us)
{
    struct fair_ticket *ticket = mem_calloc(1, sizeof(*ticket));
    if (ticket == NULL) {
        return NULL;
    }
    bool is_whole = true;
    for (size_t i = 0; i <= asker->role_count && is_whole; i++) {
        bool is_person = i == asker->role_count;
        struct group *group =
            take_group(fair, is_person ? &asker->person : &asker->roles[i], now_us);
        is_whole = group != NULL;
        if (is_whole) {
            group->uses++;
            *(is_person ? &ticket->person : &ticket->roles[ticket->role_count++]) = group;
        }
    }
    if (!is_whole) {
        release_groups(ticket);
        mem_free(ticket);
        return NULL;
    }
    ticket->context = asker->context;
    ticket->wants_bytes = asker->memory_bytes;
    ticket->since_us = now_us;
    return ticket;
}

static bool can_ever_run(const struct fair *fair, const struct fair_ticket *ticket,
                         struct fair_refusal *refusal)
{
    uint64_t wants = ticket->wants_bytes;
    uint64_t places = fair->server.limits.concurrent_max;
    uint64_t share = share_bytes(fair);
    uint64_t all = fair->server.limits.memory_bytes_max;
    uint64_t most = all == 0 ? 0 : all - share * (places == 0 ? 0 : places - 1);
    uint64_t ask_max = fair->options.ask_bytes_max;
    most = ask_max != 0 && (most == 0 || ask_max < most) ? ask_max : most;
    *refusal = (struct fair_refusal){.level = FAIR_SERVER};
    for (size_t i = 0; i <= ticket->role_count; i++) {
        const struct group *group = i == ticket->role_count ? ticket->person : ticket->roles[i];
        uint64_t max = group->limits.memory_bytes_max;
        if (max != 0 && (most == 0 || max < most)) {
            most = max;
            refusal->level = i == ticket->role_count ? FAIR_PERSON : FAIR_ROLE;
        }
    }
    refusal->memory_limit = most;
    return most == 0 || wants <= most;
}

static bool has_room(const struct group *group)
{
    return group->queued < group->limits.queued_max;
}

static bool queue_has_room(const struct fair *fair, const struct fair_ticket *ticket,
                           const struct fair_asker *asker, struct fair_refusal *refusal)
{
    *refusal = (struct fair_refusal){
        .level = FAIR_PERSON, .key = asker->person.key, .count = ticket->person->queued};
    if (!has_room(ticket->person)) {
        return false;
    }
    for (size_t i = 0; i < ticket->role_count; i++) {
        if (!has_room(ticket->roles[i])) {
            refusal->level = FAIR_ROLE;
            refusal->key = asker->roles[i].key;
            refusal->count = ticket->roles[i]->queued;
            return false;
        }
    }
    *refusal = (struct fair_refusal){.level = FAIR_SERVER, .count = fair->server.queued};
    return has_room(&fair->server);
}

enum err fair_ask(struct fair *fair, const struct fair_asker *asker, int64_t now_us,
                  struct fair_ticket **ret_ticket, struct fair_refusal *ret_refusal)
{
    ASSERT(asker->role_count <= FAIR_ROLES_MAX);
    struct fair_ticket *ticket = make_ticket(fair, asker, now_us);
    if (ticket == NULL) {
        return ERR_NOMEM;
    }
    struct fair_ticket **link = &fair->queue;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = ticket;
    bool is_refused = !can_ever_run(fair, ticket, ret_refusal);
    if (!is_refused && pick(fair) != ticket && !queue_has_room(fair, ticket, asker, ret_refusal)) {
        is_refused = true;
        ret_refusal->wait_us = wait_us(fair, ticket, now_us);
    }
    if (is_refused) {
        *link = NULL;
        release_groups(ticket);
        mem_free(ticket);
        return ERR_BUSY;
    }
    count_queued(fair, ticket, 1);
    *ret_ticket = ticket;
    return ERR_OK;
}

static void unlink_ticket(struct fair_ticket **list, const struct fair_ticket *ticket)
{
    while (*list != ticket) {
        list = &(*list)->next;
    }
    *list = ticket->next;
}

struct fair_ticket *fair_next(struct fair *fair, int64_t now_us)
{
    struct fair_ticket *best = pick(fair);
    if (best == NULL) {
        return NULL;
    }
    unlink_ticket(&fair->queue, best);
    count_queued(fair, best, UINT64_MAX);
    best->memory_bytes = grant_bytes(fair, best);
    count_running(fair, best, 1, best->memory_bytes);
    best->has_place = true;
    best->since_us = now_us;
    best->person->last_place_us = now_us;
    best->next = fair->placed;
    fair->placed = best;
    return best;
}

bool fair_has_place(const struct fair_ticket *ticket)
{
    return ticket->has_place;
}

void *fair_context(const struct fair_ticket *ticket)
{
    return ticket->context;
}

uint64_t fair_memory(const struct fair_ticket *ticket)
{
    return ticket->memory_bytes;
}

void fair_leave(struct fair *fair, struct fair_ticket *ticket, int64_t now_us)
{
    if (ticket->has_place) {
        unlink_ticket(&fair->placed, ticket);
        count_running(fair, ticket, UINT64_MAX, 0 - ticket->memory_bytes);
        ticket->person->last_place_us = now_us;
        int64_t run_us = now_us - ticket->since_us;
        int64_t step_us = (run_us - fair->average_run_us) / AVERAGE_OVER;
        fair->average_run_us = fair->average_run_us == 0 ? run_us : fair->average_run_us + step_us;
    } else {
        unlink_ticket(&fair->queue, ticket);
        count_queued(fair, ticket, UINT64_MAX);
    }
    release_groups(ticket);
    mem_free(ticket);
}

struct fair_counts fair_count(const struct fair *fair, struct slice key)
{
    const struct group *group = key.len == 0 ? &fair->server : fair->groups;
    while (key.len > 0 && group != NULL && !group_is(group, key)) {
        group = group->next;
    }
    return group == NULL ? (struct fair_counts){0}
                         : (struct fair_counts){group->running, group->queued, group->memory_bytes};
}
