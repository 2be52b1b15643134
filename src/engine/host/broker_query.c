/* Queries over a host's query channel. Batches come by shared memory and are copied before they
 * are looked at: what the host can still write, nobody may check or read. */
#include "base/mem.h"
#include "engine/host/broker_int.h"

enum {
    DESCRIPTION_BYTES_MAX = 16 << 20
};

bool query__was_cancelled(const struct engine_query *query)
{
    return query != NULL && query->is_cancelled;
}

static void free_query(struct engine_query *query)
{
    arena_free(query->arena);
    mem_free(query);
}

/* ---- opening ---- */

static enum err send_open(struct engine_query *query, uint64_t epoch, struct slice sql,
                          const struct engine_parameter *parameters, size_t parameter_count,
                          struct errinfo *info)
{
    struct engine_session *session = query->session;
    struct host *host = session->host;
    struct buf head CLEANUP(buf_fini) = {0};
    query->number = ++host->next_query;
    wire_put_u64(&head, epoch);
    wire_put_u64(&head, query->number);
    wire_put_u64(&head, session->memory_bytes);
    host->granted_bytes = session->memory_bytes;
    TRY(grant__attach(session->engine, host, &session->person, sql, &head, &query->attached, info));
    host_put_parameters(&head, parameters, parameter_count);
    wire_put_u64(&head, sql.len);
    struct slice parts[] = {buf_slice(&head), sql};
    enum err err = buf_failed(&head) ? errinfo_nomem(info)
                                     : channel_send_parts(&host->query, MESSAGE_OPEN, parts, 2);
    if (err != ERR_OK) {
        grant__detach(host, query->attached);
        query->is_broken = err != ERR_NOMEM;
        return query->is_broken ? session__lost(session, err, info) : err;
    }
    return ERR_OK;
}

static enum err take_opened(struct engine_query *query, uint32_t kind, struct errinfo *info)
{
    struct engine_session *session = query->session;
    struct wire in = wire_of(buf_slice(&session->body));
    enum err err = ERR_OK;
    if (kind == MESSAGE_FAILED) {
        err = wire_errinfo(&in, info);
    } else {
        host_take_columns(&in, query->arena, &query->columns, &query->column_count);
        query->schema = wire_take_schema(&in, query->arena);
        if (query->schema != NULL && query->schema->child_count != query->column_count) {
            wire_fail(&in);
        }
    }
    if ((kind != MESSAGE_DONE && kind != MESSAGE_FAILED) || !wire_is_done(&in)) {
        query->is_broken = true;
        return session__lost(session, ERR_CORRUPT, info);
    }
    return err;
}

static enum err open_on_host(struct engine_query *query, struct slice sql,
                             const struct engine_parameter *parameters, size_t parameter_count,
                             struct errinfo *info)
{
    struct engine_session *session = query->session;
    struct frame frame;
    uint64_t epoch;
    TRY(session__begin(session, &epoch, info));
    enum err err = send_open(query, epoch, sql, parameters, parameter_count, info);
    if (err == ERR_OK) {
        err = channel_receive(&session->host->query, HOST_REPLY_BYTES_MAX, &frame, &session->body);
        if (err == ERR_OK) {
            err = take_opened(query, frame.kind, info);
        } else {
            query->is_broken = true;
            err = session__lost(session, err, info);
        }
        if (err != ERR_OK) {
            grant__detach(session->host, query->attached);
        }
    }
    session__end(session);
    return err;
}

enum err query__open(struct engine_session *session, const struct identity *who, struct slice sql,
                     const struct engine_parameter *parameters, size_t parameter_count,
                     struct engine_query **ret_query, struct errinfo *info)
{
    if (session->query != NULL) {
        return errinfo_set(info, ERR_BUSY, "55006", "the session already runs a query");
    }
    struct engine_query *query = mem_calloc(1, sizeof(*query));
    if (query == NULL) {
        return errinfo_nomem(info);
    }
    query->ops = &broker__ops;
    query->session = session;
    query->arena = arena_new(NULL, "query", 0);
    enum err err = query->arena == NULL ? errinfo_nomem(info) : session__host(session, who, info);
    if (err == ERR_OK) {
        err = open_on_host(query, sql, parameters, parameter_count, info);
        if (err != ERR_OK) {
            session__give(session, query->is_broken);
        }
    }
    if (err != ERR_OK) {
        free_query(query);
        return err;
    }
    pthread_mutex_lock(&session->lock);
    session->query = query;
    pthread_mutex_unlock(&session->lock);
    *ret_query = query;
    return ERR_OK;
}

