/* Statements that outlive a request. A thread pulls rows while there is room for them: the page
 * that was given out and one ahead of it. When that is full the thread ends, and the next request
 * for a page starts another: who reads slowly holds rows, and no thread. The minder stops what
 * nobody asks for any more.
 *
 * Locks: the server's, then that of a kept run, or of a run; none is held while rows are pulled. */
#include <openssl/rand.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/web/socket.h"

#define PAGE_BYTES 1048576u
#define KEPT_MAX 2000u
#define KEPT_PERSON_MAX 200u
#define ENDED_US (10 * 1000000LL) /* a last page can be asked for again */
#define SECRET_BYTES 16
#define SECRET_TEXT_BYTES (2 * SECRET_BYTES + 1)
#define ROOM_KEPT_BYTES (4 * PAGE_BYTES) /* of one buffer, for the next page */
#define LINGER_US 10000                  /* for the next request, before a thread ends */
#define MIND_US 1000000

/* Rows of one page: of the query, and of each answer that is being sent. */
struct web_rows {
    atomic_uint references;
    struct buf text;
    uint64_t count;
};

struct web_kept {
    struct web_kept *next, *previous; /* under the server's lock */
    atomic_uint references;
    bool is_listed;
    struct web_server *server;
    struct web_run *run;
    const char *protocol;
    struct identity *who;
    struct web_login *login;
    char id[SECRET_TEXT_BYTES];
    char secret[SECRET_TEXT_BYTES];
    char *statement;
    struct query_parameter *parameters; /* texts behind the array */
    size_t parameter_count;
    struct web_printer printer;
    int64_t begun_us;

    /* The thread's that pulls. */
    struct ArrowArray batch;
    int64_t batch_row;
    struct buf scratch;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool is_pulling;
    enum web_kept_state state;
    struct errinfo why;
    bool has_columns;
    char tag[64];
    char notice[ERRINFO_MESSAGE_BYTES];
    int64_t started_us, ended_us;
    int64_t asked_us;
    struct web_rows *given; /* page `given_token`; NULL: none yet */
    uint64_t given_token;
    struct buf ahead;
    uint64_t ahead_count;
    uint64_t rows_total; /* with `given` */
};

static void *pull(void *context);

/* ---- life ---- */

static void rows_unref(struct web_rows *rows)
{
    if (rows != NULL && atomic_fetch_sub(&rows->references, 1) == 1) {
        buf_fini(&rows->text);
        mem_free(rows);
    }
}

static void free_kept(struct web_kept *kept)
{
    if (kept->batch.release != NULL) {
        kept->batch.release(&kept->batch);
    }
    web_run_close(kept->run);
    if (kept->printer.close != NULL) {
        kept->printer.close(kept->printer.context);
    }
    rows_unref(kept->given);
    buf_fini(&kept->ahead);
    buf_fini(&kept->scratch);
    identity_unref(kept->who);
    web__login_unref(kept->login);
    mem_free(kept->statement);
    mem_free(kept->parameters);
    pthread_cond_destroy(&kept->changed);
    pthread_mutex_destroy(&kept->lock);
    mem_free(kept);
}

void web_kept_unref(struct web_kept *kept)
{
    if (atomic_fetch_sub(&kept->references, 1) == 1) {
        free_kept(kept);
    }
}

/* With the server's lock held: its reference is the caller's then. */
static void unlist(struct web_kept *kept)
{
    struct web_server *server = kept->server;
    *(kept->previous == NULL ? &server->kept : &kept->previous->next) = kept->next;
    if (kept->next != NULL) {
        kept->next->previous = kept->previous;
    }
    kept->is_listed = false;
    server->kept_count--;
}

static bool is_same_person(const struct identity *a, const struct identity *b)
{
    return slice_equal(identity_subject(a), identity_subject(b)) &&
           identity_principal(a) == identity_principal(b) &&
           identity_is_owner(a) == identity_is_owner(b);
}

