/* What a transaction changes in the tables of one attached catalog, until it commits.
 *
 * A catalog whose `block` points to one (catalog/iceberg.h) shows its tables as changed there, and
 * commits to it are kept there: nobody else sees them. Then one commit of the catalog makes them
 * true: of everything in iceberg_local, of one table anywhere, of several where a REST catalog
 * offers that (docs/decisions/012-ddl-in-transactions.md). Objects that were made
 * meanwhile are known here, and removed with what is rolled back.
 *
 * One thread at a time; a block belongs to a session. */
#pragma once

#include "catalog/iceberg_commit.h"

struct catalog_iceberg_block;

/* For changes of `catalog`, which is copied, in the name of `who`, who is held. `in_steps`: where
 * its catalog does not do all at one stroke, COMMIT may ask for one thing after the other; else
 * what is one thing too many is refused (ERR_UNSUPPORTED) when it is asked for. */
MUST_USE enum err catalog_iceberg_block_new(const struct catalog_iceberg *catalog,
                                            struct identity *who, bool in_steps,
                                            struct catalog_iceberg_block **ret_block,
                                            struct errinfo *info);
/* Forgets all; objects stay where they are. NULL is allowed. */
void catalog_iceberg_block_free(struct catalog_iceberg_block *block);

/* How many things were done in it: to go back to with catalog_iceberg_block_rollback. */
size_t catalog_iceberg_block_mark(const struct catalog_iceberg_block *block);
void catalog_iceberg_block_forget(struct catalog_iceberg_block *block);
bool catalog_iceberg_block_has_changes(const struct catalog_iceberg_block *block);
/* What came after `mark` is undone, and its objects removed as far as that can be; gives how many
 * could not. */
size_t catalog_iceberg_block_rollback(struct catalog_iceberg_block *block, size_t mark);
/* ERR_BUSY 40001: somebody else was first; nothing was done, and objects were removed. ERR_IO
 * 40003: nobody knows, also after looking. Where it goes in steps, an error's detail says how many
 * were done, and `ret_notice` (unchanged otherwise) that there were several. The block is empty
 * then in any case. */
MUST_USE enum err catalog_iceberg_block_commit(struct catalog_iceberg_block *block,
                                               struct slice request_id, char *ret_notice,
                                               size_t notice_bytes, struct errinfo *info);
