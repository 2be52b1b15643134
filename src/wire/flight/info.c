/* GetSqlInfo. */
#include "wire/flight/flight_int.h"

enum err flight__info_schema(struct flight_call *call, struct ArrowSchema **ret_schema)
{
    (void)ret_schema;
    return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "GetSqlInfo is not there");
}

enum err flight__get_info(struct flight_call *call, struct slice body)
{
    (void)body;
    return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "GetSqlInfo is not there");
}
