/* A stack of steps: objects that were made, and documents that changes led to. The latest document
 * of a table is what the transaction sees; the first one's requirements are what must still hold
 * when it commits, since all later ones follow from it. So a transaction sees its tables, from
 * their first change on, as they were then, and somebody else's commit to one makes it fail. */
#include "catalog/iceberg_block.h"

#include <time.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "catalog/catalog_iceberg_int.h"
#include "identity/identity.h"
#include "storage/remote.h"

#define STEPS_MAX 1000000
#define LOOKS_MAX 6
#define LOOK_MS_FIRST 100

struct step {
    struct arena *arena;
    struct slice object; /* a location; empty: a change */
    struct storage_grant *lent;
    const struct identity *lent_to;
    struct slice ns, name;
    struct slice requirements, updates, document, location;
    int64_t now_ms;
};

struct catalog_iceberg_block {
    struct arena *arena;
    struct catalog_iceberg catalog;
    struct identity *who; /* held */
    struct step *steps;
    size_t count;
    size_t capacity;
};

static bool copy_catalog(struct arena *arena, const struct catalog_iceberg *from,
                         struct catalog_iceberg *out)
{
    *out = *from;
    out->lent = NULL;
    out->lent_to = NULL;
    out->block = NULL;
    struct rest_catalog *remote = &out->remote;
    remote->is_cancelled = NULL;
    remote->cancel_context = NULL;
    remote->ahead = NULL;
    struct slice *texts[] = {&out->name,         &out->location,     &out->catalog_name,
                             &out->warehouse,    &remote->name,      &remote->uri,
                             &remote->warehouse, &remote->token_uri, &remote->audience,
                             &remote->scope,     &remote->client_id, &remote->client_secret_file,
                             &remote->request_id};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!arena_slice(arena, *texts[i], texts[i])) {
            return false;
        }
    }
    struct slice *folders = arena_calloc(arena, from->folder_count + 1, sizeof(*folders));
    for (size_t i = 0; folders != NULL && i < from->folder_count; i++) {
        if (!arena_slice(arena, from->folders[i], &folders[i])) {
            return false;
        }
    }
    out->folders = folders;
    return folders != NULL;
}

enum err catalog_iceberg_block_new(const struct catalog_iceberg *catalog, struct identity *who,
                                   struct catalog_iceberg_block **ret_block, struct errinfo *info)
{
    struct catalog_iceberg_block *block = mem_calloc(1, sizeof(*block));
    struct arena *arena = arena_new(NULL, "lake transaction", 0);
    if (block == NULL || arena == NULL || !copy_catalog(arena, catalog, &block->catalog)) {
        mem_free(block);
        arena_free(arena);
        return errinfo_nomem(info);
    }
    block->arena = arena;
    block->who = identity_ref(who);
    *ret_block = block;
    return ERR_OK;
}

static void drop_steps(struct catalog_iceberg_block *block, size_t mark)
{
    while (block->count > mark) {
        struct step *step = &block->steps[--block->count];
        storage_grant_unref(step->lent);
        arena_free(step->arena);
    }
}

void catalog_iceberg_block_free(struct catalog_iceberg_block *block)
{
    if (block != NULL) {
        drop_steps(block, 0);
        mem_free(block->steps);
        identity_unref(block->who);
        arena_free(block->arena);
        mem_free(block);
    }
}

size_t catalog_iceberg_block_mark(const struct catalog_iceberg_block *block)
{
    return block->count;
}

bool catalog_iceberg_block_has_changes(const struct catalog_iceberg_block *block)
{
    return block->count > 0;
}

/* ---- steps ---- */