size_t query__column_count(const struct engine_query *query)
{
    return query->column_count;
}

struct engine_column query__column(const struct engine_query *query, size_t index)
{
    ASSERT(index < query->column_count);
    return query->columns[index];
}

enum err query__schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                       struct errinfo *info)
{
    return wire_schema_export(query->schema, ret_schema, info);
}

/* ---- batches ---- */

/* Where the frame says that the data are; copied out. NULL: no memory, or `ret_err`. */
static enum err receive_batch(struct engine_query *query, size_t body_len,
                              struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct engine_session *session = query->session;
    struct channel *channel = &session->host->query;
    char bytes[1 + 8 + 8];
    if (body_len < sizeof(bytes)) {
        return ERR_CORRUPT;
    }
    TRY(channel_read(channel, bytes, sizeof(bytes)));
    struct wire head = wire_of((struct slice){bytes, sizeof(bytes)});
    bool is_in_slot = wire_bool(&head);
    uint64_t data_bytes = wire_u64(&head);
    uint64_t description_len = wire_u64(&head);
    size_t rest = body_len - sizeof(bytes);
    if (head.is_bad || description_len > DESCRIPTION_BYTES_MAX || description_len > rest ||
        data_bytes > (is_in_slot ? HOST_SLOT_BYTES : HOST_BATCH_BYTES_MAX) ||
        rest - description_len != (is_in_slot ? 0 : data_bytes)) {
        return ERR_CORRUPT;
    }
    buf_reset(&session->body);
    char *description = buf_reserve(&session->body, description_len);
    char *data = mem_alloc(data_bytes);
    if (description == NULL || data == NULL) {
        mem_free(data);
        return ERR_NOMEM;
    }
    enum err err = channel_read(channel, description, description_len);
    if (err == ERR_OK && !is_in_slot) {
        err = channel_read(channel, data, data_bytes);
    }
    if (err != ERR_OK) {
        mem_free(data);
        return err;
    }
    if (is_in_slot) {
        memcpy(data, host_slot(session->host->memory, query->pulled % HOST_SLOTS), data_bytes);
    }
    query->pulled++;
    return wire_take_batch(query->schema, (struct slice){description, description_len}, data,
                           data_bytes, ret_batch, info);
}

static void note_opened(struct engine_query *query, struct wire *in)
{
    uint64_t opened = wire_u64(in);
    if (!in->is_bad && opened < UINT32_MAX) {
        grant__count_opened(query->session->host, query->attached, opened);
    }
}

/* The end, or what went wrong. */
static enum err receive_end(struct engine_query *query, const struct frame *frame,
                            struct errinfo *info)
{
    struct engine_session *session = query->session;
    char bytes[8192];
    if (frame->body_len > sizeof(bytes)) {
        return ERR_CORRUPT;
    }
    TRY(channel_read(&session->host->query, bytes, frame->body_len));
    struct wire in = wire_of((struct slice){bytes, frame->body_len});
    enum err err = ERR_OK;
    note_opened(query, &in);
    query->failed = frame->kind == MESSAGE_FAILED;
    if (query->failed) {
        err = wire_errinfo(&in, info);
        query->failure = err;
    }
    query->has_ended = wire_is_done(&in);
    return query->has_ended ? ERR_OK : ERR_CORRUPT;
}

/* ERR_OK: a batch, the end or the query's own failure came. Else what is wrong with the channel. */
static enum err pull(struct engine_query *query, uint64_t epoch, struct ArrowArray *ret_batch,
                     struct errinfo *info)
{
    struct channel *channel = &query->session->host->query;
    struct frame frame;
    TRY(channel_send(channel, MESSAGE_NEXT, (struct slice){(const char *)&epoch, sizeof(epoch)}));
    TRY(channel_next(channel, HOST_BATCH_BYTES_MAX + DESCRIPTION_BYTES_MAX + 64, &frame));
    switch (frame.kind) {
    case MESSAGE_BATCH:
        return receive_batch(query, frame.body_len, ret_batch, info);
    case MESSAGE_END:
    case MESSAGE_FAILED:
        return receive_end(query, &frame, info);
    default: /* a number from the socket */
        return ERR_CORRUPT;
    }
}

