/* Well-known binary, whether it is that, and what of its coordinates matters to who writes it.
 *
 * The engine takes a value apart as a row of shapes, whatever the counts around them say, so bytes
 * that are none pass: no byte at all, two points one behind the other, a MULTIPOINT of lines. Here
 * all of it is held against OGC's Simple Feature Access 1.2.1, section 8 (and PostGIS's flags for
 * Z, M and a reference system, which the engine takes out). */
#pragma once

#include "base/base.h"
#include "base/err.h"

/* A shape that is in no collection is 1 deep; as the engine, which says no deeper ones as text. */
#define WKB_DEPTH_MAX 16

/* An empty point is NaN in each coordinate, and is of none of these. */
struct wkb_facts {
    bool has_nan;              /* a coordinate is NaN */
    bool is_beyond_geographic; /* an X is not in [-180, 180], or a Y not in [-90, 90] */
};

/* ERR_INVALID (22023) says what is wrong and at which byte. */
MUST_USE enum err wkb_check(struct slice bytes, struct wkb_facts *ret_facts, struct errinfo *info);