static enum err push(struct catalog_iceberg_block *block, struct step **ret_step,
                     struct errinfo *info)
{
    if (block->count == STEPS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a transaction makes too many files");
    }
    if (block->count == block->capacity) {
        size_t capacity = block->capacity == 0 ? 16 : block->capacity * 2;
        struct step *grown = mem_realloc(block->steps, capacity * sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        block->steps = grown;
        block->capacity = capacity;
    }
    struct arena *arena = arena_new(NULL, "lake change", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    *ret_step = &block->steps[block->count];
    **ret_step = (struct step){.arena = arena};
    return ERR_OK;
}

enum err iceberg_block__made(const struct catalog_iceberg *catalog, struct slice location,
                             struct errinfo *info)
{
    struct catalog_iceberg_block *block = catalog->block;
    struct step *step;
    if (block == NULL) {
        return ERR_OK;
    }
    TRY(push(block, &step, info));
    if (!arena_slice(step->arena, location, &step->object)) {
        arena_free(step->arena);
        return errinfo_nomem(info);
    }
    step->lent = catalog->lent == NULL ? NULL : storage_grant_ref(catalog->lent);
    step->lent_to = catalog->lent_to;
    block->count++;
    return ERR_OK;
}

static bool is_change_of(const struct step *step, struct slice ns, struct slice name)
{
    return step->object.len == 0 && slice_equal(step->ns, ns) && slice_equal(step->name, name);
}

/* The latest change of a table; NULL: none. */
static const struct step *latest(const struct catalog_iceberg_block *block, struct slice ns,
                                 struct slice name)
{
    for (size_t i = block->count; i > 0; i--) {
        if (is_change_of(&block->steps[i - 1], ns, name)) {
            return &block->steps[i - 1];
        }
    }
    return NULL;
}

/* ---- what the transaction sees ---- */

enum err iceberg_block__show(const struct catalog_iceberg *catalog, struct arena *arena,
                             struct catalog_iceberg_table *table, struct errinfo *info)
{
    const struct catalog_iceberg_block *block = catalog->block;
    struct iceberg_metadata metadata;
    struct slice document;
    if (block == NULL || table->name.is_view ||
        !slice_equal_fold(block->catalog.name, catalog->name)) {
        return ERR_OK;
    }
    const struct step *step = latest(block, table->name.ns, table->name.name);
    if (step == NULL) {
        return ERR_OK;
    }
    if (!arena_slice(arena, step->document, &document) ||
        !arena_slice(arena, step->location, &table->name.metadata_location)) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_metadata_parse(document, arena, &metadata, info));
    if (!slice_equal(metadata.uuid, table->metadata.uuid)) {
        return errinfo_set(info, ERR_BUSY, "40001",
                           "table \"%.*s\" was replaced by another one meanwhile",
                           SLICE_ARGS(table->name.name));
    }
    table->metadata = metadata;
    table->planning = REST_PLANNING_CLIENT; /* its catalog does not know this version */
    return ERR_OK;
}

enum err iceberg_block__admit(const struct catalog_iceberg *catalog, struct slice ns,
                              struct slice name, struct errinfo *info)
{
    const struct catalog_iceberg_block *block = catalog->block;
    bool is_same_catalog = block != NULL && slice_equal_fold(block->catalog.name, catalog->name);
    bool can = false;
    bool is_second = false;
    for (size_t i = 0; block != NULL && i < block->count; i++) {
        is_second = is_second ||
                    (block->steps[i].object.len == 0 && !is_change_of(&block->steps[i], ns, name));
    }
    if (block == NULL || (is_same_catalog && !is_second)) {
        return ERR_OK;
    }
    if (is_same_catalog && catalog->kind == CATALOG_ICEBERG_REST) {
        TRY(iceberg_rest__commits_all(catalog, block->who, &can, info));
    }
    if (can) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s\" would be the second table that this transaction changes, and %s",
                      SLICE_ARGS(name),
                      is_same_catalog ? "its catalog commits one at a time"
                                      : "the first one is of another catalog");
    errinfo_hint(info, "COMMIT first. Catalogs of type iceberg_rest that list the endpoint "
                       "\"transactions/commit\" commit several tables at once.");
    return ERR_UNSUPPORTED;
}

/* ---- changes ---- */

static enum err base_of(const struct catalog_iceberg *catalog, const struct identity *who,
                        const struct catalog_iceberg_change *change, struct arena *arena,
                        struct iceberg_update *update, struct errinfo *info)
{
    const struct step *before = latest(catalog->block, change->ns, change->name);
    if (before == NULL) {
        return iceberg_catalog__document(catalog, who, change->ns, change->name, arena,
                                         &update->location, &update->document, info);
    }
    update->document = before->document;
    update->location = before->location;
    return ERR_OK;
}