static enum err cancelled(struct engine_query *query, struct errinfo *info)
{
    query->failed = true;
    return errinfo_set(info, ERR_CANCELLED, NULL, "the query was cancelled");
}

enum err query__next(struct engine_query *query, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct engine_session *session = query->session;
    struct ArrowArray batch = {0};
    uint64_t epoch;
    ASSERT(!query->failed);
    if (query->has_ended) {
        *ret_batch = batch;
        return ERR_OK;
    }
    pthread_mutex_lock(&session->lock);
    bool was_cancelled = query->is_cancelled;
    pthread_mutex_unlock(&session->lock);
    if (was_cancelled || session__begin(session, &epoch, info) != ERR_OK) {
        return cancelled(query, info);
    }
    enum err err = query->is_broken ? ERR_IO : pull(query, epoch, &batch, info);
    if (err != ERR_OK) {
        query->is_broken = query->failed = true;
        err = session__lost(session, err, info);
        session__end(session);
        return err;
    }
    session__end(session);
    if (query->failed) {
        pthread_mutex_lock(&session->lock);
        was_cancelled = query->is_cancelled || session->is_cancelled;
        pthread_mutex_unlock(&session->lock);
        return was_cancelled ? cancelled(query, info) : query->failure;
    }
    *ret_batch = batch;
    return ERR_OK;
}

/* ---- stopping ---- */

void query__cancel(struct engine_query *query)
{
    struct engine_session *session = query->session;
    pthread_mutex_lock(&session->lock);
    query->is_cancelled = true;
    host__urge(session->host, MESSAGE_CANCEL_QUERY, query->number);
    if (session->is_calling) {
        pool__expect_end(session->host);
    }
    pthread_mutex_unlock(&session->lock);
}

/* The host is asked and not waited for: what it said last is what is known. */
double query__progress(struct engine_query *query)
{
    struct host *host = query->session->host;
    const struct host_shared *shared = host->memory;
    uint64_t known = shared->progress_millipercent;
    host__urge(host, MESSAGE_PROGRESS, 0);
    return known > 100000 ? -1 : (double)known / 1000;
}

/* Drops what is still on its way, until the host says that the query is closed. */
static enum err close_on_host(struct engine_query *query)
{
    struct host *host = query->session->host;
    struct channel *channel = &host->query;
    char bytes[4096];
    TRY(channel_send(channel, MESSAGE_CLOSE, SLICE("")));
    for (;;) {
        struct frame frame;
        TRY(channel_next(channel, HOST_BATCH_BYTES_MAX + DESCRIPTION_BYTES_MAX + 64, &frame));
        bool is_closed = frame.kind == MESSAGE_CLOSED;
        if (is_closed && frame.body_len != 8) {
            return ERR_CORRUPT;
        }
        while (frame.body_len > 0) {
            size_t part = frame.body_len < sizeof(bytes) ? frame.body_len : sizeof(bytes);
            TRY(channel_read(channel, bytes, part));
            frame.body_len -= part;
        }
        if (is_closed) {
            struct wire in = wire_of((struct slice){bytes, 8});
            if (!query->has_ended) {
                note_opened(query, &in);
            }
            return ERR_OK;
        }
    }
}

void query__close(struct engine_query *query)
{
    struct engine_session *session = query->session;
    struct host *host = session->host;
    bool is_broken = query->is_broken;
    if (!is_broken) {
        if (!query->has_ended) {
            host__urge(host, MESSAGE_CANCEL_QUERY, query->number);
        }
        pool__expect_end(host);
        enum err err = close_on_host(query);
        pool__answered(host);
        if (err != ERR_OK) {
            struct errinfo unused;
            (void)session__lost(session, err, &unused);
            is_broken = true;
        }
    }
    grant__detach(host, query->attached);
    pthread_mutex_lock(&session->lock);
    session->query = NULL;
    pthread_mutex_unlock(&session->lock);
    free_query(query);
    session__give(session, is_broken);
}
