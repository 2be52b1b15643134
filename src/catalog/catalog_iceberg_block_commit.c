/* The end of a transaction: what its steps come to, and how a catalog is told.
 *
 * iceberg_local: all in one transaction of SQLite. iceberg_hadoop: one table. iceberg_rest: one
 * call is atomic, and the commit of several tables where the catalog has that; more is done only
 * where the session allows it, one call after the other: rows first, then names. */
#include "catalog/catalog_iceberg_block_int.h"

#include <time.h>

#include "base/json.h"
#include "catalog/iceberg_commit.h"

#define LOOKS_MAX 6
#define LOOK_MS_FIRST 100

/* ---- what the steps come to ---- */

static struct iceberg_effect *effect_of(struct iceberg_effect *effects, size_t *count,
                                        const struct iceberg_step *step)
{
    for (size_t i = 0; i < *count; i++) {
        struct iceberg_effect *effect = &effects[i];
        if (effect->born == step->born && slice_equal(effect->ns, step->ns) &&
            slice_equal(effect->name, step->name)) {
            return effect;
        }
    }
    effects[*count] = (struct iceberg_effect){.born = step->born,
                                              .ns = step->ns,
                                              .name = step->name,
                                              .final = step->from,
                                              .is_view = step->is_view};
    return &effects[(*count)++];
}

/* What the first one wants to hold, all updates in order. */
static enum err add_change(struct iceberg_effect *effect, const struct iceberg_step *step,
                           struct arena *arena, struct errinfo *info)
{
    struct slice before = effect->updates;
    effect->is_changed = true;
    effect->now_ms = step->now_ms;
    effect->document = step->is_view ? step->document : (struct slice){0};
    if (before.len == 0) {
        effect->requirements = step->requirements;
        effect->updates = step->updates;
        return ERR_OK;
    }
    char *both = arena_printf(arena, "%.*s,%.*s", (int)(before.len - 1), before.ptr,
                              (int)(step->updates.len == 0 ? 0 : step->updates.len - 1),
                              step->updates.len == 0 ? "" : step->updates.ptr + 1);
    if (both == NULL) {
        return errinfo_nomem(info);
    }
    effect->updates = step->updates.len == 0 ? before : slice_of(both);
    return ERR_OK;
}

enum err iceberg_block__effects(const struct catalog_iceberg_block *block, struct arena *arena,
                                struct iceberg_effect **ret_effects, size_t *ret_count,
                                struct errinfo *info)
{
    struct iceberg_effect *effects = arena_calloc(arena, block->count + 1, sizeof(*effects));
    size_t count = 0;
    size_t kept = 0;
    if (effects == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < block->count; i++) {
        const struct iceberg_step *step = &block->steps[i];
        if (step->kind == STEP_OBJECT) {
            continue;
        }
        struct iceberg_effect *effect = effect_of(effects, &count, step);
        effect->uuid = step->uuid.len > 0 ? step->uuid : effect->uuid;
        if (step->kind == STEP_CREATE || step->kind == STEP_CHANGE) {
            TRY(add_change(effect, step, arena, info));
        } else {
            effect->is_dropped = step->kind == STEP_DROP;
            effect->final = step->to;
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool is_nothing = effects[i].born > 0 && effects[i].is_dropped;
        if (!is_nothing) {
            effects[kept++] = effects[i];
        }
    }
    *ret_effects = effects;
    *ret_count = kept;
    return ERR_OK;
}

static bool is_renamed(const struct iceberg_effect *effect)
{
    return effect->born == 0 && !effect->is_dropped && !slice_equal(effect->final, effect->name);
}

/* A table that was there before and has other rows or another shape. */
static bool is_commit(const struct iceberg_effect *effect)
{
    return effect->born == 0 && effect->is_changed && !effect->is_dropped && !effect->is_view;
}

enum err iceberg_block__calls(const struct catalog_iceberg_block *block,
                              const struct iceberg_effect *effects, size_t count, size_t *ret_calls,
                              struct errinfo *info)
{
    size_t commits = 0;
    size_t others = 0;
    bool can = false;
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_effect *effect = &effects[i];
        commits += is_commit(effect);
        others += effect->born > 0 || effect->is_dropped;
        others += is_renamed(effect);
        others += effect->born == 0 && effect->is_view && effect->is_changed && !effect->is_dropped;
    }
    if (commits > 1) {
        TRY(iceberg_rest__commits_all(&block->catalog, block->who, &can, info));
        commits = can ? 1 : commits;
    }
    *ret_calls = commits + others;
    return ERR_OK;
}

/* ---- a commit whose outcome is not known ---- */

