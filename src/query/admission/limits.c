/* Limits of people and roles: what ALTER ROLE and ALTER USER say, what of it holds for a session,
 * and SHOW LIMITS.
 *
 * Of a person one number holds of each kind: their own, else the most generous that a role gives
 * each of its people, else the server's default. Limits of roles as a whole all hold. */
#include "base/json.h"
#include "base/mem.h"
#include "query/admission/admission_int.h"
#include "query/plan/policy_int.h"
#include "query/run/run_int.h"
#include "system/limits.h"

enum kind {
    LIMIT_CONCURRENT,
    LIMIT_QUEUED,
    LIMIT_MEMORY,
    LIMIT_RATE,
    LIMIT_BURST,
};
#define LIMIT_KINDS 5

/* The keys also say how a value is written and what it may be. */
static const struct {
    const char *name;
    const char *of_each; /* of a role: what it gives each of its people */
    enum config_key key;
    bool is_of_role; /* as a whole */
    bool zero_is_none;
} kinds[LIMIT_KINDS] = {
    [LIMIT_CONCURRENT] = {"concurrent_max", "person_concurrent_max",
                          CONFIG_QUERY_PERSON_CONCURRENT_MAX, true, false},
    [LIMIT_QUEUED] = {"queued_max", "person_queued_max", CONFIG_QUERY_PERSON_QUEUED_MAX, true,
                      false},
    [LIMIT_MEMORY] = {"memory", "person_memory", CONFIG_QUERY_PERSON_MEMORY, true, true},
    [LIMIT_RATE] = {"rate", "person_rate", CONFIG_QUERY_PERSON_RATE, false, true},
    [LIMIT_BURST] = {"burst", "person_burst", CONFIG_QUERY_PERSON_BURST, false, true},
};

static uint64_t *field_of(struct fair_limits *limits, enum kind kind)
{
    uint64_t *const fields[LIMIT_KINDS] = {
        [LIMIT_CONCURRENT] = &limits->concurrent_max,
        [LIMIT_QUEUED] = &limits->queued_max,
        [LIMIT_MEMORY] = &limits->memory_bytes_max,
        [LIMIT_RATE] = &limits->rate_per_minute,
        [LIMIT_BURST] = &limits->burst,
    };
    return fields[kind];
}

static uint64_t key_number(const struct config *config, enum kind kind)
{
    return kind == LIMIT_MEMORY ? config_bytes(config, kinds[kind].key)
                                : (uint64_t)config_integer(config, kinds[kind].key);
}

/* ---- what holds ---- */

static bool is_more(enum kind kind, uint64_t a, uint64_t b)
{
    bool zero_is_none = kinds[kind].zero_is_none;
    return zero_is_none && (a == 0 || b == 0) ? a == 0 && b != 0 : a > b;
}

/* Where a person's number comes from. */
struct origin {
    struct slice role; /* empty: not from a role */
    bool is_own;
};

static void choose_person(const struct config *config, const struct system_limit *limits,
                          size_t count, enum kind kind, uint64_t *ret_value,
                          struct origin *ret_origin)
{
    *ret_value = key_number(config, kind);
    *ret_origin = (struct origin){0};
    for (size_t i = 0; i < count; i++) {
        const struct system_limit *limit = &limits[i];
        if (!limit->is_theirs) {
            continue;
        }
        bool is_own = !limit->is_role && slice_equal(limit->name, slice_of(kinds[kind].name));
        bool is_each = limit->is_role && slice_equal(limit->name, slice_of(kinds[kind].of_each));
        bool is_better =
            is_each && !ret_origin->is_own &&
            (ret_origin->role.len == 0 || is_more(kind, (uint64_t)limit->value, *ret_value));
        if (is_own || is_better) {
            *ret_value = (uint64_t)limit->value;
            *ret_origin = (struct origin){is_own ? SLICE("") : limit->principal, is_own};
        }
    }
}

static struct slice role_key(struct arena *arena, struct slice role)
{
    char *key = arena_printf(arena, "role %.*s", SLICE_ARGS(role));
    return key == NULL ? SLICE("") : slice_of(key);
}

