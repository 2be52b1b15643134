/* Commits of tables that somebody else was quicker with, or that nobody answered: how often and how
 * late they are tried, or looked for, again. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct iceberg_metadata;
struct query;

/* "commit.retry.num-retries", within reason. */
int commit_retries(const struct iceberg_metadata *metadata);

/* Waits a random time up to a bound that doubles with each try, so that writers who met do not meet
 * again. ERR_CANCELLED, ERR_TIMEOUT. */
MUST_USE enum err commit_wait(struct query *query, int retry, struct errinfo *info);

/* Looks for what was to be committed for some seconds: the catalog is given time to answer again,
 * and to be done with what it was asked. False once the statement is cancelled, too. */
typedef bool (*commit_find_fn)(void *context);
bool commit_was_made(struct query *query, commit_find_fn find, void *context);

/* ERR_IO (40003) about table `name`, whose reason is what `info` said so far. */
MUST_USE enum err commit_is_unknown(struct slice name, const char *hint, struct errinfo *info);
