/* Between the warehouse and its audit trail's anchor. */
#pragma once

#include "observe/audit.h"
#include "query/query.h"
#include "system/system.h"

/* The store as the place that an anchor is kept in. `system` outlives the trail. */
struct audit_anchor_store trail_anchors(struct system *system);