/* Rows of one role follow each other. `roles` has room for as many as there are rows. */
static enum err add_roles(const struct system_limit *limits, size_t count, struct arena *arena,
                          struct fair_party *roles, size_t *ret_count, struct errinfo *info)
{
    const struct system_limit *last = NULL;
    size_t role_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct system_limit *limit = &limits[i];
        int kind = 0;
        while (kind < LIMIT_KINDS &&
               !(kinds[kind].is_of_role && slice_equal(limit->name, slice_of(kinds[kind].name)))) {
            kind++;
        }
        if (!limit->is_role || !limit->is_theirs || kind == LIMIT_KINDS) {
            continue;
        }
        if (last == NULL || !slice_equal(last->principal, limit->principal)) {
            struct fair_party *role = &roles[role_count++];
            role->limits = (struct fair_limits){.queued_max = UINT64_MAX};
            role->key = role_key(arena, limit->principal);
            if (role->key.len == 0) {
                return errinfo_nomem(info);
            }
        }
        last = limit;
        *field_of(&roles[role_count - 1].limits, (enum kind)kind) = (uint64_t)limit->value;
    }
    if (role_count > FAIR_ROLES_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, "53400", "more than %d of the roles have limits",
                          FAIR_ROLES_MAX);
        errinfo_hint(info, "An administrator can take some away: SHOW LIMITS.");
        return ERR_LIMIT;
    }
    *ret_count = role_count;
    return ERR_OK;
}

/* One person is one, however they signed in; a namesake of elsewhere is another. */
static char *person_key(const struct identity *who, struct arena *arena)
{
    int64_t principal = identity_principal(who);
    return principal != 0
               ? arena_printf(arena, "user %lld", (long long)principal)
               : arena_printf(arena, "from %.*s: %.*s", SLICE_ARGS(identity_provider(who)),
                              SLICE_ARGS(identity_subject(who)));
}

static char *copy_key(struct slice *key, char *at)
{
    memcpy(at, key->ptr, key->len);
    key->ptr = at;
    return at + key->len;
}

/* All in one block. */
static struct session_limits *pack(const struct fair_asker *from)
{
    size_t bytes = sizeof(struct session_limits) + from->person.key.len +
                   from->role_count * sizeof(*from->roles);
    for (size_t i = 0; i < from->role_count; i++) {
        bytes += from->roles[i].key.len;
    }
    struct session_limits *limits = mem_alloc(bytes);
    if (limits == NULL) {
        return NULL;
    }
    struct fair_party *roles = (struct fair_party *)(void *)(limits + 1);
    char *at = (char *)(roles + from->role_count);
    limits->asker = *from;
    at = copy_key(&limits->asker.person.key, at);
    for (size_t i = 0; i < from->role_count; i++) {
        roles[i] = from->roles[i];
        at = copy_key(&roles[i].key, at);
    }
    limits->asker.roles = roles;
    return limits;
}

static enum err load(struct session *session, struct session_limits **ret_limits,
                     struct errinfo *info)
{
    struct warehouse *warehouse = session->warehouse;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "limits", 0);
    struct system_limit *rows;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system_limits(warehouse->system, session->who, arena, &rows, &count, info));
    char *key = person_key(session->who, arena);
    struct fair_party *roles = arena_calloc(arena, count + 1, sizeof(*roles));
    if (key == NULL || roles == NULL) {
        return errinfo_nomem(info);
    }
    struct fair_asker asker = {.person.key = slice_of(key), .roles = roles};
    for (int kind = 0; kind < LIMIT_KINDS; kind++) {
        struct origin ignored;
        choose_person(warehouse->config, rows, count, (enum kind)kind,
                      field_of(&asker.person.limits, (enum kind)kind), &ignored);
    }
    TRY(add_roles(rows, count, arena, roles, &asker.role_count, info));
    struct session_limits *limits = pack(&asker);
    if (limits == NULL) {
        return errinfo_nomem(info);
    }
    *ret_limits = limits;
    return ERR_OK;
}

void session_limits_free(struct session_limits *limits)
{
    mem_free(limits);
}

enum err session_limits(struct session *session, const struct fair_asker **ret_asker,
                        struct errinfo *info)
{
    const struct session_limits *old = session->limits;
    uint64_t fingerprint = identity_fingerprint(session->who);
    if (old == NULL || old->version != session->system_version || old->fingerprint != fingerprint) {
        struct session_limits *limits;
        TRY(load(session, &limits, info));
        limits->version = session->system_version;
        limits->fingerprint = fingerprint;
        session_limits_free(session->limits);
        session->limits = limits;
    }
    *ret_asker = &session->limits->asker;
    return ERR_OK;
}

/* ---- ALTER ROLE | USER name SET (...) ---- */

static const char *name_for(enum kind kind, bool is_role, bool is_each)
{
    return is_each ? (is_role ? kinds[kind].of_each : NULL)
                   : (!is_role || kinds[kind].is_of_role ? kinds[kind].name : NULL);
}

