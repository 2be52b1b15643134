/* What the sessions of one connection share: their transaction. A session and its forks are used by
 * one thread at a time, and this with them. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "sql/statement.h"

struct session;
struct system;
struct workspace;

MUST_USE enum err workspace_new(struct workspace **ret_workspace, struct errinfo *info);
struct workspace *workspace_ref(struct workspace *workspace);
void workspace_unref(struct workspace *workspace);         /* takes NULL; rolls back */
bool workspace_is_last(const struct workspace *workspace); /* no other session shares it */
DEFINE_CLEANUP(struct workspace, workspace_cleanup, workspace_unref)

/* The store as the session sees it: with what its transaction has changed. For all that is about
 * tables, views, schemas and grants. */
struct system *session_store(const struct session *session);
/* The same to write to: in a transaction block not the store itself. */
MUST_USE enum err session_store_to_change(struct session *session, struct system **ret_store,
                                          struct errinfo *info);

/* What its transaction has changed in tables of lakes; NULL: nothing. */
struct catalog_iceberg;
struct catalog_iceberg_block;
struct catalog_iceberg_block *session_lake(const struct session *session);
/* The same to change tables of `catalog` in: NULL outside of a transaction block. ERR_UNSUPPORTED
 * where the transaction has changed what Moat keeps itself. */
MUST_USE enum err session_lake_to_change(struct session *session,
                                         const struct catalog_iceberg *catalog,
                                         struct catalog_iceberg_block **ret_block,
                                         struct errinfo *info);

/* Before each statement: takes over what others have committed since. ERR_BUSY (40001): that is no
 * longer possible, and the transaction has failed. ERR_INVALID (25P02): it had failed before, and
 * the statement is none that ends it. */
MUST_USE enum err session_refresh_block(struct session *session, struct errinfo *info);
MUST_USE enum err session_check_block(const struct session *session,
                                      const struct statement *statement, struct errinfo *info);
void session_fail_block(struct session *session);
/* ERR_INVALID (25001) in a transaction block: the statement could not be rolled back. */
MUST_USE enum err session_refuse_in_block(const struct session *session, struct errinfo *info);
/* BEGIN, COMMIT, SAVEPOINT ... `ret_notice`: a warning for people, or NULL. */
MUST_USE enum err session_transaction(struct session *session, const struct statement *statement,
                                      const char **ret_notice, const char **ret_tag,
                                      struct errinfo *info);
