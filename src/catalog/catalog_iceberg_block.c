/* A stack of steps: objects that were made, and documents that changes led to. The latest document
 * of a table is what the transaction sees; the first one's requirements are what must still hold
 * when it commits, since all later ones follow from it. So a transaction sees its tables, from
 * their first change on, as they were then, and somebody else's commit to one makes it fail. */
#include "catalog/iceberg_block.h"

#include "base/hash.h"
#include "base/mem.h"
#include "catalog/catalog_iceberg_block_int.h"
#include "storage/remote.h"

#define STEPS_MAX 1000000

static bool copy_catalog(struct arena *arena, const struct catalog_iceberg *from,
                         struct catalog_iceberg *out)
{
    *out = *from;
    out->lent = NULL;
    out->lent_to = NULL;
    out->block = NULL;
    if (!rest_catalog_copy(&from->remote, arena, &out->remote)) {
        return false;
    }
    struct slice *texts[] = {&out->name, &out->location, &out->catalog_name, &out->warehouse};
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
                                   bool in_steps, struct catalog_iceberg_block **ret_block,
                                   struct errinfo *info)
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
    block->in_steps = in_steps;
    *ret_block = block;
    return ERR_OK;
}

static void drop_steps(struct catalog_iceberg_block *block, size_t mark)
{
    while (block->count > mark) {
        struct iceberg_step *step = &block->steps[--block->count];
        storage_grant_unref(step->lent);
        arena_free(step->arena);
    }
}