static enum err unknown_limit(const struct statement *statement, struct slice name,
                              struct errinfo *info)
{
    bool is_role = statement->object_kind == OBJECT_ROLE;
    const char *nearest = NULL;
    unsigned best = 4;
    for (int i = 0; i < 2 * LIMIT_KINDS; i++) {
        const char *known = name_for((enum kind)(i / 2), is_role, i % 2 != 0);
        unsigned distance = known == NULL ? best : slice_edit_distance(slice_of(known), name, best);
        nearest = distance < best ? known : nearest;
        best = distance < best ? distance : best;
    }
    (void)errinfo_set(info, ERR_INVALID, "42704", "\"%.*s\" is not a limit of a %s",
                      SLICE_ARGS(name), is_role ? "role" : "user");
    errinfo_position(info, statement_position(statement->text, name));
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%s\"?", nearest);
    } else if (is_role) {
        errinfo_hint(info, "Of all who have it together: concurrent_max, queued_max, memory; of "
                           "each: person_concurrent_max, person_queued_max, person_memory, "
                           "person_rate, person_burst.");
    } else {
        errinfo_hint(info, "There are concurrent_max, queued_max, memory, rate and burst.");
    }
    return ERR_INVALID;
}

/* The literal's text: numbers as they are, strings without quotes. */
static struct slice plain_text(struct slice literal)
{
    bool is_quoted = literal.len >= 2 && literal.ptr[0] == '\'';
    return is_quoted ? (struct slice){literal.ptr + 1, literal.len - 2} : literal;
}

/* What is refused is refused by the name that was written. */
static enum err set_value(struct config *values, enum kind kind, const char *name,
                          struct slice text, struct errinfo *info)
{
    struct errinfo why;
    enum err err = config_set(values, kinds[kind].key, text, "limit", &why);
    if (err != ERR_INVALID) {
        return err == ERR_OK ? ERR_OK : (*info = why, err);
    }
    (void)errinfo_set(info, ERR_INVALID, why.sqlstate, "\"%s\" cannot be \"%.*s\"", name,
                      (int)(text.len > 80 ? 80 : text.len), text.ptr);
    errinfo_detail(info, "%s", why.detail);
    errinfo_hint(info, "SHOW LIMITS shows what holds.");
    return ERR_INVALID;
}

static enum err parse_change(struct config *values, const struct statement *statement,
                             const struct relation_option *option,
                             struct system_limit_change *ret_change, struct errinfo *info)
{
    bool is_role = statement->object_kind == OBJECT_ROLE;
    for (int i = 0; i < 2 * LIMIT_KINDS; i++) {
        enum kind kind = (enum kind)(i / 2);
        const char *name = name_for(kind, is_role, i % 2 != 0);
        if (name == NULL || !slice_equal_fold(option->name, slice_of(name))) {
            continue;
        }
        *ret_change = (struct system_limit_change){.name = slice_of(name),
                                                   .is_unset = option->value.len == 0};
        if (!ret_change->is_unset) {
            TRY(set_value(values, kind, name, plain_text(option->value), info));
            ret_change->value = (int64_t)key_number(values, kind);
        }
        return ERR_OK;
    }
    return unknown_limit(statement, option->name, info);
}

enum err run_alter_limits(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    struct config *values CLEANUP(config_cleanup) = NULL;
    struct system_limit_change *changes =
        arena_calloc(query->arena, statement->option_count + 1, sizeof(*changes));
    if (changes == NULL) {
        return errinfo_nomem(info);
    }
    TRY(config_copy(query->session->warehouse->config, &values, info));
    for (size_t i = 0; i < statement->option_count; i++) {
        TRY(parse_change(values, statement, &statement->options[i], &changes[i], info));
    }
    return system_limits_set(query->session->warehouse->system, query->session->who,
                             statement->object_kind == OBJECT_ROLE, statement->name.name, changes,
                             statement->option_count, info);
}

/* ---- SHOW LIMITS ---- */

struct line {
    const char *scope;
    struct slice name;
    const char *limit;
    enum kind kind;
    uint64_t value;
    const char *source;
    struct slice source_role;
};

static void write_value(enum kind kind, uint64_t value, struct buf *lines)
{
    if (value == UINT64_MAX || (value == 0 && kinds[kind].zero_is_none)) {
        buf_append_str(lines, "null");
    } else {
        buf_printf(lines, "%llu", (unsigned long long)value);
    }
}

static void write_used(const struct fair_counts *used, enum kind kind, struct buf *lines)
{
    const uint64_t *const fields[LIMIT_KINDS] = {[LIMIT_CONCURRENT] = &used->running,
                                                 [LIMIT_QUEUED] = &used->queued,
                                                 [LIMIT_MEMORY] = &used->memory_bytes};
    if (fields[kind] == NULL) {
        buf_append_str(lines, "null");
    } else {
        buf_printf(lines, "%llu", (unsigned long long)*fields[kind]);
    }
}

