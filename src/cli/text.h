/* Text on terminals: widths, and control characters made visible. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

/* Decodes one code point at `text` (len > 0): its length in bytes, or 1 with U+FFFFFFFF for a byte
 * that is not UTF-8. */
size_t text_decode(struct slice text, uint32_t *ret_code_point);

/* Columns that a code point takes on a terminal: 0, 1 or 2. Independent of the locale. */
unsigned text_code_width(uint32_t code_point);
size_t text_width(struct slice text);

enum text_keep {
    KEEP_NOTHING, /* line feeds and tabs are escaped too: one line */
    KEEP_LAYOUT,  /* line feeds, carriage return before them, and tabs stay */
};

/* Appends with control characters, bidirectional overrides and bytes that are not UTF-8 as \xNN or
 * \uNNNN, so that a cell cannot drive the terminal or reorder what is shown. */
void text_escape(struct buf *out, struct slice text, enum text_keep keep);

/* Appends at most `width` columns of already escaped `text`, ending in an ellipsis if cut. */
void text_cut(struct buf *out, struct slice text, size_t width, bool is_unicode);
