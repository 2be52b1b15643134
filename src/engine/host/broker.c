/* engine.h over hosts: the engine, its sessions, and what is asked on the control channel.
 *
 * A session has a host only while it is asked something or has a query open, so that ten thousand
 * idle sessions need none. */
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/host/broker_int.h"

enum {
    BODY_KEPT_BYTES = 1 << 20 /* of the last answer, for the next */
};

/* ---- persons ---- */

static void put_pair(struct buf *out, struct slice name, struct slice value)
{
    wire_put_slice(out, name);
    wire_put_slice(out, value);
}

enum err person_of(const struct identity *who, struct person *ret_person, struct errinfo *info)
{
    struct buf all CLEANUP(buf_fini) = {0};
    put_pair(&all, identity_provider(who), identity_subject(who));
    put_pair(&all, SLICE("actor"), identity_actor(who));
    wire_put_i64(&all, identity_principal(who));
    wire_put_u8(&all, identity_is_owner(who));
    wire_put_u64(&all, identity_role_count(who));
    for (size_t i = 0; i < identity_role_count(who); i++) {
        wire_put_slice(&all, identity_role(who, i));
    }
    for (size_t i = 0; i < identity_attribute_count(who); i++) {
        struct identity_attribute attribute = identity_attribute_at(who, i);
        put_pair(&all, attribute.name, attribute.value);
    }
    if (buf_failed(&all)) {
        return errinfo_nomem(info);
    }
    if (hash_sha256(buf_slice(&all), ret_person->hash) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the hash of a person cannot be made");
    }
    return ERR_OK;
}

/* ---- engine ---- */

static uint64_t machine_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 1u << 30;
}

static void engine_fini(struct engine *engine)
{
    if (engine->hosts != NULL) {
        keeper__stop(engine->hosts);
        engine->hosts->engine = NULL;
    }
    mask__free(engine->mask);
    mem_free(engine->temp_folder);
    pthread_mutex_destroy(&engine->lock);
    mem_free(engine);
}

static void set_limits(struct engine *engine, const struct engine_options *options)
{
    uint64_t own = engine->hosts->options.memory_bytes_max;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    engine->thread_count = options->thread_count != 0 ? options->thread_count
                           : processors > 0           ? (unsigned)processors
                                                      : 1;
    engine->memory_bytes_max = own != 0                         ? own
                               : options->memory_bytes_max != 0 ? options->memory_bytes_max
                                                                : machine_memory_bytes() / 10 * 6;
    /* The engine counts what its operators hold, not all that it allocates. */
    engine->process_bytes_max = engine->memory_bytes_max / 4 * 5 + (UINT64_C(512) << 20);
    engine->temp_bytes_max = options->temp_bytes_max != 0 ? options->temp_bytes_max : INT64_MAX;
}

static enum err open_engine(const struct engine_options *options, struct engine **ret_engine,
                            struct errinfo *info)
{
    struct engine_hosts *hosts = options->hosts;
    ASSERT(hosts->engine == NULL); /* one pool serves one engine */
    struct engine *engine = mem_calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return errinfo_nomem(info);
    }
    engine->ops = &broker__ops;
    engine->hosts = hosts;
    pthread_mutex_init(&engine->lock, NULL);
    set_limits(engine, options);
    enum err err = mask__new(options->mask_key, &engine->mask, info);
    if (err == ERR_OK && options->temp_folder != NULL) {
        engine->temp_folder = mem_strdup(options->temp_folder);
        err = engine->temp_folder == NULL ? errinfo_nomem(info) : ERR_OK;
    }
    hosts->engine = engine;
    err = err == ERR_OK ? keeper__start(hosts, info) : err;
    if (err != ERR_OK) {
        engine_fini(engine);
        return err;
    }
    *ret_engine = engine;
    return ERR_OK;
}

static void close_engine(struct engine *engine)
{
    ASSERT(engine->grants == NULL);
    engine_fini(engine);
}

static const char *version_text(const struct engine *engine)
{
    return engine->version;
}

static uint64_t memory_bytes(struct engine *engine)
{
    return engine_hosts_count(engine->hosts).resident_bytes;
}

/* ---- sessions ---- */

