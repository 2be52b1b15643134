/* Transactions of a session: blocks, savepoints, and the overlay that holds what they change.
 *
 *     no block --BEGIN--> open --an error--> failed
 *        ^                 | ^                 |
 *        +--COMMIT, ROLLBACK +--ROLLBACK TO----+      COMMIT of a failed one rolls back
 *
 * The overlay is made by the first change, so that a block that only reads costs nothing. */
#include "query/workspace_int.h"

#include "base/mem.h"
#include "catalog/iceberg_block.h"
#include "query/query_int.h"

#define SAVEPOINTS_MAX 100

struct savepoint {
    char *name;
    size_t mark;            /* changes of the overlay then */
    size_t lake_mark;       /* of `lake` */
    struct temp_set *temps; /* held */
};

struct workspace {
    unsigned references;
    bool is_open;
    bool is_failed;
    struct system *overlay;             /* NULL: nothing changed */
    struct catalog_iceberg_block *lake; /* what changed in tables of a lake; NULL: nothing */
    struct savepoint *savepoints;
    size_t savepoint_count;
    struct temp_set *temps;       /* held; NULL: none */
    struct temp_set *temps_begun; /* held: as they were when the block began */
    struct temp_quota *quota;     /* held */
};

enum err workspace_new(struct workspace **ret_workspace, struct errinfo *info)
{
    struct workspace *workspace = mem_calloc(1, sizeof(*workspace));
    struct temp_quota *quota = temp_quota_new();
    if (workspace == NULL || quota == NULL) {
        temp_quota_unref(quota);
        mem_free(workspace);
        return errinfo_nomem(info);
    }
    workspace->quota = quota;
    workspace->references = 1;
    *ret_workspace = workspace;
    return ERR_OK;
}

struct workspace *workspace_ref(struct workspace *workspace)
{
    workspace->references++;
    return workspace;
}

static void drop_savepoints(struct workspace *workspace, size_t kept)
{
    while (workspace->savepoint_count > kept) {
        struct savepoint *savepoint = &workspace->savepoints[--workspace->savepoint_count];
        temp_set_unref(savepoint->temps);
        mem_free(savepoint->name);
    }
    if (kept == 0) {
        mem_free(workspace->savepoints);
        workspace->savepoints = NULL;
    }
}

static void set_temps(struct workspace *workspace, struct temp_set *set)
{
    temp_set_unref(workspace->temps);
    workspace->temps = set != NULL && set->count == 0 ? NULL : temp_set_ref(set);
}

static void close_block(struct workspace *workspace, bool is_commit)
{
    if (workspace->is_open && !is_commit) {
        set_temps(workspace, workspace->temps_begun);
    } else if (workspace->is_open) {
        struct temp_set *left = temp_set_at_commit(workspace->temps);
        set_temps(workspace, left);
        temp_set_unref(left);
    }
    temp_set_unref(workspace->temps_begun);
    workspace->temps_begun = NULL;
    drop_savepoints(workspace, 0);
    system_close(workspace->overlay);
    workspace->overlay = NULL;
    catalog_iceberg_block_free(workspace->lake);
    workspace->lake = NULL;
    workspace->is_open = false;
    workspace->is_failed = false;
}

void workspace_unref(struct workspace *workspace)
{
    if (workspace != NULL && --workspace->references == 0) {
        close_block(workspace, false);
        temp_set_unref(workspace->temps);
        temp_quota_unref(workspace->quota);
        mem_free(workspace);
    }
}

bool workspace_is_last(const struct workspace *workspace)
{
    return workspace->references == 1;
}

/* ---- the store ---- */

struct system *session_store(const struct session *session)
{
    const struct workspace *workspace = session->workspace;
    return workspace->overlay != NULL ? workspace->overlay : session->warehouse->system;
}

static bool has_own_changes(const struct workspace *workspace)
{
    return workspace->overlay != NULL && system_overlay_changes(workspace->overlay) > 0;
}

static bool has_lake_changes(const struct workspace *workspace)
{
    return workspace->lake != NULL && catalog_iceberg_block_has_changes(workspace->lake);
}

static enum err refuse_both(struct errinfo *info)
{
    (void)errinfo_set(
        info, ERR_UNSUPPORTED, NULL,
        "a transaction changes tables of a lake, or what Moat keeps itself, not both");
    errinfo_hint(info, "No commit is of both: COMMIT in between.");
    return ERR_UNSUPPORTED;
}

enum err session_store_to_change(struct session *session, struct system **ret_store,
                                 struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    if (workspace->is_open && has_lake_changes(workspace)) {
        return refuse_both(info);
    }
    if (workspace->is_open && workspace->overlay == NULL) {
        TRY(system_overlay_open(session->warehouse->system, &workspace->overlay, info));
    }
    *ret_store = session_store(session);
    return ERR_OK;
}