void catalog_iceberg_block_forget(struct catalog_iceberg_block *block)
{
    drop_steps(block, 0);
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

static enum err push(struct catalog_iceberg_block *block, struct iceberg_step **ret_step,
                     struct errinfo *info)
{
    if (block->count == STEPS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a transaction makes too many files");
    }
    if (block->count == block->capacity) {
        size_t capacity = block->capacity == 0 ? 16 : block->capacity * 2;
        struct iceberg_step *grown = mem_realloc(block->steps, capacity * sizeof(*grown));
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
    **ret_step = (struct iceberg_step){.arena = arena};
    return ERR_OK;
}

enum err iceberg_block__made(const struct catalog_iceberg *catalog, struct slice location,
                             struct errinfo *info)
{
    struct catalog_iceberg_block *block = catalog->block;
    struct iceberg_step *step;
    if (block == NULL) {
        return ERR_OK;
    }
    TRY(push(block, &step, info));
    step->kind = STEP_OBJECT;
    if (!arena_slice(step->arena, location, &step->object)) {
        arena_free(step->arena);
        return errinfo_nomem(info);
    }
    step->lent = catalog->lent == NULL ? NULL : storage_grant_ref(catalog->lent);
    step->lent_to = catalog->lent_to;
    block->count++;
    return ERR_OK;
}

/* ---- names ---- */

/* Which table or view a name means in the transaction. */
struct found {
    bool is_gone;
    bool is_named; /* by the transaction: it is not the catalog's name for it */
    size_t born;
    struct slice ns, name; /* as in a step */
};

typedef bool (*name_equal_fn)(struct slice, struct slice);

/* From the last step back: what it was called before. */
static struct found find_by(const struct catalog_iceberg_block *block, struct slice ns,
                            struct slice name, name_equal_fn equal)
{
    struct found found = {.ns = ns, .name = name};
    for (size_t i = block->count; i > 0; i--) {
        const struct iceberg_step *step = &block->steps[i - 1];
        if (step->kind == STEP_OBJECT || step->kind == STEP_CHANGE || !equal(step->ns, ns)) {
            continue;
        }
        bool was_so = equal(step->from, found.name);
        bool is_so = equal(step->to, found.name);
        if (step->kind == STEP_CREATE && is_so) {
            return (struct found){.is_named = true, .born = i, .ns = step->ns, .name = step->name};
        }
        if (step->kind == STEP_RENAME && is_so) {
            found.ns = step->ns;
            found.name = step->from;
            found.is_named = true;
        } else if (step->kind != STEP_CREATE && was_so) {
            found.is_gone = true;
            return found;
        }
    }
    return found;
}

/* Exactly, or folding case as catalogs do. */
static struct found find(const struct catalog_iceberg_block *block, struct slice ns,
                         struct slice name)
{
    struct found found = find_by(block, ns, name, slice_equal);
    return found.is_gone || found.is_named ? found : find_by(block, ns, name, slice_equal_fold);
}

static bool is_of(const struct iceberg_step *step, size_t born, struct slice ns, struct slice name)
{
    return step->kind != STEP_OBJECT && step->born == born && slice_equal(step->ns, ns) &&
           slice_equal(step->name, name);
}

/* The latest document of a table or view; NULL: it is as its catalog has it. */
static const struct iceberg_step *latest(const struct catalog_iceberg_block *block, size_t born,
                                         struct slice ns, struct slice name)
{
    for (size_t i = block->count; i > 0; i--) {
        const struct iceberg_step *step = &block->steps[i - 1];
        if (step->document.len > 0 && is_of(step, born, ns, name)) {
            return step;
        }
    }
    return NULL;
}

static bool is_of_catalog(const struct catalog_iceberg *catalog)
{
    return catalog->block != NULL && slice_equal_fold(catalog->block->catalog.name, catalog->name);
}

/* ---- what the transaction sees ---- */

static enum err show(const struct iceberg_step *step, struct arena *arena,
                     struct catalog_iceberg_table *table, struct errinfo *info)
{
    struct slice document;
    if (!arena_slice(arena, step->document, &document) ||
        !arena_slice(arena, step->location, &table->name.metadata_location)) {
        return errinfo_nomem(info);
    }
    table->planning = REST_PLANNING_CLIENT; /* its catalog does not know this version */
    return table->name.is_view ? iceberg_view_parse(document, arena, &table->view, info)
                               : iceberg_metadata_parse(document, arena, &table->metadata, info);
}

enum err iceberg_block__find(const struct catalog_iceberg *catalog, struct slice *ns,
                             struct slice *name, struct arena *arena, bool *ret_is_loaded,
                             bool *ret_is_gone, struct catalog_iceberg_table *table,
                             struct errinfo *info)
{
    *ret_is_loaded = *ret_is_gone = false;
    if (!is_of_catalog(catalog)) {
        return ERR_OK;
    }
    const struct catalog_iceberg_block *block = catalog->block;
    struct found found = find(block, *ns, *name);
    *ret_is_gone = found.is_gone;
    if (found.is_gone || found.born == 0) {
        *ns = found.ns;
        *name = found.name;
        return ERR_OK;
    }
    const struct iceberg_step *step = latest(block, found.born, found.ns, found.name);
    *table = (struct catalog_iceberg_table){.name = {.is_view = step->is_view}};
    *ret_is_loaded = true;
    return arena_slice(arena, *ns, &table->name.ns) && arena_slice(arena, *name, &table->name.name)
               ? show(step, arena, table, info)
               : errinfo_nomem(info);
}

enum err iceberg_block__show(const struct catalog_iceberg *catalog, struct slice asked,
                             struct slice own, struct arena *arena,
                             struct catalog_iceberg_table *table, struct errinfo *info)
{
    if (!is_of_catalog(catalog)) {
        return ERR_OK;
    }
    struct slice ns = table->name.ns;
    struct slice name = table->name.name;
    struct slice uuid = table->name.is_view ? table->view.uuid : table->metadata.uuid;
    const struct iceberg_step *step = latest(catalog->block, 0, ns, name);
    /* In the transaction it is called as it was asked for. */
    if (!slice_equal(asked, own) && !arena_slice(arena, asked, &table->name.name)) {
        return errinfo_nomem(info);
    }
    if (step == NULL || step->is_view != table->name.is_view) {
        return ERR_OK;
    }
    TRY(show(step, arena, table, info));
    bool is_same = slice_equal(table->name.is_view ? table->view.uuid : table->metadata.uuid, uuid);
    return is_same ? ERR_OK
                   : errinfo_set(info, ERR_BUSY, "40001",
                                 "table \"%.*s\" was replaced by another one meanwhile",
                                 SLICE_ARGS(name));
}

enum err iceberg_block__list(const struct catalog_iceberg *catalog, struct slice ns,
                             struct iceberg_name_list *list, struct errinfo *info)
{
    for (size_t i = 0; is_of_catalog(catalog) && i < catalog->block->count; i++) {
        const struct iceberg_step *step = &catalog->block->steps[i];
        if (step->kind == STEP_OBJECT || step->kind == STEP_CHANGE ||
            (ns.len > 0 && !slice_equal(step->ns, ns))) {
            continue;
        }
        if (step->kind == STEP_CREATE) {
            struct catalog_iceberg_name made = {
                .ns = step->ns, .name = step->to, .is_view = step->is_view};
            TRY(iceberg_catalog__add(list, &made, info));
            continue;
        }
        size_t kept = 0;
        for (size_t k = 0; k < list->count; k++) {
            bool is_it = slice_equal(list->names[k].ns, step->ns) &&
                         slice_equal(list->names[k].name, step->from);
            if (is_it && step->kind == STEP_DROP) {
                continue;
            }
            list->names[kept] = list->names[k];
            list->names[kept].name = is_it ? step->to : list->names[k].name;
            kept++;
        }
        list->count = kept;
    }
    return ERR_OK;
}

bool iceberg_block__lent(const struct catalog_iceberg *catalog, struct slice ns, struct slice name,
                         struct storage_grant **ret_grant, const struct identity **ret_who)
{
    struct found found = {0};
    if (is_of_catalog(catalog)) {
        found = find(catalog->block, ns, name);
    }
    if (found.born == 0) {
        return false;
    }
    const struct iceberg_step *made = &catalog->block->steps[found.born - 1];
    *ret_grant = made->lent == NULL ? NULL : storage_grant_ref(made->lent);
    *ret_who = made->lent_to;
    return true;
}

bool iceberg_block__document(const struct catalog_iceberg *catalog, struct slice ns,
                             struct slice name, struct slice *ret_document)
{
    if (!is_of_catalog(catalog)) {
        return false;
    }
    struct found found = find(catalog->block, ns, name);
    const struct iceberg_step *step = latest(catalog->block, found.born, found.ns, found.name);
    *ret_document = step == NULL ? (struct slice){0} : step->document;
    return step != NULL;
}

/* ---- changes ---- */

static enum err other_catalog(struct slice name, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s\" is of another catalog than what this transaction changed first",
                      SLICE_ARGS(name));
    errinfo_hint(info, "No commit is of two catalogs: COMMIT in between.");
    return ERR_UNSUPPORTED;
}

static enum err not_at_once(const struct catalog_iceberg_block *block, struct slice name,
                            struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s\" would make this transaction more than catalog \"%.*s\" does at "
                      "one stroke",
                      SLICE_ARGS(name), SLICE_ARGS(block->catalog.name));
    errinfo_hint(info,
                 "COMMIT first, or SET lake.commit = 'steps': then COMMIT asks for one thing "
                 "after the other, and says so. Catalogs of type iceberg_local do all at "
                 "once, catalogs that list \"transactions/commit\" all changes of tables that "
                 "are there.");
    return ERR_UNSUPPORTED;
}

