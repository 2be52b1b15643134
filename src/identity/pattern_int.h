/* Rules that make one name of another, and lists, as the configuration writes them.
 *
 * A pattern is matched against the whole text, case and all. `*` stands for one or more characters
 * but never for one of / @ , + = : what separates the parts of names. The template behind "=>"
 * takes what the stars stood for as {1}, {2} ...; without any it is a name as it stands. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

#define PATTERN_STARS_MAX 4u

struct name_rule {
    struct slice pattern;
    struct slice template;
    bool is_exact; /* no star: one text, one name */
};

/* "pattern => template", trimmed. ERR_INVALID (22023) repeats the rule. */
MUST_USE enum err name_rule_parse(struct slice text, struct name_rule *ret_rule,
                                  struct errinfo *info);
/* True if the rule is for `text`; then the name is in `arena`, or ERR_NOMEM. */
MUST_USE enum err name_rule_apply(const struct name_rule *rule, struct slice text,
                                  struct arena *arena, bool *ret_applies, struct slice *ret_name,
                                  struct errinfo *info);
bool pattern_matches(struct slice pattern, struct slice text);

/* The next item of a list and what is behind it: white space trimmed, empty items passed over. */
MUST_USE bool list_next(struct slice *list, char separator, struct slice *ret_item);
/* The parts of "left=right", trimmed; the mark is the last "=" that is there. */
MUST_USE bool pair_split(struct slice item, struct slice *ret_left, struct slice *ret_right);