/* The last snapshot that updates add; ICEBERG_NO_ID: none. */
static int64_t added_snapshot(const struct iceberg_effect *effect, struct arena *arena)
{
    struct json *updates;
    struct errinfo ignored;
    int64_t id = ICEBERG_NO_ID;
    if (effect->is_dropped || effect->updates.len == 0 ||
        json_parse(arena, effect->updates, NULL, &updates, &ignored) != ERR_OK) {
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
                         const struct iceberg_effect *effect, int64_t id, struct arena *arena)
{
    for (int look = 0; look < LOOKS_MAX; look++) {
        struct catalog_iceberg catalog = block->catalog;
        struct catalog_iceberg_table now;
        struct errinfo ignored;
        catalog.wants_history = true; /* others may have committed on top of it */
        if (catalog_iceberg_load(&catalog, block->who, effect->ns, effect->final, arena, &now,
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
                              const struct iceberg_effect *effects, size_t count,
                              struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        int64_t id = added_snapshot(&effects[i], arena);
        if (id != ICEBERG_NO_ID) {
            return has_snapshot(block, &effects[i], id, arena);
        }
    }
    return false;
}

static enum err unknown(const struct iceberg_effect *effect, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_IO, "40003",
                      "it is not known whether the transaction on table \"%.*s\" was committed",
                      SLICE_ARGS(effect->name));
    errinfo_hint(info, "Look for its queries' ids as \"moat.query-id\" in the table's snapshots "
                       "before it is tried again.");
    return ERR_IO;
}

/* ---- REST ---- */

struct steps {
    const struct catalog_iceberg_block *block;
    const struct iceberg_effect *effects;
    size_t count;
    bool *is_done; /* of each effect: it stands under its last name */
    size_t calls;
    bool *is_unknown;
    struct arena *arena;
    struct errinfo *info;
};

static enum err commit_one(struct steps *s, const struct iceberg_effect *effect)
{
    struct slice location;
    const struct catalog_iceberg_change change = {.ns = effect->ns,
                                                  .name = effect->born > 0 ? effect->final
                                                                           : effect->name,
                                                  .requirements = effect->requirements,
                                                  .updates = effect->updates,
                                                  .creates = effect->born > 0,
                                                  .now_ms = effect->now_ms};
    s->calls++;
    return catalog_iceberg_commit(&s->block->catalog, s->block->who, &change, s->arena, &location,
                                  s->is_unknown, s->info);
}

/* Changes of tables that were there: together where the catalog does that. */
static enum err commit_tables(struct steps *s)
{
    struct catalog_iceberg_change *changes = arena_calloc(s->arena, s->count + 1, sizeof(*changes));
    size_t count = 0;
    bool can = false;
    if (changes == NULL) {
        return errinfo_nomem(s->info);
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct iceberg_effect *effect = &s->effects[i];
        if (is_commit(effect)) {
            changes[count++] = (struct catalog_iceberg_change){.ns = effect->ns,
                                                               .name = effect->name,
                                                               .requirements = effect->requirements,
                                                               .updates = effect->updates,
                                                               .now_ms = effect->now_ms};
        }
    }
    if (count > 1) {
        TRY(iceberg_rest__commits_all(&s->block->catalog, s->block->who, &can, s->info));
    }
    if (can) {
        s->calls++;
        return iceberg_rest__commit_all(&s->block->catalog, s->block->who, changes, count,
                                        s->is_unknown, s->info);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (is_commit(&s->effects[i])) {
            TRY(commit_one(s, &s->effects[i]));
        }
    }
    return ERR_OK;
}

static enum err put_view(struct steps *s, const struct iceberg_effect *effect)
{
    s->calls++;
    return iceberg_view__put_document(&s->block->catalog, s->block->who, effect->ns,
                                      effect->born > 0 ? effect->final : effect->name,
                                      effect->document, effect->born > 0, s->arena, s->info);
}

/* Whether another that was there before still has the name. */
static bool is_taken(const struct steps *s, size_t which)
{
    const struct iceberg_effect *effect = &s->effects[which];
    for (size_t i = 0; i < s->count; i++) {
        const struct iceberg_effect *other = &s->effects[i];
        bool leaves = other->born == 0 && (other->is_dropped || is_renamed(other));
        if (i != which && leaves && !s->is_done[i] && slice_equal(other->ns, effect->ns) &&
            slice_equal(other->name, effect->final)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct steps *s, const struct iceberg_effect *dropped)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->effects[i].is_dropped && slice_equal(s->effects[i].ns, dropped->ns) &&
            slice_equal(s->effects[i].final, dropped->name)) {
            return true;
        }
    }
    return false;
}

static enum err drop_all(struct steps *s, bool wanted)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct iceberg_effect *effect = &s->effects[i];
        if (effect->is_dropped && is_wanted(s, effect) == wanted) {
            s->calls++;
            TRY(catalog_iceberg_unregister(&s->block->catalog, s->block->who, effect->ns,
                                           effect->name, effect->is_view, s->info));
            s->is_done[i] = true;
        }
    }
    return ERR_OK;
}