/* That the transaction, with its last step, can be committed. */
static enum err check_whole(struct catalog_iceberg_block *block, struct slice name,
                            struct errinfo *info)
{
    struct iceberg_effect *effects;
    size_t count;
    size_t calls = 0;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake effects", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (block->catalog.kind == CATALOG_ICEBERG_LOCAL) {
        return ERR_OK;
    }
    TRY(iceberg_block__effects(block, arena, &effects, &count, info));
    calls = count;
    if (catalog_iceberg_is_remote(&block->catalog)) {
        TRY(iceberg_block__calls(block, effects, count, &calls, info));
    }
    bool may = block->in_steps && catalog_iceberg_is_remote(&block->catalog);
    return calls <= 1 || may ? ERR_OK : not_at_once(block, name, info);
}

/* A step that is filled in; it is taken back if it is one too many. */
static enum err keep(struct catalog_iceberg_block *block, struct iceberg_step *step,
                     struct errinfo *info)
{
    block->count++;
    enum err err = check_whole(block, step->name, info);
    if (err != ERR_OK) {
        drop_steps(block, block->count - 1);
    }
    return err;
}

static bool copy_names(struct iceberg_step *step, struct slice ns, struct slice name,
                       struct slice from, struct slice to)
{
    char uuid[UUID_TEXT_BYTES];
    char *location =
        uuid_new(uuid) != ERR_OK ? NULL : arena_printf(step->arena, "(not committed: %s)", uuid);
    step->location = slice_of(location == NULL ? "" : location);
    return location != NULL && arena_slice(step->arena, ns, &step->ns) &&
           arena_slice(step->arena, name, &step->name) &&
           arena_slice(step->arena, from, &step->from) && arena_slice(step->arena, to, &step->to);
}

