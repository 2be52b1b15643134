/* Grants as the broker has them: the only place where their callbacks are called from. A host gets
 * a description of those whose addresses are in its statement, and numbers to ask with. */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/host/broker_int.h"

enum {
    SCHEME_BYTES = sizeof("moat://") - 1,
    ADDRESS_CHARS = 32
};

/* ---- use ---- */

enum err grant__use(struct engine_grant *grant, struct errinfo *info)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&grant->lock);
    if (grant->is_closed) {
        err = errinfo_set(info, ERR_DENIED, NULL, "no grant for object");
        errinfo_hint(info, "The query that it was for has ended.");
    } else if (grant->spec.expires_wall_us != 0 && clock_wall_us() >= grant->spec.expires_wall_us) {
        err = errinfo_set(info, ERR_DENIED, NULL, "the grant for this object has expired");
        errinfo_hint(info, "Run the query again.");
    } else {
        grant->in_flight++;
    }
    pthread_mutex_unlock(&grant->lock);
    return err;
}

void grant__done(struct engine_grant *grant)
{
    pthread_mutex_lock(&grant->lock);
    if (--grant->in_flight == 0 && grant->is_closed) {
        pthread_cond_broadcast(&grant->idle);
    }
    pthread_mutex_unlock(&grant->lock);
}

void grant__unref(struct engine_grant *grant)
{
    if (--grant->refs > 0) {
        return;
    }
    for (size_t i = 0; i < grant->spec.scan_count; i++) {
        if (grant->offers != NULL) {
            mem_free(grant->offers[i].files);
        }
        if (grant->files_locks != NULL) {
            pthread_mutex_destroy(&grant->files_locks[i]);
        }
    }
    pthread_mutex_destroy(&grant->lock);
    pthread_mutex_destroy(&grant->rows_lock);
    pthread_cond_destroy(&grant->idle);
    arena_free(grant->arena);
    mem_free(grant);
}

enum err grant__take_sink(struct engine_grant *grant, size_t index, uint64_t writer,
                          struct errinfo *info)
{
    pthread_mutex_lock(&grant->lock);
    bool is_free = grant->writers[index] == 0 || grant->writers[index] == writer;
    if (is_free) {
        grant->writers[index] = writer;
    }
    pthread_mutex_unlock(&grant->lock);
    if (!is_free) {
        enum err err =
            errinfo_set(info, ERR_EXISTS, NULL, "the object to write has been written already");
        errinfo_hint(info, "Give each COPY an object of its own.");
        return err;
    }
    return ERR_OK;
}

/* ---- files of scans ---- */