static enum err be(struct engine_session *session, const struct identity *who, struct errinfo *info)
{
    if (session->who == who) {
        return ERR_OK;
    }
    struct person person;
    TRY(person_of(who, &person, info));
    if (session->who != NULL) {
        identity_unref(session->who);
    }
    struct identity *held;
    memcpy(&held, &who, sizeof(held)); /* a reference changes nothing that one could read */
    session->who = identity_ref(held);
    session->person = person;
    return ERR_OK;
}

static enum err open_session(struct engine *engine, const struct identity *who,
                             struct engine_session **ret_session, struct errinfo *info)
{
    struct engine_session *session = mem_calloc(1, sizeof(*session));
    if (session == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = be(session, who, info);
    if (err != ERR_OK) {
        mem_free(session);
        return err;
    }
    session->ops = &broker__ops;
    session->engine = engine;
    pthread_mutex_init(&session->lock, NULL);
    *ret_session = session;
    return ERR_OK;
}

static void close_session(struct engine_session *session)
{
    ASSERT(session->query == NULL && session->host == NULL);
    identity_unref(session->who);
    pthread_mutex_destroy(&session->lock);
    buf_fini(&session->body);
    mem_free(session);
}

void host__urge(struct host *host, uint32_t kind, uint64_t number)
{
    pthread_mutex_lock(&host->urgent_lock);
    enum err err = channel_try_send(&host->urgent, kind, (struct slice){(const char *)&number, 8});
    pthread_mutex_unlock(&host->urgent_lock);
    if (err == ERR_BUSY) { /* it has not read for thousands of them */
        pthread_mutex_lock(&host->hosts->lock);
        pool__kill(host, DEATH_PROTOCOL);
        pthread_mutex_unlock(&host->hosts->lock);
    }
}

static void cancel_session(struct engine_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->is_cancelled = true;
    if (session->host != NULL) {
        host__urge(session->host, MESSAGE_CANCEL, ++session->host->epoch);
        if (session->is_calling) {
            pool__expect_end(session->host);
        }
    }
    pthread_mutex_unlock(&session->lock);
}

static void ready_session(struct engine_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->is_cancelled = false;
    pthread_mutex_unlock(&session->lock);
}

static void set_memory(struct engine_session *session, uint64_t memory_bytes_max)
{
    session->memory_bytes = memory_bytes_max;
}

enum err session__host(struct engine_session *session, const struct identity *who,
                       struct errinfo *info)
{
    struct person before = session->person;
    TRY(be(session, who, info));
    if (session->host != NULL) {
        /* A query is open: what is asked beside it must be of the same person. */
        return person_equal(&before, &session->person)
                   ? ERR_OK
                   : errinfo_set(info, ERR_BUSY, "55006", "the session runs a query of another");
    }
    struct host *host;
    TRY(pool__lease(session->engine->hosts, &session->person, lane__is_here(), &host, info));
    pthread_mutex_lock(&session->lock);
    session->host = host;
    pthread_mutex_unlock(&session->lock);
    return ERR_OK;
}

void session__give(struct engine_session *session, bool is_broken)
{
    if (session->host == NULL || (session->query != NULL && !is_broken)) {
        return;
    }
    if (session->query != NULL) { /* its query ends with the host, and gives it back */
        session->query->is_broken = true;
        return;
    }
    pthread_mutex_lock(&session->lock);
    struct host *host = TAKE(session->host);
    pthread_mutex_unlock(&session->lock);
    pool__release(host, is_broken);
    if (session->body.capacity > BODY_KEPT_BYTES) {
        buf_fini(&session->body);
        session->body = (struct buf){0};
    }
}

enum err session__begin(struct engine_session *session, uint64_t *ret_epoch, struct errinfo *info)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&session->lock);
    if (session->is_cancelled) {
        err = errinfo_set(info, ERR_CANCELLED, NULL, "the query was cancelled");
    } else {
        session->is_calling = true;
        *ret_epoch = session->host->epoch;
    }
    pthread_mutex_unlock(&session->lock);
    return err;
}