enum err iceberg_block__admit(const struct catalog_iceberg *catalog, struct slice ns,
                              struct slice name, struct errinfo *info)
{
    struct catalog_iceberg_block *block = catalog->block;
    struct iceberg_step *step;
    if (block == NULL) {
        return ERR_OK;
    }
    if (!is_of_catalog(catalog)) {
        return other_catalog(name, info);
    }
    /* As if it were changed. */
    struct found found = find(block, ns, name);
    TRY(push(block, &step, info));
    step->kind = STEP_CHANGE;
    step->born = found.born;
    if (!copy_names(step, found.ns, found.name, name, name)) {
        arena_free(step->arena);
        return errinfo_nomem(info);
    }
    TRY(keep(block, step, info));
    drop_steps(block, block->count - 1);
    return ERR_OK;
}

static enum err no_name(struct slice name, bool is_view, struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "42P01", "%s \"%.*s\" does not exist",
                       is_view ? "view" : "table", SLICE_ARGS(name));
}

/* What is changed as the transaction has it: the document, where it was, and which it is. */
static enum err base_of(const struct catalog_iceberg *catalog, const struct identity *who,
                        const struct found *found, struct slice name, struct arena *arena,
                        struct iceberg_update *update, struct errinfo *info)
{
    if (found->is_gone) {
        return no_name(name, false, info);
    }
    const struct iceberg_step *before = latest(catalog->block, found->born, found->ns, found->name);
    if (before == NULL) {
        return iceberg_catalog__document(catalog, who, found->ns, found->name, arena,
                                         &update->location, &update->document, info);
    }
    update->document = before->document;
    update->location = before->location;
    return ERR_OK;
}

static enum err add_step(const struct catalog_iceberg *catalog, const struct iceberg_step *wanted,
                         struct slice from, struct slice to, struct slice *ret_location,
                         struct errinfo *info)
{
    struct catalog_iceberg_block *block = catalog->block;
    struct iceberg_step *step;
    TRY(push(block, &step, info));
    struct arena *arena = step->arena;
    *step = *wanted;
    step->arena = arena;
    step->born = wanted->kind == STEP_CREATE ? block->count + 1 : wanted->born;
    if (!copy_names(step, wanted->ns, wanted->name, from, to) ||
        !arena_slice(arena, wanted->uuid, &step->uuid) ||
        !arena_slice(arena, wanted->requirements, &step->requirements) ||
        !arena_slice(arena, wanted->updates, &step->updates) ||
        !arena_slice(arena, wanted->document, &step->document)) {
        arena_free(arena);
        return errinfo_nomem(info);
    }
    if (wanted->kind == STEP_CREATE && catalog->lent != NULL) {
        step->lent = storage_grant_ref(catalog->lent);
        step->lent_to = catalog->lent_to;
    }
    *ret_location = step->location;
    return keep(block, step, info);
}