static bool copy_change(const struct catalog_iceberg_change *change, struct slice document,
                        struct step *step)
{
    char uuid[UUID_TEXT_BYTES];
    char *location =
        uuid_new(uuid) != ERR_OK ? NULL : arena_printf(step->arena, "(not committed: %s)", uuid);
    step->location = slice_of(location == NULL ? "" : location);
    step->now_ms = change->now_ms;
    return location != NULL && arena_slice(step->arena, change->ns, &step->ns) &&
           arena_slice(step->arena, change->name, &step->name) &&
           arena_slice(step->arena, change->requirements, &step->requirements) &&
           arena_slice(step->arena, change->updates, &step->updates) &&
           arena_slice(step->arena, document, &step->document);
}

enum err iceberg_block__add(const struct catalog_iceberg *catalog, const struct identity *who,
                            const struct catalog_iceberg_change *change, struct arena *arena,
                            struct slice *ret_metadata_location, struct errinfo *info)
{
    struct catalog_iceberg_block *block = catalog->block;
    struct buf document CLEANUP(buf_fini) = {0};
    struct step *step;
    struct iceberg_update update = {
        .requirements = change->requirements, .updates = change->updates, .now_ms = change->now_ms};
    if (change->creates) {
        return errinfo_set(info, ERR_UNSUPPORTED, "25001",
                           "a table of a lake cannot be made inside a transaction block");
    }
    TRY(iceberg_block__admit(catalog, change->ns, change->name, info));
    TRY(base_of(catalog, who, change, arena, &update, info));
    TRY(iceberg_update_apply(&update, &document, info));
    TRY(push(block, &step, info));
    if (!copy_change(change, buf_slice(&document), step)) {
        arena_free(step->arena);
        return errinfo_nomem(info);
    }
    block->count++;
    *ret_metadata_location = step->location;
    return ERR_OK;
}

/* ---- the end ---- */

size_t catalog_iceberg_block_rollback(struct catalog_iceberg_block *block, size_t mark)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "rollback", 0);
    struct catalog_iceberg catalog = block->catalog;
    struct iceberg_output output;
    struct errinfo ignored;
    size_t left = 0;
    bool can = arena != NULL &&
               catalog_iceberg_output(&catalog, block->who, arena, &output, &ignored) == ERR_OK;
    for (size_t i = mark; i < block->count; i++) {
        const struct step *step = &block->steps[i];
        catalog.lent = step->lent;
        catalog.lent_to = step->lent_to;
        bool is_left = step->object.len > 0 &&
                       (!can || output.remove(output.context, step->object, &ignored) != ERR_OK);
        left += is_left ? 1 : 0;
    }
    drop_steps(block, mark);
    return left;
}

/* The changes of each table as one: what the first one wants to hold, all updates in order. */
static enum err fold(const struct catalog_iceberg_block *block, struct arena *arena,
                     struct catalog_iceberg_change **ret_changes, size_t *ret_count,
                     struct errinfo *info)
{
    struct catalog_iceberg_change *changes =
        arena_calloc(arena, block->count + 1, sizeof(*changes));
    size_t count = 0;
    if (changes == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < block->count; i++) {
        const struct step *step = &block->steps[i];
        size_t at = 0;
        if (step->object.len > 0) {
            continue;
        }
        while (at < count && !is_change_of(step, changes[at].ns, changes[at].name)) {
            at++;
        }
        if (at == count) {
            changes[count++] = (struct catalog_iceberg_change){.ns = step->ns,
                                                               .name = step->name,
                                                               .requirements = step->requirements,
                                                               .updates = step->updates,
                                                               .now_ms = step->now_ms};
            continue;
        }
        struct slice before = changes[at].updates;
        char *both = arena_printf(arena, "%.*s,%.*s", (int)(before.len - 1), before.ptr,
                                  (int)(step->updates.len - 1), step->updates.ptr + 1);
        if (both == NULL) {
            return errinfo_nomem(info);
        }
        changes[at].updates = slice_of(both);
        changes[at].now_ms = step->now_ms;
    }
    *ret_changes = changes;
    *ret_count = count;
    return ERR_OK;
}