bool session_has_changes(const struct session *session)
{
    return has_own_changes(session->workspace) || has_lake_changes(session->workspace);
}

/* ---- tables of lakes ---- */

struct catalog_iceberg_block *session_lake(const struct session *session)
{
    return session->workspace->lake;
}

enum err session_lake_to_change(struct session *session, const struct catalog_iceberg *catalog,
                                struct catalog_iceberg_block **ret_block, struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    *ret_block = NULL;
    if (!workspace->is_open) {
        return ERR_OK;
    }
    if (has_own_changes(workspace)) {
        return refuse_both(info);
    }
    if (!has_lake_changes(workspace)) { /* it may have been of another catalog */
        catalog_iceberg_block_free(TAKE(workspace->lake));
        TRY(catalog_iceberg_block_new(catalog, session->who, &workspace->lake, info));
    }
    *ret_block = workspace->lake;
    return ERR_OK;
}

enum err session_refresh_block(struct session *session, struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    if (workspace->overlay == NULL || workspace->is_failed) {
        return ERR_OK;
    }
    enum err err = system_overlay_refresh(workspace->overlay, session->who, info);
    workspace->is_failed = err != ERR_OK;
    return err;
}

enum err session_check_block(const struct session *session, const struct statement *statement,
                             struct errinfo *info)
{
    bool may_end = statement->kind == STATEMENT_TRANSACTION &&
                   (statement->transaction == TRANSACTION_COMMIT ||
                    statement->transaction == TRANSACTION_ROLLBACK ||
                    statement->transaction == TRANSACTION_ROLLBACK_TO);
    return !session->workspace->is_failed || may_end
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "25P02",
                             "current transaction is aborted, commands ignored until end of "
                             "transaction block");
}

void session_fail_block(struct session *session)
{
    session->workspace->is_failed = session->workspace->is_open;
}

enum err session_refuse_in_block(const struct session *session, struct errinfo *info)
{
    if (!session->workspace->is_open) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "25001",
                      "the statement cannot run inside a transaction block");
    errinfo_hint(info, "What it changes could not be rolled back: run it outside of BEGIN ... "
                       "COMMIT (autocommit).");
    return ERR_INVALID;
}

/* ---- BEGIN, COMMIT, ROLLBACK ---- */

static enum err end(struct session *session, bool is_commit, const char **ret_tag,
                    struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    enum err err = ERR_OK;
    is_commit = is_commit && !workspace->is_failed;
    if (is_commit && has_lake_changes(workspace)) {
        struct slice id = slice_of(session->query == NULL ? "" : session->query->id);
        err = catalog_iceberg_block_commit(workspace->lake, id, info);
    } else if (workspace->lake != NULL) {
        /* What cannot be removed is an orphan: nothing names it. */
        (void)catalog_iceberg_block_rollback(workspace->lake, 0);
    }
    if (is_commit && err == ERR_OK && workspace->overlay != NULL) {
        err = system_overlay_commit(workspace->overlay, session->who, info);
    }
    close_block(workspace, is_commit && err == ERR_OK);
    *ret_tag = is_commit ? "COMMIT" : "ROLLBACK";
    return err;
}

static enum err add_savepoint(struct workspace *workspace, struct slice name, struct errinfo *info)
{
    if (workspace->savepoints == NULL) {
        workspace->savepoints = mem_calloc(SAVEPOINTS_MAX, sizeof(*workspace->savepoints));
    }
    if (workspace->savepoint_count == SAVEPOINTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "53400", "a transaction has at most %d savepoints",
                           SAVEPOINTS_MAX);
    }
    char *copy = workspace->savepoints == NULL ? NULL : mem_slicedup(name);
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    size_t mark = workspace->overlay == NULL ? 0 : system_overlay_changes(workspace->overlay);
    size_t lake_mark = workspace->lake == NULL ? 0 : catalog_iceberg_block_mark(workspace->lake);
    workspace->savepoints[workspace->savepoint_count++] =
        (struct savepoint){copy, mark, lake_mark, temp_set_ref(workspace->temps)};
    return ERR_OK;
}

static enum err rollback_to(struct session *session, size_t mark, size_t lake_mark,
                            struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    if (workspace->overlay != NULL) {
        /* Also where nothing was changed since: the transaction may have failed because the
         * overlay could not be made again. */
        TRY(system_overlay_rollback(workspace->overlay, session->who, mark, info));
    }
    if (workspace->lake != NULL) {
        (void)catalog_iceberg_block_rollback(workspace->lake, lake_mark);
    }
    workspace->is_failed = false;
    return ERR_OK;
}