enum err iceberg_block__add(const struct catalog_iceberg *catalog, const struct identity *who,
                            const struct catalog_iceberg_change *change, struct arena *arena,
                            struct slice *ret_metadata_location, struct errinfo *info)
{
    struct buf document CLEANUP(buf_fini) = {0};
    struct iceberg_update update = {
        .requirements = change->requirements, .updates = change->updates, .now_ms = change->now_ms};
    if (!is_of_catalog(catalog)) {
        return other_catalog(change->name, info);
    }
    struct found found = find(catalog->block, change->ns, change->name);
    if (change->creates && found.is_named) {
        return errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                           SLICE_ARGS(change->name));
    }
    if (!change->creates) {
        TRY(base_of(catalog, who, &found, change->name, arena, &update, info));
    }
    TRY(iceberg_update_apply(&update, &document, info));
    const struct iceberg_step step = {.kind = change->creates ? STEP_CREATE : STEP_CHANGE,
                                      .born = found.born,
                                      .ns = change->creates ? change->ns : found.ns,
                                      .name = change->creates ? change->name : found.name,
                                      .requirements = change->requirements,
                                      .updates = change->updates,
                                      .document = buf_slice(&document),
                                      .now_ms = change->now_ms};
    return add_step(catalog, &step, change->name, change->name, ret_metadata_location, info);
}

enum err iceberg_block__add_view(const struct catalog_iceberg *catalog, struct slice ns,
                                 struct slice name, bool creates, struct slice uuid,
                                 struct slice document, int64_t now_ms, struct errinfo *info)
{
    struct slice ignored;
    if (!is_of_catalog(catalog)) {
        return other_catalog(name, info);
    }
    struct found found = find(catalog->block, ns, name);
    const struct iceberg_step step = {.kind = creates ? STEP_CREATE : STEP_CHANGE,
                                      .born = found.born,
                                      .ns = creates ? ns : found.ns,
                                      .name = creates ? name : found.name,
                                      .is_view = true,
                                      .uuid = uuid,
                                      .document = document,
                                      .now_ms = now_ms};
    return add_step(catalog, &step, name, name, &ignored, info);
}

enum err iceberg_block__name(const struct catalog_iceberg *catalog, const struct identity *who,
                             struct slice ns, struct slice name, bool is_view,
                             const struct slice *new_name, struct errinfo *info)
{
    struct catalog_iceberg_table table;
    struct catalog_iceberg_table other;
    struct errinfo told = {0};
    struct slice ignored;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake name", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (!is_of_catalog(catalog)) {
        return other_catalog(name, info);
    }
    enum err err = catalog_iceberg_load(catalog, who, ns, name, arena, &table, info);
    if (err == ERR_NOT_FOUND || (err == ERR_OK && table.name.is_view != is_view)) {
        return no_name(name, is_view, info);
    }
    TRY(err);
    if (new_name != NULL) {
        err = catalog_iceberg_load(catalog, who, table.name.ns, *new_name, arena, &other, &told);
        if (err == ERR_OK) {
            return errinfo_set(info, ERR_EXISTS, "42P07",
                               "\"%.*s\" exists already in namespace \"%.*s\"",
                               SLICE_ARGS(*new_name), SLICE_ARGS(ns));
        }
    }
    struct found found = find(catalog->block, table.name.ns, table.name.name);
    const struct iceberg_step step = {.kind = new_name == NULL ? STEP_DROP : STEP_RENAME,
                                      .born = found.born,
                                      .ns = found.ns,
                                      .name = found.name,
                                      .is_view = is_view,
                                      .uuid = is_view ? table.view.uuid : table.metadata.uuid};
    return add_step(catalog, &step, table.name.name, new_name == NULL ? SLICE("") : *new_name,
                    &ignored, info);
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
        const struct iceberg_step *step = &block->steps[i];
        catalog.lent = step->lent;
        catalog.lent_to = step->lent_to;
        bool is_left = step->object.len > 0 &&
                       (!can || output.remove(output.context, step->object, &ignored) != ERR_OK);
        left += is_left ? 1 : 0;
    }
    drop_steps(block, mark);
    return left;
}