/* The last snapshot that updates add; ICEBERG_NO_ID: none. */
static int64_t added_snapshot(const struct catalog_iceberg_change *change, struct arena *arena)
{
    struct json *updates;
    struct errinfo ignored;
    int64_t id = ICEBERG_NO_ID;
    if (json_parse(arena, change->updates, NULL, &updates, &ignored) != ERR_OK) {
        return id;
    }
    for (const struct json *update = updates->first; update != NULL; update = update->next) {
        if (slice_equal(json_get_text(update, "action"), SLICE("add-snapshot"))) {
            (void)json_to_i64(json_get(json_get(update, "snapshot"), "snapshot-id"), &id);
        }
    }
    return id;
}

/* Whether a table has the snapshot; its catalog is given some time. */
static bool has_snapshot(const struct catalog_iceberg_block *block,
                         const struct catalog_iceberg_change *change, int64_t id,
                         struct arena *arena)
{
    for (int look = 0; look < LOOKS_MAX; look++) {
        struct catalog_iceberg catalog = block->catalog;
        struct catalog_iceberg_table now;
        struct errinfo ignored;
        catalog.wants_history = true; /* others may have committed on top of it */
        if (catalog_iceberg_load(&catalog, block->who, change->ns, change->name, arena, &now,
                                 &ignored) == ERR_OK &&
            iceberg_metadata_snapshot(&now.metadata, id) != NULL) {
            return true;
        }
        int ms = LOOK_MS_FIRST << look;
        struct timespec span = {ms / 1000, (long)(ms % 1000) * 1000000};
        (void)nanosleep(&span, NULL);
    }
    return false;
}

/* All or none: one table tells of all. What made no snapshot cannot be told. */
static bool is_done_after_all(const struct catalog_iceberg_block *block,
                              const struct catalog_iceberg_change *changes, size_t count,
                              struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        int64_t id = added_snapshot(&changes[i], arena);
        if (id != ICEBERG_NO_ID) {
            return has_snapshot(block, &changes[i], id, arena);
        }
    }
    return false;
}

static enum err unknown(const struct catalog_iceberg_change *change, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_IO, "40003",
                      "it is not known whether the transaction on table \"%.*s\" was committed",
                      SLICE_ARGS(change->name));
    errinfo_hint(info, "Look for its queries' ids as \"moat.query-id\" in the table's snapshots "
                       "before it is tried again.");
    return ERR_IO;
}

static enum err commit(struct catalog_iceberg_block *block, struct arena *arena,
                       bool *ret_is_unknown, struct errinfo *info)
{
    struct catalog_iceberg_change *changes;
    size_t count;
    struct slice location;
    TRY(fold(block, arena, &changes, &count, info));
    if (count == 0) {
        return ERR_OK;
    }
    enum err err = count == 1 ? catalog_iceberg_commit(&block->catalog, block->who, &changes[0],
                                                       arena, &location, ret_is_unknown, info)
                              : iceberg_rest__commit_all(&block->catalog, block->who, changes,
                                                         count, ret_is_unknown, info);
    if (err != ERR_OK && *ret_is_unknown) {
        if (!is_done_after_all(block, changes, count, arena)) {
            return unknown(&changes[0], info);
        }
        *ret_is_unknown = false;
        return ERR_OK;
    }
    return err;
}

enum err catalog_iceberg_block_commit(struct catalog_iceberg_block *block, struct slice request_id,
                                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake commit", 0);
    bool is_unknown = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    block->catalog.remote.request_id = request_id;
    enum err err = commit(block, arena, &is_unknown, info);
    if (err != ERR_OK && !is_unknown) {
        size_t left = catalog_iceberg_block_rollback(block, 0);
        if (left > 0) {
            errinfo_detail(info, "%zu new files could not be removed.", left);
        }
    }
    drop_steps(block, 0);
    block->catalog.remote.request_id = (struct slice){0};
    return err;
}
