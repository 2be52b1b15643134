/* Completion in the shell. Internal. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct cli;

/* The word before byte `cursor` of `line`: where it starts. A dot ends a word (the part after it is
 * completed); a backslash at the start of the line is part of it. */
size_t complete_word(struct slice line, size_t cursor);

/* What to insert for `word`, appended to `ret_insert` (empty: nothing or ambiguous), and, if
 * several fit, those as lines of `width` columns in `ret_list`. */
void complete(struct cli *cli, struct slice line, size_t cursor, size_t width,
              struct buf *ret_insert, struct buf *ret_list);
