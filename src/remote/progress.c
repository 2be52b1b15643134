/* How far a statement is, from the server's list of what runs: by a second sign-in, on a thread of
 * its own, which begins when somebody looks at it.
 *
 * One way for all doors, since none can say it on the connection that waits: PostgreSQL's has
 * nothing for it (a NOTICE would be shown by other tools as one), HTTP's answer has not begun, and
 * Flight's PollFlightInfo tells of what has not been started. Each look is a statement, with its
 * record in the audit trail, so they grow apart: one a second, then a tenth of the time that it
 * runs. */
#include "arrow/value.h"
#include "base/clock.h"
#include "base/mem.h"
#include "remote/remote_int.h"

#define LOOKS_FROM_MS 1000
#define LOOKED_AT_US 2000000 /* after that nobody looks any more */

struct remote_progress {
    struct remote *remote;
    pthread_t thread;
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t changed;
    struct remote *aside; /* the second connection, once it is there */
    int64_t looked_us;    /* when somebody last did */
    uint64_t number;      /* of the statement that `percent` is of */
    double percent;
    bool is_over;
    bool is_hopeless; /* the server has no such list */
};

/* The one cell of the one row. */
static bool read_cell(struct remote_answer *answer, double *ret_percent, struct errinfo *info)
{
    const struct ArrowSchema *schema = remote_answer_schema(answer);
    bool has = false;
    while (schema != NULL && schema->n_children == 1) {
        struct ArrowArray batch;
        if (remote_answer_next(answer, &batch, info) != ERR_OK || batch.release == NULL) {
            break;
        }
        struct buf text CLEANUP(buf_fini) = {0};
        if (!has && batch.length > 0 && arrow_is_valid(schema->children[0], batch.children[0], 0) &&
            arrow_print(schema->children[0], batch.children[0], 0, &text, info) == ERR_OK) {
            *ret_percent = strtod(buf_cstr(&text), NULL);
            has = true;
        }
        batch.release(&batch);
    }
    return has;
}

static enum err look(struct remote *aside, struct slice statement, double *ret_percent)
{
    struct errinfo info;
    struct remote_answer *answer CLEANUP(remote_answer_cleanup) = NULL;
    errinfo_init(&info);
    TRY(remote_run(aside, statement, &answer, &info));
    *ret_percent = -1;
    (void)read_cell(answer, ret_percent, &info);
    return ERR_OK;
}

static enum err connect_aside(struct remote_progress *progress)
{
    struct remote *remote = progress->remote;
    struct remote_options options = {.address = remote->address,
                                     .user = slice_of(remote->user),
                                     .secret = secret_slice(&remote->secret),
                                     .is_token = remote->is_token};
    struct remote *aside;
    struct errinfo info;
    errinfo_init(&info);
    if (remote->ops->sign_in_aside != NULL) {
        remote->ops->sign_in_aside(remote, &options);
    }
    TRY(remote_open(&options, &aside, &info));
    pthread_mutex_lock(&progress->lock);
    progress->aside = aside;
    pthread_mutex_unlock(&progress->lock);
    return ERR_OK;
}

static enum err print_statement(const struct remote *remote, struct buf *out)
{
    buf_append_str(out, "SELECT progress FROM moat.moat_system.running_queries WHERE ");
    remote->ops->print_own(remote, out);
    buf_append_str(out, " ORDER BY started_at, query_id LIMIT 1");
    return buf_failed(out) ? ERR_NOMEM : ERR_OK;
}

/* With the lock held: until it is time for the next look. */
static void wait_ms(struct remote_progress *progress, int64_t ms)
{
    (void)clock_wait(&progress->changed, &progress->lock, clock_mono_us() + ms * 1000);
}

/* With the lock held, which is given up for the time of the look. */
static void look_once(struct remote_progress *progress, struct slice statement)
{
    double percent = -1;
    uint64_t number = atomic_load(&progress->remote->statement_number);
    pthread_mutex_unlock(&progress->lock);
    enum err err = progress->aside == NULL ? connect_aside(progress) : ERR_OK;
    pthread_mutex_lock(&progress->lock);
    bool is_over = progress->is_over; /* while it connected */
    pthread_mutex_unlock(&progress->lock);
    err = err != ERR_OK || is_over ? err : look(progress->aside, statement, &percent);
    pthread_mutex_lock(&progress->lock);
    progress->is_hopeless = err != ERR_OK;
    progress->number = number;
    progress->percent = percent;
}

static void *run(void *context)
{
    struct remote_progress *progress = context;
    struct buf statement CLEANUP(buf_fini) = {0};
    pthread_mutex_lock(&progress->lock);
    progress->is_hopeless = print_statement(progress->remote, &statement) != ERR_OK;
    while (!progress->is_over && !progress->is_hopeless) {
        int64_t now_us = clock_mono_us();
        int64_t ran_ms = (now_us - atomic_load(&progress->remote->begun_us)) / 1000;
        if (now_us - progress->looked_us > LOOKED_AT_US) {
            (void)pthread_cond_wait(&progress->changed, &progress->lock);
            continue;
        }
        look_once(progress, buf_slice(&statement));
        wait_ms(progress, ran_ms / 10 > LOOKS_FROM_MS ? ran_ms / 10 : LOOKS_FROM_MS);
    }
    pthread_mutex_unlock(&progress->lock);
    return NULL;
}

static struct remote_progress *start(struct remote *remote)
{
    struct remote_progress *progress = mem_calloc(1, sizeof(*progress));
    if (progress == NULL) {
        return NULL;
    }
    progress->remote = remote;
    progress->percent = -1;
    progress->looked_us = clock_mono_us();
    pthread_mutex_init(&progress->lock, NULL);
    pthread_cond_init(&progress->changed, NULL);
    if (pthread_create(&progress->thread, NULL, run, progress) != 0) {
        mem_free(progress);
        return NULL;
    }
    return progress;
}

double remote_progress(struct remote *remote)
{
    struct remote_progress *progress = remote->progress;
    if (progress == NULL && remote->is_watched) {
        progress = remote->progress = start(remote);
        remote->is_watched = progress != NULL;
    }
    if (progress == NULL) {
        return -1;
    }
    pthread_mutex_lock(&progress->lock);
    int64_t now_us = clock_mono_us();
    bool was_idle = now_us - progress->looked_us > LOOKED_AT_US;
    progress->looked_us = now_us;
    bool is_of_this = progress->number == atomic_load(&remote->statement_number);
    double percent = is_of_this ? progress->percent : -1;
    if (was_idle) {
        pthread_cond_broadcast(&progress->changed);
    }
    pthread_mutex_unlock(&progress->lock);
    return percent;
}

void remote__progress_stop(struct remote_progress *progress)
{
    if (progress == NULL) {
        return;
    }
    pthread_mutex_lock(&progress->lock);
    progress->is_over = true;
    if (progress->aside != NULL) {
        remote_cancel(progress->aside);
    }
    pthread_cond_broadcast(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
    (void)pthread_join(progress->thread, NULL);
    remote_close(progress->aside);
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->lock);
    mem_free(progress);
}