static enum err use_savepoint(struct session *session, const struct statement *statement,
                              struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    struct slice name = statement->savepoint;
    if (!workspace->is_open) {
        return errinfo_set(info, ERR_INVALID, "25P01", "%s can only be used in transaction blocks",
                           statement->tag);
    }
    if (statement->transaction == TRANSACTION_SAVEPOINT) {
        return add_savepoint(workspace, name, info);
    }
    size_t at = workspace->savepoint_count; /* the latest of that name, plus one */
    while (at > 0 && !slice_equal(slice_of(workspace->savepoints[at - 1].name), name)) {
        at--;
    }
    if (at == 0) {
        return errinfo_set(info, ERR_NOT_FOUND, "3B001", "savepoint \"%.*s\" does not exist",
                           SLICE_ARGS(name));
    }
    if (statement->transaction == TRANSACTION_RELEASE) {
        drop_savepoints(workspace, at - 1);
        return ERR_OK;
    }
    TRY(rollback_to(session, workspace->savepoints[at - 1].mark,
                    workspace->savepoints[at - 1].lake_mark, info));
    set_temps(workspace, workspace->savepoints[at - 1].temps);
    drop_savepoints(workspace, at);
    return ERR_OK;
}

enum err session_transaction(struct session *session, const struct statement *statement,
                             const char **ret_notice, const char **ret_tag, struct errinfo *info)
{
    struct workspace *workspace = session->workspace;
    *ret_notice = NULL;
    *ret_tag = statement->tag;
    switch (statement->transaction) {
    case TRANSACTION_BEGIN:
        *ret_notice = workspace->is_open ? "there is already a transaction in progress" : NULL;
        if (!workspace->is_open) {
            workspace->temps_begun = temp_set_ref(workspace->temps);
        }
        workspace->is_open = true;
        return ERR_OK;
    case TRANSACTION_COMMIT:
    case TRANSACTION_ROLLBACK:
        *ret_notice = workspace->is_open ? NULL : "there is no transaction in progress";
        return end(session, statement->transaction == TRANSACTION_COMMIT, ret_tag, info);
    case TRANSACTION_SAVEPOINT:
    case TRANSACTION_RELEASE:
    case TRANSACTION_ROLLBACK_TO:
        return use_savepoint(session, statement, info);
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "unknown form of transaction");
}

/* ---- for protocols ---- */

enum err session_begin(struct session *session, struct errinfo *info)
{
    const struct statement statement = {.kind = STATEMENT_TRANSACTION,
                                        .transaction = TRANSACTION_BEGIN};
    const char *ignored;
    return session_transaction(session, &statement, &ignored, &ignored, info);
}

enum err session_use_savepoint(struct session *session, enum session_savepoint which,
                               struct slice name, struct errinfo *info)
{
    static const enum transaction_kind kinds[] = {[SESSION_SAVEPOINT_SET] = TRANSACTION_SAVEPOINT,
                                                  [SESSION_SAVEPOINT_RELEASE] = TRANSACTION_RELEASE,
                                                  [SESSION_SAVEPOINT_ROLLBACK] =
                                                      TRANSACTION_ROLLBACK_TO};
    static const char *const tags[] = {"SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"};
    struct statement statement = {.kind = STATEMENT_TRANSACTION,
                                  .transaction = kinds[which],
                                  .tag = tags[which],
                                  .savepoint = name};
    return use_savepoint(session, &statement, info);
}

void session_end(struct session *session, bool is_commit)
{
    close_block(session->workspace, is_commit && !session_has_changes(session));
}

/* ---- temporary tables ---- */

struct temp_table *session_temp(const struct session *session, const struct sql_name *written)
{
    const struct temp_set *set = session->workspace->temps;
    bool can_be =
        written->catalog.len == 0 &&
        (written->schema.len == 0 || slice_equal_fold(written->schema, SLICE(TEMP_SCHEMA)));
    for (size_t i = 0; can_be && set != NULL && i < set->count; i++) {
        if (slice_equal_fold(set->tables[i]->name, written->name)) {
            return set->tables[i];
        }
    }
    return NULL;
}

enum err session_set_temp(struct session *session, struct slice name, struct temp_table *table,
                          struct errinfo *info)
{
    struct temp_set *set;
    TRY(temp_set_with(session->workspace->temps, name, table, &set, info));
    set_temps(session->workspace, set);
    temp_set_unref(set);
    return ERR_OK;
}

struct temp_set *session_temp_set(const struct session *session)
{
    return session->workspace->temps;
}

struct temp_quota *session_temp_quota(const struct session *session)
{
    return session->workspace->quota;
}

void session_restore_temps(struct session *session, struct temp_set *set)
{
    set_temps(session->workspace, set);
}

enum err session_refuse_temp(const struct session *session, const struct sql_name *written,
                             const char *what, struct errinfo *info)
{
    if (session_temp(session, written) == NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s does not work on temporary tables", what);
    errinfo_hint(info,
                 "\"%.*s\" is one of this session. With its schema, the name means another table.",
                 SLICE_ARGS(written->name));
    return ERR_UNSUPPORTED;
}

void session_drop_temps(struct session *session)
{
    set_temps(session->workspace, NULL);
}
