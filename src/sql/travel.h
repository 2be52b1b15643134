/* Time travel as other engines write it, and names as PostgreSQL's tools do, turned into the form
 * that the engine's parser knows:
 *
 *   t FOR VERSION | SYSTEM_VERSION AS OF x      t AT (VERSION => x)
 *   t FOR TIMESTAMP | SYSTEM_TIME AS OF x       t AT (TIMESTAMP => x)
 *   t@name                                      t AT (VERSION => 'name')
 *
 *   x::pg_catalog.t, CAST(x AS pg_catalog.t)    x::t, CAST(x AS t)
 *   x OPERATOR(pg_catalog.+) y                  x OPERATOR(+) y
 *
 * An alias behind a version moves before AT, where the engine wants it. x is one literal, a
 * typed literal, a parameter, or anything in parentheses. Done on tokens, before there is a tree;
 * what is kept of it maps positions in the new text back to the old. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct sql_edit {
    size_t at;       /* in the new text, 0-based: from here on ... */
    size_t replaced; /* ... this many bytes stand for bytes of the old text at `old` */
    size_t old;
};

struct sql_travel {
    struct slice text;            /* the new text; the old one itself when nothing changed */
    const struct sql_edit *edits; /* ascending */
    size_t edit_count;
};

/* ERR_SYNTAX (42601) with position for AS OF without a value. */
MUST_USE enum err sql_travel_rewrite(struct slice text, struct arena *arena,
                                     struct sql_travel *ret_travel, struct errinfo *info);

/* 1-based position in the new text to that in the old; 0 stays 0. */
size_t sql_travel_position(const struct sql_travel *travel, size_t position);
