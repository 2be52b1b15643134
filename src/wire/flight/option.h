/* Options of a session: settings by their names, and catalog and schema. Internal. */
#pragma once

#include "wire/flight/flight_int.h"

MUST_USE enum err flight__set_options(struct flight_call *call, struct slice request,
                                      struct buf *out);
MUST_USE enum err flight__get_options(struct flight_call *call, struct slice request,
                                      struct buf *out);