/* Index of the first that is not before it. */
static size_t place_of(const struct offers *offers, size_t object)
{
    size_t low = 0;
    size_t high = offers->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (offers->files[middle].object < object) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int compare_offers(const void *a, const void *b)
{
    const struct offered_file *left = a;
    const struct offered_file *right = b;
    return (left->object > right->object) - (left->object < right->object);
}

/* Only the first address of a number counts, as one number is always one file. */
bool grant__offer(struct engine_grant *grant, size_t scan, const struct engine_scan_file *files,
                  size_t count)
{
    struct offers *offers = &grant->offers[scan];
    bool is_whole = true;
    pthread_mutex_lock(&grant->lock);
    size_t known = offers->count;
    if (known + count > offers->capacity) {
        struct offered_file *grown =
            mem_realloc(offers->files, (known + count) * sizeof(*offers->files));
        is_whole = grown != NULL;
        offers->files = is_whole ? grown : offers->files;
        offers->capacity = is_whole ? known + count : offers->capacity;
    }
    size_t added = known;
    for (size_t i = 0; i < count && is_whole; i++) {
        size_t at = place_of(offers, files[i].object);
        if (at == known || offers->files[at].object != files[i].object) {
            offers->files[added++] = (struct offered_file){files[i].object, &files[i]};
        }
    }
    if (added > known) {
        qsort(offers->files, added, sizeof(*offers->files), compare_offers);
        offers->count = added;
    }
    pthread_mutex_unlock(&grant->lock);
    return is_whole;
}

const struct engine_scan_file *grant__offered(struct engine_grant *grant, size_t scan,
                                              size_t object)
{
    const struct engine_scan_file *file = NULL;
    if (scan >= grant->spec.scan_count) {
        return NULL;
    }
    pthread_mutex_lock(&grant->lock);
    const struct offers *offers = &grant->offers[scan];
    size_t at = place_of(offers, object);
    if (at < offers->count && offers->files[at].object == object) {
        file = offers->files[at].file;
    }
    pthread_mutex_unlock(&grant->lock);
    return file;
}

/* ---- opening and closing ---- */

static enum err copy_lists(struct engine_grant *grant, const struct engine_grant_spec *spec,
                           struct errinfo *info)
{
    struct arena *arena = grant->arena;
    struct engine_object *objects = arena_calloc(arena, spec->object_count + 1, sizeof(*objects));
    const struct engine_scan_spec **scans =
        arena_calloc(arena, spec->scan_count + 1, sizeof(const struct engine_scan_spec *));
    grant->offers = arena_calloc(arena, spec->scan_count + 1, sizeof(*grant->offers));
    grant->files_locks = arena_calloc(arena, spec->scan_count + 1, sizeof(*grant->files_locks));
    grant->writers = arena_calloc(arena, spec->writable_count + 1, sizeof(*grant->writers));
    if (grant->writers == NULL || objects == NULL || scans == NULL || grant->offers == NULL ||
        grant->files_locks == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < spec->object_count; i++) {
        objects[i] = spec->objects[i];
        if (!arena_slice(arena, spec->objects[i].etag, &objects[i].etag) ||
            !arena_slice(arena, spec->objects[i].extension, &objects[i].extension)) {
            return errinfo_nomem(info);
        }
    }
    for (size_t i = 0; i < spec->scan_count; i++) {
        scans[i] = spec->scans[i];
        pthread_mutex_init(&grant->files_locks[i], NULL);
    }
    grant->spec = *spec;
    grant->spec.objects = objects;
    grant->spec.scans = scans;
    grant->spec.writable_count = spec->write == NULL ? 0 : spec->writable_count;
    return ERR_OK;
}

enum err grant__open(struct engine *engine, const struct identity *who,
                     const struct engine_grant_spec *spec, struct engine_grant **ret_grant,
                     struct errinfo *info)
{
    uint8_t random[16];
    struct person person;
    TRY(person_of(who, &person, info));
    struct engine_grant *grant = mem_calloc(1, sizeof(*grant));
    if (grant == NULL) {
        return errinfo_nomem(info);
    }
    grant->ops = &broker__ops;
    grant->engine = engine;
    grant->refs = 1;
    grant->person = person;
    pthread_mutex_init(&grant->lock, NULL);
    pthread_mutex_init(&grant->rows_lock, NULL);
    pthread_cond_init(&grant->idle, NULL);
    grant->arena = arena_new(NULL, "grant", 0);
    enum err err = grant->arena == NULL ? errinfo_nomem(info) : copy_lists(grant, spec, info);
    if (err == ERR_OK && random_bytes(random, sizeof(random)) != ERR_OK) {
        err = errinfo_set(info, ERR_INTERNAL, NULL, "no random bytes to name a grant with");
    }
    if (err != ERR_OK) {
        grant__unref(grant);
        return err;
    }
    hash_hex(random, sizeof(random), grant->address);
    pthread_mutex_lock(&engine->lock);
    grant->next = engine->grants;
    engine->grants = grant;
    pthread_mutex_unlock(&engine->lock);
    *ret_grant = grant;
    return ERR_OK;
}

void grant__close(struct engine_grant *grant)
{
    struct engine *engine = grant->engine;
    pthread_mutex_lock(&engine->lock);
    for (struct engine_grant **link = &engine->grants; *link != NULL; link = &(*link)->next) {
        if (*link == grant) {
            *link = grant->next;
            break;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    pthread_mutex_lock(&grant->lock);
    grant->is_closed = true;
    while (grant->in_flight > 0) {
        pthread_cond_wait(&grant->idle, &grant->lock);
    }
    pthread_mutex_unlock(&grant->lock);
    grant__unref(grant);
}

void grant__uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ASSERT(index < grant->spec.object_count);
    buf_printf(ret_uri, "moat://%s/%zu", grant->address, index);
    buf_append_slice(ret_uri, grant->spec.objects[index].extension);
}

void grant__uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ASSERT(index < grant->spec.writable_count);
    buf_printf(ret_uri, "moat://%s/out%zu", grant->address, index);
}

void grant__uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ASSERT(index < grant->spec.scan_count);
    buf_printf(ret_uri, "moat://%s/s%zu", grant->address, index);
}

void grant__uri_rows(const struct engine_grant *grant, struct buf *ret_uri)
{
    ASSERT(grant->spec.rows != NULL);
    buf_printf(ret_uri, "moat://%s/rows", grant->address);
}

struct engine_grant_counters grant__count(const struct engine_grant *grant)
{
    return (struct engine_grant_counters){grant->files_opened, grant->bytes_read,
                                          grant->bytes_written};
}

/* ---- attaching ---- */

