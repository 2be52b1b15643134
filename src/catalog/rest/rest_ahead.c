/* Tables asked for side by side, each by a thread of its own: a statement that names eight of them
 * waits for the catalog once, and has the same version of one that it names twice. What is not
 * begun here is loaded when it is asked for. */
#include <pthread.h>

#include "base/mem.h"
#include "catalog/rest/rest_ahead_int.h"
#include "catalog/rest/rest_int.h"

#define JOBS_MAX 16u

struct job {
    struct rest_ahead *ahead;
    struct rest_catalog catalog; /* asks by itself, and is over with us */
    const struct identity *who;
    struct arena *arena;
    struct rest_namespace ns;
    struct slice name;
    bool all_snapshots;
    bool is_joined;
    pthread_t thread;
    enum err err;
    struct errinfo info;
    struct rest_loaded loaded;
};

struct rest_ahead {
    struct rest *rest;
    atomic_bool is_over; /* nobody will ask for the rest */
    size_t count;
    struct job jobs[JOBS_MAX];
};

enum err rest_ahead_new(struct rest *rest, struct rest_ahead **ret_ahead, struct errinfo *info)
{
    struct rest_ahead *ahead = mem_calloc(1, sizeof(*ahead));
    if (ahead == NULL) {
        return errinfo_nomem(info);
    }
    ahead->rest = rest;
    *ret_ahead = ahead;
    return ERR_OK;
}

static void join(struct job *job)
{
    if (!job->is_joined) {
        (void)pthread_join(job->thread, NULL);
        job->is_joined = true;
    }
}

void rest_ahead_free(struct rest_ahead *ahead)
{
    if (ahead == NULL) {
        return;
    }
    atomic_store(&ahead->is_over, true);
    for (size_t i = 0; i < ahead->count; i++) {
        join(&ahead->jobs[i]);
        arena_free(ahead->jobs[i].arena);
    }
    mem_free(ahead);
}

/* ---- beginning ---- */

static bool is_over(void *context)
{
    const struct job *job = context;
    return atomic_load(&job->ahead->is_over) ||
           (job->catalog.is_cancelled != NULL &&
            job->catalog.is_cancelled(job->catalog.cancel_context));
}

static void *run(void *context)
{
    struct job *job = context;
    struct rest_catalog catalog = job->catalog;
    catalog.ahead = NULL;
    catalog.is_cancelled = is_over;
    catalog.cancel_context = job;
    job->err = rest_load(job->ahead->rest, &catalog, job->who, &job->ns, job->name,
                         job->all_snapshots, job->arena, &job->loaded, &job->info);
    return NULL;
}

static bool copy_names(struct job *job, const struct rest_namespace *ns, struct slice name)
{
    struct slice *levels = arena_calloc(job->arena, ns->level_count + 1, sizeof(*levels));
    bool is_copied = levels != NULL && arena_slice(job->arena, name, &job->name);
    for (size_t i = 0; is_copied && i < ns->level_count; i++) {
        is_copied = arena_slice(job->arena, ns->levels[i], &levels[i]);
    }
    job->ns = (struct rest_namespace){levels, ns->level_count};
    return is_copied;
}

/* The job for this question, or NULL. */
static struct job *find(struct rest_ahead *ahead, const struct rest_catalog *catalog,
                        const struct identity *who, const struct rest_namespace *ns,
                        struct slice name, bool all_snapshots)
{
    for (size_t i = 0; i < ahead->count; i++) {
        struct job *job = &ahead->jobs[i];
        bool is_same = job->who == who && job->all_snapshots == all_snapshots &&
                       slice_equal(job->catalog.name, catalog->name) &&
                       slice_equal(job->catalog.uri, catalog->uri) &&
                       job->ns.level_count == ns->level_count && slice_equal(job->name, name);
        for (size_t l = 0; is_same && l < ns->level_count; l++) {
            is_same = slice_equal(job->ns.levels[l], ns->levels[l]);
        }
        if (is_same) {
            return job;
        }
    }
    return NULL;
}

void rest_ahead_load(struct rest_ahead *ahead, const struct rest_catalog *catalog,
                     const struct identity *who, const struct rest_namespace *ns, struct slice name,
                     bool all_snapshots)
{
    if (ahead->count == JOBS_MAX || find(ahead, catalog, who, ns, name, all_snapshots) != NULL) {
        return;
    }
    struct job *job = &ahead->jobs[ahead->count];
    *job = (struct job){.ahead = ahead,
                        .catalog = *catalog,
                        .who = who,
                        .arena = arena_new(NULL, "load ahead", 0),
                        .all_snapshots = all_snapshots};
    errinfo_init(&job->info);
    if (job->arena == NULL || !copy_names(job, ns, name) ||
        pthread_create(&job->thread, NULL, run, job) != 0) {
        arena_free(TAKE(job->arena));
        return;
    }
    ahead->count++;
}

/* ---- taking ---- */

static enum err give(const struct job *job, struct arena *arena, struct rest_loaded *ret_loaded,
                     struct errinfo *info)
{
    struct rest_loaded loaded = {.is_view = job->loaded.is_view};
    bool is_copied = arena_slice(arena, job->loaded.metadata_location, &loaded.metadata_location) &&
                     arena_slice(arena, job->loaded.metadata, &loaded.metadata) &&
                     arena_slice(arena, job->loaded.restrictions, &loaded.restrictions);
    if (!is_copied) {
        return errinfo_nomem(info);
    }
    *ret_loaded = loaded;
    return ERR_OK;
}

bool rest_ahead__take(const struct rest_catalog *catalog, const struct identity *who,
                      const struct rest_namespace *ns, struct slice name, bool all_snapshots,
                      struct arena *arena, struct rest_loaded *ret_loaded, enum err *ret_err,
                      struct errinfo *info)
{
    struct rest_ahead *ahead = catalog->ahead;
    struct job *job = ahead == NULL ? NULL : find(ahead, catalog, who, ns, name, all_snapshots);
    if (job == NULL) {
        return false;
    }
    join(job);
    if (job->err == ERR_OK) {
        *ret_err = give(job, arena, ret_loaded, info);
    } else {
        *ret_err = job->err;
        if (info != NULL) {
            *info = job->info;
        }
    }
    return true;
}
