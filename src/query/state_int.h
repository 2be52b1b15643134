/* States and moves of a query as data, written down once. */
#pragma once

#include "base/err.h"

struct query;

enum query_state {
    QUERY_RECEIVED,
    QUERY_PARSED,
    QUERY_RESOLVED,
    QUERY_SECURED,
    QUERY_PLANNED,
    QUERY_ADMITTED,
    QUERY_RUNNING,
    QUERY_STREAMING,
    QUERY_DONE,
    QUERY_FAILED,
    QUERY_CANCELLED,
    QUERY_STATE_COUNT,
};

const char *query_state_name(enum query_state state);

/* Performs the move's side effects and enters `to`. A move the table does not have is a bug.
 * If a side effect fails (audit could not be written) the state is unchanged and the caller
 * must fail the query. */
MUST_USE enum err query_move(struct query *query, enum query_state to, struct errinfo *info);

bool query_state_is_final(enum query_state state);