/* The open grant of this address, with a reference, if it is this person's. */
static struct engine_grant *find_address(struct engine *engine, const struct person *person,
                                         const char *address)
{
    struct engine_grant *found = NULL;
    pthread_mutex_lock(&engine->lock);
    for (struct engine_grant *grant = engine->grants; grant != NULL && found == NULL;
         grant = grant->next) {
        if (memcmp(grant->address, address, ADDRESS_CHARS) == 0 &&
            person_equal(&grant->person, person)) {
            found = grant;
            found->refs++;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    return found;
}

/* Takes the reference. */
static bool attach_one(struct host *host, struct engine_grant *grant, uint64_t number)
{
    bool is_added = true;
    pthread_mutex_lock(&host->attach_lock);
    if (host->attachment_count == host->attachment_capacity) {
        size_t capacity = host->attachment_capacity == 0 ? 4 : 2 * host->attachment_capacity;
        struct attachment *grown = mem_realloc(host->attachments, capacity * sizeof(*grown));
        is_added = grown != NULL;
        host->attachments = is_added ? grown : host->attachments;
        host->attachment_capacity = is_added ? capacity : host->attachment_capacity;
    }
    if (is_added) {
        host->attachments[host->attachment_count++] = (struct attachment){number, grant};
    }
    pthread_mutex_unlock(&host->attach_lock);
    return is_added;
}

static bool is_attached(struct host *host, struct attached attached, const char *address)
{
    bool found = false;
    pthread_mutex_lock(&host->attach_lock);
    for (size_t i = 0; i < host->attachment_count && !found; i++) {
        const struct attachment *one = &host->attachments[i];
        found = one->number >= attached.first && one->number < attached.end &&
                memcmp(one->grant->address, address, ADDRESS_CHARS) == 0;
    }
    pthread_mutex_unlock(&host->attach_lock);
    return found;
}

static enum err attach_new(struct host *host, struct engine_grant *grant, struct buf *out,
                           struct attached *attached, struct errinfo *info)
{
    uint64_t number = ++host->hosts->next_number; /* no two hosts have one number */
    const struct engine_grant_spec *spec = &grant->spec;
    if (!attach_one(host, grant, number)) {
        grant__unref(grant);
        return errinfo_nomem(info);
    }
    attached->first = attached->first == UINT64_MAX ? number : attached->first;
    attached->end = number + 1;
    /* What scans point to lives while the grant is open. */
    enum err err = grant__use(grant, info);
    if (err == ERR_OK) {
        err = host_put_grant(out, number, grant->address, spec, info);
        grant__done(grant);
    }
    return err;
}

enum err grant__attach(struct engine *engine, struct host *host, const struct person *person,
                       struct slice sql, struct buf *out, struct attached *ret_attached,
                       struct errinfo *info)
{
    struct attached attached = {UINT64_MAX, 0};
    size_t count_at = out->len;
    uint64_t count = 0;
    enum err err = ERR_OK;
    const char *last = NULL; /* tables of many files repeat one address */
    wire_put_u64(out, 0);
    while (err == ERR_OK) {
        size_t at = slice_find(sql, SLICE("moat://"));
        if (at == SIZE_MAX || sql.len - at < SCHEME_BYTES + ADDRESS_CHARS) {
            break;
        }
        const char *address = sql.ptr + at + SCHEME_BYTES;
        sql = (struct slice){address, sql.len - at - SCHEME_BYTES};
        if ((last != NULL && memcmp(last, address, ADDRESS_CHARS) == 0) ||
            is_attached(host, attached, address)) {
            continue;
        }
        last = address;
        struct engine_grant *grant = find_address(engine, person, address);
        if (grant != NULL) {
            err = attach_new(host, grant, out, &attached, info);
            count++;
        }
    }
    if (buf_failed(out) && err == ERR_OK) {
        err = errinfo_nomem(info);
    }
    if (err != ERR_OK) {
        grant__detach(host, attached);
        return err;
    }
    memcpy(out->ptr + count_at, &count, sizeof(count));
    *ret_attached = attached;
    return ERR_OK;
}

void grant__detach(struct host *host, struct attached attached)
{
    size_t kept = 0;
    pthread_mutex_lock(&host->attach_lock);
    for (size_t i = 0; i < host->attachment_count; i++) {
        struct attachment one = host->attachments[i];
        if (one.number >= attached.first && one.number < attached.end) {
            grant__unref(one.grant);
        } else {
            host->attachments[kept++] = one;
        }
    }
    host->attachment_count = kept;
    pthread_mutex_unlock(&host->attach_lock);
}

/* What a host says of files it opened is shared among its grants: only it knows, and nothing but
 * a counter hangs on it. */
void grant__count_opened(struct host *host, struct attached attached, uint64_t files_opened)
{
    pthread_mutex_lock(&host->attach_lock);
    for (size_t i = 0; i < host->attachment_count; i++) {
        if (host->attachments[i].number == attached.first && attached.first < attached.end) {
            host->attachments[i].grant->files_opened += files_opened;
        }
    }
    pthread_mutex_unlock(&host->attach_lock);
}

struct engine_grant *grant__find(struct host *host, uint64_t number)
{
    struct engine_grant *grant = NULL;
    pthread_mutex_lock(&host->attach_lock);
    for (size_t i = 0; i < host->attachment_count && grant == NULL; i++) {
        if (host->attachments[i].number == number) {
            grant = host->attachments[i].grant;
            grant->refs++;
        }
    }
    pthread_mutex_unlock(&host->attach_lock);
    return grant;
}