void session__end(struct engine_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->is_calling = false;
    bool was_cancelled = session->is_cancelled || query__was_cancelled(session->query);
    pthread_mutex_unlock(&session->lock);
    if (was_cancelled) {
        pool__answered(session->host);
    }
}

enum err session__lost(struct engine_session *session, enum err channel_err, struct errinfo *info)
{
    struct host *host = session->host;
    if (channel_err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    if (channel_err != ERR_IO) {
        pthread_mutex_lock(&host->hosts->lock);
        pool__kill(host, DEATH_PROTOCOL);
        pthread_mutex_unlock(&host->hosts->lock);
    }
    enum err err = pool__report_end(host, info);
    pthread_mutex_lock(&session->lock);
    bool was_cancelled = session->is_cancelled || query__was_cancelled(session->query);
    pthread_mutex_unlock(&session->lock);
    /* Whatever broke first, the person asked for this. */
    return was_cancelled ? errinfo_set(info, ERR_CANCELLED, NULL, "the query was cancelled") : err;
}

/* ---- requests on the control channel ---- */

/* The answer is in session->body. `is_broken` if the host must not be used again. */
static enum err exchange(struct engine_session *session, uint32_t kind, struct slice head,
                         struct slice text, size_t reply_max, bool *ret_is_broken,
                         struct errinfo *info)
{
    struct channel *channel = &session->host->control;
    uint64_t len = text.len;
    struct slice parts[] = {head, {(const char *)&len, sizeof(len)}, text};
    struct frame frame = {0};
    enum err err = channel_send_parts(channel, kind, parts, 3);
    err = err == ERR_OK ? channel_receive(channel, reply_max, &frame, &session->body) : err;
    if (err != ERR_OK) {
        *ret_is_broken = true;
        return session__lost(session, err, info);
    }
    if (frame.kind == MESSAGE_DONE) {
        return ERR_OK;
    }
    struct wire in = wire_of(buf_slice(&session->body));
    err = frame.kind == MESSAGE_FAILED ? wire_errinfo(&in, info) : ERR_CORRUPT;
    if (frame.kind != MESSAGE_FAILED || !wire_is_done(&in)) {
        *ret_is_broken = true;
        return session__lost(session, ERR_CORRUPT, info);
    }
    return err;
}

static size_t tree_max(size_t len)
{
    size_t grown = HOST_REPLY_BYTES_MAX + 4096 * len;
    return grown < HOST_TREE_BYTES_MAX ? grown : HOST_TREE_BYTES_MAX;
}

/* Asks without grants, and appends what comes. */
static enum err ask_text(struct engine_session *session, uint32_t kind, struct slice text,
                         struct buf *ret_text, struct errinfo *info)
{
    bool is_broken = false;
    uint64_t epoch;
    TRY(session__host(session, session->who, info));
    enum err err = session__begin(session, &epoch, info);
    if (err == ERR_OK) {
        err = exchange(session, kind, (struct slice){(const char *)&epoch, sizeof(epoch)}, text,
                       tree_max(text.len), &is_broken, info);
        session__end(session);
    }
    if (err == ERR_OK) {
        buf_append_slice(ret_text, buf_slice(&session->body));
        err = buf_failed(ret_text) ? errinfo_nomem(info) : ERR_OK;
    }
    session__give(session, is_broken);
    return err;
}

static enum err parse(struct engine_session *session, struct slice sql, struct buf *ret_json,
                      struct errinfo *info)
{
    return ask_text(session, MESSAGE_PARSE, sql, ret_json, info);
}

static enum err deparse(struct engine_session *session, struct slice json, struct buf *ret_sql,
                        struct errinfo *info)
{
    return ask_text(session, MESSAGE_DEPARSE, json, ret_sql, info);
}

static enum err functions(struct engine_session *session, struct buf *ret_lines,
                          struct errinfo *info)
{
    return ask_text(session, MESSAGE_FUNCTIONS, SLICE(""), ret_lines, info);
}

/* Asks with the grants of the statement; the answer is in session->body until the next. */
static enum err ask_bound(struct engine_session *session, const struct identity *who, uint32_t kind,
                          bool is_analyze, struct slice sql, bool *ret_is_broken,
                          struct errinfo *info)
{
    struct buf head CLEANUP(buf_fini) = {0};
    struct attached attached;
    uint64_t epoch;
    TRY(session__host(session, who, info));
    TRY(session__begin(session, &epoch, info));
    wire_put_u64(&head, epoch);
    wire_put_u8(&head, is_analyze);
    wire_put_u64(&head, session->memory_bytes);
    enum err err = grant__attach(session->engine, session->host, &session->person, sql, &head,
                                 &attached, info);
    if (err == ERR_OK) {
        err =
            exchange(session, kind, buf_slice(&head), sql, tree_max(sql.len), ret_is_broken, info);
        grant__detach(session->host, attached);
    }
    session__end(session);
    return err;
}

/* Columns, or with MESSAGE_PARAMETERS types without names. */
static enum err ask_columns(struct engine_session *session, const struct identity *who,
                            uint32_t kind, struct slice sql, struct arena *arena,
                            struct engine_column **ret_columns, size_t *ret_count,
                            struct errinfo *info)
{
    bool is_broken = false;
    enum err err = ask_bound(session, who, kind, false, sql, &is_broken, info);
    if (err == ERR_OK) {
        struct wire in = wire_of(buf_slice(&session->body));
        struct engine_column *columns;
        size_t count;
        host_take_columns(&in, arena, &columns, &count);
        if (wire_is_done(&in)) {
            *ret_columns = columns;
            *ret_count = count;
        } else {
            is_broken = true;
            err = session__lost(session, ERR_CORRUPT, info);
        }
    }
    session__give(session, is_broken);
    return err;
}

static enum err describe(struct engine_session *session, const struct identity *who,
                         struct slice sql, struct arena *arena, struct engine_column **ret_columns,
                         size_t *ret_count, struct errinfo *info)
{
    return ask_columns(session, who, MESSAGE_DESCRIBE, sql, arena, ret_columns, ret_count, info);
}

static enum err describe_parameters(struct engine_session *session, const struct identity *who,
                                    struct slice sql, struct arena *arena, struct slice **ret_types,
                                    size_t *ret_count, struct errinfo *info)
{
    struct engine_column *columns;
    size_t count;
    TRY(ask_columns(session, who, MESSAGE_PARAMETERS, sql, arena, &columns, &count, info));
    struct slice *types = arena_calloc(arena, count + 1, sizeof(*types));
    if (types == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        types[i] = columns[i].type;
    }
    *ret_types = types;
    *ret_count = count;
    return ERR_OK;
}

static enum err explain(struct engine_session *session, const struct identity *who,
                        struct slice sql, bool is_analyze, struct buf *ret_json,
                        struct errinfo *info)
{
    bool is_broken = false;
    enum err err = ask_bound(session, who, MESSAGE_EXPLAIN, is_analyze, sql, &is_broken, info);
    if (err == ERR_OK) {
        buf_append_slice(ret_json, buf_slice(&session->body));
        err = buf_failed(ret_json) ? errinfo_nomem(info) : ERR_OK;
    }
    session__give(session, is_broken);
    return err;
}

const struct engine_module_ops broker__ops = {
    .version = ENGINE_MODULE_VERSION,
    .table_bytes = sizeof(struct engine_module_ops),
    .open = open_engine,
    .close = close_engine,
    .version_text = version_text,
    .memory_bytes = memory_bytes,
    .session_open = open_session,
    .session_close = close_session,
    .session_cancel = cancel_session,
    .session_ready = ready_session,
    .session_set_memory = set_memory,
    .parse = parse,
    .deparse = deparse,
    .functions = functions,
    .describe = describe,
    .describe_parameters = describe_parameters,
    .explain = explain,
    .grant_open = grant__open,
    .grant_close = grant__close,
    .grant_uri = grant__uri,
    .grant_uri_out = grant__uri_out,
    .grant_uri_scan = grant__uri_scan,
    .grant_uri_rows = grant__uri_rows,
    .grant_count = grant__count,
    .query_open = query__open,
    .query_column_count = query__column_count,
    .query_column = query__column,
    .query_schema = query__schema,
    .query_next = query__next,
    .query_cancel = query__cancel,
    .query_progress = query__progress,
    .query_close = query__close,
};