static void write_line(const struct line *line, const struct fair_counts *used, struct buf *lines)
{
    buf_printf(lines, "{\"scope\":\"%s\",\"name\":", line->scope);
    json_write_string(lines, line->name);
    buf_printf(lines, ",\"limit\":\"%s\",\"value\":", line->limit);
    write_value(line->kind, line->value, lines);
    buf_append_str(lines, ",\"used\":");
    if (used == NULL) {
        buf_append_str(lines, "null");
    } else {
        write_used(used, line->kind, lines);
    }
    buf_append_str(lines, ",\"source\":");
    if (line->source_role.len > 0) {
        struct buf text CLEANUP(buf_fini) = {0};
        buf_printf(&text, "role %.*s", SLICE_ARGS(line->source_role));
        json_write_string(lines, buf_slice(&text));
    } else {
        json_write_string(lines, slice_of(line->source));
    }
    buf_append_str(lines, "}\n");
}

static void add_server(const struct warehouse *warehouse, struct buf *lines)
{
    struct fair_limits limits = admission_server_limits(warehouse->admission);
    struct fair_counts used = admission_count(warehouse->admission, SLICE(""));
    static const char *const keys[] = {"query.concurrent_max", "query.queued_max", "engine.memory"};
    for (int kind = LIMIT_CONCURRENT; kind <= LIMIT_MEMORY; kind++) {
        struct line line = {
            .scope = "server",
            .name = SLICE(""),
            .limit = kinds[kind].name,
            .kind = (enum kind)kind,
            .value = *field_of(&limits, (enum kind)kind),
            .source = keys[kind],
        };
        write_line(&line, &used, lines);
    }
}

static void add_self(struct session *session, const struct fair_asker *asker,
                     const struct system_limit *rows, size_t count, struct buf *lines)
{
    struct fair_counts used = admission_count(session->warehouse->admission, asker->person.key);
    for (int kind = 0; kind < LIMIT_KINDS; kind++) {
        struct origin origin;
        struct line line = {.scope = "user",
                            .name = identity_subject(session->who),
                            .limit = kinds[kind].name,
                            .kind = (enum kind)kind};
        choose_person(session->warehouse->config, rows, count, (enum kind)kind, &line.value,
                      &origin);
        line.source = origin.is_own ? "user" : config_name(kinds[kind].key);
        line.source_role = origin.role;
        write_line(&line, &used, lines);
    }
}

/* As set: of roles, and (for admins) of other people. */
static void add_row(const struct session *session, const struct system_limit *row,
                    struct arena *arena, struct buf *lines)
{
    for (int i = 0; i < 2 * LIMIT_KINDS; i++) {
        bool is_each = i % 2 != 0;
        const char *name = name_for((enum kind)(i / 2), row->is_role, is_each);
        if (name == NULL || !slice_equal(row->name, slice_of(name))) {
            continue;
        }
        struct line line = {
            .scope = row->is_role ? "role" : "user",
            .name = row->principal,
            .limit = name,
            .kind = (enum kind)(i / 2),
            .value = (uint64_t)row->value,
            .source = row->is_role ? "role" : "user",
        };
        bool is_counted = row->is_role && !is_each;
        struct fair_counts used = {0};
        if (is_counted) {
            used = admission_count(session->warehouse->admission, role_key(arena, row->principal));
        }
        write_line(&line, is_counted ? &used : NULL, lines);
    }
}

enum err run_show_limits(struct query *query, UNUSED const struct statement *statement,
                         struct errinfo *info)
{
    struct session *session = query->session;
    const struct fair_asker *asker;
    struct system_limit *rows;
    size_t count;
    struct buf lines CLEANUP(buf_fini) = {0};
    TRY(session_limits(session, &asker, info));
    TRY(system_limits(session->warehouse->system, session->who, query->arena, &rows, &count, info));
    add_server(session->warehouse, &lines);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].is_role || !rows[i].is_theirs) {
            add_row(session, &rows[i], query->arena, &lines);
        }
    }
    add_self(session, asker, rows, count, &lines);
    static const struct relation_column columns[] = {
        {1, {"scope", 5}, {"scope", 5}, {"VARCHAR", 7}},
        {2, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
        {3, {"limit", 5}, {"limit", 5}, {"VARCHAR", 7}},
        {4, {"value", 5}, {"value", 5}, {"BIGINT", 6}},
        {5, {"used", 4}, {"used", 4}, {"BIGINT", 6}},
        {6, {"source", 6}, {"source", 6}, {"VARCHAR", 7}},
    };
    return buf_failed(&lines)
               ? errinfo_nomem(info)
               : query_run_rows(query, columns, ARRAY_COUNT(columns), buf_slice(&lines), info);
}