static enum err list(struct web_server *server, struct web_kept *kept, struct errinfo *info)
{
    size_t own = 0;
    enum err err = ERR_OK;
    pthread_mutex_lock(&server->lock);
    for (const struct web_kept *k = server->kept; k != NULL; k = k->next) {
        own += k->run != NULL && is_same_person(k->who, kept->who); /* not those that are read */
    }
    if (server->is_closing) {
        err = errinfo_set(info, ERR_BUSY, "57P01", "the server is being stopped");
    } else if (server->kept_count >= KEPT_MAX || own >= KEPT_PERSON_MAX) {
        err = errinfo_set(info, ERR_BUSY, "53300", "%s has too many queries open",
                          own >= KEPT_PERSON_MAX ? "this person" : "the server");
        errinfo_hint(info, "Read them to their end, or cancel them.");
    } else {
        kept->is_listed = true;
        atomic_fetch_add(&kept->references, 1);
        kept->next = server->kept;
        if (kept->next != NULL) {
            kept->next->previous = kept;
        }
        server->kept = kept;
        server->kept_count++;
    }
    pthread_mutex_unlock(&server->lock);
    return err;
}

static enum err make_secret(char *ret_text, struct errinfo *info)
{
    uint8_t bytes[SECRET_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        static const char digits[] = "0123456789abcdef";
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[SECRET_TEXT_BYTES - 1] = '\0';
    return ERR_OK;
}

/* The array and its texts in one piece. */
static enum err copy_parameters(struct web_kept *kept, const struct web_kept_spec *spec,
                                struct errinfo *info)
{
    size_t bytes = spec->parameter_count * sizeof(*kept->parameters);
    for (size_t i = 0; i < spec->parameter_count; i++) {
        bytes += spec->parameters[i].text.len;
    }
    kept->parameters = mem_alloc(bytes + 1);
    kept->statement = mem_slicedup(spec->statement);
    if (kept->parameters == NULL || kept->statement == NULL) {
        return errinfo_nomem(info);
    }
    char *at = (char *)(kept->parameters + spec->parameter_count);
    for (size_t i = 0; i < spec->parameter_count; i++) {
        struct slice text = spec->parameters[i].text;
        kept->parameters[i] = spec->parameters[i];
        kept->parameters[i].text.ptr = at;
        if (text.len > 0) {
            memcpy(at, text.ptr, text.len);
        }
        at += text.len;
    }
    kept->parameter_count = spec->parameter_count;
    return ERR_OK;
}

/* With the lock of `kept` held. */
static void start_pulling(struct web_kept *kept)
{
    pthread_t thread;
    atomic_fetch_add(&kept->references, 1);
    atomic_fetch_add(&kept->server->puller_count, 1);
    kept->is_pulling = true;
    if (pthread_create(&thread, NULL, pull, kept) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    kept->is_pulling = false; /* the next request tries again */
    atomic_fetch_sub(&kept->references, 1);
    atomic_fetch_sub(&kept->server->puller_count, 1);
}

enum err web_kept_open(struct web_server *server, struct web_run *run,
                       const struct web_kept_spec *spec, struct web_kept **ret_kept,
                       struct errinfo *info)
{
    struct web_kept *kept = mem_calloc(1, sizeof(*kept));
    if (kept == NULL) {
        web_run_close(run);
        spec->printer.close(spec->printer.context);
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&kept->lock, NULL);
    pthread_cond_init(&kept->changed, NULL);
    kept->server = server;
    atomic_init(&kept->references, 1);
    kept->run = run;
    kept->protocol = web__run_protocol(run);
    kept->who = identity_ref(web__run_who(run));
    kept->login = web__login_ref(web__run_login(run));
    kept->printer = spec->printer;
    kept->begun_us = kept->asked_us = clock_mono_us();
    errinfo_init(&kept->why);
    enum err err = copy_parameters(kept, spec, info);
    err = err != ERR_OK ? err : make_secret(kept->id, info);
    err = err != ERR_OK ? err : make_secret(kept->secret, info);
    err = err != ERR_OK ? err : list(server, kept, info);
    if (err != ERR_OK) {
        free_kept(kept);
        return err;
    }
    pthread_mutex_lock(&kept->lock);
    start_pulling(kept);
    pthread_mutex_unlock(&kept->lock);
    *ret_kept = kept;
    return ERR_OK;
}

/* In a time that does not tell how much of it was right. */
static bool is_secret(const char *secret, struct slice text)
{
    unsigned difference = text.len != SECRET_TEXT_BYTES - 1;
    for (size_t i = 0; i < text.len && i < SECRET_TEXT_BYTES - 1; i++) {
        difference |= (unsigned char)secret[i] ^ (unsigned char)text.ptr[i];
    }
    return difference == 0;
}

/* `secret` NULL: whatever it is. */
static struct web_kept *find(struct web_server *server, const struct identity *who,
                             const char *protocol, struct slice id, const struct slice *secret)
{
    pthread_mutex_lock(&server->lock);
    struct web_kept *kept = server->kept;
    while (kept != NULL &&
           !(slice_equal(slice_of(kept->id), id) && strcmp(kept->protocol, protocol) == 0 &&
             (secret == NULL || is_secret(kept->secret, *secret)) &&
             is_same_person(kept->who, who))) {
        kept = kept->next;
    }
    if (kept != NULL) {
        atomic_fetch_add(&kept->references, 1);
    }
    pthread_mutex_unlock(&server->lock);
    return kept;
}

struct web_kept *web_kept_find(struct web_server *server, const struct identity *who,
                               const char *protocol, struct slice id, struct slice secret)
{
    return find(server, who, protocol, id, &secret);
}

struct web_kept *web_kept_find_own(struct web_server *server, const struct identity *who,
                                   const char *protocol, struct slice id)
{
    return find(server, who, protocol, id, NULL);
}

const char *web_kept_id(const struct web_kept *kept)
{
    return kept->id;
}

const char *web_kept_secret(const struct web_kept *kept)
{
    return kept->secret;
}

void *web_kept_printer(const struct web_kept *kept)
{
    return kept->printer.context;
}

struct slice web_kept_statement(const struct web_kept *kept)
{
    return slice_of(kept->statement);
}

/* ---- the thread that pulls ---- */

static void end(struct web_kept *kept, enum err err, const struct errinfo *why)
{
    pthread_mutex_lock(&kept->lock);
    kept->state = err == ERR_OK ? WEB_KEPT_DONE : WEB_KEPT_FAILED;
    if (err != ERR_OK) {
        kept->why = *why;
    }
    kept->ended_us = clock_mono_us();
    pthread_mutex_unlock(&kept->lock);
}

static enum err start(struct web_kept *kept, struct errinfo *info)
{
    TRY(web_run_start(kept->run, slice_of(kept->statement), kept->parameters, kept->parameter_count,
                      info));
    struct query *query = web_run_query(kept->run);
    const struct ArrowSchema *schema = web_run_schema(kept->run);
    if (schema != NULL) {
        TRY(kept->printer.begin(kept->printer.context, query, schema, info));
    }
    pthread_mutex_lock(&kept->lock);
    kept->state = WEB_KEPT_RUNNING;
    kept->has_columns = schema != NULL;
    kept->started_us = clock_mono_us();
    (void)snprintf(kept->tag, sizeof(kept->tag), "%s", query_tag(query));
    (void)snprintf(kept->notice, sizeof(kept->notice), "%s", query_notice(query));
    pthread_cond_broadcast(&kept->changed);
    pthread_mutex_unlock(&kept->lock);
    return ERR_OK;
}

/* For the rows of another page, without asking for memory anew. */
static void make_empty(struct buf *buf)
{
    if (buf->capacity > ROOM_KEPT_BYTES) {
        buf_fini(buf);
        *buf = (struct buf){0};
    }
    buf_reset(buf);
}

/* Rows of the batch until the page is full. */
static enum err print_some(struct web_kept *kept, bool *ret_is_full, struct errinfo *info)
{
    struct buf *rows = &kept->scratch;
    uint64_t count = 0;
    make_empty(rows);
    pthread_mutex_lock(&kept->lock);
    size_t before = kept->ahead.len;
    pthread_mutex_unlock(&kept->lock);
    while (kept->batch_row < kept->batch.length && before + rows->len < PAGE_BYTES) {
        buf_append_str(rows, count == 0 ? "" : ",");
        TRY(kept->printer.row(kept->printer.context, &kept->batch, kept->batch_row, rows, info));
        kept->batch_row++;
        count++;
    }
    pthread_mutex_lock(&kept->lock);
    bool has_failed = buf_failed(rows);
    if (kept->ahead_count == 0) { /* it may have been given out meanwhile */
        struct buf empty = kept->ahead;
        kept->ahead = *rows;
        *rows = empty;
    } else if (count > 0) {
        buf_append_char(&kept->ahead, ',');
        buf_append_slice(&kept->ahead, buf_slice(rows));
    }
    kept->ahead_count += count;
    *ret_is_full = kept->ahead.len >= PAGE_BYTES;
    has_failed = has_failed || buf_failed(&kept->ahead);
    pthread_cond_broadcast(&kept->changed);
    pthread_mutex_unlock(&kept->lock);
    return has_failed ? errinfo_nomem(info) : ERR_OK;
}

/* Until there is no room, or the end. */
static enum err fill(struct web_kept *kept, bool *ret_is_end, struct errinfo *info)
{
    bool is_full = false;
    *ret_is_end = false;
    while (kept->has_columns && !is_full) {
        if (kept->batch.release != NULL && kept->batch_row == kept->batch.length) {
            kept->batch.release(&kept->batch);
            kept->batch.release = NULL;
        }
        if (kept->batch.release == NULL) {
            kept->batch_row = 0;
            TRY(web_run_next(kept->run, &kept->batch, info));
        }
        if (kept->batch.release == NULL) {
            break;
        }
        if (kept->batch_row == 0 && kept->printer.batch != NULL) {
            kept->printer.batch(kept->printer.context, &kept->batch);
        }
        TRY(print_some(kept, &is_full, info));
        query_touch(web_run_query(kept->run));
    }
    *ret_is_end = !is_full;
    return ERR_OK;
}

/* What it held is for others now; the client still has to read what was printed. */
static void let_go(struct web_kept *kept)
{
    if (kept->batch.release != NULL) {
        kept->batch.release(&kept->batch);
        kept->batch.release = NULL;
    }
    pthread_mutex_lock(&kept->server->lock); /* the minder looks at runs of listed ones */
    struct web_run *run = TAKE(kept->run);
    pthread_mutex_unlock(&kept->server->lock);
    web_run_close(run);
}

/* With the lock held: a client that reads on at once is not to wait for a new thread. */
static bool linger(struct web_kept *kept)
{
    int64_t until_us = clock_mono_us() + LINGER_US;
    while (kept->ahead.len >= PAGE_BYTES && clock_wait(&kept->changed, &kept->lock, until_us)) {
    }
    return kept->ahead.len < PAGE_BYTES;
}

static void *pull(void *context)
{
    struct web_kept *kept = context;
    struct web_server *server = kept->server;
    struct errinfo why;
    bool is_end = false;
    bool goes_on;
    errinfo_init(&why);
    pthread_mutex_lock(&kept->lock);
    bool is_new = kept->state == WEB_KEPT_STARTING;
    pthread_mutex_unlock(&kept->lock);
    do {
        /* Reading on is asking again. */
        enum err err = is_new ? start(kept, &why) : session_check(web_run_session(kept->run), &why);
        is_new = false;
        err = err != ERR_OK ? err : fill(kept, &is_end, &why);
        bool is_over = err != ERR_OK || is_end;
        if (is_over) {
            let_go(kept);
            end(kept, err, &why);
        }
        pthread_mutex_lock(&kept->lock);
        goes_on = !is_over && linger(kept);
        if (goes_on) {
            pthread_mutex_unlock(&kept->lock);
        }
    } while (goes_on);
    buf_fini(&kept->scratch); /* who reads slowly holds no more than the pages */
    kept->is_pulling = false;
    pthread_cond_broadcast(&kept->changed);
    pthread_mutex_unlock(&kept->lock);
    web_kept_unref(kept);
    pthread_mutex_lock(&server->lock);
    atomic_fetch_sub(&server->puller_count, 1);
    pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- pages ---- */

static bool is_over(const struct web_kept *kept)
{
    return kept->state == WEB_KEPT_DONE || kept->state == WEB_KEPT_FAILED;
}

static void tell(const struct web_kept *kept, struct web_page *ret_page)
{
    int64_t now_us = clock_mono_us();
    ret_page->state = kept->state;
    ret_page->has_columns = kept->has_columns;
    ret_page->rows_total = kept->rows_total;
    ret_page->queued_us = (kept->started_us != 0 ? kept->started_us : now_us) - kept->begun_us;
    ret_page->elapsed_us = (is_over(kept) ? kept->ended_us : now_us) - kept->begun_us;
    (void)snprintf(ret_page->tag, sizeof(ret_page->tag), "%s", kept->tag);
    (void)snprintf(ret_page->notice, sizeof(ret_page->notice), "%s", kept->notice);
}

static void wait_for_rows(struct web_kept *kept, int64_t wait_ms)
{
    int64_t until_us = clock_mono_us() + wait_ms * 1000;
    while (!is_over(kept) && kept->ahead.len < PAGE_BYTES) {
        if (!kept->is_pulling) {
            start_pulling(kept);
        }
        if (!clock_wait(&kept->changed, &kept->lock, until_us)) {
            return;
        }
    }
}

/* With the lock held: what is ahead becomes what is given, and the room of what was given is for
 * what comes. Nothing, and not the end: stays. */
static void turn(struct web_kept *kept, uint64_t token, struct web_page *ret_page)
{
    if (kept->ahead_count == 0 && !is_over(kept)) {
        return;
    }
    struct web_rows *rows = kept->given;
    if (rows == NULL || atomic_load(&rows->references) > 1) { /* an answer is still being sent */
        rows = mem_calloc(1, sizeof(*rows));
        if (rows == NULL) {
            return;
        }
        atomic_init(&rows->references, 1);
        rows_unref(kept->given);
        kept->given = rows;
    }
    struct buf room = rows->text;
    rows->text = kept->ahead;
    rows->count = kept->ahead_count;
    make_empty(&room);
    kept->ahead = room;
    kept->ahead_count = 0;
    kept->given_token = token;
    kept->rows_total += rows->count;
    ret_page->is_known = true;
    if (kept->is_pulling) {
        pthread_cond_broadcast(&kept->changed);
    } else if (!is_over(kept)) {
        start_pulling(kept); /* while the client reads */
    }
}

void web_kept_page(struct web_kept *kept, uint64_t token, int64_t wait_ms,
                   struct web_page *ret_page, struct errinfo *ret_why)
{
    *ret_page = (struct web_page){0};
    pthread_mutex_lock(&kept->lock);
    uint64_t next = kept->given != NULL ? kept->given_token + 1 : 0;
    if (kept->given != NULL && token == kept->given_token) {
        ret_page->is_known = true;
    } else if (token != next) {
        ret_page->is_gone = true;
    } else {
        wait_for_rows(kept, wait_ms);
        turn(kept, token, ret_page);
    }
    kept->asked_us = clock_mono_us();
    tell(kept, ret_page);
    if (ret_page->is_known) {
        atomic_fetch_add(&kept->given->references, 1);
        ret_page->held = kept->given;
        ret_page->rows = buf_slice(&kept->given->text);
        ret_page->row_count = kept->given->count;
        ret_page->is_last = is_over(kept) && kept->ahead_count == 0;
    }
    if (kept->state == WEB_KEPT_FAILED && (ret_page->is_last || !ret_page->is_known)) {
        *ret_why = kept->why;
    }
    pthread_mutex_unlock(&kept->lock);
}

void web_kept_look(struct web_kept *kept, struct web_page *ret_page, struct errinfo *ret_why)
{
    *ret_page = (struct web_page){.progress = -1};
    pthread_mutex_lock(&kept->lock);
    tell(kept, ret_page);
    kept->asked_us = clock_mono_us();
    if (kept->state == WEB_KEPT_FAILED) {
        *ret_why = kept->why;
    }
    pthread_mutex_unlock(&kept->lock);
    pthread_mutex_lock(&kept->server->lock); /* so that the run is not let go of meanwhile */
    if (kept->run != NULL) {
        ret_page->progress = session_progress(web_run_session(kept->run));
    }
    pthread_mutex_unlock(&kept->server->lock);
}

void web_page_fini(struct web_page *page)
{
    rows_unref(page->held);
}

void web_kept_stop(struct web_kept *kept)
{
    struct web_server *server = kept->server;
    pthread_mutex_lock(&server->lock);
    if (kept->run != NULL) {
        web_run_stop(kept->run);
    }
    bool was_listed = kept->is_listed;
    if (was_listed) {
        unlist(kept);
    }
    pthread_mutex_unlock(&server->lock);
    if (was_listed) {
        web_kept_unref(kept);
    }
}

/* ---- the minder ---- */

/* Whether nobody will ask for it any more. With the server's lock held. */
static bool is_abandoned(const struct web_server *server, struct web_kept *kept, int64_t now_us)
{
    pthread_mutex_lock(&kept->lock);
    int64_t quiet_us = now_us - kept->asked_us;
    bool is_read = is_over(kept) && kept->given != NULL && kept->ahead_count == 0;
    pthread_mutex_unlock(&kept->lock);
    return quiet_us > (is_read ? ENDED_US : server->abandoned_us);
}

/* Whatever was begun with that sign-in, one by one. */
void web__kepts_stop_of(struct web_server *server, const struct web_login *login)
{
    for (;;) {
        pthread_mutex_lock(&server->lock);
        struct web_kept *kept = server->kept;
        while (kept != NULL && kept->login != login) {
            kept = kept->next;
        }
        if (kept != NULL) {
            atomic_fetch_add(&kept->references, 1);
        }
        pthread_mutex_unlock(&server->lock);
        if (kept == NULL) {
            return;
        }
        web_kept_stop(kept);
        web_kept_unref(kept);
    }
}

static struct web_kept *find_abandoned(struct web_server *server)
{
    int64_t now_us = clock_mono_us();
    for (struct web_kept *kept = server->kept; kept != NULL; kept = kept->next) {
        if (server->is_closing || is_abandoned(server, kept, now_us)) {
            atomic_fetch_add(&kept->references, 1);
            return kept;
        }
    }
    return NULL;
}

static void *mind(void *context)
{
    struct web_server *server = context;
    pthread_mutex_lock(&server->lock);
    for (;;) {
        web__sockets_mind(server);
        struct web_kept *kept = find_abandoned(server);
        if (kept != NULL) {
            pthread_mutex_unlock(&server->lock);
            web_kept_stop(kept);
            web_kept_unref(kept);
            pthread_mutex_lock(&server->lock);
            continue;
        }
        struct web_login *login = web__login_late(server);
        if (login != NULL) {
            pthread_mutex_unlock(&server->lock);
            web__login_end(server, login);
            web__login_unref(login);
            pthread_mutex_lock(&server->lock);
            continue;
        }
        if (server->is_closing) {
            break;
        }
        (void)clock_wait(&server->tick, &server->lock, clock_mono_us() + MIND_US);
    }
    while (atomic_load(&server->puller_count) > 0) {
        pthread_cond_wait(&server->idle, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

enum err web__keeper_open(struct web_server *server, struct errinfo *info)
{
    if (pthread_create(&server->minder, NULL, mind, server) != 0) {
        return errinfo_set(info, ERR_NOMEM, NULL, "a thread could not be started");
    }
    server->has_minder = true;
    return ERR_OK;
}

void web__keeper_close(struct web_server *server)
{
    if (server->has_minder) {
        pthread_mutex_lock(&server->lock);
        server->is_closing = true;
        pthread_cond_signal(&server->tick);
        pthread_mutex_unlock(&server->lock);
        (void)pthread_join(server->minder, NULL);
    }
}