/* Each as soon as its name is free. */
static enum err place_all(struct steps *s)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < s->count; i++) {
            const struct iceberg_effect *effect = &s->effects[i];
            bool is_placed = effect->born > 0 || is_renamed(effect);
            if (s->is_done[i] || !is_placed || is_taken(s, i)) {
                continue;
            }
            if (effect->born == 0) {
                s->calls++;
                TRY(catalog_iceberg_rename(&s->block->catalog, s->block->who, effect->ns,
                                           effect->name, effect->is_view, effect->final, s->info));
            } else {
                TRY(effect->is_view ? put_view(s, effect) : commit_one(s, effect));
            }
            s->is_done[i] = moved = true;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!s->is_done[i] && (s->effects[i].born > 0 || is_renamed(&s->effects[i]))) {
            return errinfo_set(s->info, ERR_UNSUPPORTED, NULL,
                               "\"%.*s\" and another would swap their names, which no order of "
                               "calls does",
                               SLICE_ARGS(s->effects[i].name));
        }
    }
    return ERR_OK;
}

static enum err all_steps(struct steps *s)
{
    TRY(commit_tables(s));
    for (size_t i = 0; i < s->count; i++) {
        const struct iceberg_effect *effect = &s->effects[i];
        if (effect->born == 0 && effect->is_view && effect->is_changed && !effect->is_dropped) {
            TRY(put_view(s, effect));
        }
    }
    TRY(drop_all(s, true));
    TRY(place_all(s));
    return drop_all(s, false);
}

enum err iceberg_rest__commit_steps(const struct catalog_iceberg_block *block,
                                    const struct iceberg_effect *effects, size_t count,
                                    char *ret_notice, size_t notice_bytes, bool *ret_is_unknown,
                                    struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake calls", 0);
    bool *is_done = arena == NULL ? NULL : arena_calloc(arena, count + 1, sizeof(*is_done));
    if (is_done == NULL) {
        return errinfo_nomem(info);
    }
    struct steps s = {.block = block,
                      .effects = effects,
                      .count = count,
                      .is_done = is_done,
                      .is_unknown = ret_is_unknown,
                      .arena = arena,
                      .info = info};
    enum err err = all_steps(&s);
    bool is_partial = err != ERR_OK && s.calls > 1;
    if (is_partial) { /* no object may be removed: some are named */
        *ret_is_unknown = true;
        errinfo_detail(info, "%zu calls of the commit were done before this one, and stay.",
                       s.calls - 1);
        errinfo_hint(info, "The session allows that: lake.commit = 'steps'.");
    }
    if (err == ERR_OK && s.calls > 1) {
        (void)snprintf(ret_notice, notice_bytes,
                       "the commit took %zu calls of the catalog, one after the other", s.calls);
    }
    return err;
}

/* ---- COMMIT ---- */

static enum err commit(struct catalog_iceberg_block *block, struct arena *arena, char *ret_notice,
                       size_t notice_bytes, bool *ret_is_unknown, struct errinfo *info)
{
    struct iceberg_effect *effects;
    size_t count;
    size_t calls = 1;
    struct errinfo told = {0};
    TRY(iceberg_block__effects(block, arena, &effects, &count, info));
    if (count == 0) {
        return ERR_OK;
    }
    bool is_remote = block->catalog.kind != CATALOG_ICEBERG_LOCAL;
    if (catalog_iceberg_is_remote(&block->catalog)) {
        TRY(iceberg_block__calls(block, effects, count, &calls, info));
    }
    enum err err = is_remote ? iceberg_rest__commit_steps(block, effects, count, ret_notice,
                                                          notice_bytes, ret_is_unknown, &told)
                             : iceberg_local__commit_all(&block->catalog, block->who, effects,
                                                         count, ret_is_unknown, &told);
    if (err != ERR_OK && *ret_is_unknown && calls == 1) {
        if (!is_done_after_all(block, effects, count, arena)) {
            return unknown(&effects[0], info);
        }
        *ret_is_unknown = false;
        return ERR_OK;
    }
    if (err != ERR_OK && info != NULL) {
        *info = told;
    }
    return err;
}

enum err catalog_iceberg_block_commit(struct catalog_iceberg_block *block, struct slice request_id,
                                      char *ret_notice, size_t notice_bytes, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake commit", 0);
    bool is_unknown = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    block->catalog.remote.request_id = request_id;
    enum err err = commit(block, arena, ret_notice, notice_bytes, &is_unknown, info);
    if (err != ERR_OK && !is_unknown) {
        size_t left = catalog_iceberg_block_rollback(block, 0);
        if (left > 0) {
            errinfo_detail(info, "%zu new files could not be removed.", left);
        }
    }
    catalog_iceberg_block_forget(block);
    block->catalog.remote.request_id = (struct slice){0};
    return err;
}
