/* CommandStatementIngest. */
#include "wire/flight/put.h"

enum err flight__ingest(struct flight_call *call, struct flight_stream *stream, struct slice body,
                        int64_t *ret_rows)
{
    (void)stream;
    (void)body;
    (void)ret_rows;
    return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "bulk ingest is not there");
}
